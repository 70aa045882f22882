//! A day of alerts whose outcome is known beforehand, and what is needed to send it to a real host.
//!
//! It must not know the host's code: the programs in `bin` start the `weir` binary and talk to it as any client does.
//! Invariant: what the generator expects is worked out from the written specification alone, so that an error of the
//! host or of a plugin cannot hide in the expectation.

#![forbid(unsafe_code)]

pub mod attack;
pub mod books;
pub mod broken;
pub mod client;
pub mod generator;
pub mod host;
pub mod hostile;
pub mod program;
pub mod questions;
pub mod report;
pub mod sending;
pub mod stage;
pub mod subscribers;
pub mod turns;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// The stock plugins, by name, as components built with this package.
pub const STOCK_PLUGINS: [(&str, &str); 3] = [
    ("match", env!("WEIR_GUEST_MATCH")),
    ("threshold", env!("WEIR_GUEST_THRESHOLD")),
    ("storm", env!("WEIR_GUEST_STORM")),
];

/// When yesterday began (UTC), in milliseconds since 1970-01-01T00:00:00Z: a whole day that no host takes for future.
pub fn start_of_yesterday_ms() -> Result<i64> {
    const DAY: Duration = Duration::from_secs(86_400);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let days = (now.as_secs() / DAY.as_secs()).saturating_sub(1);
    i64::try_from(days * DAY.as_secs() * 1000).context("the clock is beyond any calendar")
}
