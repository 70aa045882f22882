//! Which period an alert is of.
//!
//! A meter raises alerts of average voltage at the end of a period, so an alert is of the period that ended last before it
//! occurred. A wrong reading is worse than none: where a clock is in doubt or two periods fit, there is none.

use std::ops::Range;

use crate::domain::{Millis, PERIOD_MS_MAX, Reading, TimeStatus};

/// Why an alert has no reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unjoined {
    /// No reading is stored of a period that it can be of.
    NoReading,
    /// Its device stated no time of occurrence that can be relied on.
    NoTime,
    /// More than one period fits.
    TwoPeriods,
    /// It stands for copies that were withheld, which have no times of their own.
    Withheld,
    /// The reading is within the threshold that the meter is known to have, so it is of another period.
    NotBeyond,
}

impl Unjoined {
    /// Each, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::NoReading, Self::NoTime, Self::TwoPeriods, Self::Withheld, Self::NotBeyond];

    /// Its name in answers and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoReading => "no-reading",
            Self::NoTime => "no-time",
            Self::TwoPeriods => "two-periods",
            Self::Withheld => "withheld-copies",
            Self::NotBeyond => "not-beyond-threshold",
        }
    }
}

/// Alerts without a reading, counted by why they have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnjoinedCounts([u64; Unjoined::ALL.len()]);

impl UnjoinedCounts {
    /// Counts an alert.
    pub fn add(&mut self, why: Unjoined) {
        self.0[why as usize] += 1;
    }

    /// Adds counts of other alerts.
    pub fn merge(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(count, other)| *count += other);
    }

    /// Returns how many there are.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Returns each reason that there is, and how many alerts have it.
    pub fn iter(&self) -> impl Iterator<Item = (Unjoined, u64)> {
        Unjoined::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

/// Returns the ends of all periods that an alert can be of.
pub fn reach_ms(occurred_ms: Millis, tolerance_ms: Millis) -> Range<Millis> {
    let last_ms = occurred_ms.saturating_add(tolerance_ms);
    last_ms.saturating_sub(PERIOD_MS_MAX).saturating_add(1)..last_ms.saturating_add(1)
}

/// Returns the reading of an alert, out of those of its device and phase, which are in order. Those that end outside of
/// [`reach_ms`] are of no use to it.
///
/// It is the one that ends at or before the time of occurrence plus the tolerance, and less than its own length before
/// that. `weight` is how many alerts the alert stands for.
///
/// # Errors
///
/// Returns why there is none.
pub fn join(
    readings: &[Reading],
    (occurred_ms, status): (Millis, TimeStatus),
    weight: u32,
    tolerance_ms: Millis,
) -> Result<Reading, Unjoined> {
    if status != TimeStatus::Stated {
        return Err(Unjoined::NoTime);
    }
    if weight > 1 {
        return Err(Unjoined::Withheld);
    }
    let reach = reach_ms(occurred_ms, tolerance_ms);
    let first = readings.partition_point(|reading| reading.end_ms < reach.start);
    let last_ms = occurred_ms.saturating_add(tolerance_ms);
    let in_reach = readings[first..].iter().take_while(|reading| reading.end_ms <= last_ms);
    let mut fitting = in_reach.filter(|reading| last_ms - reading.end_ms < Millis::from(reading.length_s) * 1_000);
    match (fitting.next(), fitting.next()) {
        (None, _) => Err(Unjoined::NoReading),
        (Some(reading), None) => Ok(*reading),
        (Some(_), Some(_)) => Err(Unjoined::TwoPeriods),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Eui64, Phase, Volts};

    const MINUTE_MS: Millis = 60_000;

    /// A reading of the period that ends in a minute of the day, `minutes` long.
    fn reading(end: Millis, minutes: u32) -> Reading {
        let volts = Volts::between(2_400 + minutes as u16, 2_400 + minutes as u16).unwrap();
        Reading { device: Eui64(1), phase: Phase::Whole, end_ms: end * MINUTE_MS, length_s: minutes * 60, volts }
    }

    /// The end of the period that an alert is joined with, in minutes.
    fn joined(readings: &[Reading], occurred_ms: Millis) -> Result<Millis, Unjoined> {
        let found = join(readings, (occurred_ms, TimeStatus::Stated), 1, MINUTE_MS);
        found.map(|reading| reading.end_ms / MINUTE_MS)
    }

    #[test]
    fn an_alert_is_of_the_period_that_had_just_ended() {
        // Periods need not begin at the half hour.
        let readings: Vec<_> = (1..6).map(|at| reading(7 + at * 30, 30)).collect();
        let at = |minute: Millis| joined(&readings, minute * MINUTE_MS);
        assert_eq!((at(37), at(38), at(65)), (Ok(37), Ok(37), Ok(37)));
        assert_eq!((at(66), at(67)), (Ok(67), Ok(67)), "a minute of tolerance");
        assert_eq!(joined(&readings, 66 * MINUTE_MS - 1), Ok(37));
        assert_eq!((at(35), at(36)), (Err(Unjoined::NoReading), Ok(37)));
        assert_eq!(at(157), Ok(157));
        assert_eq!((at(185), at(186)), (Ok(157), Err(Unjoined::NoReading)), "the next period is missing");
    }

    #[test]
    fn a_gap_is_no_reason_to_take_an_older_period() {
        let readings = [reading(30, 30), reading(90, 30)];
        assert_eq!(joined(&readings, 60 * MINUTE_MS), Err(Unjoined::NoReading));
        assert_eq!(joined(&readings, 59 * MINUTE_MS - 1), Ok(30));
        assert_eq!(joined(&readings, 89 * MINUTE_MS), Ok(90));
    }

    #[test]
    fn two_periods_that_fit_are_none() {
        let readings = [reading(30, 30), reading(40, 10)];
        assert_eq!(joined(&readings, 42 * MINUTE_MS), Err(Unjoined::TwoPeriods));
        assert_eq!(joined(&readings, 35 * MINUTE_MS), Ok(30), "the other has not ended");
    }

    #[test]
    fn no_time_and_withheld_copies_are_none() {
        let readings = [reading(30, 30)];
        for status in [TimeStatus::NotStated, TimeStatus::Unreliable, TimeStatus::LeftOut] {
            assert_eq!(join(&readings, (30 * MINUTE_MS, status), 1, 0), Err(Unjoined::NoTime));
        }
        assert_eq!(join(&readings, (30 * MINUTE_MS, TimeStatus::Stated), 2, 0), Err(Unjoined::Withheld));
    }

    #[test]
    fn what_is_looked_at_is_what_can_fit() {
        let day = reading(2_000, 1_440);
        for occurred in [2_000, 2_500, 3_438] {
            let reach = reach_ms(occurred * MINUTE_MS, MINUTE_MS);
            assert_eq!(joined(&[day], occurred * MINUTE_MS), Ok(2_000));
            assert!(reach.contains(&day.end_ms), "{occurred}");
        }
        assert!(joined(&[day], 3_439 * MINUTE_MS).is_err());
        assert!(!reach_ms(3_439 * MINUTE_MS, MINUTE_MS).contains(&day.end_ms));
        let extreme = reach_ms(Millis::MAX, MINUTE_MS);
        assert!(extreme.start < extreme.end);
    }
}
