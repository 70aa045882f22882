//! A rule author's way through the real binary: a new package, its unit tests, a component, a sample, a host.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use weir_tests::host::Host;

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const HOSTILE: &str = env!("WEIR_GUEST_HOSTILE");

/// A folder that cargo compiles in: kept, so that what does not change is compiled once.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Runs a command without a server, and without a network: all crates came with the workspace's own.
fn weir(arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    // A server that is asked all the same is not found.
    command.args(arguments).env("WEIR_SERVER", "http://127.0.0.1:1").env("CARGO_NET_OFFLINE", "true");
    command.stdin(Stdio::null()).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// What must succeed.
fn json_of(arguments: &[&str]) -> Vec<Value> {
    let output = weir(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    lines(&output)
}

/// What must fail by the caller's fault: its stderr.
fn refusal(arguments: &[&str]) -> String {
    let output = weir(arguments);
    assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stderr)
}

fn unit_tests(package: &Path) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--quiet", "--offline", "--target-dir"]).arg(kept("author-target"));
    let output = cargo.current_dir(package).output().unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("4 passed"), "{}", text(&output.stdout));
}

/// Outcome, reason and withheld count of each alert.
fn verdicts<'a>(alerts: impl Iterator<Item = &'a Value>) -> Vec<Value> {
    alerts.map(|alert| json!([alert["outcome"], alert["reason"], alert["withheld"]])).collect()
}

#[test]
fn from_an_empty_folder_to_a_host() {
    let package = kept("author");
    let _ = fs::remove_dir_all(&package);
    let path = |name: &str| package.join(name).to_str().unwrap().to_owned();
    let folder = package.to_str().unwrap();

    let made = json_of(&["plugin", "new", folder, "--name", "quiet-volts", "--json"]);
    assert_eq!(made[0]["name"], "quiet-volts");
    assert!(refusal(&["plugin", "new", folder]).contains("is not empty"));
    unit_tests(&package);
    let target = kept("author-target");
    let built = json_of(&["plugin", "build", folder, "--target-dir", target.to_str().unwrap(), "--json"]);
    let component = path("quiet-volts.wasm");
    assert_eq!(built[0]["name"], "quiet-volts");
    assert_eq!(fs::canonicalize(built[0]["file"].as_str().unwrap()).unwrap(), fs::canonicalize(&component).unwrap());

    let (sample, parameters) = (path("sample.csv"), format!("@{}", path("parameters.json")));
    let tried = json_of(&["plugin", "test", &component, &sample, "--parameters", &parameters, "--json"]);
    let rehearsed = verdicts(tried.iter().filter_map(|line| line.get("alert")));
    let forwarded = json!(["forwarded", null, 0]);
    let held = json!(["suppressed", "below-limit", 0]);
    let expected = [
        forwarded.clone(),
        held.clone(),
        json!(["duplicate", null, 0]),
        forwarded.clone(),
        forwarded.clone(),
        forwarded,
        held,
        json!(["forwarded", null, 2]),
    ];
    assert_eq!(rehearsed, expected);
    let summary = &tried.last().unwrap()["summary"];
    assert_eq!(summary["digest"], built[0]["digest"]);
    assert!((1..20_000).contains(&summary["fuel_per_alert"].as_u64().unwrap()), "{summary}");
    assert!(summary["memory_bytes"].as_u64().unwrap() >= 65_536, "{summary}");
    let states: Vec<&Value> = tried.iter().filter_map(|line| line.get("state")).collect();
    let last_ms = tried[7]["alert"]["occurred_at_ms"].clone();
    assert_eq!(states[0], &json!({"device_id": "00-DB-12-34-56-78-90-A0", "code": "8F40", "words": [last_ms, 0]}));
    assert_eq!((states.len() as u64, summary["state_entry_count"].as_u64()), (3, Some(3)));

    // A host decides as the rehearsal did.
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, data.path());
    let pushed = host.json(["plugin", "push", &component, "--json"]);
    assert_eq!(pushed[0]["plugin"]["digest"], built[0]["digest"]);
    assert_eq!(pushed[0]["plugin"]["report"]["fault"], "");
    host.json(["rule", "set", "volts", "--plugin", "quiet-volts", "--parameters", &parameters, "--json"]);
    host.json(["alert", "send", &sample, "--json"]);
    let listed = host.json(["alert", "list", "--json"]);
    let live = listed.iter().map(|alert| json!([alert["outcome"], alert["rule"]["reason"], alert["withheld"]]));
    assert_eq!(live.collect::<Vec<_>>(), expected);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_component_is_refused_in_the_words_of_an_upload() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let sample = file("sample.csv", b"device,code\n00-DB-12-34-56-78-90-A0,8F40\n");
    let host = Host::start(BINARY, &folder.path().join("data"));
    let wasi = wat::parse_str(
        r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance (export "now" (func (result u64))))))"#,
    );
    for (name, bytes) in [
        ("core.wasm", b"\0asm\x01\0\0\0".to_vec()),
        ("text.wasm", b"(component)".to_vec()),
        ("empty.wasm", wat::parse_str("(component)").unwrap()),
        ("wasi.wasm", wasi.unwrap()),
        ("badname.wasm", fs::read(env!("WEIR_GUEST_BADNAME")).unwrap()),
    ] {
        let component = file(name, &bytes);
        let tried = refusal(&["plugin", "test", &component, &sample]);
        let pushed = text(&host.weir(["plugin", "push", &component]).stderr);
        let words = pushed.trim().strip_prefix("error: chunk: ").unwrap_or_else(|| panic!("{pushed}"));
        assert_eq!(tried.trim(), format!("error: {component}: {words}"));
    }
    let parameters = r#"{"codes":["8F40"],"below_dv":258}"#;
    let threshold = env!("WEIR_GUEST_THRESHOLD");
    let tried = refusal(&["plugin", "test", threshold, &sample, "--parameters", parameters]);
    host.json(["plugin", "push", threshold, "--json"]);
    let set = host.weir(["rule", "set", "volts", "--plugin", "threshold", "--parameters", parameters]);
    assert_eq!(tried, text(&set.stderr));
    assert_eq!(host.stop(), Some(0));
}

/// The last line, with the exit code and stderr.
fn summary_of(sample: &str, parameters: &str) -> (Option<i32>, Value, String) {
    let output = weir(&["plugin", "test", HOSTILE, sample, "--parameters", parameters, "--json"]);
    let summary = lines(&output).pop().expect("a summary")["summary"].clone();
    (output.status.code(), summary, text(&output.stderr))
}

#[test]
fn what_a_rule_does_wrong_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let sample = folder.path().join("sample.csv");
    let rows = ["8F40", "8014", "8F40", "8F36"].map(|code| format!("00-DB-12-34-56-78-90-A0,{code}\n"));
    fs::write(&sample, format!("device,code\n{}", rows.concat())).unwrap();
    let sample = sample.to_str().unwrap();

    let (exit, summary, said) = summary_of(sample, r#"{"do":"trap","code":"8014"}"#);
    assert_eq!((exit, &summary["balance"]["forwarded"]), (Some(64), &json!(4)), "{said}");
    let failure = &summary["failures"][0];
    assert_eq!([&failure["kind"], &failure["line"], &failure["is_poison"]], [&json!("trap"), &json!(3), &json!(true)]);
    assert!(said.contains("first by trap at line 3"), "{said}");

    let (exit, summary, said) = summary_of(sample, r#"{"do":"suppress","code":"8014"}"#);
    assert_eq!((exit, &summary["depends_on_batch_at_line"]), (Some(64), &json!(2)), "{said}");

    // 8F36 is protected.
    let (exit, summary, said) = summary_of(sample, r#"{"do":"suppress"}"#);
    assert_eq!(
        (exit, &summary["balance"]["suppressed"], &summary["overruled"]),
        (Some(0), &json!(3), &json!(1)),
        "{said}"
    );
}

#[test]
fn the_inventory_and_the_hosts_settings_are_heeded() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let devices = file(
        "devices.csv",
        "eui,mpxn,generation,model\n00-DB-12-34-56-78-90-A0,1000000000012,smets1,Alpha-1\n\
         00-DB-12-34-56-78-90-A1,1400000000010,smets2,Beta-2\n",
    );
    let sample = file(
        "sample.csv",
        "device,code\n00-DB-12-34-56-78-90-A0,8014\n00-DB-12-34-56-78-90-A1,8014\n00-DB-12-34-56-78-90-A1,8F40\nx,8014\n",
    );
    let config = file("weir.toml", "protected_codes = [\"8014\"]\n");
    let matching = env!("WEIR_GUEST_MATCH");
    let outcomes = |more: &[&str]| {
        let parameters = r#"{"operators":[10]}"#;
        let all = [&["plugin", "test", matching, &sample, "--parameters", parameters, "--json"], more].concat();
        let output = weir(&all);
        assert_eq!(output.status.code(), Some(64), "one line cannot be read");
        assert!(text(&output.stderr).contains("line 5: device:"), "{}", text(&output.stderr));
        let alerts = lines(&output).into_iter().filter_map(|line| line.get("alert").cloned());
        alerts.map(|alert| (alert["outcome"].clone(), alert["overruled"].clone())).collect::<Vec<_>>()
    };
    let [forwarded, suppressed] = ["forwarded", "suppressed"].map(|end| (json!(end), json!(false)));
    let overruled = (json!("forwarded"), json!(true));
    assert_eq!(outcomes(&[]), [forwarded.clone(), forwarded.clone(), forwarded.clone()]);
    assert_eq!(outcomes(&["--devices", &devices]), [suppressed, forwarded.clone(), forwarded.clone()]);
    assert_eq!(outcomes(&["--devices", &devices, "--config", &config]), [overruled, forwarded.clone(), forwarded]);
}
