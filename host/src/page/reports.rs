//! The regular report, and whether a migration may go on.
//!
//! It must not count. Invariant: the report is the one that `weir report alerts --format html` prints.

use maud::{Markup, html};

use super::{address::Address, facts, report, text};
use crate::cli::{
    table::thousands,
    view::{count::NOT_FINAL, migration::Signal, report::Report, time},
};
use crate::migration::thousandths;

/// What is chosen, as the address has it.
fn field(here: &Address, (name, label, help): (&str, &str, &str), kind: &str) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            input id=(name) name=(name) type=(kind) value=(here.get(name)) maxlength="64" autocomplete="off";
            small { (help) }
        }
    }
}

fn select(here: &Address, name: &str, label: &str, choices: &[(&str, &str)]) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                @for (value, word) in choices { option value=(value) selected[here.get(name) == *value] { (word) } }
            }
        }
    }
}

/// Choosing what is reported, and whether a migration may go on.
pub(crate) fn head(here: &Address, labels: &[String], signal: Option<Markup>) -> Markup {
    html! { (form(here, labels)) @if let Some(signal) = signal { (signal) } }
}

/// `labels` are the keys that devices have which may be seen. Without any there is nothing to choose.
fn form(here: &Address, labels: &[String]) -> Markup {
    let keys = [("", "None")].into_iter().chain(labels.iter().map(|key| (key.as_str(), key.as_str())));
    html! {
        form.ask method="get" action="/reports" {
            div.fields {
                (select(here, "period", "Period", &[("", "Week"), ("day", "Day"), ("month", "Month")]))
                (field(here, ("ending", "Last day", "UTC; empty: yesterday"), "date"))
                (select(here, "generation", "Generation", &[("", "All"), ("smets1", "SMETS1"), ("smets2", "SMETS2"), ("unknown", "Not known")]))
                (field(here, ("operator", "Operator", "Distributor id like 12, or letters like LOND; empty: all"), "text"))
                @if !labels.is_empty() { (select(here, "label", "By label", &keys.collect::<Vec<_>>())) }
                (field(here, ("planned", "Devices planned", "For the migration signal: when the migration is done"), "text"))
                (field(here, ("capacity", "Capacity a day", "For the migration signal: forwarded alerts that can be handled"), "text"))
            }
            p { button.main type="submit" { "Show" } }
        }
    }
}

/// Go on, slow, pause or stop.
pub(crate) fn signal(signal: &Signal, planned: u64, capacity: u64) -> Markup {
    html! {
        h2 { "Migration signal" }
        p class=(format!("answer {}", signal.light)) { (signal.headline()) }
        @for reason in signal.reasons.iter().skip(1) { p { (text(reason)) } }
        (facts([
            ("Light", text(signal.light)),
            ("Measured", html! {
                (time(signal.since_ms)) " to " (time(signal.until_ms)) @if signal.is_provisional { (NOT_FINAL) }
            }),
            ("Migrated devices", html! { (thousands(signal.device_count)) }),
            ("Alerts taken", html! { (thousands(signal.taken)) }),
            ("Alerts forwarded", html! { (thousands(signal.forwarded)) }),
            ("Taken a device and day", text(&thousandths(signal.taken_per_1000_device_days))),
            ("Forwarded a device and day", text(&thousandths(signal.forwarded_per_1000_device_days))),
            ("Planned devices", html! { (thousands(planned)) }),
            ("Projected a day, without rules", html! { (thousands(signal.projected_raw_alerts_per_day)) }),
            ("Projected a day, forwarded", html! { (thousands(signal.projected_alerts_per_day)) }),
            ("Capacity a day", html! { (thousands(capacity)) }),
            ("Share of the capacity", html! { (thousands(signal.capacity_percent)) " %" }),
        ]))
    }
}

/// The report.
pub(crate) fn levels(shown: &Report) -> Markup {
    html! { h2 { (text(&shown.title())) } (report::body(shown)) }
}
