//! What readings say of a question as the device: which alerts meters would have raised with other thresholds.
//!
//! It must not know how readings are compared. Invariant: where readings leave a number open, its least and its most are
//! shown.

use maud::{Markup, html};

use super::{
    super::{
        Cell,
        address::Address,
        chart::{self, Band, Bar, Curve, Point},
        device::link,
        facts,
        frame::refused,
        table,
    },
    Shown,
};
use crate::cli::{
    table::{Value, thousands},
    view::{
        or, volts,
        whatif::readings::{AtThreshold, Backtest, CountRange, Devices},
    },
};

/// What the line of the curve is, and the band below it.
const LINE: &str = "alerts at most";
const OPEN: &str = "open: readings can mean either";

/// What meters would have raised, and how good that is.
pub(super) fn answered(shown: &Shown<'_>, devices: &Devices) -> Markup {
    let wanted = shown.here.get("threshold");
    let is_wanted = |at: &&AtThreshold| at.threshold_dv.to_string() == wanted;
    let chosen = match &devices.thresholds[..] {
        [one] => Some(one),
        several => several.iter().find(is_wanted),
    };
    html! {
        (picture(shown, devices, chosen))
        (thresholds(shown, devices))
        p.note {
            "A meter alerts once, when its average crosses its threshold, so a higher threshold can mean more alerts than a lower \
             one. Only periods that were read are answered for; as it was has what meters with readings raised at any time."
        }
        @match chosen {
            Some(at) => (detail(shown, at)),
            None if !wanted.is_empty() => (refused(&format!("No threshold is {wanted:?}."), "Choose one above.")),
            None => p { strong { "Choose a threshold above to see whose alerts they would be." } },
        }
        h2 { "Whether readings explain what was raised" }
        (backtest(devices))
        h2 { "What was read" }
        (coverage(devices))
    }
}

fn picture(shown: &Shown<'_>, devices: &Devices, chosen: Option<&AtThreshold>) -> Markup {
    let title = format!("Alerts that meters would raise, by threshold of average {}-voltage", devices.limit);
    let mut by_threshold: Vec<&AtThreshold> = devices.thresholds.iter().collect();
    by_threshold.sort_by_key(|at| at.threshold_dv);
    by_threshold.dedup_by_key(|at| at.threshold_dv);
    if let [one] = by_threshold[..] {
        let CountRange { least, most } = one.alerts;
        let bar = |label: String, first, second| Bar { label, first, second, address: None };
        let bars = [
            bar("as it was".to_owned(), devices.recorded, 0),
            bar(volts(one.threshold_dv), least, most.saturating_sub(least)),
        ];
        return chart::bars("thresholds", &title, ["for sure", OPEN], &bars);
    }
    let point = |at: &&AtThreshold| Point {
        x: at.threshold_dv.into(),
        y: at.alerts.most,
        address: address(shown, at),
        chosen: chosen.is_some_and(|chosen| chosen.threshold_dv == at.threshold_dv),
    };
    let points: Vec<Point> = by_threshold.iter().map(point).collect();
    let depths = by_threshold.iter().map(|at| at.alerts.most.saturating_sub(at.alerts.least)).collect();
    chart::curve(&Curve {
        id: "thresholds",
        title: &title,
        axes: ["threshold in tenths of a volt", "alerts"],
        points: &points,
        level: ("as it was", devices.recorded),
        mark: None,
        line: LINE,
        bands: &[Band { name: OPEN, is_striped: false, depths }],
    })
}

/// Where it is shown whose alerts there would be at a threshold.
fn address(shown: &Shown<'_>, at: &AtThreshold) -> Address {
    shown.here.with("threshold", &at.threshold_dv.to_string()).at("detail")
}

fn thresholds(shown: &Shown<'_>, devices: &Devices) -> Markup {
    let both = |range: CountRange| [range.least, range.most].map(Cell::number);
    let recorded = CountRange { least: devices.recorded, most: devices.recorded };
    let blank = [(); 2].map(|()| Cell::text(""));
    let now: Vec<Cell> = std::iter::once(Cell::text("as it was")).chain(both(recorded)).chain(blank).collect();
    let rows = devices.thresholds.iter().map(|at| {
        let name = Cell::Link(volts(at.threshold_dv), address(shown, at));
        std::iter::once(name).chain(both(at.alerts)).chain(both(at.devices)).collect()
    });
    table(
        "What meters with readings raised, and what they would have raised with each threshold",
        &["threshold", "alerts at least", LINE, "devices that alert, at least", "devices that alert, at most"],
        std::iter::once(now).chain(rows),
    )
}

/// Whose alerts there would be at one threshold.
fn detail(shown: &Shown<'_>, at: &AtThreshold) -> Markup {
    let row = |name: Cell, alerts: CountRange| vec![name, Cell::number(alerts.least), Cell::number(alerts.most)];
    let of = |title: &str, heading: &str, rows: Vec<Vec<Cell>>| {
        html! { @if !rows.is_empty() { h3 { (title) } (table(title, &[heading, "alerts at least", LINE], rows)) } }
    };
    let operators = at.by_operator.iter().map(|of| row(Cell::text(shown.names.operator(of.operator)), of.alerts));
    let models = at.by_model.iter().map(|of| row(Cell::text(or(&of.model, "unknown")), of.alerts));
    let most = at.most.iter().map(|of| row(link(of.device_id.as_deref()), of.alerts));
    html! {
        h2 #detail { "At " (volts(at.threshold_dv)) }
        p.answer {
            "Meters would have raised " (at.alerts.text()) " alerts, of " (at.devices.text()) " devices."
        }
        (of("By operator", "operator", operators.collect()))
        (of("By model", "model", models.collect()))
        (of("Devices that would alert most", "device", most.collect()))
    }
}

fn backtest(devices: &Devices) -> Markup {
    let Devices { recorded, recorded_elsewhere, backtest, .. } = devices;
    let Backtest { matched, alerts_without_crossing, open, crossings_without_alert, devices_without_threshold } =
        backtest;
    let number = |number: &u64| html! { (thousands(*number)) };
    html! {
        p { "At the thresholds that meters are known to have had, each alert that was raised is compared with what was read." }
        (facts([
            ("Alerts of devices with readings", number(recorded)),
            ("Explained by a crossing", number(matched)),
            ("Alert without a crossing", number(alerts_without_crossing)),
            ("Crossing without an alert", number(crossings_without_alert)),
            ("Alert of which nothing is known", number(open)),
            ("Devices without a known threshold", number(devices_without_threshold)),
            ("Alerts of other devices", number(recorded_elsewhere)),
        ]))
    }
}

fn coverage(devices: &Devices) -> Markup {
    let rows = devices.coverage.iter().map(|row| {
        let numbers = [row.devices, row.devices_read, row.periods_read, row.periods_missing].map(Value::Number);
        std::iter::once(Value::text(or(&row.model, "unknown"))).chain(numbers).collect::<Vec<_>>()
    });
    html! {
        @if devices.coverage.is_empty() { p { "Nothing: the host knows no device that this is about." } }
        @else {
            (table(
                "Devices, and periods that were read of them, by model",
                &["model", "devices", "with readings", "periods read", "periods missing between"],
                rows,
            ))
        }
    }
}
