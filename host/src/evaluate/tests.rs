use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::*;
use crate::config::OperatorLimits;
use crate::domain::{
    AlertCode, Column, ColumnSet, Columns, End, Fault, FaultKind, Generation, Group, GuestRoom, Judge, JudgingSettings,
    Mark, Metering, OperatorId, Outcome, Poison, Position, Revision, Rows, RuleFault, Scope, SettingsNo, StateKey,
    TURN_ALERTS,
};

/// Suppresses a code, whatever it carries.
fn hold(code: u16) -> Judge {
    Arc::new(move |columns: &Columns<'_>, state: &[u64], _: Metering| {
        let verdict = columns.code.iter().map(|c| u8::from(*c == code)).collect();
        Ok(Outcome { verdict, withheld: Vec::new(), state: state.to_vec() })
    })
}

/// Suppresses every alert of a slot but each `n`-th, which stands for the others.
fn every(n: u64) -> Judge {
    Arc::new(move |columns: &Columns<'_>, state: &[u64], _: Metering| {
        let mut outcome = Outcome { state: state.to_vec(), ..Outcome::default() };
        for slot in columns.slot {
            let seen = &mut outcome.state[*slot as usize];
            *seen += 1;
            let pass = seen.is_multiple_of(n);
            outcome.verdict.push(u8::from(!pass));
            outcome.withheld.push(if pass { n as u32 - 1 } else { 0 });
        }
        Ok(outcome)
    })
}

fn failing(kind: FaultKind) -> Judge {
    Arc::new(move |_: &Columns<'_>, _: &[u64], _: Metering| Err(RuleFault::new(kind, "by design")))
}

fn rule(revision: u32, judge: Judge) -> ChainRule {
    let filter = Filter::new(&Scope::default());
    ChainRule {
        revision: Revision(revision),
        judge,
        reasons: 1,
        filter,
        reads: ColumnSet::ALL,
        shadow: false,
        owner: OperatorId::UNKNOWN,
        namespace: None,
    }
}

fn stateful(revision: u32, judge: Judge, key: StateKey) -> ChainRule {
    ChainRule { namespace: Some((Revision(revision), key, 1)), ..rule(revision, judge) }
}

fn chain(rules: Vec<ChainRule>) -> Chain {
    let room = GuestRoom { memory_bytes_max: 0, table_entries_max: 0, deadline_ms: 0 };
    let settings = JudgingSettings {
        protected: vec![AlertCode(0x8F36)],
        state_codes_per_device_max: 3,
        turn_alerts: TURN_ALERTS,
        stack_bytes_max: 0,
        host: room,
        operators: room,
    };
    Chain { rules, settings: Arc::new(settings.into()) }
}

fn rows(alerts: &[(u32, u16)]) -> Rows {
    let mut rows = Rows::default();
    for (device, code) in alerts {
        rows.device_no.push(*device);
        rows.device.push(u64::from(*device) + 1);
        rows.recipient.push(0);
        rows.counter.push(0);
        rows.code.push(*code);
        rows.occurred_ms.push(0);
        rows.received_ms.push(0);
        rows.measurement.push(0);
        rows.weight.push(1);
        rows.flags.push((Generation::Smets1 as u8) << 1);
        rows.operator.push(10);
        rows.model.push(0);
        rows.dcc_ms.push(0);
        rows.remarks.push(0);
        rows.sender.push(0);
        rows.instruction.push(0);
        rows.digest.push(0);
        rows.time_status.push(0);
    }
    rows
}

fn run(state: &mut State, chain: &Chain, rows: &Rows, recorded: &[Fault]) -> Judged {
    run_within(state, chain, rows, recorded, None)
}

fn run_within(state: &mut State, chain: &Chain, rows: &Rows, recorded: &[Fault], shares: Option<&Shares>) -> Judged {
    for rule in &chain.rules {
        if let Some((namespace, key, words)) = rule.namespace {
            state.slots_mut(namespace, key, words);
        }
    }
    let duplicate = vec![false; rows.len()];
    let judgement = Judgement {
        rows,
        duplicate: &duplicate,
        skipped: &[],
        recorded,
        metering: Metering::Live,
        obeyed: None,
        sheds: false,
        search: &|_| true,
        shares,
    };
    judge(state, chain, judgement)
}

fn called(judged: &Judged) -> Vec<(Revision, bool)> {
    judged.called.iter().map(|called| (called.rule, called.failed)).collect()
}

fn ends(judged: &Judged) -> Vec<(End, u32)> {
    judged.mark.iter().map(|m| judged.marks[usize::from(*m)]).map(|m| (m.end, m.rule.0)).collect()
}

#[test]
fn a_suppressed_alert_is_not_shown_to_later_rules() {
    let chain = chain(vec![rule(1, hold(0x8014)), stateful(2, every(2), StateKey::Device)]);
    let mut state = State::default();
    let judged = run(&mut state, &chain, &rows(&[(0, 0x8014), (0, 0x8F40), (0, 0x8014), (0, 0x8F40)]), &[]);
    let expected = [(End::Suppressed, 1), (End::Suppressed, 2), (End::Suppressed, 1), (End::Forwarded, 0)];
    assert_eq!(ends(&judged), expected);
    assert_eq!(judged.withheld, [0, 0, 0, 1]);
}

#[test]
fn a_protected_code_passes_and_the_overruling_is_on_record() {
    let chain = chain(vec![rule(1, hold(0x8F36)), rule(2, hold(0x8F36))]);
    let judged = run(&mut State::default(), &chain, &rows(&[(0, 0x8F36)]), &[]);
    assert_eq!(judged.marks, [Mark { end: End::Forwarded, rule: Revision(1), reason: 1 }]);
    assert!(judged.marks[0].is_overruled());
}

#[test]
fn a_failing_rule_lets_its_alerts_pass_and_its_neighbours_decide_as_without_it() {
    let alerts = rows(&[(0, 0x8014), (1, 0x8F40), (0, 0x8F40), (1, 0x8014)]);
    let neighbours = || vec![rule(1, hold(0x8014)), stateful(3, every(2), StateKey::DeviceAndCode)];
    let mut with = neighbours();
    with.insert(1, stateful(2, failing(FaultKind::Trap), StateKey::Device));

    let (mut state, mut alone) = (State::default(), State::default());
    let judged = run(&mut state, &chain(with), &alerts, &[]);
    let expected = run(&mut alone, &chain(neighbours()), &alerts, &[]);

    assert_eq!(ends(&judged), ends(&expected));
    let fault = &judged.faults[0];
    assert_eq!((fault.rule, fault.kind, fault.first_row, fault.row_count), (Revision(2), FaultKind::Trap, 0, 4));
    assert_eq!(called(&judged), [(Revision(1), false), (Revision(2), true), (Revision(3), false)]);
    assert_eq!(state.entries(crate::domain::DeviceNo(0)).count(), alone.entries(crate::domain::DeviceNo(0)).count());
}

#[test]
fn a_rule_is_shown_the_columns_it_reads_and_no_other() {
    let judge: Judge = Arc::new(|columns: &Columns<'_>, _: &[u64], _: Metering| {
        let asked = [columns.measurement.len(), columns.model.len(), columns.code.len(), columns.flags.len()];
        let others = [columns.device.len(), columns.occurred_ms.len(), columns.weight.len(), columns.operator.len()];
        assert_eq!((asked, others, columns.slot.len()), ([columns.len(); 4], [0; 4], 0));
        Ok(Outcome { verdict: vec![1; columns.len()], ..Outcome::default() })
    });
    let reads = [Column::Measurement, Column::Model].into_iter().collect();
    let alerts = rows(&[(0, 0x8F40), (1, 0x8014), (2, 0x8F40)]);
    let whole = chain(vec![ChainRule { reads, ..rule(1, judge.clone()) }]);
    assert_eq!(ends(&run(&mut State::default(), &whole, &alerts, &[])), [(End::Suppressed, 1); 3]);

    let scope = Scope { codes: vec![AlertCode(0x8F40)], ..Scope::default() };
    let part = chain(vec![ChainRule { reads, filter: Filter::new(&scope), ..rule(1, judge) }]);
    let expected = [(End::Suppressed, 1), (End::Forwarded, 0), (End::Suppressed, 1)];
    assert_eq!(ends(&run(&mut State::default(), &part, &alerts, &[])), expected);
}

/// What a rule keeps follows from the alerts, wherever the devices lie and however many are looked up side by side.
#[test]
fn state_is_kept_for_devices_of_many_pages_and_comes_back_in_order() {
    let alerts: Vec<(u32, u16)> =
        (0..12_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) % 5000, 0x8000 + (i % 7 / 3) as u16)).collect();
    let chain = chain(vec![stateful(1, every(u64::MAX), StateKey::DeviceAndCode)]);
    let (mut state, mut expected) = (State::default(), std::collections::BTreeMap::new());
    for group in [&alerts[..1], &alerts[1..7000], &alerts[7000..]] {
        run(&mut state, &chain, &rows(group), &[]);
    }
    alerts.iter().for_each(|key| *expected.entry(*key).or_insert(0_u64) += 1);
    let slots = state.find_slots(Revision(1)).unwrap();
    let mut found = std::collections::BTreeMap::new();
    let mut restored = Slots::new(Revision(1), StateKey::DeviceAndCode, 1);
    for no in 0..5 {
        let page = slots.page(no);
        assert!(page.device.is_sorted());
        for ((index, code), words) in page.device.iter().zip(&page.code).zip(&page.words) {
            assert_eq!(found.insert((no * PAGE_DEVICES + u32::from(*index), *code), *words), None);
        }
        assert!(restored.restore(no, &page));
        assert_eq!(restored.page(no), page);
    }
    assert_eq!(found, expected);
}

#[test]
fn answers_of_the_wrong_shape_are_bad_output() {
    type Break = fn(&mut Outcome);
    let breaks: [(Break, &str); 4] = [
        (|o| o.verdict.push(0), "verdict has 3 entries"),
        (|o| o.withheld.push(0), "withheld has 1 entries"),
        (|o| o.state.push(0), "state has 2 words"),
        (|o| o.verdict[0] = 2, "verdict of alert 0 is 2, and the plugin names 1 reasons"),
    ];
    for (change, text) in breaks {
        let judge: Judge = Arc::new(move |columns: &Columns<'_>, state: &[u64], _: Metering| {
            let mut outcome = Outcome { verdict: vec![0; columns.len()], withheld: Vec::new(), state: state.to_vec() };
            change(&mut outcome);
            Ok(outcome)
        });
        let chain = chain(vec![stateful(1, judge, StateKey::Device)]);
        let judged = run(&mut State::default(), &chain, &rows(&[(0, 1), (0, 1)]), &[]);
        assert_eq!(judged.faults[0].kind, FaultKind::BadOutput);
        assert!(judged.faults[0].detail.starts_with(text), "{}", judged.faults[0].detail);
        assert_eq!(ends(&judged), [(End::Forwarded, 0), (End::Forwarded, 0)]);
    }
}

#[test]
fn a_device_with_too_many_codes_passes_the_rule_for_the_ones_too_many() {
    let chain = chain(vec![stateful(1, every(2), StateKey::DeviceAndCode)]);
    let alerts = rows(&[(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (0, 1), (1, 4)]);
    let judged = run(&mut State::default(), &chain, &alerts, &[]);
    let full = &judged.faults[0];
    assert_eq!((full.kind, full.first_row, full.row_count), (FaultKind::StateFull, 3, 2));
    let suppressed: Vec<bool> = ends(&judged).iter().map(|(end, _)| *end == End::Suppressed).collect();
    assert_eq!(suppressed, [true, true, true, false, false, false, true]);
}

#[test]
fn a_scope_shows_a_rule_only_what_fits() {
    let scope = Scope { codes: vec![AlertCode(2)], generations: vec![Generation::Smets1], ..Scope::default() };
    let mut narrow = rule(1, hold(2));
    narrow.filter = Filter::new(&scope);
    let other = Scope { generations: vec![Generation::Smets2], ..scope };
    let mut never = rule(2, failing(FaultKind::Trap));
    never.filter = Filter::new(&other);
    let judged = run(&mut State::default(), &chain(vec![narrow, never]), &rows(&[(0, 1), (0, 2)]), &[]);
    assert_eq!(ends(&judged), [(End::Forwarded, 0), (End::Suppressed, 1)]);
    assert_eq!(called(&judged), [(Revision(1), false)]);
}

/// Judges alerts live in groups of a size and returns the log and the state.
fn live(chain: &Chain, alerts: &[(u32, u16)], group_rows: usize) -> (Vec<Group>, State) {
    let mut state = State::default();
    let mut groups = Vec::new();
    let mut first = Position(0);
    for chunk in alerts.chunks(group_rows) {
        let rows = rows(chunk);
        let judged = run(&mut state, chain, &rows, &[]);
        let group = Group {
            first,
            judged_ms: 0,
            settings: SettingsNo(1),
            rows,
            marks: judged.marks,
            mark: judged.mark,
            withheld: judged.withheld,
            rejected: Vec::new(),
            faults: judged.faults,
            shadows: judged.shadows,
            remembered_from: None,
        };
        count_devices(&mut state, &group);
        first = group.end();
        groups.push(group);
    }
    (groups, state)
}

#[test]
fn replay_gives_the_same_state_and_other_group_sizes_the_same_verdicts() {
    let alerts: Vec<(u32, u16)> = (0..5000_u32).map(|i| (i * 7919 % 1500, (i * 31 % 5) as u16)).collect();
    let chain = chain(vec![rule(1, hold(3)), stateful(2, every(3), StateKey::DeviceAndCode)]);
    let (groups, state) = live(&chain, &alerts, 700);
    let (single, single_state) = live(&chain, &alerts, 1);
    let flat = |groups: &[Group]| -> Vec<(Mark, u32)> {
        groups.iter().flat_map(|g| (0..g.rows.len()).map(|r| (g.mark_of(r), g.withheld[r]))).collect()
    };
    assert_eq!(flat(&groups), flat(&single));
    let end = Position(5000);
    assert_eq!(state.all_pages(end), single_state.all_pages(end));

    let mut replay = Replay::default();
    for group in &groups {
        replay.fold(&chain, group).unwrap();
    }
    assert_eq!(replay.state.all_pages(end), state.all_pages(end));
}

#[test]
fn a_page_read_back_goes_on_where_it_was_written() {
    let alerts: Vec<(u32, u16)> = (0..4000_u32).map(|i| (i * 7919 % 2500, (i * 31 % 4) as u16)).collect();
    let chain = chain(vec![stateful(2, every(3), StateKey::DeviceAndCode)]);
    let (groups, whole) = live(&chain, &alerts, 500);

    // Page 0 as after the second group, page 1 as after the fifth, page 2 never written.
    let mut replay = Replay::default();
    for (page, written) in [(0_usize, 2), (1, 5)] {
        let (groups, state) = live(&chain, &alerts[..written * 500], 500);
        let image = state.all_pages(groups.last().unwrap().end()).swap_remove(page);
        replay.state.restore(&image, |_| Some((StateKey::DeviceAndCode, 1))).unwrap();
    }
    for group in &groups {
        replay.fold(&chain, group).unwrap();
    }
    let end = Position(4000);
    assert_eq!(replay.state.all_pages(end), whole.all_pages(end));
}

#[test]
fn a_record_that_does_not_follow_is_named_by_its_position() {
    let chain = chain(vec![rule(1, hold(3))]);
    let (mut groups, _) = live(&chain, &[(0, 3), (0, 4)], 2);
    let forwarded = groups[0].mark[1];
    groups[0].mark[0] = forwarded;
    let divergence = Replay::default().fold(&chain, &groups[0]).unwrap_err();
    assert_eq!(divergence.position, Position(0));
    assert_eq!(divergence.computed.0.end, End::Suppressed);
    assert_eq!(divergence.rule, Revision(1));

    let mut replay = Replay { obeyed: vec![Revision(1)], ..Replay::default() };
    replay.fold(&chain, &groups[0]).unwrap();
}

#[test]
fn a_recorded_fault_is_obeyed_and_not_tried_again() {
    let alerts = rows(&[(0, 3), (0, 3), (0, 3)]);
    let fault =
        Fault { rule: Revision(1), kind: FaultKind::Deadline, first_row: 1, row_count: 2, detail: String::new() };
    let judged = run(&mut State::default(), &chain(vec![rule(1, hold(3))]), &alerts, std::slice::from_ref(&fault));
    assert_eq!(ends(&judged), [(End::Suppressed, 1), (End::Forwarded, 0), (End::Forwarded, 0)]);
    assert_eq!(judged.faults, [fault]);
}

#[test]
fn each_page_has_its_turn_within_the_rows_allowed() {
    let mut state = State::default();
    let devices = PAGE_DEVICES * 10;
    for device in 0..devices {
        state.count(device, End::Forwarded);
    }
    state.touch(0..devices, Position(0));
    let written: usize = (0..100).map(|_| state.slice(100, 10_000, Position(1)).len()).sum();
    assert_eq!(written, 10);
    assert_eq!(state.oldest_dirty(Position(77)), Position(77));
}

/// Shares of 5 % with clocks that advance by so many microseconds whenever they are read.
fn shares(passed_us: u64, worked_us: u64) -> Shares {
    let clock = |step_us: u64| {
        let reads = AtomicU64::new(0);
        Arc::new(move || Duration::from_micros(reads.fetch_add(step_us, Ordering::SeqCst)))
    };
    let limits = OperatorLimits { time_percent_max: 5, call_us_max: 1_000_000, ..OperatorLimits::default() };
    Shares::new(&limits, Times { passed: clock(passed_us), worked: clock(worked_us) })
}

/// A rule of operator 12.
fn owned(rule: ChainRule) -> ChainRule {
    ChainRule { owner: OperatorId::new(12).unwrap(), ..rule }
}

#[test]
fn an_operators_rule_is_called_in_turns_and_decides_as_in_one_call() {
    let alerts: Vec<(u32, u16)> = (0..5_000_u32).map(|i| (i * 7919 % 1500, (i * 31 % 5) as u16)).collect();
    let alerts = rows(&alerts);
    let one = chain(vec![rule(1, hold(3)), stateful(2, every(3), StateKey::DeviceAndCode)]);
    let turns = chain(one.rules.iter().cloned().map(owned).collect());
    let (mut state, mut expected_state) = (State::default(), State::default());
    let expected = run(&mut expected_state, &one, &alerts, &[]);
    let judged = run_within(&mut state, &turns, &alerts, &[], Some(&shares(1_000, 0)));
    assert_eq!((judged.marks, judged.mark, judged.withheld), (expected.marks, expected.mark, expected.withheld));
    assert_eq!((&judged.called, &judged.faults), (&expected.called, &expected.faults));
    let end = Position(5_000);
    assert_eq!(state.all_pages(end), expected_state.all_pages(end));
}

#[test]
fn a_rule_whose_operator_has_used_up_its_share_is_passed_over_and_replay_obeys_that() {
    let alerts: Vec<(u32, u16)> = (0..5_000_u32).map(|i| (i % 10, 3)).collect();
    let alerts = rows(&alerts);
    let hosts = || stateful(2, every(2), StateKey::Device);
    let chain = chain(vec![owned(stateful(1, every(4), StateKey::Device)), hosts()]);
    let mut state = State::default();
    // A full bucket holds 5 ms: two calls of 4 ms overdraw it.
    let judged = run_within(&mut state, &chain, &alerts, &[], Some(&shares(1, 4_000)));
    let fault = &judged.faults[0];
    assert_eq!((fault.rule, fault.kind), (Revision(1), FaultKind::OverShare));
    assert_eq!((fault.first_row, fault.row_count), (2_048, 5_000 - 2_048));
    let first = judged.called[0];
    assert_eq!((first.rule, first.failed, first.shown, first.passed_over), (Revision(1), false, 2_048, 5_000 - 2_048));
    assert_eq!(judged.called[1].shown, 5_000 - first.suppressed, "the host's own rule sees all that came through");

    let group = Group {
        first: Position(0),
        judged_ms: 0,
        settings: SettingsNo(1),
        rows: alerts,
        marks: judged.marks,
        mark: judged.mark,
        withheld: judged.withheld,
        rejected: Vec::new(),
        faults: judged.faults,
        shadows: judged.shadows,
        remembered_from: None,
    };
    count_devices(&mut state, &group);
    let mut replay = Replay::default();
    replay.fold(&chain, &group).unwrap();
    assert_eq!(replay.state.all_pages(group.end()), state.all_pages(group.end()));
}

#[test]
fn a_turn_that_fails_passes_with_those_after_it_and_the_turns_before_stand() {
    let alerts: Vec<(u32, u16)> = (0..4_000_u32).map(|i| (i, if i == 1_500 { 9 } else { 3 })).collect();
    let alerts = rows(&alerts);
    let fails_on_nine: Judge = Arc::new(|columns, state, metering| match columns.code.contains(&9) {
        true => Err(RuleFault::new(FaultKind::Trap, "nine")),
        false => hold(3)(columns, state, metering),
    });
    let chain = chain(vec![owned(rule(1, fails_on_nine))]);
    let judged = run_within(&mut State::default(), &chain, &alerts, &[], Some(&shares(1_000_000, 0)));
    let fault = &judged.faults[0];
    assert_eq!((fault.kind, fault.first_row, fault.row_count), (FaultKind::Trap, 1_024, 4_000 - 1_024));
    assert_eq!(judged.poison, [Poison { rule: Revision(1), row: 1_500 }]);
    let suppressed = ends(&judged).iter().filter(|(end, _)| *end == End::Suppressed).count();
    assert_eq!((suppressed, judged.called[0].failed), (1_024, true));
}
