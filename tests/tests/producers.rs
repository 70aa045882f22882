//! Producers through the real binary: a resend is the same batch, identities never meet, and nothing is kept for longer
//! than somebody may need it.

use std::{
    fs,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt;
use weir_proto::v1::{
    Alert, BatchAck, GetProducerRequest, ListProducersRequest, StreamAlertsRequest, SubmitAlertsRequest,
    alert_service_client::AlertServiceClient, producer_service_client::ProducerServiceClient,
};
use weir_tests::host::{self, Host};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
/// Long enough for anything that happens at all.
const SOON: Duration = Duration::from_secs(120);

fn alerts(code: u32, counters: std::ops::Range<u64>) -> Vec<Alert> {
    let alert =
        |counter| Alert { device_id: 77, code, originator_counter: Some(counter), weight: 1, ..Alert::default() };
    counters.map(alert).collect()
}

fn batch(producer: &str, sequence: u64, alerts: Vec<Alert>) -> SubmitAlertsRequest {
    SubmitAlertsRequest { producer_id: producer.into(), sequence, alerts, ..SubmitAlertsRequest::default() }
}

/// Whoever sends.
struct Sender {
    channel: Channel,
    token: Option<String>,
}

impl Sender {
    async fn connect(host: &Host, token: Option<String>) -> Self {
        let channel = Channel::from_shared(host.url.clone()).unwrap().connect().await.expect("the host listens");
        Self { channel, token }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        request
    }

    async fn submit(&self, batch: SubmitAlertsRequest) -> Result<BatchAck, Status> {
        let answer = AlertServiceClient::new(self.channel.clone()).submit_alerts(self.request(batch)).await?;
        Ok(answer.into_inner().ack.unwrap())
    }

    async fn last(&self, producer: &str) -> u64 {
        let request = self.request(GetProducerRequest { producer_id: producer.into() });
        let answer = AlertServiceClient::new(self.channel.clone()).get_producer(request).await;
        answer.unwrap().into_inner().last_sequence
    }

    /// Sends batches on one stream; returns their acks and how it ended.
    async fn stream(&self, batches: Vec<SubmitAlertsRequest>) -> (Vec<BatchAck>, Result<(), Status>) {
        let requests = batches.into_iter().map(|batch| {
            let SubmitAlertsRequest { producer_id, sequence, alerts, unreadable_count, bookmark, ephemeral } = batch;
            StreamAlertsRequest { producer_id, sequence, alerts, unreadable_count, bookmark, ephemeral }
        });
        let requests = self.request(tokio_stream::iter(requests.collect::<Vec<_>>()));
        let answers = AlertServiceClient::new(self.channel.clone()).stream_alerts(requests).await.unwrap();
        let (mut answers, mut acks) = (answers.into_inner(), Vec::new());
        loop {
            match answers.message().await {
                Ok(Some(answer)) => acks.push(answer.ack.unwrap()),
                Ok(None) => return (acks, Ok(())),
                Err(status) => return (acks, Err(status)),
            }
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn received(host: &Host, options: &[&str]) -> u64 {
    let counts = host.json(["count", "--json"].iter().chain(options));
    counts[0]["total"]["balance"]["received"].as_u64().unwrap()
}

fn producers(host: &Host) -> Vec<Value> {
    host.json(["producer", "list", "--json"])
}

#[track_caller]
fn assert_taken(status: &Status, sequence: &str, words: &str) {
    assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
    assert!(status.message().contains(words) && status.message().contains("GetProducer"), "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.metadata["sequence"].as_str()), ("SEQUENCE_TAKEN", sequence));
}

#[test]
fn another_batch_under_a_taken_number_is_refused_and_a_resend_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = Host::start(BINARY, folder.path());
    let first = batch("head-end", 1, alerts(0x8014, 0..5));
    let ack = block_on(async {
        let sender = Sender::connect(&host, None).await;
        let ack = sender.submit(first.clone()).await.unwrap();
        // Real alerts that would have vanished: the first batch's ack would have been given for them.
        let other = batch("head-end", 1, alerts(0x8F36, 10..15));
        assert_taken(&sender.submit(other.clone()).await.unwrap_err(), "1", "alerts: batch 1 of producer head-end");
        let stated = SubmitAlertsRequest { bookmark: b"here".to_vec(), ..first.clone() };
        assert_taken(&sender.submit(stated).await.unwrap_err(), "1", "bookmark: batch 1");
        let unreadable = SubmitAlertsRequest { unreadable_count: 1, ..first.clone() };
        assert_taken(&sender.submit(unreadable).await.unwrap_err(), "1", "alerts: batch 1");
        // As another client may write it: a weight that is not stated is 1.
        let mut encoded = first.clone();
        encoded.alerts.iter_mut().for_each(|alert| alert.weight = 0);
        assert_eq!(sender.submit(encoded).await.unwrap(), ack);
        // On one stream, where both may be judged in one group.
        let (acks, end) = sender.stream(vec![first.clone(), batch("head-end", 2, vec![]), other]).await;
        assert_eq!((acks.len(), &acks[0]), (2, &ack));
        assert_taken(&end.unwrap_err(), "1", "alerts: batch 1");
        let (acks, end) = sender
            .stream(vec![batch("head-end", 3, alerts(0x8014, 5..6)), batch("head-end", 3, alerts(0x8F36, 6..7))])
            .await;
        assert_eq!(acks.len(), 1);
        assert_taken(&end.unwrap_err(), "3", "alerts: batch 3");
        ack
    });
    assert_eq!(received(&host, &[]), 6);
    host = host.kill_and_restart(folder.path(), &[]);
    block_on(async {
        let sender = Sender::connect(&host, None).await;
        assert_eq!(sender.submit(first).await.unwrap(), ack);
        let other = batch("head-end", 3, alerts(0x8F36, 6..7));
        assert_taken(&sender.submit(other.clone()).await.unwrap_err(), "3", "alerts: batch 3");
        // The way out.
        let next = sender.last("head-end").await + 1;
        assert_eq!(next, 4);
        assert_eq!(sender.submit(SubmitAlertsRequest { sequence: next, ..other }).await.unwrap().sequence, 4);
    });
    assert_eq!(received(&host, &[]), 7);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn two_identities_use_one_id_and_never_meet() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, folder.path(), &[("WEIR_AUTHENTICATE", "true")]);
    let admin = fs::read_to_string(folder.path().join("first-admin-token")).unwrap().trim().to_owned();
    let token = |name: &str, role: &str| {
        let made = host.json(["token", "create", name, "--role", role, "--json", "--token", &admin]);
        made[0]["secret"].as_str().unwrap().to_owned()
    };
    let (north, south) = (token("north", "ingest"), token("south", "ingest"));
    block_on(async {
        let good = Sender::connect(&host, Some(north.clone())).await;
        let bad = Sender::connect(&host, Some(south.clone())).await;
        good.submit(batch("p", 1, alerts(0x8F36, 0..1))).await.unwrap();
        for sequence in 1..=4 {
            bad.submit(batch("p", sequence, Vec::new())).await.unwrap();
        }
        for sequence in 2..=10 {
            let ack = good.submit(batch("p", sequence, alerts(0x8F36, sequence..sequence + 1))).await.unwrap();
            assert_eq!(ack.balance.unwrap().forwarded, 1);
        }
        assert_eq!((good.last("p").await, bad.last("p").await), (10, 4));
    });
    assert_eq!(received(&host, &["--token", &admin]), 10, "every alert that was acknowledged is there");

    // Each sees its own; whoever looks at everything sees all; only an administrator forgets those of others.
    let list = |token: &str, more: &[&str]| {
        let listed = host.json(["producer", "list", "--json", "--token", token].iter().chain(more));
        let row = |row: &Value| (row["identity"].as_str().unwrap().to_owned(), row["last_sequence"].as_u64().unwrap());
        listed.iter().map(row).collect::<Vec<_>>()
    };
    let (of_north, of_south) = (("north".to_owned(), 10), ("south".to_owned(), 4));
    assert_eq!(list(&north, &[]), std::slice::from_ref(&of_north));
    assert_eq!(list(&admin, &[]), [of_north.clone(), of_south.clone()]);
    assert_eq!(list(&admin, &["--identity", "south"]), std::slice::from_ref(&of_south));
    assert_eq!(list(&token("watch", "auditor"), &[]), [of_north, of_south.clone()]);
    let refused = |arguments: &[&str]| {
        let output = host.weir(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let foreign = ["producer", "remove", "p", "--identity", "north", "--token", &south];
    assert!(refused(&foreign).contains("identity: \"north\": this caller may ask for its own producers alone"));
    let own = ["producer", "remove", "q", "--token", &south];
    assert!(refused(&own).contains("no producer \"q\" is kept"));
    assert!(host.weir(["producer", "remove", "p", "--identity", "north", "--token", &admin]).status.success());
    assert_eq!(list(&admin, &[]), [of_south]);
    let audit = host.json(["audit", "list", "--limit", "100", "--json", "--token", &admin]);
    let removed: Vec<&Value> = audit.iter().filter(|entry| entry["action"] == "producer.remove").collect();
    assert_eq!(removed.len(), 1, "{audit:?}");
    assert_eq!(removed[0]["who"], "first-admin");
    assert!(removed[0]["subject"].as_str().unwrap().contains("north"), "{}", removed[0]);
    assert_eq!(host.stop(), Some(0));
}

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < SOON, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn lines(count: u64) -> String {
    let line = |at: u64| format!("00-DB-12-34-56-78-90-A0,8F40,{},25{}.0\n", 1_764_000_000_000 + at * 1_000, at % 10);
    "device,code,received_ms,voltage_v\n".to_owned() + &(0..count).map(line).collect::<String>()
}

fn start_sending(host: &Host, arguments: &[&str]) -> Child {
    host.command(["alert", "send"].iter().chain(arguments)).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn plain_sendings_hold_nothing_once_they_end() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let settings = [("WEIR_INTAKE__PRODUCERS_MAX", "2"), host::KEEPS_ALL];
    let mut host = Host::start_with(BINARY, &data, &settings);
    let path = host::file(folder.path(), "alerts.csv", &lines(20));
    for _ in 0..4 {
        assert!(host.weir(["alert", "send", &path]).status.success());
        assert_eq!(producers(&host), Vec::<Value>::new());
    }
    // One whose alerts are refused ends too.
    let bad = host::file(folder.path(), "bad.csv", "device,code\n00-DB-12-34-56-78-90-A0,zz\n");
    assert_eq!(host.weir(["alert", "send", &bad]).status.code(), Some(64));
    assert_eq!(producers(&host), Vec::<Value>::new());
    host = host.kill_and_restart(&data, &settings);
    assert_eq!(producers(&host), Vec::<Value>::new());
    // The end of a run is no entry: there would be one a minute.
    let audit = host.json(["audit", "list", "--json"]);
    assert!(audit.iter().all(|entry| entry["action"] != "producer.remove"), "{audit:?}");
    assert_eq!(received(&host, &[]), 81);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_plain_sending_counts_every_alert_once_over_kills_of_the_host() {
    const LINES: u64 = 3_000;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut host = Host::start_with(BINARY, &data, &[host::KEEPS_ALL]);
    let path = host::file(folder.path(), "alerts.csv", &lines(LINES));
    let mut sending = start_sending(&host, &[&path, "--batch", "10", "--rate", "1000", "--reconnect-s", "120"]);
    for round in 1..=3 {
        until("it sends on", || received(&host, &[]) >= round * 400);
        host = host.kill_and_restart(&data, &[host::KEEPS_ALL]);
    }
    assert_eq!(sending.try_wait().unwrap(), None, "it is not done");
    assert!(sending.wait().unwrap().success());
    // The alerts have no counters: what came twice would be counted twice.
    assert_eq!(received(&host, &[]), LINES);
    assert_eq!(producers(&host), Vec::<Value>::new());
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn what_a_killed_sender_leaves_goes_soon_and_what_is_in_use_stays() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let settings =
        [("WEIR_INTAKE__EPHEMERAL_IDLE_S_MAX", "1"), ("WEIR_INTAKE__PRODUCER_IDLE_S_MAX", "3600"), host::KEEPS_ALL];
    let host = Host::start_with(BINARY, &data, &settings);
    let path = host::file(folder.path(), "alerts.csv", &lines(20));
    let follow: &[&str] = &[&path, "--follow"];
    let (mut killed, mut kept) = (start_sending(&host, follow), start_sending(&host, follow));
    let named = start_sending(&host, &[&path, "--producer", "named"]).wait().unwrap();
    assert!(named.success());
    until("both send", || producers(&host).iter().filter(|row| row["is_sending"] == true).count() == 2);
    let open: Vec<String> = producers(&host)
        .iter()
        .filter(|row| row["ephemeral"] == true)
        .map(|row| row["producer_id"].as_str().unwrap().to_owned())
        .collect();
    for id in &open {
        let output = host.weir(["producer", "remove", id]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("sends just now; remove it once its stream has ended"), "{said}");
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    // Each batch is a time to look.
    until("the leftover is gone", || {
        assert!(host.weir(["alert", "send", &path]).status.success());
        producers(&host).len() == 2
    });
    let left = producers(&host);
    assert_eq!(left[0]["producer_id"], "named");
    assert_eq!((&left[1]["is_sending"], &left[1]["idle_left_ms"]), (&true.into(), &1_000.into()));
    // It is in use however long it is silent, and goes on.
    let before = received(&host, &[]);
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    std::io::Write::write_all(&mut file, b"00-DB-12-34-56-78-90-A0,8F40,1764000000000,250.0\n").unwrap();
    until("the line is there", || received(&host, &[]) == before + 1);
    kept.kill().unwrap();
    kept.wait().unwrap();
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_producer_too_many_is_told_what_to_do_and_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let settings = [("WEIR_INTAKE__PRODUCERS_MAX", "2"), host::KEEPS_ALL];
    let mut host = Host::start_with(BINARY, &data, &settings);
    let path = host::file(folder.path(), "alerts.csv", &lines(5));
    let send = |host: &Host, name: &str| host.weir(["alert", "send", &path, "--producer", name]);
    for name in ["a", "b"] {
        assert!(send(&host, name).status.success());
    }
    host = host.kill_and_restart(&data, &settings);
    let refused = send(&host, "c");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(64), "{said}");
    assert!(said.contains("intake.producers_max (2) is reached; `weir producer list`"), "{said}");
    let output = host.weir(["producer", "list"]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("30 d") || table.contains("29 d"), "{table}");
    assert!(host.weir(["producer", "remove", "a"]).status.success());
    assert!(send(&host, "c").status.success());
    let names: Vec<Value> = producers(&host).iter().map(|row| row["producer_id"].clone()).collect();
    assert_eq!(names, ["b", "c"]);

    // Those that are named go by age too, over a restart.
    let idle = [settings[0], settings[1], ("WEIR_INTAKE__PRODUCER_IDLE_S_MAX", "1")];
    host = host.kill_and_restart(&data, &idle);
    until("there is room", || send(&host, "d").status.success());
    until("the idle are gone", || send(&host, "d").status.success() && producers(&host).len() == 1);
    host = host.kill_and_restart(&data, &settings);
    assert_eq!(producers(&host).len(), 1, "they do not come back");
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn producers_are_listed_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, folder.path());
    block_on(async {
        let sender = Sender::connect(&host, None).await;
        for producer in ["a", "b", "c", "d", "e"] {
            sender.submit(batch(producer, 1, Vec::new())).await.unwrap();
        }
        let mut client = ProducerServiceClient::new(sender.channel.clone());
        let (mut ids, mut sizes, mut token) = (String::new(), Vec::new(), String::new());
        loop {
            let request = ListProducersRequest { page_size: 2, page_token: token, identity: None };
            let page = client.list_producers(request).await.unwrap().into_inner();
            sizes.push(page.producers.len());
            ids.extend(page.producers.into_iter().map(|producer| producer.producer_id));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!((ids.as_str(), sizes), ("abcde", vec![2, 2, 1]));
        let request = ListProducersRequest { page_token: "x".into(), ..ListProducersRequest::default() };
        let status = client.list_producers(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    });
    assert_eq!(host.stop(), Some(0));
}
