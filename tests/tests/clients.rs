//! Clients that are not ours: what any gRPC library may expect of a host, and the programs of docs/clients.md as they stand
//! there.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use prost::Message;
use tokio::{net::TcpStream, time::timeout};
use tonic::{Code, Status, codegen::http, transport::Channel};
use tonic_types::StatusExt;
use weir_host::{
    listing::AlertQuery,
    pipeline::{Batch, Refusal, Waiting},
};
use weir_proto::v1::{
    self, Alert, Device, ListAlertsRequest, ListDevicesRequest, PutDevicesRequest, QueryCountsRequest,
    SubmitAlertsRequest, alert_service_client::AlertServiceClient, count_service_client::CountServiceClient,
    device_service_client::DeviceServiceClient, rule_service_client::RuleServiceClient,
};
use weir_tests::{disk::Disk, engine, host::Host, python, workload::plain};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const SOON: Duration = Duration::from_secs(20);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn with_host<F: Future<Output = ()>>(settings: &[(&str, &str)], test: impl FnOnce(Channel) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, folder.path(), settings);
    let runtime = runtime();
    runtime.block_on(async {
        test(Channel::from_shared(host.url.clone()).unwrap().connect().await.expect("the host listens")).await;
    });
    drop(runtime);
    assert_eq!(host.stop(), Some(0));
}

fn alerts(counters: std::ops::Range<u64>) -> SubmitAlertsRequest {
    let alert = |counter| Alert {
        device_id: counter % 7 + 1,
        code: 0x8F40,
        originator_counter: Some(counter),
        measurement: counter.is_multiple_of(2).then_some(0),
        ..Alert::default()
    };
    SubmitAlertsRequest { alerts: counters.map(alert).collect(), ..SubmitAlertsRequest::default() }
}

/// A status' reason, which must be one of ours.
#[track_caller]
fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("{status:?} has no reason"));
    assert_eq!(info.domain, "weir");
    info.reason
}

#[test]
fn a_refusal_has_details_that_a_program_can_act_on() {
    with_host(&[("WEIR_PLUGINS__UPLOAD_BYTES_MAX", "1024")], async |channel| {
        let mut client = AlertServiceClient::new(channel.clone());
        let wrong = ListAlertsRequest { codes: vec![0x8F40, 70_000], ..ListAlertsRequest::default() };
        let wrong = client.list_alerts(wrong).await.unwrap_err();
        assert_eq!((wrong.code(), reason(&wrong).as_str()), (Code::InvalidArgument, "FIELD_INVALID"));
        let violation = wrong.get_details_bad_request().unwrap().field_violations.remove(0);
        assert_eq!(violation.field, "codes[1]");
        assert!(violation.description.contains("70000") && violation.description.contains("65535"), "{violation:?}");
        assert_eq!(wrong.message(), format!("{}: {}", violation.field, violation.description));

        let missing = v1::RemoveRuleRequest { name: "strm".into(), ..v1::RemoveRuleRequest::default() };
        let missing = RuleServiceClient::new(channel.clone()).remove_rule(missing).await.unwrap_err();
        assert_eq!((missing.code(), reason(&missing).as_str()), (Code::NotFound, "NAME_NOT_FOUND"));
        let resource = missing.get_details_resource_info().unwrap();
        assert_eq!((resource.resource_type.as_str(), resource.resource_name.as_str()), ("rule", "strm"));

        let gap = SubmitAlertsRequest { producer_id: "p".into(), sequence: 9, ..alerts(0..1) };
        let gap = client.submit_alerts(gap).await.unwrap_err();
        assert_eq!((gap.code(), reason(&gap).as_str()), (Code::FailedPrecondition, "STATE_CONTRADICTS"));
        assert!(gap.get_details_precondition_failure().unwrap().violations[0].description.contains("leaves a gap"));

        let large = v1::UploadPluginRequest { chunk: vec![0; 1_025], ..v1::UploadPluginRequest::default() };
        let mut plugins = v1::plugin_service_client::PluginServiceClient::new(channel);
        let large = plugins.upload_plugin(tokio_stream::iter([large])).await.unwrap_err();
        assert_eq!((large.code(), reason(&large).as_str()), (Code::ResourceExhausted, "LIMIT_REACHED"));
        assert!(large.get_details_quota_failure().unwrap().violations[0].description.contains("upload_bytes_max"));
        assert!(large.get_details_retry_info().is_none(), "waiting does not help");
    });
}

#[test]
fn a_caller_that_is_held_back_is_told_for_how_long() {
    let settings =
        [("WEIR_ACCESS__IDENTITY_CALLS_PER_SECOND_MAX", "10"), ("WEIR_ACCESS__IDENTITY_CALLS_BURST_MAX", "2")];
    with_host(&settings, async |channel| {
        let mut client = CountServiceClient::new(channel);
        let over = loop {
            if let Err(status) = client.query_counts(QueryCountsRequest::default()).await {
                break status;
            }
        };
        assert_eq!((over.code(), reason(&over).as_str()), (Code::ResourceExhausted, "RATE_EXCEEDED"));
        let wait = over.get_details_retry_info().unwrap().retry_delay.unwrap();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(100), "{wait:?}");
        tokio::time::sleep(wait + Duration::from_millis(20)).await;
        client.query_counts(QueryCountsRequest::default()).await.expect("so long it was");
    });
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, folder.path(), &[("WEIR_AUTHENTICATE", "true")]);
    runtime().block_on(async {
        let channel = Channel::from_shared(host.url.clone()).unwrap().connect().await.unwrap();
        let unknown = CountServiceClient::new(channel).query_counts(QueryCountsRequest::default()).await.unwrap_err();
        assert_eq!((unknown.code(), reason(&unknown).as_str()), (Code::Unauthenticated, "CALLER_UNKNOWN"));
    });
    assert_eq!(host.stop(), Some(0));
}

/// Lists alerts by HTTP/2 alone: a library for gRPC would keep the deadline by itself.
async fn list_within(url: &str, deadline: &str, request: ListAlertsRequest) -> Status {
    let stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let message = request.encode_to_vec();
    let framed = [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat();
    let call = http::Request::post(format!("{url}/weir.v1.AlertService/ListAlerts"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", deadline);
    let (answer, mut body) = client.ready().await.unwrap().send_request(call.body(()).unwrap(), false).unwrap();
    body.send_data(framed.into(), true).unwrap();
    let mut answer = timeout(SOON, answer).await.expect("it answers").unwrap();
    if let Some(status) = Status::from_header_map(answer.headers()) {
        return status;
    }
    while let Some(data) = answer.body_mut().data().await {
        let length = data.unwrap().len();
        answer.body_mut().flow_control().release_capacity(length).unwrap();
    }
    let trailers = answer.body_mut().trailers().await.unwrap().expect("a call ends with a status");
    Status::from_header_map(&trailers).expect("a call ends with a status")
}

#[test]
fn a_deadline_is_kept_by_the_host_too() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, folder.path(), &[]);
    let url = host.url.clone();
    runtime().block_on(async {
        let channel = Channel::from_shared(url.clone()).unwrap().connect().await.unwrap();
        AlertServiceClient::new(channel).submit_alerts(alerts(0..5_000)).await.unwrap();
        let all = || ListAlertsRequest { page_size: 5_000, ..ListAlertsRequest::default() };
        let late = list_within(&url, "100u", all()).await;
        assert_eq!((late.code(), reason(&late).as_str()), (Code::DeadlineExceeded, "CALL_TOO_LONG"));
        assert_eq!(list_within(&url, "1H", all()).await.code(), Code::Ok);
        assert_eq!(list_within(&url, "soon", all()).await.code(), Code::Ok, "what is no deadline is none");
    });
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn what_nobody_waits_for_is_given_up() {
    runtime().block_on(async {
        let (handle, runner) = engine::start(&Disk::default(), engine::config()).unwrap();
        let batch = Batch {
            producer: "p".into(),
            sequence: 1,
            alerts: (1..=3).map(|device| Ok(plain(device, 1, 0x8F40))).collect(),
            ..Batch::default()
        };
        handle.submit(batch).await.unwrap().await.unwrap().unwrap();
        let waiting = Waiting::default();
        let handle_of_call = handle.while_wanted(waiting.wanted());
        let query = AlertQuery { page_size: 10, ..AlertQuery::default() };
        assert_eq!(handle_of_call.alerts(&query).unwrap().alerts.len(), 3);
        drop(waiting);
        assert!(matches!(handle_of_call.alerts(&query), Err(Refusal::Unavailable(_))));
        assert!(matches!(handle_of_call.device_counts(&Default::default()), Err(Refusal::Unavailable(_))));
        assert!(matches!(handle_of_call.devices(&Default::default()), Err(Refusal::Unavailable(_))));
        assert!(matches!(handle_of_call.verify_audit(), Err(Refusal::Unavailable(_))));
        assert_eq!(handle.alerts(&query).unwrap().alerts.len(), 3, "others still wait for theirs");
        handle.shutdown().await.unwrap();
        runner.join();
    });
}

#[test]
fn pages_go_on_where_they_ended_while_more_arrives() {
    with_host(&[], async |channel| {
        let mut client = AlertServiceClient::new(channel.clone());
        let mut devices = DeviceServiceClient::new(channel);
        let put = |ids: std::ops::Range<u64>| {
            let devices = ids.map(|device_id| Device { device_id, ..Device::default() }).collect();
            tokio_stream::iter([PutDevicesRequest { devices, dry_run: false }])
        };
        client.submit_alerts(alerts(0..50)).await.unwrap();
        devices.put_devices(put(100..130)).await.unwrap();

        let (mut seen, mut token, mut sent) = (Vec::new(), String::new(), 50);
        loop {
            let request = ListAlertsRequest { page_size: 7, page_token: token, ..ListAlertsRequest::default() };
            let page = client.list_alerts(request).await.unwrap().into_inner();
            seen.extend(page.alerts.iter().map(|alert| alert.alert.as_ref().unwrap().originator_counter.unwrap()));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
            if sent < 80 {
                client.submit_alerts(alerts(sent..sent + 5)).await.unwrap();
                sent += 5;
            }
        }
        assert_eq!(seen, (0..sent).collect::<Vec<_>>(), "each once, in order, those that came meanwhile too");

        let (mut seen, mut token, mut put_until) = (Vec::new(), String::new(), 130);
        loop {
            let request = ListDevicesRequest { page_size: 4, page_token: token, ..ListDevicesRequest::default() };
            let page = devices.list_devices(request).await.unwrap().into_inner();
            seen.extend(page.devices.iter().map(|listed| listed.device_id));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
            if put_until < 150 {
                devices.put_devices(put(put_until..put_until + 3)).await.unwrap();
                put_until += 3;
            }
        }
        let expected: BTreeSet<u64> = (1..8).chain(100..put_until).collect();
        assert_eq!((seen.len(), seen.into_iter().collect::<BTreeSet<u64>>()), (expected.len(), expected));

        let made_up = ListAlertsRequest { page_token: "7".into(), ..ListAlertsRequest::default() };
        let violations = client.list_alerts(made_up).await.unwrap_err().get_details_bad_request().unwrap();
        assert_eq!(violations.field_violations[0].field, "page_token");
        let made_up = ListDevicesRequest { page_token: "p7".into(), ..ListDevicesRequest::default() };
        let status = devices.list_devices(made_up).await.unwrap_err();
        assert!(status.message().contains("page_token: \"p7\" did not come from this host"), "{status:?}");
    });
}

#[test]
fn what_is_absent_and_what_is_nothing_are_told_apart() {
    with_host(&[], async |channel| {
        let mut client = AlertServiceClient::new(channel.clone());
        client.submit_alerts(alerts(0..2)).await.unwrap();
        let listed = client.list_alerts(ListAlertsRequest::default()).await.unwrap().into_inner().alerts;
        let alert = |at: usize| listed[at].alert.clone().unwrap();
        assert_eq!((alert(0).originator_counter, alert(0).measurement), (Some(0), Some(0)));
        assert_eq!((alert(1).originator_counter, alert(1).measurement), (Some(1), None));
        assert!(listed.iter().all(|logged| logged.rule.is_none()));
        let by = |group_by: &[v1::Grouping]| QueryCountsRequest {
            group_by: group_by.iter().map(|by| (*by).into()).collect(),
            ..QueryCountsRequest::default()
        };
        let mut counts = CountServiceClient::new(channel);
        let row = counts.query_counts(by(&[v1::Grouping::Operator])).await.unwrap().into_inner().rows.remove(0);
        assert_eq!((row.operator, row.code, row.generation), (Some(0), None, None));
    });
}

fn page() -> String {
    fs::read_to_string(root().join("docs/clients.md")).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The first block of a language.
fn block(page: &str, language: &str) -> String {
    blocks(page, language).remove(0)
}

/// The blocks of a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    let rests = page.split(&begin).skip(1);
    rests.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_programs_in_python_do_what_their_page_says() {
    let page = page();
    let packages = page.split("pip install ").nth(1).unwrap().lines().next().unwrap().to_owned();
    let packages: Vec<&str> = packages.split(' ').collect();
    let python = match python::with("clients-python", &packages, env!("CARGO_TARGET_TMPDIR")) {
        Ok(python) => python,
        Err(why) => {
            // The same is done in Rust above. Past what cargo keeps of a test that is fine.
            writeln!(io::stderr(), "NOT RUN in Python, for there is none with gRPC: {why}").unwrap();
            return;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], url: &str| {
        let output = Command::new(&python).args(arguments).current_dir(folder.path()).env("WEIR_SERVER", url).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let protocol = root().join("proto");
    let files = fs::read_dir(protocol.join("weir/v1")).unwrap().map(|file| file.unwrap().path().display().to_string());
    let files: Vec<String> = files.collect();
    let include = format!("-I{}", protocol.display());
    let mut protoc = vec!["-m", "grpc_tools.protoc", &include, "--python_out=.", "--grpc_python_out=."];
    protoc.extend(files.iter().map(String::as_str));
    run(&protoc, "");
    for (name, program) in ["alerts.py", "follow.py"].into_iter().zip(blocks(&page, "python")) {
        assert!(program.starts_with(&format!("# {name}: ")), "{program}");
        fs::write(folder.path().join(name), program).unwrap();
    }

    let host = Host::start(BINARY, &folder.path().join("data"));
    let expected = block(&page, "text");
    assert_eq!(run(&["alerts.py"], &host.url), expected);
    let again: String = expected.lines().skip(4).map(|line| format!("{line}\n")).collect();
    assert_eq!(run(&["alerts.py"], &host.url), again, "it has nothing more to send");
    let positions = |text: String| -> Vec<u64> {
        let lines = text.lines().map(|line| line.strip_suffix(": 8F40 00DB1234567890A0").unwrap().parse().unwrap());
        lines.collect()
    };
    assert_eq!(positions(run(&["follow.py", "500"], &host.url)), (0..500).collect::<Vec<u64>>());
    assert_eq!(positions(run(&["follow.py", "500"], &host.url)), (500..1_000).collect::<Vec<u64>>(), "it goes on");
    assert_eq!(host.stop(), Some(0));
}
