//! The fold's thread: groups in, effects out.
//!
//! It must not know how effects are written. Invariant: its memory is what the store will hold once everything handed
//! over is committed.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use crate::{
    admit::{Admitted, Bounds, Horizon, Inventory, Labels},
    audit,
    config::Config,
    domain::{
        Ack, AuditEntry, AuditEvent, Balance, BatchDigest, CodeTableChange, Effects, End, Eui64, Group, Handover,
        JudgingSettings, KeptFault, Metering, Millis, Position, ProducerKey, ProducerMark, Reject, RejectReason,
        RemarkCounts, Rule, RuleRevision, SettingsNo,
    },
    evaluate::{Chain, Judged, Judgement, Shares, State, count_devices, judge},
    intake::plausible::Ranges,
    pipeline::{
        Batch, changes,
        clock::{Clock, Reading},
        collect::{Collector, Command, Next, Reply},
        cursors::{Cursors, Moves},
        faults::PassedOver,
        figures::GroupFigures,
        guards::Guards,
        handle::Submission,
        producers::{self, Expected, Producers},
        quarantine::Quarantine,
        refusal::Refusal,
        shared::Shared,
        tokens::Tokens,
    },
    registry::Registry,
};

/// Pages written by one commit, at a checkpoint or on an idle host.
pub const PAGES_PER_COMMIT: usize = 64;

/// Pages written with a group, beside its slice, while old log entries wait for them.
const PAGES_WANTED_PER_GROUP: usize = 16;

/// Something to do once the effects before it are durable.
pub type Act = Box<dyn FnOnce(&Shared) + Send>;

/// What the fold hands to the committer.
#[derive(Default)]
pub struct Work {
    /// To write, if anything.
    pub effects: Option<Effects>,
    /// Write all of the books too.
    pub checkpoint: bool,
    /// How long it took to find out what there is to write, for a group of alerts.
    pub folded_in: Duration,
    /// To do after.
    pub acts: Vec<Act>,
}

/// Why the fold stopped.
pub enum Left {
    /// Told to; whom to tell when everything is written.
    Told(Option<Reply<()>>),
    /// The committer is gone.
    Alone,
}

/// A batch's rows within its group, and whom to tell.
struct Span {
    producer: ProducerKey,
    sequence: u64,
    digest: BatchDigest,
    bookmark: Vec<u8>,
    is_ephemeral: bool,
    rows: Range<usize>,
    rejected: u64,
    rejections: Vec<(u32, String)>,
    replies: Vec<Reply<Ack>>,
}

/// Memory of the fold.
pub struct Engine {
    /// Limits.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// Which measurements are plausible.
    pub plausible: Arc<Ranges>,
    /// Devices.
    pub inventory: Inventory,
    /// Labels of devices.
    pub labels: Labels,
    /// What is kept per device.
    pub state: State,
    /// How far back copies are looked for.
    pub horizon: Horizon,
    /// Rules and plugins, changes on their way included.
    pub registry: Registry,
    /// The active rules.
    pub chain: Chain,
    /// Who sent what.
    pub producers: Producers,
    /// Producers that the next effects drop.
    pub producers_dropped: Vec<ProducerKey>,
    /// Where the next group begins.
    pub position: Position,
    /// How long the rules of operators may judge.
    pub shares: Shares,
    /// Rules that failed of late.
    pub quarantine: Quarantine,
    /// How rules failed last, by name.
    pub faults: BTreeMap<String, KeptFault>,
    /// Devices that changed hands.
    pub handovers: HashMap<Eui64, Handover>,
    /// Rules that there was no time for.
    pub passed_over: PassedOver,
    /// When the next quarantine is over.
    pub trial_at_ms: Millis,
    /// When the next rule ends.
    pub end_at_ms: Millis,
    /// The number of the settings that are judged under.
    pub settings: SettingsNo,
    /// The table of codes that alerts are logged under from here on, until a group is handed over.
    pub code_table_unwritten: Option<CodeTableChange>,
    /// Those settings, until a group that names them is handed over.
    pub settings_unwritten: Option<JudgingSettings>,
    /// Rules that were promoted, and how they do.
    pub guards: Guards,
    /// Who may ask.
    pub tokens: Tokens,
    /// How far subscribers have come.
    pub cursors: Cursors,
    /// What of that the next effects carry.
    pub moves: Moves,
    /// The end of the audit log.
    pub chain_of_audit: audit::Chain,
    /// Entries of it that the next effects carry.
    pub audit_pending: Vec<AuditEntry>,
    /// What is published.
    pub shared: Arc<Shared>,
}

impl Engine {
    /// Works until it is told to stop or the committer is gone.
    pub fn run(&mut self, collector: &mut Collector, commits: &mpsc::SyncSender<Work>) -> Left {
        loop {
            let work = match collector.next() {
                Next::Group(batches, waiting) => {
                    let started = Instant::now();
                    let work = self.group(batches, waiting);
                    Work { folded_in: started.elapsed(), ..work }
                }
                Next::Other(command) => match self.change(command) {
                    Ok(work) => work,
                    Err(told) => {
                        self.checkpoint(commits);
                        return Left::Told(told);
                    }
                },
                Next::Closed => {
                    self.checkpoint(commits);
                    return Left::Told(None);
                }
            };
            let work = self.add_moves(work, collector.is_idle());
            if commits.send(work).is_err() {
                return Left::Alone;
            }
        }
    }

    /// Judges batches as one group, while so many commands wait behind it.
    pub fn group(&mut self, batches: Vec<(Submission, Reply<Ack>)>, waiting: usize) -> Work {
        let Reading { now_ms, wrong } = self.shared.time.read();
        let mut work = Work::default();
        if let Some(wrong) = wrong {
            // Published before the replies, so a refused sender finds the host's status changed.
            self.shared.check_clock();
            batches.into_iter().for_each(|(_, reply)| drop(reply.send(Err(Refusal::WrongClock(wrong)))));
            return work;
        }
        let mut admitted = Admitted::default();
        let mut spans: Vec<Span> = Vec::with_capacity(batches.len());
        for (submission, reply) in batches {
            let Submission { key, digest, batch } = &submission;
            let numbered = key.is_numbered();
            let same = |span: &&mut Span| numbered && span.producer == *key && span.sequence == batch.sequence;
            if let Some(span) = spans.iter_mut().find(same) {
                let taken = (Some(span.digest), span.bookmark.as_slice());
                match producers::check_same(key, batch.sequence, taken, (Some(*digest), &batch.bookmark)) {
                    Ok(()) => span.replies.push(reply),
                    Err(refusal) => work.acts.push(Box::new(move |_| drop(reply.send(Err(refusal))))),
                }
                continue;
            }
            let before = spans.iter().rev().find(|span| numbered && span.producer == *key);
            let follows = before.is_some_and(|span| span.sequence.checked_add(1) == Some(batch.sequence));
            let expected = if follows {
                Ok(Expected::Next)
            } else {
                if numbered {
                    self.expire_producers(key);
                }
                self.producers.expect(key, batch.sequence, (*digest, &batch.bookmark))
            };
            match expected {
                Ok(Expected::Next) => spans.push(self.take(submission, reply, now_ms, &mut admitted)),
                Ok(Expected::Again(ack)) => work.acts.push(Box::new(move |_| drop(reply.send(Ok(ack))))),
                Err(refusal) => work.acts.push(Box::new(move |_| drop(reply.send(Err(refusal))))),
            }
        }
        if !spans.is_empty() {
            let sheds = waiting > self.config.plugins.shadow_batches_waiting_max;
            self.judge(admitted, spans, (now_ms, sheds), &mut work);
        }
        work
    }

    /// Admits a batch.
    fn take(&mut self, submission: Submission, reply: Reply<Ack>, now_ms: i64, admitted: &mut Admitted) -> Span {
        let Submission { key, digest, batch } = submission;
        let retention_days = self.config.store.retention_days_max;
        let bounds = Bounds {
            operators: batch.operators,
            ..Bounds::new(now_ms, &self.config.intake, retention_days, &self.plausible)
        };
        let start = admitted.rows.len();
        let mut rejected = u64::from(batch.unreadable);
        if batch.unreadable > 0 {
            let unreadable = Reject { reason: RejectReason::Unreadable, code: None, message: String::new() };
            admitted.reject(&unreadable, now_ms, rejected);
        }
        let mut rejections = Vec::new();
        let listed_max = self.config.intake.rejections_listed_max;
        admitted.take(&batch.alerts, &bounds, &mut self.inventory, |index, reject| {
            rejected += 1;
            if rejections.len() < listed_max {
                rejections.push((index as u32, reject.message));
            }
        });
        let rows = start..admitted.rows.len();
        let Batch { producer: _, sequence, bookmark, ephemeral, alerts: _, unreadable: _, operators: _ } = batch;
        let replies = vec![reply];
        Span { producer: key, sequence, digest, bookmark, is_ephemeral: ephemeral, rows, rejected, rejections, replies }
    }

    fn judge(&mut self, mut admitted: Admitted, spans: Vec<Span>, (now_ms, sheds): (Millis, bool), work: &mut Work) {
        // What has ended is not tried again.
        let mut revisions = self.end_rules(now_ms, work);
        revisions.extend(self.begin_trials(now_ms, work));
        revisions.extend(self.end_guards(now_ms, work));
        let memory = self.horizon.at(self.position, now_ms);
        let is_protected = |code: u16| self.chain.settings.protected.contains(code);
        admitted.find_copies(&mut self.state.copies, self.position, memory, is_protected);
        let quarantine = &self.quarantine;
        let search = |rule| !quarantine.has_failed(rule);
        let judgement = Judgement {
            rows: &admitted.rows,
            duplicate: &admitted.duplicate,
            skipped: &[],
            recorded: &[],
            metering: Metering::Live,
            obeyed: None,
            sheds,
            search: &search,
            shares: Some(&self.shares),
        };
        let judged = judge(&mut self.state, &self.chain, judgement);
        let Judged { marks, mark, withheld, faults, called, shadows, poison } = judged;
        let mut group = Group {
            first: self.position,
            judged_ms: now_ms,
            settings: self.settings,
            rows: admitted.rows,
            marks,
            mark,
            withheld,
            rejected: admitted.rejected,
            faults,
            shadows,
            remembered_from: Some(memory.from),
        };
        count_devices(&mut self.state, &group);
        self.position = group.end();
        let mut effects =
            Effects { position: self.position, ran_ms: self.producers.clock.now_ms(), ..Effects::default() };
        effects.producers_dropped = std::mem::take(&mut self.producers_dropped);
        effects.devices = admitted.new_devices.iter().map(|no| (no.0, *self.inventory.get(*no))).collect();
        // What a producer may ask about once it has its answer is published before it.
        self.guards.count(&called);
        revisions.extend(self.note_faults(&mut group, (&called, &poison), &mut effects, work));
        revisions.extend(self.keep_guards(&called, work));
        let faults = group.faults.iter().map(|fault| (fault.rule, fault.kind)).collect();
        let figures = GroupFigures { called, faults, ..GroupFigures::default() };
        effects.settings = self.settings_unwritten.take().map(|settings| (self.settings, settings));
        effects.code_table = self.code_table_unwritten.take();
        effects.revisions = revisions;
        effects.audit = std::mem::take(&mut self.audit_pending);
        (effects.guards, effects.guards_dropped) = self.guards.take_changes();
        self.answer(spans, &group, figures, &mut effects, work);
        effects.pages = self.state.slice(group.rows.len(), self.config.store.recovery_rows_max, self.position);
        if let Some(before) = self.shared.state_wanted() {
            effects.pages.extend(self.state.dirty_pages(PAGES_WANTED_PER_GROUP, before, self.position));
        }
        effects.replay_from = self.state.oldest_dirty(self.position);
        effects.group = Some(group);
        work.effects = Some(effects);
    }

    /// Settles what each batch is told, and counts what became of all.
    fn answer(
        &mut self,
        spans: Vec<Span>,
        group: &Group,
        mut figures: GroupFigures,
        effects: &mut Effects,
        work: &mut Work,
    ) {
        let mut replies: Vec<Act> = Vec::with_capacity(spans.len());
        for span in spans {
            let mut balance = Balance { rejected: span.rejected, ..Balance::default() };
            let remarks = RemarkCounts::of(&group.rows.remarks[span.rows.clone()]);
            let mut count = vec![0; group.marks.len()];
            group.mark[span.rows.clone()].iter().for_each(|mark| count[usize::from(*mark)] += 1);
            for (mark, count) in group.marks.iter().zip(count) {
                balance.add(mark.end, count);
                figures.overruled += if mark.is_overruled() { count } else { 0 };
            }
            figures.balance.add(End::Rejected, balance.rejected);
            figures.balance.add(End::Forwarded, balance.forwarded);
            figures.balance.add(End::Suppressed, balance.suppressed);
            figures.balance.add(End::Duplicate, balance.duplicate);
            figures.remarks.add(remarks);
            let Span { producer: key, sequence, digest, bookmark, is_ephemeral, rejections, replies: told, .. } = span;
            let ack = Ack { sequence, position: self.position, balance, rejections, remarks };
            if key.is_numbered() {
                let (ack, digest, taken_ms, ran_ms) = (ack.clone(), Some(digest), group.judged_ms, effects.ran_ms);
                let mark = ProducerMark { key, ack, bookmark, digest, taken_ms, ran_ms, is_ephemeral };
                effects.producers.push(self.producers.settle(mark));
            }
            replies.push(Box::new(move |_| {
                told.into_iter().for_each(|reply| drop(reply.send(Ok(ack.clone()))));
            }));
        }
        work.acts.push(Box::new(move |shared| shared.figures.write().add(figures, &shared.registry.read())));
        // Whoever has its answer finds the log as far as that: to follow it from now on, say.
        let end = self.position;
        work.acts.push(Box::new(move |shared| {
            shared.log_end.send_replace(end);
        }));
        work.acts.extend(replies);
    }

    /// Changes a rule from here on, in memory; the revision is the caller's to have written.
    pub fn revise(&mut self, name: String, rule: Option<Rule>, who: &str, why: String) -> RuleRevision {
        let entry = RuleRevision {
            revision: self.registry.next_revision(),
            since: self.position,
            made_ms: (self.clock)(),
            name,
            rule,
            who: who.to_owned(),
            why,
        };
        tracing::info!(rule = entry.name, revision = entry.revision.0, since = entry.since.0, "rule changed");
        self.registry.append(entry.clone());
        self.note(changes::event_of(&entry));
        entry
    }

    /// Walks the rules as they now are from the next group on, and publishes them after the commit.
    pub fn rules_changed(&mut self, work: &mut Work) {
        let sources = self.shared.sources.read();
        let chain = self.registry.chain_at(self.position, &sources, &self.chain.settings);
        drop(sources);
        match chain {
            Ok(chain) => self.chain = chain,
            // Every rule's plugin was loaded before the rule was set, and at start.
            Err(missing) => tracing::error!(%missing, "the chain stays as it was"),
        }
        self.fit_state();
        self.plan_trials();
        self.plan_ends();
        let rules = self.registry.rules();
        self.guards.watch(&rules);
        self.passed_over.retain(|rule| rules.iter().any(|standing| standing.revision.revision == rule));
        let registry = self.registry.clone();
        work.acts.push(Box::new(move |shared| {
            shared.figures.write().keep(&registry);
            *shared.registry.write() = registry;
        }));
    }

    /// Forgets the state of rules that are gone and makes room for that of new ones.
    pub fn fit_state(&mut self) {
        self.state.retain(&self.registry.live_namespaces());
        for rule in &self.chain.rules {
            if let Some((namespace, key, words)) = rule.namespace {
                self.state.slots_mut(namespace, key, words);
            }
        }
    }

    /// Notes something in the audit log: the next effects carry it.
    pub fn note(&mut self, event: AuditEvent) {
        let entry = self.chain_of_audit.append(event, (self.clock)());
        self.audit_pending.push(entry);
    }

    /// Effects that only carry a change, and what was noted; the caller fills in the rest.
    pub fn effects(&mut self) -> Effects {
        let (guards, guards_dropped) = self.guards.take_changes();
        Effects {
            guards,
            guards_dropped,
            ran_ms: self.producers.clock.now_ms(),
            producers_dropped: std::mem::take(&mut self.producers_dropped),
            position: self.position,
            replay_from: self.state.oldest_dirty(self.position),
            audit: std::mem::take(&mut self.audit_pending),
            ..Effects::default()
        }
    }

    /// Effects that write state which is wanted written, so that old log entries can go; `None` where none is.
    pub fn state_wanted(&mut self, pages_max: usize) -> Option<Effects> {
        let before = self.shared.state_wanted()?;
        let pages = self.state.dirty_pages(pages_max, before, self.position);
        Some(Effects { pages, ..self.effects() })
    }

    /// Answers a command that writes nothing, while nothing can be written.
    pub fn answer_reader(&mut self, command: Command) {
        if let Ok(work) = self.change(command) {
            work.acts.into_iter().for_each(|act| act(&self.shared));
        }
    }

    /// Writes every page.
    fn checkpoint(&mut self, commits: &mpsc::SyncSender<Work>) {
        let moves = self.add_moves(Work::default(), true);
        let mut is_open = commits.send(moves).is_ok();
        while is_open {
            let pages = self.state.dirty_pages(PAGES_PER_COMMIT, Position(u64::MAX), self.position);
            let last = pages.len() < PAGES_PER_COMMIT;
            let effects = Some(Effects { pages, ..self.effects() });
            is_open = commits.send(Work { effects, checkpoint: last, ..Work::default() }).is_ok() && !last;
        }
    }
}
