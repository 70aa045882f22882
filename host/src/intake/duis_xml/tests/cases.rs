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

/// A document with a note of one word, in Latin-1 or in UTF-8.
fn noted(is_latin: bool) -> Vec<u8> {
    let body = "<DCCAlertMessage><DCCAlertCode>N55</DCCAlertCode><DCCAlert><S1SPAlert><DeviceID>00-DB-12-34-56-78-90-A0</DeviceID>\
                <AdditionalInformation>M\u{FC}ller</AdditionalInformation></S1SPAlert></DCCAlert></DCCAlertMessage>";
    let text = document("90-B3-D5-1F-30-00-00-02:90-B3-D5-1F-30-02-00-00:77", body);
    let bare = &text[text.find("<sr:").unwrap()..];
    if is_latin { bare.chars().map(|character| character as u8).collect() } else { bare.as_bytes().to_vec() }
}

fn read_bytes(parts: &[&[u8]]) -> Vec<Result<String, String>> {
    let bytes = parts.concat();
    let alerts = Alerts::new(&bytes[..], ThrottledCount::default());
    alerts
        .map(|item| item.map(|alert| alert.details.note.as_str().to_owned()).map_err(|error| error.to_string()))
        .collect()
}

#[test]
fn an_encoding_holds_for_its_document_or_for_those_in_its_wrapper() {
    const LATIN: &[u8] = b"<?xml version='1.0' encoding='ISO-8859-1'?>\n";
    let (latin, utf_8) = (&noted(true)[..], &noted(false)[..]);
    let all = |count| vec![Ok("M\u{FC}ller".to_owned()); count];
    assert_eq!(read_bytes(&[LATIN, latin, utf_8, utf_8]), all(3));
    assert!(read_bytes(&[LATIN, latin, latin])[1].as_ref().unwrap_err().contains("is it ISO-8859-1"));
    assert_eq!(read_bytes(&[LATIN, b"<All>", latin, latin, b"</All>"]), all(2));
    assert_eq!(read_bytes(&[LATIN, b"<All><All>", latin, b"</All>", latin, b"</All>", utf_8]), all(3));
    assert_eq!(read_bytes(&[LATIN, b"<Response>", latin, latin, b"</Response>", utf_8]), all(3));
    let own = b"<?xml version='1.0' encoding='UTF-8'?>";
    let sections = [LATIN, b"<All><a><![CDATA[", own, utf_8, b"]]></a>", latin, b"</All>"];
    assert_eq!(read_bytes(&sections), all(2), "its own declaration, and then that around it");
    // Who wrote a wrapper around documents in UTF-8 did not look at what it declares.
    assert_eq!(read_bytes(&[LATIN, b"<All>", utf_8, latin, b"</All>"]), all(2));
    let after = read_bytes(&[LATIN, b"<All>", latin, b"</All>", latin]);
    assert!(after[0].is_ok() && after[1].is_err(), "{after:?}");
}

#[test]
fn documents_in_another_encoding_than_the_file_begins_in_are_an_error() {
    let declared = [b"<?xml version=\"1.0\" encoding=\"UTF-16\"?>\n", &noted(false)[..]].concat();
    let narrow = String::from_utf8(declared).unwrap();
    let wide = |order: fn(u16) -> [u8; 2], mark: &str| -> Vec<u8> {
        format!("{mark}{narrow}").encode_utf16().flat_map(order).collect()
    };
    for (at, order) in [u16::to_le_bytes, u16::to_be_bytes].into_iter().enumerate() {
        let other = [u16::to_be_bytes, u16::to_le_bytes][at];
        for mark in ["\u{FEFF}", ""] {
            for (before, after, count) in [
                (narrow.as_bytes(), &[&wide(order, mark)[..], b"\n", narrow.as_bytes()].concat()[..], 2),
                (&wide(order, "\u{FEFF}")[..], narrow.as_bytes(), 1),
                (&wide(order, "\u{FEFF}"), &wide(other, mark), 1),
            ] {
                let found = read_bytes(&[before, after]);
                let (good, errors): (Vec<_>, Vec<_>) = found.iter().partition(|item| item.is_ok());
                assert_eq!((good.len(), errors.len()), (count, 1), "{at} {mark:?} {found:?}");
                let said = "UTF-16 and UTF-8 in one file), and nothing of that is read; keep documents in UTF-16 in files of their own";
                assert!(errors[0].as_ref().unwrap_err().ends_with(said), "{errors:?}");
            }
        }
    }
    // Words of any language, or the empty end of a file that was cut, are no documents.
    for between in ["empf\u{E4}ngt \u{FC}ber Response", "\u{65E5}\u{672C}\u{8A9E}", "\0\0\0\0"] {
        assert_eq!(
            read_bytes(&[narrow.as_bytes(), between.as_bytes(), narrow.as_bytes()])
                .iter()
                .filter(|item| item.is_ok())
                .count(),
            2
        );
        assert!(read_bytes(&[narrow.as_bytes(), between.as_bytes()])[1..].is_empty(), "{between}");
    }
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
    let clocked = "<GBCSResponse><Header><BusinessOriginatorID>02-00-5E-10-00-00-0C-01</BusinessOriginatorID>\
                   <OriginatorCounter>5</OriginatorCounter></Header><Body><DeviceAlertMessage><DeviceAlertContent>\
                   <GBCSHexAlertCode>8002</GBCSHexAlertCode><Timestamp ClockStatus=\"unreliable\">2026-11-23T06:41:10Z</Timestamp>\
                   </DeviceAlertContent></DeviceAlertMessage></Body></GBCSResponse>";
    for text in [clocked.to_owned(), clocked.replace("<GBCSResponse>", "<GBCSResponse xmlns='x'>")] {
        let alert = read(&cell(&text)).0.remove(0).unwrap();
        assert_eq!(alert.message.time, TimeStatus::Unreliable, "{text}");
    }
    let (items, notices) = read(&format!("received 09:30:\n{one}received 09:31:\n{one}"));
    assert_eq!(items, [Ok(expected), Ok(expected)]);
    assert_eq!(notices, ["line 1: document: \"received 09:30:\" is in no document; passed over, as all such text is"]);
    let inventory = document("", "<ResponseMessage><DSPInventory><Device/></DSPInventory></ResponseMessage>");
    let (items, notices) = read(&inventory.replace("<sr:ResponseID></sr:ResponseID>", ""));
    assert!(items.is_empty() && notices[0].contains("weir device load takes it"), "{notices:?}");
}
