//! Names of device models by their ids.
//!
//! Invariant: the id of a name follows from it, so a name is never changed.

use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError};

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction, guarded},
};
use crate::domain::ModelId;

pub(super) const TABLE: Table<u32> = Table::new("model_name");
const VERSION: u8 = 1;

/// Names as formats before 4 had them: keys alone, which no checksum can cover.
const BEFORE: TableDefinition<'_, &str, ()> = TableDefinition::new("model");

/// Adds names.
pub(super) fn write(txn: &Transaction, names: &[String]) -> Result<(), Error> {
    if names.is_empty() {
        return Ok(());
    }
    let mut table = TABLE.write(txn)?;
    for name in names {
        table.insert(ModelId::of(name).0, &mut encode(name))?;
    }
    Ok(())
}

/// Every name, in order of the alphabet.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<String>, Error> {
    let names = TABLE.read(txn)?.all()?.decoded(|_, value| decode(value));
    let mut names: Vec<String> = names.collect::<Result<_, _>>()?;
    names.sort_unstable();
    Ok(names)
}

/// Every name of a store of a format before 4.
pub(super) fn read_before(txn: &ReadTransaction) -> Result<Vec<String>, Error> {
    guarded("model", || {
        let table = match txn.open_table(BEFORE) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            table => table?,
        };
        table.iter()?.map(|entry| Ok(entry?.0.value().to_owned())).collect()
    })
}

/// Drops the names of formats before 4.
pub(super) fn drop_before(txn: &Transaction) -> Result<(), Error> {
    guarded("model", || Ok(txn.inner().delete_table(BEFORE).map(drop)?))
}

fn encode(name: &str) -> Writer {
    let mut out = Writer::new(VERSION);
    out.text(name);
    out
}

fn decode(bytes: &[u8]) -> Result<String, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let name = input.text()?;
    input.finish()?;
    Ok(name)
}
