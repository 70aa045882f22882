//! What the host changes by itself when it starts: rules that it stops, and a token for an admin where none has one.
//!
//! It must not know how the log was folded. Invariant: each change is a revision or a token like any other, with its entry in
//! the audit log, and all of them are one commit.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::{
    audit,
    domain::{AuditEntry, AuditEvent, Effects, Millis, Mode, Position, Role, Rule, RuleRevision, SenderLimits, Token},
    evaluate::{Cause, Divergence, SettingsByNo},
    pipeline::{
        changes::event_of,
        open::{Parts, StartError},
        tokens,
    },
    registry::Registry,
    store::Snapshot,
};

/// The first admin's token: its holder, its file in the data folder, and how long it is good.
const FIRST_ADMIN: &str = "first-admin";
const FIRST_ADMIN_FILE: &str = "first-admin-token";
const FIRST_ADMIN_MS: Millis = 30 * 86_400_000;

/// Which rules are stopped.
pub(super) struct Stop<'a> {
    /// Where a rule does not do again what it did.
    pub(super) diverged: &'a [Divergence],
    /// Settings of then and now.
    pub(super) settings: &'a SettingsByNo,
    /// Whether a rule's plugin is not run.
    pub(super) idle: &'a dyn Fn(&Rule) -> bool,
    /// Why it is not.
    pub(super) because: &'a str,
}

/// What was changed.
pub(super) struct OwnChanges {
    /// To be written; `None` where nothing was.
    pub(super) effects: Option<Effects>,
    /// Every token, new ones among them.
    pub(super) tokens: Vec<Token>,
    /// What the audit log goes on from.
    pub(super) chain_of_audit: audit::Chain,
}

/// Changes what has to be; the tokens are taken out of the snapshot.
pub(super) fn own_changes(
    (parts, now_ms): (&Parts, Millis),
    snapshot: &mut Snapshot,
    registry: &mut Registry,
    stop: &Stop<'_>,
) -> Result<OwnChanges, StartError> {
    let position = snapshot.position;
    let (mut revisions, mut notes) = (Vec::new(), Vec::new());
    for divergence in stop.diverged {
        let remark = stop.settings.remark(divergence.settings);
        match settle(registry, divergence, (position, now_ms), &remark) {
            Ok(revision) => revisions.push(revision),
            Err(note) => notes.push(note),
        }
    }
    revisions.extend(turn_off(registry, position, now_ms, (stop.idle, stop.because)));
    let mut chain_of_audit = snapshot.audit_last.as_ref().map(audit::Chain::after).unwrap_or_default();
    let mut audit: Vec<AuditEntry> =
        revisions.iter().map(|entry| chain_of_audit.append(event_of(entry), now_ms)).collect();
    audit.extend(notes.into_iter().map(|note| chain_of_audit.append(note, now_ms)));
    let mut tokens = std::mem::take(&mut snapshot.tokens);
    let made = first_admin(parts, &tokens, now_ms)?;
    for token in &made {
        let event = AuditEvent::new(RuleRevision::HOST, "token.create", &token.name, "admin, because no admin had one");
        audit.push(chain_of_audit.append(event, now_ms));
    }
    tokens.retain(|token| made.iter().all(|made| made.name != token.name));
    tokens.extend(made.iter().cloned());
    let replay_from = snapshot.replay_from;
    let effects = (!audit.is_empty()).then(|| Effects {
        revisions,
        tokens: made,
        audit,
        position,
        replay_from,
        ..Effects::default()
    });
    Ok(OwnChanges { effects, tokens, chain_of_audit })
}

/// A token for an admin, where one is asked for and no admin has one; its text goes into a file of the data folder.
fn first_admin(parts: &Parts, tokens: &[Token], now_ms: Millis) -> Result<Vec<Token>, StartError> {
    let has_admin = tokens.iter().any(|token| token.role == Role::Admin && token.is_live(now_ms));
    let Some(folder) = parts.folder.as_ref().filter(|_| parts.config.authenticate && !has_admin) else {
        return Ok(Vec::new());
    };
    let (secret, hash) = tokens::make().map_err(|why| StartError::Token(io::Error::other(why.to_string())))?;
    let path = folder.join(FIRST_ADMIN_FILE);
    write_secret(&path, &secret).map_err(StartError::Token)?;
    tracing::warn!(file = %path.display(), "no admin had a token: one is in this file; make others with it, then delete it");
    Ok(vec![Token {
        name: FIRST_ADMIN.to_owned(),
        role: Role::Admin,
        hash,
        made_by: RuleRevision::HOST.to_owned(),
        made_ms: now_ms,
        expires_ms: now_ms.saturating_add(FIRST_ADMIN_MS),
        revoked_ms: None,
        issue: tokens.iter().find(|token| token.name == FIRST_ADMIN).map_or(1, |before| before.issue.saturating_add(1)),
        sender: SenderLimits::default(),
    }])
}

/// Writes a file that nobody else can read.
fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")?;
    file.sync_all()
}

/// Turns those rules off whose plugin is not run, if they judge or are to be tried. What their state has missed cannot be told: it starts anew.
fn turn_off(
    registry: &mut Registry,
    since: Position,
    made_ms: Millis,
    (idle, because): (&dyn Fn(&Rule) -> bool, &str),
) -> Vec<RuleRevision> {
    let judging = |mode: Mode| mode.is_called() || mode == Mode::Quarantined;
    let rules: Vec<(String, Rule)> = registry
        .rules()
        .into_iter()
        .filter(|standing| judging(standing.rule.mode) && idle(standing.rule))
        .map(|standing| (standing.revision.name.clone(), standing.rule.clone()))
        .collect();
    let mut off = Vec::new();
    for (name, rule) in rules {
        let revision = registry.next_revision();
        let rule = Some(Rule { mode: Mode::Off, namespace: revision, ..rule });
        let (who, why) = (RuleRevision::HOST.to_owned(), because.to_owned());
        let entry = RuleRevision { revision, since, made_ms, name, rule, who, why };
        tracing::warn!(rule = entry.name, because, "rule turned off");
        registry.append(entry.clone());
        off.push(entry);
    }
    off
}

/// What becomes of a divergence: a revision of the rule that stands under the name now, or only a note.
///
/// What diverged is set aside where it still stands. Another revision that goes on with its state begins anew, for that state
/// is not to be had any more; so does a rule that this host kept from doing again what it did. Nobody else is concerned.
fn settle(
    registry: &mut Registry,
    divergence: &Divergence,
    (position, now_ms): (Position, Millis),
    remark: &str,
) -> Result<RuleRevision, AuditEvent> {
    let diverged = divergence.rule;
    let (name, was) = match registry.revision(diverged) {
        Some(entry) => (entry.name.clone(), entry.rule.clone()),
        None => (String::new(), None),
    };
    let detail = format!("revision {}: {divergence}{remark}", diverged.0);
    let note = |detail: &str| AuditEvent::new(RuleRevision::HOST, "rule.diverged", &name, detail);
    let (Some(standing), Some(was)) = (registry.rule(&name), was) else { return Err(note(&detail)) };
    let rule = standing.rule.clone();
    let is_same = (rule.plugin, &rule.parameters, rule.namespace) == (was.plugin, &was.parameters, was.namespace);
    let shares_state = registry.state_of(diverged).is_some()
        && registry.state_of(standing.revision.revision) == registry.state_of(diverged);
    let (mode, why) = match &divergence.cause {
        Cause::Rule(_) if is_same => {
            (Mode::SetAside, format!("set aside at start: it does not do again what it did: {divergence}"))
        }
        _ if shares_state => (rule.mode, format!("its state begins anew at start: {detail}")),
        _ => return Err(note(&detail)),
    };
    let revision = registry.next_revision();
    let rule = Rule { mode, namespace: revision, ..rule };
    let who = RuleRevision::HOST.to_owned();
    let entry = RuleRevision { revision, since: position, made_ms: now_ms, name, rule: Some(rule), who, why };
    registry.append(entry.clone());
    Ok(entry)
}
