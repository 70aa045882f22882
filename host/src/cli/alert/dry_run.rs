//! What a file of alerts holds, without sending any.
//!
//! Invariants: lines are read as for sending, and each is counted once; alerts pass the host's own checks, by its limits where
//! it has said them, as far as these do not need its devices.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    files::{AlertFile, Files},
    terms::HostLimits,
    unreadable::{AtFault, Unreadable},
};
use crate::{
    admit::{self, Bounds},
    cli::{
        Failure,
        arguments::Names,
        doubt::Doubts,
        input::Notices,
        table::{Table, Value},
        view::time,
    },
    config::{IntakeLimits, StoreLimits},
    domain::{Alert, AlertCode, Millis, RejectReason},
    intake::plausible::Ranges,
};

/// Upper bounds of the settings `intake.future_s_max` and `store.retention_days_max`.
const FUTURE_S_MAX: u64 = 86_400;
const RETENTION_DAYS_MAX: u32 = 36_500;

/// What was found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Found {
    /// Alerts that can be sent.
    alert_count: u64,
    /// What they stand for, by their weights.
    represented_count: u64,
    /// Lines, or documents, that cannot be read.
    pub(super) unreadable_count: u64,
    /// The same, by the part at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) unreadable: Vec<AtFault>,
    /// Alerts that the host rejects; where its limits are not known, those that any host rejects.
    pub(super) rejected_count: u64,
    /// What else there was to say.
    remark_count: u64,
    /// Measurements that are not plausible for their codes.
    implausible_count: u64,
    /// By whose limits alerts were checked: `host` or `defaults`.
    checked_by: &'static str,
    by_code: Vec<ByCode>,
    #[serde(skip)]
    counts: BTreeMap<AlertCode, ByCode>,
    /// The failure that ended the reading.
    #[serde(skip)]
    pub(super) failure: Option<Failure>,
}

/// The alerts of one code.
#[derive(Debug, Default, Serialize)]
struct ByCode {
    code: String,
    alert_count: u64,
    represented_count: u64,
    measured_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    measurement_min: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    measurement_max: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_occurred_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_occurred_at: Option<String>,
    #[serde(skip)]
    occurred_ms: Option<(Millis, Millis)>,
}

/// What there is to say of lines, as they are met.
struct Said {
    unreadable: Unreadable,
    rejected: Notices,
    remarks: Notices,
    doubts: Doubts,
}

/// Bounds of the host's checks.
pub(super) struct Checks {
    /// An alert beyond these is rejected: the host's own bounds, or, where they are not known, the widest that a host may have.
    certain: Bounds<'static>,
    /// Where the host's are not known: the defaults.
    by_default: Option<Bounds<'static>>,
    retention_days: u32,
}

impl Checks {
    /// Returns the bounds by a host's limits and time, or, where these are not known, as of `now_ms`.
    pub(super) fn new(limits: Option<HostLimits>, now_ms: Millis) -> Self {
        // Which measurements are plausible is looked at elsewhere.
        static RANGES: std::sync::OnceLock<Ranges> = std::sync::OnceLock::new();
        let ranges = RANGES.get_or_init(Ranges::open);
        if let Some(HostLimits { intake, retention_days_max, time_ms }) = limits {
            let certain = Bounds::new(time_ms, &intake, retention_days_max, ranges);
            return Self { certain, by_default: None, retention_days: retention_days_max };
        }
        let retention_days = StoreLimits::default().retention_days_max;
        let by_default = Bounds::new(now_ms, &IntakeLimits::default(), retention_days, ranges);
        let limits = IntakeLimits { weight_max: u32::MAX, future_s_max: FUTURE_S_MAX, ..IntakeLimits::default() };
        let certain = Bounds::new(now_ms, &limits, RETENTION_DAYS_MAX, ranges);
        Self { certain, by_default: Some(by_default), retention_days }
    }
}

/// Reads files to their end.
pub(super) fn run(mut files: Files, doubts: Doubts, checks: &Checks) -> Found {
    let progress = files.progress();
    let mut said = Said {
        unreadable: Unreadable::new(progress.clone()),
        rejected: Notices::new("alerts that a host would reject", progress.clone()),
        remarks: Notices::remarks("remarks", progress.clone()),
        doubts,
    };
    let checked_by = if checks.by_default.is_none() { "host" } else { "defaults" };
    let mut found = Found { checked_by, ..Found::default() };
    while let Some(file) = files.next().filter(|_| found.failure.is_none()) {
        let name = file.name.map_or_else(String::new, |name| format!("{name}: "));
        match file.alerts {
            Ok(alerts) => found.read(alerts, &name, &mut said, checks),
            Err(error) => said.unreadable.give(&name, &error),
        }
    }
    (found.unreadable_count, found.unreadable) = said.unreadable.finish();
    found.rejected_count = said.rejected.finish();
    found.remark_count = said.remarks.finish();
    found.implausible_count = said.doubts.finish();
    found.by_code = std::mem::take(&mut found.counts).into_iter().map(|(code, row)| row.named(code)).collect();
    found
}

impl Said {
    /// Runs the host's checks, reports what they say, and returns false for an alert that the host rejects, or any host.
    fn check(&mut self, place: impl Fn() -> String, alert: &Alert, checks: &Checks) -> bool {
        if let Err(reject) = admit::check(alert, &checks.certain) {
            self.rejected.give(&format!("{}{}", place(), reject.message));
            return false;
        }
        match checks.by_default.as_ref().map_or(Ok(()), |bounds| admit::check(alert, bounds)) {
            Err(reject) if reject.reason == RejectReason::ReceivedAt => {
                let days = checks.retention_days;
                let message = format!(
                    "{}{}: a host that keeps {days} days or less, the default, rejects it",
                    place(),
                    reject.message
                );
                self.remarks.give(&message);
            }
            Err(reject) => {
                self.remarks.give(&format!("{}{}: a host with default settings rejects it", place(), reject.message))
            }
            Ok(()) => {}
        }
        true
    }
}

impl Found {
    /// Reads one file.
    fn read(&mut self, mut alerts: AlertFile, name: &str, said: &mut Said, checks: &Checks) {
        let items = alerts.items();
        said.unreadable.begin(items);
        loop {
            let item = alerts.next();
            std::iter::from_fn(|| alerts.remark())
                .for_each(|remark| said.remarks.give(&format!("{name}{}", remark.told(items))));
            match item {
                None => return,
                Some(Ok(alert)) => {
                    let word = if items == "rows" { "row" } else { "line" };
                    let place = || format!("{name}{word} {}: ", alerts.line());
                    if said.check(place, &alert, checks) {
                        said.doubts.look(name, alerts.line(), &alert);
                        self.count(&alert);
                    }
                }
                Some(Err(error)) if error.fatal => {
                    self.failure = Some(Failure::usage(format!("{name}{}", error.told(items))));
                    return;
                }
                Some(Err(error)) => said.unreadable.give(name, &error),
            }
        }
    }

    fn count(&mut self, alert: &Alert) {
        self.alert_count += 1;
        self.represented_count += u64::from(alert.weight);
        let row = self.counts.entry(alert.code).or_default();
        row.alert_count += 1;
        row.represented_count += u64::from(alert.weight);
        if let Some(measurement) = alert.measurement {
            row.measured_count += 1;
            row.measurement_min = Some(row.measurement_min.map_or(measurement, |least| least.min(measurement)));
            row.measurement_max = Some(row.measurement_max.map_or(measurement, |most| most.max(measurement)));
        }
        if let Some(at) = alert.occurred_ms {
            let (first, last) = row.occurred_ms.unwrap_or((at, at));
            row.occurred_ms = Some((first.min(at), last.max(at)));
        }
    }

    /// Returns a table for people, without empty columns.
    pub(super) fn table(&self, names: &Names) -> Table {
        let weighed = self.alert_count != self.represented_count;
        let measured = self.by_code.iter().any(|row| row.measured_count > 0);
        let timed = self.by_code.iter().any(|row| row.first_occurred_at.is_some());
        let number = |number: Option<i32>| Value::Text(number.map_or_else(String::new, |number| number.to_string()));
        let text = |text: &Option<String>| Value::text(text.as_deref().unwrap_or_default());
        let parts =
            [(weighed, &["stand for"][..]), (measured, &["measured", "least", "most"]), (timed, &["first", "last"])];
        let shown = parts.into_iter().filter(|(is_shown, _)| *is_shown).flat_map(|(_, headings)| headings);
        let headings: Vec<&str> = ["code", "alerts"].iter().chain(shown).copied().collect();
        let mut table = Table::new(&headings);
        for row in &self.by_code {
            let mut values = vec![Value::Text(names.code(&row.code)), Value::Number(row.alert_count)];
            if weighed {
                values.push(Value::Number(row.represented_count));
            }
            if measured {
                let measurements = [number(row.measurement_min), number(row.measurement_max)];
                values.extend([Value::Number(row.measured_count)].into_iter().chain(measurements));
            }
            if timed {
                values.extend([text(&row.first_occurred_at), text(&row.last_occurred_at)]);
            }
            table.row(values);
        }
        let represented = weighed.then_some(Value::Number(self.represented_count));
        let sums = [Value::text("all"), Value::Number(self.alert_count)].into_iter().chain(represented);
        let mut sums: Vec<Value> = sums.collect();
        sums.resize_with(headings.len(), || Value::text(""));
        table.row(sums);
        table
    }
}

impl ByCode {
    fn named(self, code: AlertCode) -> Self {
        let (first, last) =
            self.occurred_ms.map_or((None, None), |(first, last)| (Some(time(first)), Some(time(last))));
        Self { code: code.to_string(), first_occurred_at: first, last_occurred_at: last, ..self }
    }
}
