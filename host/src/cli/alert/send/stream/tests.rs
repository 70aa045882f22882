//! A delivery against a server that really goes away: its process's part is played by a runtime that is dropped.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use indicatif::ProgressBar;
use tokio::{runtime::Runtime, sync::mpsc};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming, transport::Server};
use weir_proto::v1::{self, alert_service_server::AlertServiceServer};

use super::*;
use crate::{cli::arguments::NameFiles, intake::tables::CodeTable};

/// Keeps every batch once, by its sequence, whatever becomes of the connection.
#[derive(Clone)]
struct Ledger {
    acks: Arc<Mutex<BTreeMap<u64, v1::BatchAck>>>,
    /// Goes silent once this batch is kept and tells so. 0: never.
    silent_at: u64,
    told: mpsc::UnboundedSender<()>,
    /// Calls that are refused before one is taken.
    refusals: Arc<AtomicU64>,
}

impl Ledger {
    fn new(silent_at: u64) -> (Self, mpsc::UnboundedReceiver<()>) {
        let (told, heard) = mpsc::unbounded_channel();
        (Self { acks: Arc::default(), silent_at, told, refusals: Arc::default() }, heard)
    }

    /// The ack of a batch, the same for a resend. `None` for a batch that leaves a gap.
    fn take(&self, request: &v1::StreamAlertsRequest) -> Option<v1::BatchAck> {
        let mut acks = self.acks.lock().unwrap();
        let next = acks.len() as u64 + 1;
        if request.sequence > next {
            return None;
        }
        let alerts = request.alerts.len() as u64;
        let rejected = u64::from(request.unreadable_count);
        let balance =
            v1::Balance { received: alerts + rejected, forwarded: alerts, suppressed: 0, rejected, duplicate: 0 };
        let new = || v1::BatchAck {
            sequence: request.sequence,
            position: request.sequence * 10,
            balance: Some(balance),
            rejections: Vec::new(),
            remarks: Some(v1::RemarkCounts { implausible: alerts, ..v1::RemarkCounts::default() }),
        };
        Some(acks.entry(request.sequence).or_insert_with(new).clone())
    }

    /// Listens at `address` until the runtime is dropped; port 0 takes a free one. Says where.
    fn serve(&self, address: SocketAddr) -> (Runtime, SocketAddr) {
        let runtime = Runtime::new().unwrap();
        let ledger = self.clone();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        runtime.spawn(Server::builder().add_service(AlertServiceServer::new(ledger)).serve_with_incoming(incoming));
        (runtime, address)
    }
}

#[tonic::async_trait]
impl v1::alert_service_server::AlertService for Ledger {
    type StreamAlertsStream = ReceiverStream<Result<v1::StreamAlertsResponse, Status>>;
    type SubscribeForwardedStream = ReceiverStream<Result<v1::SubscribeForwardedResponse, Status>>;

    async fn stream_alerts(
        &self,
        request: Request<Streaming<v1::StreamAlertsRequest>>,
    ) -> Result<Response<Self::StreamAlertsStream>, Status> {
        if self.refusals.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Status::unavailable("the store has no room"));
        }
        let (answers, answered) = mpsc::channel(1);
        let mut requests = request.into_inner();
        let ledger = self.clone();
        tokio::spawn(async move {
            while let Some(Ok(request)) = requests.next().await {
                let ack = ledger.take(&request);
                if request.sequence == ledger.silent_at {
                    ledger.told.send(()).unwrap();
                    std::future::pending::<()>().await;
                }
                let answer = ack
                    .map(|ack| v1::StreamAlertsResponse { ack: Some(ack) })
                    .ok_or_else(|| Status::failed_precondition("sequence: a gap"));
                if answers.send(answer).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(answered)))
    }

    async fn submit_alerts(
        &self,
        _: Request<v1::SubmitAlertsRequest>,
    ) -> Result<Response<v1::SubmitAlertsResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn get_producer(
        &self,
        _: Request<v1::GetProducerRequest>,
    ) -> Result<Response<v1::GetProducerResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn get_intake_limits(
        &self,
        _: Request<v1::GetIntakeLimitsRequest>,
    ) -> Result<Response<v1::GetIntakeLimitsResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn subscribe_forwarded(
        &self,
        _: Request<v1::SubscribeForwardedRequest>,
    ) -> Result<Response<Self::SubscribeForwardedStream>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn explain_alert(
        &self,
        _: Request<v1::ExplainAlertRequest>,
    ) -> Result<Response<v1::ExplainAlertResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn list_alerts(&self, _: Request<v1::ListAlertsRequest>) -> Result<Response<v1::ListAlertsResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }
}

fn session(address: SocketAddr) -> Session {
    Session {
        server: format!("http://{address}"),
        token: None,
        insecure_http: false,
        ca: None,
        certificate: None,
        key: None,
        json: false,
        look: Default::default(),
    }
}

/// A host of an older release has no table to show: that of this program takes its place. One that is away is a failure.
#[test]
fn a_host_without_a_table_is_sent_to_by_the_table_of_this_program() {
    let (ledger, _heard) = Ledger::new(0);
    let (server, address) = ledger.serve("127.0.0.1:0".parse().unwrap());
    let runtime = Runtime::new().unwrap();
    let names = |session: &Session| {
        runtime.block_on(crate::cli::alert::terms::names_to_send_by(session, &NameFiles::default()))
    };
    let session = session(address);
    assert_eq!(names(&session).unwrap().codes, CodeTable::builtin());
    drop(server);
    assert_eq!(names(&session).unwrap_err().exit, Failure::UNAVAILABLE);
}

const BATCHES: u64 = 60;
const ALERTS: u64 = 3;

/// Delivers `BATCHES` batches of `ALERTS` alerts, the second one with a line that could not be read, on a thread of
/// its own.
fn deliver(
    address: SocketAddr,
    first: u64,
    reconnect: Duration,
) -> std::thread::JoinHandle<Result<Delivered, Failure>> {
    std::thread::spawn(move || {
        let session = session(address);
        let (sender, batches) = mpsc::channel(BATCHES as usize);
        for number in 0..BATCHES {
            let alerts = vec![v1::Alert { device_id: 1, code: 0x8F40, ..v1::Alert::default() }; ALERTS as usize];
            let lines = vec![number; ALERTS as usize];
            let batch = Batch { alerts, lines, unreadable_count: u32::from(number == 1), ..Batch::default() };
            sender.try_send(batch).unwrap();
        }
        drop(sender);
        let rejections = Notices::new("alerts", ProgressBar::hidden());
        let by = By { producer_id: "p".to_owned(), last_sequence: first, is_ephemeral: false };
        let delivery = Delivery::new(&session, by, batches, rejections);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(delivery.run(reconnect))
    })
}

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn all_of_it() -> Delivered {
    let received = BATCHES * ALERTS + 1;
    let balance = Balance { received, forwarded: received - 1, rejected: 1, ..Balance::default() };
    let implausible = v1::RemarkCounts { implausible: BATCHES * ALERTS, ..v1::RemarkCounts::default() };
    let remarks = RemarkCounts::from(Some(implausible));
    Delivered { balance, remarks, position: BATCHES * 10 }
}

#[test]
fn all_batches_are_delivered_and_added_up() {
    let (ledger, _) = Ledger::new(0);
    let (_server, address) = ledger.serve(ANY_PORT);
    assert_eq!(deliver(address, 0, Duration::ZERO).join().unwrap(), Ok(all_of_it()));
}

#[test]
fn what_was_not_acknowledged_is_sent_again_and_counted_once() {
    let (ledger, mut heard) = Ledger::new(25);
    let (server, address) = ledger.serve(ANY_PORT);
    let delivery = deliver(address, 0, Duration::from_secs(30));
    heard.blocking_recv().unwrap();
    // Batch 25 is kept, its acknowledgement never leaves.
    drop(server);
    let _server = Ledger { silent_at: 0, ..ledger.clone() }.serve(address);
    assert_eq!(delivery.join().unwrap(), Ok(all_of_it()));
    assert_eq!(ledger.acks.lock().unwrap().len() as u64, BATCHES);
}

#[test]
fn a_server_that_stays_away_is_given_up_with_what_it_has() {
    let (ledger, mut heard) = Ledger::new(25);
    let (server, address) = ledger.serve(ANY_PORT);
    let delivery = deliver(address, 0, Duration::from_millis(600));
    heard.blocking_recv().unwrap();
    drop(server);
    let failure = delivery.join().unwrap().unwrap_err();
    assert_eq!(failure.exit, Failure::UNAVAILABLE, "{failure}");
    assert!(failure.hint.unwrap_or_default().contains("alerts were acknowledged and are kept"));
}

#[test]
fn a_refusal_is_not_tried_again() {
    let (ledger, _) = Ledger::new(0);
    let (_server, address) = ledger.serve(ANY_PORT);
    let failure = deliver(address, 7, Duration::from_secs(30)).join().unwrap().unwrap_err();
    assert_eq!((failure.exit, failure.message.as_str()), (Failure::USAGE, "sequence: a gap"));
}

#[test]
fn a_server_that_takes_nothing_now_is_waited_for_from_the_first_batch_on() {
    let (ledger, _) = Ledger::new(0);
    ledger.refusals.store(3, SeqCst);
    let (_server, address) = ledger.serve(ANY_PORT);
    assert_eq!(deliver(address, 0, Duration::from_secs(60)).join().unwrap(), Ok(all_of_it()));
    assert_eq!(ledger.refusals.load(SeqCst), 0);

    // Not for ever: the time runs from the first refusal on.
    ledger.refusals.store(u64::MAX, SeqCst);
    let failure = deliver(address, BATCHES, Duration::ZERO).join().unwrap().unwrap_err();
    assert_eq!((failure.exit, failure.message.as_str()), (Failure::UNAVAILABLE, "the store has no room"));
}
