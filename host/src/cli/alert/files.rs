//! Which files are read: one, those of a folder in order of their names, or one that grows.
//!
//! It must not know what becomes of alerts. Invariants: a format is told by what was given or by a name, never by what is in
//! a file; one file is open at a time; what is passed over is named.

use std::{
    collections::VecDeque,
    fs,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::ValueEnum;
use indicatif::ProgressBar;

use super::{
    bookmark::Bookmark,
    follow::{Follow, Watch},
    piped::Piped,
    rotated,
};
use crate::{
    cli::{Failure, compressed::Packing, input, view::clean},
    intake::{
        Alerts, LineError, columnar, csv,
        duis_xml::{self, ThrottledCount},
        gbcs_hex, ndjson,
    },
};

/// Files of one folder.
const FILES_MAX: usize = 100_000;
/// Files that are passed over by name; of the rest there is a count.
const PASSED_OVER_MAX: usize = 20;
const NAME_CHARS_MAX: usize = 200;

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
    /// Rows of a Parquet file.
    Parquet,
}

/// How files are to be read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reading {
    /// What was said of their format.
    pub(super) format: Option<Format>,
    /// What a count of throttled alerts counts.
    pub(super) throttled: ThrottledCount,
}

/// A file that was opened.
pub(super) struct Opened {
    /// Its name, where there are several.
    pub(super) name: Option<Arc<str>>,
    /// What is in it, or why it cannot be begun.
    pub(super) alerts: Result<AlertFile, LineError>,
    /// Where it grows, or comes through a pipe.
    pub(super) watch: Option<Arc<Watch>>,
}

/// Files in a row.
pub(super) struct Files {
    source: Source,
    reading: Reading,
    progress: ProgressBar,
}

enum Source {
    /// One that is open already.
    One(Option<Opened>),
    Listed(VecDeque<(PathBuf, Format)>),
    Followed(Follow, Format),
}

impl Files {
    /// One file, or those of a folder. One file is opened here, so that what is wrong with it is known at once.
    pub(super) fn open(path: &Path, reading: Reading) -> Result<Self, Failure> {
        if path.is_dir() {
            return Self::of_folder(path, reading);
        }
        let (alerts, progress, watch) = open_as(path, reading)?;
        Ok(Self { source: Source::One(Some(Opened { name: None, alerts: Ok(alerts), watch })), reading, progress })
    }

    fn of_folder(folder: &Path, reading: Reading) -> Result<Self, Failure> {
        let failed = |error| Failure::usage(format!("{}: {error}", folder.display()));
        let (mut listed, mut bytes, mut passed_over) = (Vec::new(), 0, Vec::new());
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let metadata =
                fs::metadata(&path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            match settle(&path, reading.format) {
                Ok(format) if metadata.is_file() && !hidden => {
                    bytes += metadata.len();
                    listed.push((path, format));
                }
                _ => passed_over.push(path),
            }
            if listed.len() > FILES_MAX {
                let message = format!("{}: more than {FILES_MAX} files", folder.display());
                return Err(Failure::usage(message).with_hint("divide it among several folders"));
            }
        }
        listed.sort_by(|(a, _), (b, _)| a.cmp(b));
        passed_over.sort();
        for path in passed_over.iter().take(PASSED_OVER_MAX) {
            let name = clean(&path.display().to_string(), NAME_CHARS_MAX);
            eprintln!("note: {name}: passed over, its name is not that of a file of alerts");
        }
        if passed_over.len() > PASSED_OVER_MAX {
            eprintln!("note: {} more passed over", passed_over.len() - PASSED_OVER_MAX);
        }
        if listed.is_empty() {
            return Err(Failure::usage(format!("{}: it holds no file of alerts", folder.display())).with_hint(
                "names end in .csv, .ndjson, .jsonl, .hex, .xml or .parquet, packed ones in .gz or .zst after that",
            ));
        }
        Ok(Self { source: Source::Listed(listed.into()), reading, progress: input::measuring(bytes) })
    }

    /// One file that grows.
    pub(super) fn follow(path: &Path, reading: Reading) -> Result<Self, Failure> {
        let format = settle(path, reading.format)?;
        let (packing, _) = Packing::of(path);
        if packing != Packing::None
            || matches!(format, Format::DuisXml | Format::Parquet)
            || path == Path::new("-")
            || path.is_dir()
        {
            return Err(Failure::usage(format!("--follow: {} is not a file that grows by lines", path.display()))
                .with_hint("csv, ndjson and gbcs-hex files that are not packed are"));
        }
        fs::metadata(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        Ok(Self { source: Source::Followed(Follow::new(path), format), reading, progress: ProgressBar::hidden() })
    }

    /// Goes on where an earlier sending stood: one that grows may have been renamed since, and is read to its end then.
    pub(super) fn go_on_from(&mut self, past: &Bookmark) {
        if let Source::Followed(follow, format) = &mut self.source {
            let (format, throttled) = (*format, self.reading.throttled);
            let open =
                |path: &Path| begin(Box::new(BufReader::new(fs::File::open(path).ok()?)), format, throttled).ok();
            follow.begin_with(rotated::since(follow.path(), past, open));
        }
    }

    /// Bytes that were read of all.
    pub(super) fn progress(&self) -> ProgressBar {
        self.progress.clone()
    }

    /// Where it grows: how it is told to stop.
    pub(super) fn watch(&self) -> Option<Arc<Watch>> {
        match &self.source {
            Source::Followed(follow, _) => Some(follow.watch()),
            _ => None,
        }
    }

    /// The next file; of one that grows, what took its place.
    pub(super) fn next(&mut self) -> Option<Opened> {
        let throttled = self.reading.throttled;
        match &mut self.source {
            Source::One(opened) => opened.take(),
            Source::Listed(listed) => {
                let (path, format) = listed.pop_front()?;
                let alerts = if format == Format::Parquet {
                    // It is not read from its beginning to its end, so a bar cannot follow it.
                    input::open_file(&path).map(|(file, bytes)| (rows(&path, file), self.progress.inc(bytes)).0)
                } else {
                    input::open_within(&path, &self.progress).map(|bytes| begin(bytes, format, throttled))
                };
                let alerts = alerts.map_err(|failure| unopened(&failure.message)).flatten();
                let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
                Some(Opened { name: Some(clean(&name, NAME_CHARS_MAX).into()), alerts, watch: None })
            }
            Source::Followed(follow, format) => {
                let alerts = followed(follow, *format, throttled)?;
                // What cannot be begun would be begun again and again.
                let alerts = alerts.map_err(|error| LineError { fatal: true, ..error });
                Some(Opened { name: None, alerts, watch: Some(follow.watch()) })
            }
        }
    }
}

/// The next file that has anything in it.
fn followed(follow: &mut Follow, format: Format, throttled: ThrottledCount) -> Option<Result<AlertFile, LineError>> {
    loop {
        let opened = follow.next()?.and_then(|mut tail| Ok((!tail.fill_buf()?.is_empty()).then_some(tail)));
        match opened {
            Ok(None) => {}
            Ok(Some(tail)) => return Some(begin(Box::new(tail), format, throttled)),
            Err(error) => return Some(Err(unopened(&error.to_string()))),
        }
    }
}

fn unopened(message: &str) -> LineError {
    LineError { line: 1, field: "file".to_owned(), message: clean(message, NAME_CHARS_MAX), fatal: false }
}

/// A file of alerts, and how far it has been read.
pub(in crate::cli) fn open(file: &Path) -> Result<(AlertFile, ProgressBar), Failure> {
    open_as(file, Reading::default()).map(|(alerts, progress, _)| (alerts, progress))
}

fn open_as(file: &Path, reading: Reading) -> Result<(AlertFile, ProgressBar, Option<Arc<Watch>>), Failure> {
    let format = settle(file, reading.format)?;
    let (alerts, progress, watch) = if file == Path::new("-") {
        let (input::Input { reader, progress }, watch) = (input::open(file)?, Arc::<Watch>::default());
        let piped = Piped::new(io::stdin(), reader, Arc::clone(&watch));
        (begin(Box::new(piped), format, reading.throttled), progress, Some(watch))
    } else if format == Format::Parquet {
        (rows(file, input::open_file(file)?.0), ProgressBar::hidden(), None)
    } else {
        let input::Input { reader, progress } = input::open(file)?;
        (begin(reader, format, reading.throttled), progress, None)
    };
    let alerts = alerts.map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    Ok((alerts, progress, watch))
}

/// A Parquet file, whose end is read first.
fn rows(path: &Path, file: fs::File) -> Result<AlertFile, LineError> {
    let (packing, _) = Packing::of(path);
    if packing != Packing::None {
        return Err(unopened("a Parquet file is packed within, not without: unpack it first"));
    }
    columnar::Alerts::new(file).map(|alerts| Alerts::Parquet(Box::new(alerts)))
}

fn begin(bytes: Box<dyn BufRead + Send>, format: Format, throttled: ThrottledCount) -> Result<AlertFile, LineError> {
    Ok(match format {
        Format::Csv => Alerts::Csv(csv::Alerts::new(bytes)?),
        Format::Ndjson => Alerts::Ndjson(ndjson::Alerts::new(bytes)),
        Format::GbcsHex => Alerts::GbcsHex(gbcs_hex::Alerts::new(bytes)),
        Format::DuisXml => Alerts::DuisXml(duis_xml::Alerts::new(bytes, throttled)),
        Format::Parquet => return Err(unopened("a Parquet file must be a file: its end is read first")),
    })
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
        (None, Some("parquet")) => Ok(Format::Parquet),
        (None, _) => Err(Failure::usage("--format: not given, and the file's name does not tell")
            .with_hint("give --format csv, ndjson, gbcs-hex, duis-xml or parquet")),
    }
}
