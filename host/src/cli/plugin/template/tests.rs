//! Unit tests run natively, by the path that the sandbox takes too: `cargo test`.

use weir::{
    AlertCode,
    testing::{alert, run, run_in_batches},
};

use super::*;

const VOLTAGE: AlertCode = AlertCode(0x8F40);
const HOUR_MS: i64 = 3_600_000;

fn rule(parameters: &str) -> MyRule {
    MyRule::new(parameters).unwrap()
}

/// An alert of device 1 at an hour with a voltage in decivolts.
fn voltage(hour: i64, decivolts: i32) -> Alert {
    Alert { occurred_ms: hour * HOUR_MS, measurement: Some(decivolts), ..alert(1, VOLTAGE) }
}

const HELD: Verdict<Reason> = Verdict::Suppress(Reason::BelowLimit);

#[test]
fn below_the_limit_one_a_day_passes_and_stands_for_the_others() {
    let rule = rule(r#"{"codes": ["8F40"], "below_dv": 2580}"#);
    let alerts = [voltage(1, 2541), voltage(2, 2542), voltage(3, 2580), voltage(24, 2543), voltage(25, 2541)];
    let expected = [Verdict::Forward, HELD, Verdict::Forward, HELD, Verdict::ForwardFor { withheld: 2 }];
    assert_eq!(run(&rule, &alerts), expected);
    // Wherever the host cuts the stream into batches, the verdicts are the same.
    for size in 1..=alerts.len() {
        assert_eq!(run_in_batches(&rule, &alerts, size), expected);
    }
}

#[test]
fn other_codes_and_alerts_without_a_measurement_pass() {
    let rule = rule(r#"{"codes": ["8F40"], "below_dv": 2580, "remind_h": 1}"#);
    let other = Alert { code: AlertCode(0x8014), ..voltage(2, 2000) };
    let alerts = [voltage(1, 2541), other, alert(1, VOLTAGE)];
    assert_eq!(run(&rule, &alerts), [Verdict::Forward; 3]);
}

#[test]
fn a_misspelt_parameter_is_refused_by_name() {
    let refused = MyRule::new(r#"{"codes": ["8F40"], "below": 2580}"#).err().unwrap();
    assert!(refused.contains("unknown field `below`"), "{refused}");
}

/// The schema and the struct are written twice: they must agree on what an example is.
#[test]
fn the_examples_of_the_schema_are_accepted() {
    let schema: serde_json::Value = serde_json::from_str(MyRule::DESCRIPTION.parameters_schema).unwrap();
    for example in schema["examples"].as_array().unwrap() {
        MyRule::new(&example.to_string()).unwrap();
    }
}
