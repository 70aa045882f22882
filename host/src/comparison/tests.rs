//! Every alert in one figure, and samples that do not change.

use super::*;
use crate::{
    config::Config,
    domain::{AlertCode, Digest, Eui64, Flags, JudgingSettings, Mark, Rows, Rule, SettingsNo, Shadow},
};

const DAY_MS: Millis = 86_400_000;

/// A group of alerts of the codes 1 and 2 in turn, what became of each, and what revision 5 said of each.
fn group(first: u64, ends: &[End], said: Option<&[u16]>) -> Group {
    let mut rows = Rows::default();
    let marks = vec![Mark::FORWARDED, Mark { end: End::Suppressed, rule: Revision(1), reason: 1 }, Mark::DUPLICATE];
    for row in 0..ends.len() {
        let alert = crate::domain::Alert {
            device: Eui64(1),
            recipient: Eui64(0),
            counter: None,
            code: AlertCode(1 + row as u16 % 2),
            occurred_ms: None,
            dcc_ms: None,
            received_ms: None,
            measurement: None,
            weight: 1,
            payload: crate::domain::PayloadKind::Csv,
            details: Default::default(),
            generation: Default::default(),
            message: crate::domain::Message::default(),
        };
        let times = (0, row as i64 * DAY_MS);
        rows.push(&alert, times, crate::domain::DeviceNo(0), Default::default());
    }
    assert!(rows.flags.iter().all(|flags| Flags(*flags).generation() == Generation::Unknown));
    let mark = |end: &End| marks.iter().position(|mark| mark.end == *end).unwrap() as u16;
    Group {
        first: Position(first),
        settings: SettingsNo::UNKNOWN,
        judged_ms: 0,
        mark: ends.iter().map(mark).collect(),
        withheld: vec![0; ends.len()],
        rows,
        marks,
        rejected: Vec::new(),
        faults: Vec::new(),
        shadows: said.map(|said| Shadow { rule: Revision(5), said: said.to_vec() }).into_iter().collect(),
        remembered_from: None,
    }
}

fn revision(number: u32, since: u64, mode: Mode, parameters: &str) -> RuleRevision {
    RuleRevision {
        revision: Revision(number),
        since: Position(since),
        made_ms: 0,
        name: "next".into(),
        rule: Some(Rule {
            plugin: Digest([1; 32]),
            parameters: parameters.into(),
            scope: Scope::default(),
            mode,
            order: 1,
            namespace: Revision(1),
            guard: None,
            until_ms: None,
        }),
        who: String::new(),
        why: String::new(),
    }
}

fn trial() -> Trial {
    Trial { revisions: vec![(Revision(5), Position(0)..Position(1_000))], scope: Scope::default() }
}

fn compare(query: &ComparisonQuery, groups: &[Group]) -> Comparison {
    let (names, trial) = (Names::default(), trial());
    let settings = JudgingSettings { protected: vec![AlertCode(2)], ..Config::default().judging().unwrap() };
    let settings = SettingsByNo::new([], settings);
    let mut comparing = Comparing::new(query, &names, &trial, &settings);
    groups.iter().for_each(|group| comparing.take(group).unwrap());
    comparing.finish()
}

const F: End = End::Forwarded;
const S: End = End::Suppressed;
const D: End = End::Duplicate;

#[test]
fn each_alert_is_in_one_figure() {
    let judged = group(0, &[F, F, F, F, S, S, S, D], Some(&[1, 1, 2, 2, 1, 2, 0, 0]));
    let fault = |kind| Fault { rule: Revision(5), kind, first_row: 1, row_count: 2, detail: String::new() };
    let shed = Group { faults: vec![fault(FaultKind::Shed)], ..group(10, &[S, F, F], None) };
    let failed = Group { faults: vec![fault(FaultKind::Trap)], ..group(20, &[F, F, D], None) };
    let found = compare(&ComparisonQuery::default(), &[judged, shed, failed, group(1_000, &[F, F], None)]);
    let total = Agreement { both_forward: 2, both_suppress: 1, would_suppress: 1, would_forward: 1, overruled: 1 };
    assert_eq!((found.total, found.total.shown()), (total, 6));
    assert_eq!((found.held_before, found.shed, found.failed), (3, 2, 1));
    assert_eq!((found.since, found.position), (Position(0), Position(1_002)));
    assert_eq!(found.rows, [(CountKey::default(), total)]);
}

#[test]
fn rows_are_by_what_was_asked_and_in_its_order() {
    let query = ComparisonQuery { group_by: vec![Grouping::Code, Grouping::Day], ..ComparisonQuery::default() };
    let found = compare(&query, &[group(0, &[F, F, F], Some(&[2, 1, 1]))]);
    let keys: Vec<_> = found.rows.iter().map(|(key, _)| (key.code.unwrap().unwrap().0, key.start_ms)).collect();
    assert_eq!(keys, [(1, Some(0)), (1, Some(2 * DAY_MS)), (2, Some(DAY_MS))]);
    assert_eq!(found.rows[0].1, Agreement { would_suppress: 1, ..Agreement::default() });
    assert!(found.rows.iter().all(|(key, _)| key.operator.is_none() && key.rule.is_none()));
}

#[test]
fn samples_are_bounded_fair_and_the_same_each_time() {
    let ends = vec![F; 1_000];
    // The odd rows are of the protected code.
    let said: Vec<u16> = (0..1_000).map(|row| if row % 2 == 0 { 4 } else { 1 }).collect();
    let query = ComparisonQuery { samples_max: 7, ..ComparisonQuery::default() };
    let found = compare(&query, &[group(0, &ends, Some(&said))]);
    assert_eq!((found.samples.len(), found.total.would_suppress), (7, 500));
    assert!(found.samples.is_sorted() && found.samples.iter().all(|sample| sample.reason == 3));
    assert_eq!(compare(&query, &[group(0, &ends, Some(&said))]).samples, found.samples);
    let none = ComparisonQuery::default();
    assert_eq!(compare(&none, &[group(0, &ends, Some(&said))]).samples, []);
}

#[test]
fn a_trial_is_the_revisions_that_differ_in_mode_alone() {
    let entries = [
        revision(1, 0, Mode::Shadow, "{}"),
        revision(2, 10, Mode::Shadow, "{\"a\":1}"),
        revision(3, 20, Mode::Quarantined, "{\"a\":1}"),
        revision(4, 30, Mode::Shadow, "{\"a\":1}"),
        revision(5, 40, Mode::Active, "{\"a\":1}"),
    ];
    let newest_first: Vec<&RuleRevision> = entries.iter().rev().collect();
    let found = Trial::of(&newest_first).unwrap();
    let stood = [(Revision(4), Position(30)..Position(40)), (Revision(2), Position(10)..Position(20))];
    assert_eq!((found.revisions.as_slice(), found.since()), (&stood[..], Position(10)));
    assert_eq!(Trial::of(&newest_first[1..]).unwrap().revisions[0].1, Position(30)..Position(u64::MAX));
    assert_eq!(Trial::of(&[&revision(1, 0, Mode::Active, "{}")]), None);
}
