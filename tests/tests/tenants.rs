//! One tenant against another, through the real binary: whose code a name runs, what an operator is told of others, and
//! what a token may send.

use std::fs;

use serde_json::Value;
use weir_tests::{
    hostile::probe,
    tenants::{EAST_DEVICE, LOND_DEVICE, Two, create, weir},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

/// A plugin that works, under a name of somebody's choice.
fn named(name: &str) -> Vec<u8> {
    let length = format!("{:02x}", name.len());
    probe(&[
        (r#"(data (i32.const 16) "probe")"#, &format!(r#"(data (i32.const 1024) "{name}")"#)),
        (r#""\10\00\00\00\05\00\00\00\20"#, &format!(r#""\00\04\00\00\{length}\00\00\00\20"#)),
    ])
}

fn digest(rows: &[Value]) -> String {
    rows[0]["digest"].as_str().or(rows[0]["plugin"]["digest"].as_str()).unwrap().to_owned()
}

fn push(two: &Two, token: &str, name: &str, bytes: &[u8]) -> Result<Vec<Value>, String> {
    let path = two.folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    weir(&two.host, token, &["plugin", "push", path.to_str().unwrap()])
}

#[test]
fn a_plugin_named_like_a_digest_is_refused_and_no_name_brings_it_over_others() {
    let two = Two::new(BINARY);
    // The host's plugin, and operator 12 who has read its digest.
    let letter = |bytes: &Vec<u8>| ring_digest(bytes).starts_with(|c: char| c.is_ascii_lowercase());
    let hosts = (0..).map(|at| named(&format!("quiet-{at}"))).find(letter).unwrap();
    let wanted = digest(&push(&two, &two.admin, "hosts.wasm", &hosts).unwrap());
    for name in [wanted.as_str(), &wanted[..9], &wanted[..8], "deadbeef"] {
        let said = push(&two, &two.lond, "theirs.wasm", &named(name)).unwrap_err();
        assert!(said.contains("which reads as a digest"), "{name}: {said}");
    }
    assert!(push(&two, &two.lond, "short.wasm", &named("deadbee")).is_ok(), "seven digits are no digest");
    assert!(push(&two, &two.lond, "word.wasm", &named("deadbeef-1")).is_ok());

    // What only operator 12 has is not brought over the alerts of others by its name, and over its own it is.
    let set = |token: &str, name: &str, plugin: &str, scope: &[&str]| {
        let set = ["rule", "set", name, "--plugin", plugin, "--parameters", r#"{"codes":["8F42"]}"#];
        weir(&two.host, token, &[&set, scope].concat())
    };
    let theirs = digest(&two.admin(&["plugin", "show", "match"]));
    let said = set(&two.admin, "all-match", "match", &[]).unwrap_err();
    let words = format!("\"match\" is a plugin of other operators alone: {theirs} of operator 12; give the digest");
    assert!(said.contains(&words), "{said}");
    let said = set(&two.admin, "10-match", "match", &["--operator", "10"]).unwrap_err();
    assert!(said.contains(&words), "{said}");
    let said = weir(&two.host, &two.admin, &["whatif", "run", "--plugin", "match", "--parameters", "{}"]).unwrap_err();
    assert!(said.contains(&words), "{said}");
    let used = |rows: Vec<Value>| rows[0]["plugin_digest"].as_str().unwrap().to_owned();
    assert_eq!(used(set(&two.admin, "12-match", "match", &["--operator", "12"]).unwrap()), theirs);
    assert_eq!(used(set(&two.lond, "12-match-2", "match", &["--operator", "12"]).unwrap()), theirs);
    assert_eq!(used(set(&two.admin, "all-match", &theirs[..8], &[]).unwrap()), theirs, "a digest is meant");
    assert_eq!(two.host.stop(), Some(0));
}

fn ring_digest(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn how_a_rule_of_the_host_failed_names_no_device_of_another_operator() {
    let two = Two::new(BINARY);
    two.admin(&["plugin", "push", env!("WEIR_GUEST_HOSTILE")]);
    two.admin(&["rule", "set", "all-bad", "--plugin", "hostile", "--parameters", r#"{"do":"trap","code":"8F45"}"#]);
    // One batch: the alert that makes the rule fail is of operator 10, and those of 12 are beside it.
    let rows: String =
        [LOND_DEVICE, EAST_DEVICE].iter().map(|device| format!("{device},11,8F46\n{device},12,8F46\n")).collect();
    let alerts = format!("device,counter,code\n{rows}{EAST_DEVICE},13,8F45\n");
    two.admin(&["alert", "send", &two.file("bad.csv", &alerts), "--format", "csv"]);

    let rule = |token: &str| {
        let rules = weir(&two.host, token, &["rule", "list"]).unwrap();
        rules.into_iter().find(|rule| rule["name"] == "all-bad").unwrap()
    };
    let fault = rule(&two.admin)["last_fault"].as_str().unwrap().to_owned();
    assert!(fault.contains(&format!("device {EAST_DEVICE}, code 8F45, does it alone")), "{fault}");
    assert_eq!((&rule(&two.lond)["last_fault"], &rule(&two.lond)["fault_count"]), (&"trap".into(), &1.into()));
    // Nor by any other way to it.
    let lond = |arguments: &[&str]| weir(&two.host, &two.lond, arguments).unwrap();
    let listed = lond(&["alert", "list"]);
    let failed = listed.iter().find(|alert| alert["faults"].as_array().is_some_and(|faults| !faults.is_empty()));
    let position = failed.unwrap_or_else(|| panic!("{listed:?}"))["position"].to_string();
    for arguments in [&["alert", "list"][..], &["alert", "explain", &position], &["plugin", "list"], &["count"]] {
        let said = format!("{:?}", lond(arguments));
        assert!(!said.contains(EAST_DEVICE) && !said.contains("does it alone"), "{arguments:?}: {said}");
    }
    assert_eq!(two.host.stop(), Some(0));
}

#[test]
fn a_device_that_moved_tells_its_new_operator_nothing_of_the_time_before() {
    let two = Two::new(BINARY);
    two.admin(&["plugin", "push", env!("WEIR_GUEST_STORM")]);
    let storm = |token: &str, name: &str, scope: &[&str]| {
        let parameters = r#"{"more_than":1000,"window_s":86400,"period_s":60}"#;
        let set = ["rule", "set", name, "--plugin", "storm", "--parameters", parameters];
        weir(&two.host, token, &[&set, scope].concat()).unwrap();
    };
    storm(&two.lond, "12-storm", &["--operator", "12"]);
    storm(&two.admin, "all-storm", &[]);
    let send = |counters: std::ops::Range<u32>| {
        let rows: String = counters.map(|counter| format!("{LOND_DEVICE},{counter},8F47\n")).collect();
        let file = two.file("more.csv", &format!("device,counter,code\n{rows}"));
        two.admin(&["alert", "send", &file, "--format", "csv"]);
    };
    send(10..15);
    let show = |token: &str| weir(&two.host, token, &["device", "show", LOND_DEVICE]).unwrap().remove(0);
    let rules = |device: &Value| {
        let states = device["states"].as_array().unwrap().iter();
        let mut rules: Vec<String> = states.map(|state| state["rule"].as_str().unwrap().to_owned()).collect();
        rules.dedup();
        rules
    };
    let before = show(&two.lond);
    assert_eq!((&before["balance"]["received"], &before["counted_since_ms"]), (&8.into(), &Value::Null), "{before}");
    let mut seen = rules(&before);
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["12-storm", "all-storm"]);

    let moved = format!("eui,mpxn,generation,model,operator\n{LOND_DEVICE},,smets1,A,10\n");
    two.admin(&["device", "load", &two.file("moved.csv", &moved)]);
    send(20..22);
    let after = show(&two.east);
    assert_eq!(after["balance"]["received"], 2, "{after}");
    assert!(after["counted_since_ms"].as_i64().is_some_and(|ms| ms > 0), "{after}");
    assert_eq!(rules(&after), [] as [&str; 0], "{after}");
    let whole = show(&two.admin);
    assert_eq!((&whole["balance"]["received"], rules(&whole).len() >= 2), (&10.into(), true), "{whole}");
    // What the host's rule kept for it is of the alerts of both.
    let listed = weir(&two.host, &two.east, &["alert", "list", "--device", LOND_DEVICE]).unwrap();
    assert_eq!(listed.len(), 2);
    let position = listed[1]["position"].to_string();
    let explained = weir(&two.host, &two.east, &["alert", "explain", &position]).unwrap().remove(0);
    assert!(explained.to_string().contains("all-storm") && !explained.to_string().contains("12-"), "{explained}");
    let told = weir(&two.host, &two.admin, &["alert", "explain", &position]).unwrap().remove(0);
    let states = |explained: &Value| {
        let rules = explained["steps"].as_array().or(explained["rules"].as_array()).unwrap().iter();
        let of_storm = rules.filter(|step| step.to_string().contains("all-storm"));
        of_storm.map(|step| !step["state_after"].as_array().is_none_or(Vec::is_empty)).collect::<Vec<_>>()
    };
    assert_eq!((states(&explained), states(&told)), (vec![false], vec![true]), "{explained} {told}");

    // It is so after a restart, too.
    let Two { host, admin, lond, east, folder } = two;
    let host = host.kill_and_restart(&folder.path().join("data"), &[("WEIR_AUTHENTICATE", "true")]);
    let again = weir(&host, &east, &["device", "show", LOND_DEVICE]).unwrap().remove(0);
    assert_eq!((&again["balance"], &again["counted_since_ms"]), (&after["balance"], &after["counted_since_ms"]));
    assert!(weir(&host, &lond, &["device", "show", LOND_DEVICE]).is_err(), "it is not its any more");
    let moves = weir(&host, &admin, &["audit", "list", "--limit", "1000"]).unwrap();
    let moved: Vec<&Value> = moves.iter().filter(|entry| entry["action"] == "device.move").collect();
    assert_eq!(moved.len(), 1, "{moves:?}");
    assert_eq!((&moved[0]["subject"], &moved[0]["detail"]), (&LOND_DEVICE.into(), &"operator 12 to 10".into()));
    let loads: Vec<&str> = moves
        .iter()
        .filter(|entry| entry["action"] == "device.load")
        .map(|entry| entry["detail"].as_str().unwrap())
        .collect();
    assert!(loads[0].starts_with("2 added, 0 changed") && loads[1].starts_with("0 added, 1 changed: 1 of operator"));
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_token_that_sends_alerts_loads_no_devices_and_is_kept_to_its_operators_and_producers() {
    let two = Two::new(BINARY);
    let role = ["ingest", "--operators", "12", "--producers", "head-end-*,other"];
    let sender = create(&two.host, &two.admin, "head-end", &role);
    let listed = two.admin(&["token", "list"]);
    let listed = listed.iter().find(|token| token["name"] == "head-end").unwrap();
    assert_eq!((&listed["operators"], &listed["producers"]), (&[12].into(), &["head-end-*", "other"].into()));

    let nobodys = "00-0D-6F-00-00-00-00-77";
    let row = |device: &str, counter: u32| format!("{device},{counter},8F36\n");
    let rows = [row(LOND_DEVICE, 50), row(EAST_DEVICE, 50), row(nobodys, 50)].concat();
    let alerts = two.file("sent.csv", &format!("device,counter,code\n{rows}"));
    let send = |token: &str, producer: &[&str]| {
        weir(&two.host, token, &[&["alert", "send", &alerts, "--format", "csv"], producer].concat())
    };
    for (producer, words) in
        [(&[][..], "producer_id"), (&["--resume", "theirs"], "is not one that this token sends under")]
    {
        let said = send(&sender, producer).unwrap_err();
        let names_both = said.contains("head-end-*, other") && said.contains("--producer ID`, or --resume ID");
        assert!(said.contains(words) && names_both, "{producer:?}: {said}");
    }
    let said = send(&sender, &["--resume", "head-end-1"]).unwrap_err();
    assert!(said.contains("2 alerts were rejected by the server"), "the rest of the batch is taken: {said}");
    for device in [EAST_DEVICE, nobodys] {
        let words = format!("{device} is not in the inventory as a device of operator 12");
        assert!(said.contains(&words), "another's and nobody's in the same words: {said}");
    }
    let counted = two.admin(&["count", "--by", "rejection"]).remove(0);
    assert!(counted.to_string().contains("\"operator\""), "{counted}");
    let unknown = weir(&two.host, &two.admin, &["device", "show", nobodys]).unwrap_err();
    assert!(unknown.contains(nobodys), "a refused alert makes no device known: {unknown}");

    // Devices are loaded by whoever is to load them, and only their own.
    let devices = |device: &str, operator: u32| {
        two.file("load.csv", &format!("eui,mpxn,generation,model,operator\n{device},,smets2,B,{operator}\n"))
    };
    let said = weir(&two.host, &sender, &["device", "load", &devices(nobodys, 12)]).unwrap_err();
    assert!(said.contains("\"head-end\" in the role ingest may not call"), "{said}");
    let assets = create(&two.host, &two.admin, "assets", &["inventory", "--operators", "12"]);
    let load = |device: &str, operator| weir(&two.host, &assets, &["device", "load", &devices(device, operator)]);
    assert!(load(nobodys, 12).is_ok() && load(LOND_DEVICE, 12).is_ok());
    for (device, operator, words) in [
        (EAST_DEVICE, 12, "is of another, and this token loads devices of operator 12 alone"),
        (EAST_DEVICE, 10, "is of another"),
        (LOND_DEVICE, 10, "is to be of operator 10, and this token loads"),
        ("00-0D-6F-00-00-00-00-78", 10, "is to be of operator 10"),
    ] {
        let said = load(device, operator).unwrap_err();
        assert!(said.contains(words), "{device} {operator}: {said}");
    }
    assert!(weir(&two.host, &assets, &["alert", "send", &alerts, "--format", "csv"]).is_err());
    let said = send(&sender, &["--resume", "other"]).unwrap_err();
    assert!(said.contains("1 alert was rejected") && said.contains(EAST_DEVICE), "the new device is its now: {said}");
    for role in
        [&["reader", "--operators", "12"][..], &["inventory", "--producers", "a"], &["ingest", "--producers", "a b"]]
    {
        assert!(
            weir(&two.host, &two.admin, &[&["token", "create", "no", "--role"], role].concat()).is_err(),
            "{role:?}"
        );
    }
    assert_eq!(two.host.stop(), Some(0));
}

#[test]
fn a_text_of_a_caller_cannot_be_shown_as_another_than_it_is() {
    let two = Two::new(BINARY);
    let turned = "\u{202e}0408";
    let parameters = format!(r#"{{"codes":["8F41"],"x{turned}":1}}"#);
    let refused: [(&[&str], &str); 6] = [
        (
            &["whatif", "run", "--rule", "all-amps", "--sweep", "below_dv=1..2", "--name", turned],
            "name: has the control",
        ),
        (&["whatif", "run", "--rule", "all-amps", "--parameters", &parameters], "has the control character"),
        (&["rule", "remove", "all-amps", "--why", turned], "why: has the control character"),
        (&["token", "create", turned, "--role", "reader"], "name: "),
        (&["rule", "set", "all-amps", "--plugin", "threshold", "--parameters", "{}", "--model", turned], "control"),
        (&["plugin", "revoke", "threshold", "--why", turned], "why: has the control character"),
    ];
    for (arguments, words) in refused {
        let said = weir(&two.host, &two.admin, arguments).unwrap_err();
        assert!(said.contains(words) && !said.contains('\u{202e}'), "{arguments:?}: {said}");
    }
    assert_eq!(two.host.stop(), Some(0));
}
