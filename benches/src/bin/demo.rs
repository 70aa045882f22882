//! The demo: a real host, the three stock rules, one day of alerts, and books that must equal what was known
//! beforehand.
//!
//! It must not know how the host works: it is a client like any other. Invariant: it ends with 0 only when the books
//! balance and equal the expectation to the last alert.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::json;
use weir_benches::{
    books::Books,
    client::Client,
    generator::{Day, Plan},
    host::until_interrupted,
    report::{self, say, thousands},
    sending::{self, Sending, Sent},
    stage::Stage,
    start_of_yesterday_ms,
};

/// Streams a day of alerts through a real host and compares its books with what was known beforehand.
#[derive(Debug, Parser)]
struct Args {
    /// Alerts to send.
    #[arg(long, default_value_t = 7_000_000)]
    alerts: u64,
    /// Devices in the inventory.
    #[arg(long, default_value_t = 70_000)]
    devices: u32,
    /// What everything random follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Alerts in a batch.
    #[arg(long, default_value_t = 4096)]
    batch: usize,
    /// Batches sent and not yet acknowledged, at most.
    #[arg(long, default_value_t = 8)]
    in_flight: usize,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Keep the store in this folder, which must be new or empty, to look at it afterwards.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(until_interrupted(run(args))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

/// Runs the demo; tells whether the books were as they must be.
async fn run(args: Args) -> Result<bool> {
    let plan = Plan { seed: args.seed, devices: args.devices, alerts: args.alerts, start_ms: start_of_yesterday_ms()? };
    let scratch = tempfile::tempdir().context("cannot make a folder for the store")?;
    let data_dir = args.keep.clone().unwrap_or_else(|| scratch.path().to_owned());
    let Stage { host, client } = Stage::set(&plan, &data_dir).await?;
    let (day, sent) = stream(&client, &plan, &args).await?;
    say("Asking for the books.");
    let books = client.books().await?;
    say("Stopping the host.");
    host.stop().await?;

    let fine = show(&args, &books, &day.expected(), &sent);
    if args.keep.is_some() {
        say(&format!("The store is kept; look at it with: weir serve --data {}", data_dir.display()));
    }
    Ok(fine)
}

async fn stream(client: &Client, plan: &Plan, args: &Args) -> Result<(Day, Sent)> {
    let (alerts, batch) = (thousands(plan.alerts), thousands(args.batch as u64));
    say(&format!("Streaming {alerts} alerts, {batch} a batch, {} batches in flight.", args.in_flight));
    let sending = Sending {
        producer: format!("demo-{}", plan.seed),
        batch_alerts: args.batch,
        in_flight_max: args.in_flight,
        ..Sending::flood()
    };
    sending::send_with_bar(client, Day::new(*plan)?, &sending, plan.alerts).await
}

/// Prints what came of it; tells whether it is as it must be.
fn show(args: &Args, books: &Books, expected: &Books, sent: &Sent) -> bool {
    let total = books.total();
    let acknowledged = sent.ends == [total.forwarded, total.suppressed, total.rejected, total.duplicate];
    let mut differences = books.differences(expected);
    if !acknowledged {
        differences.push(format!("the acknowledgements add up to {:?}, the books hold {total:?}", sent.ends));
    }
    let fine = books.balance() && differences.is_empty();
    if args.json {
        let mut result = report::books_json(books, expected);
        result["seed"] = json!(args.seed);
        result["devices"] = json!(args.devices);
        result["differences"] = json!(differences);
        result["equal"] = json!(differences.is_empty());
        result["sent"] = report::sent_json(sent);
        println!("{result}");
        return fine;
    }

    println!("{}", report::code_table(books, expected));
    println!("{}", report::rule_table(books, expected));
    println!(
        "{} alerts in {:.1} s: {} a second, each batch acknowledged after its durable commit; to the acknowledgement \
         {:.1} ms (median), {:.1} ms (99 of 100).",
        thousands(sent.alerts),
        sent.elapsed.as_secs_f64(),
        thousands(sent.alerts_per_s() as u64),
        sent.latency_ms(0.5),
        sent.latency_ms(0.99),
    );
    let verdict = if books.balance() { "The books balance" } else { "The books DO NOT balance" };
    println!("{verdict}: received = forwarded + suppressed + rejected + duplicate, in every row.");
    match differences.len() {
        0 => println!("They are equal to the generator's truth."),
        count => println!("They differ from the generator's truth in {count} figures:\n  {}", differences.join("\n  ")),
    }
    fine
}
