//! What goes out.

use std::time::Duration;

use super::*;
use crate::{
    domain::{FaultKind, FinalUntil, Guard, PointRole, RemarkCounts, Revocation, RuleFault, Tenure, UnknownLabel},
    grpc::convert::point,
    pipeline::{Allowed, DevicePart, LeftHub, NamedDevice, PluginView, PointTenure},
    plugin::{Needs, Report},
};

const ENDS: Balance = Balance { forwarded: 1, suppressed: 2, rejected: 3, duplicate: 4 };
const WIRE_ENDS: v1::Balance = v1::Balance { received: 10, forwarded: 1, suppressed: 2, rejected: 3, duplicate: 4 };
const REMARKS: [u64; Remark::COUNT] = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const WIRE_REMARKS: v1::RemarkCounts = v1::RemarkCounts {
    occurred_in_future: 5,
    occurred_before_retention: 6,
    out_of_order: 7,
    implausible: 8,
    maybe_copy: 9,
    other_content: 10,
    clock_unreliable: 11,
    clock_not_set: 12,
    occurred_at_left_out: 13,
    dcc_at_left_out: 14,
    throttle_gap: 15,
    generation_differs: 16,
};

fn plugin_info() -> PluginInfo {
    PluginInfo {
        digest: Digest([0xAB; 32]),
        name: "threshold".into(),
        version: "1.2.3".into(),
        summary: "holds back".into(),
        parameters_schema: "{}".into(),
        state_key: StateKey::DeviceAndCode,
        state_words: 2,
        state_version: 1,
        reasons: vec!["below".into()],
        reads: [Column::Measurement, Column::Operator].into_iter().collect(),
        size_bytes: 99,
        uploaded_ms: 12,
        owners: vec![OperatorId::new(12).unwrap()],
        signed_by: vec![[0xAB; 32]],
        revoked: Some(Revocation { at_ms: 7, who: "root".to_owned(), why: "it leaks".to_owned() }),
    }
}

#[test]
fn an_ack_goes_out_whole() {
    let rejections = vec![(3, "code: 7".into())];
    let ack =
        Ack { sequence: 5, position: Position(8), balance: ENDS, rejections, remarks: RemarkCounts::listed(REMARKS) };
    let rejections = vec![v1::Rejection { index: 3, reason: "code: 7".into() }];
    let (balance, remarks) = (Some(WIRE_ENDS), Some(WIRE_REMARKS));
    let expected = v1::BatchAck { sequence: 5, position: 8, balance, rejections, remarks };
    assert_eq!(alert::ack(ack), expected);
}

#[test]
fn a_listed_alert_goes_out_whole() {
    let page = AlertPage { alerts: vec![logged(41)], next: Some(Position(50)), position: Position(50), begun: None };
    let expected = v1::LoggedAlert {
        position: 41,
        alert: Some(sent_alert()),
        operator: 12,
        generation: v1::Generation::Smets1.into(),
        model: "ACME-1".into(),
        outcome: v1::Outcome::Suppressed.into(),
        rule: Some(v1::RuleMark {
            name: "high".into(),
            revision: 4,
            plugin_digest: "ab".into(),
            plugin_name: "threshold".into(),
            parameters: "{}".into(),
            reason: "below".into(),
        }),
        overruled: false,
        withheld: 9,
        faults: vec![v1::FaultMark { rule: "storm".into(), revision: 2, kind: "out-of-fuel".into() }],
        remarks: vec![v1::Remark::OutOfOrder.into(), v1::Remark::Implausible.into()],
    };
    let response = listing::page(page, 4 << 20);
    assert_eq!(response.alerts, [expected]);
    assert_eq!((response.next_page_token.as_str(), response.position), ("p50", 50));

    let last =
        listing::page(AlertPage { alerts: Vec::new(), next: None, position: Position(50), begun: None }, 4 << 20);
    assert_eq!((last.next_page_token.as_str(), last.position), ("", 50));
}

#[test]
fn a_page_fits_a_message_and_goes_on_where_it_was_cut() {
    for bytes_max in [0, 1_000, 4_000, 10_000] {
        let alerts: Vec<_> = (0..100).map(logged).collect();
        let response = listing::page(AlertPage { alerts, next: None, position: Position(100), begun: None }, bytes_max);
        let count = response.alerts.len() as u64;
        assert!((1..100).contains(&count), "{count} in {bytes_max}");
        assert!(response.encoded_len() <= bytes_max || count == 1, "{count} in {bytes_max}");
        assert_eq!((response.next_page_token, response.position), (format!("p{count}"), count));
    }
}

#[test]
fn a_table_of_counts_goes_out_whole_or_not_at_all() {
    let key = CountKey {
        code: Some(Some(AlertCode(0x8F40))),
        rule: Some(String::new()),
        operator: Some(OperatorId::UNKNOWN),
        generation: Some(Generation::Smets2),
        model: Some("ACME-1".into()),
        start_ms: Some(3_600_000),
        rejection: Some("code"),
        device: Some(Eui64(5)),
        recipient: Some(Eui64::NONE),
        family: Some("voltage".into()),
        occurred_ms: Some(Some(0)),
        labels: vec![("feeder".parse().unwrap(), "F1".into())],
    };
    let none = CountKey { code: Some(None), ..CountKey::default() };
    let counts =
        Counts { balance: ENDS, represented: 11, overruled: 12, withheld: 13, remarks: RemarkCounts::listed(REMARKS) };
    let answer = CountTable {
        rows: vec![(key, counts), (none, counts)],
        total: counts,
        position: Position(9),
        rest: Some((7, counts)),
        kept_since_ms: Some(4),
        unknown_labels: vec![UnknownLabel { key: "feeder".parse().unwrap(), value: "F1".into(), near: None }],
    };
    // Just before the day of occurrence is not over for two days any more, and the hour of receipt is.
    let provisional = count::Provisional { until: FinalUntil::at(3 * 86_400_000 - 1), step_ms: Some(3_600_000) };

    let response = count::table(answer.clone(), provisional, 4 << 20).unwrap();
    let bare = v1::CountRow {
        balance: Some(WIRE_ENDS),
        represented: 11,
        overruled: 12,
        withheld: 13,
        remarks: Some(WIRE_REMARKS),
        ..Default::default()
    };
    let expected = v1::CountRow {
        code: Some(0x8F40),
        rule: Some(String::new()),
        operator: Some(0),
        generation: Some(v1::Generation::Smets2.into()),
        model: Some("ACME-1".into()),
        start_ms: Some(3_600_000),
        rejection: Some("code".into()),
        device_id: Some(5),
        recipient_id: Some(0),
        family: Some("voltage".into()),
        occurred_start_ms: Some(0),
        is_provisional: true,
        labels: vec![v1::Label { key: "feeder".into(), value: "F1".into() }],
        ..bare.clone()
    };
    assert_eq!(response.rows, [expected, bare.clone()]);
    assert_eq!((response.total.as_ref(), response.position), (Some(&bare), 9));
    assert_eq!((response.rest.as_ref(), response.rest_row_count, response.kept_since_ms), (Some(&bare), 7, Some(4)));
    let until = v1::FinalUntil { received_ms: 3 * 86_400_000 - 1, occurred_ms: 86_400_000 - 1 };
    assert_eq!(response.final_until, Some(until));
    let later = count::Provisional { until: FinalUntil::at(3 * 86_400_000), ..provisional };
    let table = count::table(answer.clone(), later, 4 << 20).unwrap();
    assert!(table.rows.iter().all(|row| !row.is_provisional));

    let Err(Refusal::Exhausted(message)) = count::table(answer, provisional, response.encoded_len() - 1) else {
        panic!("it fits")
    };
    assert!(message.starts_with("the table has 2 rows, more than a message of message_bytes_max"), "{message}");
}

#[test]
fn a_device_goes_out_whole() {
    let device = Device {
        eui: Eui64(5),
        mpxn: "123456".parse().unwrap(),
        operator: OperatorId::new(12).unwrap(),
        generation: Generation::Smets2,
        model: ModelId::of("ACME-1"),
        listed: true,
    };
    let states = vec![("storm".to_owned(), Some(AlertCode(7)), vec![1, 2]), ("burst".to_owned(), None, vec![3])];
    let labels = vec![("feeder".parse().unwrap(), "F1".into())];
    let placement = Placement {
        secondary: Mpxn::NONE,
        export: "1200000000011".parse().unwrap(),
        kind: DeviceType::Esme,
        hub: Eui64(8),
    };
    let view = DeviceView {
        device,
        placement,
        model: "ACME-1".into(),
        labels: labels.clone(),
        balance: ENDS,
        states,
        counted_since_ms: Some(9),
        position: Position(6),
    };
    let response = device::view(view.clone(), &[Eui64(9)]);
    let label = v1::Label { key: "feeder".into(), value: "F1".into() };
    let shown = v1::Device {
        device_id: 5,
        mpxn: "123456".into(),
        generation: 2,
        model: "ACME-1".into(),
        operator: 12,
        labels: vec![label],
        secondary_mpan: None,
        export_mpan: Some("1200000000011".into()),
        r#type: Some(v1::DeviceType::Esme.into()),
        hub_id: Some(8),
        keep_operator: false,
        network_label: String::new(),
    };
    assert_eq!(response.replaced_device_ids, [9]);
    assert_eq!((response.device, response.in_inventory, response.position), (Some(shown.clone()), true, 6));
    assert_eq!((response.balance, response.counted_since_ms), (Some(WIRE_ENDS), Some(9)));
    assert_eq!(response.states[0], v1::DeviceState { rule: "storm".into(), code: 7, words: vec![1, 2] });
    assert_eq!(response.states[1], v1::DeviceState { rule: "burst".into(), code: 0, words: vec![3] });

    let unlisted = DeviceView {
        device: Device::unlisted(Eui64(5)),
        placement: Placement::default(),
        model: String::new(),
        labels: Vec::new(),
        ..view
    };
    let response = device::view(unlisted, &[]);
    let only_its_id = v1::Device { device_id: 5, ..v1::Device::default() };
    assert_eq!((response.device, response.in_inventory), (Some(only_its_id), false));

    let named = NamedDevice { device, placement, model: "ACME-1".to_owned(), labels };
    let shared = SharedPoint { mpxn: "123456".parse().unwrap(), device: Eui64(5), other: Eui64(6), is_replaced: true };
    let put = device::devices_put(DevicesPut {
        added: 1,
        changed: 2,
        unchanged: 3,
        met: 4,
        operator_changed: 5,
        mpxn_changed: 6,
        generation_changed: 7,
        model_changed: 8,
        labels_changed: 9,
        changes: vec![(named.clone(), named.clone())],
        other_points_changed: 9,
        type_changed: 10,
        hub_changed: 11,
        shared_count: 12,
        shared: vec![shared],
        left_hub_count: 13,
        left_hubs: vec![LeftHub {
            device: Eui64(5),
            operator: OperatorId::new(12).unwrap(),
            hub: Eui64(8),
            hub_operator: OperatorId::new(10).unwrap(),
        }],
    });
    let change = v1::DeviceChange { before: Some(shown.clone()), after: Some(shown) };
    let expected = v1::PutDevicesResponse {
        added: 1,
        changed: 2,
        unchanged: 3,
        met: 4,
        operator_changed: 5,
        mpxn_changed: 6,
        generation_changed: 7,
        model_changed: 8,
        labels_changed: 9,
        changes: vec![change],
        other_points_changed: 9,
        type_changed: 10,
        hub_changed: 11,
        shared_point_count: 12,
        shared_points: vec![v1::SharedPoint {
            mpxn: "123456".into(),
            device_id: 5,
            other_device_id: 6,
            is_replaced: true,
        }],
        left_hub_count: 13,
        left_hubs: vec![v1::LeftHub { device_id: 5, operator: 12, hub_id: 8, hub_operator: 10 }],
    };
    assert_eq!(put, expected);

    // As many points as fit, and one at least.
    let tenure = |point| PointTenure {
        point,
        tenure: Tenure {
            device: Eui64(5),
            role: PointRole::Export,
            operator: OperatorId::new(12).unwrap(),
            is_meter: true,
            since_ms: Some(7),
            until_ms: None,
            moved_from: (Mpxn::NONE, OperatorId::UNKNOWN),
        },
        counts_before: true,
    };
    let found = || vec![tenure(0), tenure(0), tenure(2)];
    let all = point::tenures(4, found(), 4 << 20);
    let one = v1::PointTenure {
        point: 2,
        device_id: 5,
        role: v1::PointRole::Export.into(),
        operator: 12,
        since_ms: Some(7),
        until_ms: None,
        counts_before: true,
    };
    assert_eq!((all.tenures.len(), all.tenures.last(), all.answered_count), (3, Some(&one), 4));
    let first = point::tenures(4, found(), 1);
    assert_eq!((first.tenures.len(), first.answered_count), (2, 2), "the second point has none");

    // A page ends where a message is full, and has a device all the same.
    let unknown = UnknownLabel { key: "feeder".parse().unwrap(), value: "F1".into(), near: Some("F2".into()) };
    let found = |count| DevicePart {
        devices: (0..count).map(|number| (number, named.clone())).collect(),
        next: Some(99),
        unknown_labels: vec![unknown.clone()],
    };
    let all = device::page(found(3), 4 << 20);
    assert_eq!((all.devices.len(), all.next_page_token.as_str()), (3, "99"));
    let unknown = v1::UnknownLabel { key: "feeder".into(), value: "F1".into(), near: "F2".into() };
    assert_eq!(all.unknown_labels, [unknown]);
    let one = device::page(found(3), 1);
    assert_eq!((one.devices.len(), one.next_page_token.as_str()), (1, "1"));
}

#[test]
fn a_plugin_goes_out_whole() {
    let rules = vec!["high".to_owned()];
    let golden = Report {
        parameters: "{}".into(),
        alerts: 1_024,
        suppressed: 7,
        fuel: 1_025,
        memory_bytes: 65_536,
        fault: Some(RuleFault::new(FaultKind::Trap, "unreachable")),
    };
    let needs = Needs { imports: vec!["a".into()], exports: vec!["b".into()], memory_bytes: 5, table_entries: 6 };
    let allowed = vec![Allowed { name: "memory_bytes_max", host: 9, operator: 7, asked: Some(5) }];
    let response = plugin::uploaded(
        (plugin_info(), Duration::from_micros(1_500)),
        rules,
        Some(PluginView { report: golden, needs, allowed }),
    );
    let report = v1::PluginReport {
        parameters: "{}".into(),
        alert_count: 1_024,
        suppressed_count: 7,
        fuel_per_alert: 2,
        memory_bytes: 65_536,
        fault: "trap: unreachable".into(),
        limits: vec![v1::PluginLimit {
            name: "memory_bytes_max".into(),
            host: 9,
            operator: 7,
            asked: Some(5),
            effective: 7,
        }],
        imports: vec!["a".into()],
        exports: vec!["b".into()],
    };
    assert_eq!(response.report, Some(report));
    let expected = v1::Plugin {
        digest: "ab".repeat(32),
        name: "threshold".into(),
        version: "1.2.3".into(),
        summary: "holds back".into(),
        parameters_schema: "{}".into(),
        state_key: v1::StateKey::DeviceAndCode.into(),
        state_words: 2,
        state_version: 1,
        reasons: vec!["below".into()],
        size_bytes: 99,
        uploaded_at_ms: 12,
        rules: vec!["high".into()],
        owners: vec![12],
        signed_by: vec!["ab".repeat(32)],
        revoked_at_ms: Some(7),
        revoked_by: "root".to_owned(),
        revoked_why: "it leaks".to_owned(),
        reads: vec![v1::PluginColumn::Measurement.into(), v1::PluginColumn::Operator.into()],
    };
    assert_eq!((response.plugin, response.compile_us), (Some(expected), 1_500));

    let stateless = PluginInfo { state_words: 0, ..plugin_info() };
    assert_eq!(plugin::plugin((stateless, Vec::new())).state_key(), v1::StateKey::Unspecified);
    let by_device = PluginInfo { state_key: StateKey::Device, ..plugin_info() };
    assert_eq!(plugin::plugin((by_device, Vec::new())).state_key(), v1::StateKey::Device);
}

#[test]
fn a_rule_goes_out_whole() {
    let scope = Scope {
        operators: vec![OperatorId::UNKNOWN],
        generations: vec![Generation::Unknown],
        codes: vec![AlertCode(0x8F40)],
        models: vec!["ACME-1".into()],
    };
    let view = RuleView {
        name: "high".into(),
        revision: Revision(3),
        plugin: Arc::new(plugin_info()),
        parameters: "{}".into(),
        scope,
        mode: Mode::SetAside,
        order: 10,
        since: Position(7),
        guard: Some(Guard { suppressed_max_basis_points: 30, alerts_min: 40, until_ms: 50, fallback: Revision(2) }),
        until_ms: Some(60),
        fault_count: 3,
        last_fault: "trap".into(),
        fault_kind: Some(FaultKind::Trap),
        passed_over: 8,
    };
    let expected = v1::Rule {
        name: "high".into(),
        revision: 3,
        plugin_digest: "ab".repeat(32),
        plugin_name: "threshold".into(),
        parameters: "{}".into(),
        scope: Some(v1::RuleScope {
            operators: vec![0],
            generations: vec![0],
            codes: vec![0x8F40],
            models: vec!["ACME-1".into()],
        }),
        mode: v1::RuleMode::SetAside.into(),
        position: 10,
        since_position: 7,
        fault_count: 3,
        last_fault: "trap".into(),
        passed_over_count: 8,
        guard: Some(v1::RuleGuard {
            suppressed_max_basis_points: 30,
            alerts_min: 40,
            until_ms: 50,
            fallback_revision: 2,
        }),
        until_ms: 60,
    };
    assert_eq!(rule::view(view.clone()), expected);
    let modes = [
        (Mode::Active, v1::RuleMode::Active),
        (Mode::Off, v1::RuleMode::Off),
        (Mode::Shadow, v1::RuleMode::Shadow),
        (Mode::Quarantined, v1::RuleMode::Quarantined),
    ];
    for (mode, shown) in modes {
        assert_eq!(rule::view(RuleView { mode, ..view.clone() }).mode(), shown);
    }
}
