//! Promotion: a shadow rule is made active under a guard, and goes back by itself where it breaks it.
//!
//! It must not know how a rule is called. Invariant: a rule goes back, and a guard ends, by a revision between two groups,
//! like any other change, and what a guard counts is committed with the group that it counts. So neither a restart nor a
//! change to another rule lifts a guard, starts it anew or brings it back.
//!
//! A guard is the promotion's, not the revision's: it goes on where its rule is quarantined and tried again. The first group
//! at or after its end ends it, before that group is judged: the share then counts, of however few alerts, and those alone
//! that were shown before.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    domain::{Guard, GuardCount, Identity, Millis, Mode, Revision, Rule, RuleRevision},
    evaluate::Called,
    pipeline::{
        Promotion,
        collect::Reply,
        engine::{Engine, Work},
        refusal::Refusal,
    },
    registry::{RuleView, Standing},
};

/// Rules with a guard, and how each does.
#[derive(Debug, Default)]
pub struct Guards {
    /// The guards of the rules that are active, by revision.
    watched: HashMap<Revision, Guard>,
    /// What each guard of a rule counted, whatever the rule's mode, by the revision to go back to.
    counts: BTreeMap<Revision, GuardCount>,
    /// Counts that changed since they were last taken to be written.
    changed: BTreeSet<Revision>,
    /// Guards that are over since then.
    dropped: BTreeSet<Revision>,
}

impl Guards {
    /// From what a store kept.
    pub fn load(counts: Vec<GuardCount>) -> Self {
        let counts = counts.into_iter().map(|count| (count.fallback, count)).collect();
        Self { counts, ..Self::default() }
    }

    /// Watches those of the rules that are active under a guard, going on with what was counted.
    pub fn watch(&mut self, rules: &[Standing<'_>]) {
        let guarded = || rules.iter().filter_map(|s| Some((s.revision.revision, s.rule.mode, s.rule.guard?)));
        let active = guarded().filter(|(_, mode, _)| *mode == Mode::Active);
        self.watched = active.map(|(revision, _, guard)| (revision, guard)).collect();
        let standing: BTreeSet<Revision> = guarded().map(|(.., guard)| guard.fallback).collect();
        let Self { counts, dropped, changed, .. } = self;
        dropped.extend(counts.keys().filter(|fallback| !standing.contains(fallback)));
        counts.retain(|fallback, _| standing.contains(fallback));
        changed.retain(|fallback| standing.contains(fallback));
    }

    /// Counts calls of rules under a guard.
    pub fn count(&mut self, called: &[Called]) {
        for called in called {
            let Some(Guard { fallback, .. }) = self.watched.get(&called.rule).copied() else { continue };
            let count = self.counts.entry(fallback).or_insert(GuardCount { fallback, shown: 0, suppressed: 0 });
            count.shown += u64::from(called.shown);
            count.suppressed += u64::from(called.suppressed);
            self.changed.insert(fallback);
        }
    }

    /// Where to go back to and why, if a rule broke its guard in a call that was counted.
    fn broken(&self, called: &Called) -> Option<(Revision, String)> {
        let guard = *self.watched.get(&called.rule)?;
        let count = *self.counts.get(&guard.fallback)?;
        let broken = match called.overruled {
            0 if count.shown < u64::from(guard.alerts_min) => None,
            0 => excess(guard, count),
            overruled => Some(format!("it would have suppressed {overruled} alerts with a protected code")),
        };
        broken.map(|why| (guard.fallback, why))
    }

    /// The guards that end by a time, each with its revision, and what it counted.
    fn due(&self, now_ms: Millis) -> Vec<(Revision, Guard, GuardCount)> {
        let due = self.watched.iter().filter(|(_, guard)| guard.until_ms <= now_ms);
        let counted =
            |fallback| self.counts.get(&fallback).copied().unwrap_or(GuardCount { fallback, shown: 0, suppressed: 0 });
        let mut due: Vec<_> = due.map(|(revision, guard)| (*revision, *guard, counted(guard.fallback))).collect();
        due.sort_by_key(|(revision, ..)| *revision);
        due
    }

    /// What is to be written: counts that changed, and guards that are over.
    pub fn take_changes(&mut self) -> (Vec<GuardCount>, Vec<Revision>) {
        let changed = std::mem::take(&mut self.changed);
        let counts = changed.iter().filter_map(|fallback| self.counts.get(fallback)).copied().collect();
        (counts, std::mem::take(&mut self.dropped).into_iter().collect())
    }
}

/// The share that is too much, in words; `None` where it is not.
fn excess(guard: Guard, GuardCount { shown, suppressed, .. }: GuardCount) -> Option<String> {
    let max = guard.suppressed_max_basis_points;
    let exceeds = u128::from(suppressed) * 10_000 > u128::from(max) * u128::from(shown);
    exceeds.then(|| format!("it {}; {} are allowed", suppressed_of(shown, suppressed), share(max.into())))
}

/// How much was suppressed, in words. What is shown of a share is rounded up.
fn suppressed_of(shown: u64, suppressed: u64) -> String {
    let found = (u128::from(suppressed) * 10_000).div_ceil(u128::from(shown).max(1));
    format!("suppressed {suppressed} of {shown} alerts, {}", share(found))
}

/// A share in words.
fn share(basis_points: u128) -> String {
    format!("{}.{:02} %", basis_points / 100, basis_points % 100)
}

impl Engine {
    /// Ends the guards whose time is over, from the group on that comes now. A rule goes back that broke its guard by then.
    pub fn end_guards(&mut self, now_ms: Millis, work: &mut Work) -> Vec<RuleRevision> {
        let mut ended = Vec::new();
        for (revision, guard, count) in self.guards.due(now_ms) {
            let Some(entry) = self.registry.revision(revision) else { continue };
            let Some(rule) = entry.rule.clone() else { continue };
            match excess(guard, count) {
                Some(why) => ended.extend(self.fall_back(revision, guard.fallback, &why)),
                None => {
                    let (name, rule) = (entry.name.clone(), Rule { guard: None, ..rule });
                    let why = format!("its guard ended: it {}", suppressed_of(count.shown, count.suppressed));
                    ended.push(self.revise(name, Some(rule), RuleRevision::HOST, why));
                }
            }
        }
        if !ended.is_empty() {
            self.rules_changed(work);
        }
        ended
    }

    /// Sets rules back that broke their guard in the group that was just judged.
    pub fn keep_guards(&mut self, called: &[Called], work: &mut Work) -> Vec<RuleRevision> {
        let broken: Vec<_> =
            called.iter().filter_map(|called| self.guards.broken(called).map(|broken| (called.rule, broken))).collect();
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
        Guards { watched: HashMap::from([(Revision(2), guard)]), ..Guards::default() }
    }

    fn note(guards: &mut Guards, called: &Called) -> Option<(Revision, String)> {
        guards.count(std::slice::from_ref(called));
        guards.broken(called)
    }

    fn call(shown: u32, suppressed: u32, overruled: u32) -> Called {
        Called { rule: Revision(2), failed: false, shown, suppressed, overruled, passed_over: 0 }
    }

    #[test]
    fn more_than_the_share_breaks_it_once_enough_was_shown() {
        let mut guards = watching(100);
        assert_eq!(note(&mut guards, &call(50, 50, 0)), None, "50 are too few to tell");
        assert_eq!(
            note(&mut guards, &call(116, 0, 0)),
            Some((Revision(1), "it suppressed 50 of 166 alerts, 30.13 %; 30.00 % are allowed".into()))
        );

        let mut guards = watching(100);
        assert_eq!(note(&mut guards, &call(100, 30, 0)), None, "30 % are not more than 30 %");
        assert_eq!(note(&mut guards, &Called { rule: Revision(3), ..call(100, 100, 0) }), None, "another rule");
    }

    #[test]
    fn few_alerts_count_when_the_time_is_over() {
        let mut guards = watching(100);
        assert_eq!(note(&mut guards, &call(2, 1, 0)), None);
        assert_eq!(guards.due(999), []);
        let due = guards.due(1_000);
        let [(revision, guard, count)] = due[..] else { panic!("{due:?}") };
        assert_eq!(revision, Revision(2));
        assert_eq!(excess(guard, count), Some("it suppressed 1 of 2 alerts, 50.00 %; 30.00 % are allowed".into()));
        assert_eq!(excess(guard, GuardCount { shown: 0, suppressed: 0, ..count }), None);
    }

    #[test]
    fn a_protected_code_always_guards() {
        let (_, why) = note(&mut watching(1_000_000), &call(10, 0, 3)).unwrap();
        assert_eq!(why, "it would have suppressed 3 alerts with a protected code");
    }

    #[test]
    fn what_changed_is_written_once_and_what_is_over_goes() {
        let mut guards = watching(100);
        note(&mut guards, &call(5, 1, 0));
        let count = GuardCount { fallback: Revision(1), shown: 5, suppressed: 1 };
        assert_eq!(guards.take_changes(), (vec![count], vec![]));
        assert_eq!(guards.take_changes(), (vec![], vec![]));
        note(&mut guards, &call(5, 1, 0));
        guards.watch(&[]);
        assert_eq!(guards.take_changes(), (vec![], vec![Revision(1)]));
    }
}
