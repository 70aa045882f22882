//! Whether somebody still waits for what is being done, and what is held until they have it.
//!
//! It must not know who waits, nor for what. Invariant: cancellation is permanent.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::turns::Share;

/// Held by whoever waits for an answer, until it was read: without it nobody waits.
#[derive(Debug, Clone, Default)]
pub struct Waiting(Arc<Mutex<Vec<Arc<Share>>>>);

/// Asked by whoever works on it. By default the work is always wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted(Option<Weak<Mutex<Vec<Arc<Share>>>>>);

impl Waiting {
    /// What says whether this is still held.
    pub fn wanted(&self) -> Wanted {
        Wanted(Some(Arc::downgrade(&self.0)))
    }
}

impl Wanted {
    /// Whether somebody still waits.
    pub fn is_so(&self) -> bool {
        self.0.as_ref().is_none_or(|waiting| waiting.strong_count() > 0)
    }

    /// Keeps a share for as long as somebody waits.
    pub(super) fn keep(&self, share: Arc<Share>) {
        if let Some(waiting) = self.0.as_ref().and_then(Weak::upgrade) {
            waiting.lock().unwrap_or_else(PoisonError::into_inner).push(share);
        }
    }
}
