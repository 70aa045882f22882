//! The open connections, and which of them is closed where there are too many.
//!
//! It must not know what is said on them. Invariant: a place in eight is kept for callers that are not known yet and for
//! administrators, so no number of tokens locks an administrator out; a tenant with one connection keeps it.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::peer::Peer;
use crate::domain::Tenant;

/// The part of all connections that those of tenants leave free: one in so many.
const KEPT_FREE: usize = 8;

/// The open connections in the order they came, and some that have gone since.
#[derive(Debug)]
pub struct Crowd {
    connections_max: usize,
    peers: Mutex<VecDeque<Peer>>,
}

impl Crowd {
    /// At most so many connections.
    pub fn new(connections_max: usize) -> Self {
        Self { connections_max, peers: Mutex::default() }
    }

    /// Notes a connection that came.
    pub fn note(&self, peer: Peer) {
        let mut peers = self.peers();
        if peers.len() >= 2 * self.connections_max {
            peers.retain(Peer::is_open);
        }
        peers.push_back(peer);
    }

    /// Forgets a connection that is closed.
    pub fn forget(&self, peer: &Peer) {
        self.peers().retain(|other| !other.is_same(peer));
    }

    /// Closes a connection for one that comes where all places are taken: the oldest that nobody known has called on, or
    /// else the idlest of the tenant that has the most.
    pub fn make_room(&self) {
        let peers: Vec<Peer> = self.peers().iter().filter(|peer| peer.is_open()).cloned().collect();
        let stranger = peers.iter().find(|peer| !peer.is_identified());
        match stranger {
            Some(stranger) => stranger.cut(
                "crowded",
                "intake.connections_max are open, and nobody who is known had made a call on it for longest",
            ),
            None => close_one_of_the_largest(&peers, None),
        }
    }

    /// Closes a connection of the tenant that has the most, where `newcomer` has just become known and tenants leave too
    /// few places free.
    pub fn keep_some_free(&self, newcomer: &Peer) {
        let is_known = |peer: &&Peer| peer.is_open() && peer.is_identified() && !peer.is_admin();
        let known: Vec<Peer> = self.peers().iter().filter(is_known).cloned().collect();
        if known.len() > self.connections_max - self.connections_max / KEPT_FREE {
            close_one_of_the_largest(&known, Some(newcomer));
        }
    }

    fn peers(&self) -> MutexGuard<'_, VecDeque<Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the idlest connection but `spared` of the tenant that has the most, if it has more than one.
fn close_one_of_the_largest(peers: &[Peer], spared: Option<&Peer>) {
    let mut counts: HashMap<Tenant, usize> = HashMap::new();
    let held: Vec<(&Peer, Tenant)> = peers
        .iter()
        .filter(|peer| !peer.is_admin())
        .filter_map(|peer| Some((peer, peer.tenant()?)))
        .inspect(|(_, tenant)| *counts.entry(tenant.clone()).or_default() += 1)
        .collect();
    let Some(most) = counts.values().copied().max().filter(|most| *most > 1) else { return };
    let of_the_largest = held.into_iter().filter(|(peer, tenant)| {
        counts.get(tenant) == Some(&most) && spared.is_none_or(|spared| !spared.is_same(peer))
    });
    // No answer under way first, then the longest without a call.
    if let Some((idlest, _)) = of_the_largest.max_by_key(|(peer, _)| (!peer.is_answering(), Reverse(peer.called_at())))
    {
        idlest.cut("crowded", "intake.connections_max are taken, and nobody has more of them than its caller");
    }
}
