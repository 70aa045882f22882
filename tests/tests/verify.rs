//! Verification: the log folded again gives what was recorded, and a record that does not follow from itself is named.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use weir_host::{
    domain::{Columns, Metering, Outcome},
    listing::{AlertQuery, LoggedAlert},
    pipeline::{Handle, Parts, Refusal, Runner, start_with},
    registry::Source,
    whatif::{Verdict, Verification},
};
use weir_tests::{
    disk::Disk,
    engine::{self, perform, rule},
    workload::{Size, seed, steps},
};

const SIZE: Size = Size { steps: 60, devices: 40, batch: 60 };

fn log(handle: &Handle) -> Vec<LoggedAlert> {
    handle.alerts(&AlertQuery { page_size: 1_000_000, ..AlertQuery::default() }).unwrap().alerts
}

async fn verified(handle: &Handle) -> Verification {
    handle.start_verification(None, None).unwrap();
    loop {
        let (verification, _) = handle.verification().unwrap();
        if verification.ended_ms.is_some() {
            return verification;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_log_is_verified_and_a_record_that_does_not_follow_is_named() {
    let disk = Disk::default();
    let steps = steps(seed(13), SIZE);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cheats = Arc::new(AtomicBool::new(false));
        let (handle, runner) = cheating(&disk, Arc::clone(&cheats));
        assert!(matches!(handle.verification(), Err(Refusal::NotFound { .. })));
        handle.set_rule(rule("frail", 1, 2)).await.unwrap();
        for step in &steps {
            perform(&handle, step).await.unwrap();
        }
        let same = verified(&handle).await;
        let log = log(&handle);
        assert_eq!((same.verdict.clone(), same.alerts), (Some(Verdict::Same), log.len() as u64));
        assert!(same.not_replayable.contains_key("trap") && same.taken_at_their_word.is_empty(), "{same:?}");
        handle.shutdown().await.unwrap();
        runner.join();

        let (handle, runner) = cheating(&disk, Arc::clone(&cheats));
        assert_eq!(handle.verification().unwrap().0, same, "the result was kept");
        // From here on `hold` suppresses nothing: the first alert that it did suppress does not follow any more.
        let held = log.iter().find(|alert| !alert.overruled && alert.rule.as_ref().is_some_and(|by| by.name == "hold"));
        cheats.store(true, Ordering::Relaxed);
        let found = verified(&handle).await;
        let Some(Verdict::Differs { position, rule, .. }) = found.verdict else { panic!("{found:?}") };
        let first = log.iter().find(|alert| alert.rule.as_ref().is_some_and(|by| by.name == "hold"));
        assert_eq!(rule, "hold");
        let expected = [held.unwrap().position.0, first.unwrap().position.0];
        assert!(expected.contains(&position), "{position}, not one of {expected:?}");
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

/// A host whose rule `hold` suppresses nothing any more once it is told to cheat.
fn cheating(disk: &Disk, cheats: Arc<AtomicBool>) -> (Handle, Runner) {
    let natives = engine::natives().into_iter().map(|source| match source {
        Source::Native(info, make) if info.name == "hold" => {
            let cheats = Arc::clone(&cheats);
            Source::Native(
                info,
                Arc::new(move |parameters| {
                    let (judge, cheats) = (make(parameters), Arc::clone(&cheats));
                    Arc::new(move |columns: &Columns<'_>, state: &[u64], metering: Metering| {
                        let outcome = judge(columns, state, metering)?;
                        let cheats = cheats.load(Ordering::Relaxed);
                        let verdict = if cheats { vec![0; columns.len()] } else { outcome.verdict };
                        Ok(Outcome { verdict, ..outcome })
                    })
                }),
            )
        }
        other => other,
    });
    start_with(Parts { natives: natives.collect(), ..engine::parts(disk, engine::config()).unwrap() }).unwrap()
}

#[test]
fn a_host_verifies_by_itself_when_it_is_told_to() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config = engine::config();
        config.verify.every_s = 1;
        let (handle, runner) = engine::start(&Disk::default(), config).unwrap();
        let until = std::time::Instant::now() + Duration::from_secs(30);
        while handle.verification().is_err() {
            assert!(std::time::Instant::now() < until, "nothing was verified");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(handle.verification().unwrap().0.scheduled);
        handle.shutdown().await.unwrap();
        runner.join();
    });
}
