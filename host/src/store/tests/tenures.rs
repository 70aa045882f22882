//! Devices at metering points, and where devices are connected, as commits change them.

use super::{
    fixtures::{some_placement, some_tenure},
    *,
};
use crate::domain::{DeviceType, Eui64, Mpxn, Placement, TENURES_MAX, Tenure, TenureChange};

fn point(number: u64) -> Mpxn {
    Mpxn::from_number(1_200_000_000_000 + number)
}

fn commit(store: &mut Store, tenures: Vec<(Mpxn, TenureChange)>, placements: Vec<(u32, Placement)>) {
    store.commit(&Effects { tenures, placements, ..Effects::default() }).unwrap();
}

fn begins(device: u64, at: i64) -> TenureChange {
    TenureChange::Begins(Tenure { since_ms: Some(at), ..some_tenure(device) })
}

#[test]
fn what_loads_say_of_a_point_adds_up_over_commits_and_openings() {
    let disk = Disk::default();
    let mut store = open(&disk);
    assert_eq!(store.reader().tenures(point(1)).unwrap(), None);
    let both = vec![(point(1), begins(5, 10)), (point(2), begins(5, 10)), (point(1), begins(6, 10))];
    commit(&mut store, both, Vec::new());
    commit(&mut store, vec![(point(1), TenureChange::Ends(some_tenure(5), 20))], Vec::new());
    store.close().unwrap();
    let mut store = open(&disk);
    let tenures = store.reader().tenures(point(1)).unwrap().unwrap();
    let told: Vec<_> = tenures.kept.iter().map(|tenure| (tenure.device, tenure.since_ms, tenure.until_ms)).collect();
    assert_eq!(told, [(Eui64(5), Some(10), Some(20)), (Eui64(6), Some(10), None)]);
    assert_eq!(store.reader().tenures(point(2)).unwrap().unwrap().kept.len(), 1);
    for device in 0..TENURES_MAX as u64 + 8 {
        commit(&mut store, vec![(point(3), begins(100 + device, device as i64))], Vec::new());
    }
    let many = store.reader().tenures(point(3)).unwrap().unwrap();
    assert_eq!((many.kept.len(), many.dropped), (TENURES_MAX, 8));
}

#[test]
fn a_placement_is_read_with_its_device_and_goes_when_there_is_nothing_to_say() {
    let mut store = open(&Disk::default());
    let devices = (0..5).map(|no| (no, some_device(no))).collect();
    let hub = Placement { kind: DeviceType::Chf, ..Placement::default() };
    let placements = vec![(1, some_placement()), (3, hub)];
    store.commit(&Effects { devices, placements, ..Effects::default() }).unwrap();
    let read = |store: &Store, from, max| {
        let devices = store.reader().devices(from, max).unwrap();
        devices.into_iter().map(|(no, _, placement)| (no, placement)).collect::<Vec<_>>()
    };
    let none = Placement::default();
    assert_eq!(read(&store, 0, 10), [(0, none), (1, some_placement()), (2, none), (3, hub), (4, none)]);
    assert_eq!(read(&store, 2, 2), [(2, none), (3, hub)]);
    assert_eq!(read(&store, 5, 2), []);
    commit(&mut store, Vec::new(), vec![(1, none)]);
    assert_eq!(store.load().unwrap().placements, [(3, hub)]);
}
