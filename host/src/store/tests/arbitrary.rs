//! Random values of every shape the store keeps, and what to do to bytes that must not be believed.

use proptest::{collection::vec, prelude::*, sample::Index};

use crate::domain::{
    AlertCode, Cell, Details, DevicePage, DeviceTally, End, Fault, FaultKind, Group, HourPage, Mark, Mpxn,
    NamespacePage, Note, Position, RejectReason, Rejected, RemarkCounts, Revision, Rows, Series, SettingsNo, Shadow,
    Tally, TimeStatus,
};

/// Devices that random groups name.
pub(in crate::store) const DEVICES: u32 = 300;

/// The EUI-64 of a device of random groups.
pub(in crate::store) fn eui(no: u32) -> u64 {
    0x90B3_D51F_3001_0000 + u64::from(no) * 7
}

/// The EUI-64s of all devices of random groups.
pub(in crate::store) fn euis() -> Vec<u64> {
    (0..DEVICES).map(eui).collect()
}

/// Integers around a random base with a random spread, so that every width and the wrap at the top come up.
pub(in crate::store) fn column(rows: usize) -> impl Strategy<Value = Vec<u64>> {
    (any::<u64>(), 0..=64_u32).prop_flat_map(move |(base, bits)| {
        let mask = 1_u64.checked_shl(bits).map_or(u64::MAX, |top| top - 1);
        vec(any::<u64>().prop_map(move |value| base.wrapping_add(value & mask)), rows)
    })
}

/// Few different wide values.
fn repeating(rows: usize) -> impl Strategy<Value = Vec<u64>> {
    vec(any::<u64>(), 1..6)
        .prop_flat_map(move |values| vec(any::<Index>().prop_map(move |index| *index.get(&values)), rows))
}

fn rows(count: usize) -> impl Strategy<Value = Rows> {
    let identity = (vec(0..DEVICES, count), repeating(count), column(count), column(count));
    let times = (column(count), column(count), any::<bool>());
    let rest = (column(count), column(count), column(count), column(count), repeating(count));
    let message = (repeating(count), column(count), column(count));
    (identity, times, rest, message).prop_map(|(identity, times, rest, message)| {
        let (sender, instruction, digest) = message;
        let statuses = TimeStatus::ALL.len() as u64;
        let details = digest.iter().enumerate().filter_map(|(row, bits)| Some((row as u32, details(*bits)?))).collect();
        let (device_no, recipient, counter, code) = identity;
        let (received, other, near) = times;
        let (measurement, weight, flags, operator, model) = rest;
        let received_ms: Vec<i64> = received.iter().map(|value| *value as i64).collect();
        let stated = |(received, other): (&i64, &u64)| match other % 3 {
            0 => 0,
            1 => received.wrapping_add((*other & 0xFFF) as i64 - 0x800),
            _ => *other as i64,
        };
        let dcc_ms = received_ms.iter().zip(&other).map(stated).collect();
        let late = |(received, other): (&i64, &u64)| received.wrapping_sub((*other & 0xFFFF) as i64);
        Rows {
            device: device_no.iter().map(|no| eui(*no)).collect(),
            device_no,
            recipient,
            counter,
            code: code.iter().map(|value| *value as u16).collect(),
            occurred_ms: if near {
                received_ms.iter().zip(&other).map(late).collect()
            } else {
                other.iter().map(|value| *value as i64).collect()
            },
            received_ms,
            dcc_ms,
            remarks: flags.iter().map(|value| (*value >> 8) as u32).collect(),
            measurement: measurement.iter().map(|value| *value as i32).collect(),
            weight: weight.iter().map(|value| *value as u32).collect(),
            flags: flags.iter().map(|value| *value as u8).collect(),
            operator: operator.iter().map(|value| *value as u8).collect(),
            model: model.iter().map(|value| *value as u32).collect(),
            time_status: digest.iter().map(|value| (value % statuses) as u8).collect(),
            sender,
            instruction: instruction.iter().map(|value| *value as u32).collect(),
            digest,
            details,
        }
    })
}

/// Details of few rows, each field of them there or not.
fn details(bits: u64) -> Option<Details> {
    let is_there = |at: u32| bits >> at & 1 == 1;
    let number = |at: u32| is_there(at).then_some(bits.rotate_left(at));
    let details = Details {
        mpxn: Mpxn::from_number(number(3).unwrap_or(0)),
        throttle_sequence: number(4).map(|number| number as u32),
        instruction_count: number(5).unwrap_or(0) as u16,
        interrupted_ms: number(6).map(|number| number as i64),
        restored_ms: number(7).map(|number| number as i64),
        inner_code: number(8).map(|number| AlertCode(number as u16)),
        note: number(9).map_or_else(Note::default, |number| Note::new(&format!("note {number}"))),
    };
    Some(details).filter(|details| bits % 8 == 1 && !details.is_empty())
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Forwarded), Just(End::Suppressed), Just(End::Duplicate)]
}

fn rejected() -> impl Strategy<Value = Rejected> {
    let reason = (0..RejectReason::ALL.len()).prop_map(|index| RejectReason::ALL[index]);
    (reason, any::<Option<u16>>(), any::<u32>(), any::<u64>()).prop_map(|(reason, code, hour, count)| Rejected {
        reason,
        code: code.map(AlertCode),
        hour,
        count,
    })
}

fn fault(rows: usize) -> impl Strategy<Value = Fault> {
    let kind = (0..FaultKind::ALL.len()).prop_map(|index| FaultKind::ALL[index]);
    (any::<u32>(), kind, 0..=rows as u32, any::<Index>(), ".{0,40}").prop_map(
        move |(rule, kind, first_row, length, detail)| {
            let row_count = length.index(rows + 1 - first_row as usize) as u32;
            Fault { rule: Revision(rule), kind, first_row, row_count, detail }
        },
    )
}

/// A group of up to 120 rows over [`euis`].
pub(in crate::store) fn group() -> impl Strategy<Value = Group> {
    (0..120_usize).prop_flat_map(|count| {
        let mark = (end(), any::<u32>(), any::<u8>());
        let mark = mark.prop_map(|(end, rule, reason)| Mark { end, rule: Revision(rule), reason });
        let place = (any::<u32>(), any::<i64>(), any::<u32>());
        let marks = (vec(mark, 1..5), vec(any::<Index>(), count), column(count));
        let shadow = (any::<u32>(), vec(0..=256_u16, count));
        let shadow = shadow.prop_map(|(rule, said)| Shadow { rule: Revision(rule), said });
        let tail = (vec(rejected(), 0..4), vec(fault(count), 0..4), vec(shadow, 0..3), any::<Option<u64>>());
        (place, rows(count), marks, tail).prop_map(|((first, judged_ms, settings), rows, marks, tail)| {
            let (rejected, faults, shadows, remembered_from) = tail;
            let (marks, mark, withheld) = marks;
            Group {
                first: Position(u64::from(first)),
                judged_ms,
                settings: SettingsNo(settings),
                rows,
                mark: mark.iter().map(|index| index.index(marks.len()) as u16).collect(),
                marks,
                withheld: withheld.iter().map(|value| *value as u32).collect(),
                rejected,
                faults,
                shadows,
                remembered_from: remembered_from.map(Position),
            }
        })
    })
}

/// A page of 1 to 40 devices.
pub(in crate::store) fn page() -> impl Strategy<Value = DevicePage> {
    (1..40_usize).prop_flat_map(|devices| {
        let tally = (any::<u32>(), 0..5_u32, 0..1_u32);
        let tally =
            tally.prop_map(|(forwarded, suppressed, duplicate)| DeviceTally { forwarded, suppressed, duplicate });
        let series = (0..devices as u16, 0..3_u64, any::<[u64; 2]>(), any::<[u32; 2]>());
        let series = series.prop_map(|(device, party, [top, recent], [recent_at, began])| {
            (device, Series { party: party << 40, top, recent, recent_at, began })
        });
        let namespace = (any::<u32>(), 1..5_usize, 0..60_usize).prop_flat_map(move |(namespace, words, entries)| {
            (vec(0..devices as u16, entries), column(entries), column(entries * words)).prop_map(
                move |(device, code, words_of_entries)| NamespacePage {
                    namespace: Revision(namespace),
                    words_per_entry: words as u32,
                    device,
                    code: code.iter().map(|value| *value as u16).collect(),
                    words: words_of_entries,
                },
            )
        });
        (any::<u32>(), any::<u64>(), vec(tally, devices), vec(series, 0..60), vec(namespace, 0..4)).prop_map(
            |(no, as_of, tallies, series, namespaces)| DevicePage {
                no,
                as_of: Position(as_of),
                tallies,
                series,
                namespaces,
            },
        )
    })
}

/// The counts of an hour, up to 200 cells.
pub(in crate::store) fn hour() -> impl Strategy<Value = HourPage> {
    let reason = (any::<Option<u16>>(), any::<u8>(), 0..3_u8, any::<u8>());
    let key = (reason, 0..4_u32, prop_oneof![end(), Just(End::Rejected)], 0..9_u32);
    let cell = key.prop_map(|((code, operator, generation, reason), model, end, rule)| Cell {
        code,
        operator,
        generation,
        model: model << 20,
        end,
        rule: Revision(rule),
        reason,
    });
    let tally = (any::<u64>(), any::<u64>(), 0..2_u64);
    let tally = tally.prop_map(|(count, represented, withheld)| {
        let remarks = RemarkCounts::listed([
            count % 3,
            withheld,
            0,
            represented >> 1,
            count >> 3,
            0,
            0,
            count,
            1,
            0,
            withheld,
            9,
        ]);
        Tally { count, represented, withheld, remarks }
    });
    (any::<u32>(), any::<u64>(), proptest::collection::btree_map(cell, tally, 0..200))
        .prop_map(|(hour, as_of, cells)| HourPage { hour, as_of: Position(as_of), cells: cells.into_iter().collect() })
}

/// Something that can happen to bytes on their way.
#[derive(Debug, Clone)]
pub(in crate::store) enum Damage {
    /// The end is missing.
    Cut(Index),
    /// One bit is the other.
    Flip(Index, u8),
    /// Four bytes became a large number.
    Huge(Index),
}

/// Up to four pieces of damage.
pub(in crate::store) fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let one = prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        any::<Index>().prop_map(Damage::Huge),
    ];
    vec(one, 1..5)
}

/// The bytes after the damage.
pub(in crate::store) fn damaged(bytes: &[u8], damage: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for one in damage {
        if bytes.is_empty() {
            break;
        }
        match one {
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Damage::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Damage::Huge(at) => {
                let at = at.index(bytes.len());
                bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = 0xFF);
            }
        }
    }
    bytes
}

/// FNV-1a over encoded bytes: a test that compares it notices when a published encoding changes.
pub(in crate::store) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3))
}
