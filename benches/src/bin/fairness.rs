//! What one operator's attack on a host costs the others: the same day of alerts, alone and beside it, in turns.
//!
//! It must not know how the host shares its time. Invariant: figures are only printed of runs whose books equal the
//! generator's truth to the alert, attack or not.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use weir_benches::{
    attack::{Attack, Kind, OPERATOR},
    generator::{Day, Plan},
    program,
    report::{say, thousands},
    sending::{self, Sending},
    stage::{self, Stage},
    start_of_yesterday_ms,
    turns::{self, TurnArgs, Turns},
};

/// Measures what one operator can do to the others.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    turn: TurnArgs,
    /// What the attack consists of.
    #[arg(long, value_enum, default_value_t = Kind::All)]
    attack: Kind,
}

fn main() -> ExitCode {
    program::run(run(Args::parse()))
}

async fn run(args: Args) -> Result<()> {
    let alerts = args.turn.alerts()?;
    let (mut alone, mut beside) = (Turns::new()?, Turns::new()?);
    for pair in 1..=args.turn.pairs {
        say(&format!("Pair {pair} of {}: alone.", args.turn.pairs));
        turn(&args, (pair, alerts), false, &mut alone).await?;
        say(&format!("Pair {pair} of {}: beside an operator that does all the harm it can.", args.turn.pairs));
        turn(&args, (pair, alerts), true, &mut beside).await?;
    }
    show(&args, &alone, &beside);
    Ok(())
}

/// One turn on a new store. Books that are not as expected are an error.
async fn turn(args: &Args, (pair, alerts): (u32, u64), attacked: bool, turns: &mut Turns) -> Result<()> {
    let TurnArgs { rate, devices, .. } = args.turn;
    let seed = args.turn.seed + u64::from(pair);
    let plan = Plan { seed, devices, alerts, start_ms: start_of_yesterday_ms()? };
    let scratch = stage::scratch(None)?;
    let Stage { host, client } = Stage::set(&plan, scratch.path()).await?;
    let attack = if attacked { Some(Attack::begin(&client, args.attack).await?) } else { None };
    let sending = Sending::paced("paced", rate);
    let (day, sent) = sending::send_with_bar(&client, Day::new(plan)?, &sending, alerts).await?;
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
    client.check_books(&day.expected()).await?;
    host.stop().await?;
    turns.add(&sent)
}

fn show(args: &Args, alone: &Turns, beside: &Turns) {
    if args.turn.json {
        return println!("{}", turns::json(alone, beside));
    }
    println!("{}", turns::table(["alone", "beside the attack"], alone, beside));
    println!("Books equal to the generator's truth, to the alert, in every turn.");
}
