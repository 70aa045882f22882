//! What the scenarios share: a disk that loses power, a workload that knows its outcome, a host to talk to.
//!
//! It must not know how the host works inside: it uses what any caller can use. Invariant: the same seed gives the same
//! run, and every failure names it.

pub mod attack;
pub mod binary;
pub mod browser;
pub mod disk;
pub mod engine;
pub mod estate;
pub mod exported;
pub mod files;
pub mod host;
pub mod hostile;
pub mod http;
pub mod meters;
pub mod model;
pub mod python;
pub mod tenants;
pub mod typed;
pub mod workload;
