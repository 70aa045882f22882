//! What a workload must lead to, in plain maps.
//!
//! It must not use any of the host's logic. Invariant: it is short enough to be believed.

use std::collections::BTreeMap;

use weir_host::domain::{Ack, Alert, Balance, End};

use crate::workload::Step;

/// Codes that no rule holds back here.
const PROTECTED: u16 = 0x8F36;

/// What became of one alert in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The device.
    pub device: u64,
    /// Its counter.
    pub counter: u64,
    /// The code.
    pub code: u16,
    /// Its operator at the time.
    pub operator: u32,
    /// What became of it.
    pub end: End,
    /// The rule that suppressed it or was overruled; empty for none.
    pub rule: &'static str,
    /// How many it stands for beside itself.
    pub withheld: u32,
}

/// Plain maps.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// What rule `hold` holds.
    pub hold: Option<u16>,
    /// What rule `every` lets pass.
    pub every: Option<u64>,
    /// What rule `every` has seen, by device and code.
    pub seen: BTreeMap<(u64, u16), u64>,
    /// What came of each device, but for copies.
    came: BTreeMap<u64, Vec<Alert>>,
    operators: BTreeMap<u64, u32>,
    /// The log.
    pub log: Vec<Entry>,
    /// The four ends of everything.
    pub balance: Balance,
    /// Sum of weights.
    pub represented: u64,
    /// The last batch of each producer.
    pub sequences: BTreeMap<String, u64>,
}

impl Model {
    /// Applies a step whose balance is of no interest.
    pub fn fold(&mut self, step: &Step) {
        let _ = self.apply(step);
    }

    /// What a step leads to; for a batch, its balance.
    pub fn apply(&mut self, step: &Step) -> Balance {
        let before = self.balance;
        match step {
            Step::Hold(code) => self.hold = Some(*code),
            Step::Every(n) => self.every = Some(*n),
            Step::RemoveEvery => {
                self.every = None;
                self.seen.clear();
            }
            Step::Devices(devices, operator) => {
                self.operators.extend(devices.iter().map(|device| (*device, *operator)));
            }
            Step::Batch { producer, sequence, alerts, unreadable } => {
                self.sequences.insert(producer.clone(), *sequence);
                self.balance.rejected += u64::from(*unreadable);
                self.represented += u64::from(*unreadable);
                for alert in alerts {
                    match alert {
                        Ok(alert) if alert.weight > 0 => self.take(alert),
                        _ => {
                            self.balance.rejected += 1;
                            self.represented += 1;
                        }
                    }
                }
            }
        }
        Balance {
            forwarded: self.balance.forwarded - before.forwarded,
            suppressed: self.balance.suppressed - before.suppressed,
            rejected: self.balance.rejected - before.rejected,
            duplicate: self.balance.duplicate - before.duplicate,
        }
    }

    fn take(&mut self, alert: &Alert) {
        let (device, code, counter) = (alert.device.0, alert.code.0, alert.counter.unwrap_or(0));
        let came = self.came.entry(device).or_default();
        let (end, rule, withheld) = if came.iter().any(|before| is_copy(alert, before)) {
            (End::Duplicate, "", 0)
        } else {
            came.push(*alert);
            self.judge(device, code)
        };
        self.balance.add(end, 1);
        self.represented += u64::from(alert.weight);
        let operator = self.operators.get(&device).copied().unwrap_or(0);
        self.log.push(Entry { device, counter, code, operator, end, rule, withheld });
    }

    fn judge(&mut self, device: u64, code: u16) -> (End, &'static str, u32) {
        let mut overruled = "";
        if self.hold == Some(code) {
            if code != PROTECTED {
                return (End::Suppressed, "hold", 0);
            }
            overruled = "hold";
        }
        let Some(n) = self.every else { return (End::Forwarded, overruled, 0) };
        let seen = self.seen.entry((device, code)).or_default();
        *seen += 1;
        if seen.is_multiple_of(n) {
            return (End::Forwarded, overruled, n as u32 - 1);
        }
        if code != PROTECTED {
            return (End::Suppressed, "every", 0);
        }
        (End::Forwarded, if overruled.is_empty() { "every" } else { overruled }, 0)
    }

    /// Whether an ack says what this model says of its batch.
    pub fn agrees(balance: Balance, sequence: u64, ack: &Ack) -> bool {
        ack.balance == balance && ack.sequence == sequence
    }
}

/// Whether an alert is one that came before, of the same device, once more.
fn is_copy(alert: &Alert, before: &Alert) -> bool {
    let parties = |alert: &Alert| (alert.recipient, alert.message.sender, alert.code, alert.message.instruction);
    if parties(alert) != parties(before) || alert.counter != before.counter {
        return false;
    }
    let (digest, digest_before) = (alert.message.digest, before.message.digest);
    if alert.counter.is_none() {
        return digest != 0 && digest == digest_before && alert.code.0 != PROTECTED;
    }
    if alert.occurred_ms != before.occurred_ms {
        return false;
    }
    match (digest, digest_before) {
        (0, 0) => alert.occurred_ms.is_some() || alert.dcc_ms == before.dcc_ms,
        (0, _) | (_, 0) => alert.occurred_ms.is_some(),
        _ => digest == digest_before,
    }
}
