//! CSV by line: a header of known columns, then records.
//!
//! It must not know what a column means. Invariants: one line is one record, so that memory stays bounded and a bad
//! line spoils nothing after it; a record has exactly the fields its header names.

use std::io::BufRead;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

use super::{LineError, lines::Lines, shown};

/// Reads records.
pub(super) struct Records<R> {
    lines: Lines<R>,
    splitter: Splitter,
    /// For each known column, its place in the file.
    places: Vec<Option<usize>>,
    names: &'static [&'static str],
    width: usize,
}

impl<R: BufRead> Records<R> {
    /// Reads the header. `names` are all columns that may occur; the first `required` of them must.
    pub(super) fn new(reader: R, names: &'static [&'static str], required: usize) -> Result<Self, LineError> {
        Self::beside(reader, names, required, &[])
    }

    /// Reads a header that may have columns of other names too, which are passed over.
    pub(super) fn beside(
        reader: R,
        names: &'static [&'static str],
        required: usize,
        others: &[&str],
    ) -> Result<Self, LineError> {
        let mut lines = Lines::new(reader);
        let mut splitter = Splitter::new();
        let known = || format!("known columns are: {}", names.join(", "));
        let error = |field: &str, message| Err(LineError::new(1, field, message));
        let Some(line) = lines.next() else {
            return error("header", format!("the input is empty; {}", known()));
        };
        // A header wider than all known columns must name one twice or an unknown one.
        let known_max = names.len() + others.len();
        let width = splitter.split(line?, known_max + 1).map_err(|m| LineError::new(1, "header", m))?;
        let mut places = vec![None; names.len()];
        for place in 0..width.min(known_max + 1) {
            let name = splitter.field(place).trim_ascii();
            if others.iter().any(|other| is_named(name, other)) {
                continue;
            }
            let Some(column) = names.iter().position(|known| is_named(name, known)) else {
                return error("header", format!("unknown column {}; {}", shown(name), known()));
            };
            if places[column].replace(place).is_some() {
                return error(name, "the column occurs twice".to_owned());
            }
        }
        if let Some(missing) = (0..required).find(|column| places[*column].is_none()) {
            return error(names[missing], format!("the column is missing; {}", known()));
        }
        Ok(Self { lines, splitter, places, names, width })
    }

    /// An error where the header has none of these columns.
    pub(super) fn require_one(&self, columns: &[usize]) -> Result<(), LineError> {
        if columns.iter().any(|column| self.places[*column].is_some()) {
            return Ok(());
        }
        let names: Vec<&str> = columns.iter().map(|column| self.names[*column]).collect();
        let (last, others) = names.split_last().unwrap_or((&"", &[]));
        let message = format!("the column is missing; it may be named {} or {last}", others.join(", "));
        Err(LineError::new(1, names[0], message))
    }

    /// Number of the line read last.
    pub(super) fn line(&self) -> u64 {
        self.lines.number()
    }

    /// The next record; lines of nothing but blanks are passed over.
    pub(super) fn next(&mut self) -> Option<Result<Record<'_>, LineError>> {
        loop {
            match self.lines.next()? {
                Err(error) => return Some(Err(error)),
                Ok(text) if text.trim_ascii().is_empty() => {}
                Ok(text) => {
                    let split = self.splitter.split(text, self.width);
                    let line = self.lines.number();
                    return Some(match split {
                        Ok(found) if found == self.width => Ok(self.record(line)),
                        Ok(found) => {
                            let found = if found > self.width { "more".to_owned() } else { found.to_string() };
                            let message = format!("{found} fields where the header names {}", self.width);
                            Err(LineError::new(line, "fields", message))
                        }
                        Err(message) => Err(LineError::new(line, "quotes", message)),
                    });
                }
            }
        }
    }

    fn record(&self, line: u64) -> Record<'_> {
        Record { line, texts: Texts::Split(&self.splitter, &self.places), names: self.names }
    }
}

/// Whether a heading is a column's name, however it is written: `Alert Code` is `alert_code`.
pub(super) fn is_named(heading: &str, name: &str) -> bool {
    let same = |(a, b): (u8, u8)| a.eq_ignore_ascii_case(&b) || (b == b'_' && matches!(a, b' ' | b'-'));
    heading.len() == name.len() && heading.bytes().zip(name.bytes()).all(same)
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
            Texts::Split(splitter, places) => places[column].map_or("", |place| splitter.field(place).trim_ascii()),
            Texts::Listed(texts) => texts[column].trim_ascii(),
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

/// Splits one line into fields, reusing its buffers.
struct Splitter {
    reader: Box<Reader>,
    line: Vec<u8>,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Splitter {
    fn new() -> Self {
        // A carriage return inside a line is data, and then no column's value.
        let reader = ReaderBuilder::new().terminator(Terminator::Any(b'\n')).build();
        Self { reader: Box::new(reader), line: Vec::new(), text: Vec::new(), ends: Vec::new() }
    }

    /// Splits into at most `width` fields and says how many there are; `width` + 1 stands for more than that.
    fn split(&mut self, line: &str, width: usize) -> Result<usize, String> {
        self.line.clear();
        self.line.extend_from_slice(line.as_bytes());
        self.line.push(b'\n');
        self.text.resize(self.line.len(), 0);
        self.ends.resize(width + 1, 0);
        self.reader.reset();
        let (result, _, _, fields) = self.reader.read_record(&self.line, &mut self.text, &mut self.ends);
        match result {
            ReadRecordResult::Record => Ok(fields),
            ReadRecordResult::OutputEndsFull => Ok(width + 1),
            // The line feed was taken for a part of a quoted field.
            _ => Err("a quoted field does not end on its line".to_owned()),
        }
    }

    fn field(&self, place: usize) -> &str {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        // Fields are cut at ASCII characters out of valid text, so this never falls back.
        std::str::from_utf8(&self.text[start..self.ends[place]]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["a", "b", "c"];

    fn header(text: &str) -> Result<(), String> {
        Records::new(text.as_bytes(), NAMES, 1).map(|_| ()).map_err(|error| error.to_string())
    }

    fn rows(text: &str) -> Vec<Result<[String; 3], String>> {
        let mut records = Records::new(text.as_bytes(), NAMES, 1).unwrap();
        let mut rows = Vec::new();
        while let Some(record) = records.next() {
            rows.push(record.map(|r| [0, 1, 2].map(|i| r.text(i).to_owned())).map_err(|error| error.to_string()));
        }
        rows
    }

    #[test]
    fn a_header_names_known_columns_once_each() {
        assert_eq!(header("c, a"), Ok(()));
        assert_eq!(header("C, A"), Ok(()));
        assert_eq!(header("a,d"), Err("line 1: header: unknown column \"d\"; known columns are: a, b, c".into()));
        assert_eq!(header("a,b,a"), Err("line 1: a: the column occurs twice".into()));
        assert_eq!(header("a,b,c,a,a,a,a"), Err("line 1: a: the column occurs twice".into()));
        assert_eq!(header("b"), Err("line 1: a: the column is missing; known columns are: a, b, c".into()));
        assert_eq!(header(""), Err("line 1: header: the input is empty; known columns are: a, b, c".into()));
    }

    #[test]
    fn columns_of_other_names_are_passed_over_where_they_are_said() {
        let read = |text: &str| {
            let mut records =
                Records::beside(text.as_bytes(), NAMES, 1, &["x", "y"]).map_err(|error| error.to_string())?;
            let record = records.next().unwrap().map_err(|error| error.to_string())?;
            Ok::<_, String>([0, 1, 2].map(|column| record.text(column).to_owned()))
        };
        assert_eq!(read("x,a,Y,c\n1,2,3,4\n"), Ok(["2".into(), String::new(), "4".into()]));
        assert_eq!(
            read("x,a,y,c,b,z\n").unwrap_err(),
            "line 1: header: unknown column \"z\"; known columns are: a, b, c"
        );
        assert_eq!(read("x,y\n").unwrap_err(), "line 1: a: the column is missing; known columns are: a, b, c");
    }

    #[test]
    fn columns_come_in_any_order_and_blank_lines_are_passed_over() {
        let rows = rows("c,a\n\n 3 ,1\n  \n\"x,\"\"y\",z\r\n");
        let expected = [["1", "", "3"], ["z", "", "x,\"y"]];
        assert_eq!(rows.into_iter().map(Result::unwrap).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_bad_line_is_named_and_the_rest_goes_on() {
        let rows = rows("a,b\n1\n1,2,3,4\n\"1,2\n5,6");
        assert_eq!(rows[0], Err("line 2: fields: 1 fields where the header names 2".into()));
        assert_eq!(rows[1], Err("line 3: fields: more fields where the header names 2".into()));
        assert_eq!(rows[2], Err("line 4: quotes: a quoted field does not end on its line".into()));
        assert_eq!(rows[3], Ok(["5".into(), "6".into(), String::new()]));
    }
}
