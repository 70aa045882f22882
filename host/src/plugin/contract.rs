//! The records of `wit/rule.wit` as Rust types that cross the sandbox.
//!
//! It must not know what the values mean. Invariant: names, order and types are those of the contract; wasmtime
//! compares them with every component that is loaded, so a slip here refuses every plugin.
//!
//! Columns are lowered straight from the caller's slices. Results are lifted into owned lists, although reading them
//! in place would save a copy: the guest's clean-up has run by the time a call returns, and what lies in its memory
//! then is no longer the result.

use wasmtime::component::{ComponentType, Lift, Lower};

use crate::domain::{self, Outcome};

/// Names of the functions a rule exports.
pub(super) const DESCRIBE: &str = "describe";
pub(super) const CHECK: &str = "check";
pub(super) const EVALUATE: &str = "evaluate";

/// Parameters of `describe`.
pub(super) type DescribeParams = ();
/// Result of `describe`.
pub(super) type DescribeResult = (Description,);
/// Parameters of `check`.
pub(super) type CheckParams<'a> = (&'a str,);
/// Result of `check`.
pub(super) type CheckResult = (Result<(), String>,);
/// Parameters of `evaluate`.
pub(super) type EvaluateParams<'a> = (&'a str, Batch<'a>, &'a [u64]);
/// Result of `evaluate`.
pub(super) type EvaluateResult = (Result<RawOutcome, String>,);

/// `types.batch`.
#[derive(Debug, Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(super) struct Batch<'a> {
    device: &'a [u64],
    slot: &'a [u32],
    code: &'a [u16],
    #[component(name = "occurred-ms")]
    occurred_ms: &'a [i64],
    measurement: &'a [i32],
    weight: &'a [u32],
    flags: &'a [u8],
    operator: &'a [u8],
    model: &'a [u32],
}

impl<'a> From<&domain::Columns<'a>> for Batch<'a> {
    fn from(columns: &domain::Columns<'a>) -> Self {
        let domain::Columns { device, slot, code, occurred_ms, measurement, weight, flags, operator, model, row: _ } =
            *columns;
        Self { device, slot, code, occurred_ms, measurement, weight, flags, operator, model }
    }
}

/// `types.outcome`, nothing checked.
#[derive(Debug, Clone, ComponentType, Lift)]
#[component(record)]
pub(super) struct RawOutcome {
    verdict: Vec<u8>,
    withheld: Vec<u32>,
    state: Vec<u64>,
}

impl From<RawOutcome> for Outcome {
    fn from(RawOutcome { verdict, withheld, state }: RawOutcome) -> Self {
        Self { verdict, withheld, state }
    }
}

/// `types.state-key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "lifting makes a variant from its number")]
pub(super) enum StateKey {
    #[component(name = "device")]
    Device,
    #[component(name = "device-and-code")]
    DeviceAndCode,
}

// `types.columns`.
wasmtime::component::flags! {
    Columns {
        #[component(name = "device")]
        const DEVICE;
        #[component(name = "occurred")]
        const OCCURRED;
        #[component(name = "measurement")]
        const MEASUREMENT;
        #[component(name = "weight")]
        const WEIGHT;
        #[component(name = "operator")]
        const OPERATOR;
        #[component(name = "model")]
        const MODEL;
    }
}

/// `types.description`, nothing checked.
#[derive(Debug, Clone, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub(super) struct Description {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) summary: String,
    #[component(name = "parameters-schema")]
    pub(super) parameters_schema: String,
    #[component(name = "state-key")]
    pub(super) state_key: StateKey,
    #[component(name = "state-words")]
    pub(super) state_words: u32,
    #[component(name = "state-version")]
    pub(super) state_version: u32,
    pub(super) reasons: Vec<String>,
    pub(super) reads: Columns,
}
