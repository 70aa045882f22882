use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use super::*;
use crate::{
    config::IntakeLimits,
    domain::{Group, Millis, Rows, SettingsNo},
    pipeline::clock::Timekeeper,
};

const NOW_MS: Millis = 1_795_000_000_000;
const DAY_MS: Millis = 86_400_000;

/// A committer over a store in memory, and a clock that is always right.
fn committer(limits: StoreLimits) -> (Committer, Arc<AtomicI64>) {
    let now_ms = Arc::new(AtomicI64::new(NOW_MS));
    let (wall, passed) = (Arc::clone(&now_ms), Arc::clone(&now_ms));
    let time = Timekeeper::new(
        Arc::new(move || wall.load(SeqCst)),
        Arc::new(move || Duration::from_millis((passed.load(SeqCst) - NOW_MS).unsigned_abs())),
        &IntakeLimits::default(),
    );
    time.begin(None);
    let store = Store::in_memory().unwrap();
    let shared = Arc::new(Shared::new(time));
    *shared.reader.write() = Some(store.reader());
    let committer =
        Committer { store, shared, limits, folder: None, looked: None, state_from: Position(0), freed: true };
    (committer, now_ms)
}

/// What the fold would hand over for a group without rows, which takes up one position; its state is behind by so many
/// groups.
fn group(committer: &Committer, behind: u64) -> Effects {
    let first = committer.store.position();
    let position = first.after(1);
    let judged_ms = committer.shared.time.now_ms();
    let group = Group {
        first,
        judged_ms,
        rows: Rows::default(),
        marks: Vec::new(),
        mark: Vec::new(),
        withheld: Vec::new(),
        rejected: Vec::new(),
        faults: Vec::new(),
        shadows: Vec::new(),
        remembered_from: None,
        settings: SettingsNo::UNKNOWN,
    };
    let replay_from = Position(position.0.saturating_sub(behind));
    Effects { group: Some(group), position, replay_from, ..Effects::default() }
}

fn add(committer: &mut Committer, groups: u64, behind: u64) {
    for _ in 0..groups {
        committer.commit(&mut group(committer, behind), false).unwrap();
    }
}

fn entry_bytes() -> u64 {
    let (mut committer, _) = committer(StoreLimits::default());
    add(&mut committer, 1, 0);
    committer.store.extent().bytes
}

#[test]
fn the_log_is_no_larger_than_its_limit_after_any_commit() {
    let bytes = entry_bytes();
    let limits = StoreLimits { log_bytes_max: 100 * bytes, ..StoreLimits::default() };
    let (mut committer, _) = committer(limits.clone());
    for _ in 0..1_000 {
        add(&mut committer, 1, 0);
        assert!(committer.store.extent().bytes <= limits.log_bytes_max + bytes, "{:?}", committer.store.extent());
    }
    // A lower limit is caught up with by bounded steps.
    committer.limits.log_bytes_max = 10 * bytes;
    add(&mut committer, 1, 0);
    assert_eq!(committer.store.extent().groups, 10);
    committer.limits.log_bytes_max = u64::MAX;
    add(&mut committer, 600, 0);
    committer.limits.log_bytes_max = 0;
    for left in [355, 100, 1, 1] {
        add(&mut committer, 1, 0);
        assert_eq!(committer.store.extent().groups, left);
    }
}

#[test]
fn what_recovery_needs_is_asked_to_be_written_and_then_goes() {
    let bytes = entry_bytes();
    let limits = StoreLimits { log_bytes_max: 10 * bytes, ..StoreLimits::default() };
    let (mut committer, _) = committer(limits);
    add(&mut committer, 10, 10);
    assert_eq!(committer.shared.state_wanted(), None);
    add(&mut committer, 5, 15);
    let wanted = committer.shared.state_wanted();
    assert_eq!(
        (wanted, committer.store.extent().groups),
        (Some(Position(11)), 15),
        "one position, until it is reached"
    );
    // The fold has written everything up to there.
    add(&mut committer, 1, 5);
    assert_eq!((committer.shared.state_wanted(), committer.store.extent().groups), (None, 10));
}

#[test]
fn an_idle_host_drops_what_is_too_old() {
    let limits = StoreLimits { retention_days_max: 2, ..StoreLimits::default() };
    let (mut committer, now_ms) = committer(limits);
    add(&mut committer, 300, 0);
    now_ms.fetch_add(DAY_MS, SeqCst);
    add(&mut committer, 7, 0);
    committer.drop_old().unwrap();
    assert_eq!(committer.store.extent().groups, 307);
    now_ms.fetch_add(DAY_MS + 1, SeqCst);
    committer.drop_old().unwrap();
    assert_eq!(committer.store.extent().groups, 7);
    // State that is behind holds them: the fold is asked for it.
    committer.state_from = Position(300);
    now_ms.fetch_add(DAY_MS, SeqCst);
    committer.drop_old().unwrap();
    assert_eq!((committer.store.extent().groups, committer.shared.state_wanted()), (7, Some(Position(307))));
}

#[test]
fn a_question_holds_what_it_reads() {
    let bytes = entry_bytes();
    let limits = StoreLimits { log_bytes_max: 80 * bytes, ..StoreLimits::default() };
    let (mut committer, _) = committer(limits);
    add(&mut committer, 80, 0);
    let pin = committer.shared.pins.pin(Position(0));
    add(&mut committer, 10, 0);
    assert_eq!((committer.store.extent().groups, committer.shared.state_wanted()), (90, None));
    // An eighth above the limit nothing is held any more.
    add(&mut committer, 2, 0);
    assert_eq!(committer.store.extent().groups, 80);
    drop(pin);
    add(&mut committer, 1, 0);
    assert_eq!(committer.store.extent().groups, 80);
}

#[test]
fn a_jump_of_the_clock_drops_nothing() {
    let limits = StoreLimits { retention_days_max: 1, ..StoreLimits::default() };
    let (mut committer, _) = committer(limits);
    add(&mut committer, 50, 0);
    // The clock of another process, 500 days on, over the same store.
    let far =
        || Timekeeper::new(Arc::new(|| NOW_MS + 500 * DAY_MS), Arc::new(Duration::default), &IntakeLimits::default());
    let near =
        || Timekeeper::new(Arc::new(|| NOW_MS + 29 * DAY_MS), Arc::new(Duration::default), &IntakeLimits::default());
    for time in [far(), near()] {
        time.begin(committer.store.load().unwrap().clock);
        let shared = Shared::new(time);
        *shared.reader.write() = Some(committer.store.reader());
        committer.shared = Arc::new(shared);
        committer.drop_old().unwrap();
        for _ in 0..3 {
            committer
                .commit(&mut Effects { position: Position(50), replay_from: Position(50), ..Effects::default() }, false)
                .unwrap();
        }
        assert_eq!(committer.store.extent().groups, 50);
    }
    committer.shared.time.confirm();
    committer.drop_old().unwrap();
    assert_eq!(committer.store.extent().groups, 0, "it was confirmed");
}
