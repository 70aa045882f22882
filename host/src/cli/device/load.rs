//! `weir device load`: an inventory in, and what differs.
//!
//! Invariants: devices that the file does not name stay unchanged; conflicting
//! rows of a device load nothing, so a load does what its dry run said in any order of rows.

use std::{collections::HashMap, path::PathBuf, thread};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use weir_proto::v1;

use crate::{
    cli::{
        Failure, Session,
        arguments::{NameFiles, Names},
        form::FormArgs,
        input,
        table::thousands,
        view::device::{self, Change, Missing, MissingDevice},
        view::eui,
    },
    domain::Mpxn,
    intake::{LineError, inventory},
};

mod rows;

use rows::{Noticed, Read};

/// Rows of one message.
const CHUNK_ROWS: usize = 8_192;
/// Messages that are made ahead of the server.
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
    form: FormArgs,
    #[command(flatten)]
    names: NameFiles,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let Args { file: path, dry_run, missing, form, names } = args;
    let (names, form) = (names.read()?, form.read(session)?);
    let input = input::open(&path)?;
    let bad_file = |error: LineError| Failure::usage(format!("{}: {error}", path.display()));
    let rows = inventory::Rows::of(input.reader, &form).map_err(bad_file)?;
    let mut client = super::client(session).await?;
    // A thread of its own, which the end of the process does not wait for: it may be held up by a silent stdin.
    let (progress, operators) = (input.progress.clone(), names.clone());
    let reading = tokio::task::spawn_blocking(move || Read::of(rows, &operators, &progress));
    let read = reading.await.map_err(|_| Failure::internal("the inventory's reader stopped"))?.map_err(bad_file)?;
    input.progress.finish_and_clear();
    let (named, noticed) = (if missing { read.named() } else { HashMap::new() }, read.noticed);
    let devices = read.devices();
    let (chunks, requests) = mpsc::channel(CHUNKS_AHEAD_MAX);
    thread::spawn(move || {
        let mut devices = devices.peekable();
        while devices.peek().is_some() {
            let devices = devices.by_ref().take(CHUNK_ROWS).collect();
            if chunks.blocking_send(v1::PutDevicesRequest { devices, dry_run }).is_err() {
                // The server has ended the call, and its status says why.
                break;
            }
        }
    });
    let answer = client.put_devices(ReceiverStream::new(requests)).await;
    let put = answer.map_err(|status| session.failed(&status))?.into_inner();
    let missing = if missing { Some(compare(session, &named).await?) } else { None };
    show(session, load(put, &noticed, dry_run, missing), &names)?;
    let Noticed { unreadable_count, in_doubt_count, .. } = noticed;
    let told: Vec<String> = [
        (unreadable_count, "line that cannot be read was skipped", "lines that cannot be read were skipped"),
        (in_doubt_count, "line of a device in two ways was skipped", "lines of devices in two ways were skipped"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, one, several)| format!("{} {}", thousands(count), if count == 1 { one } else { several }))
    .collect();
    if told.is_empty() {
        return Ok(());
    }
    let message = format!("{}: {}", path.display(), told.join(", "));
    Err(Failure::usage(message).with_hint("mend those lines and load them again"))
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
        in_doubt_count: noticed.in_doubt_count,
        repeated_count: noticed.repeated_count,
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
