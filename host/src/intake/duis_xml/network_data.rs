//! Logs of average RMS voltage, as responses to service request 4.10 (Read Network Data) have them: documents in, readings out.
//! A response is parsed, or has the message of the meter as its GBCSPayload.
//!
//! Invariants: an entry is taken whole or named whole, and one that cannot be read costs no other of its document; an entry without
//! a value is a read that failed.
//!
//! ```text
//! ReadNetworkDataRsp / Electricity
//!   SinglePhaseESME                              AvgRMSVoltageProfileDataLog?
//!   PolyPhaseESME / PhaseVoltageOperationalData  Phase (1 to 3), VoltageOperationalData / AvgRMSVoltageProfileDataLog?
//!
//! AvgRMSVoltageProfileDataLog   MeasurementPeriod? (seconds), LogEntry* (Value?: volts, Timestamp?)
//! ```
//!
//! The schemas do not say which end of its period a Timestamp is. A meter captures an entry when the period is over (the DCC's test
//! data has an entry of the very time at which the log was read), so it is the end, unless the caller says otherwise.

use jiff::tz::TimeZone;

use super::{
    Wrong,
    device::{base64, compact},
    header::{Notices, field},
    responses::{Message, Take, check_code, raw_of, stated_by, without},
    time,
    tree::{Element, Tree},
};
use crate::{
    domain::{Eui64, Millis, Phase, Reading},
    intake::{
        form::Form,
        gbcs, placeholder,
        readings::{Measured, Options, Stamp, in_range, phase},
        shown,
        values::integer,
        voltage_text::volts,
    },
};

const SERVICE: &str = "4.10";
const RESPONSE: &str = "ReadNetworkDataRsp";
const LOG: &str = "AvgRMSVoltageProfileDataLog";
const PERIOD: &str = "MeasurementPeriod";

/// Makes readings of documents.
pub(in crate::intake) fn network_data(options: Options) -> Take<Measured> {
    Box::new(move |tree, zone, notices, items| take((tree, zone), options, notices, items))
}

fn take(
    (tree, zone): (&Tree, Option<&TimeZone>),
    options: Options,
    notices: Notices<'_>,
    items: &mut Vec<Result<Measured, Wrong>>,
) -> Result<(), Wrong> {
    let root = tree.root();
    let mut responses = root.descendants().filter(|element| element.name() == RESPONSE).peekable();
    if responses.peek().is_none() {
        return match raw_of(root, &[SERVICE]) {
            Some(payload) => raw((root, payload), options, notices, items),
            None => without(root, &[SERVICE], RESPONSE, notices),
        };
    }
    check_code(root)?;
    for response in responses {
        let message = Message::around(response)?;
        let mut logs = response.descendants().filter(|element| element.name() == LOG).peekable();
        if response.child("Gas").is_some() {
            notices("Gas", format!("the network data of {} is of gas, and no voltage; passed over", message.device));
        } else if logs.peek().is_none() {
            notices(LOG, format!("the response of {} has no log of voltages", message.device));
        }
        if response.is_failure() {
            notices("MessageSuccess", format!("false: {} did not answer all that it was asked", message.device));
        }
        for log in logs {
            entries(log, &message, (zone, options), notices, items)?;
        }
    }
    Ok(())
}

/// Reads a response that was not parsed.
fn raw(
    (root, payload): (Element<'_>, Element<'_>),
    options: Options,
    notices: Notices<'_>,
    items: &mut Vec<Result<Measured, Wrong>>,
) -> Result<(), Wrong> {
    check_code(root)?;
    let wrong = |why: String| ("GBCSPayload", why);
    let bytes = base64(&compact(payload.text())).map_err(wrong)?;
    let data = gbcs::network_data::decode(&bytes).map_err(|error| wrong(error.to_string()))?;
    let device = data.device;
    if let Some(outer) = stated_by(root)?.filter(|outer| *outer != device) {
        return Err(wrong(format!(
            "it is of {device}, but the ResponseID begins with {outer}: whose meter was read is in doubt"
        )));
    }
    for phase in data.missing {
        let of = if phase == Phase::Whole { String::new() } else { format!(" of phase {}", phase.name()) };
        notices("GBCSPayload", format!("{device} could not read its log{of}"));
    }
    for gbcs::network_data::Log { phase, period_s, entries } in data.logs {
        let of = |(name, why): Wrong| (name, format!("{why}; of {device}"));
        let stated = in_range(period_s.into()).map_err(wrong);
        let length_s = stated.and_then(|stated| agreed(Some(stated), options)).map_err(of)?;
        let log = Log { device, phase, length_s, stamp: options.stamp.unwrap_or(Stamp::End) };
        items
            .extend(entries.into_iter().map(|(stamp_ms, value)| log.reading(stamp_ms, &value.to_string()).map_err(of)));
    }
    Ok(())
}

/// A log, and what holds for each of its entries.
struct Log {
    device: Eui64,
    phase: Phase,
    length_s: u32,
    stamp: Stamp,
}

/// Reads the entries of a log.
fn entries(
    element: Element<'_>,
    message: &Message<'_>,
    (zone, options): (Option<&TimeZone>, Options),
    notices: Notices<'_>,
    items: &mut Vec<Result<Measured, Wrong>>,
) -> Result<(), Wrong> {
    let device = message.device;
    let of = |(name, why): Wrong| (name, format!("{why}; of {device}"));
    let clock = message.clock();
    if let Some(status) = clock {
        notices("ClockStatus", format!("{} by the word of {device}: the times of its log may be wrong", shown(status)));
    }
    // A clock that has strayed by seconds still says which period it was; one that was never set says nothing.
    let is_void = clock.is_some_and(|status| status.eq_ignore_ascii_case("invalid"));
    let log = Log {
        device,
        phase: phase_of(element).map_err(of)?,
        length_s: length(element, options).map_err(of)?,
        stamp: options.stamp.unwrap_or(Stamp::End),
    };
    let entries = element.children().filter(|child| child.name() == "LogEntry");
    items.extend(entries.map(|entry| log.entry(entry, (zone, is_void)).map_err(of)));
    Ok(())
}

impl Log {
    /// Reads an entry of a parsed log. `is_void`: no time of the log says anything.
    fn entry(&self, entry: Element<'_>, (zone, is_void): (Option<&TimeZone>, bool)) -> Result<Measured, Wrong> {
        let stamp = field(entry, "Timestamp")?;
        let device = self.device;
        let failed = |name: &str, why: String| {
            let at = shown(stamp.unwrap_or("no time"));
            Ok(Measured::Failed { device, field: name.to_owned(), why: format!("{why}: the read of {at} failed") })
        };
        let value = match field(entry, "Value")? {
            None => return failed("Value", "it is missing".to_owned()),
            Some(value) if placeholder::is_one(value) => return failed("Value", shown(value)),
            Some(_) if is_void => return failed("ClockStatus", "invalid".to_owned()),
            Some(value) => value,
        };
        let text = stamp.ok_or_else(|| ("Timestamp", format!("it is missing beside the value {}", shown(value))))?;
        let stamp_ms = time::read(text, zone).map_err(|why| ("Timestamp", why))?;
        self.reading(stamp_ms, value)
    }

    fn reading(&self, stamp_ms: Millis, value: &str) -> Result<Measured, Wrong> {
        // Programs write the meter's whole volts with decimals, for the schema calls them decimal.
        let volts = volts(value, true, &Form::default()).map_err(|why| ("Value", why))?;
        let Self { device, phase, length_s, stamp } = *self;
        let length_ms = Millis::from(length_s) * 1_000;
        let end_ms = if stamp == Stamp::Start { stamp_ms + length_ms } else { stamp_ms };
        if end_ms < length_ms {
            return Err((
                "Timestamp",
                format!("expected a period after 1970, found an end of {}", time::written(end_ms)),
            ));
        }
        Ok(Measured::Reading(Reading { device, phase, end_ms, length_s, volts }))
    }
}

/// The phase that a log is of.
fn phase_of(log: Element<'_>) -> Result<Phase, Wrong> {
    let Some(of_phase) = log.within(&["PhaseVoltageOperationalData"]) else { return Ok(Phase::Whole) };
    match field(of_phase, "Phase")?.map(phase) {
        Some(Ok(phase)) if phase != Phase::Whole => Ok(phase),
        Some(Err(why)) => Err(("Phase", why)),
        _ => Err(("Phase", "it is missing: a log of a poly-phase meter is of phase 1, 2 or 3".to_owned())),
    }
}

/// How long the periods of a parsed log are, in seconds.
fn length(log: Element<'_>, options: Options) -> Result<u32, Wrong> {
    let stated = field(log, PERIOD)?.map(|text| integer::<u32>(text, "of seconds").and_then(|s| in_range(s.into())));
    agreed(stated.transpose().map_err(|why| (PERIOD, why))?, options)
}

/// The length of periods, as a log and the caller state it.
fn agreed(stated: Option<u32>, options: Options) -> Result<u32, Wrong> {
    match (stated, options.length_s) {
        (Some(stated), Some(said)) if stated != said => {
            Err((PERIOD, format!("{stated} s, but --length says {said} s")))
        }
        (stated, said) => stated.or(said).ok_or_else(|| (PERIOD, "it is missing; --length 30m says it".to_owned())),
    }
}

#[cfg(test)]
mod tests;
