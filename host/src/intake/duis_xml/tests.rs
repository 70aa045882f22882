use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;

use super::*;
use crate::{
    domain::{DccTimeStatus, Details, Eui64, Generation, Message, Millis, TimeStatus},
    intake::gbcs,
};

mod cases;
mod damage;
mod dcc;
mod generated;
mod parsed;
mod stated;

/// When the DCC answered; nobody noted another time of receipt.
const AT: Option<Millis> = Some(1_764_000_000_250);

/// A document around something, with an ID and a time.
fn document(id: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<sr:Response xmlns:sr=\"urn:x\" schemaVersion=\"5.4\"><sr:Header>\
         <sr:ResponseID>{id}</sr:ResponseID><sr:ResponseCode>I0</sr:ResponseCode>\
         <sr:ResponseDateTime>2025-11-24T16:00:00.250Z</sr:ResponseDateTime></sr:Header>\n<sr:Body>{body}</sr:Body>\
         </sr:Response>\n"
    )
}

fn device_alert(code: &str, more: &str, payload: &[u8]) -> String {
    let payload = STANDARD.encode(payload);
    format!(
        "<ra:DeviceAlertMessage xmlns:ra=\"urn:y\"><ra:AlertCode>{code}</ra:AlertCode>{more}\
         <ra:GBCSPayload>{payload}</ra:GBCSPayload></ra:DeviceAlertMessage>"
    )
}

fn read(text: &str) -> (Vec<Result<Alert, String>>, Vec<String>) {
    let mut alerts = Alerts::new(text.as_bytes(), ThrottledCount::default());
    let (mut items, mut remarks) = (Vec::new(), Vec::new());
    while let Some(item) = alerts.next() {
        items.push(item.map_err(|error| error.to_string()));
        remarks.extend(std::iter::from_fn(|| alerts.remark()).map(|remark| remark.to_string()));
    }
    remarks.extend(std::iter::from_fn(|| alerts.remark()).map(|remark| remark.to_string()));
    (items, remarks)
}

/// A message with the code 8F30, and the alert that it is.
fn message() -> (Vec<u8>, Alert) {
    let bytes = gbcs::tests::Message::critical(0x8F30).bytes();
    let alert = gbcs::decode(&bytes).unwrap().alert;
    (bytes, alert)
}

fn id_of(alert: &Alert) -> String {
    format!("{}:{}:{}", alert.device, alert.recipient, alert.counter.unwrap())
}

#[test]
fn a_device_alert_is_its_payload_with_the_envelopes_time_and_weight() {
    let (bytes, inside) = message();
    let throttled = "<ra:ThrottledAlertSequenceId>7</ra:ThrottledAlertSequenceId><ra:ThrottledAlertCount>4</ra:ThrottledAlertCount>";
    let text = document(&id_of(&inside), &device_alert("8f30", throttled, &bytes));
    let (items, remarks) = read(&text);
    let details = Details { throttle_sequence: Some(7), ..Details::default() };
    let expected = Alert { dcc_ms: AT, received_ms: AT, weight: 5, details, ..inside };
    assert_eq!((items, remarks), (vec![Ok(expected)], vec![]));
    let all: Vec<_> = Alerts::new(text.as_bytes(), ThrottledCount::All).map(Result::unwrap).collect();
    assert_eq!(all[0].weight, 4);
}

#[test]
fn what_disagrees_is_said_and_the_envelopes_code_is_kept() {
    let (bytes, inside) = message();
    let other = "00-DB-12-34-56-78-90-FF:90-B3-D5-1F-30-02-00-00:9";
    let (items, remarks) = read(&document(other, &device_alert("8F31", "", &bytes)));
    assert_eq!(items[0].as_ref().unwrap().code, AlertCode(0x8F31));
    assert_eq!(items[0].as_ref().unwrap().device, inside.device);
    assert_eq!(remarks[0], "line 1: AlertCode: 8F31 in the envelope and 8F30 in the payload; the first is kept");
    assert!(remarks[1].starts_with("line 1: ResponseID: 00-DB-12-34-56-78-90-FF, counter 9 in the envelope and "));

    // A payload that cannot be read is no reason to lose an alert whose envelope can.
    let (items, remarks) = read(&document(other, &device_alert("8F31", "", &bytes[2..])));
    let alert = items[0].as_ref().unwrap();
    assert_eq!((alert.device, alert.counter), (Eui64(0x00DB_1234_5678_90FF), Some(9)));
    assert_eq!(alert.message.digest, digest(&bytes[2..]), "what cannot be read can be told from others all the same");
    assert!(remarks[0].ends_with("; the alert is taken as its envelope has it"), "{remarks:?}");
    let nameless = document(other, &device_alert("8F31", "", &bytes[2..])).replace("ResponseID", "Other");
    assert!(read(&nameless).0[0].as_ref().unwrap_err().ends_with(", and the header names no device either"));
}

/// A counter is told by whoever counted; a document that has none is told by all that is in it.
#[test]
fn an_alert_of_the_dcc_says_who_counted_it_or_is_its_whole_document() {
    let tree = "<DeviceID>00-DB-12-34-56-78-90-A0</DeviceID>";
    let body =
        format!("<DCCAlertMessage><DCCAlertCode>N16</DCCAlertCode><DCCAlert>{tree}</DCCAlert></DCCAlertMessage>");
    let one = |text: &str| {
        let (items, remarks) = read(text);
        assert!(items.len() == 1 && remarks.is_empty(), "{items:?} {remarks:?}");
        items[0].clone().unwrap()
    };
    let id = "90-B3-D5-1F-30-00-00-02:90-B3-D5-1F-30-02-00-00:1795424760269";
    let counted = one(&document(id, &body));
    assert_eq!((counted.device, counted.counter), (Eui64(0x00DB_1234_5678_90A0), Some(1_795_424_760_269)));
    let time = TimeStatus::NotStated;
    let sender = Message { sender: Eui64(0x90B3_D51F_3000_0002), time, ..Message::default() };
    assert_eq!((counted.recipient, counted.message), (Eui64(0x90B3_D51F_3002_0000), sender));

    let nameless = document(id, &body).replace(&format!("<sr:ResponseID>{id}</sr:ResponseID>"), "");
    let alert = one(&nameless);
    assert_eq!((alert.device, alert.recipient), (Eui64(0x00DB_1234_5678_90A0), Eui64::NONE));
    assert_eq!((alert.counter, alert.message.sender, alert.dcc_ms), (None, Eui64::NONE, AT));
    let whole = |text: &str| digest(text[text.find("<sr:").unwrap()..].trim().as_bytes());
    assert_eq!(alert.message.digest, whole(&nameless));
    assert_eq!(one(&format!("<All>{nameless}</All>")), alert, "whatever stands around it");
    assert_eq!(one(&format!("\u{FEFF}\n\n  {nameless}\n")), alert, "wherever it stands in a file");
    assert_ne!(one(&nameless.replace("I0", "I1")).message.digest, alert.message.digest);

    // A request goes from the user to the device, and the counter is the user's.
    let user = "90-B3-D5-1F-30-02-00-00:00-DB-12-34-56-78-90-B0:1795400000123";
    let asked = document(user, &body.replace(tree, "")).replace("ResponseID", "RequestID");
    let alert = one(&asked);
    assert_eq!((alert.device, alert.recipient), (Eui64(0x00DB_1234_5678_90B0), Eui64(0x90B3_D51F_3002_0000)));
    assert_eq!((alert.counter, alert.message.digest), (None, whole(&asked)));
    // The answer's own ID counts for more, wherever it stands.
    let both = asked.replace("<sr:ResponseCode>", &format!("<sr:ResponseID>{id}</sr:ResponseID><sr:ResponseCode>"));
    assert_eq!((one(&both).counter, one(&both).message), (counted.counter, sender));

    let nobody = nameless.replace(tree, "");
    let error = read(&nobody).0.remove(0).unwrap_err();
    assert!(error.starts_with("line 1: ResponseID: it is missing, and the document names no device either"), "{error}");
}

#[test]
fn an_instruction_is_told_from_the_others_of_its_command() {
    let (bytes, inside) = message();
    let dated = |number: &str| {
        let body = device_alert("8F30", &format!("<ra:InstructionNumber>{number}</ra:InstructionNumber>"), &bytes);
        let body = body.replace("DeviceAlertMessage", "FutureDatedDeviceAlertMessage");
        document(&id_of(&inside), &body.replace("AlertCode", "FutureDatedAlertCode"))
    };
    let (items, remarks) = read(&dated("2"));
    assert_eq!((items[0].as_ref().unwrap().message.instruction, remarks.len()), (2, 0));
    let (items, remarks) = read(&dated("two"));
    assert_eq!(items[0].as_ref().unwrap().message, inside.message);
    assert!(remarks[0].starts_with("line 1: InstructionNumber: expected an integer of 32 bits, found \"two\""));
}

#[test]
fn a_future_dated_one_lies_deeper_and_answers_without_an_alert_are_passed_over() {
    let (bytes, inside) = message();
    let payload = STANDARD.encode(&bytes);
    let dated = format!(
        "<ResponseMessage><ServiceReference>1.1</ServiceReference><FutureDatedDeviceAlertMessage>\
         <FutureDatedAlertCode>8F30</FutureDatedAlertCode><GBCSPayload>{payload}</GBCSPayload>\
         </FutureDatedDeviceAlertMessage></ResponseMessage>"
    );
    let answer = document("x:y:1", "<ResponseMessage><ServiceReference>1.1</ServiceReference></ResponseMessage>");
    let (items, remarks) = read(&format!("{answer}{}", document(&id_of(&inside), &dated)));
    assert_eq!(items[0].as_ref().unwrap().device, inside.device);
    assert_eq!(
        (items.len(), remarks.as_slice()),
        (1, &["line 1: Body: it holds no alert; passed over".to_owned()][..])
    );
}

#[test]
fn hostile_documents_are_named_and_the_rest_goes_on() {
    let (bytes, inside) = message();
    let good = document(&id_of(&inside), &device_alert("8F30", "", &bytes));
    let deep = format!("<Response>{}{}</Response>", "<a>".repeat(70), "</a>".repeat(70));
    let long = good.replace(&id_of(&inside), &"1".repeat(300)).replace("GBCSPayload", "Other");
    let bomb = "<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><Response>&b;</Response>";
    let cases: [(&str, &str); 9] = [
        (bomb, "the entity \"b\" is not known"),
        ("<Response>&b;</Response>", "the entity \"b\" is not known"),
        (&deep, "elements lie more than 64 deep"),
        (&long, "ResponseID: longer than 200 bytes"),
        ("<Response><Body></Response>", "document: byte"),
        ("<Response><!DOCTYPE a></Response>", "a document type stands within it"),
        ("<Response><DeviceAlertMessage/></Response>", "AlertCode: it is missing"),
        ("<Response><DeviceAlertMessage/><DCCAlertMessage/></Response>", "Body: it holds more than one alert"),
        (
            "<Response><DeviceAlertMessage><AlertCode>zz</AlertCode></DeviceAlertMessage></Response>",
            "AlertCode: expected an alert code",
        ),
    ];
    for (bad, message) in cases {
        let (items, _) = read(&format!("{bad}\n{good}"));
        assert!(items[0].as_ref().unwrap_err().contains(message), "{bad}: {items:?}");
        assert!(items.last().unwrap().is_ok() && items.len() == 2, "{bad}: {items:?}");
    }
    let escaped = good.replace("8F30<", "8&#70;3&#x30;<").replace("I0", "&lt;&amp;").replace('\n', "\r\n&#13;");
    assert_eq!(read(&escaped).0, [Ok(Alert { dcc_ms: AT, received_ms: AT, ..inside })]);
}

/// The published sample messages, each in an envelope, are what they are without one.
#[test]
fn published_samples_in_envelopes_are_read_as_without() {
    let Some(path) = std::env::var_os("WEIR_RTDS") else {
        println!("WEIR_RTDS is not set: no samples to read");
        return;
    };
    let samples = std::fs::read_to_string(path).unwrap();
    let mut plain = super::super::gbcs_hex::Alerts::new(samples.as_bytes());
    let (mut text, mut expected) = (String::new(), Vec::new());
    for hex in samples.lines().skip(1).map(|line| line.rsplit('\t').next().unwrap()) {
        let bytes: Vec<u8> =
            (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
        let alert = plain.next().unwrap().unwrap();
        write!(text, "{}", document(&id_of(&alert), &device_alert(&alert.code.to_string(), "", &bytes))).unwrap();
        expected.push(Alert { dcc_ms: AT, received_ms: AT, ..alert });
    }
    let (items, remarks) = read(&text);
    assert_eq!(items.into_iter().map(Result::unwrap).collect::<Vec<_>>(), expected);
    assert!(remarks.is_empty() && expected.len() >= 53, "{remarks:?}");
}

proptest! {
    /// Whatever is done to a document, nothing panics, and the next one is read.
    #[test]
    fn a_document_that_was_changed_spoils_none_after_it(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let (bytes, inside) = message();
        let good = document(&id_of(&inside), &device_alert("8F30", "", &bytes));
        let mut bad = good.clone().into_bytes();
        bad.truncate(cut.index(bad.len()) + 1);
        for (at, byte) in changes {
            let at = at.index(bad.len());
            bad[at] = byte;
        }
        bad.extend_from_slice(b"</Response>");
        bad.extend_from_slice(good.as_bytes());
        let items: Vec<_> = Alerts::new(&bad[..], ThrottledCount::default()).collect();
        prop_assert!(items.len() <= 4, "{items:?}");
        prop_assert!(items.last().unwrap().is_ok(), "{items:?}");
    }
}
