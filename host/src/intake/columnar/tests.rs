//! Files written here, of every type that a column may have, and every way to spoil them.

use std::{io::Write, sync::Arc};

use parquet::{
    data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use proptest::prelude::*;

use super::*;
use crate::domain::{AlertCode, Eui64};

/// What is in a column: none of them has an empty cell but where it says so.
enum Cells {
    Text(Vec<&'static str>),
    Int(Vec<i32>),
    Long(Vec<i64>),
    SomeLong(Vec<Option<i64>>),
    Double(Vec<f64>),
    Float(Vec<f32>),
}

/// A file of such columns, in groups of `group` rows.
fn file(schema: &str, columns: &[Cells]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(&format!("message alert {{ {schema} }}")).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for cells in columns {
        let mut out = group.next_column().unwrap().unwrap();
        match cells {
            Cells::Text(texts) => {
                let texts: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(*text)).collect();
                out.typed::<ByteArrayType>().write_batch(&texts, None, None)
            }
            Cells::Int(values) => out.typed::<Int32Type>().write_batch(values, None, None),
            Cells::Long(values) => out.typed::<Int64Type>().write_batch(values, None, None),
            Cells::SomeLong(values) => {
                let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
                let values: Vec<i64> = values.iter().flatten().copied().collect();
                out.typed::<Int64Type>().write_batch(&values, Some(&levels), None)
            }
            Cells::Double(values) => out.typed::<DoubleType>().write_batch(values, None, None),
            Cells::Float(values) => out.typed::<FloatType>().write_batch(values, None, None),
        }
        .unwrap();
        out.close().unwrap();
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}

fn opened(bytes: &[u8]) -> Result<Alerts, LineError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Alerts::new(file)
}

fn read(bytes: &[u8]) -> Vec<Result<Alert, String>> {
    opened(bytes).unwrap().map(|alert| alert.map_err(|error| error.to_string())).collect()
}

const DEVICE: &str = "00-DB-12-34-56-78-90-A0";

fn two_columns() -> Vec<Cells> {
    vec![Cells::Text(vec![DEVICE]), Cells::Text(vec!["8F40"])]
}

#[test]
fn every_type_that_fits_lands_where_it_belongs() {
    let text = "required binary device (STRING); required binary code (STRING); ";
    for (column, cells, value) in [
        ("required double voltage_v", Cells::Double(vec![258.1]), 2581),
        ("required float voltage_v", Cells::Float(vec![258.1]), 2581),
        ("required int32 voltage_v (DECIMAL(6,2))", Cells::Int(vec![25_810]), 2581),
        ("required int64 power_factor (DECIMAL(6,3))", Cells::Long(vec![-950]), -950),
        ("required int32 Measurement_DV", Cells::Int(vec![2581]), 2581),
        ("required double measurement", Cells::Double(vec![7.0]), 7),
        ("required binary measurement", Cells::Text(vec!["-7"]), -7),
        ("required int64 measurement (INTEGER(64,false))", Cells::Long(vec![9]), 9),
    ] {
        let mut columns = two_columns();
        columns.push(cells);
        let alert = read(&file(&format!("{text}{column};"), &columns)).remove(0).unwrap();
        assert_eq!(alert.measurement, Some(value), "{column}");
    }
    let ms = 1_764_000_000_123;
    for (column, value) in [
        ("occurred_ms", ms),
        ("occurred_at (TIMESTAMP(MILLIS,true))", ms),
        ("occurred_at (TIMESTAMP(MICROS,true))", ms * 1_000),
        ("occurred_at (TIMESTAMP(NANOS,true))", ms * 1_000_000),
        ("occurred_at (TIMESTAMP_MILLIS)", ms),
    ] {
        let mut columns = two_columns();
        columns.push(Cells::Long(vec![value]));
        let alert = read(&file(&format!("{text} required int64 {column};"), &columns)).remove(0).unwrap();
        assert_eq!(alert.occurred_ms, Some(ms), "{column}");
    }
    let schema = "required int64 device (INTEGER(64,false)); required int32 code; optional int64 counter \
                  (INTEGER(64,false)); required int32 weight (INTEGER(32,false));";
    let columns = [
        Cells::Long(vec![0x00DB_1234_5678_90A0, -1]),
        Cells::Int(vec![0x8F40, 0xD018]),
        Cells::SomeLong(vec![None, Some(-1)]),
        Cells::Int(vec![1, -1]),
    ];
    let alerts: Vec<Alert> = read(&file(schema, &columns)).into_iter().map(Result::unwrap).collect();
    assert_eq!((alerts[0].device, alerts[0].counter, alerts[0].weight), (Eui64(0x00DB_1234_5678_90A0), None, 1));
    assert_eq!((alerts[1].device, alerts[1].counter, alerts[1].weight), (Eui64(u64::MAX), Some(u64::MAX), u32::MAX));
    assert_eq!((alerts[0].code, alerts[1].code), (AlertCode(0x8F40), AlertCode(0xD018)));
}

#[test]
fn a_column_of_another_type_is_refused_by_name_and_type_and_a_bad_row_by_number() {
    let refused = |schema: &str, columns: &[Cells]| opened(&file(schema, columns)).err().unwrap().to_string();
    let text = "required binary device (STRING); required binary code (STRING); ";
    for (column, words) in [
        (
            "required int64 occurred_at (TIMESTAMP(MILLIS,false))",
            "occurred_at: the column is of type INT64 as Timestamp",
        ),
        (
            "required int64 occurred_at",
            "occurred_at: the column is of type INT64; expected a timestamp adjusted to UTC",
        ),
        ("required int64 counter (TIMESTAMP(MILLIS,true))", "counter: the column is of type INT64 as Timestamp"),
        ("required int64 weight (TIME(MICROS,true))", "weight: the column is of type INT64 as Time"),
        ("required int64 device_id", "device: the column occurs twice"),
    ] {
        let mut columns = two_columns();
        columns.push(Cells::Long(vec![1]));
        let error = refused(&format!("{text}{column};"), &columns);
        assert!(error.starts_with(&format!("line 1: {words}")), "{column}: {error}");
    }
    let real =
        refused("required double device; required binary code;", &[Cells::Double(vec![1.0]), Cells::Text(vec!["1"])]);
    assert_eq!(real, "line 1: device: the column is of type DOUBLE; expected text, or an integer");
    let missing = refused("required binary device;", &[Cells::Text(vec![DEVICE])]);
    assert!(missing.starts_with("line 1: code: the column is missing; known columns are: device, code, "), "{missing}");

    let columns = [
        Cells::Text(vec![DEVICE, "nobody", DEVICE]),
        Cells::Text(vec!["8F40"; 3]),
        Cells::Double(vec![258.1, 1.0, 258.15]),
        Cells::Int(vec![0; 3]),
    ];
    let bytes = file(&format!("{text} required double voltage_v; required int32 other;"), &columns);
    let rows = read(&bytes);
    assert!(rows[0].is_ok() && rows[1].as_ref().unwrap_err().starts_with("line 2: device: expected an EUI-64"));
    let error = rows[2].as_ref().unwrap_err();
    assert_eq!(error, "line 3: voltage_v: expected a number with at most 1 decimals, found \"258.15\"");
    let mut alerts = opened(&bytes).unwrap();
    assert_eq!(alerts.remark().unwrap().message, "\"other\" mean nothing here; passed over");
    assert_eq!(alerts.remark(), None);
}

#[test]
fn rows_beyond_those_that_are_held_are_read_too() {
    let rows = ROWS * 2 + 3;
    let schema = "required binary device (STRING); required binary code (STRING); optional int64 counter;";
    let counters: Vec<Option<i64>> = (0..rows as i64).map(|row| Some(row).filter(|row| row % 3 > 0)).collect();
    let columns = [Cells::Text(vec![DEVICE; rows]), Cells::Text(vec!["8F40"; rows]), Cells::SomeLong(counters.clone())];
    let found = read(&file(schema, &columns));
    let found: Vec<Option<u64>> = found.into_iter().map(|alert| alert.unwrap().counter).collect();
    assert_eq!(found, counters.iter().map(|counter| counter.map(i64::cast_unsigned)).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is done to a file, it is read to an end.
    #[test]
    fn a_damaged_file_is_an_error_or_a_file(
        seed in any::<u32>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut file = fuzzing::example(seed);
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        fuzzing::decoded(file);
        fuzzing::decoded(bytes);
    }
}

/// A page of it says that something without meaning has so many parts that counting them takes for ever.
#[test]
fn a_file_that_is_never_read_to_an_end_is_given_up() {
    let bytes: &[u8] = include_bytes!("endless.parquet");
    let alerts = Alerts::within(Duration::from_millis(500), prost::bytes::Bytes::from_static(bytes)).unwrap();
    let last = alerts.last().unwrap().unwrap_err();
    assert!(last.fatal, "{last}");
    assert!(last.message.ends_with("any further: a part of it takes longer than 500ms to read"), "{last}");
}

#[test]
fn files_to_begin_with_are_whole() {
    for seed in 0..64 {
        let rows = (seed as usize % 40 + 1) * (seed as usize % 2 + 1);
        assert_eq!(fuzzing::decoded(fuzzing::example(seed)), rows, "{seed}");
    }
}
