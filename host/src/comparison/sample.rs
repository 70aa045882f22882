//! A few of many, fairly: those whose positions, mixed with a seed, are lowest.
//!
//! It must not know what is sampled. Invariant: each of the many is as likely as any other, and the same ones come out
//! however often, and in whatever pieces, they are offered.

use std::collections::BTreeSet;

use crate::domain::Position;

/// Some of many.
#[derive(Debug, Clone)]
pub struct Sample<T> {
    kept: BTreeSet<(u64, T)>,
    max: usize,
    seed: u64,
}

impl<T: Ord> Sample<T> {
    /// At most so many; another seed chooses others.
    pub fn new(max: usize, seed: u64) -> Self {
        Self { kept: BTreeSet::new(), max, seed }
    }

    /// Offers what stands at a position. It is made only where it is kept.
    pub fn offer(&mut self, position: Position, make: impl FnOnce() -> T) {
        let rank = rank(position, self.seed);
        if self.max == 0 || rank > self.rank_max() {
            return;
        }
        self.kept.insert((rank, make()));
        if self.kept.len() > self.max {
            self.kept.pop_last();
        }
    }

    /// What has a higher rank is not kept.
    pub fn rank_max(&self) -> u64 {
        if self.kept.len() < self.max { u64::MAX } else { self.kept.last().map_or(0, |(last, _)| *last) }
    }

    /// Takes what another sample of the same kind has.
    pub fn merge(&mut self, other: Self) {
        self.kept.extend(other.kept);
        while self.kept.len() > self.max {
            self.kept.pop_last();
        }
    }

    /// What was kept, in no order.
    pub fn take(self) -> Vec<T> {
        self.kept.into_iter().map(|(_, item)| item).collect()
    }
}

/// By what those are chosen that are kept: the lowest are.
pub fn rank(position: Position, seed: u64) -> u64 {
    mixed(position.0 ^ seed)
}

/// A number's bits, mixed (the finaliser of SplitMix64).
pub fn mixed(number: u64) -> u64 {
    let a = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let b = (a ^ (a >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    b ^ (b >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_in_pieces_is_the_sample_of_the_whole() {
        let of = |range: std::ops::Range<u64>| {
            let mut sample = Sample::new(10, 7);
            range.for_each(|at| sample.offer(Position(at), || at));
            sample
        };
        let mut pieces = of(0..300);
        pieces.merge(of(300..1_000));
        assert_eq!(pieces.take(), of(0..1_000).take());
        let mut other = Sample::new(10, 8);
        (0..1_000).for_each(|at| other.offer(Position(at), || at));
        assert_ne!(other.take(), of(0..1_000).take(), "another seed");
        let mut none = Sample::new(0, 0);
        none.offer(Position(1), || 1);
        assert!(none.take().is_empty());
    }
}
