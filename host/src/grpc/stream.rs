//! A stream of batches and its answers: read ahead within bounds, answered in order.
//!
//! It must not know what a batch holds. Invariant: at most `in_flight_max` batches are read and not yet answered, no
//! more than one of them beyond the bytes of whoever sends them, and the stream ends well only when the client has
//! ended it and every batch of it was answered.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::timeout,
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Code, Status};
use weir_proto::v1;

use super::{
    convert, panics,
    peer::Peer,
    quota::{Account, Taken},
    status::{CALLER_TOO_SLOW, refused, status},
};
use crate::{
    config::ALERT_BYTES_MAX,
    domain::{Ack, Note},
    pipeline::Refusal,
};

/// What a client receives.
pub type Answers = ReceiverStream<Result<v1::StreamAlertsResponse, Status>>;

/// What a stream may take up, and how long the host waits for it.
pub struct Terms {
    /// Batches that are read and not yet answered.
    pub in_flight_max: usize,
    /// Alerts of one batch. One with more is refused, so it does not wait for room before.
    pub batch_alerts_max: usize,
    /// Whose bytes they are.
    pub account: Arc<Account>,
    /// How long an answer may wait to be read.
    pub unread_max: Duration,
    /// Its connection.
    pub peer: Option<Peer>,
    /// Nothing more is read once this turns true.
    pub stopping: watch::Receiver<bool>,
}

/// A batch that was handed over, in its place in the order.
struct Pending<A> {
    answer: A,
    room: (OwnedSemaphorePermit, Taken),
}

/// A stream's answers on their way to the client, and the place that is kept for its end.
struct Outbox {
    answers: mpsc::Sender<Result<v1::StreamAlertsResponse, Status>>,
    end: mpsc::OwnedPermit<Result<v1::StreamAlertsResponse, Status>>,
    unread_max: Duration,
}

/// How writing ended.
enum Written {
    /// With everything, or with a status.
    Whole,
    /// With an answer that was not read in time.
    Unread,
}

/// What one batch takes up, in bytes.
pub fn bytes_of(alerts: usize) -> u64 {
    alerts as u64 * ALERT_BYTES_MAX
}

/// What notes take up beyond what an alert is taken for: only those of alerts that are rejected for it do.
fn excess_of_notes(alerts: &[v1::Alert]) -> u64 {
    let notes = alerts.iter().filter_map(|alert| alert.details.as_ref()).map(|details| details.note.len());
    notes.map(|bytes| bytes.saturating_sub(Note::BYTES_MAX) as u64).sum()
}

/// Reads `requests`, hands each to `submit`, which gives the future of its answer, and answers in the same order. It stops with the first batch that is
/// refused, when the host stops, when an answer is not read in time, and when the receiver of the answers is dropped; a
/// batch that was handed over by then may be committed all the same.
pub fn answers<S, F, A>(
    requests: impl Stream<Item = Result<v1::StreamAlertsRequest, Status>> + Send + 'static,
    terms: Terms,
    submit: S,
) -> Answers
where
    S: Fn(v1::StreamAlertsRequest) -> F + Send + 'static,
    F: Future<Output = Result<A, Refusal>> + Send,
    A: Future<Output = Result<Ack, Refusal>> + Send + 'static,
{
    // One place for an answer, one for the end.
    let (answers, received) = mpsc::channel(2);
    // Every entry but the last one, a status, holds one of `in_flight_max` slots. So a send never waits.
    let (queue, queued) = mpsc::channel(terms.in_flight_max + 1);
    tokio::spawn(async move {
        let (peer, unread_max) = (terms.peer.clone(), terms.unread_max);
        let work = async {
            let Ok(end) = answers.clone().reserve_owned().await else { return Written::Whole };
            let outbox = Outbox { answers: answers.clone(), end, unread_max };
            tokio::select! {
                () = answers.closed() => Written::Whole,
                written = write(queued, outbox) => written,
                // The end of reading is not the end: it closes the queue, and the writer comes to its end then.
                never = async {
                    read(requests, terms, queue, submit).await;
                    std::future::pending().await
                } => never,
            }
        };
        match panics::Caught::new(work).await {
            Ok(Written::Whole) => {}
            // What it held is free again. A client that reads now finds why; one that does not loses its connection.
            Ok(Written::Unread) => {
                if timeout(unread_max, answers.closed()).await.is_err() {
                    peer.iter().for_each(|peer| peer.cut_unread("StreamAlerts"));
                }
            }
            // Without a status the client would take the end of the stream for success.
            Err(panics::Panicked) => drop(answers.send(Err(panics::status())).await),
        }
    });
    ReceiverStream::new(received)
}

async fn read<S, F, A>(
    requests: impl Stream<Item = Result<v1::StreamAlertsRequest, Status>>,
    terms: Terms,
    queue: mpsc::Sender<Result<Pending<A>, Status>>,
    submit: S,
) where
    S: Fn(v1::StreamAlertsRequest) -> F,
    F: Future<Output = Result<A, Refusal>>,
{
    let slots = Arc::new(Semaphore::new(terms.in_flight_max));
    let mut requests = std::pin::pin!(requests);
    let mut stop = std::pin::pin!(super::stopped(terms.stopping));
    let end = loop {
        // The slot comes first: with none free nothing is read, and flow control holds the client back.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        // What a batch takes up is known once it is read; until there is room for it nothing more is.
        let next = async {
            let request = requests.next().await?;
            let alerts = request.as_ref().map_or(0, |request| request.alerts.len());
            let notes = request.as_ref().map_or(0, |request| excess_of_notes(&request.alerts));
            let bytes = if alerts > terms.batch_alerts_max { 0 } else { bytes_of(alerts) + notes };
            Some((request, terms.account.bytes(bytes).await))
        };
        let next = tokio::select! {
            biased;
            () = &mut stop => break status(Refusal::Unavailable("the host is stopping; resend what has no ack".into())),
            next = next => next,
        };
        let (request, bytes) = match next {
            Some((Ok(request), bytes)) => (request, bytes),
            Some((Err(status), _)) => break status,
            None => return,
        };
        let answer = match submit(request).await {
            Ok(answer) => answer,
            Err(refusal) => break status(refusal),
        };
        if queue.send(Ok(Pending { answer, room: (slot, bytes) })).await.is_err() {
            return;
        }
    };
    // Nobody there to receive it: the writer has ended the stream already.
    let _ = queue.send(Err(end)).await;
}

async fn write<A: Future<Output = Result<Ack, Refusal>>>(
    mut queued: mpsc::Receiver<Result<Pending<A>, Status>>,
    outbox: Outbox,
) -> Written {
    let Outbox { answers, end, unread_max } = outbox;
    while let Some(next) = queued.recv().await {
        let reply = match next {
            Ok(Pending { answer, room }) => answer.await.map(|ack| (ack, room)).map_err(status),
            Err(status) => Err(status),
        };
        match reply {
            // The room is free again only when the answer is on its way.
            Ok((ack, _room)) => {
                let response = v1::StreamAlertsResponse { ack: Some(convert::alert::ack(ack)) };
                match timeout(unread_max, answers.send(Ok(response))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Written::Whole,
                    Err(_) => {
                        end.send(Err(unread(unread_max)));
                        return Written::Unread;
                    }
                }
            }
            Err(status) => {
                end.send(Err(status));
                return Written::Whole;
            }
        }
    }
    Written::Whole
}

fn unread(unread_max: Duration) -> Status {
    let wait_ms = unread_max.as_millis();
    let words = format!(
        "an answer was not read within intake.unread_answers_ms_max ({wait_ms} ms); resend what has no ack, and read \
         answers while you send"
    );
    refused(Code::DeadlineExceeded, CALLER_TOO_SLOW, &words)
}

#[cfg(test)]
mod tests;
