//! Batches on their way: sent ahead of their acknowledgements, and again where the connection broke.
//!
//! It must not know where batches come from. Invariants: a batch is kept until it is acknowledged and counted once,
//! however often it is sent; batches in flight are bounded.

use std::{collections::VecDeque, time::Duration};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use weir_proto::v1;

use crate::cli::{
    Failure, Session,
    alert::{self, patience::Patience, reader::Batch},
    failure::is_broken,
    input::Notices,
    producer,
    view::alert::{Balance, RemarkCounts},
};

/// Batches that are sent and not yet acknowledged.
const IN_FLIGHT_MAX: usize = 16;

/// How long telling of the end of a run may take.
const END_MAX: Duration = Duration::from_secs(5);

/// What became of all batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivered {
    pub(super) balance: Balance,
    pub(super) remarks: RemarkCounts,
    pub(super) position: u64,
}

/// A batch that is not acknowledged.
struct Pending {
    request: v1::StreamAlertsRequest,
    /// Where its alerts came from: the alerts themselves are in the request.
    origin: Batch,
}

/// The producer that delivers.
pub(super) struct By {
    pub(super) producer_id: String,
    /// Number of the last batch that the server has.
    pub(super) last_sequence: u64,
    /// Nobody goes on under the id.
    pub(super) is_ephemeral: bool,
}

/// A delivery under way.
pub(super) struct Delivery<'a> {
    session: &'a Session,
    by: By,
    batches: mpsc::Receiver<Batch>,
    pending: VecDeque<Pending>,
    delivered: Delivered,
    acknowledged: u64,
    /// Whether the last connection began with nothing to send, after others that worked, or is the first one to a server
    /// that has answered before.
    rested: bool,
    rejections: Notices,
}

/// How one connection ended before all was done.
enum Interruption {
    /// The connection broke: what is pending may be sent again.
    Broken(Failure),
    /// The server answered that it takes nothing now: its store is full, say, or its clock is wrong.
    NotServing(Failure),
    /// It makes no sense to go on.
    Final(Failure),
}

impl<'a> Delivery<'a> {
    pub(super) fn new(session: &'a Session, by: By, batches: mpsc::Receiver<Batch>, rejections: Notices) -> Self {
        Self {
            session,
            by,
            batches,
            pending: VecDeque::new(),
            delivered: Delivered { balance: Balance::default(), remarks: RemarkCounts::default(), position: 0 },
            acknowledged: 0,
            rested: false,
            rejections,
        }
    }

    /// The server has answered already: what breaks is tried again from the first batch on.
    pub(super) fn after_an_answer(self, answered: bool) -> Self {
        Self { rested: answered, ..self }
    }

    /// Delivers all batches. Where the connection breaks after it once worked, or a server takes nothing now, it is tried
    /// again for `reconnect`.
    pub(super) async fn run(mut self, reconnect: Duration) -> Result<Delivered, Failure> {
        let delivered = self.deliver(reconnect).await;
        let is_there = !delivered.as_ref().is_err_and(|failure| failure.exit == Failure::UNAVAILABLE);
        if self.by.is_ephemeral && self.acknowledged > 0 && is_there {
            self.end_run().await;
        }
        delivered?;
        self.rejections.finish();
        Ok(self.delivered)
    }

    /// Tells the server that the run has ended. If that fails, the server forgets the producer by itself some hours later.
    async fn end_run(&self) {
        let end = async {
            if let Ok(mut client) = producer::client(self.session).await {
                let _ = producer::remove(&mut client, &self.by.producer_id, None).await;
            }
        };
        let _ = tokio::time::timeout(END_MAX, end).await;
    }

    async fn deliver(&mut self, reconnect: Duration) -> Result<(), Failure> {
        let mut patience = Patience::new(Duration::ZERO);
        let mut acknowledged_before = 0;
        let mut was_refused = false;
        loop {
            match self.connection().await {
                Ok(()) => return Ok(()),
                Err(Interruption::Final(failure)) => return Err(self.lost(failure)),
                Err(interruption @ (Interruption::Broken(_) | Interruption::NotServing(_))) => {
                    let (failure, is_refused) = match interruption {
                        Interruption::NotServing(failure) => (failure, true),
                        Interruption::Broken(failure) | Interruption::Final(failure) => (failure, false),
                    };
                    let has_worked = self.acknowledged > acknowledged_before || std::mem::take(&mut self.rested);
                    if has_worked || (is_refused && !was_refused) {
                        acknowledged_before = self.acknowledged;
                        patience = Patience::new(reconnect);
                    }
                    // Once refused, the time runs until something is acknowledged.
                    was_refused = is_refused || (was_refused && !has_worked);
                    if !patience.wait().await {
                        return Err(self.lost(failure));
                    }
                }
            }
        }
    }

    /// A failure that says how far the delivery came.
    fn lost(&self, failure: Failure) -> Failure {
        if self.acknowledged == 0 {
            return failure;
        }
        let received = self.delivered.balance.received;
        if self.pending.iter().any(|pending| !pending.request.bookmark.is_empty()) {
            let hint = format!("{received} alerts were acknowledged and are kept; the same command goes on from there");
            return failure.with_hint(hint);
        }
        failure.with_hint(format!(
            "{received} alerts were acknowledged and are kept; the rest was not. Sent again, alerts with a counter are \
             recognised; a sending with --resume NAME continues where it stopped"
        ))
    }

    /// One connection: sends what is pending, then goes on with new batches, and takes acknowledgements.
    async fn connection(&mut self) -> Result<(), Interruption> {
        let (requests, outgoing) = mpsc::channel(IN_FLIGHT_MAX);
        for pending in &self.pending {
            // The channel has room for all that may be in flight.
            let _ = requests.send(pending.request.clone()).await;
        }
        let mut requests = Some(requests);
        // A server may want to see a batch before it answers the call at all.
        if self.pending.is_empty() {
            let Some(batch) = self.batches.recv().await else { return Ok(()) };
            self.rested |= self.acknowledged > 0;
            self.send(batch, requests.as_ref()).await;
        }
        let mut client = alert::client(self.session).await.map_err(Interruption::of_connecting)?;
        let answer = client.stream_alerts(ReceiverStream::new(outgoing)).await;
        let mut acks = answer.map_err(|status| self.interruption(&status))?.into_inner();
        loop {
            tokio::select! {
                batch = self.batches.recv(), if requests.is_some() && self.pending.len() < IN_FLIGHT_MAX => match batch {
                    Some(batch) => self.send(batch, requests.as_ref()).await,
                    None => requests = None,
                },
                ack = next(&mut acks) => match ack.map_err(|status| self.interruption(&status))? {
                    Some(ack) => self.acknowledge(ack)?,
                    None if requests.is_none() && self.pending.is_empty() => return Ok(()),
                    None => return Err(Interruption::Broken(Failure::unavailable("the server ended the stream early"))),
                },
            }
        }
    }

    /// Numbers a batch, keeps it, and sends it.
    async fn send(&mut self, mut batch: Batch, requests: Option<&mpsc::Sender<v1::StreamAlertsRequest>>) {
        let alerts = std::mem::take(&mut batch.alerts);
        self.by.last_sequence += 1;
        let request = v1::StreamAlertsRequest {
            producer_id: self.by.producer_id.clone(),
            sequence: self.by.last_sequence,
            alerts,
            unreadable_count: batch.unreadable_count,
            bookmark: std::mem::take(&mut batch.bookmark),
            ephemeral: self.by.is_ephemeral,
        };
        if let Some(requests) = requests {
            // Where the call has ended, the acknowledgements say why.
            let _ = requests.send(request.clone()).await;
        }
        self.pending.push_back(Pending { request, origin: batch });
    }

    fn acknowledge(&mut self, ack: v1::BatchAck) -> Result<(), Interruption> {
        let v1::BatchAck { sequence, position, balance, rejections, remarks } = ack;
        let wrong = |message: String| Err(Interruption::Final(Failure::internal(message)));
        let Some(balance) = balance.map(Balance::from) else {
            return wrong(format!("balance: missing in the acknowledgement of batch {sequence}"));
        };
        let Some(pending) = self.pending.pop_front_if(|pending| pending.request.sequence == sequence) else {
            return wrong(format!("sequence: batch {sequence} was acknowledged out of turn"));
        };
        self.delivered.balance.add(balance);
        self.delivered.remarks.add(remarks.into());
        self.delivered.position = self.delivered.position.max(position);
        self.acknowledged += 1;
        let listed = rejections.len() as u64;
        for rejection in rejections {
            match pending.origin.place(rejection.index as usize) {
                Some(place) => self.rejections.give(&format!("{place}: {}", rejection.reason)),
                None => self.rejections.give(&format!("batch {sequence}: {}", rejection.reason)),
            }
        }
        // Lines that could not be read are among the rejected, and have been named already.
        let unlisted = balance.rejected.saturating_sub(u64::from(pending.request.unreadable_count) + listed);
        self.rejections.add(unlisted);
        Ok(())
    }

    fn interruption(&self, status: &Status) -> Interruption {
        let failure = self.session.failed(status);
        if is_broken(status) {
            Interruption::Broken(failure)
        } else if failure.exit == Failure::UNAVAILABLE {
            Interruption::NotServing(failure)
        } else {
            Interruption::Final(failure)
        }
    }
}

impl Interruption {
    fn of_connecting(failure: Failure) -> Self {
        if failure.exit == Failure::UNAVAILABLE { Self::Broken(failure) } else { Self::Final(failure) }
    }
}

/// The next acknowledgement, `None` at the end of the stream.
async fn next(acks: &mut Streaming<v1::StreamAlertsResponse>) -> Result<Option<v1::BatchAck>, Status> {
    match acks.message().await? {
        None => Ok(None),
        Some(v1::StreamAlertsResponse { ack: Some(ack) }) => Ok(Some(ack)),
        Some(v1::StreamAlertsResponse { ack: None }) => Err(Status::internal("ack: missing in an answer")),
    }
}

#[cfg(test)]
mod tests;
