//! Trials: what is to be compared or promoted in, comparisons out.
//!
//! It must not know which rules there are. Invariant: a key is set in the answer exactly where it was grouped by.

use prost::Message;
use weir_proto::v1;

use super::{
    count::grouping,
    each,
    listing::logged_alert,
    page::{Room, fill},
    time, wire_generation,
};
use crate::{
    books::{CountKey, Grouping},
    comparison::{Agreement, Comparison, ComparisonQuery},
    listing::LoggedAlert,
    pipeline::{Promotion, Refusal},
};

/// Sampled alerts of each kind in one answer.
const SAMPLES_MAX: u32 = 100;

/// What a promotion is given where it does not say: any share, after a thousand alerts, for an hour.
const ANY_BASIS_POINTS: u32 = 10_000;
const USUAL_ALERTS: u32 = 1_000;
const USUAL_WINDOW_MS: i64 = 3_600_000;

/// What to compare.
pub fn query(request: v1::CompareRuleRequest) -> Result<ComparisonQuery, Refusal> {
    let v1::CompareRuleRequest { name, group_by, since_ms, until_ms, samples_max } = request;
    if samples_max > SAMPLES_MAX {
        return Err(Refusal::invalid("samples_max", format!("{samples_max} is more than {SAMPLES_MAX}")));
    }
    Ok(ComparisonQuery {
        rule: name,
        group_by: each("group_by", group_by, key)?,
        since_ms: time(since_ms),
        until_ms: time(until_ms),
        samples_max: samples_max as usize,
    })
}

fn key(number: i32) -> Result<Grouping, String> {
    match grouping(number)? {
        Grouping::Rule | Grouping::Rejection => {
            Err("a comparison is of one rule and of alerts that were taken; group by neither rule nor rejection".into())
        }
        Grouping::Device | Grouping::Recipient | Grouping::Family | Grouping::OccurredDay | Grouping::Label(_) => {
            Err("a comparison is not kept by device, recipient, family, label or day of occurrence".into())
        }
        key => Ok(key),
    }
}

/// A shadow rule to make active.
pub fn promotion(request: v1::PromoteRuleRequest) -> Promotion {
    let v1::PromoteRuleRequest { name, suppressed_max_basis_points, alerts_min, window_ms, why } = request;
    Promotion {
        name,
        suppressed_max_basis_points: suppressed_max_basis_points.unwrap_or(ANY_BASIS_POINTS),
        alerts_min: if alerts_min == 0 { USUAL_ALERTS } else { alerts_min },
        window_ms: if window_ms == 0 { USUAL_WINDOW_MS } else { window_ms },
        why,
    }
}

/// A comparison, with its sampled alerts and the reason the rule gave for each; `None` where it would have forwarded it.
///
/// Of the samples there are as many as fit a message of `bytes_max` bytes: each has its rule's parameters with it.
pub fn comparison(
    comparison: Comparison,
    samples: Vec<(LoggedAlert, Option<String>)>,
    bytes_max: usize,
) -> v1::CompareRuleResponse {
    let Comparison { rows, total, held_before, shed, failed, samples: _, since, position } = comparison;
    let mut response = v1::CompareRuleResponse {
        rows: rows.into_iter().map(|(key, agreement)| row(key, agreement)).collect(),
        total: Some(row(CountKey::default(), total)),
        held_before_count: held_before,
        shed_count: shed,
        failed_count: failed,
        samples: Vec::new(),
        since_position: since.0,
        position: position.0,
    };
    let room = Room { rows_max: usize::MAX, bytes_max: bytes_max.saturating_sub(response.encoded_len()) };
    (response.samples, _) = fill(samples, room, sample, |_| String::new());
    response
}

fn row(key: CountKey, agreement: Agreement) -> v1::AgreementRow {
    let CountKey { code, rule: _, operator, generation, model, start_ms, .. } = key;
    let Agreement { both_forward, both_suppress, would_suppress, would_forward, overruled } = agreement;
    v1::AgreementRow {
        code: code.flatten().map(|code| code.0.into()),
        operator: operator.map(|operator| operator.get().into()),
        generation: generation.map(|generation| wire_generation(generation).into()),
        model,
        start_ms,
        both_forward,
        both_suppress,
        would_suppress,
        would_forward,
        overruled,
    }
}

fn sample((alert, reason): (LoggedAlert, Option<String>)) -> v1::SampledAlert {
    v1::SampledAlert {
        alert: Some(logged_alert(alert)),
        would_suppress: reason.is_some(),
        reason: reason.unwrap_or_default(),
    }
}
