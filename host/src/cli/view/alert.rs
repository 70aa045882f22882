//! Alerts, and what became of them.
//!
//! It must not know how alerts are asked for.

use serde::Serialize;
use weir_proto::v1;

use super::{clean, code, details::Details, eui, generation, or, time};
use crate::{
    cli::{
        arguments::Names,
        table::{Table, Value},
    },
    domain::AlertCode,
    intake::{plausible::Unit, tables::CodeTable},
};

mod counts;
mod words;

pub(crate) use counts::{Balance, RemarkCounts};
pub(in crate::cli) use words::{
    dcc_at_status, message_digest_text, occurred_at_status, outcome, payload_kind, remark, stated_generation,
};

/// An alert as it was sent.
#[derive(Debug, Serialize)]
pub(crate) struct Alert {
    pub device_id: Option<String>,
    pub recipient_id: Option<String>,
    pub originator_counter: Option<u64>,
    pub code: String,
    pub occurred_at_ms: i64,
    pub received_at_ms: i64,
    pub measurement: Option<i32>,
    pub weight: u32,
    pub payload_kind: &'static str,
    /// When the DCC passed it on; `None` where that is not stated.
    pub dcc_at_ms: Option<i64>,
    /// Who counted it; `None` for the device itself, or for the DCC where the code is one of its own.
    pub sender_id: Option<String>,
    /// Which instruction of a command it is about; `None` for none.
    pub instruction_number: Option<u32>,
    /// Of the message, or of the whole document; `None` where neither is known.
    pub message_digest: Option<String>,
    /// What is known of the time of occurrence.
    pub occurred_at_status: &'static str,
    /// `left-out` where the source states a time of the DCC that could not be read; else `None`.
    pub dcc_at_status: Option<&'static str>,
    /// The generation that the source states; `None` where it states none.
    pub stated_generation: Option<&'static str>,
    /// What the source states beside; `None` for nothing.
    pub details: Option<Details>,
}

impl From<v1::Alert> for Alert {
    fn from(message: v1::Alert) -> Self {
        let v1::Alert {
            device_id,
            recipient_id,
            originator_counter,
            code: number,
            occurred_at_ms,
            received_at_ms,
            measurement,
            weight,
            payload_kind: kind,
            dcc_at_ms,
            sender_id,
            instruction_number,
            message_digest,
            occurred_at_status: status,
            dcc_at_status,
            stated_generation,
            details,
        } = message;
        Self {
            device_id: eui(device_id),
            recipient_id: eui(recipient_id),
            originator_counter,
            code: code(number),
            occurred_at_ms,
            received_at_ms,
            measurement,
            weight,
            payload_kind: payload_kind(kind),
            dcc_at_ms: (dcc_at_ms != 0).then_some(dcc_at_ms),
            sender_id: eui(sender_id),
            instruction_number: (instruction_number != 0).then_some(instruction_number),
            message_digest: message_digest_text(message_digest),
            occurred_at_status: occurred_at_status(status),
            dcc_at_status: words::dcc_at_status(dcc_at_status),
            stated_generation: words::stated_generation(stated_generation),
            details: details.map(Details::from),
        }
    }
}

/// An alert of the log.
#[derive(Debug, Serialize)]
pub(crate) struct LoggedAlert {
    pub position: u64,
    pub alert: Option<Alert>,
    pub operator: u32,
    pub generation: &'static str,
    pub model: String,
    pub outcome: &'static str,
    pub rule: Option<RuleMark>,
    pub overruled: bool,
    pub withheld: u32,
    pub faults: Vec<FaultMark>,
    pub remarks: Vec<&'static str>,
}

impl From<v1::LoggedAlert> for LoggedAlert {
    fn from(message: v1::LoggedAlert) -> Self {
        let v1::LoggedAlert {
            position,
            alert,
            operator,
            generation: number,
            model,
            outcome: outcome_number,
            rule,
            overruled,
            withheld,
            faults,
            remarks,
        } = message;
        Self {
            position,
            alert: alert.map(Alert::from),
            operator,
            generation: generation(number),
            model,
            outcome: outcome(outcome_number),
            rule: rule.map(RuleMark::from),
            overruled,
            withheld,
            faults: faults.into_iter().map(FaultMark::from).collect(),
            remarks: remarks.into_iter().map(remark).collect(),
        }
    }
}

/// The rule behind a verdict.
#[derive(Debug, Serialize)]
pub(crate) struct RuleMark {
    pub name: String,
    pub revision: u32,
    pub plugin_digest: String,
    pub plugin_name: String,
    pub parameters: String,
    pub reason: String,
}

impl From<v1::RuleMark> for RuleMark {
    fn from(message: v1::RuleMark) -> Self {
        let v1::RuleMark { name, revision, plugin_digest, plugin_name, parameters, reason } = message;
        Self { name, revision, plugin_digest, plugin_name, parameters, reason }
    }
}

/// A rule that failed on an alert.
#[derive(Debug, Serialize)]
pub(crate) struct FaultMark {
    pub rule: String,
    pub revision: u32,
    pub kind: String,
}

impl From<v1::FaultMark> for FaultMark {
    fn from(message: v1::FaultMark) -> Self {
        let v1::FaultMark { rule, revision, kind } = message;
        Self { rule, revision, kind }
    }
}

/// Logged alerts, a row each.
pub(crate) fn table(rows: &[LoggedAlert], names: &Names) -> Table {
    let mut table = Table::new(&LoggedAlert::HEADINGS);
    rows.iter().for_each(|row| table.row(row.values(names)));
    table
}

impl LoggedAlert {
    /// What [`values`](Self::values) are.
    pub(crate) const HEADINGS: [&str; 12] = [
        "position",
        "received",
        "occurred",
        "passed on",
        "device",
        "code",
        "measured",
        "operator",
        "generation",
        "model",
        "outcome",
        "why",
    ];

    /// It as a row.
    pub(crate) fn values(&self, names: &Names) -> [Value; 12] {
        let alert = self.alert.as_ref();
        [
            Value::Number(self.position),
            Value::text(alert.map_or_else(String::new, |alert| time(alert.received_at_ms))),
            Value::text(alert.map_or_else(String::new, occurred)),
            Value::text(alert.map_or_else(String::new, passed_on)),
            Value::text(alert.and_then(|alert| alert.device_id.as_deref()).unwrap_or("unknown")),
            Value::text(alert.map_or_else(String::new, |alert| names.code_at(self.position, &alert.code))),
            Value::Quantity(alert.map_or_else(String::new, |alert| measured(alert, names.codes_at(self.position)))),
            Value::text(names.operator(self.operator)),
            Value::text(self.generation),
            Value::text(or(&self.model, "unknown")),
            Value::text(self.outcome),
            Value::text(why(self)),
        ]
    }
}

/// When the device says it happened, and what is known of that time.
pub(crate) fn occurred(alert: &Alert) -> String {
    match alert.occurred_at_status {
        "stated" => time(alert.occurred_at_ms),
        "not-stated" => "not stated".to_owned(),
        status => format!("{} ({status})", time(alert.occurred_at_ms)),
    }
}

/// When the DCC passed it on; nothing where that is not stated, or is the time of receipt.
pub(crate) fn passed_on(alert: &Alert) -> String {
    alert.dcc_at_ms.filter(|dcc_at_ms| *dcc_at_ms != alert.received_at_ms).map_or_else(String::new, time)
}

/// A measurement in the unit that the table it was logged under gives its code.
pub(crate) fn measured(alert: &Alert, codes: &CodeTable) -> String {
    let Some(value) = alert.measurement else { return String::new() };
    let sign = if value < 0 { "-" } else { "" };
    let size = value.unsigned_abs();
    let unit = alert.code.parse::<AlertCode>().ok().and_then(|code| codes.unit(code));
    match unit {
        Some(Unit::Decivolts) => format!("{sign}{}.{} V", size / 10, size % 10),
        Some(Unit::Thousandths) => format!("{sign}{}.{:03}", size / 1000, size % 1000),
        Some(Unit::Own(unit)) => format!("{value} {unit}"),
        None => value.to_string(),
    }
}

/// Which rule did what for which reason.
pub(crate) fn why(row: &LoggedAlert) -> String {
    let mut parts = Vec::new();
    if let Some(rule) = &row.rule {
        let overruled = if row.overruled { ", overruled: protected code" } else { "" };
        parts.push(format!("{} r{}: {}{overruled}", rule.name, rule.revision, rule.reason));
    }
    if row.withheld > 0 {
        parts.push(format!("stands for {} suppressed", row.withheld));
    }
    parts.extend(row.alert.iter().filter_map(|alert| alert.details.as_ref()).flat_map(Details::words));
    if !row.remarks.is_empty() {
        parts.push(format!("remarked: {}", row.remarks.join(", ")));
    }
    parts.extend(row.faults.iter().map(|fault| format!("{} r{} failed: {}", fault.rule, fault.revision, fault.kind)));
    clean(&parts.join("; "), 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged() -> v1::LoggedAlert {
        v1::LoggedAlert {
            position: 1234,
            alert: Some(v1::Alert {
                device_id: 0x00DB_1234_5678_90A0,
                recipient_id: 0,
                originator_counter: Some(7),
                code: 0x8F40,
                occurred_at_ms: 1_795_426_215_250,
                received_at_ms: 1_795_426_216_000,
                measurement: Some(2_534),
                weight: 1,
                payload_kind: v1::PayloadKind::Csv.into(),
                dcc_at_ms: 1_795_426_215_900,
                sender_id: 0x90B3_D51F_3000_0002,
                instruction_number: 0,
                message_digest: 0x0123_4567_89AB_CDEF,
                occurred_at_status: v1::OccurredAtStatus::Unreliable.into(),
                dcc_at_status: v1::DccAtStatus::LeftOut.into(),
                stated_generation: v1::Generation::Smets1.into(),
                details: Some(v1::AlertDetails {
                    throttle_sequence: Some(4),
                    note: "S1VE".to_owned(),
                    ..v1::AlertDetails::default()
                }),
            }),
            operator: 12,
            generation: v1::Generation::Smets1.into(),
            model: "Maker A\u{1b}[0m".to_owned(),
            outcome: v1::Outcome::Suppressed.into(),
            rule: Some(v1::RuleMark {
                name: "high-volts".to_owned(),
                revision: 3,
                plugin_digest: "ab".repeat(32),
                plugin_name: "threshold".to_owned(),
                parameters: "{\"below_dv\":2580}".to_owned(),
                reason: "below-line".to_owned(),
            }),
            overruled: false,
            withheld: 0,
            faults: vec![v1::FaultMark { rule: "storm".to_owned(), revision: 2, kind: "trap".to_owned() }],
            remarks: vec![v1::Remark::OutOfOrder.into()],
        }
    }

    #[test]
    fn json_has_the_names_of_the_protocol() {
        let json = serde_json::to_value(LoggedAlert::from(logged())).unwrap();
        let expected = serde_json::json!({
            "position": 1234,
            "alert": {
                "device_id": "00-DB-12-34-56-78-90-A0", "recipient_id": null, "originator_counter": 7,
                "code": "8F40", "occurred_at_ms": 1_795_426_215_250_i64, "received_at_ms": 1_795_426_216_000_i64,
                "measurement": 2534, "weight": 1, "payload_kind": "csv", "dcc_at_ms": 1_795_426_215_900_i64,
                "sender_id": "90-B3-D5-1F-30-00-00-02", "instruction_number": null,
                "message_digest": "0123456789abcdef", "occurred_at_status": "unreliable",
                "dcc_at_status": "left-out", "stated_generation": "smets1",
                "details": { "throttle_sequence": 4, "note": "S1VE" },
            },
            "operator": 12, "generation": "smets1", "model": "Maker A\u{1b}[0m", "outcome": "suppressed",
            "rule": {
                "name": "high-volts", "revision": 3, "plugin_digest": "ab".repeat(32), "plugin_name": "threshold",
                "parameters": "{\"below_dv\":2580}", "reason": "below-line",
            },
            "overruled": false, "withheld": 0,
            "faults": [{ "rule": "storm", "revision": 2, "kind": "trap" }],
            "remarks": ["out-of-order"],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_row_says_what_was_measured_and_why_it_was_held_back() {
        let text = table(&[logged().into()], &Names::builtin()).to_string();
        for part in [
            "8F40 voltage alert (SMETS1)",
            "253.4 V",
            "2026-11-23T09:30:15.25Z (unreliable)",
            "2026-11-23T09:30:15.9Z",
            "12 LOND",
            "high-volts r3: below-line; throttled, number 4; S1VE; remarked: out-of-order; storm r2 failed: trap",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn measurements_have_the_unit_of_their_code() {
        let shown = |code: u32, value: i32| {
            measured(
                &v1::Alert { code, measurement: Some(value), ..v1::Alert::default() }.into(),
                &CodeTable::builtin(),
            )
        };
        assert_eq!(shown(0x8F40, -7), "-0.7 V");
        assert_eq!(shown(0x8014, 950), "0.950");
        assert_eq!(shown(0x1234, 950), "950");
    }
}
