//! What the committer publishes and everybody may read: rules, plugins, books, status.
//!
//! It must not know commands. Invariant: what stands here is durable.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    admit::LabelTable,
    books::Ledger,
    domain::{HOUR_MS, KeptFault, Millis, Mode, ModelId, Position, Revision, RuleRevision},
    intake::{
        plausible::Ranges,
        tables::{CodeTable, CodeTables},
    },
    pipeline::{
        Figures, Status,
        clock::{Reading, Timekeeper},
        cursors::{Cursors, Seats},
        desk::Desk,
        progress::Progress,
        readings::Readings,
        refusal::Refusal,
        retention::Pins,
        sending::Sending,
        tokens::Tokens,
    },
    registry::{Registry, RevisionView, RuleView, Sources, Standing},
    store::Reader,
};

/// How often a thread that waits for its next work looks whether the host has stopped.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Whom a refusal is for: the words fit what they wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Sends alerts.
    Sender,
    /// Asks what there is.
    Reader,
    /// Changes something else.
    Changer,
}

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
    /// Labels of devices.
    pub labels: Published<LabelTable>,
    /// Names of models.
    pub models: Published<Arc<HashMap<ModelId, String>>>,
    /// Counts.
    pub ledger: Published<Ledger>,
    /// The table of alert codes that the host was started with, and which measurements it says are plausible: read once,
    /// whatever becomes of the file while the host runs.
    pub code_table: OnceLock<(CodeTable, Arc<Ranges>)>,
    /// The tables that alerts were logged under.
    pub code_tables: Published<Option<Arc<CodeTables>>>,
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
    /// The time.
    pub time: Timekeeper,
    /// The readings' file.
    pub readings: Readings,
    /// What questions hold of the log.
    pub pins: Arc<Pins>,
    /// All state before this position is to be written, so that old log entries can go; 0 for none.
    state_wanted: AtomicU64,
}

impl Shared {
    /// Nothing yet.
    pub fn new(time: Timekeeper) -> Self {
        Self {
            registry: Published::default(),
            sources: Published::default(),
            tokens: Published::default(),
            labels: Published::default(),
            models: Published::default(),
            ledger: Published::default(),
            code_table: OnceLock::new(),
            code_tables: Published::default(),
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
            time,
            readings: Readings::default(),
            pins: Arc::default(),
            state_wanted: AtomicU64::new(0),
        }
    }

    /// The same, with somebody who waits for the start.
    pub fn reporting(self, progress: watch::Sender<Progress>) -> Self {
        Self { progress, ..self }
    }

    /// The same, with a file of readings.
    pub fn with_readings(self, readings: Readings) -> Self {
        Self { readings, ..self }
    }

    /// The position before which all state is to be written.
    pub fn state_wanted(&self) -> Option<Position> {
        Some(Position(self.state_wanted.load(Ordering::Relaxed))).filter(|wanted| *wanted > Position(0))
    }

    /// Asks for all state before a position to be written, or for none any more.
    pub fn want_state(&self, before: Option<Position>) {
        self.state_wanted.store(before.unwrap_or_default().0, Ordering::Relaxed);
    }

    /// Reads the clock and publishes whether it is wrong.
    ///
    /// The status is locked before the clock is read, so no reading replaces the status of a later one.
    pub fn check_clock(&self) -> Reading {
        let mut reading = None;
        self.status.send_if_modified(|status| {
            let wrong = reading.insert(self.time.read()).wrong;
            let next = match (&*status, wrong) {
                (Status::Serving, Some(wrong)) => Status::ClockWrong(wrong),
                (Status::ClockWrong(_), None) => Status::Serving,
                _ => return false,
            };
            match wrong {
                Some(wrong) => tracing::error!("{wrong}"),
                None => tracing::info!("the host's clock is right again"),
            }
            *status = next;
            true
        });
        reading.unwrap_or_else(|| self.time.read())
    }

    /// Works again and again, each time after a while, until the host has stopped.
    pub fn until_stopped(&self, every: Duration, mut work: impl FnMut()) {
        let mut waited = Duration::ZERO;
        while !matches!(*self.status.borrow(), Status::Stopped(_)) {
            if waited < every {
                thread::sleep(LOOK_EVERY);
                waited += LOOK_EVERY;
                continue;
            }
            waited = Duration::ZERO;
            work();
        }
    }

    /// The end of a period before which readings are not kept, by the time that retention goes by.
    pub fn readings_kept_from(&self) -> Millis {
        let days = Millis::from(self.readings.limits().retention_days_max);
        self.time.mark().age_ms.saturating_sub(days * 24 * HOUR_MS)
    }

    /// How to read the store, or why it cannot be read now.
    pub fn reader(&self) -> Result<Reader, Refusal> {
        self.reader.read().clone().ok_or_else(|| self.unavailable(Audience::Reader))
    }

    /// The refusal that fits the status. Nothing was done of what is refused with it.
    pub fn unavailable(&self, audience: Audience) -> Refusal {
        let stopped = |why: &str| match audience {
            Audience::Sender => format!("{why}; send again when it is back"),
            Audience::Reader | Audience::Changer => format!("{why}; ask again when it is back"),
        };
        Refusal::Unavailable(match &*self.status.borrow() {
            Status::Serving | Status::ClockWrong(_) => stopped("the host is stopping"),
            Status::StoreFull => match audience {
                Audience::Sender => {
                    "the store has no room, so no alerts are taken; send again when there is room".to_owned()
                }
                Audience::Reader => {
                    "the store is opened again, after its disk was full; ask again in a moment".to_owned()
                }
                Audience::Changer => "the store has no room, so nothing can be changed; free space on its disk, or \
                                      restart with a lower store.log_bytes_max or store.retention_days_max"
                    .to_owned(),
            },
            Status::Stopped(why) if why.is_empty() => stopped("the host has stopped"),
            Status::Stopped(why) => stopped(&format!("the host has stopped: {why}")),
        })
    }

    /// The refusal where an answer never came: what was asked for may have been done all the same.
    pub fn no_answer(&self, audience: Audience) -> Refusal {
        match audience {
            Audience::Reader => self.unavailable(audience),
            Audience::Sender => Refusal::Unavailable(
                "the host failed before it could say whether the batch was taken; send it again under the same \
                 producer_id and sequence, which takes nothing twice"
                    .to_owned(),
            ),
            Audience::Changer => Refusal::Unavailable(
                "the host failed before it could say whether this was done; look whether it was before asking again"
                    .to_owned(),
            ),
        }
    }

    /// A rule with its failures.
    pub fn view(&self, registry: &Registry, standing: Standing<'_>) -> Option<RuleView> {
        let Standing { revision, rule } = standing;
        let faults = self.faults.read().get(&revision.name).cloned().unwrap_or_default();
        Some(RuleView {
            name: revision.name.clone(),
            revision: revision.revision,
            plugin: registry.shared_plugin(&rule.plugin)?,
            parameters: rule.parameters.clone(),
            scope: rule.scope.clone(),
            mode: rule.mode,
            order: rule.order,
            since: revision.since,
            guard: rule.guard,
            until_ms: rule.until_ms,
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
