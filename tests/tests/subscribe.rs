//! Subscribers to forwarded alerts, through the real binary: each sees every one of them at least once and in order, over
//! kills of either side, and a cursor is where its holder left it.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tonic::{Code, Status, Streaming, transport::Channel};
use weir_proto::v1::{
    AdvanceCursorRequest, Alert, DeleteCursorRequest, ListCursorsRequest, QueryCountsRequest, SubmitAlertsRequest,
    SubscribeForwardedRequest, SubscribeForwardedResponse, WatchCountsRequest,
    alert_service_client::AlertServiceClient, count_service_client::CountServiceClient,
    cursor_service_client::CursorServiceClient,
};
use weir_tests::{
    estate,
    host::{Host, file},
    workload::{Random, seed},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const KILLS: u64 = 10;
const ALERTS_OF_A_ROUND: u64 = 2_000;
const SUBSCRIBE: &[(&str, &str)] = &[("WEIR_SUBSCRIBE__PROGRESS_EVERY_MS", "200")];

/// Alerts with numbers from `first` on: every other one is held back by a threshold of 258.0 V.
fn alerts(first: u64, count: u64) -> String {
    let line = |number: u64| {
        let volts = if number.is_multiple_of(2) { "255.0" } else { "259.5" };
        format!("{},{number},8F40,{volts}\n", estate::eui(number % 50))
    };
    std::iter::once("device,counter,code,voltage_v\n".to_owned()).chain((first..first + count).map(line)).collect()
}

fn with_threshold(host: &Host) {
    host.json(["plugin", "push", env!("WEIR_GUEST_THRESHOLD"), "--json"]);
    let parameters = r#"{"codes":["8F40"],"below_dv":2580}"#;
    host.json(["rule", "set", "voltage", "--plugin", "threshold", "--parameters", parameters, "--json"]);
}

/// A tail of a cursor, as a process.
fn tail(url: &str, cursor: &str) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(BINARY)
        .args(["alert", "tail", "--cursor", cursor, "--from", "oldest", "--format", "ndjson", "--retry", "2m"])
        .env("WEIR_SERVER", url)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    (child, lines)
}

/// What one subscriber saw: the lines of each of its processes.
type Seen = Vec<Vec<Value>>;

/// Reads until somebody says that everything was sent and the end is there; `pause` makes it slow.
fn read_all(url: &str, cursor: &str, pause: Duration, end: &Ending) -> Seen {
    let (mut child, lines) = tail(url, cursor);
    let mut seen = Vec::new();
    for line in lines.lines() {
        let alert: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let last = end.is_last(&alert);
        seen.push(alert);
        if seen.len().is_multiple_of(100) {
            thread::sleep(pause);
        }
        if last {
            break;
        }
    }
    assert_eq!(stop(&mut child, Signal::INT), Some(0), "{cursor} ends well when it is interrupted");
    vec![seen]
}

/// The same, killed and started again and again.
fn read_and_die(url: &str, cursor: &str, random: &mut Random, end: &Ending) -> Seen {
    let mut runs = Vec::new();
    loop {
        let (mut child, lines) = tail(url, cursor);
        // At first after so many alerts, of which there are enough, then after a time, so that it gets to the end.
        let lives = if runs.len() < 4 { 50 + random.below(250) } else { u64::MAX };
        let (mut seen, dies) = (Vec::new(), Instant::now() + Duration::from_millis(50 + random.below(1_200)));
        for line in lines.lines().map_while(Result::ok) {
            // A process that is killed may leave half a line: nobody has seen that alert.
            let Ok(alert) = serde_json::from_str::<Value>(&line) else { break };
            let last = end.is_last(&alert);
            seen.push(alert);
            let is_old = lives == u64::MAX && Instant::now() >= dies;
            if last || is_old || seen.len() as u64 == lives {
                break;
            }
        }
        let over = seen.last().is_some_and(|alert| end.is_last(alert));
        if !over {
            child.kill().unwrap();
        } else {
            assert_eq!(stop(&mut child, Signal::TERM), Some(0));
        }
        child.wait().unwrap();
        runs.push(seen);
        if over {
            return runs;
        }
    }
}

/// Asks a process to end; gives its exit code.
fn stop(child: &mut Child, signal: Signal) -> Option<i32> {
    kill_process(Pid::from_child(child), signal).unwrap();
    child.wait().unwrap().code()
}

/// How a subscriber knows that nothing follows.
#[derive(Default)]
struct Ending(AtomicBool);

impl Ending {
    fn is_last(&self, alert: &Value) -> bool {
        self.0.load(Ordering::Relaxed) && alert["alert"]["code"] == "8002"
    }
}

/// In order and without a gap, but that an interruption may repeat what was not acknowledged; what is seen is what is
/// recorded.
fn check(cursor: &str, runs: &Seen, truth: &BTreeMap<u64, Value>) {
    let mut first_seen = Vec::new();
    let mut known = BTreeMap::new();
    for run in runs {
        let mut before = None;
        for alert in run {
            let position = alert["position"].as_u64().unwrap();
            assert_eq!(truth.get(&position), Some(alert), "{cursor} at {position}");
            if known.insert(position, ()).is_none() {
                first_seen.push(position);
            }
            before = before.max(Some(position));
        }
    }
    assert!(first_seen.is_sorted(), "{cursor} sees each for the first time in order");
    assert!(first_seen.iter().eq(truth.keys()), "{cursor} saw {} of {}", first_seen.len(), truth.len());
}

#[test]
fn each_of_three_cursors_sees_every_forwarded_alert_over_kills_of_either_side() {
    let seed = seed(20_261_125);
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut host = Host::start_with(BINARY, &data, SUBSCRIBE);
    with_threshold(&host);

    let end = Arc::new(Ending::default());
    let reader = |cursor: &'static str, pause: u64| {
        let (url, end) = (host.url.clone(), Arc::clone(&end));
        thread::spawn(move || read_all(&url, cursor, Duration::from_millis(pause), &end))
    };
    let (fast, slow) = (reader("fast", 0), reader("slow", 20));
    let dying = {
        let (url, end, mut random) = (host.url.clone(), Arc::clone(&end), Random::new(seed + 1));
        thread::spawn(move || read_and_die(&url, "dying", &mut random, &end))
    };
    // A tail that does not find its server at first gives up; one that did looks for it again.
    while host.json(["cursor", "list", "--json"]).len() < 3 {
        thread::sleep(Duration::from_millis(20));
    }
    for round in 0..KILLS {
        let text = alerts(round * ALERTS_OF_A_ROUND, ALERTS_OF_A_ROUND);
        let path = file(folder.path(), "alerts.csv", &text);
        let sending = Command::new(BINARY)
            .args(["alert", "send", &path, "--json"])
            .env("WEIR_SERVER", &host.url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        thread::sleep(Duration::from_millis(random.below(300)));
        host = host.kill_and_restart(&data, SUBSCRIBE);
        let mut sending = sending.unwrap();
        let _ = sending.kill();
        sending.wait().unwrap();
    }
    let last = file(folder.path(), "last.csv", &format!("device,code\n{},8002\n", estate::eui(1)));
    end.0.store(true, Ordering::Relaxed);
    host.json(["alert", "send", &last, "--json"]);
    let seen = [("fast", fast), ("slow", slow), ("dying", dying)].map(|(name, reader)| (name, reader.join().unwrap()));

    let listed = host.json(["alert", "list", "--forwarded", "--json", "--limit", "1000000"]);
    let truth: BTreeMap<u64, Value> =
        listed.into_iter().map(|alert| (alert["position"].as_u64().unwrap(), alert)).collect();
    assert!(truth.len() > 1_000, "enough was taken to see anything: {}", truth.len());
    assert!(host.json(["count", "--json"])[0]["total"]["balance"]["suppressed"].as_u64().unwrap() > 1_000);
    for (cursor, runs) in &seen {
        check(cursor, runs, &truth);
    }
    assert!(seen[2].1.len() > 2, "it was killed now and then");
    let cursors = host.json(["cursor", "list", "--json"]);
    let names: Vec<_> = cursors.iter().map(|cursor| cursor["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["dying", "fast", "slow"]);
    for cursor in &cursors {
        assert_eq!((&cursor["behind"], &cursor["is_open"]), (&0.into(), &false.into()), "{cursor}");
    }
    assert_eq!(host.stop(), Some(0));
}

async fn connect(url: &str) -> Channel {
    Channel::from_shared(url.to_owned()).unwrap().connect().await.unwrap()
}

/// Sends one alert of a code, which is forwarded; gives the position after it.
async fn send(client: &mut AlertServiceClient<Channel>, code: u32) -> u64 {
    let alerts = vec![Alert { device_id: 7, code, ..Alert::default() }];
    let request = SubmitAlertsRequest { alerts, ..SubmitAlertsRequest::default() };
    client.submit_alerts(request).await.unwrap().into_inner().ack.unwrap().position
}

async fn subscribe(
    client: &mut AlertServiceClient<Channel>,
    request: SubscribeForwardedRequest,
) -> Result<Streaming<SubscribeForwardedResponse>, Status> {
    client.subscribe_forwarded(request).await.map(tonic::Response::into_inner)
}

/// The next message with alerts in it: their codes, and what to acknowledge.
async fn next(messages: &mut Streaming<SubscribeForwardedResponse>) -> Result<(Vec<u32>, u64), Status> {
    loop {
        let message = messages.message().await?.expect("a stream does not end by itself");
        if !message.alerts.is_empty() {
            let codes = message.alerts.into_iter().map(|alert| alert.alert.unwrap().code).collect();
            return Ok((codes, message.position));
        }
    }
}

/// Why a stream ends, with whatever comes before it read.
async fn ended(messages: &mut Streaming<SubscribeForwardedResponse>) -> Status {
    loop {
        if let Err(status) = messages.message().await {
            return status;
        }
    }
}

fn with_host(settings: &[(&str, &str)], test: impl AsyncFnOnce(&str, &Path)) {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, &folder.path().join("data"), &[SUBSCRIBE, settings].concat());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test(&host.url, folder.path()));
    drop(runtime);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_cursor_goes_on_where_it_was_acknowledged_and_has_one_reader() {
    with_host(&[("WEIR_SUBSCRIBE__IDENTITY_CURSORS_MAX", "2")], async |url, _| {
        let mut client = AlertServiceClient::new(connect(url).await);
        let mut cursors = CursorServiceClient::new(connect(url).await);
        let named = |cursor: &str, start_position| SubscribeForwardedRequest {
            cursor: cursor.to_owned(),
            start_position,
            ..SubscribeForwardedRequest::default()
        };
        let before = send(&mut client, 1).await;
        let mut first = subscribe(&mut client, named("a", None)).await.unwrap();
        send(&mut client, 2).await;
        let (codes, two) = next(&mut first).await.unwrap();
        assert_eq!(codes, [2], "it begins where the log ended");
        cursors.advance_cursor(AdvanceCursorRequest { name: "a".into(), position: two }).await.unwrap();
        send(&mut client, 3).await;
        assert_eq!(next(&mut first).await.unwrap().0, [3]);

        // The second reader begins after what was acknowledged, wherever it says, and the first is told.
        let mut second = subscribe(&mut client, named("a", Some(0))).await.unwrap();
        assert_eq!(next(&mut second).await.unwrap().0, [3]);
        assert_eq!(ended(&mut first).await.code(), Code::Aborted);
        let listed = cursors.list_cursors(ListCursorsRequest {}).await.unwrap().into_inner().cursors;
        assert_eq!((listed.len(), listed[0].position, listed[0].behind, listed[0].is_open), (1, two, 1, true));

        // It only moves forward, and no further than the log.
        let answer = cursors.advance_cursor(AdvanceCursorRequest { name: "a".into(), position: before }).await.unwrap();
        assert_eq!(answer.into_inner().cursor.unwrap().position, two);
        let beyond = cursors.advance_cursor(AdvanceCursorRequest { name: "a".into(), position: two + 9 }).await;
        assert!(beyond.unwrap_err().message().starts_with("position: "));
        let missing = cursors.advance_cursor(AdvanceCursorRequest { name: "b".into(), position: 0 }).await;
        assert_eq!(missing.unwrap_err().code(), Code::NotFound);

        // One more fits, and then no other.
        drop(subscribe(&mut client, named("b", Some(0))).await.unwrap());
        let full = subscribe(&mut client, named("c", None)).await.unwrap_err();
        assert_eq!(full.code(), Code::ResourceExhausted, "{full}");
        assert!(full.message().contains("subscribe.identity_cursors_max (2)"), "{full}");

        // Forgotten, it begins anew.
        cursors.delete_cursor(DeleteCursorRequest { name: "a".into() }).await.unwrap();
        assert_eq!(ended(&mut second).await.code(), Code::Aborted);
        let mut again = subscribe(&mut client, named("a", Some(0))).await.unwrap();
        assert_eq!(next(&mut again).await.unwrap().0, [1, 2, 3]);

        // Without a cursor anybody may read, from wherever.
        let mut anywhere = subscribe(&mut client, named("", Some(before))).await.unwrap();
        assert_eq!(next(&mut anywhere).await.unwrap().0, [2, 3]);
        let only = SubscribeForwardedRequest { codes: vec![3], ..named("", Some(0)) };
        let mut only = subscribe(&mut client, only).await.unwrap();
        assert_eq!(next(&mut only).await.unwrap().0, [3]);
        for wrong in ["A", "a b", &"a".repeat(65)] {
            let refused = subscribe(&mut client, named(wrong, None)).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert!(refused.message().starts_with("cursor: "), "{refused}");
        }
        let beyond = subscribe(&mut client, named("", Some(1_000))).await.unwrap_err();
        assert!(beyond.message().starts_with("start_position: "), "{beyond}");
    });
}

#[test]
fn a_stream_has_its_place_and_hears_of_the_log_even_where_nothing_is_for_it() {
    with_host(&[("WEIR_SUBSCRIBE__STREAMS_MAX", "1")], async |url, _| {
        let mut client = AlertServiceClient::new(connect(url).await);
        let none = SubscribeForwardedRequest { codes: vec![9], ..SubscribeForwardedRequest::default() };
        let mut messages = subscribe(&mut client, none.clone()).await.unwrap();
        assert_eq!(messages.message().await.unwrap().unwrap().position, 0);
        let full = subscribe(&mut client, none.clone()).await.unwrap_err();
        assert_eq!(full.code(), Code::ResourceExhausted, "{full}");
        let position = send(&mut client, 1).await;
        while messages.message().await.unwrap().unwrap().position < position {}
        drop(messages);
        // The place is free again once the host has noticed.
        for _ in 0..500 {
            match subscribe(&mut client, none.clone()).await {
                Ok(_) => return,
                Err(status) => assert_eq!(status.code(), Code::ResourceExhausted),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the place stays taken");
    });
}

#[test]
fn whoever_was_overtaken_by_retention_is_told_what_is_lost() {
    let settings = [("WEIR_STORE__LOG_BYTES_MAX", "1048576"), ("WEIR_STORE__RECOVERY_ROWS_MAX", "1")];
    with_host(&settings, async |url, folder| {
        let mut client = AlertServiceClient::new(connect(url).await);
        let from_start = |cursor: &str| SubscribeForwardedRequest {
            cursor: cursor.to_owned(),
            start_position: Some(0),
            ..SubscribeForwardedRequest::default()
        };
        send(&mut client, 1).await;
        // It is never read: what the host may send ahead is soon full.
        let mut stalled = subscribe(&mut client, from_start("stalled")).await.unwrap();
        let weir = |arguments: &[&str]| {
            Command::new(BINARY).args(arguments).env("WEIR_SERVER", url).stdin(Stdio::null()).output().unwrap()
        };
        let mut cursors = CursorServiceClient::new(connect(url).await);
        let mut lost = 0;
        for round in 0..60 {
            let path = file(folder, "alerts.csv", &alerts(round * 20_000, 20_000));
            assert!(weir(&["alert", "send", &path]).status.success());
            let listed = cursors.list_cursors(ListCursorsRequest {}).await.unwrap().into_inner().cursors;
            lost = listed[0].lost;
            if lost > 200_000 {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
        assert!(lost > 200_000, "retention takes what is over the size: {lost}");
        let status = ended(&mut stalled).await;
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        assert!(status.message().contains("cursor \"stalled\" stands at "), "{status}");

        let tail = weir(&["alert", "tail", "--cursor", "stalled", "--until-caught-up"]);
        let said = String::from_utf8(tail.stderr).unwrap();
        assert!(tail.status.code() == Some(64) && said.contains("positions are lost"), "{said}");
        // Whoever acknowledges what is lost goes on.
        let oldest = said.split("before ").nth(1).and_then(|rest| rest.split(':').next()).unwrap();
        assert!(weir(&["cursor", "advance", "stalled", oldest]).status.success(), "{oldest}");
        let tail = weir(&["alert", "tail", "--cursor", "stalled", "--limit", "3", "--format", "csv"]);
        let text = String::from_utf8(tail.stdout).unwrap();
        assert!(tail.status.success() && text.starts_with("position,device,recipient,"), "{text}");
        assert_eq!(text.lines().count(), 4, "{text}");
    });
}

#[test]
fn counts_are_watched() {
    with_host(&[], async |url, _| {
        let mut client = AlertServiceClient::new(connect(url).await);
        let mut counts = CountServiceClient::new(connect(url).await);
        let watch = |interval_ms| WatchCountsRequest { query: Some(QueryCountsRequest::default()), interval_ms };
        let received = |answer: weir_proto::v1::WatchCountsResponse| {
            answer.counts.unwrap().total.and_then(|total| total.balance).map_or(0, |balance| balance.received)
        };
        let mut answers = counts.watch_counts(watch(100)).await.unwrap().into_inner();
        assert_eq!(received(answers.message().await.unwrap().unwrap()), 0);
        for expected in 1..4 {
            send(&mut client, 1).await;
            assert_eq!(received(answers.message().await.unwrap().unwrap()), expected);
        }
        let wrong = counts.watch_counts(watch(99)).await.unwrap_err();
        assert!(wrong.message().starts_with("interval_ms: 99"), "{wrong}");

        let mut child = Command::new(BINARY)
            .args(["count", "--watch", "--json", "--interval", "100ms"])
            .env("WEIR_SERVER", url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for expected in 3..6 {
            let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            assert_eq!(line["total"]["balance"]["received"], expected);
            send(&mut client, 1).await;
        }
        assert_eq!(stop(&mut child, Signal::TERM), Some(0));
    });
}
