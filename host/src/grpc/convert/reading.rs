//! Readings, thresholds and models in, what became of them and pages of them out.
//!
//! It must not know what is stored. Invariant: a row that cannot be read is a problem of its own, and leaves the others alone.

use std::ops::Range;

use prost::Message;
use weir_proto::v1;

use super::{
    code, device_id,
    listing::{FRAME_BYTES, PAGE_BYTES},
    shown, time,
};
use crate::{
    config::ReadingLimits,
    domain::{
        CALENDAR_MS, Eui64, Limit, MappedCode, Millis, OperatorId, PERIOD_S, Phase, READING_SOURCE_BYTES_MAX, Reading,
        ReadingModel, Rounding, Threshold, VOLTS_MAX_DV, Volts, check_line,
    },
    pipeline::{ReadingStatus, Refusal},
    store::ListedReading,
};

mod put;

/// Rows of a page, where none are asked for and at most.
const PAGE_ROWS: usize = 1_000;
const PAGE_ROWS_MAX: usize = 10_000;

/// Codes that one model may map.
const CODES_MAX: usize = 16;

/// The rows of a request that can be read, and what is wrong with the others.
#[derive(Debug)]
pub struct Sent<T> {
    /// Each with its index in the request.
    rows: Vec<(usize, T)>,
    /// What is wrong with each of the others.
    invalid: Vec<(usize, String)>,
    /// Where they come from.
    pub source: String,
    /// Only say what would be done.
    pub dry_run: bool,
}

impl<T: Clone> Sent<T> {
    /// The rows.
    pub fn rows(&self) -> Vec<T> {
        self.rows.iter().map(|(_, row)| row.clone()).collect()
    }

    fn read<S>(
        field: &str,
        sent: Vec<S>,
        (source, dry_run): (String, bool),
        rows_max: usize,
        read: impl Fn(S, &str) -> Result<T, String>,
    ) -> Result<Self, Refusal> {
        if sent.len() > rows_max {
            let why = format!(
                "{} {field} in one request; at most readings.put_readings_max ({rows_max}) are allowed, send more requests",
                sent.len()
            );
            return Err(Refusal::invalid(field, why));
        }
        let source = checked_source(source).map_err(|why| Refusal::invalid("source", why))?;
        let (mut rows, mut invalid) = (Vec::with_capacity(sent.len()), Vec::new());
        for (index, row) in sent.into_iter().enumerate() {
            match read(row, &source) {
                Ok(row) => rows.push((index, row)),
                Err(why) => invalid.push((index, why)),
            }
        }
        Ok(Self { rows, invalid, source, dry_run })
    }
}

impl Sent<Reading> {
    /// Of a request.
    pub fn readings(request: v1::PutReadingsRequest, limits: &ReadingLimits) -> Result<Self, Refusal> {
        let v1::PutReadingsRequest { readings, source, dry_run } = request;
        Self::read("readings", readings, (source, dry_run), limits.put_readings_max, |row, _| reading(&row))
    }
}

impl Sent<Threshold> {
    /// Of a request.
    pub fn thresholds(request: v1::PutThresholdsRequest, limits: &ReadingLimits) -> Result<Self, Refusal> {
        let v1::PutThresholdsRequest { thresholds, source, dry_run } = request;
        Self::read("thresholds", thresholds, (source, dry_run), limits.put_readings_max, threshold)
    }
}

fn checked_source(source: String) -> Result<String, String> {
    if source.is_empty() || source.len() > READING_SOURCE_BYTES_MAX {
        let bytes = source.len();
        return Err(format!("{} has {bytes} bytes; 1 to {READING_SOURCE_BYTES_MAX} are allowed", shown(&source)));
    }
    check_line(&source, READING_SOURCE_BYTES_MAX).map_err(|why| format!("{} {why}", shown(&source)))?;
    Ok(source)
}

fn reading(sent: &v1::Reading) -> Result<Reading, String> {
    let v1::Reading { device_id, phase, end_ms, length_s, low_dv, high_dv, whole_volts } = *sent;
    let device = device(device_id)?;
    let phase = read_phase(phase).map_err(|why| format!("phase: {why}"))?;
    if !PERIOD_S.contains(&length_s) {
        return Err(format!("length_s: {length_s} is not {} to {} seconds", PERIOD_S.start, PERIOD_S.end - 1));
    }
    let starts = CALENDAR_MS.start + Millis::from(length_s) * 1_000;
    if !(starts..CALENDAR_MS.end).contains(&end_ms) {
        return Err(format!("end_ms: {end_ms} is not within the years 1970 to 2200, with its period"));
    }
    let volts = match whole_volts {
        Some(stated) => u16::try_from(stated)
            .ok()
            .and_then(Volts::whole)
            .ok_or_else(|| format!("whole_volts: {stated} is more than {}", VOLTS_MAX_DV / 10 - 1))?,
        None => {
            let bounds = (u16::try_from(low_dv), u16::try_from(high_dv));
            let volts = if let (Ok(low), Ok(high)) = bounds { Volts::between(low, high) } else { None };
            volts.ok_or_else(|| {
                format!("low_dv, high_dv: {low_dv} to {high_dv} is no range of tenths of a volt up to {VOLTS_MAX_DV}")
            })?
        }
    };
    Ok(Reading { device, phase, end_ms, length_s, volts })
}

fn threshold(sent: v1::Threshold, source: &str) -> Result<Threshold, String> {
    let v1::Threshold { device_id, limit, value_dv, from_ms, source: own } = sent;
    let device = device(device_id)?;
    let limit = read_limit(limit).map_err(|why| format!("limit: {why}"))?;
    let value = u16::try_from(value_dv).ok().filter(|value| (1..=VOLTS_MAX_DV).contains(value));
    let value_dv = value.ok_or_else(|| format!("value_dv: {value_dv} is not 1 to {VOLTS_MAX_DV} tenths of a volt"))?;
    if !CALENDAR_MS.contains(&from_ms) {
        return Err(format!("from_ms: {from_ms} is not within the years 1970 to 2200"));
    }
    let source =
        if own.is_empty() { source.to_owned() } else { checked_source(own).map_err(|why| format!("source: {why}"))? };
    Ok(Threshold { device, limit, value_dv, from_ms, source })
}

fn device(id: u64) -> Result<Eui64, String> {
    let device = device_id(id).and_then(|eui| eui.of_device().map_err(|error| error.to_string()));
    device.map_err(|why| format!("device_id: {why}"))
}

fn read_phase(number: i32) -> Result<Phase, String> {
    let phase = u8::try_from(number).ok().and_then(Phase::from_number);
    phase.ok_or_else(|| format!("{number} is no phase of this protocol"))
}

fn read_limit(number: i32) -> Result<Limit, String> {
    match v1::VoltageLimit::try_from(number) {
        Ok(v1::VoltageLimit::Over) => Ok(Limit::Over),
        Ok(v1::VoltageLimit::Under) => Ok(Limit::Under),
        Ok(v1::VoltageLimit::Unspecified) => Err("is not stated; over or under is".to_owned()),
        Err(_) => Err(format!("{number} is no limit of this protocol")),
    }
}

/// What is to be said of a model.
pub fn model(request: v1::SetReadingModelRequest) -> Result<ReadingModel, Refusal> {
    let Some(v1::ReadingModel { model: name, rounding, codes, operator: _ }) = request.model else {
        return Err(Refusal::invalid("model", "is missing"));
    };
    if name.is_empty() {
        return Err(Refusal::invalid("model.model", "is empty; a device model combination is 1 to 64 bytes"));
    }
    let model = super::model(name).map_err(|why| Refusal::invalid("model.model", why))?;
    let rounding = match v1::Rounding::try_from(rounding) {
        Ok(v1::Rounding::Unspecified) => Rounding::Unknown,
        Ok(v1::Rounding::Nearest) => Rounding::Nearest,
        Ok(v1::Rounding::Down) => Rounding::Down,
        Err(_) => {
            let why = format!("{rounding} is no way of rounding of this protocol");
            return Err(Refusal::invalid("model.rounding", why));
        }
    };
    if codes.len() > CODES_MAX {
        let why = format!("{} codes are more than {CODES_MAX}", codes.len());
        return Err(Refusal::invalid("model.codes", why));
    }
    let mut mapped: Vec<MappedCode> = Vec::with_capacity(codes.len());
    for (at, v1::MappedCode { code: number, limit, phase }) in codes.into_iter().enumerate() {
        let refuse = |field: &str, why: String| Refusal::invalid(format!("model.codes[{at}].{field}"), why);
        let code = code(number).map_err(|why| refuse("code", why))?;
        if mapped.iter().any(|other| other.code == code) {
            return Err(refuse("code", format!("{code} is there twice; state each code once")));
        }
        let limit = read_limit(limit).map_err(|why| refuse("limit", why))?;
        let phase = read_phase(phase).map_err(|why| refuse("phase", why))?;
        mapped.push(MappedCode { code, limit, phase });
    }
    mapped.sort_unstable();
    Ok(ReadingModel { model, rounding, codes: mapped })
}

/// A model as it goes out, with the operator that says so.
pub fn wire_model((operator, model): (OperatorId, ReadingModel)) -> v1::ReadingModel {
    let ReadingModel { model, rounding, codes } = model;
    let rounding = match rounding {
        Rounding::Unknown => v1::Rounding::Unspecified,
        Rounding::Nearest => v1::Rounding::Nearest,
        Rounding::Down => v1::Rounding::Down,
    };
    let code = |MappedCode { code, limit, phase }: MappedCode| v1::MappedCode {
        code: code.0.into(),
        limit: wire_limit(limit).into(),
        phase: wire_phase(phase).into(),
    };
    let codes = codes.into_iter().map(code).collect();
    v1::ReadingModel { model, rounding: rounding.into(), codes, operator: operator.get().into() }
}

/// All that is said of models, if it fits a message.
pub fn models(
    models: Vec<(OperatorId, ReadingModel)>,
    bytes_max: usize,
) -> Result<v1::ListReadingModelsResponse, Refusal> {
    let answer = v1::ListReadingModelsResponse { models: models.into_iter().map(wire_model).collect() };
    let bytes = answer.encoded_len();
    if bytes > bytes_max {
        let why = format!("{bytes} bytes are said of models, and intake.message_bytes_max is {bytes_max}");
        return Err(Refusal::Exhausted(why));
    }
    Ok(answer)
}

/// Which readings to list.
#[derive(Debug, PartialEq, Eq)]
pub struct ListedDevice {
    /// The device.
    pub device: Eui64,
    /// Ends of periods.
    pub ends: Range<Millis>,
    /// The reading after which they begin.
    pub after: Option<(Phase, Millis)>,
    /// How many at most.
    pub count: usize,
}

/// Which readings to list.
pub fn listed(request: &v1::ListReadingsRequest) -> Result<ListedDevice, Refusal> {
    let v1::ListReadingsRequest { device_id: id, since_ms, until_ms, page_size, page_token } = request;
    let device = device_id(*id).map_err(|why| Refusal::invalid("device_id", why))?;
    let until = time(*until_ms).unwrap_or(Millis::MAX);
    if *since_ms >= until {
        return Err(Refusal::invalid("until_ms", format!("{until_ms} is not after since_ms, {since_ms}")));
    }
    let parts = |token: &str| {
        let (phase, end_ms) = token.split_once('.')?;
        Some((Phase::from_number(phase.parse().ok()?)?, end_ms.parse().ok()?))
    };
    let after = after(page_token, parts)?;
    Ok(ListedDevice { device, ends: (*since_ms).max(0)..until, after, count: count(*page_size)? })
}

/// What thresholds are in order of.
pub type ThresholdKey = (Eui64, Limit, Millis);

/// Which thresholds to list: of a device or of all, after one of them, and how many at most.
pub fn listed_thresholds(
    request: &v1::ListThresholdsRequest,
) -> Result<(Option<Eui64>, Option<ThresholdKey>, usize), Refusal> {
    let v1::ListThresholdsRequest { device_id: id, page_size, page_token } = request;
    let parts = |token: &str| {
        let mut parts = token.splitn(3, '.');
        let device = Eui64(u64::from_str_radix(parts.next()?, 16).ok()?);
        let limit = Limit::ALL.get(parts.next()?.parse::<usize>().ok()?).copied()?;
        Some((device, limit, parts.next()?.parse().ok()?))
    };
    Ok(((*id != 0).then_some(Eui64(*id)), after(page_token, parts)?, count(*page_size)?))
}

fn after<T>(token: &str, parts: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let why = || format!("{} did not come from this host; take next_page_token as it was", shown(token));
    parts(token).map(Some).ok_or_else(|| Refusal::invalid("page_token", why()))
}

fn count(page_size: u32) -> Result<usize, Refusal> {
    match page_size as usize {
        0 => Ok(PAGE_ROWS),
        size if size > PAGE_ROWS_MAX => {
            let why = format!("{size} is more than {PAGE_ROWS_MAX}; ask page by page");
            Err(Refusal::invalid("page_size", why))
        }
        size => Ok(size),
    }
}

/// How many of some rows make a page: no more than `count`, and those that fit a message; one always does.
fn fitting(bytes: impl Iterator<Item = usize>, count: usize, bytes_max: usize) -> usize {
    let mut left = bytes_max.saturating_sub(PAGE_BYTES);
    let fits = |bytes: &usize| {
        let fits = bytes + FRAME_BYTES <= left;
        left = left.saturating_sub(bytes + FRAME_BYTES);
        fits
    };
    bytes.take(count).take_while(fits).count().max(1)
}

/// A page of readings: `count` of those that were listed, one more of which may have been.
pub fn page(listed: Vec<ListedReading>, count: usize, bytes_max: usize) -> v1::ListReadingsResponse {
    let all = listed.len();
    let (mut readings, mut sources): (Vec<v1::Reading>, Vec<String>) =
        listed.into_iter().map(|one| (wire_reading(&one.reading), one.source.as_ref().to_owned())).unzip();
    let bytes = readings.iter().zip(&sources).map(|(one, source)| one.encoded_len() + FRAME_BYTES + source.len());
    let fitting = fitting(bytes, count, bytes_max);
    readings.truncate(fitting);
    sources.truncate(fitting);
    let last = readings.last().filter(|_| fitting < all);
    let next_page_token = last.map_or_else(String::new, |last| format!("{}.{}", last.phase, last.end_ms));
    v1::ListReadingsResponse { readings, sources, next_page_token }
}

/// A threshold as it goes out.
pub fn wire_threshold(threshold: Threshold) -> v1::Threshold {
    let Threshold { device, limit, value_dv, from_ms, source } = threshold;
    let limit = wire_limit(limit).into();
    v1::Threshold { device_id: device.0, limit, value_dv: value_dv.into(), from_ms, source }
}

/// A page of thresholds.
pub fn threshold_page(listed: Vec<Threshold>, count: usize, bytes_max: usize) -> v1::ListThresholdsResponse {
    let all = listed.len();
    let mut thresholds: Vec<v1::Threshold> = Vec::with_capacity(all);
    let mut tokens = Vec::with_capacity(all);
    for threshold in listed {
        let Threshold { device, limit, from_ms, .. } = &threshold;
        tokens.push(format!("{:x}.{}.{from_ms}", device.0, *limit as u8));
        thresholds.push(wire_threshold(threshold));
    }
    let fitting = fitting(thresholds.iter().map(Message::encoded_len), count, bytes_max);
    thresholds.truncate(fitting);
    let next_page_token = if fitting < all { tokens.swap_remove(fitting - 1) } else { String::new() };
    v1::ListThresholdsResponse { thresholds, next_page_token }
}

/// How much there is.
pub fn totals(status: ReadingStatus) -> v1::GetReadingStatusResponse {
    let ReadingStatus { totals, readings_max, file_bytes } = status;
    let (first_end_ms, last_end_ms) = totals.ends.unwrap_or_default();
    v1::GetReadingStatusResponse {
        readings: totals.readings,
        devices: totals.devices,
        first_end_ms,
        last_end_ms,
        thresholds: totals.thresholds,
        readings_max,
        file_bytes,
    }
}

/// A reading as it goes out.
pub fn wire_reading(reading: &Reading) -> v1::Reading {
    let Reading { device, phase, end_ms, length_s, volts } = *reading;
    v1::Reading {
        device_id: device.0,
        phase: wire_phase(phase).into(),
        end_ms,
        length_s,
        low_dv: volts.low_dv().into(),
        high_dv: volts.high_dv().into(),
        whole_volts: volts.whole_volts().map(u32::from),
    }
}

fn wire_phase(phase: Phase) -> v1::Phase {
    match phase {
        Phase::Whole => v1::Phase::Unspecified,
        Phase::L1 => v1::Phase::L1,
        Phase::L2 => v1::Phase::L2,
        Phase::L3 => v1::Phase::L3,
    }
}

/// Which way a threshold is crossed.
pub(super) fn wire_limit(limit: Limit) -> v1::VoltageLimit {
    match limit {
        Limit::Over => v1::VoltageLimit::Over,
        Limit::Under => v1::VoltageLimit::Under,
    }
}

#[cfg(test)]
mod tests;
