//! Rules with an end: by then a rule is off, by a revision like any other.
//!
//! Invariant: a rule ends between two groups, by the time that the next group is judged at. That time and the revision are in
//! the log, so that replay ends the rule at the same alert.

use super::engine::{Engine, Work};
use crate::{
    domain::{Millis, Mode, Rule, RuleRevision},
    pipeline::Shown,
};

impl Engine {
    /// Notes when the next rule ends.
    pub fn plan_ends(&mut self) {
        let ends = self.registry.rules().into_iter().filter(|standing| standing.rule.mode != Mode::Off);
        self.end_at_ms = ends.filter_map(|standing| standing.rule.until_ms).min().unwrap_or(Millis::MAX);
    }

    /// Turns the rules off whose end has come, from the group on that comes now.
    pub fn end_rules(&mut self, now_ms: Millis, work: &mut Work) -> Vec<RuleRevision> {
        if now_ms < self.end_at_ms {
            return Vec::new();
        }
        let over = |rule: &Rule| rule.mode != Mode::Off && rule.until_ms.is_some_and(|until_ms| until_ms <= now_ms);
        let standing = self.registry.rules().into_iter().filter(|standing| over(standing.rule));
        let due: Vec<(String, Rule)> =
            standing.map(|standing| (standing.revision.name.clone(), standing.rule.clone())).collect();
        let ended = due.into_iter().map(|(name, rule)| {
            let why = format!("it was to end at {}", Shown(rule.until_ms.unwrap_or_default()));
            let rule = Rule { mode: Mode::Off, guard: None, until_ms: None, ..rule };
            self.revise(name, Some(rule), RuleRevision::HOST, why)
        });
        let ended: Vec<RuleRevision> = ended.collect();
        self.rules_changed(work);
        ended
    }
}
