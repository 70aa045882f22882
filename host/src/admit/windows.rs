//! Which originator counters were seen, per device and recipient.
//!
//! It must not know what a duplicate leads to. Invariant: for each device and recipient, the highest counter seen and
//! which of the 64 up to it were seen.
//!
//! A counter further back is taken as new: to lose an outage alert that arrives very late is worse than to count a
//! very late copy twice, and a device whose counter starts again (it was replaced) must not fall silent.

use std::collections::HashMap;

use crate::domain::{DeviceNo, Eui64, Flags, Rows, Window};

/// Recipients remembered for one device. One more forgets the oldest but those at hand.
const RECIPIENTS_MAX: usize = 8;

/// Recipients at hand for each device: its supplier and its operator, and nearly never another.
const AT_HAND: usize = 2;

/// What a counter says of the alert that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// It is the highest so far, or there is none.
    New,
    /// A higher one had been seen, but not this one.
    Late,
    /// It had been seen.
    Copy,
}

/// Windows of all devices.
#[derive(Debug, Default)]
pub struct Windows {
    /// The first recipients of each device. An unused window has no bit set; the used ones come first.
    at_hand: Vec<[Window; AT_HAND]>,
    /// Further recipients.
    more: HashMap<u32, Vec<Window>>,
}

impl Windows {
    /// Notes the counters of those rows that have one and are `wanted`; tells of each row what its counter says.
    pub fn note_rows(&mut self, rows: &Rows, wanted: impl Fn(usize) -> bool) -> Vec<Sight> {
        let noted = |row: usize| {
            if Flags(rows.flags[row]).has_counter() && wanted(row) {
                self.note(DeviceNo(rows.device_no[row]), Eui64(rows.recipient[row]), rows.counter[row])
            } else {
                Sight::New
            }
        };
        (0..rows.len()).map(noted).collect()
    }

    /// Notes a counter; tells what it says.
    pub fn note(&mut self, device: DeviceNo, recipient: Eui64, counter: u64) -> Sight {
        let at_hand = self.at_hand(device);
        if let Some(window) = at_hand.iter_mut().find(|window| window.seen == 0 || window.recipient == recipient.0) {
            window.recipient = recipient.0;
            return slide(window, counter);
        }
        let more = self.more.entry(device.0).or_default();
        if let Some(window) = more.iter_mut().find(|window| window.recipient == recipient.0) {
            return slide(window, counter);
        }
        if more.len() == RECIPIENTS_MAX - AT_HAND {
            more.remove(0);
        }
        more.push(Window { recipient: recipient.0, highest: counter, seen: 1 });
        Sight::New
    }

    /// The windows of one device, in order of first sight.
    pub fn of(&self, device: DeviceNo) -> impl Iterator<Item = &Window> {
        let at_hand = self.at_hand.get(device.index()).into_iter().flatten().filter(|window| window.seen != 0);
        at_hand.chain(self.more.get(&device.0).into_iter().flatten())
    }

    /// Puts back a window of a device, in the order [`of`](Self::of) gave them.
    pub fn restore(&mut self, device: DeviceNo, window: Window) {
        match self.at_hand(device).iter_mut().find(|window| window.seen == 0) {
            Some(unused) => *unused = window,
            None => self.more.entry(device.0).or_default().push(window),
        }
    }

    fn at_hand(&mut self, device: DeviceNo) -> &mut [Window; AT_HAND] {
        if self.at_hand.len() <= device.index() {
            self.at_hand.resize(device.index() + 1, Default::default());
        }
        &mut self.at_hand[device.index()]
    }
}

/// Marks a counter in its window; tells what it says.
fn slide(window: &mut Window, counter: u64) -> Sight {
    if window.seen == 0 {
        window.highest = counter;
        window.seen = 1;
        return Sight::New;
    }
    if counter > window.highest {
        let steps = counter - window.highest;
        window.seen = if steps < 64 { window.seen << steps | 1 } else { 1 };
        window.highest = counter;
        return Sight::New;
    }
    let back = window.highest - counter;
    if back >= 64 {
        return Sight::Late;
    }
    let bit = 1 << back;
    let sight = if window.seen & bit == 0 { Sight::Late } else { Sight::Copy };
    window.seen |= bit;
    sight
}
