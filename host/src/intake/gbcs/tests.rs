//! Messages made up here from the layout, one of each kind, and every way to spoil them.

use super::*;
use crate::domain::{AlertCode, PayloadKind, TimeStatus};

const DEVICE: u64 = 0x0011_2233_4455_6677;
const PARTY: u64 = 0x8899_AABB_CCDD_EEFF;
/// 2026-11-23T09:30:15.25Z.
const TIME: [u8; 12] = [0x07, 0xEA, 11, 23, 0xFF, 9, 30, 15, 25, 0x80, 0x00, 0xFF];
const TIME_MS: Millis = 1_795_426_215_250;
const NO_TIME: [u8; 12] = [0xFF; 12];

/// A message to be built.
#[derive(Clone)]
pub(in crate::intake) struct Message {
    pub(in crate::intake) counter: u64,
    pub(in crate::intake) device: u64,
    other: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
    maced: bool,
}

impl Message {
    /// A generic critical alert with a DLMS payload.
    pub(in crate::intake) fn critical(code: u16) -> Self {
        Self {
            counter: 2001,
            device: DEVICE,
            other: vec![0x10, 0x00],
            payload: dlms(code, TIME, 2, &[]),
            signature: vec![0x5A; 64],
            maced: false,
        }
    }

    /// A generic non-critical alert with a DLMS payload.
    pub(in crate::intake) fn non_critical(code: u16) -> Self {
        Self { other: vec![0x10, 0x01], signature: Vec::new(), maced: true, ..Self::critical(code) }
    }

    /// The message as it travels.
    pub(in crate::intake) fn bytes(&self) -> Vec<u8> {
        let mut inner = if self.maced { vec![0x11, 0, 0, 0, 0] } else { Vec::new() };
        inner.extend([0xDF, 0x09, 0x03]);
        inner.extend(self.counter.to_be_bytes());
        inner.push(8);
        inner.extend(self.device.to_be_bytes());
        inner.push(8);
        inner.extend(PARTY.to_be_bytes());
        inner.push(0);
        for section in [&self.other, &self.payload, &self.signature] {
            inner.extend(length(section.len()));
            inner.extend(section);
        }
        if !self.maced {
            return inner;
        }
        inner.extend([0xA5; 12]);
        let mut message = vec![0xDD, 0, 0, 0, 0, 0, 0];
        message.extend(length(inner.len()));
        message.extend(inner);
        message
    }
}

fn length(length: usize) -> Vec<u8> {
    match length {
        0..=0x7F => vec![length as u8],
        0x80..=0xFF => vec![0x81, length as u8],
        _ => vec![0x82, (length >> 8) as u8, length as u8],
    }
}

fn dlms(code: u16, time: [u8; 12], fields: u8, rest: &[u8]) -> Vec<u8> {
    let mut payload = vec![0x0F, 0x20, 0, 0, 1, 0, 0x02, fields, 0x12];
    payload.extend(code.to_be_bytes());
    payload.extend([0x09, 0x0C]);
    payload.extend(time);
    payload.extend(rest);
    payload
}

fn asn1(integer: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut body = vec![0x02, integer.len() as u8];
    body.extend(integer);
    body.extend(rest);
    let mut payload = vec![0x30];
    payload.extend(length(body.len()));
    payload.extend(body);
    payload
}

fn defect(message: &[u8]) -> String {
    decode(message).unwrap_err().to_string()
}

#[test]
fn a_critical_alert_is_signed() {
    let decoded = decode(&Message::critical(0x8F30).bytes()).unwrap();
    let alert = Alert {
        device: Eui64(DEVICE),
        recipient: Eui64(PARTY),
        counter: Some(2001),
        code: AlertCode(0x8F30),
        occurred_ms: Some(TIME_MS),
        dcc_ms: None,
        received_ms: None,
        measurement: None,
        weight: 1,
        payload: PayloadKind::Dlms,
        details: Default::default(),
        generation: crate::domain::Generation::Unknown,
        // As `sha256sum` has it.
        message: crate::domain::Message { digest: 0x7CA8_5E48_57B2_98E9, ..crate::domain::Message::default() },
    };
    let expected = Decoded { alert, message_code: 0x1000, outage: None, authentication: Authentication::Signed };
    assert_eq!(decoded, expected);
}

#[test]
fn a_non_critical_alert_has_a_mac() {
    let decoded = decode(&Message::non_critical(0x8014).bytes()).unwrap();
    assert_eq!((decoded.alert.code, decoded.message_code), (AlertCode(0x8014), 0x1001));
    assert_eq!(decoded.authentication, Authentication::Maced);
    let bare = Message { maced: false, ..Message::non_critical(0x8014) };
    assert_eq!(decode(&bare.bytes()).unwrap().authentication, Authentication::None);
}

#[test]
fn long_lengths_and_further_parties_are_read() {
    for extra in [100, 200, 400] {
        let mut other = vec![0x00, 0x61];
        other.extend([7; 8]);
        let rest = vec![0xEE; extra];
        let message = Message { other, payload: dlms(0x8F0A, TIME, 4, &rest), ..Message::non_critical(0) };
        let decoded = decode(&message.bytes()).unwrap();
        assert_eq!((decoded.alert.code, decoded.message_code), (AlertCode(0x8F0A), 0x0061), "{extra}");
    }
}

#[test]
fn an_outage_says_when_it_began_and_ended() {
    let outage = |interrupted: [u8; 12], restored: [u8; 12]| {
        let mut times = vec![0x09, 0x0C];
        times.extend(interrupted);
        times.extend([0x09, 0x0C]);
        times.extend(restored);
        Message { other: vec![0x00, 0x67], payload: dlms(0x8F36, TIME, 4, &times), ..Message::critical(0) }
    };
    let mut earlier = TIME;
    earlier[6] -= 9;
    let decoded = decode(&outage(earlier, TIME).bytes()).unwrap();
    assert_eq!(decoded.outage, Some((TIME_MS - 9 * 60_000, TIME_MS)));
    assert_eq!(decode(&outage(NO_TIME, TIME).bytes()).unwrap().outage, None);

    let mut cut = outage(earlier, TIME);
    cut.payload.truncate(cut.payload.len() - 1);
    assert_eq!(defect(&cut.bytes()), "byte 86: time of restoration: it ends here, bytes missing: 1");
    cut.payload.extend([0, 0]);
    assert_eq!(defect(&cut.bytes()), "byte 87: bytes left over: 1");
}

#[test]
fn gas_counts_its_seconds_from_2000() {
    let gbz = |seconds: u32| {
        let mut payload = vec![0x01, 0x09, 0x01, 0x8F, 0x66];
        payload.extend(seconds.to_be_bytes());
        payload.extend([0x0E, 0x00, 0xA3]);
        let message = Message { other: vec![0x00, 0xCD], payload, ..Message::critical(0) };
        decode(&message.bytes()).unwrap().alert
    };
    let alert = gbz(86_400);
    assert_eq!((alert.code, alert.payload), (AlertCode(0x8F66), PayloadKind::Gbz));
    assert_eq!(alert.occurred_ms, Some(946_684_800_000 + 86_400_000));
    assert_eq!(gbz(u32::MAX).occurred_ms, None);
}

#[test]
fn asn1_begins_with_the_code() {
    let read = |integer: &[u8], rest: &[u8]| {
        let message = Message { other: vec![0x00, 0xCA], payload: asn1(integer, rest), ..Message::critical(0) };
        decode(&message.bytes()).map(|decoded| decoded.alert)
    };
    let alert = read(&[0x00, 0x8F, 0x67], &[0x02, 0x01, 0x00]).unwrap();
    assert_eq!((alert.code, alert.occurred_ms, alert.payload), (AlertCode(0x8F67), None, PayloadKind::Asn1));
    assert_eq!(read(&[0x12, 0x34], &[0; 150]).unwrap().code, AlertCode(0x1234));
    assert_eq!(read(&[0x7F], &[]).unwrap().code, AlertCode(0x7F));
    for wrong in [&[][..], &[0x80], &[0x8F, 0x67], &[0x01, 0x8F, 0x67], &[0, 0, 0x8F, 0x67]] {
        assert_eq!(read(wrong, &[]).unwrap_err().defect, Defect::CodeRange, "{wrong:?}");
    }
}

#[test]
fn a_time_that_is_none_is_no_error() {
    let nothing = Message { payload: dlms(0x8F30, NO_TIME, 2, &[]), ..Message::critical(0) };
    let alert = decode(&nothing.bytes()).unwrap().alert;
    assert_eq!((alert.occurred_ms, alert.message.time), (None, TimeStatus::NotStated));
    let mut cases = Vec::new();
    for (at, value) in [(0, 0xFF), (2, 13), (2, 0), (3, 32), (5, 24), (6, 60), (7, 60), (7, 0xFF), (8, 100), (10, 60)] {
        let mut time = TIME;
        time[at] = value;
        cases.push(time);
    }
    for time in cases {
        let message = Message { payload: dlms(0x8F30, time, 2, &[]), ..Message::critical(0) };
        let alert = decode(&message.bytes()).unwrap().alert;
        assert_eq!((alert.occurred_ms, alert.message.time), (None, TimeStatus::LeftOut), "{time:02X?}");
    }
    let deviating = |minutes: i16| {
        let mut time = TIME;
        time[9..11].copy_from_slice(&minutes.to_be_bytes());
        let message = Message { payload: dlms(0x8F30, time, 2, &[]), ..Message::critical(0) };
        let alert = decode(&message.bytes()).unwrap().alert;
        (alert.occurred_ms, alert.message.time)
    };
    for minutes in [i16::MIN, 0, -60, 60, -840, 840] {
        let ms = if minutes == i16::MIN { 0 } else { i64::from(minutes) * 60_000 };
        assert_eq!(deviating(minutes), (Some(TIME_MS + ms), TimeStatus::Stated), "{minutes}");
    }
    for minutes in [-841, 841, i16::MAX] {
        assert_eq!(deviating(minutes), (None, TimeStatus::LeftOut), "{minutes}");
    }
    let mut ancient = TIME;
    ancient[..2].copy_from_slice(&1969_u16.to_be_bytes());
    let message = Message { payload: dlms(0x8F30, ancient, 2, &[]), ..Message::critical(0) };
    assert_eq!(decode(&message.bytes()).unwrap().alert.message.time, TimeStatus::LeftOut, "no calendar has it");
    let status = |byte: u8| {
        let mut time = TIME;
        time[11] = byte;
        let message = Message { payload: dlms(0x8F30, time, 2, &[]), ..Message::critical(0) };
        let alert = decode(&message.bytes()).unwrap().alert;
        (alert.occurred_ms, alert.message.time)
    };
    for byte in [0xFF, 0x00, 0x80, 0x0E] {
        assert_eq!(status(byte), (Some(TIME_MS), TimeStatus::Stated), "{byte:02X}");
    }
    assert_eq!(status(0x01), (Some(TIME_MS), TimeStatus::Unreliable), "the meter calls its own clock invalid");
    let mut whole = TIME;
    whole[8] = 0xFF;
    let message = Message { payload: dlms(0x8F30, whole, 2, &[]), ..Message::critical(0) };
    assert_eq!(decode(&message.bytes()).unwrap().alert.occurred_ms, Some(TIME_MS - 250));
}

#[test]
fn every_defect_is_named_with_its_place() {
    let critical = Message::critical(0x8F30).bytes();
    let spoilt = |at: usize, value: u8| {
        let mut bytes = critical.clone();
        bytes[at] = value;
        defect(&bytes)
    };
    assert_eq!(defect(&[]), "byte 0: message: it ends here, bytes missing: 1");
    assert_eq!(spoilt(0, 0x30), "byte 0: message type: found 30, expected DF (signed) or DD (MAC'd)");
    assert_eq!(spoilt(2, 0x02), "byte 2: message kind: found 02, expected 03 (alert; 01 is a command, 02 a response)");
    assert_eq!(spoilt(11, 0x07), "byte 11: originator: found 07, expected 08 (its length)");
    assert_eq!(spoilt(29, 0x01), "byte 29: date-time: found 01, expected 00 (absent)".to_owned());
    assert_eq!(
        spoilt(30, 0x80),
        "byte 30: other information: its length begins with 80, expected 00 to 7F or 81 to 84"
    );
    assert_eq!(spoilt(34, 0x55), "byte 34: payload: found 55, expected 0F (DLMS), 01 (GBZ) or 30 (ASN.1)");
    assert_eq!(spoilt(41, 0x01), "byte 41: alert structure: found 01, expected 2 fields or more");
    assert_eq!(defect(&[&critical[..], &[0]].concat()), "byte 124: bytes left over: 1");

    let nobody = Message { device: 0, ..Message::critical(0x8F30) };
    assert_eq!(defect(&nobody.bytes()), "byte 12: originator: 0 is no device; expected the EUI-64 of a device");
    let all = Message { device: u64::MAX, ..Message::critical(0x8F30) };
    let said =
        "byte 12: originator: FF-FF-FF-FF-FF-FF-FF-FF is the broadcast address, which no device has; expected the";
    assert!(defect(&all.bytes()).starts_with(said));
    let mut to_all = critical.clone();
    to_all[21..29].fill(0xFF);
    assert_eq!(
        defect(&to_all),
        "byte 21: recipient: FF-FF-FF-FF-FF-FF-FF-FF is the broadcast address; expected the EUI-64 of a party"
    );
    let short = Message { signature: vec![1; 63], ..Message::critical(0x8F30) };
    assert_eq!(defect(&short.bytes()), "byte 60: signature: found 63 bytes, expected 0 or 64");
    let odd = Message { other: vec![0x10, 0x00, 0x01], ..Message::critical(0x8F30) };
    assert_eq!(defect(&odd.bytes()), "byte 34: further party: it ends here, bytes missing: 7");

    let mut maced = Message::non_critical(0x8014).bytes();
    assert_eq!(defect(&[&maced[..], &[0]].concat()), "byte 7: MAC wrapper: its length is 77, but 78 bytes follow");
    maced[8] = 0x31;
    assert_eq!(defect(&maced), "byte 8: security control: found 31, expected 11 (authenticated)");
}

#[test]
fn no_prefix_of_a_message_is_a_message_and_no_byte_makes_it_panic() {
    let asn1 = Message { payload: asn1(&[0, 0x8F, 0x66], &[4, 1, 1]), ..Message::critical(0) };
    for message in [Message::critical(0x8F30), Message::non_critical(0x8014), asn1] {
        let bytes = message.bytes();
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        for at in 0..bytes.len() {
            for value in 0..=0xFF {
                let mut spoilt = bytes.clone();
                spoilt[at] = value;
                let _ = decode(&spoilt);
            }
        }
    }
}
