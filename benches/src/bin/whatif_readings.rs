//! The cost of readings: loading them, keeping them, and what-ifs that look them up.
//!
//! Invariant: figures are only printed of a run in which every reading was
//! stored, every alert was joined with the reading of its own period, and both answers are what the meters did.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::json;
use weir_benches::{
    client::Client,
    host::{Host, Launch},
    program, questions,
    report::{self, say, thousands},
    stage, start_of_yesterday_ms,
};
use weir_proto::v1::{
    Alert, Device, Generation, GetReadingStatusRequest, GetWhatIfRequest, PutReadingsRequest, Reading, ReadingQuestion,
    ReadingRole, StartWhatIfRequest, SubmitAlertsRequest, WhatIf, WhatIfAnswer, WhatIfQuestion, WhatIfVariant,
    reading_service_client::ReadingServiceClient,
};

/// Length of a period in seconds, and what lies between two alerts of a meter in periods.
const LENGTH_S: u32 = 1_800;
/// Readings of a message.
const READINGS_PER_MESSAGE: usize = 16_384;
/// Alerts of a batch.
const ALERTS_PER_BATCH: usize = 10_000;
/// Average over-voltage.
const CODE: u32 = 0x8002;
/// What meters compare with, and what is asked about, in tenths of a volt.
const LIVE_DV: u32 = 2_530;
const ASKED_DV: u32 = 2_580;
/// Every meter is above the first on the tenth period of twenty, and above the second if its number is even.
const CYCLE: u32 = 20;
const CROSSES_AT: u32 = 10;

/// Measures loading, keeping and asking readings.
#[derive(Debug, Parser)]
struct Args {
    /// Meters.
    #[arg(long, default_value_t = 1_000_000)]
    devices: u32,
    /// Readings of each, half an hour after half an hour.
    #[arg(long, default_value_t = 100)]
    readings: u32,
    /// One line of JSON instead of text.
    #[arg(long)]
    json: bool,
    /// Folder under which the store is made, and so the disk that is measured. Default: that of temporary files.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// An estate in which it is known what every meter did.
#[derive(Debug, Clone, Copy)]
struct Estate {
    devices: u32,
    readings: u32,
    end_ms: i64,
}

impl Estate {
    fn device_id(number: u32) -> u64 {
        0x00DB_0000_0000_0000 + u64::from(number)
    }

    /// Periods of meters end at minutes of their own.
    fn end_ms(self, device: u32, period: u32) -> i64 {
        let before = i64::from(self.readings - 1 - period) * i64::from(LENGTH_S) * 1_000;
        self.end_ms - before - i64::from(device % 30) * 60_000
    }

    fn decivolts(device: u32, period: u32) -> u32 {
        let noise = (device.wrapping_mul(2_654_435_761) ^ period.wrapping_mul(40_503)) >> 7;
        match period % CYCLE == CROSSES_AT {
            true if device.is_multiple_of(2) => ASKED_DV + 1 + noise % 20,
            true => LIVE_DV + 1 + noise % 40,
            false => 2_400 + noise % 120,
        }
    }

    fn reading(self, device: u32, period: u32) -> Reading {
        let dv = Self::decivolts(device, period);
        let (device_id, end_ms) = (Self::device_id(device), self.end_ms(device, period));
        Reading { device_id, end_ms, length_s: LENGTH_S, low_dv: dv, high_dv: dv, ..Reading::default() }
    }

    /// Periods at whose end each meter alerts.
    fn crossings(self) -> impl Iterator<Item = u32> {
        (0..self.readings).filter(|period| period % CYCLE == CROSSES_AT)
    }
}

fn main() -> ExitCode {
    program::run(run(Args::parse()))
}

async fn run(args: Args) -> Result<()> {
    ensure!(args.devices > 0 && args.readings > CROSSES_AT, "a meter needs more than {CROSSES_AT} readings to alert");
    let estate = Estate { devices: args.devices, readings: args.readings, end_ms: start_of_yesterday_ms()? };
    let scratch = stage::scratch(args.data.as_deref())?;
    let host = Host::launch(Launch::new(scratch.path(), args.devices.into())?).await?;
    let client = Client::connect(host.address()).await?;
    let plugins = client.push_plugins().await?;
    let threshold = plugins.iter().find(|plugin| plugin.name == "threshold").context("there is no threshold plugin")?;
    say(&format!("Loading an inventory of {} meters.", thousands(args.devices.into())));
    let device = |number| Device {
        device_id: Estate::device_id(number),
        generation: Generation::Smets2.into(),
        model: "Bench".to_owned(),
        operator: 12,
        ..Device::default()
    };
    client.load_inventory((0..args.devices).map(device), |_| {}).await?;

    let total = u64::from(args.devices) * u64::from(args.readings);
    say(&format!("Loading {} readings.", thousands(total)));
    let begun = Instant::now();
    load(&client, estate).await?;
    let load_s = begun.elapsed().as_secs_f64();
    let mut service = ReadingServiceClient::new(client.link());
    let status = service.get_reading_status(GetReadingStatusRequest {}).await?.into_inner();
    ensure!(status.readings == total, "{} of {total} readings are stored", status.readings);
    let loaded = host.usage()?;

    let alerts = send_alerts(&client, estate).await?;
    let (filter, filtered) = ask(&client, filter_question(&threshold.digest)).await?;
    let (device, devices) = ask(&client, device_question()).await?;
    check(estate, alerts, &filtered, &devices)?;
    let usage = host.usage()?;
    host.stop().await?;

    let bytes_each = status.file_bytes as f64 / total as f64;
    let rate = total as f64 / load_s;
    if args.json {
        let value = json!({
            "devices": args.devices, "readings": total, "alerts": alerts,
            "load_s": load_s, "readings_per_s": rate, "file_bytes": status.file_bytes, "bytes_per_reading": bytes_each,
            "memory_after_load_bytes": loaded.memory_bytes_max, "memory_bytes": usage.memory_bytes_max,
            "filter_ms": filter.running_ms, "device_ms": device.running_ms,
        });
        println!("{value}");
        return Ok(());
    }
    let mebibytes = |bytes: u64| format!("{} MiB", thousands(bytes >> 20));
    let rows = [
        ("readings", thousands(total)),
        ("loaded in", format!("{load_s:.1} s, {} a second", thousands(rate as u64))),
        ("file", format!("{}, {bytes_each:.2} bytes a reading", mebibytes(status.file_bytes))),
        ("memory after loading", mebibytes(loaded.memory_bytes_max)),
        ("memory at most", mebibytes(usage.memory_bytes_max)),
        ("alerts", thousands(alerts)),
        ("as a filter, two limits", format!("{} ms", thousands(filter.running_ms))),
        ("as the device, eight thresholds", format!("{} ms", thousands(device.running_ms))),
    ];
    println!("{}", report::table(&["", ""], 1, rows.map(|(name, value)| vec![name.to_owned(), value])));
    Ok(())
}

async fn load(client: &Client, estate: Estate) -> Result<()> {
    let bar = report::progress(u64::from(estate.devices) * u64::from(estate.readings), "readings");
    let mut service = ReadingServiceClient::new(client.link());
    let mut all =
        (0..estate.devices).flat_map(|device| (0..estate.readings).map(move |period| estate.reading(device, period)));
    loop {
        let readings: Vec<Reading> = all.by_ref().take(READINGS_PER_MESSAGE).collect();
        if readings.is_empty() {
            break;
        }
        let count = readings.len() as u64;
        let request = PutReadingsRequest { readings, source: "bench".to_owned(), dry_run: false };
        let put = service.put_readings(request).await.context("readings were refused")?.into_inner();
        ensure!(put.added == count, "{} of {count} were stored: {:?}", put.added, put.problems.first());
        bar.inc(count);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Sends what the meters alerted, half a minute after the ends of their periods. Returns how many.
async fn send_alerts(client: &Client, estate: Estate) -> Result<u64> {
    let mut alerts: Vec<Alert> = Vec::new();
    for device in 0..estate.devices {
        alerts.extend(estate.crossings().map(|period| {
            let occurred_at_ms = estate.end_ms(device, period) + 30_000;
            let device_id = Estate::device_id(device);
            Alert {
                device_id,
                code: CODE,
                occurred_at_ms,
                received_at_ms: occurred_at_ms,
                weight: 1,
                ..Alert::default()
            }
        }));
    }
    alerts.sort_by_key(|alert| alert.received_at_ms);
    let count = alerts.len() as u64;
    say(&format!("Sending {} alerts.", thousands(count)));
    let mut service = client.alerts();
    for (batch, sequence) in alerts.chunks(ALERTS_PER_BATCH).zip(1..) {
        let request = SubmitAlertsRequest {
            producer_id: "bench".to_owned(),
            sequence,
            alerts: batch.to_vec(),
            ..SubmitAlertsRequest::default()
        };
        service.submit_alerts(request).await.context("alerts were refused")?;
    }
    Ok(count)
}

fn filter_question(plugin: &str) -> WhatIfQuestion {
    let variant = |below_dv: u32| WhatIfVariant {
        label: format!("below_dv={below_dv}"),
        plugin: plugin.to_owned(),
        parameters: Some(format!("{{\"codes\":[\"8002\"],\"below_dv\":{below_dv}}}")),
    };
    WhatIfQuestion {
        variants: [LIVE_DV, ASKED_DV].map(variant).to_vec(),
        readings: Some(ReadingQuestion { role: ReadingRole::Filter.into(), ..ReadingQuestion::default() }),
        ..WhatIfQuestion::default()
    }
}

fn device_question() -> WhatIfQuestion {
    let thresholds_dv = (0..8).map(|step| LIVE_DV + step * 10).collect();
    let asked = ReadingQuestion { role: ReadingRole::Device.into(), thresholds_dv, ..ReadingQuestion::default() };
    WhatIfQuestion { readings: Some(asked), ..WhatIfQuestion::default() }
}

async fn ask(client: &Client, question: WhatIfQuestion) -> Result<(WhatIf, WhatIfAnswer)> {
    let request = StartWhatIfRequest { question: Some(question), ..StartWhatIfRequest::default() };
    let started = client.questions().start_what_if(tokio_stream::iter([request])).await.context("refused")?;
    let id = started.into_inner().what_if.context("the answer names no question")?.id;
    let what_if = questions::follow(client, id, &mut 0).await?;
    let answer = client.questions().get_what_if(GetWhatIfRequest { id }).await?.into_inner().answer;
    Ok((what_if, answer.context("there is no answer")?))
}

/// Makes sure that both answers are what the meters did.
fn check(estate: Estate, alerts: u64, filtered: &WhatIfAnswer, devices: &WhatIfAnswer) -> Result<()> {
    let readings = filtered.readings.as_ref().context("there is nothing of readings")?;
    let held: Vec<u64> = readings.variants.iter().map(|variant| variant.held).collect();
    let odd = u64::from(estate.devices / 2) * estate.crossings().count() as u64;
    ensure!(held == [0, odd], "{held:?} are held back, and {odd} are below {ASKED_DV}");
    ensure!(readings.variants.iter().all(|variant| variant.held + variant.passed == alerts), "some are undecided");
    let found = devices.readings.as_ref().and_then(|readings| readings.devices.as_ref());
    let found = found.context("there is nothing of devices")?;
    let at = |dv: u32| {
        let at = found.thresholds.iter().find(|at| at.threshold_dv == dv).and_then(|at| at.alerts);
        at.map(|range| range.least).context("a threshold is missing")
    };
    ensure!(at(LIVE_DV)? == alerts, "{} alerts at {LIVE_DV}, and there were {alerts}", at(LIVE_DV)?);
    ensure!(at(ASKED_DV)? == alerts - odd, "{} alerts at {ASKED_DV}, not {}", at(ASKED_DV)?, alerts - odd);
    Ok(())
}
