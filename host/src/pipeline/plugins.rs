//! Plugins in the fold: kept, removed, revoked.
//!
//! It must not know what is in a component. Invariant: a plugin that a kept revision names is never removed; from the
//! commit that revokes one on, no rule that uses it is called, and none can be set to use it.

use std::collections::BTreeSet;

use crate::{
    domain::{
        AuditEvent, Digest, Effects, Identity, Mode, OperatorId, PluginInfo, Revocation, Rule, SigningKey,
        owner_of_rule,
    },
    pipeline::{
        engine::{Engine, Work},
        handle::plugins_left,
        refusal::Refusal,
    },
    registry::{Registry, Source},
};

/// Rules named in a refusal.
const RULES_NAMED_MAX: usize = 5;

/// A component that was checked and compiled, on its way to be kept.
pub struct Upload {
    /// Itself.
    pub source: Source,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The key that its signature was made with, on a host that asks for one.
    pub signed_by: Option<SigningKey>,
}

/// What a revocation did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revoked {
    /// The plugins that were revoked.
    pub plugins: Vec<PluginInfo>,
    /// Names of the rules that were turned off.
    pub rules: Vec<String>,
}

impl Engine {
    /// Keeps a plugin for whoever uploads it.
    pub fn add_plugin(&mut self, upload: Upload, who: &Identity) -> Result<(PluginInfo, Work), Refusal> {
        let Upload { source, bytes, signed_by } = upload;
        let owner = who.operator().unwrap_or(OperatorId::UNKNOWN);
        let known = self.registry.plugin(&source.info().digest);
        let mut info: PluginInfo = known.unwrap_or(source.info()).clone();
        // Either may have happened while it was compiled.
        check_revoked(&info)?;
        signed_by.iter().try_for_each(|key| check_key(&self.registry, key))?;
        if info.owners.contains(&owner) {
            return Ok((info, Work::default()));
        }
        plugins_left(&self.registry, &info.digest, owner, &self.config.plugins)?;
        info.owners.push(owner);
        info.signed_by.extend(signed_by.filter(|key| !info.signed_by.contains(key)));
        self.registry.add_plugin(info.clone());
        let detail = format!("{} {}, {} bytes", info.name, info.version, info.size_bytes);
        self.note(AuditEvent::new(&who.name, "plugin.upload", &info.digest.to_string(), &detail));
        let effects = Effects { plugin: Some((info.clone(), bytes)), ..self.effects() };
        let mut work = Work { effects: Some(effects), ..Work::default() };
        let digest = info.digest;
        work.acts.push(Box::new(move |shared| drop(shared.sources.write().insert(digest, source))));
        self.publish_registry(&mut work);
        Ok((info, work))
    }

    /// Removes a plugin for whoever asks: an operator gives it up, an administrator removes it for everybody. It is gone,
    /// bytes and all, once nobody has it.
    pub fn remove_plugin(&mut self, digest: &Digest, who: &Identity) -> Result<(PluginInfo, Work), Refusal> {
        let info = self.registry.plugin(digest).cloned();
        let info: PluginInfo =
            info.ok_or_else(|| Refusal::not_found("plugin", digest, "it was removed just now"))?.clone();
        let own = who.operator();
        let mut left = info.clone();
        left.owners.retain(|owner| own.is_some_and(|own| own != *owner));
        if own.is_some_and(|own| !info.owners.contains(&own)) {
            let message = format!("{}: it is the host's, and only an administrator removes it", info.name);
            return Err(Refusal::Denied { field: "plugin".to_owned(), message });
        }
        check_needed(&self.registry, &info, &left, own)?;
        let gone = left.owners.is_empty();
        let whose = if gone { "for everybody" } else { "for its operator" };
        let detail = format!("{} {}, {whose}", info.name, info.version);
        self.note(AuditEvent::new(&who.name, "plugin.remove", &info.digest.to_string(), &detail));
        let mut effects = self.effects();
        if gone {
            self.registry.remove_plugin(digest);
            effects.plugins_dropped.push(*digest);
        } else {
            self.registry.add_plugin(left.clone());
            effects.plugins_changed.push(left);
        }
        let mut work = Work { effects: Some(effects), ..Work::default() };
        if gone {
            let digest = info.digest;
            work.acts.push(Box::new(move |shared| {
                if let Some(Source::Component(plugin)) = shared.sources.write().remove(&digest) {
                    plugin.discard();
                }
            }));
        }
        self.publish_registry(&mut work);
        Ok((info, work))
    }

    /// Revokes a plugin: the rules that use it are turned off, by revisions that say why.
    pub fn revoke_plugin(&mut self, digest: &Digest, why: &str, who: &Identity) -> Result<(Revoked, Work), Refusal> {
        let info = self.registry.plugin(digest).cloned();
        let info: PluginInfo =
            info.ok_or_else(|| Refusal::not_found("plugin", digest, "it was removed just now"))?.clone();
        check_revoked(&info)?;
        self.note(AuditEvent::new(&who.name, "plugin.revoke", &digest.to_string(), &format!("{}; {why}", info.name)));
        Ok(self.revoke(vec![info], &self.revocation(why, who), Vec::new()))
    }

    /// Revokes a key that plugins are signed with: nothing that is signed with it is taken any more, and plugins that have
    /// no signature by another key are revoked with it.
    pub fn revoke_key(&mut self, key: SigningKey, why: &str, who: &Identity) -> Result<(Revoked, Work), Refusal> {
        check_key(&self.registry, &key)?;
        let signed = self.registry.plugins().into_iter().filter(|info| info.signed_by.contains(&key));
        let alone = signed.filter(|info| {
            let valid = |other: &SigningKey| *other != key && self.registry.revoked_key(other).is_none();
            info.revoked.is_none() && !info.signed_by.iter().any(valid)
        });
        let plugins: Vec<PluginInfo> = alone.cloned().collect();
        let revocation = self.revocation(why, who);
        self.registry.revoke_key(key, revocation.clone());
        self.note(AuditEvent::new(&who.name, "key.revoke", &Digest(key).to_string(), why));
        for info in &plugins {
            let detail = format!("{}; its signing key was revoked", info.name);
            self.note(AuditEvent::new(&who.name, "plugin.revoke", &info.digest.to_string(), &detail));
        }
        Ok(self.revoke(plugins, &revocation, vec![(key, revocation.clone())]))
    }

    fn revocation(&self, why: &str, who: &Identity) -> Revocation {
        Revocation { at_ms: (self.clock)(), who: who.name.clone(), why: why.to_owned() }
    }

    fn revoke(
        &mut self,
        mut plugins: Vec<PluginInfo>,
        revocation: &Revocation,
        keys: Vec<(SigningKey, Revocation)>,
    ) -> (Revoked, Work) {
        for info in &mut plugins {
            info.revoked = Some(revocation.clone());
            self.registry.add_plugin(info.clone());
        }
        let digests: BTreeSet<Digest> = plugins.iter().map(|info| info.digest).collect();
        let judging = |mode: Mode| mode.is_called() || mode == Mode::Quarantined;
        let standing = self.registry.rules().into_iter();
        let using: Vec<(String, Rule)> = standing
            .filter(|standing| judging(standing.rule.mode) && digests.contains(&standing.rule.plugin))
            .map(|standing| (standing.revision.name.clone(), standing.rule.clone()))
            .collect();
        let (mut revisions, mut rules) = (Vec::new(), Vec::new());
        for (name, rule) in using {
            // What the state misses from here on cannot be told: it starts anew.
            let off =
                Rule { mode: Mode::Off, guard: None, until_ms: None, namespace: self.registry.next_revision(), ..rule };
            let why = format!("turned off: {}", said(&off.plugin, revocation));
            revisions.push(self.revise(name.clone(), Some(off), &revocation.who, why));
            rules.push(name);
        }
        let effects = Effects { revisions, plugins_changed: plugins.clone(), keys_revoked: keys, ..self.effects() };
        let mut work = Work { effects: Some(effects), ..Work::default() };
        self.rules_changed(&mut work);
        work.acts.push(Box::new(move |shared| {
            let sources = shared.sources.read();
            for digest in &digests {
                // Questions over the past that run have it at hand.
                if let Some(Source::Component(plugin)) = sources.get(digest) {
                    plugin.revoke();
                }
            }
        }));
        (Revoked { plugins, rules }, work)
    }

    /// Publishes rules and plugins as they now are, after the commit.
    fn publish_registry(&self, work: &mut Work) {
        let registry = self.registry.clone();
        work.acts.push(Box::new(move |shared| *shared.registry.write() = registry));
    }
}

/// Rejects a plugin that was revoked.
pub fn check_revoked(info: &PluginInfo) -> Result<(), Refusal> {
    match &info.revoked {
        None => Ok(()),
        Some(revocation) => Err(Refusal::Precondition(format!(
            "{}; a build of other bytes is another plugin",
            said(&info.digest, revocation)
        ))),
    }
}

/// Rejects a signature by a key that was revoked.
pub fn check_key(registry: &Registry, key: &SigningKey) -> Result<(), Refusal> {
    match registry.revoked_key(key) {
        None => Ok(()),
        Some(revocation) => Err(Refusal::Precondition(format!("signing key {} {}", Digest(*key), words(revocation)))),
    }
}

fn said(digest: &Digest, revocation: &Revocation) -> String {
    format!("plugin {digest} {}", words(revocation))
}

fn words(revocation: &Revocation) -> String {
    let Revocation { at_ms: _, who, why } = revocation;
    let by = if who.is_empty() { String::new() } else { format!(" by {who}") };
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    format!("was revoked{by}{why}")
}

/// Rejects the removal of a plugin that a kept revision needs, in the eyes of an operator or of everybody. A revision
/// needs it if its rule could use the plugin before and cannot after.
fn check_needed(
    registry: &Registry,
    info: &PluginInfo,
    left: &PluginInfo,
    own: Option<OperatorId>,
) -> Result<(), Refusal> {
    let loses = |name: &str| {
        let user = owner_of_rule(name).unwrap_or(OperatorId::UNKNOWN);
        left.owners.is_empty() || (info.is_for(user) && !left.is_for(user))
    };
    let mut needed: Vec<(&str, u32)> = Vec::new();
    let mut of_others = false;
    for entry in registry.revisions() {
        if entry.rule.as_ref().is_none_or(|rule| rule.plugin != info.digest) || !loses(&entry.name) {
            continue;
        }
        match own.is_none_or(|own| owner_of_rule(&entry.name) == Some(own)) {
            false => of_others = true,
            true => match needed.iter_mut().find(|(name, _)| *name == entry.name) {
                Some(newest) => newest.1 = entry.revision.0,
                None => needed.push((&entry.name, entry.revision.0)),
            },
        }
    }
    if needed.is_empty() && !of_others {
        return Ok(());
    }
    let more = needed.len().saturating_sub(RULES_NAMED_MAX);
    let mut words: Vec<String> =
        needed.iter().take(RULES_NAMED_MAX).map(|(name, number)| format!("{name} (revision {number})")).collect();
    words.extend((more > 0).then(|| format!("{more} more")));
    words.extend(of_others.then(|| "a rule that is not yours".to_owned()));
    Err(Refusal::Precondition(format!(
        "plugin {} is needed by {}: the log says what was judged by it, and a revision that is kept can be restored; \
         `weir rule remove` ends a rule, and an administrator's `weir plugin revoke` stops a plugin for good",
        info.digest,
        words.join(", ")
    )))
}
