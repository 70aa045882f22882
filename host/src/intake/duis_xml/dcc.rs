//! Alerts of the DCC itself: which devices they are of, and when it happened.
//!
//! An alert is of the device that its tree names, by these rules, the first that names any:
//!
//! 1. each PowerOutageEvent is an alert of the communications hub that it names;
//! 2. NewGPFDeviceID within a GPFDeviceLog, else NewCHFDeviceID, in the place of the old one;
//! 3. CommsHubDeviceID; 4. CHFDeviceID;
//! 5. the DeviceID in whose parent all others lie;
//! 6. the only other device, by whatever element whose name ends with DeviceID, or a list of devices;
//! 7. the device that was asked, by the only request id in the tree, or else by that in the header;
//! 8. the sender.
//!
//! OtherDeviceID, TargetDeviceID and the like never name the subject. Invariant: where the tree names devices and no rule tells
//! which, the alert is of its sender and that is said; the sender never stands in the place of a device that is named.

use std::{collections::BTreeMap, str::FromStr};

use super::{
    Wrong,
    device::digest_of,
    header::{Header, Notices, Throttle, id, note_of, sole_text},
    tree::Element,
};
use crate::domain::{Alert, AlertCode, Details, Eui64, Generation, Message, Millis, Mpxn, Note, TimeStatus};

/// Elements of a time of occurrence.
const TIMES: [&str; 4] = ["StartDateTime", "DateTime", "Timestamp", "TimeStamp"];
/// Elements of devices that an alert is about beside its subject.
const BESIDE: [&str; 7] = [
    "OtherDeviceID",
    "TargetDeviceID",
    "DeviceIDToSuspend",
    "OldCHFDeviceID",
    "OldGPFDeviceID",
    "OldDeviceID",
    "OldCommsHubDeviceID",
];

/// Where and when something happened.
struct Subject {
    device: Eui64,
    occurred_ms: Option<Millis>,
    time: TimeStatus,
    mpxn: Mpxn,
    /// A digest of all that the document says of it, where it may say several of one device.
    said: u64,
}

/// Returns the alerts of a document, and what is wrong with single outages of it. `digest` is that of the document, which tells it from others where no counter does.
pub(super) fn alerts(
    header: &Header,
    (code, throttle): (AlertCode, Throttle),
    message: Element<'_>,
    digest: u64,
    notices: Notices<'_>,
) -> Vec<Result<Alert, Wrong>> {
    let subjects = match message.child("DCCAlert") {
        Some(tree) => subjects(header, tree, notices),
        None => vec![sender(header).map(untimed)],
    };
    let (from, recipient, counter) =
        header.id().map_or((Eui64::NONE, Eui64::NONE, None), |id| (id.from, id.to, id.counter));
    let sender = if counter.is_some() { from } else { Eui64::NONE };
    let digest = if counter.is_none() { digest } else { 0 };
    let smets1 = message.find("S1SPAlert").is_some();
    let (inner_code, note) = passed_on(message, notices);
    // What was withheld is counted once, however many outages the document has.
    let mut throttle = throttle;
    let mut told: BTreeMap<(Eui64, Option<Millis>), Vec<u64>> = BTreeMap::new();
    let mut alert = |subject: Subject| {
        let Subject { device, occurred_ms, time, mpxn, said } = subject;
        let alert = header.alert(code, device, throttle);
        throttle.weight = 1;
        // Outages that no time tells from each other are numbered; the same one twice is one.
        let others = told.entry((device, occurred_ms.filter(|_| counter.is_some()))).or_default();
        let at = others.iter().position(|other| *other == said).unwrap_or(others.len());
        if at == others.len() {
            others.push(said);
        }
        let message = Message { sender, digest, time, instruction: at as u32, ..alert.message };
        let generation = if smets1 { Generation::Smets1 } else { Generation::Unknown };
        let details = Details { mpxn, inner_code, note, ..alert.details };
        Alert { recipient, counter, occurred_ms, generation, message, details, ..alert }
    };
    subjects.into_iter().map(|subject| subject.map(&mut alert)).collect()
}

fn subjects(header: &Header, tree: Element<'_>, notices: Notices<'_>) -> Vec<Result<Subject, Wrong>> {
    let outages: Vec<Element<'_>> = tree.descendants().filter(|element| element.name() == "PowerOutageEvent").collect();
    if !outages.is_empty() {
        return outages.into_iter().map(|outage| outage_of(header, outage, notices)).collect();
    }
    let subject = device_of(header, tree, notices).map(|(device, named_by)| {
        let (occurred_ms, time) = occurrence(header, tree, named_by, notices);
        Subject { device, occurred_ms, time, mpxn: point_of(tree, notices), said: 0 }
    });
    vec![subject]
}

/// One outage: of its hub, from its start on.
fn outage_of(header: &Header, outage: Element<'_>, notices: Notices<'_>) -> Result<Subject, Wrong> {
    let names_one = outage.descendants().any(|element| is_device(element) && !element.text().is_empty());
    let (device, named_by) = if names_one {
        device_of(header, outage, notices)?
    } else {
        let sender = sender(header)?;
        notices("CommsHubDeviceID", format!("it is missing: the outage is taken as of its sender, {sender}"));
        (sender, None)
    };
    let (occurred_ms, time) = occurrence(header, outage, named_by, notices);
    Ok(Subject { device, occurred_ms, time, mpxn: point_of(outage, notices), said: digest_of(outage) })
}

/// The device's own code that an alert passes on, and what else it says in words.
fn passed_on(message: Element<'_>, notices: Notices<'_>) -> (Option<AlertCode>, Note) {
    let Some(tree) = message.child("DCCAlert") else { return (None, Note::default()) };
    let code = inner_code(tree, notices);
    let mut words = Vec::new();
    for name in ["S1SPAlertCode", "ECoSAlertCode", "ECoSErrorCode", "AdditionalInformation"] {
        words.extend(sole_text(tree, &[name], notices));
    }
    (code, note_of("AdditionalInformation", &words.join(": "), notices))
}

/// The device's own code, where all that state one state the same.
fn inner_code(tree: Element<'_>, notices: Notices<'_>) -> Option<AlertCode> {
    let is_code = |element: &Element<'_>| matches!(element.name(), "AlertCode" | "DeviceAlertCode");
    let codes = tree.descendants().filter(is_code);
    let mut codes = codes.filter_map(|element| Some((element.name(), AlertCode::from_str(element.text()).ok()?)));
    let (name, first) = codes.next()?;
    if let Some((_, other)) = codes.find(|(_, code)| *code != first) {
        notices(name, format!("it occurs twice, as {first} and as {other}: left out"));
        return None;
    }
    Some(first)
}

fn untimed(device: Eui64) -> Subject {
    Subject { device, occurred_ms: None, time: TimeStatus::NotStated, mpxn: Mpxn::NONE, said: 0 }
}

/// The device that a tree is about, and the element that names it.
fn device_of<'t>(
    header: &Header,
    tree: Element<'t>,
    notices: Notices<'_>,
) -> Result<(Eui64, Option<Element<'t>>), Wrong> {
    let named =
        |name: &'static str| tree.descendants().filter(move |element| element.name().eq_ignore_ascii_case(name));
    let in_gpf_log = tree.find("GPFDeviceLog").is_some();
    let new = if in_gpf_log { "NewGPFDeviceID" } else { "NewCHFDeviceID" };
    for name in [new, "CommsHubDeviceID", "CHFDeviceID"] {
        let elements: Vec<Element<'t>> = named(name).collect();
        match distinct(&elements, name)?[..] {
            [] => {}
            [device] => return Ok((device, elements.first().copied())),
            _ => return sender_of_several(header, name, notices),
        }
    }
    let ids: Vec<Element<'t>> = named("DeviceID").collect();
    let outer = ids.iter().find(|id| id.parent().is_some_and(|around| ids.iter().all(|other| other.is_within(around))));
    let candidates = match outer {
        // Those beside it are of the same rank, those deeper belong to it.
        Some(outer) => ids.iter().copied().filter(|id| id.parent() == outer.parent()).collect(),
        None => ids,
    };
    match distinct(&candidates, "DeviceID")?[..] {
        [] => {}
        [device] => return Ok((device, candidates.first().copied())),
        _ => return sender_of_several(header, "DeviceID", notices),
    }
    let others: Vec<Element<'t>> = tree.descendants().filter(|element| is_device(*element)).collect();
    match distinct(&others, "DCCAlert")?[..] {
        [] => {}
        [device] => return Ok((device, others.first().copied())),
        _ => return sender_of_several(header, "DCCAlert", notices),
    }
    let mut asked: Vec<Eui64> = tree
        .descendants()
        .filter(|element| element.name().ends_with("RequestID"))
        .filter_map(|element| id(element.text()).ok())
        .map(|id| id.to)
        .collect();
    asked.dedup();
    match (asked[..].as_ref(), header.request) {
        ([device], _) => Ok((*device, None)),
        (_, Some(request)) => Ok((request.from, None)),
        _ => Ok((sender(header)?, None)),
    }
}

/// Whether an element names a device, or lists some, that can be the subject where nothing else is.
fn is_device(element: Element<'_>) -> bool {
    let name = element.name();
    let is_list = matches!(name, "MeterIDs" | "DeviceList" | "DeviceIDList") && element.is_leaf();
    is_list || (name.to_ascii_lowercase().ends_with("deviceid") && !BESIDE.contains(&name))
}

/// The devices that elements name, each once. What is wrong with one is said of the field.
fn distinct(elements: &[Element<'_>], field: &'static str) -> Result<Vec<Eui64>, Wrong> {
    let mut devices = Vec::new();
    for element in elements {
        for text in element.text().split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let read = Eui64::from_str(text).map_err(|error| error.to_string());
            let read = read.and_then(|device| device.of_device().map_err(|error| error.to_string()));
            let device = read.map_err(|why| {
                let name = element.name();
                (field, if name == field { why } else { format!("{name}: {why}") })
            })?;
            // More than two say no more than that there are several.
            if devices.len() < 2 && !devices.contains(&device) {
                devices.push(device);
            }
        }
    }
    Ok(devices)
}

fn sender_of_several<'t>(
    header: &Header,
    field: &str,
    notices: Notices<'_>,
) -> Result<(Eui64, Option<Element<'t>>), Wrong> {
    let sender = sender(header)?;
    notices(
        field,
        format!("it names several devices, and no rule tells which: the alert is taken as of its sender, {sender}"),
    );
    Ok((sender, None))
}

/// Whom the alert is from, where it names no device.
fn sender(header: &Header) -> Result<Eui64, Wrong> {
    let nobody = "it is missing, and the document names no device either: nothing says whom the alert is of";
    header.id().map(|id| id.from).ok_or_else(|| header.nobody("ResponseID", nobody.to_owned()))
}

/// When it happened: the time beside the element that names the device, or else the only one.
fn occurrence(
    header: &Header,
    tree: Element<'_>,
    named_by: Option<Element<'_>>,
    notices: Notices<'_>,
) -> (Option<Millis>, TimeStatus) {
    let times: Vec<Element<'_>> = tree.descendants().filter(|element| TIMES.contains(&element.name())).collect();
    let beside = named_by.and_then(|named| times.iter().find(|time| time.parent() == named.parent()));
    let again = |time: &Element<'_>, other: &Element<'_>| {
        other.parent() == time.parent() && other.name() == time.name() && other.text() != time.text()
    };
    if let Some(time) = beside.filter(|time| times.iter().any(|other| again(time, other))) {
        notices(time.name(), "it occurs twice beside the device, with different times: left out".to_owned());
        return (None, TimeStatus::LeftOut);
    }
    let told = match (beside, &times[..]) {
        (Some(time), _) | (None, [time]) => time,
        (None, []) => return (None, TimeStatus::NotStated),
        (None, [first, ..]) => {
            notices(first.name(), "the document states several times, and none beside the device: left out".to_owned());
            return (None, TimeStatus::LeftOut);
        }
    };
    header.time(*told, notices)
}

/// The metering point that a tree names: the first of several MPANs of one distributor, or else the first MPRN, which is of
/// none.
fn point_of(tree: Element<'_>, notices: Notices<'_>) -> Mpxn {
    const POINTS: [&str; 4] = ["MPxN", "ImportMPxN", "MPAN", "ImportMPAN"];
    let mut first = Mpxn::NONE;
    for element in tree.descendants().filter(|element| POINTS.contains(&element.name())) {
        match Mpxn::from_str(element.text()) {
            Ok(Mpxn::NONE) => {}
            Ok(point) if first == Mpxn::NONE || first.distributor().is_none() && point.distributor().is_some() => {
                first = point;
            }
            Ok(point) if point.distributor().is_none_or(|distributor| Some(distributor) == first.distributor()) => {}
            Ok(_) => {
                notices(
                    element.name(),
                    "metering points of several distributors: the alert is taken without".to_owned(),
                );
                return Mpxn::NONE;
            }
            Err(error) => notices(element.name(), format!("{error}; the alert is taken without it")),
        }
    }
    first
}
