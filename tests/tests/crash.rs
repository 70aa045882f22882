//! Promise 1: acked means kept. The power is cut at every sync of a seeded workload, and the store opened again.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use weir_host::{domain::Ack, pipeline::Refusal};
use weir_tests::{
    disk::Disk,
    engine::{self, compare, perform},
    model::Model,
    workload::{Random, Size, Step, seed, steps},
};

const SIZE: Size = Size { steps: 45, devices: 1300, batch: 120 };

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

/// Runs steps until one is not answered; gives the acks of batches, by step.
async fn run(handle: &weir_host::pipeline::Handle, steps: &[Step]) -> Vec<(usize, Option<Ack>)> {
    let mut answered = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        match perform(handle, step).await {
            Ok(ack) => answered.push((at, ack)),
            Err(Refusal::Unavailable(_)) => break,
            Err(refusal) => panic!("step {at}: {refusal}"),
        }
    }
    answered
}

#[test]
fn at_every_sync_a_crash_loses_nothing_acked_and_counts_nothing_twice() {
    let seed = seed(20_261_123);
    let steps = steps(seed, SIZE);
    let whole = Disk::default();
    let (created, syncs) = runtime().block_on(async {
        let (handle, runner) = engine::start(&whole, engine::config()).expect("an empty disk");
        let created = whole.syncs();
        // The frail rule fails now and then; nothing else may show it.
        handle.set_rule(engine::rule("frail", 1, 2)).await.expect("a rule");
        handle.set_rule(engine::shadow("shade", "every", 2, 1)).await.expect("a shadow");
        assert_eq!(run(&handle, &steps).await.len(), steps.len());
        let mut model = Model::default();
        steps.iter().for_each(|step| model.fold(step));
        compare(&handle, &model, SIZE.devices, "without a crash").await;
        handle.shutdown().await.expect("a shutdown");
        runner.join();
        (created, whole.syncs())
    });
    println!("{syncs} syncs, {created} of them to make the store; {} steps", steps.len());
    assert!(syncs > 90, "a workload of {} steps syncs at least twice each, found {syncs}", steps.len());
    // A file takes its name only once the empty store in it is whole, so a cut before that leaves none.
    let cuts = Mutex::new(created + 1..=syncs);
    let threads = thread::available_parallelism().map_or(1, usize::from).min(4);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // Let go of before the power is cut, so that others take theirs meanwhile.
                let next = || cuts.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some(sync) = next() {
                    runtime().block_on(crash_at(seed, sync, &steps));
                }
            });
        }
    });
}

async fn crash_at(seed: u64, sync: u64, steps: &[Step]) {
    let context = format!("WEIR_SEED={seed}, power cut at sync {sync}");
    let disk = Disk::default();
    disk.cut_at(sync);
    let mut answered = Vec::new();
    if let Ok((handle, runner)) = engine::start(&disk, engine::config()) {
        let frail = handle.set_rule(engine::rule("frail", 1, 2)).await;
        let shade = handle.set_rule(engine::shadow("shade", "every", 2, 1)).await;
        if frail.is_ok() && shade.is_ok() {
            answered = run(&handle, steps).await;
        }
        drop(handle);
        runner.join();
    }
    let disk = disk.after_power_cut(&mut Random::new(seed ^ sync));
    let (handle, runner) = engine::start(&disk, engine::config()).unwrap_or_else(|why| panic!("{context}: {why}"));

    // What was answered is there; the one step that was under way is there whole or not at all.
    let mut model = Model::default();
    steps[..answered.len()].iter().for_each(|step| model.fold(step));
    let mut done = answered.len();
    if let Some(step) = steps.get(done)
        && is_there(&handle, step).await
    {
        model.fold(step);
        done += 1;
    }
    compare(&handle, &model, SIZE.devices, &context).await;

    // A resend of the last few batches gets the same answer and changes nothing.
    for (at, ack) in answered.iter().rev().take(8) {
        if let Some(ack) = ack {
            let again = perform(&handle, &steps[*at]).await.unwrap_or_else(|why| panic!("{context}: {why}"));
            assert_eq!(again.as_ref(), Some(ack), "{context}: resend of step {at}");
        }
    }
    compare(&handle, &model, SIZE.devices, &format!("{context}, after resends")).await;

    // And the rest goes on from there as if nothing had happened.
    for step in &steps[done..] {
        let ack = perform(&handle, step).await.unwrap_or_else(|why| panic!("{context}: {why}"));
        let balance = model.apply(step);
        if let (Some(ack), Step::Batch { sequence, .. }) = (ack, step) {
            assert!(Model::agrees(balance, *sequence, &ack), "{context}: {ack:?}, expected {balance:?}");
        }
    }
    compare(&handle, &model, SIZE.devices, &format!("{context}, at the end")).await;
    handle.shutdown().await.unwrap_or_else(|why| panic!("{context}: {why}"));
    runner.join();
}

/// Whether the step that had no answer took effect.
async fn is_there(handle: &weir_host::pipeline::Handle, step: &Step) -> bool {
    let parameters = |name: &str| {
        let rules = handle.rules();
        rules.iter().find(|rule| rule.name == name).map(|rule| rule.parameters.clone())
    };
    match step {
        Step::Batch { producer, sequence, .. } => {
            handle.producer(producer).await.map(|standing| standing.last) == Ok(*sequence)
        }
        Step::Hold(code) => parameters("hold") == Some(format!("{{\"n\":{code}}}")),
        Step::Every(n) => parameters("every") == Some(format!("{{\"n\":{n}}}")),
        Step::RemoveEvery => parameters("every").is_none(),
        Step::Devices(devices, operator) => {
            for device in devices {
                let view = handle.device(weir_host::domain::Eui64(*device)).await;
                if !view.is_ok_and(|view| u32::from(view.device.operator.get()) == *operator) {
                    return false;
                }
            }
            true
        }
    }
}
