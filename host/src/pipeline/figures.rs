//! What the pipeline did since the host started, in figures for whoever watches over it.
//!
//! It must not know who watches, nor how figures are written down. Invariant: what is counted is durable, and nothing is
//! kept of rules that are gone.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    domain::{Balance, FaultKind, RemarkCounts, Revision},
    evaluate::Called,
    registry::Registry,
};

/// Upper bounds of the classes that durations are sorted into, in seconds. What is longer is in a class of its own.
pub const DURATION_BOUNDS_S: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// How long something took, each time.
#[derive(Debug, Clone, Default)]
pub struct Durations {
    /// How often it took how long, by class; the last one has no bound.
    pub classes: [u64; DURATION_BOUNDS_S.len() + 1],
    /// All of it.
    pub sum: Duration,
}

impl Durations {
    /// Counts one.
    pub fn add(&mut self, took: Duration) {
        let class = DURATION_BOUNDS_S.partition_point(|bound| *bound < took.as_secs_f64());
        self.classes[class] += 1;
        self.sum += took;
    }
}

/// What one rule did.
#[derive(Debug, Clone, Default)]
pub struct RuleFigures {
    /// Alerts it was shown.
    pub shown: u64,
    /// Of those, what it suppressed.
    pub suppressed: u64,
    /// Of those, what it would have suppressed if their code were not protected.
    pub overruled: u64,
    /// Alerts that it was not shown because there was no time to call it.
    pub passed_over: u64,
    /// Failures by kind; calls that were left out under load are among them.
    pub faults: BTreeMap<&'static str, u64>,
}

/// Everything that is counted.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Alerts by their end.
    pub balance: Balance,
    /// Forwarded alerts that a rule would have suppressed if their code were not protected.
    pub overruled: u64,
    /// Remarks about alerts that were taken.
    pub remarks: RemarkCounts,
    /// By the name of a rule.
    pub rules: BTreeMap<String, RuleFigures>,
    /// Rules that were quarantined.
    pub quarantines: u64,
    /// From a group that is collected to its effects.
    pub groups: Durations,
    /// From effects that are handed over to effects that are durable.
    pub commits: Durations,
    /// Entries of the audit log.
    pub audit_entries: u64,
    /// Entries of the log, in bytes.
    pub log_bytes: u64,
    /// Values of the store that were damaged and made again from the log.
    pub store_values_rebuilt: u64,
    /// Uploads, by what became of them.
    pub uploads: BTreeMap<&'static str, u64>,
}

/// What one group adds.
#[derive(Debug, Default)]
pub struct GroupFigures {
    /// Its alerts by their end.
    pub balance: Balance,
    /// Of them, those that a protected code let pass.
    pub overruled: u64,
    /// Remarks about them.
    pub remarks: RemarkCounts,
    /// The rules that were called.
    pub called: Vec<Called>,
    /// What failed.
    pub faults: Vec<(Revision, FaultKind)>,
}

impl Figures {
    /// Counts a group.
    pub fn add(&mut self, group: GroupFigures, registry: &Registry) {
        let GroupFigures { balance, overruled, remarks, called, faults } = group;
        self.balance.forwarded += balance.forwarded;
        self.balance.suppressed += balance.suppressed;
        self.balance.rejected += balance.rejected;
        self.balance.duplicate += balance.duplicate;
        self.overruled += overruled;
        self.remarks.add(remarks);
        for Called { rule, failed: _, shown, suppressed, overruled, passed_over } in called {
            let Some(figures) = self.rule(rule, registry) else { continue };
            figures.shown += u64::from(shown);
            figures.suppressed += u64::from(suppressed);
            figures.overruled += u64::from(overruled);
            figures.passed_over += u64::from(passed_over);
        }
        for (rule, kind) in faults {
            let Some(figures) = self.rule(rule, registry) else { continue };
            *figures.faults.entry(kind.name()).or_default() += 1;
        }
    }

    fn rule(&mut self, revision: Revision, registry: &Registry) -> Option<&mut RuleFigures> {
        let name = &registry.revision(revision)?.name;
        if !self.rules.contains_key(name) {
            self.rules.insert(name.clone(), RuleFigures::default());
        }
        self.rules.get_mut(name)
    }

    /// Forgets rules that are gone.
    pub fn keep(&mut self, registry: &Registry) {
        self.rules.retain(|name, _| registry.rule(name).is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_class_that_holds_it() {
        let mut durations = Durations::default();
        for us in [0, 1_000, 1_001, 5_000_000, 5_000_001, 60_000_000] {
            durations.add(Duration::from_micros(us));
        }
        assert_eq!((durations.classes[0], durations.classes[1]), (2, 1));
        assert_eq!((durations.classes[11], durations.classes[12]), (1, 2));
        assert_eq!(durations.sum, Duration::from_micros(70_002_002));
    }
}
