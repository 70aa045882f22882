//! Reads CSV: a header of known columns, then records.
//!
//! It must not know what a column means. Invariants: memory is bounded, and a bad line affects no other line; a record has
//! exactly the fields of the header that precedes it.
//!
//! A record whose quoted values go over lines is read by `joined`.

use std::{collections::VecDeque, io::BufRead};

use super::{
    LineError,
    form::Form,
    headings::{Headings, Layout, Meaning},
    identifiers::trimmed,
    lines::Lines,
    shown,
};

mod joined;
mod row;
mod shape;
mod splitter;

pub(super) use row::Record;
use row::{Names, Texts};
use shape::{first_line, otherwise_divided};
pub(super) use shape::{is_blank, is_empty};
use splitter::{Splitter, Unclosed};

/// Columns of a header.
const WIDTH_MAX: usize = 1_024;

/// Reads records.
pub(super) struct Records<R> {
    lines: Lines<R>,
    splitter: Splitter,
    delimiter: u8,
    headings: Headings,
    /// For each known column, its place in the file.
    places: Vec<Option<usize>>,
    /// Fields of a record; those from `named` on have no heading and must be empty.
    width: usize,
    named: usize,
    one_line: bool,
    /// Lines read in search of a closing quote, to be parsed by themselves.
    again: VecDeque<(u64, Result<String, LineError>)>,
    /// First line of the last record.
    line: u64,
    ended: bool,
    /// Number of records without values, and the line of the first.
    empty: (u64, u64),
    remarks: VecDeque<LineError>,
}

/// Result of one step.
enum Step {
    Record,
    PassedOver,
}

impl<R: BufRead> Records<R> {
    /// Reads the heading. `names` are all columns that may occur; the first `required` of them must.
    pub(super) fn new(reader: R, names: &'static [&'static str], required: usize) -> Result<Self, LineError> {
        Self::of(reader, Layout::plain(names, required), &Form::default())
    }

    /// Reads the header of a file described by `form`.
    pub(super) fn of(reader: R, layout: Layout, form: &Form) -> Result<Self, LineError> {
        let headings = Headings::new(layout, form)?;
        let mut lines = Lines::encoded(reader, form.encoding);
        let (mut delimiter, known) = (form.delimiter.unwrap_or(b','), layout.known());
        let empty = || LineError::new(1, "header", format!("the input is empty; {known}"));
        let mut first = first_line(&mut lines).ok_or_else(empty)??;
        if let Some(stated) = first.strip_prefix("sep=").and_then(|sep| <[u8; 1]>::try_from(sep.as_bytes()).ok()) {
            delimiter = form.delimiter.unwrap_or(stated[0]);
            first = first_line(&mut lines).ok_or_else(empty)??;
        }
        let mut records = Self {
            line: lines.number(),
            lines,
            splitter: Splitter::new(delimiter),
            delimiter,
            places: vec![None; headings.width()],
            headings,
            width: 0,
            named: 0,
            one_line: form.one_line,
            again: VecDeque::new(),
            ended: false,
            empty: (0, 0),
            remarks: VecDeque::new(),
        };
        records.take_heading(&first)?;
        Ok(records)
    }

    /// Adopts a header for the records that follow.
    fn take_heading(&mut self, text: &str) -> Result<(), LineError> {
        let line = self.line;
        let error = |field: &str, message: String| Err(LineError::new(line, field, message));
        if text.contains('\r') {
            let message =
                "lines end in a carriage return alone; save the file with ends that this system or Windows has";
            return error("header", message.to_owned());
        }
        let Ok(fields) = self.splitter.split(text, WIDTH_MAX) else {
            return error("header", "a quoted heading does not end on its line".to_owned());
        };
        if fields > WIDTH_MAX {
            return error("header", format!("more than {WIDTH_MAX} columns"));
        }
        let cells: Vec<&str> = (0..fields).map(|place| trimmed(self.splitter.field(place))).collect();
        let named = cells.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
        let (mut places, mut passed_over) = (vec![None; self.places.len()], Vec::new());
        for (place, name) in cells[..named].iter().enumerate() {
            match self.headings.meaning(name) {
                Meaning::Column(column) if places[column].replace(place).is_some() => {
                    return error(name, "the column occurs twice".to_owned());
                }
                Meaning::Column(_) | Meaning::Other => {}
                // As a data frame is written, with the numbers of its rows in front.
                Meaning::Unknown if name.is_empty() && place == 0 => passed_over.push("(no heading)"),
                Meaning::Unknown if name.is_empty() => {
                    return error("header", format!("column {} has no heading, and columns after it have", place + 1));
                }
                Meaning::Unknown if self.headings.passes_over() => passed_over.push(name),
                Meaning::Unknown => {
                    let divided = otherwise_divided(text, self.delimiter, self.headings.layout.is_foreign);
                    return error("header", divided.unwrap_or_else(|| self.headings.unknown(name)));
                }
            }
        }
        let missing = self.headings.check(|column| places[column].is_some(), &cells[..named]);
        missing.map_err(|error| LineError { line, ..error })?;
        if !passed_over.is_empty() {
            let said = self.headings.without_meaning(&passed_over);
            self.remarks.push_back(LineError::new(line, "columns", said));
        }
        (self.places, self.width, self.named) = (places, fields, named);
        Ok(())
    }

    /// Rejects a header without any of these columns.
    pub(super) fn require_one(&self, columns: &[usize]) -> Result<(), LineError> {
        if columns.iter().any(|column| self.places[*column].is_some()) {
            return Ok(());
        }
        let names: Vec<&str> = columns.iter().map(|column| self.headings.name(*column)).collect();
        let (last, others) = names.split_last().unwrap_or((&"", &[]));
        let message = format!("the column is missing; it may be named {} or {last}", others.join(", "));
        Err(LineError::new(self.line, names[0], message))
    }

    /// Returns true if the last header names a column.
    pub(super) fn has(&self, column: usize) -> bool {
        self.places[column].is_some()
    }

    /// Returns the first line of the last record.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Returns the next remark: something noteworthy that loses no data. Call it after each record and at the end.
    pub(super) fn remark(&mut self) -> Option<LineError> {
        self.remarks.pop_front()
    }

    /// Returns the next record. Skips blank lines and records without values.
    pub(super) fn next(&mut self) -> Option<Result<Record<'_>, LineError>> {
        loop {
            match self.advance() {
                None => {
                    self.remark_empty();
                    return None;
                }
                Some(Ok(Step::PassedOver)) => {}
                Some(Ok(Step::Record)) => return Some(Ok(self.record())),
                Some(Err(error)) => return Some(Err(error)),
            }
        }
    }

    /// Splits the next line and checks it.
    fn advance(&mut self) -> Option<Result<Step, LineError>> {
        if self.ended {
            return None;
        }
        let split = if let Some((number, line)) = self.again.pop_front() {
            self.line = number;
            match line {
                Ok(line) if is_blank(&line) => return Some(Ok(Step::PassedOver)),
                Ok(line) => self.splitter.split(&line, self.width),
                Err(error) => return Some(Err(error)),
            }
        } else {
            let split = match self.lines.next()? {
                Ok(line) if is_blank(line) => None,
                Ok(line) => Some(Ok(self.splitter.split(line, self.width))),
                Err(error) => Some(Err(error)),
            };
            self.line = self.lines.number();
            match split {
                None => return Some(Ok(Step::PassedOver)),
                Some(Ok(split)) => split,
                Some(Err(error)) => return Some(Err(error)),
            }
        };
        let split = match split {
            Err(Unclosed) if self.one_line => Err(self.unclosed()),
            Err(Unclosed) => self.join(),
            Ok(found) => Ok(found),
        };
        Some(split.and_then(|found| self.look(found)))
    }

    /// Checks the record that was split into `found` fields.
    fn look(&mut self, found: usize) -> Result<Step, LineError> {
        if is_empty(self.splitter.record(), self.delimiter) {
            if self.empty.0 == 0 {
                self.empty.1 = self.line;
            }
            self.empty.0 += 1;
            return Ok(Step::PassedOver);
        }
        if self.is_heading() {
            let text = self.splitter.record().to_owned();
            if let Err(error) = self.take_heading(&text) {
                self.ended = true;
                let left = match self.left() {
                    None => "and so nothing after it".to_owned(),
                    Some(1) => "and so not the 1 line after it".to_owned(),
                    Some(left) => format!("and so not the {left} lines after it"),
                };
                let message = format!("a second heading, which cannot be read, {left}: {}", error.message);
                return Err(LineError { message, ..error });
            }
            let message = "a second heading, as where files were joined; the lines after it are read by it";
            self.remarks.push_back(LineError::new(self.line, "header", message));
            return Ok(Step::PassedOver);
        }
        if found != self.width {
            return Err(self.error("fields", self.wrong_width(found)));
        }
        if let Some(value) =
            (self.named..self.width).map(|place| trimmed(self.splitter.field(place))).find(|v| !v.is_empty())
        {
            let message =
                format!("{} stands under no heading: is one of the values before it in two fields?", shown(value));
            return Err(self.error("fields", message));
        }
        Ok(Step::Record)
    }

    /// Counts the lines that are left, without blank ones; `None` for a file that grows, which has no end.
    fn left(&mut self) -> Option<u64> {
        if self.one_line {
            return None;
        }
        let mut left = 0;
        loop {
            let is_line = match self.again.pop_front() {
                Some((_, line)) => line.is_err() || line.is_ok_and(|line| !is_blank(&line)),
                None => match self.lines.next() {
                    None => return Some(left),
                    Some(line) => line.map_or_else(|error| !error.fatal, |line| !is_blank(line)),
                },
            };
            left += u64::from(is_line);
        }
    }

    fn wrong_width(&self, found: usize) -> String {
        let width = self.width;
        if found < width {
            return format!("{found} field{} where the header names {width}", if found == 1 { "" } else { "s" });
        }
        let record = self.splitter.record();
        let hint = if record.trim_end().ends_with(char::from(self.delimiter)) {
            "; where each line ends with a separator, the header must end with one too"
        } else if self.delimiter == b',' {
            "; a decimal comma needs quotes, or another separator of columns"
        } else {
            ""
        };
        format!("more fields where the header names {width}{hint}")
    }

    /// True if the last record is a header: its first field and its first required field are column names.
    fn is_heading(&self) -> bool {
        let is_name = |place: usize| {
            place < self.splitter.fields() && {
                let cell = trimmed(self.splitter.field(place));
                // Every column name has a letter beyond f, and no identifier, number or time has: a cheap filter.
                cell.bytes().any(|byte| matches!(byte, b'g'..=b'z' | b'G'..=b'Z'))
                    && self.headings.meaning(cell) != Meaning::Unknown
            }
        };
        let needed = self.places.iter().flatten().next();
        is_name(0) && needed.is_some_and(|place| is_name(*place))
    }

    /// Queues the remark about records without values.
    fn remark_empty(&mut self) {
        let (count, first) = std::mem::take(&mut self.empty);
        if count > 0 {
            let lines = if count == 1 { "1 line".to_owned() } else { format!("{count} lines") };
            let message = format!("{lines} of empty cells alone, this the first; passed over");
            self.remarks.push_back(LineError::new(first, "cells", message));
        }
    }

    fn unclosed(&self) -> LineError {
        self.error("quotes", "a quoted field does not end on its line".to_owned())
    }

    fn error(&self, field: &str, message: String) -> LineError {
        LineError::new(self.line, field, message)
    }

    fn record(&self) -> Record<'_> {
        Record { line: self.line, texts: Texts::Split(&self.splitter, &self.places), names: Names::Of(&self.headings) }
    }
}

#[cfg(test)]
mod tests;
