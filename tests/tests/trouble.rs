//! When things go wrong around the engine: a full disk, rules that fail again and again, a rule that is not pure.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use weir_host::{
    domain::{Columns, Eui64, Judge, Metering, Mode, Outcome, Revision},
    pipeline::{Batch, Handle, Parts, Refusal, Status, start_with},
    registry::Source,
};
use weir_tests::{
    disk::Disk,
    engine::{self, compare, natives, perform},
    model::Model,
    workload::{FRAIL, NOW_MS, Size, plain, steps},
};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

async fn send(handle: &Handle, codes: &[u16], counter: &mut u64) -> Result<weir_host::domain::Ack, Refusal> {
    let alerts = codes
        .iter()
        .map(|code| {
            *counter += 1;
            Ok(plain(1 + *counter % 50, *counter, *code))
        })
        .collect();
    let answer = handle.submit(Batch { alerts, ..Batch::default() }).await?;
    answer.await.map_err(|_| handle.no_answer())?
}

#[test]
fn a_full_disk_pushes_back_says_so_and_goes_on_when_there_is_room() {
    const SIZE: Size = Size { steps: 200, devices: 1500, batch: 500 };
    let disk = Disk::default();
    runtime().block_on(async {
        let (handle, runner) = engine::start(&disk, engine::config()).unwrap();
        disk.limit(Some(disk.len() + 300_000));
        let mut model = Model::default();
        let mut refused = 0;
        for (at, step) in steps(7, SIZE).iter().enumerate() {
            loop {
                match perform(&handle, step).await {
                    Ok(_) => break,
                    Err(Refusal::Unavailable(why)) => {
                        let words = ["no room", "send it again", "look whether it was"];
                        assert!(words.iter().any(|word| why.contains(word)), "step {at}: {why}");
                        refused += 1;
                        if refused == 20 {
                            assert_eq!(*handle.status().borrow(), Status::StoreFull);
                            disk.limit(None);
                        }
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    Err(refusal) => panic!("step {at}: {refusal}"),
                }
            }
            model.fold(step);
        }
        assert!(refused >= 20, "the disk must have been full, {refused} refusals");
        assert_eq!(*handle.status().borrow(), Status::Serving);
        compare(&handle, &model, SIZE.devices, "after a full disk").await;
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn a_disk_that_fails_otherwise_stops_the_host_and_says_why() {
    let disk = Disk::default();
    runtime().block_on(async {
        let (handle, runner) = engine::start(&disk, engine::config()).unwrap();
        let mut counter = 0;
        send(&handle, &[1, 2], &mut counter).await.unwrap();
        disk.cut_at(disk.syncs() + 1);
        let refusal = send(&handle, &[1, 2], &mut counter).await.unwrap_err();
        // Whether it is on the disk nobody can know.
        let said = "the host failed before it could say whether the batch was taken; send it again under the same";
        assert!(matches!(&refusal, Refusal::Unavailable(why) if why.starts_with(said)), "{refusal:?}");
        runner.join();
        let status = handle.status().borrow().clone();
        assert!(matches!(&status, Status::Stopped(why) if why.contains("the power is gone")), "{status:?}");
        assert!(matches!(send(&handle, &[1], &mut counter).await, Err(Refusal::Unavailable(_))));
    });
}

#[test]
fn a_rule_that_fails_again_and_again_is_quarantined_and_its_alerts_pass() {
    let disk = Disk::default();
    runtime().block_on(async {
        let (handle, runner) = engine::start(&disk, engine::config()).unwrap();
        handle.set_rule(engine::rule("frail", 1, 1)).await.unwrap();
        let mut counter = 0;
        for round in 0..3 {
            let mode = handle.rules()[0].mode;
            assert_eq!(mode, Mode::Active, "round {round}");
            let ack = send(&handle, &[FRAIL, 1], &mut counter).await.unwrap();
            assert_eq!(ack.balance.forwarded, 2);
        }
        let rule = handle.rules().remove(0);
        assert_eq!((rule.mode, rule.fault_count), (Mode::Quarantined, 3));
        let first = "trap: it met the code it cannot stand (the alert at log position 0, device ";
        assert!(rule.last_fault.starts_with(first), "searched for once, and named for good: {}", rule.last_fault);
        let listed = handle.history("frail", Revision(u32::MAX), 10).unwrap();
        assert_eq!((listed.len(), listed[0].who.as_str()), (2, "host"));
        assert!(listed[0].why.starts_with("quarantined for 60 s: 3 calls failed within 300 s: trap: "), "{listed:?}");

        // Somebody releases it, and it judges again; two failures are not three.
        let released = handle.release_rule("frail", "a guess".into()).await.unwrap();
        assert_eq!(released.mode, Mode::Active);
        for codes in [[FRAIL, 1], [1, 1], [FRAIL, 1]] {
            send(&handle, &codes, &mut counter).await.unwrap();
        }
        assert_eq!(handle.rules()[0].mode, Mode::Active);
        let again = handle.release_rule("frail", String::new()).await.unwrap_err();
        assert_eq!(again.to_string(), "rule frail is active: only what the host stopped is released");
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn the_alert_that_alone_makes_a_rule_fail_is_named() {
    let disk = Disk::default();
    runtime().block_on(async {
        let (handle, runner) = engine::start(&disk, engine::config()).unwrap();
        handle.set_rule(engine::rule("frail", 1, 1)).await.unwrap();
        let mut counter = 0;
        send(&handle, &[1, 2, 3, FRAIL, 5], &mut counter).await.unwrap();
        let fault = handle.rules().remove(0).last_fault;
        let poison = format!("(the alert at log position 3, device {}, code {FRAIL:04X}, does it alone)", Eui64(5));
        assert!(fault.ends_with(&poison), "{fault}");
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn a_quarantined_rule_is_tried_again_ever_later_and_stays_when_it_went_well() {
    let disk = Disk::default();
    let now_ms = Arc::new(AtomicI64::new(NOW_MS));
    let start = || {
        let now_ms = Arc::clone(&now_ms);
        engine::start_at(&disk, engine::config(), Arc::new(move || now_ms.load(Ordering::Relaxed))).unwrap()
    };
    let later = |s: i64| now_ms.fetch_add(s * 1_000, Ordering::Relaxed);
    runtime().block_on(async {
        let (mut handle, mut runner) = start();
        handle.set_rule(engine::rule("frail", 1, 1)).await.unwrap();
        let mut counter = 0;
        for _ in 0..3 {
            send(&handle, &[FRAIL], &mut counter).await.unwrap();
        }
        for (trials, wait_s) in [60, 120, 240, 480].into_iter().enumerate() {
            // The power goes: what was decided of the rule is in the log.
            disk.cut_at(disk.syncs());
            drop(send(&handle, &[1], &mut counter).await);
            runner.join();
            disk.replace(disk.after_power_cut(&mut weir_tests::workload::Random::new(11)));
            (handle, runner) = start();

            later(wait_s - 1);
            send(&handle, &[FRAIL], &mut counter).await.unwrap();
            assert_eq!(handle.rules()[0].mode, Mode::Quarantined, "a second before {wait_s} s are over");
            assert_eq!(handle.rules()[0].fault_count, 3 + trials as u64, "it is not called");
            later(1);
            send(&handle, &[FRAIL], &mut counter).await.unwrap();
            let rule = handle.rules().remove(0);
            assert_eq!(
                (rule.mode, rule.fault_count),
                (Mode::Quarantined, 4 + trials as u64),
                "one failure ends a trial"
            );
        }
        later(960);
        send(&handle, &[1, 2], &mut counter).await.unwrap();
        assert_eq!(handle.rules()[0].mode, Mode::Active);
        later(960);
        for _ in 0..2 {
            send(&handle, &[FRAIL], &mut counter).await.unwrap();
        }
        assert_eq!(handle.rules()[0].mode, Mode::Active, "the trial went well: two failures are not three");
        send(&handle, &[FRAIL], &mut counter).await.unwrap();
        let last = handle.history("frail", Revision(u32::MAX), 1).unwrap().remove(0);
        assert!(last.why.starts_with("quarantined for 60 s: 3 calls"), "{}", last.why);
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn the_log_goes_by_size_and_never_what_recovery_needs() {
    let mut config = engine::config();
    config.store.log_bytes_max = 20_000;
    let disk = Disk::default();
    runtime().block_on(async {
        let (handle, runner) = engine::start(&disk, config.clone()).unwrap();
        let mut counter = 0;
        for _ in 0..80 {
            send(&handle, &[1; 200], &mut counter).await.unwrap();
        }
        send(&handle, &[1; 200], &mut counter).await.unwrap();
        let kept = engine::log(&handle).len();
        assert!((200..8_000).contains(&kept), "{kept} of 16,200 alerts are kept, about 20,000 bytes of them");
        let total = handle.counts(&Default::default()).unwrap().total.balance.received();
        assert_eq!(total, 16_200, "the books outlive the log");

        // The power goes: what is kept is enough to recover.
        disk.cut_at(disk.syncs());
        drop(send(&handle, &[1], &mut counter).await);
        runner.join();
        disk.replace(disk.after_power_cut(&mut weir_tests::workload::Random::new(5)));
        let (handle, runner) = engine::start(&disk, config).unwrap();
        let total = handle.counts(&Default::default()).unwrap().total.balance.received();
        assert_eq!(total, 16_200);
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

/// Suppresses every other alert it is ever shown: not pure, since it remembers beside its state.
fn impure(calls: Arc<AtomicU64>) -> Judge {
    Arc::new(move |columns: &Columns<'_>, state: &[u64], _: Metering| {
        let odd = |_: &u64| u8::from(calls.fetch_add(1, Ordering::Relaxed) % 2 == 1);
        let verdict = columns.device.iter().map(odd).collect();
        Ok(Outcome { verdict, withheld: Vec::new(), state: state.to_vec() })
    })
}

#[test]
fn a_rule_that_does_not_do_again_what_it_did_is_named_and_set_aside_at_start() {
    let disk = Disk::default();
    let calls = Arc::new(AtomicU64::new(0));
    let start = || {
        let calls = Arc::clone(&calls);
        let mut natives = natives();
        let info = natives[1].info().clone();
        natives[1] = Source::Native(Box::new(info), Arc::new(move |_| impure(Arc::clone(&calls))));
        start_with(Parts { natives, ..engine::parts(&disk, engine::config())? })
    };
    runtime().block_on(async {
        let (handle, runner) = start().unwrap();
        handle.set_rule(engine::rule("every", 2, 1)).await.unwrap();
        handle.set_rule(engine::rule("hold", 0x8014, 2)).await.unwrap();
        let mut counter = 0;
        send(&handle, &[1, 0x8014, 2, 0x8014, 3], &mut counter).await.unwrap();
        let before = engine::log(&handle);
        // The power goes before anything but the log was written.
        disk.cut_at(disk.syncs());
        drop(send(&handle, &[1], &mut counter).await);
        runner.join();

        calls.store(1, Ordering::Relaxed);
        let again = disk.after_power_cut(&mut weir_tests::workload::Random::new(1));
        disk.replace(again);
        let (handle, runner) = start().unwrap();
        let rules = handle.rules();
        assert_eq!(rules[0].name, "every");
        assert_eq!(rules[0].mode, Mode::SetAside);
        assert!(rules[0].last_fault.contains("log position 0"), "{}", rules[0].last_fault);
        assert_eq!(rules[1].mode, Mode::Active);
        assert_eq!(engine::log(&handle), before, "the log is the truth");
        assert!(handle.device(Eui64(2)).await.unwrap().states.is_empty(), "its state starts anew");
        send(&handle, &[5, 0x8014], &mut counter).await.unwrap();
        handle.shutdown().await.unwrap();
        runner.join();
    });
}
