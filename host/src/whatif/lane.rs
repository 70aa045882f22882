//! One way of filling the candidate's place, folded: its chain, its state, and what it would have changed.
//!
//! It must not know where groups come from. Invariant: two lanes share nothing, so each says what it would alone.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    axes::Axes,
    chains::Stand,
    tally::{Baseline, Turns},
};
use crate::{
    domain::{End, Fault, FaultKind, Group, Mark, Metering, Outcome, Revision},
    evaluate::{Chain, ChainRule, Judged, Judgement, State, ask, judge},
};

/// What all lanes are told of one group.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// Per row: its end does not depend on any rule that is called. It is a duplicate, a rule before suppressed it, or it
    /// belongs to somebody else's part.
    pub(super) closed: Vec<bool>,
    /// Rows that are not closed, in order.
    pub(super) open: Vec<u32>,
    /// Those of them that are compared, in order.
    pub(super) compared: Vec<u32>,
}

/// One lane.
pub(super) struct Lane<'a> {
    pub(super) stand: Stand<'a>,
    state: State,
    chain: Chain,
    /// The revision in the candidate's place.
    candidate: Option<Revision>,
    pub(super) turns: Turns,
    /// Calls that failed and are not on record, by rule and kind, with the words of the first.
    pub(super) failed: BTreeMap<(Revision, FaultKind), (u64, String)>,
}

impl<'a> Lane<'a> {
    pub(super) fn new(stand: Stand<'a>, (chain, candidate): (Chain, Option<Revision>), turns: Turns) -> Self {
        Self { stand, state: State::default(), chain, candidate, turns, failed: BTreeMap::new() }
    }

    /// Goes on with other rules.
    pub(super) fn turn_to(&mut self, (chain, candidate): (Chain, Option<Revision>)) {
        (self.chain, self.candidate) = (chain, candidate);
    }

    /// Judges a group and counts what would have been different.
    pub(super) fn take(&mut self, group: &Group, sheet: &Sheet, baseline: &mut Baseline) {
        match self.lone_rule(group) {
            Some(rule) => self.ask(&rule, group, sheet, baseline),
            None => {
                let judged = self.judge(group, sheet);
                self.compare(group, sheet, &judged, baseline);
            }
        }
    }

    /// The candidate, where it is the only rule that is called, keeps no state and has no failure on record: then what
    /// it answers is all that there is to know.
    fn lone_rule(&self, group: &Group) -> Option<ChainRule> {
        let [rule] = &self.chain.rules[..] else { return None };
        let failed = || group.faults.iter().any(|fault| fault.rule == rule.revision);
        let alone = Some(rule.revision) == self.candidate && rule.namespace.is_none() && !failed();
        alone.then(|| rule.clone())
    }

    /// What [`judge`](Self::judge) and [`compare`](Self::compare) come to with one rule: it is shown the same rows.
    fn ask(&mut self, rule: &ChainRule, group: &Group, sheet: &Sheet, baseline: &mut Baseline) {
        let rows = &group.rows;
        let admitted = || sheet.open.iter().copied().filter(|row| rule.filter.admits(rows, *row as usize)).collect();
        let seen: Cow<'_, [u32]> = if rule.filter.is_open() { Cow::Borrowed(&sheet.open) } else { admitted() };
        let outcome = match ask(rule, rows, (&seen, &[], &[]), Metering::Replay) {
            _ if seen.is_empty() => Outcome::default(),
            Ok(outcome) => outcome,
            Err(fault) => {
                let entry = self.failed.entry((rule.revision, fault.kind)).or_insert_with(|| (0, fault.detail));
                entry.0 += 1;
                Outcome::default()
            }
        };
        let Outcome { verdict, withheld, .. } = spread(outcome, &seen, rows.len());
        let recorded: Vec<bool> = group.marks.iter().map(|mark| mark.end == End::Suppressed).collect();
        for row in &sheet.compared {
            let row = *row as usize;
            let (reason, was) = (verdict[row], recorded[usize::from(group.mark[row])]);
            if reason == 0 && !was {
                continue;
            }
            let overruled = reason != 0 && self.chain.protected.contains(rows.code[row]);
            let is = reason != 0 && !overruled;
            if is != was {
                let end = if is { End::Suppressed } else { End::Forwarded };
                let mark = if reason == 0 { Mark::FORWARDED } else { Mark { end, rule: rule.revision, reason } };
                self.turns.turn(group, row, baseline.numbers(group, row), mark);
            } else if overruled {
                self.turns.overrule(baseline.numbers(group, row));
            }
        }
        if !withheld.is_empty() {
            let bears = sheet.compared.iter().filter(|row| verdict[**row as usize] == 0);
            self.turns.withheld += bears.map(|row| u64::from(withheld[*row as usize])).sum::<u64>();
        }
    }

    /// Judges a group.
    pub(super) fn judge(&mut self, group: &Group, sheet: &Sheet) -> Judged {
        for rule in &self.chain.rules {
            if let Some((namespace, key, words)) = rule.namespace {
                self.state.slots_mut(namespace, key, words);
            }
        }
        let judgement = Judgement {
            rows: &group.rows,
            duplicate: &sheet.closed,
            skipped: &[],
            recorded: &group.faults,
            metering: Metering::Replay,
            obeyed: None,
            sheds: false,
            search: &|_| false,
            shares: None,
        };
        let judged = judge(&mut self.state, &self.chain, judgement);
        self.note_failures(&group.faults, &judged.faults);
        judged
    }

    fn note_failures(&mut self, recorded: &[Fault], found: &[Fault]) {
        let new = found.iter().filter(|fault| fault.kind.is_of_a_call() && !recorded.contains(fault));
        for fault in new {
            let entry = self.failed.entry((fault.rule, fault.kind)).or_insert_with(|| (0, fault.detail.clone()));
            entry.0 += 1;
        }
    }

    /// Takes what the same lane found over other groups or devices, whose values have other numbers.
    pub(super) fn merge(&mut self, other: Self, axes: &mut Axes, theirs: &Axes) {
        self.turns.merge(other.turns, axes, theirs);
        for (key, (calls, detail)) in other.failed {
            self.failed.entry(key).or_insert((0, detail)).0 += calls;
        }
    }

    /// Counts what would have been different.
    pub(super) fn compare(&mut self, group: &Group, sheet: &Sheet, judged: &Judged, baseline: &mut Baseline) {
        let recorded: Vec<End> = group.marks.iter().map(|mark| mark.end).collect();
        let overruled = |mark: &Mark| mark.is_overruled() && Some(mark.rule) == self.candidate;
        let computed: Vec<(End, bool)> = judged.marks.iter().map(|mark| (mark.end, overruled(mark))).collect();
        for row in &sheet.compared {
            let row = *row as usize;
            let at = usize::from(judged.mark[row]);
            let (end, overruled) = computed[at];
            self.turns.withheld += u64::from(judged.withheld[row]);
            if end != recorded[usize::from(group.mark[row])] {
                self.turns.turn(group, row, baseline.numbers(group, row), judged.marks[at]);
            } else if overruled {
                self.turns.overrule(baseline.numbers(group, row));
            }
        }
    }
}

/// An outcome with an entry for each row of the group, not only for those that were seen.
fn spread(outcome: Outcome, seen: &[u32], rows: usize) -> Outcome {
    if outcome.verdict.len() == rows {
        return outcome;
    }
    let mut wide = Outcome { verdict: vec![0; rows], ..Outcome::default() };
    for (row, verdict) in seen.iter().zip(&outcome.verdict) {
        wide.verdict[*row as usize] = *verdict;
    }
    if !outcome.withheld.is_empty() {
        wide.withheld = vec![0; rows];
        for (row, withheld) in seen.iter().zip(&outcome.withheld) {
            wide.withheld[*row as usize] = *withheld;
        }
    }
    wide
}
