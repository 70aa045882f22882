//! One alert explained: what each rule was shown, what it said and what it kept, computed by the fold once more.
//!
//! It must not know who asks. Invariant: what is said was computed from the log's entries alone and compared with the
//! record; where they differ, or where it cannot be computed, it says so.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    Ground, Pace, Stopped,
    log::{Columns, Open, failed, read},
    verify::{Again, chain_at},
};
use crate::{
    domain::{
        End, Fault, FaultKind, Group, GuestRoom, Judge, Mark, Metering, OperatorId, Position, Revision, RuleRevision,
        Shadow, owner_of_rule,
    },
    evaluate::{Chain, Divergence, Judged, Judgement, judge},
};

/// What one rule had to do with an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its revision.
    pub revision: Revision,
    /// It is only written down what it says.
    pub shadow: bool,
    /// What it said.
    pub said: StepVerdict,
    /// Its reason, from 1; 0 for none.
    pub reason: u8,
    /// Suppressed alerts that it says this one stands for.
    pub withheld: u32,
    /// The words it was shown and those it gave back; `None` where it was not called or keeps none.
    pub state: Option<(Vec<u64>, Vec<u64>)>,
    /// What the call took; `None` where there was none.
    pub fuel: Option<u64>,
}

/// What a rule said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepVerdict {
    /// It is not for such alerts.
    OutOfScope,
    /// A rule before it had held the alert back.
    NotReached,
    /// Let it pass.
    Forward,
    /// Hold it back.
    Suppress,
    /// Hold it back, but the code is protected.
    Overruled,
    /// It failed, and the alert passed it.
    Failed(FaultKind),
    /// Its state or its plugin is not there: what is on record was taken for it.
    OnRecord,
}

/// An alert explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The rules in order; none for a copy.
    pub steps: Vec<Step>,
    /// What is on record, with the suppressed alerts it stands for.
    pub recorded: (Mark, u32),
    /// What the fold says now; `None` where it cannot say.
    pub computed: Option<(Mark, u32)>,
    /// Why it cannot, or what differs.
    pub why: String,
    /// The log was folded from here.
    pub from: Position,
}

impl Explanation {
    /// Whether the fold says what is on record.
    pub fn is_reproduced(&self) -> bool {
        self.computed == Some(self.recorded) && self.why.is_empty()
    }
}

/// One call of a rule.
#[derive(Debug, Clone)]
struct Call {
    rule: Revision,
    before: Vec<u64>,
    /// Verdict, withheld and the state it gave back; `None` where it failed.
    said: Option<(u8, u32, Vec<u64>)>,
    fuel: Option<u64>,
}

type Calls = Arc<Mutex<Vec<Call>>>;

/// Explains the alert at a position, if there is one. `is_idle`: the host does not run that rule's plugin.
pub fn explain(
    position: Position,
    ground: &Ground,
    is_idle: &dyn Fn(&RuleRevision) -> bool,
    open: Open<'_>,
    pace: &Pace,
) -> Result<Option<Explanation>, Stopped> {
    let mut heads = open()?.heads(Position(0)).map_err(failed)?;
    let Some(oldest) = heads.next().transpose().map_err(failed)? else { return Ok(None) };
    let mut heads = open()?.heads(position).map_err(failed)?;
    let Some(head) = heads.next().transpose().map_err(failed)? else { return Ok(None) };
    if head.first > position || head.rows == 0 {
        return Ok(None);
    }
    let group = heads.read(&head).map_err(failed)?;
    drop(heads);
    let row = usize::try_from(position.0 - head.first.0).unwrap_or(usize::MAX);

    let mut again = Again::new(oldest.first, ground, is_idle)?;
    // The state of a device follows from its own alerts, and there is none to compute where no rule keeps any.
    again.replay.part = Some((group.rows.device_no[row], u32::MAX));
    again.replay.copies_on_record = true;
    let keeps = chain_at(ground, head.first, group.settings)?.rules.iter().any(|rule| rule.namespace.is_some());
    let from = if keeps { oldest.first } else { head.first };
    if let Some(divergence) = fold_up_to(&mut again, (&group, row), from, open, pace)? {
        let why = format!("the log does not follow from itself before this alert: {divergence}");
        let recorded = (group.mark_of(row), group.withheld[row]);
        return Ok(Some(Explanation { steps: Vec::new(), recorded, computed: None, why, from }));
    }
    judge_again(&mut again, &of_rows(&group, &[row as u32]), from, ground).map(Some)
}

/// Folds everything that the device had before a row of a group.
fn fold_up_to(
    again: &mut Again<'_>,
    (group, row): (&Group, usize),
    from: Position,
    open: Open<'_>,
    pace: &Pace,
) -> Result<Option<Divergence>, Stopped> {
    let mut diverged = None;
    read(open, from..group.first, pace, (&mut |_| true, Columns::ForRules { devices: true }), &mut |group, _| {
        if diverged.is_none() {
            diverged = again.fold(&group)?.err();
        }
        Ok(())
    })?;
    let devices = &group.rows.device_no;
    let before: Vec<u32> = (0..row).filter(|other| devices[*other] == devices[row]).map(|row| row as u32).collect();
    if diverged.is_none() && !before.is_empty() {
        diverged = again.fold(&of_rows(group, &before))?.err();
    }
    Ok(diverged)
}

/// Judges the one row of a group, with the calls of its rules written down.
fn judge_again(again: &mut Again<'_>, alone: &Group, from: Position, ground: &Ground) -> Result<Explanation, Stopped> {
    let (chain, calls) = watched(again.come_to(alone)?, ground);
    again.replay.make_room(&chain);
    let obeyed = again.replay.obeyed.clone();
    let recorded = (alone.mark_of(0), alone.withheld[0]);
    let duplicate = [recorded.0.end == End::Duplicate];
    let judgement = Judgement {
        rows: &alone.rows,
        duplicate: &duplicate,
        skipped: &[],
        recorded: &alone.faults,
        metering: Metering::Replay,
        obeyed: (!obeyed.is_empty()).then_some((&obeyed, alone)),
        sheds: false,
        search: &|_| false,
        shares: None,
    };
    let judged = judge(&mut again.replay.state, &chain, judgement);
    let calls = std::mem::take(&mut *calls.lock().unwrap_or_else(PoisonError::into_inner));
    // What a rule withheld whose record was taken cannot be told from what others did.
    let withheld = if obeyed.is_empty() { judged.withheld[0] } else { recorded.1 };
    let computed = (judged.marks[usize::from(judged.mark[0])], withheld);
    Ok(Explanation {
        steps: if duplicate[0] { Vec::new() } else { steps(&chain, alone, &judged, &calls, &obeyed) },
        recorded,
        computed: Some(computed),
        why: difference(alone, &judged, computed, &obeyed),
        from,
    })
}

/// In what the fold differs from the record; empty where it does not.
fn difference(alone: &Group, judged: &Judged, computed: (Mark, u32), obeyed: &[Revision]) -> String {
    if let Some(Fault { rule, kind, detail, .. }) = judged.faults.iter().find(|fault| !alone.faults.contains(fault)) {
        return format!("revision {} failed now and not then: {}: {detail}", rule.0, kind.name());
    }
    let recorded = (alone.mark_of(0), alone.withheld[0]);
    if computed != recorded {
        return format!("recorded {recorded:?}, computed {computed:?}");
    }
    let said = |shadows: &[Shadow], rule| {
        shadows.iter().find(|shadow| shadow.rule == rule).and_then(|shadow| shadow.verdict(0))
    };
    let mut rules = alone.shadows.iter().chain(&judged.shadows).map(|shadow| shadow.rule);
    let differs =
        |rule: &Revision| !obeyed.contains(rule) && said(&alone.shadows, *rule) != said(&judged.shadows, *rule);
    let other = rules.find(differs);
    other.map_or_else(String::new, |rule| format!("the shadow rule of revision {} said something else then", rule.0))
}

/// The same group as if it had only these rows.
fn of_rows(group: &Group, which: &[u32]) -> Group {
    let said = |shadow: &Shadow| which.iter().map(|row| shadow.said[*row as usize]).collect();
    let shadows = group.shadows.iter().map(|shadow| Shadow { rule: shadow.rule, said: said(shadow) });
    Group { shadows: shadows.collect(), ..group.pick(which) }
}

/// A chain whose calls are written down.
fn watched(chain: &Chain, ground: &Ground) -> (Chain, Calls) {
    let calls = Calls::default();
    let mut chain = chain.clone();
    for rule in &mut chain.rules {
        let room = chain.settings.kept.room(rule.owner);
        rule.judge = watch((rule.revision, room), Arc::clone(&rule.judge), ground, Arc::clone(&calls));
    }
    (chain, calls)
}

fn watch((revision, room): (Revision, GuestRoom), plain: Judge, ground: &Ground, calls: Calls) -> Judge {
    let fuel = Arc::new(Mutex::new(None));
    let rule = ground.registry.revision(revision).and_then(|entry| Some((entry, entry.rule.as_ref()?)));
    let metered = rule.and_then(|(entry, rule)| {
        let owner = owner_of_rule(&entry.name).unwrap_or(OperatorId::UNKNOWN);
        let took = Arc::clone(&fuel);
        let note = move |used| *took.lock().unwrap_or_else(PoisonError::into_inner) = Some(used);
        Some(ground.sources.get(&rule.plugin)?.judge_metered(&rule.parameters, (owner, room), note))
    });
    let judge = metered.unwrap_or(plain);
    Arc::new(move |columns, state, metering| {
        let outcome = judge(columns, state, metering);
        let said = outcome.as_ref().ok().map(|outcome| {
            let (verdict, withheld) = (outcome.verdict.first(), outcome.withheld.first());
            (verdict.copied().unwrap_or(0), withheld.copied().unwrap_or(0), outcome.state.clone())
        });
        let fuel = fuel.lock().unwrap_or_else(PoisonError::into_inner).take();
        let call = Call { rule: revision, before: state.to_vec(), said, fuel };
        calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        outcome
    })
}

/// What each rule of the chain had to do with the one row.
fn steps(chain: &Chain, alone: &Group, judged: &Judged, calls: &[Call], obeyed: &[Revision]) -> Vec<Step> {
    let protected = chain.settings.protected.contains(alone.rows.code[0]);
    let mut held_back = false;
    let mut steps = Vec::with_capacity(chain.rules.len());
    for rule in &chain.rules {
        let call = calls.iter().find(|call| call.rule == rule.revision);
        let fault = judged.faults.iter().find(|fault| fault.rule == rule.revision);
        let said = call.and_then(|call| call.said.as_ref());
        let verdict = match (fault, said) {
            _ if held_back => StepVerdict::NotReached,
            _ if !rule.filter.admits(&alone.rows, 0) => StepVerdict::OutOfScope,
            _ if obeyed.contains(&rule.revision) => StepVerdict::OnRecord,
            (Some(fault), _) => StepVerdict::Failed(fault.kind),
            (None, Some((0, ..))) => StepVerdict::Forward,
            (None, Some(_)) if rule.shadow || !protected => StepVerdict::Suppress,
            (None, Some(_)) => StepVerdict::Overruled,
            (None, None) => StepVerdict::OutOfScope,
        };
        let on_record = verdict == StepVerdict::OnRecord && alone.mark_of(0).rule == rule.revision;
        held_back |= (verdict == StepVerdict::Suppress && !rule.shadow)
            || (on_record && alone.mark_of(0).end == End::Suppressed);
        let keeps = rule.namespace.is_some();
        steps.push(Step {
            revision: rule.revision,
            shadow: rule.shadow,
            said: verdict,
            reason: if on_record { alone.mark_of(0).reason } else { said.map_or(0, |said| said.0) },
            withheld: said.map_or(0, |said| said.1),
            state: call.zip(said).filter(|_| keeps).map(|(call, said)| (call.before.clone(), said.2.clone())),
            fuel: call.and_then(|call| call.fuel),
        });
    }
    steps
}
