//! Work without end by one operator, through the real binary: each kind is bounded for all tokens of the operator
//! together, and another operator is answered meanwhile.

use std::{fs, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};
use tonic::{Code, Status};
use weir_benches::{
    client::Client,
    hostile::{Hostile, Scale, with_schema},
};
use weir_host::{
    domain::{Identity, OperatorId, Role, SenderLimits},
    listing::AlertQuery,
    pipeline::{Batch, Waiting},
};
use weir_proto::v1::{
    self, alert_service_client::AlertServiceClient, count_service_client::CountServiceClient,
    device_service_client::DeviceServiceClient, plugin_service_client::PluginServiceClient,
    report_service_client::ReportServiceClient, rule_service_client::RuleServiceClient,
    token_service_client::TokenServiceClient, what_if_service_client::WhatIfServiceClient,
};
use weir_tests::{disk::Disk, engine, host::Host, workload::plain};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const HOSTILE: &str = env!("WEIR_GUEST_HOSTILE");

/// Long enough to see that something waits.
const A_WHILE: Duration = Duration::from_millis(300);
/// Long enough for anything that does not wait.
const SOON: Duration = Duration::from_secs(300);
/// What an operator's parameters may take, nearly.
const PARAMETERS_BYTES: usize = 16_000;

/// A host that asks for tokens, and who holds them: an administrator, two tokens of operator 12, one of operator 14.
struct Tenants {
    host: Host,
    admin: Client,
    greedy: [Client; 2],
    good: Client,
    sender: Client,
}

impl Tenants {
    async fn new(host: Host, first_admin: &str) -> Self {
        let token = |name: &str, role: &[&str]| {
            let made =
                host.json([&["token", "create", name, "--json", "--token", first_admin, "--role"], role].concat());
            made[0]["secret"].as_str().unwrap().to_owned()
        };
        let of = |name: &str, operator: &str| token(name, &["operator", "--operator", operator]);
        let tokens = [of("greedy-a", "12"), of("greedy-b", "12"), of("good", "14"), token("head-end", &["ingest"])];
        let connect = async |token: &str| Client::connect_as(&host.url, Some(token)).await.unwrap();
        let [a, b, good, sender] = &tokens;
        Self {
            admin: connect(first_admin).await,
            greedy: [connect(a).await, connect(b).await],
            good: connect(good).await,
            sender: connect(sender).await,
            host,
        }
    }
}

/// Runs a scenario against a host with settings; the host must end well.
fn with_tenants(settings: &[(&str, &str)], scenario: impl AsyncFnOnce(Tenants) -> Host) {
    let folder = tempfile::tempdir().unwrap();
    let settings = [&[("WEIR_AUTHENTICATE", "true")], settings].concat();
    let host = Host::start_with(BINARY, folder.path(), &settings);
    let admin = fs::read_to_string(folder.path().join("first-admin-token")).unwrap().trim().to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let host = runtime.block_on(async { scenario(Tenants::new(host, &admin).await).await });
    drop(runtime);
    assert_eq!(host.stop(), Some(0));
}

fn rule(operator: u32, name: &str, pad: usize) -> v1::SetRuleRequest {
    v1::SetRuleRequest {
        name: format!("{operator}-{name}"),
        plugin: "hostile".to_owned(),
        parameters: format!(r#"{{"do":"none","pad":"{}"}}"#, "x".repeat(pad)),
        scope: Some(v1::RuleScope { operators: vec![operator], ..v1::RuleScope::default() }),
        ..v1::SetRuleRequest::default()
    }
}

async fn set(client: &Client, rule: v1::SetRuleRequest) -> Result<(), Status> {
    RuleServiceClient::new(client.link()).set_rule(rule).await.map(drop)
}

async fn count(client: &Client) -> Result<u64, Status> {
    let answer = CountServiceClient::new(client.link()).query_counts(v1::QueryCountsRequest::default()).await?;
    Ok(answer.into_inner().total.unwrap_or_default().balance.unwrap_or_default().received)
}

async fn push_guest(tenants: &Tenants) {
    tenants.admin.upload(&fs::read(HOSTILE).unwrap()).await.unwrap();
}

#[track_caller]
fn refused<T>(answer: Result<T, Status>, code: Code, words: &[&str]) {
    let status = answer.err().expect("it is refused");
    assert_eq!(status.code(), code, "{status}");
    for word in words {
        assert!(status.message().contains(word), "{word:?} is not in {status}");
    }
}

#[test]
fn changes_and_revisions_are_bounded_for_an_operator_and_not_for_a_token() {
    let settings = [("WEIR_PLUGINS__OPERATOR__REVISIONS_MAX", "4"), ("WEIR_PLUGINS__RULE_REVISIONS_MAX", "3")];
    with_tenants(&settings, async |tenants| {
        push_guest(&tenants).await;
        let [a, b] = &tenants.greedy;
        for client in [a, b, a] {
            set(client, rule(12, "one", 0)).await.unwrap();
        }
        let words = ["plugins.rule_revisions_max (3)", "one of another name"];
        refused(set(b, rule(12, "one", 0)).await, Code::ResourceExhausted, &words);
        set(b, rule(12, "two", 0)).await.unwrap();
        let words = ["plugins.operator.revisions_max (4)", "have the setting raised"];
        refused(set(a, rule(12, "three", 0)).await, Code::ResourceExhausted, &words);
        // A rule can always be removed by somebody who may, and others change theirs.
        set(&tenants.good, rule(14, "one", 0)).await.unwrap();
        let removal = v1::RemoveRuleRequest { name: "12-one".to_owned(), why: String::new() };
        RuleServiceClient::new(tenants.admin.link()).remove_rule(removal).await.unwrap();
        tenants.host
    });
    with_tenants(&[("WEIR_ACCESS__OPERATOR_CHANGES_PER_MINUTE_MAX", "1")], async |tenants| {
        push_guest(&tenants).await;
        let mut last = Ok(());
        // More calls come back with time: on a slow machine a second one may pass.
        for at in 0..100 {
            last = set(&tenants.greedy[at % 2], rule(12, "one", 0)).await;
            if last.is_err() {
                break;
            }
        }
        let words = ["access.operator_changes_per_minute_max (1): operator 12 made more", "retry after"];
        refused(last, Code::ResourceExhausted, &words);
        set(&tenants.good, rule(14, "one", 0)).await.unwrap();
        for _ in 0..3 {
            set(&tenants.admin, rule(15, "one", 0)).await.expect("an administrator's are not counted");
        }
        tenants.host
    });
}

#[test]
fn streams_and_calls_are_shared_by_the_tokens_of_an_operator() {
    let settings = [("WEIR_SUBSCRIBE__STREAMS_MAX", "4"), ("WEIR_SUBSCRIBE__IDENTITY_STREAMS_MAX", "3")];
    with_tenants(&settings, async |tenants| {
        let [a, b] = &tenants.greedy;
        let subscribe = async |client: &Client| {
            let request = v1::SubscribeForwardedRequest::default();
            AlertServiceClient::new(client.link()).subscribe_forwarded(request).await
        };
        let held = [subscribe(a).await.unwrap(), subscribe(b).await.unwrap(), subscribe(a).await.unwrap()];
        let words = ["operator 12 has subscribe.identity_streams_max (3) streams open"];
        refused(subscribe(b).await, Code::ResourceExhausted, &words);
        let _good = subscribe(&tenants.good).await.unwrap();
        drop(held);
        tenants.host
    });
    with_tenants(&[("WEIR_ACCESS__IDENTITY_STREAMS_MAX", "2")], async |tenants| {
        let [a, b] = &tenants.greedy;
        let watch = async |client: &Client| {
            CountServiceClient::new(client.link()).watch_counts(v1::WatchCountsRequest::default()).await
        };
        let _held = [watch(a).await.unwrap(), watch(b).await.unwrap()];
        let words = ["access.identity_streams_max (2): operator 12 would have more calls"];
        refused(watch(a).await, Code::ResourceExhausted, &words);
        count(&tenants.good).await.unwrap();
        tenants.host
    });
}

#[test]
fn lists_that_filter_are_bounded_in_every_call_that_has_one() {
    with_tenants(&[], async |tenants| {
        let link = || tenants.greedy[0].link();
        let codes: Vec<u32> = (0..1_001).collect();
        let operators = vec![12; 1_001];
        let words = |field: &'static str| [field, "1001 entries are more than 1000"];
        let mut alerts = AlertServiceClient::new(link());
        let request = v1::ListAlertsRequest { codes: codes.clone(), ..Default::default() };
        refused(alerts.list_alerts(request).await, Code::InvalidArgument, &words("codes"));
        let request = v1::ListAlertsRequest { outcomes: vec![1; 1_001], ..Default::default() };
        refused(alerts.list_alerts(request).await, Code::InvalidArgument, &words("outcomes"));
        let request = v1::SubscribeForwardedRequest { models: vec![String::new(); 1_001], ..Default::default() };
        refused(alerts.subscribe_forwarded(request).await, Code::InvalidArgument, &words("models"));
        let mut counts = CountServiceClient::new(link());
        let query = v1::QueryCountsRequest { codes: codes.clone(), ..Default::default() };
        refused(counts.query_counts(query.clone()).await, Code::InvalidArgument, &words("codes"));
        let watch = v1::WatchCountsRequest { query: Some(query), interval_ms: 0 };
        refused(counts.watch_counts(watch).await, Code::InvalidArgument, &words("codes"));
        let request = v1::QueryCountsRequest { group_by: vec![1; 1_001], ..Default::default() };
        refused(counts.query_counts(request).await, Code::InvalidArgument, &words("group_by"));
        let mut reports = ReportServiceClient::new(link());
        let spans = vec![v1::Span { start_ms: 0, end_ms: 1 }];
        let request = v1::QueryDeviceCountsRequest { spans, codes: codes.clone(), ..Default::default() };
        refused(reports.query_device_counts(request).await, Code::InvalidArgument, &words("codes"));
        let request = v1::QueryInventoryRequest { operators: operators.clone(), ..Default::default() };
        refused(reports.query_inventory(request).await, Code::InvalidArgument, &words("operators"));
        let request = v1::GetMigrationSignalRequest {
            planned_device_count: 1,
            capacity_alerts_per_day: 1,
            operators: operators.clone(),
            ..Default::default()
        };
        refused(reports.get_migration_signal(request).await, Code::InvalidArgument, &words("operators"));
        let request = v1::ListDevicesRequest { operators, ..Default::default() };
        let listed = DeviceServiceClient::new(link()).list_devices(request).await;
        refused(listed, Code::InvalidArgument, &words("operators"));
        let scope = Some(v1::RuleScope { codes: codes.clone(), ..Default::default() });
        let wide = v1::SetRuleRequest { scope: scope.clone(), ..rule(12, "wide", 0) };
        refused(set(&tenants.greedy[0], wide).await, Code::InvalidArgument, &words("scope.codes"));
        let question = v1::WhatIfQuestion { only: scope, ..Default::default() };
        let message = v1::StartWhatIfRequest { question: Some(question), ..Default::default() };
        let started = WhatIfServiceClient::new(link()).start_what_if(tokio_stream::iter([message])).await;
        refused(started, Code::InvalidArgument, &words("scope.codes"));
        // As many as are allowed are as good as few.
        let request = v1::ListAlertsRequest { codes: codes[..1_000].to_vec(), ..Default::default() };
        alerts.list_alerts(request).await.unwrap();
        tenants.host
    });
}

#[test]
fn every_list_comes_in_pages_that_fit_a_message_and_programs_find_all_of_it() {
    const MESSAGE_BYTES: usize = 40_000;
    let settings = [("WEIR_INTAKE__MESSAGE_BYTES_MAX", "40000"), ("WEIR_INTAKE__BATCH_ALERTS_MAX", "500")];
    with_tenants(&settings, async |tenants| {
        use prost::Message;
        for number in 0..3_u8 {
            // Pieces of what a message may have here.
            let component = with_schema(&format!(r#"{{"title":"{}"}}"#, number.to_string().repeat(15_000))).unwrap();
            let pieces: Vec<_> = component
                .chunks(20_000)
                .map(|chunk| v1::UploadPluginRequest { chunk: chunk.to_vec(), signature: Vec::new() })
                .collect();
            let mut plugins = PluginServiceClient::new(tenants.good.link());
            plugins.upload_plugin(tokio_stream::iter(pieces)).await.unwrap();
        }
        let named = |name: &str, number: usize| {
            let parameters = format!(r#"{{"pad":"{}"}}"#, number.to_string().repeat(PARAMETERS_BYTES));
            v1::SetRuleRequest { plugin: "probe".to_owned(), parameters, ..rule(14, name, 0) }
        };
        for number in 0..6 {
            set(&tenants.good, named("history", number)).await.unwrap();
            set(&tenants.good, named(&format!("rule-{number}"), number)).await.unwrap();
        }
        let mut rules = RuleServiceClient::new(tenants.good.link());
        let (mut names, mut token) = (Vec::new(), String::new());
        loop {
            let page = rules.list_rules(v1::ListRulesRequest { page_size: 0, page_token: token }).await.unwrap();
            let page = page.into_inner();
            assert!(page.encoded_len() <= MESSAGE_BYTES && page.rules.len() <= 2, "{} rules", page.rules.len());
            names.extend(page.rules.into_iter().map(|rule| rule.name));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let expected = ["14-history", "14-rule-0", "14-rule-1", "14-rule-2", "14-rule-3", "14-rule-4", "14-rule-5"];
        assert_eq!(names, expected);
        let (mut changes, mut token) = (0, String::new());
        loop {
            let name = "14-history".to_owned();
            let request = v1::ListRuleRevisionsRequest { name, page_size: 1_000, page_token: token };
            let page = rules.list_rule_revisions(request).await.unwrap().into_inner();
            assert!(page.encoded_len() <= MESSAGE_BYTES, "{} bytes", page.encoded_len());
            changes += page.revisions.len();
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(changes, 6);
        let mut reports = ReportServiceClient::new(tenants.good.link());
        let (mut changes, mut token) = (0, String::new());
        loop {
            let request = v1::ListRuleChangesRequest { page_token: token, ..Default::default() };
            let page = reports.list_rule_changes(request).await.unwrap().into_inner();
            assert!(page.encoded_len() <= MESSAGE_BYTES, "{} bytes", page.encoded_len());
            changes += page.changes.len();
            assert_eq!(page.left_out_count as usize, 12 - changes);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(changes, 12);
        let mut plugins = PluginServiceClient::new(tenants.good.link());
        let first = plugins.list_plugins(v1::ListPluginsRequest::default()).await.unwrap().into_inner();
        assert!(first.encoded_len() <= MESSAGE_BYTES && !first.next_page_token.is_empty(), "two of three schemas fit");
        let request = v1::ListPluginsRequest { page_size: 0, page_token: first.next_page_token };
        let second = plugins.list_plugins(request).await.unwrap().into_inner();
        assert_eq!(first.plugins.len() + second.plugins.len(), 3);
        let mut tokens = TokenServiceClient::new(tenants.admin.link());
        let first = tokens.list_tokens(v1::ListTokensRequest { page_size: 2, ..Default::default() }).await.unwrap();
        let first = first.into_inner();
        let request = v1::ListTokensRequest { page_size: 0, page_token: first.next_page_token };
        let rest = tokens.list_tokens(request).await.unwrap().into_inner();
        assert_eq!((first.tokens.len(), rest.tokens.len()), (2, 3));
        tenants.host
    });
}

#[test]
fn unfinished_candidates_take_room_of_their_operator_alone() {
    let settings = [
        ("WEIR_PLUGINS__OPERATOR__UPLOAD_BYTES_MAX", "4194304"),
        ("WEIR_ACCESS__OPERATOR_BYTES_IN_FLIGHT_MAX", "8388608"),
    ];
    with_tenants(&settings, async |tenants| {
        push_guest(&tenants).await;
        for (client, operator) in [(&tenants.greedy[0], 12), (&tenants.good, 14)] {
            set(client, rule(operator, "one", 0)).await.unwrap();
        }
        let question = |operator: u32| v1::StartWhatIfRequest {
            question: Some(v1::WhatIfQuestion { rule: format!("{operator}-one"), ..Default::default() }),
            ..Default::default()
        };
        let (ends, unfinished): (Vec<_>, Vec<_>) = (0..2)
            .map(|at| {
                let (end, ended) = tokio::sync::mpsc::channel::<v1::StartWhatIfRequest>(4);
                end.try_send(question(12)).unwrap();
                end.try_send(v1::StartWhatIfRequest { chunk: vec![0; 1 << 20], ..Default::default() }).unwrap();
                let mut questions = WhatIfServiceClient::new(tenants.greedy[at].link());
                let pieces = tokio_stream::wrappers::ReceiverStream::new(ended);
                (end, tokio::spawn(async move { questions.start_what_if(pieces).await }))
            })
            .unzip();
        // Both have their room once the host has read what they sent.
        sleep(A_WHILE).await;
        let ask = |client: &Client, operator: u32| {
            let mut questions = WhatIfServiceClient::new(client.link());
            let message = question(operator);
            async move { questions.start_what_if(tokio_stream::iter([message])).await }
        };
        let mut third = Box::pin(ask(&tenants.greedy[1], 12));
        assert!(timeout(A_WHILE, &mut third).await.is_err(), "it waits for the room of its operator's others");
        timeout(SOON, ask(&tenants.good, 14)).await.expect("others have room of their own").unwrap();
        drop(ends);
        for stream in unfinished {
            assert!(timeout(SOON, stream).await.unwrap().unwrap().is_err(), "a candidate of zeros is none");
        }
        timeout(SOON, third).await.expect("there is room again").unwrap();
        tenants.host
    });
}

#[test]
fn a_cancelled_upload_ends_its_compiler_and_others_get_their_turn() {
    with_tenants(&[], async |tenants| {
        // A component that takes a minute and more, of each token: the second waits for the first.
        let bomb = bomb(400_000);
        let uploads: Vec<_> = tenants
            .greedy
            .iter()
            .cloned()
            .map(|client| {
                let bomb = bomb.clone();
                tokio::spawn(async move { client.upload(&bomb).await.map(drop) })
            })
            .collect();
        until(|| tenants.host.children().len() == 1).await;
        sleep(A_WHILE).await;
        assert_eq!(tenants.host.children().len(), 1, "an operator compiles one component at a time");
        timeout(SOON, tenants.good.upload(&fs::read(HOSTILE).unwrap())).await.expect("another has a turn").unwrap();
        for upload in &uploads {
            upload.abort();
        }
        until(|| tenants.host.children().is_empty()).await;
        tenants.host
    });
}

/// A valid component of one function that is much work to compile.
fn bomb(values: usize) -> Vec<u8> {
    let body: String = (0..values)
        .map(|at| {
            let (to, a, b) = (at % 500, at * 7 % 500, at * 13 % 500);
            format!("(local.set {to} (i64.add (local.get {a}) (i64.mul (local.get {b}) (i64.const {at}))))")
        })
        .collect();
    let locals = "i64 ".repeat(500);
    let text = format!(
        "(component (core module (func (export \"f\") (local {locals}) (loop {body} (br_if 0 (i64.eqz (local.get 7)))))))"
    );
    wat::parse_str(text).unwrap()
}

/// Waits until something is so; panics where it takes too long.
async fn until(is_so: impl Fn() -> bool) {
    let waited = async {
        while !is_so() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, waited).await.expect("it comes to that");
}

#[test]
fn an_answer_that_is_not_read_is_one_of_its_operators_queries_and_of_nobody_elses() {
    let mut config = engine::config();
    (config.access.identity_queries_max, config.access.queries_max) = (1, 2);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (handle, runner) = engine::start(&Disk::default(), config).unwrap();
        let of = |name: &str, operator: u32| {
            let role = Role::Operator(OperatorId::new(operator).unwrap());
            handle.for_caller(Arc::new(Identity { name: name.to_owned(), role, sender: SenderLimits::default() }))
        };
        // Held by the server until an answer was read.
        let unread = Waiting::default();
        of("greedy-a", 12).while_wanted(unread.wanted()).query(|_| Ok(())).await.unwrap();
        let greedy = of("greedy-b", 12);
        let mut waits = Box::pin(greedy.query(|_| Ok(())));
        assert!(timeout(A_WHILE, &mut waits).await.is_err());
        of("good", 14).query(|_| Ok(())).await.unwrap();
        drop(unread);
        timeout(SOON, waits).await.expect("it was read").unwrap();
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

/// Alerts of one verdict share what is known of its rule, so that a large page takes no more for large parameters.
#[test]
fn listed_alerts_of_one_verdict_share_its_rule() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (handle, runner) = engine::start(&Disk::default(), engine::config()).unwrap();
        handle.set_rule(engine::rule("hold", 0x8F40, 1)).await.unwrap();
        let alerts = (1..=100).map(|at| Ok(plain(at, 1, 0x8F40))).collect();
        handle.submit(Batch { alerts, ..Batch::default() }).await.unwrap().await.unwrap().unwrap();
        let page = handle.alerts(&AlertQuery { page_size: 100, ..AlertQuery::default() }).unwrap();
        let marks: Vec<_> = page.alerts.iter().filter_map(|alert| alert.rule.as_ref()).collect();
        assert_eq!(marks.len(), 100);
        assert!(marks.iter().all(|mark| Arc::ptr_eq(mark, marks[0])));
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

/// A small form of `cargo xtask bench tenants`, of which nothing is timed: two hostile operators do everything at once,
/// and what becomes of alerts is what becomes of them without.
#[test]
fn verdicts_beside_two_hostile_operators_are_those_of_a_run_alone() {
    let mut seen = Vec::new();
    for hostile in [false, true] {
        with_tenants(&[("WEIR_PLUGINS__COMPILE_CPU_S_MAX", "3")], async |tenants| {
            push_guest(&tenants).await;
            let suppress = v1::SetRuleRequest {
                parameters: r#"{"do":"suppress","code":"8F40"}"#.to_owned(),
                scope: Some(v1::RuleScope { operators: vec![14], codes: vec![0x8F40], ..Default::default() }),
                position: 1,
                ..rule(14, "held", 0)
            };
            set(&tenants.good, suppress).await.unwrap();
            let device = |at: u64| v1::Device {
                device_id: at,
                mpxn: String::new(),
                operator: [12, 13, 14][at as usize % 3],
                ..Default::default()
            };
            let put = v1::PutDevicesRequest { devices: (1..=300).map(device).collect(), dry_run: false };
            let mut devices = DeviceServiceClient::new(tenants.admin.link());
            devices.put_devices(tokio_stream::iter([put])).await.unwrap();
            let mut attacks = Vec::new();
            if hostile {
                for (operator, name) in [(12, "hostile-12"), (13, "hostile-13")] {
                    let scale = Scale { at_once: 4, entries: 2_000, connections: 8, rest: Duration::from_millis(20) };
                    let tokens = [tenants.token(name, operator).await];
                    attacks.push(Hostile::begin(&tenants.host.url, &tokens, operator, scale).await.unwrap());
                }
            }
            for sequence in 1..=40_u64 {
                let alerts = (1..=300_u64).map(|device_id| v1::Alert {
                    device_id,
                    originator_counter: Some(sequence),
                    code: if (device_id + sequence).is_multiple_of(2) { 0x8F40 } else { 0x8014 },
                    ..Default::default()
                });
                let request = v1::SubmitAlertsRequest { alerts: alerts.collect(), ..Default::default() };
                tenants.sender.alerts().submit_alerts(request).await.expect("every batch is acknowledged");
                assert_eq!(count(&tenants.good).await.expect("the good operator is answered"), sequence * 100);
            }
            let mut made = 0;
            for attack in attacks {
                made += attack.end().unwrap().values().sum::<u64>();
            }
            assert_eq!(made > 0, hostile);
            let by = [v1::Grouping::Code, v1::Grouping::Rule, v1::Grouping::Operator].map(i32::from).to_vec();
            let request = v1::QueryCountsRequest { group_by: by, ..Default::default() };
            let counts = CountServiceClient::new(tenants.admin.link()).query_counts(request).await.unwrap();
            seen.push(counts.into_inner().rows);
            tenants.host
        });
    }
    assert_eq!(seen[0], seen[1]);
}

/// What the audit log has of denied calls, noted and left out, is what there were; also of those before the host ended.
#[test]
fn every_denied_call_is_noted_or_counted_under_whoever_made_it() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("WEIR_AUTHENTICATE", "true"), ("WEIR_ACCESS__DENIALS_PER_MINUTE_MAX", "2")];
    let host = Host::start_with(BINARY, folder.path(), &settings);
    let admin = fs::read_to_string(folder.path().join("first-admin-token")).unwrap().trim().to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let host = runtime.block_on(async {
        let tenants = Tenants::new(host, &admin).await;
        let nobody = Client::connect(&tenants.host.url).await.unwrap();
        for (client, calls) in [(&nobody, 41), (&tenants.good, 7), (&tenants.sender, 1)] {
            for _ in 0..calls {
                let listed = TokenServiceClient::new(client.link()).list_tokens(v1::ListTokensRequest::default()).await;
                assert!(listed.is_err());
            }
        }
        tenants.host
    });
    drop(runtime);
    assert_eq!(host.stop(), Some(0));
    let host = Host::start_with(BINARY, folder.path(), &settings);
    let entries = host.json(["audit", "list", "--limit", "1000", "--json", "--token", &admin]);
    let calls_of = |who: &str| -> u64 {
        let denied = entries.iter().filter(|entry| entry["action"] == "call.denied" && entry["who"] == who);
        let calls = denied.map(|entry| {
            let detail = entry["detail"].as_str().unwrap();
            let left_out = detail.split_once(" denied calls of ").filter(|(_, rest)| rest.ends_with(" left out"));
            left_out.map_or(1, |(calls, _)| calls.parse().unwrap())
        });
        calls.sum()
    };
    assert_eq!((calls_of(""), calls_of("good"), calls_of("head-end")), (41, 7, 1), "{entries:?}");
    assert_eq!(host.stop(), Some(0));
}

impl Tenants {
    /// Makes one more token of an operator.
    async fn token(&self, name: &str, operator: u32) -> String {
        let request = v1::CreateTokenRequest {
            name: name.to_owned(),
            role: v1::Role::Operator.into(),
            operator,
            lifetime_ms: 3_600_000,
            ..Default::default()
        };
        let made = TokenServiceClient::new(self.admin.link()).create_token(request).await.unwrap();
        made.into_inner().secret
    }
}
