//! One plain value of every kind that the store keeps.

use sha2::{Digest as _, Sha256};

use super::arbitrary;
use crate::domain::{
    Ack, Alert, AlertCode, AuditEntry, AuditEvent, Balance, BatchDigest, Cell, ClockMark, CodeTableChange, Column,
    Cursor, CursorKey, Device, DeviceNo, DevicePage, DeviceTally, DeviceType, Digest, Effects, End, Eui64, Fault,
    FaultKind, FaultedAlert, Generation, Group, Guard, GuardCount, GuestRoom, Handover, HourPage, JudgingSettings,
    KeptFault, KeptQuestion, LabelEffects, LabelValue, Mark, Message, Mode, ModelId, Mpxn, NamespacePage, OperatorId,
    PayloadKind, Placement, PluginInfo, PointRole, Position, ProducerKey, ProducerMark, RejectReason, Rejected, Remark,
    RemarkCounts, Retention, Revision, Revocation, Role, Rows, Rule, RuleRevision, Scope, SenderLimits, Series,
    SettingsNo, Shadow, StateKey, Tally, Tenure, TenureChange, TimeStatus, Token,
};

/// A group at a position; its devices are numbers 0 to 4 of [`arbitrary::eui`].
pub(in crate::store) fn some_group(first: u64, count: usize) -> Group {
    let mut rows = Rows::default();
    for row in 0..count {
        let no = (first as u32 + row as u32) % 5;
        let received_ms = 1_795_000_000_000 + first as i64 * 10 + row as i64;
        let alert = Alert {
            device: Eui64(arbitrary::eui(no)),
            recipient: Eui64(0x90B3_D51F_3002_0000),
            counter: Some(first * 1_000 + row as u64),
            code: AlertCode(0x8F40),
            occurred_ms: (row % 4 > 0).then_some(received_ms - 40),
            dcc_ms: (row % 3 == 0).then_some(received_ms - 7),
            received_ms: None,
            measurement: (row % 2 == 0).then_some(2_530 + row as i32),
            weight: 1,
            payload: PayloadKind::Dlms,
            details: Default::default(),
            generation: Generation::Unknown,
            message: Message {
                sender: if row % 3 == 2 { Eui64(0x90B3_D51F_3000_0002) } else { Eui64::NONE },
                instruction: row as u32 % 2,
                digest: if row % 2 == 0 { 0x9E37_79B9_7F4A_7C15 + row as u64 } else { 0 },
                time: if row % 4 == 2 { TimeStatus::Unreliable } else { TimeStatus::Stated },
                ..Message::default()
            },
        };
        let times = (received_ms - 40, received_ms);
        rows.push(&alert, times, DeviceNo(no), (OperatorId::UNKNOWN, Generation::Smets1, ModelId::of("A")));
        if row % 4 == 1 {
            rows.remark(row, Remark::OutOfOrder);
        }
    }
    let held = Mark { end: End::Suppressed, rule: Revision(1), reason: 1 };
    Group {
        first: Position(first),
        judged_ms: 1_795_000_000_000 + first as i64 * 10,
        settings: SettingsNo(5),
        mark: (0..count).map(|row| row as u16 % 2).collect(),
        withheld: vec![0; count],
        rows,
        marks: vec![Mark::FORWARDED, held],
        rejected: vec![Rejected { reason: RejectReason::Code, code: Some(AlertCode(0x8F41)), hour: 498_611, count: 2 }],
        faults: vec![Fault {
            rule: Revision(1),
            kind: FaultKind::Trap,
            first_row: 0,
            row_count: count as u32,
            detail: "unreachable".to_owned(),
        }],
        shadows: vec![Shadow { rule: Revision(2), said: (0..count).map(|row| row as u16 % 3).collect() }],
        remembered_from: Some(Position(first / 2)),
    }
}

pub(in crate::store) fn some_page(no: u32, as_of: u64) -> DevicePage {
    let party = 0x90B3_D51F_3002_0000;
    let series = Series { party, top: as_of * 3, recent: as_of * 2, recent_at: 5, began: no };
    DevicePage {
        no,
        as_of: Position(as_of),
        tallies: (0..5)
            .map(|device| DeviceTally { forwarded: device, suppressed: as_of as u32, duplicate: 0 })
            .collect(),
        series: vec![(0, series), (3, series)],
        namespaces: vec![NamespacePage {
            namespace: Revision(1),
            words_per_entry: 2,
            device: vec![1, 4],
            code: vec![0x8F40, 0x8F41],
            words: vec![as_of, 2, 3, 1 << 40],
        }],
    }
}

pub(in crate::store) fn some_hour(hour: u32, as_of: u64) -> HourPage {
    let cell = |code, end| Cell {
        code,
        operator: 12,
        generation: 1,
        model: ModelId::of("A").0,
        end,
        rule: Revision(1),
        reason: 1,
    };
    let remarks = RemarkCounts::default().with(Remark::OutOfOrder, as_of).with(Remark::Implausible, 1);
    HourPage {
        hour,
        as_of: Position(as_of),
        cells: vec![
            (cell(None, End::Rejected), Tally { count: 1, represented: 1, ..Tally::default() }),
            (cell(Some(0x8F40), End::Suppressed), Tally { count: as_of, represented: as_of * 2, withheld: 3, remarks }),
        ],
    }
}

pub(in crate::store) fn some_device(no: u32) -> Device {
    Device {
        eui: Eui64(arbitrary::eui(no)),
        mpxn: Mpxn::from_number(1_200_000_000_001 + u64::from(no)),
        operator: OperatorId::new(12).unwrap(),
        generation: Generation::Smets2,
        model: ModelId::of("A"),
        listed: true,
    }
}

/// A label of devices 1 and 3, another one of device 3, and what a load removed that is not there.
pub(in crate::store) fn some_labels() -> LabelEffects {
    let value = |text: &str| LabelValue { operator: OperatorId::new(12).unwrap(), text: text.into() };
    LabelEffects {
        keys: vec![(0, "feeder".parse().ok()), (2, "postcode".parse().ok()), (5, None)],
        values: vec![(1, Some(value("Ash Lane"))), (4, Some(value("AB1 2CD"))), (9, None)],
        devices: vec![(1, vec![(0, 1)]), (3, vec![(0, 1), (2, 4)]), (4, vec![])],
    }
}

pub(in crate::store) fn some_placement() -> Placement {
    Placement {
        secondary: Mpxn::from_number(1_200_000_000_055),
        export: Mpxn::from_number(1_300_000_000_066),
        kind: DeviceType::Esme,
        hub: Eui64(arbitrary::eui(9)),
    }
}

pub(in crate::store) fn some_tenure(device: u64) -> Tenure {
    Tenure {
        device: Eui64(device),
        role: PointRole::Export,
        operator: OperatorId::new(12).unwrap(),
        is_meter: true,
        since_ms: Some(1_794_000_000_000),
        until_ms: None,
        moved_from: (Mpxn::from_number(1_300_000_000_077), OperatorId::new(13).unwrap()),
    }
}

pub(in crate::store) fn some_mark(producer: &str, sequence: u64) -> ProducerMark {
    let balance = Balance { forwarded: 1, suppressed: 2, rejected: 3, duplicate: 4 };
    let rejections = vec![(7, "code: 70000 does not fit".to_owned())];
    let remarks = RemarkCounts::default().with(Remark::OccurredInFuture, sequence);
    ProducerMark {
        key: some_producer(producer),
        ack: Ack { sequence, position: Position(sequence * 3), balance, rejections, remarks },
        bookmark: sequence.to_be_bytes().to_vec(),
        digest: Some(BatchDigest([sequence as u8; 16])),
        taken_ms: -5,
        ran_ms: sequence * 1_000,
        is_ephemeral: sequence == 1,
    }
}

pub(in crate::store) fn some_producer(id: &str) -> ProducerKey {
    ProducerKey { holder: "grid".to_owned(), id: id.to_owned() }
}

pub(in crate::store) fn some_revision(number: u32) -> RuleRevision {
    let scope = Scope {
        operators: vec![OperatorId::UNKNOWN, OperatorId::new(22).unwrap()],
        generations: vec![Generation::Smets1],
        codes: vec![AlertCode(0x8F40), AlertCode(0x8F41)],
        models: vec!["A".to_owned(), "Modell \u{DC}".to_owned()],
    };
    RuleRevision {
        revision: Revision(number),
        since: Position(3),
        made_ms: -5,
        name: "over-voltage".to_owned(),
        rule: Some(Rule {
            plugin: Digest([7; 32]),
            parameters: r#"{"below_dv":2530}"#.to_owned(),
            scope,
            mode: Mode::SetAside,
            order: 10,
            namespace: Revision(1),
            guard: Some(Guard {
                suppressed_max_basis_points: 3_000,
                alerts_min: 1_000,
                until_ms: 1_795_000_000_000,
                fallback: Revision(1),
            }),
            until_ms: Some(1_796_000_000_000),
        }),
        who: RuleRevision::HOST.to_owned(),
        why: "set aside after 3 faults".to_owned(),
    }
}

/// The digest of the component that [`one_of_everything`] has.
pub(in crate::store) fn some_digest() -> Digest {
    Digest(Sha256::digest(b"bytes").into())
}

pub(in crate::store) fn some_plugin() -> PluginInfo {
    PluginInfo {
        digest: some_digest(),
        name: "threshold".to_owned(),
        version: "1.2.0".to_owned(),
        summary: "holds back what stays below a line".to_owned(),
        parameters_schema: "{}".to_owned(),
        state_key: StateKey::DeviceAndCode,
        state_words: 2,
        state_version: 1,
        reasons: vec!["below".to_owned(), "again".to_owned()],
        reads: [Column::Device, Column::Model].into_iter().collect(),
        size_bytes: 5,
        uploaded_ms: 1_795_000_000_000,
        owners: vec![OperatorId::new(12).unwrap(), OperatorId::UNKNOWN],
        signed_by: vec![[3; 32]],
        revoked: Some(some_revocation()),
    }
}

pub(in crate::store) fn some_token(name: &str, role: Role) -> Token {
    Token {
        name: name.to_owned(),
        role,
        hash: [9; 32],
        made_by: "admin".to_owned(),
        made_ms: 5,
        expires_ms: 1_795_000_000_000,
        revoked_ms: (role == Role::Admin).then_some(7),
        issue: 3,
        sender: SenderLimits {
            operators: [OperatorId::new(12).unwrap(), OperatorId::UNKNOWN].into_iter().collect(),
            producers: ["head-end-*".parse().unwrap()].into(),
        },
    }
}

pub(in crate::store) fn some_entry(number: u64) -> AuditEntry {
    let event = AuditEvent::new("admin", "token.create", "a", "operator 12");
    AuditEntry { number, at_ms: 5, event, hash: [number as u8; 32] }
}

pub(in crate::store) fn some_question(number: u64, answer: Option<&str>) -> KeptQuestion {
    KeptQuestion { number, head: format!("question {number}"), answer: answer.map(str::to_owned) }
}

pub(in crate::store) fn some_cursor(name: &str, position: u64) -> Cursor {
    let key = CursorKey { holder: "grid".to_owned(), name: name.to_owned() };
    Cursor { key, position: Position(position), made_ms: -5, advanced_ms: 1_795_000_000_000 }
}

pub(in crate::store) fn some_count(fallback: u32) -> GuardCount {
    GuardCount { fallback: Revision(fallback), shown: 1_000, suppressed: u64::from(fallback) }
}

pub(in crate::store) fn some_fault() -> KeptFault {
    KeptFault {
        count: 3,
        revision: Revision(2),
        kind: FaultKind::Trap,
        detail: "unreachable".to_owned(),
        alert: Some(FaultedAlert { position: Position(1), device: Eui64(7), code: AlertCode(0x8F35) }),
    }
}

pub(in crate::store) fn some_handover() -> Handover {
    Handover { since_ms: 1_795_000_000_000, before: DeviceTally { forwarded: 1, suppressed: 300, duplicate: 7 } }
}

pub(in crate::store) fn some_revocation() -> Revocation {
    Revocation { at_ms: 9, who: "root".to_owned(), why: "it leaks".to_owned() }
}

pub(in crate::store) fn some_settings() -> JudgingSettings {
    JudgingSettings {
        protected: vec![AlertCode(0x8F36), AlertCode(0x8F3F)],
        state_codes_per_device_max: 64,
        turn_alerts: 1_024,
        stack_bytes_max: 512 << 10,
        host: GuestRoom { memory_bytes_max: 64 << 20, table_entries_max: 100_000, deadline_ms: 1_000 },
        operators: GuestRoom { memory_bytes_max: 32 << 20, table_entries_max: 20_000, deadline_ms: 200 },
    }
}

/// Effects that write to every table.
pub(in crate::store) fn one_of_everything() -> Effects {
    Effects {
        group: Some(some_group(0, 3)),
        settings: Some((SettingsNo(5), some_settings())),
        code_table: Some(CodeTableChange {
            since: Position(2),
            table: "code,name\nE001,x\n".to_owned(),
            dropped: vec![Position(1)],
        }),
        devices: (0..5).map(|no| (no, some_device(no))).collect(),
        placements: vec![(1, some_placement()), (3, some_placement())],
        tenures: vec![
            (Mpxn::from_number(1_200_000_000_001), TenureChange::Begins(some_tenure(5))),
            (Mpxn::from_number(1_200_000_000_001), TenureChange::Ends(some_tenure(6), 1_795_000_000_000)),
            (Mpxn::from_number(7_654_321), TenureChange::Begins(some_tenure(7))),
        ],
        models: vec!["B".to_owned(), "A".to_owned(), "B".to_owned()],
        labels: some_labels(),
        plugin: Some((some_plugin(), b"bytes".to_vec())),
        revisions: vec![some_revision(1), RuleRevision { rule: None, who: String::new(), ..some_revision(2) }],
        tokens: vec![some_token("b", Role::Admin), some_token("a", Role::Operator(OperatorId::new(12).unwrap()))],
        audit: vec![some_entry(1), some_entry(2)],
        producers_dropped: vec![some_producer("gone")],
        producers: vec![some_mark("head-end", 2), some_mark("a", 9), some_mark("head-end", 1)],
        questions: vec![some_question(2, None), some_question(1, Some("an answer"))],
        questions_dropped: vec![7],
        cursors: vec![some_cursor("b", 3), some_cursor("a", 1)],
        cursors_dropped: vec![some_cursor("gone", 0).key],
        guards: vec![some_count(4), some_count(2)],
        guards_dropped: vec![Revision(9)],
        faults: vec![
            ("volts".to_owned(), some_fault()),
            ("amps".to_owned(), KeptFault { alert: None, ..some_fault() }),
        ],
        faults_dropped: vec!["gone".to_owned()],
        handovers: vec![(Eui64(7), some_handover())],
        plugins_changed: Vec::new(),
        plugins_dropped: Vec::new(),
        keys_revoked: vec![([5; 32], some_revocation())],
        pages: vec![some_page(0, 2), some_page(1, 3)],
        hours: vec![some_hour(498_611, 2), some_hour(498_613, 3)],
        ran_ms: 9_000,
        position: Position(3),
        replay_from: Position(2),
        retention: Retention::default(),
        clock: Some(ClockMark { latest_ms: 1_795_000_000_000, age_ms: 1_794_000_000_000 }),
    }
}
