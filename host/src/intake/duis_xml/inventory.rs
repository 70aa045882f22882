//! The DCC's inventory, as the response to service request 8.2 (Read Inventory) has it: documents in, devices out.
//!
//! Invariant: a device is taken whole or named whole, and one that cannot be read costs no other of its document.
//!
//! ```text
//! Response / Body / ResponseMessage   ServiceReference (8.2)
//!   DSPInventory
//!     Device*   DeviceID, DeviceType, DeviceStatus?, DeviceManufacturer, DeviceModel,
//!               ImportMPxN?, SecondaryImportMPAN?, ExportMPAN?, CSPRegion?, S1SP?, Device*
//! ```
//!
//! Generation: an `S1SP`, or the `CSPRegion` `SMETS1`, says SMETS1; another region of the schema says SMETS2. A `Device`
//! may lie in another one, at any depth. The hub of a device is the `CHF` that it lies in, or else the one `CHF` of its
//! inventory that is in service. A device that was decommissioned or withdrawn has no metering point any more. A document states no
//! operator, so a device keeps the one it has unless its MPAN has moved to another distributor; a hub that nobody has yet is of
//! the distributor of its meters.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::BufRead,
    str::FromStr,
};

use super::{
    DOCUMENT_BYTES_LIMIT, Wrong,
    header::{Notices, field},
    items::Items,
    tree::{Element, Tree},
};
use crate::{
    domain::{DeviceType, Eui64, Generation, Mpxn, OperatorId, PlacementChange, PointRole},
    intake::{
        LineError, identifiers,
        inventory::{Row, in_two_roles, model},
        shown,
        text::Encoding,
    },
};

/// The service whose response has an inventory.
const SERVICE: &str = "8.2";

/// How an inventory is divided that is too long for one document.
const DIVIDED: &str = "divide it: a document is a Response with its Header and a DSPInventory that has some of the Device \
                       elements, and one file may have many";

/// Statuses of a device that is at no metering point any more.
const GONE: [&str; 2] = ["Decommissioned", "Withdrawn"];

/// The other statuses of the schema.
const STATUSES: [&str; 7] =
    ["Pending", "Whitelisted", "InstalledNotCommissioned", "Commissioned", "Suspended", "Recovery", "Recovered"];

/// Regions in which SMETS2 devices are served.
const SMETS2_REGIONS: [&str; 6] = ["North", "Central", "South", "4G North", "4G Central", "4G South"];
const SMETS1_REGION: &str = "SMETS1";
const UNKNOWN_REGION: &str = "Unknown";

/// The devices of documents.
pub struct Inventory<R>(Items<R, Row>);

impl<R: BufRead> Inventory<R> {
    /// Takes the input; nothing is read yet. `encoding` is that of documents that state none.
    pub fn new(reader: R, encoding: Option<Encoding>) -> Self {
        Self(Items::new(reader, DOCUMENT_BYTES_LIMIT, encoding).divided_by(DIVIDED))
    }

    /// Returns the line on which the document of the last item begins.
    pub fn line(&self) -> u64 {
        self.0.line()
    }

    /// Returns the next remark: something noteworthy that loses no data. Call it after each item and at the end.
    pub fn remark(&mut self) -> Option<LineError> {
        self.0.remark()
    }
}

impl<R: BufRead> Iterator for Inventory<R> {
    type Item = Result<Row, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(|tree, _, notices, rows| take(tree, notices, rows))
    }
}

/// Reads the devices of a document.
fn take(tree: &Tree, notices: Notices<'_>, rows: &mut Vec<Result<Row, Wrong>>) -> Result<(), Wrong> {
    let refusal = tree.root().find("ResponseCode").map(Element::text).filter(|code| code.starts_with('E'));
    let mut found = false;
    for inventory in tree.root().descendants().filter(|element| element.name() == "DSPInventory") {
        found = true;
        if let Some(code) = refusal {
            let why = format!("{}: the DCC refused the request; the inventory beside it is not loaded", shown(code));
            return Err(("ResponseCode", why));
        }
        check_service(inventory)?;
        let devices = devices(inventory, notices);
        if devices.is_empty() {
            notices("DSPInventory", "it has no Device, so that nothing is loaded of it".to_owned());
        }
        rows.extend(devices);
    }
    if found {
        return Ok(());
    }
    match refusal {
        Some(code) => {
            let why = format!("{}: the DCC refused the request, and there is no inventory in the answer", shown(code));
            Err(("ResponseCode", why))
        }
        None => {
            notices("Body", "it holds no DSPInventory (the response to service request 8.2); passed over".to_owned());
            Ok(())
        }
    }
}

/// Rejects an inventory that is the answer to another request: what its devices are then is not known.
fn check_service(inventory: Element<'_>) -> Result<(), Wrong> {
    let message = inventory.within(&["ResponseMessage"]);
    match message.and_then(|message| message.child_text("ServiceReference")) {
        None | Some(SERVICE) => Ok(()),
        Some(other) => Err(("ServiceReference", format!("expected {SERVICE}, found {}", shown(other)))),
    }
}

fn devices(inventory: Element<'_>, notices: Notices<'_>) -> Vec<Result<Row, Wrong>> {
    let is_own =
        |element: &Element<'_>| element.name() == "Device" && element.within(&["DSPInventory"]) == Some(inventory);
    let elements: Vec<Element<'_>> = inventory.descendants().filter(is_own).collect();
    let hub = hub_of(&elements, notices);
    let mut read: Vec<Result<Row, Wrong>> = Vec::with_capacity(elements.len());
    for element in &elements {
        let hub = match hub_around(*element) {
            Some(around) => hub_id(around),
            None => hub,
        };
        read.push(device(*element, hub, notices));
    }
    // By hub. `None` holds those of all devices, for a hub that no device names.
    let mut distributors: BTreeMap<Option<Eui64>, BTreeSet<OperatorId>> = BTreeMap::new();
    for row in read.iter().flatten() {
        let hub = row.placement.hub.filter(|hub| *hub != Eui64::NONE);
        for of in std::iter::once(None).chain(hub.map(Some)) {
            distributors.entry(of).or_default().extend(row.placement.distributor(row.mpxn));
        }
    }
    let operator_of = |hub: Eui64| {
        let own = distributors.get(&Some(hub)).or_else(|| distributors.get(&None));
        own.filter(|own| own.len() == 1).and_then(|own| own.first().copied()).unwrap_or_default()
    };
    let with_operator = |row: Row| {
        let is_hub = row.placement.kind == Some(DeviceType::Chf);
        if is_hub { Row { operator: operator_of(row.eui), ..row } } else { row }
    };
    read.into_iter().map(|row| row.map(with_operator)).collect()
}

fn is_hub(element: &Element<'_>) -> bool {
    element.child_text("DeviceType").and_then(|kind| kind.parse().ok()) == Some(DeviceType::Chf)
}

/// True if a device is in service no more.
fn is_gone(element: Element<'_>) -> bool {
    element.child_text("DeviceStatus").is_some_and(|status| is_one_of(status, &GONE))
}

/// The identifier of a hub, where it can be read and the hub is in service.
fn hub_id(element: Element<'_>) -> Option<Eui64> {
    element.child_text("DeviceID").filter(|_| !is_gone(element)).and_then(|id| identifiers::device(id).ok())
}

/// The nearest hub that a device lies in.
fn hub_around(element: Element<'_>) -> Option<Element<'_>> {
    std::iter::successors(element.parent(), |element| element.parent())
        .find(|around| around.name() == "Device" && is_hub(around))
}

/// The hub of an inventory, where it has one in service.
fn hub_of(elements: &[Element<'_>], notices: Notices<'_>) -> Option<Eui64> {
    let hubs: Vec<&Element<'_>> = elements.iter().filter(|element| is_hub(element)).collect();
    let serving = hubs.iter().filter(|element| !is_gone(***element));
    let mut ids: Vec<Option<Eui64>> = serving.map(|element| hub_id(**element)).collect();
    ids.sort_unstable();
    ids.dedup();
    let why = match ids[..] {
        [Some(only)] => return Some(only),
        [] => "none of its CHFs is in service".to_owned(),
        [None] => "the DeviceID of its CHF cannot be read".to_owned(),
        _ => format!("it has {} CHFs in service", ids.len()),
    };
    let is_free = |element: &&Element<'_>| !is_hub(element) && hub_around(**element).is_none();
    if !hubs.is_empty() && elements.iter().any(|element| is_free(&element)) {
        notices("DSPInventory", format!("{why}: the hub of its other devices stays as it is"));
    }
    None
}

/// Returns true if a text is one of some words, whatever its case and blanks.
fn is_one_of(text: &str, words: &[&str]) -> bool {
    let letters = |text: &str| text.split_whitespace().collect::<String>().to_ascii_lowercase();
    let text = letters(text);
    words.iter().any(|word| letters(word) == text)
}

fn device(element: Element<'_>, hub: Option<Eui64>, notices: Notices<'_>) -> Result<Row, Wrong> {
    let id = field(element, "DeviceID")?.ok_or_else(|| ("DeviceID", "it is missing".to_owned()))?;
    let eui = identifiers::device(id).map_err(|why| ("DeviceID", why))?;
    let of = |why: String| format!("{why}; of device {eui}");
    let told = |name: &'static str| field(element, name).map_err(|(name, why)| (name, of(why)));
    let kind = told("DeviceType")?.ok_or_else(|| ("DeviceType", of("it is missing".to_owned())))?;
    let kind = DeviceType::from_str(kind).unwrap_or_else(|_| {
        notices("DeviceType", format!("{} of {eui} is not known; taken as unknown", shown(kind)));
        DeviceType::Unknown
    });
    let status = told("DeviceStatus")?;
    if let Some(status) = status.filter(|status| !is_one_of(status, &GONE) && !is_one_of(status, &STATUSES)) {
        notices("DeviceStatus", format!("{} of {eui} is not known; taken as in service", shown(status)));
    }
    let status = status.filter(|status| is_one_of(status, &GONE));
    let mut point = |name: &'static str| -> Result<Mpxn, Wrong> {
        let read = told(name)?.map(identifiers::mpxn).transpose().map_err(|why| (name, of(why)))?;
        let mpxn = read.unwrap_or_default();
        if mpxn != Mpxn::NONE && name != "ImportMPxN" && mpxn.distributor().is_none() {
            return Err((name, of(format!("{mpxn} is an MPRN; an MPAN has 13 digits"))));
        }
        match status {
            Some(status) if mpxn != Mpxn::NONE => {
                notices(name, format!("{eui} is {status}: it is at {mpxn} no more"));
                Ok(Mpxn::NONE)
            }
            _ => Ok(mpxn),
        }
    };
    let (mpxn, secondary, export) = (point("ImportMPxN")?, point("SecondaryImportMPAN")?, point("ExportMPAN")?);
    let names = [told("DeviceManufacturer")?, told("DeviceModel")?];
    let name = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let hub = if kind == DeviceType::Chf { Some(Eui64::NONE) } else { hub };
    let (s1sp, region) = (told("S1SP")?, told("CSPRegion")?);
    let generation = generation(s1sp, region).unwrap_or_else(|| {
        let region = shown(region.unwrap_or_default());
        notices("CSPRegion", format!("{region} of {eui} is not known; the generation is taken as unknown"));
        Generation::Unknown
    });
    let row = Row {
        eui,
        mpxn,
        generation,
        model: model(&name).map_err(|why| ("DeviceModel", of(why)))?,
        operator: OperatorId::UNKNOWN,
        keep_operator: true,
        labels: Vec::new(),
        placement: PlacementChange { secondary: Some(secondary), export: Some(export), kind: Some(kind), hub },
    };
    match row.point_in_two_roles() {
        None => Ok(row),
        Some((mpan, role)) => {
            let name = if role == PointRole::Export { "ExportMPAN" } else { "SecondaryImportMPAN" };
            Err((name, in_two_roles(mpan, eui)))
        }
    }
}

/// The generation, by who serves a SMETS1 device or where a SMETS2 one is served; `None` where the region is not known.
fn generation(s1sp: Option<&str>, region: Option<&str>) -> Option<Generation> {
    match (s1sp, region) {
        (Some(_), _) => Some(Generation::Smets1),
        (None, None) => Some(Generation::Unknown),
        (None, Some(region)) if is_one_of(region, &[SMETS1_REGION]) => Some(Generation::Smets1),
        (None, Some(region)) if is_one_of(region, &SMETS2_REGIONS) => Some(Generation::Smets2),
        (None, Some(region)) => is_one_of(region, &[UNKNOWN_REGION]).then_some(Generation::Unknown),
    }
}

#[cfg(test)]
mod tests;
