//! What of the input could not be read: named while there are few, counted by the part at fault.
//!
//! It must not know a format. Invariant: each line that could not be read is counted once, under one part.

use std::collections::BTreeMap;

use indicatif::ProgressBar;
use serde::Serialize;

use crate::{
    cli::{
        input::Notices,
        table::{Table, Value},
    },
    intake::LineError,
};

/// Parts that are counted by themselves: formats have fewer.
const PARTS_MAX: usize = 64;
const OTHER: &str = "other";

/// Lines at whose part there was a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct AtFault {
    /// The column, or the part of the message.
    field: String,
    count: u64,
    /// The first of them, as it was named.
    first: String,
}

/// Lines that could not be read, as they are met.
pub(super) struct Unreadable {
    notices: Notices,
    parts: BTreeMap<String, (u64, String)>,
}

impl Unreadable {
    pub(super) fn new(progress: ProgressBar) -> Self {
        Self { notices: Notices::new("lines that cannot be read", progress), parts: BTreeMap::new() }
    }

    /// Counts a line; `file` is put before it.
    pub(super) fn give(&mut self, file: &str, error: &LineError) {
        let known = self.parts.contains_key(&error.field) || self.parts.len() < PARTS_MAX;
        let field = if known { error.field.as_str() } else { OTHER };
        match self.parts.get_mut(field) {
            Some((count, _)) => *count += 1,
            None => drop(self.parts.insert(field.to_owned(), (1, format!("{file}{error}")))),
        }
        if self.notices.speaks() {
            self.notices.give(&format!("{file}{error}"));
        } else {
            self.notices.add(1);
        }
    }

    /// How many there were, and by what.
    pub(super) fn finish(self) -> (u64, Vec<AtFault>) {
        let parts = self.parts.into_iter().map(|(field, (count, first))| AtFault { field, count, first });
        (self.notices.finish(), parts.collect())
    }
}

/// For people.
pub(super) fn table(parts: &[AtFault]) -> Table {
    let mut table = Table::new(&["not readable", "lines", "the first"]);
    for AtFault { field, count, first } in parts {
        table.row([Value::text(field), Value::Number(*count), Value::text(first)]);
    }
    table
}
