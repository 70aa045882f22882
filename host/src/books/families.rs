//! What codes belong to, by the table of codes that each alert was logged under.
//!
//! Invariant: a later correction of the table moves no alert that was logged before it to another family.

use std::collections::{BTreeSet, HashMap};

use crate::domain::{AlertCode, Cell, End, Position};

/// The families of codes, as the tables had them that were in force one after the other.
#[derive(Debug, Default)]
pub struct Families {
    /// Each name once, in order. Its number is its place, from 1; 0 stands for none.
    names: Vec<String>,
    /// The number of each code's family, from a log position on. Two in a row differ.
    tables: Vec<(Position, HashMap<AlertCode, u32>)>,
}

impl Families {
    /// Takes the families of codes from each position on, the oldest first.
    pub fn new(tables: Vec<(Position, HashMap<AlertCode, String>)>) -> Self {
        let distinct: BTreeSet<&String> = tables.iter().flat_map(|(_, families)| families.values()).collect();
        let names: Vec<String> = distinct.into_iter().filter(|name| !name.is_empty()).cloned().collect();
        let number = |name: &String| names.binary_search(name).map_or(0, |at| at as u32 + 1);
        let mut numbered: Vec<(Position, HashMap<AlertCode, u32>)> = Vec::new();
        for (since, families) in &tables {
            let families = families.iter().map(|(code, name)| (*code, number(name)));
            let families: HashMap<AlertCode, u32> = families.filter(|(_, number)| *number > 0).collect();
            if numbered.last().is_none_or(|(_, last)| *last != families) {
                numbered.push((*since, families));
            }
        }
        Self { names, tables: numbered }
    }

    /// Returns the position from which on some code belongs to another family than before; `None` where none ever did.
    pub fn first_change(&self) -> Option<Position> {
        self.tables.get(1).map(|(since, _)| *since)
    }

    /// Returns the number of a cell's family: by the table of the position that an alert of it was logged at, or, where that
    /// is not known, by the oldest. What was rejected was never logged, and is named by the table in force.
    pub(super) fn number(&self, cell: &Cell, logged: Option<Position>) -> u32 {
        let Some(code) = cell.code.map(AlertCode) else { return 0 };
        let table = match (cell.end, logged) {
            (End::Rejected, _) => self.tables.last(),
            (_, Some(position)) => {
                let next = self.tables.partition_point(|(since, _)| *since <= position);
                self.tables.get(next.saturating_sub(1))
            }
            (_, None) => self.tables.first(),
        };
        table.and_then(|(_, families)| families.get(&code)).copied().unwrap_or(0)
    }

    /// Returns the name that a number stands for; empty for none.
    pub(super) fn name(&self, number: u32) -> &str {
        let place = number.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        place.and_then(|at| self.names.get(at)).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Revision;

    #[test]
    fn a_code_has_the_family_of_the_table_that_it_was_logged_under() {
        let table = |families: &[(u16, &str)]| {
            families.iter().map(|(code, name)| (AlertCode(*code), (*name).to_owned())).collect::<HashMap<_, _>>()
        };
        let (old, new) = (table(&[(1, "supply"), (2, "voltage"), (3, "")]), table(&[(1, "tamper"), (2, "voltage")]));
        // A table that differs in names alone begins no new families.
        let same = table(&[(1, "supply"), (2, "voltage")]);
        let families = Families::new(vec![
            (Position(0), old.clone()),
            (Position(40), same),
            (Position(70), new),
            (Position(90), old),
        ]);
        assert_eq!(families.first_change(), Some(Position(70)));
        let cell =
            |code, end| Cell { code, operator: 0, generation: 0, model: 0, end, rule: Revision::NONE, reason: 0 };
        let name = |code, end, position| families.name(families.number(&cell(code, end), position)).to_owned();
        for (position, expected) in [
            (None, "supply"),
            (Some(0), "supply"),
            (Some(69), "supply"),
            (Some(70), "tamper"),
            (Some(89), "tamper"),
            (Some(90), "supply"),
        ] {
            assert_eq!(name(Some(1), End::Forwarded, position.map(Position)), expected, "{position:?}");
        }
        assert_eq!(
            (name(Some(3), End::Forwarded, None), name(None, End::Rejected, None)),
            (String::new(), String::new())
        );
        assert_eq!(name(Some(2), End::Suppressed, Some(Position(80))), "voltage");
        let two = Families::new(vec![(Position(0), table(&[(1, "a")])), (Position(5), table(&[(1, "b")]))]);
        assert_eq!(two.name(two.number(&cell(Some(1), End::Rejected), None)), "b", "by the table in force");
        assert_eq!(Families::new(vec![(Position(0), table(&[(1, "a")]))]).first_change(), None);
    }
}
