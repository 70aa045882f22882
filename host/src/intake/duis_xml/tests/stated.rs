//! What a caller states of documents, and elements that say two things.

use super::*;
use crate::domain::{Note, TimeStatus};

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
    assert!(note(with(&undeclared, Options::default())).unwrap_err().contains("--encoding windows-1252 reads it"));
    assert_eq!(note(with(&undeclared, of(Encoding::Windows1252))).unwrap(), "Z\u{FC}rich");
    assert_eq!(note(with(&plain, of(Encoding::Windows1252))).unwrap(), "Z\u{FC}rich", "what is declared counts");
    let declared = latin(&plain.replace("UTF-8", "ISO-8859-1"));
    assert_eq!(note(with(&declared, Options::default())).unwrap(), "Z\u{FC}rich");
    // The caller knows better than a declaration that is wrong, and is not passed over in silence.
    let wrong = latin(&plain);
    assert!(
        note(with(&wrong, Options::default())).unwrap_err().contains("--encoding windows-1252 reads it, whatever it")
    );
    assert_eq!(note(with(&wrong, of(Encoding::Windows1252))).unwrap(), "Z\u{FC}rich");
    assert!(note(with(&declared, of(Encoding::Utf8))).unwrap_err().contains("not UTF-8 from byte"));
    let unmended = plain.replace("UTF-8", "windows-1252");
    assert_eq!(note(with(&unmended, of(Encoding::Utf8))).unwrap(), "Z\u{FC}rich", "UTF-8 under another name");
    // A wrapper's declaration is one as well.
    let inner = plain.split_once('\n').unwrap().1;
    let wrapped = latin(&format!("<?xml version=\"1.0\" encoding=\"ISO-8859-15\"?><All>{inner}</All>"));
    assert_eq!(note(with(&wrapped, Options::default())).unwrap(), "Z\u{FC}rich");
    assert!(note(with(&wrapped, of(Encoding::Utf8))).unwrap_err().contains("not UTF-8 from byte"));
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
    let timed = |time: &str| {
        let parsed = format!(
            "<r:Parsed><r:Header/><r:Body><r:DeviceAlertMessage><r:DeviceAlertContent><r:GBCSHexAlertCode>8F30</r:GBCSHexAlertCode>\
             <r:Timestamp>{time}</r:Timestamp></r:DeviceAlertContent></r:DeviceAlertMessage></r:Body></r:Parsed>"
        );
        let alert =
            device_alert("8F30", "", &bytes).replace("</ra:GBCSPayload>", &format!("</ra:GBCSPayload>{parsed}"));
        read(&document(&id_of(&inside), &alert))
    };
    let payloads = time::written(inside.occurred_ms.unwrap());
    assert_eq!(timed(&payloads), (vec![Ok(taken)], Vec::new()));
    let said = format!(
        "line 1: Timestamp: 2001-02-03T04:05:06Z as it was parsed and {payloads} in the payload; the second is kept"
    );
    assert_eq!(timed("2001-02-03T04:05:06Z"), (vec![Ok(taken)], vec![said]));
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

/// Which of two texts counts nothing says, of details either.
#[test]
fn details_that_occur_twice_with_different_texts_are_left_out_with_a_note() {
    let device = "<DeviceID>00-DB-12-34-56-78-90-A0</DeviceID>";
    let said = |name: &str, text: &str| format!("<{name}>{text}</{name}>");
    for (name, one, other) in [
        ("AdditionalInformation", "first", "second"),
        ("S1SPAlertCode", "S1VE", "S1VF"),
        ("ECoSAlertCode", "A", "B"),
        ("AlertCode", "8F12", "8F20"),
    ] {
        let (items, remarks) = read(&of_dcc(&format!("{device}{}{}", said(name, one), said(name, other))));
        let details = items[0].as_ref().unwrap().details;
        assert!(details.is_empty() && remarks.len() == 1, "{details:?} {remarks:?}");
        assert!(remarks[0].starts_with(&format!("line 1: {name}: it occurs twice, ")), "{remarks:?}");
        let (items, remarks) = read(&of_dcc(&format!("{device}{}{}", said(name, one), said(name, one))));
        assert!(!items[0].as_ref().unwrap().details.is_empty() && remarks.is_empty(), "{remarks:?}");
    }
    let text = "x".repeat(Note::BYTES_MAX + 1);
    let (items, remarks) = read(&of_dcc(&format!("{device}{}", said("AdditionalInformation", &text))));
    assert!(items[0].as_ref().unwrap().details.note.as_str().ends_with("x..."));
    assert_eq!(remarks, ["line 1: AdditionalInformation: 65 bytes, of which a note keeps 64: it ends with ..."]);
}

#[test]
fn a_payload_with_two_messages_is_not_stated_and_letters_of_either_case_are_the_same() {
    let (bytes, inside) = message();
    let (one, hex) = (STANDARD.encode(&bytes), bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>());
    let other = STANDARD.encode(gbcs::tests::Message::critical(0x8F31).bytes());
    let of = |payload: &str| {
        let body = format!(
            "<DeviceAlertMessage><AlertCode>8F30</AlertCode><GBCSPayload>{payload}</GBCSPayload></DeviceAlertMessage>"
        );
        read(&document(&id_of(&inside), &body))
    };
    let (items, remarks) = of(&format!("<Raw>{one}</Raw><Raw>{hex}</Raw>"));
    assert_eq!((items[0].as_ref().unwrap().occurred_ms, remarks.len()), (inside.occurred_ms, 0), "{remarks:?}");
    for payload in [
        format!("<Raw>{one}</Raw><Raw>{other}</Raw>"),
        format!("<Raw>{one}</Raw><Other>{other}</Other>"),
        format!("<Raw>AAAA</Raw><Raw>{one}</Raw>"),
    ] {
        let (items, remarks) = of(&payload);
        let alert = items[0].as_ref().unwrap();
        assert_eq!((alert.device, alert.occurred_ms, alert.message.digest), (inside.device, None, 0), "{payload}");
        let said =
            "line 1: GBCSPayload: it has two messages, with different contents; expected one; the alert is taken as";
        assert!(remarks.len() == 1 && remarks[0].starts_with(said), "{remarks:?}");
    }
    let (_, remarks) = of("!AAA");
    assert_eq!(
        remarks,
        ["line 1: GBCSPayload: not base64: \"!\" at character 1; the alert is taken as its envelope has it"]
    );
    let twice = document(&id_of(&inside), &device_alert("8F30", "<ra:AlertCode>8f30</ra:AlertCode>", &bytes));
    assert!(read(&twice).0[0].is_ok(), "{:?}", read(&twice));
}

/// A count of more than the host takes is cut to what it takes, and an empty one is said to be.
#[test]
fn a_throttled_count_is_cut_at_the_largest_weight_of_the_host() {
    let (bytes, inside) = message();
    let of = |count: &str| {
        let more = format!("<ra:ThrottledAlertCount>{count}</ra:ThrottledAlertCount>");
        let text = document(&id_of(&inside), &device_alert("8F30", &more, &bytes));
        let (items, remarks) = with(text, Options { weight_max: 50, ..Options::default() });
        (items[0].as_ref().unwrap().weight, remarks)
    };
    assert_eq!(of("49"), (50, vec![]));
    let said = "line 1: ThrottledAlertCount: \"50\" is more than one alert can stand for; taken as 50";
    assert_eq!(of("50"), (50, vec![said.to_owned()]));
    assert_eq!(of(" "), (1, vec!["line 1: ThrottledAlertCount: it is empty; the alert is taken as one".to_owned()]));
}

#[test]
fn an_id_that_occurs_twice_is_shown_to_its_end() {
    let other = ID.replace("0269", "0270");
    let (_, remarks) = read(
        &of_dcc("").replace("</sr:ResponseID>", &format!("</sr:ResponseID><sr:ResponseID>{other}</sr:ResponseID>")),
    );
    assert!(remarks[0].contains(&format!("as \"{ID}\" and as \"{other}\"")), "{remarks:?}");
}
