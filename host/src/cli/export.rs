//! `weir export`: alerts and what became of them, as Parquet.
//!
//! It must not know what a file looks like inside. Invariants: what is written is what `weir count` counts for the same
//! filters at one log position, or a failure; pages are held a few at a time.

use std::{ops::Range, path::PathBuf, thread};

use tokio::sync::mpsc;
use weir_proto::v1::{
    self, alert_service_client::AlertServiceClient, count_service_client::CountServiceClient,
    device_service_client::DeviceServiceClient, report_service_client::ReportServiceClient,
};

use super::{
    Failure, Session,
    arguments::{self, Only, Period},
    device::labels,
    input,
    session::{Connection, MESSAGE_BYTES_MAX},
    table::count_of,
    view::{alert::Balance, export},
};
use crate::domain::{LabelKey, Millis};

mod columns;
mod days;
mod folder;
mod places;

use columns::LABELS_MAX;
use days::{Bounds, Days, Written};
use folder::Folder;
use places::Places;

/// Alerts of one page, where the host lists as many.
const PAGE_ALERTS: u32 = 10_000;
/// Pages that wait to be written.
const PAGES_AHEAD_MAX: usize = 2;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir export --parquet alerts --since 2026-11-23 --until 2026-11-24
  weir export --parquet smets1 --generation smets1 --code 8F40 --overwrite --json
  weir export --parquet alerts --labels substation,feeder --since 2026-11-23

  duckdb -c \"select day, outcome, count(*) from read_parquet('alerts/**/*.parquet', hive_partitioning=true) group by all\"")]
pub(super) struct Args {
    /// Folder to write to: DIR/day=2026-11-23/part-0.parquet and so on. It is made where it is not there.
    #[arg(long, value_name = "DIR")]
    parquet: PathBuf,
    /// Replace the days of the period that the folder has files of, all of them.
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    period: Period,
    #[command(flatten)]
    only: Only,
    /// Only these device model combinations; unknown for those without.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    model: Vec<String>,
    /// Write alerts that had been seen before, too.
    #[arg(long)]
    duplicates: bool,
    /// Write these labels of the devices too, as the inventory has them now: at most 16, each in a column label_KEY.
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    labels: Vec<LabelKey>,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let period = whole_hours(&args.period)?;
    check_labels(&args.labels)?;
    let folder = Folder::open(&args.parquet, &period, args.overwrite)?;
    let asking = Asking { session, channel: session.connect().await?, args: &args };
    let (counted, position) = asking.counts().await?;
    let places = asking.places().await?;
    let (folder, written) = asking.alerts(folder, places, &counted, position).await?;
    let gone = asking.gone(&counted, &written).await?;
    let files = folder.publish()?;
    let Written { days, bytes, forwarded, suppressed, duplicate } = written;
    let exported = export::Exported {
        folder: args.parquet.display().to_string(),
        days: days as u64,
        files: files as u64,
        bytes,
        rows: forwarded + suppressed + duplicate,
        forwarded: counted.forwarded,
        suppressed: counted.suppressed,
        duplicate: counted.duplicate,
        gone,
        position,
    };
    session.show(&exported, export::table)?;
    if session.json { Ok(()) } else { session.print(&exported.balance()) }
}

/// The period, which counts must be able to have too.
fn whole_hours(period: &Period) -> Result<Range<Millis>, Failure> {
    let (since, until) = period.hours()?;
    Ok(since..if until == 0 { Millis::MAX } else { until })
}

/// Rejects more labels than a file has columns for, and one that is given twice.
fn check_labels(labels: &[LabelKey]) -> Result<(), Failure> {
    if labels.len() > LABELS_MAX {
        return Err(Failure::usage(format!("--labels: {} labels are more than {LABELS_MAX}", labels.len())));
    }
    let twice = labels.iter().enumerate().find(|(at, key)| labels[..*at].contains(key));
    twice.map_or(Ok(()), |(_, key)| Err(Failure::usage(format!("--labels: {key} is given twice"))))
}

struct Asking<'a> {
    session: &'a Session,
    channel: Connection,
    args: &'a Args,
}

/// A page of alerts, and all of it that is wanted.
type Page = Vec<v1::LoggedAlert>;

impl Asking<'_> {
    /// What is to come, and the log position before which it lies.
    async fn counts(&self) -> Result<(Balance, u64), Failure> {
        let Args { period, only, model, duplicates, .. } = self.args;
        let (since_ms, until_ms) = period.wire()?;
        let request = v1::QueryCountsRequest {
            codes: only.codes(),
            operators: only.operators(),
            generations: only.generations(),
            models: arguments::models(model),
            since_ms,
            until_ms,
            ..v1::QueryCountsRequest::default()
        };
        let mut client = CountServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let answer = client.query_counts(request).await.map_err(|status| self.session.failed(&status))?;
        let v1::QueryCountsResponse { total, position, .. } = answer.into_inner();
        let mut counted = Balance::from(total.and_then(|total| total.balance).unwrap_or_default());
        if !duplicates {
            counted.duplicate = 0;
        }
        Ok((counted, position))
    }

    /// Metering points and labels by device. The log does not have them.
    async fn places(&self) -> Result<Places, Failure> {
        let Args { labels, only, .. } = self.args;
        let mut client = DeviceServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        labels::check_keys(self.session, &mut client, labels).await?;
        let mut places = Places::new(labels.clone());
        let mut request = v1::ListDevicesRequest { operators: only.operators(), ..v1::ListDevicesRequest::default() };
        loop {
            let answer = client.list_devices(request.clone()).await.map_err(|status| self.session.failed(&status))?;
            let v1::ListDevicesResponse { devices, next_page_token, .. } = answer.into_inner();
            devices.into_iter().try_for_each(|device| places.take(device))?;
            if next_page_token.is_empty() {
                return Ok(places);
            }
            if next_page_token == request.page_token {
                return Err(Failure::internal("next_page_token: the server's answers do not get on"));
            }
            request.page_token = next_page_token;
        }
    }

    /// Writes the alerts before a log position. The files are made on a thread of their own.
    async fn alerts(
        &self,
        folder: Folder,
        places: Places,
        counted: &Balance,
        position: u64,
    ) -> Result<(Folder, Written), Failure> {
        let bar = input::counting(counted.forwarded + counted.suppressed + counted.duplicate);
        let (pages, waiting) = mpsc::channel(PAGES_AHEAD_MAX);
        let mut days = Days::new(folder, Bounds::USUAL, &self.args.labels)?;
        let writing = thread::spawn(move || write(&mut days, waiting, &places).map(|()| days));
        let read = self.read(position, &pages, &bar).await;
        drop(pages);
        let written = writing.join().map_err(|_| Failure::internal("the writer stopped"));
        bar.finish_and_clear();
        // Where the writer failed it is why nothing more was read.
        let days = written??;
        read?;
        days.finish()
    }

    /// How many of the counted alerts are no longer in the log. The books keep what retention takes from the log; for
    /// any other reason there must be no difference.
    async fn gone(&self, counted: &Balance, written: &Written) -> Result<u64, Failure> {
        let Written { forwarded, suppressed, duplicate, .. } = *written;
        let counts = [counted.forwarded, counted.suppressed, counted.duplicate];
        let missing = counts.iter().zip([forwarded, suppressed, duplicate]);
        let missing: Option<Vec<u64>> = missing.map(|(counted, written)| counted.checked_sub(written)).collect();
        let missing = missing.map(|missing| missing.iter().sum());
        match missing {
            Some(0) => Ok(0),
            Some(missing) if self.has_lost_entries().await? => {
                let alerts = count_of(missing, "alert that is counted is", "alerts that are counted are");
                eprintln!("{alerts} no longer in the log, by retention");
                Ok(missing)
            }
            _ => Err(Failure::internal(format!(
                "the log has {forwarded} forwarded, {suppressed} suppressed and {duplicate} duplicate alerts, and the \
                 books have {}, {} and {}",
                counts[0], counts[1], counts[2]
            ))
            .with_hint("nothing was put in place; `weir verify run` says whether the log follows from itself")),
        }
    }

    /// Whether the log begins later than it once did.
    async fn has_lost_entries(&self) -> Result<bool, Failure> {
        // Nothing is counted before position 1; what is asked is where the log begins.
        let spans = vec![v1::Span { start_ms: 0, end_ms: 1 }];
        let request = v1::QueryDeviceCountsRequest { spans, position: 1, ..v1::QueryDeviceCountsRequest::default() };
        let mut client = ReportServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let answer = client.query_device_counts(request).await.map_err(|status| self.session.failed(&status))?;
        let piece = answer.into_inner().message().await.map_err(|status| self.session.failed(&status))?;
        Ok(piece.is_some_and(|piece| piece.kept_since_ms != 0))
    }

    async fn read(
        &self,
        position: u64,
        pages: &mpsc::Sender<Page>,
        bar: &indicatif::ProgressBar,
    ) -> Result<(), Failure> {
        let mut request = self.request()?;
        let client = AlertServiceClient::new(self.channel.clone());
        let mut client = client.max_decoding_message_size(MESSAGE_BYTES_MAX);
        loop {
            let answer = match client.list_alerts(request.clone()).await {
                // A host may list fewer at a time.
                Err(status) if status.message().starts_with("page_size") && request.page_size > 1 => {
                    request.page_size /= 10;
                    continue;
                }
                answer => answer.map_err(|status| self.session.failed(&status))?.into_inner(),
            };
            let v1::ListAlertsResponse { mut alerts, next_page_token, position: looked_at } = answer;
            // What came later was not counted.
            let wanted = alerts.partition_point(|alert| alert.position < position);
            alerts.truncate(wanted);
            bar.inc(alerts.len() as u64);
            if !alerts.is_empty() && pages.send(alerts).await.is_err() {
                return Ok(());
            }
            if next_page_token.is_empty() || looked_at >= position {
                return Ok(());
            }
            if next_page_token == request.page_token {
                return Err(Failure::internal("next_page_token: the server's answers do not get on"));
            }
            request.page_token = next_page_token;
        }
    }

    fn request(&self) -> Result<v1::ListAlertsRequest, Failure> {
        let Args { period, only, model, duplicates, .. } = self.args;
        let (since_ms, until_ms) = period.wire()?;
        let ends = [v1::Outcome::Forwarded, v1::Outcome::Suppressed, v1::Outcome::Duplicate];
        let wanted = if *duplicates { &ends[..] } else { &ends[..2] };
        Ok(v1::ListAlertsRequest {
            page_size: PAGE_ALERTS,
            outcomes: wanted.iter().map(|outcome| (*outcome).into()).collect(),
            codes: only.codes(),
            operators: only.operators(),
            generations: only.generations(),
            models: arguments::models(model),
            since_ms,
            until_ms,
            ..v1::ListAlertsRequest::default()
        })
    }
}

fn write(days: &mut Days, mut pages: mpsc::Receiver<Page>, places: &Places) -> Result<(), Failure> {
    while let Some(page) = pages.blocking_recv() {
        for logged in page {
            let device = logged.alert.as_ref().map_or(0, |alert| alert.device_id);
            days.take(logged, &places.of(device))?;
        }
    }
    Ok(())
}
