//! The commands of `weir`, one file each: clients of the gRPC protocol like anybody else, and the host itself.
//!
//! It must not know the engine: all but `serve`, the compiler it starts and what a rule's author does without a server
//! (`plugin new`, `build` and `test`) speak only to a server. Invariants: results
//! go to stdout, everything else to stderr; text from a server or a file is freed of control characters before a
//! terminal sees it.

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, parser::ValueSource};

mod alert;
pub(crate) mod arguments;
mod audit;
mod cert;
mod code;
mod count;
mod cursor;
mod device;
mod doubt;
mod export;
mod failure;
mod form;
mod format;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod host;
mod input;
mod listed;
mod loopback;
mod manual;
mod names;
mod plugin;
mod producer;
mod reading;
mod reconcile;
pub(crate) mod report;
pub(crate) mod rule;
mod serve;
pub(crate) mod session;
mod sheet;
mod signals;
pub(crate) mod table;
mod terminal;
mod threshold;
mod token;
mod upload;
mod verify;
pub(crate) mod view;
pub(crate) mod whatif;

pub use failure::Failure;
use session::Session;

/// Runs sandboxed rules over smart-meter alerts and keeps exact books of what they held back.
#[derive(Debug, Parser)]
#[command(
    name = "weir",
    version,
    after_help = "Examples:\n  weir serve\n  weir plugin push threshold.wasm\n  weir alert send alerts.csv\n  \
                  weir count --by code,rule\n\n\
                  Exit codes: 0 done, 64 bad usage or input, 69 server unreachable, 70 internal fault."
)]
pub struct Cli {
    #[command(flatten)]
    session: Session,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the host: take alerts, judge them, keep the books.
    Serve(serve::Args),
    /// Make certificates to try things with.
    #[command(subcommand)]
    Cert(cert::Command),
    #[command(flatten)]
    Client(Client),
    /// Print what a shell needs to complete commands, options and their values.
    Completions(manual::Completions),
    /// Print the manual page, or write those of all commands.
    Man(manual::Man),
    /// Compile a component from stdin to stdout: what a host starts for each upload.
    #[command(hide = true)]
    CompileWorker,
}

/// What speaks to a server.
#[derive(Debug, Subcommand)]
enum Client {
    /// Upload and look at plugins, the components that judge alerts.
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Set, list and remove rules, the named uses of plugins.
    #[command(subcommand)]
    Rule(rule::Command),
    /// Load and look at the device inventory.
    #[command(subcommand)]
    Device(device::Command),
    /// Load and look at readings: the average voltages that meters measured.
    #[command(subcommand)]
    Reading(reading::Command),
    /// Load and look at the thresholds of average voltage that meters have.
    #[command(subcommand)]
    Threshold(threshold::Command),
    /// Look up alert codes: what each means, who gets it, its unit and bounds, its pair, whether it is protected.
    #[command(subcommand)]
    Code(code::Command),
    /// Send alerts and list what became of them.
    #[command(subcommand)]
    Alert(alert::Command),
    /// Look at and move cursors: how far whoever follows forwarded alerts has come.
    #[command(subcommand)]
    Cursor(cursor::Command),
    /// Look at and forget producers: who numbers batches, and how far each has come.
    #[command(subcommand)]
    Producer(producer::Command),
    /// Count alerts by what became of them: received = forwarded + suppressed + rejected + duplicate.
    ///
    /// Counted is by time of receipt, so --since and --until are whole hours. A table leaves out the columns
    /// represented, overruled and withheld where they add nothing; JSON always has them.
    Count(count::Args),
    /// Write alerts and what became of them as Parquet, a folder for each day: for DuckDB, pandas and the like.
    ///
    /// Days are those of receipt, in UTC; --since and --until are whole hours. What was received while the export is
    /// made is left out, so that its rows are those that `weir count` counts at one log position. Files get their names
    /// once all are whole.
    Export(export::Args),
    /// Ask what would have become of recorded alerts, had a rule been another.
    #[command(subcommand, name = "whatif")]
    WhatIf(whatif::Command),
    /// Check that the log, folded again, says what it said.
    #[command(subcommand)]
    Verify(verify::Command),
    /// Compare another party's counts with ours, by device, code and day, and say what is likely behind a difference.
    Reconcile(reconcile::Args),
    /// Report the levels of alerts, and whether a migration may go on.
    #[command(subcommand)]
    Report(report::Command),
    /// Give out tokens: who may ask what of a host that asks for one.
    #[command(subcommand)]
    Token(token::Command),
    /// Read and check the audit log: who did what, when.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Look at the host itself: whether it takes alerts, and its clock.
    #[command(subcommand)]
    Host(host::Command),
}

impl Cli {
    /// What this process was asked to do. `Err`: help, or what is wrong, to be printed as it is.
    pub fn asked() -> Result<Self, clap::Error> {
        let mut commands = Self::command().color(terminal::Color::of_usage(std::env::args_os()));
        let matches = commands.try_get_matches_from_mut(std::env::args_os())?;
        let mut asked = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut commands))?;
        // WEIR_TIME_ZONE configures the display. It must not decide how a file is read.
        if matches.value_source("time_zone") == Some(ValueSource::CommandLine) {
            asked.session.look.state_zone();
        }
        Ok(asked)
    }
}

/// Runs one command to its end.
pub fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { session, command } = cli;
    session.set_terminal();
    match command {
        Command::Serve(args) => serve::run(args),
        Command::Cert(command) => cert::run(command),
        Command::CompileWorker => crate::plugin::compile_stdin().map_err(|error| Failure::internal(error.to_string())),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
        Command::Client(command) => run_client(&session, command),
    }
}

fn run_client(session: &Session, command: Client) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("the asynchronous runtime does not start: {error}")))?;
    runtime.block_on(async {
        match command {
            Client::Plugin(command) => plugin::run(session, command).await,
            Client::Rule(command) => rule::run(session, command).await,
            Client::Device(command) => device::run(session, command).await,
            Client::Reading(command) => reading::run(session, command).await,
            Client::Threshold(command) => threshold::run(session, command).await,
            Client::Code(command) => code::run(session, command).await,
            Client::Alert(command) => alert::run(session, command).await,
            Client::Cursor(command) => cursor::run(session, command).await,
            Client::Producer(command) => producer::run(session, command).await,
            Client::Count(args) => count::run(session, args).await,
            Client::Export(args) => export::run(session, args).await,
            Client::WhatIf(command) => whatif::run(session, command).await,
            Client::Verify(command) => verify::run(session, command).await,
            Client::Reconcile(args) => reconcile::run(session, args).await,
            Client::Report(command) => report::run(session, command).await,
            Client::Token(command) => token::run(session, command).await,
            Client::Audit(command) => audit::run(session, command).await,
            Client::Host(command) => host::run(session, command).await,
        }
    })
}

#[cfg(test)]
mod tests;
