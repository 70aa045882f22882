//! Files written here, of every type that a column may have, and every way to spoil them.

use std::{io::Write, sync::Arc};

use parquet::{
    basic::{Compression, Encoding},
    data_type::{
        BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type, Int64Type, Int96,
        Int96Type,
    },
    file::{
        properties::{EnabledStatistics, WriterProperties, WriterVersion},
        writer::SerializedFileWriter,
    },
    schema::parser::parse_message_type,
};
use proptest::prelude::*;

use super::*;
use crate::domain::{AlertCode, Eui64};

mod readings;

/// What is in a column: none of them has an empty cell but where it says so.
enum Cells {
    Text(Vec<&'static str>),
    Int(Vec<i32>),
    Long(Vec<i64>),
    SomeLong(Vec<Option<i64>>),
    Double(Vec<f64>),
    Float(Vec<f32>),
    Bool(Vec<bool>),
    /// One cell of bytes.
    Fixed(Vec<u8>),
    /// One cell of three words.
    Int96([u32; 3]),
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
            Cells::Bool(values) => out.typed::<BoolType>().write_batch(values, None, None),
            Cells::Fixed(bytes) => {
                out.typed::<FixedLenByteArrayType>().write_batch(&[ByteArray::from(bytes.clone()).into()], None, None)
            }
            Cells::Int96([low, high, day]) => {
                let mut value = Int96::new();
                value.set_data(*low, *high, *day);
                out.typed::<Int96Type>().write_batch(&[value], None, None)
            }
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
        (
            "required fixed_len_byte_array(9) voltage_v (DECIMAL(20,2))",
            Cells::Fixed(25_810_i128.to_be_bytes()[7..].to_vec()),
            2581,
        ),
        (
            "required fixed_len_byte_array(2) measurement (DECIMAL(4,0))",
            Cells::Fixed((-7_i16).to_be_bytes().to_vec()),
            -7,
        ),
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
    let schema = "required int64 device (INTEGER(64,false)); required int32 code (INTEGER(16,false)); optional int64 counter \
                  (INTEGER(64,false)); required int32 weight (INTEGER(32,false));";
    let columns = [
        Cells::Long(vec![0x00DB_1234_5678_90A0, -2]),
        Cells::Int(vec![0x8F40, 0xD018]),
        Cells::SomeLong(vec![None, Some(-1)]),
        Cells::Int(vec![1, -1]),
    ];
    let alerts: Vec<Alert> = read(&file(schema, &columns)).into_iter().map(Result::unwrap).collect();
    assert_eq!((alerts[0].device, alerts[0].counter, alerts[0].weight), (Eui64(0x00DB_1234_5678_90A0), None, 1));
    assert_eq!(
        (alerts[1].device, alerts[1].counter, alerts[1].weight),
        (Eui64(u64::MAX - 1), Some(u64::MAX), u32::MAX)
    );
    assert_eq!((alerts[0].code, alerts[1].code), (AlertCode(0x8F40), AlertCode(0xD018)));
}

#[test]
fn a_column_of_another_type_is_refused_by_name_and_type_and_a_bad_row_by_number() {
    let refused = |schema: &str, columns: &[Cells]| opened(&file(schema, columns)).err().unwrap().to_string();
    let text = "required binary device (STRING); required binary code (STRING); ";
    for (column, words) in [
        (
            "required int64 occurred_at (TIMESTAMP(MILLIS,false))",
            "occurred_at: the column is a timestamp without a time zone; --time-zone says whose clock showed it",
        ),
        (
            "required int64 occurred_at",
            "occurred_at: the column is an integer of 64 bits; expected a timestamp adjusted to UTC, or text; --epoch states",
        ),
        (
            "required int64 occurred_ms (TIMESTAMP(MILLIS,true))",
            "occurred_ms: the column is a timestamp; expected milliseconds as a number; a time belongs under occurred_at",
        ),
        ("required int64 counter (TIMESTAMP(MILLIS,true))", "counter: the column is a timestamp; expected a number"),
        ("required int64 weight (TIME(MICROS,true))", "weight: the column is a time of day without a date; expected"),
        ("required int64 device_id", "device: the column occurs twice"),
    ] {
        let mut columns = two_columns();
        columns.push(Cells::Long(vec![1]));
        let error = refused(&format!("{text}{column};"), &columns);
        assert!(error.starts_with(&format!("line 1: {words}")), "{column}: {error}");
    }
    let real =
        refused("required double device; required binary code;", &[Cells::Double(vec![1.0]), Cells::Text(vec!["1"])]);
    assert_eq!(
        real,
        "line 1: device: the column is a number with a binary fraction; expected text, or an integer of 64 bits"
    );
    for (of, column) in [("code", "required int32 code"), ("occurred_at", "required int32 occurred_at (DATE)")] {
        let error = refused(
            &format!("required binary device; {column};"),
            &[Cells::Text(vec![DEVICE]), Cells::Int(vec![8014])],
        );
        let words = match of {
            "code" => {
                "line 1: code: the column is an integer of 32 bits; expected text like 8F40, or an unsigned integer"
            }
            _ => "line 1: occurred_at: the column is a date without a time; expected a timestamp adjusted to UTC",
        };
        assert!(error.starts_with(words), "{error}");
    }
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
    assert_eq!(error, "line 3: voltage_v: expected a number with at most 1 decimal, found \"258.15\"");
    let mut alerts = opened(&bytes).unwrap();
    assert_eq!(alerts.remark().unwrap().message, "\"other\" means nothing here; passed over");
    assert_eq!(alerts.remark(), None);
}

#[test]
fn a_floating_point_number_that_stands_for_several_integers_is_refused() {
    let text = "required binary device (STRING); required binary code (STRING); ";
    let columns = |cells| vec![Cells::Text(vec![DEVICE; 3]), Cells::Text(vec!["8F36"; 3]), cells];
    for name in ["counter", "occurred_ms", "instruction_number"] {
        let exact = 9_007_199_254_740_992.0;
        let rows = columns(Cells::Double(vec![7.0, exact, -exact]));
        let rows = read(&file(&format!("{text} required double {name};"), &rows));
        let is_refused = |row: &Result<Alert, String>| {
            row.as_ref().is_err_and(|error| error.contains("is a floating-point number, and from 9007199254740992 on"))
        };
        assert!(rows[0].is_ok() && is_refused(&rows[1]) && is_refused(&rows[2]), "{rows:?}");
        let rows = columns(Cells::Float(vec![7.0, 16_777_215.0, 16_777_216.0]));
        let rows = read(&file(&format!("{text} required float {name};"), &rows));
        assert!(rows[0].is_ok() && rows[1].is_ok(), "{rows:?}");
        let words =
            format!("line 3: {name}: 16777216 is a floating-point number, and from 16777216 on these skip integers");
        assert!(rows[2].as_ref().unwrap_err().starts_with(&words), "{rows:?}");
    }
}

#[test]
fn a_number_that_holds_no_whole_eui_64_is_no_device() {
    for name in ["device", "recipient", "sender"] {
        let other = if name == "device" { "" } else { "required binary device (STRING); " };
        let columns = |cells: Cells| {
            let device = (!other.is_empty()).then(|| Cells::Text(vec![DEVICE]));
            device.into_iter().chain([Cells::Text(vec!["8F36"]), cells]).collect::<Vec<_>>()
        };
        for column in ["int32", "int32 (INTEGER(32,false))", "int32 (INTEGER(16,false))", "int32 (UINT_32)"] {
            let (of, annotation) = column.split_once(' ').unwrap_or((column, ""));
            let schema = format!("{other} required binary code (STRING); required {of} {name} {annotation};");
            let error = opened(&file(&schema, &columns(Cells::Int(vec![7])))).err().unwrap().to_string();
            assert!(error.starts_with(&format!("line 1: {name}: the column is ")), "{error}");
            assert!(error.ends_with("expected text, or an integer of 64 bits"), "{error}");
        }
        // Programs write these where there is no device. They are named as the file has them, not in hex.
        for (annotation, number, found) in [
            ("", -1, "-1"),
            ("(INTEGER(64,true))", -1, "-1"),
            ("(INTEGER(64,false))", -1, "18446744073709551615"),
            ("(UINT_64)", -1, "18446744073709551615"),
            ("", 0, "0"),
        ] {
            let schema = format!("{other} required binary code (STRING); required int64 {name} {annotation};");
            let error = read(&file(&schema, &columns(Cells::Long(vec![number])))).remove(0).unwrap_err();
            let words = format!("line 1: {name}: {found} is no EUI-64; programs write it where a number is missing");
            assert!(error.starts_with(&words), "{annotation}: {error}");
        }
    }
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
fn a_header_of_endless_parts_is_refused() {
    let last = opened(include_bytes!("endless.parquet")).unwrap().last().unwrap().unwrap_err();
    assert!(last.fatal && last.message.contains("a field is of a kind that no page has"), "{last}");
}

/// A file of which no page ever comes.
struct Stuck(prost::bytes::Bytes);

impl parquet::file::reader::Length for Stuck {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

impl ChunkReader for Stuck {
    type T = <prost::bytes::Bytes as ChunkReader>::T;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        while start < self.0.len() as u64 / 2 {
            thread::park();
        }
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<prost::bytes::Bytes> {
        self.0.get_bytes(start, length)
    }
}

#[test]
fn a_file_that_is_never_read_to_an_end_is_given_up() {
    let file = Stuck(fuzzing::example(0).into());
    let alerts = Alerts::within(Duration::from_millis(500), file, &Form::default()).unwrap();
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

/// A file of these texts as devices, and how they are written.
fn devices(texts: &[&[u8]], properties: WriterProperties) -> Vec<u8> {
    let schema = "message alert { required binary device (STRING); required binary code (STRING); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for texts in [texts, &vec![&b"8F40"[..]; texts.len()]] {
        let texts: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(text.to_vec())).collect();
        let mut out = group.next_column().unwrap().unwrap();
        out.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
        out.close().unwrap();
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}

/// A dictionary of one text of 4 MiB, which each of a thousand rows refers to, would be 4 GiB.
#[test]
fn a_value_that_is_too_long_is_named_and_not_held_and_the_rest_goes_on() {
    let long = vec![b'x'; 4 << 20];
    let mut texts = vec![&long[..]; 1_000];
    texts[500] = DEVICE.as_bytes();
    let dictionary = || {
        WriterProperties::builder()
            .set_dictionary_page_size_limit(8 << 20)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_compression(Compression::SNAPPY)
    };
    let found = read(&devices(&texts, dictionary().build()));
    assert_eq!(found.len(), 1_000);
    assert_eq!(found[0], Err("line 1: device: 4194304 bytes long, where 1024 are allowed".to_owned()));
    assert!(found[499].is_err() && found[500].is_ok() && found[501].is_err());
    // The same in an encoding that builds each text from the one before.
    let delta = dictionary().set_dictionary_enabled(false).set_encoding(Encoding::DELTA_BYTE_ARRAY);
    let found = read(&devices(&texts[498..504], delta.build()));
    assert_eq!(found.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, false, true, false, false, false]);
}

#[test]
fn every_encoding_of_texts_is_read() {
    let names: Vec<String> =
        (0..3_000).map(|at| format!("00-DB-12-34-56-78-{:02X}-{:02X}", at / 256, at % 256)).collect();
    let texts: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    for encoding in [Encoding::PLAIN, Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let properties = WriterProperties::builder()
                .set_dictionary_enabled(false)
                .set_encoding(encoding)
                .set_writer_version(version)
                .set_data_page_row_count_limit(700)
                .set_write_batch_size(100);
            let found = read(&devices(&texts, properties.build()));
            assert!(found.len() == 3_000 && found.iter().all(Result::is_ok), "{encoding:?} {version:?}");
        }
    }
}

/// Of a few hundred bytes each: what they ask for would be gigabytes.
#[test]
fn what_a_page_states_is_compared_with_what_it_has() {
    let texts = [DEVICE.as_bytes(); 1];
    let plain = || WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None);
    let last = |bytes: Vec<u8>| {
        let alerts = opened(&bytes).unwrap_or_else(|error| panic!("{error}"));
        alerts.last().unwrap().unwrap_err()
    };
    // A text of 23 bytes and its length, stated twice, as unpacked and as packed, each as zigzag.
    let file = devices(&texts, plain().set_dictionary_enabled(false).build());
    let header = [&[0x15, 0x00, 0x15][..], &[54, 0x15, 54]].concat();
    assert_eq!(&file[4..10], header, "a page as it is written begins so");
    let mut huge = file.clone();
    huge.splice(7..8, [0xFE, 0xFF, 0xFF, 0xFF, 0x0F]);
    let error = last(huge);
    assert!(error.fatal && error.message.contains("a page of 2147483647 bytes, where 16777216 are allowed"), "{error}");
    let mut negative = file.clone();
    negative[7] = 55;
    assert!(last(negative).message.contains("are allowed"));
    // A second size, which would count.
    let mut twice = file.clone();
    twice.splice(10..10, [0x05, 0x04, 0xFE, 0xFF, 0xFF, 0xFF, 0x0F]);
    let error = last(twice);
    assert!(error.message.contains("out of order"), "{error}");

    // A dictionary of one text that says it is one of 2^31.
    let file = devices(&texts, plain().build());
    let mut many = file.clone();
    let dictionary =
        many.windows(4).position(|bytes| bytes == [0x4C, 0x15, 0x02, 0x15]).expect("the dictionary's head");
    many.splice(dictionary + 2..dictionary + 3, [0xFE, 0xFF, 0xFF, 0xFF, 0x0F]);
    let error = last(many);
    assert!(error.message.contains("a page of 27 bytes cannot hold the 2147483647 values it states"), "{error}");

    // Lengths that are all alike take no bytes, so a block can state any number of them: 128 to a block, 4 parts, 1 value.
    for (encoding, sequences) in [(Encoding::DELTA_LENGTH_BYTE_ARRAY, 1), (Encoding::DELTA_BYTE_ARRAY, 2)] {
        let file = devices(&texts, plain().set_dictionary_enabled(false).set_encoding(encoding).build());
        let first_column = file.len() / 2;
        let heads = file[..first_column].windows(4).enumerate().filter(|(_, bytes)| *bytes == [0x80, 0x01, 0x04, 0x01]);
        let heads: Vec<usize> = heads.map(|(at, _)| at).take(sequences).collect();
        assert_eq!(heads.len(), sequences, "{encoding:?}");
        for head in heads {
            let mut many = file.clone();
            many.splice(head + 3..head + 4, [0xFF, 0xFF, 0xFF, 0xFF, 0x07]);
            let error = last(many);
            assert!(error.message.contains("cannot hold the 1 values it states"), "{encoding:?}: {error}");
        }
    }
}

#[test]
fn times_without_a_zone_are_read_by_the_zone_that_is_stated() {
    let text = "required binary device; required binary code; ";
    let london = Form { zone: Some(jiff::tz::get!("Europe/London")), ..Form::default() };
    let of = |column: &str, cells: Cells, form: &Form| {
        let mut columns = two_columns();
        columns.push(cells);
        let bytes = file(&format!("{text}{column};"), &columns);
        let mut alerts = Alerts::of(prost::bytes::Bytes::from(bytes), form).map_err(|error| error.to_string())?;
        alerts.next().unwrap().map(|alert| alert.occurred_ms.unwrap()).map_err(|error| error.to_string())
    };
    // 2026-07-01T01:00:00, which is midnight of UTC, and 2026-10-25T01:30:00, which was twice.
    let (summer, twice) = (1_782_867_600_000, 1_792_891_800_000);
    let column = "required int64 occurred_at (TIMESTAMP(MILLIS,false))";
    assert_eq!(of(column, Cells::Long(vec![summer]), &london), Ok(summer - 3_600_000));
    assert!(of(column, Cells::Long(vec![twice]), &london).unwrap_err().contains("was shown twice in Europe/London"));
    let nanos = 3_600_000_000_000_u64;
    let julian = Cells::Int96([nanos as u32, (nanos >> 32) as u32, 2_440_588 + 20_635]);
    assert_eq!(of("required int96 occurred_at", julian, &london), Ok(summer - 3_600_000));
    let julian = Cells::Int96([0, 0, 2_440_588]);
    let refused = of("required int96 occurred_at", julian, &Form::default()).unwrap_err();
    assert!(refused.contains("a timestamp of 96 bits, which has no time zone; --time-zone says"), "{refused}");
    let seconds = Form { epoch: Some(crate::intake::form::Epoch::Seconds), ..Form::default() };
    assert_eq!(of("required int64 occurred_at", Cells::Long(vec![1_795_426_200]), &seconds), Ok(1_795_426_200_000));
}

#[test]
fn a_file_that_is_no_parquet_file_is_told_in_the_words_of_the_trade() {
    let whole = file("required binary device; required binary code;", &two_columns());
    let encrypted = [&whole[..whole.len() - 4], b"PARE"].concat();
    let mut spoilt = whole.clone();
    let length = spoilt.len();
    spoilt[length - 30..length - 8].fill(0xFF);
    for (bytes, words) in [
        (&b"device,code\n"[..], "line 1: file: this is no Parquet file: it does not begin with PAR1"),
        (&whole[..whole.len() / 2], "line 1: file: it does not end with PAR1: it is cut off, or was never finished"),
        (&encrypted, "line 1: file: its description is encrypted"),
        (&spoilt, "line 1: file: it is damaged"),
    ] {
        assert_eq!(opened(bytes).err().map(|error| error.to_string().starts_with(words)), Some(true), "{words}");
    }
    let mapped = Form { columns: vec![("device".to_owned(), "Meter ID".to_owned())], ..Form::default() };
    let bytes = file(
        "required binary meter_id; required binary code; required binary device;",
        &[Cells::Text(vec![DEVICE]), Cells::Text(vec!["8F40"]), Cells::Text(vec!["nobody"])],
    );
    let alert = Alerts::of(prost::bytes::Bytes::from(bytes), &mapped).unwrap().next().unwrap();
    assert_eq!(alert.unwrap().device, DEVICE.parse().unwrap());
}

/// As polars writes by default, and as others do: each the same three alerts.
#[test]
fn pages_are_unpacked_however_they_are_packed() {
    for bytes in [&include_bytes!("zstd.parquet")[..], include_bytes!("gzip.parquet")] {
        let alerts = read(bytes);
        assert_eq!(alerts.len(), 3);
        for alert in alerts {
            assert_eq!(alert.unwrap().device, Eui64(0x0200_5E10_0000_A02E));
        }
    }
}
