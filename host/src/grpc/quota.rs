//! What each tenant takes up of the host: connections, calls under way, calls a second, changes, bytes that were read.
//!
//! It must not know what a call does, nor what time it is: it is told. Invariant: what one tenant takes up is bounded
//! whatever others do and however many tokens it has, and a tenant that takes up nothing is forgotten.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Code, Status};

use super::status;
use crate::{config::AccessLimits, domain::Tenant};

/// Where that many tenants are known, those that take up nothing are forgotten.
const ACCOUNTS_MIN: usize = 64;

/// Why a tenant is refused: it is over one of its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// The setting.
    pub setting: &'static str,
    /// Its value.
    max: u64,
    /// What there would be too many of.
    what: &'static str,
    /// When there is room again, where that is known.
    retry_after: Option<Duration>,
}

impl Over {
    /// Returns the status of the call that is refused.
    pub fn status(&self, tenant: &Tenant) -> Status {
        let Self { setting, max, what, retry_after } = self;
        let who = match tenant {
            Tenant::Identity(name) if name.is_empty() => {
                "this host's clients, who are one identity without tokens,".to_owned()
            }
            tenant => tenant.to_string(),
        };
        let Some(wait) = retry_after else {
            let message = format!(
                "{setting} ({max}): {who} would have more {what} than that; end some, or have the setting raised"
            );
            return status::over(&subject(tenant), setting, &message);
        };
        let wait_ms = wait.as_millis().max(1);
        let message = format!(
            "{setting} ({max}): {who} made more {what} than that; retry after {wait_ms} ms, send more in each call, or \
             have the setting raised"
        );
        let wait = (*wait).max(Duration::from_millis(1));
        status::later(Code::ResourceExhausted, status::RATE_EXCEEDED, &message, wait)
    }
}

/// A tenant as the details of a status name it; empty for the host's own clients.
fn subject(tenant: &Tenant) -> String {
    match tenant {
        Tenant::Identity(name) => name.clone(),
        operator @ Tenant::Operator(_) => operator.to_string(),
    }
}

/// Calls that may be made now; more come with time.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    burst: f64,
    calls: f64,
    at: Instant,
}

impl Bucket {
    /// A bucket that is full.
    fn new(per_second: f64, burst: u32, now: Instant) -> Self {
        Self { per_second, burst: f64::from(burst), calls: f64::from(burst), at: now }
    }

    fn fill(&mut self, now: Instant) {
        let come = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        self.calls = (self.calls + come).min(self.burst);
        self.at = self.at.max(now);
    }

    fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.calls >= self.burst
    }

    /// Takes one call, or says how long it is until there is one.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.fill(now);
        if self.calls < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.calls) / self.per_second));
        }
        self.calls -= 1.0;
        Ok(())
    }
}

/// The calls of a tenant, and those of them that change something.
#[derive(Debug)]
struct Buckets {
    calls: Bucket,
    /// `None` for a tenant whose changes are not counted.
    changes: Option<Bucket>,
}

/// What one tenant takes up.
#[derive(Debug)]
pub struct Account {
    /// Whose it is.
    pub tenant: Tenant,
    connections: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    messages: Arc<Semaphore>,
    bytes_max: u64,
    buckets: Mutex<Buckets>,
    limits: Arc<AccessLimits>,
}

/// Room that was taken up; dropping it makes room.
pub type Taken = OwnedSemaphorePermit;

impl Account {
    fn new(tenant: &Tenant, now: Instant, limits: &Arc<AccessLimits>) -> Self {
        let is_operator = matches!(tenant, Tenant::Operator(_));
        let bytes_max =
            if is_operator { limits.operator_bytes_in_flight_max } else { limits.identity_bytes_in_flight_max };
        // The bounds of the settings are far below what a semaphore can count.
        let bytes = usize::try_from(bytes_max).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let per_minute = limits.operator_changes_per_minute_max;
        let buckets = Buckets {
            calls: Bucket::new(f64::from(limits.identity_calls_per_second_max), limits.identity_calls_burst_max, now),
            changes: is_operator.then(|| Bucket::new(f64::from(per_minute) / 60.0, per_minute, now)),
        };
        Self {
            tenant: tenant.clone(),
            connections: Arc::new(Semaphore::new(limits.identity_connections_max)),
            streams: Arc::new(Semaphore::new(limits.identity_streams_max)),
            bytes: Arc::new(Semaphore::new(bytes)),
            messages: Arc::new(Semaphore::new(bytes)),
            bytes_max,
            buckets: Mutex::new(buckets),
            limits: Arc::clone(limits),
        }
    }

    /// Counts a connection.
    pub fn connection(&self) -> Result<Taken, Over> {
        let over = Over {
            setting: "access.identity_connections_max",
            max: self.limits.identity_connections_max as u64,
            what: "connections",
            retry_after: None,
        };
        Arc::clone(&self.connections).try_acquire_owned().map_err(|_| over)
    }

    /// Counts a call that begins.
    pub fn call(&self, now: Instant) -> Result<Taken, Over> {
        self.buckets().calls.take(now).map_err(|wait| Over {
            setting: "access.identity_calls_per_second_max",
            max: self.limits.identity_calls_per_second_max.into(),
            what: "calls a second",
            retry_after: Some(wait),
        })?;
        let over = Over {
            setting: "access.identity_streams_max",
            max: self.limits.identity_streams_max as u64,
            what: "calls under way",
            retry_after: None,
        };
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| over)
    }

    /// Counts a call that changes something.
    pub fn change(&self, now: Instant) -> Result<(), Over> {
        let mut buckets = self.buckets();
        let Some(changes) = &mut buckets.changes else { return Ok(()) };
        changes.take(now).map_err(|wait| Over {
            setting: "access.operator_changes_per_minute_max",
            max: self.limits.operator_changes_per_minute_max.into(),
            what: "changes a minute",
            retry_after: Some(wait),
        })
    }

    /// Waits until so many bytes more may be in flight. Requests are served in the order they come.
    pub async fn bytes(&self, bytes: u64) -> Taken {
        self.room(&self.bytes, bytes).await
    }

    /// Waits until a message of so many bytes may be received. What is taken here is held until the message is whole
    /// and for nothing else, so that it cannot wait for [`bytes`](Self::bytes) that wait for it.
    pub async fn message(&self, bytes: u64) -> Taken {
        self.room(&self.messages, bytes).await
    }

    async fn room(&self, room: &Arc<Semaphore>, bytes: u64) -> Taken {
        // What is larger than all there is has all of it.
        let bytes = u32::try_from(bytes.min(self.bytes_max)).unwrap_or(u32::MAX);
        let taken = Arc::clone(room).acquire_many_owned(bytes).await;
        taken.expect("nobody closes it")
    }

    fn buckets(&self) -> std::sync::MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_idle(&self, now: Instant) -> bool {
        let Buckets { calls, changes } = &mut *self.buckets();
        calls.is_full(now) && changes.as_mut().is_none_or(|changes| changes.is_full(now))
    }
}

/// The accounts of all tenants that take up anything.
#[derive(Debug)]
pub struct Accounts {
    limits: Arc<AccessLimits>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    by_tenant: HashMap<Tenant, Arc<Account>>,
    /// How many there may be before the idle ones are looked for.
    look_at: usize,
}

impl Accounts {
    /// Nobody yet.
    pub fn new(limits: AccessLimits) -> Self {
        let known = Mutex::new(Known { by_tenant: HashMap::new(), look_at: ACCOUNTS_MIN });
        Self { limits: Arc::new(limits), known }
    }

    /// The account of a tenant.
    pub fn of(&self, tenant: &Tenant, now: Instant) -> Arc<Account> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = known.by_tenant.get(tenant) {
            return Arc::clone(account);
        }
        if known.by_tenant.len() >= known.look_at {
            // What somebody holds an account for (a connection, a call) keeps it.
            known.by_tenant.retain(|_, account| Arc::strong_count(account) > 1 || !account.is_idle(now));
            known.look_at = (2 * known.by_tenant.len()).max(ACCOUNTS_MIN);
        }
        let account = Arc::new(Account::new(tenant, now, &self.limits));
        known.by_tenant.insert(tenant.clone(), Arc::clone(&account));
        account
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::OperatorId;

    fn limits() -> AccessLimits {
        AccessLimits {
            identity_connections_max: 2,
            identity_streams_max: 3,
            identity_calls_per_second_max: 10,
            identity_calls_burst_max: 5,
            identity_bytes_in_flight_max: 100,
            operator_bytes_in_flight_max: 50,
            operator_changes_per_minute_max: 6,
            ..AccessLimits::default()
        }
    }

    fn named(name: &str) -> Tenant {
        Tenant::Identity(name.to_owned())
    }

    #[test]
    fn calls_come_back_with_time_and_no_more_than_the_burst() {
        let (accounts, now) = (Accounts::new(limits()), Instant::now());
        let account = accounts.of(&named("a"), now);
        let made = |at| (0..20).filter(|_| account.call(at).is_ok()).count();
        assert_eq!(made(now), 5);
        assert_eq!(made(now + Duration::from_millis(250)), 2);
        assert_eq!(made(now), 0, "a clock that goes back gives nothing");
        assert_eq!(made(now + Duration::from_secs(60)), 5);
        let over = account.call(now + Duration::from_secs(60)).unwrap_err();
        assert_eq!(over.retry_after.map(|wait| wait.as_millis()), Some(100));
        let status = over.status(&account.tenant);
        assert!(status.message().starts_with("access.identity_calls_per_second_max (10): a made"), "{status:?}");
        assert!(status.message().contains("retry after 100 ms"), "{status:?}");
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "100");
        assert!(accounts.of(&named("b"), now).call(now).is_ok(), "nobody else is held back");
    }

    #[test]
    fn changes_of_an_operator_are_bounded_and_those_of_others_are_not() {
        let (accounts, now) = (Accounts::new(limits()), Instant::now());
        let operator = accounts.of(&Tenant::Operator(OperatorId::new(12).unwrap()), now);
        let made = |account: &Account, at| (0..20).filter(|_| account.change(at).is_ok()).count();
        assert_eq!(made(&operator, now), 6);
        assert_eq!(made(&operator, now + Duration::from_secs(10)), 1);
        let over = operator.change(now + Duration::from_secs(10)).unwrap_err().status(&operator.tenant);
        let words = "access.operator_changes_per_minute_max (6): operator 12 made more changes a minute than that";
        assert!(over.message().starts_with(words), "{over:?}");
        assert_eq!(made(&accounts.of(&named("admin"), now), now), 20);
    }

    #[test]
    fn what_is_held_is_bounded_until_it_is_let_go() {
        let (accounts, now) = (Accounts::new(limits()), Instant::now());
        let account = accounts.of(&named(""), now);
        let mut held: Vec<Taken> = (0..2).map(|_| account.connection().unwrap()).collect();
        assert_eq!(account.connection().unwrap_err().setting, "access.identity_connections_max");
        held.pop();
        assert!(account.connection().is_ok());
        let _calls: Vec<Taken> = (0..3).map(|_| account.call(now).unwrap()).collect();
        let over = account.call(now).unwrap_err().status(&account.tenant);
        assert!(over.message().starts_with("access.identity_streams_max (3): this host's"), "{over:?}");
    }

    #[tokio::test]
    async fn bytes_wait_for_room_and_a_batch_always_fits() {
        let accounts = Accounts::new(limits());
        let account = accounts.of(&named("a"), Instant::now());
        let all = account.bytes(1_000).await;
        let mut more = std::pin::pin!(account.bytes(1));
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut more).await.is_err());
        drop(account.message(100).await);
        drop(all);
        drop(more.await);
        let operator = accounts.of(&Tenant::Operator(OperatorId::new(12).unwrap()), Instant::now());
        let half = operator.bytes(50).await;
        assert!(tokio::time::timeout(Duration::from_millis(20), operator.bytes(1)).await.is_err());
        drop(half);
    }

    #[test]
    fn tenants_that_take_up_nothing_are_forgotten() {
        let (accounts, now) = (Accounts::new(limits()), Instant::now());
        let held = accounts.of(&named("held"), now);
        drop(held.call(now).unwrap());
        drop(accounts.of(&named("fresh"), now).call(now).unwrap());
        (0..1_000).for_each(|at| drop(accounts.of(&named(&format!("n{at}")), now)));
        let known = accounts.known.lock().unwrap();
        assert!(known.by_tenant.len() <= ACCOUNTS_MIN + 2, "{}", known.by_tenant.len());
        let is_known = |name| known.by_tenant.contains_key(&named(name));
        assert!(is_known("held") && is_known("fresh"), "its bucket is not full");
    }
}
