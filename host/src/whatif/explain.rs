//! One alert explained: what each rule was shown, what it said and what it kept, computed by the fold once more.
//!
//! It must not know who asks. Invariant: what is said was computed from the log's entries alone and compared with the
//! record; where they differ, or where it cannot be computed, it says so.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    Ground, Pace, Stopped,
    log::{Columns, Open, failed, read},
    verify::Again,
};
use crate::{
    domain::{
        End, Fault, FaultKind, Group, Judge, Mark, Metering, OperatorId, Position, Revision, RuleRevision, Shadow,
        owner_of_rule,
    },
    evaluate::{Chain, Judged, Judgement, judge},
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
    let device_no = group.rows.device_no[row];
    let recorded = (group.mark_of(row), group.withheld[row]);

    let mut again = Again::new(oldest.first, ground, is_idle)?;
    // The state of a device follows from its own alerts.
    again.replay.part = Some((device_no, u32::MAX));
    again.replay.copies_on_record = true;
    let unsaid = |why: String, from| Explanation { steps: Vec::new(), recorded, computed: None, why, from };
    let keeps = |chain: &Chain| chain.rules.iter().any(|rule| rule.namespace.is_some());
    let from = if keeps(&chain_of(ground, head.first)?) { oldest.first } else { head.first };
    let mut diverged = None;
    read(open, from..head.first, pace, (&mut |_| true, Columns::ForRules { devices: true }), &mut |group, _| {
        if diverged.is_none() {
            diverged = again.fold(&group)?.err();
        }
        Ok(())
    })?;
    let before: Vec<u32> =
        (0..row).filter(|row| group.rows.device_no[*row] == device_no).map(|row| row as u32).collect();
    if diverged.is_none() && !before.is_empty() {
        diverged = again.fold(&of_rows(&group, &before))?.err();
    }
    if let Some(divergence) = diverged {
        let why = format!("the log does not follow from itself before this alert: {divergence}");
        return Ok(Some(unsaid(why, from)));
    }

    let alone = of_rows(&group, &[row as u32]);
    let (chain, calls) = watched(again.come_to(head.first)?, ground);
    again.replay.make_room(&chain);
    let obeyed = again.replay.obeyed.clone();
    let duplicate = [recorded.0.end == End::Duplicate];
    let judgement = Judgement {
        rows: &alone.rows,
        duplicate: &duplicate,
        skipped: &[],
        recorded: &alone.faults,
        metering: Metering::Replay,
        obeyed: (!obeyed.is_empty()).then_some((&obeyed, &alone)),
        sheds: false,
        search: &|_| false,
        shares: None,
    };
    let judged = judge(&mut again.replay.state, &chain, judgement);
    let calls = std::mem::take(&mut *calls.lock().unwrap_or_else(PoisonError::into_inner));
    let mark = judged.marks[usize::from(judged.mark[0])];
    // What a rule withheld whose record was taken cannot be told from what others did.
    let withheld = if obeyed.is_empty() { judged.withheld[0] } else { recorded.1 };
    let computed = (mark, withheld);
    let steps = if duplicate[0] { Vec::new() } else { steps(&chain, &alone, &judged, &calls, &obeyed) };
    let fresh = judged.faults.iter().find(|fault| !alone.faults.contains(fault));
    let why = match fresh {
        Some(Fault { rule, kind, detail, .. }) => {
            format!("revision {} failed now and not then: {}: {detail}", rule.0, kind.name())
        }
        None if computed != recorded => format!("recorded {recorded:?}, computed {computed:?}"),
        None => String::new(),
    };
    Ok(Some(Explanation { steps, recorded, computed: Some(computed), why, from }))
}

fn chain_of(ground: &Ground, position: Position) -> Result<Chain, Stopped> {
    let chain = ground.registry.chain_at(position, &ground.sources, &ground.protected, ground.codes_per_device_max);
    chain.map_err(|missing| Stopped::Failed(missing.to_string()))
}

/// The same group as if it had only these rows.
fn of_rows(group: &Group, which: &[u32]) -> Group {
    let faults = group.faults.iter().flat_map(|fault| {
        let concerned = |row: &u32| *row >= fault.first_row && *row - fault.first_row < fault.row_count;
        let rows = which.iter().enumerate().filter(move |(_, row)| concerned(row));
        rows.map(|(at, _)| Fault { first_row: at as u32, row_count: 1, ..fault.clone() })
    });
    let shadows = group
        .shadows
        .iter()
        .map(|shadow| Shadow { rule: shadow.rule, said: which.iter().map(|row| shadow.said[*row as usize]).collect() });
    Group {
        first: group.first,
        judged_ms: group.judged_ms,
        rows: group.rows.pick(which),
        marks: group.marks.clone(),
        mark: which.iter().map(|row| group.mark[*row as usize]).collect(),
        withheld: which.iter().map(|row| group.withheld[*row as usize]).collect(),
        rejected: Vec::new(),
        faults: faults.collect(),
        shadows: shadows.collect(),
    }
}

/// A chain whose calls are written down.
fn watched(chain: &Chain, ground: &Ground) -> (Chain, Calls) {
    let calls = Calls::default();
    let mut chain = chain.clone();
    for rule in &mut chain.rules {
        rule.judge = watch(rule.revision, Arc::clone(&rule.judge), ground, Arc::clone(&calls));
    }
    (chain, calls)
}

fn watch(revision: Revision, plain: Judge, ground: &Ground, calls: Calls) -> Judge {
    let fuel = Arc::new(Mutex::new(None));
    let rule = ground.registry.revision(revision).and_then(|entry| Some((entry, entry.rule.as_ref()?)));
    let metered = rule.and_then(|(entry, rule)| {
        let owner = owner_of_rule(&entry.name).unwrap_or(OperatorId::UNKNOWN);
        let took = Arc::clone(&fuel);
        let note = move |used| *took.lock().unwrap_or_else(PoisonError::into_inner) = Some(used);
        Some(ground.sources.get(&rule.plugin)?.judge_metered(&rule.parameters, owner, note))
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
    let protected = chain.protected.contains(alone.rows.code[0]);
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
