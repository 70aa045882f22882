//! Pages as bytes: back as they went, and hostile.

use proptest::prelude::*;

use super::*;
use crate::store::tests::{arbitrary, fixtures::some_page};

fn encoded(page: &DevicePage) -> Vec<u8> {
    let mut out = Writer::default();
    encode(page, &mut out).unwrap();
    out.as_bytes().to_vec()
}

proptest! {
    #[test]
    fn a_page_comes_back_as_it_went(page in arbitrary::page()) {
        prop_assert_eq!(decode(page.no, &encoded(&page)), Ok(page));
    }

    #[test]
    fn damaged_bytes_never_panic(page in arbitrary::page(), damage in arbitrary::damage()) {
        let _ = decode(page.no, &arbitrary::damaged(&encoded(&page), &damage));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(1, &[&[VERSION, 1, 0, 0, 0], &bytes[..]].concat());
    }
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let refusal = |change: fn(&mut DevicePage)| {
        let mut page = some_page(2, 11);
        change(&mut page);
        encode(&page, &mut Writer::default()).unwrap_err()
    };
    assert_eq!(refusal(|page| page.series[0].0 = 900), Defect("a series is of a device outside the page"));
    assert_eq!(refusal(|page| page.namespaces[0].device[0] = 900), Defect("state is of a device outside the page"));
    assert_eq!(
        refusal(|page| page.namespaces[0].words.truncate(1)),
        Defect("the columns of a namespace differ in length")
    );
}

#[test]
fn a_page_under_another_number_is_refused() {
    assert_eq!(decode(3, &encoded(&some_page(2, 11))), Err(Defect("it has another page's number")));
}
