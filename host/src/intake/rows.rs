//! One kind of rows: its columns, and what becomes of a row, whatever the format of the file.
//!
//! Invariant: a format knows a kind of rows by this alone, so a column means the same in every format.

use super::{LineError, form::Form, headings::Layout, record::Record};

/// What a column holds, as far as formats write it in types of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// Text, or a number as it stands.
    Value,
    /// A number whose decimals say how fine it is: 258.0 is finer than 258.
    Measured,
    /// The EUI-64 of a device or party.
    Device,
    /// An alert code.
    Code,
    /// A digest in hex.
    Digest,
    /// A time, as text or in the format's own type.
    Time,
    /// True or false, or a word for it.
    Flag,
}

/// Reads rows of one kind.
pub(super) trait RowReader<T>: Send {
    /// Returns the columns.
    fn layout(&self) -> Layout;

    /// Rejects a file whose columns leave something open. `has` says which columns the file has.
    fn check(&self, _has: &dyn Fn(usize) -> bool) -> Result<(), LineError> {
        Ok(())
    }

    /// Reads a row.
    fn read(&mut self, record: &Record<'_>, form: &Form) -> Result<T, LineError>;

    /// Notes that there are no more rows. Remarks about all of them come after it.
    fn end(&mut self) {}

    /// Returns the next remark: something noteworthy that loses no data.
    fn remark(&mut self) -> Option<LineError>;
}
