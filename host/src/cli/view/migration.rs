//! The signal of a migration.
//!
//! It must not know how it is asked for.

use serde::Serialize;
use weir_proto::v1;

use super::{clean, count::NOT_FINAL, time};
use crate::{
    cli::table::{Table, Value, thousands},
    migration::thousandths,
};

/// Characters of one reason.
const REASON_CHARS_MAX: usize = 500;

/// A signal.
#[derive(Debug, Serialize)]
pub(crate) struct Signal {
    pub advice: &'static str,
    pub light: &'static str,
    pub reasons: Vec<String>,
    pub device_count: u64,
    pub since_ms: i64,
    pub until_ms: i64,
    pub forwarded: u64,
    pub taken: u64,
    pub forwarded_per_1000_device_days: u64,
    pub taken_per_1000_device_days: u64,
    pub projected_alerts_per_day: u64,
    pub projected_raw_alerts_per_day: u64,
    pub capacity_percent: u64,
    pub position: u64,
    /// Left out where it is false: what was measured is not over.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_provisional: bool,
}

impl From<v1::GetMigrationSignalResponse> for Signal {
    fn from(message: v1::GetMigrationSignalResponse) -> Self {
        let (advice, light) = (message.advice(), message.light());
        let v1::GetMigrationSignalResponse {
            advice: _,
            light: _,
            reasons,
            device_count,
            since_ms,
            until_ms,
            forwarded,
            taken,
            forwarded_per_1000_device_days,
            taken_per_1000_device_days,
            projected_alerts_per_day,
            projected_raw_alerts_per_day,
            capacity_percent,
            position,
            is_provisional,
        } = message;
        Self {
            advice: match advice {
                v1::MigrationAdvice::GoOn => "go on",
                v1::MigrationAdvice::Slow => "slow",
                v1::MigrationAdvice::Pause => "pause",
                v1::MigrationAdvice::Stop => "stop",
                v1::MigrationAdvice::Unspecified => "unknown",
            },
            light: match light {
                v1::MigrationLight::Green => "green",
                v1::MigrationLight::Amber => "amber",
                v1::MigrationLight::Red => "red",
                v1::MigrationLight::Unspecified => "unknown",
            },
            reasons,
            device_count,
            since_ms,
            until_ms,
            forwarded,
            taken,
            forwarded_per_1000_device_days,
            taken_per_1000_device_days,
            projected_alerts_per_day,
            projected_raw_alerts_per_day,
            capacity_percent,
            position,
            is_provisional,
        }
    }
}

impl Signal {
    /// What to do, and the gravest reason.
    pub(crate) fn headline(&self) -> String {
        let reason = self.reasons.first().map_or("no reason was given", String::as_str);
        format!("{}: {}", self.advice, clean(reason, REASON_CHARS_MAX))
    }

    /// What it was made of.
    pub(crate) fn facts(&self, planned_devices: u64, capacity_per_day: u64) -> Table {
        let number = |number: u64| Value::Quantity(thousands(number));
        let mark = if self.is_provisional { NOT_FINAL } else { "" };
        let mut facts = vec![
            ("light", Value::text(self.light)),
            ("measured", Value::Text(format!("{} to {}{mark}", time(self.since_ms), time(self.until_ms)))),
            ("migrated devices", number(self.device_count)),
            ("alerts taken", number(self.taken)),
            ("alerts forwarded", number(self.forwarded)),
            ("taken a device and day", Value::Quantity(thousandths(self.taken_per_1000_device_days))),
            ("forwarded a device and day", Value::Quantity(thousandths(self.forwarded_per_1000_device_days))),
            ("planned devices", number(planned_devices)),
            ("projected a day, without rules", number(self.projected_raw_alerts_per_day)),
            ("projected a day, forwarded", number(self.projected_alerts_per_day)),
            ("capacity a day", number(capacity_per_day)),
            ("share of the capacity", Value::Quantity(format!("{} %", thousands(self.capacity_percent)))),
        ];
        facts.extend(self.reasons.iter().skip(1).map(|reason| ("further reason", Value::text(reason))));
        Table::facts(facts)
    }
}
