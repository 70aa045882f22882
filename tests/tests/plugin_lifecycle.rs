//! Plugins that are removed and revoked while the host works, and how a rule that failed is remembered, through the real
//! binary.

use std::{fs, path::Path, process::Output};

use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::Value;
use weir_tests::{
    host::Host,
    hostile::probe,
    tenants::{LOND_DEVICE, Two, weir},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn compiled(data: &Path) -> usize {
    // The key is there too.
    fs::read_dir(data.join("compiled")).unwrap().count() - 1
}

#[test]
fn a_plugin_is_removed_unless_a_kept_revision_needs_it_and_an_operator_gives_up_only_its_own() {
    let two = Two::new(BINARY);
    let data = two.folder.path().join("data");
    let lond = |arguments: &[&str]| weir(&two.host, &two.lond, arguments);
    let east = |arguments: &[&str]| weir(&two.host, &two.east, arguments);
    // `match` of operator 12 was never used; operator 10 uploads the same bytes.
    east(&["plugin", "push", env!("WEIR_GUEST_MATCH")]).unwrap();
    let before = compiled(&data);
    let removed = lond(&["plugin", "remove", "match"]).unwrap().remove(0);
    assert_eq!(removed["gone"], false, "{removed}");
    assert!(lond(&["plugin", "show", "match"]).is_err() && east(&["plugin", "show", "match"]).is_ok());
    assert_eq!(compiled(&data), before);
    let removed = east(&["plugin", "remove", "match"]).unwrap().remove(0);
    assert_eq!(removed["gone"], true, "{removed}");
    assert_eq!(compiled(&data), before - 1, "its code goes with it");

    // `threshold` is the host's, and rules of everybody name it.
    assert!(lond(&["plugin", "remove", "threshold"]).unwrap_err().contains("only an administrator removes it"));
    let refused = weir(&two.host, &two.admin, &["plugin", "remove", "threshold"]).unwrap_err();
    for words in ["12-volts (revision ", "10-volts (revision ", "all-amps (revision ", "the log says what was judged"] {
        assert!(refused.contains(words), "{words}: {refused}");
    }
    two.admin(&["rule", "remove", "all-amps"]);
    let refused = weir(&two.host, &two.admin, &["plugin", "remove", "threshold"]).unwrap_err();
    assert!(refused.contains("all-amps (revision "), "its revisions are kept: {refused}");
    // An operator who has its own copy may give it up: the host's is there for its rules.
    lond(&["plugin", "push", env!("WEIR_GUEST_THRESHOLD")]).unwrap();
    assert_eq!(lond(&["plugin", "remove", "threshold"]).unwrap()[0]["gone"], false);

    lond(&["plugin", "push", env!("WEIR_GUEST_MATCH")]).unwrap();
    let set =
        ["rule", "set", "12-match", "--plugin", "match", "--operator", "12", "--parameters", r#"{"codes":["8F42"]}"#];
    lond(&set).unwrap();
    assert!(lond(&["plugin", "remove", "match"]).unwrap_err().contains("is needed by 12-match (revision "));
    let entries = two.admin(&["audit", "list", "--limit", "1000"]);
    let removals = entries.iter().filter(|entry| entry["action"] == "plugin.remove");
    let who: Vec<_> = removals.map(|entry| entry["who"].as_str().unwrap()).collect();
    assert_eq!(who, ["lond", "east", "lond"]);
    let plugins = |host: &Host, token: &str| weir(host, token, &["plugin", "list"]).unwrap();
    let there = plugins(&two.host, &two.admin);
    let Two { host, admin, .. } = two;
    let host = host.kill_and_restart(&data, &[("WEIR_AUTHENTICATE", "true")]);
    assert_eq!(plugins(&host, &admin), there, "after a restart too");
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_revoked_plugin_is_run_no_more_and_its_rules_say_why() {
    let two = Two::new(BINARY);
    let digest = two.admin(&["plugin", "show", "threshold"])[0]["digest"].as_str().unwrap().to_owned();
    assert!(weir(&two.host, &two.lond, &["plugin", "revoke", "threshold"]).is_err(), "it is for administrators");
    let revoked = two.admin(&["plugin", "revoke", &digest[..12], "--why", "it holds back outages"]).remove(0);
    assert_eq!(revoked["rules"], serde_json::json!(["12-volts", "10-volts", "all-amps"]), "{revoked}");

    let alert = |counter: u32| {
        let row = format!("device,counter,code,measurement_dv\n{LOND_DEVICE},{counter},8F40,2550\n");
        let file = two.file("one.csv", &row);
        two.admin(&["alert", "send", &file, "--format", "csv"])[0]["balance"]["suppressed"].clone()
    };
    assert_eq!(alert(70), 0, "nothing is held back any more");
    let history = weir(&two.host, &two.lond, &["rule", "history", "12-volts"]).unwrap();
    let words = "was revoked by first-admin: it holds back outages";
    assert!(history[0].to_string().contains(words) && history[0].to_string().contains("\"off\""), "{}", history[0]);
    let shown = two.admin(&["plugin", "show", "threshold"]).remove(0);
    assert_eq!((&shown["revoked_by"], &shown["revoked_why"]), (&"first-admin".into(), &"it holds back outages".into()));

    // Not by any way back to it.
    let parameters = r#"{"codes":["8F40"],"below_dv":2580}"#;
    let what_if = ["whatif", "run", "--rule", "12-volts", "--parameters", parameters];
    let number = history[1]["revision"].to_string();
    let ways: [&[&str]; 4] = [
        &["rule", "set", "12-volts", "--plugin", "threshold", "--operator", "12", "--parameters", parameters],
        &["rule", "restore", "12-volts", "--revision", &number],
        &["plugin", "push", env!("WEIR_GUEST_THRESHOLD")],
        &what_if,
    ];
    for way in ways {
        let refused = weir(&two.host, &two.lond, way).unwrap_err();
        assert!(refused.contains(words), "{way:?}: {refused}");
    }
    // The record is as it was.
    let position = two.admin(&["alert", "list", "--suppressed"])[0]["position"].to_string();
    assert!(!two.admin(&["alert", "explain", &position]).is_empty());
    two.admin(&["verify", "run"]);

    let data = two.folder.path().join("data");
    let Two { host, admin, lond, folder, .. } = two;
    let host = host.kill_and_restart(&data, &[("WEIR_AUTHENTICATE", "true")]);
    let refused = weir(&host, &lond, ways[0]).unwrap_err();
    assert!(refused.contains(words), "after a restart: {refused}");
    let rules = weir(&host, &admin, &["rule", "list"]).unwrap();
    assert!(rules.iter().all(|rule| rule["mode"] == "off"), "{rules:?}");
    assert_eq!(host.stop(), Some(0));
    drop(folder);
}

#[test]
fn a_revoked_signing_key_takes_its_plugins_with_it_and_signs_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let pairs = [1, 2].map(|seed| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap());
    let hex = |pair: &Ed25519KeyPair| -> String {
        pair.public_key().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let keys = pairs.each_ref().map(hex);
    let setting = format!(r#"[{{key = "{}"}}, {{key = "{}"}}]"#, keys[0], keys[1]);
    let settings = [("WEIR_SIGNATURES_REQUIRED", "true"), ("WEIR_SIGNING_KEYS", setting.as_str())];
    let data = folder.path().join("data");
    let host = Host::start_with(BINARY, &data, &settings);
    let push = |host: &Host, name: &str, pair: &Ed25519KeyPair| {
        let component = probe(&[("does what it is told", name)]);
        let (file, signature) = (folder.path().join("component"), folder.path().join("signature"));
        fs::write(&file, &component).unwrap();
        fs::write(&signature, pair.sign(&component).as_ref()).unwrap();
        host.weir(["plugin", "push", file.to_str().unwrap(), "--signature", signature.to_str().unwrap(), "--json"])
    };
    let digest = |output: Output| {
        let pushed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
        let plugin = &pushed["plugin"];
        (plugin["digest"].as_str().unwrap().to_owned(), plugin["signed_by"].clone())
    };
    // Of the same length as what they stand for.
    let (first, signed_by) = digest(push(&host, "does what it's told.", &pairs[0]));
    assert_eq!(signed_by, serde_json::json!([keys[0]]));
    let (second, _) = digest(push(&host, "does what it's told!", &pairs[1]));
    let revoke = ["plugin", "revoke", "--signing-key", keys[0].as_str(), "--why", "the key leaked", "--json"];
    let revoked = host.json(revoke).remove(0);
    let digests: Vec<_> =
        revoked["plugins"].as_array().unwrap().iter().map(|plugin| plugin["digest"].clone()).collect();
    assert_eq!(digests, [first.as_str()]);
    let refused = |host: &Host, name: &str| {
        let said = said(&push(host, name, &pairs[0]));
        assert!(said.contains(&format!("signing key {} was revoked: the key leaked", keys[0])), "{said}");
    };
    refused(&host, "does what it's told?");
    digest(push(&host, "does what it's told?", &pairs[1]));
    assert_eq!(host.stop(), Some(0));

    let host = Host::start_with(BINARY, &data, &settings);
    refused(&host, "does what it's told;");
    let show = |digest: &str| host.json(["plugin", "show", digest, "--json"])[0]["revoked_why"].clone();
    assert_eq!((show(&first), show(&second)), ("the key leaked".into(), "".into()));
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_quarantined_rule_names_the_alert_that_made_it_fail_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // Long enough that it is not tried again meanwhile.
    let settings = [("WEIR_PLUGINS__QUARANTINE_MS_MIN", "3600000"), ("WEIR_PLUGINS__QUARANTINE_MS_MAX", "3600000")];
    let host = Host::start_with(BINARY, &data, &settings);
    host.json(["plugin", "push", env!("WEIR_GUEST_HOSTILE"), "--json"]);
    let parameters = r#"{"do":"trap","code":"8F35"}"#;
    host.json(["rule", "set", "bad", "--plugin", "hostile", "--parameters", parameters, "--json"]);
    let rule = |host: &Host| host.json(["rule", "list", "--json"]).remove(0);
    let mut counts = Vec::new();
    for batch in 0..3 {
        let codes: &[&str] = if batch == 0 { &["8F40", "8F35", "8F40"] } else { &["8F40", "8F35"] };
        let rows: String =
            codes.iter().enumerate().map(|(at, code)| format!("{LOND_DEVICE},{},{code}\n", 10 * batch + at)).collect();
        let file = folder.path().join("alerts.csv");
        fs::write(&file, format!("device,counter,code\n{rows}")).unwrap();
        host.json(["alert", "send", file.to_str().unwrap(), "--json"]);
        counts.push(rule(&host)["fault_count"].as_u64().unwrap());
    }
    assert_eq!((counts, &rule(&host)["mode"]), (vec![1, 2, 3], &"quarantined".into()));
    let alert = format!("the alert at log position 1, device {LOND_DEVICE}, code 8F35, does it alone");
    let look = |host: &Host| {
        let rule = rule(host);
        assert!(rule["last_fault"].as_str().is_some_and(|fault| fault.contains(&alert)), "{rule}");
        assert_eq!(rule["fault_count"], 3);
        let newest = host.json(["rule", "history", "bad", "--json"]).remove(0);
        let why = newest["why"].as_str().unwrap();
        assert!(why.starts_with("quarantined for 3600 s: 3 calls failed") && why.contains(&alert), "{why}");
    };
    look(&host);
    assert_eq!(host.stop(), Some(0));
    let host = Host::start_with(BINARY, &data, &settings);
    look(&host);
    host.kill();
    let host = Host::start_with(BINARY, &data, &settings);
    look(&host);
    // Another rule of that name begins with a clean slate.
    host.json(["rule", "remove", "bad", "--json"]);
    host.json(["rule", "set", "bad", "--plugin", "hostile", "--parameters", r#"{"do":"none"}"#, "--json"]);
    assert_eq!((&rule(&host)["fault_count"], &rule(&host)["last_fault"]), (&0.into(), &"".into()));
    assert_eq!(host.stop(), Some(0));
}
