//! The sandbox: checks and compiles a plugin's component, and calls it under limits of fuel, time and memory.
//!
//! It must not know the store, the fold or the protocol; it sees `domain` and the plugin limits of `config`, and it is
//! the only place that names wasmtime. Invariant: whatever a guest does, its caller gets an outcome whose lengths and
//! verdicts are right, or a fault with a name. Nothing of one call is left for the next.
//!
//! ```text
//!  bytes ──load──> Plugin ──judge──> domain::Judge
//!           │         └──instantiate──> Instance ──call──> Outcome, checked
//!           ├──> Refusal
//!           └── a process of its own compiles; what it made is kept under a MAC
//! ```

mod artefacts;
mod compile;
mod contract;
mod describe;
mod engine;
mod fault;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod golden;
mod instance;
mod load;
mod meter;
mod refusal;
mod schema;
mod signature;
mod text;
mod worker;

#[cfg(test)]
mod tests;

pub use engine::{Sandbox, SandboxError};
pub use golden::Report;
pub use instance::{Instance, Needs, Plugin};
pub use refusal::{CheckError, Refusal};
pub use schema::Mismatch;
pub use signature::{SIGNATURE_BYTES, Signers};
pub use worker::{Confinement, OWN_PROGRAM, compile_stdin};
