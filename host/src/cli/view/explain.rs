//! An alert explained.
//!
//! It must not know how it was explained.

use serde::Serialize;
use weir_proto::v1;

use super::alert::{LoggedAlert, RuleMark};
use crate::cli::{
    arguments::Names,
    table::{Table, Value, thousands},
};

/// An alert, and what the rules had to do with it.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Explanation {
    pub alert: Option<LoggedAlert>,
    pub steps: Vec<Step>,
    pub is_reproduced: bool,
    pub not_reproduced_reason: String,
    pub folded_from_position: u64,
}

/// What one rule had to do with it.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Step {
    pub rule: Option<RuleMark>,
    pub is_shadow: bool,
    pub verdict: &'static str,
    pub withheld: u32,
    pub state_before: Vec<u64>,
    pub state_after: Vec<u64>,
    pub fuel: Option<u64>,
    pub fault_kind: String,
}

impl From<v1::ExplainAlertResponse> for Explanation {
    fn from(message: v1::ExplainAlertResponse) -> Self {
        let v1::ExplainAlertResponse { alert, steps, is_reproduced, not_reproduced_reason, folded_from_position } =
            message;
        Self {
            alert: alert.map(LoggedAlert::from),
            steps: steps.into_iter().map(Step::from).collect(),
            is_reproduced,
            not_reproduced_reason,
            folded_from_position,
        }
    }
}

impl From<v1::RuleStep> for Step {
    fn from(message: v1::RuleStep) -> Self {
        let v1::RuleStep { rule, is_shadow, verdict, withheld, state_before, state_after, fuel, fault_kind } = message;
        let verdict = match v1::RuleVerdict::try_from(verdict) {
            Ok(v1::RuleVerdict::OutOfScope) => "out-of-scope",
            Ok(v1::RuleVerdict::NotReached) => "not-reached",
            Ok(v1::RuleVerdict::Forward) => "forward",
            Ok(v1::RuleVerdict::Suppress) => "suppress",
            Ok(v1::RuleVerdict::Overruled) => "overruled",
            Ok(v1::RuleVerdict::Failed) => "failed",
            Ok(v1::RuleVerdict::OnRecord) => "on-record",
            Ok(v1::RuleVerdict::Unspecified) | Err(_) => "unspecified",
        };
        let rule = rule.map(RuleMark::from);
        Self { rule, is_shadow, verdict, withheld, state_before, state_after, fuel, fault_kind }
    }
}

/// The alert, the rules a row each, and whether it is what is on record.
pub(in crate::cli) fn tables(explanation: &Explanation, names: &Names) -> Vec<Table> {
    let facts = |alert: &LoggedAlert| {
        let facts = LoggedAlert::HEADINGS.into_iter().zip(alert.values(names));
        Table::facts(facts.filter(|(_, value)| !value.is_empty()))
    };
    let alert = explanation.alert.iter().map(facts);
    let verdict = match (explanation.is_reproduced, explanation.not_reproduced_reason.as_str()) {
        (true, _) => "the log, folded again, gives what is on record".to_owned(),
        (false, why) => format!("not reproduced: {why}"),
    };
    let from = Value::Number(explanation.folded_from_position);
    let end = Table::facts([("check", Value::text(verdict)), ("state from position", from)]);
    alert.chain(std::iter::once(steps(&explanation.steps))).chain(std::iter::once(end)).collect()
}

fn steps(steps: &[Step]) -> Table {
    let mut table =
        Table::new(&["rule", "plugin", "parameters", "said", "reason", "state before", "state after", "fuel"]);
    for step in steps {
        let rule = |of: fn(&RuleMark) -> String| step.rule.as_ref().map_or_else(String::new, of);
        let shadow = if step.is_shadow { " (shadow)" } else { "" };
        let said = match (step.fault_kind.as_str(), step.withheld) {
            ("", 0) => step.verdict.to_owned(),
            ("", withheld) => format!("{}, stands for {withheld} suppressed", step.verdict),
            (kind, _) => format!("{}: {kind}", step.verdict),
        };
        table.row([
            Value::text(rule(|rule| format!("{} r{}", rule.name, rule.revision)) + shadow),
            Value::text(rule(|rule| rule.plugin_name.clone())),
            Value::text(rule(|rule| rule.parameters.clone())),
            Value::text(said),
            Value::text(rule(|rule| rule.reason.clone())),
            Value::text(words(&step.state_before)),
            Value::text(words(&step.state_after)),
            Value::Quantity(step.fuel.map_or_else(String::new, thousands)),
        ]);
    }
    table
}

fn words(words: &[u64]) -> String {
    words.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}
