//! Which alert makes a rule fail: the batch it failed on is halved until one is left.
//!
//! It must not know why a call fails. Invariant: it asks about twice the binary logarithm of the batch's length at
//! most, and what it finds changes no verdict.

use std::ops::Range;

/// The one alert of `0..count` that fails alone, if halving comes to one. `fails` calls the rule with part of the
/// batch.
pub fn find(count: usize, mut fails: impl FnMut(Range<usize>) -> bool) -> Option<usize> {
    let mut range = 0..count;
    if count == 1 {
        return Some(0);
    }
    while range.len() > 1 {
        let middle = range.start + range.len() / 2;
        let halves = [range.start..middle, middle..range.end];
        range = halves.into_iter().find(|half| fails(half.clone()))?;
    }
    (range.len() == 1).then_some(range.start)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::find;

    proptest! {
        #[test]
        fn the_one_is_found_in_few_calls(count in 1_usize..70_000, at in any::<prop::sample::Index>()) {
            let (poison, calls) = (at.index(count), Cell::new(0));
            let found = find(count, |range| { calls.set(calls.get() + 1); range.contains(&poison) });
            prop_assert_eq!(found, Some(poison));
            prop_assert!(calls.get() <= 2 * count.ilog2() + 2);
        }
    }

    #[test]
    fn what_fails_only_together_has_no_one() {
        assert_eq!(find(8, |range| range.len() == 8), None);
        assert_eq!(find(0, |_| true), None);
    }
}
