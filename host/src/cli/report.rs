//! `weir report`: the levels of alerts, for people who meet over them, and what they mean for a migration.
//!
//! It must not know how a report looks.

use super::{Failure, Session};

pub(crate) mod alerts;
mod migration;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Report the levels of alerts of a day, a week or a month, before and after suppression.
    ///
    /// By operator, code, model and day; devices and models that raise most; rules, what changed about them, and what
    /// they held back; all against the period before. Days are those of UTC, and counted is what `weir count` counts.
    #[command(after_help = alerts::EXAMPLES)]
    Alerts(alerts::Args),
    /// Say whether a migration of devices may go on: go on, slow, pause or stop.
    ///
    /// Measured is the level of the devices that are migrated, in forwarded alerts a device and day; projected is what
    /// it comes to once all planned devices are there. The bounds are the host's settings under report.
    #[command(after_help = migration::EXAMPLES)]
    Migration(migration::Args),
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Alerts(args) => alerts::run(session, args).await,
        Command::Migration(args) => migration::run(session, args).await,
    }
}
