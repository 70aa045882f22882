//! Running programs: in which environment, and for how long.
//!
//! It must not know what is run. Invariant: what an outer cargo says to its build scripts does not reach an inner one.

use std::{
    env, io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// A program that sees the user's environment without what an outer cargo, rustc or clippy put there for its own
/// children: a wrapper, flags and a target meant for the host would spoil a guest.
pub fn isolated(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_from_outer_cargo) {
            command.env_remove(name);
        }
    }
    command
}

/// The user's own settings of where cargo keeps and fetches things stay.
fn is_from_outer_cargo(name: &str) -> bool {
    const USERS: [&str; 8] = [
        "CARGO_HOME",
        "CARGO_NET_",
        "CARGO_HTTP_",
        "CARGO_REGISTRY_",
        "CARGO_REGISTRIES_",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
        "CARGO_BUILD_JOBS",
    ];
    const OUTER: [&str; 9] =
        ["TARGET", "HOST", "OPT_LEVEL", "PROFILE", "DEBUG", "NUM_JOBS", "OUT_DIR", "MAKEFLAGS", "MFLAGS"];
    const OUTER_PREFIXES: [&str; 6] = ["CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "CLIPPY", "DEP_"];
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    OUTER.contains(&name) || (starts(&OUTER_PREFIXES) && !starts(&USERS))
}

/// Why a program did not come to an end by itself.
#[derive(Debug)]
pub enum BoundedError {
    /// It could not be started or waited for.
    Start(io::Error),
    /// It was ended after this time.
    TimedOut(Duration),
}

impl std::fmt::Display for BoundedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start(error) => write!(f, "cannot be run: {error}"),
            Self::TimedOut(limit) => write!(f, "did not come to an end within {} s", limit.as_secs()),
        }
    }
}

impl std::error::Error for BoundedError {}

/// Runs a program with all its output on stderr, and ends it after `limit`.
pub fn bounded(command: &mut Command, limit: Duration) -> Result<ExitStatus, BoundedError> {
    let stdout = io::stderr().as_fd().try_clone_to_owned().map_err(BoundedError::Start)?;
    let mut child = command.stdin(Stdio::null()).stdout(stdout).spawn().map_err(BoundedError::Start)?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().map_err(BoundedError::Start)? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            // It may have ended by itself meanwhile; either way it is waited for.
            let _ = child.kill();
            child.wait().map_err(BoundedError::Start)?;
            return Err(BoundedError::TimedOut(limit));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_says_to_build_scripts_is_dropped_and_the_users_settings_stay() {
        for outer in [
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET",
            "CARGO_PKG_NAME",
            "CARGO",
            "RUSTC",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTFLAGS",
            "TARGET",
            "OUT_DIR",
            "MAKEFLAGS",
        ] {
            assert!(is_from_outer_cargo(outer), "{outer}");
        }
        for users in ["CARGO_HOME", "CARGO_HTTP_PROXY", "CARGO_NET_OFFLINE", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "PATH"]
        {
            assert!(!is_from_outer_cargo(users), "{users}");
        }
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let limit = Duration::from_millis(200);
        let started = Instant::now();
        let ended = bounded(Command::new("sleep").arg("60"), limit);
        assert!(matches!(ended, Err(BoundedError::TimedOut(l)) if l == limit), "{ended:?}");
        assert!(started.elapsed() < Duration::from_secs(20));
        assert!(bounded(&mut Command::new("true"), limit * 100).unwrap().success());
        assert!(matches!(bounded(&mut Command::new("/no/such/program"), limit), Err(BoundedError::Start(_))));
    }
}
