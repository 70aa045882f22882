//! `weir alert`: send alerts and list what became of them.
//!
//! It must not know a file format or a rule.

use weir_proto::v1::alert_service_client::AlertServiceClient;

use super::{
    Failure, Session,
    session::{Connection, MESSAGE_BYTES_MAX},
};

mod bookmark;
mod dry_run;
mod explain;
mod files;
mod follow;
mod list;
mod patience;
mod piped;
mod reader;
mod rotated;
mod send;
mod tail;
mod terms;
mod unreadable;

pub(super) use files::open;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Send the alerts of files and say what became of them.
    ///
    /// Lines that cannot be read are named, and counted by the server as received and rejected. Where the connection
    /// breaks, what was not acknowledged is sent again; the server recognises it and counts nothing twice.
    #[command(after_help = send::HELP)]
    Send(send::Args),
    /// List logged alerts, oldest first, with what was decided and why.
    #[command(after_help = "Examples:
  weir alert list --suppressed --rule high-volts --since 2026-11-23
  weir alert list --code 8F36 --occurred-since 2026-11-21 --occurred-until 2026-11-22
  weir alert list --device 00-DB-12-34-56-78-90-A0 --json")]
    List(list::Args),
    /// Explain one alert: what each rule was shown, said and kept, computed again from the log.
    #[command(after_help = "Example:\n  weir alert explain 120417")]
    Explain(explain::Args),
    /// Follow forwarded alerts as they are logged.
    #[command(after_help = tail::HELP)]
    Tail(tail::Args),
    /// Follow forwarded alerts, and deliver them to a webhook: signed requests, made again until they are taken.
    #[command(after_help = tail::DELIVER_HELP)]
    Deliver(tail::DeliverArgs),
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Send(args) => send::run(session, args).await,
        Command::List(args) => list::run(session, args).await,
        Command::Explain(args) => explain::run(session, args).await,
        Command::Tail(args) => tail::run(session, args).await,
        Command::Deliver(args) => tail::deliver(session, args).await,
    }
}

async fn client(session: &Session) -> Result<AlertServiceClient<Connection>, Failure> {
    let client = AlertServiceClient::new(session.connect().await?);
    Ok(client.max_decoding_message_size(MESSAGE_BYTES_MAX).max_encoding_message_size(MESSAGE_BYTES_MAX))
}
