//! The rule `storm`: thins out storms of the same alert from the same device, and says how many it held back.
//!
//! For each device and code it keeps a window of event time, how many alerts the window has seen, and when one passed
//! last. `N` is `more_than`, `W` is `window_s`, `P` is `period_s`. An alert that occurred at `t`:
//!
//! 1. Its code is among `exclude_codes`: it passes. Nothing is counted.
//! 2. It begins a new window, which counts from zero, if nothing was seen before, or `t` is `W` or more after the
//!    start of the window, or `t` is more than a day before it. The window starts at `t`.
//! 3. It is counted in the window.
//! 4. It passes if it is among the first `N` of the window, or if `t` is `P` or more after the last that passed.
//!    Otherwise it is held back.
//!
//! So of a storm that stays within one window `N` alerts pass, and after them one each period. One that passes states
//! how many were held back since the one before: the "throttled count". It goes on over the windows, so after a storm
//! the next alert, whenever it comes, settles the account.
//!
//! Alerts are counted one by one, whatever their weight. Late ones (`t` before the window's start) count in the
//! current window, and never move the time of the last that passed back. A clock that was ahead is the reason for the
//! day in step 2: one alert from the year 2099 would else begin a window that every later alert falls into.
//!
//! A change of parameters keeps the running windows. One that holds back already does so until it ends.
//!
//! It must not know the time of day. Invariant: per device and code, what passes states in sum what was held back
//! before it, up to 2,147,483,647 at a time.

use serde::Deserialize;
use weir::{Alert, CodeSet, Columns, Description, Rule, StateKey, Verdict, Word};

/// The rule with its times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storm {
    more_than: u32,
    window_ms: i64,
    period_ms: i64,
    exclude_codes: CodeSet,
}

weir::reasons! {
    /// Why an alert is held back.
    pub enum Reason {
        Storm = "storm",
    }
}

weir::state! {
    /// What is known of one device and code. Its words are kept by the host: a change of meaning raises
    /// `state_version`. They are few because there are millions of them.
    pub struct Seen {
        /// When the window started, by event time.
        window_start_ms: i64,
        /// How far it has come.
        progress: Progress,
    }
}

/// How far a window has come: the latest event time of what passed in it, after its start, and the count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    passed_after_ms: u32,
    count: Count,
}

/// While a window counts nothing is held back, and while it holds back its count does not matter any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    /// Alerts in the window, 0 if none was ever seen.
    Passed(u32),
    /// Alerts held back since one passed.
    Withheld(u32),
}

impl Default for Count {
    fn default() -> Self {
        Self::Passed(0)
    }
}

/// The bit that tells one count from the other; they take the bits below it.
const WITHHELD_BIT: u32 = 1 << 31;
const COUNT_MAX: u32 = WITHHELD_BIT - 1;

impl Word for Progress {
    #[inline]
    fn from_word(word: u64) -> Self {
        let (passed_after_ms, count) = <(u32, u32)>::from_word(word);
        let number = count & COUNT_MAX;
        Self { passed_after_ms, count: if count == number { Count::Passed(number) } else { Count::Withheld(number) } }
    }

    #[inline]
    fn to_word(self) -> u64 {
        let count = match self.count {
            Count::Passed(number) => number,
            Count::Withheld(number) => number | WITHHELD_BIT,
        };
        (self.passed_after_ms, count).to_word()
    }
}

/// As `parameters.schema.json` has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    more_than: u32,
    window_s: u32,
    period_s: u32,
    #[serde(default)]
    exclude_codes: CodeSet,
}

/// Thirty days: longer windows are a mistake in the unit. Their milliseconds fit 32 bits.
const SECONDS_MAX: u32 = 2_592_000;

/// More alerts of one device and code are a storm, whoever asks.
const MORE_THAN_MAX: u32 = 1_000_000;

/// A day: how late an alert may come and still count in the current window.
const LATE_MS_MAX: i64 = 86_400_000;

impl Rule for Storm {
    type State = Seen;
    type Reason = Reason;
    const DESCRIPTION: Description = Description {
        name: "storm",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Thins out storms of the same alert from the same device, and counts what it withholds",
        parameters_schema: include_str!("../parameters.schema.json"),
        state_key: StateKey::DeviceAndCode,
        state_version: 1,
        reads: Columns { occurred_ms: true, ..Columns::NONE },
    };

    fn new(parameters: &str) -> Result<Self, String> {
        let Parameters { more_than, window_s, period_s, exclude_codes } = weir::parameters(parameters)?;
        if !(1..=MORE_THAN_MAX).contains(&more_than) {
            let allowed = format!("from 1 (the first alert of a window always passes) to {MORE_THAN_MAX}");
            return Err(format!("more_than: expected {allowed}, found {more_than}"));
        }
        let window_ms = milliseconds("window_s", window_s)?;
        let period_ms = milliseconds("period_s", period_s)?;
        Ok(Self { more_than, window_ms, period_ms, exclude_codes })
    }

    #[inline]
    fn evaluate(&self, alert: &Alert, seen: &mut Seen) -> Verdict<Reason> {
        if self.exclude_codes.contains(alert.code) {
            return Verdict::Forward;
        }
        let Progress { mut passed_after_ms, count } = seen.progress;
        let (passed, withheld) = match count {
            Count::Passed(number) => (number, 0),
            Count::Withheld(number) => (self.more_than, number),
        };
        // Event times come from devices: they may be anything, so differences must not overflow.
        let mut since_start_ms = alert.occurred_ms.saturating_sub(seen.window_start_ms);
        let mut counted = passed + 1;
        if count == Count::Passed(0) || since_start_ms >= self.window_ms || since_start_ms < -LATE_MS_MAX {
            seen.window_start_ms = alert.occurred_ms;
            (since_start_ms, passed_after_ms, counted) = (0, 0, 1);
        }
        let is_storm = counted > self.more_than;
        if is_storm && since_start_ms - i64::from(passed_after_ms) < self.period_ms {
            let count = Count::Withheld((withheld + 1).min(COUNT_MAX));
            seen.progress = Progress { passed_after_ms, count };
            return Verdict::Suppress(Reason::Storm);
        }
        // Within the window, so it fits.
        let passed_after_ms = passed_after_ms.max(since_start_ms.max(0) as u32);
        let count = if is_storm { Count::Withheld(0) } else { Count::Passed(counted) };
        seen.progress = Progress { passed_after_ms, count };
        Verdict::ForwardFor { withheld }
    }
}

fn milliseconds(field: &str, seconds: u32) -> Result<i64, String> {
    match seconds {
        1..=SECONDS_MAX => Ok(i64::from(seconds) * 1000),
        _ => Err(format!("{field}: expected seconds from 1 to {SECONDS_MAX}, found {seconds}")),
    }
}

weir::export!(Storm);

#[cfg(test)]
mod tests;
