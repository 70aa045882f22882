//! How far back messages are remembered by a host that takes alerts.
//!
//! It must not know messages. Invariant: it only ever moves on, and what lies before it was received before the time it names.

use std::collections::VecDeque;

use super::{BLOCK_POSITIONS, Memory};
use crate::domain::{HOUR_MS, Millis, Position};

/// How long messages are remembered, by the host's clock: the DCC delivers what it could not for two days.
pub const KEPT_MS: Millis = 72 * HOUR_MS;

/// How close in time its marks are.
const APART_MS: Millis = 60_000;

/// Where in the log which time is, as far as messages are remembered.
#[derive(Debug, Clone)]
pub struct Horizon {
    /// Rows that are remembered at most.
    rows_max: u64,
    from: Position,
    since_ms: Millis,
    /// First position of a stretch and when it began, oldest first.
    marks: VecDeque<(Position, Millis)>,
}

impl Horizon {
    /// Nothing was forgotten yet but what lies before `from`.
    pub fn new(from: Position, rows_max: u64) -> Self {
        Self { rows_max, from, since_ms: Millis::MIN, marks: VecDeque::new() }
    }

    /// Notes when a group was judged. They come in log order.
    pub fn note(&mut self, first: Position, judged_ms: Millis) {
        let Some((last, last_ms)) = self.marks.back().copied() else {
            if self.from > Position(0) {
                self.since_ms = judged_ms;
            }
            return self.marks.push_back((first, judged_ms));
        };
        // A clock that was set back is where it was until it comes there again.
        let judged_ms = judged_ms.max(last_ms);
        if judged_ms - last_ms >= APART_MS || first.0 - last.0 >= BLOCK_POSITIONS {
            self.marks.push_back((first, judged_ms));
        }
    }

    /// What is remembered while a group is judged that begins there, at that time.
    pub fn at(&mut self, first: Position, now_ms: Millis) -> Memory {
        self.note(first, now_ms);
        while let Some((oldest, begun_ms)) = self.marks.front().copied()
            && let Some((next, next_ms)) = self.marks.get(1).copied()
        {
            // What a stretch holds was judged while it was no older than that.
            let ended_ms = next_ms.min(begun_ms.saturating_add(APART_MS));
            if ended_ms > now_ms.saturating_sub(KEPT_MS) && first.0 - oldest.0 <= self.rows_max {
                break;
            }
            self.marks.pop_front();
            (self.from, self.since_ms) = (next, ended_ms);
        }
        Memory { from: self.from, since_ms: self.since_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Millis = 24 * HOUR_MS;

    #[test]
    fn messages_are_remembered_for_three_days() {
        let mut horizon = Horizon::new(Position(0), 1_000_000);
        let memory: Vec<Memory> = (0..10).map(|day| horizon.at(Position(day), day as Millis * DAY)).collect();
        let found: Vec<(u64, Millis)> = memory.iter().map(|memory| (memory.from.0, memory.since_ms)).collect();
        // What a day's group held is forgotten once the next one is three days old.
        assert_eq!(found[..4], [(0, Millis::MIN); 4]);
        for (at, found) in found.iter().enumerate().skip(4) {
            assert_eq!(*found, (at as u64 - 3, (at as Millis - 4) * DAY + APART_MS));
        }
    }

    #[test]
    fn no_more_rows_are_remembered_than_may_be() {
        let mut horizon = Horizon::new(Position(0), 300_000);
        for group in 0..1_000 {
            let first = Position(group * 10_000);
            let from = horizon.at(first, group as Millis).from;
            let kept = first.0 - from.0;
            assert!(kept <= 300_000 && (group < 40 || kept >= 300_000 - 70_000), "{kept} rows at {}", first.0);
        }
    }

    /// What was forgotten because a clock ran ahead stays so, and nothing else is forgotten for it.
    #[test]
    fn a_clock_that_jumps_and_comes_back_forgets_once() {
        let mut horizon = Horizon::new(Position(0), 1_000_000);
        horizon.at(Position(0), 0);
        horizon.at(Position(10), HOUR_MS);
        assert_eq!(horizon.at(Position(20), 500 * DAY).from, Position(20));
        assert_eq!(horizon.at(Position(30), 2 * HOUR_MS).from, Position(20));
        assert_eq!(horizon.at(Position(40), 400 * DAY).from, Position(20));
    }

    #[test]
    fn what_lies_before_the_beginning_is_as_old_as_that() {
        let mut horizon = Horizon::new(Position(500), 1_000);
        horizon.note(Position(500), 7 * DAY);
        let Memory { from, since_ms } = horizon.at(Position(600), 8 * DAY);
        assert_eq!((from, since_ms), (Position(500), 7 * DAY));
    }
}
