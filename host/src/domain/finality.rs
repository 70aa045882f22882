//! Until when counts are final: the one place that decides it, for every table, page and report.
//!
//! An alert counts in the hour and day of its receipt, so that is final once it is over. By the time of occurrence nothing is
//! final for two days more: the DCC keeps an alert that it cannot deliver for as long.

use super::Millis;

/// How long the DCC keeps an alert that it cannot deliver.
const UNDELIVERED_MS: Millis = 2 * 24 * 3_600_000;

/// The times before which no more alerts are expected, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinalUntil {
    /// By the time of receipt.
    pub received_ms: Millis,
    /// By the time of occurrence.
    pub occurred_ms: Millis,
}

impl FinalUntil {
    /// Returns the times as of `now_ms`.
    pub fn at(now_ms: Millis) -> Self {
        Self { received_ms: now_ms, occurred_ms: now_ms.saturating_sub(UNDELIVERED_MS) }
    }

    /// Returns true if alerts received before `end_ms` may still come.
    pub fn is_receipt_open(self, end_ms: Millis) -> bool {
        end_ms > self.received_ms
    }

    /// Returns true if alerts that occurred before `end_ms` may still come.
    pub fn is_occurrence_open(self, end_ms: Millis) -> bool {
        end_ms > self.occurred_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_receipt_is_final_when_it_is_over_and_a_day_of_occurrence_two_days_later() {
        const DAY_MS: Millis = 86_400_000;
        let until = FinalUntil::at(3 * DAY_MS);
        assert!(!until.is_receipt_open(3 * DAY_MS) && until.is_receipt_open(3 * DAY_MS + 1));
        assert!(!until.is_occurrence_open(DAY_MS) && until.is_occurrence_open(DAY_MS + 1));
    }
}
