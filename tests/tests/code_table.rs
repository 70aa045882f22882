//! The table of alert codes through the real binary: what a host says of codes, corrections that leave what was logged as it
//! was, and which codes no rule can hold back.

use std::{fs, path::Path};

use serde_json::{Value, json};
use weir_tests::host::{self, Host, KEEPS_ALL};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const STORM: &str = r#"{"more_than":2,"window_s":14400,"period_s":7200}"#;

fn shown(host: &Host, arguments: &[&str]) -> String {
    let output = host.weir(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn code(host: &Host, code: &str, more: &[&str]) -> Value {
    host.json([&["code", "show", code, "--json"], more].concat()).remove(0)
}

#[test]
fn all_about_a_code_is_told_by_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, &folder.path().join("data"));
    let voltage = code(&host, "8f40", &[]);
    assert_eq!(
        voltage,
        json!({
            "code": "8F40", "name": "voltage alert (SMETS1)", "family": "voltage", "owner": "network-operator",
            "is_critical": true, "is_protected": false, "unit": "dv", "plausible_min": 1000, "plausible_max": 4000,
            "pair": null, "edge": null, "descriptions": [], "source": "opsg", "is_known": true,
            "note": "in no public table of GBCS; a voltage alert of SMETS1 meters by the minutes alone; the limit is \
                     counted in tenths of a volt",
        })
    );
    for protected in ["AD1", "8F36", "8F57", "8F75"] {
        assert_eq!(code(&host, protected, &[])["is_protected"], true, "{protected}");
    }
    assert_eq!(code(&host, "8F2C", &[])["is_critical"], false, "it begins with 8F, and travels with a MAC");
    let tilt = code(&host, "81C3", &[]);
    assert_eq!((&tilt["pair"], &tilt["edge"]), (&"81C2".into(), &"raise".into()));
    let of_dcc = code(&host, "N17", &[]);
    assert_eq!((&of_dcc["name"], &of_dcc["is_known"]), (&Value::Null, &true.into()));
    assert!(shown(&host, &["code", "show", "N17"]).contains("no public name"));
    assert_eq!(code(&host, "1234", &[])["is_known"], false);
    let own = host.weir(["code", "show", "8F40", "--code-table", "own.csv"]);
    let said = String::from_utf8(own.stderr).unwrap();
    assert!(said.contains("--code-table own.csv: not read") && said.contains("--local"), "{said}");

    let all = host.json(["code", "list", "--json"]);
    assert_eq!(all.len(), 256);
    let mine = host.json(["code", "list", "--owner", "network-operator", "--protected", "--json"]);
    let mine: Vec<&str> = mine.iter().map(|row| row["code"].as_str().unwrap()).collect();
    assert_eq!(mine, ["8F35", "8F36", "8F37", "8F38", "8F39", "8F3A", "8F3B", "8F3C", "AD1"]);
    let table = shown(&host, &["code", "list"]);
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    assert_eq!(host.json(["code", "list", "--local", "--json"]), all, "the host goes by the table of this program");
    let wrong = host.weir(["code", "show", "8F4O"]);
    assert_eq!(wrong.status.code(), Some(64));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("did you mean \"8F40\"?"));
    assert_eq!(host.stop(), Some(0));
}

fn send(host: &Host, folder: &Path, counter: u32) {
    let text = format!("device,counter,code,measurement\n00-DB-12-34-56-78-90-A0,{counter},E001,90\n");
    host.json(["alert", "send", &host::file(folder, "alerts.csv", &text), "--json"]);
}

#[test]
fn a_corrected_table_leaves_what_was_logged_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = |text: &str| host::file(folder.path(), "codes.csv", text);
    let start = |file: &str| Host::start_with(BINARY, &data, &[("WEIR_CODE_TABLE", file)]);

    let table = file("code,name,unit,min,max\nE001,join requested,s,30,3600\n8F36,power is back,,,\n");
    let host = start(&table);
    // Nothing is logged under the table of a group of which every alert was rejected.
    let bad = host::file(folder.path(), "bad.csv", "device,code\nx,8F36\n");
    assert_eq!(host.weir(["alert", "send", &bad]).status.code(), Some(64));
    assert_eq!(host.stop(), Some(0));
    let table = file("code,name,unit,min,max\nE001,join asked for,s,30,3600\n8F36,power is back,,,\n");
    let host = start(&table);
    send(&host, folder.path(), 1);
    let line = |host: &Host| shown(host, &["alert", "list"]);
    assert!(line(&host).contains("E001 join asked for") && line(&host).contains("90 s"), "{}", line(&host));
    assert_eq!(code(&host, "8F36", &[])["name"], "power is back");
    assert_eq!(code(&host, "8F36", &[])["owner"], "network-operator", "the rest of the row is as it was");
    assert_eq!(host.stop(), Some(0));

    // Minutes after all. A kill, so that what is told is what a commit holds.
    let table = file("code,name,unit,min,max,description\nE001,join asked for,min,1,60,Join wanted\n");
    let host = start(&table);
    send(&host, folder.path(), 2);
    let host = host.kill_and_restart(&data, &[("WEIR_CODE_TABLE", table.as_str())]);
    let listed = line(&host);
    let measured: Vec<&str> = ["90 s", "90 min"].into_iter().filter(|text| listed.contains(text)).collect();
    assert_eq!(measured, ["90 s", "90 min"], "{listed}");
    let rows = host.json(["alert", "list", "--json"]);
    let positions: Vec<String> = rows.iter().map(|row| row["position"].to_string()).collect();
    let beyond = host.weir(["code", "show", "E001", "--at", "99999"]);
    assert_eq!((beyond.status.code(), beyond.stdout.len()), (Some(64), 0), "no alert is there yet");
    let said = String::from_utf8(beyond.stderr).unwrap();
    assert!(said.contains("--at: no alert has position 99999 yet; the next one gets 3"), "{said}");
    for (position, (unit, other)) in positions.iter().zip([("s", "min"), ("min", "s")]) {
        let explained = shown(&host, &["alert", "explain", position]);
        let has = |unit: &str| explained.contains(&format!("90 {unit} "));
        assert!(has(unit) && !has(other), "{explained}");
        assert_eq!(code(&host, "E001", &["--at", position])["unit"], unit);
    }
    assert_eq!(code(&host, "E001", &[])["descriptions"], json!(["Join wanted"]));
    assert_eq!(code(&host, "8F36", &[])["name"], "supply restored after 3 minutes or more");
    let remarks: Vec<Value> = rows.iter().map(|row| row["remarks"].clone()).collect();
    assert_eq!(remarks, [json!([]), json!(["implausible"])], "each by the bounds of its own table");
    // What one's own file says of names goes over the host's.
    let own = host::file(folder.path(), "own.csv", "code,name\nE001,our word\n");
    assert!(shown(&host, &["alert", "list", "--code-table", &own]).contains("E001 our word"));
    assert_eq!(host.stop(), Some(0));
}

/// A SMETS1 alert that states a description and no code.
fn described(folder: &Path, description: &str) -> String {
    let text = format!(
        "<SMETS1Response><Header><BusinessOriginatorID>02-00-5E-10-00-00-A0-14</BusinessOriginatorID><OriginatorCounter>1\
         </OriginatorCounter></Header><Body><DeviceAlertMessage><DeviceAlertContent><AlertDescription>{description}\
         </AlertDescription></DeviceAlertContent></DeviceAlertMessage></Body></SMETS1Response>\n"
    );
    host::file(folder, "smets1.xml", &text)
}

#[test]
fn what_is_sent_is_read_and_checked_as_the_host_does() {
    let folder = tempfile::tempdir().unwrap();
    let table = "code,name,unit,min,max,description\nE001,join asked for,s,30,3600,Join wanted\n";
    let table = host::file(folder.path(), "codes.csv", table);
    let settings = [("WEIR_CODE_TABLE", table.as_str()), ("WEIR_INTAKE__WEIGHT_MAX", "10"), KEEPS_ALL];
    let host = Host::start_with(BINARY, &folder.path().join("data"), &settings);
    // The client has neither the file nor the variable: it asks.
    let file = described(folder.path(), "Join wanted");
    let run = |arguments: &[&str]| {
        let output =
            host.command([&["alert", "send", "--json"], arguments].concat()).env_remove("WEIR_CODE_TABLE").output();
        let output = output.unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        (found, String::from_utf8(output.stderr).unwrap())
    };
    let (found, said) = run(&[&file, "--dry-run"]);
    assert_eq!((&found["by_code"][0]["code"], &found["checked_by"]), (&"E001".into(), &"host".into()), "{said}");
    assert_eq!(said, "");
    let (found, said) = run(&[&file, "--dry-run", "--local"]);
    assert_eq!((&found["unreadable_count"], &found["checked_by"]), (&1.into(), &"defaults".into()));
    assert!(said.contains("no code is known for the description \"Join wanted\"") && !said.contains("note:"), "{said}");
    let (found, _) = run(&[&file, "--dry-run", "--local", "--code-table", &table]);
    assert_eq!(found["by_code"][0]["code"], "E001");
    let (found, said) = run(&[&file]);
    assert_eq!(found["balance"]["forwarded"], 1, "{said}");

    // Bounds are the host's, and so are its limits.
    let rows = "device,counter,code,measurement,weight\n02-00-5E-10-00-00-A0-15,1,E001,7,10\n\
                02-00-5E-10-00-00-A0-15,2,E001,90,11\n";
    let rows = host::file(folder.path(), "alerts.csv", rows);
    let counts = |found: &Value| {
        ["alert_count", "rejected_count", "implausible_count"].map(|name| found[name].as_u64().unwrap())
    };
    let (found, said) = run(&[&rows, "--dry-run"]);
    assert_eq!(counts(&found), [1, 1, 1], "{said}");
    assert!(said.contains("line 3: weight: 11 is not 1 to weight_max (10)"), "{said}");
    assert!(said.contains("line 2: measurement: 7 s is not plausible for E001 (30 to 3600 s)"), "{said}");
    let (found, _) = run(&[&rows, "--dry-run", "--local"]);
    assert_eq!(counts(&found), [2, 0, 0]);
    let (found, said) = run(&[&rows]);
    assert_eq!((&found["balance"]["rejected"], &found["implausible_count"]), (&1.into(), &1.into()), "{said}");
    assert!(said.contains("line 3: weight: 11 is not 1 to weight_max (10)"), "{said}");

    // Nobody there: a dry run goes by this program, and says so.
    let nobody = ["--server", "http://127.0.0.1:1"];
    let (found, said) = run(&[&[rows.as_str(), "--dry-run"], &nobody[..]].concat());
    assert_eq!((&found["alert_count"], &found["checked_by"]), (&2.into(), &"defaults".into()));
    let notes: Vec<&str> = said.lines().filter(|line| line.starts_with("note:")).collect();
    assert_eq!(notes.len(), 1, "{said}");
    assert!(
        notes[0].contains("read by the code table of this program (version ") && notes[0].contains("--local"),
        "{said}"
    );
    assert!(notes[0].contains("the host could not be reached: "), "{said}");

    let wrong = host.weir(["code", "list", "--family", "nosuch"]);
    assert_eq!((wrong.status.code(), wrong.stdout.len()), (Some(64), 0));
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(said.contains("--family: no code of the table has \"nosuch\"") && said.contains("voltage"), "{said}");
    let wrong = host.weir(["code", "list", "--owner", "suplier"]);
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("did you mean \"supplier\"?"));
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_family_is_that_of_the_table_an_alert_was_logged_under() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let send = |host: &Host, name: &str, counters: std::ops::Range<u32>| {
        let rows: String = counters
            .flat_map(|counter| {
                ["8F36", "8F40"].map(|code| format!("02-00-5E-10-00-00-A0-14,{counter},{code},2026-11-23T09:30:00Z\n"))
            })
            .collect();
        let text = format!("device,counter,code,received_at\n{rows}bad,1,8F36,2026-11-23T09:30:00Z\n");
        host.weir(["alert", "send", &host::file(folder.path(), name, &text)]);
    };
    let families = |host: &Host, by: &str| -> Vec<(String, u64, u64)> {
        let counted = host.json(["count", "--by", by, "--top", "0", "--json"]).remove(0);
        let rows = counted["rows"].as_array().unwrap();
        let number = |row: &Value, name: &str| row["balance"][name].as_u64().unwrap();
        let sum: u64 = rows.iter().map(|row| number(row, "received")).sum();
        assert_eq!(sum, number(&counted["total"], "received"), "{by}");
        let row = |row: &Value| {
            (row["family"].as_str().unwrap().to_owned(), number(row, "forwarded"), number(row, "duplicate"))
        };
        rows.iter().map(row).collect()
    };
    let host = Host::start_with(BINARY, &data, &[KEEPS_ALL]);
    send(&host, "one.csv", 0..5);
    let expected = [("", 0, 0), ("supply", 5, 0), ("voltage", 5, 0)];
    let named = |rows: &[(&str, u64, u64)]| -> Vec<(String, u64, u64)> {
        rows.iter().map(|(name, forwarded, duplicate)| ((*name).to_owned(), *forwarded, *duplicate)).collect()
    };
    assert_eq!(families(&host, "family"), named(&expected));
    assert_eq!(host.stop(), Some(0));

    // What is logged from here on is of another family; the copies among it too.
    let table = host::file(folder.path(), "codes.csv", "code,family\n8F36,outages\n");
    let settings = [("WEIR_CODE_TABLE", table.as_str()), KEEPS_ALL];
    let host = Host::start_with(BINARY, &data, &settings);
    send(&host, "two.csv", 3..8);
    let expected = [("", 0, 0), ("outages", 3, 2), ("supply", 5, 0), ("voltage", 8, 2)];
    assert_eq!(families(&host, "family"), named(&expected), "by the books");
    assert_eq!(families(&host, "family,recipient"), named(&expected), "by the log");
    let watched = host.weir(["count", "--by", "family", "--watch"]);
    assert!(String::from_utf8(watched.stderr).unwrap().contains("counted from the log"));
    let host = host.kill_and_restart(&data, &settings);
    assert_eq!(families(&host, "family"), named(&expected));
    assert_eq!(host.stop(), Some(0));
}

/// Five outages of one device, as the DCC tells of them.
fn outages(folder: &Path) -> String {
    let rows = (1..=5).map(|counter| format!("02-00-5E-10-00-00-C0-10,{counter},AD1\n"));
    host::file(folder, "outages.csv", &format!("device,counter,code\n{}", rows.collect::<String>()))
}

fn balance(row: &Value) -> [u64; 3] {
    ["received", "forwarded", "suppressed"].map(|end| row["balance"][end].as_u64().unwrap())
}

#[test]
fn no_rule_holds_back_power_outages_unless_the_host_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = outages(folder.path());
    let storm = ["rule", "set", "storm", "--plugin", "storm", "--parameters", STORM];
    let start = |name: &str, settings: &[(&str, &str)]| {
        let host = Host::start_with(BINARY, &folder.path().join(name), settings);
        shown(&host, &["plugin", "push", env!("WEIR_GUEST_STORM")]);
        shown(&host, &storm);
        host
    };
    let host = start("protected", &[KEEPS_ALL]);
    let sent = host.json(["alert", "send", &file, "--json"]).remove(0);
    assert_eq!(balance(&sent), [5, 5, 0]);
    let counted = host.json(["count", "--by", "code", "--json"]).remove(0);
    assert_eq!(counted["total"]["overruled"], 3, "what the rule wanted is on record");
    // The same as documents, whoever is taken for their device.
    let documents = concat!(env!("CARGO_MANIFEST_DIR"), "/cases/outages-of-twelve-hubs.xml");
    let sent = host.json(["alert", "send", documents, "--json"]).remove(0);
    assert_eq!(balance(&sent), [12, 12, 0]);
    assert_eq!(host.stop(), Some(0));

    let host = start("not-protected", &[("WEIR_PROTECTED_CODES", "[\"8F36\"]")]);
    assert_eq!(balance(&host.json(["alert", "send", &file, "--json"]).remove(0)), [5, 2, 3]);
    assert_eq!(code(&host, "AD1", &[])["is_protected"], false);
    assert_eq!(host.stop(), Some(0));
}

/// Four outages that the DCC kept for two days.
#[test]
fn alerts_are_shown_and_found_by_when_they_occurred_were_passed_on_and_were_received() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, &folder.path().join("data"), &[KEEPS_ALL]);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/cases/redelivered.csv");
    let sent = host.json(["alert", "send", file, "--json"]).remove(0);
    assert_eq!(balance(&sent), [4, 4, 0]);
    for text in [shown(&host, &["alert", "list"]), shown(&host, &["alert", "explain", "0"])] {
        let lines: Vec<&str> = text.lines().collect();
        let of = |name: &str, time: &str| lines.iter().any(|line| line.contains(name) && line.contains(time));
        assert!(of("occurred", "2026-11-21T00:15:00Z"), "{text}");
        assert!(of("passed on", "2026-11-21T00:16:00Z"), "{text}");
        assert!(of("received", "2026-11-23T10:00:00Z"), "{text}");
        assert!(lines.iter().all(|line| line.chars().count() <= 120), "{text}");
    }
    let found = |arguments: &[&str]| {
        let rows = host.json([&["alert", "list", "--json"], arguments].concat());
        rows.iter().map(|row| row["position"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(found(&["--occurred-since", "2026-11-21", "--occurred-until", "2026-11-22"]), [0, 1, 2, 3]);
    assert_eq!(found(&["--occurred-since", "2026-11-21T02:15:00Z"]), [2, 3]);
    assert_eq!(found(&["--occurred-until", "2026-11-21T01:15:00Z"]), [0]);
    assert_eq!(found(&["--dcc-since", "2026-11-21T01:16:00Z", "--dcc-until", "2026-11-21T02:16:00Z"]), [1]);
    assert_eq!(found(&["--since", "2026-11-23T10:00:02Z"]), [2, 3]);
    assert_eq!(found(&["--since", "2026-11-23T10:00:02Z", "--occurred-until", "2026-11-21T03:00:00Z"]), [2]);
    assert_eq!(found(&["--since", "2026-11-21", "--until", "2026-11-22"]), [0; 0], "by receipt there is none");
    let told = host.weir(["alert", "list", "--since", "2026-11-21", "--until", "2026-11-22"]);
    assert!(String::from_utf8(told.stderr).unwrap().contains("--occurred-since"));
    let wrong = host.weir(["alert", "list", "--dcc-since", "2026-11-22", "--dcc-until", "2026-11-21"]);
    assert_eq!(wrong.status.code(), Some(64));
    assert!(
        String::from_utf8(wrong.stderr).unwrap().contains("--dcc-until: 2026-11-21T00:00:00Z is not after --dcc-since")
    );
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_quarantined_rule_shows_the_alert_that_made_it_fail_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let settings = [("WEIR_PLUGINS__QUARANTINE_MS_MIN", "600000")];
    let host = Host::start_with(BINARY, &data, &settings);
    shown(&host, &["plugin", "push", env!("WEIR_GUEST_HOSTILE")]);
    let trap = r#"{"do":"trap","code":"8F35"}"#;
    shown(&host, &["rule", "set", "bad", "--plugin", "hostile", "--parameters", trap]);
    for number in 1..=3 {
        let file = format!("{}/cases/fault-alerts-{number}.csv", env!("CARGO_MANIFEST_DIR"));
        shown(&host, &["alert", "send", &file]);
    }
    let names_it = |text: &str| text.contains("position 1") && text.contains("8F35");
    let look = |host: &Host| {
        let rule = host.json(["rule", "list", "--json"]).remove(0);
        assert_eq!((&rule["mode"], &rule["fault_count"]), (&"quarantined".into(), &3.into()), "{rule}");
        assert!(names_it(rule["last_fault"].as_str().unwrap()), "{rule}");
        let why = host.json(["rule", "history", "bad", "--json"]).remove(0)["why"].clone();
        assert!(names_it(why.as_str().unwrap()), "{why}");
        let table = shown(host, &["rule", "list"]);
        assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    };
    look(&host);
    let host = host.kill_and_restart(&data, &settings);
    look(&host);
    assert_eq!(host.stop(), Some(0));
}

/// Tables that are asked for into a pipe, as many of them as a host has something to say of.
#[test]
fn tables_fit_120_columns() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, &folder.path().join("data"), &[KEEPS_ALL]);
    shown(&host, &["plugin", "push", env!("WEIR_GUEST_STORM")]);
    shown(
        &host,
        &["rule", "set", "storm", "--plugin", "storm", "--parameters", STORM, "--why", &"a reason ".repeat(20)],
    );
    let model = "m".repeat(60);
    let devices = format!("eui,mpxn,generation,model\n02-00-5E-10-00-00-A0-3C,1200000005000,smets1,{model}\n");
    shown(&host, &["device", "load", &host::file(folder.path(), "devices.csv", &devices)]);
    shown(&host, &["alert", "send", concat!(env!("CARGO_MANIFEST_DIR"), "/cases/redelivered.csv")]);
    let asked: [&[&str]; 11] = [
        &["alert", "list"],
        &["alert", "explain", "0"],
        &["count", "--by", "code,rule,operator,generation,model,day"],
        &["rule", "list"],
        &["rule", "history", "storm"],
        &["plugin", "list"],
        &["code", "show", "8F40", "8F75"],
        &["device", "show", "02-00-5E-10-00-00-A0-3C"],
        &["producer", "list"],
        &["audit", "list"],
        &["host", "status"],
    ];
    for arguments in asked {
        let text = shown(&host, arguments);
        let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 120).collect();
        assert!(wide.is_empty(), "{arguments:?}: {wide:#?}");
    }
    assert_eq!(host.stop(), Some(0));
    let _ = fs::remove_dir_all(folder.path());
}
