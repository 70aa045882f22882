//! The books: counts by hour and cell, asked for by filter and grouping.

use crate::domain::{AlertCode, Balance, Generation, Millis, OperatorId, Position};

/// What to group by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grouping {
    /// Alert code.
    Code,
    /// Rule that suppressed or was overruled.
    Rule,
    /// Operator.
    Operator,
    /// Generation.
    Generation,
    /// Model.
    Model,
    /// Hour of receipt.
    Hour,
    /// Day of receipt, UTC.
    Day,
    /// Why rejected.
    Rejection,
}

/// Which counts. An empty list lets everything through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CountQuery {
    /// In this order; hour and day exclude each other.
    pub group_by: Vec<Grouping>,
    /// Codes.
    pub codes: Vec<AlertCode>,
    /// Suppressed or overruled by this rule.
    pub rule: Option<String>,
    /// Operators.
    pub operators: Vec<OperatorId>,
    /// Generations.
    pub generations: Vec<Generation>,
    /// Models by name; empty text for not known.
    pub models: Vec<String>,
    /// Received at or after: a whole hour.
    pub since_ms: Option<Millis>,
    /// Received before: a whole hour.
    pub until_ms: Option<Millis>,
}

/// The keys of one row: set where grouped by.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CountKey {
    /// Code; inner `None` for rejected alerts without one.
    pub code: Option<Option<AlertCode>>,
    /// Rule name; empty for none.
    pub rule: Option<String>,
    /// Operator.
    pub operator: Option<OperatorId>,
    /// Generation.
    pub generation: Option<Generation>,
    /// Model name; empty for not known.
    pub model: Option<String>,
    /// Start of the hour or day.
    pub start_ms: Option<Millis>,
    /// Why rejected; empty for none.
    pub rejection: Option<&'static str>,
}

/// The counts of one row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The four ends.
    pub balance: Balance,
    /// Sum of weights of what was received.
    pub represented: u64,
    /// Forwarded because the code is protected.
    pub overruled: u64,
    /// Sum of what forwarded alerts stand for beside themselves.
    pub withheld: u64,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct CountTable {
    /// Ordered by key, in the order of `group_by`.
    pub rows: Vec<(CountKey, Counts)>,
    /// The sum of all rows.
    pub total: Counts,
    /// Exact as of here.
    pub position: Position,
}
