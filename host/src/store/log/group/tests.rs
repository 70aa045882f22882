//! Groups as bytes: back as they went, and hostile.

use proptest::prelude::*;

use super::*;
use crate::store::tests::{arbitrary, fixtures::some_group};

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
    assert_eq!(
        refusal(|group| group.rows.device[2] += 1),
        Defect("a device's number and EUI-64 do not belong together")
    );
}
