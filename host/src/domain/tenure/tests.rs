use super::*;

const NOWHERE: (Mpxn, OperatorId) = (Mpxn::NONE, OperatorId::UNKNOWN);

fn tenure(device: u64, since_ms: Option<Millis>) -> Tenure {
    Tenure {
        device: Eui64(device),
        role: PointRole::Import,
        operator: OperatorId::new(12).unwrap(),
        is_meter: true,
        since_ms,
        until_ms: None,
        moved_from: NOWHERE,
    }
}

fn begins(device: u64, at: Millis) -> TenureChange {
    TenureChange::Begins(tenure(device, Some(at)))
}

fn ends(device: u64, at: Millis) -> TenureChange {
    TenureChange::Ends(tenure(device, None), at)
}

fn tenures(changes: &[TenureChange]) -> Tenures {
    let mut tenures = Tenures::default();
    changes.iter().for_each(|change| tenures.note(*change));
    tenures
}

/// Device, since, until, undecided.
fn told(tenures: &Tenures) -> Vec<(u64, Option<Millis>, Option<Millis>, bool)> {
    let of = |period: Period| (period.device.0, period.since_ms, period.until_ms, period.is_undecided);
    tenures.periods(None).into_iter().map(of).collect()
}

#[test]
fn the_latest_load_has_the_point_and_a_repeated_one_changes_nothing() {
    // An exchange in which the old meter stays in the file.
    let exchanged = tenures(&[begins(1, 10), begins(2, 20), begins(1, 30), begins(2, 30)]);
    assert_eq!(told(&exchanged), [(1, Some(10), Some(20), false), (2, Some(20), None, false)]);
    // The new meter turns out to be elsewhere: the old one has the point again.
    let corrected = tenures(&[begins(1, 10), begins(2, 20), ends(2, 40)]);
    assert_eq!(
        told(&corrected),
        [(1, Some(10), Some(20), false), (2, Some(20), Some(40), false), (1, Some(40), None, false)]
    );
    // The old meter is taken out of the inventory's point, and there is a time without any.
    let removed = tenures(&[begins(1, 10), ends(1, 15), begins(2, 20)]);
    assert_eq!(told(&removed), [(1, Some(10), Some(15), false), (2, Some(20), None, false)]);
}

#[test]
fn nothing_decides_between_devices_of_one_load_or_of_before_times_were_kept() {
    let twice = tenures(&[begins(1, 10), begins(2, 10)]);
    assert_eq!(told(&twice), [(1, Some(10), None, true), (2, Some(10), None, true)]);
    let mut old = Tenures::default();
    old.add_unrecorded(tenure(1, Some(5)));
    old.add_unrecorded(tenure(2, None));
    old.add_unrecorded(tenure(2, None));
    assert_eq!(told(&old), [(2, None, None, true), (1, None, None, true)]);
    // A load that takes one of them away decides.
    let mut decided = tenures(&[ends(1, 50)]);
    decided.add_unrecorded(tenure(2, None));
    assert_eq!(told(&decided), [(2, None, Some(50), true), (1, None, Some(50), true), (2, Some(50), None, false)]);
}

#[test]
fn what_is_no_meter_gives_way_to_a_meter_however_late_it_came() {
    let hub = |at| TenureChange::Begins(Tenure { is_meter: false, ..tenure(9, Some(at)) });
    assert_eq!(told(&tenures(&[begins(1, 10), hub(20)])), [(1, Some(10), None, false)]);
    assert_eq!(
        told(&tenures(&[hub(10), begins(1, 20), ends(1, 30)])),
        [(9, Some(10), Some(20), false), (1, Some(20), Some(30), false), (9, Some(30), None, false)]
    );
}

#[test]
fn a_change_of_operator_is_told_and_makes_no_device_a_later_one() {
    let other = OperatorId::new(13).unwrap();
    let moved = Tenure { operator: other, ..tenure(1, Some(30)) };
    let changes = [begins(1, 10), begins(2, 20), ends(1, 30), TenureChange::Begins(moved)];
    assert_eq!(told(&tenures(&changes)), [(1, Some(10), Some(20), false), (2, Some(20), None, false)]);
    let alone = tenures(&[begins(1, 10), ends(1, 30), TenureChange::Begins(moved)]).periods(None);
    assert_eq!(alone.iter().map(|period| period.operator).collect::<Vec<_>>(), [OperatorId::new(12).unwrap(), other]);
    assert_eq!((alone[0].until_ms, alone[1].since_ms, alone[1].until_ms), (Some(30), Some(30), None));
}

#[test]
fn an_operator_is_told_of_its_own_and_a_device_that_came_to_it_is_no_later_for_that() {
    let other = OperatorId::new(13).unwrap();
    let of_other = |device, at| TenureChange::Begins(Tenure { operator: other, ..tenure(device, Some(at)) });
    // Device 1 was there first, and comes to the operator of device 2 after that one.
    let sold = tenures(&[begins(1, 10), of_other(2, 20), ends(1, 30), of_other(1, 30)]);
    let told = |own: u32| {
        let periods = sold.periods(OperatorId::new(own)).into_iter();
        periods.map(|period| (period.device.0, period.since_ms, period.until_ms)).collect::<Vec<_>>()
    };
    assert_eq!(told(13), [(2, Some(20), None)]);
    assert_eq!(told(12), [(1, Some(10), Some(30))], "of a later device at another operator nothing shows");
    assert_eq!(told(14), []);
}

#[test]
fn alerts_of_before_a_tenure_count_unless_the_device_was_elsewhere() {
    let counts = |changes: &[TenureChange]| {
        let tenures = tenures(changes);
        (0..tenures.kept.len()).map(|index| tenures.counts_before(index)).collect::<Vec<_>>()
    };
    assert_eq!(counts(&[begins(1, 10), begins(2, 20)]), [true, true]);
    let before = ("1300000000498".parse().unwrap(), OperatorId::new(12).unwrap());
    let moved = TenureChange::Begins(Tenure { moved_from: before, ..tenure(1, Some(10)) });
    assert_eq!(counts(&[moved]), [false]);
    // Its operator changes later: the tenure that begins then goes on from one that had a beginning.
    let sold = Tenure { operator: OperatorId::new(13).unwrap(), ..tenure(1, Some(30)) };
    assert_eq!(counts(&[moved, ends(1, 30), TenureChange::Begins(sold)]), [false, false]);
    assert_eq!(counts(&[begins(1, 10), ends(1, 20), begins(1, 30)]), [true, false], "it was away, and came back");
}

#[test]
fn a_clock_that_went_back_gives_no_point_to_an_earlier_load() {
    let back = tenures(&[begins(1, 100), begins(2, 50)]);
    assert_eq!(told(&back), [(1, Some(100), None, true), (2, Some(100), None, true)]);
}

#[test]
fn the_oldest_that_ended_go_and_are_counted() {
    let mut changes = vec![begins(1, 1)];
    for at in 0..TENURES_MAX as u64 + 3 {
        let ms = 10 * (at as Millis + 1);
        changes.extend([begins(100 + at, ms), ends(100 + at, ms + 5)]);
    }
    let kept = tenures(&changes);
    assert_eq!((kept.kept.len(), kept.dropped), (TENURES_MAX, 4));
    assert_eq!(kept.kept[0].device, Eui64(1), "what has not ended stays");
    assert_eq!(kept.kept[1].device, Eui64(104));
    let open: Vec<TenureChange> = (0..=TENURES_MAX as u64).map(|at| begins(at, at as Millis)).collect();
    assert_eq!(tenures(&open).kept[0].device, Eui64(1), "of those that have not ended the first goes");
}
