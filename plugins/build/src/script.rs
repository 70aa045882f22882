//! What a build script says to cargo so that the code it belongs to finds fresh guests.
//!
//! It must not know who asks. Invariant: a change to any source of a guest builds it again, and nothing else does.

use std::{env, path::PathBuf};

use anyhow::{Context, Result};

use crate::{guests, workspace};

/// Builds guests and sets `WEIR_GUEST_<NAME>` (such as `WEIR_GUEST_THRESHOLD`) to the component's path, for `env!`.
///
/// The components are copied to the build script's own folder: they live and die with what was compiled against them.
pub fn emit_for_build_script(packages: &[&str]) -> Result<()> {
    let own = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set: this is not a build script")?);
    for guest in guests::build(packages)? {
        let path = guests::copy_to(&guest, &own)?;
        let variable = guest.name.to_uppercase().replace('-', "_");
        println!("cargo::rustc-env=WEIR_GUEST_{variable}={}", path.display());
    }
    let workspace = workspace();
    for source in ["plugins", "tests/guests", "wit", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    println!("cargo::rerun-if-env-changed=WEIR_GUEST_TOOLCHAIN");
    Ok(())
}
