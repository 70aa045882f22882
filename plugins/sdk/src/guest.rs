//! The edge to the host: the bindings made from `wit/rule.wit`, and how a [`Rule`] fills them.
//!
//! It must not know any rule. Invariant: nothing is decided here; columns are handed on as they came.

use std::marker::PhantomData;

use crate::{Batch, Columns, Reason, Rule, State, StateKey, evaluate_columns};

/// What wit-bindgen makes of the contract: the only unsafe code of a plugin.
#[allow(unsafe_code, missing_docs)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "rule",
        pub_export_macro: true,
        export_macro_name: "export_rule",
    });
}

use bindings::weir::rule::types;

/// The exports of a rule.
pub struct Exported<R>(PhantomData<R>);

impl<R: Rule> bindings::Guest for Exported<R> {
    fn describe() -> types::Description {
        let description = R::DESCRIPTION;
        types::Description {
            name: description.name.to_owned(),
            version: description.version.to_owned(),
            summary: description.summary.to_owned(),
            parameters_schema: description.parameters_schema.to_owned(),
            state_key: match description.state_key {
                StateKey::Device => types::StateKey::Device,
                StateKey::DeviceAndCode => types::StateKey::DeviceAndCode,
            },
            state_words: R::State::WORDS as u32,
            state_version: description.state_version,
            reasons: R::Reason::ALL.iter().map(|reason| reason.name().to_owned()).collect(),
            reads: columns(description.reads),
        }
    }

    fn check(parameters: String) -> Result<(), String> {
        R::new(&parameters).map(drop)
    }

    fn evaluate(parameters: String, alerts: types::Batch, mut state: Vec<u64>) -> Result<types::Outcome, String> {
        let rule = R::new(&parameters)?;
        let batch = Batch {
            device: &alerts.device,
            slot: &alerts.slot,
            code: &alerts.code,
            occurred_ms: &alerts.occurred_ms,
            measurement: &alerts.measurement,
            weight: &alerts.weight,
            flags: &alerts.flags,
            operator: &alerts.operator,
            model: &alerts.model,
        };
        let outcome = evaluate_columns(&rule, &batch, &mut state)?;
        Ok(types::Outcome { verdict: outcome.verdict, withheld: outcome.withheld, state })
    }
}

fn columns(reads: Columns) -> types::Columns {
    let Columns { device, occurred_ms, measurement, weight, operator, model } = reads;
    let read = [
        (device, types::Columns::DEVICE),
        (occurred_ms, types::Columns::OCCURRED),
        (measurement, types::Columns::MEASUREMENT),
        (weight, types::Columns::WEIGHT),
        (operator, types::Columns::OPERATOR),
        (model, types::Columns::MODEL),
    ];
    read.into_iter().filter(|(read, _)| *read).fold(types::Columns::empty(), |all, (_, column)| all | column)
}
