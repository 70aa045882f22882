//! What a rule was: every change is a revision that stays, says why, and can be gone back to. Through the real binary.

use std::fs;

use serde_json::Value;
use weir_tests::host::Host;

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

/// Sets the rule `volts` to a limit.
fn set(host: &Host, below_dv: u32, why: &str) -> Value {
    let parameters = format!(r#"{{"codes":["8F40"],"below_dv":{below_dv}}}"#);
    let rule = ["rule", "set", "volts", "--plugin", "threshold", "--parameters", &parameters, "--why", why, "--json"];
    host.json(rule).remove(0)
}

fn history(host: &Host) -> Vec<Value> {
    host.json(["rule", "history", "volts", "--json"])
}

/// Revision and reason of each change, newest first.
fn changes(history: &[Value]) -> Vec<(u64, &str)> {
    history.iter().map(|entry| (entry["revision"].as_u64().unwrap(), entry["why"].as_str().unwrap())).collect()
}

fn refusal(host: &Host, arguments: &[&str]) -> String {
    let output = host.weir(arguments);
    assert_eq!(output.status.code(), Some(64), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn every_change_stays_and_can_be_gone_back_to() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let host = Host::start(BINARY, &data);
    host.json(["plugin", "push", env!("WEIR_GUEST_THRESHOLD"), "--json"]);
    set(&host, 2530, "");
    set(&host, 2580, "the limit of 2530 floods us");
    host.json(["rule", "remove", "volts", "--why", "a trial is over", "--json"]);
    let before = history(&host);
    assert_eq!(changes(&before), [(3, "a trial is over"), (2, "the limit of 2530 floods us"), (1, "")]);
    assert_eq!(before[0]["rule"], Value::Null);
    assert_eq!(before[1]["rule"]["parameters"], r#"{"codes":["8F40"],"below_dv":2580}"#);
    assert!(before.iter().all(|entry| entry["who"] == "" && entry["made_at_ms"].as_i64() > Some(1_700_000_000_000)));
    assert_eq!(host.json(["rule", "list", "--json"]), [] as [Value; 0]);

    let restored = host.json(["rule", "restore", "volts", "--revision", "2", "--why", "needed", "--json"]).remove(0);
    assert_eq!((&restored["revision"], &restored["parameters"]), (&4.into(), &before[1]["rule"]["parameters"]));
    host.kill();

    let host = Host::start(BINARY, &data);
    let after = history(&host);
    assert_eq!(changes(&after)[0], (4, "restores revision 2: needed"));
    assert_eq!(after[1..], before, "what was is never changed");

    let alerts = "device,code,measurement_dv\n00-0D-6F-00-00-00-00-01,8F40,2550\n";
    let file = folder.path().join("alerts.csv");
    fs::write(&file, alerts).unwrap();
    host.json(["alert", "send", file.to_str().unwrap(), "--format", "csv", "--json"]);
    let listed = host.json(["alert", "list", "--suppressed", "--json"]);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["rule"]["revision"], 4, "{}", listed[0]);
    assert_eq!(host.json(["rule", "history", "volts", "--limit", "1", "--json"]).len(), 1);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_host_without_plugins_forwards_everything_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("alerts.csv");
    let send = |host: &Host, counter: u32| {
        let alerts = format!("device,code,counter,measurement_dv\n00-0D-6F-00-00-00-00-01,8F40,{counter},2550\n");
        fs::write(&file, alerts).unwrap();
        host.json(["alert", "send", file.to_str().unwrap(), "--format", "csv", "--json"]);
    };
    let host = Host::start(BINARY, &data);
    host.json(["plugin", "push", env!("WEIR_GUEST_THRESHOLD"), "--json"]);
    set(&host, 2580, "");
    send(&host, 1);
    host.kill();

    let host = Host::start_with(BINARY, &data, &[("WEIR_WITHOUT_PLUGINS", "true")]);
    send(&host, 2);
    let refused: [&[&str]; 3] = [
        &["rule", "restore", "volts", "--revision", "1"],
        &["rule", "set", "more", "--plugin", "threshold", "--parameters", r#"{"codes":["8F40"],"below_dv":2580}"#],
        &["plugin", "push", env!("WEIR_GUEST_STORM")],
    ];
    for arguments in refused {
        let said = refusal(&host, arguments);
        assert!(said.contains("this host was started without plugins"), "{arguments:?}: {said}");
    }
    let off = history(&host);
    assert_eq!(changes(&off), [(2, "the host was started without plugins"), (1, "")]);
    assert_eq!((&off[0]["who"], &off[0]["rule"]["mode"]), (&"host".into(), &"off".into()));
    host.kill();

    let host = Host::start(BINARY, &data);
    host.json(["rule", "restore", "volts", "--revision", "1", "--json"]);
    send(&host, 3);
    let ends: Vec<Value> =
        host.json(["alert", "list", "--json"]).into_iter().map(|alert| alert["outcome"].clone()).collect();
    assert_eq!(ends, ["suppressed", "forwarded", "suppressed"]);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_plugin_that_is_denied_is_not_run_and_the_others_are() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("alerts.csv");
    let send = |host: &Host, counter: u32| {
        let row = |code: &str| format!("00-0D-6F-00-00-00-00-01,{code},{counter}{},2550\n", &code[3..]);
        fs::write(&file, format!("device,code,counter,measurement\n{}{}", row("8F40"), row("8014"))).unwrap();
        host.json(["alert", "send", file.to_str().unwrap(), "--format", "csv", "--json"]);
    };
    let host = Host::start(BINARY, &data);
    let digest = host.json(["plugin", "push", env!("WEIR_GUEST_THRESHOLD"), "--json"])[0]["plugin"]["digest"].clone();
    host.json(["plugin", "push", env!("WEIR_GUEST_MATCH"), "--json"]);
    set(&host, 2580, "");
    let other = ["rule", "set", "codes", "--plugin", "match", "--parameters", r#"{"codes":["8014"]}"#, "--json"];
    host.json(other);
    send(&host, 1);
    host.kill();

    let denied = format!("[{digest}]");
    let host = Host::start_with(BINARY, &data, &[("WEIR_DENIED_PLUGINS", &denied)]);
    send(&host, 2);
    assert_eq!(changes(&history(&host))[0], (3, "its plugin is in denied_plugins or was revoked"));
    for arguments in
        [&["plugin", "push", env!("WEIR_GUEST_THRESHOLD")][..], &["rule", "restore", "volts", "--revision", "1"]]
    {
        let said = refusal(&host, arguments);
        assert!(said.contains("this host never runs it: it is in the setting denied_plugins"), "{arguments:?}: {said}");
    }
    host.kill();

    let host = Host::start(BINARY, &data);
    host.json(["rule", "restore", "volts", "--revision", "1", "--json"]);
    send(&host, 3);
    let listed = host.json(["alert", "list", "--json"]);
    let ends: Vec<&Value> = listed.iter().map(|alert| &alert["outcome"]).collect();
    assert_eq!(ends, ["suppressed", "suppressed", "forwarded", "suppressed", "suppressed", "suppressed"]);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn what_cannot_be_gone_back_to_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, folder.path());
    host.json(["plugin", "push", env!("WEIR_GUEST_THRESHOLD"), "--json"]);
    set(&host, 2530, "");
    let long = "x".repeat(501);
    let wrong: [(&[&str], &str); 8] = [
        (&["rule", "release", "volts"], "rule volts is active: only what the host stopped is released"),
        (&["rule", "release", "amps"], "no rule is named \"amps\"; there are: volts"),
        (&["rule", "history", "amps"], "no rule was ever named \"amps\""),
        (&["rule", "restore", "volts", "--revision", "7"], "rule \"volts\" has no revision 7"),
        (&["rule", "restore", "amps", "--revision", "1"], "rule \"amps\" has no revision 1"),
        (&["rule", "remove", "volts", "--why", &long], "why: 501 characters are more than 500"),
        (&["rule", "remove", "volts", "--why", "\u{1b}[2J"], "why: has the control character"),
        (&["rule", "restore", "volts", "--revision", "1", "--why", &long], "why: "),
    ];
    for (arguments, expected) in wrong {
        let said = refusal(&host, arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    host.json(["rule", "remove", "volts", "--json"]);
    let said = refusal(&host, &["rule", "restore", "volts", "--revision", "2"]);
    assert!(said.contains("revision 2 removed the rule; restore one before it"), "{said}");
    assert_eq!(history(&host).len(), 2);
}
