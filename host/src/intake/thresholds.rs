//! Thresholds of average RMS voltage as files have them.
//!
//! Invariant: a threshold has its unit from the heading, and its time from the file or the caller.
//!
//! Columns, in any order: `device`; either `limit` (`over` or `under`) with `threshold_v` (volts, up to one decimal) or
//! `threshold_dv` (tenths), or `over_v`, `under_v`, `over_dv` and `under_dv`, of which a row may fill in one for each limit;
//! `from`, or `from_ms`, unless the caller says from when; `source`.

use super::{
    LineError,
    form::Form,
    headings::Layout,
    identifiers,
    oddities::Oddities,
    record::Record,
    rows::{Holds, RowReader},
    shown,
    sources::Reader,
    voltage_text::{exact_tenths, exact_volts},
};
use crate::domain::{CALENDAR_MS, Limit, Millis, READING_SOURCE_BYTES_MAX, Threshold, check_line};

const COLUMNS: &[&str] = &[
    "device",
    "limit",
    "threshold_v",
    "threshold_dv",
    "over_v",
    "over_dv",
    "under_v",
    "under_dv",
    "from",
    "from_ms",
    "source",
];
const REQUIRED: usize = 1;
const DEVICE: usize = 0;
const LIMIT: usize = 1;
const THRESHOLD_V: usize = 2;
const THRESHOLD_DV: usize = 3;
const OVER_V: usize = 4;
const OVER_DV: usize = 5;
const UNDER_V: usize = 6;
const UNDER_DV: usize = 7;
const FROM: usize = 8;
const FROM_MS: usize = 9;
const SOURCE: usize = 10;

/// Columns of one limit each, in volts and in tenths.
const BY_LIMIT: [(Limit, [usize; 2]); 2] = [(Limit::Over, [OVER_V, OVER_DV]), (Limit::Under, [UNDER_V, UNDER_DV])];

const LAYOUT: Layout = Layout {
    aliases: &[
        ("device_id", DEVICE),
        ("eui", DEVICE),
        ("eui64", DEVICE),
        ("value_v", THRESHOLD_V),
        ("value_dv", THRESHOLD_DV),
        ("threshold_volts", THRESHOLD_V),
        ("over_voltage_v", OVER_V),
        ("over_voltage_dv", OVER_DV),
        ("under_voltage_v", UNDER_V),
        ("under_voltage_dv", UNDER_DV),
        ("valid_from", FROM),
        ("configured_at", FROM),
    ],
    holds: |column| match column {
        DEVICE => Holds::Device,
        FROM => Holds::Time,
        _ => Holds::Value,
    },
    is_foreign: true,
    telltale: Some((&[DEVICE], |text| identifiers::device(text).is_ok())),
    ..Layout::plain(COLUMNS, REQUIRED)
};

/// Reads files of thresholds. `from_ms` is from when they are known to be configured, for rows that do not say it.
pub fn reader(from_ms: Option<Millis>) -> Reader<Vec<Threshold>> {
    let rows = ThresholdRows { from_ms, oddities: Oddities::default() };
    Reader::new(Box::new(rows), super::duis_xml::voltage_settings(from_ms))
}

/// Reads rows of thresholds.
struct ThresholdRows {
    from_ms: Option<Millis>,
    oddities: Oddities,
}

impl RowReader<Vec<Threshold>> for ThresholdRows {
    fn layout(&self) -> Layout {
        LAYOUT
    }

    fn check(&self, has: &dyn Fn(usize) -> bool) -> Result<(), LineError> {
        let any = |columns: &[usize]| columns.iter().any(|column| has(*column));
        let wrong = |column: usize, message: &str| Err(LineError::new(1, COLUMNS[column], message));
        let (is_named, is_by_limit) = (any(&[THRESHOLD_V, THRESHOLD_DV]), any(&[OVER_V, OVER_DV, UNDER_V, UNDER_DV]));
        if !is_named && !is_by_limit {
            return wrong(THRESHOLD_V, NO_VALUE);
        }
        if is_named != has(LIMIT) {
            return wrong(LIMIT, NO_LIMIT);
        }
        if self.from_ms.is_none() && !any(&[FROM, FROM_MS]) {
            return wrong(FROM, NO_FROM);
        }
        Ok(())
    }

    fn read(&mut self, record: &Record<'_>, form: &Form) -> Result<Vec<Threshold>, LineError> {
        let device = record.require(DEVICE, identifiers::device)?;
        self.oddities.look_at_device(record, DEVICE, device);
        let stated = record.time((FROM, FROM_MS), form)?;
        self.oddities.look_at_times(record, [(stated, [FROM, FROM_MS])]);
        let from_ms = stated.or(self.from_ms).ok_or_else(|| record.error(FROM, NO_FROM))?;
        if from_ms == 0 || !CALENDAR_MS.contains(&from_ms) {
            return Err(record.error(FROM, "expected a time after 1970-01-01T00:00:00Z and before 2200"));
        }
        let source = record.read(SOURCE, source)?.unwrap_or_default();
        let mut thresholds = Vec::new();
        let mut take = |limit, value_dv| {
            thresholds.push(Threshold { device, limit, value_dv, from_ms, source: source.clone() });
        };
        let named = value(record, [THRESHOLD_V, THRESHOLD_DV], form)?;
        match (record.read(LIMIT, limit)?, named) {
            (Some(limit), Some(value_dv)) => take(limit, value_dv),
            (None, None) => {}
            (Some(_), None) => return Err(record.error(THRESHOLD_V, "must not be empty beside limit")),
            (None, Some(_)) => return Err(record.error(LIMIT, "must not be empty: over or under")),
        }
        for (limit, columns) in BY_LIMIT {
            if let Some(value_dv) = value(record, columns, form)? {
                take(limit, value_dv);
            }
        }
        match &thresholds[..] {
            [] => Err(record.error(THRESHOLD_V, NO_VALUE)),
            [one, other, ..] if one.limit == other.limit => {
                Err(record.error(LIMIT, format!("the row states {} twice", one.limit.name())))
            }
            _ => Ok(thresholds),
        }
    }

    fn remark(&mut self) -> Option<LineError> {
        self.oddities.remark()
    }
}

const NO_LIMIT: &str =
    "threshold_v or threshold_dv needs the column limit (over or under) beside it, and limit needs one of them";
const NO_VALUE: &str = "no threshold is stated; it may stand under threshold_v or threshold_dv (tenths) with limit, or under \
                        over_v, under_v, over_dv or under_dv";
const NO_FROM: &str = "nothing says from when a threshold is configured; fill in the column from, or say --from TIME";

/// Lowest threshold that is taken, in tenths of a volt: a lower one is far more likely in another unit.
const LOWEST_DV: u16 = 1_000;

/// A value in volts or in tenths, of two columns; in tenths.
fn value(record: &Record<'_>, [volts, tenths]: [usize; 2], form: &Form) -> Result<Option<u16>, LineError> {
    let Some(column) = record.one_of(&[volts, tenths])? else { return Ok(None) };
    let value =
        record.read(column, |text| if column == volts { exact_volts(text, form) } else { exact_tenths(text, form) })?;
    match value {
        Some(dv) if dv < LOWEST_DV => {
            let message = format!(
                "{}.{} V is no threshold of a supply; 253 V is 253 in volts and 2530 in tenths",
                dv / 10,
                dv % 10
            );
            Err(record.error(column, message))
        }
        value => Ok(value),
    }
}

/// Parses which way a threshold is crossed.
fn limit(text: &str) -> Result<Limit, String> {
    let word: String = text.chars().filter(|c| c.is_alphabetic()).collect::<String>().to_ascii_lowercase();
    match word.strip_suffix("voltage").unwrap_or(&word) {
        "over" => Ok(Limit::Over),
        "under" => Ok(Limit::Under),
        _ => Err(format!("expected over or under, found {}", shown(text))),
    }
}

/// Parses the name of a source.
pub fn source(text: &str) -> Result<String, String> {
    let max = READING_SOURCE_BYTES_MAX;
    match check_line(text, max) {
        Ok(()) if text.len() <= max => Ok(text.to_owned()),
        _ => Err(format!("expected one plain line of at most {max} bytes, found {}", shown(text))),
    }
}

#[cfg(test)]
mod tests;
