//! What a host does that is told nothing.
//!
//! It must not know where settings come from. Invariant: the defaults pass `validate`.

use std::{net::SocketAddr, path::PathBuf};

use super::{
    AccessLimits, Config, GroupLimits, IntakeLimits, OperatorLimits, PluginLimits, ReadingLimits, ReportLimits,
    StoreLimits, SubscribeLimits, VerifyLimits, WhatIfLimits,
};
use crate::domain::WEIGHT_MAX;

/// Supply outages as hubs tell of them, supply restored (all phases), supply interrupted, and tamper.
const PROTECTED_CODES: [&str; 20] = [
    "AD1", "8F35", "8F36", "8F37", "8F38", "8F39", "8F3A", "8F3B", "8F3C", "8F57", "8F58", "8F59", "8F5A", "8F3F",
    "8F73", "8F74", "8F75", "8F76", "8F77", "8F78",
];

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7700)),
            data_dir: PathBuf::from("weir-data"),
            protected_codes: PROTECTED_CODES.map(str::to_owned).to_vec(),
            code_table: None,
            without_plugins: false,
            authenticate: false,
            insecure_listen: false,
            signatures_required: false,
            signing_keys: Vec::new(),
            denied_plugins: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            tls_client_ca: None,
            metrics_listen: None,
            page: true,
            intake: IntakeLimits::default(),
            group: GroupLimits::default(),
            plugins: PluginLimits::default(),
            store: StoreLimits::default(),
            access: AccessLimits::default(),
            whatif: WhatIfLimits::default(),
            verify: VerifyLimits::default(),
            report: ReportLimits::default(),
            subscribe: SubscribeLimits::default(),
            readings: ReadingLimits::default(),
        }
    }
}

impl Default for IntakeLimits {
    fn default() -> Self {
        Self {
            message_bytes_max: 4 << 20,
            batch_alerts_max: 16_384,
            batches_in_flight_max: 32,
            connections_max: 256,
            streams_per_connection_max: 16,
            batches_queued_max: 64,
            producers_max: 10_000,
            identity_producers_max: 2_000,
            producer_idle_s_max: 30 * 86_400,
            ephemeral_idle_s_max: 2 * 3_600,
            producer_texts_bytes_max: 32 << 10,
            texts_bytes_max: 64 << 20,
            rejections_listed_max: 100,
            weight_max: WEIGHT_MAX,
            future_s_max: 300,
            copies_rows_max: 8_388_608,
            clock_behind_s_max: 300,
            clock_ahead_s_max: 3_600,
            clock_gap_days_max: 31,
            devices_max: 4_000_000,
            put_devices_max: 16_384,
            models_max: 10_000,
            label_keys_max: 16,
            label_values_max: 2_000_000,
            operator_label_values_max: 1_000_000,
            list_alerts_max: 10_000,
            drain_ms_max: 10_000,
            keepalive_every_ms: 30_000,
            keepalive_ms_max: 20_000,
            message_wait_ms_max: 600_000,
            partial_message_ms_max: 60_000,
            unread_answers_ms_max: 60_000,
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
            compile_ms_max: 60_000,
            compile_cpu_s_max: 60,
            compile_memory_bytes_max: 2 << 30,
            compiled_bytes_max: 256 << 20,
            confinement_required: false,
            plugins_max: 256,
            rules_max: 64,
            rule_revisions_max: 1_000,
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
            faults_max: 3,
            fault_window_ms: 300_000,
            quarantine_ms_min: 60_000,
            quarantine_ms_max: 86_400_000,
            shadow_batches_waiting_max: 16,
            operator: OperatorLimits::default(),
        }
    }
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            cache_bytes_max: 16 << 20,
            recovery_rows_max: 4_000_000,
            retention_days_max: 400,
            log_bytes_max: 64 << 30,
            free_bytes_min: 256 << 20,
            check_bytes_max: 1 << 30,
        }
    }
}

impl Default for AccessLimits {
    fn default() -> Self {
        Self {
            tokens_max: 1_000,
            denials_per_minute_max: 60,
            identity_connections_max: 128,
            identity_streams_max: 256,
            identity_calls_per_second_max: 5_000,
            identity_calls_burst_max: 10_000,
            operator_changes_per_minute_max: 120,
            identity_queries_max: 4,
            queries_max: 16,
            identity_bytes_in_flight_max: 256 << 20,
            operator_bytes_in_flight_max: 64 << 20,
            unidentified_ms_max: 30_000,
            token_sessions_max: 16,
            session_ms_max: 12 * 3_600_000,
        }
    }
}

impl Default for WhatIfLimits {
    fn default() -> Self {
        Self {
            questions_running_max: 1,
            questions_waiting_max: 8,
            operator_questions_max: 2,
            variants_max: 32,
            samples_max: 100,
            devices_max: 100,
            answers_max: 200,
            operator_answers_max: 20,
            threads_max: 1,
            cpu_percent_max: 50,
            run_ms_max: 3_600_000,
        }
    }
}
