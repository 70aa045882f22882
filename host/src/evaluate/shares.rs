//! Shares of the time: how long the rules of each operator may judge, so that none can take the time of another.
//!
//! It must not know a clock: it is given one. Invariant: over any span of time the rules of one operator are called for
//! no more than their share of it, and one call beyond that.
//!
//! Each operator has a bucket of processor time that fills with the clock and is emptied by calls; another one is for
//! its shadow rules. A call may overdraw it, and then the next has to wait until that is made up for. Who has to wait
//! depends on how fast this machine is today: so alerts that pass a rule for it are on record, and replay obeys that.

use std::{cell::RefCell, collections::HashMap, fmt, sync::Arc, time::Duration};

use crate::{
    config::OperatorLimits,
    domain::{FaultKind, OperatorId, RuleFault},
};

/// What a bucket holds at most: the share of so much time. More would let a rule that had rested hold up a group for
/// longer.
const HELD: Duration = Duration::from_millis(100);

/// How often the alert at fault may be searched for among those of one operator: it can take a hundred times as long as
/// a call.
const SEARCH_EVERY: Duration = Duration::from_secs(60);

/// The time that passes, and that which this thread has worked.
#[derive(Clone)]
pub struct Times {
    /// Since whenever.
    pub passed: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// Processor time of the thread that asks.
    pub worked: Arc<dyn Fn() -> Duration + Send + Sync>,
}

/// Whose bucket: an operator's, for its active rules or for its shadows.
type Whose = (OperatorId, bool);

/// What is left, in nanoseconds; less than nothing after a call that took longer than there was.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left_ns: i64,
    filled: Duration,
    searched: Option<Duration>,
}

/// The buckets of all operators.
pub struct Shares {
    times: Times,
    percent: u32,
    call_max: Duration,
    buckets: RefCell<HashMap<Whose, Bucket>>,
}

impl Shares {
    /// Full buckets.
    pub fn new(limits: &OperatorLimits, times: Times) -> Self {
        Self {
            times,
            percent: limits.time_percent_max,
            call_max: Duration::from_micros(limits.call_us_max),
            buckets: RefCell::default(),
        }
    }

    /// Whether there is time for another call.
    pub fn has_left(&self, whose: Whose) -> bool {
        let now = (self.times.passed)();
        let full_ns = self.share_ns(HELD);
        let mut buckets = self.buckets.borrow_mut();
        let bucket = buckets.entry(whose).or_insert(Bucket { left_ns: full_ns, filled: now, searched: None });
        let gained_ns = self.share_ns(now.saturating_sub(bucket.filled));
        bucket.left_ns = bucket.left_ns.saturating_add(gained_ns).min(full_ns);
        bucket.filled = now;
        bucket.left_ns > 0
    }

    /// Whether it is time to search for an alert at fault once more; notes that it is done.
    pub fn may_search(&self, whose: Whose) -> bool {
        let now = (self.times.passed)();
        let mut buckets = self.buckets.borrow_mut();
        let Some(bucket) = buckets.get_mut(&whose) else { return false };
        let may = bucket.searched.is_none_or(|last| now.saturating_sub(last) >= SEARCH_EVERY);
        if may {
            bucket.searched = Some(now);
        }
        may
    }

    /// Runs a call and takes the time it works out of the bucket. One that works too long is a fault: fuel counts what
    /// is computed, and a rule that waits for memory all the time computes little in much time.
    pub fn charge<T>(&self, whose: Whose, call: impl FnOnce() -> Result<T, RuleFault>) -> Result<T, RuleFault> {
        let begun = (self.times.worked)();
        let answer = call();
        let took = (self.times.worked)().saturating_sub(begun);
        if let Some(bucket) = self.buckets.borrow_mut().get_mut(&whose) {
            bucket.left_ns = bucket.left_ns.saturating_sub(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX));
        }
        match answer {
            Ok(_) if took > self.call_max => {
                let (took, max) = (took.as_micros(), self.call_max.as_micros());
                let why = format!("took {took} us of processor time and may take {max} (plugins.operator.call_us_max)");
                Err(RuleFault::new(FaultKind::Deadline, &why))
            }
            answer => answer,
        }
    }

    fn share_ns(&self, of: Duration) -> i64 {
        let ns = of.as_nanos() * u128::from(self.percent) / 100;
        i64::try_from(ns).unwrap_or(i64::MAX)
    }
}

impl fmt::Debug for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shares").field("percent", &self.percent).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Shares with clocks that are set by hand, in microseconds.
    fn shares(call_us_max: u64) -> (Shares, Arc<AtomicU64>, Arc<AtomicU64>) {
        let (passed, worked) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let reads = |clock: &Arc<AtomicU64>| {
            let clock = Arc::clone(clock);
            Arc::new(move || Duration::from_micros(clock.load(Ordering::SeqCst)))
        };
        let times = Times { passed: reads(&passed), worked: reads(&worked) };
        let limits = OperatorLimits { time_percent_max: 5, call_us_max, ..OperatorLimits::default() };
        (Shares::new(&limits, times), passed, worked)
    }

    const WHOSE: Whose = (OperatorId::UNKNOWN, false);

    fn work(shares: &Shares, clock: &AtomicU64, us: u64) -> Result<(), RuleFault> {
        shares.charge(WHOSE, || {
            clock.fetch_add(us, Ordering::SeqCst);
            Ok(())
        })
    }

    #[test]
    fn a_debt_is_made_up_for_before_the_next_call() {
        let (shares, passed, worked) = shares(1_000_000);
        assert!(shares.has_left(WHOSE), "a bucket begins full: 5 ms");
        work(&shares, &worked, 6_000).unwrap();
        assert!(!shares.has_left(WHOSE));
        passed.fetch_add(19_000, Ordering::SeqCst);
        assert!(!shares.has_left(WHOSE), "0.95 of 1 ms is made up for");
        passed.fetch_add(2_000, Ordering::SeqCst);
        assert!(shares.has_left(WHOSE));
        assert!(shares.has_left((WHOSE.0, true)), "shadows have a bucket of their own");
    }

    #[test]
    fn over_a_long_time_a_share_is_what_it_says() {
        let (shares, passed, worked) = shares(1_000_000);
        for _ in 0..100_000 {
            if shares.has_left(WHOSE) {
                work(&shares, &worked, 900).unwrap();
            }
            passed.fetch_add(100, Ordering::SeqCst);
        }
        let (passed, worked) = (passed.load(Ordering::SeqCst), worked.load(Ordering::SeqCst));
        let most = passed / 20 + 5_000 + 900;
        assert!((passed / 20..=most).contains(&worked), "{worked} us of {passed}");
    }

    #[test]
    fn a_call_that_works_too_long_is_a_fault_and_is_charged() {
        let (shares, _passed, worked) = shares(4_000);
        assert!(shares.has_left(WHOSE));
        assert_eq!(work(&shares, &worked, 4_000), Ok(()));
        let fault = work(&shares, &worked, 4_001).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Deadline);
        assert!(fault.detail.starts_with("took 4001 us of processor time and may take 4000"), "{}", fault.detail);
        assert!(!shares.has_left(WHOSE));
    }

    #[test]
    fn a_search_is_made_once_in_a_while() {
        let (shares, passed, _worked) = shares(4_000);
        assert!(shares.has_left(WHOSE));
        assert_eq!([shares.may_search(WHOSE), shares.may_search(WHOSE)], [true, false]);
        passed.fetch_add(60_000_000, Ordering::SeqCst);
        assert!(shares.may_search(WHOSE));
    }
}
