//! Average voltages that meters measured, thresholds that meters have, and what operators say of models: a file of its own,
//! with a writer of its own.
//!
//! Loading readings is bulk work, and no alert depends on it. In the store's file a load would share its one writer with
//! commits of alerts, and damage to either would keep the host from both.
//!
//! It must not know inventories, callers or clocks. Invariant: what an answer says is stored is on disk, and nothing that is
//! stored changes but thresholds, models and by retention.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
};

use redb::{Database, StorageBackend, backends::InMemoryBackend};

use self::tables::{OperatorCount, Source};
use super::{
    database::OpenDatabase,
    error::{Damage, Defect, Error},
    file,
    growth::{Bounded, Growth},
    sealed::{ROWS, Rows, Transaction, unpanicked},
};
use crate::{
    config::{ReadingLimits, StoreLimits},
    domain::{Eui64, OperatorId, OperatorSet, Reading},
};

mod chunk;
mod digest;
mod merge;
mod meta;
mod put;
mod reader;
mod retention;
mod tables;
#[cfg(test)]
mod tests;

pub use put::ThresholdFate;
pub use reader::{ListedReading, ReadingReader, ReadingTotals};

/// A reading, and whose its device is now.
pub type OwnedReading = (Reading, OperatorId);

/// The writer of the readings' file. There is one of a file, in one process.
pub struct ReadingStore {
    database: Arc<OpenDatabase>,
    limits: ReadingLimits,
    /// Rows of each table, as of the last commit.
    rows: Rows,
    /// Numbers of sources.
    sources: HashMap<Source, u32>,
    /// Whose each source is, by number.
    owners: Vec<OperatorId>,
    /// What there is of each operator, as of the last commit.
    operators: BTreeMap<OperatorId, OperatorCount>,
    growth: Growth,
    /// The file once more, to see how much of the disk it takes; `None` where it is no file.
    file: Option<File>,
    /// A commit failed, or is under way.
    poisoned: bool,
}

impl ReadingStore {
    /// Opens the file at `path`, or makes it and its folder.
    ///
    /// Fails with [`Error::Locked`] where another process has it open, with [`Error::Format`] where a later program wrote it,
    /// and with [`Error::Corrupt`] or [`Error::Damaged`] where it is not as it was written. A file up to
    /// `store.check_bytes_max` is compared with its checksums as a whole; of a longer one, what is read.
    pub fn open(path: &Path, store: &StoreLimits, limits: &ReadingLimits) -> Result<Self, Error> {
        file::ensure(path, |unfinished| {
            let database = OpenDatabase::over(file::builder(limits.cache_bytes_max, false).create(unfinished)?);
            make(&database)?;
            database.close()
        })?;
        let checked = fs::metadata(path)?.len() <= store.check_bytes_max;
        Self::over_backend(|| file::backend(path), checked, limits)
    }

    /// Opens one over something else than a file.
    pub fn with_backend(
        backend: impl StorageBackend + Clone,
        store: &StoreLimits,
        limits: &ReadingLimits,
    ) -> Result<Self, Error> {
        let checked = backend.len()? <= store.check_bytes_max;
        Self::over_backend(|| Ok((backend.clone(), None)), checked, limits)
    }

    /// Makes one in memory, for a host whose store is no file.
    pub fn in_memory(limits: &ReadingLimits) -> Result<Self, Error> {
        Self::over_backend(|| Ok((InMemoryBackend::new(), None)), false, limits)
    }

    fn over_backend<B: StorageBackend>(
        backend: impl Fn() -> Result<(B, Option<File>), Error>,
        checked: bool,
        limits: &ReadingLimits,
    ) -> Result<Self, Error> {
        let open = |checked| {
            unpanicked(|| {
                let (backend, file) = backend()?;
                let growth = Growth::new();
                let same = file.as_ref().map(File::try_clone).transpose()?;
                let bounded = Bounded::new(backend, growth.clone(), file);
                let builder = file::builder(limits.cache_bytes_max, checked);
                Ok((builder.create_with_backend(bounded)?, growth, same))
            })
        };
        match open(checked) {
            Err(error) if checked && error.is_damage() => {
                let named = || {
                    let (database, growth, file) = open(false)?;
                    Self::over(database, growth, file, limits)?.examine()
                };
                Err(named().err().filter(Error::is_damage).unwrap_or(error))
            }
            opened => {
                let (database, growth, file) = opened?;
                Self::over(database, growth, file, limits)
            }
        }
    }

    /// Reads every value. Fails with the first that is damaged.
    fn examine(&self) -> Result<(), Error> {
        let (txn, mut found) = (self.database.begin_read()?, Vec::new());
        for table in tables::ALL {
            table.scan(&txn, None, &mut |damage| found.push(damage), &mut || true)?;
        }
        found
            .iter()
            .for_each(|Damage { table, key, what, .. }| tracing::error!(table, key, what, "readings are damaged"));
        found.into_iter().next().map_or(Ok(()), |damage| Err(damage.into()))
    }

    fn over(database: Database, growth: Growth, file: Option<File>, limits: &ReadingLimits) -> Result<Self, Error> {
        let database = OpenDatabase::over(database);
        if !meta::is_made(&database.begin_read()?)? {
            make(&database)?;
        }
        let txn = database.begin_read()?;
        let rows = meta::rows(&txn)?;
        for table in tables::ALL {
            if rows.get(table.name()) != Some(&table.rows(&txn)?) {
                let what = Defect("it has another number of rows than the last commit left it with");
                return Err(Error::corrupt(table.name(), ROWS, what));
            }
        }
        let sources = tables::sources(&txn)?;
        let owners = sources.iter().map(|source| source.owner).collect();
        let decode = |number: &u32, value: &[u8]| Ok((tables::operator(*number)?, tables::decode_operator(value)?));
        let operators = tables::OPERATORS.read(&txn)?.all()?.decoded(decode).collect::<Result<_, _>>()?;
        Ok(Self {
            database: Arc::new(database),
            limits: limits.clone(),
            rows,
            sources: sources.into_iter().zip(0..).collect(),
            owners,
            operators,
            growth,
            file,
            poisoned: false,
        })
    }

    /// Returns a snapshot of the last commit, restricted to these operators.
    pub fn reader(&self, scope: OperatorSet) -> Result<ReadingReader, Error> {
        ReadingReader::open(&self.database, scope)
    }

    /// A handle that opens readers without the writer, which may be at work.
    pub fn readers(&self) -> impl Fn(OperatorSet) -> Result<ReadingReader, Error> + Send + Sync + use<> {
        let database = Arc::clone(&self.database);
        move |scope| ReadingReader::open(&database, scope)
    }

    /// Readings of all operators, as of the last commit.
    pub fn readings(&self) -> u64 {
        self.operators.values().map(|count| count.readings).sum()
    }

    /// What the file takes of the disk, in bytes; 0 where it is no file.
    pub fn file_bytes(&self) -> u64 {
        self.file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |file| file.blocks() * 512)
    }

    /// Says whether commits may take more of the disk than the file has. While they may not, one that needs more fails with
    /// [`Error::Full`].
    pub fn allow_growth(&self, allowed: bool) {
        self.growth.allow(allowed);
    }

    /// Closes the file and releases its lock, even while a [`ReadingReader`] is in use. Dropping the store does the same and
    /// ignores errors.
    pub fn close(self) -> Result<(), Error> {
        self.database.close()
    }

    /// Begins to write. Until [`commit`](Self::commit) went well nothing more is written.
    fn begin(&mut self) -> Result<Transaction, Error> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        self.database.begin_write(self.rows.clone())
    }

    /// Makes a transaction durable.
    fn commit(&mut self, txn: Transaction) -> Result<(), Error> {
        self.poisoned = true;
        let rows = txn.rows();
        meta::write(&txn)?;
        txn.commit()?;
        self.rows = rows;
        self.poisoned = false;
        Ok(())
    }

    /// Whose a source is, by number.
    fn owner_of(&self, source: u32) -> Option<OperatorId> {
        self.owners.get(source as usize).copied()
    }
}

const UNKNOWN_SOURCE: Defect = Defect("its source is not known");

/// A chunk's key, as an error names it.
fn key_of(week: u32, device: u64, phase: u8) -> String {
    format!("{week} {} {phase}", Eui64(device))
}

/// Makes a new file one of readings.
fn make(database: &OpenDatabase) -> Result<(), Error> {
    let txn = database.begin_write(Rows::default())?;
    tables::ALL.iter().try_for_each(|table| table.create(&txn))?;
    meta::create(&txn)?;
    meta::write(&txn)?;
    txn.commit()
}

impl Drop for ReadingStore {
    fn drop(&mut self) {
        // Readers share the database. Without this one of them would hold the lock, and the file could not be opened again.
        let _ = self.database.close();
    }
}

impl fmt::Debug for ReadingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "store::ReadingStore {{ readings: {}, poisoned: {} }}", self.readings(), self.poisoned)
    }
}
