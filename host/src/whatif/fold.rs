//! The fold of a range: groups from the log, each judged in every lane, and what comes of it.
//!
//! It must not know threads, the protocol, or how groups are read. Invariant: an alert is counted once as what happened,
//! and compared in every lane or in none.

use std::collections::BTreeMap;

use super::{
    Ground, Question, Stopped,
    alike::Kinds,
    chains::{Stand, Stretch},
    counts::Counts,
    lane::{Lane, Sheet},
    log::Plan,
    patterns::{DUPLICATE, FORWARDED, SUPPRESSED, UNCOUNTED},
    readings::joins::Joins,
    run::stands,
    shared::Portion,
    tally::Turns,
};
use crate::{
    comparison::mixed,
    domain::{End, Fault, FaultKind, Group, Millis, Mode, Position, Revision, SettingsNo},
    evaluate::{Chain, Filter, Judged},
    registry::MissingPlugin,
};

/// Why alerts are compared with nothing, where it is no failure of a call.
const MISSING_STATE: &str = "missing-state";

/// Of so many groups one is judged as a whole too, where otherwise alerts that look alike are judged once.
const CHECKED_OF: u64 = 32;

/// A fold under way.
pub(super) struct Fold<'a> {
    pub(super) question: &'a Question,
    pub(super) ground: &'a Ground,
    plan: Plan,
    only: Filter,
    turns: std::iter::Peekable<std::vec::IntoIter<Position>>,
    /// Those of the last group.
    settings: SettingsNo,
    stretch: Stretch,
    pub(super) lanes: Vec<Lane<'a>>,
    /// The chain as it was, where a rule's state may be missing.
    pub(super) check: Option<Lane<'a>>,
    pub(super) counts: Counts,
    /// Alerts that look alike to every rule that is called, where that is looked for.
    kinds: Option<Kinds>,
    /// Alerts that are compared with nothing, by kind.
    pub(super) not_replayable: BTreeMap<&'static str, u64>,
    /// No rule with state stood before the candidate.
    pub(super) withheld_is_known: bool,
    /// Readings that stand in for measurements, where that is asked.
    pub(super) joins: Option<Joins<'a>>,
}

impl<'a> Fold<'a> {
    pub(super) fn new(question: &'a Question, ground: &'a Ground, plan: Plan) -> Result<Self, Stopped> {
        let from = plan.from;
        let turns: Vec<Position> = ground.registry.turning_points().into_iter().filter(|turn| *turn > from).collect();
        let settings = SettingsNo::UNKNOWN;
        let stretch = ground.stretch(question, from, settings).map_err(missing)?;
        let joins = question.readings.as_ref().zip(ground.readings.as_ref());
        let joins = joins.filter(|_| question.is_by_readings());
        let joins = joins.map(|(asked, readings)| Joins::new(readings, asked.tolerance_ms, question.variants.len()));
        let lane = |stand| -> Result<Lane<'a>, MissingPlugin> {
            let turns = Turns::new(question.samples_max, question.sample_seed());
            Ok(Lane::new(stand, chain(question, ground, &stretch, (stand, joins.as_ref()))?, turns))
        };
        let lanes: Vec<_> = stands(question).into_iter().map(lane).collect::<Result<_, _>>().map_err(missing)?;
        let mut needs = ground.needs_state_from_before(&stretch, from);
        for turn in &turns {
            needs |= ground.needs_state_from_before(&ground.stretch(question, *turn, settings).map_err(missing)?, from);
        }
        let check = needs.then(|| lane(Stand::AsRecorded)).transpose().map_err(missing)?;
        Ok(Self {
            question,
            ground,
            plan,
            only: Filter::new(&question.only.scope()),
            turns: turns.into_iter().peekable(),
            settings,
            withheld_is_known: !stretch.stateful_before,
            stretch,
            counts: Counts::new(lanes.len(), question.sample_seed()),
            lanes,
            check,
            kinds: None,
            not_replayable: BTreeMap::new(),
            joins,
        })
    }

    /// Has alerts that look alike to every rule judged once.
    pub(super) fn look_for_alikes(&mut self) {
        let chains: Vec<&Chain> = self.lanes.iter().map(|lane| &lane.chain).collect();
        self.kinds = Kinds::of_chains(&chains);
    }

    /// Folds one group. False: alerts that look alike were judged once, and that is not what judging whole groups is.
    pub(super) fn take(&mut self, portion: &Portion) -> Result<bool, Stopped> {
        let group = &portion.group;
        self.turn(group.first, group.settings).map_err(missing)?;
        let mut sheet = self.sheet(group);
        if let Some(joins) = &mut self.joins {
            joins.take(&group.rows, &sheet.closed)?;
        }
        if let Some(check) = &mut self.check {
            let judged = check.judge_group(group, &sheet);
            let lost = keep_reproduced(group, &mut sheet, &judged);
            if lost > 0 {
                *self.not_replayable.entry(MISSING_STATE).or_default() += lost;
            }
        }
        let is_whole = self.compare(portion, &mut sheet);
        if let Some(joins) = &mut self.joins {
            joins.count(&group.rows, &sheet.compared);
        }
        if self.counts.patterns.is_full() {
            self.settle();
            self.counts.forget_patterns();
            if self.kinds.is_some() {
                self.look_for_alikes();
            }
        }
        Ok(is_whole)
    }

    /// Counts what would have been different; false as [`take`](Self::take) has it.
    fn compare(&mut self, portion: &Portion, sheet: &mut Sheet) -> bool {
        let group = &portion.group;
        let is_checked = self.is_checked(group.first);
        let Self { lanes, kinds, counts, .. } = self;
        // What is on record of a group's failures is obeyed, and is of that group alone.
        let fails = |lane: &Lane<'_>| group.faults.iter().any(|fault| lane.calls(fault.rule));
        let kinds = kinds.as_mut().filter(|_| !lanes.iter().any(fails));
        let Some(kinds) = kinds else {
            let judged: Vec<Judged> = lanes.iter_mut().map(|lane| lane.judge_group(group, sheet)).collect();
            for (at, (lane, judged)) in lanes.iter_mut().zip(&judged).enumerate() {
                lane.compare(at, group, sheet, judged, &mut counts.patterns);
            }
            let marks = |row: usize, lane: usize| judged[lane].marks[usize::from(judged[lane].mark[row])];
            counts.add(portion, sheet, lanes, &|_, row, lane| marks(row, lane));
            return true;
        };
        let Some(kind_of) = kinds.find(&group.rows, &sheet.compared, lanes, &mut counts.patterns) else { return false };
        if is_checked
            && !lanes.iter_mut().enumerate().all(|(at, lane)| kinds.is_as_judged(at, lane, group, sheet, &kind_of))
        {
            return false;
        }
        kinds.compare(sheet, &kind_of);
        counts.add(portion, sheet, lanes, &|at, _, lane| kinds.mark(kind_of[at], lane));
        true
    }

    /// Whether a group is one of those that are judged as a whole too: the same ones whoever reads which groups.
    fn is_checked(&self, first: Position) -> bool {
        first == self.plan.first || first == self.plan.largest || mixed(first.0).is_multiple_of(CHECKED_OF)
    }

    /// Whether any call failed that is not on record.
    pub(super) fn has_failures(&self) -> bool {
        self.lanes.iter().chain(&self.check).any(|lane| !lane.failed.is_empty())
    }

    /// Adds everything up.
    pub(super) fn settle(&mut self) {
        self.counts.settle(&mut self.lanes);
    }

    /// Takes what was found by a fold of other groups or devices. Both are settled.
    pub(super) fn merge(&mut self, other: Self) {
        for (lane, others) in self.lanes.iter_mut().zip(other.lanes) {
            lane.merge(others, &mut self.counts.axes, &other.counts.axes);
        }
        self.counts.merge(&other.counts);
        for (kind, count) in other.not_replayable {
            *self.not_replayable.entry(kind).or_default() += count;
        }
        self.withheld_is_known &= other.withheld_is_known;
        if let (Some(joins), Some(others)) = (&mut self.joins, other.joins) {
            joins.merge(others);
        }
    }

    /// Meets the changes of rules and settings before a group.
    fn turn(&mut self, first: Position, settings: SettingsNo) -> Result<(), MissingPlugin> {
        let mut turned = self.settings != settings;
        self.settings = settings;
        while self.turns.next_if(|turn| *turn <= first).is_some() {
            turned = true;
        }
        if turned {
            self.stretch = self.ground.stretch(self.question, first, settings)?;
            self.withheld_is_known &= !self.stretch.stateful_before;
            for lane in self.lanes.iter_mut().chain(&mut self.check) {
                let filled = (lane.stand, self.joins.as_ref());
                lane.turn_to(chain(self.question, self.ground, &self.stretch, filled)?);
            }
            if self.kinds.is_some() {
                self.look_for_alikes();
            }
        }
        Ok(())
    }

    /// Sorts the rows of a group: closed, compared, compared with nothing.
    fn sheet(&mut self, group: &Group) -> Sheet {
        let rows = &group.rows;
        let ends: Vec<(u32, bool)> = group
            .marks
            .iter()
            .map(|mark| match mark.end {
                End::Duplicate => (DUPLICATE, true),
                End::Suppressed => (SUPPRESSED, self.stretch.before.contains(&mark.rule)),
                _ => (FORWARDED, false),
            })
            .collect();
        let end_of = |mark: &u16| ends[usize::from(*mark)];
        let closed: Vec<bool> = group.mark.iter().map(|mark| end_of(mark).1).collect();
        let mut patterns: Vec<u32> = group.mark.iter().map(|mark| end_of(mark).0).collect();
        self.leave_out(group, &mut patterns);
        let is_compared = |row: usize| !closed[row] & (patterns[row] != UNCOUNTED);
        let mut compared = vec![0; rows.len()];
        let mut count = 0;
        // Without a branch, for which they are may be hard to predict.
        for row in 0..rows.len() {
            compared[count] = row as u32;
            count += usize::from(is_compared(row));
        }
        compared.truncate(count);
        let faults = self.faults(group);
        let replaced = self.stretch.replaced.as_ref();
        let all_on_record = faults.is_empty() && replaced.is_none_or(|replaced| replaced.stopped.is_none());
        if !all_on_record {
            let mut lost = Vec::new();
            compared.retain(|row| {
                let why = self.not_on_record(group, &faults, *row as usize);
                lost.extend(why.map(|kind| (kind, *row)));
                why.is_none()
            });
            for (kind, row) in lost {
                patterns[row as usize] = UNCOUNTED;
                *self.not_replayable.entry(kind).or_default() += 1;
            }
        }
        Sheet { closed, compared, patterns }
    }

    /// Leaves out alerts that the question is not about.
    fn leave_out(&self, group: &Group, patterns: &mut [u32]) {
        let rows = &group.rows;
        let received = self.question.received_ms();
        if received == (Millis::MIN..Millis::MAX) && self.only.is_open() {
            return;
        }
        for (row, pattern) in patterns.iter_mut().enumerate() {
            if !received.contains(&rows.received_ms[row]) || !self.only.admits(rows, row) {
                *pattern = UNCOUNTED;
            }
        }
    }

    /// Failures of the replaced rule in a group.
    fn faults<'g>(&self, group: &'g Group) -> Vec<&'g Fault> {
        let replaced = self.stretch.replaced.as_ref().map_or(Revision::NONE, |replaced| replaced.revision);
        let of_it = |fault: &&Fault| fault.rule == replaced && fault.kind != FaultKind::StateFull;
        group.faults.iter().filter(of_it).collect()
    }

    /// Why what the replaced rule would have said of an alert is not on record, if it is not.
    fn not_on_record(&self, group: &Group, faults: &[&Fault], row: usize) -> Option<&'static str> {
        let replaced = self.stretch.replaced.as_ref()?;
        if replaced.stopped.is_none() && faults.is_empty() {
            return None;
        }
        if !replaced.filter.admits(&group.rows, row) {
            return None;
        }
        match replaced.stopped {
            Some(Mode::Quarantined) => Some("quarantined"),
            Some(_) => Some("set-aside"),
            None => {
                let row = row as u32;
                let failed = faults.iter().find(|f| row >= f.first_row && row - f.first_row < f.row_count);
                failed.map(|fault| fault.kind.name())
            }
        }
    }
}

/// Keeps the rows of which the chain as it was gives what was recorded; says how many it does not.
fn keep_reproduced(group: &Group, sheet: &mut Sheet, judged: &Judged) -> u64 {
    let Sheet { compared, patterns, .. } = sheet;
    let before = compared.len();
    compared.retain(|row| {
        let row = *row as usize;
        let (recorded, computed) = (group.mark_of(row), judged.marks[usize::from(judged.mark[row])]);
        let both_pass = recorded.end == End::Forwarded && computed.end == End::Forwarded;
        let is_kept = both_pass || recorded == computed;
        if !is_kept {
            patterns[row] = UNCOUNTED;
        }
        is_kept
    });
    (before - compared.len()) as u64
}

/// The rules that are called, with the candidate's place filled and readings at hand where they are asked.
fn chain(
    question: &Question,
    ground: &Ground,
    stretch: &Stretch,
    (stand, joins): (Stand<'_>, Option<&Joins<'_>>),
) -> Result<(Chain, Option<Revision>), MissingPlugin> {
    let (mut chain, candidate) = ground.chain(question, stretch, stand)?;
    if let (Stand::Candidate(_, _, undecided), Some(joins)) = (stand, joins) {
        joins.stand_in(&mut chain, candidate, undecided);
    }
    Ok((chain, candidate))
}

fn missing(missing: MissingPlugin) -> Stopped {
    Stopped::Failed(missing.to_string())
}
