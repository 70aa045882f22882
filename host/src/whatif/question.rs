//! What is asked, with every name settled and every default filled in: enough to ask it again.
//!
//! It must not know who asks or how. Invariant: equal questions are equal texts, so that their digests are equal.

use serde::{Deserialize, Serialize};

use super::readings::{AskedOfReadings, ReadingRole};
use crate::{
    comparison::mixed,
    domain::{AlertCode, Digest, Generation, Millis, OperatorId, Scope},
};

/// A scope as a text has it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Alerts {
    /// Distributor ids.
    pub operators: Vec<u8>,
    /// Generations by number.
    pub generations: Vec<u8>,
    /// Codes.
    pub codes: Vec<u16>,
    /// Models by name.
    pub models: Vec<String>,
}

impl From<&Scope> for Alerts {
    fn from(scope: &Scope) -> Self {
        Self {
            operators: scope.operators.iter().map(|operator| operator.get()).collect(),
            generations: scope.generations.iter().map(|generation| *generation as u8).collect(),
            codes: scope.codes.iter().map(|code| code.0).collect(),
            models: scope.models.clone(),
        }
    }
}

impl Alerts {
    /// As the domain has it.
    pub fn scope(&self) -> Scope {
        Scope {
            operators: self.operators.iter().filter_map(|id| OperatorId::new(u32::from(*id))).collect(),
            generations: self.generations.iter().filter_map(|number| Generation::from_number(*number)).collect(),
            codes: self.codes.iter().copied().map(AlertCode).collect(),
            models: self.models.clone(),
        }
    }
}

/// One plugin with parameters, in the candidate's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// What tells it from the others, for people.
    pub label: String,
    /// The plugin's digest, 64 hex digits.
    pub plugin_digest: String,
    /// Its name.
    pub plugin_name: String,
    /// A JSON object.
    pub parameters: String,
}

impl Variant {
    /// The plugin.
    pub fn plugin(&self) -> Option<Digest> {
        Digest::from_hex(&self.plugin_digest)
    }
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Name of the rule that the candidate stands for, or of the one that it would be.
    pub rule: String,
    /// The rule as the log has it, at every revision: what must lead to no change at all. Then the one variant says what
    /// the rule is at present, and its parameters are not used.
    pub as_recorded: bool,
    /// The candidate's place in the chain.
    pub order: u32,
    /// Which alerts the candidate sees.
    pub scope: Alerts,
    /// Which alerts the question is about: only they are counted.
    pub only: Alerts,
    /// Received at or after.
    pub since_ms: Option<Millis>,
    /// Received before.
    pub until_ms: Option<Millis>,
    /// How long before the range state begins; `None`: at the oldest log entry.
    pub warm_up_ms: Option<Millis>,
    /// What is tried: one or several, of which each is compared with what happened.
    pub variants: Vec<Variant>,
    /// Chooses the sampled alerts.
    pub seed: u64,
    /// Sampled alerts of each kind of change and variant.
    pub samples_max: usize,
    /// Devices listed for each variant.
    pub devices_max: usize,
    /// Asked by somebody who is told of one operator alone: log positions are left out of the answer.
    pub confined: bool,
    /// What is asked of readings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readings: Option<AskedOfReadings>,
}

impl Question {
    /// Times of receipt of what is counted.
    pub fn received_ms(&self) -> std::ops::Range<Millis> {
        self.since_ms.unwrap_or(Millis::MIN)..self.until_ms.unwrap_or(Millis::MAX)
    }

    /// Times of receipt of what must be folded.
    pub fn folded_ms(&self) -> std::ops::Range<Millis> {
        let since = match (self.since_ms, self.warm_up_ms) {
            (Some(since), Some(warm_up)) => since.saturating_sub(warm_up),
            _ => Millis::MIN,
        };
        since..self.received_ms().end
    }

    /// Returns true if readings stand in for the measurements that alerts do not have.
    pub fn is_by_readings(&self) -> bool {
        self.readings.as_ref().is_some_and(|asked| asked.role == ReadingRole::Filter)
    }

    /// Chooses samples.
    pub fn sample_seed(&self) -> u64 {
        mixed(self.seed)
    }
}
