//! Storms written out alert by alert, wrong clocks, and made-up days whose account must balance.

use weir::{
    AlertCode, Verdict,
    testing::{alert, run, run_in_batches},
};

use super::*;

const CODE: AlertCode = AlertCode(0x8F40);
const HELD: Verdict<Reason> = Verdict::Suppress(Reason::Storm);
const PASSED: Verdict<Reason> = Verdict::ForwardFor { withheld: 0 };
/// At most 3 in 100 s, then one every 20 s.
const THREE: &str = r#"{"more_than": 3, "window_s": 100, "period_s": 20, "exclude_codes": ["8F35"]}"#;

fn three() -> Storm {
    Storm::new(THREE).unwrap()
}

fn at_s(seconds: i64) -> Alert {
    Alert { occurred_ms: seconds.saturating_mul(1000), ..alert(1, CODE) }
}

/// What becomes of alerts of one device and code at these times, in seconds. One that passes for nobody else is
/// written as `PASSED` here.
fn judge(times_s: &[i64]) -> Vec<Verdict<Reason>> {
    let alerts: Vec<_> = times_s.iter().map(|seconds| at_s(*seconds)).collect();
    run(&three(), &alerts).into_iter().map(|v| if v == Verdict::Forward { PASSED } else { v }).collect()
}

fn passed_for(withheld: u32) -> Verdict<Reason> {
    Verdict::ForwardFor { withheld }
}

#[test]
fn below_the_line_nothing_is_held_back() {
    assert_eq!(judge(&[0, 40, 99]), [PASSED; 3]);
    assert_eq!(judge(&[0, 1, 2, 100, 101, 102, 200]), [PASSED; 7], "three in each window");
}

/// Written out alert by alert: three pass, then one each 20 s that states what was held back since the last.
#[test]
fn a_storm_passes_one_a_period_with_what_was_withheld() {
    let times: Vec<i64> = (0..10).map(|i| i * 5).collect();
    let expected = [PASSED, PASSED, PASSED, HELD, HELD, HELD, passed_for(3), HELD, HELD, HELD];
    assert_eq!(judge(&times), expected, "the last of the three passed at 10 s, so the next at 30 s");
}

#[test]
fn the_next_window_settles_the_account() {
    let expected = [PASSED, PASSED, PASSED, HELD, HELD, passed_for(2), PASSED];
    assert_eq!(judge(&[0, 1, 2, 3, 4, 100, 101]), expected);
    assert_eq!(judge(&[0, 1, 2, 3, 4, 5_000_000])[5], passed_for(2), "however late");
}

#[test]
fn devices_and_codes_are_counted_apart() {
    let of = |device, code| Alert { device, code: AlertCode(code), ..at_s(0) };
    let mut alerts = vec![of(1, 0x8F40); 3];
    alerts.extend([of(1, 0x8F40), of(2, 0x8F40), of(1, 0x8014)]);
    let verdicts = run(&three(), &alerts);
    assert_eq!(verdicts[3..], [HELD, Verdict::Forward, Verdict::Forward]);
}

#[test]
fn excluded_codes_always_pass() {
    let alerts = [Alert { code: AlertCode(0x8F35), ..at_s(0) }; 50];
    assert_eq!(run(&three(), &alerts), [Verdict::Forward; 50]);
}

#[test]
fn late_alerts_count_in_the_current_window() {
    assert_eq!(judge(&[1000, 990, 980, 970, 1001]), [PASSED, PASSED, PASSED, HELD, HELD]);
    // The one that passed late does not bring the next period forward: it is counted from 1000 s.
    assert_eq!(judge(&[1000, 900, 901, 925, 1019, 1020]), [PASSED, PASSED, PASSED, HELD, HELD, passed_for(2)]);
}

/// A device whose clock was years ahead once must not be silenced until then.
#[test]
fn a_clock_set_back_begins_a_new_window() {
    let year_2099_s = 4_070_908_800;
    let times = [year_2099_s, year_2099_s, year_2099_s, year_2099_s, 0, 1, 2, 3];
    assert_eq!(judge(&times), [PASSED, PASSED, PASSED, HELD, passed_for(1), PASSED, PASSED, HELD]);
    let day_s = 86_400;
    assert_eq!(judge(&[day_s, day_s, day_s, 0])[3], HELD, "a day late still counts");
    assert_eq!(judge(&[day_s, day_s, day_s, -1])[3], PASSED, "a little more does not");
}

#[test]
fn any_event_time_is_judged() {
    let extremes = [i64::MIN, i64::MAX, 0, i64::MAX - 1, i64::MIN + 1, -1];
    let alerts: Vec<_> = (0..60).map(|i| Alert { occurred_ms: extremes[i * i % 6], ..alert(1, CODE) }).collect();
    assert_eq!(run(&three(), &alerts).len(), 60);
    let still: Vec<_> = vec![Alert { occurred_ms: i64::MAX, ..alert(1, CODE) }; 5];
    assert_eq!(run(&three(), &still)[3..], [HELD, HELD]);
}

/// A made-up day of storms, seeded by a plain generator of random numbers: what passes must state in sum what was
/// held back before it, and where the day is cut into batches must not matter.
#[test]
fn withheld_adds_up_to_what_was_held_back() {
    for seed in 1..=50_u64 {
        let mut random = seed;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut now_ms = 0_i64;
        let mut alerts: Vec<Alert> = Vec::new();
        for _ in 0..400 {
            now_ms += next(30_000) as i64;
            let late_ms = if next(10) == 0 { next(500_000) as i64 } else { 0 };
            alerts.push(Alert { occurred_ms: now_ms - late_ms, ..alert(1, CODE) });
        }
        // Long after, so that it passes and settles the account.
        alerts.push(Alert { occurred_ms: now_ms + 1_000_000, ..alert(1, CODE) });
        let verdicts = run(&three(), &alerts);
        let held = verdicts.iter().filter(|verdict| **verdict == HELD).count();
        let stated: u32 =
            verdicts.iter().map(|v| if let Verdict::ForwardFor { withheld } = v { *withheld } else { 0 }).sum();
        assert_eq!(held, stated as usize, "seed {seed}");
        assert!(held > 0, "seed {seed}: the day has storms");
        for size in [1, 7, 64] {
            assert_eq!(run_in_batches(&three(), &alerts, size), verdicts, "seed {seed}, batches of {size}");
        }
    }
}

/// The words outlive the parameters: whatever a window has counted or withheld, the next rule takes it on.
#[test]
fn new_parameters_take_over_the_account() {
    let with = |more_than: u32| {
        Storm::new(&format!(r#"{{"more_than": {more_than}, "window_s": 100, "period_s": 20}}"#)).unwrap()
    };
    for (before, after) in [(3, 10), (3, 1), (1, 1_000_000)] {
        let mut seen = Seen::default();
        let mut account = 0_i64;
        let mut judge = |rule: &Storm, second: i64| match rule.evaluate(&at_s(second), &mut seen) {
            Verdict::Suppress(_) => account += 1,
            Verdict::ForwardFor { withheld } => account -= i64::from(withheld),
            Verdict::Forward => {}
        };
        (0..10).for_each(|second| judge(&with(before), second));
        (10..30).for_each(|second| judge(&with(after), second));
        judge(&with(after), 1000);
        assert_eq!(account, 0, "{before}, then {after}");
    }
}

#[test]
fn a_window_and_its_count_fit_two_words() {
    assert_eq!(<Seen as weir::State>::WORDS, 2);
    for count in [Count::Passed(0), Count::Passed(COUNT_MAX), Count::Withheld(0), Count::Withheld(COUNT_MAX)] {
        let progress = Progress { passed_after_ms: SECONDS_MAX * 1000, count };
        assert_eq!(Progress::from_word(progress.to_word()), progress);
    }
    assert_eq!(Progress::default().to_word(), 0);
}

#[test]
fn numbers_out_of_range_are_refused() {
    let refusal = |more_than: i64, window_s: i64, period_s: i64| {
        let text = format!(r#"{{"more_than": {more_than}, "window_s": {window_s}, "period_s": {period_s}}}"#);
        Storm::new(&text).unwrap_err()
    };
    assert!(refusal(0, 1, 1).starts_with("more_than: expected from 1 (the"));
    assert!(refusal(1_000_001, 1, 1).ends_with("to 1000000, found 1000001"));
    assert!(refusal(1, 0, 1).starts_with("window_s: expected seconds from 1 to 2592000, found 0"));
    assert!(refusal(1, 1, 2_592_001).starts_with("period_s: "));
    assert!(refusal(-1, 1, 1).starts_with("more_than: invalid value"));
    assert!(Storm::new(r#"{"more_than": 1, "window_s": 60}"#).unwrap_err().contains("missing field `period_s`"));
    assert!(Storm::new(r#"{"more_then": 1}"#).unwrap_err().contains("unknown field `more_then`"));
}

/// The schema and the struct are written twice: they must at least agree on the names, and on the examples.
#[test]
fn the_schema_names_what_is_read() {
    let schema: serde_json::Value = serde_json::from_str(Storm::DESCRIPTION.parameters_schema).unwrap();
    let names: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["exclude_codes", "more_than", "period_s", "window_s"]);
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["window_s"]["maximum"], SECONDS_MAX);
    assert_eq!(schema["properties"]["more_than"]["maximum"], MORE_THAN_MAX);
    for example in schema["examples"].as_array().unwrap() {
        Storm::new(&example.to_string()).unwrap();
    }
}
