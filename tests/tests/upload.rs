//! What an uploader is told: the report of a plugin's golden run, and where parameters do not fit. Through the real
//! binary.

use std::fs;

use ring::signature::{Ed25519KeyPair, KeyPair};
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

#[test]
fn a_host_that_asks_for_signatures_takes_no_plugin_without_whoever_uploads() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let key: String = pair.public_key().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let keys = format!(r#"[{{key = "{key}"}}]"#);
    let settings = [("WEIR_SIGNATURES_REQUIRED", "true"), ("WEIR_SIGNING_KEYS", keys.as_str())];
    let host = Host::start_with(BINARY, &folder.path().join("data"), &settings);
    let file = folder.path().join("signature");
    let push = |signature: Option<&[u8]>| {
        fs::write(&file, signature.unwrap_or_default()).unwrap();
        let flag = signature.map(|_| ["--signature", file.to_str().unwrap()]);
        let output =
            host.weir(["plugin", "push", env!("WEIR_GUEST_THRESHOLD")].into_iter().chain(flag.into_iter().flatten()));
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let component = fs::read(env!("WEIR_GUEST_THRESHOLD")).unwrap();
    let other = fs::read(env!("WEIR_GUEST_STORM")).unwrap();
    for (signature, words) in [
        (None, "signature: 0 bytes, where an ed25519 signature of the component has 64; this host takes signed"),
        (Some(pair.sign(&other).as_ref()), "signature: it is not one of this component"),
        (Some(&[1; 63][..]), "signature: 63 bytes; an ed25519 signature has 64"),
    ] {
        let (code, said) = push(signature);
        assert!(code == Some(64) && said.contains(words), "{said}");
    }
    assert_eq!(host.json(["plugin", "list", "--json"]), [] as [Value; 0]);
    assert_eq!(push(Some(pair.sign(&component).as_ref())).0, Some(0));
    assert_eq!(host.stop(), Some(0));
}
