//! CountService: counts that balance.
//!
//! It must not add anything up. Invariant: the numbers are the books', as of the position beside them.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use weir_proto::v1::{self, count_service_server::CountService};

use super::{convert::count, gate::Door, status::status};
use crate::{
    books::CountQuery,
    domain::FinalUntil,
    pipeline::{Handle, Refusal},
};

/// Time from one answer to the next where none is asked for, and what may be asked for, in milliseconds.
const INTERVAL_MS: u32 = 1_000;
const INTERVALS_MS: std::ops::RangeInclusive<u32> = 100..=3_600_000;

/// The service.
pub struct Counts {
    door: Door,
    message_bytes_max: usize,
    stopping: watch::Receiver<bool>,
}

impl Counts {
    /// Gives answers of at most `message_bytes_max` bytes. Streams end when `stopping` turns true.
    pub fn new(door: Door, message_bytes_max: usize, stopping: watch::Receiver<bool>) -> Self {
        Self { door, message_bytes_max, stopping }
    }
}

#[tonic::async_trait]
impl CountService for Counts {
    type WatchCountsStream = ReceiverStream<Result<v1::WatchCountsResponse, Status>>;

    async fn query_counts(
        &self,
        request: Request<v1::QueryCountsRequest>,
    ) -> Result<Response<v1::QueryCountsResponse>, Status> {
        let (handle, bytes_max) = (self.door.open(&request)?, self.message_bytes_max);
        let query = count::query(request.into_inner()).map_err(status)?;
        let is_of_log = handle.reads_log(&query);
        let ask = move |handle: &Handle| answer(handle, &query, bytes_max);
        let counted = if is_of_log { handle.scan(ask).await } else { handle.query(ask).await };
        let table = counted.map_err(status)?;
        Ok(Response::new(table))
    }

    async fn watch_counts(
        &self,
        request: Request<v1::WatchCountsRequest>,
    ) -> Result<Response<Self::WatchCountsStream>, Status> {
        let handle = self.door.open(&request)?;
        let v1::WatchCountsRequest { query, interval_ms } = request.into_inner();
        let query = count::query(query.unwrap_or_default()).map_err(status)?;
        if handle.reads_log(&query) {
            let why = "this is counted from the log, and only counts of the books are watched; call QueryCounts";
            return Err(status(Refusal::invalid("query.group_by", why)));
        }
        let interval = interval(interval_ms).map_err(status)?;
        let (sender, messages) = mpsc::channel(1);
        let (stopping, bytes_max) = (self.stopping.clone(), self.message_bytes_max);
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = watch_counts(&handle, query, (interval, bytes_max), &sender) => ended,
                () = super::stopped(stopping) => Some(status(handle.unavailable())),
                () = sender.closed() => None,
            };
            if let Some(ended) = ended {
                let _ = sender.send(Err(ended)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

fn answer(handle: &Handle, query: &CountQuery, bytes_max: usize) -> Result<v1::QueryCountsResponse, Refusal> {
    let provisional = count::Provisional { until: FinalUntil::at(handle.now_ms()), step_ms: query.step_ms() };
    count::table(handle.counts(query)?, provisional, bytes_max)
}

fn interval(ms: u32) -> Result<Duration, Refusal> {
    let ms = if ms == 0 { INTERVAL_MS } else { ms };
    if !INTERVALS_MS.contains(&ms) {
        let (min, max) = (INTERVALS_MS.start(), INTERVALS_MS.end());
        return Err(Refusal::invalid("interval_ms", format!("{ms} is not allowed; from {min} to {max} are")));
    }
    Ok(Duration::from_millis(ms.into()))
}

/// Counts again whenever there is more. It returns why the stream ends; `None` where nobody listens any more.
async fn watch_counts(
    handle: &Handle,
    query: CountQuery,
    (interval, bytes_max): (Duration, usize),
    messages: &mpsc::Sender<Result<v1::WatchCountsResponse, Status>>,
) -> Option<Status> {
    let mut log_end = handle.log_end();
    loop {
        // Marked as seen before it is counted: what comes in between is counted once more.
        log_end.borrow_and_update();
        let query = query.clone();
        match handle.read(move |handle| answer(handle, &query, bytes_max)).await {
            Ok(counts) => messages.send(Ok(v1::WatchCountsResponse { counts: Some(counts) })).await.ok()?,
            Err(refusal) => return Some(status(refusal)),
        }
        tokio::time::sleep(interval).await;
        if log_end.changed().await.is_err() {
            return None;
        }
    }
}
