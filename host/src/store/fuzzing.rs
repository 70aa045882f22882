//! Every decoder of the store, for fuzzing.
//!
//! It must not know who wrote the bytes. Invariant: what can be read is written and read again, and is then the same.

use std::fmt::Debug;

use super::{
    audit, code_table,
    codec::Writer,
    device,
    error::Defect,
    guard, hour, label,
    log::{GroupHead, group},
    page, placement, plugin, producer, revision, settings, tenure, token,
};
use crate::domain::{
    AlertCode, Cell, Details, DevicePage, DeviceTally, Digest, End, Fault, FaultKind, Group, Guard, HourPage, Mark,
    Mode, NamespacePage, OperatorId, Position, ProducerKey, RejectReason, Rejected, Revision, Rows, Rule, RuleRevision,
    Scope, Series, SettingsNo, Shadow, Tally,
};

/// Tables that [`stored`] knows.
pub const TABLES: u8 = 15;

/// Devices that a group may name.
const DEVICES: u64 = 2_000;

/// Reads bytes as a value of a table, whichever key they ask for. Gives whether they are one.
///
/// # Panics
/// Where what was read cannot be written, or is another when it is read again.
pub fn stored(table: u8, bytes: &[u8]) -> bool {
    // Values that hold their own key are asked for by it, so that the first look does not end it.
    let key = bytes.get(1..5).map_or(0, |key| u32::from_le_bytes([key[0], key[1], key[2], key[3]]));
    match table % TABLES {
        0 => same(bytes, |bytes| audit::decode(7, bytes), |value, out| *out = audit::encode(value)),
        1 => same(bytes, device::decode, device::encode),
        2 => same(bytes, |bytes| hour::decode(key, bytes), |value, out| fits(hour::encode(value, out))),
        3 => same(bytes, |bytes| page::decode(key, bytes), |value, out| fits(page::encode(value, out))),
        4 => same(bytes, |bytes| plugin::decode(Digest([7; 32]), bytes), |value, out| *out = plugin::encode(value)),
        5 => same(
            bytes,
            |bytes| producer::decode(ProducerKey::default(), 7, bytes),
            |value, out| *out = producer::encode(value),
        ),
        6 => same(bytes, |bytes| revision::decode(7, bytes), |value, out| *out = revision::encode(value)),
        7 => same(bytes, |bytes| token::decode("name", bytes), |value, out| *out = token::encode(value)),
        8 => same(bytes, |bytes| GroupHead::decode(7, bytes), |value, out| *out = value.encode()),
        9 => same(bytes, |bytes| guard::decode(key, bytes), |value, out| *out = guard::encode(value)),
        10 => same(bytes, settings::decode, |value, out| *out = settings::encode(value)),
        11 => same(bytes, code_table::decode, |value, out| *out = code_table::encode(value)),
        12 => same(bytes, label::decode, label::encode),
        13 => same(bytes, label::decode_value, |value, out| *out = label::encode_value(value)),
        14 => same(bytes, placement::decode, |value, out| *out = placement::encode(value)),
        15 => same(bytes, tenure::decode, |value, out| *out = tenure::encode(value)),
        _ => {
            let euis: Vec<u64> = (1..=DEVICES).collect();
            same(bytes, |bytes| group::decode(bytes, &euis), |value, out| fits(group::encode(value, &euis, out)))
        }
    }
}

fn same<T: PartialEq + Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, Defect>,
    encode: impl Fn(&T, &mut Writer),
) -> bool {
    let Ok(value) = decode(bytes) else { return false };
    let mut written = Writer::default();
    encode(&value, &mut written);
    assert_eq!(decode(written.as_bytes()), Ok(value), "written and read again, it is another");
    true
}

fn fits(written: Result<(), Defect>) {
    assert_eq!(written, Ok(()), "what was read cannot be written");
}

/// A small value of the tables whose form chance would not come upon soon; empty for the others.
pub fn example(table: u8) -> Vec<u8> {
    let mut out = Writer::default();
    match table % TABLES {
        2 => fits(hour::encode(&an_hour(), &mut out)),
        3 => fits(page::encode(&a_page(), &mut out)),
        6 => out = revision::encode(&a_revision()),
        14 => fits(group::encode(&a_group(), &[1, 2, 3], &mut out)),
        _ => {}
    }
    out.as_bytes().to_vec()
}

fn an_hour() -> HourPage {
    let cell =
        |code| Cell { code, operator: 12, generation: 1, model: 5, end: End::Suppressed, rule: Revision(4), reason: 1 };
    let tally = Tally { count: 3, represented: 4, withheld: 5, ..Tally::default() };
    HourPage { hour: 490_000, as_of: Position(9), cells: vec![(cell(None), tally), (cell(Some(0x8F40)), tally)] }
}

fn a_page() -> DevicePage {
    let tally = DeviceTally { forwarded: 1, suppressed: 300, duplicate: 0 };
    let series = Series { party: 7, top: 1 << 40, recent: 9, recent_at: 2, began: 1 };
    let kept = NamespacePage {
        namespace: Revision(4),
        words_per_entry: 2,
        device: vec![0, 2],
        code: vec![0x8F40, 0],
        words: vec![1, 2, 3, u64::MAX],
    };
    DevicePage {
        no: 1,
        as_of: Position(9),
        tallies: vec![tally; 3],
        series: vec![(0, series), (2, series)],
        namespaces: vec![kept],
    }
}

fn a_revision() -> RuleRevision {
    let scope = Scope {
        operators: OperatorId::new(12).into_iter().collect(),
        generations: Vec::new(),
        codes: vec![AlertCode(0x8F40)],
        models: vec!["A".to_owned()],
    };
    let guard = Guard { suppressed_max_basis_points: 100, alerts_min: 10, until_ms: 99, fallback: Revision(3) };
    let rule = Rule {
        plugin: Digest([7; 32]),
        parameters: "{}".to_owned(),
        scope,
        mode: Mode::Active,
        order: 1,
        namespace: Revision(3),
        guard: Some(guard),
        until_ms: Some(77),
    };
    RuleRevision {
        revision: Revision(7),
        since: Position(9),
        made_ms: 5,
        name: "volts".to_owned(),
        rule: Some(rule),
        who: "a".to_owned(),
        why: "b".to_owned(),
    }
}

fn a_group() -> Group {
    let rows = Rows {
        device: vec![1, 2, 3],
        device_no: vec![0, 1, 2],
        recipient: vec![7, 7, 1 << 50],
        counter: vec![1, 2, 3],
        code: vec![0x8F40, 0x8F36, 0x8F40],
        occurred_ms: vec![99, 100, -1],
        received_ms: vec![100, 100, 101],
        dcc_ms: vec![0, 99, 0],
        measurement: vec![2530, 0, -5],
        weight: vec![1; 3],
        flags: vec![1, 2, 3],
        operator: vec![12; 3],
        model: vec![5, 6, 5],
        remarks: vec![0, 4, 9],
        sender: vec![0, 9, 0],
        instruction: vec![0, 0, 2],
        digest: vec![1 << 63, 0, 7],
        time_status: vec![0, 1, 2],
        details: vec![(1, Details { throttle_sequence: Some(7), ..Details::default() })],
    };
    let held = Mark { end: End::Suppressed, rule: Revision(4), reason: 1 };
    let (rule, kind) = (Revision(5), FaultKind::Trap);
    Group {
        first: Position(9),
        judged_ms: 100,
        settings: SettingsNo(3),
        rows,
        marks: vec![Mark::FORWARDED, held],
        mark: vec![1, 0, 1],
        withheld: vec![0, 4, 0],
        rejected: vec![Rejected { reason: RejectReason::Code, code: None, hour: 490_000, count: 2 }],
        faults: vec![Fault { rule, kind, first_row: 0, row_count: 3, detail: "unreachable".to_owned() }],
        shadows: vec![Shadow { rule: Revision(6), said: vec![0, 1, 2] }],
        remembered_from: Some(Position(4)),
    }
}
