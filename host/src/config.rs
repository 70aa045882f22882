//! What can be set: one tree, every number with its unit in the name, its default and its bounds.
//!
//! It must not know what the numbers do. Invariant: a `Config` that passed `validate` holds no contradiction, and no
//! port is opened before.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// Everything a host is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen. Default: 127.0.0.1:7700.
    pub listen: SocketAddr,
    /// Folder of the store. Default: ./weir-data.
    pub data_dir: PathBuf,
    /// Codes that no rule can hold back, 4 hex digits each. Default: the supply-outage and tamper families.
    pub protected_codes: Vec<String>,
    /// A CSV file that adds to or replaces rows of the built-in alert-code table. Default: none.
    pub code_table: Option<PathBuf>,
    /// A CSV file that adds to or replaces rows of the built-in table of distributor ids. Default: none.
    pub operator_table: Option<PathBuf>,
    /// What producers may send.
    pub intake: IntakeLimits,
    /// How alerts are grouped.
    pub group: GroupLimits,
    /// What plugins may do.
    pub plugins: PluginLimits,
    /// What the store may take up.
    pub store: StoreLimits,
}

/// What producers may send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntakeLimits {
    /// Bytes of one gRPC message. Default: 4 MiB; 1 KiB to 64 MiB.
    pub message_bytes_max: usize,
    /// Alerts in one batch. Default: 16,384; at most 65,535.
    pub batch_alerts_max: usize,
    /// Batches of one stream that are not yet acknowledged; also how many acks are kept for resends. Default: 32; at
    /// most 1,024.
    pub batches_in_flight_max: usize,
    /// Streams of one client connection. Default: 16.
    pub streams_per_connection_max: u32,
    /// Batches of all streams waiting to be judged. Default: 64.
    pub batches_queued_max: usize,
    /// Producers the host remembers. Default: 10,000.
    pub producers_max: usize,
    /// Rejections spelled out in one ack. Default: 100.
    pub rejections_listed_max: usize,
    /// Largest weight of one alert. Default: 1,000,000.
    pub weight_max: u32,
    /// How far ahead of the host's clock a time of receipt may lie, in seconds. Default: 300.
    pub future_s_max: u64,
    /// Devices, listed or not. Default: 4,000,000; at most 64,000,000.
    pub devices_max: u32,
    /// Devices in one message of an inventory. Default: 16,384.
    pub put_devices_max: usize,
    /// Different model names. Default: 10,000.
    pub models_max: usize,
    /// Alerts in one page of a listing. Default: 10,000.
    pub list_alerts_max: usize,
}

/// How alerts are grouped into one call of the rules and one commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupLimits {
    /// Alerts in one group; the first batch is always taken. Default: 32,768; at most 65,535.
    pub alerts_max: usize,
    /// How long to wait for more alerts once the first batch is there, in microseconds. Default: 0.
    pub wait_us_max: u64,
}

/// What plugins may do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginLimits {
    /// Size of an uploaded component, in bytes. Default: 32 MiB; at most 256 MiB.
    pub upload_bytes_max: usize,
    /// Plugins kept. Default: 256.
    pub plugins_max: usize,
    /// Rules, whatever their mode. Default: 64.
    pub rules_max: usize,
    /// Linear memory of one instance, in bytes. Default: 64 MiB; 1 MiB to 1 GiB.
    pub memory_bytes_max: usize,
    /// Entries of one table. Default: 100,000.
    pub table_entries_max: usize,
    /// Stack of a call, in bytes. Default: 512 KiB.
    pub stack_bytes_max: usize,
    /// Fuel of a call before any alert. Default: 50,000,000.
    pub fuel_per_call: u64,
    /// Fuel of a call for each alert. Default: 20,000.
    pub fuel_per_alert: u64,
    /// Wall-clock backstop of a call, in milliseconds. Default: 1,000; at least 10.
    pub deadline_ms: u64,
    /// Parameters of a rule, in bytes of JSON. Default: 64 KiB.
    pub parameters_bytes_max: usize,
    /// Words of one state entry. Default: 16.
    pub state_words_max: u32,
    /// Codes of one device that one rule may keep state for. Default: 64.
    pub state_codes_per_device_max: usize,
    /// Texts a plugin returns (names, reasons, errors), in bytes. Default: 4 KiB; its schema may be 16 times that.
    pub text_bytes_max: usize,
    /// Failed calls in a row after which a rule is set aside. Default: 3.
    pub faults_in_row_max: u32,
}

/// What the store may take up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreLimits {
    /// Page cache, in bytes. Default: 64 MiB.
    pub cache_bytes_max: usize,
    /// Log rows that recovery may have to fold again. Default: 4,000,000.
    pub recovery_rows_max: u64,
    /// Age at which log entries go, in days. Default: 400.
    pub retention_days_max: u32,
    /// Size above which the oldest log entries go, in bytes. Default: 64 GiB.
    pub log_bytes_max: u64,
    /// Free space below which the host pushes back, in bytes. Default: 256 MiB.
    pub free_bytes_min: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7700)),
            data_dir: PathBuf::from("weir-data"),
            protected_codes: PROTECTED_CODES.map(str::to_owned).to_vec(),
            code_table: None,
            operator_table: None,
            intake: IntakeLimits::default(),
            group: GroupLimits::default(),
            plugins: PluginLimits::default(),
            store: StoreLimits::default(),
        }
    }
}

/// Supply outages restored (all phases), supply interrupted, and tamper.
const PROTECTED_CODES: [&str; 19] = [
    "8F35", "8F36", "8F37", "8F38", "8F39", "8F3A", "8F3B", "8F3C", "8F57", "8F58", "8F59", "8F5A", "8F3F", "8F73",
    "8F74", "8F75", "8F76", "8F77", "8F78",
];

impl Default for IntakeLimits {
    fn default() -> Self {
        Self {
            message_bytes_max: 4 << 20,
            batch_alerts_max: 16_384,
            batches_in_flight_max: 32,
            streams_per_connection_max: 16,
            batches_queued_max: 64,
            producers_max: 10_000,
            rejections_listed_max: 100,
            weight_max: 1_000_000,
            future_s_max: 300,
            devices_max: 4_000_000,
            put_devices_max: 16_384,
            models_max: 10_000,
            list_alerts_max: 10_000,
        }
    }
}

impl Default for GroupLimits {
    fn default() -> Self {
        Self { alerts_max: 32_768, wait_us_max: 0 }
    }
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            upload_bytes_max: 32 << 20,
            plugins_max: 256,
            rules_max: 64,
            memory_bytes_max: 64 << 20,
            table_entries_max: 100_000,
            stack_bytes_max: 512 << 10,
            fuel_per_call: 50_000_000,
            fuel_per_alert: 20_000,
            deadline_ms: 1_000,
            parameters_bytes_max: 64 << 10,
            state_words_max: 16,
            state_codes_per_device_max: 64,
            text_bytes_max: 4 << 10,
            faults_in_row_max: 3,
        }
    }
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            cache_bytes_max: 64 << 20,
            recovery_rows_max: 4_000_000,
            retention_days_max: 400,
            log_bytes_max: 64 << 30,
            free_bytes_min: 256 << 20,
        }
    }
}
