//! Rules: what each is, and what it did.
//!
//! It must not ask. Invariant: a rule that failed or was passed over shows it in its row.

use maud::{Markup, html};

use super::{
    Cell,
    address::Address,
    chart::{self, Bar},
    table,
};
use crate::cli::{
    table::Value,
    view::rule::{Rule, plugin, sees},
};

/// What a rule did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Effect {
    /// Suppressed by it.
    pub(crate) suppressed: u64,
    /// Not suppressed, because the code is protected.
    pub(crate) overruled: u64,
    /// Of a shadow: what it would have suppressed, and what it was shown.
    pub(crate) would: Option<(u64, u64)>,
}

/// A mode as a word with a colour.
pub(super) fn mode(mode: &'static str) -> (&'static str, &'static str) {
    let class = match mode {
        "active" => "good",
        "shadow" => "warn",
        "quarantined" | "set-aside" => "bad",
        _ => "quiet",
    };
    (class, mode)
}

/// The list.
pub(crate) fn body(rules: &[(Rule, Effect)], period: &str) -> Markup {
    let bars: Vec<Bar> = rules
        .iter()
        .map(|(rule, effect)| Bar {
            label: format!("{} ({})", rule.name, rule.mode),
            first: effect.would.map_or(0, |(would, _)| would),
            second: effect.suppressed,
            address: Some(Address::below("/rules", &rule.name)),
        })
        .collect();
    let has_shadow = rules.iter().any(|(_, effect)| effect.would.is_some());
    html! {
        @if rules.is_empty() {
            div.empty {
                p { "There is no rule: every alert is forwarded." }
                p { "Set one: " code { "weir rule set voltage --plugin threshold --code 8F40 --parameters '{\"codes\":[\"8F40\"],\"below_dv\":2580}'" } }
            }
        } @else {
            p { "In the order in which they judge. What one suppresses is not shown to those after it." }
            (chart::bars("effects", &format!("What rules did, {period}"), ["a shadow would have suppressed", "suppressed"], &bars))
            (table(&format!("Rules, and what they did, {period}"), &headings(has_shadow), rules.iter().map(|rule| row(rule, has_shadow))))
            p.note { "Faults are counted since the rule was first set, and what it was passed over with since the host started." }
        }
    }
}

fn headings(has_shadow: bool) -> Vec<&'static str> {
    let of_shadow: &[&str] = if has_shadow { &["shadow: would suppress", "shadow: shown"] } else { &[] };
    let before = ["place", "rule", "mode", "plugin", "parameters", "suppressed", "overruled: protected"];
    let after = ["faults", "passed over", "sees", "last fault"];
    [&before[..], of_shadow, &after].concat()
}

fn row((rule, effect): &(Rule, Effect), has_shadow: bool) -> Vec<Cell> {
    let (class, word) = mode(rule.mode);
    let of_shadow = |number: Option<u64>| number.map_or_else(|| Value::Quantity("-".to_owned()).into(), Cell::number);
    let mut row = vec![
        Cell::number(rule.position),
        Cell::Link(rule.name.clone(), Address::below("/rules", &rule.name)),
        Cell::Word(class, word),
        Cell::text(plugin(rule)),
        Cell::text(&rule.parameters),
        Cell::number(effect.suppressed),
        Cell::number(effect.overruled),
    ];
    if has_shadow {
        row.push(of_shadow(effect.would.map(|(would, _)| would)));
        row.push(of_shadow(effect.would.map(|(_, shown)| shown)));
    }
    row.extend([
        Cell::number(rule.fault_count),
        Cell::number(rule.passed_over_count),
        Cell::text(sees(&rule.scope)),
        Cell::text(&rule.last_fault),
    ]);
    row
}
