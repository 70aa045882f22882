//! Rows of thresholds.

use super::*;
use crate::{domain::Eui64, intake::sources::Items};

const METER: &str = "00-DB-12-34-56-78-90-A0";
const FROM: Millis = 1_793_491_200_000;

fn items(items: Items<&[u8], Vec<Threshold>>) -> Vec<Result<Vec<Threshold>, String>> {
    items.map(|item| item.map_err(|error| error.to_string())).collect()
}

fn row(columns: &str, values: &str, from_ms: Option<Millis>) -> Result<Vec<(Limit, u16, Millis, String)>, String> {
    let text = format!("device,{columns}\n{METER},{values}\n");
    let read = reader(from_ms).csv(text.as_bytes(), &Form::default()).map_err(|error| error.to_string())?;
    let thresholds = items(read).remove(0)?;
    assert!(thresholds.iter().all(|threshold| threshold.device == Eui64(0x00DB_1234_5678_90A0)));
    Ok(thresholds.into_iter().map(|t| (t.limit, t.value_dv, t.from_ms, t.source)).collect())
}

#[test]
fn a_row_states_one_limit_or_both() {
    let over = |source: &str| (Limit::Over, 2_530, FROM, source.to_owned());
    for (columns, values) in [
        ("limit,threshold_v,from", "over,253,2026-11-01T00:00:00Z"),
        ("limit,threshold_v,from_ms", "Over-Voltage,253.0,1793491200000"),
        ("limit,threshold_dv,valid_from", "over,2530,2026-11-01T00:00:00Z"),
        ("limit,value_dv,from_ms", "over,2530,1793491200000"),
        ("over_v,under_v,from", "253,,2026-11-01T00:00:00Z"),
    ] {
        assert_eq!(row(columns, values, None), Ok(vec![over("")]), "{columns}");
    }
    let under = (Limit::Under, 2_162, FROM, "EREC M30".to_owned());
    let both = row("over_dv,under_v,source", "2530,216.2,EREC M30", Some(FROM));
    assert_eq!(both, Ok(vec![over("EREC M30"), under]));
    // What a row states counts for it.
    let stated = row("limit,threshold_v,from", "over,253,2026-11-01T00:00:00Z", Some(1)).unwrap();
    assert_eq!(stated, [over("")]);
    let line = format!(
        "{{\"device_id\":\"{METER}\",\"limit\":\"over\",\"value_dv\":2530,\"from_ms\":{FROM},\"source\":\"x\"}}\n"
    );
    let read = items(reader(None).ndjson(line.as_bytes(), &Form::default()).unwrap());
    assert_eq!(read[0].as_ref().map(Vec::len), Ok(1), "as weir threshold list --json prints it: {read:?}");
}

#[test]
fn what_leaves_something_open_is_refused() {
    for (columns, values, from_ms, words) in [
        ("limit,threshold_v", "over,253", None, "line 1: from: nothing says from when a threshold is configured"),
        ("threshold_v", "253", Some(FROM), "line 1: limit: threshold_v or threshold_dv needs the column limit"),
        ("limit,over_v", "over,253", Some(FROM), "line 1: limit: "),
        ("from", "2026-11-01T00:00:00Z", None, "line 1: threshold_v: no threshold is stated"),
        ("limit,threshold_v", "over,2530", Some(FROM), "are these tenths of a volt? Their heading is threshold_dv"),
        ("limit,threshold_v", "over,253.05", Some(FROM), "expected volts with at most one decimal"),
        ("limit,threshold_v", "over,0", Some(FROM), "0.0 V is no threshold of a supply"),
        ("limit,threshold_v", "over,25.3", Some(FROM), "25.3 V is no threshold of a supply"),
        ("limit,threshold_dv", "over,253", Some(FROM), "253 V is 253 in volts and 2530 in tenths"),
        ("limit,threshold_v", "high,253", Some(FROM), "expected over or under, found \"high\""),
        ("limit,threshold_v", ",253", Some(FROM), "line 2: limit: must not be empty"),
        ("limit,threshold_v", "over,", Some(FROM), "line 2: threshold_v: must not be empty beside limit"),
        ("over_v,under_v,from", ",,2026-11-01T00:00:00Z", None, "line 2: threshold_v: no threshold is stated"),
        ("over_v,over_dv,from", "253,2530,2026-11-01T00:00:00Z", None, "line 2: over_dv: over_v is filled in too"),
        ("limit,threshold_v,over_dv", "over,253,2530", Some(FROM), "line 2: limit: the row states over twice"),
        ("limit,threshold_v,from", "over,253,2026-11-01 00:00", None, "--time-zone says whose clock showed it"),
        ("over_v,source", "253,a\tb", Some(FROM), "expected one plain line of at most 64 bytes"),
    ] {
        let refused = row(columns, values, from_ms).unwrap_err();
        assert!(refused.contains(words), "{columns}: {refused}");
    }
}
