//! Whether somebody still waits for what is being done.
//!
//! It must not know who waits, nor for what. Invariant: once nobody waits, nobody ever does again.

use std::sync::{Arc, Weak};

/// Held by whoever waits for an answer: without it nobody does.
#[derive(Debug, Clone, Default)]
pub struct Waiting(Arc<()>);

/// Asked by whoever works on it. By default the work is always wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted(Option<Weak<()>>);

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
}
