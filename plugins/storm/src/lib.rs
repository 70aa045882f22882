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
//! It must not know the time of day. Invariant: per device and code, what passes states in sum what was held back
//! before it, up to 4,294,967,295 at a time.

use serde::Deserialize;
use weir::{Alert, CodeSet, Columns, Description, Rule, StateKey, Verdict};

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
    /// `state_version`.
    pub struct Seen {
        /// When the window started, by event time.
        window_start_ms: i64,
        /// The latest event time of what passed in this window.
        passed_last_ms: i64,
        /// Alerts in the window, 0 if none was ever seen; alerts held back since one passed.
        counted_and_withheld: (u32, u32),
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

/// A year: longer windows are a mistake in the unit.
const SECONDS_MAX: u32 = 31_536_000;

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
        state_version: 0,
        reads: Columns { occurred_ms: true, ..Columns::NONE },
    };

    fn new(parameters: &str) -> Result<Self, String> {
        let Parameters { more_than, window_s, period_s, exclude_codes } = weir::parameters(parameters)?;
        if more_than == 0 {
            return Err("more_than: expected at least 1, found 0: the first alert of a window always passes".to_owned());
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
        let at_ms = alert.occurred_ms;
        let (mut counted, withheld) = seen.counted_and_withheld;
        // Event times come from devices: they may be anything, so differences must not overflow.
        let since_start_ms = at_ms.saturating_sub(seen.window_start_ms);
        if counted == 0 || since_start_ms >= self.window_ms || since_start_ms < -LATE_MS_MAX {
            seen.window_start_ms = at_ms;
            seen.passed_last_ms = at_ms;
            counted = 0;
        }
        counted = counted.saturating_add(1);
        let period_is_over = at_ms.saturating_sub(seen.passed_last_ms) >= self.period_ms;
        if counted <= self.more_than || period_is_over {
            seen.passed_last_ms = seen.passed_last_ms.max(at_ms);
            seen.counted_and_withheld = (counted, 0);
            return Verdict::ForwardFor { withheld };
        }
        seen.counted_and_withheld = (counted, withheld.saturating_add(1));
        Verdict::Suppress(Reason::Storm)
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
