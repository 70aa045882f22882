//! Labels of devices, in and out.
//!
//! It must not know which there are. Invariant: a key that is stated twice is refused, for the last would win silently.

use std::sync::Arc;

use weir_proto::v1;

use super::{LIST_ENTRIES_MAX, shown};
use crate::{
    books::{LABELS_MAX, LabelFilter},
    domain::{LabelKey, StatedLabel, UnknownLabel, check_label_value},
    pipeline::Refusal,
};

/// Labels that one row may state.
const STATED_MAX: usize = 64;

/// A key.
pub(super) fn key(sent: String) -> Result<LabelKey, String> {
    sent.parse()
}

/// Labels that row `row` of an inventory states, in order of their keys.
pub(super) fn stated(row: usize, sent: Vec<v1::Label>) -> Result<Vec<StatedLabel>, Refusal> {
    let refuse =
        |at: usize, field: &str, why: String| Refusal::invalid(format!("devices[{row}].labels[{at}].{field}"), why);
    if sent.len() > STATED_MAX {
        let why = format!("{} labels are more than {STATED_MAX}", sent.len());
        return Err(Refusal::invalid(format!("devices[{row}].labels"), why));
    }
    let mut stated: Vec<StatedLabel> = Vec::with_capacity(sent.len());
    for (at, v1::Label { key: name, value }) in sent.into_iter().enumerate() {
        let key = key(name).map_err(|why| refuse(at, "key", why))?;
        if stated.iter().any(|other| other.key == key) {
            return Err(refuse(at, "key", format!("{key} is stated twice; state each label once")));
        }
        let plain = check_label_value(&value).map_err(|why| refuse(at, "value", format!("{} {why}", shown(&value))))?;
        stated.push(StatedLabel { key, value: plain.to_owned() });
    }
    stated.sort_unstable();
    Ok(stated)
}

/// The label of row `row` that says which network its metering point is of; it is not among those that the row states.
pub(super) fn network(row: usize, sent: String, stated: &[StatedLabel]) -> Result<Option<LabelKey>, Refusal> {
    if sent.is_empty() {
        return Ok(None);
    }
    let refuse = |why: String| Refusal::invalid(format!("devices[{row}].network_label"), why);
    let key = key(sent).map_err(refuse)?;
    match stated.iter().any(|stated| stated.key == key) {
        true => Err(refuse(format!("{key} is among the labels too; state each label once"))),
        false => Ok(Some(key)),
    }
}

/// Filters by labels.
pub(super) fn filters(sent: Vec<v1::LabelFilter>) -> Result<Vec<LabelFilter>, Refusal> {
    if sent.len() > LABELS_MAX {
        return Err(Refusal::invalid("labels", format!("{} labels are more than {LABELS_MAX}", sent.len())));
    }
    let mut filters: Vec<LabelFilter> = Vec::with_capacity(sent.len());
    for (at, v1::LabelFilter { key: name, values }) in sent.into_iter().enumerate() {
        let refuse = |field: &str, why: String| Refusal::invalid(format!("labels[{at}].{field}"), why);
        let key = key(name).map_err(|why| refuse("key", why))?;
        if filters.iter().any(|other| other.key == key) {
            return Err(refuse("key", format!("{key} is given twice; give all its values in one filter")));
        }
        if values.is_empty() || values.len() > LIST_ENTRIES_MAX {
            let why =
                format!("{} values; from 1 to {LIST_ENTRIES_MAX} are allowed, an empty one for none", values.len());
            return Err(refuse("values", why));
        }
        let plain = |value: &String| check_label_value(value).map(str::to_owned).map_err(|why| (shown(value), why));
        let values = values.iter().map(plain).collect::<Result<_, _>>();
        let values = values.map_err(|(value, why)| refuse("values", format!("{value} {why}")))?;
        filters.push(LabelFilter { key, values });
    }
    Ok(filters)
}

/// A value that no device has, as it goes out.
pub(super) fn unknown(label: UnknownLabel) -> v1::UnknownLabel {
    let UnknownLabel { key, value, near } = label;
    v1::UnknownLabel { key: key.to_string(), value, near: near.unwrap_or_default() }
}

/// Labels as they go out.
pub(super) fn wire(labels: impl IntoIterator<Item = (LabelKey, Arc<str>)>) -> Vec<v1::Label> {
    let label = |(key, text): (LabelKey, Arc<str>)| v1::Label { key: key.to_string(), value: text.as_ref().to_owned() };
    labels.into_iter().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(key: &str, value: &str) -> v1::Label {
        v1::Label { key: key.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn labels_of_a_row_are_sorted_and_a_wrong_one_is_named() {
        let sent = vec![label("substation", " S 1 "), label("feeder", "")];
        let found: Vec<String> =
            stated(3, sent).unwrap().iter().map(|label| format!("{}={}", label.key, label.value)).collect();
        assert_eq!(found, ["feeder=", "substation=S 1"]);
        for (sent, words) in [
            (vec![label("a", "1"), label("a", "1")], "devices[3].labels[1].key: a is stated twice"),
            (vec![label("Primary Feeder", "1")], "devices[3].labels[0].key: \"Primary Feeder\" is no key of a label"),
            (vec![label("a", &"x".repeat(65))], "devices[3].labels[0].value: \"xxx"),
            (vec![label("a", "1\n2")], "devices[3].labels[0].value: \"1\\n2\" has the control character"),
            (vec![label("a", ""); 65], "devices[3].labels: 65 labels are more than 64"),
        ] {
            let why = stated(3, sent).unwrap_err().to_string();
            assert!(why.starts_with(words), "{why}");
        }
    }

    #[test]
    fn a_filter_needs_a_value_and_an_empty_one_is_for_none() {
        let filter = |values: &[&str]| v1::LabelFilter {
            key: "a".to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        assert_eq!(filters(vec![filter(&["", " x "])]).unwrap()[0].values, ["", "x"]);
        let why = |sent| filters(sent).unwrap_err().to_string();
        assert!(why(vec![filter(&[])]).starts_with("labels[0].values: 0 values"));
        assert!(why(vec![filter(&["x"; 1_001])]).starts_with("labels[0].values: 1001 values"));
        assert!(why(vec![filter(&["x"]); 5]).starts_with("labels: 5 labels are more than 4"));
        assert!(
            why(vec![filter(&["x", "(not labelled)"])]).starts_with("labels[0].values: \"(not labelled)\" stands for")
        );
        assert!(why(vec![filter(&[&"x".repeat(65)])]).ends_with("65 bytes are more than 64"));
        assert!(why(vec![filter(&["x"]), filter(&["y"])]).starts_with("labels[1].key: a is given twice"));
    }
}
