//! `weir serve`: the host.
//!
//! It must not know the client commands.

use super::Failure;

/// What the host is told.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the host until it is told to stop.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args {} = args;
    Err(Failure::internal("serve: not part of this build"))
}
