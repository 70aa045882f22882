//! That a what-if is the difference of two engines, and that no change is none.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weir_host::{
    domain::{End, Scope},
    listing::LoggedAlert,
    pipeline::{Handle, RuleRequest, WhatIfRequest},
    whatif::{Key, Outcome, Sums, Turned},
};
use weir_tests::{
    disk::Disk,
    engine::{perform, rule},
    workload::{CODES, NOW_MS, Step, steps},
};

use super::{SIZE, ask, log, request, runtime, start, stop, what_if};

/// Where the candidate stands, as the other engine has it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
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

/// Runs the steps, those that the candidate stands for left out where there is one, beside a rule that fails at times.
pub(super) async fn play(handle: &Handle, steps: &[Step], place: Option<Place>) {
    handle.set_rule(rule("frail", 1, 2)).await.unwrap();
    play_alone(handle, steps, place).await;
}

/// The same without that rule.
async fn play_alone(handle: &Handle, steps: &[Step], place: Option<Place>) {
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
            2 => (0_usize..5).prop_map(|code| Place::Hold(CODES[code])),
            1 => (2_u64..6).prop_map(Place::Every),
            1 => (2_u64..6).prop_map(Place::Beside),
        ],
        hours in (0_i64..20, 1_i64..30),
        narrow in any::<bool>(),
        stateless in any::<bool>(),
    ) {
        println!("WEIR_SEED={seed}");
        let mut steps = steps(seed, SIZE);
        let stateless = stateless && matches!(place, Place::Hold(_));
        if stateless {
            steps.retain(|step| !matches!(step, Step::Every(_) | Step::RemoveEvery));
        }
        runtime().block_on(async {
            let (ours, ours_runner) = start(&Disk::default());
            let (theirs, theirs_runner) = start(&Disk::default());
            if stateless {
                play_alone(&ours, &steps, None).await;
                play_alone(&theirs, &steps, Some(place)).await;
            } else {
                play(&ours, &steps, None).await;
                play(&theirs, &steps, Some(place)).await;
            }
            let (recorded, other) = (log(&ours), log(&theirs));

            let context = format!("seed {seed}, {place:?}, stateless: {stateless}");
            let (_, whole) = ask(&ours, place.request()).await;
            same(&whole.outcomes[0], &difference(&recorded, &other, |_| true), &context);
            assert!(whole.now.not_replayable.is_empty() && whole.basis.whole, "{context}");
            assert_eq!(whole.basis.stateful, !stateless, "{context}");

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
