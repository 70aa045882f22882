//! Leases of producers: a producer with an open stream is in use, and is neither expired nor removed.
//!
//! It must not know what is sent. Invariant: a lease lives as long as the stream that sent for its producer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::{
    domain::{Ack, ProducerKey},
    pipeline::{Batch, Handle, refusal::Refusal},
};

/// Producers with an open stream, and how many each has.
#[derive(Debug, Default)]
pub struct Sending(Mutex<HashMap<ProducerKey, usize>>);

/// Marks a producer as in use until it is dropped.
#[derive(Debug)]
struct Lease {
    key: ProducerKey,
    sending: Arc<Sending>,
}

impl Sending {
    // A panic while it is held leaves the map whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<ProducerKey, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a producer has an open stream.
    pub fn has(&self, key: &ProducerKey) -> bool {
        self.lock().contains_key(key)
    }

    fn lease(self: &Arc<Self>, key: ProducerKey) -> Lease {
        *self.lock().entry(key.clone()).or_default() += 1;
        Lease { key, sending: Arc::clone(self) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut sending = self.sending.lock();
        if let Some(count) = sending.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                sending.remove(&self.key);
            }
        }
    }
}

/// One stream's way into the pipeline; it holds a lease for each producer that the stream sends for. Their number is
/// bounded by `intake.identity_producers_max`: the first batch that is rejected ends the stream.
pub struct BatchSender {
    handle: Handle,
    leases: Mutex<HashMap<String, Lease>>,
}

impl BatchSender {
    /// Returns a sender without leases.
    pub fn new(handle: Handle) -> Self {
        Self { handle, leases: Mutex::default() }
    }

    /// Queues a batch, see [`Handle::submit`].
    pub async fn submit(&self, batch: Batch) -> Result<oneshot::Receiver<Result<Ack, Refusal>>, Refusal> {
        if !batch.producer.is_empty() {
            let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
            if !leases.contains_key(&batch.producer) {
                let key = self.handle.producer_key(batch.producer.clone());
                leases.insert(batch.producer.clone(), self.handle.sending().lease(key));
            }
        }
        self.handle.submit(batch).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_is_in_use_until_its_last_stream_ends() {
        let sending = Arc::new(Sending::default());
        let key = ProducerKey { holder: "a".into(), id: "p".into() };
        let (first, second) = (sending.lease(key.clone()), sending.lease(key.clone()));
        drop(first);
        assert!(sending.has(&key) && !sending.has(&ProducerKey { holder: "b".into(), id: "p".into() }));
        drop(second);
        assert!(!sending.has(&key) && sending.lock().is_empty());
    }
}
