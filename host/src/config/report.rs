//! What reports may take up, and the bounds that a migration is judged by.
//!
//! It must not know how either is computed. Invariant: an amber bound is never above its red one.

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Reports, and the bounds of a migration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportLimits {
    /// Rows of one count by device. Default: 2,000,000; 1,000 to 50,000,000.
    pub device_rows_max: usize,
    /// Rows of one count by what the books are kept by. Default: 100,000; 1,000 to 10,000,000.
    pub count_rows_max: usize,
    /// Days by which the level of migrated devices is measured. Default: 7; 1 to 400.
    pub window_days: u32,
    /// Forwarded alerts of 1,000 devices a day at which a migration is to slow down. Default: 1,000; 1 to
    /// 1,000,000,000.
    pub amber_alerts_per_1000_device_days: u64,
    /// Forwarded alerts of 1,000 devices a day at which it is to pause. Default: 10,000; 1 to 1,000,000,000.
    pub red_alerts_per_1000_device_days: u64,
    /// Share of the capacity, with all planned devices, at which it is to slow down, in percent. Default: 80; 1 to 1,000.
    pub amber_capacity_percent: u32,
    /// Share of the capacity at which it is to pause, in percent. Default: 100; 1 to 1,000.
    pub red_capacity_percent: u32,
    /// Devices that a migration of SMETS1 devices comes to, for its signal among the figures that `metrics_listen` serves.
    /// 0: there is no migration. Default: 0; 0 to 1,000,000,000.
    pub migration_planned_devices: u64,
    /// Forwarded alerts a day that can be handled, for the same. Default: 500,000; 1 to 1,000,000,000,000.
    pub migration_capacity_alerts_per_day: u64,
    /// How often that signal is made anew. Default: 600 s; 1 to 86,400.
    pub migration_every_s: u64,
}

impl Default for ReportLimits {
    fn default() -> Self {
        Self {
            device_rows_max: 2_000_000,
            count_rows_max: 100_000,
            window_days: 7,
            amber_alerts_per_1000_device_days: 1_000,
            red_alerts_per_1000_device_days: 10_000,
            amber_capacity_percent: 80,
            red_capacity_percent: 100,
            migration_planned_devices: 0,
            migration_capacity_alerts_per_day: 500_000,
            migration_every_s: 600,
        }
    }
}

impl ReportLimits {
    /// Checks the relations between the bounds.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let pairs = [
            (
                "alerts_per_1000_device_days",
                self.amber_alerts_per_1000_device_days,
                self.red_alerts_per_1000_device_days,
            ),
            ("capacity_percent", self.amber_capacity_percent.into(), self.red_capacity_percent.into()),
        ];
        match pairs.into_iter().find(|(_, amber, red)| amber > red) {
            Some((name, amber, red)) => Err(ConfigError::Value {
                field: format!("report.amber_{name}"),
                message: format!("{amber} is more than report.red_{name}, {red}; lower the one or raise the other"),
            }),
            None => Ok(()),
        }
    }
}
