//! Alerts that look alike to every rule that is called: each kind of them is judged once, for all lanes.
//!
//! It must not know how alerts are counted, nor state: rules that keep any, or are shown the device or the time, are
//! called for each group instead. Invariant: a kind's marks are those of one alert of it, and whoever finds that a whole
//! group is judged otherwise has everything judged in whole groups.
//!
//! A rule is a function of what it is shown. Alerts of few codes and few voltages are few kinds, so a sweep over many
//! alerts calls its rules for few of them, and what each variant says of a kind is a bit.

use super::{
    cells::ByKey,
    lane::{Lane, Sheet},
};
use crate::{
    domain::{Column, ColumnSet, End, Group, Mark, Rows},
    evaluate::Chain,
};

/// Kinds at most: where there are more, alerts are too different for this to be of use.
const KINDS_MAX: usize = 1 << 17;

/// The kinds that were met, and what is said of them.
pub(super) struct Kinds {
    /// What tells kinds apart, beside code and flags.
    told_by: ColumnSet,
    found: ByKey<u128>,
    lanes: usize,
    /// Words of a set of lanes.
    words: usize,
    /// Per kind, the lanes that suppress it.
    suppressed: Vec<u64>,
    /// Per kind, the lanes whose candidate would, were its code not protected.
    overruled: Vec<u64>,
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
            found: ByKey::default(),
            lanes: chains.len(),
            words: chains.len().div_ceil(u64::BITS as usize),
            suppressed: Vec::new(),
            overruled: Vec::new(),
            marks: Vec::new(),
        })
    }

    /// The kind of each of these rows; new ones are judged. `None` where there are too many, a call failed, or something
    /// was said that is not of one alert alone.
    pub(super) fn find(&mut self, rows: &Rows, which: &[u32], lanes: &mut [Lane<'_>]) -> Option<Vec<u32>> {
        let mut new = Vec::new();
        let mut kinds = Vec::with_capacity(which.len());
        for row in which {
            let next = self.found.len() as u32;
            let kind = *self.found.entry(self.key(rows, *row as usize)).or_insert(next);
            if kind == next {
                new.push(*row);
            }
            kinds.push(kind);
        }
        let known = new.is_empty() || (self.found.len() <= KINDS_MAX && self.learn(&rows.pick(&new), lanes));
        known.then_some(kinds)
    }

    /// Everything that a rule may be shown of an alert, or be kept from it by.
    fn key(&self, rows: &Rows, row: usize) -> u128 {
        let told = |column, value: u32| if self.told_by.contains(column) { value } else { 0 };
        let operator = told(Column::Operator, u32::from(rows.operator[row]));
        let narrow = u32::from(rows.code[row]) << 16 | u32::from(rows.flags[row]) << 8 | operator;
        let model = told(Column::Model, rows.model[row]);
        let weight = told(Column::Weight, rows.weight[row]);
        let measurement = told(Column::Measurement, rows.measurement[row].cast_unsigned());
        let wide = u128::from(model) << 64 | u128::from(weight) << 32 | u128::from(measurement);
        u128::from(narrow) << 96 | wide
    }

    /// Judges one alert of each new kind. False where a call failed or an alert stands for others.
    fn learn(&mut self, rows: &Rows, lanes: &mut [Lane<'_>]) -> bool {
        let known = self.suppressed.len() / self.words.max(1);
        let count = known + rows.len();
        self.suppressed.resize(count * self.words, 0);
        self.overruled.resize(count * self.words, 0);
        self.marks.resize(count * self.lanes, Mark::FORWARDED);
        let open = vec![false; rows.len()];
        for (at, lane) in lanes.iter_mut().enumerate() {
            let judged = lane.judge(rows, &open, &[]);
            if !judged.faults.is_empty() || judged.withheld.iter().any(|withheld| *withheld > 0) {
                return false;
            }
            for (kind, mark) in (known..).zip(&judged.mark) {
                let mark = judged.marks[usize::from(*mark)];
                let (word, bit) = (kind * self.words + at / 64, 1 << (at % 64));
                self.marks[kind * self.lanes + at] = mark;
                if mark.end == End::Suppressed {
                    self.suppressed[word] |= bit;
                } else if lane.is_overruled(&mark) {
                    self.overruled[word] |= bit;
                }
            }
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
                let alone = self.marks[*kind as usize * self.lanes + at];
                judged.withheld[row] == 0 && judged.marks[usize::from(judged.mark[row])] == alone
            })
    }

    /// Counts what would have been different in every lane.
    pub(super) fn compare(&self, group: &Group, sheet: &Sheet, kinds: &[u32], lanes: &mut [Lane<'_>]) {
        let was_suppressed: Vec<bool> = group.marks.iter().map(|mark| mark.end == End::Suppressed).collect();
        for ((row, place), kind) in sheet.compared.iter().zip(&sheet.places).zip(kinds) {
            let (row, kind) = (*row as usize, *kind as usize);
            let was = was_suppressed[usize::from(group.mark[row])];
            for (word, lanes) in lanes.chunks_mut(64).enumerate() {
                let at = kind * self.words + word;
                let all = u64::MAX >> (64 - lanes.len());
                let (turned, overruled) =
                    if was { (all & !self.suppressed[at], 0) } else { (self.suppressed[at], self.overruled[at]) };
                let first_mark = kind * self.lanes + word * 64;
                for lane in bits(turned) {
                    lanes[lane].turns.turn(group, row, *place, self.marks[first_mark + lane]);
                }
                for lane in bits(overruled) {
                    lanes[lane].turns.overrule(*place);
                }
            }
        }
    }
}

/// The numbers of the bits that are set.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize);
        word &= word.wrapping_sub(1);
        bit
    })
}

#[cfg(test)]
mod tests {
    use super::bits;

    #[test]
    fn a_words_bits_are_named_in_order() {
        assert_eq!(bits(0).count(), 0);
        assert_eq!(bits(1 << 63 | 0b101).collect::<Vec<_>>(), [0, 2, 63]);
        assert_eq!(bits(u64::MAX).collect::<Vec<_>>(), (0..64).collect::<Vec<_>>());
    }
}
