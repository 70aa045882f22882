//! The server: the protocol's services over a pipeline's handle.
//!
//! It is the only place of the server that names prost, and that speaks tonic to others: the page asks by its calls. It
//! must not know how anything is judged or kept.
//! Invariant: nothing from the wire goes further unless `convert` has made a word of the domain of it.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{net::TcpListener, runtime, sync::watch};
use tonic::transport::server::{Router, Server};
use tower::layer::util::Stack;
use weir_proto::{Windows, v1};

use crate::{
    config::Config,
    pipeline::{Handle, Status},
};

mod alerts;
mod audit;
mod bodies;
mod codes;
mod connection;
mod convert;
mod counts;
mod crowd;
mod deadline;
mod devices;
mod entrance;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod gate;
mod health;
mod hosts;
mod panics;
mod peer;
mod plugins;
mod policy;
mod producers;
#[cfg(test)]
mod protocol_style;
mod quota;
mod readings;
mod reports;
mod rules;
mod starting;
mod status;
mod stream;
mod subscribe;
mod tls;
mod tokens;
mod traffic;
mod trials;
mod whatif;

/// Headers of one request. Ours are a few hundred bytes.
const HEADER_BYTES_MAX: u32 = 16 << 10;

/// Streams that a client opened and reset before they were taken up; one more ends the connection. Each costs the host
/// more than the client, and no client of good will has any.
const RESET_BEFORE_TAKEN_MAX: usize = 20;

/// Streams that the host refused or had to reset for a breach of the protocol; one more ends the connection, for the
/// same reason. They add up over the life of a connection, and a client that does not know yet how many streams it may
/// open has some refused, so this is far above what one of good will comes to.
const RESET_FOR_BREACH_MAX: usize = 1_000;

/// How often it is looked whether there is room for what was left out of the audit log.
const NOTE_LEFT_OUT_EVERY: Duration = Duration::from_secs(1);

pub use convert::{
    alert::wire_alert,
    reading::{wire_model, wire_reading, wire_threshold},
};
pub use entrance::{Calls, MakePage, Page};
pub use starting::serve_starting;
pub use tls::{Tls, TlsError};
pub use traffic::{Tables, Traffic};

/// Why a server stopped or could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The protocol's own description could not be read.
    #[error("the protocol's description: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The transport failed.
    #[error("serving gRPC: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// What the server needs of its surroundings.
pub struct Surroundings {
    /// Where it listens.
    pub listener: TcpListener,
    /// `None`: it serves without TLS.
    pub tls: Option<Arc<Tls>>,
    /// `None`: it serves no page.
    pub page: Option<MakePage>,
    /// Where traffic is counted.
    pub traffic: Arc<Traffic>,
    /// Runs all calls but those that bring alerts.
    pub offload: runtime::Handle,
}

/// Serves until `shutdown` resolves. Then health reports it, no connection or batch is accepted any more, batches that
/// were read are answered, and connections that stay open longer than `intake.drain_ms_max` are dropped.
pub async fn serve(
    handle: Handle,
    config: &Config,
    surroundings: Surroundings,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let Surroundings { listener, tls, page, traffic, offload } = surroundings;
    let (stop, stopping) = watch::channel(false);
    let (reporter, health_service) = tonic_health::server::health_reporter();
    // Before anybody can ask: a service that nobody has reported yet would be one that is not there.
    let status = handle.status().borrow().clone();
    health::report(&reporter, &status, handle.readings_problem().borrow().is_empty()).await;
    let router = router(&handle, config, layer(&handle, config, &traffic, page, offload), &stopping)?
        .add_service(health_service);
    let (connections_max, patience) = (config.intake.connections_max, peer::Patience::new(config));
    let crowd = Arc::new(crowd::Crowd::new(connections_max));
    let incoming = connection::incoming(listener, connection::Terms { connections_max, crowd, tls, patience, traffic });
    let server = router.serve_with_incoming_shutdown(incoming, stopped(stopping));

    let drained = async {
        tokio::select! {
            () = shutdown => {}
            () = health::follow(&handle, &reporter) => {}
        }
        health::report(&reporter, &Status::Stopped(String::new()), false).await;
        // The server and the streams hold receivers; where none is left there is nothing to tell.
        stop.send_replace(true);
        tokio::time::sleep(Duration::from_millis(config.intake.drain_ms_max)).await;
    };
    tokio::select! {
        result = server => Ok(result?),
        () = note_left_out(&handle) => Ok(()),
        () = drained => {
            tracing::warn!(drain_ms_max = config.intake.drain_ms_max, "some connections are still open; leaving them");
            Ok(())
        }
    }
}

/// Notes now and then how many denied calls were left out of the audit log. It never resolves.
async fn note_left_out(handle: &Handle) {
    let mut look = tokio::time::interval(NOTE_LEFT_OUT_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        handle.note_left_out();
    }
}

/// Resolves when the server is told to stop.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error says that the server itself is gone, which is a stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

type Guarded = Stack<entrance::Layer, tower::layer::util::Identity>;

fn layer(
    handle: &Handle,
    config: &Config,
    traffic: &Arc<Traffic>,
    page: Option<MakePage>,
    offload: runtime::Handle,
) -> entrance::Layer {
    let gate = gate::Layer::new(handle.clone(), config, Arc::clone(traffic));
    entrance::Layer::new(gate, bodies::offload::Layer::new(offload), page)
}

fn router(
    handle: &Handle,
    config: &Config,
    layer: entrance::Layer,
    stopping: &watch::Receiver<bool>,
) -> Result<Router<Guarded>, Error> {
    let bytes_max = config.intake.message_bytes_max;
    let door = gate::Door::new(handle.clone());
    let alerts = alerts::Alerts::new(door.clone(), config, stopping.clone());
    let plugins = plugins::Plugins::new(door.clone(), bytes_max);
    let rules = rules::Rules::new(door.clone(), bytes_max);
    let devices = devices::Devices::new(door.clone(), config.intake.put_devices_max, bytes_max);
    let reports = reports::Reports::new(door.clone(), bytes_max);
    let counts = counts::Counts::new(door.clone(), bytes_max, stopping.clone());
    let cursors = subscribe::Cursors::new(door.clone());
    let producers = producers::Producers::new(door.clone());
    let trials = trials::Trials::new(door.clone(), bytes_max);
    let tokens = tokens::Tokens::new(door.clone(), bytes_max);
    let whatifs = whatif::WhatIfs::new(door.clone(), bytes_max, stopping.clone());
    let hosts = hosts::Hosts::new(door.clone());
    let codes = codes::Codes::new(door.clone(), bytes_max);
    let readings = readings::Readings::new(door.clone(), bytes_max);
    let audit = audit::Audit::new(door, bytes_max);
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(status::DETAILS)
            // Each version tells of both.
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
            .include_reflection_service(false)
    };

    let windows = Windows::for_streams(config.intake.streams_per_connection_max);
    let mut server = Server::builder()
        // The protocol is HTTP/2 alone; a browser without TLS speaks the other.
        .accept_http1(layer.has_page())
        .initial_connection_window_size(windows.connection)
        .initial_stream_window_size(windows.stream)
        .max_concurrent_streams(config.intake.streams_per_connection_max)
        // Also what ends a connection that stops amid a frame, however slowly it goes on: nothing but the rest of the
        // frame may come then, and so no sign of life.
        .http2_keepalive_interval(Some(Duration::from_millis(config.intake.keepalive_every_ms)))
        .http2_keepalive_timeout(Some(Duration::from_millis(config.intake.keepalive_ms_max)))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESET_BEFORE_TAKEN_MAX))
        .http2_max_local_error_reset_streams(Some(RESET_FOR_BREACH_MAX))
        .layer(layer);
    Ok(server
        .add_service(v1::alert_service_server::AlertServiceServer::new(alerts).max_decoding_message_size(bytes_max))
        .add_service(v1::cursor_service_server::CursorServiceServer::new(cursors).max_decoding_message_size(bytes_max))
        .add_service(
            v1::producer_service_server::ProducerServiceServer::new(producers).max_decoding_message_size(bytes_max),
        )
        .add_service(v1::plugin_service_server::PluginServiceServer::new(plugins).max_decoding_message_size(bytes_max))
        .add_service(v1::rule_service_server::RuleServiceServer::new(rules).max_decoding_message_size(bytes_max))
        .add_service(v1::device_service_server::DeviceServiceServer::new(devices).max_decoding_message_size(bytes_max))
        .add_service(v1::count_service_server::CountServiceServer::new(counts).max_decoding_message_size(bytes_max))
        .add_service(v1::trial_service_server::TrialServiceServer::new(trials).max_decoding_message_size(bytes_max))
        .add_service(v1::report_service_server::ReportServiceServer::new(reports).max_decoding_message_size(bytes_max))
        .add_service(v1::token_service_server::TokenServiceServer::new(tokens).max_decoding_message_size(bytes_max))
        .add_service(v1::audit_service_server::AuditServiceServer::new(audit).max_decoding_message_size(bytes_max))
        .add_service(v1::host_service_server::HostServiceServer::new(hosts).max_decoding_message_size(bytes_max))
        .add_service(
            v1::reading_service_server::ReadingServiceServer::new(readings).max_decoding_message_size(bytes_max),
        )
        .add_service(v1::code_service_server::CodeServiceServer::new(codes).max_decoding_message_size(bytes_max))
        .add_service(
            v1::what_if_service_server::WhatIfServiceServer::new(whatifs.clone()).max_decoding_message_size(bytes_max),
        )
        .add_service(v1::verify_service_server::VerifyServiceServer::new(whatifs).max_decoding_message_size(bytes_max))
        .add_service(described().build_v1()?)
        // Many tools know no other yet, or ask for it first.
        .add_service(described().build_v1alpha()?))
}
