//! `cargo deny`: advisories, licences, second versions and sources of the crates of others, where that tool is installed.
//!
//! It is not installed from here: that takes longer than many of the other checks. `tests/tests/supply_chain.rs` holds
//! licences, versions and sources to the same `deny.toml` in any case.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// How the checks ended.
pub enum Checked {
    /// All of them, or those that could be made, found nothing.
    Passed(&'static str),
    /// Something is against `deny.toml`.
    Failed,
}

/// Runs what can be run. `cargo` makes commands in the workspace.
pub fn check(cargo: impl Fn() -> Command) -> Result<Checked> {
    let run = |arguments: &[&str], silent: bool| {
        let mut command = cargo();
        command.arg("deny").args(arguments);
        if silent {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        Ok::<_, anyhow::Error>(command.status().context("cargo deny cannot be run")?.success())
    };
    if !run(&["--version"], true)? {
        return Ok(Checked::Passed(
            "SKIPPED: cargo-deny is not installed, so no advisories were looked up; cargo install --locked cargo-deny",
        ));
    }
    if !run(&["--offline", "check", "bans", "licenses", "sources"], false)? {
        return Ok(Checked::Failed);
    }
    if !run(&["fetch", "db"], true)? {
        return Ok(Checked::Passed("advisories were SKIPPED: their database cannot be fetched from here"));
    }
    if !run(&["--offline", "check", "advisories"], false)? {
        return Ok(Checked::Failed);
    }
    Ok(Checked::Passed("advisories, licences, versions and sources are as deny.toml has them"))
}
