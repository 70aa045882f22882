//! Rules.
//!
//! It must not know how rules are asked for.

use serde::Serialize;
use weir_proto::v1;

use super::{code, generation, operator, or, time};
use crate::cli::table::{Table, Value, thousands};

/// Which alerts a rule sees. An empty list lets everything through.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Scope {
    pub operators: Vec<u32>,
    pub generations: Vec<&'static str>,
    pub codes: Vec<String>,
    pub models: Vec<String>,
}

impl From<v1::RuleScope> for Scope {
    fn from(message: v1::RuleScope) -> Self {
        let v1::RuleScope { operators, generations, codes, models } = message;
        Self {
            operators,
            generations: generations.into_iter().map(generation).collect(),
            codes: codes.into_iter().map(code).collect(),
            models,
        }
    }
}

/// A rule as it stands.
#[derive(Debug, Serialize)]
pub(crate) struct Rule {
    pub name: String,
    pub revision: u32,
    pub plugin_digest: String,
    pub plugin_name: String,
    pub parameters: String,
    pub scope: Scope,
    pub mode: &'static str,
    pub position: u32,
    pub since_position: u64,
    pub fault_count: u64,
    pub last_fault: String,
    pub passed_over_count: u64,
    /// Absent where it was not promoted.
    pub guard: Option<Guard>,
    /// When it ends; absent where it has no end.
    pub until_ms: Option<i64>,
}

/// What a rule that was promoted must keep to.
#[derive(Debug, Serialize)]
pub(crate) struct Guard {
    pub suppressed_max_basis_points: u32,
    pub alerts_min: u32,
    pub until_ms: i64,
    pub fallback_revision: u32,
}

impl From<v1::RuleGuard> for Guard {
    fn from(message: v1::RuleGuard) -> Self {
        let v1::RuleGuard { suppressed_max_basis_points, alerts_min, until_ms, fallback_revision } = message;
        Self { suppressed_max_basis_points, alerts_min, until_ms, fallback_revision }
    }
}

impl Guard {
    /// In words.
    pub(crate) fn words(&self) -> String {
        let Self { suppressed_max_basis_points: share, alerts_min, until_ms, fallback_revision } = self;
        format!(
            "until {}: back to revision {fallback_revision} above {}.{:02} % suppressed (after {} alerts), or at an \
             alert with a protected code",
            time(*until_ms),
            share / 100,
            share % 100,
            thousands(u64::from(*alerts_min)),
        )
    }
}

impl From<v1::Rule> for Rule {
    fn from(message: v1::Rule) -> Self {
        let v1::Rule {
            name,
            revision,
            plugin_digest,
            plugin_name,
            parameters,
            scope,
            mode,
            position,
            since_position,
            fault_count,
            last_fault,
            passed_over_count,
            guard,
            until_ms,
        } = message;
        let mode = match v1::RuleMode::try_from(mode) {
            Ok(v1::RuleMode::Active) => "active",
            Ok(v1::RuleMode::Off) => "off",
            Ok(v1::RuleMode::Shadow) => "shadow",
            Ok(v1::RuleMode::SetAside) => "set-aside",
            Ok(v1::RuleMode::Quarantined) => "quarantined",
            Ok(v1::RuleMode::Unspecified) | Err(_) => "unspecified",
        };
        Self {
            name,
            revision,
            plugin_digest,
            plugin_name,
            parameters,
            scope: scope.map(Scope::from).unwrap_or_default(),
            mode,
            position,
            since_position,
            fault_count,
            last_fault,
            passed_over_count,
            guard: guard.map(Guard::from),
            until_ms: (until_ms != 0).then_some(until_ms),
        }
    }
}

/// One change to a rule.
#[derive(Debug, Serialize)]
pub(crate) struct RuleRevision {
    pub revision: u32,
    pub since_position: u64,
    pub made_at_ms: i64,
    pub who: String,
    pub why: String,
    /// Absent where the rule was removed.
    pub rule: Option<Rule>,
}

impl From<v1::RuleRevision> for RuleRevision {
    fn from(message: v1::RuleRevision) -> Self {
        let v1::RuleRevision { revision, since_position, made_at_ms, who, why, rule } = message;
        Self { revision, since_position, made_at_ms, who, why, rule: rule.map(Rule::from) }
    }
}

/// A rule that was removed.
#[derive(Debug, Serialize)]
pub(crate) struct Removal {
    pub name: String,
    pub revision: u32,
}

/// Rules, a row each, in the order they judge.
pub(crate) fn table(rows: &[Rule]) -> Table {
    let header = [
        "place",
        "name",
        "revision",
        "mode",
        "ends",
        "plugin",
        "parameters",
        "sees",
        "faults",
        "passed over",
        "last fault",
    ];
    let mut table = Table::new(&header);
    for row in rows {
        table.row([
            Value::Number(row.position.into()),
            Value::text(&row.name),
            Value::Number(row.revision.into()),
            Value::text(row.mode),
            Value::text(row.until_ms.map(time).unwrap_or_default()),
            Value::text(plugin(row)),
            Value::text(&row.parameters),
            Value::text(sees(&row.scope)),
            Value::Number(row.fault_count),
            Value::Number(row.passed_over_count),
            Value::text(&row.last_fault),
        ]);
    }
    table
}

/// Changes to a rule, a row each, newest first.
pub(crate) fn history(rows: &[RuleRevision]) -> Table {
    let header = ["revision", "since position", "made", "who", "why", "mode", "place", "plugin", "parameters", "sees"];
    let mut table = Table::new(&header);
    for row in rows {
        let (mode, place, plugin, parameters, scope) = match &row.rule {
            Some(rule) => {
                (rule.mode, rule.position.to_string(), plugin(rule), rule.parameters.as_str(), sees(&rule.scope))
            }
            None => ("removed", String::new(), String::new(), "", String::new()),
        };
        table.row([
            Value::Number(row.revision.into()),
            Value::Number(row.since_position),
            Value::text(time(row.made_at_ms)),
            Value::text(or(&row.who, "not known")),
            Value::text(&row.why),
            Value::text(mode),
            Value::text(place),
            Value::text(plugin),
            Value::text(parameters),
            Value::text(scope),
        ]);
    }
    table
}

/// A rule that holds alerts back now, and what it held back lately.
#[derive(Debug, Serialize)]
pub(crate) struct Mute {
    #[serde(flatten)]
    pub rule: Rule,
    /// When it was last changed; absent where the caller may not see that, as with a rule of the host.
    pub changed_at_ms: Option<i64>,
    pub who: String,
    pub why: String,
    /// Since when the next three are counted.
    pub counted_since_ms: i64,
    pub suppressed: u64,
    /// Forwarded all the same, for their codes are protected.
    pub overruled: u64,
    /// Pairs of which only one code is held back, in words.
    pub half_pairs: Vec<String>,
}

/// Rules that hold alerts back now, a row each, in the order they judge.
pub(crate) fn mutes(rows: &[Mute]) -> Table {
    let header =
        ["rule", "sees", "plugin", "parameters", "ends", "set", "who", "why", "suppressed (24 h)", "overruled", "note"];
    let mut table = Table::new(&header);
    for Mute { rule, changed_at_ms, who, why, suppressed, overruled, half_pairs, .. } in rows {
        table.row([
            Value::text(&rule.name),
            Value::text(sees(&rule.scope)),
            Value::text(&rule.plugin_name),
            Value::text(&rule.parameters),
            Value::text(rule.until_ms.map_or("never".to_owned(), time)),
            Value::text(changed_at_ms.map(time).unwrap_or_default()),
            Value::text(who),
            Value::text(why),
            Value::Number(*suppressed),
            Value::Number(*overruled),
            Value::text(half_pairs.join("; ")),
        ]);
    }
    table
}

/// One rule, a line for each of its facts.
pub(crate) fn facts(rule: &Rule) -> Table {
    Table::facts([
        ("name", Value::text(&rule.name)),
        ("revision", Value::Number(rule.revision.into())),
        ("mode", Value::text(rule.mode)),
        ("place", Value::Number(rule.position.into())),
        ("plugin", Value::text(format!("{} {}", rule.plugin_name, rule.plugin_digest))),
        ("parameters", Value::text(&rule.parameters)),
        ("sees", Value::text(sees(&rule.scope))),
        ("since position", Value::Number(rule.since_position)),
        ("faults", Value::Number(rule.fault_count)),
        ("last fault", Value::text(or(&rule.last_fault, "none"))),
        ("passed over", Value::Number(rule.passed_over_count)),
        ("ends", Value::text(rule.until_ms.map_or("never".to_owned(), time))),
        ("guard", Value::text(rule.guard.as_ref().map_or("none".to_owned(), Guard::words))),
    ])
}

/// What removing a rule did.
pub(crate) fn removal_facts(removal: &Removal) -> Table {
    Table::facts([("removed", Value::text(&removal.name)), ("by revision", Value::Number(removal.revision.into()))])
}

/// A rule's plugin, as a row shows it.
pub(crate) fn plugin(rule: &Rule) -> String {
    format!("{} {}", rule.plugin_name, rule.plugin_digest.get(..12).unwrap_or_default())
}

/// A scope in words.
pub(crate) fn sees(scope: &Scope) -> String {
    let operators: Vec<String> = scope.operators.iter().map(|id| operator(*id)).collect();
    let generations: Vec<String> = scope.generations.iter().map(|&name| name.to_owned()).collect();
    let parts: Vec<String> =
        [("codes", &scope.codes), ("operators", &operators), ("generations", &generations), ("models", &scope.models)]
            .into_iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(name, list)| format!("{name} {}", list.join(", ")))
            .collect();
    if parts.is_empty() { "all alerts".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_shown_with_what_it_sees() {
        let scope = v1::RuleScope {
            operators: vec![0, 12],
            generations: vec![v1::Generation::Smets1.into(), v1::Generation::Unspecified.into()],
            codes: vec![0x8F40, 0x8014],
            models: Vec::new(),
        };
        let rule = Rule::from(v1::Rule {
            name: "high-volts".to_owned(),
            revision: 4,
            plugin_digest: "ab".repeat(32),
            plugin_name: "threshold".to_owned(),
            parameters: "{\"below_dv\":2580}".to_owned(),
            scope: Some(scope),
            mode: v1::RuleMode::SetAside.into(),
            position: 100,
            since_position: 1_000_000,
            fault_count: 3,
            last_fault: "trap".to_owned(),
            passed_over_count: 4_321,
            guard: Some(v1::RuleGuard {
                suppressed_max_basis_points: 3_050,
                alerts_min: 1_000,
                until_ms: 1_795_392_000_000,
                fallback_revision: 3,
            }),
            until_ms: 1_795_392_000_000,
        });
        let row = table(std::slice::from_ref(&rule)).to_string();
        for part in ["threshold abababababab ", "codes 8F40, 8014; operators unknown, 12; generations smets1, unknown"]
        {
            assert!(row.contains(part), "{part} is missing in\n{row}");
        }
        let text = facts(&rule).to_string();
        let guard = "until 2026-11-23T00:00:00Z: back to revision 3 above 30.50 % suppressed (after 1,000 alerts)";
        for part in ["set-aside", "1,000,000", "4,321", guard, r#"{"below_dv":2580}"#, &rule.plugin_digest] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        let json = serde_json::to_value(&rule).unwrap();
        assert_eq!(json["scope"]["codes"], serde_json::json!(["8F40", "8014"]));
        assert_eq!(json["scope"]["generations"], serde_json::json!(["smets1", "unknown"]));
        assert_eq!(sees(&Scope::default()), "all alerts");
    }
}
