//! The protocol's numbers in the words that tables, JSON and files have for them.
//!
//! Invariant: a number that this program does not know has a word too.

use weir_proto::v1;

use crate::{
    cli::view::generation,
    domain::{DccTimeStatus, PayloadKind, Remark, TimeStatus},
};

/// How a payload was encoded, in a word.
pub(in crate::cli) fn payload_kind(number: i32) -> &'static str {
    // The protocol has the domain's numbers.
    u8::try_from(number).ok().and_then(PayloadKind::from_number).unwrap_or_default().name()
}

/// A digest as files have it; `None` where there is none.
pub(in crate::cli) fn message_digest_text(digest: u64) -> Option<String> {
    (digest != 0).then(|| format!("{digest:016x}"))
}

/// What is known of a time of occurrence, in a word.
pub(in crate::cli) fn occurred_at_status(number: i32) -> &'static str {
    let status = match v1::OccurredAtStatus::try_from(number) {
        Ok(v1::OccurredAtStatus::NotStated) => TimeStatus::NotStated,
        Ok(v1::OccurredAtStatus::Unreliable) => TimeStatus::Unreliable,
        Ok(v1::OccurredAtStatus::LeftOut) => TimeStatus::LeftOut,
        Ok(v1::OccurredAtStatus::Unspecified | v1::OccurredAtStatus::Stated) | Err(_) => TimeStatus::Stated,
    };
    status.name()
}

/// What became of an alert, in a word.
pub(in crate::cli) fn outcome(number: i32) -> &'static str {
    match v1::Outcome::try_from(number) {
        Ok(v1::Outcome::Forwarded) => "forwarded",
        Ok(v1::Outcome::Suppressed) => "suppressed",
        Ok(v1::Outcome::Rejected) => "rejected",
        Ok(v1::Outcome::Duplicate) => "duplicate",
        Ok(v1::Outcome::Unspecified) | Err(_) => "unspecified",
    }
}

/// What was remarked, in a word.
pub(in crate::cli) fn remark(number: i32) -> &'static str {
    match v1::Remark::try_from(number) {
        Ok(v1::Remark::OccurredInFuture) => Remark::OccurredInFuture.name(),
        Ok(v1::Remark::OccurredBeforeRetention) => Remark::OccurredBeforeRetention.name(),
        Ok(v1::Remark::OutOfOrder) => Remark::OutOfOrder.name(),
        Ok(v1::Remark::Implausible) => Remark::Implausible.name(),
        Ok(v1::Remark::MaybeCopy) => Remark::MaybeCopy.name(),
        Ok(v1::Remark::OtherContent) => Remark::OtherContent.name(),
        Ok(v1::Remark::ClockUnreliable) => Remark::ClockUnreliable.name(),
        Ok(v1::Remark::ClockNotSet) => Remark::ClockNotSet.name(),
        Ok(v1::Remark::OccurredAtLeftOut) => Remark::OccurredAtLeftOut.name(),
        Ok(v1::Remark::DccAtLeftOut) => Remark::DccAtLeftOut.name(),
        Ok(v1::Remark::ThrottleGap) => Remark::ThrottleGap.name(),
        Ok(v1::Remark::GenerationDiffers) => Remark::GenerationDiffers.name(),
        Ok(v1::Remark::Unspecified) | Err(_) => "unspecified",
    }
}

/// What is known of the DCC's time, in a word; `None` where it is as stated, or there is none.
pub(in crate::cli) fn dcc_at_status(number: i32) -> Option<&'static str> {
    (number == v1::DccAtStatus::LeftOut as i32).then(|| DccTimeStatus::LeftOut.name())
}

/// The generation that a source states; `None` where it states none.
pub(in crate::cli) fn stated_generation(number: i32) -> Option<&'static str> {
    (number != 0).then(|| generation(number))
}
