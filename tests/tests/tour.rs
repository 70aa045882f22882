//! The commands by hand, through the real binary: what the README's tour shows, and its exit codes.

use std::{fs, process::Command};

use serde_json::Value;
use weir_tests::{
    host::{self, Host},
    typed,
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

const DEVICES: &str = "\
eui,mpxn,generation,model
00-DB-12-34-56-78-90-A0,1000000000012,smets1,Alpha-1
00-DB-12-34-56-78-90-A1,1400000000010,smets2,Beta-2
";

const ALERTS: &str = "\
device,counter,code,received_at,measurement_dv,voltage_v
00-DB-12-34-56-78-90-A0,1,8F40,2026-11-01T10:15:00Z,2550,
00-DB-12-34-56-78-90-A0,2,8F40,2026-11-01T10:16:00Z,,258.0
00-DB-12-34-56-78-90-A0,2,8F40,2026-11-01T10:16:00Z,,258.0
00-DB-12-34-56-78-90-A0,3,8014,2026-11-01T10:17:00Z,,
00-DB-12-34-56-78-90-A1,1,8014,2026-11-01T11:00:00Z,,
00-DB-12-34-56-78-90-A1,2,8F36,2026-11-01T11:01:00Z,,
not-an-eui,2,8F36,2026-11-01T11:01:00Z,,
";

struct Tour {
    host: Host,
    folder: tempfile::TempDir,
}

impl Tour {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::start(BINARY, &folder.path().join("data"));
        Self { host, folder }
    }

    fn file(&self, name: &str, text: &str) -> String {
        host::file(self.folder.path(), name, text)
    }

    fn exit_code(&self, arguments: &[&str]) -> i32 {
        self.host.weir(arguments).status.code().unwrap()
    }
}

fn ends(row: &Value) -> [u64; 5] {
    let balance = &row["balance"];
    ["received", "forwarded", "suppressed", "rejected", "duplicate"].map(|end| balance[end].as_u64().unwrap())
}

#[test]
fn the_readme_shows_what_is_printed() {
    let page = include_str!("../../README.md");
    let tour = page.split("\n## ").find(|part| part.starts_with("A tour")).expect("there is a tour");
    // What comes before is the building, and the host that is here already.
    let steps: Vec<_> = typed::steps(tour).into_iter().skip_while(|step| !step.command.contains(" push ")).collect();
    let Tour { host, folder } = Tour::new();
    let plugins = folder.path().join("target/plugins");
    fs::create_dir_all(&plugins).unwrap();
    fs::copy(env!("WEIR_GUEST_THRESHOLD"), plugins.join("threshold.wasm")).unwrap();
    assert_eq!(typed::run(folder.path(), (BINARY, &host.url), &steps), 3, "commands whose answers are shown");
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_tour_of_rules_and_books() {
    let tour = Tour::new();
    let host = &tour.host;
    for plugin in [env!("WEIR_GUEST_THRESHOLD"), env!("WEIR_GUEST_MATCH")] {
        host.json(["plugin", "push", plugin, "--json"]);
    }
    let threshold = r#"{"codes":["8F40"],"below_dv":2580}"#;
    host.json([
        "rule",
        "set",
        "voltage",
        "--plugin",
        "threshold",
        "--parameters",
        threshold,
        "--code",
        "8F40",
        "--json",
    ]);
    let matching = r#"{"codes":["8014"]}"#;
    host.json([
        "rule",
        "set",
        "power-factor",
        "--plugin",
        "match",
        "--parameters",
        matching,
        "--generation",
        "smets1",
        "--json",
    ]);
    let loaded = host.json(["device", "load", &tour.file("devices.csv", DEVICES), "--json"]);
    assert_eq!(loaded[0]["added"], 2);

    let sent = host.weir(["alert", "send", &tour.file("alerts.csv", ALERTS), "--json"]);
    assert_eq!(sent.status.code(), Some(64), "one line is bad");
    let errors = String::from_utf8(sent.stderr).unwrap();
    assert!(errors.contains("line 8: device:"), "{errors}");
    let sent: Value = serde_json::from_slice(&sent.stdout).unwrap();
    assert_eq!(ends(&sent), [7, 3, 2, 1, 1]);

    let total = host.json(["count", "--json"]).remove(0);
    assert_eq!(ends(&total["total"]), [7, 3, 2, 1, 1]);
    let by_code =
        host.json(["count", "--by", "code,operator", "--since", "2026-11-01", "--until", "2026-11-02", "--json"]);
    assert_eq!(by_code[0]["rows"].as_array().unwrap().len(), 4);

    let suppressed = host.json(["alert", "list", "--suppressed", "--json"]);
    let reasons: Vec<&Value> = suppressed.iter().map(|alert| &alert["rule"]["name"]).collect();
    assert_eq!(reasons, ["voltage", "power-factor"]);
    assert_eq!(suppressed[0]["rule"]["reason"], "below-limit");
    assert_eq!(suppressed[0]["rule"]["parameters"], threshold);
    assert_eq!(suppressed[0]["rule"]["plugin_digest"].as_str().unwrap().len(), 64);
    assert_eq!(suppressed[0]["model"], "Alpha-1");

    let device = host.json(["device", "show", "00db1234567890a0", "--json"]).remove(0);
    assert_eq!(device["balance"]["received"], 4);
    assert_eq!(host.json(["plugin", "list", "--json"]).len(), 2);
    assert_eq!(host.json(["rule", "list", "--json"]).len(), 2);
    assert_eq!(tour.exit_code(&["rule", "remove", "voltage"]), 0);
    assert_eq!(host.json(["rule", "list", "--json"]).len(), 1);
    assert_eq!(tour.host.stop(), Some(0));
}

#[test]
fn what_was_kept_is_there_after_a_stop() {
    let tour = Tour::new();
    tour.host.json(["plugin", "push", env!("WEIR_GUEST_STORM"), "--json"]);
    let storm = r#"{"more_than":1,"window_s":3600,"period_s":3600,"exclude_codes":[]}"#;
    tour.host.json(["rule", "set", "storm", "--plugin", "storm", "--parameters", storm, "--json"]);
    tour.host.weir(["alert", "send", &tour.file("alerts.csv", ALERTS)]);
    let asked: [&[&str]; 3] = [
        &["alert", "list", "--json"],
        &["count", "--by", "code,rule,hour", "--json"],
        &["device", "show", "00db1234567890a0", "--json"],
    ];
    let ask = |host: &Host| asked.map(|arguments| host.json(arguments));
    let before = ask(&tour.host);
    assert!(before[2][0]["states"].as_array().is_some_and(|states| !states.is_empty()), "{:?}", before[2]);
    let Tour { host, folder } = tour;
    assert_eq!(host.stop(), Some(0));
    let host = Host::start(BINARY, &folder.path().join("data"));
    assert_eq!(ask(&host), before);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn exit_codes_say_whose_fault_it_is() {
    let tour = Tour::new();
    assert_eq!(tour.exit_code(&["--help"]), 0);
    assert_eq!(tour.exit_code(&["rule", "list"]), 0);
    assert_eq!(tour.exit_code(&["rule", "lst"]), 64);
    assert_eq!(tour.exit_code(&["rule", "remove", "nobody"]), 64);
    assert_eq!(tour.exit_code(&["device", "show", "zz"]), 64);
    assert_eq!(tour.exit_code(&["plugin", "push", "/nowhere.wasm"]), 64);
    assert_eq!(tour.exit_code(&["--server", "http://127.0.0.1:1", "rule", "list"]), 69);
    let data = tour.folder.path().join("data");
    let second = ["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
    assert_eq!(tour.exit_code(&second), 64, "the store is locked by the first host");
    assert_eq!(tour.exit_code(&["serve", "--config", "/nowhere.toml"]), 64);
}

/// A GBCS alert without a MAC wrapper, signed, DLMS: the layout of a generic critical alert.
fn gbcs(counter: u64, code: u16) -> String {
    let mut bytes = vec![0xDF, 0x09, 0x03];
    bytes.extend(counter.to_be_bytes());
    for party in [0x00DB_1234_5678_90A0_u64, 0x90B3_D51F_3002_0000] {
        bytes.push(8);
        bytes.extend(party.to_be_bytes());
    }
    bytes.extend([0x00, 0x02, 0x10, 0x00]);
    let mut payload = vec![0x0F, 0x20, 0, 0, counter as u8 & 7, 0x00, 0x02, 0x02, 0x12];
    payload.extend(code.to_be_bytes());
    payload.extend([0x09, 0x0C, 0x07, 0xEA, 11, 1, 0xFF, 10, 15, 0, 0, 0x80, 0x00, 0xFF]);
    bytes.push(payload.len() as u8);
    bytes.extend(payload);
    bytes.push(0x40);
    bytes.extend([0xAB; 64]);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn gbcs_messages_in_hex_become_alerts() {
    let tour = Tour::new();
    let text = format!("# three messages\n{}\n{}\n{}\n", gbcs(1, 0x8F40), gbcs(2, 0x8F3F), gbcs(1, 0x8F40));
    let sent = tour.host.json(["alert", "send", &tour.file("alerts.hex", &text), "--format", "gbcs-hex", "--json"]);
    assert_eq!(ends(&sent[0]), [3, 2, 0, 0, 1]);
    let alerts = tour.host.json(["alert", "list", "--json"]);
    assert_eq!(alerts[1]["alert"]["code"], "8F3F");
    assert_eq!(alerts[1]["alert"]["device_id"], "00-DB-12-34-56-78-90-A0");
}

#[test]
fn every_real_message_passes_a_real_host() {
    let Ok(path) = std::env::var("WEIR_RTDS") else {
        println!("WEIR_RTDS is not set: no real messages to send");
        return;
    };
    let names: Vec<String> = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .skip(1)
        .filter_map(|line| line.split('\t').next().map(str::to_owned))
        .collect();
    assert!(!names.is_empty(), "{path} has messages");
    let tour = Tour::new();
    let sent = tour.host.json(["alert", "send", &path, "--format", "gbcs-hex", "--json"]);
    let [received, forwarded, suppressed, rejected, duplicate] = ends(&sent[0]);
    assert_eq!((received, suppressed, rejected), (names.len() as u64, 0, 0));
    assert_eq!(forwarded + duplicate, received);
    let alerts = tour.host.json(["alert", "list", "--limit", "10000", "--json"]);
    assert_eq!(alerts.len(), names.len());
    for (name, alert) in names.iter().zip(&alerts) {
        let code = alert["alert"]["code"].as_str().unwrap();
        let stated =
            name.split('_').find(|part| part.len() == 4 && part.starts_with('8') && part.parse::<u64>().is_err());
        assert!(stated.is_none_or(|stated| stated == code), "{name}: {code}");
    }
}

#[test]
fn a_shell_and_man_know_every_command() {
    let weir = |arguments: &[&str]| {
        let output = Command::new(BINARY).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let help = weir(&["--help"]);
    let commands = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap().lines().skip(1);
    let commands: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.len() > 10, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = weir(&["completions", shell]);
        let missing: Vec<_> = commands.iter().filter(|command| !script.contains(*command)).collect();
        assert!(missing.is_empty() && script.contains("time-zone"), "{shell}: {missing:?}");
        assert!(!script.contains("compile-worker"), "{shell} proposes what nobody types");
    }
    assert!(weir(&["man"]).contains(".TH weir 1"));
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    assert_eq!(weir(&["man", "--dir", pages.to_str().unwrap()]), "");
    for command in commands.iter().filter(|command| **command != "help") {
        let page = fs::read_to_string(pages.join(format!("weir-{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
    }
    assert!(pages.join("weir-alert-send.1").exists() && !pages.join("weir-compile-worker.1").exists());
}

#[test]
fn what_is_shown_is_plain_in_utc_unless_somebody_says_otherwise() {
    let tour = Tour::new();
    let summer = "device,counter,code,received_at\n00-DB-12-34-56-78-90-A0,1,8F40,2026-07-25T17:20:00Z\n";
    tour.host.json(["alert", "send", &tour.file("alerts.csv", summer), "--json"]);
    let shown = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = Command::new(BINARY);
        command.args(arguments).env("WEIR_SERVER", &tour.host.url).stdin(std::process::Stdio::null());
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "WEIR_TIME_ZONE"] {
            command.env_remove(name);
        }
        let output = command.envs(variables.iter().copied()).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let plain = shown(&["alert", "list"], &[]);
    assert!(plain.contains("2026-07-25T17:20:00Z") && !plain.contains('\u{1b}'), "{plain}");
    assert!(plain.lines().all(|line| line.starts_with(['|', '+'])), "nothing but a table: {plain}");
    for arguments in [&["rule", "lst"][..], &["rule", "remove", "nobody"], &["--help"]] {
        assert!(!shown(arguments, &[]).contains('\u{1b}'), "{arguments:?} into a pipe");
        assert!(shown(&[arguments, &["--color", "always"]].concat(), &[]).contains('\u{1b}'), "{arguments:?}");
        let never = [arguments, &["--color=never"]].concat();
        assert!(!shown(&never, &[("CLICOLOR_FORCE", "1")]).contains('\u{1b}'), "{arguments:?}");
    }
    assert!(shown(&["count", "--color", "always"], &[]).contains("\u{1b}[1m| "));
    assert!(shown(&["count"], &[("CLICOLOR_FORCE", "1")]).contains('\u{1b}'));
    assert!(!shown(&["alert", "list", "--json", "--color", "always"], &[]).contains('\u{1b}'));

    let system = std::path::Path::new("/usr/share/zoneinfo/Europe/London").exists();
    if system {
        let london = shown(&["alert", "list"], &[("WEIR_TIME_ZONE", "Europe/London")]);
        assert!(london.contains("2026-07-25T18:20:00+01:00"), "{london}");
        let mistyped = shown(&["alert", "list", "--time-zone", "Europe/Lodon"], &[]);
        assert!(mistyped.contains("did you mean \"Europe/London\"?"), "{mistyped}");
        let json = shown(&["alert", "list", "--time-zone", "Europe/London", "--json"], &[]);
        assert_eq!(json, shown(&["alert", "list", "--json"], &[]));
    }
    let nowhere = shown(&["alert", "list", "--time-zone", "Mars/Olympus"], &[]);
    assert!(nowhere.contains("expected utc, local, or a zone"), "{nowhere}");
}

#[test]
fn a_name_that_is_mistyped_is_told_the_near_one() {
    let tour = Tour::new();
    tour.host.json(["plugin", "push", env!("WEIR_GUEST_MATCH"), "--json"]);
    tour.host.json([
        "rule",
        "set",
        "power-factor",
        "--plugin",
        "match",
        "--parameters",
        r#"{"codes":["8014"]}"#,
        "--json",
    ]);
    tour.host.json(["device", "load", &tour.file("devices.csv", DEVICES), "--json"]);
    for (line, near) in [
        ("rule remove power_factor", "power-factor"),
        ("rule history powerfactor", "power-factor"),
        ("alert list --rule power-facter", "power-factor"),
        ("count --rule powr-factor", "power-factor"),
        ("rule set a --plugin mtach --parameters {}", "match"),
        ("plugin show macth", "match"),
        ("whatif run --rule power-factr", "power-factor"),
        ("alert list --code 8F4O", "8F40"),
        ("alert list --operator LODN", "LOND"),
        ("alert list --generation smest1", "smets1"),
        ("device show 00-DB-12-34-56-78-90-AO", "00-DB-12-34-56-78-90-A0"),
        ("device show 00-DB-12-34-56-78-90-0A", "00-DB-12-34-56-78-90-A0"),
        ("rule lsit", "list"),
    ] {
        let output = tour.host.weir(line.split(' '));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{line}: {said}");
        assert!(said.contains(near) && (said.contains("did you mean") || said.contains("similar")), "{line}: {said}");
    }
}
