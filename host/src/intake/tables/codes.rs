//! The table of alert codes: what each means, who gets it, what a measurement of it counts, and which codes form a pair.
//!
//! Codes of an operator's own, for events that are no alerts but cause them, are E000 to EFFF: no device sends these
//! numbers, and none of them stands for a code of the DCC.
//!
//! Invariant: of the two codes of a pair each names the other, unless a file names one that has no row.

use std::{collections::BTreeMap, fmt::Write as _, io::BufRead};

use super::{
    LineError,
    overlay::{COLUMNS, Overlay},
    text,
};
use crate::{
    domain::AlertCode,
    intake::{
        plausible::{Doubt, Range, Ranges, Unit},
        record::Records,
    },
};

/// The built-in table, with its version in the first line.
const BUILTIN: &str = include_str!("codes.csv");
/// Where the rows of the built-in table come from.
const SOURCES: &str = include_str!("sources.csv");
/// How the first line of the built-in table begins.
const VERSION_MARK: &str = "# version ";
/// Bytes of a table as CSV: 4,096 codes of an operator's own with 200 bytes each, and room for the built-in ones. A table
/// is sent in one message and kept in one value of the store.
const TABLE_BYTES_MAX: usize = 1 << 20;
/// The source of a row that a file changes without naming one.
pub(super) const OWN: &str = "own";

/// Whether a code says that a condition began or that it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Edge {
    /// The condition began.
    Raise,
    /// The condition ended.
    Clear,
}

impl Edge {
    /// Returns its name in tables and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raise => "raise",
            Self::Clear => "clear",
        }
    }

    /// Returns the other one.
    pub fn other(self) -> Self {
        match self {
            Self::Raise => Self::Clear,
            Self::Clear => Self::Raise,
        }
    }
}

/// A row of the table of alert codes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Code {
    /// What it means, in a few words. Empty where the public has no name for it.
    pub name: String,
    /// What it belongs to: voltage, supply, tamper ... Empty for not known.
    pub family: String,
    /// Who gets it: network-operator, supplier, supplier-and-network-operator or other. Empty for not known.
    pub owner: String,
    /// True for a critical alert, which no device can be told to leave out. `None` for not known, and for what is no
    /// alert of a device.
    pub critical: Option<bool>,
    /// What a measurement of it counts; `None` where it has none.
    pub unit: Option<Unit>,
    /// The other code of its pair.
    pub pair: Option<AlertCode>,
    /// Which one of the pair it is.
    pub edge: Option<Edge>,
    /// Between what bounds a measurement of it is plausible.
    pub range: Range,
    /// Where the row comes from: a row of [`sources`].
    pub source: String,
    /// What else there is to know. May be empty.
    pub note: String,
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As rows name it.
    pub name: String,
    /// What it is.
    pub what: String,
}

/// Returns where the rows of the built-in table come from.
pub fn sources() -> Vec<Source> {
    read_sources(SOURCES).expect("a test reads the same bytes")
}

fn read_sources(table: &str) -> Result<Vec<Source>, LineError> {
    let mut records = Records::new(table.as_bytes(), &["source", "what"], 2)?;
    let mut sources = Vec::new();
    while let Some(record) = records.next() {
        let record = record?;
        sources.push(Source { name: record.require(0, text)?, what: record.require(1, text)? });
    }
    Ok(sources)
}

/// Alert codes by number, and the descriptions that stand for a code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeTable {
    pub(super) rows: BTreeMap<AlertCode, Code>,
    pub(super) descriptions: BTreeMap<String, AlertCode>,
}

impl CodeTable {
    /// Returns the table that comes with the program.
    pub fn builtin() -> Self {
        let (_, rows) = builtin_parts();
        Self::default().with_file(rows.as_bytes()).expect("a test reads the same bytes")
    }

    /// Returns a table of these rows, each with the descriptions that stand for its code.
    pub fn from_rows(rows: impl IntoIterator<Item = (AlertCode, Code, Vec<String>)>) -> Self {
        let mut table = Self::default();
        for (code, row, descriptions) in rows {
            table.rows.insert(code, row);
            table.descriptions.extend(descriptions.into_iter().map(|description| (description, code)));
        }
        table
    }

    /// Returns the version of the table that comes with the program: it grows with every change of a row.
    pub fn builtin_version() -> u32 {
        let (version, _) = builtin_parts();
        version
    }

    /// Corrects the table by a file, CSV with the column `code` and any others.
    ///
    /// A cell that is empty leaves what there is, and `-` removes it. A code without a row gets one; it needs a `name`.
    /// Columns: `name`, `family`, `owner`, `critical` (yes or no), `unit` (dv, thousandths, or one of one's own, like s),
    /// `pair` (the other code of a raise and its clear), `edge` (raise or clear), `min` and `max` (the least and the
    /// largest plausible measurement, in the unit), `source`, `note`, and `description`: a text that stands for the code in
    /// alerts of SMETS1 meters that carry none. A code may have several rows, each with another description.
    ///
    /// Bounds of another unit mean nothing, so a row that changes `unit` drops them unless it states its own.
    ///
    /// Fails on the first row that cannot be read, on a description that one file gives to two codes, and on a table of
    /// more than 1 MiB.
    pub fn with_file(self, reader: impl BufRead) -> Result<Self, LineError> {
        let mut records = Records::new(reader, COLUMNS, 1)?;
        let mut overlay = Overlay::over(self);
        while let Some(record) = records.next() {
            overlay.take(&record?)?;
        }
        let table = overlay.finish();
        if table.to_csv().len() > TABLE_BYTES_MAX {
            let why = format!("the table has more than {TABLE_BYTES_MAX} bytes; leave out what is not needed");
            return Err(LineError::new(records.line(), "code", why));
        }
        Ok(table)
    }

    /// Returns all that is known of a code.
    pub fn get(&self, code: AlertCode) -> Option<&Code> {
        self.rows.get(&code)
    }

    /// Returns the rows in order of codes.
    pub fn rows(&self) -> impl Iterator<Item = (AlertCode, &Code)> {
        self.rows.iter().map(|(code, row)| (*code, row))
    }

    /// Returns what a code means, in a few words; `None` where it has no row, or no name.
    pub fn name(&self, code: AlertCode) -> Option<&str> {
        self.get(code).map(|row| row.name.as_str()).filter(|name| !name.is_empty())
    }

    /// Returns what a measurement of a code counts.
    pub fn unit(&self, code: AlertCode) -> Option<&Unit> {
        self.get(code).and_then(|row| row.unit.as_ref())
    }

    /// Returns what measurements count, for each code that has a unit.
    pub fn units(&self) -> BTreeMap<AlertCode, Unit> {
        self.rows.iter().filter_map(|(code, row)| Some((*code, row.unit.clone()?))).collect()
    }

    /// Returns the code that a description stands for. The match is exact: another spelling stands for nothing.
    pub fn described(&self, description: &str) -> Option<AlertCode> {
        self.descriptions.get(description).copied()
    }

    /// Returns every description that stands for a code.
    pub fn by_description(&self) -> &BTreeMap<String, AlertCode> {
        &self.descriptions
    }

    /// Returns the descriptions that stand for a code, in order of the alphabet.
    pub fn descriptions(&self, code: AlertCode) -> impl Iterator<Item = &str> {
        self.descriptions.iter().filter(move |(_, of)| **of == code).map(|(text, _)| text.as_str())
    }

    /// Returns what is plausible for each code.
    pub fn ranges(&self) -> Ranges {
        let mut ranges = Ranges::open();
        self.rows.iter().for_each(|(code, row)| ranges.set(*code, row.range));
        ranges
    }

    /// Returns what is to be said of a measurement that is not plausible for its code.
    pub fn doubt(&self, code: AlertCode, measurement: i32) -> Option<Doubt> {
        let row = self.get(code)?;
        row.range.doubt(code, measurement, row.unit.as_ref())
    }

    /// Returns the table as CSV. Read over an empty table, it gives this one again.
    pub fn to_csv(&self) -> String {
        let mut out = COLUMNS.join(",");
        out.push('\n');
        for (code, row) in &self.rows {
            let Code { name, family, owner, critical, unit, pair, edge, range, source, note } = row;
            let name = if name.is_empty() { "-" } else { name };
            let critical = critical.map_or("", |critical| if critical { "yes" } else { "no" });
            let (code, unit, pair) = (code.to_string(), shown(unit), shown(pair));
            let (edge, min, max) = (edge.map_or("", Edge::name), shown(&range.min), shown(&range.max));
            let cells: [&str; COLUMNS.len()] =
                [&code, name, family, owner, critical, &unit, &pair, edge, &min, &max, source, note, ""];
            line(&mut out, &cells);
        }
        for (description, code) in &self.descriptions {
            let mut cells = [""; COLUMNS.len()];
            let code = code.to_string();
            (cells[0], cells[COLUMNS.len() - 1]) = (&code, description);
            line(&mut out, &cells);
        }
        out
    }
}

fn shown<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(String::new, T::to_string)
}

/// Adds a line of CSV. No text of a table has a line feed in it.
fn line(out: &mut String, cells: &[&str]) {
    for (place, cell) in cells.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        // Writing into a text does not fail.
        let _ = match cell.contains([',', '"']) {
            true => write!(out, "{comma}\"{}\"", cell.replace('"', "\"\"")),
            false => write!(out, "{comma}{cell}"),
        };
    }
    out.push('\n');
}

/// The built-in table's version and its rows.
fn builtin_parts() -> (u32, &'static str) {
    let (first, rows) = BUILTIN.split_once('\n').expect("the table has a first line");
    let version = first.strip_prefix(VERSION_MARK).and_then(|version| version.parse().ok());
    (version.expect("the first line has the version"), rows)
}

#[cfg(test)]
mod tests;
