//! Intake: what comes in as bytes becomes alerts, devices, readings and thresholds, one file a format.
//!
//! It must not know a network, a store or a rule, and does no I/O beyond the `BufRead` it is handed. Invariants: a bad
//! line is named and the next one is read; memory is bounded by the longest line that is allowed; nothing panics on
//! any input.

use std::io::BufRead;

use sha2::{Digest, Sha256};

use crate::domain::Alert;

mod alert_row;
pub mod claims;
pub mod columnar;
pub mod compressed;
pub mod csv;
pub mod dates;
pub mod duis_xml;
pub mod form;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
pub mod gbcs;
pub mod gbcs_hex;
mod headings;
mod identifiers;
pub mod inventory;
mod lines;
pub mod ndjson;
mod oddities;
mod placeholder;
pub mod plausible;
pub mod readings;
mod record;
mod rows;
pub mod sources;
pub mod tables;
mod text;
pub mod thresholds;
pub mod times;
mod values;
mod voltage_text;

pub use lines::LINE_BYTES_MAX;

/// A line that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {field}: {message}")]
pub struct LineError {
    /// Number of the line, from 1.
    pub line: u64,
    /// The column, or the part of the message, at fault.
    pub field: String,
    /// The value it had and what is allowed. Bounded, and free of control characters.
    pub message: String,
    /// Set when it is not the line that is bad but the input itself that failed: nothing after it can be read.
    pub fatal: bool,
}

impl LineError {
    /// Formats the error for a file of `items`: tables have rows instead of lines, and line 0 stands for the whole file.
    pub fn told(&self, items: &str) -> String {
        match (items, self.line) {
            (_, 0) => format!("{}: {}", self.field, self.message),
            ("rows", row) => format!("row {row}: {}: {}", self.field, self.message),
            _ => self.to_string(),
        }
    }

    pub(crate) fn new(line: u64, field: &str, message: impl Into<String>) -> Self {
        Self { line, field: field.to_owned(), message: message.into(), fatal: false }
    }
}

/// The alerts of a file, whatever its format. A bad line is an item too, and the rest goes on.
pub enum Alerts<R> {
    /// Rows of a CSV file.
    Csv(csv::Alerts<R>),
    /// JSON objects, one a line.
    Ndjson(ndjson::Alerts<R>),
    /// GBCS messages in hex, one a line.
    GbcsHex(gbcs_hex::Alerts<R>),
    /// DUIS documents.
    DuisXml(duis_xml::Alerts<R>),
    /// Rows of a Parquet file.
    Parquet(Box<columnar::Alerts>),
}

impl<R: BufRead> Alerts<R> {
    /// Number of the line that the last item came from, or began on.
    pub fn line(&self) -> u64 {
        match self {
            Self::Csv(alerts) => alerts.line(),
            Self::Ndjson(alerts) => alerts.line(),
            Self::GbcsHex(alerts) => alerts.line(),
            Self::DuisXml(alerts) => alerts.line(),
            Self::Parquet(alerts) => alerts.line(),
        }
    }

    /// Returns what such a file consists of, in the plural.
    pub fn items(&self) -> &'static str {
        match self {
            Self::Csv(_) => "records",
            Self::Ndjson(_) | Self::GbcsHex(_) => "lines",
            Self::DuisXml(_) => "documents",
            Self::Parquet(_) => "rows",
        }
    }

    /// What is to be said of what was read, though nothing is lost by it. Ask after each item, and at the end.
    pub fn remark(&mut self) -> Option<LineError> {
        match self {
            Self::Csv(alerts) => alerts.remark(),
            Self::Ndjson(alerts) => alerts.remark(),
            Self::DuisXml(alerts) => alerts.remark(),
            Self::Parquet(alerts) => alerts.remark(),
            Self::GbcsHex(_) => None,
        }
    }
}

impl<R: BufRead> Iterator for Alerts<R> {
    type Item = Result<Alert, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Csv(alerts) => alerts.next(),
            Self::Ndjson(alerts) => alerts.next(),
            Self::GbcsHex(alerts) => alerts.next(),
            Self::DuisXml(alerts) => alerts.next(),
            Self::Parquet(alerts) => alerts.next(),
        }
    }
}

/// What tells a message from others: the first 64 bits of its SHA-256.
fn digest(message: &[u8]) -> u64 {
    let digest = Sha256::digest(message);
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What a library says is wrong, which may quote as much of the input as it likes: cut, and in characters that are shown.
fn said(error: &impl std::fmt::Display) -> String {
    crate::domain::shown(&error.to_string(), 200)
}

/// Characters of a value that an error message shows, and of what they take escaped.
const SHOWN_CHARS_MAX: usize = 40;
const SHOWN_ESCAPED_MAX: usize = 120;

/// A value as an error message shows it: quoted, escaped and cut to 40 characters, fewer where their escapes are long.
fn shown(value: &str) -> String {
    let mut room = SHOWN_ESCAPED_MAX;
    let fits = |character: &char| {
        let left = room.checked_sub(character.escape_debug().len());
        room = left.unwrap_or(0);
        left.is_some()
    };
    let mut cut: String = value.chars().take(SHOWN_CHARS_MAX).take_while(fits).collect();
    if cut.len() < value.len() {
        cut.push_str("...");
    }
    format!("{cut:?}")
}
