//! One device: what it is, and what became of its alerts and why.
//!
//! It must not ask. Invariant: the newest alert stands first.

use maud::{Markup, html};

use super::{
    Cell,
    address::Address,
    chart::{self, Column},
    choices, facts, percent, table, text, tiles,
};
use crate::cli::{
    arguments::Names,
    table::{Value, count_of},
    view::{
        alert::{Balance, LoggedAlert, measured, occurred, why},
        device::{DeviceView, state_text},
        time,
    },
};

/// Its address, where there is a device.
pub(crate) fn link(eui: Option<&str>) -> Cell {
    match eui {
        Some(eui) => Cell::Link(eui.to_owned(), Address::below("/devices", eui)),
        None => Cell::text("unknown"),
    }
}

/// Some of its alerts, and where among all of them.
pub(crate) struct Part<'a> {
    /// Newest first.
    pub(crate) alerts: Vec<&'a LoggedAlert>,
    /// How many there are in the period, with what was chosen.
    pub(crate) count: usize,
    /// Of this page, from 1, and of all.
    pub(crate) page: usize,
    pub(crate) pages: usize,
    /// There are more in the period than were looked at.
    pub(crate) is_cut: bool,
}

/// A device, without its alerts, and the period.
pub(crate) fn head(view: &DeviceView, names: &Names, times: &Markup) -> Markup {
    let device = &view.device;
    let Balance { received, forwarded, suppressed, duplicate, .. } = view.balance;
    let ever = if view.counted_since_ms.is_some() { "Alerts since it is yours" } else { "Alerts ever" };
    let or_not = |known: &str| if known.is_empty() { text("not known") } else { text(known) };
    let hub = device.hub_id.as_deref();
    let placed = [
        ("Secondary MPAN", device.secondary_mpan.as_deref().map(text)),
        ("Export MPAN", device.export_mpan.as_deref().map(text)),
        ("Type", device.r#type.map(text)),
        ("Hub", hub.map(|hub| html! { a href=(Address::below("/devices", hub)) { (text(hub)) } })),
    ];
    let placed = placed.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let known = [
        ("Model", or_not(&device.model)),
        ("Generation", text(device.generation)),
        ("Operator", text(&names.operator(device.operator))),
        ("Inventory", text(if view.in_inventory { "listed" } else { "not listed: known from its alerts alone" })),
    ];
    html! {
        (facts([("MPxN", or_not(&device.mpxn))].into_iter().chain(placed).chain(known)))
        @if !device.labels.is_empty() {
            h2 { "Its labels" }
            (facts(device.labels.iter().map(|(key, value)| (text(key), text(value)))))
        }
        (tiles(&[
            (ever, received, String::new()),
            ("Forwarded", forwarded, percent(forwarded, received)),
            ("Suppressed", suppressed, percent(suppressed, received)),
            ("Copies", duplicate, "seen before".to_owned()),
        ]))
        @if !view.states.is_empty() {
            details {
                summary { "What rules remember of it (" (view.states.len()) ")" }
                ul { @for state in &view.states { li.code { (text(&state_text(state))) } } }
            }
        }
        (times)
    }
}

/// Its alerts in a period. `steps` have a name, a shorter one, and what was forwarded and suppressed.
pub(crate) fn body(
    here: &Address,
    steps: &[(String, String, u64, u64)],
    by: &str,
    part: &Part<'_>,
    names: &Names,
) -> Markup {
    let outcomes = [("", "All"), ("forwarded", "Forwarded"), ("suppressed", "Suppressed"), ("duplicate", "Copies")];
    let chosen = here.get("outcome");
    let outcomes = outcomes.map(|(name, word)| (word, here.with("outcome", name).with("page", ""), name == chosen));
    let columns: Vec<Column> = steps
        .iter()
        .map(|(name, label, first, second)| Column {
            label: label.clone(),
            name: name.clone(),
            first: *first,
            second: *second,
        })
        .collect();
    let filled = columns.iter().filter(|column| column.first + column.second > 0);
    html! {
        h2 { "Its alerts" }
        @if part.is_cut {
            p.note { "There are more in this period than are looked at: these are the oldest. Choose a shorter one." }
        }
        @if columns.iter().any(|column| column.first + column.second > 0) {
            (chart::columns("alerts", &format!("Alerts by {by} of receipt"), ["forwarded", "suppressed"], &columns))
            details {
                summary { "The same as a table" }
                (table(&format!("By {by}, those in which any came"), &[by, "forwarded", "suppressed"], filled.map(|column| {
                    vec![Cell::text(&column.name), Cell::number(column.first), Cell::number(column.second)]
                })))
            }
        }
        div.bar { (choices("Outcome", outcomes)) }
        @if part.alerts.is_empty() {
            div.empty { p { "None in this period. Choose another one above." } }
        } @else {
            (table(&format!("{}, the newest first", count_of(part.count as u64, "alert", "alerts")), &[
                "received", "occurred", "code", "measured", "outcome", "why", "parameters then", "model then", "operator then", "position",
            ], part.alerts.iter().map(|alert| row(alert, names))))
            (pages(here, part))
        }
    }
}

fn row(logged: &LoggedAlert, names: &Names) -> Vec<Cell> {
    let alert = logged.alert.as_ref();
    let outcome = match logged.outcome {
        "forwarded" => Cell::Word("good", "forwarded"),
        "suppressed" => Cell::Word("warn", "suppressed"),
        "duplicate" => Cell::Word("quiet", "copy"),
        other => Cell::Word("bad", other),
    };
    let why = match &logged.rule {
        Some(rule) => Cell::Link(why(logged), Address::below("/rules", &rule.name)),
        None => Cell::text(why(logged)),
    };
    vec![
        Cell::text(alert.map_or_else(String::new, |alert| time(alert.received_at_ms))),
        Cell::text(alert.map_or_else(String::new, occurred)),
        Cell::text(alert.map_or_else(String::new, |alert| names.code_at(logged.position, &alert.code))),
        Value::Quantity(alert.map_or_else(String::new, |alert| measured(alert, names.codes_at(logged.position))))
            .into(),
        outcome,
        why,
        Cell::text(logged.rule.as_ref().map_or("", |rule| &rule.parameters)),
        Cell::text(&logged.model),
        Cell::text(names.operator(logged.operator)),
        Cell::number(logged.position),
    ]
}

fn pages(here: &Address, part: &Part<'_>) -> Markup {
    let to = |page: usize| here.with("page", &page.to_string());
    html! {
        nav.pages aria-label="Pages of alerts" {
            @if part.page > 1 { a href=(to(part.page - 1)) rel="prev" { "Newer" } }
            span { "Page " (part.page) " of " (part.pages) }
            @if part.page < part.pages { a href=(to(part.page + 1)) rel="next" { "Older" } }
        }
    }
}
