//! Cursors.
//!
//! It must not know how cursors are asked for.

use serde::Serialize;
use weir_proto::v1;

use super::time;
use crate::cli::table::{Table, Value};

/// How far the holder of a cursor has come.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Cursor {
    pub name: String,
    pub position: u64,
    pub behind: u64,
    pub lost: u64,
    pub is_open: bool,
    pub made_at_ms: i64,
    pub advanced_at_ms: i64,
}

impl From<v1::Cursor> for Cursor {
    fn from(message: v1::Cursor) -> Self {
        let v1::Cursor { name, position, behind, lost, is_open, made_at_ms, advanced_at_ms } = message;
        Self { name, position, behind, lost, is_open, made_at_ms, advanced_at_ms }
    }
}

/// Cursors, a row each.
pub(in crate::cli) fn table(rows: &[Cursor]) -> Table {
    let mut table = Table::new(&["name", "position", "behind", "lost", "open", "made", "advanced"]);
    for row in rows {
        table.row([
            Value::text(&row.name),
            Value::Number(row.position),
            Value::Number(row.behind),
            Value::Number(row.lost),
            Value::text(if row.is_open { "yes" } else { "no" }),
            Value::text(time(row.made_at_ms)),
            Value::text(time(row.advanced_at_ms)),
        ]);
    }
    table
}
