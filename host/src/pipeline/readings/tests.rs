use super::*;
use crate::{
    domain::{Eui64, OperatorId, Phase, Reading, ReadingFate, Volts},
    store::OwnedReading,
};

const HALF_HOUR_MS: Millis = 1_800_000;

fn half_hours(device: u64, count: i64) -> Vec<OwnedReading> {
    let one = |at| Reading {
        device: Eui64(device),
        phase: Phase::Whole,
        end_ms: at * HALF_HOUR_MS,
        length_s: 1_800,
        volts: Volts::whole(240).unwrap(),
    };
    (1..=count).map(|at| (one(at), OperatorId::UNKNOWN)).collect()
}

fn put(readings: &Readings, load: &[OwnedReading]) -> Result<Vec<ReadingFate>, Refusal> {
    readings.write(|store| store.put(load, "a", OperatorSet::ALL, false))
}

#[test]
fn a_file_at_its_limit_refuses_more_until_retention_has_made_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.readings.file_bytes_max = 4 << 20;
    let readings = Readings::new(&config, Some(folder.path().to_owned()));
    let mut loads = 0;
    let refused = loop {
        let load: Vec<OwnedReading> = (0..500).flat_map(|at| half_hours(1 + loads * 500 + at, 20)).collect();
        match put(&readings, &load) {
            Ok(_) => loads += 1,
            Err(refused) => break refused,
        }
    };
    assert!(loads > 2, "{loads}");
    let words = "no room for readings: readings.file_bytes_max (4194304) is reached";
    assert!(matches!(&refused, Refusal::Exhausted(why) if why.starts_with(words)), "{refused}");
    assert_eq!(readings.stored(), loads * 10_000, "nothing of what was refused, and all of what was not");
    assert!(put(&readings, &half_hours(9_999_999, 1)).is_err(), "at once");
    readings.drop_before(Millis::MAX);
    assert_eq!(readings.stored(), 0);
    assert!(put(&readings, &half_hours(9_999_999, 20)).is_ok(), "freed pages are used");
}

#[test]
fn a_file_that_cannot_be_opened_is_named_to_those_who_need_it_and_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(READINGS_FILE_NAME);
    std::fs::write(&path, "").unwrap();
    let readings = Readings::new(&Config::default(), Some(folder.path().to_owned()));
    for refused in [put(&readings, &half_hours(1, 1)).unwrap_err(), readings.reader(OperatorSet::ALL).unwrap_err()] {
        assert!(
            matches!(&refused, Refusal::Precondition(why) if why.contains("is empty, it was cut off")),
            "{refused}"
        );
        assert!(refused.to_string().contains("move that file away"), "{refused}");
    }
    assert!(readings.problem().borrow().contains("it was cut off"));
    std::fs::remove_file(&path).unwrap();
    // As if ten seconds had gone by.
    readings.lock().failed = None;
    assert_eq!(put(&readings, &half_hours(1, 1)).unwrap(), [ReadingFate::Added]);
    assert!(readings.problem().borrow().is_empty());
    assert_eq!(readings.reader(OperatorSet::ALL).unwrap().totals().unwrap().readings, 1);

    let other = Readings::new(&Config::default(), Some(folder.path().to_owned()));
    assert!(
        matches!(put(&other, &half_hours(1, 1)), Err(Refusal::Unavailable(why)) if why.contains("another process"))
    );
    readings.close();
    assert!(matches!(put(&readings, &half_hours(1, 1)), Err(Refusal::Unavailable(_))));
    other.lock().failed = None;
    assert_eq!(put(&other, &half_hours(1, 1)).unwrap(), [ReadingFate::Same]);
}

#[test]
fn a_load_is_noted_once_an_hour_for_each_caller_and_source() {
    let readings = Readings::default();
    assert!(readings.is_to_note("lond", "a.csv", 5));
    readings.noted("lond", "a.csv", 5);
    assert!(!readings.is_to_note("lond", "a.csv", HOUR_MS - 1));
    assert!(readings.is_to_note("lond", "a.csv", HOUR_MS) && readings.is_to_note("east", "a.csv", 5));
    (0..3 * LOADS_MAX).for_each(|at| readings.noted("lond", &at.to_string(), 5));
    assert!(readings.loads.lock().unwrap().len() <= LOADS_MAX);
}
