use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::domain::Balance;

/// Producers, and the milliseconds that their host has run.
fn producers(marks: Vec<ProducerMark>, limits: &IntakeLimits) -> (Producers, Arc<AtomicU64>) {
    let ran = Arc::new(AtomicU64::new(0));
    let passed = Arc::clone(&ran);
    let clock = RunClock::after(0, Arc::new(move || Duration::from_millis(passed.load(Ordering::Relaxed))));
    (Producers::load(marks, limits, clock), ran)
}

fn key(holder: &str, id: &str) -> ProducerKey {
    ProducerKey { holder: holder.into(), id: id.into() }
}

fn digest(of: u64) -> BatchDigest {
    BatchDigest([of as u8; 16])
}

fn mark(key: &ProducerKey, sequence: u64) -> ProducerMark {
    ProducerMark {
        key: key.clone(),
        ack: Ack { sequence, ..Ack::default() },
        bookmark: vec![sequence as u8],
        digest: Some(digest(sequence)),
        taken_ms: 0,
        ran_ms: 0,
        is_ephemeral: false,
    }
}

/// What a store of an older format had of a producer.
fn of_before(id: &str, last: u64) -> ProducerMark {
    ProducerMark { digest: None, ..mark(&key("", id), last) }
}

fn limits() -> IntakeLimits {
    IntakeLimits { producers_max: 3, identity_producers_max: 2, batches_in_flight_max: 3, ..IntakeLimits::default() }
}

/// A batch as it should be.
fn expect(producers: &mut Producers, key: &ProducerKey, sequence: u64) -> Result<Expected, Refusal> {
    producers.expect(key, sequence, (digest(sequence), &[sequence as u8]))
}

/// Takes a producer's next batch.
fn take(producers: &mut Producers, mark: ProducerMark) -> ProducerMark {
    let next = expect(producers, &mark.key, mark.ack.sequence);
    assert_eq!(next, Ok(Expected::Next), "{mark:?}");
    producers.settle(mark)
}

#[test]
fn resends_are_answered_gaps_and_the_forgotten_refused() {
    let p = key("a", "p");
    let (mut producers, _) = producers((1..=5).map(|sequence| mark(&p, sequence)).collect(), &limits());
    assert_eq!(expect(&mut producers, &p, 6), Ok(Expected::Next));
    assert_eq!(expect(&mut producers, &p, 4), Ok(Expected::Again(mark(&p, 4).ack)));
    assert!(matches!(expect(&mut producers, &p, 2), Err(Refusal::Precondition(why)) if why.contains("no longer kept")));
    assert!(matches!(expect(&mut producers, &p, 7), Err(Refusal::Precondition(why)) if why.contains("6 is next")));
    assert!(matches!(expect(&mut producers, &p, 0), Err(Refusal::Invalid { .. })));
    assert_eq!(expect(&mut producers, &key("a", ""), 99), Ok(Expected::Next), "nobody numbers these");
    producers.settle(mark(&p, 6));
    assert_eq!(producers.standing(&p), Standing { last: 6, bookmark: vec![6] });
    assert_eq!(producers.standing(&key("a", "q")), Standing::default());
}

#[test]
fn another_batch_under_a_taken_number_is_refused_and_says_what_to_do() {
    let p = key("a", "p");
    let (mut producers, _) = producers((1..=5).map(|sequence| mark(&p, sequence)).collect(), &limits());
    for (digest, bookmark, field) in
        [(digest(9), &[4_u8][..], "alerts: "), (digest(4), &[5], "bookmark: "), (digest(9), &[], "alerts: ")]
    {
        let refused = producers.expect(&p, 4, (digest, bookmark));
        let Err(Refusal::Taken { producer, sequence, message }) = refused else { panic!("{refused:?}") };
        assert_eq!((producer.as_str(), sequence), ("p", 4));
        assert!(message.starts_with(field) && message.contains("GetProducer"), "{message}");
    }
    assert_eq!(expect(&mut producers, &p, 4), Ok(Expected::Again(mark(&p, 4).ack)), "the batch itself is answered");
}

#[test]
fn identities_never_meet_whatever_ids_they_give() {
    let (a, b) = (key("a", "p"), key("b", "p"));
    let (mut producers, _) = producers(vec![mark(&a, 1), mark(&a, 2)], &limits());
    take(&mut producers, ProducerMark { digest: Some(digest(77)), ..mark(&b, 1) });
    assert_eq!(producers.standing(&a).last, 2);
    assert_eq!(producers.standing(&b).last, 1);
    assert!(matches!(expect(&mut producers, &b, 3), Err(Refusal::Precondition(_))));
}

/// What is not known to be a resend is not taken for one: an ack of it could lose alerts.
#[test]
fn numbers_of_before_digests_are_never_answered_and_everybody_goes_on_from_them() {
    let (a, local) = (key("a", "p"), key("", "p"));
    let (mut producers, _) = producers(vec![of_before("p", 57)], &limits());
    for of in [&a, &local] {
        assert_eq!(producers.standing(of), Standing { last: 57, bookmark: vec![57] });
        let refused = expect(&mut producers, of, 57);
        assert!(matches!(&refused, Err(Refusal::Precondition(why)) if why.ends_with("go on with 58")), "{refused:?}");
        assert!(expect(&mut producers, of, 56).is_err() && expect(&mut producers, of, 59).is_err());
    }
    take(&mut producers, mark(&a, 58));
    assert_eq!((producers.standing(&a).last, producers.standing(&local).last), (58, 57), "each goes on alone");
    assert_eq!(producers.standing(&key("b", "p")).last, 57);
    take(&mut producers, mark(&local, 58));
    assert_eq!(producers.standing(&key("b", "p")).last, 0, "it is no longer of before: it has a holder");
}

#[test]
fn a_producer_too_many_is_told_the_way_out() {
    let (mut producers, _) = producers(vec![mark(&key("a", "1"), 1), mark(&key("a", "2"), 1)], &limits());
    let refused = |producers: &mut Producers, key: &ProducerKey| match expect(producers, key, 1) {
        Err(Refusal::Exhausted(why)) => why,
        other => panic!("{other:?}"),
    };
    let own = refused(&mut producers, &key("a", "3"));
    assert!(own.contains("intake.identity_producers_max (2) is reached"), "{own}");
    for words in ["`weir producer list`", "`weir producer remove`", "intake.producer_idle_s_max (2592000 s)"] {
        assert!(own.contains(words), "{own}");
    }
    // A place is taken as soon as it is given, so that one group cannot take more than there are.
    assert_eq!(expect(&mut producers, &key("b", "1"), 1), Ok(Expected::Next));
    assert!(refused(&mut producers, &key("c", "1")).contains("intake.producers_max (3) is reached"));
    producers.remove(&key("a", "1")).unwrap();
    assert_eq!(expect(&mut producers, &key("c", "1"), 1), Ok(Expected::Next));
    assert_eq!(expect(&mut producers, &key("a", "2"), 2), Ok(Expected::Next), "who is there goes on");
}

#[test]
fn the_idle_go_by_age_and_never_those_in_use() {
    const DAY_MS: u64 = 86_400_000;
    let limits = IntakeLimits::default();
    let (named, run, open) = (key("a", "named"), key("a", "run"), key("a", "open"));
    let marks = vec![
        mark(&named, 1),
        ProducerMark { is_ephemeral: true, ..mark(&open, 1) },
        ProducerMark { is_ephemeral: true, ..mark(&run, 1) },
    ];
    let (mut producers, ran) = producers(marks, &limits);
    let sending = |key: &ProducerKey| *key == open;
    assert!(!producers.is_look_due(&named));
    ran.store(2 * 3_600_000, Ordering::Relaxed);
    assert!(producers.is_look_due(&named));
    assert_eq!(producers.expire(sending), [], "both are just within their time");
    ran.store(2 * 3_600_000 + 1, Ordering::Relaxed);
    assert_eq!(producers.expire(sending), [run]);
    ran.store(29 * DAY_MS, Ordering::Relaxed);
    assert_eq!(producers.expire(sending), []);
    // Asking where it stands is use.
    assert_eq!(producers.standing(&named).last, 1);
    ran.store(59 * DAY_MS, Ordering::Relaxed);
    assert_eq!(producers.expire(sending), []);
    ran.store(59 * DAY_MS + 1, Ordering::Relaxed);
    assert_eq!(producers.expire(sending), std::slice::from_ref(&named));
    // A stream that ends starts the time anew.
    assert_eq!(producers.expire(|_| false), []);
    ran.store(59 * DAY_MS + 2 * 3_600_000 + 2, Ordering::Relaxed);
    assert_eq!(producers.expire(|_| false), [open]);
    assert_eq!(producers.standing(&named), Standing::default());
}

#[test]
fn time_without_a_host_makes_nobody_old() {
    let p = key("a", "p");
    let passed = Arc::new(AtomicU64::new(0));
    let clock = {
        let passed = Arc::clone(&passed);
        // A machine's clock of passed time begins anywhere.
        RunClock::after(5_000, Arc::new(move || Duration::from_millis(1 << 40 | passed.load(Ordering::Relaxed))))
    };
    let mut producers = Producers::load(vec![ProducerMark { ran_ms: 4_000, ..mark(&p, 1) }], &limits(), clock);
    passed.store(30 * 86_400_000 - 1_000, Ordering::Relaxed);
    assert_eq!(producers.expire(|_| false), []);
    passed.store(30 * 86_400_000 - 999, Ordering::Relaxed);
    assert_eq!(producers.expire(|_| false), [p]);
}

#[test]
fn who_goes_on_under_the_id_of_a_run_keeps_it() {
    let p = key("a", "p");
    let ephemeral = |sequence| ProducerMark { is_ephemeral: true, ..mark(&p, sequence) };
    let (mut producers, _) = producers(vec![ephemeral(1)], &limits());
    assert!(take(&mut producers, ephemeral(2)).is_ephemeral);
    assert!(!take(&mut producers, mark(&p, 3)).is_ephemeral);
    assert!(!take(&mut producers, ephemeral(4)).is_ephemeral);
}

#[test]
fn pages_have_every_producer_once_in_order() {
    let limits = IntakeLimits::default();
    let keys: Vec<ProducerKey> =
        ["", "a", "b"].iter().flat_map(|holder| ["p", "q", "r"].map(|id| key(holder, id))).collect();
    let (producers, _) = producers(keys.iter().map(|key| mark(key, 1)).collect(), &limits);
    let listed = |holder: Option<&str>| {
        let mut found: Vec<ProducerKey> = Vec::new();
        loop {
            let page = producers.page(holder, found.last(), 2, |key| key.id == "q");
            assert!(page.iter().all(|view| view.is_sending == (view.key.id == "q")));
            if page.is_empty() {
                return found;
            }
            found.extend(page.into_iter().map(|view| view.key));
        }
    };
    assert_eq!(listed(None), keys);
    assert_eq!(listed(Some("a")), keys[3..6]);
    assert_eq!(listed(Some("c")), []);
    assert_eq!(producers.page(Some("b"), Some(&keys[0]), 9, |_| false).len(), 3, "a token of elsewhere skips nothing");
}

/// A full answer: as many rejections as one lists, each text of ordinary length.
fn full(key: &ProducerKey, sequence: u64) -> ProducerMark {
    let rejections = (0..100).map(|index| (index, format!("code: {:0250} is no alert code", index))).collect();
    let balance = Balance { rejected: 100, ..Balance::default() };
    ProducerMark { ack: Ack { sequence, balance, rejections, ..Ack::default() }, ..mark(key, sequence) }
}

#[test]
fn an_answer_over_the_bound_keeps_its_counts_and_its_first_texts() {
    let limits = IntakeLimits { producer_texts_bytes_max: 3 * 1_000, texts_bytes_max: 4_000, ..limits() };
    let (p, q) = (key("a", "p"), key("a", "q"));
    let (mut producers, _) = producers(Vec::new(), &limits);
    let kept = |producers: &mut Producers, key: &ProducerKey, sequence| {
        let written = take(producers, full(key, sequence));
        let again = expect(producers, key, sequence);
        assert_eq!(again, Ok(Expected::Again(written.ack.clone())), "what is written is what is answered");
        assert_eq!(written.ack.balance.rejected, 100);
        assert_eq!(written.ack.rejections[..], full(key, sequence).ack.rejections[..written.ack.rejections.len()]);
        written.ack.rejections.len()
    };
    // 305 bytes each: three within a third of 3,000 bytes.
    assert_eq!([1, 2, 3, 4].map(|sequence| kept(&mut producers, &p, sequence)), [3; 4]);
    assert_eq!(producers.texts_bytes, 9 * 305, "those of the oldest are gone with it");
    assert_eq!([1, 2].map(|sequence| kept(&mut producers, &q, sequence)), [3, 1], "of all there are 4,000 bytes");
    producers.remove(&p).unwrap();
    assert_eq!(kept(&mut producers, &q, 3), 3);
    producers.remove(&q).unwrap();
    assert_eq!(producers.texts_bytes, 0);
}

/// What issue 16 measured as 8 GB.
#[test]
fn ten_thousand_producers_with_full_answers_stay_small() {
    let limits = IntakeLimits::default();
    let (mut producers, _) = producers(Vec::new(), &limits);
    let mut offered: u64 = 0;
    for producer in 0..limits.producers_max {
        let key =
            key(&format!("identity-{}", producer / limits.identity_producers_max), &format!("head-end-{producer}"));
        // Reused, so that the test takes no longer than it must.
        let first = full(&key, 1);
        offered += 32 * texts_bytes(&first.ack);
        for sequence in 1..=limits.batches_in_flight_max as u64 {
            let ack = Ack { sequence, rejections: first.ack.rejections[..8].to_vec(), ..first.ack.clone() };
            take(&mut producers, ProducerMark { ack, bookmark: vec![0; 25], ..mark(&key, sequence) });
        }
    }
    let answers = producers.producers.values().map(|producer| producer.answers.len() as u64).sum::<u64>();
    let beside = answers * (size_of::<Answer>() as u64 + 32);
    let (texts, whole) = (producers.texts_bytes, producers.texts_bytes + beside);
    println!("{answers} answers: {texts} bytes of texts of {offered}, {beside} beside them, {whole} in all");
    assert_eq!(answers, 320_000);
    assert!(texts <= limits.texts_bytes_max && whole < 160 << 20, "{whole} bytes");
    assert!(offered > 8 << 30, "as many as were measured: {offered}");
}
