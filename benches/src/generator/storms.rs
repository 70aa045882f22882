//! Storms: single devices that repeat one alert far faster than storm protection lets through.
//!
//! It must not know other traffic. Invariant: what must become of each alert follows from the one sentence "per device
//! and code, more than N in a window are too many; beyond that one a period passes and the rest is held back",
//! whatever a plugin takes as the start of a window or period. For that, each device sends one storm a day, all of it
//! within one window, in up to three bouts that are short and further apart than a period:
//!
//! ```text
//!   event time  |xxxxxxxxxxxx|                       |xxxxxx|                       |xxxxxx|
//!               N pass,                              first passes, standing         first passes
//!               the rest is held back                for those held back before
//!               <-- 2 min -->
//!               <----------- 20 min, more than a period ---->
//!               <------------------------------- less than a window ------------------------->
//! ```

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    codes,
    fleet::{Device, Fleet, mix},
};

/// Length of the window in which alerts are counted, in seconds.
pub const WINDOW_S: u64 = 3600;
/// Length of the period in which one alert passes, in seconds.
pub const PERIOD_S: u64 = 900;
/// The code that storm protection is told to leave alone.
pub const EXCLUDED: u16 = codes::AUTHENTICATION;

/// Bouts of a storm at most.
const BOUTS: usize = 3;
/// From the start of one bout to the next.
const BOUT_GAP_MS: i64 = 20 * 60_000;
/// How long a bout lasts.
const BOUT_MS: i64 = 2 * 60_000;
/// How long an alert is under way.
const TRANSIT_MS: i64 = 1000;
/// Within which part of the day storms begin: all of it but the first half hour and the last three hours.
const STARTS_MS: std::ops::Range<i64> = 1_800_000..75_600_000;

/// What must become of an alert of a storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It passes and stands for so many before it.
    Forwarded {
        /// How many were held back since the last one passed.
        withheld: u64,
    },
    /// It is too many.
    Excess,
}

/// One alert of a storm.
#[derive(Debug, Clone, Copy)]
pub struct Gust {
    /// Who sends it.
    pub device: Device,
    /// Its code.
    pub code: u16,
    /// Its originator counter.
    pub counter: u64,
    /// When it happened.
    pub occurred_ms: i64,
    /// What must become of it.
    pub fate: Fate,
}

/// All storms of a day, in order of their next alert.
#[derive(Debug)]
pub struct Storms {
    fleet: Fleet,
    more_than: u32,
    storms: Vec<Storm>,
    next: BinaryHeap<Reverse<(i64, u32)>>,
    /// Time of the earliest alert still to be sent: looked at for every alert of the day.
    due_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Storm {
    start_ms: i64,
    code: u16,
    /// Alerts in each bout.
    bouts: [u32; BOUTS],
    bout: u8,
    sent_in_bout: u32,
    sent: u32,
}

impl Storms {
    /// The storms of a fleet on the day that begins at `day_ms`.
    pub fn new(fleet: &Fleet, day_ms: i64, more_than: u32) -> Self {
        let storms: Vec<Storm> =
            (0..fleet.storms()).map(|no| Storm::new(fleet.storm_device(no), no, day_ms, more_than)).collect();
        let next = storms.iter().zip(0..).map(|(storm, no)| Reverse((storm.occurs_ms() + TRANSIT_MS, no))).collect();
        let mut all = Self { fleet: fleet.clone(), more_than, storms, next, due_ms: 0 };
        all.settle_due();
        all
    }

    /// The next alert that has arrived by now, if there is one.
    pub fn arrived(&mut self, now_ms: i64) -> Option<Gust> {
        if now_ms < self.due_ms {
            return None;
        }
        let Reverse((_, no)) = self.next.pop()?;
        let storm = &mut self.storms[no as usize];
        let device = self.fleet.storm_device(no);
        let gust = Gust {
            device,
            code: storm.code,
            counter: device.counter_base + u64::from(storm.sent),
            occurred_ms: storm.occurs_ms(),
            fate: storm.fate(self.more_than),
        };
        if storm.advance() {
            self.next.push(Reverse((storm.occurs_ms() + TRANSIT_MS, no)));
        }
        self.settle_due();
        Some(gust)
    }

    fn settle_due(&mut self) {
        self.due_ms = self.next.peek().map_or(i64::MAX, |Reverse((due_ms, _))| *due_ms);
    }
}

impl Storm {
    fn new(device: Device, no: u32, day_ms: i64, more_than: u32) -> Self {
        let hash = mix(device.eui);
        let start_ms = day_ms + STARTS_MS.start + (hash % (STARTS_MS.end - STARTS_MS.start) as u64) as i64;
        let bouts = [more_than + 20 + (hash >> 32) as u32 % 40, 10 + (hash >> 40) as u32 % 30, 10];
        let (code, bouts) = match no % 4 {
            0 => (codes::INTEGRITY, bouts),
            1 => (codes::OVER_VOLTAGE, bouts),
            // A rule's wish to hold a protected code back is overruled and counted. Whether such a forwarded alert
            // still counts as one that a later alert stands for is nobody's promise: so there is no later one.
            2 => (codes::MAGNETIC_FIELD, [bouts[0], 0, 0]),
            _ => (EXCLUDED, bouts),
        };
        Self { start_ms, code, bouts, bout: 0, sent_in_bout: 0, sent: 0 }
    }

    /// When the next alert happens: evenly over the bout, every other one reported a second early by its device, so
    /// that times are out of order.
    fn occurs_ms(&self) -> i64 {
        let bout = usize::from(self.bout).min(BOUTS - 1);
        let within = BOUT_MS * i64::from(self.sent_in_bout) / i64::from(self.bouts[bout].max(1));
        let early = if self.sent % 2 == 1 { 1000 } else { 0 };
        self.start_ms + BOUT_GAP_MS * i64::from(self.bout) + within - early
    }

    fn fate(&self, more_than: u32) -> Fate {
        let first_of_bout = self.sent_in_bout == 0;
        match self.bout {
            _ if self.code == EXCLUDED => Fate::Forwarded { withheld: 0 },
            0 if self.sent_in_bout < more_than => Fate::Forwarded { withheld: 0 },
            1 if first_of_bout => Fate::Forwarded { withheld: u64::from(self.bouts[0] - more_than) },
            2 if first_of_bout => Fate::Forwarded { withheld: u64::from(self.bouts[1] - 1) },
            _ => Fate::Excess,
        }
    }

    /// Goes on to the next alert; tells whether there is one.
    fn advance(&mut self) -> bool {
        self.sent += 1;
        self.sent_in_bout += 1;
        if self.sent_in_bout == self.bouts[usize::from(self.bout)] {
            self.sent_in_bout = 0;
            self.bout += 1;
        }
        self.bouts.get(usize::from(self.bout)).is_some_and(|alerts| *alerts > 0)
    }
}
