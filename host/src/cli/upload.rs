//! Files of readings or of thresholds, sent to a host in messages, and what became of them.
//!
//! Invariants: each item is counted once, under one word; what was not stored is told by
//! the line that it came from; a message that is too long for the host is sent in parts.

use std::{
    fs::File,
    io::BufRead,
    path::{Path, PathBuf},
};

use indicatif::ProgressBar;
use tokio::sync::mpsc;
use tonic::Status;

use super::{
    Failure, Session,
    form::FormArgs,
    format::{self, Format},
    input,
    table::count_of,
    view::{
        clean,
        upload::{Put, Tally},
    },
};
use crate::{
    domain::READING_SOURCE_BYTES_MAX,
    intake::{LineError, form::Form, sources},
};

/// Items of one message, unless the host takes fewer.
const MESSAGE_ITEMS: usize = 16_384;
/// Pieces of a file that are read ahead of the host.
const AHEAD: usize = 2;
/// How a host names its limit of items, before its number in brackets.
const LIMIT: &str = "put_readings_max";
const NAME_CHARS_MAX: usize = 200;

/// Files, and what is done with them.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The files; - for stdin.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Format of the files: csv, ndjson, parquet or duis-xml. Where not given, .csv, .tsv, .ndjson or .jsonl, .parquet and
    /// .xml tell.
    #[arg(long, value_parser = format::of_readings)]
    format: Option<Format>,
    /// Source that `list` shows for the data: one line of at most 64 bytes. Default: the name of each file.
    #[arg(long, value_name = "TEXT", value_parser = source)]
    source: Option<String>,
    /// Only say what would be stored.
    #[arg(long)]
    dry_run: bool,
    /// Of each kind of problem, name so many and count the rest.
    #[arg(long, value_name = "N", default_value_t = 20)]
    show: usize,
    #[command(flatten)]
    form: FormArgs,
}

/// An item of a file: messages to the host, or nothing, for the reason given.
pub(super) enum Found<M> {
    Messages(Vec<M>),
    /// A read that failed: what says so.
    Failed(String),
}

/// One kind of item that files hold and a host stores.
pub(super) trait Kind: 'static {
    type Item: Send + 'static;
    type Message: Clone + Send + 'static;
    /// What an item is called, for one and for several.
    const WORDS: (&'static str, &'static str);

    /// Reads files of such items.
    fn reader(&self) -> sources::Reader<Self::Item>;

    /// Makes messages of an item.
    fn found(item: Self::Item) -> Found<Self::Message>;

    /// Says which one a message is of.
    fn name(message: &Self::Message) -> String;

    /// Stores messages, or with `dry_run` says what storing them would do.
    async fn put(&mut self, messages: Vec<Self::Message>, source: &str, dry_run: bool) -> Result<Put, Status>;
}

/// The items of a file as they are read.
type Items<T> = sources::Items<Box<dyn BufRead + Send>, T>;

/// What is read of a file.
enum Piece<M> {
    /// Messages, each with the line it came from.
    Messages(Vec<(u64, M)>),
    Failed(u64, String),
    Unreadable(LineError),
    Remark(LineError),
    /// It was read to its end.
    End,
}

/// Loads files, and prints what became of them.
pub(super) async fn run<K: Kind>(session: &Session, mut kind: K, args: Args) -> Result<(), Failure> {
    let form = args.form.read(session)?;
    let formats: Vec<Format> = args
        .files
        .iter()
        .map(|path| format::settle(path, args.format, &Format::OF_READINGS))
        .collect::<Result<_, _>>()?;
    formats.iter().try_for_each(|format| format.check(&form))?;
    let mut tally = Tally::new(args.dry_run, args.show, args.files.len() > 1);
    let mut items_max = MESSAGE_ITEMS;
    for (path, format) in args.files.iter().zip(formats) {
        let name = path.file_name().map_or_else(|| "stdin".into(), |name| name.to_string_lossy());
        let name = if path == Path::new("-") { "stdin".to_owned() } else { clean(&name, NAME_CHARS_MAX) };
        let source = args.source.clone().unwrap_or_else(|| cut(&name));
        tally.begin(&name);
        let sent = load(session, &mut kind, (path, format, &form), (&source, &mut items_max), &mut tally).await;
        sent.map_err(|failure| after(failure, &tally, K::WORDS))?;
    }
    tally.finish();
    session.show(&tally, |tally| tally.table(K::WORDS.1))?;
    match tally.told(K::WORDS) {
        None => Ok(()),
        Some(told) => Err(Failure::usage(told)),
    }
}

/// Loads one file.
async fn load<K: Kind>(
    session: &Session,
    kind: &mut K,
    (path, format, form): (&Path, Format, &Form),
    (source, items_max): (&str, &mut usize),
    tally: &mut Tally,
) -> Result<(), Failure> {
    let (items, progress) = open(kind.reader(), path, format, form)?;
    tally.follow(progress.clone(), format.items());
    let (pieces, mut read) = mpsc::channel(AHEAD);
    // A thread of its own, which the end of the process does not wait for: it may be held up by a silent stdin.
    std::thread::spawn(move || read_pieces::<K>(items, &pieces));
    loop {
        let stopped = || Failure::internal(format!("{}: its reader stopped", path.display()));
        let messages = match read.recv().await.ok_or_else(stopped)? {
            Piece::End => break,
            Piece::Messages(messages) => messages,
            Piece::Failed(line, why) => {
                tally.failed(line, &why);
                continue;
            }
            Piece::Unreadable(error) => {
                tally.unreadable(&error);
                continue;
            }
            Piece::Remark(remark) => {
                tally.remark(&remark);
                continue;
            }
        };
        let mut rest = &messages[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(*items_max));
            let sent = now.iter().map(|(_, message)| message.clone()).collect();
            match kind.put(sent, source, tally.dry_run).await {
                Ok(put) => {
                    let told = |index: u32| now.get(index as usize).map(|(line, message)| (*line, K::name(message)));
                    tally.take(put, now.len(), told);
                    rest = later;
                }
                Err(status) => match fewer(&status, now.len()) {
                    Some(fewer) => *items_max = fewer,
                    None => {
                        progress.finish_and_clear();
                        return Err(session.failed(&status));
                    }
                },
            }
        }
    }
    progress.finish_and_clear();
    Ok(())
}

/// How many items a host takes that has refused `count` as too many.
fn fewer(status: &Status, count: usize) -> Option<usize> {
    let (_, rest) = status.message().split_once(LIMIT)?;
    let digits: String = rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    let stated = digits.parse().ok().filter(|max| (1..count).contains(max));
    stated.or_else(|| Some(count / 2).filter(|half| *half > 0))
}

/// Reads a file to its end, or until the receiver is dropped.
fn read_pieces<K: Kind>(mut items: Items<K::Item>, pieces: &mpsc::Sender<Piece<K::Message>>) {
    let send = |piece| pieces.blocking_send(piece).is_ok();
    let mut messages = Vec::new();
    loop {
        let item = items.next();
        let line = items.line();
        while let Some(remark) = items.remark() {
            if !send(Piece::Remark(remark)) {
                return;
            }
        }
        let is_heard = match item {
            None => {
                if messages.is_empty() || send(Piece::Messages(messages)) {
                    send(Piece::End);
                }
                return;
            }
            Some(Err(error)) => send(Piece::Unreadable(error)),
            Some(Ok(item)) => match K::found(item) {
                Found::Failed(why) => send(Piece::Failed(line, why)),
                Found::Messages(more) => {
                    messages.extend(more.into_iter().map(|message| (line, message)));
                    messages.len() < MESSAGE_ITEMS || send(Piece::Messages(std::mem::take(&mut messages)))
                }
            },
        };
        if !is_heard {
            return;
        }
    }
}

/// Opens a file, and reads what it begins with.
fn open<T: Send + 'static>(
    reader: sources::Reader<T>,
    path: &Path,
    format: Format,
    form: &Form,
) -> Result<(Items<T>, ProgressBar), Failure> {
    let form = format::form_of(path, form);
    let (items, progress) = if format == Format::Parquet && path != Path::new("-") {
        // It is not read from its beginning to its end, so a bar cannot follow it.
        (table(reader, path, input::open_file(path)?.0, &form), ProgressBar::hidden())
    } else {
        let input::Input { reader: mut bytes, progress } = input::open(path)?;
        let items = format.check_begun(&mut bytes).and_then(|()| match format {
            Format::Csv => reader.csv(bytes, &form),
            Format::Ndjson => reader.ndjson(bytes, &form),
            Format::DuisXml => Ok(reader.duis_xml(bytes, &form)),
            Format::Parquet | Format::GbcsHex => {
                Err(format::of_file("a Parquet file must be a file: its end is read first"))
            }
        });
        (items, progress)
    };
    let wrong = |error: LineError| Failure::usage(format!("{}: {}", path.display(), error.told(format.items())));
    Ok((items.map_err(wrong)?, progress))
}

fn table<T: Send + 'static>(
    reader: sources::Reader<T>,
    path: &Path,
    file: File,
    form: &Form,
) -> Result<Items<T>, LineError> {
    format::check_table(path)?;
    // Errors of opening concern no row.
    reader.parquet(file, form).map_err(|error| LineError { line: 0, ..error })
}

/// A failure, with what was done before it.
fn after(failure: Failure, tally: &Tally, (one, many): (&str, &str)) -> Failure {
    if tally.dry_run || tally.added == 0 {
        return failure;
    }
    let hint = failure.hint.clone().map_or_else(String::new, |hint| format!("{hint}; "));
    let stored = count_of(tally.added, one, many);
    let hint = format!("{hint}{stored} had been stored by then; a load of the same files passes over what is there");
    failure.with_hint(hint)
}

/// Cuts the name of a file to what a source may have.
fn cut(name: &str) -> String {
    match name[..name.floor_char_boundary(READING_SOURCE_BYTES_MAX)].trim() {
        "" => "file".to_owned(),
        name => name.to_owned(),
    }
}

/// Parses the name of a source.
fn source(text: &str) -> Result<String, String> {
    crate::intake::thresholds::source(text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_takes_fewer_is_given_fewer() {
        let said = |text: &str, count| fewer(&Status::invalid_argument(text), count);
        assert_eq!(said("readings: 9 in one message; at most put_readings_max (4) are allowed", 9), Some(4));
        assert_eq!(said("readings: more than put_readings_max", 9), Some(4));
        assert_eq!(said("readings: more than put_readings_max (9)", 9), Some(4), "it says what it does not mean");
        assert_eq!(said("readings: more than put_readings_max", 1), None);
        assert_eq!(said("source: is empty", 9), None);
    }

    #[test]
    fn the_name_of_a_file_is_cut_to_a_source() {
        assert_eq!((cut("reads.csv").as_str(), cut(" ").as_str()), ("reads.csv", "file"));
        assert_eq!(cut(&"x".repeat(80)).len(), 64);
        assert_eq!(cut(&"\u{fc}".repeat(40)).len(), 64);
        assert_eq!(cut(&format!("x{}", "\u{fc}".repeat(40))).len(), 63);
        assert!(source("a\nb").is_err() && source(&"x".repeat(65)).is_err());
    }
}
