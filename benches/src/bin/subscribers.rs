//! What subscribers to forwarded alerts cost those that arrive: acknowledgements alone and beside three subscribers, in
//! turns, on one host.
//!
//! It must not know how the host reads its log. Invariant: figures are only printed of a run in which the books are those
//! of the generator and the quick subscriber was given every forwarded alert.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, ensure};
use clap::Parser;
use serde_json::json;
use weir_benches::{
    generator::{Day, Plan},
    program,
    report::{say, thousands},
    sending::{self, Sending},
    stage::{self, Stage},
    start_of_yesterday_ms,
    subscribers::{Followed, Following},
    turns::{self, TurnArgs, Turns},
};

/// Measures what subscribers to forwarded alerts cost the alerts that arrive.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    turn: TurnArgs,
    /// Send as fast as the host takes alerts, instead of --rate a second.
    #[arg(long)]
    flood: bool,
    /// Folder under which the store is made, and so the disk that is measured. Default: that of temporary files.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

fn main() -> ExitCode {
    program::run(run(Args::parse()))
}

async fn run(args: Args) -> Result<()> {
    let turn_alerts = args.turn.alerts()?;
    let TurnArgs { rate, pairs, devices, seed, .. } = args.turn;
    let plan = Plan { seed, devices, alerts: 2 * u64::from(pairs) * turn_alerts, start_ms: start_of_yesterday_ms()? };
    let scratch = stage::scratch(args.data.as_deref())?;
    let Stage { host, client } = Stage::set(&plan, scratch.path()).await?;

    let mut day = Day::new(plan)?;
    let (mut alone, mut beside, mut followed) = (Turns::new()?, Turns::new()?, Vec::new());
    for pair in 1..=pairs {
        for followed_too in [false, true] {
            let what = if followed_too { "beside three subscribers" } else { "alone" };
            say(&format!("Pair {pair} of {pairs}: {what}."));
            let producer = format!("pair-{pair}-{followed_too}");
            let pace = if args.flood { Sending::flood() } else { Sending::paced(&producer, rate) };
            let pace = Sending { producer, alerts_max: Some(turn_alerts), ..pace };
            let following = if followed_too { Some(Following::begin(host.address()).await?) } else { None };
            let (rest, sent) = sending::send_with_bar(&client, day, &pace, turn_alerts).await?;
            day = rest;
            if let Some(following) = following {
                let all = following.end().await?;
                ensure!(all.quick >= sent.ends[0], "{} of {} forwarded alerts were given", all.quick, sent.ends[0]);
                followed.push(all);
            }
            if followed_too { &mut beside } else { &mut alone }.add(&sent)?;
        }
    }
    client.check_books(&day.expected()).await?;
    host.stop().await?;
    show(&args, &alone, &beside, &followed);
    Ok(())
}

fn show(args: &Args, alone: &Turns, beside: &Turns, followed: &[Followed]) {
    let quick: u64 = followed.iter().map(|turn| turn.quick).sum();
    let slow: u64 = followed.iter().map(|turn| turn.slow).sum();
    let behind = followed.iter().map(|turn| turn.slow_behind).max().unwrap_or(0);
    let caught_up_ms = followed.iter().map(|turn| turn.caught_up_after.as_secs_f64() * 1e3).fold(0.0, f64::max);
    if args.turn.json {
        let mut value = turns::json(alone, beside);
        value["subscribers"] = json!({
            "quick_alerts": quick,
            "slow_alerts": slow,
            "slow_behind": behind,
            "caught_up_after_ms": caught_up_ms,
        });
        return println!("{value}");
    }
    println!("{}", turns::table(["alone", "beside subscribers"], alone, beside));
    println!(
        "The quick one was given all {} forwarded alerts, in order, and had caught up {caught_up_ms:.0} ms after the last \
         at most; the slow one {}, and was {} positions behind in the end; the third read nothing.",
        thousands(quick),
        thousands(slow),
        thousands(behind),
    );
    println!("Books equal to the generator's truth, to the alert.");
}
