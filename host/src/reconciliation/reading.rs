//! Ways to count the same alerts, and which of them gives another party's numbers.
//!
//! It must not know what is compared. Invariant: a reading without causes gives our own count.

use super::{Cause, Figures};
use crate::books::Weighed;

/// Which day an alert is put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Day,
    OtherDay,
    Occurrence,
}

/// A way to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    by: By,
    copies: bool,
    forwarded_only: bool,
    weighed: bool,
}

/// How many ways to count there are.
const READINGS: usize = 24;

impl Reading {
    /// One of them by number.
    fn numbered(number: usize) -> Self {
        Self {
            by: [By::Day, By::OtherDay, By::Occurrence][number / 8],
            copies: number & 1 != 0,
            forwarded_only: number & 2 != 0,
            weighed: number & 4 != 0,
        }
    }

    /// All of them; the first is ours.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..READINGS).map(Self::numbered)
    }

    /// In what it differs from ours.
    pub fn causes(&self) -> Vec<Cause> {
        let by = match self.by {
            By::Day => None,
            By::OtherDay => Some(Cause::DayBoundary),
            By::Occurrence => Some(Cause::DeviceClock),
        };
        let further = [
            (self.copies, Cause::Duplicates),
            (self.forwarded_only, Cause::Suppressed),
            (self.weighed, Cause::Throttled),
        ];
        by.into_iter().chain(further.into_iter().filter(|(has, _)| *has).map(|(_, cause)| cause)).collect()
    }

    /// What it counts.
    pub fn count(&self, figures: &Figures) -> u64 {
        let ends = match self.by {
            By::Day => &figures.by_day,
            By::OtherDay => &figures.by_other_day,
            By::Occurrence => &figures.by_occurrence,
        };
        let number = |weighed: &Weighed| if self.weighed { weighed.represented } else { weighed.count };
        number(&ends.forwarded)
            + if self.forwarded_only { 0 } else { number(&ends.suppressed) }
            + if self.copies { number(&ends.duplicate) } else { 0 }
    }
}

/// The way to count that fits best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// It.
    pub reading: Reading,
    /// Rows of their file that it gives exactly.
    pub rows: u64,
    /// Rows of their file that can be compared.
    pub of_rows: u64,
}

/// How many rows each way to count gives exactly.
pub(super) struct Fits {
    rows: [u64; READINGS],
    of_rows: u64,
}

impl Fits {
    /// From all rows that can be compared.
    pub(super) fn of<'a>(rows: impl Iterator<Item = (u64, &'a Figures)>) -> Self {
        let mut fits = Self { rows: [0; READINGS], of_rows: 0 };
        for (theirs, figures) in rows {
            fits.of_rows += 1;
            for (reading, fitting) in Reading::all().zip(&mut fits.rows) {
                *fitting += u64::from(reading.count(figures) == theirs);
            }
        }
        fits
    }

    /// The causes of the way to count that gives this number: the fewest, then those that fit most rows.
    pub(super) fn explain(&self, theirs: u64, figures: &Figures) -> Option<Vec<Cause>> {
        self.first_of(|reading| reading.count(figures) == theirs, |causes, rows| (causes, u64::MAX - rows))
            .map(|number| Reading::numbered(number).causes())
    }

    /// The way to count that fits most rows, and of those the nearest to ours.
    pub(super) fn best(&self) -> Fit {
        let number = self
            .first_of(|_| true, |causes, rows| (usize::try_from(u64::MAX - rows).unwrap_or(usize::MAX), causes as u64));
        let number = number.unwrap_or(0);
        Fit { reading: Reading::numbered(number), rows: self.rows[number], of_rows: self.of_rows }
    }

    fn first_of(&self, admits: impl Fn(&Reading) -> bool, rank: impl Fn(usize, u64) -> (usize, u64)) -> Option<usize> {
        let readings = Reading::all().zip(self.rows).enumerate().filter(|(_, (reading, _))| admits(reading));
        readings.min_by_key(|(number, (reading, rows))| (rank(reading.causes().len(), *rows), *number)).map(|(n, _)| n)
    }
}
