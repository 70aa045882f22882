//! Files that a command reads: opened, measured, and reported on.
//!
//! It must not know what is in a file. Invariant: nothing but notices and a progress bar goes to stderr, and the bar
//! only where stderr is a terminal.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, table::thousands, view::clean};
use crate::intake::compressed::Packing;

const BUFFER_BYTES: usize = 256 << 10;
/// Notices of one kind that are spelled out; of the rest there is a count.
pub(super) const NOTICES_MAX: u64 = 20;
const NOTICE_CHARS_MAX: usize = 1_000;

/// An input that is read line by line, and how far it has been read.
pub(super) struct Input {
    /// The bytes.
    pub(super) reader: Box<dyn BufRead + Send>,
    /// The bar that follows them.
    pub(super) progress: ProgressBar,
}

/// Opens a file, or stdin for `-`. What a name that ends in .gz or .zst says is packed is unpacked.
pub(super) fn open(path: &Path) -> Result<Input, Failure> {
    if path == Path::new("-") {
        let progress = ProgressBar::new_spinner().with_style(style("{spinner} {bytes} {bytes_per_sec}"));
        let reader = Box::new(BufReader::with_capacity(BUFFER_BYTES, progress.wrap_read(io::stdin())));
        return Ok(Input { reader, progress });
    }
    let (file, bytes) = open_file(path)?;
    let progress = measuring(bytes);
    Ok(Input { reader: unpacked(path, file, &progress), progress })
}

/// A bar that follows so many bytes, of one file or several.
pub(super) fn measuring(bytes: u64) -> ProgressBar {
    ProgressBar::new(bytes).with_style(style("[{bar:40}] {bytes}/{total_bytes} {bytes_per_sec} {eta}"))
}

/// Opens one of several files that a bar follows.
pub(super) fn open_within(path: &Path, progress: &ProgressBar) -> Result<Box<dyn BufRead + Send>, Failure> {
    open_file(path).map(|(file, _)| unpacked(path, file, progress))
}

fn unpacked(path: &Path, file: File, progress: &ProgressBar) -> Box<dyn BufRead + Send> {
    let (packing, _) = Packing::of(path);
    packing.unpack(BufReader::with_capacity(BUFFER_BYTES, progress.wrap_read(file)), BUFFER_BYTES)
}

/// A bar that counts things of which so many are expected.
pub(super) fn counting(expected: u64) -> ProgressBar {
    ProgressBar::new(expected).with_style(style("[{bar:40}] {human_pos}/{human_len} {eta}"))
}

/// The whole of a file that may have at most `bytes_max` bytes.
pub(super) fn read_whole(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let (file, _) = open_file(path)?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > bytes_max {
        return Err(Failure::usage(format!("{}: larger than {} bytes", path.display(), thousands(bytes_max))));
    }
    Ok(bytes)
}

/// Opens a file, and says how many bytes it has.
pub(super) fn open_file(path: &Path) -> Result<(File, u64), Failure> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    if metadata.is_dir() {
        return Err(Failure::usage(format!("{}: this is a folder, expected a file", path.display())));
    }
    Ok((file, metadata.len()))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Notices of one kind: the first ones are spelled out on stderr, all are counted.
pub(super) struct Notices {
    /// What each begins with.
    word: &'static str,
    what: &'static str,
    count: u64,
    spoken: u64,
    progress: ProgressBar,
}

impl Notices {
    /// `what` names the kind in the plural, for the count at the end.
    pub(super) fn new(what: &'static str, progress: ProgressBar) -> Self {
        Self { word: "error", what, count: 0, spoken: 0, progress }
    }

    /// The same of what is no error.
    pub(super) fn remarks(what: &'static str, progress: ProgressBar) -> Self {
        Self { word: "note", ..Self::new(what, progress) }
    }

    /// Says what they are called from now on.
    pub(super) fn call(&mut self, what: &'static str) {
        self.what = what;
    }

    /// Counts one, and spells it out while few have been.
    pub(super) fn give(&mut self, notice: &str) {
        self.count += 1;
        if self.spoken < NOTICES_MAX {
            self.spoken += 1;
            self.progress.suspend(|| eprintln!("{}: {}", self.word, clean(notice, NOTICE_CHARS_MAX)));
        }
    }

    /// Whether the next one is spelled out.
    pub(super) fn speaks(&self) -> bool {
        self.spoken < NOTICES_MAX
    }

    /// Counts `count` more of which nothing else is known.
    pub(super) fn add(&mut self, count: u64) {
        self.count += count;
    }

    /// Says how many were not spelled out, and returns how many there were.
    pub(super) fn finish(self) -> u64 {
        let silent = self.count - self.spoken;
        if silent > 0 {
            self.progress.suspend(|| eprintln!("{}: {} more {}", self.word, thousands(silent), self.what));
        }
        self.count
    }
}
