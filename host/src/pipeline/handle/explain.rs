//! One alert explained to whoever may see it.
//!
//! It must not know how a log is folded. Invariant: rules of others are as if they were not there.

use super::{Handle, Refusal, internal, whatif::open};
use crate::{
    domain::{Position, owner_of_rule},
    listing::{AlertQuery, LoggedAlert, RuleMark, rule_mark},
    whatif::{Pace, Step, Stopped, explain},
};

/// An alert, and what the rules had to do with it.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplanationView {
    /// As it stands in the log.
    pub alert: LoggedAlert,
    /// The rules in order, as they were then.
    pub steps: Vec<(RuleMark, Step)>,
    /// Whether the fold says what is on record.
    pub is_reproduced: bool,
    /// Why not.
    pub why: String,
    /// The log was folded from here.
    pub from: Position,
}

impl Handle {
    /// Explains the alert at a position. Blocks for as long as the log before it takes to fold, or nobody waits any more:
    /// call it from a blocking task.
    pub fn explain_alert(&self, position: Position) -> Result<ExplanationView, Refusal> {
        let query = AlertQuery { page_size: 1, from: position, looked_rows_max: Some(1), ..AlertQuery::default() };
        let missing = || {
            let why = format!("no alert at position {position} is yours to see; `weir alert list` shows positions");
            Refusal::not_found("alert", position, why)
        };
        let alert = self.alerts(&query)?.alerts.into_iter().next();
        let alert = alert.filter(|alert| alert.position == position).ok_or_else(missing)?;
        let (ground, _) = self.whole_ground();
        let is_idle = self.is_idle();
        let read = || {
            self.go_on().map_err(|_| Stopped::Cancelled)?;
            open(&self.shared)
        };
        let _pin = self.pin_log().map_err(|_| self.unavailable())?;
        let explained = explain(position, &ground, &is_idle, &read, &Pace::default());
        let explained = explained.map_err(|stopped| match stopped {
            Stopped::Failed(why) => Refusal::Internal(why),
            Stopped::Overtaken => missing(),
            Stopped::Cancelled | Stopped::Interrupted | Stopped::Elsewhere | Stopped::TooLong(_) => self.unavailable(),
        })?;
        let explained = explained.ok_or_else(missing)?;
        let own = self.who.operator();
        let is_seen = |mark: &RuleMark| own.is_none() || [own, None].contains(&owner_of_rule(&mark.name));
        // What a rule of the host keeps for a device that changed hands is of the alerts of both.
        let changed_hands = match own {
            Some(_) => self.shared.reader()?.handover(alert.alert.device).map_err(internal)?.is_some(),
            None => false,
        };
        let marks = explained.steps.iter().cloned().filter_map(|mut step| {
            let mark = rule_mark(&ground.registry, step.revision, step.reason)?;
            if changed_hands && owner_of_rule(&mark.name).is_none() {
                step.state = None;
            }
            is_seen(&mark).then_some((mark, step))
        });
        Ok(ExplanationView {
            alert,
            steps: marks.collect(),
            is_reproduced: explained.is_reproduced(),
            // Where the fold stopped before this alert, the words name an earlier one, and what was decided on it.
            why: match (own, explained.computed) {
                (Some(_), None) => "the log does not follow from itself before this alert".to_owned(),
                _ => explained.why,
            },
            from: explained.from,
        })
    }
}
