//! Responses to requests that read a meter: what they share, whatever was read.
//!
//! Invariant: what a response holds is of the device that its message names, or of none.
//!
//! ```text
//! Response / Body / ResponseMessage        ServiceReference, and GBCSPayload: not parsed
//! GBCSResponse or SMETS1Response           by itself, or within a Response
//!   Header   BusinessOriginatorID (the meter), Timestamp? (ClockStatus)
//!   Body / ResponseMessage / SMETSData / ...Rsp (MessageSuccess)
//! ```

use std::io::BufRead;

use jiff::tz::TimeZone;

use super::{
    DOCUMENT_BYTES_LIMIT, Wrong,
    header::{Notices, field, id},
    items::Items,
    time,
    tree::{Element, Tree},
};
use crate::{
    domain::{Eui64, Millis},
    intake::{LineError, form::Form, identifiers, shown},
};

/// What makes items of a document: the document, the zone of times that state none, what is to be said, and the items.
pub(in crate::intake) type Take<T> =
    Box<dyn FnMut(&Tree, Option<&TimeZone>, Notices<'_>, &mut Vec<Result<T, Wrong>>) -> Result<(), Wrong> + Send>;

/// The items of response documents.
pub struct Responses<R, T> {
    items: Items<R, T>,
    zone: Option<TimeZone>,
    take: Take<T>,
}

impl<R: BufRead, T> Responses<R, T> {
    /// Takes the input; nothing is read yet.
    pub(in crate::intake) fn new(take: Take<T>, reader: R, form: &Form) -> Self {
        Self { items: Items::new(reader, DOCUMENT_BYTES_LIMIT, form.encoding), zone: form.zone.clone(), take }
    }

    /// Returns the line on which the document of the last item begins.
    pub fn line(&self) -> u64 {
        self.items.line()
    }

    /// Returns the next remark: something noteworthy that loses no data. Call it after each item and at the end.
    pub fn remark(&mut self) -> Option<LineError> {
        self.items.remark()
    }
}

impl<R: BufRead, T> Iterator for Responses<R, T> {
    type Item = Result<T, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { items, zone, take } = self;
        items.next(|tree, _, notices, items| take(tree, zone.as_ref(), notices, items))
    }
}

/// The message that a response is in.
pub(super) struct Message<'t> {
    /// The meter that answered.
    pub(super) device: Eui64,
    header: Option<Element<'t>>,
    envelope: Option<Element<'t>>,
}

impl<'t> Message<'t> {
    /// Reads the headers around a response.
    pub(super) fn around(response: Element<'t>) -> Result<Self, Wrong> {
        let header_of = |names: &[&str]| response.within(names).and_then(|message| message.child("Header"));
        let (header, envelope) = (header_of(&["GBCSResponse", "SMETS1Response"]), header_of(&["Response"]));
        let inner = header.map(|header| field(header, "BusinessOriginatorID")).transpose()?.flatten();
        let inner = inner.map(identifiers::device).transpose().map_err(|why| ("BusinessOriginatorID", why))?;
        let outer = envelope.map(sender).transpose()?.flatten();
        match (inner, outer) {
            (Some(inner), Some(outer)) if inner != outer => {
                let why = format!("{inner}, but the ResponseID begins with {outer}: whose meter was read is in doubt");
                Err(("BusinessOriginatorID", why))
            }
            (None, None) => {
                Err(("BusinessOriginatorID", "it is missing, and so is a ResponseID: whose meter was read?".to_owned()))
            }
            (inner, outer) => Ok(Self { device: inner.or(outer).unwrap_or(Eui64::NONE), header, envelope }),
        }
    }

    /// What the meter said of its clock, where that is not well.
    pub(super) fn clock(&self) -> Option<&'t str> {
        let status = self.header?.child("Timestamp")?.clock_status()?;
        (!status.eq_ignore_ascii_case("reliable")).then_some(status)
    }

    /// When the meter answered, or else the DCC.
    pub(super) fn answered_ms(&self, zone: Option<&TimeZone>) -> Result<Millis, Wrong> {
        let by_meter = self.header.and_then(|header| header.child_text("Timestamp"));
        let by_dcc = self.envelope.and_then(|header| header.child_text("ResponseDateTime"));
        match (by_meter, by_dcc) {
            (Some(text), _) => time::read(text, zone).map_err(|why| ("Timestamp", why)),
            (None, Some(text)) => time::read(text, zone).map_err(|why| ("ResponseDateTime", why)),
            (None, None) => {
                Err(("ResponseDateTime", "it is missing, and so is a Timestamp: when was this so?".to_owned()))
            }
        }
    }
}

/// The first party of a header's ResponseID: who answered.
fn sender(header: Element<'_>) -> Result<Option<Eui64>, Wrong> {
    let id = field(header, "ResponseID")?.map(id).transpose().map_err(|why| ("ResponseID", why))?;
    Ok(id.map(|id| id.from))
}

/// Who answered, by the ResponseID of a document.
pub(super) fn stated_by(root: Element<'_>) -> Result<Option<Eui64>, Wrong> {
    root.child("Header").map(sender).transpose().map(Option::flatten)
}

/// The message of a response to one of these services that was not parsed.
pub(super) fn raw_of<'t>(root: Element<'t>, services: &[&str]) -> Option<Element<'t>> {
    let is_of = |found: &Element<'_>| found.name().starts_with("ServiceReference") && services.contains(&found.text());
    root.descendants().any(|found| is_of(&found)).then(|| root.find("GBCSPayload")).flatten()
}

/// Rejects a document in which the DCC refuses the request.
pub(super) fn check_code(root: Element<'_>) -> Result<(), Wrong> {
    match root.find("ResponseCode").map(Element::text).filter(|code| code.starts_with('E')) {
        Some(code) => {
            Err(("ResponseCode", format!("{}: the DCC refused the request; nothing beside it is loaded", shown(code))))
        }
        None => Ok(()),
    }
}

/// Says why a document has no parsed response of a kind. `element` is what one has.
pub(super) fn without(root: Element<'_>, services: &[&str], element: &str, notices: Notices<'_>) -> Result<(), Wrong> {
    if raw_of(root, services).is_some() {
        let what = "load what the DCC's Parse and Correlate software makes of it";
        return Err(("GBCSPayload", format!("the response is not parsed; {what} ({element})")));
    }
    check_code(root)?;
    if root.find("GBCSData").is_some() {
        return Err(("GBCSData", format!("the response was parsed in part, for a second pass, which makes {element}")));
    }
    let services = services.join(" or ");
    notices("Body", format!("it holds no {element} (the response to service request {services}); passed over"));
    Ok(())
}
