//! Books of more hours than are kept in memory: recovery and answers cost what they need.

use std::{fs, sync::Arc, time::Instant};

use weir_host::{
    books::{CountQuery, Grouping},
    config::Config,
    domain::HOUR_MS,
    pipeline::{Batch, Handle, Refusal},
};
use weir_tests::{
    disk::Disk,
    engine,
    workload::{NOW_MS, plain},
};

/// More than a year.
const HOURS: u64 = 9_300;
const CODES: u64 = 15;
const ALERTS_PER_HOUR: u64 = 45;
/// What asking may take beside what the host has already. All hours at once take several times as much.
const ASKING_BYTES_MAX: u64 = 96 << 20;

fn config() -> Config {
    let mut config = engine::config();
    config.store.retention_days_max = 500;
    // All of it is folded again at the start.
    config.store.recovery_rows_max = 10_000_000;
    config
}

/// The most memory that this process has had since [`forget_peak`], and what it has now.
fn memory_bytes() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let kib = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (kib("VmHWM:") << 10, kib("VmRSS:") << 10)
}

fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// Asks, and returns what came of it and what it took.
fn ask(handle: &Handle, query: &CountQuery) -> (Result<usize, Refusal>, u64) {
    forget_peak();
    let before = memory_bytes().1;
    let rows = handle.counts(query).map(|table| table.rows.len());
    (rows, memory_bytes().0.saturating_sub(before))
}

#[test]
fn a_year_of_hours_is_recovered_and_counted_within_bounds() {
    let disk = Disk::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (handle, _runner) = engine::start(&disk, config()).unwrap();
        for day in 0..HOURS.div_ceil(24) {
            let hours = (day * 24..(day + 1) * 24).take_while(|hour| *hour < HOURS);
            let alerts = hours.flat_map(|hour| {
                (0..ALERTS_PER_HOUR).map(move |at| {
                    let mut alert = plain(1 + at, 1 + hour, 0x8F00 + (at % CODES) as u16);
                    alert.received_ms = Some(NOW_MS - ((HOURS - hour) as i64) * HOUR_MS);
                    Ok(alert)
                })
            });
            let answer = handle.submit(Batch { alerts: alerts.collect(), ..Batch::default() }).await.unwrap();
            assert_eq!(answer.await.unwrap().unwrap().balance.rejected, 0);
        }
        // The machine goes: nothing more is written, and what recovery finds is the whole log.
        let left = disk.copy();
        handle.shutdown().await.unwrap();

        let begun = Instant::now();
        let (handle, runner) = engine::start_at(&left, config(), Arc::new(|| NOW_MS)).unwrap();
        println!("{} alerts over {HOURS} hours recovered in {:?}", HOURS * ALERTS_PER_HOUR, begun.elapsed());
        handle.shutdown().await.unwrap();
        runner.join();
        // Now the books are on disk, and few hours are in memory.
        let (handle, runner) = engine::start(&left, config()).unwrap();
        let by = |group_by: &[Grouping]| CountQuery { group_by: group_by.to_vec(), ..CountQuery::default() };
        let (rows, took) = ask(&handle, &by(&[Grouping::Code]));
        println!("by code: {took} bytes");
        assert_eq!(rows.unwrap(), CODES as usize);
        assert!(took < ASKING_BYTES_MAX, "by code: {took} bytes");
        let (rows, took) = ask(&handle, &by(&[Grouping::Hour]));
        println!("by hour: {took} bytes");
        assert_eq!(rows.unwrap(), HOURS as usize);
        assert!(took < ASKING_BYTES_MAX, "by hour: {took} bytes");
        let (refused, took) = ask(&handle, &by(&[Grouping::Hour, Grouping::Code]));
        println!("by hour and code: {took} bytes");
        let refusal = refused.unwrap_err().to_string();
        assert!(refusal.contains("report.count_rows_max (100000)") && refusal.contains("shorter time"), "{refusal}");
        assert!(took < ASKING_BYTES_MAX, "by hour and code: {took} bytes");
        handle.shutdown().await.unwrap();
        runner.join();
    });
}
