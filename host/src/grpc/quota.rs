//! What each identity takes up of the host: connections, calls under way, calls a second, bytes not yet acknowledged.
//!
//! It must not know what a call does, nor what time it is: it is told. Invariant: what one identity takes up is bounded
//! whatever others do, and an identity that takes up nothing is forgotten.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Code, Status};

use super::status;
use crate::config::AccessLimits;

/// Where that many identities are known, those that take up nothing are forgotten.
const ACCOUNTS_MIN: usize = 64;

/// Why an identity is refused: it is over one of its limits.
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
    /// What whoever is refused is told.
    pub fn status(&self, name: &str) -> Status {
        let Self { setting, max, what, retry_after } = self;
        let who = if name.is_empty() { "this host's clients, who are one identity without tokens," } else { name };
        let Some(wait) = retry_after else {
            let message = format!(
                "{setting} ({max}): {who} would have more {what} than that; end some, or have the setting raised"
            );
            return status::over(name, setting, &message);
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

/// Calls that may be made now; more come with time.
#[derive(Debug)]
struct Bucket {
    calls: f64,
    at: Instant,
}

impl Bucket {
    fn fill(&mut self, now: Instant, limits: &AccessLimits) {
        let per_second = f64::from(limits.identity_calls_per_second_max);
        let come = now.saturating_duration_since(self.at).as_secs_f64() * per_second;
        self.calls = (self.calls + come).min(f64::from(limits.identity_calls_burst_max));
        self.at = self.at.max(now);
    }

    /// Takes one call, or says how long it is until there is one.
    fn take(&mut self, now: Instant, limits: &AccessLimits) -> Result<(), Duration> {
        self.fill(now, limits);
        if self.calls < 1.0 {
            let missing = 1.0 - self.calls;
            return Err(Duration::from_secs_f64(missing / f64::from(limits.identity_calls_per_second_max)));
        }
        self.calls -= 1.0;
        Ok(())
    }
}

/// What one identity takes up.
#[derive(Debug)]
pub struct Account {
    /// Its name; empty for whoever needs none.
    pub name: String,
    connections: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    bucket: Mutex<Bucket>,
    limits: Arc<AccessLimits>,
}

/// Room that was taken up; dropping it makes room.
pub type Taken = OwnedSemaphorePermit;

impl Account {
    fn new(name: &str, now: Instant, limits: &Arc<AccessLimits>) -> Self {
        // The bounds of the settings are far below what a semaphore can count.
        let bytes = usize::try_from(limits.identity_bytes_in_flight_max).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            name: name.to_owned(),
            connections: Arc::new(Semaphore::new(limits.identity_connections_max)),
            streams: Arc::new(Semaphore::new(limits.identity_streams_max)),
            bytes: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))),
            bucket: Mutex::new(Bucket { calls: f64::from(limits.identity_calls_burst_max), at: now }),
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
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(now, &self.limits).map_err(|wait| Over {
            setting: "access.identity_calls_per_second_max",
            max: self.limits.identity_calls_per_second_max.into(),
            what: "calls a second",
            retry_after: Some(wait),
        })?;
        drop(bucket);
        let over = Over {
            setting: "access.identity_streams_max",
            max: self.limits.identity_streams_max as u64,
            what: "calls under way",
            retry_after: None,
        };
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| over)
    }

    /// Waits until so many bytes more may be in flight. Whoever asked first is served first.
    pub async fn bytes(&self, bytes: u64) -> Taken {
        // One batch always fits: the settings are checked for it.
        let bytes = u32::try_from(bytes.min(self.limits.identity_bytes_in_flight_max)).unwrap_or(u32::MAX);
        let taken = Arc::clone(&self.bytes).acquire_many_owned(bytes).await;
        taken.expect("nobody closes it")
    }

    fn is_idle(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.fill(now, &self.limits);
        bucket.calls >= f64::from(self.limits.identity_calls_burst_max)
    }
}

/// The accounts of all identities that take up anything.
#[derive(Debug)]
pub struct Accounts {
    limits: Arc<AccessLimits>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    by_name: HashMap<String, Arc<Account>>,
    /// How many there may be before the idle ones are looked for.
    look_at: usize,
}

impl Accounts {
    /// Nobody yet.
    pub fn new(limits: AccessLimits) -> Self {
        let known = Mutex::new(Known { by_name: HashMap::new(), look_at: ACCOUNTS_MIN });
        Self { limits: Arc::new(limits), known }
    }

    /// The account of an identity.
    pub fn of(&self, name: &str, now: Instant) -> Arc<Account> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = known.by_name.get(name) {
            return Arc::clone(account);
        }
        if known.by_name.len() >= known.look_at {
            // What somebody holds an account for (a connection, a call) keeps it.
            known.by_name.retain(|_, account| Arc::strong_count(account) > 1 || !account.is_idle(now));
            known.look_at = (2 * known.by_name.len()).max(ACCOUNTS_MIN);
        }
        let account = Arc::new(Account::new(name, now, &self.limits));
        known.by_name.insert(name.to_owned(), Arc::clone(&account));
        account
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> AccessLimits {
        AccessLimits {
            identity_connections_max: 2,
            identity_streams_max: 3,
            identity_calls_per_second_max: 10,
            identity_calls_burst_max: 5,
            identity_bytes_in_flight_max: 100,
            ..AccessLimits::default()
        }
    }

    #[test]
    fn calls_come_back_with_time_and_no_more_than_the_burst() {
        let (accounts, now) = (Accounts::new(limits()), Instant::now());
        let account = accounts.of("a", now);
        let made = |at| (0..20).filter(|_| account.call(at).is_ok()).count();
        assert_eq!(made(now), 5);
        assert_eq!(made(now + Duration::from_millis(250)), 2);
        assert_eq!(made(now), 0, "a clock that goes back gives nothing");
        assert_eq!(made(now + Duration::from_secs(60)), 5);
        let over = account.call(now + Duration::from_secs(60)).unwrap_err();
        assert_eq!(over.retry_after.map(|wait| wait.as_millis()), Some(100));
        let status = over.status("a");
        assert!(status.message().starts_with("access.identity_calls_per_second_max (10): a made"), "{status:?}");
        assert!(status.message().contains("retry after 100 ms"), "{status:?}");
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "100");
        assert!(accounts.of("b", now).call(now).is_ok(), "nobody else is held back");
    }

    #[test]
    fn what_is_held_is_bounded_until_it_is_let_go() {
        let (accounts, now) = (Accounts::new(limits()), Instant::now());
        let account = accounts.of("a", now);
        let mut held: Vec<Taken> = (0..2).map(|_| account.connection().unwrap()).collect();
        assert_eq!(account.connection().unwrap_err().setting, "access.identity_connections_max");
        held.pop();
        assert!(account.connection().is_ok());
        let _calls: Vec<Taken> = (0..3).map(|_| account.call(now).unwrap()).collect();
        let over = account.call(now).unwrap_err();
        assert!(over.status("").message().starts_with("access.identity_streams_max (3): this host's"), "{over:?}");
    }

    #[tokio::test]
    async fn bytes_wait_for_room_and_a_batch_always_fits() {
        let account = Accounts::new(limits()).of("a", Instant::now());
        let all = account.bytes(1_000).await;
        let mut more = std::pin::pin!(account.bytes(1));
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut more).await.is_err());
        drop(all);
        drop(more.await);
    }

    #[test]
    fn identities_that_take_up_nothing_are_forgotten() {
        let (accounts, now) = (Accounts::new(limits()), Instant::now());
        let held = accounts.of("held", now);
        drop(held.call(now).unwrap());
        drop(accounts.of("fresh", now).call(now).unwrap());
        (0..1_000).for_each(|at| drop(accounts.of(&format!("n{at}"), now)));
        let known = accounts.known.lock().unwrap();
        assert!(known.by_name.len() <= ACCOUNTS_MIN + 2, "{}", known.by_name.len());
        assert!(known.by_name.contains_key("held") && known.by_name.contains_key("fresh"), "its bucket is not full");
    }
}
