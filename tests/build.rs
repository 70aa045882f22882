//! Compiles the stock plugins and the hostile guests, so that no test runs against stale ones.

fn main() -> anyhow::Result<()> {
    let packages: Vec<&str> = weir_build::STOCK.into_iter().chain(weir_build::HOSTILE).collect();
    weir_build::emit_for_build_script(&packages)
}
