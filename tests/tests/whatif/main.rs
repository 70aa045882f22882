//! What-if over the past: what it says would change is what does change where another engine is run from scratch with
//! the candidate; nothing changes where nothing is changed; it can be cancelled, survives restarts, and repeats itself.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use weir_host::{
    domain::{End, FaultKind, OperatorId, Scope},
    listing::{AlertQuery, LoggedAlert},
    pipeline::{Batch, Handle, QuestionView, Refusal, RuleRequest, Runner, Stage, VariantRequest, WhatIfRequest},
    whatif::{Answer, Key, Outcome, Sums, Turned},
};
use weir_tests::{
    disk::Disk,
    engine::{self, perform, rule},
    workload::{CODES, FRAIL, NOW_MS, Size, Step, plain, steps},
};

const SIZE: Size = Size { steps: 60, devices: 40, batch: 60 };

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn config() -> weir_host::config::Config {
    let mut config = engine::config();
    config.whatif.cpu_percent_max = 100;
    config.whatif.threads_max = 3;
    config
}

fn start(disk: &Disk) -> (Handle, Runner) {
    engine::start(disk, config()).unwrap()
}

async fn stop(handle: Handle, runner: Runner) {
    handle.shutdown().await.unwrap();
    runner.join();
}

/// The whole log.
fn log(handle: &Handle) -> Vec<LoggedAlert> {
    handle.alerts(&AlertQuery { page_size: 1_000_000, ..AlertQuery::default() }).unwrap().alerts
}

/// Waits until a question is over.
fn wait(handle: &Handle, number: u64) -> (QuestionView, Option<Answer>) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let (view, answer) = handle.what_if(number).unwrap();
        if view.head.stage.is_over() {
            return (view, answer);
        }
        assert!(Instant::now() < until, "it is not over after a minute: {view:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

async fn ask(handle: &Handle, request: WhatIfRequest) -> (QuestionView, Answer) {
    let started = handle.start_what_if(request, None).await.unwrap();
    let (view, answer) = wait(handle, started.number);
    let why = view.head.why.clone();
    (view, answer.unwrap_or_else(|| panic!("no answer: {why}")))
}

/// A question about a rule with other parameters.
fn what_if(rule: &str, n: u64) -> WhatIfRequest {
    let variant = VariantRequest { parameters: Some(format!("{{\"n\":{n}}}")), ..VariantRequest::default() };
    WhatIfRequest { samples_max: 5, devices_max: 5, ..request(rule, vec![variant]) }
}

fn request(rule: &str, variants: Vec<VariantRequest>) -> WhatIfRequest {
    WhatIfRequest { rule: rule.into(), variants, samples_max: 5, devices_max: 5, ..WhatIfRequest::default() }
}

/// Where the candidate stands, as the other engine has it.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In place of `hold`, which has no state and stands first.
    Hold(u16),
    /// In place of `every`, which has state and stands last.
    Every(u64),
    /// Beside them, with state, between them.
    Beside(u64),
}

impl Place {
    fn request(self) -> WhatIfRequest {
        let (name, plugin, n, order) = match self {
            Self::Hold(code) => ("hold", "hold", u64::from(code), 1),
            Self::Every(n) => ("every", "every", n, 3),
            Self::Beside(n) => ("extra", "every", n, 2),
        };
        // The rule may be gone at the end of the log: then the question has to say all of it.
        let mut request = what_if(name, n);
        request.variants[0].plugin = Some(plugin.into());
        WhatIfRequest { order: Some(order), ..request }
    }

    fn rule(self) -> RuleRequest {
        match self {
            Self::Hold(code) => rule("hold", u64::from(code), 1),
            Self::Every(n) => rule("every", n, 3),
            Self::Beside(n) => RuleRequest { name: "extra".into(), plugin: "every".into(), ..rule("every", n, 2) },
        }
    }

    /// Whether a step is one that the candidate stands for.
    fn replaces(self, step: &Step) -> bool {
        matches!((self, step), (Self::Hold(_), Step::Hold(_)) | (Self::Every(_), Step::Every(_) | Step::RemoveEvery))
    }
}

/// What two logs of the same alerts differ in, as far as a question asks.
fn difference(ours: &[LoggedAlert], theirs: &[LoggedAlert], wanted: impl Fn(&LoggedAlert) -> bool) -> Found {
    assert_eq!(ours.len(), theirs.len());
    let mut found = Found::default();
    for (now, then) in ours.iter().zip(theirs) {
        assert_eq!((now.position, now.alert), (then.position, then.alert));
        if !wanted(now) {
            continue;
        }
        if now.end == End::Duplicate {
            found.duplicates += 1;
            continue;
        }
        let protected = now.end == End::Forwarded && then.overruled;
        let count = |turned: &mut Turned| match (now.end, then.end) {
            (End::Forwarded, End::Suppressed) => turned.newly_suppressed += 1,
            (End::Suppressed, End::Forwarded) => turned.newly_forwarded += 1,
            (End::Forwarded, _) => turned.both_forward += 1,
            _ => turned.both_suppress += 1,
        };
        count(&mut found.turned);
        for key in keys(now) {
            count(found.by.entry(key).or_default());
        }
        found.overruled += u64::from(protected);
        found.withheld += u64::from(then.withheld);
        let weights = if then.end == End::Forwarded { &mut found.weight.0 } else { &mut found.weight.1 };
        *weights += u64::from(now.alert.weight);
        if now.end != then.end {
            *found.devices.entry(now.alert.device.0).or_default() += 1;
        }
    }
    found
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    turned: Turned,
    by: BTreeMap<Key, Turned>,
    duplicates: u64,
    overruled: u64,
    withheld: u64,
    weight: (u64, u64),
    devices: BTreeMap<u64, u64>,
}

fn keys(alert: &LoggedAlert) -> [Key; 6] {
    const HOUR_MS: i64 = 3_600_000;
    let received_ms = alert.alert.received_ms.unwrap();
    [
        Key::Code(alert.alert.code.0),
        Key::Operator(alert.operator.get()),
        Key::Generation(alert.generation as u8),
        Key::Model(alert.model.clone()),
        Key::Day(received_ms / (24 * HOUR_MS) * 24 * HOUR_MS),
        Key::Hour(received_ms / HOUR_MS * HOUR_MS),
    ]
}

/// Compares an answer with a difference. What the candidate was overruled on is part of what both forward there.
fn same(outcome: &Outcome, found: &Found, context: &str) {
    let merged =
        |turned: Turned| Turned { both_forward: turned.both_forward + turned.overruled, overruled: 0, ..turned };
    assert_eq!(merged(outcome.turned), found.turned, "{context}: total");
    let by: BTreeMap<Key, Turned> = outcome.rows.iter().map(|row| (row.key.clone(), merged(row.turned))).collect();
    assert_eq!(by, found.by, "{context}: by key");
    assert_eq!((outcome.then.forwarded_represented, outcome.then.suppressed_represented), found.weight, "{context}");
    if let Some(withheld) = outcome.then.withheld {
        assert_eq!(withheld, found.withheld, "{context}: withheld");
    }
    assert_eq!(outcome.devices_changed, found.devices.len() as u64, "{context}: devices");
    let most = |devices: Vec<u64>| devices.into_iter().take(5).collect::<Vec<_>>();
    let mut expected: Vec<u64> = found.devices.values().copied().collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let listed: Vec<u64> = outcome.devices.iter().map(|d| d.newly_suppressed + d.newly_forwarded).collect();
    assert_eq!(most(listed), most(expected), "{context}: devices that change most");
    for device in &outcome.devices {
        let changed = device.newly_suppressed + device.newly_forwarded;
        assert_eq!(found.devices[&device.device], changed, "{context}: device {:X}", device.device);
    }
}

/// Runs the steps, those that the candidate stands for left out where there is one.
async fn play(handle: &Handle, steps: &[Step], place: Option<Place>) {
    handle.set_rule(rule("frail", 1, 2)).await.unwrap();
    if let Some(place) = place {
        handle.set_rule(place.rule()).await.unwrap();
    }
    for step in steps {
        if !place.is_some_and(|place| place.replaces(step)) {
            perform(handle, step).await.unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// A what-if says what an engine says that was run from scratch with the candidate.
    #[test]
    fn a_what_if_is_the_difference_of_two_engines(
        seed in 0_u64..1_000_000,
        place in prop_oneof![
            (0_usize..5).prop_map(|code| Place::Hold(CODES[code])),
            (2_u64..6).prop_map(Place::Every),
            (2_u64..6).prop_map(Place::Beside),
        ],
        hours in (0_i64..20, 1_i64..30),
        narrow in any::<bool>(),
    ) {
        println!("WEIR_SEED={seed}");
        let steps = steps(seed, SIZE);
        runtime().block_on(async {
            let (ours, ours_runner) = start(&Disk::default());
            play(&ours, &steps, None).await;
            let (theirs, theirs_runner) = start(&Disk::default());
            play(&theirs, &steps, Some(place)).await;
            let (recorded, other) = (log(&ours), log(&theirs));

            let context = format!("seed {seed}, {place:?}");
            let (_, whole) = ask(&ours, place.request()).await;
            same(&whole.outcomes[0], &difference(&recorded, &other, |_| true), &context);
            assert!(whole.now.not_replayable.is_empty() && whole.basis.whole, "{context}");

            let since = NOW_MS - 30 * 3_600_000 + hours.0 * 3_600_000 + 1_234;
            let until = since + hours.1 * 3_600_000;
            let only = Scope { codes: if narrow { vec![recorded[0].alert.code] } else { Vec::new() }, ..Scope::default() };
            let mut part = WhatIfRequest { since_ms: Some(since), until_ms: Some(until), ..place.request() };
            if !matches!(place, Place::Beside(_)) {
                part.only = only.clone();
            }
            let wanted = |alert: &LoggedAlert| {
                let code = part.only.codes.is_empty() || part.only.codes.contains(&alert.alert.code);
                code && (since..until).contains(&alert.alert.received_ms.unwrap())
            };
            let found = difference(&recorded, &other, wanted);
            let (_, answer) = ask(&ours, part.clone()).await;
            if found.turned != Turned::default() {
                same(&answer.outcomes[0], &found, &format!("{context}, a part"));
                assert_eq!(answer.now.duplicates, found.duplicates, "{context}");
            }
            for sample in &answer.outcomes[0].samples {
                let now = &recorded[sample.position as usize - recorded[0].position.0 as usize..];
                let now = now.iter().find(|alert| alert.position.0 == sample.position);
                let now = now.or_else(|| recorded.iter().find(|alert| alert.position.0 == sample.position)).unwrap();
                assert_eq!(sample.recorded.suppressed, now.end == End::Suppressed, "{context}: {sample:?}");
                assert_ne!(sample.recorded.suppressed, sample.computed.suppressed, "{context}: {sample:?}");
            }
            stop(ours, ours_runner).await;
            stop(theirs, theirs_runner).await;
        });
    }

    /// A question that changes nothing has an answer that says so, whatever rules failed or changed midway.
    #[test]
    fn no_change_is_no_difference(seed in 0_u64..1_000_000) {
        println!("WEIR_SEED={seed}");
        let steps = steps(seed, SIZE);
        runtime().block_on(async {
            let (handle, runner) = start(&Disk::default());
            play(&handle, &steps, None).await;
            for rule in handle.rules() {
                let (view, answer) = ask(&handle, request(&rule.name, Vec::new())).await;
                let as_recorded = view.head.question.as_recorded;
                let turned = answer.outcomes[0].turned;
                if as_recorded {
                    assert_eq!((turned.newly_suppressed, turned.newly_forwarded), (0, 0), "seed {seed}, {}", rule.name);
                    let then = answer.outcomes[0].then;
                    // A rule with state before it: what that withheld is not told apart.
                    let now = Sums { withheld: then.withheld.and(answer.now.sums.withheld), ..answer.now.sums };
                    assert_eq!(then, now, "seed {seed}, {}", rule.name);
                }
            }
            stop(handle, runner).await;
        });
    }
}

/// Sends alerts of some codes, a device each.
async fn send(handle: &Handle, codes: &[u16], counter: &mut u64) {
    *counter += 1;
    let alert = |(at, code): (usize, &u16)| Ok(plain(at as u64 + 1, *counter, *code));
    let alerts = codes.iter().enumerate().map(alert).collect();
    let answer = handle.submit(Batch { alerts, ..Batch::default() }).await.unwrap();
    answer.await.unwrap().unwrap();
}

#[test]
fn what_the_replaced_rule_failed_on_is_counted_by_kind_and_compared_with_nothing() {
    runtime().block_on(async {
        let (handle, runner) = start(&Disk::default());
        handle.set_rule(rule("frail", 1, 2)).await.unwrap();
        handle.set_rule(rule("hold", 2, 1)).await.unwrap();
        let mut counter = 0;
        send(&handle, &[FRAIL, 1, 2], &mut counter).await;
        for _ in 0..3 {
            send(&handle, &[1, 1], &mut counter).await;
        }
        // Two more failures quarantine it, and then two alerts pass it by.
        send(&handle, &[FRAIL], &mut counter).await;
        send(&handle, &[FRAIL], &mut counter).await;
        send(&handle, &[1, 1], &mut counter).await;

        let mut candidate = what_if("frail", 1);
        candidate.variants[0].plugin = Some("hold".into());
        let (_, answer) = ask(&handle, candidate).await;
        // The alert that `hold` suppressed before it is compared: nothing depends on the rule that failed.
        let lost: BTreeMap<String, u64> = [("trap".to_owned(), 4), ("quarantined".to_owned(), 2)].into();
        assert_eq!(answer.now.not_replayable, lost);
        let turned = answer.outcomes[0].turned;
        assert_eq!((turned.newly_suppressed, turned.both_suppress, turned.both_forward), (6, 1, 0));

        let (_, same) = ask(&handle, request("hold", Vec::new())).await;
        assert_eq!(same.now.not_replayable, BTreeMap::new(), "that rule never failed");
        stop(handle, runner).await;
    });
}

#[test]
fn a_candidate_that_fails_is_said_to() {
    runtime().block_on(async {
        let (handle, runner) = start(&Disk::default());
        let mut counter = 0;
        send(&handle, &[FRAIL, 1], &mut counter).await;
        send(&handle, &[1], &mut counter).await;
        let mut candidate = what_if("", 1);
        candidate.variants[0].plugin = Some("frail".into());
        let (view, answer) = ask(&handle, candidate).await;
        assert_eq!(view.head.question.rule, "candidate");
        let failed = &answer.outcomes[0].failed;
        assert_eq!((failed.len(), failed[0].calls, failed[0].kind.as_str()), (1, 1, FaultKind::Trap.name()));
        assert_eq!(answer.outcomes[0].turned, Turned { both_forward: 3, ..Turned::default() });
        stop(handle, runner).await;
    });
}

#[test]
fn a_protected_code_that_the_candidate_would_hold_back_is_counted() {
    const PROTECTED: u16 = 0x8F36;
    runtime().block_on(async {
        let (handle, runner) = start(&Disk::default());
        handle.set_rule(rule("hold", 1, 1)).await.unwrap();
        let mut counter = 0;
        send(&handle, &[PROTECTED, 1, 2, PROTECTED], &mut counter).await;
        let (_, answer) = ask(&handle, what_if("hold", u64::from(PROTECTED))).await;
        let expected = Turned { overruled: 2, newly_forwarded: 1, both_forward: 1, ..Turned::default() };
        assert_eq!(answer.outcomes[0].turned, expected);
        stop(handle, runner).await;
    });
}

#[test]
fn several_variants_in_one_pass_say_what_each_says_alone() {
    let steps = steps(11, SIZE);
    runtime().block_on(async {
        let (handle, runner) = start(&Disk::default());
        play(&handle, &steps, None).await;
        let alone = |n| VariantRequest { label: format!("n={n}"), ..what_if("every", n).variants.remove(0) };
        let (_, sweep) = ask(&handle, request("every", (2..8).map(alone).collect())).await;
        assert_eq!(sweep.outcomes.len(), 6);
        for (n, outcome) in (2..8).zip(&sweep.outcomes) {
            let (_, single) = ask(&handle, request("every", vec![alone(n)])).await;
            assert_eq!(&single.outcomes[0], outcome, "n={n}");
        }
        stop(handle, runner).await;
    });
}

#[test]
fn the_same_question_gives_the_same_bytes_over_restarts() {
    let disk = Disk::default();
    let steps = steps(12, SIZE);
    let digests = |view: &QuestionView| (view.head.question_digest.clone(), view.head.answer_digest.clone());
    runtime().block_on(async {
        let (handle, runner) = start(&disk);
        play(&handle, &steps, None).await;
        let (first, answer) = ask(&handle, what_if("every", 5)).await;
        let (second, same) = ask(&handle, WhatIfRequest { name: "again".into(), ..what_if("every", 5) }).await;
        assert_eq!((digests(&first), &answer), (digests(&second), &same));
        let (other, _) = ask(&handle, what_if("every", 6)).await;
        assert_ne!(digests(&first), digests(&other));
        let (seeded, _) = ask(&handle, WhatIfRequest { seed: 1, ..what_if("every", 5) }).await;
        assert_ne!(digests(&first).0, digests(&seeded).0);
        stop(handle, runner).await;

        let (handle, runner) = start(&disk);
        let listed: Vec<(u64, Stage)> = handle.questions().iter().map(|view| (view.number, view.head.stage)).collect();
        assert_eq!(listed, [(4, Stage::Done), (3, Stage::Done), (2, Stage::Done), (1, Stage::Done)]);
        let (view, kept) = handle.what_if(1).unwrap();
        assert_eq!((digests(&view), kept.as_ref()), (digests(&first), Some(&answer)));
        let again = WhatIfRequest { again: Some(1), ..WhatIfRequest::default() };
        let (again, answer_again) = ask(&handle, again).await;
        assert_eq!((digests(&again), answer_again), (digests(&first), answer));
        stop(handle, runner).await;
    });
}

#[test]
fn a_question_is_cancelled_between_two_groups_and_one_that_was_running_is_interrupted() {
    let disk = Disk::default();
    runtime().block_on(async {
        // One group, then a long rest: there is time to look.
        let mut config = config();
        config.whatif.cpu_percent_max = 1;
        config.whatif.questions_waiting_max = 1;
        let (handle, runner) = engine::start(&disk, config.clone()).unwrap();
        handle.set_rule(rule("every", 2, 1)).await.unwrap();
        for counter in 0..400 {
            let alerts = (1..500).map(|device| Ok(plain(device, counter + 1, CODES[(device % 3) as usize]))).collect();
            let answer = handle.submit(Batch { alerts, ..Batch::default() }).await.unwrap();
            answer.await.unwrap().unwrap();
        }
        let first = handle.start_what_if(what_if("every", 3), None).await.unwrap().number;
        let waiting = handle.start_what_if(what_if("every", 4), None).await.unwrap();
        assert_eq!(waiting.head.stage, Stage::Waiting);
        let full = handle.start_what_if(what_if("every", 5), None).await.unwrap_err();
        assert!(matches!(&full, Refusal::Exhausted(why) if why.contains("questions_waiting_max")), "{full}");
        while handle.question(first).unwrap().rows.0 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let (done, total) = handle.question(first).unwrap().rows;
        assert!(done < total && total == 400 * 499, "{done} of {total}");
        let begun = Instant::now();
        handle.cancel_what_if(waiting.number).await.unwrap();
        assert_eq!(handle.question(waiting.number).unwrap().head.stage, Stage::Cancelled);
        handle.cancel_what_if(first).await.unwrap();
        assert_eq!(wait(&handle, first).0.head.stage, Stage::Cancelled);
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());

        let running = handle.start_what_if(what_if("every", 3), None).await.unwrap().number;
        stop(handle, runner).await;
        let (handle, runner) = start(&disk);
        let (view, answer) = handle.what_if(running).unwrap();
        assert_eq!((view.head.stage, answer), (Stage::Interrupted, None), "{}", view.head.why);
        assert_eq!(handle.question(first).unwrap().head.stage, Stage::Cancelled, "it was kept");
        let (_, answer) = ask(&handle, WhatIfRequest { again: Some(running), ..WhatIfRequest::default() }).await;
        assert_eq!(answer.now.sums.forwarded + answer.now.sums.suppressed, 400 * 499);
        stop(handle, runner).await;
    });
}

#[test]
fn the_oldest_answers_go() {
    runtime().block_on(async {
        let mut config = config();
        config.whatif.answers_max = 3;
        let (handle, runner) = engine::start(&Disk::default(), config).unwrap();
        handle.set_rule(rule("hold", 1, 1)).await.unwrap();
        for _ in 0..5 {
            ask(&handle, what_if("hold", 2)).await;
        }
        let numbers: Vec<u64> = handle.questions().iter().map(|view| view.number).collect();
        assert_eq!(numbers, [5, 4, 3]);
        assert!(matches!(handle.what_if(1), Err(Refusal::NotFound(_))));
        stop(handle, runner).await;
    });
}

#[test]
fn where_state_from_before_is_lost_it_is_said_and_nothing_is_guessed() {
    runtime().block_on(async {
        let (handle, runner) = start(&Disk::default());
        handle.set_rule(rule("every", 3, 1)).await.unwrap();
        let day_ms = 86_400_000;
        let at = |days: i64, counter: u64, devices: u64| {
            let alert = move |device| {
                let mut alert = plain(device, counter, 1);
                alert.received_ms = Some(NOW_MS - days * day_ms);
                Ok(alert)
            };
            Batch { alerts: (1..=devices).map(alert).collect(), ..Batch::default() }
        };
        for (days, counter, devices) in [(3, 1, 10), (1, 2, 20), (1, 3, 20), (1, 4, 20)] {
            let answer = handle.submit(at(days, counter, devices)).await.unwrap();
            answer.await.unwrap().unwrap();
        }
        let since = WhatIfRequest { since_ms: Some(NOW_MS - 2 * day_ms), ..what_if("every", 2) };
        let (_, whole) = ask(&handle, since.clone()).await;
        assert!(whole.basis.whole && whole.now.not_replayable.is_empty(), "{:?}", whole.basis);
        // Ten devices were seen before: of each one alert is forwarded, and a fold without that forwards another.
        let (_, cut) = ask(&handle, WhatIfRequest { warm_up_ms: Some(1_000), ..since }).await;
        assert!(!cut.basis.whole && cut.basis.state_checked);
        assert_eq!(cut.now.not_replayable, BTreeMap::from([("missing-state".to_owned(), 20)]));
        assert_eq!(cut.now.sums.forwarded + cut.now.sums.suppressed, 40);
        stop(handle, runner).await;
    });
}

#[test]
fn an_operator_asks_about_its_own_alerts_alone() {
    use weir_host::domain::{Identity, Role};
    runtime().block_on(async {
        let (handle, runner) = start(&Disk::default());
        let (lond, east) = (OperatorId::new(12).unwrap(), OperatorId::new(10).unwrap());
        for (devices, operator) in [((1..=5).collect(), 12), ((6..=10).collect(), 10)] {
            perform(&handle, &Step::Devices(devices, operator)).await.unwrap();
        }
        let own = |name: &str, operator| RuleRequest {
            name: name.into(),
            plugin: "hold".into(),
            scope: Scope { operators: vec![operator], ..Scope::default() },
            ..rule("hold", 1, 1)
        };
        handle.set_rule(own("12-hold", lond)).await.unwrap();
        handle.set_rule(own("10-hold", east)).await.unwrap();
        let mut counter = 0;
        send(&handle, &[1, 1, 2, 2, 2, 1, 1, 1, 1, 2], &mut counter).await;

        let who = |operator| Arc::new(Identity { name: "them".into(), role: Role::Operator(operator) });
        let theirs = handle.for_caller(who(lond));
        let (view, answer) = ask(&theirs, what_if("12-hold", 2)).await;
        let expected = Turned { newly_suppressed: 3, newly_forwarded: 2, ..Turned::default() };
        assert_eq!(answer.outcomes[0].turned, expected);
        assert_eq!(answer.now.sums.forwarded + answer.now.sums.suppressed, 5);
        assert_eq!((answer.basis.first, answer.basis.end), (0, 0), "positions are counted over all");
        let operators = answer.outcomes[0].rows.iter().filter(|row| matches!(row.key, Key::Operator(_))).count();
        assert_eq!((operators, view.rows), (1, (10_000, 10_000)));

        let beside = WhatIfRequest {
            variants: vec![VariantRequest { plugin: Some("hold".into()), ..what_if("", 2).variants.remove(0) }],
            ..what_if("", 2)
        };
        let (view, answer) = ask(&theirs, beside).await;
        assert_eq!(
            (view.head.question.rule.as_str(), &view.head.question.scope.operators),
            ("12-candidate", &vec![12])
        );
        assert_eq!(answer.outcomes[0].turned.newly_suppressed, 3);

        let absent = theirs.start_what_if(what_if("10-nonesuch", 2), None).await.unwrap_err().to_string();
        let other = theirs.start_what_if(what_if("10-hold", 2), None).await.unwrap_err().to_string();
        assert_eq!(absent.replace("nonesuch", "hold"), other, "whether it exists or not");
        let asked =
            WhatIfRequest { only: Scope { operators: vec![east], ..Scope::default() }, ..what_if("12-hold", 2) };
        assert!(matches!(theirs.start_what_if(asked, None).await, Err(Refusal::Denied { .. })));
        assert!(matches!(handle.for_caller(who(east)).what_if(1), Err(Refusal::NotFound(_))));
        assert!(handle.for_caller(who(east)).questions().is_empty() && theirs.questions().len() == 2);
        assert_eq!(handle.questions().len(), 2, "whoever is confined to nobody sees all");
        stop(handle, runner).await;
    });
}
