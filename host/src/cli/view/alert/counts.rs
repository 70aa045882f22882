//! How many alerts met each end, and how many each remark was made about.
//!
//! It must not know what was counted. Invariant: a sum that would run over stays at the largest number.

use serde::Serialize;
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

/// How many alerts each remark was made about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct RemarkCounts {
    pub occurred_in_future: u64,
    pub occurred_before_retention: u64,
    pub out_of_order: u64,
    pub implausible: u64,
    pub maybe_copy: u64,
    pub other_content: u64,
    pub clock_unreliable: u64,
    pub clock_not_set: u64,
    pub occurred_at_left_out: u64,
    pub dcc_at_left_out: u64,
    pub throttle_gap: u64,
    pub generation_differs: u64,
}

impl From<Option<v1::RemarkCounts>> for RemarkCounts {
    fn from(message: Option<v1::RemarkCounts>) -> Self {
        let v1::RemarkCounts {
            occurred_in_future,
            occurred_before_retention,
            out_of_order,
            implausible,
            maybe_copy,
            other_content,
            clock_unreliable,
            clock_not_set,
            occurred_at_left_out,
            dcc_at_left_out,
            throttle_gap,
            generation_differs,
        } = message.unwrap_or_default();
        Self {
            occurred_in_future,
            occurred_before_retention,
            out_of_order,
            implausible,
            maybe_copy,
            other_content,
            clock_unreliable,
            clock_not_set,
            occurred_at_left_out,
            dcc_at_left_out,
            throttle_gap,
            generation_differs,
        }
    }
}

impl RemarkCounts {
    /// Headings of the columns of [`numbers`](Self::numbers).
    pub(crate) const HEADINGS: [&'static str; Remark::COUNT] = [
        "from future",
        "too old",
        "out of order",
        "implausible",
        "maybe copy",
        "other content",
        "clock unreliable",
        "clock not set",
        "occurred left out",
        "dcc left out",
        "throttle gap",
        "generation differs",
    ];

    /// The numbers under them.
    pub(crate) fn numbers(mut self) -> [u64; Remark::COUNT] {
        self.each_mut().map(|count| *count)
    }

    /// Adds others. A count that would run over stays where it is.
    pub(crate) fn add(&mut self, other: Self) {
        for (count, other) in self.each_mut().into_iter().zip(other.numbers()) {
            *count = count.saturating_add(other);
        }
    }

    /// Each count, in the order of [`Remark::ALL`].
    fn each_mut(&mut self) -> [&mut u64; Remark::COUNT] {
        let Self {
            occurred_in_future,
            occurred_before_retention,
            out_of_order,
            implausible,
            maybe_copy,
            other_content,
            clock_unreliable,
            clock_not_set,
            occurred_at_left_out,
            dcc_at_left_out,
            throttle_gap,
            generation_differs,
        } = self;
        [
            occurred_in_future,
            occurred_before_retention,
            out_of_order,
            implausible,
            maybe_copy,
            other_content,
            clock_unreliable,
            clock_not_set,
            occurred_at_left_out,
            dcc_at_left_out,
            throttle_gap,
            generation_differs,
        ]
    }
}
