//! What another party says it counted: rows of a CSV file with a device, a day, a code and a count.
//!
//! It must not know what we counted. Invariant: a row is taken whole or named whole; the same row twice is two rows.
//!
//! Columns, in any order, each under one of its names: the device (`mpxn`, `mpan`, `mprn`, `eui`, `eui64`, `device` or
//! `device_id`; either form of identifier in each), the day (`date` or `day`), the code (`code` or `alert_code`) and the
//! count (`count`, `alerts` or `alert_count`). A day is 2026-11-23, 23/11/2026 or 11/23/2026: of the last two a row alone does
//! not tell which it is.

use std::{fmt, io::BufRead, str::FromStr};

pub use super::dates::{DateOrder, Written};
use super::{
    LineError,
    form::Form,
    headings::Layout,
    identifiers,
    record::{Record, Records},
    shown,
    values::spoilt,
};
use crate::domain::{AlertCode, Eui64, Mpxn};

const COLUMNS: &[&str] = &[
    "mpxn",
    "mpan",
    "mprn",
    "eui",
    "eui64",
    "device",
    "device_id",
    "date",
    "day",
    "code",
    "alert_code",
    "count",
    "alerts",
    "alert_count",
];
const SUBJECT: [usize; 7] = [0, 1, 2, 3, 4, 5, 6];
const DAY: [usize; 2] = [7, 8];
const CODE: [usize; 2] = [9, 10];
const COUNT: [usize; 3] = [11, 12, 13];

/// What a count is of: a device, or whatever devices are at a metering point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The devices of a metering point.
    Point(Mpxn),
    /// One device.
    Device(Eui64),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Point(mpxn) => mpxn.fmt(f),
            Self::Device(eui) => eui.fmt(f),
        }
    }
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(eui) = identifiers::device(text) {
            return Ok(Self::Device(eui));
        }
        // An address that is an EUI-64 and of no device says so.
        if let Err(no_device) = text.parse::<Eui64>().map_or(Ok(()), |eui| eui.of_device().map(drop)) {
            return Err(no_device.to_string());
        }
        match identifiers::mpxn(text) {
            Ok(mpxn) => Ok(Self::Point(mpxn)),
            Err(why) if text.bytes().all(|byte| byte.is_ascii_digit()) => Err(why),
            Err(_) => Err(format!("expected an MPAN, an MPRN or an EUI-64, found {}{}", shown(text), spoilt(text))),
        }
    }
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Whose alerts.
    pub subject: Subject,
    /// The day, as the row writes it.
    pub day: Written,
    /// What kind.
    pub code: AlertCode,
    /// How many.
    pub count: u32,
}

const LAYOUT: Layout = Layout {
    is_foreign: true,
    telltale: Some((&SUBJECT, |text| Subject::from_str(text).is_ok())),
    ..Layout::plain(COLUMNS, 0)
};

/// The rows of a file.
pub struct Claims<R> {
    records: Records<R>,
    order: Option<DateOrder>,
}

impl<R: BufRead> Claims<R> {
    /// Reads the header. An unknown, doubled or missing column is an error that lists the known ones.
    pub fn new(reader: R) -> Result<Self, LineError> {
        Self::of(reader, &Form::default())
    }

    /// The same, with reading options.
    pub fn of(reader: R, form: &Form) -> Result<Self, LineError> {
        let records = Records::of(reader, LAYOUT, form)?;
        [&SUBJECT[..], &DAY, &CODE, &COUNT].into_iter().try_for_each(|names| records.require_one(names))?;
        Ok(Self { records, order: form.date_order })
    }

    /// Returns the first line of the last row.
    pub fn line(&self) -> u64 {
        self.records.line()
    }

    /// Returns the next remark: something noteworthy that loses no data. Call it after each row and at the end.
    pub fn remark(&mut self) -> Option<LineError> {
        self.records.remark()
    }
}

impl<R: BufRead> Iterator for Claims<R> {
    type Item = Result<Claim, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.records.next()?.and_then(|record| claim(&record, self.order)))
    }
}

fn claim(record: &Record<'_>, order: Option<DateOrder>) -> Result<Claim, LineError> {
    Ok(Claim {
        subject: require_one(record, &SUBJECT, Subject::from_str)?,
        day: require_one(record, &DAY, |text| day(text, order))?,
        code: require_one(record, &CODE, identifiers::code)?,
        count: require_one(record, &COUNT, count)?,
    })
}

/// The value of the one column of several that is filled in.
fn require_one<T, E: ToString>(
    record: &Record<'_>,
    columns: &[usize],
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, LineError> {
    record.require(record.one_of(columns)?.unwrap_or(columns[0]), read)
}

/// Parses a day. Spreadsheets may append midnight to it.
fn day(text: &str, order: Option<DateOrder>) -> Result<Written, String> {
    let (day, rest) = text.split_at(text.find([' ', 'T']).unwrap_or(text.len()));
    let rest = rest.trim_start_matches(['T', ' ']);
    if !rest.is_empty() && !matches!(rest, "0:00" | "00:00" | "00:00:00" | "00:00:00.000") {
        return Err(format!("expected a day like 2026-11-23, found the time {}", shown(text)));
    }
    let written = Written::read(day)?;
    order.map_or(Ok(written), |order| written.settle(Some(order), day).map(|_| written))
}

fn count(text: &str) -> Result<u32, String> {
    let wrong = || {
        format!(
            "expected a whole number from 0 to {}, found {}",
            u32::MAX,
            format_args!("{}{}", shown(text), spoilt(text))
        )
    };
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().map_err(|_| wrong()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn read(text: &str) -> Vec<Result<Claim, String>> {
        Claims::new(text.as_bytes()).unwrap().map(|row| row.map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn columns_have_several_names_and_days_two_forms() {
        let expected = Claim {
            subject: Subject::Point("1312345678907".parse().unwrap()),
            day: Written::Certain(date(2026, 11, 23)),
            code: AlertCode(0x8F40),
            count: 2_000,
        };
        for text in [
            "mpxn,date,code,count\n1312345678907,2026-11-23,8F40,2000\n",
            "Count, Alert Code ,DAY,MPAN\r\n2000,0x8f40,23-Nov-2026 00:00:00,13 1234 5678 907\r\n",
            "Alert-Count,device,Date,code\n2000,1312345678907,2026-11-23,8F40\n",
        ] {
            assert_eq!(read(text), [Ok(expected)], "{text}");
        }
        let numbers = Written::Numbers { first: 23, second: 11, year: 2026 };
        let slashed = read("mpan,date,code,count\n1312345678907,23/11/2026,8F40,2000\n");
        assert_eq!(slashed, [Ok(Claim { day: numbers, ..expected })]);
        let device = read("EUI,date,code,count\n00-DB-12-34-56-78-90-A0,2026-11-23,8F40,0\n").remove(0).unwrap();
        assert_eq!(device.subject, Subject::Device(Eui64(0x00DB_1234_5678_90A0)));
        let both = read("mpan,eui,date,code,count\n,00DB1234567890A0,2026-11-23,8F40,1\n").remove(0).unwrap();
        assert_eq!(both.subject, device.subject);
    }

    #[test]
    fn a_bad_row_names_its_column_and_a_missing_column_its_names() {
        for (row, words) in [
            (
                "1.31235E+12,2026-11-23,8F40,1",
                "line 2: mpxn: expected an MPAN, an MPRN or an EUI-64, found \"1.31235E+12\"",
            ),
            ("1312345678908,2026-11-23,8F40,1", "line 2: mpxn: expected an MPAN whose 13th digit"),
            (",2026-11-23,8F40,1", "line 2: mpxn: must not be empty"),
            ("1312345678907,23/13/2026,8F40,1", "line 2: date: \"23/13/2026\" is no day, whichever of day and month"),
            ("1312345678907,23/11/26,8F40,1", "line 2: date: \"23/11/26\" has a year of two digits"),
            ("1312345678907,2026-11-23 09:30,8F40,1", "line 2: date: expected a day like 2026-11-23, found the time"),
            ("1312345678907,23/11/2026/1,8F40,1", "line 2: date: expected a day like"),
            ("1312345678907,2026-11-23,8F4,1", "line 2: code: expected an alert code"),
            ("1312345678907,2026-11-23,8F40,-1", "line 2: count: expected a whole number"),
            ("1312345678907,2026-11-23,8F40,\"2,000\"", "line 2: count: expected a whole number"),
        ] {
            let error = read(&format!("mpxn,date,code,count\n{row}\n")).remove(0).unwrap_err();
            assert!(error.starts_with(words), "{row}: {error}");
        }
        let grouped = read("mpan,date,code,count\n1312345678907,2026-11-23,8F40,\"2,000\"\n").remove(0).unwrap_err();
        assert!(grouped.ends_with("found \"2,000\"; write it without separators of thousands"), "{grouped}");
        let stated = Form { date_order: Some(DateOrder::DayMonth), ..Form::default() };
        let text = "mpan,date,code,count\n1312345678907,11/23/2026,8F40,1\n";
        let other = Claims::of(text.as_bytes(), &stated).unwrap().next().unwrap().unwrap_err().to_string();
        assert!(other.ends_with("\"11/23/2026\" is no day as day/month/year; it is one as month/day/year"), "{other}");
        let missing = Claims::new("mpxn,date,code\n".as_bytes()).err().unwrap().to_string();
        assert!(
            missing.starts_with("line 1: count: the column is missing; it may be named count, alerts or"),
            "{missing}"
        );
        let twice = read("mpan,eui,date,code,count\n1312345678907,00DB1234567890A0,2026-11-23,8F40,1\n");
        assert!(twice[0].as_ref().unwrap_err().contains("mpan is filled in too"));
    }
}
