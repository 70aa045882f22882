//! The other side: a process that gives everything up but its two pipes, compiles, answers and ends.
//!
//! It must not know who asked. Invariant: the component is read only after it is confined.

use std::{
    fs::File,
    io::{self, BufRead, Read, Write},
    net::UdpSocket,
    process::{Command, Stdio},
};

use rustix::process::{Signal, nice, set_parent_process_death_signal};
use wasmtime::Engine;

use super::{CODE, Confinement, OWN_PROGRAM, Order, PANICKED, PROBED, REFUSED, Task, UNCONFINED, confinement::confine};
use crate::{
    config::PluginLimits,
    plugin::{compile::guarded, engine::compiler_config, refusal::Refusal},
};

/// Bytes of the line that brings the limits.
const HEADER_BYTES_MAX: u64 = 64 << 10;

/// How far it stands back for others, as far as a process can.
const LAST_IN_LINE: i32 = 19;

/// Reads an order and a component from stdin, and answers on stdout.
///
/// # Errors
/// Pipes that are closed, or limits that this system does not let a process set for itself.
pub fn compile_stdin() -> io::Result<()> {
    // Whatever happens to the host, nobody waits for this answer then.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut stdin = io::stdin().lock();
    let mut header = String::new();
    stdin.by_ref().take(HEADER_BYTES_MAX).read_line(&mut header)?;
    let Order { task, limits } = serde_json::from_str(&header).map_err(io::Error::other)?;
    if task == Task::CompileUpload {
        // Alerts go before uploads: it gets what processor time the host leaves.
        nice(LAST_IN_LINE)?;
    }
    let confinement = confine(&limits)?;
    let (kind, body) = if task == Task::Probe {
        let found = Confinement { open: open(), ..confinement };
        (PROBED, serde_json::to_vec(&found).map_err(io::Error::other)?)
    } else if limits.confinement_required && !confinement.is_whole() {
        (UNCONFINED, confinement.to_string().into_bytes())
    } else {
        let mut component = Vec::new();
        stdin.take(limits.upload_bytes_max as u64 + 1).read_to_end(&mut component)?;
        compile(&limits, &component)
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(&[kind])?;
    stdout.write_all(&body)?;
    stdout.flush()
}

fn compile(limits: &PluginLimits, component: &[u8]) -> (u8, Vec<u8>) {
    let answer = guarded(|| {
        let mut config = compiler_config(limits);
        // One processor at most: the others are for alerts.
        config.parallel_compilation(false);
        Engine::new(&config)?.precompile_component(component)
    });
    match answer {
        Ok(code) => (CODE, code),
        Err(Refusal::CompilerPanic { detail }) => (PANICKED, detail.into_bytes()),
        Err(Refusal::Malformed { detail }) => (REFUSED, detail.into_bytes()),
        Err(other) => (REFUSED, other.to_string().into_bytes()),
    }
}

/// What this process can do that it has given up.
fn open() -> Vec<String> {
    let program = || {
        let silent = Command::new(OWN_PROGRAM).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status();
        silent.is_ok()
    };
    let tried = [
        ("open a file", File::open(OWN_PROGRAM).is_ok()),
        ("open a socket", UdpSocket::bind(("127.0.0.1", 0)).is_ok()),
        ("run a program", program()),
    ];
    tried.into_iter().filter(|(_, done)| *done).map(|(what, _)| what.to_owned()).collect()
}
