//! Whether what the store derived from the log is what the log says: the hours of the books, and what became of each
//! device's alerts.
//!
//! Invariant: only what the log's entries tell is compared; of hours that began before the oldest entry, and of devices
//! where the log does not begin at its first position, nothing is said.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::{
    books::Ledger,
    domain::{Cell, DeviceNo, DeviceTally, Group, HOUR_MS, Position, Tally},
    evaluate::{PAGE_DEVICES, State},
    store::{Error, GroupHead, Reader},
};

/// Alerts of an hour are judged no earlier than this before it: `intake.future_s_max` is at most a day.
const JUDGED_AHEAD_MS: i64 = 24 * HOUR_MS;

/// Digests of what was derived, by the position that it was written as of.
pub(super) struct Derived {
    hours: BTreeMap<Position, Vec<(u32, u64)>>,
    pages: BTreeMap<Position, Vec<(u32, u64)>>,
    /// The hours that are still to be compared. One is let go once it was.
    ledger: Ledger,
}

impl Derived {
    /// Notes what there is, for a log that begins with this entry.
    pub(super) fn read(reader: &Reader, oldest: &GroupHead) -> Result<Self, Error> {
        let whole = oldest.first == Position(0);
        let mut derived = Self { hours: BTreeMap::new(), pages: BTreeMap::new(), ledger: Ledger::new(oldest.first) };
        // What is damaged is named by another look at the store.
        for page in reader.hours(0..u32::MAX)?.filter_map(Result::ok) {
            if whole || i64::from(page.hour) * HOUR_MS > oldest.judged_ms.saturating_add(JUDGED_AHEAD_MS) {
                derived.hours.entry(page.as_of).or_default().push((page.hour, digest_of_cells(&page.cells)));
            }
        }
        for page in reader.pages()?.filter_map(Result::ok).filter(|_| whole) {
            derived.pages.entry(page.as_of).or_default().push((page.no, digest_of_tallies(page.tallies.into_iter())));
        }
        Ok(derived)
    }

    /// Takes the next group, after it was folded into a state, and tells of each page that says something else.
    pub(super) fn take(&mut self, group: &Group, state: &State, tell: &mut dyn FnMut(&'static str, u32)) {
        self.ledger.add(group);
        let end = group.end();
        for (hour, expected) in self.hours.remove(&end).unwrap_or_default() {
            let page = self.ledger.take(hour);
            if digest_of_cells(page.as_ref().map_or(&[], |page| page.cells.as_slice())) != expected {
                tell("hour", hour);
            }
        }
        for (no, expected) in self.pages.remove(&end).unwrap_or_default() {
            let first = no.saturating_mul(PAGE_DEVICES);
            let tallies = (0..PAGE_DEVICES).map(|index| state.tally(DeviceNo(first.saturating_add(index))));
            if digest_of_tallies(tallies) != expected {
                tell("page", no);
            }
        }
    }
}

fn digest_of_cells(cells: &[(Cell, Tally)]) -> u64 {
    digest(cells.iter().map(|(cell, tally)| {
        let Tally { count, represented, withheld, remarks } = tally;
        (*cell, *count, *represented, *withheld, remarks.each().map(|(_, count)| count))
    }))
}

/// Devices without any alert count for nothing: a page need not reach as far as they do.
fn digest_of_tallies(tallies: impl Iterator<Item = DeviceTally>) -> u64 {
    let counted = tallies.enumerate().filter(|(_, tally)| *tally != DeviceTally::default());
    digest(counted.map(|(at, tally)| (at, tally.forwarded, tally.suppressed, tally.duplicate)))
}

fn digest(values: impl Iterator<Item = impl Hash>) -> u64 {
    let mut hasher = DefaultHasher::new();
    values.for_each(|value| value.hash(&mut hasher));
    hasher.finish()
}
