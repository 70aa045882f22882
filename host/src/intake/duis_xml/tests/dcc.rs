//! Alerts of the DCC: of which device, and when.

use super::*;

const THE_DCC: u64 = 0x0200_5E10_0000_DC01;
const ID: &str = "02-00-5E-10-00-00-DC-01:02-00-5E-10-00-00-05-01:1795404000001";

fn body(code: &str, tree: &str) -> String {
    format!(
        "<s:DCCAlertMessage><s:DCCAlertCode>{code}</s:DCCAlertCode><s:DCCAlert>{tree}</s:DCCAlert></s:DCCAlertMessage>"
    )
}

/// `<name>02-00-5E-10-00-00-A0-nn</name>`
fn named(name: &str, number: u8) -> String {
    format!("<s:{name}>02-00-5E-10-00-00-A0-{number:02X}</s:{name}>")
}

fn device(number: u8) -> u64 {
    0x0200_5E10_0000_A000 | u64::from(number)
}

fn told(tree: &str) -> (Vec<Alert>, Vec<String>) {
    let (items, notices) = read(&document(ID, &body("N53", tree)));
    (items.into_iter().map(Result::unwrap).collect(), notices)
}

#[test]
fn the_device_is_told_by_the_elements_that_name_it() {
    let other = named("OtherDeviceID", 9);
    let log = |log: &str| {
        let ids = [
            named("OldCHFDeviceID", 1),
            named("NewCHFDeviceID", 2),
            named("OldGPFDeviceID", 3),
            named("NewGPFDeviceID", 4),
        ];
        format!(
            "<DeviceLogRestored><RestoredDate>2026-11-22</RestoredDate><{log}>{}</{log}></DeviceLogRestored>",
            ids.concat()
        )
    };
    let request = "<UpdateHANDeviceLogResult><UpdateHANDeviceLogServiceRequestID>02-00-5E-10-00-00-05-01:\
                   02-00-5E-10-00-00-A0-07:1795400000123</UpdateHANDeviceLogServiceRequestID></UpdateHANDeviceLogResult>";
    let type_1 = |number| format!("<AssociatedType1Device>{}</AssociatedType1Device>", named("DeviceID", number));
    for (tree, expected) in [
        (format!("<CommsHubAlert>{other}{}<x>{other}</x></CommsHubAlert>", named("CommsHubDeviceID", 5)), 5),
        (format!("<DualBandCHAlert>{}<x>{}</x></DualBandCHAlert>", named("CHFDeviceID", 6), named("DeviceID", 8)), 6),
        (format!("<DualBandCHAlert>{}{}</DualBandCHAlert>", named("DeviceIDToSuspend", 9), named("CHFDeviceID", 6)), 6),
        (format!("<Status>{}{}</Status>", named("TargetDeviceID", 9), named("CommsHubDeviceID", 5)), 5),
        (format!("<Status>{}{}</Status>", named("OldCommsHubDeviceID", 9), named("ESMEDeviceID", 3)), 3),
        (format!("<Status>{}{}</Status>", named("OldDeviceID", 9), named("ESMEDeviceID", 3)), 3),
        (log("CHFDeviceLog"), 2),
        (log("GPFDeviceLog"), 4),
        (format!("<Event>{}<x>{}{}</x></Event>", named("DeviceId", 1), type_1(2), type_1(3)), 1),
        (format!("<Event>{}{}</Event>", named("DeviceID", 1), named("DeviceID", 1)), 1),
        (format!("<Event>{}</Event>", named("ESMEDeviceID", 3)), 3),
        ("<F><MeterIDs>02-00-5E-10-00-00-A0-04</MeterIDs></F>".to_owned(), 4),
        (request.to_owned(), 7),
    ] {
        let (alerts, notices) = told(&tree);
        assert_eq!(notices, Vec::<String>::new(), "{tree}");
        assert_eq!(alerts.iter().map(|alert| alert.device.0).collect::<Vec<_>>(), [device(expected)], "{tree}");
        assert_eq!((alerts[0].counter, alerts[0].message.sender), (Some(1_795_404_000_001), Eui64(THE_DCC)));
        assert_eq!((alerts[0].recipient, alerts[0].dcc_ms), (Eui64(0x0200_5E10_0000_0501), AT));
    }
}

#[test]
fn one_of_several_devices_is_never_picked_at_random_nor_one_replaced_by_the_dcc() {
    let beside = format!("{}{}", named("DeviceID", 1), named("DeviceID", 2));
    let apart = format!("<a>{}</a><b><c>{}</c></b>", named("DeviceID", 1), named("DeviceID", 2));
    let list = "<MeterIDs>02-00-5E-10-00-00-A0-01,02-00-5E-10-00-00-A0-02</MeterIDs>".to_owned();
    for tree in [beside, apart, list, format!("{}{}", named("CHFDeviceID", 1), named("CHFDeviceID", 2))] {
        let (alerts, notices) = told(&format!("<x>{tree}</x>"));
        assert_eq!((alerts.len(), alerts[0].device.0), (1, THE_DCC), "{tree}");
        let said = "it names several devices, and no rule tells which: the alert is taken as of its sender, 02-00-5E-10-00-00-DC-01";
        assert!(notices.len() == 1 && notices[0].ends_with(said), "{notices:?}");
    }
    let (alerts, notices) = told("");
    assert_eq!((alerts[0].device.0, notices.len()), (THE_DCC, 0), "it names none");
    let error = read(&document(ID, &body("N53", "<x><DeviceID>none</DeviceID></x>"))).0.remove(0).unwrap_err();
    assert!(error.starts_with("line 1: DeviceID: expected an EUI-64"), "{error}");
    // Each kind of alert has codes of its own.
    assert!(read(&document(ID, &body("8F40", ""))).0[0].is_err());
    let (bytes, _) = message();
    assert!(read(&document(ID, &device_alert("N24", "", &bytes))).0[0].is_err());
}

#[test]
fn each_outage_is_one_of_its_hub_from_its_start_on() {
    let outage = |hub: u8, second: u8, point: &str| {
        let hub = named("CommsHubDeviceID", hub);
        format!(
            "<s:PowerOutageEvent>{hub}<s:StartDateTime>2026-11-23T06:41:{second:02}Z</s:StartDateTime><s:MPxN>{point}</s:MPxN></s:PowerOutageEvent>"
        )
    };
    let events =
        [outage(1, 10, "1200000000777"), outage(2, 12, "1300000000888"), outage(1, 40, "1200000000778")].concat();
    let throttled = "<s:ThrottledAlertCount>4</s:ThrottledAlertCount><s:DCCAlert>";
    let text = document(ID, &body("AD1", &events)).replace("<s:DCCAlert>", throttled);
    let (items, notices) = read(&text);
    let found: Vec<_> = items
        .into_iter()
        .map(Result::unwrap)
        .map(|alert| (alert.device.0, alert.occurred_ms.unwrap(), alert.details.mpxn.to_string(), alert.weight))
        .collect();
    let at = |second: i64| 1_795_416_060_000 + second * 1_000;
    let expected = [
        (device(1), at(10), "1200000000777".to_owned(), 5),
        (device(2), at(12), "1300000000888".to_owned(), 1),
        // Its check digit is wrong: it is no metering point, so nobody's.
        (device(1), at(40), String::new(), 1),
    ];
    assert_eq!(found, expected);
    assert!(
        notices.len() == 1 && notices[0].starts_with("line 1: MPxN: expected an MPAN whose 13th digit"),
        "{notices:?}"
    );
}

#[test]
fn a_time_is_the_one_beside_the_device_or_the_only_one() {
    let hub = named("CommsHubDeviceID", 1);
    let time = |name: &str, hour: u8| format!("<s:{name}>2026-11-22T{hour:02}:00:00Z</s:{name}>");
    let at = |hour: i64| Some(1_795_305_600_000 + hour * 3_600_000);
    let (stated, none, left_out) = (TimeStatus::Stated, TimeStatus::NotStated, TimeStatus::LeftOut);
    for (tree, expected, notices_count) in [
        (format!("<A>{hub}{}</A>", time("TimeStamp", 1)), (at(1), stated), 0),
        (format!("<A>{}{hub}<b>{}</b></A>", time("Timestamp", 2), time("DateTime", 3)), (at(2), stated), 0),
        (format!("<A>{hub}<b>{}</b></A>", time("DateTime", 3)), (at(3), stated), 0),
        (format!("<A>{hub}<b>{}{}</b></A>", time("DateTime", 3), time("DateTime", 4)), (None, left_out), 1),
        (format!("<A>{hub}</A>"), (None, none), 0),
        (format!("<A>{hub}<TimeStamp>2026-11-22T01:00:00</TimeStamp></A>"), (None, left_out), 1),
        (format!("<A>{hub}<TimeStamp>0001-01-01T00:00:00Z</TimeStamp></A>"), (None, left_out), 1),
        (format!("<A>{hub}<TimeStamp></TimeStamp></A>"), (None, left_out), 1),
        (format!("<A>{hub}<TimeStamp>1970-01-01T00:00:00Z</TimeStamp></A>"), (Some(0), stated), 0),
    ] {
        let (alerts, notices) = told(&tree);
        assert_eq!((alerts[0].occurred_ms, alerts[0].message.time), expected, "{tree}");
        assert_eq!((alerts.len(), notices.len()), (1, notices_count), "{tree}: {notices:?}");
    }
}

#[test]
fn what_an_alert_passes_on_is_kept() {
    let tree = format!("<A>{}<s:AlertCode>8F72</s:AlertCode></A>", named("CommsHubDeviceID", 1));
    assert_eq!(told(&tree).0[0].details.inner_code, Some(AlertCode(0x8F72)));
    let s1sp = "<S1SPAlertDSP><S1SPAlert><RequestID>02-00-5E-10-00-00-05-01:02-00-5E-10-00-00-A0-09:7</RequestID>\
                <S1SPAlertCode>S1VE</S1SPAlertCode><AdditionalInformation>no answer</AdditionalInformation>\
                <UTRN>12345678901234567890</UTRN><DateTime>2026-11-22T21:07:00Z</DateTime></S1SPAlert></S1SPAlertDSP>";
    let alert = told(s1sp).0.remove(0);
    assert_eq!((alert.device.0, alert.details.note.as_str()), (device(9), "S1VE: no answer"));
    assert_eq!((alert.occurred_ms, alert.generation), (Some(1_795_381_620_000), Generation::Smets1));
}
