//! What the fold keeps per device, in pages that are written one slice at a time.
//!
//! It must not know how a page is written. Invariant: a page's `as_of` says exactly which groups are folded into it;
//! no group is folded into a page twice.

use crate::{
    admit::Copies,
    domain::{DeviceNo, DevicePage, DeviceTally, End, Position, Revision, StateKey},
    evaluate::Slots,
};

/// Devices of one page. Part of the disk format: never change it.
pub const PAGE_DEVICES: u32 = 1024;

/// What is folded into a page, and since when it differs from what was written.
#[derive(Debug, Clone, Copy, Default)]
struct PageMark {
    /// Groups that end at or before this position were in the page when it was read from the store.
    loaded_as_of: Position,
    /// First group folded in since the page was last written.
    dirty_since: Option<Position>,
}

/// State of all devices.
#[derive(Debug, Default)]
pub struct State {
    /// Counters and messages seen.
    pub copies: Copies,
    tallies: Vec<DeviceTally>,
    slots: Vec<Slots>,
    pages: Vec<PageMark>,
    /// Next page that a slice begins with.
    cursor: usize,
    /// Rows folded that no slice was taken for yet.
    rows_owed: u64,
}

impl State {
    /// The page a device lies on.
    fn page_of(device_no: u32) -> usize {
        (device_no / PAGE_DEVICES) as usize
    }

    /// Whether a group is still to be folded into a device's page.
    pub fn is_behind(&self, device_no: u32, group_first: Position) -> bool {
        self.pages.get(Self::page_of(device_no)).is_none_or(|page| page.loaded_as_of <= group_first)
    }

    /// What a rule keeps, made where it is new.
    pub fn slots_mut(&mut self, namespace: Revision, key: StateKey, words: u32) -> &mut Slots {
        let index = match self.slots.iter().position(|slots| slots.namespace() == namespace) {
            Some(index) => index,
            None => {
                self.slots.push(Slots::new(namespace, key, words));
                self.slots.len() - 1
            }
        };
        &mut self.slots[index]
    }

    /// What a rule keeps.
    pub fn find_slots(&mut self, namespace: Revision) -> Option<&mut Slots> {
        self.slots.iter_mut().find(|slots| slots.namespace() == namespace)
    }

    /// Forgets what rules that are gone have kept.
    pub fn retain(&mut self, live: &[Revision]) {
        self.slots.retain(|slots| live.contains(&slots.namespace()));
    }

    /// The entries that each namespace keeps for a device.
    pub fn entries(&self, device: DeviceNo) -> impl Iterator<Item = (Revision, u16, &[u64])> {
        self.slots
            .iter()
            .flat_map(move |slots| slots.of(device).map(move |(code, words)| (slots.namespace(), code, words)))
    }

    /// What became of a device's alerts.
    pub fn tally(&self, device: DeviceNo) -> DeviceTally {
        self.tallies.get(device.index()).copied().unwrap_or_default()
    }

    /// Counts one alert of a device.
    pub fn count(&mut self, device_no: u32, end: End) {
        let index = device_no as usize;
        if self.tallies.len() <= index {
            self.tallies.resize(index + 1, DeviceTally::default());
        }
        let tally = &mut self.tallies[index];
        let count = match end {
            End::Forwarded => &mut tally.forwarded,
            End::Suppressed => &mut tally.suppressed,
            End::Duplicate => &mut tally.duplicate,
            End::Rejected => return,
        };
        *count = count.saturating_add(1);
    }

    /// Notes that a group touches the pages of its devices.
    pub fn touch(&mut self, device_nos: impl Iterator<Item = u32>, group_first: Position) {
        for device_no in device_nos {
            let page = Self::page_of(device_no);
            if self.pages.len() <= page {
                self.pages.resize(page + 1, PageMark::default());
            }
            self.pages[page].dirty_since.get_or_insert(group_first);
        }
    }

    /// The first group that is not in every written page: recovery begins there. `end` where all is written.
    pub fn oldest_dirty(&self, end: Position) -> Position {
        self.pages.iter().filter_map(|page| page.dirty_since).min().unwrap_or(end)
    }

    /// The pages to write after a group of `rows`: a slice such that each page's turn comes within `rows_max` rows.
    pub fn slice(&mut self, rows: usize, rows_max: u64, as_of: Position) -> Vec<DevicePage> {
        if self.pages.is_empty() {
            return Vec::new();
        }
        self.rows_owed += rows as u64;
        let rows_per_page = (rows_max / self.pages.len() as u64).max(1);
        let due = (self.rows_owed / rows_per_page).min(self.pages.len() as u64);
        self.rows_owed %= rows_per_page;
        let mut slice = Vec::new();
        for _ in 0..due {
            self.cursor = (self.cursor + 1) % self.pages.len();
            slice.extend(self.write(self.cursor, as_of));
        }
        slice
    }

    /// Up to `pages_max` pages that differ from what was written since a group before `before`.
    pub fn dirty_pages(&mut self, pages_max: usize, before: Position, as_of: Position) -> Vec<DevicePage> {
        let is_dirty = |page: &PageMark| page.dirty_since.is_some_and(|since| since < before);
        let dirty = (0..self.pages.len()).filter(|page| is_dirty(&self.pages[*page]));
        let dirty: Vec<usize> = dirty.take(pages_max).collect();
        dirty.into_iter().filter_map(|page| self.write(page, as_of)).collect()
    }

    /// Every page as it is, whether written or not: what two folds of the same log must agree on.
    pub fn all_pages(&self, as_of: Position) -> Vec<DevicePage> {
        (0..self.pages.len()).map(|page| self.image(page, as_of)).collect()
    }

    fn write(&mut self, page: usize, as_of: Position) -> Option<DevicePage> {
        self.pages[page].dirty_since.take()?;
        Some(self.image(page, as_of))
    }

    fn image(&self, page: usize, as_of: Position) -> DevicePage {
        let first = page as u32 * PAGE_DEVICES;
        let count = PAGE_DEVICES.min((self.tallies.len() as u32).saturating_sub(first));
        let devices = || (0..count).map(|index| (index as u16, DeviceNo(first + index)));
        DevicePage {
            no: page as u32,
            as_of,
            tallies: devices().map(|(_, device)| self.tally(device)).collect(),
            series: devices()
                .flat_map(|(index, device)| self.copies.series_of(device).map(move |series| (index, *series)))
                .collect(),
            namespaces: self.slots.iter().map(|slots| slots.page(page as u32)).collect(),
        }
    }

    /// Puts back a page. `shape` names the key and words of a namespace, `None` where it is gone for good. An error
    /// says what does not fit.
    pub fn restore(
        &mut self,
        page: &DevicePage,
        shape: impl Fn(Revision) -> Option<(StateKey, u32)>,
    ) -> Result<(), String> {
        let first = page.no * PAGE_DEVICES;
        let end = first as usize + page.tallies.len();
        if self.pages.len() <= page.no as usize {
            self.pages.resize(page.no as usize + 1, PageMark::default());
        }
        self.pages[page.no as usize].loaded_as_of = page.as_of;
        if self.tallies.len() < end {
            self.tallies.resize(end, DeviceTally::default());
        }
        self.tallies[first as usize..end].copy_from_slice(&page.tallies);
        for (index, series) in &page.series {
            self.copies.restore(DeviceNo(first + u32::from(*index)), *series);
        }
        for kept in &page.namespaces {
            let Some((key, words)) = shape(kept.namespace) else { continue };
            if !self.slots_mut(kept.namespace, key, words).restore(page.no, kept) {
                return Err(format!(
                    "page {}: revision {} keeps {words} words an entry, found {}",
                    page.no, kept.namespace.0, kept.words_per_entry
                ));
            }
        }
        Ok(())
    }
}
