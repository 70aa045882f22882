//! What readings say of a question as a filter: what is decided, what is not and why, and what a rule would hide.
//!
//! It must not know how alerts are joined with readings. Invariant: wherever a figure depends on what is undecided, that is
//! said beside it.

use maud::{Markup, html};

use super::super::{Cell, chart::Band, device::link, percent, table, text};
use crate::cli::{
    arguments::Names,
    table::{Value, count_of, thousands},
    view::{
        time, volts,
        whatif::{
            Answer, Outcome,
            readings::{Decided, Readings, why},
        },
    },
};

/// What the line of the curve is.
pub(super) const LINE: &str = "forwarded if nothing undecided is held back";

/// What the two bands below it are.
const STRADDLES: &str = "undecided: the reading straddles the limit";
const WITHOUT: &str = "undecided: no reading";

/// What readings say of one variant.
#[derive(Clone, Copy)]
pub(super) struct Variant<'a> {
    decided: &'a Decided,
    outcome: &'a Outcome,
    /// If everything undecided were held back.
    all_held: &'a Outcome,
}

impl<'a> Variant<'a> {
    /// Returns each that readings were asked about, in the order of the question.
    pub(super) fn all(answer: &'a Answer) -> Vec<Self> {
        let Some(Readings { variants, all_held, .. }) = &answer.readings else { return Vec::new() };
        let of = |((decided, outcome), all_held)| Self { decided, outcome, all_held };
        variants.iter().zip(&answer.outcomes).zip(all_held).map(of).collect()
    }

    /// Returns what readings say of a variant.
    pub(super) fn of(answer: &'a Answer, outcome: &Outcome) -> Option<Self> {
        Self::all(answer).into_iter().find(|variant| variant.outcome.label == outcome.label)
    }

    /// How many alerts are forwarded only if nothing undecided is held back.
    fn depth(&self) -> u64 {
        self.outcome.then.forwarded.saturating_sub(self.all_held.then.forwarded)
    }

    /// Of [`depth`](Self::depth), how many because a reading straddles the limit, and how many because there is none.
    ///
    /// Where some undecided alerts end the same either way, the others are shared in proportion.
    fn depths(&self) -> [u64; 2] {
        let (depth, undecided) = (u128::from(self.depth()), u128::from(self.decided.undecided()));
        let straddling = (depth * u128::from(self.decided.straddling)).checked_div(undecided).unwrap_or(0);
        let straddling = u64::try_from(straddling).unwrap_or(u64::MAX).min(self.depth());
        [straddling, self.depth() - straddling]
    }

    /// Undecided because there is no reading.
    fn without_reading(&self) -> u64 {
        self.decided.undecided() - self.decided.straddling
    }
}

/// The bands of a curve with a point for each variant; `points` says which variants have one.
pub(super) fn bands(answer: &Answer, points: impl Fn(&Outcome) -> bool) -> Vec<Band<'static>> {
    let shown = Variant::all(answer).into_iter().filter(|variant| points(variant.outcome));
    let depths: Vec<[u64; 2]> = shown.map(|variant| variant.depths()).collect();
    if depths.is_empty() {
        return Vec::new();
    }
    let of = |which: usize| depths.iter().map(|depths| depths[which]).collect();
    vec![
        Band { name: STRADDLES, is_striped: false, depths: of(0) },
        Band { name: WITHOUT, is_striped: true, depths: of(1) },
    ]
}

/// What readings decide of each variant, and what they do not.
pub(super) fn overview(answer: &Answer) -> Markup {
    let variants = Variant::all(answer);
    let rows = variants.iter().map(|variant| {
        let Variant { decided, outcome, all_held } = variant;
        let numbers = [
            decided.held,
            decided.passed,
            decided.straddling,
            variant.without_reading(),
            outcome.then.forwarded,
            all_held.then.forwarded,
        ];
        std::iter::once(Cell::text(&outcome.label)).chain(numbers.map(Cell::number)).collect()
    });
    html! {
        (table(
            "Alerts of average voltage that the rule was shown, what readings decide of them, and what would be forwarded of all",
            &[
                "value",
                "held back for sure",
                "let pass for sure",
                STRADDLES,
                WITHOUT,
                LINE,
                "forwarded if everything undecided is held back",
            ],
            rows,
        ))
        @for variant in variants.iter().filter(|variant| variant.depth() != variant.decided.undecided()) { (shared(variant)) }
    }
}

/// Says that the bands are less deep than as many alerts as are undecided.
fn shared(variant: &Variant<'_>) -> Markup {
    let [straddling, without] = variant.depths().map(thousands);
    html! {
        p.note {
            (text(&variant.outcome.label)) ": of " (thousands(variant.decided.undecided())) " undecided alerts only "
            (thousands(variant.depth())) " change what is forwarded; protected codes and other rules decide the rest. \
             Shared in proportion, " (straddling) " straddle the limit and " (without) " have no reading."
        }
    }
}

/// What is to be said beside the numbers of a variant, which are those if nothing undecided is held back.
pub(super) fn beside(variant: &Variant<'_>) -> Markup {
    let undecided = variant.decided.undecided();
    html! {
        @if undecided > 0 {
            p {
                "That is if none of " (count_of(undecided, "undecided alert", "undecided alerts")) " is held back. If all are, "
                (count_of(variant.all_held.total.would_suppress, "alert", "alerts")) " would be newly suppressed."
            }
        }
    }
}

/// What readings say of the alerts that one variant holds back, and why they say nothing of others.
pub(super) fn detail(variant: &Variant<'_>, names: &Names) -> Markup {
    let Decided { held, hidden, hidden_unknown, highest_dv, devices, .. } = variant.decided;
    html! {
        h3 { "What is held back" }
        p {
            (count_of(*held, "alert", "alerts")) " of average voltage would be held back for sure."
            @if let Some(highest_dv) = highest_dv {
                " The highest voltage that may be among them and what followed is " strong { (volts(*highest_dv)) } "."
            }
        }
        @if *hidden > 0 {
            p {
                "After " (thousands(*hidden)) " of them voltage went on to what the rule would have let pass. A meter alerts once, \
                 when its average crosses its threshold, so nothing else was said of it."
            }
        }
        @if *hidden_unknown > 0 {
            p { "Of " (thousands(*hidden_unknown)) " of them it is not known what followed: no threshold of the meter is known." }
        }
        (excursions(variant.decided, names))
        h3 { "Why alerts are undecided" }
        (reasons(variant.decided))
        @if !devices.is_empty() {
            h3 { "Devices whose readings decide most" }
            (table("Devices whose readings decide most", &["device", "decided", "undecided"], devices.iter().map(|device| vec![
                link(device.device_id.as_deref()),
                Cell::number(device.decided),
                Cell::number(device.undecided),
            ])))
        }
    }
}

fn excursions(decided: &Decided, names: &Names) -> Markup {
    let rows = decided.excursions.iter().map(|row| {
        vec![
            link(row.device_id.as_deref()),
            Cell::text(row.phase()),
            Cell::text(names.code(&row.code)),
            Cell::text(time(row.occurred_at_ms)),
            Value::Quantity(row.read.words()).into(),
            Value::Quantity(row.furthest.words()).into(),
            Cell::text(time(row.furthest_end_ms)),
        ]
    });
    html! {
        @if !decided.excursions.is_empty() {
            h3 { "What would be hidden" }
            (table(
                "The furthest that voltage went after an alert that would be held back",
                &["device", "phase", "code", "occurred", "read", "went on to", "by"],
                rows,
            ))
        }
    }
}

fn reasons(decided: &Decided) -> Markup {
    let (undecided, reasons) = (decided.undecided(), decided.reasons());
    html! {
        @if reasons.is_empty() { p { "None is: readings decide all of them." } }
        @else {
            (table("Why alerts are undecided", &["reason", "alerts", "share", "that is"], reasons.iter().map(|loss| vec![
                Cell::text(&loss.kind),
                Cell::number(loss.count),
                Value::Quantity(percent(loss.count, undecided)).into(),
                Cell::text(why(&loss.kind)),
            ])))
        }
    }
}
