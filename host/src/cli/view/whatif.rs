//! Questions over the past and their answers, as they are shown.
//!
//! It must not know how questions are asked.

use serde::Serialize;
use weir_proto::v1;

use super::{alert::Alert, count::heading, eui, generation, rule::Scope, trial::Row};

pub(crate) mod readings;
mod tables;

pub(crate) use tables::{by, devices, facts, list, notes, samples, totals};

/// A question.
#[derive(Debug, Serialize)]
pub(crate) struct WhatIf {
    pub id: u64,
    pub name: String,
    pub who: String,
    pub operator: u32,
    pub rule: String,
    pub as_recorded: bool,
    pub position: u32,
    pub scope: Scope,
    pub only: Scope,
    pub variants: Vec<Tried>,
    pub since_ms: i64,
    pub until_ms: i64,
    pub warm_up_ms: Option<i64>,
    pub seed: u64,
    pub asked_at_ms: i64,
    pub ended_at_ms: i64,
    pub stage: &'static str,
    pub why: String,
    pub question_digest: String,
    pub answer_digest: String,
    pub rows_done: u64,
    pub rows_total: u64,
    pub running_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readings: Option<AskedOfReadings>,
}

impl From<v1::WhatIf> for WhatIf {
    fn from(message: v1::WhatIf) -> Self {
        let v1::WhatIf {
            id,
            name,
            who,
            operator,
            rule,
            as_recorded,
            position,
            scope,
            only,
            variants,
            since_ms,
            until_ms,
            warm_up_ms,
            seed,
            asked_at_ms,
            ended_at_ms,
            stage,
            why,
            question_digest,
            answer_digest,
            rows_done,
            rows_total,
            running_ms,
            readings,
        } = message;
        Self {
            id,
            name,
            who,
            operator,
            rule,
            as_recorded,
            position,
            scope: scope.map(Scope::from).unwrap_or_default(),
            only: only.map(Scope::from).unwrap_or_default(),
            variants: variants.into_iter().map(Tried::from).collect(),
            since_ms,
            until_ms,
            warm_up_ms,
            seed,
            asked_at_ms,
            ended_at_ms,
            stage: stage_name(stage),
            why,
            question_digest,
            answer_digest,
            rows_done,
            rows_total,
            running_ms,
            readings: readings.map(AskedOfReadings::from),
        }
    }
}

/// What is asked of readings.
#[derive(Debug, Serialize)]
pub(crate) struct AskedOfReadings {
    pub role: &'static str,
    pub tolerance_ms: u32,
    pub thresholds_dv: Vec<u32>,
    pub limit: &'static str,
}

impl AskedOfReadings {
    /// Returns true if it is asked what meters would have raised, and no rule is part of the question.
    pub(crate) fn is_as_device(&self) -> bool {
        self.role == "device"
    }
}

impl From<v1::ReadingQuestion> for AskedOfReadings {
    fn from(message: v1::ReadingQuestion) -> Self {
        let role = if message.role() == v1::ReadingRole::Device { "device" } else { "filter" };
        let limit = if message.limit() == v1::VoltageLimit::Under { "under" } else { "over" };
        let v1::ReadingQuestion { tolerance_ms, thresholds_dv, .. } = message;
        Self { role, tolerance_ms: tolerance_ms.unwrap_or_default(), thresholds_dv, limit }
    }
}

fn stage_name(stage: i32) -> &'static str {
    match v1::WhatIfStage::try_from(stage) {
        Ok(v1::WhatIfStage::Waiting) => "waiting",
        Ok(v1::WhatIfStage::Running) => "running",
        Ok(v1::WhatIfStage::Done) => "done",
        Ok(v1::WhatIfStage::Cancelled) => "cancelled",
        Ok(v1::WhatIfStage::Interrupted) => "interrupted",
        Ok(v1::WhatIfStage::Failed) => "failed",
        Ok(v1::WhatIfStage::Unspecified) | Err(_) => "unspecified",
    }
}

/// One thing that is tried.
#[derive(Debug, Serialize)]
pub(crate) struct Tried {
    pub label: String,
    pub plugin_digest: String,
    pub plugin_name: String,
    pub parameters: String,
}

impl From<v1::WhatIfTried> for Tried {
    fn from(message: v1::WhatIfTried) -> Self {
        let v1::WhatIfTried { label, plugin_digest, plugin_name, parameters } = message;
        Self { label, plugin_digest, plugin_name, parameters }
    }
}

/// A question with its answer.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    pub what_if: WhatIf,
    pub answer: Option<Answer>,
}

/// An answer.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    pub engine: String,
    pub basis: Basis,
    pub now: Sums,
    pub duplicate_count: u64,
    pub losses: Vec<Loss>,
    pub outcomes: Vec<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readings: Option<readings::Readings>,
}

impl From<v1::WhatIfAnswer> for Answer {
    fn from(message: v1::WhatIfAnswer) -> Self {
        let v1::WhatIfAnswer { engine, basis, now, duplicate_count, losses, outcomes, readings } = message;
        Self {
            engine,
            basis: basis.map(Basis::from).unwrap_or_default(),
            now: now.map(Sums::from).unwrap_or_default(),
            duplicate_count,
            losses: losses.into_iter().map(Loss::from).collect(),
            outcomes: outcomes.into_iter().map(Outcome::from).collect(),
            readings: readings.map(readings::Readings::from),
        }
    }
}

/// What an answer stands on.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Basis {
    pub oldest_position: u64,
    pub from_position: u64,
    pub first_position: u64,
    pub end_position: u64,
    pub stateful: bool,
    pub whole: bool,
    pub state_checked: bool,
}

impl From<v1::WhatIfBasis> for Basis {
    fn from(message: v1::WhatIfBasis) -> Self {
        let v1::WhatIfBasis {
            oldest_position,
            from_position,
            first_position,
            end_position,
            stateful,
            whole,
            state_checked,
        } = message;
        Self { oldest_position, from_position, first_position, end_position, stateful, whole, state_checked }
    }
}

/// Sums over alerts.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Sums {
    pub forwarded: u64,
    pub suppressed: u64,
    pub forwarded_represented: u64,
    pub suppressed_represented: u64,
    pub withheld: Option<u64>,
}

impl From<v1::WhatIfSums> for Sums {
    fn from(message: v1::WhatIfSums) -> Self {
        let v1::WhatIfSums { forwarded, suppressed, forwarded_represented, suppressed_represented, withheld } = message;
        Self { forwarded, suppressed, forwarded_represented, suppressed_represented, withheld }
    }
}

/// Alerts that are compared with nothing.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Loss {
    pub kind: String,
    pub count: u64,
}

impl From<v1::WhatIfLoss> for Loss {
    fn from(message: v1::WhatIfLoss) -> Self {
        let v1::WhatIfLoss { kind, count } = message;
        Self { kind, count }
    }
}

/// What one variant would have changed.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub label: String,
    pub then: Sums,
    pub total: Row,
    pub tables: Vec<KeyedTable>,
    pub rows_left_out: u64,
    pub devices: Vec<Device>,
    pub devices_changed: u64,
    pub samples: Vec<Sample>,
    pub failures: Vec<Failed>,
}

impl From<v1::WhatIfOutcome> for Outcome {
    fn from(message: v1::WhatIfOutcome) -> Self {
        let v1::WhatIfOutcome {
            label,
            then,
            total,
            tables,
            rows_left_out,
            devices,
            devices_changed,
            samples,
            failures,
        } = message;
        Self {
            label,
            then: then.map(Sums::from).unwrap_or_default(),
            total: total.map(Row::from).unwrap_or_default(),
            tables: tables.into_iter().map(KeyedTable::from).collect(),
            rows_left_out,
            devices: devices.into_iter().map(Device::from).collect(),
            devices_changed,
            samples: samples.into_iter().map(Sample::from).collect(),
            failures: failures.into_iter().map(Failed::from).collect(),
        }
    }
}

/// A difference by one key.
#[derive(Debug, Serialize)]
pub(crate) struct KeyedTable {
    pub grouping: &'static str,
    pub rows: Vec<Row>,
    #[serde(skip)]
    pub(crate) key: v1::Grouping,
}

impl From<v1::WhatIfTable> for KeyedTable {
    fn from(message: v1::WhatIfTable) -> Self {
        let v1::WhatIfTable { grouping, rows } = message;
        let key = v1::Grouping::try_from(grouping).unwrap_or_default();
        Self { grouping: heading(key), rows: rows.into_iter().map(Row::from).collect(), key }
    }
}

/// A device whose alerts would change.
#[derive(Debug, Serialize)]
pub(crate) struct Device {
    pub device_id: Option<String>,
    pub newly_suppressed: u64,
    pub newly_forwarded: u64,
}

impl From<v1::WhatIfDevice> for Device {
    fn from(message: v1::WhatIfDevice) -> Self {
        let v1::WhatIfDevice { device_id, newly_suppressed, newly_forwarded } = message;
        Self { device_id: eui(device_id), newly_suppressed, newly_forwarded }
    }
}

/// An alert whose end would be another.
#[derive(Debug, Serialize)]
pub(crate) struct Sample {
    pub position: u64,
    pub alert: Option<Alert>,
    pub operator: u32,
    pub generation: &'static str,
    pub model: String,
    pub recorded: Option<Decision>,
    pub computed: Option<Decision>,
}

impl From<v1::WhatIfAlert> for Sample {
    fn from(message: v1::WhatIfAlert) -> Self {
        let v1::WhatIfAlert { position, alert, operator, generation: number, model, recorded, computed } = message;
        Self {
            position,
            alert: alert.map(Alert::from),
            operator,
            generation: generation(number),
            model,
            recorded: recorded.map(Decision::from),
            computed: computed.map(Decision::from),
        }
    }
}

/// A decision.
#[derive(Debug, Serialize)]
pub(crate) struct Decision {
    pub suppressed: bool,
    pub rule: String,
    pub revision: u32,
    pub reason: String,
}

impl From<v1::WhatIfDecision> for Decision {
    fn from(message: v1::WhatIfDecision) -> Self {
        let v1::WhatIfDecision { suppressed, rule, revision, reason } = message;
        Self { suppressed, rule, revision, reason }
    }
}

impl Decision {
    pub(crate) fn words(&self) -> String {
        let Self { suppressed, rule, revision, reason } = self;
        let end = if *suppressed { "suppressed" } else { "forwarded" };
        match (rule.is_empty(), *revision) {
            (true, _) => end.to_owned(),
            (false, 0) => format!("{end}: {rule}: {reason}"),
            (false, revision) => format!("{end}: {rule} r{revision}: {reason}"),
        }
    }
}

/// Calls of one rule that failed.
#[derive(Debug, Serialize)]
pub(crate) struct Failed {
    pub rule: String,
    pub kind: String,
    pub call_count: u64,
    pub detail: String,
}

impl From<v1::WhatIfFailure> for Failed {
    fn from(message: v1::WhatIfFailure) -> Self {
        let v1::WhatIfFailure { rule, kind, call_count, detail } = message;
        Self { rule, kind, call_count, detail }
    }
}
