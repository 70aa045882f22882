//! Measurements and limits that are not plausible for their code: volts, most likely, where tenths of a volt are meant.
//!
//! It must not know a server. Invariant: what is not plausible is said and counted, and sent as it is.

use indicatif::ProgressBar;
use serde_json::Value;

use super::{input::Notices, view::clean};
use crate::{
    domain::{Alert, AlertCode},
    intake::{
        plausible::{self, Doubt, Unit},
        tables::CodeTable,
    },
};

/// Limits that count what their codes count, by the names that the stock plugins give them.
const OWN_UNIT: [&str; 3] = ["below", "above", "outside"];
/// What the names of limits end with that count tenths of a volt.
const DECIVOLTS: &str = "_dv";
/// Characters of what is said of a limit.
const DOUBT_CHARS_MAX: usize = 400;

/// Looks at the measurements of alerts.
pub(super) struct Doubts {
    codes: CodeTable,
    notices: Notices,
}

impl Doubts {
    /// By what a table says of codes.
    pub(super) fn new(codes: CodeTable, progress: ProgressBar) -> Self {
        Self { codes, notices: Notices::remarks("measurements that are not plausible", progress) }
    }

    /// Says so where the alert that a line holds has a measurement that is not plausible; `file` is put before it.
    pub(super) fn look(&mut self, file: &str, line: u64, alert: &Alert) {
        let Some(measurement) = alert.measurement else { return };
        if let Some(doubt) = doubt(&self.codes, alert.code, measurement) {
            self.notices.give(&format!("{file}line {line}: measurement: {doubt}; it is taken as it is"));
        }
    }

    /// How many there were.
    pub(super) fn finish(self) -> u64 {
        self.notices.finish()
    }
}

/// Says on stderr which limits in a rule's parameters are not plausible for their codes, where it sees only those of
/// `scope`, or any if that is empty. Whether they are taken is the plugin's affair.
pub(super) fn say(parameters: &str, scope: &[u32], table: &CodeTable) {
    let scope: Vec<AlertCode> = scope.iter().filter_map(|code| u16::try_from(*code).ok()).map(AlertCode).collect();
    for doubt in of_parameters(parameters, &scope, table) {
        eprintln!("note: {}", clean(&doubt, DOUBT_CHARS_MAX));
    }
}

/// What is to be said of the limits in a rule's parameters, where the codes that they are for are known.
fn of_parameters(parameters: &str, scope: &[AlertCode], table: &CodeTable) -> Vec<String> {
    let Ok(Value::Object(parameters)) = serde_json::from_str(parameters) else { return Vec::new() };
    let named = parameters.get("codes").and_then(Value::as_array).into_iter().flatten();
    let mut codes: Vec<AlertCode> = named.filter_map(|code| code.as_str()?.parse().ok()).collect();
    // Where a rule's scope names codes too, it sees no other.
    codes.retain(|code| scope.is_empty() || scope.contains(code));
    if codes.is_empty() {
        codes = scope.to_vec();
    }
    let limits = parameters.iter().flat_map(|(name, value)| values(value).map(move |value| (name.as_str(), value)));
    let doubted = |(name, value): (&str, i32)| {
        let said = if name.ends_with(DECIVOLTS) {
            decivolts(value, &codes, table)
        } else if OWN_UNIT.contains(&name) {
            codes.iter().find_map(|code| doubt(table, *code, value)).map(|doubt| doubt.to_string())
        } else {
            None
        };
        said.map(|said| format!("parameters.{name}: {said}"))
    };
    limits.filter_map(doubted).collect()
}

/// Returns what is not plausible about a value. A factor of ten comes of volts for tenths of a volt; a value of any other unit
/// is not likely to be off by just that, so nothing is proposed for it.
fn doubt(table: &CodeTable, code: AlertCode, value: i32) -> Option<Doubt> {
    let mut doubt = table.doubt(code, value)?;
    if table.unit(code) != Some(&Unit::Decivolts) {
        doubt.likely = None;
    }
    Some(doubt)
}

/// The numbers that a limit consists of.
fn values(value: &Value) -> impl Iterator<Item = i32> {
    let listed = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    listed.iter().filter_map(|value| i32::try_from(value.as_i64()?).ok())
}

/// What is to be said of a limit in tenths of a volt.
fn decivolts(value: i32, codes: &[AlertCode], table: &CodeTable) -> Option<String> {
    let other = |code: &&AlertCode| table.unit(**code).is_some_and(|unit| *unit != Unit::Decivolts);
    if let Some(code) = codes.iter().find(other) {
        let unit = table.unit(*code).map(Unit::to_string).unwrap_or_default();
        return Some(format!("{value} is in tenths of a volt, but {code} is measured in {unit}"));
    }
    let known = codes.iter().find_map(|code| table.doubt(*code, value));
    let any = || codes.first().and_then(|code| plausible::VOLTAGE.doubt(*code, value, Some(&Unit::Decivolts)));
    let ranged = codes.iter().any(|code| table.unit(*code).is_some());
    let doubt = if ranged { known } else { any() };
    doubt.map(|doubt| doubt.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(parameters: &str, scope: &[u16]) -> Vec<String> {
        let own = "code,name,unit,min,max\nE001,join parameter,s,30,3600\n";
        let table = CodeTable::builtin().with_file(own.as_bytes()).unwrap();
        let scope: Vec<AlertCode> = scope.iter().map(|code| AlertCode(*code)).collect();
        of_parameters(parameters, &scope, &table)
    }

    #[test]
    fn a_limit_in_volts_is_told_what_it_would_be_in_tenths() {
        let volts = "258 dv is not plausible for 8F40 (1000 to 4000 dv); a factor of ten off? 2580 dv would be";
        let told = said(r#"{"codes": ["8F40"], "below_dv": 258}"#, &[]);
        assert_eq!(told, [format!("parameters.below_dv: {volts}")]);
        assert_eq!(said(r#"{"below_dv": 258}"#, &[0x8F40]), [format!("parameters.below_dv: {volts}")]);
        assert_eq!(said(r#"{"codes": ["8F40"], "below": 258}"#, &[]), [format!("parameters.below: {volts}")]);
        assert_eq!(said(r#"{"codes": ["8F40", "8014"], "outside_dv": [216, 253]}"#, &[0x8F40]).len(), 2);
        assert_eq!(said(r#"{"codes": ["ABCD"], "above_dv": 25800}"#, &[]).len(), 1, "a code of no table");
    }

    #[test]
    fn a_limit_in_another_unit_is_told_so() {
        let told = said(r#"{"codes": ["E001"], "above_dv": 2550}"#, &[]);
        assert_eq!(told, ["parameters.above_dv: 2550 is in tenths of a volt, but E001 is measured in s"]);
        let told = said(r#"{"codes": ["E001"], "above": 25}"#, &[]);
        assert_eq!(
            told,
            ["parameters.above: 25 s is not plausible for E001 (30 to 3600 s)"],
            "no volts, no factor of ten"
        );
    }

    #[test]
    fn of_what_is_plausible_or_not_known_nothing_is_said() {
        for parameters in [
            r#"{"codes": ["8F40"], "below_dv": 2580}"#,
            r#"{"codes": ["8F40"], "outside_dv": [2162, 2530]}"#,
            r#"{"codes": ["E001"], "above": 255}"#,
            r#"{"codes": ["8F40"], "more_than": 5, "window_s": 7}"#,
            r#"{"codes": ["ABCD", 7], "below": 1}"#,
            r#"{"below": 1}"#,
            r#"{"below_dv": "258"}"#,
            "[1]",
            "no JSON",
        ] {
            assert_eq!(said(parameters, &[]), [""; 0], "{parameters}");
        }
    }
}
