//! The books: what is counted, and under which key.
//!
//! It must not know how counts are kept or asked for. Invariant: every received alert falls into exactly one cell of
//! exactly one hour.

use super::{Position, RemarkCounts, Revision};

/// The four ends of an alert. The numbers are on disk: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// It passes on to its recipient.
    Forwarded = 1,
    /// A rule holds it back.
    Suppressed = 2,
    /// It could not be taken.
    Rejected = 3,
    /// It was seen before.
    Duplicate = 4,
}

impl End {
    /// From its number on disk.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Forwarded, Self::Suppressed, Self::Rejected, Self::Duplicate]
            .into_iter()
            .find(|end| *end as u8 == number)
    }
}

/// What one count is of, within its hour of receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// Alert code; `None` for rejected ones without a valid code.
    pub code: Option<u16>,
    /// Distributor id.
    pub operator: u8,
    /// Generation as a number.
    pub generation: u8,
    /// Model id.
    pub model: u32,
    /// What became of them.
    pub end: End,
    /// The rule behind it: suppressed by, or overruled.
    pub rule: Revision,
    /// The rule's reason from 1, or the number of the [`RejectReason`](super::RejectReason); 0 for none.
    pub reason: u8,
}

/// One count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Alerts.
    pub count: u64,
    /// Sum of their weights.
    pub represented: u64,
    /// Sum of what they stand for beside themselves by a rule's decision.
    pub withheld: u64,
    /// Remarks made about them.
    pub remarks: RemarkCounts,
}

impl Tally {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.represented += other.represented;
        self.withheld += other.withheld;
        self.remarks.add(other.remarks);
    }
}

/// All counts of one hour, as of a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourPage {
    /// Hours since 1970-01-01T00:00:00Z, of receipt.
    pub hour: u32,
    /// What lies before this position is counted.
    pub as_of: Position,
    /// The counts, ordered by cell.
    pub cells: Vec<(Cell, Tally)>,
}
