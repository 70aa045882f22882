//! Reads a whole inventory, each device once.
//!
//! Invariants: conflicting rows of a device load nothing; identical rows load it once. Memory holds at most [`ROWS_MAX`] rows
//! of about 80 bytes, and 16 more for each label.

use std::{collections::HashMap, collections::hash_map::Entry, io::BufRead, sync::Arc};

use indicatif::ProgressBar;
use weir_proto::v1;

use crate::{
    cli::{arguments::Names, device::labels, input::Notices},
    domain::{Eui64, Generation, LabelKey, Mpxn, OperatorId},
    intake::{LineError, inventory},
};

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

/// The contents of a file.
pub(super) struct Read {
    pub(super) noticed: Noticed,
    keys: Vec<LabelKey>,
    rows: Vec<Kept>,
}

impl Read {
    /// Returns all devices with their metering points, conflicting ones included.
    pub(super) fn named(&self) -> HashMap<u64, Mpxn> {
        self.rows.iter().map(|row| (row.eui, row.mpxn)).collect()
    }

    /// Returns the devices to load, in file order.
    pub(super) fn devices(self) -> impl Iterator<Item = v1::Device> + Send + 'static {
        let keys = self.keys;
        self.rows.into_iter().filter(|row| !row.in_doubt).map(move |row| wire(row, &keys))
    }
}

/// A row and its line.
struct Kept {
    eui: u64,
    mpxn: Mpxn,
    line: u64,
    model: Arc<str>,
    generation: Generation,
    operator: OperatorId,
    in_doubt: bool,
    /// Values of the labels, in the order of the keys.
    labels: Box<[Arc<str>]>,
}

impl Kept {
    fn says_the_same(&self, other: &Self) -> bool {
        (self.mpxn, &self.model, self.generation, self.operator, &self.labels)
            == (other.mpxn, &other.model, other.generation, other.operator, &other.labels)
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
        mut rows: inventory::Rows<R>,
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
        let is_network_kept = network.is_some();
        keys.extend(network);
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
            let network = is_network_kept.then(|| labels::network(row.mpxn));
            let mut shared =
                |text: String| Arc::clone(texts.entry(text).or_insert_with_key(|text| Arc::from(text.as_str())));
            let model = shared(row.model);
            let labels = row.labels.into_iter().chain(network).map(shared).collect();
            let (eui, mpxn, generation, operator) = (row.eui.0, row.mpxn, row.generation, row.operator);
            let row = Kept { eui, mpxn, line, model, generation, operator, in_doubt: false, labels };
            match places.entry(eui) {
                Entry::Occupied(place) => {
                    let first = &mut kept[*place.get() as usize];
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
        Ok(Self { noticed, keys, rows: kept })
    }
}

impl Said {
    /// Reports an operator that differs from the MPAN's.
    fn look(&mut self, line: u64, row: &inventory::Row, names: &Names) {
        if let Some(by_mpan) = row.other_operator(&names.operators) {
            let named = |id: OperatorId| names.operator(id.get().into());
            let (stated, by_mpan) = (named(row.operator), named(by_mpan));
            let message = format!(
                "line {line}: operator: {stated} is stated, but MPAN {} is of {by_mpan}; taken as stated",
                row.mpxn
            );
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
        let differ = parts.into_iter().chain(labels).filter(|(_, was, is)| was != is);
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

fn wire(row: Kept, keys: &[LabelKey]) -> v1::Device {
    let Kept { eui, mpxn, generation, model, operator, labels, .. } = row;
    let label =
        |(key, value): (&LabelKey, &Arc<str>)| v1::Label { key: key.to_string(), value: value.as_ref().to_owned() };
    v1::Device {
        device_id: eui,
        mpxn: mpxn.to_string(),
        generation: generation as i32,
        model: model.as_ref().to_owned(),
        operator: operator.get().into(),
        labels: keys.iter().zip(&labels).map(label).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::form::Form;

    fn read(text: &str) -> Read {
        let rows = inventory::Rows::new(text.as_bytes()).unwrap();
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
        let rows = inventory::Rows::of(text.as_bytes(), &form).unwrap();
        let keys = Keys { columns: vec![key("feeder")], network: Some(key("network")) };
        let read = Read::of(rows, keys, &Names::builtin(), &ProgressBar::hidden()).unwrap();
        assert_eq!(read.noticed.in_doubt_count, 2, "rows that differ in a label alone");
        let labels: Vec<Vec<String>> = read
            .devices()
            .map(|device| device.labels.iter().map(|label| format!("{}={}", label.key, label.value)).collect())
            .collect();
        assert_eq!(labels, [["feeder=F1", "network=24"], ["feeder=", "network="]]);
    }

    #[test]
    fn rows_are_read_whole_and_bad_lines_skipped() {
        let read = read(
            "eui,mpxn,generation,model,operator\n0000000000000002,1312345678907,smets2,M,\nnonsense,,,,\n\
             0000000000000001,1312345678907,smets1,,10\n",
        );
        assert_eq!(read.noticed, Noticed { unreadable_count: 1, wrong_operator_count: 1, ..Noticed::default() });
        assert_eq!(read.named().len(), 2);
        let devices: Vec<v1::Device> = read.devices().collect();
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
        assert_eq!(read.named().len(), 2, "the one in doubt is in the file");
        let devices: Vec<u64> = read.devices().map(|device| device.device_id).collect();
        assert_eq!(devices, [0x0200_5E10_0000_A02D]);
    }
}
