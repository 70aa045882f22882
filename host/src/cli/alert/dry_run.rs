//! What a file of alerts holds, without sending any.
//!
//! It must not know a server. Invariant: lines are read as they would be to be sent, and each is counted once.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    files::{AlertFile, Files},
    unreadable::{AtFault, Unreadable},
};
use crate::{
    cli::{
        arguments::Names,
        doubt::Doubts,
        input::Notices,
        table::{Table, Value},
        view::time,
    },
    domain::{AlertCode, Millis},
    intake::LineError,
};

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
    /// What else there was to say.
    remark_count: u64,
    /// Measurements that are not plausible for their codes.
    implausible_count: u64,
    by_code: Vec<ByCode>,
    #[serde(skip)]
    counts: BTreeMap<AlertCode, ByCode>,
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
    remarks: Notices,
    doubts: Doubts,
}

/// Reads files to their end.
pub(super) fn run(mut files: Files, doubts: Doubts) -> Result<Found, LineError> {
    let progress = files.progress();
    let mut said = Said {
        unreadable: Unreadable::new(progress.clone()),
        remarks: Notices::remarks("remarks", progress.clone()),
        doubts,
    };
    let mut found = Found::default();
    while let Some(file) = files.next() {
        let name = file.name.map_or_else(String::new, |name| format!("{name}: "));
        match file.alerts {
            Ok(alerts) => found.read(alerts, &name, &mut said)?,
            Err(error) => said.unreadable.give(&name, &error),
        }
    }
    (found.unreadable_count, found.unreadable) = said.unreadable.finish();
    found.remark_count = said.remarks.finish();
    found.implausible_count = said.doubts.finish();
    found.by_code = std::mem::take(&mut found.counts).into_iter().map(|(code, row)| row.named(code)).collect();
    Ok(found)
}

impl Found {
    /// Reads one file.
    fn read(
        &mut self,
        mut alerts: AlertFile,
        name: &str,
        Said { unreadable, remarks, doubts }: &mut Said,
    ) -> Result<(), LineError> {
        loop {
            let item = alerts.next();
            std::iter::from_fn(|| alerts.remark()).for_each(|remark| remarks.give(&format!("{name}{remark}")));
            match item {
                None => return Ok(()),
                Some(Ok(alert)) => {
                    doubts.look(name, alerts.line(), &alert);
                    self.count(&alert);
                }
                Some(Err(error)) if error.fatal => {
                    let message = format!("{name}{}", error.message);
                    return Err(LineError { message, ..error });
                }
                Some(Err(error)) => unreadable.give(name, &error),
            }
        }
    }

    fn count(&mut self, alert: &crate::domain::Alert) {
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

    /// For people.
    pub(super) fn table(&self, names: &Names) -> Table {
        let mut table = Table::new(&["code", "alerts", "stand for", "measured", "least", "most", "first", "last"]);
        let number = |number: Option<i32>| Value::Text(number.map_or_else(String::new, |number| number.to_string()));
        for row in &self.by_code {
            table.row([
                Value::Text(names.code(&row.code)),
                Value::Number(row.alert_count),
                Value::Number(row.represented_count),
                Value::Number(row.measured_count),
                number(row.measurement_min),
                number(row.measurement_max),
                Value::text(row.first_occurred_at.as_deref().unwrap_or_default()),
                Value::text(row.last_occurred_at.as_deref().unwrap_or_default()),
            ]);
        }
        let (alerts, represented) = (Value::Number(self.alert_count), Value::Number(self.represented_count));
        let rest = [(); 5].map(|()| Value::text(""));
        table.row([Value::text("all"), alerts, represented].into_iter().chain(rest));
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
