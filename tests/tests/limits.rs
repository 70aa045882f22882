//! The table of limits in docs/limits.md says what the program does.

use std::{fs, path::Path};

use weir_host::config::{Config, limits};

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
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/limits.md");
    let page = fs::read_to_string(path).unwrap();
    let after = page.split("tests/tests/limits.rs -->\n").nth(1).expect("the table has its mark");
    let listed = after.split("<!-- /limits -->").next().expect("the table has its end");
    assert!(listed == table(), "put this into docs/limits.md:\n{}", table());
}
