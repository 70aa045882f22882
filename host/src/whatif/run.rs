//! A question worked on: what must be read, by how many threads, and their parts put together.
//!
//! It must not know the protocol. Invariant: the answer does not depend on the number of threads.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{
    Ground, Pace, Question, Stopped,
    answer::{Answer, Basis},
    chains::{Stand, Undecided},
    fold::Fold,
    log::{Columns, Open, Plan, has_rows_of, plan, read},
    pace::Stint,
    question::Variant,
    readings::{AskedOfReadings, ReadingRole, device},
    shared::{Portion, Seat, seats},
};
use crate::{
    domain::{Column, Group, Millis, Position, SettingsNo},
    store::GroupHead,
};

/// Threads of one question at most.
const THREADS_MAX: usize = 64;

/// Answers a question over the log as it is now, up to `end`, on so many threads.
pub fn run(
    question: &Question,
    ground: &Ground,
    open: Open<'_>,
    end: Position,
    (pace, threads): (&Pace, usize),
) -> Result<Answer, Stopped> {
    if let Some(AskedOfReadings { tolerance_ms, role: ReadingRole::Device { thresholds_dv, under } }) =
        &question.readings
    {
        return run_as_device(question, ground, (*tolerance_ms, thresholds_dv, *under), (open, end), pace);
    }
    let Needs { state: stateful, devices } = needs(question, ground, end);
    let plan = plan(question, stateful, open, end, pace)?;
    let threads = threads.clamp(1, THREADS_MAX) as u32;
    // With state, each thread folds its own devices of every group; without, each folds its own groups.
    let work = |of: u32, alike: bool| {
        pace.expect(plan.rows);
        let unlike = AtomicBool::new(false);
        let seats = if stateful && of > 1 { seats(of as usize) } else { Vec::new() };
        let seats = seats.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        let part = |(which, seat)| Part { which, of, stateful, seat, devices, alike, unlike: &unlike };
        let parts = (0..of).zip(seats).map(part);
        let folds = work_on(parts.collect(), &|part: Part<'_>| part.fold(question, ground, open, plan, pace))?;
        Ok((folds, unlike.into_inner()))
    };
    let (mut folds, unlike) = work(threads, !stateful && !question.is_by_readings())?;
    // A call that fails does so for all of its alerts: which those are must not depend on the number of threads, nor on
    // which alerts look alike.
    if unlike {
        (folds, _) = work(threads, false)?;
    } else if stateful && threads > 1 && folds.iter().any(Fold::has_failures) {
        (folds, _) = work(1, false)?;
    }
    let mut folds = folds.into_iter();
    let Some(mut fold) = folds.next() else { return Err(Stopped::Failed("there was nobody to work on it".to_owned())) };
    folds.for_each(|other| fold.merge(other));
    let basis = basis(question, plan, (stateful, fold.check.is_some()));
    let digests = ground.readings.as_ref().filter(|_| question.is_by_readings());
    let digests = digests.map(|readings| readings.digests(question)).transpose()?;
    let reader = open()?;
    Ok(fold.finish(basis, digests, &|device_no| reader.eui(device_no)))
}

fn basis(question: &Question, plan: Plan, (stateful, state_checked): (bool, bool)) -> Basis {
    let positions = [plan.oldest, plan.from, plan.first, plan.end].map(|position| position.0);
    let [oldest, from, first, end] = if question.confined { [0; 4] } else { positions };
    let whole = !stateful || plan.from == Position(0);
    Basis { oldest, from, first, end, stateful, whole, state_checked }
}

/// Answers what meters would have done: no rule is called.
fn run_as_device(
    question: &Question,
    ground: &Ground,
    asked: (Millis, &[u16], bool),
    (open, end): (Open<'_>, Position),
    pace: &Pace,
) -> Result<Answer, Stopped> {
    let no_readings = || Stopped::Failed("no readings are at hand".to_owned());
    let readings = ground.readings.as_ref().ok_or_else(no_readings)?;
    let plan = plan(question, false, open, end, pace)?;
    pace.expect(plan.rows);
    let found = device::run(question, (ground, readings), asked, (open, plan), pace)?;
    let digests = readings.digests(question)?;
    Ok(Answer::of_devices(basis(question, plan, (false, false)), digests, found))
}

/// Works on parts, each on a thread of its own; all of them are waited for.
fn work_on<'p, 'a>(
    parts: Vec<Part<'p>>,
    work: &(dyn Fn(Part<'p>) -> Result<Fold<'a>, Stopped> + Sync),
) -> Result<Vec<Fold<'a>>, Stopped> {
    if parts.len() == 1 {
        return parts.into_iter().map(work).collect();
    }
    let panicked = || Stopped::Failed("working on it panicked".to_owned());
    std::thread::scope(|scope| {
        let running: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || work(part))).collect();
        let ended: Vec<_> =
            running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(panicked()))).collect();
        let (folds, stopped): (Vec<_>, Vec<_>) = ended.into_iter().partition(Result::is_ok);
        // The one that stopped the others knows why.
        let stopped = stopped.into_iter().filter_map(Result::err);
        match stopped.reduce(|why, other| if why == Stopped::Elsewhere { other } else { why }) {
            Some(why) => Err(why),
            None => folds.into_iter().collect(),
        }
    })
}

/// What one thread works on.
struct Part<'p> {
    which: u32,
    of: u32,
    stateful: bool,
    /// Where it folds its devices of every group, and others theirs.
    seat: Option<Seat>,
    /// Some rule is shown which device an alert is of.
    devices: bool,
    /// Alerts that look alike to all rules are judged once.
    alike: bool,
    /// Set where that proved not to be what judging whole groups is.
    unlike: &'p AtomicBool,
}

impl Part<'_> {
    fn fold<'a>(
        self,
        question: &'a Question,
        ground: &'a Ground,
        open: Open<'_>,
        plan: Plan,
        pace: &Pace,
    ) -> Result<Fold<'a>, Stopped> {
        let mut fold = Fold::new(question, ground, plan)?;
        if self.alike {
            fold.look_for_alikes();
        }
        let received = question.received_ms();
        let mut groups = 0_u32;
        let mut wanted = |head: &GroupHead| match &self.seat {
            Some(seat) => seat.is_next(),
            None => {
                let has_rows = self.stateful || has_rows_of(head, &received);
                groups = groups.wrapping_add(u32::from(has_rows));
                has_rows && groups % self.of == self.which
            }
        };
        // What is known of times of occurrence is read with messages alone.
        let columns = match question.is_by_readings() {
            true => Columns::All,
            false => Columns::ForRules { devices: self.devices },
        };
        let mut take = |portion: &Portion| {
            pace.advance(portion.group.rows.len() as u64);
            if self.unlike.load(Ordering::Relaxed) {
                return Ok(());
            }
            if !fold.take(portion)? {
                self.unlike.store(true, Ordering::Relaxed);
            }
            Ok(())
        };
        let mut take_all = |group: Group, stint: &mut Stint| match &self.seat {
            Some(seat) => seat.take_round(&group, stint, &mut take),
            None => take(&Portion::whole(group)),
        };
        read(open, plan.from..plan.end, pace, (&mut wanted, columns), &mut take_all)?;
        self.seat.as_ref().map_or(Ok(()), |seat| seat.finish(&mut take))?;
        fold.settle();
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
        let Ok(stretch) = ground.stretch(question, at, SettingsNo::UNKNOWN) else { continue };
        for stand in stands(question).into_iter().chain([Stand::AsRecorded]) {
            let Ok((chain, _)) = ground.chain(question, &stretch, stand) else { continue };
            needs.state |= chain.rules.iter().any(|rule| rule.namespace.is_some());
            needs.devices |= chain.rules.iter().any(|rule| rule.reads.contains(Column::Device));
        }
    }
    needs
}

pub(super) fn stands(question: &Question) -> Vec<Stand<'_>> {
    if question.as_recorded {
        return vec![Stand::AsRecorded];
    }
    fn candidate(variant: &Variant, undecided: Undecided) -> Option<Stand<'_>> {
        Some(Stand::Candidate(variant, variant.plugin()?, undecided))
    }
    let variants = question.variants.iter();
    if !question.is_by_readings() {
        return variants.filter_map(|variant| candidate(variant, Undecided::NotAsked)).collect();
    }
    // All that let pass what is undecided, then all that hold it back.
    let variants = [false, true].into_iter().flat_map(|held| variants.clone().enumerate().map(move |at| (held, at)));
    variants.filter_map(|(held, (variant, asked))| candidate(asked, Undecided::Set { variant, held })).collect()
}
