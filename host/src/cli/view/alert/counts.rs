//! How many alerts met each end, and how many each remark was made about.
//!
//! It must not know what was counted. Invariant: a sum that would run over stays at the largest number.

use serde::{Serialize, Serializer, ser::SerializeStruct};
use weir_proto::v1;

use crate::{cli::table::Value, domain::Remark};

/// The four ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Balance {
    pub received: u64,
    pub forwarded: u64,
    pub suppressed: u64,
    pub rejected: u64,
    pub duplicate: u64,
}

impl From<v1::Balance> for Balance {
    fn from(message: v1::Balance) -> Self {
        let v1::Balance { received, forwarded, suppressed, rejected, duplicate } = message;
        Self { received, forwarded, suppressed, rejected, duplicate }
    }
}

impl Balance {
    /// Headings of its columns.
    pub(crate) const HEADINGS: [&'static str; 5] = ["received", "forwarded", "suppressed", "rejected", "duplicate"];

    /// The values under them.
    pub(crate) fn values(self) -> [Value; 5] {
        [self.received, self.forwarded, self.suppressed, self.rejected, self.duplicate].map(Value::Number)
    }

    /// Adds another balance. A count that would run over stays where it is.
    pub(crate) fn add(&mut self, other: Self) {
        let Self { received, forwarded, suppressed, rejected, duplicate } = other;
        self.received = self.received.saturating_add(received);
        self.forwarded = self.forwarded.saturating_add(forwarded);
        self.suppressed = self.suppressed.saturating_add(suppressed);
        self.rejected = self.rejected.saturating_add(rejected);
        self.duplicate = self.duplicate.saturating_add(duplicate);
    }
}

/// Where a message has a count.
type CountOf = fn(&v1::RemarkCounts) -> u64;

/// What a remark's count is called in JSON and above its column, and where a message has it: in the order of [`Remark::ALL`].
const REMARKS: [(&str, &str, CountOf); Remark::COUNT] = [
    ("occurred_in_future", "from future", |counts| counts.occurred_in_future),
    ("occurred_before_retention", "too old", |counts| counts.occurred_before_retention),
    ("out_of_order", "out of order", |counts| counts.out_of_order),
    ("implausible", "implausible", |counts| counts.implausible),
    ("maybe_copy", "maybe copy", |counts| counts.maybe_copy),
    ("other_content", "other content", |counts| counts.other_content),
    ("clock_unreliable", "clock unreliable", |counts| counts.clock_unreliable),
    ("clock_not_set", "clock not set", |counts| counts.clock_not_set),
    ("occurred_at_left_out", "occurred left out", |counts| counts.occurred_at_left_out),
    ("dcc_at_left_out", "dcc left out", |counts| counts.dcc_at_left_out),
    ("throttle_gap", "throttle gap", |counts| counts.throttle_gap),
    ("generation_differs", "generation differs", |counts| counts.generation_differs),
];

/// How many alerts each remark was made about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RemarkCounts([u64; Remark::COUNT]);

impl From<Option<v1::RemarkCounts>> for RemarkCounts {
    fn from(message: Option<v1::RemarkCounts>) -> Self {
        let counts = message.unwrap_or_default();
        Self(REMARKS.map(|(_, _, of)| of(&counts)))
    }
}

impl Serialize for RemarkCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut counts = serializer.serialize_struct("RemarkCounts", Remark::COUNT)?;
        for ((name, _, _), count) in REMARKS.into_iter().zip(self.0) {
            counts.serialize_field(name, &count)?;
        }
        counts.end()
    }
}

impl RemarkCounts {
    /// Headings of the columns of [`numbers`](Self::numbers).
    pub(crate) const HEADINGS: [&'static str; Remark::COUNT] = {
        let mut headings = [""; Remark::COUNT];
        let mut at = 0;
        while at < Remark::COUNT {
            headings[at] = REMARKS[at].1;
            at += 1;
        }
        headings
    };

    /// The numbers under them.
    pub(crate) fn numbers(self) -> [u64; Remark::COUNT] {
        self.0
    }

    /// Adds others. A count that would run over stays where it is.
    pub(crate) fn add(&mut self, other: Self) {
        for (count, other) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_remark_has_its_own_count_under_its_own_name() {
        let message = v1::RemarkCounts {
            occurred_in_future: 1,
            occurred_before_retention: 2,
            out_of_order: 3,
            implausible: 4,
            maybe_copy: 5,
            other_content: 6,
            clock_unreliable: 7,
            clock_not_set: 8,
            occurred_at_left_out: 9,
            dcc_at_left_out: 10,
            throttle_gap: 11,
            generation_differs: u64::MAX,
        };
        let mut counts = RemarkCounts::from(Some(message));
        let json = serde_json::to_value(counts).unwrap();
        for (remark, count) in Remark::ALL.into_iter().zip(counts.numbers()) {
            assert_eq!(json[remark.name().replace('-', "_")], count, "{remark:?}");
        }
        assert_eq!(json.as_object().unwrap().len(), Remark::COUNT);
        assert_eq!(counts.numbers(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, u64::MAX]);
        counts.add(counts);
        assert_eq!((counts.numbers()[0], counts.numbers()[11]), (2, u64::MAX), "a count that would run over");
        assert_eq!((RemarkCounts::HEADINGS[1], RemarkCounts::from(None)), ("too old", RemarkCounts::default()));
    }
}
