//! A question's candidate called with readings, group by group.
//!
//! Invariant: what is counted of an alert is the same however many threads share the work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    super::{Stopped, chains::Undecided, log::failed},
    Readings,
    answer::FilterVariant,
    group::{Joiner, Joining},
    judge,
    tally::{Met, Tally},
};
use crate::{
    domain::{Millis, Revision, Rows},
    evaluate::Chain,
};

/// What the candidate says of an alert of average voltage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Said {
    /// It was not shown the alert.
    #[default]
    Nothing,
    /// It holds it back, whatever the reading means. Whether it would have let pass what followed, where that is known.
    Held(Option<bool>),
    /// It lets it pass, whatever the reading means.
    Passed,
    /// It depends on what the reading means.
    Straddles,
    /// The alert has no reading.
    Unjoined,
}

/// The group in hand.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// Per row; `None` where no reading stands in for anything.
    pub(super) rows: Vec<Option<Joining>>,
    /// By variant and row.
    pub(super) said: Vec<Vec<Said>>,
}

/// What a fold and the rules of its chains share of the group in hand.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Joined>>);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Joined> {
        // A rule that panics fails the question; until then what is in here is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Joins the groups of one fold.
pub(in crate::whatif) struct Joins<'a> {
    readings: &'a Readings,
    tolerance_ms: Millis,
    joined: Shared,
    /// One for each variant.
    pub(super) tallies: Vec<Tally>,
}

impl<'a> Joins<'a> {
    pub(in crate::whatif) fn new(readings: &'a Readings, tolerance_ms: Millis, variants: usize) -> Self {
        let tallies = (0..variants).map(|_| Tally::default()).collect();
        Self { readings, tolerance_ms, joined: Shared::default(), tallies }
    }

    /// Has readings stand in for measurements where a chain calls its candidate.
    pub(in crate::whatif) fn stand_in(&self, chain: &mut Chain, candidate: Option<Revision>, undecided: Undecided) {
        for rule in chain.rules.iter_mut().filter(|rule| Some(rule.revision) == candidate) {
            rule.judge = judge::by_readings(Arc::clone(&rule.judge), self.joined.clone(), undecided);
        }
    }

    /// Joins the alerts of a group that rules are shown, before it is judged. `closed` says per row whether they are not.
    pub(in crate::whatif) fn take(&mut self, rows: &Rows, closed: &[bool]) -> Result<(), Stopped> {
        let joiner = Joiner { readings: self.readings, tolerance_ms: self.tolerance_ms, follows: true };
        let found = joiner.join(rows, &|row| !closed[row]).map_err(failed)?;
        let mut joined = self.joined.lock();
        joined.said = vec![vec![Said::Nothing; found.len()]; self.tallies.len()];
        joined.rows = found;
        Ok(())
    }

    /// Counts what was said of the compared rows of the group, after it was judged.
    pub(in crate::whatif) fn count(&mut self, rows: &Rows, compared: &[u32]) {
        let joined = self.joined.lock();
        for row in compared.iter().map(|row| *row as usize) {
            let Some(joining) = &joined.rows[row] else { continue };
            for (tally, said) in self.tallies.iter_mut().zip(&joined.said) {
                tally.add(Met { rows, row, joining, said: said[row] });
            }
        }
    }

    /// What each variant decides and what it does not.
    pub(in crate::whatif) fn finish(
        self,
        examples: usize,
        devices: usize,
        eui: &dyn Fn(u32) -> u64,
    ) -> Vec<FilterVariant> {
        self.tallies.into_iter().map(|tally| tally.finish(examples, devices, eui)).collect()
    }

    /// Takes what was counted of other groups or devices.
    pub(in crate::whatif) fn merge(&mut self, other: Self) {
        self.tallies.iter_mut().zip(other.tallies).for_each(|(tally, other)| tally.merge(other));
    }
}
