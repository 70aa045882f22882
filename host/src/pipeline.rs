//! The pipeline: collect, admit, evaluate, commit, act.

mod handle;

pub use handle::{Batch, DeviceRequest, DeviceView, DevicesPut, Handle, Refusal, RuleRequest, Status};
