//! What the rules of one operator may take up: less than the host's own, and their share of the time; what passes them
//! for it is on record, so that the log folds again to the same.

use std::fs;

use weir_host::{
    domain::{Eui64, FaultKind, Generation, Mode, Mpxn, OperatorId, Scope},
    listing::{AlertQuery, LoggedAlert},
    pipeline::{Batch, DeviceRequest, Handle, Refusal, RuleRequest},
};
use weir_tests::{
    disk::Disk,
    engine,
    workload::{Random, plain},
};

const HOSTILE: &str = env!("WEIR_GUEST_HOSTILE");
const STORM: &str = env!("WEIR_GUEST_STORM");
const DEVICES: u64 = 10;

fn operator() -> OperatorId {
    OperatorId::new(12).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn rule(name: &str, plugin: &str, parameters: &str, order: u32) -> RuleRequest {
    let owned = name.starts_with("12-");
    RuleRequest {
        name: name.into(),
        plugin: plugin.into(),
        parameters: parameters.into(),
        scope: Scope { operators: if owned { vec![operator()] } else { Vec::new() }, ..Scope::default() },
        mode: Mode::Active,
        order: Some(order),
        why: String::new(),
        until_ms: None,
    }
}

/// Plugins, and devices of which the first half belongs to the operator.
async fn prepare(handle: &Handle) {
    for path in [HOSTILE, STORM] {
        handle.add_plugin(fs::read(path).unwrap(), &[]).await.unwrap();
    }
    let device = |eui: u64| DeviceRequest {
        eui: Eui64(eui),
        mpxn: Mpxn::NONE,
        generation: Generation::Smets1,
        model: String::new(),
        operator: OperatorId::new(if eui <= DEVICES / 2 { 12 } else { 13 }).unwrap(),
        ..DeviceRequest::default()
    };
    handle.put_devices((1..=DEVICES).map(device).collect()).await.unwrap();
}

async fn send(handle: &Handle, from: u64, alerts: u64) {
    let alerts = (from..from + alerts).map(|at| Ok(plain(1 + at % DEVICES, at, 0x8F40))).collect();
    handle.submit(Batch { alerts, ..Batch::default() }).await.unwrap().await.unwrap().unwrap();
}

fn log(handle: &Handle) -> Vec<LoggedAlert> {
    handle.alerts(&AlertQuery { page_size: 10_000, ..AlertQuery::default() }).unwrap().alerts
}

fn fault_of(handle: &Handle, name: &str) -> (u64, String) {
    let rule = handle.rules().into_iter().find(|rule| rule.name == name).unwrap();
    (rule.fault_count, rule.last_fault)
}

#[test]
fn an_operators_rule_has_less_than_the_hosts_own() {
    let mut config = engine::config();
    config.plugins.operator.fuel_per_call = 200_000;
    config.plugins.operator.fuel_per_alert = 1;
    config.plugins.operator.state_words_max = 1;
    config.plugins.operator.parameters_bytes_max = 40;
    runtime().block_on(async {
        let (handle, runner) = engine::start(&Disk::default(), config).unwrap();
        prepare(&handle).await;
        let burn = r#"{"do": "burn", "rounds": "2000"}"#;
        handle.set_rule(rule("burn", "hostile", burn, 1)).await.unwrap();
        handle.set_rule(rule("12-burn", "hostile", burn, 2)).await.unwrap();
        send(&handle, 1, 1_000).await;
        assert_eq!(fault_of(&handle, "burn"), (0, String::new()));
        let (faults, last) = fault_of(&handle, "12-burn");
        assert_eq!((faults, last.starts_with("out-of-fuel")), (1, true), "{last}");

        let refused = |answer: Result<_, Refusal>| match answer {
            Err(Refusal::Invalid { field, message }) => (field, message),
            other => panic!("{other:?}"),
        };
        let storm = r#"{"more_than":3,"window_s":60,"period_s":60}"#;
        let (field, message) = refused(handle.set_rule(rule("12-storm", "storm", storm, 3)).await);
        assert_eq!(field, "parameters");
        assert!(message.contains("parameters_bytes_max (40)"), "{message}");
        let (field, message) = refused(handle.set_rule(rule("12-storm", "storm", "{}", 3)).await);
        assert_eq!(field, "plugin");
        assert!(message.contains("keeps 2 words") && message.contains("plugins.operator.state_words_max"), "{message}");
        handle.set_rule(rule("storm", "storm", storm, 3)).await.unwrap();
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn a_rule_that_waits_for_memory_within_its_fuel_is_a_deadline_by_processor_time() {
    let mut config = engine::config();
    config.plugins.operator.call_us_max = 100;
    config.plugins.operator.fuel_per_call = 1_000_000_000;
    runtime().block_on(async {
        let (handle, runner) = engine::start(&Disk::default(), config).unwrap();
        prepare(&handle).await;
        let chase = r#"{"do": "chase", "rounds": "100"}"#;
        handle.set_rule(rule("12-chase", "hostile", chase, 1)).await.unwrap();
        send(&handle, 1, 1_000).await;
        let (faults, last) = fault_of(&handle, "12-chase");
        assert_eq!(faults, 1);
        assert!(last.starts_with("deadline: took ") && last.contains("operator.call_us_max"), "{last}");
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn a_share_that_is_used_up_is_on_record_and_folds_again_to_the_same() {
    const BATCHES: u64 = 40;
    const ALERTS: u64 = 200;
    let mut config = engine::config();
    config.plugins.operator.time_percent_max = 1;
    config.plugins.operator.call_us_max = 60_000_000;
    config.plugins.operator.deadline_ms = 60_000;
    config.plugins.operator.fuel_per_call = 1_000_000_000;
    config.store.recovery_rows_max = 1_000_000;
    let disk = Disk::default();
    runtime().block_on(async {
        let (handle, runner) = engine::start(&disk, config.clone()).unwrap();
        prepare(&handle).await;
        // Every call takes longer than the bucket holds.
        let burn = r#"{"do": "burn", "rounds": "20000"}"#;
        handle.set_rule(rule("12-burn", "hostile", burn, 1)).await.unwrap();
        for batch in 0..BATCHES {
            send(&handle, 1 + batch * ALERTS, ALERTS).await;
        }
        let rule = handle.rules().into_iter().find(|rule| rule.name == "12-burn").unwrap();
        assert_eq!((rule.mode, rule.fault_count), (Mode::Active, 0), "it is no fault: {}", rule.last_fault);
        let own = BATCHES * ALERTS / 2;
        assert!((1..own).contains(&rule.passed_over), "{} of {own} alerts passed over", rule.passed_over);
        let before = log(&handle);
        let passed = before.iter().filter(|alert| alert.faults.iter().any(|fault| fault.2 == FaultKind::OverShare));
        assert!(passed.count() > 0);
        let audit = handle.audit(0, 100).unwrap();
        assert!(audit.iter().any(|entry| entry.event.action == "rule.passed-over"), "{audit:?}");
        let state = handle.device(Eui64(1)).await.unwrap().states;

        // The power goes before anything but the log was written.
        disk.cut_at(disk.syncs());
        let one_more = Batch { alerts: vec![Ok(plain(1, BATCHES * ALERTS + 1, 0x8F40))], ..Batch::default() };
        drop(handle.submit(one_more).await.unwrap().await);
        runner.join();
        let again = disk.after_power_cut(&mut Random::new(1));
        disk.replace(again);
        let (handle, runner) = engine::start(&disk, config).unwrap();
        assert_eq!(handle.device(Eui64(1)).await.unwrap().states, state);
        assert_eq!(log(&handle), before);
        assert_eq!(handle.rules()[0].mode, Mode::Active);
        handle.shutdown().await.unwrap();
        runner.join();
    });
}
