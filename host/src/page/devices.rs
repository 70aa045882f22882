//! Devices that raise most, and finding one.
//!
//! It must not count. Invariant: whatever was searched for is still in the field.

use maud::{Markup, html};

use super::{
    Cell,
    address::Address,
    chart::{self, BARS_MAX, Bar},
    device::link,
    table,
};
use crate::cli::table::{Value, thousands};

/// What a device raised.
pub(crate) struct Loud {
    pub(crate) eui: String,
    /// Model, generation and operator, as far as they are known.
    pub(crate) said: String,
    pub(crate) forwarded: u64,
    pub(crate) suppressed: u64,
    pub(crate) duplicate: u64,
}

/// Finding one.
fn search(wanted: &str, came_to: Option<&str>) -> Markup {
    html! {
        form.ask method="get" action="/devices" role="search" {
            div.field {
                label for="find" { "Find a device" }
                div.beside {
                    input #find name="find" value=(wanted) maxlength="64" autocomplete="off" spellcheck="false" aria-describedby="find-help";
                    button.main type="submit" { "Find" }
                }
                small #find-help { "Its EUI-64 like 00-DB-12-34-56-78-90-A0, or its MPAN or MPRN" }
            }
            @if let Some(message) = came_to { p role="alert" { (message) } }
        }
    }
}

/// Finding one, and the period.
pub(crate) fn head(wanted: &str, came_to: Option<&str>, times: Markup) -> Markup {
    html! { (search(wanted, came_to)) (times) }
}

/// Those that raise most.
pub(crate) fn body(loud: &[Loud], alerting: u64) -> Markup {
    let bars: Vec<Bar> = loud
        .iter()
        .take(BARS_MAX.min(20))
        .map(|device| Bar {
            label: device.eui.clone(),
            first: device.forwarded,
            second: device.suppressed,
            address: Some(Address::below("/devices", &device.eui)),
        })
        .collect();
    html! {
        h2 { "Devices that raise most" }
        @if loud.is_empty() {
            div.empty { p { "No device raised an alert in this period. Choose another one above." } }
        } @else {
            p { (thousands(alerting)) " devices raised an alert in this period. The " (loud.len()) " that raised most:" }
            (chart::bars("loud", "Alerts by device", ["forwarded", "suppressed"], &bars))
            (table("Devices that raised most", &["device", "forwarded", "suppressed", "copies", "what it is"], loud.iter().map(|device| vec![
                link(Some(&device.eui)),
                Cell::number(device.forwarded),
                Cell::number(device.suppressed),
                Cell::number(device.duplicate),
                Value::text(&device.said).into(),
            ])))
        }
    }
}
