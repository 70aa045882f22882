//! The limits of the protocol over a real connection, and what a client can ask a host about itself: each limit has its
//! status code, names the field and the setting, and costs nobody but who went over it.

use std::time::Duration;

use tokio::time::timeout;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::{
    v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    },
    v1alpha,
};
use weir_proto::v1::{
    Alert, Device, GetProducerRequest, ListPluginsRequest, PutDevicesRequest, QueryCountsRequest, StreamAlertsRequest,
    StreamAlertsResponse, SubmitAlertsRequest, UploadPluginRequest, alert_service_client::AlertServiceClient,
    count_service_client::CountServiceClient, device_service_client::DeviceServiceClient,
    plugin_service_client::PluginServiceClient,
};
use weir_tests::host::Host;

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
/// Long enough to see that something waits.
const A_WHILE: Duration = Duration::from_millis(300);
/// Long enough for anything that does not wait.
const SOON: Duration = Duration::from_secs(20);

/// A host with these settings in a folder of its own, and a test on it.
fn with_host<F: Future<Output = ()>>(settings: &[(&str, &str)], test: impl FnOnce(String) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, folder.path(), settings);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test(host.url.clone()));
    drop(runtime);
    assert_eq!(host.stop(), Some(0));
}

async fn connect(url: &str) -> Channel {
    Channel::from_shared(url.to_owned()).unwrap().connect().await.expect("the host listens")
}

fn alerts(count: u64) -> Vec<Alert> {
    (1..=count).map(|device_id| Alert { device_id, code: 0x8F40, ..Alert::default() }).collect()
}

fn batch(sequence: u64, count: u64) -> StreamAlertsRequest {
    StreamAlertsRequest {
        producer_id: "wire".into(),
        sequence,
        alerts: alerts(count),
        ..StreamAlertsRequest::default()
    }
}

async fn received(channel: &Channel) -> u64 {
    let counts = CountServiceClient::new(channel.clone()).query_counts(QueryCountsRequest::default()).await;
    counts.expect("an answer").into_inner().total.unwrap().balance.unwrap().received
}

#[track_caller]
fn assert_status(status: &Status, code: Code, words: &[&str]) {
    assert_eq!(status.code(), code, "{status:?}");
    for word in words {
        assert!(status.message().contains(word), "{word:?} is not named in {:?}", status.message());
    }
}

#[test]
fn a_batch_that_is_too_long_ends_its_stream_and_loses_nothing_before_it() {
    with_host(&[("WEIR_INTAKE__BATCH_ALERTS_MAX", "100")], async |url| {
        let channel = connect(&url).await;
        let mut client = AlertServiceClient::new(channel.clone());
        let batches = tokio_stream::iter([batch(1, 100), batch(2, 60), batch(3, 101), batch(4, 1)]);
        let answers = client.stream_alerts(batches).await.unwrap().into_inner();
        let mut answers: Vec<Result<StreamAlertsResponse, Status>> = answers.collect().await;
        let end = answers.pop().unwrap().unwrap_err();
        assert_status(&end, Code::InvalidArgument, &["alerts: ", "101", "batch_alerts_max (100)"]);
        let acked: Vec<u64> = answers.into_iter().map(|answer| answer.unwrap().ack.unwrap().sequence).collect();
        assert_eq!(acked, [1, 2]);
        assert_eq!(received(&channel).await, 160);

        let StreamAlertsRequest { producer_id, sequence, alerts, unreadable_count, bookmark, ephemeral } =
            batch(3, 101);
        let alone = client
            .submit_alerts(SubmitAlertsRequest { producer_id, sequence, alerts, unreadable_count, bookmark, ephemeral })
            .await;
        assert_status(&alone.unwrap_err(), Code::InvalidArgument, &["alerts: ", "batch_alerts_max (100)"]);
        let producer = client.get_producer(GetProducerRequest { producer_id: "wire".into() }).await.unwrap();
        assert_eq!(producer.into_inner().last_sequence, 2);
    });
}

#[test]
fn a_message_that_is_too_large_is_not_read() {
    with_host(&[("WEIR_INTAKE__MESSAGE_BYTES_MAX", "1024")], async |url| {
        let channel = connect(&url).await;
        let mut client = AlertServiceClient::new(channel.clone());
        let large = SubmitAlertsRequest { alerts: alerts(200), ..SubmitAlertsRequest::default() };
        assert_status(&client.submit_alerts(large).await.unwrap_err(), Code::OutOfRange, &["1024"]);
        let small = SubmitAlertsRequest { alerts: alerts(5), ..SubmitAlertsRequest::default() };
        client.submit_alerts(small).await.expect("the connection goes on");
        assert_eq!(received(&channel).await, 5);
    });
}

#[test]
fn lists_of_devices_and_uploads_have_their_limit() {
    let settings = [("WEIR_INTAKE__PUT_DEVICES_MAX", "10"), ("WEIR_PLUGINS__UPLOAD_BYTES_MAX", "4096")];
    with_host(&settings, async |url| {
        let channel = connect(&url).await;
        let devices = |count| (1..=count).map(|device_id| Device { device_id, ..Device::default() }).collect();
        let messages = [
            PutDevicesRequest { devices: devices(10), dry_run: false },
            PutDevicesRequest { devices: devices(11), dry_run: false },
        ];
        let put = DeviceServiceClient::new(channel.clone()).put_devices(tokio_stream::iter(messages)).await;
        assert_status(&put.unwrap_err(), Code::InvalidArgument, &["devices: ", "put_devices_max (10)"]);

        let mut plugins = PluginServiceClient::new(channel);
        let piece = || UploadPluginRequest { chunk: vec![0; 1000], ..UploadPluginRequest::default() };
        let upload = plugins.upload_plugin(tokio_stream::iter((0..5).map(move |_| piece()))).await;
        assert_status(&upload.unwrap_err(), Code::ResourceExhausted, &["component", "upload_bytes_max (4096)"]);
        let whole = plugins.upload_plugin(tokio_stream::iter((0..4).map(move |_| piece()))).await;
        assert_status(&whole.unwrap_err(), Code::InvalidArgument, &["chunk: ", "not a WebAssembly binary"]);
        let kept = plugins.list_plugins(ListPluginsRequest::default()).await.unwrap().into_inner().plugins;
        assert_eq!(kept, []);
    });
}

/// A stream that stays open until its sender is dropped.
async fn hold_stream(channel: &Channel) -> (tokio::sync::mpsc::Sender<StreamAlertsRequest>, impl Sized) {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let answers = AlertServiceClient::new(channel.clone()).stream_alerts(ReceiverStream::new(receiver)).await;
    (sender, answers.unwrap().into_inner())
}

#[test]
fn one_stream_too_many_waits_its_turn() {
    with_host(&[("WEIR_INTAKE__STREAMS_PER_CONNECTION_MAX", "2")], async |url| {
        let channel = connect(&url).await;
        let (first, second) = (hold_stream(&channel).await, hold_stream(&channel).await);
        let mut third = tokio::spawn({
            let channel = channel.clone();
            async move { received(&channel).await }
        });
        assert!(timeout(A_WHILE, &mut third).await.is_err(), "two streams are open: the third call waits");
        assert_eq!(timeout(SOON, received(&connect(&url).await)).await, Ok(0), "nobody else waits");
        drop(second);
        assert_eq!(timeout(SOON, third).await.expect("a stream has ended").unwrap(), 0);
        drop(first);
    });
}

#[test]
fn one_connection_too_many_waits_its_turn() {
    with_host(&[("WEIR_INTAKE__CONNECTIONS_MAX", "1")], async |url| {
        let first = connect(&url).await;
        assert_eq!(received(&first).await, 0);
        let mut second = tokio::spawn(async move { received(&connect(&url).await).await });
        assert!(timeout(A_WHILE, &mut second).await.is_err(), "one connection is open: the second waits");
        drop(first);
        assert_eq!(timeout(SOON, second).await.expect("the first is closed").unwrap(), 0);
    });
}

#[test]
fn a_host_tells_its_health_and_describes_its_protocol() {
    with_host(&[], async |url| {
        let channel = connect(&url).await;
        let mut health = HealthClient::new(channel.clone());
        let unknown = health.check(HealthCheckRequest { service: "weir.v1.NoService".to_owned() }).await;
        assert_eq!(unknown.unwrap_err().code(), Code::NotFound);

        let ask = |question| ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        let symbol = MessageRequest::FileContainingSymbol("weir.v1.BatchAck".to_owned());
        // What a refusal says beside its words, for tools that show it.
        let details = MessageRequest::FileContainingSymbol("google.rpc.BadRequest".to_owned());
        let list = MessageRequest::ListServices(String::new());
        let questions = tokio_stream::iter([list, symbol, details].map(ask));
        let mut reflection = ServerReflectionClient::new(channel);
        let mut answers = reflection.server_reflection_info(questions).await.unwrap().into_inner();
        let Some(MessageResponse::ListServicesResponse(list)) = answers.next().await.unwrap().unwrap().message_response
        else {
            panic!("the services are listed");
        };
        let listed: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
        let ours: Vec<&str> = listed.iter().map(String::as_str).filter(|name| name.starts_with("weir.v1.")).collect();
        assert!(ours.len() > 10, "{listed:?}");
        for service in ours.into_iter().chain([""]) {
            let check = health.check(HealthCheckRequest { service: service.to_owned() }).await;
            let check = check.unwrap_or_else(|status| panic!("{service}: {status:?}"));
            assert_eq!(check.into_inner().status(), ServingStatus::Serving, "{service}");
        }
        for _ in 0..2 {
            let file = answers.next().await.unwrap().unwrap().message_response;
            assert!(matches!(file, Some(MessageResponse::FileDescriptorResponse(_))), "{file:?}");
        }

        // As tools ask that know no newer version of it.
        let ask = v1alpha::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(String::new())),
        };
        let mut reflection = v1alpha::server_reflection_client::ServerReflectionClient::new(connect(&url).await);
        let answers = reflection.server_reflection_info(tokio_stream::once(ask)).await.unwrap();
        let answer = answers.into_inner().next().await.unwrap().unwrap().message_response;
        let Some(v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list)) = answer else {
            panic!("the services are listed: {answer:?}");
        };
        assert!(list.service.iter().any(|service| service.name == "weir.v1.AlertService"), "{list:?}");
    });
}
