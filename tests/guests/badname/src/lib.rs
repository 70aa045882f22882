//! A guest whose description is not fit to be shown: control characters that would drive a terminal, a summary of a
//! mebibyte, a schema that is no JSON. Its other functions are harmless. Natively there is nothing here.

#![cfg(target_arch = "wasm32")]

wit_bindgen::generate!({ path: "../../../wit", world: "rule" });

use weir::rule::types::{Columns, StateKey};

struct BadName;

impl Guest for BadName {
    fn describe() -> Description {
        Description {
            name: "threshold\u{1b}[2K\rnothing to see".to_owned(),
            version: "\u{202e}0.1.0\0".to_owned(),
            summary: "x".repeat(1 << 20),
            parameters_schema: "{".to_owned(),
            state_key: StateKey::Device,
            state_words: u32::MAX,
            state_version: 0,
            reads: Columns::empty(),
            reasons: vec!["Not A Name\n".to_owned(); 300],
        }
    }

    fn check(_parameters: String) -> Result<(), String> {
        Ok(())
    }

    fn evaluate(_parameters: String, alerts: Batch, state: Vec<u64>) -> Result<Outcome, String> {
        Ok(Outcome { verdict: vec![0; alerts.device.len()], withheld: Vec::new(), state })
    }
}

export!(BadName);
