//! The fold: state and a group of alerts in, verdicts and new state out.
//!
//! Live, recovery and verification call the same [`judge`]; they differ in where groups come from and where the result
//! goes. It must not know the store, the sandbox, a clock or who asks. Invariant: what a rule is shown of a device
//! depends on the log before it and on nothing else: not on group sizes, threads or other devices.

mod chain;
mod index;
mod judge;
mod poison;
mod replay;
mod settings;
mod shares;
mod slots;
mod state;

pub use chain::{Chain, ChainRule, CodeSet, Filter};
pub use judge::{Called, Judged, Judgement, judge};
pub use replay::{Cause, Divergence, Replay, count_devices};
pub use settings::{ChainSettings, SettingsByNo};
pub use shares::{Shares, Times};
pub use slots::Slots;
pub use state::{PAGE_DEVICES, State};

#[cfg(test)]
mod tests;
