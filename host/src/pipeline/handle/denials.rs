//! How many denied calls are noted: as many as a minute allows.
//!
//! It must not know what was denied. Invariant: what is not noted is counted, and the next note says how many.

use std::sync::{Mutex, PoisonError};

use crate::domain::Millis;

const MINUTE_MS: Millis = 60_000;

/// The denials of this minute.
#[derive(Debug)]
pub struct Denials {
    per_minute_max: u32,
    minute: Mutex<Minute>,
}

#[derive(Debug, Default)]
struct Minute {
    number: Millis,
    noted: u32,
    left_out: u64,
}

impl Denials {
    /// None yet.
    pub fn new(per_minute_max: u32) -> Self {
        Self { per_minute_max, minute: Mutex::default() }
    }

    /// Whether one more is to be noted, and then how many before it were not.
    pub fn note(&self, now_ms: Millis) -> Option<u64> {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now_ms.div_euclid(MINUTE_MS);
        if minute.number != number {
            *minute = Minute { number, noted: 0, left_out: minute.left_out };
        }
        if minute.noted == self.per_minute_max {
            minute.left_out += 1;
            return None;
        }
        minute.noted += 1;
        Some(std::mem::take(&mut minute.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_noted_is_counted() {
        let denials = Denials::new(2);
        let noted: Vec<_> = [0, 1, 2, 3, 59_999, 60_000, 60_001, 60_002].iter().map(|at| denials.note(*at)).collect();
        assert_eq!(noted, [Some(0), Some(0), None, None, None, Some(3), Some(0), None]);
    }
}
