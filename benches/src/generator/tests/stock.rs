//! The expectation against the stock rules themselves, run natively, one alert after the other.

use std::collections::{HashMap, HashSet};

use weir::{Rule, Verdict};
use weir_proto::v1::{Alert, Generation};

use super::{Day, plan};
use crate::{books::Counts, generator::RuleName};

/// One rule with what it keeps for each device and code.
struct Judge<R: Rule> {
    rule: R,
    states: HashMap<(u64, u16), R::State>,
}

impl<R: Rule> Judge<R> {
    fn new(parameters: &str) -> Self {
        Self { rule: R::new(parameters).expect("the rule takes its parameters"), states: HashMap::new() }
    }

    /// How many held back before an alert that passes, or `None` for one that is held back.
    fn judge(&mut self, alert: &weir::Alert) -> Option<u64> {
        let zeros = || <R::State as weir::State>::from_words(&vec![0; <R::State as weir::State>::WORDS]);
        let state = self.states.entry((alert.device, alert.code.0)).or_insert_with(zeros);
        match self.rule.evaluate(alert, state) {
            Verdict::Forward => Some(0),
            Verdict::ForwardFor { withheld } => Some(withheld.into()),
            Verdict::Suppress(_) => None,
        }
    }
}

#[test]
fn expectation_agrees_with_the_stock_rules() {
    let plan = plan(11, 5_000, 500_000);
    let [by_match, by_threshold, by_storm] = [0, 1, 2].map(|rule| plan.rules()[rule].parameters.clone());
    let mut by_match = Judge::<weir_rule_match::Match>::new(&by_match);
    let mut by_threshold = Judge::<weir_rule_threshold::Threshold>::new(&by_threshold);
    let mut by_storm = Judge::<weir_rule_storm::Storm>::new(&by_storm);

    let generations: HashMap<u64, i32> = plan.fleet().inventory().map(|d| (d.device_id, d.generation)).collect();
    let mut seen = HashSet::new();
    let mut held_back = RuleName::ALL.map(|_| 0);
    let mut withheld = 0;
    let mut day = Day::new(plan).unwrap();
    let valid = |alert: &Alert| alert.device_id != 0 && alert.code < 1 << 16;
    for alert in day.by_ref().filter(valid) {
        if !seen.insert((alert.device_id, alert.recipient_id, alert.originator_counter)) {
            continue;
        }
        let alert = guest_alert(&alert, generations.get(&alert.device_id).copied().unwrap_or(0));
        let verdict = by_match.judge(&alert).ok_or(0);
        let verdict = verdict.and_then(|_| by_threshold.judge(&alert).ok_or(1));
        match verdict.and_then(|_| by_storm.judge(&alert).ok_or(2)) {
            Ok(others) => withheld += others,
            Err(rule) => held_back[rule] += 1,
        }
    }

    let books = day.expected();
    let wanted = |rule: RuleName| books.by_rule.get(rule.text()).map_or(0, |c: &Counts| c.suppressed + c.overruled);
    assert_eq!(held_back, RuleName::ALL.map(wanted), "{plan:?}");
    assert_eq!(withheld, books.total().withheld, "{plan:?}");
}

fn guest_alert(alert: &Alert, generation: i32) -> weir::Alert {
    let known = |wanted: Generation| generation == i32::from(wanted);
    weir::Alert {
        device: alert.device_id,
        code: weir::AlertCode(alert.code as u16),
        occurred_ms: alert.occurred_at_ms,
        measurement: alert.measurement,
        weight: alert.weight,
        generation: match () {
            () if known(Generation::Smets1) => weir::Generation::Smets1,
            () if known(Generation::Smets2) => weir::Generation::Smets2,
            () => weir::Generation::Unknown,
        },
        operator: None,
        model: weir::ModelId(0),
    }
}
