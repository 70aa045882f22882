use super::{
    super::{CountQuery, Grouping, Names, Parties, Ranks, Summing, check},
    *,
};
use crate::{
    admit::{LabelLimits, Labels},
    domain::{Cell, DeviceNo, End, OperatorId, Position, Revision, StatedLabel, Tally},
};

fn key(name: &str) -> LabelKey {
    name.parse().unwrap()
}

/// Devices 0 to 5: 0, 1 and 4 at A, 2 and 3 at B, 4 of another operator, 5 without a label.
fn labels() -> Labels {
    let limits = LabelLimits { keys_max: 16, values_max: 100, operator_values_max: 100 };
    let mut labels = Labels::default();
    for (no, operator, substation, feeder) in
        [(0, 10, "A", "1"), (1, 10, "A", "2"), (2, 10, "B", "1"), (3, 10, "B", ""), (4, 12, "A", "")]
    {
        let stated = |name: &str, value: &str| StatedLabel { key: key(name), value: value.to_owned() };
        let stated = [stated("feeder", feeder), stated("substation", substation)];
        let plan = labels.plan(Some(DeviceNo(no)), OperatorId::new(operator).unwrap(), &stated, &limits).unwrap();
        labels.apply(DeviceNo(no), plan);
    }
    labels
}

fn groups(own: Option<u32>, keys: &[&str], filters: &[(&str, &[&str])]) -> LabelGroups {
    let table = labels().table();
    let column = |name: &str| table.column(&key(name), own.and_then(OperatorId::new)).unwrap();
    let mut groups = LabelGroups::default();
    keys.iter().for_each(|name| groups.group_by(column(name)));
    for (name, values) in filters {
        groups.filter(column(name), &values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
    }
    groups
}

/// Rows by label as `a/b count`: each device has raised as many alerts as its number and one more.
fn counted(query: &CountQuery, mut groups: LabelGroups) -> (Vec<String>, u64, Option<u64>) {
    let cell =
        |end| Cell { code: Some(1), operator: 10, generation: 0, model: 0, end, rule: Revision::NONE, reason: 0 };
    let of = |count| Tally { count, represented: count, ..Tally::default() };
    let mut sum = Summing::new(query, Names::default(), 100);
    let admitted: Vec<u32> = (0..6).filter(|no| groups.admit(*no)).collect();
    let rejected = groups.admit_none().then_some(7);
    let mut alerts = Vec::new();
    alerts.extend(rejected.map(|count| ((cell(End::Rejected), of(count)), Parties::default())));
    for no in admitted {
        let parties = Parties { labels: groups.numbers(no), ..Parties::default() };
        alerts.push(((cell(End::Forwarded), of(u64::from(no) + 1)), parties));
    }
    if let Some(top) = query.top {
        let mut ranks = Ranks::new(100);
        alerts.iter().for_each(|(counted, parties)| sum.rank_one(&mut ranks, 0, *counted, *parties).unwrap());
        sum.choose(ranks, top);
    }
    alerts.into_iter().for_each(|(counted, parties)| sum.take_one(0, counted, parties).unwrap());
    sum.name_labels(groups.into_texts());
    let table = sum.finish(Position(9));
    let row = |(key, counts): &(super::super::CountKey, super::super::Counts)| {
        let texts: Vec<&str> = key.labels.iter().map(|(_, text)| text.as_ref()).collect();
        format!("{} {}", texts.join("/"), counts.balance.received())
    };
    let rest = table.rest.map(|(_, counts)| counts.balance.received());
    (table.rows.iter().map(row).collect(), table.total.balance.received(), rest)
}

fn by(keys: &[&str]) -> CountQuery {
    CountQuery {
        group_by: (0..keys.len()).map(|at| Grouping::Label(at as u8)).collect(),
        label_keys: keys.iter().map(|name| key(name)).collect(),
        ..CountQuery::default()
    }
}

#[test]
fn rows_are_of_the_text_and_add_up_with_those_that_have_none() {
    let (rows, total, rest) = counted(&by(&["substation"]), groups(None, &["substation"], &[]));
    assert_eq!(rows, [" 13", "A 8", "B 7"], "the same text of two operators is one row; rejected alerts have none");
    assert_eq!((total, rest), (28, None));
    let (rows, ..) = counted(&by(&["substation", "feeder"]), groups(None, &["substation", "feeder"], &[]));
    assert_eq!(rows, ["/ 13", "A/ 5", "A/1 1", "A/2 2", "B/ 4", "B/1 3"]);
    let top = CountQuery { top: Some(1), ..by(&["substation"]) };
    assert_eq!(counted(&top, groups(None, &["substation"], &[])), (vec![" 13".to_owned()], 28, Some(15)));
}

#[test]
fn an_operator_is_told_no_value_of_another() {
    let (rows, ..) = counted(&by(&["substation"]), groups(Some(12), &["substation"], &[]));
    assert_eq!(rows, [" 23", "A 5"]);
}

#[test]
fn filters_choose_devices_by_their_values_or_by_having_none() {
    let chosen = |filters: &[(&str, &[&str])]| counted(&by(&["substation"]), groups(None, &["substation"], filters)).0;
    assert_eq!(chosen(&[("substation", &["A", "nowhere"])]), ["A 8"]);
    assert_eq!(chosen(&[("feeder", &[""])]), [" 13", "A 5", "B 4"]);
    assert_eq!(chosen(&[("feeder", &["1"]), ("substation", &["B"])]), ["B 3"]);
}

#[test]
fn values_that_no_device_has_are_named_with_what_is_near_to_them() {
    let limits = LabelLimits { keys_max: 1, values_max: 100, operator_values_max: 100 };
    let mut labels = Labels::default();
    for (no, operator, value) in [(0, 10, "Ash Lane"), (1, 10, "Mill"), (2, 12, "Oak Side")] {
        let stated = [StatedLabel { key: key("substation"), value: value.to_owned() }];
        let plan = labels.plan(Some(DeviceNo(no)), OperatorId::new(operator).unwrap(), &stated, &limits).unwrap();
        labels.apply(DeviceNo(no), plan);
    }
    let table = labels.table();
    let unknown = |own: Option<u32>, values: &[&str]| {
        let mut groups = LabelGroups::default();
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        groups.filter(table.column(&key("substation"), own.and_then(OperatorId::new)).unwrap(), &values);
        let said = |unknown: &UnknownLabel| {
            (format!("{}={}", unknown.key, unknown.value), unknown.near.as_deref().unwrap_or("-").to_owned())
        };
        groups.unknown().iter().map(said).collect::<Vec<_>>()
    };
    let one = |value: &str, near: &str| (format!("substation={value}"), near.to_owned());
    assert_eq!(unknown(None, &["Ash Lane", "", "Mill"]), []);
    assert_eq!(unknown(None, &["Mill", "Ash Lnae", "nowhere"]), [one("Ash Lnae", "Ash Lane"), one("nowhere", "-")]);
    // Neither is another operator's value known, nor is it told as the near one.
    assert_eq!(unknown(Some(12), &["Ash Lane", "Ash Lnae"]), [one("Ash Lane", "-"), one("Ash Lnae", "-")]);
    let many: Vec<String> = (0..50).map(|number| format!("not there {number}")).collect();
    assert_eq!(unknown(None, &many.iter().map(String::as_str).collect::<Vec<_>>()).len(), UNKNOWN_MAX);
}

#[test]
fn labels_are_few_and_each_once() {
    let filter = |name: &str| LabelFilter { key: key(name), values: vec![String::new()] };
    for (query, field) in [
        (by(&["a", "a"]), "label_keys"),
        (by(&["a", "b", "c", "d", "e"]), "label_keys"),
        (CountQuery { labels: vec![filter("a"), filter("a")], ..CountQuery::default() }, "labels"),
    ] {
        assert_eq!(check(&query).map_err(|error| error.field), Err(field));
    }
    assert!(check(&by(&["a", "b", "c", "d"])).is_ok());
    assert!(CountQuery { labels: vec![filter("a")], ..CountQuery::default() }.is_of_log());
}
