//! `weir device load`: an inventory in, and what differs.
//!
//! It must not know how devices are kept. Invariant: what a file does not name stays as it is.

use std::{collections::HashMap, io::BufRead, path::PathBuf, thread};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use weir_proto::v1;

use crate::{
    cli::{
        Failure, Session,
        arguments::{NameFiles, Names},
        input::{self, Notices},
        table::thousands,
        view::device::{self, Change, Missing, MissingDevice},
        view::eui,
    },
    domain::{Mpxn, OperatorId},
    intake::{LineError, inventory},
};

/// Rows of one message.
const CHUNK_ROWS: usize = 8_192;
/// Messages that are read ahead of the server.
const CHUNKS_AHEAD_MAX: usize = 2;
/// Changes, and missing devices, that are printed; JSON has more.
const PRINTED_MAX: usize = 20;
/// Missing devices that are listed.
const MISSING_LISTED_MAX: usize = 1_000;
/// Devices of one page.
const PAGE_DEVICES: u32 = 8_192;

pub(super) const HELP: &str = "Examples:
  weir device load devices.csv --dry-run
  weir device load devices.csv --missing

  eui,mpxn,generation,model
  00-DB-12-34-56-78-90-A0,1312345678907,smets1,Maker A 100";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The inventory; - for stdin.
    file: PathBuf,
    /// Only say what would change.
    #[arg(long)]
    dry_run: bool,
    /// Say too which devices of the host's inventory the file does not name, and which of them another one in the file
    /// has replaced at its metering point. Nothing is done about them.
    #[arg(long)]
    missing: bool,
    #[command(flatten)]
    names: NameFiles,
}

/// What was noticed of the lines of a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Noticed {
    unreadable_count: u64,
    wrong_operator_count: u64,
    /// Devices of the file with their metering points, where they were asked for.
    named: HashMap<u64, Mpxn>,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let Args { file: path, dry_run, missing, names } = args;
    let names = names.read()?;
    let input = input::open(&path)?;
    let bad_file = |error: LineError| Failure::usage(format!("{}: {error}", path.display()));
    let rows = inventory::Rows::new(input.reader).map_err(bad_file)?;
    let mut client = super::client(session).await?;
    let reading = Reading {
        names: names.clone(),
        dry_run,
        keep: missing,
        notices: Notices::new("lines that cannot be read", input.progress.clone()),
        remarks: Notices::remarks("operators that are not those of the MPAN", input.progress.clone()),
    };
    let (chunks, requests) = mpsc::channel(CHUNKS_AHEAD_MAX);
    // A thread of its own, which the end of the process does not wait for: it may be held up by a silent stdin.
    let reading = thread::spawn(move || reading.send_chunks(rows, &chunks));
    let answer = client.put_devices(ReceiverStream::new(requests)).await;
    input.progress.finish_and_clear();
    let put = answer.map_err(|status| session.failed(&status))?.into_inner();
    let noticed = reading.join().map_err(|_| Failure::internal("the inventory's reader stopped"))?.map_err(bad_file)?;
    let missing = if missing { Some(compare(session, &noticed.named).await?) } else { None };
    show(session, load(put, &noticed, dry_run, missing), &names)?;
    if noticed.unreadable_count > 0 {
        let message = format!("{}: {} lines were skipped", path.display(), thousands(noticed.unreadable_count));
        return Err(Failure::usage(message).with_hint("mend those lines and load them again"));
    }
    Ok(())
}

fn load(put: v1::PutDevicesResponse, noticed: &Noticed, dry_run: bool, missing: Option<Missing>) -> device::Load {
    let v1::PutDevicesResponse { added, changed, unchanged, met, .. } = put;
    let v1::PutDevicesResponse { operator_changed, mpxn_changed, generation_changed, model_changed, changes, .. } = put;
    device::Load {
        dry_run,
        added,
        met,
        changed,
        operator_changed,
        mpxn_changed,
        generation_changed,
        model_changed,
        unchanged,
        unreadable_count: noticed.unreadable_count,
        wrong_operator_count: noticed.wrong_operator_count,
        missing,
        changes: changes.into_iter().map(Change::from).collect(),
    }
}

fn show(session: &Session, load: device::Load, names: &Names) -> Result<(), Failure> {
    session.show(&load, device::load_table)?;
    if session.json {
        return Ok(());
    }
    let first = |count: usize| count.min(PRINTED_MAX);
    if !load.changes.is_empty() {
        session.list(&load.changes[..first(load.changes.len())], |changes| device::changes(changes, names))?;
    }
    let missing = load.missing.map(|missing| missing.devices).unwrap_or_default();
    if !missing.is_empty() {
        session.list(&missing[..first(missing.len())], device::missing)?;
    }
    Ok(())
}

/// Which devices of the host's inventory a file does not name.
async fn compare(session: &Session, named: &HashMap<u64, Mpxn>) -> Result<Missing, Failure> {
    let points: HashMap<Mpxn, u64> =
        named.iter().filter(|(_, mpxn)| **mpxn != Mpxn::NONE).map(|(eui, mpxn)| (*mpxn, *eui)).collect();
    let mut client = super::client(session).await?;
    let mut request = v1::ListDevicesRequest { page_size: PAGE_DEVICES, ..v1::ListDevicesRequest::default() };
    let mut missing = Missing::default();
    loop {
        let answer = client.list_devices(request.clone()).await.map_err(|status| session.failed(&status))?;
        let v1::ListDevicesResponse { devices, next_page_token } = answer.into_inner();
        for device in devices {
            // What only alerts have named was never in the inventory.
            let v1::Device { device_id, mpxn, generation, model, operator } = device;
            let listed = !mpxn.is_empty() || generation != 0 || !model.is_empty() || operator != 0;
            if !listed || named.contains_key(&device_id) {
                continue;
            }
            let by = mpxn.parse().ok().and_then(|mpxn: Mpxn| points.get(&mpxn).copied());
            missing.device_count += 1;
            missing.replaced_count += u64::from(by.is_some());
            if missing.devices.len() < MISSING_LISTED_MAX {
                let (device_id, replaced_by) = (eui(device_id), by.and_then(eui));
                missing.devices.push(MissingDevice { device_id, mpxn, replaced_by });
            }
        }
        if next_page_token.is_empty() {
            return Ok(missing);
        }
        request.page_token = next_page_token;
    }
}

/// How a file is read.
struct Reading {
    names: Names,
    dry_run: bool,
    /// Whether to keep what the file names.
    keep: bool,
    notices: Notices,
    remarks: Notices,
}

impl Reading {
    /// Reads rows and sends them in chunks. Fails when the input itself does.
    fn send_chunks<R: BufRead>(
        mut self,
        mut rows: inventory::Rows<R>,
        chunks: &mpsc::Sender<v1::PutDevicesRequest>,
    ) -> Result<Noticed, LineError> {
        let mut noticed = Noticed::default();
        let mut devices = Vec::new();
        let dry_run = self.dry_run;
        let send = |devices| chunks.blocking_send(v1::PutDevicesRequest { devices, dry_run });
        while let Some(row) = rows.next() {
            match row {
                Ok(row) => {
                    self.look(rows.line(), &row);
                    if self.keep {
                        noticed.named.insert(row.eui.0, row.mpxn);
                    }
                    devices.push(wire(row));
                }
                Err(error) if error.fatal => return Err(error),
                Err(error) => self.notices.give(&error.to_string()),
            }
            if devices.len() == CHUNK_ROWS && send(std::mem::take(&mut devices)).is_err() {
                // The server has ended the call, and its status says why.
                break;
            }
        }
        if !devices.is_empty() {
            // As above.
            let _ = send(devices);
        }
        noticed.unreadable_count = self.notices.finish();
        noticed.wrong_operator_count = self.remarks.finish();
        Ok(noticed)
    }

    /// Says so where a row's operator is not its MPAN's.
    fn look(&mut self, line: u64, row: &inventory::Row) {
        if let Some(by_mpan) = row.other_operator(&self.names.operators) {
            let named = |id: OperatorId| self.names.operator(id.get().into());
            let (stated, by_mpan) = (named(row.operator), named(by_mpan));
            let message = format!(
                "line {line}: operator: {stated} is stated, but MPAN {} is of {by_mpan}; taken as stated",
                row.mpxn
            );
            self.remarks.give(&message);
        }
    }
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
        text.push_str("nonsense,,,,\n0000000000000001,1312345678907,smets1,,10\n");
        let (chunks, mut requests) = mpsc::channel(8);
        let rows = inventory::Rows::new(text.as_bytes()).unwrap();
        let notices = |what| Notices::new(what, ProgressBar::hidden());
        let reading = Reading {
            names: Names::builtin(),
            dry_run: true,
            keep: true,
            notices: notices("bad lines"),
            remarks: notices("operators"),
        };
        let noticed = reading.send_chunks(rows, &chunks).unwrap();
        assert_eq!((noticed.unreadable_count, noticed.wrong_operator_count), (1, 1));
        assert_eq!(noticed.named.len(), CHUNK_ROWS + 1);
        let first = requests.try_recv().unwrap();
        assert_eq!((first.devices.len(), first.dry_run), (CHUNK_ROWS, true));
        let last = requests.try_recv().unwrap().devices;
        assert_eq!(last.len(), 2);
        assert_eq!((last[0].mpxn.as_str(), last[0].generation()), ("1312345678907", v1::Generation::Smets2));
        assert_eq!((last[1].device_id, last[1].operator), (1, 10));
    }
}
