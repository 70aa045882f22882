//! The header of a response: who sent it to whom under which counter, when, and how many alerts it stands for.

use std::str::FromStr;

use super::{super::shown, ThrottledCount, Wrong, time, tree::Element};
use crate::domain::{Alert, AlertCode, DccTimeStatus, Details, Eui64, Generation, Message, Millis, PayloadKind};

/// Longest text of a field.
pub(super) const TEXT_BYTES_MAX: usize = 200;

/// What a document tells to whoever sends it, though no alert is lost by it: the field, and what is to be said.
pub(super) type Notices<'a> = &'a mut dyn FnMut(&str, String);

/// The text of a child, `None` where there is none or it is blank.
pub(super) fn field<'t>(of: Element<'t>, name: &'static str) -> Result<Option<&'t str>, Wrong> {
    match of.child_text(name) {
        Some(text) if text.len() > TEXT_BYTES_MAX => Err((name, format!("longer than {TEXT_BYTES_MAX} bytes"))),
        text => Ok(text),
    }
}

/// Who sent a message, whom to, and the counter, where it has one of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) from: Eui64,
    pub(super) to: Eui64,
    pub(super) counter: Option<u64>,
}

/// What the header of a response says.
pub(super) struct Header {
    /// The ResponseID.
    pub(super) response: Option<Id>,
    /// The RequestID, turned: who was asked, and who asked. Its counter is the asker's, and not kept.
    pub(super) request: Option<Id>,
    /// When the DCC answered.
    dcc_ms: Option<Millis>,
    dcc_time: DccTimeStatus,
}

impl Header {
    /// Reads a header; without one, nothing is stated.
    pub(super) fn read(header: Option<Element<'_>>, notices: Notices<'_>) -> Result<Self, Wrong> {
        let mut read = Self { response: None, request: None, dcc_ms: None, dcc_time: DccTimeStatus::AsStated };
        let Some(header) = header else { return Ok(read) };
        read.response = field(header, "ResponseID")?.map(id).transpose().map_err(|why| ("ResponseID", why))?;
        if let Some(text) = field(header, "RequestID")? {
            match id(text) {
                Ok(Id { from, to, .. }) => read.request = Some(Id { from: to, to: from, counter: None }),
                Err(why) if read.response.is_none() => return Err(("RequestID", why)),
                Err(_) => {}
            }
        }
        if let Some(text) = field(header, "ResponseDateTime")? {
            // 0 stands for a time that is not stated, and no DCC was there in 1970.
            match time::read(text).map(|ms| Some(ms).filter(|ms| *ms != 0)) {
                Ok(Some(ms)) => read.dcc_ms = Some(ms),
                Ok(None) => read.leave_out("expected a time after 1970".to_owned(), notices),
                Err(why) => read.leave_out(why, notices),
            }
        }
        Ok(read)
    }

    fn leave_out(&mut self, why: String, notices: Notices<'_>) {
        self.dcc_time = DccTimeStatus::LeftOut;
        notices("ResponseDateTime", format!("{why}; the alert is taken without it"));
    }

    /// An alert of a device, with all that the header says of it. Where a document came from nobody noted when it was
    /// received, so the DCC's time stands for that too.
    pub(super) fn alert(&self, code: AlertCode, device: Eui64, throttle: Throttle) -> Alert {
        let Throttle { weight, sequence } = throttle;
        Alert {
            device,
            recipient: Eui64::NONE,
            counter: None,
            code,
            occurred_ms: None,
            dcc_ms: self.dcc_ms,
            received_ms: self.dcc_ms,
            measurement: None,
            weight,
            payload: PayloadKind::Unspecified,
            generation: Generation::Unknown,
            message: Message { dcc_time: self.dcc_time, ..Message::default() },
            details: Details { throttle_sequence: sequence, ..Details::default() },
        }
    }

    /// Who the document is from: by its ResponseID, or else who was asked.
    pub(super) fn id(&self) -> Option<Id> {
        self.response.or(self.request)
    }
}

/// The marks of the DCC's throttling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Throttle {
    /// How many alerts an alert stands for.
    pub(super) weight: u32,
    /// Its number in the sequence.
    pub(super) sequence: Option<u32>,
}

impl Throttle {
    /// Those of an alert that nobody throttled.
    pub(super) const NONE: Self = Self { weight: 1, sequence: None };

    /// Reads the marks of an alert.
    pub(super) fn read(alert: Element<'_>, count: ThrottledCount, notices: Notices<'_>) -> Result<Self, Wrong> {
        let sequence = field(alert, "ThrottledAlertSequenceId")?.and_then(|text| {
            let number = text.parse().ok();
            if number.is_none() {
                let message = format!("expected an integer of 32 bits, found {}; taken as not stated", shown(text));
                notices("ThrottledAlertSequenceId", message);
            }
            number
        });
        Ok(Self { weight: weight(alert, count)?, sequence })
    }
}

/// How many alerts an alert stands for.
fn weight(alert: Element<'_>, throttled: ThrottledCount) -> Result<u32, Wrong> {
    let copies = field(alert, "ThrottledAlertCount")?.map(|text| {
        let wrong = |_| ("ThrottledAlertCount", format!("expected an integer of 32 bits, found {}", shown(text)));
        text.parse::<u32>().map_err(wrong)
    });
    Ok(match (copies.transpose()?, throttled) {
        (None, _) => 1,
        (Some(withheld), ThrottledCount::Withheld) => withheld.saturating_add(1),
        (Some(all), ThrottledCount::All) => all.max(1),
    })
}

/// Reads `EUI-64:EUI-64:counter`.
pub(super) fn id(text: &str) -> Result<Id, String> {
    let wrong = || format!("expected EUI-64:EUI-64:counter, found {}", shown(text));
    let (rest, counter) = text.rsplit_once(':').ok_or_else(wrong)?;
    // An EUI-64 may be written with colons too.
    let middle = rest.len() / 2;
    let (from, to) = rest.split_at_checked(middle).ok_or_else(wrong)?;
    let to = to.strip_prefix(':').ok_or_else(wrong)?;
    let eui = |text: &str| Eui64::from_str(text).map_err(|_| wrong());
    Ok(Id { from: eui(from)?, to: eui(to)?, counter: Some(counter.parse().map_err(|_| wrong())?) })
}
