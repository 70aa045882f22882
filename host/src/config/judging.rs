//! What of a configuration judging depends on.
//!
//! It must not know who judges. Invariant: a setting that can change what is said of an alert, and is not obeyed from the
//! log's record of a failure, is in what comes of this.

use super::{Config, ConfigError, LimitsByOwner, PluginLimits};
use crate::domain::{GuestRoom, JudgingSettings, TURN_ALERTS};

impl Config {
    /// The settings that the log keeps with what is judged. It fails where [`protected_codes`](Self::protected_codes) does.
    pub fn judging(&self) -> Result<JudgingSettings, ConfigError> {
        let limits = LimitsByOwner::new(self.plugins.clone());
        Ok(JudgingSettings {
            protected: self.protected_codes()?.into_iter().collect(),
            state_codes_per_device_max: u32::try_from(limits.host.state_codes_per_device_max).unwrap_or(u32::MAX),
            turn_alerts: TURN_ALERTS,
            stack_bytes_max: limits.host.stack_bytes_max as u64,
            host: limits.host.room(),
            operators: limits.operators.room(),
        })
    }
}

impl PluginLimits {
    /// What one instance may have, and how long it may be called.
    pub fn room(&self) -> GuestRoom {
        GuestRoom {
            memory_bytes_max: self.memory_bytes_max as u64,
            table_entries_max: self.table_entries_max as u64,
            deadline_ms: self.deadline_ms,
        }
    }
}
