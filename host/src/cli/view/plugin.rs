//! Plugins.
//!
//! It must not know how plugins are asked for.

use serde::Serialize;
use weir_proto::v1;

use super::{or, time};
use crate::cli::table::{Table, Value};

/// A plugin.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Plugin {
    pub digest: String,
    pub name: String,
    pub version: String,
    pub summary: String,
    pub parameters_schema: String,
    pub state_key: &'static str,
    pub state_words: u32,
    pub state_version: u32,
    pub reasons: Vec<String>,
    pub size_bytes: u64,
    pub uploaded_at_ms: i64,
    pub rules: Vec<String>,
    pub reads: Vec<&'static str>,
    /// Distributor ids; 0 for the host.
    pub owners: Vec<u32>,
    pub signed_by: Vec<String>,
    /// Absent where it was not revoked.
    pub revoked_at_ms: Option<i64>,
    pub revoked_by: String,
    pub revoked_why: String,
}

impl From<v1::Plugin> for Plugin {
    fn from(message: v1::Plugin) -> Self {
        let v1::Plugin {
            digest,
            name,
            version,
            summary,
            parameters_schema,
            state_key,
            state_words,
            state_version,
            reasons,
            size_bytes,
            uploaded_at_ms,
            rules,
            reads,
            owners,
            signed_by,
            revoked_at_ms,
            revoked_by,
            revoked_why,
        } = message;
        let state_key = match v1::StateKey::try_from(state_key) {
            Ok(v1::StateKey::Device) => "device",
            Ok(v1::StateKey::DeviceAndCode) => "device-and-code",
            Ok(v1::StateKey::Unspecified) | Err(_) => "none",
        };
        Self {
            digest,
            name,
            version,
            summary,
            parameters_schema,
            state_key,
            state_words,
            state_version,
            reasons,
            size_bytes,
            uploaded_at_ms,
            rules,
            reads: reads.into_iter().map(column).collect(),
            owners,
            signed_by,
            revoked_at_ms,
            revoked_by,
            revoked_why,
        }
    }
}

impl Plugin {
    fn revoked(&self) -> String {
        let Some(at_ms) = self.revoked_at_ms else { return String::new() };
        let by = if self.revoked_by.is_empty() { String::new() } else { format!(" by {}", self.revoked_by) };
        let why = if self.revoked_why.is_empty() { String::new() } else { format!(": {}", self.revoked_why) };
        format!("{}{by}{why}", time(at_ms))
    }
}

/// A plugin that was removed.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Removed {
    pub plugin: Plugin,
    /// Nobody has it any more.
    pub gone: bool,
}

/// Plugins that were revoked.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Revoked {
    pub plugins: Vec<Plugin>,
    /// The rules that were turned off.
    pub rules: Vec<String>,
}

/// What became of a plugin that was removed.
pub(in crate::cli) fn removed_facts(removed: &Removed) -> Table {
    let Removed { plugin, gone } = removed;
    Table::facts([
        ("removed", Value::text(format!("{} {}", plugin.name, plugin.version))),
        ("digest", Value::text(&plugin.digest)),
        ("left to others", Value::text(if *gone { "no: it is gone" } else { "yes" })),
    ])
}

/// What a revocation did.
pub(in crate::cli) fn revoked_facts(revoked: &Revoked) -> Table {
    let plugins = revoked.plugins.iter().map(|plugin| format!("{} {}", plugin.name, plugin.digest));
    let plugins: Vec<String> = plugins.collect();
    Table::facts([
        ("revoked", Value::text(or(&plugins.join(", "), "no plugin"))),
        ("turned off", Value::text(or(&revoked.rules.join(", "), "no rule"))),
    ])
}

fn column(number: i32) -> &'static str {
    match v1::PluginColumn::try_from(number) {
        Ok(v1::PluginColumn::Device) => "device",
        Ok(v1::PluginColumn::Occurred) => "occurred",
        Ok(v1::PluginColumn::Measurement) => "measurement",
        Ok(v1::PluginColumn::Weight) => "weight",
        Ok(v1::PluginColumn::Operator) => "operator",
        Ok(v1::PluginColumn::Model) => "model",
        Ok(v1::PluginColumn::Unspecified) | Err(_) => "unknown",
    }
}

/// What a plugin took to judge the golden batch.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Report {
    pub parameters: String,
    pub alert_count: u64,
    pub suppressed_count: u64,
    pub fuel_per_alert: u64,
    pub memory_bytes: u64,
    pub fault: String,
    pub limits: Vec<Limit>,
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

/// One limit of a plugin, in the unit that its name ends with.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Limit {
    pub name: String,
    pub host: u64,
    pub operator: u64,
    pub asked: Option<u64>,
    pub effective: u64,
}

impl From<v1::PluginLimit> for Limit {
    fn from(message: v1::PluginLimit) -> Self {
        let v1::PluginLimit { name, host, operator, asked, effective } = message;
        Self { name, host, operator, asked, effective }
    }
}

impl From<v1::PluginReport> for Report {
    fn from(message: v1::PluginReport) -> Self {
        let v1::PluginReport {
            parameters,
            alert_count,
            suppressed_count,
            fuel_per_alert,
            memory_bytes,
            fault,
            limits,
            imports,
            exports,
        } = message;
        Self {
            parameters,
            alert_count,
            suppressed_count,
            fuel_per_alert,
            memory_bytes,
            fault,
            limits: limits.into_iter().map(Limit::from).collect(),
            imports,
            exports,
        }
    }
}

/// A plugin with what it took to judge.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Shown {
    #[serde(flatten)]
    pub plugin: Plugin,
    pub report: Option<Report>,
}

/// A plugin that was uploaded.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Upload {
    pub plugin: Shown,
    pub compile_us: u64,
}

/// Digits of a digest that are enough to name a plugin.
const DIGEST_DIGITS: usize = 12;

/// Plugins, a row each.
pub(in crate::cli) fn table(rows: &[Plugin]) -> Table {
    let mut table = Table::new(&["digest", "name", "version", "summary", "bytes", "uploaded", "rules", "revoked"]);
    for row in rows {
        table.row([
            Value::text(row.digest.chars().take(DIGEST_DIGITS).collect::<String>()),
            Value::text(&row.name),
            Value::text(&row.version),
            Value::text(&row.summary),
            Value::Number(row.size_bytes),
            Value::text(time(row.uploaded_at_ms)),
            Value::text(row.rules.join(", ")),
            Value::text(row.revoked()),
        ]);
    }
    table
}

/// A plugin that was uploaded, a line for each of its facts.
pub(in crate::cli) fn upload_facts(upload: &Upload) -> Table {
    facts(&upload.plugin)
}

/// One plugin, a line for each of its facts.
pub(in crate::cli) fn facts(Shown { plugin, report }: &Shown) -> Table {
    let state = match plugin.state_words {
        0 => "none".to_owned(),
        words => format!("{words} words a {}, version {}", plugin.state_key, plugin.state_version),
    };
    Table::facts([
        ("digest", Value::text(&plugin.digest)),
        ("name", Value::text(&plugin.name)),
        ("version", Value::text(&plugin.version)),
        ("summary", Value::text(&plugin.summary)),
        ("parameters", Value::text(parameters(&plugin.parameters_schema))),
        ("reads", Value::text([&["code", "generation"], plugin.reads.as_slice()].concat().join(", "))),
        ("state", Value::text(state)),
        ("reasons", Value::text(plugin.reasons.join(", "))),
        ("bytes", Value::Number(plugin.size_bytes)),
        ("uploaded", Value::text(time(plugin.uploaded_at_ms))),
        ("for", Value::text(owners(&plugin.owners))),
        ("rules", Value::text(plugin.rules.join(", "))),
        ("signed by", Value::text(plugin.signed_by.join(", "))),
        ("revoked", Value::text(or(&plugin.revoked(), "no"))),
        ("imports", Value::text(names(report, |report| &report.imports, "nothing"))),
        ("exports", Value::text(names(report, |report| &report.exports, ""))),
        ("trial", Value::text(report.as_ref().map_or_else(String::new, trial))),
    ])
}

/// Its limits, a row each.
pub(in crate::cli) fn limits(rows: &[Limit]) -> Table {
    let mut table = Table::new(&["limit", "of the host", "of an operator", "it asks for", "in an operator's rule"]);
    for Limit { name, host, operator, asked, effective } in rows {
        table.row([
            Value::text(name),
            Value::Number(*host),
            Value::Number(*operator),
            asked.map_or(Value::text(""), Value::Number),
            Value::Number(*effective),
        ]);
    }
    table
}

/// Who may use it.
fn owners(owners: &[u32]) -> String {
    if owners.contains(&0) {
        return "everybody".to_owned();
    }
    owners.iter().map(|id| format!("operator {id}")).collect::<Vec<_>>().join(", ")
}

/// The names of a schema's parameters: a whole schema does not fit into a line, and --json has it.
fn parameters(schema: &str) -> String {
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap_or_default();
    let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|n| n == name));
    let named = |name: &String| if required(name) { format!("{name} (required)") } else { name.clone() };
    let names: Vec<String> =
        schema["properties"].as_object().into_iter().flat_map(|properties| properties.keys().map(named)).collect();
    or(&names.join(", "), "none named by its schema").to_owned()
}

/// Names of what a component has.
fn names(report: &Option<Report>, of: impl Fn(&Report) -> &Vec<String>, none: &str) -> String {
    report.as_ref().map_or_else(String::new, |report| or(&of(report).join(", "), none).to_owned())
}

/// The golden run in words.
fn trial(report: &Report) -> String {
    let Report { parameters, alert_count, suppressed_count, fuel_per_alert, memory_bytes, fault, .. } = report;
    if *alert_count == 0 {
        return "not run: it accepts none of the first examples of its schema, nor {}".to_owned();
    }
    let kib = memory_bytes.div_ceil(1_024);
    let took = format!("{fuel_per_alert} units of fuel an alert, {kib} KiB of memory, with {parameters}");
    match fault.as_str() {
        "" => format!("{suppressed_count} of {alert_count} made-up alerts suppressed, {took}"),
        fault => format!("failed on {alert_count} made-up alerts: {fault}; {took}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_shown_in_a_row_and_in_full() {
        let plugin = Plugin::from(v1::Plugin {
            digest: "0123456789abcdef".repeat(4),
            name: "storm".to_owned(),
            version: "0.1.0".to_owned(),
            summary: "Holds back repeats\u{7}".to_owned(),
            parameters_schema: r#"{"properties": {"window_s": {}, "more_than": {}}, "required": ["more_than"]}"#
                .to_owned(),
            state_key: v1::StateKey::DeviceAndCode.into(),
            state_words: 2,
            state_version: 1,
            reasons: vec!["repeat".to_owned(), "flood".to_owned()],
            size_bytes: 28_001,
            uploaded_at_ms: 0,
            rules: vec!["a".to_owned()],
            owners: vec![12],
            signed_by: Vec::new(),
            revoked_at_ms: None,
            revoked_by: String::new(),
            revoked_why: String::new(),
            reads: vec![v1::PluginColumn::Occurred.into(), v1::PluginColumn::Model.into()],
        });
        let text = table(std::slice::from_ref(&plugin)).to_string();
        let row = "| 0123456789ab   storm   0.1.0     Holds back repeats\u{FFFD}   28,001   1970-01-01T00:00:00Z   a               |";
        assert_eq!(text.lines().nth(3), Some(row), "{text}");
        let report = Report {
            parameters: r#"{"more_than":3}"#.to_owned(),
            alert_count: 1_024,
            suppressed_count: 12,
            fuel_per_alert: 77,
            memory_bytes: 1_114_112,
            fault: String::new(),
            limits: vec![Limit {
                name: "fuel_per_alert".to_owned(),
                host: 20,
                operator: 10,
                asked: None,
                effective: 10,
            }],
            imports: Vec::new(),
            exports: vec!["describe".to_owned(), "evaluate".to_owned()],
        };
        let mut shown = Shown { plugin, report: Some(report) };
        let text = facts(&shown).to_string();
        for part in [
            "2 words a device-and-code, version 1",
            "repeat, flood",
            "more_than (required), window_s",
            "28,001",
            "code, generation, occurred, model",
            "12 of 1024 made-up alerts suppressed, 77 units of fuel an alert, 1088 KiB of memory, with {\"more_than\":3}",
            "| imports      nothing ",
            "| exports      describe, evaluate ",
            &shown.plugin.digest,
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        let row = "| fuel_per_alert            20               10                                    10 |";
        let text = limits(&shown.report.as_ref().unwrap().limits).to_string();
        assert_eq!(text.lines().nth(3), Some(row), "{text}");
        let report = shown.report.as_mut().unwrap();
        report.fault = "trap: unreachable".to_owned();
        assert!(facts(&shown).to_string().contains("failed on 1024 made-up alerts: trap: unreachable; 77 units"));
        shown.report.as_mut().unwrap().alert_count = 0;
        assert!(facts(&shown).to_string().contains("not run: it accepts none of"));
    }
}
