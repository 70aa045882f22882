//! What must become of each alert, and the books that follow from it.
//!
//! It must not know how alerts are made. Invariant: every alert is entered once, under its code and under one rule.

use weir_proto::v1::Alert;

use super::RuleName;
use crate::books::{Books, Counts};

/// What must become of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It passes, and stands for so many held back before it.
    Forwarded {
        /// How many.
        withheld: u64,
    },
    /// A rule holds it back.
    Suppressed(RuleName),
    /// A rule would hold it back, but its code is protected: it passes.
    Overruled(RuleName),
    /// It cannot be taken.
    Rejected,
    /// It was seen before.
    Duplicate,
}

/// Where alerts are entered whose code is no code.
const NO_CODE: usize = 1 << 16;
/// Where alerts are entered that no rule touched.
const NO_RULE: usize = RuleName::ALL.len();

/// The books while the day goes on: one row for every possible code, so that entering takes no search.
#[derive(Debug)]
pub struct Ledger {
    codes: Vec<Counts>,
    rules: [Counts; NO_RULE + 1],
}

impl Ledger {
    /// Empty books.
    pub fn new() -> Self {
        Self { codes: vec![Counts::default(); NO_CODE + 1], rules: [Counts::default(); NO_RULE + 1] }
    }

    /// Enters one alert.
    pub fn enter(&mut self, alert: &Alert, fate: Fate) {
        let rule = match fate {
            Fate::Suppressed(rule) | Fate::Overruled(rule) => rule as usize,
            Fate::Forwarded { .. } | Fate::Rejected | Fate::Duplicate => NO_RULE,
        };
        let code = (alert.code as usize).min(NO_CODE);
        for counts in [&mut self.codes[code], &mut self.rules[rule]] {
            counts.received += 1;
            counts.represented += u64::from(alert.weight.max(1));
            match fate {
                Fate::Forwarded { withheld } => {
                    counts.forwarded += 1;
                    counts.withheld += withheld;
                }
                Fate::Suppressed(_) => counts.suppressed += 1,
                Fate::Overruled(_) => {
                    counts.forwarded += 1;
                    counts.overruled += 1;
                }
                Fate::Rejected => counts.rejected += 1,
                Fate::Duplicate => counts.duplicate += 1,
            }
        }
    }

    /// The books as they stand.
    pub fn books(&self) -> Books {
        let occurs = |counts: &Counts| counts.received > 0;
        let code = |index: usize| u16::try_from(index).ok();
        let names = RuleName::ALL.map(RuleName::text).into_iter().chain([""]);
        Books {
            by_code: self.codes.iter().enumerate().filter(|(_, c)| occurs(c)).map(|(i, c)| (code(i), *c)).collect(),
            by_rule: names.zip(&self.rules).filter(|(_, c)| occurs(c)).map(|(n, c)| (n.to_owned(), *c)).collect(),
        }
    }
}
