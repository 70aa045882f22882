//! What changes are broken down by: code, operator, generation, model and hour. Each value has a small number of its own,
//! in order of first sight.
//!
//! It must not know what is counted. Invariant: a value keeps its number as long as the axes live.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// How many axes there are: code, operator, generation, model, hour of receipt.
pub(super) const AXES: usize = 5;

pub(super) const CODE: usize = 0;
pub(super) const OPERATOR: usize = 1;
pub(super) const GENERATION: usize = 2;
pub(super) const MODEL: usize = 3;
pub(super) const HOUR: usize = 4;

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

    fn write_u32(&mut self, key: u32) {
        self.write_u64(u64::from(key));
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

/// The values of every axis.
#[derive(Debug, Default)]
pub(super) struct Axes([Axis; AXES]);

impl Axes {
    /// The values of an axis, by number.
    pub(super) fn values(&self, axis: usize) -> &[u32] {
        &self.0[axis].values
    }

    /// Every axis, to number values.
    pub(super) fn each_mut(&mut self) -> [&mut Axis; AXES] {
        self.0.each_mut()
    }

    /// The number of a value here, which another set of axes has under another.
    pub(super) fn adopt(&mut self, axis: usize, value: u32) -> usize {
        self.0[axis].number(value) as usize
    }
}

/// Values below this are found by a look into a list.
const SMALL: u32 = 1 << 16;

/// In that list: it has no number yet.
const NONE: u32 = u32::MAX;

/// The values of one axis.
#[derive(Debug, Default)]
pub(super) struct Axis {
    values: Vec<u32>,
    small: Vec<u32>,
    large: ByKey<u32>,
}

impl Axis {
    /// The number of a value.
    #[inline]
    pub(super) fn number(&mut self, value: u32) -> u32 {
        let known = match self.small.get(value as usize) {
            Some(number) => Some(*number).filter(|number| *number != NONE),
            None => self.large.get(&value).copied(),
        };
        known.unwrap_or_else(|| self.add(value))
    }

    #[cold]
    fn add(&mut self, value: u32) -> u32 {
        let number = self.values.len() as u32;
        self.values.push(value);
        if value < SMALL {
            let length = self.small.len().max(value as usize + 1);
            self.small.resize(length, NONE);
            self.small[value as usize] = number;
        } else {
            self.large.insert(value, number);
        }
        number
    }
}
