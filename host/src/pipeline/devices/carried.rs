//! What the messages of one load carry from one to the next: what a dry run would have changed so far, and which devices came
//! to which metering points.
//!
//! Invariant: a message of a dry run is compared with what the messages before it would have left, as a message of a load is
//! with what they left.

use std::collections::HashSet;

use super::points::Placed;
use crate::{
    admit::{Inventory, Labels},
    domain::{DeviceNo, Eui64, Mpxn},
};

/// Points that devices came to in one load and that are remembered, twice over. Rows of one point stand together in a load.
const BROUGHT_MAX: usize = 65_536;

/// One load while its messages are taken.
#[derive(Debug, Default)]
pub struct LoadState {
    /// What the messages of a dry run would have changed.
    pub(super) dry: Option<DryRun>,
    /// Devices with the points that they came to, and those that came before them.
    brought: [HashSet<(Mpxn, Eui64)>; 2],
}

impl LoadState {
    /// Notes that a device came to a point with this load.
    pub(super) fn bring(&mut self, mpxn: Mpxn, device: Eui64) {
        let [now, before] = &mut self.brought;
        if now.len() >= BROUGHT_MAX {
            *before = std::mem::take(now);
        }
        now.insert((mpxn, device));
    }

    /// True if a device came to a point with this load.
    pub(super) fn has_brought(&self, mpxn: Mpxn, device: Eui64) -> bool {
        self.brought.iter().any(|brought| brought.contains(&(mpxn, device)))
    }
}

/// What the messages of a dry run would have changed. It takes about 200 bytes for each device that is new or changed.
#[derive(Debug)]
pub(super) struct DryRun {
    /// Devices as they would be, numbered among themselves.
    pub(super) devices: Inventory,
    /// How many of them would be new.
    pub(super) new_count: u32,
    /// Names of models that would be new.
    pub(super) models: Vec<String>,
    /// Labels as they would be.
    pub(super) labels: Labels,
    /// How many devices there were when the dry run began. Those that would be new are numbered from there on.
    base: u32,
}

impl DryRun {
    /// Begins where nothing is changed yet.
    pub(super) fn new(inventory: &Inventory, labels: &Labels) -> Self {
        Self {
            devices: Inventory::default(),
            new_count: 0,
            models: Vec::new(),
            labels: labels.clone(),
            base: inventory.len(),
        }
    }

    /// The number under which the labels of a device are.
    pub(super) fn number(&self, inventory: &Inventory, eui: Eui64) -> Option<DeviceNo> {
        let known = inventory.number(eui).filter(|no| no.0 < self.base);
        known.or_else(|| self.devices.number(eui).map(|no| DeviceNo(self.base.saturating_add(no.0))))
    }
}

/// The inventory as the messages before leave it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    kept: &'a Inventory,
    over: Option<&'a Inventory>,
}

impl<'a> View<'a> {
    /// The inventory, and what a dry run would have changed in it.
    pub(super) fn new(kept: &'a Inventory, dry: Option<&'a DryRun>) -> Self {
        Self { kept, over: dry.map(|dry| &dry.devices) }
    }

    /// A device, where it is known.
    pub(super) fn placed(self, eui: Eui64) -> Option<Placed> {
        let of = |inventory: &Inventory| {
            let no = inventory.number(eui)?;
            Some((*inventory.get(no), inventory.placement(no)))
        };
        self.over.and_then(of).or_else(|| of(self.kept))
    }

    /// The devices at a metering point.
    pub(super) fn at(self, mpxn: Mpxn) -> impl Iterator<Item = Placed> + use<'a> {
        let at = move |inventory: &'a Inventory| {
            inventory.at(mpxn, DeviceNo(0)).map(move |no| (*inventory.get(no), inventory.placement(no)))
        };
        let is_as_kept = move |(device, _): &Placed| self.over.is_none_or(|over| over.number(device.eui).is_none());
        at(self.kept).filter(is_as_kept).chain(self.over.into_iter().flat_map(at))
    }
}
