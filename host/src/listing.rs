//! Listing logged alerts: filter the log, name the rule behind each verdict.

use crate::domain::{Alert, AlertCode, End, Eui64, FaultKind, Generation, Millis, OperatorId, Position, Revision};

/// Which alerts. An empty list lets everything through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlertQuery {
    /// At most this many, already checked against the limit.
    pub page_size: usize,
    /// From this position on.
    pub from: Position,
    /// Outcomes.
    pub ends: Vec<End>,
    /// One device.
    pub device: Option<Eui64>,
    /// Codes.
    pub codes: Vec<AlertCode>,
    /// Suppressed or overruled by this rule.
    pub rule: Option<String>,
    /// Operators.
    pub operators: Vec<OperatorId>,
    /// Received at or after.
    pub since_ms: Option<Millis>,
    /// Received before.
    pub until_ms: Option<Millis>,
}

/// The rule behind a verdict, as it was then.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleMark {
    /// Name.
    pub name: String,
    /// Revision.
    pub revision: Revision,
    /// Plugin digest as text.
    pub plugin_digest: String,
    /// Plugin name.
    pub plugin_name: String,
    /// Parameters.
    pub parameters: String,
    /// Reason.
    pub reason: String,
}

/// A logged alert.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedAlert {
    /// Where it stands.
    pub position: Position,
    /// As it arrived, times filled in.
    pub alert: Alert,
    /// Operator at the time.
    pub operator: OperatorId,
    /// Generation at the time.
    pub generation: Generation,
    /// Model name at the time.
    pub model: String,
    /// What became of it.
    pub end: End,
    /// By which rule.
    pub rule: Option<RuleMark>,
    /// Whether a protected code overruled that rule.
    pub overruled: bool,
    /// Suppressed alerts it stands for.
    pub withheld: u32,
    /// Rules that failed on it: name, revision, kind.
    pub faults: Vec<(String, Revision, FaultKind)>,
}

/// A page of them.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertPage {
    /// In log order.
    pub alerts: Vec<LoggedAlert>,
    /// Where to go on; `None` when all was looked at.
    pub next: Option<Position>,
    /// Everything before was looked at.
    pub position: Position,
}
