//! `weir alert send`.
//!
//! It must not know how files are read or calls are made, only how the two are brought together.

use std::{
    io::BufRead,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::ValueEnum;
use indicatif::ProgressBar;
use serde::Serialize;
use weir_proto::v1;

use super::{dry_run, reader};
use crate::{
    cli::{
        Failure, Session,
        arguments::NameFiles,
        compressed::Packing,
        doubt::Doubts,
        input,
        input::{Input, Notices},
        table::{Table, Value, thousands},
        view::alert::{Balance, RemarkCounts},
    },
    intake::{
        Alerts, csv,
        duis_xml::{self, ThrottledCount},
        gbcs_hex, ndjson,
    },
};

mod stream;

pub(super) const HELP: &str = "Examples:
  weir alert send alerts.csv
  weir alert send messages.hex --producer head-end-1
  weir alert send responses.xml.gz --dry-run
  ssh head-end journal | weir alert send - --format ndjson

CSV columns, in any order: device, code (both needed), recipient, counter, occurred_at or occurred_ms, received_at or
received_ms, dcc_at or dcc_ms (when the DCC passed it on), weight, and one of measurement_dv (decivolts), voltage_v (like 258.0), power_factor (like 0.950) and
measurement (an integer in the unit the code implies). ndjson: one JSON object a line with the same names. gbcs-hex: one
message a line in hex, after an optional name and a tab; blank lines and lines that begin with # are skipped. duis-xml:
response documents of the DCC, one after the other; those that hold no alert are passed over. Codes are four hex digits,
or the DCC's own, like N24 and AD1. A name that ends in .gz or .zst is unpacked.

A measurement that is not plausible for its code (258 where tenths of a volt are counted) is named, counted and sent as it is.
What is plausible is in the table of codes; --code-table adds codes of your own, from E000 to EFFF, with name, unit and bounds.";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The alerts; - for stdin.
    file: PathBuf,
    /// Format of the file. Where not given, .csv, .ndjson or .jsonl, .hex and .xml tell.
    #[arg(long)]
    format: Option<Format>,
    /// What the count of a throttled alert in duis-xml counts: the copies that were withheld, or all, with the one that was
    /// delivered.
    #[arg(long, value_name = "WHAT", default_value = "withheld")]
    throttled_count: Throttled,
    /// Only read the file and say what is in it. No server is needed
    #[arg(long)]
    dry_run: bool,
    /// Who sends: 1 to 64 of A-Z a-z 0-9 . _ -. Its batches are numbered on from the last one the server has. One of
    /// its own for every run if not given.
    #[arg(long, value_name = "ID")]
    producer: Option<String>,
    /// Alerts in one batch.
    #[arg(long, value_name = "N", default_value_t = 8_192, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// How long to try again when the connection breaks, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    reconnect_s: u64,
    #[command(flatten)]
    names: NameFiles,
}

/// The alerts of a file as it is read.
pub(in crate::cli) type AlertFile = Alerts<Box<dyn BufRead + Send>>;

/// How alerts are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// Rows of a CSV file.
    Csv,
    /// JSON objects, one a line.
    Ndjson,
    /// GBCS messages in hex, one a line.
    GbcsHex,
    /// DUIS response documents.
    DuisXml,
}

/// What the count of a throttled alert counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Throttled {
    /// Copies that were withheld.
    Withheld,
    /// All, with the one that was delivered.
    All,
}

impl From<Throttled> for ThrottledCount {
    fn from(throttled: Throttled) -> Self {
        match throttled {
            Throttled::Withheld => Self::Withheld,
            Throttled::All => Self::All,
        }
    }
}

/// What was sent, and what became of it.
#[derive(Debug, Serialize)]
struct Sent {
    producer_id: String,
    balance: Balance,
    /// Lines that could not be read; the balance has them as rejected.
    unreadable_count: u64,
    /// Measurements that are not plausible for their codes. They were sent as they are.
    implausible_count: u64,
    /// What the host remarked about alerts that it took.
    remarks: RemarkCounts,
    /// Log position after the last batch.
    position: u64,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let names = args.names.read()?;
    let (alerts, progress) = open_as(&args.file, args.format, args.throttled_count.into())?;
    let bad_file = |error| Failure::usage(format!("{}: {error}", args.file.display()));
    let doubts = Doubts::new(names.codes.clone(), progress.clone());
    if args.dry_run {
        let found = dry_run::run(alerts, doubts, &progress);
        progress.finish_and_clear();
        let found = found.map_err(bad_file)?;
        session.show(&found, |found| found.table(&names))?;
        return verdict(&args.file, found.unreadable_count, found.unreadable_count);
    }
    let (producer_id, last_sequence) = producer(session, args.producer).await?;
    let (batches, reading) = reader::start(alerts, args.batch.into(), doubts, progress.clone());
    let rejections = Notices::new("alerts that were rejected", progress.clone());
    let reconnect = Duration::from_secs(args.reconnect_s);
    let delivered =
        stream::Delivery::new(session, producer_id.clone(), last_sequence, batches, rejections).run(reconnect).await;
    progress.finish_and_clear();
    let delivered = delivered?;
    let ending = reading.join().map_err(|_| Failure::internal("the file's reader stopped"))?;
    let reader::Noticed { unreadable_count, implausible_count } = *ending.as_ref().unwrap_or(&Default::default());
    let stream::Delivered { balance, remarks, position } = delivered;
    session.show(&Sent { producer_id, balance, unreadable_count, implausible_count, remarks, position }, |sent| {
        // What there is nothing to say of has no column.
        let remarks = RemarkCounts::HEADINGS.into_iter().zip(sent.remarks.numbers()).filter(|(_, count)| *count > 0);
        let (headings, numbers): (Vec<&str>, Vec<Value>) =
            remarks.map(|(heading, count)| (heading, Value::Number(count))).unzip();
        let mut table = Table::new(&Balance::HEADINGS.into_iter().chain(headings).collect::<Vec<_>>());
        table.row(sent.balance.values().into_iter().chain(numbers));
        table
    })?;
    ending.map_err(bad_file)?;
    verdict(&args.file, unreadable_count, balance.rejected)
}

/// All that could be sent was; whether all could is another question.
fn verdict(path: &Path, unreadable: u64, rejected: u64) -> Result<(), Failure> {
    if unreadable == 0 && rejected == 0 {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{}: {} lines could not be read, {} alerts were rejected by the server",
        path.display(),
        thousands(unreadable),
        thousands(rejected.saturating_sub(unreadable)),
    ))
    .with_hint("everything else was taken; `weir count --by rejection` has them by reason"))
}

/// A file of alerts, and how far it has been read.
pub(in crate::cli) fn open(file: &Path) -> Result<(AlertFile, ProgressBar), Failure> {
    open_as(file, None, ThrottledCount::default())
}

fn open_as(
    file: &Path,
    format: Option<Format>,
    throttled: ThrottledCount,
) -> Result<(AlertFile, ProgressBar), Failure> {
    let format = settle(file, format)?;
    let Input { reader: bytes, progress } = input::open(file)?;
    let bad_file = |error| Failure::usage(format!("{}: {error}", file.display()));
    let alerts = match format {
        Format::Csv => Alerts::Csv(csv::Alerts::new(bytes).map_err(bad_file)?),
        Format::Ndjson => Alerts::Ndjson(ndjson::Alerts::new(bytes)),
        Format::GbcsHex => Alerts::GbcsHex(gbcs_hex::Alerts::new(bytes)),
        Format::DuisXml => Alerts::DuisXml(duis_xml::Alerts::new(bytes, throttled)),
    };
    Ok((alerts, progress))
}

/// By what was given, or else by the file's name: never by what is in it.
fn settle(file: &Path, format: Option<Format>) -> Result<Format, Failure> {
    let (_, unpacked) = Packing::of(file);
    let extension = unpacked.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    match (format, extension.as_deref()) {
        (Some(format), _) => Ok(format),
        (None, Some("csv")) => Ok(Format::Csv),
        (None, Some("ndjson" | "jsonl")) => Ok(Format::Ndjson),
        (None, Some("hex")) => Ok(Format::GbcsHex),
        (None, Some("xml")) => Ok(Format::DuisXml),
        (None, _) => Err(Failure::usage("--format: not given, and the file's name does not tell")
            .with_hint("give --format csv, ndjson, gbcs-hex or duis-xml")),
    }
}

/// Who sends, and the number of its last batch.
async fn producer(session: &Session, given: Option<String>) -> Result<(String, u64), Failure> {
    let Some(producer_id) = given else {
        // Unique enough to tell this run from every other one that the server remembers.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        return Ok((format!("send-{:x}-{:x}", now.as_micros(), std::process::id()), 0));
    };
    let request = v1::GetProducerRequest { producer_id: producer_id.clone() };
    let answer = super::client(session).await?.get_producer(request).await;
    let v1::GetProducerResponse { last_sequence } = answer.map_err(|status| session.failed(&status))?.into_inner();
    Ok((producer_id, last_sequence))
}
