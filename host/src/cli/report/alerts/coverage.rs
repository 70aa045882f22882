//! How many alerts of average voltage have a reading.
//!
//! Invariant: a host without readings, or one that does not know of them, has a report without a word of them.

use tonic::{Code, Status};
use weir_proto::v1::{self, reading_service_client::ReadingServiceClient};

use super::Asking;
use crate::cli::{arguments, session::MESSAGE_BYTES_MAX, view::report::Coverage};

impl Asking {
    /// What share of the alerts has a reading; nothing where there are no readings.
    pub(super) async fn coverage(&self) -> Result<Option<Coverage>, Status> {
        let mut client = ReadingServiceClient::new(self.link.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let there = client.get_reading_status(v1::GetReadingStatusRequest {}).await.map(tonic::Response::into_inner);
        if unless_unavailable(there)?.is_none_or(|there| there.readings == 0) {
            return Ok(None);
        }
        let request = v1::GetReadingCoverageRequest {
            since_ms: self.days.period.start,
            until_ms: self.days.period.end,
            operators: arguments::operators(&self.wanted.operators),
            generations: self.generations(),
        };
        let answer = client.get_reading_coverage(request).await.map(tonic::Response::into_inner);
        Ok(unless_unavailable(answer)?.map(|answer| Coverage::new(answer, &self.names)))
    }
}

/// Nothing where a host has no readings, cannot read them or keeps them from the caller.
fn unless_unavailable<T>(answer: Result<T, Status>) -> Result<Option<T>, Status> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(status) => match status.code() {
            Code::Unimplemented | Code::PermissionDenied | Code::FailedPrecondition | Code::Unavailable => Ok(None),
            _ => Err(status),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_cannot_say_is_one_without_readings_and_another_failure_is_told() {
        for code in [Code::Unimplemented, Code::PermissionDenied, Code::FailedPrecondition, Code::Unavailable] {
            assert!(unless_unavailable::<()>(Err(Status::new(code, ""))).unwrap().is_none());
        }
        for code in [Code::Internal, Code::ResourceExhausted, Code::InvalidArgument, Code::Unauthenticated] {
            assert_eq!(unless_unavailable::<()>(Err(Status::new(code, ""))).unwrap_err().code(), code);
        }
        assert_eq!(unless_unavailable(Ok(7)).unwrap(), Some(7));
    }
}
