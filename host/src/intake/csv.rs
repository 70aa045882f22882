//! Alerts as rows of a CSV file, in the words of the domain.
//!
//! It must not know who made the file. Invariant: a number is read exactly or not at all; nothing is rounded.
//!
//! Columns, in any order: `device` and `code` must be there. Times are RFC 3339 text (`occurred_at`) or milliseconds
//! since 1970-01-01T00:00:00Z (`occurred_ms`): the device's, the DCC's (`dcc_at`), and that of receipt (`received_at`). A
//! measurement has one of four columns: `measurement_dv` in decivolts, `voltage_v` in volts with up to one decimal,
//! `power_factor` with up to three, or `measurement` as it stands. `payload_kind` is how the alert was encoded before it
//! became a row, where it was. What tells its message from others, where that is known: `sender` (who counted it, if not the
//! device or, for its own codes, the DCC), `instruction_number`, `message_digest` (the first 16 hex digits of the SHA-256 of the
//! GBCS message or, without a counter, of the whole document) and `occurred_at_status`.

use std::{collections::VecDeque, io::BufRead};

use super::{
    LineError,
    form::Form,
    headings::Layout,
    identifiers,
    plausible::Unit,
    record::{Record, Records},
    shown, times,
    values::{decimal, integer},
};
use crate::domain::{Alert, AlertCode, Details, Eui64, Generation, Message, Millis, PayloadKind, TimeStatus};

pub(super) const COLUMNS: &[&str] = &[
    "device",
    "code",
    "recipient",
    "counter",
    "occurred_at",
    "occurred_ms",
    "received_at",
    "received_ms",
    "measurement_dv",
    "voltage_v",
    "power_factor",
    "measurement",
    "weight",
    "dcc_at",
    "dcc_ms",
    "payload_kind",
    "sender",
    "instruction_number",
    "message_digest",
    "occurred_at_status",
];
pub(super) const REQUIRED: usize = 2;

/// Columns of what a host knows beside an alert, and writes with it. They are passed over: another host has its own.
const KNOWN_TO_HOSTS: [&str; 5] = ["position", "operator", "generation", "model", "withheld"];

const DEVICE: usize = 0;
const CODE: usize = 1;
const RECIPIENT: usize = 2;
const COUNTER: usize = 3;
const OCCURRED_AT: usize = 4;
const OCCURRED_MS: usize = 5;
const RECEIVED_AT: usize = 6;
const RECEIVED_MS: usize = 7;
const MEASUREMENT_DV: usize = 8;
const VOLTAGE_V: usize = 9;
const POWER_FACTOR: usize = 10;
const MEASUREMENT: usize = 11;
const WEIGHT: usize = 12;
const DCC_AT: usize = 13;
const DCC_MS: usize = 14;
const PAYLOAD_KIND: usize = 15;
const SENDER: usize = 16;
const INSTRUCTION_NUMBER: usize = 17;
const MESSAGE_DIGEST: usize = 18;
const OCCURRED_AT_STATUS: usize = 19;

/// Aliases of columns, from exports and the protocol.
const ALIASES: &[(&str, usize)] = &[
    ("device_id", DEVICE),
    ("eui", DEVICE),
    ("eui64", DEVICE),
    ("alert_code", CODE),
    ("recipient_id", RECIPIENT),
    ("originator_counter", COUNTER),
    ("sender_id", SENDER),
];

/// The columns of alerts, in whatever format.
pub(super) const LAYOUT: Layout = Layout {
    aliases: ALIASES,
    others: &KNOWN_TO_HOSTS,
    is_foreign: true,
    telltale: Some((&[DEVICE], |text| identifiers::device(text).is_ok())),
    ..Layout::plain(COLUMNS, REQUIRED)
};

/// The alerts of a CSV file.
pub struct Alerts<R> {
    records: Records<R>,
    form: Form,
    oddities: Oddities,
}

impl<R: BufRead> Alerts<R> {
    /// Reads the header. An unknown, doubled or missing column is an error that lists the known ones.
    pub fn new(reader: R) -> Result<Self, LineError> {
        Self::of(reader, &Form::default())
    }

    /// The same, with reading options.
    pub fn of(reader: R, form: &Form) -> Result<Self, LineError> {
        let records = Records::of(reader, LAYOUT, form)?;
        Ok(Self { records, form: form.clone(), oddities: Oddities::default() })
    }

    /// Returns the next remark: something noteworthy that loses no data.
    pub fn remark(&mut self) -> Option<LineError> {
        self.records.remark().or_else(|| self.oddities.remark())
    }

    /// Number of the line read last.
    pub fn line(&self) -> u64 {
        self.records.line()
    }
}

impl<R: BufRead> Iterator for Alerts<R> {
    type Item = Result<Alert, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.records.next()? {
            Ok(record) => record,
            Err(error) => return Some(Err(error)),
        };
        let alert = alert(&record, &self.form);
        self.oddities.look(&record, alert.as_ref().ok());
        Some(alert)
    }
}

/// Reports the first of each kind of value in a file that is taken as it is and may not be what was meant.
#[derive(Debug, Default)]
pub(super) struct Oddities {
    remarks: VecDeque<LineError>,
    has_rounded: bool,
    has_time: bool,
}

impl Oddities {
    /// Looks at a record and its alert for a device that a spreadsheet may have rounded and a time of another unit.
    pub(super) fn look(&mut self, record: &Record<'_>, alert: Option<&Alert>) {
        let Some(alert) = alert else { return };
        if !self.has_rounded && identifiers::may_be_rounded(alert.device) {
            self.has_rounded = true;
            let message = format!(
                "{} is 16 decimal digits that end in 0: has a spreadsheet rounded it, which keeps 15? It is taken as it is",
                alert.device
            );
            self.remarks.push_back(record.error(DEVICE, message));
        }
        if self.has_time {
            return;
        }
        let times = [
            (alert.occurred_ms, [OCCURRED_AT, OCCURRED_MS]),
            (alert.dcc_ms, [DCC_AT, DCC_MS]),
            (alert.received_ms, [RECEIVED_AT, RECEIVED_MS]),
        ];
        let doubt = times.into_iter().find_map(|(ms, columns)| {
            let column = columns.into_iter().find(|column| !record.text(*column).is_empty())?;
            Some((column, times::doubt(record.text(column), ms?)?))
        });
        if let Some((column, doubt)) = doubt {
            self.has_time = true;
            self.remarks.push_back(record.error(column, format!("{doubt}; it is the first")));
        }
    }

    /// Returns the next remark.
    pub(super) fn remark(&mut self) -> Option<LineError> {
        self.remarks.pop_front()
    }
}

/// The alert that a record stands for.
pub(super) fn alert(record: &Record<'_>, form: &Form) -> Result<Alert, LineError> {
    let device = record.require(DEVICE, identifiers::device)?;
    let code = record.require(CODE, identifiers::code)?;
    Ok(Alert {
        device,
        recipient: record.read(RECIPIENT, identifiers::device)?.unwrap_or(Eui64::NONE),
        counter: record.read(COUNTER, |text| integer::<u64>(text, "0 to 18446744073709551615"))?,
        code,
        occurred_ms: time(record, (OCCURRED_AT, OCCURRED_MS), form)?,
        dcc_ms: time(record, (DCC_AT, DCC_MS), form)?,
        received_ms: time(record, (RECEIVED_AT, RECEIVED_MS), form)?,
        measurement: measurement(record, code, form)?,
        weight: record.read(WEIGHT, weight)?.unwrap_or(1),
        payload: record.read(PAYLOAD_KIND, payload_kind)?.unwrap_or(PayloadKind::Csv),
        generation: Generation::Unknown,
        message: Message {
            sender: record.read(SENDER, identifiers::device)?.unwrap_or(Eui64::NONE),
            instruction: record.read(INSTRUCTION_NUMBER, |text| integer::<u32>(text, "of 32 bits"))?.unwrap_or(0),
            digest: record.read(MESSAGE_DIGEST, digest)?.unwrap_or(0),
            time: record.read(OCCURRED_AT_STATUS, time_status)?.unwrap_or_default(),
            ..Message::default()
        },
        details: Details::default(),
    })
}

/// A time that may stand in either of two columns.
fn time(record: &Record<'_>, (text, millis): (usize, usize), form: &Form) -> Result<Option<Millis>, LineError> {
    match record.one_of(&[text, millis])? {
        Some(column) if column == text => record.read(column, |text| times::time(text, form)),
        Some(column) => record.read(column, |text| times::millis(text, form)),
        None => Ok(None),
    }
}

fn measurement(record: &Record<'_>, code: AlertCode, form: &Form) -> Result<Option<i32>, LineError> {
    let column = record.one_of(&[MEASUREMENT_DV, VOLTAGE_V, POWER_FACTOR, MEASUREMENT])?;
    let unit = match column {
        Some(MEASUREMENT_DV | VOLTAGE_V) => Some(Unit::Decivolts),
        Some(POWER_FACTOR) => Some(Unit::Thousandths),
        _ => None,
    };
    if let Some((column, unit)) = column.zip(unit)
        && let Some(of_code) = form.units.get(&code).filter(|of_code| **of_code != unit)
    {
        let (counts, instead) = match of_code {
            Unit::Decivolts => ("volts (dv)", "voltage_v, measurement_dv or measurement"),
            Unit::Thousandths => ("a power factor (thousandths)", "power_factor or measurement"),
            Unit::Own(own) => (own.as_str(), "measurement"),
        };
        let text = shown(record.text(column));
        return Err(record.error(column, format!("{text}, but {code} measures {counts}; its column is {instead}")));
    }
    match column {
        Some(VOLTAGE_V) => record.read(VOLTAGE_V, |text| decimal(text, 1, form)),
        Some(POWER_FACTOR) => record.read(POWER_FACTOR, |text| decimal(text, 3, form)),
        Some(column) => record.read(column, |text| integer::<i32>(text, "of 32 bits, without a decimal point")),
        None => Ok(None),
    }
}

fn weight(text: &str) -> Result<u32, String> {
    match integer::<u32>(text, "from 1 on, of 32 bits")? {
        0 => Err("expected an integer from 1 on, found \"0\"".to_owned()),
        weight => Ok(weight),
    }
}

fn payload_kind(text: &str) -> Result<PayloadKind, String> {
    PayloadKind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
        let names = PayloadKind::ALL.map(PayloadKind::name).join(", ");
        format!("expected one of {names}, found {}", shown(text))
    })
}

fn digest(text: &str) -> Result<u64, String> {
    let hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digest = hex.then(|| u64::from_str_radix(text, 16).ok()).flatten();
    digest.ok_or_else(|| format!("expected the first 16 hex digits of a SHA-256, found {}", shown(text)))
}

fn time_status(text: &str) -> Result<TimeStatus, String> {
    TimeStatus::ALL.into_iter().find(|status| status.name() == text).ok_or_else(|| {
        let names = TimeStatus::ALL.map(TimeStatus::name).join(", ");
        format!("expected one of {names}, found {}", shown(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<Alert, String>> {
        let alerts = Alerts::new(text.as_bytes()).unwrap();
        alerts.map(|alert| alert.map_err(|error| error.to_string())).collect()
    }

    /// One row with a device, a code and one more column.
    fn one(column: &str, value: &str) -> Result<Alert, String> {
        let row = format!("device,code,{column}\n00DB1234567890A0,8F40,{value}\n");
        read(&row).remove(0)
    }

    #[test]
    fn every_column_lands_where_it_belongs() {
        let text = "weight,dcc_at,voltage_v,received_ms,occurred_at,counter,recipient,payload_kind,code,device,sender,\
                    instruction_number,message_digest,occurred_at_status\n\
                    3,2025-11-24T15:00:01Z,258.1,1764000000123,2025-11-24T16:00:00.5+01:00,7,90-B3-D5-1F-30-02-00-00,dlms,\
                    8f40,00:db:12:34:56:78:90:a0,90-B3-D5-1F-30-00-00-02,2,0123456789abcdef,unreliable\n";
        let expected = Alert {
            device: Eui64(0x00DB_1234_5678_90A0),
            recipient: Eui64(0x90B3_D51F_3002_0000),
            counter: Some(7),
            code: AlertCode(0x8F40),
            occurred_ms: Some(1_763_996_400_500),
            dcc_ms: Some(1_763_996_401_000),
            received_ms: Some(1_764_000_000_123),
            measurement: Some(2581),
            weight: 3,
            payload: PayloadKind::Dlms,
            generation: Generation::Unknown,
            message: Message {
                sender: Eui64(0x90B3_D51F_3000_0002),
                instruction: 2,
                digest: 0x0123_4567_89AB_CDEF,
                time: TimeStatus::Unreliable,
                ..Message::default()
            },
            details: Details::default(),
        };
        assert_eq!(read(text), [Ok(expected)]);
    }

    #[test]
    fn a_column_of_another_unit_is_refused() {
        let own = "code,name,unit\nE001,join parameter,s\n";
        let table = crate::intake::tables::CodeTable::builtin().with_file(own.as_bytes()).unwrap();
        let form = Form { units: std::sync::Arc::new(table.units()), ..Form::default() };
        let read = |code: &str, column: &str, value: &str| {
            let row = format!("device,code,{column}\n00DB1234567890A0,{code},{value}\n");
            let alert = Alerts::of(row.as_bytes(), &form).unwrap().next().unwrap();
            alert.map(|alert| alert.measurement).map_err(|error| error.to_string())
        };
        for (code, column, value, counts, instead) in [
            ("8014", "voltage_v", "95.0", "a power factor (thousandths)", "power_factor or measurement"),
            ("8015", "measurement_dv", "950", "a power factor (thousandths)", "power_factor or measurement"),
            ("8F40", "power_factor", "2.4", "volts (dv)", "voltage_v, measurement_dv or measurement"),
            ("E001", "voltage_v", "30", "s", "measurement"),
        ] {
            let words = format!("line 2: {column}: \"{value}\", but {code} measures {counts}; its column is {instead}");
            assert_eq!(read(code, column, value), Err(words));
            assert_eq!(read(code, column, ""), Ok(None));
        }
        for (code, column, value, measurement) in [
            ("8F40", "voltage_v", "258.1", 2_581),
            ("8F40", "measurement", "2581", 2_581),
            ("8014", "power_factor", "0.95", 950),
            ("8014", "measurement", "950", 950),
            ("E001", "measurement", "30", 30),
            // Codes without a unit, and of no table.
            ("8F36", "voltage_v", "258.1", 2_581),
            ("AD1", "measurement_dv", "2581", 2_581),
            ("ABCD", "power_factor", "0.95", 950),
        ] {
            assert_eq!(read(code, column, value), Ok(Some(measurement)), "{code} {column}");
        }
    }

    #[test]
    fn empty_fields_are_not_stated() {
        let alert = one("recipient,counter,occurred_at,received_ms,measurement,weight", ",,,,,").unwrap();
        assert_eq!((alert.recipient, alert.counter, alert.weight), (Eui64::NONE, None, 1));
        assert_eq!((alert.occurred_ms, alert.received_ms, alert.measurement), (None, None, None));
        assert_eq!(alert.dcc_ms, None);
        assert_eq!(one("dcc_ms", "5").unwrap().dcc_ms, Some(5));
        assert_eq!(one("payload_kind", "").unwrap().payload, PayloadKind::Csv);
        assert_eq!(one("sender,instruction_number,message_digest", ",,").unwrap().message, Message::default());
    }

    #[test]
    fn measurements_are_scaled_exactly() {
        for (column, text, value) in [
            ("measurement_dv", "2530", 2530),
            ("voltage_v", "253", 2530),
            ("voltage_v", "216.2", 2162),
            ("voltage_v", "-0.1", -1),
            ("power_factor", "0.95", 950),
            ("power_factor", "1", 1000),
            ("measurement", "-7", -7),
            ("voltage_v", "214748364.7", i32::MAX),
        ] {
            assert_eq!(one(column, text).unwrap().measurement, Some(value), "{column} {text}");
        }
    }

    #[test]
    fn a_bad_value_names_its_line_column_and_reason() {
        for (column, text, message) in [
            ("voltage_v", "258.05", "expected a number with at most 1 decimals, found \"258.05\""),
            ("voltage_v", "258.", "expected a number with at most 1 decimals, found \"258.\""),
            ("voltage_v", "214748364.8", "expected a number that fits 32 bits once scaled, found \"214748364.8\""),
            ("power_factor", ".9", "expected a number with at most 3 decimals, found \".9\""),
            ("measurement_dv", "258.5", "expected an integer of 32 bits, without a decimal point, found \"258.5\""),
            ("weight", "0", "expected an integer from 1 on, found \"0\""),
            ("counter", "-1", "expected an integer 0 to 18446744073709551615, found \"-1\""),
            ("occurred_at", "soon", "expected a time like 2026-11-23T09:30:00Z, found \"soon\""),
            ("occurred_at", "2026-13-01", "\"2026-13-01\" is no day"),
            ("received_ms", "soon", "expected an integer of milliseconds since 1970, found \"soon\""),
            ("payload_kind", "DLMS", "expected one of unspecified, dlms, gbz, asn1, csv, found \"DLMS\""),
            (
                "message_digest",
                "+123456789abcdef",
                "expected the first 16 hex digits of a SHA-256, found \"+123456789abcdef\"",
            ),
            (
                "occurred_at_status",
                "wrong",
                "expected one of stated, not-stated, unreliable, left-out, found \"wrong\"",
            ),
            ("instruction_number", "-1", "expected an integer of 32 bits, found \"-1\""),
        ] {
            let error = one(column, text).unwrap_err();
            assert!(error.starts_with("line 2: ") && error.ends_with(message), "{column} {text}: {error}");
        }
        let error = one("measurement_dv,voltage_v", "2580,258.0").unwrap_err();
        assert_eq!(error, "line 2: voltage_v: measurement_dv is filled in too; one of them must be empty");
        let error = one("occurred_at,occurred_ms", "2026-11-23T09:30:00Z,1").unwrap_err();
        assert_eq!(error, "line 2: occurred_ms: occurred_at is filled in too; one of them must be empty");
    }

    #[test]
    fn the_rest_goes_on_after_a_bad_line() {
        let rows = read("device,code\nx,8F40\n00DB1234567890A0,\n00DB1234567890A0,8014\n");
        assert!(rows[0].as_ref().unwrap_err().starts_with("line 2: device: expected an EUI-64"));
        assert_eq!(rows[1], Err("line 3: code: must not be empty".into()));
        assert_eq!(rows[2].as_ref().unwrap().code, AlertCode(0x8014));
    }
}
