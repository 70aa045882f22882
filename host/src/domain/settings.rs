//! The settings that judging depends on, as the log keeps them.
//!
//! It must not know where settings come from. Invariant: settings, once numbered, never change: a group of alerts is folded
//! again under those that it was judged under, whatever the configuration says since.

use super::{AlertCode, OperatorId};

/// Alerts of one call of an operator's rule: between two calls it is seen whether there is time for another.
pub const TURN_ALERTS: u32 = 1_024;

/// The number of the settings that a group was judged under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SettingsNo(pub u32);

impl SettingsNo {
    /// The log does not tell: it is older than such numbers.
    pub const UNKNOWN: Self = Self(0);
}

/// What one instance of a guest may have, and how long it may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestRoom {
    /// Linear memory, in bytes.
    pub memory_bytes_max: u64,
    /// Entries of one table.
    pub table_entries_max: u64,
    /// The wall-clock backstop of a call, in milliseconds.
    pub deadline_ms: u64,
}

/// What judging depends on beside alerts, rules and what the rules keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgingSettings {
    /// Codes that no rule can hold back, in ascending order.
    pub protected: Vec<AlertCode>,
    /// Codes of one device that one rule may keep state for.
    pub state_codes_per_device_max: u32,
    /// Alerts of one call of an operator's rule.
    pub turn_alerts: u32,
    /// The stack of a guest, in bytes.
    pub stack_bytes_max: u64,
    /// What guests of the host's own rules may have.
    pub host: GuestRoom,
    /// What guests of an operator's rules may have.
    pub operators: GuestRoom,
}

impl JudgingSettings {
    /// What the guest of somebody's rule may have; the unknown operator is the host itself.
    pub fn room(&self, owner: OperatorId) -> GuestRoom {
        if owner == OperatorId::UNKNOWN { self.host } else { self.operators }
    }

    /// In what others differ, in words; empty where in nothing.
    pub fn differences(&self, others: &Self) -> String {
        let numbers = |settings: &Self| {
            [
                ("state_codes_per_device_max", settings.state_codes_per_device_max.into()),
                ("alerts of one call", settings.turn_alerts.into()),
                ("stack_bytes_max", settings.stack_bytes_max),
                ("memory_bytes_max", settings.host.memory_bytes_max),
                ("table_entries_max", settings.host.table_entries_max),
                ("deadline_ms", settings.host.deadline_ms),
                ("operator.memory_bytes_max", settings.operators.memory_bytes_max),
                ("operator.table_entries_max", settings.operators.table_entries_max),
                ("operator.deadline_ms", settings.operators.deadline_ms),
            ]
        };
        let differ = numbers(self).into_iter().zip(numbers(others)).filter(|(then, now)| then != now);
        let mut words: Vec<String> =
            differ.map(|((name, then), (_, now))| format!("{name} was {then} and is {now}")).collect();
        if self.protected != others.protected {
            words.push("other codes were protected".to_owned());
        }
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named() {
        let room = GuestRoom { memory_bytes_max: 5, table_entries_max: 6, deadline_ms: 7 };
        let then = JudgingSettings {
            protected: vec![AlertCode(1)],
            state_codes_per_device_max: 2,
            turn_alerts: 3,
            stack_bytes_max: 4,
            host: room,
            operators: room,
        };
        assert_eq!(then.differences(&then), "");
        let operators = GuestRoom { memory_bytes_max: 8, ..room };
        let now = JudgingSettings { protected: Vec::new(), state_codes_per_device_max: 1, operators, ..then.clone() };
        let words = "state_codes_per_device_max was 2 and is 1, operator.memory_bytes_max was 5 and is 8, other codes were protected";
        assert_eq!(then.differences(&now), words);
    }
}
