//! What of the log goes, and what holds it back.
//!
//! It must not know how entries are dropped. Invariant: a question that folds the log finds what it has begun with for as
//! long as the log is no more than an eighth above its limit; after that it may find that entries went, and says so.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    config::StoreLimits,
    domain::{HOUR_MS, Millis, Position, Retention},
    store::LogExtent,
};

/// Entries that one commit drops at most: some hundred times as many as it adds, in about a millisecond.
const ENTRIES_PER_COMMIT_MAX: usize = 256;

/// What may go by `limits` at a time, when recovery needs everything from `replay_from` on.
pub fn retention(
    limits: &StoreLimits,
    extent: LogExtent,
    age_ms: Millis,
    replay_from: Position,
    pins: &Pins,
) -> Retention {
    let bytes_max = limits.log_bytes_max;
    let pinned = pins.oldest().filter(|_| extent.bytes <= bytes_max.saturating_add(bytes_max / 8));
    Retention {
        keep_from: pinned.map_or(replay_from, |pin| pin.min(replay_from)),
        bytes_max,
        judged_before_ms: age_ms.saturating_sub(i64::from(limits.retention_days_max) * 24 * HOUR_MS),
        entries_max: ENTRIES_PER_COMMIT_MAX,
    }
}

/// Where questions begin that read the log just now.
#[derive(Debug, Default)]
pub struct Pins(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    pinned: BTreeMap<u64, Position>,
}

/// Holds the log from a position on, until it is dropped.
#[derive(Debug)]
pub struct Pin {
    pins: Arc<Pins>,
    number: u64,
}

impl Pins {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here can panic halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds what is kept from a position on.
    pub fn pin(self: &Arc<Self>, from: Position) -> Pin {
        let mut inner = self.lock();
        inner.next += 1;
        let number = inner.next;
        inner.pinned.insert(number, from);
        Pin { pins: Arc::clone(self), number }
    }

    fn oldest(&self) -> Option<Position> {
        self.lock().pinned.values().min().copied()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.pins.lock().pinned.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_holds_the_log_until_it_is_dropped_or_the_log_is_too_large() {
        let limits = StoreLimits { log_bytes_max: 800, retention_days_max: 1, ..StoreLimits::default() };
        let pins = Arc::new(Pins::default());
        let of = |bytes: u64| {
            let extent = LogExtent { bytes, groups: 9, ..LogExtent::default() };
            retention(&limits, extent, 2 * 24 * HOUR_MS, Position(50), &pins)
        };
        let free = of(900);
        assert_eq!((free.keep_from, free.bytes_max, free.judged_before_ms), (Position(50), 800, 24 * HOUR_MS));
        let late = pins.pin(Position(70));
        assert_eq!(of(900).keep_from, Position(50), "recovery needs more");
        let early = pins.pin(Position(7));
        assert_eq!(of(900).keep_from, Position(7));
        assert_eq!(of(901).keep_from, Position(50), "more than an eighth above the limit");
        drop(early);
        assert_eq!(of(900).keep_from, Position(50));
        drop(late);
    }
}
