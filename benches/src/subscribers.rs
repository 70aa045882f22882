//! Subscribers to forwarded alerts beside arriving ones: one that reads all it can, one that is slow, one that reads
//! nothing.
//!
//! It must not know how a host reads its log. Invariant: the quick one is only counted where it was given every
//! forwarded alert, in order.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::{sync::watch, task::JoinHandle};
use tonic::Streaming;
use weir_proto::v1::{
    AdvanceCursorRequest, SubscribeForwardedRequest, SubscribeForwardedResponse,
    cursor_service_client::CursorServiceClient,
};

use crate::client::Client;

/// How long the slow one rests after each message.
const SLOW_REST: Duration = Duration::from_millis(50);
/// How often a cursor is moved.
const ACKNOWLEDGE_EVERY: Duration = Duration::from_secs(1);
/// How long the quick one may take to catch up in the end.
const CATCH_UP_MAX: Duration = Duration::from_secs(60);

/// What came of following.
#[derive(Debug, Clone, Copy, Default)]
pub struct Followed {
    /// Alerts that the quick one was given.
    pub quick: u64,
    /// Alerts that the slow one was given meanwhile.
    pub slow: u64,
    /// How far the slow one was behind in the end, in log positions.
    pub slow_behind: u64,
    /// How long the quick one took to catch up once nothing more arrived.
    pub caught_up_after: Duration,
}

/// Three subscribers.
#[derive(Debug)]
pub struct Following {
    stop: watch::Sender<bool>,
    quick: JoinHandle<Result<u64>>,
    slow: JoinHandle<Result<(u64, u64)>>,
    /// Never read.
    _stalled: Streaming<SubscribeForwardedResponse>,
}

impl Following {
    /// Begins to follow what is logged from now on, each over a connection of its own.
    pub async fn begin(address: &str) -> Result<Self> {
        let (stop, stopping) = watch::channel(false);
        let (quick, slow, stalled) =
            (Client::connect(address).await?, Client::connect(address).await?, Client::connect(address).await?);
        let streams = (subscribe(&quick, "quick").await?, subscribe(&slow, "slow").await?);
        Ok(Self {
            stop,
            quick: tokio::spawn(follow(quick, "quick", streams.0, stopping.clone())),
            slow: tokio::spawn(dawdle(slow, streams.1, stopping)),
            _stalled: subscribe(&stalled, "stalled").await?,
        })
    }

    /// Lets the quick one catch up, ends all of them, and says what came of it.
    pub async fn end(self) -> Result<Followed> {
        let begun = Instant::now();
        // Where a task has ended, it says why.
        let _ = self.stop.send(true);
        let quick = tokio::time::timeout(CATCH_UP_MAX, self.quick).await;
        let quick = quick.context("the quick subscriber does not catch up")?.context("a subscriber panicked")??;
        let caught_up_after = begun.elapsed();
        let (slow, slow_behind) = self.slow.await.context("a subscriber panicked")??;
        Ok(Followed { quick, slow, slow_behind, caught_up_after })
    }
}

async fn subscribe(client: &Client, cursor: &str) -> Result<Streaming<SubscribeForwardedResponse>> {
    let request = SubscribeForwardedRequest { cursor: cursor.to_owned(), ..SubscribeForwardedRequest::default() };
    let stream = client.alerts().subscribe_forwarded(request).await;
    Ok(stream.with_context(|| format!("{cursor} cannot subscribe"))?.into_inner())
}

/// Reads all it can, and in the end until it has caught up; gives how many alerts it was given.
async fn follow(
    client: Client,
    cursor: &str,
    mut messages: Streaming<SubscribeForwardedResponse>,
    stopping: watch::Receiver<bool>,
) -> Result<u64> {
    let mut cursors = client.cursors();
    let (mut alerts, mut last, mut acknowledged) = (0, None, Instant::now());
    loop {
        let message = messages.message().await.context("a subscription broke off")?;
        let message = message.context("a subscription ended by itself")?;
        for alert in &message.alerts {
            ensure!(last < Some(alert.position), "{cursor} was given {} after {last:?}", alert.position);
            last = Some(alert.position);
        }
        alerts += message.alerts.len() as u64;
        let done = *stopping.borrow() && message.behind == 0;
        if done || acknowledged.elapsed() >= ACKNOWLEDGE_EVERY {
            advance(&mut cursors, cursor, message.position).await?;
            acknowledged = Instant::now();
        }
        if done {
            return Ok(alerts);
        }
    }
}

/// Rests after each message; gives how many alerts it was given, and how far it is behind.
async fn dawdle(
    client: Client,
    mut messages: Streaming<SubscribeForwardedResponse>,
    stopping: watch::Receiver<bool>,
) -> Result<(u64, u64)> {
    let mut alerts = 0;
    loop {
        let message = messages.message().await.context("a subscription broke off")?;
        let message = message.context("a subscription ended by itself")?;
        alerts += message.alerts.len() as u64;
        if *stopping.borrow() {
            advance(&mut client.cursors(), "slow", message.position).await?;
            return Ok((alerts, message.behind));
        }
        tokio::time::sleep(SLOW_REST).await;
    }
}

async fn advance(cursors: &mut CursorServiceClient<crate::client::Link>, cursor: &str, position: u64) -> Result<()> {
    let request = AdvanceCursorRequest { name: cursor.to_owned(), position };
    cursors.advance_cursor(request).await.with_context(|| format!("{cursor} cannot acknowledge"))?;
    Ok(())
}
