//! What one rule keeps: a few words per device, or per device and code.
//!
//! Entries lie in one flat list, header and words together, so that a look at an entry is one cache line. Each device
//! points to its newest entry and each entry to the device's next older one: a device has a handful at most, and no
//! hash of (device, code) is needed.
//!
//! It must not know rules or rows. Invariant: an entry, once made, stays, unless the call that made it failed.

use crate::domain::{DeviceNo, NamespacePage, Revision, StateKey};

/// No entry.
const NONE: u32 = u32::MAX;

/// Words before the state words: [next | code], [stamp | local].
const HEADER_WORDS: usize = 2;

/// State of one namespace.
#[derive(Debug, Clone)]
pub struct Slots {
    namespace: Revision,
    key: StateKey,
    words: usize,
    /// Per device, its newest entry.
    heads: Vec<u32>,
    entries: Vec<u64>,
    /// Number of the running call, to tell whether an entry has a local number in it.
    stamp: u32,
    /// Devices whose entry was made in the running call, oldest first.
    made: Vec<u32>,
    /// Entries the running call refers to, by local number.
    used: Vec<u32>,
}

impl Slots {
    /// An empty namespace.
    pub fn new(namespace: Revision, key: StateKey, words: u32) -> Self {
        Self {
            namespace,
            key,
            words: words as usize,
            heads: Vec::new(),
            entries: Vec::new(),
            stamp: 0,
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
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 {
            // The stamps of four billion calls ago must not look new.
            let stride = self.stride();
            self.entries.iter_mut().skip(1).step_by(stride).for_each(|word| *word = 0);
            self.stamp = 1;
        }
    }

    /// Local number, in the running call, of the entry for a device and code; makes the entry where there is none.
    /// `None`: the device has `codes_max` entries already.
    pub fn local(&mut self, device: DeviceNo, code: u16, codes_max: usize) -> Option<u32> {
        let code = if self.key == StateKey::Device { 0 } else { code };
        let entry = match self.find(device, code) {
            Ok(entry) => entry,
            Err(count) if count < codes_max.max(1) => self.make(device, code),
            Err(_) => return None,
        };
        let stamp_word = &mut self.entries[entry as usize * (HEADER_WORDS + self.words) + 1];
        if (*stamp_word >> 32) as u32 == self.stamp {
            return Some(*stamp_word as u32);
        }
        let local = self.used.len() as u32;
        *stamp_word = u64::from(self.stamp) << 32 | u64::from(local);
        self.used.push(entry);
        Some(local)
    }

    /// Copies the words of the entries used into a state table, in order of local number.
    pub fn gather(&self, table: &mut Vec<u64>) {
        table.clear();
        table.reserve(self.used.len() * self.words);
        for entry in &self.used {
            let start = *entry as usize * self.stride() + HEADER_WORDS;
            table.extend_from_slice(&self.entries[start..start + self.words]);
        }
    }

    /// Copies a state table back. It must have the length that [`gather`](Self::gather) gave it.
    pub fn scatter(&mut self, table: &[u64]) {
        let (stride, words) = (self.stride(), self.words);
        for (entry, new) in self.used.iter().zip(table.chunks_exact(words)) {
            let start = *entry as usize * stride + HEADER_WORDS;
            self.entries[start..start + words].copy_from_slice(new);
        }
    }

    /// Takes back the entries that the running call made: it failed, and replay will not make it.
    pub fn roll_back(&mut self) {
        let stride = self.stride();
        while let Some(device) = self.made.pop() {
            let entry = self.heads[device as usize] as usize;
            self.heads[device as usize] = self.entries[entry * stride] as u32;
            self.entries.truncate(entry * stride);
        }
    }

    /// The entries of one device, newest first: code and words.
    pub fn of(&self, device: DeviceNo) -> impl Iterator<Item = (u16, &[u64])> {
        let mut entry = self.heads.get(device.index()).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            if entry == NONE {
                return None;
            }
            let start = entry as usize * self.stride();
            let words = &self.entries[start + HEADER_WORDS..start + self.stride()];
            let head = self.entries[start];
            entry = head as u32;
            Some(((head >> 32) as u16, words))
        })
    }

    /// What this namespace keeps for the devices `first..first + count`, oldest entry first per device.
    pub fn page(&self, first: u32, count: u32) -> NamespacePage {
        let mut page = NamespacePage {
            namespace: self.namespace,
            words_per_entry: self.words as u32,
            device: Vec::new(),
            code: Vec::new(),
            words: Vec::new(),
        };
        let mut entries: Vec<(u16, &[u64])> = Vec::new();
        for index in 0..count {
            entries.clear();
            entries.extend(self.of(DeviceNo(first + index)));
            for (code, words) in entries.iter().rev() {
                page.device.push(index as u16);
                page.code.push(*code);
                page.words.extend_from_slice(words);
            }
        }
        page
    }

    /// Puts back what [`page`](Self::page) gave. False where its shape is another.
    pub fn restore(&mut self, first: u32, page: &NamespacePage) -> bool {
        if page.words_per_entry as usize != self.words || page.words.len() != page.device.len() * self.words {
            return false;
        }
        for ((index, code), words) in page.device.iter().zip(&page.code).zip(page.words.chunks_exact(self.words)) {
            let entry = self.make(DeviceNo(first + u32::from(*index)), *code) as usize;
            let start = entry * self.stride() + HEADER_WORDS;
            self.entries[start..start + words.len()].copy_from_slice(words);
        }
        self.made.clear();
        true
    }

    fn stride(&self) -> usize {
        HEADER_WORDS + self.words
    }

    /// The entry, or how many others the device has.
    fn find(&self, device: DeviceNo, code: u16) -> Result<u32, usize> {
        let mut entry = self.heads.get(device.index()).copied().unwrap_or(NONE);
        let mut count = 0;
        while entry != NONE {
            let head = self.entries[entry as usize * self.stride()];
            if (head >> 32) as u16 == code {
                return Ok(entry);
            }
            entry = head as u32;
            count += 1;
        }
        Err(count)
    }

    fn make(&mut self, device: DeviceNo, code: u16) -> u32 {
        if self.heads.len() <= device.index() {
            self.heads.resize(device.index() + 1, NONE);
        }
        let entry = (self.entries.len() / self.stride()) as u32;
        let next = std::mem::replace(&mut self.heads[device.index()], entry);
        self.entries.push(u64::from(code) << 32 | u64::from(next));
        self.entries.push(0);
        self.entries.resize(self.entries.len() + self.words, 0);
        self.made.push(device.0);
        entry
    }
}
