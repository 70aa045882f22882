//! How long something that failed is tried again, and how often.
//!
//! It must not know what is tried. Invariant: it ends with its time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long is waited before a connection is tried again, at first and at most: twice as long each time.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// For how long something is tried again.
pub(super) struct Patience {
    end: Instant,
    pause: Duration,
}

impl Patience {
    /// From now on for `time`.
    pub(super) fn new(time: Duration) -> Self {
        Self { end: Instant::now() + time, pause: PAUSE_MIN }
    }

    /// Waits until it is to be tried again; false where it is not.
    pub(super) async fn wait(&mut self) -> bool {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        true
    }
}
