//! Splits a record of CSV into fields.
//!
//! Invariant: buffers are reused and never exceed the longest record.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

/// The text ends within a quoted field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unclosed;

/// Splits records into fields.
pub(super) struct Splitter {
    reader: Box<Reader>,
    line: Vec<u8>,
    text: Vec<u8>,
    ends: Vec<usize>,
    fields: usize,
}

impl Splitter {
    pub(super) fn new(delimiter: u8) -> Self {
        // A carriage return inside a line is data, and then no column's value.
        let reader = ReaderBuilder::new().delimiter(delimiter).terminator(Terminator::Any(b'\n')).build();
        Self { reader: Box::new(reader), line: Vec::new(), text: Vec::new(), ends: Vec::new(), fields: 0 }
    }

    /// Splits into at most `width` fields and returns how many there are; `width` + 1 stands for more than that.
    pub(super) fn split(&mut self, record: &str, width: usize) -> Result<usize, Unclosed> {
        self.line.clear();
        self.line.extend_from_slice(record.as_bytes());
        self.line.push(b'\n');
        self.text.resize(self.line.len(), 0);
        self.ends.resize(width + 1, 0);
        self.reader.reset();
        let (result, _, _, fields) = self.reader.read_record(&self.line, &mut self.text, &mut self.ends);
        self.fields = fields;
        match result {
            ReadRecordResult::Record => Ok(fields),
            ReadRecordResult::OutputEndsFull => Ok(width + 1),
            // The line feed was taken for a part of a quoted field.
            _ => Err(Unclosed),
        }
    }

    /// Returns the last record.
    pub(super) fn record(&self) -> &str {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        std::str::from_utf8(line).unwrap_or_default()
    }

    /// Returns the number of fields that `field` can return.
    pub(super) fn fields(&self) -> usize {
        self.fields
    }

    pub(super) fn field(&self, place: usize) -> &str {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        // Fields are cut at ASCII characters out of valid text, so this never falls back.
        std::str::from_utf8(&self.text[start..self.ends[place]]).unwrap_or_default()
    }
}
