//! The fold of a range: groups from the log, each judged in every lane, and what comes of it.
//!
//! It must not know threads or the protocol. Invariant: a read snapshot is never held for long, so that the store can
//! take back what it frees; entries that go meanwhile end the question instead of leaving a gap in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{
    Ground, Pace, Question, Stopped,
    answer::{Answer, Basis},
    chains::{Stand, Stretch},
    lane::{Lane, Sheet},
    tally::{Baseline, Turns},
};
use crate::{
    domain::{Column, End, Fault, FaultKind, Group, Mark, Millis, Mode, Position, Revision},
    evaluate::{Filter, Judged},
    registry::MissingPlugin,
    store::{self, GroupHead, Reader},
};

/// How long one read snapshot is held.
const SNAPSHOT_MAX: Duration = Duration::from_millis(500);

/// Threads of one question at most.
const THREADS_MAX: usize = 64;

/// Why alerts are compared with nothing, where it is no failure of a call.
const MISSING_STATE: &str = "missing-state";

/// What must be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// The log's oldest entry.
    oldest: Position,
    /// Where state begins.
    from: Position,
    /// The first group that has rows of the range.
    first: Position,
    /// After the last one.
    end: Position,
    /// Rows to fold.
    rows: u64,
}

/// How the log is read: a fresh snapshot, or why there is none.
pub type Open<'a> = &'a (dyn Fn() -> Result<Reader, Stopped> + Sync);

/// Answers a question over the log as it is now, up to `end`, on so many threads.
pub fn run(
    question: &Question,
    ground: &Ground,
    open: Open<'_>,
    end: Position,
    (pace, threads): (&Pace, usize),
) -> Result<Answer, Stopped> {
    let Needs { state: stateful, devices } = needs(question, ground, end);
    let plan = plan(question, stateful, open, end, pace)?;
    let threads = threads.clamp(1, THREADS_MAX) as u32;
    // With state, each thread reads every group, and judges its own devices; without, each reads its own groups.
    let work = |of: u32| {
        pace.expect(plan.rows);
        let parts = (0..of).map(|which| Part { which, of, stateful, devices });
        work_on(parts.collect(), &|part: Part| part.fold(question, ground, open, plan, pace))
    };
    let mut folds = work(threads)?;
    // A call that fails does so for all of its alerts: which those are must not depend on the number of threads.
    if stateful && threads > 1 && folds.iter().any(Fold::has_failures) {
        folds = work(1)?;
    }
    let mut folds = folds.into_iter();
    let Some(mut fold) = folds.next() else { return Err(Stopped::Failed("there was nobody to work on it".to_owned())) };
    folds.for_each(|other| fold.merge(other));
    let positions = [plan.oldest, plan.from, plan.first, plan.end].map(|position| position.0);
    let [oldest, from, first, end] = if question.confined { [0; 4] } else { positions };
    let whole = !stateful || plan.from == Position(0);
    let basis = Basis { oldest, from, first, end, stateful, whole, state_checked: fold.check.is_some() };
    let reader = open()?;
    Ok(fold.finish(basis, &|device_no| reader.eui(device_no)))
}

/// Works on parts, each on a thread of its own; all of them are waited for.
fn work_on<'a>(
    parts: Vec<Part>,
    work: &(dyn Fn(Part) -> Result<Fold<'a>, Stopped> + Sync),
) -> Result<Vec<Fold<'a>>, Stopped> {
    if let [whole] = parts[..] {
        return work(whole).map(|fold| vec![fold]);
    }
    let panicked = || Stopped::Failed("working on it panicked".to_owned());
    std::thread::scope(|scope| {
        let running: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || work(part))).collect();
        let ended: Vec<_> =
            running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(panicked()))).collect();
        ended.into_iter().collect()
    })
}

/// What one thread works on.
#[derive(Debug, Clone, Copy)]
struct Part {
    which: u32,
    of: u32,
    stateful: bool,
    /// Some rule is shown which device an alert is of.
    devices: bool,
}

impl Part {
    fn fold<'a>(
        self,
        question: &'a Question,
        ground: &'a Ground,
        open: Open<'_>,
        plan: Plan,
        pace: &Pace,
    ) -> Result<Fold<'a>, Stopped> {
        let mut fold = Fold::new(question, ground, plan.from)?;
        fold.devices = (self.stateful && self.of > 1).then_some((self.which, self.of));
        let received = question.received_ms();
        let mut groups = 0_u32;
        let mut wanted = |head: &GroupHead| {
            if self.stateful {
                return true;
            }
            let has_rows = has_rows_of(head, &received);
            groups = groups.wrapping_add(u32::from(has_rows));
            has_rows && groups % self.of == self.which
        };
        let columns = Columns::ForRules { devices: self.devices };
        // Those that read the same groups are about as far as each other.
        let tells = !self.stateful || self.which == 0;
        let mut take = |group: &Group| {
            fold.take(group)?;
            pace.advance(if tells { group.rows.len() as u64 } else { 0 });
            Ok(())
        };
        read(open, plan.from..plan.end, pace, (&mut wanted, columns), &mut take)?;
        fold.baseline.settle();
        Ok(fold)
    }
}

/// What the rules that are called need, anywhere in the log.
#[derive(Debug, Clone, Copy, Default)]
struct Needs {
    /// One keeps state.
    state: bool,
    /// One is shown which device an alert is of.
    devices: bool,
}

fn needs(question: &Question, ground: &Ground, end: Position) -> Needs {
    let mut points: BTreeSet<Position> = ground.registry.turning_points().into_iter().filter(|at| *at < end).collect();
    points.insert(Position(0));
    let mut needs = Needs::default();
    for at in points {
        // Where a plugin is missing, and it matters, the fold comes upon it.
        let Ok(stretch) = ground.stretch(question, at) else { continue };
        for stand in stands(question).into_iter().chain([Stand::AsRecorded]) {
            let Ok((chain, _)) = ground.chain(question, &stretch, stand) else { continue };
            needs.state |= chain.rules.iter().any(|rule| rule.namespace.is_some());
            needs.devices |= chain.rules.iter().any(|rule| rule.reads.contains(Column::Device));
        }
    }
    needs
}

fn stands(question: &Question) -> Vec<Stand<'_>> {
    if question.as_recorded {
        return vec![Stand::AsRecorded];
    }
    let variants = question.variants.iter();
    variants.filter_map(|variant| Some(Stand::Candidate(variant, variant.plugin()?))).collect()
}

fn plan(question: &Question, stateful: bool, open: Open<'_>, end: Position, pace: &Pace) -> Result<Plan, Stopped> {
    let (counted, folded) = (question.received_ms(), question.folded_ms());
    let mut plan: Option<Plan> = None;
    let (mut oldest, mut from, mut rows) = (end, None, 0);
    let heads = open()?.heads(Position(0)).map_err(failed)?;
    let mut seen = 0_u64;
    for head in heads {
        let head = head.map_err(failed)?;
        if head.first >= end {
            break;
        }
        seen += 1;
        if seen.is_multiple_of(1_024) {
            pace.check()?;
        }
        oldest = oldest.min(head.first);
        if stateful && from.is_none() && (folded.start == Millis::MIN || head.received_ms_max >= folded.start) {
            from = Some(head.first);
        }
        let counts = has_rows_of(&head, &counted);
        if counts || (stateful && from.is_some()) {
            rows += u64::from(head.rows);
        }
        if counts {
            let begins = plan.map_or(head.first, |plan| plan.first);
            let from = from.unwrap_or(begins);
            plan = Some(Plan { oldest, from, first: begins, end: head.end, rows });
        }
    }
    let nothing = Plan { oldest, from: end, first: end, end, rows: 0 };
    Ok(plan.map_or(nothing, |plan| Plan { oldest, ..plan }))
}

fn has_rows_of(head: &GroupHead, received: &std::ops::Range<Millis>) -> bool {
    head.rows > 0 && head.received_ms_max >= received.start && head.received_ms_min < received.end
}

/// Which columns of the log are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Columns {
    /// Every one.
    All,
    /// Those that rules and counts need; EUI-64s of devices where one of the rules is shown them.
    ForRules {
        /// One is.
        devices: bool,
    },
}

/// Reads the groups of a range in order, those that are wanted, with rests between them.
pub(super) fn read(
    open: Open<'_>,
    range: std::ops::Range<Position>,
    pace: &Pace,
    (wanted, columns): (&mut dyn FnMut(&GroupHead) -> bool, Columns),
    take: &mut dyn FnMut(&Group) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let mut at = range.start;
    let mut worked_since = Instant::now();
    while at < range.end {
        let mut heads = open()?.heads(at).map_err(failed)?;
        let snapshot_of = Instant::now();
        loop {
            let Some(head) = heads.next() else { return Err(Stopped::Overtaken) };
            let head = head.map_err(failed)?;
            if head.first != at {
                return Err(Stopped::Overtaken);
            }
            at = head.end;
            if wanted(&head) {
                let group = match columns {
                    Columns::All => heads.read(&head),
                    Columns::ForRules { devices } => heads.read_for_rules(&head, devices),
                };
                take(&group.map_err(failed)?)?;
            }
            if at >= range.end || snapshot_of.elapsed() >= SNAPSHOT_MAX {
                break;
            }
            pace.rest(&mut worked_since)?;
        }
    }
    pace.check()
}

fn missing(missing: MissingPlugin) -> Stopped {
    Stopped::Failed(missing.to_string())
}

pub(super) fn failed(error: store::Error) -> Stopped {
    match error {
        store::Error::Closed => Stopped::Interrupted,
        other => Stopped::Failed(format!("store: {other}")),
    }
}

/// A fold under way.
pub(super) struct Fold<'a> {
    pub(super) question: &'a Question,
    pub(super) ground: &'a Ground,
    only: Filter,
    turns: std::iter::Peekable<std::vec::IntoIter<Position>>,
    stretch: Stretch,
    /// Of how many parts of all devices this is which.
    devices: Option<(u32, u32)>,
    pub(super) lanes: Vec<Lane<'a>>,
    /// The chain as it was, where a rule's state may be missing.
    check: Option<Lane<'a>>,
    pub(super) baseline: Baseline,
    /// Alerts that are compared with nothing, by kind.
    pub(super) not_replayable: BTreeMap<&'static str, u64>,
    /// No rule with state stood before the candidate.
    pub(super) withheld_is_known: bool,
}

impl<'a> Fold<'a> {
    fn new(question: &'a Question, ground: &'a Ground, from: Position) -> Result<Self, Stopped> {
        let turns: Vec<Position> = ground.registry.turning_points().into_iter().filter(|turn| *turn > from).collect();
        let stretch = ground.stretch(question, from).map_err(missing)?;
        let lane = |stand| -> Result<Lane<'a>, MissingPlugin> {
            let turns = Turns::new(question.samples_max, question.sample_seed());
            Ok(Lane::new(stand, ground.chain(question, &stretch, stand)?, turns))
        };
        let lanes = stands(question).into_iter().map(lane).collect::<Result<_, _>>().map_err(missing)?;
        let mut needs = ground.needs_state_from_before(&stretch, from);
        for turn in &turns {
            needs |= ground.needs_state_from_before(&ground.stretch(question, *turn).map_err(missing)?, from);
        }
        let check = needs.then(|| lane(Stand::AsRecorded)).transpose().map_err(missing)?;
        Ok(Self {
            question,
            ground,
            only: Filter::new(&question.only.scope()),
            turns: turns.into_iter().peekable(),
            withheld_is_known: !stretch.stateful_before,
            stretch,
            devices: None,
            lanes,
            check,
            baseline: Baseline::default(),
            not_replayable: BTreeMap::new(),
        })
    }

    /// Folds one group.
    pub(super) fn take(&mut self, group: &Group) -> Result<(), Stopped> {
        self.turn(group.first).map_err(missing)?;
        let mut sheet = self.sheet(group);
        if let Some(check) = &mut self.check {
            let judged = check.judge(group, &sheet);
            let lost = keep_reproduced(group, &mut sheet.compared, &judged);
            if lost > 0 {
                *self.not_replayable.entry(MISSING_STATE).or_default() += lost;
            }
        }
        for row in &sheet.compared {
            let row = *row as usize;
            self.baseline.count(group, row, group.mark_of(row).end);
        }
        for lane in &mut self.lanes {
            lane.take(group, &sheet, &mut self.baseline);
        }
        Ok(())
    }

    /// Whether any call failed that is not on record.
    fn has_failures(&self) -> bool {
        self.lanes.iter().chain(&self.check).any(|lane| !lane.failed.is_empty())
    }

    /// Takes what was found by a fold of other groups or devices.
    fn merge(&mut self, other: Self) {
        for (lane, others) in self.lanes.iter_mut().zip(other.lanes) {
            lane.merge(others, &mut self.baseline.axes, &other.baseline.axes);
        }
        self.baseline.merge(&other.baseline);
        for (kind, count) in other.not_replayable {
            *self.not_replayable.entry(kind).or_default() += count;
        }
        self.withheld_is_known &= other.withheld_is_known;
    }

    /// Meets the changes of rules before a group.
    fn turn(&mut self, first: Position) -> Result<(), MissingPlugin> {
        let mut turned = false;
        while self.turns.next_if(|turn| *turn <= first).is_some() {
            turned = true;
        }
        if turned {
            self.stretch = self.ground.stretch(self.question, first)?;
            self.withheld_is_known &= !self.stretch.stateful_before;
            for lane in self.lanes.iter_mut().chain(&mut self.check) {
                lane.turn_to(self.ground.chain(self.question, &self.stretch, lane.stand)?);
            }
        }
        Ok(())
    }

    /// Sorts the rows of a group: closed, compared, compared with nothing. Closed ones that count are counted here.
    fn sheet(&mut self, group: &Group) -> Sheet {
        let rows = &group.rows;
        let received = self.question.received_ms();
        let before = |mark: &Mark| mark.end == End::Suppressed && self.stretch.before.contains(&mark.rule);
        let closing: Vec<bool> = group.marks.iter().map(|mark| mark.end == End::Duplicate || before(mark)).collect();
        let mut closed: Vec<bool> = group.mark.iter().map(|mark| closing[usize::from(*mark)]).collect();
        let theirs = |row: usize| self.devices.is_some_and(|(which, of)| rows.device_no[row] % of != which);
        if self.devices.is_some() {
            closed.iter_mut().enumerate().for_each(|(row, closed)| *closed |= theirs(row));
        }
        let faults = self.faults(group);
        let replaced = self.stretch.replaced.as_ref();
        let all_on_record = faults.is_empty() && replaced.is_none_or(|replaced| replaced.stopped.is_none());
        let all_counted = received == (Millis::MIN..Millis::MAX) && self.only.is_open();
        let open = (0..rows.len() as u32).filter(|row| !closed[*row as usize]).collect();
        let mut compared = Vec::with_capacity(rows.len());
        for (row, is_closed) in closed.iter().enumerate() {
            let counted = all_counted || received.contains(&rows.received_ms[row]) && self.only.admits(rows, row);
            if !counted || theirs(row) {
                continue;
            }
            match group.mark_of(row).end {
                End::Duplicate => self.baseline.duplicates += 1,
                end if *is_closed => self.baseline.count(group, row, end),
                _ if all_on_record => compared.push(row as u32),
                _ => match self.not_on_record(group, &faults, row) {
                    Some(kind) => *self.not_replayable.entry(kind).or_default() += 1,
                    None => compared.push(row as u32),
                },
            }
        }
        Sheet { closed, open, compared }
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
fn keep_reproduced(group: &Group, compared: &mut Vec<u32>, judged: &Judged) -> u64 {
    let before = compared.len();
    compared.retain(|row| {
        let row = *row as usize;
        let (recorded, computed) = (group.mark_of(row), judged.marks[usize::from(judged.mark[row])]);
        let both_pass = recorded.end == End::Forwarded && computed.end == End::Forwarded;
        both_pass || recorded == computed
    });
    (before - compared.len()) as u64
}
