//! What changes are broken down by: code, operator, generation, model and hour, each value with a small number of its
//! own, in order of first sight.
//!
//! It must not know what is counted. Invariant: a value keeps its number as long as the axes live.

use std::collections::HashMap;

use crate::{
    admit::hour_of,
    domain::{Flags, HOUR_MS, Millis, Rows},
};

/// How many axes there are.
pub(super) const AXES: usize = 5;

/// Values below this are found with one look.
const DENSE: usize = 1 << 16;

/// A value that was not met.
const UNKNOWN: u32 = u32::MAX;

/// One alert's values, or their numbers, by axis: code, operator, generation, model, hour of receipt.
pub(super) type Numbers = [u32; AXES];

/// The values of every axis.
#[derive(Debug, Default)]
pub(super) struct Axes {
    axes: [Axis; AXES],
    /// The hour of the last alert, and when it began.
    hour: u32,
    hour_ms: Millis,
}

/// The values of one axis.
#[derive(Debug, Default)]
struct Axis {
    values: Vec<u32>,
    dense: Vec<u32>,
    sparse: HashMap<u32, u32>,
    last: Option<(u32, u32)>,
}

impl Axes {
    /// The values of one row.
    pub(super) fn values_of(&mut self, rows: &Rows, row: usize) -> Numbers {
        let received_ms = rows.received_ms[row];
        if received_ms.wrapping_sub(self.hour_ms) as u64 >= HOUR_MS as u64 {
            self.hour = hour_of(received_ms);
            self.hour_ms = i64::from(self.hour) * HOUR_MS;
        }
        let generation = Flags(rows.flags[row]).generation() as u32;
        [u32::from(rows.code[row]), u32::from(rows.operator[row]), generation, rows.model[row], self.hour]
    }

    /// The numbers of some values.
    pub(super) fn numbers(&mut self, values: Numbers) -> Numbers {
        let mut axes = self.axes.iter_mut();
        values.map(|value| axes.next().map_or(0, |axis| axis.number(value)))
    }

    /// The values of an axis, by number.
    pub(super) fn values(&self, axis: usize) -> &[u32] {
        &self.axes[axis].values
    }

    /// The number of a value here, which another set of axes has under another.
    pub(super) fn adopt(&mut self, axis: usize, value: u32) -> usize {
        self.axes[axis].number(value) as usize
    }
}

impl Axis {
    fn number(&mut self, value: u32) -> u32 {
        if let Some((last, number)) = self.last
            && last == value
        {
            return number;
        }
        let number = if (value as usize) < DENSE { self.find_dense(value) } else { self.find_sparse(value) };
        self.last = Some((value, number));
        number
    }

    fn find_dense(&mut self, value: u32) -> u32 {
        if self.dense.len() <= value as usize {
            self.dense.resize(value as usize + 1, UNKNOWN);
        }
        let number = &mut self.dense[value as usize];
        if *number == UNKNOWN {
            *number = self.values.len() as u32;
            self.values.push(value);
        }
        *number
    }

    fn find_sparse(&mut self, value: u32) -> u32 {
        let next = self.values.len() as u32;
        let number = *self.sparse.entry(value).or_insert(next);
        if number == next {
            self.values.push(value);
        }
        number
    }
}
