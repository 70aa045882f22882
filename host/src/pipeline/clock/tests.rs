use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};

use super::*;

const NOW_MS: Millis = 1_795_000_000_000;
const MINUTE_MS: Millis = 60_000;

/// A clock and the time that passes, both set by hand.
struct World {
    wall: Arc<AtomicI64>,
    passed: Arc<AtomicU64>,
}

impl World {
    fn new(wall_ms: Millis) -> Self {
        Self { wall: Arc::new(AtomicI64::new(wall_ms)), passed: Arc::default() }
    }

    /// A process that starts: it knows what its store kept.
    fn start(&self, mark: Option<ClockMark>) -> Timekeeper {
        let (wall, passed) = (Arc::clone(&self.wall), Arc::clone(&self.passed));
        let keeper = Timekeeper::new(
            Arc::new(move || wall.load(SeqCst)),
            Arc::new(move || Duration::from_millis(passed.load(SeqCst))),
            &IntakeLimits::default(),
        );
        keeper.begin(mark);
        keeper
    }

    /// Time passes, and the clock shows it.
    fn pass(&self, ms: Millis) {
        self.passed.fetch_add(ms.unsigned_abs(), SeqCst);
        self.wall.fetch_add(ms, SeqCst);
    }

    /// Somebody sets the clock.
    fn set(&self, by_ms: Millis) {
        self.wall.fetch_add(by_ms, SeqCst);
    }
}

fn mark(latest_ms: Millis, age_ms: Millis) -> Option<ClockMark> {
    Some(ClockMark { latest_ms, age_ms })
}

#[test]
fn a_clock_that_is_set_back_is_wrong_until_it_is_right_again() {
    let world = World::new(NOW_MS);
    let keeper = world.start(None);
    assert_eq!(keeper.read(), Reading { now_ms: NOW_MS, wrong: None });
    world.pass(MINUTE_MS);
    assert_eq!(keeper.now_ms(), NOW_MS + MINUTE_MS);
    world.set(-5 * MINUTE_MS);
    assert_eq!(keeper.read().wrong, None, "five minutes are within the bound");
    world.set(-6 * MINUTE_MS);
    let (shows_ms, expected_ms) = (NOW_MS - 10 * MINUTE_MS, NOW_MS + MINUTE_MS);
    assert_eq!(keeper.read(), Reading { now_ms: expected_ms, wrong: Some(WrongClock { shows_ms, expected_ms }) });
    // It does not become right by waiting.
    world.pass(60 * MINUTE_MS);
    assert!(keeper.read().wrong.is_some());
    world.set(11 * MINUTE_MS);
    assert_eq!(keeper.read(), Reading { now_ms: NOW_MS + 61 * MINUTE_MS, wrong: None });
}

#[test]
fn a_clock_that_jumps_ahead_is_wrong_until_it_is_set_back_or_confirmed() {
    let world = World::new(NOW_MS);
    let keeper = world.start(None);
    keeper.read();
    // A host that was not asked for days, or whose machine slept: time passed, and the clock shows it.
    world.pass(3 * DAY_MS);
    assert_eq!(keeper.read().wrong, None);
    world.set(60 * MINUTE_MS);
    assert_eq!(keeper.read().wrong, None, "an hour is within the bound");
    world.set(60 * MINUTE_MS + 1);
    assert!(keeper.read().wrong.is_some());
    world.set(-120 * MINUTE_MS - 1);
    assert!(keeper.read().wrong.is_some(), "an hour behind what was right for a moment");
    world.set(60 * MINUTE_MS);
    assert_eq!(keeper.read().wrong, None);

    world.set(500 * DAY_MS);
    assert_eq!(keeper.read().now_ms, NOW_MS + 3 * DAY_MS + 60 * MINUTE_MS);
    keeper.confirm();
    assert_eq!(keeper.read(), Reading { now_ms: world.wall.load(SeqCst), wrong: None });
    assert_eq!(keeper.mark(), keeper.confirmed_mark());
    // And back, when the confirmation was the mistake.
    world.set(-500 * DAY_MS);
    assert!(keeper.read().wrong.is_some());
    keeper.confirm();
    assert_eq!((keeper.read().wrong, keeper.mark().latest_ms), (None, world.wall.load(SeqCst)));
}

#[test]
fn a_host_that_starts_goes_by_what_its_store_kept() {
    let wrong = |wall_ms: Millis| World::new(wall_ms).start(mark(NOW_MS, NOW_MS)).read().wrong.is_some();
    assert!(wrong(NOW_MS - 10 * MINUTE_MS) && !wrong(NOW_MS - 5 * MINUTE_MS));
    assert!(!wrong(NOW_MS) && !wrong(NOW_MS + 31 * DAY_MS), "hosts are stopped for weeks");
    assert!(wrong(NOW_MS + 31 * DAY_MS + 1) && wrong(NOW_MS + 500 * DAY_MS));
    // Once it has begun, an hour is the bound.
    let world = World::new(NOW_MS + 30 * DAY_MS);
    let keeper = world.start(mark(NOW_MS, NOW_MS));
    assert_eq!(keeper.read().wrong, None);
    world.set(2 * 60 * MINUTE_MS);
    assert!(keeper.read().wrong.is_some());
}

#[test]
fn a_machine_without_a_battery_waits_for_its_clock() {
    let world = World::new(5_000);
    let keeper = world.start(None);
    assert!(keeper.read().wrong.is_some(), "it is not 1970");
    world.set(NOW_MS);
    assert_eq!(keeper.read(), Reading { now_ms: NOW_MS + 5_000, wrong: None });
}

#[test]
fn retention_never_runs_faster_than_twice_real_time() {
    let age = |keeper: &Timekeeper| keeper.mark().age_ms - NOW_MS;
    // A jump while it runs: time goes on as it did.
    let world = World::new(NOW_MS);
    let keeper = world.start(None);
    keeper.read();
    world.set(500 * DAY_MS);
    for minute in 1..=10 {
        world.pass(MINUTE_MS);
        assert_eq!(age(&keeper), minute * MINUTE_MS);
    }
    world.set(-500 * DAY_MS);
    assert_eq!(age(&keeper), 10 * MINUTE_MS);

    // A host that was stopped for ten days, or whose clock is ten days ahead: who knows.
    let world = World::new(NOW_MS + 10 * DAY_MS);
    let keeper = world.start(mark(NOW_MS, NOW_MS));
    assert_eq!(age(&keeper), 0);
    world.pass(DAY_MS);
    assert_eq!(age(&keeper), 2 * DAY_MS);
    // A restart gives it no more, though commits were made under this clock.
    let kept = keeper.mark();
    assert_eq!(kept.latest_ms, NOW_MS + 11 * DAY_MS);
    let keeper = world.start(Some(kept));
    assert_eq!(age(&keeper), 2 * DAY_MS);
    for _ in 0..1_000 {
        world.pass(9 * DAY_MS / 1_000);
        keeper.read();
    }
    assert_eq!(age(&keeper), 20 * DAY_MS, "after as long as the gap was it has caught up");

    // Stopped for an hour: nothing worth waiting for.
    let keeper = World::new(NOW_MS + 60 * MINUTE_MS).start(mark(NOW_MS, NOW_MS));
    assert_eq!(age(&keeper), 60 * MINUTE_MS);
    // Confirmed: at once.
    let keeper = World::new(NOW_MS + 10 * DAY_MS).start(mark(NOW_MS, NOW_MS));
    keeper.confirm();
    assert_eq!(age(&keeper), 10 * DAY_MS);
}

#[test]
fn many_readings_within_a_millisecond_lose_no_time() {
    let world = World::new(NOW_MS + DAY_MS);
    let keeper = world.start(mark(NOW_MS, NOW_MS));
    let passed = Arc::new(AtomicU64::new(0));
    let micros = Arc::clone(&passed);
    let keeper = Timekeeper { passed: Arc::new(move || Duration::from_micros(micros.load(SeqCst))), ..keeper };
    for _ in 0..10_000 {
        passed.fetch_add(100, SeqCst);
        keeper.read();
    }
    assert_eq!(keeper.mark().age_ms, NOW_MS + 2_000);
}

#[test]
fn a_wrong_clock_is_told_with_both_times() {
    let wrong = WrongClock { shows_ms: NOW_MS - 600_000, expected_ms: NOW_MS };
    assert!(wrong.to_string().starts_with(
        "the host's clock is behind: it shows 2026-11-18T10:56:40Z, and it is about 2026-11-18T11:06:40Z by the last"
    ));
}
