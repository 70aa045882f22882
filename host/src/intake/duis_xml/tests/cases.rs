//! Header times, encodings and wrappers.

use super::*;

#[test]
fn a_header_time_costs_no_alert() {
    let (bytes, inside) = message();
    let with = |time: &str| {
        let text =
            document(&id_of(&inside), &device_alert("8F30", "", &bytes)).replace("2025-11-24T16:00:00.250Z", time);
        let (mut items, notices) = read(&text);
        (items.remove(0).unwrap(), notices)
    };
    for (time, dcc_ms) in [
        ("2026-11-22T24:00:00Z", 1_795_392_000_000),
        ("2026-11-23T10:30:00+01:00", 1_795_426_200_000),
        (" 2026-11-23T09:30:00.1234567Z ", 1_795_426_200_123),
    ] {
        let (alert, notices) = with(time);
        assert_eq!((alert.dcc_ms, alert.received_ms, notices.len()), (Some(dcc_ms), Some(dcc_ms), 0), "{time}");
    }
    for time in
        ["2026-11-23T09:30:00", "2026-11-23T09:30:00.250", "soon", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"]
    {
        let (alert, notices) = with(time);
        assert_eq!((alert.dcc_ms, alert.received_ms), (None, None), "{time}");
        assert_eq!(alert.message, Message { dcc_time: DccTimeStatus::LeftOut, ..inside.message });
        assert_eq!((alert.occurred_ms, alert.counter), (inside.occurred_ms, inside.counter));
        assert!(
            notices.len() == 1 && notices[0].starts_with("line 1: ResponseDateTime: expected a time"),
            "{notices:?}"
        );
    }
    let (alert, notices) = with("");
    assert_eq!((alert.dcc_ms, alert.message, notices.len()), (None, inside.message, 0), "none is stated");
}

#[test]
fn documents_are_read_in_the_encoding_they_are_in() {
    let body = "<DCCAlertMessage><DCCAlertCode>N55</DCCAlertCode><DCCAlert><S1SPAlert><DeviceID>00-DB-12-34-56-78-90-A0</DeviceID>\
                <S1SPAlertCode>S1VE</S1SPAlertCode><AdditionalInformation>\u{A3}10 f\u{FC}r</AdditionalInformation></S1SPAlert></DCCAlert></DCCAlertMessage>";
    let text = document("90-B3-D5-1F-30-00-00-02:90-B3-D5-1F-30-02-00-00:77", body);
    let latin: Vec<u8> = text.chars().map(|character| character as u8).collect();
    let declared = |label: &str, bytes: &[u8]| {
        let (from, to) = (&b"encoding=\"UTF-8\""[..], format!("encoding=\"{label}\""));
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()
    };
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let utf_16 = text.replace("UTF-8", "UTF-16");
    let inputs = [
        text.clone().into_bytes(),
        declared("ISO-8859-1", &latin),
        declared("windows-1252", &latin),
        [&[0xFF, 0xFE][..], &wide(&utf_16)].concat(),
        wide(&utf_16),
        // What a program wrote as UTF-8 that did not look at the declaration.
        utf_16.clone().into_bytes(),
        // One after the other, each as it declares.
        [declared("ISO-8859-1", &latin), text.clone().into_bytes()].concat(),
    ];
    for (number, bytes) in inputs.iter().enumerate() {
        let found: Vec<_> = Alerts::new(&bytes[..], ThrottledCount::default()).collect();
        assert!(!found.is_empty());
        for alert in found {
            assert_eq!(alert.unwrap().details.note.as_str(), "S1VE: \u{A3}10 f\u{FC}r", "input {number}");
        }
    }
    let undeclared = Alerts::new(&latin[..], ThrottledCount::default()).next().unwrap().unwrap_err().to_string();
    assert!(undeclared.contains("is it ISO-8859-1 or Windows-1252") && undeclared.contains("\u{A3}10"), "{undeclared}");
}

#[test]
fn wrapped_documents_are_all_taken_once() {
    let (bytes, inside) = message();
    let one = document(&id_of(&inside), &device_alert("8F30", "", &bytes));
    let bare = &one[one.find("<sr:").unwrap()..];
    let expected = Alert { dcc_ms: AT, received_ms: AT, ..inside };
    for text in [
        format!("<?xml version='1.0'?><Responses exported='2026'>\n{bare}{bare}</Responses>"),
        format!("<s:Envelope xmlns:s='urn:s'><s:Header><a/></s:Header><s:Body>{bare}{bare}</s:Body></s:Envelope>"),
        format!("<r><item><![CDATA[{one}]]></item><item><![CDATA[{one}]]></item></r>"),
        format!("{one}{one}"),
        format!("<sr:Response>{bare}{bare}</sr:Response>"),
    ] {
        assert_eq!(read(&text), (vec![Ok(expected), Ok(expected)], vec![]), "{text}");
    }
    // In a column of a CSV file.
    let cell = |text: &str| format!("2026-11-23,\"{}\",ok\n", text.replace('"', "\"\""));
    let rows = format!("day,xml,state\n{}{}", cell(&one), cell(&one.replace('\n', "")));
    let (items, notices) = read(&rows);
    assert_eq!((items, notices.len()), (vec![Ok(expected), Ok(expected)], 1), "{notices:?}");
    let (items, notices) = read(&format!("received 09:30:\n{one}received 09:31:\n{one}"));
    assert_eq!(items, [Ok(expected), Ok(expected)]);
    assert_eq!(notices, ["line 1: document: \"received 09:30:\" is in no document; passed over, as all such text is"]);
    let inventory = document("", "<ResponseMessage><DSPInventory><Device/></DSPInventory></ResponseMessage>");
    let (items, notices) = read(&inventory.replace("<sr:ResponseID></sr:ResponseID>", ""));
    assert!(items.is_empty() && notices[0].contains("weir device load takes it"), "{notices:?}");
}
