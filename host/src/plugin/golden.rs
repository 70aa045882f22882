//! The golden run: each plugin judges the same small batch of alerts, and what that took is reported.
//!
//! It must not know what a plugin is for. Invariant: the batch is the same for every plugin on every machine, so its
//! fuel can be compared, and the run is bounded like any call.

use std::collections::HashMap;

use serde_json::Value;

use super::{engine::Purpose, instance::Plugin};
use crate::domain::{Column, ColumnSet, Columns, Generation, Metering, ModelId, OperatorId, RuleFault, StateKey};

/// Alerts of the batch.
const ALERTS: usize = 1_024;
const DEVICES: u64 = 128;

/// Over and under voltage, power factor, tamper, supply: what meters send most, and what they must not lose.
const CODES: [u16; 8] = [0x8F40, 0x8014, 0x8002, 0x8020, 0x8F0A, 0x8F3F, 0x81A0, 0x8F36];

/// 2026-01-01T00:00:00Z.
const BEGIN_MS: i64 = 1_767_225_600_000;

/// What the golden run of a plugin took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The parameters it was run with: the first example of its schema that it accepts, or `{}`. Empty: it accepts none
    /// of them, and was not run.
    pub parameters: String,
    /// Alerts it was shown.
    pub alerts: u64,
    /// Alerts it would have suppressed.
    pub suppressed: u64,
    /// Fuel of the call.
    pub fuel: u64,
    /// Linear memory it held at the end of the call.
    pub memory_bytes: u64,
    /// How it failed, if it did.
    pub fault: Option<RuleFault>,
}

/// Runs a plugin over the batch.
pub(super) fn run(plugin: &Plugin) -> Report {
    let nothing = Report { parameters: String::new(), alerts: 0, suppressed: 0, fuel: 0, memory_bytes: 0, fault: None };
    let Some(parameters) = parameters(plugin) else { return nothing };
    let alerts = ALERTS as u64;
    let failed = |fault| Report { parameters: parameters.clone(), alerts, fault: Some(fault), ..nothing.clone() };
    let mut instance = match plugin.instantiate_for(Purpose::Check, Metering::Live) {
        Ok(instance) => instance,
        Err(fault) => return failed(fault),
    };
    let batch = Batch::new(plugin.info().state_key);
    let words = plugin.info().state_words as usize;
    let state = vec![0; batch.entries * words];
    match instance.call(&parameters, &batch.columns(plugin.info().reads, words), &state) {
        Ok(outcome) => Report {
            alerts,
            suppressed: outcome.verdict.iter().filter(|verdict| **verdict != 0).count() as u64,
            fuel: instance.fuel_used(),
            memory_bytes: instance.memory_bytes(),
            fault: None,
            parameters,
        },
        Err(fault) => Report { fuel: instance.fuel_used(), memory_bytes: instance.memory_bytes(), ..failed(fault) },
    }
}

/// Parameters that the plugin accepts. One that fails over them is not asked again.
fn parameters(plugin: &Plugin) -> Option<String> {
    const EXAMPLES_MAX: usize = 4;
    let schema: Value = serde_json::from_str(&plugin.info().parameters_schema).unwrap_or_default();
    let examples = schema["examples"].as_array().into_iter().flatten().take(EXAMPLES_MAX).map(Value::to_string);
    examples.chain(["{}".to_owned()]).find(|parameters| plugin.check(parameters, OperatorId::UNKNOWN).is_ok())
}

/// The alerts as columns, one entry each.
struct Batch {
    device: Vec<u64>,
    slot: Vec<u32>,
    code: Vec<u16>,
    occurred_ms: Vec<i64>,
    measurement: Vec<i32>,
    weight: Vec<u32>,
    flags: Vec<u8>,
    operator: Vec<u8>,
    model: Vec<u32>,
    /// State entries that the slots name.
    entries: usize,
}

impl Batch {
    fn new(key: StateKey) -> Self {
        let mut entries: HashMap<(u64, u16), u32> = HashMap::new();
        let rows = || 0..ALERTS as u64;
        // Every fourth alert is of one device's storm.
        let storm = |row: u64| row.is_multiple_of(4);
        let device = |row: u64| if storm(row) { 0 } else { row * 7 % DEVICES };
        let code = |row: u64| CODES[if storm(row) { 0 } else { (row / 3) as usize % CODES.len() }];
        let slot = |row: u64| {
            let code = if key == StateKey::Device { 0 } else { code(row) };
            let next = entries.len() as u32;
            *entries.entry((device(row), code)).or_insert(next)
        };
        let generation = |row: u64| [Generation::Smets1, Generation::Smets2, Generation::Unknown][row as usize % 3];
        Self {
            slot: rows().map(slot).collect(),
            device: rows().map(|row| 0x000D_6F00_0000_0000 + device(row)).collect(),
            code: rows().map(code).collect(),
            occurred_ms: rows().map(|row| BEGIN_MS + row as i64 * 10_000).collect(),
            // From 2,480 to 2,607 decivolts.
            measurement: rows().map(|row| 2_480 + (row % 128) as i32).collect(),
            weight: vec![1; ALERTS],
            flags: rows().map(|row| u8::from(row % 5 != 0) | (generation(row) as u8) << 1).collect(),
            operator: rows().map(|row| 10 + (row % 14) as u8).collect(),
            model: rows().map(|row| ModelId::of(["Alpha-1", "Beta-2"][row as usize % 2]).0).collect(),
            entries: entries.len(),
        }
    }

    /// The columns that a plugin reads.
    fn columns(&self, reads: ColumnSet, words: usize) -> Columns<'_> {
        fn asked<T>(asked: bool, column: &[T]) -> &[T] {
            if asked { column } else { &[] }
        }
        Columns {
            device: asked(reads.contains(Column::Device), &self.device),
            slot: asked(words > 0, &self.slot),
            code: &self.code,
            occurred_ms: asked(reads.contains(Column::Occurred), &self.occurred_ms),
            measurement: asked(reads.contains(Column::Measurement), &self.measurement),
            weight: asked(reads.contains(Column::Weight), &self.weight),
            flags: &self.flags,
            operator: asked(reads.contains(Column::Operator), &self.operator),
            model: asked(reads.contains(Column::Model), &self.model),
            row: &[],
        }
    }
}

impl Report {
    /// Fuel for each alert, rounded up.
    pub fn fuel_per_alert(&self) -> u64 {
        self.fuel.div_ceil(self.alerts.max(1))
    }

    /// The fault in words; empty for none.
    pub fn fault_text(&self) -> String {
        let text = |fault: &RuleFault| format!("{}: {}", fault.kind.name(), fault.detail);
        self.fault.as_ref().map(text).unwrap_or_default()
    }
}
