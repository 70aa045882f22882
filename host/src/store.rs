//! The store: one redb file, one writer, one transaction for all effects of a group. Readings of voltages have a file and
//! a writer of their own (`readings`).
//!
//! It must not know what rules, counts or states mean; nothing else in the host names redb. Invariant: after `commit`
//! returned `Ok`, all of the effects survive a crash; after an error, all or none of them may, and nothing more is
//! written until the file is opened again.

use std::{fmt, sync::Arc};

use redb::TableDefinition;

use self::{growth::Growth, meta::Progress, sealed::unpanicked, shared::Shared};
use crate::domain::{
    AuditEntry, ClockMark, Cursor, Device, Effects, Eui64, GuardCount, Handover, JudgingSettings, KeptFault,
    KeptLabels, KeptQuestion, Placement, PluginInfo, Position, ProducerMark, Retention, Revocation, RuleRevision,
    SettingsNo, SigningKey, Token,
};

mod audit;
mod code_table;
mod codec;
mod column;
mod cursor;
mod damage;
mod database;
mod device;
mod error;
mod fault;
mod file;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod growth;
mod guard;
mod handover;
mod hour;
mod label;
mod log;
mod meta;
mod model;
mod opening;
mod page;
mod placement;
mod plugin;
mod producer;
mod question;
mod reader;
mod readings;
mod revision;
mod sealed;
mod sealing;
mod settings;
mod shared;
mod tenure;
mod token;

pub use damage::Place;
pub use error::{Damage, Error};
pub use log::{GroupHead, Groups, Heads, LogExtent};
pub use reader::Reader;
pub use readings::{ListedReading, OwnedReading, ReadingReader, ReadingStore, ReadingTotals, ThresholdFate};

/// The name of the store's file in the data folder.
pub const FILE_NAME: &str = "weir.redb";

/// The name of the readings' file in the data folder.
pub const READINGS_FILE_NAME: &str = "readings.redb";

/// What [`Store::try_room`] writes and removes again. Empty otherwise.
const ROOM: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("room");

/// Values that it writes: pages of one value lie together, so one large value asks for more than many smaller ones.
const ROOM_VALUES: u64 = 8;

/// The writer. There is one of a file, in one process.
pub struct Store {
    shared: Arc<Shared>,
    /// How many answers are kept of each producer.
    acks_kept: u64,
    /// How far the last commit came.
    progress: Progress,
    mended: Vec<Damage>,
    /// A commit failed, or is under way.
    poisoned: bool,
    growth: Growth,
    /// Where values are put together; kept because most are large.
    scratch: codec::Writer,
}

/// What a host starts from: everything but the log, the pages and the books, which a [`Reader`] gives piece by piece.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The next position.
    pub position: Position,
    /// Recovery folds the log from here.
    pub replay_from: Position,
    /// The devices; the index is the number.
    pub devices: Vec<Device>,
    /// Where devices are connected, by number.
    pub placements: Vec<(u32, Placement)>,
    /// Names of models, in order of the alphabet.
    pub models: Vec<String>,
    /// Labels of devices.
    pub labels: KeptLabels,
    /// Plugins in order of upload.
    pub plugins: Vec<PluginInfo>,
    /// Keys that plugins may no longer be signed with.
    pub revoked_keys: Vec<(SigningKey, Revocation)>,
    /// Every change to the rules, in order.
    pub revisions: Vec<RuleRevision>,
    /// Tokens, in order of names.
    pub tokens: Vec<Token>,
    /// The last entry of the audit log.
    pub audit_last: Option<AuditEntry>,
    /// What producers were last told, ordered by producer and sequence.
    pub producers: Vec<ProducerMark>,
    /// How long hosts have run on the store, in milliseconds.
    pub ran_ms: u64,
    /// Questions over the past, in order of numbers, without their answers.
    pub questions: Vec<KeptQuestion>,
    /// How far holders of cursors have come.
    pub cursors: Vec<Cursor>,
    /// Settings that groups were judged under, by number.
    pub settings: Vec<(SettingsNo, JudgingSettings)>,
    /// Tables of alert codes that alerts were logged under, as CSV, each with the position from which it holds.
    pub code_tables: Vec<(Position, String)>,
    /// What guards have counted.
    pub guards: Vec<GuardCount>,
    /// The last failure of each rule that failed, by name.
    pub faults: Vec<(String, KeptFault)>,
    /// Devices that changed hands.
    pub handovers: Vec<(Eui64, Handover)>,
    /// How much log there is.
    pub extent: LogExtent,
    /// What is kept of the host's clock; `None` in a store without any commit of alerts.
    pub clock: Option<ClockMark>,
}

impl Store {
    /// Takes damaged values out that the log has everything for, so that recovery makes them again. For a value that was
    /// found damaged after the file was opened, as in one that is too long to be compared with its checksums then.
    pub fn mend(&mut self) -> Result<(), Error> {
        self.mended.extend(damage::mend(&self.shared)?);
        self.progress = meta::read(&self.shared.begin_read()?)?;
        Ok(())
    }

    /// What was found damaged when the file was opened and taken out: recovery makes it again from the log.
    pub fn mended(&self) -> &[Damage] {
        &self.mended
    }

    /// Reads what a host starts from.
    pub fn load(&self) -> Result<Snapshot, Error> {
        let txn = self.shared.begin_read()?;
        let progress = meta::read(&txn)?;
        let devices = device::read(&txn)?;
        Ok(Snapshot {
            position: progress.position,
            replay_from: progress.replay_from,
            labels: label::read(&txn, devices.len())?,
            devices,
            placements: placement::read(&txn)?,
            models: model::read(&txn)?,
            plugins: plugin::read(&txn)?,
            revoked_keys: plugin::revoked_keys(&txn)?,
            revisions: revision::read(&txn)?,
            tokens: token::read(&txn)?,
            audit_last: audit::last(&txn)?,
            producers: producer::read(&txn, self.acks_kept)?,
            ran_ms: progress.ran_ms,
            questions: question::read(&txn)?,
            cursors: cursor::read(&txn)?,
            settings: settings::read(&txn)?,
            code_tables: code_table::read(&txn)?,
            guards: guard::read(&txn)?,
            faults: fault::read(&txn)?,
            handovers: handover::read(&txn)?,
            extent: progress.extent,
            clock: progress.clock,
        })
    }

    /// Writes the effects in one transaction and returns when they are on disk.
    ///
    /// After any error, [`Error::Poisoned`] is all it returns: it is not known whether the effects were written, so
    /// only the file itself can say, when it is opened again.
    pub fn commit(&mut self, effects: &Effects) -> Result<(), Error> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        self.poisoned = true;
        self.check(effects)?;
        unpanicked(|| self.write(effects))?;
        self.poisoned = false;
        Ok(())
    }

    /// A handle to read with.
    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.shared))
    }

    /// How much log there is, as of the last commit.
    pub fn extent(&self) -> LogExtent {
        self.progress.extent
    }

    /// The next position, as of the last commit.
    pub fn position(&self) -> Position {
        self.progress.position
    }

    /// Says whether commits may take more of the disk than the file has. While they may not, one that needs more fails
    /// with [`Error::Full`]; pages that retention has freed are used all the same.
    pub fn allow_growth(&self, allowed: bool) {
        self.growth.allow(allowed);
    }

    /// Writes so many bytes and removes them again, in commits of their own. After `Ok`, the file has that much room.
    pub fn try_room(&mut self, bytes: u64) -> Result<(), Error> {
        if std::mem::replace(&mut self.poisoned, true) {
            return Err(Error::Poisoned);
        }
        let value = vec![0; usize::try_from(bytes.div_ceil(ROOM_VALUES)).unwrap_or(usize::MAX)];
        let txn = self.shared.begin_write(&self.progress)?;
        for number in 0..ROOM_VALUES {
            txn.inner().open_table(ROOM)?.insert(number, value.as_slice())?;
        }
        txn.commit()?;
        let txn = self.shared.begin_write(&self.progress)?;
        txn.inner().delete_table(ROOM)?;
        txn.commit()?;
        self.poisoned = false;
        Ok(())
    }

    /// Closes the file and releases its lock, as dropping the store does: nothing but that can follow.
    pub fn release(&self) {
        let _ = self.shared.close();
    }

    /// Closes the file and releases its lock, even while a [`Reader`] is in use. Dropping the store does
    /// the same and ignores errors.
    pub fn close(self) -> Result<(), Error> {
        // The database keeps its last two commits, and one bit says which is the last. Written twice, what was committed
        // last is found by either value of that bit. Without room for that the store is closed all the same.
        if !self.poisoned
            && let Err(error) = self.write_again()
        {
            tracing::warn!(%error, "what was committed last is not written twice");
        }
        self.shared.close()
    }

    fn write_again(&self) -> Result<(), Error> {
        let txn = self.shared.begin_write(&self.progress)?;
        meta::write(&txn, &self.progress)?;
        txn.commit()
    }

    /// Refuses effects whose positions contradict what is stored or each other.
    fn check(&self, effects: &Effects) -> Result<(), Error> {
        let Effects { position, replay_from, .. } = *effects;
        let refuse = |what: String| Err(Error::Effects(what));
        let at = self.progress.position;
        if position < at {
            return refuse(format!("position {position}: the store is at {at} already"));
        }
        if replay_from > position {
            return refuse(format!("replay_from {replay_from}: it lies after position {position}"));
        }
        match &effects.group {
            Some(group) if group.first < at => {
                refuse(format!("group at {}: the store is at {at} already", group.first))
            }
            Some(group) if group.end() > position => {
                refuse(format!("group ending at {}: it lies after position {position}", group.end()))
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, effects: &Effects) -> Result<(), Error> {
        if !effects.devices.is_empty() {
            let mut euis = self.shared.euis_mut();
            device::extend(&mut euis, &effects.devices)?;
        }
        let txn = self.shared.begin_write(&self.progress)?;
        device::write(&txn, &effects.devices)?;
        placement::write(&txn, &effects.placements)?;
        tenure::write(&txn, &effects.tenures)?;
        model::write(&txn, &effects.models)?;
        label::write(&txn, &effects.labels)?;
        if let Some((info, component)) = &effects.plugin {
            plugin::write(&txn, info, component)?;
        }
        plugin::update(&txn, &effects.plugins_changed)?;
        plugin::remove(&txn, &effects.plugins_dropped)?;
        plugin::revoke_keys(&txn, &effects.keys_revoked)?;
        revision::write(&txn, &effects.revisions)?;
        token::write(&txn, &effects.tokens)?;
        audit::write(&txn, &effects.audit)?;
        question::write(&txn, &effects.questions, &effects.questions_dropped)?;
        cursor::write(&txn, &effects.cursors, &effects.cursors_dropped)?;
        guard::write(&txn, &effects.guards, &effects.guards_dropped)?;
        fault::write(&txn, &effects.faults, &effects.faults_dropped)?;
        handover::write(&txn, &effects.handovers)?;
        producer::write(&txn, &effects.producers_dropped, &effects.producers, self.acks_kept)?;
        settings::write(&txn, effects.settings.as_ref())?;
        code_table::write(&txn, effects.code_table.as_ref())?;
        page::write(&txn, &effects.pages, &mut self.scratch)?;
        hour::write(&txn, &effects.hours, &mut self.scratch)?;

        let Progress { mut extent, mut log_last, .. } = self.progress;
        if let Some(group) = &effects.group {
            log::append(&txn, group, &self.shared.euis(), &mut self.scratch, (&mut extent, &mut log_last))?;
        }
        // What recovery may still have to fold stays, whatever retention says.
        let keep_from = effects.retention.keep_from.min(effects.replay_from);
        log::retain(&txn, &Retention { keep_from, ..effects.retention }, effects.position, &mut extent)?;
        if extent.groups == 0 {
            extent.begin_at(None, effects.position);
        }
        let Effects { position, replay_from, .. } = *effects;
        let (ran_ms, clock) = (self.progress.ran_ms.max(effects.ran_ms), effects.clock.or(self.progress.clock));
        let rows = txn.rows();
        let progress = Progress { position, replay_from, extent, log_last, rows, sealing: None, ran_ms, clock };
        meta::write(&txn, &progress)?;
        txn.commit()?;
        self.progress = progress;
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Readers share the database. Without this one of them would hold the lock, and the file could not be opened
        // again.
        self.release();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { progress: Progress { position, extent, .. }, poisoned, .. } = self;
        write!(f, "store::Store {{ position: {position}, extent: {extent:?}, poisoned: {poisoned} }}")
    }
}

#[cfg(test)]
mod tests;
