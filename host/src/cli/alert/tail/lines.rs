//! Alerts as lines: for people, for programs, for spreadsheets.
//!
//! It must not know where they come from. Invariant: once it returns, whoever reads stdout has them.

use std::io::{self, Write};

use clap::ValueEnum;
use weir_proto::v1;

use crate::cli::{
    Failure,
    arguments::Names,
    session::json_line,
    sheet::Sheet,
    table::Value,
    view::{
        alert::{LoggedAlert, measured, why},
        clean, time,
    },
};

/// How an alert is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Ndjson,
    /// CSV with a header.
    Csv,
}

/// Columns of CSV: those of a file that can be sent by the same names, and what the host knows beside them.
const COLUMNS: [&str; 28] = [
    "position",
    "device",
    "recipient",
    "counter",
    "code",
    "occurred_ms",
    "dcc_ms",
    "received_ms",
    "measurement",
    "weight",
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
    "interrupted_ms",
    "restored_ms",
    "inner_code",
    "stated_note",
    "operator",
    "generation",
    "model",
    "withheld",
];

/// Characters of one field of a line.
const FIELD_CHARS_MAX: usize = 200;

/// Where alerts go.
pub(in crate::cli::alert) struct Lines {
    format: Format,
    names: Names,
    /// Whether the header of CSV was written.
    begun: bool,
}

impl Lines {
    pub(super) fn new(format: Format, names: Names) -> Self {
        Self { format, names, begun: false }
    }

    /// Writes alerts to stdout.
    pub(super) fn write(&mut self, alerts: Vec<v1::LoggedAlert>) -> Result<(), Failure> {
        let rows: Vec<LoggedAlert> = alerts.into_iter().map(LoggedAlert::from).collect();
        let text = match self.format {
            Format::Text => rows.iter().map(|row| line(row, &self.names) + "\n").collect(),
            Format::Ndjson => {
                rows.iter().map(|row| json_line(row).map(|line| line + "\n")).collect::<Result<String, Failure>>()?
            }
            Format::Csv => self.sheet(&rows),
        };
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| Failure::of_output(&error))
    }

    fn sheet(&mut self, rows: &[LoggedAlert]) -> String {
        let begun = std::mem::replace(&mut self.begun, true);
        let mut sheet = if begun { Sheet::default() } else { Sheet::new(&COLUMNS) };
        rows.iter().for_each(|row| sheet.row(record(row)));
        sheet.finish()
    }
}

/// When, what, where, how much, and what a rule had to do with it.
fn line(row: &LoggedAlert, names: &Names) -> String {
    let alert = row.alert.as_ref();
    let fields = [
        alert.map_or_else(String::new, |alert| time(alert.received_at_ms)),
        alert.and_then(|alert| alert.device_id.clone()).unwrap_or_else(|| "unknown".to_owned()),
        alert.map_or_else(String::new, |alert| names.code_at(row.position, &alert.code)),
        alert.map_or_else(String::new, |alert| measured(alert, names.codes_at(row.position))),
        names.operator(row.operator),
        row.generation.to_owned(),
        row.model.clone(),
        why(row),
    ];
    let shown = fields.iter().filter(|field| !field.is_empty()).map(|field| clean(field, FIELD_CHARS_MAX));
    shown.collect::<Vec<_>>().join("  ")
}

fn record(row: &LoggedAlert) -> Vec<Value> {
    let alert = row.alert.as_ref();
    let text = |text: Option<String>| Value::text(text.unwrap_or_default());
    let number = |number: Option<i64>| Value::Quantity(number.map_or_else(String::new, |number| number.to_string()));
    let details = alert.and_then(|alert| alert.details.as_ref());
    vec![
        Value::Number(row.position),
        text(alert.and_then(|alert| alert.device_id.clone())),
        text(alert.and_then(|alert| alert.recipient_id.clone())),
        alert.and_then(|alert| alert.originator_counter).map_or_else(|| Value::text(""), Value::Number),
        text(alert.map(|alert| alert.code.clone())),
        number(alert.map(|alert| alert.occurred_at_ms)),
        number(alert.and_then(|alert| alert.dcc_at_ms)),
        number(alert.map(|alert| alert.received_at_ms)),
        number(alert.and_then(|alert| alert.measurement).map(i64::from)),
        Value::Number(alert.map_or(1, |alert| alert.weight).into()),
        Value::text(alert.map_or("", |alert| alert.payload_kind)),
        text(alert.and_then(|alert| alert.sender_id.clone())),
        number(alert.and_then(|alert| alert.instruction_number).map(i64::from)),
        text(alert.and_then(|alert| alert.message_digest.clone())),
        Value::text(alert.map_or("", |alert| alert.occurred_at_status)),
        Value::text(alert.and_then(|alert| alert.dcc_at_status).unwrap_or_default()),
        Value::text(alert.and_then(|alert| alert.stated_generation).unwrap_or_default()),
        text(details.and_then(|details| details.mpxn.clone())),
        number(details.and_then(|details| details.throttle_sequence).map(i64::from)),
        number(details.and_then(|details| details.instruction_count).map(i64::from)),
        number(details.and_then(|details| details.interrupted_at_ms)),
        number(details.and_then(|details| details.restored_at_ms)),
        text(details.and_then(|details| details.inner_code.clone())),
        text(details.and_then(|details| details.note.clone())),
        Value::Number(row.operator.into()),
        Value::text(row.generation),
        Value::text(row.model.clone()),
        Value::Number(row.withheld.into()),
    ]
}
