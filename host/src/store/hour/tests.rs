//! Hours as bytes: back as they went, and hostile.

use proptest::prelude::*;

use super::*;
use crate::store::tests::{arbitrary, fixtures::some_hour};

fn encoded(page: &HourPage) -> Vec<u8> {
    let mut out = Writer::default();
    encode(page, &mut out).unwrap();
    out.as_bytes().to_vec()
}

proptest! {
    #[test]
    fn an_hour_comes_back_as_it_went(page in arbitrary::hour()) {
        prop_assert_eq!(decode(page.hour, &encoded(&page)), Ok(page));
    }

    #[test]
    fn damaged_bytes_never_panic(page in arbitrary::hour(), damage in arbitrary::damage()) {
        let _ = decode(page.hour, &arbitrary::damaged(&encoded(&page), &damage));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(1, &[&[VERSION, 1, 0, 0, 0], &bytes[..]].concat());
    }
}

/// Versions 1 to 3 are on people's disks: this one without its last columns, each nine bytes where all values are the same.
#[test]
fn hours_of_the_versions_before_are_read() {
    let mut page = some_hour(490_000, 7);
    page.cells.iter_mut().for_each(|(_, tally)| tally.remarks = RemarkCounts::default());
    let bytes = encoded(&page);
    for (version, columns) in
        [(VERSION_OF_SIX_REMARKS, 6), (VERSION_OF_FOUR_REMARKS, 8), (VERSION_WITHOUT_REMARKS, REMARKS)]
    {
        let before = [&[version], &bytes[1..bytes.len() - 9 * columns]].concat();
        assert_eq!(decode(page.hour, &before), Ok(page.clone()), "version {version}");
    }
}

#[test]
fn cells_out_of_order_are_refused() {
    let mut page = some_hour(490_000, 7);
    page.cells.swap(0, 1);
    assert_eq!(encode(&page, &mut Writer::default()), Err(Defect("its cells are out of order")));
    page.cells[0] = page.cells[1];
    assert_eq!(encode(&page, &mut Writer::default()), Err(Defect("its cells are out of order")));
}
