//! How messages of the protocol look to people and to programs: plain structs with the protocol's names.
//!
//! It must not know where a message came from. Invariants: every field of a message is in its view (a new one does not
//! compile until it is), identifiers are text as people write them, times in JSON are the protocol's milliseconds.

use jiff::tz::TimeZone;

use super::terminal::zone;
pub(crate) use crate::domain::is_unsafe;
use crate::{
    domain::{AlertCode, Eui64, Millis},
    intake::times,
};

pub(crate) mod alert;
pub(crate) mod audit;
pub(crate) mod code;
pub(crate) mod count;
pub(crate) mod cursor;
mod details;
pub(crate) mod device;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod host;
pub(crate) mod label;
pub(crate) mod migration;
pub(crate) mod plugin;
pub(crate) mod point;
pub(crate) mod producer;
pub(crate) mod reading;
pub(crate) mod reconcile;
pub(crate) mod rehearsal;
pub(crate) mod report;
pub(crate) mod rule;
pub(crate) mod threshold;
pub(crate) mod token;
pub(crate) mod trial;
pub(crate) mod upload;
pub(crate) mod verify;
pub(crate) mod whatif;

/// Text from elsewhere as a terminal may see it: at most `chars_max` characters, none of them obeyed.
pub(crate) fn clean(text: &str, chars_max: usize) -> String {
    let safe = |character| if is_unsafe(character) { '\u{FFFD}' } else { character };
    let mut cleaned: String = text.chars().take(chars_max).map(safe).collect();
    if cleaned.len() < text.len() && text.chars().nth(chars_max).is_some() {
        cleaned.push_str("...");
    }
    cleaned
}

/// A time as RFC 3339, to the millisecond, in the zone that was asked for; the number where no calendar has it.
pub(crate) fn time(millis: Millis) -> String {
    time_in(zone(), millis)
}

/// The same in UTC, whatever was asked for.
pub(crate) fn utc(millis: Millis) -> String {
    times::utc(millis)
}

fn time_in(zone: &TimeZone, millis: Millis) -> String {
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(time) if *zone != TimeZone::UTC => time.display_with_offset(zone.to_offset(time)).to_string(),
        _ => utc(millis),
    }
}

/// An EUI-64 as text; nothing where it is not known.
pub(crate) fn eui(number: u64) -> Option<String> {
    (number != 0).then(|| Eui64(number).to_string())
}

/// A code as four hex digits.
pub(crate) fn code(number: u32) -> String {
    u16::try_from(number).map_or_else(|_| format!("{number:X}"), |number| AlertCode(number).to_string())
}

pub(crate) fn generation(number: i32) -> &'static str {
    match weir_proto::v1::Generation::try_from(number) {
        Ok(weir_proto::v1::Generation::Smets1) => "smets1",
        Ok(weir_proto::v1::Generation::Smets2) => "smets2",
        Ok(weir_proto::v1::Generation::Unspecified) | Err(_) => "unknown",
    }
}

/// A distributor id as a row shows it.
pub(crate) fn operator(id: u32) -> String {
    if id == 0 { "unknown".to_owned() } else { id.to_string() }
}

/// A share in percent, rounded down: all is never said of fewer. A dash of nothing.
pub(crate) fn percent(part: u64, of: u64) -> String {
    match (u128::from(part) * 1_000).checked_div(u128::from(of)) {
        Some(tenths) => format!("{}.{} %", tenths / 10, tenths % 10),
        None => "-".to_owned(),
    }
}

/// Tenths of a volt in volts, like 258.0 V.
pub(crate) fn volts(dv: u32) -> String {
    format!("{}.{} V", dv / 10, dv % 10)
}

/// Text, or what to show where there is none.
pub(crate) fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_elsewhere_is_shown_and_not_obeyed() {
        assert_eq!(clean("a\u{1b}[31mb\u{9b}c\u{202e}d\ne", 100), "a\u{FFFD}[31mb\u{FFFD}c\u{FFFD}d\u{FFFD}e");
        assert_eq!(clean("Gr\u{fc}n", 4), "Gr\u{fc}n");
        assert_eq!(clean("Gr\u{fc}ner", 4), "Gr\u{fc}n...");
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(time(1_795_426_215_250), "2026-11-23T09:30:15.25Z");
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(time(i64::MAX), "9223372036854775807 ms");
    }

    #[test]
    fn times_elsewhere_say_how_far_from_utc_they_are() {
        const LONDON: TimeZone = jiff::tz::get!("Europe/London");
        assert_eq!(time_in(&LONDON, 1_795_426_215_250), "2026-11-23T09:30:15.25+00:00");
        assert_eq!(time_in(&LONDON, 1_785_000_000_000), "2026-07-25T18:20:00+01:00");
        assert_eq!(utc(1_785_000_000_000), "2026-07-25T17:20:00Z");
    }
}
