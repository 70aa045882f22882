//! Every number that can be set, with its bounds and its unit: one table, for the check and for the manual.
//!
//! It must not know what the numbers do. Invariant: every number of the settings stands in the table once.

use std::{fmt, ops::RangeInclusive};

use super::{
    AccessLimits, Config, GroupLimits, IntakeLimits, OperatorLimits, PluginLimits, ReadingLimits, ReportLimits,
    StoreLimits, SubscribeLimits, VerifyLimits, WhatIfLimits,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// One number of a configuration. With the default configuration, `value` is the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its key in the file, like `intake.weight_max`.
    pub name: &'static str,
    /// What it is set to.
    pub value: u64,
    /// What it may be set to.
    pub allowed: RangeInclusive<u64>,
    /// What it counts.
    pub unit: &'static str,
}

impl Limit {
    /// Whether it is within its bounds.
    pub fn holds(&self) -> bool {
        self.allowed.contains(&self.value)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value, unit) = (self.name, self.value, self.unit);
        write!(f, "{name}: {value} is not allowed; from {} to {} {unit} are", self.allowed.start(), self.allowed.end())
    }
}

/// All numbers of a configuration, in the order of its fields.
pub fn limits(config: &Config) -> Vec<Limit> {
    // Taken apart completely, so that a new number without bounds does not compile.
    let Config {
        listen: _,
        data_dir: _,
        protected_codes: _,
        code_table: _,
        without_plugins: _,
        authenticate: _,
        insecure_listen: _,
        signatures_required: _,
        signing_keys: _,
        denied_plugins: _,
        tls_certificate: _,
        tls_key: _,
        tls_client_ca: _,
        metrics_listen: _,
        page: _,
        intake,
        group,
        plugins,
        store,
        access,
        whatif,
        verify,
        report,
        subscribe,
        readings,
    } = config;
    [
        intake_limits(intake),
        group_limits(group),
        plugin_limits(plugins),
        operator_limits(&plugins.operator),
        store_limits(store),
        access_limits(access),
        whatif_limits(whatif),
        verify_limits(verify),
        report_limits(report),
        subscribe_limits(subscribe),
        reading_limits(readings),
    ]
    .concat()
}

fn limit(name: &'static str, value: u64, allowed: RangeInclusive<u64>, unit: &'static str) -> Limit {
    Limit { name, value, allowed, unit }
}

fn intake_limits(limits: &IntakeLimits) -> Vec<Limit> {
    let IntakeLimits {
        message_bytes_max,
        batch_alerts_max,
        batches_in_flight_max,
        connections_max,
        streams_per_connection_max,
        batches_queued_max,
        producers_max,
        identity_producers_max,
        producer_idle_s_max,
        ephemeral_idle_s_max,
        producer_texts_bytes_max,
        texts_bytes_max,
        rejections_listed_max,
        weight_max,
        future_s_max,
        copies_rows_max,
        clock_behind_s_max,
        clock_ahead_s_max,
        clock_gap_days_max,
        devices_max,
        put_devices_max,
        models_max,
        label_keys_max,
        label_values_max,
        operator_label_values_max,
        list_alerts_max,
        drain_ms_max,
        keepalive_every_ms,
        keepalive_ms_max,
        message_wait_ms_max,
        partial_message_ms_max,
        unread_answers_ms_max,
    } = limits.clone();
    vec![
        limit("intake.message_bytes_max", message_bytes_max as u64, KIB..=64 * MIB, "bytes"),
        limit("intake.batch_alerts_max", batch_alerts_max as u64, 1..=65_535, "alerts"),
        limit("intake.batches_in_flight_max", batches_in_flight_max as u64, 1..=1_024, "batches"),
        limit("intake.connections_max", connections_max as u64, 1..=65_535, "connections"),
        limit("intake.streams_per_connection_max", streams_per_connection_max.into(), 1..=1_024, "streams"),
        limit("intake.batches_queued_max", batches_queued_max as u64, 1..=4_096, "batches"),
        limit("intake.producers_max", producers_max as u64, 1..=1_000_000, "producers"),
        limit("intake.identity_producers_max", identity_producers_max as u64, 1..=1_000_000, "producers"),
        limit("intake.producer_idle_s_max", producer_idle_s_max, 1..=315_360_000, "seconds"),
        limit("intake.ephemeral_idle_s_max", ephemeral_idle_s_max, 1..=2_592_000, "seconds"),
        limit("intake.producer_texts_bytes_max", producer_texts_bytes_max as u64, 0..=64 * MIB, "bytes"),
        limit("intake.texts_bytes_max", texts_bytes_max, 0..=TIB, "bytes"),
        limit("intake.rejections_listed_max", rejections_listed_max as u64, 0..=65_535, "rejections"),
        limit("intake.weight_max", weight_max.into(), 1..=u32::MAX.into(), "alerts"),
        limit("intake.future_s_max", future_s_max, 0..=86_400, "seconds"),
        limit("intake.copies_rows_max", copies_rows_max, 65_536..=2_000_000_000, "log rows"),
        limit("intake.clock_behind_s_max", clock_behind_s_max, 1..=86_400, "seconds"),
        limit("intake.clock_ahead_s_max", clock_ahead_s_max, 60..=604_800, "seconds"),
        limit("intake.clock_gap_days_max", clock_gap_days_max.into(), 1..=36_500, "days"),
        limit("intake.devices_max", devices_max.into(), 1..=64_000_000, "devices"),
        limit("intake.put_devices_max", put_devices_max as u64, 1..=65_535, "devices"),
        limit("intake.models_max", models_max as u64, 1..=1_000_000, "models"),
        limit("intake.label_keys_max", label_keys_max as u64, 1..=64, "keys"),
        limit("intake.label_values_max", label_values_max as u64, 1..=64_000_000, "values"),
        limit("intake.operator_label_values_max", operator_label_values_max as u64, 1..=64_000_000, "values"),
        limit("intake.list_alerts_max", list_alerts_max as u64, 1..=100_000, "alerts"),
        limit("intake.drain_ms_max", drain_ms_max, 0..=600_000, "milliseconds"),
        limit("intake.keepalive_every_ms", keepalive_every_ms, 100..=3_600_000, "milliseconds"),
        limit("intake.keepalive_ms_max", keepalive_ms_max, 100..=3_600_000, "milliseconds"),
        limit("intake.message_wait_ms_max", message_wait_ms_max, 100..=86_400_000, "milliseconds"),
        limit("intake.partial_message_ms_max", partial_message_ms_max, 100..=3_600_000, "milliseconds"),
        limit("intake.unread_answers_ms_max", unread_answers_ms_max, 100..=3_600_000, "milliseconds"),
    ]
}

fn group_limits(limits: &GroupLimits) -> Vec<Limit> {
    let GroupLimits { alerts_max, wait_us_max } = limits.clone();
    vec![
        limit("group.alerts_max", alerts_max as u64, 1..=65_535, "alerts"),
        limit("group.wait_us_max", wait_us_max, 0..=1_000_000, "microseconds"),
    ]
}

fn plugin_limits(limits: &PluginLimits) -> Vec<Limit> {
    let PluginLimits {
        upload_bytes_max,
        compile_ms_max,
        compile_cpu_s_max,
        compile_memory_bytes_max,
        compiled_bytes_max,
        confinement_required: _,
        plugins_max,
        rules_max,
        rule_revisions_max,
        memory_bytes_max,
        table_entries_max,
        stack_bytes_max,
        fuel_per_call,
        fuel_per_alert,
        deadline_ms,
        parameters_bytes_max,
        state_words_max,
        state_codes_per_device_max,
        text_bytes_max,
        faults_max,
        fault_window_ms,
        quarantine_ms_min,
        quarantine_ms_max,
        shadow_batches_waiting_max,
        operator: _,
    } = limits.clone();
    vec![
        limit("plugins.upload_bytes_max", upload_bytes_max as u64, KIB..=256 * MIB, "bytes"),
        limit("plugins.compile_ms_max", compile_ms_max, 100..=3_600_000, "milliseconds"),
        limit("plugins.compile_cpu_s_max", compile_cpu_s_max, 1..=3_600, "seconds"),
        limit("plugins.compile_memory_bytes_max", compile_memory_bytes_max, 256 * MIB..=TIB, "bytes"),
        limit("plugins.compiled_bytes_max", compiled_bytes_max, MIB..=4 * GIB, "bytes"),
        limit("plugins.plugins_max", plugins_max as u64, 1..=10_000, "plugins"),
        limit("plugins.rules_max", rules_max as u64, 1..=1_000, "rules"),
        limit("plugins.rule_revisions_max", rule_revisions_max as u64, 1..=100_000, "revisions"),
        limit("plugins.memory_bytes_max", memory_bytes_max as u64, MIB..=GIB, "bytes"),
        limit("plugins.table_entries_max", table_entries_max as u64, 1..=10_000_000, "entries"),
        limit("plugins.stack_bytes_max", stack_bytes_max as u64, 64 * KIB..=MIB, "bytes"),
        // The fuel of the largest call, 65,535 alerts, stays far below the top of 64 bits.
        limit("plugins.fuel_per_call", fuel_per_call, 1..=1_000_000_000_000, "units of fuel"),
        limit("plugins.fuel_per_alert", fuel_per_alert, 1..=1_000_000_000, "units of fuel"),
        limit("plugins.deadline_ms", deadline_ms, 10..=60_000, "milliseconds"),
        limit("plugins.parameters_bytes_max", parameters_bytes_max as u64, 2..=MIB, "bytes"),
        limit("plugins.state_words_max", state_words_max.into(), 0..=256, "64-bit words"),
        limit("plugins.state_codes_per_device_max", state_codes_per_device_max as u64, 1..=1_024, "codes"),
        limit("plugins.text_bytes_max", text_bytes_max as u64, 64..=64 * KIB, "bytes"),
        limit("plugins.faults_max", faults_max.into(), 1..=1_000, "calls"),
        limit("plugins.fault_window_ms", fault_window_ms, 1_000..=86_400_000, "milliseconds"),
        limit("plugins.quarantine_ms_min", quarantine_ms_min, 100..=86_400_000, "milliseconds"),
        limit("plugins.quarantine_ms_max", quarantine_ms_max, 100..=2_592_000_000, "milliseconds"),
        limit("plugins.shadow_batches_waiting_max", shadow_batches_waiting_max as u64, 0..=4_096, "batches"),
    ]
}

fn operator_limits(limits: &OperatorLimits) -> Vec<Limit> {
    let OperatorLimits {
        plugins_max,
        rules_max,
        revisions_max,
        upload_bytes_max,
        memory_bytes_max,
        table_entries_max,
        fuel_per_call,
        fuel_per_alert,
        deadline_ms,
        call_us_max,
        time_percent_max,
        parameters_bytes_max,
        state_words_max,
    } = limits.clone();
    vec![
        limit("plugins.operator.plugins_max", plugins_max as u64, 1..=10_000, "plugins"),
        limit("plugins.operator.rules_max", rules_max as u64, 1..=1_000, "rules"),
        limit("plugins.operator.revisions_max", revisions_max as u64, 1..=1_000_000, "revisions"),
        limit("plugins.operator.upload_bytes_max", upload_bytes_max as u64, KIB..=256 * MIB, "bytes"),
        limit("plugins.operator.memory_bytes_max", memory_bytes_max as u64, MIB..=GIB, "bytes"),
        limit("plugins.operator.table_entries_max", table_entries_max as u64, 1..=10_000_000, "entries"),
        limit("plugins.operator.fuel_per_call", fuel_per_call, 1..=1_000_000_000_000, "units of fuel"),
        limit("plugins.operator.fuel_per_alert", fuel_per_alert, 1..=1_000_000_000, "units of fuel"),
        limit("plugins.operator.deadline_ms", deadline_ms, 10..=60_000, "milliseconds"),
        limit("plugins.operator.call_us_max", call_us_max, 100..=60_000_000, "microseconds"),
        limit("plugins.operator.time_percent_max", time_percent_max.into(), 1..=100, "percent"),
        limit("plugins.operator.parameters_bytes_max", parameters_bytes_max as u64, 2..=MIB, "bytes"),
        limit("plugins.operator.state_words_max", state_words_max.into(), 0..=256, "64-bit words"),
    ]
}

fn store_limits(limits: &StoreLimits) -> Vec<Limit> {
    let StoreLimits {
        cache_bytes_max,
        recovery_rows_max,
        retention_days_max,
        log_bytes_max,
        free_bytes_min,
        check_bytes_max,
    } = limits.clone();
    vec![
        limit("store.cache_bytes_max", cache_bytes_max as u64, MIB..=TIB, "bytes"),
        limit("store.recovery_rows_max", recovery_rows_max, 1..=1_000_000_000, "log rows"),
        limit("store.retention_days_max", retention_days_max.into(), 1..=36_500, "days"),
        limit("store.log_bytes_max", log_bytes_max, MIB..=1_024 * TIB, "bytes"),
        limit("store.free_bytes_min", free_bytes_min, 0..=TIB, "bytes"),
        limit("store.check_bytes_max", check_bytes_max, 0..=1_024 * TIB, "bytes"),
    ]
}

fn access_limits(limits: &AccessLimits) -> Vec<Limit> {
    let AccessLimits {
        tokens_max,
        denials_per_minute_max,
        identity_connections_max,
        identity_streams_max,
        identity_calls_per_second_max,
        identity_calls_burst_max,
        operator_changes_per_minute_max,
        identity_queries_max,
        queries_max,
        identity_bytes_in_flight_max,
        operator_bytes_in_flight_max,
        unidentified_ms_max,
        token_sessions_max,
        session_ms_max,
    } = limits.clone();
    vec![
        limit("access.tokens_max", tokens_max as u64, 1..=100_000, "tokens"),
        limit("access.denials_per_minute_max", denials_per_minute_max.into(), 1..=10_000, "calls"),
        limit("access.identity_connections_max", identity_connections_max as u64, 1..=65_535, "connections"),
        limit("access.identity_streams_max", identity_streams_max as u64, 1..=65_535, "calls"),
        limit("access.identity_calls_per_second_max", identity_calls_per_second_max.into(), 1..=1_000_000, "calls"),
        limit("access.identity_calls_burst_max", identity_calls_burst_max.into(), 1..=10_000_000, "calls"),
        limit("access.operator_changes_per_minute_max", operator_changes_per_minute_max.into(), 1..=1_000_000, "calls"),
        limit("access.identity_queries_max", identity_queries_max as u64, 1..=64, "calls"),
        limit("access.queries_max", queries_max as u64, 1..=256, "calls"),
        limit("access.identity_bytes_in_flight_max", identity_bytes_in_flight_max, KIB..=TIB, "bytes"),
        limit("access.operator_bytes_in_flight_max", operator_bytes_in_flight_max, KIB..=TIB, "bytes"),
        limit("access.unidentified_ms_max", unidentified_ms_max, 100..=3_600_000, "milliseconds"),
        limit("access.token_sessions_max", token_sessions_max as u64, 1..=1_000, "sessions"),
        limit("access.session_ms_max", session_ms_max, 1_000..=2_678_400_000, "milliseconds"),
    ]
}

fn whatif_limits(limits: &WhatIfLimits) -> Vec<Limit> {
    let WhatIfLimits {
        questions_running_max,
        questions_waiting_max,
        operator_questions_max,
        variants_max,
        samples_max,
        devices_max,
        answers_max,
        operator_answers_max,
        threads_max,
        cpu_percent_max,
        run_ms_max,
    } = limits.clone();
    vec![
        limit("whatif.questions_running_max", questions_running_max as u64, 1..=4, "questions"),
        limit("whatif.questions_waiting_max", questions_waiting_max as u64, 0..=1_000, "questions"),
        limit("whatif.operator_questions_max", operator_questions_max as u64, 1..=1_000, "questions"),
        limit("whatif.variants_max", variants_max as u64, 1..=256, "variants"),
        limit("whatif.samples_max", samples_max as u64, 0..=1_000, "alerts"),
        limit("whatif.devices_max", devices_max as u64, 0..=10_000, "devices"),
        limit("whatif.answers_max", answers_max as u64, 1..=10_000, "answers"),
        limit("whatif.operator_answers_max", operator_answers_max as u64, 1..=10_000, "answers"),
        limit("whatif.threads_max", threads_max as u64, 1..=4, "threads"),
        limit("whatif.cpu_percent_max", cpu_percent_max.into(), 1..=100, "percent"),
        limit("whatif.run_ms_max", run_ms_max, 1_000..=86_400_000, "milliseconds"),
    ]
}

fn verify_limits(limits: &VerifyLimits) -> Vec<Limit> {
    let VerifyLimits { every_s } = limits.clone();
    vec![limit("verify.every_s", every_s, 0..=31_536_000, "seconds")]
}

fn report_limits(limits: &ReportLimits) -> Vec<Limit> {
    let ReportLimits {
        device_rows_max,
        count_rows_max,
        window_days,
        amber_alerts_per_1000_device_days: amber_level,
        red_alerts_per_1000_device_days: red_level,
        amber_capacity_percent: amber_percent,
        red_capacity_percent: red_percent,
        migration_planned_devices: planned,
        migration_capacity_alerts_per_day: capacity,
        migration_every_s,
    } = limits.clone();
    vec![
        limit("report.device_rows_max", device_rows_max as u64, 1_000..=50_000_000, "rows"),
        limit("report.count_rows_max", count_rows_max as u64, 1_000..=10_000_000, "rows"),
        limit("report.window_days", window_days.into(), 1..=400, "days"),
        limit("report.amber_alerts_per_1000_device_days", amber_level, 1..=1_000_000_000, "alerts"),
        limit("report.red_alerts_per_1000_device_days", red_level, 1..=1_000_000_000, "alerts"),
        limit("report.amber_capacity_percent", amber_percent.into(), 1..=1_000, "percent"),
        limit("report.red_capacity_percent", red_percent.into(), 1..=1_000, "percent"),
        limit("report.migration_planned_devices", planned, 0..=1_000_000_000, "devices"),
        limit("report.migration_capacity_alerts_per_day", capacity, 1..=1_000_000_000_000, "alerts"),
        limit("report.migration_every_s", migration_every_s, 1..=86_400, "seconds"),
    ]
}

fn subscribe_limits(limits: &SubscribeLimits) -> Vec<Limit> {
    let SubscribeLimits {
        streams_max,
        identity_streams_max,
        cursors_max,
        identity_cursors_max,
        message_alerts_max,
        progress_every_ms,
    } = limits.clone();
    vec![
        limit("subscribe.streams_max", streams_max as u64, 1..=10_000, "streams"),
        limit("subscribe.identity_streams_max", identity_streams_max as u64, 1..=10_000, "streams"),
        limit("subscribe.cursors_max", cursors_max as u64, 1..=100_000, "cursors"),
        limit("subscribe.identity_cursors_max", identity_cursors_max as u64, 1..=1_000, "cursors"),
        limit("subscribe.message_alerts_max", message_alerts_max as u64, 1..=10_000, "alerts"),
        limit("subscribe.progress_every_ms", progress_every_ms, 100..=3_600_000, "milliseconds"),
    ]
}

fn reading_limits(limits: &ReadingLimits) -> Vec<Limit> {
    let ReadingLimits {
        put_readings_max,
        retention_days_max,
        per_device_max,
        per_operator_max,
        thresholds_per_device_max,
        models_per_operator_max,
        sources_per_operator_max,
        file_bytes_max,
        cache_bytes_max,
    } = limits.clone();
    vec![
        limit("readings.put_readings_max", put_readings_max as u64, 1..=65_535, "readings"),
        limit("readings.retention_days_max", retention_days_max.into(), 1..=36_500, "days"),
        limit("readings.per_device_max", per_device_max.into(), 1..=10_000_000, "readings"),
        limit("readings.per_operator_max", per_operator_max, 1..=1_000_000_000_000, "readings"),
        limit("readings.thresholds_per_device_max", thresholds_per_device_max as u64, 1..=100_000, "thresholds"),
        limit("readings.models_per_operator_max", models_per_operator_max as u64, 1..=100_000, "models"),
        limit("readings.sources_per_operator_max", sources_per_operator_max as u64, 1..=100_000, "sources"),
        limit("readings.file_bytes_max", file_bytes_max, MIB..=1_024 * TIB, "bytes"),
        limit("readings.cache_bytes_max", cache_bytes_max as u64, MIB..=TIB, "bytes"),
    ]
}
