//! The log of average RMS voltage in a response to a read of network data (use cases ECS23 and ECS23b), as it travels.
//!
//! It must not know how the bytes arrived. Invariants: every length must fit exactly, and no input makes it panic.
//!
//! ```text
//! DA, invoke id, no date-time, no specification
//! | count of data, and for each phase: over-voltage counter, its scaler, under-voltage counter, its scaler,
//! |   log: a compact array of time (seconds since 2000-01-01T00:00:00Z) and value (volts),
//! |   period of measurement in seconds
//! | count of results, each 01 and a code; a value that could not be read is null
//! ```

use super::{
    GbcsError, RESPONSE,
    cursor::{Cursor, Defect},
    ending, grouping_header, other_information, unwrap_mac,
};
use crate::domain::{Eui64, Millis, Phase};

/// Message codes of responses with a log of one phase, and of three.
const SINGLE_PHASE: u16 = 0x0039;
const POLY_PHASE: u16 = 0x00BC;
/// Data of one phase.
const DATA: u8 = 6;
/// 2000-01-01T00:00:00Z.
const EPOCH_MS: Millis = 946_684_800_000;
const ENTRY_BYTES: usize = 8;

/// What a response holds.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::intake) struct NetworkData {
    /// The meter.
    pub(in crate::intake) device: Eui64,
    /// Logs that could be read.
    pub(in crate::intake) logs: Vec<Log>,
    /// Phases whose log could not be read.
    pub(in crate::intake) missing: Vec<Phase>,
}

/// A log of one phase.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::intake) struct Log {
    pub(in crate::intake) phase: Phase,
    /// How long each period is, in seconds.
    pub(in crate::intake) period_s: u32,
    /// Times and values.
    pub(in crate::intake) entries: Vec<(Millis, u32)>,
}

/// Reads one response.
pub(in crate::intake) fn decode(message: &[u8]) -> Result<NetworkData, GbcsError> {
    let mut cursor = Cursor::new(message);
    let maced = unwrap_mac(&mut cursor)?;
    let (_, device, _) = grouping_header(&mut cursor, RESPONSE)?;
    cursor.section("date-time")?;
    let at = cursor.offset();
    let phases: &[Phase] = match other_information(&mut cursor)? {
        SINGLE_PHASE => &Phase::ALL[..1],
        POLY_PHASE => &Phase::ALL[1..],
        code => {
            let [_, found] = code.to_be_bytes();
            let expected = "0039 or 00BC (network data of one phase or of three)";
            return Err(GbcsError {
                offset: at,
                defect: Defect::Unexpected { field: "message code", found, expected },
            });
        }
    };
    let data = data(cursor.section("payload")?, device, phases)?;
    ending(&mut cursor, maced)?;
    Ok(data)
}

fn data(mut cursor: Cursor<'_>, device: Eui64, phases: &[Phase]) -> Result<NetworkData, GbcsError> {
    cursor.literal(&[0xDA], "access response", "DA")?;
    cursor.u32("invoke id")?;
    cursor.literal(&[0x00], "access response date-time", "00 (absent)")?;
    cursor.literal(&[0x00], "access request specification", "00 (absent)")?;
    let at = cursor.offset();
    let count = cursor.u8("data")?;
    if count == 0 || count % DATA != 0 || usize::from(count / DATA) > phases.len() {
        let defect = Defect::Unexpected { field: "data", found: count, expected: "06 for each phase" };
        return Err(GbcsError { offset: at, defect });
    }
    let (mut logs, mut missing) = (Vec::new(), Vec::new());
    for phase in phases.iter().take(usize::from(count / DATA)) {
        for _ in 0..2 {
            number(&mut cursor, "counter")?;
            scaler(&mut cursor)?;
        }
        let entries = log(&mut cursor)?;
        match (entries, number(&mut cursor, "period of measurement")?) {
            (Some(entries), Some(period_s)) => logs.push(Log { phase: *phase, period_s, entries }),
            _ => missing.push(*phase),
        }
    }
    let at = cursor.offset();
    let results = cursor.u8("results")?;
    if results != count {
        let defect = Defect::Unexpected { field: "results", found: results, expected: "as many as there are data" };
        return Err(GbcsError { offset: at, defect });
    }
    for _ in 0..results {
        cursor.literal(&[0x01], "result", "01 (of a get)")?;
        cursor.u8("result")?;
    }
    cursor.end()?;
    Ok(NetworkData { device, logs, missing })
}

/// True where a value could not be read; passes over it then.
fn is_null(cursor: &mut Cursor<'_>) -> bool {
    let is_null = cursor.peek() == Some(0x00);
    if is_null {
        cursor.skip_byte();
    }
    is_null
}

fn number(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Option<u32>, GbcsError> {
    if is_null(cursor) {
        return Ok(None);
    }
    cursor.literal(&[0x06], field, "06 (double-long-unsigned)")?;
    cursor.u32(field).map(Some)
}

fn scaler(cursor: &mut Cursor<'_>) -> Result<(), GbcsError> {
    if is_null(cursor) {
        return Ok(());
    }
    cursor.literal(&[0x02, 0x02, 0x0F], "scaler", "02 02 0F (structure of a scaler and a unit)")?;
    cursor.u8("scaler")?;
    cursor.literal(&[0x16], "unit", "16 (enumeration)")?;
    cursor.u8("unit").map(drop)
}

fn log(cursor: &mut Cursor<'_>) -> Result<Option<Vec<(Millis, u32)>>, GbcsError> {
    if is_null(cursor) {
        return Ok(None);
    }
    cursor.literal(&[0x13], "log", "13 (compact array)")?;
    cursor.literal(&[0x02, 0x02, 0x06, 0x06], "log", "02 02 06 06 (times and values)")?;
    let mut section = cursor.section("log")?;
    if !section.remaining().is_multiple_of(ENTRY_BYTES) {
        let defect = Defect::Length { field: "log", found: section.remaining(), expected: "8 for each entry" };
        return Err(section.error(defect));
    }
    let mut entries = Vec::with_capacity(section.remaining() / ENTRY_BYTES);
    while section.remaining() > 0 {
        let seconds = section.u32("time of an entry")?;
        entries.push((EPOCH_MS + Millis::from(seconds) * 1_000, section.u32("value of an entry")?));
    }
    Ok(Some(entries))
}

#[cfg(test)]
pub(in crate::intake) mod tests {
    use super::*;

    const METER: u64 = 0x0200_5E10_0000_A014;
    /// 2026-11-23T00:00:00Z, as meters count.
    pub(in crate::intake) const MIDNIGHT_S: u32 = 848_707_200;

    fn length(bytes: usize) -> Vec<u8> {
        match u8::try_from(bytes) {
            Ok(short @ 0..=0x7F) => vec![short],
            _ => vec![0x82, (bytes >> 8) as u8, bytes as u8],
        }
    }

    fn phase(entries: &[(u32, u32)], period_s: u32) -> Vec<u8> {
        let counter = [&[0x06, 0, 0, 0, 9][..], &[0x02, 0x02, 0x0F, 0x00, 0x16, 0xFF]].concat();
        let entries: Vec<u8> =
            entries.iter().flat_map(|(time, value)| [time.to_be_bytes(), value.to_be_bytes()].concat()).collect();
        let log = [&[0x13, 0x02, 0x02, 0x06, 0x06][..], &length(entries.len()), &entries].concat();
        [counter.clone(), counter, log, [&[0x06][..], &period_s.to_be_bytes()].concat()].concat()
    }

    fn message(code: u16, data: &[Vec<u8>]) -> Vec<u8> {
        let count = DATA * data.len() as u8;
        let results = [1, 0].repeat(usize::from(count));
        let payload = [&[0xDA, 0x20, 0, 0x03, 0xEA, 0, 0, count][..], &data.concat(), &[count], &results].concat();
        let time = [0x07, 0xEA, 11, 23, 0xFF, 1, 0, 5, 0, 0x80, 0, 0xFF];
        let inner = [
            &[0x11, 0, 0, 0, 0, 0xDF, 0x09, 0x02][..],
            &1_002_u64.to_be_bytes(),
            &[8],
            &METER.to_be_bytes(),
            &[8],
            &0x90B3_D51F_3002_0000_u64.to_be_bytes(),
            &[0x0C],
            &time,
            &[2],
            &code.to_be_bytes(),
            &length(payload.len()),
            &payload,
            &[0],
            &[0xA5; 12],
        ]
        .concat();
        [&[0xDD, 0, 0, 0, 0, 0, 0][..], &length(inner.len()), &inner].concat()
    }

    /// A response of a single-phase meter.
    pub(in crate::intake) fn single(entries: &[(u32, u32)], period_s: u32) -> Vec<u8> {
        message(SINGLE_PHASE, &[phase(entries, period_s)])
    }

    #[test]
    fn a_response_of_one_phase_and_of_three_is_read() {
        let midnight = EPOCH_MS + Millis::from(MIDNIGHT_S) * 1_000;
        let log = |phase, value| Log { phase, period_s: 1_800, entries: vec![(midnight, value)] };
        let one = decode(&single(&[(MIDNIGHT_S, 241)], 1_800)).unwrap();
        assert_eq!(one, NetworkData { device: Eui64(METER), logs: vec![log(Phase::Whole, 241)], missing: Vec::new() });
        assert_eq!(midnight, 1_795_392_000_000);
        let three = [241, 242, 243].map(|value| phase(&[(MIDNIGHT_S, value)], 1_800));
        let three = decode(&message(POLY_PHASE, &three)).unwrap();
        assert_eq!(three.logs, [log(Phase::L1, 241), log(Phase::L2, 242), log(Phase::L3, 243)]);
        let long: Vec<(u32, u32)> = (0..4_320).map(|at| (MIDNIGHT_S + at * 600, 240)).collect();
        assert_eq!(decode(&single(&long, 600)).unwrap().logs[0].entries.len(), 4_320);
        // A meter that could not read its log.
        let whole = phase(&[], 1_800);
        let null = [&whole[..whole.len() - 11], &[0, 0]].concat();
        let none = decode(&message(SINGLE_PHASE, &[null])).unwrap();
        assert_eq!((none.logs.len(), &none.missing[..]), (0, &[Phase::Whole][..]));
    }

    #[test]
    fn every_cut_and_every_other_message_is_an_error() {
        let whole = single(&[(MIDNIGHT_S, 241), (MIDNIGHT_S + 1_800, 242)], 1_800);
        for end in 0..whole.len() {
            assert!(decode(&whole[..end]).is_err(), "{end}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x81;
            // Some bytes are values: what holds is that nothing panics.
            drop(decode(&changed));
        }
        let other = decode(&message(0x0067, &[phase(&[], 1_800)])).unwrap_err().to_string();
        assert!(other.contains("message code: found 67, expected 0039 or 00BC"), "{other}");
    }
}
