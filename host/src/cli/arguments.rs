//! Arguments that several commands share, and how their text is read.
//!
//! It must not know a command. Invariant: what a message carries is in range before anything is sent.

use std::str::FromStr;

use clap::ValueEnum;
use weir_proto::v1;

pub(crate) use super::names::{NameFiles, Names};
use super::{Failure, view::utc};
use crate::{
    domain::{AlertCode, Eui64, HOUR_MS, IdError, Millis, Mpxn, OperatorId},
    intake::{claims::Subject, inventory, tables::OperatorTable, times::check_leap_second},
    near::{as_hex, did_you_mean, nearest},
};

/// A stretch of time of receipt.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Period {
    /// Received at or after: a time like 2026-11-23T09:00:00Z, or a day like 2026-11-23 (UTC).
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Millis>,
    /// Received before: a time, or a day (UTC).
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Millis>,
}

impl Period {
    /// Since and until, as the protocol has them: 0 for an open end.
    pub(super) fn wire(&self) -> Result<(Millis, Millis), Failure> {
        stretch("-", self.since, self.until)
    }

    /// Returns true if it has a beginning or an end.
    pub(super) fn is_bounded(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }

    /// The same, of what is counted by the hour.
    pub(super) fn hours(&self) -> Result<(Millis, Millis), Failure> {
        for (name, ms) in [("--since", self.since), ("--until", self.until)] {
            if let Some(ms) = ms.filter(|ms| ms % HOUR_MS != 0) {
                let message = format!("{name}: {} is no whole hour; counts are by the hour", utc(ms));
                return Err(Failure::usage(message));
            }
        }
        self.wire()
    }
}

/// A beginning and an end as the protocol has them, 0 for open ones; `option` is what the names of their options begin with.
pub(super) fn stretch(option: &str, since: Option<Millis>, until: Option<Millis>) -> Result<(Millis, Millis), Failure> {
    match (since, until) {
        (Some(since), Some(until)) if until <= since => {
            let (until, since) = (utc(until), utc(since));
            Err(Failure::usage(format!("{option}-until: {until} is not after {option}-since, {since}")))
        }
        (since, until) => Ok((since.unwrap_or(0), until.unwrap_or(0))),
    }
}

/// Which alerts a command is about. Models stand beside it: not everybody has a word for those without.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Only {
    /// Only these operators: distributor ids, four letters like LOND, or unknown.
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = operator)]
    operator: Vec<OperatorId>,
    /// Only these generations.
    #[arg(long, value_delimiter = ',')]
    generation: Vec<Generation>,
    /// Only these alert codes: 4 hex digits each, or like N24.
    #[arg(long, value_delimiter = ',', value_parser = code)]
    code: Vec<AlertCode>,
}

impl Only {
    /// Operators as the protocol has them.
    pub(super) fn operators(&self) -> Vec<u32> {
        operators(&self.operator)
    }

    /// Generations as the protocol has them.
    pub(super) fn generations(&self) -> Vec<i32> {
        self.generation.iter().map(|generation| generation.wire()).collect()
    }

    /// Codes as the protocol has them.
    pub(super) fn codes(&self) -> Vec<u32> {
        codes(&self.code)
    }

    /// The scope of a rule, with these models.
    pub(super) fn scope(&self, models: Vec<String>) -> v1::RuleScope {
        let (operators, generations, codes) = (self.operators(), self.generations(), self.codes());
        v1::RuleScope { operators, generations, codes, models }
    }
}

/// A kind of meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Generation {
    /// SMETS1.
    Smets1,
    /// SMETS2.
    Smets2,
    /// Not in the inventory, or not stated there.
    Unknown,
}

impl Generation {
    /// As the protocol has it.
    pub(crate) fn wire(self) -> i32 {
        match self {
            Self::Smets1 => v1::Generation::Smets1.into(),
            Self::Smets2 => v1::Generation::Smets2.into(),
            Self::Unknown => v1::Generation::Unspecified.into(),
        }
    }
}

/// Codes as the protocol has them.
pub(crate) fn codes(codes: &[AlertCode]) -> Vec<u32> {
    codes.iter().map(|code| code.0.into()).collect()
}

/// Operators as the protocol has them.
pub(crate) fn operators(operators: &[OperatorId]) -> Vec<u32> {
    operators.iter().map(|operator| operator.get().into()).collect()
}

/// Models as the protocol has them: empty text for those without.
pub(super) fn models(models: &[String]) -> Vec<String> {
    models.iter().map(|name| if name == "unknown" { String::new() } else { name.clone() }).collect()
}

/// An operator: its distributor id, its four letters, or `unknown`.
pub(crate) fn operator(text: &str) -> Result<OperatorId, String> {
    if text.eq_ignore_ascii_case("unknown") {
        return Ok(OperatorId::UNKNOWN);
    }
    let id = text.parse().ok().and_then(OperatorId::new);
    let table = OperatorTable::builtin();
    id.or_else(|| table.find(text)).ok_or_else(|| {
        let names = (10..=99).filter_map(OperatorId::new).filter_map(|id| table.name(id));
        let near = did_you_mean(nearest(text, names.chain(["unknown"])));
        format!("expected a distributor id (10 to 99), an operator's four letters like LOND, or unknown{near}")
    })
}

/// A device. Rejects the broadcast address, and 0.
pub(crate) fn device(text: &str) -> Result<Eui64, String> {
    identifier::<Eui64>(text)?.of_device().map_err(|error| error.to_string())
}

/// A metering point, in the forms in which people paste it.
pub(crate) fn metering_point(text: &str) -> Result<Mpxn, String> {
    match inventory::metering_point(text)? {
        Mpxn::NONE => Err("expected an MPAN (13 digits) or MPRN (6 to 10 digits)".to_owned()),
        mpxn => Ok(mpxn),
    }
}

/// A device, or whatever is at a metering point.
pub(crate) fn subject(text: &str) -> Result<Subject, String> {
    if let Ok(eui) = device(text) {
        return Ok(Subject::Device(eui));
    }
    let digits = text.chars().filter(|character| *character != ' ');
    let is_short = digits.clone().all(|digit| digit.is_ascii_digit()) && digits.count() < 16;
    match metering_point(text) {
        Ok(mpxn) => Ok(Subject::Point(mpxn)),
        Err(why) if is_short => Err(why),
        Err(_) => device(text).map(Subject::Device),
    }
}

/// An alert code.
pub(crate) fn code(text: &str) -> Result<AlertCode, String> {
    identifier(text)
}

/// What is written in hex; where letters that look like digits are in the way, what was probably meant.
fn identifier<T: FromStr<Err = IdError> + ToString>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| {
        let meant = as_hex(text).and_then(|hex| hex.parse::<T>().ok()).map(|meant| meant.to_string());
        format!("{error}{}", did_you_mean(meant.as_deref()))
    })
}

/// RFC 3339, or a day, which stands for its first instant in UTC. Refuses 1970-01-01T00:00:00Z, which the protocol takes for
/// no time at all.
pub(crate) fn time(text: &str) -> Result<Millis, String> {
    check_leap_second(text)?;
    let day = || {
        text.parse::<jiff::civil::Date>()
            .ok()
            .and_then(|day| jiff::tz::TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok())
    };
    let time = if text.len() == "2026-11-23".len() { day() } else { text.parse::<jiff::Timestamp>().ok() };
    let ms = time.map(jiff::Timestamp::as_millisecond);
    match ms.ok_or_else(|| "expected a time like 2026-11-23T09:00:00Z, or a day like 2026-11-23".to_owned())? {
        0 => Err("1970-01-01T00:00:00Z stands for no time; leave the option out, or give another".to_owned()),
        ms => Ok(ms),
    }
}

/// Now, by this machine's clock.
pub(crate) fn now_ms() -> Millis {
    jiff::Timestamp::now().as_millisecond()
}

/// When a day of UTC begins.
pub(crate) fn start_of_day(day: jiff::civil::Date) -> Result<Millis, Failure> {
    let start = jiff::tz::TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).map(jiff::Timestamp::as_millisecond);
    start.map_err(|_| Failure::usage(format!("--ending: {day} lies outside the years that can be computed with")))
}

/// When a day of UTC ends.
pub(crate) fn end_of_day(day: jiff::civil::Date) -> Result<Millis, Failure> {
    let next = day.tomorrow();
    start_of_day(next.map_err(|_| Failure::usage(format!("--ending: {day} has no day after it")))?)
}

/// A length of time in milliseconds, at most so many days.
pub(super) fn length(text: &str, days_max: i64) -> Result<i64, String> {
    let wrong = || format!("expected a length of time like 30m, 1h or 2d, at most {days_max}d");
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let time = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    let ms = i64::try_from(time.as_millis()).map_err(|_| wrong())?;
    if (1..=days_max * 86_400_000).contains(&ms) { Ok(ms) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_or_days() {
        assert_eq!(time("2026-11-23"), Ok(1_795_392_000_000));
        assert_eq!(time("2026-11-23T01:00:00+01:00"), Ok(1_795_392_000_000));
        for wrong in [
            "",
            "yesterday",
            "1970-01-01",
            "1970-01-01T01:00:00+01:00",
            "2026-11-31",
            "2026-11-23T09:00",
            "23/11/2026",
            "2026-11-2x",
        ] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_period_that_ends_before_it_begins_or_within_an_hour_is_named_as_it_was_typed() {
        let period = |since: &str, until: &str| Period { since: time(since).ok(), until: time(until).ok() };
        let said = |period: Result<_, Failure>| period.map_err(|failure| failure.message);
        assert_eq!(said(period("2026-11-23", "").hours()), Ok((1_795_392_000_000, 0)));
        let backwards = period("2026-11-24", "2026-11-23").wire();
        assert_eq!(
            said(backwards),
            Err("--until: 2026-11-23T00:00:00Z is not after --since, 2026-11-24T00:00:00Z".to_owned())
        );
        let within = period("2026-11-23T09:30:00Z", "");
        assert!(within.wire().is_ok());
        let message = "--since: 2026-11-23T09:30:00Z is no whole hour; counts are by the hour";
        assert_eq!(said(within.hours()), Err(message.to_owned()));
    }

    #[test]
    fn operators_are_ids_letters_or_unknown() {
        for (text, id) in [("12", 12), ("LOND", 12), ("lond", 12), ("unknown", 0), ("0", 0), ("99", 99)] {
            assert_eq!(operator(text).map(|operator| operator.get()), Ok(id), "{text}");
        }
        for wrong in ["", "9", "100", "XXXX"] {
            assert!(operator(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_mistyped_is_told_what_was_meant() {
        assert!(operator("LNOD").unwrap_err().ends_with("; did you mean \"LOND\"?"));
        assert!(code("8F4O").unwrap_err().ends_with("; did you mean \"8F40\"?"));
        assert!(code("8F").unwrap_err().ends_with("found \"8F\""));
        let device = device("OO-DB-12-34-56-78-9O-AO").unwrap_err();
        assert!(device.ends_with("; did you mean \"00-DB-12-34-56-78-90-A0\"?"), "{device}");
    }

    #[test]
    fn the_broadcast_address_is_no_device() {
        for text in ["FF-FF-FF-FF-FF-FF-FF-FF", "ffffffffffffffff"] {
            let why = "FF-FF-FF-FF-FF-FF-FF-FF is the broadcast address, which no device has";
            assert_eq!((device(text).unwrap_err(), subject(text).unwrap_err()), (why.to_owned(), why.to_owned()));
        }
    }
}
