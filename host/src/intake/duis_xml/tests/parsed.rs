//! SMETS1 alerts, and alerts that were parsed before they came.

use super::*;

const METER: &str = "02-00-5E-10-00-00-A0-14";
const USER: &str = "02-00-5E-10-00-00-05-01";

/// A parsed message with a counter, and what is in its content.
fn parsed(counter: u64, clock: &str, content: &str) -> String {
    format!(
        "<r:Header><r:BusinessOriginatorID>{METER}</r:BusinessOriginatorID><r:BusinessTargetID>{USER}</r:BusinessTargetID>\
         <r:OriginatorCounter>{counter}</r:OriginatorCounter>{clock}</r:Header><r:Body><r:DeviceAlertMessage>\
         <r:DeviceAlertContent>{content}</r:DeviceAlertContent></r:DeviceAlertMessage></r:Body>"
    )
}

/// A SMETS1 alert in its response.
fn smets1(marks: &str, message: &str) -> String {
    let signed = "<ds:Signature><ds:SignatureValue>AAAA</ds:SignatureValue></ds:Signature>";
    format!(
        "<sr:SMETS1ResponseMessage>{marks}<sr:SMETS1SignedResponse><sr:SMETS1Response>{message}</sr:SMETS1Response>{signed}\
         </sr:SMETS1SignedResponse></sr:SMETS1ResponseMessage>"
    )
}

fn content(code: &str, time: &str) -> String {
    let code = if code.is_empty() { String::new() } else { format!("<r:GBCSHexAlertCode>{code}</r:GBCSHexAlertCode>") };
    format!("{code}<r:AlertDescription>Average RMS voltage</r:AlertDescription><r:Timestamp>{time}</r:Timestamp>")
}

fn one(text: &str) -> Alert {
    let (items, notices) = read(text);
    assert!(items.len() == 1 && notices.is_empty(), "{items:?} {notices:?}");
    items[0].clone().unwrap()
}

#[test]
fn a_smets1_alert_is_what_its_own_response_says() {
    let id = format!("{METER}:{USER}:5");
    let message = parsed(5, "", &content("8f40", "2026-11-23T09:28:20Z"));
    let alert = one(&document(&id, &smets1("", &message)));
    let expected = Alert {
        device: METER.parse().unwrap(),
        recipient: USER.parse().unwrap(),
        counter: Some(5),
        code: AlertCode(0x8F40),
        occurred_ms: Some(1_795_426_100_000),
        dcc_ms: AT,
        received_ms: AT,
        weight: 1,
        generation: Generation::Smets1,
        message: Message { digest: alert.message.digest, ..Message::default() },
        ..alert
    };
    assert_eq!(alert, expected);
    // The same message is the same, whatever prefixes it has and whatever the DCC puts around it; another is another.
    let again = document(&id, &smets1("", &message)).replace("r:", "ra:").replace("16:00:00.250", "17:00:00");
    assert_eq!(one(&again).message, alert.message);
    let later = parsed(5, "", &content("8F40", "2026-11-23T09:28:21Z"));
    assert_ne!(one(&document(&id, &smets1("", &later))).message.digest, alert.message.digest);

    let marks = "<sr:ThrottledAlertSequenceId>2</sr:ThrottledAlertSequenceId><sr:ThrottledAlertCount>40</sr:ThrottledAlertCount>";
    let throttled = one(&document(&id, &smets1(marks, &message)));
    assert_eq!((throttled.weight, throttled.details.throttle_sequence), (41, Some(2)));

    // By itself, without the response around it; and a response whose own ID says otherwise.
    let signed =
        format!("<sr:SMETS1SignedResponse><sr:SMETS1Response>{message}</sr:SMETS1Response></sr:SMETS1SignedResponse>");
    let alone = one(&signed);
    assert_eq!((alone.device, alone.counter, alone.dcc_ms), (alert.device, Some(5), None));
    assert_eq!((alone.generation, alone.message), (Generation::Smets1, alert.message));
    let (items, notices) = read(&document(&format!("{METER}:{USER}:6"), &smets1("", &message)));
    assert_eq!(items[0].as_ref().unwrap().counter, Some(5));
    assert!(
        notices[0].starts_with("line 1: ResponseID: 02-00-5E-10-00-00-A0-14, counter 6 in the envelope and "),
        "{notices:?}"
    );
}

#[test]
fn a_clock_that_the_meter_calls_unreliable_is_marked() {
    let of = |status: &str| {
        let clock =
            format!("<r:Timestamp isFromGSME='false' ClockStatus='{status}'>2000-01-01T00:14:02Z</r:Timestamp>");
        let message = parsed(5, &clock, &content("8002", "2000-01-01T00:14:02Z"));
        one(&document("", &smets1("", &message)).replace("<sr:ResponseID></sr:ResponseID>", ""))
    };
    for (status, expected) in [
        ("unreliable", TimeStatus::Unreliable),
        ("invalid", TimeStatus::Unreliable),
        ("Invalid", TimeStatus::Unreliable),
        ("reliable", TimeStatus::Stated),
    ] {
        let alert = of(status);
        assert_eq!((alert.message.time, alert.occurred_ms), (expected, Some(946_685_642_000)), "{status}");
    }
}

#[test]
fn a_description_stands_for_a_code_only_where_a_table_says_so() {
    let message = parsed(5, "", &content("", "2026-11-23T09:28:20Z"));
    let text = document(&format!("{METER}:{USER}:5"), &smets1("", &message));
    let error = read(&text).0.remove(0).unwrap_err();
    let words = "line 1: GBCSHexAlertCode: it is missing, and no code is known for the description \"Average RMS voltage\"; a row";
    assert!(error.starts_with(words), "{error}");
    let with = |description: &str| {
        let table: Descriptions = Arc::new([(description.to_owned(), AlertCode(0x8F40))].into_iter().collect());
        Alerts::of(text.as_bytes(), Options { descriptions: table, ..Options::default() }).next().unwrap()
    };
    let alert = with("Average RMS voltage").unwrap();
    assert_eq!((alert.code, alert.details.note.as_str()), (AlertCode(0x8F40), "Average RMS voltage"));
    for other in ["average RMS voltage", "Average RMS", "Average RMS voltage above"] {
        assert!(with(other).is_err(), "{other}");
    }
    let none = text.replace("AlertDescription", "Other");
    assert!(read(&none).0[0].as_ref().unwrap_err().ends_with("and there is no AlertDescription either"));
}

#[test]
fn an_outage_keeps_when_the_supply_went_and_came_back() {
    let payload = "<r:Payload><r:SupplyOutageRestoreAlert><r:interruptionValue>2026-11-23T08:59:00Z</r:interruptionValue>\
                   <r:restorationValue>2026-11-23T09:28:30Z</r:restorationValue></r:SupplyOutageRestoreAlert></r:Payload>";
    let message = parsed(5, "", &format!("{}{payload}", content("8F36", "2026-11-23T09:29:00Z")));
    let alert = one(&document(&format!("{METER}:{USER}:5"), &smets1("", &message)));
    assert_eq!(alert.occurred_ms, Some(1_795_426_140_000));
    let details = (alert.details.interrupted_ms, alert.details.restored_ms);
    assert_eq!(details, (Some(1_795_424_340_000), Some(1_795_426_110_000)));
    let one = "<r:interruptionValue>2026-11-23T08:59:00Z</r:interruptionValue>";
    let twice = |other: &str| {
        let text = document(&format!("{METER}:{USER}:5"), &smets1("", &message));
        read(&text.replace(one, &format!("{one}{}", one.replace("08:59", other))))
    };
    assert_eq!(twice("08:59").1, [""; 0]);
    let (items, notices) = twice("08:58");
    assert_eq!(items[0].as_ref().unwrap().details.interrupted_ms, None);
    assert_eq!(items[0].as_ref().unwrap().details.restored_ms, Some(1_795_426_110_000));
    assert_eq!(notices, ["line 1: interruptionValue: it occurs twice, with different times: left out"]);
}

#[test]
fn a_time_that_cannot_be_read_does_not_cost_the_alert() {
    for time in ["2026-11-23T09:28:20", "", "yesterday"] {
        let text = document(&format!("{METER}:{USER}:5"), &smets1("", &parsed(5, "", &content("8F40", time))));
        let (items, notices) = read(&text);
        let alert = items[0].as_ref().unwrap();
        assert_eq!((alert.occurred_ms, alert.message.time), (None, TimeStatus::LeftOut), "{time}");
        assert!(notices.len() == 1 && notices[0].starts_with("line 1: Timestamp: expected a time "), "{notices:?}");
    }
}

/// The DCC's Parse and Correlate software puts out a parsed message alone; adapters put it beside the raw one.
#[test]
fn an_alert_that_is_told_twice_is_one() {
    let (bytes, inside) = message();
    let parsed_one = parsed(2001, "", &content("8F30", "2026-11-23T09:29:58Z"));
    let alone = one(&format!("<ra:GBCSResponse schemaVersion='5.4'>{parsed_one}</ra:GBCSResponse>"));
    assert_eq!((alone.device, alone.counter, alone.code), (METER.parse().unwrap(), Some(2001), AlertCode(0x8F30)));
    assert_eq!((alone.recipient, alone.occurred_ms), (USER.parse().unwrap(), Some(1_795_426_198_000)));
    assert_eq!((alone.dcc_ms, alone.received_ms, alone.generation), (None, None, Generation::Unknown));

    let whole = Alert { dcc_ms: AT, received_ms: AT, ..inside };
    let (base64, hex) = (STANDARD.encode(&bytes), bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let parsed_one = parsed_one.replace(METER, &inside.device.to_string()).replace("09:29:58Z", "09:30:15Z");
    let decoded = format!("<Decoded>{parsed_one}</Decoded>");
    for payload in [
        format!("<Raw>{base64}</Raw>{decoded}"),
        format!("{decoded}<Raw>{base64}</Raw>"),
        format!("<Raw>{hex}</Raw>{decoded}"),
        format!("{base64}{decoded}"),
        format!("<Format>base64</Format><Raw>{base64}</Raw>{decoded}"),
        format!("<Length>{}</Length>{decoded}<Message><Raw>{base64}</Raw></Message>", bytes.len()),
        base64.clone(),
    ] {
        let body = format!(
            "<DeviceAlertMessage><AlertCode>8F30</AlertCode><GBCSPayload>{payload}</GBCSPayload></DeviceAlertMessage>"
        );
        assert_eq!(one(&document(&id_of(&inside), &body)), whole, "{payload}");
        // Behind the raw one.
        let behind = document(&id_of(&inside), &format!("{body}<Parsed>{parsed_one}</Parsed>").replace(&decoded, ""));
        assert_eq!(one(&behind), whole, "{payload}");
    }
    // Where the raw one cannot be read, the other tells the same.
    let decoded = decoded.replace(&inside.device.to_string(), METER);
    let body = format!(
        "<DeviceAlertMessage><AlertCode>8F30</AlertCode><GBCSPayload><Raw>AAAA</Raw>{decoded}</GBCSPayload></DeviceAlertMessage>"
    );
    let (items, notices) = read(&document(&format!("{METER}:{USER}:2001"), &body));
    let alert = items[0].as_ref().unwrap();
    assert_eq!((alert.counter, alert.occurred_ms, alert.dcc_ms), (Some(2001), Some(1_795_426_215_000), AT));
    assert!(notices.len() == 1 && notices[0].ends_with("; the alert is taken as it was parsed"), "{notices:?}");
    assert!(!notices[0].contains("not base64"), "the payload is shown, not what was parsed: {notices:?}");

    // Whom it was sent to is said by the envelope where the message does not, and both are of one device.
    let body = body.replace(&format!("<r:BusinessTargetID>{USER}</r:BusinessTargetID>"), "");
    let recipient = |id: &str| read(&document(id, &body)).0[0].as_ref().unwrap().recipient;
    assert_eq!(recipient(&format!("{METER}:{USER}:2001")), USER.parse().unwrap());
    assert_eq!(recipient(&format!("02-00-5E-10-00-00-A0-15:{USER}:2001")), Eui64::NONE);

    let twice = document("", &format!("{decoded}{decoded}")).replace("<sr:ResponseID></sr:ResponseID>", "");
    assert_eq!(read(&twice).0, [Err("line 1: Body: it holds more than one parsed alert".to_owned())]);
    let sensitive = "<GBCSResponse><Header/><Body><DeviceAlertMessage><GBCSData>AA</GBCSData></DeviceAlertMessage></Body></GBCSResponse>";
    assert!(read(sensitive).0[0].as_ref().unwrap_err().contains("DeviceAlertContent: it is missing"));
}
