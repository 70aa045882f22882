//! The rule `threshold`: holds back alerts of given codes whose measurement lies beyond a limit.
//!
//! It raises (or lowers) the line of an alert without touching a meter: where meters report every voltage over
//! 253.0 V, `{"codes": ["8F40"], "below_dv": 2580}` leaves those from 258.0 V up. One limit is given:
//!
//! | parameter | holds back |
//! |---|---|
//! | `"below_dv": n` | measurements below n |
//! | `"above_dv": n` | measurements above n |
//! | `"outside_dv": [low, high]` | measurements below low or above high |
//!
//! All in decivolts (tenths of a volt). At the limit an alert passes. Without a measurement it passes too: nothing is
//! held back for what is not known.
//!
//! It must not know what happened before. Invariant: the verdict follows from the one alert alone.

use serde::Deserialize;
use weir::{Alert, CodeSet, Columns, Description, Rule, StateKey, Verdict};

/// The rule with its limits settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    codes: CodeSet,
    /// Measurements from `low_dv` to `high_dv` pass.
    low_dv: i32,
    high_dv: i32,
    /// Why the others are held back.
    reason: Reason,
}

weir::reasons! {
    /// Why an alert is held back.
    pub enum Reason {
        BelowLimit = "below-limit",
        AboveLimit = "above-limit",
        OutsideLimits = "outside-limits",
    }
}

/// As `parameters.schema.json` has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    codes: CodeSet,
    below_dv: Option<i32>,
    above_dv: Option<i32>,
    outside_dv: Option<(i32, i32)>,
}

/// 50 V to 1000 V. A limit in volts or millivolts by mistake falls outside: it is caught here, not by a silent filter.
const LIMIT_DV: std::ops::RangeInclusive<i32> = 500..=10_000;

impl Rule for Threshold {
    type State = ();
    type Reason = Reason;
    const DESCRIPTION: Description = Description {
        name: "threshold",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Holds back alerts whose measurement lies below, above or outside a limit",
        parameters_schema: include_str!("../parameters.schema.json"),
        state_key: StateKey::Device,
        state_version: 0,
        reads: Columns { measurement: true, ..Columns::NONE },
    };

    fn new(parameters: &str) -> Result<Self, String> {
        let Parameters { codes, below_dv, above_dv, outside_dv } = weir::parameters(parameters)?;
        if codes.is_empty() {
            return Err("codes: give at least one alert code, like [\"8F40\"]".to_owned());
        }
        let (low_dv, high_dv, reason) = match (below_dv, above_dv, outside_dv) {
            (Some(low), None, None) => (in_range("below_dv", low)?, i32::MAX, Reason::BelowLimit),
            (None, Some(high), None) => (i32::MIN, in_range("above_dv", high)?, Reason::AboveLimit),
            (None, None, Some((low, high))) if low > high => {
                return Err(format!("outside_dv: the first limit must not exceed the second, found [{low}, {high}]"));
            }
            (None, None, Some((low, high))) => {
                (in_range("outside_dv[0]", low)?, in_range("outside_dv[1]", high)?, Reason::OutsideLimits)
            }
            _ => return Err("give one of below_dv, above_dv and outside_dv, and only one".to_owned()),
        };
        Ok(Self { codes, low_dv, high_dv, reason })
    }

    #[inline]
    fn evaluate(&self, alert: &Alert, _state: &mut ()) -> Verdict<Reason> {
        // Without short cuts (`&` rather than `&&`): what alerts carry is hard to predict, and a wrong guess of the
        // processor costs more than looking at all of it.
        let measured = alert.measurement.unwrap_or_default();
        let beyond = alert.measurement.is_some() & ((measured < self.low_dv) | (measured > self.high_dv));
        if beyond & self.codes.contains(alert.code) { Verdict::Suppress(self.reason) } else { Verdict::Forward }
    }
}

fn in_range(field: &str, decivolts: i32) -> Result<i32, String> {
    if LIMIT_DV.contains(&decivolts) {
        return Ok(decivolts);
    }
    let (low, high) = (LIMIT_DV.start(), LIMIT_DV.end());
    Err(format!("{field}: expected tenths of a volt from {low} to {high} (258.0 V is 2580), found {decivolts}"))
}

weir::export!(Threshold);

#[cfg(test)]
mod tests;
