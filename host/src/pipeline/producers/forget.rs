//! Expiry and removal of producers.
//!
//! Invariant: a producer with an open stream is neither expired nor removed.

use super::ProducerView;
use crate::{
    domain::{AuditEvent, Identity, ProducerKey},
    pipeline::{
        engine::{Engine, Work},
        refusal::Refusal,
    },
};

impl Engine {
    /// Expires idle producers if it is time to look for them; the next effects drop them. `arriving` has a batch at hand,
    /// so it is not idle, and may need the room.
    pub fn expire_producers(&mut self, arriving: &ProducerKey) {
        if self.producers.is_look_due(arriving) {
            let sending = &self.shared.sending;
            let over = self.producers.expire(|key| key == arriving || sending.has(key));
            self.producers_dropped.extend(over);
        }
    }

    /// Returns at most `count` producers of one holder or of all, in order, after one of them.
    pub fn list_producers(&self, holder: Option<&str>, after: Option<&ProducerKey>, count: usize) -> Vec<ProducerView> {
        self.producers.page(holder, after, count, |key| self.shared.sending.has(key))
    }

    /// Removes a producer, with an entry in the audit log unless its own sender ends a run: a job that sends every minute
    /// would write an entry every minute.
    pub fn remove_producer(&mut self, key: &ProducerKey, who: &Identity) -> Result<((), Work), Refusal> {
        let id = &key.id;
        if self.shared.sending.has(key) {
            let message = format!("producer_id: {id} sends just now; remove it once its stream has ended");
            return Err(Refusal::Precondition(message));
        }
        let removed = self.producers.remove(key).ok_or_else(|| no_such_producer(id))?;
        let ends_run = removed.is_ephemeral && key.holder == who.name;
        if !ends_run {
            let of = if key.holder == who.name { String::new() } else { format!(" of {:?}", key.holder) };
            let detail = format!("its last batch was {}", removed.last);
            self.note(AuditEvent::new(&who.name, "producer.remove", &format!("{id}{of}"), &detail));
        }
        let mut effects = self.effects();
        effects.producers_dropped.push(key.clone());
        Ok(((), Work { effects: Some(effects), ..Work::default() }))
    }
}

/// Returns the refusal of an id that no producer has.
fn no_such_producer(id: &str) -> Refusal {
    let why = format!("no producer {id:?} is kept; `weir producer list` shows those that are");
    Refusal::not_found("producer", id, why)
}
