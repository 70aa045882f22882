//! Originator counters, per device and party: the highest of all, and the highest of late.
//!
//! It must not know messages. Invariant: a counter above the top of its series is one that the series has not had.

use std::collections::HashMap;

use super::block_of;
use crate::domain::{DeviceNo, Position, Series};

/// Series remembered of one device. One more forgets the oldest but those at hand.
const SERIES_MAX: usize = 8;

/// Series at hand for each device: those of its supplier and its operator, and nearly never another.
const AT_HAND: usize = 2;

/// No series: none begins in this block.
const UNUSED: Series = Series { party: 0, top: 0, recent: 0, recent_at: 0, began: u32::MAX };

fn is_unused(series: &Series) -> bool {
    series.began == UNUSED.began
}

/// Where a counter stands in its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// It is above all that the series had, and the series has forgotten none.
    pub(super) is_above: bool,
    /// It is not above one that was here before it and is not forgotten.
    pub(super) is_late: bool,
    /// It is the one that was here last, and is not forgotten.
    pub(super) is_last: bool,
    /// Block in which the series began; 0 where that is not known.
    pub(super) began: u32,
}

/// Series of all devices.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// The first series of each device, the used ones first.
    at_hand: Vec<[Series; AT_HAND]>,
    /// Further ones.
    more: HashMap<u32, Vec<Series>>,
}

impl Counters {
    /// Notes a counter that was met at a position, while messages before `from` are forgotten.
    pub(super) fn note(
        &mut self,
        device: DeviceNo,
        party: u64,
        counter: u64,
        position: Position,
        from: Position,
    ) -> Place {
        let (block, forgotten) = (block_of(position), block_of(from));
        let begun = Series { party, top: counter, recent: counter, recent_at: block, began: block };
        let at_hand = self.at_hand(device);
        if let Some(series) = at_hand.iter_mut().find(|series| is_unused(series) || series.party == party) {
            if is_unused(series) {
                *series = begun;
                return Place { is_above: true, is_late: false, is_last: false, began: block };
            }
            return step(series, counter, block, forgotten);
        }
        let more = self.more.entry(device.0).or_default();
        let is_full = more.len() == SERIES_MAX - AT_HAND;
        if let Some(series) = more.iter_mut().find(|series| series.party == party) {
            let place = step(series, counter, block, forgotten);
            // It may have been forgotten, and have begun again below where it was.
            return if is_full { Place { is_above: false, began: 0, ..place } } else { place };
        }
        if is_full {
            more.remove(0);
        }
        more.push(begun);
        if is_full {
            return Place { is_above: false, is_late: false, is_last: false, began: 0 };
        }
        Place { is_above: true, is_late: false, is_last: false, began: block }
    }

    /// The series of one device, in order of first sight.
    pub(super) fn of(&self, device: DeviceNo) -> impl Iterator<Item = &Series> {
        let at_hand = self.at_hand.get(device.index()).into_iter().flatten().filter(|series| !is_unused(series));
        at_hand.chain(self.more.get(&device.0).into_iter().flatten())
    }

    /// Puts back a series, in the order [`of`](Self::of) gave them.
    pub(super) fn restore(&mut self, device: DeviceNo, series: Series) {
        match self.at_hand(device).iter_mut().find(|series| is_unused(series)) {
            Some(unused) => *unused = series,
            None => self.more.entry(device.0).or_default().push(series),
        }
    }

    fn at_hand(&mut self, device: DeviceNo) -> &mut [Series; AT_HAND] {
        if self.at_hand.len() <= device.index() {
            self.at_hand.resize(device.index() + 1, [UNUSED; AT_HAND]);
        }
        &mut self.at_hand[device.index()]
    }
}

/// Notes a counter in its series.
fn step(series: &mut Series, counter: u64, block: u32, forgotten: u32) -> Place {
    let is_recent = series.recent_at >= forgotten;
    let place = Place {
        is_above: counter > series.top,
        is_late: is_recent && counter <= series.recent,
        is_last: is_recent && counter == series.recent,
        began: series.began,
    };
    series.top = series.top.max(counter);
    if !place.is_late {
        (series.recent, series.recent_at) = (counter, block);
    }
    place
}
