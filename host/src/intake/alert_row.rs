//! An alert as a row of named values, in the words of the domain: what CSV, JSON lines and Parquet have in common.
//!
//! It must not know in which format a row came. Invariants: a number is read exactly or not at all, nothing is rounded; what
//! a host writes of an alert is read back as it was.
//!
//! Columns, in any order: `device` and `code` must be there. Times are RFC 3339 text (`occurred_at`) or milliseconds
//! since 1970-01-01T00:00:00Z (`occurred_ms`): the device's, the DCC's (`dcc_at`), and that of receipt (`received_at`). A
//! measurement has one of four columns: `measurement_dv` in decivolts, `voltage_v` in volts with up to one decimal,
//! `power_factor` with up to three, or `measurement` as it stands. `payload_kind` is how the alert was encoded before it
//! became a row, where it was. What tells its message from others, where that is known: `sender` (who counted it, if not the
//! device or, for its own codes, the DCC), `instruction_number`, `message_digest` (the first 16 hex digits of the SHA-256 of the
//! GBCS message or, without a counter, of the whole document), `occurred_at_status` and `dcc_at_status`.
//!
//! What a document states beside: `stated_generation`, `stated_mpxn` and `stated_note` (a host has a generation and an MPxN of
//! its own for each device, hence the prefix), `throttle_sequence`, `instruction_count`, `interrupted_at`, `restored_at` and
//! `inner_code`.

use super::{
    LineError,
    form::Form,
    headings::Layout,
    identifiers,
    oddities::Oddities,
    plausible::Unit,
    record::Record,
    rows::{Holds, RowReader},
    shown,
    values::{decimal, integer},
};
use crate::domain::{
    Alert, AlertCode, DccTimeStatus, Details, Eui64, Generation, Message, Millis, Mpxn, Note, PayloadKind, TimeStatus,
};

const COLUMNS: &[&str] = &[
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
    "dcc_at_status",
    "stated_generation",
    "stated_mpxn",
    "throttle_sequence",
    "instruction_count",
    "interrupted_at",
    "interrupted_ms",
    "restored_at",
    "restored_ms",
    "inner_code",
    "stated_note",
];
const REQUIRED: usize = 2;
/// The way out of a value that stands for none.
const NONE_IS_EMPTY: &str = "leave it empty where there is none";

/// Columns of what a host knows beside an alert, and writes with it. They are passed over: another host has its own.
const KNOWN_TO_HOSTS: [&str; 5] = ["position", "operator", "generation", "model", "withheld"];

/// Columns of an export that record a host's decisions; skipped in Parquet without a remark.
const OF_AN_EXPORT: [&str; 14] = [
    "mpxn",
    "secondary_mpan",
    "export_mpan",
    "outcome",
    "rule",
    "revision",
    "plugin_digest",
    "plugin_name",
    "parameters",
    "reason",
    "overruled",
    "faults",
    "remarks",
    "withheld",
];

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
const DCC_AT_STATUS: usize = 20;
const STATED_GENERATION: usize = 21;
const STATED_MPXN: usize = 22;
const THROTTLE_SEQUENCE: usize = 23;
const INSTRUCTION_COUNT: usize = 24;
const INTERRUPTED_AT: usize = 25;
const INTERRUPTED_MS: usize = 26;
const RESTORED_AT: usize = 27;
const RESTORED_MS: usize = 28;
const INNER_CODE: usize = 29;
const STATED_NOTE: usize = 30;

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
const LAYOUT: Layout = Layout {
    aliases: ALIASES,
    holds,
    others: &KNOWN_TO_HOSTS,
    of_an_export: &OF_AN_EXPORT,
    is_foreign: true,
    telltale: Some((&[DEVICE], |text| identifiers::device(text).is_ok())),
    ..Layout::plain(COLUMNS, REQUIRED)
};

fn holds(column: usize) -> Holds {
    match column {
        DEVICE | RECIPIENT | SENDER => Holds::Device,
        CODE | INNER_CODE => Holds::Code,
        MESSAGE_DIGEST => Holds::Digest,
        OCCURRED_AT | RECEIVED_AT | DCC_AT | INTERRUPTED_AT | RESTORED_AT => Holds::Time,
        _ => Holds::Value,
    }
}

/// Reads rows of alerts.
#[derive(Debug, Default)]
pub(super) struct AlertRows(Oddities);

impl RowReader<Alert> for AlertRows {
    fn layout(&self) -> Layout {
        LAYOUT
    }

    fn read(&mut self, record: &Record<'_>, form: &Form) -> Result<Alert, LineError> {
        let alert = alert(record, form)?;
        self.0.look_at_device(record, DEVICE, alert.device);
        let times = [
            (alert.occurred_ms, [OCCURRED_AT, OCCURRED_MS]),
            (alert.dcc_ms, [DCC_AT, DCC_MS]),
            (alert.received_ms, [RECEIVED_AT, RECEIVED_MS]),
            (alert.details.interrupted_ms, [INTERRUPTED_AT, INTERRUPTED_MS]),
            (alert.details.restored_ms, [RESTORED_AT, RESTORED_MS]),
        ];
        self.0.look_at_times(record, times);
        Ok(alert)
    }

    fn remark(&mut self) -> Option<LineError> {
        self.0.remark()
    }
}

/// The alert that a record stands for.
fn alert(record: &Record<'_>, form: &Form) -> Result<Alert, LineError> {
    let device = record.require(DEVICE, identifiers::device)?;
    let code = record.require(CODE, identifiers::code)?;
    let alert = Alert {
        device,
        recipient: record.read(RECIPIENT, identifiers::device)?.unwrap_or(Eui64::NONE),
        counter: record.read(COUNTER, |text| integer::<u64>(text, "0 to 18446744073709551615"))?,
        code,
        occurred_ms: record.time((OCCURRED_AT, OCCURRED_MS), form)?,
        dcc_ms: time_not_0(record, (DCC_AT, DCC_MS), form)?,
        received_ms: time_not_0(record, (RECEIVED_AT, RECEIVED_MS), form)?,
        measurement: measurement(record, code, form)?,
        weight: record.read(WEIGHT, weight)?.unwrap_or(1),
        payload: record.read(PAYLOAD_KIND, payload_kind)?.unwrap_or(PayloadKind::Csv),
        generation: record.read(STATED_GENERATION, str::parse::<Generation>)?.unwrap_or_default(),
        message: Message {
            sender: record.read(SENDER, identifiers::device)?.unwrap_or(Eui64::NONE),
            instruction: record.read(INSTRUCTION_NUMBER, |text| from_1::<u32>(text, "of 32 bits"))?.unwrap_or(0),
            digest: record.read(MESSAGE_DIGEST, digest)?.unwrap_or(0),
            time: record.read(OCCURRED_AT_STATUS, time_status)?.unwrap_or_default(),
            dcc_time: record.read(DCC_AT_STATUS, dcc_time_status)?.unwrap_or_default(),
        },
        details: details(record, form)?,
    };
    check_statuses(record, &alert)?;
    Ok(alert)
}

/// Rejects a status beside a time that it contradicts: the host would drop the time.
fn check_statuses(record: &Record<'_>, alert: &Alert) -> Result<(), LineError> {
    let filled = |columns: [usize; 2]| columns.into_iter().find(|column| !record.text(*column).is_empty());
    let Message { time, dcc_time, .. } = alert.message;
    // A host that was told no time writes the time of receipt in its place.
    if let Some(column) = filled([OCCURRED_AT, OCCURRED_MS]) {
        let found = shown(record.text(column));
        if !time.is_stated() && alert.occurred_ms != alert.received_ms {
            let message = format!(
                "{}, but {found} is stated, which is not the time of receipt: write stated or unreliable, or leave the time empty",
                time.name()
            );
            return Err(record.error(OCCURRED_AT_STATUS, message));
        }
        // On the wire 0 stands for a time that is not stated, unless the status is that it is.
        if time == TimeStatus::Unreliable && alert.occurred_ms == Some(0) {
            let message =
                format!("unreliable, but {found} is the beginning of 1970, which stands for no time: {NONE_IS_EMPTY}");
            return Err(record.error(OCCURRED_AT_STATUS, message));
        }
    } else if time == TimeStatus::Unreliable {
        let message = "unreliable, but no time of occurrence is stated: fill it in, or write not-stated";
        return Err(record.error(OCCURRED_AT_STATUS, message));
    }
    if dcc_time == DccTimeStatus::LeftOut
        && let Some(column) = filled([DCC_AT, DCC_MS])
    {
        let found = shown(record.text(column));
        let message = format!("left-out, but {found} is stated: write as-stated, or leave the time empty");
        return Err(record.error(DCC_AT_STATUS, message));
    }
    Ok(())
}

/// What the source of the alert states beside it.
fn details(record: &Record<'_>, form: &Form) -> Result<Details, LineError> {
    let count = |text: &str| from_1::<u16>(text, "up to 65535");
    Ok(Details {
        mpxn: record.read(STATED_MPXN, stated_mpxn)?.unwrap_or(Mpxn::NONE),
        throttle_sequence: record.read(THROTTLE_SEQUENCE, |text| integer::<u32>(text, "of 32 bits"))?,
        instruction_count: record.read(INSTRUCTION_COUNT, count)?.unwrap_or(0),
        interrupted_ms: record.time((INTERRUPTED_AT, INTERRUPTED_MS), form)?,
        restored_ms: record.time((RESTORED_AT, RESTORED_MS), form)?,
        inner_code: record.read(INNER_CODE, identifiers::code)?,
        note: record.read(STATED_NOTE, note)?.unwrap_or_default(),
    })
}

/// A time of receipt or of the DCC: 0 stands for one that is not stated on the wire and in the log.
fn time_not_0(record: &Record<'_>, columns: (usize, usize), form: &Form) -> Result<Option<Millis>, LineError> {
    let time = record.time(columns, form)?;
    let (text, millis) = columns;
    let filled = if record.text(text).is_empty() { millis } else { text };
    match time {
        Some(0) => {
            let found = shown(record.text(filled));
            Err(record
                .error(filled, format!("{found} is the beginning of 1970, which stands for no time: {NONE_IS_EMPTY}")))
        }
        time => Ok(time),
    }
}

/// A number of which 0 stands for none.
fn from_1<T: std::str::FromStr + Default + PartialEq>(text: &str, bounds: &str) -> Result<T, String> {
    match integer::<T>(text, &format!("from 1 on, {bounds}"))? {
        number if number == T::default() => Err(format!(
            "expected an integer from 1 on, {bounds}, found {}; leave it empty where there is none",
            shown(text)
        )),
        number => Ok(number),
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

fn stated_mpxn(text: &str) -> Result<Mpxn, String> {
    match identifiers::mpxn(text)? {
        Mpxn::NONE => Err(format!("{} is no metering point; {NONE_IS_EMPTY}", shown(text))),
        mpxn => Ok(mpxn),
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
    digest
        .filter(|digest| *digest != 0)
        .ok_or_else(|| format!("expected the first 16 hex digits of a SHA-256, not all zero, found {}", shown(text)))
}

fn dcc_time_status(text: &str) -> Result<DccTimeStatus, String> {
    DccTimeStatus::ALL.into_iter().find(|status| status.name() == text).ok_or_else(|| {
        let [as_stated, left_out] = DccTimeStatus::ALL.map(DccTimeStatus::name);
        format!("expected {as_stated} (the DCC's time, or none) or {left_out}, found {}", shown(text))
    })
}

/// A note as it was kept. A sheet has an apostrophe before what a spreadsheet would take for a formula.
fn note(text: &str) -> Result<Note, String> {
    let is_guarded = |text: &&str| text.starts_with(['=', '+', '-', '@', '\'']);
    let text = text.strip_prefix('\'').filter(is_guarded).unwrap_or(text);
    let max = Note::BYTES_MAX;
    Note::stated(text).ok_or_else(|| format!("expected one plain line of at most {max} bytes, found {}", shown(text)))
}

fn time_status(text: &str) -> Result<TimeStatus, String> {
    TimeStatus::ALL.into_iter().find(|status| status.name() == text).ok_or_else(|| {
        let names = TimeStatus::ALL.map(TimeStatus::name).join(", ");
        format!("expected one of {names}, found {}", shown(text))
    })
}
