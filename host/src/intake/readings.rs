//! Readings of average RMS voltages as files have them: rows of tables, and what a row leaves open.
//!
//! It must not know what readings are joined with. Invariants: which end of a period a time is, how long the period is, and in
//! what unit a voltage is, are stated by the file or the caller and never guessed; a read that failed is no reading, and named.
//!
//! Columns, in any order: `device`; `phase` (empty or `whole`, 1 to 3, L1 to L3); the period by `period_end`, `period_start`
//! or both, or by `time` where the caller says which end that is, each as text or, with `_ms`, in milliseconds since
//! 1970-01-01T00:00:00Z; its length by `length_s`, `length_min` or `length` (`PT30M`), unless both ends or the caller say it;
//! the voltage by `voltage_v`, `voltage_dv` (tenths), `whole_volts`, or `lowest_dv` and `highest_dv`; `status` or `valid`.

use super::{
    LineError,
    form::Form,
    headings::Layout,
    identifiers,
    oddities::Oddities,
    placeholder,
    record::Record,
    rows::RowReader,
    shown,
    sources::Reader,
    values::integer,
    voltage_text::{doubt_tenths, exact_tenths, tenths, volts},
};
use crate::domain::{CALENDAR_MS, Eui64, Millis, Phase, Reading, Volts};

mod columns;
mod length;

use columns::{
    COLUMNS, DEVICE, END, END_MS, ENDS, HIGHEST_DV, LAYOUT, LENGTH, LENGTHS, LOWEST_DV, PHASE, START, START_MS, STARTS,
    STATUS, TIME, TIME_MS, TIMES, VALID, VOLTAGE_DV, VOLTAGE_V, VOLTAGES, WHOLE_VOLTS,
};

pub(super) use length::in_range;
use length::length;
pub use length::length_s;

/// Words for a read that went well, and for one that failed.
const GOOD: [&str; 9] = ["ok", "good", "valid", "success", "successful", "succeeded", "complete", "true", "yes"];
const BAD: [&str; 13] = [
    "failed",
    "failure",
    "fail",
    "bad",
    "invalid",
    "error",
    "missing",
    "timeout",
    "timed out",
    "no data",
    "unsuccessful",
    "false",
    "no",
];

/// Which end of its period a time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// The beginning.
    Start,
    /// The end.
    End,
}

/// What the caller states of readings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Which end of a period a time is whose heading does not say it.
    pub stamp: Option<Stamp>,
    /// How long each period is, in seconds.
    pub length_s: Option<u32>,
    /// True if a voltage in volts with decimals of zeros alone, like 258.0, is whole volts.
    pub whole_volts: bool,
}

/// What a row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measured {
    /// A reading.
    Reading(Reading),
    /// The read failed: nothing was measured.
    Failed {
        /// The meter.
        device: Eui64,
        /// The column, or the element, that says so.
        field: String,
        /// What it says.
        why: String,
    },
}

/// Reads files of readings.
pub fn reader(options: Options) -> Reader<Measured> {
    let rows = ReadingRows { options, ..ReadingRows::default() };
    Reader::new(Box::new(rows), super::duis_xml::network_data(options))
}

/// Reads rows of readings.
#[derive(Debug, Default)]
struct ReadingRows {
    options: Options,
    oddities: Oddities,
    /// Remarks of readings; of each kind there is one.
    remarks: std::collections::VecDeque<LineError>,
    has_tenths: bool,
    has_last_second: bool,
    has_idle_time: bool,
    decimals: Decimals,
}

/// Voltages in volts that have decimals.
#[derive(Debug, Default)]
struct Decimals {
    count: u64,
    first: u64,
    has_others_than_zeros: bool,
}

impl RowReader<Measured> for ReadingRows {
    fn layout(&self) -> Layout {
        LAYOUT
    }

    fn check(&self, has: &dyn Fn(usize) -> bool) -> Result<(), LineError> {
        let any = |columns: &[usize]| columns.iter().any(|column| has(*column));
        let missing = |column: usize, message: &str| Err(LineError::new(1, COLUMNS[column], message));
        let has_ends = any(&ENDS) || any(&STARTS);
        match self.options.stamp {
            None if any(&TIMES) && !has_ends => return missing(TIME, WHICH_END),
            None if !has_ends => return missing(END, NO_TIME),
            Some(_) if !any(&TIMES) && has_ends => {
                let message = "the headings of this file say which end of a period a time is; leave it out";
                return Err(LineError::new(1, "--stamp", message));
            }
            Some(_) if !any(&TIMES) => return missing(TIME, NO_TIME),
            _ => {}
        }
        if self.options.length_s.is_none() && !any(&LENGTHS) && !(any(&ENDS) && any(&STARTS)) {
            return missing(LENGTH, NO_LENGTH);
        }
        match (any(&VOLTAGES), has(LOWEST_DV), has(HIGHEST_DV)) {
            (true, ..) | (_, true, true) => Ok(()),
            (_, false, true) => missing(LOWEST_DV, "the column is missing beside highest_dv"),
            (_, true, false) => missing(HIGHEST_DV, "the column is missing beside lowest_dv"),
            _ => missing(VOLTAGE_V, NO_VOLTAGE),
        }
    }

    fn read(&mut self, record: &Record<'_>, form: &Form) -> Result<Measured, LineError> {
        let device = record.require(DEVICE, identifiers::device)?;
        self.oddities.look_at_device(record, DEVICE, device);
        let phase = record.read(PHASE, phase)?.unwrap_or_default();
        if let Some(LineError { field, message: why, .. }) = failed(record)? {
            return Ok(Measured::Failed { device, field, why });
        }
        let (end_ms, length_s) = self.period(record, form)?;
        let volts = self.volts(record, form)?;
        Ok(Measured::Reading(Reading { device, phase, end_ms, length_s, volts }))
    }

    fn end(&mut self) {
        let Decimals { count, first, has_others_than_zeros } = std::mem::take(&mut self.decimals);
        if count > 1 && !has_others_than_zeros {
            let message = format!(
                "all {count} voltages with decimals are like 258.0, and taken as exact; a program may have written whole volts so, \
                 and --whole-volts takes them as these"
            );
            self.remarks.push_back(LineError::new(first, COLUMNS[VOLTAGE_V], message));
        }
    }

    fn remark(&mut self) -> Option<LineError> {
        self.oddities.remark().or_else(|| self.remarks.pop_front())
    }
}

const WHICH_END: &str = "the heading does not say which end of its period a time is; name the column period_end or \
                         period_start (--columns period_end=HEADING), or say --stamp start or --stamp end";
const NO_TIME: &str =
    "no column says when a period was; it may be named period_end, period_start or, with --stamp, time";
const NO_LENGTH: &str = "nothing says how long a period is; add a column length_s, length_min or length (PT30M), or say --length \
                         30m";
const NO_VOLTAGE: &str = "no column has a voltage; it may be named voltage_v, voltage_dv (tenths of a volt), or lowest_dv and \
                          highest_dv";

impl ReadingRows {
    /// When the period of a row ended, and how long it was.
    fn period(&mut self, record: &Record<'_>, form: &Form) -> Result<(Millis, u32), LineError> {
        let mut start = record.time((START, START_MS), form)?;
        let mut end = record.time((END, END_MS), form)?;
        self.oddities.look_at_times(record, [(end, ENDS), (start, STARTS)]);
        if self.options.stamp.is_some() || start.or(end).is_none() {
            self.stamp(record, (&mut start, &mut end), form)?;
        } else if !self.has_idle_time && TIMES.iter().any(|column| !record.text(*column).is_empty()) {
            self.has_idle_time = true;
            let message = "passed over in this file: period_end and period_start say when a period was";
            self.remarks.push_back(record.error(TIME, message));
        }
        let stated = match length(record)? {
            Some((column, length)) if self.options.length_s.is_some_and(|stated| stated != length) => {
                return Err(record
                    .error(column, format!("{length} s, but --length says {} s", self.options.length_s.unwrap_or(0))));
            }
            Some((_, length)) => Some(length),
            None => self.options.length_s,
        };
        let (end_ms, length_s) = match (start, end) {
            (None, None) => return Err(record.error(END, "must not be empty: nothing else says when the period was")),
            (Some(start), Some(end)) => (end, self.between(record, (start, end), stated)?),
            (start, end) => {
                let length = stated.ok_or_else(|| record.error(LENGTH, NO_LENGTH))?;
                let end = end.or_else(|| start?.checked_add(Millis::from(length) * 1_000));
                (end.unwrap_or(Millis::MAX), length)
            }
        };
        let filled = [END, END_MS, TIME, TIME_MS, START, START_MS];
        let column = filled.into_iter().find(|column| !record.text(*column).is_empty()).unwrap_or(END);
        if !CALENDAR_MS.contains(&end_ms) || !CALENDAR_MS.contains(&(end_ms - Millis::from(length_s) * 1_000)) {
            return Err(record.error(column, "expected a period of the years 1970 to 2200"));
        }
        if !self.has_last_second && end.is_some() && end_ms.rem_euclid(60_000) / 1_000 == 59 {
            self.has_last_second = true;
            let message = "it ends at second 59: if that is the last second of the period, the period ends a second later; \
                           taken as it is, and this is the first such time in the file";
            self.remarks.push_back(record.error(column, message));
        }
        Ok((end_ms, length_s))
    }

    /// Takes a time for the end of the period that the caller says.
    fn stamp(
        &mut self,
        record: &Record<'_>,
        (start, end): (&mut Option<Millis>, &mut Option<Millis>),
        form: &Form,
    ) -> Result<(), LineError> {
        let single = record.time((TIME, TIME_MS), form)?;
        self.oddities.look_at_times(record, [(single, TIMES)]);
        let Some(time) = single else { return Ok(()) };
        let (named, name) = match self.options.stamp.ok_or_else(|| record.error(TIME, WHICH_END))? {
            Stamp::Start => (start, COLUMNS[START]),
            Stamp::End => (end, COLUMNS[END]),
        };
        if named.is_some_and(|named| named != time) {
            let message = format!("{name} of the same row is another time; one of them must be empty");
            return Err(record.error(TIME, message));
        }
        *named = Some(time);
        Ok(())
    }

    /// How long a period is of which both ends are stated, and perhaps the length.
    fn between(
        &self,
        record: &Record<'_>,
        (start, end): (Millis, Millis),
        stated: Option<u32>,
    ) -> Result<u32, LineError> {
        let ms = end.saturating_sub(start);
        if ms <= 0 {
            return Err(
                record.error(END, "the period ends when it starts, or before; are its ends the wrong way round?")
            );
        }
        let seconds = ms / 1_000;
        if seconds % 60 == 59 && ms % 1_000 == 0 {
            let message = format!(
                "the period is {seconds} s long: its last second is meant, it seems; write the end as the time at which the next \
                 period starts"
            );
            return Err(record.error(END, message));
        }
        if ms % 1_000 != 0 {
            return Err(record.error(END, format!("the period is {ms} ms long; expected whole seconds")));
        }
        let length = in_range(seconds).map_err(|why| record.error(END, why))?;
        match stated {
            Some(stated) if stated != length => {
                Err(record
                    .error(END, format!("from start to end it is {length} s, but the stated length is {stated} s")))
            }
            _ => Ok(length),
        }
    }

    fn volts(&mut self, record: &Record<'_>, form: &Form) -> Result<Volts, LineError> {
        let is_whole = self.options.whole_volts;
        let bounds = match (
            record.read(LOWEST_DV, |text| exact_tenths(text, form))?,
            record.read(HIGHEST_DV, |text| exact_tenths(text, form))?,
        ) {
            (Some(low), Some(high)) => {
                let wrong = || record.error(HIGHEST_DV, format!("{high} is below lowest_dv, {low}"));
                Some(Volts::between(low, high).ok_or_else(wrong)?)
            }
            (None, None) => None,
            (None, Some(_)) => return Err(record.error(LOWEST_DV, "must not be empty beside highest_dv")),
            (Some(_), None) => return Err(record.error(HIGHEST_DV, "must not be empty beside lowest_dv")),
        };
        let column = record.one_of(&VOLTAGES)?;
        let read = match column {
            Some(VOLTAGE_V) => record.read(VOLTAGE_V, |text| volts(text, is_whole, form))?,
            Some(VOLTAGE_DV) => record.read(VOLTAGE_DV, |text| tenths(text, form))?,
            Some(_) => record
                .read(WHOLE_VOLTS, |text| integer::<u16>(text, "of volts").and_then(|_| volts(text, true, form)))?,
            None => None,
        };
        self.look_at_volts(record, column, read);
        match (read.zip(column), bounds) {
            (Some((read, column)), Some(bounds))
                if (read.low_dv(), read.high_dv()) != (bounds.low_dv(), bounds.high_dv()) =>
            {
                let message =
                    format!("{read} contradicts lowest_dv and highest_dv, {bounds}; one of them must be empty");
                Err(record.error(column, message))
            }
            (read, bounds) => {
                let read = read.map(|(read, _)| read).or(bounds);
                read.ok_or_else(|| record.error(VOLTAGE_V, "must not be empty"))
            }
        }
    }

    /// Notes voltages that may not be what was meant.
    fn look_at_volts(&mut self, record: &Record<'_>, column: Option<usize>, read: Option<Volts>) {
        let (Some(column), Some(read)) = (column, read) else { return };
        let text = record.text(column);
        if column == VOLTAGE_V && read.whole_volts().is_none() {
            if self.decimals.count == 0 {
                self.decimals.first = record.line();
            }
            self.decimals.count += 1;
            self.decimals.has_others_than_zeros |= read.low_dv() % 10 != 0 || read.low_dv() != read.high_dv();
        }
        if column == VOLTAGE_DV
            && !self.has_tenths
            && let Some(doubt) = doubt_tenths(text, read)
        {
            self.has_tenths = true;
            self.remarks.push_back(record.error(column, doubt));
        }
    }
}

/// Why a read failed, where a row says that it did.
fn failed(record: &Record<'_>) -> Result<Option<LineError>, LineError> {
    for column in [STATUS, VALID] {
        let text = record.text(column);
        let is_any = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
        // A number is a word for it only where the heading asks a question.
        let numbers: [&[&str]; 2] = if column == VALID { [&["1", "y", "t"], &["0", "n", "f"]] } else { [&[], &[]] };
        if is_any(&BAD) || is_any(numbers[1]) {
            return Ok(Some(record.error(column, format!("{}: the read failed", shown(text)))));
        }
        if !text.is_empty() && !is_any(&GOOD) && !is_any(numbers[0]) {
            let expected = if column == VALID { "true or false" } else { "ok or failed" };
            return Err(record.error(column, format!("expected {expected}, found {}", shown(text))));
        }
    }
    let filled = [VOLTAGE_V, VOLTAGE_DV, WHOLE_VOLTS, LOWEST_DV, HIGHEST_DV]
        .into_iter()
        .find(|column| !record.text(*column).is_empty());
    Ok(match filled {
        None => {
            let column =
                VOLTAGES.into_iter().chain([LOWEST_DV]).find(|column| record.has(*column)).unwrap_or(VOLTAGE_V);
            Some(record.error(column, "empty: the read failed"))
        }
        Some(column) if placeholder::is_one(record.text(column)) => {
            Some(record.error(column, format!("{}: the read failed", shown(record.text(column)))))
        }
        Some(_) => None,
    })
}

/// Parses a phase.
pub fn phase(text: &str) -> Result<Phase, String> {
    let number = text.strip_prefix(['L', 'l']).unwrap_or(text);
    match number {
        "1" => Ok(Phase::L1),
        "2" => Ok(Phase::L2),
        "3" => Ok(Phase::L3),
        _ if text.eq_ignore_ascii_case(Phase::Whole.name()) => Ok(Phase::Whole),
        _ => Err(format!("expected whole, 1 to 3 or L1 to L3, found {}", shown(text))),
    }
}

#[cfg(test)]
mod tests;
