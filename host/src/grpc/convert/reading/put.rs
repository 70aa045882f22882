//! What became of readings and thresholds that were sent.
//!
//! Invariant: every row of a request is counted once, as stored, as there, or as a problem.

use prost::Message;
use weir_proto::v1::{self, ReadingProblemKind as Kind};

use super::{Sent, wire_reading};
use crate::{
    config::ReadingLimits,
    domain::{Eui64, Reading, ReadingFate, Threshold},
    grpc::convert::listing::{FRAME_BYTES, PAGE_BYTES},
    pipeline::{Shown, ThresholdPut},
    store::ThresholdFate,
};

impl Sent<Reading> {
    /// The answer, by the fates of the rows that could be read.
    pub fn readings_put(
        self,
        fates: &[ReadingFate],
        limits: &ReadingLimits,
        bytes_max: usize,
    ) -> v1::PutReadingsResponse {
        let count = |fate: ReadingFate| fates.iter().filter(|other| **other == fate).count() as u64;
        let (added, same) = (count(ReadingFate::Added), count(ReadingFate::Same));
        let problems = self.rows.iter().zip(fates);
        let problems = problems.filter_map(|((index, row), fate)| problem(*index, row, fate, limits)).collect();
        let (problems, problem_count) = listed(problems, self.invalid, bytes_max);
        v1::PutReadingsResponse { added, same, problems, problem_count }
    }
}

impl Sent<Threshold> {
    /// The answer, by the fates of the rows that could be read.
    pub fn thresholds_put(
        self,
        fates: &[ThresholdPut],
        limits: &ReadingLimits,
        bytes_max: usize,
    ) -> v1::PutThresholdsResponse {
        let count = |fate| fates.iter().filter(|other| **other == ThresholdPut::Known(fate)).count() as u64;
        let (added, same) = (count(ThresholdFate::Added), count(ThresholdFate::Same));
        let replaced = count(ThresholdFate::Replaced);
        let mut problems = Vec::new();
        for ((index, row), fate) in self.rows.iter().zip(fates) {
            let (kind, message) = match fate {
                ThresholdPut::InFuture => (Kind::InFuture, in_future("from_ms", row.from_ms)),
                ThresholdPut::Known(ThresholdFate::NotOwn) => (Kind::NotOwn, not_own(row.device)),
                ThresholdPut::Known(ThresholdFate::DeviceFull) => {
                    let max = limits.thresholds_per_device_max;
                    (
                        Kind::DeviceFull,
                        format!("readings.thresholds_per_device_max ({max}) is reached for {}", row.device),
                    )
                }
                ThresholdPut::Known(ThresholdFate::Added | ThresholdFate::Same | ThresholdFate::Replaced) => continue,
            };
            problems.push(made(*index, kind, message, None));
        }
        let (problems, problem_count) = listed(problems, self.invalid, bytes_max);
        v1::PutThresholdsResponse { added, same, replaced, problems, problem_count }
    }
}

fn problem(index: usize, row: &Reading, fate: &ReadingFate, limits: &ReadingLimits) -> Option<v1::ReadingProblem> {
    let (kind, message, stored) = match fate {
        ReadingFate::Added | ReadingFate::Same => return None,
        ReadingFate::Contradicts(stored) => {
            let message = format!("{} is stored for that period, and this says {}", stored.volts, row.volts);
            (Kind::Contradicts, message, Some(stored))
        }
        ReadingFate::Overlaps(stored) => {
            let period = stored.period_ms();
            let message = format!("the period {} to {} is stored", Shown(period.start), Shown(period.end));
            (Kind::Overlaps, message, Some(stored))
        }
        ReadingFate::TooOld => {
            let days = limits.retention_days_max;
            let end = Shown(row.end_ms);
            (Kind::TooOld, format!("end_ms: {end}: readings.retention_days_max is {days} days"), None)
        }
        ReadingFate::InFuture => (Kind::InFuture, in_future("end_ms", row.end_ms), None),
        ReadingFate::NotOwn => (Kind::NotOwn, not_own(row.device), None),
        ReadingFate::DeviceFull => {
            let max = limits.per_device_max;
            (Kind::DeviceFull, format!("readings.per_device_max ({max}) is reached for {}", row.device), None)
        }
        ReadingFate::OperatorFull => {
            let max = limits.per_operator_max;
            (Kind::OperatorFull, format!("readings.per_operator_max ({max}) is reached"), None)
        }
    };
    Some(made(index, kind, message, stored))
}

fn in_future(field: &str, ms: i64) -> String {
    format!("{field}: {} is more than intake.future_s_max ahead of the host's clock", Shown(ms))
}

fn not_own(device: Eui64) -> String {
    format!("{device} is not known to the host as a device of the caller's")
}

fn made(index: usize, kind: Kind, message: String, stored: Option<&Reading>) -> v1::ReadingProblem {
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    v1::ReadingProblem { index, kind: kind.into(), message, stored: stored.map(wire_reading) }
}

/// Problems in order of their index, those that fit a message, and how many there are.
fn listed(
    mut problems: Vec<v1::ReadingProblem>,
    invalid: Vec<(usize, String)>,
    bytes_max: usize,
) -> (Vec<v1::ReadingProblem>, u64) {
    problems.extend(invalid.into_iter().map(|(index, why)| made(index, Kind::Invalid, why, None)));
    problems.sort_by_key(|problem| problem.index);
    let count = problems.len() as u64;
    let mut bytes = PAGE_BYTES;
    let fits = |problem: &v1::ReadingProblem| {
        bytes += problem.encoded_len() + FRAME_BYTES;
        bytes <= bytes_max
    };
    (problems.into_iter().take_while(fits).collect(), count)
}
