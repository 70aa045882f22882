//! Stores and values as the formats before this one have them on people's disks: without checksums, and with what each
//! version of a value had then.
//!
//! What was written then is what is written now without what was added, under the version of then. That this is so, byte for
//! byte, is told by the fingerprints that were published with each format.

use redb::{Key, TableHandle};

use super::{
    super::{
        codec::Writer,
        column::Packing::{Dense, Dictionary, Frame},
        sealing::TABLES,
    },
    *,
};
use crate::domain::{
    Ack, Balance, ClockMark, DevicePage, HourPage, PluginInfo, ProducerKey, RemarkCounts, Rows, SenderLimits, Series,
    SettingsNo, TimeStatus, Token,
};

/// Bytes of a column whose values are all the same.
const COLUMN_BYTES: usize = 9;

fn fingerprint(values: &[Vec<u8>]) -> (usize, u64) {
    let bytes = values.concat();
    (bytes.len(), arbitrary::fingerprint(&bytes))
}

/// Where the number of the settings lies in a group's bytes.
const SETTINGS: std::ops::Range<usize> = 22..26;

fn encoded(group: &Group) -> Vec<u8> {
    let mut out = Writer::default();
    log::group::encode(group, &arbitrary::euis(), &mut out).unwrap();
    out.as_bytes().to_vec()
}

/// Where a column begins, told by a group in which it has another value that all rows share.
fn place_of(group: &Group, other: Rows) -> usize {
    let other = encoded(&Group { rows: other, ..group.clone() });
    // The width of such a column is that of zeros, so the first byte of its value differs.
    encoded(group).iter().zip(other).position(|(byte, other)| *byte != other).unwrap() - 1
}

/// A group of format 3, without what tells messages apart, and how it is read now.
fn group_of_format_3(group: Group) -> (Vec<u8>, Group) {
    let count = group.rows.len();
    let (sender, digest) = (vec![0; count], vec![0; count]);
    let (instruction, time_status) = (vec![0; count], vec![TimeStatus::Stated as u8; count]);
    let rows = Rows { sender, instruction, digest, time_status, ..group.rows };
    let group = Group { rows, remembered_from: None, settings: SettingsNo::UNKNOWN, ..group };
    let place = place_of(&group, Rows { sender: vec![5; count], ..group.rows.clone() });
    let mut bytes = encoded(&group);
    bytes.truncate(bytes.len() - 13);
    assert!(bytes.drain(place..place + 4 * COLUMN_BYTES).all(|byte| byte == 0));
    bytes.drain(SETTINGS);
    bytes[0] = 3;
    (bytes, group)
}

#[test]
fn a_group_of_format_3_is_read() {
    let (bytes, group) = group_of_format_3(some_group(0, 3));
    assert_eq!(fingerprint(std::slice::from_ref(&bytes)), (272, 0xEADE_C4C2_1396_3A44));
    assert_eq!(log::group::decode(&bytes, &arbitrary::euis()), Ok(group));
}

#[test]
fn a_group_of_format_2_is_read() {
    let (_, mut group) = group_of_format_3(some_group(0, 3));
    group.rows = Rows { dcc_ms: vec![0; 3], remarks: vec![0; 3], ..group.rows };
    let (mut bytes, group) = group_of_format_3(group);
    let dcc_ms = group.rows.received_ms.iter().map(|received| received - 5).collect();
    let place = place_of(&group, Rows { dcc_ms, ..group.rows.clone() }) - SETTINGS.len();
    assert!(bytes.drain(place..place + 2 * COLUMN_BYTES).all(|byte| byte == 0));
    bytes[0] = 2;
    assert_eq!(fingerprint(std::slice::from_ref(&bytes)), (248, 0x3433_D24D_EDCE_DB41));
    assert_eq!(log::group::decode(&bytes, &arbitrary::euis()), Ok(group));
}

/// Formats 2 and 3 kept, of each recipient, the highest counter and which of the 64 up to it were seen.
#[test]
fn a_page_of_formats_2_and_3_is_read() {
    let party = 0x90B3_D51F_3002_0000_u64;
    let before = |page: &DevicePage| {
        let mut out = Writer::new(1);
        out.u32(page.no);
        out.u64(page.as_of.0);
        out.count(page.tallies.len());
        out.column(page.tallies.iter().map(|tally| tally.forwarded), Frame);
        out.column(page.tallies.iter().map(|tally| tally.suppressed), Frame);
        out.column(page.tallies.iter().map(|tally| tally.duplicate), Frame);
        out.count(2);
        out.column([0b1011_u64; 2].into_iter(), Dense);
        out.column([0_u16, 3].into_iter(), Frame);
        out.column([party; 2].into_iter(), Dictionary);
        out.column([page.as_of.0 * 3; 2].into_iter(), Frame);
        let mut now = Writer::default();
        page::encode(page, &mut now).unwrap();
        let without = DevicePage { namespaces: Vec::new(), ..page.clone() };
        let mut head = Writer::default();
        page::encode(&without, &mut head).unwrap();
        out.raw(&now.as_bytes()[head.as_bytes().len() - 4..]);
        out.as_bytes().to_vec()
    };
    let pages = [some_page(0, 2), some_page(1, 3)];
    let bytes: Vec<Vec<u8>> = pages.iter().map(before).collect();
    assert_eq!(fingerprint(&bytes), (334, 0xBFAB_92F9_716A_EDD3));
    for (page, bytes) in pages.into_iter().zip(bytes) {
        let series = Series { party, top: page.as_of.0 * 3, ..Series::default() };
        let expected = DevicePage { series: vec![(0, series), (3, series)], ..page };
        assert_eq!(page::decode(expected.no, &bytes), Ok(expected));
    }
}

#[test]
fn hours_of_formats_2_and_3_are_read() {
    let pages: Vec<HourPage> = one_of_everything().hours;
    let before = |page: &HourPage, version: u8, added: usize| {
        let mut out = Writer::default();
        hour::encode(page, &mut out).unwrap();
        let bytes = out.as_bytes();
        let before = [&[version], &bytes[1..bytes.len() - added * COLUMN_BYTES]].concat();
        assert_eq!(hour::decode(page.hour, &before).as_ref(), Ok(page), "version {version}");
        before
    };
    let of_format_3: Vec<Vec<u8>> = pages.iter().map(|page| before(page, 2, 8)).collect();
    assert_eq!(fingerprint(&of_format_3), (318, 0x1DFD_6C1E_20EB_E7F4));
    let without = |page: &HourPage| {
        let mut page = page.clone();
        page.cells.iter_mut().for_each(|(_, tally)| tally.remarks = RemarkCounts::default());
        before(&page, 1, 12)
    };
    let of_format_2: Vec<Vec<u8>> = pages.iter().map(without).collect();
    assert_eq!(fingerprint(&of_format_2), (238, 0xA913_9762_3952_2C11));
}

/// Format 4 had a byte for a row's remarks, and counts of the first six remarks.
#[test]
fn values_of_format_4_are_read() {
    let effects = one_of_everything();
    let group = effects.group.unwrap();
    let mut bytes = encoded(&group);
    bytes[0] = 4;
    bytes.truncate(bytes.len() - 4);
    assert_eq!(log::group::decode(&bytes, &arbitrary::euis()), Ok(group));
    assert_eq!(fingerprint(&[bytes]), (375, 0xC9D9_4195_4FAD_56B4));

    let hours = effects.hours.iter().map(|page| {
        let mut out = Writer::default();
        hour::encode(page, &mut out).unwrap();
        let bytes = out.as_bytes();
        let before = [&[3], &bytes[1..bytes.len() - 6 * COLUMN_BYTES]].concat();
        assert_eq!(hour::decode(page.hour, &before).as_ref(), Ok(page));
        before
    });
    assert_eq!(fingerprint(&hours.collect::<Vec<_>>()), (354, 0xCBB9_4F66_C80F_FE1A));

    let answers = [some_mark("a", 9), some_mark("head-end", 1), some_mark("head-end", 2)].map(|mark| {
        let bytes = producer::encode(&mark).as_bytes().to_vec();
        let (rest, bookmark) = bytes.split_at(bytes.len() - 4 - 8);
        let (rest, counts) = rest.split_at(rest.len() - 12 * 8);
        let before = [&rest[..rest.len() - 4], &6_u32.to_le_bytes(), &counts[..6 * 8], bookmark].concat();
        assert_eq!(producer::decode(mark.key.clone(), mark.ack.sequence, &before), Ok(mark));
        before
    });
    assert_eq!(fingerprint(&answers), (522, 0xF5D2_289A_00A1_555B));
}

/// An answer as formats before had it: version 1 without, version 2 with counts of remarks and a bookmark.
fn answer_before(mark: &ProducerMark, version: u8) -> Vec<u8> {
    let ProducerMark { ack, bookmark, .. } = mark;
    let mut out = Writer::new(version);
    out.u64(ack.position.0);
    let Balance { forwarded, suppressed, rejected, duplicate } = ack.balance;
    [forwarded, suppressed, rejected, duplicate].into_iter().for_each(|count| out.u64(count));
    out.count(ack.rejections.len());
    for (index, message) in &ack.rejections {
        out.u32(*index);
        out.text(message);
    }
    if version > 1 {
        ack.remarks.each().into_iter().take(4).for_each(|(_, count)| out.u64(count));
        out.count(bookmark.len());
        out.raw(bookmark);
    }
    out.as_bytes().to_vec()
}

/// Of each producer the last number and bookmark are kept: what its batches held is not known.
fn last_mark(id: &str, sequence: u64, format: u64) -> ProducerMark {
    ProducerMark {
        key: ProducerKey { holder: String::new(), id: id.to_owned() },
        ack: Ack { sequence, ..Ack::default() },
        bookmark: if format > 2 { sequence.to_be_bytes().to_vec() } else { Vec::new() },
        digest: None,
        taken_ms: 0,
        ran_ms: 0,
        is_ephemeral: false,
    }
}

#[test]
fn producers_are_read() {
    for (version, published) in [(1, (231, 0xB64C_39CE_F26A_4CB5)), (2, (363, 0x9389_FD48_FA9E_1D06))] {
        let marks = [some_mark("a", 9), some_mark("head-end", 1), some_mark("head-end", 2)];
        let before: Vec<Vec<u8>> = marks.iter().map(|mark| answer_before(mark, version)).collect();
        assert_eq!(fingerprint(&before), published);

        let format = u64::from(version) + 1;
        let last = |id, sequence| last_mark(id, sequence, format);
        let (disk, ..) = store_before(format);
        let mut store = open(&disk);
        assert_eq!(store.load().unwrap().producers, [last("a", 9), last("head-end", 2)]);
        let next = ProducerMark { key: last("a", 9).key, ..some_mark("a", 10) };
        store.commit(&Effects { producers: vec![next.clone()], position: Position(5), ..Effects::default() }).unwrap();
        store.close().unwrap();
        assert_eq!(open(&disk).load().unwrap().producers, [last("a", 9), next, last("head-end", 2)]);
    }
}

/// A stored value as it was before there were checksums.
pub(super) fn without_checksum(stored: &[u8]) -> Vec<u8> {
    assert_ne!(stored[0] & 0x80, 0, "it has a checksum");
    let mut value = stored[..stored.len() - 8].to_vec();
    value[0] &= 0x7F;
    value
}

/// Rewrites a closed store as a program of that format left it.
fn as_of_format(database: &Database, format: u64) {
    fn plain<K: Key + 'static>(txn: &redb::WriteTransaction, name: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) {
        let mut table = txn.open_table(TableDefinition::<K, &[u8]>::new(name)).unwrap();
        let rows: Vec<(Vec<u8>, Vec<u8>)> = table
            .iter()
            .unwrap()
            .map(|entry| {
                let (key, value) = entry.unwrap();
                (K::as_bytes(&key.value()).as_ref().to_vec(), change(without_checksum(value.value())))
            })
            .collect();
        for (key, value) in rows {
            table.insert(K::from_bytes(&key), value.as_slice()).unwrap();
        }
    }
    let same = |value| value;
    let txn = database.begin_write().unwrap();
    ["revision", "device", "page", "hour", "guard", "settings"].iter().for_each(|name| plain::<u32>(&txn, name, same));
    ["audit", "question", "answer", "log", "handover", "code_table"]
        .iter()
        .for_each(|name| plain::<u64>(&txn, name, same));
    ["token", "fault"].iter().for_each(|name| plain::<&str>(&txn, name, same));
    ["plugin", "revoked_key"].iter().for_each(|name| plain::<[u8; 32]>(&txn, name, same));
    assert!(txn.delete_table(TableDefinition::<(&str, &str, u64), &[u8]>::new("batch")).unwrap());
    {
        let mut producers = txn.open_table(TableDefinition::<(&str, u64), &[u8]>::new("producer")).unwrap();
        for mark in one_of_everything().producers {
            let before = answer_before(&mark, if format > 2 { 2 } else { 1 });
            producers.insert((mark.key.id.as_str(), mark.ack.sequence), before.as_slice()).unwrap();
        }
    }
    plain::<(&str, &str)>(&txn, "cursor", same);
    // A head did not name the one before it.
    plain::<u64>(&txn, "head", |mut value| {
        value[0] = 1;
        value.truncate(value.len() - 9);
        value
    });
    let extent = {
        let heads = txn.open_table(TableDefinition::<u64, &[u8]>::new("head")).unwrap();
        let bytes = heads.iter().unwrap().map(|entry| {
            let (first, value) = entry.unwrap();
            log::GroupHead::decode(first.value(), value.value()).unwrap().bytes
        });
        let bytes: Vec<u64> = bytes.collect();
        (bytes.iter().sum::<u64>(), bytes.len() as u64)
    };
    drop_new_tables(&txn);
    let progress = {
        let table = txn.open_table(TableDefinition::<&str, &[u8]>::new("progress")).unwrap();
        let value = table.get("store").unwrap().unwrap().value().to_vec();
        meta::decode(&value[..value.len() - 8]).unwrap()
    };
    {
        let mut meta = txn.open_table(TableDefinition::<&str, u64>::new("meta")).unwrap();
        let numbers = [
            ("format", format),
            ("position", progress.position.0),
            ("replay_from", progress.replay_from.0),
            ("log_bytes", extent.0),
            ("log_groups", extent.1),
        ];
        numbers.into_iter().for_each(|(key, number)| drop(meta.insert(key, number).unwrap()));
        let mut models = txn.open_table(TableDefinition::<&str, ()>::new("model")).unwrap();
        ["A", "B"].into_iter().for_each(|name| drop(models.insert(name, ()).unwrap()));
    }
    ["progress", "model_name"].iter().for_each(|name| {
        txn.delete_table(TableDefinition::<&str, &[u8]>::new(name))
            .or_else(|_| txn.delete_table(TableDefinition::<u32, &[u8]>::new(name)))
            .unwrap();
    });
    txn.commit().unwrap();
}

/// A store of an earlier format with something in every table, and what it holds.
fn store_before(format: u64) -> (Disk, Snapshot, Vec<Group>) {
    let disk = Disk::default();
    let mut store = open(&disk);
    store.commit(&one_of_everything()).unwrap();
    let effects = Effects { devices: vec![], models: vec![], ..append(3, 2) };
    store.commit(&Effects { replay_from: Position(2), ..effects }).unwrap();
    let producers = vec![last_mark("a", 9, format), last_mark("head-end", 2, format)];
    // The time of the last entry is the last that is known.
    let last_ms = some_group(3, 2).judged_ms;
    let clock = Some(ClockMark { latest_ms: last_ms, age_ms: last_ms });
    let snapshot = Snapshot {
        producers,
        ran_ms: 0,
        clock,
        labels: KeptLabels::default(),
        placements: Vec::new(),
        ..store.load().unwrap()
    };
    let groups = store.reader().groups(Position(0)).unwrap();
    let groups = groups.map(Result::unwrap).collect();
    store.close().unwrap();
    let database = Database::builder().create_with_backend(disk.clone()).unwrap();
    as_of_format(&database, format);
    database.close().unwrap();
    (disk, snapshot, groups)
}

/// Tables that formats before 6 did not have, by number.
const NEW_TABLES: [&str; 4] = ["label", "label_key", "label_value", "placement"];

/// The same, by metering point.
const TENURES: &str = "tenure";

fn drop_new_tables(txn: &redb::WriteTransaction) {
    NEW_TABLES.iter().for_each(|name| assert!(txn.delete_table(TableDefinition::<u32, &[u8]>::new(name)).unwrap()));
    assert!(txn.delete_table(TableDefinition::<u64, &[u8]>::new(TENURES)).unwrap());
}

/// Rewrites a closed store as a program of format 4 or 5 left it.
pub(super) fn without_new_tables(disk: &Disk, format: u64) {
    let database = Database::builder().create_with_backend(disk.clone()).unwrap();
    let txn = database.begin_write().unwrap();
    drop_new_tables(&txn);
    txn.open_table(TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", format).unwrap();
    txn.commit().unwrap();
    let shared = Shared::over(database);
    let mut progress = meta::read(&shared.begin_read().unwrap()).unwrap();
    NEW_TABLES.iter().chain([&TENURES]).for_each(|name| assert!(progress.rows.remove(*name).is_some()));
    let txn = shared.begin_write(&progress).unwrap();
    meta::write(&txn, &progress).unwrap();
    txn.commit().unwrap();
    shared.close().unwrap();
}

/// True if every value of every table has a checksum.
fn is_sealed(disk: &Disk) -> bool {
    fn sealed<K: Key + 'static>(txn: &ReadTransaction, name: &str) -> bool {
        let table = txn.open_table(TableDefinition::<K, &[u8]>::new(name)).unwrap();
        table.iter().unwrap().all(|entry| entry.unwrap().1.value()[0] & 0x80 != 0)
    }
    let database = Database::builder().create_with_backend(disk.after_kill()).unwrap();
    let txn = database.begin_read().unwrap();
    let mut names: Vec<String> = txn.list_tables().unwrap().map(|table| table.name().to_owned()).collect();
    // The format, and bytes that are checked against their digests.
    names.retain(|name| !["meta", "component", "model", "producer"].contains(&name.as_str()));
    let all = names.iter().filter(|name| TABLES.iter().any(|table| table.name() == name.as_str())).count();
    // A store of an earlier format has neither the names of models nor batches where this one has them, and no tables that
    // format 6 added.
    assert!(all + 3 + NEW_TABLES.len() >= TABLES.len() && all + 1 >= names.len(), "{names:?}");
    names.iter().all(|name| match name.as_str() {
        "token" | "progress" | "fault" => sealed::<&str>(&txn, name),
        "plugin" | "revoked_key" => sealed::<[u8; 32]>(&txn, name),
        "batch" => sealed::<(&str, &str, u64)>(&txn, name),
        "cursor" => sealed::<(&str, &str)>(&txn, name),
        "revision" | "device" | "placement" | "page" | "hour" | "model_name" | "guard" | "settings" => {
            sealed::<u32>(&txn, name)
        }
        "label" | "label_key" | "label_value" => sealed::<u32>(&txn, name),
        _ => sealed::<u64>(&txn, name),
    })
}

#[test]
fn a_store_of_a_format_before_is_given_checksums() {
    for format in [2, 3] {
        let (disk, snapshot, groups) = store_before(format);
        assert!(!is_sealed(&disk));
        let store = open(&disk);
        assert_eq!(store.load().unwrap(), snapshot, "format {format}");
        assert!(store.reader().groups(Position(0)).unwrap().map(Result::unwrap).eq(groups));
        store.close().unwrap();
        assert!(is_sealed(&disk));
        assert_eq!(open(&disk).load().unwrap(), snapshot);
    }
}

/// Formats 4 and 5 have checksums, and lack tables of this one.
#[test]
fn a_store_of_format_4_or_5_becomes_one_of_this_format_wherever_its_opening_stops() {
    [4, 5].into_iter().for_each(becomes_one_of_this_format);
}

fn becomes_one_of_this_format(before_format: u64) {
    fn format(disk: &Disk) -> u64 {
        let database = Database::builder().create_with_backend(disk.after_kill()).unwrap();
        let txn = database.begin_read().unwrap();
        let table = txn.open_table(TableDefinition::<&str, u64>::new("meta")).unwrap();
        table.get("format").unwrap().unwrap().value()
    }
    let before = Disk::default();
    let mut store = open(&before);
    store.commit(&one_of_everything()).unwrap();
    let snapshot = Snapshot { labels: KeptLabels::default(), placements: Vec::new(), ..store.load().unwrap() };
    store.close().unwrap();
    without_new_tables(&before, before_format);
    assert_eq!(format(&before), before_format);
    for operations in 0.. {
        let disk = before.after_kill();
        disk.fail_after(operations, io::ErrorKind::Other);
        let finished = Store::with_backend(disk.clone(), &limits(), ACKS_KEPT).is_ok();
        let left = disk.after_kill();
        let mut store = open(&left);
        assert_eq!(store.load().unwrap(), snapshot, "{operations} operations");
        store.commit(&append(3, 3)).unwrap();
        store.close().unwrap();
        assert_eq!(format(&left), 6, "{operations} operations");
        if finished {
            return;
        }
    }
}

#[test]
fn wherever_the_giving_of_checksums_stops_it_goes_on() {
    let (before, snapshot, groups) = store_before(3);
    for operations in 0.. {
        let disk = before.after_kill();
        disk.fail_after(operations, io::ErrorKind::Other);
        let finished = Store::with_backend(disk.clone(), &limits(), ACKS_KEPT).is_ok();
        for left in [disk.after_kill(), disk.after_power_cut()] {
            let mut store = open(&left);
            assert_eq!(store.load().unwrap(), snapshot, "{operations} operations");
            assert!(store.reader().groups(Position(0)).unwrap().map(Result::unwrap).eq(groups.iter().cloned()));
            store.commit(&append(5, 3)).unwrap();
            store.close().unwrap();
            assert!(is_sealed(&left), "{operations} operations");
        }
        if finished {
            return;
        }
    }
}

#[test]
fn a_plugin_is_read() {
    let info = PluginInfo { signed_by: Vec::new(), revoked: None, ..some_plugin() };
    let bytes = plugin::encode(&info).as_bytes().to_vec();
    let before = [&[3], &bytes[1..bytes.len() - 4 - 1]].concat();
    assert_eq!(plugin::decode(info.digest, &before), Ok(info));
    assert_eq!(fingerprint(&[before]), (121, 0x1037_A4B7_FAC8_CC94));
}

#[test]
fn a_token_is_read() {
    let without = |token: Token| {
        let token = Token { issue: 1, sender: SenderLimits::default(), ..token };
        let bytes = token::encode(&token).as_bytes().to_vec();
        let before = [&[1], &bytes[1..bytes.len() - 3 * 4]].concat();
        assert_eq!(token::decode(&token.name, &before), Ok(token));
        before
    };
    let before: Vec<Vec<u8>> = one_of_everything().tokens.into_iter().rev().map(without).collect();
    assert_eq!(fingerprint(&before), (138, 0x64B9_0816_6205_DA6D));
}
