//! Plugins: pieces of a component in, what is known of it out.
//!
//! It must not look into a component. Invariant: no more is gathered than may be uploaded.

use std::{cmp::Reverse, time::Duration};

use weir_proto::v1;

use super::page::{Room, fill};
use crate::{
    domain::{Column, Digest, Millis, PluginInfo, Revocation, SigningKey, StateKey},
    pipeline::{Allowed, PluginView, Refusal, Revoked},
    plugin::{Needs, Report, SIGNATURE_BYTES},
};

/// Largest piece of an upload, as the protocol has it.
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// A component as it comes in.
#[derive(Debug)]
pub struct Upload {
    bytes: Vec<u8>,
    bytes_max: usize,
    signature: Vec<u8>,
}

impl Upload {
    /// Nothing yet, and at most `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max, signature: Vec::new() }
    }

    /// Takes the next piece.
    pub fn take(&mut self, request: v1::UploadPluginRequest) -> Result<(), Refusal> {
        let v1::UploadPluginRequest { chunk, signature } = request;
        if !signature.is_empty() {
            if signature.len() != SIGNATURE_BYTES {
                let why = format!("{} bytes; an ed25519 signature has {SIGNATURE_BYTES}", signature.len());
                return Err(Refusal::invalid("signature", why));
            }
            self.signature = signature;
        }
        if chunk.len() > CHUNK_BYTES_MAX {
            let why = format!("{} bytes in one piece; at most {CHUNK_BYTES_MAX} are allowed", chunk.len());
            return Err(Refusal::invalid("chunk", why));
        }
        if chunk.len() > self.bytes_max - self.bytes.len() {
            let why = format!("the component has more than upload_bytes_max ({}) bytes", self.bytes_max);
            return Err(Refusal::Exhausted(why));
        }
        self.bytes.extend_from_slice(&chunk);
        Ok(())
    }

    /// All of it, and its signature, empty where there is none.
    pub fn finish(self) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
        if self.bytes.is_empty() {
            return Err(Refusal::invalid("chunk", "not one byte was sent; a component is expected"));
        }
        Ok((self.bytes, self.signature))
    }
}

/// What to revoke.
#[derive(Debug, PartialEq, Eq)]
pub enum Revoke {
    /// A plugin, by digest or name.
    Plugin(String),
    /// A key that plugins are signed with.
    Key(SigningKey),
}

/// What is to be revoked, and why.
pub fn revoke(request: v1::RevokePluginRequest) -> Result<(Revoke, String), Refusal> {
    let v1::RevokePluginRequest { plugin, signing_key, why } = request;
    let revoke = match (plugin.is_empty(), signing_key.is_empty()) {
        (false, true) => Revoke::Plugin(plugin),
        (true, false) => {
            let Digest(key) = Digest::from_hex(&signing_key)
                .ok_or_else(|| Refusal::invalid("signing_key", "is no ed25519 public key: 64 hex digits"))?;
            Revoke::Key(key)
        }
        _ => return Err(Refusal::invalid("plugin", "give a plugin or a signing key, one of them")),
    };
    Ok((revoke, why))
}

/// What was revoked.
pub fn revoked(Revoked { plugins, rules }: Revoked) -> v1::RevokePluginResponse {
    let plugins = plugins.into_iter().map(|info| plugin((info, Vec::new()))).collect();
    v1::RevokePluginResponse { plugins, rules }
}

/// What was kept.
pub fn uploaded(
    (info, check): (PluginInfo, Duration),
    rules: Vec<String>,
    view: Option<PluginView>,
) -> v1::UploadPluginResponse {
    let compile_us = u64::try_from(check.as_micros()).unwrap_or(u64::MAX);
    v1::UploadPluginResponse { plugin: Some(plugin((info, rules))), compile_us, report: view.map(report) }
}

/// What judging took, and what may be taken.
pub fn report(PluginView { report: golden, needs, allowed }: PluginView) -> v1::PluginReport {
    let (fuel_per_alert, fault) = (golden.fuel_per_alert(), golden.fault_text());
    let Report { parameters, alerts, suppressed, fuel: _, memory_bytes, fault: _ } = golden;
    let (alert_count, suppressed_count) = (alerts, suppressed);
    let limits = allowed.into_iter().map(limit).collect();
    let Needs { imports, exports, memory_bytes: _, table_entries: _ } = needs;
    v1::PluginReport {
        parameters,
        alert_count,
        suppressed_count,
        fuel_per_alert,
        memory_bytes,
        fault,
        limits,
        imports,
        exports,
    }
}

fn limit(allowed: Allowed) -> v1::PluginLimit {
    let effective = allowed.effective();
    let Allowed { name, host, operator, asked } = allowed;
    v1::PluginLimit { name: name.to_owned(), host, operator, asked, effective }
}

/// A plugin, and the rules that use it.
pub fn plugin((info, rules): (PluginInfo, Vec<String>)) -> v1::Plugin {
    let PluginInfo {
        digest,
        name,
        version,
        summary,
        parameters_schema,
        state_key,
        state_words,
        state_version,
        reasons,
        reads,
        size_bytes,
        uploaded_ms,
        owners,
        signed_by,
        revoked,
    } = info;
    let (revoked_at_ms, revoked_by, revoked_why) = match revoked {
        Some(Revocation { at_ms, who, why }) => (Some(at_ms), who, why),
        None => (None, String::new(), String::new()),
    };
    let state_key = match state_key {
        _ if state_words == 0 => v1::StateKey::Unspecified,
        StateKey::Device => v1::StateKey::Device,
        StateKey::DeviceAndCode => v1::StateKey::DeviceAndCode,
    };
    v1::Plugin {
        digest: digest.to_string(),
        name,
        version,
        summary,
        parameters_schema,
        state_key: state_key.into(),
        state_words,
        state_version,
        reasons,
        size_bytes,
        uploaded_at_ms: uploaded_ms,
        rules,
        owners: owners.into_iter().map(|owner| owner.get().into()).collect(),
        signed_by: signed_by.into_iter().map(|key| Digest(key).to_string()).collect(),
        revoked_at_ms,
        revoked_by,
        revoked_why,
        reads: Column::ALL.into_iter().filter(|one| reads.contains(*one)).map(|one| column(one).into()).collect(),
    }
}

/// A page of plugins, newest first, after one of them by its time of upload and digest.
pub fn plugins(
    plugins: Vec<(PluginInfo, Vec<String>)>,
    after: Option<(Millis, Digest)>,
    room: Room,
) -> v1::ListPluginsResponse {
    let key = |uploaded_ms, digest| (Reverse(uploaded_ms), digest);
    let follows = |(info, _): &(PluginInfo, Vec<String>)| {
        after.is_none_or(|(ms, digest)| key(info.uploaded_ms, info.digest) > key(ms, digest))
    };
    let token = |last: &v1::Plugin| format!("{}.{}", last.uploaded_at_ms, last.digest);
    let (plugins, next_page_token) = fill(plugins.into_iter().filter(follows), room, plugin, token);
    v1::ListPluginsResponse { plugins, next_page_token }
}

fn column(column: Column) -> v1::PluginColumn {
    match column {
        Column::Device => v1::PluginColumn::Device,
        Column::Occurred => v1::PluginColumn::Occurred,
        Column::Measurement => v1::PluginColumn::Measurement,
        Column::Weight => v1::PluginColumn::Weight,
        Column::Operator => v1::PluginColumn::Operator,
        Column::Model => v1::PluginColumn::Model,
    }
}
