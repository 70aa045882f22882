//! The three payloads: where each keeps the alert code and the time.
//!
//! It must not know the envelope. Invariant: a time that is not stated, not whole or none gives no time and is no error, since
//! a meter with a broken clock still has something to say; which of these it was is kept.

use jiff::{civil::DateTime, tz::TimeZone};

use super::{
    GbcsError,
    cursor::{Cursor, Defect},
};
use crate::domain::{AlertCode, CALENDAR_MS, Millis, PayloadKind, TimeStatus};

/// 2000-01-01T00:00:00Z, from which GBZ counts its seconds.
const GBZ_EPOCH_MS: Millis = 946_684_800_000;
/// What GBZ writes where it has no time.
const GBZ_NO_TIME: u32 = u32::MAX;
/// A COSEM deviation that is not stated, and those that can be, in minutes.
const DEVIATION_NOT_STATED: i16 = i16::MIN;
const DEVIATIONS: std::ops::RangeInclusive<i16> = -840..=840;
/// A part of a COSEM date-time that is not stated.
const NOT_STATED: u8 = 0xFF;
/// A COSEM clock status that is not stated, and the bit of one that is which says that the clock is invalid.
const STATUS_NOT_STATED: u8 = 0xFF;
const STATUS_INVALID: u8 = 1;

/// What is read from a payload.
pub(super) struct Payload {
    pub(super) code: AlertCode,
    pub(super) occurred_ms: Option<Millis>,
    pub(super) time: TimeStatus,
    pub(super) outage: Option<(Millis, Millis)>,
    pub(super) kind: PayloadKind,
}

/// Reads a payload. `outage` says that the two times of a supply outage follow the time of the alert.
pub(super) fn read(mut cursor: Cursor<'_>, outage: bool) -> Result<Payload, GbcsError> {
    match cursor.peek() {
        Some(0x0F) => dlms(&mut cursor, outage),
        Some(0x01) => gbz(&mut cursor),
        Some(0x30) => asn1(&mut cursor),
        Some(found) => {
            let expected = "0F (DLMS), 01 (GBZ) or 30 (ASN.1)";
            Err(cursor.error(Defect::Unexpected { field: "payload", found, expected }))
        }
        None => Err(cursor.error(Defect::Truncated { field: "payload", missing: 1 })),
    }
}

/// A data notification that holds a structure: the code, the time, then the fields of the use case.
fn dlms(cursor: &mut Cursor<'_>, outage: bool) -> Result<Payload, GbcsError> {
    cursor.literal(&[0x0F], "data notification", "0F")?;
    cursor.u32("invoke id")?;
    cursor.literal(&[0x00], "data notification date-time", "00 (absent)")?;
    cursor.literal(&[0x02], "alert structure", "02 (structure)")?;
    let at = cursor.offset();
    let fields = cursor.u8("alert structure")?;
    let needed = if outage { 4 } else { 2 };
    if fields < needed {
        let expected = if outage { "4 fields or more" } else { "2 fields or more" };
        let defect = Defect::Unexpected { field: "alert structure", found: fields, expected };
        return Err(GbcsError { offset: at, defect });
    }
    cursor.literal(&[0x12], "alert code", "12 (long-unsigned)")?;
    let code = AlertCode(cursor.u16("alert code")?);
    let (occurred_ms, time) = octet_date_time(cursor, "time of the alert")?;
    let outage = if outage {
        let (interrupted, _) = octet_date_time(cursor, "time of interruption")?;
        let (restored, _) = octet_date_time(cursor, "time of restoration")?;
        cursor.end()?;
        interrupted.zip(restored)
    } else {
        None
    };
    Ok(Payload { code, occurred_ms, time, outage, kind: PayloadKind::Dlms })
}

/// A COSEM date-time in its octet string, and what is known of it.
fn octet_date_time(cursor: &mut Cursor<'_>, field: &'static str) -> Result<(Option<Millis>, TimeStatus), GbcsError> {
    cursor.literal(&[0x09, 0x0C], field, "09 0C (12 bytes)")?;
    let mut bytes = [0; 12];
    bytes.copy_from_slice(cursor.take(12, field)?);
    let status = bytes[11];
    Ok(match date_time(bytes) {
        Some(ms) if status != STATUS_NOT_STATED && status & STATUS_INVALID != 0 => (Some(ms), TimeStatus::Unreliable),
        Some(ms) => (Some(ms), TimeStatus::Stated),
        None if bytes[..8].iter().all(|byte| *byte == NOT_STATED) => (None, TimeStatus::NotStated),
        None => (None, TimeStatus::LeftOut),
    })
}

/// Milliseconds of a COSEM date-time; `None` where a part is not stated, or it is out of the calendar.
fn date_time(bytes: [u8; 12]) -> Option<Millis> {
    let [year_high, year_low, month, day, _, hour, minute, second, hundredths, deviation_high, deviation_low, _] =
        bytes;
    // From local time to UTC, in minutes. GBCS has none: its times are UTC.
    let deviation = match i16::from_be_bytes([deviation_high, deviation_low]) {
        DEVIATION_NOT_STATED => 0,
        stated if DEVIATIONS.contains(&stated) => Millis::from(stated),
        _ => return None,
    };
    let hundredths = match hundredths {
        NOT_STATED => 0,
        stated if stated < 100 => i32::from(stated),
        _ => return None,
    };
    let year = i16::try_from(u16::from_be_bytes([year_high, year_low])).ok()?;
    let [month, day, hour, minute, second] =
        [month, day, hour, minute, second].map(|part| i8::try_from(part).unwrap_or(-1));
    let civil = DateTime::new(year, month, day, hour, minute, second, hundredths * 10_000_000).ok()?;
    let local = TimeZone::UTC.to_timestamp(civil).ok()?.as_millisecond();
    Some(local + deviation * 60_000).filter(|ms| CALENDAR_MS.contains(ms))
}

/// A ZigBee profile, a count of components, the code, the seconds, then the components.
fn gbz(cursor: &mut Cursor<'_>) -> Result<Payload, GbcsError> {
    cursor.literal(&[0x01, 0x09], "GBZ profile", "0109")?;
    cursor.u8("GBZ component count")?;
    let code = AlertCode(cursor.u16("alert code")?);
    let seconds = cursor.u32("time of the alert")?;
    let occurred_ms = (seconds != GBZ_NO_TIME).then(|| GBZ_EPOCH_MS + Millis::from(seconds) * 1000);
    let time = if occurred_ms.is_some() { TimeStatus::Stated } else { TimeStatus::NotStated };
    Ok(Payload { code, occurred_ms, time, outage: None, kind: PayloadKind::Gbz })
}

/// A sequence that begins with the code as an integer. It has no time at a place that all use cases share.
fn asn1(cursor: &mut Cursor<'_>) -> Result<Payload, GbcsError> {
    cursor.literal(&[0x30], "ASN.1 sequence", "30")?;
    cursor.length_of_rest("ASN.1 sequence")?;
    cursor.literal(&[0x02], "alert code", "02 (integer)")?;
    let integer = cursor.section("alert code")?;
    let code = unsigned_16(integer)?;
    let (occurred_ms, time) = (None, TimeStatus::NotStated);
    Ok(Payload { code, occurred_ms, time, outage: None, kind: PayloadKind::Asn1 })
}

/// A signed big-endian integer that must fit 16 bits without its sign.
fn unsigned_16(mut integer: Cursor<'_>) -> Result<AlertCode, GbcsError> {
    let wrong = integer.error(Defect::CodeRange);
    match *integer.take(integer.remaining(), "alert code")? {
        [low @ 0..=0x7F] => Ok(AlertCode(u16::from(low))),
        // A zero byte keeps a code from 8000 on from being read as negative.
        [high @ 0..=0x7F, low] | [0, high, low] => Ok(AlertCode(u16::from_be_bytes([high, low]))),
        _ => Err(wrong),
    }
}
