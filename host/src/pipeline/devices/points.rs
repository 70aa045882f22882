//! What a load of devices says of metering points: whose tenure begins or ends, and which devices share a point.
//!
//! Invariant: in any order of the rows of a message, and on a dry run, it is the same.

use std::collections::HashMap;

use crate::{
    admit::Inventory,
    domain::{
        Device, DeviceNo, Eui64, Millis, Mpxn, OperatorId, OperatorSet, Placement, PointRole, Tenure, TenureChange,
    },
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
pub fn shared(rows: &[Loaded], inventory: &Inventory, told: OperatorSet) -> Vec<SharedPoint> {
    let of_message: HashMap<Eui64, &Loaded> = rows.iter().map(|row| (row.after.0.eui, row)).collect();
    let may_be_meter = |(_, placement): &Placed| placement.kind.may_be_meter();
    let mut brought: HashMap<Mpxn, Placed> = HashMap::new();
    let mut shared = Vec::new();
    for row in rows {
        let new = points(&row.after).map(|(_, mpxn)| mpxn);
        for mpxn in new.filter(|mpxn| row.before.is_none_or(|before| !is_at(&before, *mpxn))) {
            let device = row.after.0.eui;
            let is_other = |other: &Placed| {
                other.0.eui != device
                    && may_be_meter(other) == may_be_meter(&row.after)
                    && told.contains(other.0.operator)
            };
            // One that the message takes away from the point, or brings to it, is not there before.
            let was_there = |no: DeviceNo| {
                let known = (*inventory.get(no), inventory.placement(no));
                let stays = of_message.get(&known.0.eui).is_none_or(|row| is_at(&row.after, mpxn));
                (stays && is_other(&known)).then_some(known.0.eui)
            };
            let before = inventory.at(mpxn, DeviceNo(0)).take(OTHERS_MAX).filter_map(was_there);
            shared.extend(before.map(|other| SharedPoint { mpxn, device, other, is_replaced: true }));
            match brought.get(&mpxn) {
                Some(other) if is_other(other) => {
                    shared.push(SharedPoint { mpxn, device, other: other.0.eui, is_replaced: false });
                }
                Some(_) => {}
                None => drop(brought.insert(mpxn, row.after)),
            }
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DeviceType;

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
        let told = |rows: &[Loaded]| shared(rows, &inventory, OperatorSet::ALL);
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
        assert_eq!(shared(&[row(None, new)], &inventory, others), [], "of another operator");
    }
}
