//! The device inventory as rows of a CSV file: what each device is and whose.
//!
//! It must not know what the inventory is used for. Invariant: a row is taken whole or named whole.
//!
//! Columns, in any order: `eui`, `mpxn`, `generation`, `model` (a value may be empty: not known), and `operator`, a
//! distributor id, which may be left out: it is then taken from the first MPAN, and a device whose row has none keeps the
//! operator that it has. Of `secondary_mpan`, `export_mpan`, `type` and `hub`
//! a file may have any: a column that it lacks leaves what the inventory has, an empty value takes that away. Columns that the
//! reader is told of as labels come besides.

use std::{io::BufRead, str::FromStr};

use super::{
    LineError,
    form::Form,
    headings::Layout,
    identifiers, placeholder,
    record::{Record, Records},
    shown,
    tables::OperatorTable,
};
use crate::domain::{
    DeviceType, Eui64, Generation, LABEL_VALUE_BYTES_MAX, Mpxn, OperatorId, PlacementChange, PointRole,
    check_label_value, check_line,
};

/// Bytes of a model's name.
pub const MODEL_BYTES_MAX: usize = 64;

const COLUMNS: &[&str] =
    &["eui", "mpxn", "generation", "model", "operator", "secondary_mpan", "export_mpan", "type", "hub"];
const REQUIRED: usize = 4;
const EUI: usize = 0;
const MPXN: usize = 1;
const GENERATION: usize = 2;
const MODEL: usize = 3;
const OPERATOR: usize = 4;
const SECONDARY: usize = 5;
const EXPORT: usize = 6;
const TYPE: usize = 7;
const HUB: usize = 8;

const LAYOUT: Layout = Layout {
    aliases: &[
        ("eui64", EUI),
        ("device", EUI),
        ("device_id", EUI),
        ("mpan", MPXN),
        ("mprn", MPXN),
        ("device_model", MODEL),
        ("operator_id", OPERATOR),
        ("distributor_id", OPERATOR),
        ("import_mpxn", MPXN),
        ("import_mpan", MPXN),
        ("secondary_import_mpan", SECONDARY),
        ("device_type", TYPE),
        ("hub_id", HUB),
        ("comms_hub", HUB),
        ("comms_hub_id", HUB),
    ],
    is_foreign: true,
    takes_labels: true,
    telltale: Some((&[EUI], |text| identifiers::device(text).is_ok())),
    ..Layout::plain(COLUMNS, REQUIRED)
};

/// A row of an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// EUI-64.
    pub eui: Eui64,
    /// MPAN or MPRN.
    pub mpxn: Mpxn,
    /// Generation.
    pub generation: Generation,
    /// Device model combination by name, at most `MODEL_BYTES_MAX` bytes; empty for not known.
    pub model: String,
    /// Operator as the row states it; unknown where it does not.
    pub operator: OperatorId,
    /// Values of the labels that were asked for, in that order; empty for none.
    pub labels: Vec<String>,
    /// Whether a device that has an operator keeps it, unless its MPAN has moved to another distributor.
    pub keep_operator: bool,
    /// Where it is connected, as far as the row says.
    pub placement: PlacementChange,
}

impl Row {
    /// The operator that the row states, or else the one that its first MPAN begins with.
    pub fn settled_operator(&self) -> OperatorId {
        match self.operator {
            OperatorId::UNKNOWN => self.placement.distributor(self.mpxn).unwrap_or_default(),
            stated => stated,
        }
    }

    /// The first MPAN that begins with another operator than the row's, and that operator. An independent network lies within
    /// one of the others and has a number of its own, so a row may well state which; then nobody is wrong.
    pub fn other_operator(&self, operators: &OperatorTable) -> Option<(Mpxn, OperatorId)> {
        let is = self.settled_operator();
        let others = [self.placement.secondary, self.placement.export].into_iter().flatten();
        let by_mpan = std::iter::once(self.mpxn).chain(others).filter_map(|mpan| Some((mpan, mpan.distributor()?)));
        let is_within = |id: OperatorId| operators.is_embedded(id) && !operators.is_embedded(is);
        by_mpan.into_iter().find(|(_, id)| *id != is && !is_within(*id))
    }

    /// The metering point that the row names in two roles, and the second of them.
    pub(super) fn point_in_two_roles(&self) -> Option<(Mpxn, PointRole)> {
        let PlacementChange { secondary, export, .. } = self.placement;
        let (secondary, export) = (secondary.unwrap_or_default(), export.unwrap_or_default());
        match (secondary, export) {
            (mpan, _) if mpan != Mpxn::NONE && mpan == self.mpxn => Some((mpan, PointRole::Secondary)),
            (_, mpan) if mpan != Mpxn::NONE && (mpan == self.mpxn || mpan == secondary) => {
                Some((mpan, PointRole::Export))
            }
            _ => None,
        }
    }
}

/// The rows of an inventory.
pub struct Rows<R> {
    records: Records<R>,
    labels: usize,
}

impl<R: BufRead> Rows<R> {
    /// Reads the header. An unknown, doubled or missing column is an error that lists the known ones.
    pub fn new(reader: R) -> Result<Self, LineError> {
        Self::of(reader, &Form::default())
    }

    /// The same, with reading options.
    pub fn of(reader: R, form: &Form) -> Result<Self, LineError> {
        Ok(Self { records: Records::of(reader, LAYOUT, form)?, labels: form.labels.len() })
    }

    /// Returns the first line of the last row.
    pub fn line(&self) -> u64 {
        self.records.line()
    }

    /// Returns the next remark: something noteworthy that loses no data. Call it after each row and at the end.
    pub fn remark(&mut self) -> Option<LineError> {
        self.records.remark()
    }
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = Result<Row, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let labels = self.labels;
        Some(self.records.next()?.and_then(|record| row(&record, labels)))
    }
}

/// Parses an MPAN or MPRN as people write them.
pub fn metering_point(text: &str) -> Result<Mpxn, String> {
    identifiers::mpxn(text)
}

fn row(record: &Record<'_>, labels: usize) -> Result<Row, LineError> {
    let label = |label| record.read(COLUMNS.len() + label, label_value);
    let row = Row {
        eui: record.require(EUI, identifiers::device)?,
        mpxn: record.read(MPXN, identifiers::mpxn)?.unwrap_or_default(),
        generation: record.read(GENERATION, Generation::from_str)?.unwrap_or_default(),
        model: record.read(MODEL, model)?.unwrap_or_default(),
        operator: record.read(OPERATOR, operator)?.unwrap_or_default(),
        labels: (0..labels).map(|at| Ok(label(at)?.unwrap_or_default())).collect::<Result<_, LineError>>()?,
        keep_operator: false,
        placement: PlacementChange {
            secondary: stated(record, SECONDARY, mpan)?,
            export: stated(record, EXPORT, mpan)?,
            kind: stated(record, TYPE, DeviceType::from_str)?,
            hub: stated(record, HUB, identifiers::device)?,
        },
    };
    if let Some((mpan, role)) = row.point_in_two_roles() {
        let column = if role == PointRole::Export { EXPORT } else { SECONDARY };
        return Err(record.error(column, in_two_roles(mpan, row.eui)));
    }
    // A row without an MPAN says nothing of the operator, unless there is a column for it.
    let keep_operator = !record.has(OPERATOR) && row.placement.distributor(row.mpxn).is_none();
    Ok(Row { keep_operator, ..row })
}

/// Why a metering point of a device cannot be another one of it too.
pub(super) fn in_two_roles(mpan: Mpxn, device: Eui64) -> String {
    format!("{mpan} is another metering point of {device} already; give it one role, and empty the other")
}

/// The value of a column that a file may lack; the default where it is empty.
fn stated<T: Default, E: ToString>(
    record: &Record<'_>,
    column: usize,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, LineError> {
    if record.has(column) { record.read(column, read).map(|value| Some(value.unwrap_or_default())) } else { Ok(None) }
}

fn mpan(text: &str) -> Result<Mpxn, String> {
    let mpan = identifiers::mpxn(text)?;
    if mpan.distributor().is_some() {
        return Ok(mpan);
    }
    Err(format!("expected an MPAN (13 digits), found the MPRN {mpan}"))
}

/// Parses the name of a model.
pub(super) fn model(text: &str) -> Result<String, String> {
    if placeholder::is_one(text) {
        return Err(format!("expected the name of a model, found {}", shown(text)));
    }
    if text.len() > MODEL_BYTES_MAX || check_line(text, MODEL_BYTES_MAX).is_err() {
        let found = shown(text);
        return Err(format!("expected at most {MODEL_BYTES_MAX} bytes without control characters, found {found}"));
    }
    Ok(text.to_owned())
}

fn label_value(text: &str) -> Result<String, String> {
    let value = check_label_value(text).map(str::to_owned);
    value.map_err(|why| {
        format!("expected one plain line of at most {LABEL_VALUE_BYTES_MAX} bytes, found {}; {why}", shown(text))
    })
}

fn operator(text: &str) -> Result<OperatorId, String> {
    let id = text.parse().ok().and_then(OperatorId::new);
    id.ok_or_else(|| {
        let known = OperatorTable::builtin().find_any(text);
        let meant = known.map_or_else(String::new, |id| format!("; that of {} is {id}", shown(text)));
        format!("expected a distributor id from 10 to 99, or 0 for not known, found {}{meant}", shown(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<Row, String>> {
        Rows::new(text.as_bytes()).unwrap().map(|row| row.map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn rows_are_read_with_and_without_an_operator() {
        let rows = read(
            "eui,mpxn,generation,model,operator\n\
                         00-DB-12-34-56-78-90-A0,1312345678907,SMETS1,Maker A 100,13\n\
                         00-DB-12-34-56-78-90-A1,,,,\n",
        );
        let first = Row {
            eui: Eui64(0x00DB_1234_5678_90A0),
            mpxn: "1312345678907".parse().unwrap(),
            generation: Generation::Smets1,
            model: "Maker A 100".to_owned(),
            operator: OperatorId::new(13).unwrap(),
            labels: Vec::new(),
            keep_operator: false,
            placement: PlacementChange::default(),
        };
        assert_eq!(rows[0], Ok(first));
        let second = rows[1].as_ref().unwrap();
        assert_eq!((second.mpxn, second.operator), (Mpxn::NONE, OperatorId::UNKNOWN));
        assert!(read("eui,mpxn,generation,model\n00DB1234567890A0,,smets2,M\n")[0].is_ok());
    }

    #[test]
    fn a_row_without_an_mpan_keeps_the_operator_unless_there_is_a_column_for_it() {
        for (columns, values, keeps) in [
            ("", "", true),
            ("", "7654321,,", true),
            ("", "1000000000012,,", false),
            (",export_mpan", ",,,1000000000012", false),
            (",export_mpan", ",,,", true),
            (",operator", ",,,", false),
        ] {
            let values = if values.is_empty() { ",," } else { values };
            let rows = read(&format!("eui,mpxn,generation,model{columns}\n00DB1234567890A0,{values}\n"));
            assert_eq!(rows[0].as_ref().unwrap().keep_operator, keeps, "{columns} {values}");
        }
    }

    #[test]
    fn an_mpan_in_two_roles_is_named_with_its_second_column() {
        for (values, words) in [
            ("1000000000012,,,1000000000012,", "line 2: secondary_mpan: 1000000000012 is another metering point of"),
            ("1000000000012,,,,1000000000012", "line 2: export_mpan: 1000000000012 is another metering point of"),
            (",,,1000000000012,1000000000012", "line 2: export_mpan: 1000000000012 is another metering point of"),
        ] {
            let columns = "eui,mpxn,generation,model,secondary_mpan,export_mpan";
            let error = read(&format!("{columns}\n00DB1234567890A0,{values}\n")).remove(0).unwrap_err();
            assert!(error.starts_with(words), "{error}");
        }
    }

    #[test]
    fn a_column_that_is_not_there_says_nothing_and_an_empty_value_takes_away() {
        let read = |columns: &str, values: &str| {
            let row = read(&format!("eui,mpxn,generation,model{columns}\n00DB1234567890A0,,,{values}\n")).remove(0);
            row.map(|row| row.placement)
        };
        assert_eq!(read("", ""), Ok(PlacementChange::default()));
        let all = ",Export MPAN,secondary_mpan,Device Type,hub";
        let placement = read(all, ",13 1234 5678 907,1000000000012,esme,00-DB-12-34-56-78-90-A1").unwrap();
        let expected = PlacementChange {
            secondary: Some("1000000000012".parse().unwrap()),
            export: Some("1312345678907".parse().unwrap()),
            kind: Some(DeviceType::Esme),
            hub: Some(Eui64(0x00DB_1234_5678_90A1)),
        };
        assert_eq!(placement, expected);
        let none = PlacementChange {
            secondary: Some(Mpxn::NONE),
            export: Some(Mpxn::NONE),
            kind: Some(DeviceType::Unknown),
            hub: Some(Eui64::NONE),
        };
        assert_eq!(read(all, ",,,,"), Ok(none));
        for (values, words) in [
            (",7654321,,,", "line 2: export_mpan: expected an MPAN (13 digits), found the MPRN 7654321"),
            (",,,meter,", "line 2: type: expected a device type: ESME, GSME"),
            (",,,,00", "line 2: hub: expected an EUI-64"),
        ] {
            let error = read(all, values).unwrap_err();
            assert!(error.starts_with(words), "{error}");
        }
    }

    #[test]
    fn an_operator_that_is_not_the_mpans_is_noticed_but_for_networks_within_others() {
        let other = |mpxn: &str, operator: &str| {
            let rows = read(&format!("eui,mpxn,generation,model,operator\n00DB1234567890A0,{mpxn},,,{operator}\n"));
            rows[0].as_ref().unwrap().other_operator(&OperatorTable::builtin()).map(|(_, id)| id.get())
        };
        assert_eq!(other("1000000000012", "12"), Some(10));
        assert_eq!(other("1000000000012", "24"), Some(10), "no network of others lies within an independent one");
        for (mpxn, operator) in [("1000000000012", "10"), ("1000000000012", ""), ("2400000000013", "10"), ("", "12")] {
            assert_eq!(other(mpxn, operator), None, "{mpxn} {operator}");
        }
        assert_eq!(other("123456", "12"), None, "gas has no distributor in its number");
        let export = |mpxn: &str, operator: &str, export: &str| {
            let columns = "eui,mpxn,generation,model,operator,export_mpan";
            let rows = read(&format!("{columns}\n00DB1234567890A0,{mpxn},,,{operator},{export}\n"));
            let row = rows[0].as_ref().unwrap();
            let other = row.other_operator(&OperatorTable::builtin());
            (row.settled_operator().get(), other.map(|(mpan, id)| (mpan.to_string(), id.get())))
        };
        let of_12 = |id| Some(("1200000000011".to_owned(), id));
        assert_eq!(export("", "", "1200000000011"), (12, None));
        assert_eq!(export("", "10", "1200000000011"), (10, of_12(12)));
        assert_eq!(export("1000000000012", "", "1200000000011"), (10, of_12(12)));
        assert_eq!(export("1000000000012", "", "2400000000013"), (10, None));
    }

    #[test]
    fn labels_are_read_under_their_headings_and_an_empty_cell_is_none() {
        let labels = [("feeder", "Primary Feeder"), ("postcode", "postcode")];
        let labels = labels.map(|(key, heading)| (key.parse().unwrap(), heading.to_owned())).into();
        let form = Form { labels, ..Form::default() };
        let text = "eui,postcode,mpxn,generation,model,primary feeder\n\
                    00DB1234567890A0, AB1 2CD ,,,,\n\
                    00DB1234567890A1,,,,,F\u{7}1\n";
        let mut rows = Rows::of(text.as_bytes(), &form).unwrap();
        assert_eq!(rows.next().unwrap().unwrap().labels, ["", "AB1 2CD"]);
        let error = rows.next().unwrap().unwrap_err().to_string();
        assert!(error.starts_with("line 3: Primary Feeder: expected one plain line of at most 64 bytes"), "{error}");
        let unknown = Rows::new(text.as_bytes()).err().unwrap().to_string();
        assert!(unknown.ends_with("; --label postcode keeps it as a label"), "{unknown}");
    }

    #[test]
    fn a_bad_row_names_its_column() {
        let row = |mpxn: &str, generation: &str, model: &str, operator: &str| {
            let text = format!(
                "eui,mpxn,generation,model,operator\n00DB1234567890A0,{mpxn},{generation},{model},{operator}\n"
            );
            read(&text).remove(0).unwrap_err()
        };
        assert!(row("1312345678908", "", "", "").contains("line 2: mpxn: expected an MPAN whose 13th digit"));
        assert!(row("", "smets3", "", "").contains("line 2: generation: expected a generation"));
        assert!(row("", "", &"x".repeat(65), "").contains("line 2: model: expected at most 64 bytes"));
        assert!(row("", "", "", "7").contains("line 2: operator: expected a distributor id"));
        for named in ["LOND", "lond", "London"] {
            let error = row("", "", "", named);
            assert!(error.ends_with(&format!("found \"{named}\"; that of \"{named}\" is 12")), "{error}");
        }
        assert!(row("", "", "", "Nowhere").ends_with("found \"Nowhere\""));
        assert!(row("", "", "nan", "").ends_with("placeholder for a missing value: leave the cell empty"));
        assert!(row("", "N/A", "", "").ends_with("placeholder for a missing value: leave the cell empty"));
    }

    #[test]
    fn a_column_that_is_missing_is_not_taken_for_empty() {
        let error = Rows::new("eui,mpxn,generation\n".as_bytes()).err().unwrap();
        assert_eq!(
            error.to_string(),
            "line 1: model: the column is missing; known columns are: eui, mpxn, generation, model, operator, \
             secondary_mpan, export_mpan, type, hub"
        );
    }

    #[test]
    fn what_a_spreadsheet_did_to_an_identifier_is_read_or_named() {
        let rows = read(
            "Device ID,MPAN,Generation,Device-Model\n\
             02-00-5E-10-00-00-A0-31,13 0000 0000 498,smets2,Alder 3\n\
             02-00-5E-10-00-00-A0-32,018011011300000000503,smets2,Alder 3\n\
             02-00-5E-10-00-00-A0-33,1300000000512.0,smets2,Alder 3\n\
             02-00-5E-10-00-00-A0-34,1.31235E+12,smets2,Alder 3\n\
             144119587122044981,,smets2,Alder 3\n",
        );
        assert_eq!(rows[0].as_ref().unwrap().mpxn.number(), 1_300_000_000_498);
        assert_eq!(rows[1].as_ref().unwrap().mpxn.number(), 1_300_000_000_503);
        for (row, words) in [
            (
                2,
                "line 4: mpxn: expected an MPAN (13 digits) or MPRN (6 to 10 digits), found \"1300000000512.0\"; a decimal point: a spreadsheet",
            ),
            (3, "found \"1.31235E+12\"; an exponent: a spreadsheet has rounded it"),
            (
                4,
                "line 6: eui: expected an EUI-64: 16 hex digits, not all zero, like 00-DB-12-34-56-78-90-A0, found \"144119587122044981\"; 18 digits: a decimal number? In hex it is 02-00-",
            ),
        ] {
            let error = rows[row].as_ref().unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
