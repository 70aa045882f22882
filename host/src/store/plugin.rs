//! Plugins by digest: what is known of one, and its bytes in a table of their own.
//!
//! It must not know what the bytes are. Invariant: a plugin has an entry in both tables.

use redb::{ReadTransaction, ReadableTable, TableDefinition};
use sha2::{Digest as _, Sha256};

use super::{
    codec::{Reader, Writer},
    error::{Damage, Defect, Error},
    sealed::{AnyTable, ROWS, Table, Transaction, guarded},
};
use crate::domain::{ColumnSet, Digest, OperatorId, PluginInfo, Revocation, SigningKey, StateKey};

pub(super) const TABLE: Table<[u8; 32]> = Table::new("plugin");
/// By key, revocations of keys that plugins are signed with.
pub(super) const REVOKED_KEYS: Table<[u8; 32]> = Table::new("revoked_key");
const REVOKED_KEY_VERSION: u8 = 1;
/// Their keys are their checksums.
const COMPONENT: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new(COMPONENT_NAME);
const COMPONENT_NAME: &str = "component";
const NOT_ITS_BYTES: Defect = Defect("its bytes are not those of its digest");
/// Version 2 had no owners, version 3 neither signers nor a revocation.
const VERSION: u8 = 4;
const VERSION_BEFORE: u8 = 3;

/// Makes sure that the table of the plugins' bytes exists.
pub(super) fn create_components(txn: &Transaction) -> Result<(), Error> {
    guarded(COMPONENT_NAME, || Ok(txn.inner().open_table(COMPONENT).map(drop)?))
}

/// Adds a plugin and its bytes.
pub(super) fn write(txn: &Transaction, info: &PluginInfo, component: &[u8]) -> Result<(), Error> {
    TABLE.write(txn)?.insert(info.digest.0, &mut encode(info))?;
    guarded(COMPONENT_NAME, || Ok(txn.inner().open_table(COMPONENT)?.insert(info.digest.0, component).map(drop)?))
}

/// Replaces what is known of plugins that are there.
pub(super) fn update(txn: &Transaction, plugins: &[PluginInfo]) -> Result<(), Error> {
    if plugins.is_empty() {
        return Ok(());
    }
    let mut table = TABLE.write(txn)?;
    plugins.iter().try_for_each(|info| table.insert(info.digest.0, &mut encode(info)).map(drop))
}

/// Removes plugins and their bytes.
pub(super) fn remove(txn: &Transaction, digests: &[Digest]) -> Result<(), Error> {
    if digests.is_empty() {
        return Ok(());
    }
    let mut plugins = TABLE.write(txn)?;
    digests.iter().try_for_each(|digest| plugins.remove(digest.0).map(drop))?;
    guarded(COMPONENT_NAME, || {
        let mut components = txn.inner().open_table(COMPONENT)?;
        for digest in digests {
            components.remove(digest.0)?;
        }
        Ok(())
    })
}

/// Adds revocations of keys.
pub(super) fn revoke_keys(txn: &Transaction, keys: &[(SigningKey, Revocation)]) -> Result<(), Error> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut table = REVOKED_KEYS.write(txn)?;
    for (key, revocation) in keys {
        let mut out = Writer::new(REVOKED_KEY_VERSION);
        encode_revocation(revocation, &mut out);
        table.insert(*key, &mut out)?;
    }
    Ok(())
}

/// Every revocation of a key.
pub(super) fn revoked_keys(txn: &ReadTransaction) -> Result<Vec<(SigningKey, Revocation)>, Error> {
    REVOKED_KEYS.read(txn)?.all()?.decoded(|key, value| Ok((*key, decode_key(value)?))).collect()
}

pub(super) fn decode_key(bytes: &[u8]) -> Result<Revocation, Defect> {
    let mut input = Reader::new(bytes, REVOKED_KEY_VERSION)?;
    let revocation = decode_revocation(&mut input)?;
    input.finish()?;
    Ok(revocation)
}

fn encode_revocation(revocation: &Revocation, out: &mut Writer) {
    let Revocation { at_ms, who, why } = revocation;
    out.i64(*at_ms);
    out.text(who);
    out.text(why);
}

fn decode_revocation(input: &mut Reader<'_>) -> Result<Revocation, Defect> {
    Ok(Revocation { at_ms: input.i64()?, who: input.text()?, why: input.text()? })
}

/// Every plugin in order of upload.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<PluginInfo>, Error> {
    let plugins = TABLE.read(txn)?.all()?.decoded(|digest, value| decode(Digest(*digest), value));
    let mut plugins: Vec<PluginInfo> = plugins.collect::<Result<_, _>>()?;
    plugins.sort_by_key(|plugin| (plugin.uploaded_ms, plugin.digest));
    Ok(plugins)
}

/// The bytes of one plugin. Fails where they are not those of the digest.
pub(super) fn component(txn: &ReadTransaction, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
    let value = guarded(COMPONENT_NAME, || {
        let value = txn.open_table(COMPONENT)?.get(digest.0)?;
        Ok(value.map(|value| value.value().to_vec()))
    })?;
    match value {
        Some(bytes) if Sha256::digest(&bytes)[..] != digest.0 => {
            Err(Error::corrupt(COMPONENT_NAME, digest, NOT_ITS_BYTES))
        }
        value => Ok(value),
    }
}

/// Reads the bytes of every plugin and tells of those that are damaged.
pub(super) fn scan_components(txn: &ReadTransaction, tell: &mut dyn FnMut(Damage)) -> Result<(), Error> {
    let damage = |key: String, what| Damage { table: COMPONENT_NAME, key, what, stored_key: None };
    let scanned = guarded(COMPONENT_NAME, || {
        let table = txn.open_table(COMPONENT)?;
        let mut rows = 0;
        for entry in table.iter()? {
            let (digest, bytes) = entry?;
            rows += 1;
            if Sha256::digest(bytes.value())[..] != digest.value() {
                tell(damage(Digest(digest.value()).to_string(), NOT_ITS_BYTES.0));
            } else if table.get(digest.value())?.is_none() {
                tell(damage(Digest(digest.value()).to_string(), "it is not where it is looked for"));
            }
        }
        if rows != TABLE.rows(txn)? {
            tell(damage(ROWS.to_owned(), "there are more or fewer than plugins"));
        }
        Ok(())
    });
    match scanned {
        Err(Error::Corrupt { key, what, .. }) => {
            tell(damage(key, what));
            Ok(())
        }
        done => done,
    }
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
    out.count(info.signed_by.len());
    info.signed_by.iter().for_each(|key| out.raw(key));
    out.u8(u8::from(info.revoked.is_some()));
    info.revoked.iter().for_each(|revocation| encode_revocation(revocation, &mut out));
    out
}

pub(super) fn decode(digest: Digest, bytes: &[u8]) -> Result<PluginInfo, Defect> {
    let (version, mut input) = Reader::of_versions(bytes, &[VERSION_BEFORE, VERSION])?;
    let mut info = PluginInfo {
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
        signed_by: Vec::new(),
        revoked: None,
    };
    if version != VERSION_BEFORE {
        info.signed_by = input.list(32, Reader::array)?;
        info.revoked = if input.flag()? { Some(decode_revocation(&mut input)?) } else { None };
    }
    input.finish()?;
    Ok(info)
}
