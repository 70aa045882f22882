//! The levels of alerts, before and after suppression.
//!
//! It must not count. Invariant: each picture has the table of its numbers under it.

use maud::{Markup, html};
use weir_proto::v1::Grouping;

use super::{
    Cell,
    address::Address,
    chart::{self, BARS_MAX, Bar, Column},
    choices, facts, percent, table, text, tiles,
};
use crate::{
    cli::{
        arguments::Names,
        table::thousands,
        view::{
            alert::Balance,
            count::{Counts, Row},
        },
    },
    domain::Millis,
};

const PARTS: [&str; 2] = ["forwarded", "suppressed"];

/// A stretch of time as a page shows it.
pub(crate) struct Times<'a> {
    /// The names of the lengths there are, and which one it is.
    pub(crate) lengths: &'a [(&'static str, &'static str)],
    pub(crate) length: &'static str,
    /// In words.
    pub(crate) said: String,
    /// It ends now, whenever that is.
    pub(crate) is_open: bool,
    /// The end of the one before, and of the one after, as an address has them.
    pub(crate) earlier: String,
    pub(crate) later: String,
    /// The end that it has now, as an address has it.
    pub(crate) fixed: String,
}

/// Choosing a stretch of time.
pub(crate) fn times(here: &Address, times: &Times<'_>) -> Markup {
    let lengths = times.lengths.iter();
    let lengths = lengths.map(|(name, word)| (*word, here.with("period", name), *name == times.length));
    html! {
        div.bar {
            (choices("Period", lengths))
            span { (times.said) }
            a href=(here.with("until", &times.earlier)) { "Earlier" }
            @if times.is_open { a href=(here.with("until", &times.fixed)) { "Link to this period as it is" } }
            @else {
                a href=(here.with("until", &times.later)) { "Later" }
                a href=(here.with("until", "")) { "Now" }
            }
        }
    }
}

/// Counts by what they are counted by.
pub(crate) struct Levels<'a> {
    pub(crate) here: &'a Address,
    pub(crate) names: &'a Names,
    /// What columns stand for: an hour or a day.
    pub(crate) step: &'static str,
    /// In order, with a name for each stretch of time in which nothing need have happened.
    pub(crate) steps: Vec<(Millis, String, String, Balance)>,
    pub(crate) by: [(Grouping, &'a Counts); 3],
    pub(crate) total: &'a Row,
    pub(crate) position: u64,
    /// The last day on which anything came, where nothing came in this period.
    pub(crate) last_day: Option<String>,
}

/// What stays: the period and what is chosen.
pub(crate) fn head(here: &Address, shown: &Times<'_>, names: &Names) -> Markup {
    let generation = here.get("generation");
    let kinds = [("", "All meters"), ("smets1", "SMETS1"), ("smets2", "SMETS2")];
    let kinds = kinds.map(|(kind, word)| (word, here.with("generation", kind), kind == generation));
    let operator =
        here.get("operator").parse().map_or_else(|_| here.get("operator").to_owned(), |id| names.operator(id));
    let chosen = [("code", "Code", names.code(here.get("code"))), ("operator", "Operator", operator)];
    html! {
        (times(here, shown))
        div.bar {
            (choices("Generation", kinds))
            @for (key, name, value) in chosen {
                @if !here.get(key).is_empty() {
                    span.chip { (name) " " (text(&value)) " " a href=(here.with(key, "")) { "Show all" } }
                }
            }
        }
    }
}

/// What is live.
pub(crate) fn body(levels: &Levels<'_>) -> Markup {
    let Levels { here: _, names: _, step, steps, by, total, position, last_day } = levels;
    let Balance { received, forwarded, suppressed, rejected, duplicate } = total.balance;
    let columns: Vec<Column> = steps.iter().map(|(_, label, name, balance)| column(label, name, balance)).collect();
    let filled = steps.iter().filter(|(.., balance)| balance.received > 0);
    html! {
        (tiles(&[
            ("Received", received, String::new()),
            ("Forwarded", forwarded, percent(forwarded, received)),
            ("Suppressed", suppressed, percent(suppressed, received)),
            ("Copies", duplicate, "seen before".to_owned()),
            ("Rejected", rejected, "could not be taken".to_owned()),
        ]))
        @if received == 0 { (empty(levels.here, last_day.as_deref())) }
        @else {
            (chart::columns("steps", &format!("Alerts by {step} of receipt"), PARTS, &columns))
            details {
                summary { "The same as a table" }
                (table(&format!("By {step}, those in which any came"), &[step, "received", "forwarded", "suppressed", "suppressed share"],
                    filled.map(|(_, _, name, balance)| with_share(Cell::text(name), balance))))
            }
            @for (key, counts) in by { (section(levels, *key, counts)) }
            (facts([("As of log position", html! { (thousands(*position)) })]))
        }
    }
}

fn empty(here: &Address, last_day: Option<&str>) -> Markup {
    html! {
        div.empty {
            @match last_day {
                Some(day) => {
                    p { "No alert was received in this period." }
                    p { a href=(here.with("period", "day").with("until", day)) { "Show the last day on which any was" } }
                }
                None => {
                    p { "No alert has been received yet, or none that may be shown here." }
                    p { "Send some: " code { "weir alert send alerts.csv" } }
                }
            }
        }
    }
}

fn column(label: &str, name: &str, balance: &Balance) -> Column {
    Column { label: label.to_owned(), name: name.to_owned(), first: balance.forwarded, second: balance.suppressed }
}

fn with_share(first: Cell, balance: &Balance) -> Vec<Cell> {
    let Balance { received, forwarded, suppressed, .. } = *balance;
    let share = crate::cli::table::Value::Quantity(percent(suppressed, forwarded + suppressed));
    vec![first, Cell::number(received), Cell::number(forwarded), Cell::number(suppressed), share.into()]
}

/// Counts by one key, those that have most first.
fn section(levels: &Levels<'_>, key: Grouping, counts: &Counts) -> Markup {
    let (id, title, heading, parts) = match key {
        Grouping::Code => ("codes", "By code", "code", PARTS),
        Grouping::Operator => ("operators", "By operator", "operator", PARTS),
        _ => ("rules", "By rule", "rule", ["overruled: protected code", "suppressed"]),
    };
    let mut rows: Vec<&Row> = counts.rows.iter().collect();
    if key == Grouping::Rule {
        rows.retain(|row| row.key.rule.as_ref().is_some_and(|name| !name.is_empty()));
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.balance.forwarded + row.balance.suppressed));
    let label = |row: &Row| row.key.text(key, levels.names);
    let taken = rows.iter().filter(|row| row.balance.forwarded + row.balance.suppressed > 0);
    let bars: Vec<Bar> = taken.take(BARS_MAX).map(|row| bar(label(row), row, address(levels.here, key, row))).collect();
    html! {
        h2 { (title) }
        @if rows.is_empty() { p { "None." } }
        @else {
            (chart::bars(id, &format!("Alerts {}", title.to_lowercase()), parts, &bars))
            (table(title, &[heading, "received", "forwarded", "suppressed", "suppressed share"], rows.iter().map(|row| {
                let first = match address(levels.here, key, row) {
                    Some(address) => Cell::Link(label(row), address),
                    None => Cell::text(label(row)),
                };
                with_share(first, &row.balance)
            })))
        }
    }
}

fn bar(label: String, row: &Row, address: Option<Address>) -> Bar {
    Bar { label, first: row.balance.forwarded, second: row.balance.suppressed, address }
}

/// Where a row leads: to the same page for it alone, or to the rule.
fn address(here: &Address, key: Grouping, row: &Row) -> Option<Address> {
    match key {
        Grouping::Code => row.key.code.as_ref().map(|code| here.with("code", code)),
        Grouping::Operator => row.key.operator.map(|id| here.with("operator", &id.to_string())),
        _ => row.key.rule.as_ref().map(|name| Address::below("/rules", name)),
    }
}
