//! Which devices were at a metering point, and when, by what loads of the inventory said.
//!
//! A device's *tenure* begins with the load that says that it is at the point, and ends with the one that says that it is
//! not. A load that says the same again changes nothing, and nothing ends the tenure of a device that no load names any
//! more. So after an exchange of meters two tenures are open. The rule for that:
//!
//! - A point is at the device whose tenure began last. The one before gives way to it, and has the point again if that
//!   tenure ends.
//! - Tenures that began with the same load, or before times were kept, are both valid: nothing tells which is right.
//! - What is known to be no meter (a communications hub, a display) has a point only while no meter has it.
//!
//! Invariant: tenures of a point are in the order in which they began, at most [`TENURES_MAX`] of them; how many went for
//! that is known.

use super::{Eui64, Millis, Mpxn, OperatorId, PointRole};

/// Tenures that are kept of one metering point. The oldest go.
pub const TENURES_MAX: usize = 32;

/// A device at a metering point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenure {
    /// The device.
    pub device: Eui64,
    /// What the point is to it.
    pub role: PointRole,
    /// Operator of the device then. A change begins another tenure, which goes on where this one ends.
    pub operator: OperatorId,
    /// Whether it may be a meter. A change begins another tenure too.
    pub is_meter: bool,
    /// When the load came that said so; `None` where the inventory had it before times were kept.
    pub since_ms: Option<Millis>,
    /// When the load came that said otherwise; `None` where none did.
    pub until_ms: Option<Millis>,
    /// The metering point that the device had in this role until then, and whose it was.
    pub moved_from: (Mpxn, OperatorId),
}

impl Tenure {
    /// Returns true for the same device in the same capacity.
    fn is_like(&self, other: &Self) -> bool {
        let of = |tenure: &Self| (tenure.device, tenure.role, tenure.operator, tenure.is_meter);
        of(self) == of(other)
    }
}

/// What a load says of a device at a metering point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenureChange {
    /// It is there, since `since_ms` of the tenure.
    Begins(Tenure),
    /// It is not there any more, from a time on. The tenure is as it was, where its beginning is not on record.
    Ends(Tenure, Millis),
}

/// The tenures of one metering point.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tenures {
    /// In the order in which they began.
    pub kept: Vec<Tenure>,
    /// How many earlier ones went.
    pub dropped: u32,
}

impl Tenures {
    /// Notes what a load says.
    pub fn note(&mut self, change: TenureChange) {
        match change {
            TenureChange::Begins(tenure) => {
                if self.kept.iter().any(|kept| kept.until_ms.is_none() && kept.is_like(&tenure)) {
                    return;
                }
                // A clock that was set back makes no later load an earlier one.
                let latest = self.kept.iter().filter_map(|kept| kept.since_ms).max();
                let since_ms = tenure.since_ms.max(latest);
                self.kept.push(Tenure { since_ms, ..tenure });
            }
            TenureChange::Ends(tenure, at_ms) => {
                match self.kept.iter_mut().rev().find(|kept| kept.until_ms.is_none() && kept.is_like(&tenure)) {
                    Some(kept) => kept.until_ms = Some(kept.since_ms.map_or(at_ms, |since| since.max(at_ms))),
                    None => {
                        let unknown = self.kept.iter().take_while(|kept| kept.since_ms.is_none()).count();
                        let ended = Tenure { since_ms: None, until_ms: Some(at_ms), ..tenure };
                        self.kept.insert(unknown, ended);
                    }
                }
            }
        }
        while self.kept.len() > TENURES_MAX {
            let ended = self.kept.iter().position(|kept| kept.until_ms.is_some());
            self.kept.remove(ended.unwrap_or(0));
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// Adds a device that is at the point now, where no tenure of it is on record: it was there before times were kept. Where
    /// earlier tenures went, that of the device may be one of them, and is left out beside those that were kept.
    pub fn add_unrecorded(&mut self, tenure: Tenure) {
        if self.dropped > 0 && self.kept.iter().any(|kept| kept.until_ms.is_none()) {
            return;
        }
        if !self.kept.iter().any(|kept| kept.until_ms.is_none() && kept.device == tenure.device) {
            self.kept.insert(0, Tenure { since_ms: None, until_ms: None, ..tenure });
        }
    }

    /// True if alerts of before the tenure at an index count as of the point too: nothing says that the device was elsewhere, at
    /// another point or at this one in an earlier tenure.
    pub fn counts_before(&self, index: usize) -> bool {
        let tenure = &self.kept[index];
        tenure.moved_from.0 == Mpxn::NONE && self.kept[..index].iter().all(|before| before.device != tenure.device)
    }

    /// When the tenure at an index began, those before it included that it goes on from.
    fn begun(&self, index: usize) -> Option<Millis> {
        let mut tenure = &self.kept[index];
        while let Some(since) = tenure.since_ms
            && let Some(before) =
                self.kept.iter().find(|before| before.device == tenure.device && before.until_ms == Some(since))
            && before.since_ms < Some(since)
        {
            tenure = before;
        }
        tenure.since_ms
    }

    /// Who had the point when, by the rule above, in order of time, as `own` is told: tenures of other operators are as if they
    /// were not there. Periods of one time are of devices between which nothing decides.
    pub fn periods(&self, own: Option<OperatorId>) -> Vec<Period> {
        // When a tenure began is no other for whom it is told.
        let begun: Vec<Option<Millis>> = (0..self.kept.len()).map(|index| self.begun(index)).collect();
        let is_told = |tenure: &&Tenure| own.is_none_or(|own| tenure.operator == own);
        // A beginning that is not known is before all others, and an end that there is not is after them.
        let start = |tenure: &Tenure| tenure.since_ms.unwrap_or(Millis::MIN);
        let end = |tenure: &Tenure| tenure.until_ms.unwrap_or(Millis::MAX);
        let told = self.kept.iter().filter(is_told);
        let mut bounds: Vec<Millis> = told.flat_map(|tenure| [start(tenure), end(tenure)]).collect();
        bounds.sort_unstable();
        bounds.dedup();
        let mut periods: Vec<Period> = Vec::new();
        for stretch in bounds.windows(2) {
            let (from, to) = (stretch[0], stretch[1]);
            let mut there: Vec<usize> = (0..self.kept.len())
                .filter(|index| is_told(&&self.kept[*index]))
                .filter(|index| start(&self.kept[*index]) <= from && end(&self.kept[*index]) >= to)
                .collect();
            if there.iter().any(|index| self.kept[*index].is_meter) {
                there.retain(|index| self.kept[*index].is_meter);
            }
            let last = there.iter().map(|index| begun[*index]).max();
            there.retain(|index| Some(begun[*index]) == last);
            for index in &there {
                let tenure = self.kept[*index];
                let next = Period {
                    device: tenure.device,
                    role: tenure.role,
                    operator: tenure.operator,
                    since_ms: (from != Millis::MIN).then_some(from),
                    until_ms: (to != Millis::MAX).then_some(to),
                    is_undecided: there.len() > 1,
                    moved_from: tenure.moved_from,
                };
                let before = periods.iter_mut().rev().find(|period| period.device == tenure.device);
                match before {
                    Some(before) if before.goes_on_as(&next) => before.until_ms = next.until_ms,
                    _ => periods.push(next),
                }
            }
        }
        periods
    }
}

/// A stretch of time in which a device had a metering point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The device.
    pub device: Eui64,
    /// What the point was to it.
    pub role: PointRole,
    /// Operator of the device then.
    pub operator: OperatorId,
    /// `None`: since before times were kept.
    pub since_ms: Option<Millis>,
    /// `None`: it has it now.
    pub until_ms: Option<Millis>,
    /// Another device has as good a claim to that time.
    pub is_undecided: bool,
    /// The metering point that the device had in this role before, and whose it was.
    pub moved_from: (Mpxn, OperatorId),
}

impl Period {
    fn goes_on_as(&self, next: &Self) -> bool {
        let same = |period: &Self| (period.role, period.operator, period.is_undecided);
        self.until_ms.is_some() && self.until_ms == next.since_ms && same(self) == same(next)
    }
}

#[cfg(test)]
mod tests;
