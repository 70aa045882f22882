//! Promise 1 through the real binary: it is killed under load, again and again, and nothing acknowledged is lost or
//! counted twice.

use std::time::Duration;

use tokio_stream::wrappers::ReceiverStream;
use weir_proto::v1::{
    Alert, BatchAck, GetProducerRequest, GetProducerResponse, QueryCountsRequest, StreamAlertsRequest,
    SubmitAlertsRequest, alert_service_client::AlertServiceClient, count_service_client::CountServiceClient,
};
use weir_tests::{
    host::Host,
    workload::{Random, seed},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const ROUNDS: u64 = 20;
const PRODUCER: &str = "kill-test";
const DEVICES: u64 = 3000;

/// Alerts of one batch: 60 held by the threshold, 20 above it, 10 protected, and a copy of each of those 10.
fn alerts(sequence: u64) -> Vec<Alert> {
    let alert = |at: u64, code: u32, dv: i32| {
        let number = sequence * 1000 + at;
        Alert {
            device_id: 1 + number % DEVICES,
            recipient_id: 7,
            originator_counter: Some(number),
            code,
            measurement: Some(dv),
            ..Alert::default()
        }
    };
    let held = (0..60).map(|at| alert(at, 0x8F40, 2550));
    let passed = (60..80).map(|at| alert(at, 0x8F40, 2600));
    let protected = (80..90).map(|at| alert(at, 0x8F36, 0));
    held.chain(passed).chain(protected.clone()).chain(protected).collect()
}

fn request(sequence: u64) -> StreamAlertsRequest {
    let bookmark = sequence.to_be_bytes().to_vec();
    StreamAlertsRequest {
        producer_id: PRODUCER.into(),
        sequence,
        alerts: alerts(sequence),
        unreadable_count: 1,
        bookmark,
        ephemeral: false,
    }
}

async fn connect(url: &str) -> tonic::transport::Channel {
    let endpoint = tonic::transport::Endpoint::from_shared(url.to_owned()).expect("the host gives a URL");
    endpoint.connect().await.expect("the host listens")
}

/// Streams batches from `next` on until the host dies; gives the acks.
async fn load(url: String, next: u64) -> Vec<BatchAck> {
    let mut client = AlertServiceClient::new(connect(&url).await);
    let (sender, receiver) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        for sequence in next.. {
            if sender.send(request(sequence)).await.is_err() {
                break;
            }
        }
    });
    let mut acks = Vec::new();
    let Ok(response) = client.stream_alerts(ReceiverStream::new(receiver)).await else { return acks };
    let mut answers = response.into_inner();
    while let Ok(Some(answer)) = answers.message().await {
        acks.push(answer.ack.expect("an answer has an ack"));
    }
    acks
}

/// The host's own word on where the producer stands, checked against what it acknowledged.
async fn check(url: &str, acks: &[BatchAck]) -> u64 {
    let mut client = AlertServiceClient::new(connect(url).await);
    let request = GetProducerRequest { producer_id: PRODUCER.into() };
    let GetProducerResponse { last_sequence: last, bookmark } =
        client.get_producer(request).await.expect("an answer").into_inner();
    assert_eq!(bookmark, if last == 0 { Vec::new() } else { last.to_be_bytes().to_vec() }, "it is kept with the batch");
    let acked = acks.last().map_or(0, |ack| ack.sequence);
    assert!(last >= acked, "batch {acked} was acknowledged and is gone; the last is {last}");
    // What was committed and never read here may have pushed older answers out: the host keeps the last 32.
    for ack in acks.iter().rev().filter(|ack| ack.sequence + 32 > last).take(5) {
        let StreamAlertsRequest { producer_id, sequence, alerts, unreadable_count, bookmark, ephemeral } =
            self::request(ack.sequence);
        let again = SubmitAlertsRequest { producer_id, sequence, alerts, unreadable_count, bookmark, ephemeral };
        let again = client.submit_alerts(again).await.expect("an answer").into_inner().ack;
        assert_eq!(again.as_ref(), Some(ack), "a resend gets the same answer");
    }
    let mut counts = CountServiceClient::new(connect(url).await);
    let total = counts.query_counts(QueryCountsRequest::default()).await.expect("an answer").into_inner().total;
    let balance = total.and_then(|total| total.balance).expect("a total has a balance");
    let found = (balance.forwarded, balance.suppressed, balance.rejected, balance.duplicate);
    assert_eq!(found, (last * 30, last * 60, last, last * 10), "{last} batches are there");
    assert_eq!(balance.received, last * 101);
    last
}

#[test]
fn killed_under_load_it_keeps_what_it_acknowledged() {
    let mut random = Random::new(seed(20_261_123));
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();

    let host = Host::start(BINARY, folder.path());
    host.json(["plugin", "push", env!("WEIR_GUEST_THRESHOLD"), "--json"]);
    let parameters = r#"{"codes":["8F40"],"below_dv":2580}"#;
    host.json(["rule", "set", "voltage", "--plugin", "threshold", "--parameters", parameters, "--json"]);
    host.kill();

    let mut last = 0;
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let host = Host::start(BINARY, folder.path());
        let load = runtime.spawn(load(host.url.clone(), last + 1));
        std::thread::sleep(Duration::from_millis(20 + random.below(150)));
        host.kill();
        let acks = runtime.block_on(load).unwrap();
        acknowledged += acks.len();

        let host = Host::start(BINARY, folder.path());
        last = runtime.block_on(check(&host.url, &acks));
        if round % 4 == 0 {
            assert_eq!(host.stop(), Some(0), "SIGTERM drains and exits with 0");
        } else {
            host.kill();
        }
    }
    println!("{ROUNDS} rounds, {acknowledged} batches acknowledged, {last} kept");
    assert!(acknowledged > 100, "there was load: {acknowledged} batches");
}
