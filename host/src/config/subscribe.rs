//! What subscribers to forwarded alerts may take up.
//!
//! It must not know how alerts are given out.

use serde::{Deserialize, Serialize};

/// Streams of forwarded alerts, and the cursors that remember how far they came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubscribeLimits {
    /// Streams of forwarded alerts that are open at once. Default: 64; 1 to 10,000.
    pub streams_max: usize,
    /// Of those, streams of one identity; the tokens of one operator are one. Default: 16; 1 to 10,000.
    pub identity_streams_max: usize,
    /// Cursors kept. Default: 1,000; 1 to 100,000.
    pub cursors_max: usize,
    /// Cursors kept of one identity. Default: 32; 1 to 1,000.
    pub identity_cursors_max: usize,
    /// Alerts in one message to a subscriber. Default: 1,000; 1 to 10,000.
    pub message_alerts_max: usize,
    /// How often a subscriber is told how far the log has come when none of its alerts came, in milliseconds. Default: 5,000; 100
    /// to 3,600,000.
    pub progress_every_ms: u64,
}

impl Default for SubscribeLimits {
    fn default() -> Self {
        Self {
            streams_max: 64,
            identity_streams_max: 16,
            cursors_max: 1_000,
            identity_cursors_max: 32,
            message_alerts_max: 1_000,
            progress_every_ms: 5_000,
        }
    }
}
