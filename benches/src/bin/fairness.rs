//! What one operator's attack on a host costs the others: the same day of alerts, alone and beside it, in turns.
//!
//! It must not know how the host shares its time. Invariant: figures are only printed of runs whose books equal the
//! generator's truth to the alert, attack or not.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use hdrhistogram::Histogram;
use serde_json::json;
use weir_benches::{
    attack::{Attack, Kind, OPERATOR},
    generator::{Day, Plan},
    host::until_interrupted,
    report::{self, say, thousands},
    sending::{self, Sending},
    stage::Stage,
    start_of_yesterday_ms,
};

/// Batches a second: each holds what a hundredth of a second brings.
const BATCHES_PER_S: u32 = 100;
/// Batches in flight: enough never to be what the sender waits for.
const IN_FLIGHT: usize = 32;

/// Measures what one operator can do to the others.
#[derive(Debug, Parser)]
struct Args {
    /// Alerts a second.
    #[arg(long, default_value_t = 200_000)]
    rate: u32,
    /// Seconds of a turn.
    #[arg(long, default_value_t = 30)]
    seconds: u32,
    /// Turns alone, and as many beside the attack.
    #[arg(long, default_value_t = 3)]
    pairs: u32,
    /// Devices in the inventory.
    #[arg(long, default_value_t = 70_000)]
    devices: u32,
    /// What everything random follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What the attack consists of.
    #[arg(long, value_enum, default_value_t = Kind::All)]
    attack: Kind,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// All turns of one kind.
struct Turns {
    alerts: u64,
    seconds: f64,
    latency_us: Histogram<u64>,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let done =
        runtime.context("no runtime").and_then(|runtime| runtime.block_on(until_interrupted(run(Args::parse()))));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    ensure!(args.rate > 0 && args.seconds > 0 && args.pairs > 0, "rate, seconds and pairs must be more than 0");
    let (mut alone, mut beside) = (Turns::new()?, Turns::new()?);
    for pair in 1..=args.pairs {
        say(&format!("Pair {pair} of {}: alone.", args.pairs));
        turn(&args, pair, false, &mut alone).await?;
        say(&format!("Pair {pair} of {}: beside an operator that does all the harm it can.", args.pairs));
        turn(&args, pair, true, &mut beside).await?;
    }
    show(&args, &alone, &beside);
    Ok(())
}

/// One turn on a new store. Books that are not as expected are an error.
async fn turn(args: &Args, pair: u32, attacked: bool, turns: &mut Turns) -> Result<()> {
    let alerts = u64::from(args.rate) * u64::from(args.seconds);
    let seed = args.seed + u64::from(pair);
    let plan = Plan { seed, devices: args.devices, alerts, start_ms: start_of_yesterday_ms()? };
    let scratch = tempfile::tempdir().context("no temporary folder")?;
    let Stage { host, client } = Stage::set(&plan, scratch.path()).await?;
    let attack = if attacked { Some(Attack::begin(&client, args.attack).await?) } else { None };
    let sending = Sending {
        producer: "paced".to_owned(),
        batch_alerts: (args.rate / BATCHES_PER_S).max(1) as usize,
        in_flight_max: IN_FLIGHT,
        alerts_per_s: Some(args.rate),
    };
    let bar = report::progress(alerts, "alerts");
    let (day, sent) = sending::send(&client, Day::new(plan)?, &sending, |alerts| bar.inc(alerts)).await?;
    bar.finish_and_clear();
    if let Some(attack) = attack {
        attack.end().await?;
        for rule in client.rules().await?.into_iter().filter(|rule| rule.scope.is_some()) {
            let (name, mode, faults) = (&rule.name, rule.mode().as_str_name(), rule.fault_count);
            let passed = thousands(rule.passed_over_count);
            if name.starts_with(&format!("{OPERATOR}-")) {
                say(&format!("  {name}: {mode}, {faults} faults, passed over {passed} alerts; {}", rule.last_fault));
            }
        }
    }
    let books = client.books().await?;
    let differences = books.differences(&day.expected());
    ensure!(books.balance(), "the books do not balance");
    ensure!(differences.is_empty(), "the books are not as expected:\n  {}", differences.join("\n  "));
    host.stop().await?;
    say(&format!("  p50 {:.1} ms, p99 {:.1} ms", sent.latency_ms(0.5), sent.latency_ms(0.99)));
    turns.alerts += sent.alerts;
    turns.seconds += sent.elapsed.as_secs_f64();
    turns.latency_us.add(&sent.latency_us).context("histograms of different shapes")
}

fn show(args: &Args, alone: &Turns, beside: &Turns) {
    let quantiles = [0.5, 0.9, 0.99, 0.999];
    let ratio = |of: &dyn Fn(&Turns) -> f64| of(beside) / of(alone).max(1e-9);
    let ms = |turns: &Turns, quantile| turns.latency_us.value_at_quantile(quantile) as f64 / 1e3;
    let rate = |turns: &Turns| turns.alerts as f64 / turns.seconds.max(1e-9);
    if args.json {
        let side = |turns: &Turns| {
            let ms: Vec<f64> = quantiles.iter().map(|quantile| ms(turns, *quantile)).collect();
            json!({ "alerts": turns.alerts, "alerts_per_s": rate(turns), "ack_ms": ms })
        };
        let value = json!({ "quantiles": quantiles, "alone": side(alone), "beside": side(beside) });
        return println!("{value}");
    }
    let row = |name: &str, turns: &Turns| {
        let mut row = vec![name.to_owned(), thousands(turns.alerts), thousands(rate(turns) as u64)];
        row.extend(quantiles.iter().map(|quantile| format!("{:.1}", ms(turns, *quantile))));
        row
    };
    let mut ratios = vec!["ratio".to_owned(), String::new(), format!("{:.2}", ratio(&rate))];
    ratios.extend(quantiles.iter().map(|quantile| format!("{:.2}", ratio(&|turns| ms(turns, *quantile)))));
    let header = ["", "alerts", "alerts/s", "ack ms p50", "p90", "p99", "p99.9"];
    println!("{}", report::table(&header, 1, [row("alone", alone), row("beside the attack", beside), ratios]));
    println!("Books equal to the generator's truth, to the alert, in every turn.");
}

impl Turns {
    fn new() -> Result<Self> {
        Ok(Self { alerts: 0, seconds: 0.0, latency_us: sending::latencies()? })
    }
}
