//! What-if over the past: what it says would change is what does change where another engine is run from scratch with
//! the candidate; nothing changes where nothing is changed; it can be cancelled, survives restarts, and repeats itself.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use weir_host::{
    domain::{FaultKind, OperatorId, Scope},
    listing::{AlertQuery, LoggedAlert},
    pipeline::{Batch, Handle, QuestionView, Refusal, RuleRequest, Runner, Stage, VariantRequest, WhatIfRequest},
    whatif::{Answer, Key, Outcome, Turned},
};
use weir_tests::{
    disk::Disk,
    engine::{self, perform, rule},
    workload::{CODES, FRAIL, NOW_MS, Size, Step, plain, steps},
};

mod difference;

const SIZE: Size = Size { steps: 60, devices: 40, batch: 60 };

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn config() -> weir_host::config::Config {
    let mut config = engine::config();
    config.whatif.cpu_percent_max = 100;
    config.whatif.threads_max = 3;
    config.whatif.variants_max = 100;
    config
}

fn start(disk: &Disk) -> (Handle, Runner) {
    engine::start(disk, config()).unwrap()
}

async fn stop(handle: Handle, runner: Runner) {
    handle.shutdown().await.unwrap();
    runner.join();
}

/// Performs the steps, beside a rule that fails at times.
async fn play(handle: &Handle, steps: &[Step]) {
    handle.set_rule(rule("frail", 1, 2)).await.unwrap();
    for step in steps {
        perform(handle, step).await.unwrap();
    }
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
fn a_candidate_has_the_fuel_that_it_would_have_and_what_it_fails_on_passes() {
    runtime().block_on(async {
        let (handle, runner) = start(&Disk::default());
        let mut counter = 0;
        send(&handle, &[1, 2, 1], &mut counter).await;
        send(&handle, &[FRAIL, 1], &mut counter).await;
        send(&handle, &[2], &mut counter).await;
        let mut candidate = what_if("", 1);
        candidate.variants[0].plugin = Some("spent".into());
        let (_, answer) = ask(&handle, candidate).await;
        let failed = &answer.outcomes[0].failed;
        assert_eq!((failed.len(), failed[0].calls, failed[0].kind.as_str()), (1, 1, FaultKind::OutOfFuel.name()));
        // What looks alike to a rule is judged once, but not where a call fails.
        assert_eq!(answer.outcomes[0].turned, Turned { newly_suppressed: 4, both_forward: 2, ..Turned::default() });
        stop(handle, runner).await;
    });
}

#[test]
fn a_rule_that_judges_by_its_batch_changes_nothing_where_it_stays() {
    runtime().block_on(async {
        let (handle, runner) = start(&Disk::default());
        handle.set_rule(rule("odd", 1, 1)).await.unwrap();
        let mut counter = 0;
        for _ in 0..40 {
            send(&handle, &[1, 1, 2, 1, 2], &mut counter).await;
        }
        let (_, answer) = ask(&handle, what_if("odd", 1)).await;
        let expected = Turned { both_forward: 120, both_suppress: 80, ..Turned::default() };
        assert_eq!(answer.outcomes[0].turned, expected);
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
    let steps = steps(12, SIZE);
    runtime().block_on(async {
        let (handle, runner) = start(&Disk::default());
        play(&handle, &steps).await;
        let every: Vec<u64> = (2..8).collect();
        // More variants without state than a machine word has bits.
        let hold: Vec<u64> = (0..70).map(|at| u64::from(CODES[at % CODES.len()]) + at as u64 / 60).collect();
        for (name, values) in [("every", every), ("hold", hold)] {
            let alone = |n| VariantRequest { label: format!("n={n}"), ..what_if(name, n).variants.remove(0) };
            let variants =
                values.iter().enumerate().map(|(at, n)| VariantRequest { label: format!("{at}: {n}"), ..alone(*n) });
            let (_, sweep) = ask(&handle, request(name, variants.collect())).await;
            assert_eq!(sweep.outcomes.len(), values.len());
            for (n, outcome) in values.iter().zip(&sweep.outcomes).rev().take(12) {
                let (_, single) = ask(&handle, request(name, vec![alone(*n)])).await;
                assert_eq!(single.outcomes[0], Outcome { label: format!("n={n}"), ..outcome.clone() }, "n={n}");
            }
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
        play(&handle, &steps).await;
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
        assert!(matches!(&full, Refusal::Busy(why) if why.contains("questions_waiting_max")), "{full}");
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
        assert!(matches!(handle.what_if(1), Err(Refusal::NotFound { .. })));
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

        let who = |operator| Arc::new(Identity::new("them", Role::Operator(operator)));
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
        // The near name follows from what was typed and from its own rules.
        let without_near = |said: &str| said.split("; did you mean").next().unwrap().to_owned();
        assert_eq!(without_near(&absent).replace("nonesuch", "hold"), without_near(&other), "whether it exists or not");
        assert!(other.ends_with("; did you mean \"12-hold\"?"), "{other}");
        let asked =
            WhatIfRequest { only: Scope { operators: vec![east], ..Scope::default() }, ..what_if("12-hold", 2) };
        assert!(matches!(theirs.start_what_if(asked, None).await, Err(Refusal::Denied { .. })));
        assert!(matches!(handle.for_caller(who(east)).what_if(1), Err(Refusal::NotFound { .. })));
        assert!(handle.for_caller(who(east)).questions().is_empty() && theirs.questions().len() == 2);
        assert_eq!(handle.questions().len(), 2, "whoever is confined to nobody sees all");
        stop(handle, runner).await;
    });
}
