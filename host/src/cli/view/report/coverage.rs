//! How many alerts of average voltage have a reading, as a report shows it.
//!
//! It must not know how it is asked for. Invariant: each alert is in one column.

use std::collections::BTreeMap;

use serde::Serialize;
use weir_proto::v1;

use crate::{
    cli::{
        arguments::Names,
        table::{Value, thousands},
        view::{code, percent},
    },
    voltage::Unjoined,
};

/// Why an alert has no reading, in the order of the columns. A report compares no reading with a threshold, so none is
/// [`Unjoined::NotBeyond`].
const REASONS: [Unjoined; 4] = [Unjoined::NoReading, Unjoined::NoTime, Unjoined::TwoPeriods, Unjoined::Withheld];

/// Alerts of average voltage, by code.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Coverage {
    pub alerts: u64,
    pub with_reading: u64,
    pub codes: Vec<CodeLine>,
}

/// Alerts of one code.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CodeLine {
    pub code: String,
    /// The code with its name.
    pub label: String,
    pub alerts: u64,
    pub with_reading: u64,
    /// Those that have none, by why.
    pub without_reading: BTreeMap<String, u64>,
}

impl Coverage {
    pub(crate) const TITLE: &str = "Alerts of average voltage that have a reading";
    pub(crate) const HEADINGS: [&str; 8] =
        ["code", "alerts", "with a reading", "share", "no reading", "no time", "two periods", "withheld copies"];

    /// From a host's answer.
    pub(crate) fn new(message: v1::GetReadingCoverageResponse, names: &Names) -> Self {
        let line = |message: v1::CodeCoverage| {
            let v1::CodeCoverage { code: number, alert_count, joined_count, unjoined } = message;
            let code = code(number);
            CodeLine {
                label: names.code(&code),
                code,
                alerts: alert_count,
                with_reading: joined_count,
                without_reading: unjoined.into_iter().map(|unjoined| (unjoined.reason, unjoined.count)).collect(),
            }
        };
        let codes: Vec<CodeLine> = message.codes.into_iter().map(line).collect();
        let sum = |of: fn(&CodeLine) -> u64| codes.iter().map(of).sum();
        Self { alerts: sum(|line| line.alerts), with_reading: sum(|line| line.with_reading), codes }
    }

    /// The sum as a sentence.
    pub(crate) fn summary(&self) -> String {
        let Self { alerts, with_reading, .. } = self;
        match alerts {
            0 => "No alert of average voltage was taken.".to_owned(),
            _ => format!(
                "Of {} alerts of average voltage {} have a reading: {}. No alert carries a voltage; what readings say of the \
                 others is not known.",
                thousands(*alerts),
                thousands(*with_reading),
                percent(*with_reading, *alerts)
            ),
        }
    }
}

impl CodeLine {
    /// In the order of the headings.
    pub(crate) fn values(&self) -> Vec<Value> {
        let Self { label, alerts, with_reading, .. } = self;
        let counts = [Value::Number(*alerts), Value::Number(*with_reading)];
        let share = Value::Quantity(percent(*with_reading, *alerts));
        let reason = |reason: Unjoined| Value::Number(self.without_reading.get(reason.name()).copied().unwrap_or(0));
        let label = std::iter::once(Value::text(label));
        label.chain(counts).chain([share]).chain(REASONS.map(reason)).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A host's answer about two codes.
    pub(crate) fn coverage() -> Coverage {
        let unjoined = |reason: &str, count| v1::UnjoinedCount { reason: reason.to_owned(), count };
        let codes = vec![
            v1::CodeCoverage {
                code: 0x8002,
                alert_count: 1_200,
                joined_count: 1_199,
                unjoined: vec![unjoined("no-time", 1)],
            },
            v1::CodeCoverage {
                code: 0x8F40,
                alert_count: 10,
                joined_count: 0,
                unjoined: vec![unjoined("no-reading", 7), unjoined("withheld-copies", 3)],
            },
        ];
        Coverage::new(v1::GetReadingCoverageResponse { codes }, &Names::builtin())
    }

    #[test]
    fn a_code_is_a_row_with_each_reason_in_its_column() {
        let coverage = coverage();
        let text = |line: &CodeLine| {
            let cell = |value| match value {
                Value::Number(number) => thousands(number),
                Value::Quantity(text) | Value::Text(text) => text,
            };
            line.values().into_iter().skip(1).map(cell).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(text(&coverage.codes[0]), "1,200 1,199 99.9 % 0 1 0 0");
        assert_eq!(text(&coverage.codes[1]), "10 0 0.0 % 7 0 0 3");
        assert!(coverage.codes[0].label.starts_with("8002 ") && coverage.codes[1].label.starts_with("8F40"));
        assert!(coverage.summary().starts_with("Of 1,210 alerts of average voltage 1,199 have a reading: 99.0 %."));
        assert_eq!(Coverage::HEADINGS.len(), coverage.codes[0].values().len());
        let nothing = Coverage::new(v1::GetReadingCoverageResponse::default(), &Names::builtin());
        assert_eq!(nothing.summary(), "No alert of average voltage was taken.");
    }
}
