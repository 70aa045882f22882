//! Batches of alerts in, and what became of them out.
//!
//! It must not know a clock or what the host keeps: admission checks times, weights and devices. Invariant: reading an
//! alert that is in order allocates nothing.

use std::str::FromStr;

use weir_proto::v1;

use super::{balance, code, generation, remark_counts, shown, time, wire_generation};
use crate::{
    config::IntakeLimits,
    domain::{
        Ack, Alert, DccTimeStatus, Details, Eui64, Message, Mpxn, Note, PayloadKind, Reject, RejectReason, TimeStatus,
    },
    pipeline::{Batch, Refusal},
};

/// Longest id of a producer, in characters.
const PRODUCER_CHARS_MAX: usize = 64;
/// Longest bookmark of a batch, in bytes.
const BOOKMARK_BYTES_MAX: usize = 64;

/// A batch of a stream.
pub fn batch(request: v1::StreamAlertsRequest, limits: &IntakeLimits) -> Result<Batch, Refusal> {
    let v1::StreamAlertsRequest { producer_id, sequence, alerts, unreadable_count, bookmark, ephemeral } = request;
    if alerts.len() > limits.batch_alerts_max {
        let why = format!(
            "{} alerts in one batch; at most batch_alerts_max ({}) are allowed, send more batches",
            alerts.len(),
            limits.batch_alerts_max
        );
        return Err(Refusal::invalid("alerts", why));
    }
    let producer = if producer_id.is_empty() { producer_id } else { producer(producer_id)? };
    if sequence == 0 && !producer.is_empty() {
        return Err(Refusal::invalid("sequence", "0 is no batch of a producer; they are numbered from 1"));
    }
    if bookmark.len() > BOOKMARK_BYTES_MAX {
        let why = format!("{} bytes; at most {BOOKMARK_BYTES_MAX} are kept", bookmark.len());
        return Err(Refusal::invalid("bookmark", why));
    }
    let alerts = alerts.into_iter().map(alert).collect();
    Ok(Batch { producer, sequence, alerts, unreadable: unreadable_count, bookmark, ephemeral, ..Batch::default() })
}

/// A batch by itself.
pub fn single_batch(request: v1::SubmitAlertsRequest, limits: &IntakeLimits) -> Result<Batch, Refusal> {
    let v1::SubmitAlertsRequest { producer_id, sequence, alerts, unreadable_count, bookmark, ephemeral } = request;
    batch(v1::StreamAlertsRequest { producer_id, sequence, alerts, unreadable_count, bookmark, ephemeral }, limits)
}

/// The id of a producer.
pub fn producer(id: String) -> Result<String, Refusal> {
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if plain && (1..=PRODUCER_CHARS_MAX).contains(&id.len()) {
        return Ok(id);
    }
    let why = format!("{} is no id; 1 to {PRODUCER_CHARS_MAX} characters of A-Z a-z 0-9 . _ - are", shown(&id));
    Err(Refusal::invalid("producer_id", why))
}

/// One alert. Only what the domain has no value for is refused here.
fn alert(sent: v1::Alert) -> Result<Alert, Reject> {
    let v1::Alert {
        device_id,
        recipient_id,
        originator_counter,
        code: code_number,
        occurred_at_ms,
        received_at_ms,
        measurement,
        weight,
        payload_kind,
        dcc_at_ms,
        sender_id,
        instruction_number,
        message_digest,
        occurred_at_status,
        dcc_at_status,
        stated_generation,
        details: sent_details,
    } = sent;
    let code = code(code_number).map_err(|why| Reject {
        reason: RejectReason::Code,
        code: None,
        message: format!("code: {why}"),
    })?;
    let payload = match v1::PayloadKind::try_from(payload_kind) {
        Ok(v1::PayloadKind::Unspecified) => PayloadKind::Unspecified,
        Ok(v1::PayloadKind::Dlms) => PayloadKind::Dlms,
        Ok(v1::PayloadKind::Gbz) => PayloadKind::Gbz,
        Ok(v1::PayloadKind::Asn1) => PayloadKind::Asn1,
        Ok(v1::PayloadKind::Csv) => PayloadKind::Csv,
        Err(_) => {
            let message = format!("payload_kind: {payload_kind} is no payload kind of this protocol");
            return Err(Reject { reason: RejectReason::PayloadKind, code: Some(code), message });
        }
    };
    let status = match v1::OccurredAtStatus::try_from(occurred_at_status) {
        Ok(v1::OccurredAtStatus::Unspecified | v1::OccurredAtStatus::Stated) => TimeStatus::Stated,
        Ok(v1::OccurredAtStatus::NotStated) => TimeStatus::NotStated,
        Ok(v1::OccurredAtStatus::Unreliable) => TimeStatus::Unreliable,
        Ok(v1::OccurredAtStatus::LeftOut) => TimeStatus::LeftOut,
        Err(_) => {
            let message = format!("occurred_at_status: {occurred_at_status} is no status of this protocol");
            return Err(Reject { reason: RejectReason::OccurredAt, code: Some(code), message });
        }
    };
    let dcc_time = match v1::DccAtStatus::try_from(dcc_at_status) {
        Ok(v1::DccAtStatus::Unspecified) => DccTimeStatus::AsStated,
        Ok(v1::DccAtStatus::LeftOut) => DccTimeStatus::LeftOut,
        Err(_) => {
            let message = format!("dcc_at_status: {dcc_at_status} is no status of this protocol");
            return Err(Reject { reason: RejectReason::DccAt, code: Some(code), message });
        }
    };
    let generation = generation(stated_generation).map_err(|why| Reject {
        reason: RejectReason::Generation,
        code: Some(code),
        message: format!("stated_generation: {why}"),
    })?;
    let details = sent_details.map_or(Ok(Details::default()), details).map_err(|why| Reject {
        reason: RejectReason::Details,
        code: Some(code),
        message: format!("details.{why}"),
    })?;
    // 0 stands for a time that is not stated, unless the status says that it is.
    let is_stated = occurred_at_status == i32::from(v1::OccurredAtStatus::Stated);
    Ok(Alert {
        device: Eui64(device_id),
        recipient: Eui64(recipient_id),
        counter: originator_counter,
        code,
        occurred_ms: time(occurred_at_ms).or(is_stated.then_some(0)),
        dcc_ms: time(dcc_at_ms),
        received_ms: time(received_at_ms),
        measurement,
        weight: weight.max(1),
        payload,
        generation,
        message: Message {
            sender: Eui64(sender_id),
            instruction: instruction_number,
            digest: message_digest,
            time: status,
            dcc_time,
        },
        details,
    })
}

/// The details of an alert, or which cannot be kept and why.
fn details(sent: v1::AlertDetails) -> Result<Details, String> {
    let v1::AlertDetails {
        mpxn,
        throttle_sequence,
        instruction_count,
        interrupted_at_ms,
        restored_at_ms,
        inner_code,
        note,
    } = sent;
    let instructions = u16::try_from(instruction_count);
    let point = if mpxn == 0 { Ok(Mpxn::NONE) } else { Mpxn::from_str(&mpxn.to_string()) };
    Ok(Details {
        mpxn: point.map_err(|error| format!("mpxn: {error}"))?,
        throttle_sequence,
        instruction_count: instructions
            .map_err(|_| format!("instruction_count: {instruction_count} is above 65535"))?,
        interrupted_ms: interrupted_at_ms,
        restored_ms: restored_at_ms,
        inner_code: inner_code.map(code).transpose().map_err(|why| format!("inner_code: {why}"))?,
        note: Note::stated(&note).ok_or_else(|| {
            format!(
                "note: {} is not one plain line of at most {} bytes without blanks around it",
                shown(&note),
                Note::BYTES_MAX
            )
        })?,
    })
}

fn wire_details(details: Details) -> Option<v1::AlertDetails> {
    let Details { mpxn, throttle_sequence, instruction_count, interrupted_ms, restored_ms, inner_code, note } = details;
    (!details.is_empty()).then(|| v1::AlertDetails {
        mpxn: mpxn.number(),
        throttle_sequence,
        instruction_count: instruction_count.into(),
        interrupted_at_ms: interrupted_ms,
        restored_at_ms: restored_ms,
        inner_code: inner_code.map(|code| code.0.into()),
        note: note.as_str().to_owned(),
    })
}

/// An alert as it is sent and listed.
pub fn wire_alert(alert: Alert) -> v1::Alert {
    let Alert { device, recipient, counter, code, occurred_ms, dcc_ms, received_ms, measurement, weight, .. } = alert;
    let Alert {
        details, payload, generation, message: Message { sender, instruction, digest, time, dcc_time }, ..
    } = alert;
    let payload_kind = match payload {
        PayloadKind::Unspecified => v1::PayloadKind::Unspecified,
        PayloadKind::Dlms => v1::PayloadKind::Dlms,
        PayloadKind::Gbz => v1::PayloadKind::Gbz,
        PayloadKind::Asn1 => v1::PayloadKind::Asn1,
        PayloadKind::Csv => v1::PayloadKind::Csv,
    };
    let status = match time {
        TimeStatus::Stated if occurred_ms == Some(0) => v1::OccurredAtStatus::Stated,
        TimeStatus::Stated => v1::OccurredAtStatus::Unspecified,
        TimeStatus::NotStated => v1::OccurredAtStatus::NotStated,
        TimeStatus::Unreliable => v1::OccurredAtStatus::Unreliable,
        TimeStatus::LeftOut => v1::OccurredAtStatus::LeftOut,
    };
    let dcc_status = match dcc_time {
        DccTimeStatus::AsStated => v1::DccAtStatus::Unspecified,
        DccTimeStatus::LeftOut => v1::DccAtStatus::LeftOut,
    };
    v1::Alert {
        device_id: device.0,
        recipient_id: recipient.0,
        originator_counter: counter,
        code: code.0.into(),
        occurred_at_ms: occurred_ms.unwrap_or(0),
        received_at_ms: received_ms.unwrap_or(0),
        measurement,
        weight,
        payload_kind: payload_kind.into(),
        dcc_at_ms: dcc_ms.unwrap_or(0),
        sender_id: sender.0,
        instruction_number: instruction,
        message_digest: digest,
        occurred_at_status: status.into(),
        dcc_at_status: dcc_status.into(),
        stated_generation: wire_generation(generation).into(),
        details: wire_details(details),
    }
}

/// What became of a batch.
pub fn ack(ack: Ack) -> v1::BatchAck {
    let Ack { sequence, position, balance: ends, rejections, remarks } = ack;
    let rejections = rejections.into_iter().map(|(index, reason)| v1::Rejection { index, reason }).collect();
    let (balance, remarks) = (Some(balance(ends)), Some(remark_counts(remarks)));
    v1::BatchAck { sequence, position: position.0, balance, rejections, remarks }
}
