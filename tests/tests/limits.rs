//! The table of limits in docs/limits.md says what the program does, and files of settings that a page shows are taken.

use std::{
    fs,
    path::{Path, PathBuf},
};

use weir_host::config::{Config, Overrides, limits};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs")
}

fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn table() -> String {
    let mut table = "| setting | default | allowed | unit |\n|---|--:|---|---|\n".to_owned();
    for limit in limits(&Config::default()) {
        let (from, to) = (number(*limit.allowed.start()), number(*limit.allowed.end()));
        let row = format!("| `{}` | {} | {from} to {to} | {} |\n", limit.name, number(limit.value), limit.unit);
        table.push_str(&row);
    }
    table
}

#[test]
fn every_limit_is_listed_with_its_default_and_bounds() {
    let page = fs::read_to_string(docs().join("limits.md")).unwrap();
    let after = page.split("tests/tests/limits.rs -->\n").nth(1).expect("the table has its mark");
    let listed = after.split("<!-- /limits -->").next().expect("the table has its end");
    assert!(listed == table(), "put this into docs/limits.md:\n{}", table());
}

#[test]
fn settings_that_a_page_shows_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut taken = 0;
    for page in fs::read_dir(docs()).unwrap().map(|entry| entry.unwrap().path()) {
        for block in fs::read_to_string(&page).unwrap().split("```toml\n").skip(1) {
            let path = folder.path().join("weir.toml");
            fs::write(&path, block.split("```").next().unwrap()).unwrap();
            let config = Config::load(Some(&path), Overrides::default());
            assert_ne!(config.unwrap_or_else(|error| panic!("{}: {error}", page.display())), Config::default());
            taken += 1;
        }
    }
    assert!(taken >= 2, "{taken}");
}
