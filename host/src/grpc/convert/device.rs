//! Rows of an inventory in, a device as its users see it out.
//!
//! It must not know which devices there are. Invariant: a message with a bad row yields no row at all.

use std::collections::{HashMap, hash_map::Entry};

use prost::Message;
use weir_proto::v1;

use super::{
    balance, device_id, each, generation, label,
    listing::{FRAME_BYTES, PAGE_BYTES},
    model, operator, page_at, point, wire_generation,
};
use crate::{
    domain::{AlertCode, Device, Eui64, LabelKey, Mpxn, Placement},
    pipeline::{DevicePart, DeviceRequest, DeviceView, DevicesPut, DevicesQuery, LeftHub, NamedDevice, Refusal},
};

/// The rows of one message, and whether they are only to be compared.
pub fn devices(request: v1::PutDevicesRequest, put_devices_max: usize) -> Result<(Vec<DeviceRequest>, bool), Refusal> {
    let v1::PutDevicesRequest { devices, dry_run } = request;
    if devices.len() > put_devices_max {
        let why = format!(
            "{} devices in one message; at most put_devices_max ({put_devices_max}) are allowed, send more messages",
            devices.len()
        );
        return Err(Refusal::invalid("devices", why));
    }
    let devices: Result<Vec<DeviceRequest>, _> =
        devices.into_iter().enumerate().map(|(row, sent)| device(row, sent)).collect();
    let devices = once(devices?)?;
    Ok((devices, dry_run))
}

/// Drops repeated rows and rejects conflicting ones, of which the last would win silently.
fn once(devices: Vec<DeviceRequest>) -> Result<Vec<DeviceRequest>, Refusal> {
    let mut rows: HashMap<u64, usize> = HashMap::with_capacity(devices.len());
    let mut kept = Vec::with_capacity(devices.len());
    for (row, device) in devices.into_iter().enumerate() {
        match rows.entry(device.eui.0) {
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push((row, device));
            }
            Entry::Occupied(place) => {
                let (first, same) = &kept[*place.get()];
                if *same != device {
                    let why = format!("{} is in devices[{first}] too, which says something else of it", device.eui);
                    return Err(Refusal::invalid(format!("devices[{row}].device_id"), why));
                }
            }
        }
    }
    Ok(kept.into_iter().map(|(_, device)| device).collect())
}

fn device(row: usize, sent: v1::Device) -> Result<DeviceRequest, Refusal> {
    let refuse = |field: &str, why: String| Refusal::invalid(format!("devices[{row}].{field}"), why);
    let placement = point::placement(&sent).map_err(|(field, why)| refuse(field, why))?;
    let keep_operator = sent.keep_operator;
    let v1::Device { device_id: id, mpxn, generation: generation_number, model: name, .. } = sent;
    let (operator_id, labels) = (sent.operator, label::stated(row, sent.labels)?);
    let network_label = label::network(row, sent.network_label, &labels)?;
    let mpxn: Mpxn = mpxn.parse().map_err(|error: crate::domain::IdError| refuse("mpxn", error.to_string()))?;
    let operator = match operator_id {
        0 => placement.distributor(mpxn).unwrap_or_default(),
        id => operator(id).map_err(|why| refuse("operator", why))?,
    };
    Ok(DeviceRequest {
        placement,
        keep_operator,
        eui: device_id(id)
            .and_then(|eui| eui.of_device().map_err(|error| error.to_string()))
            .map_err(|why| refuse("device_id", why))?,
        mpxn,
        generation: generation(generation_number).map_err(|why| refuse("generation", why))?,
        model: model(name).map_err(|why| refuse("model", why))?,
        operator,
        labels,
        network_label,
    })
}

/// What the messages of a stream did together.
pub fn devices_put(done: DevicesPut) -> v1::PutDevicesResponse {
    let DevicesPut { added, changed, unchanged, met, .. } = done;
    let DevicesPut { operator_changed, mpxn_changed, generation_changed, model_changed, changes, .. } = done;
    let DevicesPut { other_points_changed, type_changed, hub_changed, labels_changed, shared_count, shared, .. } = done;
    let DevicesPut { left_hub_count, left_hubs, .. } = done;
    let change = |(before, after)| v1::DeviceChange { before: Some(wire(before)), after: Some(wire(after)) };
    v1::PutDevicesResponse {
        added,
        changed,
        unchanged,
        met,
        operator_changed,
        mpxn_changed,
        generation_changed,
        model_changed,
        changes: changes.into_iter().map(change).collect(),
        labels_changed,
        other_points_changed,
        type_changed,
        hub_changed,
        shared_point_count: shared_count,
        shared_points: shared.into_iter().map(point::shared).collect(),
        left_hub_count,
        left_hubs: left_hubs.into_iter().map(left_hub).collect(),
    }
}

fn left_hub(left: LeftHub) -> v1::LeftHub {
    let LeftHub { device, operator, hub, hub_operator } = left;
    let (operator, hub_operator) = (operator.get().into(), hub_operator.get().into());
    v1::LeftHub { device_id: device.0, operator, hub_id: hub.0, hub_operator }
}

/// How a device is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// By its EUI-64.
    Device(Eui64),
    /// By a metering point.
    Point(Mpxn),
}

/// Which device.
pub fn wanted(request: v1::GetDeviceRequest) -> Result<Wanted, Refusal> {
    let v1::GetDeviceRequest { device_id: id, mpxn } = request;
    match (id, mpxn.as_str()) {
        (id, "") => device_id(id).map(Wanted::Device).map_err(|why| Refusal::invalid("device_id", why)),
        (0, mpxn) => point::wanted(mpxn).map(Wanted::Point),
        _ => Err(Refusal::invalid("mpxn", "device_id is given too; ask by one of them")),
    }
}

/// A device, and those that gave way to it where it was asked for.
pub fn view(view: DeviceView, replaced: &[Eui64]) -> v1::GetDeviceResponse {
    let DeviceView { device, placement, model, labels, balance: ends, states, counted_since_ms, position } = view;
    v1::GetDeviceResponse {
        device: Some(wire(NamedDevice { device, placement, model, labels })),
        replaced_device_ids: replaced.iter().map(|eui| eui.0).collect(),
        in_inventory: device.listed,
        balance: Some(balance(ends)),
        states: states.into_iter().map(state).collect(),
        position: position.0,
        counted_since_ms,
    }
}

fn state((rule, code, words): (String, Option<AlertCode>, Vec<u64>)) -> v1::DeviceState {
    v1::DeviceState { rule, code: code.map_or(0, |code| code.0.into()), words }
}

/// Devices in one page for which no size is asked.
const PAGE_DEVICES: usize = 1_000;

/// Which devices are to be listed, and at which metering point.
pub fn listed(
    request: v1::ListDevicesRequest,
    put_devices_max: usize,
) -> Result<(DevicesQuery, Option<Mpxn>), Refusal> {
    let v1::ListDevicesRequest { page_size, page_token, operators, mpxn, labels } = request;
    let mpxn = (!mpxn.is_empty()).then(|| point::wanted(&mpxn)).transpose()?;
    let devices_max = match page_size as usize {
        0 => PAGE_DEVICES.min(put_devices_max),
        asked if asked <= put_devices_max => asked,
        asked => {
            let why = format!("{asked} is more than put_devices_max ({put_devices_max}); ask page by page");
            return Err(Refusal::invalid("page_size", why));
        }
    };
    let query = DevicesQuery {
        from: page_at(&page_token)?.unwrap_or(0),
        devices_max,
        operators: each("operators", operators, operator)?,
        labels: label::filters(labels)?,
    };
    Ok((query, mpxn))
}

/// Labels, and how many devices have each.
pub fn labels(uses: Vec<(LabelKey, u64)>) -> v1::ListLabelsResponse {
    let labels = uses.into_iter().map(|(key, device_count)| v1::LabelUse { key: key.to_string(), device_count });
    v1::ListLabelsResponse { labels: labels.collect() }
}

/// A page of devices: as many as fit a message of `bytes_max` bytes, and at least one.
pub fn page(part: DevicePart, bytes_max: usize) -> v1::ListDevicesResponse {
    let DevicePart { devices: found, mut next, unknown_labels } = part;
    let unknown_labels: Vec<v1::UnknownLabel> = unknown_labels.into_iter().map(label::unknown).collect();
    let said: usize = unknown_labels.iter().map(|unknown| FRAME_BYTES + unknown.encoded_len()).sum();
    let (mut devices, mut bytes) = (Vec::with_capacity(found.len()), PAGE_BYTES + said);
    for (number, device) in found {
        let device = wire(device);
        bytes += FRAME_BYTES + device.encoded_len();
        if bytes > bytes_max && !devices.is_empty() {
            next = Some(number);
            break;
        }
        devices.push(device);
    }
    let next_page_token = next.map(|number| number.to_string()).unwrap_or_default();
    v1::ListDevicesResponse { devices, next_page_token, unknown_labels }
}

/// A device as the inventory has it.
pub(super) fn wire(device: NamedDevice) -> v1::Device {
    let NamedDevice { device, placement, model, labels } = device;
    let Device { eui, mpxn, operator, generation, model: _, listed: _ } = device;
    let Placement { secondary, export, kind, hub } = placement;
    let written = |mpxn: Mpxn| (mpxn != Mpxn::NONE).then(|| mpxn.to_string());
    v1::Device {
        device_id: eui.0,
        mpxn: mpxn.to_string(),
        generation: wire_generation(generation).into(),
        model,
        operator: operator.get().into(),
        labels: label::wire(labels),
        secondary_mpan: written(secondary),
        export_mpan: written(export),
        r#type: point::wire_type(kind).map(Into::into),
        hub_id: (hub != Eui64::NONE).then_some(hub.0),
        keep_operator: false,
        network_label: String::new(),
    }
}
