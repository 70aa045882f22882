//! Quarantine: when a rule that fails is put there, how long it stays, and whether a trial went well.
//!
//! It must not know how a rule is called or how revisions are kept. Invariant: how long a rule stays follows from its
//! revisions alone, so a restart forgets nothing.
//!
//! A rule that fails `faults_max` times within `fault_window_ms` is quarantined, by a revision of the host. When its
//! time is over the host makes another that tries it, with the next group of alerts. A trial that lasts as long as the
//! quarantine before it has gone well; one that fails before, at the first fault, doubles the next quarantine.

use std::collections::{HashMap, VecDeque};

use crate::{
    config::PluginLimits,
    domain::{Millis, Mode, Revision, RuleRevision},
};

/// Failures of late, by revision.
#[derive(Debug)]
pub struct Quarantine {
    faults_max: usize,
    window_ms: Millis,
    wait_ms_min: Millis,
    wait_ms_max: Millis,
    failures: HashMap<Revision, VecDeque<Millis>>,
}

impl Quarantine {
    /// No failures yet.
    pub fn new(limits: &PluginLimits) -> Self {
        let ms = |ms: u64| Millis::try_from(ms).unwrap_or(Millis::MAX);
        Self {
            faults_max: limits.faults_max as usize,
            window_ms: ms(limits.fault_window_ms),
            wait_ms_min: ms(limits.quarantine_ms_min),
            wait_ms_max: ms(limits.quarantine_ms_max),
            failures: HashMap::new(),
        }
    }

    /// Whether a revision failed before, in its window.
    pub fn has_failed(&self, revision: Revision) -> bool {
        self.failures.contains_key(&revision)
    }

    /// Notes a failure of a rule's newest revision; says in words why the rule is to be quarantined, if it is.
    /// `history` is that of the rule, newest first.
    pub fn note(&mut self, history: &[&RuleRevision], now_ms: Millis) -> Option<String> {
        let revision = history.first()?.revision;
        if on_trial(history, now_ms) {
            self.failures.remove(&revision);
            return Some("its trial failed".to_owned());
        }
        let failures = self.failures.entry(revision).or_default();
        failures.push_back(now_ms);
        while failures.front().is_some_and(|first| now_ms.saturating_sub(*first) > self.window_ms) {
            failures.pop_front();
        }
        if failures.len() < self.faults_max {
            return None;
        }
        self.failures.remove(&revision);
        let (faults, window_s) = (self.faults_max, self.window_ms / 1_000);
        Some(format!("{faults} calls failed within {window_s} s"))
    }

    /// How long a quarantine lasts that begins at `at_ms`, after `history`.
    pub fn wait_ms(&self, history: &[&RuleRevision], at_ms: Millis) -> Millis {
        let doublings = strikes(history, at_ms).min(62);
        self.wait_ms_min.saturating_mul(1 << doublings).min(self.wait_ms_max)
    }

    /// When a rule is to be tried, if it is in quarantine.
    pub fn trial_at_ms(&self, history: &[&RuleRevision]) -> Option<Millis> {
        let (newest, before) = history.split_first()?;
        let wait_ms = || self.wait_ms(before, newest.made_ms);
        is(newest, Mode::Quarantined).then(|| newest.made_ms.saturating_add(wait_ms()))
    }
}

fn is(entry: &RuleRevision, mode: Mode) -> bool {
    entry.who == RuleRevision::HOST && entry.rule.as_ref().is_some_and(|rule| rule.mode == mode)
}

fn is_trial(entry: &RuleRevision) -> bool {
    entry.who == RuleRevision::HOST && entry.rule.as_ref().is_some_and(|rule| rule.mode.is_called())
}

/// Whether the newest revision is a trial that, at `at_ms`, has not gone well.
fn on_trial(history: &[&RuleRevision], at_ms: Millis) -> bool {
    let [trial, quarantine, ..] = history else { return false };
    is_trial(trial)
        && is(quarantine, Mode::Quarantined)
        && at_ms.saturating_sub(trial.made_ms) < trial.made_ms.saturating_sub(quarantine.made_ms)
}

/// Trials in a row that failed, the last one at `at_ms`.
fn strikes(mut history: &[&RuleRevision], mut at_ms: Millis) -> u32 {
    let mut strikes = 0;
    while on_trial(history, at_ms) {
        strikes += 1;
        at_ms = history[1].made_ms;
        history = &history[2..];
    }
    strikes
}

#[cfg(test)]
mod tests;
