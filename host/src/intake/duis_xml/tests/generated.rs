//! Documents of every branch of the schema's alert types, drawn by lots from a stated seed, are read as they were made.
//!
//! `DUIS_DOCUMENTS` is how many (400), `DUIS_DOCUMENTS_FILE` a file to write them to, for a validator.

use super::*;

mod trees;

use trees::tree;

const SEED: u64 = 0x5EED_D015;
const THE_DCC: u64 = 0x0200_5E10_0000_DC01;
const USER: u64 = 0x0200_5E10_0000_0501;

/// Lots: the generator SplitMix64.
pub(super) struct Lots(u64);

impl Lots {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// One time in two.
    pub(super) fn toss(&mut self) -> bool {
        self.below(2) == 0
    }

    pub(super) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    /// A text, one time in two.
    pub(super) fn maybe(&mut self, text: impl FnOnce(&mut Self) -> String) -> String {
        if self.toss() { text(self) } else { String::new() }
    }

    /// A device of one of several ranges, so that no two roles in a document share one.
    pub(super) fn device(&mut self, range: u64) -> Eui64 {
        Eui64(0x0200_5E10_0000_0000 | range << 8 | (self.below(255) + 1))
    }

    /// A time in one of its legal forms, and how it is to be read.
    pub(super) fn time(&mut self) -> Time {
        let second = 1_795_000_000 + self.below(400_000) as i64;
        let midnight = self.below(8) == 0;
        let ms = if midnight { second - second % 86_400 } else { second } * 1_000;
        let civil = |ms: i64| {
            let text = jiff::Timestamp::from_millisecond(ms).unwrap().to_string();
            text.trim_end_matches('Z').to_owned()
        };
        let stated = |text: String| Time { text, ms: Some(ms) };
        match self.below(6) {
            0 if midnight => stated(format!("{}T24:00:00Z", &civil(ms - 1)[..10])),
            1 => stated(format!("{}.000Z", civil(ms))),
            2 => stated(format!("{}+01:00", civil(ms + 3_600_000))),
            3 => stated(format!("{}-05:30", civil(ms - 19_800_000))),
            // Legal, and of no zone.
            4 => Time { text: civil(ms), ms: None },
            _ => stated(format!("{}Z", civil(ms))),
        }
    }
}

/// A time as a document has it, and as it is to be read; `None`: left out.
#[derive(Clone)]
pub(super) struct Time {
    pub(super) text: String,
    ms: Option<Millis>,
}

/// What is to come of a document.
#[derive(Debug, PartialEq, Eq)]
struct Expected {
    device: Eui64,
    counter: Option<u64>,
    code: AlertCode,
    weight: u32,
    sequence: Option<u32>,
    occurred: (Option<Millis>, TimeStatus),
    dcc: (Option<Millis>, DccTimeStatus),
    generation: Generation,
    sender: Eui64,
}

impl Expected {
    fn of(alert: &Alert) -> Self {
        let Alert { device, counter, code, weight, generation, .. } = *alert;
        let status = if alert.occurred_ms.is_none() && alert.message.time.is_stated() {
            TimeStatus::NotStated
        } else {
            alert.message.time
        };
        Self {
            device,
            counter,
            code,
            weight,
            sequence: alert.details.throttle_sequence,
            occurred: (alert.occurred_ms, status),
            dcc: (alert.dcc_ms, alert.message.dcc_time),
            generation,
            sender: alert.message.sender,
        }
    }
}

/// What a time is to be read as; `unreliable` says what the meter says of its clock.
fn occurrence(time: Option<&Time>, unreliable: bool) -> (Option<Millis>, TimeStatus) {
    match time {
        None => (None, TimeStatus::NotStated),
        Some(Time { ms: None, .. }) => (None, TimeStatus::LeftOut),
        Some(Time { ms, .. }) => (*ms, if unreliable { TimeStatus::Unreliable } else { TimeStatus::Stated }),
    }
}

fn id_text(from: Eui64, to: Eui64, counter: u64) -> String {
    format!("{from}:{to}:{counter}")
}

/// What a valid document has in a signature's place.
pub(super) const SIGNATURE: &str = "<ds:Signature><ds:SignedInfo><ds:CanonicalizationMethod \
    Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/><ds:SignatureMethod \
    Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256\"/><ds:Reference URI=\"\"><ds:DigestMethod \
    Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><ds:DigestValue>AAAA</ds:DigestValue></ds:Reference>\
    </ds:SignedInfo><ds:SignatureValue>AAAA</ds:SignatureValue></ds:Signature>";

/// A document, and what is to come of it; `None`: an error, since it names nobody.
fn made(lots: &mut Lots) -> (String, Option<Expected>) {
    let sequence = lots.toss().then(|| lots.below(1_000) as u32);
    let count = lots.toss().then(|| lots.below(1_000) as u32);
    let marks = format!(
        "{}{}",
        sequence.map_or(String::new(), |number| format!(
            "<sr:ThrottledAlertSequenceId>{number}</sr:ThrottledAlertSequenceId>"
        )),
        count.map_or(String::new(), |count| format!("<sr:ThrottledAlertCount>{count}</sr:ThrottledAlertCount>")),
    );
    let weight = count.map_or(1, |count| count + 1);
    let time = lots.time();
    let dcc = (time.ms, if time.ms.is_none() { DccTimeStatus::LeftOut } else { DccTimeStatus::AsStated });
    let counter = lots.next() >> 1;
    let (has_response, has_request) = (lots.below(4) > 0, lots.below(4) == 0);
    let header = |from: Eui64| {
        let response = format!("<sr:ResponseID>{}</sr:ResponseID>", id_text(from, Eui64(USER), counter));
        let request = format!("<sr:RequestID>{}</sr:RequestID>", id_text(Eui64(USER), Eui64(ASKED), 7));
        format!(
            "<sr:Header>{}{}<sr:ResponseCode>I0</sr:ResponseCode><sr:ResponseDateTime>{}</sr:ResponseDateTime></sr:Header>",
            if has_request { request } else { String::new() },
            if has_response { response } else { String::new() },
            time.text
        )
    };
    let (head, body, expected) = match lots.below(8) {
        0 | 1 => {
            let (body, expected) = gbcs_alert(lots, counter, (&marks, weight, sequence), dcc);
            (header(expected.device), body, Some(expected))
        }
        2 | 3 => {
            let (body, expected) = smets1_alert(lots, counter, (&marks, weight, sequence), dcc);
            (header(expected.device), body, Some(expected))
        }
        _ => {
            let tree = tree(lots);
            let asked = has_request.then_some(Eui64(ASKED));
            let sender = if has_response { Some(Eui64(THE_DCC)) } else { asked };
            let device = tree.device.or(if tree.is_of_several { sender } else { asked.or(sender) });
            let body = format!(
                "<sr:DCCAlertMessage><sr:DCCAlertCode>{}</sr:DCCAlertCode>{marks}<sr:DCCAlert>{}</sr:DCCAlert></sr:DCCAlertMessage>",
                tree.code, tree.text
            );
            let expected = device.map(|device| Expected {
                device,
                counter: has_response.then_some(counter),
                code: tree.code.parse().unwrap(),
                weight,
                sequence,
                occurred: occurrence(tree.time.as_ref(), false),
                dcc,
                generation: tree.generation,
                sender: if has_response { Eui64(THE_DCC) } else { Eui64::NONE },
            });
            (header(Eui64(THE_DCC)), body, expected)
        }
    };
    let signature = lots.maybe(|_| SIGNATURE.to_owned());
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<sr:Response xmlns:sr=\"http://www.dccinterface.co.uk/ServiceUserGateway\" \
         xmlns:ra=\"http://www.dccinterface.co.uk/ResponseAndAlert\" xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" \
         schemaVersion=\"5.4\">{head}<sr:Body>{body}</sr:Body>{signature}</sr:Response>\n"
    );
    (dressed(lots, &text), expected)
}

/// The device that requests in headers ask.
const ASKED: u64 = 0x0200_5E10_0000_A5ED;

/// The same document with other prefixes, ends of lines or comments.
fn dressed(lots: &mut Lots, text: &str) -> String {
    match lots.below(5) {
        0 => [("sr:", "a-1:"), ("ra:", "b_2:"), ("xmlns:sr=", "xmlns:a-1="), ("xmlns:ra=", "xmlns:b_2=")]
            .into_iter()
            .fold(text.to_owned(), |text, (from, to)| text.replace(from, to)),
        1 => text
            .replace("<sr:Header>", "<!-- </sr:Response> -->\r\n<sr:Header>")
            .replace("</sr:Header>", "</sr:Header>\r\n"),
        2 => text.replace("<sr:", "<").replace("</sr:", "</").replace("xmlns:sr=", "xmlns="),
        3 => text.replace("<sr:Body>", "\n\t <sr:Body >\n"),
        _ => text.to_owned(),
    }
}

type Marks<'a> = (&'a str, u32, Option<u32>);

/// An alert of a device with a GBCS message, some of them future-dated.
fn gbcs_alert(
    lots: &mut Lots,
    counter: u64,
    (marks, weight, sequence): Marks<'_>,
    dcc: (Option<Millis>, DccTimeStatus),
) -> (String, Expected) {
    let future_dated = lots.below(3) == 0;
    let code =
        if future_dated { lots.of(&[0x8F66, 0x8F67]) } else { lots.of(&[0x8002, 0x8014, 0x8F36, 0x8F40, 0x81A0]) };
    let made = if lots.toss() { gbcs::tests::Message::critical } else { gbcs::tests::Message::non_critical };
    let mut message = made(code);
    (message.counter, message.device) = (counter, lots.device(0xB1).0);
    let bytes = message.bytes();
    let inside = gbcs::decode(&bytes).unwrap().alert;
    let payload = STANDARD.encode(&bytes);
    let body = if future_dated {
        format!(
            "<sr:ResponseMessage><sr:ServiceReference>1.1</sr:ServiceReference><sr:ServiceReferenceVariant>1.1.1\
             </sr:ServiceReferenceVariant><sr:FutureDatedDeviceAlertMessage><sr:FutureDatedAlertCode>{code:04X}\
             </sr:FutureDatedAlertCode><sr:GBCSPayload>{payload}</sr:GBCSPayload><sr:InstructionNumber>2</sr:InstructionNumber>\
             <sr:TotalCommandInstructions>3</sr:TotalCommandInstructions></sr:FutureDatedDeviceAlertMessage></sr:ResponseMessage>"
        )
    } else {
        let code = if lots.toss() { format!("{code:04X}") } else { format!("{code:04x}") };
        format!(
            "<sr:DeviceAlertMessage><sr:AlertCode>{code}</sr:AlertCode>{marks}<sr:GBCSPayload>{payload}</sr:GBCSPayload>\
             </sr:DeviceAlertMessage>"
        )
    };
    let (weight, sequence) = if future_dated { (1, None) } else { (weight, sequence) };
    let expected = Expected { weight, sequence, dcc, ..Expected::of(&inside) };
    (body, expected)
}

/// An alert of a SMETS1 device, with one of the payloads that it can have.
fn smets1_alert(
    lots: &mut Lots,
    counter: u64,
    (marks, weight, sequence): Marks<'_>,
    dcc: (Option<Millis>, DccTimeStatus),
) -> (String, Expected) {
    let (device, time) = (lots.device(0xB2), lots.time());
    let code = lots.of(&[0x8F40, 0x8014, 0x8F36, 0x8002, 0x8F1C]);
    let status = lots.of(&[None, Some("reliable"), Some("unreliable"), Some("invalid")]);
    let clock = status.map_or(String::new(), |status| {
        format!("<ra:Timestamp isFromGSME=\"false\" ClockStatus=\"{status}\">{}</ra:Timestamp>", lots.time().text)
    });
    let other = lots.time().text;
    let payload = match lots.below(8) {
        0 => "<ra:FirmwareVerificationDeviceAlert><ra:ManufacturerImageHash>00FF</ra:ManufacturerImageHash></ra:FirmwareVerificationDeviceAlert>".to_owned(),
        1 => format!(
            "<ra:SupplyOutageRestoreAlert><ra:interruptionValue>{other}</ra:interruptionValue><ra:restorationValue>{other}\
             </ra:restorationValue></ra:SupplyOutageRestoreAlert>"
        ),
        2 => "<ra:SmartMeterIntegrityIssueWarningDeviceAlert><ra:Warning>Error RAM</ra:Warning></ra:SmartMeterIntegrityIssueWarningDeviceAlert>".to_owned(),
        3 => "<ra:CommandNotSupportedbyDevice/>".to_owned(),
        4 => "<ra:OperationalUpdateDeviceAlert><ra:OutputState>100</ra:OutputState></ra:OperationalUpdateDeviceAlert>".to_owned(),
        5 => format!(
            "<ra:LimitAPCLevelCommandProcessedDeviceAlert><ra:APCLimitPeriodStart>{other}</ra:APCLimitPeriodStart>\
             <ra:APCLimitPeriodEnd>{other}</ra:APCLimitPeriodEnd><ra:AuxiliaryControllerN>1</ra:AuxiliaryControllerN>\
             <ra:ResultingLevel>5</ra:ResultingLevel></ra:LimitAPCLevelCommandProcessedDeviceAlert>"
        ),
        6 => format!(
            "<ra:FutureDatedCommandOutcomeDeviceAlert><ra:FirmwareActivationDeviceAlert><ra:ExecutionDateTime>{other}\
             </ra:ExecutionDateTime></ra:FirmwareActivationDeviceAlert></ra:FutureDatedCommandOutcomeDeviceAlert>"
        ),
        _ => String::new(),
    };
    let payload = if payload.is_empty() { payload } else { format!("<ra:Payload>{payload}</ra:Payload>") };
    let body = format!(
        "<sr:SMETS1ResponseMessage>{marks}<sr:SMETS1SignedResponse schemaVersion=\"5.4\"><sr:SMETS1Response><sr:Header>\
         <ra:BusinessOriginatorID>{device}</ra:BusinessOriginatorID><ra:BusinessTargetID>{}</ra:BusinessTargetID>\
         <ra:OriginatorCounter>{counter}</ra:OriginatorCounter>{clock}</sr:Header><sr:Body><sr:DeviceAlertMessage>\
         <ra:DeviceAlertContent><ra:GBCSHexAlertCode>{code:04X}</ra:GBCSHexAlertCode><ra:AlertDescription>&lt;A&gt; &amp; b\
         </ra:AlertDescription><ra:Timestamp>{}</ra:Timestamp>{payload}</ra:DeviceAlertContent></sr:DeviceAlertMessage>\
         </sr:Body></sr:SMETS1Response>{SIGNATURE}</sr:SMETS1SignedResponse></sr:SMETS1ResponseMessage>",
        Eui64(USER),
        time.text
    );
    let expected = Expected {
        device,
        counter: Some(counter),
        code: AlertCode(code),
        weight,
        sequence,
        occurred: occurrence(Some(&time), matches!(status, Some("unreliable" | "invalid"))),
        dcc,
        generation: Generation::Smets1,
        sender: Eui64::NONE,
    };
    (body, expected)
}

#[test]
fn documents_of_every_branch_of_the_schema_are_read_as_they_were_made() {
    let count = std::env::var("DUIS_DOCUMENTS").map_or(400, |count| count.parse().unwrap());
    let mut lots = Lots(SEED);
    let all: Vec<(String, Option<Expected>)> = (0..count).map(|_| made(&mut lots)).collect();
    let text: String = all.iter().map(|(text, _)| text.as_str()).collect();
    if let Some(path) = std::env::var_os("DUIS_DOCUMENTS_FILE") {
        std::fs::write(path, &text).unwrap();
    }
    let mut alerts = Alerts::new(text.as_bytes(), ThrottledCount::default());
    for (number, (document, expected)) in all.iter().enumerate() {
        let found = alerts.next().unwrap_or_else(|| panic!("document {number} of seed {SEED:#X} is lost: {document}"));
        match (found, expected) {
            (Ok(alert), Some(expected)) => {
                assert_eq!(Expected::of(&alert), *expected, "document {number} of seed {SEED:#X}: {document}");
            }
            (Err(error), None) => assert_eq!(error.field, "ResponseID", "{document}"),
            (found, expected) => panic!("document {number}: {found:?} instead of {expected:?}: {document}"),
        }
    }
    assert!(alerts.next().is_none(), "nothing is read twice");
}
