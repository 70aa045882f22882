//! Cursors by holder and name: how far each has come.
//!
//! It must not know what is before or behind a cursor. Invariant: a holder has each name once.

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::{Cursor, CursorKey, Position};

pub(super) const TABLE: Table<(&str, &str)> = Table::new("cursor");
const VERSION: u8 = 1;

/// Drops cursors, then adds or replaces others.
pub(super) fn write(txn: &Transaction, cursors: &[Cursor], dropped: &[CursorKey]) -> Result<(), Error> {
    if cursors.is_empty() && dropped.is_empty() {
        return Ok(());
    }
    let mut table = TABLE.write(txn)?;
    for CursorKey { holder, name } in dropped {
        table.remove((holder.as_str(), name.as_str()))?;
    }
    for cursor in cursors {
        let CursorKey { holder, name } = &cursor.key;
        table.insert((holder.as_str(), name.as_str()), &mut encode(cursor))?;
    }
    Ok(())
}

/// Every cursor, in order of holders and names.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<Cursor>, Error> {
    TABLE.read(txn)?.all()?.decoded(|(holder, name), value| decode(holder, name, value)).collect()
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
