//! Comparisons of a shadow rule with what happened.
//!
//! It must not know how comparisons are asked for.

use serde::Serialize;
use weir_proto::v1;

use super::{
    alert::LoggedAlert,
    code,
    count::{Key, heading},
    generation,
};
use crate::cli::{
    arguments::Names,
    table::{Table, Value, count_of},
};

/// What became of alerts, against what the rule said.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub key: Key,
    pub both_forward: u64,
    pub both_suppress: u64,
    pub would_suppress: u64,
    pub would_forward: u64,
    pub overruled: u64,
}

impl From<v1::AgreementRow> for Row {
    fn from(message: v1::AgreementRow) -> Self {
        let v1::AgreementRow {
            code: number,
            operator,
            generation: kind,
            model,
            start_ms,
            both_forward,
            both_suppress,
            would_suppress,
            would_forward,
            overruled,
        } = message;
        let (code, generation) = (number.map(code), kind.map(generation));
        let key = Key { code, operator, generation, model, start_ms, ..Key::default() };
        Self { key, both_forward, both_suppress, would_suppress, would_forward, overruled }
    }
}

impl Row {
    fn numbers(&self) -> impl Iterator<Item = Value> {
        let Self { key: _, both_forward, both_suppress, would_suppress, would_forward, overruled } = *self;
        let shown = both_forward + both_suppress + would_suppress + would_forward + overruled;
        // What is overruled is forwarded, whatever the rule says.
        let agreed = both_forward + both_suppress + overruled;
        [shown, both_forward, both_suppress, would_suppress, would_forward, overruled]
            .into_iter()
            .map(Value::Number)
            .chain([Value::Quantity(share(agreed, shown))])
    }
}

/// A share in percent, rounded down so that only all of it is 100.
fn share(part: u64, of: u64) -> String {
    match of {
        0 => "-".to_owned(),
        _ => {
            let hundredths = u128::from(part) * 10_000 / u128::from(of);
            format!("{}.{:02} %", hundredths / 100, hundredths % 100)
        }
    }
}

/// An alert on which the rule and what happened differ.
#[derive(Debug, Serialize)]
pub(crate) struct Sample {
    pub alert: Option<LoggedAlert>,
    pub would_suppress: bool,
    pub reason: String,
}

impl From<v1::SampledAlert> for Sample {
    fn from(message: v1::SampledAlert) -> Self {
        let v1::SampledAlert { alert, would_suppress, reason } = message;
        Self { alert: alert.map(LoggedAlert::from), would_suppress, reason }
    }
}

/// A comparison.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    pub rows: Vec<Row>,
    pub total: Row,
    pub held_before_count: u64,
    pub shed_count: u64,
    pub failed_count: u64,
    pub samples: Vec<Sample>,
    pub since_position: u64,
    pub position: u64,
}

impl From<v1::CompareRuleResponse> for Comparison {
    fn from(message: v1::CompareRuleResponse) -> Self {
        let v1::CompareRuleResponse {
            rows,
            total,
            held_before_count,
            shed_count,
            failed_count,
            samples,
            since_position,
            position,
        } = message;
        Self {
            rows: rows.into_iter().map(Row::from).collect(),
            total: total.map(Row::from).unwrap_or_default(),
            held_before_count,
            shed_count,
            failed_count,
            samples: samples.into_iter().map(Sample::from).collect(),
            since_position,
            position,
        }
    }
}

/// The comparison, a row a group, the total last. `keys` are what was grouped by, in order.
pub(crate) fn table(comparison: &Comparison, keys: &[v1::Grouping], names: &Names) -> Table {
    let mut headings: Vec<&str> = keys.iter().map(|key| heading(*key)).collect();
    if keys.is_empty() {
        headings.push("");
    }
    headings.extend([
        "shown",
        "both forward",
        "both suppress",
        "would suppress",
        "would forward",
        "protected",
        "agrees",
    ]);
    let mut table = Table::new(&headings);
    if !keys.is_empty() {
        for row in &comparison.rows {
            table.row(keys.iter().map(|key| Value::Text(row.key.text(*key, names))).chain(row.numbers()));
        }
    }
    let blank = (1..keys.len()).map(|_| Value::text(""));
    table.row([Value::text("total")].into_iter().chain(blank).chain(comparison.total.numbers()));
    table
}

/// What the table does not say: alerts in scope that the rule was not shown.
pub(crate) fn notes(comparison: &Comparison) -> Vec<String> {
    let reasons = [
        (comparison.held_before_count, "not shown to it: a rule before it suppressed them"),
        (comparison.shed_count, "not shown to it: the host had no time for shadow rules"),
        (comparison.failed_count, "not judged: its call failed"),
    ];
    let notes = reasons.into_iter().filter(|(count, _)| *count > 0);
    notes
        .map(|(count, why)| format!("{} {why}", count_of(count, "alert in its scope was", "alerts in its scope were")))
        .collect()
}

/// Sampled alerts, a row each.
pub(crate) fn samples(rows: &[Sample], names: &Names) -> Table {
    let mut table = Table::new(&[&LoggedAlert::HEADINGS[..], &["would be"]].concat());
    for Sample { alert, would_suppress, reason } in rows {
        let Some(alert) = alert else { continue };
        let would = if *would_suppress { format!("suppressed: {reason}") } else { "forwarded".to_owned() };
        table.row(alert.values(names).into_iter().chain([Value::text(would)]));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_is_a_row_a_group_a_total_and_what_was_not_shown() {
        let row = |code, would_suppress| v1::AgreementRow {
            code,
            both_forward: 6_000,
            would_suppress,
            ..v1::AgreementRow::default()
        };
        let comparison = Comparison::from(v1::CompareRuleResponse {
            rows: vec![row(Some(0x8F40), 2_000), row(Some(0x8014), 0)],
            total: Some(row(None, 2_000)),
            shed_count: 1_500,
            ..v1::CompareRuleResponse::default()
        });
        let text = table(&comparison, &[v1::Grouping::Code], &Names::builtin()).to_string();
        let line = |at: usize| text.lines().nth(at).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(line(3), "| 8F40 voltage alert (SMETS1) 8,000 6,000 0 2,000 0 0 75.00 % |");
        assert!(line(4).ends_with("6,000 6,000 0 0 0 0 100.00 % |") && line(5).starts_with("| total 8,000"), "{text}");
        assert_eq!(
            notes(&comparison),
            ["1,500 alerts in its scope were not shown to it: the host had no time for shadow rules"]
        );
        assert_eq!((share(0, 0), share(99_999, 100_000)), ("-".to_owned(), "99.99 %".to_owned()));
    }
}
