//! What can be set: one tree, every number with its unit in the name, its default and its bounds.
//!
//! It must not know what the numbers do. Invariant: a `Config` that passed `validate` holds no contradiction, and no
//! port is opened before.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::{AlertCode, Digest, OperatorId};

mod defaults;
mod judging;
mod limits;
mod load;
mod operator;
mod readings;
mod report;
mod subscribe;
#[cfg(test)]
mod tests;
mod whatif;

pub use limits::{Limit, limits};
pub use load::{ConfigError, Overrides};
pub use operator::{LimitsByOwner, OperatorLimits};
pub use readings::ReadingLimits;
pub use report::ReportLimits;
pub use subscribe::SubscribeLimits;
pub use whatif::{VerifyLimits, WhatIfLimits};

/// Threads of all questions together: fewer than there are instances that plugins can run in.
const WHATIF_THREADS_MAX: usize = 5;

/// Everything a host is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen. Default: 127.0.0.1:7700.
    pub listen: SocketAddr,
    /// Folder of the store. Default: ./weir-data.
    pub data_dir: PathBuf,
    /// Codes that no rule can hold back: 4 hex digits each, or a name like AD1. Default: power outages (AD1, 8F57 to 8F5A),
    /// supply restored (8F35 to 8F3C) and tamper (8F3F, 8F73 to 8F78).
    pub protected_codes: Vec<String>,
    /// CSV file that corrects the table of alert codes that is built in: names, units, bounds, pairs. Default: none.
    pub code_table: Option<PathBuf>,
    /// Load no plugin, turn every rule off and forward everything. Default: false.
    pub without_plugins: bool,
    /// Ask for a token with every call. Default: false, and then whoever reaches the port may do everything.
    pub authenticate: bool,
    /// Listen beyond this machine though nothing protects the port. Default: false.
    pub insecure_listen: bool,
    /// Take plugins only with a signature of one of `signing_keys`. Default: false.
    pub signatures_required: bool,
    /// Keys that plugins may be signed with. Default: none.
    pub signing_keys: Vec<SigningKey>,
    /// Plugins that this host never runs, by digest, whatever rules say: those rules are turned off at start. Default:
    /// none.
    pub denied_plugins: Vec<String>,
    /// The server's certificate and those that lead to its root, PEM. Default: none, and then nothing is encrypted.
    pub tls_certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub tls_key: Option<PathBuf>,
    /// Certificates of whoever certifies clients, PEM. Default: none, and then clients have tokens alone.
    pub tls_client_ca: Option<PathBuf>,
    /// Where figures are served to whoever asks, over HTTP at /metrics. Default: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Serve a page for browsers where the protocol is served. Default: true.
    pub page: bool,
    /// What clients may open and send.
    pub intake: IntakeLimits,
    /// How alerts are grouped.
    pub group: GroupLimits,
    /// What plugins may do.
    pub plugins: PluginLimits,
    /// What the store may take up.
    pub store: StoreLimits,
    /// Who may ask.
    pub access: AccessLimits,
    /// What questions over the past may take.
    pub whatif: WhatIfLimits,
    /// When the host checks its log by itself.
    pub verify: VerifyLimits,
    /// What reports may take up, and what a migration is judged by.
    pub report: ReportLimits,
    /// What subscribers to forwarded alerts may take up.
    pub subscribe: SubscribeLimits,
    /// What readings of voltages may take up.
    pub readings: ReadingLimits,
}

/// Who may ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLimits {
    /// Tokens, those that are no longer good included. Default: 1,000; 1 to 100,000.
    pub tokens_max: usize,
    /// Denied calls that are noted in the audit log in one minute; more are counted. Default: 60; 1 to 10,000.
    pub denials_per_minute_max: u32,
    /// Connections of one identity. The tokens of one operator are one identity, here and below. Default: 128; 1 to
    /// 65,535.
    pub identity_connections_max: usize,
    /// Calls of one identity that are under way at once, streams of alerts included. Default: 256; 1 to 65,535.
    pub identity_streams_max: usize,
    /// Calls of one identity in one second, over a longer time. Default: 5,000; 1 to 1,000,000.
    pub identity_calls_per_second_max: u32,
    /// Calls of one identity that may come at once after a pause. Default: 10,000; 1 to 10,000,000.
    pub identity_calls_burst_max: u32,
    /// Calls of one operator in one minute that change something, each of which costs a commit: rules, plugins,
    /// what-ifs, cursors. As many may come at once. Default: 120; 1 to 1,000,000.
    pub operator_changes_per_minute_max: u32,
    /// Calls of one identity that read the log, the books or the inventory at once; more wait. An answer counts until
    /// it was read. Default: 4; 1 to 64.
    pub identity_queries_max: usize,
    /// The same of all identities; a call counts while it is worked on. Default: 16; 1 to 256.
    pub queries_max: usize,
    /// Alerts of one identity that were read and are not yet acknowledged, in bytes, each taken for
    /// [`ALERT_BYTES_MAX`]; an upload or a candidate is taken for one of the largest size. Beyond it nothing more is
    /// read. Messages that are under way may take as much again. Default: 256 MiB; 1 KiB to 1 TiB, and no less than
    /// one batch.
    pub identity_bytes_in_flight_max: u64,
    /// The same of one operator. Default: 64 MiB; 1 KiB to 1 TiB, and no less than one upload.
    pub operator_bytes_in_flight_max: u64,
    /// How long a connection may go without a call of somebody who is known, before its first, in milliseconds.
    /// Default: 30,000; 100 to 3,600,000.
    pub unidentified_ms_max: u64,
    /// Sessions of the page that one token may have; the oldest ends for another. Default: 16; 1 to 1,000.
    pub token_sessions_max: usize,
    /// How long a session of the page lasts, in milliseconds. Default: 43,200,000 (12 hours); 1,000 to 2,678,400,000
    /// (31 days).
    pub session_ms_max: u64,
}

/// What an alert takes on the wire at most, in bytes.
pub const ALERT_BYTES_MAX: u64 = 226;

/// A key that plugins may be signed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// Whose: a distributor id. Left out: the host's administrators'.
    #[serde(default)]
    pub operator: u32,
    /// The ed25519 public key, 64 hex digits.
    pub key: String,
}

/// The files of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate and those that lead to its root.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Certificates of whoever certifies clients.
    pub client_ca: Option<PathBuf>,
}

/// What clients may open and send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntakeLimits {
    /// Bytes of one gRPC message. An alert takes 104 at most. Default: 4 MiB; 1 KiB to 64 MiB.
    pub message_bytes_max: usize,
    /// Alerts in one batch. Default: 16,384; 1 to 65,535.
    pub batch_alerts_max: usize,
    /// Batches of one stream that are not yet acknowledged; also how many acks are kept for resends. Default: 32; 1 to
    /// 1,024.
    pub batches_in_flight_max: usize,
    /// Client connections. More wait in the system's backlog. Default: 256; 1 to 65,535.
    pub connections_max: usize,
    /// Streams of one client connection. Default: 16; 1 to 1,024.
    pub streams_per_connection_max: u32,
    /// Batches of all streams waiting to be judged. Default: 64; 1 to 4,096.
    pub batches_queued_max: usize,
    /// Producers the host remembers. Default: 10,000; 1 to 1,000,000.
    pub producers_max: usize,
    /// Producers of one identity. Default: 2,000; 1 to 1,000,000.
    pub identity_producers_max: usize,
    /// How long a producer may send nothing, over no open stream, before it is forgotten, in seconds in which a host
    /// runs. Default: 2,592,000 (30 days); 1 to 315,360,000.
    pub producer_idle_s_max: u64,
    /// The same of a producer of one run, which its sender forgets when the run ends: how soon what a killed sender left
    /// behind goes. Default: 7,200, longer than `weir alert send` tries to connect again; 1 to 2,592,000.
    pub ephemeral_idle_s_max: u64,
    /// Texts of rejections in the answers kept of one producer, in bytes: each answer has an equal share, and keeps those
    /// of its first rejections. Default: 32 KiB; 0 to 64 MiB.
    pub producer_texts_bytes_max: usize,
    /// The same of all producers. Beyond it, answers are kept without texts. Default: 64 MiB; 0 to 1 TiB.
    pub texts_bytes_max: u64,
    /// Rejections spelled out in one ack. Default: 100; 0 to 65,535.
    pub rejections_listed_max: usize,
    /// Largest weight of one alert. Default: 1,000,000; 1 to 4,294,967,295.
    pub weight_max: u32,
    /// How far ahead of the host's clock a time of receipt may lie, in seconds. Default: 300; 0 to 86,400.
    pub future_s_max: u64,
    /// Log rows among which copies are looked for, at 20 bytes each; none from more than 72 hours before. Default:
    /// 8,388,608; 65,536 to 2,000,000,000.
    pub copies_rows_max: u64,
    /// How far the host's clock may be behind what the host has gone by before; beyond it no alerts are taken. In seconds,
    /// and never more than `future_s_max`. Default: 300; 1 to 86,400.
    pub clock_behind_s_max: u64,
    /// How far the host's clock may jump ahead of the time that has passed; beyond it no alerts are taken, and retention
    /// by age does not follow it. In seconds. Default: 3,600; 60 to 604,800.
    pub clock_ahead_s_max: u64,
    /// How long a host may have been stopped by its clock without the clock having to be confirmed, in days. Default: 31;
    /// 1 to 36,500.
    pub clock_gap_days_max: u32,
    /// Devices, listed or not. Default: 4,000,000; 1 to 64,000,000.
    pub devices_max: u32,
    /// Devices in one message of an inventory. Default: 16,384; 1 to 65,535.
    pub put_devices_max: usize,
    /// Different model names. Default: 10,000; 1 to 1,000,000.
    pub models_max: usize,
    /// Keys of labels, at 4 bytes for each device that has one. Default: 16; 1 to 64.
    pub label_keys_max: usize,
    /// Different values of all labels, those of different operators counted apart, at about 100 bytes each. Default:
    /// 2,000,000; 1 to 64,000,000.
    pub label_values_max: usize,
    /// Different values of the labels of one operator's devices. Default: 1,000,000; 1 to 64,000,000.
    pub operator_label_values_max: usize,
    /// Alerts in one page of a listing. Default: 10,000; 1 to 100,000.
    pub list_alerts_max: usize,
    /// How long a host that was told to stop waits for open streams, in milliseconds. Default: 10,000; 0 to 600,000.
    pub drain_ms_max: u64,
    /// How often a silent connection is asked for a sign of life, in milliseconds. Default: 30,000; 100 to 3,600,000.
    pub keepalive_every_ms: u64,
    /// How long it may take to give one, in milliseconds. Default: 20,000; 100 to 3,600,000.
    pub keepalive_ms_max: u64,
    /// How long a call waits for its first message, in milliseconds; for each further one too, but that a stream of
    /// alerts may then be silent as long as it likes. Default: 600,000; 100 to 86,400,000.
    pub message_wait_ms_max: u64,
    /// How long the host waits for the rest of a message that has begun, in milliseconds. Default: 60,000; 100 to
    /// 3,600,000.
    pub partial_message_ms_max: u64,
    /// How long an answer waits to be read before its stream is ended, in milliseconds; as long again, and the
    /// connection is closed. Default: 60,000; 100 to 3,600,000.
    pub unread_answers_ms_max: u64,
}

/// How alerts are grouped into one call of the rules and one commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupLimits {
    /// Alerts in one group; the first batch is always taken. Default: 32,768; from intake.batch_alerts_max to 65,535.
    pub alerts_max: usize,
    /// How long to wait for more alerts once the first batch is there, in microseconds. Default: 0; at most 1,000,000.
    pub wait_us_max: u64,
}

/// What plugins may do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginLimits {
    /// Size of an uploaded component, in bytes. Default: 32 MiB; 1 KiB to 256 MiB.
    pub upload_bytes_max: usize,
    /// How long compiling a component may take, in milliseconds. Default: 60,000; 100 to 3,600,000.
    pub compile_ms_max: u64,
    /// Processor time of it, in seconds. Default: 60; 1 to 3,600.
    pub compile_cpu_s_max: u64,
    /// Address space of the process that does it, in bytes. Default: 2 GiB; 256 MiB to 1 TiB.
    pub compile_memory_bytes_max: u64,
    /// Machine code that comes of it, in bytes. Default: 256 MiB; 1 MiB to 4 GiB.
    pub compiled_bytes_max: u64,
    /// Compile nothing, and do not start, where a process that compiles cannot be confined by both Landlock and seccomp.
    /// Default: false, and then the host says at start what is missing.
    pub confinement_required: bool,
    /// Plugins kept. Default: 256; 1 to 10,000.
    pub plugins_max: usize,
    /// Rules, whatever their mode. Default: 64; 1 to 1,000.
    pub rules_max: usize,
    /// Revisions of one rule; the host's own changes are never refused. Default: 1,000; 1 to 100,000.
    pub rule_revisions_max: usize,
    /// Linear memory of one instance, in bytes. Default: 64 MiB; 1 MiB to 1 GiB.
    pub memory_bytes_max: usize,
    /// Entries of one table. Default: 100,000; 1 to 10,000,000.
    pub table_entries_max: usize,
    /// Stack of a call, in bytes. Default: 512 KiB; 64 KiB to 1 MiB, half of what a thread of the host has.
    pub stack_bytes_max: usize,
    /// Fuel of a call before any alert. Default: 50,000,000; 1 to 1,000,000,000,000.
    pub fuel_per_call: u64,
    /// Fuel of a call for each alert. Default: 20,000; 1 to 1,000,000,000.
    pub fuel_per_alert: u64,
    /// Wall-clock backstop of a call, in milliseconds. Default: 1,000; 10 to 60,000.
    pub deadline_ms: u64,
    /// Parameters of a rule, in bytes of JSON. Default: 64 KiB; 2 B to 1 MiB.
    pub parameters_bytes_max: usize,
    /// Words of one state entry. Default: 16; 0 to 256.
    pub state_words_max: u32,
    /// Codes of one device that one rule may keep state for. Default: 64; 1 to 1,024.
    pub state_codes_per_device_max: usize,
    /// Texts a plugin returns (names, reasons, errors), in bytes. Default: 4 KiB; 64 B to 64 KiB. Its schema may be 16
    /// times that.
    pub text_bytes_max: usize,
    /// Failed calls within `fault_window_ms` after which a rule is quarantined. Default: 3; 1 to 1,000.
    pub faults_max: u32,
    /// How long a failed call counts, in milliseconds. Default: 300,000; 1,000 to 86,400,000.
    pub fault_window_ms: u64,
    /// How long a rule's first quarantine lasts before it is tried again, in milliseconds. Each failed trial doubles
    /// it. Default: 60,000; 100 to 86,400,000.
    pub quarantine_ms_min: u64,
    /// How long a quarantine lasts at most, in milliseconds. Default: 86,400,000; 100 to 2,592,000,000.
    pub quarantine_ms_max: u64,
    /// Shadow rules are not called while more batches than these wait to be judged. Default: 16; 0 to 4,096.
    pub shadow_batches_waiting_max: usize,
    /// What each operator may take up of that.
    pub operator: OperatorLimits,
}

/// What the store may take up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreLimits {
    /// Page cache, in bytes. Default: 64 MiB; 1 MiB to 1 TiB.
    pub cache_bytes_max: usize,
    /// Log rows that recovery may have to fold again. Default: 4,000,000; 1 to 1,000,000,000.
    pub recovery_rows_max: u64,
    /// Age at which log entries go, in days. Default: 400; 1 to 36,500.
    pub retention_days_max: u32,
    /// Size above which the oldest log entries go, in bytes. Default: 64 GiB; 1 MiB to 1 PiB.
    pub log_bytes_max: u64,
    /// Free space below which the host pushes back, in bytes. Default: 256 MiB; 0 to 1 TiB.
    pub free_bytes_min: u64,
    /// Length of a store's file up to which all of it is compared with its checksums whenever it is opened. A longer one is
    /// compared value by value as they are read. Default: 1 GiB; 0 to 1,024 TiB.
    pub check_bytes_max: u64,
}

impl Config {
    /// The codes that no rule can hold back. It fails on a text that is no code, which `validate` has ruled out.
    pub fn protected_codes(&self) -> Result<BTreeSet<AlertCode>, ConfigError> {
        let code = |(index, text): (usize, &String)| {
            text.parse::<AlertCode>().map_err(|error| ConfigError::Value {
                field: format!("protected_codes[{index}]"),
                message: error.to_string(),
            })
        };
        self.protected_codes.iter().enumerate().map(code).collect()
    }

    /// The keys that plugins may be signed with, each of an operator.
    pub fn signer_keys(&self) -> Result<Vec<(OperatorId, [u8; 32])>, ConfigError> {
        let refuse = |index: usize, part: &str, message: String| ConfigError::Value {
            field: format!("signing_keys[{index}].{part}"),
            message,
        };
        let mut keys = Vec::with_capacity(self.signing_keys.len());
        for (index, SigningKey { operator, key }) in self.signing_keys.iter().enumerate() {
            let owner = OperatorId::new(*operator)
                .ok_or_else(|| refuse(index, "operator", format!("{operator} is no distributor id (10 to 99)")))?;
            let Digest(bytes) = Digest::from_hex(key)
                .ok_or_else(|| refuse(index, "key", "is no ed25519 public key: 64 hex digits".to_owned()))?;
            keys.push((owner, bytes));
        }
        Ok(keys)
    }

    /// The plugins that are never run.
    pub fn denied_digests(&self) -> Result<BTreeSet<Digest>, ConfigError> {
        let digest = |(index, text): (usize, &String)| {
            Digest::from_hex(text).ok_or_else(|| ConfigError::Value {
                field: format!("denied_plugins[{index}]"),
                message: "is no digest of a plugin: 64 hex digits, as `weir plugin list --json` shows them".to_owned(),
            })
        };
        self.denied_plugins.iter().enumerate().map(digest).collect()
    }

    /// The files of TLS, if it is to be spoken.
    pub fn tls_files(&self) -> Result<Option<TlsFiles>, ConfigError> {
        let needs = |field: &str, message: &str| {
            Err(ConfigError::Value { field: field.to_owned(), message: message.to_owned() })
        };
        match (&self.tls_certificate, &self.tls_key, &self.tls_client_ca) {
            (Some(certificate), Some(key), client_ca) => {
                Ok(Some(TlsFiles { certificate: certificate.clone(), key: key.clone(), client_ca: client_ca.clone() }))
            }
            (None, None, None) => Ok(None),
            (Some(_), None, _) => needs("tls_key", "is missing; tls_certificate needs it"),
            (None, ..) => needs("tls_certificate", "is missing; tls_key and tls_client_ca need it"),
        }
    }

    /// Checks every bound and every relation between two settings; the first one that does not hold is the error.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if let Some(limit) = limits(self).into_iter().find(|limit| !limit.holds()) {
            return Err(ConfigError::Bound(limit));
        }
        // Else a batch that the protocol allows could never become a group.
        if self.group.alerts_max < self.intake.batch_alerts_max {
            return Err(ConfigError::Value {
                field: "group.alerts_max".to_owned(),
                message: format!(
                    "{} is less than intake.batch_alerts_max, {}; raise the one or lower the other",
                    self.group.alerts_max, self.intake.batch_alerts_max
                ),
            });
        }
        // Else a batch that the protocol allows could never be read.
        let batch_bytes_max = self.intake.batch_alerts_max as u64 * ALERT_BYTES_MAX;
        if self.access.identity_bytes_in_flight_max < batch_bytes_max {
            return Err(ConfigError::Value {
                field: "access.identity_bytes_in_flight_max".to_owned(),
                message: format!(
                    "{} is less than a batch of intake.batch_alerts_max, {batch_bytes_max}; raise the one or lower \
                     the other",
                    self.access.identity_bytes_in_flight_max
                ),
            });
        }
        // Else questions could hold every instance that plugins run in, and the fold would wait for one.
        let threads = self.whatif.questions_running_max * self.whatif.threads_max;
        if threads > WHATIF_THREADS_MAX {
            let message = format!(
                "{} threads for each of questions_running_max, {}, are more than {WHATIF_THREADS_MAX}; lower one of them",
                self.whatif.threads_max, self.whatif.questions_running_max
            );
            return Err(ConfigError::Value { field: "whatif.threads_max".to_owned(), message });
        }
        let protected = self.tls_files()?.is_some() && self.authenticate;
        if !self.listen.ip().is_loopback() && !protected && !self.insecure_listen {
            let message = format!(
                "{} can be reached from other machines, and nothing would protect what is said there: set \
                 authenticate, tls_certificate and tls_key, or insecure_listen (--insecure-listen)",
                self.listen
            );
            return Err(ConfigError::Value { field: "listen".to_owned(), message });
        }
        if let Some(metrics) =
            self.metrics_listen.filter(|metrics| !metrics.ip().is_loopback() && !self.insecure_listen)
        {
            let message = format!(
                "{metrics} can be reached from other machines, and figures are given to whoever asks: listen on \
                 127.0.0.1, or set insecure_listen (--insecure-listen)"
            );
            return Err(ConfigError::Value { field: "metrics_listen".to_owned(), message });
        }
        if self.data_dir.as_os_str().is_empty() {
            let message = "is empty; name the folder of the store".to_owned();
            return Err(ConfigError::Value { field: "data_dir".to_owned(), message });
        }
        if self.signatures_required && self.signing_keys.is_empty() {
            let message = "is empty, and signatures_required: no plugin could be taken".to_owned();
            return Err(ConfigError::Value { field: "signing_keys".to_owned(), message });
        }
        self.report.validate()?;
        self.signer_keys()?;
        self.denied_digests()?;
        self.protected_codes().map(drop)
    }
}
