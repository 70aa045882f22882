//! What one rule keeps: a few words per device, or per device and code.
//!
//! Entries lie in one flat list, header and words together, so that a look at an entry is one cache line. Each
//! thousand devices have an index of their own that finds them: none grows so large that making room in it would
//! be felt, and a page is written without a look at the others.
//!
//! It must not know rules or rows. Invariant: an entry, once made, stays, unless the call that made it failed.

use std::{hash::BuildHasher, hint::black_box, ops::Range};

use hashbrown::DefaultHashBuilder;

use super::index::Index;
use crate::{
    domain::{DeviceNo, NamespacePage, Revision, StateKey},
    evaluate::PAGE_DEVICES,
};

/// Keys looked up side by side: what they lead to must stay in the processor's cache until it is used.
const LOOKED_UP_TOGETHER: usize = 2048;

/// Words before the state words: [key | local].
const HEADER_WORDS: usize = 1;

/// State of one namespace.
#[derive(Debug, Clone)]
pub struct Slots {
    namespace: Revision,
    key: StateKey,
    words: usize,
    entries: Vec<u64>,
    /// Per page of devices, where the entries are.
    tables: Vec<Index>,
    hasher: DefaultHashBuilder,
    /// Per device, how many entries it has.
    counts: Vec<u32>,
    /// Places of the entries that the running call made, oldest first.
    made: Vec<Place>,
    /// Entries the running call refers to, by local number.
    used: Vec<u32>,
}

/// What an entry belongs to: the page of its device, and the device's index there with the code. A rule that keeps
/// one entry a device has code 0.
#[derive(Debug, Clone, Copy)]
struct Place {
    page: usize,
    key: u32,
}

impl Place {
    fn new(device: DeviceNo, code: u16) -> Self {
        Self { page: (device.0 / PAGE_DEVICES) as usize, key: (device.0 % PAGE_DEVICES) << 16 | u32::from(code) }
    }

    fn device(self) -> usize {
        self.page * PAGE_DEVICES as usize + (self.key >> 16) as usize
    }
}

impl Slots {
    /// An empty namespace.
    pub fn new(namespace: Revision, key: StateKey, words: u32) -> Self {
        Self {
            namespace,
            key,
            words: words as usize,
            entries: Vec::new(),
            tables: Vec::new(),
            hasher: DefaultHashBuilder::default(),
            counts: Vec::new(),
            made: Vec::new(),
            used: Vec::new(),
        }
    }

    /// Whose state it is.
    pub fn namespace(&self) -> Revision {
        self.namespace
    }

    /// Starts a call.
    pub fn begin(&mut self) {
        self.made.clear();
        self.used.clear();
    }

    /// Local numbers, in the running call, of the entries for devices and codes, in order; entries are made where
    /// there are none. `None`: the device has `codes_max` entries already.
    ///
    /// Many are looked up before the first is used: what takes time is memory, and it answers many questions at once
    /// as long as none waits for another's answer.
    pub fn locals(
        &mut self,
        devices_and_codes: impl ExactSizeIterator<Item = (DeviceNo, u16)>,
        codes_max: usize,
        mut take: impl FnMut(Option<u32>),
    ) {
        let by_code = self.key == StateKey::DeviceAndCode;
        let mut places = devices_and_codes.map(|(device, code)| Place::new(device, if by_code { code } else { 0 }));
        let mut together: Vec<(Place, Option<u32>)> = Vec::with_capacity(LOOKED_UP_TOGETHER.min(places.len()));
        while places.len() > 0 {
            together.clear();
            together.extend(places.by_ref().take(LOOKED_UP_TOGETHER).map(|place| (place, self.find(place))));
            // A look at each entry has the processor fetch them side by side. Below, where it cannot tell what comes next,
            // it would wait for one after the other.
            let headers = together.iter().filter_map(|(_, found)| *found).map(|entry| self.header_of(entry));
            black_box(headers.fold(0, |all, header| all ^ header));
            for (place, found) in &together {
                // What was not there may have been made since.
                let entry = found.or_else(|| self.find(*place)).or_else(|| self.make(*place, codes_max));
                take(entry.map(|entry| self.local(entry)));
            }
        }
    }

    /// Copies the words of the entries used into a state table, in order of local number.
    pub fn gather(&self, table: &mut Vec<u64>) {
        table.clear();
        table.reserve(self.used.len() * self.words);
        for entry in &self.used {
            table.extend_from_slice(self.words_of(*entry));
        }
    }

    /// Copies a state table back. It must have the length that [`gather`](Self::gather) gave it.
    pub fn scatter(&mut self, table: &[u64]) {
        for (local, new) in table.chunks_exact(self.words).enumerate() {
            let at = self.range_of_words(self.used[local]);
            self.entries[at].copy_from_slice(new);
        }
    }

    /// Takes back the entries that the running call made: it failed, and replay will not make it.
    pub fn roll_back(&mut self) {
        let stride = self.stride();
        while let Some(place) = self.made.pop() {
            self.counts[place.device()] -= 1;
            let hasher = &self.hasher;
            self.tables[place.page].remove(place.key, |key| hasher.hash_one(key));
            let last = self.entries.len() / stride - 1;
            self.entries.truncate(last * stride);
        }
    }

    /// The entries of one device, oldest first: code and words.
    pub fn of(&self, device: DeviceNo) -> impl Iterator<Item = (u16, &[u64])> {
        let Place { page, key } = Place::new(device, 0);
        let entries = self.in_order(page, |index| u32::from(index) == key >> 16);
        entries.into_iter().map(|(_, entry)| (self.key_of(entry) as u16, self.words_of(entry)))
    }

    /// What this namespace keeps for the devices of a page, oldest entry first per device.
    pub fn page(&self, no: u32) -> NamespacePage {
        let entries = self.in_order(no as usize, |_| true);
        let mut page = NamespacePage {
            namespace: self.namespace,
            words_per_entry: self.words as u32,
            device: Vec::with_capacity(entries.len()),
            code: Vec::with_capacity(entries.len()),
            words: Vec::with_capacity(entries.len() * self.words),
        };
        for (index, entry) in entries {
            page.device.push(index);
            page.code.push(self.key_of(entry) as u16);
            page.words.extend_from_slice(self.words_of(entry));
        }
        page
    }

    /// Puts back what [`page`](Self::page) gave. False where its shape is another.
    pub fn restore(&mut self, no: u32, page: &NamespacePage) -> bool {
        if page.words_per_entry as usize != self.words || page.words.len() != page.device.len() * self.words {
            return false;
        }
        for ((index, code), words) in page.device.iter().zip(&page.code).zip(page.words.chunks_exact(self.words)) {
            let place = Place::new(DeviceNo(no * PAGE_DEVICES + u32::from(*index)), *code);
            // Whatever the limit is now: it was kept once.
            if let Some(entry) = self.make(place, usize::MAX) {
                let at = self.range_of_words(entry);
                self.entries[at].copy_from_slice(words);
            }
        }
        self.made.clear();
        true
    }

    /// Entries of those devices of a page that are wanted by their index there, with the index, by device and age.
    fn in_order(&self, page: usize, wanted: impl Fn(u16) -> bool) -> Vec<(u16, u32)> {
        let of_page = self.tables.get(page).into_iter().flat_map(Index::iter);
        let of_page = of_page.map(|(key, entry)| ((key >> 16) as u16, entry));
        let mut entries: Vec<(u16, u32)> = of_page.filter(|(index, _)| wanted(*index)).collect();
        entries.sort_unstable();
        entries
    }

    fn stride(&self) -> usize {
        HEADER_WORDS + self.words
    }

    fn key_of(&self, entry: u32) -> u32 {
        (self.header_of(entry) >> 32) as u32
    }

    fn header_of(&self, entry: u32) -> u64 {
        self.entries[entry as usize * self.stride()]
    }

    fn words_of(&self, entry: u32) -> &[u64] {
        &self.entries[self.range_of_words(entry)]
    }

    fn range_of_words(&self, entry: u32) -> Range<usize> {
        let start = entry as usize * self.stride() + HEADER_WORDS;
        start..start + self.words
    }

    fn find(&self, place: Place) -> Option<u32> {
        self.tables.get(place.page)?.find(self.hasher.hash_one(place.key), place.key)
    }

    fn make(&mut self, place: Place, codes_max: usize) -> Option<u32> {
        if self.tables.len() <= place.page {
            self.tables.resize_with(place.page + 1, Index::default);
            self.counts.resize(self.tables.len() * PAGE_DEVICES as usize, 0);
        }
        let count = &mut self.counts[place.device()];
        if *count as usize >= codes_max.max(1) {
            return None;
        }
        *count += 1;
        let Self { entries, tables, hasher, words, .. } = self;
        let stride = HEADER_WORDS + *words;
        let entry = (entries.len() / stride) as u32;
        entries.push(u64::from(place.key) << 32);
        entries.resize(entries.len() + *words, 0);
        tables[place.page].insert(place.key, entry, |key| hasher.hash_one(key));
        self.made.push(place);
        Some(entry)
    }

    /// Local number of an entry, given at its first use in the running call. What an earlier call left there points
    /// to nothing, or to another entry.
    fn local(&mut self, entry: u32) -> u32 {
        let at = entry as usize * self.stride();
        let header = &mut self.entries[at];
        let local = *header as u32;
        if self.used.get(local as usize) == Some(&entry) {
            return local;
        }
        let local = self.used.len() as u32;
        *header = *header >> 32 << 32 | u64::from(local);
        self.used.push(entry);
        local
    }
}
