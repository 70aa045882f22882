//! What goes through the server, counted: connections, calls, and what was refused.
//!
//! It must not know who asks for the figures. Invariant: labels are words of this program, so there are only so many.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tonic::Code;

/// Counts under two words.
pub type Counts<A, B> = BTreeMap<(A, B), u64>;

/// A status as the protocol writes it.
pub(super) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The figures, counted up by whoever serves.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Connections that are open.
    pub connections: AtomicU64,
    /// Calls that are under way.
    pub calls_open: AtomicU64,
    /// Calls that nobody knew the maker of, or that they may not make.
    pub denied: AtomicU64,
    tables: Mutex<Tables>,
}

/// The figures that have labels.
#[derive(Debug, Default, Clone)]
pub struct Tables {
    /// Calls that ended, by the call's path and their status.
    pub calls: Counts<&'static str, &'static str>,
    /// Calls that were refused, by the setting that a limit has.
    pub refused: BTreeMap<&'static str, u64>,
    /// Connections and streams that the host ended, by why.
    pub cut: BTreeMap<&'static str, u64>,
}

impl Traffic {
    /// Counts a call that ended.
    pub fn ended(&self, call: &'static str, code: Code) {
        *self.tables().calls.entry((call, code_name(code))).or_default() += 1;
    }

    /// Counts a call that a limit did not let through.
    pub fn refused(&self, setting: &'static str) {
        *self.tables().refused.entry(setting).or_default() += 1;
    }

    /// Counts what the host did not wait for any longer.
    pub fn cut(&self, why: &'static str) {
        *self.tables().cut.entry(why).or_default() += 1;
    }

    /// Counts a denied call.
    pub fn denied(&self) {
        self.denied.fetch_add(1, Ordering::Relaxed);
    }

    /// The figures with labels as they are now.
    pub fn figures(&self) -> Tables {
        self.tables().clone()
    }

    fn tables(&self) -> std::sync::MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
