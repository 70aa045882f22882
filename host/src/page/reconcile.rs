//! A comparison of two parties' counts, as a page.
//!
//! It must not compare. Invariant: the sums stand before the rows, and say how many rows are not shown.

use maud::html;

use super::{document, table};
use crate::cli::{
    arguments::Names,
    table::{Value, thousands},
    view::reconcile::{Report, Row, Scope},
};

/// Rows of a page: beyond that nobody reads on, and a browser slows down.
const ROWS_MAX: usize = 2_000;

/// The page.
pub(crate) fn page(report: &Report, names: &Names) -> String {
    let Scope { days, first_day, last_day, codes, operators, rejected_count, position, .. } = &report.scope;
    let shown = report.worst(ROWS_MAX);
    let title = format!("Counts compared, {first_day} to {last_day}");
    let codes: Vec<String> = codes.iter().map(|code| names.code(code)).collect();
    let operators: Vec<String> = operators.iter().map(|operator| names.operator(*operator)).collect();
    let meanings = report
        .differences
        .iter()
        .map(|difference| vec![Value::Text(difference.causes.join(" + ")), Value::text(&difference.meaning)]);
    let rows = shown.iter().map(|row| {
        let mut values = row.values();
        values[1] = Value::Text(names.code(&row.code));
        values
    });
    let body = html! {
        h1 { (title) }
        p { "Theirs is what their file says. Ours are the alerts that were taken, each once, by the day of receipt: "
            "forwarded and suppressed ones. Days are " (days) " days." }
        p.answer { (report.fit_in_words()) }
        @if let Some(said) = report.finality() { p.note { (said) "." } }
        p { "Codes: " (codes.join(", ")) ". Operators: "
            @if operators.is_empty() { "none that their file names a device of" } @else { (operators.join(", ")) } "." }
        h2 { "Sums" }
        (table("Theirs = agreed + what they have more; ours = agreed + what we have more", &Report::SUM_HEADINGS, report.sums()))
        @if !report.differences.is_empty() {
            (table("What the causes mean", &["cause", "meaning"], meanings))
        }
        @if *rejected_count > 0 {
            p.note { (thousands(*rejected_count)) " alerts of these codes and days could not be taken. They are of no device, "
                "and in neither sum." }
        }
        h2 { "Rows that differ, the greatest differences first" }
        @if shown.is_empty() { p { "None." } }
        @else { (table("A row a device, code and day", &Row::HEADINGS, rows)) }
        @if shown.len() < report.rows.len() {
            p.note { (thousands((report.rows.len() - shown.len()) as u64)) " more rows are not shown; the sums count them." }
        }
        p.note { "As of log position " (position) "." }
    };
    document(&title, &body)
}
