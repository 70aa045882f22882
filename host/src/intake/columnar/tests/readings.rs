//! Readings in Parquet: by the type of a column, how fine a voltage is, and when a period was.

use super::*;
use crate::{
    domain::{Reading, Volts},
    intake::{
        readings::{self, Measured, Options},
        sources::Items,
    },
};

const END_MS: i64 = 1_795_426_200_000;

/// Rows and remarks.
type Read = (Vec<Result<Measured, String>>, Vec<String>);

fn rows(bytes: &[u8], form: &Form) -> Result<Read, String> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let options = Options { length_s: Some(1_800), ..Options::default() };
    let items: Result<Items<&[u8], Measured>, LineError> = readings::reader(options).parquet(file, form);
    let mut items = items.map_err(|error| error.to_string())?;
    let (mut read, mut remarks) = (Vec::new(), Vec::new());
    loop {
        let item = items.next();
        remarks.extend(std::iter::from_fn(|| items.remark()).map(|remark| remark.to_string()));
        match item {
            Some(item) => read.push(item.map_err(|error| error.to_string())),
            None => return Ok((read, remarks)),
        }
    }
}

/// One row with a device, the end of its period, and one more column.
fn row(column: &str, cells: Cells) -> Result<Measured, String> {
    let schema =
        format!("required binary device (STRING); required int64 period_end (TIMESTAMP(MILLIS,true)); {column};");
    let columns = [Cells::Text(vec![DEVICE]), Cells::Long(vec![END_MS]), cells];
    rows(&file(&schema, &columns), &Form::default()).map(|(mut read, _)| read.remove(0))?
}

fn volts(column: &str, cells: Cells) -> Result<Volts, String> {
    match row(column, cells)? {
        Measured::Reading(Reading { end_ms: END_MS, length_s: 1_800, volts, .. }) => Ok(volts),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn integers_are_whole_volts_and_numbers_with_decimals_are_as_fine_as_they_are() {
    let whole = Volts::whole(258).unwrap();
    let tenths = |low, high| Volts::between(low, high).unwrap();
    assert_eq!(volts("required int32 voltage_v", Cells::Int(vec![258])), Ok(whole));
    assert_eq!(volts("required int64 voltage_v (INTEGER(64,false))", Cells::Long(vec![258])), Ok(whole));
    assert_eq!(volts("required binary voltage_v", Cells::Text(vec!["258"])), Ok(whole));
    assert_eq!(volts("required int32 voltage_v (DECIMAL(6,0))", Cells::Int(vec![258])), Ok(whole));
    assert_eq!(volts("required double voltage_v", Cells::Double(vec![258.0])), Ok(tenths(2_580, 2_580)));
    assert_eq!(volts("required float voltage_v", Cells::Float(vec![258.0])), Ok(tenths(2_580, 2_580)));
    assert_eq!(volts("required double voltage_v", Cells::Double(vec![258.1])), Ok(tenths(2_581, 2_581)));
    assert_eq!(volts("required float voltage_v", Cells::Float(vec![258.1])), Ok(tenths(2_581, 2_581)));
    assert_eq!(volts("required double voltage_v", Cells::Double(vec![258.13])), Ok(tenths(2_581, 2_582)));
    assert_eq!(volts("required int32 voltage_v (DECIMAL(6,1))", Cells::Int(vec![2_580])), Ok(tenths(2_580, 2_580)));
    assert_eq!(volts("required int32 voltage_v (DECIMAL(6,2))", Cells::Int(vec![25_813])), Ok(tenths(2_581, 2_582)));
    assert_eq!(volts("required int32 voltage_dv", Cells::Int(vec![2_581])), Ok(tenths(2_581, 2_581)));
    assert_eq!(volts("required double voltage_dv", Cells::Double(vec![2_581.0])), Ok(tenths(2_581, 2_581)));
    let refused = volts("required int32 voltage_v", Cells::Int(vec![2_581])).unwrap_err();
    assert!(refused.contains("are these tenths of a volt?"), "{refused}");
    assert!(volts("required double voltage_v", Cells::Double(vec![f64::INFINITY])).is_err());
    let flags = volts("required boolean voltage_v", Cells::Bool(vec![true])).unwrap_err();
    assert!(flags.contains("the column is a boolean; expected a number, or text"), "{flags}");
}

#[test]
fn what_is_missing_or_marked_in_a_table_is_a_read_that_failed() {
    let failed = |column: &str, cells: Cells| matches!(row(column, cells), Ok(Measured::Failed { .. }));
    assert!(failed("required double voltage_v", Cells::Double(vec![f64::NAN])));
    assert!(failed("optional int64 voltage_v", Cells::SomeLong(vec![None])));
    let with_mark = |valid: bool| {
        let schema =
            "required binary device (STRING); required int64 end_ms; required int32 voltage_v; required boolean valid;";
        let columns =
            [Cells::Text(vec![DEVICE]), Cells::Long(vec![END_MS]), Cells::Int(vec![258]), Cells::Bool(vec![valid])];
        rows(&file(schema, &columns), &Form::default()).unwrap().0.remove(0).unwrap()
    };
    assert!(matches!(with_mark(true), Measured::Reading(_)) && matches!(with_mark(false), Measured::Failed { .. }));
}

#[test]
fn columns_that_leave_something_open_are_refused_before_any_row() {
    let of = |end: &str, cells: Cells, form: &Form| {
        let schema = format!("required binary device (STRING); required {end}; required int32 voltage_v;");
        rows(&file(&schema, &[Cells::Text(vec![DEVICE]), cells, Cells::Int(vec![258])]), form)
    };
    let plain = Form::default();
    let ended = |read: Result<Read, String>| match read.map(|(mut read, _)| read.remove(0)) {
        Ok(Ok(Measured::Reading(reading))) => Ok(reading.end_ms),
        Ok(other) => Err(format!("{other:?}")),
        Err(refused) => Err(refused),
    };
    assert_eq!(
        ended(of("int64 period_end (TIMESTAMP(MICROS,true))", Cells::Long(vec![END_MS * 1_000]), &plain)),
        Ok(END_MS)
    );
    let local = "int64 period_end (TIMESTAMP(MILLIS,false))";
    let refused = ended(of(local, Cells::Long(vec![END_MS]), &plain)).unwrap_err();
    assert!(refused.contains("--time-zone says whose clock showed it"), "{refused}");
    let london = Form { zone: Some(jiff::tz::get!("Europe/London")), ..Form::default() };
    assert_eq!(ended(of(local, Cells::Long(vec![END_MS]), &london)), Ok(END_MS));
    let twice = 1_792_891_800_000; // 2026-10-25T01:30:00, by a clock in London.
    assert!(ended(of(local, Cells::Long(vec![twice]), &london)).unwrap_err().contains("was shown twice"));
    let refused = ended(of("int64 time (TIMESTAMP(MILLIS,true))", Cells::Long(vec![END_MS]), &plain)).unwrap_err();
    assert!(refused.contains("--stamp start or --stamp end"), "{refused}");
    let refused = ended(of("int64 period_end", Cells::Long(vec![END_MS]), &plain)).unwrap_err();
    assert!(refused.contains("--epoch states the unit of a number"), "{refused}");
    let whole = file(
        "required binary device (STRING); required int64 end_ms; required double voltage_v;",
        &[Cells::Text(vec![DEVICE, DEVICE]), Cells::Long(vec![END_MS, END_MS + 1]), Cells::Double(vec![258.0, 259.0])],
    );
    let (read, remarks) = rows(&whole, &plain).unwrap();
    assert_eq!(read.len(), 2);
    assert!(remarks.len() == 1 && remarks[0].contains("--whole-volts takes them as these"), "{remarks:?}");
}
