//! The header of a response: who sent it to whom under which counter, when, and how many alerts it stands for.

use std::str::FromStr;

use jiff::tz::TimeZone;

use super::{super::shown, ThrottledCount, Wrong, time, tree::Element};
use crate::domain::{
    Alert, AlertCode, DccTimeStatus, Details, Eui64, Generation, Message, Millis, Note, PayloadKind, TimeStatus,
};

/// Longest text of a field.
pub(super) const TEXT_BYTES_MAX: usize = 200;
/// Longest text that is shown whole beside another one.
const SHOWN_WHOLE_MAX: usize = 100;

/// What a document tells to whoever sends it, though no alert is lost by it: the field, and what is to be said.
pub(super) type Notices<'a> = &'a mut dyn FnMut(&str, String);

/// The text of a child, `None` where there is none or it is blank. Where it is there twice, with different texts, nothing
/// says which one counts.
pub(super) fn field<'t>(of: Element<'t>, name: &'static str) -> Result<Option<&'t str>, Wrong> {
    let mut texts =
        of.children().filter(|child| child.name() == name).map(Element::text).filter(|text| !text.is_empty());
    let Some(text) = texts.next() else { return Ok(None) };
    // Codes, ids and numbers: the case of their letters says nothing.
    if let Some(other) = texts.find(|other| !other.eq_ignore_ascii_case(text)) {
        // Ids differ at their ends.
        let is_plain = |text: &str| text.len() <= SHOWN_WHOLE_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
        let whole = |text: &str| if is_plain(text) { format!("{text:?}") } else { shown(text) };
        return Err((name, format!("it occurs twice, as {} and as {}; expected one", whole(text), whole(other))));
    }
    if text.len() > TEXT_BYTES_MAX {
        Err((name, format!("longer than {TEXT_BYTES_MAX} bytes")))
    } else {
        Ok(Some(text))
    }
}

/// The only child of a name. Where there are several with different texts, nothing says which one counts.
pub(super) fn only<'t>(of: Element<'t>, name: &str) -> Result<Option<Element<'t>>, String> {
    let mut named = of.children().filter(|child| child.name() == name);
    let Some(first) = named.next() else { return Ok(None) };
    match named.any(|other| other.text() != first.text()) {
        true => Err("it occurs twice, with different contents; expected one".to_owned()),
        false => Ok(Some(first)),
    }
}

/// The text of the elements of a name that lie in another, however deep. None where there is no text; where there are several
/// different ones nothing says which one counts, so all are left out, with a note.
pub(super) fn sole_text<'t>(of: Element<'t>, names: &[&str], notices: Notices<'_>) -> Option<&'t str> {
    let named = of.descendants().filter(|element| names.contains(&element.name()) && !element.text().is_empty());
    let mut named = named.peekable();
    let first = *named.peek()?;
    if named.any(|other| other.text() != first.text()) {
        notices(first.name(), "it occurs twice, with different texts: left out".to_owned());
        return None;
    }
    Some(first.text())
}

/// A text as a note, and whether it is cut.
pub(super) fn note_of(name: &str, text: &str, notices: Notices<'_>) -> Note {
    let note = Note::new(text);
    if text.trim().len() > Note::BYTES_MAX {
        let max = Note::BYTES_MAX;
        notices(name, format!("{} bytes, of which a note keeps {max}: it ends with ...", text.trim().len()));
    }
    note
}

/// A small number of an alert; one that cannot be read is not stated.
pub(super) fn number<T: FromStr>(of: Element<'_>, name: &'static str, notices: Notices<'_>) -> Option<T> {
    if is_empty(of, name) {
        notices(name, "it is empty; taken as not stated".to_owned());
        return None;
    }
    let read = field(of, name).and_then(|text| {
        let wrong = |text| (name, format!("expected an integer of 32 bits, found {}", shown(text)));
        text.map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    });
    read.unwrap_or_else(|(name, why)| {
        notices(name, format!("{why}; taken as not stated"));
        None
    })
}

/// Whether an element states nothing, though it is there.
fn is_empty(of: Element<'_>, name: &str) -> bool {
    of.child(name).is_some() && of.children().filter(|child| child.name() == name).all(|child| child.text().is_empty())
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
    /// What is wrong with an id that cannot be read.
    unread: Option<Wrong>,
    /// Zone of times that state none, if the caller knows one.
    zone: Option<TimeZone>,
}

impl Header {
    /// Reads a header; without one, nothing is stated. What cannot be read of it costs no alert that names its device itself.
    pub(super) fn read(header: Option<Element<'_>>, zone: Option<TimeZone>, notices: Notices<'_>) -> Self {
        let dcc_time = DccTimeStatus::AsStated;
        let mut read = Self { response: None, request: None, dcc_ms: None, dcc_time, unread: None, zone };
        let Some(header) = header else { return read };
        read.response = read.id_in(header, "ResponseID", notices);
        let request = read.id_in(header, "RequestID", notices);
        read.request = request.map(|Id { from, to, .. }| Id { from: to, to: from, counter: None });
        match field(header, "ResponseDateTime") {
            Ok(None) => {}
            // 0 stands for a time that is not stated, and no DCC was there in 1970.
            Ok(Some(text)) => match time::read(text, read.zone.as_ref()).map(|ms| Some(ms).filter(|ms| *ms != 0)) {
                Ok(Some(ms)) => read.dcc_ms = Some(ms),
                Ok(None) => read.leave_out("expected a time after 1970".to_owned(), notices),
                Err(why) => read.leave_out(why, notices),
            },
            Err((_, why)) => read.leave_out(why, notices),
        }
        read
    }

    /// The id in an element of the header, where it can be read.
    fn id_in(&mut self, header: Element<'_>, name: &'static str, notices: Notices<'_>) -> Option<Id> {
        let read = field(header, name).and_then(|text| text.map(id).transpose().map_err(|why| (name, why)));
        read.unwrap_or_else(|(name, why)| {
            notices(name, format!("{why}; taken as not stated"));
            self.unread.get_or_insert((name, why));
            None
        })
    }

    fn leave_out(&mut self, why: String, notices: Notices<'_>) {
        self.dcc_time = DccTimeStatus::LeftOut;
        notices("ResponseDateTime", format!("{why}; the alert is taken without it"));
    }

    /// The time in an element, or that there is none which can be read.
    pub(super) fn time(&self, element: Element<'_>, notices: Notices<'_>) -> (Option<Millis>, TimeStatus) {
        match time::read(element.text(), self.zone.as_ref()) {
            Ok(ms) => (Some(ms), TimeStatus::Stated),
            Err(why) => {
                notices(element.name(), format!("{why}; the alert is taken without it"));
                (None, TimeStatus::LeftOut)
            }
        }
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

    /// Who the document is from: by its ResponseID, or else who was asked. One whose ResponseID cannot be read is of nobody.
    pub(super) fn id(&self) -> Option<Id> {
        let request = self.request.filter(|_| self.unread.is_none());
        self.response.or(request)
    }

    /// Why nothing says who the document is from: an id that cannot be read, or else the lack of one, in the words given.
    pub(super) fn nobody(&self, field: &'static str, missing: String) -> Wrong {
        self.unread.clone().unwrap_or((field, missing))
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
    pub(super) fn read(alert: Element<'_>, (count, weight_max): (ThrottledCount, u32), notices: Notices<'_>) -> Self {
        let sequence = number(alert, "ThrottledAlertSequenceId", notices);
        Self { weight: weight(alert, (count, weight_max), notices), sequence }
    }
}

/// How many alerts an alert stands for: one where its count cannot be read, and never more than `weight_max`, which a host
/// takes.
fn weight(alert: Element<'_>, (throttled, weight_max): (ThrottledCount, u32), notices: Notices<'_>) -> u32 {
    const FIELD: &str = "ThrottledAlertCount";
    let text = match field(alert, FIELD) {
        Ok(Some(text)) => text,
        Ok(None) => {
            if is_empty(alert, FIELD) {
                notices(FIELD, "it is empty; the alert is taken as one".to_owned());
            }
            return 1;
        }
        Err((_, why)) => {
            notices(FIELD, format!("{why}; the alert is taken as one"));
            return 1;
        }
    };
    let Ok(copies) = text.parse::<u128>() else {
        notices(FIELD, format!("expected a whole number, found {}; the alert is taken as one", shown(text)));
        return 1;
    };
    let all = match throttled {
        ThrottledCount::Withheld => copies.saturating_add(1),
        ThrottledCount::All => copies.max(1),
    };
    u32::try_from(all).ok().filter(|weight| *weight <= weight_max).unwrap_or_else(|| {
        notices(FIELD, format!("{} is more than one alert can stand for; taken as {weight_max}", shown(text)));
        weight_max
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
    let eui = |text: &str| {
        let eui = Eui64::from_str(text).map_err(|_| wrong())?;
        eui.of_device().map_err(|error| error.to_string())
    };
    Ok(Id { from: eui(from)?, to: eui(to)?, counter: Some(counter.parse().map_err(|_| wrong())?) })
}
