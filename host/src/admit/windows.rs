//! Which originator counters were seen, per device and recipient.
//!
//! It must not know what a duplicate leads to. Invariant: for each device and recipient, the highest counter seen and
//! which of the 64 up to it were seen.
//!
//! A counter further back is taken as new: to lose an outage alert that arrives very late is worse than to count a
//! very late copy twice, and a device whose counter starts again (it was replaced) must not fall silent.

use std::collections::HashMap;

use crate::domain::{DeviceNo, Eui64, Window};

/// Recipients remembered for one device. One more forgets the oldest.
const RECIPIENTS_MAX: usize = 8;

/// Windows of all devices.
#[derive(Debug, Default)]
pub struct Windows {
    /// The first recipient of each device: nearly always the only one. An unused window has no bit set.
    first: Vec<Window>,
    /// Further recipients.
    more: HashMap<u32, Vec<Window>>,
}

impl Windows {
    /// Notes a counter; tells whether it had been seen.
    pub fn note(&mut self, device: DeviceNo, recipient: Eui64, counter: u64) -> bool {
        if self.first.len() <= device.index() {
            self.first.resize(device.index() + 1, Window::default());
        }
        let first = &mut self.first[device.index()];
        if first.recipient == recipient.0 || first.seen == 0 {
            first.recipient = recipient.0;
            return slide(first, counter);
        }
        let more = self.more.entry(device.0).or_default();
        if let Some(window) = more.iter_mut().find(|window| window.recipient == recipient.0) {
            return slide(window, counter);
        }
        if more.len() == RECIPIENTS_MAX - 1 {
            more.remove(0);
        }
        more.push(Window { recipient: recipient.0, highest: counter, seen: 1 });
        false
    }

    /// The windows of one device, in order of first sight.
    pub fn of(&self, device: DeviceNo) -> impl Iterator<Item = &Window> {
        let first = self.first.get(device.index()).filter(|window| window.seen != 0);
        first.into_iter().chain(self.more.get(&device.0).into_iter().flatten())
    }

    /// Puts back a window of a device, in the order [`of`](Self::of) gave them.
    pub fn restore(&mut self, device: DeviceNo, window: Window) {
        if self.first.len() <= device.index() {
            self.first.resize(device.index() + 1, Window::default());
        }
        let first = &mut self.first[device.index()];
        if first.seen == 0 {
            *first = window;
        } else {
            self.more.entry(device.0).or_default().push(window);
        }
    }
}

/// Marks a counter in its window; tells whether it was marked already.
fn slide(window: &mut Window, counter: u64) -> bool {
    if window.seen == 0 {
        window.highest = counter;
        window.seen = 1;
        return false;
    }
    if counter > window.highest {
        let steps = counter - window.highest;
        window.seen = if steps < 64 { window.seen << steps | 1 } else { 1 };
        window.highest = counter;
        return false;
    }
    let back = window.highest - counter;
    if back >= 64 {
        return false;
    }
    let bit = 1 << back;
    let copy = window.seen & bit != 0;
    window.seen |= bit;
    copy
}
