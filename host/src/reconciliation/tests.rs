//! Causes on cases where the truth is known, and sums on any.

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::{
    books::Weighed,
    domain::{Eui64, Mpxn},
};

const CODE: AlertCode = AlertCode(0x8F40);

fn key(device: u64, day: i8) -> Key {
    Key { subject: Subject::Device(Eui64(device)), code: CODE, day: date(2026, 11, day) }
}

fn ends(forwarded: u64, suppressed: u64, duplicate: u64) -> DeviceEnds {
    let once = |count| Weighed { count, represented: count };
    DeviceEnds { forwarded: once(forwarded), suppressed: once(suppressed), duplicate: once(duplicate) }
}

/// The same by every clock.
fn figures(ends: DeviceEnds) -> Figures {
    Figures { by_day: ends, by_other_day: ends, by_occurrence: ends }
}

fn case(theirs: &[(Key, u64)], ours: &[(Key, Figures)]) -> Case {
    Case { theirs: theirs.iter().copied().collect(), ours: ours.iter().copied().collect(), ..Case::default() }
}

/// Standing and causes of the only row.
fn only(theirs: Option<u64>, ours: Figures) -> (Standing, Vec<Cause>) {
    let theirs: Vec<_> = theirs.into_iter().map(|count| (key(1, 1), count)).collect();
    let mut found = reconcile(&case(&theirs, &[(key(1, 1), ours)]));
    assert_eq!(found.rows.len(), 1);
    let row = found.rows.remove(0);
    (row.standing, row.causes)
}

#[test]
fn each_cause_is_named_where_it_makes_the_counts_equal() {
    use Cause::*;
    use Standing::*;
    let plain = figures(ends(10, 5, 3));
    let mut throttled = plain;
    throttled.by_day.forwarded.represented = 200;
    let moved = Figures { by_other_day: ends(13, 5, 3), ..plain };
    let clock = Figures { by_occurrence: ends(1, 1, 0), ..plain };
    let cases = [
        (Some(15), plain, Agrees, vec![]),
        (Some(18), plain, TheirsHigher, vec![Duplicates]),
        (Some(10), plain, OursHigher, vec![Suppressed]),
        (Some(13), plain, OursHigher, vec![Duplicates, Suppressed]),
        (Some(205), throttled, TheirsHigher, vec![Throttled]),
        (Some(200), throttled, TheirsHigher, vec![Suppressed, Throttled]),
        (Some(208), throttled, TheirsHigher, vec![Duplicates, Throttled]),
        (Some(21), moved, TheirsHigher, vec![DayBoundary, Duplicates]),
        (Some(2), clock, OursHigher, vec![DeviceClock]),
        (Some(77), plain, TheirsHigher, vec![NotExplained]),
        (Some(0), plain, OursHigher, vec![NotExplained]),
        (None, plain, OursHigher, vec![NotInFile]),
        (None, figures(ends(0, 5, 9)), OursHigher, vec![Suppressed]),
    ];
    for (theirs, ours, standing, causes) in cases {
        assert_eq!(only(theirs, ours), (standing, causes), "{theirs:?} {ours:?}");
    }
}

#[test]
fn alerts_from_before_the_inventory_are_a_cause_where_they_make_the_counts_equal() {
    let causes = |theirs: u64, ours: Figures| {
        let unplaced = [(key(1, 1), figures(ends(4, 0, 1)))].into_iter().collect();
        let found = reconcile(&Case { unplaced, ..case(&[(key(1, 1), theirs)], &[(key(1, 1), ours)]) });
        assert_eq!(found.totals.ours, ours.ours(), "they are not in ours");
        found.rows[0].causes.clone()
    };
    assert_eq!(causes(4, Figures::default()), [Cause::BeforeInventory]);
    assert_eq!(causes(14, figures(ends(10, 0, 0))), [Cause::BeforeInventory]);
    assert_eq!(causes(15, figures(ends(10, 0, 0))), [Cause::Duplicates, Cause::BeforeInventory]);
    assert_eq!(causes(10, figures(ends(10, 0, 0))), [], "a count that agrees needs no cause");
    assert_eq!(causes(77, figures(ends(10, 0, 0))), [Cause::NotExplained]);
}

#[test]
fn of_two_causes_that_fit_a_row_the_one_that_fits_the_file_is_named() {
    // One row fits copies as well as a day that begins an hour earlier; nine others fit that day alone.
    let both = Figures { by_other_day: ends(11, 0, 1), ..figures(ends(10, 0, 1)) };
    let moved = Figures { by_other_day: ends(20, 0, 0), ..figures(ends(10, 0, 7)) };
    let ours: Vec<_> = (1..=10).map(|device| (key(device, 1), if device == 1 { both } else { moved })).collect();
    let theirs: Vec<_> = (1..=10).map(|device| (key(device, 1), if device == 1 { 11 } else { 20 })).collect();
    let found = reconcile(&case(&theirs, &ours));
    assert!(found.rows.iter().all(|row| row.causes == [Cause::DayBoundary]), "{found:?}");
    assert_eq!((found.fit.reading.causes(), found.fit.rows, found.fit.of_rows), (vec![Cause::DayBoundary], 10, 10));
    let alone = reconcile(&case(&theirs[..1], &ours[..1]));
    assert_eq!(alone.rows[0].causes.len(), 1, "one of the two");
}

#[test]
fn what_we_do_not_know_or_no_longer_have_is_said_to_be_so() {
    let mut case = case(&[(key(1, 1), 4), (key(2, 2), 4), (key(2, 9), 4)], &[(key(2, 9), figures(ends(4, 0, 0)))]);
    case.unknown.insert(key(1, 1).subject);
    case.kept_since = Some(date(2026, 11, 3));
    let found = reconcile(&case);
    let rows: Vec<_> = found.rows.iter().map(|row| (row.standing, row.causes.as_slice())).collect();
    let expected: [(Standing, &[Cause]); 3] = [
        (Standing::UnknownDevice, &[Cause::UnknownDevice]),
        (Standing::TheirsHigher, &[Cause::OutsideRetention]),
        (Standing::Agrees, &[]),
    ];
    assert_eq!(rows, expected);
    assert_eq!(
        (found.fit.rows, found.fit.of_rows),
        (1, 1),
        "what cannot be compared says nothing about how they count"
    );
}

fn some_ends() -> impl Strategy<Value = DeviceEnds> {
    let weighed = || {
        (0_u64..6, 0_u64..4)
            .prop_map(|(count, more)| Weighed { count, represented: if count == 0 { 0 } else { count + more } })
    };
    (weighed(), weighed(), weighed()).prop_map(|(forwarded, suppressed, duplicate)| DeviceEnds {
        forwarded,
        suppressed,
        duplicate,
    })
}

fn some_figures() -> impl Strategy<Value = Figures> {
    (some_ends(), some_ends(), some_ends()).prop_map(|(by_day, by_other_day, by_occurrence)| Figures {
        by_day,
        by_other_day,
        by_occurrence,
    })
}

fn some_key() -> impl Strategy<Value = Key> {
    (1_u64..6, 1_i8..5, any::<bool>()).prop_map(|(number, day, point)| Key {
        subject: if point { Subject::Point(Mpxn::from_number(number)) } else { Subject::Device(Eui64(number)) },
        ..key(1, day)
    })
}

proptest! {
    #[test]
    fn every_row_and_every_total_adds_up(
        theirs in prop::collection::btree_map(some_key(), 0_u64..20, 0..12),
        ours in prop::collection::btree_map(some_key(), some_figures(), 0..12),
        unknown in prop::collection::btree_set(some_key().prop_map(|key| key.subject), 0..3),
        kept_since in prop::option::of(1_i8..6),
    ) {
        // Of a device that we do not know there is nothing to know.
        let ours: BTreeMap<_, _> = ours.into_iter().filter(|(key, _)| !unknown.contains(&key.subject)).collect();
        let kept_since = kept_since.map(|day| date(2026, 11, day));
        let case = Case { theirs, ours, unknown, kept_since, ..Case::default() };
        let Reconciliation { rows, totals, fit } = reconcile(&case);
        prop_assert_eq!(totals.theirs, case.theirs.values().sum::<u64>());
        prop_assert_eq!(totals.ours, case.ours.values().map(Figures::ours).sum::<u64>());
        let theirs_more: u64 = totals.differences.values().map(|difference| difference.theirs_more).sum();
        let ours_more: u64 = totals.differences.values().map(|difference| difference.ours_more).sum();
        prop_assert_eq!(totals.theirs, totals.agreed + theirs_more);
        prop_assert_eq!(totals.ours, totals.agreed + ours_more);
        prop_assert_eq!(totals.agreeing_rows + totals.differences.values().map(|d| d.rows).sum::<u64>(), rows.len() as u64);
        prop_assert!(fit.rows <= fit.of_rows);
        for row in &rows {
            let [agreed, theirs_more, ours_more] = row.parts();
            prop_assert_eq!((agreed + theirs_more, agreed + ours_more), (row.theirs.unwrap_or(0), row.figures.ours()));
            prop_assert!(theirs_more == 0 || ours_more == 0);
            prop_assert_eq!(row.standing == Standing::Agrees, row.causes.is_empty());
        }
        for key in case.theirs.keys() {
            prop_assert!(rows.iter().any(|row| row.key == *key), "each of their rows is there");
        }
    }

    #[test]
    fn whatever_way_they_count_each_difference_is_explained_and_the_way_fits_all(
        ours in prop::collection::btree_map(some_key(), some_figures(), 1..12),
        way in 0..24_usize,
    ) {
        let reading = Reading::all().nth(way).unwrap();
        let theirs = ours.iter().map(|(key, figures)| (*key, reading.count(figures))).collect();
        let found = reconcile(&Case { theirs, ours, ..Case::default() });
        prop_assert_eq!(found.fit.rows, found.fit.of_rows);
        prop_assert!(found.fit.reading.causes().len() <= reading.causes().len());
        for row in &found.rows {
            prop_assert!(!row.causes.contains(&Cause::NotExplained), "{:?}", row);
            let named = Reading::all().find(|reading| reading.causes() == row.causes).unwrap();
            prop_assert_eq!(Some(named.count(&row.figures)), row.theirs, "a cause makes the counts equal");
        }
    }
}
