//! Thresholds of average RMS voltage, as parsed responses to service request 6.2.1 (Read Device Configuration, Voltage) have them:
//! documents in, thresholds out.
//!
//! Invariant: a threshold holds for all phases of a meter, so phases that differ are an error.
//!
//! ```text
//! ReadDeviceConfigurationVoltageRsp
//!   SinglePhaseVoltageSettings                       AverageRMSOverVoltageThreshold?, AverageRMSUnderVoltageThreshold?
//!   PolyPhaseVoltageSettings* / PhaseVoltageSettings the same, for each phase
//! ```
//!
//! Values are whole volts. A response to 6.5 (Update Device Configuration, Voltage) confirms that a setting was made and does
//! not say which one: only where a program has put the settings into the same response are they taken.

use jiff::tz::TimeZone;

use super::{
    Wrong,
    header::{Notices, field},
    responses::{Message, Take, check_code, without},
    tree::{Element, Tree},
};
use crate::{
    domain::{Limit, Millis, Threshold},
    intake::{form::Form, shown, voltage_text::exact_volts},
};

const READ: &str = "ReadDeviceConfigurationVoltageRsp";
const UPDATE: &str = "UpdateDeviceConfigurationVoltageRsp";
const SETTINGS: [&str; 2] = ["SinglePhaseVoltageSettings", "PhaseVoltageSettings"];
const VALUES: [(Limit, &str); 2] =
    [(Limit::Over, "AverageRMSOverVoltageThreshold"), (Limit::Under, "AverageRMSUnderVoltageThreshold")];

/// Makes thresholds of documents. `from_ms`: from when they are configured, where the caller says so.
pub(in crate::intake) fn voltage_settings(from_ms: Option<Millis>) -> Take<Vec<Threshold>> {
    Box::new(move |tree, zone, notices, items| take((tree, zone), from_ms, notices, items))
}

fn take(
    (tree, zone): (&Tree, Option<&TimeZone>),
    from_ms: Option<Millis>,
    notices: Notices<'_>,
    items: &mut Vec<Result<Vec<Threshold>, Wrong>>,
) -> Result<(), Wrong> {
    let root = tree.root();
    let mut responses = root.descendants().filter(|element| [READ, UPDATE].contains(&element.name())).peekable();
    if responses.peek().is_none() {
        return without(root, &["6.2.1", "6.5"], READ, notices);
    }
    check_code(root)?;
    for response in responses {
        let message = Message::around(response)?;
        let (device, is_update) = (message.device, response.name() == UPDATE);
        if is_update && response.is_failure() {
            notices(
                "MessageSuccess",
                format!("false: {device} did not take the setting over; nothing is loaded of it"),
            );
            continue;
        }
        let thresholds = thresholds(response, &message, (zone, from_ms));
        if thresholds.as_ref().is_ok_and(Vec::is_empty) {
            let what = match is_update {
                true => "confirms a setting and does not say which; service request 6.2.1 reads it",
                false => "has no threshold of average voltage",
            };
            let name = if is_update { UPDATE } else { READ };
            notices(name, format!("the response of {device} {what}"));
            continue;
        }
        items.push(thresholds.map_err(|(name, why)| (name, format!("{why}; of {device}"))));
    }
    Ok(())
}

fn thresholds(
    response: Element<'_>,
    message: &Message<'_>,
    (zone, from_ms): (Option<&TimeZone>, Option<Millis>),
) -> Result<Vec<Threshold>, Wrong> {
    let mut found: Vec<(Limit, u16)> = Vec::new();
    for setting in response.descendants().filter(|element| SETTINGS.contains(&element.name())) {
        for (limit, name) in VALUES {
            let Some(text) = field(setting, name)? else { continue };
            let value_dv = exact_volts(text, &Form::default()).map_err(|_| (name, no_volts(text)))?;
            match found.iter().find(|(known, _)| *known == limit) {
                Some((_, other)) if *other != value_dv => {
                    let (one, other) = (other / 10, value_dv / 10);
                    let why = format!("{one} V and {other} V: phases differ, and a threshold here holds for all");
                    return Err((name, why));
                }
                Some(_) => {}
                None if value_dv == 0 => return Err((name, "0 V is no threshold".to_owned())),
                None => found.push((limit, value_dv)),
            }
        }
    }
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let from_ms = from_ms.map_or_else(|| message.answered_ms(zone), Ok)?;
    let device = message.device;
    let threshold = |(limit, value_dv)| Threshold { device, limit, value_dv, from_ms, source: String::new() };
    Ok(found.into_iter().map(threshold).collect())
}

fn no_volts(text: &str) -> String {
    format!(
        "expected volts below 1,000, as the DCC's documents have them, found {}; is it in tenths of a volt? A CSV file has a \
         column threshold_dv for these",
        shown(text)
    )
}

#[cfg(test)]
mod tests;
