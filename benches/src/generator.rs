//! One day of alerts from a fleet of meters, made from a seed, whose outcome is known beforehand.
//!
//! It must not know the host or the plugins: it works out what must become of each alert from the specification of the
//! three rules it asks for. Invariant: the same plan gives the same devices, the same alerts in the same order and the
//! same expectation, on any machine; memory does not grow with devices or alerts beyond one entry for each storm.
//!
//! ```text
//!   rotation   every device in turn, in another order each round  \
//!   storms     devices that repeat one alert                       > in order of receipt --> alerts
//!   outage     a region that gets its supply back                 /                     \-> ledger: what must become
//!   copies     alerts sent again                                                            of them
//!   invalid    alerts that cannot be taken
//! ```

mod codes;
mod day;
mod fleet;
mod ledger;
mod storms;

pub use codes::name as code_name;
pub use day::Day;
pub use fleet::Fleet;

use anyhow::{Result, ensure};
use serde_json::json;

/// Milliseconds in a day.
pub const DAY_MS: i64 = 86_400_000;
/// 8F40 alerts below this many tenths of a volt are held back.
const BELOW_DV: i32 = 2580;
/// Devices at most: what a host can be given room for, less those that are in no inventory.
const DEVICES_MAX: u32 = 60_000_000;

/// Which day to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Everything random follows from it.
    pub seed: u64,
    /// Devices in the inventory.
    pub devices: u32,
    /// Alerts, whatever becomes of them.
    pub alerts: u64,
    /// When the day begins, in milliseconds since 1970-01-01T00:00:00Z.
    pub start_ms: i64,
}

/// The rules of the chain, in the order they judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleName {
    /// Holds back the power factor alerts that SMETS1 devices send in error.
    Smets1PowerFactor,
    /// Holds back 8F40 alerts below the limit.
    Voltage,
    /// Storm protection.
    Storm,
}

/// A rule to set before the day begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSpec {
    /// Its name.
    pub name: &'static str,
    /// Name of the stock plugin.
    pub plugin: &'static str,
    /// The parameters as JSON.
    pub parameters: String,
}

impl RuleName {
    /// All of them, in the order they judge.
    pub const ALL: [Self; 3] = [Self::Smets1PowerFactor, Self::Voltage, Self::Storm];

    /// The name the rule is set under.
    pub fn text(self) -> &'static str {
        match self {
            Self::Smets1PowerFactor => "smets1-8014",
            Self::Voltage => "voltage-8f40",
            Self::Storm => "storm",
        }
    }
}

impl Plan {
    /// Refuses plans that make no day.
    pub fn validate(&self) -> Result<()> {
        let Self { devices, alerts, .. } = *self;
        ensure!((1..=DEVICES_MAX).contains(&devices), "devices: {devices} is not 1 to {DEVICES_MAX}");
        ensure!((1..=1 << 50).contains(&alerts), "alerts: {alerts} is not 1 to 2^50");
        Ok(())
    }

    /// The devices.
    pub fn fleet(&self) -> Fleet {
        Fleet::new(self.seed, self.devices, self.alerts)
    }

    /// The chain of rules that the expectation is for.
    pub fn rules(&self) -> Vec<RuleSpec> {
        let spec = |rule: RuleName, plugin, parameters: serde_json::Value| RuleSpec {
            name: rule.text(),
            plugin,
            parameters: parameters.to_string(),
        };
        let storm = json!({
            "more_than": self.storm_more_than(),
            "window_s": storms::WINDOW_S,
            "period_s": storms::PERIOD_S,
            "exclude_codes": [format!("{:04X}", storms::EXCLUDED)],
        });
        vec![
            spec(RuleName::Smets1PowerFactor, "match", json!({ "codes": ["8014"], "generations": ["smets1"] })),
            spec(RuleName::Voltage, "threshold", json!({ "codes": ["8F40"], "below_dv": BELOW_DV })),
            spec(RuleName::Storm, "storm", storm),
        ]
    }

    /// How many alerts of one device and code within a window are still no storm: more than any device outside the
    /// storms sends of all codes together, counted with those that come up to half an hour late.
    fn storm_more_than(&self) -> u32 {
        let round_s = (DAY_MS / 1000) as f64 * f64::from(self.fleet().rotating()) / self.alerts as f64;
        let span_s = storms::WINDOW_S as f64 + day::LATE_MS_MAX as f64 / 1000.0;
        // Two rounds more for where in its rounds a device comes, one for the outage, one to spare.
        let most = (span_s / round_s).ceil() + 4.0;
        (most as u32).max(20)
    }
}

#[cfg(test)]
mod tests;
