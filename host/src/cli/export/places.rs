//! Metering points and labels of devices, which the inventory has and the log has not, to write beside alerts.
//!
//! Invariant: an inventory takes a bounded number of bytes here, however large it is.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use weir_proto::v1;

use crate::{
    cli::{Failure, table::thousands},
    domain::{LabelKey, Mpxn},
};

/// Bytes that an inventory may take here.
const BYTES_MAX: usize = 1 << 30;

/// Bytes of a device with its metering point, and of what is kept once for devices that have the same of it.
const DEVICE_BYTES: usize = 48;
const SHARED_BYTES: usize = 128;

/// What is said of one device. Nothing is known of one that the inventory lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) mpxn: Mpxn,
    pub(super) secondary: Mpxn,
    pub(super) export: Mpxn,
    /// A text for each label that is written; empty for none.
    pub(super) labels: &'a [Arc<str>],
}

/// What few devices have of their own: further metering points, and labels.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct Shared {
    secondary: Mpxn,
    export: Mpxn,
    labels: Vec<Arc<str>>,
}

/// Devices by EUI-64.
pub(super) struct Places {
    keys: Vec<LabelKey>,
    /// The metering point, and the place of the rest in `shared`.
    devices: HashMap<u64, (Mpxn, u32)>,
    /// The first is that of most: nothing.
    shared: Vec<Arc<Shared>>,
    indices: HashMap<Arc<Shared>, u32>,
    texts: HashSet<Arc<str>>,
    bytes: usize,
    bytes_max: usize,
}

impl Places {
    /// None yet, to write these labels of.
    pub(super) fn new(keys: Vec<LabelKey>) -> Self {
        Self::within(BYTES_MAX, keys)
    }

    fn within(bytes_max: usize, keys: Vec<LabelKey>) -> Self {
        let (devices, texts) = (HashMap::new(), HashSet::new());
        let mut places =
            Self { keys, devices, shared: Vec::new(), indices: HashMap::new(), texts, bytes: 0, bytes_max };
        let nothing = Shared { labels: vec![Arc::from(""); places.keys.len()], ..Shared::default() };
        places.index(nothing);
        places
    }

    /// Takes a device of the inventory.
    pub(super) fn take(&mut self, device: v1::Device) -> Result<(), Failure> {
        let point = |text: &str| text.parse().unwrap_or(Mpxn::NONE);
        let v1::Device { device_id, mpxn, secondary_mpan, export_mpan, labels, .. } = device;
        let text =
            |key: &LabelKey| labels.iter().find(|label| label.key == key.as_str()).map_or("", |label| &label.value);
        let texts: Vec<&str> = self.keys.iter().map(text).collect();
        let labels = texts.into_iter().map(|text| self.text(text)).collect();
        let further = |mpan: Option<String>| mpan.map_or(Mpxn::NONE, |mpan| point(&mpan));
        let shared = self.index(Shared { secondary: further(secondary_mpan), export: further(export_mpan), labels });
        let mpxn = point(&mpxn);
        if mpxn != Mpxn::NONE || shared != 0 {
            self.devices.insert(device_id, (mpxn, shared));
            self.bytes += DEVICE_BYTES;
        }
        if self.bytes <= self.bytes_max {
            return Ok(());
        }
        let max = thousands(self.bytes_max as u64);
        let message = format!("the metering points and labels of the inventory take more than {max} bytes");
        Err(Failure::usage(message).with_hint("export the operators one by one, by --operator, or fewer --labels"))
    }

    /// Returns what is known of a device.
    pub(super) fn of(&self, device_id: u64) -> Place<'_> {
        let Some((mpxn, index)) = self.devices.get(&device_id) else { return Place::default() };
        let Some(shared) = self.shared.get(*index as usize) else { return Place::default() };
        let Shared { secondary, export, labels } = shared.as_ref();
        Place { mpxn: *mpxn, secondary: *secondary, export: *export, labels }
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(text);
        self.bytes += SHARED_BYTES + text.len();
        self.texts.insert(Arc::clone(&new));
        new
    }

    fn index(&mut self, shared: Shared) -> u32 {
        if let Some(index) = self.indices.get(&shared) {
            return *index;
        }
        // As many as that take more bytes than are let in.
        let index = u32::try_from(self.shared.len()).unwrap_or(u32::MAX);
        self.bytes += SHARED_BYTES + shared.labels.len() * size_of::<Arc<str>>();
        let shared = Arc::new(shared);
        self.indices.insert(Arc::clone(&shared), index);
        self.shared.push(shared);
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(device_id: u64, labels: &[(&str, &str)]) -> v1::Device {
        let label = |(key, value): &(&str, &str)| v1::Label { key: (*key).to_owned(), value: (*value).to_owned() };
        v1::Device { device_id, labels: labels.iter().map(label).collect(), ..v1::Device::default() }
    }

    #[test]
    fn a_device_has_its_points_and_the_labels_that_are_written() {
        let keys = vec!["substation".parse().unwrap(), "feeder".parse().unwrap()];
        let mut places = Places::within(4_096, keys);
        let point: Mpxn = "1200000000011".parse().unwrap();
        let full = v1::Device {
            mpxn: "123456".into(),
            export_mpan: Some(point.to_string()),
            ..device(1, &[("depot", "East"), ("feeder", "F1")])
        };
        for device in [full, device(2, &[("substation", "Ash Lane")]), device(3, &[("depot", "East")])] {
            places.take(device).unwrap();
        }
        let texts = |device: u64| places.of(device).labels.iter().map(AsRef::as_ref).collect::<Vec<&str>>();
        let first = places.of(1);
        assert_eq!((first.mpxn, first.secondary, first.export), ("123456".parse().unwrap(), Mpxn::NONE, point));
        assert_eq!((texts(1), texts(2)), (vec!["", "F1"], vec!["Ash Lane", ""]));
        assert_eq!(
            (places.of(3), places.of(4)),
            (Place::default(), Place::default()),
            "nothing is to be written of them"
        );
    }

    #[test]
    fn an_inventory_that_takes_too_much_is_refused_with_the_way_out() {
        let mut places = Places::within(4_096, vec!["postcode".parse().unwrap()]);
        let mut load = |text: &dyn Fn(u64) -> String| {
            (0..60).map(|number| places.take(device(number, &[("postcode", &text(number))]))).find_map(Result::err)
        };
        assert!(load(&|_| "AB1 2CD".to_owned()).is_none(), "what many have is kept once");
        let refused = load(&|number| format!("AB1 {number}")).unwrap();
        assert_eq!(refused.message, "the metering points and labels of the inventory take more than 4,096 bytes");
        assert!(refused.hint.is_some_and(|hint| hint.contains("--operator")));
    }
}
