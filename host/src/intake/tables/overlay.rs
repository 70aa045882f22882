//! Rows of a file over those of a table.
//!
//! Invariant: a cell that is empty changes nothing.

use std::{collections::BTreeMap, str::FromStr};

use super::{
    LineError, Record, check_is_value,
    codes::{Code, CodeTable, Edge, OWN},
    shown, text,
};
use crate::{
    domain::{AlertCode, is_unsafe},
    intake::plausible::{Range, Unit},
};

/// The columns of a table of codes.
pub(super) const COLUMNS: &[&str] = &[
    "code",
    "name",
    "family",
    "owner",
    "critical",
    "unit",
    "pair",
    "edge",
    "min",
    "max",
    "source",
    "note",
    "description",
];
/// What a cell says to remove what there is.
const NOTHING: &str = "-";
/// Bytes of a description. The DUIS schema states no bound.
const DESCRIPTION_BYTES_MAX: usize = 1_000;
/// Bytes of all descriptions of a file: some thousands of the usual length.
const DESCRIPTIONS_BYTES_MAX: usize = 256 << 10;

/// What a cell says.
enum Cell<T> {
    /// Leave what there is.
    Keep,
    /// Put this there, or nothing.
    Set(Option<T>),
}

impl<T> Cell<T> {
    fn read(
        record: &Record<'_>,
        column: usize,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Self, LineError> {
        let read = |text: &str| match text {
            NOTHING => Ok(None),
            text => check_is_value(text).and_then(|()| read(text)).map(Some),
        };
        Ok(record.read(column, read)?.map_or(Self::Keep, Self::Set))
    }

    /// Puts what the cell says into its place, and returns true where it says anything.
    fn over(self, place: &mut Option<T>) -> bool {
        match self {
            Self::Keep => false,
            Self::Set(value) => {
                *place = value;
                true
            }
        }
    }
}

impl Cell<String> {
    fn over_text(self, place: &mut String) -> bool {
        match self {
            Self::Keep => false,
            Self::Set(value) => {
                *place = value.unwrap_or_default();
                true
            }
        }
    }
}

/// A table while a file is laid over it.
pub(super) struct Overlay {
    table: CodeTable,
    /// What the file says of each code in each column, and the line on which.
    said: BTreeMap<(AlertCode, usize), (u64, String)>,
    /// Descriptions that the file gives, and their bytes.
    described: BTreeMap<String, AlertCode>,
    described_bytes: usize,
}

impl Overlay {
    pub(super) fn over(table: CodeTable) -> Self {
        Self { table, said: BTreeMap::new(), described: BTreeMap::new(), described_bytes: 0 }
    }

    /// Takes one row of the file.
    pub(super) fn take(&mut self, record: &Record<'_>) -> Result<(), LineError> {
        let code = record.require(0, AlertCode::from_str)?;
        self.check_said(record, code)?;
        let before = self.table.get(code);
        let is_new = before.is_none();
        if is_new && record.text(1).is_empty() {
            return Err(record.error(1, format!("must not be empty: {code} has no row yet")));
        }
        let mut row = before.cloned().unwrap_or_default();
        let mut is_changed = Cell::read(record, 1, text)?.over_text(&mut row.name);
        is_changed |= Cell::read(record, 2, text)?.over_text(&mut row.family);
        is_changed |= Cell::read(record, 3, text)?.over_text(&mut row.owner);
        is_changed |= Cell::read(record, 4, yes_or_no)?.over(&mut row.critical);
        let unit_before = row.unit.clone();
        is_changed |= Cell::read(record, 5, Unit::from_str)?.over(&mut row.unit);
        if row.unit != unit_before {
            row.range = Range::default();
        }
        let pair_before = row.pair;
        is_changed |= Cell::read(record, 6, code_of)?.over(&mut row.pair);
        is_changed |= Cell::read(record, 7, edge)?.over(&mut row.edge);
        if row.pair == Some(code) {
            return Err(record.error(6, format!("{code} cannot be its own pair")));
        }
        is_changed |= Cell::read(record, 8, bound)?.over(&mut row.range.min);
        is_changed |= Cell::read(record, 9, bound)?.over(&mut row.range.max);
        if let Range { min: Some(min), max: Some(max) } = row.range
            && min > max
        {
            return Err(record.error(9, format!("expected min ({min}) or more, found {max}")));
        }
        let has_source = Cell::read(record, 10, text)?.over_text(&mut row.source);
        is_changed |= Cell::read(record, 11, text)?.over_text(&mut row.note);
        if is_changed && !has_source {
            row.source = OWN.to_owned();
        }
        if row.pair.is_none() {
            row.edge = None;
        }
        self.pair(code, pair_before, &mut row);
        self.table.rows.insert(code, row);
        self.describe(record, code)
    }

    /// Rejects a row that says of a code something else than a row before it. Only descriptions may be several.
    fn check_said(&mut self, record: &Record<'_>, code: AlertCode) -> Result<(), LineError> {
        for column in 1..COLUMNS.len() - 1 {
            let text = record.text(column);
            if text.is_empty() {
                continue;
            }
            let (line, before) = self.said.entry((code, column)).or_insert_with(|| (record.line(), text.to_owned()));
            if before != text {
                let (here, there) = (shown(text), shown(before));
                let why = format!("{here}, but line {line} says {there} of {code}; keep one of the two");
                return Err(record.error(column, why));
            }
        }
        Ok(())
    }

    /// Makes the other code of a pair name this one, and the codes that each of the two left name none.
    fn pair(&mut self, code: AlertCode, before: Option<AlertCode>, row: &mut Code) {
        if before != row.pair {
            self.leave(before, code);
        }
        let Some(pair) = row.pair else { return };
        let Some(other) = self.table.rows.get_mut(&pair) else { return };
        let left = other.pair.replace(code).filter(|left| *left != code);
        let edge_of_other = other.edge.filter(|_| left.is_none());
        row.edge = row.edge.or(edge_of_other.map(Edge::other));
        other.edge = row.edge.map(Edge::other);
        self.leave(left, pair);
    }

    /// Makes a code that was the pair of another one the pair of none.
    fn leave(&mut self, left: Option<AlertCode>, code: AlertCode) {
        if let Some(row) = left.and_then(|left| self.table.rows.get_mut(&left)).filter(|row| row.pair == Some(code)) {
            (row.pair, row.edge) = (None, None);
        }
    }

    fn describe(&mut self, record: &Record<'_>, code: AlertCode) -> Result<(), LineError> {
        const COLUMN: usize = 12;
        let Some(text) = record.read(COLUMN, description)? else { return Ok(()) };
        if text == NOTHING {
            self.table.descriptions.retain(|_, of| *of != code);
            return Ok(());
        }
        if let Some(other) = self.described.get(&text).filter(|other| **other != code) {
            return Err(record.error(COLUMN, format!("{} stands for {other} already", shown(&text))));
        }
        self.described_bytes += text.len();
        if self.described_bytes > DESCRIPTIONS_BYTES_MAX {
            let why = format!("the file has more than {DESCRIPTIONS_BYTES_MAX} bytes of descriptions");
            return Err(record.error(COLUMN, why));
        }
        self.described.insert(text.clone(), code);
        self.table.descriptions.insert(text, code);
        Ok(())
    }

    pub(super) fn finish(self) -> CodeTable {
        self.table
    }
}

fn code_of(text: &str) -> Result<AlertCode, String> {
    AlertCode::from_str(text).map_err(|error| error.to_string())
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("expected yes or no, found {}", shown(text))),
    }
}

fn edge(text: &str) -> Result<Edge, String> {
    [Edge::Raise, Edge::Clear]
        .into_iter()
        .find(|edge| edge.name() == text)
        .ok_or_else(|| format!("expected raise or clear, found {}", shown(text)))
}

fn bound(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("expected an integer of 32 bits, in the unit, found {}", shown(text)))
}

fn description(text: &str) -> Result<String, String> {
    check_is_value(text)?;
    if text.len() > DESCRIPTION_BYTES_MAX || text.chars().any(is_unsafe) {
        let found = shown(text);
        return Err(format!(
            "expected at most {DESCRIPTION_BYTES_MAX} bytes without control characters, found {found}"
        ));
    }
    Ok(text.to_owned())
}
