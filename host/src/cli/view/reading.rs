//! Readings, how many there are, and what is said of models.
//!
//! It must not know how readings are asked for.

use serde::Serialize;
use weir_proto::v1;

use super::{code, eui, time};
use crate::{
    cli::table::{Table, Value},
    domain::{Limit, Phase, Rounding, Volts},
};

/// A reading. The names are those that `weir reading load` reads.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Reading {
    pub device_id: Option<String>,
    pub phase: &'static str,
    pub end_ms: i64,
    pub length_s: u32,
    pub low_dv: u32,
    pub high_dv: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole_volts: Option<u32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
}

impl From<v1::Reading> for Reading {
    fn from(message: v1::Reading) -> Self {
        let v1::Reading { device_id, phase, end_ms, length_s, low_dv, high_dv, whole_volts } = message;
        let (device_id, phase, source) = (eui(device_id), phase_name(phase), String::new());
        Self { device_id, phase, end_ms, length_s, low_dv, high_dv, whole_volts, source }
    }
}

impl Reading {
    /// Its voltage in words.
    fn volts(&self) -> String {
        let small = |dv: u32| u16::try_from(dv).ok();
        let volts = match self.whole_volts {
            Some(whole) => small(whole).and_then(Volts::whole),
            None => small(self.low_dv).zip(small(self.high_dv)).and_then(|(low, high)| Volts::between(low, high)),
        };
        volts.map_or_else(|| format!("{} to {} dV", self.low_dv, self.high_dv), |volts| volts.to_string())
    }
}

/// Readings, a row each.
pub(in crate::cli) fn table(rows: &[Reading]) -> Table {
    let mut table = Table::new(&["phase", "period ended", "length", "voltage", "source"]);
    for row in rows {
        table.row([
            Value::text(row.phase),
            Value::text(time(row.end_ms)),
            Value::Quantity(length(row.length_s)),
            Value::Quantity(row.volts()),
            Value::text(&row.source),
        ]);
    }
    table
}

/// A length in minutes where it is whole minutes.
fn length(seconds: u32) -> String {
    if seconds.is_multiple_of(60) { format!("{} min", seconds / 60) } else { format!("{seconds} s") }
}

/// What there is.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Status {
    pub readings: u64,
    pub devices: u64,
    pub first_end_ms: i64,
    pub last_end_ms: i64,
    pub thresholds: u64,
    pub readings_max: u64,
    pub file_bytes: u64,
}

impl From<v1::GetReadingStatusResponse> for Status {
    fn from(message: v1::GetReadingStatusResponse) -> Self {
        let v1::GetReadingStatusResponse {
            readings,
            devices,
            first_end_ms,
            last_end_ms,
            thresholds,
            readings_max,
            file_bytes,
        } = message;
        Self { readings, devices, first_end_ms, last_end_ms, thresholds, readings_max, file_bytes }
    }
}

/// What there is, a line each.
pub(in crate::cli) fn facts(status: &Status) -> Table {
    let at = |ms: i64| Value::text(if ms == 0 { "none".to_owned() } else { time(ms) });
    let mut facts = vec![
        ("readings", Value::Number(status.readings)),
        ("of devices", Value::Number(status.devices)),
        ("first period ended", at(status.first_end_ms)),
        ("last period ended", at(status.last_end_ms)),
        ("thresholds", Value::Number(status.thresholds)),
        ("readings kept at most", Value::Number(status.readings_max)),
    ];
    // 0 for an operator's token.
    if status.file_bytes > 0 {
        facts.push(("bytes of the file", Value::Number(status.file_bytes)));
    }
    Table::facts(facts)
}

/// What is said of a model.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Model {
    pub model: String,
    pub rounding: &'static str,
    pub codes: Vec<MappedCode>,
    /// Distributor id of the operator that says so; 0 for the host's.
    pub operator: u32,
}

/// A code that stands for a threshold.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct MappedCode {
    pub code: String,
    pub limit: &'static str,
    pub phase: &'static str,
}

impl From<v1::ReadingModel> for Model {
    fn from(message: v1::ReadingModel) -> Self {
        let v1::ReadingModel { model, rounding, codes, operator } = message;
        let rounding = match v1::Rounding::try_from(rounding) {
            Ok(v1::Rounding::Nearest) => Rounding::Nearest,
            Ok(v1::Rounding::Down) => Rounding::Down,
            Ok(v1::Rounding::Unspecified) | Err(_) => Rounding::Unknown,
        };
        let mapped = |v1::MappedCode { code: number, limit, phase }| MappedCode {
            code: code(number),
            limit: limit_name(limit),
            phase: phase_name(phase),
        };
        Self { model, rounding: rounding.name(), codes: codes.into_iter().map(mapped).collect(), operator }
    }
}

/// Models, a row each.
pub(in crate::cli) fn models(rows: &[Model]) -> Table {
    let mut table = Table::new(&["model", "whole volts are rounded", "codes", "by the word of"]);
    for row in rows {
        let mapped = |mapped: &MappedCode| {
            let phase = if mapped.phase == Phase::Whole.name() { String::new() } else { format!(":{}", mapped.phase) };
            format!("{}={}{phase}", mapped.code, mapped.limit)
        };
        table.row([
            Value::text(&row.model),
            Value::text(row.rounding),
            Value::text(row.codes.iter().map(mapped).collect::<Vec<_>>().join(", ")),
            Value::text(if row.operator == 0 { "the host".to_owned() } else { row.operator.to_string() }),
        ]);
    }
    table
}

/// The name of a phase.
pub(in crate::cli) fn phase_name(phase: i32) -> &'static str {
    let phase = u8::try_from(phase).ok().and_then(Phase::from_number);
    phase.map_or("unknown", Phase::name)
}

/// The name of a limit.
pub(in crate::cli) fn limit_name(limit: i32) -> &'static str {
    match v1::VoltageLimit::try_from(limit) {
        Ok(v1::VoltageLimit::Over) => Limit::Over.name(),
        Ok(v1::VoltageLimit::Under) => Limit::Under.name(),
        Ok(v1::VoltageLimit::Unspecified) | Err(_) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_shown_as_fine_as_it_is() {
        let of = |low_dv, high_dv, whole_volts| {
            let reading =
                v1::Reading { device_id: 1, phase: 1, end_ms: 0, length_s: 1_800, low_dv, high_dv, whole_volts };
            Reading::from(reading).volts()
        };
        assert_eq!(of(2_570, 2_590, Some(258)), "258 V");
        assert_eq!(
            (of(2_581, 2_581, None), of(2_581, 2_582, None)),
            ("258.1 V".to_owned(), "258.1 to 258.2 V".to_owned())
        );
        assert_eq!(of(99_999, 99_999, None), "99999 to 99999 dV", "whatever a server says");
        assert_eq!((length(1_800), length(90)), ("30 min".to_owned(), "90 s".to_owned()));
    }
}
