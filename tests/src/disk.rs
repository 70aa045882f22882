//! A disk in memory whose power can be cut at any sync, and that can be full.
//!
//! It must not know what is written. Invariant: what was synced survives; of what was not, any part may.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::workload::Random;

/// Pages that a disk writes whole or not at all.
const PAGE_BYTES: usize = 4096;

/// A handle to the disk; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What the running process sees.
    seen: Vec<u8>,
    /// What survives a power cut.
    synced: Vec<u8>,
    /// Pages written since the last sync, as they now are.
    unsynced: BTreeSet<usize>,
    syncs: u64,
    /// The power goes instead of this sync.
    cut_at: Option<u64>,
    /// Length beyond which the disk is full.
    bytes_max: Option<u64>,
    /// No page has room, wherever it is.
    is_full: bool,
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A disk that holds this.
    pub fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { synced: bytes.clone(), seen: bytes, ..State::default() })))
    }

    /// Syncs so far.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Cuts the power instead of the `n`-th sync from the start, and from then on.
    pub fn cut_at(&self, sync: u64) {
        self.state().cut_at = Some(sync);
    }

    /// Refuses to grow beyond so many bytes; `None` lets it grow.
    pub fn limit(&self, bytes_max: Option<u64>) {
        self.state().bytes_max = bytes_max;
    }

    /// Refuses every change, as a disk does that copies what it writes and is full.
    pub fn refuse_writes(&self, refused: bool) {
        self.state().is_full = refused;
    }

    /// Bytes the running process sees.
    pub fn len(&self) -> u64 {
        self.state().seen.len() as u64
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Becomes another disk for whoever holds a handle: the machine is switched on again.
    pub fn replace(&self, other: Self) {
        let other = std::mem::take(&mut *other.state());
        *self.state() = other;
    }

    /// Another disk with the same on it.
    pub fn copy(&self) -> Self {
        Self::holding(self.state().seen.clone())
    }

    /// Changes one bit.
    pub fn flip(&self, bit: usize) {
        let mut state = self.state();
        state.seen[bit / 8] ^= 1 << (bit % 8);
        state.synced = state.seen.clone();
    }

    /// Where there is anything but zeros, and what is near it.
    pub fn live_bytes(&self) -> Vec<usize> {
        const NEAR: usize = 64;
        let state = self.state();
        let live = |chunk: &[u8]| chunk.iter().any(|byte| *byte != 0);
        let chunks = state.seen.chunks(NEAR).enumerate().filter(|(_, chunk)| live(chunk));
        chunks.flat_map(|(at, chunk)| at * NEAR..at * NEAR + chunk.len()).collect()
    }

    /// Changes a bit of the first value of a table of a closed store, wherever the file has it.
    pub fn spoil(&self, table: &str) {
        fn first<K: redb::Key + 'static>(txn: &redb::ReadTransaction, table: &str) -> Option<Vec<u8>> {
            let table = txn.open_table(redb::TableDefinition::<K, &[u8]>::new(table)).ok()?;
            Some(redb::ReadableTable::first(&table).ok()??.1.value().to_vec())
        }
        let database = redb::Database::builder().create_with_backend(self.copy()).expect("the store is sound");
        let txn = redb::ReadableDatabase::begin_read(&database).expect("the store is sound");
        let value = first::<u32>(&txn, table).or_else(|| first::<u64>(&txn, table)).expect("the table has a value");
        let bytes = self.state().seen.clone();
        let places: Vec<usize> =
            bytes.windows(value.len()).enumerate().filter(|(_, window)| *window == value).map(|(at, _)| at).collect();
        assert!(!places.is_empty(), "the value of {table} is in the file");
        places.into_iter().for_each(|at| self.flip((at + value.len() / 2) * 8));
    }

    /// What a power cut leaves: all that was synced, and of the rest what chance kept, page by page.
    pub fn after_power_cut(&self, random: &mut Random) -> Self {
        let state = self.state();
        let mut kept = state.synced.clone();
        for page in &state.unsynced {
            let range = page * PAGE_BYTES..((page + 1) * PAGE_BYTES).min(state.seen.len());
            if range.start < range.end && random.below(2) == 0 {
                if kept.len() < range.end {
                    kept.resize(range.end, 0);
                }
                kept[range.clone()].copy_from_slice(&state.seen[range]);
            }
        }
        Self::holding(kept)
    }
}

impl State {
    fn powered(&self) -> io::Result<()> {
        match self.cut_at {
            Some(cut) if self.syncs >= cut => Err(io::Error::other("the power is gone")),
            _ => Ok(()),
        }
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let range = offset as usize..offset as usize + out.len();
        let bytes = state.seen.get(range).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.powered()?;
        if state.bytes_max.is_some_and(|max| len > max) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.seen.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.powered()?;
        if state.cut_at == Some(state.syncs + 1) {
            state.syncs += 1;
            return state.powered();
        }
        state.syncs += 1;
        state.unsynced.clear();
        state.synced = state.seen.clone();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.powered()?;
        if state.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let start = offset as usize;
        if state.seen.len() < start + data.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        state.seen[start..start + data.len()].copy_from_slice(data);
        let pages = start / PAGE_BYTES..=(start + data.len()).saturating_sub(1) / PAGE_BYTES;
        state.unsynced.extend(pages);
        Ok(())
    }
}
