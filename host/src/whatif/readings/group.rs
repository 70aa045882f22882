//! The alerts of a group joined with readings.
//!
//! Invariant: what an alert is joined with depends on the alert and the snapshot alone.

use std::collections::BTreeMap;

use super::Readings;
use crate::{
    domain::{Eui64, Flags, Limit, Millis, ModelId, Reading, Rows, Threshold},
    store,
    voltage::{EPISODE_MS_MAX, Edge, Episode, Trigger, Unjoined, episode, join, reach_ms},
};

/// An alert of average voltage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Joining {
    /// The threshold that was crossed.
    pub(super) limit: Limit,
    /// Its reading, as its model rounds.
    pub(super) reading: Result<Reading, Unjoined>,
    /// What followed.
    pub(super) followed: Followed,
}

/// What followed an alert.
#[derive(Debug, Clone, Copy)]
pub(super) enum Followed {
    /// Nothing that belongs to it: the alert says that voltage is within the threshold again, or has no reading.
    Nothing,
    /// The threshold of the meter is not known, so neither is when voltage was within it again.
    Unknown,
    /// What was read of it.
    By(Episode),
}

/// How alerts are joined.
pub(super) struct Joiner<'a> {
    pub(super) readings: &'a Readings,
    /// How long before the end of its period an alert may have occurred.
    pub(super) tolerance_ms: Millis,
    /// Whether what followed each alert is looked up; otherwise nothing follows any.
    pub(super) follows: bool,
}

impl Joiner<'_> {
    /// Joins alerts of average voltage that are meant; the others are `None`, as are those with a measurement of their own.
    pub(super) fn join(
        &self,
        rows: &Rows,
        is_meant: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<Option<Joining>>, store::Error> {
        let mut found: Vec<Option<Joining>> = vec![None; rows.len()];
        let mut by_supply: BTreeMap<_, Vec<(usize, Trigger)>> = BTreeMap::new();
        for (row, found) in found.iter_mut().enumerate() {
            let trigger = self.readings.models.trigger_of(rows, row);
            let trigger = trigger.filter(|_| !Flags(rows.flags[row]).has_measurement() && is_meant(row));
            let Some(trigger) = trigger else { continue };
            let reading = join(&[], (rows.occurred_ms[row], rows.time_status(row)), rows.weight[row], 0);
            *found = Some(Joining { limit: trigger.limit, reading, followed: Followed::Nothing });
            // Otherwise no reading could change that it has none.
            if reading == Err(Unjoined::NoReading) {
                let supply = (rows.device[row], trigger.phase, rows.operator_of(row), ModelId(rows.model[row]));
                by_supply.entry(supply).or_default().push((row, trigger));
            }
        }
        for ((device, phase, operator, model), alerts) in by_supply {
            let times = || alerts.iter().map(|(row, _)| rows.occurred_ms[*row]);
            let (Some(first), Some(last)) = (times().min(), times().max()) else { continue };
            let mut ends = reach_ms(first, self.tolerance_ms).start..reach_ms(last, self.tolerance_ms).end;
            if self.follows {
                ends.end = last.saturating_add(EPISODE_MS_MAX);
            }
            let reader = &self.readings.reader;
            let mut readings = reader.readings(Eui64(device), phase, ends)?;
            let rounding = self.readings.models.rounding(operator, model);
            readings.iter_mut().for_each(|reading| reading.volts = reading.volts.rounded(rounding));
            let thresholds = if self.follows { reader.thresholds(Eui64(device))? } else { Vec::new() };
            for (row, trigger) in alerts {
                found[row] = Some(self.join_one(rows, row, trigger, &readings, &thresholds));
            }
        }
        Ok(found)
    }

    fn join_one(
        &self,
        rows: &Rows,
        row: usize,
        trigger: Trigger,
        readings: &[Reading],
        thresholds: &[Threshold],
    ) -> Joining {
        let (time, limit) = ((rows.occurred_ms[row], rows.time_status(row)), trigger.limit);
        let mut reading = join(readings, time, rows.weight[row], self.tolerance_ms);
        let mut followed = Followed::Nothing;
        if let (Ok(of_alert), Edge::Raise, true) = (reading, trigger.edge, self.follows) {
            let threshold_dv = |end_ms| configured_dv(thresholds, limit, end_ms);
            followed = match threshold_dv(of_alert.end_ms) {
                None => Followed::Unknown,
                Some(own) if of_alert.volts.can_be_beyond(limit, own) => {
                    Followed::By(episode(readings, &of_alert, limit, threshold_dv))
                }
                Some(_) => {
                    reading = Err(Unjoined::NotBeyond);
                    Followed::Nothing
                }
            };
        }
        Joining { limit, reading, followed }
    }
}

/// Returns the threshold that a meter is known to have had at a time, in tenths of a volt.
pub(super) fn configured_dv(thresholds: &[Threshold], limit: Limit, at_ms: Millis) -> Option<u16> {
    let mut known = thresholds.iter().filter(|threshold| threshold.limit == limit && threshold.from_ms <= at_ms);
    known.next_back().map(|threshold| threshold.value_dv)
}
