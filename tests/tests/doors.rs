//! What a client can do to others, through the real binary: each limit is hit by one identity while another works on,
//! and every batch of the other is acknowledged.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{
    Code, Request, Status, Streaming,
    codegen::{Bytes, http},
    transport::Channel,
};
use weir_proto::v1::{
    Alert, GetProducerRequest, StreamAlertsRequest, StreamAlertsResponse, UploadPluginRequest,
    alert_service_client::AlertServiceClient, plugin_service_client::PluginServiceClient,
};
use weir_tests::{attack::Raw, host::Host};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
/// Long enough to see that something waits.
const A_WHILE: Duration = Duration::from_millis(300);
/// Long enough for anything that does not wait.
const SOON: Duration = Duration::from_secs(20);
/// What the good identity rests after each batch, so that it is within every limit here however fast the machine is.
const PACE: Duration = Duration::from_millis(5);
/// Batches that are sent in peace, to compare with.
const CALM: usize = 50;

const STREAM: &str = "/weir.v1.AlertService/StreamAlerts";
const PRODUCER: &str = "/weir.v1.AlertService/GetProducer";

/// Whoever holds a token.
#[derive(Clone)]
struct Holder {
    url: String,
    token: String,
}

impl Holder {
    fn new(host: &Host, admin: &str, name: &str) -> Self {
        Self::with_role(host, admin, name, &["ingest"])
    }

    fn with_role(host: &Host, admin: &str, name: &str, role: &[&str]) -> Self {
        let made = host.json([&["token", "create", name, "--json", "--token", admin, "--role"], role].concat());
        Self { url: host.url.clone(), token: made[0]["secret"].as_str().unwrap().to_owned() }
    }

    async fn connect(&self) -> Client {
        let channel = Channel::from_shared(self.url.clone()).unwrap().connect().await.expect("the host listens");
        Client { client: AlertServiceClient::new(channel.clone()), channel, bearer: format!("Bearer {}", self.token) }
    }

    /// Speaks HTTP/2 frame by frame; what it is sent it takes only within a window of so many bytes, until told that
    /// there is no such bound any more. The task ends with the connection.
    async fn by_hand(
        &self,
        window: u32,
    ) -> (h2::client::SendRequest<Bytes>, oneshot::Sender<()>, JoinHandle<Result<(), h2::Error>>) {
        let stream = tokio::net::TcpStream::connect(self.url.trim_start_matches("http://")).await.unwrap();
        let mut builder = h2::client::Builder::new();
        let (client, mut connection) = builder.initial_window_size(window).handshake(stream).await.unwrap();
        let (open, opened) = oneshot::channel();
        let driven = tokio::spawn(async move {
            tokio::select! {
                ended = &mut connection => return ended,
                Ok(()) = opened => connection.set_initial_window_size(65_535)?,
            }
            connection.await
        });
        (client.ready().await.unwrap(), open, driven)
    }

    fn request(&self, path: &str) -> http::Request<()> {
        let builder = http::Request::post(format!("http://weir{path}")).header("content-type", "application/grpc");
        builder.header("te", "trailers").header("authorization", format!("Bearer {}", self.token)).body(()).unwrap()
    }
}

/// A client with a token.
#[derive(Clone)]
struct Client {
    client: AlertServiceClient<Channel>,
    channel: Channel,
    bearer: String,
}

impl Client {
    fn with_token<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer.parse().unwrap());
        request
    }

    async fn call(&self) -> Result<u64, Status> {
        let request = self.with_token(GetProducerRequest { producer_id: "good".into() });
        Ok(self.client.clone().get_producer(request).await?.into_inner().last_sequence)
    }

    async fn stream(&self) -> Result<(mpsc::Sender<StreamAlertsRequest>, Streaming<StreamAlertsResponse>), Status> {
        let (sender, receiver) = mpsc::channel(1);
        let request = self.with_token(ReceiverStream::new(receiver));
        Ok((sender, self.client.clone().stream_alerts(request).await?.into_inner()))
    }
}

fn batch(producer: &str, sequence: u64, count: u64) -> StreamAlertsRequest {
    let alerts = (1..=count).map(|device_id| Alert { device_id, code: 0x8F40, ..Alert::default() }).collect();
    StreamAlertsRequest { producer_id: producer.into(), sequence, alerts, ..StreamAlertsRequest::default() }
}

/// A message as it is framed.
fn framed(message: &StreamAlertsRequest) -> Bytes {
    let bytes = prost::Message::encode_to_vec(message);
    [&[0][..], &(bytes.len() as u32).to_be_bytes(), &bytes].concat().into()
}

#[track_caller]
fn assert_status(status: &Status, code: Code, words: &[&str]) {
    assert_eq!(status.code(), code, "{status:?}");
    for word in words {
        assert!(status.message().contains(word), "{word:?} is not named in {:?}", status.message());
    }
}

/// Sends batches one by one, each with a call beside it, until told to stop and at least so many; gives how long each
/// took. All of it must go well.
async fn work(client: &Client, from: u64, at_least: usize, stop: &AtomicBool) -> Vec<Duration> {
    let (sender, mut answers) = client.stream().await.expect("a stream");
    let mut took = Vec::new();
    for sequence in from.. {
        if took.len() >= at_least && stop.load(Ordering::Relaxed) {
            break;
        }
        let sent = Instant::now();
        sender.send(batch("good", sequence, 200)).await.expect("the stream is read");
        let answer = timeout(SOON, answers.next()).await.expect("an answer").expect("the stream goes on");
        took.push(sent.elapsed());
        assert_eq!(answer.expect("an ack").ack.unwrap().sequence, sequence);
        assert_eq!(client.call().await.expect("a call of somebody within all limits"), sequence);
        sleep(PACE).await;
    }
    took
}

fn p99(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// A host with these settings, one identity that works on it, and what another does meanwhile, which these figures count.
fn under_attack(name: &str, settings: &[(&str, &str)], counted: &[&str], attack: impl AsyncFnOnce(Holder, Holder)) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let all = [("WEIR_AUTHENTICATE", "true"), ("WEIR_LOG", "error"), ("WEIR_METRICS_LISTEN", "127.0.0.1:0")];
    let settings = [&all, settings].concat();
    let host = Host::start_with(BINARY, &data, &settings);
    let admin = fs::read_to_string(data.join("first-admin-token")).unwrap().trim().to_owned();
    // In the role of an administrator, to whom nothing else is denied.
    let (good, bad) = (Holder::new(&host, &admin, "good"), Holder::with_role(&host, &admin, "bad", &["admin"]));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let client = good.connect().await;
        let calm = work(&client, 1, CALM, &AtomicBool::new(true)).await;
        let stop = Arc::new(AtomicBool::new(false));
        let working = tokio::spawn({
            let stop = Arc::clone(&stop);
            async move { work(&client, CALM as u64 + 1, CALM, &stop).await }
        });
        attack(good, bad).await;
        stop.store(true, Ordering::Relaxed);
        let attacked = working.await.expect("everything of the good identity went well");
        let batches = attacked.len();
        println!("{name}: p99 of an ack {:?} before, {:?} meanwhile ({batches} batches)", p99(calm), p99(attacked));
    });
    drop(runtime);
    let (_, figures) = host.http("GET /metrics");
    for sample in counted {
        assert!(figures.lines().any(|line| line.starts_with(&format!("{sample} "))), "{sample} is not in:\n{figures}");
    }
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn connections_of_one_identity() {
    under_attack(
        "connections",
        &[("WEIR_ACCESS__IDENTITY_CONNECTIONS_MAX", "4")],
        &["weir_calls_refused_total{setting=\"access.identity_connections_max\"}"],
        async |good, bad| {
            let mut open = Vec::new();
            for _ in 0..4 {
                let client = bad.connect().await;
                client.call().await.expect("within the limit");
                open.push(client);
            }
            for _ in 0..20 {
                let over = bad.connect().await;
                let words = ["access.identity_connections_max (4)", "bad", "end some"];
                assert_status(&over.call().await.unwrap_err(), Code::ResourceExhausted, &words);
            }
            good.connect().await.call().await.expect("another identity has its own");
            drop(open.pop());
            let again = async {
                while bad.connect().await.call().await.is_err() {
                    sleep(Duration::from_millis(20)).await;
                }
            };
            timeout(SOON, again).await.expect("one was closed");
        },
    );
}

#[test]
fn connections_of_nobody() {
    let settings = [("WEIR_INTAKE__CONNECTIONS_MAX", "16"), ("WEIR_ACCESS__UNIDENTIFIED_MS_MAX", "2000")];
    under_attack(
        "strangers",
        &settings,
        &["weir_clients_cut_total{why=\"crowded\"}", "weir_clients_cut_total{why=\"unidentified\"}"],
        async |good, bad| {
            // More than there is room for. Whoever is known gets in all the same, and what they have open stays.
            let strangers: Vec<Raw> = (0..64).map(|_| Raw::connect(&bad.url)).collect();
            let known = good.connect().await;
            for _ in 0..5 {
                known.call().await.expect("a call");
                good.connect().await.call().await.expect("a new connection");
            }
            let closed = tokio::task::spawn_blocking(|| {
                for mut stranger in strangers {
                    stranger.until_closed();
                }
            });
            timeout(SOON, closed).await.expect("strangers are closed").unwrap();
            known.call().await.expect("the connection of somebody who is known stays");
        },
    );
}

#[test]
fn calls_under_way() {
    under_attack(
        "streams",
        &[("WEIR_ACCESS__IDENTITY_STREAMS_MAX", "8")],
        &["weir_calls_refused_total{setting=\"access.identity_streams_max\"}"],
        async |_, bad| {
            let (first, second) = (bad.connect().await, bad.connect().await);
            let mut open = Vec::new();
            for client in [&first, &first, &first, &first, &second, &second, &second, &second] {
                open.push(client.stream().await.expect("within the limit"));
            }
            for client in [&first, &second, &first, &second] {
                let status = client.stream().await.unwrap_err();
                assert_status(&status, Code::ResourceExhausted, &["access.identity_streams_max (8)", "bad"]);
                assert_eq!(client.call().await.unwrap_err().code(), Code::ResourceExhausted);
            }
            drop(open);
            timeout(SOON, async { while first.call().await.is_err() {} }).await.expect("streams have ended");
        },
    );
}

const RATE: [(&str, &str); 2] =
    [("WEIR_ACCESS__IDENTITY_CALLS_PER_SECOND_MAX", "200"), ("WEIR_ACCESS__IDENTITY_CALLS_BURST_MAX", "400")];

#[test]
fn a_flood_of_calls() {
    under_attack(
        "calls",
        &RATE,
        &["weir_calls_refused_total{setting=\"access.identity_calls_per_second_max\"}"],
        async |_, bad| {
            let client = bad.connect().await;
            let mut floods = Vec::new();
            for _ in 0..8 {
                let client = client.clone();
                floods.push(tokio::spawn(async move {
                    loop {
                        if let Err(status) = client.call().await {
                            return status;
                        }
                    }
                }));
            }
            let mut over = Vec::new();
            for flood in floods {
                over.push(timeout(SOON, flood).await.expect("there is a limit").unwrap());
            }
            for status in over {
                let words = ["access.identity_calls_per_second_max (200)", "bad", "retry after"];
                assert_status(&status, Code::ResourceExhausted, &words);
                assert!(status.metadata().contains_key("grpc-retry-pushback-ms"), "{status:?}");
            }
            timeout(SOON, async { while client.call().await.is_err() {} }).await.expect("more come with time");
        },
    );
}

/// Opens calls and resets them, so many at a time, until the host closes the connection; gives how many.
fn reset_until_closed(bad: &Holder, at_a_time: usize, pause: Duration) -> usize {
    let mut raw = Raw::connect(&bad.url);
    raw.begin().unwrap();
    let mut reader = raw.split();
    let reading = std::thread::spawn(move || reader.until_closed());
    let mut sent = 0;
    let streams: Vec<u32> = (0..100_000).map(|at| 2 * at + 1).collect();
    for some in streams.chunks(at_a_time) {
        let opens: Vec<u8> = some.iter().flat_map(|stream| Raw::open(*stream, PRODUCER, &bad.token)).collect();
        let resets: Vec<u8> = some.iter().flat_map(|stream| Raw::reset(*stream)).collect();
        let done = raw.send(&opens).and_then(|()| {
            std::thread::sleep(pause);
            raw.send(&resets)
        });
        if done.is_err() {
            break;
        }
        sent += some.len();
    }
    reading.join().unwrap();
    sent
}

#[test]
fn calls_that_are_reset_at_once() {
    under_attack("resets", &RATE, &[], async |_, bad| {
        let attack = tokio::task::spawn_blocking(move || {
            // Before the host has taken them up, over and over; and after, so that each is work that was begun.
            let (before, after) = (Duration::ZERO, Duration::from_millis(1));
            let sent: Vec<usize> = (0..20).map(|_| reset_until_closed(&bad, 1, before)).collect();
            [sent, vec![reset_until_closed(&bad, 8, after)]].concat()
        });
        let sent = timeout(SOON, attack).await.expect("each connection is closed").unwrap();
        println!("resets: {sent:?} calls before each connection was closed");
        assert!(sent.iter().all(|sent| *sent < 100_000), "{sent:?}");
    });
}

#[test]
fn bytes_that_come_one_by_one() {
    let settings = [
        ("WEIR_ACCESS__UNIDENTIFIED_MS_MAX", "1000"),
        ("WEIR_INTAKE__KEEPALIVE_EVERY_MS", "500"),
        ("WEIR_INTAKE__KEEPALIVE_MS_MAX", "500"),
    ];
    under_attack("slow bytes", &settings, &["weir_clients_cut_total{why=\"unidentified\"}"], async |_, bad| {
        // Nobody yet: as the connection begins, and after it did.
        let mut dribbles = Vec::new();
        for begun in [false, true, true] {
            let bad = bad.clone();
            let known = begun && dribbles.len() == 2;
            dribbles.push(tokio::task::spawn_blocking(move || {
                let mut raw = Raw::connect(&bad.url);
                let slow = if begun { Raw::open(3, STREAM, &bad.token) } else { Raw::preface().to_vec() };
                if begun {
                    raw.begin().unwrap();
                }
                // Known, and then amid a frame: it can give no sign of life.
                if known {
                    raw.send(&Raw::open(1, STREAM, &bad.token)).unwrap();
                }
                let mut reader = raw.split();
                let reading = std::thread::spawn(move || reader.until_closed());
                for byte in slow.chunks(1) {
                    std::thread::sleep(Duration::from_millis(40));
                    if raw.send(byte).is_err() {
                        break;
                    }
                }
                reading.join().unwrap();
            }));
        }
        for dribble in dribbles {
            timeout(SOON, dribble).await.expect("it is closed").unwrap();
        }
    });
}

/// How a stream ended: its trailers' status.
async fn end_of(mut body: h2::RecvStream) -> Status {
    while let Some(data) = body.data().await {
        let count = data.expect("the stream is not reset").len();
        body.flow_control().release_capacity(count).unwrap();
    }
    let trailers = body.trailers().await.expect("an end").expect("a status");
    Status::from_header_map(&trailers).expect("a status")
}

#[test]
fn messages_that_do_not_come_whole() {
    let settings = [("WEIR_INTAKE__PARTIAL_MESSAGE_MS_MAX", "500"), ("WEIR_INTAKE__MESSAGE_WAIT_MS_MAX", "1000")];
    under_attack(
        "half messages",
        &settings,
        &["weir_clients_cut_total{why=\"partial\"}", "weir_clients_cut_total{why=\"silent\"}"],
        async |good, bad| {
            let client = good.connect().await;
            let (idle, mut answers) = client.stream().await.unwrap();
            idle.send(batch("idle", 1, 1)).await.unwrap();
            answers.next().await.unwrap().expect("an ack");

            let (mut by_hand, _open, _driven) = bad.by_hand(65_535).await;
            let mut ends = Vec::new();
            let whole = framed(&batch("half", 1, 3));
            let starts = [whole.slice(..whole.len() - 1), [&whole[..], &whole[..3]].concat().into(), Bytes::new()];
            for start in starts {
                let (response, mut body) = by_hand.send_request(bad.request(STREAM), false).unwrap();
                body.send_data(start, false).unwrap();
                ends.push((response, body));
            }
            let late = [
                "intake.partial_message_ms_max (500 ms)",
                "intake.partial_message_ms_max (500 ms)",
                "intake.message_wait_ms_max (1000 ms)",
            ];
            for ((response, body), words) in ends.into_iter().zip(late) {
                let response = timeout(SOON, response).await.expect("an answer").unwrap();
                let status = timeout(SOON, end_of(response.into_body())).await.expect("an end");
                assert_status(&status, Code::DeadlineExceeded, &[words]);
                drop(body);
            }
            // Silence after whole messages is as it should be.
            sleep(Duration::from_millis(1_200)).await;
            idle.send(batch("idle", 2, 1)).await.unwrap();
            answers.next().await.unwrap().expect("a stream that was silent goes on");
        },
    );
}

#[test]
fn answers_that_are_not_read() {
    // Room for two batches of a hundred.
    let settings = [
        ("WEIR_INTAKE__UNREAD_ANSWERS_MS_MAX", "1500"),
        ("WEIR_INTAKE__BATCH_ALERTS_MAX", "200"),
        ("WEIR_ACCESS__IDENTITY_BYTES_IN_FLIGHT_MAX", "45200"),
    ];
    under_attack("unread answers", &settings, &["weir_clients_cut_total{why=\"unread\"}"], async |_, bad| {
        let (sender, mut answers) = bad.connect().await.stream().await.unwrap();
        let (mut late, open, _driven) = bad.by_hand(0).await;
        let (response, mut requests) = late.send_request(bad.request(STREAM), false).unwrap();
        // Two answers wait where they cost nothing; the batches after them fill up what the identity may have.
        for sequence in 1..=4 {
            requests.send_data(framed(&batch("late", sequence, 100)), false).unwrap();
        }
        let response = timeout(SOON, response).await.expect("headers need no window").unwrap();
        sleep(A_WHILE).await;
        sender.send(batch("other", 1, 100)).await.unwrap();
        assert!(timeout(A_WHILE, answers.next()).await.is_err(), "another stream of the same identity is not read");
        // The first stream is ended; what it held is free, and if it reads now it finds why.
        let ack = timeout(SOON, answers.next()).await.expect("there is room again").unwrap().expect("an ack");
        assert_eq!(ack.ack.unwrap().sequence, 1);
        open.send(()).unwrap();
        let status = timeout(SOON, end_of(response.into_body())).await.expect("an end");
        assert_status(&status, Code::DeadlineExceeded, &["intake.unread_answers_ms_max (1500 ms)"]);

        // One that never reads loses its connection, be the answer of a stream or of a single call.
        let single = Bytes::from_static(&[0, 0, 0, 0, 3, 10, 1, b'a']);
        let stream = never_read(&bad, STREAM, framed(&batch("never", 1, 1)), false);
        tokio::join!(stream, never_read(&bad, PRODUCER, single, true));
    });
}

/// Makes a call, does not read the answer, and waits until the connection is closed.
async fn never_read(bad: &Holder, path: &str, message: Bytes, last: bool) {
    let (mut by_hand, _open, driven) = bad.by_hand(0).await;
    let (response, mut requests) = by_hand.send_request(bad.request(path), false).unwrap();
    requests.send_data(message, last).unwrap();
    let response = timeout(SOON, response).await.expect("headers need no window").unwrap();
    let ended = timeout(SOON, driven).await.expect("the connection is closed").unwrap();
    drop((response, ended));
}

#[test]
fn uploads_that_do_not_end() {
    // Room for one upload of the largest size.
    let settings = [
        ("WEIR_INTAKE__BATCH_ALERTS_MAX", "200"),
        ("WEIR_PLUGINS__UPLOAD_BYTES_MAX", "30000"),
        ("WEIR_ACCESS__IDENTITY_BYTES_IN_FLIGHT_MAX", "45200"),
    ];
    under_attack("uploads", &settings, &[], async |_, bad| {
        let client = bad.connect().await;
        let plugins = PluginServiceClient::new(client.channel.clone());
        let (pieces, receiver) = mpsc::channel(1);
        let mut first = plugins.clone();
        let request = client.with_token(ReceiverStream::new(receiver));
        let first = tokio::spawn(async move { first.upload_plugin(request).await });
        let piece = || UploadPluginRequest { chunk: vec![0; 5_000], ..UploadPluginRequest::default() };
        pieces.send(piece()).await.unwrap();
        // Once the host has come to the first, the next one waits for it.
        let begun = Instant::now();
        let second = loop {
            assert!(begun.elapsed() < SOON, "the second waits for the first");
            let (mut plugins, request) = (plugins.clone(), client.with_token(tokio_stream::iter([piece()])));
            let mut next = tokio::spawn(async move { plugins.upload_plugin(request).await });
            if timeout(A_WHILE, &mut next).await.is_err() {
                break next;
            }
        };
        drop(pieces);
        for upload in [first, second] {
            let status = timeout(SOON, upload).await.expect("an answer").unwrap().unwrap_err();
            assert_status(&status, Code::InvalidArgument, &["not a WebAssembly binary"]);
        }
    });
}
