//! The settings that groups were judged under, by number.
//!
//! It must not know what they mean. Invariant: settings, once written, are never changed.

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::{AlertCode, GuestRoom, JudgingSettings, SettingsNo};

pub(super) const TABLE: Table<u32> = Table::new("settings");
const VERSION: u8 = 1;

/// Adds settings. A number that stands for others is refused.
pub(super) fn write(txn: &Transaction, settings: Option<&(SettingsNo, JudgingSettings)>) -> Result<(), Error> {
    let Some((SettingsNo(number), settings)) = settings else { return Ok(()) };
    match TABLE.write(txn)?.insert(*number, &mut encode(settings))? {
        true => Err(Error::Effects(format!("settings {number}: there are some of this number"))),
        false => Ok(()),
    }
}

/// All of them, in order.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<(SettingsNo, JudgingSettings)>, Error> {
    let decode = |number: &u32, value: &[u8]| Ok((SettingsNo(*number), decode(value)?));
    TABLE.read(txn)?.all()?.decoded(decode).collect()
}

pub(super) fn encode(settings: &JudgingSettings) -> Writer {
    let JudgingSettings { protected, state_codes_per_device_max, turn_alerts, stack_bytes_max, host, operators } =
        settings;
    let mut out = Writer::new(VERSION);
    out.count(protected.len());
    protected.iter().for_each(|code| out.u16(code.0));
    out.u32(*state_codes_per_device_max);
    out.u32(*turn_alerts);
    out.u64(*stack_bytes_max);
    for room in [host, operators] {
        out.u64(room.memory_bytes_max);
        out.u64(room.table_entries_max);
        out.u64(room.deadline_ms);
    }
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<JudgingSettings, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let settings = JudgingSettings {
        protected: input.list(2, |input| input.u16().map(AlertCode))?,
        state_codes_per_device_max: input.u32()?,
        turn_alerts: input.u32()?,
        stack_bytes_max: input.u64()?,
        host: decode_room(&mut input)?,
        operators: decode_room(&mut input)?,
    };
    input.finish()?;
    match settings {
        JudgingSettings { turn_alerts: 0, .. } => Err(Defect("a call has no alerts")),
        settings => Ok(settings),
    }
}

fn decode_room(input: &mut Reader<'_>) -> Result<GuestRoom, Defect> {
    Ok(GuestRoom { memory_bytes_max: input.u64()?, table_entries_max: input.u64()?, deadline_ms: input.u64()? })
}
