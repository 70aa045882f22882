//! The answer, as it is kept and shown: totals, what would change and where, and examples.
//!
//! It must not know how it was found. Invariant: it has everything with it, names included, so that it can be shown when
//! the log entries are gone; equal answers are equal texts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Question, readings::answer::ReadingAnswer};
use crate::domain::{Digest, Millis};

mod made;

/// What the answer stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Basis {
    /// Position of the log's oldest entry; 0 where positions are left out.
    pub oldest: u64,
    /// State begins here.
    pub from: u64,
    /// The range begins here.
    pub first: u64,
    /// The range ends here.
    pub end: u64,
    /// Some rule that was called keeps state.
    pub stateful: bool,
    /// No state was needed from before.
    pub whole: bool,
    /// The chain as it was was folded too, because some of its state may be missing.
    pub state_checked: bool,
}

/// Sums over alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sums {
    /// Passed on.
    pub forwarded: u64,
    /// Held back.
    pub suppressed: u64,
    /// What the forwarded ones stand for, by their weights.
    pub forwarded_represented: u64,
    /// What the suppressed ones stand for, by their weights.
    pub suppressed_represented: u64,
    /// What forwarded ones stand for beside themselves, by decision of rules; `None`: it cannot be known.
    pub withheld: Option<u64>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Now {
    /// What is compared.
    pub sums: Sums,
    /// Seen before: no rule was asked.
    pub duplicates: u64,
    /// Compared with nothing, by kind.
    pub not_replayable: BTreeMap<String, u64>,
}

/// Alerts by what happened and what would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Turned {
    /// Forwarded either way.
    pub both_forward: u64,
    /// Suppressed either way.
    pub both_suppress: u64,
    /// Forwarded, and would have been suppressed.
    pub newly_suppressed: u64,
    /// Suppressed, and would have been forwarded.
    pub newly_forwarded: u64,
    /// Forwarded either way, the second time because their code is protected from the candidate.
    pub overruled: u64,
}

/// What a row is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Key {
    /// Alert code.
    Code(u16),
    /// Distributor id.
    Operator(u8),
    /// Generation by number.
    Generation(u8),
    /// Model by name; empty for not known.
    Model(String),
    /// Day of receipt, by its start.
    Day(Millis),
    /// Hour of receipt, by its start.
    Hour(Millis),
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// What it is of.
    pub key: Key,
    /// Its alerts.
    pub turned: Turned,
}

/// A device and what would change of its alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedDevice {
    /// EUI-64.
    pub device: u64,
    /// Forwarded, and would have been suppressed.
    pub newly_suppressed: u64,
    /// Suppressed, and would have been forwarded.
    pub newly_forwarded: u64,
}

/// A decision with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Whether it was suppressed.
    pub suppressed: bool,
    /// The rule behind it; empty for none.
    pub rule: String,
    /// Its revision; 0 for none, and for a candidate.
    pub revision: u32,
    /// The rule's reason; empty for none.
    pub reason: String,
}

/// An alert whose end would be another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedAlert {
    /// Where it stands.
    pub position: u64,
    /// EUI-64.
    pub device: u64,
    /// Code.
    pub code: u16,
    /// Distributor id; 0 for not known.
    pub operator: u8,
    /// Generation by number.
    pub generation: u8,
    /// Model by name.
    pub model: String,
    /// Time of occurrence.
    pub occurred_ms: Millis,
    /// Time of receipt.
    pub received_ms: Millis,
    /// What it reports.
    pub measurement: Option<i32>,
    /// How many alerts it stands for.
    pub weight: u32,
    /// What was decided.
    pub recorded: Said,
    /// What would have been.
    pub computed: Said,
}

/// Calls that failed in the fold and not when it was live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The rule.
    pub rule: String,
    /// The kind of failure.
    pub kind: String,
    /// How many calls.
    pub calls: u64,
    /// The first one's words.
    pub detail: String,
}

/// What one variant would have changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The variant's label.
    pub label: String,
    /// What would have been.
    pub then: Sums,
    /// The difference.
    pub turned: Turned,
    /// By code, operator, generation, model, day and hour, each in order of its keys.
    pub rows: Vec<Row>,
    /// Rows that were left out because there were too many of their grouping: those that change least.
    pub rows_left_out: u64,
    /// Devices whose alerts would change most.
    pub devices: Vec<ChangedDevice>,
    /// Devices of which any alert would change.
    pub devices_changed: u64,
    /// A few of the alerts whose end would be another, in log order.
    pub samples: Vec<ChangedAlert>,
    /// Calls that failed.
    pub failed: Vec<Failed>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The engine and its version.
    pub engine: String,
    /// What it stands on.
    pub basis: Basis,
    /// What happened.
    pub now: Now,
    /// What would have, for each variant in the order of the question.
    pub outcomes: Vec<Outcome>,
    /// What readings say, where they were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readings: Option<ReadingAnswer>,
}

/// An answer as it is kept: its bytes, what they were asked for, and what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The answer as JSON.
    pub text: String,
    /// SHA-256 over question, positions and engine: the same for everybody who asks the same.
    pub question_digest: Digest,
    /// SHA-256 of the text.
    pub answer_digest: Digest,
}

impl Answer {
    /// Itself as it is kept. An error says why it cannot be written.
    pub fn keep(&self, question: &Question) -> Result<Kept, String> {
        let json = |error: serde_json::Error| format!("JSON: {error}");
        let text = serde_json::to_string(self).map_err(json)?;
        // What nothing but the answer's place depends on is left out: who asked, when, under which name.
        let asked = match &self.readings {
            None => serde_json::to_string(&(question, &self.engine, &self.basis)),
            Some(answer) => serde_json::to_string(&(question, &self.engine, &self.basis, answer.digests())),
        };
        let asked = asked.map_err(json)?;
        let digest = |text: &str| Digest(Sha256::digest(text.as_bytes()).into());
        Ok(Kept { question_digest: digest(&asked), answer_digest: digest(&text), text })
    }

    /// From what was kept.
    pub fn read(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("JSON: {error}"))
    }
}
