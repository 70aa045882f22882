//! `weir alert send`.
//!
//! It must not know how files are read or calls are made, only how the two are brought together.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use clap::ValueEnum;
use serde::Serialize;
use weir_proto::v1;

use super::{
    bookmark::Bookmark,
    dry_run::{self, Checks},
    files::{self, Files, Reading, settle},
    follow::Watch,
    patience::Patience,
    reader::{self, FileFound, Found, Plan},
    terms::{self, Terms},
    unreadable::{self, AtFault},
};
use crate::{
    cli::{
        Failure, Session,
        arguments::{NameFiles, Names},
        doubt::Doubts,
        form::FormArgs,
        format::Format,
        input::Notices,
        signals::StopSignals,
        table::{Table, Value, count_of},
        view::alert::{Balance, RemarkCounts},
    },
    domain::WEIGHT_MAX,
    intake::{
        duis_xml::{DOCUMENT_BYTES_LIMIT, DOCUMENT_BYTES_MAX, Options, ThrottledCount},
        form::Form,
    },
};

mod stream;

pub(super) const HELP: &str = "Examples:
  weir alert send alerts.csv
  weir alert send messages.hex --producer head-end-1
  weir alert send responses.xml.gz --dry-run
  weir alert send responses/ --resume november
  weir alert send alerts.csv --delimiter ';' --decimal comma --time-zone Europe/London --date-order dmy
  weir alert send vendor.csv --columns @vendor.columns --epoch s
  weir alert send alerts.csv --follow --producer head-end-1
  weir alert send alerts.csv --follow --resume alerts
  ssh head-end journal | weir alert send - --format ndjson

CSV columns, in any order: device, code (both needed), recipient, counter, occurred_at or occurred_ms, received_at or
received_ms, dcc_at or dcc_ms (when the DCC passed it on), weight, payload_kind (dlms, gbz or asn1, where it came so), sender,
instruction_number, message_digest and occurred_at_status (what tells messages apart: see docs/duplicates.md), one of
measurement_dv (decivolts), voltage_v (like 258.0), power_factor (like 0.950) and measurement (an integer in the unit the
code implies), and what a document states beside: stated_generation, stated_mpxn, throttle_sequence, instruction_count,
interrupted_at, restored_at, inner_code, stated_note and dcc_at_status. What `weir alert tail --format csv` writes beside
these is passed over. ndjson: one JSON object a line with the
same names. gbcs-hex: one message a line in hex, after an optional name and a tab; blank lines and lines that begin with # are
skipped. duis-xml: response documents of the DCC, one after the other; those that hold no alert are passed over. parquet:
columns with the same names, or as `weir export` writes them; times are timestamps adjusted to UTC or text. Codes are four hex
digits, or the DCC's own, like N24 and AD1. A name that ends in .gz or .zst is unpacked.

Of a folder each file is sent, in order of their names, and those of folders in it that divide a table, like the day=2026-11-23
of `weir export`; files whose names tell no format, hidden ones and other folders are passed over and named.

A time needs its zone, a number in a column of times its unit, a date like 11/03/2026 its order, and columns that something else
than commas divides their separator. Nothing of this is guessed: what is missing is said, with the option that states it. Headings
are read in any case, with blanks, hyphens or underscores; --columns says what others mean.

With --resume NAME a sending that was interrupted, here or at the server, is gone on with by the same command: nothing is
sent twice, with or without counters. The server keeps, with each batch, how many alerts were taken and their digest; what
is given must begin with them. Files may have grown, and a folder may have more after those that were begun. With --follow a
file that was renamed meanwhile is found beside the one that took its place, as NAME.1 or NAME-20261125 say, and read to its
end first; not one that was packed.

A measurement that is not plausible for its code (258 where tenths of a volt are counted) is named, counted and sent as it is.
What is plausible, and which description stands for a code in SMETS1 alerts that state none, is in the host's table of codes;
--code-table puts a file over it. With --dry-run the host is asked for its table and limits too, where there is one; --local
asks none.";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The alerts: a file, a folder of files, or - for stdin.
    file: PathBuf,
    /// Format of the file or files. Where not given, .csv, .tsv, .ndjson or .jsonl, .hex, .xml and .parquet tell.
    #[arg(long)]
    format: Option<Format>,
    /// What the count of a throttled alert in duis-xml counts: the copies that were withheld, or all, with the one that was
    /// delivered. Default: withheld.
    #[arg(long, value_name = "WHAT")]
    throttled_count: Option<Throttled>,
    /// Longest document in duis-xml, in bytes. A longer one is refused; reading one takes about three times as much memory.
    /// Default: 262144.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(65_536..=DOCUMENT_BYTES_LIMIT as i64))]
    document_bytes_max: Option<u32>,
    /// Only read the file, check it as the host would, and say what is in it. Without a host it is read by the code table of
    /// this program and checked by default limits.
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: ask no host.
    #[arg(long, requires = "dry_run")]
    local: bool,
    /// Who sends: 1 to 64 of A-Z a-z 0-9 . _ -. Its batches are numbered on from the last one the server has. If not
    /// given, one of its own for this run, which the server forgets at its end.
    #[arg(long, value_name = "ID")]
    producer: Option<String>,
    /// Send under this name what can be gone on with under it: the same command, after an interruption, sends what was not
    /// taken. 1 to 64 of A-Z a-z 0-9 . _ -
    #[arg(long, value_name = "NAME", conflicts_with_all = ["producer", "dry_run"])]
    resume: Option<String>,
    /// Go on with the file as it grows, with what takes its place when it is renamed, and from its beginning when it is
    /// truncated, until Ctrl-C. A line is sent within a second of its end; csv, ndjson and gbcs-hex.
    #[arg(long, conflicts_with = "dry_run")]
    follow: bool,
    /// Send so many alerts a second and no more.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: Option<u32>,
    /// Alerts in one batch.
    #[arg(long, value_name = "N", default_value_t = 8_192, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// How long to try again when the connection breaks, in seconds: soon at first, then ever more seldom. With --resume
    /// also when there is none at first.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    reconnect_s: u64,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    names: NameFiles,
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
    /// The same, by the part at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<AtFault>,
    /// Alerts and lines that an earlier sending of this name had, and which are in none of these counts.
    sent_before_count: u64,
    /// Log position after the last batch.
    position: u64,
    /// Each file of a folder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileFound>,
}

/// Who sends, and where they stand.
struct Sender {
    producer_id: String,
    last_sequence: u64,
    past: Option<Bookmark>,
    /// Nobody goes on under the id: the server may forget it.
    is_ephemeral: bool,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    check_document_options(&args)?;
    if args.dry_run {
        return only_read(session, args).await;
    }
    let reconnect = Duration::from_secs(args.reconnect_s);
    // What is wrong with the file is to be known before a server is waited for.
    files::check(&args.file, args.format)?;
    let (names, weight_max) = names(session, &args, reconnect).await?;
    let reading = reading(session, &args, &names, weight_max)?;
    let mut files = if args.follow { Files::follow(&args.file, reading)? } else { Files::open(&args.file, reading)? };
    let progress = files.progress();
    let doubts = Doubts::new(names.codes, progress.clone());
    let items = files.items();
    if let Some(watch) = files.watch() {
        tokio::spawn(stop_when_told(StopSignals::new()?, watch));
    }
    let bookmarks = args.resume.is_some();
    let sender = sender(session, args.producer, args.resume, reconnect).await?;
    let Sender { producer_id, last_sequence, past, is_ephemeral } = sender;
    past.iter().for_each(|past| files.go_on_from(past));
    let plan = Plan { batch_items: args.batch.into(), rate: args.rate, bookmarks, past };
    let (batches, reading) = reader::start(files, plan, doubts);
    let rejections = Notices::new("alerts that were rejected", progress.clone());
    let by = stream::By { producer_id: producer_id.clone(), last_sequence, is_ephemeral };
    let delivery = stream::Delivery::new(session, by, batches, rejections);
    let delivered = delivery.after_an_answer(bookmarks).run(reconnect).await;
    progress.finish_and_clear();
    let stream::Delivered { balance, remarks, position } = delivered?;
    let found = reading.join().map_err(|_| Failure::internal("the file's reader stopped"))?;
    let Found { unreadable_count, unreadable, implausible_count, past_count, files, failure } = found;
    let sent = Sent {
        producer_id,
        balance,
        unreadable_count,
        implausible_count,
        remarks,
        unreadable,
        sent_before_count: past_count,
        position,
        files,
    };
    report(session, &sent)?;
    if let Some(failure) = failure {
        return Err(Failure { message: format!("{}: {}", args.file.display(), failure.message), ..failure });
    }
    let rejected = balance.rejected.saturating_sub(unreadable_count);
    let verdict = verdict(&args.file, items, unreadable_count, rejected, "were");
    let others = if balance.received > balance.rejected { "what else was read was taken; " } else { "" };
    verdict.map_err(|failure| failure.with_hint(format!("{others}`weir count --by rejection` has these by reason")))
}

/// Reads and checks, and sends nothing.
async fn only_read(session: &Session, args: Args) -> Result<(), Failure> {
    let terms = match args.local {
        true => Terms::local(&args.names)?,
        false => Terms::of_dry_run(session, &args.names).await?,
    };
    let Terms { names, limits } = terms;
    let weight_max = limits.as_ref().map_or(WEIGHT_MAX, |limits| limits.intake.weight_max);
    let files = Files::open(&args.file, reading(session, &args, &names, weight_max)?)?;
    let (items, progress) = (files.items(), files.progress());
    let doubts = Doubts::new(names.codes.clone(), progress.clone());
    let found = dry_run::run(files, doubts, &Checks::new(limits, jiff::Timestamp::now().as_millisecond()));
    progress.finish_and_clear();
    if !session.json && !unreadable::all_were_named(found.unreadable_count) {
        session.print(&unreadable::table(&found.unreadable).fitted().to_string())?;
    }
    session.show(&found, |found| found.table(&names))?;
    if let Some(failure) = found.failure {
        return Err(Failure { message: format!("{}: {}", args.file.display(), failure.message), ..failure });
    }
    let verdict = verdict(&args.file, items, found.unreadable_count, found.rejected_count, "would be");
    verdict.map_err(|failure| failure.with_hint("nothing was sent: this was a dry run"))
}

/// True if documents may be among what is read.
fn reads_documents(args: &Args) -> bool {
    settle(&args.file, args.format).map_or(true, |format| format == Format::DuisXml)
}

/// Rejects options of documents where none are read: without effect, they would mislead.
fn check_document_options(args: &Args) -> Result<(), Failure> {
    let given = [
        ("--throttled-count", args.throttled_count.is_some()),
        ("--document-bytes-max", args.document_bytes_max.is_some()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given && !reads_documents(args)) {
        Some((option, _)) => {
            Err(Failure::usage(format!("{option}: it says something about DUIS documents alone"))
                .with_hint("leave it out"))
        }
        None => Ok(()),
    }
}

/// How files are read by a table of codes, and by the largest weight that the host takes.
fn reading(session: &Session, args: &Args, names: &Names, weight_max: u32) -> Result<Reading, Failure> {
    let units = Arc::new(names.codes.units());
    let form = Form { units, one_line: args.follow, ..args.form.read(session)? };
    let documents = Options {
        throttled: args.throttled_count.unwrap_or(Throttled::Withheld).into(),
        descriptions: Arc::new(names.codes.by_description().clone()),
        document_bytes_max: args.document_bytes_max.map_or(DOCUMENT_BYTES_MAX, |bytes| bytes as usize),
        weight_max,
        ..Options::default()
    };
    Ok(Reading { format: args.format, form, documents })
}

/// The table of codes and the largest weight to read by. A server that is to be gone on with is waited for.
async fn names(session: &Session, args: &Args, reconnect: Duration) -> Result<(Names, u32), Failure> {
    let mut patience = Patience::new(if args.resume.is_some() { reconnect } else { Duration::ZERO });
    let ask = async || {
        let names = terms::names_to_send_by(session, &args.names).await?;
        // Documents alone have counts that are cut.
        let weight_max = if reads_documents(args) { terms::weight_max(session).await? } else { WEIGHT_MAX };
        Ok((names, weight_max))
    };
    loop {
        match ask().await {
            Err(Failure { exit: Failure::UNAVAILABLE, .. }) if patience.wait().await => {}
            names => return names,
        }
    }
}

fn report(session: &Session, sent: &Sent) -> Result<(), Failure> {
    if !session.json && !sent.files.is_empty() {
        let mut files = Table::new(&["file", "alerts", "not readable"]);
        for file in &sent.files {
            let (name, counts) = file.row();
            files.row([Value::text(name)].into_iter().chain(counts.map(Value::Number)));
        }
        session.print(&files.fitted().to_string())?;
    }
    if !session.json && !unreadable::all_were_named(sent.unreadable_count) {
        session.print(&unreadable::table(&sent.unreadable).fitted().to_string())?;
    }
    if !session.json && sent.sent_before_count > 0 {
        session.print(&count_of(
            sent.sent_before_count,
            "alert or line had been sent before",
            "alerts and lines had been sent before",
        ))?;
    }
    session.show(sent, |sent| {
        // What there is nothing to say of has no column.
        let remarks = RemarkCounts::HEADINGS.into_iter().zip(sent.remarks.numbers()).filter(|(_, count)| *count > 0);
        let (headings, numbers): (Vec<&str>, Vec<Value>) =
            remarks.map(|(heading, count)| (heading, Value::Number(count))).unzip();
        let mut table = Table::new(&Balance::HEADINGS.into_iter().chain(headings).collect::<Vec<_>>());
        table.row(sent.balance.values().into_iter().chain(numbers));
        table
    })
}

/// The first Ctrl-C, or the first time the process is told to end, ends the reading; the next one ends the process.
async fn stop_when_told(mut signals: StopSignals, watch: Arc<Watch>) {
    for _ in 0..2 {
        signals.next().await;
        if watch.stop.swap(true, Relaxed) {
            std::process::exit(130);
        }
    }
}

/// One of what the files consist of: `line, row or document` of `lines, rows or documents`.
fn singular(items: &str) -> String {
    let words = items.split(' ').map(|word| match word.strip_suffix(',') {
        Some(listed) => format!("{},", listed.trim_end_matches('s')),
        None => word.trim_end_matches('s').to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// All that could be sent was; whether all could is another question.
fn verdict(path: &Path, items: &str, unreadable: u64, rejected: u64, were: &str) -> Result<(), Failure> {
    let could_not = format!("{} could not be read", count_of(unreadable, &singular(items), items));
    let were = if rejected == 1 && were == "were" { "was" } else { were };
    let refused = format!("{} {were} rejected by the server", count_of(rejected, "alert", "alerts"));
    let told = match (unreadable, rejected) {
        (0, 0) => return Ok(()),
        (_, 0) => could_not,
        (0, _) => refused,
        _ => format!("{could_not}, {refused}"),
    };
    Err(Failure::usage(format!("{}: {told}", path.display())))
}

/// Who sends, and where they stand. What is to be gone on with is worth waiting for.
async fn sender(
    session: &Session,
    producer: Option<String>,
    resume: Option<String>,
    reconnect: Duration,
) -> Result<Sender, Failure> {
    let goes_on = resume.is_some();
    let Some(producer_id) = producer.or(resume) else {
        return Ok(Sender { producer_id: id_of_a_run()?, last_sequence: 0, past: None, is_ephemeral: true });
    };
    let mut patience = Patience::new(if goes_on { reconnect } else { Duration::ZERO });
    let answer = loop {
        match standing(session, &producer_id).await {
            Err(failure) if failure.exit == Failure::UNAVAILABLE && patience.wait().await => {}
            answer => break answer?,
        }
    };
    let v1::GetProducerResponse { last_sequence, bookmark } = answer;
    let past = Bookmark::read(&bookmark).filter(|_| goes_on);
    if goes_on && last_sequence > 0 && past.is_none() {
        return Err(Failure::usage(format!("--resume: {producer_id} has sent batches that cannot be gone on with"))
            .with_hint("give another name: this one was used by --producer, or by another program"));
    }
    Ok(Sender { producer_id, last_sequence, past, is_ephemeral: false })
}

/// An id that no other run has, on whichever machine and whatever its clock says.
fn id_of_a_run() -> Result<String, Failure> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|error| Failure::internal(format!("no randomness: {error}")))?;
    Ok(random.iter().fold("send-".to_owned(), |id, byte| format!("{id}{byte:02x}")))
}

async fn standing(session: &Session, producer_id: &str) -> Result<v1::GetProducerResponse, Failure> {
    let request = v1::GetProducerRequest { producer_id: producer_id.to_owned() };
    let answer = super::client(session).await?.get_producer(request).await;
    Ok(answer.map_err(|status| session.failed(&status))?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_kinds_of_items_is_named_in_the_singular() {
        assert_eq!(singular("lines, rows or documents"), "line, row or document");
        let told = |unreadable, rejected| {
            verdict(Path::new("a"), "lines, rows or documents", unreadable, rejected, "were").unwrap_err().message
        };
        assert_eq!(told(1, 0), "a: 1 line, row or document could not be read");
        assert_eq!(told(2, 1), "a: 2 lines, rows or documents could not be read, 1 alert was rejected by the server");
    }
}
