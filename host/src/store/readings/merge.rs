//! Putting readings among those that are stored: which are new, which are there, and which contradict what is.
//!
//! It must not know tables. Invariant: the readings of one device and phase never overlap, across weeks too, and what is
//! stored stays.

use std::collections::{BTreeMap, btree_map::Entry};

use super::chunk::{Kept, start_of, week_of};
use crate::{domain::PERIOD_MS_MAX, store::error::Error};

/// What is stored where a reading would lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing: there is room for it.
    Free,
    /// The same reading.
    Same(Kept),
    /// Another voltage for the same period.
    Contradicts(Kept),
    /// A period that overlaps it.
    Overlaps(Kept),
}

/// The weeks of one device and phase, read as they are needed.
pub(super) struct Weeks<'a> {
    load: &'a mut dyn FnMut(u32) -> Result<Vec<Kept>, Error>,
    weeks: BTreeMap<u32, Week>,
}

/// A week in memory.
#[derive(Debug, Default)]
pub(super) struct Week {
    /// In order.
    pub(super) kept: Vec<Kept>,
    /// Whether it differs from what is stored.
    pub(super) is_changed: bool,
}

impl<'a> Weeks<'a> {
    /// None yet; `load` reads one, which has no reading where nothing is stored.
    pub(super) fn new(load: &'a mut dyn FnMut(u32) -> Result<Vec<Kept>, Error>) -> Self {
        Self { load, weeks: BTreeMap::new() }
    }

    /// Looks where a reading would lie. No period is longer than a day, so what overlaps one ends in its week or beside it.
    pub(super) fn find(&mut self, reading: &Kept) -> Result<Found, Error> {
        let week = week_of(reading.end_ms);
        let kept = self.week(week)?;
        let at = kept.partition_point(|other| other.end_ms < reading.end_ms);
        let (before, after) = (at.checked_sub(1).map(|at| kept[at]), kept.get(at).copied());
        let before = match before {
            None if week > 0 && reading.start_ms() < start_of(week) => self.week(week - 1)?.last().copied(),
            before => before,
        };
        let after = match after {
            None if reading.end_ms > start_of(week + 1) - PERIOD_MS_MAX => self.week(week + 1)?.first().copied(),
            after => after,
        };
        Ok(match (before, after) {
            (_, Some(after)) if (after.end_ms, after.length_s) == (reading.end_ms, reading.length_s) => {
                if after.volts == reading.volts { Found::Same(after) } else { Found::Contradicts(after) }
            }
            (_, Some(after)) if after.start_ms() < reading.end_ms => Found::Overlaps(after),
            (Some(before), _) if before.end_ms > reading.start_ms() => Found::Overlaps(before),
            _ => Found::Free,
        })
    }

    /// Puts a reading in where [`find`](Self::find) found room.
    pub(super) fn insert(&mut self, reading: Kept) {
        let week = self.weeks.entry(week_of(reading.end_ms)).or_default();
        let at = week.kept.partition_point(|other| other.end_ms < reading.end_ms);
        week.kept.insert(at, reading);
        week.is_changed = true;
    }

    /// The weeks that were read, by number.
    pub(super) fn into_weeks(self) -> BTreeMap<u32, Week> {
        self.weeks
    }

    fn week(&mut self, week: u32) -> Result<&Vec<Kept>, Error> {
        let week = match self.weeks.entry(week) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let kept = (self.load)(*entry.key())?;
                entry.insert(Week { kept, is_changed: false })
            }
        };
        Ok(&week.kept)
    }
}
