//! From the bytes of an upload to a plugin, or to the reason why not.
//!
//! It must not know who uploaded them or where they are kept. Invariant: the guest runs only after its size, its form,
//! its imports and its exports were found right, and then only under the limits of a call.

use std::{
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use wasmtime::{
    Engine,
    component::{Component, ComponentExportIndex, Linker, types::ComponentItem},
};

use super::{
    contract::{CHECK, DESCRIBE, EVALUATE},
    describe::{self, Origin},
    engine::{Purpose, Sandbox},
    instance::{Compiled, Instance, Plugin, Terms},
    refusal::Refusal,
    text::clean,
    worker::Task,
};
use crate::domain::{Digest, Metering, Millis, OperatorId};

/// How every WebAssembly binary begins, and what follows in a core module and in a component.
const MAGIC: &[u8] = b"\0asm";
const CORE_VERSION: &[u8] = &[1, 0, 0, 0];

/// Bytes of a detail that comes from the compiler.
pub(super) const DETAIL_BYTES_MAX: usize = 400;

/// How long to wait before a plugin of this host is compiled again.
const KNOWN_PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// Imports named in a refusal.
const IMPORTS_NAMED_MAX: usize = 5;

impl Sandbox {
    /// Components that are being compiled, each by a process of its own.
    pub fn compiling(&self) -> usize {
        self.0.compiler.running()
    }

    /// Checks a component, compiles it and asks it to describe itself. It may take as long as `compile_ms_max` says, so
    /// do not call it where alerts wait.
    ///
    /// Nothing of it is kept: [`Plugin::keep`] does that once it is a plugin of this host.
    ///
    /// # Errors
    /// The first defect that is found.
    pub fn load(&self, bytes: &[u8], uploaded_ms: Millis) -> Result<Plugin, Refusal> {
        self.load_for(bytes, uploaded_ms, OperatorId::UNKNOWN, &|| true)
    }

    /// The same, within what the one who uploads it may take up, and given up once it is not `wanted` any more.
    ///
    /// # Errors
    /// The first defect that is found.
    pub fn load_for(
        &self,
        bytes: &[u8],
        uploaded_ms: Millis,
        owner: OperatorId,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Plugin, Refusal> {
        let terms = Terms::today(Metering::Live, Purpose::Check, owner);
        check_size(bytes, self.0.limits.of(owner).upload_bytes_max)?;
        let plugin = self.load_under((bytes, uploaded_ms), terms, Task::CompileUpload, wanted)?;
        // Not of a plugin that was taken before this was asked: its rules name it by digest, and must start.
        describe::check_tells_from_digests(plugin.info())?;
        Ok(plugin)
    }

    /// The same for a component that is a plugin of this host already. What it did within its limits when it was
    /// uploaded it is given room to do again: to be compiled, on a machine that is slower or has much to do, and to describe
    /// itself. So no plugin keeps a host from starting because a limit was met. Where a compiler could not be started, or
    /// the system was short of memory, it is tried again. Its code is kept.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_known(&self, bytes: &[u8], uploaded_ms: Millis) -> Result<Plugin, Refusal> {
        let terms = Terms::today(Metering::Replay, Purpose::Check, OperatorId::UNKNOWN);
        let mut pauses = KNOWN_PAUSES.iter();
        loop {
            match (self.load_under((bytes, uploaded_ms), terms, Task::CompileKnown, &|| true), pauses.next()) {
                (Ok(plugin), _) => {
                    plugin.keep();
                    return Ok(plugin);
                }
                (Err(refusal), Some(pause)) if refusal.may_pass() => {
                    tracing::warn!(%refusal, "a plugin of this host could not be compiled; it is tried again");
                    thread::sleep(*pause);
                }
                (Err(refusal), _) => return Err(refusal),
            }
        }
    }

    fn load_under(
        &self,
        (bytes, uploaded_ms): (&[u8], Millis),
        terms: Terms,
        task: Task,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Plugin, Refusal> {
        let host = Arc::clone(&self.0);
        check_form(bytes)?;
        let digest = Digest(Sha256::digest(bytes).into());
        let (component, kept) = host.compiler.component(&host.engine, task, (&digest, bytes), wanted)?;
        check_imports(&host.engine, &component)?;
        let exports = [DESCRIBE, CHECK, EVALUATE].map(|name| export(&component, name));
        let [describe, check, evaluate] = exports;
        let (describe, check, evaluate) = (describe?, check?, evaluate?);
        let component = Linker::new(&host.engine).instantiate_pre(&component).map_err(|error| malformed(&error))?;
        let compiled =
            Arc::new(Compiled { host, component, kept, revoked: AtomicBool::new(false), describe, check, evaluate });

        let mut instance = Instance::new(&compiled, terms, 0)?;
        if let Some((name, error)) = instance.mismatch() {
            return Err(Refusal::WrongExport { name, what: clean(&error.root_cause().to_string(), DETAIL_BYTES_MAX) });
        }
        let origin = Origin { digest, size_bytes: bytes.len() as u64, uploaded_ms };
        let (info, schema) = describe::info(instance.describe()?, origin, compiled.host.limits(terms))?;
        Ok(Plugin::new(compiled, info, schema))
    }
}

fn check_size(bytes: &[u8], bytes_max: usize) -> Result<(), Refusal> {
    if bytes.len() > bytes_max { Err(Refusal::TooLarge { bytes: bytes.len(), bytes_max }) } else { Ok(()) }
}

fn check_form(bytes: &[u8]) -> Result<(), Refusal> {
    let Some(version) = bytes.strip_prefix(MAGIC) else {
        let start = bytes[..bytes.len().min(8)].escape_ascii().to_string();
        return Err(Refusal::NotWasm { start });
    };
    if version.starts_with(CORE_VERSION) { Err(Refusal::CoreModule) } else { Ok(()) }
}

/// An interface of which only types are imported is no import of anything: every component that is built against the
/// world shows one.
fn check_imports(engine: &Engine, component: &Component) -> Result<(), Refusal> {
    let ty = component.component_type();
    let mut names: Vec<String> =
        ty.imports(engine).flat_map(|(name, import)| wanted(engine, name.to_owned(), &import.ty)).collect();
    if names.is_empty() {
        return Ok(());
    }
    let more = names.len().saturating_sub(IMPORTS_NAMED_MAX);
    names.truncate(IMPORTS_NAMED_MAX);
    Err(Refusal::Imports { names: names.iter().map(|name| clean(name, 100)).collect(), more })
}

/// What an import wants from the host, by name: nothing for a type, and what is in it for an instance.
fn wanted(engine: &Engine, name: String, item: &ComponentItem) -> Vec<String> {
    match item {
        ComponentItem::Type(_) => Vec::new(),
        ComponentItem::ComponentInstance(instance) => instance
            .exports(engine)
            .flat_map(|(inner, export)| wanted(engine, format!("{name}#{inner}"), &export.ty))
            .collect(),
        ComponentItem::ComponentFunc(_)
        | ComponentItem::CoreFunc(_)
        | ComponentItem::Module(_)
        | ComponentItem::Component(_)
        | ComponentItem::Resource(_) => vec![name],
    }
}

fn export(component: &Component, name: &'static str) -> Result<ComponentExportIndex, Refusal> {
    let kind = match component.get_export(None, name) {
        None => return Err(Refusal::MissingExport { name }),
        Some((ComponentItem::ComponentFunc(_), index)) => return Ok(index),
        Some((ComponentItem::ComponentInstance(_), _)) => "an instance",
        Some((ComponentItem::Type(_) | ComponentItem::Resource(_), _)) => "a type",
        Some(_) => "a module or component",
    };
    Err(Refusal::WrongExport { name, what: format!("it is {kind}, not a function") })
}

pub(super) fn malformed(error: &wasmtime::Error) -> Refusal {
    Refusal::Malformed { detail: clean(&format!("{error:#}"), DETAIL_BYTES_MAX) }
}
