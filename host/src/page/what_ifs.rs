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
                    Cell::text(&row.rule),
                    Cell::number(row.variants.len() as u64),
                    Cell::text(minute(row.asked_at_ms)),
                    Cell::text(if row.who.is_empty() { "-" } else { &row.who }),
                    Cell::text(&row.why),
                ]
            })))
        }
    }
}

/// What a question is called.
pub(crate) fn name(what_if: &WhatIf) -> String {
    if what_if.name.is_empty() { format!("What-if {}", what_if.id) } else { what_if.name.clone() }
}

/// Asking one. `rules` have names and parameters, `sweeps` are some that make sense for them.
pub(crate) fn form(rules: &[(String, String)], sweeps: &[String], typed: &Typed, refusal: Option<&str>) -> Markup {
    let example = sweeps.first().map_or("below_dv=2530..2600:10", String::as_str);
    html! {
        form.ask method="post" action="/what-ifs" {
            h2 { "Ask a question" }
            @if let Some(message) = refusal { (refused(message, "Nothing was asked. Mend it and ask again.")) }
            @if rules.is_empty() {
                p { "There is no rule to ask about." }
            } @else {
                div.fields {
                    div.field {
                        label for="rule" { "Rule" }
                        select #rule name="rule" {
                            @for (name, parameters) in rules {
                                option value=(name) selected[*name == typed.rule] { (name) " " (parameters) }
                            }
                        }
                        small { "Its parameters now are beside its name" }
                    }
                    div.field {
                        label for="sweep" { "Values to try" }
                        input #sweep name="sweep" value=(typed.sweep) required maxlength="200" placeholder=(example) list="sweeps" autocomplete="off" spellcheck="false" aria-describedby="sweep-help";
                        datalist #sweeps { @for sweep in sweeps { option value=(sweep) {} } }
                        small #sweep-help { "A parameter, from its first value to its last, in steps, like " (example) "; below_dv is in tenths of a volt" }
                    }
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
}
