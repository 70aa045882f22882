//! Producers: the last batches of each and their answers, so that a resend is answered and not taken twice, and another
//! batch under a taken number is rejected.
//!
//! It must not know alerts. Invariant: sequences of a producer have no gap, and the last `batches_in_flight_max` answers
//! are kept with the digests of their batches. Texts of rejections stay within their bounds.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use crate::{
    config::IntakeLimits,
    domain::{Ack, BatchDigest, Millis, ProducerKey, ProducerMark},
    pipeline::refusal::Refusal,
};

mod forget;

/// What a text takes in memory beside its characters: its index and its pointer.
const TEXT_OVERHEAD_BYTES: usize = 32;

/// How often to look for idle producers, in milliseconds; more often where the limits on idleness are shorter.
const LOOK_EVERY_MS: u64 = 60_000;
/// The same while a new producer finds no room. A look walks all producers, so it must not follow every refused batch.
const LOOK_SOON_MS: u64 = 1_000;

/// What to do with a batch.
#[derive(Debug, PartialEq)]
pub enum Expected {
    /// It is new: take it.
    Next,
    /// It was taken: give the same answer.
    Again(Ack),
}

/// Where a producer stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Sequence of its last batch; 0 for none.
    pub last: u64,
    /// What it said of itself with that batch.
    pub bookmark: Vec<u8>,
}

/// A producer as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerView {
    /// Which.
    pub key: ProducerKey,
    /// Sequence of its last batch.
    pub last: u64,
    /// Whether it is of one run of its sender.
    pub is_ephemeral: bool,
    /// When its last batch was taken, by the host's clock; 0 for before that was kept.
    pub taken_ms: Millis,
    /// Whether a stream of it is open.
    pub is_sending: bool,
    /// How long it stays without a batch or an open stream, in milliseconds in which a host runs.
    pub idle_left_ms: u64,
    /// Texts of rejections in its kept answers, in bytes.
    pub texts_bytes: u64,
}

/// How long hosts have run on a store. It does not jump with the host's clock, and stands still while no host runs, so
/// neither a wrong clock nor an outage expires a producer.
#[derive(Clone)]
pub struct RunClock {
    before_ms: u64,
    passed: Arc<dyn Fn() -> Duration + Send + Sync>,
    started: Duration,
}

impl RunClock {
    /// Continues from what earlier hosts ran; `passed` is a monotonic clock with any origin.
    pub fn after(before_ms: u64, passed: Arc<dyn Fn() -> Duration + Send + Sync>) -> Self {
        let started = passed();
        Self { before_ms, passed, started }
    }

    /// Returns the milliseconds that hosts have run.
    pub fn now_ms(&self) -> u64 {
        let ran = (self.passed)().saturating_sub(self.started);
        self.before_ms.saturating_add(u64::try_from(ran.as_millis()).unwrap_or(u64::MAX))
    }
}

/// An answer, and what tells its batch from others.
#[derive(Debug)]
struct Answer {
    ack: Ack,
    bookmark: Vec<u8>,
    digest: Option<BatchDigest>,
}

#[derive(Debug, Default)]
struct Producer {
    last: u64,
    answers: VecDeque<Answer>,
    taken_ms: Millis,
    /// When it was last heard of, by how long hosts have run.
    used_ms: u64,
    is_ephemeral: bool,
}

impl Producer {
    fn texts_bytes(&self) -> u64 {
        self.answers.iter().map(|answer| texts_bytes(&answer.ack)).sum()
    }

    fn idle_ms_max(&self, limits: &IntakeLimits) -> u64 {
        let max_s = if self.is_ephemeral { limits.ephemeral_idle_s_max } else { limits.producer_idle_s_max };
        max_s.saturating_mul(1_000)
    }
}

fn texts_bytes(ack: &Ack) -> u64 {
    ack.rejections.iter().map(|(_, text)| (TEXT_OVERHEAD_BYTES + text.len()) as u64).sum()
}

/// All producers.
pub struct Producers {
    producers: BTreeMap<ProducerKey, Producer>,
    /// How many each holder has.
    held: HashMap<String, usize>,
    /// Of all texts that are kept.
    texts_bytes: u64,
    limits: IntakeLimits,
    /// How long hosts have run on the store.
    pub clock: RunClock,
    looked_ms: u64,
}

impl Producers {
    /// From what a store kept, ordered by sequence within each producer.
    pub fn load(marks: Vec<ProducerMark>, limits: &IntakeLimits, clock: RunClock) -> Self {
        let looked_ms = clock.now_ms();
        let mut producers = Self {
            producers: BTreeMap::new(),
            held: HashMap::new(),
            texts_bytes: 0,
            limits: limits.clone(),
            clock,
            looked_ms,
        };
        for mark in marks {
            producers.settle(mark);
        }
        producers
    }

    /// Returns where a producer stands.
    pub fn standing(&mut self, key: &ProducerKey) -> Standing {
        let now_ms = self.clock.now_ms();
        if let Some(known) = self.producers.get_mut(key) {
            known.used_ms = now_ms;
        }
        let Some(known) = self.known(key) else { return Standing::default() };
        let bookmark = known.answers.back().map(|answer| answer.bookmark.clone()).unwrap_or_default();
        Standing { last: known.last, bookmark }
    }

    /// Returns whether a batch is the next one or was taken already. Rejects a gap, another batch under a taken number, and
    /// a new producer where there is no room; a new one with room is admitted.
    pub fn expect(
        &mut self,
        key: &ProducerKey,
        sequence: u64,
        (digest, bookmark): (BatchDigest, &[u8]),
    ) -> Result<Expected, Refusal> {
        if !key.is_numbered() {
            return Ok(Expected::Next);
        }
        if sequence == 0 {
            return Err(Refusal::invalid("sequence", "0 is no number of a batch; a producer's first batch is 1"));
        }
        let now_ms = self.clock.now_ms();
        let known = self.known(key);
        let last = known.map_or(0, |known| known.last);
        if sequence > last {
            check_next(key, last, sequence)?;
            self.admit(key, last)?;
            return Ok(Expected::Next);
        }
        let answer = known.and_then(|known| known.answers.iter().find(|answer| answer.ack.sequence == sequence));
        let again = match answer {
            None => return Err(forgotten(key, sequence, self.limits.batches_in_flight_max)),
            Some(Answer { digest: None, .. }) => return Err(taken_before_digests(key, sequence, last)),
            Some(answer) => {
                check_same(key, sequence, (answer.digest, &answer.bookmark), (Some(digest), bookmark))?;
                answer.ack.clone()
            }
        };
        if let Some(known) = self.producers.get_mut(key) {
            known.used_ms = now_ms;
        }
        Ok(Expected::Again(again))
    }

    /// Keeps an answer. Returns what to write of it: the texts of rejections that are kept.
    pub fn settle(&mut self, mut mark: ProducerMark) -> ProducerMark {
        self.cut_texts(&mut mark.ack);
        self.texts_bytes += texts_bytes(&mark.ack);
        if !self.producers.contains_key(&mark.key) {
            *self.held.entry(mark.key.holder.clone()).or_default() += 1;
        }
        let known = self.producers.entry(mark.key.clone()).or_default();
        // Once a sender continues under an ephemeral id, the id is a name.
        known.is_ephemeral = mark.is_ephemeral && (known.is_ephemeral || known.answers.is_empty());
        known.last = known.last.max(mark.ack.sequence);
        known.taken_ms = mark.taken_ms;
        known.used_ms = known.used_ms.max(mark.ran_ms);
        let ProducerMark { ack, bookmark, digest, .. } = mark.clone();
        known.answers.push_back(Answer { ack, bookmark, digest });
        while known.answers.len() > self.limits.batches_in_flight_max {
            let gone = known.answers.pop_front();
            self.texts_bytes -= gone.map_or(0, |answer| texts_bytes(&answer.ack));
        }
        mark.is_ephemeral = known.is_ephemeral;
        mark
    }

    /// Removes a producer and returns it.
    pub fn remove(&mut self, key: &ProducerKey) -> Option<ProducerView> {
        let view = self.view(key, self.producers.get(key)?, false);
        self.producers.remove(key);
        self.texts_bytes -= view.texts_bytes;
        if let Some(held) = self.held.get_mut(&key.holder) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&key.holder);
            }
        }
        Some(view)
    }

    /// Returns whether it is time to look for idle producers: sooner if `arriving` is new and finds no room.
    pub fn is_look_due(&self, arriving: &ProducerKey) -> bool {
        let soonest_s = self.limits.ephemeral_idle_s_max.min(self.limits.producer_idle_s_max);
        let no_room = !self.producers.contains_key(arriving) && self.full(arriving).is_some();
        let every_ms = if no_room { LOOK_SOON_MS } else { LOOK_EVERY_MS };
        let since_ms = self.clock.now_ms().saturating_sub(self.looked_ms);
        since_ms >= every_ms.min(soonest_s.saturating_mul(1_000) / 4)
    }

    /// Removes producers that have been idle for too long, and returns their keys. Those in use are idle from now on.
    pub fn expire(&mut self, is_in_use: impl Fn(&ProducerKey) -> bool) -> Vec<ProducerKey> {
        let now_ms = self.clock.now_ms();
        self.looked_ms = now_ms;
        let mut over = Vec::new();
        for (key, producer) in &mut self.producers {
            if is_in_use(key) {
                producer.used_ms = now_ms;
            } else if now_ms.saturating_sub(producer.used_ms) > producer.idle_ms_max(&self.limits) {
                over.push(key.clone());
            }
        }
        over.iter().for_each(|key| drop(self.remove(key)));
        over
    }

    /// Returns producers in order of their keys: at most `count` of one holder or of all, after one of them.
    pub fn page(
        &self,
        holder: Option<&str>,
        after: Option<&ProducerKey>,
        count: usize,
        is_sending: impl Fn(&ProducerKey) -> bool,
    ) -> Vec<ProducerView> {
        let first = ProducerKey { holder: holder.unwrap_or_default().to_owned(), id: String::new() };
        let begin = match after {
            Some(after) if *after >= first => Bound::Excluded(after),
            _ => Bound::Included(&first),
        };
        self.producers
            .range::<ProducerKey, _>((begin, Bound::Unbounded))
            .take_while(|(key, _)| holder.is_none_or(|holder| key.holder == holder))
            .take(count)
            .map(|(key, producer)| self.view(key, producer, is_sending(key)))
            .collect()
    }

    fn view(&self, key: &ProducerKey, producer: &Producer, is_sending: bool) -> ProducerView {
        let idle_ms = if is_sending { 0 } else { self.clock.now_ms().saturating_sub(producer.used_ms) };
        ProducerView {
            key: key.clone(),
            last: producer.last,
            is_ephemeral: producer.is_ephemeral,
            taken_ms: producer.taken_ms,
            is_sending,
            idle_left_ms: producer.idle_ms_max(&self.limits).saturating_sub(idle_ms),
            texts_bytes: producer.texts_bytes(),
        }
    }

    /// Returns a producer, or what a store of an older format kept of its id. That had no holder, so each identity that
    /// gives the id continues from there.
    fn known(&self, key: &ProducerKey) -> Option<&Producer> {
        self.producers.get(key).or_else(|| {
            let before = self.producers.get(&ProducerKey { holder: String::new(), id: key.id.clone() })?;
            before.answers.back().is_some_and(|answer| answer.digest.is_none()).then_some(before)
        })
    }

    /// Admits a producer if it is new; `last` is the number it continues from.
    fn admit(&mut self, key: &ProducerKey, last: u64) -> Result<(), Refusal> {
        if self.producers.contains_key(key) {
            return Ok(());
        }
        if let Some((name, max)) = self.full(key) {
            let (id, idle_s) = (&key.id, self.limits.producer_idle_s_max);
            return Err(Refusal::Exhausted(format!(
                "producer_id: {id} is new, and intake.{name} ({max}) is reached; `weir producer list` shows those that \
                 are kept, `weir producer remove` forgets one, and each goes by itself once it has sent nothing for \
                 intake.producer_idle_s_max ({idle_s} s)"
            )));
        }
        *self.held.entry(key.holder.clone()).or_default() += 1;
        let used_ms = self.clock.now_ms();
        self.producers.insert(key.clone(), Producer { last, used_ms, ..Producer::default() });
        Ok(())
    }

    /// Returns the setting that leaves no room for another producer of a holder, and its value.
    fn full(&self, key: &ProducerKey) -> Option<(&'static str, usize)> {
        let held = self.held.get(&key.holder).copied().unwrap_or(0);
        let limits = [
            ("producers_max", self.limits.producers_max, self.producers.len()),
            ("identity_producers_max", self.limits.identity_producers_max, held),
        ];
        limits.into_iter().find(|(_, max, count)| count >= max).map(|(name, max, _)| (name, max))
    }

    /// Cuts the list of rejections to the first ones whose texts there is room for.
    fn cut_texts(&self, ack: &mut Ack) {
        let share = (self.limits.producer_texts_bytes_max / self.limits.batches_in_flight_max) as u64;
        let room = share.min(self.limits.texts_bytes_max.saturating_sub(self.texts_bytes));
        if texts_bytes(ack) <= room {
            return;
        }
        let mut used = 0;
        let fits = |(_, text): &&(u32, String)| {
            used += (TEXT_OVERHEAD_BYTES + text.len()) as u64;
            used <= room
        };
        // A new list: the old one would keep its capacity.
        ack.rejections = ack.rejections.iter().take_while(fits).cloned().collect();
    }
}

/// Rejects a batch that differs from the one that was taken under its number.
pub fn check_same(
    key: &ProducerKey,
    sequence: u64,
    taken: (Option<BatchDigest>, &[u8]),
    sent: (Option<BatchDigest>, &[u8]),
) -> Result<(), Refusal> {
    if taken == sent {
        return Ok(());
    }
    let field = if taken.0 == sent.0 { "bookmark" } else { "alerts" };
    let message = format!(
        "{field}: batch {sequence} of producer {} was taken with other {field}, so this is no resend of it and was not \
         taken; ask GetProducer for the last number and send it under the next, or under a producer_id of its own if \
         somebody else sends under this one",
        key.id
    );
    Err(Refusal::Taken { producer: key.id.clone(), sequence, message })
}

fn check_next(key: &ProducerKey, last: u64, sequence: u64) -> Result<(), Refusal> {
    if sequence == last + 1 {
        return Ok(());
    }
    let (id, expected) = (&key.id, last + 1);
    Err(Refusal::Precondition(format!("sequence: {sequence} of producer {id} leaves a gap; {expected} is next")))
}

fn forgotten(key: &ProducerKey, sequence: u64, kept: usize) -> Refusal {
    Refusal::Precondition(format!(
        "sequence: {sequence} of producer {} was taken before; its answer is no longer kept (the last {kept} are)",
        key.id
    ))
}

fn taken_before_digests(key: &ProducerKey, sequence: u64, last: u64) -> Refusal {
    Refusal::Precondition(format!(
        "sequence: {sequence} of producer {} was taken by an older version of this host, which did not keep what it held: \
         a resend of it cannot be told from another batch; go on with {}",
        key.id,
        last.saturating_add(1)
    ))
}

#[cfg(test)]
mod tests;
