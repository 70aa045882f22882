//! Judging one group: every rule of the chain in order, over columns.
//!
//! It must not know where the group comes from. Invariant: every row ends with exactly one mark; a rule that fails
//! leaves no trace but its fault.

use std::{borrow::Cow, ops::Range};

use crate::{
    domain::{
        Column, ColumnSet, Columns, DeviceNo, End, Fault, FaultKind, Group, Mark, Metering, OperatorId, Outcome,
        Poison, Revision, Rows, RuleFault, Shadow, StateKey,
    },
    evaluate::{Chain, ChainRule, Shares, Slots, State, poison},
};

/// What was decided of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judged {
    /// The marks that occur, each once, in order of first use.
    pub marks: Vec<Mark>,
    /// Per row, index into `marks`.
    pub mark: Vec<u16>,
    /// Per row, suppressed alerts that a forwarded one stands for.
    pub withheld: Vec<u32>,
    /// What rules failed on, by rule and row.
    pub faults: Vec<Fault>,
    /// Rules that were called or had to be, and how it went.
    pub called: Vec<Called>,
    /// What shadow rules said.
    pub shadows: Vec<Shadow>,
    /// Alerts that alone make a rule fail, where that was searched for.
    pub poison: Vec<Poison>,
}

/// How one rule's call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Called {
    /// The rule.
    pub rule: Revision,
    /// The call failed.
    pub failed: bool,
    /// Alerts it was shown.
    pub shown: u32,
    /// Of those, what it suppressed.
    pub suppressed: u32,
    /// Of those, what it would have suppressed if their code were not protected.
    pub overruled: u32,
    /// Alerts that it was not shown because there was no time to call it.
    pub passed_over: u32,
}

impl Called {
    fn new(rule: Revision) -> Self {
        Self { rule, failed: false, shown: 0, suppressed: 0, overruled: 0, passed_over: 0 }
    }
}

/// What to judge, and how.
#[derive(Clone, Copy)]
pub struct Judgement<'a> {
    /// The alerts.
    pub rows: &'a Rows,
    /// Per row: seen before.
    pub duplicate: &'a [bool],
    /// Per row: leave it out altogether. Empty: none. Replay leaves out what a page holds already.
    pub skipped: &'a [bool],
    /// What failed when the group was judged live: obeyed, not tried again. Empty when live.
    pub recorded: &'a [Fault],
    /// How calls are bounded.
    pub metering: Metering,
    /// Rules that are not called because they proved not to be pure: what the log says of them is taken.
    pub obeyed: Option<(&'a [Revision], &'a Group)>,
    /// Shadow rules are not called: there is no time for them.
    pub sheds: bool,
    /// Whether to search, should a rule fail, for the alert that does it.
    pub search: &'a dyn Fn(Revision) -> bool,
    /// How long the rules of operators may judge. `None` where nobody waits: then they have all the time they want.
    pub shares: Option<&'a Shares>,
}

/// Judges a group and folds it into the state of the rules.
pub fn judge(state: &mut State, chain: &Chain, judgement: Judgement<'_>) -> Judged {
    let mut work = Work::new(judgement);
    for rule in &chain.rules {
        if work.obey(rule) || work.shed(rule) {
            continue;
        }
        let slots = rule.namespace.and_then(|(namespace, ..)| state.find_slots(namespace));
        work.apply(rule, chain, slots);
    }
    work.finish()
}

/// A group while the chain walks over it.
struct Work<'a> {
    judgement: Judgement<'a>,
    /// Rows the next rule may see, in order.
    open: Vec<u32>,
    /// Per row, the decision so far.
    decided: Vec<Mark>,
    withheld: Vec<u32>,
    faults: Vec<Fault>,
    called: Vec<Called>,
    shadows: Vec<Shadow>,
    poison: Vec<Poison>,
}

impl<'a> Work<'a> {
    fn new(judgement: Judgement<'a>) -> Self {
        let count = judgement.rows.len();
        let skipped = |row: usize| judgement.skipped.get(row).copied().unwrap_or(false);
        let mark = |copy: &bool| if *copy { Mark::DUPLICATE } else { Mark::FORWARDED };
        Self {
            judgement,
            open: (0..count).filter(|row| !judgement.duplicate[*row] && !skipped(*row)).map(|row| row as u32).collect(),
            decided: judgement.duplicate.iter().map(mark).collect(),
            withheld: vec![0; count],
            faults: Vec::new(),
            called: Vec::new(),
            shadows: Vec::new(),
            poison: Vec::new(),
        }
    }

    /// Takes a rule's decisions from the log, where it is one of those.
    fn obey(&mut self, rule: &ChainRule) -> bool {
        let Some((rules, group)) = self.judgement.obeyed else { return false };
        if !rules.contains(&rule.revision) {
            return false;
        }
        for row in &self.open {
            let recorded = group.mark_of(*row as usize);
            if recorded.rule == rule.revision {
                self.decided[*row as usize] = recorded;
            }
        }
        let decided = &self.decided;
        self.open.retain(|row| decided[*row as usize].end != End::Suppressed);
        true
    }

    /// Passes over a shadow rule that there is no time for, and says so on record: folding the log again must too.
    fn shed(&mut self, rule: &ChainRule) -> bool {
        let shed = rule.shadow && self.judgement.sheds;
        if shed {
            let rows = 0..self.judgement.rows.len() as u32;
            self.fault(rule.revision, FaultKind::Shed, rows, String::new());
            let passed_over = self.visible(rule).len() as u32;
            self.called.push(Called { passed_over, ..Called::new(rule.revision) });
        }
        shed
    }

    /// Calls a rule for what it may see: the host's own once, an operator's in turns. Which calls there are follows from the
    /// rule and the settings alone, so that they are the same where the log is folded again.
    fn apply(&mut self, rule: &ChainRule, chain: &Chain, mut slots: Option<&mut Slots>) {
        let seen = self.visible(rule);
        let mut called = Called::new(rule.revision);
        let mut left = seen.len();
        let turns = if rule.owner == OperatorId::UNKNOWN {
            vec![seen]
        } else {
            seen.chunks(chain.settings.kept.turn_alerts as usize).map(<[u32]>::to_vec).collect()
        };
        for (at, turn) in turns.into_iter().enumerate() {
            let (begins, alerts) = (turn.first().copied().unwrap_or(0), turn.len());
            let has_time = self.shares_of(rule).is_none_or(|shares| shares.has_left((rule.owner, rule.shadow)));
            let passed = match has_time {
                true => self.turn(rule, chain, turn, slots.as_deref_mut(), &mut called),
                false => Err(RuleFault::new(FaultKind::OverShare, "")),
            };
            if let Err(RuleFault { kind, detail }) = passed {
                called.passed_over = if has_time { 0 } else { left as u32 };
                // What it failed on passes, and what comes after.
                let first = if at == 0 { 0 } else { begins };
                self.fault(rule.revision, kind, first..self.judgement.rows.len() as u32, detail);
                break;
            }
            left -= alerts;
        }
        if called.shown > 0 || called.passed_over > 0 {
            self.called.push(called);
        }
        if called.suppressed > 0 {
            let decided = &self.decided;
            self.open.retain(|row| decided[*row as usize].end != End::Suppressed);
        }
    }

    /// What a rule has to share the time by, if it has to.
    fn shares_of(&self, rule: &ChainRule) -> Option<&'a Shares> {
        self.judgement.shares.filter(|_| rule.owner != OperatorId::UNKNOWN)
    }

    /// One call of a rule, and what comes of it.
    fn turn(
        &mut self,
        rule: &ChainRule,
        chain: &Chain,
        mut seen: Vec<u32>,
        mut slots: Option<&mut Slots>,
        called: &mut Called,
    ) -> Result<(), RuleFault> {
        let mut locals = Vec::new();
        let mut table = Vec::new();
        if let (Some(slots), Some((_, key, _))) = (slots.as_deref_mut(), rule.namespace) {
            let codes_max = chain.settings.kept.state_codes_per_device_max as usize;
            self.take_slots(rule, slots, key, codes_max, &mut seen, &mut locals);
            slots.gather(&mut table);
        }
        if seen.is_empty() {
            return Ok(());
        }
        called.shown += seen.len() as u32;
        match self.call(rule, &seen, &locals, &table) {
            Ok(outcome) => {
                if let Some(slots) = slots {
                    slots.scatter(&outcome.state);
                }
                if rule.shadow {
                    self.write_down(rule, &seen, &outcome);
                } else {
                    self.decide(rule, chain, &seen, &outcome, called);
                }
                Ok(())
            }
            Err(fault) => {
                called.failed = true;
                self.search(rule, fault.kind, &seen, &locals, &table);
                if let Some(slots) = slots {
                    slots.roll_back();
                }
                Err(fault)
            }
        }
    }

    /// Names the alert that alone makes a rule fail. Not after a deadline: each call could take as long again.
    fn search(&mut self, rule: &ChainRule, kind: FaultKind, seen: &[u32], locals: &[u32], table: &[u64]) {
        let has_time = || self.shares_of(rule).is_none_or(|shares| shares.may_search((rule.owner, rule.shadow)));
        if kind == FaultKind::Deadline || !(self.judgement.search)(rule.revision) || !has_time() {
            return;
        }
        let locals = |part: &Range<usize>| locals.get(part.clone()).unwrap_or_default();
        let fails = |part: Range<usize>| self.call(rule, &seen[part.clone()], locals(&part), table).is_err();
        if let Some(at) = poison::find(seen.len(), fails) {
            self.poison.push(Poison { rule: rule.revision, row: seen[at] });
        }
    }

    /// The open rows in the rule's scope, without those it is recorded to have failed on.
    fn visible(&mut self, rule: &ChainRule) -> Vec<u32> {
        let rows = self.judgement.rows;
        let failed: Vec<&Fault> = self
            .judgement
            .recorded
            .iter()
            .filter(|fault| fault.rule == rule.revision && fault.kind != FaultKind::StateFull)
            .collect();
        self.faults.extend(failed.iter().copied().cloned());
        let judged = |row: u32| !failed.iter().any(|f| row >= f.first_row && row - f.first_row < f.row_count);
        let open = self.open.iter().copied();
        match (rule.filter.is_open(), failed.is_empty()) {
            (true, true) => self.open.clone(),
            (_, true) => open.filter(|row| rule.filter.admits(rows, *row as usize)).collect(),
            _ => open.filter(|row| judged(*row) && rule.filter.admits(rows, *row as usize)).collect(),
        }
    }

    /// Finds the state entry of each row; rows whose device has no room for another pass the rule.
    fn take_slots(
        &mut self,
        rule: &ChainRule,
        slots: &mut Slots,
        key: StateKey,
        codes_max: usize,
        seen: &mut Vec<u32>,
        locals: &mut Vec<u32>,
    ) {
        let rows = self.judgement.rows;
        let codes_max = if key == StateKey::Device { 1 } else { codes_max };
        slots.begin();
        let keys = seen.iter().map(|row| (DeviceNo(rows.device_no[*row as usize]), rows.code[*row as usize]));
        let mut has_room: Vec<bool> = Vec::with_capacity(keys.len());
        slots.locals(keys, codes_max, |local| {
            has_room.push(local.is_some());
            locals.extend(local);
        });
        let mut full: Vec<Range<u32>> = Vec::new();
        for (row, _) in seen.iter().zip(&has_room).filter(|(_, has_room)| !**has_room) {
            match full.last_mut() {
                Some(run) if run.end == *row => run.end += 1,
                _ => full.push(*row..*row + 1),
            }
        }
        if !full.is_empty() {
            let mut has_room = has_room.into_iter();
            seen.retain(|_| has_room.next().unwrap_or(false));
        }
        for run in full {
            self.fault(rule.revision, FaultKind::StateFull, run, "state_codes_per_device_max is reached".into());
        }
    }

    /// Shows the rule the columns it reads of the rows it sees.
    fn call(&self, rule: &ChainRule, seen: &[u32], locals: &[u32], table: &[u64]) -> Result<Outcome, RuleFault> {
        let call = || ask(rule, self.judgement.rows, (seen, locals, table), self.judgement.metering);
        match self.shares_of(rule) {
            Some(shares) => shares.charge((rule.owner, rule.shadow), call),
            None => call(),
        }
    }

    /// Writes down what a shadow rule said of the rows it saw; nothing comes of it.
    fn write_down(&mut self, rule: &ChainRule, seen: &[u32], outcome: &Outcome) {
        if self.shadows.last().is_none_or(|shadow| shadow.rule != rule.revision) {
            self.shadows.push(Shadow::new(rule.revision, self.judgement.rows.len()));
        }
        if let Some(shadow) = self.shadows.last_mut() {
            for (row, verdict) in seen.iter().zip(&outcome.verdict) {
                shadow.note(*row as usize, *verdict);
            }
        }
    }

    /// Makes what a rule said of the rows it saw what becomes of them.
    fn decide(&mut self, rule: &ChainRule, chain: &Chain, seen: &[u32], outcome: &Outcome, called: &mut Called) {
        for (row, reason) in seen.iter().zip(&outcome.verdict).filter(|(_, verdict)| **verdict != 0) {
            let row = *row as usize;
            let protected = chain.settings.protected.contains(self.judgement.rows.code[row]);
            let end = if protected { End::Forwarded } else { End::Suppressed };
            // The first rule that a protected code overruled is the one on record.
            if !self.decided[row].is_overruled() || end == End::Suppressed {
                self.decided[row] = Mark { end, rule: rule.revision, reason: *reason };
            }
            called.suppressed += u32::from(!protected);
            called.overruled += u32::from(protected);
        }
        for ((row, verdict), withheld) in seen.iter().zip(&outcome.verdict).zip(&outcome.withheld) {
            if *verdict == 0 {
                let sum = &mut self.withheld[*row as usize];
                *sum = sum.saturating_add(*withheld);
            }
        }
    }

    fn fault(&mut self, rule: Revision, kind: FaultKind, rows: Range<u32>, detail: String) {
        let row_count = rows.end - rows.start;
        self.faults.push(Fault { rule, kind, first_row: rows.start, row_count, detail });
    }

    fn finish(self) -> Judged {
        let mut judged = Judged {
            mark: Vec::with_capacity(self.decided.len()),
            withheld: self.withheld,
            faults: self.faults,
            called: self.called,
            shadows: self.shadows,
            poison: self.poison,
            ..Judged::default()
        };
        let mut last = 0;
        for (row, mark) in self.decided.iter().enumerate() {
            // A suppressed alert is no longer a bearer of others.
            if mark.end == End::Suppressed {
                judged.withheld[row] = 0;
            }
            if judged.marks.get(last) != Some(mark) {
                last = judged.marks.iter().position(|known| known == mark).unwrap_or_else(|| {
                    judged.marks.push(*mark);
                    judged.marks.len() - 1
                });
            }
            // A group has at most 65,535 rows, and no more marks than rows.
            judged.mark.push(last as u16);
        }
        judged
    }
}

/// Asks one rule about some rows, with its state for them: nothing is decided by that.
fn ask(
    rule: &ChainRule,
    rows: &Rows,
    (seen, locals, table): (&[u32], &[u32], &[u64]),
    metering: Metering,
) -> Result<Outcome, RuleFault> {
    let view = View { seen, whole: seen.len() == rows.len(), reads: rule.reads };
    let columns = Columns {
        device: &view.asked(Column::Device, &rows.device),
        slot: locals,
        code: &view.column(&rows.code),
        occurred_ms: &view.asked(Column::Occurred, &rows.occurred_ms),
        measurement: &view.asked(Column::Measurement, &rows.measurement),
        weight: &view.asked(Column::Weight, &rows.weight),
        flags: &view.column(&rows.flags),
        operator: &view.asked(Column::Operator, &rows.operator),
        model: &view.asked(Column::Model, &rows.model),
        row: seen,
    };
    let outcome = (rule.judge)(&columns, table, metering)?;
    outcome.checked(seen.len(), table.len(), usize::from(rule.reasons))
}

/// What one rule sees of a group.
struct View<'a> {
    seen: &'a [u32],
    /// It sees every row.
    whole: bool,
    reads: ColumnSet,
}

impl View<'_> {
    /// A column, empty unless the rule reads it.
    fn asked<'r, T: Copy>(&self, column: Column, rows: &'r [T]) -> Cow<'r, [T]> {
        if self.reads.contains(column) { self.column(rows) } else { Cow::default() }
    }

    fn column<'r, T: Copy>(&self, rows: &'r [T]) -> Cow<'r, [T]> {
        match self.whole {
            true => Cow::Borrowed(rows),
            false => self.seen.iter().map(|row| rows[*row as usize]).collect(),
        }
    }
}
