//! How a file of rows is written, as far as it does not say so itself.
//!
//! Invariant: what a file leaves open is never guessed. Where the reader would have to, it names the option of this module
//! that settles it.

use jiff::tz::TimeZone;

pub use super::{dates::DateOrder, text::Encoding, times::Epoch};

/// What a caller says of a file.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// How its text is encoded. `None`: UTF-8, or UTF-16 by its mark.
    pub encoding: Option<Encoding>,
    /// What stands between the columns of a CSV file. `None`: a comma, or what a line `sep=;` at its beginning says.
    pub delimiter: Option<u8>,
    /// Whether numbers with decimals have a comma before them, and no point.
    pub decimal_comma: bool,
    /// Whose clock shows times that have no zone. `None`: they are refused.
    pub zone: Option<TimeZone>,
    /// What times that are bare numbers count since 1970. `None`: they are refused, but for columns whose name says it.
    pub epoch: Option<Epoch>,
    /// Which of day and month comes first. `None`: a date that can be read both ways is refused.
    pub date_order: Option<DateOrder>,
    /// Columns under headings of the file's own: the column's name, and the heading. Where there are any, headings that
    /// mean nothing are passed over.
    pub columns: Vec<(String, String)>,
    /// Whether each line is a row, so that a quoted value never goes over several: for files that grow.
    pub one_line: bool,
}
