//! Average RMS voltages that meters measured, the thresholds they compare them with, and what an operator says of a model.
//!
//! No alert carries a voltage, so what is known of one comes from readings, and a reading is not exact: a meter that
//! states whole volts leaves open how it rounds. Invariant: `low_dv <= high_dv` in every [`Volts`].

use std::{fmt, ops::Range};

use super::{AlertCode, Eui64, Millis};

/// Highest voltage that is taken, in tenths of a volt: above it a number is far more likely in another unit.
pub const VOLTS_MAX_DV: u16 = 10_000;

/// Lengths of a period that are taken, in seconds: a minute to a day.
pub const PERIOD_S: Range<u32> = 60..86_401;

/// The longest of them, in milliseconds.
pub const PERIOD_MS_MAX: Millis = (PERIOD_S.end as Millis - 1) * 1_000;

/// Bytes of the name of a source of readings or thresholds.
pub const READING_SOURCE_BYTES_MAX: usize = 64;

/// Which phase of a supply was measured. The numbers are on disk: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Phase {
    /// The only phase of a single-phase meter, or the meter as a whole.
    #[default]
    Whole = 0,
    /// Phase 1 of a poly-phase meter.
    L1 = 1,
    /// Phase 2.
    L2 = 2,
    /// Phase 3.
    L3 = 3,
}

impl Phase {
    /// Each by its number.
    pub const ALL: [Self; 4] = [Self::Whole, Self::L1, Self::L2, Self::L3];

    /// From its number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Its name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::L1 => "1",
            Self::L2 => "2",
            Self::L3 => "3",
        }
    }
}

/// The voltages that a reading can mean: `low_dv` to `high_dv`, in tenths of a volt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Volts {
    low_dv: u16,
    high_dv: u16,
    is_whole: bool,
    /// `low_dv` itself, and `high_dv` itself, are not meant.
    is_open: [bool; 2],
}

impl Volts {
    /// A voltage between two tenths of a volt, both possible; `None` where they are the wrong way round or too high.
    pub fn between(low_dv: u16, high_dv: u16) -> Option<Self> {
        (low_dv <= high_dv && high_dv <= VOLTS_MAX_DV).then_some(Self {
            low_dv,
            high_dv,
            is_whole: false,
            is_open: [false; 2],
        })
    }

    /// Whole volts, of which nothing says how they were rounded: 258 is anything above 257.0 and below 259.0. `None` where
    /// they are too high.
    pub fn whole(volts: u16) -> Option<Self> {
        let stated_dv = volts.checked_mul(10).filter(|dv| *dv <= VOLTS_MAX_DV - 10)?;
        Some(Self { low_dv: stated_dv.saturating_sub(10), high_dv: stated_dv + 10, is_whole: true, is_open: [true; 2] })
    }

    /// The lowest, in tenths of a volt.
    pub fn low_dv(self) -> u16 {
        self.low_dv
    }

    /// The highest, in tenths of a volt.
    pub fn high_dv(self) -> u16 {
        self.high_dv
    }

    /// Whole volts as they were stated, where they were.
    pub fn whole_volts(self) -> Option<u16> {
        self.is_whole.then(|| (self.high_dv - 10) / 10)
    }

    /// The same, where it is known how whole volts were rounded.
    pub fn rounded(self, rounding: Rounding) -> Self {
        let Some(volts) = self.whole_volts() else { return self };
        let stated_dv = volts * 10;
        let (low_dv, high_dv) = match rounding {
            Rounding::Unknown => return self,
            Rounding::Nearest => (stated_dv.saturating_sub(5), stated_dv + 5),
            Rounding::Down => (stated_dv, stated_dv + 10),
        };
        // Both ways take a half, or a whole, to the voltage above it.
        Self { low_dv, high_dv, is_whole: false, is_open: [false, true] }
    }

    /// The highest as whole tenths of a volt, what is behind them cut off.
    pub fn highest_tenths(self) -> u16 {
        self.high_dv - u16::from(self.is_open[1] && self.high_dv > self.low_dv)
    }

    /// Returns true if it can be above a voltage in tenths of a volt.
    pub fn can_exceed(self, dv: u16) -> bool {
        self.high_dv > dv
    }

    /// Returns true if it is above a voltage in tenths of a volt, whatever it means.
    pub fn exceeds(self, dv: u16) -> bool {
        self.low_dv > dv || (self.is_open[0] && self.low_dv == dv)
    }

    /// Returns true if it can be below a voltage in tenths of a volt.
    pub fn can_fall_below(self, dv: u16) -> bool {
        self.low_dv < dv
    }

    /// Returns true if it is below a voltage in tenths of a volt, whatever it means.
    pub fn falls_below(self, dv: u16) -> bool {
        self.high_dv < dv || (self.is_open[1] && self.high_dv == dv)
    }

    /// Returns true if it can be within a threshold in tenths of a volt: at it, or on the side where voltage ought to be.
    pub fn can_be_within(self, limit: Limit, threshold_dv: u16) -> bool {
        match limit {
            Limit::Over => !self.exceeds(threshold_dv),
            Limit::Under => !self.falls_below(threshold_dv),
        }
    }

    /// Returns true if it can be beyond a threshold in tenths of a volt.
    pub fn can_be_beyond(self, limit: Limit, threshold_dv: u16) -> bool {
        match limit {
            Limit::Over => self.can_exceed(threshold_dv),
            Limit::Under => self.can_fall_below(threshold_dv),
        }
    }
}

impl fmt::Display for Volts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = |dv: u16| format!("{}.{}", dv / 10, dv % 10);
        match self.whole_volts() {
            Some(volts) => write!(f, "{volts} V"),
            None if self.low_dv == self.high_dv => write!(f, "{} V", tenths(self.low_dv)),
            None => write!(f, "{} to {} V", tenths(self.low_dv), tenths(self.high_dv)),
        }
    }
}

/// The average voltage of one phase over one period, as a meter measured it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The meter.
    pub device: Eui64,
    /// The phase.
    pub phase: Phase,
    /// When the period ended.
    pub end_ms: Millis,
    /// How long it was, in seconds; within [`PERIOD_S`].
    pub length_s: u32,
    /// The average.
    pub volts: Volts,
}

impl Reading {
    /// The period: after its start, and up to its end.
    pub fn period_ms(&self) -> Range<Millis> {
        self.end_ms - Millis::from(self.length_s) * 1_000..self.end_ms
    }
}

/// The outcome of loading a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadingFate {
    /// It is stored.
    Added,
    /// The same reading is stored already.
    Same,
    /// Another voltage is stored for the same period: that one stays.
    Contradicts(Reading),
    /// A period that begins or ends within this one's is stored: that one stays.
    Overlaps(Reading),
    /// Its period ended before readings are kept.
    TooOld,
    /// Its period has not ended yet.
    InFuture,
    /// The host knows no such device, or it is not one of the caller's.
    NotOwn,
    /// The device has as many readings as may be kept of one.
    DeviceFull,
    /// There is no room for more readings of its operator.
    OperatorFull,
}

/// Which way a threshold is crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// Average RMS over-voltage: a meter alerts when a period's average is above it and the one before was not.
    Over = 0,
    /// Average RMS under-voltage: a meter alerts when a period's average is below it and the one before was not.
    Under = 1,
}

impl Limit {
    /// Each by its number.
    pub const ALL: [Self; 2] = [Self::Over, Self::Under];

    /// Its name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Over => "over",
            Self::Under => "under",
        }
    }
}

/// A threshold that is configured in a meter from some time on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    /// The meter.
    pub device: Eui64,
    /// Which threshold.
    pub limit: Limit,
    /// Its value, in tenths of a volt; at most [`VOLTS_MAX_DV`].
    pub value_dv: u16,
    /// From when it is known to have this value.
    pub from_ms: Millis,
    /// Where that is known from; at most [`READING_SOURCE_BYTES_MAX`] bytes of one line.
    pub source: String,
}

/// How a model makes whole volts of an average.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Rounding {
    /// Not known.
    #[default]
    Unknown = 0,
    /// To the nearest.
    Nearest = 1,
    /// Down: what is behind the point is cut off.
    Down = 2,
}

impl Rounding {
    /// Each by its number.
    pub const ALL: [Self; 3] = [Self::Unknown, Self::Nearest, Self::Down];

    /// Its name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Nearest => "nearest",
            Self::Down => "down",
        }
    }
}

/// An alert code that a model raises at the end of a period, by an operator's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MappedCode {
    /// The code.
    pub code: AlertCode,
    /// The threshold that it stands for.
    pub limit: Limit,
    /// The phase whose readings it is of.
    pub phase: Phase,
}

/// What an operator says of a model, for lack of a public source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadingModel {
    /// Device model combination.
    pub model: String,
    /// How it rounds.
    pub rounding: Rounding,
    /// Codes that are joined to readings beside those of average voltage, in order.
    pub codes: Vec<MappedCode>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_volts_are_what_every_way_of_rounding_makes_of_them() {
        let volts = Volts::whole(258).unwrap();
        assert_eq!((volts.low_dv(), volts.high_dv(), volts.whole_volts()), (2_570, 2_590, Some(258)));
        for (rounding, expected) in [(Rounding::Nearest, (2_575, 2_585)), (Rounding::Down, (2_580, 2_590))] {
            let narrowed = volts.rounded(rounding);
            assert_eq!((narrowed.low_dv(), narrowed.high_dv()), expected);
            assert_eq!(narrowed.rounded(Rounding::Nearest), narrowed, "once");
        }
        assert_eq!(volts.rounded(Rounding::Unknown), volts);
        assert_eq!((Volts::whole(2_530), Volts::between(2, 1)), (None, None));
        assert_eq!(Volts::whole(0).unwrap().low_dv(), 0);
    }

    #[test]
    fn an_interval_exceeds_a_threshold_for_sure_or_maybe() {
        let volts = Volts::whole(258).unwrap();
        assert!(volts.exceeds(2_570) && !volts.exceeds(2_571));
        assert!(volts.can_exceed(2_589) && !volts.can_exceed(2_590));
        assert!(volts.falls_below(2_590) && !volts.falls_below(2_589));
        assert!(volts.can_fall_below(2_571) && !volts.can_fall_below(2_570));
        assert_eq!((volts.highest_tenths(), volts.rounded(Rounding::Down).highest_tenths()), (2_589, 2_589));
        let down = volts.rounded(Rounding::Down);
        assert!(!down.exceeds(2_580) && down.exceeds(2_579) && down.falls_below(2_590));
        let exact = Volts::between(2_581, 2_581).unwrap();
        assert!(exact.exceeds(2_580) && exact.can_exceed(2_580));
        assert!(!exact.exceeds(2_581) && !exact.can_exceed(2_581));
        assert_eq!(
            [volts, exact, volts.rounded(Rounding::Nearest)].map(|volts| volts.to_string()),
            ["258 V", "258.1 V", "257.5 to 258.5 V"]
        );
    }

    #[test]
    fn a_period_ends_where_its_reading_says() {
        let volts = Volts::whole(240).unwrap();
        let reading = Reading { device: Eui64(1), phase: Phase::Whole, end_ms: 1_800_000, length_s: 1_800, volts };
        assert_eq!(reading.period_ms(), 0..1_800_000);
    }
}
