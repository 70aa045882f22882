//! The host itself: whether it takes alerts, and its clock.
//!
//! It must not know how a clock is judged.

use std::sync::Arc;

use super::{Handle, Refusal, Status};
use crate::{
    domain::Millis,
    pipeline::{collect::Command, commit::free_bytes},
};

/// The host at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostView {
    /// Whether it takes alerts.
    pub status: Status,
    /// What its clock shows.
    pub clock_ms: Millis,
    /// The time by which it goes.
    pub time_ms: Millis,
    /// The time by which retention by age goes.
    pub retention_time_ms: Millis,
    /// Size of the log.
    pub log_bytes: u64,
    /// Free space where the store is, in bytes; `None` where it is no file.
    pub free_bytes: Option<u64>,
    /// Why readings are neither taken nor given; empty: they are.
    pub readings_problem: String,
}

impl Handle {
    /// The host as it is now.
    pub fn host(&self) -> HostView {
        let reading = self.shared.check_clock();
        HostView {
            status: self.shared.status.borrow().clone(),
            clock_ms: reading.wrong.map_or(reading.now_ms, |wrong| wrong.shows_ms),
            time_ms: reading.now_ms,
            retention_time_ms: self.shared.time.mark().age_ms,
            log_bytes: self.shared.figures.read().log_bytes,
            free_bytes: self.folder.as_deref().and_then(free_bytes),
            readings_problem: self.readings_problem().borrow().clone(),
        }
    }

    /// Takes what the host's clock shows for the time, if it is within a minute of `seen_ms`. Returns what it shows.
    pub async fn confirm_clock(&self, seen_ms: Millis) -> Result<Millis, Refusal> {
        let mark = self.ask(|reply| Command::ConfirmClock(seen_ms, Arc::clone(&self.who), reply)).await?;
        Ok(mark.latest_ms)
    }
}
