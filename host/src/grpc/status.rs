//! From a refusal to a gRPC status: the one place that chooses codes.
//!
//! It must not know who refused. Invariant: a status message is bounded and free of characters that are obeyed; it travels in a
//! header, and clients drop a connection over a header that is too long.

use tonic::Status;

use crate::{domain::is_unsafe, pipeline::Refusal};

/// A message is cut to this many characters.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// The status of a refusal.
pub fn status(refusal: Refusal) -> Status {
    let message = refusal.to_string();
    let message: String = message.chars().take(MESSAGE_CHARS_MAX).map(|c| if is_unsafe(c) { ' ' } else { c }).collect();
    match refusal {
        Refusal::Invalid { .. } => Status::invalid_argument(message),
        Refusal::Denied { .. } => Status::permission_denied(message),
        Refusal::NotFound(_) => Status::not_found(message),
        Refusal::Precondition(_) => Status::failed_precondition(message),
        Refusal::Exhausted(_) => Status::resource_exhausted(message),
        Refusal::Unavailable(_) => Status::unavailable(message),
        Refusal::Internal(_) => {
            tracing::error!(message, "a call failed by a fault of the host");
            Status::internal(message)
        }
    }
}

/// Runs what waits for the disk where it holds up no other call.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(status),
        // It panicked, or the runtime is going down: either way there is no answer.
        Err(_) => Err(super::panics::status()),
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::{Refusal, blocking, status};

    #[test]
    fn every_refusal_has_its_code_and_keeps_its_words() {
        let text = || "why".to_owned();
        let cases = [
            (Refusal::invalid("codes[1]", "why"), Code::InvalidArgument, "codes[1]: why"),
            (Refusal::Denied { field: "name".into(), message: text() }, Code::PermissionDenied, "name: why"),
            (Refusal::NotFound(text()), Code::NotFound, "why"),
            (Refusal::Precondition(text()), Code::FailedPrecondition, "why"),
            (Refusal::Exhausted(text()), Code::ResourceExhausted, "why"),
            (Refusal::Unavailable(text()), Code::Unavailable, "why"),
            (Refusal::Internal(text()), Code::Internal, "why"),
        ];
        for (refusal, code, message) in cases {
            let status = status(refusal);
            assert_eq!((status.code(), status.message()), (code, message));
        }
    }

    #[test]
    fn a_message_is_bounded_and_plain() {
        let status = status(Refusal::NotFound(format!("a\u{1b}[31m\n{}", "x".repeat(5_000))));
        assert!(status.message().starts_with("a [31m x"));
        assert_eq!(status.message().chars().count(), 1_000);
    }

    #[tokio::test]
    async fn a_panic_on_a_blocking_thread_is_internal() {
        let done: Result<(), _> = blocking(|| panic!("on purpose")).await;
        assert_eq!(done.unwrap_err().code(), Code::Internal);
    }
}
