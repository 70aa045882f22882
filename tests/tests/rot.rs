//! A disk that changes a bit: a host that is then started and asked everything answers as before, or says what of its
//! store is damaged. It never answers otherwise, never panics, and never fails only at a later commit.

use std::{
    fmt::Debug,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use weir_host::{
    books::{CountQuery, Grouping},
    config::Config,
    domain::{AuditEntry, AuditEvent, Effects, Eui64, Position, Revision, Role, SenderLimits},
    listing::AlertQuery,
    pipeline::{
        Batch, DevicesQuery, Handle, InventoryQuery, NewToken, Refusal, Runner, Status, SubscribeRequest,
        VariantRequest, WhatIfRequest,
    },
    store::Store,
    whatif::{Verdict, Verification},
};
use weir_tests::{
    disk::Disk,
    engine::{self, perform},
    hostile::probe,
    workload::{Random, Size, plain, steps},
};

const SIZE: Size = Size { steps: 30, devices: 1_500, batch: 60 };
/// Alerts are listed and explained as far as this.
const EXPLAINED: u64 = 40;

/// A question, and what it was answered: the answer as text, or why there is none.
type Answers = Vec<(String, Result<String, String>)>;

/// Asks everything that there is to ask.
async fn ask(handle: &Handle) -> Answers {
    fn said<T: Debug>(answer: Result<T, Refusal>) -> Result<String, String> {
        answer.map(|answer| format!("{answer:?}")).map_err(|refusal| refusal.to_string())
    }
    let mut answers: Answers = Vec::new();
    let mut note = |question: String, answer| answers.push((question, answer));
    note("list".into(), said(handle.alerts(&AlertQuery { page_size: 1_000_000, ..AlertQuery::default() })));
    let groupings = [
        vec![],
        vec![Grouping::Hour, Grouping::Code],
        vec![Grouping::Rule, Grouping::Model],
        vec![Grouping::Operator, Grouping::Generation],
        vec![Grouping::Rejection],
    ];
    for group_by in groupings {
        let query = CountQuery { group_by: group_by.clone(), ..CountQuery::default() };
        note(format!("count by {group_by:?}"), said(handle.counts(&query)));
    }
    note("rules".into(), said(Ok(handle.rules())));
    for name in ["hold", "every", "hostile", "beside"] {
        note(format!("history of {name}"), said(handle.history(name, Revision(u32::MAX), 1_000)));
    }
    for device in (1..=SIZE.devices).step_by(37) {
        note(format!("device {device}"), said(handle.device(Eui64(device)).await));
    }
    note("devices".into(), said(handle.devices(&DevicesQuery { devices_max: 10_000, ..DevicesQuery::default() })));
    note("inventory".into(), said(handle.inventory(&InventoryQuery::default())));
    note("plugins".into(), said(Ok(handle.plugins())));
    note("tokens".into(), said(Ok(handle.tokens())));
    note("audit".into(), said(handle.audit(1, 10_000)));
    note("audit verify".into(), said(handle.verify_audit()));
    for producer in ["producer-0", "producer-1", "producer-2"] {
        note(producer.into(), said(handle.producer(producer).await));
    }
    note("cursors".into(), said(handle.cursors()));
    note("questions".into(), said(Ok(handle.questions().iter().map(|view| view.head.clone()).collect::<Vec<_>>())));
    for number in 1..=2 {
        note(format!("answer {number}"), said(handle.what_if(number).map(|(view, answer)| (view.head, answer))));
    }
    for position in (0..EXPLAINED).step_by(7) {
        note(format!("explain {position}"), said(handle.explain_alert(Position(position))));
    }
    answers
}

/// A host over a disk that has something in every table.
async fn fill(disk: &Disk) {
    let (handle, runner) = engine::start(disk, config()).unwrap();
    handle.add_plugin(probe(&[]), &[]).await.unwrap();
    for step in &steps(16, SIZE) {
        perform(&handle, step).await.unwrap();
    }
    let token = NewToken {
        name: "control-room".into(),
        role: Role::Reader,
        sender: SenderLimits::default(),
        lifetime_ms: 86_400_000,
    };
    handle.create_token(token).await.unwrap();
    let cursor = SubscribeRequest { cursor: Some("grid".into()), ..SubscribeRequest::default() };
    drop(handle.subscribe(cursor).await.unwrap());
    handle.advance_cursor("grid", Position(9)).await.unwrap();
    let variant = VariantRequest { parameters: Some(r#"{"n":32788}"#.into()), ..VariantRequest::default() };
    let question = WhatIfRequest { rule: "hold".into(), variants: vec![variant], ..WhatIfRequest::default() };
    handle.start_what_if(question, None).await.unwrap();
    while handle.question(1).unwrap().head.ended_ms.is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    stop(handle, runner).await;
}

/// One more batch, whose devices are old and new.
async fn go_on(handle: &Handle) -> Result<(), Refusal> {
    let alerts = (1..=200).map(|device| Ok(plain(device * 8, 1_000_000, 0x8F40))).collect();
    let answer = handle.submit(Batch { alerts, ..Batch::default() }).await?;
    answer.await.map_err(|_| handle.unavailable())?.map(drop)
}

async fn stop(handle: Handle, runner: Runner) {
    let _ = handle.shutdown().await;
    runner.join();
}

fn config() -> Config {
    let mut config = engine::config();
    config.plugins.upload_bytes_max = 1 << 20;
    config
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Every answer is as it was.
    Same,
    /// What was damaged was made again, and every answer is as it was.
    MadeAgain,
    /// The damage was named: at the start, or to those who asked for what is damaged.
    Named,
}

/// Whether a text names damage of the store and where it is.
fn names_damage(text: &str) -> bool {
    (text.contains("the store is damaged at table") && text.contains(", key "))
        || text.contains("the store's file is damaged")
        || text.contains("the store has format")
}

/// Checks answers against those of a sound store. True if all are the same.
fn compare(found: &Answers, sound: &Answers) -> bool {
    let mut same = true;
    for ((question, found), (_, sound)) in found.iter().zip(sound) {
        match found {
            Err(why) if found != sound => {
                assert!(names_damage(why), "{question}: {why}");
                same = false;
            }
            answer => assert_eq!(answer, sound, "{question} has another answer"),
        }
    }
    same
}

/// What a sound store answers: at once, and after one more batch.
struct Sound {
    before: Answers,
    after: Answers,
}

async fn outcome(disk: &Disk, sound: &Sound) -> Outcome {
    let (handle, runner) = match engine::start(disk, config()) {
        Ok(started) => started,
        Err(error) => {
            assert!(names_damage(&error.to_string()), "{error}");
            return Outcome::Named;
        }
    };
    let again = handle.watched().figures.store_values_rebuilt > 0;
    let mut same = compare(&ask(&handle).await, &sound.before);
    match go_on(&handle).await {
        Ok(()) => same &= compare(&ask(&handle).await, &sound.after),
        Err(_) => {
            let status = handle.status().borrow().clone();
            assert!(matches!(&status, Status::Stopped(why) if names_damage(why)), "{status:?}");
            same = false;
        }
    }
    stop(handle, runner).await;
    if same {
        let (handle, runner) = engine::start(disk, config()).unwrap();
        assert!(compare(&ask(&handle).await, &sound.after), "after another start");
        stop(handle, runner).await;
    }
    match (same, again) {
        (false, _) => Outcome::Named,
        (true, true) => Outcome::MadeAgain,
        (true, false) => Outcome::Same,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A filled disk, and what a sound store on it answers.
fn filled() -> (Disk, Sound) {
    let disk = Disk::default();
    let sound = runtime().block_on(async {
        fill(&disk).await;
        let sound = disk.copy();
        let (handle, runner) = engine::start(&sound, config()).unwrap();
        let before = ask(&handle).await;
        go_on(&handle).await.unwrap();
        let after = ask(&handle).await;
        stop(handle, runner).await;
        Sound { before, after }
    });
    (disk, sound)
}

/// `WEIR_FLIPS` is how many bits are flipped, one at a time, `WEIR_FLIPS_SEED` which; a failure prints the bit.
#[test]
fn a_flipped_bit_is_named_or_changes_nothing() {
    let number = |name: &str, otherwise: u64| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let (flips, seed) = (number("WEIR_FLIPS", 25), number("WEIR_FLIPS_SEED", 1_607));
    let (disk, sound) = filled();
    let live = disk.live_bytes();
    let mut random = Random::new(seed);
    let mut outcomes = Vec::new();
    for _ in 0..flips {
        let bit = live[random.below(live.len() as u64) as usize] * 8 + random.below(8) as usize;
        let damaged = disk.copy();
        damaged.flip(bit);
        let run = AssertUnwindSafe(|| runtime().block_on(outcome(&damaged, &sound)));
        outcomes.push(catch_unwind(run).unwrap_or_else(|_| panic!("seed {seed}: bit {bit} is not answered for")));
    }
    let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    let (named, again, same) = (count(Outcome::Named), count(Outcome::MadeAgain), count(Outcome::Same));
    println!(
        "seed {seed}: {flips} bits of {} live bytes: {named} named, {again} made again, {same} harmless",
        live.len()
    );
    assert!(named > 0, "{outcomes:?}");
}

/// A page of devices, an hour of the books and a head of the log are made again; `weir verify` finds nothing then.
#[test]
fn what_follows_from_the_log_is_made_again() {
    let (disk, sound) = filled();
    for table in ["page", "hour", "head"] {
        let damaged = disk.copy();
        damaged.spoil(table);
        runtime().block_on(async {
            let (handle, runner) = engine::start(&damaged, config()).unwrap();
            assert!(handle.watched().figures.store_values_rebuilt > 0, "{table}");
            assert!(compare(&ask(&handle).await, &sound.before), "{table}");
            go_on(&handle).await.unwrap();
            assert!(compare(&ask(&handle).await, &sound.after), "{table}");
            let verification = verified(&handle);
            assert_eq!(verification.verdict, Some(Verdict::Same), "{table}: {verification:?}");
            stop(handle, runner).await;
        });
        let (handle, runner) = engine::start(&damaged, config()).unwrap();
        assert_eq!(handle.watched().figures.store_values_rebuilt, 0, "{table}: it was written");
        runtime().block_on(stop(handle, runner));
    }
}

/// An entry that was rewritten with a checksum of its own is sound as a value, and breaks the chain.
#[test]
fn a_rewritten_entry_of_the_audit_log_is_named() {
    let (disk, _) = filled();
    let limits = config().store;
    let mut store = Store::with_backend(disk.clone(), &limits, 1).unwrap();
    let snapshot = store.load().unwrap();
    let last = snapshot.audit_last.expect("filling it was noted");
    let number = last.number + 1;
    let event = AuditEvent::new("nobody", "token.create", "a token that nobody made", "");
    let forged = AuditEntry { number, event, ..last };
    store.commit(&Effects { audit: vec![forged], position: snapshot.position, ..Effects::default() }).unwrap();
    store.close().unwrap();
    runtime().block_on(async {
        let (handle, runner) = engine::start(&disk, config()).unwrap();
        let verification = verified(&handle);
        assert_eq!(verification.verdict, Some(Verdict::Damaged), "{verification:?}");
        assert_eq!(verification.damage.len(), 1, "{verification:?}");
        assert!(
            verification.damage[0].starts_with(&format!("table audit, key {number}: its hash")),
            "{verification:?}"
        );
        assert_eq!(handle.verify_audit().unwrap().1.map(|broken| broken.number), Some(number));
        stop(handle, runner).await;
    });
}

/// Verifies everything and waits for the end of it.
fn verified(handle: &Handle) -> Verification {
    handle.start_verification(None, None).unwrap();
    loop {
        let (verification, _) = handle.verification().unwrap();
        if verification.ended_ms.is_some() {
            return verification;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
