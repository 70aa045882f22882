//! What an uploader is told: the report of a plugin's golden run, and where parameters do not fit. Through the real
//! binary.

use serde_json::Value;
use weir_tests::host::Host;

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

fn push(host: &Host, component: &str) -> Value {
    host.json(["plugin", "push", component, "--json"]).remove(0)["plugin"].clone()
}

fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("{name} in {report}"))
}

#[test]
fn an_upload_is_answered_with_what_judging_took() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, folder.path());
    let stock = [
        ("threshold", env!("WEIR_GUEST_THRESHOLD")),
        ("storm", env!("WEIR_GUEST_STORM")),
        ("match", env!("WEIR_GUEST_MATCH")),
    ];
    let mut fuel = Vec::new();
    for (name, component) in stock {
        let pushed = push(&host, component);
        let report = &pushed["report"];
        assert_eq!((number(report, "alert_count"), &report["fault"]), (1_024, &"".into()), "{name}: {report}");
        assert!((1..1_024).contains(&number(report, "suppressed_count")), "{name}: {report}");
        assert!((1..20_000).contains(&number(report, "fuel_per_alert")), "{name}: {report}");
        assert!(number(report, "memory_bytes") >= 64 << 10, "{name}: {report}");
        assert!(report["parameters"].as_str().unwrap().starts_with('{'), "{name}: {report}");
        fuel.push(number(report, "fuel_per_alert"));
        assert_eq!(&host.json(["plugin", "show", name, "--json"])[0]["report"], report);
        assert_eq!(&push(&host, component)["report"], report, "the same bytes again");
    }
    host.kill();

    let host = Host::start(BINARY, folder.path());
    let again: Vec<u64> = stock
        .iter()
        .map(|(name, _)| number(&host.json(["plugin", "show", name, "--json"])[0]["report"], "fuel_per_alert"))
        .collect();
    assert_eq!(again, fuel, "the same batch, the same fuel");
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn parameters_that_do_not_fit_are_told_by_their_json_path() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, folder.path());
    push(&host, env!("WEIR_GUEST_THRESHOLD"));
    let wrong = [
        (r#"{"codes":["8F40"],"below_dv":"2580"}"#, "parameters: /below_dv: \"2580\" is not of type \"integer\""),
        (r#"{"codes":["8F40","8F"],"below_dv":2580}"#, "parameters: /codes/1: \"8F\" does not match"),
        (r#"{"codes":["8F40"],"bellow_dv":2580}"#, "bellow_dv"),
    ];
    for (parameters, expected) in wrong {
        let output = host.weir(["rule", "set", "volts", "--plugin", "threshold", "--parameters", parameters]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(expected), "{parameters}: {said}");
    }
    assert_eq!(host.json(["rule", "list", "--json"]), [] as [Value; 0], "nothing was changed");
    assert_eq!(host.stop(), Some(0));
}
