//! The order of answers, the bound on what is in flight, and every way a stream can end.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Code, Status};
use weir_proto::v1::{Alert, StreamAlertsRequest};

use super::{Answers, Terms, answers, bytes_of};
use crate::{
    config::AccessLimits,
    domain::{Ack, Tenant},
    grpc::quota::{Account, Accounts},
    pipeline::Refusal,
};

type Reply = oneshot::Sender<Result<Ack, Refusal>>;

/// Batches by sequence, each with its reply until it is given.
type Submitted = Vec<(u64, Option<Reply>)>;

/// A client's end, a pipeline that answers when told to, and the host's wish to stop.
struct Bench {
    requests: Option<mpsc::Sender<Result<StreamAlertsRequest, Status>>>,
    submitted: Arc<Mutex<Submitted>>,
    read: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
    answers: Option<Answers>,
}

/// A batch that the pipeline refuses at once, and one it panics on.
const REFUSED: u64 = 1_000;
const PANICS: u64 = 1_001;

/// How long these streams wait to be read.
const UNREAD_MAX: Duration = Duration::from_millis(100);

/// Whoever has room for so many alerts.
fn account(alerts: usize) -> Arc<Account> {
    let limits = AccessLimits { identity_bytes_in_flight_max: bytes_of(alerts), ..AccessLimits::default() };
    Accounts::new(limits).of(&Tenant::Identity("a".to_owned()), std::time::Instant::now())
}

impl Bench {
    fn new(in_flight_max: usize) -> Self {
        Self::with(in_flight_max, account(1_000), Duration::from_secs(60))
    }

    fn with(in_flight_max: usize, account: Arc<Account>, unread_max: Duration) -> Self {
        let (requests, requested) = mpsc::channel(64);
        let (stop, stopping) = watch::channel(false);
        let submitted = Arc::new(Mutex::new(Vec::new()));
        let read = Arc::new(AtomicUsize::new(0));
        let (taken, count) = (Arc::clone(&submitted), Arc::clone(&read));
        let submit = move |request: StreamAlertsRequest| {
            count.fetch_add(1, Ordering::SeqCst);
            assert_ne!(request.sequence, PANICS, "on purpose");
            let (reply, answer) = oneshot::channel();
            taken.lock().unwrap().push((request.sequence, Some(reply)));
            async move {
                let refusal = || Refusal::invalid("alerts", "too many");
                if request.sequence == REFUSED {
                    return Err(refusal());
                }
                Ok(async { answer.await.unwrap_or_else(|_| Err(Refusal::Unavailable("gone".into()))) })
            }
        };
        let answers = answers(
            ReceiverStream::new(requested),
            Terms { in_flight_max, batch_alerts_max: 10, account, unread_max, peer: None, stopping },
            submit,
        );
        Self { requests: Some(requests), submitted, read, stop, answers: Some(answers) }
    }

    async fn send(&self, sequences: impl IntoIterator<Item = u64>) {
        for sequence in sequences {
            let alerts = vec![Alert::default(); if sequence == REFUSED { 11 } else { 10 }];
            let request = StreamAlertsRequest { sequence, alerts, ..StreamAlertsRequest::default() };
            self.requests.as_ref().unwrap().send(Ok(request)).await.unwrap();
        }
    }

    /// Waits until that many batches were read, and a little longer, so that one too many would show.
    async fn settle(&self, read: usize) {
        let enough = async {
            while self.read.load(Ordering::SeqCst) < read {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(10), enough).await.expect("the batches are read");
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(self.read.load(Ordering::SeqCst), read);
    }

    fn reply(&self, sequence: u64, with: Result<(), Refusal>) {
        let mut submitted = self.submitted.lock().unwrap();
        let entry = submitted.iter_mut().find(|(number, _)| *number == sequence).unwrap();
        let _ = entry.1.take().unwrap().send(with.map(|()| Ack { sequence, ..Ack::default() }));
    }

    async fn next(&mut self) -> Option<Result<u64, Status>> {
        let next = timeout(Duration::from_secs(10), self.answers.as_mut().unwrap().next()).await.expect("an answer");
        next.map(|answer| answer.map(|response| response.ack.unwrap().sequence))
    }

    async fn next_ack(&mut self) -> u64 {
        self.next().await.unwrap().unwrap()
    }

    async fn next_end(&mut self) -> Status {
        let end = self.next().await.unwrap().unwrap_err();
        assert!(self.next().await.is_none(), "nothing follows a status");
        end
    }
}

#[tokio::test]
async fn answers_keep_the_order_of_the_batches() {
    let mut bench = Bench::new(4);
    bench.send(1..=3).await;
    bench.settle(3).await;
    for sequence in [3, 1, 2] {
        bench.reply(sequence, Ok(()));
    }
    bench.requests = None;
    for sequence in 1..=3 {
        assert_eq!(bench.next_ack().await, sequence);
    }
    assert!(bench.next().await.is_none(), "a stream that the client ended ends well");
}

#[tokio::test]
async fn no_more_is_read_than_may_be_in_flight() {
    let mut bench = Bench::new(2);
    bench.send(1..=5).await;
    bench.settle(2).await;
    bench.reply(1, Ok(()));
    assert_eq!(bench.next_ack().await, 1);
    bench.settle(3).await;
}

#[tokio::test]
async fn a_batch_the_pipeline_refuses_ends_the_stream_after_the_acks_before_it() {
    let mut bench = Bench::new(4);
    bench.send(1..=3).await;
    bench.settle(3).await;
    bench.reply(2, Err(Refusal::Precondition("a gap".into())));
    bench.reply(3, Ok(()));
    bench.reply(1, Ok(()));
    assert_eq!(bench.next_ack().await, 1);
    assert_eq!(bench.next_end().await.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_batch_that_cannot_be_handed_over_ends_the_stream_after_the_acks_before_it() {
    let mut bench = Bench::new(4);
    bench.send([1, REFUSED, 2]).await;
    bench.settle(2).await;
    bench.reply(1, Ok(()));
    assert_eq!(bench.next_ack().await, 1);
    let end = bench.next_end().await;
    assert_eq!((end.code(), end.message()), (Code::InvalidArgument, "alerts: too many"));
}

#[tokio::test]
async fn a_broken_request_ends_the_stream_after_the_acks_before_it() {
    let mut bench = Bench::new(4);
    bench.send([1]).await;
    bench.requests.as_ref().unwrap().send(Err(Status::out_of_range("too large"))).await.unwrap();
    bench.settle(1).await;
    bench.reply(1, Ok(()));
    assert_eq!(bench.next_ack().await, 1);
    assert_eq!(bench.next_end().await.code(), Code::OutOfRange);
}

#[tokio::test]
async fn a_host_that_stops_answers_what_it_has_read() {
    let mut bench = Bench::new(4);
    bench.send(1..=2).await;
    bench.settle(2).await;
    bench.stop.send_replace(true);
    let requests = bench.requests.take().unwrap();
    timeout(Duration::from_secs(10), requests.closed()).await.expect("no more is read");
    bench.reply(1, Ok(()));
    bench.reply(2, Ok(()));
    assert_eq!(bench.next_ack().await, 1);
    assert_eq!(bench.next_ack().await, 2);
    assert_eq!(bench.next_end().await.code(), Code::Unavailable);
    bench.settle(2).await;
}

#[tokio::test]
async fn an_answer_that_never_comes_is_unavailable() {
    let mut bench = Bench::new(4);
    bench.send([1]).await;
    bench.settle(1).await;
    bench.submitted.lock().unwrap().clear();
    assert_eq!(bench.next_end().await.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_client_that_goes_away_stops_the_reading() {
    let mut bench = Bench::new(4);
    bench.send([1]).await;
    bench.settle(1).await;
    bench.answers = None;
    let requests = bench.requests.take().unwrap();
    timeout(Duration::from_secs(10), requests.closed()).await.expect("the requests are dropped");
}

#[tokio::test]
async fn a_panic_is_told_and_not_taken_for_a_good_end() {
    let mut bench = Bench::new(4);
    bench.send([PANICS]).await;
    assert_eq!(bench.next_end().await.code(), Code::Internal);
}

#[tokio::test]
async fn streams_of_one_identity_share_its_bytes_and_nobody_loses_any() {
    let shared = account(25);
    let mut first = Bench::with(8, Arc::clone(&shared), UNREAD_MAX);
    let mut second = Bench::with(8, Arc::clone(&shared), UNREAD_MAX);
    first.send(1..=2).await;
    first.settle(2).await;
    second.send(1..=3).await;
    second.settle(0).await;
    first.reply(1, Ok(()));
    assert_eq!(first.next_ack().await, 1);
    second.settle(1).await;
    let mut third = Bench::with(8, shared, UNREAD_MAX);
    third.send([REFUSED]).await;
    assert_eq!(third.next_end().await.code(), Code::InvalidArgument, "what is refused anyway waits for nothing");
    first.reply(2, Ok(()));
    second.reply(1, Ok(()));
    assert_eq!((first.next_ack().await, second.next_ack().await), (2, 1));
    second.settle(3).await;
}

#[tokio::test]
async fn a_stream_whose_answers_are_not_read_lets_go_of_what_it_holds_and_says_why() {
    let shared = account(30);
    let mut bench = Bench::with(8, Arc::clone(&shared), UNREAD_MAX);
    bench.send(1..=3).await;
    bench.settle(3).await;
    (1..=3).for_each(|sequence| bench.reply(sequence, Ok(())));
    let requests = bench.requests.take().unwrap();
    timeout(Duration::from_secs(10), requests.closed()).await.expect("no more is read");
    drop(timeout(Duration::from_secs(10), shared.bytes(bytes_of(30))).await.expect("its bytes are free"));
    assert_eq!(bench.next_ack().await, 1);
    let end = bench.next_end().await;
    assert_eq!(end.code(), Code::DeadlineExceeded);
    assert!(end.message().contains("intake.unread_answers_ms_max (100 ms)"), "{end:?}");
}
