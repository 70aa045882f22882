//! Where the entries of one page of devices lie: a hash table that answers in one cache line.
//!
//! It must not know what an entry is. Invariant: a key is in it at most once, and a lookup that comes upon a free place has
//! seen every place where its key could be.
//!
//! Key and entry lie side by side in one word, so that a lookup waits for memory once. A general table keeps its tags, its
//! slots and the keys apart, and waits three times: most of what folding an alert into state takes.

/// No key and no entry: keys are less.
const FREE: u64 = u64::MAX;

/// Places of the smallest table.
const PLACES_MIN: usize = 16;

/// Entries by key.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// Each free, or a key above an entry.
    places: Vec<u64>,
    count: usize,
}

impl Index {
    /// The entry of a key with this hash.
    pub(super) fn find(&self, hash: u64, key: u32) -> Option<u32> {
        if self.places.is_empty() {
            return None;
        }
        let at = self.place_of(hash, key);
        let found = self.places[at];
        (found != FREE).then_some(found as u32)
    }

    /// Adds a key that is not in it. `hash_of` gives the hash of any key.
    pub(super) fn insert(&mut self, key: u32, entry: u32, hash_of: impl Fn(u32) -> u64) {
        // Five places for four entries: more, and lookups go on into the next cache line.
        if (self.count + 1) * 5 > self.places.len() * 4 {
            self.grow(&hash_of);
        }
        let at = self.place_of(hash_of(key), key);
        self.places[at] = u64::from(key) << 32 | u64::from(entry);
        self.count += 1;
    }

    /// Takes a key out, if it is in it.
    pub(super) fn remove(&mut self, key: u32, hash_of: impl Fn(u32) -> u64) {
        if self.places.is_empty() {
            return;
        }
        let mut free = self.place_of(hash_of(key), key);
        if self.places[free] == FREE {
            return;
        }
        self.places[free] = FREE;
        self.count -= 1;
        // Whoever would be found only by way of the place that is free now moves there.
        let mut at = self.after(free);
        while self.places[at] != FREE {
            let home = self.home_of(hash_of((self.places[at] >> 32) as u32));
            if self.distance(home, free) < self.distance(home, at) {
                self.places.swap(free, at);
                free = at;
            }
            at = self.after(at);
        }
    }

    /// Every key with its entry, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        self.places.iter().filter(|place| **place != FREE).map(|place| ((place >> 32) as u32, *place as u32))
    }

    fn grow(&mut self, hash_of: &impl Fn(u32) -> u64) {
        // By half, not to twice: there is one for each thousand devices, and half of it would be free.
        let places = (self.places.len() + self.places.len() / 2).max(PLACES_MIN);
        let old = std::mem::replace(&mut self.places, vec![FREE; places]);
        for place in old.into_iter().filter(|place| *place != FREE) {
            let key = (place >> 32) as u32;
            let at = self.place_of(hash_of(key), key);
            self.places[at] = place;
        }
    }

    /// The place of a key, or the free one where it belongs. There is a free one.
    fn place_of(&self, hash: u64, key: u32) -> usize {
        let mut at = self.home_of(hash);
        loop {
            let place = self.places[at];
            if (place >> 32) as u32 == key || place == FREE {
                return at;
            }
            at = self.after(at);
        }
    }

    fn home_of(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.places.len() as u128) >> 64) as usize
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.places.len() { 0 } else { at + 1 }
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.places.len() - from }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::Index;

    proptest! {
        /// It is the map that it stands for, however badly keys are mixed.
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((any::<bool>(), 0_u32..300), 0..1_000), mix in 0_u32..64) {
            let hash_of = |key: u32| u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15) << mix;
            let (mut index, mut map) = (Index::default(), BTreeMap::new());
            for (at, (adds, key)) in (0_u32..).zip(steps) {
                if !adds {
                    map.remove(&key);
                    index.remove(key, hash_of);
                } else if let std::collections::btree_map::Entry::Vacant(vacant) = map.entry(key) {
                    vacant.insert(at);
                    index.insert(key, at, hash_of);
                }
                prop_assert_eq!(index.find(hash_of(key), key), map.get(&key).copied());
            }
            for key in 0..300 {
                prop_assert_eq!(index.find(hash_of(key), key), map.get(&key).copied());
            }
            let mut all: Vec<(u32, u32)> = index.iter().collect();
            all.sort_unstable();
            prop_assert_eq!(all, map.into_iter().collect::<Vec<_>>());
        }
    }
}
