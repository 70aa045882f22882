//! One week of one device and phase, as it is stored: runs of periods that follow each other, a byte or two a reading.
//!
//! Invariant: the readings of a chunk are in order of their ends, end within the chunk's week, and do not overlap; bytes that
//! say anything else are no chunk.
//!
//! A run is a head (how many readings, of which kind of voltage, whether times are in milliseconds), the gap since the end
//! before it, the length of its periods, the number of its source, and the voltages: the first one, then differences.

use std::ops::Range;

use crate::{
    domain::{Millis, PERIOD_S, Reading, Volts},
    store::{
        codec::{Reader, Writer},
        error::Defect,
    },
};

/// Milliseconds of a chunk's week. Weeks are counted from 1970-01-01T00:00:00Z.
pub(super) const WEEK_MS: Millis = 7 * 86_400_000;

const VERSION: u8 = 1;

/// Readings that fit a week without overlapping.
const READINGS_MAX: usize = (WEEK_MS / 1_000) as usize / PERIOD_S.start as usize + 1;

/// A reading of a device and phase that are known otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) end_ms: Millis,
    pub(super) length_s: u32,
    pub(super) volts: Volts,
    /// Number of its source.
    pub(super) source: u32,
}

impl Kept {
    pub(super) fn of(reading: &Reading, source: u32) -> Self {
        let Reading { device: _, phase: _, end_ms, length_s, volts } = *reading;
        Self { end_ms, length_s, volts, source }
    }

    pub(super) fn start_ms(&self) -> Millis {
        self.end_ms - Millis::from(self.length_s) * 1_000
    }
}

/// The week that an end of a period is in. Ends are within [`CALENDAR_MS`](crate::domain::CALENDAR_MS).
pub(super) fn week_of(end_ms: Millis) -> u32 {
    u32::try_from(end_ms.div_euclid(WEEK_MS)).unwrap_or(if end_ms < 0 { 0 } else { u32::MAX })
}

/// The weeks that ends of periods in a range are in.
pub(super) fn weeks_of(ends: &Range<Millis>) -> Range<u32> {
    if ends.is_empty() { 0..0 } else { week_of(ends.start)..week_of(ends.end - 1).saturating_add(1) }
}

/// When a week begins.
pub(super) fn start_of(week: u32) -> Millis {
    Millis::from(week) * WEEK_MS
}

/// How a voltage is written. The numbers are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Whole volts.
    Whole = 0,
    /// Tenths of a volt.
    Exact = 1,
    /// Two of them.
    Between = 2,
}

impl Kind {
    fn of(volts: Volts) -> Self {
        match volts.whole_volts() {
            Some(_) => Self::Whole,
            None if volts.low_dv() == volts.high_dv() => Self::Exact,
            None => Self::Between,
        }
    }

    fn from_number(number: u64) -> Result<Self, Defect> {
        match number {
            0 => Ok(Self::Whole),
            1 => Ok(Self::Exact),
            2 => Ok(Self::Between),
            _ => Err(Defect("a kind of voltage is not known")),
        }
    }
}

/// Writes the readings of a week, which are in order.
pub(super) fn encode(week: u32, kept: &[Kept], out: &mut Writer) {
    out.restart(VERSION);
    let mut before_ms = start_of(week);
    let follows = |one: &Kept, next: &Kept| {
        next.start_ms() == one.end_ms
            && (one.length_s, one.source, Kind::of(one.volts)) == (next.length_s, next.source, Kind::of(next.volts))
    };
    for run in kept.chunk_by(follows) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let gap_ms = (first.end_ms - before_ms).unsigned_abs();
        let (is_ms, kind) = (!gap_ms.is_multiple_of(1_000), Kind::of(first.volts));
        out.varint((run.len() as u64) << 3 | (kind as u64) << 1 | u64::from(is_ms));
        out.varint(if is_ms { gap_ms } else { gap_ms / 1_000 });
        out.varint(first.length_s.into());
        out.varint(first.source.into());
        let mut value_before = 0;
        for Kept { volts, .. } in run {
            let value = volts.whole_volts().unwrap_or(volts.low_dv());
            out.zigzag(i64::from(value) - i64::from(value_before));
            value_before = value;
            if kind == Kind::Between {
                out.varint(u64::from(volts.high_dv() - volts.low_dv()));
            }
        }
        before_ms = last.end_ms;
    }
}

/// Reads the readings of a week.
pub(super) fn decode(week: u32, bytes: &[u8]) -> Result<Vec<Kept>, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let mut kept: Vec<Kept> = Vec::new();
    while !input.is_empty() {
        let head = input.varint()?;
        let (count, kind, is_ms) = (head >> 3, Kind::from_number(head >> 1 & 3)?, head & 1 != 0);
        let count = usize::try_from(count).ok().filter(|count| *count <= input.rest_bytes());
        let count = count.filter(|count| *count > 0).ok_or(Defect("a run counts more or fewer than it holds"))?;
        let gap: i64 = input.small()?;
        let gap_ms = if is_ms { Some(gap) } else { gap.checked_mul(1_000) };
        let length_s: u32 = input.small()?;
        let source = input.small()?;
        if !PERIOD_S.contains(&length_s) {
            return Err(Defect("a period is longer or shorter than any"));
        }
        let before_ms = kept.last().map_or(start_of(week), |last| last.end_ms);
        let end_ms = gap_ms.and_then(|gap_ms| before_ms.checked_add(gap_ms)).ok_or(OUT_OF_WEEK)?;
        let mut value = 0;
        for at in 0..count {
            value += input.zigzag()?.clamp(-0x1_0000, 0x1_0000);
            let value = u16::try_from(value).map_err(|_| NO_VOLTAGE)?;
            let volts = match kind {
                Kind::Whole => Volts::whole(value),
                Kind::Exact => Volts::between(value, value),
                Kind::Between => value.checked_add(input.small()?).and_then(|high| Volts::between(value, high)),
            };
            let volts = volts.ok_or(NO_VOLTAGE)?;
            let end_ms = end_ms.saturating_add(at as i64 * i64::from(length_s) * 1_000);
            kept.push(Kept { end_ms, length_s, volts, source });
            if kept.len() > READINGS_MAX || week_of(end_ms) != week || end_ms < 0 {
                return Err(OUT_OF_WEEK);
            }
        }
    }
    let overlap = kept.windows(2).any(|pair| pair[1].start_ms() < pair[0].end_ms);
    if overlap || kept.is_empty() {
        return Err(Defect(if overlap { "two periods overlap" } else { "it has no reading" }));
    }
    Ok(kept)
}

const OUT_OF_WEEK: Defect = Defect("a period does not end in its week");
const NO_VOLTAGE: Defect = Defect("a voltage is none");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn volts() -> impl Strategy<Value = Volts> {
        prop_oneof![
            (0..=999_u16).prop_map(|volts| Volts::whole(volts).unwrap()),
            (0..=10_000_u16).prop_map(|dv| Volts::between(dv, dv).unwrap()),
            (0..=10_000_u16, 0..=10_000_u16).prop_map(|(a, b)| Volts::between(a.min(b), a.max(b)).unwrap()),
        ]
    }

    /// Readings of one week in order: each begins where the one before ended, or some time after.
    fn week() -> impl Strategy<Value = (u32, Vec<Kept>)> {
        let gap = prop_oneof![4 => Just(0_i64), 1 => (0..400_i64).prop_map(|s| s * 1_000), 1 => 0..400_000_i64];
        let length = prop_oneof![4 => Just(1_800_u32), 1 => PERIOD_S];
        let one = (gap, length, volts(), prop_oneof![4 => Just(0_u32), 1 => any::<u32>()]);
        (0..12_000_u32, 0..7_000_i64, prop::collection::vec(one, 1..80)).prop_map(|(week, late_s, rows)| {
            let mut end_ms = start_of(week) + late_s * 1_000;
            let mut kept: Vec<Kept> = Vec::new();
            for (gap_ms, length_s, volts, source) in rows {
                let of_first = if kept.is_empty() { 0 } else { i64::from(length_s) * 1_000 };
                end_ms += gap_ms + of_first;
                if end_ms < start_of(week + 1) {
                    kept.push(Kept { end_ms, length_s, volts, source });
                }
            }
            (week, kept)
        })
    }

    proptest! {
        #[test]
        fn a_week_is_read_as_it_was_written((week, kept) in week()) {
            let mut out = Writer::default();
            encode(week, &kept, &mut out);
            prop_assert_eq!(decode(week, out.as_bytes()).unwrap(), kept);
        }

        #[test]
        fn damaged_bytes_are_a_defect_or_another_whole_week(
            (week, kept) in week(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
        ) {
            let mut out = Writer::default();
            encode(week, &kept, &mut out);
            let mut bytes = out.as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(if cut { at + 1 } else { bytes.len() });
            if let Ok(found) = decode(week, &bytes) {
                prop_assert!(found.windows(2).all(|pair| pair[0].end_ms <= pair[1].start_ms()));
                prop_assert!(found.iter().all(|kept| week_of(kept.end_ms) == week));
            }
        }
    }

    #[test]
    fn half_hours_in_whole_volts_take_a_byte_each() {
        let kept: Vec<Kept> = (0..336)
            .map(|at| Kept {
                end_ms: start_of(2_900) + at * 1_800_000,
                length_s: 1_800,
                volts: Volts::whole(240 + (at % 7) as u16).unwrap(),
                source: 3,
            })
            .collect();
        let mut out = Writer::default();
        encode(2_900, &kept, &mut out);
        assert!(out.as_bytes().len() < 336 + 16, "{} bytes", out.as_bytes().len());
    }

    #[test]
    fn ends_at_the_edges_of_weeks_and_of_the_calendar_have_their_week() {
        assert_eq!((week_of(0), week_of(WEEK_MS - 1), week_of(WEEK_MS)), (0, 0, 1));
        assert_eq!(weeks_of(&(0..WEEK_MS)), 0..1);
        assert_eq!((weeks_of(&(0..WEEK_MS + 1)), weeks_of(&(5..5))), (0..2, 0..0));
        assert_eq!(weeks_of(&(Millis::MIN..Millis::MAX)), 0..u32::MAX);
    }
}
