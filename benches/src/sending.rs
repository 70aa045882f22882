//! Sends a day of alerts over one stream, several batches in flight, and takes the time of each answer.
//!
//! It must not know what the alerts are about. Invariant: every batch is acknowledged once, in order, before the day
//! counts as sent.
//!
//! ```text
//!   thread: make batches --(2)--> task: number, stamp, send --(in flight)--> host
//!                                         | stamps                             | acks
//!                                         +---------(in flight)---> match, take the time
//! ```

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use tokio::{sync::mpsc, task};
use tokio_stream::wrappers::ReceiverStream;
use weir_proto::v1::{Alert, BatchAck, StreamAlertsRequest};

use crate::{client::Client, generator::Day, report};

/// Batches made ahead of being sent.
const BATCHES_AHEAD: usize = 2;
/// Longest latency that is told apart from longer ones: ten minutes.
const LATENCY_US_MAX: u64 = 600_000_000;

/// Significant digits of the latencies.
const LATENCY_DIGITS: u8 = 3;

/// Alerts in a batch at full speed.
pub const FLOOD_BATCH: usize = 4096;
/// Batches in flight at full speed: enough that one group is judged while the one before it is written.
pub const FLOOD_IN_FLIGHT: usize = 24;
/// Batches a second at a given rate: each holds what a hundredth of a second brings.
const PACED_BATCHES_PER_S: u32 = 100;
/// Batches in flight at a given rate: enough never to be what the sender waits for.
const PACED_IN_FLIGHT: usize = 32;

/// How to send.
#[derive(Debug, Clone)]
pub struct Sending {
    /// Who the host takes this for.
    pub producer: String,
    /// Alerts in a batch.
    pub batch_alerts: usize,
    /// Batches sent and not yet acknowledged, at most.
    pub in_flight_max: usize,
    /// Alerts a second; `None` for as fast as they are taken.
    pub alerts_per_s: Option<u32>,
    /// Alerts of the day that are sent; `None` for all that are left.
    pub alerts_max: Option<u64>,
}

impl Sending {
    /// As fast as they are taken.
    pub fn flood() -> Self {
        Self {
            producer: "flood".to_owned(),
            batch_alerts: FLOOD_BATCH,
            in_flight_max: FLOOD_IN_FLIGHT,
            alerts_per_s: None,
            alerts_max: None,
        }
    }

    /// So many alerts a second.
    pub fn paced(producer: &str, alerts_per_s: u32) -> Self {
        Self {
            producer: producer.to_owned(),
            batch_alerts: (alerts_per_s / PACED_BATCHES_PER_S).max(1) as usize,
            in_flight_max: PACED_IN_FLIGHT,
            alerts_per_s: Some(alerts_per_s),
            alerts_max: None,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Alerts that were acknowledged.
    pub alerts: u64,
    /// From the first batch to the last answer.
    pub elapsed: Duration,
    /// From batch to answer, in microseconds. A paced batch counts from when it was due, so that a host that holds
    /// the sender up does not look the better for it.
    pub latency_us: Histogram<u64>,
    /// The four ends as the answers state them, in order: forwarded, suppressed, rejected, duplicate.
    pub ends: [u64; 4],
}

/// A batch on its way.
#[derive(Debug, Clone, Copy)]
struct Stamp {
    sequence: u64,
    alerts: u64,
    since: Instant,
}

impl Sent {
    /// Alerts acknowledged a second.
    pub fn alerts_per_s(&self) -> f64 {
        self.alerts as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The latency that this part of the batches (0 to 1) did not exceed, in milliseconds.
    pub fn latency_ms(&self, quantile: f64) -> f64 {
        self.latency_us.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// An empty histogram of latencies, in microseconds.
pub fn latencies() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, LATENCY_DIGITS).context("no histogram")
}

/// The same as [`send`], with a bar for so many alerts.
pub async fn send_with_bar(client: &Client, day: Day, sending: &Sending, alerts: u64) -> Result<(Day, Sent)> {
    let bar = report::progress(alerts, "alerts");
    let sent = send(client, day, sending, |alerts| bar.inc(alerts)).await;
    bar.finish_and_clear();
    sent
}

/// Sends the rest of a day, or the next part of it, and hands the day back with its expectation. `on_ack` is told of every batch's alerts.
pub async fn send(client: &Client, day: Day, sending: &Sending, mut on_ack: impl FnMut(u64)) -> Result<(Day, Sent)> {
    ensure!(sending.batch_alerts > 0, "batch: a batch needs an alert");
    ensure!(sending.in_flight_max > 0, "in-flight: a batch must be in flight");
    ensure!(sending.alerts_per_s != Some(0), "rate: 0 alerts a second never end");
    let (made, batches) = mpsc::channel(BATCHES_AHEAD);
    let (batch_alerts, alerts_max) = (sending.batch_alerts, sending.alerts_max.unwrap_or(u64::MAX));
    let maker = task::spawn_blocking(move || make(day, batch_alerts, alerts_max, &made));

    let (request, requests) = mpsc::channel(sending.in_flight_max);
    // What waits for an answer waits in this channel: its room is the limit of what is in flight.
    let (stamp, mut stamps) = mpsc::channel(sending.in_flight_max);
    let started = Instant::now();
    let feeder = task::spawn(feed(batches, request, stamp, sending.clone(), started));

    let mut sent = Sent { alerts: 0, elapsed: Duration::ZERO, latency_us: latencies()?, ends: [0; 4] };
    let answers = client.alerts().stream_alerts(ReceiverStream::new(requests)).await;
    let mut answers = answers.context("the stream of alerts was refused")?.into_inner();
    while let Some(answer) = answers.message().await.context("the stream of alerts broke")? {
        let stamp: Stamp = stamps.recv().await.context("the host acknowledges more batches than were sent")?;
        sent.note(stamp, &answer.ack.unwrap_or_default())?;
        on_ack(stamp.alerts);
    }
    sent.elapsed = started.elapsed();
    ensure!(stamps.recv().await.is_none(), "the host ended the stream before every batch was acknowledged");
    feeder.await.context("the sender failed")?;
    Ok((maker.await.context("the generator failed")?, sent))
}

/// Makes batches until so many alerts are in them, the day is over or nobody takes them.
fn make(mut day: Day, batch_alerts: usize, mut alerts_left: u64, made: &mpsc::Sender<Vec<Alert>>) -> Day {
    loop {
        let batch = day.batch(batch_alerts.min(usize::try_from(alerts_left).unwrap_or(usize::MAX)));
        alerts_left -= batch.len() as u64;
        if batch.is_empty() || made.blocking_send(batch).is_err() {
            return day;
        }
    }
}

/// Numbers and sends batches until there are no more or nobody takes them. At a given rate, batch n is due once the
/// last of its alerts would have arrived.
async fn feed(
    mut batches: mpsc::Receiver<Vec<Alert>>,
    requests: mpsc::Sender<StreamAlertsRequest>,
    stamps: mpsc::Sender<Stamp>,
    sending: Sending,
    started: Instant,
) {
    let mut alerts_before = 0;
    let mut sequence = 0;
    while let Some(alerts) = batches.recv().await {
        sequence += 1;
        let count = alerts.len() as u64;
        alerts_before += count;
        let due =
            sending.alerts_per_s.map(|rate| started + Duration::from_secs_f64(alerts_before as f64 / f64::from(rate)));
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        let Ok(room) = stamps.reserve().await else { return };
        room.send(Stamp { sequence, alerts: count, since: due.unwrap_or_else(Instant::now) });
        let producer_id = sending.producer.clone();
        let request = StreamAlertsRequest { producer_id, sequence, alerts, ..StreamAlertsRequest::default() };
        if requests.send(request).await.is_err() {
            return;
        }
    }
}

impl Sent {
    fn note(&mut self, stamp: Stamp, ack: &BatchAck) -> Result<()> {
        let balance = ack.balance.unwrap_or_default();
        ensure!(
            (ack.sequence, balance.received) == (stamp.sequence, stamp.alerts),
            "batch {} of {} alerts was answered with batch {} of {}",
            stamp.sequence,
            stamp.alerts,
            ack.sequence,
            balance.received
        );
        let micros = stamp.since.elapsed().as_micros();
        self.latency_us.saturating_record(u64::try_from(micros).unwrap_or(u64::MAX));
        self.alerts += stamp.alerts;
        let ends = [balance.forwarded, balance.suppressed, balance.rejected, balance.duplicate];
        self.ends.iter_mut().zip(ends).for_each(|(sum, count)| *sum += count);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
