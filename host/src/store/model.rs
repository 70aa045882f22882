//! Names of device models. A model's id is a hash of its name, so the names are all there is to keep.
//!
//! It must not know how ids are made. Invariant: each name is there once.

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use super::error::Error;

const MODEL: TableDefinition<'_, &str, ()> = TableDefinition::new("model");

/// Makes sure that the table exists.
pub(super) fn create(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(MODEL)?;
    Ok(())
}

/// Adds names.
pub(super) fn write(txn: &WriteTransaction, names: &[String]) -> Result<(), Error> {
    if names.is_empty() {
        return Ok(());
    }
    let mut table = txn.open_table(MODEL)?;
    for name in names {
        table.insert(name.as_str(), ())?;
    }
    Ok(())
}

/// Every name, in order of the alphabet.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<String>, Error> {
    let table = txn.open_table(MODEL)?;
    table.iter()?.map(|entry| Ok(entry?.0.value().to_owned())).collect()
}
