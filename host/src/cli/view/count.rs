//! Counts.
//!
//! It must not know how counts are asked for.

use std::collections::BTreeMap;

use serde::Serialize;
use weir_proto::v1;

use super::{
    alert::{Balance, RemarkCounts},
    code, eui, generation,
    label::UnknownLabel,
    or, time,
};
use crate::{
    cli::{
        arguments::Names,
        table::{Table, Value, thousands},
    },
    domain::{FinalUntil, NOT_LABELLED, Remark},
};

/// What stands behind a time for which alerts may still come.
pub(crate) const NOT_FINAL: &str = " (not final)";

/// What a row is of. A key that was not grouped by is left out.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Key {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_start_ms: Option<i64>,
    /// Labels by key, empty where the device has none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Left out where it is false: alerts may still come that count here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_provisional: bool,
}

/// One group.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub key: Key,
    pub balance: Balance,
    pub represented: u64,
    pub overruled: u64,
    pub withheld: u64,
    pub remarks: RemarkCounts,
}

impl From<v1::CountRow> for Row {
    fn from(message: v1::CountRow) -> Self {
        let v1::CountRow {
            code: number,
            rule,
            operator,
            generation: kind,
            model,
            start_ms,
            rejection,
            balance,
            represented,
            overruled,
            withheld,
            remarks,
            device_id,
            recipient_id,
            family,
            occurred_start_ms,
            is_provisional,
            labels,
        } = message;
        // Absent where it is not grouped by; empty where it is not known.
        let party = |id: Option<u64>| id.map(|id| eui(id).unwrap_or_default());
        let (device_id, recipient_id) = (party(device_id), party(recipient_id));
        let (code, generation) = (number.map(code), kind.map(generation));
        Self {
            key: Key {
                code,
                rule,
                operator,
                generation,
                model,
                start_ms,
                rejection,
                device_id,
                recipient_id,
                family,
                occurred_start_ms,
                labels: labels.into_iter().map(|label| (label.key, label.value)).collect(),
                is_provisional,
            },
            balance: balance.map(Balance::from).unwrap_or_default(),
            represented,
            overruled,
            withheld,
            remarks: remarks.into(),
        }
    }
}

/// An answer.
#[derive(Debug, Serialize)]
pub(crate) struct Counts {
    pub rows: Vec<Row>,
    pub total: Row,
    pub position: u64,
    /// The sum of the rows that were left out; absent where none were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rest: Option<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rest_row_count: Option<u64>,
    /// Where the log has lost its beginning, and it was counted from the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_since_ms: Option<i64>,
    /// Values of labels that were asked for and that no device has; absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_labels: Vec<UnknownLabel>,
    /// Until when counts are final; a host of an earlier release does not say so. In JSON, rows are marked instead.
    #[serde(skip)]
    pub final_until: Option<FinalUntil>,
}

impl From<v1::QueryCountsResponse> for Counts {
    fn from(message: v1::QueryCountsResponse) -> Self {
        let v1::QueryCountsResponse { rows, total, position, rest, rest_row_count, kept_since_ms, .. } = message;
        let v1::QueryCountsResponse { final_until, unknown_labels, .. } = message;
        let until = |v1::FinalUntil { received_ms, occurred_ms }| FinalUntil { received_ms, occurred_ms };
        Self {
            rows: rows.into_iter().map(Row::from).collect(),
            total: total.map(Row::from).unwrap_or_default(),
            position,
            rest_row_count: rest.as_ref().map(|_| rest_row_count),
            rest: rest.map(Row::from),
            kept_since_ms,
            unknown_labels: unknown_labels.into_iter().map(UnknownLabel::from).collect(),
            final_until: final_until.map(until),
        }
    }
}

/// The counts, a row a group, the total last. `keys` are what was grouped by, in order, and `labels` the keys of the labels
/// among them.
pub(crate) fn table(counts: &Counts, keys: &[v1::Grouping], labels: &[String], names: &Names) -> Table {
    let mut labels = labels.iter();
    let parts: Vec<(v1::Grouping, &str)> = keys
        .iter()
        .map(|key| match key {
            v1::Grouping::Label => (*key, labels.next().map_or("label", String::as_str)),
            key => (*key, heading(*key)),
        })
        .collect();
    let mut headings: Vec<String> = parts.iter().map(|(_, heading)| (*heading).to_owned()).collect();
    if keys.is_empty() {
        headings.push(String::new());
    }
    headings.extend(Balance::HEADINGS.map(str::to_owned));
    let further = Further::of(&counts.total);
    headings.extend(further.headings().map(str::to_owned));
    let mut table = Table::new(&headings);
    if !keys.is_empty() {
        for row in &counts.rows {
            let text = |(key, heading): &(v1::Grouping, &str)| match key {
                v1::Grouping::Label => row.key.label(heading),
                key => row.key.text(*key, names),
            };
            table.row(parts.iter().map(|part| Value::Text(text(part))).chain(further.numbers(row)));
        }
    }
    let blank = || (1..keys.len()).map(|_| Value::text(""));
    if let Some(rest) = &counts.rest {
        let more = format!("{} more", thousands(counts.rest_row_count.unwrap_or_default()));
        table.row([Value::Text(more)].into_iter().chain(blank()).chain(further.numbers(rest)));
    }
    table.row([Value::text("total")].into_iter().chain(blank()).chain(further.numbers(&counts.total)));
    table
}

/// Which columns beside the four ends have something to say: in a table of many columns the others only cost room.
struct Further([bool; FURTHER]);

/// Three counts, then one for each remark.
const FURTHER: usize = 3 + Remark::COUNT;

impl Further {
    /// A total of nothing means nothing in every row.
    fn of(total: &Row) -> Self {
        let represented = total.represented != total.balance.received;
        let kept = [represented, total.overruled > 0, total.withheld > 0];
        Self(joined(kept, total.remarks.numbers().map(|count| count > 0)))
    }

    fn chosen<T>(&self, all: [T; FURTHER]) -> impl Iterator<Item = T> {
        self.0.into_iter().zip(all).filter(|(wanted, _)| *wanted).map(|(_, item)| item)
    }

    fn headings(&self) -> impl Iterator<Item = &'static str> {
        self.chosen(joined(["represented", "overruled", "withheld"], RemarkCounts::HEADINGS))
    }

    fn numbers(&self, row: &Row) -> impl Iterator<Item = Value> {
        let further = self.chosen(joined([row.represented, row.overruled, row.withheld], row.remarks.numbers()));
        row.balance.values().into_iter().chain(further.map(Value::Number))
    }
}

fn joined<T: Copy>(kept: [T; 3], remarks: [T; Remark::COUNT]) -> [T; FURTHER] {
    std::array::from_fn(|at| if at < kept.len() { kept[at] } else { remarks[at - kept.len()] })
}

/// The heading of a key's column.
pub(crate) fn heading(key: v1::Grouping) -> &'static str {
    match key {
        v1::Grouping::Unspecified => "",
        v1::Grouping::Code => "code",
        v1::Grouping::Rule => "rule",
        v1::Grouping::Operator => "operator",
        v1::Grouping::Generation => "generation",
        v1::Grouping::Model => "model",
        v1::Grouping::Hour => "hour",
        v1::Grouping::Day => "day",
        v1::Grouping::Rejection => "rejection",
        v1::Grouping::Device => "device",
        v1::Grouping::Recipient => "recipient",
        v1::Grouping::Family => "family",
        v1::Grouping::OccurredDay => "occurred",
        v1::Grouping::Label => "label",
    }
}

impl Key {
    /// One of its parts as text.
    pub(crate) fn text(&self, part: v1::Grouping, names: &Names) -> String {
        match part {
            v1::Grouping::Unspecified => String::new(),
            v1::Grouping::Code => self.code.as_ref().map_or_else(|| "unknown".to_owned(), |code| names.code(code)),
            v1::Grouping::Rule => or(self.rule.as_deref().unwrap_or_default(), "none").to_owned(),
            v1::Grouping::Operator => names.operator(self.operator.unwrap_or_default()),
            v1::Grouping::Generation => self.generation.unwrap_or("unknown").to_owned(),
            v1::Grouping::Model => or(self.model.as_deref().unwrap_or_default(), "unknown").to_owned(),
            v1::Grouping::Hour => self.start_ms.map(time).unwrap_or_default() + self.provisional(),
            v1::Grouping::Day => self.start_ms.map(day).unwrap_or_default() + self.provisional(),
            v1::Grouping::OccurredDay => {
                self.occurred_start_ms.map_or("not known".to_owned(), day) + self.provisional()
            }
            v1::Grouping::Device => or(self.device_id.as_deref().unwrap_or_default(), "none").to_owned(),
            v1::Grouping::Recipient => or(self.recipient_id.as_deref().unwrap_or_default(), "not known").to_owned(),
            v1::Grouping::Family => or(self.family.as_deref().unwrap_or_default(), "not known").to_owned(),
            v1::Grouping::Rejection => or(self.rejection.as_deref().unwrap_or_default(), "none").to_owned(),
            v1::Grouping::Label => self.labels.keys().next().map(|key| self.label(key)).unwrap_or_default(),
        }
    }

    /// One of its labels as text.
    pub(crate) fn label(&self, key: &str) -> String {
        or(self.labels.get(key).map_or("", String::as_str), NOT_LABELLED).to_owned()
    }
}

impl Key {
    /// What stands behind a time for which alerts may still come.
    fn provisional(&self) -> &'static str {
        if self.is_provisional { NOT_FINAL } else { "" }
    }
}

fn day(start_ms: i64) -> String {
    time(start_ms).chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Counts {
        let balance = |suppressed, rejected| {
            let received = 1_000 + suppressed + rejected;
            Some(v1::Balance { received, forwarded: 1_000, suppressed, rejected, duplicate: 0 })
        };
        let row = |code, rule: &str, suppressed, rejected| v1::CountRow {
            code,
            rule: Some(rule.to_owned()),
            start_ms: Some(1_795_392_000_000),
            balance: balance(suppressed, rejected),
            represented: 5_000,
            ..v1::CountRow::default()
        };
        let total = v1::CountRow { balance: balance(7_000_000, 3), represented: 10_000, ..v1::CountRow::default() };
        v1::QueryCountsResponse {
            rows: vec![row(Some(0x8F40), "high-volts", 7_000_000, 0), row(None, "", 0, 3)],
            total: Some(total),
            position: 12,
            ..v1::QueryCountsResponse::default()
        }
        .into()
    }

    #[test]
    fn counts_are_a_row_a_group_and_a_total() {
        let keys = [v1::Grouping::Code, v1::Grouping::Rule, v1::Grouping::Day];
        let text = table(&counts(), &keys, &[], &Names::builtin()).to_string();
        let row =
            |line: usize| text.lines().nth(line).unwrap().split("   ").map(str::trim).filter(|cell| !cell.is_empty());
        let cells =
            |line| row(line).map(|cell| cell.trim_matches(['|', ' ']).to_owned()).collect::<Vec<_>>().join(" | ");
        assert_eq!(
            cells(1),
            "code | rule | day | received | forwarded | suppressed | rejected | duplicate | represented"
        );
        let suppressed = "7,001,000 | 1,000 | 7,000,000 | 0 | 0 | 5,000";
        assert_eq!(cells(3), format!("8F40 voltage alert (SMETS1) | high-volts | 2026-11-23 | {suppressed}"));
        assert_eq!(cells(4), "unknown | none | 2026-11-23 | 1,003 | 1,000 | 0 | 3 | 0 | 5,000");
        assert_eq!(cells(5), "total | 7,001,003 | 1,000 | 7,000,000 | 3 | 0 | 10,000");
        let text = table(&counts(), &[], &[], &Names::builtin()).to_string();
        assert_eq!(text.lines().count(), 5, "{text}");
    }

    #[test]
    fn labels_have_columns_of_their_keys() {
        let row = |labels: &[(&str, &str)]| v1::CountRow {
            labels: labels
                .iter()
                .map(|(key, value)| v1::Label { key: (*key).to_owned(), value: (*value).to_owned() })
                .collect(),
            ..v1::CountRow::default()
        };
        let rows = vec![row(&[("feeder", "F1"), ("substation", "")])];
        let counts = Counts::from(v1::QueryCountsResponse { rows, ..v1::QueryCountsResponse::default() });
        let labels = ["feeder", "substation"].map(str::to_owned);
        let text = table(&counts, &[v1::Grouping::Label; 2], &labels, &Names::builtin()).to_string();
        assert!(text.contains("| feeder   substation "), "{text}");
        assert!(text.contains("| F1       (not labelled) "), "{text}");
        assert_eq!(
            serde_json::to_value(&counts).unwrap()["rows"][0]["labels"],
            serde_json::json!({ "feeder": "F1", "substation": "" })
        );
    }

    #[test]
    fn json_has_the_keys_that_were_grouped_by() {
        let json = serde_json::to_value(counts()).unwrap();
        assert_eq!(json["rows"][0]["code"], "8F40");
        assert_eq!(json["rows"][0]["balance"]["suppressed"], 7_000_000);
        assert!(json["rows"][1].get("code").is_none() && json["total"].get("rule").is_none());
        assert_eq!(json["position"], 12);
    }
}
