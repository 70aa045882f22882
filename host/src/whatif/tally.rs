//! Counting: what happened, once for all variants, and what each variant would have changed.
//!
//! It must not know chains or state. Invariant: only an alert whose end is known and differs is counted as changed, so
//! what both say the same of is the rest.

use super::axes::{AXES, Axes, Numbers};
use crate::{
    comparison::{Agreement, Sample},
    domain::{End, Flags, Group, Mark, Position},
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

/// Counts that are not yet added up: by what many alerts have in common, each place for one of those at a time.
const CELLS: usize = 1 << CELL_BITS;
const CELL_BITS: u32 = 12;

/// Alerts with the same values on every axis.
#[derive(Debug, Clone, Copy)]
struct Cell {
    values: Numbers,
    numbers: Numbers,
    ends: Ends,
    represented: Ends,
}

impl Cell {
    /// Of no alert: no hour is that late.
    const FREE: Self = Self {
        values: [u32::MAX; AXES],
        numbers: [0; AXES],
        ends: Ends { forwarded: 0, suppressed: 0 },
        represented: Ends { forwarded: 0, suppressed: 0 },
    };

    /// Where alerts with such values are counted.
    fn place(values: Numbers) -> usize {
        let [code, operator, generation, model, hour] = values.map(u64::from);
        let mixed = (code << 48 | operator << 40 | generation << 38 | model) ^ hour << 32;
        (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - CELL_BITS)) as usize
    }
}

/// What happened.
#[derive(Debug)]
pub(super) struct Baseline {
    pub(super) axes: Axes,
    pub(super) by: [Vec<Ends>; AXES],
    pub(super) ends: Ends,
    /// Sums of weights.
    pub(super) represented: Ends,
    /// What forwarded alerts stand for beside themselves, by decision of rules.
    pub(super) withheld: u64,
    /// Seen before.
    pub(super) duplicates: u64,
    cells: Vec<Cell>,
}

impl Default for Baseline {
    fn default() -> Self {
        Self {
            axes: Axes::default(),
            by: Default::default(),
            ends: Ends::default(),
            represented: Ends::default(),
            withheld: 0,
            duplicates: 0,
            cells: vec![Cell::FREE; CELLS],
        }
    }
}

impl Baseline {
    /// Counts one alert that was taken.
    pub(super) fn count(&mut self, group: &Group, row: usize, end: End) {
        let values = self.axes.values_of(&group.rows, row);
        let at = Cell::place(values);
        if self.cells[at].values != values {
            self.add_up(at);
            self.cells[at] = Cell { values, numbers: self.axes.numbers(values), ..Cell::FREE };
        }
        let cell = &mut self.cells[at];
        let suppressed = usize::from(end == End::Suppressed);
        *[&mut cell.ends.forwarded, &mut cell.ends.suppressed][suppressed] += 1;
        *[&mut cell.represented.forwarded, &mut cell.represented.suppressed][suppressed] +=
            u64::from(group.rows.weight[row]);
        self.withheld += u64::from(group.withheld[row]);
    }

    /// Adds a cell to the sums, and empties it.
    fn add_up(&mut self, at: usize) {
        let Cell { values: _, numbers, ends, represented } = std::mem::replace(&mut self.cells[at], Cell::FREE);
        if ends == Ends::default() {
            return;
        }
        for (by, number) in self.by.iter_mut().zip(numbers) {
            slot(by, number as usize).add(ends);
        }
        self.ends.add(ends);
        self.represented.add(represented);
    }

    /// Adds everything up.
    pub(super) fn settle(&mut self) {
        (0..CELLS).for_each(|at| self.add_up(at));
    }

    /// The numbers of a row's values.
    pub(super) fn numbers(&mut self, group: &Group, row: usize) -> Numbers {
        let values = self.axes.values_of(&group.rows, row);
        // An alert that was just counted has them at hand.
        let cell = &self.cells[Cell::place(values)];
        if cell.values == values { cell.numbers } else { self.axes.numbers(values) }
    }

    /// Adds what was counted of other groups or devices. Both are settled.
    pub(super) fn merge(&mut self, other: &Self) {
        for axis in 0..AXES {
            for (number, value) in other.axes.values(axis).iter().enumerate() {
                let own = self.axes.adopt(axis, *value);
                let (Some(theirs), ours) = (other.by[axis].get(number), slot(&mut self.by[axis], own)) else {
                    continue;
                };
                ours.add(*theirs);
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
    pub(super) fn turn(&mut self, group: &Group, row: usize, numbers: Numbers, computed: Mark) {
        let suppressed = computed.end == End::Suppressed;
        let weight = u64::from(group.rows.weight[row]);
        let device = group.rows.device_no[row] as usize;
        if self.devices.len() <= device {
            self.devices.resize(device + 1, (0, 0));
        }
        let one = if suppressed {
            self.represented.0 += weight;
            self.devices[device].0 += 1;
            Changes { newly_suppressed: 1, ..Changes::default() }
        } else {
            self.represented.1 += weight;
            self.devices[device].1 += 1;
            Changes { newly_forwarded: 1, ..Changes::default() }
        };
        self.count(numbers, one);
        let sample = if suppressed { &mut self.suppressed } else { &mut self.forwarded };
        sample.offer(group.first.after(row), || Changed::of(group, row, computed));
    }

    /// Counts an alert that the candidate would have suppressed, were its code not protected.
    pub(super) fn overrule(&mut self, numbers: Numbers) {
        self.count(numbers, Changes { overruled: 1, ..Changes::default() });
    }

    fn count(&mut self, numbers: Numbers, one: Changes) {
        for (by, number) in self.by.iter_mut().zip(numbers) {
            slot(by, number as usize).add(&one);
        }
        self.total.add(&one);
    }
}

fn slot<T: Clone + Default>(list: &mut Vec<T>, at: usize) -> &mut T {
    if list.len() <= at {
        list.resize(at + 1, T::default());
    }
    &mut list[at]
}
