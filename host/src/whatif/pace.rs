//! How fast a question may be worked on, how far it is, and whether it is to end.
//!
//! It must not know what is asked. Invariant: between two groups it stops at once when it is told to, and over any
//! stretch the work takes no more than its share of one processor.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How often somebody who rests looks whether to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Work that is done before a rest.
const STINT: Duration = Duration::from_millis(5);

/// What was done since the last rest.
#[derive(Debug, Clone, Copy)]
pub struct Stint {
    since: Instant,
    /// Of that time, what was spent waiting for others: that is rest, too.
    waited: Duration,
}

impl Stint {
    /// Begins now.
    pub fn begin() -> Self {
        Self { since: Instant::now(), waited: Duration::ZERO }
    }

    /// Says that so much of it was spent waiting.
    pub fn waited(&mut self, time: Duration) {
        self.waited += time;
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// It was cancelled.
    #[error("it was cancelled")]
    Cancelled,
    /// The host is stopping or its store is closed.
    #[error("the host stopped before it was answered")]
    Interrupted,
    /// Log entries that it needs went meanwhile.
    #[error("trimmed: log entries that it needs went by retention before it had read them; ask for a later range")]
    Overtaken,
    /// Another of its threads stopped, and says why: never the reason of a whole question.
    #[error("another of its threads was stopped")]
    Elsewhere,
    /// It ran as long as one may.
    #[error(
        "it ran for whatif.run_ms_max ({0} ms) without an end; ask for a shorter range or fewer variants, or have the \
         setting raised"
    )]
    TooLong(u64),
    /// Something else.
    #[error("{0}")]
    Failed(String),
}

/// The pace of one question.
#[derive(Debug, Default)]
pub struct Pace {
    cancelled: AtomicBool,
    rows_done: AtomicU64,
    rows_total: AtomicU64,
    /// Share of one processor, in percent; 0 and 100: all of it.
    cpu_percent_max: u32,
    /// When it began, and how long it may run; unset for as long as it takes.
    run: OnceLock<(Instant, Duration)>,
}

impl Pace {
    /// A question that may take so much of a processor.
    pub fn new(cpu_percent_max: u32) -> Self {
        Self { cpu_percent_max, ..Self::default() }
    }

    /// Begins to count its time.
    pub fn begin(&self, run_max: Duration) {
        // It begins once.
        let _ = self.run.set((Instant::now(), run_max));
    }

    /// Ends it.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it is to end.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Stopped::Cancelled);
        }
        match self.run.get() {
            Some((begun, max)) if begun.elapsed() >= *max => {
                Err(Stopped::TooLong(u64::try_from(max.as_millis()).unwrap_or(u64::MAX)))
            }
            _ => Ok(()),
        }
    }

    /// Rows folded, and rows there are to fold; 0 while that is not known.
    pub fn progress(&self) -> (u64, u64) {
        (self.rows_done.load(Ordering::Relaxed), self.rows_total.load(Ordering::Relaxed))
    }

    /// Says how many rows there are.
    pub fn expect(&self, rows: u64) {
        self.rows_total.store(rows, Ordering::Relaxed);
        self.rows_done.store(0, Ordering::Relaxed);
    }

    /// Says that so many more are done.
    pub fn advance(&self, rows: u64) {
        self.rows_done.fetch_add(rows, Ordering::Relaxed);
    }

    /// Rests, where enough was done in a stint, as long as the share asks for; then begins another.
    pub fn rest(&self, stint: &mut Stint) -> Result<(), Stopped> {
        self.check()?;
        let worked = stint.since.elapsed().saturating_sub(stint.waited);
        if !(1..100).contains(&self.cpu_percent_max) || worked < STINT {
            return Ok(());
        }
        let asked = worked * (100 - self.cpu_percent_max) / self.cpu_percent_max;
        let until = Instant::now() + asked.saturating_sub(stint.waited);
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            thread::sleep(left.min(LOOK_EVERY));
            self.check()?;
        }
        *stint = Stint::begin();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_take_a_quarter_rests_three_times_as_long_as_it_worked() {
        let pace = Pace::new(25);
        let mut stint = Stint::begin();
        thread::sleep(Duration::from_millis(10));
        let begun = Instant::now();
        pace.rest(&mut stint).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(30), "{:?}", begun.elapsed());
        // Waiting is no work, and as good as a rest.
        let mut stint = Stint::begin();
        thread::sleep(Duration::from_millis(10));
        stint.waited(Duration::from_secs(3_600));
        let begun = Instant::now();
        pace.rest(&mut stint).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(3_000), "{:?}", begun.elapsed());
        pace.cancel();
        assert_eq!(pace.rest(&mut stint), Err(Stopped::Cancelled));
    }

    #[test]
    fn what_runs_too_long_is_stopped_with_the_setting() {
        let pace = Pace::new(100);
        assert_eq!(pace.check(), Ok(()), "its time counts once it runs");
        pace.begin(Duration::ZERO);
        assert_eq!(pace.check(), Err(Stopped::TooLong(0)));
        assert!(Stopped::TooLong(5).to_string().contains("whatif.run_ms_max (5 ms)"));
    }
}
