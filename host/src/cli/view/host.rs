//! The host itself.
//!
//! It must not know how it is asked for.

use serde::Serialize;
use weir_proto::v1;

use super::{clean, time};
use crate::cli::table::{Table, Value};

/// Characters of a reason that are shown.
const WHY_CHARS_MAX: usize = 1_000;

/// Whether a host takes alerts, and its clock.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct HostStatus {
    pub state: &'static str,
    pub why: String,
    pub clock_ms: i64,
    pub time_ms: i64,
    pub retention_time_ms: i64,
    pub log_bytes: u64,
    pub free_bytes: Option<u64>,
    /// Empty where there is none.
    pub readings_problem: String,
}

impl From<v1::GetHostStatusResponse> for HostStatus {
    fn from(message: v1::GetHostStatusResponse) -> Self {
        let v1::GetHostStatusResponse { state, why, clock_ms, time_ms, retention_time_ms, .. } = message;
        let v1::GetHostStatusResponse { log_bytes, free_bytes, readings_problem, .. } = message;
        let state = match v1::HostState::try_from(state) {
            Ok(v1::HostState::Serving) => "serving",
            Ok(v1::HostState::StoreFull) => "store-full",
            Ok(v1::HostState::ClockWrong) => "clock-wrong",
            Ok(v1::HostState::Stopped) => "stopped",
            Ok(v1::HostState::Unspecified) | Err(_) => "unknown",
        };
        let why = clean(&why, WHY_CHARS_MAX);
        let readings_problem = clean(&readings_problem, WHY_CHARS_MAX);
        Self { state, why, clock_ms, time_ms, retention_time_ms, log_bytes, free_bytes, readings_problem }
    }
}

/// A line for each fact; what says nothing is left out.
pub(in crate::cli) fn facts(status: &HostStatus) -> Table {
    let HostStatus { state, why, clock_ms, time_ms, retention_time_ms, log_bytes, free_bytes, readings_problem } =
        status;
    let mut facts = vec![("state", Value::text(*state))];
    if !why.is_empty() {
        facts.push(("why", Value::text(why)));
    }
    facts.push(("clock shows", Value::text(time(*clock_ms))));
    if time_ms != clock_ms {
        facts.push(("time gone by", Value::text(time(*time_ms))));
    }
    facts.push(("retention goes by", Value::text(time(*retention_time_ms))));
    facts.push(("log bytes", Value::Number(*log_bytes)));
    facts.extend(free_bytes.map(|bytes| ("free bytes", Value::Number(bytes))));
    if !readings_problem.is_empty() {
        facts.push(("readings", Value::text(readings_problem)));
    }
    Table::facts(facts)
}
