//! Tables for people: plain borders, numbers to the right, never wider than the terminal, or than 120 columns into a pipe
//! or a file.
//!
//! A table that is too wide is wrapped where every column keeps its longest word; otherwise it turns on its side, a line
//! for each cell, as `psql` does with `\x auto`.
//!
//! Invariant: no cell has a control character, whoever wrote its text.

use std::fmt;

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Width, presets};

use super::view::clean;

/// Characters of one cell.
const CELL_CHARS_MAX: usize = 2_000;
/// What stands beside the text of a cell: a border or what is left of it, and blanks.
const BESIDE_CELL_CHARS: usize = 3;
/// Columns of a line where there is no terminal: what people read in a mail or an editor.
const COLUMNS_WITHOUT_TERMINAL: u16 = 120;
/// Columns of a line at least: less would break every number.
const COLUMNS_MIN: u16 = 40;
/// Lines that a row takes on average at most, before a wrapped table is harder to read than one on its side.
const LINES_PER_ROW_MAX: usize = 3;

/// A table in the making.
#[derive(Clone)]
pub(crate) struct Table {
    /// Headings of the columns; `None` for one thing with a line for each of its facts.
    headings: Option<Vec<String>>,
    rows: Vec<Vec<Entry>>,
    /// Columns of a line; `None` for as many as it takes.
    columns_max: Option<u16>,
}

/// The text of a cell.
#[derive(Clone)]
struct Entry {
    text: String,
    is_number: bool,
}

impl Table {
    /// Returns an empty table with these headings.
    pub(crate) fn new<S: AsRef<str>>(headings: &[S]) -> Self {
        let headings = headings.iter().map(|heading| heading.as_ref().to_owned()).collect();
        Self { headings: Some(headings), rows: Vec::new(), columns_max: None }
    }

    /// Returns one thing, with a line for each of its facts.
    pub(crate) fn facts<S: AsRef<str>>(facts: impl IntoIterator<Item = (S, Value)>) -> Self {
        let rows = facts.into_iter().map(|(name, value)| {
            let name = Entry { text: name.as_ref().to_owned(), is_number: false };
            vec![name, Entry { is_number: false, ..value.entry() }]
        });
        Self { headings: None, rows: rows.collect(), columns_max: None }
    }

    /// Makes the table as wide as the terminal at most, or as 120 columns where there is none.
    pub(crate) fn fitted(mut self) -> Self {
        let width = console::Term::stdout().size_checked().map_or(COLUMNS_WITHOUT_TERMINAL, |(_, width)| width);
        self.columns_max = Some(width.max(COLUMNS_MIN));
        self
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, values: impl IntoIterator<Item = Value>) {
        self.rows.push(values.into_iter().map(Value::entry).collect());
    }

    /// The widest text of each column, by some measure of a text.
    fn widest(&self, measure: impl Fn(&str) -> usize) -> Vec<usize> {
        let mut widest: Vec<usize> = self.headings.iter().flatten().map(|heading| measure(heading)).collect();
        for row in &self.rows {
            widest.resize(widest.len().max(row.len()), 0);
            row.iter().zip(&mut widest).for_each(|(entry, most)| *most = (*most).max(measure(&entry.text)));
        }
        widest
    }

    /// As wide as it is.
    fn plain(&self) -> comfy_table::Table {
        let mut table = bare();
        if let Some(headings) = &self.headings {
            table.set_header(headings.iter().map(Cell::new));
        }
        for row in &self.rows {
            table.add_row(row.iter().map(Entry::cell).collect::<Vec<_>>());
        }
        table
    }

    /// Not wider than `columns_max`, with the words of each column whole; `None` where that cannot be read well.
    fn wrapped(&self, columns_max: u16) -> Option<comfy_table::Table> {
        let words = self.widest(|text| text.split(' ').map(|word| word.chars().count()).max().unwrap_or(0));
        if table_width(&words) > usize::from(columns_max) {
            return None;
        }
        let mut table = self.plain();
        fit(&mut table, columns_max, words.into_iter().map(|word| ColumnConstraint::LowerBoundary(column_width(word))));
        let lines = table.to_string().lines().count();
        (lines <= LINES_PER_ROW_MAX * (self.rows.len() + 1) + 3).then_some(table)
    }

    /// Its rows below each other, a line for each cell that is not empty; "none" where there is no row.
    fn on_its_side(&self, headings: &[String], columns_max: u16) -> String {
        let chars = |text: &String| text.chars().count();
        let names = headings.iter().map(chars).max().unwrap_or(0);
        let values = self.rows.iter().flatten().map(|entry| chars(&entry.text)).max().unwrap_or(0);
        let room = usize::from(columns_max).saturating_sub(table_width(&[names, 0]));
        let widths = [names, values.min(room).max(1)];
        if self.rows.is_empty() {
            return "none".to_owned();
        }
        let mut out = String::new();
        for row in &self.rows {
            let mut table = bare();
            for (heading, entry) in headings.iter().zip(row).filter(|(_, entry)| !entry.text.is_empty()) {
                table.add_row([Cell::new(heading), Cell::new(&entry.text)]);
            }
            fit(
                &mut table,
                columns_max,
                widths.map(|width| ColumnConstraint::Absolute(column_width(width))).into_iter(),
            );
            let text = table.to_string();
            // One border between two rows.
            let from = if out.is_empty() { 0 } else { text.find('\n').map_or(0, |end| end) };
            out.push_str(&text[from..]);
        }
        out
    }
}

/// An empty table with plain borders.
fn bare() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(presets::ASCII_BORDERS_ONLY_CONDENSED);
    table
}

fn fit(table: &mut comfy_table::Table, columns_max: u16, constraints: impl Iterator<Item = ColumnConstraint>) {
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns_max);
    for (column, constraint) in table.column_iter_mut().zip(constraints) {
        column.set_constraint(constraint);
    }
}

/// Columns of a table whose columns have these widths.
fn table_width(widths: &[usize]) -> usize {
    widths.iter().map(|width| width + BESIDE_CELL_CHARS).sum::<usize>() + 1
}

/// The width of a column with room for a text.
fn column_width(chars: usize) -> Width {
    Width::Fixed(u16::try_from(chars + BESIDE_CELL_CHARS - 1).unwrap_or(u16::MAX))
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = table_width(&self.widest(|text| text.chars().count()));
        let Some(columns_max) = self.columns_max.filter(|max| width > usize::from(*max)) else {
            return self.plain().fmt(f);
        };
        match (&self.headings, self.wrapped(columns_max)) {
            (None, _) => {
                let mut table = self.plain();
                fit(&mut table, columns_max, std::iter::empty());
                table.fmt(f)
            }
            (Some(_), Some(table)) => table.fmt(f),
            (Some(headings), None) => f.write_str(&self.on_its_side(headings, columns_max)),
        }
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

    /// Returns true for a text that says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Number(_) => false,
            Self::Quantity(text) | Self::Text(text) => text.is_empty(),
        }
    }

    fn entry(self) -> Entry {
        match self {
            Self::Number(value) => Entry { text: thousands(value), is_number: true },
            Self::Quantity(text) => Entry { text, is_number: true },
            Self::Text(text) => Entry { text: clean(&text, CELL_CHARS_MAX), is_number: false },
        }
    }
}

impl Entry {
    fn cell(&self) -> Cell {
        let alignment = if self.is_number { CellAlignment::Right } else { CellAlignment::Left };
        Cell::new(&self.text).set_alignment(alignment)
    }
}

/// A number with a comma after every three digits.
/// Writes a count with the word for what is counted: `1 alert`, `2,000 alerts`.
pub(crate) fn count_of(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(value), if value == 1 { one } else { many })
}

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

    fn lines(table: &Table, columns_max: u16) -> Vec<String> {
        let table = Table { columns_max: Some(columns_max), ..table.clone() };
        let lines: Vec<String> = table.to_string().lines().map(str::to_owned).collect();
        assert!(lines.iter().all(|line| line.chars().count() <= usize::from(columns_max)), "{columns_max}: {lines:#?}");
        lines
    }

    #[test]
    fn numbers_have_separators() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (7_000_000, "7,000,000"), (123_456, "123,456")] {
            assert_eq!(thousands(value), text);
        }
        assert_eq!(thousands(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn a_wide_table_is_wrapped_by_words_or_turns_on_its_side() {
        let mut table = Table::new(&["position", "device", "what became of it"]);
        table.row([Value::Number(1), Value::text("00-DB-12-34-56-78-90-A0"), Value::text("a b c d e f g ".repeat(5))]);
        table.row([Value::Number(2), Value::text("00-DB-12-34-56-78-90-A1"), Value::text("")]);
        assert_eq!(lines(&table, 120).len(), 6);
        let wrapped = lines(&table, 80);
        assert!(wrapped.len() > 6 && wrapped.iter().any(|line| line.contains("| position   device ")), "{wrapped:#?}");
        assert_eq!(wrapped.iter().filter(|line| line.contains("00-DB-12-34-56-78-90-A")).count(), 2, "words are whole");
        let turned = lines(&table, 44);
        let expected = [
            "+------------------------------------------+",
            "| position          1                      |",
            "| device            00-DB-12-34-56-78-90-A0 |",
        ];
        assert_eq!(
            turned[1].split_whitespace().collect::<Vec<_>>(),
            expected[1].split_whitespace().collect::<Vec<_>>()
        );
        // A cell that is empty has no line, and one border parts two rows.
        assert_eq!(turned.iter().filter(|line| line.contains("what became of it")).count(), 1, "{turned:#?}");
        assert_eq!(turned.iter().filter(|line| line.starts_with('+')).count(), 3, "{turned:#?}");
        let empty = Table::new(&["a_heading_of_some_length", "another_heading_of_some_length"]);
        assert_eq!(lines(&empty, 44), ["none"]);
    }

    #[test]
    fn any_table_fits_any_width() {
        let texts =
            ["", "x", "a b c d e f g h", "00-DB-12-34-56-78-90-A0", &"{\"codes\":".repeat(30), "\u{fc}\u{fc} \u{fc}"];
        for columns in 1..12 {
            let headings: Vec<String> = (0..columns).map(|at| format!("heading {at}")).collect();
            let mut table = Table::new(&headings);
            for row in 0..4 {
                table.row((0..columns).map(|at| Value::text(texts[(at * 7 + row) % texts.len()])));
            }
            for width in [40, 80, 120, 200] {
                lines(&table, width);
            }
        }
        let facts = Table::facts([("digest", Value::text("ab".repeat(100))), ("name", Value::text("x y ".repeat(90)))]);
        for width in [40, 80, 120] {
            lines(&facts, width);
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
