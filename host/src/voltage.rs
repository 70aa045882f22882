//! What readings say about alerts of average voltage: which period an alert is of, and when a meter would have alerted.
//!
//! A meter compares the average of each period with a threshold at the end of the period. It alerts when the average is
//! beyond the threshold and the one before was not. So which alerts a meter raises follows from its readings and its
//! threshold ([`Crossings`]), and an alert that was raised is of the period that had just ended ([`join()`]).
//!
//! Invariant: nothing is guessed. An alert that fits no period, or more than one, has no reading; a reading that leaves open
//! on which side of a threshold it is makes a range of answers and no answer.

mod backtest;
mod codes;
mod crossing;
mod episode;
mod join;

pub use backtest::{Backtest, backtest};
pub use codes::{Edge, Models, Trigger, trigger};
pub use crossing::{Bounds, Crossed, Crossings, periods};
pub use episode::{EPISODE_MS_MAX, Episode, episode};
pub use join::{Unjoined, UnjoinedCounts, join, reach_ms};
