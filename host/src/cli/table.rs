//! Tables for people: plain borders, as wide as the terminal, numbers to the right.
//!
//! It must not know what is in a table. Invariant: no cell has a control character, whoever wrote its text.

use std::fmt;

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Row, Width, presets};

use super::view::clean;

/// Characters of one cell.
const CELL_CHARS_MAX: usize = 2_000;

/// What stands beside the text of a cell: a border or what is left of it, and blanks.
const BESIDE_CELL_CHARS: usize = 3;

/// A table in the making.
pub(crate) struct Table(comfy_table::Table);

impl Table {
    /// A table with these headings.
    pub(crate) fn new<S: AsRef<str>>(headings: &[S]) -> Self {
        let mut table = Self::bare();
        table.0.set_header(headings.iter().map(|heading| Cell::new(heading.as_ref())));
        table
    }

    /// One thing, a line for each of its facts.
    pub(crate) fn facts(facts: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let mut table = Self::bare();
        for (name, value) in facts {
            table.0.add_row([Cell::new(name), value.cell(CellAlignment::Left)]);
        }
        table
    }

    fn bare() -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::ASCII_BORDERS_ONLY_CONDENSED);
        Self(table)
    }

    /// The same, as wide as the terminal. Into a pipe or a file a row goes as it is, as one line.
    pub(crate) fn fitted(mut self) -> Self {
        if let Some((_, width)) = console::Term::stdout().size_checked() {
            self.fit(width);
        }
        self
    }

    fn fit(&mut self, width: u16) {
        self.0.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        let heading = |cell: &Cell| cell.content().chars().count();
        let headings: Vec<usize> = self.0.header().into_iter().flat_map(Row::cell_iter).map(heading).collect();
        // Headings are not broken where there is room for them, each with the blanks and borders around it.
        if headings.iter().map(|chars| chars + BESIDE_CELL_CHARS).sum::<usize>() >= usize::from(width) {
            return;
        }
        for (column, chars) in self.0.column_iter_mut().zip(headings) {
            let least = u16::try_from(chars).unwrap_or(width).saturating_add(BESIDE_CELL_CHARS as u16);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, values: impl IntoIterator<Item = Value>) {
        self.0.add_row(values.into_iter().map(|value| value.cell(CellAlignment::Right)).collect::<Vec<_>>());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What stands in a cell.
pub(crate) enum Value {
    /// A number: to the right, with separators.
    Number(u64),
    /// A number that has its unit with it: to the right.
    Quantity(String),
    /// Text: to the left.
    Text(String),
}

impl Value {
    /// Text from wherever.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn cell(self, number: CellAlignment) -> Cell {
        match self {
            Self::Number(value) => Cell::new(thousands(value)).set_alignment(number),
            Self::Quantity(text) => Cell::new(text).set_alignment(number),
            Self::Text(text) => Cell::new(clean(&text, CELL_CHARS_MAX)),
        }
    }
}

/// A number with a comma after every three digits.
pub(crate) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (7_000_000, "7,000,000"), (123_456, "123,456")] {
            assert_eq!(thousands(value), text);
        }
        assert_eq!(thousands(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn a_table_fits_a_narrow_terminal_and_keeps_its_headings() {
        let mut table = Table::new(&["position", "device", "what became of it"]);
        table.row([Value::Number(1), Value::text("00-DB-12-34-56-78-90-A0"), Value::text("a b c d e f g ".repeat(5))]);
        for width in [30, 45, 60, 100] {
            let mut narrow = Table(table.0.clone());
            narrow.fit(width);
            let text = narrow.to_string();
            assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{width}: {text}");
            assert_eq!(width > 30, text.contains("position") && text.contains("what became of it"), "{width}: {text}");
        }
    }

    #[test]
    fn a_table_is_plain_and_clean() {
        let mut table = Table::new(&["code", "received"]);
        table.row([Value::text("8F40"), Value::Number(1234)]);
        table.row([Value::text("\u{1b}[2Jx"), Value::Number(5)]);
        let expected = [
            "+------------------+",
            "| code    received |",
            "+==================+",
            "| 8F40       1,234 |",
            "| \u{FFFD}[2Jx          5 |",
            "+------------------+",
        ];
        assert_eq!(table.to_string().lines().collect::<Vec<_>>(), expected);
    }
}
