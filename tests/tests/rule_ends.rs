//! Rules with an end, the list of those that hold alerts back now, and pairs of which one code alone is held back; through the
//! real binary.

use std::{
    thread::sleep,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use weir_tests::host::{self, Host};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const HOLD: &str = r#"{"codes":["8002"]}"#;

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// A time as commands show it and read it.
fn shown(ms: i64) -> String {
    weir_host::pipeline::Shown(ms).to_string()
}

struct Held {
    host: Host,
    folder: tempfile::TempDir,
}

impl Held {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::start(BINARY, &folder.path().join("data"));
        host.json(["plugin", "push", env!("WEIR_GUEST_MATCH"), "--json"]);
        Self { host, folder }
    }

    fn set(&self, more: &[&str]) -> std::process::Output {
        self.host.weir([&["rule", "set", "works", "--plugin", "match", "--parameters", HOLD], more].concat())
    }

    fn send(&self, counter: u32) -> u64 {
        let text = format!("device,counter,code\n02-00-5E-10-00-00-A0-01,{counter},8002\n");
        let file = host::file(self.folder.path(), "alerts.csv", &text);
        let sent = self.host.json(["alert", "send", &file, "--json"]).remove(0);
        sent["balance"]["suppressed"].as_u64().unwrap()
    }

    fn rule(&self) -> Value {
        self.host.json(["rule", "list", "--json"]).remove(0)
    }
}

#[test]
fn a_rule_ends_by_a_revision_before_the_first_alert_that_is_judged_then() {
    let mut held = Held::new();
    let until = shown(now_ms() + 3_500);
    let set = held.set(&["--until", &until, "--why", "works in the street", "--json"]);
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    let said = String::from_utf8(set.stderr).unwrap();
    assert!(said.contains("8085 average over-voltage has ended, which clears it, is not"), "{said}");
    assert_eq!(held.send(1), 1);
    let table = String::from_utf8(held.host.weir(["rule", "list"]).stdout).unwrap();
    assert!(table.contains(&until), "{table}");
    let mute = held.host.json(["rule", "list", "--muting", "--json"]).remove(0);
    let field = |name: &str| mute[name].clone();
    assert_eq!(
        (field("name"), field("suppressed"), field("why")),
        ("works".into(), 1.into(), "works in the street".into())
    );
    assert_eq!(mute["half_pairs"].as_array().unwrap().len(), 1, "{mute}");
    assert!(mute["half_pairs"][0].as_str().unwrap().ends_with("in the last 7 days: 1 and 0"), "{mute}");

    sleep(Duration::from_millis(3_600));
    assert_eq!(held.rule()["mode"], "active", "nothing was judged since");
    assert_eq!(
        held.host.json(["rule", "list", "--muting", "--json"]),
        [Value::Null; 0],
        "it holds nothing back any more"
    );
    assert_eq!(held.send(2), 0);
    assert_eq!((&held.rule()["mode"], &held.rule()["until_ms"]), (&"off".into(), &Value::Null));
    assert_eq!(held.host.json(["rule", "list", "--muting", "--json"]), [Value::Null; 0]);
    let history = held.host.json(["rule", "history", "works", "--json"]);
    assert_eq!(history[0]["who"], "host");
    assert_eq!(history[0]["why"], format!("it was to end at {until}"));

    // Folded again, the log says the same.
    held.host = held.host.kill_and_restart(&held.folder.path().join("data"), &[]);
    assert_eq!(held.rule()["mode"], "off");
    assert!(held.host.weir(["verify", "run"]).status.success());
    // What ended is not begun again without another end.
    let restored = held.host.weir(["rule", "restore", "works", "--revision", &history[1]["revision"].to_string()]);
    assert_eq!(restored.status.code(), Some(64));
    assert!(String::from_utf8(restored.stderr).unwrap().contains("until_ms: "));
    assert_eq!(held.host.stop(), Some(0));
}

#[test]
fn an_end_lies_ahead_and_goes_when_a_rule_is_set_without_one() {
    let held = Held::new();
    let late = held.set(&["--until", "2020-01-01"]);
    assert_eq!(late.status.code(), Some(64));
    assert!(String::from_utf8(late.stderr).unwrap().contains("2020-01-01T00:00:00Z) is not after now"));
    let until = shown(now_ms() + 600_000);
    assert!(held.set(&["--until", &until]).status.success());
    // A rule off the network, and on again from the store.
    let mut held = held;
    held.host = held.host.kill_and_restart(&held.folder.path().join("data"), &[]);
    assert!(held.rule()["until_ms"].as_i64().unwrap() > now_ms());
    let set = held.set(&["--code", "8002,8085"]);
    assert!(set.status.success());
    assert!(String::from_utf8(set.stderr).unwrap().contains("8002"), "its parameters hold back the one alone");
    assert_eq!(held.rule()["until_ms"], Value::Null);
    assert_eq!(held.host.stop(), Some(0));
}
