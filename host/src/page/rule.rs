//! One rule: what it is and was, what it did, and of a shadow what it would have done.
//!
//! It must not ask. Invariant: the newest change stands first.

use maud::{Markup, html};
use weir_proto::v1::Grouping;

use super::{
    Cell,
    address::Address,
    chart::{self, Bar, Column},
    facts, minute, percent, rules, table, text,
};
use crate::cli::{
    arguments::Names,
    table::thousands,
    view::{
        alert::LoggedAlert,
        rule::{Guard, Rule, RuleRevision, plugin, sees},
        time,
        trial::{self, Comparison, Row, Sample},
    },
};

/// Everything about one rule.
pub(crate) struct Shown<'a> {
    /// Absent where it was removed.
    pub(crate) rule: Option<&'a Rule>,
    /// Days, what it suppressed, and what it was overruled on.
    pub(crate) days: Vec<(String, u64, u64)>,
    /// Of a shadow.
    pub(crate) comparison: Option<&'a Comparison>,
    pub(crate) history: &'a [RuleRevision],
    /// Pairs of which it holds back one code alone, in words.
    pub(crate) half_pairs: Vec<String>,
    /// Address of older changes.
    pub(crate) older: Option<Address>,
    pub(crate) names: &'a Names,
    pub(crate) may_ask: bool,
}

/// What it is, and of a shadow what it would have changed.
pub(crate) fn body(shown: &Shown<'_>) -> Markup {
    html! {
        @match shown.rule {
            Some(rule) => (now(rule, shown.may_ask)),
            None => p { span.word.quiet { "removed" } " It judges no more. Its history stays." },
        }
        @for pair in &shown.half_pairs { p.note { (text(pair)) } }
        @if let Some(comparison) = shown.comparison { (against(comparison, shown.names)) }
    }
}

/// What it did in a period, and was.
pub(crate) fn past(shown: &Shown<'_>, times: &Markup) -> Markup {
    let columns: Vec<Column> = shown.days.iter().map(column).collect();
    let any = shown.days.iter().any(|(_, suppressed, overruled)| suppressed + overruled > 0);
    html! {
        h2 { "What it did" }
        (times)
        @if any {
            (chart::columns("days", "Alerts by day of receipt", ["overruled: protected code", "suppressed"], &columns))
            (table("By day, those on which it did anything", &["day", "suppressed", "overruled"],
                shown.days.iter().filter(|(_, suppressed, overruled)| suppressed + overruled > 0).map(|(day, suppressed, overruled)| {
                    vec![Cell::text(day), Cell::number(*suppressed), Cell::number(*overruled)]
                })))
        } @else { p { "It suppressed nothing in this period." } }
        h2 { "History" }
        (table("Changes, the newest first", &["revision", "made", "by", "mode", "parameters", "why", "place", "plugin", "sees", "from log position"],
            shown.history.iter().map(change)))
        @if let Some(older) = &shown.older { p { a href=(older) { "Older changes" } } }
    }
}

fn column((day, suppressed, overruled): &(String, u64, u64)) -> Column {
    let label = day.get(5..).unwrap_or_default().to_owned();
    Column { label, name: day.clone(), first: *overruled, second: *suppressed }
}

fn now(rule: &Rule, may_ask: bool) -> Markup {
    let (class, word) = rules::mode(rule.mode);
    html! {
        (facts([
            ("Mode", html! { span.word.(class) { (word) } }),
            ("Parameters", html! { code { (text(&rule.parameters)) } }),
            ("Plugin", html! { (text(&rule.plugin_name)) " " code { (text(&rule.plugin_digest)) } }),
            ("Sees", text(&sees(&rule.scope))),
            ("Ends", text(&rule.until_ms.map_or("never".to_owned(), time))),
            ("Place", html! { (rule.position) }),
            ("Revision", html! { (rule.revision) ", from log position " (thousands(rule.since_position)) }),
            ("Faults", html! {
                (thousands(rule.fault_count))
                @if !rule.last_fault.is_empty() { "; the last one: " (text(&rule.last_fault)) }
            }),
            ("Passed over", html! { (thousands(rule.passed_over_count)) " alerts since the host started" }),
            ("Guard", text(&rule.guard.as_ref().map_or("none".to_owned(), Guard::words))),
        ]))
        @if may_ask {
            p { a href=(Address::new("/what-ifs").with("rule", &rule.name)) { "Ask what other parameters would have done" } }
        }
    }
}

/// A shadow against what happened.
fn against(comparison: &Comparison, names: &Names) -> Markup {
    let Comparison { total, rows, samples, .. } = comparison;
    let shown = shown_of(total);
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.would_suppress + row.would_forward));
    let label = |row: &Row| row.key.text(Grouping::Code, names);
    let bars: Vec<Bar> = rows
        .iter()
        .map(|row| Bar { label: label(row), first: row.would_forward, second: row.would_suppress, address: None })
        .collect();
    html! {
        h2 { "As a shadow: what it would have changed" }
        p.answer {
            "It was shown " (thousands(shown)) " alerts and would have suppressed " (thousands(total.would_suppress))
            " (" (percent(total.would_suppress, shown)) ") that were forwarded."
        }
        @for note in trial::notes(comparison) { p.note { (note) "." } }
        @if !rows.is_empty() {
            (chart::bars("shadow", "By code", ["would forward", "would suppress"], &bars))
            (table("What it said against what happened, by code", &[
                "code", "shown", "would suppress", "would forward", "both forward", "both suppress", "overruled: protected",
            ], rows.iter().map(|row| agreement(Cell::text(label(row)), row))))
        }
        @if !samples.is_empty() {
            (table("Some of the alerts on which it differs", &[&["device", "would be"], &LoggedAlert::HEADINGS[..4], &LoggedAlert::HEADINGS[5..]].concat(),
                samples.iter().filter_map(|sample| sampled(sample, names))))
        }
    }
}

fn shown_of(row: &Row) -> u64 {
    row.both_forward + row.both_suppress + row.would_suppress + row.would_forward + row.overruled
}

fn agreement(first: Cell, row: &Row) -> Vec<Cell> {
    let numbers =
        [shown_of(row), row.would_suppress, row.would_forward, row.both_forward, row.both_suppress, row.overruled];
    std::iter::once(first).chain(numbers.map(Cell::number)).collect()
}

fn sampled(Sample { alert, would_suppress, reason }: &Sample, names: &Names) -> Option<Vec<Cell>> {
    let alert = alert.as_ref()?;
    let would = if *would_suppress { format!("suppressed: {reason}") } else { "forwarded".to_owned() };
    let device = super::device::link(alert.alert.as_ref().and_then(|alert| alert.device_id.as_deref()));
    let values = alert.values(names).into_iter().enumerate().filter(|(at, _)| LoggedAlert::HEADINGS[*at] != "device");
    Some([device, Cell::text(would)].into_iter().chain(values.map(|(_, value)| value.into())).collect())
}

fn change(revision: &RuleRevision) -> Vec<Cell> {
    let RuleRevision { revision, since_position, made_at_ms, who, why, rule } = revision;
    let (class, word) = rules::mode(rule.as_ref().map_or("removed", |rule| rule.mode));
    let of = |text: &dyn Fn(&Rule) -> String| Cell::text(rule.as_ref().map(text).unwrap_or_default());
    vec![
        Cell::number(*revision),
        Cell::text(minute(*made_at_ms)),
        Cell::text(if who.is_empty() { "not known" } else { who }),
        Cell::Word(class, word),
        of(&|rule| rule.parameters.clone()),
        Cell::text(why),
        of(&|rule| rule.position.to_string()),
        of(&plugin),
        of(&|rule| sees(&rule.scope)),
        Cell::number(*since_position),
    ]
}
