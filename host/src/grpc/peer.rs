//! One connection as its calls see it: who was identified on it, what it was refused, and how it is cut off.
//!
//! It must not know bytes. Invariant: a connection that is cut has a reason, which is logged once, and counted.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    crowd::Crowd,
    quota::{Account, Over, Taken},
    traffic::Traffic,
};
use crate::{config::Config, domain::Tenant};

/// A connection on which so many calls in a row were refused is cut: answering them is work too.
const REFUSED_IN_A_ROW_MAX: u64 = 1_000;

/// How long after its last request of a browser a connection is kept that gives no sign of life by itself: longer than
/// any of them may take. A browser makes another without anybody noticing.
const BROWSER_IDLE_MAX: Duration = Duration::from_secs(120);

/// How long a host waits for what a client owes it.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the first call of somebody who is known.
    pub unidentified: Duration,
    /// For a message that has not begun.
    pub message: Duration,
    /// For the rest of a message.
    pub partial: Duration,
    /// For an answer to be read.
    pub unread: Duration,
}

impl Patience {
    /// As the settings have it.
    pub fn new(config: &Config) -> Self {
        let intake = &config.intake;
        Self {
            unidentified: Duration::from_millis(config.access.unidentified_ms_max),
            message: Duration::from_millis(intake.message_wait_ms_max),
            partial: Duration::from_millis(intake.partial_message_ms_max),
            unread: Duration::from_millis(intake.unread_answers_ms_max),
        }
    }

    /// How often a connection is looked at.
    pub fn look_every(&self) -> Duration {
        (self.unidentified.min(self.unread) / 4).min(Duration::from_secs(1))
    }
}

/// A connection. A request carries it as an extension.
#[derive(Debug, Clone)]
pub struct Peer(Arc<State>);

#[derive(Debug)]
struct State {
    address: SocketAddr,
    opened: Instant,
    patience: Patience,
    traffic: Arc<Traffic>,
    /// The connections that it is one of.
    crowd: Weak<Crowd>,
    certified: OnceLock<String>,
    /// Whoever made a call on it, each counted among their connections.
    identified: Mutex<Vec<(Arc<Account>, Taken)>>,
    /// An administrator is one of them.
    admin: AtomicBool,
    /// When the last call was let through, in milliseconds after the opening.
    called_ms: AtomicU64,
    refused_in_a_row: AtomicU64,
    /// When a browser last asked for something over HTTP/1, in milliseconds after the opening, from 1; 0: none did.
    turned_ms: AtomicU64,
    cut: Mutex<Option<oneshot::Sender<()>>>,
    unread: Mutex<Unread>,
}

/// Answers that are under way.
#[derive(Debug, Default)]
struct Unread {
    next: u64,
    /// By number: the call, and since when a piece of its answer waits, in milliseconds after the opening, from 1.
    answers: HashMap<u64, (&'static str, Arc<AtomicU64>)>,
}

impl Peer {
    /// A connection that was just made, and what tells its owner that it is cut.
    pub fn new(
        address: SocketAddr,
        patience: Patience,
        traffic: Arc<Traffic>,
        crowd: &Arc<Crowd>,
    ) -> (Self, oneshot::Receiver<()>) {
        let (cut, is_cut) = oneshot::channel();
        let state = State {
            address,
            opened: Instant::now(),
            patience,
            traffic,
            crowd: Arc::downgrade(crowd),
            certified: OnceLock::new(),
            identified: Mutex::default(),
            admin: AtomicBool::new(false),
            called_ms: AtomicU64::new(0),
            refused_in_a_row: AtomicU64::new(0),
            turned_ms: AtomicU64::new(0),
            cut: Mutex::new(Some(cut)),
            unread: Mutex::default(),
        };
        (Self(Arc::new(state)), is_cut)
    }

    /// From where it was made.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Whom its certificate names, if it has one.
    pub fn certified(&self) -> Option<&str> {
        self.0.certified.get().map(String::as_str)
    }

    /// Notes whom its certificate names.
    pub fn certify(&self, name: String) {
        // A connection shakes hands once.
        let _ = self.0.certified.set(name);
    }

    /// Whether anybody who is known made a call on it.
    pub fn is_identified(&self) -> bool {
        !self.identified().is_empty()
    }

    /// Whether an administrator made a call on it.
    pub fn is_admin(&self) -> bool {
        self.0.admin.load(Ordering::Relaxed)
    }

    /// Whether it is the same connection.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The first tenant that made a call on it.
    pub fn tenant(&self) -> Option<Tenant> {
        self.identified().first().map(|(account, _)| account.tenant.clone())
    }

    /// Whether an answer is under way on it.
    pub fn is_answering(&self) -> bool {
        !self.unread().answers.is_empty()
    }

    /// When the last call was let through.
    pub fn called_at(&self) -> Instant {
        self.0.opened + Duration::from_millis(self.0.called_ms.load(Ordering::Relaxed))
    }

    /// Notes who made a call on it: it then counts among their connections.
    pub fn identify(&self, account: &Arc<Account>, is_admin: bool) -> Result<(), Over> {
        let mut identified = self.identified();
        if identified.iter().any(|(known, _)| known.tenant == account.tenant) {
            return Ok(());
        }
        let taken = account.connection()?;
        identified.push((Arc::clone(account), taken));
        drop(identified);
        self.0.admin.fetch_or(is_admin, Ordering::Relaxed);
        self.called();
        if let Some(crowd) = self.0.crowd.upgrade() {
            crowd.keep_some_free(self);
        }
        Ok(())
    }

    fn called(&self) {
        self.0.called_ms.store(self.since_opening_ms(Instant::now()), Ordering::Relaxed);
    }

    /// Notes that a browser asks for something. Over HTTP/1 nothing else tells a browser that reads from one that is
    /// gone.
    pub fn turn(&self, now: Instant) {
        self.0.turned_ms.store(self.since_opening_ms(now), Ordering::Relaxed);
    }

    /// Notes that a call was let through.
    pub fn passed(&self) {
        self.called();
        self.0.refused_in_a_row.store(0, Ordering::Relaxed);
    }

    /// Notes that a call was not let through.
    pub fn refused(&self) {
        if self.0.refused_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= REFUSED_IN_A_ROW_MAX {
            self.cut("refused", &format!("{REFUSED_IN_A_ROW_MAX} calls in a row were refused"));
        }
    }

    /// Whether it was neither cut nor closed.
    pub fn is_open(&self) -> bool {
        self.0.cut.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Notes that it is closed.
    pub fn close(&self) {
        drop(self.0.cut.lock().unwrap_or_else(PoisonError::into_inner).take());
        // What was counted for it is over, whoever still knows it.
        self.identified().clear();
        if let Some(crowd) = self.0.crowd.upgrade() {
            crowd.forget(self);
        }
    }

    /// Closes it, whatever is under way. `why` is the word it is counted under, `said` what the log has.
    pub fn cut(&self, why: &'static str, said: &str) {
        let Some(cut) = self.0.cut.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let names: Vec<String> = self.identified().iter().map(|(account, _)| account.tenant.to_string()).collect();
        tracing::warn!(peer = %self.0.address, identities = ?names, why = said, "a connection was closed");
        self.0.traffic.cut(why);
        // Where nobody receives it the connection is gone already.
        let _ = cut.send(());
    }

    /// Ends it where its time is over: nobody known has called, a browser is gone, or an answer is not read.
    pub fn look(&self, now: Instant) {
        let State { opened, patience, .. } = &*self.0;
        let unidentified_ms = patience.unidentified.as_millis();
        if now.duration_since(*opened) >= patience.unidentified && !self.is_identified() {
            let said = format!(
                "nobody who is known made a call on it within access.unidentified_ms_max ({unidentified_ms} ms)"
            );
            return self.cut("unidentified", &said);
        }
        let now_ms = self.since_opening_ms(now);
        let turned_ms = self.0.turned_ms.load(Ordering::Relaxed);
        if turned_ms > 0 && now_ms.saturating_sub(turned_ms) >= BROWSER_IDLE_MAX.as_millis() as u64 {
            return self.cut("idle", &format!("a browser asked for nothing in {} s", BROWSER_IDLE_MAX.as_secs()));
        }
        // A stream of alerts ends by itself after half of that, with words.
        let wait_ms = 2 * patience.unread.as_millis() as u64;
        let late = self.unread().answers.values().find_map(|(call, since)| {
            let since = since.load(Ordering::Relaxed);
            (since > 0 && now_ms.saturating_sub(since) >= wait_ms).then_some(*call)
        });
        if let Some(call) = late {
            self.cut_unread(call);
        }
    }

    /// Closes it because an answer is not read.
    pub fn cut_unread(&self, call: &str) {
        let unread_ms = self.0.patience.unread.as_millis();
        let said =
            format!("an answer of {call} was not read within twice intake.unread_answers_ms_max ({unread_ms} ms)");
        self.cut("unread", &said);
    }

    /// An answer that begins, and waits to be read from here on.
    pub fn answer(&self, call: &'static str) -> Answer {
        let mut unread = self.unread();
        let (number, since) = (unread.next, Arc::new(AtomicU64::new(self.since_opening_ms(Instant::now()))));
        unread.next += 1;
        unread.answers.insert(number, (call, Arc::clone(&since)));
        Answer { peer: self.clone(), number, since }
    }

    fn since_opening_ms(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.0.opened).as_millis() as u64 + 1
    }

    fn identified(&self) -> MutexGuard<'_, Vec<(Arc<Account>, Taken)>> {
        self.0.identified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unread(&self) -> MutexGuard<'_, Unread> {
        self.0.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that is under way.
#[derive(Debug)]
pub struct Answer {
    peer: Peer,
    number: u64,
    since: Arc<AtomicU64>,
}

impl Answer {
    /// A piece of it was handed out, and waits to be read.
    pub fn offered(&self) {
        self.since.store(self.peer.since_opening_ms(Instant::now()), Ordering::Relaxed);
    }

    /// Everything handed out was taken: it is the host that is asked for more.
    pub fn taken(&self) {
        self.since.store(0, Ordering::Relaxed);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.peer.unread().answers.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_that_asks_for_nothing_any_more_is_let_go_and_nobody_else_is() {
        let hour = Duration::from_secs(3_600);
        let patience = Patience { unidentified: hour, message: hour, partial: hour, unread: hour };
        let traffic = Arc::new(Traffic::default());
        let crowd = Arc::new(Crowd::new(1));
        let (peer, _cut) = Peer::new(([127, 0, 0, 1], 1).into(), patience, Arc::clone(&traffic), &crowd);
        let later = |seconds| Instant::now() + Duration::from_secs(seconds);
        peer.look(later(600));
        assert!(peer.is_open(), "a client of the protocol may be silent");
        peer.turn(later(600));
        peer.look(later(600 + 110));
        assert!(peer.is_open());
        peer.look(later(600 + 130));
        assert!(!peer.is_open());
        assert_eq!(traffic.figures().cut.get("idle"), Some(&1));
    }
}
