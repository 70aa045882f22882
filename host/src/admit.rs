//! Admission: shape and time checks, the join with the inventory, and the search for copies already seen.
//!
//! It must not know rules, the store or a clock: the time is handed in. Invariant: an alert that was admitted has
//! every column filled, and its device has a number.

mod copies;
mod inventory;
mod labels;
mod points;

pub use copies::{Copies, Horizon, KEPT_MS, Memory, Note, Sight};
pub use inventory::{Change, Inventory, InventoryError};
pub use labels::{LabelColumn, LabelError, LabelLimits, LabelPlan, LabelTable, Labels, with_stated};

use crate::{
    config::IntakeLimits,
    domain::{
        Alert, CALENDAR_MS, DccTimeStatus, DeviceNo, Eui64, Generation, HOUR_MS, Millis, OperatorId, OperatorSet,
        Position, Reject, RejectReason, Rejected, Remark, Rows, TimeStatus,
    },
    intake::{
        plausible::Ranges,
        times::{told, utc},
    },
};

/// 2005-01-01T00:00:00Z. No meter of either generation was made before, so a clock that shows an earlier time was not set.
const CLOCK_SET_MS: Millis = 1_104_537_600_000;

/// What the checks go by, for one group.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    /// The host's clock.
    pub now_ms: Millis,
    /// Earliest time of receipt: what the log keeps.
    pub received_ms_min: Millis,
    /// Latest time of receipt.
    pub received_ms_max: Millis,
    /// How much clocks may differ.
    pub future_ms_max: Millis,
    /// Which measurements are plausible.
    pub plausible: &'a Ranges,
    /// Largest weight.
    pub weight_max: u32,
    /// Devices at most.
    pub devices_max: u32,
    /// Operators whose alerts the sender may send.
    pub operators: OperatorSet,
}

impl<'a> Bounds<'a> {
    /// The bounds at a time.
    pub fn new(now_ms: Millis, limits: &IntakeLimits, retention_days: u32, plausible: &'a Ranges) -> Self {
        let future_ms_max = i64::try_from(limits.future_s_max).unwrap_or(0) * 1000;
        Self {
            now_ms,
            received_ms_min: now_ms.saturating_sub(i64::from(retention_days) * 24 * HOUR_MS).max(0),
            received_ms_max: now_ms.saturating_add(future_ms_max),
            future_ms_max,
            plausible,
            weight_max: limits.weight_max,
            devices_max: limits.devices_max,
            operators: OperatorSet::ALL,
        }
    }
}

/// A group on its way in.
#[derive(Debug, Default)]
pub struct Admitted {
    /// The alerts, copies included.
    pub rows: Rows,
    /// Per row, whether it was seen before. Empty until copies were looked for.
    pub duplicate: Vec<bool>,
    /// What could not be taken, by kind.
    pub rejected: Vec<Rejected>,
    /// Numbers of devices met for the first time.
    pub new_devices: Vec<DeviceNo>,
}

impl Admitted {
    /// Takes alerts in; each that cannot be taken is counted, and `rejected` is told which and why.
    ///
    /// Devices are looked up beforehand, all of them: memory answers many questions at once where nothing stands
    /// between them.
    pub fn take(
        &mut self,
        alerts: &[Result<Alert, Reject>],
        bounds: &Bounds<'_>,
        inventory: &mut Inventory,
        mut rejected: impl FnMut(usize, Reject),
    ) {
        let device = |alert: &Result<Alert, Reject>| alert.as_ref().map_or(Eui64(0), |alert| alert.device);
        let known: Vec<Option<DeviceNo>> = alerts.iter().map(|alert| inventory.number(device(alert))).collect();
        self.rows.reserve(alerts.len());
        for (index, (alert, known)) in alerts.iter().zip(known).enumerate() {
            if let Err(reject) = self.admit(alert, known, bounds, inventory) {
                self.reject(&reject, bounds.now_ms, 1);
                rejected(index, reject);
            }
        }
    }

    /// Looks for copies, and for what is to be remarked of others, among all that was taken, once, when the group is whole
    /// and it is known where it begins.
    pub fn find_copies(
        &mut self,
        copies: &mut Copies,
        first: Position,
        memory: Memory,
        is_protected: impl Fn(u16) -> bool,
    ) {
        let sights = copies.note_rows(&self.rows, first, memory, is_protected, |_| Note::Judge);
        for (remarks, sight) in self.rows.remarks.iter_mut().zip(&sights) {
            *remarks |= sight.remarks.0;
        }
        self.duplicate = sights.into_iter().map(|sight| sight.copy).collect();
    }

    fn admit(
        &mut self,
        alert: &Result<Alert, Reject>,
        known: Option<DeviceNo>,
        bounds: &Bounds<'_>,
        inventory: &mut Inventory,
    ) -> Result<(), Reject> {
        let alert = alert.as_ref().map_err(Reject::clone)?;
        check_parties(alert)?;
        let times = settle_times(alert, bounds)?;
        // Before a device that nobody has loaded is given a number: a refused alert leaves no trace.
        let known = known.or_else(|| inventory.number(alert.device));
        check_operator(alert, known, bounds.operators, inventory)?;
        let device_no = match known {
            Some(number) => number,
            None => self.number(alert, bounds, inventory)?,
        };
        let (operator, known, model) = inventory.join(device_no);
        // Whose point the document names: for a device that the inventory does not know, and no proof of anything.
        let operator = match operator {
            OperatorId::UNKNOWN => alert.details.mpxn.distributor().unwrap_or_default(),
            operator => operator,
        };
        let generation = if known == Generation::Unknown { alert.generation } else { known };
        self.rows.push(alert, times, device_no, (operator, generation, model));
        self.remark(alert, times, generation, bounds);
        Ok(())
    }

    /// Says what is remarkable about the alert that was taken last.
    fn remark(
        &mut self,
        alert: &Alert,
        (occurred, received): (Millis, Millis),
        generation: Generation,
        bounds: &Bounds<'_>,
    ) {
        let row = self.rows.len() - 1;
        let time = self.rows.time_status(row);
        let generation_differs = alert.generation != Generation::Unknown && alert.generation != generation;
        // Whichever of the other two clocks is behind: what happened did so before both. The time of receipt that stands in
        // the place of a time that was not stated says nothing of the device's clock.
        let dcc = alert.dcc_ms.filter(|_| alert.message.dcc_time == DccTimeStatus::AsStated);
        let known_by = dcc.map_or(received, |dcc| dcc.min(received));
        if time.is_stated() && occurred > known_by.saturating_add(bounds.future_ms_max) {
            self.rows.remark(row, Remark::OccurredInFuture);
        }
        if occurred < bounds.received_ms_min {
            self.rows.remark(row, Remark::OccurredBeforeRetention);
        }
        if alert.measurement.is_some_and(|measurement| !bounds.plausible.contain(alert.code, measurement)) {
            self.rows.remark(row, Remark::Implausible);
        }
        for (is_so, remark) in [
            (time == TimeStatus::Unreliable, Remark::ClockUnreliable),
            (time.is_stated() && occurred < CLOCK_SET_MS, Remark::ClockNotSet),
            (time == TimeStatus::LeftOut, Remark::OccurredAtLeftOut),
            (generation_differs, Remark::GenerationDiffers),
        ] {
            if is_so {
                self.rows.remark(row, remark);
            }
        }
    }

    /// Counts rejected inputs.
    pub fn reject(&mut self, reject: &Reject, now_ms: Millis, count: u64) {
        let hour = hour_of(now_ms);
        let same = |r: &&mut Rejected| r.reason == reject.reason && r.code == reject.code && r.hour == hour;
        match self.rejected.iter_mut().find(same) {
            Some(rejected) => rejected.count += count,
            None => self.rejected.push(Rejected { reason: reject.reason, code: reject.code, hour, count }),
        }
    }

    /// The number of a device that is not known yet.
    fn number(&mut self, alert: &Alert, bounds: &Bounds<'_>, inventory: &mut Inventory) -> Result<DeviceNo, Reject> {
        if inventory.len() >= bounds.devices_max {
            let message = format!(
                "device_id: {} is not known, and devices_max ({}) is reached",
                alert.device, bounds.devices_max
            );
            return Err(reject(alert, RejectReason::DeviceLimit, message));
        }
        let number = inventory.meet(alert.device);
        self.new_devices.push(number);
        Ok(number)
    }
}

/// Rejects an alert of an operator that the sender does not send for.
fn check_operator(
    alert: &Alert,
    known: Option<DeviceNo>,
    operators: OperatorSet,
    inventory: &Inventory,
) -> Result<(), Reject> {
    if operators.is_all() {
        return Ok(());
    }
    let operator = known.map_or(OperatorId::UNKNOWN, |number| inventory.get(number).operator);
    if operators.contains(operator) {
        return Ok(());
    }
    // Not whose it is: that is not the sender's to know.
    let message = format!(
        "device_id: {} is not in the inventory as a device of {operators}, and this token sends alerts of those alone",
        alert.device
    );
    Err(reject(alert, RejectReason::Operator, message))
}

/// Hour of a time, since 1970-01-01T00:00:00Z.
pub fn hour_of(time_ms: Millis) -> u32 {
    u32::try_from(time_ms.div_euclid(HOUR_MS)).unwrap_or(0)
}

fn reject(alert: &Alert, reason: RejectReason, message: String) -> Reject {
    Reject { reason, code: Some(alert.code), message }
}

/// Checks the fields of an alert that need no inventory.
pub fn check(alert: &Alert, bounds: &Bounds<'_>) -> Result<(), Reject> {
    check_parties(alert)?;
    settle_times(alert, bounds).map(|_| ())
}

/// Rejects an alert of no device, and one from or to the broadcast address, which no file can state.
fn check_parties(alert: &Alert) -> Result<(), Reject> {
    let wrong = |message: String| reject(alert, RejectReason::DeviceId, message);
    alert.device.of_device().map_err(|error| wrong(format!("device_id: {error}")))?;
    for (field, party) in [("recipient_id", alert.recipient), ("sender_id", alert.message.sender)] {
        if party == Eui64::BROADCAST {
            return Err(wrong(format!(
                "{field}: {party} is the broadcast address, which no party has; 0 is not known"
            )));
        }
    }
    Ok(())
}

/// Rejects a status of a time beside a time that it contradicts: one of the two would be dropped.
fn check_statuses(alert: &Alert, received: Millis) -> Result<(), Reject> {
    let (time, wrong) = (alert.message.time, |message: String| reject(alert, RejectReason::OccurredAt, message));
    match alert.occurred_ms {
        // A host that was told no time writes the time of receipt in its place.
        Some(occurred) if !time.is_stated() && occurred != received => {
            return Err(wrong(format!(
                "occurred_at_status: {}, but occurred_at_ms is {}, which is not the time of receipt; leave the time out, or \
                 send it as stated or unreliable",
                time.name(),
                told(occurred)
            )));
        }
        None if time == TimeStatus::Unreliable => {
            let message =
                "occurred_at_status: unreliable, but occurred_at_ms is not stated; state it, or send not-stated";
            return Err(wrong(message.to_owned()));
        }
        _ => {}
    }
    match alert.dcc_ms {
        Some(dcc) if alert.message.dcc_time == DccTimeStatus::LeftOut => {
            let message =
                format!("dcc_at_status: left-out, but dcc_at_ms is {}; leave the time out, or the status", told(dcc));
            Err(reject(alert, RejectReason::DccAt, message))
        }
        _ => Ok(()),
    }
}

/// Times of occurrence and receipt, both filled in and in range.
fn settle_times(alert: &Alert, bounds: &Bounds<'_>) -> Result<(Millis, Millis), Reject> {
    let received = alert.received_ms.unwrap_or(bounds.now_ms);
    if !(bounds.received_ms_min..=bounds.received_ms_max).contains(&received) {
        let message = format!(
            "received_at_ms: {} lies outside {} (what the log keeps) to {} (the host's clock and future_s_max)",
            told(received),
            utc(bounds.received_ms_min),
            utc(bounds.received_ms_max)
        );
        return Err(reject(alert, RejectReason::ReceivedAt, message));
    }
    check_statuses(alert, received)?;
    // The time of receipt stands in the place of one that was not stated, and is not taken for one.
    let stated = alert.occurred_ms.filter(|_| alert.message.time.is_stated());
    let occurred = stated.unwrap_or(received);
    let outside = |field: &str, ms: Millis| format!("{field}: {} lies outside the years 1970 to 2200", told(ms));
    if !CALENDAR_MS.contains(&occurred) {
        return Err(reject(alert, RejectReason::OccurredAt, outside("occurred_at_ms", occurred)));
    }
    if let Some(dcc) = alert.dcc_ms.filter(|dcc| !CALENDAR_MS.contains(dcc)) {
        return Err(reject(alert, RejectReason::DccAt, outside("dcc_at_ms", dcc)));
    }
    let outage = [
        ("details.interrupted_at_ms", alert.details.interrupted_ms),
        ("details.restored_at_ms", alert.details.restored_ms),
    ];
    if let Some((field, ms)) =
        outage.into_iter().find_map(|(field, ms)| Some((field, ms?)).filter(|(_, ms)| !CALENDAR_MS.contains(ms)))
    {
        return Err(reject(alert, RejectReason::Details, outside(field, ms)));
    }
    if alert.weight > bounds.weight_max || alert.weight == 0 {
        let message = format!("weight: {} is not 1 to weight_max ({})", alert.weight, bounds.weight_max);
        return Err(reject(alert, RejectReason::Weight, message));
    }
    Ok((occurred, received))
}

#[cfg(test)]
mod tests;
