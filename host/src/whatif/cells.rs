//! What changes are broken down by: code, operator, generation, model and hour. Each value has a small number of its own,
//! in order of first sight, and so has each cell: alerts with the same values on every axis but the hour, which is the
//! same for many in a row.
//!
//! It must not know what is counted. Invariant: a value keeps its number as long as the axes live, a cell until the cells
//! are cleared.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use crate::{
    admit::hour_of,
    domain::{Flags, HOUR_MS, Millis, Rows},
};

/// How many axes there are.
pub(super) const AXES: usize = 5;

/// The last of them: the hour of receipt.
pub(super) const HOUR: usize = AXES - 1;

/// Numbers of values, by axis without the hour: code, operator, generation, model.
pub(super) type Numbers = [u32; HOUR];

/// Cells are cleared when there are so many.
const CELLS_MAX: usize = 1 << 16;

/// A map whose keys are looked up once for each alert.
pub(super) type ByKey<K> = HashMap<K, u32, BuildHasherDefault<KeyHasher>>;

/// Mixes a key of one machine word or two. Whoever chooses alerts so that keys collide makes their own questions slow.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u128(u128::from(*byte) | u128::from(self.0) << 64);
        }
    }

    fn write_u64(&mut self, key: u64) {
        let product = u128::from(key ^ 0x9E37_79B9_7F4A_7C15) * 0xD1B5_4A32_D192_ED03;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn write_u128(&mut self, key: u128) {
        let (low, high) = (key as u64, (key >> 64) as u64);
        let product = u128::from(low ^ 0x9E37_79B9_7F4A_7C15) * u128::from(high ^ 0xD1B5_4A32_D192_ED03 | 1);
        let mixed = (product as u64 ^ (product >> 64) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ mixed >> 32;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The cells that were met, and the values of every axis.
#[derive(Debug, Default)]
pub(super) struct Cells {
    axes: Axes,
    found: ByKey<u64>,
    /// Per cell.
    numbers: Vec<Numbers>,
    /// The number of the last alert's hour, and when it began.
    hour: u32,
    hour_ms: Option<Millis>,
}

impl Cells {
    /// The cell of one row.
    pub(super) fn of(&mut self, rows: &Rows, row: usize) -> u32 {
        let generation = Flags(rows.flags[row]).generation() as u8;
        let (code, operator, model) = (rows.code[row], rows.operator[row], rows.model[row]);
        let narrow = u64::from(code) << 16 | u64::from(operator) << 8 | u64::from(generation);
        let key = narrow << 32 | u64::from(model);
        if let Some(cell) = self.found.get(&key) {
            return *cell;
        }
        let cell = self.numbers.len() as u32;
        let values = [u32::from(code), u32::from(operator), u32::from(generation), model];
        self.numbers.push(self.axes.numbers(values));
        self.found.insert(key, cell);
        cell
    }

    /// The number of one row's hour.
    pub(super) fn hour_of(&mut self, rows: &Rows, row: usize) -> u32 {
        let received_ms = rows.received_ms[row];
        if self.hour_ms.is_none_or(|since| !(0..HOUR_MS).contains(&received_ms.wrapping_sub(since))) {
            let hour = hour_of(received_ms);
            self.hour_ms = Some(i64::from(hour) * HOUR_MS);
            self.hour = self.axes.0[HOUR].number(hour);
        }
        self.hour
    }

    /// The numbers of each cell's values, in order of cells.
    pub(super) fn numbers(&self) -> &[Numbers] {
        &self.numbers
    }

    /// The values of every axis.
    pub(super) fn axes(&self) -> &Axes {
        &self.axes
    }

    /// The values of every axis, to take in others.
    pub(super) fn axes_mut(&mut self) -> &mut Axes {
        &mut self.axes
    }

    /// Whether it is time to add everything up and to clear them.
    pub(super) fn is_full(&self) -> bool {
        self.numbers.len() >= CELLS_MAX
    }

    /// Forgets the cells. Values keep their numbers.
    pub(super) fn clear(&mut self) {
        self.found.clear();
        self.numbers.clear();
    }
}

/// The values of every axis.
#[derive(Debug, Default)]
pub(super) struct Axes([Axis; AXES]);

impl Axes {
    fn numbers(&mut self, values: Numbers) -> Numbers {
        let mut axes = self.0.iter_mut();
        values.map(|value| axes.next().map_or(0, |axis| axis.number(value)))
    }

    /// The values of an axis, by number.
    pub(super) fn values(&self, axis: usize) -> &[u32] {
        &self.0[axis].values
    }

    /// The number of a value here, which another set of axes has under another.
    pub(super) fn adopt(&mut self, axis: usize, value: u32) -> usize {
        self.0[axis].number(value) as usize
    }
}

/// The values of one axis.
#[derive(Debug, Default)]
struct Axis {
    values: Vec<u32>,
    numbers: HashMap<u32, u32>,
}

impl Axis {
    fn number(&mut self, value: u32) -> u32 {
        let next = self.values.len() as u32;
        let number = *self.numbers.entry(value).or_insert(next);
        if number == next {
            self.values.push(value);
        }
        number
    }
}
