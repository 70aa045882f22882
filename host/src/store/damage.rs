//! What of a store is damaged, and what of that follows from the rest and can be made again.
//!
//! Values carry checksums of their own (`sealed`), and the database has one for each page, which it compares only where
//! it is asked to look at the whole file. Invariant: what is damaged and cannot be made again is named and left as it is.

use redb::ReadTransaction;

use super::{
    Shared, device,
    error::{Damage, Defect, Error},
    hour, log, meta, page, plugin,
    sealed::ROWS,
    sealing::TABLES,
};
use crate::domain::{HOUR_MS, Position};

/// Alerts of an hour are judged no earlier than this before it: `intake.future_s_max` is at most a day.
const JUDGED_AHEAD_MS: i64 = 24 * HOUR_MS;

/// How far the values were read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Tables that are done.
    tables: usize,
    /// The last key of the next one that was read.
    key: Option<Vec<u8>>,
}

impl Place {
    /// True once everything was read.
    pub fn is_end(&self) -> bool {
        self.tables > TABLES.len()
    }
}

/// Reads the values of every table from a place on, and returns what is damaged. It ends early, at another place, once
/// `go_on` is false.
pub(super) fn examine(
    txn: &ReadTransaction,
    place: &mut Place,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Vec<Damage>, Error> {
    let mut found = Vec::new();
    let counted = match meta::read(txn) {
        Ok(progress) => progress.rows,
        Err(Error::Corrupt { table, key, what }) => {
            found.push(Damage { table, key, what, stored_key: None });
            Default::default()
        }
        Err(other) => return Err(other),
    };
    while let Some(table) = TABLES.get(place.tables) {
        // A program before this one did not make all of them, and they are added once the store is open.
        if !counted.is_empty() && !counted.contains_key(table.name()) {
            place.tables += 1;
            continue;
        }
        if place.key.is_none() {
            let rows = table.rows(txn);
            if counted.get(table.name()).zip(rows.ok()).is_some_and(|(counted, rows)| *counted != rows) {
                let what = "it has another number of rows than the last commit left it with";
                found.push(Damage { table: table.name(), key: ROWS.to_owned(), what, stored_key: None });
            }
        }
        place.key = table.scan(txn, place.key.as_deref(), &mut |damage| found.push(damage), go_on)?;
        if place.key.is_some() {
            return Ok(found);
        }
        place.tables += 1;
    }
    plugin::scan_components(txn, &mut |damage| found.push(damage))?;
    place.tables += 1;
    Ok(found)
}

/// Takes damaged values out that the log has everything for, so that recovery makes them again. Returns what was taken
/// out. Fails where anything else is damaged, and changes nothing then.
pub(super) fn mend(shared: &Shared) -> Result<Vec<Damage>, Error> {
    let txn = shared.begin_read()?;
    let found = examine(&txn, &mut Place::default(), &mut || true)?;
    found.iter().for_each(|Damage { table, key, what, .. }| tracing::error!(table, key, what, "the store is damaged"));
    let progress = meta::read(&txn)?;
    let oldest = progress.extent.oldest;
    let whole = oldest == Position(0);
    let begun_ms = log::first_judged(&txn);
    let derived = |damage: &Damage| {
        let Some(key) = &damage.stored_key else { return false };
        match damage.table {
            name if name == log::HEAD.name => true,
            name if name == page::TABLE.name => whole,
            name if name == hour::TABLE.name => {
                whole
                    || hour::stored_under(&txn, key).is_some_and(|hour| {
                        begun_ms.is_some_and(|begun| i64::from(hour) * HOUR_MS > begun.saturating_add(JUDGED_AHEAD_MS))
                    })
            }
            _ => false,
        }
    };
    if let Some(lost) = found.iter().find(|damage| !derived(damage)) {
        return Err(lost.clone().into());
    }
    if found.is_empty() {
        return Err(Error::Damaged("no value is, so it is how the database finds them".to_owned()));
    }
    let write = shared.begin_write(&progress)?;
    for table in TABLES {
        let keys = found.iter().filter(|damage| damage.table == table.name());
        let keys: Vec<&Vec<u8>> = keys.filter_map(|damage| damage.stored_key.as_ref()).collect();
        for key in &keys {
            if !table.remove(&write, key)? {
                return Err(Error::corrupt(table.name(), ROWS, Defect("a row is not found by its key")));
            }
        }
        if table.name() == log::HEAD.name && !keys.is_empty() {
            let euis: Vec<u64> = device::read(&txn)?.iter().map(|device| device.eui.0).collect();
            log::make_heads(&write, &txn, &euis)?;
        }
    }
    let only_heads = found.iter().all(|damage| damage.table == log::HEAD.name);
    let replay_from = if only_heads { progress.replay_from } else { oldest };
    meta::write(&write, &meta::Progress { replay_from, rows: write.rows(), ..progress })?;
    write.commit()?;
    Ok(found)
}
