//! `weir host`: the host itself.
//!
//! It must not know how a host judges its clock.

use std::time::{SystemTime, UNIX_EPOCH};

use weir_proto::v1::{self, host_service_client::HostServiceClient};

use super::{
    Failure, Session,
    session::{Connection, MESSAGE_BYTES_MAX},
    view::host::{self, HostStatus},
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show whether alerts are taken, why not, and what the host's clock shows.
    #[command(after_help = "Example:\n  weir host status --json")]
    Status,
    /// Confirm that the host's clock is right, after it was set or the host was stopped for long.
    ///
    /// This machine's clock vouches for it: the two must be within a minute of each other. Alerts are then taken by that
    /// time, whatever was before, and retention by age follows it at once. The audit log notes it.
    #[command(after_help = "Example:\n  weir host confirm-clock")]
    ConfirmClock,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    let connection = session.connect().await?;
    let mut client = HostServiceClient::<Connection>::new(connection).max_decoding_message_size(MESSAGE_BYTES_MAX);
    if let Command::ConfirmClock = command {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let clock_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let confirmed = client.confirm_clock(v1::ConfirmClockRequest { clock_ms }).await;
        confirmed.map_err(|status| session.failed(&status))?;
    }
    let answer = client.get_host_status(v1::GetHostStatusRequest {}).await;
    let status = HostStatus::from(answer.map_err(|status| session.failed(&status))?.into_inner());
    session.show(&status, host::facts)
}
