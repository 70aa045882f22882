//! What readings say, as it is shown.
//!
//! It must not know how questions are asked. Invariant: what is undecided is never part of a figure without being named.

use serde::Serialize;
use weir_proto::v1;

use super::{Loss, Outcome};
use crate::cli::{
    arguments::Names,
    table::{Table, Value, thousands},
    view::{code, eui, or, time, volts},
};

/// What readings say.
#[derive(Debug, Serialize)]
pub(crate) struct Readings {
    pub readings_digest: String,
    pub thresholds_digest: String,
    pub models_digest: String,
    pub variants: Vec<Decided>,
    pub all_held: Vec<Outcome>,
    pub devices: Option<Devices>,
}

impl From<v1::WhatIfReadings> for Readings {
    fn from(message: v1::WhatIfReadings) -> Self {
        let v1::WhatIfReadings { readings_digest, thresholds_digest, models_digest, variants, all_held, devices } =
            message;
        Self {
            readings_digest,
            thresholds_digest,
            models_digest,
            variants: variants.into_iter().map(Decided::from).collect(),
            all_held: all_held.into_iter().map(Outcome::from).collect(),
            devices: devices.map(Devices::from),
        }
    }
}

/// Alerts that one variant was shown.
#[derive(Debug, Serialize)]
pub(crate) struct Decided {
    pub held: u64,
    pub passed: u64,
    pub straddling: u64,
    pub without_reading: Vec<Loss>,
    pub hidden: u64,
    pub hidden_unknown: u64,
    pub highest_dv: Option<u32>,
    pub excursions: Vec<Excursion>,
    pub devices: Vec<ReadDevice>,
}

impl From<v1::WhatIfDecided> for Decided {
    fn from(message: v1::WhatIfDecided) -> Self {
        let v1::WhatIfDecided {
            held,
            passed,
            straddling,
            without_reading,
            hidden,
            hidden_unknown,
            highest_dv,
            excursions,
            devices,
        } = message;
        Self {
            held,
            passed,
            straddling,
            without_reading: without_reading.into_iter().map(Loss::from).collect(),
            hidden,
            hidden_unknown,
            highest_dv,
            excursions: excursions.into_iter().map(Excursion::from).collect(),
            devices: devices.into_iter().map(ReadDevice::from).collect(),
        }
    }
}

impl Decided {
    /// Alerts that readings do not decide.
    pub(crate) fn undecided(&self) -> u64 {
        self.straddling + self.without_reading.iter().map(|loss| loss.count).sum::<u64>()
    }

    /// Returns why, and how many for each reason.
    pub(crate) fn reasons(&self) -> Vec<Loss> {
        let straddling = (self.straddling > 0).then(|| Loss { kind: STRADDLES.to_owned(), count: self.straddling });
        self.without_reading.iter().cloned().chain(straddling).collect()
    }
}

/// Why an alert that has a reading is undecided.
const STRADDLES: &str = "reading-straddles";

/// Returns what a reason means why readings do not decide an alert; nothing for one that a later host gives.
pub(crate) fn why(reason: &str) -> &'static str {
    match reason {
        STRADDLES => "what its reading can mean lies on both sides of the limit",
        "no-reading" => "no reading is stored of a period that it can be of",
        "no-time" => "its device stated no time of occurrence that can be relied on",
        "two-periods" => "more than one period fits its time",
        "withheld-copies" => "it stands for copies that were withheld, which have no times of their own",
        "not-beyond-threshold" => "its reading is within the threshold of its meter, and so of another period",
        _ => "",
    }
}

/// A range of voltages.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Voltage {
    pub low_dv: u32,
    pub high_dv: u32,
}

impl From<v1::VoltageRange> for Voltage {
    fn from(message: v1::VoltageRange) -> Self {
        let v1::VoltageRange { low_dv, high_dv } = message;
        Self { low_dv, high_dv }
    }
}

impl Voltage {
    /// Returns it in volts.
    pub(crate) fn words(self) -> String {
        let Self { low_dv, high_dv } = self;
        if low_dv == high_dv { volts(low_dv) } else { format!("{}.{} to {}", low_dv / 10, low_dv % 10, volts(high_dv)) }
    }
}

/// What a filter hides after an alert that it holds back.
#[derive(Debug, Serialize)]
pub(crate) struct Excursion {
    pub device_id: Option<String>,
    pub phase: i32,
    pub code: String,
    pub occurred_at_ms: i64,
    pub read: Voltage,
    pub furthest: Voltage,
    pub furthest_end_ms: i64,
}

impl From<v1::WhatIfExcursion> for Excursion {
    fn from(message: v1::WhatIfExcursion) -> Self {
        let v1::WhatIfExcursion { device_id, phase, code: number, occurred_at_ms, read, furthest, furthest_end_ms } =
            message;
        Self {
            device_id: eui(device_id),
            phase,
            code: code(number),
            occurred_at_ms,
            read: read.map(Voltage::from).unwrap_or_default(),
            furthest: furthest.map(Voltage::from).unwrap_or_default(),
            furthest_end_ms,
        }
    }
}

impl Excursion {
    /// Returns its phase by number; a dash for the meter as a whole.
    pub(crate) fn phase(&self) -> String {
        if self.phase == 0 { "-".to_owned() } else { self.phase.to_string() }
    }
}

/// A device, and how many of its alerts readings decide.
#[derive(Debug, Serialize)]
pub(crate) struct ReadDevice {
    pub device_id: Option<String>,
    pub decided: u64,
    pub undecided: u64,
}

impl From<v1::WhatIfReadDevice> for ReadDevice {
    fn from(message: v1::WhatIfReadDevice) -> Self {
        let v1::WhatIfReadDevice { device_id, decided, undecided } = message;
        Self { device_id: eui(device_id), decided, undecided }
    }
}

/// The fewest and the most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct CountRange {
    pub least: u64,
    pub most: u64,
}

impl From<Option<v1::CountRange>> for CountRange {
    fn from(message: Option<v1::CountRange>) -> Self {
        let v1::CountRange { least, most } = message.unwrap_or_default();
        Self { least, most }
    }
}

impl CountRange {
    /// Returns it as text, one number where both are the same.
    pub(crate) fn text(self) -> String {
        let Self { least, most } = self;
        if least == most { thousands(least) } else { format!("{} to {}", thousands(least), thousands(most)) }
    }

    fn words(self) -> Value {
        Value::Quantity(self.text())
    }
}

/// What meters would have done.
#[derive(Debug, Serialize)]
pub(crate) struct Devices {
    pub limit: &'static str,
    pub thresholds: Vec<AtThreshold>,
    pub recorded: u64,
    pub recorded_elsewhere: u64,
    pub backtest: Backtest,
    pub coverage: Vec<Coverage>,
}

impl From<v1::WhatIfDevices> for Devices {
    fn from(message: v1::WhatIfDevices) -> Self {
        let limit = if message.limit() == v1::VoltageLimit::Under { "under" } else { "over" };
        let v1::WhatIfDevices { thresholds, recorded, recorded_elsewhere, backtest, coverage, .. } = message;
        Self {
            limit,
            thresholds: thresholds.into_iter().map(AtThreshold::from).collect(),
            recorded,
            recorded_elsewhere,
            backtest: Backtest::from(backtest.unwrap_or_default()),
            coverage: coverage.into_iter().map(Coverage::from).collect(),
        }
    }
}

/// Alerts at one threshold.
#[derive(Debug, Serialize)]
pub(crate) struct AtThreshold {
    pub threshold_dv: u32,
    pub alerts: CountRange,
    pub by_operator: Vec<ByOperator>,
    pub by_model: Vec<ByModel>,
    pub devices: CountRange,
    pub most: Vec<AlertingDevice>,
}

impl From<v1::WhatIfAtThreshold> for AtThreshold {
    fn from(message: v1::WhatIfAtThreshold) -> Self {
        let v1::WhatIfAtThreshold { threshold_dv, alerts, by_operator, by_model, devices, most } = message;
        let operator = |v1::WhatIfByOperator { operator, alerts }| ByOperator { operator, alerts: alerts.into() };
        let model = |v1::WhatIfByModel { model, alerts }| ByModel { model, alerts: alerts.into() };
        let device = |v1::WhatIfAlertingDevice { device_id, alerts }| AlertingDevice {
            device_id: eui(device_id),
            alerts: alerts.into(),
        };
        Self {
            threshold_dv,
            alerts: alerts.into(),
            by_operator: by_operator.into_iter().map(operator).collect(),
            by_model: by_model.into_iter().map(model).collect(),
            devices: devices.into(),
            most: most.into_iter().map(device).collect(),
        }
    }
}

/// Alerts of one operator's devices.
#[derive(Debug, Serialize)]
pub(crate) struct ByOperator {
    pub operator: u32,
    pub alerts: CountRange,
}

/// Alerts of devices of one model.
#[derive(Debug, Serialize)]
pub(crate) struct ByModel {
    pub model: String,
    pub alerts: CountRange,
}

/// A device that would have alerted.
#[derive(Debug, Serialize)]
pub(crate) struct AlertingDevice {
    pub device_id: Option<String>,
    pub alerts: CountRange,
}

/// Alerts against crossings.
#[derive(Debug, Serialize)]
pub(crate) struct Backtest {
    pub matched: u64,
    pub alerts_without_crossing: u64,
    pub open: u64,
    pub crossings_without_alert: u64,
    pub devices_without_threshold: u64,
}

impl From<v1::WhatIfBacktest> for Backtest {
    fn from(message: v1::WhatIfBacktest) -> Self {
        let v1::WhatIfBacktest {
            matched,
            alerts_without_crossing,
            open,
            crossings_without_alert,
            devices_without_threshold,
        } = message;
        Self { matched, alerts_without_crossing, open, crossings_without_alert, devices_without_threshold }
    }
}

/// What was read of one model.
#[derive(Debug, Serialize)]
pub(crate) struct Coverage {
    pub model: String,
    pub devices: u64,
    pub devices_read: u64,
    pub periods_read: u64,
    pub periods_missing: u64,
}

impl From<v1::WhatIfCoverage> for Coverage {
    fn from(message: v1::WhatIfCoverage) -> Self {
        let v1::WhatIfCoverage { model, devices, devices_read, periods_read, periods_missing } = message;
        Self { model, devices, devices_read, periods_read, periods_missing }
    }
}

/// What readings decide, a row for each variant.
pub(crate) fn decided(readings: &Readings, outcomes: &[Outcome]) -> Table {
    let mut table = Table::new(&[
        "of average voltage",
        "held",
        "passed",
        "undecided",
        "all suppressed",
        "hides",
        "hides, not known",
        "highest held",
    ]);
    for ((variant, outcome), all_held) in readings.variants.iter().zip(outcomes).zip(&readings.all_held) {
        let [least, most] = [outcome, all_held].map(|outcome| outcome.then.suppressed);
        table.row([
            Value::text(&outcome.label),
            Value::Number(variant.held),
            Value::Number(variant.passed),
            Value::Number(variant.undecided()),
            CountRange { least: least.min(most), most: most.max(least) }.words(),
            Value::Number(variant.hidden),
            Value::Number(variant.hidden_unknown),
            Value::Quantity(variant.highest_dv.map(volts).unwrap_or_default()),
        ]);
    }
    table
}

/// What one variant would hide.
pub(crate) fn excursions(rows: &[Excursion], names: &Names) -> Table {
    let mut table = Table::new(&["device", "phase", "code", "occurred", "read", "went on to", "by"]);
    for row in rows {
        table.row([
            Value::text(row.device_id.as_deref().unwrap_or("unknown")),
            Value::text(row.phase()),
            Value::text(names.code(&row.code)),
            Value::text(time(row.occurred_at_ms)),
            Value::Quantity(row.read.words()),
            Value::Quantity(row.furthest.words()),
            Value::text(time(row.furthest_end_ms)),
        ]);
    }
    table
}

/// The devices whose readings decide most.
pub(crate) fn read_devices(rows: &[ReadDevice]) -> Table {
    let mut table = Table::new(&["device", "decided", "undecided"]);
    for ReadDevice { device_id, decided, undecided } in rows {
        let device = Value::text(device_id.as_deref().unwrap_or("unknown"));
        table.row([device, Value::Number(*decided), Value::Number(*undecided)]);
    }
    table
}

/// What meters would have done, a row for each threshold.
pub(crate) fn thresholds(devices: &Devices) -> Table {
    let heading = format!("threshold ({})", devices.limit);
    let mut table = Table::new(&[heading.as_str(), "alerts", "devices that alert"]);
    for at in &devices.thresholds {
        table.row([Value::Quantity(volts(at.threshold_dv)), at.alerts.words(), at.devices.words()]);
    }
    table
}

/// Whether readings explain what was raised.
pub(crate) fn backtest(devices: &Devices) -> Table {
    let Devices { recorded, recorded_elsewhere, backtest, .. } = devices;
    Table::facts([
        ("alerts of phases with readings", Value::Number(*recorded)),
        ("alerts of other phases", Value::Number(*recorded_elsewhere)),
        ("explained by a crossing", Value::Number(backtest.matched)),
        ("alert without a crossing", Value::Number(backtest.alerts_without_crossing)),
        ("crossing without an alert", Value::Number(backtest.crossings_without_alert)),
        ("alert, nothing known", Value::Number(backtest.open)),
        ("devices without a known threshold", Value::Number(backtest.devices_without_threshold)),
    ])
}

/// What was read, by model.
pub(crate) fn coverage(devices: &Devices) -> Table {
    let mut table = Table::new(&["model", "devices", "with readings", "periods read", "missing between"]);
    for row in &devices.coverage {
        table.row([
            Value::text(or(&row.model, "unknown")),
            Value::Number(row.devices),
            Value::Number(row.devices_read),
            Value::Number(row.periods_read),
            Value::Number(row.periods_missing),
        ]);
    }
    table
}

/// The devices that would have alerted most at one threshold.
pub(crate) fn alerting(rows: &[AlertingDevice]) -> Table {
    let mut table = Table::new(&["device", "alerts"]);
    for AlertingDevice { device_id, alerts } in rows {
        table.row([Value::text(device_id.as_deref().unwrap_or("unknown")), alerts.words()]);
    }
    table
}

/// What the tables do not say.
pub(crate) fn notes(readings: &Readings, outcomes: &[Outcome]) -> Vec<String> {
    let mut notes = Vec::new();
    for (variant, outcome) in readings.variants.iter().zip(outcomes) {
        let undecided = variant.undecided();
        if undecided > 0 {
            let all = thousands(undecided + variant.held + variant.passed);
            let reasons = variant.reasons();
            let kinds = reasons.iter().map(|loss| format!("{} {}", thousands(loss.count), loss.kind));
            let kinds: Vec<String> = kinds.collect();
            let (undecided, kinds) = (thousands(undecided), kinds.join(", "));
            notes.push(format!("{}: {undecided} of {all} alerts are undecided: {kinds}", outcome.label));
        }
    }
    notes.push(format!(
        "readings {}, thresholds {}, models {}",
        short(&readings.readings_digest),
        short(&readings.thresholds_digest),
        short(&readings.models_digest)
    ));
    notes
}

fn short(digest: &str) -> &str {
    digest.get(..8).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voltage::Unjoined;

    #[test]
    fn every_reason_is_explained() {
        for reason in Unjoined::ALL.map(Unjoined::name).into_iter().chain([STRADDLES]) {
            assert_ne!(why(reason), "", "{reason}");
        }
    }
}
