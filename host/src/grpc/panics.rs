//! A panic in a handler becomes an INTERNAL answer of that one call.
//!
//! It must not know what was called. Invariant: a panic neither ends the process nor goes unnoticed: the panic hook has
//! told it before it arrives here, and the caller is told that something went wrong.

use std::{
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use tonic::{Code, Status, body::Body, codegen::http, service::Routes};
use tower::util::MapFutureLayer;

use super::status::{HOST_FAULT, refused};

type Answer = Result<http::Response<Body>, Infallible>;
type Answering = <Routes as tower::Service<http::Request<Body>>>::Future;
type Guarded = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What is done with each answer.
pub type Guard = fn(Answering) -> Guarded;

/// What a server wraps its services in.
pub type Layer = MapFutureLayer<Guard>;

/// Guards every call of the services.
pub fn layer() -> Layer {
    MapFutureLayer::new(guarded)
}

fn guarded(call: Answering) -> Guarded {
    Box::pin(async { Caught::new(call).await.unwrap_or_else(|Panicked| Ok(status().into_http())) })
}

/// What the caller is told.
pub fn status() -> Status {
    refused(Code::Internal, HOST_FAULT, "the host met a fault of its own; its log says which")
}

/// A future that panicked.
#[derive(Debug, PartialEq, Eq)]
pub struct Panicked;

/// Runs a future and turns its panic into an error. The future is dropped then, and never polled again.
pub struct Caught<F>(Pin<Box<F>>);

impl<F: Future> Caught<F> {
    /// Wraps a future.
    pub fn new(future: F) -> Self {
        Self(Box::pin(future))
    }
}

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Caught, Panicked};

    #[tokio::test]
    async fn a_panic_is_an_error_and_everything_else_passes() {
        assert_eq!(Caught::new(async { 7 }).await, Ok(7));
        let late = async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        };
        assert_eq!(Caught::new(late).await, Err::<(), _>(Panicked));
    }
}
