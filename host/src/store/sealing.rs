//! Giving checksums to the values of a store that was written before there were any.
//!
//! Invariant: each commit leaves a store that can be read and gone on with, so a kill costs at most one of them.

use std::time::{Duration, Instant};

use super::{
    Shared, audit, code_table, cursor, device,
    error::Error,
    fault, guard, handover, hour, label, log,
    meta::{self, Progress, Sealing},
    model, page, placement, plugin, producer, question, revision,
    sealed::AnyTable,
    settings, tenure, token,
};
use crate::domain::ClockMark;

/// Every table with checksums. Their order is part of the disk format while a store is on its way.
pub(super) const TABLES: [&dyn AnyTable; 25] = [
    &revision::TABLE,
    &token::TABLE,
    &audit::TABLE,
    &plugin::TABLE,
    &producer::TABLE,
    &cursor::TABLE,
    &question::TABLE,
    &question::ANSWERS,
    &device::TABLE,
    &page::TABLE,
    &hour::TABLE,
    &log::HEAD,
    &log::LOG,
    &model::TABLE,
    &guard::TABLE,
    &plugin::REVOKED_KEYS,
    &fault::TABLE,
    &handover::TABLE,
    &settings::TABLE,
    &code_table::TABLE,
    &label::KEYS,
    &label::VALUES,
    &label::TABLE,
    &placement::TABLE,
    &tenure::TABLE,
];

/// Bytes that are rewritten in one commit.
const BYTES_PER_COMMIT: usize = 16 << 20;

/// How often the log says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Makes a store of a format before 4 one of this format, without checksums yet.
pub(super) fn upgrade(shared: &Shared) -> Result<(), Error> {
    let before = shared.begin_read()?;
    let progress = meta::read_before(&before)?;
    let (models, producers) = (model::read_before(&before)?, producer::read_before(&before)?);
    let txn = shared.begin_write(&Progress::default())?;
    shared.create_tables(&txn)?;
    model::write(&txn, &models)?;
    model::drop_before(&txn)?;
    producer::write(&txn, &[], &producers, 1)?;
    producer::drop_before(&txn)?;
    let (first, last) = log::ends(&before)?.unzip();
    let mut extent = progress.extent;
    extent.begin_at(first, progress.position);
    let log_last = last.map(|last| last.first).unwrap_or_default();
    // The time of the last entry is the last that is known.
    let clock = last.map(|last| ClockMark { latest_ms: last.judged_ms, age_ms: last.judged_ms });
    let sealing = Some(Sealing::default());
    meta::write(&txn, &Progress { extent, log_last, rows: txn.rows(), sealing, clock, ..progress })?;
    txn.commit()
}

/// Makes the tables that a store lacks because an earlier program wrote it, of this format or of one from 4 on.
pub(super) fn add_tables(shared: &Shared) -> Result<(), Error> {
    let progress = meta::read(&shared.begin_read()?)?;
    let missing: Vec<_> = TABLES.iter().filter(|table| !progress.rows.contains_key(table.name())).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let txn = shared.begin_write(&progress)?;
    missing.iter().try_for_each(|table| table.create(&txn))?;
    meta::write(&txn, &Progress { rows: txn.rows(), ..progress })?;
    txn.commit()
}

/// Makes a store of a format from 4 on one of this format. Its values are read as they are.
pub(super) fn mark_format(shared: &Shared) -> Result<(), Error> {
    let progress = meta::read(&shared.begin_read()?)?;
    let txn = shared.begin_write(&progress)?;
    meta::create(&txn)?;
    meta::write(&txn, &Progress { rows: txn.rows(), ..progress })?;
    txn.commit()
}

/// Rewrites values until all have checksums, and says now and then how far it is.
pub(super) fn seal_all(shared: &Shared) -> Result<(), Error> {
    let mut progress = meta::read(&shared.begin_read()?)?;
    let Some(mut sealing) = progress.sealing.take() else { return Ok(()) };
    tracing::warn!("the store has values without checksums, from an earlier version: they are given some, once");
    let (begun, mut told, mut bytes) = (Instant::now(), Instant::now(), 0_u64);
    while let Some(table) = TABLES.get(sealing.tables as usize) {
        let txn = shared.begin_write(&progress)?;
        match table.seal_some(&txn, &sealing.key, BYTES_PER_COMMIT)? {
            Some(key) => {
                sealing.key = key;
                bytes += BYTES_PER_COMMIT as u64;
            }
            None => sealing = Sealing { tables: sealing.tables + 1, key: Vec::new() },
        }
        let done = sealing.tables as usize == TABLES.len();
        progress = Progress { rows: txn.rows(), sealing: Some(sealing.clone()).filter(|_| !done), ..progress };
        meta::write(&txn, &progress)?;
        txn.commit()?;
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            tracing::info!(table = table.name(), mebibytes = bytes >> 20, "values are given checksums");
        }
    }
    tracing::info!(seconds = begun.elapsed().as_secs(), "all values have checksums");
    Ok(())
}
