//! Collecting: what is queued becomes groups, at the pipeline's own pace.
//!
//! It must not know what a group does. Invariant: commands keep their order; the first batch is always taken, so the
//! queue moves whatever the limits are.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    config::GroupLimits,
    domain::{
        Ack, AuditEvent, ClockMark, Cursor, CursorKey, Digest, Eui64, Identity, KeptQuestion, Millis, Mpxn, OperatorId,
        PluginInfo, Position, ProducerKey, Revision, SigningKey, Tenure, Token,
    },
    pipeline::{
        AtPoint, DeviceRequest, DeviceView, DevicesPut, LoadState, LoadTerms, Promotion, RuleRequest, StandingAt,
        cursors::Cursors,
        handle::Submission,
        plugins::{Revoked, Upload},
        producers::{ProducerView, Standing},
        refusal::Refusal,
        shared::Audience,
    },
    registry::RuleView,
};

/// Where an answer goes. A caller that went away is no error.
pub type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// What the fold is asked to do.
pub enum Command {
    /// Judge alerts.
    Batch(Submission, Reply<Ack>),
    /// Keep a plugin that was checked and compiled.
    AddPlugin(Box<Upload>, Arc<Identity>, Reply<PluginInfo>),
    /// Remove a plugin.
    RemovePlugin(Digest, Arc<Identity>, Reply<PluginInfo>),
    /// Revoke a plugin, and why.
    RevokePlugin(Digest, String, Arc<Identity>, Reply<Revoked>),
    /// Revoke a key that plugins are signed with, and why.
    RevokeKey(SigningKey, String, Arc<Identity>, Reply<Revoked>),
    /// Set a rule whose parameters the plugin of that digest has checked.
    SetRule(Box<RuleRequest>, Digest, Arc<Identity>, Reply<RuleView>),
    /// Make a shadow rule active, under a guard.
    PromoteRule(Promotion, Arc<Identity>, Reply<RuleView>),
    /// Let a rule judge again that the host stopped, by name, and why.
    ReleaseRule(String, String, Arc<Identity>, Reply<RuleView>),
    /// Remove a rule by name, and why.
    RemoveRule(String, String, Arc<Identity>, Reply<Revision>),
    /// Keep a token.
    CreateToken(Box<Token>, Reply<Token>),
    /// Revoke a token by name.
    RevokeToken(String, Arc<Identity>, Reply<Token>),
    /// Note something in the audit log.
    Note(AuditEvent),
    /// Note something in the audit log, and say when it is on disk.
    Record(AuditEvent, Reply<()>),
    /// Look up the operators of devices; `None` for an unknown device.
    OperatorsOf(Vec<Eui64>, Reply<Vec<Option<OperatorId>>>),
    /// Keep a question over the past, drop those of some numbers, and note it where it is new.
    KeepQuestion(Box<KeptQuestion>, Vec<u64>, Option<AuditEvent>, Reply<()>),
    /// Make a cursor at a position where there is none.
    OpenCursor(CursorKey, Position, Reply<Cursor>),
    /// Move a cursor forward.
    AdvanceCursor(CursorKey, Position, Reply<Cursor>),
    /// Forget a cursor.
    DropCursor(CursorKey, Reply<()>),
    /// Add or change devices, or only say what that would do.
    PutDevices(Vec<DeviceRequest>, LoadTerms, Box<LoadState>, Arc<Identity>, Reply<(DevicesPut, LoadState)>),
    /// Look up the devices at a metering point.
    AtPoint {
        /// The point.
        mpxn: Mpxn,
        /// The number to go on from.
        from: u32,
        /// How many at most.
        devices_max: usize,
        /// Of these operators; of any where there is none.
        operators: Vec<OperatorId>,
        /// Where they go.
        reply: Reply<AtPoint>,
    },
    /// Look up the devices at metering points, as tenures.
    ThereNow {
        /// The points.
        points: Vec<Mpxn>,
        /// The operator whose devices the caller may know of; `None` for all.
        own: Option<OperatorId>,
        /// Where the answers go, in the same order.
        reply: Reply<Vec<Vec<Tenure>>>,
    },
    /// Say what the inventory has of devices and the metering points they are said to be at.
    Standings {
        /// The devices, each with a point.
        pairs: Vec<(Eui64, Mpxn)>,
        /// The operator whose devices the caller may know of; `None` for all.
        own: Option<OperatorId>,
        /// Where the answers go, in the same order.
        reply: Reply<Vec<StandingAt>>,
    },
    /// Show a device.
    /// Of one operator, where it is told of its own alone.
    Device(Eui64, Option<OperatorId>, Reply<DeviceView>),
    /// Tell where a producer stands.
    Producer(ProducerKey, Reply<Standing>),
    /// List producers.
    Producers {
        /// Of whom; `None` for all.
        holder: Option<String>,
        /// The one that the list goes on after.
        after: Option<ProducerKey>,
        /// How many at most.
        count: usize,
        /// Where they go.
        reply: Reply<Vec<ProducerView>>,
    },
    /// Forget a producer.
    RemoveProducer(ProducerKey, Arc<Identity>, Reply<()>),
    /// Take what the host's clock shows for the time, if that is about this.
    ConfirmClock(Millis, Arc<Identity>, Reply<ClockMark>),
    /// Write everything and stop.
    Shutdown(Reply<()>),
    /// Look around: the committer stopped, or wants state to be written.
    Wake,
}

/// The fold's next piece of work.
pub enum Next {
    /// Batches to judge as one group, and how many commands wait behind them.
    Group(Vec<(Submission, Reply<Ack>)>, usize),
    /// Something else.
    Other(Command),
    /// Nobody can ask for anything any more.
    Closed,
}

/// The size of one group, where it is not left to time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSize {
    /// Batches that it takes; another command ends it early.
    pub batches: usize,
    /// Commands that count as waiting behind it.
    pub waiting: usize,
}

/// Returns the size of the next group. Tests decide it by their seed, because how batches come together decides what one
/// call of a rule is shown.
pub type GroupSizing = Arc<dyn Fn() -> GroupSize + Send + Sync>;

/// The queue, with the command that ended the last group.
pub struct Collector {
    queue: mpsc::Receiver<Command>,
    held: Option<Command>,
    limits: GroupLimits,
    grouping: Option<GroupSizing>,
}

impl Collector {
    /// Collects from a queue. Without a `grouping`, a group takes what waits and what comes in time.
    pub fn new(queue: mpsc::Receiver<Command>, limits: GroupLimits, grouping: Option<GroupSizing>) -> Self {
        Self { queue, held: None, limits, grouping }
    }

    /// Whether nothing waits.
    pub fn is_idle(&self) -> bool {
        self.held.is_none() && self.queue.is_empty()
    }

    /// Takes nothing more; what is queued can still be refused.
    pub fn close(&mut self) {
        self.queue.close();
    }

    /// Waits for the next piece of work.
    pub fn next(&mut self) -> Next {
        let first = self.held.take().or_else(|| self.queue.blocking_recv());
        let (submission, reply) = match first {
            Some(Command::Batch(submission, reply)) => (submission, reply),
            Some(other) => return Next::Other(other),
            None => return Next::Closed,
        };
        let mut group = vec![(submission, reply)];
        match self.grouping.as_ref().map(|next_size| next_size()) {
            Some(size) => {
                self.fill_to(size.batches, &mut group);
                Next::Group(group, size.waiting)
            }
            None => {
                self.fill_in_time(&mut group);
                Next::Group(group, self.queue.len())
            }
        }
    }

    /// Adds what waits and what comes in time, up to the limit of alerts.
    fn fill_in_time(&mut self, group: &mut Vec<(Submission, Reply<Ack>)>) {
        let until = Instant::now() + Duration::from_micros(self.limits.wait_us_max);
        let mut alerts: usize = group.iter().map(|(next, _)| next.batch.alerts.len()).sum();
        while alerts < self.limits.alerts_max {
            match self.more(until) {
                Some(Command::Batch(next, reply)) if alerts + next.batch.alerts.len() <= self.limits.alerts_max => {
                    alerts += next.batch.alerts.len();
                    group.push((next, reply));
                }
                Some(other) => {
                    self.held = Some(other);
                    break;
                }
                None => break,
            }
        }
    }

    /// Adds batches, waiting for each, until there are so many or another command comes.
    fn fill_to(&mut self, batches: usize, group: &mut Vec<(Submission, Reply<Ack>)>) {
        while group.len() < batches {
            match self.queue.blocking_recv() {
                Some(Command::Batch(submission, reply)) => group.push((submission, reply)),
                other => {
                    self.held = other;
                    break;
                }
            }
        }
    }

    /// The next command that is there, or comes before the time is up.
    fn more(&mut self, until: Instant) -> Option<Command> {
        loop {
            match self.queue.try_recv() {
                Ok(command) => return Some(command),
                Err(mpsc::error::TryRecvError::Disconnected) => return None,
                Err(mpsc::error::TryRecvError::Empty) if Instant::now() >= until => return None,
                Err(mpsc::error::TryRecvError::Empty) => std::thread::sleep(Duration::from_micros(50)),
            }
        }
    }

    /// Hands what waits, and what comes until `until`, to `answer`; stops where it is told to.
    pub fn pause(&mut self, until: Instant, mut answer: impl FnMut(Command)) -> Pause {
        loop {
            match self.held.take().or_else(|| self.more(until)) {
                Some(Command::Shutdown(reply)) => return Pause::Stop(Some(reply)),
                Some(command) => answer(command),
                None if self.queue.is_closed() => return Pause::Stop(None),
                None => return Pause::Over,
            }
        }
    }
}

/// How a pause ended.
pub enum Pause {
    /// Its time is over.
    Over,
    /// The host is to stop, and whom to tell when it has.
    Stop(Option<Reply<()>>),
}

impl Command {
    /// Whom a refusal would be for.
    pub fn audience(&self) -> Audience {
        match self {
            Self::Batch(..) | Self::Producer(..) => Audience::Sender,
            Self::Device(..)
            | Self::AtPoint { .. }
            | Self::ThereNow { .. }
            | Self::Standings { .. }
            | Self::Producers { .. }
            | Self::OperatorsOf(..) => Audience::Reader,
            _ => Audience::Changer,
        }
    }

    /// True if nothing is to be written for it.
    pub fn only_reads(&self, cursors: &Cursors) -> bool {
        match self {
            Self::Device(..) | Self::AtPoint { .. } | Self::ThereNow { .. } | Self::Standings { .. } => true,
            Self::Producer(..) | Self::Producers { .. } | Self::OperatorsOf(..) | Self::Wake => true,
            Self::PutDevices(_, terms, ..) => terms.dry_run,
            Self::OpenCursor(key, ..) => cursors.get(key).is_some(),
            _ => false,
        }
    }

    /// Answers with what `refusal` says to those it is for.
    pub fn refuse(self, refusal: impl FnOnce(Audience) -> Refusal) {
        let refusal = refusal(self.audience());
        match self {
            Self::Batch(_, reply) => drop(reply.send(Err(refusal))),
            Self::AddPlugin(.., reply) => drop(reply.send(Err(refusal))),
            Self::RemovePlugin(.., reply) => drop(reply.send(Err(refusal))),
            Self::RevokePlugin(.., reply) | Self::RevokeKey(.., reply) => drop(reply.send(Err(refusal))),
            Self::SetRule(.., reply) => drop(reply.send(Err(refusal))),
            Self::PromoteRule(.., reply) => drop(reply.send(Err(refusal))),
            Self::ReleaseRule(.., reply) => drop(reply.send(Err(refusal))),
            Self::RemoveRule(.., reply) => drop(reply.send(Err(refusal))),
            Self::PutDevices(.., reply) => drop(reply.send(Err(refusal))),
            Self::Device(_, _, reply) => drop(reply.send(Err(refusal))),
            Self::AtPoint { reply, .. } => drop(reply.send(Err(refusal))),
            Self::ThereNow { reply, .. } => drop(reply.send(Err(refusal))),
            Self::Standings { reply, .. } => drop(reply.send(Err(refusal))),
            Self::Producer(_, reply) => drop(reply.send(Err(refusal))),
            Self::Producers { reply, .. } => drop(reply.send(Err(refusal))),
            Self::RemoveProducer(.., reply) => drop(reply.send(Err(refusal))),
            Self::CreateToken(_, reply) | Self::RevokeToken(.., reply) => drop(reply.send(Err(refusal))),
            Self::KeepQuestion(.., reply) => drop(reply.send(Err(refusal))),
            Self::OpenCursor(.., reply) | Self::AdvanceCursor(.., reply) => drop(reply.send(Err(refusal))),
            Self::DropCursor(_, reply) => drop(reply.send(Err(refusal))),
            Self::ConfirmClock(.., reply) => drop(reply.send(Err(refusal))),
            Self::Record(_, reply) => drop(reply.send(Err(refusal))),
            Self::OperatorsOf(_, reply) => drop(reply.send(Err(refusal))),
            Self::Shutdown(reply) => drop(reply.send(Err(refusal))),
            Self::Note(_) | Self::Wake => {}
        }
    }
}
