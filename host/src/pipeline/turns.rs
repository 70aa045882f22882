//! Turns: how many long computations run at once, of everybody and of each tenant, and on which threads.
//!
//! Invariant: a tenant holds at most its share of the places and of the queue for
//! them, so a caller waits for a bounded number of computations of others, however many wait; a computation keeps its
//! place until it has ended, even if its caller is gone.

use std::{
    collections::HashMap,
    io,
    num::NonZero,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use rustix::process::{getpriority_process, setpriority_process};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::{
    config::AccessLimits,
    domain::Tenant,
    pipeline::{
        processors::{Processor, Processors},
        refusal::Refusal,
    },
};

/// How far computations stand back for the fold, the committer and the network, which run at 0: they get a tenth of a
/// processor that is fought over. With less they would keep the locks that they hold for longer, and the fold waiting.
const NICE: i32 = 10;

/// Processors that computations share where the machine has fewer: one that does not stop must not stop them all.
const PROCESSORS_MIN: usize = 2;

/// Where shares of that many tenants are known, those that nobody holds are forgotten.
const SHARES_MIN: usize = 64;

/// How long an idle thread is kept. Starting and ending one changes the address space, which keeps the fold from changing
/// its own.
const IDLE_THREADS_KEPT_FOR: Duration = Duration::from_secs(600);

/// The threads that computations run on, and the processors that they share.
#[derive(Debug)]
pub struct Threads {
    runtime: Option<Runtime>,
    processors: Arc<Processors>,
}

impl Threads {
    /// At most so many threads; none is started before it is needed.
    pub fn new(threads_max: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(threads_max)
            .thread_keep_alive(IDLE_THREADS_KEPT_FOR)
            .thread_name("weir-query")
            .on_thread_start(stand_back)
            .build()?;
        let count = thread::available_parallelism().map_or(1, NonZero::get).max(PROCESSORS_MIN);
        Ok(Self { runtime: Some(runtime), processors: Arc::new(Processors::new(count)) })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // It may be dropped by a task, which must not wait for computations that nobody waits for.
        self.runtime.take().expect("only this takes it").shutdown_background();
    }
}

/// Places of one kind of computation.
#[derive(Debug)]
pub struct Turns {
    threads: Arc<Threads>,
    places: Arc<Semaphore>,
    tenant_max: usize,
    shares: Mutex<HashMap<Tenant, Arc<Semaphore>>>,
}

/// A place among a tenant's own; dropping it lets the tenant's next computation begin.
#[derive(Debug)]
pub struct Share(#[expect(dead_code, reason = "it is held")] OwnedSemaphorePermit);

/// The right to compute.
#[derive(Debug)]
pub struct Turn {
    #[expect(dead_code, reason = "it is held")]
    place: OwnedSemaphorePermit,
    share: Arc<Share>,
    threads: Arc<Threads>,
}

impl Turns {
    /// Places for so many computations, of which one tenant may have `tenant_max`.
    pub fn new(threads: &Arc<Threads>, places: usize, tenant_max: usize) -> Self {
        let (threads, places) = (Arc::clone(threads), Arc::new(Semaphore::new(places)));
        Self { threads, places, tenant_max, shares: Mutex::default() }
    }

    /// Waits for a turn. A caller that stops waiting leaves the queue.
    pub async fn take(&self, tenant: &Tenant) -> Turn {
        // The tenant's own queue first: what waits for a place is then bounded for each, and served in order.
        let share = self.share(tenant).acquire_owned().await.expect("nobody closes it");
        let place = Arc::clone(&self.places).acquire_owned().await.expect("nobody closes it");
        Turn { place, share: Arc::new(Share(share)), threads: Arc::clone(&self.threads) }
    }

    fn share(&self, tenant: &Tenant) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if shares.len() >= SHARES_MIN && !shares.contains_key(tenant) {
            // Whoever waits or has a turn holds a clone.
            shares.retain(|_, share| Arc::strong_count(share) > 1);
        }
        Arc::clone(shares.entry(tenant.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.tenant_max))))
    }
}

impl Turn {
    /// Returns the tenant's share of it: whoever holds it keeps the tenant from another computation, and nobody else.
    pub fn share(&self) -> Arc<Share> {
        Arc::clone(&self.share)
    }

    /// Runs a computation on a thread that stands back for those that judge alerts, once there is a processor for it.
    pub async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&Arc<Processor>) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let processors = Arc::clone(&self.threads.processors);
        self.wait_for(move || {
            let processor = Arc::new(processors.take());
            let done = work(&processor);
            // Whoever still has a clone does not compute any more.
            processor.free();
            done
        })
        .await
    }

    /// Runs what waits for another process, on such a thread.
    pub async fn wait_for<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let threads = Arc::clone(&self.threads);
        let compute = move || {
            // The place is free before the caller can ask for another, also where the work panics.
            let _turn = self;
            work()
        };
        let computed = threads.runtime.as_ref().expect("only dropping takes it").spawn_blocking(compute).await;
        // The panic hook has told it already.
        computed.map_err(|_| Refusal::Internal("the host met a fault of its own; its log says which".into()))
    }
}

/// Makes this thread, and those that it starts, stand back for those that judge alerts.
pub fn stand_back() {
    // Threads inherit the value of the one that starts them, so it is set and not added to. Where the system does not let
    // it, it competes; nothing else changes.
    if getpriority_process(None).is_ok_and(|nice| nice < NICE) {
        let _ = setpriority_process(None, NICE);
    }
}

/// Every kind of computation that callers ask for.
#[derive(Debug)]
pub struct AllTurns {
    /// Reading the log, the books and the inventory.
    pub queries: Turns,
    /// Counting by device, whose answers can be large.
    pub scans: Turns,
    /// Folding the log again to explain one alert.
    pub explanations: Turns,
    /// Having plugins check parameters.
    pub checks: Turns,
    /// Compiling plugins.
    pub compiles: Turns,
    /// Commands to the fold other than batches.
    pub commands: Turns,
    /// Writing readings, which one does at a time.
    pub loads: Turns,
}

impl AllTurns {
    /// As the settings have it.
    pub fn new(limits: &AccessLimits) -> io::Result<Self> {
        // Places of scans, explanations, checks, compiles and loads.
        const SCANS: usize = 2;
        const EXPLANATIONS: usize = 4;
        const CHECKS: usize = 4;
        const COMPILES: usize = 2;
        // One that writes, and the next.
        const LOADS: usize = 2;
        let threads = Arc::new(Threads::new(limits.queries_max + SCANS + EXPLANATIONS + CHECKS + COMPILES + LOADS)?);
        let turns = |places, tenant_max| Turns::new(&threads, places, tenant_max);
        Ok(Self {
            queries: turns(limits.queries_max, limits.identity_queries_max),
            // Each may hold `report.device_rows_max` rows.
            scans: turns(SCANS, 1),
            explanations: turns(EXPLANATIONS, 1),
            // Of the instances that plugins are checked in, one tenant has no more than half.
            checks: turns(CHECKS, CHECKS / 2),
            // As many workers as there may be at once.
            compiles: turns(COMPILES, 1),
            // The fold's queue is in order: what one tenant has in it is what a batch of another waits for.
            commands: turns(64, 4),
            loads: turns(LOADS, 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(places: usize, tenant_max: usize) -> Turns {
        Turns::new(&Arc::new(Threads::new(places).unwrap()), places, tenant_max)
    }

    fn tenant(name: &str) -> Tenant {
        Tenant::Identity(name.to_owned())
    }

    /// Polls once: what is ready then waits for nobody.
    fn ready(future: impl Future<Output = Turn>) -> Option<Turn> {
        let mut future = std::pin::pin!(future);
        match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(turn) => Some(turn),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn a_tenant_that_asks_for_much_waits_for_itself() {
        let turns = turns(3, 2);
        let (greedy, good) = (tenant("greedy"), tenant("good"));
        let mut held: Vec<Turn> = (0..10).filter_map(|_| ready(turns.take(&greedy))).collect();
        assert_eq!(held.len(), 2);
        let other = ready(turns.take(&good)).expect("a place is left, whoever waits");
        assert!(ready(turns.take(&good)).is_none(), "all places are taken");
        drop(held.pop());
        assert!(ready(turns.take(&good)).is_some());
        drop(other);
    }

    #[tokio::test]
    async fn whoever_waits_for_a_place_is_served_in_order_and_few_of_each_tenant_wait() {
        let turns = Arc::new(turns(1, 1));
        let first = turns.take(&tenant("greedy")).await;
        let waits = |name: &str| {
            let (turns, tenant) = (Arc::clone(&turns), tenant(name));
            tokio::spawn(async move { turns.take(&tenant).await })
        };
        let greedy: Vec<_> = (0..20).map(|_| waits("greedy")).collect();
        tokio::task::yield_now().await;
        let good = waits("good");
        tokio::task::yield_now().await;
        drop(first);
        // Were it one queue, twenty would be before it.
        drop(good.await.unwrap());
        for task in greedy {
            drop(task.await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_computation_keeps_its_place_until_it_ends_though_its_caller_is_gone() {
        let turns = turns(1, 1);
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let turn = turns.take(&tenant("a")).await;
        let mut run = Box::pin(turn.run(move |_| ended.recv()));
        assert!(futures_poll_once(&mut run));
        drop(run);
        assert!(ready(turns.take(&tenant("b"))).is_none(), "it still computes");
        end.send(()).unwrap();
        drop(turns.take(&tenant("b")).await);
    }

    /// Polls once; true where it waits.
    fn futures_poll_once<T>(future: &mut std::pin::Pin<Box<impl Future<Output = T>>>) -> bool {
        future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending()
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_of_the_host_and_frees_the_place() {
        let turns = turns(1, 1);
        let failed = turns.take(&tenant("a")).await.run(|_| -> u8 { panic!("on purpose") }).await;
        assert!(matches!(failed, Err(Refusal::Internal(_))), "{failed:?}");
        assert_eq!(turns.take(&tenant("a")).await.run(|_| 7).await.unwrap(), 7);
    }

    #[test]
    fn shares_that_nobody_holds_are_forgotten() {
        let turns = turns(4, 1);
        let held = ready(turns.take(&tenant("held")));
        (0..1_000).for_each(|at| drop(ready(turns.take(&tenant(&format!("n{at}"))))));
        let shares = turns.shares.lock().unwrap();
        assert!(shares.len() <= SHARES_MIN + 1 && shares.contains_key(&tenant("held")), "{}", shares.len());
        drop(held);
    }
}
