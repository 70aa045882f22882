//! When a meter would have alerted: its readings compared with a threshold, period after period.
//!
//! A reading that leaves open on which side of the threshold it is makes two meters possible, one for each side; what all
//! of them agree on is certain, and the fewest and most alerts of any of them are the bounds. A period without a reading
//! breaks the row: after it nothing is known of the period before.
//!
//! Invariant: `least <= most`, and the alerts of every meter that measured within the readings lie between them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::domain::{Limit, Millis, Reading};

/// The fewest and the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bounds {
    /// At least so many.
    pub least: u64,
    /// At most so many.
    pub most: u64,
}

impl Bounds {
    /// Returns true if a number lies between them.
    pub fn contains(self, number: u64) -> bool {
        (self.least..=self.most).contains(&number)
    }

    /// Adds what is of another device or phase.
    pub fn add(&mut self, other: Self) {
        self.least += other.least;
        self.most += other.most;
    }
}

/// Whether a threshold was crossed at the end of one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Crossed {
    /// It was, whatever the readings mean.
    Surely,
    /// It may have been.
    Maybe,
    /// It was not.
    No,
    /// The period before has no reading, and this one may be beyond the threshold.
    Unknown,
}

/// The number of alerts so far, of meters that are on one side now: the fewest and the most, `None` where no meter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Side(Option<Bounds>);

impl Side {
    const EMPTY: Self = Self(None);
    const START: Self = Self(Some(Bounds { least: 0, most: 0 }));

    fn or(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self(Some(Bounds { least: a.least.min(b.least), most: a.most.max(b.most) })),
            (one, other) => Self(one.or(other)),
        }
    }

    fn alerting(self) -> Self {
        Self(self.0.map(|bounds| Bounds { least: bounds.least + 1, most: bounds.most + 1 }))
    }

    fn when(self, possible: bool) -> Self {
        if possible { self } else { Self::EMPTY }
    }
}

/// One phase of one meter, read on.
#[derive(Debug, Clone)]
pub struct Crossings {
    limit: Limit,
    /// The last reading, where the next one may follow it.
    last: Option<Reading>,
    /// The threshold that the sides are of.
    threshold_dv: Option<u16>,
    /// Meters whose last average was not beyond the threshold.
    within: Side,
    /// Meters whose last average was.
    beyond: Side,
}

impl Crossings {
    /// Nothing read so far.
    pub fn new(limit: Limit) -> Self {
        Self { limit, last: None, threshold_dv: None, within: Side::START, beyond: Side::START }
    }

    /// Returns the fewest and most alerts so far.
    pub fn bounds(&self) -> Bounds {
        self.within.or(self.beyond).0.unwrap_or_default()
    }

    /// Reads the next period, with the threshold that the meter has at its end; `None` for one that is not known. Readings
    /// must come in order and not overlap.
    pub fn read(&mut self, reading: Reading, threshold_dv: Option<u16>) -> Crossed {
        let before = self.last.replace(reading).filter(|last| last.end_ms == reading.period_ms().start);
        let Some(threshold_dv) = threshold_dv else {
            self.threshold_dv = None;
            return Crossed::Unknown;
        };
        let sides = |Reading { volts, .. }: Reading| {
            (volts.can_be_within(self.limit, threshold_dv), volts.can_be_beyond(self.limit, threshold_dv))
        };
        // Both are possible of a period that was not read.
        let (was_within, was_beyond) = before.map_or((true, true), sides);
        if before.is_none() || self.threshold_dv != Some(threshold_dv) {
            // Which meters are on which side of another threshold is not told apart by how many alerts they have raised.
            let all = self.within.or(self.beyond);
            (self.within, self.beyond) = (all.when(was_within), all.when(was_beyond));
        }
        self.threshold_dv = Some(threshold_dv);
        let (is_within, is_beyond) = sides(reading);
        let within = self.within.or(self.beyond).when(is_within);
        let beyond = self.beyond.or(self.within.alerting()).when(is_beyond);
        (self.within, self.beyond) = (within, beyond);
        match (before, was_within && is_beyond) {
            (_, false) => Crossed::No,
            (None, true) => Crossed::Unknown,
            (Some(_), true) if was_beyond || is_within => Crossed::Maybe,
            (Some(_), true) => Crossed::Surely,
        }
    }

    /// Leaves out of the bounds what was read until now. The period before is still known.
    pub fn count_from_here(&mut self) {
        let zero = |side: Side| Side(side.0.map(|_| Bounds::default()));
        (self.within, self.beyond) = (zero(self.within), zero(self.beyond));
    }
}

/// Returns how many periods of a length end within a range: what there would be to read.
pub fn periods(range: &Range<Millis>, length_s: u32) -> u64 {
    let length_ms = Millis::from(length_s.max(1)) * 1_000;
    u64::try_from(range.end.saturating_sub(range.start) / length_ms).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Eui64, Phase, Volts};

    const PERIOD_MS: Millis = 1_800_000;

    fn reading(at: Millis, volts: Volts) -> Reading {
        Reading { device: Eui64(1), phase: Phase::Whole, end_ms: (at + 1) * PERIOD_MS, length_s: 1_800, volts }
    }

    fn exact(dv: u16) -> Volts {
        Volts::between(dv, dv).unwrap()
    }

    /// What comes of readings, one after the other, at a threshold; `None` is a gap.
    fn crossed(limit: Limit, readings: &[Option<Volts>], threshold_dv: u16) -> (Vec<Crossed>, Bounds) {
        let mut crossings = Crossings::new(limit);
        let read = |(at, volts): (usize, &Option<Volts>)| {
            volts.map(|volts| crossings.read(reading(at as Millis, volts), Some(threshold_dv)))
        };
        let all = readings.iter().enumerate().filter_map(read).collect();
        (all, crossings.bounds())
    }

    #[test]
    fn the_same_averages_alert_elsewhere_at_another_threshold() {
        let readings = [2_500, 2_550, 2_590].map(|dv| Some(exact(dv)));
        let (at_253, bounds) = crossed(Limit::Over, &readings, 2_530);
        assert_eq!(at_253, [Crossed::No, Crossed::Surely, Crossed::No]);
        assert_eq!(bounds, Bounds { least: 1, most: 1 });
        let (at_258, bounds) = crossed(Limit::Over, &readings, 2_580);
        assert_eq!(at_258, [Crossed::No, Crossed::No, Crossed::Surely]);
        assert_eq!(bounds, Bounds { least: 1, most: 1 });
    }

    #[test]
    fn a_higher_threshold_can_alert_more_often() {
        let readings = [2_500, 2_570, 2_590, 2_570, 2_590, 2_570].map(|dv| Some(exact(dv)));
        let count = |threshold| crossed(Limit::Over, &readings, threshold).1.most;
        assert_eq!((count(2_530), count(2_580)), (1, 2));
    }

    #[test]
    fn under_voltage_is_the_other_way_round() {
        let readings = [2_200, 2_160, 2_150, 2_170].map(|dv| Some(exact(dv)));
        let (crossed, bounds) = crossed(Limit::Under, &readings, 2_160);
        assert_eq!(crossed, [Crossed::No, Crossed::No, Crossed::Surely, Crossed::No]);
        assert_eq!(bounds, Bounds { least: 1, most: 1 });
    }

    #[test]
    fn a_gap_leaves_open_what_was_before() {
        let readings = [Some(exact(2_500)), None, Some(exact(2_550)), None, Some(exact(2_500))];
        let (crossed, bounds) = crossed(Limit::Over, &readings, 2_530);
        assert_eq!(crossed, [Crossed::No, Crossed::Unknown, Crossed::No]);
        assert_eq!(bounds, Bounds { least: 0, most: 1 });
    }

    #[test]
    fn whole_volts_that_straddle_make_bounds() {
        let whole = |volts| Some(Volts::whole(volts).unwrap());
        let readings = [whole(250), whole(258), whole(258), whole(258), whole(250)];
        let (crossed, bounds) = crossed(Limit::Over, &readings, 2_580);
        assert_eq!(crossed, [Crossed::No, Crossed::Maybe, Crossed::Maybe, Crossed::Maybe, Crossed::No]);
        // Up, down and up again.
        assert_eq!(bounds, Bounds { least: 0, most: 2 });
    }

    #[test]
    fn a_threshold_that_changes_is_compared_with_the_period_before() {
        let mut crossings = Crossings::new(Limit::Over);
        assert_eq!(crossings.read(reading(0, exact(2_550)), Some(2_530)), Crossed::Unknown);
        assert_eq!(crossings.read(reading(1, exact(2_590)), Some(2_580)), Crossed::Surely);
        assert_eq!(crossings.read(reading(2, exact(2_590)), None), Crossed::Unknown);
        assert_eq!(crossings.read(reading(3, exact(2_590)), Some(2_580)), Crossed::No);
        assert_eq!(crossings.bounds(), Bounds { least: 1, most: 2 });
        crossings.count_from_here();
        assert_eq!(crossings.read(reading(4, exact(2_590)), Some(2_580)), Crossed::No);
        assert_eq!(crossings.bounds(), Bounds::default());
        assert_eq!(crossings.read(reading(6, exact(2_590)), Some(2_580)), Crossed::Unknown);
    }

    #[test]
    fn periods_of_a_range() {
        assert_eq!((periods(&(0..10 * PERIOD_MS), 1_800), periods(&(5..5), 1_800)), (10, 0));
    }
}
