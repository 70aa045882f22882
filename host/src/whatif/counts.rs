//! Alerts counted by pattern: once each, whatever the number of lanes. What lanes are told of them is added up from that
//! later.
//!
//! It must not know chains or state. Invariant: an alert is in the totals or in the counts that are not added up yet, once.
//!
//! Each axis is counted by itself and a column at a time, in a list that stays in the processor's cache.

use super::{
    axes::{AXES, Axes, Axis, CODE, GENERATION, HOUR, MODEL, OPERATOR},
    lane::{Lane, Sheet},
    patterns::{DUPLICATE, FORWARDED, Pattern, Patterns, SUPPRESSED, UNCOUNTED},
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
    pub(super) devices: Vec<(u32, u32)>,
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
        group: &Group,
        sheet: &mut Sheet,
        lanes: &mut [Lane<'_>],
        computed: &dyn Fn(usize, usize, usize) -> Mark,
    ) {
        let bits = self.patterns.len().next_power_of_two().trailing_zeros().min(PATTERN_BITS_MAX);
        if bits != self.pattern_bits {
            self.settle(lanes);
            self.pattern_bits = bits;
        }
        self.ranks_max.resize(self.patterns.len(), u64::MAX);
        self.add_differing(group, sheet, lanes, computed);
        self.add_all(group, &sheet.patterns);
    }

    /// Counts what is of devices and samples, for alerts of which some lane says something else.
    fn add_differing(
        &mut self,
        group: &Group,
        sheet: &mut Sheet,
        lanes: &mut [Lane<'_>],
        computed: &dyn Fn(usize, usize, usize) -> Mark,
    ) {
        let Sheet { compared, patterns, .. } = sheet;
        let mut differing = vec![0; compared.len()];
        let mut count = 0;
        // Which do is hard to predict: without a branch it takes half the time.
        for (at, row) in compared.iter().enumerate() {
            differing[count] = at;
            count += usize::from(patterns[*row as usize] > SUPPRESSED);
        }
        for at in &differing[..count] {
            let row = compared[*at] as usize;
            let number = patterns[row] as usize;
            let pattern = self.patterns.get(patterns[row]);
            let first = group.rows.device_no[row] as usize * self.lanes;
            if self.devices.len() < first + self.lanes {
                self.devices.resize(first + self.lanes, (0, 0));
            }
            let of_device = &mut self.devices[first..first + self.lanes];
            for lane in &pattern.turned {
                let (suppressed, forwarded) = &mut of_device[*lane as usize];
                *(if pattern.was_suppressed { forwarded } else { suppressed }) += 1;
            }
            let position = group.first.after(row);
            if rank(position, self.seed) <= self.ranks_max[number] {
                let offer = |lane: &u32| {
                    let lane = *lane as usize;
                    let sample = lanes[lane].turns.sample_mut(pattern.was_suppressed);
                    sample.offer(position, || Changed::of(group, row, computed(*at, row, lane)));
                    sample.rank_max()
                };
                self.ranks_max[number] = pattern.turned.iter().map(offer).max().unwrap_or(0);
            }
            if number >> self.pattern_bits > 0 {
                add_alone(&mut self.axes, pattern, &group.rows, row, lanes);
                patterns[row] = if pattern.was_suppressed { SUPPRESSED } else { FORWARDED };
            }
        }
    }

    /// Counts what is of patterns.
    fn add_all(&mut self, group: &Group, patterns: &[u32]) {
        let (rows, bits) = (&group.rows, self.pattern_bits);
        let [code, operator, generation, model, hour] = &mut self.by;
        let axes = self.axes.each_mut();
        add_column(code, axes[CODE], bits, rows.code.iter().map(|code| u32::from(*code)), patterns);
        add_column(operator, axes[OPERATOR], bits, rows.operator.iter().map(|operator| u32::from(*operator)), patterns);
        let generations = rows.flags.iter().map(|flags| Flags(*flags).generation() as u32);
        add_column(generation, axes[GENERATION], bits, generations, patterns);
        add_column(model, axes[MODEL], bits, rows.model.iter().copied(), patterns);
        match only_hour(rows) {
            Some(only) => add_column(hour, axes[HOUR], bits, patterns.iter().map(|_| only), patterns),
            None => add_column(hour, axes[HOUR], bits, rows.received_ms.iter().map(|ms| hour_of(*ms)), patterns),
        }
        self.weights.resize(1 << bits, 0);
        for (weight, pattern) in rows.weight.iter().zip(patterns) {
            self.weights[*pattern as usize] += u64::from(*weight);
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
    }

    /// Takes what was counted of other groups or devices. Both are added up.
    pub(super) fn merge(&mut self, other: &Self) {
        self.baseline.merge(&other.baseline, &mut self.axes, &other.axes);
        let length = self.devices.len().max(other.devices.len());
        self.devices.resize(length, (0, 0));
        for (own, (suppressed, forwarded)) in self.devices.iter_mut().zip(&other.devices) {
            *own = (own.0 + suppressed, own.1 + forwarded);
        }
    }

    /// By device number: alerts that one lane would suppress, and would forward.
    pub(super) fn devices_of(&self, lane: usize) -> impl Iterator<Item = (u32, u32)> {
        self.devices.chunks_exact(self.lanes).map(move |of_device| of_device[lane])
    }
}

fn add_column(
    counts: &mut Vec<u64>,
    axis: &mut Axis,
    pattern_bits: u32,
    values: impl Iterator<Item = u32>,
    patterns: &[u32],
) {
    for (value, pattern) in values.zip(patterns) {
        let at = (axis.number(value) as usize) << pattern_bits | *pattern as usize;
        *slot(counts, at) += 1;
    }
}

/// Counts one alert in each lane, but for what is of devices and samples.
fn add_alone(axes: &mut Axes, pattern: &Pattern, rows: &Rows, row: usize, lanes: &mut [Lane<'_>]) {
    let mut values = [0; AXES];
    values[CODE] = u32::from(rows.code[row]);
    values[OPERATOR] = u32::from(rows.operator[row]);
    values[GENERATION] = Flags(rows.flags[row]).generation() as u32;
    values[MODEL] = rows.model[row];
    values[HOUR] = hour_of(rows.received_ms[row]);
    for (axis, value) in values.into_iter().enumerate() {
        let number = axes.adopt(axis, value);
        tell(pattern, 1, lanes, |turns| slot(&mut turns.by[axis], number));
    }
    tell(pattern, 1, lanes, |turns| &mut turns.total);
    tell_weight(pattern, u64::from(rows.weight[row]), lanes);
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
