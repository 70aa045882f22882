//! Producers: where one stands, the list of them, and removal.
//!
//! It must not know what producers send. Invariant: a caller sees its own producers, unless its role sees everything; only an
//! administrator removes those of others.

use std::sync::Arc;

use super::{Handle, Refusal};
use crate::{
    domain::{ProducerKey, Role},
    pipeline::{
        collect::Command,
        producers::{ProducerView, Standing},
        sending::{BatchSender, Sending},
    },
};

impl Handle {
    /// Returns a sender for one stream: the producers it sends for are in use until it is dropped.
    pub fn sender(&self) -> BatchSender {
        BatchSender::new(self.clone())
    }

    /// Returns where a producer of the caller stands, by its last committed batch.
    pub async fn producer(&self, id: &str) -> Result<Standing, Refusal> {
        self.check_producer(id)?;
        let key = self.producer_key(id.to_owned());
        self.ask(|reply| Command::Producer(key, reply)).await
    }

    /// Returns at most `count` producers in order of identity and id, after one of them. `identity` restricts the list to
    /// one identity; a role that does not see everything sees its own.
    pub async fn producers(
        &self,
        identity: Option<String>,
        after: Option<ProducerKey>,
        count: usize,
    ) -> Result<Vec<ProducerView>, Refusal> {
        let sees_all = matches!(self.who.role, Role::Admin | Role::Auditor | Role::Reader);
        let holder = if sees_all { identity } else { Some(self.own_identity(identity)?) };
        self.ask(|reply| Command::Producers { holder, after, count, reply }).await
    }

    /// Removes a producer of the caller, or of another identity if the caller is an administrator.
    pub async fn remove_producer(&self, identity: Option<String>, id: String) -> Result<(), Refusal> {
        let holder = match (identity, self.who.role) {
            (Some(identity), Role::Admin) => identity,
            (identity, _) => self.own_identity(identity)?,
        };
        let (key, who) = (ProducerKey { holder, id }, Arc::clone(&self.who));
        self.ask(|reply| Command::RemoveProducer(key, who, reply)).await
    }

    /// Returns the key of a producer of the caller.
    pub(in crate::pipeline) fn producer_key(&self, id: String) -> ProducerKey {
        ProducerKey { holder: self.who.name.clone(), id }
    }

    /// Returns the leases of producers.
    pub(in crate::pipeline) fn sending(&self) -> &Arc<Sending> {
        &self.shared.sending
    }

    /// Returns the caller's name; rejects another one.
    fn own_identity(&self, asked: Option<String>) -> Result<String, Refusal> {
        match asked {
            Some(other) if other != self.who.name => {
                let message = format!("{other:?}: this caller may ask for its own producers alone");
                Err(Refusal::Denied { field: "identity".to_owned(), message })
            }
            _ => Ok(self.who.name.clone()),
        }
    }
}
