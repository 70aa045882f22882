//! What the fold does about rules that fail: failures are counted, rules quarantined, tried again, released.
//!
//! It must not know how a call failed. Invariant: a rule is quarantined and tried by revisions, at log positions, like
//! any other change: folding the log again meets them where they were.

use std::collections::HashMap;

use crate::{
    domain::{
        AlertCode, AuditEvent, DeviceNo, Effects, End, Fault, FaultedAlert, Group, Identity, KeptFault, Millis, Mode,
        Poison, Revision, Rule, RuleRevision,
    },
    evaluate::Called,
    pipeline::{
        collect::Reply,
        engine::{Engine, Work},
        refusal::Refusal,
    },
    registry::RuleView,
};

/// How often it is said that a rule is passed over, in milliseconds.
const SAY_EVERY_MS: Millis = 60_000;

/// Alerts that passed rules for want of time, and that was not said of yet.
#[derive(Debug, Default)]
pub struct PassedOver {
    /// By revision: how many, and when it was said.
    unsaid: HashMap<Revision, (u64, Millis)>,
}

impl PassedOver {
    /// Adds to what a revision was passed over with; gives the sum where it is time to say so.
    fn note(&mut self, rule: Revision, alerts: u32, now_ms: Millis) -> Option<u64> {
        let (sum, said_ms) = self.unsaid.entry(rule).or_insert((0, Millis::MIN));
        *sum += u64::from(alerts);
        if now_ms.saturating_sub(*said_ms) < SAY_EVERY_MS {
            return None;
        }
        *said_ms = now_ms;
        Some(std::mem::take(sum))
    }

    /// Forgets revisions that do not stand any more.
    pub fn retain(&mut self, stands: impl Fn(Revision) -> bool) {
        self.unsaid.retain(|rule, _| stands(*rule));
    }
}

impl Engine {
    /// Lets those rules go on whose quarantine is over, from the group on that comes now.
    pub fn begin_trials(&mut self, now_ms: Millis, work: &mut Work) -> Vec<RuleRevision> {
        if now_ms < self.trial_at_ms {
            return Vec::new();
        }
        let due: Vec<(String, Rule)> = self
            .quarantined()
            .filter(|(_, _, at_ms)| *at_ms <= now_ms)
            .map(|(entry, rule, _)| (entry.name.clone(), rule.clone()))
            .collect();
        let mut trials = Vec::with_capacity(due.len());
        for (name, rule) in due {
            let rule = Rule { mode: self.registry.mode_before_stop(&name), ..rule };
            let why = "tried again: its quarantine is over".to_owned();
            trials.push(self.revise(name, Some(rule), RuleRevision::HOST, why));
        }
        if !trials.is_empty() {
            self.rules_changed(work);
        }
        trials
    }

    /// Finds out when the next quarantine is over.
    pub fn plan_trials(&mut self) {
        self.trial_at_ms = self.quarantined().map(|(.., at_ms)| at_ms).min().unwrap_or(Millis::MAX);
    }

    /// The rules in quarantine, and when each is to be tried.
    fn quarantined(&self) -> impl Iterator<Item = (&RuleRevision, &Rule, Millis)> {
        self.registry.rules().into_iter().filter(|standing| standing.rule.mode == Mode::Quarantined).filter_map(|s| {
            let at_ms = self.quarantine.trial_at_ms(&self.history(&s.revision.name))?;
            Some((s.revision, s.rule, at_ms))
        })
    }

    fn history(&self, name: &str) -> Vec<&RuleRevision> {
        self.registry.history(name, Revision(u32::MAX)).collect()
    }

    /// Keeps, publishes and counts a group's failed calls, and names in the group the alerts that alone cause them; gives
    /// revisions that quarantine rules that failed too often.
    pub fn note_faults(
        &mut self,
        group: &mut Group,
        (called, poison): (&[Called], &[Poison]),
        effects: &mut Effects,
        work: &mut Work,
    ) -> Vec<RuleRevision> {
        self.note_passed_over(called, group.judged_ms, work);
        let named: Vec<(Revision, FaultedAlert)> =
            poison.iter().map(|poison| (poison.rule, self.faulted(group, poison))).collect();
        // What there was no time for is in the log, and no fault.
        for fault in group.faults.iter_mut().filter(|fault| !fault.kind.is_for_want_of_time()) {
            let of_rule = |(rule, _): &&(Revision, FaultedAlert)| *rule == fault.rule && fault.kind.is_of_a_call();
            let found = named.iter().find(of_rule).map(|(_, alert)| *alert);
            let Some((name, kept)) = self.keep_fault(fault, found) else { continue };
            if let Some(alert) = found {
                fault.detail = format!("{} ({alert})", fault.detail);
            }
            // There cannot be many before the rule is quarantined.
            if fault.kind.is_of_a_call() {
                let event = AuditEvent::new(RuleRevision::HOST, "rule.fault", &name, &kept.to_string());
                self.note(event);
            }
            effects.faults.retain(|(rule, _)| *rule != name);
            effects.faults.push((name.clone(), kept.clone()));
            work.acts.push(Box::new(move |shared| {
                tracing::warn!(rule = name, fault = %kept, "a rule failed; its alerts passed");
                shared.publish_fault(&name, kept);
            }));
        }
        let failed = called.iter().filter(|called| called.failed).map(|called| called.rule);
        let quarantines: Vec<RuleRevision> = failed.filter_map(|revision| self.quarantine(revision, group)).collect();
        if !quarantines.is_empty() {
            let count = quarantines.len() as u64;
            work.acts.push(Box::new(move |shared| shared.figures.write().quarantines += count));
            self.rules_changed(work);
        }
        quarantines
    }

    /// Counts alerts that there was no time to show to a rule; says so now and then.
    fn note_passed_over(&mut self, called: &[Called], now_ms: Millis, work: &mut Work) {
        for Called { rule, passed_over, .. } in called.iter().filter(|called| called.passed_over > 0).copied() {
            work.acts.push(Box::new(move |shared| shared.count_passed_over(rule, passed_over)));
            let Some(alerts) = self.passed_over.note(rule, passed_over, now_ms) else { continue };
            let Some(entry) = self.registry.revision(rule) else { continue };
            let why =
                format!("{alerts} alerts passed: its share of the time was used up, or it had to wait as a shadow");
            tracing::warn!(rule = entry.name, why, "a rule was passed over");
            let event = AuditEvent::new(RuleRevision::HOST, "rule.passed-over", &entry.name, &why);
            self.note(event);
        }
    }

    /// Quarantines a rule that failed once more, if that was once too often.
    fn quarantine(&mut self, revision: Revision, group: &Group) -> Option<RuleRevision> {
        let entry = self.registry.revision(revision)?;
        let (name, rule) = (entry.name.clone(), entry.rule.clone()?);
        let now_ms = group.judged_ms;
        let history: Vec<&RuleRevision> = self.registry.history(&name, Revision(u32::MAX)).collect();
        let why = self.quarantine.note(&history, now_ms)?;
        let wait_s = self.quarantine.wait_ms(&history, now_ms).div_euclid(1_000);
        let last = self.faults.get(&name).map_or(String::new(), |fault| format!(": {fault}"));
        let why = format!("quarantined for {wait_s} s: {why}{last}");
        tracing::error!(rule = name, why, "rule quarantined");
        Some(self.revise(name, Some(Rule { mode: Mode::Quarantined, ..rule }), RuleRevision::HOST, why))
    }

    /// Notes how a rule failed; gives its name and what is kept of it. An alert that was found at an earlier failure stands
    /// for later ones too, as long as the rule is the same: later ones are not searched.
    fn keep_fault(&mut self, fault: &Fault, found: Option<FaultedAlert>) -> Option<(String, KeptFault)> {
        let entry = self.registry.revision(fault.rule)?;
        let before = self.faults.get(&entry.name);
        let judges = |entry: &RuleRevision| entry.rule.as_ref().map(|rule| (rule.plugin, rule.parameters.clone()));
        let same = |before: &&KeptFault| {
            self.registry.revision(before.revision).is_some_and(|earlier| judges(earlier) == judges(entry))
        };
        let alert = found.or_else(|| before.filter(same)?.alert.filter(|_| fault.kind.is_of_a_call()));
        let kept = KeptFault {
            count: before.map_or(0, |before| before.count).saturating_add(1),
            revision: fault.rule,
            kind: fault.kind,
            detail: fault.detail.clone(),
            alert,
        };
        let name = entry.name.clone();
        self.faults.insert(name.clone(), kept.clone());
        Some((name, kept))
    }

    /// An alert of a group that alone makes a rule fail.
    fn faulted(&self, group: &Group, poison: &Poison) -> FaultedAlert {
        let at = poison.row as usize;
        debug_assert_ne!(group.mark_of(at).end, End::Rejected, "a rejected alert has no row");
        FaultedAlert {
            position: group.first.after(at),
            device: self.inventory.get(DeviceNo(group.rows.device_no[at])).eui,
            code: AlertCode(group.rows.code[at]),
        }
    }

    /// Makes a rule go on that the host stopped, as it did before.
    pub fn release_rule(&mut self, name: &str, why: String, who: &Identity, reply: Reply<RuleView>) -> Work {
        let stopped = self.stopped(name);
        let (name, rule) = match stopped {
            Ok(rule) => (name.to_owned(), Rule { mode: self.registry.mode_before_stop(name), ..rule }),
            Err(refusal) => {
                let refuse = move |_: &_| drop(reply.send(Err(refusal)));
                return Work { acts: vec![Box::new(refuse)], ..Work::default() };
            }
        };
        self.change_rule(name, rule, (who, why), reply)
    }

    fn stopped(&self, name: &str) -> Result<Rule, Refusal> {
        let standing = self.registry.rule(name).ok_or_else(|| self.no_such_rule(name))?;
        match standing.rule.mode {
            Mode::Quarantined | Mode::SetAside => Ok(standing.rule.clone()),
            mode => {
                Err(Refusal::Precondition(format!("rule {name} is {mode}: only what the host stopped is released")))
            }
        }
    }
}
