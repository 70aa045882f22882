//! The levels of alerts, as a page.
//!
//! It must not count. Invariant: under each picture stands the table of its numbers.

use maud::{Markup, html};

use super::{
    chart::{self, BARS_MAX, Bar},
    document, table,
};
use crate::cli::view::report::{Change, Line, Report};

/// The page.
pub(crate) fn page(report: &Report) -> String {
    let title = report.title();
    document(&title, &html! { h1 { (title) } (body(report)) })
}

/// What stands under its title.
pub(crate) fn body(report: &Report) -> Markup {
    html! {
        @for sentence in report.summary() { p { (sentence) } }
        p.note { "Raw is what was taken before any rule: forwarded and suppressed alerts, each once. Days are those of UTC." }
        @for (name, title, lines) in report.all() { (section(name, title, lines)) }
        h2 { "Changes to rules" }
        @if report.changes.is_empty() { p { "None in this period." } }
        @else { (table("A row a change, and what its revision did in the period", &Change::HEADINGS, report.changes.iter().map(Change::values))) }
        @if report.changes_left_out > 0 { p.note { (report.changes_left_out) " later changes are left out." } }
        p.note { "As of log position " (report.position) "." }
    }
}

fn section(name: &str, title: &str, lines: &[Line]) -> Markup {
    let bars: Vec<Bar> = lines.iter().take(BARS_MAX).map(bar).collect();
    html! {
        h2 { (title) }
        @if lines.is_empty() { p { "None." } }
        @else {
            @if name != "total" { (chart::bars(name, title, ["forwarded", "suppressed"], &bars)) }
            (table(title, &Report::HEADINGS, lines.iter().map(Line::values)))
            @if lines.len() > BARS_MAX { p.note { "The picture has the first " (BARS_MAX) " of these rows." } }
        }
    }
}

fn bar(line: &Line) -> Bar {
    Bar { label: line.label.clone(), first: line.forwarded, second: line.suppressed, address: None }
}
