use super::*;

const ROOMY: LabelLimits = LabelLimits { keys_max: 16, values_max: 100, operator_values_max: 100 };

fn operator(id: u32) -> OperatorId {
    OperatorId::new(id).unwrap()
}

fn key(name: &str) -> LabelKey {
    name.parse().unwrap()
}

fn stated(labels: &[(&str, &str)]) -> Vec<StatedLabel> {
    labels.iter().map(|(name, value)| StatedLabel { key: key(name), value: (*value).to_owned() }).collect()
}

/// Number and operator of a device, and its labels.
type Row<'a> = (u32, u32, &'a [(&'a str, &'a str)]);

/// Labels, a way to load one device and the bytes of a store that was told everything.
#[derive(Default)]
struct Loaded {
    labels: Labels,
    kept: KeptLabels,
    operators: BTreeMap<u32, OperatorId>,
}

impl Loaded {
    fn put(&mut self, no: u32, of: u32, labels: &[(&str, &str)]) -> Result<bool, LabelError> {
        self.put_within(no, of, labels, &ROOMY)
    }

    fn put_within(&mut self, no: u32, of: u32, given: &[(&str, &str)], max: &LabelLimits) -> Result<bool, LabelError> {
        self.put_message(&[(no, of, given)], max).map(|differ| differ[0]).map_err(|(_, why)| why)
    }

    /// Rows of one message: all of them, or none and which one goes beyond a limit.
    fn put_message(&mut self, rows: &[Row<'_>], max: &LabelLimits) -> Result<Vec<bool>, (usize, LabelError)> {
        let plan = |(no, of, given): &Row<'_>| {
            self.labels.plan(Some(DeviceNo(*no)), operator(*of), &stated(given), max).unwrap()
        };
        let plans: Vec<LabelPlan> = rows.iter().map(plan).collect();
        if let Err(why) = self.labels.check(&plans, max) {
            plans.into_iter().for_each(|plan| self.labels.withdraw(plan));
            return Err(why);
        }
        let differ = plans.iter().map(LabelPlan::differs).collect();
        for ((no, of, _), plan) in rows.iter().zip(plans) {
            self.labels.apply(DeviceNo(*no), plan);
            self.operators.insert(*no, operator(*of));
        }
        self.write();
        Ok(differ)
    }

    /// Does what the store does.
    fn write(&mut self) {
        let LabelEffects { keys, values, devices } = self.labels.take_effects();
        let kept = &mut self.kept;
        for (no, new) in keys {
            kept.keys.retain(|(known, _)| *known != no);
            kept.keys.extend(new.map(|key| (no, key)));
        }
        for (number, new) in values {
            kept.values.retain(|(known, _)| *known != number);
            kept.values.extend(new.map(|value| (number, value)));
        }
        for (device, numbers) in devices {
            kept.columns.values_mut().for_each(|column| {
                column.get_mut(device as usize).map(|number| *number = 0).unwrap_or_default();
            });
            for (no, number) in numbers {
                let column = kept.columns.entry(no).or_default();
                column.resize(column.len().max(device as usize + 1), 0);
                column[device as usize] = number;
            }
        }
    }

    fn of(&self, no: u32) -> Vec<String> {
        self.labels.of(DeviceNo(no)).into_iter().map(|(key, text)| format!("{key}={text}")).collect()
    }

    /// The same from what was written.
    fn reloaded(&self) -> Labels {
        let operators = self.operators.clone();
        Labels::load(self.kept.clone(), move |no| operators.get(&no.0).copied().unwrap_or_default())
    }
}

#[test]
fn a_key_that_is_not_stated_stays_and_an_empty_value_removes() {
    let mut loaded = Loaded::default();
    assert_eq!(loaded.put(5, 10, &[("feeder", "F1"), ("substation", "S1")]), Ok(true));
    assert_eq!(loaded.put(5, 10, &[]), Ok(false));
    assert_eq!(loaded.put(5, 10, &[("feeder", "F1")]), Ok(false));
    assert_eq!(loaded.put(5, 10, &[("postcode", "")]), Ok(false), "there is none to remove");
    assert_eq!(loaded.of(5), ["feeder=F1", "substation=S1"]);
    assert_eq!(loaded.put(5, 10, &[("feeder", ""), ("postcode", "AB1 2CD")]), Ok(true));
    assert_eq!(loaded.of(5), ["postcode=AB1 2CD", "substation=S1"]);
    let table = loaded.labels.table();
    assert_eq!(table.keys_of(None), [&key("postcode"), &key("substation")], "a key goes with its last device");
    assert_eq!(loaded.reloaded().of(DeviceNo(5)), loaded.labels.of(DeviceNo(5)));
}

#[test]
fn what_was_looked_at_stays_as_it_was() {
    let mut loaded = Loaded::default();
    loaded.put(1, 10, &[("feeder", "F1")]).unwrap();
    let column = loaded.labels.table().column(&key("feeder"), None).unwrap();
    loaded.put(1, 10, &[("feeder", "F2")]).unwrap();
    loaded.put(2, 10, &[("feeder", "F3")]).unwrap();
    let text = |column: &LabelColumn, no| column.text(column.number(no)).map(|text| text.to_string());
    assert_eq!((text(&column, 1), text(&column, 2)), (Some("F1".to_owned()), None));
    let column = loaded.labels.table().column(&key("feeder"), None).unwrap();
    assert_eq!((text(&column, 1), text(&column, 2)), (Some("F2".to_owned()), Some("F3".to_owned())));
}

#[test]
fn values_are_of_the_operator_that_the_device_is_of() {
    let mut loaded = Loaded::default();
    loaded.put(1, 10, &[("feeder", "F1")]).unwrap();
    loaded.put(2, 12, &[("feeder", "F1"), ("ours", "x")]).unwrap();
    let table = loaded.labels.table();
    assert_eq!(table.keys_of(Some(operator(10))), [&key("feeder")]);
    assert!(table.column(&key("ours"), Some(operator(10))).is_none());
    let column = table.column(&key("feeder"), Some(operator(10))).unwrap();
    assert!(column.number(1) != 0 && column.number(2) == 0);
    // It moves, and its labels with it: the operator before sees them no more.
    assert_eq!(loaded.put(1, 12, &[]), Ok(false));
    assert_eq!(loaded.of(1), ["feeder=F1"]);
    let table = loaded.labels.table();
    assert!(table.column(&key("feeder"), Some(operator(10))).is_none());
    assert_eq!(table.of(DeviceNo(1), operator(10)), []);
    assert_eq!(table.of(DeviceNo(1), operator(12)).len(), 1);
    let again = loaded.reloaded().table();
    assert!(again.column(&key("feeder"), Some(operator(12))).is_some_and(|column| column.number(1) != 0));
}

#[test]
fn limits_name_key_value_setting_and_way_out_and_leave_no_trace() {
    let mut loaded = Loaded::default();
    let tight = LabelLimits { keys_max: 2, values_max: 3, operator_values_max: 2 };
    loaded.put_within(1, 10, &[("a", "1"), ("b", "2")], &tight).unwrap();
    let refused = |loaded: &mut Loaded, of, given: &[(&str, &str)]| {
        let before = loaded.of(2);
        let why = loaded.put_within(2, of, given, &tight).unwrap_err().to_string();
        assert_eq!(loaded.of(2), before);
        assert!(loaded.labels.take_effects().is_empty(), "{why}");
        why
    };
    let keys = refused(&mut loaded, 10, &[("c", "1")]);
    assert!(keys.starts_with("c: intake.label_keys_max (2) keys are in use; remove a label"), "{keys}");
    let values = refused(&mut loaded, 10, &[("a", "3")]);
    let said = "a: \"3\" of operator 10 would be one different value more than intake.operator_label_values_max (2)";
    assert!(values.starts_with(said), "{values}");
    loaded.put_within(2, 12, &[("a", "3")], &tight).unwrap();
    let values = refused(&mut loaded, 12, &[("a", "1"), ("b", "4")]);
    assert!(
        values.contains("\"4\" of operator 12 would be one different value more than intake.label_values_max (3)"),
        "{values}"
    );
    // A value that nothing has any more makes room.
    loaded.put_within(2, 12, &[("a", "")], &tight).unwrap();
    loaded.put_within(2, 12, &[("a", "4")], &tight).unwrap();
    assert_eq!(loaded.of(2), ["a=4"]);
}

#[test]
fn a_message_is_checked_by_what_it_leaves_in_use() {
    let mut loaded = Loaded::default();
    let tight = LabelLimits { keys_max: 1, values_max: 3, operator_values_max: 2 };
    loaded.put_message(&[(1, 10, &[("a", "1")]), (2, 10, &[("a", "2")])], &tight).unwrap();
    // All values are replaced by others, and then the key.
    loaded.put_message(&[(1, 10, &[("a", "3")]), (2, 10, &[("a", "4")])], &tight).unwrap();
    loaded.put_message(&[(1, 10, &[("a", ""), ("b", "5")]), (2, 10, &[("a", ""), ("b", "6")])], &tight).unwrap();
    assert_eq!((loaded.of(1), loaded.of(2)), (vec!["b=5".to_owned()], vec!["b=6".to_owned()]));
    // One value is given up, and two come: the second of them is named.
    let (row, why) = loaded.put_message(&[(1, 10, &[("b", "7")]), (3, 10, &[("b", "8")])], &tight).unwrap_err();
    assert_eq!((row, why.to_string().starts_with("b: \"8\" of operator 10 would be")), (1, true), "{why}");
    let (row, why) = loaded.put_message(&[(1, 10, &[("b", "")]), (3, 12, &[("c", "1")])], &tight).unwrap_err();
    assert_eq!((row, why.to_string().starts_with("c: intake.label_keys_max (1)")), (1, true), "{why}");
    assert_eq!((loaded.of(1), loaded.of(2)), (vec!["b=5".to_owned()], vec!["b=6".to_owned()]));
    assert!(loaded.labels.take_effects().is_empty());
    // A limit that was lowered below what there is lets values be replaced, and none be added.
    let lowered = LabelLimits { values_max: 1, ..tight };
    loaded.put_message(&[(1, 10, &[("b", "9")])], &lowered).unwrap();
    assert!(loaded.put_message(&[(3, 12, &[("b", "1")])], &lowered).is_err());
}

#[test]
fn a_plan_that_is_withdrawn_changes_nothing() {
    let mut loaded = Loaded::default();
    loaded.put(1, 10, &[("feeder", "F1")]).unwrap();
    for (no, of, given) in
        [(Some(DeviceNo(1)), 12, [("feeder", "F2"), ("new", "x")]), (None, 10, [("a", "1"), ("b", "2")])]
    {
        let plan = loaded.labels.plan(no, operator(of), &stated(&given), &ROOMY).unwrap();
        assert!(plan.differs());
        loaded.labels.withdraw(plan);
        assert!(loaded.labels.take_effects().is_empty());
        assert_eq!(
            (loaded.of(1), loaded.labels.table().keys_of(None)),
            (vec!["feeder=F1".to_owned()], vec![&key("feeder")])
        );
    }
}

/// Numbers of keys and values are given anew, and what is on disk says the same as memory, whatever was done.
#[test]
fn what_is_written_is_what_there_is_after_many_changes() {
    let mut loaded = Loaded::default();
    let mut seed = 7_u64;
    let mut next = |max: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % max
    };
    let keys = ["a", "b", "c"];
    for _ in 0..2_000 {
        let (no, of) = (next(40) as u32, 10 + next(3) as u32);
        let mut values: Vec<(&str, String)> = Vec::new();
        for key in keys {
            match next(12) {
                0 => values.push((key, String::new())),
                value @ 1..=5 => values.push((key, format!("v{value}"))),
                _ => {}
            }
        }
        let given: Vec<(&str, &str)> = values.iter().map(|(key, value)| (*key, value.as_str())).collect();
        loaded.put(no, of, &given).unwrap();
    }
    let again = loaded.reloaded();
    for no in (0..40).map(DeviceNo) {
        assert_eq!(again.of(no), loaded.labels.of(no));
    }
    // At most five texts of three operators are in use, and no number beyond.
    assert!(loaded.kept.values.len() <= 15 && loaded.kept.values.iter().all(|(number, _)| *number <= 16));
}

#[test]
fn what_a_row_states_is_put_over_what_there_was() {
    let before: DeviceLabels = [("a", "1"), ("b", "2")].map(|(name, text)| (key(name), Arc::from(text))).into();
    let after = with_stated(before, &stated(&[("c", "3"), ("a", ""), ("b", "4")]));
    let shown: Vec<String> = after.iter().map(|(key, text)| format!("{key}={text}")).collect();
    assert_eq!(shown, ["b=4", "c=3"]);
}
