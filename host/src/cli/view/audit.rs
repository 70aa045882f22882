//! The audit log.
//!
//! It must not know how it is asked for.

use serde::Serialize;
use weir_proto::v1;

use super::{or, time};
use crate::cli::table::{Table, Value};

/// One entry.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Entry {
    pub number: u64,
    pub at_ms: i64,
    pub who: String,
    pub action: String,
    pub subject: String,
    pub detail: String,
    pub hash: String,
}

impl From<v1::AuditEntry> for Entry {
    fn from(message: v1::AuditEntry) -> Self {
        let v1::AuditEntry { number, at_ms, who, action, subject, detail, hash } = message;
        Self { number, at_ms, who, action, subject, detail, hash }
    }
}

/// Whether the chain holds.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Verified {
    pub entry_count: u64,
    pub last_hash: String,
    /// Absent where all entries follow.
    pub broken_number: Option<u64>,
    pub broken_why: String,
}

impl From<v1::VerifyAuditResponse> for Verified {
    fn from(message: v1::VerifyAuditResponse) -> Self {
        let v1::VerifyAuditResponse { entry_count, last_hash, broken_number, broken_why } = message;
        Self { entry_count, last_hash, broken_number, broken_why }
    }
}

/// Entries, a row each.
pub(in crate::cli) fn table(rows: &[Entry]) -> Table {
    let mut table = Table::new(&["entry", "at", "who", "action", "subject", "detail"]);
    for row in rows {
        table.row([
            Value::Number(row.number),
            Value::text(time(row.at_ms)),
            Value::text(or(&row.who, "not known")),
            Value::text(&row.action),
            Value::text(&row.subject),
            Value::text(&row.detail),
        ]);
    }
    table
}

/// Whether the chain holds.
pub(in crate::cli) fn verified_facts(verified: &Verified) -> Table {
    let broken = verified.broken_number.map(|number| format!("entry {number}: {}", verified.broken_why));
    Table::facts([
        ("entries that follow", Value::Number(verified.entry_count)),
        ("last hash", Value::text(&verified.last_hash)),
        ("broken", Value::text(broken.unwrap_or_else(|| "nowhere".to_owned()))),
    ])
}
