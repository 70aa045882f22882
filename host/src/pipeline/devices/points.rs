//! What a load of devices says of metering points: whose tenure begins or ends, and which devices share a point.
//!
//! Invariant: in any order of the rows of a message, and on a dry run, it is the same.

use std::collections::HashMap;

use super::carried::{LoadState, View};
use crate::{
    domain::{
        Device, Eui64, Millis, Mpxn, OperatorId, OperatorSet, Placement, PointRole, TENURES_MAX, Tenure, TenureChange,
    },
    pipeline::refusal::Refusal,
};

/// Other devices at a point that are looked at for one row. Whoever gives one point to more has said enough by then.
const OTHERS_MAX: usize = 8;

/// A device and its placement.
pub type Placed = (Device, Placement);

/// A row of a load: the device as it was, `None` for one that was not there, and as it will be.
pub struct Loaded {
    /// As it was.
    pub before: Option<Placed>,
    /// As it will be.
    pub after: Placed,
}

/// Two devices at one metering point, as a load leaves them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedPoint {
    /// The point.
    pub mpxn: Mpxn,
    /// The device that the load brings to it.
    pub device: Eui64,
    /// A device that is at it too.
    pub other: Eui64,
    /// Whether the other was there before, and so gives way. Else both came with this load, and nothing decides.
    pub is_replaced: bool,
}

/// Rows of a message by their devices.
pub type ByDevice<'a> = HashMap<Eui64, &'a Loaded>;

/// Returns the rows of a message by their devices.
pub fn by_device(rows: &[Loaded]) -> ByDevice<'_> {
    rows.iter().map(|row| (row.after.0.eui, row)).collect()
}

/// The points that a row brings its device to.
pub fn come_to(row: &Loaded) -> impl Iterator<Item = Mpxn> + use<> {
    new_points(row).map(|(_, mpxn)| mpxn)
}

fn new_points(row: &Loaded) -> impl Iterator<Item = (PointRole, Mpxn)> + use<> {
    let before = row.before;
    points(&row.after).filter(move |(_, mpxn)| before.is_none_or(|before| !is_at(&before, *mpxn)))
}

/// The field of a row that has the point of a role.
pub fn field_of(role: PointRole) -> &'static str {
    match role {
        PointRole::Import | PointRole::Gas => "mpxn",
        PointRole::Secondary => "secondary_mpan",
        PointRole::Export => "export_mpan",
    }
}

/// Rejects a row that brings one device more to a metering point than are looked at there.
pub(super) fn check_room(rows: &[Loaded], of_message: &ByDevice<'_>, view: View<'_>) -> Result<(), Refusal> {
    let mut there: HashMap<Mpxn, usize> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        for (role, mpxn) in new_points(row) {
            let stays = |known: &Placed| of_message.get(&known.0.eui).is_none_or(|row| is_at(&row.after, mpxn));
            let count = there.entry(mpxn).or_insert_with(|| view.at(mpxn).filter(stays).take(TENURES_MAX).count());
            *count += 1;
            if *count > TENURES_MAX {
                let why = format!(
                    "{mpxn} has {TENURES_MAX} devices already, and no more can be at one metering point: {} is not taken; \
                     load those that were taken away without the point",
                    row.after.0.eui
                );
                return Err(Refusal::invalid(format!("devices[{index}].{}", field_of(role)), why));
            }
        }
    }
    Ok(())
}

/// What the load says of the points of one device, with the time of the load.
pub fn changes(row: &Loaded, at_ms: Millis) -> Vec<(Mpxn, TenureChange)> {
    let before: Vec<(PointRole, Mpxn)> = row.before.iter().flat_map(points).collect();
    let after: Vec<(PointRole, Mpxn)> = points(&row.after).collect();
    let capacity = |(device, placement): &Placed| (device.operator, placement.kind.may_be_meter());
    let is_same = row.before.as_ref().map(capacity) == Some(capacity(&row.after));
    let had = |role| before.iter().find(|(had, _)| *had == role).map(|(_, mpxn)| *mpxn);
    let operator_before = row.before.map_or(OperatorId::UNKNOWN, |(device, _)| device.operator);
    let tenure = |(device, placement): &Placed, role, since_ms, moved_from| Tenure {
        device: device.eui,
        role,
        operator: device.operator,
        is_meter: placement.kind.may_be_meter(),
        since_ms,
        until_ms: None,
        moved_from,
    };
    let nowhere = (Mpxn::NONE, OperatorId::UNKNOWN);
    let ended = row.before.iter().flat_map(|placed| {
        let left = before.iter().filter(|point| !is_same || !after.contains(point));
        left.map(move |(role, mpxn)| (*mpxn, TenureChange::Ends(tenure(placed, *role, None, nowhere), at_ms)))
    });
    let begun = after.iter().filter(|point| !is_same || !before.contains(point)).map(|(role, mpxn)| {
        let moved_from = had(*role).filter(|had| had != mpxn).map_or(nowhere, |had| (had, operator_before));
        (*mpxn, TenureChange::Begins(tenure(&row.after, *role, Some(at_ms), moved_from)))
    });
    ended.chain(begun).collect()
}

fn points((device, placement): &Placed) -> impl Iterator<Item = (PointRole, Mpxn)> + use<> {
    placement.points(device)
}

fn is_at(placed: &Placed, mpxn: Mpxn) -> bool {
    points(placed).any(|(_, own)| own == mpxn)
}

/// The points that rows of a message bring a device to while another one is at them, as far as the loader may know of that
/// one. A hub at the points of its meters is none.
pub(super) fn shared(
    rows: &[Loaded],
    of_message: &ByDevice<'_>,
    view: View<'_>,
    load: &LoadState,
    told: OperatorSet,
) -> Vec<SharedPoint> {
    let may_be_meter = |(_, placement): &Placed| placement.kind.may_be_meter();
    let mut brought: HashMap<Mpxn, Placed> = HashMap::new();
    let mut shared = Vec::new();
    for row in rows {
        for mpxn in come_to(row) {
            let device = row.after.0.eui;
            let is_other = |other: &Placed| {
                other.0.eui != device
                    && may_be_meter(other) == may_be_meter(&row.after)
                    && told.contains(other.0.operator)
            };
            // One that the message takes away from the point, or brings to it, is not there before.
            let was_there = |known: &Placed| {
                let stays = of_message.get(&known.0.eui).is_none_or(|row| is_at(&row.after, mpxn));
                stays && is_other(known)
            };
            let there = view.at(mpxn).take(OTHERS_MAX).filter(was_there);
            // One that a message before brought to it came with this load too.
            let (came, before): (Vec<Placed>, Vec<Placed>) =
                there.partition(|known| load.has_brought(mpxn, known.0.eui));
            let pair = |other: &Placed, is_replaced| SharedPoint { mpxn, device, other: other.0.eui, is_replaced };
            shared.extend(before.iter().map(|other| pair(other, true)));
            match (brought.get(&mpxn).copied(), came.first()) {
                (None, None) => drop(brought.insert(mpxn, row.after)),
                (_, Some(first)) => shared.push(pair(first, false)),
                (Some(first), None) => shared.extend(is_other(&first).then(|| pair(&first, false))),
            }
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admit::Inventory, domain::DeviceType};

    fn point(text: &str) -> Mpxn {
        text.parse().unwrap()
    }

    fn device(eui: u64, mpxn: &str, kind: DeviceType) -> Placed {
        let operator = point(mpxn).distributor().unwrap_or_default();
        let device = Device { mpxn: point(mpxn), operator, listed: true, ..Device::unlisted(Eui64(eui)) };
        (device, Placement { kind, ..Placement::default() })
    }

    const HERE: &str = "1000000000012";
    const THERE: &str = "1200000000011";

    #[test]
    fn tenures_begin_and_end_where_points_or_the_operator_change() {
        let told = |before: Option<Placed>, after: Placed| {
            let row = Loaded { before, after };
            let told = |(mpxn, change): (Mpxn, TenureChange)| match change {
                TenureChange::Begins(tenure) => {
                    format!("{mpxn} {} {} begins, was {}", tenure.role, tenure.operator, tenure.moved_from.0)
                }
                TenureChange::Ends(tenure, at) => format!("{mpxn} {} {} ends {at}", tenure.role, tenure.operator),
            };
            changes(&row, 5).into_iter().map(told).collect::<Vec<_>>()
        };
        let unknown = DeviceType::Unknown;
        assert_eq!(told(None, device(1, HERE, unknown)), ["1000000000012 import 10 begins, was "]);
        assert!(told(Some(device(1, HERE, unknown)), device(1, HERE, DeviceType::Esme)).is_empty());
        assert_eq!(
            told(Some(device(1, HERE, unknown)), device(1, THERE, unknown)),
            ["1000000000012 import 10 ends 5", "1200000000011 import 12 begins, was 1000000000012"]
        );
        let mut sold = device(1, HERE, unknown);
        sold.0.operator = OperatorId::new(24).unwrap();
        assert_eq!(
            told(Some(device(1, HERE, unknown)), sold),
            ["1000000000012 import 10 ends 5", "1000000000012 import 24 begins, was "]
        );
        assert_eq!(told(Some(device(1, HERE, unknown)), device(1, HERE, DeviceType::Chf)).len(), 2);
    }

    #[test]
    fn devices_at_one_point_are_told_of_in_any_order_of_rows() {
        let mut inventory = Inventory::default();
        let (old, hub) = (device(1, HERE, DeviceType::Unknown), device(2, HERE, DeviceType::Chf));
        for (device, placement) in [old, hub] {
            inventory.put(device, placement);
        }
        let row = |before: Option<Placed>, after: Placed| Loaded { before, after };
        let new = device(3, HERE, DeviceType::Esme);
        let view = View::new(&inventory, None);
        let shared = |rows: &[Loaded], load: &LoadState, told| shared(rows, &by_device(rows), view, load, told);
        let told = |rows: &[Loaded]| shared(rows, &LoadState::default(), OperatorSet::ALL);
        let replaced = SharedPoint { mpxn: point(HERE), device: Eui64(3), other: Eui64(1), is_replaced: true };
        assert_eq!(told(&[row(Some(old), old), row(None, new)]), [replaced]);
        assert_eq!(told(&[row(None, new), row(Some(old), old)]), [replaced]);
        // The old one moves away in the same load.
        let moved = device(1, THERE, DeviceType::Unknown);
        assert_eq!(told(&[row(Some(old), moved), row(None, new)]), []);
        assert_eq!(told(&[row(None, new), row(Some(old), moved)]), []);
        let (first, second) = (device(4, THERE, DeviceType::Esme), device(5, THERE, DeviceType::Esme));
        let both = SharedPoint { mpxn: point(THERE), device: Eui64(5), other: Eui64(4), is_replaced: false };
        assert_eq!(told(&[row(None, first), row(None, second)]), [both]);
        let others = OperatorSet::from_iter(OperatorId::new(12));
        assert_eq!(shared(&[row(None, new)], &LoadState::default(), others), [], "of another operator");
        // One that an earlier message of the load brought to the point was not there before.
        let mut load = LoadState::default();
        load.bring(point(HERE), Eui64(1));
        let came = SharedPoint { is_replaced: false, ..replaced };
        assert_eq!(shared(&[row(None, new)], &load, OperatorSet::ALL), [came]);
    }

    #[test]
    fn a_row_that_brings_one_device_too_many_to_a_point_is_named() {
        let mut inventory = Inventory::default();
        let unknown = DeviceType::Unknown;
        for eui in 1..=31 {
            let (device, placement) = device(eui, HERE, unknown);
            inventory.put(device, placement);
        }
        let check = |rows: &[Loaded]| {
            check_room(rows, &by_device(rows), View::new(&inventory, None)).map_err(|why| why.to_string())
        };
        let comes = |eui| Loaded { before: None, after: device(eui, HERE, unknown) };
        let stays = |eui| Loaded { before: Some(device(eui, HERE, unknown)), after: device(eui, HERE, unknown) };
        let leaves = |eui| Loaded { before: Some(device(eui, HERE, unknown)), after: device(eui, THERE, unknown) };
        assert_eq!(check(&[comes(101), stays(1)]), Ok(()));
        assert_eq!(check(&[comes(101), comes(102), leaves(1)]), Ok(()), "one makes room");
        let why = check(&[stays(1), comes(101), comes(102)]).unwrap_err();
        assert!(why.starts_with("devices[2].mpxn: 1000000000012 has 32 devices already"), "{why}");
    }
}
