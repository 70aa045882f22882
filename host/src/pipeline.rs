//! The pipeline: collect, admit, evaluate, commit, act.

mod handle;

pub use handle::{Batch, DeviceRequest, DeviceView, DevicesPut, Handle, Refusal, RuleRequest, Status};

/// The pipeline's thread. Join it at the end.
pub struct Runner {}

impl Runner {
    /// Waits until the pipeline has stopped.
    pub fn join(self) {
        unimplemented!()
    }
}

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened or read.
    #[error("store: {0}")]
    Store(String),
    /// A code of `protected_codes` cannot be read.
    #[error("protected_codes: {0}")]
    ProtectedCodes(String),
    /// The pipeline's thread could not be started.
    #[error("pipeline: {0}")]
    Thread(std::io::Error),
}

/// Opens the store of a configuration, recovers, and starts.
#[allow(unused_variables)]
pub fn start(config: crate::config::Config) -> Result<(Handle, Runner), StartError> {
    unimplemented!()
}
