//! Records whose quoted values go over lines.
//!
//! A quoted value may span [`JOINED_LINES_MAX`] lines, within the size of one line. That of a skipped column is remarked with
//! its lines; that of a known column is an error, one for all its lines, for none of their values has several. A quote is a
//! stray if it is not closed by then, if text follows the closing quote, or if a line within the value reads as a record: its
//! line is an error, and the following lines are parsed by themselves.
//!
//! Invariant: no line that reads as a record is lost to a quote before it.

use std::io::BufRead;

use super::{
    super::{LINE_BYTES_MAX, LineError, identifiers::trimmed},
    Records,
    shape::is_closed_well,
};

/// Lines that a record may span.
pub(super) const JOINED_LINES_MAX: usize = 64;

impl<R: BufRead> Records<R> {
    /// Reads up to the closing quote and splits the joined lines. If that fails, queues the lines to be parsed by themselves.
    pub(super) fn join(&mut self) -> Result<usize, LineError> {
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
        let is_whole = |found: &usize| *found == self.width && is_closed_well(&joined, self.delimiter);
        if let Some(found) = found.filter(is_whole) {
            let last = read.last().map_or(self.line, |(number, _)| *number);
            let has_lines =
                |place: &Option<usize>| place.is_some_and(|place| self.splitter.field(place).contains('\n'));
            if let Some(column) = self.places.iter().position(has_lines) {
                let message = format!(
                    "a value in quotes goes over lines {} to {last}, which are one record; no value of this column does",
                    self.line
                );
                return Err(self.error(self.headings.name(column), message));
            }
            let message = format!("a value in quotes goes over lines {} to {last}, which are read as one", self.line);
            self.remarks.push_back(LineError::new(self.line, "quotes", message));
            return Ok(found);
        }
        read.into_iter().rev().for_each(|line| self.again.push_front(line));
        // Errors describe the first line.
        let _ = self.splitter.split(&first, self.width);
        Err(self.unclosed())
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
}
