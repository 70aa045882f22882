//! A plugin's JSON Schema of its parameters: checked when the plugin comes, asked before the plugin is.
//!
//! It is the only place that names jsonschema, and it must not know what parameters mean. Invariant: whatever a
//! stranger writes into a schema, asking it ends, in bounded time and memory: references lead to its own definitions and
//! never back, what they add up to is bounded, patterns are matched in linear time and bounded in number and size, and
//! parameters are only compared with a schema where their sizes multiplied allow it.

use std::collections::HashMap;

use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use super::text::clean;

/// The one draft that schemas are read by.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Parts of a schema, each counted as often as it is referred to.
const NODES_MAX: usize = 20_000;

/// The same with what asks again counted again: what is made of a schema grows with that.
const WORK_MAX: u64 = 200_000;

/// Patterns of one schema, and bytes of each when compiled.
const PATTERNS_MAX: usize = 64;
const PATTERN_BYTES_MAX: usize = 256 << 10;

/// Comparisons of a part of a schema with a value of the parameters, at most: a tenth of a second of work.
const COMPARISONS_MAX: u64 = 2_000_000;

/// The same where it is to be said what does not fit. Errors hold those of every alternative within, a few hundred bytes
/// each, and the library makes them all before it gives the first.
const EXPLAINED_MAX: u64 = 50_000;

/// So many bytes of a text are one value more: a pattern or a constant may be compared with all of it.
const TEXT_BYTES_A_VALUE: usize = 16;

/// Keywords that ask what stands beside them once more.
const RE_ASKING: [&str; 2] = ["unevaluatedItems", "unevaluatedProperties"];

/// What is told of parameters that do not fit.
const DEFECTS_MAX: usize = 5;
const DEFECT_BYTES_MAX: usize = 200;

/// A schema that can be asked.
#[derive(Debug)]
pub(super) struct Schema {
    validator: Validator,
    /// Parts that each value may be compared with.
    work: u64,
}

/// Where parameters do not fit a schema, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// JSON pointer into the parameters; empty for the whole.
    pub pointer: String,
    /// What is expected there.
    pub message: String,
}

impl Schema {
    /// From its text.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow its name.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let schema: Value = serde_json::from_str(text).map_err(|error| {
            let error = clean(&error.to_string(), DEFECT_BYTES_MAX);
            format!("is not JSON: {error}")
        })?;
        if !schema.is_object() {
            return Err("is not a JSON object".to_owned());
        }
        let definitions = schema.get("$defs").and_then(Value::as_object);
        let Size { patterns, work, .. } = Look { definitions, known: HashMap::new() }.size(&schema, true)?;
        if patterns > PATTERNS_MAX {
            return Err(format!("has {patterns} patterns, at most {PATTERNS_MAX} are allowed"));
        }
        if work > WORK_MAX {
            return Err(format!(
                "asks itself again more than {WORK_MAX} times, by {} within each other",
                RE_ASKING.join(" or ")
            ));
        }
        let linear = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
        let options = jsonschema::options().with_draft(Draft::Draft202012).with_pattern_options(linear);
        let options = options.should_validate_formats(false);
        let validator = options.build(&schema).map_err(|error| {
            let Mismatch { pointer, message } = mismatch(&error);
            format!("is no JSON Schema: at {pointer:?}: {message}")
        })?;
        Ok(Self { validator, work })
    }

    /// Where parameters do not fit, at most five places. What is not JSON at all is the plugin's to refuse.
    pub(super) fn mismatches(&self, parameters: &str) -> Vec<Mismatch> {
        let Ok(parameters) = serde_json::from_str::<Value>(parameters) else { return Vec::new() };
        let whole = |message: String| vec![Mismatch { pointer: String::new(), message }];
        let (values, parts) = (values(&parameters), self.work);
        let comparisons = values.saturating_mul(parts);
        if comparisons > COMPARISONS_MAX {
            return whole(format!(
                "has {values} values, too many for the {parts} parts of the plugin's schema: at most {COMPARISONS_MAX} \
                 comparisons are made; use fewer values, or a plugin whose schema has fewer alternatives"
            ));
        }
        if self.validator.is_valid(&parameters) {
            return Vec::new();
        }
        if comparisons > EXPLAINED_MAX {
            return whole(
                "does not fit the plugin's schema; both are too large to say where, so try with fewer values"
                    .to_owned(),
            );
        }
        self.validator.iter_errors(&parameters).take(DEFECTS_MAX).map(|error| mismatch(&error)).collect()
    }
}

/// How many values there are to compare: each member and entry, and long texts as several.
fn values(value: &Value) -> u64 {
    let text = |text: &str| (text.len() / TEXT_BYTES_A_VALUE) as u64;
    1 + match value {
        Value::String(string) => text(string),
        Value::Array(entries) => entries.iter().map(values).sum(),
        Value::Object(members) => members.iter().map(|(name, member)| text(name) + values(member)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn mismatch(error: &ValidationError<'_>) -> Mismatch {
    Mismatch {
        pointer: clean(error.instance_path().as_str(), DEFECT_BYTES_MAX),
        message: clean(&error.to_string(), DEFECT_BYTES_MAX),
    }
}

/// What a schema comes to with its references written out.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    patterns: usize,
    /// Nodes, each counted as often as one value may be compared with it.
    work: u64,
}

/// Looks a schema through before anything is made of it.
struct Look<'s> {
    definitions: Option<&'s Map<String, Value>>,
    /// Definitions measured; `None` while one is being measured.
    known: HashMap<&'s str, Option<Size>>,
}

impl<'s> Look<'s> {
    /// The size of a (part of a) schema. JSON is nested 128 deep at most: the reader sees to that.
    fn size(&mut self, schema: &'s Value, root: bool) -> Result<Size, String> {
        let mut size = Size { nodes: 1, patterns: 0, work: 1 };
        let parts: Vec<&Value> = match schema {
            Value::Object(members) => {
                for (name, value) in members {
                    size.add(self.keyword(name, value, root)?);
                }
                members.values().collect()
            }
            Value::Array(entries) => entries.iter().collect(),
            _ => Vec::new(),
        };
        for part in parts {
            size.add(self.size(part, false)?);
        }
        if let Value::Object(members) = schema
            && RE_ASKING.iter().any(|keyword| members.contains_key(*keyword))
        {
            // Which members are left over is found by asking everything beside the keyword once more.
            size.work = size.work.saturating_mul(2);
        }
        if size.nodes > NODES_MAX {
            return Err(format!("has more than {NODES_MAX} parts with its references written out"));
        }
        Ok(size)
    }

    /// What a keyword adds beside its value.
    fn keyword(&mut self, name: &str, value: &'s Value, root: bool) -> Result<Size, String> {
        match (name, value) {
            ("$ref", Value::String(to)) => self.reference(to),
            ("$dynamicRef" | "$recursiveRef", Value::String(_)) => {
                Err(format!("has {name}: only $ref to a definition of its own is followed"))
            }
            ("$id", Value::String(_)) if !root => Err("has an $id within: only the whole may have one".to_owned()),
            ("$schema", Value::String(draft)) if draft.trim_end_matches('#') != DRAFT => {
                Err(format!("asks for {:?}: write it for {DRAFT}", clean(draft, 100)))
            }
            ("pattern", Value::String(_)) => Ok(Size { nodes: 0, patterns: 1, work: 1 }),
            ("patternProperties", Value::Object(by_pattern)) => {
                Ok(Size { nodes: 0, patterns: by_pattern.len(), work: by_pattern.len() as u64 })
            }
            _ => Ok(Size::default()),
        }
    }

    /// The size of a definition that is referred to.
    fn reference(&mut self, to: &'s str) -> Result<Size, String> {
        let shown = || clean(to, 100);
        // A name with escapes in it could be read as another one.
        let plain = |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        let name = to.strip_prefix("#/$defs/").filter(plain).unwrap_or_default();
        let Some(definition) = self.definitions.and_then(|definitions| definitions.get(name)) else {
            return Err(format!("has a $ref to {:?}: only #/$defs/NAME, of its own, is followed", shown()));
        };
        match self.known.get(name) {
            Some(Some(size)) => Ok(*size),
            Some(None) => Err(format!("has a $ref to {:?} that leads back to itself", shown())),
            None => {
                self.known.insert(name, None);
                let size = self.size(definition, false)?;
                self.known.insert(name, Some(size));
                Ok(size)
            }
        }
    }
}

impl Size {
    fn add(&mut self, other: Self) {
        self.nodes = self.nodes.saturating_add(other.nodes);
        self.patterns = self.patterns.saturating_add(other.patterns);
        self.work = self.work.saturating_add(other.work);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOLTS: &str = r#"{"type": "object", "additionalProperties": false, "required": ["below_dv"], "properties": {
        "below_dv": {"type": "integer", "minimum": 500},
        "codes": {"type": "array", "items": {"type": "string", "pattern": "^[0-9A-F]{4}$"}}}}"#;

    fn told(parameters: &str) -> Vec<(String, String)> {
        let schema = Schema::new(VOLTS).unwrap();
        schema.mismatches(parameters).into_iter().map(|m| (m.pointer, m.message)).collect()
    }

    #[test]
    fn what_does_not_fit_is_told_by_place() {
        assert_eq!(told(r#"{"below_dv": 2580, "codes": ["8F40"]}"#), []);
        let found = told(r#"{"below_dv": "2580", "codes": ["8F40", "8f"], "abov_dv": 1}"#);
        let places: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(places.len(), 3, "{found:?}");
        for place in ["", "/below_dv", "/codes/1"] {
            assert!(places.contains(&place), "{found:?}");
        }
        let [(pointer, message)] = &told(r#"{"below_dv": 258}"#)[..] else { panic!() };
        assert_eq!((pointer.as_str(), message.as_str()), ("/below_dv", "258 is less than the minimum of 500"));
    }

    #[test]
    fn a_schema_that_could_do_harm_is_refused() {
        let refused = |text: &str| Schema::new(text).unwrap_err();
        for to in ["#", "#/properties/a", "other.json", "file:///etc/passwd", "#/$defs/none", "#/$defs/a/$defs/b"] {
            let schema = serde_json::json!({ "$defs": { "a": {} }, "anyOf": [{ "$ref": to }] }).to_string();
            assert_eq!(refused(&schema), format!("has a $ref to {to:?}: only #/$defs/NAME, of its own, is followed"));
        }
        let escaped = r##"{"$defs": {"a%62": true, "ab": {"$ref": "#/$defs/a%62"}}, "$ref": "#/$defs/ab"}"##;
        assert!(refused(escaped).ends_with("of its own, is followed"), "{}", refused(escaped));
        let ring = r##"{"$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#/$defs/a"}}}"##;
        assert!(refused(ring).ends_with("that leads back to itself"), "{}", refused(ring));
        let doubles: Map<String, Value> = (0..40)
            .map(|n| {
                let next = serde_json::json!({ "$ref": format!("#/$defs/d{}", n + 1) });
                (format!("d{n}"), serde_json::json!({ "anyOf": [next, next] }))
            })
            .chain([("d40".to_owned(), Value::Bool(true))])
            .collect();
        let doubles = serde_json::json!({ "$defs": doubles, "$ref": "#/$defs/d0" }).to_string();
        assert_eq!(refused(&doubles), "has more than 20000 parts with its references written out");
        assert!(refused(r##"{"$dynamicRef": "#a"}"##).starts_with("has $dynamicRef: "));
        assert!(refused(r##"{"not": {"$id": "x"}}"##).starts_with("has an $id within: "));
        assert!(refused(r#"{"type": "objekt"}"#).starts_with("is no JSON Schema: at \"/type\": "));
        assert!(Schema::new(r##"{"$defs": {"a": {"type": "string"}}, "items": {"$ref": "#/$defs/a"}}"##).is_ok());
        assert!(refused(r#"{"pattern": "(a|b\\1)"}"#).starts_with("is no JSON Schema: at "), "no back references");
        assert!(refused(r#"{"pattern": "(\\w{200}){200}"}"#).starts_with("is no JSON Schema: at "), "a huge one");
        assert!(refused(r#"{"$schema": "https://example.org/own"}"#).starts_with("asks for "));
        let many: serde_json::Map<String, Value> = (0..65).map(|n| (format!("^{n}$"), Value::Bool(true))).collect();
        let many = serde_json::json!({ "patternProperties": many }).to_string();
        assert_eq!(refused(&many), "has 65 patterns, at most 64 are allowed");
        let deep = format!("{}{}{}", r#"{"not":"#.repeat(200), "{}", "}".repeat(200));
        assert!(refused(&deep).starts_with("is not JSON: recursion limit"));
        assert!(refused("[]").starts_with("is not a JSON object"));
        let long = "x".repeat(1_000_000);
        let found = Schema::new("{\"const\": 1}").unwrap().mismatches(&format!("\"{long}\""));
        assert!(found[0].message.len() <= DEFECT_BYTES_MAX + 3, "{}", found[0].message.len());
    }

    #[test]
    fn comparing_is_bounded_whatever_the_schema_and_the_parameters_are() {
        let branches: Vec<Value> = (0..1_000).map(|n| serde_json::json!({ "const": n })).collect();
        let schema = Schema::new(&serde_json::json!({ "items": { "anyOf": branches } }).to_string()).unwrap();
        let items = |count: usize| serde_json::to_string(&vec!["x"; count]).unwrap();
        let [Mismatch { message, .. }] = &schema.mismatches(&items(2_000))[..] else { panic!() };
        assert!(message.starts_with("has 2001 values, too many for the "), "{message}");
        let [Mismatch { message, .. }] = &schema.mismatches(&items(500))[..] else { panic!() };
        assert!(message.starts_with("does not fit the plugin's schema; both are too large"), "{message}");
        assert_eq!(schema.mismatches(&items(5)).len(), DEFECTS_MAX);
        assert_eq!(schema.mismatches("[1, 999]"), []);
        // A text is as much work as its length.
        let long = format!("[{:?}]", "x".repeat(64 << 10));
        assert!(schema.mismatches(&long)[0].message.starts_with("has 4098 values"), "{:?}", schema.mismatches(&long));
    }

    #[test]
    fn what_asks_again_counts_again() {
        let nested = |depth: usize| {
            (0..depth).fold(
                serde_json::json!({}),
                |within, _| serde_json::json!({ "allOf": [within], "unevaluatedProperties": false }),
            )
        };
        let why = Schema::new(&nested(40).to_string()).unwrap_err();
        assert!(why.starts_with("asks itself again more than "), "{why}");
        let schema = Schema::new(&nested(3).to_string()).unwrap();
        assert!(schema.work > 16, "{}", schema.work);
        assert_eq!(schema.mismatches("{}"), []);
        assert!(!schema.mismatches(r#"{"a": 1}"#).is_empty());
    }
}
