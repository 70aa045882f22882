//! Comparing a shadow rule with what really happened: where both say the same, and what would have been different.
//!
//! It must not know how groups are kept. Invariant: each logged alert in the rule's scope is in exactly one figure, and
//! what the rule said is what it said then: nothing is judged again.

use std::{collections::HashMap, ops::Range};

use crate::{
    admit::hour_of,
    books::{CountKey, Grouping, Names},
    domain::{Cell, End, Fault, FaultKind, Generation, Group, Millis, Mode, Position, Revision, RuleRevision, Scope},
    evaluate::{Filter, SettingsByNo},
};

mod sample;

pub use sample::{Sample, mixed, rank};

/// Rows of one comparison.
pub const ROWS_MAX: usize = 10_000;

/// A cell that stands for everything.
const NOTHING: Cell = Cell {
    code: None,
    operator: 0,
    generation: Generation::Unknown as u8,
    model: 0,
    end: End::Forwarded,
    rule: Revision::NONE,
    reason: 0,
};

/// What to compare.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ComparisonQuery {
    /// The rule.
    pub rule: String,
    /// In this order; neither rule nor rejection.
    pub group_by: Vec<Grouping>,
    /// Received at or after.
    pub since_ms: Option<Millis>,
    /// Received before.
    pub until_ms: Option<Millis>,
    /// Sampled alerts of each kind of difference.
    pub samples_max: usize,
}

impl ComparisonQuery {
    /// The times of receipt it lets through.
    pub fn received_ms(&self) -> Range<Millis> {
        self.since_ms.unwrap_or(Millis::MIN)..self.until_ms.unwrap_or(Millis::MAX)
    }
}

/// What became of alerts that a shadow rule was shown, against what it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Agreement {
    /// Forwarded, and it would have.
    pub both_forward: u64,
    /// Suppressed, and it would have.
    pub both_suppress: u64,
    /// Forwarded, and it would have suppressed.
    pub would_suppress: u64,
    /// Suppressed by another rule, and it would have forwarded.
    pub would_forward: u64,
    /// It would have suppressed, and would have been overruled: the code is protected.
    pub overruled: u64,
}

/// An alert on which the rule and what happened differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// Where it stands.
    pub position: Position,
    /// The reason the rule gave, from 1; 0: it would have forwarded the alert.
    pub reason: u16,
}

/// A comparison.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    /// Ordered by key, in the order of `group_by`.
    pub rows: Vec<(CountKey, Agreement)>,
    /// The sum of all rows.
    pub total: Agreement,
    /// In scope, and not shown because an earlier rule suppressed them.
    pub held_before: u64,
    /// In scope, and not shown because the host had no time for the rule.
    pub shed: u64,
    /// In scope, and not judged because the call failed.
    pub failed: u64,
    /// A few of the differences, in log order.
    pub samples: Vec<Difference>,
    /// Compared from here on.
    pub since: Position,
    /// Everything before was compared.
    pub position: Position,
}

/// More rows than one answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyRows;

/// Where in the log a rule stood as a shadow, saying what it says now or said last.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Its revisions, newest first, each with where it stood: they differ in mode alone.
    pub revisions: Vec<(Revision, Range<Position>)>,
    /// Which alerts it sees.
    pub scope: Scope,
}

impl Trial {
    /// From a rule's history, newest first. `None`: it never was a shadow.
    pub fn of(history: &[&RuleRevision]) -> Option<Self> {
        let is_shadow = |entry: &RuleRevision| entry.rule.as_ref().is_some_and(|rule| rule.mode == Mode::Shadow);
        let newest = history.iter().position(|entry| is_shadow(entry))?;
        let said = history[newest].rule.as_ref()?;
        let same = |entry: &RuleRevision| {
            let Some(rule) = &entry.rule else { return false };
            let (a, b) = (rule, said);
            (a.plugin, &a.parameters, &a.scope, a.order) == (b.plugin, &b.parameters, &b.scope, b.order)
        };
        let run = (newest..history.len()).take_while(|at| same(history[*at])).filter(|at| is_shadow(history[*at]));
        let stood = |at: usize| {
            let until = at.checked_sub(1).map_or(Position(u64::MAX), |next| history[next].since);
            (history[at].revision, history[at].since..until)
        };
        Some(Self { revisions: run.map(stood).collect(), scope: said.scope.clone() })
    }

    /// Where it first stood.
    pub fn since(&self) -> Position {
        self.revisions.last().map_or(Position(0), |(_, stood)| stood.start)
    }
}

/// A comparison while groups are looked through.
pub struct Comparing<'a> {
    query: &'a ComparisonQuery,
    names: &'a Names,
    trial: &'a Trial,
    filter: Filter,
    settings: &'a SettingsByNo,
    /// By hour and cell, as far as is grouped by.
    rows: HashMap<(u32, Cell), Agreement>,
    would_suppress: Sample<Difference>,
    would_forward: Sample<Difference>,
    found: Comparison,
}

impl<'a> Comparing<'a> {
    /// Nothing compared yet.
    pub fn new(query: &'a ComparisonQuery, names: &'a Names, trial: &'a Trial, settings: &'a SettingsByNo) -> Self {
        let since = trial.since();
        Self {
            query,
            names,
            trial,
            filter: Filter::new(&trial.scope),
            settings,
            rows: HashMap::new(),
            would_suppress: Sample::new(query.samples_max, 0),
            would_forward: Sample::new(query.samples_max, 0),
            found: Comparison { since, position: since, ..Comparison::default() },
        }
    }

    /// Looks through one group. Rules change between groups only.
    pub fn take(&mut self, group: &Group) -> Result<(), TooManyRows> {
        self.found.position = group.end();
        let trial = self.trial;
        let Some((revision, _)) = trial.revisions.iter().find(|(_, stood)| stood.contains(&group.first)) else {
            return Ok(());
        };
        let received = self.query.received_ms();
        let shadow = group.shadows.iter().find(|shadow| shadow.rule == *revision);
        let faults: Vec<&Fault> = group.faults.iter().filter(|fault| fault.rule == *revision).collect();
        for row in 0..group.rows.len() {
            let end = group.mark_of(row).end;
            let wanted = received.contains(&group.rows.received_ms[row]);
            if end == End::Duplicate || !wanted || !self.filter.admits(&group.rows, row) {
                continue;
            }
            match shadow.and_then(|shadow| shadow.verdict(row)) {
                Some(verdict) => self.shown(group, row, end, verdict)?,
                None => self.not_shown(&faults, row as u32),
            }
        }
        Ok(())
    }

    /// Passes over groups up to a position: nothing in them was asked for.
    pub fn skip(&mut self, end: Position) {
        self.found.position = end;
    }

    fn not_shown(&mut self, faults: &[&Fault], row: u32) {
        let fault = faults.iter().find(|f| row >= f.first_row && row - f.first_row < f.row_count);
        *match fault.map(|fault| fault.kind) {
            Some(FaultKind::Shed | FaultKind::OverShare) => &mut self.found.shed,
            Some(_) => &mut self.found.failed,
            None => &mut self.found.held_before,
        } += 1;
    }

    fn shown(&mut self, group: &Group, row: usize, end: End, verdict: u16) -> Result<(), TooManyRows> {
        let key = self.key(group, row);
        if self.rows.len() >= ROWS_MAX && !self.rows.contains_key(&key) {
            return Err(TooManyRows);
        }
        let agreement = self.rows.entry(key).or_default();
        let is_protected = self.settings.of(group.settings).protected.contains(group.rows.code[row]);
        let difference = Difference { position: group.first.after(row), reason: verdict };
        *match (end, verdict) {
            (End::Forwarded, 0) => &mut agreement.both_forward,
            (End::Forwarded, _) if is_protected => &mut agreement.overruled,
            (End::Forwarded, _) => {
                self.would_suppress.offer(difference.position, || difference);
                &mut agreement.would_suppress
            }
            (_, 0) => {
                self.would_forward.offer(difference.position, || difference);
                &mut agreement.would_forward
            }
            _ => &mut agreement.both_suppress,
        } += 1;
        Ok(())
    }

    /// The row of the answer that an alert belongs to: what is not grouped by is left at nothing.
    fn key(&self, group: &Group, row: usize) -> (u32, Cell) {
        let (mut hour, mut key) = (0, NOTHING);
        let cell = group.cell_of(row);
        for grouping in &self.query.group_by {
            match grouping {
                Grouping::Code => key.code = cell.code,
                Grouping::Operator => key.operator = cell.operator,
                Grouping::Generation => key.generation = cell.generation,
                Grouping::Model => key.model = cell.model,
                Grouping::Hour => hour = hour_of(group.rows.received_ms[row]),
                Grouping::Day => hour = hour_of(group.rows.received_ms[row]) / 24 * 24,
                Grouping::Rule | Grouping::Rejection | Grouping::Family => {}
                Grouping::Device | Grouping::Recipient | Grouping::OccurredDay | Grouping::Label(_) => {}
            }
        }
        (hour, key)
    }

    /// The comparison.
    pub fn finish(self) -> Comparison {
        let Self { query, names, rows, would_suppress, would_forward, mut found, .. } = self;
        for agreement in rows.values() {
            found.total.add(agreement);
        }
        let named = |((hour, cell), agreement)| (CountKey::of(&query.group_by, names, hour, &cell), agreement);
        found.rows = rows.into_iter().map(named).collect();
        found.rows.sort_by(|(a, _), (b, _)| a.compare(b, &query.group_by));
        found.samples = would_suppress.take().into_iter().chain(would_forward.take()).collect();
        found.samples.sort_unstable();
        found
    }
}

impl Agreement {
    /// Alerts that the rule was shown.
    pub fn shown(&self) -> u64 {
        let Self { both_forward, both_suppress, would_suppress, would_forward, overruled } = *self;
        both_forward + both_suppress + would_suppress + would_forward + overruled
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        let Self { both_forward, both_suppress, would_suppress, would_forward, overruled } = *other;
        self.both_forward += both_forward;
        self.both_suppress += both_suppress;
        self.would_suppress += would_suppress;
        self.would_forward += would_forward;
        self.overruled += overruled;
    }
}

#[cfg(test)]
mod tests;
