//! The store as its callers see it: over files, and over a disk that fails.

use std::{io, ops::Range};

use proptest::prelude::*;
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};

use super::*;
use crate::{
    config::StoreLimits,
    domain::{Digest, Group, HourPage, KeptLabels, LabelEffects},
};

pub(super) mod arbitrary;
mod before;
pub(in crate::store) mod disk;
pub(super) mod fixtures;
mod labels;
mod older_program;
mod published;
mod rot;
mod tenures;

use disk::Disk;
use fixtures::{
    one_of_everything, some_count, some_cursor, some_device, some_digest, some_group, some_handover, some_hour,
    some_labels, some_mark, some_page, some_plugin, some_producer, some_question, some_revision, some_settings,
};

const ACKS_KEPT: u64 = 4;

fn limits() -> StoreLimits {
    StoreLimits { cache_bytes_max: 1 << 20, ..StoreLimits::default() }
}

fn open(disk: &Disk) -> Store {
    Store::with_backend(disk.clone(), &limits(), ACKS_KEPT).unwrap()
}

/// The first devices, and nothing else.
fn devices() -> Effects {
    Effects { devices: (0..5).map(|no| (no, some_device(no))).collect(), ..Effects::default() }
}

/// One group of `count` rows at a position.
fn append(first: u64, count: usize) -> Effects {
    let group = some_group(first, count);
    Effects { position: group.end(), group: Some(group), ..Effects::default() }
}

/// A store with groups at 0, 3, 6 ...
fn with_groups(disk: &Disk, groups: u64) -> Store {
    let mut store = open(disk);
    store.commit(&devices()).unwrap();
    for no in 0..groups {
        store.commit(&append(no * 3, 3)).unwrap();
    }
    store
}

fn firsts(store: &Store, from: u64) -> Vec<u64> {
    store.reader().groups(Position(from)).unwrap().map(|group| group.unwrap().first.0).collect()
}

fn hours(store: &Store, range: Range<u32>) -> Vec<HourPage> {
    store.reader().hours(range).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_new_store_is_empty() {
    let store = open(&Disk::default());
    let snapshot = store.load().unwrap();
    assert_eq!((snapshot.position, snapshot.replay_from), (Position(0), Position(0)));
    assert!(snapshot.devices.is_empty() && snapshot.producers.is_empty() && snapshot.revisions.is_empty());
    assert_eq!(store.extent(), LogExtent::default());
    assert_eq!(store.reader().groups(Position(0)).unwrap().count(), 0);
    assert_eq!(store.reader().pages().unwrap().count(), 0);
    assert_eq!(store.reader().hour(0).unwrap(), None);
}

#[test]
fn everything_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").join(FILE_NAME);
    let effects = one_of_everything();
    let mut store = Store::open(&path, &limits(), ACKS_KEPT).unwrap();
    store.commit(&effects).unwrap();
    let before = store.load().unwrap();
    store.close().unwrap();

    let store = Store::open(&path, &limits(), ACKS_KEPT).unwrap();
    let snapshot = store.load().unwrap();
    assert_eq!(snapshot, before);
    assert_eq!(snapshot.position, Position(3));
    assert_eq!(snapshot.replay_from, Position(2));
    assert_eq!(snapshot.devices, (0..5).map(some_device).collect::<Vec<_>>());
    assert_eq!(snapshot.models, ["A", "B"]);
    assert_eq!(snapshot.plugins, [some_plugin()]);
    assert_eq!(snapshot.revisions, effects.revisions);
    assert_eq!(snapshot.tokens, [&effects.tokens[1..], &effects.tokens[..1]].concat());
    assert_eq!(
        (snapshot.audit_last.as_ref(), store.reader().audit(1, 9).unwrap()),
        (effects.audit.last(), effects.audit.clone())
    );
    assert_eq!(snapshot.producers, [some_mark("a", 9), some_mark("head-end", 1), some_mark("head-end", 2)]);
    assert_eq!(snapshot.questions, [some_question(1, None), some_question(2, None)]);
    assert_eq!(snapshot.cursors, [some_cursor("a", 1), some_cursor("b", 3)]);
    assert_eq!(snapshot.faults, [effects.faults[1].clone(), effects.faults[0].clone()]);
    assert_eq!((&snapshot.handovers, &snapshot.revoked_keys), (&effects.handovers, &effects.keys_revoked));
    assert_eq!(store.reader().handover(Eui64(7)).unwrap(), Some(some_handover()));
    assert_eq!(store.reader().handover(Eui64(8)).unwrap(), None);
    assert_eq!(snapshot.guards, [some_count(2), some_count(4)]);
    assert_eq!(snapshot.settings, [(SettingsNo(5), some_settings())]);
    assert_eq!(snapshot.code_tables, [(Position(2), "code,name\nE001,x\n".to_owned())]);
    let reader = store.reader();
    assert_eq!((reader.answer(1).unwrap().as_deref(), reader.answer(2).unwrap()), (Some("an answer"), None));
    let pages: Vec<_> = reader.pages().unwrap().map(Result::unwrap).collect();
    assert_eq!(pages, effects.pages);
    assert_eq!(hours(&store, 0..u32::MAX), effects.hours);
    assert_eq!(hours(&store, 498_612..498_613), []);
    assert_eq!(hours(&store, 7..7), []);
    assert_eq!(reader.hour(498_613).unwrap().as_ref(), effects.hours.get(1));
    assert_eq!(reader.plugin(&some_digest()).unwrap().as_deref(), Some(&b"bytes"[..]));
    assert_eq!(reader.plugin(&Digest([8; 32])).unwrap(), None);
    let groups: Vec<_> = reader.groups(Position(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(groups, [some_group(0, 3)]);
}

#[test]
fn a_question_goes_with_its_answer() {
    let disk = Disk::default();
    let mut store = with_groups(&disk, 1);
    let at = store.load().unwrap().position;
    let keep =
        |questions, questions_dropped| Effects { questions, questions_dropped, position: at, ..Effects::default() };
    store.commit(&keep(vec![some_question(1, Some("yes")), some_question(2, None)], vec![])).unwrap();
    store.commit(&keep(vec![some_question(3, None)], vec![1])).unwrap();
    assert_eq!(store.load().unwrap().questions, [some_question(2, None), some_question(3, None)]);
    assert_eq!(store.reader().answer(1).unwrap(), None);
}

#[test]
fn a_later_commit_replaces_devices_pages_and_hours() {
    let disk = Disk::default();
    let mut store = with_groups(&disk, 2);
    let changed = Device { listed: false, ..some_device(1) };
    store.commit(&Effects { pages: vec![some_page(0, 3)], hours: vec![some_hour(9, 3)], ..append(6, 1) }).unwrap();
    let effects = Effects {
        devices: vec![(1, changed), (5, some_device(5))],
        pages: vec![some_page(0, 7)],
        hours: vec![some_hour(9, 7)],
        ..append(7, 1)
    };
    store.commit(&effects).unwrap();
    let devices = store.load().unwrap().devices;
    assert_eq!((devices.len(), devices[1], devices[5]), (6, changed, some_device(5)));
    let pages: Vec<_> = store.reader().pages().unwrap().map(Result::unwrap).collect();
    assert_eq!(pages, [some_page(0, 7)]);
    assert_eq!(hours(&store, 0..10), [some_hour(9, 7)]);
}

#[test]
fn groups_begin_with_the_one_that_holds_the_position() {
    let mut store = with_groups(&Disk::default(), 3);
    // A group without rows takes up one position; then two positions stay unused.
    let empty = Group { faults: Vec::new(), ..some_group(9, 0) };
    store.commit(&Effects { group: Some(empty), position: Position(12), ..Effects::default() }).unwrap();
    store.commit(&append(12, 2)).unwrap();
    for (from, expected) in [(0, 0), (1, 0), (2, 0), (3, 3), (4, 3), (8, 6), (9, 9), (10, 12), (11, 12), (13, 12)] {
        assert_eq!(firsts(&store, from).first(), Some(&expected), "from {from}");
    }
    assert_eq!(firsts(&store, 4), [3, 6, 9, 12]);
    assert!(firsts(&store, 14).is_empty());
    assert!(firsts(&store, u64::MAX).is_empty());
}

#[test]
fn heads_tell_what_their_groups_hold() {
    let mut store = with_groups(&Disk::default(), 2);
    let empty = Group { faults: Vec::new(), ..some_group(6, 0) };
    store.commit(&Effects { group: Some(empty), position: Position(7), ..Effects::default() }).unwrap();
    let mut heads = store.reader().heads(Position(0)).unwrap();
    let mut bytes = 0;
    while let Some(head) = heads.next() {
        let head = head.unwrap();
        let group = heads.read(&head).unwrap();
        let received = &group.rows.received_ms;
        assert_eq!((head.first, head.end, head.judged_ms), (group.first, group.end(), group.judged_ms));
        assert_eq!(head.rows as usize, group.rows.len());
        assert_eq!(head.received_ms_min, received.iter().copied().min().unwrap_or(group.judged_ms));
        assert_eq!(head.received_ms_max, received.iter().copied().max().unwrap_or(group.judged_ms));
        bytes += head.bytes;
    }
    let expected = LogExtent { oldest: Position(0), bytes, groups: 3, ..store.extent() };
    assert_eq!(store.extent(), expected);
}

#[test]
fn a_reader_sees_one_moment() {
    let mut store = with_groups(&Disk::default(), 2);
    let reader = store.reader();
    let mut before = reader.groups(Position(0)).unwrap();
    let gone = Effects { replay_from: Position(9), retention: Retention::all_before(Position(9)), ..append(6, 3) };
    store.commit(&gone).unwrap();
    assert_eq!(before.next().unwrap().unwrap(), some_group(0, 3));
    assert_eq!(before.next().unwrap().unwrap(), some_group(3, 3));
    assert!(before.next().is_none());
    assert_eq!(reader.groups(Position(0)).unwrap().count(), 0);
}

#[test]
fn old_entries_go_when_they_end_before_the_limit() {
    let disk = Disk::default();
    let mut store = with_groups(&disk, 4);
    let all = store.extent();
    let drop = |store: &mut Store, drop_before, replay_from| {
        let (retention, replay_from) = (Retention::all_before(Position(drop_before)), Position(replay_from));
        store.commit(&Effects { position: Position(12), retention, replay_from, ..Effects::default() }).unwrap();
    };
    drop(&mut store, 5, 12);
    assert_eq!(firsts(&store, 0), [3, 6, 9], "the group that 5 lies in stays");
    assert_eq!(store.extent().oldest, Position(3));
    drop(&mut store, 12, 6);
    assert_eq!(firsts(&store, 0), [6, 9], "what recovery needs stays");
    assert_eq!((store.extent().groups, store.extent().oldest), (2, Position(6)));
    let kept = store.extent();
    store.close().unwrap();
    let mut store = open(&disk);
    assert_eq!(store.extent(), kept);
    drop(&mut store, 12, 12);
    assert_eq!(store.extent(), LogExtent { oldest: Position(12), ..LogExtent::default() });
    store.commit(&append(12, 3)).unwrap();
    assert_eq!((store.extent().oldest, store.extent().groups), (Position(12), 1));
    assert!(store.extent().bytes < all.bytes);
}

#[test]
fn one_commit_drops_a_bounded_number_of_entries() {
    let mut store = with_groups(&Disk::default(), 100);
    let rest = Effects {
        position: Position(300),
        replay_from: Position(300),
        retention: Retention { entries_max: 64, ..Retention::all_before(Position(300)) },
        ..Effects::default()
    };
    store.commit(&rest).unwrap();
    assert_eq!(store.extent().groups, 36);
    store.commit(&rest).unwrap();
    assert_eq!((store.extent().groups, store.extent().bytes), (0, 0));
}

#[test]
fn the_last_answers_of_each_producer_are_kept() {
    let disk = Disk::default();
    let mut store = open(&disk);
    for sequence in 1..=10 {
        let producers =
            vec![some_mark("a", sequence), some_mark("b", 100 + sequence * 2), some_mark("b", 101 + sequence * 2)];
        store.commit(&Effects { producers, ..Effects::default() }).unwrap();
    }
    let sequences = |store: &Store, producer: &str| -> Vec<u64> {
        let marks = store.load().unwrap().producers;
        marks.iter().filter(|mark| mark.key.id == producer).map(|mark| mark.ack.sequence).collect()
    };
    assert_eq!(sequences(&store, "a"), [7, 8, 9, 10]);
    assert_eq!(sequences(&store, "b"), [118, 119, 120, 121]);
    store.close().unwrap();
    let store = Store::with_backend(disk, &limits(), 2).unwrap();
    assert_eq!(sequences(&store, "a"), [9, 10]);
}

#[test]
fn a_producer_that_is_dropped_is_gone_and_may_begin_again() {
    let disk = Disk::default();
    let mut store = open(&disk);
    let producers = vec![some_mark("a", 1), some_mark("a", 2), some_mark("b", 7)];
    store.commit(&Effects { producers, ran_ms: 5_000, ..Effects::default() }).unwrap();
    let effects = Effects {
        producers_dropped: vec![some_producer("a"), some_producer("nobody")],
        producers: vec![some_mark("a", 1)],
        ..Effects::default()
    };
    store.commit(&effects).unwrap();
    store.close().unwrap();
    let snapshot = open(&disk).load().unwrap();
    assert_eq!(snapshot.producers, [some_mark("a", 1), some_mark("b", 7)]);
    assert_eq!(snapshot.ran_ms, 5_000, "it never goes back");
}

#[test]
fn effects_that_contradict_the_store_are_refused() {
    let refusal = |effects: &Effects| {
        let mut store = with_groups(&Disk::default(), 2);
        let error = store.commit(effects).unwrap_err();
        assert!(matches!(store.commit(&append(6, 1)), Err(Error::Poisoned)));
        match error {
            Error::Effects(what) => what,
            other => panic!("{other}"),
        }
    };
    let at = |position| Effects { position: Position(position), ..Effects::default() };
    assert_eq!(refusal(&at(5)), "position 5: the store is at 6 already");
    assert_eq!(refusal(&append(5, 3)), "group at 5: the store is at 6 already");
    assert_eq!(
        refusal(&Effects { position: Position(7), ..append(6, 3) }),
        "group ending at 9: it lies after position 7"
    );
    assert_eq!(refusal(&Effects { replay_from: Position(7), ..at(6) }), "replay_from 7: it lies after position 6");
    assert_eq!(
        refusal(&Effects { devices: vec![(6, some_device(6))], ..at(6) }),
        "device 6: the number before it is not taken"
    );
    assert_eq!(
        refusal(&Effects { devices: vec![(1, some_device(2))], ..at(6) }),
        "device 1: another EUI-64 has this number"
    );
    let twice = Effects { revisions: vec![some_revision(1), some_revision(1)], ..at(6) };
    assert_eq!(refusal(&twice), "revision 1: there is one of this number");
    let mut unmarked = append(6, 2);
    unmarked.group.as_mut().unwrap().mark.pop();
    assert_eq!(refusal(&unmarked), "group: its columns differ in length");
}

#[test]
fn a_failed_commit_poisons_the_store() {
    for (kind, full) in
        [(io::ErrorKind::StorageFull, true), (io::ErrorKind::QuotaExceeded, true), (io::ErrorKind::TimedOut, false)]
    {
        let disk = Disk::default();
        let mut store = with_groups(&disk, 2);
        disk.fail_after(0, kind);
        let error = store.commit(&append(6, 3)).unwrap_err();
        assert_eq!(matches!(error, Error::Full(_)), full, "{error}");
        assert_eq!(matches!(error, Error::Io(_)), !full, "{error}");
        assert!(matches!(store.commit(&append(6, 3)), Err(Error::Poisoned)));
        assert_eq!(store.extent().groups, 2);
        drop(store);
        assert_eq!(firsts(&open(&disk.after_power_cut()), 0), [0, 3]);
    }
}

/// What a run of commits must leave behind, wherever it was stopped: all of those that returned, and of the one under
/// way all or nothing.
#[test]
fn wherever_the_disk_stops_commits_are_whole() {
    const COMMITS: u64 = 6;
    let effects = |no: u64| match no {
        0 => Effects { position: Position(0), ..devices() },
        _ => Effects {
            producers: vec![some_mark("a", no)],
            pages: vec![some_page(0, no * 3)],
            hours: vec![some_hour(9, no * 3)],
            replay_from: Position(no * 3),
            retention: if no == 5 { Retention::all_before(Position(6)) } else { Retention::default() },
            ..append((no - 1) * 3, 3)
        },
    };
    let mut finished = false;
    for operations in 0.. {
        let disk = Disk::default();
        disk.fail_after(operations, io::ErrorKind::Other);
        let mut returned = 0;
        // The making of a file is another matter: it takes place under another name.
        let Ok(mut store) = Store::with_backend(disk.clone(), &limits(), ACKS_KEPT) else { continue };
        while returned < COMMITS && store.commit(&effects(returned)).is_ok() {
            returned += 1;
        }
        finished = returned == COMMITS;
        for left in [disk.after_kill(), disk.after_power_cut()] {
            let mut store = open(&left);
            let snapshot = store.load().unwrap();
            let done = match snapshot.position.0 / 3 {
                0 if snapshot.devices.is_empty() => 0,
                groups => groups + 1,
            };
            assert!(done == returned || done == returned + 1, "{operations} operations: {done} of {returned} commits");
            let kept: Vec<u64> = (if done >= 6 { 2 } else { 0 }..done.saturating_sub(1)).map(|no| no * 3).collect();
            assert_eq!(firsts(&store, 0), kept, "{operations} operations");
            assert_eq!(store.extent().groups as usize, kept.len());
            if done >= 2 {
                assert_eq!(snapshot.producers.last(), Some(&some_mark("a", done - 1)));
                assert_eq!(store.reader().hour(9).unwrap(), Some(some_hour(9, snapshot.position.0)));
                assert_eq!(store.reader().pages().unwrap().next().unwrap().unwrap(), some_page(0, snapshot.position.0));
            }
            for no in done..COMMITS {
                store.commit(&effects(no)).unwrap();
            }
            assert_eq!(store.load().unwrap().position, Position(15));
        }
        if finished {
            break;
        }
    }
    assert!(finished);
}

#[test]
fn a_file_can_be_open_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let store = Store::open(&path, &limits(), ACKS_KEPT).unwrap();
    assert!(matches!(Store::open(&path, &limits(), ACKS_KEPT), Err(Error::Locked)));
    let reader = store.reader();
    store.close().unwrap();
    assert!(matches!(reader.hour(0), Err(Error::Closed)));
    Store::open(&path, &limits(), ACKS_KEPT).unwrap();
}

/// A host whose disk was full opens its file again while listings and questions still read.
#[test]
fn a_reader_in_use_does_not_keep_the_file_from_being_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let mut store = Store::open(&path, &limits(), ACKS_KEPT).unwrap();
    store.commit(&devices()).unwrap();
    store.commit(&append(0, 3)).unwrap();
    let reader = store.reader();
    let groups = reader.groups(Position(0)).unwrap();
    drop(store);
    let again = Store::open(&path, &limits(), ACKS_KEPT).unwrap();
    assert!(matches!(reader.groups(Position(0)), Err(Error::Closed)));
    // What was loaded may still be given.
    let end = groups.map(|group| group.map(drop)).find(Result::is_err);
    assert!(matches!(end, None | Some(Err(Error::Closed))), "{end:?}");
    assert_eq!(again.reader().groups(Position(0)).unwrap().count(), 1);
}

#[test]
fn room_is_tried_without_a_trace() {
    let disk = Disk::default();
    let mut store = with_groups(&disk, 2);
    store.try_room(1 << 20).unwrap();
    assert_eq!(
        store.reader().0.begin_read().unwrap().list_tables().unwrap().filter(|table| table.name() == "room").count(),
        0
    );
    store.allow_growth(false);
    store.try_room(1 << 19).unwrap();
    assert!(matches!(store.try_room(1 << 24), Err(Error::Full(_))));
    assert!(matches!(store.commit(&append(6, 3)), Err(Error::Poisoned)));
    drop(store);
    assert_eq!(firsts(&open(&disk), 0), [0, 3]);
}

/// A host that is killed while it makes its first file must be able to start again: the database cannot open a file
/// that it did not finish making.
#[test]
fn an_unfinished_new_file_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let unfinished = path.with_added_extension("new");
    std::fs::write(&unfinished, [0; 4_096]).unwrap();
    Store::open(&path, &limits(), ACKS_KEPT).unwrap().close().unwrap();
    assert!(!unfinished.exists());
    Store::open(&path, &limits(), ACKS_KEPT).unwrap();
}

#[test]
fn another_format_is_refused_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    Store::open(&path, &limits(), ACKS_KEPT).unwrap().close().unwrap();
    let database = Database::create(&path).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 77).unwrap();
    txn.commit().unwrap();
    drop(database);
    let error = Store::open(&path, &limits(), ACKS_KEPT).unwrap_err();
    assert!(matches!(error, Error::Format { found: 77, wanted: 6 }), "{error}");
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "not a database, only a text that is longer than a header".repeat(100)).unwrap();
    assert!(matches!(Store::open(&path, &limits(), ACKS_KEPT), Err(Error::Damaged(_))));

    let path = folder.path().join("other.redb");
    let database = Database::create(&path).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(TableDefinition::<&str, u64>::new("somebody else's")).unwrap().insert("a", 1).unwrap();
    txn.commit().unwrap();
    drop(database);
    assert!(matches!(Store::open(&path, &limits(), ACKS_KEPT), Err(Error::Corrupt { table: "meta", .. })));
}

#[test]
fn a_damaged_value_is_named() {
    let disk = Disk::default();
    let mut store = with_groups(&disk, 2);
    store.commit(&Effects { pages: vec![some_page(4, 6)], position: Position(6), ..Effects::default() }).unwrap();
    store.close().unwrap();
    let database = Database::builder().create_with_backend(disk.clone()).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(TableDefinition::<u64, &[u8]>::new("log")).unwrap().insert(3, &[1, 2, 3][..]).unwrap();
    txn.open_table(TableDefinition::<u32, &[u8]>::new("page")).unwrap().insert(4, &[9][..]).unwrap();
    txn.commit().unwrap();
    drop(database);
    let store = open(&disk);
    let reader = store.reader();
    let groups: Vec<_> = reader.groups(Position(0)).unwrap().collect();
    assert_eq!(groups[0].as_ref().unwrap(), &some_group(0, 3));
    assert!(matches!(&groups[1], Err(Error::Corrupt { table: "log", key, .. }) if key == "3"));
    let page = reader.pages().unwrap().next().unwrap();
    assert!(matches!(page, Err(Error::Corrupt { table: "page", key, .. }) if key == "4"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The log against a plain list: random groups, some commits drop, some are followed by a reopening.
    #[test]
    fn the_log_behaves_like_a_list(
        steps in prop::collection::vec((arbitrary::group(), any::<prop::sample::Index>(), any::<bool>()), 1..12),
    ) {
        let disk = Disk::default();
        let mut store = open(&disk);
        let devices = (0..arbitrary::DEVICES).map(|no| (no, some_device(no))).collect();
        store.commit(&Effects { devices, ..Effects::default() }).unwrap();
        let mut model: Vec<Group> = Vec::new();
        let mut position = Position(0);
        for (group, dropped, reopen) in steps {
            let group = Group { first: position, ..group };
            position = group.end();
            let drop_before = Position(dropped.index(position.0 as usize + 1) as u64 / 2);
            let effects = Effects {
                group: Some(group.clone()),
                position,
                replay_from: position,
                retention: Retention::all_before(drop_before),
                ..Effects::default()
            };
            store.commit(&effects).unwrap();
            model.push(group);
            model.retain(|group| group.end() > drop_before);
            if reopen {
                store.close().unwrap();
                store = open(&disk);
            }
            let oldest = model.first().map_or(position, |group| group.first);
            prop_assert_eq!((store.extent().oldest, store.extent().groups), (oldest, model.len() as u64));
            for from in [Position(0), drop_before, Position(position.0 / 2), position] {
                let found: Vec<Group> = store.reader().groups(from).unwrap().map(Result::unwrap).collect();
                let expected: Vec<Group> = model.iter().filter(|group| group.end() > from).cloned().collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
