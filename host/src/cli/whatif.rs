//! `weir whatif`: what would have become of recorded alerts, had a rule been another.
//!
//! It must not know how a log is folded. Invariant: what was asked can be shown again by its number, whether anybody
//! waited for the answer or not.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use weir_proto::v1::{self, what_if_service_client::WhatIfServiceClient};

use super::{
    Failure, Session,
    arguments::{self, NameFiles, Names, Only, Period},
    count::By,
    doubt, input,
    plugin::{CHUNK_BYTES, FILE_BYTES_MAX, SIGNATURE_BYTES_MAX},
    rule::read_parameters,
    session::{Connection, MESSAGE_BYTES_MAX},
    view::whatif::{self, Shown, WhatIf, readings},
};

pub(crate) mod reading;
pub(crate) mod sweep;

use reading::ReadingArgs;
use sweep::Sweep;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Ask what would have become of recorded alerts, and wait for the answer.
    ///
    /// The log is folded again with the candidate in the rule's place, in the log's own time. What happened is taken as
    /// it was recorded; what cannot be known is counted and compared with nothing. Live alerts are not held up: the host
    /// works on questions with a share of a processor that its settings bound.
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArgs>),
    /// Show a question and its answer.
    #[command(
        after_help = "Examples:\n  weir whatif show 7\n  weir whatif show 7 --by operator,day --variant below_dv=2580"
    )]
    Show {
        /// Its number.
        id: u64,
        #[command(flatten)]
        view: View,
    },
    /// List the questions that are remembered, newest first.
    #[command(after_help = "Example:\n  weir whatif list --json")]
    List,
    /// End a question that waits or is worked on.
    #[command(after_help = "Example:\n  weir whatif cancel 7")]
    Cancel {
        /// Its number.
        id: u64,
    },
    /// Follow a question until it is over, then show it.
    #[command(after_help = "Example:\n  weir whatif watch 7")]
    Watch {
        /// Its number.
        id: u64,
        #[command(flatten)]
        view: View,
    },
}

const RUN_EXAMPLES: &str = "Examples:
  weir whatif run --rule voltage --parameters '{\"codes\":[\"8F40\"],\"below_dv\":2580}' --since 2026-11-23
  weir whatif run --rule voltage --sweep below_dv=2530..2600:10
  weir whatif run --rule voltage --plugin threshold --plugin my-threshold
  weir whatif run --candidate my-rule.wasm --parameters @mine.json --operator LOND --position 15
  weir whatif run --rule storm
  weir whatif run --rule voltage --sweep below_dv=2530..2600:10 --readings --as filter
  weir whatif run --readings --as device --threshold 2530..2600:10 --since 2026-11-23
  weir whatif run --again 7

Where nothing is changed, as with --rule alone, the difference must be none. From the answer to a rule:
  weir rule set voltage --from-whatif 7 --set below_dv=2580 --mode shadow";

/// What to ask.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// The rule that the candidate stands for. One that there is not: the name of a candidate beside the others.
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// A component that is checked as an upload is, tried, and not kept.
    #[arg(long, value_name = "FILE")]
    candidate: Option<PathBuf>,
    /// File of the candidate's ed25519 signature: for a host that takes signed plugins only.
    #[arg(long, value_name = "FILE", requires = "candidate")]
    signature: Option<PathBuf>,
    /// Plugins of the host to try: digest, the first 8 digits of it or more, or name. The rule's own if not given.
    #[arg(long, value_name = "DIGEST|NAME", conflicts_with = "candidate")]
    plugin: Vec<String>,
    /// Parameters to try as a JSON object, or @FILE. The rule's own if not given.
    #[arg(long, value_name = "JSON|@FILE")]
    parameters: Vec<String>,
    /// Try a parameter's values from LOW to HIGH, both included, in steps.
    #[arg(long, value_name = "NAME=LOW..HIGH:STEP")]
    sweep: Option<Sweep>,
    #[command(flatten)]
    period: Period,
    /// Let state begin so long before --since (like 12h or 7d), not at the log's oldest entry.
    #[arg(long, value_name = "TIME", value_parser = warm_up, requires = "since")]
    warm_up: Option<i64>,
    #[command(flatten)]
    only: Only,
    /// Only alerts of these device model combinations.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    model: Vec<String>,
    /// The candidate's place in the chain. The rule's, or after the last, if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    position: Option<u32>,
    /// What to call the question.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    name: String,
    /// Sampled alerts of each kind of change.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    samples: u32,
    /// Devices to list: those that change most.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    devices: u32,
    /// Samples other alerts.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Ask a question again, over the log as it is now. Everything but --name, --candidate and --signature is as it was.
    #[arg(long, value_name = "ID")]
    again: Option<u64>,
    /// Do not wait for the answer.
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    readings: ReadingArgs,
    #[command(flatten)]
    view: View,
}

/// What to show of an answer.
#[derive(Debug, clap::Args)]
pub(super) struct View {
    /// Show the difference by code, operator, generation, model, day or hour.
    #[arg(long, value_delimiter = ',', default_value = "code")]
    by: Vec<By>,
    /// Of several variants, show the details of the one with this label.
    #[arg(long, value_name = "LABEL")]
    variant: Option<String>,
    #[command(flatten)]
    names: NameFiles,
}

fn warm_up(text: &str) -> Result<i64, String> {
    arguments::length(text, 36_500)
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(args) => ask(session, *args).await,
        Command::Show { id, view } => show(session, id, &view).await,
        Command::List => list(session).await,
        Command::Cancel { id } => cancel(session, id).await,
        Command::Watch { id, view } => {
            follow(session, id).await?;
            show(session, id, &view).await
        }
    }
}

async fn ask(session: &Session, args: RunArgs) -> Result<(), Failure> {
    let detach = args.detach;
    let component = args.candidate.as_deref().map(|path| input::read_whole(path, FILE_BYTES_MAX)).transpose()?;
    let signature = args.signature.as_deref().map(|path| input::read_whole(path, SIGNATURE_BYTES_MAX)).transpose()?;
    let (question, view) = question(session, args).await?;
    let first = v1::StartWhatIfRequest {
        question: Some(question),
        chunk: Vec::new(),
        signature: signature.unwrap_or_default(),
    };
    let component = component.unwrap_or_default();
    let piece = |chunk: &[u8]| v1::StartWhatIfRequest { chunk: chunk.to_vec(), ..v1::StartWhatIfRequest::default() };
    let messages: Vec<_> = [first].into_iter().chain(component.chunks(CHUNK_BYTES).map(piece)).collect();
    let answer = client(session).await?.start_what_if(tokio_stream::iter(messages)).await;
    let started = present(answer.map_err(|status| session.failed(&status))?.into_inner().what_if)?;
    if detach {
        return session.show(&WhatIf::from(started), whatif::facts);
    }
    if !session.json {
        eprintln!("question {0}: `weir whatif watch {0}` follows it too, `weir whatif cancel {0}` ends it", started.id);
    }
    follow(session, started.id).await?;
    show(session, started.id, &view).await
}

/// The question that the arguments make.
async fn question(session: &Session, args: RunArgs) -> Result<(v1::WhatIfQuestion, View), Failure> {
    let RunArgs { rule, candidate, plugin, parameters, sweep, period, warm_up, position, name, again, view, .. } = args;
    let about_devices = args.readings.is_about_devices();
    let readings = args.readings.wire()?;
    let of_a_rule = sweep.is_some() || candidate.is_some() || position.is_some() || warm_up.is_some();
    if about_devices && (of_a_rule || !plugin.is_empty() || !parameters.is_empty()) {
        return Err(Failure::usage(
            "--as device: no rule is part of it, so --sweep, --candidate, --plugin, --parameters, --position and --warm-up mean \
             nothing; --threshold says what meters would compare with",
        ));
    }
    if !about_devices && again.is_none() && rule.is_none() && candidate.is_none() && plugin.is_empty() {
        return Err(Failure::usage("--rule: is missing; name a rule, or what to try by --candidate or --plugin"));
    }
    let mut parameters: Vec<String> = parameters.into_iter().map(read_parameters).collect::<Result<_, _>>()?;
    let codes = view.names.of_host(session).await?.codes;
    parameters.iter().for_each(|given| doubt::say(given, &args.only.codes(), &codes));
    if let Some(sweep) = &sweep {
        if parameters.len() > 1 {
            return Err(Failure::usage("--sweep: goes over one set of --parameters, not over several"));
        }
        let base = match (parameters.pop(), &rule) {
            (Some(given), _) => given,
            (None, Some(rule)) => parameters_of(session, rule).await?,
            (None, None) => "{}".to_owned(),
        };
        parameters = sweep.over(&base).map_err(|why| Failure::usage(format!("--sweep: {why}")))?;
    }
    let (since_ms, until_ms) = period.wire()?;
    let question = v1::WhatIfQuestion {
        name,
        rule: rule.unwrap_or_default(),
        variants: if about_devices { Vec::new() } else { variants(&plugin, &parameters, sweep.as_ref()) },
        only: Some(args.only.scope(args.model)),
        position: position.unwrap_or(0),
        since_ms,
        until_ms,
        warm_up_ms: warm_up,
        samples_max: args.samples,
        devices_max: args.devices,
        seed: args.seed,
        again_id: again.unwrap_or(0),
        readings,
    };
    Ok((question, view))
}

/// Each plugin with each set of parameters.
fn variants(plugins: &[String], parameters: &[String], sweep: Option<&Sweep>) -> Vec<v1::WhatIfVariant> {
    let some = |list: &[String]| if list.is_empty() { vec![None] } else { list.iter().cloned().map(Some).collect() };
    let mut variants = Vec::new();
    for plugin in some(plugins) {
        for (at, parameters) in some(parameters).into_iter().enumerate() {
            let value = sweep.map(|sweep| sweep.label(at));
            let label: Vec<&str> = match plugins {
                [_, _, ..] => plugin.as_deref().into_iter().chain(value.as_deref()).collect(),
                _ => value.as_deref().into_iter().collect(),
            };
            let label = label.join(" ");
            variants.push(v1::WhatIfVariant { label, plugin: plugin.clone().unwrap_or_default(), parameters });
        }
    }
    variants
}

async fn parameters_of(session: &Session, name: &str) -> Result<String, Failure> {
    let rule = super::rule::standing(session).await?.into_iter().find(|rule| rule.name == name);
    rule.map(|rule| rule.parameters).ok_or_else(|| {
        Failure::usage(format!("--rule: no rule is named {name:?}; a sweep needs its parameters, or --parameters"))
    })
}

/// Follows a question, with a bar where there is a terminal.
async fn follow(session: &Session, id: u64) -> Result<(), Failure> {
    let answer = client(session).await?.watch_what_if(v1::WatchWhatIfRequest { id }).await;
    let mut messages = answer.map_err(|status| session.failed(&status))?.into_inner();
    let style = ProgressStyle::with_template("  {wide_bar} {percent} %  {per_sec}  {eta} left  {msg}");
    let bar = ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    while let Some(message) = messages.message().await.map_err(|status| session.failed(&status))? {
        let what_if = WhatIf::from(present(message.what_if)?);
        if what_if.rows_total > 0 {
            bar.set_length(what_if.rows_total);
            bar.set_position(what_if.rows_done);
        }
        bar.set_message(what_if.stage);
    }
    bar.finish_and_clear();
    Ok(())
}

/// A question and its answer, from the server.
pub(super) async fn get(session: &Session, id: u64) -> Result<(v1::WhatIf, Option<v1::WhatIfAnswer>), Failure> {
    let answer = client(session).await?.get_what_if(v1::GetWhatIfRequest { id }).await;
    let v1::GetWhatIfResponse { what_if, answer } = answer.map_err(|status| session.failed(&status))?.into_inner();
    Ok((present(what_if)?, answer))
}

async fn show(session: &Session, id: u64, view: &View) -> Result<(), Failure> {
    let names = view.names.of_host(session).await?;
    let (what_if, answer) = get(session, id).await?;
    let shown = Shown { what_if: WhatIf::from(what_if), answer: answer.map(whatif::Answer::from) };
    session.show(&shown, |shown| whatif::facts(&shown.what_if))?;
    match &shown.answer {
        Some(answer) if !session.json => show_answer(session, answer, view, &names),
        Some(_) => Ok(()),
        None if shown.what_if.stage == "failed" => Err(Failure::usage(shown.what_if.why.clone())),
        None => Ok(()),
    }
}

fn show_answer(session: &Session, answer: &whatif::Answer, view: &View, names: &Names) -> Result<(), Failure> {
    if let Some(devices) = answer.readings.as_ref().and_then(|readings| readings.devices.as_ref()) {
        return show_devices(session, devices);
    }
    session.show(answer, whatif::totals)?;
    if let Some(readings) = &answer.readings {
        session.show(readings, |readings| readings::decided(readings, &answer.outcomes))?;
        readings::notes(readings, &answer.outcomes).iter().for_each(|note| eprintln!("{note}"));
    }
    whatif::notes(answer).iter().for_each(|note| eprintln!("{note}"));
    let outcome = match (&view.variant, &answer.outcomes[..]) {
        (Some(label), outcomes) => {
            outcomes.iter().find(|outcome| outcome.label == *label).map(Some).ok_or_else(|| {
                let labels: Vec<&str> = outcomes.iter().map(|outcome| outcome.label.as_str()).collect();
                Failure::usage(format!("--variant: none is labelled {label:?}; there are: {}", labels.join(", ")))
            })?
        }
        (None, [one]) => Some(one),
        (None, _) => None,
    };
    let Some(outcome) = outcome else {
        eprintln!("--variant LABEL shows the details of one of them");
        return Ok(());
    };
    for key in &view.by {
        let Some(table) = whatif::by(outcome, key.wire(), names) else {
            return Err(Failure::usage("--by: a what-if is by code, operator, generation, model, day or hour"));
        };
        session.list(&[()], |_| table)?;
    }
    if !outcome.devices.is_empty() {
        session.list(&outcome.devices, whatif::devices)?;
    }
    if !outcome.samples.is_empty() {
        session.list(&outcome.samples, |rows| whatif::samples(rows, names))?;
    }
    let at = answer.outcomes.iter().position(|one| one.label == outcome.label);
    let decided = answer.readings.as_ref().zip(at).and_then(|(readings, at)| readings.variants.get(at));
    if let Some(decided) = decided {
        if !decided.excursions.is_empty() {
            session.list(&decided.excursions, |rows| readings::excursions(rows, names))?;
        }
        session.list(&decided.devices, readings::read_devices)?;
    }
    Ok(())
}

/// Shows what meters would have done.
fn show_devices(session: &Session, devices: &readings::Devices) -> Result<(), Failure> {
    session.show(devices, readings::thresholds)?;
    session.show(devices, readings::backtest)?;
    session.show(devices, readings::coverage)?;
    match &devices.thresholds[..] {
        [one] if !one.most.is_empty() => session.list(&one.most, readings::alerting),
        _ => Ok(()),
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    let mut client = client(session).await?;
    let (mut rows, mut page_token): (Vec<WhatIf>, String) = (Vec::new(), String::new());
    loop {
        let answer = client.list_what_ifs(v1::ListWhatIfsRequest { page_size: 0, page_token }).await;
        let page = answer.map_err(|status| session.failed(&status))?.into_inner();
        rows.extend(page.what_ifs.into_iter().map(WhatIf::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return session.list(&rows, whatif::list);
        }
    }
}

async fn cancel(session: &Session, id: u64) -> Result<(), Failure> {
    let answer = client(session).await?.cancel_what_if(v1::CancelWhatIfRequest { id }).await;
    let v1::CancelWhatIfResponse { what_if } = answer.map_err(|status| session.failed(&status))?.into_inner();
    session.show(&WhatIf::from(present(what_if)?), whatif::facts)
}

fn present(what_if: Option<v1::WhatIf>) -> Result<v1::WhatIf, Failure> {
    what_if.ok_or_else(|| Failure::internal("what_if: missing in the server's answer"))
}

async fn client(session: &Session) -> Result<WhatIfServiceClient<Connection>, Failure> {
    Ok(WhatIfServiceClient::new(session.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
}
