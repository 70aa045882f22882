//! Alert codes.

use serde::Serialize;
use weir_proto::v1;

use super::{code as code_text, or};
use crate::{
    cli::table::{Table, Value},
    domain::AlertCode,
    intake::{
        plausible::Range,
        tables::{self, CodeTable, Edge},
    },
};

/// Codes, and the table that they are of.
pub(crate) struct Codes {
    pub codes: Vec<Code>,
    pub since_position: u64,
    pub until_position: Option<u64>,
    pub builtin_version: u32,
    /// What stands behind the name of each source.
    pub sources: Vec<(String, String)>,
}

/// All about a code.
#[derive(Debug, Serialize)]
pub(crate) struct Code {
    pub code: String,
    /// Absent where the public has no name for it.
    pub name: Option<String>,
    pub family: String,
    pub owner: String,
    pub is_critical: Option<bool>,
    pub is_protected: bool,
    pub unit: Option<String>,
    pub plausible_min: Option<i32>,
    pub plausible_max: Option<i32>,
    pub pair: Option<String>,
    pub edge: Option<&'static str>,
    pub descriptions: Vec<String>,
    pub source: String,
    pub note: String,
    pub is_known: bool,
}

impl From<v1::Code> for Code {
    fn from(message: v1::Code) -> Self {
        let v1::Code {
            code,
            is_known,
            name,
            family,
            owner,
            is_critical,
            unit,
            plausible_min,
            plausible_max,
            pair,
            edge,
            is_protected,
            source,
            note,
            descriptions,
        } = message;
        let edge = match v1::CodeEdge::try_from(edge) {
            Ok(v1::CodeEdge::Raise) => Some(Edge::Raise.name()),
            Ok(v1::CodeEdge::Clear) => Some(Edge::Clear.name()),
            Ok(v1::CodeEdge::Unspecified) | Err(_) => None,
        };
        Self {
            code: code_text(code),
            name: some(name),
            family,
            owner,
            is_critical,
            is_protected,
            unit: some(unit),
            plausible_min,
            plausible_max,
            pair: pair.map(code_text),
            edge,
            descriptions,
            source,
            note,
            is_known,
        }
    }
}

impl Code {
    /// Returns what a table says of a code.
    pub(crate) fn of(table: &CodeTable, code: AlertCode, is_protected: bool) -> Self {
        let is_known = table.get(code).is_some();
        let tables::Code { name, family, owner, critical, unit, pair, edge, range, source, note } =
            table.get(code).cloned().unwrap_or_default();
        let Range { min, max } = range;
        Self {
            code: code.to_string(),
            name: some(name),
            family,
            owner,
            is_critical: critical,
            is_protected,
            unit: unit.map(|unit| unit.to_string()),
            plausible_min: min,
            plausible_max: max,
            pair: pair.map(|pair| pair.to_string()),
            edge: edge.map(Edge::name),
            descriptions: table.descriptions(code).map(str::to_owned).collect(),
            source,
            note,
            is_known,
        }
    }

    fn name(&self) -> &str {
        match (&self.name, self.is_known) {
            (Some(name), _) => name,
            (None, true) => "no public name",
            (None, false) => "not in the table; alerts of it are taken all the same",
        }
    }

    fn critical(&self) -> &'static str {
        match self.is_critical {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not known",
        }
    }

    fn pair(&self) -> String {
        match (&self.pair, self.edge) {
            (None, _) => String::new(),
            (Some(pair), Some("raise")) => format!("cleared by {pair}"),
            (Some(pair), Some(_)) => format!("clears {pair}"),
            (Some(pair), None) => pair.clone(),
        }
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn yes_or_no(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// Codes, a row each.
pub(crate) fn table(rows: &[Code]) -> Table {
    let mut table = Table::new(&["code", "name", "family", "owner", "critical", "protected", "unit", "pair"]);
    for row in rows {
        table.row([
            Value::text(&row.code),
            Value::text(row.name()),
            Value::text(&row.family),
            Value::text(or(&row.owner, "not known")),
            Value::text(row.critical()),
            Value::text(yes_or_no(row.is_protected)),
            Value::text(row.unit.as_deref().unwrap_or_default()),
            Value::text(row.pair()),
        ]);
    }
    table
}

/// One code, a line for each of its facts.
pub(crate) fn facts(code: &Code, of: &Codes) -> Table {
    let unit = match code.unit.as_deref() {
        Some("dv") => "dv (tenths of a volt)".to_owned(),
        Some(unit) => unit.to_owned(),
        None => "none: it has no measurement".to_owned(),
    };
    let plausible = match (code.plausible_min, code.plausible_max) {
        (None, None) => "any".to_owned(),
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("{min} or more"),
        (None, Some(max)) => format!("{max} or less"),
    };
    let source = of.sources.iter().find(|(name, _)| *name == code.source).map(|(_, what)| format!(": {what}"));
    let until = of.until_position.map_or_else(String::new, |position| format!(", until position {position}"));
    let table = format!("version {}; from position {} on{until}", of.builtin_version, of.since_position);
    let pair = code.pair();
    let descriptions = code.descriptions.join("; ");
    Table::facts([
        ("code", Value::text(&code.code)),
        ("name", Value::text(code.name())),
        ("family", Value::text(or(&code.family, "not known"))),
        ("who gets it", Value::text(or(&code.owner, "not known"))),
        ("critical", Value::text(code.critical())),
        ("protected", Value::text(yes_or_no(code.is_protected))),
        ("unit", Value::text(unit)),
        ("plausible", Value::text(plausible)),
        ("pair", Value::text(or(&pair, "none"))),
        ("descriptions", Value::text(or(&descriptions, "none"))),
        ("source", Value::text(format!("{}{}", or(&code.source, "none"), source.unwrap_or_default()))),
        ("note", Value::text(or(&code.note, "none"))),
        ("table", Value::text(table)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> (Code, String) {
        let code = Code::of(&CodeTable::builtin(), text.parse().unwrap(), text == "8F36");
        let sources = tables::sources().into_iter().map(|source| (source.name, source.what)).collect();
        let of = Codes { codes: Vec::new(), since_position: 0, until_position: Some(7), builtin_version: 2, sources };
        let facts = facts(&code, &of).to_string();
        (code, facts)
    }

    #[test]
    fn all_about_a_code_is_shown() {
        let (code, facts) = shown("8F40");
        for part in
            ["voltage alert (SMETS1)", "network-operator", "dv (tenths of a volt)", "1000 to 4000", "opsg: the minutes"]
        {
            assert!(facts.contains(part), "{part} is missing in\n{facts}");
        }
        let json = serde_json::to_value(&code).unwrap();
        assert_eq!((&json["unit"], &json["is_critical"], &json["pair"]), (&"dv".into(), &true.into(), &().into()));
        let row = table(&[code]).to_string();
        assert!(row.contains("8F40") && row.contains("network-operator"), "{row}");
    }

    #[test]
    fn what_is_not_known_is_said() {
        assert!(shown("N17").1.contains("no public name"));
        assert_eq!(serde_json::to_value(shown("N17").0).unwrap()["name"], serde_json::Value::Null);
        let (code, facts) = shown("1234");
        assert!(facts.contains("not in the table; alerts of it are taken all the same") && !code.is_known, "{facts}");
        assert!(shown("81C2").1.contains("clears 81C3") && shown("81C3").1.contains("cleared by 81C2"));
        assert!(shown("8F36").1.contains("| protected      yes"));
    }
}
