//! A stream of forwarded alerts, followed over interruptions and acknowledged as it goes.
//!
//! It must not know what is done with an alert. Invariants: a cursor is moved only past what is safe with whoever takes
//! alerts; what is not is seen again after an interruption of either side.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tonic::{Code, Status, Streaming};
use weir_proto::v1::{self, alert_service_client::AlertServiceClient, cursor_service_client::CursorServiceClient};

use super::{Lines, Webhook};
use crate::cli::{
    Failure, Session,
    alert::patience::Patience,
    failure::is_broken,
    session::{Connection, MESSAGE_BYTES_MAX},
    signals::StopSignals,
};

/// How long an acknowledgement waits for more to acknowledge.
const ACKNOWLEDGE_EVERY: Duration = Duration::from_secs(1);

/// Where alerts go.
pub(in crate::cli::alert) enum Sink {
    /// To stdout.
    Lines(Lines),
    /// To somebody's server.
    Webhook(Box<Webhook>),
}

impl Sink {
    /// Returns once the alerts of a message are safe.
    async fn take(&mut self, alerts: Vec<v1::LoggedAlert>, position: u64) -> Result<(), Failure> {
        match self {
            Self::Lines(lines) => lines.write(alerts),
            Self::Webhook(webhook) => webhook.deliver(alerts, position).await,
        }
    }
}

/// How a stream ended.
enum End {
    /// All that was wanted was seen.
    Done,
    /// The connection broke, or the server stopped.
    Away(Failure),
}

/// A stream under way.
pub(in crate::cli::alert) struct Tail<'a> {
    session: &'a Session,
    sink: Sink,
    request: v1::SubscribeForwardedRequest,
    /// Alerts that may still be written.
    left: Option<u64>,
    until_caught_up: bool,
    /// Whether the server was ever reached.
    was_there: bool,
    /// Everything before is safe.
    seen: Option<u64>,
    /// Everything before was acknowledged.
    acknowledged: Option<u64>,
}

impl<'a> Tail<'a> {
    pub(in crate::cli::alert) fn new(
        session: &'a Session,
        sink: Sink,
        request: v1::SubscribeForwardedRequest,
        (left, until_caught_up): (Option<u64>, bool),
    ) -> Self {
        Self { session, sink, request, left, until_caught_up, was_there: false, seen: None, acknowledged: None }
    }

    /// Follows until all that is wanted was seen, or it is interrupted.
    pub(in crate::cli::alert) async fn run(mut self, patience: Duration) -> Result<(), Failure> {
        let mut signals = StopSignals::new()?;
        tokio::select! {
            ended = self.follow(patience) => ended?,
            _ = signals.next() => {}
        }
        self.acknowledge_rest().await
    }

    /// Goes on over interruptions, until all that is wanted was seen or the server was away for too long.
    async fn follow(&mut self, patience: Duration) -> Result<(), Failure> {
        let mut waiting: Option<Patience> = None;
        loop {
            let before = self.seen;
            let failure = match self.stream().await? {
                End::Done => return Ok(()),
                End::Away(failure) => failure,
            };
            if self.seen != before {
                waiting = None;
            }
            // What cannot be reached at the first look is more likely a wrong name than a server that restarts.
            if !self.was_there || !waiting.get_or_insert_with(|| Patience::new(patience)).wait().await {
                return Err(failure);
            }
        }
    }

    /// One stream, to its end.
    async fn stream(&mut self) -> Result<End, Failure> {
        let connection = match self.session.connect().await {
            Ok(connection) => connection,
            Err(failure) if failure.exit == Failure::UNAVAILABLE => return Ok(End::Away(failure)),
            Err(failure) => return Err(failure),
        };
        self.was_there = true;
        let mut alerts = AlertServiceClient::new(connection.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let mut cursors = CursorServiceClient::new(connection);
        match self.read(&mut alerts, &mut cursors).await {
            Ok(()) => Ok(End::Done),
            Err(Broken::Call(status)) => self.ended(&status),
            Err(Broken::Output(failure)) => Err(failure),
        }
    }

    fn ended(&self, status: &Status) -> Result<End, Failure> {
        let failure = self.session.failed(status);
        match status.code() {
            Code::Unavailable => Ok(End::Away(failure)),
            _ if is_broken(status) => Ok(End::Away(failure)),
            Code::Aborted => Err(Failure::usage(format!("--cursor: {}", status.message()))),
            _ => Err(failure),
        }
    }

    async fn read(
        &mut self,
        alerts: &mut AlertServiceClient<Connection>,
        cursors: &mut CursorServiceClient<Connection>,
    ) -> Result<(), Broken> {
        // Without a cursor it is up to this side to know where to go on.
        if self.seen.is_some() && self.request.cursor.is_empty() {
            self.request.start_position = self.seen;
        }
        let mut messages = alerts.subscribe_forwarded(self.request.clone()).await?.into_inner();
        // What comes first is acknowledged at once, so that a reader that is cut short again and again gets on.
        let mut due = Instant::now();
        loop {
            let message = tokio::select! {
                message = next(&mut messages) => message?,
                () = sleep_until(due), if self.is_behind() => {
                    self.acknowledge(cursors).await?;
                    due = Instant::now() + ACKNOWLEDGE_EVERY;
                    continue;
                }
            };
            if self.take(message).await? {
                return Ok(());
            }
            if Instant::now() >= due {
                self.acknowledge(cursors).await?;
                due = Instant::now() + ACKNOWLEDGE_EVERY;
            }
        }
    }

    /// Hands a message on; true when nothing more is wanted.
    async fn take(&mut self, message: v1::SubscribeForwardedResponse) -> Result<bool, Broken> {
        let v1::SubscribeForwardedResponse { mut alerts, mut position, behind } = message;
        let mut done = self.until_caught_up && behind == 0;
        if let Some(left) = &mut self.left {
            let wanted = usize::try_from(*left).unwrap_or(usize::MAX);
            if alerts.len() >= wanted {
                alerts.truncate(wanted);
                position = alerts.last().map_or(position, |last| last.position + 1);
                done = true;
            }
            *left -= alerts.len() as u64;
        }
        self.sink.take(alerts, position).await.map_err(Broken::Output)?;
        self.seen = Some(position);
        Ok(done)
    }

    /// Whether something is safe and is not acknowledged.
    fn is_behind(&self) -> bool {
        !self.request.cursor.is_empty() && self.seen > self.acknowledged
    }

    async fn acknowledge(&mut self, cursors: &mut CursorServiceClient<Connection>) -> Result<(), Status> {
        let Some(position) = self.seen.filter(|_| self.is_behind()) else { return Ok(()) };
        let name = self.request.cursor.clone();
        cursors.advance_cursor(v1::AdvanceCursorRequest { name, position }).await?;
        self.acknowledged = Some(position);
        Ok(())
    }

    /// Acknowledges what became safe last, over a connection of its own: that of the stream may be in any state.
    async fn acknowledge_rest(&mut self) -> Result<(), Failure> {
        if !self.is_behind() {
            return Ok(());
        }
        let mut cursors = CursorServiceClient::new(self.session.connect().await?);
        self.acknowledge(&mut cursors).await.map_err(|status| self.session.failed(&status))
    }
}

/// Why a stream did not go on.
enum Broken {
    /// A call failed.
    Call(Status),
    /// What came cannot be handed on.
    Output(Failure),
}

impl From<Status> for Broken {
    fn from(status: Status) -> Self {
        Self::Call(status)
    }
}

async fn next(
    messages: &mut Streaming<v1::SubscribeForwardedResponse>,
) -> Result<v1::SubscribeForwardedResponse, Status> {
    messages.message().await?.ok_or_else(|| Status::unavailable("the server ended the stream"))
}
