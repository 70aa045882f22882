//! The story of docs/threshold-change.md, through the real binary: what a what-if over a recorded day says is, to the
//! alert, what happens on a host where the change was made, with and without a rule behind it that keeps state.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use weir_tests::{
    host::Host,
    workload::{Random, seed},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const DAY_MS: i64 = 86_400_000;
const DEVICES: u64 = 40;
const SAMPLES: &str = "1000";

/// One alert of the estate.
struct Alert {
    device: u64,
    counter: u64,
    code: &'static str,
    at_ms: i64,
    dv: i32,
}

impl Alert {
    fn device(&self) -> String {
        format!("00-0D-6F-00-00-00-00-{:02X}", self.device + 1)
    }

    fn id(&self) -> (String, i64) {
        (self.device(), self.at_ms)
    }
}

/// A recorded day: voltages from 250.0 to 262.0 V, a tenth of the alerts about something else, each at a time of its own.
fn estate(seed: u64) -> Vec<Alert> {
    let mut random = Random::new(seed);
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let start_ms = (now_ms / DAY_MS - 1) * DAY_MS;
    let mut counters = [0; DEVICES as usize];
    (0..900)
        .map(|at| {
            // A few devices shout more than the others: those are what storm protection is for.
            let device = if random.below(3) == 0 { random.below(3) } else { random.below(DEVICES) };
            counters[device as usize] += 1;
            Alert {
                device,
                counter: counters[device as usize],
                code: if random.below(10) == 0 { "8F41" } else { "8F40" },
                at_ms: start_ms + at * 90_000,
                dv: 2500 + random.below(121) as i32,
            }
        })
        .collect()
}

fn voltage(below_dv: i32) -> String {
    format!(r#"{{"codes":["8F40"],"below_dv":{below_dv}}}"#)
}

/// A host on which the day happened under a limit.
fn recorded(folder: &Path, estate: &[Alert], below_dv: i32, storm: bool) -> Host {
    fs::create_dir_all(folder).unwrap();
    let settings = [("WEIR_WHATIF__CPU_PERCENT_MAX", "100"), ("WEIR_WHATIF__SAMPLES_MAX", SAMPLES)];
    let host = Host::start_with(BINARY, &folder.join("data"), &settings);
    host.json(["plugin", "push", env!("WEIR_GUEST_THRESHOLD"), "--json"]);
    host.json(["plugin", "push", env!("WEIR_GUEST_STORM"), "--json"]);
    let set = ["rule", "set", "voltage", "--plugin", "threshold", "--position", "10", "--json", "--parameters"];
    host.json(set.into_iter().chain([voltage(below_dv).as_str()]));
    if storm {
        let parameters = r#"{"more_than":2,"window_s":14400,"period_s":7200}"#;
        let set = ["rule", "set", "storm", "--plugin", "storm", "--position", "20", "--json", "--parameters"];
        host.json(set.into_iter().chain([parameters]));
    }
    let inventory: String = (0..DEVICES)
        .map(|device| {
            let (generation, operator) = if device % 2 == 0 { ("smets1", 12) } else { ("smets2", 10) };
            format!("00-0D-6F-00-00-00-00-{:02X},,{generation},M{},{operator}\n", device + 1, device % 3)
        })
        .collect();
    let file = folder.join("devices.csv");
    fs::write(&file, format!("eui,mpxn,generation,model,operator\n{inventory}")).unwrap();
    host.json(["device", "load", file.to_str().unwrap(), "--json"]);
    let row = |alert: &Alert| {
        let Alert { counter, code, at_ms, dv, .. } = alert;
        format!("{},{counter},{code},{at_ms},{at_ms},{dv}\n", alert.device())
    };
    let rows: String = estate.iter().map(row).collect();
    let file = folder.join("alerts.csv");
    fs::write(&file, format!("device,counter,code,occurred_ms,received_ms,measurement_dv\n{rows}")).unwrap();
    // Several groups, so that rules keep state from one to the next.
    host.json(["alert", "send", file.to_str().unwrap(), "--format", "csv", "--batch", "100", "--json"]);
    host
}

/// What was suppressed on a host, by device and time of receipt.
fn suppressed(host: &Host) -> BTreeSet<(String, i64)> {
    let alerts = host.json(["alert", "list", "--suppressed", "--limit", "10000", "--json"]);
    let id = |row: &Value| {
        let alert = &row["alert"];
        (alert["device_id"].as_str().unwrap().to_owned(), alert["received_at_ms"].as_i64().unwrap())
    };
    alerts.iter().map(id).collect()
}

fn what_if(host: &Host, arguments: &[&str]) -> Value {
    let all = ["whatif", "run", "--json", "--samples", SAMPLES].into_iter().chain(arguments.iter().copied());
    host.json(all).remove(0)
}

/// The alerts whose end would be another, all of them, as an answer lists them.
fn changed(outcome: &Value, suppressed: bool) -> BTreeSet<(String, i64)> {
    let samples = outcome["samples"].as_array().unwrap().iter();
    let turned = samples.filter(|sample| sample["computed"]["suppressed"] == suppressed);
    turned
        .map(|sample| {
            assert_eq!(sample["recorded"]["suppressed"], !suppressed, "{sample}");
            let alert = &sample["alert"];
            (alert["device_id"].as_str().unwrap().to_owned(), alert["received_at_ms"].as_i64().unwrap())
        })
        .collect()
}

#[test]
fn a_what_if_says_to_the_alert_what_the_change_then_does() {
    let folder = tempfile::tempdir().unwrap();
    for (stated, storm) in [(2530, false), (2580, true)] {
        let estate = estate(seed(stated));
        let name = |what: &str| folder.path().join(format!("{what}-{storm}"));
        let before = recorded(&name("before"), &estate, 2530, storm);
        let after = recorded(&name("after"), &estate, 2580, storm);
        let found = what_if(&before, &["--rule", "voltage", "--parameters", &voltage(2580)]);
        let (answer, outcome) = (&found["answer"], &found["answer"]["outcomes"][0]);
        assert_eq!(answer["losses"], serde_json::json!([]));
        assert_eq!(answer["basis"]["stateful"], storm);

        let (was, is) = (suppressed(&before), suppressed(&after));
        let newly_suppressed: BTreeSet<_> = is.difference(&was).cloned().collect();
        let newly_forwarded: BTreeSet<_> = was.difference(&is).cloned().collect();
        assert!(changed(outcome, true) == newly_suppressed, "storm: {storm}");
        assert!(changed(outcome, false) == newly_forwarded, "storm: {storm}");
        // With storm protection behind it, less is held back there: some alerts that it held back would pass.
        assert_eq!(!newly_forwarded.is_empty(), storm);
        assert_eq!(outcome["total"]["would_suppress"], newly_suppressed.len());
        assert_eq!(outcome["total"]["would_forward"], newly_forwarded.len());

        let counts = after.json(["count", "--json"]).remove(0);
        for end in ["forwarded", "suppressed"] {
            assert_eq!(outcome["then"][end], counts["total"]["balance"][end], "{end}");
        }
        let withheld = &counts["total"]["withheld"];
        assert_eq!(&outcome["then"]["withheld"], withheld);
        if !storm {
            let between = |alert: &&Alert| alert.code == "8F40" && (2530..2580).contains(&alert.dv);
            let truth: BTreeSet<_> = estate.iter().filter(between).map(Alert::id).collect();
            assert!(newly_suppressed == truth, "what is known of the estate");
        }
        assert_eq!(before.stop(), Some(0));
        assert_eq!(after.stop(), Some(0));
    }
}

#[test]
fn the_commands_of_the_story() {
    let folder = tempfile::tempdir().unwrap();
    let estate = estate(40);
    let host = recorded(folder.path(), &estate, 2530, true);
    let set = ["rule", "set", "storm", "--plugin", "storm", "--mode", "off", "--json", "--parameters"];
    host.json(set.into_iter().chain([r#"{"more_than":2,"window_s":14400,"period_s":7200}"#]));
    let position = host.json(["count", "--json"]).remove(0)["position"].as_u64().unwrap();

    let sweep = what_if(&host, &["--rule", "voltage", "--sweep", "below_dv=2530..2600:10", "--name", "how high?"]);
    let outcomes = sweep["answer"]["outcomes"].as_array().unwrap();
    let labels: Vec<_> = outcomes.iter().map(|outcome| outcome["label"].as_str().unwrap()).collect();
    assert_eq!(labels.len(), 8);
    assert_eq!((labels[0], labels[7]), ("below_dv=2530", "below_dv=2600"));
    let forwarded: Vec<u64> = outcomes.iter().map(|outcome| outcome["then"]["forwarded"].as_u64().unwrap()).collect();
    assert!(forwarded.is_sorted_by(|a, b| a >= b), "{forwarded:?}");
    assert_eq!(outcomes[0]["total"]["would_suppress"], 0, "the limit that there is");
    let single = what_if(&host, &["--rule", "voltage", "--parameters", &voltage(2580)]);
    assert_eq!(single["answer"]["outcomes"][0]["total"], outcomes[5]["total"]);
    assert_eq!(sweep["answer"]["basis"]["end_position"], position);

    let text = |arguments: &[&str]| {
        let output = host.weir(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = text(&["whatif", "show", "1", "--by", "code,operator,day", "--variant", "below_dv=2580"]);
    for part in ["as it was", "below_dv=2580", "####", "8F40 voltage alert", "12 LOND", "below-limit", "how high?"] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
    assert!(text(&["whatif", "list"]).contains("how high?"));

    // From the answer to a shadow, exactly as it was asked about.
    let shadow = ["rule", "set", "next", "--from-whatif", "1", "--set", "below_dv=2580", "--mode", "shadow", "--json"];
    let rule = host.json(shadow).remove(0);
    let parameters: Value = serde_json::from_str(rule["parameters"].as_str().unwrap()).unwrap();
    assert_eq!((&parameters["below_dv"], &rule["mode"]), (&2580.into(), &"shadow".into()));
    assert_eq!(rule["position"], 10);

    // A component that no host has kept, and what it would be called.
    let match_8f41 = r#"{"codes":["8F41"]}"#;
    let candidate = ["--candidate", env!("WEIR_GUEST_MATCH"), "--parameters", match_8f41, "--rule", "no-amps"];
    let tried = what_if(&host, &candidate);
    let amps = estate.iter().filter(|alert| alert.code == "8F41").count();
    let by_code = &tried["answer"]["outcomes"][0]["tables"][0]["rows"];
    let row = by_code.as_array().unwrap().iter().find(|row| row["code"] == "8F41").unwrap();
    let held = row["would_suppress"].as_u64().unwrap() + row["both_suppress"].as_u64().unwrap();
    assert_eq!((held, &row["both_forward"]), (amps as u64, &0.into()));
    assert!(host.json(["plugin", "list", "--json"]).iter().all(|plugin| plugin["name"] != "match"), "it was not kept");

    let verified = host.json(["verify", "run", "--json"]).remove(0);
    assert_eq!((&verified["verdict"], &verified["alert_count"]), (&"same".into(), &estate.len().into()));
    assert!(text(&["verify", "show"]).contains("live and replay are the same"));

    let wrong: [(&[&str], &str); 8] = [
        (&["whatif", "run"], "--rule: is missing"),
        (&["whatif", "run", "--rule", "amps"], "no rule is named \"amps\"; there are: next, voltage, storm"),
        (&["whatif", "run", "--rule", "voltage", "--parameters", "{}"], "variants[0].parameters: "),
        (&["whatif", "run", "--rule", "voltage", "--plugin", "x"], "variants[0].plugin: no plugin has the name"),
        (&["whatif", "run", "--rule", "voltage", "--sweep", "below_dv=2600..2530"], "expected NAME=LOW..HIGH:STEP"),
        (&["whatif", "run", "--rule", "voltage", "--sweep", "below_dv=2530..2600:1"], "whatif.variants_max (32)"),
        (&["whatif", "show", "99"], "there is no question 99"),
        (&["rule", "set", "x", "--from-whatif", "1"], "--set: name one of what question 1 tried: below_dv=2530, "),
    ];
    for (arguments, message) in wrong {
        let output = host.weir(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(64) && said.contains(message), "{arguments:?}: {said}");
    }
    assert_eq!(host.stop(), Some(0));
}
