use super::*;
use crate::domain::{Digest, Position, Rule, Scope};

const S: Millis = 1_000;

fn limits() -> PluginLimits {
    PluginLimits {
        faults_max: 3,
        fault_window_ms: 10_000,
        quarantine_ms_min: 60_000,
        quarantine_ms_max: 200_000,
        ..PluginLimits::default()
    }
}

/// Revisions made by the host at these times, oldest first, after one that somebody else made; newest first.
fn history(modes: &[(Mode, Millis)]) -> Vec<RuleRevision> {
    let first = [(Mode::Active, 0, "")];
    let rest = modes.iter().map(|(mode, at_s)| (*mode, at_s * S, RuleRevision::HOST));
    let mut entries: Vec<RuleRevision> = (1..)
        .zip(first.into_iter().chain(rest))
        .map(|(number, (mode, made_ms, who))| RuleRevision {
            revision: Revision(number),
            since: Position(0),
            made_ms,
            name: "volts".into(),
            rule: Some(Rule {
                plugin: Digest([0; 32]),
                parameters: "{}".into(),
                scope: Scope::default(),
                mode,
                order: 1,
                namespace: Revision(1),
                guard: None,
                until_ms: None,
            }),
            who: who.into(),
            why: String::new(),
        })
        .collect();
    entries.reverse();
    entries
}

fn trial_at_s(modes: &[(Mode, Millis)]) -> Option<Millis> {
    let history = history(modes);
    Quarantine::new(&limits()).trial_at_ms(&history.iter().collect::<Vec<_>>()).map(|ms| ms / S)
}

#[test]
fn so_many_failures_within_the_window_are_too_many() {
    let history = history(&[]);
    let history: Vec<&RuleRevision> = history.iter().collect();
    let mut quarantine = Quarantine::new(&limits());
    let noted: Vec<bool> =
        [0, 9, 18, 21, 27, 28].iter().map(|at_s| quarantine.note(&history, at_s * S).is_some()).collect();
    assert_eq!(noted, [false, false, false, false, true, false], "18, 21 and 27 lie within ten seconds");
    assert!(quarantine.has_failed(Revision(1)), "what came after counts anew");
}

#[test]
fn each_trial_that_fails_doubles_the_wait_up_to_a_day() {
    use Mode::{Active, Quarantined};
    assert_eq!(trial_at_s(&[]), None);
    let mut modes = vec![(Quarantined, 10)];
    assert_eq!(trial_at_s(&modes), Some(70));
    modes.extend([(Active, 70), (Quarantined, 75)]);
    assert_eq!(trial_at_s(&modes), Some(75 + 120));
    modes.extend([(Active, 195), (Quarantined, 200)]);
    assert_eq!(trial_at_s(&modes), Some(200 + 200), "the most is 200 s");
    modes.extend([(Active, 400), (Quarantined, 700)]);
    assert_eq!(trial_at_s(&modes), Some(700 + 60), "the trial lasted longer than the quarantine before it");
}

#[test]
fn a_trial_fails_at_its_first_fault_and_only_while_it_is_one() {
    use Mode::{Active, Quarantined};
    let history = history(&[(Quarantined, 10), (Active, 70)]);
    let history: Vec<&RuleRevision> = history.iter().collect();
    let mut quarantine = Quarantine::new(&limits());
    assert!(quarantine.note(&history, 129 * S).is_some());
    assert!(quarantine.note(&history, 130 * S).is_none());
    assert_eq!(quarantine.wait_ms(&history, 129 * S), 120 * S);
    assert_eq!(quarantine.wait_ms(&history, 130 * S), 60 * S);
}
