//! Streams of forwarded alerts, and CursorService.
//!
//! It must not know how the log is read. Invariants: no more than one piece of a subscription is held, and a reader of the
//! store only while it is read; while batches wait to be judged a stream gives way to them; it ends with a status when its
//! cursor goes to somebody else, when what it was to give next is gone, and when the server stops.

use std::time::{Duration, Instant};

use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};
use weir_proto::v1::{self, cursor_service_server::CursorService};

use super::{
    convert::subscribe,
    gate::Door,
    status::{CURSOR_TAKEN, refused, status},
};
use crate::{
    config::{IntakeLimits, SubscribeLimits},
    domain::Position,
    pipeline::{Handle, Piece, Refusal, Subscription},
};

/// How long a stream rests between two pieces while batches wait: it gets on all the same, and takes little from them.
const GIVES_WAY: Duration = Duration::from_millis(100);

/// What a subscriber receives.
pub type Forwarded = ReceiverStream<Result<v1::SubscribeForwardedResponse, Status>>;

/// What streams of forwarded alerts are bounded by.
#[derive(Clone)]
pub struct Terms {
    /// Alerts of one message.
    alerts_max: usize,
    /// Its bytes.
    bytes_max: usize,
    /// How long a subscriber hears nothing.
    silent_max: Duration,
    stopping: watch::Receiver<bool>,
}

impl Terms {
    /// From the settings. Streams end when `stopping` turns true.
    pub fn new(limits: &SubscribeLimits, intake: &IntakeLimits, stopping: watch::Receiver<bool>) -> Self {
        Self {
            alerts_max: limits.message_alerts_max,
            bytes_max: intake.message_bytes_max,
            silent_max: Duration::from_millis(limits.progress_every_ms),
            stopping,
        }
    }
}

/// Begins a stream.
pub async fn begin(
    handle: Handle,
    request: v1::SubscribeForwardedRequest,
    terms: &Terms,
) -> Result<Forwarded, Refusal> {
    let (request, alerts_max) = subscribe::request(request, terms.alerts_max)?;
    let subscription = handle.subscribe(request).await?;
    let (sender, messages) = mpsc::channel(1);
    let terms = Terms { alerts_max, ..terms.clone() };
    tokio::spawn(async move {
        let ended = tokio::select! {
            ended = follow(&handle, subscription, &terms, &sender) => ended,
            () = super::stopped(terms.stopping.clone()) => Some(status(handle.unavailable())),
            () = sender.closed() => None,
        };
        if let Some(ended) = ended {
            // Whoever reads slowly is waited for no longer than they live.
            let _ = sender.send(Err(ended)).await;
        }
    });
    Ok(ReceiverStream::new(messages))
}

/// Sends piece after piece. It returns why the stream ends; `None` where nobody listens any more.
async fn follow(
    handle: &Handle,
    mut subscription: Subscription,
    terms: &Terms,
    messages: &mpsc::Sender<Result<v1::SubscribeForwardedResponse, Status>>,
) -> Option<Status> {
    let mut log_end = handle.log_end();
    let mut told: Option<Instant> = None;
    loop {
        // Marked as seen before it is read: what comes in between wakes the stream again.
        log_end.borrow_and_update();
        let read = handle.read(move |_| subscription.read_on().map(|piece| (subscription, piece))).await;
        let (back, piece) = match read {
            Ok(read) => read,
            Err(refusal) => return Some(status(refusal)),
        };
        subscription = back;
        let Piece { position, end, .. } = piece;
        // The first message says where the stream stands, whatever the filters.
        let due = told.is_none_or(|told| told.elapsed() >= terms.silent_max);
        let send = async {
            for message in subscribe::messages(piece, terms.alerts_max, terms.bytes_max) {
                if due || !message.alerts.is_empty() {
                    messages.send(Ok(message)).await.map_err(|_| ())?;
                    told = Some(Instant::now());
                }
            }
            Ok::<(), ()>(())
        };
        tokio::select! {
            sent = send => sent.ok()?,
            _ = &mut subscription.seat.over => return Some(taken_over()),
        }
        if handle.is_busy() {
            tokio::select! {
                () = tokio::time::sleep(GIVES_WAY) => continue,
                _ = &mut subscription.seat.over => return Some(taken_over()),
            }
        }
        if position < end {
            continue;
        }
        tokio::select! {
            waited = timeout(terms.silent_max, log_end.changed()) => match waited {
                Ok(Ok(())) => {}
                // Nobody is left who could add to the log.
                Ok(Err(_)) => return Some(status(handle.unavailable())),
                Err(_) => {}
            },
            _ = &mut subscription.seat.over => return Some(taken_over()),
        }
    }
}

/// Why a stream ends whose cursor has another reader, or is gone.
fn taken_over() -> Status {
    let why = "another stream of this cursor has begun, or the cursor was removed; a cursor has one reader";
    refused(Code::Aborted, CURSOR_TAKEN, why)
}

/// The service.
pub struct Cursors {
    door: Door,
}

impl Cursors {
    /// Behind a door.
    pub fn new(door: Door) -> Self {
        Self { door }
    }
}

#[tonic::async_trait]
impl CursorService for Cursors {
    async fn advance_cursor(
        &self,
        request: Request<v1::AdvanceCursorRequest>,
    ) -> Result<Response<v1::AdvanceCursorResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::AdvanceCursorRequest { name, position } = request.into_inner();
        let view = handle.advance_cursor(&name, Position(position)).await.map_err(status)?;
        Ok(Response::new(v1::AdvanceCursorResponse { cursor: Some(subscribe::cursor(view)) }))
    }

    async fn list_cursors(
        &self,
        request: Request<v1::ListCursorsRequest>,
    ) -> Result<Response<v1::ListCursorsResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::ListCursorsRequest {} = request.into_inner();
        let cursors = handle.query(Handle::cursors).await.map_err(status)?;
        Ok(Response::new(v1::ListCursorsResponse { cursors: cursors.into_iter().map(subscribe::cursor).collect() }))
    }

    async fn delete_cursor(
        &self,
        request: Request<v1::DeleteCursorRequest>,
    ) -> Result<Response<v1::DeleteCursorResponse>, Status> {
        let handle = self.door.open(&request)?;
        let v1::DeleteCursorRequest { name } = request.into_inner();
        handle.delete_cursor(&name).await.map_err(status)?;
        Ok(Response::new(v1::DeleteCursorResponse {}))
    }
}
