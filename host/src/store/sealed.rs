//! Tables whose values carry a checksum, so that a value the disk has changed is an error and never another answer.
//!
//! A checksum covers the table's name, the key and the value: a value that stands under another key, or in another
//! table, does not pass either. It is checked at every read. Invariant: a value is decoded only after its checksum
//! passed; what does not pass is named by its table and key.
//!
//! Formats before 4 had no checksums. Such values are read as they are until [`sealing`](super::sealing) has rewritten
//! them.

use std::{
    borrow::Borrow,
    cell::RefCell,
    collections::BTreeMap,
    ops::RangeBounds,
    panic::{AssertUnwindSafe, catch_unwind},
};

use redb::{
    OwnedAccessGuard, OwnedRange, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata,
    TableDefinition, WriteTransaction,
};

use super::{
    codec::{self, Writer},
    error::{Defect, Error},
};

mod any;
mod key;

pub(super) use any::AnyTable;
pub(super) use key::TableKey;

/// Rows of each table, by name.
pub(super) type Rows = BTreeMap<String, u64>;

/// A write transaction that knows how many rows each table it touched is left with.
pub(super) struct Transaction {
    inner: WriteTransaction,
    rows: RefCell<Rows>,
}

impl Transaction {
    /// `rows` are those of the tables before it.
    pub(super) fn new(inner: WriteTransaction, rows: Rows) -> Self {
        Self { inner, rows: RefCell::new(rows) }
    }

    /// The transaction itself, for a table that has no checksums.
    pub(super) fn inner(&self) -> &WriteTransaction {
        &self.inner
    }

    /// Rows of each table as this transaction leaves it.
    pub(super) fn rows(&self) -> Rows {
        self.rows.borrow().clone()
    }

    /// Makes it durable.
    pub(super) fn commit(self) -> Result<(), Error> {
        unpanicked(|| Ok(self.inner.commit()?))
    }
}

/// A table by name.
pub(super) struct Table<K: TableKey> {
    pub(super) name: &'static str,
    definition: TableDefinition<'static, K, &'static [u8]>,
}

impl<K: TableKey> Table<K> {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, definition: TableDefinition::new(name) }
    }

    /// Opens it for writing.
    pub(super) fn write<'t>(&self, txn: &'t Transaction) -> Result<Writing<'t, K>, Error> {
        let table = guarded(self.name, || Ok(txn.inner.open_table(self.definition)?))?;
        Ok(Writing { name: self.name, table, rows: &txn.rows })
    }

    /// Opens it for reading.
    pub(super) fn read(&self, txn: &ReadTransaction) -> Result<Reading<K>, Error> {
        let table = guarded(self.name, || Ok(txn.open_table(self.definition)?))?;
        Ok(Reading { name: self.name, table })
    }
}

/// A table that is written.
pub(super) struct Writing<'t, K: TableKey> {
    name: &'static str,
    table: redb::Table<'t, K, &'static [u8]>,
    rows: &'t RefCell<Rows>,
}

impl<K: TableKey> Writing<'_, K> {
    /// Seals a value and writes it. Returns whether there was one of this key.
    pub(super) fn insert<'k>(&mut self, key: impl Borrow<K::SelfType<'k>>, value: &mut Writer) -> Result<bool, Error> {
        let key = key.borrow();
        let sealed = value.seal(seed::<K>(self.name, key));
        let table = &mut self.table;
        guarded(self.name, || Ok(table.insert(key, sealed)?.is_some()))
    }

    /// Removes a value. Returns whether there was one.
    pub(super) fn remove<'k>(&mut self, key: impl Borrow<K::SelfType<'k>>) -> Result<bool, Error> {
        let table = &mut self.table;
        guarded(self.name, || Ok(table.remove(key)?.is_some()))
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> Result<u64, Error> {
        guarded(self.name, || Ok(self.table.len()?))
    }

    /// The value of a key.
    pub(super) fn get<'k, T>(
        &self,
        key: impl Borrow<K::SelfType<'k>>,
        decode: impl Fn(&[u8]) -> Result<T, Defect>,
    ) -> Result<Option<T>, Error> {
        get(self.name, &self.table, key.borrow(), decode)
    }

    /// True if there is a value of a key.
    pub(super) fn has<'k>(&self, key: impl Borrow<K::SelfType<'k>>) -> Result<bool, Error> {
        guarded(self.name, || Ok(self.table.get(key)?.is_some()))
    }

    /// Removes the values of a range of keys.
    pub(super) fn remove_range<'k, R: Borrow<K::SelfType<'k>> + 'k>(
        &mut self,
        range: impl RangeBounds<R> + 'k,
    ) -> Result<(), Error> {
        let table = &mut self.table;
        guarded(self.name, || Ok(table.retain_in(range, |_, _| false)?))
    }

    /// The first value.
    pub(super) fn first<T>(
        &self,
        decode: impl Fn(&K::SelfType<'_>, &[u8]) -> Result<T, Defect>,
    ) -> Result<Option<T>, Error> {
        let Some((key, value)) = guarded(self.name, || Ok(self.table.first()?))? else { return Ok(None) };
        guarded(self.name, || unseal::<K, T>(self.name, &key.value(), value.value(), &decode)).map(Some)
    }
}

impl<K: TableKey> Drop for Writing<'_, K> {
    fn drop(&mut self) {
        // Where the number cannot be had, the one before stays, and the next look at the table finds that it differs.
        if let Ok(rows) = self.table.len() {
            let mut known = self.rows.borrow_mut();
            match known.get_mut(self.name) {
                Some(known) => *known = rows,
                None => drop(known.insert(self.name.to_owned(), rows)),
            }
        }
    }
}

/// A table that is read.
pub(super) struct Reading<K: TableKey> {
    name: &'static str,
    table: ReadOnlyTable<K, &'static [u8]>,
}

impl<K: TableKey> Reading<K> {
    /// How many rows the table says it has.
    pub(super) fn rows(&self) -> Result<u64, Error> {
        guarded(self.name, || Ok(self.table.len()?))
    }

    /// The value of a key.
    pub(super) fn get<'k, T>(
        &self,
        key: impl Borrow<K::SelfType<'k>>,
        decode: impl Fn(&[u8]) -> Result<T, Defect>,
    ) -> Result<Option<T>, Error> {
        get(self.name, &self.table, key.borrow(), decode)
    }

    /// What is stored under a key, damaged or not.
    pub(super) fn stored<'k>(&self, key: impl Borrow<K::SelfType<'k>>) -> Result<Option<Vec<u8>>, Error> {
        guarded(self.name, || Ok(self.table.get(key.borrow())?.map(|value| value.value().to_vec())))
    }

    /// The last value.
    pub(super) fn last<T>(
        &self,
        decode: impl Fn(&K::SelfType<'_>, &[u8]) -> Result<T, Defect>,
    ) -> Result<Option<T>, Error> {
        let Some((key, value)) = guarded(self.name, || Ok(self.table.last()?))? else { return Ok(None) };
        guarded(self.name, || unseal::<K, T>(self.name, &key.value(), value.value(), &decode)).map(Some)
    }

    /// The values of a range of keys, in order.
    pub(super) fn range<'k, R: Borrow<K::SelfType<'k>> + 'k>(
        &self,
        range: impl RangeBounds<R>,
    ) -> Result<Entries<K>, Error> {
        let range = guarded(self.name, || Ok(self.table.range_owned(range)?))?;
        Ok(Entries { name: self.name, range: Some(range), before: Vec::new(), left: None })
    }

    /// Every value, in order. Fails at its end where there are fewer than the table counts.
    pub(super) fn all(&self) -> Result<Entries<K>, Error> {
        let left = Some(self.rows()?);
        let range = guarded(self.name, || Ok(self.table.range_owned::<K::SelfType<'_>>(..)?))?;
        Ok(Entries { name: self.name, range: Some(range), before: Vec::new(), left })
    }
}

/// What `decode` makes of the value of a key.
fn get<K: TableKey, T>(
    name: &'static str,
    table: &impl ReadableTable<K, &'static [u8]>,
    key: &K::SelfType<'_>,
    decode: impl Fn(&[u8]) -> Result<T, Defect>,
) -> Result<Option<T>, Error> {
    guarded(name, || {
        let Some(value) = table.get(key)? else { return Ok(None) };
        let value = codec::open(seed::<K>(name, key), value.value()).and_then(decode);
        value.map(Some).map_err(|defect| Error::corrupt(name, K::show(key), defect))
    })
}

/// A key and a value as they are stored.
type Stored<K> = (OwnedAccessGuard<K>, OwnedAccessGuard<&'static [u8]>);

/// Values in order of their keys, as of one moment.
pub(super) struct Entries<K: TableKey> {
    name: &'static str,
    /// `None` once the table was found damaged.
    range: Option<OwnedRange<K, &'static [u8]>>,
    /// The last key that was given; empty before the first.
    before: Vec<u8>,
    /// Rows that are still to come, where that is known.
    left: Option<u64>,
}

impl<K: TableKey> Entries<K> {
    /// What `decode` makes of the next key and value.
    pub(super) fn next_as<T>(
        &mut self,
        decode: impl Fn(&K::SelfType<'_>, &[u8]) -> Result<T, Defect>,
    ) -> Option<Result<T, Error>> {
        let Some(entry) = self.next_raw() else {
            let missing = self.left.take().filter(|left| *left > 0)?;
            tracing::error!(table = self.name, missing, "rows of a table are missing");
            return Some(Err(Error::corrupt(self.name, ROWS, Defect("there are fewer than are counted"))));
        };
        if self.left == Some(0) {
            self.range = None;
            return Some(Err(Error::corrupt(self.name, ROWS, Defect("there are more than are counted"))));
        }
        self.left = self.left.map(|left| left - 1);
        Some(entry.and_then(|(key, value)| {
            guarded(self.name, || {
                let key = key.value();
                if !self.is_next(K::as_bytes(&key).as_ref()) {
                    return Err(Error::corrupt(self.name, K::show(&key), NOT_IN_PLACE));
                }
                unseal::<K, T>(self.name, &key, value.value(), &decode)
            })
        }))
    }

    /// The next key and value as they are stored. There is none after the first error.
    fn next_raw(&mut self) -> Option<Result<Stored<K>, Error>> {
        let range = self.range.as_mut()?;
        let entry = guarded(self.name, || Ok(range.next().transpose()?)).transpose();
        if !matches!(entry, Some(Ok(_))) {
            self.range = None;
        }
        entry
    }

    /// Notes a key. True if it comes after the one before.
    fn is_next(&mut self, key: &[u8]) -> bool {
        let ordered = self.before.is_empty() || K::compare(&self.before, key).is_lt();
        self.before.clear();
        self.before.extend_from_slice(key);
        ordered
    }

    /// The same for the last one.
    pub(super) fn next_back_as<T>(
        &mut self,
        decode: impl Fn(&K::SelfType<'_>, &[u8]) -> Result<T, Defect>,
    ) -> Option<Result<T, Error>> {
        let range = self.range.as_mut()?;
        let entry = guarded(self.name, || Ok(range.next_back().transpose()?)).transpose()?;
        Some(entry.and_then(|(key, value)| {
            guarded(self.name, || unseal::<K, T>(self.name, &key.value(), value.value(), &decode))
        }))
    }

    /// Decodes all of them, one at a time.
    pub(super) fn decoded<T, F>(mut self, decode: F) -> impl Iterator<Item = Result<T, Error>> + use<K, T, F>
    where
        F: Fn(&K::SelfType<'_>, &[u8]) -> Result<T, Defect>,
    {
        std::iter::from_fn(move || self.next_as(&decode))
    }
}

/// Runs an operation of the database, which panics over some damaged pages and reports others without saying where.
pub(super) fn guarded<T>(table: &'static str, operation: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    match unpanicked(operation) {
        Err(Error::Damaged(what)) => {
            tracing::error!(table, what, "the database found its file damaged");
            Err(Error::corrupt(table, PAGE, Defect("the database cannot make sense of it")))
        }
        done => done,
    }
}

/// The same for an operation that no table can be named for.
pub(super) fn unpanicked<T>(operation: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(operation))
        .unwrap_or_else(|_| Err(Error::Damaged("the database cannot make sense of it".to_owned())))
}

/// What an error names where the damage is not in a value.
const PAGE: &str = "none (a page between keys)";

const NOT_IN_PLACE: Defect = Defect("it is not where it is looked for");

/// What an error names where rows are missing.
pub(super) const ROWS: &str = "none (rows of the table)";

/// What the checksum of a value begins with.
fn seed<K: TableKey>(table: &'static str, key: &K::SelfType<'_>) -> u64 {
    codec::checksum(codec::checksum(0, table.as_bytes()), K::as_bytes(key).as_ref())
}

/// What `decode` makes of a stored value, if its checksum passes.
fn unseal<K: TableKey, T>(
    table: &'static str,
    key: &K::SelfType<'_>,
    stored: &[u8],
    decode: &impl Fn(&K::SelfType<'_>, &[u8]) -> Result<T, Defect>,
) -> Result<T, Error> {
    let value = codec::open(seed::<K>(table, key), stored).and_then(|value| decode(key, value));
    value.map_err(|defect| Error::corrupt(table, K::show(key), defect))
}
