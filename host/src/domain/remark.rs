//! What is remarkable about an alert that is taken all the same: clocks that are wrong, an order that is, a measurement that
//! may be.
//!
//! It must not know how that is found out. Invariant: a remark changes nothing of the alert it is made about.

/// One thing that is remarkable. The numbers are bits on disk: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Remark {
    /// The device says that it happened after it was received, by more than clocks may differ.
    OccurredInFuture = 1,
    /// The device says that it happened before all that the log keeps.
    OccurredBeforeRetention = 2,
    /// Its counter is not above one of the same sender and recipient that had been here before it.
    OutOfOrder = 4,
    /// What it measured is not plausible for its code.
    Implausible = 8,
    /// It may be a copy of one that was here before; what is remembered cannot tell.
    MaybeCopy = 16,
    /// Another alert of the same sender, recipient, device, code, counter and time was here before it, with other bytes.
    OtherContent = 32,
}

impl Remark {
    /// Every remark.
    pub const ALL: [Self; 6] = [
        Self::OccurredInFuture,
        Self::OccurredBeforeRetention,
        Self::OutOfOrder,
        Self::Implausible,
        Self::MaybeCopy,
        Self::OtherContent,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::OccurredInFuture => "occurred-in-future",
            Self::OccurredBeforeRetention => "occurred-before-retention",
            Self::OutOfOrder => "out-of-order",
            Self::Implausible => "implausible",
            Self::MaybeCopy => "maybe-copy",
            Self::OtherContent => "other-content",
        }
    }
}

/// The remarks about one alert, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remarks(pub u8);

impl Remarks {
    /// Adds one.
    pub fn add(&mut self, remark: Remark) {
        self.0 |= remark as u8;
    }

    /// Those that were made.
    pub fn iter(self) -> impl Iterator<Item = Remark> {
        Remark::ALL.into_iter().filter(move |remark| self.0 & *remark as u8 != 0)
    }
}

/// How many alerts each remark was made about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RemarkCounts {
    /// [`Remark::OccurredInFuture`].
    pub occurred_in_future: u64,
    /// [`Remark::OccurredBeforeRetention`].
    pub occurred_before_retention: u64,
    /// [`Remark::OutOfOrder`].
    pub out_of_order: u64,
    /// [`Remark::Implausible`].
    pub implausible: u64,
    /// [`Remark::MaybeCopy`].
    pub maybe_copy: u64,
    /// [`Remark::OtherContent`].
    pub other_content: u64,
}

impl RemarkCounts {
    /// Of some alerts, by their bits.
    pub fn of(remarks: &[u8]) -> Self {
        let mut counts = Self::default();
        remarks.iter().filter(|bits| **bits != 0).for_each(|bits| counts.note(Remarks(*bits)));
        counts
    }

    /// From the counts in the order of [`Remark::ALL`].
    pub fn listed(counts: [u64; 6]) -> Self {
        let [occurred_in_future, occurred_before_retention, out_of_order, implausible, maybe_copy, other_content] =
            counts;
        Self { occurred_in_future, occurred_before_retention, out_of_order, implausible, maybe_copy, other_content }
    }

    /// Counts the remarks about one alert.
    pub fn note(&mut self, remarks: Remarks) {
        remarks.iter().for_each(|remark| *self.of_mut(remark) += 1);
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        for (remark, count) in other.each() {
            *self.of_mut(remark) += count;
        }
    }

    /// Each remark with its count.
    pub fn each(self) -> [(Remark, u64); 6] {
        Remark::ALL.map(|remark| (remark, *self.clone().of_mut(remark)))
    }

    fn of_mut(&mut self, remark: Remark) -> &mut u64 {
        match remark {
            Remark::OccurredInFuture => &mut self.occurred_in_future,
            Remark::OccurredBeforeRetention => &mut self.occurred_before_retention,
            Remark::OutOfOrder => &mut self.out_of_order,
            Remark::Implausible => &mut self.implausible,
            Remark::MaybeCopy => &mut self.maybe_copy,
            Remark::OtherContent => &mut self.other_content,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_are_counted_each_by_itself() {
        let mut both = Remarks::default();
        both.add(Remark::OutOfOrder);
        both.add(Remark::Implausible);
        let mut counts = RemarkCounts::of(&[0, both.0, Remark::OutOfOrder as u8, 0]);
        assert_eq!(counts, RemarkCounts { out_of_order: 2, implausible: 1, ..RemarkCounts::default() });
        counts.add(counts);
        assert_eq!(counts.each().map(|(_, count)| count), [0, 0, 4, 2, 0, 0]);
    }
}
