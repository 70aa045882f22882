//! Rules by name: set, restored, released, removed, and what they were.
//!
//! It must not know how a rule judges. Invariant: nothing of a rule reaches the fold that was not checked here, its
//! parameters by its plugin.

use super::{Handle, check_name, plugins};
use crate::{
    config::PluginLimits,
    domain::{Millis, Mode, OperatorId, Revision, Scope, check_block, check_line, owner_of_rule},
    pipeline::{
        Shown,
        collect::Command,
        plugins::check_revoked,
        refusal::{Refusal, never_a_rule},
    },
    registry::{Registry, RevisionView, RuleView, Source},
};

/// Places that a rule may be given.
pub(super) const ORDERS: std::ops::RangeInclusive<u32> = 1..=1_000_000;

/// Entries of one list of a scope.
const SCOPE_ENTRIES_MAX: usize = 1_000;

/// Characters of the reason for a change.
pub(super) const WHY_CHARS_MAX: usize = 500;

/// A rule as somebody asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleRequest {
    /// Name.
    pub name: String,
    /// Digest, its beginning, or a plugin's name.
    pub plugin: String,
    /// A JSON object.
    pub parameters: String,
    /// Which alerts it sees.
    pub scope: Scope,
    /// Active or off.
    pub mode: Mode,
    /// Place in the chain; `None` for where it is, or after the last.
    pub order: Option<u32>,
    /// Why it is asked for, for the history.
    pub why: String,
    /// When it ends; `None` for no end.
    pub until_ms: Option<Millis>,
}

/// A shadow rule to make active.
#[derive(Debug, Clone, PartialEq)]
pub struct Promotion {
    /// Its name.
    pub name: String,
    /// The share of the alerts it is shown that it may suppress, in hundredths of a percent.
    pub suppressed_max_basis_points: u32,
    /// The share counts once the rule was shown so many.
    pub alerts_min: u32,
    /// How long it is guarded.
    pub window_ms: Millis,
    /// Why, for the history.
    pub why: String,
}

impl Handle {
    /// Sets a rule, if its plugin accepts the parameters.
    pub async fn set_rule(&self, request: RuleRequest) -> Result<RuleView, Refusal> {
        let owner = owner_of_rule(&request.name).unwrap_or(OperatorId::UNKNOWN);
        let limits = self.limits.of(owner);
        check_rule(&request, limits)?;
        if let Some(until_ms) = request.until_ms.filter(|until_ms| *until_ms <= self.now_ms()) {
            let message = format!("{until_ms} ({}) is not after now, {}", Shown(until_ms), Shown(self.now_ms()));
            return Err(Refusal::invalid("until_ms", message));
        }
        self.check_place(&request.name, &request.scope)?;
        let (digest, source) = {
            let registry = self.shared.registry.read();
            let info = self.plugin_for_rule(&registry, &request.plugin, &request.name);
            let info = info.map_err(|why| Refusal::invalid("plugin", why))?;
            check_revoked(info)?;
            plugins::check_state(info, limits)?;
            (info.digest, self.shared.sources.read().get(&info.digest).cloned())
        };
        if let Some(Source::Component(plugin)) = source {
            let parameters = request.parameters.clone();
            let checked = self.check(move || plugin.check(&parameters, owner)).await?;
            checked.map_err(|why| Refusal::invalid("parameters", why.to_string()))?;
        }
        self.ask(|reply| Command::SetRule(Box::new(request), digest, self.who.clone(), reply)).await
    }

    /// Sets a rule again as it was in one of its revisions, if its plugin still accepts the parameters.
    pub async fn restore_rule(&self, name: &str, revision: Revision, why: &str) -> Result<RuleView, Refusal> {
        self.check_own(name)?;
        let request = restored(&self.shared.registry.read(), name, revision, why)?;
        self.set_rule(request).await
    }

    /// Makes a rule active again that the host quarantined or set aside.
    pub async fn release_rule(&self, name: &str, why: String) -> Result<RuleView, Refusal> {
        check_why(&why)?;
        self.check_own(name)?;
        self.ask(|reply| Command::ReleaseRule(name.to_owned(), why, self.who.clone(), reply)).await
    }

    /// Removes a rule; gives the revision that did it.
    pub async fn remove_rule(&self, name: &str, why: String) -> Result<Revision, Refusal> {
        check_why(&why)?;
        self.check_own(name)?;
        self.ask(|reply| Command::RemoveRule(name.to_owned(), why, self.who.clone(), reply)).await
    }

    /// Changes of a rule before a revision, newest first, at most so many. A rule that was removed has a history too.
    pub fn history(&self, name: &str, before: Revision, changes_max: usize) -> Result<Vec<RevisionView>, Refusal> {
        self.with_history(name, before, |changes| changes.take(changes_max).collect())
    }

    /// What `take` makes of those changes: each is put together as it is asked for.
    pub fn with_history<T>(
        &self,
        name: &str,
        before: Revision,
        take: impl FnOnce(&mut dyn Iterator<Item = RevisionView>) -> T,
    ) -> Result<T, Refusal> {
        self.check_own(name)?;
        let registry = self.shared.registry.read().clone();
        if registry.numbers(name).is_empty() {
            let message = never_a_rule(&registry, name, self.who.operator());
            return Err(Refusal::not_found("rule", name, message));
        }
        let changes = registry.history(name, before);
        Ok(take(&mut changes.map(|entry| self.shared.view_revision(&registry, entry))))
    }

    /// The rules in the order they judge.
    pub fn rules(&self) -> Vec<RuleView> {
        let registry = self.shared.registry.read();
        let rules = registry.rules().into_iter().filter(|standing| self.sees(*standing));
        rules.filter_map(|standing| self.shared.view(&registry, standing)).map(|view| self.told(view)).collect()
    }

    /// A rule as the caller may see it. How a rule failed that judges the alerts of all operators may name a device of
    /// another, in the host's words or in those of the plugin: an operator is told the kind alone.
    fn told(&self, mut view: RuleView) -> RuleView {
        if !self.owns(&view.name) {
            view.last_fault = view.fault_kind.map_or(String::new(), |kind| kind.name().to_owned());
        }
        view
    }
}

pub(super) fn check_why(why: &str) -> Result<(), Refusal> {
    check_line(why, WHY_CHARS_MAX).map_err(|wrong| Refusal::invalid("why", wrong))
}

/// Rejects parameters that would be shown as another text than they are.
pub(super) fn check_parameters_text(parameters: &str) -> Result<(), String> {
    check_block(parameters).map_err(|wrong| format!("{wrong}, or write it as \\u and four hex digits"))
}

/// What asks for a rule as it was in a revision.
fn restored(registry: &Registry, name: &str, revision: Revision, why: &str) -> Result<RuleRequest, Refusal> {
    let number = revision.0;
    let entry = registry.revision(revision).filter(|entry| entry.name == name);
    let entry = entry
        .ok_or_else(|| Refusal::not_found("revision", number, format!("rule {name:?} has no revision {number}")))?;
    let Some(rule) = &entry.rule else {
        return Err(Refusal::Precondition(format!("revision {number} removed the rule; restore one before it")));
    };
    if matches!(rule.mode, Mode::SetAside | Mode::Quarantined) {
        let message = format!("by revision {number} the host stopped the rule; restore one before it, or release it");
        return Err(Refusal::Precondition(message));
    }
    let because = if why.is_empty() { String::new() } else { format!(": {why}") };
    Ok(RuleRequest {
        name: name.to_owned(),
        plugin: rule.plugin.to_string(),
        parameters: rule.parameters.clone(),
        scope: rule.scope.clone(),
        mode: rule.mode,
        order: Some(rule.order),
        until_ms: rule.until_ms,
        why: format!("restores revision {number}{because}"),
    })
}

/// Checks what needs no plugin.
fn check_rule(request: &RuleRequest, limits: &PluginLimits) -> Result<(), Refusal> {
    let RuleRequest { name, plugin: _, parameters, scope, mode: _, order, why, until_ms: _ } = request;
    check_why(why)?;
    check_name(name)?;
    if parameters.len() > limits.parameters_bytes_max {
        let max = limits.parameters_bytes_max;
        let message = format!("{} bytes are more than parameters_bytes_max ({max})", parameters.len());
        return Err(Refusal::invalid("parameters", message));
    }
    check_parameters_text(parameters).map_err(|wrong| Refusal::invalid("parameters", wrong))?;
    match serde_json::from_str::<serde_json::Value>(parameters) {
        Ok(serde_json::Value::Object(_)) => {}
        Ok(_) => return Err(Refusal::invalid("parameters", "is JSON, but not an object: write {...}")),
        Err(why) => return Err(Refusal::invalid("parameters", format!("is not JSON: {why}"))),
    }
    if let Some(order) = order.filter(|order| !ORDERS.contains(order)) {
        return Err(Refusal::invalid("position", format!("{order} is not 1 to 1,000,000")));
    }
    let lists = [
        ("scope.operators", scope.operators.len()),
        ("scope.generations", scope.generations.len()),
        ("scope.codes", scope.codes.len()),
        ("scope.models", scope.models.len()),
    ];
    match lists.iter().find(|(_, entries)| *entries > SCOPE_ENTRIES_MAX) {
        Some((field, entries)) => {
            Err(Refusal::invalid(*field, format!("{entries} entries are more than {SCOPE_ENTRIES_MAX}")))
        }
        None => Ok(()),
    }
}
