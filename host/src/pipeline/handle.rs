//! What the rest of the host may ask of the pipeline, and what it answers.
//!
//! It must not know gRPC. Invariant: an answer that says something was done is given only after its commit.

use std::{collections::BTreeSet, io, path::PathBuf, sync::Arc};

use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    config::{LimitsByOwner, ReportLimits, SubscribeLimits, WhatIfLimits},
    domain::{
        Ack, Alert, AlertCode, Balance, BatchDigest, Device, DeviceLabels, Digest, Eui64, Generation, Identity,
        LabelKey, Millis, Mpxn, OperatorId, OperatorSet, Placement, PlacementChange, Position, ProducerKey, Reject,
        Role, StatedLabel,
    },
    evaluate::SettingsByNo,
    pipeline::{
        DevicesPut, LoadState, LoadTerms,
        clock::{Clock, WrongClock},
        collect::{Command, Reply},
        digest,
        open::Parts,
        processors::Processor,
        refusal::Refusal,
        shared::{Audience, Shared},
        turns::{AllTurns, Turn, Turns},
        wanted::Wanted,
    },
    plugin::{Sandbox, Signers},
    store,
};

mod access;
mod caller;
mod codes;
mod denials;
mod explain;
mod figures;
mod host;
mod labels;
mod plugins;
mod points;
mod producers;
mod proposals;
mod queries;
mod reading_coverage;
mod readings;
mod report;
mod rules;
mod subscribe;
mod trial;
mod verify;
mod whatif;

pub use access::NewToken;
pub use codes::CodesView;
use denials::Denials;
pub use denials::DeniedCaller;
pub use explain::ExplanationView;
pub use figures::Watched;
pub use host::HostView;
pub(super) use plugins::plugins_left;
pub use plugins::{Allowed, PluginView};
pub use points::{AtPoint, PointHistory, PointPeriod, PointTenure};
pub use proposals::{Proposal, ProposalKind, ProposalQuery, Proposals, StandingAt};
pub use reading_coverage::{CodeCoverage, CoverageQuery, ReadingCoverage};
pub use readings::{ReadingStatus, ThresholdPut};
pub use report::{
    DevicePart, DevicesQuery, InventoryCount, InventoryCounts, InventoryKey, InventoryQuery, MigrationQuery,
    MigrationView, RuleChange, RuleChangesQuery,
};
pub use rules::{Promotion, RuleRequest};
pub use subscribe::{CursorView, Piece, SubscribeRequest, Subscription};
pub use whatif::{Component, VariantRequest, WhatIfRequest};

/// Devices that one question to the fold looks up: it judges no alert meanwhile.
const LOOKED_UP_AT_A_TIME: usize = 2_048;

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
    /// Where the sender stands once it is taken, in its own words.
    pub bookmark: Vec<u8>,
    /// Whether the producer is of one run of its sender, which forgets it at its end.
    pub ephemeral: bool,
    /// Operators whose alerts the sender may send.
    pub operators: OperatorSet,
}

/// A batch on its way to the fold: whose it is, and what tells it from another under its number.
pub struct Submission {
    /// Its producer.
    pub key: ProducerKey,
    /// What it holds; nothing where it has no number.
    pub digest: BatchDigest,
    /// The batch; its producer is in the key.
    pub batch: Batch,
}

/// A row of an inventory.
#[derive(Debug, Clone, PartialEq, Default)]
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
    /// Labels that it states, each key once, in order of the keys. A key that is not there leaves that label as it is.
    pub labels: Vec<StatedLabel>,
    /// The label that says which network the metering point is of, in a row without one: it goes with the point it came from.
    pub network_label: Option<LabelKey>,
    /// Whether a device that has an operator keeps it, unless the MPAN is of another distributor than the one it had.
    pub keep_operator: bool,
    /// Where it is connected, as far as the row says.
    pub placement: PlacementChange,
}

/// One device as its users see it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceView {
    /// What the inventory says.
    pub device: Device,
    /// Where it says that it is connected.
    pub placement: Placement,
    /// Its model by name.
    pub model: String,
    /// Its labels.
    pub labels: DeviceLabels,
    /// What became of its alerts; rejected ones are not attributed to a device.
    pub balance: Balance,
    /// What rules keep for it: rule name, code (`None` where per device), words.
    pub states: Vec<(String, Option<AlertCode>, Vec<u64>)>,
    /// When the device came to the operator that is told; counts begin then. `None`: they are of all there ever was.
    pub counted_since_ms: Option<Millis>,
    /// Exact as of here.
    pub position: Position,
}

/// Whether the host takes alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Serving,
    /// It waits for free space. What only reads goes on.
    StoreFull,
    /// Its clock is wrong. All but alerts goes on.
    ClockWrong(WrongClock),
    /// It stopped, and why: empty when it was told to.
    Stopped(String),
}

/// A cheap handle: clone it for every task.
#[derive(Clone)]
pub struct Handle {
    queue: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    sandbox: Sandbox,
    clock: Clock,
    limits: LimitsByOwner,
    whatif: WhatIfLimits,
    report: ReportLimits,
    subscribe: SubscribeLimits,
    /// The settings that the log names, and today's. They stay as long as the host runs.
    settings: Arc<SettingsByNo>,
    /// Keys that uploads must be signed with, where they must.
    signers: Option<Signers>,
    /// Plugins that are never run.
    denied: Arc<BTreeSet<Digest>>,
    without_plugins: bool,
    turns: Arc<AllTurns>,
    who: Arc<Identity>,
    wanted: Wanted,
    /// What this thread computes on, where it does so in a turn.
    processor: Option<Arc<Processor>>,
    denials: Arc<Denials>,
    folder: Option<PathBuf>,
    /// How far ahead of the host's clock a time may lie, in milliseconds.
    future_ms_max: Millis,
}

impl Handle {
    pub(super) fn new(
        queue: mpsc::Sender<Command>,
        shared: Arc<Shared>,
        parts: &Parts,
        settings: Arc<SettingsByNo>,
    ) -> io::Result<Self> {
        let time = Arc::clone(&shared);
        Ok(Self {
            queue,
            shared,
            sandbox: parts.sandbox.clone(),
            clock: Arc::new(move || time.time.now_ms()),
            limits: LimitsByOwner::new(parts.config.plugins.clone()),
            whatif: parts.config.whatif.clone(),
            report: parts.config.report.clone(),
            subscribe: parts.config.subscribe.clone(),
            settings,
            signers: parts
                .config
                .signatures_required
                .then(|| Signers::new(parts.config.signer_keys().unwrap_or_default())),
            denied: Arc::new(parts.config.denied_digests().unwrap_or_default()),
            without_plugins: parts.config.without_plugins,
            turns: Arc::new(AllTurns::new(&parts.config.access)?),
            who: Arc::new(Identity::local()),
            wanted: Wanted::default(),
            processor: None,
            denials: Arc::new(Denials::new(parts.config.access.denials_per_minute_max)),
            folder: parts.folder.clone(),
            future_ms_max: Millis::try_from(parts.config.intake.future_s_max)
                .unwrap_or(Millis::MAX)
                .saturating_mul(1_000),
        })
    }

    /// Queues a batch; waits while the queue is full. The answer comes after the commit. Where it never comes (its sender
    /// is dropped) it is not known whether the batch was taken: see [`no_answer`](Self::no_answer).
    pub async fn submit(&self, mut batch: Batch) -> Result<oneshot::Receiver<Result<Ack, Refusal>>, Refusal> {
        self.check_producer(&batch.producer)?;
        batch.operators = self.who.sender.operators;
        let key = self.producer_key(std::mem::take(&mut batch.producer));
        let numbered = key.is_numbered();
        let digest = if numbered { digest::of(&batch.alerts, batch.unreadable) } else { BatchDigest::default() };
        let (reply, answer) = oneshot::channel();
        let submission = Submission { key, digest, batch };
        let stopped = |_| self.shared.unavailable(Audience::Sender);
        self.queue.send(Command::Batch(submission, reply)).await.map_err(stopped)?;
        Ok(answer)
    }

    /// Why the host cannot be asked now.
    pub fn unavailable(&self) -> Refusal {
        self.shared.unavailable(Audience::Reader)
    }

    /// What to tell the sender of a batch whose answer never came.
    pub fn no_answer(&self) -> Refusal {
        self.shared.no_answer(Audience::Sender)
    }

    /// Adds or changes devices: all of them, or none and why.
    pub async fn put_devices(&self, devices: Vec<DeviceRequest>) -> Result<DevicesPut, Refusal> {
        let terms = LoadTerms { dry_run: false, at_ms: self.now_ms() };
        self.load_devices(devices, terms, LoadState::default()).await.map(|(put, _)| put)
    }

    /// The same, of one load of several parts or on a dry run; the state goes from each part to the next.
    pub async fn load_devices(
        &self,
        devices: Vec<DeviceRequest>,
        terms: LoadTerms,
        load: LoadState,
    ) -> Result<(DevicesPut, LoadState), Refusal> {
        let load = Box::new(load);
        let put = |reply| Command::PutDevices(devices, terms, load, self.who.clone(), reply);
        let (mut put, load) = self.ask(put).await?;
        if self.who.role == Role::Inventory {
            put.changes.clear();
            put.shared.clear();
            put.left_hubs.clear();
        }
        Ok((put, load))
    }

    /// Shows a device.
    pub async fn device(&self, eui: Eui64) -> Result<DeviceView, Refusal> {
        self.ask(|reply| Command::Device(eui, self.who.operator(), reply)).await
    }

    /// Whether the host takes alerts; changes are seen by whoever waits.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.shared.status.subscribe()
    }

    /// The position that counts are exact as of.
    pub fn position(&self) -> Position {
        self.shared.ledger.read().position()
    }

    /// Drains what is queued, checkpoints and stops. Returns when the last commit is done.
    pub async fn shutdown(&self) -> Result<(), Refusal> {
        self.note_all_left_out().await;
        // It waits for no turn: nothing that callers ask for holds up the end.
        self.ask_now(Command::Shutdown).await
    }

    /// Runs what reads for a while on a thread of its own, once it is the caller's turn. Until the answer was read it
    /// counts as one of the caller's queries.
    pub async fn query<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.kept_until_read(&self.turns.queries, work).await
    }

    /// Runs a count whose answer can be large, as [`query`](Self::query) does.
    pub async fn scan<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.kept_until_read(&self.turns.scans, work).await
    }

    /// Explains an alert, as [`query`](Self::query) reads.
    pub async fn explain<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.kept_until_read(&self.turns.explanations, work).await
    }

    /// Runs one of the many reads of a stream, once it is the caller's turn.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = self.turns.queries.take(&self.who.tenant()).await;
        self.run(turn, work).await
    }

    async fn kept_until_read<T: Send + 'static>(
        &self,
        turns: &Turns,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = turns.take(&self.who.tenant()).await;
        self.wanted.keep(turn.share());
        self.run(turn, work).await
    }

    async fn run<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let handle = self.clone();
        turn.run(move |processor| work(&Self { processor: Some(Arc::clone(processor)), ..handle })).await?
    }

    /// Runs what asks a plugin, once it is the caller's turn.
    async fn check<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        self.turns.checks.take(&self.who.tenant()).await.run(move |_| work()).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Refusal> {
        let _turn = self.turns.commands.take(&self.who.tenant()).await;
        self.ask_now(command).await
    }

    async fn ask_now<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        let command = command(reply);
        let audience = command.audience();
        self.queue.send(command).await.map_err(|_| self.shared.unavailable(audience))?;
        answer.await.map_err(|_| self.shared.no_answer(audience))?
    }
}

fn internal(error: store::Error) -> Refusal {
    match error {
        // It is opened again after a commit that failed, or the host stops.
        store::Error::Closed | store::Error::Poisoned => {
            Refusal::Unavailable("the store is closed just now; ask again".into())
        }
        other => Refusal::Internal(format!("store: {other}")),
    }
}

/// Why no plugin is run.
pub(super) const WITHOUT_PLUGINS: &str =
    "this host was started without plugins, and runs none: start it without --no-plugins";

/// Why a plugin is not run.
pub(super) const DENIED: &str = "this host never runs it: it is in the setting denied_plugins";

/// Checks the name of something.
fn check_name(name: &str) -> Result<(), Refusal> {
    let shaped = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if name.is_empty() || name.len() > 64 || !shaped {
        let cut: String = name.chars().take(64).collect();
        let message = format!("{cut:?} is not 1 to 64 lower-case letters, digits and hyphens");
        return Err(Refusal::invalid("name", message));
    }
    Ok(())
}
