//! What a question over many recorded alerts costs those that arrive: acknowledgements alone and beside questions, in
//! turns, on one host.
//!
//! It must not know how the host works on a question. Invariant: figures are only printed of a run in which nothing was
//! lost, every question's progress came to its end, and one that was cut off by a kill said so and was asked again.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::json;
use weir_benches::{
    client::Client,
    generator::{Day, Plan},
    host::{Host, Launch},
    program,
    questions::{self, Asked, Asking},
    report::{say, thousands},
    sending::{self, Sending},
    stage::{self, Stage},
    start_of_yesterday_ms,
    turns::{self, TurnArgs, Turns},
};
use weir_proto::v1::WhatIfStage;

/// How far a question has to be, in hundredths, when the host is killed under it.
const KILLED_AT_PERCENT: u64 = 5;
/// How long it may take to get there.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Measures what questions over the past cost the alerts that arrive.
#[derive(Debug, Parser)]
struct Args {
    /// Alerts that are recorded before the first turn.
    #[arg(long, default_value_t = 20_000_000)]
    recorded: u64,
    #[command(flatten)]
    turn: TurnArgs,
    /// Folder under which the store is made, and so the disk that is measured. Default: that of temporary files.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

fn main() -> ExitCode {
    program::run(run(Args::parse()))
}

async fn run(args: Args) -> Result<()> {
    let turn_alerts = args.turn.alerts()?;
    ensure!(args.recorded > 0, "recorded: a question needs alerts to be about");
    let TurnArgs { rate, pairs, devices, seed, .. } = args.turn;
    let alerts = args.recorded + 2 * u64::from(pairs) * turn_alerts;
    let plan = Plan { seed, devices, alerts, start_ms: start_of_yesterday_ms()? };
    let scratch = stage::scratch(args.data.as_deref())?;
    let Stage { host, client } = Stage::set(&plan, scratch.path()).await?;

    say(&format!("Recording {} alerts, as fast as the host takes them.", thousands(args.recorded)));
    let flood = Sending { alerts_max: Some(args.recorded), ..Sending::flood() };
    let (mut day, _) = sending::send_with_bar(&client, Day::new(plan)?, &flood, args.recorded).await?;
    let (mut alone, mut beside, mut asked) = (Turns::new()?, Turns::new()?, Asked::default());
    for pair in 1..=pairs {
        for questioned in [false, true] {
            let what = if questioned { "beside questions over the past" } else { "alone" };
            say(&format!("Pair {pair} of {pairs}: {what}."));
            let producer = format!("pair-{pair}-{questioned}");
            let paced = Sending { alerts_max: Some(turn_alerts), ..Sending::paced(&producer, rate) };
            let asking = questioned.then(|| Asking::begin(&client));
            let (rest, sent) = sending::send_with_bar(&client, day, &paced, turn_alerts).await?;
            day = rest;
            if let Some(asking) = asking {
                asked.add(&asking.end().await?);
            }
            if questioned { &mut beside } else { &mut alone }.add(&sent)?;
        }
    }
    let recovered = restart(host, &client, &plan, scratch.path()).await?;
    recovered.client.check_books(&day.expected()).await?;
    recovered.host.stop().await?;
    show(&args, &alone, &beside, &asked, recovered.interrupted);
    Ok(())
}

/// A host that was killed amid a question, and started again.
struct Recovered {
    host: Host,
    client: Client,
    /// Whether the question was said to have been interrupted; otherwise it went on by itself.
    interrupted: bool,
}

/// Kills the host while it works on a question, starts it again, and has the question answered.
async fn restart(host: Host, client: &Client, plan: &Plan, data_dir: &Path) -> Result<Recovered> {
    say("Killing the host while it works on a question, and starting it again.");
    let id = questions::start(client, 0).await?;
    let begun = Instant::now();
    loop {
        let what_if = questions::look(client, id).await?;
        let far = what_if.rows_done * 100 >= what_if.rows_total * KILLED_AT_PERCENT && what_if.rows_total > 0;
        ensure!(
            what_if.stage() != WhatIfStage::Done,
            "the question was answered before the host could be killed: raise --recorded"
        );
        if far && what_if.stage() == WhatIfStage::Running {
            break;
        }
        ensure!(begun.elapsed() < WAIT_MAX, "the question does not get on within {WAIT_MAX:?}");
    }
    // It is killed where it is dropped.
    drop(host);
    let host = Host::launch(Launch::new(data_dir, plan.devices.into())?).await?;
    let client = Client::connect(host.address()).await?;
    let stage = questions::look(&client, id).await?.stage();
    let interrupted = stage == WhatIfStage::Interrupted;
    let id = if interrupted { questions::start(&client, id).await? } else { id };
    let what_if = questions::follow(&client, id, &mut 0).await.context("the question after the restart")?;
    say(&format!("  answered over {} alerts", thousands(what_if.rows_done)));
    Ok(Recovered { host, client, interrupted })
}

fn show(args: &Args, alone: &Turns, beside: &Turns, asked: &Asked, interrupted: bool) {
    let Asked { answered, alerts, running, steps, cancelled_after } = *asked;
    let ratio = turns::ratio(alone, beside, 0.99);
    if args.turn.json {
        let mut value = turns::json(alone, beside);
        value["recorded"] = json!(args.recorded);
        value["ratio_p99"] = json!(ratio);
        value["questions"] = json!({
            "answered": answered,
            "alerts": alerts,
            "running_ms": running.as_millis() as u64,
            "steps": steps,
            "cancelled_after_ms": cancelled_after.as_secs_f64() * 1e3,
            "interrupted_by_restart": interrupted,
        });
        return println!("{value}");
    }
    println!("{}", turns::table(["alone", "beside questions"], alone, beside));
    let rate = alerts as f64 / running.as_secs_f64().max(1e-9) / 1e6;
    println!(
        "{} questions of eight limits over {} alerts and more were answered meanwhile, {rate:.1} million alerts/s; their \
         progress moved {} times. Cancelled, the last of each turn went on for {:.0} ms at most.",
        thousands(answered),
        thousands(args.recorded),
        thousands(steps),
        cancelled_after.as_secs_f64() * 1e3,
    );
    let after =
        if interrupted { "was said to be interrupted, asked again and answered" } else { "went on and was answered" };
    println!("The question under which the host was killed {after}.");
    let kept = if ratio <= 2.0 { "at most doubles" } else { "MORE THAN DOUBLES" };
    println!("The p99 of acknowledgements {kept}: {ratio:.2}. Books equal to the generator's truth, to the alert.");
}
