//! Producers.
//!
//! It must not know how producers are asked for.

use serde::Serialize;
use weir_proto::v1;

use super::{clean, time};
use crate::cli::table::{Table, Value};

/// Characters of an id; a server gives no more.
const ID_CHARS_MAX: usize = 64;

/// A producer and what the host keeps of it.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Producer {
    pub identity: String,
    pub producer_id: String,
    pub last_sequence: u64,
    pub ephemeral: bool,
    pub last_taken_at_ms: i64,
    pub is_sending: bool,
    pub idle_left_ms: u64,
    pub texts_bytes: u64,
}

impl From<v1::Producer> for Producer {
    fn from(message: v1::Producer) -> Self {
        let v1::Producer {
            identity,
            producer_id,
            last_sequence,
            ephemeral,
            last_taken_at_ms,
            is_sending,
            idle_left_ms,
            texts_bytes,
        } = message;
        Self {
            identity,
            producer_id,
            last_sequence,
            ephemeral,
            last_taken_at_ms,
            is_sending,
            idle_left_ms,
            texts_bytes,
        }
    }
}

/// Producers, a row each.
pub(in crate::cli) fn table(rows: &[Producer]) -> Table {
    let mut table = Table::new(&["identity", "producer", "last batch", "taken", "one run", "sending", "kept for"]);
    for row in rows {
        let yes = |is: bool| Value::text(if is { "yes" } else { "no" });
        table.row([
            Value::text(clean(&row.identity, ID_CHARS_MAX)),
            Value::text(clean(&row.producer_id, ID_CHARS_MAX)),
            Value::Number(row.last_sequence),
            Value::text(if row.last_taken_at_ms == 0 { String::new() } else { time(row.last_taken_at_ms) }),
            yes(row.ephemeral),
            yes(row.is_sending),
            Value::text(length(row.idle_left_ms)),
        ]);
    }
    table
}

/// A length of time in its largest unit.
fn length(ms: u64) -> String {
    let s = ms / 1_000;
    match s {
        172_800.. => format!("{} d", s / 86_400),
        7_200.. => format!("{} h", s / 3_600),
        120.. => format!("{} min", s / 60),
        _ => format!("{s} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::length;

    #[test]
    fn lengths_are_in_a_unit_that_leaves_at_least_two() {
        let shown = [0, 119_999, 120_000, 7_199_999, 7_200_000, 172_800_000, 2_592_000_000].map(length);
        assert_eq!(shown, ["0 s", "119 s", "2 min", "119 min", "2 h", "2 d", "30 d"]);
    }
}
