//! Verifications of the log.
//!
//! It must not know how they are asked for.

use serde::Serialize;
use weir_proto::v1;

use super::{or, time, whatif::Loss};
use crate::cli::table::{Table, Value, thousands};

/// A verification.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Verification {
    pub since_ms: i64,
    pub until_ms: i64,
    pub begun_at_ms: i64,
    pub ended_at_ms: i64,
    pub scheduled: bool,
    pub verdict: &'static str,
    pub difference: Option<Difference>,
    pub why: String,
    pub from_position: u64,
    pub end_position: u64,
    pub alert_count: u64,
    pub losses: Vec<Loss>,
    pub taken_rules: Vec<String>,
    pub rows_done: u64,
    pub rows_total: u64,
    pub damage: Vec<String>,
    pub damage_count: u64,
}

/// Where the log does not follow from itself.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Difference {
    pub position: u64,
    pub rule: String,
    pub revision: u32,
    pub detail: String,
}

impl From<v1::GetVerificationResponse> for Verification {
    fn from(message: v1::GetVerificationResponse) -> Self {
        let v1::GetVerificationResponse {
            since_ms,
            until_ms,
            begun_at_ms,
            ended_at_ms,
            scheduled,
            verdict,
            difference,
            why,
            from_position,
            end_position,
            alert_count,
            losses,
            taken_rules,
            rows_done,
            rows_total,
            damage,
            damage_count,
        } = message;
        let verdict = match v1::VerificationVerdict::try_from(verdict) {
            Ok(v1::VerificationVerdict::Same) => "same",
            Ok(v1::VerificationVerdict::Differs) => "differs",
            Ok(v1::VerificationVerdict::Stopped) => "stopped",
            Ok(v1::VerificationVerdict::Damaged) => "damaged",
            Ok(v1::VerificationVerdict::Unspecified) | Err(_) => "running",
        };
        let difference = difference.map(|message| {
            let v1::VerificationDifference { position, rule, revision, detail } = message;
            Difference { position, rule, revision, detail }
        });
        Self {
            since_ms,
            until_ms,
            begun_at_ms,
            ended_at_ms,
            scheduled,
            verdict,
            difference,
            why,
            from_position,
            end_position,
            alert_count,
            losses: losses.into_iter().map(Loss::from).collect(),
            taken_rules,
            rows_done,
            rows_total,
            damage,
            damage_count,
        }
    }
}

/// A verification, a line for each of its facts.
pub(in crate::cli) fn verification(found: &Verification) -> Table {
    let verdict = match (&found.difference, found.verdict) {
        (Some(at), _) => {
            let blamed = or(&at.rule, "no rule");
            format!("differs at log position {}: {}; {blamed} is to blame", at.position, at.detail)
        }
        (None, "same") => "live and replay are the same, and every value is as it was written".to_owned(),
        (None, "damaged") => "the store is damaged".to_owned(),
        (None, "running") => format!("{} of {} alerts", thousands(found.rows_done), thousands(found.rows_total)),
        (None, other) => format!("{other}: {}", found.why),
    };
    let list = |entries: Vec<String>| if entries.is_empty() { "none".to_owned() } else { entries.join(", ") };
    let losses = found.losses.iter().map(|loss| format!("{} {}", thousands(loss.count), loss.kind)).collect();
    let by = if found.scheduled { ", by the host itself" } else { "" };
    let mut damage = found.damage.clone();
    let more = found.damage_count.saturating_sub(damage.len() as u64);
    damage.extend((more > 0).then(|| format!("and {} more", thousands(more))));
    let damage = if damage.is_empty() { "none".to_owned() } else { damage.join("\n") };
    Table::facts([
        ("verdict", Value::text(verdict)),
        ("begun", Value::text(format!("{}{by}", time(found.begun_at_ms)))),
        ("alerts", Value::text(thousands(found.alert_count))),
        ("positions", Value::text(format!("{} to {}", found.from_position, found.end_position))),
        ("damage", Value::text(damage)),
        ("record taken for failures", Value::text(list(losses))),
        ("record taken for rules", Value::text(list(found.taken_rules.clone()))),
    ])
}
