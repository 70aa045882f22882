//! How long a caller waits for an answer, as it says in a header.
//!
//! It must not know what is called. Invariant: a call that says how long it waits has an answer by then, and the answer
//! names the deadline.

use std::{future::Future, time::Duration};

use tonic::{Code, Status, codegen::http};

use super::status::{CALL_TOO_LONG, refused};

/// The header of gRPC: at most eight digits and a unit.
const HEADER: &str = "grpc-timeout";
const DIGITS_MAX: usize = 8;

/// Ahead of the transport, which would end the call at the same time and call it cancelled.
const AHEAD: Duration = Duration::from_millis(2);

/// How long the caller waits; `None` for as long as it takes.
pub fn of(headers: &http::HeaderMap) -> Option<Duration> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let plain = (1..=DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = if plain { digits.parse().ok()? } else { return None };
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// Waits for an answer as long as the caller does. What is not answered by then is dropped.
pub async fn within<T>(wait: Option<Duration>, answer: impl Future<Output = T>) -> Result<T, Status> {
    let Some(wait) = wait else { return Ok(answer.await) };
    tokio::time::timeout(wait.saturating_sub(AHEAD), answer).await.map_err(|_| {
        let message = format!("no answer within the {} ms that the caller waits (grpc-timeout)", wait.as_millis());
        refused(Code::DeadlineExceeded, CALL_TOO_LONG, &message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Waiting;

    #[test]
    fn a_deadline_is_digits_and_a_unit() {
        let of = |text: &str| of(&[(HEADER, text)].iter().map(|(name, value)| named(name, value)).collect());
        fn named(name: &'static str, value: &str) -> (http::HeaderName, http::HeaderValue) {
            (http::HeaderName::from_static(name), value.parse().unwrap())
        }
        for (text, wait) in [
            ("3H", Duration::from_secs(10_800)),
            ("1M", Duration::from_secs(60)),
            ("99999999S", Duration::from_secs(99_999_999)),
            ("20m", Duration::from_millis(20)),
            ("7u", Duration::from_micros(7)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(of(text), Some(wait), "{text}");
        }
        for text in ["", "S", "5", "5s", "123456789S", "-1S", "+1S", "1.5S"] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(super::of(&http::HeaderMap::new()), None);
    }

    #[tokio::test]
    async fn what_takes_longer_is_dropped_and_says_so() {
        let waiting = Waiting::default();
        let wanted = waiting.wanted();
        let work = async move {
            let _held = waiting;
            std::future::pending::<()>().await
        };
        let never = within(Some(Duration::from_millis(10)), work).await.unwrap_err();
        assert!(!wanted.is_so());
        assert_eq!(never.code(), Code::DeadlineExceeded);
        assert!(never.message().contains("within the 10 ms"), "{never:?}");
        assert_eq!(within(None, async { 7 }).await.unwrap(), 7);
        assert_eq!(within(Some(Duration::from_secs(60)), async { 7 }).await.unwrap(), 7);
    }
}
