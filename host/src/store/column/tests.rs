//! Columns as bytes: back as they went, narrow, and hostile.

use proptest::prelude::*;

use super::{super::codec::Writer, *};
use crate::store::tests::arbitrary;

const VERSION: u8 = 9;

fn bytes_of<T: Lane>(values: &[T], packing: Packing) -> Vec<u8> {
    let mut out = Writer::new(VERSION);
    out.column(values.iter().copied(), packing);
    out.as_bytes()[1..].to_vec()
}

fn read_back<T: Lane>(bytes: &[u8], rows: usize) -> Result<Vec<T>, Defect> {
    let whole = [&[VERSION], bytes].concat();
    let mut reader = Reader::new(&whole, VERSION)?;
    let values = reader.column(rows)?;
    reader.finish()?;
    Ok(values)
}

fn check<T: Lane + std::fmt::Debug>(values: &[T]) {
    for packing in [Packing::Frame, Packing::Dense, Packing::Dictionary] {
        let bytes = bytes_of(values, packing);
        assert_eq!(read_back::<T>(&bytes, values.len()).as_deref(), Ok(values), "{packing:?}");
        if packing == Packing::Dense {
            assert!(bytes.len() >= 9 + values.len());
        }
    }
}

proptest! {
    #[test]
    fn a_column_comes_back_as_it_went(values in (0..300_usize).prop_flat_map(arbitrary::column)) {
        check(&values);
        check(&values.iter().map(|value| *value as u32).collect::<Vec<_>>());
        check(&values.iter().map(|value| *value as u16).collect::<Vec<_>>());
        check(&values.iter().map(|value| *value as u8).collect::<Vec<_>>());
        check(&values.iter().map(|value| *value as i64).collect::<Vec<_>>());
        check(&values.iter().map(|value| *value as i32).collect::<Vec<_>>());
    }

    #[test]
    fn a_dictionary_comes_back_as_it_went(distinct in 1..5_000_u64, rows in 0..12_000_u64) {
        let scattered: Vec<u64> = (0..rows).map(|row| (row * 7_919 % distinct).wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
        check(&scattered);
    }

    #[test]
    fn hostile_bytes_are_an_error_or_a_column(bytes in prop::collection::vec(any::<u8>(), 0..80), rows in 0..70_000_usize) {
        let _ = read_back::<u16>(&bytes, rows);
        let _ = read_back::<i32>(&bytes, rows);
        let _ = read_back::<u64>(&bytes, rows);
    }
}

#[test]
fn extremes_fit() {
    check(&[u64::MIN, u64::MAX]);
    check(&[i64::MIN, 0, i64::MAX]);
    check(&[i32::MIN, i32::MAX]);
    check(&[u8::MAX; 70_000]);
    check::<u16>(&[]);
}

#[test]
fn the_narrowest_form_is_taken() {
    assert_eq!(bytes_of(&[5_u64; 1_000], Packing::Frame).len(), 9, "equal values");
    assert_eq!(bytes_of(&[1_u64 << 60, (1 << 60) + 255], Packing::Frame).len(), 9 + 2, "one byte apart");
    assert_eq!(bytes_of(&[-300_i32, 300], Packing::Frame).len(), 9 + 2 * 2, "two bytes apart, across zero");
    let parties: Vec<u64> = (0..1_000).map(|row: u64| (row % 3) << 50).collect();
    assert_eq!(bytes_of(&parties, Packing::Dictionary).len(), 5 + 9 + 3 * 8 + 1_000, "three wide values");
    assert_eq!(bytes_of(&parties, Packing::Frame).len(), 9 + 8 * 1_000);
}

#[test]
fn the_published_forms_stay() {
    let frame = [2, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0x2C, 1];
    assert_eq!(bytes_of(&[-2_i32, 298], Packing::Frame), frame);
    let dictionary = [0x11, 2, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0];
    let rows = [0, 1].repeat(8);
    let values: Vec<u32> = rows.iter().map(|row| if *row == 0 { 0x0900_0001 } else { 1 }).collect();
    assert_eq!(bytes_of(&values, Packing::Dictionary), [&dictionary[..], &rows].concat());
}

#[test]
fn a_value_past_the_top_of_its_type_is_refused() {
    let mut bytes = bytes_of(&[200_u8, 255], Packing::Frame);
    bytes[10] += 1;
    assert_eq!(read_back::<u8>(&bytes, 2), Err(Defect("a column's value is out of range")));
    let wide = bytes_of(&[70_000_u32; 4], Packing::Frame);
    assert_eq!(read_back::<u16>(&wide, 4), Err(Defect("a column's least value is out of range")));
}

#[test]
fn an_index_past_its_dictionary_is_refused() {
    let parties: Vec<u64> = (0..100).map(|row: u64| (row % 3) << 50).collect();
    let mut bytes = bytes_of(&parties, Packing::Dictionary);
    *bytes.last_mut().unwrap() = 3;
    assert_eq!(read_back::<u64>(&bytes, 100), Err(Defect("an index is outside its dictionary")));
}
