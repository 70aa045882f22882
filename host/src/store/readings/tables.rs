//! The tables of the readings' file, and what their values say.
//!
//! Keys begin with the week, so that weeks that are too old go as one range and a load of one day touches one part of the file.

use std::sync::Arc;

use redb::ReadTransaction;

use crate::{
    domain::{AlertCode, Limit, MappedCode, Millis, OperatorId, Phase, ReadingModel, Rounding, VOLTS_MAX_DV},
    store::{
        codec::{Reader, Writer},
        error::{Defect, Error},
        sealed::{AnyTable, Table},
    },
};

/// Chunks, by week, device and phase.
pub(super) const READINGS: Table<(u32, u64, u8)> = Table::new("reading");
/// Sources, by number.
pub(super) const SOURCES: Table<u32> = Table::new("source");
/// How many readings of an operator end in a week, by week and operator.
pub(super) const WEEKS: Table<(u32, u32)> = Table::new("week");
/// Readings per device, by the operator that the device had when they were loaded.
pub(super) const DEVICES: Table<u64> = Table::new("device");
/// What there is of an operator.
pub(super) const OPERATORS: Table<u32> = Table::new("operator");
/// Thresholds, by device, limit and time.
pub(super) const THRESHOLDS: Table<(u64, u8, i64)> = Table::new("threshold");
/// What is said of models, by operator and name.
pub(super) const MODELS: Table<(u32, &str)> = Table::new("model");

/// Each of them.
pub(super) const ALL: [&dyn AnyTable; 7] = [&READINGS, &SOURCES, &WEEKS, &DEVICES, &OPERATORS, &THRESHOLDS, &MODELS];

const VERSION: u8 = 1;

/// Where readings or thresholds come from, and whose the device was when they came.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Source {
    pub(super) owner: OperatorId,
    pub(super) name: Arc<str>,
}

pub(super) fn encode_source(source: &Source) -> Writer {
    let mut out = Writer::new(VERSION);
    out.u8(source.owner.get());
    out.text(&source.name);
    out
}

fn decode_source(bytes: &[u8]) -> Result<Source, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let source = Source { owner: operator(input.u8()?.into())?, name: input.text()?.into() };
    input.finish()?;
    Ok(source)
}

/// Every source; the index is its number.
pub(super) fn sources(txn: &ReadTransaction) -> Result<Vec<Source>, Error> {
    let mut sources = Vec::new();
    for source in SOURCES.read(txn)?.all()?.decoded(|number, value| Ok((*number, decode_source(value)?))) {
        let (number, source) = source?;
        if number as usize != sources.len() {
            return Err(Error::corrupt(SOURCES.name, number, Defect("the number before it is missing")));
        }
        sources.push(source);
    }
    Ok(sources)
}

pub(super) fn operator(number: u32) -> Result<OperatorId, Defect> {
    OperatorId::new(number).ok_or(Defect("its operator is not known"))
}

/// Readings of a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WeekCount {
    pub(super) readings: u64,
    /// The first and last end of a period.
    pub(super) first_end_ms: Millis,
    pub(super) last_end_ms: Millis,
}

impl WeekCount {
    /// One reading.
    pub(super) fn of(end_ms: Millis) -> Self {
        Self { readings: 1, first_end_ms: end_ms, last_end_ms: end_ms }
    }

    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            readings: self.readings + other.readings,
            first_end_ms: self.first_end_ms.min(other.first_end_ms),
            last_end_ms: self.last_end_ms.max(other.last_end_ms),
        }
    }
}

pub(super) fn encode_week(count: WeekCount) -> Writer {
    let mut out = Writer::new(VERSION);
    out.u64(count.readings);
    out.i64(count.first_end_ms);
    out.i64(count.last_end_ms);
    out
}

pub(super) fn decode_week(bytes: &[u8]) -> Result<WeekCount, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let count = WeekCount { readings: input.u64()?, first_end_ms: input.i64()?, last_end_ms: input.i64()? };
    input.finish()?;
    Ok(count)
}

/// Readings of one device, by whose they were; mostly of one operator.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct DeviceCount(pub(super) Vec<(OperatorId, u32)>);

impl DeviceCount {
    /// All of them.
    pub(super) fn sum(&self) -> u64 {
        self.0.iter().map(|(_, readings)| u64::from(*readings)).sum()
    }

    /// Adds some. True where the operator had none before.
    pub(super) fn add(&mut self, owner: OperatorId, readings: u32) -> bool {
        match self.0.iter_mut().find(|(known, _)| *known == owner) {
            Some((_, count)) => {
                *count = count.saturating_add(readings);
                false
            }
            None => {
                self.0.push((owner, readings));
                true
            }
        }
    }

    /// Takes some away. True where the operator has none any more.
    pub(super) fn take(&mut self, owner: OperatorId, readings: u32) -> bool {
        let Some(at) = self.0.iter().position(|(known, _)| *known == owner) else { return false };
        self.0[at].1 = self.0[at].1.saturating_sub(readings);
        let is_gone = self.0[at].1 == 0;
        if is_gone {
            self.0.remove(at);
        }
        is_gone
    }
}

pub(super) fn encode_device(count: &DeviceCount) -> Writer {
    let mut out = Writer::new(VERSION);
    for (owner, readings) in &count.0 {
        out.u8(owner.get());
        out.varint((*readings).into());
    }
    out
}

pub(super) fn decode_device(bytes: &[u8]) -> Result<DeviceCount, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let mut count = DeviceCount::default();
    while !input.is_empty() {
        count.0.push((operator(input.u8()?.into())?, input.small()?));
    }
    Ok(count)
}

/// What there is of one operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct OperatorCount {
    pub(super) readings: u64,
    /// Devices that have any.
    pub(super) devices: u64,
    pub(super) thresholds: u64,
}

pub(super) fn encode_operator(count: OperatorCount) -> Writer {
    let mut out = Writer::new(VERSION);
    out.u64(count.readings);
    out.u64(count.devices);
    out.u64(count.thresholds);
    out
}

pub(super) fn decode_operator(bytes: &[u8]) -> Result<OperatorCount, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let count = OperatorCount { readings: input.u64()?, devices: input.u64()?, thresholds: input.u64()? };
    input.finish()?;
    Ok(count)
}

/// A threshold beside its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeptThreshold {
    pub(super) value_dv: u16,
    /// Number of its source.
    pub(super) source: u32,
}

pub(super) fn encode_threshold(threshold: KeptThreshold) -> Writer {
    let mut out = Writer::new(VERSION);
    out.u16(threshold.value_dv);
    out.varint(threshold.source.into());
    out
}

pub(super) fn decode_threshold(bytes: &[u8]) -> Result<KeptThreshold, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let threshold = KeptThreshold { value_dv: input.u16()?, source: input.small()? };
    input.finish()?;
    if threshold.value_dv > VOLTS_MAX_DV { Err(Defect("its voltage is none")) } else { Ok(threshold) }
}

pub(super) fn encode_model(model: &ReadingModel) -> Writer {
    let mut out = Writer::new(VERSION);
    out.u8(model.rounding as u8);
    for MappedCode { code, limit, phase } in &model.codes {
        out.u16(code.0);
        out.u8(*limit as u8);
        out.u8(*phase as u8);
    }
    out
}

pub(super) fn decode_model(name: &str, bytes: &[u8]) -> Result<ReadingModel, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let rounding = Rounding::ALL.get(usize::from(input.u8()?)).copied();
    let rounding = rounding.ok_or(Defect("its rounding is not known"))?;
    let mut codes = Vec::new();
    while !input.is_empty() {
        codes.push(MappedCode {
            code: AlertCode(input.u16()?),
            limit: limit(input.u8()?)?,
            phase: phase(input.u8()?)?,
        });
    }
    Ok(ReadingModel { model: name.to_owned(), rounding, codes })
}

pub(super) fn limit(number: u8) -> Result<Limit, Defect> {
    Limit::ALL.get(usize::from(number)).copied().ok_or(Defect("its limit is not known"))
}

pub(super) fn phase(number: u8) -> Result<Phase, Defect> {
    Phase::from_number(number).ok_or(Defect("its phase is not known"))
}
