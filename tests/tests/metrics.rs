//! Figures through the real binary: they are what `weir count` says, a rule's failure is there by its kind, and the text
//! is what a reader of OpenMetrics takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::TcpStream,
};

use weir_tests::host::Host;

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

const DEVICE: &str = "00-DB-12-34-56-78-90-A0";

/// One that is held back, one that passes, one of it again, one that nothing may hold back, one that makes a rule fail,
/// and one that cannot be read.
const ALERTS: &str = "device,counter,code,voltage_v
00-DB-12-34-56-78-90-A0,1,8F40,255.0
00-DB-12-34-56-78-90-A0,2,8F40,259.1
00-DB-12-34-56-78-90-A0,2,8F40,259.1
00-DB-12-34-56-78-90-A0,3,8F36,
00-DB-12-34-56-78-90-A0,4,8014,
nonsense,5,8014,
";

/// Reads a page as a reader of the format would, and gives its samples; what breaks the format is a panic.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines: Vec<&str> = text.strip_suffix("# EOF\n").expect("it ends with its mark").lines().collect();
    let (mut families, mut samples) = (BTreeSet::new(), BTreeMap::new());
    let (mut name, mut kind) = ("", "");
    for line in lines {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (family, words) = help.split_once(' ').expect("a name and words");
            assert!(family.starts_with("weir_") && words.len() > 10, "{line}");
            assert!(families.insert(family), "{family} is there twice");
            (name, kind) = (family, "");
        } else if let Some(told) = line.strip_prefix("# TYPE ") {
            let (family, told) = told.split_once(' ').expect("a name and a type");
            assert!(family == name && kind.is_empty(), "{line} does not follow its HELP");
            kind = told;
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("a sample and its value");
            let suffix = sample.split('{').next().unwrap().strip_prefix(name).expect(line);
            let fits = match kind {
                "counter" => suffix == "_total",
                "gauge" => suffix.is_empty(),
                "histogram" => ["_sum", "_count", "_bucket"].contains(&suffix),
                _ => false,
            };
            assert!(fits, "{line} does not fit {name}, a {kind}");
            let value: f64 = value.parse().expect(line);
            assert!(value.is_finite() && (kind == "gauge" || value >= 0.0), "{line}");
            assert!(samples.insert(sample.to_owned(), value).is_none(), "{sample} is there twice");
        }
    }
    samples
}

#[test]
fn figures_are_what_the_books_say_and_a_failure_has_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("WEIR_METRICS_LISTEN", "127.0.0.1:0"), ("WEIR_PLUGINS__FAULTS_MAX", "1")];
    let host = Host::start_with(BINARY, &folder.path().join("data"), &settings);
    for plugin in [env!("WEIR_GUEST_THRESHOLD"), env!("WEIR_GUEST_MATCH"), env!("WEIR_GUEST_HOSTILE")] {
        host.json(["plugin", "push", plugin, "--json"]);
    }
    host.json(["plugin", "push", env!("WEIR_GUEST_MATCH"), "--json"]);
    let nonsense = folder.path().join("nonsense.wasm");
    fs::write(&nonsense, "nonsense").unwrap();
    assert!(!host.weir(["plugin".as_ref(), "push".as_ref(), nonsense.as_os_str()]).status.success());
    let set = |name: &str, plugin: &str, parameters: &str, mode: &str| {
        let arguments = ["rule", "set", name, "--plugin", plugin, "--parameters", parameters, "--mode", mode, "--json"];
        host.json(arguments);
    };
    set("volts", "threshold", r#"{"codes":["8F40"],"below_dv":2580}"#, "active");
    set("outages", "match", r#"{"codes":["8F36"]}"#, "active");
    set("later", "match", r#"{"codes":["8F40"]}"#, "shadow");
    set("traps", "hostile", r#"{"do":"trap","code":"8014"}"#, "active");
    let alerts = folder.path().join("alerts.csv");
    fs::write(&alerts, ALERTS).unwrap();
    host.weir(["alert".as_ref(), "send".as_ref(), alerts.as_os_str()]);

    // Whoever follows has read the first that was forwarded, the second of five that are in the log.
    host.json(["alert", "tail", "--from", "oldest", "--cursor", "slow", "--limit", "1", "--json"]);

    // Somebody who connects and asks nothing is in nobody's way.
    let silent = TcpStream::connect(host.metrics_address()).unwrap();
    let total = host.json(["count", "--json"]).remove(0)["total"].clone();
    let (head, text) = host.http("GET /metrics");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.to_ascii_lowercase().contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    let found = samples(&text);
    let of = |sample: &str| *found.get(sample).unwrap_or_else(|| panic!("{sample} is not in:\n{text}"));
    let told = |key: &str| total["balance"][key].as_f64().unwrap();

    assert_eq!(told("received"), 6.0);
    assert_eq!(of("weir_alerts_received_total"), told("received"));
    for end in ["forwarded", "suppressed", "rejected", "duplicate"] {
        assert_eq!(of(&format!("weir_alerts_total{{end=\"{end}\"}}")), told(end), "{end}");
        assert!(told(end) > 0.0, "{end}");
    }
    assert_eq!(of("weir_alerts_overruled_total"), total["overruled"].as_f64().unwrap());
    assert_eq!(of("weir_alerts_overruled_total"), 1.0);

    assert_eq!(of("weir_rule_suppressed_total{rule=\"volts\"}"), 1.0);
    assert_eq!(of("weir_rule_overruled_total{rule=\"outages\"}"), 1.0);
    assert_eq!(of("weir_rule_suppressed_total{rule=\"later\"}"), 0.0, "a shadow rule suppresses nothing");
    assert!(of("weir_rule_shown_total{rule=\"later\"}") > 0.0);
    assert!(of("weir_rule_faults_total{rule=\"traps\",kind=\"trap\"}") > 0.0);
    assert_eq!(found.keys().filter(|sample| sample.starts_with("weir_rule_faults_total")).count(), 1);
    assert_eq!(of("weir_quarantines_total"), 1.0);
    let modes = [("volts", "active"), ("outages", "active"), ("later", "shadow"), ("traps", "quarantined")];
    for (rule, mode) in modes {
        let states = found.iter().filter(|(sample, _)| sample.starts_with(&format!("weir_rule_mode{{rule=\"{rule}\"")));
        assert_eq!(states.map(|(_, value)| *value).sum::<f64>(), 1.0, "{rule}");
        assert_eq!(of(&format!("weir_rule_mode{{rule=\"{rule}\",mode=\"{mode}\"}}")), 1.0);
    }
    for (result, count) in [("taken", 3.0), ("known", 1.0), ("refused", 1.0)] {
        assert_eq!(of(&format!("weir_uploads_total{{result=\"{result}\"}}")), count, "{result}");
    }
    let others = [
        ("weir_plugins", 3.0),
        ("weir_rules", 4.0),
        ("weir_compile_workers_running", 0.0),
        ("weir_cursors", 1.0),
        ("weir_cursors_behind_max", 3.0),
        ("weir_batches_waiting", 0.0),
        ("weir_readings", 0.0),
        ("weir_readings_available", 1.0),
        ("weir_status{status=\"serving\"}", 1.0),
        ("weir_status{status=\"store-full\"}", 0.0),
        ("weir_group_seconds_count", 1.0),
        ("weir_calls_total{call=\"/weir.v1.CountService/QueryCounts\",code=\"OK\"}", 1.0),
        ("weir_calls_total{call=\"/weir.v1.PluginService/UploadPlugin\",code=\"INVALID_ARGUMENT\"}", 1.0),
        ("weir_calls_denied_total", 0.0),
    ];
    for (sample, value) in others {
        assert_eq!(of(sample), value, "{sample}");
    }
    let sizes = [
        "log_bytes",
        "log_position",
        "store_free_bytes",
        "readings_file_bytes",
        "audit_entries_total",
        "commit_seconds_count",
    ];
    assert!(sizes.iter().all(|name| of(&format!("weir_{name}")) > 0.0));
    for name in ["weir_group_seconds", "weir_commit_seconds"] {
        assert_eq!(of(&format!("{name}_bucket{{le=\"+Inf\"}}")), of(&format!("{name}_count")));
    }
    assert!(of("weir_subscribers_open") <= 1.0, "its stream may not have ended yet");
    assert!(!text.to_ascii_uppercase().contains(DEVICE), "no figure names a device");

    assert!(host.http("POST /metrics").0.starts_with("HTTP/1.1 405 "));
    assert!(host.http("GET /").0.starts_with("HTTP/1.1 404 "));
    drop(silent);
    host.json(["rule", "remove", "traps", "--json"]);
    let later = samples(&host.http("GET /metrics").1);
    assert!(!later.keys().any(|sample| sample.contains("traps")), "a rule that is gone has no figures");
    assert_eq!(host.stop(), Some(0));
}
