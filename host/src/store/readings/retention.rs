//! Dropping readings that are too old, a part of a week at a time.
//!
//! Invariant: counts are those of the readings that are left after each part.

use std::collections::BTreeMap;

use super::{
    ReadingStore, UNKNOWN_SOURCE,
    chunk::{self, start_of},
    key_of,
    tables::{self, OperatorCount},
};
use crate::{
    domain::{Millis, OperatorId},
    store::error::Error,
};

impl ReadingStore {
    /// Drops readings of the oldest week that ended before a time, in one commit: those of at most so many devices' phases.
    /// Returns how many readings went; 0 where none is that old.
    pub fn drop_before(&mut self, before_ms: Millis, chunks_max: usize) -> Result<u64, Error> {
        let read = self.database.begin_read()?;
        let first =
            tables::WEEKS.read(&read)?.range((0_u32, 0_u32)..)?.decoded(|(week, _), _| Ok(*week)).next().transpose()?;
        let Some(week) = first.filter(|week| start_of(week.saturating_add(1)) <= before_ms) else { return Ok(0) };
        let chunks = tables::READINGS.read(&read)?.range((week, 0_u64, 0_u8)..(week + 1, 0, 0))?;
        let mut chunks = chunks.decoded(|(_, device, phase), bytes| Ok((*device, *phase, chunk::decode(week, bytes)?)));
        let txn = self.begin()?;
        let mut table = tables::READINGS.write(&txn)?;
        let mut devices = tables::DEVICES.write(&txn)?;
        let mut gone: BTreeMap<OperatorId, OperatorCount> = BTreeMap::new();
        for _ in 0..chunks_max.max(1) {
            let Some(one) = chunks.next() else { break };
            let (device, phase, kept) = one?;
            let mut of_owner: BTreeMap<OperatorId, u32> = BTreeMap::new();
            for one in &kept {
                let key = || key_of(week, device, phase);
                let unknown = || Error::corrupt(tables::READINGS.name, key(), UNKNOWN_SOURCE);
                *of_owner.entry(self.owner_of(one.source).ok_or_else(unknown)?).or_default() += 1;
            }
            let mut count = devices.get(device, tables::decode_device)?.unwrap_or_default();
            for (owner, readings) in of_owner {
                let of_operator = gone.entry(owner).or_default();
                of_operator.readings += u64::from(readings);
                of_operator.devices += u64::from(count.take(owner, readings));
            }
            if count.0.is_empty() {
                devices.remove(device)?;
            } else {
                devices.insert(device, &mut tables::encode_device(&count))?;
            }
            table.remove((week, device, phase))?;
        }
        let is_done = chunks.next().is_none();
        drop((table, devices));
        let mut weeks = tables::WEEKS.write(&txn)?;
        if is_done {
            weeks.remove_range((week, 0_u32)..(week + 1, 0))?;
        } else {
            for (owner, count) in &gone {
                let key = (week, u32::from(owner.get()));
                if let Some(mut before) = weeks.get(key, tables::decode_week)? {
                    before.readings = before.readings.saturating_sub(count.readings);
                    weeks.insert(key, &mut tables::encode_week(before))?;
                }
            }
        }
        drop(weeks);
        let readings = gone.values().map(|count| count.readings).sum();
        for (owner, count) in &mut gone {
            let before = self.operators.get(owner).copied().unwrap_or_default();
            *count = OperatorCount {
                readings: before.readings.saturating_sub(count.readings),
                devices: before.devices.saturating_sub(count.devices),
                thresholds: before.thresholds,
            };
        }
        self.write_operators(&txn, &gone)?;
        self.commit(txn)?;
        self.operators.extend(gone);
        Ok(readings)
    }
}
