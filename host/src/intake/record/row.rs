//! One record: the values of known columns.
//!
//! It must not know what a column means. Invariant: an error names the column, what was there, and what is wrong with it.

use super::super::{LineError, form::Form, headings::Headings, identifiers::trimmed, placeholder, times};
use super::Splitter;
use crate::domain::Millis;

/// One record. Columns are named by their index in the list of known columns.
pub(in crate::intake) struct Record<'a> {
    pub(super) line: u64,
    pub(super) texts: Texts<'a>,
    pub(super) names: Names<'a>,
}

/// What columns are called.
pub(super) enum Names<'a> {
    /// As the header has them.
    Of(&'a Headings),
    /// As in a list.
    Listed(&'static [&'static str]),
}

impl Names<'_> {
    fn get(&self, column: usize) -> &str {
        match self {
            Self::Of(headings) => headings.name(column),
            Self::Listed(names) => names[column],
        }
    }
}

/// Where the values of a record lie.
pub(super) enum Texts<'a> {
    /// In a line that was split, each known column at its place.
    Split(&'a Splitter, &'a [Option<usize>]),
    /// In a list, one for each known column.
    Listed(&'a [String]),
}

impl<'a> Record<'a> {
    /// A record of values, one for each of the known columns.
    pub(in crate::intake) fn listed(line: u64, names: &'static [&'static str], texts: &'a [String]) -> Self {
        Self { line, texts: Texts::Listed(texts), names: Names::Listed(names) }
    }

    /// The first line of the record.
    pub(in crate::intake) fn line(&self) -> u64 {
        self.line
    }

    /// The value of a column without blanks around it; empty where the file has no such column.
    pub(in crate::intake) fn text(&self, column: usize) -> &str {
        match self.texts {
            Texts::Split(splitter, places) => places[column].map_or("", |place| trimmed(splitter.field(place))),
            Texts::Listed(texts) => trimmed(&texts[column]),
        }
    }

    /// Returns true if the file has the column.
    pub(in crate::intake) fn has(&self, column: usize) -> bool {
        match self.texts {
            Texts::Split(_, places) => places[column].is_some(),
            Texts::Listed(_) => true,
        }
    }

    /// The value read as a `T`; `None` where it is empty.
    pub(in crate::intake) fn read<T, E: ToString>(
        &self,
        column: usize,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, LineError> {
        match self.text(column) {
            "" => Ok(None),
            text => read(text)
                .map(Some)
                .map_err(|error| self.error(column, format!("{}{}", error.to_string(), placeholder::hint(text)))),
        }
    }

    /// The value read as a `T`; an error where it is empty.
    pub(in crate::intake) fn require<T, E: ToString>(
        &self,
        column: usize,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, LineError> {
        self.read(column, read)?.ok_or_else(|| self.error(column, "must not be empty"))
    }

    /// The one column of several that is filled in, if any; an error where more than one is.
    pub(in crate::intake) fn one_of(&self, columns: &[usize]) -> Result<Option<usize>, LineError> {
        let mut filled = columns.iter().copied().filter(|column| !self.text(*column).is_empty());
        match (filled.next(), filled.next()) {
            (Some(first), Some(second)) => {
                Err(self
                    .error(second, format!("{} is filled in too; one of them must be empty", self.names.get(first))))
            }
            (first, _) => Ok(first),
        }
    }

    /// A time that may stand in either of two columns: one of texts, one of milliseconds since 1970.
    pub(in crate::intake) fn time(
        &self,
        (text, millis): (usize, usize),
        form: &Form,
    ) -> Result<Option<Millis>, LineError> {
        match self.one_of(&[text, millis])? {
            Some(column) if column == text => self.read(column, |text| times::time(text, form)),
            Some(column) => self.read(column, |text| times::millis(text, form)),
            None => Ok(None),
        }
    }

    /// An error of this line.
    pub(in crate::intake) fn error(&self, column: usize, message: impl Into<String>) -> LineError {
        LineError::new(self.line, self.names.get(column), message)
    }
}
