//! What alerts count as: what happened to an alert, and in which lanes its end would be another. Many alerts are alike in
//! that, however many lanes there are, so they are counted by pattern and not lane by lane.
//!
//! It must not know alerts. Invariant: two alerts have the same pattern exactly if they were counted as the same and every
//! lane says the same of both.
//!
//! Patterns are found as words are in a tree of letters: lane after lane, by what each says. The thresholds of a sweep lie
//! in an order, so eight of them make no more than nine patterns of what was forwarded.

use super::tally::Ends;

/// It is counted nowhere.
pub(super) const UNCOUNTED: u32 = 0;
/// It was seen before.
pub(super) const DUPLICATE: u32 = 1;
/// It was forwarded, and every lane says so.
pub(super) const FORWARDED: u32 = 2;
/// It was suppressed, and every lane says so.
pub(super) const SUPPRESSED: u32 = 3;

/// Patterns and steps to them, together, after which they are to be forgotten.
const STEPS_MAX: usize = 1 << 16;

/// No step was made there yet.
const NONE: u32 = u32::MAX;

/// What a lane says of an alert, against what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// The same.
    Same = 0,
    /// Its end would be another.
    Turned = 1,
    /// It would be suppressed, were its code not protected.
    Overruled = 2,
}

/// One pattern.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pattern {
    /// It was suppressed.
    pub(super) was_suppressed: bool,
    /// Lanes that end it otherwise.
    pub(super) turned: Vec<u32>,
    /// Lanes whose candidate a protected code overrules.
    pub(super) overruled: Vec<u32>,
}

impl Pattern {
    /// What happened to so many alerts of it.
    pub(super) fn ends(&self, count: u64) -> Ends {
        match self.was_suppressed {
            true => Ends { suppressed: count, ..Ends::default() },
            false => Ends { forwarded: count, ..Ends::default() },
        }
    }
}

/// The patterns that were met.
#[derive(Debug)]
pub(super) struct Patterns {
    lanes: usize,
    known: Vec<Pattern>,
    /// Per place in the tree, the next for each thing that a lane may say: places but after the last lane, then patterns.
    steps: Vec<[u32; 3]>,
    /// Per place, what was said on the way to it.
    said: Vec<Pattern>,
}

impl Patterns {
    /// The four that are always there, for so many lanes.
    pub(super) fn new(lanes: usize) -> Self {
        let of = |was_suppressed| Pattern { was_suppressed, ..Pattern::default() };
        let known = [false, false, false, true].map(of).to_vec();
        // Where nothing was said yet is the place of the same number.
        Self { lanes, steps: vec![[NONE; 3]; known.len()], said: known.clone(), known }
    }

    /// How many there are: their numbers are less.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// One of them.
    pub(super) fn get(&self, pattern: u32) -> &Pattern {
        &self.known[pattern as usize]
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.known.iter()
    }

    /// Goes on by what the next lane says. Begin with [`FORWARDED`] or [`SUPPRESSED`]: after the last lane it is the
    /// pattern.
    #[inline]
    pub(super) fn step(&mut self, at: u32, lane: usize, says: Said) -> u32 {
        let next = self.steps[at as usize][says as usize];
        if next == NONE { self.make(at, lane, says) } else { next }
    }

    /// The pattern of what every lane says, in order.
    pub(super) fn find(&mut self, was_suppressed: bool, says: impl Iterator<Item = Said>) -> u32 {
        let begin = if was_suppressed { SUPPRESSED } else { FORWARDED };
        says.enumerate().fold(begin, |at, (lane, says)| self.step(at, lane, says))
    }

    /// Whether there are so many that it is time to add everything up and to forget them.
    pub(super) fn is_full(&self) -> bool {
        self.steps.len() + self.known.len() > STEPS_MAX
    }

    #[cold]
    fn make(&mut self, at: u32, lane: usize, says: Said) -> u32 {
        let mut pattern = self.said[at as usize].clone();
        match says {
            Said::Same => {}
            Said::Turned => pattern.turned.push(lane as u32),
            Said::Overruled => pattern.overruled.push(lane as u32),
        }
        let next = if lane + 1 < self.lanes {
            self.steps.push([NONE; 3]);
            self.said.push(pattern);
            self.steps.len() - 1
        } else if pattern == self.known[FORWARDED as usize] {
            FORWARDED as usize
        } else if pattern == self.known[SUPPRESSED as usize] {
            SUPPRESSED as usize
        } else {
            self.known.push(pattern);
            self.known.len() - 1
        };
        self.steps[at as usize][says as usize] = next as u32;
        next as u32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Its number stands for what was said, and nothing else does.
        #[test]
        fn a_pattern_is_what_the_lanes_say(
            alerts in proptest::collection::vec((any::<bool>(), [0_usize..3, 0..3, 0..3, 0..3]), 1..200),
        ) {
            let mut patterns = Patterns::new(4);
            let mut seen = std::collections::HashMap::new();
            for (was_suppressed, says) in alerts {
                let said = says.map(|says| [Said::Same, Said::Turned, Said::Overruled][says]);
                let found = patterns.find(was_suppressed, said.into_iter());
                let lanes = |wanted| (0..4).filter(|lane| said[*lane as usize] == wanted).collect::<Vec<u32>>();
                let (turned, overruled) = (lanes(Said::Turned), lanes(Said::Overruled));
                prop_assert_eq!(found <= SUPPRESSED, turned.is_empty() && overruled.is_empty());
                prop_assert_eq!(patterns.get(found), &Pattern { was_suppressed, turned, overruled });
                prop_assert_eq!(*seen.entry((was_suppressed, says)).or_insert(found), found);
            }
            prop_assert_eq!(patterns.len(), 4 + seen.values().filter(|found| **found > SUPPRESSED).count());
        }
    }
}
