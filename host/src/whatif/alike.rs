//! Alerts that look alike to every rule that is called: each kind of them is judged once, for all lanes.
//!
//! It must not know how alerts are counted, nor state: rules that keep any, or are shown the device or the time, are
//! called for each group instead. Invariant: a kind's marks are those of one alert of it, and whoever finds that a whole
//! group is judged otherwise has everything judged in whole groups.
//!
//! A rule is a function of what it is shown. Alerts of few codes and few voltages are few kinds, so a sweep over many
//! alerts calls its rules for few of them, and what all variants say of a kind is one number.

use std::hash::Hash;

use super::{
    axes::ByKey,
    lane::{Lane, Sheet},
    patterns::{Patterns, SUPPRESSED},
};
use crate::{
    domain::{Column, ColumnSet, Group, Mark, Rows},
    evaluate::{Chain, Judged},
};

/// Kinds at most: where there are more, alerts are too different for this to be of use.
const KINDS_MAX: usize = 1 << 17;

/// The kinds that were met, and what is said of them.
pub(super) struct Kinds {
    /// What tells kinds apart, beside code and flags.
    told_by: ColumnSet,
    /// Kinds by all of it but model and weight, where those tell none apart: half as long a key.
    narrow: ByKey<u64>,
    /// Kinds by all of it.
    wide: ByKey<u128>,
    lanes: usize,
    /// Per kind, what its alerts count as: those that were forwarded, and those that were suppressed.
    patterns: Vec<[u32; 2]>,
    /// Per kind, each lane's mark.
    marks: Vec<Mark>,
}

impl Kinds {
    /// None so far. `None` where these chains are not to be called for kinds.
    pub(super) fn of_chains(chains: &[&Chain]) -> Option<Self> {
        let mut told_by = ColumnSet::default();
        for rule in chains.iter().flat_map(|chain| &chain.rules) {
            told_by = told_by | rule.reads | rule.filter.columns();
            if rule.namespace.is_some() {
                return None;
            }
        }
        let is_wide = [Column::Device, Column::Occurred].into_iter().any(|column| told_by.contains(column));
        (!is_wide).then(|| Self {
            told_by,
            narrow: ByKey::default(),
            wide: ByKey::default(),
            lanes: chains.len(),
            patterns: Vec::new(),
            marks: Vec::new(),
        })
    }

    /// The kind of each of these rows; new ones are judged. `None` where there are too many, a call failed, or something
    /// was said that is not of one alert alone.
    pub(super) fn find(
        &mut self,
        rows: &Rows,
        which: &[u32],
        lanes: &mut [Lane<'_>],
        patterns: &mut Patterns,
    ) -> Option<Vec<u32>> {
        let mut new = Vec::new();
        let told = |column, value: u32| if self.told_by.contains(column) { value } else { 0 };
        let narrow = |row: usize| {
            let operator = told(Column::Operator, u32::from(rows.operator[row]));
            let code = u32::from(rows.code[row]) << 16 | u32::from(rows.flags[row]) << 8 | operator;
            let measurement = told(Column::Measurement, rows.measurement[row].cast_unsigned());
            u64::from(code) << 32 | u64::from(measurement)
        };
        let kinds = if self.told_by.contains(Column::Model) || self.told_by.contains(Column::Weight) {
            let wide = |row: usize| {
                let model = told(Column::Model, rows.model[row]);
                let weight = told(Column::Weight, rows.weight[row]);
                u128::from(narrow(row)) << 64 | u128::from(model) << 32 | u128::from(weight)
            };
            number(&mut self.wide, which, wide, &mut new)
        } else {
            number(&mut self.narrow, which, narrow, &mut new)
        };
        let count = self.narrow.len() + self.wide.len();
        let known = new.is_empty() || (count <= KINDS_MAX && self.learn(&rows.pick(&new), lanes, patterns));
        known.then_some(kinds)
    }

    /// Judges one alert of each new kind. False where a call failed or an alert stands for others.
    fn learn(&mut self, rows: &Rows, lanes: &mut [Lane<'_>], patterns: &mut Patterns) -> bool {
        let open = vec![false; rows.len()];
        let judged: Vec<Judged> = lanes.iter_mut().map(|lane| lane.judge(rows, &open, &[])).collect();
        let stands_for_others = |judged: &Judged| judged.withheld.iter().any(|withheld| *withheld > 0);
        if judged.iter().any(|judged| !judged.faults.is_empty() || stands_for_others(judged)) {
            return false;
        }
        for row in 0..rows.len() {
            let marks = judged.iter().map(|judged| judged.marks[usize::from(judged.mark[row])]);
            self.patterns.push([0, 1].map(|was| {
                let says = lanes.iter().zip(marks.clone()).map(|(lane, mark)| lane.says(&mark)[was]);
                patterns.find(was == 1, says)
            }));
            self.marks.extend(marks);
        }
        true
    }

    /// Whether one lane, judging a whole group, says what it says of the kinds of its alerts.
    pub(super) fn is_as_judged(
        &self,
        at: usize,
        lane: &mut Lane<'_>,
        group: &Group,
        sheet: &Sheet,
        kinds: &[u32],
    ) -> bool {
        let judged = lane.judge(&group.rows, &sheet.closed, &[]);
        let mut compared = sheet.compared.iter().zip(kinds);
        judged.faults.is_empty()
            && compared.all(|(row, kind)| {
                let row = *row as usize;
                judged.withheld[row] == 0 && judged.marks[usize::from(judged.mark[row])] == self.mark(*kind, at)
            })
    }

    /// The mark of a kind in one lane.
    pub(super) fn mark(&self, kind: u32, lane: usize) -> Mark {
        self.marks[kind as usize * self.lanes + lane]
    }

    /// Sets the patterns of the compared rows by their kinds.
    pub(super) fn compare(&self, sheet: &mut Sheet, kinds: &[u32]) {
        let Sheet { compared, patterns, .. } = sheet;
        for (row, kind) in compared.iter().zip(kinds) {
            let pattern = &mut patterns[*row as usize];
            *pattern = self.patterns[*kind as usize][usize::from(*pattern == SUPPRESSED)];
        }
    }
}

/// The kinds of rows by their keys. Rows of kinds that are new are added to `new`.
fn number<K: Copy + Eq + Hash>(
    found: &mut ByKey<K>,
    which: &[u32],
    key: impl Fn(usize) -> K,
    new: &mut Vec<u32>,
) -> Vec<u32> {
    let mut kind = |row: &u32| {
        let key = key(*row as usize);
        found.get(&key).copied().unwrap_or_else(|| {
            let next = found.len() as u32;
            found.insert(key, next);
            new.push(*row);
            next
        })
    };
    which.iter().map(&mut kind).collect()
}
