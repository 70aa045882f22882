//! Signals that ask a process to end: Ctrl-C, and what a service is stopped with.
//!
//! It must not know what is ended. Invariant: a signal that came before anybody waited is not lost.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;

/// The two of them, listened for.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self { terminate: listen_for(SignalKind::terminate())?, interrupt: listen_for(SignalKind::interrupt())? })
    }

    /// Resolves when either comes; gives its name.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Listens for one signal.
pub(super) fn listen_for(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::internal(format!("signals: {error}")))
}
