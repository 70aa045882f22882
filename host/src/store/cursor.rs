//! Cursors by holder and name: how far each has come.
//!
//! It must not know what is before or behind a cursor. Invariant: a holder has each name once.

use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
};
use crate::domain::{Cursor, CursorKey, Position};

const CURSOR: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("cursor");
const VERSION: u8 = 1;

/// Makes sure that the table exists.
pub(super) fn create(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(CURSOR)?;
    Ok(())
}

/// Drops cursors, then adds or replaces others.
pub(super) fn write(txn: &WriteTransaction, cursors: &[Cursor], dropped: &[CursorKey]) -> Result<(), Error> {
    if cursors.is_empty() && dropped.is_empty() {
        return Ok(());
    }
    let mut table = txn.open_table(CURSOR)?;
    for CursorKey { holder, name } in dropped {
        table.remove((holder.as_str(), name.as_str()))?;
    }
    for cursor in cursors {
        let CursorKey { holder, name } = &cursor.key;
        table.insert((holder.as_str(), name.as_str()), encode(cursor).as_bytes())?;
    }
    Ok(())
}

/// Every cursor, in order of holders and names. A store from before there were any has none.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<Cursor>, Error> {
    let table = match txn.open_table(CURSOR) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        table => table?,
    };
    let cursors = table.iter()?.map(|entry| {
        let (key, value) = entry?;
        let (holder, name) = key.value();
        decode(holder, name, value.value())
            .map_err(|defect| Error::corrupt("cursor", format_args!("{holder:?} {name}"), defect))
    });
    cursors.collect()
}

fn encode(cursor: &Cursor) -> Writer {
    let Cursor { key: _, position, made_ms, advanced_ms } = cursor;
    let mut out = Writer::new(VERSION);
    out.u64(position.0);
    out.i64(*made_ms);
    out.i64(*advanced_ms);
    out
}

fn decode(holder: &str, name: &str, bytes: &[u8]) -> Result<Cursor, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let cursor = Cursor {
        key: CursorKey { holder: holder.to_owned(), name: name.to_owned() },
        position: Position(input.u64()?),
        made_ms: input.i64()?,
        advanced_ms: input.i64()?,
    };
    input.finish()?;
    Ok(cursor)
}
