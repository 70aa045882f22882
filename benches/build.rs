//! Compiles the stock plugins, so that neither the demo nor a benchmark runs stale ones.

fn main() -> anyhow::Result<()> {
    weir_build::emit_for_build_script(&weir_build::STOCK)
}
