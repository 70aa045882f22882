//! An alert explained.
//!
//! It must not know how it was explained.

use weir_proto::v1;

use super::listing;
use crate::{
    listing::RuleMark,
    pipeline::ExplanationView,
    whatif::{Step, StepVerdict},
};

/// The answer.
pub fn explanation(view: ExplanationView) -> v1::ExplainAlertResponse {
    let ExplanationView { alert, steps, is_reproduced, why, from } = view;
    v1::ExplainAlertResponse {
        alert: Some(listing::logged_alert(alert)),
        steps: steps.into_iter().map(step).collect(),
        is_reproduced,
        not_reproduced_reason: why,
        folded_from_position: from.0,
    }
}

fn step((mark, step): (RuleMark, Step)) -> v1::RuleStep {
    let Step { revision: _, shadow, said, reason: _, withheld, state, fuel } = step;
    let (state_before, state_after) = state.unwrap_or_default();
    let (verdict, fault_kind) = match said {
        StepVerdict::OutOfScope => (v1::RuleVerdict::OutOfScope, ""),
        StepVerdict::NotReached => (v1::RuleVerdict::NotReached, ""),
        StepVerdict::Forward => (v1::RuleVerdict::Forward, ""),
        StepVerdict::Suppress => (v1::RuleVerdict::Suppress, ""),
        StepVerdict::Overruled => (v1::RuleVerdict::Overruled, ""),
        StepVerdict::Failed(kind) => (v1::RuleVerdict::Failed, kind.name()),
        StepVerdict::OnRecord => (v1::RuleVerdict::OnRecord, ""),
    };
    v1::RuleStep {
        rule: Some(listing::rule_mark(&mark)),
        is_shadow: shadow,
        verdict: verdict.into(),
        withheld,
        state_before,
        state_after,
        fuel,
        fault_kind: fault_kind.to_owned(),
    }
}
