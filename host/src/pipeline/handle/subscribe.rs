//! Forwarded alerts for whoever follows the log, and the cursors of whoever wants to be remembered.
//!
//! It must not know how alerts are sent. Invariant: what a subscriber is given is what was committed, forwarded, and its
//! own to see, in log order and without a gap; where retention made a gap it is told so, and given nothing.

use tokio::sync::watch;

use super::{Handle, Refusal, check_name, internal};
use crate::{
    domain::{Cursor, CursorKey, End, Position, Role},
    listing::{AlertQuery, LoggedAlert},
    pipeline::{collect::Command, cursors::Seat},
};

/// Log rows that one piece looks at, at most by as many as a group has: a reader of the store is not held for long.
const LOOKED_ROWS_MAX: usize = 1 << 20;

/// Forwarded alerts of one piece.
const PIECE_ALERTS_MAX: usize = 8_192;

/// Batches that may wait to be judged before whoever reads the log is to give way.
const WAITING_BATCHES_MAX: usize = 4;

/// What somebody wants to follow.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SubscribeRequest {
    /// Name of a cursor; `None` for without.
    pub cursor: Option<String>,
    /// Where to begin; `None` for the end of the log as it is.
    pub start: Option<Position>,
    /// Which alerts; its size, its beginning and its outcomes are not looked at.
    pub query: AlertQuery,
}

/// A subscription: where it stands, and the place that it takes up.
pub struct Subscription {
    handle: Handle,
    query: AlertQuery,
    /// Name of its cursor.
    cursor: Option<String>,
    /// Its place among the streams.
    pub seat: Seat,
}

/// The next alerts of a subscription.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// In log order.
    pub alerts: Vec<LoggedAlert>,
    /// Everything before was looked at.
    pub position: Position,
    /// Where the log ended.
    pub end: Position,
}

/// A cursor as its holder is shown it.
#[derive(Debug, Clone, PartialEq)]
pub struct CursorView {
    /// Itself.
    pub cursor: Cursor,
    /// Log positions behind it.
    pub behind: u64,
    /// Those of them that retention has taken.
    pub lost: u64,
    /// Whether somebody reads by it.
    pub is_open: bool,
}

impl Handle {
    /// Begins to follow forwarded alerts.
    pub async fn subscribe(&self, request: SubscribeRequest) -> Result<Subscription, Refusal> {
        let SubscribeRequest { cursor, start, mut query } = request;
        self.limit_operators(&mut query.operators)?;
        let (oldest, end) = self.log_bounds()?;
        let start = match start {
            None => end,
            Some(Position(0)) => oldest,
            Some(start) if start > end => {
                let why = format!("{start} lies after the end of the log, {end}");
                return Err(Refusal::invalid("start_position", why));
            }
            Some(start) => start,
        };
        let key = cursor.as_deref().map(|name| self.cursor_key("cursor", name)).transpose()?;
        if key.is_some() && self.who.role == Role::Auditor {
            let message = "an auditor changes nothing, and a cursor is a note; leave it empty".to_owned();
            return Err(Refusal::Denied { field: "cursor".to_owned(), message });
        }
        let seat = self.shared.seats.take(self.who.tenant(), key.clone(), &self.subscribe)?;
        query.from = match key {
            None => start,
            Some(key) => self.ask(|reply| Command::OpenCursor(key, start, reply)).await?.position,
        };
        check_kept(cursor.as_deref(), query.from, oldest)?;
        query.ends = vec![End::Forwarded];
        query.page_size = PIECE_ALERTS_MAX;
        query.looked_rows_max = Some(LOOKED_ROWS_MAX);
        Ok(Subscription { handle: self.clone(), query, cursor, seat })
    }

    /// Acknowledges what lies before a position.
    pub async fn advance_cursor(&self, name: &str, to: Position) -> Result<CursorView, Refusal> {
        let key = self.cursor_key("name", name)?;
        let cursor = self.ask(|reply| Command::AdvanceCursor(key, to, reply)).await?;
        let bounds = self.log_bounds()?;
        Ok(self.view_cursor(&cursor, bounds))
    }

    /// The cursors of whoever asks, in order of names.
    pub fn cursors(&self) -> Result<Vec<CursorView>, Refusal> {
        let bounds = self.log_bounds()?;
        let cursors = self.shared.cursors.read();
        Ok(cursors.of(&self.who.name).map(|cursor| self.view_cursor(cursor, bounds)).collect())
    }

    /// Forgets a cursor, and ends its stream.
    pub async fn delete_cursor(&self, name: &str) -> Result<(), Refusal> {
        let key = self.cursor_key("name", name)?;
        self.ask(|reply| Command::DropCursor(key, reply)).await
    }

    /// Whether batches wait to be judged, so that whoever reads the log is to give way to them.
    pub fn is_busy(&self) -> bool {
        self.queue.max_capacity() - self.queue.capacity() > WAITING_BATCHES_MAX
    }

    /// Where the log ends; changes are seen by whoever waits.
    pub fn log_end(&self) -> watch::Receiver<Position> {
        self.shared.log_end.subscribe()
    }

    fn cursor_key(&self, field: &str, name: &str) -> Result<CursorKey, Refusal> {
        check_name(name).map_err(|refusal| match refusal {
            Refusal::Invalid { message, .. } => Refusal::invalid(field, message),
            other => other,
        })?;
        Ok(CursorKey { holder: self.who.name.clone(), name: name.to_owned() })
    }

    /// The oldest position that is kept, and the end of the log.
    fn log_bounds(&self) -> Result<(Position, Position), Refusal> {
        let end = *self.shared.log_end.borrow();
        let mut heads = self.shared.reader()?.heads(Position(0)).map_err(internal)?;
        let oldest = heads.next().transpose().map_err(internal)?.map_or(end, |head| head.first.min(end));
        Ok((oldest, end))
    }

    fn view_cursor(&self, cursor: &Cursor, (oldest, end): (Position, Position)) -> CursorView {
        CursorView {
            behind: end.0.saturating_sub(cursor.position.0),
            lost: oldest.0.saturating_sub(cursor.position.0),
            is_open: self.shared.seats.is_taken(&cursor.key),
            cursor: cursor.clone(),
        }
    }
}

impl Subscription {
    /// Gives what comes next, as far as it is there. Blocks on the disk: call it from a blocking task.
    pub fn read_on(&mut self) -> Result<Piece, Refusal> {
        let end = *self.handle.shared.log_end.borrow();
        let page = self.handle.page(&self.query, end)?;
        check_kept(self.cursor.as_deref(), self.query.from, page.begun.unwrap_or(end))?;
        self.query.from = page.next.unwrap_or(page.position);
        Ok(Piece { alerts: page.alerts, position: self.query.from, end })
    }
}

fn check_kept(cursor: Option<&str>, from: Position, oldest: Position) -> Result<(), Refusal> {
    if from < oldest { Err(overtaken(cursor, from, oldest)) } else { Ok(()) }
}

/// Why a subscription cannot go on.
fn overtaken(cursor: Option<&str>, from: Position, oldest: Position) -> Refusal {
    let lost = oldest.0 - from.0;
    let (whose, way_out) = match cursor {
        Some(name) => (format!("cursor {name:?} stands"), "acknowledge that position to go on without them"),
        None => ("the stream stands".to_owned(), "subscribe from that position to go on without them"),
    };
    let message = format!(
        "{whose} at {from}, and retention has taken the log before {oldest}: {lost} positions are lost; {way_out}"
    );
    Refusal::Precondition(message)
}
