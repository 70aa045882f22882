//! What the rest of the host may ask of the pipeline, and what it answers.
//!
//! It must not know gRPC. Invariant: an answer that says something was done is given only after its commit.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    books::{self, CountQuery, CountTable, Names},
    config::{LimitsByOwner, PluginLimits, ReportLimits, SubscribeLimits, WhatIfLimits},
    domain::{
        Ack, Alert, AlertCode, Balance, Device, Digest, Eui64, Generation, Identity, Millis, Mode, Mpxn, OperatorId,
        Position, Reject, Revision, Role, Scope, is_unsafe, owner_of_rule,
    },
    evaluate::CodeSet,
    listing::{AlertPage, AlertQuery, Listing},
    pipeline::{
        DevicesPut,
        collect::{Command, Reply},
        open::Parts,
        producers::Standing,
        refusal::{Refusal, never_a_rule},
        shared::{Clock, Shared},
        wanted::Wanted,
    },
    plugin::{Sandbox, Signers},
    registry::{Registry, RevisionView, RuleView, Source},
    store,
};

mod access;
mod caller;
mod denials;
mod explain;
mod figures;
mod plugins;
mod report;
mod subscribe;
mod trial;
mod verify;
mod whatif;

pub use access::NewToken;
use denials::Denials;
pub use explain::ExplanationView;
pub use figures::Watched;
use plugins::Uploading;
pub(super) use plugins::plugins_left;
pub use plugins::{Allowed, PluginView};
pub use report::{InventoryCount, InventoryCounts, MigrationQuery, MigrationView, RuleChange};
pub use subscribe::{CursorView, Piece, SubscribeRequest, Subscription};
pub use whatif::{Component, VariantRequest, WhatIfRequest};

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
    /// Why it is asked for, for the history.
    pub why: String,
}

/// A shadow rule to make active.
#[derive(Debug, Clone, PartialEq)]
pub struct Promotion {
    /// Its name.
    pub name: String,
    /// The share of the alerts it is shown that it may suppress, in hundredths of a percent.
    pub suppressed_max_basis_points: u32,
    /// The share counts once the rule was shown so many.
    pub alerts_min: u32,
    /// How long it is guarded.
    pub window_ms: Millis,
    /// Why, for the history.
    pub why: String,
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
    protected: Arc<CodeSet>,
    /// Keys that uploads must be signed with, where they must.
    signers: Option<Signers>,
    /// Plugins that are never run.
    denied: Arc<BTreeSet<Digest>>,
    without_plugins: bool,
    uploading: Arc<Uploading>,
    who: Arc<Identity>,
    wanted: Wanted,
    denials: Arc<Denials>,
    folder: Option<PathBuf>,
}

impl Handle {
    pub(super) fn new(queue: mpsc::Sender<Command>, shared: Arc<Shared>, parts: &Parts) -> Self {
        Self {
            queue,
            shared,
            sandbox: parts.sandbox.clone(),
            clock: Arc::clone(&parts.clock),
            limits: LimitsByOwner::new(parts.config.plugins.clone()),
            whatif: parts.config.whatif.clone(),
            report: parts.config.report.clone(),
            subscribe: parts.config.subscribe.clone(),
            // Where one cannot be read the host does not start.
            protected: Arc::new(parts.config.protected_codes().unwrap_or_default().into_iter().collect()),
            signers: parts
                .config
                .signatures_required
                .then(|| Signers::new(parts.config.signer_keys().unwrap_or_default())),
            denied: Arc::new(parts.config.denied_digests().unwrap_or_default()),
            without_plugins: parts.config.without_plugins,
            uploading: Arc::default(),
            who: Arc::new(Identity::local()),
            wanted: Wanted::default(),
            denials: Arc::new(Denials::new(parts.config.access.denials_per_minute_max)),
            folder: parts.folder.clone(),
        }
    }

    /// Queues a batch; waits while the queue is full. The answer comes after the commit; an answer that never comes
    /// (its sender is dropped) means that nothing was taken: see [`unavailable`](Self::unavailable).
    pub async fn submit(&self, batch: Batch) -> Result<oneshot::Receiver<Result<Ack, Refusal>>, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Command::Batch(batch, reply)).await.map_err(|_| self.unavailable())?;
        Ok(answer)
    }

    /// Why an answer never came.
    pub fn unavailable(&self) -> Refusal {
        self.shared.unavailable()
    }

    /// Where a producer stands, by its last committed batch.
    pub async fn producer(&self, id: &str) -> Result<Standing, Refusal> {
        self.ask(|reply| Command::Producer(id.to_owned(), reply)).await
    }

    /// Sets a rule, if its plugin accepts the parameters.
    pub async fn set_rule(&self, mut request: RuleRequest) -> Result<RuleView, Refusal> {
        let owner = owner_of_rule(&request.name).unwrap_or(OperatorId::UNKNOWN);
        let limits = self.limits.of(owner);
        check_rule(&request, limits)?;
        self.check_place(&request.name, &request.scope)?;
        let source = {
            let registry = self.shared.registry.read();
            let info = self.resolve(&registry, &request.plugin).map_err(|why| Refusal::invalid("plugin", why))?;
            plugins::check_state(info, limits)?;
            request.plugin = info.digest.to_string();
            self.shared.sources.read().get(&info.digest).cloned()
        };
        if let Some(Source::Component(plugin)) = source {
            let parameters = request.parameters.clone();
            let checked = blocking(move || plugin.check(&parameters, owner)).await?;
            checked.map_err(|why| Refusal::invalid("parameters", why.to_string()))?;
        }
        self.ask(|reply| Command::SetRule(Box::new(request), self.who.clone(), reply)).await
    }

    /// Sets a rule again as it was in one of its revisions, if its plugin still accepts the parameters.
    pub async fn restore_rule(&self, name: &str, revision: Revision, why: &str) -> Result<RuleView, Refusal> {
        self.check_own(name)?;
        let request = restored(&self.shared.registry.read(), name, revision, why)?;
        self.set_rule(request).await
    }

    /// Makes a rule active again that the host quarantined or set aside.
    pub async fn release_rule(&self, name: &str, why: String) -> Result<RuleView, Refusal> {
        check_why(&why)?;
        self.check_own(name)?;
        self.ask(|reply| Command::ReleaseRule(name.to_owned(), why, self.who.clone(), reply)).await
    }

    /// Removes a rule; gives the revision that did it.
    pub async fn remove_rule(&self, name: &str, why: String) -> Result<Revision, Refusal> {
        check_why(&why)?;
        self.check_own(name)?;
        self.ask(|reply| Command::RemoveRule(name.to_owned(), why, self.who.clone(), reply)).await
    }

    /// Changes of a rule before a revision, newest first, at most so many. A rule that was removed has a history too.
    pub fn history(&self, name: &str, before: Revision, changes_max: usize) -> Result<Vec<RevisionView>, Refusal> {
        self.check_own(name)?;
        let registry = self.shared.registry.read();
        if registry.history(name, Revision(u32::MAX)).next().is_none() {
            let message = never_a_rule(&registry, name, self.who.operator());
            return Err(Refusal::not_found("rule", name, message));
        }
        let changes = registry.history(name, before).take(changes_max);
        Ok(changes.map(|entry| self.shared.view_revision(&registry, entry)).collect())
    }

    /// The rules in the order they judge.
    pub fn rules(&self) -> Vec<RuleView> {
        let registry = self.shared.registry.read();
        let rules = registry.rules().into_iter().filter(|standing| self.sees(*standing));
        rules.filter_map(|standing| self.shared.view(&registry, standing)).collect()
    }

    /// Adds or changes devices: all of them, or none and why.
    pub async fn put_devices(&self, devices: Vec<DeviceRequest>) -> Result<DevicesPut, Refusal> {
        self.load_devices(devices, false).await
    }

    /// The same; on a `dry_run` it is only said what would be done.
    pub async fn load_devices(&self, devices: Vec<DeviceRequest>, dry_run: bool) -> Result<DevicesPut, Refusal> {
        let mut put = self.ask(|reply| Command::PutDevices(devices, dry_run, reply)).await?;
        if self.who.role == Role::Ingest {
            put.changes.clear();
        }
        Ok(put)
    }

    /// Shows a device.
    pub async fn device(&self, eui: Eui64) -> Result<DeviceView, Refusal> {
        self.ask(|reply| Command::Device(eui, self.who.operator(), reply)).await
    }

    /// Reads the books. Blocks on the disk for cold hours: call it from a blocking task.
    pub fn counts(&self, query: &CountQuery) -> Result<CountTable, Refusal> {
        self.counts_named(query, |names| names)
    }

    /// The same, with what `name` makes of the names.
    fn counts_named(&self, query: &CountQuery, name: impl Fn(Names) -> Names) -> Result<CountTable, Refusal> {
        let mut query = query.clone();
        self.limit_operators(&mut query.operators)?;
        self.check_filter(query.rule.as_deref())?;
        let query = &query;
        let hours = books::check(query).map_err(|error| Refusal::invalid(error.field, error.message))?;
        let reader = self.shared.reader()?;
        loop {
            let (position, mut cells) = {
                let ledger = self.shared.ledger.read();
                (ledger.position(), ledger.cells(hours.clone()))
            };
            let cold = reader.hours(hours.clone()).map_err(internal)?;
            let cold = cold.into_iter().filter(|page| !cells.contains_key(&page.hour)).collect::<Vec<_>>();
            // An hour that was cold a moment ago and has since been added to and written is asked for again.
            if cold.iter().any(|page| page.as_of > position) {
                continue;
            }
            cells.extend(cold.into_iter().map(|page| (page.hour, page.cells)));
            let names = name(self.names());
            let hours = cells.iter().map(|(hour, cells)| (*hour, cells.as_slice()));
            return Ok(books::answer(query, &names, position, hours));
        }
    }

    fn names(&self) -> Names {
        let registry = self.shared.registry.read();
        Names {
            rules: registry.revisions().iter().map(|entry| (entry.revision, entry.name.clone())).collect(),
            models: self.shared.models.read().clone(),
        }
    }

    /// Reads the log. Blocks on the disk: call it from a blocking task.
    pub fn alerts(&self, query: &AlertQuery) -> Result<AlertPage, Refusal> {
        let mut query = query.clone();
        self.limit_operators(&mut query.operators)?;
        self.check_filter(query.rule.as_deref())?;
        self.page(&query, Position(u64::MAX))
    }

    /// One page of the log before `end`.
    fn page(&self, query: &AlertQuery, end: Position) -> Result<AlertPage, Refusal> {
        let reader = self.shared.reader()?;
        let registry = self.shared.registry.read().clone();
        let models = self.shared.models.read().clone();
        let mut listing = Listing::new(query, &registry, &models);
        let received = query.received_ms();
        let mut heads = reader.heads(query.from).map_err(internal)?;
        while let Some(head) = heads.next() {
            self.go_on()?;
            let head = head.map_err(internal)?;
            listing.begin(head.first);
            if head.end > end {
                break;
            }
            if head.received_ms_max < received.start || head.received_ms_min >= received.end {
                listing.skip(head.end);
            } else if !listing.take(&heads.read(&head).map_err(internal)?) {
                break;
            }
        }
        let mut page = listing.finish();
        // A call that failed is on record for its whole group, whoever's alerts are in it.
        let own = self.who.operator();
        for alert in page.alerts.iter_mut().filter(|_| own.is_some()) {
            alert.faults.retain(|(rule, ..)| [own, None].contains(&owner_of_rule(rule)));
        }
        Ok(page)
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
        self.ask(Command::Shutdown).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(command(reply)).await.map_err(|_| self.unavailable())?;
        answer.await.map_err(|_| self.unavailable())?
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|why| Refusal::Internal(format!("a blocking task failed: {why}")))
}

fn internal(error: store::Error) -> Refusal {
    match error {
        store::Error::Closed => Refusal::Unavailable("the store is closed just now; ask again".into()),
        other => Refusal::Internal(format!("store: {other}")),
    }
}

/// Why no plugin is run.
pub(super) const WITHOUT_PLUGINS: &str =
    "this host was started without plugins, and runs none: start it without --no-plugins";

/// Why a plugin is not run.
pub(super) const DENIED: &str = "this host never runs it: it is in the setting denied_plugins";

/// Places that a rule may be given.
const ORDERS: std::ops::RangeInclusive<u32> = 1..=1_000_000;

/// Entries of one list of a scope.
const SCOPE_ENTRIES_MAX: usize = 1_000;

/// Characters of the reason for a change.
const WHY_CHARS_MAX: usize = 500;

fn check_why(why: &str) -> Result<(), Refusal> {
    let chars = why.chars().count();
    if chars > WHY_CHARS_MAX {
        return Err(Refusal::invalid("why", format!("{chars} characters are more than {WHY_CHARS_MAX}")));
    }
    match why.chars().find(|c| is_unsafe(*c)) {
        Some(control) => Err(Refusal::invalid("why", format!("has the control character {control:?} in it"))),
        None => Ok(()),
    }
}

/// What asks for a rule as it was in a revision.
fn restored(registry: &Registry, name: &str, revision: Revision, why: &str) -> Result<RuleRequest, Refusal> {
    let number = revision.0;
    let entry = registry.revision(revision).filter(|entry| entry.name == name);
    let entry = entry
        .ok_or_else(|| Refusal::not_found("revision", number, format!("rule {name:?} has no revision {number}")))?;
    let Some(rule) = &entry.rule else {
        return Err(Refusal::Precondition(format!("revision {number} removed the rule; restore one before it")));
    };
    if matches!(rule.mode, Mode::SetAside | Mode::Quarantined) {
        let message = format!("by revision {number} the host stopped the rule; restore one before it, or release it");
        return Err(Refusal::Precondition(message));
    }
    let because = if why.is_empty() { String::new() } else { format!(": {why}") };
    Ok(RuleRequest {
        name: name.to_owned(),
        plugin: rule.plugin.to_string(),
        parameters: rule.parameters.clone(),
        scope: rule.scope.clone(),
        mode: rule.mode,
        order: Some(rule.order),
        why: format!("restores revision {number}{because}"),
    })
}

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

/// Checks what needs no plugin.
fn check_rule(request: &RuleRequest, limits: &PluginLimits) -> Result<(), Refusal> {
    let RuleRequest { name, plugin: _, parameters, scope, mode: _, order, why } = request;
    check_why(why)?;
    check_name(name)?;
    if parameters.len() > limits.parameters_bytes_max {
        let max = limits.parameters_bytes_max;
        let message = format!("{} bytes are more than parameters_bytes_max ({max})", parameters.len());
        return Err(Refusal::invalid("parameters", message));
    }
    match serde_json::from_str::<serde_json::Value>(parameters) {
        Ok(serde_json::Value::Object(_)) => {}
        Ok(_) => return Err(Refusal::invalid("parameters", "is JSON, but not an object: write {...}")),
        Err(why) => return Err(Refusal::invalid("parameters", format!("is not JSON: {why}"))),
    }
    if let Some(order) = order.filter(|order| !ORDERS.contains(order)) {
        return Err(Refusal::invalid("position", format!("{order} is not 1 to 1,000,000")));
    }
    let lists = [
        ("scope.operators", scope.operators.len()),
        ("scope.generations", scope.generations.len()),
        ("scope.codes", scope.codes.len()),
        ("scope.models", scope.models.len()),
    ];
    match lists.iter().find(|(_, entries)| *entries > SCOPE_ENTRIES_MAX) {
        Some((field, entries)) => {
            Err(Refusal::invalid(*field, format!("{entries} entries are more than {SCOPE_ENTRIES_MAX}")))
        }
        None => Ok(()),
    }
}
