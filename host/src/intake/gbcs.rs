//! One GBCS alert message as it travels: signed or MAC'd, with a DLMS, GBZ or ASN.1 payload.
//!
//! It must not know how the bytes arrived, and it verifies no signature: whoever holds the keys did. Invariants: every
//! length must fit exactly, what is left over is an error, every error says at which byte; nothing is allocated, and
//! no input makes it panic.
//!
//! ```text
//! MAC'd only:  DD, six absent fields | length of all that follows | 11, invocation counter 0
//! always:      DF | 09, alert (03), counter u64 | 08, originator | 08, recipient | no date-time
//!              | length, message code u16, further parties | length, payload | length, signature
//! MAC'd only:  12 bytes of MAC
//! ```
//!
//! What follows the code and the time in a payload is not read: it differs by use case, and new ones come with every
//! release.

mod cursor;
pub(super) mod network_data;
mod payload;

use cursor::Cursor;
pub use cursor::{Defect, GbcsError};

use super::digest;
use crate::domain::{Alert, Details, Eui64, Generation, Message, Millis};

/// Message code of the alert on a supply outage, the one that carries two more times.
const MESSAGE_CODE_OUTAGE: u16 = 0x0067;
const SIGNATURE_BYTES: usize = 64;
const MAC_BYTES: usize = 12;

/// How a message is authenticated. That it is, is not checked here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// It has the signature of a critical alert.
    Signed,
    /// It has the MAC of a non-critical alert.
    Maced,
    /// It has neither.
    None,
}

/// All that is read from a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The alert. It has no time of receipt and no measurement: no message carries one.
    pub alert: Alert,
    /// Which kind of message it is, for example 0x1001 for a generic non-critical alert.
    pub message_code: u16,
    /// When the supply went and when it came back, in milliseconds since 1970-01-01T00:00:00Z, where it says so.
    pub outage: Option<(Millis, Millis)>,
    /// How it is authenticated.
    pub authentication: Authentication,
}

/// Reads one message.
pub fn decode(message: &[u8]) -> Result<Decoded, GbcsError> {
    let mut cursor = Cursor::new(message);
    let maced = unwrap_mac(&mut cursor)?;
    let (counter, originator, recipient) = grouping_header(&mut cursor, ALERT)?;
    cursor.literal(&[0x00], "date-time", "00 (absent)")?;
    let message_code = other_information(&mut cursor)?;
    let payload = payload::read(cursor.section("payload")?, message_code == MESSAGE_CODE_OUTAGE)?;
    let signed = ending(&mut cursor, maced)?;
    let authentication = match (signed, maced) {
        (true, _) => Authentication::Signed,
        (false, true) => Authentication::Maced,
        (false, false) => Authentication::None,
    };
    let (interrupted_ms, restored_ms) = payload.outage.unzip();
    let details = Details { interrupted_ms, restored_ms, ..Details::default() };
    let alert = Alert {
        device: originator,
        recipient,
        counter: Some(counter),
        code: payload.code,
        occurred_ms: payload.occurred_ms,
        dcc_ms: None,
        received_ms: None,
        measurement: None,
        weight: 1,
        payload: payload.kind,
        generation: Generation::Unknown,
        message: Message { digest: digest(message), time: payload.time, ..Message::default() },
        details,
    };
    Ok(Decoded { alert, message_code, outage: payload.outage, authentication })
}

/// Passes over the wrapper of a MAC'd message and says whether there is one.
fn unwrap_mac(cursor: &mut Cursor<'_>) -> Result<bool, GbcsError> {
    match cursor.peek() {
        Some(0xDF) => return Ok(false),
        Some(0xDD) => cursor.skip_byte(),
        Some(found) => {
            return Err(cursor.error(Defect::Unexpected {
                field: "message type",
                found,
                expected: "DF (signed) or DD (MAC'd)",
            }));
        }
        None => return Err(cursor.error(Defect::Truncated { field: "message", missing: 1 })),
    }
    cursor.literal(&[0; 6], "MAC wrapper", "00 (absent)")?;
    cursor.length_of_rest("MAC wrapper")?;
    cursor.literal(&[0x11], "security control", "11 (authenticated)")?;
    cursor.literal(&[0; 4], "invocation counter", "00")?;
    Ok(true)
}

/// Kinds of messages, each with what is expected in its place.
const ALERT: (u8, &str) = (0x03, "03 (alert; 01 is a command, 02 a response)");
const RESPONSE: (u8, &str) = (0x02, "02 (response; 01 is a command, 03 an alert)");

/// Originator counter, originator and recipient of a message of some kind, up to its date-time.
fn grouping_header(
    cursor: &mut Cursor<'_>,
    (kind, expected): (u8, &'static str),
) -> Result<(u64, Eui64, Eui64), GbcsError> {
    cursor.literal(&[0xDF], "grouping header", "DF")?;
    cursor.literal(&[0x09], "transaction id", "09 (its length)")?;
    cursor.literal(&[kind], "message kind", expected)?;
    let counter = cursor.u64("originator counter")?;
    cursor.literal(&[0x08], "originator", "08 (its length)")?;
    let at = cursor.offset();
    let originator = cursor.u64("originator")?;
    if let Err(error) = Eui64(originator).of_device() {
        return Err(GbcsError { offset: at, defect: Defect::NoOriginator(error) });
    }
    cursor.literal(&[0x08], "recipient", "08 (its length)")?;
    let at = cursor.offset();
    let recipient = Eui64(cursor.u64("recipient")?);
    if recipient == Eui64::BROADCAST {
        return Err(GbcsError { offset: at, defect: Defect::NoRecipient });
    }
    Ok((counter, Eui64(originator), recipient))
}

/// The message code. After it may stand the id of a further party, then counters and certificates.
fn other_information(cursor: &mut Cursor<'_>) -> Result<u16, GbcsError> {
    let mut section = cursor.section("other information")?;
    let code = section.u16("message code")?;
    if section.remaining() > 0 {
        section.u64("further party")?;
    }
    Ok(code)
}

/// Passes over the signature and says whether there is one.
fn signature(cursor: &mut Cursor<'_>) -> Result<bool, GbcsError> {
    let section = cursor.section("signature")?;
    match section.remaining() {
        0 => Ok(false),
        SIGNATURE_BYTES => Ok(true),
        found => Err(section.error(Defect::Length { field: "signature", found, expected: "0 or 64" })),
    }
}

/// Passes over what follows the payload, to the end of the message; says whether there is a signature.
fn ending(cursor: &mut Cursor<'_>, maced: bool) -> Result<bool, GbcsError> {
    let signed = signature(cursor)?;
    if maced {
        cursor.take(MAC_BYTES, "MAC")?;
    }
    cursor.end()?;
    Ok(signed)
}

#[cfg(test)]
pub(super) mod tests;
