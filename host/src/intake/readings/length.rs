//! How long a period is: columns and texts of lengths.
//!
//! Invariant: a length has a unit, from the heading or in the text, and is one that a period can have.

use super::columns::{LENGTH_MIN, LENGTH_S, LENGTHS};
use crate::{
    domain::PERIOD_S,
    intake::{LineError, record::Record, shown, values::integer},
};

/// Parses a length of time like 30m, 1h or PT30M, and returns seconds.
pub fn length_s(text: &str) -> Result<u32, String> {
    let wrong = || format!("expected a length of time like 30m, 1h or PT30M, found {}{}", shown(text), no_unit(text));
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let time = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if time.subsec_nanos() != 0 {
        return Err(format!("expected whole seconds, found {}", shown(text)));
    }
    in_range(time.as_secs())
}

fn no_unit(text: &str) -> &'static str {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { ", which has no unit" } else { "" }
}

/// Rejects a length that no period has.
pub(in crate::intake) fn in_range(seconds: i64) -> Result<u32, String> {
    u32::try_from(seconds).ok().filter(|s| PERIOD_S.contains(s)).ok_or_else(|| {
        let meant = match seconds {
            1..60 => "; is it in minutes? Their heading is length_min",
            86_401.. => "; is it in milliseconds?",
            _ => "",
        };
        let (min, max) = (PERIOD_S.start, PERIOD_S.end - 1);
        format!("expected a period of {min} s to {max} s (a day), found {seconds} s{meant}")
    })
}

/// The length that a row states, and the column that does.
pub(super) fn length(record: &Record<'_>) -> Result<Option<(usize, u32)>, LineError> {
    let seconds = |text: &str, unit: i64, name: &str| {
        let count = integer::<u32>(text, &format!("of {name}"))?;
        in_range(i64::from(count) * unit)
    };
    let Some(column) = record.one_of(&LENGTHS)? else { return Ok(None) };
    let length = record.read(column, |text| match column {
        LENGTH_S => seconds(text, 1, "seconds"),
        LENGTH_MIN => seconds(text, 60, "minutes"),
        _ => length_s(text),
    })?;
    Ok(length.map(|length| (column, length)))
}
