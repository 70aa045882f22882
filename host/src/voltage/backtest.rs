//! Whether readings explain the alerts that were raised, at the threshold that meters are known to have had.
//!
//! An answer about another threshold is worth as much as this one: where meters alerted without a crossing, or did not
//! alert at one, either readings, thresholds or clocks are not what they seem.

use super::{Crossed, Unjoined};
use crate::domain::Millis;

/// Alerts and crossings of one phase of one meter, or of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backtest {
    /// Alerts of a period at whose end the threshold was crossed, or may have been.
    pub matched: u64,
    /// Alerts of a period at whose end it was not crossed, and second alerts of a period.
    pub without_crossing: u64,
    /// Alerts of which nothing can be said: no reading, none of the period before, or no known threshold.
    pub open: u64,
    /// Crossings, for sure, without an alert.
    pub without_alert: u64,
}

impl Backtest {
    /// Adds what is of another phase or meter.
    pub fn add(&mut self, other: Self) {
        self.matched += other.matched;
        self.without_crossing += other.without_crossing;
        self.open += other.open;
        self.without_alert += other.without_alert;
    }
}

/// Compares the periods of one phase of one meter, by their ends and in order, with the alerts that were raised: each by the
/// end of its period.
pub fn backtest(periods: &[(Millis, Crossed)], alerts: &[Result<Millis, Unjoined>]) -> Backtest {
    let mut found = Backtest::default();
    let mut has_alert = vec![false; periods.len()];
    for alert in alerts {
        let period = alert.ok().and_then(|end_ms| periods.binary_search_by_key(&end_ms, |(end_ms, _)| *end_ms).ok());
        let Some(period) = period else {
            found.open += 1;
            continue;
        };
        let is_second = std::mem::replace(&mut has_alert[period], true);
        match periods[period].1 {
            Crossed::Surely | Crossed::Maybe if !is_second => found.matched += 1,
            Crossed::Unknown if !is_second => found.open += 1,
            _ => found.without_crossing += 1,
        }
    }
    let missed = periods.iter().zip(&has_alert).filter(|((_, crossed), alert)| *crossed == Crossed::Surely && !**alert);
    found.without_alert = missed.count() as u64;
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alert_and_each_sure_crossing_is_in_one_figure() {
        let periods = [
            (10, Crossed::No),
            (20, Crossed::Surely),
            (30, Crossed::Maybe),
            (40, Crossed::Unknown),
            (50, Crossed::Surely),
        ];
        let alerts = [Ok(10), Ok(20), Ok(20), Ok(30), Ok(40), Ok(60), Err(Unjoined::NoReading)];
        let found = backtest(&periods, &alerts);
        assert_eq!(found, Backtest { matched: 2, without_crossing: 2, open: 3, without_alert: 1 });
    }
}
