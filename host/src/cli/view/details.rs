//! The details that the source of an alert states.

use serde::Serialize;
use weir_proto::v1;

use super::{code, time};

/// The details that the source of an alert states. JSON omits what it does not state.
#[derive(Debug, Serialize)]
pub(crate) struct Details {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mpxn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle_sequence: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupted_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl From<v1::AlertDetails> for Details {
    fn from(message: v1::AlertDetails) -> Self {
        let v1::AlertDetails {
            mpxn,
            throttle_sequence,
            instruction_count,
            interrupted_at_ms,
            restored_at_ms,
            inner_code,
            note,
        } = message;
        Self {
            mpxn: (mpxn != 0).then(|| mpxn.to_string()),
            throttle_sequence,
            instruction_count: (instruction_count != 0).then_some(instruction_count),
            interrupted_at_ms,
            restored_at_ms,
            inner_code: inner_code.map(code),
            note: Some(note).filter(|note| !note.is_empty()),
        }
    }
}

impl Details {
    /// What there is, in words.
    pub(super) fn words(&self) -> Vec<String> {
        let Self { mpxn, throttle_sequence, instruction_count, interrupted_at_ms, restored_at_ms, inner_code, note } =
            self;
        let words = [
            mpxn.as_ref().map(|mpxn| format!("at {mpxn}")),
            interrupted_at_ms.map(|ms| format!("interrupted {}", time(ms))),
            restored_at_ms.map(|ms| format!("restored {}", time(ms))),
            throttle_sequence.map(|number| format!("throttled, number {number}")),
            instruction_count.map(|count| format!("of {count} instructions")),
            inner_code.as_ref().map(|code| format!("passes on {code}")),
            note.clone(),
        ];
        words.into_iter().flatten().collect()
    }
}
