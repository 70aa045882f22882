//! DUIS response documents with alerts in them: what the DCC sends to its users, one document or many in a row, as they come
//! or wrapped, and what adapters and the DCC's Parse and Correlate software make of them.
//!
//! It must not know how documents arrived, and it verifies no signature: whoever holds the keys did. Invariants: an alert
//! whose envelope can be read is not lost for the sake of its payload; one alert that is told twice in a document, raw and
//! parsed, is one; what was left out of an alert is in the alert, and said.
//!
//! ```text
//! Response
//!   Header   RequestID?, ResponseID? (EUI-64:EUI-64:counter, who it comes from first), ResponseDateTime?
//!   Body     DeviceAlertMessage              AlertCode, ThrottledAlertCount?, GBCSPayload (base64)
//!         or DCCAlertMessage                 DCCAlertCode, ThrottledAlertCount?, DCCAlert (a tree of its own)
//!         or ... FutureDatedDeviceAlertMessage  FutureDatedAlertCode, GBCSPayload, InstructionNumber
//!         or SMETS1ResponseMessage           ThrottledAlertCount?, ... SMETS1Response
//!
//! SMETS1Response or GBCSResponse
//!   Header   BusinessOriginatorID, BusinessTargetID, OriginatorCounter, Timestamp? (ClockStatus)
//!   Body     DeviceAlertMessage / DeviceAlertContent   GBCSHexAlertCode?, AlertDescription, Timestamp
//! ```
//!
//! Names are told by what stands after their prefix. A counter belongs to the sender of its ResponseID. That of a RequestID is
//! the user's, who asked: an alert that has no other ID has no counter, and is told from others by its whole document.

use std::{collections::BTreeMap, io::BufRead, sync::Arc};

use jiff::tz::TimeZone;

use super::{LineError, digest, text::Encoding};
use crate::domain::{Alert, AlertCode, WEIGHT_MAX};

mod dcc;
mod device;
mod documents;
mod encoding;
mod header;
mod inventory;
mod items;
mod network_data;
mod responses;
mod time;
mod tree;
mod voltage_settings;

use device::Found;
use header::{Header, Notices, Throttle};
pub use inventory::Inventory;
use items::Items;
pub(super) use network_data::network_data;
pub use responses::Responses;
pub(super) use responses::Take;
use tree::{Element, Tree};
pub(super) use voltage_settings::voltage_settings;

/// How a throttled alert's count of copies is meant: the documents do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThrottledCount {
    /// Of those that were withheld, beside the one that was delivered.
    #[default]
    Withheld,
    /// Of all, with the one that was delivered.
    All,
}

/// Codes of alerts that state a description and no code, by that description, to the character.
pub type Descriptions = Arc<BTreeMap<String, AlertCode>>;

/// Bytes of one document, unless a caller says otherwise.
pub const DOCUMENT_BYTES_MAX: usize = 256 << 10;
/// Bytes of one document, whatever a caller says. One that is read takes about three times as much memory.
pub const DOCUMENT_BYTES_LIMIT: usize = 16 << 20;

/// How documents are read.
#[derive(Debug, Clone)]
pub struct Options {
    /// How counts of throttled alerts are meant.
    pub throttled: ThrottledCount,
    /// Codes of alerts that state a description alone.
    pub descriptions: Descriptions,
    /// Zone of times that state none. `None` leaves such times out.
    pub zone: Option<TimeZone>,
    /// Encoding of documents that declare none, or another one that they are not in. `None`: UTF-8, or UTF-16 by its mark or
    /// first character.
    pub encoding: Option<Encoding>,
    /// Bytes of one document, at most [`DOCUMENT_BYTES_LIMIT`].
    pub document_bytes_max: usize,
    /// Most alerts that one stands for: what the host takes. A larger count is cut to it, with a note.
    pub weight_max: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            throttled: ThrottledCount::default(),
            descriptions: Descriptions::default(),
            zone: None,
            encoding: None,
            document_bytes_max: DOCUMENT_BYTES_MAX,
            weight_max: WEIGHT_MAX,
        }
    }
}

/// What is wrong with a document: the part of it, and what is.
type Wrong = (&'static str, String);

/// What kind of alert a document has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
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
    fn code(self) -> &'static str {
        match self {
            Self::Device => "AlertCode",
            Self::Dcc => "DCCAlertCode",
            Self::FutureDated => "FutureDatedAlertCode",
        }
    }
}

/// The alerts of documents.
pub struct Alerts<R> {
    items: Items<R, Alert>,
    options: Options,
}

impl<R: BufRead> Alerts<R> {
    /// Takes the input; nothing is read yet.
    pub fn new(reader: R, throttled: ThrottledCount) -> Self {
        Self::of(reader, Options { throttled, ..Options::default() })
    }

    /// The same, with reading options.
    pub fn of(reader: R, options: Options) -> Self {
        let bytes_max = options.document_bytes_max.min(DOCUMENT_BYTES_LIMIT);
        Self { items: Items::new(reader, bytes_max, options.encoding), options }
    }

    /// Number of the line on which the document of the last item begins.
    pub fn line(&self) -> u64 {
        self.items.line()
    }

    /// What is to be said of a document whose alert was taken, or of one that has none.
    pub fn remark(&mut self) -> Option<LineError> {
        self.items.remark()
    }
}

impl<R: BufRead> Iterator for Alerts<R> {
    type Item = Result<Alert, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { items, options } = self;
        items.next(|tree, text, notices, alerts| take(options, (tree, text), notices, alerts))
    }
}

/// Makes alerts of a document; none where it has none.
fn take(
    options: &Options,
    (tree, text): (&Tree, &str),
    notices: Notices<'_>,
    alerts: &mut Vec<Result<Alert, Wrong>>,
) -> Result<(), Wrong> {
    let root = tree.root();
    let Some(found) = find(root)? else {
        let what = match root.find("DSPInventory") {
            Some(_) => "it holds an inventory and no alert; weir device load takes it",
            None => "it holds no alert",
        };
        notices("Body", format!("{what}; passed over"));
        return Ok(());
    };
    // The header of a parsed document is that of the message, and is read with it.
    let header = root.child("Header").filter(|_| root.name() == "Response");
    let header = Header::read(header, options.zone.clone(), notices);
    let throttled = found.raw.or_else(|| found.content?.within(&["SMETS1ResponseMessage"]));
    let throttle = match throttled {
        Some(marked) => Throttle::read(marked, (options.throttled, options.weight_max), notices),
        None => Throttle::NONE,
    };
    if let (Kind::Dcc, Some(message)) = (found.kind, found.raw) {
        let code = device::code(found.kind, message)?;
        alerts.extend(dcc::alerts(&header, (code, throttle), message, digest(text.as_bytes()), notices));
    } else {
        alerts.push(Ok(device::alert(&header, &found, throttle, &options.descriptions, notices)?));
    }
    Ok(())
}

/// Returns true for the beginning of documents: what it begins with is `<`, in whatever encoding.
pub fn begins(head: &[u8]) -> bool {
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0 | 0xEF | 0xBB | 0xBF | 0xFE | 0xFF);
    head.iter().find(|byte| !is_blank(byte)) == Some(&b'<')
}

/// Finds the alert of a document. One that is there twice, as it came and parsed, is one.
fn find(root: Element<'_>) -> Result<Option<Found<'_>>, Wrong> {
    let (mut raw, mut content) = (None, None);
    for element in root.descendants() {
        if element.name() == "DeviceAlertContent" {
            if content.replace(element).is_some() {
                return Err(("Body", "it holds more than one parsed alert".to_owned()));
            }
            continue;
        }
        let Some(kind) = Kind::of_element(element.name()) else { continue };
        // A message that was parsed has its content where others have a code.
        let has = |name: &str| element.child(name).is_some();
        let is_parsed = (has("DeviceAlertContent") || has("GBCSData")) && !has(kind.code()) && !has("GBCSPayload");
        if !is_parsed && raw.replace((kind, element)).is_some() {
            return Err(("Body", "it holds more than one alert".to_owned()));
        }
        if is_parsed && element.child("DeviceAlertContent").is_none() && raw.is_none() {
            return Err((
                "DeviceAlertContent",
                "it is missing: the alert was parsed in part, for a second pass".to_owned(),
            ));
        }
    }
    Ok(match (raw, content) {
        (None, None) => None,
        (None, Some(_)) => Some(Found { kind: Kind::Device, raw: None, content }),
        (Some((kind, raw)), content) => Some(Found { kind, raw: Some(raw), content }),
    })
}

#[cfg(test)]
mod tests;
