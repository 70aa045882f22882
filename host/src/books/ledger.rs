//! The counts in memory: the hours that alerts fall into now, and when each was last written.
//!
//! It must not know what is asked of the counts. Invariant: an hour's counts hold exactly the groups before the
//! ledger's position; what was written holds exactly those before the page's.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use hashbrown::HashMap as FastMap;

use crate::{
    admit::hour_of,
    domain::{AlertCode, Cell, End, Group, HourPage, Position, Remarks, Revision, Tally},
};

/// Hours kept in memory though nothing in them changed for long.
const CLEAN_HOURS_MAX: usize = 72;

/// A cell packed into one number: a key that hashes at once.
type PackedCell = u128;

fn pack(cell: &Cell) -> PackedCell {
    let code = cell.code.map_or(0x1_0000, u32::from);
    u128::from(code) << 96
        | u128::from(cell.operator) << 88
        | u128::from(cell.generation) << 80
        | u128::from(cell.end as u8) << 72
        | u128::from(cell.reason) << 64
        | u128::from(cell.model) << 32
        | u128::from(cell.rule.0)
}

fn unpack(packed: PackedCell) -> Cell {
    Cell {
        code: u16::try_from(packed >> 96).ok(),
        operator: (packed >> 88) as u8,
        generation: (packed >> 80) as u8,
        end: End::from_number((packed >> 72) as u8).unwrap_or(End::Rejected),
        reason: (packed >> 64) as u8,
        model: (packed >> 32) as u32,
        rule: Revision(packed as u32),
    }
}

#[derive(Debug, Default)]
struct Hour {
    cells: FastMap<PackedCell, Tally>,
    /// Groups that end at or before this position were in the page when it was read from the store.
    loaded_as_of: Position,
    /// First group added since the page was last written.
    dirty_since: Option<Position>,
}

/// The counts as of a position.
#[derive(Debug, Default)]
pub struct Ledger {
    hours: BTreeMap<u32, Hour>,
    /// Hours that differ from what was written, by since when. With `clean` it holds each hour once, so that no group
    /// costs a walk over all of them.
    dirty: BTreeSet<(Position, u32)>,
    /// Hours that are as written.
    clean: BTreeSet<u32>,
    position: Position,
}

impl Ledger {
    /// An empty ledger that goes on from a position.
    pub fn new(position: Position) -> Self {
        Self { position, ..Self::default() }
    }

    /// Counted are the groups before this position.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The hours a group falls into that are not in memory: [`restore`](Self::restore) those before adding it.
    pub fn missing(&self, group: &Group) -> Vec<u32> {
        let mut hours: Vec<u32> = group.rejected.iter().map(|rejected| rejected.hour).collect();
        for received in &group.rows.received_ms {
            let hour = hour_of(*received);
            // Alerts mostly come in order of time.
            if hours.last() != Some(&hour) {
                hours.push(hour);
            }
        }
        hours.sort_unstable();
        hours.dedup();
        hours.retain(|hour| !self.hours.contains_key(hour));
        hours
    }

    /// Takes an hour as it was written, or as never written.
    pub fn restore(&mut self, hour: u32, page: Option<HourPage>) {
        let page = page.unwrap_or(HourPage { hour, as_of: Position(0), cells: Vec::new() });
        let cells = page.cells.iter().map(|(cell, tally)| (pack(cell), *tally)).collect();
        if let Some(Hour { dirty_since: Some(since), .. }) =
            self.hours.insert(hour, Hour { cells, loaded_as_of: page.as_of, dirty_since: None })
        {
            self.dirty.remove(&(since, hour));
        }
        self.clean.insert(hour);
    }

    /// Adds a group that was committed. Hours that hold it already, because they were written after it, stay.
    pub fn add(&mut self, group: &Group) {
        let mut sums: FastMap<(u32, PackedCell), Tally> = FastMap::new();
        let rows = &group.rows;
        for row in 0..rows.len() {
            let sum = sums.entry((hour_of(rows.received_ms[row]), pack(&group.cell_of(row)))).or_default();
            sum.count += 1;
            sum.represented += u64::from(rows.weight[row]);
            sum.withheld += u64::from(group.withheld[row]);
            if rows.remarks[row] != 0 {
                sum.remarks.note(Remarks(rows.remarks[row]));
            }
        }
        for rejected in &group.rejected {
            let cell = Cell {
                code: rejected.code.map(|AlertCode(code)| code),
                operator: 0,
                generation: 0,
                model: 0,
                end: End::Rejected,
                rule: Revision::NONE,
                reason: rejected.reason as u8,
            };
            let tally = Tally { count: rejected.count, represented: rejected.count, ..Tally::default() };
            sums.entry((rejected.hour, pack(&cell))).or_default().add(tally);
        }
        for ((number, cell), tally) in sums {
            let hour = self.hours.entry(number).or_default();
            if hour.loaded_as_of > group.first {
                continue;
            }
            hour.cells.entry(cell).or_default().add(tally);
            if hour.dirty_since.is_none() {
                hour.dirty_since = Some(group.first);
                self.clean.remove(&number);
                self.dirty.insert((group.first, number));
            }
        }
        self.position = group.end();
        self.forget();
    }

    /// Takes an hour out.
    pub fn take(&mut self, number: u32) -> Option<HourPage> {
        let hour = self.hours.remove(&number)?;
        self.clean.remove(&number);
        if let Some(since) = hour.dirty_since {
            self.dirty.remove(&(since, number));
        }
        Some(page(number, &hour, self.position))
    }

    /// Goes on at a position: nothing lies between it and the last group added.
    pub fn go_on_at(&mut self, position: Position) {
        self.position = position;
    }

    /// The first group that is not in every written hour; `end` where all is written.
    pub fn oldest_dirty(&self, end: Position) -> Position {
        self.dirty.first().map_or(end, |(since, _)| *since)
    }

    /// Up to `hours_max` hours that differ from what was written since `before` or earlier, the longest first, as of now.
    pub fn due(&mut self, before: Position, hours_max: usize) -> Vec<HourPage> {
        let mut pages = Vec::new();
        while pages.len() < hours_max && self.dirty.first().is_some_and(|(since, _)| *since <= before) {
            let Some((_, number)) = self.dirty.pop_first() else { break };
            self.clean.insert(number);
            if let Some(hour) = self.hours.get_mut(&number) {
                hour.dirty_since = None;
                pages.push(page(number, hour, self.position));
            }
        }
        pages
    }

    /// Every hour in memory, in order.
    pub fn pages(&self) -> Vec<HourPage> {
        self.hours.iter().map(|(number, hour)| page(*number, hour, self.position)).collect()
    }

    /// The counts of each hour of a range that is in memory.
    pub fn cells(&self, range: Range<u32>) -> impl Iterator<Item = (u32, impl Iterator<Item = (Cell, Tally)>)> {
        self.hours
            .range(range)
            .map(|(number, hour)| (*number, hour.cells.iter().map(|(cell, tally)| (unpack(*cell), *tally))))
    }

    /// Drops the oldest hours that are as written.
    fn forget(&mut self) {
        while self.hours.len() > CLEAN_HOURS_MAX {
            let Some(number) = self.clean.pop_first() else { return };
            self.hours.remove(&number);
        }
    }
}

fn page(number: u32, hour: &Hour, as_of: Position) -> HourPage {
    let mut cells: Vec<(Cell, Tally)> = hour.cells.iter().map(|(cell, tally)| (unpack(*cell), *tally)).collect();
    cells.sort_unstable_by_key(|(cell, _)| *cell);
    HourPage { hour: number, as_of, cells }
}
