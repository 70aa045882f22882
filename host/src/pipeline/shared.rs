//! What the committer publishes and everybody may read: rules, plugins, books, status.
//!
//! It must not know commands. Invariant: what stands here is durable.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use tokio::sync::watch;

use crate::{
    books::Ledger,
    domain::{KeptFault, Millis, Mode, ModelId, Position, Revision, RuleRevision},
    intake::plausible::Ranges,
    pipeline::{
        Figures, Status,
        cursors::{Cursors, Seats},
        desk::Desk,
        progress::Progress,
        refusal::Refusal,
        sending::Sending,
        tokens::Tokens,
    },
    registry::{Registry, RevisionView, RuleView, Sources, Standing},
    store::Reader,
};

/// A host's clock: milliseconds since 1970-01-01T00:00:00Z.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// Failed calls of one rule, and what it was not called for.
#[derive(Debug, Clone, Default)]
pub struct FaultCount {
    /// The last one; `None` where there was none.
    pub last: Option<KeptFault>,
    /// Alerts since the host started that it was not shown because there was no time for it.
    pub passed_over: u64,
}

/// A value that one thread writes and many read. A panic of a reader does not make it unreadable for others.
#[derive(Debug, Default)]
pub struct Published<T>(RwLock<T>);

impl<T> Published<T> {
    /// To read.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To write.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything published.
pub struct Shared {
    /// Rules and plugins.
    pub registry: Published<Registry>,
    /// Plugins ready to be called.
    pub sources: Published<Sources>,
    /// Who may ask.
    pub tokens: Published<Tokens>,
    /// Names of models.
    pub models: Published<HashMap<ModelId, String>>,
    /// Counts.
    pub ledger: Published<Ledger>,
    /// Which measurements are plausible: read once, whatever becomes of the file while the host runs.
    pub plausible: OnceLock<Arc<Ranges>>,
    /// Failures by rule name.
    pub faults: Published<HashMap<String, FaultCount>>,
    /// What was done, in figures.
    pub figures: Published<Figures>,
    /// Questions over the past.
    pub desk: Desk,
    /// How far subscribers have come.
    pub cursors: Published<Cursors>,
    /// Who of them reads just now.
    pub seats: Arc<Seats>,
    /// Producers with an open stream.
    pub sending: Arc<Sending>,
    /// Where the log ends: whoever reads up to here finds everything else published that belongs to it.
    pub log_end: watch::Sender<Position>,
    /// How to read the store; `None` while it is closed.
    pub reader: Published<Option<Reader>>,
    /// Whether alerts are taken.
    pub status: watch::Sender<Status>,
    /// How far the start has come.
    pub progress: watch::Sender<Progress>,
}

impl Shared {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            registry: Published::default(),
            sources: Published::default(),
            tokens: Published::default(),
            models: Published::default(),
            ledger: Published::default(),
            plausible: OnceLock::new(),
            faults: Published::default(),
            figures: Published::default(),
            desk: Desk::default(),
            cursors: Published::default(),
            seats: Arc::default(),
            sending: Arc::default(),
            log_end: watch::Sender::default(),
            reader: Published::default(),
            status: watch::Sender::new(Status::Serving),
            progress: watch::Sender::default(),
        }
    }

    /// The same, with somebody who waits for the start.
    pub fn reporting(progress: watch::Sender<Progress>) -> Self {
        Self { progress, ..Self::new() }
    }

    /// How to read the store, or why it cannot be read now.
    pub fn reader(&self) -> Result<Reader, Refusal> {
        self.reader.read().clone().ok_or_else(|| self.unavailable())
    }

    /// The refusal that fits the status.
    pub fn unavailable(&self) -> Refusal {
        match &*self.status.borrow() {
            Status::Serving => Refusal::Unavailable("the host is stopping; send again when it is back".into()),
            Status::StoreFull => {
                Refusal::Unavailable("the store has no room; nothing was taken, send again when there is room".into())
            }
            Status::Stopped(why) if why.is_empty() => Refusal::Unavailable("the host has stopped".into()),
            Status::Stopped(why) => Refusal::Unavailable(format!("the host has stopped: {why}")),
        }
    }

    /// A rule with its failures.
    pub fn view(&self, registry: &Registry, standing: Standing<'_>) -> Option<RuleView> {
        let Standing { revision, rule } = standing;
        let faults = self.faults.read().get(&revision.name).cloned().unwrap_or_default();
        Some(RuleView {
            name: revision.name.clone(),
            revision: revision.revision,
            plugin: registry.plugin(&rule.plugin)?.clone(),
            parameters: rule.parameters.clone(),
            scope: rule.scope.clone(),
            mode: rule.mode,
            order: rule.order,
            since: revision.since,
            guard: rule.guard,
            fault_count: faults.last.as_ref().map_or(0, |fault| fault.count),
            passed_over: faults.passed_over,
            last_fault: match (&faults.last, rule.mode) {
                (Some(fault), _) => fault.to_string(),
                // It was set aside for another reason, or quarantined by a version that kept no faults.
                (None, Mode::SetAside | Mode::Quarantined) => revision.why.clone(),
                (None, _) => String::new(),
            },
            fault_kind: faults.last.map(|fault| fault.kind),
        })
    }

    /// A change to the rules, with the rule as it then was.
    pub fn view_revision(&self, registry: &Registry, revision: &RuleRevision) -> RevisionView {
        let standing = revision.rule.as_ref().map(|rule| Standing { revision, rule });
        RevisionView {
            revision: revision.revision,
            name: revision.name.clone(),
            since: revision.since,
            made_ms: revision.made_ms,
            who: revision.who.clone(),
            why: revision.why.clone(),
            rule: standing.and_then(|standing| self.view(registry, standing)),
        }
    }

    /// Publishes how a rule failed.
    pub fn publish_fault(&self, rule: &str, fault: KeptFault) {
        self.faults.write().entry(rule.to_owned()).or_default().last = Some(fault);
    }

    /// Forgets how a rule failed that was removed.
    pub fn drop_fault(&self, rule: &str) {
        self.faults.write().remove(rule);
    }

    /// Counts alerts that a rule was not shown.
    pub fn count_passed_over(&self, revision: Revision, alerts: u32) {
        let name = self.registry.read().revision(revision).map(|entry| entry.name.clone());
        if let Some(name) = name {
            self.faults.write().entry(name).or_default().passed_over += u64::from(alerts);
        }
    }
}
