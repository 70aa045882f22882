//! Who may ask, in which role, and by which token.
//!
//! It must not know how somebody proves who they are. Invariant: of a token only the hash is known here; an identity in
//! the role of an operator has exactly one operator.

use super::{Millis, OperatorId};

/// What an identity may do. The numbers are on disk: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sends alerts and inventories.
    Ingest,
    /// Reads what operators, rules and counts there are.
    Reader,
    /// One operator: its own plugins, its own rules over its own alerts, its own counts.
    Operator(OperatorId),
    /// Reads everything, changes nothing.
    Auditor,
    /// Everything.
    Admin,
}

impl Role {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Reader => "reader",
            Self::Operator(_) => "operator",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }
}

/// Somebody who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name, as revisions and the audit log have it; empty for whoever is on this machine, where nobody has to say.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

impl Identity {
    /// Whoever asks where nobody has to say who they are.
    pub fn local() -> Self {
        Self { name: String::new(), role: Role::Admin }
    }

    /// The operator that it is confined to.
    pub fn operator(&self) -> Option<OperatorId> {
        match self.role {
            Role::Operator(operator) => Some(operator),
            Role::Ingest | Role::Reader | Role::Auditor | Role::Admin => None,
        }
    }
}

/// SHA-256 of a token. A token is 32 random bytes, so there is nothing to guess that a slow hash would protect.
pub type TokenHash = [u8; 32];

/// A token that was given out. The token itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Who has it: lower-case letters, digits and hyphens.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Its hash.
    pub hash: TokenHash,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made_ms: Millis,
    /// It is good before this time.
    pub expires_ms: Millis,
    /// Since when it is no longer good.
    pub revoked_ms: Option<Millis>,
}

impl Token {
    /// Whether it is good at a time.
    pub fn is_live(&self, now_ms: Millis) -> bool {
        self.revoked_ms.is_none() && now_ms < self.expires_ms
    }
}

/// Whose a rule is: the operator that its name begins with, as `12-` does. Others are the host's.
pub fn owner_of_rule(name: &str) -> Option<OperatorId> {
    let (id, rest) = name.split_at_checked(2)?;
    let digits = id.bytes().all(|b| b.is_ascii_digit()) && rest.starts_with('-');
    OperatorId::new(id.parse().ok().filter(|_| digits)?).filter(|operator| *operator != OperatorId::UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_belongs_to_the_operator_its_name_begins_with() {
        for (name, owner) in [("12-volts", Some(12)), ("99-", Some(99)), ("12volts", None), ("1-volts", None)] {
            assert_eq!(owner_of_rule(name).map(OperatorId::get), owner, "{name}");
        }
        for name in ["", "volts", "09-volts", "00-volts", "+1-volts", "\u{df}1-volts"] {
            assert_eq!(owner_of_rule(name), None, "{name}");
        }
    }

    #[test]
    fn a_token_is_good_until_it_expires_or_is_revoked() {
        let token = Token {
            name: "a".into(),
            role: Role::Reader,
            hash: [0; 32],
            made_by: String::new(),
            made_ms: 0,
            expires_ms: 10,
            revoked_ms: None,
        };
        assert!(token.is_live(9) && !token.is_live(10));
        assert!(!Token { revoked_ms: Some(1), ..token }.is_live(1));
    }
}
