//! What comes in.

use super::super::device::Wanted;
use super::*;

fn batch(alerts: Vec<v1::Alert>) -> v1::StreamAlertsRequest {
    v1::StreamAlertsRequest {
        producer_id: "dno.north_1-a".into(),
        sequence: 5,
        alerts,
        unreadable_count: 2,
        bookmark: vec![1, 2],
        ephemeral: true,
    }
}

#[test]
fn a_batch_in_order_arrives_whole() {
    let read = alert::batch(batch(vec![sent_alert()]), &IntakeLimits::default()).unwrap();
    assert_eq!((read.producer.as_str(), read.sequence, read.unreadable), ("dno.north_1-a", 5, 2));
    assert!(read.ephemeral && read.bookmark == [1, 2]);
    assert_eq!(read.alerts, vec![Ok(logged(0).alert)]);

    let bare = v1::Alert { device_id: 9, code: 65_535, ..v1::Alert::default() };
    let request = v1::SubmitAlertsRequest { alerts: vec![bare], ..v1::SubmitAlertsRequest::default() };
    let read = alert::single_batch(request, &IntakeLimits::default()).unwrap();
    let bare = read.alerts[0].as_ref().unwrap();
    assert_eq!((bare.occurred_ms, bare.received_ms, bare.counter, bare.measurement), (None, None, None, None));
    assert_eq!((bare.weight, bare.payload, bare.recipient), (1, PayloadKind::Unspecified, Eui64::NONE));
    assert_eq!(bare.code, AlertCode(u16::MAX));
}

#[test]
fn a_bad_alert_is_a_reject_in_its_place_and_the_others_stay() {
    let code = v1::Alert { code: 65_536, ..sent_alert() };
    let kind = v1::Alert { payload_kind: 5, ..sent_alert() };
    let status = v1::Alert { occurred_at_status: 5, ..sent_alert() };
    let read = alert::batch(batch(vec![code, sent_alert(), kind, status]), &IntakeLimits::default()).unwrap();

    let reject = read.alerts[0].as_ref().unwrap_err();
    assert_eq!((reject.reason, reject.code), (RejectReason::Code, None));
    assert_eq!(reject.message, "code: 65536 is no alert code; at most 65535 is (16 bits)");
    assert!(read.alerts[1].is_ok());
    let reject = read.alerts[2].as_ref().unwrap_err();
    assert_eq!((reject.reason, reject.code), (RejectReason::PayloadKind, Some(AlertCode(0x8F40))));
    assert_eq!(reject.message, "payload_kind: 5 is no payload kind of this protocol");
    let reject = read.alerts[3].as_ref().unwrap_err();
    assert_eq!((reject.reason, reject.code), (RejectReason::OccurredAt, Some(AlertCode(0x8F40))));
    assert_eq!(reject.message, "occurred_at_status: 5 is no status of this protocol");
}

#[test]
fn every_status_of_a_time_goes_there_and_back() {
    let statuses = [
        (v1::OccurredAtStatus::Unspecified, TimeStatus::Stated),
        (v1::OccurredAtStatus::NotStated, TimeStatus::NotStated),
        (v1::OccurredAtStatus::Unreliable, TimeStatus::Unreliable),
        (v1::OccurredAtStatus::LeftOut, TimeStatus::LeftOut),
    ];
    for (sent, status) in statuses {
        let sent = v1::Alert { occurred_at_status: sent.into(), ..sent_alert() };
        let read = alert::batch(batch(vec![sent.clone()]), &IntakeLimits::default()).unwrap().alerts.remove(0).unwrap();
        assert_eq!(read.message.time, status);
        assert_eq!(alert::wire_alert(read), sent);
    }
    // 0 is a time where the status says that it is stated, and only there.
    for (status, expected) in [(v1::OccurredAtStatus::Stated, Some(0)), (v1::OccurredAtStatus::Unspecified, None)] {
        let sent = v1::Alert { occurred_at_ms: 0, occurred_at_status: status.into(), ..sent_alert() };
        let read = alert::batch(batch(vec![sent.clone()]), &IntakeLimits::default()).unwrap().alerts.remove(0).unwrap();
        assert_eq!((read.occurred_ms, read.message.time), (expected, TimeStatus::Stated));
        assert_eq!(alert::wire_alert(read), sent);
    }
    let sent = v1::Alert { dcc_at_ms: 0, dcc_at_status: v1::DccAtStatus::LeftOut.into(), ..sent_alert() };
    let read = alert::batch(batch(vec![sent.clone()]), &IntakeLimits::default()).unwrap().alerts.remove(0).unwrap();
    assert_eq!(read.message.dcc_time, DccTimeStatus::LeftOut);
    assert_eq!(alert::wire_alert(read), sent);
}

#[test]
fn a_detail_that_cannot_be_kept_is_a_reject_that_names_it() {
    let wrong = [
        (
            v1::AlertDetails { mpxn: 1_200_000_000_778, ..Default::default() },
            "details.mpxn: expected an MPAN whose 13th digit",
        ),
        (
            v1::AlertDetails { instruction_count: 65_536, ..Default::default() },
            "details.instruction_count: 65536 is above",
        ),
        (
            v1::AlertDetails { inner_code: Some(65_536), ..Default::default() },
            "details.inner_code: 65536 is no alert code",
        ),
        (v1::AlertDetails { note: "n".repeat(65), ..Default::default() }, "details.note: "),
        (v1::AlertDetails { note: "a\nb".to_owned(), ..Default::default() }, "details.note: "),
    ];
    for (details, words) in wrong {
        let sent = v1::Alert { details: Some(details), ..sent_alert() };
        let read = alert::batch(batch(vec![sent]), &IntakeLimits::default()).unwrap().alerts.remove(0).unwrap_err();
        assert_eq!((read.reason, read.code), (RejectReason::Details, Some(AlertCode(0x8F40))));
        assert!(read.message.starts_with(words), "{}", read.message);
    }
}

/// What batches in flight are counted by is what they can take.
#[test]
fn no_alert_is_longer_than_it_is_counted() {
    let longest = v1::Alert {
        device_id: u64::MAX,
        recipient_id: u64::MAX,
        originator_counter: Some(u64::MAX),
        code: u32::MAX,
        occurred_at_ms: -1,
        received_at_ms: -1,
        measurement: Some(i32::MIN),
        weight: u32::MAX,
        payload_kind: v1::PayloadKind::Csv.into(),
        dcc_at_ms: -1,
        sender_id: u64::MAX,
        instruction_number: u32::MAX,
        message_digest: u64::MAX,
        occurred_at_status: v1::OccurredAtStatus::Unreliable.into(),
        dcc_at_status: v1::DccAtStatus::LeftOut.into(),
        stated_generation: v1::Generation::Smets2.into(),
        details: Some(v1::AlertDetails {
            mpxn: u64::MAX,
            throttle_sequence: Some(u32::MAX),
            instruction_count: u32::MAX,
            interrupted_at_ms: Some(-1),
            restored_at_ms: Some(-1),
            inner_code: Some(u32::MAX),
            note: "n".repeat(domain::Note::BYTES_MAX),
        }),
    };
    let alone = batch(vec![]).encoded_len();
    let bytes = batch(vec![longest]).encoded_len() - alone;
    assert_eq!(bytes as u64, crate::config::ALERT_BYTES_MAX);
}

#[test]
fn every_payload_kind_goes_there_and_back() {
    let kinds = [
        (v1::PayloadKind::Unspecified, PayloadKind::Unspecified),
        (v1::PayloadKind::Dlms, PayloadKind::Dlms),
        (v1::PayloadKind::Gbz, PayloadKind::Gbz),
        (v1::PayloadKind::Asn1, PayloadKind::Asn1),
        (v1::PayloadKind::Csv, PayloadKind::Csv),
    ];
    for (sent, kept) in kinds {
        let sent = v1::Alert { payload_kind: sent.into(), ..sent_alert() };
        let read = alert::batch(batch(vec![sent.clone()]), &IntakeLimits::default()).unwrap().alerts.remove(0).unwrap();
        assert_eq!(read.payload, kept);
        assert_eq!(alert::wire_alert(read), sent);
    }
}

#[test]
fn a_bad_batch_is_refused_whole() {
    let limits = IntakeLimits { batch_alerts_max: 2, ..IntakeLimits::default() };
    alert::batch(batch(vec![sent_alert(); 2]), &limits).unwrap();
    let producer = |id: &str| v1::StreamAlertsRequest { producer_id: id.into(), ..batch(Vec::new()) };
    refused(
        |request| alert::batch(request, &limits),
        vec![
            (batch(vec![sent_alert(); 3]), "alerts: 3 alerts in one batch; at most batch_alerts_max (2) are allowed"),
            (v1::StreamAlertsRequest { sequence: 0, ..batch(Vec::new()) }, "sequence: 0 is no batch of a producer"),
            (producer("a b"), "producer_id: \"a b\" is no id; 1 to 64 characters"),
            (producer("\u{e9}"), "producer_id: \"\u{e9}\" is no id"),
            (producer(&"x".repeat(65)), &format!("producer_id: \"{}\"... is no id", "x".repeat(40))),
            (producer("\u{1b}[2J"), "producer_id: \"\\u{1b}[2J\" is no id"),
        ],
    );
    alert::batch(producer(&"x".repeat(64)), &limits).unwrap();
    let nobody = v1::StreamAlertsRequest { producer_id: String::new(), sequence: 0, ..batch(Vec::new()) };
    alert::batch(nobody, &limits).unwrap();
    assert!(refusal(alert::producer(String::new())).starts_with("producer_id: \"\" is no id"));
}

#[test]
fn a_listing_is_asked_for_within_limits() {
    let limits = IntakeLimits::default();
    let ask = v1::ListAlertsRequest::default;
    let query = listing::query(ask(), &limits).unwrap();
    assert_eq!((query.page_size, query.from, query.device, query.rule), (100, Position(0), None, None));

    let query = listing::query(
        v1::ListAlertsRequest {
            page_size: 10_000,
            page_token: "p18446744073709551615".into(),
            outcomes: vec![
                v1::Outcome::Duplicate.into(),
                v1::Outcome::Forwarded.into(),
                v1::Outcome::Suppressed.into(),
            ],
            device_id: 3,
            codes: vec![1],
            rule: "high".into(),
            operators: vec![0, 99],
            since_ms: 1,
            until_ms: 2,
            generations: vec![0, 1],
            models: vec![String::new(), "Alpha-1".into()],
            occurred_since_ms: 3,
            occurred_until_ms: 0,
            dcc_since_ms: 0,
            dcc_until_ms: 4,
            mpxn: "123456".into(),
        },
        &limits,
    );
    let query = query.unwrap();
    assert_eq!((query.occurred_ms, query.dcc_ms), (Some(3..i64::MAX), Some(0..4)));
    assert_eq!(query.point.map(|point| point.mpxn.to_string()).as_deref(), Some("123456"));
    assert_eq!(query.generations, [Generation::Unknown, Generation::Smets1]);
    assert_eq!(query.models, [ModelId::UNKNOWN, ModelId::of("Alpha-1")]);
    assert_eq!((query.page_size, query.from), (10_000, Position(u64::MAX)));
    assert_eq!(query.ends, [End::Forwarded, End::Suppressed, End::Duplicate]);
    assert_eq!((query.device, query.codes), (Some(Eui64(3)), vec![AlertCode(1)]));
    assert_eq!((query.since_ms, query.until_ms, query.rule.as_deref()), (Some(1), Some(2), Some("high")));

    let token = |text: &str| v1::ListAlertsRequest { page_token: text.into(), ..ask() };
    refused(
        |request| listing::query(request, &limits),
        vec![
            (v1::ListAlertsRequest { page_size: 10_001, ..ask() }, "page_size: 10001 is over list_alerts_max (10000)"),
            (token("p"), "page_token: \"p\" did not come from this host"),
            (token("7"), "page_token: "),
            (token("p-7"), "page_token: "),
            (token("p+7"), "page_token: "),
            (token("p18446744073709551616"), "page_token: "),
            (v1::ListAlertsRequest { mpxn: "12".into(), ..ask() }, "mpxn: expected an MPAN"),
            (v1::ListAlertsRequest { outcomes: vec![1, 0], ..ask() }, "outcomes[1]: the outcome is not stated"),
            (v1::ListAlertsRequest { outcomes: vec![3], ..ask() }, "outcomes[0]: rejected alerts are counted"),
            (v1::ListAlertsRequest { outcomes: vec![5], ..ask() }, "outcomes[0]: 5 is no outcome"),
            (v1::ListAlertsRequest { codes: vec![7, 70_000], ..ask() }, "codes[1]: 70000 is no alert code"),
            (v1::ListAlertsRequest { operators: vec![9], ..ask() }, "operators[0]: 9 is no distributor id"),
            (v1::ListAlertsRequest { generations: vec![3], ..ask() }, "generations[0]: 3 is no generation"),
            (
                v1::ListAlertsRequest { models: vec!["a\u{1b}".into()], ..ask() },
                "models[0]: \"a\\u{1b}\" has the control",
            ),
            (
                v1::ListAlertsRequest { since_ms: -1, ..ask() },
                "since_ms: -1 (1969-12-31T23:59:59.999Z) lies before 1970",
            ),
            (
                v1::ListAlertsRequest { since_ms: 5, until_ms: 5, ..ask() },
                "until_ms: 5 (1970-01-01T00:00:00.005Z) is not after since_ms, 5 (1970-01-01T00:00:00.005Z)",
            ),
            (
                v1::ListAlertsRequest { until_ms: -1, ..ask() },
                "until_ms: -1 (1969-12-31T23:59:59.999Z) is not after since_ms, 0 (1970-01-01T00:00:00Z)",
            ),
            (
                v1::ListAlertsRequest { dcc_since_ms: -1, ..ask() },
                "dcc_since_ms: -1 (1969-12-31T23:59:59.999Z) lies before 1970",
            ),
            (
                v1::ListAlertsRequest { occurred_since_ms: 9, occurred_until_ms: 8, ..ask() },
                "occurred_until_ms: 8 (1970-01-01T00:00:00.008Z) is not after occurred_since_ms, 9 (",
            ),
        ],
    );
}

#[test]
fn counts_are_asked_for() {
    let ask = v1::QueryCountsRequest::default;
    let query = count::query(v1::QueryCountsRequest {
        group_by: (1..=13).collect(),
        codes: vec![9],
        rule: "high".into(),
        operators: vec![10],
        generations: vec![0, 2],
        models: vec![String::new(), "ACME-1".into()],
        since_ms: 3_600_000,
        until_ms: 7_200_000,
        top: 5,
        only_throttled: true,
        label_keys: vec!["feeder".into()],
        labels: vec![v1::LabelFilter { key: "postcode".into(), values: vec![String::new()] }],
    })
    .unwrap();
    let expected = [
        Grouping::Code,
        Grouping::Rule,
        Grouping::Operator,
        Grouping::Generation,
        Grouping::Model,
        Grouping::Hour,
        Grouping::Day,
        Grouping::Rejection,
        Grouping::Device,
        Grouping::Recipient,
        Grouping::Family,
        Grouping::OccurredDay,
        Grouping::Label(0),
    ];
    assert_eq!((query.top, query.only_throttled, query.is_of_log()), (Some(5), true, true));
    assert_eq!(query.group_by, expected);
    assert_eq!((query.label_keys[0].as_str(), query.labels[0].key.as_str()), ("feeder", "postcode"));
    assert_eq!(query.generations, [Generation::Unknown, Generation::Smets2]);
    assert_eq!(query.models, ["", "ACME-1"]);
    assert_eq!(
        (query.since_ms, query.until_ms, query.rule.as_deref()),
        (Some(3_600_000), Some(7_200_000), Some("high"))
    );
    assert_eq!(count::query(ask()).unwrap(), CountQuery::default());
    let throttled = v1::QueryCountsRequest { only_throttled: true, ..ask() };
    assert!(count::query(throttled).unwrap().is_of_log(), "the books keep no weights of single alerts");

    let group_by = |list: &[i32]| v1::QueryCountsRequest { group_by: list.to_vec(), ..ask() };
    refused(
        count::query,
        vec![
            (group_by(&[1, 0]), "group_by[1]: the grouping is not stated"),
            (group_by(&[14]), "group_by[0]: 14 is no grouping"),
            (group_by(&[13]), "label_keys: 0 keys, and group_by has 1 of GROUPING_LABEL"),
            (
                v1::QueryCountsRequest { label_keys: vec!["feeder".into()], ..ask() },
                "label_keys: 1 keys, and group_by has 0 of GROUPING_LABEL",
            ),
            (v1::QueryCountsRequest { label_keys: vec!["A".into()], ..ask() }, "label_keys[0]: \"A\" is no key"),
            (v1::QueryCountsRequest { codes: vec![1 << 16], ..ask() }, "codes[0]: 65536 is no alert code"),
            (v1::QueryCountsRequest { operators: vec![10, 100], ..ask() }, "operators[1]: 100 is no distributor id"),
            (v1::QueryCountsRequest { generations: vec![3], ..ask() }, "generations[0]: 3 is no generation"),
            (v1::QueryCountsRequest { models: vec!["x".repeat(65)], ..ask() }, "models[0]: \"xxxx"),
        ],
    );
}

#[test]
fn a_row_of_an_inventory_is_read_and_a_bad_one_is_named() {
    // Of the ten last digits, one makes an MPAN of operator 12.
    let mpans = (0..10).map(|digit| format!("120003456789{digit}"));
    let mpan = mpans.into_iter().find(|mpan| mpan.parse::<Mpxn>().is_ok()).unwrap();
    let good = || v1::Device {
        device_id: 5,
        mpxn: mpan.clone(),
        generation: 1,
        model: "ACME-1".into(),
        ..v1::Device::default()
    };
    let put = |devices| device::devices(v1::PutDevicesRequest { devices, dry_run: false }, 2);

    let other = v1::Device { device_id: 6, operator: 23, mpxn: String::new(), generation: 0, ..good() };
    let read = put(vec![good(), other]).unwrap();
    let (read, dry_run) = read;
    assert!(!dry_run);
    assert_eq!((read[0].eui, read[0].operator.get(), read[0].generation), (Eui64(5), 12, Generation::Smets1));
    assert_eq!((read[0].mpxn.to_string(), read[0].model.as_str()), (mpan.clone(), "ACME-1"));
    assert_eq!((read[1].operator.get(), read[1].generation), (23, Generation::Unknown));
    assert_eq!(put(vec![v1::Device { mpxn: "123456".into(), ..good() }]).unwrap().0[0].operator, OperatorId::UNKNOWN);

    refused(
        put,
        vec![
            (vec![good(), good(), good()], "devices: 3 devices in one message; at most put_devices_max (2)"),
            (vec![good(), v1::Device { device_id: 0, ..good() }], "devices[1].device_id: 0 is no device"),
            (
                vec![good(), v1::Device { operator: 23, ..good() }],
                "devices[1].device_id: 00-00-00-00-00-00-00-05 is in devices[0] too, which says something else of it",
            ),
            (vec![v1::Device { mpxn: "12".into(), ..good() }], "devices[0].mpxn: expected an MPAN"),
            (vec![v1::Device { generation: 3, ..good() }], "devices[0].generation: 3 is no generation"),
            (vec![v1::Device { model: "\u{e9}".repeat(33), ..good() }], "devices[0].model: \"\u{e9}"),
            (vec![v1::Device { model: "a\tb".into(), ..good() }], "devices[0].model: \"a\\tb\" has the control"),
            (vec![v1::Device { operator: 266, ..good() }], "devices[0].operator: 266 is no distributor id"),
            (
                vec![v1::Device { export_mpan: Some("123456".into()), ..good() }],
                "devices[0].export_mpan: 123456 is an MPRN; an MPAN has 13 digits",
            ),
            (
                vec![v1::Device { secondary_mpan: Some("12".into()), ..good() }],
                "devices[0].secondary_mpan: expected an MPAN",
            ),
            (vec![v1::Device { r#type: Some(9), ..good() }], "devices[0].type: 9 is no device type"),
        ],
    );
    assert_eq!(put(vec![good(), good()]).unwrap().0.len(), 1, "rows that say the same are one");
    assert_eq!(
        device::wanted(v1::GetDeviceRequest { device_id: 5, ..Default::default() }).unwrap(),
        Wanted::Device(Eui64(5))
    );
    let nobody = device::wanted(v1::GetDeviceRequest::default());
    assert!(refusal(nobody).starts_with("device_id: 0 is no device"));
}

#[test]
fn a_rule_is_asked_for() {
    let ask =
        || v1::SetRuleRequest { name: "high".into(), plugin: "threshold".into(), ..v1::SetRuleRequest::default() };
    let read = rule::request(ask()).unwrap();
    assert_eq!((read.parameters.as_str(), read.mode, read.order), ("{}", Mode::Active, None));
    assert!(read.scope.is_everything());

    let scope = v1::RuleScope {
        operators: vec![23, 0, 23],
        generations: vec![2, 0, 1, 2],
        codes: vec![9, 1, 9],
        models: vec!["b".into(), "a".into(), "b".into()],
    };
    let read = rule::request(v1::SetRuleRequest {
        parameters: "{\"below_dv\": 2530}".into(),
        scope: Some(scope),
        mode: v1::RuleMode::Off.into(),
        position: 1_000_000,
        until_ms: 5,
        ..ask()
    })
    .unwrap();
    assert_eq!(read.until_ms, Some(5));
    assert_eq!((read.name.as_str(), read.plugin.as_str()), ("high", "threshold"));
    assert_eq!(read.parameters, "{\"below_dv\": 2530}");
    assert_eq!((read.mode, read.order), (Mode::Off, Some(1_000_000)));
    let expected = Scope {
        operators: vec![OperatorId::UNKNOWN, OperatorId::new(23).unwrap()],
        generations: vec![Generation::Unknown, Generation::Smets1, Generation::Smets2],
        codes: vec![AlertCode(1), AlertCode(9)],
        models: vec!["a".into(), "b".into()],
    };
    assert_eq!(read.scope, expected);

    let scope = |scope| v1::SetRuleRequest { scope: Some(scope), ..ask() };
    let scoped = v1::RuleScope::default;
    refused(
        rule::request,
        vec![
            (scope(v1::RuleScope { operators: vec![7], ..scoped() }), "scope.operators[0]: 7 is no distributor id"),
            (scope(v1::RuleScope { generations: vec![-1], ..scoped() }), "scope.generations[0]: -1 is no generation"),
            (scope(v1::RuleScope { codes: vec![1, 65_536], ..scoped() }), "scope.codes[1]: 65536 is no alert code"),
            (
                scope(v1::RuleScope { models: vec!["\0".into()], ..scoped() }),
                "scope.models[0]: \"\\0\" has the control",
            ),
            (v1::SetRuleRequest { mode: 3, ..ask() }, "mode: only the host sets a rule aside"),
            (v1::SetRuleRequest { mode: 4, ..ask() }, "mode: only the host sets a rule aside or quarantines it"),
            (v1::SetRuleRequest { mode: 6, ..ask() }, "mode: 6 is no mode"),
            (v1::SetRuleRequest { until_ms: -1, ..ask() }, "until_ms: -1 (1969-12-31T23:59:59.999Z) lies before 1970"),
        ],
    );
}

#[test]
fn an_upload_is_gathered_up_to_its_limit() {
    let piece = |size| v1::UploadPluginRequest { chunk: vec![7; size], signature: vec![1; 64] };
    let mut upload = plugin::Upload::new(3 << 20);
    for _ in 0..3 {
        upload.take(piece(1 << 20)).unwrap();
    }
    assert!(
        refusal(upload.take(piece((1 << 20) + 1))).starts_with("chunk: 1048577 bytes in one piece; at most 1048576")
    );
    let Err(Refusal::Exhausted(message)) = upload.take(piece(1)) else { panic!("a byte too many was taken") };
    assert_eq!(message, "the component has more than upload_bytes_max (3145728) bytes");
    let (bytes, signature) = upload.finish().unwrap();
    assert_eq!((bytes.len(), signature), (3 << 20, vec![1; 64]));
    assert!(refusal(plugin::Upload::new(9).finish()).starts_with("chunk: not one byte was sent"));
}
