//! The messages of late, in log order, each with a link to the one before it of the same device.
//!
//! A message costs 20 bytes, and adding one in order touches no memory but the end of the list and its device's link. A device
//! whose list grows long gets a table once something is looked for in it, so that no look-up is long.
//!
//! It must not know what a fingerprint is of. Invariant: what is found is every message of the device, with that fingerprint,
//! from the position on before which messages are forgotten.

use std::collections::VecDeque;

use hashbrown::{HashMap, HashTable};

use super::{BLOCK_POSITIONS, Content};
use crate::domain::{DeviceNo, Position};

/// Messages of a device that are looked through one by one.
const WALKED_MAX: usize = 32;

/// One message.
#[derive(Debug, Clone, Copy, Default)]
struct Message {
    print: u64,
    content: u64,
}

/// The messages of a block of positions; those that are no message are all zero.
#[derive(Debug, Default)]
struct Block {
    messages: Vec<Message>,
    /// How many positions before it the one before of the same device is; 0 for none.
    back: Vec<u32>,
}

/// Messages by position.
#[derive(Debug, Default)]
pub(super) struct Recent {
    blocks: VecDeque<Block>,
    /// Number of the first block.
    first_block: u64,
    /// Messages before are forgotten.
    from: u64,
    /// Per device, the position after its latest message; 0 for none.
    latest: Vec<u64>,
    /// Devices with many messages: the lowest 32 bits of their positions, by fingerprint.
    tables: HashMap<u32, HashTable<u32>>,
}

impl Recent {
    /// Forgets messages.
    pub(super) fn forget_before(&mut self, from: Position) {
        self.from = self.from.max(from.0);
        let first_block = self.from / BLOCK_POSITIONS;
        if self.first_block == first_block {
            return;
        }
        while self.first_block < first_block && self.blocks.pop_front().is_some() {
            self.first_block += 1;
        }
        self.first_block = first_block;
        let (latest, from) = (&self.latest, self.from);
        self.tables.retain(|device, _| latest[*device as usize] > from);
    }

    /// Adds a message. Positions grow from one to the next.
    pub(super) fn add(&mut self, device: DeviceNo, position: Position, print: u64, content: Content) {
        if position.0 < self.from {
            return;
        }
        if self.latest.len() <= device.index() {
            self.latest.resize(device.index() + 1, 0);
        }
        let before = std::mem::replace(&mut self.latest[device.index()], position.0 + 1);
        let back = if before == 0 { 0 } else { u32::try_from(position.0 + 1 - before).unwrap_or(0) };
        let (block, index) = ((position.0 / BLOCK_POSITIONS - self.first_block) as usize, index_of(position.0));
        if self.blocks.len() <= block {
            self.blocks.resize_with(block + 1, Block::default);
        }
        let Block { messages, back: links } = &mut self.blocks[block];
        messages.resize(index, Message::default());
        links.resize(index, 0);
        messages.push(Message { print, content: content.0 });
        links.push(back);
        if !self.tables.is_empty()
            && let Some(mut table) = self.tables.remove(&device.0)
        {
            self.enter(&mut table, position.0, print);
            self.tables.insert(device.0, table);
        }
    }

    /// Shows the content of each message of a device with a fingerprint, some perhaps twice.
    pub(super) fn each(&mut self, device: DeviceNo, print: u64, mut show: impl FnMut(u64)) {
        if !self.tables.contains_key(&device.0) {
            let walked = self.positions(device).take(WALKED_MAX).filter_map(|position| self.message(position));
            walked.filter(|message| message.print == print).for_each(|message| show(message.content));
            if self.positions(device).nth(WALKED_MAX).is_none() {
                return;
            }
            let table = self.table_of(device);
            self.tables.insert(device.0, table);
        }
        let Some(table) = self.tables.get(&device.0) else { return };
        let messages = table.iter_hash(print).filter_map(|low| self.message(self.whole(*low)?));
        messages.filter(|message| message.print == print).for_each(|message| show(message.content));
    }

    /// Positions of a device's messages, the latest first.
    fn positions(&self, device: DeviceNo) -> impl Iterator<Item = u64> {
        let mut after = self.latest.get(device.index()).copied().unwrap_or(0);
        std::iter::from_fn(move || {
            let position = after.checked_sub(1).filter(|position| *position >= self.from)?;
            let block = self.blocks.get((position / BLOCK_POSITIONS).checked_sub(self.first_block)? as usize)?;
            let back = u64::from(*block.back.get(index_of(position))?);
            after = if back == 0 { 0 } else { after.saturating_sub(back) };
            Some(position)
        })
    }

    fn message(&self, position: u64) -> Option<Message> {
        let block = (position / BLOCK_POSITIONS).checked_sub(self.first_block)?;
        self.blocks.get(block as usize)?.messages.get(index_of(position)).copied()
    }

    /// The position with these lowest bits that is not forgotten, if there is one.
    fn whole(&self, low: u32) -> Option<u64> {
        let position = self.from + u64::from(low.wrapping_sub(self.from as u32));
        (position / BLOCK_POSITIONS - self.first_block < self.blocks.len() as u64).then_some(position)
    }

    fn table_of(&self, device: DeviceNo) -> HashTable<u32> {
        let mut table = HashTable::new();
        for position in self.positions(device) {
            self.enter(&mut table, position, self.message(position).unwrap_or_default().print);
        }
        table
    }

    /// Enters a message into its device's table.
    fn enter(&self, table: &mut HashTable<u32>, position: u64, print: u64) {
        if table.len() == table.capacity() {
            table.retain(|low| self.whole(*low).is_some());
            // Enough that the next look at all of them is far.
            table.reserve(table.len().max(WALKED_MAX), |low| self.print_of(*low));
        }
        table.insert_unique(print, position as u32, |low| self.print_of(*low));
    }

    fn print_of(&self, low: u32) -> u64 {
        self.whole(low).and_then(|position| self.message(position)).unwrap_or_default().print
    }
}

fn index_of(position: u64) -> usize {
    (position % BLOCK_POSITIONS) as usize
}
