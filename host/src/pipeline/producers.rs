//! Producers: what each sent last, and what it was told, so that a resend is answered and not taken twice.
//!
//! It must not know alerts. Invariant: sequences of a producer have no gap, and the last `acks_kept` answers are there
//! with the bookmarks they were given for.

use std::collections::{HashMap, VecDeque};

use crate::{
    domain::{Ack, ProducerMark},
    pipeline::refusal::Refusal,
};

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

#[derive(Debug, Default)]
struct Producer {
    last: u64,
    marks: VecDeque<ProducerMark>,
}

/// All producers.
#[derive(Debug)]
pub struct Producers {
    producers: HashMap<String, Producer>,
    producers_max: usize,
    acks_kept: usize,
}

impl Producers {
    /// From what a store kept, ordered by sequence within each producer.
    pub fn load(marks: Vec<ProducerMark>, producers_max: usize, acks_kept: usize) -> Self {
        let mut producers = Self { producers: HashMap::new(), producers_max, acks_kept };
        for mark in marks {
            producers.settle(&mark);
        }
        producers
    }

    /// Where a producer stands.
    pub fn standing(&self, producer: &str) -> Standing {
        let Some(known) = self.producers.get(producer) else { return Standing::default() };
        let bookmark = known.marks.back().map(|mark| mark.bookmark.clone()).unwrap_or_default();
        Standing { last: known.last, bookmark }
    }

    /// Whether a batch is the next one, or was taken already. One that was taken with another bookmark is another batch.
    pub fn expect(&self, producer: &str, sequence: u64, bookmark: &[u8]) -> Result<Expected, Refusal> {
        if producer.is_empty() {
            return Ok(Expected::Next);
        }
        if sequence == 0 {
            return Err(Refusal::invalid("sequence", "0 is no number of a batch; a producer's first batch is 1"));
        }
        let Some(known) = self.producers.get(producer) else {
            if self.producers.len() >= self.producers_max {
                let message =
                    format!("producer_id: {producer} is new, and producers_max ({}) is reached", self.producers_max);
                return Err(Refusal::Exhausted(message));
            }
            return next(producer, 0, sequence);
        };
        if sequence > known.last {
            return next(producer, known.last, sequence);
        }
        match known.marks.iter().find(|mark| mark.ack.sequence == sequence) {
            Some(mark) if mark.bookmark != bookmark => Err(another(producer, sequence)),
            Some(mark) => Ok(Expected::Again(mark.ack.clone())),
            None => Err(Refusal::Precondition(format!(
                "sequence: {sequence} of producer {producer} was taken before; its answer is no longer kept (the last {} are)",
                self.acks_kept
            ))),
        }
    }

    /// Notes what a producer was told.
    pub fn settle(&mut self, mark: &ProducerMark) {
        let known = self.producers.entry(mark.producer.clone()).or_default();
        known.last = known.last.max(mark.ack.sequence);
        known.marks.push_back(mark.clone());
        while known.marks.len() > self.acks_kept {
            known.marks.pop_front();
        }
    }
}

/// Two batches of one number.
pub fn another(producer: &str, sequence: u64) -> Refusal {
    Refusal::Precondition(format!(
        "bookmark: {sequence} of producer {producer} was taken with another one, so somebody else sends under this name; \
         ask where it stands and go on from there"
    ))
}

fn next(producer: &str, last: u64, sequence: u64) -> Result<Expected, Refusal> {
    if sequence == last + 1 {
        return Ok(Expected::Next);
    }
    let expected = last + 1;
    Err(Refusal::Precondition(format!("sequence: {sequence} of producer {producer} leaves a gap; {expected} is next")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(sequence: u64) -> ProducerMark {
        ProducerMark { producer: "p".into(), ack: Ack { sequence, ..Ack::default() }, bookmark: vec![sequence as u8] }
    }

    #[test]
    fn resends_are_answered_gaps_and_the_forgotten_refused() {
        let mut producers = Producers::load((1..=5).map(mark).collect(), 1, 3);
        assert_eq!(producers.expect("p", 6, &[6]), Ok(Expected::Next));
        assert_eq!(producers.expect("p", 4, &[4]), Ok(Expected::Again(mark(4).ack)));
        assert!(
            matches!(producers.expect("p", 4, &[5]), Err(Refusal::Precondition(why)) if why.starts_with("bookmark: 4"))
        );
        assert!(matches!(producers.expect("p", 2, &[2]), Err(Refusal::Precondition(_))));
        assert!(matches!(producers.expect("p", 7, &[7]), Err(Refusal::Precondition(_))));
        assert!(matches!(producers.expect("p", 0, &[0]), Err(Refusal::Invalid { .. })));
        assert!(matches!(producers.expect("q", 1, &[]), Err(Refusal::Exhausted(_))));
        assert_eq!(producers.expect("", 99, &[]), Ok(Expected::Next));
        producers.settle(&mark(6));
        assert_eq!(producers.standing("p"), Standing { last: 6, bookmark: vec![6] });
        assert_eq!(producers.standing("q"), Standing::default());
    }
}
