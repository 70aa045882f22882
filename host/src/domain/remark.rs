//! Remarks about an alert that is accepted all the same: wrong clocks, wrong order, an implausible measurement.
//!
//! Invariant: a remark changes nothing of the alert it is made about.

/// One remark. The numbers are bits on disk: never reuse one.
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
    /// The device itself says that its clock cannot be relied on.
    ClockUnreliable = 64,
    /// The device's time of occurrence lies before 2005: its clock has never been set, or was reset.
    ClockNotSet = 128,
    /// The source states a time of occurrence that cannot be read, has no zone or is incomplete: it was left out.
    OccurredAtLeftOut = 256,
    /// The source states a time of the DCC that cannot be read or has no zone: it was left out.
    DccAtLeftOut = 512,
    /// The number of the DCC's throttled sequence does not follow the one before: alerts in between never arrived.
    ThrottleGap = 1024,
    /// The source states another generation than the inventory, whose generation stands.
    GenerationDiffers = 2048,
}

impl Remark {
    /// Number of remarks.
    pub const COUNT: usize = 12;

    /// Every remark, in the order of its bits.
    pub const ALL: [Self; Self::COUNT] = [
        Self::OccurredInFuture,
        Self::OccurredBeforeRetention,
        Self::OutOfOrder,
        Self::Implausible,
        Self::MaybeCopy,
        Self::OtherContent,
        Self::ClockUnreliable,
        Self::ClockNotSet,
        Self::OccurredAtLeftOut,
        Self::DccAtLeftOut,
        Self::ThrottleGap,
        Self::GenerationDiffers,
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
            Self::ClockUnreliable => "clock-unreliable",
            Self::ClockNotSet => "clock-not-set",
            Self::OccurredAtLeftOut => "occurred-at-left-out",
            Self::DccAtLeftOut => "dcc-at-left-out",
            Self::ThrottleGap => "throttle-gap",
            Self::GenerationDiffers => "generation-differs",
        }
    }

    /// Its place in [`ALL`](Self::ALL).
    fn index(self) -> usize {
        (self as u32).trailing_zeros() as usize
    }
}

/// The remarks about one alert, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remarks(pub u32);

impl Remarks {
    /// Adds a remark.
    pub fn add(&mut self, remark: Remark) {
        self.0 |= remark as u32;
    }

    /// Returns true if the remark was made.
    pub fn has(self, remark: Remark) -> bool {
        self.0 & remark as u32 != 0
    }

    /// The remarks that were made, in the order of [`Remark::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Remark> {
        Remark::ALL.into_iter().filter(move |remark| self.has(*remark))
    }
}

/// How many alerts each remark was made about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RemarkCounts([u64; Remark::COUNT]);

impl RemarkCounts {
    /// Counts the remarks about some alerts, given as the bits of [`Remarks`].
    pub fn of(remarks: &[u32]) -> Self {
        let mut counts = Self::default();
        remarks.iter().filter(|bits| **bits != 0).for_each(|bits| counts.note(Remarks(*bits)));
        counts
    }

    /// From the counts in the order of [`Remark::ALL`].
    pub fn listed(counts: [u64; Remark::COUNT]) -> Self {
        Self(counts)
    }

    /// The count of one remark.
    pub fn get(self, remark: Remark) -> u64 {
        self.0[remark.index()]
    }

    /// The same counts with another count of one remark.
    #[must_use]
    pub fn with(mut self, remark: Remark, count: u64) -> Self {
        self.0[remark.index()] = count;
        self
    }

    /// Counts the remarks about one alert.
    pub fn note(&mut self, remarks: Remarks) {
        remarks.iter().for_each(|remark| self.0[remark.index()] += 1);
    }

    /// Adds other counts.
    pub fn add(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(count, other)| *count += other);
    }

    /// Takes off other counts, which were added before.
    pub fn remove(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(count, other)| *count -= other);
    }

    /// Each remark with its count.
    pub fn each(self) -> [(Remark, u64); Remark::COUNT] {
        Remark::ALL.map(|remark| (remark, self.get(remark)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_are_counted_each_by_itself() {
        let mut both = Remarks::default();
        both.add(Remark::OutOfOrder);
        both.add(Remark::GenerationDiffers);
        let mut counts = RemarkCounts::of(&[0, both.0, Remark::OutOfOrder as u32, 0]);
        let expected = RemarkCounts::default().with(Remark::OutOfOrder, 2).with(Remark::GenerationDiffers, 1);
        assert_eq!(counts, expected);
        counts.add(counts);
        assert_eq!(counts.each().map(|(_, count)| count), [0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn every_remark_has_a_bit_and_a_name_of_its_own() {
        for (index, remark) in Remark::ALL.into_iter().enumerate() {
            assert_eq!((remark as u32, remark.index()), (1 << index, index));
            assert_eq!(Remark::ALL.iter().filter(|other| other.name() == remark.name()).count(), 1);
        }
    }
}
