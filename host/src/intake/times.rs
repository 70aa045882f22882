//! Parses times.
//!
//! Invariant: a time without a zone or a unit is an error unless the caller states them; a local time that a zone skips or
//! repeats is always an error. Times are truncated to milliseconds.

use jiff::{
    Timestamp,
    civil::{DateTime, Time},
    fmt::temporal::Pieces,
    tz::{AmbiguousOffset, Offset, TimeZone},
};

use super::{dates::Written, form::Form, shown};
use crate::domain::Millis;

/// Range of plausible times, 2000-01-01 to 2100-01-01. At most one unit puts a number inside it.
const LIKELY_MS: std::ops::Range<i128> = 946_684_800_000..4_102_444_800_000;
/// Largest offset from UTC that a clock has, in seconds.
const OFFSET_S_MAX: i32 = 14 * 3_600;
/// Serial day numbers of spreadsheets, from 1990 to 2099.
const SHEET_DAYS: std::ops::Range<i64> = 32_874..73_050;

/// Unit of a bare number of time since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epoch {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
    /// The unit that puts the number between 2000 and 2100.
    ByMagnitude,
}

impl Epoch {
    const UNITS: [Self; 4] = [Self::Seconds, Self::Millis, Self::Micros, Self::Nanos];

    /// Returns the value that `--epoch` takes.
    fn option(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Millis => "ms",
            Self::Micros => "us",
            Self::Nanos => "ns",
            Self::ByMagnitude => "auto",
        }
    }

    fn nanos(self) -> i128 {
        match self {
            Self::Seconds => 1_000_000_000,
            Self::Millis => 1_000_000,
            Self::Micros => 1_000,
            Self::Nanos | Self::ByMagnitude => 1,
        }
    }
}

/// Parses RFC 3339, and civil times and numbers as far as `form` resolves them.
pub(super) fn time(text: &str, form: &Form) -> Result<Millis, String> {
    check_leap_second(text)?;
    if let Ok(time) = text.parse::<Timestamp>() {
        check_offset(text)?;
        return Ok(time.as_millisecond());
    }
    if let Some(number) = Number::read(text) {
        return number.since_1970(form.epoch, text);
    }
    let civil = Civil::read(text, form)?;
    match (civil.offset, form.zone.as_ref()) {
        (Some(offset), _) => offset.to_timestamp(civil.time).map(Timestamp::as_millisecond).map_err(|_| expected(text)),
        (None, Some(zone)) => in_zone(civil.time, zone),
        (None, None) => Err(format!(
            "{} has no zone: {}Z if it is UTC; --time-zone says whose clock showed it, like Europe/London",
            shown(text),
            civil.time
        )),
    }
}

/// Formats a time as it is told in UTC; a number of milliseconds where it lies beyond the calendar.
pub(crate) fn utc(millis: Millis) -> String {
    Timestamp::from_millisecond(millis).map_or_else(|_| format!("{millis} ms"), |time| time.to_string())
}

/// Formats a time of the protocol for an error: the number as it was sent, and the time that it is.
pub(crate) fn told(millis: Millis) -> String {
    match Timestamp::from_millisecond(millis) {
        Ok(time) => format!("{millis} ({time})"),
        Err(_) => millis.to_string(),
    }
}

/// Parses the number of a column whose name says milliseconds; `form.epoch` overrides the unit.
pub(super) fn millis(text: &str, form: &Form) -> Result<Millis, String> {
    match (form.epoch, Number::read(text)) {
        (Some(epoch), Some(number)) => number.since_1970(Some(epoch), text),
        _ => super::values::integer(text, "of milliseconds since 1970"),
    }
}

/// Describes a number that was read as an implausible time and is a plausible one in another unit.
pub(super) fn doubt(text: &str, read_as: Millis) -> Option<String> {
    if LIKELY_MS.contains(&read_as.into()) || read_as == 0 {
        return None;
    }
    let number = Number::read(text)?;
    let unit = number.likely()?;
    let likely = Timestamp::from_millisecond(Millis::try_from(number.millis(unit)).ok()?).ok()?;
    let read_as =
        Timestamp::from_millisecond(read_as).map_or_else(|_| "beyond the calendar".to_owned(), |time| time.to_string());
    let unit = unit.option();
    Some(format!("{text} is read as {read_as}; with --epoch {unit} it is {likely}"))
}

/// Rejects a time with a leap second. No clock here has one: it would become the second before.
pub(crate) fn check_leap_second(text: &str) -> Result<(), String> {
    let clock = text.split_once(['T', 't', ' ', '\u{A0}', '\u{202F}']).map_or("", |(_, clock)| clock.trim_start());
    let mut parts = clock.splitn(3, ':');
    let is_number = |part: Option<&str>| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_clock = is_number(parts.next()) && is_number(parts.next());
    let seconds = parts.next().and_then(|rest| rest.strip_prefix("60")).filter(|_| is_clock);
    if seconds.is_none_or(|rest| rest.starts_with(|next: char| next.is_ascii_digit())) {
        return Ok(());
    }
    Err(format!(
        "{} has a leap second, which no clock here keeps: write second 59, or 00 of the minute after it",
        shown(text)
    ))
}

/// Rejects an RFC 3339 time with an offset that no clock has, which is more likely another field than an offset.
pub(super) fn check_offset(text: &str) -> Result<(), String> {
    if text.ends_with(['Z', 'z']) {
        return Ok(());
    }
    match Pieces::parse(text).ok().and_then(|pieces| pieces.to_numeric_offset()) {
        Some(offset) if offset.seconds().abs() > OFFSET_S_MAX => Err(no_offset(text)),
        _ => Ok(()),
    }
}

fn no_offset(text: &str) -> String {
    format!("{} has an offset that no clock has: 14:00 is the largest, with minutes below 60", shown(text))
}

/// Converts a local time, and rejects gaps and folds.
pub(super) fn in_zone(time: DateTime, zone: &TimeZone) -> Result<Millis, String> {
    let name = zone.iana_name().unwrap_or("this zone").to_owned();
    let ambiguous = zone.to_ambiguous_timestamp(time);
    let at = |offset: Offset| format!("{time}{offset}");
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => offset
            .to_timestamp(time)
            .map(Timestamp::as_millisecond)
            .map_err(|_| format!("{time} lies outside the years that can be computed with")),
        AmbiguousOffset::Gap { .. } => {
            Err(format!("{time} was never shown in {name}: clocks were put forward over it; write it with its offset"))
        }
        AmbiguousOffset::Fold { before, after } => Err(format!(
            "{time} was shown twice in {name}, when clocks were put back: write {} or {}",
            at(before),
            at(after)
        )),
    }
}

fn expected(text: &str) -> String {
    format!("expected a time like 2026-11-23T09:30:00Z, found {}", shown(text))
}

/// An exact decimal number, in billionths.
struct Number {
    nanos: i128,
    has_decimals: bool,
}

impl Number {
    fn read(text: &str) -> Option<Self> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain =
            |part: &str, max: usize| (1..=max).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if !plain(whole, 19) || !plain(fraction, 9) {
            return None;
        }
        let decimals: i128 = format!("{fraction:0<9}").parse().ok()?;
        let nanos = whole.parse::<i128>().ok()? * 1_000_000_000 + decimals;
        Some(Self { nanos: if negative { -nanos } else { nanos }, has_decimals: digits.contains('.') })
    }

    /// Converts to milliseconds.
    fn millis(&self, unit: Epoch) -> i128 {
        // The number is in billionths of a unit, which has so many nanoseconds.
        (self.nanos * unit.nanos()).div_euclid(1_000_000_000 * 1_000_000)
    }

    /// The unit that makes it a plausible time.
    fn likely(&self) -> Option<Epoch> {
        Epoch::UNITS.into_iter().find(|unit| LIKELY_MS.contains(&self.millis(*unit)))
    }

    fn since_1970(&self, epoch: Option<Epoch>, text: &str) -> Result<Millis, String> {
        let unit = match epoch {
            None => return Err(self.refused(self.likely(), text)),
            Some(Epoch::ByMagnitude) => self.likely().ok_or_else(|| {
                format!(
                    "{} is between 2000 and 2100 in no unit; state its unit with --epoch s, ms, us or ns",
                    shown(text)
                )
            })?,
            Some(unit) => unit,
        };
        Millis::try_from(self.millis(unit)).map_err(|_| expected(text))
    }

    fn refused(&self, likely: Option<Epoch>, text: &str) -> String {
        let day = self.nanos.div_euclid(1_000_000_000);
        if i64::try_from(day).is_ok_and(|day| SHEET_DAYS.contains(&day)) && (self.has_decimals || text.len() == 5) {
            return format!(
                "{} is a number, as a spreadsheet counts days; have the column written as 2026-11-23T09:30:00Z",
                shown(text)
            );
        }
        let time = |unit: Epoch| Timestamp::from_millisecond(Millis::try_from(self.millis(unit)).ok()?).ok();
        match likely.and_then(|unit| Some((unit, time(unit)?))) {
            Some((unit, time)) => {
                format!("{} is a number; with --epoch {} it is {time}", shown(text), unit.option())
            }
            None => expected(text),
        }
    }
}

/// A civil time, with its offset if it has one.
struct Civil {
    time: DateTime,
    offset: Option<Offset>,
}

impl Civil {
    /// Parses what RFC 3339 excludes: no zone, other orders of the date, AM and PM.
    fn read(text: &str, form: &Form) -> Result<Self, String> {
        let at = text.find([' ', 'T', 't', '\u{A0}', '\u{202F}']).unwrap_or(text.len());
        let (day, clock) = text.split_at(at);
        let written =
            Written::read(day).map_err(|why| if why.starts_with("expected") { expected(text) } else { why })?;
        let clock = clock.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, 'T' | 't'));
        if clock.is_empty() {
            return Err(format!("{} is a day without a time", shown(text)));
        }
        let date = written.settle(form.date_order, day)?;
        let (time, is_next_day, rest) = clock_time(clock).ok_or_else(|| expected(text))?;
        let offset = offset(rest)?;
        let date = if is_next_day { date.tomorrow().map_err(|_| expected(text))? } else { date };
        Ok(Self { time: date.to_datetime(time), offset })
    }
}

/// Parses a leading clock time. Returns it, whether it is 24:00 (midnight of the next day), and the rest of the text.
fn clock_time(text: &str) -> Option<(Time, bool, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, ':' | '.' | ',')).unwrap_or(text.len());
    let (clock, rest) = text.split_at(end);
    let mut parts = clock.splitn(3, ':');
    let small = |text: &str| {
        let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse::<i8>().ok() } else { None }
    };
    let (mut hour, minute) = (small(parts.next()?)?, small(parts.next()?)?);
    let (second, nanos) = match parts.next() {
        None => (0, 0),
        Some(seconds) => {
            let (second, fraction) = seconds.split_once(['.', ',']).unwrap_or((seconds, "0"));
            let plain = (1..=9).contains(&fraction.len()) && fraction.bytes().all(|byte| byte.is_ascii_digit());
            (small(second)?, format!("{fraction:0<9}").parse().ok().filter(|_| plain)?)
        }
    };
    let rest = rest.trim_start();
    let half = rest.get(..2).map(str::to_ascii_lowercase);
    let rest = match half.as_deref() {
        Some(half @ ("am" | "pm")) if (1..=12).contains(&hour) => {
            hour = hour % 12 + if half == "pm" { 12 } else { 0 };
            rest[2..].trim_start()
        }
        Some("am" | "pm") => return None,
        _ => rest,
    };
    let is_next_day = (hour, minute, second, nanos) == (24, 0, 0, 0);
    let time = Time::new(if is_next_day { 0 } else { hour }, minute, second, nanos).ok()?;
    Some((time, is_next_day, rest))
}

/// Parses an offset from UTC; `None` for empty text.
fn offset(text: &str) -> Result<Option<Offset>, String> {
    let unknown = || format!("{} names no offset that is known; write it like +01:00, or Z for UTC", shown(text));
    if text.is_empty() {
        return Ok(None);
    }
    if ["z", "utc", "gmt"].contains(&text.to_ascii_lowercase().as_str()) {
        return Ok(Some(Offset::UTC));
    }
    let (sign, digits) = match text.split_at_checked(1) {
        Some(("+", digits)) => (1, digits),
        Some(("-", digits)) => (-1, digits),
        _ => return Err(unknown()),
    };
    let digits = digits.replacen(':', "", 1);
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(unknown());
    }
    let (hours, minutes) = digits.split_at(2);
    let part = |text: &str| if text.is_empty() { Ok(0) } else { text.parse::<i32>().map_err(|_| unknown()) };
    let minutes = part(minutes)?;
    let seconds = part(hours)? * 3_600 + minutes * 60;
    if minutes >= 60 || seconds > OFFSET_S_MAX {
        return Err(no_offset(text));
    }
    Offset::from_seconds(sign * seconds).map(Some).map_err(|_| unknown())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::dates::DateOrder;

    const TIME: Millis = 1_795_426_200_000;

    fn of(form: &Form, text: &str) -> Result<Millis, String> {
        time(text, form)
    }

    fn london() -> Form {
        Form { zone: Some(jiff::tz::get!("Europe/London")), ..Form::default() }
    }

    #[test]
    fn a_time_with_its_offset_needs_nothing_else() {
        let plain = Form::default();
        for text in [
            "2026-11-23T09:30:00Z",
            "2026-11-23 09:30:00Z",
            "2026-11-23T10:30:00+01:00",
            "2026/11/23 09:30 UTC",
            "23/11/2026 09:30:00 GMT",
            "23-Nov-2026 09:30:00.000+0000",
            "23/11/2026 9:30 AM Z",
            "23.11.2026T09:30:00,000+00",
        ] {
            assert_eq!(of(&plain, text), Ok(TIME), "{text}");
        }
        assert_eq!(of(&plain, "2026-11-22T24:00:00Z"), of(&plain, "2026-11-23T00:00:00Z"));
        assert_eq!(of(&plain, "2026-11-23T09:30:00.2509Z"), Ok(TIME + 250));
        for (text, words) in [
            ("", "expected a time like 2026-11-23T09:30:00Z, found \"\""),
            ("soon", "expected a time like"),
            ("2026-13-01T00:00:00Z", "\"2026-13-01\" is no day"),
            ("2026-11-23T25:00:00Z", "expected a time like"),
            ("2026-11-23T09:60:00Z", "expected a time like"),
            ("2026-11-23T24:00:01Z", "expected a time like"),
            ("2026-11-23", "\"2026-11-23\" is a day without a time"),
            ("2026-11-23T09:30:00 BST", "\"BST\" names no offset that is known"),
            ("23/11/2026 13:30 PM", "expected a time like"),
            ("23/11/26 09:30Z", "\"23/11/26\" has a year of two digits"),
            (
                "2016-12-31T23:59:60Z",
                "\"2016-12-31T23:59:60Z\" has a leap second, which no clock here keeps: write second 59",
            ),
            ("31/12/2016 23:59:60.5 +00:00", "\"31/12/2016 23:59:60.5 +00:00\" has a leap second"),
            ("2016-12-31T23:59:61Z", "expected a time like"),
            ("2016-12-31T23:59:600Z", "expected a time like"),
            ("11/03/2026 09:30Z", "\"11/03/2026\" is 2026-03-11 as day/month/year (--date-order dmy) and"),
        ] {
            let refused = of(&plain, text).unwrap_err();
            assert!(refused.starts_with(words), "{text}: {refused}");
        }
    }

    #[test]
    fn an_offset_that_no_clock_has_is_refused() {
        let plain = Form::default();
        assert_eq!(of(&plain, "2026-11-23T23:30:00+14:00"), Ok(TIME));
        assert_eq!(of(&plain, "23/11/2026 23:30 +1400"), Ok(TIME));
        assert_eq!(of(&plain, "2026-11-23T00:00:00-09:30"), Ok(TIME));
        for offset in ["+25:00", "+24:00", "+01:75", "+15:00", "+23:59", "-15:00", "+14:01", "+1401", "+99", "+01:60"] {
            for text in ["2026-11-23T09:30:00", "2026-11-23 09:30", "23/11/2026 09:30:00"] {
                let text = format!("{text}{offset}");
                let refused = of(&london(), &text).unwrap_err();
                assert!(refused.contains("has an offset that no clock has: 14:00 is the largest"), "{text}: {refused}");
            }
        }
    }

    #[test]
    fn a_time_without_a_zone_is_refused_until_somebody_says_whose_clock_it_is() {
        let refused = of(&Form::default(), "2026-11-23 09:30").unwrap_err();
        assert!(
            refused.starts_with("\"2026-11-23 09:30\" has no zone: 2026-11-23T09:30:00Z if it is UTC"),
            "{refused}"
        );
        let utc = Form { zone: Some(TimeZone::UTC), ..Form::default() };
        for text in ["2026-11-23 09:30", "2026-11-23T09:30:00", "23/11/2026 09:30:00.000", "23/11/2026 9:30:00 am"] {
            assert_eq!((of(&utc, text), of(&london(), text)), (Ok(TIME), Ok(TIME)), "{text}: winter");
        }
        assert_eq!(of(&utc, "23/11/2026 12:30 AM"), of(&utc, "2026-11-23T00:30"));
        assert_eq!(of(&utc, "23/11/2026 12:30 PM"), of(&utc, "2026-11-23T12:30"));
        assert_eq!(of(&london(), "2026-07-01T01:00").unwrap(), of(&utc, "2026-07-01T00:00").unwrap(), "summer");
        assert_eq!(of(&london(), "2026-07-01T01:00Z"), of(&utc, "2026-07-01T01:00"), "what has a zone keeps it");
        let us = Form { date_order: Some(DateOrder::MonthDay), ..utc };
        assert_eq!(of(&us, "11/03/2026 00:00"), of(&us, "2026-11-03T00:00"));
    }

    #[test]
    fn times_that_were_shown_twice_or_never_are_named() {
        let form = london();
        let twice = of(&form, "2026-10-25T01:30:00").unwrap_err();
        let both = "2026-10-25T01:30:00 was shown twice in Europe/London, when clocks were put back: write \
                    2026-10-25T01:30:00+01 or 2026-10-25T01:30:00+00";
        assert_eq!(twice, both);
        let never = of(&form, "2026-03-29T01:30:00").unwrap_err();
        assert!(never.starts_with("2026-03-29T01:30:00 was never shown in Europe/London"), "{never}");
        for text in ["2026-10-25T00:59:59", "2026-10-25T02:00", "2026-03-29T00:59", "2026-03-29T02:00"] {
            assert!(of(&form, text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_time_of_the_protocol_is_told_in_utc_beside_its_number() {
        assert_eq!(told(1_795_426_200_000), "1795426200000 (2026-11-23T09:30:00Z)");
        assert_eq!(told(-1), "-1 (1969-12-31T23:59:59.999Z)");
        assert_eq!((told(i64::MAX), utc(i64::MAX)), (i64::MAX.to_string(), format!("{} ms", i64::MAX)));
    }

    #[test]
    fn a_number_needs_a_unit_and_its_size_tells_one_only_where_that_is_asked_for() {
        let seconds = of(&Form::default(), "1795426200").unwrap_err();
        assert_eq!(seconds, "\"1795426200\" is a number; with --epoch s it is 2026-11-23T09:30:00Z");
        assert!(of(&Form::default(), "1795426200000").unwrap_err().contains("with --epoch ms it is 2026-"));
        assert!(of(&Form::default(), "46349.39583").unwrap_err().contains("as a spreadsheet counts days"));
        let by = |epoch| Form { epoch: Some(epoch), ..Form::default() };
        for (epoch, text) in [
            (Epoch::Seconds, "1795426200"),
            (Epoch::Seconds, "1795426200.0004"),
            (Epoch::Millis, "1795426200000"),
            (Epoch::Micros, "1795426200000999"),
            (Epoch::Nanos, "1795426200000000000"),
        ] {
            assert_eq!(of(&by(epoch), text), Ok(TIME), "{text}");
            assert_eq!(of(&by(Epoch::ByMagnitude), text), Ok(TIME), "{text}");
            assert_eq!(
                millis(text, &by(epoch)),
                Ok(TIME),
                "{text}: a column that says milliseconds, and a caller who knows"
            );
        }
        assert_eq!(of(&by(Epoch::Seconds), "-1"), Ok(-1_000));
        assert!(of(&by(Epoch::ByMagnitude), "1000").unwrap_err().contains("in no unit"));
        assert_eq!(millis("1795426200", &Form::default()), Ok(1_795_426_200), "the column says milliseconds");
        assert!(millis("1795426200.5", &Form::default()).is_err());
        assert!(of(&by(Epoch::Seconds), "9999999999999999999").is_err());
    }

    #[test]
    fn a_time_that_is_not_plausible_is_said_with_the_unit_that_the_number_in_the_file_has() {
        for (text, epoch, unit) in [
            ("1795426200", None, "s"),
            ("1795426200000000", None, "us"),
            ("1795426200000000000", None, "ns"),
            ("1795426200000", Some(Epoch::Seconds), "ms"),
            ("1795426200000", Some(Epoch::Nanos), "ms"),
            ("1795426200", Some(Epoch::Micros), "s"),
        ] {
            let said = doubt(text, millis(text, &Form { epoch, ..Form::default() }).unwrap()).unwrap();
            assert!(said.starts_with(&format!("{text} is read as ")), "{said}");
            let ends = format!("; with --epoch {unit} it is 2026-11-23T09:30:00Z");
            assert!(said.ends_with(&ends), "{said}");
        }
        for text in ["1795426200000", "0", "1000", "-1"] {
            assert_eq!(doubt(text, millis(text, &Form::default()).unwrap()), None, "{text}");
        }
    }
}
