//! Labels that a count groups by or is confined to, by the number of a device.
//!
//! Invariant: a row has the same number for the same text, whichever operator's value it is, and 0 for devices without
//! one.

use std::sync::Arc;

use hashbrown::{HashMap as FastMap, HashSet as FastSet};

use crate::{
    admit::LabelColumn,
    domain::{LabelKey, UnknownLabel},
    near::nearest,
};

/// Labels of one query, and filters by labels.
pub const LABELS_MAX: usize = 4;

/// Unknown values reported per filter, at most.
const UNKNOWN_MAX: usize = 10;

/// Values of a label among which a near one is looked for: each is compared, some 20 ms for so many.
const NEAR_AMONG_MAX: usize = 20_000;

/// Numbers of values, one for each label that is grouped by; 0 for none.
pub type RowLabels = [u32; LABELS_MAX];

/// Only devices with one of some values of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelFilter {
    /// Which label.
    pub key: LabelKey,
    /// Any of these; an empty one stands for devices without it.
    pub values: Vec<String>,
}

/// Returns the field of a query that has more labels than [`LABELS_MAX`], or one of them twice.
pub(super) fn wrong_field(grouped: &[LabelKey], filters: &[LabelFilter]) -> Option<&'static str> {
    let filtered: Vec<&LabelKey> = filters.iter().map(|filter| &filter.key).collect();
    let is_wrong = |keys: &Vec<&LabelKey>| {
        keys.len() > LABELS_MAX || keys.iter().enumerate().any(|(at, key)| keys[..at].contains(key))
    };
    let fields = [("label_keys", grouped.iter().collect()), ("labels", filtered)];
    fields.into_iter().find(|(_, keys)| is_wrong(keys)).map(|(field, _)| field)
}

/// The labels of a query.
#[derive(Default)]
pub struct LabelGroups {
    grouped: Vec<Group>,
    filters: Vec<Filter>,
    unknown: Vec<UnknownLabel>,
}

/// A label that is grouped by.
struct Group {
    column: LabelColumn,
    /// Numbers of texts in order of first sight, from 1, by the column's numbers.
    numbers: FastMap<u32, u32>,
    by_text: FastMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

/// A label that devices are chosen by.
struct Filter {
    column: LabelColumn,
    values: FastSet<String>,
}

impl Filter {
    fn admits(&self, device_no: u32) -> bool {
        let text = self.column.text(self.column.number(device_no));
        self.values.contains(text.map_or("", |text| text.as_ref()))
    }
}

impl LabelGroups {
    /// Groups by one more label.
    pub fn group_by(&mut self, column: LabelColumn) {
        let (numbers, by_text) = (FastMap::new(), FastMap::new());
        self.grouped.push(Group { column, numbers, by_text, texts: Vec::new() });
    }

    /// Lets only devices through that have one of some values. Looks at every device, to know which values none has.
    pub fn filter(&mut self, column: LabelColumn, values: &[String]) {
        self.unknown.extend(unknown(&column, values));
        self.filters.push(Filter { column, values: values.iter().cloned().collect() });
    }

    /// Returns values that devices were to have and that none has: of each filter at most so many.
    pub fn unknown(&self) -> &[UnknownLabel] {
        &self.unknown
    }

    /// Returns true if some devices may not be let through.
    pub fn is_filtered(&self) -> bool {
        !self.filters.is_empty()
    }

    /// True if alerts of a device are counted.
    pub fn admit(&self, device_no: u32) -> bool {
        self.filters.iter().all(|filter| filter.admits(device_no))
    }

    /// Returns true if alerts without a device are counted.
    pub fn admit_none(&self) -> bool {
        self.filters.iter().all(|filter| filter.values.contains(""))
    }

    /// Returns the numbers of a device's values.
    pub fn numbers(&mut self, device_no: u32) -> RowLabels {
        let mut numbers = RowLabels::default();
        for (number, group) in numbers.iter_mut().zip(&mut self.grouped) {
            *number = group.number(group.column.number(device_no));
        }
        numbers
    }

    /// Returns the texts by number, from 1, of each label that is grouped by.
    pub fn into_texts(self) -> Vec<Vec<Arc<str>>> {
        self.grouped.into_iter().map(|group| group.texts).collect()
    }
}

/// Values that no device has.
fn unknown(column: &LabelColumn, values: &[String]) -> Vec<UnknownLabel> {
    let known = if values.iter().any(|value| !value.is_empty()) { column.texts() } else { Vec::new() };
    let is_unknown = |value: &&String| !value.is_empty() && known.binary_search(&value.as_str()).is_err();
    let near = |value: &str| nearest(value, known.iter().copied().filter(|_| known.len() <= NEAR_AMONG_MAX));
    let unknown = values.iter().filter(is_unknown).take(UNKNOWN_MAX);
    let said = |value: &String| (column.key().clone(), value.clone(), near(value).map(str::to_owned));
    unknown.map(said).map(|(key, value, near)| UnknownLabel { key, value, near }).collect()
}

impl Group {
    fn number(&mut self, value: u32) -> u32 {
        if let Some(known) = self.numbers.get(&value) {
            return *known;
        }
        let Some(text) = self.column.text(value) else { return 0 };
        let next = self.texts.len() as u32 + 1;
        let number = *self.by_text.entry(Arc::clone(text)).or_insert(next);
        if number == next {
            self.texts.push(Arc::clone(text));
        }
        self.numbers.insert(value, number);
        number
    }
}

#[cfg(test)]
mod tests;
