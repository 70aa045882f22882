//! Reading beside the writer: what is stored, as of one commit, of the devices that a caller may know of.
//!
//! Invariant: a reading or threshold that came while its device was of an operator outside of the scope is as if it were not
//! there.

use std::{cmp::Reverse, collections::BinaryHeap, fmt, ops::Range, sync::Arc};

use redb::ReadTransaction;

use super::{
    OpenDatabase, UNKNOWN_SOURCE,
    chunk::{self, Kept, week_of, weeks_of},
    key_of,
    put::reading_of,
    tables::{self, KeptThreshold, Source},
};
use crate::{
    domain::{Eui64, Limit, Millis, OperatorId, OperatorSet, Phase, Reading, ReadingModel, Threshold},
    store::{
        error::{Defect, Error},
        sealed::{Entries, ROWS},
    },
};

/// A snapshot, cheap to clone. Once the file is closed it answers [`Error::Closed`].
///
/// What was replaced or dropped since it was opened is kept on disk as long as it lives: do not park one.
#[derive(Clone)]
pub struct ReadingReader {
    txn: Arc<ReadTransaction>,
    sources: Arc<[Source]>,
    /// The weeks that have readings, in order, and how many of all operators.
    weeks: Arc<[(u32, u64)]>,
    scope: OperatorSet,
}

/// A reading and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedReading {
    /// The reading.
    pub reading: Reading,
    /// Its source.
    pub source: Arc<str>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadingTotals {
    /// Readings.
    pub readings: u64,
    /// Devices that have any.
    pub devices: u64,
    /// The first and last end of a period; `None` without readings.
    pub ends: Option<(Millis, Millis)>,
    /// Thresholds.
    pub thresholds: u64,
}

impl ReadingReader {
    pub(super) fn open(database: &OpenDatabase, scope: OperatorSet) -> Result<Self, Error> {
        let txn = database.begin_read()?;
        let sources = tables::sources(&txn)?.into();
        let mut weeks: Vec<(u32, u64)> = Vec::new();
        let decode = |(week, _): &(u32, u32), value: &[u8]| Ok((*week, tables::decode_week(value)?.readings));
        for count in tables::WEEKS.read(&txn)?.all()?.decoded(decode) {
            let (week, readings) = count?;
            match weeks.last_mut() {
                Some((last, sum)) if *last == week => *sum += readings,
                _ => weeks.push((week, readings)),
            }
        }
        Ok(Self { txn: Arc::new(txn), sources, weeks: weeks.into(), scope })
    }

    /// The readings of one device and phase whose periods end in a range, in order.
    pub fn readings(&self, device: Eui64, phase: Phase, ends: Range<Millis>) -> Result<Vec<Reading>, Error> {
        let mut found = Vec::new();
        self.each_of(device, phase, &ends, &mut |kept, _| {
            found.push(reading_of(device, phase, kept));
            true
        })?;
        Ok(found)
    }

    /// Gives all readings whose periods end in a range, in order of device and phase: those of one device and phase at a
    /// time, in order of their ends. Ends early once `take` returns false.
    ///
    /// It reads the weeks of the range side by side, and holds one device's phase of each in memory.
    pub fn each_device(
        &self,
        ends: Range<Millis>,
        take: &mut dyn FnMut(Eui64, Phase, &[Reading]) -> bool,
    ) -> Result<(), Error> {
        let table = tables::READINGS.read(&self.txn)?;
        let mut weeks = Vec::new();
        let mut next = BinaryHeap::new();
        for (week, left) in self.weeks(&ends) {
            let entries = table.range((week, 0_u64, 0_u8)..(week + 1, 0, 0))?;
            let mut of_week = OneWeek { entries, kept: Vec::new(), left };
            if let Some((device, phase)) = of_week.advance()? {
                next.push(Reverse((device, phase, weeks.len())));
            }
            weeks.push((week, of_week));
        }
        let mut readings: Vec<Reading> = Vec::new();
        while let Some(Reverse((device, phase, at))) = next.pop() {
            let (week, of_week) = &mut weeks[at];
            let named = tables::phase(phase).map_err(|defect| unreadable(key_of(*week, device, phase), defect))?;
            for kept in of_week.kept.iter().filter(|kept| ends.contains(&kept.end_ms)) {
                if self.sees(kept, || key_of(*week, device, phase))?.is_some() {
                    readings.push(reading_of(Eui64(device), named, kept));
                }
            }
            if let Some((device, phase)) = of_week.advance()? {
                next.push(Reverse((device, phase, at)));
            }
            let is_whole = next.peek().is_none_or(|Reverse((other, of, _))| (*other, *of) != (device, phase));
            if is_whole && !readings.is_empty() {
                if !take(Eui64(device), named, &readings) {
                    return Ok(());
                }
                readings.clear();
            }
        }
        Ok(())
    }

    /// At most so many readings of one device, in order of phase and end, after one of them.
    pub fn list(
        &self,
        device: Eui64,
        ends: &Range<Millis>,
        after: Option<(Phase, Millis)>,
        readings_max: usize,
    ) -> Result<Vec<ListedReading>, Error> {
        let mut listed = Vec::new();
        for phase in Phase::ALL {
            let ends = match after {
                Some((last, _)) if phase < last => continue,
                Some((last, end_ms)) if phase == last => ends.start.max(end_ms.saturating_add(1))..ends.end,
                _ => ends.clone(),
            };
            if listed.len() >= readings_max {
                break;
            }
            self.each_of(device, phase, &ends, &mut |kept, source| {
                let reading = reading_of(device, phase, kept);
                listed.push(ListedReading { reading, source: Arc::clone(source) });
                listed.len() < readings_max
            })?;
        }
        Ok(listed)
    }

    /// The thresholds of one device, in order of limit and time.
    pub fn thresholds(&self, device: Eui64) -> Result<Vec<Threshold>, Error> {
        let mut found = Vec::new();
        let range = (device.0, 0, Millis::MIN)..=(device.0, u8::MAX, Millis::MAX);
        self.thresholds_of(tables::THRESHOLDS.read(&self.txn)?.range(range)?, &mut |threshold| {
            found.push(threshold);
            true
        })?;
        Ok(found)
    }

    /// Gives all thresholds, in order of device, limit and time. Ends early once `take` returns false.
    pub fn each_threshold(&self, take: &mut dyn FnMut(Threshold) -> bool) -> Result<(), Error> {
        self.thresholds_of(tables::THRESHOLDS.read(&self.txn)?.all()?, take)
    }

    /// The same of those behind one of them, which need not be there any more.
    pub fn each_threshold_after(
        &self,
        (device, limit, from_ms): (Eui64, Limit, Millis),
        take: &mut dyn FnMut(Threshold) -> bool,
    ) -> Result<(), Error> {
        let after = (device.0, limit as u8, from_ms.saturating_add(1));
        self.thresholds_of(tables::THRESHOLDS.read(&self.txn)?.range(after..)?, take)
    }

    /// What operators say of models, in order of operator and model: the host, under the unknown operator, and those of the
    /// scope.
    pub fn models(&self) -> Result<Vec<(OperatorId, ReadingModel)>, Error> {
        let decode = |(operator, name): &(u32, &str), value: &[u8]| {
            Ok((tables::operator(*operator)?, tables::decode_model(name, value)?))
        };
        let models = tables::MODELS.read(&self.txn)?.all()?.decoded(decode);
        let is_told = |operator| operator == OperatorId::UNKNOWN || self.scope.contains(operator);
        models.filter(|model| model.as_ref().map_or(true, |(operator, _)| is_told(*operator))).collect()
    }

    /// How much there is. A device whose readings came under two operators counts for each, unless all are told of.
    pub fn totals(&self) -> Result<ReadingTotals, Error> {
        let mut totals = ReadingTotals::default();
        let decode = |number: &u32, value: &[u8]| Ok((tables::operator(*number)?, tables::decode_operator(value)?));
        for operator in tables::OPERATORS.read(&self.txn)?.all()?.decoded(decode) {
            let (operator, count) = operator?;
            if self.scope.contains(operator) {
                totals.readings += count.readings;
                totals.devices += count.devices;
                totals.thresholds += count.thresholds;
            }
        }
        if self.scope.is_all() {
            totals.devices = tables::DEVICES.read(&self.txn)?.rows()?;
        }
        let decode =
            |(_, operator): &(u32, u32), value: &[u8]| Ok((tables::operator(*operator)?, tables::decode_week(value)?));
        for week in tables::WEEKS.read(&self.txn)?.all()?.decoded(decode) {
            let (operator, count) = week?;
            if self.scope.contains(operator) {
                let (first, last) = totals.ends.unwrap_or((count.first_end_ms, count.last_end_ms));
                totals.ends = Some((first.min(count.first_end_ms), last.max(count.last_end_ms)));
            }
        }
        Ok(totals)
    }

    /// Gives the readings of one device and phase with their sources.
    fn each_of(
        &self,
        device: Eui64,
        phase: Phase,
        ends: &Range<Millis>,
        take: &mut dyn FnMut(&Kept, &Arc<str>) -> bool,
    ) -> Result<(), Error> {
        let table = tables::READINGS.read(&self.txn)?;
        for (week, _) in self.weeks(ends) {
            let kept = table.get((week, device.0, phase as u8), |bytes| chunk::decode(week, bytes))?;
            for kept in kept.unwrap_or_default().iter().filter(|kept| ends.contains(&kept.end_ms)) {
                let source = self.sees(kept, || key_of(week_of(kept.end_ms), device.0, phase as u8))?;
                if source.is_some_and(|source| !take(kept, source)) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The weeks in a range that have readings, in order, and how many.
    fn weeks(&self, ends: &Range<Millis>) -> impl Iterator<Item = (u32, u64)> {
        let wanted = weeks_of(ends);
        self.weeks.iter().copied().filter(move |(week, _)| wanted.contains(week))
    }

    /// The name of a reading's source, if the caller may know of the reading.
    fn sees(&self, kept: &Kept, key: impl Fn() -> String) -> Result<Option<&Arc<str>>, Error> {
        let source = self.sources.get(kept.source as usize).ok_or_else(|| unreadable(key(), UNKNOWN_SOURCE))?;
        Ok(self.scope.contains(source.owner).then_some(&source.name))
    }

    fn thresholds_of(
        &self,
        entries: Entries<(u64, u8, i64)>,
        take: &mut dyn FnMut(Threshold) -> bool,
    ) -> Result<(), Error> {
        let decode = |(device, limit, from_ms): &(u64, u8, i64), value: &[u8]| {
            let KeptThreshold { value_dv, source } = tables::decode_threshold(value)?;
            let source = self.sources.get(source as usize).ok_or(UNKNOWN_SOURCE)?;
            let limit = tables::limit(*limit)?;
            let (device, from_ms, name) = (Eui64(*device), *from_ms, source.name.as_ref().to_owned());
            Ok((source.owner, Threshold { device, limit, value_dv, from_ms, source: name }))
        };
        for threshold in entries.decoded(decode) {
            let (owner, threshold) = threshold?;
            if self.scope.contains(owner) && !take(threshold) {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ReadingReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "store::ReadingReader {{ scope: {} }}", self.scope)
    }
}

/// The chunks of one week, one after the other.
struct OneWeek {
    entries: Entries<(u32, u64, u8)>,
    /// The readings of the current chunk.
    kept: Vec<Kept>,
    /// Readings that are still to come, by the count of the week.
    left: u64,
}

impl OneWeek {
    /// Goes to the next chunk; returns its device and phase.
    fn advance(&mut self) -> Result<Option<(u64, u8)>, Error> {
        let decode =
            |(week, device, phase): &(u32, u64, u8), bytes: &[u8]| Ok((*device, *phase, chunk::decode(*week, bytes)?));
        let next = self.entries.next_as(decode).transpose()?;
        let readings = next.as_ref().map_or(0, |(_, _, kept)| kept.len() as u64);
        // A chunk that is not found, or found twice, shows in no value.
        if readings > self.left || (next.is_none() && self.left > 0) {
            return Err(Error::corrupt(
                tables::READINGS.name,
                ROWS,
                Defect("there are more or fewer than are counted"),
            ));
        }
        self.left -= readings;
        let Some((device, phase, kept)) = next else { return Ok(None) };
        self.kept = kept;
        Ok(Some((device, phase)))
    }
}

fn unreadable(key: String, defect: Defect) -> Error {
    Error::corrupt(tables::READINGS.name, key, defect)
}
