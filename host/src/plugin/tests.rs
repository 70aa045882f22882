//! The sandbox against a guest that was written to misbehave in one exact way at a time.

mod faults;
mod refusals;

use std::sync::OnceLock;

use super::{Plugin, Refusal, Sandbox};
use crate::{config::PluginLimits, domain::Columns};

const PROBE: &str = include_str!("tests/probe.wat");

/// The probe with pieces of its text replaced. Each must be there, so that a change of the file cannot turn a test
/// into one of nothing.
#[track_caller]
fn probe(replacements: &[(&str, &str)]) -> Vec<u8> {
    let mut text = PROBE.to_owned();
    for (old, new) in replacements {
        assert!(text.contains(old), "{old} is not in the probe");
        text = text.replace(old, new);
    }
    wat::parse_str(text).unwrap()
}

fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| Sandbox::new(&PluginLimits::default()).unwrap())
}

/// The probe as it is, compiled once for all tests.
fn plugin() -> &'static Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| sandbox().load(&probe(&[]), 77).unwrap())
}

fn plugin_under(limits: &PluginLimits) -> Plugin {
    Sandbox::new(limits).unwrap().load(&probe(&[]), 0).unwrap()
}

#[track_caller]
fn refusal(bytes: &[u8]) -> Refusal {
    sandbox().load(bytes, 0).unwrap_err()
}

/// Three alerts.
const ALERTS: Columns<'static> = Columns {
    device: &[1, 2, 3],
    slot: &[0, 0, 0],
    code: &[0x8F40, 0x8014, 0x8015],
    occurred_ms: &[-1, 0, i64::MAX],
    measurement: &[2530, 0, -5],
    weight: &[1, 1, 9],
    flags: &[1, 0, 5],
    operator: &[10, 0, 99],
    model: &[0, 1, u32::MAX],
    row: &[],
};
