//! The readings' file while the host runs: opened beside the store, written by one caller at a time, opened again after a
//! failure.
//!
//! It must not know who asks, nor what a reading says. Invariant: whatever is wrong with that file, alerts are taken, and a
//! caller that needs it is told what is wrong and what to do.

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::{
    config::{Config, ReadingLimits},
    domain::{HOUR_MS, Millis, OperatorSet},
    pipeline::{commit::free_bytes, open::keep_private, refusal::Refusal, shared::Published},
    store::{self, READINGS_FILE_NAME, ReadingReader, ReadingStore},
};

/// How long after a failure the file is opened again, when somebody asks.
const OPEN_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Phases of devices that one commit drops at most: a few tens of milliseconds, in which loads wait.
const DROPPED_PER_COMMIT_MAX: usize = 4_096;

/// Loads that are remembered, so that each is noted once an hour.
const LOADS_MAX: usize = 10_000;

type Open = Box<dyn Fn() -> Result<ReadingStore, store::Error> + Send + Sync>;
type Readers = Box<dyn Fn(OperatorSet) -> Result<ReadingReader, store::Error> + Send + Sync>;

/// The readings' file.
pub struct Readings {
    open: Open,
    limits: ReadingLimits,
    free_bytes_min: u64,
    /// Folder whose free space is watched; `None` for what is no file.
    folder: Option<PathBuf>,
    writer: Mutex<Writer>,
    readers: Published<Option<Readers>>,
    /// What is wrong with the file; empty for nothing.
    problem: watch::Sender<String>,
    stored: AtomicU64,
    file_bytes: AtomicU64,
    /// The hour in which a caller last loaded from a source.
    loads: Mutex<HashMap<(String, String), Millis>>,
}

/// The writer, as far as there is one.
struct Writer {
    store: Option<ReadingStore>,
    /// Why there is none.
    failed: Option<(store::Error, Instant)>,
    /// A commit found no room, and nothing has gone since.
    is_full: bool,
    /// The host stops.
    is_closed: bool,
}

impl Default for Readings {
    /// A file that is closed for good.
    fn default() -> Self {
        let readings = Self::with(Box::new(|| Err(store::Error::Closed)), &Config::default(), None);
        readings.lock().is_closed = true;
        readings
    }
}

impl Readings {
    /// The file in the data folder, which is not open yet; in memory where the store is no file either.
    pub fn new(config: &Config, folder: Option<PathBuf>) -> Self {
        let path = folder.as_ref().map(|folder| folder.join(READINGS_FILE_NAME));
        let (store, limits) = (config.store.clone(), config.readings.clone());
        let open = move || match &path {
            Some(path) => {
                keep_private(path);
                ReadingStore::open(path, &store, &limits)
            }
            None => ReadingStore::in_memory(&limits),
        };
        Self::with(Box::new(open), config, folder)
    }

    /// Opens the file. It does not fail: what is wrong with the file is for those who ask for it.
    pub fn open(&self) {
        self.open_again(&mut self.lock());
    }

    fn with(open: Open, config: &Config, folder: Option<PathBuf>) -> Self {
        Self {
            open,
            limits: config.readings.clone(),
            free_bytes_min: config.store.free_bytes_min,
            folder,
            writer: Mutex::new(Writer { store: None, failed: None, is_full: false, is_closed: false }),
            readers: Published::default(),
            problem: watch::Sender::default(),
            stored: AtomicU64::new(0),
            file_bytes: AtomicU64::new(0),
            loads: Mutex::default(),
        }
    }

    /// Limits.
    pub fn limits(&self) -> &ReadingLimits {
        &self.limits
    }

    /// Returns a receiver of the file's problem; the text is empty while the file is usable.
    pub fn problem(&self) -> watch::Receiver<String> {
        self.problem.subscribe()
    }

    /// Readings that are stored.
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// What the file takes of the disk, in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes.load(Ordering::Relaxed)
    }

    /// What is stored of the devices of these operators. Blocks on the disk.
    pub fn reader(&self, scope: OperatorSet) -> Result<ReadingReader, Refusal> {
        let read = || self.readers.read().as_ref().map(|open| open(scope));
        if let Some(Ok(reader)) = read() {
            return Ok(reader);
        }
        // A writer whose commit failed may be opening the file again; its lock is held until then.
        self.ready(&mut self.lock())?;
        read().unwrap_or(Err(store::Error::Closed)).map_err(refused)
    }

    /// Writes, when it is this caller's turn. Blocks on the disk.
    pub fn write<T>(&self, work: impl FnOnce(&mut ReadingStore) -> Result<T, store::Error>) -> Result<T, Refusal> {
        let mut writer = self.lock();
        let was_full = writer.is_full;
        let store = self.ready(&mut writer)?;
        let no_room = self.no_room(store);
        store.allow_growth(no_room.is_none());
        // It would fail again, and cost another opening of the file.
        if let Some(why) = no_room.as_ref().filter(|_| was_full) {
            return Err(full(why));
        }
        match work(store) {
            Ok(done) => {
                writer.is_full = false;
                self.publish(&writer);
                Ok(done)
            }
            // Nothing was written.
            Err(error) if error.is_damage() || matches!(error, store::Error::Over { .. }) => Err(refused(error)),
            Err(error) => {
                tracing::error!(%error, "the readings' file was not written; it is opened again");
                writer.is_full = matches!(error, store::Error::Full(_));
                writer.store = None;
                self.open_again(&mut writer);
                Err(match (error, no_room) {
                    (store::Error::Full(_), Some(why)) => full(&why),
                    (store::Error::Full(error), None) => full(&error.to_string()),
                    (error, _) => refused(error),
                })
            }
        }
    }

    /// Drops readings that ended before a time, some in each of several commits. Blocks on the disk.
    pub fn drop_before(&self, before_ms: Millis) {
        loop {
            // Loads take their turns between two commits.
            let mut writer = self.lock();
            let Ok(store) = self.ready(&mut writer) else { return };
            // A commit that frees pages may need some first.
            store.allow_growth(true);
            match store.drop_before(before_ms, DROPPED_PER_COMMIT_MAX) {
                Ok(0) => return,
                Ok(_) => {
                    writer.is_full = false;
                    self.publish(&writer);
                }
                Err(error) => {
                    tracing::error!(%error, "readings that are too old were not dropped");
                    if !error.is_damage() {
                        writer.store = None;
                        self.open_again(&mut writer);
                    }
                    return;
                }
            }
        }
    }

    /// Closes the file for good.
    pub fn close(&self) {
        let mut writer = self.lock();
        writer.is_closed = true;
        *self.readers.write() = None;
        if let Some(Err(error)) = writer.store.take().map(ReadingStore::close) {
            tracing::warn!(%error, "the readings' file was not closed");
        }
    }

    /// True for the first load of a caller from a source in an hour. It is to be [noted](Self::noted) before anything is
    /// stored.
    pub fn is_to_note(&self, who: &str, source: &str, now_ms: Millis) -> bool {
        let hour = now_ms.div_euclid(HOUR_MS);
        let loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        loads.get(&(who.to_owned(), source.to_owned())).is_none_or(|noted| *noted != hour)
    }

    /// Remembers that a load is in the audit log.
    pub fn noted(&self, who: &str, source: &str, now_ms: Millis) {
        let hour = now_ms.div_euclid(HOUR_MS);
        let mut loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        if loads.len() >= LOADS_MAX {
            loads.retain(|_, noted| *noted == hour);
        }
        if loads.len() >= LOADS_MAX {
            loads.clear();
        }
        loads.insert((who.to_owned(), source.to_owned()), hour);
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        // A panic while it is held leaves a store that was not committed, which says so when it is asked next.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the file where it is not open, unless that failed a moment ago.
    fn ready<'w>(&self, writer: &'w mut Writer) -> Result<&'w mut ReadingStore, Refusal> {
        if writer.is_closed {
            return Err(Refusal::Unavailable("the host is stopping; ask again when it is back".to_owned()));
        }
        if writer.store.is_none() && writer.failed.as_ref().is_none_or(|(_, at)| at.elapsed() >= OPEN_AGAIN_AFTER) {
            self.open_again(writer);
        }
        let Writer { store, failed, .. } = writer;
        store.as_mut().ok_or_else(|| match failed {
            Some((error, _)) => refused_as(error),
            None => refused(store::Error::Closed),
        })
    }

    fn open_again(&self, writer: &mut Writer) {
        *self.readers.write() = None;
        match (self.open)() {
            Ok(store) => {
                *self.readers.write() = Some(Box::new(store.readers()));
                self.problem.send_replace(String::new());
                writer.failed = None;
                writer.store = Some(store);
                self.publish(writer);
            }
            Err(error) => {
                let words = refused_as(&error).to_string();
                tracing::error!(problem = words, "readings are neither taken nor given; alerts are taken all the same");
                self.problem.send_replace(words);
                writer.failed = Some((error, Instant::now()));
            }
        }
    }

    fn publish(&self, writer: &Writer) {
        if let Some(store) = &writer.store {
            self.stored.store(store.readings(), Ordering::Relaxed);
            self.file_bytes.store(store.file_bytes(), Ordering::Relaxed);
        }
    }

    /// Why the file may not take more of the disk.
    fn no_room(&self, store: &ReadingStore) -> Option<String> {
        let (bytes, max) = (store.file_bytes(), self.limits.file_bytes_max);
        let free = self.folder.as_deref().and_then(free_bytes);
        match free.filter(|free| *free < self.free_bytes_min) {
            Some(free) => Some(format!("store.free_bytes_min ({}): {free} bytes are free", self.free_bytes_min)),
            None => (bytes >= max).then(|| format!("readings.file_bytes_max ({max}) is reached")),
        }
    }
}

impl fmt::Debug for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readings").field("stored", &self.stored()).finish_non_exhaustive()
    }
}

/// What a caller is told of a failure of the file.
pub fn refused(error: store::Error) -> Refusal {
    refused_as(&error)
}

fn refused_as(error: &store::Error) -> Refusal {
    let file = READINGS_FILE_NAME;
    match error {
        store::Error::Over { .. } => {
            Refusal::Exhausted(format!("{error}; use a name that is known, remove one, or have the setting raised"))
        }
        store::Error::Corrupt { .. } | store::Error::Damaged(_) => Refusal::Precondition(format!(
            "{file}: {error}. Or stop the host, move that file away, and load the readings again"
        )),
        store::Error::Format { .. } => Refusal::Precondition(format!("{file}: {error}")),
        _ => Refusal::Unavailable(format!("{file}: {error}; ask again in {} seconds", OPEN_AGAIN_AFTER.as_secs())),
    }
}

fn full(why: &str) -> Refusal {
    Refusal::Exhausted(format!(
        "no room for readings: {why}; free space on the disk, lower readings.retention_days_max, or raise \
         readings.file_bytes_max"
    ))
}

#[cfg(test)]
mod tests;
