//! Counts of alerts by what became of them, as the host states them and as the generator expects them.
//!
//! It must not know where counts come from. Invariant: `received` is a number of its own, never the sum of the four
//! ends, so that whether the books balance is a question with two answers.

use std::collections::BTreeMap;

/// Counts of one group of alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Alerts that arrived.
    pub received: u64,
    /// Alerts that passed on.
    pub forwarded: u64,
    /// Alerts that a rule held back.
    pub suppressed: u64,
    /// Alerts that could not be taken.
    pub rejected: u64,
    /// Alerts seen before.
    pub duplicate: u64,
    /// Sum of the weights of what arrived.
    pub represented: u64,
    /// Forwarded alerts with a protected code that a rule would have held back.
    pub overruled: u64,
    /// Suppressed alerts that forwarded ones stand for.
    pub withheld: u64,
}

impl Counts {
    /// Whether every alert that arrived has exactly one end.
    pub fn balance(&self) -> bool {
        self.received == self.forwarded + self.suppressed + self.rejected + self.duplicate
    }

    /// Adds another group.
    pub fn add(&mut self, other: &Self) {
        for ((_, mine), (_, theirs)) in self.fields_mut().into_iter().zip(other.fields()) {
            *mine += theirs;
        }
    }

    /// Every count with its name.
    pub fn fields(&self) -> [(&'static str, u64); 8] {
        let mut copy = *self;
        copy.fields_mut().map(|(name, count)| (name, *count))
    }

    fn fields_mut(&mut self) -> [(&'static str, &mut u64); 8] {
        [
            ("received", &mut self.received),
            ("forwarded", &mut self.forwarded),
            ("suppressed", &mut self.suppressed),
            ("rejected", &mut self.rejected),
            ("duplicate", &mut self.duplicate),
            ("represented", &mut self.represented),
            ("overruled", &mut self.overruled),
            ("withheld", &mut self.withheld),
        ]
    }
}

/// The same alerts counted by code and by rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Books {
    /// By alert code; `None` for rejected alerts whose code is none.
    pub by_code: BTreeMap<Option<u16>, Counts>,
    /// By the rule that suppressed them or was overruled; empty for alerts no rule touched.
    pub by_rule: BTreeMap<String, Counts>,
}

impl Books {
    /// All alerts, summed over the codes.
    pub fn total(&self) -> Counts {
        sum(self.by_code.values())
    }

    /// Whether every row balances and both groupings hold the same alerts.
    pub fn balance(&self) -> bool {
        let rows = self.by_code.values().chain(self.by_rule.values());
        rows.into_iter().all(Counts::balance) && self.total() == sum(self.by_rule.values())
    }

    /// Every count in which these books differ from what was expected, for people; empty when they are equal.
    pub fn differences(&self, expected: &Self) -> Vec<String> {
        let mut found = Vec::new();
        compare("code", &self.by_code, &expected.by_code, code_text, &mut found);
        compare("rule", &self.by_rule, &expected.by_rule, |rule| rule_text(rule), &mut found);
        found
    }
}

/// A code as people write it.
pub fn code_text(code: &Option<u16>) -> String {
    code.map_or_else(|| "none".to_owned(), |code| format!("{code:04X}"))
}

/// A rule's name, or what stands for none.
pub fn rule_text(rule: &str) -> String {
    if rule.is_empty() { "(no rule)".to_owned() } else { rule.to_owned() }
}

fn sum<'a>(rows: impl Iterator<Item = &'a Counts>) -> Counts {
    rows.fold(Counts::default(), |mut total, row| {
        total.add(row);
        total
    })
}

fn compare<K: Ord + Clone>(
    grouping: &str,
    actual: &BTreeMap<K, Counts>,
    expected: &BTreeMap<K, Counts>,
    text: impl Fn(&K) -> String,
    found: &mut Vec<String>,
) {
    let keys: std::collections::BTreeSet<&K> = actual.keys().chain(expected.keys()).collect();
    for key in keys {
        let of = |books: &BTreeMap<K, Counts>| books.get(key).copied().unwrap_or_default();
        for ((name, actual), (_, expected)) in of(actual).fields().into_iter().zip(of(expected).fields()) {
            if actual != expected {
                found.push(format!("{grouping} {}: {name} is {actual}, expected {expected}", text(key)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books(forwarded: u64) -> Books {
        let counts = Counts { received: 3, forwarded, suppressed: 1, ..Counts::default() };
        Books { by_code: [(Some(0x8F40), counts)].into(), by_rule: [(String::new(), counts)].into() }
    }

    #[test]
    fn books_balance_only_when_every_alert_has_one_end() {
        assert!(books(2).balance());
        assert!(!books(1).balance());
    }

    #[test]
    fn groupings_that_hold_different_alerts_do_not_balance() {
        let mut unequal = books(2);
        unequal.by_rule.clear();
        assert!(!unequal.balance());
    }

    #[test]
    fn every_difference_is_named() {
        assert!(books(2).differences(&books(2)).is_empty());
        let found = books(2).differences(&books(5));
        assert_eq!(
            found,
            ["code 8F40: forwarded is 2, expected 5", "rule (no rule): forwarded is 2, expected 5"].map(String::from)
        );
    }

    #[test]
    fn a_row_on_one_side_only_is_a_difference() {
        let found = Books::default().differences(&books(2));
        assert!(found.contains(&"code 8F40: received is 0, expected 3".to_owned()), "{found:?}");
    }
}
