//! Rules: what somebody asks for in, what stands out.
//!
//! It must not know which rules and plugins there are. Invariant: a scope has each of its entries once, in order, so
//! that equal scopes are equal texts in the log.

use weir_proto::v1;

use super::{
    code, each, generation, model, operator,
    page::{Room, fill},
    page_at, sorted, time, wire_generation,
};
use crate::{
    domain::{Guard, Mode, Revision, Scope},
    intake::times::told,
    pipeline::{Refusal, RuleRequest},
    registry::{RevisionView, RuleView},
};

/// A rule to set.
pub fn request(request: v1::SetRuleRequest) -> Result<RuleRequest, Refusal> {
    let v1::SetRuleRequest { name, plugin, parameters, scope: sent, mode: number, position, why, until_ms } = request;
    if until_ms < 0 {
        return Err(Refusal::invalid("until_ms", format!("{} lies before 1970", told(until_ms))));
    }
    Ok(RuleRequest {
        name,
        plugin,
        parameters: if parameters.is_empty() { "{}".to_owned() } else { parameters },
        scope: sent.map(scope).transpose()?.unwrap_or_default(),
        mode: mode(number)?,
        order: (position != 0).then_some(position),
        why,
        until_ms: time(until_ms),
    })
}

/// Revisions in one page of a history: as many as are given where none are asked for, and the most.
const REVISIONS: (usize, u32) = (100, 1_000);

/// Whose history is asked for, before which revision, and how much of it.
pub fn history(request: v1::ListRuleRevisionsRequest) -> Result<(String, Revision, usize), Refusal> {
    let v1::ListRuleRevisionsRequest { name, page_size, page_token } = request;
    let (usual, max) = REVISIONS;
    let revisions = match page_size {
        0 => usual,
        asked if asked <= max => asked as usize,
        asked => return Err(Refusal::invalid("page_size", format!("{asked} is more than {max}"))),
    };
    Ok((name, Revision(page_at(&page_token)?.unwrap_or(u32::MAX)), revisions))
}

/// A page of a history.
pub fn revisions(changes: impl Iterator<Item = RevisionView>, room: Room) -> v1::ListRuleRevisionsResponse {
    let (revisions, next_page_token) = fill(changes, room, revision, |last| last.revision.to_string());
    v1::ListRuleRevisionsResponse { revisions, next_page_token }
}

/// A page of the rules, after one of them by its place and name.
pub fn rules(rules: Vec<RuleView>, after: Option<&(u32, String)>, room: Room) -> v1::ListRulesResponse {
    let follows = |rule: &RuleView| after.is_none_or(|(order, name)| (rule.order, &rule.name) > (*order, name));
    let rules = rules.into_iter().filter(follows);
    let (rules, next_page_token) = fill(rules, room, view, |last| format!("{}.{}", last.position, last.name));
    v1::ListRulesResponse { rules, next_page_token }
}

/// A change. Its name is said elsewhere.
pub(super) fn revision(sent: RevisionView) -> v1::RuleRevision {
    let RevisionView { revision, name: _, since, made_ms, who, why, rule } = sent;
    v1::RuleRevision {
        revision: revision.0,
        since_position: since.0,
        made_at_ms: made_ms,
        who,
        why,
        rule: rule.map(view),
    }
}

fn mode(number: i32) -> Result<Mode, Refusal> {
    match v1::RuleMode::try_from(number) {
        Ok(v1::RuleMode::Unspecified | v1::RuleMode::Active) => Ok(Mode::Active),
        Ok(v1::RuleMode::Off) => Ok(Mode::Off),
        Ok(v1::RuleMode::Shadow) => Ok(Mode::Shadow),
        Ok(v1::RuleMode::SetAside | v1::RuleMode::Quarantined) => Err(Refusal::invalid(
            "mode",
            "only the host sets a rule aside or quarantines it; ask for active, shadow or off",
        )),
        Err(_) => Err(Refusal::invalid("mode", format!("{number} is no mode of this protocol"))),
    }
}

/// Which alerts.
pub fn scope(sent: v1::RuleScope) -> Result<Scope, Refusal> {
    let v1::RuleScope { operators, generations, codes, models } = sent;
    Ok(Scope {
        operators: sorted(each("scope.operators", operators, operator)?),
        generations: sorted(each("scope.generations", generations, generation)?),
        codes: sorted(each("scope.codes", codes, code)?),
        models: sorted(each("scope.models", models, model)?),
    })
}

/// A rule as it stands.
pub fn view(view: RuleView) -> v1::Rule {
    let RuleView {
        name,
        revision,
        plugin,
        parameters,
        scope,
        mode,
        order,
        since,
        guard,
        until_ms,
        fault_count,
        last_fault,
        fault_kind: _,
        passed_over,
    } = view;
    let mode = match mode {
        Mode::Active => v1::RuleMode::Active,
        Mode::Off => v1::RuleMode::Off,
        Mode::SetAside => v1::RuleMode::SetAside,
        Mode::Quarantined => v1::RuleMode::Quarantined,
        Mode::Shadow => v1::RuleMode::Shadow,
    };
    v1::Rule {
        name,
        revision: revision.0,
        plugin_digest: plugin.digest.to_string(),
        plugin_name: plugin.name.clone(),
        parameters,
        scope: Some(wire_scope(scope)),
        mode: mode.into(),
        position: order,
        since_position: since.0,
        fault_count,
        last_fault,
        passed_over_count: passed_over,
        guard: guard.map(wire_guard),
        until_ms: until_ms.unwrap_or(0),
    }
}

fn wire_guard(guard: Guard) -> v1::RuleGuard {
    let Guard { suppressed_max_basis_points, alerts_min, until_ms, fallback } = guard;
    v1::RuleGuard { suppressed_max_basis_points, alerts_min, until_ms, fallback_revision: fallback.0 }
}

/// Which alerts, as the protocol has it.
pub fn wire_scope(scope: Scope) -> v1::RuleScope {
    let Scope { operators, generations, codes, models } = scope;
    v1::RuleScope {
        operators: operators.into_iter().map(|operator| operator.get().into()).collect(),
        generations: generations.into_iter().map(|generation| wire_generation(generation).into()).collect(),
        codes: codes.into_iter().map(|code| code.0.into()).collect(),
        models,
    }
}
