//! Reads CSV: a header of known columns, then records.
//!
//! It must not know what a column means. Invariants: memory is bounded, and a bad line affects no other line; a record has
//! exactly the fields of the header that precedes it.
//!
//! A quoted value of a skipped column may span [`JOINED_LINES_MAX`] lines, within the size of one line, and each such value is
//! remarked with its lines. A quote is a stray if it is not closed by then, if text follows the closing quote, or if a line
//! within the value reads as a record: its line is an error, and the following lines are parsed by themselves.

use std::{collections::VecDeque, io::BufRead};

use super::{
    LINE_BYTES_MAX, LineError,
    form::Form,
    headings::{Headings, Layout, Meaning, without_meaning},
    identifiers::trimmed,
    lines::Lines,
    shown,
};

mod splitter;

use splitter::{Splitter, Unclosed};

/// Lines that a record may span.
const JOINED_LINES_MAX: usize = 64;
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
            places: vec![None; layout.names.len()],
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
            self.remarks.push_back(LineError::new(line, "columns", without_meaning(&passed_over)));
        }
        (self.places, self.width, self.named) = (places, fields, named);
        Ok(())
    }

    /// Rejects a header without any of these columns.
    pub(super) fn require_one(&self, columns: &[usize]) -> Result<(), LineError> {
        if columns.iter().any(|column| self.places[*column].is_some()) {
            return Ok(());
        }
        let names: Vec<&str> = columns.iter().map(|column| self.headings.layout.names[*column]).collect();
        let (last, others) = names.split_last().unwrap_or((&"", &[]));
        let message = format!("the column is missing; it may be named {} or {last}", others.join(", "));
        Err(LineError::new(self.line, names[0], message))
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
            Err(Unclosed) if !self.one_line => self.join(),
            split => split,
        };
        Some(match split {
            Ok(found) => self.look(found),
            Err(Unclosed) => Err(self.error("quotes", "a quoted field does not end on its line".to_owned())),
        })
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

    /// Reads up to the closing quote and splits the joined lines. If that fails, queues the lines to be parsed by themselves.
    fn join(&mut self) -> Result<usize, Unclosed> {
        let first = self.splitter.record().to_owned();
        let mut joined = first.clone();
        let mut read: Vec<(u64, Result<String, LineError>)> = Vec::new();
        let mut found = None;
        while found.is_none() && read.len() + 1 < JOINED_LINES_MAX {
            let next = self.again.pop_front().or_else(|| {
                let line = self.lines.next()?.map(str::to_owned);
                Some((self.lines.number(), line))
            });
            let Some((number, line)) = next else { break };
            let text = match line {
                Ok(text) => text,
                Err(error) => {
                    read.push((number, Err(error)));
                    break;
                }
            };
            joined.push('\n');
            joined.push_str(&text);
            // An unclosed quote must not swallow the records up to the next quote.
            let is_stray = self.is_like_a_record(&text) || joined.len() > LINE_BYTES_MAX;
            let may_end = text.contains('"');
            read.push((number, Ok(text)));
            if is_stray {
                break;
            }
            if may_end {
                found = self.splitter.split(&joined, self.width).ok();
            }
        }
        // Known columns have no multi-line values: there, both quotes are strays.
        let several = |place: &usize| self.splitter.field(*place).contains('\n');
        let is_whole = |found: &usize| {
            *found == self.width
                && !self.places.iter().flatten().any(several)
                && is_closed_well(&joined, self.delimiter)
        };
        if let Some(found) = found.filter(is_whole) {
            let last = read.last().map_or(self.line, |(number, _)| *number);
            let message = format!("a value in quotes goes over lines {} to {last}, which are read as one", self.line);
            self.remarks.push_back(LineError::new(self.line, "quotes", message));
            return Ok(found);
        }
        read.into_iter().rev().for_each(|line| self.again.push_front(line));
        // Errors describe the first line.
        let _ = self.splitter.split(&first, self.width);
        Err(Unclosed)
    }

    /// True for a line that is a record by itself: of the heading's width, with a value in its place that tells one. A line
    /// with quotes is looked at with and without them, since one of them may be the stray.
    fn is_like_a_record(&mut self, line: &str) -> bool {
        let Some((column, tells)) = self.headings.layout.telltale else { return false };
        let Some(place) = column.iter().find_map(|column| self.places[*column]) else { return false };
        let (width, splitter) = (self.width, &mut self.splitter);
        let mut is_record =
            |text: &str| splitter.split(text, width) == Ok(width) && tells(trimmed(splitter.field(place)));
        is_record(line) || (line.contains('"') && is_record(&line.replace('"', "")))
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

    fn error(&self, field: &str, message: String) -> LineError {
        LineError::new(self.line, field, message)
    }

    fn record(&self) -> Record<'_> {
        let names = self.headings.layout.names;
        Record { line: self.line, texts: Texts::Split(&self.splitter, &self.places), names }
    }
}

/// Returns the next line that is not blank.
fn first_line<R: BufRead>(lines: &mut Lines<R>) -> Option<Result<String, LineError>> {
    loop {
        match lines.next()? {
            Ok(line) if is_blank(line) => {}
            line => return Some(line.map(str::to_owned)),
        }
    }
}

/// True if a separator or the end follows the closing quote of each field of a record.
fn is_closed_well(record: &str, delimiter: u8) -> bool {
    let mut rest = record.as_bytes();
    loop {
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            let mut at = 0;
            loop {
                match quoted[at..].iter().position(|byte| *byte == b'"') {
                    None => return false,
                    // Two quotes stand for one.
                    Some(quote) if quoted.get(at + quote + 1) == Some(&b'"') => at += quote + 2,
                    Some(quote) => {
                        rest = &quoted[at + quote + 1..];
                        break;
                    }
                }
            }
            if rest.first().is_some_and(|byte| *byte != delimiter) {
                return false;
            }
        }
        match rest.iter().position(|byte| *byte == delimiter) {
            Some(end) => rest = &rest[end + 1..],
            None => return true,
        }
    }
}

/// True for a blank line, and for the Ctrl-Z that ends files of DOS.
pub(super) fn is_blank(line: &str) -> bool {
    matches!(trimmed(line), "" | "\u{1A}")
}

/// True if a record has no values.
pub(super) fn is_empty(record: &str, delimiter: u8) -> bool {
    let begins =
        record.as_bytes().first().is_some_and(|byte| *byte == delimiter || matches!(byte, b'"' | b' ' | b'\t'));
    begins && record.split(char::from(delimiter)).all(|cell| matches!(trimmed(cell), "" | "\"\""))
}

/// Describes a header with another separator, and the options that read it.
fn otherwise_divided(heading: &str, delimiter: u8, has_options: bool) -> Option<String> {
    let count = |mark: char| heading.matches(mark).count();
    let marks = [
        (';', "semicolons", "';'", ", with --decimal comma if numbers are like 258,1"),
        ('\t', "tabs", "tab", ""),
        ('|', "vertical bars", "'|'", ""),
        (',', "commas", "','", ""),
    ];
    let others = marks.into_iter().filter(|(mark, ..)| *mark != char::from(delimiter));
    let (mark, name, option, comma) = others.max_by_key(|(mark, ..)| count(*mark))?;
    if count(mark) == 0 || count(mark) < count(char::from(delimiter)) {
        return None;
    }
    let expected = if delimiter == b',' { "commas are needed" } else { "--delimiter says otherwise" };
    let way_out = if has_options { format!(": --delimiter {option} reads them{comma}") } else { String::new() };
    Some(format!("{name} between columns, where {expected}{way_out}"))
}

/// One record. Columns are named by their index in the list of known columns.
pub(super) struct Record<'a> {
    line: u64,
    texts: Texts<'a>,
    names: &'static [&'static str],
}

/// Where the values of a record lie.
enum Texts<'a> {
    /// In a line that was split, each known column at its place.
    Split(&'a Splitter, &'a [Option<usize>]),
    /// In a list, one for each known column.
    Listed(&'a [String]),
}

impl<'a> Record<'a> {
    /// A record of values, one for each of the known columns.
    pub(super) fn listed(line: u64, names: &'static [&'static str], texts: &'a [String]) -> Self {
        Self { line, texts: Texts::Listed(texts), names }
    }

    /// The value of a column without blanks around it; empty where the file has no such column.
    pub(super) fn text(&self, column: usize) -> &str {
        match self.texts {
            Texts::Split(splitter, places) => places[column].map_or("", |place| trimmed(splitter.field(place))),
            Texts::Listed(texts) => trimmed(&texts[column]),
        }
    }

    /// The value read as a `T`; `None` where it is empty.
    pub(super) fn read<T, E: ToString>(
        &self,
        column: usize,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, LineError> {
        match self.text(column) {
            "" => Ok(None),
            text => read(text).map(Some).map_err(|error| self.error(column, error.to_string())),
        }
    }

    /// The value read as a `T`; an error where it is empty.
    pub(super) fn require<T, E: ToString>(
        &self,
        column: usize,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, LineError> {
        self.read(column, read)?.ok_or_else(|| self.error(column, "must not be empty"))
    }

    /// The one column of several that is filled in, if any; an error where more than one is.
    pub(super) fn one_of(&self, columns: &[usize]) -> Result<Option<usize>, LineError> {
        let mut filled = columns.iter().copied().filter(|column| !self.text(*column).is_empty());
        match (filled.next(), filled.next()) {
            (Some(first), Some(second)) => {
                Err(self.error(second, format!("{} is filled in too; one of them must be empty", self.names[first])))
            }
            (first, _) => Ok(first),
        }
    }

    /// An error of this line.
    pub(super) fn error(&self, column: usize, message: impl Into<String>) -> LineError {
        LineError::new(self.line, self.names[column], message)
    }
}

#[cfg(test)]
mod tests;
