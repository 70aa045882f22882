//! Settings that change between two runs change nothing of what was judged: the log is folded again under the settings of
//! then, whatever folds it.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use weir_host::{
    config::Config,
    domain::{
        AuditEvent, Columns, Effects, End, Eui64, FaultKind, Generation, Group, Judge, Metering, Mode, Mpxn,
        OperatorId, Outcome, Position, Revision, Scope, SettingsNo,
    },
    evaluate::Times,
    listing::{AlertQuery, LoggedAlert},
    pipeline::{Batch, DeviceRequest, Handle, Parts, RuleRequest, Runner, WhatIfRequest, acks_kept, start_with},
    registry::Source,
    store::Store,
    whatif::{Turned, Verdict, Verification},
};
use weir_tests::{
    disk::Disk,
    engine::{self, rule, shadow},
    workload::{Random, plain},
};

const HOSTILE: &str = env!("WEIR_GUEST_HOSTILE");
const PROTECTED: u16 = 0x8F36;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Sends alerts of some codes, of devices in turn.
async fn send(handle: &Handle, codes: &[u16], counter: &mut u64) {
    *counter += 1;
    let alert =
        |(at, code): (usize, &u16)| Ok(plain((at as u64 + *counter) % 7 + 1, *counter * 10_000 + at as u64, *code));
    let alerts = codes.iter().enumerate().map(alert).collect();
    let answer = handle.submit(Batch { alerts, ..Batch::default() }).await.unwrap();
    answer.await.unwrap().unwrap();
}

fn log(handle: &Handle) -> Vec<LoggedAlert> {
    handle.alerts(&AlertQuery { page_size: 1_000_000, ..AlertQuery::default() }).unwrap().alerts
}

fn verified(handle: &Handle) -> Verification {
    handle.start_verification(None, None).unwrap();
    loop {
        let (verification, _) = handle.verification().unwrap();
        if verification.ended_ms.is_some() {
            return verification;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// The host as it is after a cut of the power, before anything but the log was written, under other settings.
fn again(disk: &Disk, config: Config) -> (Disk, Handle, Runner) {
    let disk = disk.after_power_cut(&mut Random::new(7));
    let (handle, runner) = engine::start(&disk, config).unwrap();
    (disk, handle, runner)
}

async fn again_after(disk: Disk, handle: Handle, runner: Runner, config: Config) -> (Disk, Handle, Runner) {
    let started = again(&disk, config);
    stop(handle, runner).await;
    started
}

async fn stop(handle: Handle, runner: Runner) {
    handle.shutdown().await.unwrap();
    runner.join();
}

/// Nothing has changed but the settings: the log, the rules, and what the log gives when it is folded again.
async fn same_as(handle: &Handle, before: &[LoggedAlert], context: &str) {
    assert_eq!(log(handle), before, "{context}");
    for rule in handle.rules() {
        assert!(rule.mode.is_called(), "{context}: rule {} is {}: {}", rule.name, rule.mode, rule.last_fault);
        let newest = handle.history(&rule.name, Revision(u32::MAX), 1).unwrap().remove(0);
        assert_eq!(newest.who, "", "{context}: {}", newest.why);
    }
    let verification = verified(handle);
    assert_eq!(verification.verdict, Some(Verdict::Same), "{context}");
    for alert in before.iter().step_by(97) {
        let explained = handle.explain_alert(alert.position).unwrap();
        assert!(explained.is_reproduced, "{context}: {}", explained.why);
    }
}

/// Asks what would be different if nothing were.
async fn no_change(handle: &Handle, rule: &str, context: &str) {
    let request = WhatIfRequest { rule: rule.into(), ..WhatIfRequest::default() };
    let number = handle.start_what_if(request, None).await.unwrap().number;
    let outcome = loop {
        let (view, answer) = handle.what_if(number).unwrap();
        if view.head.stage.is_over() {
            break answer.unwrap_or_else(|| panic!("{context}: {}", view.head.why)).outcomes.remove(0);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    let Turned { newly_suppressed, newly_forwarded, .. } = outcome.turned;
    assert_eq!((newly_suppressed, newly_forwarded), (0, 0), "{context}, rule {rule}");
}

#[test]
fn protected_codes_and_codes_per_device_are_those_of_then() {
    let disk = Disk::default();
    runtime().block_on(async {
        let mut config = engine::config();
        config.whatif.cpu_percent_max = 100;
        config.plugins.state_codes_per_device_max = 2;
        let (handle, runner) = engine::start(&disk, config.clone()).unwrap();
        handle.set_rule(rule("every", 3, 1)).await.unwrap();
        handle.set_rule(rule("hold", u64::from(PROTECTED), 2)).await.unwrap();
        handle.set_rule(shadow("shade", "hold", u64::from(PROTECTED), 3)).await.unwrap();
        let mut counter = 0;
        for _ in 0..20 {
            send(&handle, &[1, 2, 3, PROTECTED, 1, PROTECTED, 2, 4, 1], &mut counter).await;
        }
        let before = log(&handle);
        let is = |end, code| before.iter().any(|alert| alert.end == end && alert.alert.code.0 == code);
        assert!(is(End::Suppressed, 1) && is(End::Forwarded, PROTECTED) && !is(End::Suppressed, PROTECTED));
        assert!(before.iter().any(|alert| alert.faults.iter().any(|(_, _, kind)| *kind == FaultKind::StateFull)));
        let compared = |handle: &Handle| {
            let query = weir_host::comparison::ComparisonQuery { rule: "shade".into(), ..Default::default() };
            handle.compare(&query).unwrap().total
        };
        let agreement = compared(&handle);
        assert!(agreement.overruled > 0);

        let mut others = config.clone();
        others.protected_codes = vec!["0001".into()];
        others.plugins.state_codes_per_device_max = 3;
        let (disk, handle, runner) = again_after(disk, handle, runner, others).await;
        same_as(&handle, &before, "other settings").await;
        assert_eq!(compared(&handle), agreement);
        for rule in ["every", "hold"] {
            no_change(&handle, rule, "other settings").await;
        }
        // Today's are judged by, and kept apart from those before.
        for _ in 0..20 {
            send(&handle, &[1, 2, 3, PROTECTED, 1, PROTECTED, 2, 4, 1], &mut counter).await;
        }
        let both = log(&handle);
        assert!(
            both[before.len()..].iter().any(|alert| alert.end == End::Suppressed && alert.alert.code.0 == PROTECTED)
        );

        let (_, handle, runner) = again_after(disk, handle, runner, config).await;
        same_as(&handle, &both, "the settings before").await;
        for rule in ["every", "hold"] {
            no_change(&handle, rule, "the settings before").await;
        }
        stop(handle, runner).await;
    });
}

/// A rule of the hostile guest.
fn guest(name: &str, deed: &str, rounds: u32, order: u32) -> RuleRequest {
    RuleRequest {
        name: name.into(),
        plugin: "hostile".into(),
        parameters: format!("{{\"do\":\"{deed}\",\"rounds\":\"{rounds}\"}}"),
        scope: Scope::default(),
        mode: Mode::Active,
        order: Some(order),
        why: String::new(),
        until_ms: None,
    }
}

#[test]
fn a_rule_at_its_memory_limit_has_the_memory_of_then() {
    let disk = Disk::default();
    runtime().block_on(async {
        let mut config = engine::config();
        config.whatif.cpu_percent_max = 100;
        config.plugins.memory_bytes_max = 64 << 20;
        config.plugins.deadline_ms = 60_000;
        let (handle, runner) = engine::start(&disk, config.clone()).unwrap();
        handle.add_plugin(fs::read(HOSTILE).unwrap(), &[]).await.unwrap();
        // With less it would suppress everything, and the other has too little even now.
        handle.set_rule(guest("large", "adapt", 48, 1)).await.unwrap();
        handle.set_rule(guest("too-large", "adapt", 80, 2)).await.unwrap();
        let mut counter = 0;
        send(&handle, &[1, 2, 3], &mut counter).await;
        send(&handle, &[1, 2, 3], &mut counter).await;
        let before = log(&handle);
        assert!(before.iter().all(|alert| alert.end == End::Forwarded), "what was denied is a failure, and no verdict");
        let failed: Vec<_> =
            before.iter().flat_map(|alert| &alert.faults).map(|(rule, _, kind)| (rule.as_str(), *kind)).collect();
        assert_eq!(failed, [("too-large", FaultKind::Memory); 6]);

        for memory_bytes_max in [2 << 20, 128 << 20] {
            let mut others = config.clone();
            others.plugins.memory_bytes_max = memory_bytes_max;
            others.plugins.table_entries_max = 1_000;
            others.plugins.deadline_ms = 10;
            others.plugins.text_bytes_max = 64;
            others.plugins.upload_bytes_max = 1 << 10;
            others.plugins.state_words_max = 0;
            let context = format!("{memory_bytes_max} bytes");
            let (_, other, its_runner) = again(&disk, others);
            same_as(&other, &before, &context).await;
            no_change(&other, "large", &context).await;
            stop(other, its_runner).await;
        }
        stop(handle, runner).await;
    });
}

/// A judge that suppresses the first alert of each call: what an operator's rule says depends on its turns.
fn first() -> Judge {
    Arc::new(|columns: &Columns<'_>, _: &[u64], _: Metering| {
        Ok(Outcome { verdict: (0..columns.len()).map(|at| u8::from(at == 0)).collect(), ..Outcome::default() })
    })
}

/// Parts whose plugin `every` has another judge, and whose clocks stand: no share of the time is ever used up.
fn with_judge(disk: &Disk, config: Config, judge: impl Fn(&str) -> Judge + Send + Sync + 'static) -> (Handle, Runner) {
    let mut natives = engine::natives();
    let info = natives[1].info().clone();
    natives[1] = Source::Native(Box::new(info), Arc::new(judge));
    let still = || Arc::new(|| Duration::ZERO);
    let times = Times { passed: still(), worked: still() };
    start_with(Parts { natives, times, ..engine::parts(disk, config).unwrap() }).unwrap()
}

#[test]
fn an_operators_rule_is_called_again_as_it_was_called() {
    const ALERTS: usize = 2_500;
    let disk = Disk::default();
    runtime().block_on(async {
        let stateless = |_: &str| -> Judge {
            let first = first();
            Arc::new(move |columns: &Columns<'_>, state: &[u64], metering: Metering| {
                let outcome = first(columns, state, metering)?;
                Ok(Outcome { state: state.to_vec(), ..outcome })
            })
        };
        let (handle, runner) = with_judge(&disk, engine::config(), stateless);
        let operator = OperatorId::new(12).unwrap();
        let device = |eui: u64| DeviceRequest {
            eui: Eui64(eui),
            mpxn: Mpxn::NONE,
            generation: Generation::Smets1,
            model: String::new(),
            operator,
            ..DeviceRequest::default()
        };
        handle.put_devices((1..=7).map(device).collect()).await.unwrap();
        let scope = Scope { operators: vec![operator], ..Scope::default() };
        let of_operator = RuleRequest { name: "12-first".into(), scope: scope.clone(), ..rule("every", 1, 1) };
        handle.set_rule(of_operator).await.unwrap();
        handle.set_rule(RuleRequest { name: "12-hold".into(), scope, ..rule("hold", 2, 2) }).await.unwrap();
        let mut counter = 0;
        let codes: Vec<u16> = (0..ALERTS as u16).map(|at| at % 3).collect();
        send(&handle, &codes, &mut counter).await;
        send(&handle, &codes, &mut counter).await;
        let before = log(&handle);
        let by_first = |alert: &&LoggedAlert| alert.rule.as_ref().is_some_and(|rule| rule.name == "12-first");
        let positions: Vec<u64> = before.iter().filter(by_first).map(|alert| alert.position.0).collect();
        assert_eq!(positions, [0, 1_024, 2_048, 2_500, 3_524, 4_548], "turns of 1,024");

        let image = disk.after_power_cut(&mut Random::new(1));
        let (other, its_runner) = with_judge(&image, engine::config(), stateless);
        assert_eq!(log(&other), before);
        assert!(other.rules().iter().all(|rule| rule.mode == Mode::Active), "{:?}", other.rules());
        assert_eq!(verified(&other).verdict, Some(Verdict::Same));
        stop(other, its_runner).await;
        stop(handle, runner).await;
    });
}

/// A judge of `every` that, told to cheat, lets everything pass for the parameter 2.
fn cheat(cheats: &Arc<AtomicBool>) -> impl Fn(&str) -> Judge + Send + Sync + 'static {
    let cheats = Arc::clone(cheats);
    let honest = engine::natives().remove(1);
    move |parameters| {
        let Source::Native(_, make) = &honest else { panic!("it is native") };
        let (judge, is_the_one, cheats) = (make(parameters), parameters.contains('2'), Arc::clone(&cheats));
        Arc::new(move |columns: &Columns<'_>, state: &[u64], metering: Metering| {
            let outcome = judge(columns, state, metering)?;
            let verdict =
                if is_the_one && cheats.load(Ordering::Relaxed) { vec![0; columns.len()] } else { outcome.verdict };
            Ok(Outcome { verdict, ..outcome })
        })
    }
}

/// Sets a rule, has it suppress something, sets it or another in its place, and starts the host where the first one cheats.
async fn cheated(second: Option<RuleRequest>) -> (Handle, Runner) {
    let disk = Disk::default();
    let cheats = Arc::new(AtomicBool::new(false));
    let (handle, runner) = with_judge(&disk, engine::config(), cheat(&cheats));
    handle.set_rule(rule("every", 2, 1)).await.unwrap();
    let mut counter = 0;
    send(&handle, &[1, 2, 1, 2], &mut counter).await;
    match second {
        Some(second) => drop(handle.set_rule(second).await.unwrap()),
        None => drop(handle.remove_rule("every", String::new()).await.unwrap()),
    }
    send(&handle, &[1, 2, 1, 2, 5], &mut counter).await;
    let (image, before) = (disk.after_power_cut(&mut Random::new(1)), log(&handle));
    stop(handle, runner).await;
    cheats.store(true, Ordering::Relaxed);
    let (handle, runner) = with_judge(&image, engine::config(), cheat(&cheats));
    assert_eq!(log(&handle), before, "the log is the truth");
    (handle, runner)
}

fn noted(handle: &Handle) -> Vec<AuditEvent> {
    let entries = handle.audit(0, 1_000).unwrap().into_iter().map(|entry| entry.event);
    entries.filter(|event| event.action == "rule.diverged").collect()
}

#[test]
fn only_what_diverged_is_set_aside() {
    runtime().block_on(async {
        // The same again, with another place in the chain: it is what diverged.
        let (handle, runner) = cheated(Some(rule("every", 2, 7))).await;
        assert_eq!(handle.rules()[0].mode, Mode::SetAside);
        stop(handle, runner).await;

        // Other parameters, that go on with the state: innocent, but the state is lost.
        let (handle, runner) = cheated(Some(rule("every", 3, 1))).await;
        let newest = handle.history("every", Revision(u32::MAX), 1).unwrap().remove(0);
        assert_eq!((handle.rules()[0].mode, newest.revision), (Mode::Active, Revision(3)));
        assert!(newest.why.starts_with("its state begins anew at start: revision 1: log position 0"), "{}", newest.why);
        assert!(handle.device(Eui64(3)).await.unwrap().states.is_empty());
        let mut counter = 9;
        send(&handle, &[1, 1], &mut counter).await;
        stop(handle, runner).await;

        // Another plugin under the same name, and none at all: it is noted.
        for second in [Some(RuleRequest { name: "every".into(), ..rule("hold", 5, 1) }), None] {
            let expected = second.as_ref().map(|_| (Mode::Active, Revision(2)));
            let (handle, runner) = cheated(second).await;
            assert_eq!(handle.rules().first().map(|rule| (rule.mode, rule.revision)), expected);
            let noted = noted(&handle);
            assert_eq!((noted.len(), noted[0].subject.as_str()), (1, "every"), "{noted:?}");
            assert!(noted[0].detail.starts_with("revision 1: log position 0"), "{}", noted[0].detail);
            stop(handle, runner).await;
        }
    });
}

/// The same log as a host wrote it that did not say under which settings.
fn without_settings(disk: &Disk) -> Disk {
    let config = engine::config();
    let open = |disk: &Disk| Store::with_backend(disk.clone(), &config.store, acks_kept(&config)).unwrap();
    let store = open(&disk.after_power_cut(&mut Random::new(2)));
    let snapshot = store.load().unwrap();
    let old = Disk::default();
    let mut into = open(&old);
    let devices = snapshot.devices.iter().enumerate().map(|(no, device)| (no as u32, *device)).collect();
    let rules = Effects { devices, revisions: snapshot.revisions, models: snapshot.models, ..Effects::default() };
    into.commit(&rules).unwrap();
    for group in store.reader().groups(Position(0)).unwrap() {
        let group = Group { settings: SettingsNo::UNKNOWN, ..group.unwrap() };
        let position = group.end();
        into.commit(&Effects { group: Some(group), position, ..Effects::default() }).unwrap();
    }
    into.close().unwrap();
    old
}

#[test]
fn where_the_log_does_not_tell_the_settings_no_rule_is_blamed() {
    let disk = Disk::default();
    runtime().block_on(async {
        let (handle, runner) = engine::start(&disk, engine::config()).unwrap();
        handle.set_rule(rule("hold", 5, 1)).await.unwrap();
        handle.set_rule(rule("every", 2, 2)).await.unwrap();
        let mut counter = 0;
        send(&handle, &[1, 2, 3, 5, 1, 2], &mut counter).await;
        send(&handle, &[1, 2, 3, 5, 1, 2], &mut counter).await;
        let (old, before) = (without_settings(&disk), log(&handle));
        stop(handle, runner).await;

        let (_, handle, runner) = again(&old, engine::config());
        same_as(&handle, &before, "as it was").await;
        assert!(noted(&handle).is_empty());
        stop(handle, runner).await;

        for (code, name) in [(1, "every"), (5, "hold")] {
            let mut config = engine::config();
            config.protected_codes = vec![format!("{code:04X}")];
            let (_, handle, runner) = again(&old, config);
            assert_eq!(log(&handle), before);
            assert!(handle.rules().iter().all(|rule| rule.mode == Mode::Active), "{:?}", handle.rules());
            let newest = handle.history(name, Revision(u32::MAX), 1).unwrap().remove(0);
            let said = if name == "every" { newest.why } else { noted(&handle).remove(0).detail };
            assert!(said.contains("no rule is to blame: the log does not tell the settings of then"), "{said}");
            let Some(Verdict::Differs { rule, revision, detail, .. }) = verified(&handle).verdict else {
                panic!("code {code} passes now")
            };
            assert_eq!((rule.as_str(), revision), ("", 0));
            assert!(detail.contains("the log does not tell") && detail.contains(name), "{detail}");
            stop(handle, runner).await;
        }
    });
}
