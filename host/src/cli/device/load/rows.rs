//! Reads a whole inventory, each device once.
//!
//! Invariants: conflicting rows of a device load nothing; identical rows load it once. Memory holds at most [`ROWS_MAX`] rows
//! of about 90 bytes, 16 more for each label, and 56 more of each that says where its device is connected.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    io::BufRead,
    sync::Arc,
};

use indicatif::ProgressBar;
use weir_proto::v1;

use crate::{
    cli::{arguments::Names, device::labels, input::Notices},
    domain::{DeviceType, Eui64, Generation, LabelKey, Mpxn, OperatorId, PlacementChange},
    intake::{LineError, inventory},
};

use super::source::Source;

/// Devices of one file: more than Great Britain's largest network has meters.
const ROWS_MAX: usize = 10_000_000;

/// Counts of noteworthy lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Noticed {
    pub(super) unreadable_count: u64,
    /// Lines of devices with conflicting rows.
    pub(super) in_doubt_count: u64,
    /// Lines that repeat an earlier one.
    pub(super) repeated_count: u64,
    pub(super) wrong_operator_count: u64,
}

/// The labels that a load states of every device.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Those that the file has columns of, in the order of each row's values.
    pub(super) columns: Vec<LabelKey>,
    /// The one that says which network the MPAN is of.
    pub(super) network: Option<LabelKey>,
}

/// The devices of a file, conflicting ones included.
#[derive(Default)]
pub(super) struct Named {
    pub(super) devices: HashSet<u64>,
    /// A device at each metering point.
    pub(super) points: HashMap<Mpxn, u64>,
}

/// A row as it goes to the host.
#[derive(Clone, Default)]
pub(super) struct Loadable {
    /// Whether it is at a metering point that a row before it is at too.
    pub(super) goes_on: bool,
    /// Where it is in the file.
    pub(super) line: u64,
    pub(super) device: v1::Device,
}

/// The contents of a file.
pub(super) struct Read {
    pub(super) noticed: Noticed,
    keys: Vec<LabelKey>,
    /// The last of the keys, where it is the one that says which network the MPAN is of.
    network: Option<LabelKey>,
    rows: Vec<Kept>,
}

impl Read {
    /// Returns all devices and their metering points.
    pub(super) fn named(&self) -> Named {
        let points = self.rows.iter().flat_map(|row| row.points().map(|mpxn| (mpxn, row.eui)));
        Named { devices: self.rows.iter().map(|row| row.eui).collect(), points: points.collect() }
    }

    /// Returns the devices to load, in file order, but those that share a metering point one after the other.
    pub(super) fn devices(self) -> impl Iterator<Item = Loadable> + Send + 'static {
        let Self { keys, network, mut rows, .. } = self;
        rows.retain(|row| !row.in_doubt);
        let firsts = firsts(&rows);
        let first = |index: u32| firsts.get(&index).copied().unwrap_or(index);
        let mut order: Vec<u32> = (0..).take(rows.len()).collect();
        order.sort_by_key(|index| first(*index));
        let mut rows: Vec<Option<Kept>> = rows.into_iter().map(Some).collect();
        order.into_iter().filter_map(move |index| {
            let row = rows[index as usize].take()?;
            let (goes_on, line) = (firsts.contains_key(&index), row.line);
            Some(Loadable { goes_on, line, device: wire(row, &keys, network.as_ref()) })
        })
    }
}

/// For each row at a metering point that a row before it is at, the first of these.
fn firsts(rows: &[Kept]) -> HashMap<u32, u32> {
    let mut points: Vec<(Mpxn, u32)> =
        rows.iter().zip(0..).flat_map(|(row, index)| row.points().map(move |mpxn| (mpxn, index))).collect();
    points.sort_unstable();
    let mut firsts: HashMap<u32, u32> = HashMap::new();
    for shared in points.chunk_by(|one, other| one.0 == other.0) {
        let mut first = shared[0].1;
        while let Some(before) = firsts.get(&first) {
            first = *before;
        }
        for (_, index) in shared.iter().filter(|(_, index)| *index > first) {
            firsts.entry(*index).or_insert(first);
        }
    }
    firsts
}

/// A row and its line.
struct Kept {
    eui: u64,
    mpxn: Mpxn,
    line: u64,
    model: Arc<str>,
    generation: Generation,
    operator: OperatorId,
    keep_operator: bool,
    in_doubt: bool,
    /// Values of the labels, in the order of the keys.
    labels: Box<[Arc<str>]>,
    /// Where it is connected, where the row says anything of that. Few do.
    placement: Option<Box<PlacementChange>>,
}

impl Kept {
    fn says_the_same(&self, other: &Self) -> bool {
        (self.mpxn, &self.model, self.generation, self.operator, &self.labels, &self.placement)
            == (other.mpxn, &other.model, other.generation, other.operator, &other.labels, &other.placement)
    }

    fn placement(&self) -> PlacementChange {
        self.placement.as_deref().copied().unwrap_or_default()
    }

    fn points(&self) -> impl Iterator<Item = Mpxn> + use<> {
        let PlacementChange { secondary, export, .. } = self.placement();
        let all = [self.mpxn, secondary.unwrap_or_default(), export.unwrap_or_default()];
        all.into_iter().filter(|mpxn| *mpxn != Mpxn::NONE)
    }

    /// Takes from another row of a document what this one leaves open: a response about a meter alone names no hub.
    fn complete(&mut self, other: &mut Self) {
        if !(self.keep_operator && other.keep_operator) {
            return;
        }
        let hub = self.placement().hub.or(other.placement().hub);
        let operator = if self.operator == OperatorId::UNKNOWN { other.operator } else { self.operator };
        for row in [self, other] {
            row.placement = Some(Box::new(PlacementChange { hub: row.placement().hub.or(hub), ..row.placement() }));
            row.operator = if row.operator == OperatorId::UNKNOWN { operator } else { row.operator };
        }
    }
}

/// Notices by kind.
struct Said {
    unreadable: Notices,
    in_doubt: Notices,
    repeated: Notices,
    remarks: Notices,
    operators: Notices,
}

impl Read {
    /// Reads a file. Fails if the input fails or has more than [`ROWS_MAX`] devices.
    pub(super) fn of<R: BufRead>(
        mut rows: Source<R>,
        keys: Keys,
        names: &Names,
        progress: &ProgressBar,
    ) -> Result<Self, LineError> {
        let mut said = Said {
            unreadable: Notices::new("lines that cannot be read", progress.clone()),
            in_doubt: Notices::new("devices that stand in rows that differ", progress.clone()),
            repeated: Notices::remarks("lines that say what one before them says", progress.clone()),
            remarks: Notices::remarks("remarks", progress.clone()),
            operators: Notices::remarks("operators that are not those of the MPAN", progress.clone()),
        };
        let (mut kept, mut places) = (Vec::<Kept>::new(), HashMap::<u64, u32>::new());
        let (mut texts, mut noticed) = (HashMap::<String, Arc<str>>::new(), Noticed::default());
        let Keys { columns: mut keys, network } = keys;
        keys.extend(network.clone());
        loop {
            let row = rows.next();
            std::iter::from_fn(|| rows.remark()).for_each(|remark| said.remarks.give(&remark.to_string()));
            let row = match row {
                None => break,
                Some(Ok(row)) => row,
                Some(Err(error)) if error.fatal => return Err(error),
                Some(Err(error)) => {
                    said.unreadable.give(&error.to_string());
                    continue;
                }
            };
            let line = rows.line();
            said.look(line, &row, names);
            let of_network = network.is_some().then(|| labels::network(row.mpxn));
            let mut shared =
                |text: String| Arc::clone(texts.entry(text).or_insert_with_key(|text| Arc::from(text.as_str())));
            let model = shared(row.model);
            let labels = row.labels.into_iter().chain(of_network).map(shared).collect();
            let (eui, mpxn, generation, operator) = (row.eui.0, row.mpxn, row.generation, row.operator);
            let placement = (row.placement != PlacementChange::default()).then(|| Box::new(row.placement));
            let keep_operator = row.keep_operator;
            let in_doubt = false;
            let mut row =
                Kept { eui, mpxn, line, model, generation, operator, keep_operator, in_doubt, labels, placement };
            match places.entry(eui) {
                Entry::Occupied(place) => {
                    let first = &mut kept[*place.get() as usize];
                    first.complete(&mut row);
                    if first.says_the_same(&row) && !first.in_doubt {
                        let message =
                            format!("line {line}: eui: it says of {} what line {} says", Eui64(eui), first.line);
                        said.repeated.give(&message);
                        noticed.repeated_count += 1;
                        continue;
                    }
                    said.differ(first, &row, &keys);
                    noticed.in_doubt_count += 1 + u64::from(!first.in_doubt);
                    first.in_doubt = true;
                }
                Entry::Vacant(place) => {
                    let Some(next) = u32::try_from(kept.len()).ok().filter(|_| kept.len() < ROWS_MAX) else {
                        let message = format!("more than {ROWS_MAX} devices; divide the file");
                        return Err(LineError { line, field: "file".to_owned(), message, fatal: true });
                    };
                    place.insert(next);
                    kept.push(row);
                }
            }
        }
        noticed.unreadable_count = said.unreadable.finish();
        noticed.wrong_operator_count = said.operators.finish();
        for notices in [said.in_doubt, said.repeated, said.remarks] {
            notices.finish();
        }
        Ok(Self { noticed, keys, network, rows: kept })
    }
}

impl Said {
    /// Reports an operator that differs from the MPAN's.
    fn look(&mut self, line: u64, row: &inventory::Row, names: &Names) {
        if let Some((mpan, by_mpan)) = row.other_operator(&names.operators) {
            let named = |id: OperatorId| names.operator(id.get().into());
            let (is, by_mpan) = (named(row.settled_operator()), named(by_mpan));
            let (is, taken) = if row.operator == OperatorId::UNKNOWN {
                (format!("{is} by its first MPAN"), "that")
            } else {
                (format!("{is} is stated"), "stated")
            };
            let message = format!("line {line}: operator: {is}, but MPAN {mpan} is of {by_mpan}; taken as {taken}");
            self.operators.give(&message);
        }
    }

    /// Reports the differences of two rows.
    fn differ(&mut self, first: &Kept, other: &Kept, keys: &[LabelKey]) {
        let or_none = |text: String| if text.is_empty() { "none".to_owned() } else { text };
        let values = first.labels.iter().zip(&other.labels);
        let labels = keys
            .iter()
            .zip(values)
            .map(|(key, (was, is))| (key.as_str(), or_none(was.as_ref().to_owned()), or_none(is.as_ref().to_owned())));
        let parts = [
            ("mpxn", or_none(first.mpxn.to_string()), or_none(other.mpxn.to_string())),
            ("generation", first.generation.to_string(), other.generation.to_string()),
            ("model", or_none(first.model.to_string()), or_none(other.model.to_string())),
            ("operator", first.operator.to_string(), other.operator.to_string()),
        ];
        let placed = placed(first.placement()).into_iter().zip(placed(other.placement()));
        let placed = placed.map(|((part, was), (_, is))| (part, or_none(was), or_none(is)));
        let differ = parts.into_iter().chain(placed).chain(labels).filter(|(_, was, is)| was != is);
        let differ: Vec<String> = differ.map(|(part, was, is)| format!("{part} {was} and {is}")).collect();
        let same = if differ.is_empty() { "a row of it is in doubt already".to_owned() } else { differ.join(", ") };
        self.in_doubt.give(&format!(
            "lines {} and {}: eui: two rows of {}: {same}; none of them is taken",
            first.line,
            other.line,
            Eui64(other.eui)
        ));
    }
}

/// What a row says of where its device is connected, each part under its name.
fn placed(placement: PlacementChange) -> [(&'static str, String); 4] {
    let PlacementChange { secondary, export, kind, hub } = placement;
    let hub = hub.filter(|hub| *hub != Eui64::NONE);
    [
        ("secondary_mpan", secondary.unwrap_or_default().to_string()),
        ("export_mpan", export.unwrap_or_default().to_string()),
        ("type", kind.unwrap_or_default().to_string()),
        ("hub", hub.map(|hub| hub.to_string()).unwrap_or_default()),
    ]
}

/// A row as it goes to the host. Without an MPAN it says of the network's label only that it goes with the point: somebody may
/// have set it to something else.
fn wire(row: Kept, keys: &[LabelKey], network: Option<&LabelKey>) -> v1::Device {
    let PlacementChange { secondary, export, kind, hub } = row.placement();
    let Kept { eui, mpxn, generation, model, operator, keep_operator, labels, .. } = row;
    let label =
        |(key, value): (&LabelKey, &Arc<str>)| v1::Label { key: key.to_string(), value: value.as_ref().to_owned() };
    let left = network.filter(|_| mpxn.distributor().is_none());
    v1::Device {
        device_id: eui,
        mpxn: mpxn.to_string(),
        generation: generation as i32,
        model: model.as_ref().to_owned(),
        operator: operator.get().into(),
        labels: keys.iter().zip(&labels).filter(|(key, _)| Some(*key) != left).map(label).collect(),
        secondary_mpan: secondary.map(|mpxn| mpxn.to_string()),
        export_mpan: export.map(|mpxn| mpxn.to_string()),
        r#type: kind.map(|kind: DeviceType| kind as i32),
        hub_id: hub.map(|hub| hub.0),
        keep_operator,
        network_label: left.map(LabelKey::to_string).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::form::Form;

    fn read(text: &str) -> Read {
        let rows = Source::of(text.as_bytes(), None, &Form::default()).unwrap();
        Read::of(rows, Keys::default(), &Names::builtin(), &ProgressBar::hidden()).unwrap()
    }

    #[test]
    fn labels_of_columns_and_of_the_network_are_stated_of_each_device() {
        let key = |name: &str| name.parse::<LabelKey>().unwrap();
        let form = Form { labels: vec![(key("feeder"), "Feeder".to_owned())], ..Form::default() };
        let text = "eui,mpxn,generation,model,feeder\n\
                    02-00-5E-10-00-00-A0-2C,2400000000013,smets2,A,F1\n\
                    02-00-5E-10-00-00-A0-2D,,smets2,A,\n\
                    02-00-5E-10-00-00-A0-2E,,smets2,A,F1\n\
                    02-00-5E-10-00-00-A0-2E,,smets2,A,F2\n";
        let rows = Source::of(text.as_bytes(), None, &form).unwrap();
        let keys = Keys { columns: vec![key("feeder")], network: Some(key("network")) };
        let read = Read::of(rows, keys, &Names::builtin(), &ProgressBar::hidden()).unwrap();
        assert_eq!(read.noticed.in_doubt_count, 2, "rows that differ in a label alone");
        let shown = |device: v1::Device| {
            let labels = device.labels.iter().map(|label| format!("{}={}", label.key, label.value));
            (labels.collect::<Vec<_>>().join(" "), device.network_label)
        };
        let labels: Vec<(String, String)> = read.devices().map(|row| shown(row.device)).collect();
        let stated = |labels: &str, left: &str| (labels.to_owned(), left.to_owned());
        assert_eq!(labels, [stated("feeder=F1 network=24", ""), stated("feeder=", "network")]);
    }

    #[test]
    fn rows_are_read_whole_and_bad_lines_skipped() {
        let read = read(
            "eui,mpxn,generation,model,operator\n0000000000000002,1312345678907,smets2,M,\nnonsense,,,,\n\
             0000000000000001,1312345678907,smets1,,10\n",
        );
        assert_eq!(read.noticed, Noticed { unreadable_count: 1, wrong_operator_count: 1, ..Noticed::default() });
        assert_eq!(read.named().devices.len(), 2);
        let devices: Vec<v1::Device> = read.devices().map(|row| row.device).collect();
        assert_eq!((devices[0].device_id, devices[0].mpxn.as_str()), (2, "1312345678907"));
        assert_eq!((devices[0].generation(), devices[0].model.as_str()), (v1::Generation::Smets2, "M"));
        assert_eq!((devices[1].device_id, devices[1].operator), (1, 10));
    }

    #[test]
    fn of_a_device_in_two_ways_nothing_is_taken_and_the_same_twice_is_once() {
        let text = "eui,mpxn,generation,model\n\
                    02-00-5E-10-00-00-A0-2C,1300000000442,smets2,Alder 3\n\
                    02-00-5E-10-00-00-A0-2D,1300000000451,smets2,Alder 3\n\
                    02-00-5E-10-00-00-A0-2C,1200000000466,smets1,Birch 7\n\
                    02-00-5E-10-00-00-A0-2D,1300000000451,SMETS2, Alder 3 \n\
                    02-00-5E-10-00-00-A0-2C,1300000000442,smets2,Alder 3\n";
        let read = read(text);
        assert_eq!(read.noticed, Noticed { in_doubt_count: 3, repeated_count: 1, ..Noticed::default() });
        assert_eq!(read.named().devices.len(), 2, "the one in doubt is in the file");
        let devices: Vec<u64> = read.devices().map(|row| row.device.device_id).collect();
        assert_eq!(devices, [0x0200_5E10_0000_A02D]);
    }

    #[test]
    fn devices_at_one_point_go_one_after_the_other_wherever_they_stand() {
        let text = "eui,mpxn,generation,model,export_mpan\n\
                    0000000000000001,1000000000012,,,\n\
                    0000000000000002,1200000000011,,,\n\
                    0000000000000003,,,,1000000000012\n\
                    0000000000000004,7654321,,,\n\
                    0000000000000005,1200000000011,,,1000000000012\n";
        let devices: Vec<(bool, u64)> = read(text).devices().map(|row| (row.goes_on, row.device.device_id)).collect();
        assert_eq!(devices, [(false, 1), (true, 3), (true, 5), (false, 2), (false, 4)]);
        let named = read(text).named();
        assert_eq!((named.devices.len(), named.points.len()), (5, 3));
    }

    #[test]
    fn rows_that_differ_in_a_hub_are_in_doubt() {
        let text = "eui,mpxn,generation,model,hub\n\
                    0000000000000001,,,,0000000000000009\n0000000000000001,,,,0000000000000008\n";
        assert_eq!(read(text).noticed.in_doubt_count, 2);
    }
}
