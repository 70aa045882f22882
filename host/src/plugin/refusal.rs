//! Why a component is not taken as a plugin, and why parameters are not taken by one.
//!
//! It must not know how a defect is found. Invariant: every message says what was found and what to do about it; texts
//! from the component are bounded and cleaned before they get here.

use super::schema::Mismatch;
use crate::domain::{FaultKind, RuleFault};

/// Why an upload is refused: the uploader's fault, whichever it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More bytes than allowed.
    #[error(
        "the component has {bytes} bytes and {bytes_max} are allowed: strip it (wasm-tools strip), or raise \
             plugins.upload_bytes_max"
    )]
    TooLarge {
        /// Size of the upload.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Not WebAssembly at all.
    #[error(
        "this is not a WebAssembly binary: it begins with \"{start}\" where \"\\0asm\" belongs. Upload the .wasm \
             file of a component, not its source, its text form or an archive of it"
    )]
    NotWasm {
        /// Its first bytes, escaped.
        start: String,
    },
    /// A core module where a component belongs.
    #[error(
        "this is a core WebAssembly module, not a component: build a rule's package with `weir plugin build`, or wrap \
             the module with wit-component, on the command line `wasm-tools component new plugin.wasm -o \
             plugin.component.wasm`, and take the result"
    )]
    CoreModule,
    /// Invalid, or it uses a feature that is off, or asks for more than any instance may have.
    #[error("the component is invalid, uses a feature that is off here, or needs more than the limits allow: {detail}")]
    Malformed {
        /// What the compiler says.
        detail: String,
    },
    /// The compiler panicked over it.
    #[error(
        "the compiler failed over this component, which is a defect of the compiler and not necessarily of the \
             component: {detail}. Try another toolchain or version to build it, and report it"
    )]
    CompilerPanic {
        /// The panic's message.
        detail: String,
    },
    /// Compiling it took too long.
    #[error(
        "compiling the component took more than {limit}, and was stopped: make its functions smaller, or raise the limit"
    )]
    CompileTime {
        /// The limit that was reached, with its setting.
        limit: String,
    },
    /// Compiling it took too much memory, or made too much code.
    #[error(
        "compiling the component took more than {limit}, and was stopped: make its functions smaller, or raise the limit"
    )]
    CompileMemory {
        /// The limit that was reached, with its setting.
        limit: String,
    },
    /// Enough are being compiled already.
    #[error(
        "{at_once} components are being compiled already, which is as many as are compiled at once: try again in a while"
    )]
    Busy {
        /// How many.
        at_once: usize,
    },
    /// Its uploader went away before it was compiled.
    #[error("the upload was cancelled before the component was compiled")]
    NotWanted,
    /// The process that compiles could not do its work; the component is not to blame.
    #[error("the process that compiles plugins failed: {detail}")]
    Worker {
        /// How.
        detail: String,
    },
    /// It wants something from outside.
    #[error("the component imports {}{}, and a rule may import no function, resource or module: it is a pure function \
             of its arguments.{}", names.join(", "), and_more(*more), import_advice(names))]
    Imports {
        /// What it imports, the first few.
        names: Vec<String>,
        /// How many more there are.
        more: usize,
    },
    /// A function of the contract is not there.
    #[error(
        "the component does not export the function `{name}`: build it against world `rule` of package \
             weir:rule@0.1.0 (wit/rule.wit)"
    )]
    MissingExport {
        /// Its name.
        name: &'static str,
    },
    /// It is there, but of another type.
    #[error(
        "the component exports `{name}`, but not as world `rule` of package weir:rule@0.1.0 has it: {what}. Build \
             it against that wit/rule.wit"
    )]
    WrongExport {
        /// Its name.
        name: &'static str,
        /// The difference.
        what: String,
    },
    /// It failed while it was started or asked to describe itself.
    #[error("the plugin failed when it was asked to describe itself ({}: {detail}): `describe` must return a constant \
             within the fuel of a call", kind.name())]
    Describe {
        /// The kind of fault.
        kind: FaultKind,
        /// The fault.
        detail: String,
    },
    /// What it says of itself is not acceptable.
    #[error("the plugin's description is not acceptable: {field} {message}")]
    Description {
        /// The field, as the contract names it.
        field: &'static str,
        /// What was found and what is allowed.
        message: String,
    },
}

impl Refusal {
    /// True if the component is not to blame, so that the same may pass later: a compiler that could not work, for want of a
    /// process or of memory.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Worker { .. } | Self::CompileMemory { .. })
    }
}

impl From<RuleFault> for Refusal {
    fn from(RuleFault { kind, detail }: RuleFault) -> Self {
        Self::Describe { kind, detail }
    }
}

fn and_more(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" and {more} more") }
}

fn import_advice(names: &[String]) -> &'static str {
    if names.iter().any(|name| name.starts_with("wasi:")) {
        " The wasi: imports come with the compilation target, used or not: build for wasm32-unknown-unknown instead of \
         a wasm32-wasi target, then wrap the module with wit-component"
    } else {
        " Take the import out of the world it is built against"
    }
}

/// Why a plugin does not take parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// More bytes than allowed.
    #[error("the parameters have {bytes} bytes and {bytes_max} are allowed (plugins.parameters_bytes_max)")]
    TooLarge {
        /// Size of the parameters.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// They are not as the plugin's schema has them: at least one place.
    #[error("{}", places(.0))]
    Mismatch(Vec<Mismatch>),
    /// The plugin's own words, bounded and cleaned.
    #[error("{0}")]
    Refused(String),
    /// The plugin failed over them.
    #[error("the plugin failed while it checked the parameters ({}: {detail})", kind.name())]
    Fault {
        /// The kind of fault.
        kind: FaultKind,
        /// The fault.
        detail: String,
    },
}

fn places(mismatches: &[Mismatch]) -> String {
    let place = |Mismatch { pointer, message }: &Mismatch| match pointer.as_str() {
        "" => message.clone(),
        pointer => format!("{pointer}: {message}"),
    };
    mismatches.iter().map(place).collect::<Vec<_>>().join("; ")
}

impl From<RuleFault> for CheckError {
    fn from(RuleFault { kind, detail }: RuleFault) -> Self {
        Self::Fault { kind, detail }
    }
}
