//! What readings say, as it is kept and shown.
//!
//! Invariant: equal answers are equal texts; names are with it, so that it can be shown when readings are gone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::answer::Outcome;
use crate::{
    domain::{Digest, Millis, Volts},
    voltage::Bounds,
};

/// What an answer has beside, where readings were asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadingAnswer {
    /// SHA-256 of the readings that were at hand, in hex.
    pub readings_digest: String,
    /// Of the thresholds.
    pub thresholds_digest: String,
    /// Of what is said of models.
    pub models_digest: String,
    /// What came of it.
    pub found: Found,
}

impl ReadingAnswer {
    pub(in crate::whatif) fn new(digests: [Digest; 3], found: Found) -> Self {
        let [readings_digest, thresholds_digest, models_digest] = digests.map(|digest| digest.to_string());
        Self { readings_digest, thresholds_digest, models_digest, found }
    }

    /// What the answer stands on beside the log.
    pub(in crate::whatif) fn digests(&self) -> [&str; 3] {
        [&self.readings_digest, &self.thresholds_digest, &self.models_digest]
    }
}

/// What came of the one question or the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// Of a filter: the outcomes of the answer are those where nothing undecided is held back.
    Filter {
        /// For each variant, what is decided and what is not.
        variants: Vec<FilterVariant>,
        /// For each variant, what would have been if everything undecided were held back.
        all_held: Vec<Outcome>,
    },
    /// Of meters.
    Device(Box<DeviceAnswer>),
}

/// A range of voltages in tenths of a volt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The lowest.
    pub low_dv: u16,
    /// The highest.
    pub high_dv: u16,
}

impl From<Volts> for Span {
    fn from(volts: Volts) -> Self {
        Self { low_dv: volts.low_dv(), high_dv: volts.high_dv() }
    }
}

/// Alerts of average voltage that the candidate was shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FilterVariant {
    /// Held back for sure.
    pub held: u64,
    /// Let pass for sure.
    pub passed: u64,
    /// Undecided: it depends on what the reading means.
    pub straddling: u64,
    /// Undecided: there is no reading, by why not.
    pub without_reading: BTreeMap<String, u64>,
    /// Of those held back for sure: after how many voltage went on to what the candidate would have let pass.
    pub hidden: u64,
    /// Of those held back for sure: of how many it is not known, because the meter's threshold is not, or the end of what followed
    /// was not read.
    pub hidden_unknown: u64,
    /// Highest voltage that may be among what is held back for sure and what followed, in tenths of a volt.
    pub highest_dv: Option<u16>,
    /// The furthest of what would be hidden.
    pub excursions: Vec<Excursion>,
    /// The devices whose readings decide most.
    pub devices: Vec<ReadDevice>,
}

/// What a filter hides after an alert that it holds back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excursion {
    /// EUI-64.
    pub device: u64,
    /// Phase by number.
    pub phase: u8,
    /// Code of the alert.
    pub code: u16,
    /// When it occurred.
    pub occurred_ms: Millis,
    /// Its reading.
    pub read: Span,
    /// The reading furthest beyond the threshold, before voltage was within it again.
    pub furthest: Span,
    /// When the period of that ended.
    pub furthest_end_ms: Millis,
}

/// A device, and how many of its alerts readings decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadDevice {
    /// EUI-64.
    pub device: u64,
    /// Decided.
    pub decided: u64,
    /// Undecided.
    pub undecided: u64,
}

/// What meters would have done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceAnswer {
    /// Average under-voltage; otherwise over-voltage.
    pub under: bool,
    /// For each threshold, in the order of the question.
    pub thresholds: Vec<AtThreshold>,
    /// Alerts of phases with readings that were recorded over the range, of the threshold that is asked about.
    pub recorded: u64,
    /// Those of other phases and devices.
    pub recorded_elsewhere: u64,
    /// Whether readings explain what was raised, at the thresholds that meters are known to have had.
    pub backtest: BacktestFigures,
    /// What was read, by model.
    pub coverage: Vec<Coverage>,
}

/// Alerts that meters would have raised at one threshold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AtThreshold {
    /// In tenths of a volt.
    pub threshold_dv: u16,
    /// All of them, at the ends of periods that were read.
    pub alerts: Bounds,
    /// By operator (distributor id).
    pub by_operator: Vec<(u8, Bounds)>,
    /// By model; empty for not known.
    pub by_model: Vec<(String, Bounds)>,
    /// Devices that would have alerted at all.
    pub devices: Bounds,
    /// The devices that would have alerted most.
    pub most: Vec<AlertingDevice>,
}

/// A device that would have alerted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertingDevice {
    /// EUI-64.
    pub device: u64,
    /// Its alerts.
    pub alerts: Bounds,
}

/// Alerts that were raised, against crossings of the thresholds that meters had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BacktestFigures {
    /// Alerts that a crossing explains.
    pub matched: u64,
    /// Alerts at whose period nothing was crossed.
    pub alerts_without_crossing: u64,
    /// Alerts of which nothing can be said.
    pub open: u64,
    /// Crossings, for sure, without an alert.
    pub crossings_without_alert: u64,
    /// Devices with readings of which no threshold is known.
    pub devices_without_threshold: u64,
}

/// What was read of one model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// Model; empty for not known.
    pub model: String,
    /// Devices that the host knows.
    pub devices: u64,
    /// Devices with readings in the range.
    pub devices_read: u64,
    /// Periods that were read, of all phases.
    pub periods_read: u64,
    /// Periods between the first and the last that were read of each phase, or of the range where it is shorter, that were
    /// not.
    pub periods_missing: u64,
}
