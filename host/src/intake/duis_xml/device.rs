//! Alerts of devices: by their GBCS payload, or, where there is none, by what was made of it: SMETS1 alerts have never had
//! one, and parsed documents have it no more.
//!
//! Invariants: an alert whose envelope can be read is not lost for the sake of its payload; where the two disagree that is
//! said, and the envelope's code is kept. A code is never guessed from a description, only looked up.

use std::{fmt::Write, str::FromStr};

use base64::{DecodeError, Engine, engine::general_purpose::STANDARD};

use super::{
    super::{digest, gbcs, shown},
    Descriptions, Kind, Wrong,
    header::{Header, Id, Notices, Throttle, field, note_of, number, only},
    time,
    tree::Element,
};
use crate::domain::{Alert, AlertCode, Details, Eui64, Generation, Message, Millis, Note, TimeStatus};

/// Bytes of the text of a payload.
const PAYLOAD_BYTES_MAX: usize = 16 << 10;

/// An alert in a document: its kind, and the elements that tell of it.
pub(super) struct Found<'t> {
    pub(super) kind: Kind,
    /// The message with a code and a payload, where there is one.
    pub(super) raw: Option<Element<'t>>,
    /// The content of a message that was parsed, or of a SMETS1 alert.
    pub(super) content: Option<Element<'t>>,
}

/// Returns the code that the envelope states.
pub(super) fn code(kind: Kind, raw: Element<'_>) -> Result<AlertCode, Wrong> {
    let name = kind.code();
    let text = field(raw, name)?.ok_or((name, "it is missing".to_owned()))?;
    let code = AlertCode::from_str(text).map_err(|error| (name, error.to_string()))?;
    if code.is_of_dcc() == (kind == Kind::Dcc) {
        Ok(code)
    } else {
        Err((name, format!("{} is no code of such an alert", shown(text))))
    }
}

/// Returns the alert that a document tells of.
pub(super) fn alert(
    header: &Header,
    found: &Found<'_>,
    throttle: Throttle,
    descriptions: &Descriptions,
    notices: Notices<'_>,
) -> Result<Alert, Wrong> {
    let Some(raw) = found.raw else {
        let content = found.content.ok_or(("DeviceAlertContent", "it is missing".to_owned()))?;
        return Content::read(content, header, descriptions, notices)?.alert(header, throttle, notices);
    };
    let code = code(found.kind, raw)?;
    let instruction = number(raw, "InstructionNumber", notices).unwrap_or(0);
    let instruction_count: u32 = number(raw, "TotalCommandInstructions", notices).unwrap_or(0);
    let instruction_count = instruction_count.try_into().unwrap_or(u16::MAX);
    let with = |alert: Alert| {
        let base = header.alert(code, alert.device, throttle);
        let message = Message { instruction, dcc_time: base.message.dcc_time, ..alert.message };
        let details = Details { instruction_count, throttle_sequence: throttle.sequence, ..alert.details };
        let (dcc_ms, received_ms) = (base.dcc_ms, base.received_ms);
        Alert { code, dcc_ms, received_ms, weight: throttle.weight, message, details, ..alert }
    };
    let bytes = only(raw, "GBCSPayload").and_then(payload);
    let why = match bytes.as_ref().map_err(String::clone).and_then(|bytes| decoded(bytes)) {
        Ok(inside) => {
            compare(code, inside.code, header.response, &inside, notices);
            if let Some(content) = found.content {
                compare_parsed(content, header, descriptions, &inside, notices);
            }
            return Ok(with(inside));
        }
        Err(why) => why,
    };
    // The parsed message beside the payload says the same.
    if let Some(content) = found.content
        && let Ok(content) = Content::read(content, header, descriptions, notices)
        && content.id.is_some()
    {
        notices("GBCSPayload", format!("{why}; the alert is taken as it was parsed"));
        let inside = content.alert(header, throttle, notices)?;
        compare(code, inside.code, header.response, &inside, notices);
        return Ok(with(inside));
    }
    let Some(id) = header.id() else {
        return Err(header.nobody("GBCSPayload", format!("{why}, and the header names no device either")));
    };
    notices("GBCSPayload", format!("{why}; the alert is taken as its envelope has it"));
    let outside = header.alert(code, id.from, throttle);
    // What cannot be read can be told from others all the same.
    let digest = bytes.map_or(0, |bytes| digest(&bytes));
    let message = Message { instruction, digest, ..outside.message };
    let details = Details { instruction_count, ..outside.details };
    Ok(Alert { recipient: id.to, counter: id.counter, message, details, ..outside })
}

/// Says where an envelope and what is in it disagree.
fn compare(code: AlertCode, inner: AlertCode, outside: Option<Id>, inside: &Alert, notices: Notices<'_>) {
    if inner != code {
        notices("AlertCode", format!("{code} in the envelope and {inner} in the payload; the first is kept"));
    }
    let differs =
        |id: &Id| id.from != inside.device || id.counter.is_some_and(|counter| Some(counter) != inside.counter);
    if let Some(id) = outside.filter(differs) {
        let named = |device: Eui64, counter: Option<u64>| format!("{device}, counter {}", counter.unwrap_or(0));
        let (outside, inside) = (named(id.from, id.counter), named(inside.device, inside.counter));
        notices("ResponseID", format!("{outside} in the envelope and {inside} in the payload; the second is kept"));
    }
}

/// Says where the payload and what was parsed of it, beside it, disagree.
fn compare_parsed(
    content: Element<'_>,
    header: &Header,
    descriptions: &Descriptions,
    inside: &Alert,
    notices: Notices<'_>,
) {
    // What cannot be read of it is no matter: the payload counts.
    let Ok(parsed) = Content::read(content, header, descriptions, &mut |_, _| {}) else { return };
    if parsed.code != inside.code {
        let (parsed, inside) = (parsed.code, inside.code);
        notices(
            "DeviceAlertContent",
            format!("{parsed} as it was parsed and {inside} in the payload; the second is kept"),
        );
    }
    let differs = |(device, _, counter): &(Eui64, Eui64, u64)| {
        *device != inside.device || inside.counter.is_some_and(|inside| inside != *counter)
    };
    if let Some((device, _, counter)) = parsed.id.filter(differs) {
        let inside = format!("{}, counter {}", inside.device, inside.counter.unwrap_or(0));
        notices(
            "BusinessOriginatorID",
            format!("{device}, counter {counter} as it was parsed and {inside} in the payload; the second is kept"),
        );
    }
    let (of_parsed, of_payload) = (&parsed.details, &inside.details);
    for (field, parsed, inside) in [
        ("Timestamp", parsed.occurred_ms, inside.occurred_ms),
        ("interruptionValue", of_parsed.interrupted_ms, of_payload.interrupted_ms),
        ("restorationValue", of_parsed.restored_ms, of_payload.restored_ms),
    ] {
        let Some((parsed, inside)) = parsed.zip(inside) else { continue };
        // What was parsed may have lost the parts of a second.
        if parsed.div_euclid(1_000) != inside.div_euclid(1_000) {
            let (parsed, inside) = (time::written(parsed), time::written(inside));
            notices(field, format!("{parsed} as it was parsed and {inside} in the payload; the second is kept"));
        }
    }
}

fn decoded(bytes: &[u8]) -> Result<Alert, String> {
    gbcs::decode(bytes).map(|decoded| decoded.alert).map_err(|error| error.to_string())
}

/// The bytes of the message inside, or why there are none. Adapters put them beside what they parsed, and may write hex.
fn payload(element: Option<Element<'_>>) -> Result<Vec<u8>, String> {
    let element = element.ok_or("it is missing")?;
    let leaves = element.descendants().filter(|inner| inner.is_leaf());
    let stated: Vec<Element<'_>> =
        std::iter::once(element).chain(leaves).filter(|inner| !inner.text().is_empty()).collect();
    let message = |inner: &Element<'_>| bytes_of(inner.text()).ok().filter(|bytes| gbcs::decode(bytes).is_ok());
    if let Some((found, bytes)) = stated.iter().find_map(|inner| Some((inner, message(inner)?))) {
        // Another message, or another text under the same name: nothing says which one counts.
        let differs = |other: &Element<'_>| match message(other) {
            Some(others) => others != bytes,
            None => other.name() == found.name(),
        };
        if stated.iter().any(differs) {
            return Err("it has two messages, with different contents; expected one".to_owned());
        }
        return Ok(bytes);
    }
    // None is a message: what stands in no other element was meant for one.
    let own = std::iter::once(element).chain(element.children().filter(|child| child.is_leaf()));
    bytes_of(own.map(Element::text).max_by_key(|text| text.len()).unwrap_or_default())
}

/// A text without the blanks that wrap it.
pub(super) fn compact(text: &str) -> String {
    text.chars().filter(|character| !character.is_ascii_whitespace()).collect()
}

/// The bytes of a text without blanks.
pub(super) fn base64(compact: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(compact).map_err(|error| not_base64(compact, &error))
}

/// The bytes that a text stands for.
fn bytes_of(text: &str) -> Result<Vec<u8>, String> {
    if text.len() > PAYLOAD_BYTES_MAX {
        return Err(format!("longer than {PAYLOAD_BYTES_MAX} bytes"));
    }
    if text.is_empty() {
        return Err("it is missing".to_owned());
    }
    let compact = compact(text);
    let bytes = base64(&compact);
    // Hex digits are base64 as well, of other bytes.
    let is_message = bytes.as_ref().is_ok_and(|bytes| gbcs::decode(bytes).is_ok());
    match unhex(&compact).filter(|bytes| !is_message && gbcs::decode(bytes).is_ok()) {
        Some(bytes) => Ok(bytes),
        None => bytes,
    }
}

/// Why a text is not base64, in words: the decoder names characters by their numbers.
fn not_base64(text: &str, error: &DecodeError) -> String {
    match *error {
        DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol { offset: at, .. } => {
            let character = text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or_default();
            format!("not base64: {} at character {}", shown(&character.to_string()), at + 1)
        }
        DecodeError::InvalidLength(_) => "not base64: it is cut off".to_owned(),
        DecodeError::InvalidPadding => "not base64: its end is not filled up with \"=\"".to_owned(),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// A message that was parsed: of a SMETS1 device, or by the DCC's Parse and Correlate software.
struct Content {
    code: AlertCode,
    id: Option<(Eui64, Eui64, u64)>,
    occurred_ms: Option<Millis>,
    time: TimeStatus,
    generation: Generation,
    digest: u64,
    details: Details,
}

impl Content {
    /// Reads the content of an alert, with the header of the message that it lies in.
    fn read(
        content: Element<'_>,
        document: &Header,
        descriptions: &Descriptions,
        notices: Notices<'_>,
    ) -> Result<Self, Wrong> {
        // Content lies in a message, that in a body, and the header beside the body.
        let message = content.within(&["Body"]).and_then(Element::parent);
        let header = message.and_then(|message| message.child("Header"));
        let (mut occurred_ms, mut time) = (None, TimeStatus::NotStated);
        let stated = only(content, "Timestamp").unwrap_or_else(|why| {
            notices("Timestamp", format!("{why}; the alert is taken without it"));
            time = TimeStatus::LeftOut;
            None
        });
        if let Some(element) = stated {
            (occurred_ms, time) = document.time(element, notices);
        }
        let marks = [stated, header.and_then(|header| header.child("Timestamp"))];
        let is_unreliable = |status: &str| ["unreliable", "invalid"].iter().any(|is| status.eq_ignore_ascii_case(is));
        if time == TimeStatus::Stated
            && marks.into_iter().flatten().filter_map(Element::clock_status).any(is_unreliable)
        {
            time = TimeStatus::Unreliable;
        }
        let is_smets1 = content.within(&["SMETS1Response", "SMETS1ResponseMessage"]).is_some();
        let code = described(content, descriptions)?;
        let note = if content.child_text("GBCSHexAlertCode").is_none() {
            content.child_text("AlertDescription")
        } else {
            None
        };
        let mut time_of = |name: &str| time_within(content, name, document, notices);
        let (interrupted_ms, restored_ms) = (time_of("interruptionValue"), time_of("restorationValue"));
        let note = note.map_or_else(Note::default, |text| note_of("AlertDescription", text, notices));
        Ok(Self {
            code,
            id: header.map(parties).transpose()?.flatten(),
            occurred_ms,
            time,
            generation: if is_smets1 { Generation::Smets1 } else { Generation::Unknown },
            // A GBCS message is told by its own bytes, which are not here.
            digest: if is_smets1 { message.map_or(0, digest_of) } else { 0 },
            details: Details { interrupted_ms, restored_ms, note, ..Details::default() },
        })
    }

    /// The alert, addressed as its own header says, or else as that of the document does.
    fn alert(&self, header: &Header, throttle: Throttle, notices: Notices<'_>) -> Result<Alert, Wrong> {
        let outside = header.id();
        let (device, recipient, counter) = match (self.id, outside) {
            (Some((device, Eui64::NONE, counter)), _) => {
                // The envelope knows whom it was sent to, where it is of the same device.
                let envelope = header.response.filter(|id| id.from == device);
                (device, envelope.map_or(Eui64::NONE, |id| id.to), Some(counter))
            }
            (Some((device, recipient, counter)), _) => (device, recipient, Some(counter)),
            (None, Some(id)) => (id.from, id.to, id.counter),
            (None, None) => {
                let missing = "it is missing, and there is no ResponseID either".to_owned();
                return Err(header.nobody("BusinessOriginatorID", missing));
            }
        };
        let base = header.alert(self.code, device, throttle);
        let details = Details { throttle_sequence: throttle.sequence, ..self.details };
        let message = Message { time: self.time, digest: self.digest, ..base.message };
        let alert = Alert {
            recipient,
            counter,
            occurred_ms: self.occurred_ms,
            generation: self.generation,
            message,
            details,
            ..base
        };
        if self.id.is_some() {
            compare(self.code, self.code, header.response, &alert, notices);
        }
        Ok(alert)
    }
}

/// The time of an outage; left out, with a note, where the elements of the name differ.
fn time_within(content: Element<'_>, name: &str, document: &Header, notices: Notices<'_>) -> Option<Millis> {
    let in_outage = |element: &Element<'_>| element.within(&["SupplyOutageRestoreAlert"]).is_some();
    let mut named = content.descendants().filter(|element| element.name() == name && in_outage(element));
    let first = named.next()?;
    if named.any(|other| other.text() != first.text()) {
        notices(name, "it occurs twice, with different times: left out".to_owned());
        return None;
    }
    document.time(first, notices).0
}

fn party(text: &str) -> Result<Eui64, String> {
    let eui = Eui64::from_str(text).map_err(|error| error.to_string())?;
    eui.of_device().map_err(|error| error.to_string())
}

/// Device, recipient and counter; `None` where no device is named.
fn parties(header: Element<'_>) -> Result<Option<(Eui64, Eui64, u64)>, Wrong> {
    let Some(device) = field(header, "BusinessOriginatorID")? else { return Ok(None) };
    let device = party(device).map_err(|why| ("BusinessOriginatorID", why))?;
    let recipient = field(header, "BusinessTargetID")?.map(party).transpose();
    let recipient = recipient.map_err(|why| ("BusinessTargetID", why))?.unwrap_or(Eui64::NONE);
    let text = field(header, "OriginatorCounter")?.ok_or(("OriginatorCounter", "it is missing".to_owned()))?;
    let wrong = |_| ("OriginatorCounter", format!("expected an integer of 64 bits, found {}", shown(text)));
    Ok(Some((device, recipient, text.parse().map_err(wrong)?)))
}

/// The code of an alert, or else the one that its description stands for.
fn described(content: Element<'_>, descriptions: &Descriptions) -> Result<AlertCode, Wrong> {
    const FIELD: &str = "GBCSHexAlertCode";
    if let Some(text) = field(content, FIELD)? {
        let code = AlertCode::from_str(text).map_err(|error| (FIELD, error.to_string()))?;
        let why = || format!("{} is no code of such an alert", shown(text));
        return if code.is_of_dcc() { Err((FIELD, why())) } else { Ok(code) };
    }
    let description = only(content, "AlertDescription").map_err(|why| ("AlertDescription", why))?;
    let Some(description) = description.map(Element::text).filter(|text| !text.is_empty()) else {
        return Err((FIELD, "it is missing, and there is no AlertDescription either".to_owned()));
    };
    descriptions.get(description).copied().ok_or_else(|| {
        let found = format!("{:?}", description.chars().take(100).collect::<String>());
        let way_out = "a row with this description in the code table (--code-table) gives it one";
        (FIELD, format!("it is missing, and no code is known for the description {found}; {way_out}"))
    })
}

/// What tells a SMETS1 message, or an outage, from others: all that its elements say, whatever their prefixes and the blanks between them.
pub(super) fn digest_of(message: Element<'_>) -> u64 {
    let mut said = String::new();
    for element in message.descendants().filter(|element| element.within(&["Signature"]).is_none()) {
        let _ = writeln!(said, "{}={}", element.name(), element.text());
    }
    digest(said.as_bytes())
}
