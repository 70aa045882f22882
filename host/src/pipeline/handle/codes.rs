//! The tables of alert codes, and which codes are protected.
//!
//! Invariant: whoever may ask anything sees the same tables; they say nothing of anybody's alerts.

use std::sync::Arc;

use super::Handle;
use crate::{
    books::Families,
    domain::{AlertCode, Position},
    intake::tables::{CodeTable, CodeTables},
    pipeline::Refusal,
};

/// A table of codes, and where it holds.
#[derive(Debug, Clone)]
pub struct CodesView {
    /// The table.
    pub table: Arc<CodeTable>,
    /// Alerts from this position on were logged under it.
    pub since: Position,
    /// Alerts from this position on were logged under another one; `None`: it is in force.
    pub until: Option<Position>,
}

impl Handle {
    /// Returns the table that alerts at a position were logged under, or the one that is in force.
    /// Rejects a position that the log has not reached: which table an alert there will be logged under is not known.
    pub fn codes(&self, position: Option<Position>) -> Result<CodesView, Refusal> {
        let end = *self.shared.log_end.borrow();
        if let Some(position) = position.filter(|position| *position >= end) {
            return Err(Refusal::invalid(
                "position",
                format!("no alert has position {position} yet; the next one gets {end}"),
            ));
        }
        let tables = self.code_tables();
        let (version, until) = match position {
            Some(position) => tables.at(position),
            None => (tables.today(), None),
        };
        Ok(CodesView { table: Arc::clone(&version.table), since: version.since, until })
    }

    /// Returns what codes belong to, by the tables that alerts were logged under.
    pub(super) fn families(&self) -> Families {
        let tables = self.code_tables();
        let families = |table: &CodeTable| table.rows().map(|(code, row)| (code, row.family.clone())).collect();
        Families::new(tables.versions().iter().map(|version| (version.since, families(&version.table))).collect())
    }

    fn code_tables(&self) -> Arc<CodeTables> {
        let tables = self.shared.code_tables.read().clone();
        // It is published before anybody can ask.
        tables.unwrap_or_else(|| Arc::new(CodeTables::of(CodeTable::builtin())))
    }

    /// Returns true if no rule can hold back alerts of a code that arrive now.
    pub fn is_protected(&self, code: AlertCode) -> bool {
        self.settings.today().protected.contains(code.0)
    }
}
