//! From the error of a call to the fault that is recorded.
//!
//! It must not know which function was called. Invariant: the same input gives the same fault on every machine, save
//! for deadlines and for memory that the machine did not have; no address and no backtrace gets into a detail.

use wasmtime::{Store, Trap};

use super::meter::{Allowance, Growth};
use crate::domain::{FaultKind, Metering, RuleFault};

/// The fault behind the error of a call.
pub(super) fn of_call(error: &wasmtime::Error, store: &Store<Growth>, allowance: Allowance) -> RuleFault {
    let denied = store.data().denied.as_deref();
    match (error.downcast_ref::<Trap>(), denied) {
        (Some(Trap::OutOfFuel), _) => {
            RuleFault::new(FaultKind::OutOfFuel, &format!("used up its fuel of {}", allowance.fuel))
        }
        (Some(Trap::Interrupt), _) => {
            RuleFault::new(FaultKind::Deadline, &format!("ran for more than {} ms", allowance.deadline_ms))
        }
        // Live it would be the guest's doing. What ran once did not need more than it had then.
        (Some(Trap::StackOverflow), _) if allowance.metering == Metering::Replay => {
            RuleFault::new(FaultKind::Memory, "used up its stack (plugins.stack_bytes_max)")
        }
        // An allocator that is denied memory ends in a trap of no telling kind, so the denial names it. Running out
        // of stack is its own cause.
        (Some(trap), Some(denied)) if *trap != Trap::StackOverflow => RuleFault::new(FaultKind::Memory, denied),
        (Some(trap), _) => RuleFault::new(FaultKind::Trap, trap_name(*trap).as_str()),
        (None, _) => RuleFault::new(FaultKind::BadOutput, &format!("{error:#}")),
    }
}

/// The fault behind the error of an instantiation. A component is instantiated once when it is loaded, so a later
/// failure that is neither a trap nor a denial is a machine short of memory.
pub(super) fn of_instantiation(error: &wasmtime::Error, store: &Store<Growth>, allowance: Allowance) -> RuleFault {
    match (error.downcast_ref::<Trap>(), store.data().denied.as_deref()) {
        (None, Some(denied)) => RuleFault::new(FaultKind::Memory, denied),
        (None, None) => RuleFault::new(FaultKind::Memory, &format!("could not be instantiated: {error:#}")),
        (Some(_), _) => of_call(error, store, allowance),
    }
}

fn trap_name(trap: Trap) -> String {
    let text = trap.to_string();
    text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned()
}
