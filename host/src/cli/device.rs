//! `weir device`: load the inventory and look at devices.
//!
//! It must not know what the inventory is joined with.

use std::{path::PathBuf, thread};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use weir_proto::v1::{self, device_service_client::DeviceServiceClient};

use super::{
    Failure, Session,
    arguments::{self, Names},
    input::{self, Notices},
    session::{Connection, MESSAGE_BYTES_MAX},
    table::thousands,
    view::device,
};
use crate::{
    domain::Eui64,
    intake::{LineError, inventory},
};

/// Rows of one message.
const CHUNK_ROWS: usize = 8_192;
/// Messages that are read ahead of the server.
const CHUNKS_AHEAD_MAX: usize = 2;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Load an inventory: devices are added or replaced, none is removed.
    ///
    /// A CSV file with the columns eui, mpxn, generation (smets1, smets2 or unknown) and model, and perhaps operator
    /// (a distributor id; without it, it is taken from the MPAN). Bad lines are named and skipped.
    #[command(after_help = "Example:\n  weir device load devices.csv\n\n  eui,mpxn,generation,model\n  \
                            00-DB-12-34-56-78-90-A0,1312345678907,smets1,Maker A 100")]
    Load {
        /// The inventory; - for stdin.
        file: PathBuf,
    },
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
        Command::Load { file } => load(session, file).await,
        Command::Show { eui } => show(session, eui).await,
    }
}

async fn load(session: &Session, path: PathBuf) -> Result<(), Failure> {
    let input = input::open(&path)?;
    let bad_file = |error: LineError| Failure::usage(format!("{}: {error}", path.display()));
    let rows = inventory::Rows::new(input.reader).map_err(bad_file)?;
    let mut client = client(session).await?;
    let notices = Notices::new("lines that cannot be read", input.progress.clone());
    let (chunks, requests) = mpsc::channel(CHUNKS_AHEAD_MAX);
    // A thread of its own, which the end of the process does not wait for: it may be held up by a silent stdin.
    let reading = thread::spawn(move || send_chunks(rows, &chunks, notices));
    let answer = client.put_devices(ReceiverStream::new(requests)).await;
    input.progress.finish_and_clear();
    let v1::PutDevicesResponse { added, changed, unchanged } =
        answer.map_err(|status| session.failed(&status))?.into_inner();
    let unreadable_count =
        reading.join().map_err(|_| Failure::internal("the inventory's reader stopped"))?.map_err(bad_file)?;
    session.show(&device::Load { added, changed, unchanged, unreadable_count }, device::load_table)?;
    if unreadable_count > 0 {
        let message = format!("{}: {} lines were skipped", path.display(), thousands(unreadable_count));
        return Err(Failure::usage(message).with_hint("mend those lines and load them again"));
    }
    Ok(())
}

/// Reads rows and sends them in chunks. Says how many lines it skipped; fails when the input itself does.
fn send_chunks<R: std::io::BufRead>(
    rows: inventory::Rows<R>,
    chunks: &mpsc::Sender<v1::PutDevicesRequest>,
    mut notices: Notices,
) -> Result<u64, LineError> {
    let mut devices = Vec::new();
    for row in rows {
        match row {
            Ok(row) => devices.push(wire(row)),
            Err(error) if error.fatal => return Err(error),
            Err(error) => notices.give(&error.to_string()),
        }
        if devices.len() == CHUNK_ROWS {
            let devices = std::mem::take(&mut devices);
            if chunks.blocking_send(v1::PutDevicesRequest { devices }).is_err() {
                // The server has ended the call, and its status says why.
                return Ok(notices.finish());
            }
        }
    }
    if !devices.is_empty() {
        // As above.
        let _ = chunks.blocking_send(v1::PutDevicesRequest { devices });
    }
    Ok(notices.finish())
}

fn wire(row: inventory::Row) -> v1::Device {
    let inventory::Row { eui, mpxn, generation, model, operator } = row;
    v1::Device {
        device_id: eui.0,
        mpxn: mpxn.to_string(),
        generation: generation as i32,
        model,
        operator: operator.get().into(),
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

#[cfg(test)]
mod tests {
    use indicatif::ProgressBar;

    use super::*;

    #[test]
    fn rows_are_sent_in_chunks_and_bad_lines_skipped() {
        use std::fmt::Write;
        let mut text = "eui,mpxn,generation,model,operator\n".to_owned();
        for number in 1..=CHUNK_ROWS + 1 {
            writeln!(text, "{number:016X},1312345678907,smets2,M,").unwrap();
        }
        text.push_str("nonsense,,,,\n0000000000000001,,smets1,,10\n");
        let (chunks, mut requests) = mpsc::channel(8);
        let rows = inventory::Rows::new(text.as_bytes()).unwrap();
        let skipped = send_chunks(rows, &chunks, Notices::new("bad lines", ProgressBar::hidden()));
        assert_eq!(skipped, Ok(1));
        assert_eq!(requests.try_recv().unwrap().devices.len(), CHUNK_ROWS);
        let last = requests.try_recv().unwrap().devices;
        assert_eq!(last.len(), 2);
        assert_eq!((last[0].mpxn.as_str(), last[0].generation()), ("1312345678907", v1::Generation::Smets2));
        assert_eq!((last[1].device_id, last[1].operator, last[1].mpxn.as_str()), (1, 10, ""));
    }
}
