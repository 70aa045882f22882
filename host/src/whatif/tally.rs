//! Counting: what happened, once for all variants, and what each variant would have changed.
//!
//! It must not know chains or state. Invariant: only an alert whose end is known and differs is counted as changed, so
//! what both say the same of is the rest.

use super::cells::{AXES, Axes, Cells, HOUR};
use crate::{
    comparison::{Agreement, Sample},
    domain::{End, Flags, Group, Mark, Position, Rows},
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

/// Where an alert is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Its cell.
    pub(super) cell: u32,
    /// The number of its hour.
    pub(super) hour: u32,
}

impl Place {
    /// Of one row.
    pub(super) fn of(cells: &mut Cells, rows: &Rows, row: usize) -> Self {
        Self { cell: cells.of(rows, row), hour: cells.hour_of(rows, row) }
    }
}

/// Alerts of one cell: what happened to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counted {
    ends: Ends,
    represented: Ends,
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
    /// By cell; not yet added up.
    cells: Vec<Counted>,
}

impl Baseline {
    /// Counts one alert that was taken.
    pub(super) fn count(&mut self, group: &Group, row: usize, place: Place, end: End) {
        let counted = slot(&mut self.cells, place.cell as usize);
        let hour = slot(&mut self.by[HOUR], place.hour as usize);
        let weight = u64::from(group.rows.weight[row]);
        let (suppressed, forwarded) = (u64::from(end == End::Suppressed), u64::from(end != End::Suppressed));
        counted.ends.add(Ends { forwarded, suppressed });
        counted.represented.add(Ends { forwarded: forwarded * weight, suppressed: suppressed * weight });
        hour.add(Ends { forwarded, suppressed });
        self.withheld += u64::from(group.withheld[row]);
    }

    /// Adds everything up.
    pub(super) fn settle(&mut self, cells: &Cells) {
        for (counted, numbers) in self.cells.drain(..).zip(cells.numbers()) {
            if counted == Counted::default() {
                continue;
            }
            for (by, number) in self.by.iter_mut().zip(numbers) {
                slot(by, *number as usize).add(counted.ends);
            }
            self.ends.add(counted.ends);
            self.represented.add(counted.represented);
        }
    }

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
    fn of(group: &Group, row: usize, computed: Mark) -> Self {
        let rows = &group.rows;
        let flags = Flags(rows.flags[row]);
        Self {
            position: group.first.after(row),
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
    /// By device number.
    pub(super) devices: Vec<(u32, u32)>,
    pub(super) suppressed: Sample<Changed>,
    pub(super) forwarded: Sample<Changed>,
    /// By cell; not yet added up.
    cells: Vec<Changes>,
}

impl Turns {
    pub(super) fn new(samples_max: usize, seed: u64) -> Self {
        Self {
            by: Default::default(),
            total: Changes::default(),
            represented: (0, 0),
            withheld: 0,
            devices: Vec::new(),
            suppressed: Sample::new(samples_max, seed),
            forwarded: Sample::new(samples_max, seed),
            cells: Vec::new(),
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
        for (device, (suppressed, forwarded)) in other.devices.into_iter().enumerate() {
            let own = slot(&mut self.devices, device);
            (own.0, own.1) = (own.0 + suppressed, own.1 + forwarded);
        }
        self.suppressed.merge(other.suppressed);
        self.forwarded.merge(other.forwarded);
    }

    /// Counts an alert whose end would be another.
    pub(super) fn turn(&mut self, group: &Group, row: usize, place: Place, computed: Mark) {
        let weight = u64::from(group.rows.weight[row]);
        let device = slot(&mut self.devices, group.rows.device_no[row] as usize);
        let cell = slot(&mut self.cells, place.cell as usize);
        let hour = slot(&mut self.by[HOUR], place.hour as usize);
        let sample = if computed.end == End::Suppressed {
            self.represented.0 += weight;
            device.0 += 1;
            cell.newly_suppressed += 1;
            hour.newly_suppressed += 1;
            &mut self.suppressed
        } else {
            self.represented.1 += weight;
            device.1 += 1;
            cell.newly_forwarded += 1;
            hour.newly_forwarded += 1;
            &mut self.forwarded
        };
        sample.offer(group.first.after(row), || Changed::of(group, row, computed));
    }

    /// Counts an alert that the candidate would have suppressed, were its code not protected.
    pub(super) fn overrule(&mut self, place: Place) {
        slot(&mut self.cells, place.cell as usize).overruled += 1;
        slot(&mut self.by[HOUR], place.hour as usize).overruled += 1;
    }

    /// Adds everything up.
    pub(super) fn settle(&mut self, cells: &Cells) {
        for (changes, numbers) in self.cells.drain(..).zip(cells.numbers()) {
            if changes == Changes::default() {
                continue;
            }
            for (by, number) in self.by.iter_mut().zip(numbers) {
                slot(by, *number as usize).add(&changes);
            }
            self.total.add(&changes);
        }
    }
}

fn slot<T: Clone + Default>(list: &mut Vec<T>, at: usize) -> &mut T {
    if list.len() <= at {
        list.resize(at + 1, T::default());
    }
    &mut list[at]
}
