//! The books: counts by hour of receipt and cell, and the answers they give.
//!
//! It must not know how pages are written; it is told what was committed. Invariant: received = forwarded +
//! suppressed + rejected + duplicate, in every row of every answer, because each alert is added to one cell and every
//! figure is a sum of cells.

mod answer;
mod devices;
mod families;
mod labels;
mod ledger;
mod query;

pub use answer::{CountKey, CountTable, Counts, Names, Parties, Ranks, Summing, TooManyCountRows};
pub use devices::{
    AlertClock, CountingDevices, DeviceCounts, DeviceEnds, DeviceKey, DeviceQuery, TooManyDeviceRows, Weighed,
};
pub use families::Families;
pub use labels::{LABELS_MAX, LabelFilter, LabelGroups, RowLabels};
pub use ledger::Ledger;
pub use query::{CountQuery, Grouping, QueryError, check};

#[cfg(test)]
mod tests;
