//! One way of filling the candidate's place, folded: its chain, its state, and what it would have changed.
//!
//! It must not know where groups come from. Invariant: two lanes share nothing, so each says what it would alone.

use std::collections::BTreeMap;

use super::{
    axes::Axes,
    chains::Stand,
    patterns::{Patterns, Said},
    tally::Turns,
};
use crate::{
    domain::{End, Fault, FaultKind, Group, Mark, Metering, Revision, Rows},
    evaluate::{Chain, Judged, Judgement, State, judge},
};

/// What all lanes are told of one group.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// Per row: its end does not depend on any rule that is called. It is a duplicate, or a rule before suppressed it.
    pub(super) closed: Vec<bool>,
    /// Rows that are not closed and are compared, in order.
    pub(super) compared: Vec<u32>,
    /// Per row, what it counts as.
    pub(super) patterns: Vec<u32>,
}

/// One lane.
pub(super) struct Lane<'a> {
    pub(super) stand: Stand<'a>,
    state: State,
    pub(super) chain: Chain,
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

    /// Whether a rule is among those that are called.
    pub(super) fn calls(&self, rule: Revision) -> bool {
        self.chain.rules.iter().any(|called| called.revision == rule)
    }

    /// Whether a decision is the candidate's, and a protected code overruled it.
    pub(super) fn is_overruled(&self, mark: &Mark) -> bool {
        mark.is_overruled() && Some(mark.rule) == self.candidate
    }

    /// Judges a group, obeying what is on record of its failures.
    pub(super) fn judge_group(&mut self, group: &Group, sheet: &Sheet) -> Judged {
        let judged = self.judge(&group.rows, &sheet.closed, &group.faults);
        self.note_failures(&group.faults, &judged.faults);
        judged
    }

    /// Judges rows, but for those that are closed.
    pub(super) fn judge(&mut self, rows: &Rows, closed: &[bool], recorded: &[Fault]) -> Judged {
        for rule in &self.chain.rules {
            if let Some((namespace, key, words)) = rule.namespace {
                self.state.slots_mut(namespace, key, words);
            }
        }
        let judgement = Judgement {
            rows,
            duplicate: closed,
            skipped: &[],
            recorded,
            metering: Metering::Replay,
            obeyed: None,
            sheds: false,
            search: &|_| false,
            shares: None,
        };
        judge(&mut self.state, &self.chain, judgement)
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

    /// What a mark says of an alert that was forwarded, and of one that was suppressed.
    pub(super) fn says(&self, mark: &Mark) -> [Said; 2] {
        match mark.end {
            End::Suppressed => [Said::Turned, Said::Same],
            _ if self.is_overruled(mark) => [Said::Overruled, Said::Turned],
            _ => [Said::Same, Said::Turned],
        }
    }

    /// Goes on, in the patterns of the compared rows, by what this lane says of them.
    pub(super) fn compare(
        &mut self,
        at: usize,
        group: &Group,
        sheet: &mut Sheet,
        judged: &Judged,
        known: &mut Patterns,
    ) {
        let was_suppressed: Vec<bool> = group.marks.iter().map(|mark| mark.end == End::Suppressed).collect();
        let says: Vec<[Said; 2]> = judged.marks.iter().map(|mark| self.says(mark)).collect();
        let Sheet { compared, patterns, .. } = sheet;
        for row in compared.iter() {
            let row = *row as usize;
            let was = usize::from(was_suppressed[usize::from(group.mark[row])]);
            patterns[row] = known.step(patterns[row], at, says[usize::from(judged.mark[row])][was]);
            self.turns.withheld += u64::from(judged.withheld[row]);
        }
    }
}
