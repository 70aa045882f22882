//! `weir verify`: whether the store is as it was written and the log, folded again, says what it said.
//!
//! It must not know how a log is folded. Invariant: a log that does not follow from itself, or a store that is damaged, is
//! a failure of the command.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use weir_proto::v1::{self, verify_service_client::VerifyServiceClient};

use super::{
    Failure, Session,
    arguments::Period,
    session::{Connection, MESSAGE_BYTES_MAX},
    view::verify::{self, Verification},
};

/// How often whoever waits looks how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Read every value of the store, fold the log again and compare every verdict with the record; name what is damaged and
    /// the first alert that differs.
    ///
    /// Exit code 64 where there is either. The setting verify.every_s has the host do so by itself.
    #[command(after_help = "Examples:\n  weir verify run\n  weir verify run --since 2026-11-23")]
    Run {
        #[command(flatten)]
        period: Period,
        /// Do not wait for its end.
        #[arg(long)]
        detach: bool,
    },
    /// Show the last verification, or the one that goes on.
    #[command(after_help = "Example:\n  weir verify show --json")]
    Show,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    let mut client = client(session).await?;
    if let Command::Run { period, detach } = command {
        let (since_ms, until_ms) = period.wire()?;
        let started = client.start_verification(v1::StartVerificationRequest { since_ms, until_ms }).await;
        started.map_err(|status| session.failed(&status))?;
        if !detach {
            wait(session, &mut client).await?;
        }
    }
    let found = get(session, &mut client).await?;
    session.show(&found, verify::verification)?;
    match &found.difference {
        Some(at) => Err(Failure::usage(format!("the log does not follow from itself at position {}", at.position))),
        None if found.damage_count > 0 => Err(Failure::usage(format!(
            "{} values of the store are damaged, first {}; a restart makes those again that the log holds, if the file is \
             no longer than store.check_bytes_max; for others restore a copy of the file",
            found.damage_count,
            found.damage.first().map_or("", String::as_str)
        ))),
        None => Ok(()),
    }
}

async fn wait(session: &Session, client: &mut VerifyServiceClient<Connection>) -> Result<(), Failure> {
    let style = ProgressStyle::with_template("  {wide_bar} {percent} %  {per_sec}  {eta} left");
    let bar = ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    loop {
        let found = get(session, client).await?;
        if found.ended_at_ms != 0 {
            bar.finish_and_clear();
            return Ok(());
        }
        bar.set_length(found.rows_total);
        bar.set_position(found.rows_done);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn get(session: &Session, client: &mut VerifyServiceClient<Connection>) -> Result<Verification, Failure> {
    let answer = client.get_verification(v1::GetVerificationRequest {}).await;
    Ok(Verification::from(answer.map_err(|status| session.failed(&status))?.into_inner()))
}

async fn client(session: &Session) -> Result<VerifyServiceClient<Connection>, Failure> {
    Ok(VerifyServiceClient::new(session.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
}
