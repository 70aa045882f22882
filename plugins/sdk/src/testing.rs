//! For unit tests of rules: runs one natively over plain alerts, by the path the sandbox takes.
//!
//! It must not know the host. Invariant: state is kept for each device, or device and code, as the description says.

use std::collections::HashMap;

use crate::{Alert, AlertCode, Batch, Generation, ModelId, Reason, Rule, State, StateKey, Verdict, evaluate_columns};

/// An alert of a device with a code and nothing else known. Set the rest by struct update.
pub fn alert(device: u64, code: AlertCode) -> Alert {
    Alert {
        device,
        code,
        occurred_ms: 0,
        measurement: None,
        weight: 1,
        generation: Generation::Unknown,
        operator: None,
        model: ModelId::UNKNOWN,
    }
}

/// What the rule decides about the alerts in their order, starting from nothing seen.
pub fn run<R: Rule>(rule: &R, alerts: &[Alert]) -> Vec<Verdict<R::Reason>> {
    run_in_batches(rule, alerts, alerts.len().max(1))
}

/// As [`run`], with the alerts cut into batches of a size: no rule may decide differently for that.
pub fn run_in_batches<R: Rule>(rule: &R, alerts: &[Alert], batch_size: usize) -> Vec<Verdict<R::Reason>> {
    let mut slots = HashMap::new();
    let slot_of = |alert: &Alert| {
        let by_code = R::DESCRIPTION.state_key == StateKey::DeviceAndCode;
        let key = (alert.device, by_code.then_some(alert.code));
        let next = slots.len() as u32;
        *slots.entry(key).or_insert(next)
    };
    let slots: Vec<u32> = alerts.iter().map(slot_of).collect();
    let entries = slots.iter().max().map_or(0, |last| *last as usize + 1);
    let mut state = vec![0; entries * R::State::WORDS];
    let batches = alerts.chunks(batch_size).zip(slots.chunks(batch_size));
    batches.flat_map(|(alerts, slots)| run_batch(rule, alerts, slots, &mut state)).collect()
}

fn run_batch<R: Rule>(rule: &R, alerts: &[Alert], slots: &[u32], state: &mut [u64]) -> Vec<Verdict<R::Reason>> {
    fn column<T>(alerts: &[Alert], entry: impl Fn(&Alert) -> T) -> Vec<T> {
        alerts.iter().map(entry).collect()
    }
    let outcome = evaluate_columns(
        rule,
        &Batch {
            device: &column(alerts, |alert| alert.device),
            slot: slots,
            code: &column(alerts, |alert| alert.code.0),
            occurred_ms: &column(alerts, |alert| alert.occurred_ms),
            measurement: &column(alerts, |alert| alert.measurement.unwrap_or(0)),
            weight: &column(alerts, |alert| alert.weight),
            flags: &column(alerts, |alert| u8::from(alert.measurement.is_some()) | (alert.generation as u8) << 1),
            operator: &column(alerts, |alert| alert.operator.unwrap_or(0)),
            model: &column(alerts, |alert| alert.model.0),
        },
        state,
    )
    .expect("every column has an entry an alert, and the table an entry a slot: both were made for these alerts");
    let lifted = |(i, number): (usize, &u8)| match (*number, outcome.withheld.get(i)) {
        (0, None | Some(0)) => Verdict::Forward,
        (0, Some(withheld)) => Verdict::ForwardFor { withheld: *withheld },
        (number, _) => Verdict::Suppress(R::Reason::ALL[usize::from(number) - 1]),
    };
    outcome.verdict.iter().enumerate().map(lifted).collect()
}
