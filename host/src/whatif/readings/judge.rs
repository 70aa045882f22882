//! A candidate called with readings in place of the measurements that alerts do not have.
//!
//! A reading is a range of voltages, so the candidate is called with each of them; where it does not say the same of all,
//! the alert is undecided. It is called with tenths of a volt one by one rather than with the ends alone, because nothing
//! says that a rule which holds back 240 V and 260 V holds back 250 V too.
//!
//! Invariant: of a rule that is a pure function of one alert, what is decided is what it says of the true voltage.

use std::sync::Arc;

use super::{
    super::chains::Undecided,
    group::{Followed, Joining},
    joins::{Said, Shared},
};
use crate::{
    domain::{Columns, Judge, Limit, Metering, Outcome, Reading, RuleFault},
    voltage::Episode,
};

/// Widest range of voltages that is tried out, in tenths of a volt: whole volts of unknown rounding are 21 values.
const WIDTH_MAX_DV: u16 = 40;

/// Bit of [`Flags`](crate::domain::Flags) that says that an alert has a measurement.
const HAS_MEASUREMENT: u8 = 1;

/// Wraps a candidate.
pub(super) fn by_readings(inner: Judge, joined: Shared, undecided: Undecided) -> Judge {
    let Undecided::Set { variant, held } = undecided else { return inner };
    Arc::new(move |columns, state, metering| {
        let joinings: Vec<Option<Joining>> = {
            let joined = joined.lock();
            columns.row.iter().map(|row| joined.rows.get(*row as usize).copied().flatten()).collect()
        };
        if joinings.iter().all(Option::is_none) {
            return inner(columns, state, metering);
        }
        let tried = Tried { inner: &inner, columns, state, metering, joinings: &joinings };
        let (mut outcome, said) = tried.all()?;
        // Which reason it would give is not known either: the first that it gives of any alert, or its first.
        let reason = outcome.verdict.iter().copied().find(|verdict| *verdict != 0).unwrap_or(1);
        for (verdict, said) in outcome.verdict.iter_mut().zip(&said) {
            match said {
                Said::Straddles | Said::Unjoined if held => *verdict = (*verdict).max(reason),
                Said::Straddles | Said::Unjoined => *verdict = 0,
                _ => {}
            }
        }
        let mut joined = joined.lock();
        let all_said = &mut joined.said[variant];
        for (row, said) in columns.row.iter().zip(said) {
            all_said[*row as usize] = said;
        }
        Ok(outcome)
    })
}

/// A call of the candidate, to be made with several voltages.
struct Tried<'c> {
    inner: &'c Judge,
    columns: &'c Columns<'c>,
    state: &'c [u64],
    metering: Metering,
    joinings: &'c [Option<Joining>],
}

impl Tried<'_> {
    /// What the candidate says with the lowest voltages, and what is decided by that.
    fn all(&self) -> Result<(Outcome, Vec<Said>), RuleFault> {
        let reading = |joining: &Option<Joining>| joining.and_then(|joining| joining.reading.ok());
        let lowest = self.call(&|joining| reading(joining).map(|reading| reading.volts.low_dv()))?;
        let widths = self.joinings.iter().filter_map(|joining| reading(joining).map(width));
        let width = widths.filter(|width| *width <= WIDTH_MAX_DV).max().unwrap_or(0);
        let mut is_decided: Vec<bool> =
            self.joinings.iter().map(|joining| reading(joining).is_none_or(width_is_tried)).collect();
        for step in 1..=width {
            let at = |reading: Reading| (reading.volts.low_dv() + step).min(reading.volts.highest_tenths());
            let other = self.call(&|joining| reading(joining).map(at))?;
            let verdicts = lowest.verdict.iter().zip(&other.verdict);
            for (is_decided, (lowest, other)) in is_decided.iter_mut().zip(verdicts) {
                *is_decided &= (*lowest != 0) == (*other != 0);
            }
        }
        let sure = self.later(&|episode, limit| match limit {
            Limit::Over => episode.furthest.volts.low_dv(),
            Limit::Under => episode.furthest.volts.highest_tenths(),
        })?;
        let possible = self.later(&|episode, limit| match limit {
            Limit::Over => episode.may_be_furthest.volts.highest_tenths(),
            Limit::Under => episode.may_be_furthest.volts.low_dv(),
        })?;
        let followed = |at: usize, joining: Joining| match joining.followed {
            Followed::Nothing => Some(false),
            Followed::By(_) if sure.verdict[at] == 0 => Some(true),
            Followed::By(episode) if episode.is_whole && possible.verdict[at] != 0 => Some(false),
            Followed::Unknown | Followed::By(_) => None,
        };
        let said = |at: usize| match self.joinings[at] {
            None => Said::Nothing,
            Some(Joining { reading: Err(_), .. }) => Said::Unjoined,
            Some(_) if !is_decided[at] => Said::Straddles,
            Some(_) if lowest.verdict[at] == 0 => Said::Passed,
            Some(joining) => Said::Held(followed(at, joining)),
        };
        let said = (0..self.joinings.len()).map(said).collect();
        Ok((lowest, said))
    }

    /// What the candidate would say of a voltage out of what followed each alert.
    fn later(&self, volts: &dyn Fn(&Episode, Limit) -> u16) -> Result<Outcome, RuleFault> {
        self.call(&|joining| match joining.as_ref()? {
            Joining { followed: Followed::By(episode), limit, .. } => Some(volts(episode, *limit)),
            joining => joining.reading.ok().map(|reading| reading.volts.low_dv()),
        })
    }

    /// Calls the candidate with voltages in place of the measurements of some alerts.
    fn call(&self, volts: &dyn Fn(&Option<Joining>) -> Option<u16>) -> Result<Outcome, RuleFault> {
        let mut measurement = self.columns.measurement.to_vec();
        let mut flags = self.columns.flags.to_vec();
        for (at, joining) in self.joinings.iter().enumerate() {
            if let Some(dv) = volts(joining) {
                flags[at] |= HAS_MEASUREMENT;
                if let Some(measurement) = measurement.get_mut(at) {
                    *measurement = i32::from(dv);
                }
            }
        }
        let columns = Columns { measurement: &measurement, flags: &flags, ..*self.columns };
        (self.inner)(&columns, self.state, self.metering)
    }
}

fn width(reading: Reading) -> u16 {
    reading.volts.highest_tenths() - reading.volts.low_dv()
}

fn width_is_tried(reading: Reading) -> bool {
    width(reading) <= WIDTH_MAX_DV
}
