//! The levels of alerts, as a page.
//!
//! It must not count. Invariant: under each picture stands the table of its numbers.

use maud::{Markup, html};

use super::{
    chart::{self, BARS_MAX, Bar},
    document, table,
};
use crate::cli::view::report::{Change, Coverage, Line, Report};

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
        @if let Some(coverage) = &report.readings { (readings(coverage)) }
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

/// How many alerts of average voltage have a reading.
fn readings(coverage: &Coverage) -> Markup {
    let bars = coverage.codes.iter().map(|line| Bar {
        label: line.label.clone(),
        first: line.with_reading,
        second: line.alerts.saturating_sub(line.with_reading),
        address: None,
    });
    let (title, bars): (_, Vec<Bar>) = (Coverage::TITLE, bars.take(BARS_MAX).collect());
    html! {
        h2 { (title) }
        p { (coverage.summary()) }
        @if !bars.is_empty() {
            (chart::bars("readings", title, ["with a reading", "without"], &bars))
            (table(title, &Coverage::HEADINGS, coverage.codes.iter().map(|line| line.values())))
            @if coverage.codes.len() > BARS_MAX { p.note { "The picture has the first " (BARS_MAX) " of these rows." } }
        }
    }
}

fn bar(line: &Line) -> Bar {
    Bar { label: line.label.clone(), first: line.forwarded, second: line.suppressed, address: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::view::report::{coverage::tests::coverage, tests::report};

    #[test]
    fn how_many_alerts_have_a_reading_is_a_picture_with_its_table_or_nothing_at_all() {
        let with = body(&report(Some(coverage()))).into_string();
        assert!(
            with.contains("1,199 with a reading, 1 without") && with.contains("0 with a reading, 10 without"),
            "{with}"
        );
        assert!(with.contains("<caption>Alerts of average voltage that have a reading</caption>"), "{with}");
        let without = body(&report(None)).into_string();
        assert!(!without.contains("reading") && !without.contains("average"), "{without}");
        let nothing = Coverage { alerts: 0, with_reading: 0, codes: Vec::new() };
        let nothing = body(&report(Some(nothing))).into_string();
        assert!(nothing.contains("No alert of average voltage was taken.") && !nothing.contains("<svg"), "{nothing}");
    }
}
