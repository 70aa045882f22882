//! That a what-if is the difference of two engines, and that no change is none.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weir_host::{
    domain::{End, Scope},
    listing::LoggedAlert,
    pipeline::{Handle, RuleRequest, Runner, WhatIfRequest},
    whatif::{Key, Outcome, Sums, Turned},
};
use weir_tests::{
    disk::Disk,
    engine::{self, Groups, rule},
    workload::{CODES, NOW_MS, Step, steps, together},
};

use super::{SIZE, ask, config, log, request, runtime, stop, what_if};

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

/// An engine whose groups are as a test says.
struct Engine {
    handle: Handle,
    runner: Runner,
    groups: Groups,
}

impl Engine {
    fn start() -> Self {
        let (handle, runner, groups) = engine::start_grouped(&Disk::default(), config()).unwrap();
        Self { handle, runner, groups }
    }

    /// Performs the steps, those that the candidate stands for left out where there is one, beside a rule that fails at
    /// times unless every rule is to be without state.
    async fn play(&self, steps: &[&[Step]], place: Option<Place>, stateless: bool) {
        if !stateless {
            self.handle.set_rule(rule("frail", 1, 2)).await.unwrap();
        }
        if let Some(place) = place {
            self.handle.set_rule(place.rule()).await.unwrap();
        }
        let is_played = |step: &Step| !place.is_some_and(|place| place.replaces(step));
        for together in steps.iter().filter(|together| together.iter().all(is_played)) {
            self.groups.perform(&self.handle, together, 0).await.unwrap();
        }
    }

    async fn stop(self) {
        stop(self.handle, self.runner).await;
    }
}

/// What one comparison of two engines is about.
#[derive(Debug, Clone, Copy)]
struct Case {
    seed: u64,
    place: Place,
    /// Hours after the first of the workload, and how many.
    hours: (i64, i64),
    /// Only one code is asked about.
    narrow: bool,
    /// No rule keeps state; only where the candidate keeps none.
    stateless: bool,
    /// Groups hold several batches.
    grouped: bool,
}

fn pieces(seed: u64, steps: &[Step], grouped: bool) -> Vec<&[Step]> {
    if grouped { together(seed, steps) } else { steps.chunks(1).collect() }
}

/// Checks that a what-if says what an engine says that was run from scratch with the candidate.
async fn check(case: Case) {
    let Case { seed, place, hours, narrow, stateless, grouped } = case;
    let mut steps = steps(seed, SIZE);
    let stateless = stateless && matches!(place, Place::Hold(_));
    if stateless {
        steps.retain(|step| !matches!(step, Step::Every(_) | Step::RemoveEvery));
    }
    let steps = pieces(seed, &steps, grouped);
    let (ours, theirs) = (Engine::start(), Engine::start());
    ours.play(&steps, None, stateless).await;
    theirs.play(&steps, Some(place), stateless).await;
    let (recorded, other) = (log(&ours.handle), log(&theirs.handle));

    let context = format!("{case:?}");
    let (_, whole) = ask(&ours.handle, place.request()).await;
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
    let (_, answer) = ask(&ours.handle, part.clone()).await;
    if found.turned != Turned::default() {
        same(&answer.outcomes[0], &found, &format!("{context}, a part"));
        assert_eq!(answer.now.duplicates, found.duplicates, "{context}");
    }
    for sample in &answer.outcomes[0].samples {
        // A group of rejected alerts alone takes up a position too, so a position is no index.
        let at = recorded.binary_search_by_key(&sample.position, |alert| alert.position.0);
        let now = &recorded[at.unwrap_or_else(|_| panic!("{context}: no alert at {}", sample.position))];
        assert_eq!(sample.recorded.suppressed, now.end == End::Suppressed, "{context}: {sample:?}");
        assert_ne!(sample.recorded.suppressed, sample.computed.suppressed, "{context}: {sample:?}");
    }
    ours.stop().await;
    theirs.stop().await;
}

#[test]
fn what_once_failed_holds() {
    let case = Case { seed: 0, place: Place::Every(2), hours: (0, 1), narrow: false, stateless: false, grouped: false };
    // Sampled alerts behind a group of rejected alerts alone.
    let positions = [
        Case { seed: 328_232, place: Place::Beside(3), hours: (11, 3), ..case },
        Case { seed: 710_682, place: Place::Beside(2), hours: (16, 14), ..case },
    ];
    for case in positions {
        runtime().block_on(check(case));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_what_if_is_the_difference_of_two_engines(
        seed in (0_u64..1_000_000).no_shrink(),
        place in prop_oneof![
            2 => (0_usize..5).prop_map(|code| Place::Hold(CODES[code])),
            1 => (2_u64..6).prop_map(Place::Every),
            1 => (2_u64..6).prop_map(Place::Beside),
        ],
        hours in (0_i64..20, 1_i64..30),
        narrow in any::<bool>(),
        stateless in any::<bool>(),
        grouped in any::<bool>(),
    ) {
        runtime().block_on(check(Case { seed, place, hours, narrow, stateless, grouped }));
    }

    /// A question that changes nothing has an answer that says so, whatever rules failed or changed midway.
    #[test]
    fn no_change_is_no_difference(seed in (0_u64..1_000_000).no_shrink(), grouped in any::<bool>()) {
        let steps = steps(seed, SIZE);
        runtime().block_on(async {
            let engine = Engine::start();
            engine.play(&pieces(seed, &steps, grouped), None, false).await;
            for rule in engine.handle.rules() {
                let (view, answer) = ask(&engine.handle, request(&rule.name, Vec::new())).await;
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
            engine.stop().await;
        });
    }
}
