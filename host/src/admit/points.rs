//! Where devices are connected, and which devices are at a metering point.
//!
//! Invariant: a device is found by each of its metering points, and by no other.

use std::collections::{BTreeSet, HashMap};

use crate::domain::{Device, DeviceNo, Mpxn, Placement};

/// Devices by metering point.
///
/// Ordered, and not hashed: a file may give one point to all its devices, and a table of hashes would be searched from end
/// to end for each.
#[derive(Debug, Default)]
pub struct Points {
    at: BTreeSet<(Mpxn, u32)>,
    /// Of devices that have one; most have none.
    placements: HashMap<u32, Placement>,
}

impl Points {
    /// From devices, in the order of their numbers, and placements by number.
    pub fn load(devices: &[Device], placements: Vec<(u32, Placement)>) -> Self {
        let placements: HashMap<u32, Placement> = placements.into_iter().collect();
        let at = devices.iter().zip(0..).flat_map(|(device, no)| {
            let placement = placements.get(&no).copied().unwrap_or_default();
            placement.points(device).map(move |(_, mpxn)| (mpxn, no))
        });
        Self { at: at.collect(), placements }
    }

    /// Where a device is connected.
    pub fn placement(&self, no: DeviceNo) -> Placement {
        self.placements.get(&no.0).copied().unwrap_or_default()
    }

    /// Notes that a device, `None` for one that was not there, is another now.
    pub fn change(&mut self, no: DeviceNo, before: Option<&Device>, after: (&Device, Placement)) {
        let was = self.placement(no);
        for (_, mpxn) in before.into_iter().flat_map(|before| was.points(before)) {
            self.at.remove(&(mpxn, no.0));
        }
        self.at.extend(after.1.points(after.0).map(|(_, mpxn)| (mpxn, no.0)));
        if after.1 == Placement::default() {
            self.placements.remove(&no.0);
        } else {
            self.placements.insert(no.0, after.1);
        }
    }

    /// The devices that are at a metering point, in the order of their numbers from one on.
    pub fn at(&self, mpxn: Mpxn, from: DeviceNo) -> impl Iterator<Item = DeviceNo> {
        let last = if mpxn == Mpxn::NONE { (Mpxn::NONE, from.0) } else { (mpxn, u32::MAX) };
        self.at.range((mpxn, from.0)..=last).map(|(_, no)| DeviceNo(*no))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Eui64;

    #[test]
    fn a_device_is_found_by_each_of_its_points_until_it_leaves_it() {
        let point = |text: &str| text.parse::<Mpxn>().unwrap();
        let device = |mpxn: &str| Device { mpxn: point(mpxn), ..Device::unlisted(Eui64(1)) };
        let (import, export, other) = ("1000000000012", "1200000000011", "1400000000010");
        let placed = Placement { export: point(export), ..Placement::default() };
        let mut points = Points::load(&[device(""), device(import)], vec![(1, placed)]);
        let at = |points: &Points, text| points.at(point(text), DeviceNo(0)).map(|no| no.0).collect::<Vec<_>>();
        assert_eq!((at(&points, import), at(&points, export), at(&points, "")), (vec![1], vec![1], vec![]));
        points.change(DeviceNo(0), Some(&device("")), (&device(export), Placement::default()));
        assert_eq!(at(&points, export), [0, 1]);
        assert_eq!(points.at(point(export), DeviceNo(1)).count(), 1);
        points.change(DeviceNo(1), Some(&device(import)), (&device(other), Placement::default()));
        assert_eq!((at(&points, import), at(&points, export), at(&points, other)), (vec![], vec![0], vec![1]));
        assert_eq!(points.placement(DeviceNo(1)), Placement::default());
    }
}
