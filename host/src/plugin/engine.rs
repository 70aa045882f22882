//! The engine all plugins run in: its settings, its clock, and how many instances may live at once.
//!
//! It must not know the rule contract. Invariant: as long as a plugin lives, the epoch advances, so that a deadline
//! always comes; and no more instances live than the pool has room for.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails, WasmFeatures,
};

use super::{compile::Compiler, instance::Terms, meter::TICK_MS, text::clean, worker::Confinement};
use crate::{
    config::{LimitsByOwner, PluginLimits},
    domain::{GuestRoom, Metering},
};

/// Instances that live at once; whoever wants one more waits. A handful is enough: a call takes microseconds to
/// milliseconds, and every instance beyond the number of cores only waits for one.
const INSTANCES_MAX: u32 = 8;

/// Of those, how many may be busy with what somebody sent: components that describe themselves, parameters that are
/// checked, golden runs. The others are there for alerts, whoever uploads or sets rules how often.
const CHECKS_MAX: u32 = 4;

/// Core instances, memories and tables of one component. One of each is what a Rust guest has; those of interpreted
/// languages are linked from several modules.
const CORE_INSTANCES_PER_COMPONENT_MAX: u32 = 32;
const MEMORIES_PER_COMPONENT_MAX: u32 = 8;
const TABLES_PER_COMPONENT_MAX: u32 = 16;

/// Bytes of a memory that stay resident when its instance is gone, cleared by copying instead of unmapping. The
/// columns of a full group and their allocator fit in it.
const MEMORY_BYTES_RESIDENT: usize = 2 << 20;
const TABLE_BYTES_RESIDENT: usize = 64 << 10;

/// Memories kept ready for the component that used them last, although nobody uses them now. Together with what each
/// keeps resident this bounds what an idle sandbox holds.
const MEMORIES_WARM_MAX: u32 = 16;

/// What a guest may have where it is called once more without a record of what it had, and what there is room for in any
/// case: a limit that was lowered must not keep a recorded call from running again, nor a plugin from being loaded. It is
/// address space, no memory.
pub(super) const WIDEST: GuestRoom =
    GuestRoom { memory_bytes_max: 1 << 30, table_entries_max: 1_000_000, deadline_ms: 10_000 };

/// A larger stack may not fit on the threads that call plugins, and overrunning those would end the process.
const STACK_BYTES_MAX: usize = 1 << 20;

/// What a component may use of WebAssembly. A list of what is on, so that nothing comes in by an upgrade: left out
/// are threads, relaxed SIMD (its results differ between machines), 64-bit memories, garbage collection, exceptions
/// and asynchronous components. Multi-memory is on because the compiler panics over some components without it.
const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .difference(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::COMPONENT_MODEL);

/// Compiles and runs plugins. A handle: cheap to clone. It lives as long as it or any of its plugins does.
#[derive(Clone)]
pub struct Sandbox(pub(super) Arc<Host>);

/// Why there is no sandbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SandboxError {
    /// A setting is out of range.
    #[error("plugins.{field} is {value}: it must be {allowed}")]
    Setting {
        /// Its name.
        field: &'static str,
        /// Its value.
        value: usize,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The engine cannot be made, for instance because the address space is limited.
    #[error(
        "the plugin engine cannot be started: {0}. It reserves address space, but no memory, for {INSTANCES_MAX} \
             instances: see that neither ulimit -v nor the container forbids it"
    )]
    Engine(String),
    /// The processes that compile cannot be confined as the settings ask for.
    #[error("plugins.confinement_required: {0}")]
    Unconfined(String),
    /// Compiled plugins cannot be kept.
    #[error("compiled plugins cannot be kept in {folder}: {error}")]
    Artefacts {
        /// Where.
        folder: String,
        /// Why not.
        error: String,
    },
}

/// What a sandbox and its plugins share.
pub(super) struct Host {
    pub(super) engine: Engine,
    pub(super) limits: LimitsByOwner,
    /// For plugins that were taken before, whatever the limits were then: the bounds of the settings.
    known: PluginLimits,
    pub(super) slots: Arc<Slots>,
    pub(super) compiler: Compiler,
    _ticker: Ticker,
}

impl Sandbox {
    /// Starts the engine and its clock. It compiles in this process: only for components that are trusted not to be
    /// made to harm a compiler.
    ///
    /// # Errors
    /// A limit that no engine can hold, or an engine that cannot be had on this machine.
    pub fn new(limits: &PluginLimits) -> Result<Self, SandboxError> {
        Self::with(limits, Compiler::Here)
    }

    /// The same, but components are compiled by processes of `program`, a `weir`, each under limits of its own, and
    /// what they make is kept in `folder`.
    ///
    /// # Errors
    /// As [`new`](Self::new), or a folder that cannot be used.
    pub fn confined(limits: &PluginLimits, program: &Path, folder: &Path) -> Result<Self, SandboxError> {
        let failed = |error: std::io::Error| SandboxError::Artefacts {
            folder: folder.display().to_string(),
            error: error.to_string(),
        };
        let compiler = Compiler::elsewhere(program, Some(folder), limits).map_err(failed)?;
        Self::with(limits, compiler)
    }

    /// The same, but nothing is kept: for a process that ends soon.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn confined_once(limits: &PluginLimits, program: &Path) -> Result<Self, SandboxError> {
        let compiler =
            Compiler::elsewhere(program, None, limits).map_err(|error| SandboxError::Engine(error.to_string()))?;
        Self::with(limits, compiler)
    }

    /// Finds out what confines the processes that compile, by starting one; `None` where this process compiles itself.
    ///
    /// # Errors
    /// [`SandboxError::Unconfined`] where something is missing that `plugins.confinement_required` asks for.
    pub fn check_confinement(&self) -> Result<Option<&Confinement>, SandboxError> {
        let required = self.0.limits.host.confinement_required;
        match self.0.compiler.probe() {
            None => Ok(None),
            Some(Ok(found)) if required && !found.is_whole() => Err(SandboxError::Unconfined(found.to_string())),
            Some(Ok(found)) => Ok(Some(found)),
            Some(Err(refusal)) if required => Err(SandboxError::Unconfined(refusal.to_string())),
            Some(Err(refusal)) => {
                tracing::warn!(%refusal, "what confines the compiler of plugins is not known");
                Ok(None)
            }
        }
    }

    /// What [`check_confinement`](Self::check_confinement) found.
    pub fn confinement(&self) -> Option<&Confinement> {
        self.0.compiler.confinement()
    }

    /// Removes kept code that no component loaded since the start has asked for.
    pub fn sweep(&self) {
        self.0.compiler.sweep();
    }

    fn with(limits: &PluginLimits, compiler: Compiler) -> Result<Self, SandboxError> {
        let setting = |field, value, allowed| Err(SandboxError::Setting { field, value, allowed });
        if !(1..=STACK_BYTES_MAX).contains(&limits.stack_bytes_max) {
            return setting("stack_bytes_max", limits.stack_bytes_max, "from 1 to 1048576");
        }
        if !(1 << 16..=1 << 32).contains(&limits.memory_bytes_max) {
            return setting("memory_bytes_max", limits.memory_bytes_max, "from 65536 to 4294967296");
        }
        if !(1..=10_000_000).contains(&limits.table_entries_max) {
            return setting("table_entries_max", limits.table_entries_max, "from 1 to 10000000");
        }
        let failed = |error: wasmtime::Error| SandboxError::Engine(clean(&format!("{error:#}"), 400));
        let mut config = compiler_config(limits);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
        let engine = Engine::new(&config).map_err(failed)?;
        let ticker = Ticker::start(engine.clone()).map_err(|error| SandboxError::Engine(error.to_string()))?;
        let slots = Arc::new(Slots::new());
        let known = PluginLimits { text_bytes_max: 64 << 10, state_words_max: 256, ..limits.clone() };
        let limits = LimitsByOwner::new(limits.clone());
        Ok(Self(Arc::new(Host { engine, limits, known, slots, compiler, _ticker: ticker })))
    }
}

impl Host {
    /// What holds for a component that is loaded.
    pub(super) fn limits(&self, terms: Terms) -> &PluginLimits {
        if terms.metering == Metering::Replay { &self.known } else { self.limits.of(terms.owner) }
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("limits", &self.0.limits.host).finish_non_exhaustive()
    }
}

/// All that code depends on: whoever compiles must have the same.
pub(super) fn compiler_config(limits: &PluginLimits) -> Config {
    let mut config = Config::new();
    config
        .wasm_features(WasmFeatures::all(), false)
        .wasm_features(FEATURES, true)
        .concurrency_support(false)
        // The same bits on every machine, and an end by fuel at the same instruction.
        .cranelift_nan_canonicalization(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(limits.stack_bytes_max)
        // Backtraces would bring addresses into texts that must be the same everywhere.
        .wasm_backtrace_max_frames(None)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .generate_address_map(false)
        .memory_init_cow(true);
    config
}

fn pool(limits: &PluginLimits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES_MAX)
        .total_core_instances(INSTANCES_MAX * CORE_INSTANCES_PER_COMPONENT_MAX)
        .total_memories(INSTANCES_MAX * MEMORIES_PER_COMPONENT_MAX)
        .total_tables(INSTANCES_MAX * TABLES_PER_COMPONENT_MAX)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT_MAX)
        .max_memories_per_component(MEMORIES_PER_COMPONENT_MAX)
        .max_tables_per_component(TABLES_PER_COMPONENT_MAX)
        .max_memories_per_module(MEMORIES_PER_COMPONENT_MAX)
        .max_tables_per_module(TABLES_PER_COMPONENT_MAX)
        .max_memory_size(limits.memory_bytes_max.max(WIDEST.memory_bytes_max as usize))
        .table_elements(limits.table_entries_max.max(WIDEST.table_entries_max as usize))
        .linear_memory_keep_resident(MEMORY_BYTES_RESIDENT.min(limits.memory_bytes_max))
        .table_keep_resident(TABLE_BYTES_RESIDENT)
        .max_unused_warm_slots(MEMORIES_WARM_MAX)
        // Where the kernel can name the pages that were touched, only those are cleared.
        .pagemap_scan(Enabled::Auto);
    pool
}

/// The thread that advances the epoch until it is dropped.
struct Ticker {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: Engine) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let tick = move || {
            while stopped.recv_timeout(Duration::from_millis(TICK_MS)) == Err(mpsc::RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        };
        let thread = thread::Builder::new().name("weir-epoch".to_owned()).spawn(tick)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends at once: its channel is closed. Should it have panicked, there is nobody left to tell.
            let _ended = thread.join();
        }
    }
}

/// What an instance is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To judge alerts.
    Judge,
    /// To look at what somebody sent.
    Check,
}

/// Room for instances. With it a full pool is a short wait; without it, it would be a fault of an innocent rule.
pub(super) struct Slots {
    free: Mutex<Free>,
    freed: Condvar,
}

/// How many more there may be.
struct Free {
    all: u32,
    checks: u32,
}

impl Free {
    fn has_room(&self, purpose: Purpose) -> bool {
        self.all > 0 && (purpose == Purpose::Judge || self.checks > 0)
    }
}

impl Slots {
    fn new() -> Self {
        Self { free: Mutex::new(Free { all: INSTANCES_MAX, checks: CHECKS_MAX }), freed: Condvar::new() }
    }

    /// Takes a slot, waiting for one if need be.
    pub(super) fn take(self: &Arc<Self>, purpose: Purpose) -> Slot {
        let full = |free: &mut Free| !free.has_room(purpose);
        let mut free = self.freed.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        free.all -= 1;
        if purpose == Purpose::Check {
            free.checks -= 1;
        }
        Slot { slots: Arc::clone(self), purpose }
    }

    // A count is right whoever panicked while holding it.
    fn lock(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for one instance, given back on drop.
pub(super) struct Slot {
    slots: Arc<Slots>,
    purpose: Purpose,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut free = self.slots.lock();
        free.all += 1;
        if self.purpose == Purpose::Check {
            free.checks += 1;
        }
        drop(free);
        // All of them: the one that is woken may be one that may not go on yet.
        self.slots.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_wait_for_each_other_and_alerts_do_not_wait_for_them() {
        let slots = Arc::new(Slots::new());
        let mut checks: Vec<Slot> = (0..CHECKS_MAX).map(|_| slots.take(Purpose::Check)).collect();
        let (sender, taken) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| sender.send(slots.take(Purpose::Check)));
            // All that are left, at once.
            let judging: Vec<Slot> = (CHECKS_MAX..INSTANCES_MAX).map(|_| slots.take(Purpose::Judge)).collect();
            drop(judging);
            assert!(taken.recv_timeout(Duration::from_millis(50)).is_err(), "one check more waits");
            checks.pop();
            taken.recv().expect("until another is over");
        });
    }
}
