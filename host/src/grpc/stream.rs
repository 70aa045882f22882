//! A stream of batches and its answers: read ahead within bounds, answered in order.
//!
//! It must not know what a batch holds. Invariant: at most `in_flight_max` batches are read and not yet answered, and
//! the stream ends well only when the client has ended it and every batch of it was answered.

use std::{future::Future, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::Status;
use weir_proto::v1;

use super::{convert, panics, status::status};
use crate::{domain::Ack, pipeline::Refusal};

/// What a client receives.
pub type Answers = ReceiverStream<Result<v1::StreamAlertsResponse, Status>>;

/// A batch that was handed over, in its place in the order.
struct Pending<A> {
    answer: A,
    slot: OwnedSemaphorePermit,
}

/// Reads `requests`, hands each to `submit`, which gives the future of its answer, and answers in the same order. It stops with the first batch that is
/// refused, when `stopping` turns true, and when the receiver of the answers is dropped; a batch that was handed over
/// by then may be committed all the same.
pub fn answers<S, F, A>(
    requests: impl Stream<Item = Result<v1::StreamAlertsRequest, Status>> + Send + 'static,
    in_flight_max: usize,
    stopping: watch::Receiver<bool>,
    submit: S,
) -> Answers
where
    S: Fn(v1::StreamAlertsRequest) -> F + Send + 'static,
    F: Future<Output = Result<A, Refusal>> + Send,
    A: Future<Output = Result<Ack, Refusal>> + Send + 'static,
{
    let (answers, received) = mpsc::channel(1);
    // Every entry but the last one, a status, holds one of `in_flight_max` slots. So a send never waits.
    let (queue, queued) = mpsc::channel(in_flight_max + 1);
    tokio::spawn(async move {
        let work = async {
            tokio::select! {
                () = answers.closed() => {}
                () = write(queued, &answers) => {}
                // The end of reading is not the end: it closes the queue, and the writer comes to its end then.
                () = async {
                    read(requests, in_flight_max, queue, stopping, submit).await;
                    std::future::pending().await
                } => {}
            }
        };
        if panics::Caught::new(work).await.is_err() {
            // Without a status the client would take the end of the stream for success.
            let _ = answers.send(Err(panics::status())).await;
        }
    });
    ReceiverStream::new(received)
}

async fn read<S, F, A>(
    requests: impl Stream<Item = Result<v1::StreamAlertsRequest, Status>>,
    in_flight_max: usize,
    queue: mpsc::Sender<Result<Pending<A>, Status>>,
    stopping: watch::Receiver<bool>,
    submit: S,
) where
    S: Fn(v1::StreamAlertsRequest) -> F,
    F: Future<Output = Result<A, Refusal>>,
{
    let slots = Arc::new(Semaphore::new(in_flight_max));
    let mut requests = std::pin::pin!(requests);
    let mut stop = std::pin::pin!(super::stopped(stopping));
    let end = loop {
        // The slot comes first: with none free nothing is read, and flow control holds the client back.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let next = tokio::select! {
            biased;
            () = &mut stop => break status(Refusal::Unavailable("the host is stopping; resend what has no ack".into())),
            next = requests.next() => next,
        };
        let request = match next {
            Some(Ok(request)) => request,
            Some(Err(status)) => break status,
            None => return,
        };
        let answer = match submit(request).await {
            Ok(answer) => answer,
            Err(refusal) => break status(refusal),
        };
        if queue.send(Ok(Pending { answer, slot })).await.is_err() {
            return;
        }
    };
    // Nobody there to receive it: the writer has ended the stream already.
    let _ = queue.send(Err(end)).await;
}

async fn write<A: Future<Output = Result<Ack, Refusal>>>(
    mut queued: mpsc::Receiver<Result<Pending<A>, Status>>,
    answers: &mpsc::Sender<Result<v1::StreamAlertsResponse, Status>>,
) {
    while let Some(next) = queued.recv().await {
        let reply = match next {
            Ok(Pending { answer, slot }) => answer.await.map(|ack| (ack, slot)).map_err(status),
            Err(status) => Err(status),
        };
        match reply {
            // The slot is free again only when the answer is on its way.
            Ok((ack, _slot)) => {
                let response = v1::StreamAlertsResponse { ack: Some(convert::alert::ack(ack)) };
                if answers.send(Ok(response)).await.is_err() {
                    return;
                }
            }
            Err(status) => {
                let _ = answers.send(Err(status)).await;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
