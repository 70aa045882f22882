//! The parts of one document that an alert is made of, as texts.
//!
//! It must not know what a text means. Invariants: depth and texts are bounded; no entity but the five of XML and numbered
//! characters is resolved, and a document type ends the reading.

use quick_xml::{Reader, events::Event};

use super::super::{said, shown};

/// Elements within elements.
const DEPTH_MAX: usize = 32;
/// Bytes of the text of a payload, and of any other element that is looked at.
const PAYLOAD_BYTES_MAX: usize = 16 << 10;
const TEXT_BYTES_MAX: usize = 200;
/// Devices that one alert of the DCC names.
const DEVICES_MAX: usize = 1_000;

/// What kind of alert a document has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of a device.
    Device,
    /// Of the DCC.
    Dcc,
    /// Of a device that did what it was told to do later.
    FutureDated,
}

impl Kind {
    fn of_element(name: &str) -> Option<Self> {
        match name {
            "DeviceAlertMessage" => Some(Self::Device),
            "DCCAlertMessage" => Some(Self::Dcc),
            "FutureDatedDeviceAlertMessage" => Some(Self::FutureDated),
            _ => None,
        }
    }

    /// The element that has its code.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Device => "AlertCode",
            Self::Dcc => "DCCAlertCode",
            Self::FutureDated => "FutureDatedAlertCode",
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    pub(super) kind: Option<Kind>,
    pub(super) response_id: Option<String>,
    pub(super) request_id: Option<String>,
    /// The ResponseDateTime.
    pub(super) time: Option<String>,
    pub(super) code: Option<String>,
    pub(super) throttled_count: Option<String>,
    pub(super) instruction_number: Option<String>,
    pub(super) payload: Option<String>,
    /// Devices in the tree of an alert of the DCC.
    pub(super) devices: Vec<String>,
}

/// What is wrong with a document: the part of it, and what is.
pub(super) type Wrong = (&'static str, String);

/// Reads one document.
pub(super) fn read(document: &[u8]) -> Result<Envelope, Wrong> {
    let wrong = |message: String| ("document", message);
    let text = std::str::from_utf8(document)
        .map_err(|error| wrong(format!("not UTF-8 from byte {} on", error.valid_up_to())))?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<String> = Vec::new();
    let mut content = String::new();
    let mut envelope = Envelope::default();
    let mut roots = 0;
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|error| wrong(format!("byte {at}: {}", said(&error))))?;
        match event {
            Event::Start(start) => {
                roots += u32::from(open.is_empty());
                if open.len() == DEPTH_MAX {
                    return Err(wrong(format!("byte {at}: elements lie more than {DEPTH_MAX} deep")));
                }
                open.push(start.local_name().as_ref().to_owned());
                content.clear();
                envelope.enter(&open)?;
            }
            Event::Empty(empty) => {
                roots += u32::from(open.is_empty());
                open.push(empty.local_name().as_ref().to_owned());
                envelope.enter(&open)?;
                open.pop();
                content.clear();
            }
            Event::End(_) => {
                envelope.leave(&open, content.trim())?;
                open.pop();
                content.clear();
            }
            Event::Text(text) => append(&mut content, &text.xml10_content()),
            Event::CData(text) => append(&mut content, &text.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().map_err(|error| wrong(said(&error)))? {
                    Some(character) => character,
                    None => predefined(&reference.xml10_content()).map_err(wrong)?,
                };
                append(&mut content, character.encode_utf8(&mut [0; 4]));
            }
            Event::DocType(_) => return Err(wrong("it has a document type, and no such document is read".to_owned())),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    match (open.last(), roots) {
        (Some(open), _) => Err(wrong(format!("it ends within {}", shown(open)))),
        (None, 1) => Ok(envelope),
        (None, roots) => Err(wrong(format!("expected one root element, found {roots}"))),
    }
}

/// Adds to the text of an element. What is beyond every limit is not kept, but it is known to have been there.
fn append(content: &mut String, text: &str) {
    if content.len() <= PAYLOAD_BYTES_MAX {
        content.push_str(text);
    }
}

fn predefined(name: &str) -> Result<char, String> {
    match name {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        _ => Err(format!("the entity {} is not known", shown(name))),
    }
}

impl Envelope {
    /// An element begins.
    fn enter(&mut self, open: &[String]) -> Result<(), Wrong> {
        let Some(kind) = open.last().and_then(|name| Kind::of_element(name)) else { return Ok(()) };
        if self.kind.replace(kind).is_some() {
            return Err(("Body", "it holds more than one alert".to_owned()));
        }
        Ok(())
    }

    /// An element with this text ends.
    fn leave(&mut self, open: &[String], text: &str) -> Result<(), Wrong> {
        let Some(name) = open.last() else { return Ok(()) };
        let parent = open.len().checked_sub(2).map_or("", |at| open[at].as_str());
        if self.kind == Some(Kind::Dcc) && open.iter().any(|name| name == "DCCAlert") {
            // Whoever raised it writes the name one way or another.
            if name.eq_ignore_ascii_case("DeviceID") && self.devices.len() < DEVICES_MAX {
                self.devices.push(kept("DeviceID", text, TEXT_BYTES_MAX)?);
            }
            return Ok(());
        }
        let in_alert = Kind::of_element(parent).is_some();
        match (parent, name.as_str()) {
            ("Header", "ResponseID") => self.response_id = Some(kept("ResponseID", text, TEXT_BYTES_MAX)?),
            ("Header", "RequestID") => self.request_id = Some(kept("RequestID", text, TEXT_BYTES_MAX)?),
            ("Header", "ResponseDateTime") => self.time = Some(kept("ResponseDateTime", text, TEXT_BYTES_MAX)?),
            (_, "ThrottledAlertCount") if in_alert => {
                self.throttled_count = Some(kept("ThrottledAlertCount", text, TEXT_BYTES_MAX)?);
            }
            (_, "InstructionNumber") if in_alert => {
                self.instruction_number = Some(kept("InstructionNumber", text, TEXT_BYTES_MAX)?);
            }
            (_, "GBCSPayload") if in_alert => self.payload = Some(kept("GBCSPayload", text, PAYLOAD_BYTES_MAX)?),
            (_, name) if in_alert && self.kind.is_some_and(|kind| kind.code() == name) => {
                self.code = Some(kept("AlertCode", text, TEXT_BYTES_MAX)?);
            }
            _ => {}
        }
        Ok(())
    }
}

fn kept(field: &'static str, text: &str, bytes_max: usize) -> Result<String, Wrong> {
    if text.len() > bytes_max {
        return Err((field, format!("longer than {bytes_max} bytes")));
    }
    Ok(text.to_owned())
}
