//! What calls give: outcomes, and every kind of fault.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{ALERTS, plugin, plugin_under};
use crate::{
    config::PluginLimits,
    domain::{Column, Columns, FaultKind, GuestRoom, Metering, OperatorId, Outcome, RuleFault, StateKey},
    plugin::{CheckError, Plugin},
};

/// What is on record where nothing else is said.
fn room() -> GuestRoom {
    PluginLimits::default().room()
}

fn judge(plugin: &Plugin, parameters: &str) -> Result<Outcome, RuleFault> {
    plugin.judge(parameters, OperatorId::UNKNOWN, room())(&ALERTS, &[5, 6], Metering::Live)
}

#[track_caller]
fn faults(parameters: &str, kind: FaultKind, detail: &str) {
    let fault = judge(plugin(), parameters).unwrap_err();
    assert_eq!((fault.kind, fault.detail.as_str()), (kind, detail));
    // The next call of anybody is as if nothing had been.
    assert!(judge(plugin(), "forward").is_ok());
}

#[test]
fn what_a_plugin_says_of_itself_is_known() {
    let info = plugin().info();
    assert_eq!((info.name.as_str(), info.version.as_str()), ("probe", "1.2.3"));
    assert_eq!(info.summary, "does what it is told");
    assert_eq!(info.parameters_schema, "{\"type\":\"object\"}");
    assert_eq!((info.state_key, info.state_words, info.state_version), (StateKey::DeviceAndCode, 2, 5));
    assert_eq!(info.reasons, ["first", "second"]);
    assert_eq!(info.reads, [Column::Device, Column::Measurement].into_iter().collect());
    assert_eq!((info.uploaded_ms, info.size_bytes), (77, super::probe(&[]).len() as u64));
    assert_eq!(info.digest.to_string().len(), 64);
}

#[test]
fn outcomes_come_back_as_the_guest_made_them() {
    let outcome = judge(plugin(), "forward").unwrap();
    assert_eq!(outcome, Outcome { verdict: vec![0, 0, 0], withheld: vec![], state: vec![5, 6] });
    let outcome = judge(plugin(), "v").unwrap();
    assert_eq!(outcome, Outcome { verdict: vec![2, 0, 0], withheld: vec![0, 7, 0], state: vec![5, 6] });
    let outcome = judge(plugin(), "add").unwrap();
    assert_eq!(outcome.state, [6, 6]);
}

#[test]
fn empty_and_full_groups_are_judged() {
    let none = Columns {
        device: &[],
        slot: &[],
        code: &[],
        occurred_ms: &[],
        measurement: &[],
        weight: &[],
        flags: &[],
        operator: &[],
        model: &[],
        row: &[],
    };
    assert_eq!(plugin().judge("", OperatorId::UNKNOWN, room())(&none, &[], Metering::Live), Ok(Outcome::default()));

    const N: usize = 65_535;
    let full = Columns {
        device: &[9; N],
        slot: &[0; N],
        code: &[1; N],
        occurred_ms: &[0; N],
        measurement: &[0; N],
        weight: &[1; N],
        flags: &[0; N],
        operator: &[0; N],
        model: &[0; N],
        row: &[],
    };
    let state: Vec<u64> = (0..2 * N as u64).collect();
    let outcome = plugin().judge("v", OperatorId::UNKNOWN, room())(&full, &state, Metering::Live).unwrap();
    assert_eq!((outcome.verdict.len(), outcome.withheld.len()), (N, N));
    assert_eq!(outcome.state, state);
}

#[test]
fn a_loop_runs_out_of_fuel_at_the_same_place_whatever_the_clock() {
    // 50,000,000 and 20,000 for each of three alerts.
    faults("loop", FaultKind::OutOfFuel, "used up its fuel of 50060000");
}

#[test]
fn a_loop_that_fuel_does_not_stop_meets_the_deadline() {
    let limits = PluginLimits { fuel_per_call: u64::MAX / 4, deadline_ms: 30, ..PluginLimits::default() };
    // The sandbox is dropped here: its clock must go on for the plugin.
    let plugin = plugin_under(&limits);
    let begun = Instant::now();
    let fault = judge(&plugin, "loop").unwrap_err();
    assert_eq!((fault.kind, fault.detail.as_str()), (FaultKind::Deadline, "ran for more than 30 ms"));
    assert!(begun.elapsed() >= Duration::from_millis(30));
}

#[test]
fn a_replayed_call_has_more_fuel_and_more_time() {
    let limits = PluginLimits { fuel_per_call: 2_000, fuel_per_alert: 0, deadline_ms: 10, ..PluginLimits::default() };
    let plugin = plugin_under(&limits);
    assert_eq!(judge(&plugin, "loop").unwrap_err().kind, FaultKind::OutOfFuel);
    let begun = Instant::now();
    let fault =
        plugin.judge("loop", OperatorId::UNKNOWN, limits.room())(&ALERTS, &[5, 6], Metering::Replay).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Deadline);
    assert!(begun.elapsed() >= Duration::from_millis(600));
}

#[test]
fn memory_and_tables_are_bounded() {
    // One page at first and sixteen more a time: 64 pages are 16 times 1 MiB plus this one page.
    faults("memory", FaultKind::Memory, "asked for 67174400 bytes of memory and may have 67108864");
    faults("b", FaultKind::Memory, "asked for a table of 200001 entries and may have 100000");
    // A guest that makes do with less would decide by a limit that may change.
    faults("grab", FaultKind::Memory, "asked for 67174400 bytes of memory and may have 67108864");
}

#[test]
fn a_replayed_call_has_the_room_on_record_whatever_it_would_have_today() {
    let small = PluginLimits { memory_bytes_max: 1 << 20, stack_bytes_max: 64 << 10, ..PluginLimits::default() };
    let plugin = plugin_under(&small);
    assert_eq!(judge(&plugin, "need").unwrap_err().kind, FaultKind::Memory);
    let again = |recorded| plugin.judge("need", OperatorId::UNKNOWN, recorded)(&ALERTS, &[5, 6], Metering::Replay);
    assert_eq!(again(room()).unwrap().verdict, [0, 0, 0]);
    assert_eq!(again(small.room()).unwrap_err().kind, FaultKind::Memory);
    // A stack cannot be had for one call: that it does not suffice is said as what it is, a lack of room.
    let deep = plugin.judge("stack", OperatorId::UNKNOWN, room())(&ALERTS, &[5, 6], Metering::Replay).unwrap_err();
    assert_eq!((deep.kind, deep.detail.as_str()), (FaultKind::Memory, "used up its stack (plugins.stack_bytes_max)"));
}

#[test]
fn traps_are_named_without_addresses() {
    faults("trap", FaultKind::Trap, "wasm `unreachable` instruction executed");
    faults("stack", FaultKind::Trap, "call stack exhausted");
}

#[test]
fn outcomes_that_do_not_fit_are_named() {
    faults("count", FaultKind::BadOutput, "verdict has 2 entries for 3 alerts");
    faults("reason", FaultKind::BadOutput, "verdict of alert 1 is 3, and the plugin names 2 reasons");
    faults("withheld", FaultKind::BadOutput, "withheld has 4 entries for 3 alerts; it may have none");
    faults("x", FaultKind::BadOutput, "state has 1 words where it was given 2");
}

#[test]
fn results_against_the_canonical_abi_are_bad_output() {
    for parameters in ["o", "discriminant", "utf8"] {
        let fault = judge(plugin(), parameters).unwrap_err();
        assert_eq!(fault.kind, FaultKind::BadOutput, "{parameters}: {fault:?}");
        assert_eq!(judge(plugin(), parameters).unwrap_err(), fault);
    }
}

#[test]
fn lists_that_overlap_do_not_multiply_memory() {
    let fault = judge(plugin(), "y").unwrap_err();
    assert_eq!(fault.kind, FaultKind::BadOutput);
    assert!(fault.detail.contains("too much data"), "{}", fault.detail);
}

#[test]
fn an_error_is_a_refusal_in_bounded_clean_words() {
    faults("error", FaultKind::Refused, "no, \u{FFFD}[31mnever");
    faults("huge", FaultKind::Refused, &"\u{FFFD}".repeat(200));
}

#[test]
fn nothing_is_left_of_a_call_for_the_next() {
    let judge = plugin().judge("impure", OperatorId::UNKNOWN, room());
    for _ in 0..3 {
        assert_eq!(judge(&ALERTS, &[], Metering::Live).unwrap().verdict, [0, 0, 0]);
    }
    // The guest does keep count: within one instance it shows.
    let mut instance = plugin().instantiate(Metering::Live).unwrap();
    assert_eq!(instance.call("impure", &ALERTS, &[]).unwrap().verdict, [0, 0, 0]);
    assert_eq!(instance.call("impure", &ALERTS, &[]).unwrap().verdict, [1, 0, 0]);
}

#[test]
fn more_callers_than_instances_wait_for_each_other() {
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..50).for_each(|_| assert!(judge(plugin(), "v").is_ok())));
        }
    });
}

#[test]
fn parameters_are_checked_by_the_plugin() {
    assert_eq!(plugin().check("{}", OperatorId::UNKNOWN), Ok(()));
    let refused = plugin().check("refuse", OperatorId::UNKNOWN).unwrap_err();
    assert_eq!(refused, CheckError::Refused("no, \u{FFFD}[31mnever".to_owned()));
    let fault = plugin().check("loop", OperatorId::UNKNOWN).unwrap_err();
    assert!(matches!(&fault, CheckError::Fault { kind: FaultKind::OutOfFuel, .. }), "{fault}");
    let large = " ".repeat((64 << 10) + 1);
    assert_eq!(
        plugin().check(&large, OperatorId::UNKNOWN),
        Err(CheckError::TooLarge { bytes: 65_537, bytes_max: 65_536 })
    );
}
