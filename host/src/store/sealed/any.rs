//! What is done to every table alike, whatever its keys are.

use std::ops::Bound;

use redb::{ReadTransaction, ReadableTable};

use super::{NOT_IN_PLACE, ROWS, Table, TableKey, Transaction, guarded, seed};
use crate::store::{
    codec::{self, Writer},
    error::{Damage, Defect, Error},
};

/// A table, whatever its keys are.
pub(in crate::store) trait AnyTable {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Makes sure that it exists.
    fn create(&self, txn: &Transaction) -> Result<(), Error>;

    /// How many rows it says it has.
    fn rows(&self, txn: &ReadTransaction) -> Result<u64, Error>;

    /// Reads the values behind a key, or all of them, and tells of those that are damaged. Returns the last key that was
    /// read where `go_on` ended the reading with `false`.
    fn scan(
        &self,
        txn: &ReadTransaction,
        after: Option<&[u8]>,
        tell: &mut dyn FnMut(Damage),
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<u8>>, Error>;

    /// Removes what is stored under a key. Returns whether there was anything.
    fn remove(&self, txn: &Transaction, key: &[u8]) -> Result<bool, Error>;

    /// Gives checksums to values without one that stand behind a key, up to `bytes_max` bytes of them. Returns the last
    /// key that was looked at, or `None` where all were.
    fn seal_some(&self, txn: &Transaction, after: &[u8], bytes_max: usize) -> Result<Option<Vec<u8>>, Error>;
}

impl<K: TableKey> AnyTable for Table<K> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn create(&self, txn: &Transaction) -> Result<(), Error> {
        self.write(txn).map(drop)
    }

    fn rows(&self, txn: &ReadTransaction) -> Result<u64, Error> {
        self.read(txn)?.rows()
    }

    fn scan(
        &self,
        txn: &ReadTransaction,
        after: Option<&[u8]>,
        tell: &mut dyn FnMut(Damage),
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<u8>>, Error> {
        let damage = |key: String, what, stored_key| Damage { table: self.name, key, what, stored_key };
        let mut scan = || {
            let table = self.read(txn)?;
            let rows = table.rows()?;
            let start = after.map_or(Bound::Unbounded, |key| Bound::Excluded(K::from_bytes(key)));
            let mut entries = table.range((start, Bound::Unbounded))?;
            let mut read = 0;
            while let Some(entry) = entries.next_raw() {
                let (key, value) = entry?;
                read += 1;
                guarded(self.name, || {
                    let key = key.value();
                    let bytes = K::as_bytes(&key).as_ref().to_vec();
                    if !entries.is_next(&bytes) || table.table.get(&key)?.is_none() {
                        tell(damage(K::show(&key), NOT_IN_PLACE.0, None));
                    } else if let Err(Defect(what)) = codec::open(seed::<K>(self.name, &key), value.value()) {
                        tell(damage(K::show(&key), what, Some(bytes)));
                    }
                    Ok(())
                })?;
                if !go_on() {
                    return Ok(Some(entries.before));
                }
            }
            if after.is_none() && read != rows {
                tell(damage(ROWS.to_owned(), "there are more or fewer than are counted", None));
            }
            Ok(None)
        };
        match scan() {
            Err(Error::Corrupt { key, what, .. }) => {
                tell(damage(key, what, None));
                Ok(None)
            }
            done => done,
        }
    }

    fn remove(&self, txn: &Transaction, key: &[u8]) -> Result<bool, Error> {
        self.write(txn)?.remove(K::from_bytes(key))
    }

    fn seal_some(&self, txn: &Transaction, after: &[u8], bytes_max: usize) -> Result<Option<Vec<u8>>, Error> {
        let mut writing = self.write(txn)?;
        let (plain, last) = guarded(self.name, || {
            let start = if after.is_empty() { Bound::Unbounded } else { Bound::Excluded(K::from_bytes(after)) };
            let (mut plain, mut last, mut bytes) = (Vec::new(), None, 0);
            for entry in writing.table.range((start, Bound::Unbounded))? {
                let (key, value) = entry?;
                let (key, value) = (key.value(), value.value());
                last = Some(K::as_bytes(&key).as_ref().to_vec());
                bytes += value.len() + ROW_BYTES;
                if !codec::is_sealed(value) {
                    plain.push((K::as_bytes(&key).as_ref().to_vec(), value.to_vec()));
                }
                if bytes >= bytes_max {
                    break;
                }
            }
            Ok((plain, last))
        })?;
        for (key, value) in plain {
            writing.insert(K::from_bytes(&key), &mut Writer::holding(value))?;
        }
        Ok(last)
    }
}

/// What a row costs beside its value, in bytes.
const ROW_BYTES: usize = 64;
