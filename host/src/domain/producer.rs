//! Producers: who sends numbered batches, and what the host keeps of each batch to recognise a resend.
//!
//! It must not know alerts. Invariant: producers of two identities differ, even under the same id.

use super::{Ack, Millis};

/// A producer of one identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ProducerKey {
    /// Name of the identity that sends; empty where the host does not authenticate.
    pub holder: String,
    /// The id that it gives.
    pub id: String,
}

impl ProducerKey {
    /// Whether its batches are numbered: without an id, resends are not recognised.
    pub fn is_numbered(&self) -> bool {
        !self.id.is_empty()
    }
}

/// A digest of a batch: the first half of a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchDigest(pub [u8; 16]);

/// A batch that was taken, and what its producer was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerMark {
    /// Who sent it.
    pub key: ProducerKey,
    /// What it was told; the sequence is in it. Texts of rejections may be left out, the counts never are.
    pub ack: Ack,
    /// Where it said it stood after that, in its own words.
    pub bookmark: Vec<u8>,
    /// What it held; `None` for one that was taken before digests were kept.
    pub digest: Option<BatchDigest>,
    /// When it was taken, by the host's clock.
    pub taken_ms: Millis,
    /// When it was taken, in milliseconds that hosts had run on the store: idleness is measured by it.
    pub ran_ms: u64,
    /// Whether the producer is of one run of its sender, which does not continue under its id.
    pub is_ephemeral: bool,
}
