//! Questions over the past: the list, and asking one.
//!
//! It must not know what an answer is. Invariant: a form that was refused has what was typed into it.

use maud::{Markup, html};

use super::{Cell, address::Address, frame::refused, minute, table};
use crate::cli::view::whatif::WhatIf;

/// What was typed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Typed {
    pub(crate) rule: String,
    pub(crate) sweep: String,
    /// Whether readings answer, and which question.
    pub(crate) readings: String,
    /// Of meters, as the device.
    pub(crate) thresholds: String,
    /// Which way meters compare with them.
    pub(crate) limit: String,
    pub(crate) since: String,
    pub(crate) until: String,
    pub(crate) name: String,
}

/// How far a question has come, as a word with a colour.
pub(super) fn stage(stage: &'static str) -> (&'static str, &'static str) {
    let class = match stage {
        "done" => "good",
        "waiting" | "running" => "warn",
        "failed" | "interrupted" => "bad",
        _ => "quiet",
    };
    (class, stage)
}

/// The list, newest first.
pub(crate) fn list(rows: &[WhatIf]) -> Markup {
    html! {
        @if rows.is_empty() {
            div.empty {
                p { "No question has been asked yet." }
                p { "A question folds the recorded alerts again, with a rule's parameters changed, and says what would have become of each." }
            }
        } @else {
            (table("Questions, the newest first", &["number", "name", "stage", "rule", "variants", "asked", "by", "note"], rows.iter().map(|row| {
                let (class, word) = stage(row.stage);
                vec![
                    Cell::number(row.id),
                    Cell::Link(name(row), Address::new(format!("/what-ifs/{}", row.id))),
                    Cell::Word(class, word),
                    Cell::text(if asked_of_meters(row).is_some() { "none: as the device" } else { row.rule.as_str() }),
                    Cell::number(asked_of_meters(row).unwrap_or(row.variants.len()) as u64),
                    Cell::text(minute(row.asked_at_ms)),
                    Cell::text(if row.who.is_empty() { "-" } else { &row.who }),
                    Cell::text(&row.why),
                ]
            })))
        }
    }
}

/// How many thresholds of meters a question is about, where it is about meters.
fn asked_of_meters(what_if: &WhatIf) -> Option<usize> {
    what_if.readings.as_ref().filter(|asked| asked.is_as_device()).map(|asked| asked.thresholds_dv.len())
}

/// What a question is called.
pub(crate) fn name(what_if: &WhatIf) -> String {
    if what_if.name.is_empty() { format!("What-if {}", what_if.id) } else { what_if.name.clone() }
}

/// Values of [`Typed::readings`] beside nothing, which is alerts as they are.
pub(crate) const AS_FILTER: &str = "filter";
pub(crate) const AS_DEVICE: &str = "device";

/// The value of [`Typed::limit`] beside nothing, which is over-voltage.
pub(crate) const UNDER: &str = "under";

/// Asking one. `rules` have names and parameters, `sweeps` are some that make sense for them.
pub(crate) fn form(rules: &[(String, String)], sweeps: &[String], typed: &Typed, refusal: Option<&str>) -> Markup {
    let example = sweeps.first().map_or("below_dv=2530..2600:10", String::as_str);
    html! {
        form.ask method="post" action="/what-ifs" {
            h2 { "Ask a question" }
            @if let Some(message) = refusal { (refused(message, "Nothing was asked. Mend it and ask again.")) }
            @if rules.is_empty() { p { "There is no rule to ask about. As the device a question needs none." } }
            div.fields {
                @if !rules.is_empty() {
                    div.field {
                        label for="rule" { "Rule" }
                        select #rule name="rule" {
                            @for (name, parameters) in rules {
                                option value=(name) selected[*name == typed.rule] { (name) " " (parameters) }
                            }
                        }
                        small { "Its parameters now are beside its name. As the device no rule is part of the question" }
                    }
                    div.field {
                        label for="sweep" { "Values to try" }
                        input #sweep name="sweep" value=(typed.sweep) maxlength="200" placeholder=(example) list="sweeps" autocomplete="off" spellcheck="false" aria-describedby="sweep-help";
                        datalist #sweeps { @for sweep in sweeps { option value=(sweep) {} } }
                        small #sweep-help { "A parameter, from its first value to its last, in steps, like " (example) "; below_dv is in tenths of a volt" }
                    }
                }
                (by_readings(rules.is_empty(), typed))
                div.field {
                    label for="since" { "Received from" }
                    input #since name="since" value=(typed.since) maxlength="40" placeholder="2026-11-23" autocomplete="off" aria-describedby="since-help";
                    small #since-help { "A day or a time, UTC; empty: from the oldest" }
                }
                div.field {
                    label for="until" { "Received before" }
                    input #until name="until" value=(typed.until) maxlength="40" placeholder="2026-11-24T12:00:00Z" autocomplete="off" aria-describedby="until-help";
                    small #until-help { "Empty: up to now" }
                }
                div.field {
                    label for="name" { "Name" }
                    input #name name="name" value=(typed.name) maxlength="500" autocomplete="off";
                    small { "What others will see in the list" }
                }
            }
            p { button.main type="submit" { "Ask" } }
            p.note { "A question changes nothing. Live alerts are not held up." }
        }
    }
}

/// Whether readings answer, and what meters would compare with.
fn by_readings(only_meters: bool, typed: &Typed) -> Markup {
    let roles = [
        ("", "No: alerts as they are"),
        (AS_FILTER, "As a filter: what the rule would hold back"),
        (AS_DEVICE, "As the device: what meters would raise"),
    ];
    html! {
        div.field {
            label for="readings" { "By readings" }
            select #readings name="readings" aria-describedby="readings-help" {
                @for (value, words) in roles.into_iter().filter(|(value, _)| !only_meters || *value == AS_DEVICE) {
                    option value=(value) selected[value == typed.readings] { (words) }
                }
            }
            small #readings-help { "No alert carries a voltage: average voltages that were loaded stand in for it" }
        }
        div.field {
            label for="thresholds" { "Thresholds of meters" }
            input #thresholds name="thresholds" value=(typed.thresholds) maxlength="200" placeholder="2530..2600:10" autocomplete="off" spellcheck="false" aria-describedby="thresholds-help";
            small #thresholds-help { "As the device: tenths of a volt, like 2580 or 2530..2600:10; otherwise empty" }
        }
        div.field {
            label for="limit" { "Meters alert" }
            select #limit name="limit" {
                @for (value, words) in [("", "Above it: over-voltage"), (UNDER, "Below it: under-voltage")] {
                    option value=(value) selected[value == typed.limit] { (words) }
                }
            }
            small { "As the device" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_that_was_refused_has_what_was_typed_and_without_rules_asks_about_meters_alone() {
        let typed = Typed {
            readings: AS_DEVICE.to_owned(),
            thresholds: "\"><script>".to_owned(),
            limit: UNDER.to_owned(),
            ..Typed::default()
        };
        let rules = [("voltage".to_owned(), "{}".to_owned())];
        let form_of = |rules: &[(String, String)]| form(rules, &[], &typed, Some("no")).into_string();
        let shown = form_of(&rules);
        assert!(
            shown.contains("<option value=\"device\" selected>") && shown.contains("<option value=\"under\" selected>")
        );
        assert!(shown.contains("value=\"&quot;&gt;&lt;script&gt;\"") && !shown.contains("<script"), "{shown}");
        assert!(shown.contains("name=\"sweep\"") && shown.contains("value=\"filter\""), "{shown}");
        let shown = form_of(&[]);
        assert!(shown.contains("There is no rule to ask about.") && shown.contains("value=\"device\""), "{shown}");
        assert!(!shown.contains("name=\"sweep\"") && !shown.contains("value=\"filter\""), "{shown}");
    }
}
