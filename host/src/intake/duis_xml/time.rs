//! Times as documents state them (`xs:dateTime`).
//!
//! Invariant: a time without a zone gives none, unless the caller names the zone. The DCC's local time is an hour off for half
//! of the year, so a guess would silently move alerts.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::super::{
    shown,
    times::{check_leap_second, check_offset, in_zone},
};
use crate::domain::{CALENDAR_MS, Millis};

/// Milliseconds of a day.
const DAY_MS: Millis = 86_400_000;

/// Reads a time. An error says in words why there is none: it has no zone, is no time, or lies in no year that can be.
pub(super) fn read(text: &str, zone: Option<&TimeZone>) -> Result<Millis, String> {
    check_leap_second(text)?;
    let (text, next_day) = match midnight(text) {
        Some(begins) => (begins, DAY_MS),
        None => (text.to_owned(), 0),
    };
    let wrong = |why: &str| format!("{why}, found {}", shown(&text));
    let time: Result<Timestamp, _> = text.parse();
    let civil = || text.parse::<DateTime>().ok().filter(|_| !text.contains('['));
    let ms = match (time, zone) {
        (Ok(time), _) => {
            check_offset(&text)?;
            time.as_millisecond() + next_day
        }
        (Err(_), zone) => match (civil(), zone) {
            (Some(_), None) => {
                return Err(wrong("expected a time with a zone, like 2026-11-23T09:30:00Z (--time-zone states one)"));
            }
            (Some(civil), Some(zone)) => {
                let days = jiff::Span::new().days(next_day / DAY_MS);
                in_zone(civil.checked_add(days).map_err(|_| wrong("expected a time of the years 1970 to 2200"))?, zone)?
            }
            (None, _) => return Err(wrong("expected a time like 2026-11-23T09:30:00Z")),
        },
    };
    if CALENDAR_MS.contains(&ms) { Ok(ms) } else { Err(wrong("expected a time of the years 1970 to 2200")) }
}

/// A time as a note shows it.
pub(super) fn written(ms: Millis) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// The text with 00:00:00 where it has 24:00:00: the end of a day is legal, and is the beginning of the next.
fn midnight(text: &str) -> Option<String> {
    let (date, time) = text.split_once(['T', 't'])?;
    let rest = time.strip_prefix("24:00:00")?;
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches('0'),
        None => rest,
    };
    Some(format!("{date}T00:00:00{zone}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_legal_form_is_read() {
        for (text, ms) in [
            ("2026-11-23T09:30:00Z", 1_795_426_200_000),
            ("2026-11-23T09:30:00.25Z", 1_795_426_200_250),
            ("2026-11-23T09:30:00.2509Z", 1_795_426_200_250),
            ("2026-11-23T10:30:00+01:00", 1_795_426_200_000),
            ("2026-11-22T20:00:00.000-13:30", 1_795_426_200_000),
            ("2026-11-22T24:00:00Z", 1_795_392_000_000),
            ("2026-11-22T24:00:00.000Z", 1_795_392_000_000),
            ("2026-12-31T24:00:00+00:00", 1_798_761_600_000),
            ("1970-01-01T00:00:00Z", 0),
        ] {
            assert_eq!(read(text, None), Ok(ms), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_says_why() {
        for (text, why) in [
            (
                "2026-11-23T09:30:00",
                "expected a time with a zone, like 2026-11-23T09:30:00Z (--time-zone states one), found ",
            ),
            ("2026-11-22T24:00:00", "expected a time with a zone"),
            ("2026-11-23 09:30:00.250", "expected a time with a zone"),
            ("2026-11-23T24:00:01Z", "expected a time like "),
            ("2026-11-23T24:00:00.1Z", "expected a time like "),
            ("2026-11-23T25:00:00Z", "expected a time like "),
            ("2026-02-30T00:00:00Z", "expected a time like "),
            ("23/11/2026 09:30", "expected a time like "),
            ("", "expected a time like "),
            ("0001-01-01T00:00:00Z", "expected a time of the years 1970 to 2200, found "),
            ("1969-12-31T23:59:59Z", "expected a time of the years 1970 to 2200"),
            ("2200-01-01T00:00:00Z", "expected a time of the years 1970 to 2200"),
            ("2016-12-31T23:59:60Z", "\"2016-12-31T23:59:60Z\" has a leap second"),
        ] {
            let error = read(text, None).unwrap_err();
            assert!(error.starts_with(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_time_without_a_zone_is_read_in_the_one_that_is_named() {
        let london = jiff::tz::get!("Europe/London");
        let read = |text| super::read(text, Some(&london));
        assert_eq!(read("2026-07-01T10:30:00"), super::read("2026-07-01T09:30:00Z", None));
        assert_eq!(read("2026-07-01T24:00:00"), super::read("2026-07-01T23:00:00Z", None));
        assert_eq!(read("2026-07-01T10:30:00Z"), super::read("2026-07-01T10:30:00Z", None), "a stated zone counts");
        assert!(read("2026-10-25T01:30:00").unwrap_err().contains("was shown twice in Europe/London"));
        assert!(read("2026-03-29T01:30:00").unwrap_err().contains("was never shown in Europe/London"));
        assert!(read("soon").unwrap_err().starts_with("expected a time like"));
    }
}
