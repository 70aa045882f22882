//! The columns of readings.
//!
//! It must not know what becomes of a value.

use crate::intake::{headings::Layout, identifiers, rows::Holds};

pub(super) const COLUMNS: &[&str] = &[
    "device",
    "phase",
    "period_end",
    "period_end_ms",
    "period_start",
    "period_start_ms",
    "time",
    "time_ms",
    "length_s",
    "length_min",
    "length",
    "voltage_v",
    "voltage_dv",
    "whole_volts",
    "lowest_dv",
    "highest_dv",
    "status",
    "valid",
];
const REQUIRED: usize = 1;
pub(super) const DEVICE: usize = 0;
pub(super) const PHASE: usize = 1;
pub(super) const END: usize = 2;
pub(super) const END_MS: usize = 3;
pub(super) const START: usize = 4;
pub(super) const START_MS: usize = 5;
pub(super) const TIME: usize = 6;
pub(super) const TIME_MS: usize = 7;
pub(super) const LENGTH_S: usize = 8;
pub(super) const LENGTH_MIN: usize = 9;
pub(super) const LENGTH: usize = 10;
pub(super) const VOLTAGE_V: usize = 11;
pub(super) const VOLTAGE_DV: usize = 12;
pub(super) const WHOLE_VOLTS: usize = 13;
pub(super) const LOWEST_DV: usize = 14;
pub(super) const HIGHEST_DV: usize = 15;
pub(super) const STATUS: usize = 16;
pub(super) const VALID: usize = 17;

pub(super) const ENDS: [usize; 2] = [END, END_MS];
pub(super) const STARTS: [usize; 2] = [START, START_MS];
pub(super) const TIMES: [usize; 2] = [TIME, TIME_MS];
pub(super) const LENGTHS: [usize; 3] = [LENGTH_S, LENGTH_MIN, LENGTH];
pub(super) const VOLTAGES: [usize; 3] = [VOLTAGE_V, VOLTAGE_DV, WHOLE_VOLTS];

pub(super) const LAYOUT: Layout = Layout {
    aliases: &[
        ("device_id", DEVICE),
        ("eui", DEVICE),
        ("eui64", DEVICE),
        ("end", END),
        ("end_time", END),
        ("end_at", END),
        ("period_end_time", END),
        ("period_ending", END),
        ("end_ms", END_MS),
        ("start", START),
        ("start_time", START),
        ("start_at", START),
        ("period_start_time", START),
        ("start_ms", START_MS),
        ("timestamp", TIME),
        ("date_time", TIME),
        ("timestamp_ms", TIME_MS),
        ("period_s", LENGTH_S),
        ("length_seconds", LENGTH_S),
        ("measurement_period_s", LENGTH_S),
        ("period_min", LENGTH_MIN),
        ("length_minutes", LENGTH_MIN),
        ("measurement_period_min", LENGTH_MIN),
        ("duration", LENGTH),
        ("volts", VOLTAGE_V),
        ("v", VOLTAGE_V),
        ("voltage_volts", VOLTAGE_V),
        ("average_voltage_v", VOLTAGE_V),
        ("dv", VOLTAGE_DV),
        ("decivolts", VOLTAGE_DV),
        ("low_dv", LOWEST_DV),
        ("high_dv", HIGHEST_DV),
        ("read_status", STATUS),
        ("is_valid", VALID),
    ],
    holds,
    others: &["source"],
    is_foreign: true,
    telltale: Some((&[DEVICE], |text| identifiers::device(text).is_ok())),
    ..Layout::plain(COLUMNS, REQUIRED)
};

fn holds(column: usize) -> Holds {
    match column {
        DEVICE => Holds::Device,
        END | START | TIME => Holds::Time,
        VOLTAGE_V => Holds::Measured,
        STATUS | VALID => Holds::Flag,
        _ => Holds::Value,
    }
}
