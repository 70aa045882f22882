//! `weir device load`: an inventory in, and what differs.
//!
//! Invariants: devices that the file does not name stay unchanged; conflicting
//! rows of a device load nothing, so a load does what its dry run said in any order of rows.

use std::{path::PathBuf, thread};

use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use weir_proto::v1::{self, alert_service_client::AlertServiceClient};

use crate::{
    cli::{
        Failure, Session,
        arguments::{NameFiles, Names},
        form::FormArgs,
        input,
        table::thousands,
        view::device::{self, Change, Device, LeftHub, Missing, MissingDevice, SharedPoint},
        view::eui,
    },
    domain::{LabelKey, Mpxn},
    intake::{LineError, form::Form},
};

mod rows;
mod sent;
mod source;

use rows::{Keys, Loadable, Named, Noticed, Read};
use sent::SentRows;
use source::{Format, Source};

use super::labels::{self, LabelColumn};

/// Rows of one message, as many as a host takes where nothing else is set.
const CHUNK_ROWS_MAX: usize = 16_384;
/// Bytes of one message, half of what a host takes where nothing else is set.
const CHUNK_BYTES_MAX: usize = 2 << 20;
/// Bytes of a message beside its rows.
const CHUNK_FRAME_BYTES: usize = 64;
/// Bytes of a row in a message beside its own.
const ROW_FRAME_BYTES: usize = 4;
/// Messages that are made ahead of the server.
const CHUNKS_AHEAD_MAX: usize = 2;
/// Changes, and missing devices, that are printed; JSON has more.
const PRINTED_MAX: usize = 20;
/// Missing devices that are listed.
const MISSING_LISTED_MAX: usize = 1_000;
/// Devices of one page.
const PAGE_DEVICES: u32 = 8_192;

/// What one message may hold. Half of it is filled, unless rows share a metering point.
#[derive(Debug, Clone, Copy)]
struct ChunkLimits {
    rows_max: usize,
    bytes_max: usize,
}

impl Default for ChunkLimits {
    fn default() -> Self {
        Self { rows_max: CHUNK_ROWS_MAX, bytes_max: CHUNK_BYTES_MAX }
    }
}

impl ChunkLimits {
    /// Returns the host's limits, or the defaults if its release or the caller's role gives none.
    async fn of_host(session: &Session) -> Result<Self, Failure> {
        let mut client = AlertServiceClient::new(session.connect().await?);
        let limits = match client.get_intake_limits(v1::GetIntakeLimitsRequest {}).await {
            Ok(answer) => answer.into_inner(),
            Err(status) if matches!(status.code(), Code::Unimplemented | Code::PermissionDenied) => {
                return Ok(Self::default());
            }
            Err(status) => return Err(session.failed(&status)),
        };
        let v1::GetIntakeLimitsResponse { put_devices_max, message_bytes_max, .. } = limits;
        let told = |told: u64, max: usize| {
            usize::try_from(told).ok().filter(|told| *told > 0).map_or(max, |told| told.min(max))
        };
        Ok(Self {
            rows_max: told(put_devices_max.into(), CHUNK_ROWS_MAX),
            bytes_max: told(message_bytes_max, CHUNK_BYTES_MAX).saturating_sub(CHUNK_FRAME_BYTES),
        })
    }
}

pub(super) const HELP: &str = "Examples:
  weir device load devices.csv --dry-run
  weir device load devices.csv --missing
  weir device load devices.csv --label substation --label feeder=PrimaryFeeder
  weir device load devices.csv --network-label network

  weir device load read-inventory.xml --dry-run

  eui,mpxn,generation,model
  00-DB-12-34-56-78-90-A0,1312345678907,smets1,Maker A 100";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The inventory; - for stdin.
    file: PathBuf,
    /// What the file is. Without it: documents where it begins with <, else CSV.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Only say what would change.
    #[arg(long)]
    dry_run: bool,
    /// Say too which devices of the host's inventory the file does not name, and which of them another one in the file
    /// has replaced at its metering point. Nothing is done about them.
    #[arg(long)]
    missing: bool,
    /// Columns that are labels, like substation, or feeder=PrimaryFeeder where the file has another heading. An empty cell
    /// removes the label.
    #[arg(long, value_name = "KEY[=HEADING]", value_delimiter = ',', value_parser = labels::column)]
    label: Vec<LabelColumn>,
    /// Keep under this label the distributor id that the MPAN begins with: it tells meters of independent networks in an
    /// operator's area apart, which have the operator's number in the column operator and their own (24 and above) in the
    /// MPAN.
    #[arg(long, value_name = "KEY")]
    network_label: Option<LabelKey>,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    names: NameFiles,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let Args { file: path, format, dry_run, missing, label: columns, network_label, form, names } = args;
    check_keys(&columns, network_label.as_ref())?;
    let (names, mut form) = (names.read()?, form.read(session)?);
    check_options(&form)?;
    form.labels = columns.into_iter().map(|LabelColumn { key, heading }| (key, heading)).collect();
    let keys = Keys { columns: form.labels.iter().map(|(key, _)| key.clone()).collect(), network: network_label };
    let input = input::open(&path)?;
    let bad_file = |error: LineError| Failure::usage(format!("{}: {error}", path.display()));
    let rows = Source::of(input.reader, format, &form).map_err(bad_file)?;
    let items = rows.items();
    let mut client = super::client(session).await?;
    // A thread of its own, which the end of the process does not wait for: it may be held up by a silent stdin.
    let (progress, operators) = (input.progress.clone(), names.clone());
    let reading = tokio::task::spawn_blocking(move || Read::of(rows, keys, &operators, &progress));
    let read = reading.await.map_err(|_| Failure::internal("the inventory's reader stopped"))?.map_err(bad_file)?;
    input.progress.finish_and_clear();
    let (named, noticed) = (if missing { read.named() } else { Named::default() }, read.noticed);
    let devices = read.devices();
    let limits = ChunkLimits::of_host(session).await?;
    let (chunks, requests) = mpsc::channel(CHUNKS_AHEAD_MAX);
    let sent = SentRows::default();
    let noted = sent.clone();
    thread::spawn(move || {
        for rows in in_chunks(devices, limits) {
            noted.note(&rows);
            let devices = rows.into_iter().map(|row| row.device).collect();
            if chunks.blocking_send(v1::PutDevicesRequest { devices, dry_run }).is_err() {
                // The server has ended the call, and its status says why.
                break;
            }
        }
    });
    let answer = client.put_devices(ReceiverStream::new(requests)).await;
    let failed = |status| sent.failed(&status, session.failed(&status), (&path, dry_run));
    let put = answer.map_err(failed)?.into_inner();
    let missing = if missing { Some(compare(session, &named, limits).await?) } else { None };
    show(session, load(put, &noticed, dry_run, missing), &names)?;
    let Noticed { unreadable_count, in_doubt_count, .. } = noticed;
    let told: Vec<String> = [(unreadable_count, items.unreadable), (in_doubt_count, items.in_doubt)]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, (one, several))| format!("{} {}", thousands(count), if count == 1 { one } else { several }))
        .collect();
    if told.is_empty() {
        return Ok(());
    }
    let message = format!("{}: {}", path.display(), told.join(", "));
    Err(Failure::usage(message).with_hint("mend those and load them again"))
}

/// Rejects options of times and decimal numbers, which no inventory has: without effect, they would mislead.
fn check_options(form: &Form) -> Result<(), Failure> {
    match form.idle(&["--delimiter", "--encoding", "--columns", "--label"]) {
        Some(option) => {
            Err(Failure::usage(format!("{option}: it says nothing about inventories")).with_hint("leave it out"))
        }
        None => Ok(()),
    }
}

/// Rejects two columns of one label.
fn check_keys(columns: &[LabelColumn], network: Option<&LabelKey>) -> Result<(), Failure> {
    let keys: Vec<&LabelKey> = columns.iter().map(|column| &column.key).chain(network).collect();
    match keys.iter().enumerate().find(|(at, key)| keys[..*at].contains(key)) {
        Some((_, twice)) => Err(Failure::usage(format!("--label: {twice} is given two columns"))),
        None => Ok(()),
    }
}

/// Divides rows into messages. Rows that share a metering point stay in one where it has room, for the host tells which
/// devices of one message share it.
fn in_chunks(devices: impl Iterator<Item = Loadable>, limits: ChunkLimits) -> impl Iterator<Item = Vec<Loadable>> {
    let ChunkLimits { rows_max, bytes_max } = limits;
    let mut devices = devices.peekable();
    std::iter::from_fn(move || {
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        while let Some(row) = devices.next_if(|row| {
            let part = if row.goes_on { 1 } else { 2 };
            bytes += row.device.encoded_len() + ROW_FRAME_BYTES;
            chunk.is_empty() || chunk.len() < rows_max / part && bytes <= bytes_max / part
        }) {
            chunk.push(row);
        }
        (!chunk.is_empty()).then_some(chunk)
    })
}

fn load(put: v1::PutDevicesResponse, noticed: &Noticed, dry_run: bool, missing: Option<Missing>) -> device::Load {
    let v1::PutDevicesResponse { added, changed, unchanged, met, .. } = put;
    let v1::PutDevicesResponse { operator_changed, mpxn_changed, generation_changed, model_changed, changes, .. } = put;
    let v1::PutDevicesResponse { other_points_changed, type_changed, hub_changed, labels_changed, .. } = put;
    let v1::PutDevicesResponse { shared_point_count, shared_points, left_hub_count, left_hubs, .. } = put;
    device::Load {
        dry_run,
        added,
        met,
        changed,
        operator_changed,
        mpxn_changed,
        generation_changed,
        model_changed,
        labels_changed,
        other_points_changed,
        type_changed,
        hub_changed,
        unchanged,
        unreadable_count: noticed.unreadable_count,
        in_doubt_count: noticed.in_doubt_count,
        repeated_count: noticed.repeated_count,
        wrong_operator_count: noticed.wrong_operator_count,
        missing,
        changes: changes.into_iter().map(Change::from).collect(),
        shared_point_count,
        shared_points: shared_points.into_iter().map(SharedPoint::from).collect(),
        left_hub_count,
        left_hubs: left_hubs.into_iter().map(LeftHub::from).collect(),
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
    if !load.shared_points.is_empty() {
        session.list(&load.shared_points[..first(load.shared_points.len())], device::shared)?;
    }
    if !load.left_hubs.is_empty() {
        session.list(&load.left_hubs[..first(load.left_hubs.len())], |left| device::left_hubs(left, names))?;
    }
    let missing = load.missing.map(|missing| missing.devices).unwrap_or_default();
    if !missing.is_empty() {
        session.list(&missing[..first(missing.len())], device::missing)?;
    }
    Ok(())
}

/// Which devices of the host's inventory a file does not name.
async fn compare(session: &Session, named: &Named, limits: ChunkLimits) -> Result<Missing, Failure> {
    let mut client = super::client(session).await?;
    let page_size = u32::try_from(limits.rows_max).unwrap_or(PAGE_DEVICES).min(PAGE_DEVICES);
    let mut request = v1::ListDevicesRequest { page_size, ..v1::ListDevicesRequest::default() };
    let mut missing = Missing::default();
    loop {
        let answer = client.list_devices(request.clone()).await.map_err(|status| session.failed(&status))?;
        let v1::ListDevicesResponse { devices, next_page_token, .. } = answer.into_inner();
        for device in devices {
            // What only alerts have named was never in the inventory.
            if !device::is_listed(&device) || named.devices.contains(&device.device_id) {
                continue;
            }
            let device = Device::from(device);
            let mut points = device.points().into_iter().filter_map(|mpxn| mpxn.parse::<Mpxn>().ok());
            let by = points.find_map(|mpxn| named.points.get(&mpxn).copied());
            missing.device_count += 1;
            missing.replaced_count += u64::from(by.is_some());
            if missing.devices.len() < MISSING_LISTED_MAX {
                let Device { device_id, mpxn, .. } = device;
                missing.devices.push(MissingDevice { device_id, mpxn, replaced_by: by.and_then(eui) });
            }
        }
        if next_page_token.is_empty() {
            return Ok(missing);
        }
        request.page_token = next_page_token;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_few_rows_where_they_are_large_and_each_row_is_in_one() {
        let label = |at: usize| v1::Label { key: format!("key_{at}"), value: "x".repeat(64) };
        let large = v1::Device { labels: (0..16).map(label).collect(), ..v1::Device::default() };
        let (usual, few) = (ChunkLimits::default(), ChunkLimits { rows_max: 10, ..ChunkLimits::default() });
        let small = v1::Device::default;
        for (device, rows, goes_on, limits, chunk_max) in [
            (large.clone(), 3_000, false, usual, 1_000),
            (small(), 20_000, false, usual, 8_192),
            (small(), 100, false, few, 5),
            (small(), 100, true, few, 10),
            (small(), 10, true, ChunkLimits { rows_max: 1, ..few }, 1),
            (large, 10, false, ChunkLimits { bytes_max: 100, ..usual }, 1),
        ] {
            let row = Loadable { device, goes_on, ..Loadable::default() };
            let chunks: Vec<usize> = in_chunks(vec![row; rows].into_iter(), limits).map(|chunk| chunk.len()).collect();
            assert_eq!(chunks.iter().sum::<usize>(), rows);
            assert!(chunks.iter().all(|chunk| (1..=chunk_max).contains(chunk)), "{chunks:?}");
        }
    }
}
