//! Holds back voltage alerts below a limit, but for one in a while from each device, so that a slow drift is still
//! seen. The one that passes says how many were held back before it.
//!
//! A rule is a pure function: it sees alerts, its parameters and the state it keeps for each device, and nothing else.

use serde::Deserialize;
use weir::{Alert, CodeSet, Columns, Description, Rule, StateKey, Verdict};

/// The rule with its parameters read.
pub struct MyRule {
    codes: CodeSet,
    below_dv: i32,
    remind_ms: i64,
}

weir::reasons! {
    /// Why an alert is held back. The books count by these names.
    pub enum Reason { BelowLimit = "below-limit" }
}

weir::state! {
    /// What is kept for each device and code. All zero means that it was never seen.
    pub struct Seen {
        /// When the last one was let through.
        passed_ms: i64,
        /// How many were held back since.
        held: u32,
    }
}

/// As `parameters.schema.json` has it. The host checks the schema first, then asks `MyRule::new`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    codes: CodeSet,
    below_dv: i32,
    #[serde(default = "a_day")]
    remind_h: u16,
}

fn a_day() -> u16 {
    24
}

impl Rule for MyRule {
    type State = Seen;
    type Reason = Reason;
    const DESCRIPTION: Description = Description {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        summary: "Holds back voltage alerts below a limit, but for one in a while",
        parameters_schema: include_str!("../parameters.schema.json"),
        state_key: StateKey::DeviceAndCode,
        // Raise it when the fields of `Seen` change their meaning: the host then starts them from zero.
        state_version: 0,
        // A column that is not asked for here reads as not known.
        reads: Columns { measurement: true, occurred_ms: true, ..Columns::NONE },
    };

    fn new(parameters: &str) -> Result<Self, String> {
        let Parameters { codes, below_dv, remind_h } = weir::parameters(parameters)?;
        Ok(Self { codes, below_dv, remind_ms: i64::from(remind_h) * 3_600_000 })
    }

    fn evaluate(&self, alert: &Alert, seen: &mut Seen) -> Verdict<Reason> {
        // Most real alerts carry no measurement. Nothing is held back for what is not known.
        let Some(decivolts) = alert.measurement else { return Verdict::Forward };
        if decivolts >= self.below_dv || !self.codes.contains(alert.code) {
            return Verdict::Forward;
        }
        let never = *seen == Seen::default();
        if never || alert.occurred_ms >= seen.passed_ms.saturating_add(self.remind_ms) {
            let withheld = seen.held;
            *seen = Seen { passed_ms: alert.occurred_ms, held: 0 };
            return Verdict::ForwardFor { withheld };
        }
        seen.held = seen.held.saturating_add(1);
        Verdict::Suppress(Reason::BelowLimit)
    }
}

weir::export!(MyRule);

#[cfg(test)]
mod tests;
