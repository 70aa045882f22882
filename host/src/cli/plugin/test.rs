//! `weir plugin test`: a component tried on a sample of alerts, without a server.
//!
//! It must not know how alerts are judged: a rehearsal does. Invariant: a component or parameters that a host would
//! refuse are refused here, in the same words.

use std::path::{Path, PathBuf};

use crate::{
    cli::{
        Failure, Session,
        alert::open,
        doubt::{self, Doubts},
        input::{self, Notices},
        rule::read_parameters,
        table::thousands,
        view::rehearsal::{self, Sampled},
    },
    config::{Config, Overrides},
    domain::{Alert, OperatorId},
    intake::{
        inventory::{Row, Rows},
        tables::CodeTable,
    },
    pipeline::code_table,
    plugin::{OWN_PROGRAM, Plugin, Refusal, Sandbox},
    rehearsal::{Rehearsal, Rehearsed},
};

pub(super) const HELP: &str = "Examples:
  weir plugin test my-rule.wasm sample.csv --parameters @parameters.json
  weir plugin test storm.wasm messages.hex --devices devices.csv --json

The sample is a file as `weir alert send` takes it: .csv or .hex; --devices one as `weir device load` takes it. Limits
and protected codes are the host's own: those of --config and of WEIR_ variables. JSON is one object a line: an
\"alert\" for each, a \"state\" for each entry at the end, and a \"summary\".";

/// Alerts of a sample. Each is judged twice, once alone.
const SAMPLE_ALERTS_MAX: usize = 100_000;
const SAMPLE_DEVICES_MAX: usize = 100_000;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The component.
    file: PathBuf,
    /// The alerts.
    sample: PathBuf,
    /// Parameters as a JSON object, or @FILE to read them from.
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
    parameters: String,
    /// The inventory: generations, models and operators of devices.
    #[arg(long, value_name = "FILE")]
    devices: Option<PathBuf>,
    /// File of the host's settings, TOML.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let Args { file, sample, parameters, devices, config } = args;
    let config =
        Config::load(config.as_deref(), Overrides::default()).map_err(|error| Failure::usage(error.to_string()))?;
    let parameters = read_parameters(parameters)?;
    let plugin = load(&file, &config)?;
    let codes = code_table(&config).map_err(|error| Failure::usage(error.to_string()))?;
    doubt::say(&parameters, &[], &codes);
    plugin.check(&parameters, OperatorId::UNKNOWN).map_err(|why| Failure::usage(format!("parameters: {why}")))?;
    let devices = match devices {
        Some(path) => read_devices(&path)?,
        None => Vec::new(),
    };
    let read = read_sample(&sample, codes)?;
    let rehearsal = Rehearsal {
        plugin: &plugin,
        parameters: &parameters,
        config: &config,
        devices: &devices,
        alerts: &read.alerts,
    };
    let rehearsed = rehearsal.run().map_err(|error| Failure::usage(error.to_string()))?;
    let sampled = Sampled::new(&rehearsal, &rehearsed, &read.lines);
    if session.json {
        session.list(&rehearsal::lines(&sampled), |_| rehearsal::table(&sampled))?;
    } else {
        session.show(&(), |()| rehearsal::table(&sampled))?;
        session.show(&(), |()| rehearsal::facts(&sampled))?;
    }
    verdict(&sample, &read, &rehearsed)
}

/// Checks and compiles a component as a host would that is sent it.
fn load(path: &Path, config: &Config) -> Result<Plugin, Failure> {
    let bytes = input::read_whole(path, super::FILE_BYTES_MAX)?;
    let sandbox = Sandbox::confined_once(&config.plugins, Path::new(OWN_PROGRAM))
        .map_err(|error| Failure::internal(error.to_string()))?;
    sandbox.load(&bytes, 0).map_err(|refusal| {
        let message = format!("{}: {refusal}", path.display());
        match refusal {
            Refusal::Worker { .. } => Failure::internal(message),
            _ => Failure::usage(message),
        }
    })
}

/// A sample as it was read.
#[derive(Default)]
struct Sample {
    alerts: Vec<Alert>,
    /// The line that each came from.
    lines: Vec<u64>,
    /// Lines that could not be read.
    unreadable: u64,
}

fn read_sample(path: &Path, codes: CodeTable) -> Result<Sample, Failure> {
    let (mut file, progress) = open(path)?;
    let mut doubts = Doubts::new(codes, progress.clone());
    let mut notices = Notices::new("lines that cannot be read", progress.clone());
    let mut sample = Sample::default();
    while let Some(item) = file.next() {
        match item {
            Ok(_) if sample.alerts.len() == SAMPLE_ALERTS_MAX => {
                return Err(too_long(path, "alerts", SAMPLE_ALERTS_MAX));
            }
            Ok(alert) => {
                doubts.look("", file.line(), &alert);
                sample.alerts.push(alert);
                sample.lines.push(file.line());
            }
            Err(error) if error.fatal => return Err(Failure::usage(format!("{}: {error}", path.display()))),
            Err(error) => notices.give(&error.to_string()),
        }
    }
    progress.finish_and_clear();
    sample.unreadable = notices.finish();
    doubts.finish();
    Ok(sample)
}

fn read_devices(path: &Path) -> Result<Vec<Row>, Failure> {
    let input = input::open(path)?;
    let bad_file = |error| Failure::usage(format!("{}: {error}", path.display()));
    let rows = Rows::new(input.reader).map_err(bad_file)?.take(SAMPLE_DEVICES_MAX + 1);
    let rows: Vec<Row> = rows.collect::<Result<_, _>>().map_err(bad_file)?;
    input.progress.finish_and_clear();
    if rows.len() > SAMPLE_DEVICES_MAX {
        return Err(too_long(path, "devices", SAMPLE_DEVICES_MAX));
    }
    Ok(rows)
}

fn too_long(path: &Path, what: &str, max: usize) -> Failure {
    Failure::usage(format!("{}: more than {} {what}", path.display(), thousands(max as u64)))
        .with_hint("a sample is judged in memory, once as a stream and once one by one; give a part of it")
}

/// Whether the rule may be trusted as far as the sample shows.
fn verdict(path: &Path, sample: &Sample, rehearsed: &Rehearsed) -> Result<(), Failure> {
    if let Some(failure) = rehearsed.failures.first() {
        let (line, count) = (sample.lines[failure.alert], rehearsed.failures.len());
        let fault = &failure.fault;
        let message =
            format!("the rule failed {count} times, first by {} at line {line}: {}", fault.kind.name(), fault.detail);
        return Err(Failure::usage(message)
            .with_hint("a host forwards what a rule fails on, and quarantines a rule that fails repeatedly"));
    }
    if let Some(alert) = rehearsed.depends_on_batch {
        let message = format!(
            "line {}: the rule judges this alert in another way when the alerts come one by one",
            sample.lines[alert]
        );
        return Err(Failure::usage(message).with_hint(
            "a verdict may depend on the alert, the parameters and the state, and on nothing else of the batch",
        ));
    }
    if sample.unreadable > 0 {
        let lines = thousands(sample.unreadable);
        return Err(Failure::usage(format!("{}: {lines} lines could not be read", path.display())));
    }
    Ok(())
}
