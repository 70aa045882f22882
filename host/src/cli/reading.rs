//! `weir reading`: load and look at what meters measured.
//!
//! It must not know how readings are used.

use weir_proto::v1::{self, reading_service_client::ReadingServiceClient};

use super::{
    Failure, Session,
    session::{Connection, MESSAGE_BYTES_MAX},
    view::reading::{self as view, Status},
};

mod list;
mod load;
mod model;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Load readings: average voltages by device, phase and period.
    ///
    /// Which end of a period a time is, how long a period is and the unit of a voltage come from the headings or from
    /// options, and are never guessed. What contradicts or overlaps a reading that is stored is named, and changes nothing.
    /// Reads that failed are counted and named, and are no error.
    #[command(after_help = load::HELP)]
    Load(load::Args),
    /// List the readings of a device, in order of phase and time.
    #[command(after_help = list::HELP)]
    List(list::Args),
    /// Show how many readings there are, of how many devices, and from when to when.
    #[command(after_help = "Examples:\n  weir reading status\n  weir reading status --json")]
    Status,
    /// Say and list what no public source says of models.
    #[command(subcommand)]
    Model(model::Command),
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Load(args) => load::run(session, args).await,
        Command::List(args) => list::run(session, args).await,
        Command::Status => status(session).await,
        Command::Model(command) => model::run(session, command).await,
    }
}

async fn status(session: &Session) -> Result<(), Failure> {
    let answer = client(session).await?.get_reading_status(v1::GetReadingStatusRequest {}).await;
    let status = Status::from(answer.map_err(|status| session.failed(&status))?.into_inner());
    session.show(&status, view::facts)
}

pub(super) async fn client(session: &Session) -> Result<ReadingServiceClient<Connection>, Failure> {
    Ok(ReadingServiceClient::new(session.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
}
