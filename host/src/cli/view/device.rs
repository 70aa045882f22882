//! Devices.
//!
//! It must not know how devices are asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use weir_proto::v1;

use super::{alert::Balance, code, eui, generation, or, time};
use crate::{
    cli::{
        arguments::Names,
        table::{Table, Value},
    },
    domain::LabelKey,
};

/// What the inventory says of a device.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Device {
    pub device_id: Option<String>,
    pub mpxn: String,
    pub generation: &'static str,
    pub model: String,
    pub operator: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary_mpan: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export_mpan: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub_id: Option<String>,
    /// Labels by key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl From<v1::Device> for Device {
    fn from(message: v1::Device) -> Self {
        let kind = type_name(message.r#type());
        let v1::Device { device_id, mpxn, generation: number, model, operator, labels, .. } = message;
        let labels = labels.into_iter().map(|label| (label.key, label.value)).collect();
        // What a load is asked for is no part of a device.
        let v1::Device { secondary_mpan, export_mpan, r#type: _, hub_id, keep_operator: _, .. } = message;
        Self {
            device_id: eui(device_id),
            mpxn,
            generation: generation(number),
            model,
            operator,
            secondary_mpan,
            export_mpan,
            r#type: kind,
            hub_id: hub_id.and_then(eui),
            labels,
        }
    }
}

impl Device {
    /// Its metering points.
    pub(crate) fn points(&self) -> Vec<&str> {
        let all = [Some(&self.mpxn), self.secondary_mpan.as_ref(), self.export_mpan.as_ref()];
        all.into_iter().flatten().map(String::as_str).filter(|mpxn| !mpxn.is_empty()).collect()
    }

    /// What is known of it beside the columns of every device, each under its name.
    pub(crate) fn placement(&self) -> [(&'static str, Option<&str>); 4] {
        [
            ("secondary MPAN", self.secondary_mpan.as_deref()),
            ("export MPAN", self.export_mpan.as_deref()),
            ("type", self.r#type),
            ("hub", self.hub_id.as_deref()),
        ]
    }
}

/// Returns true for a device that an inventory lists, and not alerts alone.
pub(crate) fn is_listed(device: &v1::Device) -> bool {
    let v1::Device { mpxn, generation, model, operator, secondary_mpan, export_mpan, hub_id, .. } = device;
    let has_placement =
        secondary_mpan.is_some() || export_mpan.is_some() || hub_id.is_some() || device.r#type.is_some();
    !mpxn.is_empty() || *generation != 0 || !model.is_empty() || *operator != 0 || has_placement
}

fn type_name(kind: v1::DeviceType) -> Option<&'static str> {
    match kind {
        v1::DeviceType::Unspecified => None,
        v1::DeviceType::Esme => Some("ESME"),
        v1::DeviceType::Gsme => Some("GSME"),
        v1::DeviceType::Gpf => Some("GPF"),
        v1::DeviceType::Chf => Some("CHF"),
        v1::DeviceType::Hcalcs => Some("HCALCS"),
        v1::DeviceType::Ppmid => Some("PPMID"),
        v1::DeviceType::Ihd => Some("IHD"),
        v1::DeviceType::Cad => Some("CAD"),
    }
}

/// What one rule keeps for a device.
#[derive(Debug, Serialize)]
pub(crate) struct State {
    pub rule: String,
    /// `None` where the state is kept per device.
    pub code: Option<String>,
    pub words: Vec<u64>,
}

impl From<v1::DeviceState> for State {
    fn from(message: v1::DeviceState) -> Self {
        let v1::DeviceState { rule, code: number, words } = message;
        Self { rule, code: (number != 0).then(|| code(number)), words }
    }
}

/// One device with its counts and state.
#[derive(Debug, Serialize)]
pub(crate) struct DeviceView {
    pub device: Device,
    pub in_inventory: bool,
    pub balance: Balance,
    pub states: Vec<State>,
    pub position: u64,
    /// Absent where the counts are of all alerts there were.
    pub counted_since_ms: Option<i64>,
    /// Where it was asked for by a metering point: others that are at the point and gave way to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replaced_device_ids: Vec<String>,
}

impl From<v1::GetDeviceResponse> for DeviceView {
    fn from(message: v1::GetDeviceResponse) -> Self {
        let v1::GetDeviceResponse { device, in_inventory, balance, states, position, counted_since_ms, .. } = message;
        let v1::GetDeviceResponse { replaced_device_ids, .. } = message;
        Self {
            device: device.map(Device::from).unwrap_or_default(),
            in_inventory,
            balance: balance.map(Balance::from).unwrap_or_default(),
            states: states.into_iter().map(State::from).collect(),
            position,
            counted_since_ms,
            replaced_device_ids: replaced_device_ids.into_iter().filter_map(eui).collect(),
        }
    }
}

/// What loading an inventory did, or would do.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Load {
    pub dry_run: bool,
    pub added: u64,
    /// Of the added, those that alerts had named before.
    pub met: u64,
    pub changed: u64,
    pub operator_changed: u64,
    pub mpxn_changed: u64,
    pub generation_changed: u64,
    pub model_changed: u64,
    /// Of the changed, those with another secondary or export MPAN.
    pub other_points_changed: u64,
    pub type_changed: u64,
    pub hub_changed: u64,
    pub labels_changed: u64,
    pub unchanged: u64,
    /// Lines that could not be read and were skipped.
    pub unreadable_count: u64,
    /// Lines of devices with conflicting rows; none was loaded.
    pub in_doubt_count: u64,
    /// Lines that repeat an earlier one.
    pub repeated_count: u64,
    /// Lines whose operator is not the one that their MPAN begins with. They were taken as stated.
    pub wrong_operator_count: u64,
    /// What the file does not name though the inventory lists it, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
    /// The first of the changed.
    pub changes: Vec<Change>,
    /// How often a device was brought to a metering point while another one is at it.
    pub shared_point_count: u64,
    /// The first of them.
    pub shared_points: Vec<SharedPoint>,
    /// Devices that went to another operator, and whose hub stays with the one before.
    pub left_hub_count: u64,
    /// The first of them.
    pub left_hubs: Vec<LeftHub>,
}

/// A device that went to another operator without its hub.
#[derive(Debug, Serialize)]
pub(crate) struct LeftHub {
    pub device_id: Option<String>,
    /// Its operator now.
    pub operator: u32,
    pub hub_id: Option<String>,
    pub hub_operator: u32,
}

impl From<v1::LeftHub> for LeftHub {
    fn from(message: v1::LeftHub) -> Self {
        let v1::LeftHub { device_id, operator, hub_id, hub_operator } = message;
        Self { device_id: eui(device_id), operator, hub_id: eui(hub_id), hub_operator }
    }
}

/// Two devices at one metering point.
#[derive(Debug, Serialize)]
pub(crate) struct SharedPoint {
    pub mpxn: String,
    /// The device that was brought to it.
    pub device_id: Option<String>,
    /// The device that is at it too.
    pub other_device_id: Option<String>,
    /// Whether the other gives way; else nothing decides between them.
    pub is_replaced: bool,
}

impl From<v1::SharedPoint> for SharedPoint {
    fn from(message: v1::SharedPoint) -> Self {
        let v1::SharedPoint { mpxn, device_id, other_device_id, is_replaced } = message;
        Self { mpxn, device_id: eui(device_id), other_device_id: eui(other_device_id), is_replaced }
    }
}

/// Devices that a file does not name. Nothing is done about them.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Missing {
    pub device_count: u64,
    /// Of these, those whose metering point has another device in the file.
    pub replaced_count: u64,
    /// The first of them.
    pub devices: Vec<MissingDevice>,
}

/// A device that a file does not name.
#[derive(Debug, Serialize)]
pub(crate) struct MissingDevice {
    pub device_id: Option<String>,
    pub mpxn: String,
    /// A device that the file has at the same metering point.
    pub replaced_by: Option<String>,
}

/// A device that differed.
#[derive(Debug, Serialize)]
pub(crate) struct Change {
    pub before: Device,
    pub after: Device,
}

impl From<v1::DeviceChange> for Change {
    fn from(message: v1::DeviceChange) -> Self {
        let v1::DeviceChange { before, after } = message;
        let device = |device: Option<v1::Device>| device.map(Device::from).unwrap_or_default();
        Self { before: device(before), after: device(after) }
    }
}

/// What loading did, a line for each figure; what is no part of it has none.
pub(crate) fn load_table(load: &Load) -> Table {
    let all = [
        ("added", load.added, true),
        ("  known from alerts", load.met, false),
        ("changed", load.changed, true),
        ("  operator", load.operator_changed, false),
        ("  mpxn", load.mpxn_changed, false),
        ("  generation", load.generation_changed, false),
        ("  model", load.model_changed, false),
        ("  secondary or export MPAN", load.other_points_changed, false),
        ("  type", load.type_changed, false),
        ("  hub", load.hub_changed, false),
        ("  labels", load.labels_changed, false),
        ("unchanged", load.unchanged, true),
        ("unreadable", load.unreadable_count, true),
        ("rows of one device that differ", load.in_doubt_count, false),
        ("rows that are there before", load.repeated_count, false),
        ("metering points with another device", load.shared_point_count, false),
        ("hubs of the operator before", load.left_hub_count, false),
        ("operator against MPAN", load.wrong_operator_count, false),
        ("not in the file", load.missing.as_ref().map_or(0, |missing| missing.device_count), load.missing.is_some()),
        ("  replaced", load.missing.as_ref().map_or(0, |missing| missing.replaced_count), false),
    ];
    let told = all.into_iter().filter(|(_, count, always)| *always || *count > 0);
    let done = if load.dry_run { "nothing: a dry run" } else { "all below" };
    let figures = told.map(|(what, count, _)| (what, Value::Number(count)));
    Table::facts([("done", Value::text(done))].into_iter().chain(figures))
}

/// What changed, a row for each part of a device that did.
pub(crate) fn changes(changes: &[Change], names: &Names) -> Table {
    let mut table = Table::new(&["device", "part", "was", "is"]);
    for Change { before, after } in changes {
        let device = || Value::text(before.device_id.as_deref().unwrap_or("unknown"));
        let parts = [
            ("operator", names.operator(before.operator), names.operator(after.operator)),
            ("mpxn", or(&before.mpxn, "unknown").to_owned(), or(&after.mpxn, "unknown").to_owned()),
            ("generation", before.generation.to_owned(), after.generation.to_owned()),
            ("model", or(&before.model, "unknown").to_owned(), or(&after.model, "unknown").to_owned()),
        ];
        let value = |labels: &BTreeMap<String, String>, key: &String| {
            labels.get(key).map_or_else(|| "none".to_owned(), String::clone)
        };
        let keys: BTreeSet<&String> = before.labels.keys().chain(after.labels.keys()).collect();
        let labels = keys.into_iter().map(|key| (label(key), value(&before.labels, key), value(&after.labels, key)));
        let placed = before.placement().into_iter().zip(after.placement());
        let placed = placed.map(|((part, was), (_, is))| {
            (part.to_owned(), was.unwrap_or("unknown").to_owned(), is.unwrap_or("unknown").to_owned())
        });
        let parts = parts.into_iter().map(|(part, was, is)| (part.to_owned(), was, is));
        for (part, was, is) in parts.chain(placed).chain(labels).filter(|(_, was, is)| was != is) {
            table.row([device(), Value::Text(part), Value::text(was), Value::text(is)]);
        }
    }
    table
}

/// What a table calls a label: its key may be the name of another column.
fn label(key: &str) -> String {
    format!("label {key}")
}

/// Returns devices of the inventory as a table, with columns of some of their labels. Of what else none of them has there is
/// no column.
pub(crate) fn list(devices: &[Device], keys: &[LabelKey], names: &Names) -> Table {
    let placed: Vec<usize> =
        (0..4).filter(|at| devices.iter().any(|device| device.placement()[*at].1.is_some())).collect();
    let more = placed.iter().map(|at| Device::default().placement()[*at].0.to_owned());
    let own = keys.iter().map(|key| label(key.as_str()));
    let fixed = ["device", "mpxn", "generation", "model", "operator"].map(str::to_owned);
    let headings: Vec<String> = fixed.into_iter().chain(more).chain(own).collect();
    let mut table = Table::new(&headings);
    for device in devices {
        let Device { device_id, mpxn, generation, model, operator, labels, .. } = device;
        let own = keys.iter().map(|key| Value::text(labels.get(key.as_str()).map_or("", String::as_str)));
        let fixed = [
            Value::text(device_id.as_deref().unwrap_or("unknown")),
            Value::text(mpxn),
            Value::text(*generation),
            Value::text(model),
            Value::Text(names.operator(*operator)),
        ];
        let more = placed.iter().map(|at| Value::text(device.placement()[*at].1.unwrap_or("")));
        table.row(fixed.into_iter().chain(more).chain(own));
    }
    table
}

/// Returns devices that went to another operator without their hubs as a table.
pub(crate) fn left_hubs(left: &[LeftHub], names: &Names) -> Table {
    let mut table = Table::new(&["device", "is of", "its hub", "stays with"]);
    for LeftHub { device_id, operator, hub_id, hub_operator } in left {
        table.row([
            Value::text(device_id.as_deref().unwrap_or("unknown")),
            Value::Text(names.operator(*operator)),
            Value::text(hub_id.as_deref().unwrap_or("unknown")),
            Value::Text(names.operator(*hub_operator)),
        ]);
    }
    table
}

/// Returns devices at one metering point as a table.
pub(crate) fn shared(points: &[SharedPoint]) -> Table {
    let mut table = Table::new(&["metering point", "device", "also there", "found by it"]);
    for SharedPoint { mpxn, device_id, other_device_id, is_replaced } in points {
        let found = if *is_replaced { "the device, from this load on" } else { "none: nothing decides" };
        let texts = [mpxn, device_id.as_deref().unwrap_or("unknown"), other_device_id.as_deref().unwrap_or("unknown")];
        table.row(texts.into_iter().chain([found]).map(Value::text));
    }
    table
}

/// Devices that a file does not name, a row each.
pub(crate) fn missing(devices: &[MissingDevice]) -> Table {
    let mut table = Table::new(&["not in the file", "mpxn", "replaced by"]);
    for MissingDevice { device_id, mpxn, replaced_by } in devices {
        let texts = [device_id.as_deref().unwrap_or("unknown"), mpxn, replaced_by.as_deref().unwrap_or("")];
        table.row(texts.map(Value::text));
    }
    table
}

/// One device, a line for each of its facts.
pub(crate) fn facts(view: &DeviceView, names: &Names) -> Table {
    let Device { device_id, mpxn, generation, model, operator, labels, .. } = &view.device;
    let placed = view.device.placement().into_iter().filter_map(|(name, text)| Some((name, Value::text(text?))));
    let counts = Balance::HEADINGS.into_iter().zip(view.balance.values());
    let head = [
        ("device", Value::text(device_id.as_deref().unwrap_or("unknown"))),
        ("in inventory", Value::text(if view.in_inventory { "yes" } else { "no" })),
        ("mpxn", Value::text(or(mpxn, "unknown"))),
        ("generation", Value::text(*generation)),
        ("model", Value::text(or(model, "unknown"))),
        ("operator", Value::text(names.operator(*operator))),
    ];
    let states = view.states.iter().map(|state| ("state", Value::text(state_text(state))));
    let since = view.counted_since_ms.map(|ms| ("counted since", Value::text(time(ms))));
    let labels = labels.iter().map(|(key, value)| (label(key), Value::text(value)));
    let named = |(name, value): (&str, Value)| (name.to_owned(), value);
    let rest = since.into_iter().chain(counts).chain(states).map(named);
    Table::facts(head.into_iter().chain(placed).map(named).chain(labels).chain(rest))
}

pub(crate) fn state_text(state: &State) -> String {
    let code = state.code.as_ref().map_or_else(String::new, |code| format!(" {code}"));
    let words: Vec<String> = state.words.iter().map(u64::to_string).collect();
    format!("{}{code}: {}", state.rule, words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_shown_with_its_counts_and_state() {
        let balance = v1::Balance { received: 1200, forwarded: 200, suppressed: 1000, rejected: 0, duplicate: 0 };
        let view = DeviceView::from(v1::GetDeviceResponse {
            device: Some(v1::Device {
                device_id: 0x00DB_1234_5678_90A0,
                mpxn: "1312345678907".to_owned(),
                generation: v1::Generation::Smets2.into(),
                model: String::new(),
                operator: 13,
                labels: vec![v1::Label { key: "feeder".to_owned(), value: "F1".to_owned() }],
                ..v1::Device::default()
            }),
            in_inventory: true,
            balance: Some(balance),
            states: vec![v1::DeviceState { rule: "storm".to_owned(), code: 0x8F40, words: vec![3, 17] }],
            position: 99,
            counted_since_ms: None,
            replaced_device_ids: Vec::new(),
        });
        let expected = [
            "+----------------------------------------+",
            "| device         00-DB-12-34-56-78-90-A0 |",
            "| in inventory   yes                     |",
            "| mpxn           1312345678907           |",
            "| generation     smets2                  |",
            "| model          unknown                 |",
            "| operator       13 MANW                 |",
            "| label feeder   F1                      |",
            "| received       1,200                   |",
            "| forwarded      200                     |",
            "| suppressed     1,000                   |",
            "| rejected       0                       |",
            "| duplicate      0                       |",
            "| state          storm 8F40: 3 17        |",
            "+----------------------------------------+",
        ];
        assert_eq!(facts(&view, &Names::builtin()).to_string().lines().collect::<Vec<_>>(), expected);
        let json = serde_json::to_value(&view).unwrap();
        assert_eq!(json["device"]["device_id"], "00-DB-12-34-56-78-90-A0");
        assert_eq!(json["device"]["labels"], serde_json::json!({ "feeder": "F1" }));
        assert_eq!(json["states"][0], serde_json::json!({ "rule": "storm", "code": "8F40", "words": [3, 17] }));
    }
}
