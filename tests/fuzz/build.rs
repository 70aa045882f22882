//! Compiles the plugins that the target `upload` begins with: the stock ones, and the small one of the host's tests.

use std::{env, fs, path::Path};

use anyhow::{Context, Result};

const PROBE: &str = "../../host/src/plugin/tests/probe.wat";

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed={PROBE}");
    let folder = env::var("OUT_DIR").context("OUT_DIR is not set")?;
    fs::write(Path::new(&folder).join("probe.wasm"), wat::parse_file(PROBE)?)?;
    weir_build::emit_for_build_script(&weir_build::STOCK)
}
