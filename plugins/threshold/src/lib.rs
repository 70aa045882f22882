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
//! All in decivolts (tenths of a volt). For codes that measure something else there are `below`, `above` and `outside`,
//! which count whatever the code's measurement counts, seconds perhaps: nobody but the operator knows what is too much.
//! At the limit an alert passes. Without a measurement it passes too: nothing is held back for what is not known.
//!
//! It must not know what happened before. Invariant: the verdict follows from the one alert alone.

use serde::Deserialize;
use weir::{Alert, CodeSet, Columns, Description, Rule, StateKey, Verdict};

/// The rule with its limits settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    codes: CodeSet,
    /// Measurements from `low` to `high` pass: decivolts, or what the codes' measurements count.
    low: i32,
    high: i32,
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
    below: Option<i32>,
    above: Option<i32>,
    outside: Option<(i32, i32)>,
}

/// What is held back.
enum Limit {
    Below(i32),
    Above(i32),
    Outside(i32, i32),
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
        let parameters: Parameters = weir::parameters(parameters)?;
        if parameters.codes.is_empty() {
            return Err("codes: give at least one alert code, like [\"8F40\"]".to_owned());
        }
        let (low, high, reason) = match parameters.limit()? {
            Limit::Below(low) => (low, i32::MAX, Reason::BelowLimit),
            Limit::Above(high) => (i32::MIN, high, Reason::AboveLimit),
            Limit::Outside(low, high) => (low, high, Reason::OutsideLimits),
        };
        Ok(Self { codes: parameters.codes, low, high, reason })
    }

    #[inline]
    fn evaluate(&self, alert: &Alert, _state: &mut ()) -> Verdict<Reason> {
        // Without short cuts (`&` rather than `&&`): what alerts carry is hard to predict, and a wrong guess of the
        // processor costs more than looking at all of it.
        let measured = alert.measurement.unwrap_or_default();
        let beyond = alert.measurement.is_some() & ((measured < self.low) | (measured > self.high));
        if beyond & self.codes.contains(alert.code) { Verdict::Suppress(self.reason) } else { Verdict::Forward }
    }
}

impl Parameters {
    /// The one limit that is given, in its bounds.
    fn limit(&self) -> Result<Limit, String> {
        let below_dv = self.below_dv.map(|low| Ok(Limit::Below(in_range("below_dv", low)?)));
        let above_dv = self.above_dv.map(|high| Ok(Limit::Above(in_range("above_dv", high)?)));
        let outside_dv = self.outside_dv.map(|(low, high)| {
            let (low, high) = in_order("outside_dv", low, high)?;
            Ok(Limit::Outside(in_range("outside_dv[0]", low)?, in_range("outside_dv[1]", high)?))
        });
        let below = self.below.map(|low| Ok(Limit::Below(low)));
        let above = self.above.map(|high| Ok(Limit::Above(high)));
        let outside = self.outside.map(|(low, high)| {
            let (low, high) = in_order("outside", low, high)?;
            Ok(Limit::Outside(low, high))
        });
        let mut given = [below_dv, above_dv, outside_dv, below, above, outside].into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(limit), None) => limit,
            _ => Err("give one of below_dv, above_dv, outside_dv, below, above and outside, and only one".to_owned()),
        }
    }
}

fn in_order(field: &str, low: i32, high: i32) -> Result<(i32, i32), String> {
    if low > high {
        return Err(format!("{field}: the first limit must not exceed the second, found [{low}, {high}]"));
    }
    Ok((low, high))
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
