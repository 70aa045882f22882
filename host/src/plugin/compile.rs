//! Where components are compiled, and under which conditions machine code is loaded.
//!
//! It must not know what a component does. Invariant: machine code is loaded only when a worker of ours has just made
//! it, or when this host had it made before and its MAC says so. What a client sends is never taken for code.

use std::{
    any::Any,
    io,
    panic::{self, AssertUnwindSafe},
    path::Path,
};

use wasmtime::{Engine, component::Component};

use super::{
    artefacts::Artefacts,
    load::{DETAIL_BYTES_MAX, malformed},
    refusal::Refusal,
    text::clean,
    worker::{Confinement, Task, Worker},
};
use crate::{config::PluginLimits, domain::Digest};

/// Who compiles.
pub(super) enum Compiler {
    /// This process.
    Here,
    /// A process of its own for each component that is not kept yet.
    Elsewhere {
        /// Starts them.
        worker: Box<Worker>,
        /// What they made; `None` where nothing is kept.
        artefacts: Option<Artefacts>,
    },
}

impl Compiler {
    /// Compiles with processes of `program`, and keeps what they make in `folder`, if one is given.
    pub(super) fn elsewhere(program: &Path, folder: Option<&Path>, limits: &PluginLimits) -> io::Result<Self> {
        let artefacts = folder.map(|folder| Artefacts::open(folder, limits.compiled_bytes_max)).transpose()?;
        Ok(Self::Elsewhere { worker: Box::new(Worker::new(program, limits)), artefacts })
    }

    /// How many processes compile something now.
    pub(super) fn running(&self) -> usize {
        match self {
            Self::Here => 0,
            Self::Elsewhere { worker, .. } => worker.running(),
        }
    }

    /// Finds out what confines the processes that compile; `None` where there are none.
    pub(super) fn probe(&self) -> Option<Result<&Confinement, Refusal>> {
        match self {
            Self::Here => None,
            Self::Elsewhere { worker, .. } => Some(worker.probe()),
        }
    }

    /// What confines them, as far as it was found out.
    pub(super) fn confinement(&self) -> Option<&Confinement> {
        match self {
            Self::Here => None,
            Self::Elsewhere { worker, .. } => worker.confinement(),
        }
    }

    /// A component, whose digest is given with it, ready to be linked; and whether that is what was kept of it. A worker
    /// is ended once the component is not `wanted` any more.
    pub(super) fn component(
        &self,
        engine: &Engine,
        task: Task,
        (digest, bytes): (&Digest, &[u8]),
        wanted: &dyn Fn() -> bool,
    ) -> Result<(Component, bool), Refusal> {
        let (worker, artefacts) = match self {
            Self::Here => return guarded(|| Component::from_binary(engine, bytes)).map(|component| (component, false)),
            Self::Elsewhere { worker, artefacts } => (worker, artefacts),
        };
        let read = artefacts.as_ref().and_then(|artefacts| artefacts.read(&artefacts.name(engine, digest)));
        if let Some(component) = read.and_then(|code| load(engine, &code).ok()) {
            return Ok((component, true));
        }
        let code = worker.compile(task, bytes, wanted)?;
        // The worker has no pool of memories to ask: that a component wants more than the pool gives is found here.
        guarded(|| load(engine, &code)).map(|component| (component, false))
    }

    /// Keeps the code of a component, where that is done.
    pub(super) fn keep(&self, digest: &Digest, component: &Component) {
        let Self::Elsewhere { artefacts: Some(artefacts), .. } = self else { return };
        let name = artefacts.name(component.engine(), digest);
        let written = component.serialize().and_then(|code| Ok(artefacts.write(&name, &code)?));
        // Without it the next start compiles again; that is all.
        if let Err(error) = written {
            tracing::warn!(%error, "a compiled plugin could not be kept");
        }
    }

    /// Removes the code of a component.
    pub(super) fn discard(&self, digest: &Digest, component: &Component) {
        if let Self::Elsewhere { artefacts: Some(artefacts), .. } = self {
            artefacts.remove(&artefacts.name(component.engine(), digest));
        }
    }

    /// Removes what was made for plugins, settings or engines that are not asked for any more.
    pub(super) fn sweep(&self) {
        if let Self::Elsewhere { artefacts: Some(artefacts), .. } = self {
            artefacts.sweep();
        }
    }
}

/// Runs the compiler and turns a panic of it into a refusal. There are known inputs over which it panics instead of
/// returning an error. Nothing of a failed compilation is used again.
pub(super) fn guarded<T>(compile: impl FnOnce() -> wasmtime::Result<T>) -> Result<T, Refusal> {
    match panic::catch_unwind(AssertUnwindSafe(compile)) {
        Ok(compiled) => compiled.map_err(|error| malformed(&error)),
        Err(panic) => Err(Refusal::CompilerPanic { detail: clean(&panic_text(panic.as_ref()), DETAIL_BYTES_MAX) }),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it did not say why").to_owned()
}

#[allow(unsafe_code)]
fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: these bytes are what `Engine::precompile_component` has returned in a worker, which is this very program
    // on the other end of a pipe: either now, or earlier, and then a MAC under a key that only this host can read has
    // shown that they are unchanged. The engine itself refuses what another version or configuration made.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_compiler_becomes_its_message() {
        assert_eq!(guarded(|| Ok(5)), Ok(5));
        let refusal = |detail: &str| Err::<(), _>(Refusal::CompilerPanic { detail: detail.to_owned() });
        assert_eq!(guarded(|| panic!("plain")), refusal("plain"));
        assert_eq!(guarded(|| panic!("{} {}", "with", 1)), refusal("with 1"));
        assert_eq!(guarded(|| panic::panic_any(7)), refusal("it did not say why"));
    }
}
