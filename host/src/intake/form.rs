//! Options that describe how a file of rows is written.
//!
//! Invariant: readers never guess. Where a value is ambiguous, the error names the option that resolves it.

use std::{collections::BTreeMap, sync::Arc};

use jiff::tz::TimeZone;

use super::plausible::Unit;
use crate::domain::{AlertCode, LabelKey};

pub use super::{dates::DateOrder, text::Encoding, times::Epoch};

/// Reading options. The default states nothing, so ambiguous values are errors.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// Text encoding. `None`: UTF-8, or UTF-16 announced by a byte order mark.
    pub encoding: Option<Encoding>,
    /// Column separator of CSV. `None`: a comma, or the one that a first line `sep=;` declares.
    pub delimiter: Option<u8>,
    /// True if numbers have a decimal comma instead of a point.
    pub decimal_comma: bool,
    /// Zone of times that state none. `None` rejects them.
    pub zone: Option<TimeZone>,
    /// Unit of times that are bare numbers. `None` rejects them, except in columns whose name states the unit.
    pub epoch: Option<Epoch>,
    /// Order of day and month. `None` rejects dates that are valid in both orders.
    pub date_order: Option<DateOrder>,
    /// Pairs of a column's name and the file's own heading for it. If there are any, unknown headings are skipped.
    pub columns: Vec<(String, String)>,
    /// Labels that an inventory has columns of, each with the file's heading for it.
    pub labels: Vec<(LabelKey, String)>,
    /// What measurements of codes count. A column of another unit is an error; a code that is missing has no unit.
    pub units: Arc<BTreeMap<AlertCode, Unit>>,
    /// True if every line is a record: a followed file must not wait for a closing quote.
    pub one_line: bool,
}

impl Form {
    /// Returns the first option that is stated and is none of these: without effect, it would mislead.
    pub fn idle(&self, applying: &[&str]) -> Option<&'static str> {
        let stated = [
            ("--delimiter", self.delimiter.is_some()),
            ("--decimal", self.decimal_comma),
            ("--encoding", self.encoding.is_some()),
            ("--epoch", self.epoch.is_some()),
            ("--date-order", self.date_order.is_some()),
            ("--columns", !self.columns.is_empty()),
            ("--label", !self.labels.is_empty()),
        ];
        let idle = stated.into_iter().find(|(option, is_stated)| *is_stated && !applying.contains(option));
        idle.map(|(option, _)| option)
    }
}
