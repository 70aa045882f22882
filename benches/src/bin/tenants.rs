//! What two hostile operators cost a third and everybody who sends alerts: the same day twice, beside every attack there
//! is, all at once: first on another host of the machine, then on the host that is measured.
//!
//! Both runs share the machine with the same work, so the ratio is what it costs to share a host. Invariant: figures are
//! only printed of runs whose books equal the generator's truth to the alert, and whose verdicts are the same in both.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tempfile::TempDir;
use tokio::time::Instant;
use weir_benches::{
    client::Client,
    generator::{Day, Plan},
    host::{Host, Launch, Usage},
    hostile::{self, Attackers, Made, Operators},
    program,
    report::{self, say, thousands},
    sending::{self, Sending},
    stage::{self, Stage},
    start_of_yesterday_ms,
    turns::{self, Turns},
};
use weir_proto::v1::{
    CountRow, CreateTokenRequest, Grouping, QueryCountsRequest, Role, count_service_client::CountServiceClient,
    token_service_client::TokenServiceClient,
};

/// The hostile operators, and the good one.
const HOSTILE: [u32; 2] = [12, 13];
const GOOD: u32 = 14;

/// How often the good operator counts its alerts.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How much longer the 99th percentile of acknowledgements may be, in percent.
const LONGER_PERCENT_MAX: f64 = 25.0;

/// Measures what two hostile operators can do to the others.
#[derive(Debug, Parser)]
struct Args {
    /// Alerts a second.
    #[arg(long, default_value_t = 20_000)]
    rate: u32,
    /// Seconds of each of the two runs.
    #[arg(long, default_value_t = 600)]
    seconds: u32,
    /// Devices in the inventory.
    #[arg(long, default_value_t = 70_000)]
    devices: u32,
    /// What everything random follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder under which the stores are made, and so the disk that is measured. Default: that of temporary files.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

/// What one run came to.
struct Ran {
    turns: Turns,
    usage: Usage,
    /// Counts by everything that a verdict is counted by.
    verdicts: Vec<CountRow>,
    /// How long the good operator waited for its counts at most, and how often it was answered.
    good: (Duration, u64),
    made: Made,
}

fn main() -> ExitCode {
    hostile::attack_if_told().unwrap_or_else(|| program::run(run(Args::parse())))
}

/// The host that is attacked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    AnotherHost,
    MeasuredHost,
}

async fn run(args: Args) -> Result<()> {
    ensure!(args.rate > 0 && args.seconds > 0, "rate and seconds must be more than 0");
    say("Two operators do all the harm they can, to another host of this machine.");
    let elsewhere = one(&args, Target::AnotherHost).await?;
    say("They do it to the host that is measured.");
    let here = one(&args, Target::MeasuredHost).await?;
    ensure!(elsewhere.verdicts == here.verdicts, "the verdicts differ from those of the run beside another host");
    show(&args, &elsewhere, &here);
    let ratio = turns::ratio(&elsewhere.turns, &here.turns, 0.99);
    ensure!(
        ratio <= 1.0 + LONGER_PERCENT_MAX / 100.0,
        "p99 of acknowledgements is {ratio:.2} times that beside attacks on another host; {:.2} is allowed",
        1.0 + LONGER_PERCENT_MAX / 100.0
    );
    Ok(())
}

/// One run on a new store. Books that are not as expected are an error.
async fn one(args: &Args, target: Target) -> Result<Ran> {
    let alerts = u64::from(args.rate) * u64::from(args.seconds);
    let plan = Plan { seed: args.seed, devices: args.devices, alerts, start_ms: start_of_yesterday_ms()? };
    let Scene { host, admin, sender, good, operators, scratch: _scratch } = Scene::set(args, &plan).await?;
    let other = match target {
        Target::AnotherHost => Some(other_host(args, &plan).await?),
        Target::MeasuredHost => None,
    };
    let attackers = match &other {
        Some(other) => Attackers::begin(other.host.address(), &other.operators).await?,
        None => Attackers::begin(host.address(), &operators).await?,
    };
    let waits = Waits::default();
    let looking = tokio::spawn(look(good, Arc::clone(&waits)));
    let sending = Sending::paced("paced", args.rate);
    let (day, sent) = sending::send_with_bar(&sender, Day::new(plan)?, &sending, alerts).await?;
    ensure!(!looking.is_finished(), "the good operator was refused its counts: {:?}", looking.await);
    looking.abort();
    let made = attackers.end().await?;
    admin.check_books(&day.expected()).await?;
    let verdicts = verdicts(&admin).await?;
    let (usage, good) = (host.usage()?, *waits.lock().unwrap_or_else(PoisonError::into_inner));
    host.stop().await?;
    if let Some(other) = other {
        other.host.stop().await?;
    }
    let mut turns = Turns::new()?;
    turns.add(&sent)?;
    Ok(Ran { turns, usage, verdicts, good, made })
}

/// A host that is made ready for a day, and everybody who uses it.
struct Scene {
    host: Host,
    admin: Client,
    sender: Client,
    good: Client,
    operators: Operators,
    /// Removed with the scene.
    scratch: TempDir,
}

impl Scene {
    async fn set(args: &Args, plan: &Plan) -> Result<Self> {
        let scratch = stage::scratch(args.data.as_deref())?;
        let launch = Launch { authenticate: true, ..Launch::new(scratch.path(), plan.devices.into())? };
        let host = Host::launch(launch).await?;
        let file = scratch.path().join("first-admin-token");
        let secret = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let client = Client::connect_as(host.address(), Some(secret.trim())).await?;
        let Stage { host, client: admin } = Stage::prepare(host, client, plan).await?;
        let ingest = token(&admin, "head-end", Role::Ingest, 0).await?;
        let sender = Client::connect_as(host.address(), Some(&ingest)).await?;
        let good = token(&admin, "good", Role::Operator, GOOD).await?;
        let good = Client::connect_as(host.address(), Some(&good)).await?;
        let mut operators = Operators::new();
        for operator in HOSTILE {
            let tokens = operators.entry(operator).or_default();
            for at in ["a", "b"] {
                tokens.push(token(&admin, &format!("hostile-{operator}-{at}"), Role::Operator, operator).await?);
            }
        }
        Ok(Self { host, admin, sender, good, operators, scratch })
    }
}

/// A host to be attacked instead. Its log is as long as that of the measured host is on average.
async fn other_host(args: &Args, plan: &Plan) -> Result<Scene> {
    let half = Plan { alerts: plan.alerts.div_ceil(2), ..*plan };
    let other = Scene::set(args, &half).await?;
    sending::send_with_bar(&other.sender, Day::new(half)?, &Sending::flood(), half.alerts).await?;
    Ok(other)
}

/// The longest wait for an answer, and how often there was one.
type Waits = Arc<Mutex<(Duration, u64)>>;

/// Counts the good operator's alerts again and again. It returns when it is refused.
async fn look(good: Client, waits: Waits) -> Result<()> {
    loop {
        let begun = Instant::now();
        let request = QueryCountsRequest { group_by: vec![Grouping::Code.into()], ..QueryCountsRequest::default() };
        CountServiceClient::new(good.link()).query_counts(request).await.context("the good operator's counts")?;
        note(&waits, begun.elapsed());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn note(waits: &Waits, wait: Duration) {
    let mut waits = waits.lock().unwrap_or_else(PoisonError::into_inner);
    *waits = (waits.0.max(wait), waits.1 + 1);
}

async fn token(client: &Client, name: &str, role: Role, operator: u32) -> Result<String> {
    const HOUR_MS: i64 = 3_600_000;
    let request = CreateTokenRequest {
        name: name.to_owned(),
        role: role.into(),
        operator,
        lifetime_ms: 24 * HOUR_MS,
        ..Default::default()
    };
    let made = TokenServiceClient::new(client.link()).create_token(request).await;
    Ok(made.with_context(|| format!("no token for {name}"))?.into_inner().secret)
}

async fn verdicts(client: &Client) -> Result<Vec<CountRow>> {
    let by = [Grouping::Code, Grouping::Rule, Grouping::Operator, Grouping::Generation, Grouping::Rejection];
    let request = QueryCountsRequest { group_by: by.map(i32::from).to_vec(), ..QueryCountsRequest::default() };
    let mut counts = CountServiceClient::new(client.link()).max_decoding_message_size(64 << 20);
    Ok(counts.query_counts(request).await.context("cannot count the verdicts")?.into_inner().rows)
}

fn show(args: &Args, elsewhere: &Ran, here: &Ran) {
    let (waited, answered) = here.good;
    if args.json {
        let mut figures = turns::json(&elsewhere.turns, &here.turns);
        figures["memory_bytes_max"] = [elsewhere.usage.memory_bytes_max, here.usage.memory_bytes_max].into();
        figures["good_operator"] =
            serde_json::json!({ "answered": answered, "waited_ms_max": waited.as_millis() as u64 });
        let made = here.made.iter().map(|((what, ended), count)| (format!("{what}, {ended}"), (*count).into()));
        figures["attacks"] = serde_json::Value::Object(made.collect());
        return println!("{figures}");
    }
    let names = ["attacks on another host", "attacks on this host"];
    println!("{}", turns::table(names, &elsewhere.turns, &here.turns));
    let made = here.made.iter().map(|((what, ended), count)| vec![what.clone(), ended.clone(), thousands(*count)]);
    println!("{}", report::table(&["attack", "calls", ""], 2, made));
    let mib = |bytes: u64| thousands(bytes >> 20);
    println!(
        "The host held {} MiB at most when another was attacked, {} MiB when it was.",
        mib(elsewhere.usage.memory_bytes_max),
        mib(here.usage.memory_bytes_max)
    );
    println!(
        "The good operator was given its counts {} times, and waited {} ms at most.",
        thousands(answered),
        waited.as_millis()
    );
    println!("Books equal to the generator's truth, to the alert, in both runs, and verdicts the same.");
}
