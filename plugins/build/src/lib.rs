//! Builds guests: from a Rust package to a component that the host takes. Also the workspace's tasks, `cargo xtask`, and
//! what is behind `weir plugin build`.
//!
//! It must not depend on anything that itself needs a guest, nor on anything heavy: it runs before all else. It must
//! not know what a rule does. Invariant: a component is written only if its bytes changed, and it imports no function.

mod browser;
mod environment;
mod guests;
mod package;
mod script;
mod toolchain;

pub use browser::ensure_browser;
pub use environment::{BoundedError, bounded, isolated, workspace};
pub use guests::{Guest, build, build_with, imported_interfaces};
pub use package::{Built, build_package};
pub use script::emit_for_build_script;
pub use toolchain::{Toolchain, Way};

/// The stock plugins, by package.
pub const STOCK: [&str; 3] = ["weir-rule-threshold", "weir-rule-storm", "weir-rule-match"];

/// The hostile guests of the tests, by package.
pub const HOSTILE: [&str; 2] = ["weir-guest-hostile", "weir-guest-badname"];

/// Tells whoever waits what is being done, in one line. On stderr: the stdout of a build script belongs to cargo.
pub(crate) fn say(line: &str) {
    eprintln!("guests: {line}");
}
