//! What a plugin did with a sample of alerts.
//!
//! It must not know how it was tried.

use serde::Serialize;

use super::{alert::Balance, clean, time};
use crate::{
    cli::table::{Table, Value, thousands},
    config::PluginLimits,
    domain::{Alert, End, StateKey},
    rehearsal::{Entry, Rehearsal, Rehearsed, Verdict},
};

/// Rows of a table; JSON has them all.
const ROWS_MAX: usize = 1_000;
/// State entries that are spelled out in a table.
const ENTRIES_MAX: usize = 10;
/// Failures that are spelled out in a table.
const FAILURES_MAX: usize = 10;
const DETAIL_CHARS_MAX: usize = 400;

/// All that is shown.
pub(in crate::cli) struct Sampled {
    alerts: Vec<AlertLine>,
    entries: Vec<StateLine>,
    summary: Summary,
}

/// One line of JSON.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum Line<'a> {
    Alert(&'a AlertLine),
    State(&'a StateLine),
    Summary(&'a Summary),
}

/// An alert and what became of it.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct AlertLine {
    pub line: u64,
    pub device_id: String,
    pub code: String,
    pub occurred_at_ms: Option<i64>,
    pub measurement: Option<i32>,
    pub outcome: &'static str,
    /// Why it was held back, or would have been.
    pub reason: Option<String>,
    pub overruled: bool,
    pub withheld: u32,
    /// Fuel of a call with this alert alone.
    pub fuel_alone: Option<u64>,
    /// Why it was rejected.
    pub message: Option<String>,
}

/// What the rule keeps at the end.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct StateLine {
    pub device_id: String,
    pub code: Option<String>,
    pub words: Vec<u64>,
}

/// The sample as a whole.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Summary {
    pub plugin: String,
    pub version: String,
    pub digest: String,
    pub parameters: String,
    pub balance: Balance,
    pub overruled: u64,
    pub call_count: u64,
    pub judged_count: u64,
    pub fuel: u64,
    pub fuel_per_alert: u64,
    pub fuel_per_call_max: u64,
    pub fuel_per_alert_max: u64,
    pub memory_bytes: u64,
    pub memory_bytes_max: u64,
    pub state_entry_count: u64,
    pub state_words: u32,
    pub failures: Vec<FailureLine>,
    /// The first line that is judged in another way when it comes alone.
    pub depends_on_batch_at_line: Option<u64>,
}

/// A call that failed.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct FailureLine {
    pub kind: &'static str,
    pub detail: String,
    pub alert_count: u64,
    pub line: u64,
    /// Whether the alert of this line makes it fail alone.
    pub is_poison: bool,
}

impl Sampled {
    /// Of a rehearsal and its outcome; `lines` says from which line each alert came.
    pub(in crate::cli) fn new(rehearsal: &Rehearsal<'_>, rehearsed: &Rehearsed, lines: &[u64]) -> Self {
        let info = rehearsal.plugin.info();
        let alone = rehearsed.fuel_alone.iter().copied().chain(std::iter::repeat(None));
        let judged = rehearsed.verdicts.iter().zip(alone);
        let alerts: Vec<AlertLine> = rehearsal
            .alerts
            .iter()
            .zip(lines)
            .zip(judged)
            .map(|((alert, line), (verdict, fuel))| AlertLine::new(alert, *line, verdict, fuel, &info.reasons))
            .collect();
        let by_code = info.state_key == StateKey::DeviceAndCode;
        let entries: Vec<StateLine> = rehearsed.entries.iter().map(|entry| StateLine::new(entry, by_code)).collect();
        let failures = rehearsed.failures.iter().map(|failure| FailureLine {
            kind: failure.fault.kind.name(),
            detail: failure.fault.detail.clone(),
            alert_count: failure.alerts as u64,
            line: lines[failure.alert],
            is_poison: failure.is_poison,
        });
        let PluginLimits { fuel_per_call, fuel_per_alert, memory_bytes_max, .. } = rehearsal.config.plugins;
        let used = rehearsed.used;
        let summary = Summary {
            plugin: info.name.clone(),
            version: info.version.clone(),
            digest: info.digest.to_string(),
            parameters: rehearsal.parameters.to_owned(),
            balance: balance(&rehearsed.verdicts),
            overruled: alerts.iter().filter(|alert| alert.overruled).count() as u64,
            call_count: used.calls,
            judged_count: used.alerts,
            fuel: used.fuel,
            fuel_per_alert: used.fuel.div_ceil(used.alerts.max(1)),
            fuel_per_call_max: fuel_per_call,
            fuel_per_alert_max: fuel_per_alert,
            memory_bytes: used.memory_bytes,
            memory_bytes_max: memory_bytes_max as u64,
            state_entry_count: entries.len() as u64,
            state_words: info.state_words,
            failures: failures.collect(),
            depends_on_batch_at_line: rehearsed.depends_on_batch.map(|alert| lines[alert]),
        };
        Self { alerts, entries, summary }
    }
}

impl AlertLine {
    fn new(alert: &Alert, line: u64, verdict: &Verdict, fuel_alone: Option<u64>, reasons: &[String]) -> Self {
        let (reason, overruled, withheld, message) = match verdict {
            Verdict::Rejected(message) => (None, false, 0, Some(message.clone())),
            Verdict::Judged { mark, withheld } => {
                let reason = usize::from(mark.reason).checked_sub(1).and_then(|at| reasons.get(at)).cloned();
                (reason, mark.is_overruled(), *withheld, None)
            }
        };
        Self {
            line,
            device_id: alert.device.to_string(),
            code: alert.code.to_string(),
            occurred_at_ms: alert.occurred_ms,
            measurement: alert.measurement,
            outcome: outcome(verdict.end()),
            reason,
            overruled,
            withheld,
            fuel_alone,
            message,
        }
    }

    fn note(&self) -> String {
        let withheld = format!("stands for {} held back before it", thousands(self.withheld.into()));
        match &self.message {
            Some(message) => message.clone(),
            None if self.overruled => "a protected code: the rule was overruled".to_owned(),
            None if self.withheld > 0 => withheld,
            None => String::new(),
        }
    }
}

impl StateLine {
    fn new(entry: &Entry, by_code: bool) -> Self {
        let Entry { device, code, words } = entry;
        Self { device_id: device.to_string(), code: by_code.then(|| code.to_string()), words: words.clone() }
    }

    fn text(&self) -> String {
        let code = self.code.as_ref().map(|code| format!(" {code}")).unwrap_or_default();
        format!("{}{code}: {:?}", self.device_id, self.words)
    }
}

fn outcome(end: End) -> &'static str {
    match end {
        End::Forwarded => "forwarded",
        End::Suppressed => "suppressed",
        End::Rejected => "rejected",
        End::Duplicate => "duplicate",
    }
}

fn balance(verdicts: &[Verdict]) -> Balance {
    let mut balance = Balance::default();
    for verdict in verdicts {
        balance.received += 1;
        *match verdict.end() {
            End::Forwarded => &mut balance.forwarded,
            End::Suppressed => &mut balance.suppressed,
            End::Rejected => &mut balance.rejected,
            End::Duplicate => &mut balance.duplicate,
        } += 1;
    }
    balance
}

/// Lines of JSON: alerts, state, summary.
pub(in crate::cli) fn lines(sampled: &Sampled) -> Vec<Line<'_>> {
    let alerts = sampled.alerts.iter().map(Line::Alert);
    alerts.chain(sampled.entries.iter().map(Line::State)).chain([Line::Summary(&sampled.summary)]).collect()
}

/// The alerts, a row each.
pub(in crate::cli) fn table(sampled: &Sampled) -> Table {
    let mut table =
        Table::new(&["line", "device", "code", "occurred", "measured", "outcome", "reason", "fuel alone", "note"]);
    for alert in sampled.alerts.iter().take(ROWS_MAX) {
        table.row([
            Value::Number(alert.line),
            Value::text(&alert.device_id),
            Value::text(&alert.code),
            Value::text(alert.occurred_at_ms.map(time).unwrap_or_default()),
            Value::Quantity(alert.measurement.map(|measured| measured.to_string()).unwrap_or_default()),
            Value::text(alert.outcome),
            Value::text(alert.reason.as_deref().unwrap_or_default()),
            Value::Quantity(alert.fuel_alone.map(thousands).unwrap_or_default()),
            Value::text(clean(&alert.note(), DETAIL_CHARS_MAX)),
        ]);
    }
    table
}

/// The sample as a whole, a line for each fact.
pub(in crate::cli) fn facts(sampled: &Sampled) -> Table {
    let Sampled { alerts, entries, summary } = sampled;
    let Balance { received, forwarded, suppressed, rejected, duplicate } = summary.balance;
    let mut facts = vec![
        ("plugin", Value::text(format!("{} {}, digest {}", summary.plugin, summary.version, summary.digest))),
        ("parameters", Value::text(&summary.parameters)),
        (
            "alerts",
            Value::text(format!(
                "{received} = {forwarded} forwarded + {suppressed} suppressed + {rejected} rejected + {duplicate} \
                 duplicate; {} overruled",
                summary.overruled
            )),
        ),
        (
            "fuel",
            Value::text(format!(
                "{} an alert ({} alerts, calls: {}); a call may use {}, and {} more for each of its alerts",
                thousands(summary.fuel_per_alert),
                thousands(summary.judged_count),
                thousands(summary.call_count),
                thousands(summary.fuel_per_call_max),
                thousands(summary.fuel_per_alert_max)
            )),
        ),
        (
            "memory",
            Value::text(format!(
                "{} KiB of {} KiB",
                thousands(summary.memory_bytes.div_ceil(1024)),
                thousands(summary.memory_bytes_max / 1024)
            )),
        ),
        (
            "state",
            Value::text(match summary.state_words {
                0 => "none is kept".to_owned(),
                words => format!("{} entries, {words} words each", thousands(summary.state_entry_count)),
            }),
        ),
    ];
    facts.extend(entries.iter().take(ENTRIES_MAX).map(|entry| ("", Value::text(entry.text()))));
    if entries.len() > ENTRIES_MAX {
        facts.push(("", Value::text("... (--json has all)")));
    }
    facts.extend(summary.failures.iter().take(FAILURES_MAX).map(|failure| ("failed", Value::text(failed(failure)))));
    if let Some(line) = summary.depends_on_batch_at_line {
        facts.push(("not pure", Value::text(format!("line {line} is judged in another way when it comes alone"))));
    }
    if alerts.len() > ROWS_MAX {
        facts.push(("rows", Value::text(format!("the first {ROWS_MAX} alerts are listed; --json has all"))));
    }
    Table::facts(facts)
}

fn failed(failure: &FailureLine) -> String {
    let FailureLine { kind, detail, alert_count, line, is_poison } = failure;
    let at = if *is_poison { "caused by the alert of line" } else { "from line" };
    format!("{kind}: {detail}; {at} {line}; {} alerts of its batch passed", thousands(*alert_count))
}
