//! The tables of codes that a host has gone by, each from a log position on.
//!
//! Invariant: an alert is named by the table that was in force when it was logged; a correction changes no alert of
//! before.

use std::sync::Arc;

use super::CodeTable;
use crate::domain::Position;

/// A table, and from where on it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeTableVersion {
    /// Alerts from this log position on are named by it.
    pub since: Position,
    /// The table.
    pub table: Arc<CodeTable>,
}

/// The tables that were in force, in order; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeTables(Vec<CodeTableVersion>);

impl CodeTables {
    /// Returns a history of this table alone.
    pub fn of(table: CodeTable) -> Self {
        Self(vec![CodeTableVersion { since: Position::default(), table: Arc::new(table) }])
    }

    /// Returns the history of these tables, in order of positions, and of `today` from `position` on. The second value is
    /// the new version, where `today` is not the last of them already.
    pub fn new(
        kept: Vec<(Position, CodeTable)>,
        today: CodeTable,
        position: Position,
    ) -> (Self, Option<CodeTableVersion>) {
        let version = |(since, table)| CodeTableVersion { since, table: Arc::new(table) };
        let mut versions: Vec<CodeTableVersion> = kept.into_iter().map(version).collect();
        if versions.last().is_some_and(|last| *last.table == today) {
            return (Self(versions), None);
        }
        // Nothing was logged under a table that another one follows at the same position.
        versions.retain(|version| version.since < position);
        // What was logged before there were any tables was logged under no table that is known: the first stands for it.
        let since = if versions.is_empty() { Position::default() } else { position };
        let new = version((since, today));
        versions.push(new.clone());
        (Self(versions), Some(new))
    }

    /// Returns all of them, the oldest first.
    pub fn versions(&self) -> &[CodeTableVersion] {
        &self.0
    }

    /// Returns the table that is in force.
    pub fn today(&self) -> &CodeTableVersion {
        self.0.last().expect("there is always one")
    }

    /// Returns the table that an alert at this position was logged under, and where the next one begins.
    pub fn at(&self, position: Position) -> (&CodeTableVersion, Option<Position>) {
        let next = self.0.partition_point(|version| version.since <= position);
        // What lies before the first is named by the first.
        let version = &self.0[next.saturating_sub(1)];
        (version, self.0.get(next.max(1)).map(|version| version.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(row: &str) -> CodeTable {
        CodeTable::default().with_file(format!("code,name,unit\n{row}\n").as_bytes()).unwrap()
    }

    #[test]
    fn an_alert_keeps_the_table_that_it_was_logged_under() {
        let (first, new) = CodeTables::new(Vec::new(), table("E001,x,s"), Position(70));
        assert_eq!(new.as_ref().map(|new| new.since), Some(Position(0)), "older alerts have no table of their own");
        let kept = |tables: &CodeTables| tables.0.iter().map(|v| (v.since, CodeTable::clone(&v.table))).collect();
        let (same, new) = CodeTables::new(kept(&first), table("E001,x,s"), Position(90));
        assert_eq!((same, new), (first.clone(), None));

        let (second, new) = CodeTables::new(kept(&first), table("E001,x,ms"), Position(100));
        assert_eq!(new.map(|new| new.since), Some(Position(100)));
        let unit = |tables: &CodeTables, at| {
            tables.at(Position(at)).0.table.unit("E001".parse().unwrap()).map(ToString::to_string).unwrap()
        };
        assert_eq!((unit(&second, 99), unit(&second, 100)), ("s".to_owned(), "ms".to_owned()));
        assert_eq!(second.at(Position(99)).1, Some(Position(100)));
        assert_eq!(second.at(Position(100)).1, None);
        assert_eq!(unit(&second, u64::MAX), "ms");

        let (third, _) = CodeTables::new(kept(&second), table("E001,x,min"), Position(100));
        assert_eq!((third.0.len(), unit(&third, 99), unit(&third, 100)), (2, "s".to_owned(), "min".to_owned()));
    }
}
