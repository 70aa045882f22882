//! How many alerts of average voltage have a reading.
//!
//! It must not know how an alert is joined. Invariant: each alert that is asked about either has a reading or has none for
//! one reason.

use std::{collections::BTreeMap, ops::Range};

use super::{Handle, Refusal, internal};
use crate::{
    domain::{AlertCode, End, Generation, Millis, OperatorId, Position},
    evaluate::Filter,
    voltage::{Unjoined, UnjoinedCounts},
    whatif::TOLERANCE_MS,
};

/// Which alerts are looked at. An empty list lets everything through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoverageQuery {
    /// When they were received.
    pub received_ms: Range<Millis>,
    /// Operators.
    pub operators: Vec<OperatorId>,
    /// Generations.
    pub generations: Vec<Generation>,
}

/// Alerts of one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CodeCoverage {
    /// Those that have a reading.
    pub joined: u64,
    /// Those that have none.
    pub unjoined: UnjoinedCounts,
}

impl CodeCoverage {
    /// Counts an alert: why it has no reading, if it has none.
    fn add(&mut self, why: Option<Unjoined>) {
        match why {
            Some(why) => self.unjoined.add(why),
            None => self.joined += 1,
        }
    }

    /// Returns how many there are.
    pub fn alerts(&self) -> u64 {
        self.joined + self.unjoined.total()
    }
}

/// Alerts of average voltage, by code.
pub type ReadingCoverage = BTreeMap<AlertCode, CodeCoverage>;

impl Handle {
    /// Returns how many alerts of average voltage have a reading, by code. Duplicates and alerts with a measurement of their
    /// own are not counted. Blocks on the disk: call it from a blocking task.
    ///
    /// # Errors
    ///
    /// Refuses another caller's operators, and says where readings cannot be read.
    pub fn reading_coverage(&self, query: &CoverageQuery) -> Result<ReadingCoverage, Refusal> {
        let mut operators = query.operators.clone();
        self.limit_operators(&mut operators)?;
        let filter = Filter::of(&[], &operators, &query.generations, Vec::new());
        let models = self.shared.models.read().clone();
        let readings = self.voltages(&models)?;
        let mut coverage = ReadingCoverage::new();
        self.each_group(&query.received_ms, Position::default()..Position(u64::MAX), |_, group| {
            let Some(group) = group else { return Ok(()) };
            let rows = &group.rows;
            let is_meant = |row: usize| {
                query.received_ms.contains(&rows.received_ms[row])
                    && filter.admits(rows, row)
                    && group.mark_of(row).end != End::Duplicate
            };
            for (row, why) in readings.unjoined(rows, TOLERANCE_MS, &is_meant).map_err(internal)? {
                coverage.entry(AlertCode(rows.code[row])).or_default().add(why);
            }
            Ok(())
        })?;
        Ok(coverage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alert_has_a_reading_or_one_reason_why_not() {
        let mut coverage = CodeCoverage::default();
        let whys = [None, Some(Unjoined::NoTime), None, Some(Unjoined::Withheld), Some(Unjoined::NoTime)];
        whys.into_iter().for_each(|why| coverage.add(why));
        assert_eq!((coverage.alerts(), coverage.joined), (5, 2));
        let unjoined: Vec<_> = coverage.unjoined.iter().collect();
        assert_eq!(unjoined, [(Unjoined::NoTime, 2), (Unjoined::Withheld, 1)]);
    }
}
