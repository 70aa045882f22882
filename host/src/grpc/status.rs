//! From a refusal to a gRPC status: the one place that chooses codes, reasons and details.
//!
//! It must not know who refused. Invariants: a status is bounded and free of characters that are obeyed; it travels in
//! headers, and clients drop a connection over a header that is too long. Every status that is made here says its
//! reason in a word that stays as it is from version to version.
//!
//! Details are those of `google.rpc`, which clients in every language know: what a program can act on, beside the words
//! for people.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status, metadata::MetadataValue};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{domain::is_unsafe, pipeline::Refusal};

/// What the details are, for whoever asks by reflection.
pub const DETAILS: &[u8] = tonic_types::pb::FILE_DESCRIPTOR_SET;

/// A message is cut to this many bytes. It is there twice, in words and in the details, and some clients take no more than
/// 8 KiB of headers.
const MESSAGE_BYTES_MAX: usize = 1_000;

/// The same of the name of a field or of a thing.
const NAME_BYTES_MAX: usize = 200;

/// Whose words the reasons are.
pub const DOMAIN: &str = "weir";

/// How long to wait before the same call is made again, where nothing better is known.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How a client's library is told when to try again: the header of gRPC's retry design.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// A field of the request is wrong.
pub const FIELD_INVALID: &str = "FIELD_INVALID";
/// The caller may not say that in this field.
pub const FIELD_NOT_ALLOWED: &str = "FIELD_NOT_ALLOWED";
/// What is named is not there.
pub const NAME_NOT_FOUND: &str = "NAME_NOT_FOUND";
/// The request contradicts what is there.
pub const STATE_CONTRADICTS: &str = "STATE_CONTRADICTS";
/// Another batch was taken under the sequence.
pub const SEQUENCE_TAKEN: &str = "SEQUENCE_TAKEN";
/// A limit is reached.
pub const LIMIT_REACHED: &str = "LIMIT_REACHED";
/// More calls a second than the caller may make.
pub const RATE_EXCEEDED: &str = "RATE_EXCEEDED";
/// Others are at it just now.
pub const BUSY: &str = "BUSY";
/// The host does not take calls just now.
pub const NOT_SERVING: &str = "NOT_SERVING";
/// The host's clock is wrong, so it takes no alerts.
pub const CLOCK_WRONG: &str = "CLOCK_WRONG";
/// The host is at fault.
pub const HOST_FAULT: &str = "HOST_FAULT";
/// Nobody known makes the call.
pub const CALLER_UNKNOWN: &str = "CALLER_UNKNOWN";
/// The caller's role may not make the call.
pub const ROLE_NOT_ALLOWED: &str = "ROLE_NOT_ALLOWED";
/// The caller's own deadline passed.
pub const CALL_TOO_LONG: &str = "CALL_TOO_LONG";
/// The caller did not send or read in time.
pub const CALLER_TOO_SLOW: &str = "CALLER_TOO_SLOW";

/// The stream's cursor has another reader, or is gone.
pub const CURSOR_TAKEN: &str = "CURSOR_TAKEN";

/// Every reason with its code: the table of docs/clients.md.
#[cfg(test)]
const REASONS: [(&str, Code); 16] = [
    (FIELD_INVALID, Code::InvalidArgument),
    (FIELD_NOT_ALLOWED, Code::PermissionDenied),
    (NAME_NOT_FOUND, Code::NotFound),
    (STATE_CONTRADICTS, Code::FailedPrecondition),
    (SEQUENCE_TAKEN, Code::AlreadyExists),
    (LIMIT_REACHED, Code::ResourceExhausted),
    (RATE_EXCEEDED, Code::ResourceExhausted),
    (BUSY, Code::ResourceExhausted),
    (NOT_SERVING, Code::Unavailable),
    (CLOCK_WRONG, Code::Unavailable),
    (HOST_FAULT, Code::Internal),
    (CALLER_UNKNOWN, Code::Unauthenticated),
    (ROLE_NOT_ALLOWED, Code::PermissionDenied),
    (CALL_TOO_LONG, Code::DeadlineExceeded),
    (CALLER_TOO_SLOW, Code::DeadlineExceeded),
    (CURSOR_TAKEN, Code::Aborted),
];

/// The status of a refusal.
pub fn status(refusal: Refusal) -> Status {
    let words = refusal.to_string();
    match refusal {
        Refusal::Invalid { field, message } => {
            let mut details = of(FIELD_INVALID);
            details.add_bad_request_violation(bounded(&field, NAME_BYTES_MAX), bounded(&message, MESSAGE_BYTES_MAX));
            made(Code::InvalidArgument, &words, details)
        }
        Refusal::Denied { field, .. } => {
            let field = ("field".to_owned(), bounded(&field, NAME_BYTES_MAX));
            let details = ErrorDetails::with_error_info(FIELD_NOT_ALLOWED, DOMAIN, HashMap::from([field]));
            made(Code::PermissionDenied, &words, details)
        }
        Refusal::NotFound { kind, name, .. } => {
            let mut details = of(NAME_NOT_FOUND);
            details.set_resource_info(kind, bounded(&name, NAME_BYTES_MAX), "", "");
            made(Code::NotFound, &words, details)
        }
        Refusal::Precondition(message) => {
            let mut details = of(STATE_CONTRADICTS);
            details.add_precondition_failure_violation("STATE", "", bounded(&message, MESSAGE_BYTES_MAX));
            made(Code::FailedPrecondition, &words, details)
        }
        Refusal::Taken { producer, sequence, .. } => {
            let taken = HashMap::from([
                ("producer_id".to_owned(), bounded(&producer, NAME_BYTES_MAX)),
                ("sequence".to_owned(), sequence.to_string()),
            ]);
            made(Code::AlreadyExists, &words, ErrorDetails::with_error_info(SEQUENCE_TAKEN, DOMAIN, taken))
        }
        Refusal::Exhausted(message) => {
            let mut details = of(LIMIT_REACHED);
            details.add_quota_failure_violation("host", bounded(&message, MESSAGE_BYTES_MAX));
            made(Code::ResourceExhausted, &words, details)
        }
        Refusal::Busy(_) => later(Code::ResourceExhausted, BUSY, &words, AGAIN_AFTER),
        Refusal::Unavailable(_) => later(Code::Unavailable, NOT_SERVING, &words, AGAIN_AFTER),
        Refusal::WrongClock(_) => later(Code::Unavailable, CLOCK_WRONG, &words, AGAIN_AFTER),
        Refusal::Internal(_) => {
            tracing::error!(message = words, "a call failed by a fault of the host");
            refused(Code::Internal, HOST_FAULT, &words)
        }
    }
}

/// A status whose reason is all that a program can use.
pub fn refused(code: Code, reason: &'static str, words: &str) -> Status {
    made(code, words, of(reason))
}

/// A status that tells when to try again.
pub fn later(code: Code, reason: &'static str, words: &str, wait: Duration) -> Status {
    let mut details = of(reason);
    details.set_retry_info(Some(wait));
    let mut status = made(code, words, details);
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    status.metadata_mut().insert(PUSHBACK, MetadataValue::from(wait_ms));
    status
}

/// A status of somebody who has as much of something as a setting allows.
pub fn over(who: &str, setting: &'static str, words: &str) -> Status {
    let mut details =
        ErrorDetails::with_error_info(LIMIT_REACHED, DOMAIN, HashMap::from([("setting".into(), setting.into())]));
    let who = if who.is_empty() { "host".to_owned() } else { bounded(who, NAME_BYTES_MAX) };
    details.add_quota_failure_violation(who, bounded(words, MESSAGE_BYTES_MAX));
    made(Code::ResourceExhausted, words, details)
}

fn of(reason: &'static str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}

fn made(code: Code, words: &str, details: ErrorDetails) -> Status {
    Status::with_error_details(code, bounded(words, MESSAGE_BYTES_MAX), details)
}

fn bounded(text: &str, bytes_max: usize) -> String {
    let text = &text[..text.floor_char_boundary(bytes_max)];
    text.chars().map(|character| if is_unsafe(character) { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(status: &Status) -> String {
        let info = status.get_details_error_info().expect("every status says its reason");
        assert_eq!(info.domain, DOMAIN);
        info.reason
    }

    #[test]
    fn every_refusal_has_its_code_and_reason_and_keeps_its_words() {
        let text = || "why".to_owned();
        let cases = [
            (Refusal::invalid("codes[1]", "why"), FIELD_INVALID, "codes[1]: why"),
            (Refusal::Denied { field: "name".into(), message: text() }, FIELD_NOT_ALLOWED, "name: why"),
            (Refusal::not_found("rule", "storm", "why"), NAME_NOT_FOUND, "why"),
            (Refusal::Precondition(text()), STATE_CONTRADICTS, "why"),
            (Refusal::Taken { producer: "p".into(), sequence: 5, message: text() }, SEQUENCE_TAKEN, "why"),
            (Refusal::Exhausted(text()), LIMIT_REACHED, "why"),
            (Refusal::Busy(text()), BUSY, "why"),
            (Refusal::Unavailable(text()), NOT_SERVING, "why"),
            (Refusal::Internal(text()), HOST_FAULT, "why"),
        ];
        for (refusal, expected, message) in cases {
            let status = status(refusal);
            assert_eq!((reason(&status).as_str(), status.message()), (expected, message));
            assert!(REASONS.contains(&(expected, status.code())), "{status:?}");
        }
    }

    #[test]
    fn details_say_what_a_program_can_act_on() {
        let invalid = status(Refusal::invalid("codes[1]", "70000 is no alert code"));
        let violations = invalid.get_details_bad_request().unwrap().field_violations;
        assert_eq!(
            (violations[0].field.as_str(), violations[0].description.as_str()),
            ("codes[1]", "70000 is no alert code")
        );
        let missing =
            status(Refusal::not_found("rule", "storm", "no rule is named \"storm\"")).get_details_resource_info();
        let missing = missing.unwrap();
        assert_eq!((missing.resource_type.as_str(), missing.resource_name.as_str()), ("rule", "storm"));
        let denied = status(Refusal::Denied { field: "name".into(), message: String::new() });
        assert_eq!(denied.get_details_error_info().unwrap().metadata["field"], "name");
        let taken = status(Refusal::Taken { producer: "p".into(), sequence: 5, message: String::new() });
        let taken = taken.get_details_error_info().unwrap().metadata;
        assert_eq!((taken["producer_id"].as_str(), taken["sequence"].as_str()), ("p", "5"));
        let quota = status(Refusal::Exhausted("rules_max (8) is reached".into())).get_details_quota_failure().unwrap();
        assert_eq!(quota.violations[0].description, "rules_max (8) is reached");
        let over = over("lond", "access.identity_streams_max", "access.identity_streams_max (3): lond");
        assert_eq!(over.get_details_quota_failure().unwrap().violations[0].subject, "lond");
        assert_eq!(over.get_details_error_info().unwrap().metadata["setting"], "access.identity_streams_max");
        for refusal in [Refusal::Busy(String::new()), Refusal::Unavailable(String::new())] {
            let status = status(refusal);
            assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(AGAIN_AFTER));
            assert_eq!(status.metadata().get(PUSHBACK).unwrap(), "1000");
        }
        let failed = status(Refusal::Precondition("a gap".into())).get_details_precondition_failure().unwrap();
        assert_eq!(failed.violations[0].description, "a gap");
    }

    #[test]
    fn a_status_is_bounded_and_plain() {
        let long = |text: &str| Refusal::invalid(text.repeat(3_000), text.repeat(5_000));
        for text in ["x", "\u{fc}", "\u{1F600}"] {
            let status = status(long(text));
            assert!(status.message().len() <= MESSAGE_BYTES_MAX);
            let headers = status.into_http::<()>();
            let bytes: usize = headers.headers().values().map(tonic::codegen::http::HeaderValue::len).sum();
            assert!(bytes < 8 << 10, "{bytes} bytes of headers");
        }
        let status = status(Refusal::not_found("rule", "a\u{1b}b", "a\u{1b}[31m\nx"));
        assert_eq!(status.message(), "a [31m x");
        assert_eq!(status.get_details_resource_info().unwrap().resource_name, "a b");
    }

    #[test]
    fn every_reason_is_in_the_documents_with_its_code() {
        let page = include_str!("../../../docs/clients.md");
        for (reason, code) in REASONS {
            let name = super::super::traffic::code_name(code);
            assert!(page.contains(&format!("| `{reason}` | {name} |")), "{reason} of {name} is not in docs/clients.md");
        }
    }
}
