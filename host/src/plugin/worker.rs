//! A process that compiles one component: this side starts it, the other side is it.
//!
//! It must not know what becomes of the code. Invariant: whatever a component does to the compiler, this process gets
//! code or a refusal within the time and memory that the limits allow, and no process is left behind. The worker knows
//! no store, no key and no client: it has a pipe to read from and one to answer on.

use std::{
    io::{self, Read, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::{load::DETAIL_BYTES_MAX, refusal::Refusal, text::clean};
use crate::config::PluginLimits;

mod confined;
mod confinement;

pub use confined::compile_stdin;
pub use confinement::Confinement;

/// This very program, even where its file has been replaced since it was started.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// The command that makes a `weir` such a process.
const WORKER: &str = "compile-worker";

/// Components compiled at once. Each may use all processors and much memory.
const AT_ONCE: usize = 2;

/// Bytes that are read of what a worker says on stderr.
const SAID_BYTES_MAX: u64 = 4096;

/// What the allocator, the thread library and the engine say on stderr where memory is denied.
const DENIED: [&str; 4] = ["memory allocation of", "Cannot allocate memory", "os error 12", "WouldBlock"];

/// How often it is looked whether an answer is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How an answer begins.
const CODE: u8 = 0;
const REFUSED: u8 = 1;
const PANICKED: u8 = 2;
const PROBED: u8 = 3;
const UNCONFINED: u8 = 4;

/// How many times the processor time, and the memory and the code, that a component of somebody may take a plugin of this
/// host may: it was compiled before, maybe on a faster machine, by another version or under wider limits.
const KNOWN_CPU_TIMES: u64 = 20;
const KNOWN_MEMORY_TIMES: u64 = 2;
/// The same of the time that passes, which depends on what else the machine does. Processor time is what bounds it.
const KNOWN_MS_TIMES: u64 = 1_000;

/// How often it is said that a plugin of this host is still being compiled.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// What a worker is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Task {
    /// To compile what somebody sent: within the limits, and after everything else on this machine.
    CompileUpload,
    /// To compile a plugin of this host, which waits for it.
    CompileKnown,
    /// To say what confines it.
    Probe,
}

/// The first line that a worker reads.
#[derive(Serialize, Deserialize)]
struct Order {
    task: Task,
    limits: PluginLimits,
}

/// Starts workers.
pub(super) struct Worker {
    program: PathBuf,
    limits: PluginLimits,
    running: AtomicUsize,
    confinement: OnceLock<Confinement>,
}

impl Worker {
    /// Of a program that is a `weir`.
    pub(super) fn new(program: &Path, limits: &PluginLimits) -> Self {
        Self {
            program: program.to_owned(),
            limits: limits.clone(),
            running: AtomicUsize::new(0),
            confinement: OnceLock::new(),
        }
    }

    /// How many compile something now.
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Machine code of a component. Once it is not `wanted` any more the worker is killed.
    pub(super) fn compile(&self, task: Task, component: &[u8], wanted: &dyn Fn() -> bool) -> Result<Vec<u8>, Refusal> {
        let _turn = Turn::take(&self.running)?;
        let limits = limits_for(task, &self.limits, component);
        self.ask(Order { task, limits }, component, wanted)
    }

    /// Starts a worker that says what confines it; kept for [`confinement`](Self::confinement).
    pub(super) fn probe(&self) -> Result<&Confinement, Refusal> {
        let answer = self.ask(Order { task: Task::Probe, limits: self.limits.clone() }, &[], &|| true)?;
        let found = serde_json::from_slice(&answer).map_err(|error| Refusal::Worker { detail: error.to_string() })?;
        Ok(self.confinement.get_or_init(|| found))
    }

    /// What confines workers, once it was probed.
    pub(super) fn confinement(&self) -> Option<&Confinement> {
        self.confinement.get()
    }

    fn ask(&self, order: Order, component: &[u8], wanted: &dyn Fn() -> bool) -> Result<Vec<u8>, Refusal> {
        let failed = |error: io::Error| Refusal::Worker { detail: format!("{}: {error}", self.program.display()) };
        let child = self.start().map_err(failed)?;
        let ended = talk(child, &order, component, wanted).map_err(failed)?;
        judge(&order.limits, ended)
    }

    fn start(&self) -> io::Result<Child> {
        Command::new(&self.program)
            .arg(WORKER)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }
}

/// What a worker may take.
fn limits_for(task: Task, limits: &PluginLimits, component: &[u8]) -> PluginLimits {
    let limits = limits.clone();
    if task != Task::CompileKnown {
        return limits;
    }
    PluginLimits {
        upload_bytes_max: limits.upload_bytes_max.max(component.len()),
        compile_ms_max: limits.compile_ms_max.saturating_mul(KNOWN_MS_TIMES),
        compile_cpu_s_max: limits.compile_cpu_s_max.saturating_mul(KNOWN_CPU_TIMES),
        compile_memory_bytes_max: limits.compile_memory_bytes_max.saturating_mul(KNOWN_MEMORY_TIMES),
        compiled_bytes_max: limits.compiled_bytes_max.saturating_mul(KNOWN_MEMORY_TIMES),
        ..limits
    }
}

fn talk(mut child: Child, order: &Order, component: &[u8], wanted: &dyn Fn() -> bool) -> io::Result<Ended> {
    let header = serde_json::to_string(order).map_err(io::Error::other)?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(io::Error::other("its pipes are gone"));
    };
    let answer_bytes_max = order.limits.compiled_bytes_max + 1;
    thread::scope(|scope| {
        // A worker that ends before it has read everything says why in its answer.
        scope.spawn(move || {
            let _ = writeln!(stdin, "{header}").and_then(|()| stdin.write_all(component));
        });
        let said = scope.spawn(move || read(stderr, SAID_BYTES_MAX).unwrap_or_default());
        let (sender, answer) = mpsc::channel();
        scope.spawn(move || sender.send(read(stdout, answer_bytes_max + 1)));
        let (answer, stopped) = match wait(&answer, order, wanted) {
            Ok(Ok(bytes)) if bytes.len() as u64 > answer_bytes_max => (Ok(Vec::new()), Some(Stopped::TooLarge)),
            Ok(answer) => (answer, None),
            Err(stopped) => (Ok(Vec::new()), Some(stopped)),
        };
        // Killed or ended, its pipes are closed then, and with them the threads come to their end.
        if stopped.is_some() {
            let _ = child.kill();
        }
        let status = child.wait()?;
        let said = said.join().unwrap_or_default();
        Ok(Ended { answer: answer?, stopped, status, said })
    })
}

/// Waits for an answer as long as it is wanted and the limits allow.
fn wait<T>(answer: &mpsc::Receiver<T>, order: &Order, wanted: &dyn Fn() -> bool) -> Result<T, Stopped> {
    let (begun, limit) = (Instant::now(), Duration::from_millis(order.limits.compile_ms_max));
    let mut say_after = SAY_EVERY;
    loop {
        let left = limit.saturating_sub(begun.elapsed());
        match answer.recv_timeout(left.min(LOOK_EVERY)) {
            Ok(answer) => return Ok(answer),
            Err(_) if !wanted() => return Err(Stopped::NotWanted),
            Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
            Err(_) => return Err(Stopped::Late),
        }
        if order.task == Task::CompileKnown && begun.elapsed() >= say_after {
            tracing::info!(seconds = begun.elapsed().as_secs(), "a plugin is still being compiled");
            say_after += SAY_EVERY;
        }
    }
}

/// What a worker's end means.
fn judge(limits: &PluginLimits, ended: Ended) -> Result<Vec<u8>, Refusal> {
    let Ended { mut answer, stopped, status, said } = ended;
    let said = clean(String::from_utf8_lossy(&said).trim(), DETAIL_BYTES_MAX);
    let memory = |bytes, setting| Refusal::CompileMemory { limit: format!("{bytes} bytes (plugins.{setting})") };
    match stopped {
        Some(Stopped::NotWanted) => return Err(Refusal::NotWanted),
        Some(Stopped::TooLarge) => return Err(memory(limits.compiled_bytes_max, "compiled_bytes_max")),
        Some(Stopped::Late) => {
            let limit = format!("{} ms (plugins.compile_ms_max)", limits.compile_ms_max);
            return Err(Refusal::CompileTime { limit });
        }
        None => {}
    }
    if status.signal() == Some(Signal::XCPU.as_raw()) {
        let limit = format!("{} s of processor time (plugins.compile_cpu_s_max)", limits.compile_cpu_s_max);
        return Err(Refusal::CompileTime { limit });
    }
    // Killed, and not by us: the system is short of memory.
    let failed = !status.success() || answer.first() == Some(&PANICKED);
    let out_of_memory = status.signal() == Some(Signal::KILL.as_raw()) || DENIED.iter().any(|it| said.contains(it));
    if failed && out_of_memory {
        return Err(memory(limits.compile_memory_bytes_max, "compile_memory_bytes_max"));
    }
    if !status.success() {
        return Err(Refusal::CompilerPanic { detail: format!("{status}: {said}") });
    }
    if answer.is_empty() {
        return Err(Refusal::Worker { detail: format!("it gave no answer: {said}") });
    }
    let body = answer.split_off(1);
    let detail = clean(&String::from_utf8_lossy(&body[..body.len().min(SAID_BYTES_MAX as usize)]), DETAIL_BYTES_MAX);
    match answer[0] {
        CODE | PROBED => Ok(body),
        PANICKED => Err(Refusal::CompilerPanic { detail }),
        UNCONFINED => {
            Err(Refusal::Worker { detail: format!("it cannot be confined (plugins.confinement_required): {detail}") })
        }
        _ => Err(Refusal::Malformed { detail }),
    }
}

/// Why a worker was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    NotWanted,
    Late,
    TooLarge,
}

/// A worker that is gone, and what it left.
struct Ended {
    answer: Vec<u8>,
    stopped: Option<Stopped>,
    status: ExitStatus,
    said: Vec<u8>,
}

fn read(from: impl Read, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// One of the workers that may run at once, given back on drop.
struct Turn<'a>(&'a AtomicUsize);

impl<'a> Turn<'a> {
    fn take(running: &'a AtomicUsize) -> Result<Self, Refusal> {
        let one_more = |running: usize| (running < AT_ONCE).then_some(running + 1);
        match running.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more) {
            Ok(_) => Ok(Self(running)),
            Err(_) => Err(Refusal::Busy { at_once: AT_ONCE }),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
