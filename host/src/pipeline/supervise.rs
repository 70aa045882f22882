//! Starting the two threads, and what happens when one of them stops.
//!
//! It must not know what they do. Invariant: after a failed commit the memory of both is thrown away and built again from
//! the store. Where it failed for want of room, what only reads goes on; alerts are taken again once a commit went well.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc as std_mpsc},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, watch};

use crate::{
    config::Config,
    pipeline::{
        Handle, Status,
        clock::Timekeeper,
        collect::{Collector, Command, Pause, Reply},
        commit::{CommitError, Committer},
        engine::{Engine, Left},
        open::{Opened, Parts, StartError, open},
        progress::Progress,
        readings::Readings,
        shared::Shared,
    },
    store,
};

/// Groups handed over and not yet committed, beside the one being written.
const WORKS_AHEAD: usize = 1;

/// How often a host without room looks for some, at first and at most: twice as long each time that it fails.
const ROOM_EVERY_MIN: Duration = Duration::from_millis(200);
const ROOM_EVERY_MAX: Duration = Duration::from_secs(10);

/// Interval of the retention sweep over readings.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Pages of state that are written at a time to make room: more of them could need more room than there is.
const PAGES_FOR_ROOM: usize = 4;

/// Commits of such pages before somebody who asks is answered.
const STATE_COMMITS_MAX: usize = 64;

/// The pipeline's thread. Join it at the end.
pub struct Runner(thread::JoinHandle<()>);

impl Runner {
    /// Waits until the pipeline has stopped.
    pub fn join(self) {
        // A panic was caught and published as the status.
        let _ = self.0.join();
    }
}

/// How a run of the two threads ended.
enum Ended {
    /// As told; whom to tell when it is done.
    Stopped(Option<Reply<()>>),
    /// No room.
    Full(String),
    /// Anything else.
    Failed(String),
}

/// Opens the store of a configuration, recovers, and starts. It takes as long as it needs, and says how far it has come.
pub fn start(config: Config, progress: watch::Sender<Progress>) -> Result<(Handle, Runner), StartError> {
    start_over(Parts::new(config)?, progress)
}

/// The same with parts of the caller's choice.
pub fn start_with(parts: Parts) -> Result<(Handle, Runner), StartError> {
    start_over(parts, watch::Sender::default())
}

fn start_over(parts: Parts, progress: watch::Sender<Progress>) -> Result<(Handle, Runner), StartError> {
    let time = Timekeeper::new(Arc::clone(&parts.clock), Arc::clone(&parts.times.passed), &parts.config.intake);
    let shared = Shared::new(time).reporting(progress);
    let shared = Arc::new(shared.with_readings(Readings::new(&parts.config, parts.folder.clone())));
    // Side by side: checking a large file of readings takes as long as checking the store.
    let opened = thread::scope(|scope| {
        let opening = thread::Builder::new().name("weir-readings".into());
        opening.spawn_scoped(scope, || shared.readings.open()).map_err(StartError::Thread)?;
        open(&parts, &shared)
    })?;
    let (sender, receiver) = mpsc::channel(parts.config.intake.batches_queued_max);
    let waker = sender.downgrade();
    let handle = Handle::new(sender, Arc::clone(&shared), &parts, Arc::clone(&opened.settings));
    let handle = handle.map_err(StartError::Thread)?;
    let (every_s, sweeping) = (parts.config.verify.every_s, Arc::clone(&shared));
    let mut collector = Collector::new(receiver, parts.config.group.clone(), parts.grouping.clone());
    let run = move || supervise(&parts, &shared, &mut collector, &waker, opened);
    let thread = thread::Builder::new().name("weir-fold".into()).spawn(run).map_err(StartError::Thread)?;
    if every_s > 0 {
        let verifier = handle.clone();
        let verify = move || verifier.verify_every(Duration::from_secs(every_s));
        thread::Builder::new().name("weir-verify".into()).spawn(verify).map_err(StartError::Thread)?;
    }
    // It holds no handle, which would keep the pipeline from ending with the last of them.
    let sweep =
        move || sweeping.until_stopped(SWEEP_EVERY, || sweeping.readings.drop_before(sweeping.readings_kept_from()));
    thread::Builder::new().name("weir-readings".into()).spawn(sweep).map_err(StartError::Thread)?;
    Ok((handle, Runner(thread)))
}

fn supervise(
    parts: &Parts,
    shared: &Arc<Shared>,
    collector: &mut Collector,
    waker: &mpsc::WeakSender<Command>,
    opened: Opened,
) {
    // A host that starts on a disk which is short of room tries first whether its file has free pages.
    let mut first_look = (!opened.committer.may_grow()).then(|| Ended::Full("less than free_bytes_min is free".into()));
    let mut opened = Some(opened);
    let (why, told) = loop {
        let Some(ready) = opened.take() else { break (String::new(), None) };
        match std::mem::take(&mut first_look).unwrap_or_else(|| run(ready, collector, waker)) {
            Ended::Stopped(told) => break (String::new(), told),
            Ended::Failed(why) => break (why, None),
            Ended::Full(why) => {
                tracing::error!(why, "no room: no alerts are taken until there is");
                shared.status.send_replace(Status::StoreFull);
                match wait_for_room(parts, shared, collector) {
                    Ok(Waited::Room(again)) => opened = Some(*again),
                    Ok(Waited::Stop(told)) => break (String::new(), told),
                    Err(why) => break (why, None),
                }
                tracing::info!("there is room again");
                shared.status.send_replace(Status::Serving);
                shared.check_clock();
            }
        }
    };
    if !why.is_empty() {
        tracing::error!(why, "the pipeline stopped");
    }
    *shared.reader.write() = None;
    shared.readings.close();
    shared.status.send_replace(Status::Stopped(why));
    told.into_iter().for_each(|reply| drop(reply.send(Ok(()))));
    collector.close();
    while let Pause::Stop(Some(reply)) =
        collector.pause(Instant::now(), |command| command.refuse(|audience| shared.unavailable(audience)))
    {
        let _ = reply.send(Ok(()));
    }
}

/// Runs fold and committer until one of them stops.
fn run(opened: Opened, collector: &mut Collector, waker: &mpsc::WeakSender<Command>) -> Ended {
    let Opened { mut engine, committer, settings: _ } = opened;
    let (sender, receiver) = std_mpsc::sync_channel(WORKS_AHEAD);
    let both = || {
        thread::scope(|scope| {
            let commit = move || {
                let wake = || {
                    // Where the queue is full, the fold is not asleep.
                    if let Some(queue) = waker.upgrade() {
                        let _ = queue.try_send(Command::Wake);
                    }
                };
                let done = committer.run(&receiver, &wake);
                // From here on nothing can be handed over: a fold that is woken finds out.
                drop(receiver);
                if done.is_err() {
                    wake();
                }
                done
            };
            let commits = thread::Builder::new().name("weir-commit".into()).spawn_scoped(scope, commit);
            let commits = match commits {
                Ok(commits) => commits,
                Err(error) => return Ended::Failed(format!("the committer's thread: {error}")),
            };
            let left = engine.run(collector, &sender);
            drop(sender);
            match (commits.join(), left) {
                (Ok(Ok(())), Left::Told(told)) => Ended::Stopped(told),
                (Ok(Ok(())), Left::Alone) => Ended::Failed("the committer ended early".into()),
                // What was acknowledged is in the log. The next start folds more of it.
                (Ok(Err(CommitError::Full(why))), Left::Told(told)) => {
                    tracing::warn!(why, "no room to write the state of the last alerts");
                    Ended::Stopped(told)
                }
                (Ok(Err(CommitError::Full(why))), Left::Alone) => Ended::Full(why),
                (Ok(Err(CommitError::Store(error))), _) => Ended::Failed(format!("store: {error}")),
                (Err(_), _) => Ended::Failed("the committer panicked".into()),
            }
        })
    };
    catch_unwind(AssertUnwindSafe(both)).unwrap_or_else(|_| Ended::Failed("the fold panicked".into()))
}

/// How waiting for room ended.
enum Waited {
    /// There is room.
    Room(Box<Opened>),
    /// Told to stop meanwhile.
    Stop(Option<Reply<()>>),
}

/// Opens the store again and answers what only reads, until there is room. It frees what retention allows.
fn wait_for_room(parts: &Parts, shared: &Arc<Shared>, collector: &mut Collector) -> Result<Waited, String> {
    let mut opened: Option<Opened> = None;
    let mut pause = ROOM_EVERY_MIN;
    loop {
        if opened.is_none() {
            *shared.reader.write() = None;
            opened = match open(parts, shared) {
                Ok(opened) => Some(opened),
                Err(StartError::Store(store::Error::Full(_))) => None,
                Err(error) => return Err(error.to_string()),
            };
        }
        if let Some(ready) = opened.take() {
            match make_room(ready, parts).map_err(|error| format!("store: {error}"))? {
                Room::There(ready) => return Ok(Waited::Room(ready)),
                Room::NotTried(ready) => opened = Some(*ready),
                Room::Missing(ready) => {
                    opened = ready.map(|ready| *ready);
                    pause = (pause * 2).min(ROOM_EVERY_MAX);
                }
            }
        }
        let answered = collector.pause(Instant::now() + pause, |command| match opened.as_mut() {
            Some(ready) if command.only_reads(&ready.engine.cursors) => ready.engine.answer_reader(command),
            _ => command.refuse(|audience| shared.unavailable(audience)),
        });
        if let Pause::Stop(told) = answered {
            return Ok(Waited::Stop(told));
        }
    }
}

/// What came of making room.
enum Room {
    /// There is some.
    There(Box<Opened>),
    /// Nothing has changed that could have made any.
    NotTried(Box<Opened>),
    /// There is none; without what was opened it must be opened again.
    Missing(Option<Box<Opened>>),
}

/// Frees what retention allows and tries whether there is room.
fn make_room(mut opened: Opened, parts: &Parts) -> Result<Room, store::Error> {
    let Opened { engine, committer, .. } = &mut opened;
    match free_room(engine, committer) {
        Ok(()) => {}
        // Memory is ahead of the store.
        Err(CommitError::Full(_)) => return Ok(Room::Missing(None)),
        Err(CommitError::Store(error)) => return Err(error),
    }
    match committer.try_room() {
        Ok(true) => Ok(Room::There(Box::new(opened))),
        Ok(false) => Ok(Room::NotTried(Box::new(opened))),
        Err(CommitError::Full(_)) => match committer.reopen(&parts.open) {
            Ok(()) => Ok(Room::Missing(Some(Box::new(opened)))),
            Err(store::Error::Full(_)) => Ok(Room::Missing(None)),
            Err(error) => Err(error),
        },
        Err(CommitError::Store(error)) => Err(error),
    }
}

fn free_room(engine: &mut Engine, committer: &mut Committer) -> Result<(), CommitError> {
    committer.use_reserve();
    committer.drop_old()?;
    for _ in 0..STATE_COMMITS_MAX {
        let Some(mut effects) = engine.state_wanted(PAGES_FOR_ROOM) else { return Ok(()) };
        committer.commit(&mut effects, false)?;
    }
    committer.drop_old()
}
