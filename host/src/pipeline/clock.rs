//! The host's clock, and what happens while it is wrong.
//!
//! A clock is wrong if it is behind what this host has gone by before, or if it has jumped ahead of the time that has
//! passed since. Both can be told from the time of the last commit, which the store keeps, and from a monotonic clock.
//! Neither tells a clock that was wrong from the beginning.
//!
//! While the clock is wrong the host takes no alerts: alerts stamped by their senders would be rejected for good under a
//! clock that is behind, and the right clock would be behind the log after one that was ahead. Everything else goes by
//! the last time that was right and what has passed since: tokens neither expire nor come back by a jump.
//!
//! Invariant: time for retention by age never runs faster than twice real time, except that a clock which is ahead of it
//! by less than `intake.clock_ahead_s_max` is taken at its word, or where an administrator confirms the clock.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    config::IntakeLimits,
    domain::{ClockMark, Millis},
};

/// A clock: milliseconds since 1970-01-01T00:00:00Z.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// Time that has passed since some moment. It must not jump when a clock is set.
pub type Elapsed = Arc<dyn Fn() -> Duration + Send + Sync>;

/// 2025-01-01T00:00:00Z. This program did not exist before, so a clock that shows an earlier time is wrong.
const EARLIEST_MS: Millis = 1_735_689_600_000;

const DAY_MS: Millis = 86_400_000;

/// A clock that is wrong, as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongClock {
    /// What it shows.
    pub shows_ms: Millis,
    /// The time by what the host went by before and what has passed since.
    pub expected_ms: Millis,
}

impl fmt::Display for WrongClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.shows_ms < self.expected_ms { "behind" } else { "ahead" };
        let (shows, expected) = (Shown(self.shows_ms), Shown(self.expected_ms));
        write!(
            f,
            "the host's clock is {way}: it shows {shows}, and it is about {expected} by the last commit and the time \
             since; no alerts are taken until the clock is right again or an administrator confirms it (`weir host \
             confirm-clock`); send again later"
        )
    }
}

/// A time to the second, in UTC.
pub struct Shown(pub Millis);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{}", time.strftime("%Y-%m-%dT%H:%M:%SZ")),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// One look at the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The time to go by: what the clock shows unless it is wrong.
    pub now_ms: Millis,
    /// What is wrong with it.
    pub wrong: Option<WrongClock>,
}

/// Keeps the time of one host.
pub struct Timekeeper {
    wall: Clock,
    passed: Elapsed,
    behind_ms_max: Millis,
    ahead_ms_max: Millis,
    gap_ms_max: Millis,
    state: Mutex<State>,
}

/// The last reading that was right, and what follows from it.
#[derive(Debug, Clone, Copy)]
struct State {
    /// Whether the store's mark is known.
    has_begun: bool,
    accepted_ms: Millis,
    accepted_at: Duration,
    /// The latest time that was ever right.
    latest_ms: Millis,
    /// How far ahead of what is expected the next reading may be.
    ahead_ms_max: Millis,
    /// The time that retention goes by, and since when it is that.
    age_ms: Millis,
    aged_at: Duration,
}

impl Timekeeper {
    /// Goes by `wall` and `passed`. Until [`begin`](Self::begin) every time is right that this program can have seen.
    pub fn new(wall: Clock, passed: Elapsed, limits: &IntakeLimits) -> Self {
        let seconds = |seconds: u64| Millis::try_from(seconds).unwrap_or(Millis::MAX).saturating_mul(1_000);
        let at = passed();
        Self {
            wall,
            passed,
            // A sender's clock may be that far ahead of the host's: so no alert is rejected for the host's being behind.
            behind_ms_max: seconds(limits.clock_behind_s_max.min(limits.future_s_max.max(1))),
            ahead_ms_max: seconds(limits.clock_ahead_s_max),
            gap_ms_max: Millis::from(limits.clock_gap_days_max) * DAY_MS,
            state: Mutex::new(State {
                has_begun: false,
                accepted_ms: EARLIEST_MS,
                accepted_at: at,
                latest_ms: EARLIEST_MS,
                ahead_ms_max: Millis::MAX,
                age_ms: EARLIEST_MS,
                aged_at: at,
            }),
        }
    }

    /// Takes up the mark of a store that was just opened; `None` for a store that has none. Only the first call counts.
    pub fn begin(&self, mark: Option<ClockMark>) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.has_begun, true) {
            return;
        }
        let at = (self.passed)();
        let mark = mark.unwrap_or_else(|| {
            let now_ms = (self.wall)().max(EARLIEST_MS);
            ClockMark { latest_ms: now_ms, age_ms: now_ms }
        });
        (state.accepted_ms, state.accepted_at, state.latest_ms) = (mark.latest_ms, at, mark.latest_ms);
        (state.age_ms, state.aged_at) = (mark.age_ms, at);
        state.ahead_ms_max = if mark.latest_ms > EARLIEST_MS { self.gap_ms_max } else { Millis::MAX };
    }

    /// Reads the clock.
    pub fn read(&self) -> Reading {
        // One at a time, so that no reading is judged by one that came after it.
        let mut state = self.lock();
        let (shows_ms, at) = ((self.wall)(), (self.passed)());
        let expected_ms = state.expected_ms(at);
        let is_wrong = shows_ms < expected_ms.saturating_sub(self.behind_ms_max)
            || shows_ms > expected_ms.saturating_add(state.ahead_ms_max);
        let reading = if is_wrong {
            Reading { now_ms: expected_ms, wrong: Some(WrongClock { shows_ms, expected_ms }) }
        } else {
            state.accept(shows_ms, at, self.ahead_ms_max);
            Reading { now_ms: shows_ms, wrong: None }
        };
        state.age(reading, at, self.ahead_ms_max);
        reading
    }

    /// The time to go by.
    pub fn now_ms(&self) -> Millis {
        self.read().now_ms
    }

    /// The time that retention by age goes by, and the latest that the host went by: what the store keeps.
    pub fn mark(&self) -> ClockMark {
        self.read();
        let State { latest_ms, age_ms, .. } = *self.lock();
        ClockMark { latest_ms, age_ms }
    }

    /// The mark that a confirmed clock leaves: to be kept before it is [confirmed](Self::confirm).
    pub fn confirmed_mark(&self) -> ClockMark {
        let shows_ms = (self.wall)();
        ClockMark { latest_ms: shows_ms, age_ms: shows_ms }
    }

    /// Takes what the clock shows for the time, whatever was before.
    pub fn confirm(&self) {
        let mut state = self.lock();
        let (shows_ms, at) = ((self.wall)(), (self.passed)());
        state.accept(shows_ms, at, self.ahead_ms_max);
        (state.latest_ms, state.age_ms, state.aged_at) = (shows_ms, shows_ms, at);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in the middle leaves some older reading, which is as good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn expected_ms(&self, at: Duration) -> Millis {
        let since_ms = Millis::try_from(at.saturating_sub(self.accepted_at).as_millis()).unwrap_or(Millis::MAX);
        self.accepted_ms.saturating_add(since_ms).max(self.latest_ms)
    }

    fn accept(&mut self, shows_ms: Millis, at: Duration, ahead_ms_max: Millis) {
        (self.accepted_ms, self.accepted_at) = (shows_ms, at);
        self.latest_ms = self.latest_ms.max(shows_ms);
        self.ahead_ms_max = ahead_ms_max;
    }

    /// Lets the time of retention follow a reading.
    fn age(&mut self, reading: Reading, at: Duration, jump_ms: Millis) {
        let passed_ms = Millis::try_from(at.saturating_sub(self.aged_at).as_millis()).unwrap_or(Millis::MAX);
        // Whole milliseconds alone, so that many readings within one do not lose it.
        self.aged_at += Duration::from_millis(passed_ms.unsigned_abs());
        let behind_ms = reading.now_ms.saturating_sub(self.age_ms);
        self.age_ms = match reading.wrong {
            None if behind_ms <= jump_ms => self.age_ms.max(reading.now_ms),
            // Time under a clock that stays right makes up for time that may never have passed.
            None => self.age_ms.saturating_add(passed_ms.saturating_mul(2)).min(reading.now_ms),
            Some(_) => self.age_ms.saturating_add(passed_ms).min(reading.now_ms.max(self.age_ms)),
        };
    }
}

impl fmt::Debug for Timekeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timekeeper").field("state", &*self.lock()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
