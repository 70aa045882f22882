//! A list in pages that clones share until one of them changes a page.
//!
//! Invariant: a clone stays as it was, whatever is set in the list it was made of.

use std::sync::Arc;

/// Entries of a page: a change copies one page where a clone still has it.
const PAGE: usize = 4_096;

/// A list whose entries are their type's default until they are set. Pages of defaults alone take no memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Paged<T> {
    pages: Vec<Option<Arc<Vec<T>>>>,
}

impl<T: Clone + Default + PartialEq> Paged<T> {
    /// Takes over a plain list.
    pub(super) fn of(list: &[T]) -> Self {
        let plain = T::default();
        let page = |entries: &[T]| {
            let mut page = entries.to_vec();
            page.resize(PAGE, T::default());
            entries.iter().any(|entry| *entry != plain).then(|| Arc::new(page))
        };
        Self { pages: list.chunks(PAGE).map(page).collect() }
    }

    /// Returns an entry; `None` where none of its page was ever set.
    pub(super) fn get(&self, at: usize) -> Option<&T> {
        self.pages.get(at / PAGE)?.as_ref().map(|page| &page[at % PAGE])
    }

    /// Returns the entries of all pages that were ever set.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flatten().flat_map(|page| page.iter())
    }

    /// Sets an entry; returns what it was.
    pub(super) fn set(&mut self, at: usize, entry: T) -> T {
        if self.get(at).is_none() && entry == T::default() {
            return entry;
        }
        if self.pages.len() <= at / PAGE {
            self.pages.resize(at / PAGE + 1, None);
        }
        let page = self.pages[at / PAGE].get_or_insert_with(|| Arc::new(vec![T::default(); PAGE]));
        std::mem::replace(&mut Arc::make_mut(page)[at % PAGE], entry)
    }

    #[cfg(test)]
    fn pages_in_memory(&self) -> usize {
        self.pages.iter().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_stays_as_it_was_and_shares_what_did_not_change() {
        let mut list = Paged::<u32>::default();
        assert_eq!((list.set(3, 7), list.set(5 * PAGE, 9), list.set(9 * PAGE, 0)), (0, 0, 0));
        assert_eq!(list.pages_in_memory(), 2, "nothing is kept of pages that were never set");
        let before = list.clone();
        assert_eq!(list.set(3, 8), 7);
        let entry = |list: &Paged<u32>, at: usize| list.get(at).copied();
        assert_eq!((entry(&before, 3), entry(&list, 3)), (Some(7), Some(8)));
        assert_eq!((entry(&list, 4), entry(&list, PAGE), entry(&list, 99 * PAGE)), (Some(0), None, None));
        let shared = |list: &Paged<u32>| list.pages[5].as_ref().map(Arc::as_ptr);
        assert_eq!(shared(&before), shared(&list));
    }

    #[test]
    fn a_plain_list_is_taken_over() {
        let mut plain = vec![0; 2 * PAGE + 1];
        plain[2 * PAGE] = 5;
        let list = Paged::of(&plain);
        assert_eq!((list.pages_in_memory(), list.get(2 * PAGE), list.get(0)), (1, Some(&5), None));
        assert_eq!(list.iter().filter(|entry| **entry != 0).collect::<Vec<_>>(), [&5]);
    }
}
