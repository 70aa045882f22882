//! What a caller states of documents, and elements that say two things.

use super::*;
use crate::domain::TimeStatus;

fn with(text: impl AsRef<[u8]>, options: Options) -> (Vec<Result<Alert, String>>, Vec<String>) {
    let mut alerts = Alerts::of(text.as_ref(), options);
    let (mut items, mut remarks) = (Vec::new(), Vec::new());
    loop {
        let item = alerts.next();
        remarks.extend(std::iter::from_fn(|| alerts.remark()).map(|remark| remark.to_string()));
        let Some(item) = item else { return (items, remarks) };
        items.push(item.map_err(|error| error.to_string()));
    }
}

const ID: &str = "90-B3-D5-1F-30-00-00-02:90-B3-D5-1F-30-02-00-00:1795424760269";

/// An alert of the DCC about a device.
fn of_dcc(tree: &str) -> String {
    let tree = format!("<DCCAlert>{tree}</DCCAlert>");
    document(ID, &format!("<DCCAlertMessage><DCCAlertCode>N16</DCCAlertCode>{tree}</DCCAlertMessage>"))
}

#[test]
fn a_time_without_a_zone_is_read_in_the_zone_that_the_caller_names() {
    let text = of_dcc("<Of><DeviceID>00-DB-12-34-56-78-90-A0</DeviceID><DateTime>2026-07-01T10:30:00</DateTime></Of>")
        .replace("2025-11-24T16:00:00.250Z", "2026-07-01T10:31:00");
    let (items, remarks) = with(&text, Options::default());
    let alert = items[0].as_ref().unwrap();
    assert_eq!((alert.occurred_ms, alert.dcc_ms, alert.message.time), (None, None, TimeStatus::LeftOut));
    assert!(
        remarks.iter().all(|remark| remark.contains("(--time-zone states one)")) && remarks.len() == 2,
        "{remarks:?}"
    );
    let zone = Some(jiff::tz::get!("Europe/London"));
    let (items, remarks) = with(&text, Options { zone, ..Options::default() });
    let alert = items[0].as_ref().unwrap();
    let expected = (Some(1_782_898_200_000), Some(1_782_898_260_000), TimeStatus::Stated);
    assert_eq!((alert.occurred_ms, alert.dcc_ms, alert.message.time), expected);
    assert!(remarks.is_empty(), "{remarks:?}");
}

#[test]
fn documents_that_declare_no_encoding_are_in_that_which_the_caller_names() {
    let plain = of_dcc(
        "<DeviceID>00-DB-12-34-56-78-90-A0</DeviceID><AdditionalInformation>Z\u{FC}rich</AdditionalInformation>",
    );
    let latin = |text: &str| -> Vec<u8> { text.chars().map(|character| character as u8).collect() };
    let of = |encoding| Options { encoding: Some(encoding), ..Options::default() };
    let note = |(items, _): (Vec<Result<Alert, String>>, Vec<String>)| {
        items[0].as_ref().map(|alert| alert.details.note.as_str().to_owned()).map_err(Clone::clone)
    };
    let undeclared = latin(&plain.replace(" encoding=\"UTF-8\"", ""));
    assert!(note(with(&undeclared, Options::default())).unwrap_err().contains("say --encoding windows-1252"));
    assert_eq!(note(with(&undeclared, of(Encoding::Windows1252))).unwrap(), "Z\u{FC}rich");
    assert_eq!(note(with(&plain, of(Encoding::Windows1252))).unwrap(), "Z\u{FC}rich", "what is declared counts");
    let declared = latin(&plain.replace("UTF-8", "ISO-8859-1"));
    assert_eq!(note(with(&declared, of(Encoding::Utf8))).unwrap(), "Z\u{FC}rich");
    // A wrapper's declaration is one as well.
    let inner = plain.split_once('\n').unwrap().1;
    let wrapped = latin(&format!("<?xml version=\"1.0\" encoding=\"ISO-8859-15\"?><All>{inner}</All>"));
    assert_eq!(note(with(wrapped, of(Encoding::Utf8))).unwrap(), "Z\u{FC}rich");
    let marked = [b"\xEF\xBB\xBF", plain.as_bytes()].concat();
    let (items, _) = with(&marked, of(Encoding::Utf16Le));
    assert!(
        items[0]
            .as_ref()
            .unwrap_err()
            .contains("--encoding says UTF-16 (low byte first), and the file begins in UTF-8")
    );
}

#[test]
fn a_long_document_is_read_where_the_caller_raises_the_bound() {
    let devices = "<DeviceID>00-DB-12-34-56-78-90-A0</DeviceID>".repeat(10_000);
    let text = of_dcc(&format!("<List>{devices}</List>"));
    assert!(text.len() > DOCUMENT_BYTES_MAX);
    let (items, _) = with(format!("{text}{}", of_dcc("")), Options::default());
    let error = items[0].as_ref().unwrap_err();
    assert!(
        error.contains("longer than 262144 bytes; --document-bytes-max N reads longer ones, up to 16777216"),
        "{error}"
    );
    assert!(items.len() == 2 && items[1].is_ok(), "the next one is read: {items:?}");
    let raised = Options { document_bytes_max: 1 << 20, ..Options::default() };
    let (items, _) = with(format!("{text}{}", of_dcc("")), raised);
    assert_eq!(items[0].as_ref().unwrap().device, Eui64(0x00DB_1234_5678_90A0));
    // Short tags take more memory than their bytes: they are bounded too.
    let short = format!("<Response><Body>{}</Body></Response>", "<a/>".repeat(600_000));
    let (items, _) = with(&short, Options { document_bytes_max: 16 << 20, ..Options::default() });
    assert!(items[0].as_ref().unwrap_err().contains("more than 524288 elements"), "{items:?}");
}

#[test]
fn an_element_that_says_two_things_says_neither() {
    let (bytes, inside) = message();
    let good = document(&id_of(&inside), &device_alert("8F30", "", &bytes));
    let twice = |element: &str, again: &str| good.replacen(element, &format!("{element}{again}"), 1);
    // The same twice is once.
    let same = twice("<ra:AlertCode>8F30</ra:AlertCode>", "<ra:AlertCode>8F30</ra:AlertCode>");
    assert_eq!(read(&same), read(&good));
    let code = twice("<ra:AlertCode>8F30</ra:AlertCode>", "<ra:AlertCode>8F35</ra:AlertCode>");
    assert_eq!(
        read(&code).0,
        [Err("line 1: AlertCode: it occurs twice, as \"8F30\" and as \"8F35\"; expected one".to_owned())]
    );
    // An id that says two things says nothing; the payload still names the device.
    let id = format!("<sr:ResponseID>{}</sr:ResponseID>", id_of(&inside));
    let (items, remarks) = read(&twice(&id, "<sr:ResponseID>x</sr:ResponseID>"));
    assert_eq!(items[0].as_ref().unwrap().device, inside.device);
    assert!(remarks[0].starts_with("line 1: ResponseID: it occurs twice, as "), "{remarks:?}");
    assert!(remarks[0].ends_with("expected one; taken as not stated"), "{remarks:?}");
    let counts = "<ra:ThrottledAlertCount>4</ra:ThrottledAlertCount><ra:ThrottledAlertCount>5</ra:ThrottledAlertCount>";
    let (items, remarks) = read(&document(&id_of(&inside), &device_alert("8F30", counts, &bytes)));
    assert_eq!((items[0].as_ref().unwrap().weight, remarks.len()), (1, 1), "{remarks:?}");
    assert!(remarks[0].ends_with("expected one; the alert is taken as one"), "{remarks:?}");
    let payload = format!("<ra:GBCSPayload>{}</ra:GBCSPayload>", STANDARD.encode(&bytes));
    let (items, remarks) = read(&twice(&payload, "<ra:GBCSPayload>AAAA</ra:GBCSPayload>"));
    assert!(items[0].is_ok() && remarks[0].contains("GBCSPayload: it occurs twice"), "{items:?} {remarks:?}");
    // Two devices, or two times, in one tree.
    let device = |last: &str| format!("<DeviceID>00-DB-12-34-56-78-90-{last}</DeviceID>");
    let time = |minute: u8| format!("<DateTime>2026-11-23T09:{minute:02}:00Z</DateTime>");
    let (items, remarks) = read(&of_dcc(&format!("<Of>{}{}</Of>", device("A0"), device("A1"))));
    assert_eq!(items[0].as_ref().unwrap().device, Eui64(0x90B3_D51F_3000_0002));
    assert!(remarks[0].contains("it names several devices"), "{remarks:?}");
    let (items, remarks) = read(&of_dcc(&format!("<Of>{}{}{}</Of>", device("A0"), time(1), time(2))));
    let alert = items[0].as_ref().unwrap();
    assert_eq!((alert.occurred_ms, alert.message.time), (None, TimeStatus::LeftOut));
    assert!(remarks[0].contains("DateTime: it occurs twice beside the device, with different times"), "{remarks:?}");
}

#[test]
fn a_parsed_message_beside_a_payload_that_says_otherwise_is_remarked() {
    let (bytes, inside) = message();
    let beside = |device: &str, counter: u64, code: &str| {
        let parsed = format!(
            "<r:Parsed><r:Header><r:BusinessOriginatorID>{device}</r:BusinessOriginatorID><r:OriginatorCounter>{counter}\
             </r:OriginatorCounter></r:Header><r:Body><r:DeviceAlertMessage><r:DeviceAlertContent><r:GBCSHexAlertCode>{code}\
             </r:GBCSHexAlertCode></r:DeviceAlertContent></r:DeviceAlertMessage></r:Body></r:Parsed>"
        );
        let alert =
            device_alert("8F30", "", &bytes).replace("</ra:GBCSPayload>", &format!("</ra:GBCSPayload>{parsed}"));
        read(&document(&id_of(&inside), &alert))
    };
    let (device, counter) = (inside.device.to_string(), inside.counter.unwrap());
    let taken = Alert { dcc_ms: AT, received_ms: AT, ..inside };
    assert_eq!(beside(&device, counter, "8F30"), (vec![Ok(taken)], Vec::new()));
    let (items, remarks) = beside(&device, counter, "8F35");
    let said = "line 1: DeviceAlertContent: 8F35 as it was parsed and 8F30 in the payload; the second is kept";
    assert_eq!((items, remarks), (vec![Ok(taken)], vec![said.to_owned()]));
    for (device, counter) in [("02-00-5E-10-00-00-A0-14", counter), (device.as_str(), counter + 1)] {
        let (items, remarks) = beside(device, counter, "8F30");
        assert_eq!((items, remarks.len()), (vec![Ok(taken)], 1), "{remarks:?}");
        let said = format!("line 1: BusinessOriginatorID: {device}, counter {counter} as it was parsed and ");
        assert!(remarks[0].starts_with(&said), "{remarks:?}");
    }
}

#[test]
fn the_broadcast_address_is_no_device_of_a_document() {
    const ALL: &str = "FF-FF-FF-FF-FF-FF-FF-FF";
    let (items, _) = read(&of_dcc(&format!("<DeviceID>{ALL}</DeviceID>")));
    let words = "line 1: DeviceID: FF-FF-FF-FF-FF-FF-FF-FF is the broadcast address, which no device has";
    assert_eq!(items[0].as_ref().unwrap_err(), words);
    let (items, remarks) = read(&of_dcc("").replace("90-B3-D5-1F-30-00-00-02", ALL));
    assert!(items[0].as_ref().unwrap_err().contains("is the broadcast address"), "{items:?} {remarks:?}");
    let smets1 = format!(
        "<SMETS1Response><Header><BusinessOriginatorID>{ALL}</BusinessOriginatorID><OriginatorCounter>1</OriginatorCounter>\
         </Header><Body><DeviceAlertMessage><DeviceAlertContent><GBCSHexAlertCode>8F36</GBCSHexAlertCode></DeviceAlertContent>\
         </DeviceAlertMessage></Body></SMETS1Response>"
    );
    assert!(read(&smets1).0[0].as_ref().unwrap_err().contains("BusinessOriginatorID: FF-FF-FF-FF-FF-FF-FF-FF is the"));
}
