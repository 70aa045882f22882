//! Tokens and the audit log, as administrators and auditors ask for them.
//!
//! It must not know who may ask. Invariant: a token's text leaves the host once, in the answer that made it.

use super::{Command, Handle, Refusal, internal};
use crate::{
    audit::{Broken, Chain},
    domain::{AuditEntry, Millis, Role, SenderLimits, Token},
    pipeline::tokens,
    store,
};

/// How long a token may be good: 366 days.
const LIFETIME_MS_MAX: Millis = 366 * 86_400_000;

/// Entries that are checked at a time.
const CHECKED_AT_ONCE: usize = 1_000;

/// A token as somebody asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Who is to have it.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// How long it is good.
    pub lifetime_ms: Millis,
    /// What they may send.
    pub sender: SenderLimits,
}

impl Handle {
    /// Makes a token: its text, and what is kept of it.
    pub async fn create_token(&self, new: NewToken) -> Result<(String, Token), Refusal> {
        let NewToken { name, role, lifetime_ms, sender } = new;
        super::check_name(&name)?;
        if name == crate::domain::RuleRevision::HOST {
            return Err(Refusal::invalid("name", "\"host\" is what the host itself is called; choose another"));
        }
        if !(1..=LIFETIME_MS_MAX).contains(&lifetime_ms) {
            let message = format!("{lifetime_ms} is not 1 to {LIFETIME_MS_MAX} milliseconds (366 days)");
            return Err(Refusal::invalid("lifetime_ms", message));
        }
        let (secret, hash) = tokens::make()?;
        let made_ms = (self.clock)();
        let token = Token {
            name,
            role,
            hash,
            made_by: self.who.name.clone(),
            made_ms,
            expires_ms: made_ms.saturating_add(lifetime_ms),
            revoked_ms: None,
            issue: 1,
            sender,
        };
        let token = self.ask(|reply| Command::CreateToken(Box::new(token), reply)).await?;
        Ok((secret, token))
    }

    /// Every token that was made, in order of names.
    pub fn tokens(&self) -> Vec<Token> {
        self.shared.tokens.read().list().cloned().collect()
    }

    /// Revokes a token by the name of its holder.
    pub async fn revoke_token(&self, name: &str) -> Result<Token, Refusal> {
        self.ask(|reply| Command::RevokeToken(name.to_owned(), self.who.clone(), reply)).await
    }

    /// Entries of the audit log from a number on. Blocks on the disk: call it from a blocking task.
    pub fn audit(&self, from: u64, entries_max: usize) -> Result<Vec<AuditEntry>, Refusal> {
        self.shared.reader()?.audit(from, entries_max).map_err(internal)
    }

    /// Follows the audit log to its end, or to where it breaks. Blocks on the disk: call it from a blocking task.
    pub fn verify_audit(&self) -> Result<(Chain, Option<Broken>), Refusal> {
        let reader = self.shared.reader()?;
        let mut chain = Chain::default();
        let mut damaged = None;
        let broken = chain.follow_pages(|from| {
            self.go_on()?;
            reader.audit(from, CHECKED_AT_ONCE).or_else(|error| match error {
                // An entry that cannot be read ends the log.
                store::Error::Corrupt { key, what, .. } => {
                    damaged = Some(Broken { number: key.parse().unwrap_or(from), why: what.to_owned() });
                    Ok(Vec::new())
                }
                other => Err(internal(other)),
            })
        })?;
        Ok((chain, broken.or(damaged)))
    }
}
