//! Devices by metering point, and a point's history.
//!
//! Invariant: where several devices are at a point and nothing decides between them, none is picked.

use std::{collections::HashMap, ops::Range};

use super::{Handle, Refusal, internal};
use crate::{
    domain::{
        Balance, Device, DeviceNo, Eui64, Millis, Mpxn, OperatorId, Period, Placement, Position, TENURES_MAX, Tenure,
        Tenures,
    },
    pipeline::{DeviceView, NamedDevice, collect::Command, engine::Engine},
};

/// Devices that an error names.
const NAMED_MAX: usize = 4;

/// Devices whose rows name a metering point.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AtPoint {
    /// They with their numbers, in that order.
    pub devices: Vec<(u32, NamedDevice)>,
    /// The number to go on from; `None` where there are no more.
    pub next: Option<u32>,
}

/// Which devices had a metering point.
#[derive(Debug, Clone, PartialEq)]
pub struct PointHistory {
    /// In order of time. Those of one time are of devices between which nothing decides.
    pub periods: Vec<PointPeriod>,
    /// Whether there were earlier ones that are not kept.
    pub is_cut: bool,
    /// The balances are exact as of here.
    pub position: Position,
}

/// One device's time at a point.
#[derive(Debug, Clone, PartialEq)]
pub struct PointPeriod {
    /// The time.
    pub period: Period,
    /// What became of the device's alerts, whenever they came; `None` where the device is not the caller's any more.
    pub balance: Option<Balance>,
    /// Since when the balance counts; `None`: of all there ever was.
    pub counted_since_ms: Option<Millis>,
}

/// A device whose alerts count as of a metering point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointTenure {
    /// Index of the point among those that were asked for.
    pub point: usize,
    /// The tenure.
    pub tenure: Tenure,
    /// Whether alerts of before it count too.
    pub counts_before: bool,
}

impl PointTenure {
    /// The times of receipt of the alerts that count.
    fn received_ms(&self) -> Range<Millis> {
        let since = self.tenure.since_ms.filter(|_| !self.counts_before);
        since.unwrap_or(Millis::MIN)..self.tenure.until_ms.unwrap_or(Millis::MAX)
    }
}

impl Engine {
    /// At most so many devices at a metering point of some operators, or of any where none is named.
    pub fn at_point(&self, mpxn: Mpxn, from: u32, devices_max: usize, operators: &[OperatorId]) -> AtPoint {
        let is_own = |no: &DeviceNo| operators.is_empty() || operators.contains(&self.inventory.get(*no).operator);
        let mut numbers = self.inventory.at(mpxn, DeviceNo(from)).filter(is_own);
        let devices = numbers.by_ref().take(devices_max).map(|no| (no.0, self.named(no))).collect();
        AtPoint { devices, next: numbers.next().map(|no| no.0) }
    }

    /// The devices that are at metering points now, of one operator or of any, as tenures that began before times were kept.
    pub fn there_now(&self, points: &[Mpxn], own: Option<OperatorId>) -> Vec<Vec<Tenure>> {
        let is_own = |no: &DeviceNo| own.is_none_or(|own| self.inventory.get(*no).operator == own);
        let of = |mpxn: &Mpxn| {
            let there = self.inventory.at(*mpxn, DeviceNo(0)).filter(is_own).take(TENURES_MAX);
            let tenures =
                there.filter_map(|no| unrecorded(self.inventory.get(no), &self.inventory.placement(no), *mpxn));
            tenures.collect()
        };
        points.iter().map(of).collect()
    }

    /// A device with its placement, and its model and labels by name.
    pub fn named(&self, no: DeviceNo) -> NamedDevice {
        let device = *self.inventory.get(no);
        let model = self.inventory.model_name(device.model).to_owned();
        NamedDevice { device, placement: self.inventory.placement(no), model, labels: self.labels.of(no) }
    }
}

impl Handle {
    /// The devices at a metering point, from a number on, at most so many, of these operators or of any.
    pub async fn at_point(
        &self,
        mpxn: Mpxn,
        from: u32,
        devices_max: usize,
        mut operators: Vec<OperatorId>,
    ) -> Result<AtPoint, Refusal> {
        self.limit_operators(&mut operators)?;
        self.ask(|reply| Command::AtPoint { mpxn, from, devices_max, operators, reply }).await
    }

    /// Shows the device that has a metering point, and the others that are at it and gave way to it.
    pub async fn device_at(&self, mpxn: Mpxn) -> Result<(DeviceView, Vec<Eui64>), Refusal> {
        let AtPoint { devices, next } = self.at_point(mpxn, 0, TENURES_MAX, Vec::new()).await?;
        let there: Vec<Eui64> = devices.iter().map(|(_, named)| named.device.eui).collect();
        match there[..] {
            [] => {
                let message = format!("no device is at {mpxn}; weir device history {mpxn} says which were");
                Err(Refusal::not_found("device", mpxn, message))
            }
            [only] => Ok((self.device(only).await?, Vec::new())),
            _ => {
                let periods = self.tenures_of(mpxn, &devices).await?.periods(self.who.operator());
                let now: Vec<Eui64> =
                    periods.iter().filter(|period| period.until_ms.is_none()).map(|period| period.device).collect();
                match now[..] {
                    [device] if next.is_none() => {
                        let others = there.into_iter().filter(|other| *other != device).collect();
                        Ok((self.device(device).await?, others))
                    }
                    _ => Err(Refusal::Precondition(undecided(mpxn, if now.is_empty() { &there } else { &now }))),
                }
            }
        }
    }

    /// The history of a metering point, as far as its devices were the caller's.
    pub async fn point_history(&self, mpxn: Mpxn) -> Result<PointHistory, Refusal> {
        let AtPoint { devices, next } = self.at_point(mpxn, 0, TENURES_MAX, Vec::new()).await?;
        let tenures = self.tenures_of(mpxn, &devices).await?;
        let told = tenures.periods(self.who.operator());
        if told.is_empty() {
            let message = format!("no load of the inventory has brought a device to {mpxn}");
            return Err(Refusal::not_found("metering point", mpxn, message));
        }
        let mut seen: HashMap<Eui64, Option<DeviceView>> = HashMap::new();
        let (mut periods, mut position) = (Vec::new(), self.position());
        for period in told {
            if let std::collections::hash_map::Entry::Vacant(place) = seen.entry(period.device) {
                let view = match self.device(period.device).await {
                    Ok(view) => Some(view),
                    Err(Refusal::NotFound { .. }) => None,
                    Err(other) => return Err(other),
                };
                position = view.as_ref().map_or(position, |view| view.position);
                place.insert(view);
            }
            let view = seen[&period.device].as_ref();
            periods.push(PointPeriod {
                period: self.told_period(period),
                balance: view.map(|view| view.balance),
                counted_since_ms: view.and_then(|view| view.counted_since_ms),
            });
        }
        Ok(PointHistory { periods, is_cut: tenures.dropped > 0 || next.is_some(), position })
    }

    /// The devices that are or were at a metering point, each with the times of receipt of the alerts that count as of the
    /// point: until a load took the device away, and, where it was elsewhere before, since one brought it.
    pub async fn devices_of_point(&self, mpxn: Mpxn) -> Result<Vec<(Eui64, Range<Millis>)>, Refusal> {
        let tenures = self.point_tenures(vec![mpxn]).await?;
        Ok(tenures.iter().map(|at| (at.tenure.device, at.received_ms())).collect())
    }

    /// The same of several points, in their order.
    pub async fn point_tenures(&self, points: Vec<Mpxn>) -> Result<Vec<PointTenure>, Refusal> {
        let (own, asked) = (self.who.operator(), points.clone());
        let there = self.ask(|reply| Command::ThereNow { points: asked, own, reply }).await?;
        let read = move |handle: &Self| {
            let reader = handle.shared.reader()?;
            let mut found = Vec::new();
            for (point, (mpxn, there)) in points.into_iter().zip(there).enumerate() {
                handle.go_on()?;
                let mut tenures = reader.tenures(mpxn).map_err(internal)?.unwrap_or_default();
                there.into_iter().rev().for_each(|tenure| tenures.add_unrecorded(tenure));
                let told = tenures.kept.iter().enumerate().filter(|(_, at)| own.is_none_or(|own| at.operator == own));
                found.extend(told.map(|(index, tenure)| PointTenure {
                    point,
                    tenure: *tenure,
                    counts_before: tenures.counts_before(index),
                }));
            }
            Ok(found)
        };
        self.read(read).await
    }

    /// The tenures of a point, those included of these devices that began before times were kept.
    async fn tenures_of(&self, mpxn: Mpxn, devices: &[(u32, NamedDevice)]) -> Result<Tenures, Refusal> {
        let read = move |handle: &Self| handle.shared.reader()?.tenures(mpxn).map_err(internal);
        let mut tenures = self.read(read).await?.unwrap_or_default();
        for (_, NamedDevice { device, placement, .. }) in devices.iter().rev() {
            unrecorded(device, placement, mpxn).into_iter().for_each(|tenure| tenures.add_unrecorded(tenure));
        }
        Ok(tenures)
    }

    /// A period as the caller may know of it: where the device was before is told to those whose it was.
    fn told_period(&self, period: Period) -> Period {
        let (_, whose) = period.moved_from;
        let is_told = self.who.operator().is_none_or(|own| own == whose);
        let moved_from = if is_told { period.moved_from } else { (Mpxn::NONE, OperatorId::UNKNOWN) };
        Period { moved_from, ..period }
    }
}

fn unrecorded(device: &Device, placement: &Placement, mpxn: Mpxn) -> Option<Tenure> {
    let (role, _) = placement.points(device).find(|(_, own)| *own == mpxn)?;
    Some(Tenure {
        device: device.eui,
        role,
        operator: device.operator,
        is_meter: placement.kind.may_be_meter(),
        since_ms: None,
        until_ms: None,
        moved_from: (Mpxn::NONE, OperatorId::UNKNOWN),
    })
}

fn undecided(mpxn: Mpxn, devices: &[Eui64]) -> String {
    let named: Vec<String> = devices.iter().take(NAMED_MAX).map(Eui64::to_string).collect();
    let more = if devices.len() > NAMED_MAX { " and others" } else { "" };
    format!(
        "mpxn: {mpxn}: {}{more} are at it, and nothing says which came last; ask by EUI-64, or load the one that was taken \
         away without the point",
        named.join(", ")
    )
}
