//! Each list by itself and together, and what is refused.

use weir::{
    AlertCode, Verdict,
    testing::{alert, run},
};

use super::*;

const FACTOR: AlertCode = AlertCode(0x8014);
const HELD: Verdict<Reason> = Verdict::Suppress(Reason::Matched);
const PASSED: Verdict<Reason> = Verdict::Forward;

fn judge<const N: usize>(parameters: &str, alerts: [Alert; N]) -> Vec<Verdict<Reason>> {
    run(&Match::new(parameters).unwrap(), &alerts)
}

fn refusal(parameters: &str) -> String {
    Match::new(parameters).unwrap_err()
}

/// The case the rule exists for: SMETS1 meters raise 8014 in error, SMETS2 meters mean it.
#[test]
fn every_list_must_fit() {
    let of = |code, generation| Alert { generation, ..alert(1, code) };
    let verdicts = judge(
        r#"{"codes": ["8014"], "generations": ["smets1"]}"#,
        [
            of(FACTOR, Generation::Smets1),
            of(FACTOR, Generation::Smets2),
            of(FACTOR, Generation::Unknown),
            of(AlertCode(0x8015), Generation::Smets1),
        ],
    );
    assert_eq!(verdicts, [HELD, PASSED, PASSED, PASSED]);
}

#[test]
fn one_list_is_enough() {
    assert_eq!(judge(r#"{"codes": ["8014"]}"#, [alert(1, FACTOR), alert(1, AlertCode(0x8F40))]), [HELD, PASSED]);
    let unknown = [Generation::Unknown, Generation::Smets2].map(|g| Alert { generation: g, ..alert(1, FACTOR) });
    assert_eq!(judge(r#"{"generations": ["unknown"]}"#, unknown), [HELD, PASSED]);
}

#[test]
fn models_fit_by_name_and_the_unknown_one_never() {
    let of = |name| Alert { model: ModelId::of(name), ..alert(1, FACTOR) };
    let verdicts = judge(r#"{"models": ["Beta", "Alpha"]}"#, [of("Alpha"), of("Beta"), of("alpha"), of("")]);
    assert_eq!(verdicts, [HELD, HELD, PASSED, PASSED]);
}

#[test]
fn operators_fit_by_id_and_the_unknown_one_never() {
    let of = |operator| Alert { operator, ..alert(1, FACTOR) };
    let alerts = [of(Some(10)), of(Some(99)), of(Some(11)), of(None), of(Some(255)), of(Some(138))];
    let verdicts = judge(r#"{"operators": [99, 10]}"#, alerts);
    assert_eq!(verdicts, [HELD, HELD, PASSED, PASSED, PASSED, PASSED]);
}

#[test]
fn no_list_at_all_is_refused() {
    assert!(refusal("{}").starts_with("give at least one of codes"));
}

#[test]
fn a_list_that_cannot_fit_is_refused() {
    for list in ["codes", "generations", "models", "operators"] {
        let refused = refusal(&format!("{{\"{list}\": []}}"));
        assert!(refused.starts_with(&format!("{list}: an empty list fits no alert")), "{refused}");
    }
    assert!(refusal(r#"{"models": ["A", ""]}"#).starts_with("models[1]: "));
    assert!(refusal(r#"{"operators": [10, 9]}"#).contains("operators[1]: expected a distributor id from 10 to 99"));
    assert!(refusal(r#"{"operators": [300]}"#).starts_with("operators[0]: "));
    assert!(refusal(r#"{"generations": ["smets3"]}"#).starts_with("generations[0]: unknown variant `smets3`"));
}

#[test]
fn unknown_parameters_are_refused_by_name() {
    assert!(refusal(r#"{"code": ["8014"]}"#).contains("unknown field `code`"));
}

/// The schema and the struct are written twice: they must at least agree on the names, and on the examples.
#[test]
fn the_schema_names_what_is_read() {
    let schema: serde_json::Value = serde_json::from_str(Match::DESCRIPTION.parameters_schema).unwrap();
    let names: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["codes", "generations", "models", "operators"]);
    assert_eq!(schema["additionalProperties"], false);
    for example in schema["examples"].as_array().unwrap() {
        Match::new(&example.to_string()).unwrap();
    }
}
