//! Labels on disk: what one commit changes, and what damage is named.

use super::*;

fn kept(store: &Store) -> KeptLabels {
    store.load().unwrap().labels
}

#[test]
fn labels_are_there_after_reopening_and_go_when_they_are_removed() {
    let disk = Disk::default();
    let mut store = open(&disk);
    store.commit(&Effects { labels: some_labels(), ..devices() }).unwrap();
    store.close().unwrap();
    let mut store = open(&disk);
    let LabelEffects { keys, values, .. } = some_labels();
    let first = KeptLabels {
        keys: vec![(0, keys[0].1.clone().unwrap()), (2, keys[1].1.clone().unwrap())],
        values: vec![(1, values[0].1.clone().unwrap()), (4, values[1].1.clone().unwrap())],
        columns: [(0, vec![0, 1, 0, 1]), (2, vec![0, 0, 0, 4])].into(),
    };
    assert_eq!(kept(&store), first);
    let removed = LabelEffects { keys: vec![(2, None)], values: vec![(4, None)], devices: vec![(3, vec![(0, 1)])] };
    store.commit(&Effects { labels: removed, ..Effects::default() }).unwrap();
    store
        .commit(&Effects {
            labels: LabelEffects { devices: vec![(1, vec![])], ..Default::default() },
            ..Effects::default()
        })
        .unwrap();
    store.close().unwrap();
    let left = kept(&open(&disk));
    assert_eq!((left.keys.len(), left.values.len()), (1, 1));
    assert_eq!(left.columns, [(0, vec![0, 0, 0, 1])].into());
}

#[test]
fn a_label_of_no_device_key_or_value_is_named() {
    for (devices_of, said) in [
        (vec![(5, vec![(0, 1)])], "key 5: there is no such device"),
        (vec![(2, vec![(1, 1)])], "key 2: it names a key or a value that is not there"),
        (vec![(2, vec![(0, 3)])], "key 2: it names a key or a value that is not there"),
    ] {
        let mut store = open(&Disk::default());
        let labels = LabelEffects { devices: devices_of, ..some_labels() };
        store.commit(&Effects { labels, ..devices() }).unwrap();
        let error = store.load().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

/// Format 5 had none of the tables.
#[test]
fn a_store_of_format_5_is_given_the_tables_of_labels_and_takes_some() {
    let disk = Disk::default();
    let mut store = with_groups(&disk, 2);
    let before = store.load().unwrap();
    store.commit(&Effects { labels: some_labels(), position: before.position, ..Effects::default() }).unwrap();
    store.close().unwrap();
    before::without_new_tables(&disk, 5);
    let mut store = open(&disk);
    assert_eq!(store.load().unwrap(), before);
    store.commit(&Effects { labels: some_labels(), position: before.position, ..Effects::default() }).unwrap();
    store.close().unwrap();
    assert_eq!(kept(&open(&disk)).keys.len(), 2);
}

/// A store that is out there must be readable for ever. Whoever changes a number here has changed a published encoding.
#[test]
fn the_published_encodings_of_labels_stay() {
    let LabelEffects { keys, values, devices } = some_labels();
    let fingerprint = |values: Vec<Vec<u8>>| (values.concat().len(), arbitrary::fingerprint(&values.concat()));
    let bytes = |out: codec::Writer| out.as_bytes().to_vec();
    let keys = keys.iter().filter_map(|(_, key)| key.as_ref().map(label::encode_key)).map(bytes);
    let values = values.iter().filter_map(|(_, value)| value.as_ref().map(label::encode_value)).map(bytes);
    let devices = devices.iter().filter(|(_, numbers)| !numbers.is_empty()).map(|(_, numbers)| {
        let mut out = codec::Writer::default();
        label::encode(numbers, &mut out);
        bytes(out)
    });
    assert_eq!(fingerprint(keys.collect()), (24, 0x9B3B_019A_D62F_67D3));
    assert_eq!(fingerprint(values.collect()), (27, 0xE556_3945_7500_87FF));
    assert_eq!(fingerprint(devices.collect()), (25, 0x3A29_BCF6_54BE_D386));
}
