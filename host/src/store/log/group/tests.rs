//! Groups as bytes: back as they went, and hostile.

use proptest::prelude::*;

use super::*;
use crate::store::tests::{arbitrary, fixtures::some_group};

/// Where the number of the settings lies.
const SETTINGS: std::ops::Range<usize> = 22..26;

fn encoded(group: &Group) -> Vec<u8> {
    let mut out = Writer::default();
    encode(group, &arbitrary::euis(), &mut out).unwrap();
    out.as_bytes().to_vec()
}

fn refusal(change: impl FnOnce(&mut Group)) -> Defect {
    let mut group = some_group(40, 3);
    change(&mut group);
    encode(&group, &arbitrary::euis(), &mut Writer::default()).unwrap_err()
}

proptest! {
    #[test]
    fn a_group_comes_back_as_it_went(group in arbitrary::group()) {
        prop_assert_eq!(decode(&encoded(&group), &arbitrary::euis()), Ok(group));
    }

    #[test]
    fn damaged_bytes_never_panic(group in arbitrary::group(), damage in arbitrary::damage()) {
        let _ = decode(&arbitrary::damaged(&encoded(&group), &damage), &arbitrary::euis());
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&[&[VERSION], &bytes[..]].concat(), &arbitrary::euis());
    }
}

#[test]
fn every_end_that_is_cut_off_is_noticed() {
    let bytes = encoded(&some_group(40, 3));
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length], &arbitrary::euis()).is_err(), "{length} bytes of {}", bytes.len());
    }
    assert_eq!(decode(&[&bytes[..], &[0]].concat(), &arbitrary::euis()), Err(Defect("bytes follow its end")));
}

/// Times of the DCC near receipt, far from it, and none, each as itself.
#[test]
fn times_of_the_dcc_come_back_and_none_takes_no_room() {
    let times = [0, 1, -1, 2, 499, 500, 501, -500, i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX];
    for received in times {
        let mut seen: Vec<i64> = times.iter().map(|dcc| turned(received, *dcc)).collect();
        let back: Vec<i64> = seen.iter().map(|turned| turned_back(received, *turned)).collect();
        assert_eq!(back, times, "{received}");
        assert_eq!(turned(received, 0), 0);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), times.len(), "{received}");
    }
    let mut without = some_group(40, 60);
    without.rows.dcc_ms = vec![0; 60];
    without.rows.remarks = vec![0; 60];
    let mut with = without.clone();
    with.rows.dcc_ms = with.rows.received_ms.iter().map(|received| received - 90).collect();
    assert_eq!(encoded(&with).len(), encoded(&without).len(), "one lag for all");
    with.rows.dcc_ms[7] = 0;
    assert_eq!(encoded(&with).len(), encoded(&without).len() + 60, "a byte each");
}

/// Versions 2 and 3 are on people's disks: this one without the number of the settings, without the columns that were added,
/// nine bytes each where all values are the same, and without its last 13 bytes.
#[test]
fn groups_of_the_versions_before_are_read() {
    let mut group = Group { settings: SettingsNo::UNKNOWN, ..some_group(40, 3) };
    group.rows.dcc_ms = vec![0; 3];
    group.rows.remarks = vec![0; 3];
    group.rows.sender = vec![0; 3];
    group.rows.digest = vec![0; 3];
    group.rows.instruction = vec![0; 3];
    group.rows.time_status = vec![0; 3];
    let mut bytes = encoded(&group);
    let dcc_ms = group.rows.received_ms.iter().map(|received| received - 5).collect();
    let other = Group { rows: Rows { dcc_ms, ..group.rows.clone() }, ..group.clone() };
    let place = bytes.iter().zip(encoded(&other)).position(|(byte, other)| *byte != other).unwrap() - 1;
    bytes.truncate(bytes.len() - 13);
    bytes.drain(SETTINGS);
    let place = place - SETTINGS.len();
    let before = Group { remembered_from: None, ..group };
    let columns = [(VERSION_WITHOUT_MESSAGES, 18..54), (VERSION_WITHOUT_REMARKS, 0..18)];
    for (version, added) in columns {
        let added = place + added.start..place + added.end;
        assert!(bytes.drain(added).all(|byte| byte == 0));
        bytes[0] = version;
        assert_eq!(decode(&bytes, &arbitrary::euis()), Ok(before.clone()), "version {version}");
        let part = Part { devices: true, messages: false };
        let expected = decode_part(&encoded(&before), &arbitrary::euis(), part);
        assert_eq!(decode_part(&bytes, &arbitrary::euis(), part), expected, "version {version}");
    }
    // A time of occurrence that is that of receipt was not stated.
    let mut group = before;
    group.rows.occurred_ms.clone_from(&group.rows.received_ms);
    let mut bytes = encoded(&group);
    bytes.truncate(bytes.len() - 13);
    bytes.drain(SETTINGS);
    assert!(bytes.drain(place..place + 54).all(|byte| byte == 0));
    bytes[0] = VERSION_WITHOUT_REMARKS;
    let found = decode(&bytes, &arbitrary::euis()).unwrap();
    assert_eq!(found.rows.time_status, [TimeStatus::NotStated as u8; 3]);
}

/// Version 4 is this one without details, while no remark needs more than a byte.
#[test]
fn a_group_of_narrow_remarks_is_read() {
    let mut group = some_group(40, 3);
    group.rows.remarks = vec![0, 0xFF, 4];
    let mut bytes = encoded(&group);
    bytes[0] = VERSION_OF_NARROW_REMARKS;
    bytes.truncate(bytes.len() - 4);
    assert_eq!(decode(&bytes, &arbitrary::euis()), Ok(group.clone()));
    group.rows.remarks[2] = 1 << 31;
    assert_eq!(decode(&encoded(&group), &arbitrary::euis()), Ok(group));
}

#[test]
fn another_version_is_refused() {
    let mut bytes = encoded(&some_group(40, 3));
    bytes[0] = VERSION + 1;
    assert_eq!(decode(&bytes, &arbitrary::euis()), Err(Defect("its version is not known")));
}

#[test]
fn a_device_that_is_not_there_is_refused() {
    let bytes = encoded(&some_group(40, 3));
    assert_eq!(decode(&bytes, &[]), Err(Defect("it names a device that is not there")));
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    assert_eq!(refusal(|group| group.mark[1] = 9), Defect("a row's mark is not there"));
    assert_eq!(refusal(|group| group.marks[0].end = End::Rejected), Defect("a mark says rejected"));
    assert_eq!(refusal(|group| group.rows.weight.truncate(2)), Defect("its columns differ in length"));
    assert_eq!(refusal(|group| group.first = Position(u64::MAX)), Defect("it ends past the last position"));
    assert_eq!(refusal(|group| group.faults[0].row_count = 4), Defect("a fault lies outside its rows"));
    for rows in [vec![3], vec![1, 1], vec![2, 0]] {
        let all: Vec<_> = rows.into_iter().map(|row| (row, crate::domain::Details::default())).collect();
        assert_eq!(refusal(|group| group.rows.details = all), Defect("details are of no row, or out of order"));
    }
    assert_eq!(
        refusal(|group| group.rows.device[2] += 1),
        Defect("a device's number and EUI-64 do not belong together")
    );
}
