//! What can be asked of the books: a filter, a grouping, a range of hours.
//!
//! Invariant: a query that passes [`check`] has an answer.

use super::labels::{self, LABELS_MAX, LabelFilter};
use crate::{
    domain::{AlertCode, Generation, HOUR_MS, LabelKey, Millis, OperatorId},
    intake::times::told,
};

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
    /// Device.
    Device,
    /// The party that alerts are addressed to.
    Recipient,
    /// What the code belongs to.
    Family,
    /// Day of occurrence, UTC.
    OccurredDay,
    /// A label of the device, by its index in `label_keys`.
    Label(u8),
}

impl Grouping {
    /// Returns true for what the books do not keep: it is counted from the log.
    pub fn is_of_log(self) -> bool {
        matches!(self, Self::Device | Self::Recipient | Self::OccurredDay | Self::Label(_))
    }
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
    /// At most so many rows, those of which most was received; `None` for all.
    pub top: Option<usize>,
    /// Only alerts that stand for others.
    pub only_throttled: bool,
    /// Labels that are grouped by, in order.
    pub label_keys: Vec<LabelKey>,
    /// Only alerts of devices that all of these admit.
    pub labels: Vec<LabelFilter>,
}

impl CountQuery {
    /// Returns true where the books alone cannot answer it.
    pub fn is_of_log(&self) -> bool {
        self.only_throttled || !self.labels.is_empty() || self.group_by.iter().any(|grouping| grouping.is_of_log())
    }

    /// Returns true where rows are of families of codes.
    pub fn is_by_family(&self) -> bool {
        self.group_by.contains(&Grouping::Family)
    }

    /// Returns the time from the start of one row to that of the next, where it is grouped by time of receipt.
    pub fn step_ms(&self) -> Option<Millis> {
        self.group_by.iter().find_map(|grouping| match grouping {
            Grouping::Hour => Some(HOUR_MS),
            Grouping::Day => Some(24 * HOUR_MS),
            _ => None,
        })
    }
}

/// A query that cannot be answered: the field at fault, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// The field, as the protocol names it.
    pub field: &'static str,
    /// Its value, and what is allowed.
    pub message: String,
}

/// Checks a query and gives the hours it ranges over.
pub fn check(query: &CountQuery) -> Result<std::ops::Range<u32>, QueryError> {
    let hour = |field: &'static str, time: Option<Millis>, none: u32| match time {
        None => Ok(none),
        Some(ms) if ms >= 0 && ms % HOUR_MS == 0 => Ok(u32::try_from(ms / HOUR_MS).unwrap_or(u32::MAX)),
        Some(ms) => {
            let ms = told(ms);
            let message = format!("{ms} is not a whole hour; the books are kept by the hour (a multiple of {HOUR_MS})");
            Err(QueryError { field, message })
        }
    };
    let range = hour("since_ms", query.since_ms, 0)?..hour("until_ms", query.until_ms, u32::MAX)?;
    if range.start > range.end {
        let times = [query.until_ms, query.since_ms].map(|ms| told(ms.unwrap_or_default()));
        let message = format!("{} lies before since_ms, {}", times[0], times[1]);
        return Err(QueryError { field: "until_ms", message });
    }
    let mut groups = query.group_by.clone();
    groups.sort_unstable();
    let twice = groups.windows(2).any(|pair| pair[0] == pair[1]);
    if twice || (groups.contains(&Grouping::Hour) && groups.contains(&Grouping::Day)) {
        let message =
            "a grouping is given twice, or both hour and day; give each once, and one of hour and day".to_owned();
        return Err(QueryError { field: "group_by", message });
    }
    match labels::wrong_field(&query.label_keys, &query.labels) {
        Some(field) => Err(QueryError { field, message: format!("at most {LABELS_MAX} labels, each once") }),
        None => Ok(range),
    }
}
