//! Compiles the protocol with protox, so that no protoc need be installed.

use std::{env, fs, path::PathBuf};

const FILES: [&str; 15] = [
    "alert", "producer", "cursor", "plugin", "rule", "device", "count", "trial", "token", "audit", "whatif", "report",
    "host", "code", "reading",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=weir");
    let files = FILES.map(|name| format!("weir/v1/{name}.proto"));
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_source_info(true).include_imports(true).open_files(&files)?;

    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join("weir.bin");
    fs::write(descriptors, compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .codec_path("crate::codec::SliceCodec")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
