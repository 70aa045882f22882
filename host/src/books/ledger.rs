//! The counts in memory: the hours that alerts fall into now, and when each was last written.
//!
//! It must not know what is asked of the counts. Invariant: an hour's counts hold exactly the groups before the
//! ledger's position; what was written holds exactly those before the page's.

use std::{
    collections::{BTreeMap, HashMap},
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
    position: Position,
}

impl Ledger {
    /// An empty ledger that goes on from a position.
    pub fn new(position: Position) -> Self {
        Self { hours: BTreeMap::new(), position }
    }

    /// Counted are the groups before this position.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The hours a group falls into that are not in memory: [`restore`](Self::restore) those before adding it.
    pub fn missing(&self, group: &Group) -> Vec<u32> {
        let mut hours: Vec<u32> = Vec::new();
        let mut note = |hour: u32| {
            if !self.hours.contains_key(&hour) && !hours.contains(&hour) {
                hours.push(hour);
            }
        };
        let mut last = None;
        for received in &group.rows.received_ms {
            let hour = hour_of(*received);
            if last != Some(hour) {
                note(hour);
                last = Some(hour);
            }
        }
        group.rejected.iter().for_each(|rejected| note(rejected.hour));
        hours
    }

    /// Takes an hour as it was written, or as never written.
    pub fn restore(&mut self, hour: u32, page: Option<HourPage>) {
        let page = page.unwrap_or(HourPage { hour, as_of: Position(0), cells: Vec::new() });
        let cells = page.cells.iter().map(|(cell, tally)| (pack(cell), *tally)).collect();
        self.hours.insert(hour, Hour { cells, loaded_as_of: page.as_of, dirty_since: None });
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
        for ((hour, cell), tally) in sums {
            let hour = self.hours.entry(hour).or_default();
            if hour.loaded_as_of <= group.first {
                hour.cells.entry(cell).or_default().add(tally);
                hour.dirty_since.get_or_insert(group.first);
            }
        }
        self.position = group.end();
        self.forget();
    }

    /// Goes on at a position: nothing lies between it and the last group added.
    pub fn go_on_at(&mut self, position: Position) {
        self.position = position;
    }

    /// The first group that is not in every written hour; `end` where all is written.
    pub fn oldest_dirty(&self, end: Position) -> Position {
        self.hours.values().filter_map(|hour| hour.dirty_since).min().unwrap_or(end)
    }

    /// Up to `hours_max` hours that differ from what was written since `before` or earlier, oldest first, as of now.
    pub fn due(&mut self, before: Position, hours_max: usize) -> Vec<HourPage> {
        let due = |hour: &Hour| hour.dirty_since.is_some_and(|since| since <= before);
        let position = self.position;
        let hours = self.hours.iter_mut().filter(|(_, hour)| due(hour)).take(hours_max);
        hours
            .map(|(number, hour)| {
                hour.dirty_since = None;
                page(*number, hour, position)
            })
            .collect()
    }

    /// Every hour in memory, in order.
    pub fn pages(&self) -> Vec<HourPage> {
        self.hours.iter().map(|(number, hour)| page(*number, hour, self.position)).collect()
    }

    /// The counts of the hours of a range that are in memory, by hour.
    pub fn cells(&self, range: Range<u32>) -> HashMap<u32, Vec<(Cell, Tally)>> {
        let cells = |hour: &Hour| hour.cells.iter().map(|(cell, tally)| (unpack(*cell), *tally)).collect();
        self.hours.range(range).map(|(number, hour)| (*number, cells(hour))).collect()
    }

    /// Drops the oldest hours that are as written.
    fn forget(&mut self) {
        if self.hours.len() <= CLEAN_HOURS_MAX {
            return;
        }
        let clean = self.hours.iter().filter(|(_, hour)| hour.dirty_since.is_none()).map(|(number, _)| *number);
        let excess: Vec<u32> = clean.take(self.hours.len() - CLEAN_HOURS_MAX).collect();
        excess.iter().for_each(|number| drop(self.hours.remove(number)));
    }
}

fn page(number: u32, hour: &Hour, as_of: Position) -> HourPage {
    let mut cells: Vec<(Cell, Tally)> = hour.cells.iter().map(|(cell, tally)| (unpack(*cell), *tally)).collect();
    cells.sort_unstable_by_key(|(cell, _)| *cell);
    HourPage { hour: number, as_of, cells }
}
