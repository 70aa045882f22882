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
    domain::{Effects, HOUR_MS, Position},
    pipeline::{
        engine::Work,
        shared::{Clock, Shared},
    },
    store::{self, Store},
};

/// Hours of the books written in one commit, unless it is a checkpoint.
const HOURS_PER_COMMIT: usize = 64;

/// How often free space and retention are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
    /// The time.
    pub clock: Clock,
    /// Limits.
    pub limits: StoreLimits,
    /// Folder whose free space is watched; `None` for a store that is no file.
    pub folder: Option<PathBuf>,
    /// When free space and retention were looked at.
    pub looked: Option<Instant>,
}

impl Committer {
    /// Works until the fold is done.
    pub fn run(mut self, works: mpsc::Receiver<Work>) -> Result<(), CommitError> {
        self.shared.figures.write().log_bytes = self.store.extent().bytes;
        for work in works {
            if let Some(mut effects) = work.effects {
                let started = Instant::now();
                self.commit(&mut effects, work.checkpoint)?;
                self.count(&effects, work.folded_in, started.elapsed());
            }
            work.acts.into_iter().for_each(|act| act(&self.shared));
        }
        Ok(self.store.close()?)
    }

    fn commit(&mut self, effects: &mut Effects, checkpoint: bool) -> Result<(), CommitError> {
        self.look(effects)?;
        self.add_hours(effects, checkpoint)?;
        self.store.commit(effects)?;
        if let Some(group) = &effects.group {
            self.shared.ledger.write().add(group);
        }
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
            (Position(ledger.position().0.saturating_sub(self.limits.recovery_rows_max / 16)), HOURS_PER_COMMIT)
        };
        effects.hours = ledger.due(before, hours_max);
        let first = effects.group.as_ref().map_or(effects.position, |group| group.first);
        effects.replay_from = effects.replay_from.min(ledger.oldest_dirty(first));
        Ok(())
    }

    /// Looks at free space and retention, now and then.
    fn look(&mut self, effects: &mut Effects) -> Result<(), CommitError> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        check_room(self.folder.as_ref(), self.limits.free_bytes_min)?;
        effects.drop_before = self.retention(effects.replay_from)?;
        Ok(())
    }

    /// The position before which the log goes: by age and size, never what recovery needs.
    fn retention(&self, replay_from: Position) -> Result<Position, CommitError> {
        let extent = self.store.extent();
        let oldest_ms = (self.clock)() - i64::from(self.limits.retention_days_max) * 24 * HOUR_MS;
        let mut excess = extent.bytes.saturating_sub(self.limits.log_bytes_max);
        let mut drop_before = Position(0);
        for head in self.store.reader().heads(extent.oldest)? {
            let head = head?;
            if head.end > replay_from || (excess == 0 && head.judged_ms >= oldest_ms) {
                break;
            }
            excess = excess.saturating_sub(head.bytes);
            drop_before = head.end;
        }
        Ok(drop_before)
    }
}

/// What is free where a folder is, in bytes, if that can be asked.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Whether a folder has the room that must stay free.
pub fn check_room(folder: Option<&PathBuf>, free_bytes_min: u64) -> Result<(), CommitError> {
    // What cannot be asked is left to the commit to find out.
    let Some((folder, free)) = folder.and_then(|folder| Some((folder, free_bytes(folder)?))) else { return Ok(()) };
    if free < free_bytes_min {
        let folder = folder.display();
        return Err(CommitError::Full(format!("{folder} has {free} bytes free, free_bytes_min is {free_bytes_min}")));
    }
    Ok(())
}
