//! Values as the format before this one has them on people's disks: no remarks, and no times of the DCC.
//!
//! What was written then is what is written now without the columns that were added, under the version of then. That this is
//! so, byte for byte, is told by the fingerprints that were published with that format.

use super::{super::codec::Writer, *};
use crate::domain::{Ack, HourPage, RemarkCounts, Rows};

/// Bytes of a column whose values are all the same.
const COLUMN_BYTES: usize = 9;

fn fingerprint(values: &[Vec<u8>]) -> (usize, u64) {
    let bytes = values.concat();
    (bytes.len(), arbitrary::fingerprint(&bytes))
}

#[test]
fn a_group_is_read() {
    let mut group = some_group(0, 3);
    group.rows = Rows { dcc_ms: vec![0; 3], remarks: vec![0; 3], ..group.rows };
    let encoded = |group: &Group| {
        let mut out = Writer::default();
        log::group::encode(group, &arbitrary::euis(), &mut out).unwrap();
        out.as_bytes().to_vec()
    };
    let mut bytes = encoded(&group);
    // A group that differs in the first of the columns, by one lag for all, differs from the second byte of it on.
    let dcc_ms = group.rows.received_ms.iter().map(|received| received - 5).collect();
    let other = Group { rows: Rows { dcc_ms, ..group.rows.clone() }, ..group.clone() };
    let place = bytes.iter().zip(encoded(&other)).position(|(byte, other)| *byte != other).unwrap() - 1;
    let added: Vec<u8> = bytes.drain(place..place + 2 * COLUMN_BYTES).collect();
    assert_eq!(added, [0; 2 * COLUMN_BYTES]);
    bytes[0] = 2;
    assert_eq!(fingerprint(&[bytes.clone()]), (248, 0x3433_D24D_EDCE_DB41));
    assert_eq!(log::group::decode(&bytes, &arbitrary::euis()), Ok(group));
}

#[test]
fn an_hour_is_read() {
    let pages: Vec<HourPage> = one_of_everything().hours;
    let without = |page: &HourPage| {
        let mut page = page.clone();
        page.cells.iter_mut().for_each(|(_, tally)| tally.remarks = RemarkCounts::default());
        let mut out = Writer::default();
        hour::encode(&page, &mut out).unwrap();
        let bytes = out.as_bytes();
        let before = [&[1], &bytes[1..bytes.len() - 4 * COLUMN_BYTES]].concat();
        assert_eq!(hour::decode(page.hour, &before), Ok(page));
        before
    };
    let before: Vec<Vec<u8>> = pages.iter().map(without).collect();
    assert_eq!(fingerprint(&before), (238, 0xA913_9762_3952_2C11));
}

#[test]
fn an_answer_is_read() {
    let without = |mark: ProducerMark| {
        let ack = Ack { remarks: RemarkCounts::default(), ..mark.ack };
        let mark = ProducerMark { ack, bookmark: Vec::new(), ..mark };
        let bytes = producer::encode(&mark).as_bytes().to_vec();
        let before = [&[1], &bytes[1..bytes.len() - 4 * 8 - 4]].concat();
        assert_eq!(producer::decode(&mark.producer, mark.ack.sequence, &before), Ok(mark));
        before
    };
    let marks = [some_mark("a", 9), some_mark("head-end", 1), some_mark("head-end", 2)];
    let before: Vec<Vec<u8>> = marks.into_iter().map(without).collect();
    assert_eq!(fingerprint(&before), (231, 0xB64C_39CE_F26A_4CB5));
}
