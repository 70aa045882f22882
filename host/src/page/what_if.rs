//! One question and its answer: a curve over what was tried, and behind each point what would change there. Where readings
//! answer, what they leave open is beside it.
//!
//! It must not know how a question is asked. Invariant: what could not be compared is said before what was.

use maud::{Markup, html};
use weir_proto::v1::Grouping;

use super::{
    Cell,
    address::Address,
    chart::{self, Bar, Curve, Point},
    device::link,
    facts, minute, percent, table, text, what_ifs,
};
use crate::cli::{
    arguments::Names,
    table::{Value, thousands},
    view::{
        alert::measured,
        count::heading,
        rule::sees,
        time,
        trial::Row,
        whatif::{self, Answer, Decision, Outcome, Sample, WhatIf},
    },
};

mod meters;
mod readings;
#[cfg(test)]
mod tests;

/// Rows of one table of differences.
const ROWS_MAX: usize = 200;

/// How the difference is shown, and in which order.
const KEYS: [(Grouping, &str); 5] = [
    (Grouping::Code, "By code"),
    (Grouping::Operator, "By operator"),
    (Grouping::Generation, "By generation"),
    (Grouping::Model, "By model"),
    (Grouping::Day, "By day"),
];

/// A question with what is around it.
pub(crate) struct Shown<'a> {
    pub(crate) here: &'a Address,
    pub(crate) what_if: &'a WhatIf,
    pub(crate) answer: Option<&'a Answer>,
    /// The parameter that was swept over, if one was, and its value in the rule as it stands now.
    pub(crate) swept: Option<(&'a str, Option<i64>)>,
    pub(crate) names: &'a Names,
    pub(crate) may_ask: bool,
}

/// What tells it from others.
pub(crate) fn head(what_if: &WhatIf) -> Markup {
    let (class, word) = what_ifs::stage(what_if.stage);
    html! {
        p {
            span.word.(class) { (word) } " "
            @if !what_if.why.is_empty() { (text(&what_if.why)) ". " }
            @match &what_if.readings {
                Some(asked) if asked.is_as_device() => {
                    "As the device: what meters would raise with other thresholds of average " (asked.limit) "-voltage, by readings "
                    "of periods that ended from "
                },
                asked => {
                    "Rule " a href=(Address::below("/rules", &what_if.rule)) { (text(&what_if.rule)) }
                    @if asked.is_some() { " as a filter by readings" }
                    ", alerts received from "
                },
            }
            (open(what_if.since_ms, "the oldest")) " to " (open(what_if.until_ms, "when it was asked")) ". "
            "Asked " (minute(what_if.asked_at_ms))
            @if !what_if.who.is_empty() { " by " (text(&what_if.who)) }
            "."
        }
    }
}

fn open(ms: i64, otherwise: &str) -> String {
    if ms == 0 { otherwise.to_owned() } else { minute(ms) }
}

/// How far it is, in words.
pub(crate) fn progress_said(what_if: &WhatIf) -> String {
    match (what_if.stage, what_if.rows_total) {
        ("waiting", _) => "It waits for its turn.".to_owned(),
        (_, 0) => "It has begun.".to_owned(),
        (_, total) => format!("{} of the alerts are folded.", percent(what_if.rows_done, total)),
    }
}

/// What there is of it.
pub(crate) fn body(shown: &Shown<'_>) -> Markup {
    let Shown { what_if, answer, .. } = shown;
    let is_over = !goes_on(what_if);
    html! {
        @if !is_over {
            p { (progress_said(what_if)) }
            progress max=(what_if.rows_total.max(1)) value=(what_if.rows_done) aria-label="Folded alerts" {}
        }
        @if let Some(answer) = answer { (answered(shown, answer)) }
        @else if is_over {
            div.empty {
                p { "There is no answer: the question is " (what_if.stage) "." }
                @if shown.may_ask {
                    p {
                        a href=(Address::new("/what-ifs").with("rule", &what_if.rule)) {
                            "Ask another one" @if !what_if.rule.is_empty() { " about this rule" }
                        }
                    }
                }
            }
        }
        @if is_over { (cited(what_if, *answer)) }
    }
}

/// A button that ends it, for whoever may while it goes on.
pub(crate) fn foot(what_if: &WhatIf, may_ask: bool) -> Markup {
    html! {
        @if may_ask && goes_on(what_if) {
            form.inline method="post" action=(format!("/what-ifs/{}/cancel", what_if.id)) {
                button type="submit" { "Cancel this question" }
            }
        }
    }
}

/// Whether it has no end yet.
pub(crate) fn goes_on(what_if: &WhatIf) -> bool {
    matches!(what_if.stage, "waiting" | "running")
}

fn answered(shown: &Shown<'_>, answer: &Answer) -> Markup {
    if let Some(devices) = answer.readings.as_ref().and_then(|readings| readings.devices.as_ref()) {
        return meters::answered(shown, devices);
    }
    let wanted = shown.here.get("variant");
    let chosen = match (&answer.outcomes[..], wanted) {
        ([one], _) => Some(one),
        (several, wanted) => several.iter().find(|outcome| outcome.label == wanted),
    };
    html! {
        (overview(shown, answer, chosen))
        @if answer.readings.is_some() { (readings::overview(answer)) }
        (totals(shown, answer))
        @for note in whatif::notes(answer) { p.note { (text(&note)) "." } }
        @match chosen {
            Some(outcome) => (detail(shown, outcome, readings::Variant::of(answer, outcome))),
            None if !wanted.is_empty() => (super::frame::refused(&format!("No variant is labelled {wanted:?}."), "Choose one above.")),
            None => p { strong { "Choose a value above to see which alerts would change with it." } },
        }
    }
}

/// Where what one variant would change is shown.
fn variant(shown: &Shown<'_>, outcome: &Outcome) -> Address {
    shown.here.with("variant", &outcome.label).at("detail")
}

/// The curve, or bars where no number was swept over.
fn overview(shown: &Shown<'_>, answer: &Answer, chosen: Option<&Outcome>) -> Markup {
    let is_chosen = |outcome: &Outcome| chosen.is_some_and(|chosen| chosen.label == outcome.label);
    let Some((parameter, live)) = shown.swept else {
        let mut bars = vec![Bar {
            label: "as it was".to_owned(),
            first: answer.now.forwarded,
            second: answer.now.suppressed,
            address: None,
        }];
        let bar = |label: String, of: &Outcome, outcome: &Outcome| Bar {
            label,
            first: of.then.forwarded,
            second: of.then.suppressed,
            address: Some(variant(shown, outcome)),
        };
        for (nth, outcome) in answer.outcomes.iter().enumerate() {
            let all_held = answer.readings.as_ref().and_then(|readings| readings.all_held.get(nth));
            let Some(all_held) = all_held else {
                bars.push(bar(outcome.label.clone(), outcome, outcome));
                continue;
            };
            // What tells the two apart comes first: a long label is cut.
            bars.push(bar(format!("undecided forwarded: {}", outcome.label), outcome, outcome));
            bars.push(bar(format!("undecided held back: {}", outcome.label), all_held, outcome));
        }
        return chart::bars("variants", "What would be forwarded", ["forwarded", "suppressed"], &bars);
    };
    let value = |outcome: &Outcome| -> Option<i64> { outcome.label.rsplit_once('=')?.1.parse().ok() };
    let point = |outcome: &Outcome| {
        let (x, address) = (value(outcome)?, variant(shown, outcome));
        Some(Point { x, y: outcome.then.forwarded, address, chosen: is_chosen(outcome) })
    };
    let points: Vec<Point> = answer.outcomes.iter().filter_map(point).collect();
    chart::curve(&Curve {
        id: "curve",
        title: &format!("Alerts that would be forwarded, by {parameter}"),
        axes: [parameter, "forwarded"],
        points: &points,
        level: ("as it was", answer.now.forwarded),
        mark: live.map(|value| ("live now", value)),
        line: readings::LINE,
        bands: &readings::bands(answer, |outcome| value(outcome).is_some()),
    })
}

fn totals(shown: &Shown<'_>, answer: &Answer) -> Markup {
    let withheld =
        |number: Option<u64>| number.map_or_else(|| Value::Quantity("not known".to_owned()).into(), Cell::number);
    let compared = answer.now.forwarded + answer.now.suppressed;
    let live = shown.swept.and_then(|(name, value)| value.map(|value| format!("{name}={value}")));
    let now = vec![
        Cell::text("as it was"),
        Cell::number(answer.now.forwarded),
        Cell::number(answer.now.suppressed),
        Value::Quantity(percent(answer.now.suppressed, compared)).into(),
        Cell::text(""),
        Cell::text(""),
        Cell::text(""),
        withheld(answer.now.withheld),
        Cell::text(""),
    ];
    let rows = answer.outcomes.iter().map(|outcome| {
        vec![
            Cell::Link(outcome.label.clone(), variant(shown, outcome)),
            Cell::number(outcome.then.forwarded),
            Cell::number(outcome.then.suppressed),
            Value::Quantity(percent(outcome.then.suppressed, compared)).into(),
            Cell::number(outcome.total.would_suppress),
            Cell::number(outcome.total.would_forward),
            Cell::number(outcome.total.overruled),
            withheld(outcome.then.withheld),
            if live.as_ref() == Some(&outcome.label) { Cell::Word("warn", "live now") } else { Cell::text("") },
        ]
    });
    let caption = match &answer.readings {
        None => "What was, and what would have been with each value",
        Some(_) => "What was, and what would have been with each value if nothing undecided were held back",
    };
    table(
        caption,
        &[
            "value",
            "forwarded",
            "suppressed",
            "suppressed share",
            "newly suppressed",
            "newly forwarded",
            "overruled: protected",
            "withheld",
            "",
        ],
        std::iter::once(now).chain(rows),
    )
}

/// What one variant would change.
fn detail(shown: &Shown<'_>, outcome: &Outcome, read: Option<readings::Variant<'_>>) -> Markup {
    html! {
        h2 #detail { "With " (text(&outcome.label)) }
        p.answer {
            (thousands(outcome.total.would_suppress)) " alerts would be newly suppressed, "
            (thousands(outcome.total.would_forward)) " newly forwarded, of "
            (thousands(outcome.devices_changed)) " devices."
        }
        @if let Some(read) = read { (readings::beside(&read)) (readings::detail(&read, shown.names)) }
        @if outcome.total.would_suppress + outcome.total.would_forward == 0 { p { "Nothing would change." } }
        @else {
            @for (key, title) in KEYS { (difference(shown, outcome, key, title)) }
            (devices(outcome))
            (samples(shown, outcome))
        }
    }
}

fn difference(shown: &Shown<'_>, outcome: &Outcome, key: Grouping, title: &str) -> Markup {
    let Some(found) = outcome.tables.iter().find(|table| table.key == key) else { return html! {} };
    let mut rows: Vec<&Row> = found.rows.iter().filter(|row| row.would_suppress + row.would_forward > 0).collect();
    if key != Grouping::Day {
        rows.sort_by_key(|row| std::cmp::Reverse(row.would_suppress + row.would_forward));
    }
    let label = |row: &Row| row.key.text(key, shown.names);
    let bars: Vec<Bar> = rows
        .iter()
        .map(|row| Bar { label: label(row), first: row.would_forward, second: row.would_suppress, address: None })
        .collect();
    html! {
        h3 { (title) }
        (chart::bars(heading(key), &format!("Alerts whose end would change, {}", title.to_lowercase()), ["newly forwarded", "newly suppressed"], &bars))
        (table(title, &[heading(key), "newly suppressed", "newly forwarded", "both forward", "both suppress", "overruled: protected"],
            rows.iter().take(ROWS_MAX).map(|row| {
                let numbers = [row.would_suppress, row.would_forward, row.both_forward, row.both_suppress, row.overruled];
                std::iter::once(Cell::text(label(row))).chain(numbers.map(Cell::number)).collect()
            })))
        @if rows.len() > ROWS_MAX { p.note { "The " (ROWS_MAX) " that change most, of " (rows.len()) "." } }
    }
}

fn devices(outcome: &Outcome) -> Markup {
    html! {
        @if !outcome.devices.is_empty() {
            h3 { "Devices that change most" }
            (table("Devices that change most", &["device", "newly suppressed", "newly forwarded"], outcome.devices.iter().map(|device| vec![
                link(device.device_id.as_deref()),
                Cell::number(device.newly_suppressed),
                Cell::number(device.newly_forwarded),
            ])))
        }
    }
}

fn samples(shown: &Shown<'_>, outcome: &Outcome) -> Markup {
    html! {
        @if !outcome.samples.is_empty() {
            h3 { "Some of the alerts" }
            (table("Sampled alerts whose end would change", &["received", "device", "code", "measured", "was", "would be", "model", "operator", "position"],
                outcome.samples.iter().filter_map(|sample| sampled(sample, shown.names))))
        }
    }
}

fn sampled(sample: &Sample, names: &Names) -> Option<Vec<Cell>> {
    let alert = sample.alert.as_ref()?;
    let words = |decision: &Option<Decision>| decision.as_ref().map(Decision::words).unwrap_or_default();
    Some(vec![
        Cell::text(time(alert.received_at_ms)),
        link(alert.device_id.as_deref()),
        Cell::text(names.code_at(sample.position, &alert.code)),
        Value::Quantity(measured(alert, names.codes_at(sample.position))).into(),
        Cell::text(words(&sample.recorded)),
        Cell::text(words(&sample.computed)),
        Cell::text(&sample.model),
        Cell::text(names.operator(sample.operator)),
        Cell::number(sample.position),
    ])
}

/// What it can be cited by.
fn cited(what_if: &WhatIf, answer: Option<&Answer>) -> Markup {
    let digest = |digest: &str| html! { code { (text(digest)) } };
    let read = answer.and_then(|answer| answer.readings.as_ref());
    let read = read.into_iter().flat_map(|read| {
        [
            ("Readings", digest(&read.readings_digest)),
            ("Thresholds", digest(&read.thresholds_digest)),
            ("Models", digest(&read.models_digest)),
        ]
    });
    // No rule is part of a question as the device.
    let is_as_device = what_if.readings.as_ref().is_some_and(|asked| asked.is_as_device());
    let is_shown = |name: &str| !is_as_device || !["Candidate sees", "Copies"].contains(&name);
    html! {
        h2 { "To cite it" }
        (facts([
            ("Question", digest(&what_if.question_digest)),
            ("Answer", digest(&what_if.answer_digest)),
            ("Candidate sees", text(&sees(&what_if.scope))),
            ("Counted", text(&sees(&what_if.only))),
            ("Engine", text(answer.map_or("", |answer| &answer.engine))),
            ("Copies", html! { (thousands(answer.map_or(0, |answer| answer.duplicate_count))) " alerts were seen before: no rule was asked" }),
            ("Took", html! { (what_if.running_ms / 1_000) "." (format!("{:03}", what_if.running_ms % 1_000)) " s" }),
        ].into_iter().filter(|(name, _)| is_shown(name)).chain(read)))
        p.note { "The same question over the same log has the same digests. By command: " code { "weir whatif show " (what_if.id) } }
    }
}
