//! The other side: a process that gives everything up but its two pipes, compiles, answers and ends.
//!
//! It must not know who asked. Invariant: the component is read only after the limits are in force.

use std::io::{self, BufRead, Read, Write};

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope};
use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};
use wasmtime::Engine;

use super::{CODE, PANICKED, REFUSED};
use crate::{
    config::PluginLimits,
    plugin::{compile::guarded, engine::compiler_config, refusal::Refusal},
};

/// Bytes of the line that brings the limits.
const HEADER_BYTES_MAX: u64 = 64 << 10;

/// How far it stands back for others, as far as a process can.
const LAST_IN_LINE: i32 = 19;

/// The newest kernel interface that is asked for; an older kernel enforces what it knows of it.
const LANDLOCK: ABI = ABI::V6;

/// Reads limits and a component from stdin, and answers on stdout.
///
/// # Errors
/// Pipes that are closed, or limits that this system does not let a process set for itself.
pub fn compile_stdin() -> io::Result<()> {
    // Alerts go before uploads: it gets what processor time the host leaves.
    nice(LAST_IN_LINE)?;
    // Whatever happens to the host, nobody waits for this answer then.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut stdin = io::stdin().lock();
    let mut header = String::new();
    stdin.by_ref().take(HEADER_BYTES_MAX).read_line(&mut header)?;
    let limits: PluginLimits = serde_json::from_str(&header).map_err(io::Error::other)?;
    confine(&limits)?;
    give_up_the_rest().map_err(io::Error::other)?;

    let mut component = Vec::new();
    stdin.take(limits.upload_bytes_max as u64 + 1).read_to_end(&mut component)?;
    let answer = guarded(|| {
        let mut config = compiler_config(&limits);
        // One processor at most: the others are for alerts.
        config.parallel_compilation(false);
        Engine::new(&config)?.precompile_component(&component)
    });
    let (kind, body) = match answer {
        Ok(code) => (CODE, code),
        Err(Refusal::CompilerPanic { detail }) => (PANICKED, detail.into_bytes()),
        Err(Refusal::Malformed { detail }) => (REFUSED, detail.into_bytes()),
        Err(other) => (REFUSED, other.to_string().into_bytes()),
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(&[kind])?;
    stdout.write_all(&body)?;
    stdout.flush()
}

/// Limits that the kernel keeps: memory, processor time, and no file of any size.
fn confine(limits: &PluginLimits) -> io::Result<()> {
    let cpu_s_max = limits.compile_cpu_s_max;
    let bounds = [
        (Resource::As, limits.compile_memory_bytes_max, limits.compile_memory_bytes_max),
        // The first bound ends it by a signal that says why, the second by one that says nothing.
        (Resource::Cpu, cpu_s_max, cpu_s_max + 1),
        (Resource::Fsize, 0, 0),
        (Resource::Core, 0, 0),
    ];
    for (resource, current, maximum) in bounds {
        setrlimit(resource, Rlimit { current: Some(current), maximum: Some(maximum) })?;
    }
    Ok(())
}

/// No file, no connection, no signal to anybody: as far as the kernel knows how to enforce it.
fn give_up_the_rest() -> Result<RulesetStatus, RulesetError> {
    let given_up = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .restrict_self()?;
    Ok(given_up.ruleset)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::ErrorKind, net::TcpListener, thread};

    use super::*;

    /// On a thread of its own: what a thread gives up, only it has given up.
    #[test]
    fn what_is_given_up_is_gone() {
        let confined = thread::spawn(|| {
            assert!(File::open("/proc/self/exe").is_ok());
            let status = give_up_the_rest().unwrap();
            if status == RulesetStatus::NotEnforced {
                println!("this kernel has no Landlock: nothing to see");
                return;
            }
            let denied = File::open("/proc/self/exe").unwrap_err();
            assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
            if status == RulesetStatus::FullyEnforced {
                assert_eq!(TcpListener::bind(("127.0.0.1", 0)).unwrap_err().kind(), ErrorKind::PermissionDenied);
            }
        });
        confined.join().unwrap();
    }
}
