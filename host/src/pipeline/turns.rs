//! Turns: how many long computations run at once, of everybody and of each tenant, and on which threads.
//!
//! It must not know what is computed. Invariant: a tenant holds at most its share of the places and of the queue for
//! them, so a caller waits for a bounded number of computations of others, however many wait; a computation keeps its
//! place until it has ended, even if its caller is gone.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::{config::AccessLimits, domain::Tenant, pipeline::refusal::Refusal};

/// How far computations stand back for the fold, the committer and the network, which run at 0.
const NICE: i32 = 15;

/// Where shares of that many tenants are known, those that nobody holds are forgotten.
const SHARES_MIN: usize = 64;

/// Places of one kind of computation.
#[derive(Debug)]
pub struct Turns {
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
}

impl Turns {
    /// Places for so many computations, of which one tenant may have `tenant_max`.
    pub fn new(places: usize, tenant_max: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), tenant_max, shares: Mutex::default() }
    }

    /// Waits for a turn. A caller that stops waiting leaves the queue.
    pub async fn take(&self, tenant: &Tenant) -> Turn {
        // The tenant's own queue first: what waits for a place is then bounded for each, and served in order.
        let share = self.share(tenant).acquire_owned().await.expect("nobody closes it");
        let place = Arc::clone(&self.places).acquire_owned().await.expect("nobody closes it");
        Turn { place, share: Arc::new(Share(share)) }
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

    /// Runs a computation on a thread of its own, which stands back for those that judge alerts.
    pub async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        let compute = move || {
            stand_back();
            let done = catch_unwind(AssertUnwindSafe(work));
            // The place is free before the caller can ask for another.
            drop(self);
            let _ = reply.send(done);
        };
        let spawned = thread::Builder::new().name("weir-query".to_owned()).spawn(compute);
        spawned.map_err(|error| Refusal::Busy(format!("no thread could be started ({error}); try again")))?;
        match answer.await {
            Ok(Ok(done)) => Ok(done),
            // The panic hook has told it already.
            Ok(Err(_)) | Err(_) => Err(Refusal::Internal("the host met a fault of its own; its log says which".into())),
        }
    }
}

/// Makes this thread, and those that it starts, stand back for those that judge alerts.
pub fn stand_back() {
    // Where the system does not let it, it competes; nothing else changes.
    let _ = rustix::process::nice(NICE);
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
}

impl AllTurns {
    /// As the settings have it.
    pub fn new(limits: &AccessLimits) -> Self {
        Self {
            queries: Turns::new(limits.queries_max, limits.identity_queries_max),
            // Each may hold `report.device_rows_max` rows.
            scans: Turns::new(2, 1),
            explanations: Turns::new(4, 1),
            // Of the instances that plugins are checked in, one tenant has no more than half.
            checks: Turns::new(4, 2),
            // As many workers as there may be at once.
            compiles: Turns::new(2, 1),
            // The fold's queue is in order: what one tenant has in it is what a batch of another waits for.
            commands: Turns::new(64, 4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let turns = Turns::new(3, 2);
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
        let turns = Arc::new(Turns::new(1, 1));
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
        let turns = Turns::new(1, 1);
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let turn = turns.take(&tenant("a")).await;
        let mut run = Box::pin(turn.run(move || ended.recv()));
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
        let turns = Turns::new(1, 1);
        let failed = turns.take(&tenant("a")).await.run(|| -> u8 { panic!("on purpose") }).await;
        assert!(matches!(failed, Err(Refusal::Internal(_))), "{failed:?}");
        assert_eq!(turns.take(&tenant("a")).await.run(|| 7).await.unwrap(), 7);
    }

    #[test]
    fn shares_that_nobody_holds_are_forgotten() {
        let turns = Turns::new(4, 1);
        let held = ready(turns.take(&tenant("held")));
        (0..1_000).for_each(|at| drop(ready(turns.take(&tenant(&format!("n{at}"))))));
        let shares = turns.shares.lock().unwrap();
        assert!(shares.len() <= SHARES_MIN + 1 && shares.contains_key(&tenant("held")), "{}", shares.len());
        drop(held);
    }
}
