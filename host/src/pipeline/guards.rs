//! Promotion: a shadow rule is made active under a guard, and goes back by itself where it breaks it.
//!
//! It must not know how a rule is called. Invariant: a rule goes back by a revision, between two groups, like any other
//! change; its guard is in the revision that promoted it, so a restart does not lift it.
//!
//! What a rule was shown and suppressed is counted from its promotion, or from the host's last start.

use std::collections::HashMap;

use crate::{
    domain::{Guard, Identity, Millis, Mode, Revision, Rule, RuleRevision},
    evaluate::Called,
    pipeline::{
        Promotion,
        collect::Reply,
        engine::{Engine, Work},
        refusal::Refusal,
    },
    registry::{RuleView, Standing},
};

/// Active rules with a guard, and how each does.
#[derive(Debug, Default)]
pub struct Guards {
    watched: HashMap<Revision, Watched>,
}

#[derive(Debug, Clone, Copy)]
struct Watched {
    guard: Guard,
    shown: u64,
    suppressed: u64,
}

impl Guards {
    /// Watches those of the rules that are active under a guard, going on with what was counted.
    pub fn watch(&mut self, rules: &[Standing<'_>]) {
        let guarded = |standing: &&Standing<'_>| standing.rule.mode == Mode::Active;
        let guards = rules.iter().filter(guarded).filter_map(|s| Some((s.revision.revision, s.rule.guard?)));
        let known = |revision, guard| {
            self.watched.get(&revision).copied().unwrap_or(Watched { guard, shown: 0, suppressed: 0 })
        };
        self.watched = guards.map(|(revision, guard)| (revision, known(revision, guard))).collect();
    }

    /// Notes how a call went; says where to go back to and why, if the rule broke its guard.
    pub fn note(&mut self, called: &Called, now_ms: Millis) -> Option<(Revision, String)> {
        let watched = self.watched.get_mut(&called.rule)?;
        watched.shown += u64::from(called.shown);
        watched.suppressed += u64::from(called.suppressed);
        let Watched { guard, .. } = *watched;
        let over = now_ms >= guard.until_ms;
        let broken = if called.overruled > 0 && !over {
            Some(format!("it would have suppressed {} alerts with a protected code", called.overruled))
        } else {
            watched.excess(over)
        };
        if over || broken.is_some() {
            self.watched.remove(&called.rule);
        }
        broken.map(|why| (guard.fallback, why))
    }
}

impl Watched {
    /// The share that is too much, in words, once enough was shown or the time is `over`.
    fn excess(&self, over: bool) -> Option<String> {
        let Self { guard, shown, suppressed } = *self;
        let enough = over || shown >= u64::from(guard.alerts_min);
        let max = guard.suppressed_max_basis_points;
        let exceeds = u128::from(suppressed) * 10_000 > u128::from(max) * u128::from(shown);
        (enough && exceeds).then(|| {
            let found = (u128::from(suppressed) * 10_000).div_ceil(u128::from(shown).max(1));
            format!(
                "it suppressed {} of {shown} alerts, {}; {} are allowed",
                suppressed,
                share(found),
                share(max.into())
            )
        })
    }
}

/// A share in words.
fn share(basis_points: u128) -> String {
    format!("{}.{:02} %", basis_points / 100, basis_points % 100)
}

impl Engine {
    /// Sets rules back that broke their guard in the group that was just judged.
    pub fn keep_guards(&mut self, called: &[Called], now_ms: Millis, work: &mut Work) -> Vec<RuleRevision> {
        let broken: Vec<_> = called
            .iter()
            .filter_map(|called| self.guards.note(called, now_ms).map(|broken| (called.rule, broken)))
            .collect();
        let fallen: Vec<RuleRevision> =
            broken.into_iter().filter_map(|(rule, (fallback, why))| self.fall_back(rule, fallback, &why)).collect();
        if !fallen.is_empty() {
            self.rules_changed(work);
        }
        fallen
    }

    fn fall_back(&mut self, promoted: Revision, fallback: Revision, why: &str) -> Option<RuleRevision> {
        let name = self.registry.revision(promoted)?.name.clone();
        let standing = self.registry.rule(&name).filter(|standing| standing.revision.revision == promoted)?;
        let before = self.registry.revision(fallback)?.rule.clone()?;
        // It goes on with the state it has now.
        let rule = Rule { namespace: standing.rule.namespace, ..before };
        let why = format!("its guard broke: {why}; back to revision {}", fallback.0);
        tracing::error!(rule = name, why, "rule set back");
        Some(self.revise(name, Some(rule), RuleRevision::HOST, why))
    }

    /// Makes a shadow rule active, under a guard.
    pub fn promote_rule(&mut self, promotion: Promotion, who: &Identity, reply: Reply<RuleView>) -> Work {
        match self.promoted(&promotion) {
            Ok(rule) => self.change_rule(promotion.name, rule, (who, promotion.why), reply),
            Err(refusal) => {
                let refuse = move |_: &_| drop(reply.send(Err(refusal)));
                Work { acts: vec![Box::new(refuse)], ..Work::default() }
            }
        }
    }

    fn promoted(&self, promotion: &Promotion) -> Result<Rule, Refusal> {
        let Promotion { name, suppressed_max_basis_points, alerts_min, window_ms, why: _ } = promotion;
        let Standing { revision, rule } = self.registry.rule(name).ok_or_else(|| self.no_such_rule(name))?;
        if rule.mode != Mode::Shadow {
            let message =
                format!("rule {name} is {}: only a shadow rule is promoted; set it in mode shadow first", rule.mode);
            return Err(Refusal::Precondition(message));
        }
        let guard = Guard {
            suppressed_max_basis_points: *suppressed_max_basis_points,
            alerts_min: *alerts_min,
            until_ms: (self.clock)().saturating_add(*window_ms),
            fallback: revision.revision,
        };
        Ok(Rule { mode: Mode::Active, guard: Some(guard), ..rule.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watching(alerts_min: u32) -> Guards {
        let guard = Guard { suppressed_max_basis_points: 3_000, alerts_min, until_ms: 1_000, fallback: Revision(1) };
        Guards { watched: HashMap::from([(Revision(2), Watched { guard, shown: 0, suppressed: 0 })]) }
    }

    fn call(shown: u32, suppressed: u32, overruled: u32) -> Called {
        Called { rule: Revision(2), failed: false, shown, suppressed, overruled, passed_over: 0 }
    }

    #[test]
    fn more_than_the_share_breaks_it_once_enough_was_shown() {
        let mut guards = watching(100);
        assert_eq!(guards.note(&call(50, 50, 0), 0), None, "50 are too few to tell");
        assert_eq!(
            guards.note(&call(116, 0, 0), 1),
            Some((Revision(1), "it suppressed 50 of 166 alerts, 30.13 %; 30.00 % are allowed".into()))
        );
        assert_eq!(guards.note(&call(50, 50, 0), 2), None, "it is broken once");

        let mut guards = watching(100);
        assert_eq!(guards.note(&call(100, 30, 0), 0), None, "30 % are not more than 30 %");
        assert_eq!(guards.note(&Called { rule: Revision(3), ..call(100, 100, 0) }, 0), None, "another rule");
    }

    #[test]
    fn few_alerts_count_when_the_time_is_over_and_then_nothing_does() {
        let mut guards = watching(100);
        assert_eq!(guards.note(&call(2, 1, 0), 999), None);
        assert!(guards.note(&call(2, 1, 0), 1_000).is_some());

        let mut guards = watching(100);
        assert_eq!(guards.note(&call(1_000, 0, 1), 1_000), None);
        assert_eq!(guards.note(&call(9_000, 9_000, 0), 1_001), None, "the guard is over");
    }

    #[test]
    fn a_protected_code_always_guards() {
        let (_, why) = watching(1_000_000).note(&call(10, 0, 3), 0).unwrap();
        assert_eq!(why, "it would have suppressed 3 alerts with a protected code");
    }
}
