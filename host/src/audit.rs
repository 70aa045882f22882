//! The audit log's chain: each entry's hash covers the entry and the hash before it.
//!
//! It must not know what is noted or where entries are kept. Invariant: an entry that was changed, left out, added or
//! moved makes every hash from there on wrong. That the newest are missing shows only to whoever noted the last hash.

use sha2::{Digest, Sha256};

use crate::domain::{AuditEntry, AuditEvent, AuditHash, Millis};

/// What the first entry follows.
const BEGINNING: AuditHash = [0; 32];

/// The end of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// Number of the entry that comes next; the first is 1.
    pub next: u64,
    /// Hash of the last entry.
    pub last: AuditHash,
}

impl Default for Chain {
    fn default() -> Self {
        Self { next: 1, last: BEGINNING }
    }
}

/// An entry that does not follow from those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its number.
    pub number: u64,
    /// What is wrong.
    pub why: String,
}

impl Chain {
    /// Goes on after an entry.
    pub fn after(entry: &AuditEntry) -> Self {
        Self { next: entry.number + 1, last: entry.hash }
    }

    /// Makes an entry of an event.
    pub fn append(&mut self, event: AuditEvent, at_ms: Millis) -> AuditEntry {
        let mut entry = AuditEntry { number: self.next, at_ms, event, hash: BEGINNING };
        entry.hash = hash(&self.last, &entry);
        *self = Self::after(&entry);
        entry
    }

    /// Checks that an entry follows, and goes on after it.
    pub fn follow(&mut self, entry: &AuditEntry) -> Result<(), Broken> {
        let broken = |why: String| Err(Broken { number: self.next.min(entry.number), why });
        if entry.number != self.next {
            return broken(format!("entry {} is there where {} belongs", entry.number, self.next));
        }
        if entry.hash != hash(&self.last, entry) {
            return broken("its hash is not that of what it says and of the entry before it".to_owned());
        }
        *self = Self::after(entry);
        Ok(())
    }

    /// Follows the log to its end, or to the first entry that does not follow. `page` returns entries from a number on;
    /// an empty page is the end.
    pub fn follow_pages<E>(
        &mut self,
        mut page: impl FnMut(u64) -> Result<Vec<AuditEntry>, E>,
    ) -> Result<Option<Broken>, E> {
        loop {
            let entries = page(self.next)?;
            if entries.is_empty() {
                return Ok(None);
            }
            if let Err(broken) = entries.iter().try_for_each(|entry| self.follow(entry)) {
                return Ok(Some(broken));
            }
        }
    }
}

fn hash(before: &AuditHash, entry: &AuditEntry) -> AuditHash {
    let AuditEntry { number, at_ms, event, hash: _ } = entry;
    let AuditEvent { who, action, subject, detail } = event;
    let mut hasher = Sha256::new();
    hasher.update(before);
    hasher.update(number.to_le_bytes());
    hasher.update(at_ms.to_le_bytes());
    for text in [who, action, subject, detail] {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Vec<AuditEntry> {
        let mut chain = Chain::default();
        (0..5).map(|n| chain.append(AuditEvent::new("grid", "rule.set", &format!("rule-{n}"), "why"), n)).collect()
    }

    fn verify(entries: &[AuditEntry]) -> Result<(), Broken> {
        let mut chain = Chain::default();
        entries.iter().try_for_each(|entry| chain.follow(entry))
    }

    #[test]
    fn the_first_entry_that_does_not_follow_is_named() {
        assert_eq!(verify(&chain()), Ok(()));
        let broken = |change: &dyn Fn(&mut Vec<AuditEntry>)| {
            let mut entries = chain();
            change(&mut entries);
            verify(&entries).unwrap_err().number
        };
        assert_eq!(broken(&|entries| entries[2].event.who = "nobody".into()), 3);
        assert_eq!(broken(&|entries| entries[2].at_ms += 1), 3);
        assert_eq!(broken(&|entries| entries[0].hash[0] ^= 1), 1);
        assert_eq!(broken(&|entries| drop(entries.remove(1))), 2);
        assert_eq!(broken(&|entries| entries.swap(3, 4)), 4);
        assert_eq!(broken(&|entries| entries.insert(1, entries[0].clone())), 1);
        // Text that wanders from one field into the next is another text.
        assert_eq!(
            broken(&|entries| {
                entries[1].event.who = "gri".into();
                entries[1].event.action = "drule.set".into();
            }),
            2
        );
    }
}
