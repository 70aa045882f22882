//! What cannot be read of a document costs no more than itself.

use super::*;

const ID: &str = "02-00-5E-10-00-00-DC-01:02-00-5E-10-00-00-05-01:1795416260500";
const THE_DCC: u64 = 0x0200_5E10_0000_DC01;

fn outage(hub: &str, points: &[&str]) -> String {
    let hub = if hub.is_empty() { String::new() } else { format!("<CommsHubDeviceID>{hub}</CommsHubDeviceID>") };
    let points: String = points.iter().map(|point| format!("<MPxN>{point}</MPxN>")).collect();
    format!("<PowerOutageEvent>{hub}<StartDateTime>2026-11-23T06:41:10Z</StartDateTime>{points}</PowerOutageEvent>")
}

fn hub(number: u8) -> String {
    format!("02-00-5E-10-00-00-B0-{number:02X}")
}

/// A document of outages, with other elements before them.
fn outages(marks: &str, events: &[String]) -> String {
    let tree = events.concat();
    let body = format!(
        "<DCCAlertMessage><DCCAlertCode>AD1</DCCAlertCode>{marks}<DCCAlert>{tree}</DCCAlert></DCCAlertMessage>"
    );
    document(ID, &body)
}

fn taken(text: &str) -> (Vec<Alert>, Vec<String>) {
    let (items, notices) = read(text);
    (items.into_iter().map(Result::unwrap).collect(), notices)
}

#[test]
fn a_hub_that_cannot_be_read_costs_its_own_outage_alone() {
    let marks = "<ThrottledAlertCount>4</ThrottledAlertCount>";
    for bad in 0..3 {
        let events: Vec<String> =
            (0..3).map(|at| outage(&if at == bad { "XX".to_owned() } else { hub(at) }, &["1200000000777"])).collect();
        let (items, notices) = read(&outages(marks, &events));
        assert_eq!((items.len(), notices.len()), (3, 0), "{items:?} {notices:?}");
        let error = items[usize::from(bad)].as_ref().unwrap_err();
        assert!(error.starts_with("line 1: CommsHubDeviceID: expected an EUI-64"), "{error}");
        let good: Vec<&Alert> = items.iter().filter_map(|item| item.as_ref().ok()).collect();
        let hubs: Vec<Eui64> = (0..3).filter(|at| *at != bad).map(|at| hub(at).parse().unwrap()).collect();
        assert_eq!(good.iter().map(|alert| alert.device).collect::<Vec<_>>(), hubs);
        assert_eq!(good.iter().map(|alert| alert.weight).collect::<Vec<_>>(), [5, 1], "the first that is taken");
    }
}

#[test]
fn a_count_that_cannot_be_read_or_taken_costs_no_alert() {
    for (count, weight, said) in [
        ("x", 1, "expected a whole number, found \"x\"; the alert is taken as one"),
        ("-1", 1, "expected a whole number, found \"-1\"; the alert is taken as one"),
        ("2000000", 1_000_000, "\"2000000\" is more than one alert can stand for; taken as 1000000"),
        ("1000000", 1_000_000, "\"1000000\" is more than one alert can stand for; taken as 1000000"),
        ("99999999999999999999", 1_000_000, "is more than one alert can stand for; taken as 1000000"),
        ("999999", 1_000_000, ""),
    ] {
        let marks = format!("<ThrottledAlertCount>{count}</ThrottledAlertCount>");
        let (alerts, notices) = taken(&outages(&marks, &[outage(&hub(1), &[]), outage(&hub(2), &[])]));
        assert_eq!(alerts.iter().map(|alert| alert.weight).collect::<Vec<_>>(), [weight, 1], "{count}");
        assert_eq!(notices.len(), usize::from(!said.is_empty()), "{notices:?}");
        assert!(notices.iter().all(|notice| notice.contains("ThrottledAlertCount: ") && notice.ends_with(said)));
    }
}

#[test]
fn an_id_that_cannot_be_read_costs_no_alert_that_names_its_device() {
    let outage = outages("", &[outage(&hub(1), &[])]);
    let (bytes, inside) = message();
    let device = document(ID, &device_alert("8F30", "", &bytes));
    for id in ["ResponseID", "RequestID"] {
        for garbage in ["garbage".to_owned(), "1".repeat(300)] {
            let broken = |text: &str| text.replace(ID, &garbage).replace("ResponseID", id);
            let (alerts, notices) = taken(&broken(&outage));
            assert_eq!((alerts[0].device, alerts[0].counter), (hub(1).parse().unwrap(), None));
            assert_ne!(alerts[0].message.digest, 0, "it is told by its document");
            assert!(notices.len() == 1 && notices[0].starts_with(&format!("line 1: {id}: ")), "{notices:?}");
            assert!(notices[0].ends_with("; taken as not stated"), "{notices:?}");
            let (alerts, notices) = taken(&broken(&device));
            assert_eq!((alerts[0].device, alerts[0].counter, notices.len()), (inside.device, inside.counter, 1));
            // Where nothing else names a device, nobody is taken for it.
            let nameless = broken(&outage).replace("CommsHubDeviceID", "Other");
            assert!(read(&nameless).0[0].as_ref().unwrap_err().starts_with(&format!("line 1: {id}: ")));
        }
    }
    // Nor is who was asked, where the answer's own ID cannot be read.
    let asked = format!("<sr:ResponseID>x</sr:ResponseID><sr:RequestID>{ID}</sr:RequestID>");
    let text = outage.replace(&format!("<sr:ResponseID>{ID}</sr:ResponseID>"), &asked);
    assert!(read(&text.replace("CommsHubDeviceID", "Other")).0[0].is_err());
}

#[test]
fn a_gas_point_beside_an_electricity_point_takes_no_distributor_away() {
    for (points, expected) in [
        (&["1200000000777", "9876543210"][..], "1200000000777"),
        (&["9876543210", "1200000000777"], "1200000000777"),
        (&["9876543210", "1200000000777", "1234567890"], "1200000000777"),
        (&["9876543210"], "9876543210"),
        (&["1200000000777", "9876543210", "1300000000888"], ""),
    ] {
        let (alerts, notices) = taken(&outages("", &[outage(&hub(1), points)]));
        assert_eq!(alerts[0].details.mpxn.to_string(), expected, "{points:?}");
        assert_eq!(notices.len(), usize::from(expected.is_empty()), "{notices:?}");
    }
}

#[test]
fn outages_that_no_hub_tells_apart_are_numbered() {
    let points = ["1300000000888", "1200000000777"].map(|point| outage("", &[point]));
    let (alerts, notices) = taken(&outages("", &points));
    let told = |alerts: &[Alert]| -> Vec<_> {
        alerts.iter().map(|alert| (alert.device.0, alert.message.instruction)).collect()
    };
    assert_eq!(told(&alerts), [(THE_DCC, 0), (THE_DCC, 1)]);
    let said = "line 1: CommsHubDeviceID: it is missing: the outage is taken as of its sender, 02-00-5E-10-00-00-DC-01";
    assert_eq!(notices, [said, said]);
    // Two of one hub and time, of several places, and one of them told twice.
    let same = ["1200000000777", "1300000000888", "1200000000777"].map(|point| outage(&hub(3), &[point]));
    let numbers = |alerts: &[Alert]| alerts.iter().map(|alert| alert.message.instruction).collect::<Vec<_>>();
    assert_eq!(numbers(&taken(&outages("", &same)).0), [0, 1, 0]);
    // Other times tell them apart, unless there is no counter and the whole document stands for all.
    let later = outage(&hub(3), &["1200000000777"]).replace("06:41", "06:42");
    let text = outages("", &[outage(&hub(3), &["1200000000777"]), later]);
    assert_eq!(numbers(&taken(&text).0), [0, 0]);
    assert_eq!(numbers(&taken(&text.replace("ResponseID", "Other")).0), [0, 1]);
}
