//! What the rest of the host may ask of the pipeline, and what it answers.
//!
//! It must not know gRPC. Invariant: an answer that says something was done is given only after its commit.

use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::{
    books::{CountQuery, CountTable},
    domain::{
        Ack, Alert, AlertCode, Balance, Device, Eui64, Generation, Mode, Mpxn, OperatorId, PluginInfo, Position,
        Reject, Revision, Scope,
    },
    listing::{AlertPage, AlertQuery},
    registry::RuleView,
};

/// Why the pipeline did not do what it was asked. Each becomes one gRPC status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A field of the request is wrong.
    #[error("{field}: {message}")]
    Invalid {
        /// The field, as the protocol names it.
        field: String,
        /// Its value, and what is allowed.
        message: String,
    },
    /// What is named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// It contradicts what is there: a sequence with a gap, say.
    #[error("{0}")]
    Precondition(String),
    /// A limit is reached.
    #[error("{0}")]
    Exhausted(String),
    /// Not now: the store is full, or the host is stopping.
    #[error("{0}")]
    Unavailable(String),
    /// Our fault.
    #[error("{0}")]
    Internal(String),
}

impl Refusal {
    /// A field of the request is wrong.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }
}

/// A batch as it came in, its alerts read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// Who sent it; empty for nobody in particular.
    pub producer: String,
    /// Its number.
    pub sequence: u64,
    /// The alerts, or why one could not be read, in order.
    pub alerts: Vec<Result<Alert, Reject>>,
    /// Inputs the sender could not read.
    pub unreadable: u32,
}

/// A rule as somebody asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleRequest {
    /// Name.
    pub name: String,
    /// Digest, its beginning, or a plugin's name.
    pub plugin: String,
    /// A JSON object.
    pub parameters: String,
    /// Which alerts it sees.
    pub scope: Scope,
    /// Active or off.
    pub mode: Mode,
    /// Place in the chain; `None` for where it is, or after the last.
    pub order: Option<u32>,
}

/// A row of an inventory.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceRequest {
    /// EUI-64.
    pub eui: Eui64,
    /// MPAN or MPRN.
    pub mpxn: Mpxn,
    /// Generation.
    pub generation: Generation,
    /// Model by name; empty for not known.
    pub model: String,
    /// Operator, already taken from the MPAN where not given.
    pub operator: OperatorId,
}

/// What loading an inventory did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DevicesPut {
    /// New.
    pub added: u64,
    /// There and different.
    pub changed: u64,
    /// There and the same.
    pub unchanged: u64,
}

/// One device as its users see it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceView {
    /// What the inventory says.
    pub device: Device,
    /// Its model by name.
    pub model: String,
    /// What became of its alerts; rejected ones are not attributed to a device.
    pub balance: Balance,
    /// What rules keep for it: rule name, code (`None` where per device), words.
    pub states: Vec<(String, Option<AlertCode>, Vec<u64>)>,
    /// Exact as of here.
    pub position: Position,
}

/// Whether the host takes alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Serving,
    /// It waits for free space.
    StoreFull,
    /// It stopped, and why: empty when it was told to.
    Stopped(String),
}

/// A cheap handle: clone it for every task.
#[derive(Debug, Clone)]
pub struct Handle {}

#[allow(unused_variables, clippy::unused_async, missing_docs)]
impl Handle {
    /// Queues a batch; waits while the queue is full. The answer comes after the commit.
    pub async fn submit(&self, batch: Batch) -> Result<oneshot::Receiver<Result<Ack, Refusal>>, Refusal> {
        unimplemented!()
    }
    /// Why an answer never came.
    pub fn unavailable(&self) -> Refusal {
        unimplemented!()
    }
    /// Sequence of a producer's last committed batch; 0 for none.
    pub async fn producer(&self, id: &str) -> Result<u64, Refusal> {
        unimplemented!()
    }
    /// Checks, compiles and keeps a component. The duration is that of the check; zero where it was there already.
    pub async fn add_plugin(&self, bytes: Vec<u8>) -> Result<(PluginInfo, Duration), Refusal> {
        unimplemented!()
    }
    /// All plugins, newest first, each with the names of the rules that use it now.
    pub fn plugins(&self) -> Vec<(PluginInfo, Vec<String>)> {
        unimplemented!()
    }
    /// One plugin by digest, its beginning (8 digits or more), or name (the newest).
    pub fn plugin(&self, wanted: &str) -> Result<(PluginInfo, Vec<String>), Refusal> {
        unimplemented!()
    }
    pub async fn set_rule(&self, request: RuleRequest) -> Result<RuleView, Refusal> {
        unimplemented!()
    }
    pub async fn remove_rule(&self, name: &str) -> Result<Revision, Refusal> {
        unimplemented!()
    }
    /// The rules in the order they judge.
    pub fn rules(&self) -> Vec<RuleView> {
        unimplemented!()
    }
    pub async fn put_devices(&self, devices: Vec<DeviceRequest>) -> Result<DevicesPut, Refusal> {
        unimplemented!()
    }
    pub async fn device(&self, eui: Eui64) -> Result<DeviceView, Refusal> {
        unimplemented!()
    }
    /// Reads the books. Blocks on the disk for cold hours: call it from a blocking task.
    pub fn counts(&self, query: &CountQuery) -> Result<CountTable, Refusal> {
        unimplemented!()
    }
    /// Reads the log. Blocks on the disk: call it from a blocking task.
    pub fn alerts(&self, query: &AlertQuery) -> Result<AlertPage, Refusal> {
        unimplemented!()
    }
    /// The position that counts are exact as of.
    pub fn position(&self) -> Position {
        unimplemented!()
    }
    /// Whether the host takes alerts; changes are seen by whoever waits.
    pub fn status(&self) -> watch::Receiver<Status> {
        unimplemented!()
    }
    /// Drains what is queued, checkpoints and stops. Returns when the store is closed.
    pub async fn shutdown(&self) -> Result<(), Refusal> {
        unimplemented!()
    }
}
