//! Which files are read: one, those of a folder in order of their names, or one that grows.
//!
//! It must not know what becomes of alerts. Invariants: one file is open at a time; what is passed over is named.

use std::{
    borrow::Cow,
    collections::VecDeque,
    fs,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

use indicatif::ProgressBar;

use super::{
    bookmark::Bookmark,
    follow::{Follow, Watch},
    piped::Piped,
    rotated,
};
use crate::{
    cli::{
        Failure,
        format::{self, Format, check_table, of_file},
        input,
        view::clean,
    },
    intake::{
        Alerts, LineError, columnar,
        compressed::Packing,
        csv,
        duis_xml::{self, Options},
        form::Form,
        gbcs_hex, ndjson,
        tables::CodeTable,
    },
};

/// Files of one folder.
const FILES_MAX: usize = 100_000;
/// Files that are passed over by name; of the rest there is a count.
const PASSED_OVER_MAX: usize = 20;
const NAME_CHARS_MAX: usize = 200;
/// What files of several formats consist of.
const MIXED: &str = "lines, rows or documents";
/// Nesting of partitions.
const PARTITION_DEPTH_MAX: usize = 8;

/// The alerts of a file as it is read.
pub(in crate::cli) type AlertFile = Alerts<Box<dyn BufRead + Send>>;

/// The contents of a folder.
#[derive(Default)]
struct Folder {
    listed: Vec<(PathBuf, Format)>,
    bytes: u64,
    passed_over: Vec<PathBuf>,
}

impl Folder {
    /// Lists a folder and the partitions in it: folders named after a column's value, as `weir export` writes them.
    fn read(folder: &Path, format: Option<Format>) -> Result<Self, Failure> {
        let mut found = Self::default();
        let mut folders = vec![(folder.to_owned(), 0)];
        while let Some((path, depth)) = folders.pop() {
            let failed = |error| Failure::usage(format!("{}: {error}", path.display()));
            for entry in fs::read_dir(&path).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                let metadata =
                    fs::metadata(&path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                match settle(&path, format) {
                    _ if metadata.is_dir() && is_partition(&name) && depth < PARTITION_DEPTH_MAX => {
                        folders.push((path, depth + 1));
                    }
                    Ok(format) if metadata.is_file() && !name.starts_with('.') => {
                        found.bytes += metadata.len();
                        found.listed.push((path, format));
                    }
                    _ => found.passed_over.push(path),
                }
                if found.listed.len() > FILES_MAX || folders.len() > FILES_MAX {
                    let message = format!("{}: more than {FILES_MAX} files", folder.display());
                    return Err(Failure::usage(message).with_hint("divide it among several folders"));
                }
            }
        }
        Ok(found)
    }
}

/// True for the name of a partition, like `day=2026-11-23`.
fn is_partition(name: &str) -> bool {
    let column = |column: &str| {
        column.starts_with(|first: char| first.is_ascii_alphabetic())
            && column.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    name.split_once('=').is_some_and(|(name, value)| column(name) && !value.is_empty())
}

/// How files are to be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    /// What was said of their format.
    pub(super) format: Option<Format>,
    /// What was said of how they are written.
    pub(super) form: Form,
    /// What was said of documents beside that.
    pub(super) documents: Options,
}

impl Reading {
    /// Returns the options for a file: the name of a .tsv file states its separator.
    fn of(&self, path: &Path) -> Cow<'_, Self> {
        match format::form_of(path, &self.form) {
            Cow::Borrowed(_) => Cow::Borrowed(self),
            Cow::Owned(form) => Cow::Owned(Self { form, ..self.clone() }),
        }
    }
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
    One(Box<Option<Opened>>),
    /// Those of a folder, by their paths.
    Listed(PathBuf, VecDeque<(PathBuf, Format)>),
    Followed(Follow, Format),
}

impl Files {
    /// One file, or those of a folder. One file is opened here, so that what is wrong with it is known at once.
    pub(super) fn open(path: &Path, reading: Reading) -> Result<Self, Failure> {
        if path.is_dir() {
            return Self::of_folder(path, reading);
        }
        let (alerts, progress, watch) = open_as(path, &reading)?;
        Ok(Self {
            source: Source::One(Box::new(Some(Opened { name: None, alerts: Ok(alerts), watch }))),
            reading,
            progress,
        })
    }

    fn of_folder(folder: &Path, reading: Reading) -> Result<Self, Failure> {
        let Folder { mut listed, bytes, mut passed_over } = Folder::read(folder, reading.format)?;
        listed.sort_by(|(a, _), (b, _)| a.cmp(b));
        passed_over.sort();
        for path in passed_over.iter().take(PASSED_OVER_MAX) {
            let name = clean(&path.display().to_string(), NAME_CHARS_MAX);
            let why = match path.is_dir() {
                true => "it is a folder; those of a partition, like day=2026-11-23, are read",
                false => "its name is not that of a file of alerts",
            };
            eprintln!("note: {name}: passed over, {why}");
        }
        if passed_over.len() > PASSED_OVER_MAX {
            eprintln!("note: {} more passed over", passed_over.len() - PASSED_OVER_MAX);
        }
        if listed.is_empty() {
            return Err(Failure::usage(format!("{}: it holds no file of alerts", folder.display())).with_hint(
                "names end in .csv, .tsv, .ndjson, .jsonl, .hex, .xml or .parquet, packed ones in .gz or .zst after that",
            ));
        }
        let source = Source::Listed(folder.to_owned(), listed.into());
        Ok(Self { source, reading, progress: input::measuring(bytes) })
    }

    /// Returns what the files consist of, in the plural.
    pub(super) fn items(&self) -> &'static str {
        let items = |alerts: &AlertFile| alerts.items();
        match &self.source {
            Source::One(opened) => {
                (**opened).as_ref().and_then(|file| file.alerts.as_ref().ok()).map_or("lines", items)
            }
            Source::Listed(_, listed) => match listed.front() {
                Some((_, first)) if listed.iter().all(|(_, format)| format == first) => first.items(),
                _ => MIXED,
            },
            Source::Followed(_, format) => format.items(),
        }
    }

    /// One file that grows.
    pub(super) fn follow(path: &Path, reading: Reading) -> Result<Self, Failure> {
        let format = settle(path, reading.format)?;
        format.check(&reading.form)?;
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
            let (format, reading) = (*format, &self.reading);
            let open = |path: &Path| begin(Box::new(BufReader::new(fs::File::open(path).ok()?)), format, reading).ok();
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
        let reading = &self.reading;
        match &mut self.source {
            Source::One(opened) => opened.take(),
            Source::Listed(folder, listed) => {
                let (path, format) = listed.pop_front()?;
                let alerts = if format == Format::Parquet {
                    // It is not read from its beginning to its end, so a bar cannot follow it.
                    input::open_file(&path)
                        .map(|(file, bytes)| (rows(&path, file, reading), self.progress.inc(bytes)).0)
                } else {
                    input::open_within(&path, &self.progress).map(|bytes| begin_file(bytes, format, &reading.of(&path)))
                };
                let alerts = alerts.map_err(|failure| unopened(&failure.message)).flatten();
                let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
                Some(Opened { name: Some(clean(&name, NAME_CHARS_MAX).into()), alerts, watch: None })
            }
            Source::Followed(follow, format) => {
                let reading = reading.of(follow.path()).into_owned();
                let alerts = followed(follow, *format, &reading)?;
                // What cannot be begun would be begun again and again.
                let alerts = alerts.map_err(|error| LineError { fatal: true, ..error });
                Some(Opened { name: None, alerts, watch: Some(follow.watch()) })
            }
        }
    }
}

/// The next file that has anything in it.
fn followed(follow: &mut Follow, format: Format, reading: &Reading) -> Option<Result<AlertFile, LineError>> {
    loop {
        let opened = follow.next()?.and_then(|mut tail| {
            let begins = tail.fill_buf()?;
            let is_utf_16 = matches!(begins, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]);
            Ok((!begins.is_empty()).then_some((tail, is_utf_16)))
        });
        match opened {
            Ok(None) => {}
            Ok(Some((_, true))) => return Some(Err(unopened("it is UTF-16; a file that grows must be UTF-8"))),
            Ok(Some((tail, false))) => return Some(begin(Box::new(tail), format, reading)),
            Err(error) => return Some(Err(unopened(&error.to_string()))),
        }
    }
}

fn unopened(message: &str) -> LineError {
    of_file(&clean(message, NAME_CHARS_MAX))
}

/// The format of a file of alerts.
pub(super) fn settle(file: &Path, format: Option<Format>) -> Result<Format, Failure> {
    format::settle(file, format, &Format::ALL)
}

/// Fails where a file does not exist or nothing tells its format.
pub(super) fn check(file: &Path, format: Option<Format>) -> Result<(), Failure> {
    if file.is_dir() {
        return Ok(());
    }
    settle(file, format)?;
    if file != Path::new("-") {
        fs::metadata(file).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    }
    Ok(())
}

/// A file of alerts, and how far it has been read.
pub(in crate::cli) fn open(file: &Path) -> Result<(AlertFile, ProgressBar), Failure> {
    let form = Form { units: Arc::new(CodeTable::builtin().units()), ..Form::default() };
    open_as(file, &Reading { form, ..Reading::default() }).map(|(alerts, progress, _)| (alerts, progress))
}

fn open_as(file: &Path, reading: &Reading) -> Result<(AlertFile, ProgressBar, Option<Arc<Watch>>), Failure> {
    let format = settle(file, reading.format)?;
    format.check(&reading.form)?;
    let reading = reading.of(file);
    let (alerts, progress, watch) = if file == Path::new("-") {
        let (input::Input { reader, progress }, watch) = (input::open(file)?, Arc::<Watch>::default());
        let piped = Piped::new(io::stdin(), reader, Arc::clone(&watch));
        (begin(Box::new(piped), format, &reading), progress, Some(watch))
    } else if format == Format::Parquet {
        (rows(file, input::open_file(file)?.0, &reading), ProgressBar::hidden(), None)
    } else {
        let input::Input { reader, progress } = input::open(file)?;
        (begin_file(reader, format, &reading), progress, None)
    };
    let alerts =
        alerts.map_err(|error| Failure::usage(format!("{}: {}", file.display(), error.told(format.items()))))?;
    Ok((alerts, progress, watch))
}

/// A Parquet file, whose end is read first.
fn rows(path: &Path, file: fs::File, reading: &Reading) -> Result<AlertFile, LineError> {
    check_table(path)?;
    // Errors of opening concern no row.
    let alerts = columnar::Alerts::of(file, &reading.form).map_err(|error| LineError { line: 0, ..error })?;
    Ok(Alerts::Parquet(Box::new(alerts)))
}

/// Begins a file that is whole.
fn begin_file(mut bytes: Box<dyn BufRead + Send>, format: Format, reading: &Reading) -> Result<AlertFile, LineError> {
    format.check_begun(&mut bytes)?;
    begin(bytes, format, reading)
}

fn begin(bytes: Box<dyn BufRead + Send>, format: Format, reading: &Reading) -> Result<AlertFile, LineError> {
    let form = &reading.form;
    Ok(match format {
        Format::Csv => Alerts::Csv(csv::Alerts::of(bytes, form)?),
        Format::Ndjson => Alerts::Ndjson(ndjson::Alerts::of(bytes, form)?),
        Format::GbcsHex => Alerts::GbcsHex(gbcs_hex::Alerts::of(bytes, form)),
        Format::DuisXml => {
            let options = Options { zone: form.zone.clone(), encoding: form.encoding, ..reading.documents.clone() };
            Alerts::DuisXml(duis_xml::Alerts::of(bytes, options))
        }
        Format::Parquet => return Err(unopened("a Parquet file must be a file: its end is read first")),
    })
}
