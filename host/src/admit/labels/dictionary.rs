//! Values of labels, each kept once for each operator and counted by its uses.
//!
//! Invariant: a number stands for one value as long as that is used.

use std::{collections::BTreeMap, hash::BuildHasher};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::paged::Paged;
use crate::domain::{LabelValue, OperatorId};

/// Values by number, from 1, and numbers by value.
#[derive(Debug, Clone, Default)]
pub(super) struct Dictionary {
    values: Paged<Option<LabelValue>>,
    /// How often each is used; one that is used no more has 0, and its number is free.
    uses: Vec<u32>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    free: Vec<u32>,
    of_operators: BTreeMap<OperatorId, usize>,
    /// Numbers that stand for another value, or for none, since they were written; `true` for those that are on disk.
    unwritten: BTreeMap<u32, bool>,
}

impl Dictionary {
    /// From what a store kept. Every value is there, and none is used yet: see [`reuse`](Self::reuse).
    pub(super) fn load(kept: Vec<(u32, LabelValue)>) -> Self {
        let mut dictionary = Self::default();
        let count = kept.iter().map(|(number, _)| *number as usize + 1).max().unwrap_or(1);
        dictionary.uses = vec![0; count];
        for (number, value) in kept {
            dictionary.enter(number, value);
        }
        let unused = |number: &u32| dictionary.values.get(*number as usize).is_none_or(Option::is_none);
        dictionary.free = (1..count as u32).rev().filter(unused).collect();
        dictionary
    }

    /// Counts a use of a value that a store kept.
    pub(super) fn reuse(&mut self, number: u32) {
        self.uses[number as usize] += 1;
    }

    /// All values, to look at beside what changes.
    pub(super) fn values(&self) -> &Paged<Option<LabelValue>> {
        &self.values
    }

    /// A value that is used.
    pub(super) fn get(&self, number: u32) -> Option<&LabelValue> {
        self.values.get(number as usize)?.as_ref()
    }

    /// How many values are in use.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// How many values of one operator's devices are in use.
    pub(super) fn len_of(&self, operator: OperatorId) -> usize {
        self.of_operators.get(&operator).copied().unwrap_or(0)
    }

    /// How often a value is used.
    pub(super) fn uses(&self, number: u32) -> u32 {
        self.uses.get(number as usize).copied().unwrap_or(0)
    }

    /// Uses a value, which is added where it is new. Returns its number, and whether it is new.
    pub(super) fn take(&mut self, value: &LabelValue) -> (u32, bool) {
        let hash = self.hasher.hash_one(value);
        let is = |number: &u32| self.values.get(*number as usize).is_some_and(|known| known.as_ref() == Some(value));
        if let Some(number) = self.index.find(hash, is).copied() {
            self.uses[number as usize] += 1;
            return (number, false);
        }
        // 0 is for none.
        let number = self.free.pop().unwrap_or_else(|| self.uses.len().max(1) as u32);
        if self.uses.len() <= number as usize {
            self.uses.resize(number as usize + 1, 0);
        }
        self.uses[number as usize] = 1;
        self.enter(number, value.clone());
        self.unwritten.entry(number).or_insert(false);
        (number, true)
    }

    /// Ends a use of a value, which goes with its last.
    pub(super) fn give_back(&mut self, number: u32) {
        let uses = &mut self.uses[number as usize];
        *uses -= 1;
        if *uses > 0 {
            return;
        }
        let Some(value) = self.values.set(number as usize, None) else { return };
        let hash = self.hasher.hash_one(&value);
        if let Ok(entry) = self.index.find_entry(hash, |known| *known == number) {
            entry.remove();
        }
        if let Some(count) = self.of_operators.get_mut(&value.operator) {
            *count -= 1;
        }
        self.free.push(number);
        // One that was never written leaves nothing to remove.
        if self.unwritten.remove(&number) != Some(false) {
            self.unwritten.insert(number, true);
        }
    }

    /// What is to be written since it was asked last. `None` removes.
    pub(super) fn take_unwritten(&mut self) -> Vec<(u32, Option<LabelValue>)> {
        let numbers = std::mem::take(&mut self.unwritten).into_keys();
        numbers.map(|number| (number, self.get(number).cloned())).collect()
    }

    fn enter(&mut self, number: u32, value: LabelValue) {
        *self.of_operators.entry(value.operator).or_default() += 1;
        let hash = self.hasher.hash_one(&value);
        self.values.set(number as usize, Some(value));
        let Self { index, hasher, values, .. } = self;
        let known = |number: &u32| values.get(*number as usize).and_then(Option::as_ref);
        index.insert_unique(hash, number, |number| known(number).map_or(0, |value| hasher.hash_one(value)));
    }
}
