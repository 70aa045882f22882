//! Labels on the command line: which columns of a file are labels, and which devices are meant by them.
//!
//! It must not know what a label is for. Invariant: a key that gets as far as a message is one.

use weir_proto::v1::{self, device_service_client::DeviceServiceClient};

use crate::{
    cli::{Failure, Session, session::Connection},
    domain::{LabelKey, Mpxn},
    near::no_such_label,
};

/// A column of a file that is a label, and the file's heading for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct LabelColumn {
    pub(in crate::cli) key: LabelKey,
    pub(in crate::cli) heading: String,
}

/// Parses `KEY`, whose heading is named like it, or `KEY=HEADING`.
pub(super) fn column(text: &str) -> Result<LabelColumn, String> {
    let (key, heading) = text.split_once('=').unwrap_or((text, text));
    let (key, heading) = (key.trim().parse::<LabelKey>()?, heading.trim().to_owned());
    if heading.is_empty() {
        return Err(format!("expected KEY=HEADING, like feeder=PrimaryFeeder, found {text:?}"));
    }
    Ok(LabelColumn { key, heading })
}

/// Only devices with a value of a label; an empty one stands for devices without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct LabelIs {
    pub(in crate::cli) key: LabelKey,
    pub(in crate::cli) value: String,
}

/// Parses `KEY=VALUE`.
pub(in crate::cli) fn is(text: &str) -> Result<LabelIs, String> {
    let (key, value) = text.split_once('=').ok_or_else(|| {
        format!("expected KEY=VALUE, like substation=\"Ash Lane\", or KEY= for devices without it, found {text:?}")
    })?;
    Ok(LabelIs { key: key.trim().parse()?, value: value.trim().to_owned() })
}

/// Filters as the protocol has them: any of the values of one key, and each key.
pub(in crate::cli) fn filters(wanted: &[LabelIs]) -> Vec<v1::LabelFilter> {
    let mut filters: Vec<v1::LabelFilter> = Vec::new();
    for LabelIs { key, value } in wanted {
        match filters.iter_mut().find(|filter| filter.key == key.as_str()) {
            Some(filter) => filter.values.push(value.clone()),
            None => filters.push(v1::LabelFilter { key: key.to_string(), values: vec![value.clone()] }),
        }
    }
    filters
}

/// Rejects a key of `--labels` that no device has.
pub(in crate::cli) async fn check_keys(
    session: &Session,
    client: &mut DeviceServiceClient<Connection>,
    wanted: &[LabelKey],
) -> Result<(), Failure> {
    if wanted.is_empty() {
        return Ok(());
    }
    let answer = client.list_labels(v1::ListLabelsRequest {}).await.map_err(|status| session.failed(&status))?;
    let known = answer.into_inner().labels;
    let missing = wanted.iter().find(|key| known.iter().all(|label| label.key != key.as_str()));
    missing.map_or(Ok(()), |key| {
        let keys = known.iter().map(|label| label.key.as_str());
        Err(Failure::usage(format!("--labels: {}", no_such_label(key.as_str(), keys))))
    })
}

/// True if a device has the labels that are wanted: a host of an earlier release passes over the filter.
pub(super) fn admit(filters: &[v1::LabelFilter], labels: &[v1::Label]) -> bool {
    filters.iter().all(|filter| {
        let value = labels.iter().find(|label| label.key == filter.key).map_or("", |label| &label.value);
        filter.values.iter().any(|wanted| wanted == value)
    })
}

/// Returns what a network's label says of a metering point: the distributor id that its MPAN begins with.
pub(super) fn network(mpxn: Mpxn) -> String {
    mpxn.distributor().map_or_else(String::new, |id| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_a_key_and_perhaps_another_heading() {
        let of = |text: &str| column(text).map(|column| (column.key.to_string(), column.heading));
        assert_eq!(of("substation"), Ok(("substation".to_owned(), "substation".to_owned())));
        assert_eq!(of("feeder = Primary Feeder"), Ok(("feeder".to_owned(), "Primary Feeder".to_owned())));
        assert!(of("Primary Feeder").unwrap_err().ends_with("did you mean \"primary_feeder\"?"));
        assert!(of("feeder=").unwrap_err().starts_with("expected KEY=HEADING"));
    }

    #[test]
    fn values_of_one_key_are_any_and_keys_are_all() {
        let wanted: Vec<LabelIs> = ["a=1", "b=", "a=x=y"].map(|text| is(text).unwrap()).into();
        let filters = filters(&wanted);
        let label = |key: &str, value: &str| v1::Label { key: key.to_owned(), value: value.to_owned() };
        assert!(admit(&filters, &[label("a", "1")]) && admit(&filters, &[label("a", "x=y"), label("c", "5")]));
        assert!(!admit(&filters, &[label("a", "2")]) && !admit(&filters, &[label("a", "1"), label("b", "3")]));
        assert!(is("a").unwrap_err().starts_with("expected KEY=VALUE"));
    }

    #[test]
    fn the_network_of_a_metering_point_is_the_one_its_mpan_begins_with() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!((of("2400000000013").as_str(), of("123456").as_str(), of("").as_str()), ("24", "", ""));
    }
}
