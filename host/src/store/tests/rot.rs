//! A disk that changes a bit: whatever the store is then asked, it answers as before or says what is damaged.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::domain::{AuditEntry, DevicePage, Retention};

/// Everything that a store can be asked.
#[derive(Debug, PartialEq)]
struct Answers {
    snapshot: Snapshot,
    groups: Vec<Group>,
    heads: Vec<GroupHead>,
    pages: Vec<DevicePage>,
    hours: Vec<HourPage>,
    audit: Vec<AuditEntry>,
    answers: Vec<Option<String>>,
    component: Option<Vec<u8>>,
}

fn ask(store: &Store) -> Result<Answers, Error> {
    let reader = store.reader();
    Ok(Answers {
        snapshot: store.load()?,
        groups: reader.groups(Position(0))?.collect::<Result<_, _>>()?,
        heads: reader.heads(Position(0))?.collect::<Result<_, _>>()?,
        pages: reader.pages()?.collect::<Result<_, _>>()?,
        hours: reader.hours(0..u32::MAX)?.collect::<Result<_, _>>()?,
        audit: reader.audit(1, 1_000)?,
        answers: (0..4).map(|number| reader.answer(number)).collect::<Result<_, _>>()?,
        component: reader.plugin(&some_digest())?,
    })
}

/// A store with something in every table, in so many groups that the log has branches.
fn filled() -> Disk {
    let disk = Disk::default();
    let mut store = open(&disk);
    store.commit(&one_of_everything()).unwrap();
    for no in 1..150 {
        let effects = Effects {
            producers: vec![some_mark("a", 9 + no)],
            pages: vec![some_page(no as u32 % 3, no * 3)],
            hours: vec![some_hour(498_000 + no as u32, no * 3)],
            ..append(no * 3, 3)
        };
        store.commit(&effects).unwrap();
    }
    store.close().unwrap();
    disk
}

/// What came of a flipped bit.
#[derive(Debug, PartialEq)]
enum Outcome {
    Same,
    MadeAgain,
    Named(String),
}

/// Opens a damaged store, asks everything, commits, and asks everything again.
fn outcome(disk: &Disk, limits: &StoreLimits, before: &Answers, after: &Answers) -> Outcome {
    let named = |error: Error| {
        assert!(matches!(error, Error::Corrupt { .. } | Error::Damaged(_) | Error::Format { .. }), "{error:?}");
        Outcome::Named(error.to_string())
    };
    let mut store = match Store::with_backend(disk.clone(), limits, ACKS_KEPT) {
        Ok(store) => store,
        Err(error) => return named(error),
    };
    let mended = store.mended().to_vec();
    let same = |found: &Answers, wanted: &Answers| {
        let lost = |table: &str, key: String| mended.iter().any(|damage| damage.table == table && damage.key == key);
        let pages: Vec<_> = wanted.pages.iter().filter(|page| !lost("page", page.no.to_string())).collect();
        let hours: Vec<_> = wanted.hours.iter().filter(|page| !lost("hour", page.hour.to_string())).collect();
        assert!(found.pages.iter().eq(pages) && found.hours.iter().eq(hours));
        // What was taken out is made again from where the log begins.
        let again = mended.iter().any(|damage| damage.table != "head");
        let replay_from = if again { Position(0) } else { wanted.snapshot.replay_from };
        assert_eq!(found.snapshot, Snapshot { replay_from, ..wanted.snapshot.clone() });
        let rest = |answers: &Answers| (answers.audit.clone(), answers.answers.clone(), answers.component.clone());
        assert_eq!((&found.groups, &found.heads, rest(found)), (&wanted.groups, &wanted.heads, rest(wanted)));
    };
    match ask(&store) {
        Ok(found) => same(&found, before),
        Err(error) => return named(error),
    }
    if let Err(error) = store.commit(&append(450, 3)) {
        return named(error);
    }
    match ask(&store) {
        Ok(found) if mended.is_empty() => assert_eq!(found, *after),
        Ok(found) => assert_eq!(found.groups, after.groups),
        Err(error) => return named(error),
    }
    store.close().unwrap();
    assert_eq!(ask(&open(disk)).unwrap().groups, after.groups);
    if mended.is_empty() { Outcome::Same } else { Outcome::MadeAgain }
}

fn flip_everywhere(places: impl Iterator<Item = usize>, limits: &StoreLimits) -> Vec<(usize, Outcome)> {
    let disk = filled();
    let answers = |disk: &Disk| ask(&open(disk)).unwrap();
    let before = answers(&disk.after_kill());
    let later = disk.after_kill();
    let mut store = open(&later);
    store.commit(&append(450, 3)).unwrap();
    store.close().unwrap();
    let after = answers(&later);
    let outcomes = places.map(|bit| {
        let damaged = disk.after_kill();
        damaged.flip(bit);
        let found = catch_unwind(AssertUnwindSafe(|| outcome(&damaged, limits, &before, &after)));
        (bit, found.unwrap_or_else(|_| panic!("bit {bit} is not answered for")))
    });
    outcomes.collect()
}

/// Numbers that look random and are the same every time.
fn random(seed: u64) -> impl Iterator<Item = usize> {
    let mut state = seed;
    std::iter::from_fn(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((state >> 16) as usize)
    })
}

/// Bits of pages that hold something. `WEIR_FLIPS` is how many of them are flipped, one at a time.
#[test]
fn a_flipped_bit_changes_no_answer() {
    const SEED: u64 = 16_001;
    let flips = std::env::var("WEIR_FLIPS").map_or(60, |flips| flips.parse().unwrap());
    let live = filled().live_bytes();
    let places = random(SEED).map(|number| live[number / 8 % live.len()] * 8 + number % 8).take(flips);
    let outcomes = flip_everywhere(places, &limits());
    let count = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|(_, outcome)| wanted(outcome)).count();
    let named = count(|outcome| matches!(outcome, Outcome::Named(_)));
    let again = count(|outcome| *outcome == Outcome::MadeAgain);
    println!("seed {SEED}: {flips} flips, {named} named, {again} made again, {} harmless", flips - named - again);
    assert!(named > 0 && again > 0, "{outcomes:?}");
}

#[test]
fn a_flipped_bit_of_the_header_undoes_no_commit() {
    // The magic number, the flags, the layout and both commits; what is between them is not used.
    let places = (0..320 * 8).filter(|bit| bit / 8 < 28 || bit / 8 >= 64).step_by(7);
    for (bit, outcome) in flip_everywhere(places.chain(9 * 8..10 * 8), &limits()) {
        assert!(!matches!(outcome, Outcome::MadeAgain), "bit {bit}: {outcome:?}");
    }
}

/// What is compared with no checksum but those of values, as in a file longer than `check_bytes_max`.
#[test]
fn values_are_compared_without_a_look_at_the_whole_file() {
    let limits = StoreLimits { check_bytes_max: 0, ..limits() };
    let disk = filled();
    let bytes = disk.bytes();
    // The text of a revision, of an audit entry and of a cursor, and the name of a model.
    for text in ["over-voltage", "token.create", "Modell", "head-end", "an answer"] {
        let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
        let damaged = disk.after_kill();
        damaged.flip((at + 3) * 8 + 1);
        let asked = Store::with_backend(damaged, &limits, ACKS_KEPT).and_then(|store| ask(&store));
        // There may be more than one copy of it: what an earlier commit left is not read.
        match asked {
            Ok(_) => {
                assert!(bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count() > 1, "{text}")
            }
            Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{text}: {error}"),
        }
    }
}

#[test]
fn a_value_of_another_key_or_table_is_found() {
    let swap = |change: fn(&redb::WriteTransaction)| {
        let disk = filled();
        let database = Database::builder().create_with_backend(disk.clone()).unwrap();
        let txn = database.begin_write().unwrap();
        change(&txn);
        txn.commit().unwrap();
        database.close().unwrap();
        Store::with_backend(disk, &limits(), ACKS_KEPT).and_then(|store| ask(&store)).unwrap_err().to_string()
    };
    const HOUR: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("hour");
    const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");
    const QUESTION: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("question");
    const ANSWER: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("answer");
    let moved = swap(|txn| {
        let mut table = txn.open_table(AUDIT).unwrap();
        let value = table.get(1).unwrap().unwrap().value().to_vec();
        table.insert(2, value.as_slice()).unwrap();
    });
    assert!(moved.contains("table audit, key 2: its checksum does not match"), "{moved}");
    let of_another = swap(|txn| {
        let value = txn.open_table(QUESTION).unwrap().get(1).unwrap().unwrap().value().to_vec();
        txn.open_table(ANSWER).unwrap().insert(1, value.as_slice()).unwrap();
    });
    assert!(of_another.contains("table answer, key 1: its checksum does not match"), "{of_another}");
    let gone = swap(|txn| drop(txn.open_table(HOUR).unwrap().remove(498_001).unwrap()));
    assert!(gone.contains("table hour, key none (rows of the table)"), "{gone}");
}

/// A store of format 5 lacks tables of this format, and that is no damage.
#[test]
fn a_damaged_store_of_format_5_is_mended_too() {
    let disk = filled();
    before::without_new_tables(&disk, 5);
    let live = disk.live_bytes();
    let is_mended = |bit: usize| {
        let damaged = disk.after_kill();
        damaged.flip(bit);
        Store::with_backend(damaged, &limits(), ACKS_KEPT).is_ok_and(|store| !store.mended().is_empty())
    };
    let mut places = random(16_001).map(|number| live[number / 8 % live.len()] * 8 + number % 8).take(200);
    assert!(places.any(is_mended), "a page or an hour among 200 places");
}

#[test]
fn an_empty_file_is_no_new_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    std::fs::File::create(&path).unwrap();
    let error = Store::open(&path, &limits(), ACKS_KEPT).unwrap_err();
    assert!(matches!(&error, Error::Damaged(what) if what.contains("is empty")), "{error}");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0, "nothing is made of it");
    // Cut off anywhere else it is no store either.
    drop(std::fs::remove_file(&path));
    Store::open(&path, &limits(), ACKS_KEPT).unwrap().close().unwrap();
    let whole = std::fs::read(&path).unwrap();
    for length in [1, 319, 4_096, whole.len() / 2, whole.len() - 4_096] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = Store::open(&path, &limits(), ACKS_KEPT).unwrap_err();
        assert!(matches!(error, Error::Damaged(_) | Error::Corrupt { .. }), "{length}: {error:?}");
    }
}

/// What the log does not hold from its beginning cannot make a page again.
#[test]
fn a_page_is_not_made_again_from_half_a_log() {
    let disk = filled();
    let mut store = open(&disk);
    let (position, replay_from) = (Position(450), Position(450));
    let retention = Retention::all_before(Position(9));
    store.commit(&Effects { position, replay_from, retention, ..Effects::default() }).unwrap();
    store.close().unwrap();
    let database = Database::builder().create_with_backend(disk.clone()).unwrap();
    let spoil = |name, key: u32| {
        let txn = database.begin_write().unwrap();
        let mut table = txn.open_table(TableDefinition::<u32, &[u8]>::new(name)).unwrap();
        let mut value = table.get(key).unwrap().unwrap().value().to_vec();
        value[9] ^= 1;
        table.insert(key, value.as_slice()).unwrap();
        drop(table);
        txn.commit().unwrap();
    };
    spoil("page", 1);
    database.close().unwrap();
    let open = || Store::with_backend(disk.clone(), &limits(), ACKS_KEPT).and_then(|store| ask(&store));
    let error = open().unwrap_err();
    assert!(error.to_string().contains("table page, key 1: its checksum does not match"), "{error}");
}
