//! Figures for whoever watches over a host: `/metrics` over HTTP, in the text format of OpenMetrics.
//!
//! It is the only place that names prometheus-client, and it must not know how anything is counted. Invariant: nobody is
//! asked who they are, so nothing here names a client or a device; a slow reader holds up nobody but other readers.

use std::{convert::Infallible, fmt, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    grpc::Traffic,
    pipeline::{Handle, MigrationView},
};

mod text;

/// Readers that are served at once; others wait.
const READERS_MAX: usize = 4;

/// How long one may take to ask and to read.
const READER_MAX: Duration = Duration::from_secs(10);

/// How long to wait after a failed accept.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Where the figures are.
const PATH: &str = "/metrics";

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves figures as long as it is polled. It does not return.
pub async fn serve(listener: TcpListener, handle: Handle, traffic: Arc<Traffic>) {
    let readers = Arc::new(Semaphore::new(READERS_MAX));
    let (made, signal) = watch::channel(None);
    tokio::spawn(watch_migration(handle.clone(), made));
    // Nobody closes it.
    while let Ok(reader) = Arc::clone(&readers).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (handle, traffic, signal) = (handle.clone(), Arc::clone(&traffic), signal.clone());
                tokio::spawn(async move {
                    let write = || text::write(handle.watched(), &traffic, signal.borrow().clone());
                    answer(stream, peer, |request| respond(request, write)).await;
                    drop(reader);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection for metrics could not be accepted");
                sleep(AFTER_FAILURE).await;
            }
        }
    }
}

/// Serves what there is to say of a host that starts, as long as it is polled. It does not return.
pub async fn serve_starting(listener: &TcpListener) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => drop(tokio::spawn(answer(stream, peer, |request| respond(request, text::starting)))),
            Err(error) => {
                tracing::warn!(%error, "a connection for metrics could not be accepted");
                sleep(AFTER_FAILURE).await;
            }
        }
    }
}

/// Makes the signal of a migration anew from time to time: it counts the inventory, which no reader is to wait for.
async fn watch_migration(handle: Handle, made: watch::Sender<Option<MigrationView>>) {
    let mut every = interval(handle.migration_every());
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !made.is_closed() {
        every.tick().await;
        let handle = handle.clone();
        match tokio::task::spawn_blocking(move || handle.planned_migration()).await {
            Ok(signal) => drop(made.send_replace(signal)),
            Err(error) => tracing::error!(%error, "the signal of the migration could not be made"),
        }
    }
}

/// Answers one request, within its time.
async fn answer(stream: TcpStream, peer: SocketAddr, respond: impl Fn(&Request<Incoming>) -> Response<String>) {
    let service = service_fn(|request: Request<Incoming>| std::future::ready(Ok::<_, Infallible>(respond(&request))));
    let served = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    match timeout(READER_MAX, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a reader of metrics was given up"),
        Err(_) => tracing::warn!(%peer, "a reader of metrics took more than {} s", READER_MAX.as_secs()),
    }
}

fn respond(request: &Request<Incoming>, write: impl FnOnce() -> Result<String, fmt::Error>) -> Response<String> {
    let plain = |status: StatusCode, text: &str| {
        let mut response = Response::new(text.to_owned());
        *response.status_mut() = status;
        response
    };
    match (request.uri().path(), request.method()) {
        (PATH, &Method::GET) => {}
        (PATH, _) => return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is understood here\n"),
        _ => return plain(StatusCode::NOT_FOUND, "there is /metrics, and nothing else\n"),
    }
    match write() {
        Ok(text) => {
            let mut response = Response::new(text);
            response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(OPENMETRICS));
            response
        }
        Err(error) => {
            tracing::error!(%error, "metrics could not be written down");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the host met a fault of its own; its log says which\n")
        }
    }
}
