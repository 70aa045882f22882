//! `weir device`: load the inventory and look at devices.
//!
//! It must not know what the inventory is joined with.

use weir_proto::v1::{self, device_service_client::DeviceServiceClient};

use super::{
    Failure, Session,
    arguments::{self, Names},
    session::{Connection, MESSAGE_BYTES_MAX},
    view::device,
};
use crate::domain::Eui64;

pub(super) mod labels;
mod list;
mod load;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Load an inventory: devices are added or changed, none is removed.
    ///
    /// A CSV file with the columns eui, mpxn, generation (smets1, smets2 or unknown) and model, and perhaps operator
    /// (a distributor id; without it, it is taken from the MPAN). Bad lines are named and skipped, and so is a device that
    /// stands in rows that differ; operators that the MPAN does not begin with are named, and taken. Alerts that were taken
    /// before stay as they are.
    ///
    /// With --label, columns of your own are kept as labels of the devices: `weir count --by label:KEY` groups by them. An
    /// empty cell removes the label; a file without the column, loaded without the option, leaves labels as they are.
    #[command(after_help = load::HELP)]
    Load(load::Args),
    /// List devices of the inventory, in the order in which the host met them.
    #[command(after_help = list::HELP)]
    List(list::Args),
    /// Show one device: inventory, counts, and what rules keep for it.
    #[command(after_help = "Example:\n  weir device show 00-DB-12-34-56-78-90-A0")]
    Show {
        /// EUI-64: 16 hex digits, with hyphens or without.
        #[arg(value_parser = arguments::device)]
        eui: Eui64,
    },
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Load(args) => load::run(session, args).await,
        Command::List(args) => list::run(session, args).await,
        Command::Show { eui } => show(session, eui).await,
    }
}

async fn show(session: &Session, eui: Eui64) -> Result<(), Failure> {
    let answer = client(session).await?.get_device(v1::GetDeviceRequest { device_id: eui.0 }).await;
    let view = device::DeviceView::from(answer.map_err(|status| session.failed(&status))?.into_inner());
    session.show(&view, |view| device::facts(view, &Names::builtin()))
}

async fn client(session: &Session) -> Result<DeviceServiceClient<Connection>, Failure> {
    Ok(DeviceServiceClient::new(session.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
}
