//! Compiles the stock plugins, so that neither the demo nor a benchmark runs stale ones, and the guest that one benchmark
//! sets beside them to do harm.

fn main() -> anyhow::Result<()> {
    let packages: Vec<&str> = weir_build::STOCK.into_iter().chain([weir_build::HOSTILE[0]]).collect();
    weir_build::emit_for_build_script(&packages)
}
