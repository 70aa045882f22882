//! Rules tried beside the others: what a comparison says is what a model says, a promotion that goes wrong goes back by
//! itself, and a shadow that fails stays a shadow.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use proptest::prelude::*;
use weir_host::{
    books::Grouping,
    comparison::{Agreement, ComparisonQuery},
    domain::{Balance, End, Mode, Revision},
    pipeline::{Batch, Handle, Promotion, Refusal, RuleRequest, Runner},
};
use weir_tests::{
    disk::Disk,
    engine::{self, compare, shadow},
    host::Host,
    model::Model,
    workload::{FRAIL, NOW_MS, Random, Size, plain, steps, together},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const PROTECTED: u16 = 0x8F36;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

/// Sends alerts of some codes, a device each.
async fn send(handle: &Handle, codes: &[u16], counter: &mut u64) -> Result<Balance, Refusal> {
    *counter += 1;
    let alert = |(at, code): (usize, &u16)| Ok(plain(at as u64 + 1, *counter, *code));
    let alerts = codes.iter().enumerate().map(alert).collect();
    let answer = handle.submit(Batch { alerts, ..Batch::default() }).await?;
    Ok(answer.await.map_err(|_| handle.unavailable())??.balance)
}

/// What a shadow that lets each second alert of a device and code pass, behind `hold`, would have said.
fn expected(model: &Model) -> (BTreeMap<u16, Agreement>, u64) {
    let (mut rows, mut held_before) = (BTreeMap::<u16, Agreement>::new(), 0);
    let mut seen: BTreeMap<(u64, u16), u64> = BTreeMap::new();
    for entry in model.log.iter().filter(|entry| entry.end != End::Duplicate) {
        if entry.end == End::Suppressed && entry.rule == "hold" {
            held_before += 1;
            continue;
        }
        let seen = seen.entry((entry.device, entry.code)).or_default();
        *seen += 1;
        let row = rows.entry(entry.code).or_default();
        *match (entry.end, seen.is_multiple_of(2)) {
            (End::Forwarded, true) => &mut row.both_forward,
            (End::Forwarded, false) if entry.code == PROTECTED => &mut row.overruled,
            (End::Forwarded, false) => &mut row.would_suppress,
            (_, true) => &mut row.would_forward,
            (_, false) => &mut row.both_suppress,
        } += 1;
    }
    (rows, held_before)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn a_comparison_is_what_a_model_says(seed in any::<u64>().no_shrink()) {
        let size = Size { steps: 30, devices: 200, batch: 150 };
        let disk = Disk::default();
        runtime().block_on(async {
            let (handle, runner, groups) = engine::start_grouped(&disk, engine::config()).unwrap();
            handle.set_rule(shadow("shade", "every", 2, 2)).await.unwrap();
            let mut model = Model::default();
            for together in together(seed, &steps(seed, size)) {
                groups.perform(&handle, together, 0).await.unwrap();
                together.iter().for_each(|step| model.fold(step));
            }
            compare(&handle, &model, size.devices, &format!("seed {seed}")).await;
            let query = ComparisonQuery {
                rule: "shade".into(),
                group_by: vec![Grouping::Code],
                samples_max: 3,
                ..ComparisonQuery::default()
            };
            let found = handle.compare(&query).unwrap();
            let (rows, held_before) = expected(&model);
            let by_code: BTreeMap<u16, Agreement> =
                found.rows.iter().map(|(key, row)| (key.code.unwrap().unwrap().0, *row)).collect();
            assert_eq!((by_code, found.held_before, found.shed, found.failed), (rows, held_before, 0, 0), "seed {seed}");
            for (alert, reason) in handle.differences("shade", &found.samples).unwrap() {
                assert_eq!(alert.end == End::Forwarded, reason.is_some(), "seed {seed}: {alert:?}");
            }
            handle.shutdown().await.unwrap();
            runner.join();
        });
    }
}

fn promotion(name: &str, percent: u32) -> Promotion {
    Promotion {
        name: name.into(),
        suppressed_max_basis_points: percent * 100,
        alerts_min: 10,
        window_ms: 60_000,
        why: "a trial".into(),
    }
}

/// A shadow that would suppress a code.
fn hold(code: u16) -> RuleRequest {
    shadow("next", "hold", u64::from(code), 5)
}

#[test]
fn a_rule_that_breaks_its_guard_goes_back_and_stays_back_when_the_power_goes() {
    let disk = Disk::default();
    runtime().block_on(async {
        let (handle, runner) = engine::start(&disk, engine::config()).unwrap();
        handle.set_rule(hold(1)).await.unwrap();
        let mut counter = 0;
        assert_eq!(send(&handle, &[1; 20], &mut counter).await.unwrap().forwarded, 20);

        let promoted = handle.promote_rule(promotion("next", 30)).await.unwrap();
        assert_eq!((promoted.mode, promoted.guard.unwrap().fallback), (Mode::Active, Revision(1)));
        assert_eq!(send(&handle, &[1, 2, 1, 2, 1, 2, 1, 2, 1], &mut counter).await.unwrap().suppressed, 5, "9 are few");
        assert_eq!(handle.rules()[0].mode, Mode::Active);
        assert_eq!(send(&handle, &[1, 2], &mut counter).await.unwrap().suppressed, 1, "judged before the guard broke");
        let back = handle.rules().remove(0);
        assert_eq!((back.mode, back.guard, back.revision), (Mode::Shadow, None, Revision(3)));
        let why = "its guard broke: it suppressed 6 of 11 alerts, 54.55 %; 30.00 % are allowed; back to revision 1";
        let history = handle.history("next", Revision(u32::MAX), 1).unwrap();
        assert_eq!((history[0].who.as_str(), history[0].why.as_str()), ("host", why));

        disk.cut_at(disk.syncs());
        drop(send(&handle, &[1], &mut counter).await);
        runner.join();
        let (handle, runner) = engine::start(&disk.after_power_cut(&mut Random::new(3)), engine::config()).unwrap();
        assert_eq!((handle.rules()[0].mode, handle.rules()[0].revision), (Mode::Shadow, Revision(3)));
        assert_eq!(send(&handle, &[1; 20], &mut counter).await.unwrap().forwarded, 20);
        let found = handle.compare(&ComparisonQuery { rule: "next".into(), ..ComparisonQuery::default() }).unwrap();
        assert_eq!(found.total, Agreement { would_suppress: 40, ..Agreement::default() }, "while it was a shadow");
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn a_guard_ends_with_its_time_and_a_protected_code_breaks_any() {
    let disk = Disk::default();
    let now_ms = Arc::new(AtomicI64::new(NOW_MS));
    let clock = Arc::clone(&now_ms);
    runtime().block_on(async {
        let (handle, runner) =
            engine::start_at(&disk, engine::config(), Arc::new(move || clock.load(Ordering::Relaxed))).unwrap();
        handle.set_rule(hold(PROTECTED)).await.unwrap();
        let mut counter = 0;
        handle.promote_rule(promotion("next", 100)).await.unwrap();
        send(&handle, &[1, PROTECTED, 1], &mut counter).await.unwrap();
        assert_eq!(handle.rules()[0].mode, Mode::Shadow);
        let why = "its guard broke: it would have suppressed 1 alerts with a protected code; back to revision 1";
        assert_eq!(handle.history("next", Revision(u32::MAX), 1).unwrap()[0].why, why);

        handle.set_rule(hold(1)).await.unwrap();
        handle.promote_rule(promotion("next", 30)).await.unwrap();
        send(&handle, &[1, 2, 2, 2], &mut counter).await.unwrap();
        now_ms.fetch_add(60_000, Ordering::Relaxed);
        send(&handle, &[2], &mut counter).await.unwrap();
        assert_eq!(send(&handle, &[1; 50], &mut counter).await.unwrap().suppressed, 50);
        assert_eq!(handle.rules()[0].mode, Mode::Active, "the guard is over");

        let again = handle.promote_rule(promotion("next", 30)).await.unwrap_err();
        let only = "rule next is active: only a shadow rule is promoted; set it in mode shadow first";
        assert_eq!(again, Refusal::Precondition(only.into()));
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

/// A host on a disk, with a clock that is set by hand.
fn start_at(disk: &Disk, now_ms: &Arc<AtomicI64>) -> (Handle, Runner) {
    let clock = Arc::clone(now_ms);
    engine::start_at(disk, engine::config(), Arc::new(move || clock.load(Ordering::Relaxed))).unwrap()
}

/// Why the last revision of `next` was made, and its mode.
fn last_change(handle: &Handle) -> (Mode, String) {
    let last = handle.history("next", Revision(u32::MAX), 1).unwrap().remove(0);
    (last.rule.unwrap().mode, last.why)
}

#[test]
fn a_guard_goes_on_counting_over_restarts_and_changes_to_other_rules() {
    let disk = Disk::default();
    let now_ms = Arc::new(AtomicI64::new(NOW_MS));
    runtime().block_on(async {
        let (handle, runner) = start_at(&disk, &now_ms);
        handle.set_rule(hold(1)).await.unwrap();
        handle.promote_rule(promotion("next", 30)).await.unwrap();
        let mut counter = 0;
        send(&handle, &[1, 1, 2], &mut counter).await.unwrap();
        handle.shutdown().await.unwrap();
        runner.join();

        let (handle, runner) = start_at(&disk, &now_ms);
        handle.set_rule(engine::rule("every", 1, 9)).await.unwrap();
        send(&handle, &[1, 1, 2, 2], &mut counter).await.unwrap();
        disk.cut_at(disk.syncs());
        drop(send(&handle, &[1], &mut counter).await);
        runner.join();

        let disk = disk.after_power_cut(&mut Random::new(5));
        let (handle, runner) = start_at(&disk, &now_ms);
        assert_eq!(handle.rules()[0].mode, Mode::Active);
        send(&handle, &[1, 2, 2], &mut counter).await.unwrap();
        let why = "its guard broke: it suppressed 5 of 10 alerts, 50.00 %; 30.00 % are allowed; back to revision 1";
        assert_eq!(last_change(&handle), (Mode::Shadow, why.into()));
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn a_guard_that_ended_never_comes_back() {
    let disk = Disk::default();
    let now_ms = Arc::new(AtomicI64::new(NOW_MS));
    runtime().block_on(async {
        let (handle, runner) = start_at(&disk, &now_ms);
        handle.set_rule(hold(1)).await.unwrap();
        handle.promote_rule(promotion("next", 30)).await.unwrap();
        let mut counter = 0;
        send(&handle, &[1, 2, 2, 2], &mut counter).await.unwrap();
        now_ms.fetch_add(60_000, Ordering::Relaxed);
        send(&handle, &[1; 20], &mut counter).await.unwrap();
        // What came when it was over is not counted.
        let ended = (Mode::Active, "its guard ended: it suppressed 1 of 4 alerts, 25.00 %".to_owned());
        assert_eq!((last_change(&handle), handle.rules()[0].guard), (ended.clone(), None));

        handle.set_rule(engine::rule("every", 1, 9)).await.unwrap();
        assert_eq!(send(&handle, &[1], &mut counter).await.unwrap().suppressed, 1);
        handle.shutdown().await.unwrap();
        runner.join();
        let (handle, runner) = start_at(&disk, &now_ms);
        assert_eq!(send(&handle, &[1], &mut counter).await.unwrap().suppressed, 1);
        assert_eq!(last_change(&handle), ended);
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn a_guard_that_ends_while_the_host_is_down_counts_what_was_shown_before() {
    for (codes, mode, why) in [
        (&[1, 2, 2, 2][..], Mode::Active, "its guard ended: it suppressed 1 of 4 alerts, 25.00 %"),
        (
            &[1],
            Mode::Shadow,
            "its guard broke: it suppressed 1 of 1 alerts, 100.00 %; 30.00 % are allowed; back to revision 1",
        ),
        (&[], Mode::Active, "its guard ended: it suppressed 0 of 0 alerts, 0.00 %"),
    ] {
        let disk = Disk::default();
        let now_ms = Arc::new(AtomicI64::new(NOW_MS));
        runtime().block_on(async {
            let (handle, runner) = start_at(&disk, &now_ms);
            handle.set_rule(hold(1)).await.unwrap();
            handle.promote_rule(promotion("next", 30)).await.unwrap();
            let mut counter = 0;
            send(&handle, codes, &mut counter).await.unwrap();
            handle.shutdown().await.unwrap();
            runner.join();
            now_ms.fetch_add(90_000, Ordering::Relaxed);
            let (handle, runner) = start_at(&disk, &now_ms);
            let suppressed = send(&handle, &[1, 1, 1], &mut counter).await.unwrap().suppressed;
            assert_eq!(suppressed, if mode == Mode::Active { 3 } else { 0 }, "{why}");
            assert_eq!(last_change(&handle), (mode, why.into()));
            handle.shutdown().await.unwrap();
            runner.join();
        });
    }
}

#[test]
fn a_guard_goes_on_where_its_rule_is_quarantined_and_tried_again() {
    let disk = Disk::default();
    let now_ms = Arc::new(AtomicI64::new(NOW_MS));
    runtime().block_on(async {
        let (handle, runner) = start_at(&disk, &now_ms);
        // It suppresses all that it does not fail on.
        handle.set_rule(shadow("next", "spent", 1, 5)).await.unwrap();
        handle.promote_rule(Promotion { window_ms: 600_000, ..promotion("next", 70) }).await.unwrap();
        let mut counter = 0;
        for _ in 0..3 {
            send(&handle, &[FRAIL], &mut counter).await.unwrap();
        }
        assert_eq!(handle.rules()[0].mode, Mode::Quarantined);
        now_ms.fetch_add(60_000, Ordering::Relaxed);
        send(&handle, &[1; 9], &mut counter).await.unwrap();
        let why = "its guard broke: it suppressed 9 of 12 alerts, 75.00 %; 70.00 % are allowed; back to revision 1";
        assert_eq!(last_change(&handle), (Mode::Shadow, why.into()));
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn a_shadow_that_fails_is_quarantined_and_comes_back_as_a_shadow() {
    let disk = Disk::default();
    let now_ms = Arc::new(AtomicI64::new(NOW_MS));
    let clock = Arc::clone(&now_ms);
    runtime().block_on(async {
        let (handle, runner) =
            engine::start_at(&disk, engine::config(), Arc::new(move || clock.load(Ordering::Relaxed))).unwrap();
        handle.set_rule(shadow("frail-shade", "frail", 1, 1)).await.unwrap();
        let mut counter = 0;
        for _ in 0..3 {
            assert_eq!(send(&handle, &[FRAIL, 1], &mut counter).await.unwrap().forwarded, 2);
        }
        assert_eq!(handle.rules()[0].mode, Mode::Quarantined);
        assert_eq!(handle.release_rule("frail-shade", String::new()).await.unwrap().mode, Mode::Shadow);
        for _ in 0..3 {
            send(&handle, &[FRAIL], &mut counter).await.unwrap();
        }
        assert_eq!(handle.rules()[0].mode, Mode::Quarantined);
        now_ms.fetch_add(60_000, Ordering::Relaxed);
        send(&handle, &[1], &mut counter).await.unwrap();
        assert_eq!(handle.rules()[0].mode, Mode::Shadow, "tried again");
        let query = ComparisonQuery { rule: "frail-shade".into(), ..ComparisonQuery::default() };
        let found = handle.compare(&query).unwrap();
        assert_eq!((found.total.both_forward, found.failed), (1, 9));
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn a_shadow_is_compared_and_promoted_through_the_binary() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, &folder.path().join("data"));
    host.json(["plugin", "push", env!("WEIR_GUEST_THRESHOLD"), "--json"]);
    let rule = |name: &str, below_dv: u32, mode: &str, position: &str| {
        let parameters = format!(r#"{{"codes":["8F40"],"below_dv":{below_dv}}}"#);
        let set = ["rule", "set", name, "--plugin", "threshold", "--parameters", &parameters];
        host.json(set.into_iter().chain(["--mode", mode, "--position", position, "--json"])).remove(0)
    };
    rule("volts", 2530, "active", "10");
    assert_eq!(rule("next", 2580, "shadow", "5")["mode"], "shadow");

    // 100 below both limits, 60 between them, 40 above both.
    let row = |at: usize| {
        let dv = [2500, 2550, 2600][usize::from(at >= 100) + usize::from(at >= 160)];
        format!("00-0D-6F-00-00-00-00-{:02X},8F40,{dv}\n", at + 1)
    };
    let file = folder.path().join("alerts.csv");
    fs::write(&file, format!("device,code,measurement_dv\n{}", (0..200).map(row).collect::<String>())).unwrap();
    host.json(["alert", "send", file.to_str().unwrap(), "--format", "csv", "--json"]);

    let found = host.json(["rule", "compare", "next", "--by", "code,generation", "--samples", "4", "--json"]).remove(0);
    let row = &found["rows"][0];
    assert_eq!((&row["code"], &row["generation"]), (&"8F40".into(), &"unknown".into()), "{found}");
    for (figure, count) in
        [("both_forward", 40), ("both_suppress", 100), ("would_suppress", 60), ("would_forward", 0), ("overruled", 0)]
    {
        assert_eq!((&row[figure], &found["total"][figure]), (&count.into(), &count.into()), "{figure}");
    }
    let samples = found["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 4);
    assert!(samples.iter().all(|s| s["would_suppress"] == true && s["alert"]["alert"]["measurement"] == 2550));
    let shown = String::from_utf8(host.weir(["rule", "compare", "next"]).stdout).unwrap();
    assert!(shown.contains("70.00 %") && shown.contains("255.0 V") && shown.contains("suppressed: "), "{shown}");

    let wrong: [(&[&str], &str); 4] = [
        (&["rule", "compare", "volts"], "rule volts never was a shadow"),
        (&["rule", "compare", "next", "--by", "rule"], "group by neither rule nor rejection"),
        (&["rule", "promote", "volts"], "only a shadow rule is promoted"),
        (&["rule", "promote", "next", "--abort-above", "30"], "expected suppressed>N%"),
    ];
    for (arguments, message) in wrong {
        let output = host.weir(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(64) && said.contains(message), "{arguments:?}: {said}");
    }

    let promote = ["rule", "promote", "next", "--abort-above", "suppressed>50%", "--after-alerts", "100", "--json"];
    let promoted = host.json(promote).remove(0);
    assert_eq!(
        (&promoted["mode"], &promoted["guard"]["suppressed_max_basis_points"]),
        (&"active".into(), &5000.into())
    );
    let again = |at: usize| format!("00-0D-6F-00-00-00-00-{:02X},8F40,2550\n", at + 1);
    fs::write(&file, format!("device,code,measurement_dv\n{}", (0..200).map(again).collect::<String>())).unwrap();
    host.json(["alert", "send", file.to_str().unwrap(), "--format", "csv", "--json"]);
    let history = host.json(["rule", "history", "next", "--json"]);
    assert_eq!((&history[0]["who"], &history[0]["rule"]["mode"]), (&"host".into(), &"shadow".into()));
    let why = history[0]["why"].as_str().unwrap();
    assert!(why.contains("it suppressed 200 of 200 alerts, 100.00 %; 50.00 % are allowed"), "{why}");
    assert_eq!(host.stop(), Some(0));
}
