//! Which of the computations that callers ask for run now: as many as the machine has processors, each for a slice of
//! time, in turn.
//!
//! A thread that is preempted while it holds a lock (of the store, of the address space) keeps the fold waiting until it
//! runs again, and with many such threads that is long: with sixteen of them on two processors the 99th percentile of
//! acknowledgements was 28 ms, with two 16 ms. Between two slices a computation waits here instead, where it holds no
//! lock. Invariant: computations get a processor in the order they ask for it, and one that ends or panics frees its own.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a computation runs before it lets another go on: short beside what a caller notices, long beside what a
/// change of threads costs.
const SLICE: Duration = Duration::from_millis(5);

/// The processors that computations share.
#[derive(Debug)]
pub struct Processors {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Tickets of those that wait, in order.
    waiting: VecDeque<u64>,
    next_ticket: u64,
}

/// The right to run. Dropping the last clone frees the processor, and so does [`free`](Self::free).
#[derive(Debug)]
pub struct Processor {
    processors: Arc<Processors>,
    /// When the slice began; `None` once it was freed.
    since: Mutex<Option<Instant>>,
}

impl Processors {
    /// So many, at least one.
    pub fn new(count: usize) -> Self {
        let state = State { free: count.max(1), waiting: VecDeque::new(), next_ticket: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits for a processor. Blocks the thread.
    pub fn take(self: &Arc<Self>) -> Processor {
        self.wait();
        Processor { processors: Arc::clone(self), since: Mutex::new(Some(Instant::now())) }
    }

    fn wait(&self) {
        let mut state = self.state();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(ticket);
        let is_next = |state: &State| state.free > 0 && state.waiting.front() == Some(&ticket);
        let waited = self.changed.wait_while(state, |state| !is_next(state));
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting.pop_front();
        state.free -= 1;
        let more = state.free > 0 && !state.waiting.is_empty();
        drop(state);
        if more {
            self.changed.notify_all();
        }
    }

    fn free(&self) {
        self.state().free += 1;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Processor {
    /// Lets others go on where some wait and the slice is over; returns when it is this computation's turn again. To be
    /// called where no lock is held. Does nothing once the processor is freed.
    pub fn give_way(&self) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = since.is_some_and(|since| since.elapsed() >= SLICE);
        if is_over && !self.processors.state().waiting.is_empty() {
            self.processors.free();
            self.processors.wait();
            *since = Some(Instant::now());
        }
    }

    /// Frees the processor.
    pub fn free(&self) {
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner).take();
        if since.is_some() {
            self.processors.free();
        }
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        self.free();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn no_more_run_than_there_are_processors_and_a_short_one_overtakes_long_ones() {
        let processors = Arc::new(Processors::new(2));
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let short_took = thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let processor = processors.take();
                    let begun = Instant::now();
                    while begun.elapsed() < Duration::from_millis(600) {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        thread::sleep(Duration::from_millis(1));
                        running.fetch_sub(1, Ordering::SeqCst);
                        processor.give_way();
                    }
                });
            }
            thread::sleep(Duration::from_millis(50));
            let begun = Instant::now();
            drop(processors.take());
            begun.elapsed()
        });
        assert_eq!(most.load(Ordering::SeqCst), 2);
        // One slice of each of those before it; the end of one would be 600 ms away.
        assert!(short_took < Duration::from_millis(400), "{short_took:?}");
    }

    #[test]
    fn a_processor_is_freed_once_also_by_a_panic() {
        let processors = Arc::new(Processors::new(1));
        let processor = processors.take();
        processor.free();
        processor.give_way();
        drop(processor);
        assert_eq!(processors.state().free, 1);
        let failed = catch_unwind(AssertUnwindSafe(|| {
            let _processor = processors.take();
            panic!("on purpose");
        }));
        assert!(failed.is_err());
        assert_eq!(processors.state().free, 1);
    }
}
