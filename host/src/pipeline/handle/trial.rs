//! Trying rules: comparing a shadow with what happened, and making it active.
//!
//! It must not know how a shadow is called. Invariant: a comparison reads one moment of the log.

use super::{Command, Handle, Promotion, Refusal, internal, rules::check_why};
use crate::{
    comparison::{Comparing, Comparison, ComparisonQuery, Difference, ROWS_MAX, TooManyRows, Trial},
    domain::{Millis, Revision},
    listing::{AlertQuery, LoggedAlert},
    pipeline::refusal::never_a_rule,
    registry::RuleView,
};

/// How long a guard may last: 30 days.
const GUARD_MS_MAX: Millis = 30 * 86_400_000;

/// All of something, in hundredths of a percent.
const ALL_BASIS_POINTS: u32 = 10_000;

impl Handle {
    /// Compares what a rule said as a shadow with what happened. Blocks on the disk: call it from a blocking task.
    pub fn compare(&self, query: &ComparisonQuery) -> Result<Comparison, Refusal> {
        self.check_own(&query.rule)?;
        let reader = self.shared.reader()?;
        let trial = self.trial(&query.rule)?;
        let names = self.names();
        let received = query.received_ms();
        let mut comparing = Comparing::new(query, &names, &trial, &self.settings);
        let mut heads = reader.heads(trial.since()).map_err(internal)?;
        while let Some(head) = heads.next() {
            self.go_on()?;
            let head = head.map_err(internal)?;
            if head.received_ms_max < received.start || head.received_ms_min >= received.end {
                comparing.skip(head.end);
                continue;
            }
            comparing.take(&heads.read(&head).map_err(internal)?).map_err(|TooManyRows| {
                let why = format!("there are more than {ROWS_MAX} groups; group by less or ask for a shorter time");
                Refusal::Exhausted(why)
            })?;
        }
        Ok(comparing.finish())
    }

    /// Alerts on which a rule differs, as a listing shows them, with the rule's reason; `None` where it would forward.
    pub fn differences(
        &self,
        rule: &str,
        differences: &[Difference],
    ) -> Result<Vec<(LoggedAlert, Option<String>)>, Refusal> {
        let reasons = self.reasons(rule);
        let mut alerts = Vec::with_capacity(differences.len());
        for Difference { position, reason } in differences {
            let query = AlertQuery { page_size: 1, from: *position, looked_rows_max: Some(1), ..AlertQuery::default() };
            let reason = usize::from(*reason).checked_sub(1).map(|at| reasons.get(at).cloned().unwrap_or_default());
            // Retention may have overtaken it meanwhile: then what comes is another.
            let found = self.alerts(&query)?.alerts.into_iter().find(|alert| alert.position == *position);
            alerts.extend(found.map(|alert| (alert, reason)));
        }
        Ok(alerts)
    }

    /// The reasons a rule's plugin names.
    fn reasons(&self, rule: &str) -> Vec<String> {
        let registry = self.shared.registry.read();
        let rule = registry.history(rule, Revision(u32::MAX)).find_map(|entry| entry.rule.as_ref());
        let plugin = rule.and_then(|rule| registry.plugin(&rule.plugin));
        plugin.map(|info| info.reasons.clone()).unwrap_or_default()
    }

    fn trial(&self, name: &str) -> Result<Trial, Refusal> {
        let registry = self.shared.registry.read();
        let history: Vec<_> = registry.history(name, Revision(u32::MAX)).collect();
        if history.is_empty() {
            let message = never_a_rule(&registry, name, self.who.operator());
            return Err(Refusal::not_found("rule", name, message));
        }
        let never =
            || format!("rule {name} never was a shadow: set it in mode shadow, and compare when alerts have come");
        Trial::of(&history).ok_or_else(|| Refusal::Precondition(never()))
    }

    /// Makes a shadow rule active, under a guard.
    pub async fn promote_rule(&self, promotion: Promotion) -> Result<RuleView, Refusal> {
        let Promotion { name, suppressed_max_basis_points: share, alerts_min: _, window_ms, why } = &promotion;
        check_why(why)?;
        self.check_own(name)?;
        if *share > ALL_BASIS_POINTS {
            let message = format!("{share} is more than {ALL_BASIS_POINTS}, which is all alerts");
            return Err(Refusal::invalid("suppressed_max_basis_points", message));
        }
        if !(1..=GUARD_MS_MAX).contains(window_ms) {
            let message = format!("{window_ms} is not 1 to {GUARD_MS_MAX} milliseconds (30 days)");
            return Err(Refusal::invalid("window_ms", message));
        }
        self.ask(|reply| Command::PromoteRule(promotion, self.who.clone(), reply)).await
    }
}
