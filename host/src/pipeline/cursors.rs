//! Cursors: how far each subscriber has come, and which of them read just now.
//!
//! It must not know how alerts are read or sent. Invariant: a cursor only moves forward, and whoever is told that it has
//! moved finds it there after a crash. A cursor has one reader: another one takes it over.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::{
    config::SubscribeLimits,
    domain::{AuditEvent, Cursor, CursorKey, Effects, Position, Tenant},
    pipeline::{
        collect::Reply,
        engine::{Act, Engine, Work},
        refusal::Refusal,
    },
};

/// Every cursor.
#[derive(Debug, Clone, Default)]
pub struct Cursors(BTreeMap<CursorKey, Cursor>);

impl Cursors {
    /// From what a store kept.
    pub fn load(cursors: Vec<Cursor>) -> Self {
        Self(cursors.into_iter().map(|cursor| (cursor.key.clone(), cursor)).collect())
    }

    /// One of them.
    pub fn get(&self, key: &CursorKey) -> Option<&Cursor> {
        self.0.get(key)
    }

    /// Those of one holder, in order of names.
    pub fn of(&self, holder: &str) -> impl Iterator<Item = &Cursor> {
        let first = CursorKey { holder: holder.to_owned(), name: String::new() };
        self.0.range(first..).map(|(_, cursor)| cursor).take_while(move |cursor| cursor.key.holder == holder)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The one that is furthest behind, if there is any.
    pub fn last(&self) -> Option<Position> {
        self.0.values().map(|cursor| cursor.position).min()
    }

    /// Whether there is room for another one of its holder.
    fn check_room(&self, key: &CursorKey, limits: &SubscribeLimits) -> Result<(), Refusal> {
        let full = |name: &str, max: usize| {
            Refusal::Exhausted(format!("subscribe.{name} ({max}) is reached; remove one with `weir cursor remove`"))
        };
        if self.0.len() >= limits.cursors_max {
            return Err(full("cursors_max", limits.cursors_max));
        }
        if self.of(&key.holder).count() >= limits.identity_cursors_max {
            return Err(full("identity_cursors_max", limits.identity_cursors_max));
        }
        Ok(())
    }
}

/// Audit entries that wait for something to be written with.
const NOTES_WAITING_MAX: usize = 64;

/// Moves that are to be written, and whom to tell.
#[derive(Default)]
pub struct Moves {
    moved: BTreeMap<CursorKey, Cursor>,
    replies: Vec<Act>,
}

impl Engine {
    /// Makes a cursor where there is none; says where it stands.
    pub fn open_cursor(&mut self, key: CursorKey, at: Position) -> Result<(Cursor, Work), Refusal> {
        if let Some(cursor) = self.cursors.get(&key) {
            return Ok((cursor.clone(), Work::default()));
        }
        self.cursors.check_room(&key, &self.config.subscribe)?;
        let now_ms = (self.clock)();
        let cursor = Cursor { key: key.clone(), position: at, made_ms: now_ms, advanced_ms: now_ms };
        self.cursors.0.insert(key.clone(), cursor.clone());
        self.note(AuditEvent::new(&key.holder, "cursor.make", &key.name, &format!("at {at}")));
        let effects = Effects { cursors: vec![cursor.clone()], ..self.effects() };
        let work = Work { effects: Some(effects), acts: vec![publish(vec![cursor.clone()])], ..Work::default() };
        Ok((cursor, work))
    }

    /// Moves a cursor forward. The move is written with the next effects, so that many of them cost one commit.
    pub fn advance_cursor(&mut self, key: &CursorKey, to: Position, reply: Reply<Cursor>) {
        let end = self.position;
        let Some(cursor) = self.cursors.0.get_mut(key) else {
            let _ = reply.send(Err(no_such_cursor(&key.name)));
            return;
        };
        if to > end {
            let why = format!("{to} lies after the end of the log, {end}");
            let _ = reply.send(Err(Refusal::invalid("position", why)));
            return;
        }
        if to > cursor.position {
            (cursor.position, cursor.advanced_ms) = (to, (self.clock)());
            self.moves.moved.insert(key.clone(), cursor.clone());
        }
        let cursor = cursor.clone();
        self.moves.replies.push(Box::new(move |_| drop(reply.send(Ok(cursor)))));
    }

    /// Forgets a cursor.
    pub fn drop_cursor(&mut self, key: &CursorKey) -> Result<((), Work), Refusal> {
        self.cursors.0.remove(key).ok_or_else(|| no_such_cursor(&key.name))?;
        self.moves.moved.remove(key);
        self.note(AuditEvent::new(&key.holder, "cursor.remove", &key.name, ""));
        let effects = Effects { cursors_dropped: vec![key.clone()], ..self.effects() };
        let key = key.clone();
        let end: Act = Box::new(move |shared| {
            shared.cursors.write().0.remove(&key);
            shared.seats.end(&key);
        });
        Ok(((), Work { effects: Some(effects), acts: vec![end], ..Work::default() }))
    }

    /// Adds the moves and audit entries that wait to a piece of work. Where it writes nothing they go on waiting, unless
    /// nothing comes after it or many entries wait.
    pub fn add_moves(&mut self, mut work: Work, idle: bool) -> Work {
        let notes = self.audit_pending.len();
        if work.effects.is_none() && notes > 0 && (idle || notes >= NOTES_WAITING_MAX) {
            work.effects = Some(self.effects());
        }
        let waits = !self.moves.replies.is_empty() && (idle || work.effects.is_some());
        if !waits {
            return work;
        }
        let Moves { moved, replies } = std::mem::take(&mut self.moves);
        if !moved.is_empty() {
            let mut effects = work.effects.take().unwrap_or_else(|| self.effects());
            let moved: Vec<Cursor> = moved.into_values().collect();
            effects.cursors.extend(moved.iter().cloned());
            work.effects = Some(effects);
            work.acts.push(publish(moved));
        }
        work.acts.extend(replies);
        work
    }
}

/// Shows cursors to readers. The others are not copied: many cursors of one holder make no move of another dearer.
fn publish(moved: Vec<Cursor>) -> Act {
    Box::new(move |shared| {
        shared.cursors.write().0.extend(moved.into_iter().map(|cursor| (cursor.key.clone(), cursor)));
    })
}

/// Why a cursor that is named is not there.
fn no_such_cursor(name: &str) -> Refusal {
    let why = format!("you have no cursor {name:?}; `weir cursor list` lists those that you have");
    Refusal::not_found("cursor", name, why)
}

/// Who reads just now.
#[derive(Debug, Default)]
pub struct Seats(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    last: u64,
    seats: HashMap<u64, Place>,
}

/// A place among the streams.
#[derive(Debug)]
struct Place {
    tenant: Tenant,
    key: Option<CursorKey>,
    /// Dropping it tells the reader that it is over.
    _held: oneshot::Sender<()>,
}

/// The place of one reader, as long as it is held.
#[derive(Debug)]
pub struct Seat {
    number: u64,
    seats: Arc<Seats>,
    /// Resolves when the place goes to somebody else, or its cursor is forgotten.
    pub over: oneshot::Receiver<()>,
}

impl Seats {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, from whoever has it where it is that of a cursor.
    pub fn take(
        self: &Arc<Self>,
        tenant: Tenant,
        key: Option<CursorKey>,
        limits: &SubscribeLimits,
    ) -> Result<Seat, Refusal> {
        let mut taken = self.lock();
        if key.is_some() {
            taken.seats.retain(|_, place| place.key != key);
        }
        let max = limits.identity_streams_max;
        if taken.seats.values().filter(|place| place.tenant == tenant).count() >= max {
            let why = format!("{tenant} has subscribe.identity_streams_max ({max}) streams open; end one first");
            return Err(Refusal::Exhausted(why));
        }
        let max = limits.streams_max;
        if taken.seats.len() >= max {
            let why = format!("subscribe.streams_max ({max}) streams are open; subscribe again when one has ended");
            return Err(Refusal::Busy(why));
        }
        taken.last += 1;
        let number = taken.last;
        let (held, over) = oneshot::channel();
        taken.seats.insert(number, Place { tenant, key, _held: held });
        Ok(Seat { number, seats: Arc::clone(self), over })
    }

    /// How many are taken.
    pub fn count(&self) -> usize {
        self.lock().seats.len()
    }

    /// Whether somebody reads by a cursor.
    pub fn is_taken(&self, key: &CursorKey) -> bool {
        self.lock().seats.values().any(|place| place.key.as_ref() == Some(key))
    }

    /// Ends whoever reads by a cursor.
    fn end(&self, key: &CursorKey) {
        self.lock().seats.retain(|_, place| place.key.as_ref() != Some(key));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().seats.remove(&self.number);
    }
}
