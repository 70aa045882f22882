//! What alert codes and operators are called: tables as data, built in, and overridable by a file.
//!
//! It must not know what the names are for: nothing is judged by them, and a code or operator without a row is as
//! welcome as any other. Invariant: the last row read for a key is the one that counts.
//!
//! Codes of an operator's own, for events that are no alerts but cause them, are E000 to EFFF: no device sends these
//! numbers, and none of them stands for a code of the DCC.

use std::{collections::BTreeMap, io::BufRead, str::FromStr};

use super::{
    LineError,
    plausible::{Doubt, Range, Ranges, Unit},
    record::{Record, Records},
    shown,
};
use crate::domain::{AlertCode, OperatorId, is_unsafe};

const BUILTIN_CODES: &str = include_str!("codes.csv");
const BUILTIN_OPERATORS: &str = include_str!("operators.csv");
/// Bytes of one text of a table.
const TEXT_BYTES_MAX: usize = 100;

/// The area of an independent network, which lies within those of others.
const EMBEDDED: &str = "embedded";

const CODE_COLUMNS: &[&str] = &["code", "name", "family", "owner", "critical", "unit", "pair", "min", "max"];
const OPERATOR_COLUMNS: &[&str] = &["id", "market_id", "area", "group"];

/// A row of the table of alert codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// What it means, in a few words.
    pub name: String,
    /// What it belongs to: voltage, supply, tamper ... Empty for not known.
    pub family: String,
    /// Whom devices send it to: network-operator, supplier, supplier-and-network-operator or other.
    pub owner: String,
    /// Whether it is a critical alert, which no device can be told to leave out.
    pub critical: bool,
    /// What a measurement of it counts; `None` where it has none.
    pub unit: Option<Unit>,
    /// The code that raises what this one clears, or the reverse.
    pub pair: Option<AlertCode>,
    /// Between what bounds a measurement of it is plausible.
    pub range: Range,
}

/// Alert codes by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeTable(BTreeMap<AlertCode, Code>);

impl CodeTable {
    /// The table that comes with the program.
    pub fn builtin() -> Self {
        Self::default().with_file(BUILTIN_CODES.as_bytes()).expect("a test reads the same bytes")
    }

    /// Adds the rows of a file, replacing rows of the same code. Columns: `code` and `name`, and any of `family`,
    /// `owner`, `critical` (yes or no), `unit` (dv, thousandths, - for none, or one of one's own, like s), `pair`, and `min`
    /// and `max`: the least and the largest measurement that is plausible, in the unit.
    pub fn with_file(mut self, reader: impl BufRead) -> Result<Self, LineError> {
        let mut records = Records::new(reader, CODE_COLUMNS, 2)?;
        while let Some(record) = records.next() {
            let record = record?;
            let code = record.require(0, AlertCode::from_str)?;
            let row = Code {
                name: record.require(1, text)?,
                family: record.read(2, text)?.unwrap_or_default(),
                owner: record.read(3, text)?.unwrap_or_default(),
                critical: record.read(4, yes_or_no)?.unwrap_or_default(),
                unit: record.read(5, Unit::read)?.flatten(),
                pair: record.read(6, AlertCode::from_str)?,
                range: range(&record)?,
            };
            self.0.insert(code, row);
        }
        Ok(self)
    }

    /// All that is known of a code.
    pub fn get(&self, code: AlertCode) -> Option<&Code> {
        self.0.get(&code)
    }

    /// What a code means, in a few words.
    pub fn name(&self, code: AlertCode) -> Option<&str> {
        self.get(code).map(|row| row.name.as_str())
    }

    /// What a measurement of a code counts.
    pub fn unit(&self, code: AlertCode) -> Option<&Unit> {
        self.get(code).and_then(|row| row.unit.as_ref())
    }

    /// What is plausible for each code.
    pub fn ranges(&self) -> Ranges {
        let mut ranges = Ranges::open();
        self.0.iter().for_each(|(code, row)| ranges.set(*code, row.range));
        ranges
    }

    /// What is to be said of a measurement that is not plausible for its code.
    pub fn doubt(&self, code: AlertCode, measurement: i32) -> Option<Doubt> {
        let row = self.get(code)?;
        row.range.doubt(code, measurement, row.unit.as_ref())
    }
}

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
    /// The table that comes with the program.
    pub fn builtin() -> Self {
        Self::default().with_file(BUILTIN_OPERATORS.as_bytes()).expect("a test reads the same bytes")
    }

    /// Adds the rows of a file, replacing rows of the same id. Columns: `id` and `market_id`, and any of `area` and
    /// `group`.
    pub fn with_file(mut self, reader: impl BufRead) -> Result<Self, LineError> {
        let mut records = Records::new(reader, OPERATOR_COLUMNS, 2)?;
        while let Some(record) = records.next() {
            let record = record?;
            let id = operator_id(&record)?;
            let row = Operator {
                market_id: record.require(1, text)?,
                area: record.read(2, text)?.unwrap_or_default(),
                group: record.read(3, text)?.unwrap_or_default(),
            };
            self.0.insert(id, row);
        }
        Ok(self)
    }

    /// All that is known of an operator.
    pub fn get(&self, id: OperatorId) -> Option<&Operator> {
        self.0.get(&id)
    }

    /// The operator's four letters.
    pub fn name(&self, id: OperatorId) -> Option<&str> {
        self.get(id).map(|row| row.market_id.as_str())
    }

    /// Whether it is an independent network that lies within those of others.
    pub fn is_embedded(&self, id: OperatorId) -> bool {
        self.get(id).is_some_and(|row| row.area == EMBEDDED)
    }

    /// The operator with these four letters, in either case.
    pub fn find(&self, market_id: &str) -> Option<OperatorId> {
        self.0.iter().find(|(_, row)| row.market_id.eq_ignore_ascii_case(market_id)).map(|(id, _)| *id)
    }
}

fn operator_id(record: &Record<'_>) -> Result<OperatorId, LineError> {
    record.require(0, |text| {
        let id = text.parse().ok().and_then(OperatorId::new).filter(|id| *id != OperatorId::UNKNOWN);
        id.ok_or_else(|| format!("expected a distributor id from 10 to 99, found {}", shown(text)))
    })
}

fn text(text: &str) -> Result<String, String> {
    if text.len() > TEXT_BYTES_MAX || text.chars().any(is_unsafe) {
        let found = shown(text);
        return Err(format!("expected at most {TEXT_BYTES_MAX} bytes without control characters, found {found}"));
    }
    Ok(text.to_owned())
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("expected yes or no, found {}", shown(text))),
    }
}

fn range(record: &Record<'_>) -> Result<Range, LineError> {
    let bound = |text: &str| {
        text.parse::<i32>().map_err(|_| format!("expected an integer of 32 bits, in the unit, found {}", shown(text)))
    };
    let range = Range { min: record.read(7, bound)?, max: record.read(8, bound)? };
    match (range.min, range.max) {
        (Some(min), Some(max)) if min > max => {
            Err(record.error(8, format!("expected min ({min}) or more, found {max}")))
        }
        _ => Ok(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> AlertCode {
        text.parse().unwrap()
    }

    #[test]
    fn the_built_in_tables_are_read() {
        let codes = CodeTable::default().with_file(BUILTIN_CODES.as_bytes()).unwrap();
        assert_eq!(codes.0.len(), BUILTIN_CODES.lines().count() - 1, "a code stands twice");
        assert_eq!(codes, CodeTable::builtin());
        assert_eq!(codes.name(code("8F40")), Some("voltage alert (SMETS1)"));
        assert_eq!(codes.unit(code("8F40")), Some(&Unit::Decivolts));
        assert_eq!(codes.unit(code("8014")), Some(&Unit::Thousandths));
        assert_eq!(codes.unit(code("8010")), None);
        assert_eq!(codes.name(code("1234")), None);

        let operators = OperatorTable::default().with_file(BUILTIN_OPERATORS.as_bytes()).unwrap();
        assert_eq!(operators.0.len(), 29);
        assert_eq!(operators, OperatorTable::builtin());
        assert_eq!(operators.find("lond"), OperatorId::new(12));
    }

    #[test]
    fn the_built_in_codes_keep_to_the_scheme_of_their_numbers() {
        let table = CodeTable::builtin();
        for (code, row) in &table.0 {
            assert_eq!(row.critical, code.0 >= 0x8F00, "{code}");
            if let Some(pair) = row.pair {
                assert_eq!(table.get(pair).and_then(|row| row.pair), Some(*code), "{code} and {pair}");
            }
            assert_eq!(row.unit == Some(Unit::Decivolts), row.family == "voltage", "{code}");
            assert_eq!(row.unit.is_some(), row.range.min.is_some() && row.range.max.is_some(), "{code}");
            assert!(!(0xE000..0xF000).contains(&code.0), "{code}: these are the operators' own");
        }
    }

    #[test]
    fn a_file_adds_and_replaces_rows() {
        let file = "code,name,unit\n8F40,our name,-\nABCD,ours,dv\n";
        let table = CodeTable::builtin().with_file(file.as_bytes()).unwrap();
        assert_eq!((table.name(code("8F40")), table.unit(code("8F40"))), (Some("our name"), None));
        assert_eq!(table.unit(code("ABCD")), Some(&Unit::Decivolts));
        assert_eq!(table.name(code("8014")), Some("power factor below threshold"));

        let operators = OperatorTable::builtin().with_file("id,market_id\n40,NEWO\n".as_bytes()).unwrap();
        assert_eq!(operators.get(OperatorId::new(40).unwrap()).map(|row| row.market_id.as_str()), Some("NEWO"));
    }

    #[test]
    fn a_file_adds_codes_of_an_operators_own() {
        let file = "code,name,family,unit,min,max\nE001,join requested,request,s,1,3600\n";
        let table = CodeTable::builtin().with_file(file.as_bytes()).unwrap();
        assert_eq!(table.unit(code("E001")), Some(&Unit::Own("s".to_owned())));
        assert_eq!(table.doubt(code("E001"), 255), None);
        assert_eq!(table.doubt(code("E001"), 0).map(|doubt| doubt.likely), Some(None));
        assert_eq!(table.doubt(code("E002"), 0), None);
    }

    #[test]
    fn a_bad_row_is_refused() {
        let refused = |file: &str| CodeTable::default().with_file(file.as_bytes()).unwrap_err().to_string();
        assert_eq!(
            refused("code,name,unit\n8F40,x,volt\n"),
            "line 2: unit: voltages are counted in dv (tenths of a volt), found \"volt\""
        );
        assert_eq!(
            refused("code,name,unit\nE001,x,per second\n"),
            "line 2: unit: expected dv, thousandths, -, or one of your own like s: at most 16 letters, digits and %/, \
             found \"per second\""
        );
        assert_eq!(refused("code,name,min,max\nE001,x,2,1\n"), "line 2: max: expected min (2) or more, found 1");
        assert!(refused("code,name,min\nE001,x,1.5\n").starts_with("line 2: min: expected an integer of 32 bits"));
        assert_eq!(refused("code,name,critical\n8F40,x,1\n"), "line 2: critical: expected yes or no, found \"1\"");
        assert_eq!(refused("code,name\n8F40,\n"), "line 2: name: must not be empty");
        let error = OperatorTable::default().with_file("id,market_id\n0,X\n".as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "line 2: id: expected a distributor id from 10 to 99, found \"0\"");
    }
}
