//! What people and programs are shown: tables, JSON, a progress bar.
//!
//! It must not know how figures came about. Invariant: results go to standard output, everything else to standard
//! error, so that a result can be piped on.

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{
    books::{Books, Counts, code_text, rule_text},
    generator::code_name,
    sending::Sent,
};

/// Columns at the left of a table that hold text; the rest are figures.
const TEXT_COLUMNS_OF_CODES: usize = 2;
const TEXT_COLUMNS_OF_RULES: usize = 1;

/// Says one plain line of what is being done.
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// A bar for so many things of one name; without a terminal it stays silent.
pub fn progress(total: u64, things: &str) -> ProgressBar {
    let template = format!("  {{wide_bar}} {{human_pos}} of {{human_len}} {things}  {{per_sec}}  {{eta}} left");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style)
}

/// A table without colours, its first `text_columns` columns left aligned, the rest right aligned.
pub fn table(header: &[&str], text_columns: usize, rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header.iter().copied()).add_rows(rows);
    for column in table.column_iter_mut().skip(text_columns) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The books by code, each figure beside what was expected.
pub fn code_table(actual: &Books, expected: &Books) -> Table {
    let keys = actual.by_code.keys().chain(expected.by_code.keys()).collect::<std::collections::BTreeSet<_>>();
    let rows = keys.into_iter().map(|code| {
        let name = code.map_or("no 16-bit code", code_name);
        let of = |books: &Books| books.by_code.get(code).copied().unwrap_or_default();
        [vec![code_text(code), name.to_owned()], figures(&of(actual), &of(expected))].concat()
    });
    let total = [vec!["all".to_owned(), String::new()], figures(&actual.total(), &expected.total())].concat();
    table(&header(&["code", "name"]), TEXT_COLUMNS_OF_CODES, rows.chain([total]).collect::<Vec<_>>())
}

/// The books by rule, each figure beside what was expected.
pub fn rule_table(actual: &Books, expected: &Books) -> Table {
    let keys = actual.by_rule.keys().chain(expected.by_rule.keys()).collect::<std::collections::BTreeSet<_>>();
    let rows = keys.into_iter().map(|rule| {
        let of = |books: &Books| books.by_rule.get(rule).copied().unwrap_or_default();
        [vec![rule_text(rule)], figures(&of(actual), &of(expected))].concat()
    });
    table(&header(&["rule"]), TEXT_COLUMNS_OF_RULES, rows.collect::<Vec<_>>())
}

/// The books and the expectation as JSON.
pub fn books_json(actual: &Books, expected: &Books) -> Value {
    let counts =
        |counts: &Counts| Value::Object(counts.fields().map(|(n, c)| (n.to_owned(), c.into())).into_iter().collect());
    let side = |books: &Books| {
        let codes = books.by_code.iter().map(|(code, row)| {
            let name = code.map_or("", code_name);
            json!({ "code": code.map(|code| format!("{code:04X}")), "name": name, "counts": counts(row) })
        });
        let rules = books.by_rule.iter().map(|(rule, row)| json!({ "rule": rule, "counts": counts(row) }));
        json!({
            "by_code": codes.collect::<Vec<_>>(),
            "by_rule": rules.collect::<Vec<_>>(),
            "total": counts(&books.total()),
        })
    };
    json!({
        "host": side(actual),
        "expected": side(expected),
        "balance": actual.balance(),
        "differences": actual.differences(expected),
    })
}

/// Rate and latencies as JSON.
pub fn sent_json(sent: &Sent) -> Value {
    json!({
        "alerts": sent.alerts,
        "elapsed_ms": sent.elapsed.as_millis() as u64,
        "alerts_per_s": sent.alerts_per_s().round(),
        "ack_ms_p50": sent.latency_ms(0.5),
        "ack_ms_p99": sent.latency_ms(0.99),
        "ack_ms_p999": sent.latency_ms(0.999),
    })
}

/// A number with its thousands apart.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn header<'a>(keys: &[&'a str]) -> Vec<&'a str> {
    let figures =
        ["received", "forwarded", "expected", "suppressed", "expected", "rejected", "duplicate", "overruled", "equal"];
    [keys, &figures].concat()
}

fn figures(actual: &Counts, expected: &Counts) -> Vec<String> {
    let numbers = [
        actual.received,
        actual.forwarded,
        expected.forwarded,
        actual.suppressed,
        expected.suppressed,
        actual.rejected,
        actual.duplicate,
        actual.overruled,
    ];
    let equal = if actual == expected { "yes" } else { "NO" };
    numbers.into_iter().map(thousands).chain([equal.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (7_000_000, "7,000,000"), (12_345, "12,345")];
        for (number, text) in cases {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn a_difference_shows_in_the_table_and_in_json() {
        let counts = |forwarded| Counts { received: 2, forwarded, suppressed: 1, ..Counts::default() };
        let books = |forwarded| Books {
            by_code: [(Some(0x8F40), counts(forwarded))].into(),
            by_rule: [("storm".to_owned(), counts(forwarded))].into(),
        };
        let (good, bad) = (books(1), books(0));
        assert!(!code_table(&good, &good).to_string().contains("NO"));
        let shown = code_table(&bad, &good).to_string();
        assert!(shown.contains("voltage (SMETS1)") && shown.contains("NO"), "{shown}");
        assert!(rule_table(&bad, &good).to_string().contains("NO"));
        let json = books_json(&bad, &good);
        assert_eq!((json["balance"].as_bool(), json["differences"].as_array().map(Vec::len)), (Some(false), Some(2)));
    }
}
