//! Days, as two parties may mean them: of UTC, or of local time in Great Britain.
//!
//! It must not know what is counted by them. Invariant: the days of one kind cover all time without a gap, and each
//! begins at a whole hour of UTC.
//!
//! The rules of Europe/London are compiled in, that zone's alone: a container often has no time zones of its own, and
//! the same file must give the same answer on every machine.

use std::{collections::BTreeSet, ops::Range};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::domain::Millis;

const LONDON: TimeZone = jiff::tz::get!("Europe/London");

/// Days that are filled up between the first and the last that is named.
const FILLED_DAYS_MAX: i32 = 400;

/// Days of one comparison: as many as one question to a host may have.
const DAYS_MAX: usize = 1_000;

/// What a day is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayKind {
    /// From midnight to midnight in London.
    Local,
    /// From midnight to midnight of UTC.
    Utc,
}

/// Days that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DayError {
    /// There are too many.
    #[error("{0} different days; at most {DAYS_MAX} can be compared at a time")]
    TooMany(usize),
    /// One lies beyond any calendar.
    #[error("{0} lies outside the years that can be computed with")]
    OutOfRange(Date),
}

impl DayKind {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Local => Self::Utc,
            Self::Utc => Self::Local,
        }
    }

    fn zone(self) -> TimeZone {
        match self {
            Self::Local => LONDON,
            Self::Utc => TimeZone::UTC,
        }
    }

    /// When a day begins and ends.
    pub fn span(self, day: Date) -> Result<Range<Millis>, DayError> {
        let wrong = |_| DayError::OutOfRange(day);
        let zone = self.zone();
        let start = |day: Date| zone.to_timestamp(day.at(0, 0, 0, 0)).map(Timestamp::as_millisecond).map_err(wrong);
        Ok(start(day)?..start(day.tomorrow().map_err(wrong)?)?)
    }

    /// The day that a time lies in.
    pub fn of(self, time_ms: Millis) -> Option<Date> {
        Some(self.zone().to_datetime(Timestamp::from_millisecond(time_ms).ok()?).date())
    }
}

/// The days of a comparison, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaySet(Vec<Date>);

impl DaySet {
    /// The days that are named, and those between: nobody writes down a day without alerts. Where the first lies too
    /// far from the last for that, because a clock was wrong say, the named ones alone.
    pub fn of(named: BTreeSet<Date>) -> Result<Self, DayError> {
        let mut days: Vec<Date> = named.into_iter().collect();
        if let (Some(first), Some(last)) = (days.first().copied(), days.last().copied())
            && (last - first).get_days() < FILLED_DAYS_MAX
        {
            days = first.series(jiff::Span::new().days(1)).take_while(|day| *day <= last).collect();
        }
        if days.len() > DAYS_MAX { Err(DayError::TooMany(days.len())) } else { Ok(Self(days)) }
    }

    /// They.
    pub fn days(&self) -> &[Date] {
        &self.0
    }

    /// When each begins and ends.
    pub fn spans(&self, kind: DayKind) -> Result<Vec<Range<Millis>>, DayError> {
        self.0.iter().map(|day| kind.span(*day)).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const HOUR: Millis = 3_600_000;

    #[test]
    fn local_days_begin_at_midnight_in_london() {
        let span = |day| DayKind::Local.span(day).unwrap();
        let utc = |day| DayKind::Utc.span(day).unwrap();
        assert_eq!(span(date(2019, 11, 13)), utc(date(2019, 11, 13)), "winter");
        assert_eq!(span(date(2019, 7, 1)).start, utc(date(2019, 7, 1)).start - HOUR, "summer");
        let long = span(date(2019, 10, 27));
        let short = span(date(2019, 3, 31));
        assert_eq!((long.end - long.start, short.end - short.start), (25 * HOUR, 23 * HOUR));
        for day in date(2019, 1, 1).series(jiff::Span::new().days(1)).take(800) {
            let here = span(day);
            assert_eq!(here.end, span(day.tomorrow().unwrap()).start);
            assert_eq!((here.start % HOUR, DayKind::Local.of(here.start)), (0, Some(day)));
            assert_eq!(DayKind::Local.of(here.end - 1), Some(day));
        }
    }

    #[test]
    fn days_between_are_filled_up_unless_one_lies_far_off() {
        let of = |days: &[Date]| DaySet::of(days.iter().copied().collect());
        assert_eq!(of(&[date(2026, 2, 27), date(2026, 3, 1)]).unwrap().days().len(), 3);
        assert_eq!(of(&[date(2001, 1, 1), date(2026, 3, 1)]).unwrap().days().len(), 2);
        assert!(of(&[]).unwrap().days().is_empty());
        let many: Vec<Date> = date(2001, 1, 1).series(jiff::Span::new().days(2)).take(1_001).collect();
        assert_eq!(of(&many), Err(DayError::TooMany(1_001)));
    }
}
