//! Thresholds.
//!
//! It must not know how thresholds are asked for.

use serde::Serialize;
use weir_proto::v1;

use super::{eui, reading::limit_name, time, volts};
use crate::cli::table::{Table, Value};

/// A threshold. The names are those that `weir threshold load` reads.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Threshold {
    pub device_id: Option<String>,
    pub limit: &'static str,
    pub value_dv: u32,
    pub from_ms: i64,
    pub source: String,
}

impl From<v1::Threshold> for Threshold {
    fn from(message: v1::Threshold) -> Self {
        let v1::Threshold { device_id, limit, value_dv, from_ms, source } = message;
        Self { device_id: eui(device_id), limit: limit_name(limit), value_dv, from_ms, source }
    }
}

/// Thresholds, a row each.
pub(in crate::cli) fn table(rows: &[Threshold]) -> Table {
    let mut table = Table::new(&["device", "limit", "threshold", "from", "source"]);
    for row in rows {
        table.row([
            Value::text(row.device_id.as_deref().unwrap_or_default()),
            Value::text(row.limit),
            Value::Quantity(volts(row.value_dv)),
            Value::text(time(row.from_ms)),
            Value::text(&row.source),
        ]);
    }
    table
}
