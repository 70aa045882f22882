//! The digest of a batch: equal for equal alerts, however a client encodes them, and different for any others.
//!
//! It must not know producers. Invariant: digests on disk stay valid. A field that is added to alerts takes a bit of its
//! own, so that alerts without it keep their digest; a bit is never reused.

use ring::digest::{Context, SHA256};

use crate::domain::{Alert, BatchDigest, DccTimeStatus, Details, Generation, Message, Reject};

/// Bits of the optional fields that follow.
const COUNTER: u16 = 1 << 0;
const OCCURRED: u16 = 1 << 1;
const DCC: u16 = 1 << 2;
const RECEIVED: u16 = 1 << 3;
const MEASUREMENT: u16 = 1 << 4;
const MESSAGE: u16 = 1 << 5;
const GENERATION: u16 = 1 << 6;
/// No field follows.
const DCC_LEFT_OUT: u16 = 1 << 7;
const DETAILS: u16 = 1 << 8;
/// Not an alert, but the reason why one could not be decoded.
const REJECT: u16 = 1 << 15;

/// Bytes hashed at once. A call of the hash for each field would take longer than the hash.
const BUFFER_BYTES: usize = 4_096;

/// Bytes of one alert at most.
const ALERT_BYTES: usize = 256;

/// Returns the digest of a batch. It takes some 50 ns an alert, so callers compute it before they queue the batch.
pub fn of(alerts: &[Result<Alert, Reject>], unreadable: u32) -> BatchDigest {
    let mut hash = Context::new(&SHA256);
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    buffer.extend_from_slice(&unreadable.to_le_bytes());
    for alert in alerts {
        if buffer.len() > BUFFER_BYTES - ALERT_BYTES {
            hash.update(&buffer);
            buffer.clear();
        }
        match alert {
            Ok(alert) => add(alert, &mut buffer),
            Err(reject) => add_reject(reject, &mut buffer),
        }
    }
    hash.update(&buffer);
    let mut digest = BatchDigest::default();
    let half = digest.0.len();
    digest.0.copy_from_slice(&hash.finish().as_ref()[..half]);
    digest
}

fn add(alert: &Alert, buffer: &mut Vec<u8>) {
    // Every field: one that is left out would let another batch pass for a resend.
    let Alert {
        device,
        recipient,
        counter,
        code,
        occurred_ms,
        dcc_ms,
        received_ms,
        measurement,
        weight,
        payload,
        generation,
        message,
        details,
    } = alert;
    let Message { sender, instruction, digest, time, dcc_time } = message;
    let bit = |is_there: bool, bit: u16| if is_there { bit } else { 0 };
    let bits = bit(counter.is_some(), COUNTER)
        | bit(occurred_ms.is_some(), OCCURRED)
        | bit(dcc_ms.is_some(), DCC)
        | bit(received_ms.is_some(), RECEIVED)
        | bit(measurement.is_some(), MEASUREMENT)
        | bit(*message != Message::default(), MESSAGE)
        | bit(*generation != Generation::Unknown, GENERATION)
        | bit(*dcc_time == DccTimeStatus::LeftOut, DCC_LEFT_OUT)
        | bit(!details.is_empty(), DETAILS);
    buffer.extend_from_slice(&bits.to_le_bytes());
    buffer.extend_from_slice(&device.0.to_le_bytes());
    buffer.extend_from_slice(&recipient.0.to_le_bytes());
    buffer.extend_from_slice(&code.0.to_le_bytes());
    buffer.extend_from_slice(&weight.to_le_bytes());
    buffer.push(*payload as u8);
    counter.iter().for_each(|counter| buffer.extend_from_slice(&counter.to_le_bytes()));
    for time in [occurred_ms, dcc_ms, received_ms].into_iter().flatten() {
        buffer.extend_from_slice(&time.to_le_bytes());
    }
    measurement.iter().for_each(|measurement| buffer.extend_from_slice(&measurement.to_le_bytes()));
    if bits & MESSAGE != 0 {
        buffer.extend_from_slice(&sender.0.to_le_bytes());
        buffer.extend_from_slice(&instruction.to_le_bytes());
        buffer.extend_from_slice(&digest.to_le_bytes());
        buffer.push(*time as u8);
    }
    if bits & GENERATION != 0 {
        buffer.push(*generation as u8);
    }
    if bits & DETAILS != 0 {
        add_details(details, buffer);
    }
}

fn add_details(details: &Details, buffer: &mut Vec<u8>) {
    let Details { mpxn, throttle_sequence, instruction_count, interrupted_ms, restored_ms, inner_code, note } = details;
    buffer.extend_from_slice(&mpxn.number().to_le_bytes());
    buffer.extend_from_slice(&instruction_count.to_le_bytes());
    let numbers =
        [throttle_sequence.map(i64::from), *interrupted_ms, *restored_ms, inner_code.map(|code| i64::from(code.0))];
    for number in numbers {
        buffer.push(u8::from(number.is_some()));
        number.iter().for_each(|number| buffer.extend_from_slice(&number.to_le_bytes()));
    }
    buffer.push(note.as_str().len() as u8);
    buffer.extend_from_slice(note.as_str().as_bytes());
}

/// Only the message names the values at fault. If another version of this program words it otherwise, it rejects a resend of
/// such a batch as another one, which loses nothing.
fn add_reject(reject: &Reject, buffer: &mut Vec<u8>) {
    let Reject { reason, code, message } = reject;
    buffer.extend_from_slice(&REJECT.to_le_bytes());
    buffer.push(*reason as u8);
    buffer.extend_from_slice(&code.map_or(0, |code| code.0).to_le_bytes());
    buffer.extend_from_slice(&(message.len() as u64).to_le_bytes());
    buffer.extend_from_slice(message.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AlertCode, Eui64, Mpxn, Note, PayloadKind, RejectReason, TimeStatus};

    fn alert() -> Alert {
        Alert {
            device: Eui64(1),
            recipient: Eui64(2),
            counter: Some(3),
            code: AlertCode(0x8F40),
            occurred_ms: Some(4),
            dcc_ms: None,
            received_ms: Some(5),
            measurement: Some(6),
            weight: 1,
            payload: PayloadKind::Unspecified,
            generation: Generation::Unknown,
            message: Message::default(),
            details: Details::default(),
        }
    }

    #[test]
    fn any_difference_makes_another_digest_and_none_does_not() {
        let reject = |message: &str| Reject { reason: RejectReason::Code, code: None, message: message.into() };
        let mut batches: Vec<(Vec<Result<Alert, Reject>>, u32)> = vec![
            (vec![], 0),
            (vec![], 1),
            (vec![Ok(alert())], 0),
            (vec![Ok(alert()), Ok(alert())], 0),
            (vec![Err(reject("code: 70000"))], 0),
            (vec![Err(reject("code: 70001"))], 0),
            (vec![Err(reject("code: 70000")), Ok(alert())], 0),
            (vec![Ok(alert()), Err(reject("code: 70000"))], 0),
        ];
        let others = [
            Alert { device: Eui64(9), ..alert() },
            Alert { recipient: Eui64(9), ..alert() },
            Alert { counter: None, ..alert() },
            Alert { counter: Some(9), ..alert() },
            Alert { code: AlertCode(0x8F41), ..alert() },
            Alert { occurred_ms: Some(9), ..alert() },
            // The same numbers under other names.
            Alert { occurred_ms: None, dcc_ms: Some(4), ..alert() },
            Alert { occurred_ms: None, received_ms: None, counter: None, dcc_ms: Some(4), ..alert() },
            Alert { dcc_ms: Some(9), ..alert() },
            Alert { received_ms: Some(9), ..alert() },
            Alert { measurement: Some(9), ..alert() },
            Alert { measurement: None, ..alert() },
            Alert { weight: 9, ..alert() },
            Alert { payload: PayloadKind::Csv, ..alert() },
            Alert { message: Message { sender: Eui64(9), ..Message::default() }, ..alert() },
            Alert { message: Message { instruction: 9, ..Message::default() }, ..alert() },
            Alert { message: Message { digest: 9, ..Message::default() }, ..alert() },
            Alert { message: Message { time: TimeStatus::Unreliable, ..Message::default() }, ..alert() },
            Alert { message: Message { dcc_time: DccTimeStatus::LeftOut, ..Message::default() }, ..alert() },
            Alert { generation: Generation::Smets1, ..alert() },
            Alert { generation: Generation::Smets2, ..alert() },
        ];
        let details = [
            Details { mpxn: Mpxn::from_number(9), ..Details::default() },
            Details { throttle_sequence: Some(9), ..Details::default() },
            Details { instruction_count: 9, ..Details::default() },
            Details { interrupted_ms: Some(9), ..Details::default() },
            Details { restored_ms: Some(9), ..Details::default() },
            Details { inner_code: Some(AlertCode(9)), ..Details::default() },
            Details { note: Note::new("9"), ..Details::default() },
        ];
        batches.extend(details.map(|details| (vec![Ok(Alert { details, ..alert() })], 0)));
        batches.extend(others.map(|other| (vec![Ok(other)], 0)));
        let digests: Vec<BatchDigest> = batches.iter().map(|(alerts, unreadable)| of(alerts, *unreadable)).collect();
        for (at, digest) in digests.iter().enumerate() {
            assert_eq!(digests.iter().position(|other| other == digest), Some(at), "{:?}", batches[at]);
            assert_eq!(*digest, of(&batches[at].0, batches[at].1));
        }
    }

    #[test]
    fn long_batches_differ_wherever_one_alert_does() {
        let alerts = |odd: usize| {
            (0..500).map(|at| Ok(Alert { counter: (at != odd).then_some(at as u64), ..alert() })).collect::<Vec<_>>()
        };
        let digests: Vec<BatchDigest> = (0..500).map(|odd| of(&alerts(odd), 0)).collect();
        assert!(digests.iter().enumerate().all(|(at, digest)| digests[..at].iter().all(|other| other != digest)));
    }

    /// Never change a number here: what is on disk would be refused as another batch.
    #[test]
    fn digests_on_disk_stay_valid() {
        assert_eq!(u128::from_be_bytes(of(&[Ok(alert())], 7).0), 0x8215_8605_4EA5_DEE6_5BCB_4D64_AC36_1808);
    }
}
