//! The committer's thread: effects are written in one transaction, then acted on.
//!
//! It must not know how effects came about. Invariant: an act runs only after the commit of everything handed over
//! before it; after a failed commit nothing is written and nothing is acted on.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use crate::{
    config::StoreLimits,
    domain::{ClockMark, Effects, Position, Retention},
    pipeline::{engine::Work, open::Opener, retention::retention, shared::Shared},
    store::{self, Store},
};

/// Hours of the books written in one commit, unless it is a checkpoint.
const HOURS_PER_COMMIT: usize = 64;

/// How often free space and the clock are looked at, and an idle host looks for entries that are too old.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Commits in a row that only drop entries, on an idle host: each takes about a millisecond, and alerts may come.
const DROPPING_COMMITS_MAX: usize = 32;

/// Room that a host which was full must have before it takes alerts again, in bytes: several large groups.
const ROOM_BYTES: u64 = 8 << 20;

/// Why the committer stopped.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// No room: the host waits for some.
    #[error("no room for the store: {0}")]
    Full(String),
    /// Anything else: the host stops.
    #[error(transparent)]
    Store(store::Error),
}

impl From<store::Error> for CommitError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Full(_) => Self::Full(error.to_string()),
            other => Self::Store(other),
        }
    }
}

/// Writes what the fold hands over.
pub struct Committer {
    /// The store.
    pub store: Store,
    /// What is published.
    pub shared: Arc<Shared>,
    /// Limits.
    pub limits: StoreLimits,
    /// Folder whose free space is watched; `None` for a store that is no file.
    pub folder: Option<PathBuf>,
    /// When free space and the clock were looked at.
    pub looked: Option<Instant>,
    /// Where recovery begins for the fold's state, by its last effects; the books may need more.
    pub state_from: Position,
    /// Whether entries went since it was last tried if there is room.
    pub freed: bool,
}

impl Committer {
    /// Works until the fold is done. `wake` has a fold that waits look for work.
    pub fn run(mut self, works: &mpsc::Receiver<Work>, wake: &dyn Fn()) -> Result<(), CommitError> {
        self.count_log();
        loop {
            if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
                self.look();
            }
            let work = match works.recv_timeout(LOOK_EVERY) {
                Ok(work) => work,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.drop_old()?;
                    if self.shared.state_wanted().is_some() {
                        wake();
                    }
                    continue;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(self.store.close()?),
            };
            if let Some(mut effects) = work.effects {
                let started = Instant::now();
                self.commit(&mut effects, work.checkpoint)?;
                self.count(&effects, work.folded_in, started.elapsed());
            }
            work.acts.into_iter().for_each(|act| act(&self.shared));
        }
    }

    /// Writes effects, and drops what retention says.
    pub fn commit(&mut self, effects: &mut Effects, checkpoint: bool) -> Result<(), CommitError> {
        let oldest = self.store.extent().oldest;
        self.state_from = effects.replay_from;
        self.add_hours(effects, checkpoint)?;
        let mark = self.shared.time.mark();
        effects.clock = effects.clock.or(Some(mark));
        effects.retention = self.retention(mark, effects.replay_from);
        self.store.commit(effects)?;
        self.freed |= self.store.extent().oldest > oldest;
        self.want_state(&effects.retention, effects.replay_from);
        if let Some(group) = &effects.group {
            self.shared.ledger.write().add(group);
        }
        Ok(())
    }

    fn retention(&self, mark: ClockMark, replay_from: Position) -> Retention {
        retention(&self.limits, self.store.extent(), mark.age_ms, replay_from, &self.shared.pins)
    }

    /// Where only recovery still needs the oldest entry, asks for the state that makes it do so to be written.
    fn want_state(&self, retention: &Retention, replay_from: Position) {
        let wanted = self.shared.state_wanted();
        let extent = self.store.extent();
        if extent.exceeds(retention) && extent.oldest_end > replay_from {
            // One position until all state before it is written: else the pages that are first in line would be written
            // again and again.
            if wanted.is_none_or(|wanted| replay_from >= wanted) {
                self.shared.want_state(Some(self.store.position()));
            }
        } else if wanted.is_some() {
            self.shared.want_state(None);
        }
    }

    /// Drops what retention says though nothing else is to be written.
    pub fn drop_old(&mut self) -> Result<(), CommitError> {
        for _ in 0..DROPPING_COMMITS_MAX {
            let position = self.store.position();
            let books_from = self.shared.ledger.read().oldest_dirty(position);
            let retention = self.retention(self.shared.time.mark(), self.state_from.min(books_from));
            self.want_state(&retention, self.state_from.min(books_from));
            let extent = self.store.extent();
            let waits_for_books = extent.exceeds(&retention) && books_from < extent.oldest_end.min(self.state_from);
            if !extent.can_drop(&retention) && !waits_for_books {
                break;
            }
            let mut effects = Effects { position, replay_from: self.state_from, ..Effects::default() };
            self.commit(&mut effects, false)?;
        }
        self.count_log();
        Ok(())
    }

    /// Lets commits use what is kept free: those that free more than they take.
    pub fn use_reserve(&self) {
        self.store.allow_growth(true);
    }

    /// Tries whether there is room: on the disk or, while that is short of it, in pages of the file that were freed. False
    /// if nothing has changed since it was tried last. After an error the store must be [reopened](Self::reopen).
    pub fn try_room(&mut self) -> Result<bool, CommitError> {
        if !self.may_grow() && !self.freed {
            return Ok(false);
        }
        self.freed = false;
        self.store.try_room(ROOM_BYTES.min(self.limits.log_bytes_max / 8))?;
        Ok(true)
    }

    /// Opens the store again after [`try_room`](Self::try_room) failed: that changed nothing the fold knows of.
    pub fn reopen(&mut self, open: &Opener) -> Result<(), store::Error> {
        *self.shared.reader.write() = None;
        self.store.release();
        self.store = open()?;
        *self.shared.reader.write() = Some(self.store.reader());
        Ok(())
    }

    /// Counts what became durable, and how long it took to.
    fn count(&self, effects: &Effects, folded_in: Duration, took: Duration) {
        let mut figures = self.shared.figures.write();
        figures.commits.add(took);
        if effects.group.is_some() {
            figures.groups.add(folded_in);
        }
        figures.audit_entries += effects.audit.len() as u64;
        figures.log_bytes = self.store.extent().bytes;
    }

    fn count_log(&self) {
        self.shared.figures.write().log_bytes = self.store.extent().bytes;
    }

    /// Adds a slice of the books, as before this group, and lowers the point that recovery begins at accordingly.
    fn add_hours(&mut self, effects: &mut Effects, checkpoint: bool) -> Result<(), CommitError> {
        let mut missing = Vec::new();
        if let Some(group) = &effects.group {
            let reader = self.store.reader();
            for hour in self.shared.ledger.read().missing(group) {
                missing.push((hour, reader.hour(hour)?));
            }
        }
        let mut ledger = self.shared.ledger.write();
        missing.into_iter().for_each(|(hour, page)| ledger.restore(hour, page));
        let (before, hours_max) = if checkpoint {
            (Position(u64::MAX), usize::MAX)
        } else {
            // Several turns within what recovery may have to fold, so that hours never hold it back.
            let behind = Position(ledger.position().0.saturating_sub(self.limits.recovery_rows_max / 16));
            (behind.max(self.shared.state_wanted().unwrap_or_default()), HOURS_PER_COMMIT)
        };
        effects.hours = ledger.due(before, hours_max);
        let first = effects.group.as_ref().map_or(effects.position, |group| group.first);
        effects.replay_from = effects.replay_from.min(ledger.oldest_dirty(first));
        Ok(())
    }

    /// Looks at the clock and at free space.
    fn look(&mut self) {
        self.looked = Some(Instant::now());
        self.shared.check_clock();
        self.may_grow();
    }

    /// Whether the disk has more than the room that must stay free; the store's file grows only then.
    pub fn may_grow(&self) -> bool {
        // What cannot be asked is left to the commit to find out.
        let free = self.folder.as_deref().and_then(free_bytes);
        let may_grow = free.is_none_or(|free| free >= self.limits.free_bytes_min);
        self.store.allow_growth(may_grow);
        may_grow
    }
}

/// What is free where a folder is, in bytes, if that can be asked.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests;
