//! The house rules: floors, owners of foreign crates, module docs, length of files.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has sources");
    found
}

fn all() -> Vec<(String, String)> {
    ["host", "plugins", "proto", "benches", "tests"].iter().flat_map(|folder| sources(folder)).collect()
}

/// The part of a file that is neither tests nor comments.
fn code(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_module_says_what_it_is() {
    for (name, text) in all() {
        let test = name.contains("/tests/") || name.ends_with("/tests.rs");
        assert!(test || text.starts_with("//!") || text.starts_with("#!"), "{name} opens with no module doc");
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    for (name, text) in all() {
        let lines = text.lines().count();
        assert!(lines <= 600, "{name} has {lines} lines");
    }
}

#[test]
fn each_foreign_crate_has_one_owner() {
    let owners: [(&str, &[&str]); 28] = [
        ("landlock::", &["host/src/plugin/worker/confinement.rs"]),
        ("seccompiler::", &["host/src/plugin/worker/confinement.rs"]),
        ("libc::", &["host/src/plugin/worker/confinement.rs"]),
        ("ureq::", &["host/src/cli/alert/tail/webhook.rs"]),
        ("strsim::", &["host/src/near.rs"]),
        ("tonic_types::", &["host/src/grpc/status.rs"]),
        ("clap_complete::", &["host/src/cli/manual.rs"]),
        ("clap_mangen::", &["host/src/cli/manual.rs"]),
        ("quick_xml::", &["host/src/intake/duis_xml"]),
        ("encoding_rs::", &["host/src/intake/text"]),
        ("flate2::", &["host/src/intake/compressed"]),
        ("ruzstd::", &["host/src/intake/compressed"]),
        ("snap::", &["host/src/intake/compressed"]),
        ("lz4_flex::", &["host/src/intake/compressed"]),
        ("axum::", &["host/src/web"]),
        ("form_urlencoded::", &["host/src/page/address.rs"]),
        ("maud::", &["host/src/page"]),
        ("ring::signature", &["host/src/plugin/signature.rs"]),
        ("rcgen::", &["host/src/cli/cert.rs"]),
        ("tokio_rustls::", &["host/src/grpc/tls.rs", "host/src/grpc/connection.rs"]),
        ("jsonschema::", &["host/src/plugin/schema.rs"]),
        ("redb::", &["host/src/store"]),
        ("parquet::", &["host/src/cli/export/columns", "host/src/intake/columnar"]),
        ("prometheus_client::", &["host/src/metrics"]),
        ("hyper::", &["host/src/metrics", "host/src/grpc/bodies"]),
        ("wasmtime::", &["host/src/plugin"]),
        ("tonic::", &["host/src/grpc", "host/src/cli", "host/src/web"]),
        ("weir_proto::", &["host/src/grpc", "host/src/cli", "host/src/page", "host/src/web"]),
    ];
    for (name, text) in sources("host/src") {
        let code = code(&text);
        for (foreign, folders) in owners {
            let owned = folders.iter().any(|folder| name.starts_with(folder));
            assert!(owned || !code.contains(foreign), "{name} names {foreign}");
        }
    }
    for (name, text) in sources("plugins") {
        let owned = name.starts_with("plugins/sdk/") || !code(&text).contains("wit_bindgen::");
        assert!(owned, "{name} names wit_bindgen");
    }
}

#[test]
fn lower_floors_do_not_know_upper_ones() {
    const FLOORS: [&[&str]; 5] = [
        &["domain", "config", "near"],
        &["plugin", "store", "intake", "admit", "audit"],
        &["evaluate", "registry", "books", "listing", "comparison", "migration", "reconciliation", "voltage"],
        &["pipeline", "rehearsal", "whatif"],
        &["grpc", "cli", "fuzzing", "metrics", "page", "web"],
    ];
    let floor_of = |module: &str| FLOORS.iter().position(|floor| floor.contains(&module));
    for (name, text) in sources("host/src") {
        let own = name.trim_start_matches("host/src/").split(['/', '.']).next().unwrap();
        let Some(floor) = floor_of(own) else { continue };
        let code = code(&text);
        for upper in FLOORS[floor + 1..].iter().flat_map(|floor| floor.iter()) {
            let direct = code.contains(&format!("crate::{upper}::"));
            let listed = code.split("use crate::{").nth(1).is_some_and(|rest| {
                let block = rest.split("\n};").next().unwrap_or("");
                block.lines().any(|line| line.trim_start().starts_with(&format!("{upper}::")))
            });
            assert!(!direct && !listed, "{name} (floor {floor}) names {upper}");
        }
        let (plugin, store) = (code.contains("crate::plugin"), code.contains("crate::store"));
        assert!(!(own == "plugin" && store || own == "store" && plugin), "plugin and store know each other in {name}");
    }
}

/// The compiler denies it elsewhere; this says where it may be allowed.
#[test]
fn unsafe_code_is_in_one_place() {
    for (name, text) in all() {
        let allowed = ["host/src/plugin/compile.rs", "plugins/sdk/"].iter().any(|place| name.starts_with(place));
        let mark = concat!("allow(unsafe", "_code)");
        assert!(allowed || !code(&text).contains(mark), "{name} has unsafe code");
    }
}

#[test]
fn nothing_is_left_for_later() {
    for (name, text) in all() {
        for mark in
            [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[ign", "ore"), concat!("FIX", "ME")]
        {
            assert!(!text.contains(mark), "{name} has {mark}");
        }
    }
}
