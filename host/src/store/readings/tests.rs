//! The readings' file as its callers see it: against a naive model, over files, and over a disk that fails.

use std::{io, ops::Range, path::Path};

use proptest::prelude::*;

use super::{chunk::WEEK_MS, *};
use crate::{
    domain::{
        AlertCode, Digest, Limit, MappedCode, Millis, Phase, ReadingFate, ReadingModel, Rounding, Threshold, Volts,
    },
    store::tests::disk::Disk,
};

mod model;
mod rot;

const LOND: u32 = 12;
const EAST: u32 = 10;
const ALL: Range<Millis> = 0..Millis::MAX;
const HALF_HOUR_MS: Millis = 1_800_000;
/// The end of a period, at the beginning of a week.
const BEGIN_MS: Millis = 2_900 * WEEK_MS;

fn limits() -> ReadingLimits {
    ReadingLimits { cache_bytes_max: 1 << 20, ..ReadingLimits::default() }
}

fn over(disk: &Disk, limits: &ReadingLimits) -> ReadingStore {
    ReadingStore::with_backend(disk.clone(), &StoreLimits::default(), limits).unwrap()
}

fn memory(limits: &ReadingLimits) -> ReadingStore {
    ReadingStore::in_memory(limits).unwrap()
}

fn operator(number: u32) -> OperatorId {
    OperatorId::new(number).unwrap()
}

fn only(number: u32) -> OperatorSet {
    [operator(number)].into_iter().collect()
}

fn at(device: u64, phase: Phase, end_ms: Millis, length_s: u32, volts: Volts) -> Reading {
    Reading { device: Eui64(device), phase, end_ms, length_s, volts }
}

/// So many half hours of a device from the beginning of a week on.
fn half_hours(device: u64, count: i64) -> Vec<OwnedReading> {
    let volts = |at| Volts::whole(240 + (at % 9) as u16).unwrap();
    let ends = (1..=count).map(|at| (BEGIN_MS + at * HALF_HOUR_MS, volts(at)));
    ends.map(|(end_ms, volts)| (self::at(device, Phase::Whole, end_ms, 1_800, volts), operator(LOND))).collect()
}

fn put(store: &mut ReadingStore, readings: &[OwnedReading]) -> Vec<ReadingFate> {
    store.put(readings, "a.csv", OperatorSet::ALL, false).unwrap()
}

/// Everything that is stored.
fn everything(store: &ReadingStore) -> Result<Vec<Reading>, Error> {
    let mut found = Vec::new();
    store.reader(OperatorSet::ALL)?.each_device(ALL, &mut |_, _, readings| {
        found.extend_from_slice(readings);
        true
    })?;
    Ok(found)
}

fn threshold(device: u64, limit: Limit, value_dv: u16, from_ms: Millis) -> (Threshold, OperatorId) {
    let source = "settings.csv".to_owned();
    (Threshold { device: Eui64(device), limit, value_dv, from_ms, source }, operator(LOND))
}

fn reading_model(name: &str, rounding: Rounding) -> ReadingModel {
    let code = MappedCode { code: AlertCode(0x8F40), limit: Limit::Over, phase: Phase::L1 };
    ReadingModel { model: name.to_owned(), rounding, codes: vec![code] }
}

#[test]
fn what_is_stored_is_there_after_reopening_with_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").join("readings.redb");
    let open = |path: &Path| ReadingStore::open(path, &StoreLimits::default(), &limits());
    let mut store = open(&path).unwrap();
    // Two weeks, two phases, two sources.
    let mut readings = half_hours(7, 400);
    assert!(put(&mut store, &readings).iter().all(|fate| *fate == ReadingFate::Added));
    let other = (at(7, Phase::L2, BEGIN_MS + 5, 60, Volts::between(2_401, 2_409).unwrap()), operator(LOND));
    store.put(&[other], "b.csv", OperatorSet::ALL, false).unwrap();
    readings.push(other);
    let thresholds = [threshold(7, Limit::Under, 2_070, 3), threshold(7, Limit::Over, 2_580, 1)];
    assert_eq!(store.put_thresholds(&thresholds, OperatorSet::ALL, false).unwrap(), [ThresholdFate::Added; 2]);
    store.set_model(OperatorId::UNKNOWN, &reading_model("A", Rounding::Down)).unwrap();
    let before = store.reader(OperatorSet::ALL).unwrap().digests(ALL).unwrap();
    assert!(matches!(open(&path), Err(Error::Locked)));
    let parked = store.reader(OperatorSet::ALL).unwrap();
    store.close().unwrap();

    let mut store = open(&path).unwrap();
    assert!(matches!(parked.thresholds(Eui64(7)), Err(Error::Closed)), "a reader does not keep the file");
    let reader = store.reader(OperatorSet::ALL).unwrap();
    assert_eq!(everything(&store).unwrap(), readings.iter().map(|(reading, _)| *reading).collect::<Vec<_>>());
    assert_eq!(reader.digests(ALL).unwrap(), before);
    let listed = reader.list(Eui64(7), &ALL, None, 1_000).unwrap();
    assert_eq!((listed.len(), &*listed[0].source, &*listed[400].source), (401, "a.csv", "b.csv"));
    let after = (Phase::Whole, listed[398].reading.end_ms);
    assert_eq!(reader.list(Eui64(7), &ALL, Some(after), 1_000).unwrap(), listed[399..]);
    assert_eq!(reader.list(Eui64(7), &ALL, Some(after), 1).unwrap(), listed[399..400]);
    let some = BEGIN_MS + HALF_HOUR_MS..BEGIN_MS + 3 * HALF_HOUR_MS;
    assert_eq!(reader.readings(Eui64(7), Phase::Whole, some).unwrap(), [readings[0].0, readings[1].0]);
    let known: Vec<_> = reader.thresholds(Eui64(7)).unwrap().into_iter().map(|one| (one.limit, one.value_dv)).collect();
    assert_eq!(known, [(Limit::Over, 2_580), (Limit::Under, 2_070)]);
    assert_eq!(reader.models().unwrap(), [(OperatorId::UNKNOWN, reading_model("A", Rounding::Down))]);
    let totals = reader.totals().unwrap();
    assert_eq!((totals.readings, totals.devices, totals.thresholds), (401, 1, 2));
    assert_eq!(totals.ends, Some((BEGIN_MS + 5, BEGIN_MS + 400 * HALF_HOUR_MS)));
    assert!(put(&mut store, &readings).iter().all(|fate| *fate == ReadingFate::Same), "whatever the source is");
    assert!(store.file_bytes() > 0);
}

#[test]
fn what_excludes_what_is_stored_is_named_and_changes_nothing() {
    let mut store = memory(&limits());
    let stored = half_hours(7, 2);
    put(&mut store, &stored);
    let mut other = stored[0];
    other.0.volts = Volts::whole(9).unwrap();
    let mut longer = stored[0];
    longer.0.length_s = 3_600;
    let mut within = stored[1];
    (within.0.end_ms, within.0.length_s) = (within.0.end_ms - 1, 60);
    let after = (at(7, Phase::Whole, BEGIN_MS + 2 * HALF_HOUR_MS + 59_000, 60, Volts::whole(9).unwrap()), other.1);
    let beside = (at(7, Phase::L1, stored[0].0.end_ms, 1_800, Volts::whole(9).unwrap()), other.1);
    let same_time = [other, longer, within, after, beside, stored[1]];
    let expected = [
        ReadingFate::Contradicts(stored[0].0),
        ReadingFate::Overlaps(stored[0].0),
        ReadingFate::Overlaps(stored[1].0),
        ReadingFate::Overlaps(stored[1].0),
        ReadingFate::Added,
        ReadingFate::Same,
    ];
    let tried = store.put(&same_time, "b", OperatorSet::ALL, true).unwrap();
    assert_eq!((tried.as_slice(), store.readings()), (expected.as_slice(), 2), "a dry run stores nothing");
    assert_eq!(put(&mut store, &same_time), expected);
    assert_eq!(everything(&store).unwrap(), [stored[0].0, stored[1].0, beside.0]);
}

#[test]
fn limits_hold_for_each_device_and_operator_and_leave_others_alone() {
    let limits = ReadingLimits {
        per_device_max: 3,
        per_operator_max: 5,
        thresholds_per_device_max: 1,
        sources_per_operator_max: 2,
        models_per_operator_max: 1,
        ..limits()
    };
    let mut store = memory(&limits);
    use ReadingFate::{Added, DeviceFull, OperatorFull, Same};
    assert_eq!(put(&mut store, &half_hours(1, 4)), [Added, Added, Added, DeviceFull]);
    assert_eq!(put(&mut store, &half_hours(2, 3)), [Added, Added, OperatorFull]);
    assert_eq!(put(&mut store, &half_hours(1, 1)), [Same], "what is there is told all the same");
    let east: Vec<OwnedReading> = half_hours(3, 1).into_iter().map(|(reading, _)| (reading, operator(EAST))).collect();
    assert_eq!(put(&mut store, &east), [Added], "another operator has its own room");

    let over = |error: Error| error.to_string();
    store.put_thresholds(&[threshold(1, Limit::Over, 2_580, 1)], OperatorSet::ALL, false).unwrap();
    let another = [threshold(1, Limit::Over, 2_580, 2)];
    assert_eq!(
        store.put_thresholds(&another, OperatorSet::ALL, false).unwrap(),
        [ThresholdFate::DeviceFull],
        "the one that is there stays"
    );
    let mut third = threshold(2, Limit::Over, 2_580, 1);
    third.0.source = "a third name".to_owned();
    let refused = store.put_thresholds(&[third], OperatorSet::ALL, false).unwrap_err();
    assert_eq!(over(refused), "readings.sources_per_operator_max (2) is reached");
    store.set_model(operator(LOND), &reading_model("A", Rounding::Down)).unwrap();
    store.set_model(operator(LOND), &reading_model("A", Rounding::Nearest)).unwrap();
    let refused = store.set_model(operator(LOND), &reading_model("B", Rounding::Down)).unwrap_err();
    assert_eq!(over(refused), "readings.models_per_operator_max (1) is reached");
    store.set_model(operator(EAST), &reading_model("B", Rounding::Down)).unwrap();
    store.set_model(operator(LOND), &ReadingModel { model: "A".to_owned(), ..ReadingModel::default() }).unwrap();
    let models = store.reader(OperatorSet::ALL).unwrap().models().unwrap();
    assert_eq!(models, [(operator(EAST), reading_model("B", Rounding::Down))]);
}

#[test]
fn a_device_that_moved_tells_its_new_operator_nothing_of_the_time_before() {
    let mut store = memory(&limits());
    let before = half_hours(7, 3);
    put(&mut store, &before);
    store.put_thresholds(&[threshold(7, Limit::Over, 2_580, 1)], OperatorSet::ALL, false).unwrap();
    store.set_model(operator(LOND), &reading_model("A", Rounding::Down)).unwrap();
    // From here on it is of operator 10, whose loads say the same, something else, and something new.
    let mut now: Vec<OwnedReading> =
        half_hours(7, 4).into_iter().map(|(reading, _)| (reading, operator(EAST))).collect();
    now[1].0.volts = Volts::whole(1).unwrap();
    now[2].0.length_s = 60;
    let fates = store.put(&now, "east.csv", only(EAST), false).unwrap();
    assert_eq!(fates, [ReadingFate::NotOwn, ReadingFate::NotOwn, ReadingFate::NotOwn, ReadingFate::Added]);
    let mut mine = threshold(7, Limit::Over, 2_590, 1);
    mine.1 = operator(EAST);
    let fates = store.put_thresholds(&[mine.clone()], only(EAST), false).unwrap();
    assert_eq!(fates, [ThresholdFate::NotOwn]);
    mine.0.from_ms = 2;
    store.put_thresholds(&[mine.clone()], only(EAST), false).unwrap();

    let (lond, east) = (store.reader(only(LOND)).unwrap(), store.reader(only(EAST)).unwrap());
    let ends = |reader: &ReadingReader| reader.readings(Eui64(7), Phase::Whole, ALL).unwrap().len();
    assert_eq!((ends(&lond), ends(&east)), (3, 1));
    let mut given = Vec::new();
    let mut take = |_, _, readings: &[Reading]| {
        given.extend_from_slice(readings);
        true
    };
    east.each_device(ALL, &mut take).unwrap();
    assert_eq!(given, [now[3].0]);
    assert_eq!(east.thresholds(Eui64(7)).unwrap(), [mine.0]);
    assert_eq!((lond.models().unwrap().len(), east.models().unwrap().len()), (1, 0));
    let totals = |reader: &ReadingReader| reader.totals().unwrap();
    assert_eq!((totals(&lond).readings, totals(&east).readings, totals(&east).thresholds), (3, 1, 1));
    assert_eq!(totals(&store.reader(OperatorSet::ALL).unwrap()).devices, 1);
    assert_ne!(lond.digests(ALL).unwrap()[0], east.digests(ALL).unwrap()[0]);
    // An administrator sees both.
    let told = store.put(&now[1..2], "admin.csv", OperatorSet::ALL, true).unwrap();
    assert_eq!(told, [ReadingFate::Contradicts(before[1].0)]);
}

#[test]
fn thresholds_are_replaced_from_the_same_time_and_counted_once() {
    let mut store = memory(&limits());
    let mut fates = |thresholds: &[(Threshold, OperatorId)], dry_run| {
        store.put_thresholds(thresholds, OperatorSet::ALL, dry_run).unwrap()
    };
    use ThresholdFate::{Added, Replaced, Same};
    let (first, other) = (threshold(7, Limit::Over, 2_580, 9), threshold(7, Limit::Over, 2_590, 9));
    let twice = [first.clone(), first.clone(), other.clone()];
    assert_eq!(fates(&twice, true), [Added, Same, Replaced]);
    assert_eq!(fates(std::slice::from_ref(&first), false), [Added], "a dry run stores nothing");
    assert_eq!(fates(std::slice::from_ref(&other), true), [Replaced]);
    assert_eq!(fates(&[other.clone(), threshold(8, Limit::Under, 2_070, 1)], false), [Replaced, Added]);
    let reader = store.reader(OperatorSet::ALL).unwrap();
    assert_eq!((reader.thresholds(Eui64(7)).unwrap(), reader.totals().unwrap().thresholds), (vec![other.0], 2));
    let mut after = Vec::new();
    let behind = (Eui64(7), Limit::Over, 9);
    reader
        .each_threshold_after(behind, &mut |one| {
            after.push(one.device.0);
            true
        })
        .unwrap();
    assert_eq!(after, [8]);
}

#[test]
fn equal_contents_have_equal_digests_in_whatever_order_they_came() {
    let readings: Vec<OwnedReading> = [half_hours(1, 400), half_hours(2, 50)].concat();
    let digests = |parts: &mut dyn Iterator<Item = &[OwnedReading]>| {
        let mut store = memory(&limits());
        for (at, part) in parts.enumerate() {
            store.put(part, &format!("{at}.csv"), OperatorSet::ALL, false).unwrap();
        }
        store.reader(OperatorSet::ALL).unwrap().digests(ALL).unwrap()
    };
    let whole = digests(&mut std::iter::once(readings.as_slice()));
    assert_eq!(digests(&mut readings.chunks(37).rev()), whole);
    let mut other = readings.clone();
    other[3].0.volts = Volts::between(other[3].0.volts.low_dv(), other[3].0.volts.high_dv()).unwrap();
    let other = digests(&mut std::iter::once(other.as_slice()));
    assert_eq!((other[0] == whole[0], other[1] == whole[1]), (false, true), "whole volts mean more than their bounds");
}

#[test]
fn weeks_that_are_too_old_go_in_parts_with_their_counts() {
    let mut store = memory(&limits());
    let mut readings: Vec<OwnedReading> = (1..=10).flat_map(|device| half_hours(device, 3)).collect();
    let late = (at(1, Phase::L1, BEGIN_MS + WEEK_MS, 60, Volts::whole(5).unwrap()), operator(EAST));
    readings.push(late);
    put(&mut store, &readings);
    let day = 86_400_000;
    assert_eq!(store.drop_before(BEGIN_MS + WEEK_MS - day, 4).unwrap(), 0, "its last day may still be young enough");
    let mut left = Vec::new();
    loop {
        let gone = store.drop_before(BEGIN_MS + WEEK_MS, 4).unwrap();
        let totals = store.reader(OperatorSet::ALL).unwrap().totals().unwrap();
        assert_eq!(totals.readings, everything(&store).unwrap().len() as u64);
        left.push((gone, totals.readings, totals.devices));
        if gone == 0 {
            break;
        }
    }
    assert_eq!(left, [(12, 19, 7), (12, 7, 3), (6, 1, 1), (0, 1, 1)]);
    assert_eq!(everything(&store).unwrap(), [late.0]);
    let totals = store.reader(OperatorSet::ALL).unwrap().totals().unwrap();
    assert_eq!(totals.ends, Some((late.0.end_ms, late.0.end_ms)));
    assert!(put(&mut store, &half_hours(1, 3)).iter().all(|fate| *fate == ReadingFate::Added));
}

#[test]
fn a_disk_that_fails_leaves_a_whole_request_or_none_of_it() {
    let (first, second) = (half_hours(1, 400), half_hours(2, 400));
    let mut committed = 0;
    for operations in 0..60 {
        let disk = Disk::default();
        let mut store = over(&disk, &limits());
        put(&mut store, &first);
        disk.fail_after(operations, io::ErrorKind::Other);
        let done = store.put(&second, "b.csv", OperatorSet::ALL, false);
        if done.is_err() {
            let next = store.put(&second, "b.csv", OperatorSet::ALL, false);
            assert!(next.is_err(), "nothing more is written");
        }
        for disk in [disk.after_kill(), disk.after_power_cut()] {
            let mut again = over(&disk, &limits());
            let found = everything(&again).unwrap();
            let both = [first.as_slice(), &second].concat();
            let expected = if found.len() == first.len() { &first } else { &both };
            assert_eq!(found, expected.iter().map(|(reading, _)| *reading).collect::<Vec<_>>(), "{operations}");
            assert!(done.is_err() || found.len() == both.len(), "{operations}: what was answered is there");
            assert_eq!(again.readings(), found.len() as u64, "{operations}: counts are of the same commit");
            put(&mut again, &second);
            assert_eq!(everything(&again).unwrap().len(), both.len());
        }
        committed += usize::from(done.is_ok());
    }
    assert!((1..60).contains(&committed), "{committed}");
}

#[test]
fn a_file_that_may_not_grow_refuses_what_needs_more_and_keeps_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("readings.redb");
    let open = || ReadingStore::open(&path, &StoreLimits::default(), &limits()).unwrap();
    let mut store = open();
    put(&mut store, &half_hours(1, 300));
    store.allow_growth(false);
    let many: Vec<OwnedReading> = (2..4_000).flat_map(|device| half_hours(device, 20)).collect();
    assert!(matches!(store.put(&many, "b", OperatorSet::ALL, false), Err(Error::Full(_))));
    assert!(store.put(&many[..1], "b", OperatorSet::ALL, false).is_err(), "it is to be opened again");
    drop(store);
    let mut store = open();
    assert_eq!((store.readings(), everything(&store).unwrap().len()), (300, 300));
    assert_eq!(put(&mut store, &many).len(), many.len());
}

#[test]
fn what_is_no_file_of_readings_is_told_from_one() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| ReadingStore::open(&folder.path().join(name), &StoreLimits::default(), &limits());
    std::fs::write(folder.path().join("empty"), "").unwrap();
    assert!(open("empty").unwrap_err().to_string().contains("empty is empty, it was cut off"));
    std::fs::write(folder.path().join("text"), "meter,volts\n".repeat(10_000)).unwrap();
    assert!(matches!(open("text"), Err(Error::Damaged(_) | Error::Io(_))));
    crate::store::Store::open(&folder.path().join("store"), &StoreLimits::default(), 1).unwrap().close().unwrap();
    assert!(open("store").unwrap_err().to_string().contains("it holds something else than readings"));
    open("later").unwrap().close().unwrap();
    let definition = redb::TableDefinition::<&str, u64>::new("readings-meta");
    let database = redb::Database::open(folder.path().join("later")).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(definition).unwrap().insert("format", 2).unwrap();
    txn.commit().unwrap();
    drop(database);
    assert!(matches!(open("later"), Err(Error::Format { found: 2, wanted: 1 })));
    let bytes = std::fs::read(folder.path().join("store")).unwrap();
    std::fs::write(folder.path().join("cut"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(open("cut").unwrap_err().is_damage());
}

#[test]
fn snapshots_are_shared_between_threads_and_see_one_commit() {
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    let mut store = memory(&limits());
    put(&mut store, &half_hours(1, 3));
    let reader = store.reader(OperatorSet::ALL).unwrap();
    shared(&reader);
    put(&mut store, &half_hours(2, 3));
    assert_eq!(reader.totals().unwrap().readings, 3);
    let same = reader.clone();
    let seen = std::thread::spawn(move || same.readings(Eui64(1), Phase::Whole, ALL).unwrap().len());
    assert_eq!((seen.join().unwrap(), reader.readings(Eui64(2), Phase::Whole, ALL).unwrap().len()), (3, 0));
    let mut devices = 0;
    store
        .reader(OperatorSet::ALL)
        .unwrap()
        .each_device(ALL, &mut |_, _, _| {
            devices += 1;
            false
        })
        .unwrap();
    assert_eq!(devices, 1, "it ends early");
    let _: [Digest; 3] = reader.digests(0..0).unwrap();
}
