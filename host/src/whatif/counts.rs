//! Alerts counted by pattern: once each, whatever the number of lanes. What lanes are told of them is added up from that
//! later.
//!
//! It must not know chains or state. Invariant: an alert is in the totals or in the counts that are not added up yet, once.
//!
//! Each axis is counted by itself and a column at a time, in a list that stays in the processor's cache.

use super::{
    axes::{AXES, Axes, CODE, GENERATION, HOUR, MODEL, OPERATOR},
    lane::{Lane, Sheet},
    patterns::{DUPLICATE, FORWARDED, Pattern, Patterns, SUPPRESSED, UNCOUNTED},
    shared::Portion,
    tally::{Baseline, Changed, Changes, Turns, slot},
};
use crate::{
    admit::hour_of,
    comparison::rank,
    domain::{Flags, Group, HOUR_MS, Mark, Rows},
};

/// Patterns that are counted together are at most 2 to the power of this. Alerts of others, which are few, are counted
/// lane by lane.
const PATTERN_BITS_MAX: u32 = 6;

/// What was counted.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) axes: Axes,
    pub(super) patterns: Patterns,
    pub(super) baseline: Baseline,
    /// By device number and lane: alerts that would be suppressed, and that would be forwarded.
    devices: Vec<[u32; 2]>,
    /// By pattern and lane: what one alert adds to that of its device.
    device_steps: Vec<[u32; 2]>,
    /// Chooses the sampled alerts.
    seed: u64,
    lanes: usize,
    /// There is room for 2 to the power of this many patterns.
    pattern_bits: u32,
    /// By axis, value and pattern; not yet added up.
    by: [Vec<u64>; AXES],
    /// Sums of weights by pattern; not yet added up.
    weights: Vec<u64>,
    /// By pattern: alerts of a higher rank are in no lane's sample.
    ranks_max: Vec<u64>,
}

impl Counts {
    /// None so far, of so many lanes.
    pub(super) fn new(lanes: usize, seed: u64) -> Self {
        Self {
            axes: Axes::default(),
            patterns: Patterns::new(lanes),
            baseline: Baseline::default(),
            devices: Vec::new(),
            device_steps: Vec::new(),
            seed,
            lanes,
            pattern_bits: 0,
            by: Default::default(),
            weights: Vec::new(),
            ranks_max: Vec::new(),
        }
    }

    /// Counts a group by the patterns of its sheet. `computed` gives the mark of a compared row, by its place among them and
    /// its number, in a lane.
    pub(super) fn add(
        &mut self,
        portion: &Portion,
        sheet: &mut Sheet,
        lanes: &mut [Lane<'_>],
        computed: &dyn Fn(usize, usize, usize) -> Mark,
    ) {
        let bits = self.patterns.len().next_power_of_two().trailing_zeros().min(PATTERN_BITS_MAX);
        if bits != self.pattern_bits {
            self.settle(lanes);
            self.pattern_bits = bits;
        }
        for pattern in self.patterns.iter().skip(self.ranks_max.len()) {
            self.ranks_max.push(u64::MAX);
            let first = self.device_steps.len();
            self.device_steps.resize(first + self.lanes, [0, 0]);
            for lane in &pattern.turned {
                self.device_steps[first + *lane as usize][usize::from(pattern.was_suppressed)] = 1;
            }
        }
        let differing = differing(sheet);
        let group = &portion.group;
        self.add_to_devices(&group.rows, sheet, &differing);
        self.add_to_samples(portion, sheet, &differing, lanes, computed);
        if self.patterns.len() >> bits > 1 {
            self.add_alone(&group.rows, sheet, &differing, lanes);
        }
        self.add_all(group, &sheet.patterns);
    }

    fn add_to_devices(&mut self, rows: &Rows, sheet: &Sheet, differing: &[u32]) {
        let lanes = self.lanes;
        for at in differing {
            let row = sheet.compared[*at as usize] as usize;
            let first = rows.device_no[row] as usize * lanes;
            if self.devices.len() < first + lanes {
                self.devices.resize(first + lanes, [0, 0]);
            }
            // As many for each alert: how many of them add something is hard to predict.
            let steps = &self.device_steps[sheet.patterns[row] as usize * lanes..][..lanes];
            for (count, step) in self.devices[first..][..lanes].iter_mut().zip(steps) {
                *count = [count[0] + step[0], count[1] + step[1]];
            }
        }
    }

    fn add_to_samples(
        &mut self,
        portion: &Portion,
        sheet: &Sheet,
        differing: &[u32],
        lanes: &mut [Lane<'_>],
        computed: &dyn Fn(usize, usize, usize) -> Mark,
    ) {
        for at in differing {
            let at = *at as usize;
            let row = sheet.compared[at] as usize;
            let number = sheet.patterns[row];
            let position = portion.position(row);
            let rank_max = &mut self.ranks_max[number as usize];
            if rank(position, self.seed) <= *rank_max {
                let pattern = self.patterns.get(number);
                let offer = |lane: &u32| {
                    let lane = *lane as usize;
                    let sample = lanes[lane].turns.sample_mut(pattern.was_suppressed);
                    sample.offer(position, || Changed::of(portion, row, computed(at, row, lane)));
                    sample.rank_max()
                };
                *rank_max = pattern.turned.iter().map(offer).max().unwrap_or(0);
            }
        }
    }

    /// Counts in each lane, one by one, alerts of patterns that there is no room for, but for what is of devices and samples.
    /// What happened to them is left to be counted.
    fn add_alone(&mut self, rows: &Rows, sheet: &mut Sheet, differing: &[u32], lanes: &mut [Lane<'_>]) {
        let Sheet { compared, patterns, .. } = sheet;
        for at in differing {
            let row = compared[*at as usize] as usize;
            if patterns[row] >> self.pattern_bits == 0 {
                continue;
            }
            let pattern = self.patterns.get(patterns[row]);
            let mut values = [0; AXES];
            values[CODE] = u32::from(rows.code[row]);
            values[OPERATOR] = u32::from(rows.operator[row]);
            values[GENERATION] = Flags(rows.flags[row]).generation() as u32;
            values[MODEL] = rows.model[row];
            values[HOUR] = hour_of(rows.received_ms[row]);
            for (axis, value) in values.into_iter().enumerate() {
                let number = self.axes.adopt(axis, value);
                tell(pattern, 1, lanes, |turns| slot(&mut turns.by[axis], number));
            }
            tell(pattern, 1, lanes, |turns| &mut turns.total);
            tell_weight(pattern, u64::from(rows.weight[row]), lanes);
            patterns[row] = if pattern.was_suppressed { SUPPRESSED } else { FORWARDED };
        }
    }

    /// Counts what is of patterns.
    fn add_all(&mut self, group: &Group, patterns: &[u32]) {
        let rows = &group.rows;
        let bits = self.pattern_bits;
        let [codes, operators, generations, models, hours] = self.axes.each_mut();
        let [by_code, by_operator, by_generation, by_model, by_hour] = &mut self.by;
        let mut by_pattern = [0_u64; 1 << PATTERN_BITS_MAX];
        // Side by side, for each waits for its last addition to the same place.
        let columns = rows.code.iter().zip(&rows.operator).zip(&rows.flags).zip(&rows.model);
        for ((((code, operator), flags), model), pattern) in columns.zip(patterns) {
            let generation = Flags(*flags).generation() as u32;
            add_one(by_code, codes.number(u32::from(*code)), bits, *pattern);
            add_one(by_operator, operators.number(u32::from(*operator)), bits, *pattern);
            add_one(by_generation, generations.number(generation), bits, *pattern);
            add_one(by_model, models.number(*model), bits, *pattern);
            by_pattern[*pattern as usize] += 1;
        }
        let by_pattern = &by_pattern[..1 << bits];
        match only_hour(rows) {
            Some(hour) => {
                let first = (hours.number(hour) as usize) << bits;
                slot(by_hour, first + by_pattern.len() - 1);
                add_each(&mut by_hour[first..], by_pattern.iter().copied());
            }
            None => {
                for (received_ms, pattern) in rows.received_ms.iter().zip(patterns) {
                    add_one(by_hour, hours.number(hour_of(*received_ms)), bits, *pattern);
                }
            }
        }
        self.weights.resize(1 << bits, 0);
        match only(&rows.weight) {
            Some(weight) => add_each(&mut self.weights, by_pattern.iter().map(|count| count * u64::from(weight))),
            None => {
                for (weight, pattern) in rows.weight.iter().zip(patterns) {
                    self.weights[*pattern as usize] += u64::from(*weight);
                }
            }
        }
        let withheld = group.withheld.iter().zip(patterns);
        let counted = withheld.map(|(withheld, pattern)| u64::from(*withheld) * u64::from(*pattern >= FORWARDED));
        self.baseline.withheld += counted.sum::<u64>();
    }

    /// Adds everything up.
    pub(super) fn settle(&mut self, lanes: &mut [Lane<'_>]) {
        let Self { by, patterns, baseline, weights, .. } = self;
        for (axis, counts) in by.iter_mut().enumerate() {
            for (number, counts) in counts.chunks(1 << self.pattern_bits).enumerate() {
                for ((at, pattern), count) in (0..).zip(patterns.iter()).zip(counts).filter(|(_, count)| **count > 0) {
                    let is_total = axis == CODE;
                    match at {
                        UNCOUNTED => {}
                        DUPLICATE => baseline.duplicates += if is_total { *count } else { 0 },
                        _ => {
                            slot(&mut baseline.by[axis], number).add(pattern.ends(*count));
                            tell(pattern, *count, lanes, |turns| slot(&mut turns.by[axis], number));
                            if is_total {
                                baseline.ends.add(pattern.ends(*count));
                                tell(pattern, *count, lanes, |turns| &mut turns.total);
                            }
                        }
                    }
                }
            }
            counts.clear();
        }
        for (pattern, weight) in patterns.iter().zip(weights.drain(..)).skip(FORWARDED as usize) {
            baseline.represented.add(pattern.ends(weight));
            tell_weight(pattern, weight, lanes);
        }
    }

    /// Forgets the patterns, once everything is added up.
    pub(super) fn forget_patterns(&mut self) {
        self.patterns = Patterns::new(self.lanes);
        self.ranks_max.clear();
        self.device_steps.clear();
    }

    /// Takes what was counted of other groups or devices. Both are added up.
    pub(super) fn merge(&mut self, other: &Self) {
        self.baseline.merge(&other.baseline, &mut self.axes, &other.axes);
        let length = self.devices.len().max(other.devices.len());
        self.devices.resize(length, [0, 0]);
        for (own, more) in self.devices.iter_mut().zip(&other.devices) {
            *own = [own[0] + more[0], own[1] + more[1]];
        }
    }

    /// By device number: alerts that one lane would suppress, and would forward.
    pub(super) fn devices_of(&self, lane: usize) -> impl Iterator<Item = [u32; 2]> {
        self.devices.chunks_exact(self.lanes).map(move |of_device| of_device[lane])
    }
}

/// Of the compared rows, those of which some lane says something else than what happened.
fn differing(sheet: &Sheet) -> Vec<u32> {
    let mut differing = vec![0; sheet.compared.len()];
    let mut count = 0;
    // Which do is hard to predict: without a branch it takes half the time.
    for (at, row) in (0..).zip(&sheet.compared) {
        differing[count] = at;
        count += usize::from(sheet.patterns[*row as usize] > SUPPRESSED);
    }
    differing.truncate(count);
    differing
}

#[inline]
fn add_one(counts: &mut Vec<u64>, number: u32, pattern_bits: u32, pattern: u32) {
    *slot(counts, (number as usize) << pattern_bits | pattern as usize) += 1;
}

fn add_each(counts: &mut [u64], more: impl Iterator<Item = u64>) {
    for (count, more) in counts.iter_mut().zip(more) {
        *count += more;
    }
}

/// What every one is, if they are all the same.
fn only(values: &[u32]) -> Option<u32> {
    let first = *values.first()?;
    values.iter().fold(true, |all, value| all & (*value == first)).then_some(first)
}

/// Tells lanes of so many alerts of a pattern.
fn tell(pattern: &Pattern, count: u64, lanes: &mut [Lane<'_>], changes: impl Fn(&mut Turns) -> &mut Changes) {
    for lane in &pattern.turned {
        let changes = changes(&mut lanes[*lane as usize].turns);
        *(if pattern.was_suppressed { &mut changes.newly_forwarded } else { &mut changes.newly_suppressed }) += count;
    }
    for lane in &pattern.overruled {
        changes(&mut lanes[*lane as usize].turns).overruled += count;
    }
}

/// Tells lanes of the weights of alerts of a pattern.
fn tell_weight(pattern: &Pattern, weight: u64, lanes: &mut [Lane<'_>]) {
    for lane in &pattern.turned {
        let (suppressed, forwarded) = &mut lanes[*lane as usize].turns.represented;
        *(if pattern.was_suppressed { forwarded } else { suppressed }) += weight;
    }
}

/// The hour in which every alert of a group was received, if it is one.
fn only_hour(rows: &Rows) -> Option<u32> {
    let (least, most) = (rows.received_ms.iter().min()?, rows.received_ms.iter().max()?);
    (least.div_euclid(HOUR_MS) == most.div_euclid(HOUR_MS)).then(|| hour_of(*least))
}
