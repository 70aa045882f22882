//! What loading readings costs: a file of readings filled in the two orders that files come in, as readings a second, and
//! bytes of each on the disk.
//!
//! Invariant: every request is durable before the next one, as it is for a client of a host.

use std::{env, path::Path, time::Instant};

use anyhow::{Context, Result, anyhow, ensure};
use weir_benches::report::{self, thousands};
use weir_host::{
    config::{ReadingLimits, StoreLimits},
    domain::{Eui64, OperatorId, OperatorSet, Phase, Reading, ReadingFate, Volts},
    store::{OwnedReading, READINGS_FILE_NAME, ReadingStore},
};

/// Readings, unless WEIR_ALERTS says otherwise: 100 half hours of each device.
const READINGS: u64 = 4_000_000;
const HALF_HOURS: u64 = 100;
/// Readings of one request.
const REQUEST: usize = 16_384;
const HALF_HOUR_MS: i64 = 1_800_000;
const BEGIN_MS: i64 = 1_767_225_600_000;

fn main() -> Result<()> {
    // Without `--bench` it is only to be seen that it runs.
    let measured = env::args().any(|argument| argument == "--bench");
    let asked = env::var("WEIR_ALERTS").ok().map(|text| text.parse()).transpose().context("WEIR_ALERTS")?;
    let readings: u64 = asked.unwrap_or(if measured { READINGS } else { 20_000 });
    let devices = readings / HALF_HOURS;
    let mut rows = Vec::new();
    for (order, by_device) in [("by device", true), ("by time", false)] {
        let folder = tempfile::tempdir()?;
        rows.push(load(folder.path(), order, devices, by_device)?);
    }
    let header =
        ["order", "readings", "seconds", "readings/s", "bytes a reading", "seconds to read", "seconds to digest"];
    println!("{}", report::table(&header, 1, rows));
    Ok(())
}

/// The reading of a device at a half hour: a voltage that wanders, as an average does.
fn reading(device: u64, at: u64) -> Result<OwnedReading> {
    let mixed = (device * 31 + at * 7).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61;
    let volts = Volts::whole(238 + (at / 4 % 9) as u16 + mixed as u16 % 3).ok_or_else(|| anyhow!("no voltage"))?;
    let end_ms = BEGIN_MS + (at as i64 + 1) * HALF_HOUR_MS;
    let operator = OperatorId::new(10 + (device % 14) as u32).ok_or_else(|| anyhow!("no operator"))?;
    // Meters of one maker lie in a range of numbers, others between them.
    let device = Eui64(0x0ADB_1200_0000_0000 + device * 37);
    Ok((Reading { device, phase: Phase::Whole, end_ms, length_s: 1_800, volts }, operator))
}

fn load(folder: &Path, order: &str, devices: u64, by_device: bool) -> Result<Vec<String>> {
    let mut store =
        ReadingStore::open(&folder.join(READINGS_FILE_NAME), &StoreLimits::default(), &ReadingLimits::default())?;
    let total = devices * HALF_HOURS;
    let place =
        |nth: u64| if by_device { (nth / HALF_HOURS, nth % HALF_HOURS) } else { (nth % devices, nth / devices) };
    let begun = Instant::now();
    let mut request = Vec::with_capacity(REQUEST);
    for nth in 0..total {
        let (device, at) = place(nth);
        request.push(reading(device, at)?);
        if request.len() == REQUEST || nth + 1 == total {
            let fates = store.put(&request, "volts.csv", OperatorSet::ALL, false)?;
            ensure!(fates.iter().all(|fate| *fate == ReadingFate::Added), "all of them are new");
            request.clear();
        }
    }
    let took = begun.elapsed().as_secs_f64();
    let reader = store.reader(OperatorSet::ALL)?;
    let (begun, mut given) = (Instant::now(), 0);
    reader.each_device(0..i64::MAX, &mut |_, _, readings| {
        given += readings.len() as u64;
        true
    })?;
    let read = begun.elapsed().as_secs_f64();
    ensure!(given == total, "{given} of {total} were read");
    let begun = Instant::now();
    reader.digests(0..i64::MAX)?;
    let digested = begun.elapsed().as_secs_f64();
    Ok(vec![
        order.to_owned(),
        thousands(total),
        format!("{took:.1}"),
        thousands((total as f64 / took) as u64),
        format!("{:.2}", store.file_bytes() as f64 / total as f64),
        format!("{read:.1}"),
        format!("{digested:.1}"),
    ])
}
