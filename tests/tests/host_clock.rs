//! A host whose own clock is wrong: nothing is rejected for good and nothing is dropped for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use weir_host::{
    config::Config,
    domain::{Ack, Role, SenderLimits},
    pipeline::{Batch, Handle, NewToken, Refusal, Runner, Status, WrongClock},
};
use weir_tests::{
    disk::Disk,
    engine,
    host::Host,
    workload::{NOW_MS, plain},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// A machine: its disk, its clock, and the time that passes.
struct Machine {
    disk: Disk,
    wall: Arc<AtomicI64>,
    passed_ms: Arc<AtomicU64>,
    config: Config,
    counter: u64,
}

impl Machine {
    fn new() -> Self {
        let mut config = engine::config();
        config.store.retention_days_max = 40;
        let (wall, passed_ms) = (Arc::new(AtomicI64::new(NOW_MS)), Arc::default());
        Self { disk: Disk::default(), wall, passed_ms, config, counter: 0 }
    }

    fn start(&self) -> (Handle, Runner) {
        let (wall, passed_ms) = (Arc::clone(&self.wall), Arc::clone(&self.passed_ms));
        engine::start_when(
            &self.disk,
            self.config.clone(),
            Arc::new(move || wall.load(SeqCst)),
            Arc::new(move || Duration::from_millis(passed_ms.load(SeqCst))),
        )
        .unwrap()
    }

    /// Time passes, and the clock shows it.
    fn pass(&self, ms: i64) {
        self.passed_ms.fetch_add(ms.unsigned_abs(), SeqCst);
        self.set(ms);
    }

    /// Somebody sets the clock.
    fn set(&self, by_ms: i64) {
        self.wall.fetch_add(by_ms, SeqCst);
    }

    /// Sends alerts that their sender has stamped with the right time.
    async fn send(&mut self, handle: &Handle, right_ms: i64) -> Result<Ack, Refusal> {
        let alert = |counter| {
            let mut alert = plain(1 + counter % 9, counter, 1);
            alert.received_ms = Some(right_ms);
            Ok(alert)
        };
        let alerts = (self.counter + 1..=self.counter + 10).map(alert).collect();
        let answer = handle.submit(Batch { alerts, ..Batch::default() }).await?;
        let ack = answer.await.map_err(|_| handle.no_answer())??;
        self.counter += 10;
        Ok(ack)
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

async fn until_status(handle: &Handle, is: impl Fn(&Status) -> bool) {
    let begun = Instant::now();
    while !is(&handle.status().borrow()) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", handle.status().borrow());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_clock_that_is_behind_rejects_nothing_and_goes_on_when_it_is_right() {
    let mut machine = Machine::new();
    runtime().block_on(async {
        let (handle, runner) = machine.start();
        machine.send(&handle, NOW_MS).await.unwrap();
        machine.set(-10 * MINUTE_MS);
        let wrong = WrongClock { shows_ms: NOW_MS - 10 * MINUTE_MS, expected_ms: NOW_MS };
        assert_eq!(machine.send(&handle, NOW_MS).await, Err(Refusal::WrongClock(wrong)));
        assert_eq!(*handle.status().borrow(), Status::ClockWrong(wrong));
        // The others go on, by the time that it is.
        handle.set_rule(engine::rule("hold", 2, 1)).await.unwrap();
        assert_eq!(engine::log(&handle).len(), 10);
        handle.shutdown().await.unwrap();
        runner.join();

        // The same after a restart, before the host serves.
        let (handle, runner) = machine.start();
        assert!(matches!(*handle.status().borrow(), Status::ClockWrong(_)));
        let refused = machine.send(&handle, NOW_MS).await.unwrap_err();
        assert!(refused.to_string().contains("2025-11-24T15:50:00Z"), "{refused}");
        assert!(refused.to_string().contains("2025-11-24T16:00:00Z"), "{refused}");
        machine.set(10 * MINUTE_MS);
        let ack = machine.send(&handle, NOW_MS).await.unwrap();
        assert_eq!((ack.balance.received(), ack.balance.rejected), (10, 0));
        until_status(&handle, |status| *status == Status::Serving).await;
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn a_clock_that_jumps_ahead_drops_nothing_and_takes_nothing() {
    let mut machine = Machine::new();
    runtime().block_on(async {
        let (handle, runner) = machine.start();
        machine.send(&handle, NOW_MS).await.unwrap();
        machine.pass(5 * MINUTE_MS);
        machine.set(500 * DAY_MS);
        for _ in 0..3 {
            assert!(matches!(machine.send(&handle, NOW_MS).await, Err(Refusal::WrongClock(_))));
            handle.set_rule(engine::rule("hold", 2, 1)).await.unwrap();
        }
        until_status(&handle, |status| matches!(status, Status::ClockWrong(_))).await;
        // An idle host looks for old entries once a second.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        assert_eq!(engine::log(&handle).len(), 10);
        assert_eq!(handle.host().retention_time_ms, NOW_MS + 5 * MINUTE_MS);
        handle.shutdown().await.unwrap();
        runner.join();

        // A restart believes it no more, nor does it believe one that may be right, as far as retention goes.
        for ahead in [500, 25] {
            machine.wall.store(NOW_MS + ahead * DAY_MS, SeqCst);
            machine.config.store.retention_days_max = if ahead == 500 { 40 } else { 1 };
            let (handle, runner) = machine.start();
            assert_eq!(matches!(*handle.status().borrow(), Status::ClockWrong(_)), ahead == 500);
            handle.set_rule(engine::rule("hold", 3, 1)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            assert_eq!(engine::log(&handle).len(), 10, "{ahead} days ahead");
            handle.shutdown().await.unwrap();
            runner.join();
        }
    });
}

#[test]
fn an_administrator_confirms_a_clock() {
    let mut machine = Machine::new();
    runtime().block_on(async {
        let (handle, runner) = machine.start();
        machine.send(&handle, NOW_MS).await.unwrap();
        machine.set(50 * DAY_MS);
        let now_ms = NOW_MS + 50 * DAY_MS;
        assert!(machine.send(&handle, now_ms).await.is_err());
        let other = handle.confirm_clock(NOW_MS).await.unwrap_err();
        assert!(matches!(&other, Refusal::Invalid { field, .. } if field == "clock_ms"), "{other}");
        assert!(machine.send(&handle, now_ms).await.is_err());
        assert_eq!(handle.confirm_clock(now_ms + 30_000).await, Ok(now_ms));
        assert_eq!(*handle.status().borrow(), Status::Serving);
        machine.send(&handle, now_ms).await.unwrap();
        let entries = handle.audit(1, 10).unwrap();
        let confirmed = entries.iter().find(|entry| entry.event.action == "clock.confirm").unwrap();
        assert!(confirmed.event.detail.contains("it shows 2026-01-13T16:00:00Z"), "{}", confirmed.event.detail);
        handle.shutdown().await.unwrap();
        runner.join();

        // It lasts. And a confirmation that was a mistake is taken back by another.
        let (handle, runner) = machine.start();
        machine.send(&handle, now_ms).await.unwrap();
        machine.wall.store(NOW_MS + MINUTE_MS, SeqCst);
        assert!(machine.send(&handle, NOW_MS).await.is_err());
        handle.confirm_clock(NOW_MS + MINUTE_MS).await.unwrap();
        machine.send(&handle, NOW_MS).await.unwrap();
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn tokens_neither_expire_nor_come_back_by_a_jump() {
    let machine = Machine::new();
    runtime().block_on(async {
        let (handle, runner) = machine.start();
        let new = |lifetime_ms| NewToken {
            name: format!("t{lifetime_ms}"),
            role: Role::Reader,
            sender: SenderLimits::default(),
            lifetime_ms,
        };
        let (long, _) = handle.create_token(new(10 * DAY_MS)).await.unwrap();
        let (short, _) = handle.create_token(new(MINUTE_MS)).await.unwrap();
        machine.pass(2 * MINUTE_MS);
        assert!(handle.identify(&long).is_ok() && handle.identify(&short).is_err());
        machine.set(500 * DAY_MS);
        assert!(handle.identify(&long).is_ok());
        machine.set(-501 * DAY_MS);
        assert!(handle.identify(&long).is_ok() && handle.identify(&short).is_err());
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn the_program_shows_and_confirms_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, folder.path());
    let status = host.json(["host", "status", "--json"]).remove(0);
    assert_eq!((&status["state"], &status["why"]), (&"serving".into(), &"".into()));
    assert_eq!(status["clock_ms"], status["time_ms"]);
    let confirmed = host.json(["host", "confirm-clock", "--json"]).remove(0);
    assert_eq!(confirmed["state"], "serving");
    let entries = host.json(["audit", "list", "--json"]);
    assert!(entries.iter().any(|entry| entry["action"] == "clock.confirm"), "{entries:?}");
    assert_eq!(host.stop(), Some(0));
}
