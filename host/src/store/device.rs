//! Devices by number, and the EUI-64s of all of them in memory for whoever decodes the log.
//!
//! It must not know what a device reports. Invariant: numbers are dense from 0, and the EUI-64 of a number never
//! changes.

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::{Device, Eui64, Generation, ModelId, Mpxn, OperatorId};

pub(super) const TABLE: Table<u32> = Table::new("device");
const VERSION: u8 = 1;

/// Writes new and changed devices.
pub(super) fn write(txn: &Transaction, devices: &[(u32, Device)]) -> Result<(), Error> {
    if devices.is_empty() {
        return Ok(());
    }
    let mut table = TABLE.write(txn)?;
    let mut out = Writer::default();
    for (no, device) in devices {
        encode(device, &mut out);
        table.insert(no, &mut out)?;
    }
    Ok(())
}

/// Every device in order of its number.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<Device>, Error> {
    let mut devices = Vec::new();
    for device in TABLE.read(txn)?.all()?.decoded(|no, value| Ok((*no, decode(value)?))) {
        let (no, device) = device?;
        if no as usize != devices.len() {
            return Err(Error::corrupt(TABLE.name, no, Defect("the number before it is missing")));
        }
        devices.push(device);
    }
    Ok(devices)
}

/// At most so many devices from a number on, each with its number.
pub(super) fn read_some(txn: &ReadTransaction, from: u32, devices_max: usize) -> Result<Vec<(u32, Device)>, Error> {
    let devices = TABLE.read(txn)?.range(from..)?.decoded(|no, value| Ok((*no, decode(value)?)));
    devices.take(devices_max).collect()
}

/// Brings the list of EUI-64s up to date with what a commit is about to write.
pub(super) fn extend(euis: &mut Vec<u64>, devices: &[(u32, Device)]) -> Result<(), Error> {
    for (no, device) in devices {
        match euis.get(*no as usize) {
            Some(eui) if *eui == device.eui.0 => {}
            Some(_) => return Err(Error::Effects(format!("device {no}: another EUI-64 has this number"))),
            None if *no as usize == euis.len() => euis.push(device.eui.0),
            None => return Err(Error::Effects(format!("device {no}: the number before it is not taken"))),
        }
    }
    Ok(())
}

pub(super) fn encode(device: &Device, out: &mut Writer) {
    out.restart(VERSION);
    out.u64(device.eui.0);
    out.u64(device.mpxn.number());
    out.u8(device.operator.get());
    out.u8(device.generation as u8);
    out.u32(device.model.0);
    out.u8(u8::from(device.listed));
}

pub(super) fn decode(bytes: &[u8]) -> Result<Device, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let device = Device {
        eui: Eui64(input.u64()?),
        mpxn: Mpxn::from_number(input.u64()?),
        operator: OperatorId::new(u32::from(input.u8()?)).ok_or(Defect("its operator is not known"))?,
        generation: Generation::from_number(input.u8()?).ok_or(Defect("its generation is not known"))?,
        model: ModelId(input.u32()?),
        listed: input.flag()?,
    };
    input.finish()?;
    Ok(device)
}
