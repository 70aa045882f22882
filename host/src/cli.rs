//! Commands.

mod serve;

/// How a command fails: an exit code, a message, and a way out where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Exit code of the process.
    pub exit: u8,
    /// What is wrong, field first.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// The caller's mistake.
    pub fn usage(message: impl AsRef<str>) -> Self {
        Self { exit: 64, message: message.as_ref().to_owned(), hint: None }
    }

    /// Our fault.
    pub fn internal(message: impl AsRef<str>) -> Self {
        Self { exit: 70, message: message.as_ref().to_owned(), hint: None }
    }

    /// The same with a way out.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// The host.
#[derive(Debug, clap::Parser)]
#[command(name = "weir", version)]
pub enum Cli {
    /// Run the host: take alerts, judge them, keep the books.
    Serve(serve::Args),
}

/// Runs one command to its end.
pub fn run(cli: Cli) -> Result<(), Failure> {
    let Cli::Serve(args) = cli;
    serve::run(args)
}
