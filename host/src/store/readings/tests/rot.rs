//! A disk that changes a bit: what is then read is as before, or the damage is named.

use super::*;

/// A file with something in every table.
fn filled() -> Disk {
    let disk = Disk::default();
    let mut store = over(&disk, &limits());
    for device in 1..40 {
        put(&mut store, &half_hours(device, 100));
    }
    store.put_thresholds(&[threshold(7, Limit::Over, 2_580, 1)], OperatorSet::ALL, false).unwrap();
    store.set_model(operator(LOND), &reading_model("A", Rounding::Down)).unwrap();
    store.close().unwrap();
    disk
}

type Answers = (Vec<Reading>, Vec<Threshold>, Vec<(OperatorId, ReadingModel)>, ReadingTotals);

fn ask(store: &ReadingStore) -> Result<Answers, Error> {
    let reader = store.reader(OperatorSet::ALL)?;
    let mut thresholds = Vec::new();
    reader.each_threshold(&mut |threshold| {
        thresholds.push(threshold);
        true
    })?;
    Ok((everything(store)?, thresholds, reader.models()?, reader.totals()?))
}

#[test]
fn a_changed_bit_changes_no_answer() {
    let disk = filled();
    let before = ask(&over(&disk, &limits())).unwrap();
    let live = disk.live_bytes();
    let mut named = 0;
    for checked in [true, false] {
        let store_limits = StoreLimits { check_bytes_max: if checked { 1 << 30 } else { 0 }, ..StoreLimits::default() };
        for at in live.iter().step_by(live.len() / 300) {
            let rotten = disk.after_kill();
            rotten.flip(at * 8 + at % 8);
            let is_named = |error: &Error| error.is_damage() || matches!(error, Error::Format { .. });
            let store = match ReadingStore::with_backend(rotten.clone(), &store_limits, &limits()) {
                Ok(store) => store,
                Err(error) => {
                    assert!(is_named(&error), "{at}: {error:?}");
                    named += 1;
                    continue;
                }
            };
            match ask(&store) {
                Ok(after) => assert!(after == before, "byte {at}, checked {checked}: another answer"),
                Err(error) => {
                    assert!(is_named(&error), "{at}: {error:?}");
                    named += 1;
                }
            }
        }
    }
    assert!(named > 200, "{named}");
}
