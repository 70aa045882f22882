//! Plugins: uploads, and what is known of them.
//!
//! It must not look into a component. Invariant: a plugin is kept only after its check, within what the one who uploads
//! it may take up.

use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::{DENIED, Handle, Refusal, WITHOUT_PLUGINS, rules::check_why};
use crate::{
    config::PluginLimits,
    domain::{Digest, OperatorId, PluginInfo, SigningKey},
    pipeline::{
        collect::Command,
        plugins::{Revoked, Upload, check_key, check_revoked},
    },
    plugin::{self, Needs, Plugin},
    registry::{Registry, Source},
};

/// A component that was checked and compiled.
pub(super) struct Loaded {
    pub(super) plugin: Plugin,
    pub(super) bytes: Vec<u8>,
    /// The key of its signature, where one is asked for.
    pub(super) signed_by: Option<SigningKey>,
    /// How long that took.
    pub(super) took: Duration,
}

/// What a plugin takes and may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginView {
    /// Its golden run.
    pub report: plugin::Report,
    /// What it imports and exports, and takes from the start.
    pub needs: Needs,
    /// Its limits.
    pub allowed: Vec<Allowed>,
}

/// One limit of a plugin, in the unit of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// Its name in the settings, below `plugins` and `plugins.operator`.
    pub name: &'static str,
    /// The host's ceiling.
    pub host: u64,
    /// The quota of an operator's rules.
    pub operator: u64,
    /// What the plugin asks for at least, where it asks.
    pub asked: Option<u64>,
}

impl Allowed {
    /// What holds for an operator's rule.
    pub fn effective(&self) -> u64 {
        self.host.min(self.operator)
    }
}

impl Handle {
    /// Checks, compiles and keeps a component, if it is signed as the host asks for. The duration is that of the check; zero where it was there already.
    pub async fn add_plugin(&self, bytes: Vec<u8>, signature: &[u8]) -> Result<(PluginInfo, Duration), Refusal> {
        if self.without_plugins {
            return Err(Refusal::Precondition(WITHOUT_PLUGINS.to_owned()));
        }
        let digest = Digest(Sha256::digest(&bytes).into());
        let owner = self.who.operator().unwrap_or(OperatorId::UNKNOWN);
        let known = self.shared.registry.read().plugin(&digest).cloned();
        known.iter().try_for_each(check_revoked)?;
        let own = known.filter(|known| known.owners.contains(&owner) && !self.denied.contains(&digest));
        if let Some(known) = own {
            return Ok((self.shown_plugin(&self.shared.registry.read(), &known).0, Duration::ZERO));
        }
        // Before it is compiled, and again when it is kept.
        plugins_left(&self.shared.registry.read(), &digest, owner, &self.limits.host)?;
        let Loaded { plugin, bytes, signed_by, took } = self.load_upload(bytes, signature).await?;
        let upload = Box::new(Upload { source: Source::Component(plugin.clone()), bytes, signed_by });
        let info = self.ask(|reply| Command::AddPlugin(upload, self.who.clone(), reply)).await?;
        // Not before: of what is not taken nothing is kept.
        self.check(move || plugin.keep()).await?;
        Ok((self.shown_plugin(&self.shared.registry.read(), &info).0, took))
    }

    /// Checks and compiles a component, if it is signed as the host asks for and neither denied nor revoked.
    pub(super) async fn load_upload(&self, bytes: Vec<u8>, signature: &[u8]) -> Result<Loaded, Refusal> {
        let digest = Digest(Sha256::digest(&bytes).into());
        if self.denied.contains(&digest) {
            return Err(Refusal::Precondition(format!("plugin {digest}: {DENIED}")));
        }
        let owner = self.who.operator().unwrap_or(OperatorId::UNKNOWN);
        let signed_by =
            match &self.signers {
                Some(signers) => Some(signers.check(owner, &bytes, signature).map_err(|why| {
                    Refusal::invalid("signature", format!("{why}; this host takes signed plugins only"))
                })?),
                None => None,
            };
        {
            let registry = self.shared.registry.read();
            registry.plugin(&digest).into_iter().try_for_each(check_revoked)?;
            signed_by.iter().try_for_each(|key| check_key(&registry, key))?;
        }
        let turn = self.turns.compiles.take(&self.who.tenant()).await;
        let (sandbox, now_ms, wanted) = (self.sandbox.clone(), (self.clock)(), self.wanted.clone());
        let started = Instant::now();
        let load = move || (sandbox.load_for(&bytes, now_ms, owner, &|| wanted.is_so()), bytes);
        let (loaded, bytes) = turn.wait_for(load).await?;
        let plugin = loaded.map_err(refused_upload)?;
        Ok(Loaded { plugin, bytes, signed_by, took: started.elapsed() })
    }

    /// Removes a plugin that no kept revision needs; says whether it is gone for everybody.
    pub async fn remove_plugin(&self, wanted: &str) -> Result<(PluginInfo, bool), Refusal> {
        let digest = self.digest_of(wanted)?;
        let info = self.ask(|reply| Command::RemovePlugin(digest, self.who.clone(), reply)).await?;
        let gone = self.shared.registry.read().plugin(&digest).is_none();
        Ok((info, gone))
    }

    /// Revokes a plugin: no rule runs it any more.
    pub async fn revoke_plugin(&self, wanted: &str, why: String) -> Result<Revoked, Refusal> {
        check_why(&why)?;
        let digest = self.digest_of(wanted)?;
        self.ask(|reply| Command::RevokePlugin(digest, why, self.who.clone(), reply)).await
    }

    /// Revokes a key that plugins are signed with, and the plugins that are signed with no other.
    pub async fn revoke_key(&self, key: SigningKey, why: String) -> Result<Revoked, Refusal> {
        check_why(&why)?;
        self.ask(|reply| Command::RevokeKey(key, why, self.who.clone(), reply)).await
    }

    fn digest_of(&self, wanted: &str) -> Result<Digest, Refusal> {
        let registry = self.shared.registry.read();
        let info = self.find_plugin(&registry, wanted).map_err(|why| Refusal::not_found("plugin", wanted, why))?;
        Ok(info.digest)
    }

    /// All plugins, newest first, each with the names of the rules that use it now.
    pub fn plugins(&self) -> Vec<(PluginInfo, Vec<String>)> {
        let registry = self.shared.registry.read();
        let plugins = registry.plugins().into_iter().filter(|info| self.may_use(info));
        plugins.map(|info| self.shown_plugin(&registry, info)).collect()
    }

    /// One plugin by digest, its beginning (8 digits or more), or name (the newest).
    pub fn plugin(&self, wanted: &str) -> Result<(PluginInfo, Vec<String>), Refusal> {
        let registry = self.shared.registry.read();
        let info = self.find_plugin(&registry, wanted).map_err(|why| Refusal::not_found("plugin", wanted, why))?;
        Ok(self.shown_plugin(&registry, info))
    }

    /// What a plugin takes and may take; `None` for native code.
    pub async fn plugin_view(&self, digest: &Digest) -> Result<Option<PluginView>, Refusal> {
        let source = self.shared.sources.read().get(digest).cloned();
        let Some(Source::Component(plugin)) = source else { return Ok(None) };
        let needs = plugin.needs();
        let allowed = allowed(plugin.info(), &needs, &self.limits.host);
        self.check(move || Some(PluginView { report: plugin.report().clone(), needs, allowed })).await
    }

    /// Bytes that the caller may upload.
    pub fn upload_bytes_max(&self) -> usize {
        self.limits.of(self.who.operator().unwrap_or(OperatorId::UNKNOWN)).upload_bytes_max
    }
}

/// Refuses another plugin where the host, or whoever uploads it, has as many as allowed.
pub fn plugins_left(
    registry: &Registry,
    digest: &Digest,
    owner: OperatorId,
    limits: &PluginLimits,
) -> Result<(), Refusal> {
    let max = limits.plugins_max;
    if registry.plugin(digest).is_none() && registry.plugins().len() >= max {
        return Err(Refusal::Exhausted(format!("plugins.plugins_max ({max}) is reached")));
    }
    let max = limits.operator.plugins_max;
    let own = registry.plugins().iter().filter(|info| info.owners.contains(&owner)).count();
    if owner != OperatorId::UNKNOWN && own >= max {
        return Err(Refusal::Exhausted(format!("plugins.operator.plugins_max ({max}) is reached")));
    }
    Ok(())
}

/// Refuses a plugin that keeps more for each device than whoever uses it may.
pub(super) fn check_state(info: &PluginInfo, limits: &PluginLimits) -> Result<(), Refusal> {
    let (words, max) = (info.state_words, limits.state_words_max);
    if words <= max {
        return Ok(());
    }
    let message = format!("{} keeps {words} words a state entry, and rules of an operator may keep {max}", info.name);
    Err(Refusal::invalid("plugin", format!("{message} (plugins.operator.state_words_max)")))
}

/// Each limit as the host, as operators and as the plugin have it.
fn allowed(info: &PluginInfo, needs: &Needs, limits: &PluginLimits) -> Vec<Allowed> {
    let PluginInfo { size_bytes, state_words, .. } = info;
    let Needs { memory_bytes, table_entries, .. } = *needs;
    let quota = &limits.operator;
    let of = |name, host: u64, operator: u64, asked| Allowed { name, host, operator, asked };
    vec![
        of("upload_bytes_max", limits.upload_bytes_max as u64, quota.upload_bytes_max as u64, Some(*size_bytes)),
        of("memory_bytes_max", limits.memory_bytes_max as u64, quota.memory_bytes_max as u64, Some(memory_bytes)),
        of("table_entries_max", limits.table_entries_max as u64, quota.table_entries_max as u64, Some(table_entries)),
        of("state_words_max", limits.state_words_max.into(), quota.state_words_max.into(), Some((*state_words).into())),
        of("fuel_per_call", limits.fuel_per_call, quota.fuel_per_call, None),
        of("fuel_per_alert", limits.fuel_per_alert, quota.fuel_per_alert, None),
        of("deadline_ms", limits.deadline_ms, quota.deadline_ms, None),
        of("parameters_bytes_max", limits.parameters_bytes_max as u64, quota.parameters_bytes_max as u64, None),
    ]
}

fn refused_upload(why: plugin::Refusal) -> Refusal {
    match why {
        plugin::Refusal::Busy { .. } => Refusal::Busy(why.to_string()),
        plugin::Refusal::NotWanted => Refusal::Unavailable(why.to_string()),
        plugin::Refusal::Worker { .. } => Refusal::Internal(why.to_string()),
        _ => Refusal::invalid("chunk", why.to_string()),
    }
}
