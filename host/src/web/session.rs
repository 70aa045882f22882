//! Sessions of the page: a browser keeps a random id, and the token it stands for stays in the host's memory.
//!
//! Invariant: an id says nothing of its token, and is good for nothing once its session has ended: by signing out, by
//! age, by newer sessions of the same token, or with the host, which keeps none on disk. Whether the token is still good
//! the gate decides with every call.

use std::{
    collections::HashMap,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::http::HeaderValue;

use crate::config::AccessLimits;

/// Random bytes of an id.
const ID_BYTES: usize = 32;

/// The sessions of a host's page.
#[derive(Debug)]
pub struct Sessions {
    token_sessions_max: usize,
    lifetime: Duration,
    open: Mutex<HashMap<String, Session>>,
}

#[derive(Debug)]
struct Session {
    /// The header of the calls that are made for it.
    bearer: HeaderValue,
    began: Instant,
}

impl Sessions {
    /// None yet.
    pub fn new(limits: &AccessLimits) -> Self {
        Self {
            token_sessions_max: limits.token_sessions_max,
            lifetime: Duration::from_millis(limits.session_ms_max),
            open: Mutex::default(),
        }
    }

    /// Begins a session of a token that the gate knows; returns its id. Where the token has as many as it may have, the
    /// oldest ends: somebody who lost a browser can still sign in.
    ///
    /// # Errors
    /// Fails where the system gives no randomness.
    pub fn begin(&self, bearer: HeaderValue, now: Instant) -> io::Result<String> {
        let mut secret = [0_u8; ID_BYTES];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        let id: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut open = self.lock();
        open.retain(|_, session| !self.is_over(session, now));
        let mut own: Vec<(Instant, String)> = open
            .iter()
            .filter(|(_, session)| session.bearer == bearer)
            .map(|(id, session)| (session.began, id.clone()))
            .collect();
        own.sort_unstable();
        let excess = (own.len() + 1).saturating_sub(self.token_sessions_max);
        own.iter().take(excess).for_each(|(_, id)| drop(open.remove(id)));
        open.insert(id.clone(), Session { bearer, began: now });
        Ok(id)
    }

    /// Returns the header of the token that an id stands for, while its session lasts.
    pub fn bearer(&self, id: &str, now: Instant) -> Option<HeaderValue> {
        let open = self.lock();
        open.get(id).filter(|session| !self.is_over(session, now)).map(|session| session.bearer.clone())
    }

    /// Ends a session; an id of none changes nothing.
    pub fn end(&self, id: &str) {
        self.lock().remove(id);
    }

    fn is_over(&self, session: &Session, now: Instant) -> bool {
        now.saturating_duration_since(session.began) >= self.lifetime
    }

    // Each change of it is one call of the map, so a panic elsewhere leaves it whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> Sessions {
        Sessions::new(&AccessLimits { token_sessions_max: 2, session_ms_max: 1_000, ..AccessLimits::default() })
    }

    #[test]
    fn a_session_lasts_until_it_ends_or_is_too_old() {
        let (sessions, began) = (sessions(), Instant::now());
        let token = HeaderValue::from_static("Bearer a");
        let id = sessions.begin(token.clone(), began).unwrap();
        assert_eq!((id.len(), sessions.bearer(&id, began)), (64, Some(token.clone())));
        assert_eq!(sessions.bearer("weir_a", began), None);
        assert_eq!(sessions.bearer(&id, began + Duration::from_millis(999)), Some(token.clone()));
        assert_eq!(sessions.bearer(&id, began + Duration::from_secs(1)), None);
        let other = sessions.begin(token, began).unwrap();
        assert_ne!(other, id);
        sessions.end(&other);
        assert_eq!(sessions.bearer(&other, began), None);
    }

    #[test]
    fn a_token_has_few_sessions_and_those_of_others_stay() {
        let (sessions, began) = (sessions(), Instant::now());
        let begin = |token: &'static str, ms| {
            sessions.begin(HeaderValue::from_static(token), began + Duration::from_millis(ms)).unwrap()
        };
        let other = begin("Bearer b", 0);
        let ids: Vec<String> = (1..5).map(|ms| begin("Bearer a", ms)).collect();
        let open: Vec<bool> = ids.iter().map(|id| sessions.bearer(id, began).is_some()).collect();
        assert_eq!(open, [false, false, true, true]);
        assert!(sessions.bearer(&other, began).is_some());
        begin("Bearer c", 1_500);
        assert_eq!(sessions.lock().len(), 1, "what is over is forgotten");
    }
}
