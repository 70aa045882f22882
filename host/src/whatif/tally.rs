//! Counting: what happened, once for all variants, and what each variant would have changed.
//!
//! It must not know chains or state. Invariant: only an alert whose end is known and differs is counted as changed, so
//! what both say the same of is the rest.

use super::{
    axes::{AXES, Axes},
    shared::Portion,
};
use crate::{
    comparison::{Agreement, Sample},
    domain::{Flags, Mark, Position},
};

/// Alerts that were forwarded and suppressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) forwarded: u64,
    pub(super) suppressed: u64,
}

impl Ends {
    pub(super) fn add(&mut self, other: Self) {
        self.forwarded += other.forwarded;
        self.suppressed += other.suppressed;
    }
}

/// Alerts whose end would be another, and those that a protected code would have kept from it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) newly_suppressed: u64,
    pub(super) newly_forwarded: u64,
    pub(super) overruled: u64,
}

impl Changes {
    pub(super) fn add(&mut self, other: &Self) {
        self.newly_suppressed += other.newly_suppressed;
        self.newly_forwarded += other.newly_forwarded;
        self.overruled += other.overruled;
    }

    /// How many differ.
    pub(super) fn count(&self) -> u64 {
        self.newly_suppressed + self.newly_forwarded
    }

    /// What both say, of so many.
    pub(super) fn agreement(&self, now: Ends) -> Agreement {
        Agreement {
            both_forward: now.forwarded - self.newly_suppressed - self.overruled,
            both_suppress: now.suppressed - self.newly_forwarded,
            would_suppress: self.newly_suppressed,
            would_forward: self.newly_forwarded,
            overruled: self.overruled,
        }
    }
}

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Baseline {
    pub(super) by: [Vec<Ends>; AXES],
    pub(super) ends: Ends,
    /// Sums of weights.
    pub(super) represented: Ends,
    /// What forwarded alerts stand for beside themselves, by decision of rules.
    pub(super) withheld: u64,
    /// Seen before.
    pub(super) duplicates: u64,
}

impl Baseline {
    /// Adds what was counted of other groups or devices. Both are settled.
    pub(super) fn merge(&mut self, other: &Self, axes: &mut Axes, theirs: &Axes) {
        for axis in 0..AXES {
            for (value, ends) in theirs.values(axis).iter().zip(&other.by[axis]) {
                slot(&mut self.by[axis], axes.adopt(axis, *value)).add(*ends);
            }
        }
        self.ends.add(other.ends);
        self.represented.add(other.represented);
        self.withheld += other.withheld;
        self.duplicates += other.duplicates;
    }
}

/// An alert whose end would be another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Changed {
    pub(super) position: Position,
    pub(super) device_no: u32,
    pub(super) code: u16,
    pub(super) operator: u8,
    pub(super) generation: u8,
    pub(super) model: u32,
    pub(super) occurred_ms: i64,
    pub(super) received_ms: i64,
    pub(super) measurement: Option<i32>,
    pub(super) weight: u32,
    pub(super) recorded: Mark,
    pub(super) computed: Mark,
}

impl Changed {
    pub(super) fn of(portion: &Portion, row: usize, computed: Mark) -> Self {
        let group = &portion.group;
        let rows = &group.rows;
        let flags = Flags(rows.flags[row]);
        Self {
            position: portion.position(row),
            device_no: rows.device_no[row],
            code: rows.code[row],
            operator: rows.operator[row],
            generation: flags.generation() as u8,
            model: rows.model[row],
            occurred_ms: rows.occurred_ms[row],
            received_ms: rows.received_ms[row],
            measurement: flags.has_measurement().then_some(rows.measurement[row]),
            weight: rows.weight[row],
            recorded: group.mark_of(row),
            computed,
        }
    }
}

/// What one variant would have changed.
#[derive(Debug)]
pub(super) struct Turns {
    pub(super) by: [Vec<Changes>; AXES],
    pub(super) total: Changes,
    /// Sums of weights of what would be suppressed, and of what would be forwarded.
    pub(super) represented: (u64, u64),
    /// What forwarded alerts would stand for beside themselves.
    pub(super) withheld: u64,
    pub(super) suppressed: Sample<Changed>,
    pub(super) forwarded: Sample<Changed>,
}

impl Turns {
    pub(super) fn new(samples_max: usize, seed: u64) -> Self {
        Self {
            by: Default::default(),
            total: Changes::default(),
            represented: (0, 0),
            withheld: 0,
            suppressed: Sample::new(samples_max, seed),
            forwarded: Sample::new(samples_max, seed),
        }
    }

    /// Takes what was found of other groups or devices.
    pub(super) fn merge(&mut self, other: Self, axes: &mut Axes, theirs: &Axes) {
        for axis in 0..AXES {
            for (value, changes) in theirs.values(axis).iter().zip(&other.by[axis]) {
                slot(&mut self.by[axis], axes.adopt(axis, *value)).add(changes);
            }
        }
        self.total.add(&other.total);
        self.represented.0 += other.represented.0;
        self.represented.1 += other.represented.1;
        self.withheld += other.withheld;
        self.suppressed.merge(other.suppressed);
        self.forwarded.merge(other.forwarded);
    }

    /// The sample of those that would be forwarded, if they were suppressed, or the other way round.
    pub(super) fn sample_mut(&mut self, was_suppressed: bool) -> &mut Sample<Changed> {
        if was_suppressed { &mut self.forwarded } else { &mut self.suppressed }
    }
}

/// What stands at a place of a list that is as long as need be.
#[inline]
pub(super) fn slot<T: Clone + Default>(list: &mut Vec<T>, at: usize) -> &mut T {
    if list.len() <= at {
        list.resize(at + 1, T::default());
    }
    &mut list[at]
}
