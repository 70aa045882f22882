//! The crates that the workspace is built from: their licences, second versions and sources are those of `deny.toml`.
//!
//! `cargo deny check` says the same and more, where it is installed; this always runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    env::consts::ARCH,
    path::{Path, PathBuf},
    process::Command,
};

use figment::{
    Figment,
    providers::{Format, Toml},
};
use serde_json::Value;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What is allowed.
fn rules() -> Value {
    Figment::from(Toml::file(root().join("deny.toml"))).extract().expect("deny.toml is read")
}

/// The packages of others that are built for this machine, tests included: they are all here.
fn packages() -> Vec<Value> {
    let target = format!("{ARCH}-unknown-linux-gnu");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &target])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = metadata["packages"].as_array().unwrap().iter();
    all.filter(|package| !package["source"].is_null()).cloned().collect()
}

fn texts(list: &Value) -> BTreeSet<&str> {
    list.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text")).collect()
}

/// True if a licence expression can be met with these: a choice by one of its sides, a sum by both.
fn is_met(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let expression = expression.trim();
    let parts = |word: &str| {
        let (mut depth, mut from, mut parts) = (0, 0, Vec::new());
        for (at, character) in expression.char_indices() {
            depth += i32::from(character == '(') - i32::from(character == ')');
            if depth == 0 && at >= from && expression[at..].starts_with(word) {
                parts.push(&expression[from..at]);
                from = at + word.len();
            }
        }
        parts.push(&expression[from..]);
        parts
    };
    for word in [" OR ", "/"] {
        let choices = parts(word);
        if choices.len() > 1 {
            return choices.into_iter().any(|choice| is_met(choice, allowed));
        }
    }
    let sum = parts(" AND ");
    if sum.len() > 1 {
        return sum.into_iter().all(|part| is_met(part, allowed));
    }
    match expression.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => is_met(inner, allowed),
        None => allowed.contains(expression),
    }
}

#[test]
fn an_expression_is_met_by_one_choice_and_all_of_a_sum() {
    let allowed = BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]);
    for met in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/GPL-3.0",
        "MIT AND ISC",
        "(GPL-3.0 OR MIT) AND ISC",
        "Apache-2.0 WITH LLVM-exception OR X",
    ] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for unmet in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "Apache-2.0", "", "MIT-0"] {
        assert!(!is_met(unmet, &allowed), "{unmet}");
    }
}

#[test]
fn licences_second_versions_and_sources_are_those_that_are_allowed() {
    let rules = rules();
    let allowed = texts(&rules["licenses"]["allow"]);
    let exceptions = rules["licenses"]["exceptions"].as_array().unwrap();
    let banned = texts(&rules["bans"]["deny"]);
    let skipped: BTreeSet<&str> =
        rules["bans"]["skip"].as_array().unwrap().iter().map(|entry| entry["crate"].as_str().unwrap()).collect();
    let (mut wrong, mut unused) = (Vec::new(), skipped.clone());
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages() {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let (name, version, licence) = (text("name"), text("version"), text("license"));
        let of_it = exceptions.iter().filter(|exception| exception["crate"] == name.as_str());
        let mut allowed = allowed.clone();
        of_it.for_each(|exception| allowed.extend(texts(&exception["allow"])));
        if !is_met(&licence, &allowed) {
            wrong.push(format!("{name} {version}: the licence {licence:?} is not allowed"));
        }
        if text("source") != CRATES_IO {
            wrong.push(format!("{name} {version}: comes from {}", text("source")));
        }
        if banned.contains(name.as_str()) {
            wrong.push(format!("{name} {version}: is banned"));
        }
        let whole = format!("{name}@{version}");
        match skipped.get(whole.as_str()) {
            Some(skipped) => drop(unused.remove(skipped)),
            None => versions.entry(name).or_default().push(version),
        }
    }
    let second = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
    wrong.extend(second.map(|(name, versions)| format!("{name}: comes in the versions {}", versions.join(", "))));
    wrong.extend(
        unused.iter().map(|entry| format!("{entry}: is not there any more, or is the only version: take it off")),
    );
    assert!(wrong.is_empty(), "against deny.toml:\n{}", wrong.join("\n"));
}

/// Every crate of others is fixed to what it was when it was chosen.
#[test]
fn every_crate_of_others_has_a_checksum() {
    let lock: Value = Figment::from(Toml::file(root().join("Cargo.lock"))).extract().expect("Cargo.lock is read");
    let packages = lock["package"].as_array().unwrap();
    assert!(packages.len() > 100);
    for package in packages.iter().filter(|package| !package["source"].is_null()) {
        assert_eq!(package["source"], CRATES_IO, "{package}");
        assert_eq!(package["checksum"].as_str().map(str::len), Some(64), "{package}");
    }
}
