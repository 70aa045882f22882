//! Plugins by digest: what is known of one, and its bytes in a table of their own.
//!
//! It must not know what the bytes are. Invariant: a plugin has an entry in both tables.

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
};
use crate::domain::{ColumnSet, Digest, OperatorId, PluginInfo, StateKey};

const PLUGIN: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("plugin");
const COMPONENT: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("component");
/// Version 2 had no owners.
const VERSION: u8 = 3;

/// Makes sure that the tables exist.
pub(super) fn create(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(PLUGIN)?;
    txn.open_table(COMPONENT)?;
    Ok(())
}

/// Adds a plugin and its bytes.
pub(super) fn write(txn: &WriteTransaction, info: &PluginInfo, component: &[u8]) -> Result<(), Error> {
    txn.open_table(PLUGIN)?.insert(info.digest.0, encode(info).as_bytes())?;
    txn.open_table(COMPONENT)?.insert(info.digest.0, component)?;
    Ok(())
}

/// Every plugin in order of upload.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<PluginInfo>, Error> {
    let mut plugins = Vec::new();
    for entry in txn.open_table(PLUGIN)?.iter()? {
        let (digest, value) = entry?;
        let digest = Digest(digest.value());
        plugins.push(decode(digest, value.value()).map_err(|defect| Error::corrupt("plugin", digest, defect))?);
    }
    plugins.sort_by_key(|plugin| (plugin.uploaded_ms, plugin.digest));
    Ok(plugins)
}

/// The bytes of one plugin.
pub(super) fn component(txn: &ReadTransaction, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
    let value = txn.open_table(COMPONENT)?.get_owned(digest.0)?;
    Ok(value.map(|value| value.value().to_vec()))
}

pub(super) fn encode(info: &PluginInfo) -> Writer {
    let mut out = Writer::new(VERSION);
    out.text(&info.name);
    out.text(&info.version);
    out.text(&info.summary);
    out.text(&info.parameters_schema);
    out.u8(info.state_key as u8);
    out.u32(info.state_words);
    out.u32(info.state_version);
    out.count(info.reasons.len());
    for reason in &info.reasons {
        out.text(reason);
    }
    out.u8(info.reads.bits());
    out.u64(info.size_bytes);
    out.i64(info.uploaded_ms);
    out.count(info.owners.len());
    info.owners.iter().for_each(|owner| out.u8(owner.get()));
    out
}

pub(super) fn decode(digest: Digest, bytes: &[u8]) -> Result<PluginInfo, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let info = PluginInfo {
        digest,
        name: input.text()?,
        version: input.text()?,
        summary: input.text()?,
        parameters_schema: input.text()?,
        state_key: match input.u8()? {
            0 => StateKey::Device,
            1 => StateKey::DeviceAndCode,
            _ => return Err(Defect("its state key is not known")),
        },
        state_words: input.u32()?,
        state_version: input.u32()?,
        reasons: input.list(4, Reader::text)?,
        reads: ColumnSet::from_bits(input.u8()?).ok_or(Defect("it reads a column that is not known"))?,
        size_bytes: input.u64()?,
        uploaded_ms: input.i64()?,
        owners: input
            .list(1, |input| OperatorId::new(u32::from(input.u8()?)).ok_or(Defect("an owner of it is not known")))?,
    };
    input.finish()?;
    Ok(info)
}
