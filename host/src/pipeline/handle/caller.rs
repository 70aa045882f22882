//! What a caller may see and change: everything, or what belongs to one operator.
//!
//! It must not know how callers prove who they are. Invariant: to an operator, what belongs to another one is as if it
//! were not there: the same words, whether it exists or not.
//!
//! An operator's rules have names that begin with its distributor id, `12-volts`, and a scope of that operator alone:
//! so no two operators can want the same name, and a rule of one is never shown another's alerts. Plugins that the
//! host's administrators uploaded are for everybody.

use std::sync::Arc;

use super::{Handle, Refusal, denials::DeniedCaller};
use crate::{
    domain::{AuditEvent, Identity, OperatorId, PluginInfo, Revision, Role, RuleRevision, Scope, owner_of_rule},
    pipeline::{
        collect::Command,
        refusal::{never_a_rule, no_such_rule},
        wanted::Wanted,
    },
    registry::{Registry, Standing},
};

impl Handle {
    /// The same pipeline, as somebody may use it.
    #[must_use]
    pub fn for_caller(&self, who: Arc<Identity>) -> Self {
        Self { who, ..self.clone() }
    }

    /// The same, for work that is given up once nobody waits for it.
    #[must_use]
    pub fn while_wanted(&self, wanted: Wanted) -> Self {
        Self { wanted, ..self.clone() }
    }

    /// Lets other computations go on, and then says whether this one is to. To be called now and then by what takes a
    /// while, where it holds no lock.
    pub(super) fn go_on(&self) -> Result<(), Refusal> {
        self.processor.iter().for_each(|processor| processor.give_way());
        if self.wanted.is_so() { Ok(()) } else { Err(Refusal::Unavailable("nobody waits for the answer".to_owned())) }
    }

    /// Whose a token is, if it is good.
    pub fn identify(&self, token: &str) -> Result<Identity, &'static str> {
        self.shared.tokens.read().identify(token, (self.clock)())
    }

    /// Who the holder of a certificate is: whoever has a token of that name, if it is good.
    pub fn identify_holder(&self, name: &str) -> Result<Identity, &'static str> {
        self.shared.tokens.read().identify_holder(name, (self.clock)())
    }

    /// Notes a call that was denied in the audit log and in the host's own, unless the caller had too many of late: then
    /// it is counted, and [`note_left_out`](Self::note_left_out) says so.
    pub fn note_denied(&self, caller: DeniedCaller, call: &str, why: &str) {
        let Some(caller) = self.denials.note(caller, (self.clock)()) else { return };
        tracing::warn!(%caller, call, why, "call denied");
        let event = AuditEvent::new(caller.name(), "call.denied", call, &format!("{why} ({caller})"));
        // The queue is full where alerts wait. The call is counted instead, and noted with others when there is room.
        if self.queue.try_send(Command::Note(event)).is_err() {
            self.denials.leave_out(&caller, 1);
        }
    }

    /// Notes how many denied calls were left out of the audit log, as far as there is room for it.
    pub fn note_left_out(&self) {
        for (caller, calls) in self.denials.take_left_out((self.clock)(), false) {
            if self.queue.try_send(Command::Note(left_out(&caller, calls))).is_err() {
                self.denials.leave_out(&caller, calls);
            }
        }
    }

    /// The same for all callers at the end, whatever waits before it.
    pub(super) async fn note_all_left_out(&self) {
        for (caller, calls) in self.denials.take_left_out((self.clock)(), true) {
            // Where nobody takes it the host has stopped by itself.
            let _ = self.queue.send(Command::Note(left_out(&caller, calls))).await;
        }
    }

    /// Whether the caller is told of a rule.
    pub(super) fn sees(&self, standing: Standing<'_>) -> bool {
        let judges_all = standing.rule.scope.operators.is_empty();
        self.owns(&standing.revision.name) || (judges_all && owner_of_rule(&standing.revision.name).is_none())
    }

    /// Whether a rule is the caller's to change.
    pub(super) fn owns(&self, name: &str) -> bool {
        self.who.operator().is_none_or(|own| owner_of_rule(name) == Some(own))
    }

    /// Refuses to know of a rule that is not the caller's.
    pub(super) fn check_own(&self, name: &str) -> Result<(), Refusal> {
        if self.owns(name) {
            return Ok(());
        }
        Err(no_such_rule(&self.shared.registry.read(), name, self.who.operator()))
    }

    /// Refuses to look for a rule that there never was, as far as the caller knows: an empty answer would look as if it
    /// had done nothing.
    pub(super) fn check_filter(&self, rule: Option<&str>) -> Result<(), Refusal> {
        let Some(name) = rule else { return Ok(()) };
        let registry = self.shared.registry.read();
        let own = self.who.operator();
        let told = |entry: &RuleRevision| {
            let scope = entry.rule.as_ref().map(|rule| &rule.scope.operators);
            let for_own = |own| scope.is_some_and(|scope| scope.is_empty() || scope.contains(&own));
            own.is_none_or(|own| owner_of_rule(name) == Some(own) || (owner_of_rule(name).is_none() && for_own(own)))
        };
        if registry.history(name, Revision(u32::MAX)).any(told) {
            return Ok(());
        }
        Err(Refusal::invalid("rule", never_a_rule(&registry, name, own)))
    }

    /// Checks that a rule which is to be set is named after whom it is for, and is for nobody else.
    pub(super) fn check_place(&self, name: &str, scope: &Scope) -> Result<(), Refusal> {
        if let Some(own) = self.who.operator().filter(|own| owner_of_rule(name) != Some(*own)) {
            let message = format!("{name:?}: the rules of operator {own} are named {own}-..., like {own}-{name}");
            return Err(Refusal::Denied { field: "name".to_owned(), message });
        }
        match owner_of_rule(name) {
            Some(owner) if scope.operators != [owner] => {
                let message =
                    format!("a rule named {name} is one of operator {owner}: its scope is that operator alone");
                Err(Refusal::invalid("scope.operators", message))
            }
            _ => Ok(()),
        }
    }

    /// Returns the plugin that a text means among those the caller may see, to look at it.
    pub(super) fn find_plugin<'a>(&self, registry: &'a Registry, wanted: &str) -> Result<&'a PluginInfo, String> {
        registry.resolve(wanted, |info| self.may_use(info), None)
    }

    /// Returns the plugin that a text means for a rule of that name. An administrator sees the plugins of every operator;
    /// a name alone must not bring one of them over the alerts of others.
    pub(super) fn plugin_for_rule<'a>(
        &self,
        registry: &'a Registry,
        wanted: &str,
        rule: &str,
    ) -> Result<&'a PluginInfo, String> {
        let user = owner_of_rule(rule).unwrap_or(OperatorId::UNKNOWN);
        registry.resolve(wanted, |info| self.may_use(info), Some(user))
    }

    /// Whether the caller may see and use a plugin.
    pub(super) fn may_use(&self, info: &PluginInfo) -> bool {
        self.who.operator().is_none_or(|own| info.is_for(own))
    }

    /// A plugin as the caller sees it, with the rules that use it.
    pub(super) fn shown_plugin(&self, registry: &Registry, info: &PluginInfo) -> (PluginInfo, Vec<String>) {
        let mut shown = info.clone();
        let own = self.who.operator();
        shown.owners.retain(|owner| own.is_none_or(|own| [own, OperatorId::UNKNOWN].contains(owner)));
        // A key would tell that another has the very same bytes.
        if shown.owners.len() < info.owners.len() {
            shown.signed_by.clear();
        }
        let rules = registry.rules().into_iter().filter(|standing| standing.rule.plugin == info.digest);
        let names = rules.filter(|standing| self.sees(*standing)).map(|standing| standing.revision.name.clone());
        (shown, names.collect())
    }

    /// Returns the role of the caller.
    pub fn role(&self) -> Role {
        self.who.role
    }

    /// Rejects a producer's id that the caller may not send under.
    pub(super) fn check_producer(&self, id: &str) -> Result<(), Refusal> {
        if self.who.sender.allows_producer(id) {
            return Ok(());
        }
        let allowed: Vec<String> = self.who.sender.producers.iter().map(ToString::to_string).collect();
        let message = format!(
            "{id:?} is not one that this token sends under; it sends under {} (`weir alert send --producer ID`, or --resume ID)",
            allowed.join(", ")
        );
        Err(Refusal::Denied { field: "producer_id".to_owned(), message })
    }

    /// The operators a question is about: those asked for, as far as the caller may ask.
    pub(super) fn limit_operators(&self, asked: &mut Vec<OperatorId>) -> Result<(), Refusal> {
        let Some(own) = self.who.operator() else { return Ok(()) };
        if let Some(other) = asked.iter().find(|operator| **operator != own) {
            let message = format!("{other}: this caller may ask for operator {own} alone");
            return Err(Refusal::Denied { field: "operators".to_owned(), message });
        }
        *asked = vec![own];
        Ok(())
    }
}

/// What the audit log says of calls that it does not list.
fn left_out(caller: &DeniedCaller, calls: u64) -> AuditEvent {
    tracing::warn!(%caller, calls, "denied calls were left out of this log and of the audit log");
    AuditEvent::new(caller.name(), "call.denied", "", &format!("{calls} denied calls of {caller} left out"))
}
