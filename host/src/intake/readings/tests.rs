//! Rows of readings: which period, how long, in what unit, and which reads failed.

use super::*;
use crate::{domain::Rounding, intake::sources::Items};

const DEVICE_TEXT: &str = "00-DB-12-34-56-78-90-A0";
const METER: Eui64 = Eui64(0x00DB_1234_5678_90A0);
const HALF_PAST_NINE: Millis = 1_795_426_200_000;

type Read = (Vec<Result<Measured, String>>, Vec<String>);

fn items(mut items: Items<&[u8], Measured>) -> Read {
    let (mut read, mut remarks) = (Vec::new(), Vec::new());
    loop {
        let item = items.next();
        remarks.extend(std::iter::from_fn(|| items.remark()).map(|remark| remark.to_string()));
        match item {
            Some(item) => read.push(item.map_err(|error| error.to_string())),
            None => return (read, remarks),
        }
    }
}

fn csv(text: &str, options: Options, form: &Form) -> Result<Read, String> {
    reader(options).csv(text.as_bytes(), form).map(items).map_err(|error| error.to_string())
}

/// One row of a table with a device and these columns.
fn row(columns: &str, values: &str, options: Options, form: &Form) -> Result<Measured, String> {
    let text = format!("device,{columns}\n{DEVICE_TEXT},{values}\n");
    csv(&text, options, form).map(|(mut read, _)| read.remove(0))?
}

fn reading(columns: &str, values: &str) -> Result<Reading, String> {
    reading_of(columns, values, Options::default(), &Form::default())
}

fn reading_of(columns: &str, values: &str, options: Options, form: &Form) -> Result<Reading, String> {
    match row(columns, values, options, form)? {
        Measured::Reading(reading) => Ok(reading),
        failed => panic!("{columns}: {failed:?}"),
    }
}

fn half_hours() -> Options {
    Options { length_s: Some(1_800), ..Options::default() }
}

fn london() -> Form {
    Form { zone: Some(jiff::tz::get!("Europe/London")), ..Form::default() }
}

fn at(text: &str) -> Millis {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

#[test]
fn a_row_is_read_whatever_its_columns_are_called() {
    let expected = Reading {
        device: METER,
        phase: Phase::L2,
        end_ms: HALF_PAST_NINE,
        length_s: 1_800,
        volts: Volts::whole(258).unwrap(),
    };
    for (columns, values) in [
        ("phase,period_end,length_s,voltage_v", "2,2026-11-23T09:30:00Z,1800,258"),
        ("Phase,Period End,Length Min,Volts", "L2,2026-11-23T09:30:00Z,30,258"),
        ("phase,end,duration,V", "l2,23/11/2026 09:30 UTC,PT30M,258"),
        ("phase,end_ms,length,whole_volts", "2,1795426200000,30m,258"),
        ("phase,period_start,length_s,voltage_v", "2,2026-11-23T09:00:00Z,1800,258"),
        ("phase,period_start,period_end,voltage_v", "2,2026-11-23T09:00:00Z,2026-11-23T09:30:00Z,258"),
        ("phase,end_ms,length_s,low_dv,high_dv,whole_volts,source", "2,1795426200000,1800,2570,2590,258,x"),
    ] {
        assert_eq!(reading(columns, values), Ok(expected), "{columns}");
    }
    let whole = reading("end,length_s,volts", "2026-11-23T09:30:00Z,1800,258").unwrap();
    assert_eq!(whole.phase, Phase::Whole);
    assert_eq!(reading("phase,end,length_s,volts", "whole,2026-11-23T09:30:00Z,1800,258"), Ok(whole));
    let wrong = reading("phase,end,length_s,volts", "4,2026-11-23T09:30:00Z,1800,258").unwrap_err();
    assert_eq!(wrong, "line 2: phase: expected whole, 1 to 3 or L1 to L3, found \"4\"");
}

#[test]
fn which_end_a_time_is_and_how_long_a_period_is_are_stated_or_the_file_is_refused() {
    let of = |columns: &str, values: &str, options| reading_of(columns, values, options, &Form::default());
    let nothing = Options::default();
    let refused = of("time,length_s,voltage_v", "2026-11-23T09:30:00Z,1800,258", nothing).unwrap_err();
    for words in
        ["line 1: time: ", "period_end or period_start (--columns period_end=HEADING)", "--stamp start or --stamp end"]
    {
        assert!(refused.contains(words), "{refused}");
    }
    let refused = of("period_end,voltage_v", "2026-11-23T09:30:00Z,258", nothing).unwrap_err();
    for words in ["line 1: length: ", "length_s, length_min or length (PT30M)", "--length 30m"] {
        assert!(refused.contains(words), "{refused}");
    }
    let end = Options { stamp: Some(Stamp::End), ..half_hours() };
    let start = Options { stamp: Some(Stamp::Start), ..half_hours() };
    let ended = |options| of("timestamp,voltage_v", "2026-11-23T09:30:00Z,258", options).map(|reading| reading.end_ms);
    assert_eq!((ended(end), ended(start)), (Ok(HALF_PAST_NINE), Ok(HALF_PAST_NINE + 1_800_000)));
    let idle = of("period_end,voltage_v", "2026-11-23T09:30:00Z,258", end).unwrap_err();
    assert!(idle.starts_with("line 1: --stamp: the headings of this file say which end"), "{idle}");
    let none = of("length_s,voltage_v", "1800,258", nothing).unwrap_err();
    assert!(none.starts_with("line 1: period_end: no column says when a period was"), "{none}");
    let other = of("period_end,length_s,voltage_v", "2026-11-23T09:30:00Z,600,258", half_hours()).unwrap_err();
    assert_eq!(other, "line 2: length_s: 600 s, but --length says 1800 s");
    let unit = of("period_end,length,voltage_v", "2026-11-23T09:30:00Z,1800,258", nothing).unwrap_err();
    assert!(
        unit.contains("expected a length of time like 30m, 1h or PT30M, found \"1800\", which has no unit"),
        "{unit}"
    );
    let minutes = of("period_end,length_s,voltage_v", "2026-11-23T09:30:00Z,30,258", nothing).unwrap_err();
    assert!(minutes.ends_with("found 30 s; is it in minutes? Their heading is length_min"), "{minutes}");
    // JSON lines have no header: each says what is missing.
    let line = format!(
        "{{\"device\":\"{DEVICE_TEXT}\",\"time\":\"2026-11-23T09:30:00Z\",\"length_s\":1800,\"voltage_v\":258}}\n"
    );
    let (read, _) = items(reader(nothing).ndjson(line.as_bytes(), &Form::default()).unwrap());
    assert!(read[0].as_ref().unwrap_err().contains("--stamp start or --stamp end"), "{read:?}");
    let (read, _) = items(reader(end).ndjson(line.as_bytes(), &Form::default()).unwrap());
    assert!(matches!(read[0], Ok(Measured::Reading(Reading { end_ms: HALF_PAST_NINE, .. }))), "{read:?}");
}

#[test]
fn a_period_that_is_off_by_one_is_named() {
    let of = |start: &str, end: &str| {
        let values = format!("2026-11-23T{start}Z,2026-11-23T{end}Z,258");
        reading("period_start,period_end,voltage_v", &values).map(|reading| reading.length_s)
    };
    assert_eq!((of("09:00:00", "09:30:00"), of("09:00:00", "09:10:00")), (Ok(1_800), Ok(600)));
    for (start, end, words) in [
        (
            "09:00:00",
            "09:29:59",
            "the period is 1799 s long: its last second is meant, it seems; write the end as the time at which",
        ),
        ("09:30:00", "09:00:00", "the wrong way round?"),
        ("09:30:00", "09:30:00", "the period ends when it starts"),
        ("09:30:00", "09:30:30", "expected a period of 60 s to 86400 s (a day), found 30 s"),
        ("09:00:00", "09:30:00.5", "the period is 1800500 ms long; expected whole seconds"),
    ] {
        let refused = of(start, end).unwrap_err();
        assert!(refused.starts_with("line 2: period_end: ") && refused.contains(words), "{start} {end}: {refused}");
    }
    let columns = "period_start,period_end,length_s,voltage_v";
    let contradiction = reading(columns, "2026-11-23T09:00:00Z,2026-11-23T09:30:00Z,600,258").unwrap_err();
    assert_eq!(contradiction, "line 2: period_end: from start to end it is 1800 s, but the stated length is 600 s");
    // A stated length leaves the end as it is: it may be the last second of the period, and that is said once.
    let row = format!("{DEVICE_TEXT},2026-11-23T09:29:59Z,258\n");
    let (read, remarks) =
        csv(&format!("device,period_end,voltage_v\n{row}{row}"), half_hours(), &Form::default()).unwrap();
    assert!(
        read.iter()
            .all(|item| matches!(item, Ok(Measured::Reading(reading)) if reading.end_ms == HALF_PAST_NINE - 1_000))
    );
    assert_eq!(remarks.len(), 1, "{remarks:?}");
    assert!(remarks[0].starts_with("line 2: period_end: it ends at second 59"), "{remarks:?}");
    let seconds = Form { epoch: Some(crate::intake::form::Epoch::Seconds), ..Form::default() };
    let of_number = reading_of("period_end,voltage_v", "1795426200,258", half_hours(), &seconds);
    assert_eq!(of_number.map(|reading| reading.end_ms), Ok(HALF_PAST_NINE));
}

#[test]
fn local_times_over_a_change_of_the_clock_are_read_or_named_and_never_guessed() {
    let ended = |columns: &str, values: &str| {
        let options = if columns.contains(',') && columns.contains("start") && columns.contains("end") {
            Options::default()
        } else {
            half_hours()
        };
        reading_of(&format!("{columns},voltage_v"), &format!("{values},258"), options, &london())
            .map(|reading| (reading.end_ms, reading.length_s))
    };
    // Clocks go from 01:00 to 02:00 on 29 March: a half-hour that starts at 00:30 ends at 02:00.
    assert_eq!(ended("period_start", "2026-03-29 00:30"), Ok((at("2026-03-29T01:00:00Z"), 1_800)));
    assert_eq!(ended("period_end", "2026-03-29 02:00"), Ok((at("2026-03-29T01:00:00Z"), 1_800)));
    assert_eq!(
        ended("period_start,period_end", "2026-03-29 00:30,2026-03-29 02:00"),
        Ok((at("2026-03-29T01:00:00Z"), 1_800))
    );
    assert_eq!(ended("period_end", "2026-03-29 02:30"), Ok((at("2026-03-29T01:30:00Z"), 1_800)));
    let never = ended("period_end", "2026-03-29 01:30").unwrap_err();
    assert!(never.starts_with("line 2: period_end: 2026-03-29T01:30:00 was never shown in Europe/London"), "{never}");
    // Clocks go from 02:00 back to 01:00 on 25 October: what was shown twice is told by its offset alone.
    for stamp in ["2026-10-25 01:00", "2026-10-25 01:30"] {
        let twice = ended("period_end", stamp).unwrap_err();
        assert!(twice.contains("was shown twice in Europe/London, when clocks were put back: write"), "{twice}");
    }
    assert_eq!(ended("period_end", "2026-10-25T01:30:00+01:00"), Ok((at("2026-10-25T00:30:00Z"), 1_800)));
    assert_eq!(ended("period_end", "2026-10-25T01:30:00+00:00"), Ok((at("2026-10-25T01:30:00Z"), 1_800)));
    assert_eq!(ended("period_end", "2026-10-25 02:00"), Ok((at("2026-10-25T02:00:00Z"), 1_800)));
    assert_eq!(ended("period_start", "2026-10-25 00:30"), Ok((at("2026-10-25T00:00:00Z"), 1_800)));
    // The period before the change, and the day of 25 hours.
    let hours = ended("period_start,period_end", "2026-10-25 00:30,2026-10-25 02:00");
    assert_eq!(hours, Ok((at("2026-10-25T02:00:00Z"), 9_000)), "two and a half hours");
    let none = reading_of("period_end,voltage_v", "2026-11-23 09:30,258", half_hours(), &Form::default()).unwrap_err();
    assert!(none.contains("--time-zone says whose clock showed it"), "{none}");
}

#[test]
fn a_voltage_has_the_unit_of_its_heading_and_is_as_fine_as_its_text() {
    let of = |columns: &str, values: &str| {
        let read = reading_of(
            &format!("end,{columns}"),
            &format!("2026-11-23T09:30:00Z,{values}"),
            half_hours(),
            &Form::default(),
        );
        read.map(|Reading { volts, .. }| (volts.low_dv(), volts.high_dv(), volts.whole_volts()))
    };
    assert_eq!(of("voltage_v", "258"), Ok((2_570, 2_590, Some(258))));
    assert_eq!(of("voltage_v", "258.0"), Ok((2_580, 2_580, None)));
    assert_eq!(of("voltage_v", "258.13"), Ok((2_581, 2_582, None)));
    assert_eq!(of("voltage_dv", "2581"), Ok((2_581, 2_581, None)));
    assert_eq!(of("lowest_dv,highest_dv", "2575,2585"), Ok((2_575, 2_585, None)));
    assert_eq!(of("whole_volts", "258"), Ok((2_570, 2_590, Some(258))));
    for (columns, values, words) in [
        (
            "voltage_v",
            "2581",
            "line 2: voltage_v: \"2581\" V is no voltage of a supply, which lies below 1,000 V; are these tenths",
        ),
        ("voltage_v", "-1", "expected a number that is not negative"),
        ("voltage_dv", "25810", "are these millivolts or hundredths?"),
        ("lowest_dv,highest_dv", "2585,2575", "line 2: highest_dv: 2575 is below lowest_dv, 2585"),
        ("lowest_dv,highest_dv", "2585,", "line 2: highest_dv: must not be empty beside lowest_dv"),
        ("voltage_v,voltage_dv", "258,2580", "line 2: voltage_dv: voltage_v is filled in too"),
        ("voltage_v,lowest_dv,highest_dv", "258,2570,2580", "contradicts lowest_dv and highest_dv, 257.0 to 258.0 V"),
        ("whole_volts", "258.5", "expected an integer of volts"),
        ("voltage", "258", "unknown column \"voltage\"; did you mean \"voltage_v\"?"),
    ] {
        let refused = of(columns, values).unwrap_err();
        assert!(refused.contains(words), "{columns}: {refused}");
    }
    let none = reading_of("end", "2026-11-23T09:30:00Z", half_hours(), &Form::default()).unwrap_err();
    assert!(none.starts_with("line 1: voltage_v: no column has a voltage"), "{none}");
    let comma = Form { decimal_comma: true, delimiter: Some(b';'), ..Form::default() };
    let text = format!("device;end;volts\n{DEVICE_TEXT};2026-11-23T09:30:00Z;258,1\n");
    let (read, _) = csv(&text, half_hours(), &comma).unwrap();
    assert!(
        matches!(&read[0], Ok(Measured::Reading(reading)) if reading.volts == Volts::between(2_581, 2_581).unwrap())
    );
}

#[test]
fn whole_volts_that_a_program_has_written_with_decimals_are_remarked() {
    let rows = |voltages: &[&str]| {
        let rows: String = voltages
            .iter()
            .enumerate()
            .map(|(at, volts)| format!("{DEVICE_TEXT},{},{volts}\n", HALF_PAST_NINE + at as i64 * 1_800_000))
            .collect();
        format!("device,end_ms,voltage_v\n{rows}")
    };
    let read = |voltages: &[&str], options| csv(&rows(voltages), options, &Form::default()).unwrap();
    let (items, remarks) = read(&["258.0", "259.0"], half_hours());
    assert!(matches!(items[0], Ok(Measured::Reading(Reading { volts, .. })) if volts.whole_volts().is_none()));
    assert!(remarks.len() == 1 && remarks[0].contains("all 2 voltages with decimals are like 258.0"), "{remarks:?}");
    for voltages in [&["258.0", "259.1"][..], &["258", "259"], &["258.0"]] {
        assert_eq!(read(voltages, half_hours()).1, [""; 0], "{voltages:?}");
    }
    // Mixed: each by its own text.
    let (items, _) = read(&["258.0", "258", "258.1"], half_hours());
    let whole: Vec<Option<u16>> = items
        .into_iter()
        .map(|item| match item {
            Ok(Measured::Reading(reading)) => reading.volts.whole_volts(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(whole, [None, Some(258), None]);
    let whole_volts = Options { whole_volts: true, ..half_hours() };
    let (items, remarks) = read(&["258.0", "259.0"], whole_volts);
    let Ok(Measured::Reading(Reading { volts, .. })) = items[0] else { panic!("{items:?}") };
    assert_eq!((volts.whole_volts(), volts.rounded(Rounding::Down).low_dv(), remarks.len()), (Some(258), 2_580, 0));
}

#[test]
fn tenths_that_are_more_likely_volts_are_remarked_once() {
    let rows = format!("{DEVICE_TEXT},1795426200000,258\n{DEVICE_TEXT},1795428000000,259\n");
    let (read, remarks) = csv(&format!("device,end_ms,voltage_dv\n{rows}"), half_hours(), &Form::default()).unwrap();
    assert_eq!(read.len(), 2);
    assert!(
        remarks.len() == 1 && remarks[0].starts_with("line 2: voltage_dv: 258 tenths of a volt are 25.8 V;"),
        "{remarks:?}"
    );
}

#[test]
fn a_read_that_failed_is_no_error_and_no_reading() {
    let failed = |columns: &str, values: &str| {
        let columns = format!("end,{columns}");
        match row(&columns, &format!("2026-11-23T09:30:00Z,{values}"), half_hours(), &Form::default()) {
            Ok(Measured::Failed { device: METER, field, why }) => format!("{field}: {why}"),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(failed("voltage_v", ""), "voltage_v: empty: the read failed");
    assert_eq!(failed("voltage_v", "NaN"), "voltage_v: \"NaN\": the read failed");
    assert_eq!(failed("voltage_dv", "#N/A"), "voltage_dv: \"#N/A\": the read failed");
    assert_eq!(failed("lowest_dv,highest_dv", ","), "lowest_dv: empty: the read failed");
    assert_eq!(failed("voltage_v,status", "258,Failed"), "status: \"Failed\": the read failed");
    assert_eq!(failed("voltage_v,status", "258,no data"), "status: \"no data\": the read failed");
    assert_eq!(failed("voltage_v,valid", "258,0"), "valid: \"0\": the read failed");
    let of = |columns: &str, values: &str| {
        reading_of(&format!("end,{columns}"), &format!("2026-11-23T09:30:00Z,{values}"), half_hours(), &Form::default())
    };
    for (columns, values) in [
        ("voltage_v,status", "258,OK"),
        ("voltage_v,valid", "258,true"),
        ("voltage_v,valid", "258,1"),
        ("voltage_v,status", "258,"),
    ] {
        assert!(of(columns, values).is_ok(), "{columns} {values}");
    }
    let odd = of("voltage_v,status", "258,3").unwrap_err();
    assert_eq!(odd, "line 2: status: expected ok or failed, found \"3\"");
    // A failed read of nobody is a line that cannot be read.
    let text = "device,end_ms,voltage_v\nDB1234567890A0,1795426200000,\n";
    let (read, _) = csv(text, half_hours(), &Form::default()).unwrap();
    assert!(read[0].as_ref().unwrap_err().contains("14 digits: leading zeros lost?"), "{read:?}");
    // JSON has null, true and false.
    let line = |voltage: &str, valid: &str| {
        format!("{{\"device\":\"{DEVICE_TEXT}\",\"end_ms\":1795426200000,\"voltage_v\":{voltage},\"valid\":{valid}}}\n")
    };
    let text = [line("null", "true"), line("258", "false"), line("258.0", "true")].concat();
    let (read, _) = items(reader(half_hours()).ndjson(text.as_bytes(), &Form::default()).unwrap());
    let kinds: Vec<bool> = read.iter().map(|item| matches!(item, Ok(Measured::Failed { .. }))).collect();
    assert_eq!(kinds, [true, true, false]);
    assert!(matches!(&read[2], Ok(Measured::Reading(reading)) if reading.volts.whole_volts().is_none()));
}

#[test]
fn a_device_is_read_by_the_rules_of_alerts() {
    let of = |device: &str| {
        let text = format!("device,end_ms,voltage_v\n{device},1795426200000,258\n");
        csv(&text, half_hours(), &Form::default()).map(|(mut read, remarks)| (read.remove(0), remarks)).unwrap()
    };
    for (device, words) in [
        ("9.01235E+15", "an exponent: a spreadsheet has rounded it"),
        ("61663035897974944", "a decimal number? In hex it is 00-DB-12-34-56-78-90-A0"),
        ("FF-FF-FF-FF-FF-FF-FF-FF", "is the broadcast address"),
    ] {
        let refused = of(device).0.unwrap_err();
        assert!(refused.starts_with("line 2: device: ") && refused.contains(words), "{refused}");
    }
    let (read, remarks) = of("9012345678901230");
    assert!(read.is_ok() && remarks[0].contains("has a spreadsheet rounded it"), "{remarks:?}");
    let line = "{\"device\":61663035897974944,\"end_ms\":1795426200000,\"voltage_v\":258}\n";
    let (read, _) = items(reader(half_hours()).ndjson(line.as_bytes(), &Form::default()).unwrap());
    assert!(read[0].as_ref().unwrap_err().contains("is a number, and an EUI-64 is text"), "{read:?}");
}

#[test]
fn lengths_are_a_minute_to_a_day() {
    assert_eq!(
        (length_s("30m"), length_s("PT30M"), length_s("1h"), length_s("1d")),
        (Ok(1_800), Ok(1_800), Ok(3_600), Ok(86_400))
    );
    for wrong in ["30", "1800", "", "0s", "-30m", "25h", "1d1s", "PT0.5S", "PT60.5S", "30 lots", "1mo"] {
        assert!(length_s(wrong).is_err(), "{wrong}: {:?}", length_s(wrong));
    }
}
