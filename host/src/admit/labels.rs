//! Labels of devices, column by column: for each key the number of a value for each device, and each value once.
//!
//! Invariants: a value belongs to the operator of its device, so a caller of one operator sees no value of another's; a plan
//! that was withdrawn leaves everything as it was.
//!
//! A key takes 4 bytes a device, in pages of 4,096 devices of which one at least has the label; a value about 70 bytes and
//! its text.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crate::domain::{DeviceLabels, DeviceNo, KeptLabels, LabelEffects, LabelKey, LabelValue, OperatorId, StatedLabel};

mod dictionary;
mod paged;

use dictionary::Dictionary;
use paged::Paged;

/// What labels may take up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelLimits {
    /// Keys.
    pub keys_max: usize,
    /// Different values, those of different operators counted apart.
    pub values_max: usize,
    /// Different values of one operator's devices.
    pub operator_values_max: usize,
}

/// Why a label cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// No room for another key.
    #[error(
        "{key}: intake.label_keys_max ({max}) keys are in use; remove a label from all devices (--label KEY, its column \
         empty), or have the setting raised"
    )]
    Keys {
        /// The new key.
        key: LabelKey,
        /// The limit.
        max: usize,
    },
    /// No room for another value.
    #[error(
        "{key}: {value:?} of operator {operator} would be one different value more than {setting} ({max}); load a column \
         with fewer different values, or have the setting raised"
    )]
    Values {
        /// The key.
        key: LabelKey,
        /// The new value.
        value: String,
        /// Whose devices have it.
        operator: OperatorId,
        /// The limit that is reached.
        setting: &'static str,
        /// What it is set to.
        max: usize,
    },
}

/// The values of one key.
#[derive(Debug, Clone, Default)]
struct Column {
    no: u8,
    numbers: Paged<u32>,
    /// How many devices of each operator have the label.
    devices: BTreeMap<OperatorId, u64>,
}

/// Labels to look at. A clone is cheap, and stays as it was whatever changes meanwhile.
#[derive(Debug, Clone, Default)]
pub struct LabelTable {
    values: Paged<Option<LabelValue>>,
    columns: BTreeMap<LabelKey, Column>,
}

impl LabelTable {
    /// Returns the keys that devices of one operator have, or that any device has.
    pub fn keys_of(&self, own: Option<OperatorId>) -> Vec<&LabelKey> {
        let has = |column: &Column| own.is_none_or(|own| column.devices.contains_key(&own));
        self.columns.iter().filter(|(_, column)| has(column)).map(|(key, _)| key).collect()
    }

    /// Returns the labels of a device, in order of their keys. A value that is not of `operator` is left out: the device
    /// has come to it since.
    pub fn of(&self, no: DeviceNo, operator: OperatorId) -> DeviceLabels {
        let value = |(key, column): (&LabelKey, &Column)| {
            let number = column.numbers.get(no.index()).copied()?;
            let value = self.values.get(number as usize)?.as_ref()?;
            (value.operator == operator).then(|| (key.clone(), Arc::clone(&value.text)))
        };
        self.columns.iter().filter_map(value).collect()
    }

    /// Returns the keys that devices of one operator have, or that any device has, each with how many do.
    pub fn uses(&self, own: Option<OperatorId>) -> Vec<(LabelKey, u64)> {
        let count = |column: &Column| match own {
            Some(own) => column.devices.get(&own).copied().unwrap_or(0),
            None => column.devices.values().sum(),
        };
        self.keys_of(own).into_iter().map(|key| (key.clone(), self.columns.get(key).map_or(0, count))).collect()
    }

    /// Returns one key's values for the devices of one operator, or of all; `None` where none of them has the key.
    pub fn column(&self, key: &LabelKey, own: Option<OperatorId>) -> Option<LabelColumn> {
        let column = self.columns.get(key)?;
        let seen = own.is_none_or(|own| column.devices.contains_key(&own));
        let (key, numbers, values) = (key.clone(), column.numbers.clone(), self.values.clone());
        seen.then_some(LabelColumn { key, numbers, values, own })
    }
}

/// The values of one key, as far as somebody may see them.
#[derive(Debug, Clone)]
pub struct LabelColumn {
    key: LabelKey,
    numbers: Paged<u32>,
    values: Paged<Option<LabelValue>>,
    own: Option<OperatorId>,
}

impl LabelColumn {
    /// Returns the key.
    pub fn key(&self) -> &LabelKey {
        &self.key
    }

    /// Returns the values that devices have, each text once, in order. Looks at every device.
    pub fn texts(&self) -> Vec<&str> {
        let mut used: Vec<bool> = Vec::new();
        for number in self.numbers.iter().map(|number| *number as usize).filter(|number| *number != 0) {
            if used.len() <= number {
                used.resize(number + 1, false);
            }
            used[number] = true;
        }
        let numbers = (0_u32..).zip(used).filter(|(_, used)| *used).map(|(number, _)| number);
        let seen = numbers.filter_map(|number| self.value(number));
        let seen = seen.filter(|value| self.own.is_none_or(|own| value.operator == own));
        let mut texts: Vec<&str> = seen.map(|value| value.text.as_ref()).collect();
        texts.sort_unstable();
        texts.dedup();
        texts
    }

    /// Returns the number of a device's value; 0 where it has none that may be seen.
    pub fn number(&self, device_no: u32) -> u32 {
        let number = self.numbers.get(device_no as usize).copied().unwrap_or(0);
        let is_own = |own: OperatorId| self.value(number).is_some_and(|value| value.operator == own);
        if number == 0 || self.own.is_none_or(is_own) { number } else { 0 }
    }

    /// Returns the text of a value by its number. Values of different operators may have the same.
    pub fn text(&self, number: u32) -> Option<&Arc<str>> {
        self.value(number).map(|value| &value.text)
    }

    fn value(&self, number: u32) -> Option<&LabelValue> {
        self.values.get(number as usize)?.as_ref()
    }
}

/// What a row of a load makes of a device's labels.
#[derive(Debug, Default)]
#[must_use = "values that it took are to be applied or withdrawn"]
pub struct LabelPlan {
    changes: Vec<LabelChange>,
    differs: bool,
}

/// A label that changes: numbers of values, 0 for none.
#[derive(Debug)]
struct LabelChange {
    key: LabelKey,
    was: u32,
    is: u32,
    /// Whether no device had the value before.
    is_new: bool,
}

impl LabelPlan {
    /// True if nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// True if a label has another value than before, or none.
    pub fn differs(&self) -> bool {
        self.differs
    }
}

/// Labels and what of them is not written yet. A clone shares what neither changes.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    columns: BTreeMap<LabelKey, Column>,
    dictionary: Dictionary,
    /// Keys as they are on disk.
    written: BTreeMap<u8, LabelKey>,
    /// Devices with other labels than on disk.
    unwritten: BTreeSet<u32>,
}

impl Labels {
    /// From what a store kept of devices, given the operator of each by its number.
    pub fn load(kept: KeptLabels, operator_of: impl Fn(DeviceNo) -> OperatorId) -> Self {
        let KeptLabels { keys, values, mut columns } = kept;
        let mut labels = Self { dictionary: Dictionary::load(values), ..Self::default() };
        for (no, key) in keys {
            let numbers = columns.remove(&no).unwrap_or_default();
            let mut devices = BTreeMap::new();
            for (device, number) in numbers.iter().enumerate().filter(|(_, number)| **number != 0) {
                labels.dictionary.reuse(*number);
                *devices.entry(operator_of(DeviceNo(device as u32))).or_default() += 1;
            }
            labels.written.insert(no, key.clone());
            labels.columns.insert(key, Column { no, numbers: Paged::of(&numbers), devices });
        }
        labels
    }

    /// Returns what there is, to look at beside what changes.
    pub fn table(&self) -> LabelTable {
        LabelTable { values: self.dictionary.values().clone(), columns: self.columns.clone() }
    }

    /// Returns the labels of a device, in order of their keys.
    pub fn of(&self, no: DeviceNo) -> DeviceLabels {
        let text = |(key, number): (LabelKey, u32)| Some((key, Arc::clone(&self.dictionary.get(number)?.text)));
        self.numbers(no).into_iter().filter_map(text).collect()
    }

    /// Plans what a row of a load makes of a device that is then of `operator`; `no` is its number, where it has one.
    /// Takes the values that it needs, so the plan is to be applied or withdrawn, and [checked](Self::check) before.
    pub fn plan(
        &mut self,
        no: Option<DeviceNo>,
        operator: OperatorId,
        stated: &[StatedLabel],
        limits: &LabelLimits,
    ) -> Result<LabelPlan, LabelError> {
        let mut plan = LabelPlan::default();
        if stated.is_empty() && self.columns.is_empty() {
            return Ok(plan);
        }
        match self.add_changes(&mut plan, no, operator, stated, limits.keys_max) {
            Ok(()) => Ok(plan),
            Err(error) => {
                self.withdraw(plan);
                Err(error)
            }
        }
    }

    fn add_changes(
        &mut self,
        plan: &mut LabelPlan,
        no: Option<DeviceNo>,
        operator: OperatorId,
        stated: &[StatedLabel],
        keys_max: usize,
    ) -> Result<(), LabelError> {
        let held = no.map(|no| self.numbers(no)).unwrap_or_default();
        let number_of = |key: &LabelKey| held.iter().find(|(held, _)| held == key).map_or(0, |(_, number)| *number);
        for StatedLabel { key, value } in stated {
            let before = self.dictionary.get(number_of(key));
            let same_text = before.map_or("", |before| &before.text) == value;
            plan.differs |= !same_text;
            if value.is_empty() {
                if before.is_some() {
                    plan.changes.push(LabelChange { key: key.clone(), was: number_of(key), is: 0, is_new: false });
                }
            } else if !same_text || before.is_some_and(|before| before.operator != operator) {
                let was = number_of(key);
                let (is, is_new) = self.take(key, operator, value.as_str().into(), keys_max)?;
                plan.changes.push(LabelChange { key: key.clone(), was, is, is_new });
            }
        }
        // Labels that the row does not state stay, and are from now on those of its operator.
        for (key, number) in held.iter().filter(|(key, _)| stated.iter().all(|stated| stated.key != *key)) {
            let Some(value) = self.dictionary.get(*number).filter(|value| value.operator != operator) else { continue };
            let text = Arc::clone(&value.text);
            let (is, is_new) = self.take(key, operator, text, keys_max)?;
            plan.changes.push(LabelChange { key: key.clone(), was: *number, is, is_new });
        }
        Ok(())
    }

    /// Uses a value once more; both it and its key may be new. Returns its number, and whether it is new.
    fn take(
        &mut self,
        key: &LabelKey,
        operator: OperatorId,
        text: Arc<str>,
        keys_max: usize,
    ) -> Result<(u32, bool), LabelError> {
        if !self.columns.contains_key(key) {
            let taken: BTreeSet<u8> = self.columns.values().map(|column| column.no).collect();
            let free = (0..=u8::MAX).find(|no| !taken.contains(no));
            let no = free.ok_or_else(|| LabelError::Keys { key: key.clone(), max: keys_max })?;
            self.columns.insert(key.clone(), Column { no, ..Column::default() });
        }
        Ok(self.dictionary.take(&LabelValue { operator, text }))
    }

    /// Checks what plans together leave in use: a key or value that one of them gives up makes room for another. A limit that
    /// was exceeded before is kept to if they add no more than they give up. The error has the index of the first plan that
    /// goes beyond.
    pub fn check(&self, plans: &[LabelPlan], limits: &LabelLimits) -> Result<(), (usize, LabelError)> {
        let LabelLimits { keys_max, values_max, operator_values_max } = *limits;
        let changes =
            || plans.iter().enumerate().flat_map(|(index, plan)| plan.changes.iter().map(move |to| (index, to)));
        if self.columns.len() > keys_max {
            let left = |column: &Column, key: &LabelKey| {
                let of_key = changes().filter(|(_, change)| change.key == *key);
                let had: u64 = column.devices.values().sum();
                let (lost, won) = of_key.fold((0, 0), |(lost, won), (_, change)| {
                    (lost + u64::from(change.was != 0), won + u64::from(change.is != 0))
                });
                (had > 0, had + won > lost)
            };
            let keys: Vec<(&LabelKey, (bool, bool))> =
                self.columns.iter().map(|(key, column)| (key, left(column, key))).collect();
            let given_up = keys.iter().filter(|(_, (had, has))| *had && !has).count();
            let had = keys.iter().filter(|(_, (had, _))| *had).count();
            let new: BTreeSet<&LabelKey> = keys.iter().filter(|(_, (had, _))| !had).map(|(key, _)| *key).collect();
            let room = (keys_max + given_up).saturating_sub(had).max(given_up);
            let mut met: BTreeSet<&LabelKey> = BTreeSet::new();
            for (index, change) in changes().filter(|(_, change)| new.contains(&change.key)) {
                if met.insert(&change.key) && met.len() > room {
                    return Err((index, LabelError::Keys { key: change.key.clone(), max: keys_max }));
                }
            }
        }
        let is_over = |operator| self.dictionary.len_of(operator) > operator_values_max;
        let is_any_over = |change: &LabelChange| {
            self.dictionary.get(change.is).is_some_and(|value| change.is_new && is_over(value.operator))
        };
        if self.dictionary.len() <= values_max && !changes().any(|(_, change)| is_any_over(change)) {
            return Ok(());
        }
        let mut released: HashMap<u32, u32> = HashMap::new();
        for (_, change) in changes().filter(|(_, change)| change.was != 0) {
            *released.entry(change.was).or_default() += 1;
        }
        let is_freed = |(number, uses): (&u32, &u32)| self.dictionary.uses(*number) == *uses;
        let (mut freed, mut freed_of) = (0, HashMap::<OperatorId, usize>::new());
        for (number, _) in released.iter().filter(|entry| is_freed(*entry)) {
            freed += 1;
            *freed_of
                .entry(self.dictionary.get(*number).map_or(OperatorId::UNKNOWN, |value| value.operator))
                .or_default() += 1;
        }
        let new = || changes().filter(|(_, change)| change.is_new);
        let new_count = new().count();
        let mut new_of: HashMap<OperatorId, usize> = HashMap::new();
        for value in new().filter_map(|(_, change)| self.dictionary.get(change.is)) {
            *new_of.entry(value.operator).or_default() += 1;
        }
        let room_of = |max: usize, had: usize, freed: usize| (max + freed).saturating_sub(had).max(freed);
        let mut room = room_of(values_max, self.dictionary.len() - new_count, freed);
        let mut rooms: HashMap<OperatorId, usize> = HashMap::new();
        for (index, change) in new() {
            let Some(LabelValue { operator, text }) = self.dictionary.get(change.is) else { continue };
            let room_here = rooms.entry(*operator).or_insert_with(|| {
                let had = self.dictionary.len_of(*operator) - new_of.get(operator).copied().unwrap_or(0);
                room_of(operator_values_max, had, freed_of.get(operator).copied().unwrap_or(0))
            });
            let beyond = match (room, *room_here) {
                (0, _) => Some(("intake.label_values_max", values_max)),
                (_, 0) => Some(("intake.operator_label_values_max", operator_values_max)),
                _ => None,
            };
            if let Some((setting, max)) = beyond {
                let (key, value, operator) = (change.key.clone(), text.as_ref().to_owned(), *operator);
                return Err((index, LabelError::Values { key, value, operator, setting, max }));
            }
            room -= 1;
            *room_here -= 1;
        }
        Ok(())
    }

    /// Does what was planned for a device.
    pub fn apply(&mut self, no: DeviceNo, plan: LabelPlan) {
        let Self { columns, dictionary, unwritten, .. } = self;
        for LabelChange { key, is: number, .. } in plan.changes {
            let Some(column) = columns.get_mut(&key) else { continue };
            let before = column.numbers.set(no.index(), number);
            if let Some(value) = dictionary.get(number) {
                *column.devices.entry(value.operator).or_default() += 1;
            }
            if let Some(operator) = dictionary.get(before).map(|value| value.operator) {
                let left = column.devices.get_mut(&operator).map(|count| {
                    *count -= 1;
                    *count
                });
                if left == Some(0) {
                    column.devices.remove(&operator);
                }
                dictionary.give_back(before);
            }
            unwritten.insert(no.0);
        }
    }

    /// Gives back what a plan took: nothing of it is done.
    pub fn withdraw(&mut self, plan: LabelPlan) {
        plan.changes.iter().filter(|change| change.is != 0).for_each(|change| self.dictionary.give_back(change.is));
        self.drop_unused_keys();
    }

    /// Returns what is to be written since it was asked last.
    pub fn take_effects(&mut self) -> LabelEffects {
        self.drop_unused_keys();
        let keys: BTreeMap<u8, LabelKey> = self.columns.iter().map(|(key, column)| (column.no, key.clone())).collect();
        let gone = self.written.keys().filter(|no| !keys.contains_key(no)).map(|no| (*no, None));
        let new = keys.iter().filter(|(no, key)| self.written.get(no) != Some(key));
        let changed = gone.chain(new.map(|(no, key)| (*no, Some(key.clone())))).collect();
        self.written = keys;
        let devices = std::mem::take(&mut self.unwritten);
        let devices = devices.into_iter().map(|device| {
            let number = |column: &Column| (column.no, column.numbers.get(device as usize).copied().unwrap_or(0));
            let mut numbers: Vec<(u8, u32)> = self.columns.values().map(number).collect();
            numbers.retain(|(_, number)| *number != 0);
            numbers.sort_unstable();
            (device, numbers)
        });
        let devices = devices.collect();
        LabelEffects { keys: changed, values: self.dictionary.take_unwritten(), devices }
    }

    fn drop_unused_keys(&mut self) {
        self.columns.retain(|_, column| !column.devices.is_empty());
    }

    /// The numbers of a device's values, in order of their keys.
    fn numbers(&self, no: DeviceNo) -> Vec<(LabelKey, u32)> {
        let number = |(key, column): (&LabelKey, &Column)| {
            let number = column.numbers.get(no.index()).copied().filter(|number| *number != 0)?;
            Some((key.clone(), number))
        };
        self.columns.iter().filter_map(number).collect()
    }
}

/// What a row of a load makes of a device's labels.
pub fn with_stated(mut labels: DeviceLabels, stated: &[StatedLabel]) -> DeviceLabels {
    labels.retain(|(key, _)| stated.iter().all(|stated| stated.key != *key));
    let set = stated.iter().filter(|stated| !stated.value.is_empty());
    labels.extend(set.map(|stated| (stated.key.clone(), stated.value.as_str().into())));
    labels.sort_unstable();
    labels
}

#[cfg(test)]
mod tests;
