//! What the rules of operators may take up: quotas below the ceilings of the host.
//!
//! It must not know which operators there are. Invariant: what holds for an operator's rule is never more than what
//! holds for the host's own.

use serde::{Deserialize, Serialize};

use super::PluginLimits;
use crate::domain::OperatorId;

/// What each operator may take up. The smaller of quota and ceiling holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperatorLimits {
    /// Plugins. Default: 32; 1 to 10,000.
    pub plugins_max: usize,
    /// Rules, whatever their mode. Default: 8; 1 to 1,000.
    pub rules_max: usize,
    /// Revisions of its rules, those that are gone included. Default: 4,000; 1 to 1,000,000.
    pub revisions_max: usize,
    /// Size of an uploaded component, in bytes. Default: 8 MiB; 1 KiB to 256 MiB.
    pub upload_bytes_max: usize,
    /// Linear memory of one instance, in bytes. Default: 32 MiB; 1 MiB to 1 GiB.
    pub memory_bytes_max: usize,
    /// Entries of one table. Default: 20,000; 1 to 10,000,000.
    pub table_entries_max: usize,
    /// Fuel of a call before any alert. Default: 5,000,000; 1 to 1,000,000,000,000.
    pub fuel_per_call: u64,
    /// Fuel of a call for each alert. Default: 2,000; 1 to 1,000,000,000.
    pub fuel_per_alert: u64,
    /// Wall-clock backstop of a call, in milliseconds. Default: 200; 10 to 60,000.
    pub deadline_ms: u64,
    /// Processor time of a call, in microseconds: fuel says what is computed, this how long that took. Default: 10,000;
    /// 100 to 60,000,000.
    pub call_us_max: u64,
    /// Share of the time that the rules of one operator may judge, and again its shadow rules, in percent. Beyond it
    /// their alerts pass. Default: 5; 1 to 100.
    pub time_percent_max: u32,
    /// Parameters of a rule, in bytes of JSON. Default: 16 KiB; 2 B to 1 MiB.
    pub parameters_bytes_max: usize,
    /// Words of one state entry. Default: 8; 0 to 256.
    pub state_words_max: u32,
}

impl Default for OperatorLimits {
    fn default() -> Self {
        Self {
            plugins_max: 32,
            rules_max: 8,
            revisions_max: 4_000,
            upload_bytes_max: 8 << 20,
            memory_bytes_max: 32 << 20,
            table_entries_max: 20_000,
            fuel_per_call: 5_000_000,
            fuel_per_alert: 2_000,
            deadline_ms: 200,
            call_us_max: 10_000,
            time_percent_max: 5,
            parameters_bytes_max: 16 << 10,
            state_words_max: 8,
        }
    }
}

impl PluginLimits {
    /// What holds for the rules of an operator: the smaller of each ceiling and quota.
    #[must_use]
    fn of_operators(&self) -> Self {
        let quota = &self.operator;
        Self {
            upload_bytes_max: self.upload_bytes_max.min(quota.upload_bytes_max),
            memory_bytes_max: self.memory_bytes_max.min(quota.memory_bytes_max),
            table_entries_max: self.table_entries_max.min(quota.table_entries_max),
            fuel_per_call: self.fuel_per_call.min(quota.fuel_per_call),
            fuel_per_alert: self.fuel_per_alert.min(quota.fuel_per_alert),
            deadline_ms: self.deadline_ms.min(quota.deadline_ms),
            parameters_bytes_max: self.parameters_bytes_max.min(quota.parameters_bytes_max),
            state_words_max: self.state_words_max.min(quota.state_words_max),
            ..self.clone()
        }
    }
}

/// What holds for plugins and rules, by whose they are.
#[derive(Debug, Clone)]
pub struct LimitsByOwner {
    /// For the host's own: its ceilings.
    pub host: PluginLimits,
    /// For those of operators: the smaller of each ceiling and quota.
    pub operators: PluginLimits,
}

impl LimitsByOwner {
    /// With these ceilings, and the quotas among them.
    pub fn new(host: PluginLimits) -> Self {
        Self { operators: host.of_operators(), host }
    }

    /// For somebody's; the unknown operator is the host itself.
    pub fn of(&self, owner: OperatorId) -> &PluginLimits {
        if owner == OperatorId::UNKNOWN { &self.host } else { &self.operators }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_ceiling_and_quota_holds() {
        let operator = OperatorLimits { fuel_per_alert: 9, memory_bytes_max: 1 << 30, ..OperatorLimits::default() };
        let limits =
            PluginLimits { fuel_per_alert: 10, memory_bytes_max: 5 << 20, operator, ..PluginLimits::default() };
        let by_owner = LimitsByOwner::new(limits.clone());
        assert_eq!(by_owner.of(OperatorId::UNKNOWN), &limits);
        let held = by_owner.of(OperatorId::new(12).unwrap());
        assert_eq!((held.fuel_per_alert, held.memory_bytes_max), (9, 5 << 20));
        assert_eq!((held.text_bytes_max, held.stack_bytes_max), (limits.text_bytes_max, limits.stack_bytes_max));
    }
}
