//! The inventory: devices by EUI-64, each with a dense number, and the names of their models.
//!
//! It must not know where rows come from. Invariant: a number, once given, belongs to its EUI-64 for ever; two model
//! names never share an id.

use std::{collections::HashMap, hash::BuildHasher};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::points::Points;
use crate::domain::{Device, DeviceNo, Eui64, Generation, ModelId, Mpxn, OperatorId, Placement};

/// What putting a device did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// It was there and differed.
    Changed,
    /// It was there and the same.
    Unchanged,
}

impl Change {
    /// What putting a device does, given it as it was. One that alerts alone had named is new.
    pub fn between(before: Option<(Device, Placement)>, after: (Device, Placement)) -> Self {
        match before {
            Some(before) if before == after => Self::Unchanged,
            Some((before, _)) if before.listed => Self::Changed,
            _ => Self::Added,
        }
    }
}

/// Why a model name cannot be learnt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InventoryError {
    /// Its id is another name's.
    #[error("model: {name:?} has the same id as {other:?}; give one of them another name")]
    ModelClash {
        /// The new name.
        name: String,
        /// The name that has its id.
        other: String,
    },
    /// No room for another name.
    #[error("model: {name:?} is not known, and models_max ({max}) is reached")]
    ModelLimit {
        /// The new name.
        name: String,
        /// The limit.
        max: usize,
    },
}

/// Devices by number, findable by EUI-64 and by metering point.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Numbers, hashed by the EUI-64 they stand for: five bytes a device beside the row itself.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    devices: Vec<Device>,
    points: Points,
    models: HashMap<ModelId, String>,
}

impl Inventory {
    /// From what a store kept: devices in the order of their numbers, and where they are connected by number.
    pub fn load(devices: Vec<Device>, placements: Vec<(u32, Placement)>, models: Vec<String>) -> Self {
        let models = models.into_iter().map(|name| (ModelId::of(&name), name)).collect();
        let points = Points::load(&devices, placements);
        let mut inventory = Self { points, models, ..Self::default() };
        inventory.index.reserve(devices.len(), |_| 0);
        for device in devices {
            inventory.append(device);
        }
        inventory
    }

    /// How many devices, listed or not.
    pub fn len(&self) -> u32 {
        self.devices.len() as u32
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// The number of a device.
    pub fn number(&self, eui: Eui64) -> Option<DeviceNo> {
        let hash = self.hasher.hash_one(eui.0);
        self.index.find(hash, |no| self.devices[*no as usize].eui == eui).copied().map(DeviceNo)
    }

    /// A device by number.
    pub fn get(&self, no: DeviceNo) -> &Device {
        &self.devices[no.index()]
    }

    /// What an alert of this device is joined with.
    pub fn join(&self, no: DeviceNo) -> (OperatorId, Generation, ModelId) {
        let device = self.get(no);
        (device.operator, device.generation, device.model)
    }

    /// Numbers a device that only an alert has named. It must not be known yet.
    pub fn meet(&mut self, eui: Eui64) -> DeviceNo {
        self.append(Device::unlisted(eui))
    }

    /// Where a device is connected.
    pub fn placement(&self, no: DeviceNo) -> Placement {
        self.points.placement(no)
    }

    /// The devices whose rows name a metering point, in the order of their numbers from one on.
    pub fn at(&self, mpxn: Mpxn, from: DeviceNo) -> impl Iterator<Item = DeviceNo> {
        self.points.at(mpxn, from)
    }

    /// Adds or replaces a device and its placement.
    pub fn put(&mut self, device: Device, placement: Placement) -> (DeviceNo, Change) {
        let Some(no) = self.number(device.eui) else {
            let no = self.append(device);
            self.points.change(no, None, (&device, placement));
            return (no, Change::Added);
        };
        let before = std::mem::replace(&mut self.devices[no.index()], device);
        let was = self.points.placement(no);
        self.points.change(no, Some(&before), (&device, placement));
        (no, Change::between(Some((before, was)), (device, placement)))
    }

    /// Learns a model name; tells whether it is new.
    pub fn learn_model(&mut self, name: &str, models_max: usize) -> Result<bool, InventoryError> {
        let id = ModelId::of(name);
        if name.is_empty() {
            return Ok(false);
        }
        match self.models.get(&id) {
            Some(known) if known == name => Ok(false),
            Some(other) => Err(InventoryError::ModelClash { name: name.into(), other: other.clone() }),
            // A name whose hash is 0 would read as "not known".
            None if id == ModelId::UNKNOWN => {
                Err(InventoryError::ModelClash { name: name.into(), other: String::new() })
            }
            None if self.models.len() >= models_max => {
                Err(InventoryError::ModelLimit { name: name.into(), max: models_max })
            }
            None => {
                self.models.insert(id, name.into());
                Ok(true)
            }
        }
    }

    /// Forgets names just learnt, because what they came with was refused.
    pub fn forget_models(&mut self, names: &[String]) {
        names.iter().for_each(|name| drop(self.models.remove(&ModelId::of(name))));
    }

    /// All model names.
    pub fn models(&self) -> &HashMap<ModelId, String> {
        &self.models
    }

    /// The name of a model; empty when not known.
    pub fn model_name(&self, id: ModelId) -> &str {
        self.models.get(&id).map_or("", String::as_str)
    }

    fn append(&mut self, device: Device) -> DeviceNo {
        let Self { index, hasher, devices, .. } = self;
        let no = devices.len() as u32;
        devices.push(device);
        let hash = hasher.hash_one(device.eui.0);
        index.insert_unique(hash, no, |no| hasher.hash_one(devices[*no as usize].eui.0));
        DeviceNo(no)
    }
}
