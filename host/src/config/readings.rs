//! What readings of voltages, thresholds and models may take up.
//!
//! It must not know how they are kept.

use serde::{Deserialize, Serialize};

/// Readings, thresholds and what is said of models. They are in a file of their own, `readings.redb`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadingLimits {
    /// Readings, or thresholds, in one request. Default: 16,384; 1 to 65,535.
    pub put_readings_max: usize,
    /// Age at which readings go, by the end of their period, in days. They go a week at a time, so up to seven days later.
    /// Default: 400; 1 to 36,500.
    pub retention_days_max: u32,
    /// Readings of one device, of all its phases. Default: 200,000; 1 to 10,000,000.
    pub per_device_max: u32,
    /// Readings of the devices of one operator. Default: 1,000,000,000; 1 to 1,000,000,000,000.
    pub per_operator_max: u64,
    /// Thresholds of one device. Default: 1,000; 1 to 100,000.
    pub thresholds_per_device_max: usize,
    /// Models that one operator says something of. Default: 1,000; 1 to 100,000.
    pub models_per_operator_max: usize,
    /// Names of sources that readings and thresholds of one operator's devices came from. Default: 1,000; 1 to 100,000.
    pub sources_per_operator_max: usize,
    /// Disk space of the file above which it stops growing, in bytes. Default: 16 GiB; 1 MiB to 1 PiB.
    pub file_bytes_max: u64,
    /// Page cache, in bytes. Default: 32 MiB; 1 MiB to 1 TiB.
    pub cache_bytes_max: usize,
}

impl Default for ReadingLimits {
    fn default() -> Self {
        Self {
            put_readings_max: 16_384,
            retention_days_max: 400,
            per_device_max: 200_000,
            per_operator_max: 1_000_000_000,
            thresholds_per_device_max: 1_000,
            models_per_operator_max: 1_000,
            sources_per_operator_max: 1_000,
            file_bytes_max: 16 << 30,
            cache_bytes_max: 32 << 20,
        }
    }
}
