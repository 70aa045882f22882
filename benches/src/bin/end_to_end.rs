//! Durable end to end over gRPC, client and host in two processes, the three stock rules on: how many alerts a second,
//! how long to the acknowledgement, and what the host spends on an alert.
//!
//! It must not know how the host works. Invariant: figures are only printed of runs whose books are right.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, ensure};
use clap::Parser;
use serde_json::{Value, json};
use weir_benches::{
    generator::{Day, Plan},
    host::Usage,
    program,
    report::{self, say, thousands},
    sending::{self, FLOOD_BATCH, FLOOD_IN_FLIGHT, Sending, Sent},
    stage::{self, Stage},
    start_of_yesterday_ms,
};

/// Measures a host from the sender's batch to the acknowledgement of its durable commit.
#[derive(Debug, Parser)]
struct Args {
    /// Devices in the inventory.
    #[arg(long, default_value_t = 70_000)]
    devices: u32,
    /// Alerts of a run at full speed.
    #[arg(long, default_value_t = 7_000_000)]
    alerts: u64,
    /// Alerts a second of a paced run; the default is what 32 million meters send at 100 a day each.
    #[arg(long, default_value_t = 37_000)]
    rate: u32,
    /// Seconds of a paced run; 0 leaves it out.
    #[arg(long, default_value_t = 20)]
    paced_s: u32,
    /// Alerts in a batch at full speed.
    #[arg(long, default_value_t = FLOOD_BATCH)]
    batch: usize,
    /// Batches in flight at full speed: enough that one group is judged while the one before it is written.
    #[arg(long, default_value_t = FLOOD_IN_FLIGHT)]
    in_flight: usize,
    /// How often each is run, every time with a new store.
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// What everything random follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder under which the stores are made, and so the disk that is measured. Default: that of temporary files.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// One run's figures.
struct Run {
    pace: String,
    sent: Sent,
    /// What the host used for this run's alerts; the memory is its peak since it started.
    used: Usage,
}

fn main() -> ExitCode {
    program::run(run(Args::parse()))
}

async fn run(args: Args) -> Result<()> {
    ensure!(args.rate > 0, "rate: 0 alerts a second never end");
    let mut runs = Vec::new();
    for number in 1..=args.runs {
        say(&format!("Run {number} of {}, as fast as the host takes alerts.", args.runs));
        let flood = Sending { batch_alerts: args.batch, in_flight_max: args.in_flight, ..Sending::flood() };
        runs.push(measure(&args, args.alerts, &flood).await?);
        if args.paced_s > 0 {
            say(&format!("Run {number} of {}, {} alerts a second.", args.runs, thousands(args.rate.into())));
            let paced = Sending::paced("paced", args.rate);
            let alerts = u64::from(args.rate) * u64::from(args.paced_s);
            runs.push(measure(&args, alerts, &paced).await?);
        }
    }
    show(&args, &runs);
    Ok(())
}

/// One run on a new store. Books that are not as expected are an error.
async fn measure(args: &Args, alerts: u64, sending: &Sending) -> Result<Run> {
    let plan = Plan { seed: args.seed, devices: args.devices, alerts, start_ms: start_of_yesterday_ms()? };
    let scratch = stage::scratch(args.data.as_deref())?;
    let Stage { host, client } = Stage::set(&plan, scratch.path()).await?;

    let before = host.usage()?;
    let (day, sent) = sending::send_with_bar(&client, Day::new(plan)?, sending, alerts).await?;
    let after = host.usage()?;
    client.check_books(&day.expected()).await?;
    host.stop().await?;

    let used = Usage {
        cpu: after.cpu.saturating_sub(before.cpu),
        written_bytes: after.written_bytes.saturating_sub(before.written_bytes),
        memory_bytes_max: after.memory_bytes_max,
    };
    let pace =
        sending.alerts_per_s.map_or_else(|| "full speed".to_owned(), |rate| format!("{}/s", thousands(rate.into())));
    Ok(Run { pace, sent, used })
}

fn show(args: &Args, runs: &[Run]) {
    if args.json {
        let runs: Vec<Value> = runs.iter().map(Run::json).collect();
        println!("{}", json!({ "devices": args.devices, "seed": args.seed, "runs": runs }));
        return;
    }
    let header = [
        "pace",
        "alerts",
        "alerts/s",
        "ack ms p50",
        "p99",
        "p99.9",
        "host CPU ns/alert",
        "bytes written/alert",
        "host memory MiB",
    ];
    println!("{}", report::table(&header, 1, runs.iter().map(Run::row)));
    println!(
        "{} devices, three rules, every acknowledgement after its durable commit. Books balanced and equal to the \
         generator's truth in every run.",
        thousands(args.devices.into())
    );
}

impl Run {
    fn per_alert(&self, amount: f64) -> f64 {
        amount / self.sent.alerts.max(1) as f64
    }

    fn cpu_ns_per_alert(&self) -> f64 {
        self.per_alert(self.used.cpu.as_secs_f64() * 1e9)
    }

    fn bytes_per_alert(&self) -> f64 {
        self.per_alert(self.used.written_bytes as f64)
    }

    fn row(&self) -> Vec<String> {
        let ms = |quantile| format!("{:.1}", self.sent.latency_ms(quantile));
        vec![
            self.pace.clone(),
            thousands(self.sent.alerts),
            thousands(self.sent.alerts_per_s() as u64),
            ms(0.5),
            ms(0.99),
            ms(0.999),
            format!("{:.0}", self.cpu_ns_per_alert()),
            format!("{:.1}", self.bytes_per_alert()),
            format!("{:.0}", self.used.memory_bytes_max as f64 / f64::from(1 << 20)),
        ]
    }

    fn json(&self) -> Value {
        let mut value = report::sent_json(&self.sent);
        value["pace"] = json!(self.pace);
        value["cpu_ns_per_alert"] = json!(self.cpu_ns_per_alert());
        value["written_bytes_per_alert"] = json!(self.bytes_per_alert());
        value["memory_bytes_max"] = json!(self.used.memory_bytes_max);
        value
    }
}
