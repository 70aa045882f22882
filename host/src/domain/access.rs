//! Who may ask, in which role, and by which token.
//!
//! It must not know how somebody proves who they are. Invariant: of a token only the hash is known here; an identity in
//! the role of an operator has exactly one operator.

use std::{fmt, str::FromStr, sync::Arc};

use super::{IdError, Millis, OperatorId};

/// What an identity may do. The numbers are on disk: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sends alerts.
    Ingest,
    /// Loads inventories.
    Inventory,
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
            Self::Inventory => "inventory",
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
    /// What it may send.
    pub sender: SenderLimits,
}

impl Identity {
    /// Somebody in a role, without limits to what they send.
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Self { name: name.into(), role, sender: SenderLimits::default() }
    }

    /// Whoever asks where nobody has to say who they are.
    pub fn local() -> Self {
        Self::new(String::new(), Role::Admin)
    }

    /// The operator that it is confined to.
    pub fn operator(&self) -> Option<OperatorId> {
        match self.role {
            Role::Operator(operator) => Some(operator),
            Role::Ingest | Role::Inventory | Role::Reader | Role::Auditor | Role::Admin => None,
        }
    }

    /// Whose limits its calls count against.
    pub fn tenant(&self) -> Tenant {
        self.operator().map_or_else(|| Tenant::Identity(self.name.clone()), Tenant::Operator)
    }
}

/// Whose limits a call counts against: an operator's, whichever of its tokens made it, or those of one identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tenant {
    /// All tokens of an operator.
    Operator(OperatorId),
    /// One identity by name; empty where nobody has to say who they are.
    Identity(String),
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(operator) => write!(f, "operator {operator}"),
            Self::Identity(name) if name.is_empty() => f.write_str("a client on this machine"),
            Self::Identity(name) => f.write_str(name),
        }
    }
}

/// A set of operators, the unknown one among them or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperatorSet(u128);

impl OperatorSet {
    /// Every operator, and the unknown one.
    pub const ALL: Self = Self(u128::MAX);

    /// Returns true if an operator is in the set.
    pub fn contains(self, operator: OperatorId) -> bool {
        self.0 >> operator.get() & 1 != 0
    }

    /// Returns true if every operator is.
    pub fn is_all(self) -> bool {
        self == Self::ALL
    }

    /// Returns the operators in ascending order; none for the set of all.
    pub fn listed(self) -> Vec<OperatorId> {
        let all = (0..100).filter_map(OperatorId::new);
        if self.is_all() { Vec::new() } else { all.filter(|operator| self.contains(*operator)).collect() }
    }
}

impl Default for OperatorSet {
    /// Returns the set of all.
    fn default() -> Self {
        Self::ALL
    }
}

impl FromIterator<OperatorId> for OperatorSet {
    /// Returns the set of these operators; of all where there are none.
    fn from_iter<I: IntoIterator<Item = OperatorId>>(operators: I) -> Self {
        match operators.into_iter().fold(0, |bits, operator| bits | 1 << operator.get()) {
            0 => Self::ALL,
            bits => Self(bits),
        }
    }
}

impl fmt::Display for OperatorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("all operators");
        }
        let listed: Vec<String> = self.listed().iter().map(ToString::to_string).collect();
        write!(f, "operator {}", listed.join(", "))
    }
}

/// Producer ids: one, or all that begin alike (`head-end-*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerPattern(String);

impl ProducerPattern {
    /// Characters of a producer's id.
    const CHARS_MAX: usize = 64;

    /// Returns true if an id fits.
    pub fn fits(&self, id: &str) -> bool {
        self.0.strip_suffix('*').map_or(self.0 == id, |prefix| id.starts_with(prefix))
    }
}

impl FromStr for ProducerPattern {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        const EXPECTED: &str = "a producer's id, or its beginning and *: 1 to 64 characters of A-Z a-z 0-9 . _ -";
        let id = text.strip_suffix('*').unwrap_or(text);
        let shaped = id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let fits = shaped && !text.is_empty() && id.len() <= Self::CHARS_MAX;
        if fits { Ok(Self(text.to_owned())) } else { Err(IdError::new(EXPECTED, text)) }
    }
}

impl fmt::Display for ProducerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a token may send. Without limits: everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SenderLimits {
    /// Operators whose alerts and devices it may send. A device that no inventory has is one of the unknown operator.
    pub operators: OperatorSet,
    /// Ids it may send under; none: any, and without one.
    pub producers: Arc<[ProducerPattern]>,
}

impl SenderLimits {
    /// Returns true if alerts may be sent under an id; empty stands for none.
    pub fn allows_producer(&self, id: &str) -> bool {
        self.producers.is_empty() || self.producers.iter().any(|pattern| pattern.fits(id))
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
    /// How many tokens were made under this name, this one included.
    pub issue: u32,
    /// What it may send.
    pub sender: SenderLimits,
}

impl Token {
    /// Whether it is good at a time.
    pub fn is_live(&self, now_ms: Millis) -> bool {
        self.revoked_ms.is_none() && now_ms < self.expires_ms
    }

    /// Returns what a certificate must name to stand for this token. The name alone would do for whoever had it before.
    pub fn certified_as(&self) -> String {
        if self.issue == 1 { self.name.clone() } else { format!("{}:{}", self.name, self.issue) }
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
    fn a_set_of_operators_has_those_it_was_made_of() {
        let [unknown, lond, last] = [0, 12, 99].map(|id| OperatorId::new(id).unwrap());
        let some = OperatorSet::from_iter([lond, last]);
        assert!(some.contains(lond) && some.contains(last) && !some.contains(unknown) && !some.is_all());
        assert_eq!((some.listed(), some.to_string().as_str()), (vec![lond, last], "operator 12, 99"));
        assert!(OperatorSet::from_iter([unknown]).contains(unknown));
        let all = OperatorSet::from_iter([]);
        assert!(all.is_all() && all.contains(lond) && all.contains(unknown) && all.listed().is_empty());
    }

    #[test]
    fn a_pattern_is_an_id_or_the_beginning_of_some() {
        let pattern = |text: &str| text.parse::<ProducerPattern>().unwrap();
        assert!(pattern("head-end-*").fits("head-end-1") && !pattern("head-end-*").fits("head-en"));
        assert!(pattern("a.b").fits("a.b") && !pattern("a.b").fits("a.bc") && pattern("*").fits(""));
        for wrong in ["", "a*b", "a b", "\u{202e}", &"x".repeat(65)] {
            assert!(wrong.parse::<ProducerPattern>().is_err(), "{wrong:?}");
        }
        let limits = |ids: &[&str]| SenderLimits {
            producers: ids.iter().map(|id| pattern(id)).collect(),
            ..SenderLimits::default()
        };
        assert!(
            limits(&[]).allows_producer("")
                && !limits(&["a"]).allows_producer("")
                && limits(&["a"]).allows_producer("a")
        );
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
            issue: 1,
            sender: SenderLimits::default(),
        };
        assert!(token.is_live(9) && !token.is_live(10));
        assert!(!Token { revoked_ms: Some(1), ..token }.is_live(1));
    }
}
