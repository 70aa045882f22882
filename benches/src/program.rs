//! How the benchmarks that send alerts to a host run.
//!
//! It must not know what is measured. Invariant: whatever ends a program early, the host it started is gone.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::host::until_interrupted;

/// Runs a program to its end, or until it is told to stop.
pub fn run(work: impl Future<Output = Result<()>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    match runtime.context("no runtime").and_then(|runtime| runtime.block_on(until_interrupted(work))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
