//! Writing readings, thresholds and models.
//!
//! Invariant: what is in memory of sources and counts changes after the commit that has it on disk.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    OwnedReading, ReadingStore, UNKNOWN_SOURCE,
    chunk::{self, Kept, week_of},
    key_of,
    merge::{Found, Weeks},
    tables::{self, DeviceCount, KeptThreshold, OperatorCount, Source, WeekCount},
};
use crate::{
    domain::{Eui64, Millis, OperatorId, OperatorSet, Phase, Reading, ReadingFate, ReadingModel, Rounding, Threshold},
    store::{
        codec::Writer,
        error::Error,
        sealed::{Transaction, Writing},
    },
};

/// What becomes of a threshold that is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThresholdFate {
    /// It is stored.
    Added,
    /// The same threshold is stored already.
    Same,
    /// It replaces another value from the same time.
    Replaced,
    /// One from the same time is stored that is another operator's.
    NotOwn,
    /// The device has as many thresholds as may be kept of one.
    DeviceFull,
}

/// What a request adds to sources and counts.
struct Plan {
    sources_max: usize,
    /// Sources that are new, in order of their numbers.
    sources: Vec<Source>,
    /// Numbers of sources that the request has used.
    numbers: HashMap<Source, u32>,
    /// What there is of each operator that it touches.
    operators: BTreeMap<OperatorId, OperatorCount>,
    weeks: BTreeMap<(u32, OperatorId), WeekCount>,
}

impl Plan {
    fn of(&mut self, owner: OperatorId, store: &ReadingStore) -> &mut OperatorCount {
        self.operators.entry(owner).or_insert_with(|| store.operators.get(&owner).copied().unwrap_or_default())
    }

    /// The number of a source, which is new where nothing has come from it yet.
    fn number(&mut self, owner: OperatorId, name: &Arc<str>, store: &ReadingStore) -> Result<u32, Error> {
        let source = Source { owner, name: Arc::clone(name) };
        if let Some(number) = self.numbers.get(&source) {
            return Ok(*number);
        }
        let number = match store.sources.get(&source) {
            Some(number) => *number,
            None => {
                let owners = store.owners.iter().chain(self.sources.iter().map(|source| &source.owner));
                if owners.filter(|known| **known == owner).count() >= self.sources_max {
                    let max = self.sources_max as u64;
                    return Err(Error::Over { setting: "readings.sources_per_operator_max", max });
                }
                self.sources.push(source.clone());
                (store.owners.len() + self.sources.len() - 1) as u32
            }
        };
        self.numbers.insert(source, number);
        Ok(number)
    }

    /// Whose a source is, by number, those that are new included.
    fn owner_of(&self, number: u32, store: &ReadingStore) -> Option<OperatorId> {
        let new = (number as usize).checked_sub(store.owners.len()).and_then(|at| self.sources.get(at));
        new.map_or_else(|| store.owner_of(number), |source| Some(source.owner))
    }
}

impl ReadingStore {
    /// Stores readings, each with the operator that its device is of now, and returns when they are on disk; their fates are
    /// in the same order. Of a stored reading that was another operator's outside of `scope` nothing is told. On a dry run
    /// nothing is stored.
    ///
    /// Fails, and stores nothing, where the name of the source would be one too many ([`Error::Over`]).
    pub fn put(
        &mut self,
        readings: &[OwnedReading],
        source: &str,
        scope: OperatorSet,
        dry_run: bool,
    ) -> Result<Vec<ReadingFate>, Error> {
        let txn = self.begin()?;
        let (mut plan, source) = (self.plan(), Arc::from(source));
        let mut fates = vec![ReadingFate::Same; readings.len()];
        let mut order: Vec<usize> = (0..readings.len()).collect();
        // Stable, so of two readings of a request that exclude each other the first one is stored.
        order.sort_by_key(|at| (readings[*at].0.device, readings[*at].0.phase));
        let (mut devices, mut table) = (tables::DEVICES.write(&txn)?, tables::READINGS.write(&txn)?);
        for of_device in order.chunk_by(|a, b| readings[*a].0.device == readings[*b].0.device) {
            let device = readings[of_device[0]].0.device;
            let before = devices.get(device.0, tables::decode_device)?.unwrap_or_default();
            let mut one = Device { store: self, plan: &mut plan, source: &source, scope, count: before.clone() };
            for of_phase in of_device.chunk_by(|a, b| readings[*a].0.phase == readings[*b].0.phase) {
                one.put_phase(&mut table, of_phase, (readings, fates.as_mut_slice()), dry_run)?;
            }
            let Device { count, .. } = one;
            if count != before && !dry_run {
                devices.insert(device.0, &mut tables::encode_device(&count))?;
            }
        }
        drop((devices, table));
        if !dry_run && fates.contains(&ReadingFate::Added) {
            self.finish(txn, plan)?;
        }
        Ok(fates)
    }

    /// Stores thresholds, each with the operator that its device is of now, as [`put`](Self::put) does readings. One from the
    /// same time with another value is replaced.
    pub fn put_thresholds(
        &mut self,
        thresholds: &[(Threshold, OperatorId)],
        scope: OperatorSet,
        dry_run: bool,
    ) -> Result<Vec<ThresholdFate>, Error> {
        let txn = self.begin()?;
        let (mut plan, mut of_device) = (self.plan(), HashMap::new());
        let stored = tables::THRESHOLDS.read(&self.database.begin_read()?)?;
        let mut table = tables::THRESHOLDS.write(&txn)?;
        let mut fates = Vec::with_capacity(thresholds.len());
        for (Threshold { device, limit, value_dv, from_ms, source }, owner) in thresholds {
            let key = (device.0, *limit as u8, *from_ms);
            let number = |plan: &mut Plan| plan.number(*owner, &Arc::from(source.as_str()), self);
            let found = table.get(key, tables::decode_threshold)?;
            let before = match found {
                Some(found) => {
                    let unknown = || {
                        Error::corrupt(tables::THRESHOLDS.name, format!("{device} {} {from_ms}", key.1), UNKNOWN_SOURCE)
                    };
                    Some(plan.owner_of(found.source, self).ok_or_else(unknown)?)
                }
                None => None,
            };
            let count = match of_device.entry(*device) {
                std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::hash_map::Entry::Vacant(entry) => {
                    let rows = stored.range((device.0, 0, Millis::MIN)..=(device.0, u8::MAX, Millis::MAX))?;
                    let rows = rows.decoded(|_, _| Ok(())).collect::<Result<Vec<()>, Error>>()?;
                    entry.insert(rows.len())
                }
            };
            fates.push(match found.zip(before) {
                Some((_, before)) if !scope.contains(before) => ThresholdFate::NotOwn,
                Some((found, _)) if found.value_dv == *value_dv => ThresholdFate::Same,
                Some((_, before)) => {
                    let of_before = plan.of(before, self);
                    of_before.thresholds = of_before.thresholds.saturating_sub(1);
                    plan.of(*owner, self).thresholds += 1;
                    let kept = KeptThreshold { value_dv: *value_dv, source: number(&mut plan)? };
                    table.insert(key, &mut tables::encode_threshold(kept))?;
                    ThresholdFate::Replaced
                }
                None if *count >= self.limits.thresholds_per_device_max => ThresholdFate::DeviceFull,
                None => {
                    *count += 1;
                    plan.of(*owner, self).thresholds += 1;
                    let kept = KeptThreshold { value_dv: *value_dv, source: number(&mut plan)? };
                    table.insert(key, &mut tables::encode_threshold(kept))?;
                    ThresholdFate::Added
                }
            });
        }
        drop(table);
        // What a dry run has written is never committed.
        let is_change = |fate: &ThresholdFate| matches!(fate, ThresholdFate::Added | ThresholdFate::Replaced);
        if !dry_run && fates.iter().any(is_change) {
            self.finish(txn, plan)?;
        }
        Ok(fates)
    }

    /// Sets what an operator says of a model; neither a rounding nor codes: it says nothing any more.
    ///
    /// Fails where it would say something of one model too many ([`Error::Over`]).
    pub fn set_model(&mut self, operator: OperatorId, model: &ReadingModel) -> Result<(), Error> {
        let key = (u32::from(operator.get()), model.model.as_str());
        let txn = self.begin()?;
        let mut table = tables::MODELS.write(&txn)?;
        if model.rounding == Rounding::Unknown && model.codes.is_empty() {
            table.remove(key)?;
        } else {
            let others = tables::MODELS.read(&self.database.begin_read()?)?.range((key.0, "")..(key.0 + 1, ""))?;
            let others = others.decoded(|_, _| Ok(())).collect::<Result<Vec<()>, Error>>()?;
            let max = self.limits.models_per_operator_max;
            if others.len() >= max && !table.has(key)? {
                return Err(Error::Over { setting: "readings.models_per_operator_max", max: max as u64 });
            }
            table.insert(key, &mut tables::encode_model(model))?;
        }
        drop(table);
        self.commit(txn)
    }

    fn plan(&self) -> Plan {
        Plan {
            sources_max: self.limits.sources_per_operator_max,
            sources: Vec::new(),
            numbers: HashMap::new(),
            operators: BTreeMap::new(),
            weeks: BTreeMap::new(),
        }
    }

    /// Writes what a plan adds, commits, and takes it into memory.
    fn finish(&mut self, txn: Transaction, plan: Plan) -> Result<(), Error> {
        let Plan { sources, operators, weeks, .. } = plan;
        let mut table = tables::SOURCES.write(&txn)?;
        for (number, source) in (self.owners.len() as u32..).zip(&sources) {
            table.insert(number, &mut tables::encode_source(source))?;
        }
        drop(table);
        let mut table = tables::WEEKS.write(&txn)?;
        for ((week, owner), added) in weeks {
            let key = (week, u32::from(owner.get()));
            let before = table.get(key, tables::decode_week)?;
            table.insert(key, &mut tables::encode_week(before.map_or(added, |before| before.and(added))))?;
        }
        drop(table);
        self.write_operators(&txn, &operators)?;
        self.commit(txn)?;
        for source in sources {
            self.owners.push(source.owner);
            self.sources.insert(source, (self.owners.len() - 1) as u32);
        }
        self.operators.extend(operators);
        Ok(())
    }

    /// Writes what there is of operators.
    pub(super) fn write_operators(
        &self,
        txn: &Transaction,
        operators: &BTreeMap<OperatorId, OperatorCount>,
    ) -> Result<(), Error> {
        let mut table = tables::OPERATORS.write(txn)?;
        for (operator, count) in operators {
            table.insert(u32::from(operator.get()), &mut tables::encode_operator(*count))?;
        }
        Ok(())
    }
}

/// One device of a request.
struct Device<'a> {
    store: &'a ReadingStore,
    plan: &'a mut Plan,
    source: &'a Arc<str>,
    scope: OperatorSet,
    /// Its readings, those of the request included.
    count: DeviceCount,
}

impl Device<'_> {
    /// Puts the readings of one phase, by their indexes.
    fn put_phase(
        &mut self,
        table: &mut Writing<'_, (u32, u64, u8)>,
        of_phase: &[usize],
        (readings, fates): (&[OwnedReading], &mut [ReadingFate]),
        dry_run: bool,
    ) -> Result<(), Error> {
        let Reading { device, phase, .. } = readings[of_phase[0]].0;
        let key = |week: u32| (week, device.0, phase as u8);
        let mut load = |week: u32| -> Result<Vec<Kept>, Error> {
            let kept = table.get(key(week), |bytes| chunk::decode(week, bytes))?;
            Ok(kept.unwrap_or_default())
        };
        let mut weeks = Weeks::new(&mut load);
        for at in of_phase {
            let (reading, owner) = &readings[*at];
            fates[*at] = self.put_one(reading, *owner, &mut weeks)?;
        }
        let weeks = weeks.into_weeks();
        let mut out = Writer::default();
        for (week, changed) in weeks.iter().filter(|(_, week)| week.is_changed && !dry_run) {
            chunk::encode(*week, &changed.kept, &mut out);
            table.insert(key(*week), &mut out)?;
        }
        Ok(())
    }

    fn put_one(&mut self, reading: &Reading, owner: OperatorId, weeks: &mut Weeks<'_>) -> Result<ReadingFate, Error> {
        let Reading { device, phase, end_ms, .. } = *reading;
        let mut kept = Kept::of(reading, 0);
        let told = |stored: Kept, fate: &dyn Fn(Reading) -> ReadingFate| {
            let key = || key_of(week_of(stored.end_ms), device.0, phase as u8);
            let unknown = || Error::corrupt(tables::READINGS.name, key(), UNKNOWN_SOURCE);
            let whose = self.plan.owner_of(stored.source, self.store).ok_or_else(unknown)?;
            Ok(if self.scope.contains(whose) { fate(reading_of(device, phase, &stored)) } else { ReadingFate::NotOwn })
        };
        match weeks.find(&kept)? {
            Found::Same(stored) => return told(stored, &|_| ReadingFate::Same),
            Found::Contradicts(stored) => return told(stored, &ReadingFate::Contradicts),
            Found::Overlaps(stored) => return told(stored, &ReadingFate::Overlaps),
            Found::Free => {}
        }
        let limits = &self.store.limits;
        if self.count.sum() >= u64::from(limits.per_device_max) {
            return Ok(ReadingFate::DeviceFull);
        }
        if self.plan.of(owner, self.store).readings >= limits.per_operator_max {
            return Ok(ReadingFate::OperatorFull);
        }
        kept.source = self.plan.number(owner, self.source, self.store)?;
        weeks.insert(kept);
        let is_first = self.count.add(owner, 1);
        let of_operator = self.plan.of(owner, self.store);
        of_operator.readings += 1;
        of_operator.devices += u64::from(is_first);
        let added = WeekCount::of(end_ms);
        let week = self.plan.weeks.entry((week_of(end_ms), owner));
        week.and_modify(|count| *count = count.and(added)).or_insert(added);
        Ok(ReadingFate::Added)
    }
}

/// A reading as it is told.
pub(super) fn reading_of(device: Eui64, phase: Phase, kept: &Kept) -> Reading {
    let Kept { end_ms, length_s, volts, source: _ } = *kept;
    Reading { device, phase, end_ms, length_s, volts }
}
