//! Labels of devices: the keys and the values by number, and for each device the numbers of its labels.
//!
//! It must not know what a label means. Invariant: a number that a device has stands for a key and a value that are there.

use std::collections::BTreeSet;

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::{KeptLabels, LabelEffects, LabelKey, LabelNumbers, LabelValue, OperatorId};

pub(super) const KEYS: Table<u32> = Table::new("label_key");
pub(super) const VALUES: Table<u32> = Table::new("label_value");
pub(super) const TABLE: Table<u32> = Table::new("label");
const VERSION: u8 = 1;

/// Writes what is new or changed, and removes what is gone.
pub(super) fn write(txn: &Transaction, effects: &LabelEffects) -> Result<(), Error> {
    let LabelEffects { keys, values, devices } = effects;
    if effects.is_empty() {
        return Ok(());
    }
    let mut table = KEYS.write(txn)?;
    for (number, key) in keys {
        match key {
            Some(key) => table.insert(u32::from(*number), &mut encode_key(key)).map(drop)?,
            None => table.remove(u32::from(*number)).map(drop)?,
        }
    }
    drop(table);
    let mut table = VALUES.write(txn)?;
    for (number, value) in values {
        match value {
            Some(value) => table.insert(number, &mut encode_value(value)).map(drop)?,
            None => table.remove(number).map(drop)?,
        }
    }
    drop(table);
    let (mut table, mut out) = (TABLE.write(txn)?, Writer::default());
    for (device, numbers) in devices {
        if numbers.is_empty() {
            table.remove(device)?;
            continue;
        }
        encode(numbers, &mut out);
        table.insert(device, &mut out)?;
    }
    Ok(())
}

/// Every label, of so many devices.
pub(super) fn read(txn: &ReadTransaction, devices: usize) -> Result<KeptLabels, Error> {
    let key = |number: &u32, value: &[u8]| {
        let number = u8::try_from(*number).map_err(|_| Defect("its number is too large"))?;
        Ok((number, decode_key(value)?))
    };
    let keys: Vec<(u8, LabelKey)> = KEYS.read(txn)?.all()?.decoded(key).collect::<Result<_, _>>()?;
    let values = VALUES.read(txn)?.all()?.decoded(|number, value| Ok((*number, decode_value(value)?)));
    let values: Vec<(u32, LabelValue)> = values.collect::<Result<_, _>>()?;
    let known: BTreeSet<u8> = keys.iter().map(|(number, _)| *number).collect();
    let mut is_value = vec![false; values.iter().map(|(number, _)| *number as usize + 1).max().unwrap_or(0)];
    values.iter().for_each(|(number, _)| is_value[*number as usize] = true);
    let mut kept = KeptLabels { keys, values, ..KeptLabels::default() };
    for labels in TABLE.read(txn)?.all()?.decoded(|device, value| Ok((*device, decode(value)?))) {
        let (device, numbers) = labels?;
        let corrupt = |what| Err(Error::corrupt(TABLE.name, device, Defect(what)));
        if device as usize >= devices {
            return corrupt("there is no such device");
        }
        for (key, value) in numbers {
            if !known.contains(&key) || !is_value.get(value as usize).is_some_and(|is| *is) {
                return corrupt("it names a key or a value that is not there");
            }
            // Grown by what is there, so that a key of a few devices takes no column as long as the inventory.
            let column = kept.columns.entry(key).or_default();
            column.resize(column.len().max(device as usize + 1), 0);
            column[device as usize] = value;
        }
    }
    Ok(kept)
}

pub(super) fn encode_key(key: &LabelKey) -> Writer {
    let mut out = Writer::new(VERSION);
    out.text(key.as_str());
    out
}

fn decode_key(bytes: &[u8]) -> Result<LabelKey, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let key = input.text()?.parse().map_err(|_| Defect("it is no key of a label"))?;
    input.finish()?;
    Ok(key)
}

pub(super) fn encode_value(value: &LabelValue) -> Writer {
    let mut out = Writer::new(VERSION);
    out.u8(value.operator.get());
    out.text(&value.text);
    out
}

pub(super) fn decode_value(bytes: &[u8]) -> Result<LabelValue, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let operator = OperatorId::new(u32::from(input.u8()?)).ok_or(Defect("its operator is not known"))?;
    let text = input.text()?.into();
    input.finish()?;
    Ok(LabelValue { operator, text })
}

pub(super) fn encode(numbers: &LabelNumbers, out: &mut Writer) {
    out.restart(VERSION);
    out.count(numbers.len());
    for (key, value) in numbers {
        out.u8(*key);
        out.u32(*value);
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<LabelNumbers, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let numbers = input.list(5, |input| Ok((input.u8()?, input.u32()?)))?;
    input.finish()?;
    Ok(numbers)
}
