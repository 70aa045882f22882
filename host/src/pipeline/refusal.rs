//! Why the pipeline did not do what it was asked.
//!
//! It must not know how a caller is told. Invariant: a refusal says what is wrong in words that a caller may be shown, and
//! of what is not there it names no more than that caller may know of.

use crate::{
    domain::{Eui64, OperatorId, owner_of_rule},
    near::{did_you_mean, nearest},
    pipeline::clock::WrongClock,
    registry::Registry,
};

/// Why the pipeline did not do what it was asked. Each becomes one gRPC status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A field of the request is wrong.
    #[error("{field}: {message}")]
    Invalid {
        /// The field, as the protocol names it.
        field: String,
        /// Its value, and what is allowed.
        message: String,
    },
    /// The caller may not ask for that.
    #[error("{field}: {message}")]
    Denied {
        /// The field, as the protocol names it.
        field: String,
        /// What the caller may ask for.
        message: String,
    },
    /// What is named does not exist.
    #[error("{message}")]
    NotFound {
        /// What kind of thing it would be, in one word.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What there is instead.
        message: String,
    },
    /// It contradicts what is there: a sequence with a gap, say.
    #[error("{0}")]
    Precondition(String),
    /// Another batch was taken under the number.
    #[error("{message}")]
    Taken {
        /// Id of the producer.
        producer: String,
        /// The number.
        sequence: u64,
        /// What differs, and what to do.
        message: String,
    },
    /// A limit is reached, and waiting alone does not help.
    #[error("{0}")]
    Exhausted(String),
    /// Others are at it: the same call may pass in a moment.
    #[error("{0}")]
    Busy(String),
    /// Not now: the store is full, or the host is stopping.
    #[error("{0}")]
    Unavailable(String),
    /// No alerts are taken while the host's clock is wrong.
    #[error("{0}")]
    WrongClock(WrongClock),
    /// Our fault.
    #[error("{0}")]
    Internal(String),
}

impl Refusal {
    /// A field of the request is wrong.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }

    /// What is named does not exist.
    pub fn not_found(kind: &'static str, name: impl ToString, message: impl Into<String>) -> Self {
        Self::NotFound { kind, name: name.to_string(), message: message.into() }
    }
}

/// Why a rule that is named is not there, told to somebody who may know of the rules of one owner, or of all.
pub fn no_such_rule(registry: &Registry, name: &str, owner: Option<OperatorId>) -> Refusal {
    let rules = registry.rules();
    let told = rules.iter().map(|standing| standing.revision.name.as_str());
    let names: Vec<&str> = told.filter(|name| owner.is_none() || owner_of_rule(name) == owner).collect();
    let others = if names.is_empty() { "there is none".to_owned() } else { format!("there are: {}", names.join(", ")) };
    let near = did_you_mean(nearest(name, names.iter().copied()));
    Refusal::not_found("rule", name, format!("no rule is named {name:?}; {others}{near}"))
}

/// The same of a rule that never was there, told to somebody who may know of the rules of one owner, or of all.
pub fn never_a_rule(registry: &Registry, name: &str, owner: Option<OperatorId>) -> String {
    let near = nearest(name, registry.names().filter(|name| owner.is_none() || owner_of_rule(name) == owner));
    format!("no rule was ever named {name:?}{}", did_you_mean(near))
}

/// Why a device that is named is not there; `near` is one that the caller may know of.
pub fn no_such_device(eui: Eui64, near: Option<Eui64>) -> Refusal {
    let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
    Refusal::not_found("device", eui, format!("device {eui} is not in the inventory, and no alert has named it{near}"))
}
