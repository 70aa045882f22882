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
use crate::intake::claims::Subject;

mod history;
pub(super) mod labels;
mod list;
mod load;
mod proposals;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Load an inventory: devices are added or changed, none is removed.
    ///
    /// A CSV file with the columns eui, mpxn, generation (smets1, smets2 or unknown) and model, and perhaps operator
    /// (a distributor id; without it, it is taken from the MPAN), secondary_mpan, export_mpan, type (ESME, GSME, CHF ...) and
    /// hub; or the DCC's responses to service request 8.2 (Read Inventory). Bad lines are named and skipped, and so is a device that
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
    #[command(after_help = "Examples:\n  weir device show 00-DB-12-34-56-78-90-A0\n  weir device show 1312345678907")]
    Show {
        /// EUI-64 (16 hex digits, with hyphens or without), or one of its metering points: import, secondary or export MPAN,
        /// or MPRN.
        #[arg(value_name = "EUI|MPXN", value_parser = arguments::subject)]
        device: Subject,
    },
    /// Show which devices had a metering point, and when, by the loads that said so.
    ///
    /// A metering point outlives its meter. It is at the device that a load brought to it last; the one before gives way,
    /// though no file takes it away. An operator is told of its own devices.
    #[command(after_help = history::HELP)]
    History(history::Args),
    /// Show what alerts say of devices and their metering points that the inventory lacks or contradicts.
    ///
    /// DCC alerts, like AD1 of an outage, name metering points with devices. Nothing is taken over by itself: --csv prints a
    /// file for weir device load. What would move a device to another operator is shown, and left out of the file.
    #[command(after_help = proposals::HELP)]
    Proposals(proposals::Args),
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Load(args) => load::run(session, args).await,
        Command::List(args) => list::run(session, args).await,
        Command::Show { device } => show(session, device).await,
        Command::History(args) => history::run(session, args).await,
        Command::Proposals(args) => proposals::run(session, args).await,
    }
}

async fn show(session: &Session, device: Subject) -> Result<(), Failure> {
    let request = match device {
        Subject::Device(eui) => v1::GetDeviceRequest { device_id: eui.0, mpxn: String::new() },
        Subject::Point(mpxn) => v1::GetDeviceRequest { device_id: 0, mpxn: mpxn.to_string() },
    };
    let answer = client(session).await?.get_device(request).await;
    let view = device::DeviceView::from(answer.map_err(|status| session.failed(&status))?.into_inner());
    session.show(&view, |view| device::facts(view, &Names::builtin()))?;
    if !session.json && !view.replaced_device_ids.is_empty() {
        let others = view.replaced_device_ids.join(", ");
        eprintln!("listed at {device} too, before this one: {others}; weir device history {device} says when");
    }
    Ok(())
}

async fn client(session: &Session) -> Result<DeviceServiceClient<Connection>, Failure> {
    Ok(DeviceServiceClient::new(session.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
}
