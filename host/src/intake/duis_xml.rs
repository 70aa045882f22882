//! DUIS response documents with alerts in them: what the DCC sends to its users, one document or many in a row.
//!
//! It must not know how documents arrived, and it verifies no signature: whoever holds the keys did. Invariants: an alert
//! whose envelope can be read is not lost for the sake of its payload; where the two disagree that is said, and the
//! envelope's code is kept.
//!
//! ```text
//! Response
//!   Header   RequestID?, ResponseID? (EUI-64:EUI-64:counter, who it comes from first), ResponseDateTime?
//!   Body     DeviceAlertMessage              AlertCode, ThrottledAlertCount?, GBCSPayload (base64)
//!         or DCCAlertMessage                 DCCAlertCode, ThrottledAlertCount?, DCCAlert (a tree of its own)
//!         or ... FutureDatedDeviceAlertMessage  FutureDatedAlertCode, GBCSPayload, InstructionNumber
//! ```
//!
//! Names are told by what stands after their prefix. An alert of the DCC is of the devices that its tree names, and of its
//! sender where it names none. A counter belongs to the sender of its ResponseID. That of a RequestID is the user's, who asked:
//! an alert that has no other ID has no counter, and is told from others by its whole document.

use std::{collections::VecDeque, io::BufRead, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{LineError, digest, gbcs, shown};
use crate::domain::{Alert, AlertCode, Eui64, Generation, Message, Millis, PayloadKind};

mod documents;
mod envelope;

use documents::Documents;
use envelope::{Envelope, Kind};

/// How a throttled alert's count of copies is meant: the documents do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThrottledCount {
    /// Of those that were withheld, beside the one that was delivered.
    #[default]
    Withheld,
    /// Of all, with the one that was delivered.
    All,
}

/// The alerts of documents.
pub struct Alerts<R> {
    documents: Documents<R>,
    throttled: ThrottledCount,
    /// Alerts of the document read last that were not handed out.
    ready: VecDeque<Alert>,
    line: u64,
    remarks: VecDeque<LineError>,
}

impl<R: BufRead> Alerts<R> {
    /// Takes the input; nothing is read yet.
    pub fn new(reader: R, throttled: ThrottledCount) -> Self {
        Self { documents: Documents::new(reader), throttled, ready: VecDeque::new(), line: 0, remarks: VecDeque::new() }
    }

    /// Number of the line on which the document of the last item begins.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// What is to be said of a document whose alert was taken, or of one that has none.
    pub fn remark(&mut self) -> Option<LineError> {
        self.remarks.pop_front()
    }

    /// Makes alerts of a document; none where it has none.
    fn take(&mut self, line: u64, document: &[u8]) -> Result<(), LineError> {
        let wrong = |(field, message): (&str, String)| LineError::new(line, field, message);
        let envelope = envelope::read(document).map_err(wrong)?;
        let (remarks, ready) = (&mut self.remarks, &mut self.ready);
        let mut remark = |field: &str, message: String| remarks.push_back(LineError::new(line, field, message));
        let Some(kind) = envelope.kind else {
            remark("Body", "it holds no alert; passed over".to_owned());
            return Ok(());
        };
        let header = Header::read(&envelope, kind, self.throttled, &mut remark).map_err(wrong)?;
        if kind == Kind::Dcc {
            let whole = digest(documents::without_blanks(document));
            ready.extend(header.of_devices(&envelope.devices, whole, &mut remark).map_err(wrong)?);
        } else {
            ready.push_back(header.with_payload(&envelope, &mut remark).map_err(wrong)?);
        }
        Ok(())
    }
}

impl<R: BufRead> Iterator for Alerts<R> {
    type Item = Result<Alert, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(alert) = self.ready.pop_front() {
                return Some(Ok(alert));
            }
            let (line, document) = match self.documents.next()? {
                Ok(document) => document,
                Err(error) => {
                    self.line = error.line;
                    return Some(Err(error));
                }
            };
            self.line = line;
            if let Err(error) = self.take(line, &document) {
                return Some(Err(error));
            }
        }
    }
}

/// What the envelope alone says of an alert.
#[derive(Debug, Clone, Copy)]
struct Header {
    code: AlertCode,
    /// Who sent it, whom to, and the sender's counter.
    id: Option<(Eui64, Eui64, Option<u64>)>,
    instruction: u32,
    /// When the DCC answered. Where the document came from, nobody noted when it was received, so this stands for it too.
    dcc_ms: Option<Millis>,
    weight: u32,
}

impl Header {
    fn read(
        envelope: &Envelope,
        kind: Kind,
        throttled: ThrottledCount,
        remark: &mut dyn FnMut(&str, String),
    ) -> Result<Self, (&'static str, String)> {
        let code_field = kind.code();
        let text = envelope.code.as_deref().ok_or((code_field, "it is missing".to_owned()))?;
        let code = AlertCode::from_str(text).map_err(|error| (code_field, error.to_string()))?;
        if code.is_of_dcc() != (kind == Kind::Dcc) {
            return Err((code_field, format!("{} is no code of such an alert", shown(text))));
        }
        let response =
            envelope.response_id.as_deref().map(id).transpose().map_err(|message| ("ResponseID", message))?;
        let request = || envelope.request_id.as_deref().map(id).transpose().map_err(|message| ("RequestID", message));
        let id = match response {
            Some((from, to, counter)) => Some((from, to, Some(counter))),
            // The user asked the device, which answers without a counter of its own.
            None => request()?.map(|(user, device, _)| (device, user, None)),
        };
        let number = |text: &str| {
            let read = text.parse::<u32>();
            if read.is_err() {
                let message = format!("expected an integer of 32 bits, found {}; taken as not stated", shown(text));
                remark("InstructionNumber", message);
            }
            read.unwrap_or(0)
        };
        let instruction = envelope.instruction_number.as_deref().map_or(0, number);
        let time = |text: &str| -> Result<Millis, (&'static str, String)> {
            let wrong =
                |_| ("ResponseDateTime", format!("expected a time like 2026-11-23T09:30:00Z, found {}", shown(text)));
            text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond).map_err(wrong)
        };
        let dcc_ms = envelope.time.as_deref().map(time).transpose()?;
        let copies = envelope.throttled_count.as_deref().map(|text| {
            let wrong = |_| ("ThrottledAlertCount", format!("expected an integer of 32 bits, found {}", shown(text)));
            text.parse::<u32>().map_err(wrong)
        });
        let weight = match (copies.transpose()?, throttled) {
            (None, _) => 1,
            (Some(withheld), ThrottledCount::Withheld) => withheld.saturating_add(1),
            (Some(all), ThrottledCount::All) => all.max(1),
        };
        Ok(Self { code, id, instruction, dcc_ms, weight })
    }

    /// An alert as far as the envelope goes. `None` where that names nobody.
    fn alert(&self) -> Option<Alert> {
        let (device, recipient, counter) = self.id?;
        let Self { code, dcc_ms, weight, instruction, .. } = *self;
        let (message, payload) = (Message { instruction, ..Message::default() }, PayloadKind::Unspecified);
        Some(Alert {
            device,
            recipient,
            counter,
            code,
            occurred_ms: None,
            dcc_ms,
            received_ms: dcc_ms,
            measurement: None,
            weight,
            payload,
            generation: Generation::Unknown,
            message,
        })
    }

    /// The alert of a device, with what its payload says.
    fn with_payload(
        &self,
        envelope: &Envelope,
        remark: &mut dyn FnMut(&str, String),
    ) -> Result<Alert, (&'static str, String)> {
        let outside = self.alert();
        let bytes = payload(envelope.payload.as_deref());
        let decoded = bytes
            .as_ref()
            .map_err(String::clone)
            .and_then(|bytes| gbcs::decode(bytes).map_err(|error| error.to_string()));
        let inside = match (decoded, outside) {
            (Ok(decoded), _) => decoded.alert,
            (Err(why), None) => return Err(("GBCSPayload", format!("{why}, and the header names no device either"))),
            (Err(why), Some(outside)) => {
                remark("GBCSPayload", format!("{why}; the alert is taken as its envelope has it"));
                let digest = bytes.map_or(0, |bytes| digest(&bytes));
                return Ok(Alert { message: Message { digest, ..outside.message }, ..outside });
            }
        };
        if inside.code != self.code {
            remark(
                "AlertCode",
                format!("{} in the envelope and {} in the payload; the first is kept", self.code, inside.code),
            );
        }
        if let Some(outside) = outside.filter(|outside| {
            outside.device != inside.device || outside.counter.is_some_and(|c| Some(c) != inside.counter)
        }) {
            let named = |alert: &Alert| format!("{}, counter {}", alert.device, alert.counter.unwrap_or(0));
            let (outside, inside) = (named(&outside), named(&inside));
            remark("ResponseID", format!("{outside} in the envelope and {inside} in the payload; the second is kept"));
        }
        let Self { code, dcc_ms, weight, instruction, .. } = *self;
        let message = Message { instruction, ..inside.message };
        Ok(Alert { code, dcc_ms, received_ms: dcc_ms, weight, message, ..inside })
    }

    /// An alert of the DCC, once for each device that it names; else once for its sender.
    fn of_devices(
        &self,
        devices: &[String],
        document: u64,
        remark: &mut dyn FnMut(&str, String),
    ) -> Result<Vec<Alert>, (&'static str, String)> {
        let mut named: Vec<Eui64> = Vec::new();
        for text in devices {
            match Eui64::from_str(text) {
                Ok(eui) if !named.contains(&eui) => named.push(eui),
                Ok(_) => {}
                Err(error) => remark("DeviceID", error.to_string()),
            }
        }
        let sender = self.id.map(|(from, ..)| from);
        if named.is_empty() {
            let nobody = "it is missing, and the document names no device either: nothing says whom the alert is of";
            named.push(sender.ok_or(("ResponseID", nobody.to_owned()))?);
        }
        let Self { code, id, instruction, dcc_ms, weight } = *self;
        let (recipient, counter) = id.map_or((Eui64::NONE, None), |(_, to, counter)| (to, counter));
        let counted_by = counter.and(sender).unwrap_or(Eui64::NONE);
        let digest = if counter.is_none() { document } else { 0 };
        let alert = |device: Eui64| Alert {
            device,
            recipient,
            counter,
            code,
            occurred_ms: None,
            dcc_ms,
            received_ms: dcc_ms,
            measurement: None,
            weight,
            payload: PayloadKind::Unspecified,
            generation: Generation::Unknown,
            message: Message { sender: counted_by, instruction, digest, ..Message::default() },
        };
        Ok(named.into_iter().map(alert).collect())
    }
}

/// `EUI-64:EUI-64:counter`.
fn id(text: &str) -> Result<(Eui64, Eui64, u64), String> {
    let wrong = || format!("expected EUI-64:EUI-64:counter, found {}", shown(text));
    let (rest, counter) = text.rsplit_once(':').ok_or_else(wrong)?;
    // An EUI-64 may be written with colons too.
    let middle = rest.len() / 2;
    let (from, to) = rest.split_at_checked(middle).ok_or_else(wrong)?;
    let to = to.strip_prefix(':').ok_or_else(wrong)?;
    let eui = |text: &str| Eui64::from_str(text).map_err(|_| wrong());
    Ok((eui(from)?, eui(to)?, counter.parse().map_err(|_| wrong())?))
}

/// The bytes of the message inside, or why there are none.
fn payload(base64: Option<&str>) -> Result<Vec<u8>, String> {
    let base64 = base64.ok_or("it is missing")?;
    let compact: String = base64.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    STANDARD.decode(compact).map_err(|error| format!("not base64: {error}"))
}

#[cfg(test)]
mod tests;
