//! Requests by chance against a model that compares every reading with every other.

use super::*;

/// What is stored, in order of device, phase and end.
#[derive(Default)]
struct Model(Vec<Reading>);

impl Model {
    fn fate(&self, new: &Reading) -> ReadingFate {
        let of_phase = self.0.iter().filter(|old| (old.device, old.phase) == (new.device, new.phase));
        // A period lies after its start and up to its end; of several that overlap, the one that ends first after the new
        // one's end, or else the last before, is told.
        let mut overlapping: Vec<&Reading> =
            of_phase.filter(|old| old.period_ms().start < new.end_ms && new.period_ms().start < old.end_ms).collect();
        overlapping.sort_by_key(|old| old.end_ms);
        let told = overlapping.iter().find(|old| old.end_ms >= new.end_ms).or(overlapping.last());
        match told {
            None => ReadingFate::Added,
            Some(old) if **old == *new => ReadingFate::Same,
            Some(old) if (old.end_ms, old.length_s) == (new.end_ms, new.length_s) => ReadingFate::Contradicts(**old),
            Some(old) => ReadingFate::Overlaps(**old),
        }
    }

    fn put(&mut self, readings: &[OwnedReading]) -> Vec<ReadingFate> {
        let one = |(reading, _): &OwnedReading| {
            let fate = self.fate(reading);
            if fate == ReadingFate::Added {
                self.0.push(*reading);
            }
            fate
        };
        let fates = readings.iter().map(one).collect();
        self.0.sort_by_key(|reading| (reading.device, reading.phase, reading.end_ms));
        fates
    }
}

/// Readings close to each other and to the edge of two weeks, so that most of them meet.
fn reading() -> impl Strategy<Value = OwnedReading> {
    let length_s = prop_oneof![5 => Just(1_800_u32), 1 => Just(600), 1 => Just(86_400), 1 => 60..4_000_u32];
    let end_ms = prop_oneof![
        8 => (-60..60_i64).prop_map(|at| at * 600_000),
        1 => -2_000..2_000_i64,
        1 => (-200..200_i64).prop_map(|at| at * 7_200_000),
    ];
    let volts = prop_oneof![
        4 => (240..242_u16).prop_map(|volts| Volts::whole(volts).unwrap()),
        1 => (2_400..2_402_u16).prop_map(|dv| Volts::between(dv, dv).unwrap()),
        1 => (2_390..2_391_u16).prop_map(|dv| Volts::between(dv, dv + 20).unwrap()),
    ];
    let phase = prop_oneof![4 => Just(Phase::Whole), 1 => Just(Phase::L3)];
    (1..4_u64, phase, end_ms, length_s, volts, prop_oneof![Just(LOND), Just(EAST)]).prop_map(
        |(device, phase, end_ms, length_s, volts, owner)| {
            (at(device, phase, BEGIN_MS + end_ms, length_s, volts), operator(owner))
        },
    )
}

proptest! {
    // A failure prints its seed and the smallest requests that fail.
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn requests_do_what_a_comparison_of_all_with_all_does(
        requests in prop::collection::vec(prop::collection::vec(reading(), 0..40), 1..6),
        from in -20..20_i64,
    ) {
        let (mut store, mut model) = (memory(&limits()), Model::default());
        for (at, request) in requests.iter().enumerate() {
            let source = format!("{at}");
            let tried = store.put(request, &source, OperatorSet::ALL, true).unwrap();
            let fates = store.put(request, &source, OperatorSet::ALL, false).unwrap();
            prop_assert_eq!(&fates, &model.put(request), "request {}", at);
            prop_assert_eq!(tried, fates);
            prop_assert_eq!(&everything(&store).unwrap(), &model.0);
        }
        let reader = store.reader(OperatorSet::ALL).unwrap();
        let totals = reader.totals().unwrap();
        prop_assert_eq!(totals.readings, model.0.len() as u64);
        let ends = model.0.iter().map(|reading| reading.end_ms);
        prop_assert_eq!(totals.ends, ends.clone().min().zip(ends.max()));
        let mut devices: Vec<Eui64> = model.0.iter().map(|reading| reading.device).collect();
        devices.dedup();
        prop_assert_eq!(totals.devices, devices.len() as u64);
        let some = BEGIN_MS + from * 1_800_000..BEGIN_MS + (from + 7) * 1_800_000;
        for device in devices {
            for phase in Phase::ALL {
                let of_phase = |one: &&Reading| (one.device, one.phase) == (device, phase) && some.contains(&one.end_ms);
                let expected: Vec<Reading> = model.0.iter().filter(of_phase).copied().collect();
                prop_assert_eq!(reader.readings(device, phase, some.clone()).unwrap(), expected);
            }
        }
        let mut given = Vec::new();
        reader.each_device(some.clone(), &mut |_, _, readings| { given.extend_from_slice(readings); true }).unwrap();
        let expected: Vec<Reading> = model.0.iter().filter(|one| some.contains(&one.end_ms)).copied().collect();
        prop_assert_eq!(given, expected);
    }
}
