//! The path every batch takes, sandboxed or native: columns in, the rule asked alert by alert, verdicts out.
//!
//! It must not know how the columns arrived. Invariant: a slot's state is read and written in the order of the
//! alerts, so the result does not depend on where a stream is cut into batches.

use crate::{Alert, AlertCode, Generation, ModelId, Reason, Rule, State, Verdict};

/// The columns a rule reads beside code and generation, which every rule gets. What it does not read is not copied
/// into its sandbox, and reads as not known (a weight as 1), in unit tests too.
/// `Columns { measurement: true, ..Columns::NONE }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the field of an alert")]
pub struct Columns {
    pub device: bool,
    pub occurred_ms: bool,
    pub measurement: bool,
    pub weight: bool,
    pub operator: bool,
    pub model: bool,
}

impl Columns {
    /// Code and generation only.
    pub const NONE: Self =
        Self { device: false, occurred_ms: false, measurement: false, weight: false, operator: false, model: false };
    /// All there is.
    pub const ALL: Self =
        Self { device: true, occurred_ms: true, measurement: true, weight: true, operator: true, model: true };
}

/// Alerts column by column: one entry an alert in every column the rule reads, in log order. The fields are those of
/// `wit/rule.wit`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Batch<'a> {
    /// EUI-64.
    pub device: &'a [u64],
    /// Index into the state table; not looked at for a rule without state.
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
    let words = R::State::WORDS;
    let reads = R::DESCRIPTION.reads;
    batch.check_lengths(reads, words > 0)?;
    let count = batch.len();
    let batch = batch.cut(reads, words > 0);
    let mut verdict = vec![0; count];
    let mut withheld = Vec::new();
    for (i, verdict) in verdict.iter_mut().enumerate() {
        let alert = batch.alert(i, reads);
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
        // Numbers first and no work in the arms, so that they become selections: a branch would be guessed wrong often,
        // verdicts being hard to predict.
        let (number, others) = match decided {
            Verdict::Forward => (0, 0),
            Verdict::ForwardFor { withheld } => (0, withheld),
            Verdict::Suppress(reason) => (reason.number(), 0),
        };
        *verdict = number;
        if others != 0 {
            note_withheld(&mut withheld, count, i, others);
        }
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
        self.code.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.code.is_empty()
    }

    /// Fails with the column, of those that are read, that has another length than the codes.
    fn check_lengths(&self, reads: Columns, slots: bool) -> Result<(), String> {
        let count = self.code.len();
        let others = [
            ("flags", true, self.flags.len()),
            ("slot", slots, self.slot.len()),
            ("device", reads.device, self.device.len()),
            ("occurred-ms", reads.occurred_ms, self.occurred_ms.len()),
            ("measurement", reads.measurement, self.measurement.len()),
            ("weight", reads.weight, self.weight.len()),
            ("operator", reads.operator, self.operator.len()),
            ("model", reads.model, self.model.len()),
        ];
        match others.into_iter().find(|(_, read, entries)| *read && *entries != count) {
            Some((name, _, entries)) => {
                Err(format!("column {name} has {entries} entries where column code has {count}"))
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
    fn cut(&self, reads: Columns, slots: bool) -> Self {
        let count = self.code.len();
        let read = |read: bool| if read { count } else { 0 };
        Self {
            device: &self.device[..read(reads.device)],
            slot: &self.slot[..read(slots)],
            code: self.code,
            occurred_ms: &self.occurred_ms[..read(reads.occurred_ms)],
            measurement: &self.measurement[..read(reads.measurement)],
            weight: &self.weight[..read(reads.weight)],
            flags: &self.flags[..count],
            operator: &self.operator[..read(reads.operator)],
            model: &self.model[..read(reads.model)],
        }
    }

    #[inline(always)]
    fn alert(&self, i: usize, reads: Columns) -> Alert {
        let flags = self.flags[i];
        let measurement = if reads.measurement { self.measurement[i] } else { 0 };
        let operator = if reads.operator { self.operator[i] } else { 0 };
        Alert {
            device: if reads.device { self.device[i] } else { 0 },
            code: AlertCode(self.code[i]),
            occurred_ms: if reads.occurred_ms { self.occurred_ms[i] } else { 0 },
            measurement: (reads.measurement & (flags & 1 != 0)).then_some(measurement),
            weight: if reads.weight { self.weight[i] } else { 1 },
            generation: Generation::from_flags(flags),
            operator: (operator != 0).then_some(operator),
            model: if reads.model { ModelId(self.model[i]) } else { ModelId::UNKNOWN },
        }
    }
}

#[cfg(test)]
mod tests;
