//! What an export wrote, and how it balances.
//!
//! It must not know how files are written.

use serde::Serialize;

use crate::cli::table::{Table, Value, thousands};

/// An export.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Exported {
    pub folder: String,
    pub days: u64,
    pub files: u64,
    pub bytes: u64,
    pub rows: u64,
    pub forwarded: u64,
    pub suppressed: u64,
    pub duplicate: u64,
    /// Alerts that are in the books and no longer in the log.
    pub gone: u64,
    pub position: u64,
}

/// What was written, in one row.
pub(in crate::cli) fn table(exported: &Exported) -> Table {
    let Exported { days, files, bytes, rows, forwarded, suppressed, duplicate, .. } = exported;
    let mut table = Table::new(&["days", "files", "bytes", "rows", "forwarded", "suppressed", "duplicate"]);
    table.row([days, files, bytes, rows, forwarded, suppressed, duplicate].map(|count| Value::Number(*count)));
    table
}

impl Exported {
    /// How it balances, in a line.
    pub(in crate::cli) fn balance(&self) -> String {
        let Self { rows, forwarded, suppressed, duplicate, gone, position, .. } = *self;
        let duplicates = if duplicate > 0 { format!(" + {} duplicate", thousands(duplicate)) } else { String::new() };
        let gone = if gone > 0 { format!(" - {} gone by retention", thousands(gone)) } else { String::new() };
        format!(
            "{} rows = {} forwarded + {} suppressed{duplicates}{gone}, as `weir count` has them at log position {position}",
            thousands(rows),
            thousands(forwarded),
            thousands(suppressed),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_says_how_it_balances() {
        let exported = Exported {
            folder: "alerts".to_owned(),
            days: 2,
            files: 3,
            bytes: 40_000,
            rows: 1_500,
            forwarded: 300,
            suppressed: 1_200,
            duplicate: 0,
            gone: 0,
            position: 1_700,
        };
        let line = "1,500 rows = 300 forwarded + 1,200 suppressed, as `weir count` has them at log position 1700";
        assert_eq!(exported.balance(), line);
        let exported = Exported { rows: 1_507, duplicate: 9, gone: 2, ..exported };
        let line = "1,507 rows = 300 forwarded + 1,200 suppressed + 9 duplicate - 2 gone by retention, as";
        assert!(exported.balance().starts_with(line), "{}", exported.balance());
        assert!(table(&exported).to_string().contains("40,000"));
    }
}
