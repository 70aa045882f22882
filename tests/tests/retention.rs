//! Limits of the log, and a disk that is full or short of room: what retention allows goes, what only reads goes on, and
//! nothing is lost.

use std::{
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use weir_host::{
    config::Config,
    domain::{Ack, Eui64, Position},
    listing::AlertQuery,
    pipeline::{Batch, Handle, Opener, Parts, Refusal, Runner, Status, acks_kept, start_with},
    store::{FILE_NAME, Store},
};
use weir_tests::{
    disk::Disk,
    engine,
    workload::{NOW_MS, plain},
};

const PATIENCE: Duration = Duration::from_secs(120);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

async fn send(handle: &Handle, alerts: u64, counter: &mut u64) -> Result<Ack, Refusal> {
    let first = *counter + 1;
    let alerts = (first..first + alerts).map(|counter| Ok(plain(1 + counter % 50, counter, 1))).collect();
    let answer = handle.submit(Batch { alerts, ..Batch::default() }).await?;
    let ack = answer.await.map_err(|_| handle.no_answer())??;
    *counter += ack.balance.received();
    Ok(ack)
}

/// Waits until something holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn received(handle: &Handle) -> u64 {
    handle.counts(&Default::default()).unwrap().total.balance.received()
}

#[test]
fn the_log_keeps_to_its_size_at_any_rate_though_recovery_could_fold_more() {
    let mut config = engine::config();
    config.store.log_bytes_max = 60_000;
    config.store.recovery_rows_max = 4_000_000;
    let disk = Disk::default();
    runtime().block_on(async {
        let (handle, runner) = engine::start(&disk, config.clone()).unwrap();
        let (mut counter, mut largest) = (0, 0);
        for _ in 0..600 {
            send(&handle, 20, &mut counter).await.unwrap();
            largest = largest.max(handle.watched().figures.log_bytes);
        }
        assert!(engine::log(&handle).len() < 6_000, "600 entries were written, as fast as they could be");
        assert!(largest < 70_000, "{largest}");
        assert_eq!(received(&handle), 12_000);

        // The power goes: what is kept is enough to recover.
        disk.cut_at(disk.syncs());
        drop(send(&handle, 1, &mut counter).await);
        runner.join();
        disk.replace(disk.after_power_cut(&mut weir_tests::workload::Random::new(3)));
        let (handle, runner) = engine::start(&disk, config).unwrap();
        assert_eq!(received(&handle), 12_000);
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn an_idle_host_drops_what_is_too_old() {
    let mut config = engine::config();
    config.store.retention_days_max = 2;
    config.store.recovery_rows_max = 4_000_000;
    let now_ms = Arc::new(AtomicI64::new(NOW_MS));
    let clock = Arc::clone(&now_ms);
    runtime().block_on(async {
        let (handle, runner) =
            engine::start_at(&Disk::default(), config, Arc::new(move || clock.load(Ordering::Relaxed))).unwrap();
        let mut counter = 0;
        for _ in 0..100 {
            send(&handle, 5, &mut counter).await.unwrap();
        }
        assert_eq!(engine::log(&handle).len(), 500);
        now_ms.fetch_add(3 * 86_400_000, Ordering::Relaxed);
        until("nobody sends, and the log goes all the same", || engine::log(&handle).is_empty()).await;
        assert_eq!(received(&handle), 500, "the books outlive the log");
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

/// A host over a real file, which may not grow while `free_bytes_min` is more than there is.
fn start(folder: &Path, log_bytes_max: u64, free_bytes_min: u64) -> (Handle, Runner) {
    let mut config = Config { data_dir: folder.to_owned(), ..engine::config() };
    (config.store.log_bytes_max, config.store.free_bytes_min) = (log_bytes_max, free_bytes_min);
    let (path, limits, kept) = (folder.join(FILE_NAME), config.store.clone(), acks_kept(&config));
    let open: Opener = Box::new(move || Store::open(&path, &limits, kept));
    let parts = engine::parts(&Disk::default(), config).unwrap();
    start_with(Parts { open, folder: Some(folder.to_owned()), ..parts }).unwrap()
}

/// Disk space that the store takes up.
fn taken(folder: &Path) -> u64 {
    std::fs::metadata(folder.join(FILE_NAME)).unwrap().blocks() * 512
}

const LARGE: u64 = 1 << 30;
/// More than any disk has.
const NEVER_FREE: u64 = u64::MAX;

#[test]
fn a_host_short_of_room_frees_what_retention_allows_and_takes_alerts_in_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let (handle, runner) = start(folder.path(), LARGE, 0);
        let mut counter = 0;
        for _ in 0..300 {
            send(&handle, 200, &mut counter).await.unwrap();
        }
        let log_bytes = handle.watched().figures.log_bytes;
        handle.shutdown().await.unwrap();
        runner.join();
        let before = taken(folder.path());

        let (handle, runner) = start(folder.path(), log_bytes / 4, NEVER_FREE);
        let begun = Instant::now();
        let mut sent = 0;
        while sent < 600 {
            match send(&handle, 200, &mut counter).await {
                Ok(_) => sent += 1,
                Err(Refusal::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(refusal) => panic!("{refusal}"),
            }
            assert!(begun.elapsed() < PATIENCE, "{sent} of 600: {:?}", handle.status().borrow());
        }
        assert_eq!(received(&handle), 900 * 200);
        assert!(handle.watched().figures.log_bytes <= log_bytes / 3);
        assert!(taken(folder.path()) <= before + (2 << 20), "{} of {before}", taken(folder.path()));
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn a_full_host_says_so_answers_readers_and_stops_well() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let (handle, runner) = start(folder.path(), LARGE, 0);
        let mut counter = 0;
        send(&handle, 200, &mut counter).await.unwrap();
        handle.set_rule(engine::rule("hold", 1, 1)).await.unwrap();
        handle.shutdown().await.unwrap();
        runner.join();

        let (handle, runner) = start(folder.path(), LARGE, NEVER_FREE);
        let begun = Instant::now();
        // Free pages of the file are used first.
        let refused = loop {
            match send(&handle, 200, &mut counter).await {
                Ok(_) => assert!(begun.elapsed() < PATIENCE, "the file grows"),
                Err(Refusal::Unavailable(why)) if why.contains("no room") => break why,
                Err(Refusal::Unavailable(why)) => assert!(why.contains("send it again"), "{why}"),
                Err(refusal) => panic!("{refusal}"),
            }
        };
        assert_eq!(refused, "the store has no room, so no alerts are taken; send again when there is room");
        assert_eq!(*handle.status().borrow(), Status::StoreFull);
        let changed = handle.set_rule(engine::rule("hold", 2, 1)).await.unwrap_err();
        assert!(changed.to_string().contains("nothing can be changed; free space on its disk"), "{changed}");

        // A reader meets the store between two openings at worst.
        let begun = Instant::now();
        let page = loop {
            match handle.alerts(&AlertQuery { page_size: 10, ..AlertQuery::default() }) {
                Ok(page) => break page,
                Err(Refusal::Unavailable(why)) => assert!(why.contains("ask again"), "{why}"),
                Err(refusal) => panic!("{refusal}"),
            }
            assert!(begun.elapsed() < PATIENCE, "a full host answers readers");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!((page.alerts.len(), page.alerts[0].position), (10, Position(0)));
        assert_eq!(received(&handle), counter);
        assert_eq!(handle.rules().len(), 1);
        assert_eq!(handle.device(Eui64(7)).await.unwrap().device.eui, Eui64(7));
        handle.shutdown().await.unwrap();
        runner.join();
        assert_eq!(*handle.status().borrow(), Status::Stopped(String::new()));

        // Room again: everything that was acknowledged is there.
        let (handle, runner) = start(folder.path(), LARGE, 0);
        assert_eq!(received(&handle), counter);
        send(&handle, 200, &mut counter).await.unwrap();
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn a_host_that_is_told_to_stop_on_a_full_disk_stops() {
    let disk = Disk::default();
    runtime().block_on(async {
        let mut config = engine::config();
        config.store.recovery_rows_max = 4_000_000;
        let (handle, runner) = engine::start(&disk, config).unwrap();
        let mut counter = 0;
        send(&handle, 2_000, &mut counter).await.unwrap();
        disk.refuse_writes(true);
        handle.shutdown().await.unwrap();
        runner.join();
        disk.refuse_writes(false);
        let (handle, runner) = engine::start(&disk, engine::config()).unwrap();
        assert_eq!(received(&handle), 2_000, "state is folded from the log");
        handle.shutdown().await.unwrap();
        runner.join();
    });
}
