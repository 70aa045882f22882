//! Rows of a list that the host gives in pages, up to the limit that `--limit` states.
//!
//! It must not know the rows. Invariant: at most as many rows as the limit are printed, and a limit that leaves out rows is
//! named.

use serde::Serialize;

use super::{
    failure::Failure,
    session::Session,
    table::{Table, thousands},
};

/// Rows as they come.
pub(super) struct Listed<T> {
    limit: usize,
    count: usize,
    /// There are rows beyond the limit.
    is_over: bool,
    /// Rows that are not printed yet.
    rows: Vec<T>,
}

impl<T: Serialize> Listed<T> {
    /// At most `limit` rows; 0 for all.
    pub(super) fn new(limit: usize) -> Self {
        let limit = if limit == 0 { usize::MAX } else { limit };
        Self { limit, count: 0, is_over: false, rows: Vec::new() }
    }

    /// Rows to ask for at a time, of at most `rows_max`: one more than the limit says whether there are others.
    pub(super) fn page_size(&self, rows_max: u32) -> u32 {
        rows_max.min(u32::try_from(self.limit.saturating_add(1)).unwrap_or(rows_max))
    }

    /// Takes the rows of a page. Returns false once no other page is wanted. As JSON they are printed at once; a table needs all
    /// rows to align its columns.
    pub(super) fn take(
        &mut self,
        session: &Session,
        rows: impl IntoIterator<Item = T>,
        table: impl FnOnce(&[T]) -> Table,
    ) -> Result<bool, Failure> {
        for row in rows {
            if self.count == self.limit {
                self.is_over = true;
                break;
            }
            self.count += 1;
            self.rows.push(row);
        }
        if session.json {
            session.list(&std::mem::take(&mut self.rows), table)?;
        }
        Ok(!self.is_over)
    }

    /// Prints the table, and says where there are more rows.
    pub(super) fn finish(self, session: &Session, table: impl FnOnce(&[T]) -> Table) -> Result<(), Failure> {
        if !session.json {
            session.list(&self.rows, table)?;
        }
        if self.is_over {
            eprintln!("there are more than {}: --limit shows them", thousands(self.count as u64));
        }
        Ok(())
    }
}
