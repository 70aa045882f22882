//! What the audit log says: who did what to what, when.
//!
//! It must not know who reads it. Invariant: every text is bounded and free of what a terminal would obey.

use super::{Millis, shown};

/// A hash of the chain.
pub type AuditHash = [u8; 32];

/// Characters of one text.
const TEXT_CHARS_MAX: usize = 1_000;

/// Something worth an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Who did it; empty for whoever is on the machine where nobody has to say.
    pub who: String,
    /// What they did, like `token.create`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// For people.
    pub detail: String,
}

impl AuditEvent {
    /// An event, its texts cut and cleaned.
    pub fn new(who: &str, action: &str, subject: &str, detail: &str) -> Self {
        let clean = |text: &str| shown(text, TEXT_CHARS_MAX);
        Self { who: clean(who), action: clean(action), subject: clean(subject), detail: clean(detail) }
    }
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, from 1 without gaps.
    pub number: u64,
    /// When, by the host's clock.
    pub at_ms: Millis,
    /// What happened.
    pub event: AuditEvent,
    /// Hash of this and of the hash before.
    pub hash: AuditHash,
}
