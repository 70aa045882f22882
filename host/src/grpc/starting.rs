//! What a host answers while it starts: health says NOT_SERVING, every other call is UNAVAILABLE and a page 503.
//!
//! Invariants: nobody is told more than that it starts, since nobody's token is checked yet; no answer outlives the start, so
//! a client that waits finds the host once it is there.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch};
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    codegen::http::{self, StatusCode, header},
    service::Routes,
    transport::server::Server,
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};
use tower::Service;

use super::{
    Error, HEADER_BYTES_MAX, Tls, Traffic, connection,
    crowd::Crowd,
    entrance::is_call,
    peer::Patience,
    status::{NOT_SERVING, later},
};
use crate::config::Config;

/// What callers and browsers are told.
const WORDS: &str = "the host is starting; send again in a while";

/// When a client that was sent away is to come again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long connections may take to close once the host is there.
const CLOSING_MAX: Duration = Duration::from_secs(1);

/// Paths of the health service.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// Answers on `listener` until `started` resolves.
///
/// # Errors
/// The transport failed.
pub async fn serve_starting(
    listener: TcpListener,
    config: &Config,
    tls: Option<Arc<Tls>>,
    started: impl Future<Output = ()>,
) -> Result<(), Error> {
    let (done, closing) = watch::channel(());
    let terms = connection::Terms {
        connections_max: config.intake.connections_max,
        crowd: Arc::new(Crowd::new(config.intake.connections_max)),
        tls,
        patience: Patience::new(config),
        traffic: Arc::new(Traffic::default()),
    };
    let server = Server::builder()
        .accept_http1(config.page)
        .max_concurrent_streams(config.intake.streams_per_connection_max)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .layer(tower::layer::layer_fn(Starting))
        .add_service(HealthServer::new(NotServing))
        .serve_with_incoming_shutdown(connection::incoming(listener, terms), async move {
            started.await;
            drop(done);
        });
    let late = async {
        let mut closing = closing;
        // An error says that the start is over.
        while closing.changed().await.is_ok() {}
        tokio::time::sleep(CLOSING_MAX).await;
    };
    tokio::select! {
        served = server => Ok(served?),
        () = late => Ok(()),
    }
}

fn unavailable() -> Status {
    later(Code::Unavailable, NOT_SERVING, WORDS, AGAIN_AFTER)
}

/// The health service of a host that is not there yet.
struct NotServing;

#[tonic::async_trait]
impl Health for NotServing {
    type WatchStream = tokio_stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::NotServing.into() }))
    }

    /// Whoever watches is to watch the host, which is another server.
    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(unavailable())
    }
}

/// The health service, and a refusal for everything else.
#[derive(Clone)]
struct Starting(Routes);

impl Service<http::Request<Body>> for Starting {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        <Routes as Service<http::Request<Body>>>::poll_ready(&mut self.0, context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path().starts_with(HEALTH) {
            return Box::pin(self.0.call(request));
        }
        let answer = if is_call(&request) { unavailable().into_http() } else { page() };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

/// What a browser is shown.
fn page() -> http::Response<Body> {
    let mut answer = http::Response::new(Body::new(format!("{WORDS}\n")));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::RETRY_AFTER, header::HeaderValue::from(AGAIN_AFTER.as_secs()));
    answer
}
