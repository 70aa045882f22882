//! Starting the two threads, and what happens when one of them stops.
//!
//! It must not know what they do. Invariant: after a failed commit the memory of both is thrown away; it is built again
//! from the store once there is room, or the host stops and says why.

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
        collect::{Collector, Command},
        commit::{CommitError, check_room},
        open::{Opened, Parts, StartError, open},
        progress::Progress,
        shared::Shared,
    },
};

/// Groups handed over and not yet committed, beside the one being written.
const WORKS_AHEAD: usize = 1;

/// How often a host without room looks for some.
const ROOM_EVERY: Duration = Duration::from_millis(200);

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
    /// As told.
    Stopped,
    /// No room.
    Full(String),
    /// Anything else.
    Failed(String),
}

/// Opens the store of a configuration, recovers, and starts. It takes as long as it needs, and says how far it has come.
pub fn start(config: Config, progress: watch::Sender<Progress>) -> Result<(Handle, Runner), StartError> {
    start_over(Parts::new(config)?, Shared::reporting(progress))
}

/// The same with parts of the caller's choice.
pub fn start_with(parts: Parts) -> Result<(Handle, Runner), StartError> {
    start_over(parts, Shared::new())
}

fn start_over(parts: Parts, shared: Shared) -> Result<(Handle, Runner), StartError> {
    let shared = Arc::new(shared);
    let opened = open(&parts, &shared)?;
    let (sender, receiver) = mpsc::channel(parts.config.intake.batches_queued_max);
    let waker = sender.downgrade();
    let handle = Handle::new(sender, Arc::clone(&shared), &parts);
    let every_s = parts.config.verify.every_s;
    let mut collector = Collector::new(receiver, parts.config.group.clone(), parts.grouping.clone());
    let run = move || supervise(&parts, &shared, &mut collector, &waker, opened);
    let thread = thread::Builder::new().name("weir-fold".into()).spawn(run).map_err(StartError::Thread)?;
    if every_s > 0 {
        let verifier = handle.clone();
        let verify = move || verifier.verify_every(Duration::from_secs(every_s));
        thread::Builder::new().name("weir-verify".into()).spawn(verify).map_err(StartError::Thread)?;
    }
    Ok((handle, Runner(thread)))
}

fn supervise(
    parts: &Parts,
    shared: &Arc<Shared>,
    collector: &mut Collector,
    waker: &mpsc::WeakSender<Command>,
    opened: Opened,
) {
    let mut opened = Some(opened);
    let why = loop {
        let Some(ready) = opened.take() else { break String::new() };
        match run(ready, collector, waker) {
            Ended::Stopped => break String::new(),
            Ended::Failed(why) => break why,
            Ended::Full(why) => {
                tracing::error!(why, "no room: nothing is taken until there is");
                shared.status.send_replace(Status::StoreFull);
                match wait_for_room(parts, shared, collector) {
                    Ok(again) => opened = again,
                    Err(why) => break why,
                }
                if opened.is_some() {
                    tracing::info!("there is room again");
                    shared.status.send_replace(Status::Serving);
                }
            }
        }
    };
    if !why.is_empty() {
        tracing::error!(why, "the pipeline stopped");
    }
    *shared.reader.write() = None;
    shared.status.send_replace(Status::Stopped(why));
    collector.close();
    collector.refuse(Instant::now(), &shared.unavailable());
}

/// Runs fold and committer until one of them stops.
fn run(opened: Opened, collector: &mut Collector, waker: &mpsc::WeakSender<Command>) -> Ended {
    let Opened { mut engine, committer } = opened;
    let (sender, receiver) = std_mpsc::sync_channel(WORKS_AHEAD);
    let both = || {
        thread::scope(|scope| {
            let commit = move || {
                let done = committer.run(receiver);
                // Where the queue is full, the fold is not asleep.
                if let Some(queue) = waker.upgrade().filter(|_| done.is_err()) {
                    let _ = queue.try_send(Command::Wake);
                }
                done
            };
            let commits = thread::Builder::new().name("weir-commit".into()).spawn_scoped(scope, commit);
            let commits = match commits {
                Ok(commits) => commits,
                Err(error) => return Ended::Failed(format!("the committer's thread: {error}")),
            };
            let stopped = engine.run(collector, &sender);
            drop(sender);
            match commits.join() {
                Ok(Ok(())) if stopped => Ended::Stopped,
                Ok(Ok(())) => Ended::Failed("the committer ended early".into()),
                Ok(Err(CommitError::Full(why))) => Ended::Full(why),
                Ok(Err(CommitError::Store(error))) => Ended::Failed(format!("store: {error}")),
                Err(_) => Ended::Failed("the committer panicked".into()),
            }
        })
    };
    catch_unwind(AssertUnwindSafe(both)).unwrap_or_else(|_| Ended::Failed("the fold panicked".into()))
}

/// Refuses what comes until there is room and the store opened again. `None`: told to stop meanwhile.
fn wait_for_room(parts: &Parts, shared: &Arc<Shared>, collector: &mut Collector) -> Result<Option<Opened>, String> {
    *shared.reader.write() = None;
    loop {
        if collector.refuse(Instant::now() + ROOM_EVERY, &shared.unavailable()) {
            return Ok(None);
        }
        if check_room(parts.folder.as_ref(), parts.config.store.free_bytes_min).is_err() {
            continue;
        }
        match open(parts, shared) {
            Ok(opened) => return Ok(Some(opened)),
            Err(StartError::Store(crate::store::Error::Full(_))) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}
