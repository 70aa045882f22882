//! The limits from both sides, and what is refused.

use weir::{
    AlertCode, Verdict,
    testing::{alert, run},
};

use super::*;

const VOLTAGE: AlertCode = AlertCode(0x8F40);

/// What becomes of 8F40 with these measurements, in decivolts.
fn judge(parameters: &str, measurements: &[Option<i32>]) -> Vec<Verdict<Reason>> {
    let rule = Threshold::new(parameters).unwrap();
    let alerts: Vec<_> =
        measurements.iter().map(|measurement| Alert { measurement: *measurement, ..alert(1, VOLTAGE) }).collect();
    run(&rule, &alerts)
}

fn refusal(parameters: &str) -> String {
    Threshold::new(parameters).unwrap_err()
}

/// The case the rule exists for: the line at 258.0 V where the meters' own is at 253.0 V.
#[test]
fn below_holds_back_what_lies_below_and_passes_the_limit_itself() {
    let measured = [Some(2530), Some(2579), Some(2580), Some(2581), None, Some(i32::MIN), Some(i32::MAX)];
    let held = Verdict::Suppress(Reason::BelowLimit);
    let expected = [held, held, Verdict::Forward, Verdict::Forward, Verdict::Forward, held, Verdict::Forward];
    assert_eq!(judge(r#"{"codes": ["8F40"], "below_dv": 2580}"#, &measured), expected);
}

#[test]
fn above_holds_back_what_lies_above_and_passes_the_limit_itself() {
    let held = Verdict::Suppress(Reason::AboveLimit);
    let verdicts = judge(r#"{"codes": ["8F40"], "above_dv": 2162}"#, &[Some(2161), Some(2162), Some(2163), None]);
    assert_eq!(verdicts, [Verdict::Forward, Verdict::Forward, held, Verdict::Forward]);
}

#[test]
fn outside_holds_back_both_sides_and_passes_both_limits() {
    let held = Verdict::Suppress(Reason::OutsideLimits);
    let measured = [Some(2161), Some(2162), Some(2300), Some(2530), Some(2531), None];
    let verdicts = judge(r#"{"codes": ["8F40"], "outside_dv": [2162, 2530]}"#, &measured);
    assert_eq!(verdicts, [held, Verdict::Forward, Verdict::Forward, Verdict::Forward, held, Verdict::Forward]);
}

#[test]
fn other_codes_pass() {
    let rule = Threshold::new(r#"{"codes": ["8F40", "8006"], "below_dv": 2580}"#).unwrap();
    let alerts =
        [0x8F40, 0x8006, 0x8F41, 0x8000].map(|code| Alert { measurement: Some(1000), ..alert(1, AlertCode(code)) });
    let held = Verdict::Suppress(Reason::BelowLimit);
    assert_eq!(run(&rule, &alerts), [held, held, Verdict::Forward, Verdict::Forward]);
}

#[test]
fn codes_are_required() {
    assert!(refusal(r#"{"below_dv": 2580}"#).contains("missing field `codes`"));
    assert!(refusal(r#"{"codes": [], "below_dv": 2580}"#).contains("at least one"));
}

#[test]
fn exactly_one_limit_is_required() {
    for parameters in [
        r#"{"codes": ["8F40"]}"#,
        r#"{"codes": ["8F40"], "below_dv": 2580, "above_dv": 2530}"#,
        r#"{"codes": ["8F40"], "above_dv": 2580, "outside_dv": [2162, 2530]}"#,
        r#"{"codes": ["8F40"], "above_dv": 2580, "above": 2580}"#,
    ] {
        let expected = "give one of below_dv, above_dv, outside_dv, below, above and outside, and only one";
        assert_eq!(refusal(parameters), expected);
    }
}

#[test]
fn a_limit_in_the_wrong_unit_is_refused() {
    assert_eq!(
        refusal(r#"{"codes": ["8F40"], "below_dv": 258}"#),
        "below_dv: expected tenths of a volt from 500 to 10000 (258.0 V is 2580), found 258"
    );
    assert!(refusal(r#"{"codes": ["8F40"], "outside_dv": [2162, 253000]}"#).starts_with("outside_dv[1]: "));
    assert!(refusal(r#"{"codes": ["8F40"], "below_dv": 258.0}"#).starts_with("below_dv: invalid type"));
    assert!(refusal(r#"{"codes": ["8F40"], "outside_dv": [2530, 2162]}"#).contains("found [2530, 2162]"));
}

#[test]
fn unknown_parameters_are_refused_by_name() {
    let refused = refusal(r#"{"codes": ["8F40"], "beneath": 2580}"#);
    assert!(refused.contains("unknown field `beneath`"), "{refused}");
}

/// Seconds, or whatever the code counts: no bounds are known, so none are asked for.
#[test]
fn limits_in_the_unit_of_the_code_hold_from_both_sides() {
    let measured = [Some(-1), Some(0), Some(225), Some(255), Some(256), None, Some(i32::MIN), Some(i32::MAX)];
    let held = |parameters: &str| {
        let verdicts = judge(parameters, &measured);
        let held = verdicts.iter().zip(measured).filter(|(verdict, _)| **verdict != Verdict::Forward);
        held.map(|(verdict, measured)| (*verdict, measured.unwrap())).collect::<Vec<_>>()
    };
    let (below, above) = (Verdict::Suppress(Reason::BelowLimit), Verdict::Suppress(Reason::AboveLimit));
    let outside = Verdict::Suppress(Reason::OutsideLimits);
    assert_eq!(held(r#"{"codes": ["8F40"], "above": 255}"#), [(above, 256), (above, i32::MAX)]);
    assert_eq!(held(r#"{"codes": ["8F40"], "below": 0}"#), [(below, -1), (below, i32::MIN)]);
    let beyond = [(outside, -1), (outside, 256), (outside, i32::MIN), (outside, i32::MAX)];
    assert_eq!(held(r#"{"codes": ["8F40"], "outside": [0, 255]}"#), beyond);
    assert!(refusal(r#"{"codes": ["8F40"], "outside": [1, 0]}"#).starts_with("outside: the first limit"));
    assert!(refusal(r#"{"codes": ["8F40"], "above": 255.5}"#).starts_with("above: invalid type"));
}

/// The schema and the struct are written twice: they must at least agree on the names, and on the examples.
#[test]
fn the_schema_names_what_is_read() {
    let schema: serde_json::Value = serde_json::from_str(Threshold::DESCRIPTION.parameters_schema).unwrap();
    let names: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["above", "above_dv", "below", "below_dv", "codes", "outside", "outside_dv"]);
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["$defs"]["decivolts"]["minimum"], *LIMIT_DV.start());
    assert_eq!(schema["$defs"]["decivolts"]["maximum"], *LIMIT_DV.end());
    for example in schema["examples"].as_array().unwrap() {
        Threshold::new(&example.to_string()).unwrap();
    }
}
