//! What of the input could not be read: named while there are few, counted by the part at fault.
//!
//! It must not know a format. Invariant: each line that could not be read is counted once, under one part.

use std::collections::BTreeMap;

use indicatif::ProgressBar;
use serde::Serialize;

use crate::{
    cli::{
        input::{NOTICES_MAX, Notices},
        table::{Table, Value},
    },
    intake::LineError,
};

/// Parts that are counted by themselves: formats have fewer.
const PARTS_MAX: usize = 64;
const OTHER: &str = "other";
/// Characters of the first error in a table, so that a row fits 120 columns.
const FIRST_CHARS_MAX: usize = 90;

/// Lines at whose part there was a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct AtFault {
    /// The column, or the part of the message.
    field: String,
    count: u64,
    /// The first of them, as it was named.
    first: String,
}

/// Lines, rows or documents that could not be read, as they are met.
pub(super) struct Unreadable {
    notices: Notices,
    parts: BTreeMap<String, (u64, String)>,
    /// What the current file consists of.
    items: &'static str,
}

impl Unreadable {
    pub(super) fn new(progress: ProgressBar) -> Self {
        let notices = Notices::new("lines that cannot be read", progress);
        Self { notices, parts: BTreeMap::new(), items: "lines" }
    }

    /// Begins a file.
    pub(super) fn begin(&mut self, items: &'static str) {
        self.items = items;
        self.notices.call(match items {
            "rows" => "rows that cannot be read",
            "documents" => "documents that cannot be read",
            "records" => "records that cannot be read",
            _ => "lines that cannot be read",
        });
    }

    /// Returns what the current file consists of.
    pub(super) fn items(&self) -> &'static str {
        self.items
    }

    /// Counts an item; `file` is put before it.
    pub(super) fn give(&mut self, file: &str, error: &LineError) {
        let known = self.parts.contains_key(&error.field) || self.parts.len() < PARTS_MAX;
        let field = if known { error.field.as_str() } else { OTHER };
        match self.parts.get_mut(field) {
            Some((count, _)) => *count += 1,
            None => drop(self.parts.insert(field.to_owned(), (1, format!("{file}{}", error.told(self.items))))),
        }
        if self.notices.speaks() {
            self.notices.give(&format!("{file}{}", error.told(self.items)));
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

/// True if the notices named every one of `count` errors: a table would repeat them.
pub(super) fn all_were_named(count: u64) -> bool {
    count <= NOTICES_MAX
}

/// For people.
pub(super) fn table(parts: &[AtFault]) -> Table {
    let mut table = Table::new(&["not readable", "count", "the first"]);
    for AtFault { field, count, first } in parts {
        let cut: String = first.chars().take(FIRST_CHARS_MAX).collect();
        let first = if cut.len() < first.len() { format!("{cut}...") } else { cut };
        table.row([Value::text(field), Value::Number(*count), Value::text(first)]);
    }
    table
}
