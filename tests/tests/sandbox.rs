//! Promise 4: a bad plugin hurts nobody else. Every hostile guest has its exact result, and its neighbours decide as
//! they would without it.

use std::fs;

use weir_host::{
    config::Config,
    domain::{FaultKind, Mode, Scope},
    listing::{AlertQuery, LoggedAlert},
    pipeline::{Batch, Handle, Refusal, RuleRequest},
};
use weir_tests::{disk::Disk, engine, workload::plain};

const HOSTILE: &str = env!("WEIR_GUEST_HOSTILE");
const BADNAME: &str = env!("WEIR_GUEST_BADNAME");
const STORM: &str = env!("WEIR_GUEST_STORM");
const THRESHOLD: &str = env!("WEIR_GUEST_THRESHOLD");

fn config() -> Config {
    let mut config = engine::config();
    config.plugins.deadline_ms = 400;
    config.plugins.memory_bytes_max = 16 << 20;
    config
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn rule(name: &str, parameters: &str, order: u32) -> RuleRequest {
    RuleRequest {
        name: name.into(),
        plugin: name.into(),
        parameters: parameters.into(),
        scope: Scope::default(),
        mode: Mode::Active,
        order: Some(order),
        why: String::new(),
        until_ms: None,
    }
}

/// Alerts that both neighbours have something to say about.
fn batch() -> Batch {
    let alert = |at: u64| {
        let mut alert = plain(1 + at % 5, at, [0x8F40, 0x8002, 0x8F36][(at % 3) as usize]);
        alert.measurement = at.is_multiple_of(2).then_some(2500 + (at as i32 * 7) % 160);
        alert.occurred_ms = Some(1_764_000_000_000 + at as i64);
        Ok(alert)
    };
    Batch { alerts: (1..=300).map(alert).collect(), ..Batch::default() }
}

async fn neighbours(handle: &Handle) {
    for path in [THRESHOLD, STORM] {
        handle.add_plugin(fs::read(path).unwrap(), &[]).await.unwrap();
    }
    handle.set_rule(rule("threshold", r#"{"codes":["8F40"],"below_dv":2580}"#, 1)).await.unwrap();
    let storm = r#"{"more_than":3,"window_s":60,"period_s":60,"exclude_codes":[]}"#;
    handle.set_rule(rule("storm", storm, 9)).await.unwrap();
}

/// Sends the batch and lists what became of it.
async fn judge(handle: &Handle) -> Vec<LoggedAlert> {
    handle.submit(batch()).await.unwrap().await.unwrap().unwrap();
    handle.alerts(&AlertQuery { page_size: 1000, ..AlertQuery::default() }).unwrap().alerts
}

/// Verdicts without what only concerns the hostile rule, and without revisions, which count all rules.
fn verdicts(alerts: &[LoggedAlert]) -> Vec<(weir_host::domain::End, String, String, u32)> {
    let of = |alert: &LoggedAlert| {
        let (rule, reason) = alert.rule.as_ref().map_or(("", ""), |mark| (&mark.name, &mark.reason));
        (alert.end, rule.to_owned(), reason.to_owned(), alert.withheld)
    };
    alerts.iter().map(of).collect()
}

#[test]
fn each_misdeed_has_its_fault_and_the_neighbours_decide_as_without_it() {
    let expected = runtime().block_on(async {
        let (handle, runner) = engine::start(&Disk::default(), config()).unwrap();
        neighbours(&handle).await;
        let expected = verdicts(&judge(&handle).await);
        handle.shutdown().await.unwrap();
        runner.join();
        expected
    });
    let ends: std::collections::BTreeSet<_> = expected.iter().map(|(end, rule, ..)| (*end, rule.clone())).collect();
    assert!(ends.len() >= 4, "the batch must keep both neighbours busy: {ends:?}");

    let misdeeds = [
        ("loop", Some(FaultKind::OutOfFuel)),
        ("memory", Some(FaultKind::Memory)),
        ("adapt\",\"rounds\":\"64", Some(FaultKind::Memory)),
        ("trap", Some(FaultKind::Trap)),
        ("stack", Some(FaultKind::Trap)),
        ("count", Some(FaultKind::BadOutput)),
        ("reason", Some(FaultKind::BadOutput)),
        ("state", Some(FaultKind::BadOutput)),
        ("withheld", Some(FaultKind::BadOutput)),
        ("error", Some(FaultKind::Refused)),
        ("escape", Some(FaultKind::Refused)),
        ("impure", None),
        ("none", None),
    ];
    for (deed, fault) in misdeeds {
        runtime().block_on(async {
            let (handle, runner) = engine::start(&Disk::default(), config()).unwrap();
            neighbours(&handle).await;
            handle.add_plugin(fs::read(HOSTILE).unwrap(), &[]).await.unwrap();
            handle.set_rule(rule("hostile", &format!("{{\"do\":\"{deed}\"}}"), 5)).await.unwrap();
            let alerts = judge(&handle).await;
            assert_eq!(verdicts(&alerts), expected, "{deed}");
            let kinds: std::collections::BTreeSet<FaultKind> =
                alerts.iter().flat_map(|alert| alert.faults.iter().map(|(_, _, kind)| *kind)).collect();
            assert_eq!(kinds.into_iter().collect::<Vec<_>>(), fault.into_iter().collect::<Vec<_>>(), "{deed}");
            let hostile = handle.rules().into_iter().find(|rule| rule.name == "hostile").unwrap();
            assert_eq!(hostile.fault_count, u64::from(fault.is_some()), "{deed}");
            assert!(hostile.last_fault.len() < 1000, "{deed}: {} bytes", hostile.last_fault.len());
            assert!(!hostile.last_fault.contains(char::is_control), "{deed}: {:?}", hostile.last_fault);
            handle.shutdown().await.unwrap();
            runner.join();
        });
    }
}

#[test]
fn a_loop_longer_than_the_backstop_is_a_deadline() {
    let mut config = config();
    config.plugins.fuel_per_call = u64::MAX / 4;
    config.plugins.deadline_ms = 50;
    runtime().block_on(async {
        let (handle, runner) = engine::start(&Disk::default(), config).unwrap();
        handle.add_plugin(fs::read(HOSTILE).unwrap(), &[]).await.unwrap();
        handle.set_rule(rule("hostile", r#"{"do":"loop"}"#, 5)).await.unwrap();
        let alerts = judge(&handle).await;
        assert_eq!(alerts[0].faults[0].2, FaultKind::Deadline);
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn what_is_no_rule_is_refused_by_name_at_upload() {
    let wasi = wat::parse_str(
        r#"(component (import "wasi:cli/environment@0.2.0" (instance (export "get-arguments" (func)))))"#,
    );
    let mut config = config();
    config.plugins.upload_bytes_max = 1 << 20;
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("garbage", b"not wasm at all".to_vec(), "not a WebAssembly binary"),
        ("core module", wat::parse_str("(module)").unwrap(), "core WebAssembly module"),
        ("WASI", wasi.unwrap(), "wasi:cli/environment"),
        ("empty component", wat::parse_str("(component)").unwrap(), "describe"),
        ("too large", vec![0; (1 << 20) + 1], "upload_bytes_max"),
        ("bad name", fs::read(BADNAME).unwrap(), "name"),
    ];
    runtime().block_on(async {
        let (handle, runner) = engine::start(&Disk::default(), config).unwrap();
        for (what, bytes, text) in cases {
            match handle.add_plugin(bytes, &[]).await {
                Err(Refusal::Invalid { message, .. }) => assert!(message.contains(text), "{what}: {message}"),
                other => panic!("{what}: {other:?}"),
            }
        }
        assert_eq!(handle.plugins().iter().filter(|(info, _)| info.size_bytes > 0).count(), 0);
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn parameters_that_the_plugin_refuses_change_nothing() {
    runtime().block_on(async {
        let (handle, runner) = engine::start(&Disk::default(), config()).unwrap();
        neighbours(&handle).await;
        let before = handle.rules();
        for parameters in [r#"{"codes":["8F40"],"bellow_dv":2580}"#, r#"{"codes":[],"below_dv":2580}"#, "[]", "{"] {
            match handle.set_rule(rule("threshold", parameters, 1)).await {
                Err(Refusal::Invalid { field, message }) => {
                    assert_eq!(field, "parameters");
                    assert!(!message.is_empty());
                }
                other => panic!("{parameters}: {other:?}"),
            }
        }
        assert_eq!(handle.rules(), before);
        handle.shutdown().await.unwrap();
        runner.join();
    });
}
