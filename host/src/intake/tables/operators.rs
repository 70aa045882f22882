//! The table of network operators by distributor id.

use std::{collections::BTreeMap, io::BufRead};

use super::{LineError, Record, Records, shown, text};
use crate::domain::OperatorId;

const BUILTIN: &str = include_str!("operators.csv");
/// The area of an independent network, which lies within those of others.
const EMBEDDED: &str = "embedded";
const COLUMNS: &[&str] = &["id", "market_id", "area", "group"];

/// A row of the table of operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Its four letters in market messages; may be empty.
    pub market_id: String,
    /// Where it operates; `embedded` for networks within those of others.
    pub area: String,
    /// The company group it belongs to.
    pub group: String,
}

/// Operators by distributor id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperatorTable(BTreeMap<OperatorId, Operator>);

impl OperatorTable {
    /// Returns the table that comes with the program.
    pub fn builtin() -> Self {
        Self::default().with_file(BUILTIN.as_bytes()).expect("a test reads the same bytes")
    }

    /// Adds the rows of a file, replacing rows of the same id. Columns: `id` and `market_id`, and any of `area` and
    /// `group`.
    pub fn with_file(mut self, reader: impl BufRead) -> Result<Self, LineError> {
        let mut records = Records::new(reader, COLUMNS, 2)?;
        let mut lines: BTreeMap<OperatorId, u64> = BTreeMap::new();
        while let Some(record) = records.next() {
            let record = record?;
            let id = operator_id(&record)?;
            let row = Operator {
                market_id: record.require(1, text)?,
                area: record.read(2, text)?.unwrap_or_default(),
                group: record.read(3, text)?.unwrap_or_default(),
            };
            let line = *lines.entry(id).or_insert(record.line());
            if let Some(before) = self.get(id).filter(|before| line != record.line() && *before != &row) {
                let pairs = [
                    ("market_id", &before.market_id, &row.market_id),
                    ("area", &before.area, &row.area),
                    ("group", &before.group, &row.group),
                ];
                let differ = pairs.into_iter().find(|(_, one, other)| one != other);
                let (column, one, other) = differ.unwrap_or(("market_id", &before.market_id, &row.market_id));
                let why = format!(
                    "line {line} gives {id} the {column} {}, and this one {}; keep one of the two",
                    shown(one),
                    shown(other)
                );
                return Err(record.error(0, why));
            }
            self.0.insert(id, row);
        }
        Ok(self)
    }

    /// Returns all that is known of an operator.
    pub fn get(&self, id: OperatorId) -> Option<&Operator> {
        self.0.get(&id)
    }

    /// Returns the operator's four letters.
    pub fn name(&self, id: OperatorId) -> Option<&str> {
        self.get(id).map(|row| row.market_id.as_str())
    }

    /// Returns true for an independent network that lies within those of others.
    pub fn is_embedded(&self, id: OperatorId) -> bool {
        self.get(id).is_some_and(|row| row.area == EMBEDDED)
    }

    /// Returns the operator with these four letters, in either case.
    pub fn find(&self, market_id: &str) -> Option<OperatorId> {
        self.0.iter().find(|(_, row)| row.market_id.eq_ignore_ascii_case(market_id)).map(|(id, _)| *id)
    }

    /// Returns the only operator with these four letters, or of this area, in either case.
    pub fn find_any(&self, name: &str) -> Option<OperatorId> {
        let mut of_area = self.0.iter().filter(|(_, row)| row.area.eq_ignore_ascii_case(name)).map(|(id, _)| *id);
        self.find(name).or_else(|| of_area.next().filter(|_| of_area.next().is_none()))
    }
}

fn operator_id(record: &Record<'_>) -> Result<OperatorId, LineError> {
    record.require(0, |text| {
        let id = text.parse().ok().and_then(OperatorId::new).filter(|id| *id != OperatorId::UNKNOWN);
        id.ok_or_else(|| format!("expected a distributor id from 10 to 99, found {}", shown(text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_read() {
        let operators = OperatorTable::default().with_file(BUILTIN.as_bytes()).unwrap();
        assert_eq!(operators.0.len(), 29);
        assert_eq!(operators, OperatorTable::builtin());
        assert_eq!(operators.find("lond"), OperatorId::new(12));
        assert_eq!(operators.find_any("west midlands"), OperatorId::new(14));
        assert_eq!(operators.find_any("embedded"), None, "there are several");
    }

    #[test]
    fn rows_of_one_operator_that_disagree_are_refused() {
        let read = |text: &str| OperatorTable::builtin().with_file(text.as_bytes()).map_err(|error| error.to_string());
        assert!(read("id,market_id\n40,NEWO\n40,NEWO\n").is_ok());
        let refused = read("id,market_id\n40,NEWO\n41,OTHE\n40,NEWP\n").unwrap_err();
        assert_eq!(
            refused,
            "line 4: id: line 2 gives 40 the market_id \"NEWO\", and this one \"NEWP\"; keep one of the two"
        );
    }

    #[test]
    fn a_file_adds_rows_and_a_bad_one_is_refused() {
        let operators = OperatorTable::builtin().with_file("id,market_id\n40,NEWO\n".as_bytes()).unwrap();
        assert_eq!(operators.get(OperatorId::new(40).unwrap()).map(|row| row.market_id.as_str()), Some("NEWO"));
        let error = OperatorTable::default().with_file("id,market_id\n0,X\n".as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "line 2: id: expected a distributor id from 10 to 99, found \"0\"");
    }
}
