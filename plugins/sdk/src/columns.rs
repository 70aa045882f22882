//! The path every batch takes, sandboxed or native: columns in, the rule asked alert by alert, verdicts out.
//!
//! It must not know how the columns arrived. Invariant: a slot's state is read and written in the order of the
//! alerts, so the result does not depend on where a stream is cut into batches.

use crate::{Alert, AlertCode, Generation, ModelId, Reason, Rule, State, Verdict};

/// Alerts column by column: one entry an alert in every column, in log order. The fields are those of `wit/rule.wit`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Batch<'a> {
    /// EUI-64.
    pub device: &'a [u64],
    /// Index into the state table.
    pub slot: &'a [u32],
    /// Alert code.
    pub code: &'a [u16],
    /// Time of occurrence, milliseconds since 1970-01-01T00:00:00Z.
    pub occurred_ms: &'a [i64],
    /// Measurement; 0 where the flag is clear.
    pub measurement: &'a [i32],
    /// How many alerts it stands for.
    pub weight: &'a [u32],
    /// Bit 0: has a measurement. Bits 1-2: generation.
    pub flags: &'a [u8],
    /// Distributor id, 0 when not known.
    pub operator: &'a [u8],
    /// Model id, 0 when not known.
    pub model: &'a [u32],
}

/// What a rule decided about a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Per alert: 0 to forward, n to suppress for the n-th reason.
    pub verdict: Vec<u8>,
    /// Empty where no alert stands for others; else per alert, how many suppressed ones a forwarded one stands for.
    pub withheld: Vec<u32>,
}

/// Judges a batch. `state` is the state table, `R::State::WORDS` words an entry; it is changed in place.
///
/// Fails where columns differ in length or a slot lies beyond the table: the caller's mistake, and no verdict stands.
pub fn evaluate_columns<R: Rule>(rule: &R, batch: &Batch<'_>, state: &mut [u64]) -> Result<Outcome, String> {
    batch.check_lengths()?;
    let count = batch.len();
    let batch = batch.cut(count);
    let words = R::State::WORDS;
    let mut verdict = vec![0; count];
    let mut withheld = Vec::new();
    for (i, verdict) in verdict.iter_mut().enumerate() {
        let alert = batch.alert(i);
        let decided = if words == 0 {
            rule.evaluate(&alert, &mut R::State::from_words(&[]))
        } else {
            let slot = batch.slot[i] as usize;
            let Some(entry) = slot.checked_mul(words).and_then(|start| state.get_mut(start..)?.get_mut(..words)) else {
                return Err(beyond_table(i, slot, state.len() / words));
            };
            let mut of_slot = R::State::from_words(entry);
            let decided = rule.evaluate(&alert, &mut of_slot);
            of_slot.to_words(entry);
            decided
        };
        // Stored either way: a store that depends on the verdict would be a branch, and verdicts are hard to predict.
        *verdict = match decided {
            Verdict::Forward | Verdict::ForwardFor { withheld: 0 } => 0,
            Verdict::ForwardFor { withheld: others } => {
                note_withheld(&mut withheld, count, i, others);
                0
            }
            Verdict::Suppress(reason) => reason.number(),
        };
    }
    Ok(Outcome { verdict, withheld })
}

/// Most batches withhold nothing, so the column is made when the first alert needs it.
#[cold]
fn note_withheld(withheld: &mut Vec<u32>, count: usize, i: usize, others: u32) {
    withheld.resize(count, 0);
    withheld[i] = others;
}

#[cold]
fn beyond_table(alert: usize, slot: usize, entries: usize) -> String {
    format!("alert {alert}: slot {slot} lies beyond the state table of {entries} entries")
}

impl<'a> Batch<'a> {
    /// How many alerts.
    pub fn len(&self) -> usize {
        self.device.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.device.is_empty()
    }

    /// Fails with the column that has another length than the first.
    fn check_lengths(&self) -> Result<(), String> {
        let count = self.device.len();
        let others = [
            ("slot", self.slot.len()),
            ("code", self.code.len()),
            ("occurred-ms", self.occurred_ms.len()),
            ("measurement", self.measurement.len()),
            ("weight", self.weight.len()),
            ("flags", self.flags.len()),
            ("operator", self.operator.len()),
            ("model", self.model.len()),
        ];
        match others.into_iter().find(|(_, entries)| *entries != count) {
            Some((name, entries)) => {
                Err(format!("column {name} has {entries} entries where column device has {count}"))
            }
            None => Ok(()),
        }
    }

    /// The same columns, cut to the length they have been checked to have: what the compiler sees, it need not check
    /// again for each alert.
    ///
    /// Always inlined, as `alert` is: measured, a call for each alert costs more than a simple rule does, since the
    /// alert is then built in memory with every column it has.
    #[inline(always)]
    fn cut(&self, count: usize) -> Self {
        Self {
            device: &self.device[..count],
            slot: &self.slot[..count],
            code: &self.code[..count],
            occurred_ms: &self.occurred_ms[..count],
            measurement: &self.measurement[..count],
            weight: &self.weight[..count],
            flags: &self.flags[..count],
            operator: &self.operator[..count],
            model: &self.model[..count],
        }
    }

    #[inline(always)]
    fn alert(&self, i: usize) -> Alert {
        let (flags, measurement) = (self.flags[i], self.measurement[i]);
        Alert {
            device: self.device[i],
            code: AlertCode(self.code[i]),
            occurred_ms: self.occurred_ms[i],
            measurement: (flags & 1 != 0).then_some(measurement),
            weight: self.weight[i],
            generation: Generation::from_flags(flags),
            operator: (self.operator[i] != 0).then_some(self.operator[i]),
            model: ModelId(self.model[i]),
        }
    }
}

#[cfg(test)]
mod tests;
