//! Questions over the past and their answers, by number: what was asked in one table, what came of it in another.
//!
//! It must not know what the texts mean. Invariant: an answer goes with its question.

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::KeptQuestion;

pub(super) const TABLE: Table<u64> = Table::new("question");
pub(super) const ANSWERS: Table<u64> = Table::new("answer");
const VERSION: u8 = 1;

/// Adds or replaces questions, and drops others.
pub(super) fn write(txn: &Transaction, kept: &[KeptQuestion], dropped: &[u64]) -> Result<(), Error> {
    if kept.is_empty() && dropped.is_empty() {
        return Ok(());
    }
    let mut questions = TABLE.write(txn)?;
    let mut answers = ANSWERS.write(txn)?;
    for number in dropped {
        questions.remove(number)?;
        answers.remove(number)?;
    }
    for KeptQuestion { number, head, answer } in kept {
        questions.insert(number, &mut encode(head))?;
        if let Some(answer) = answer {
            answers.insert(number, &mut encode(answer))?;
        }
    }
    Ok(())
}

/// Every question without its answer, in order of numbers.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<KeptQuestion>, Error> {
    let question =
        |number: &u64, value: &[u8]| Ok(KeptQuestion { number: *number, head: decode(value)?, answer: None });
    TABLE.read(txn)?.all()?.decoded(question).collect()
}

/// One answer.
pub(super) fn answer(txn: &ReadTransaction, number: u64) -> Result<Option<String>, Error> {
    ANSWERS.read(txn)?.get(number, decode)
}

fn encode(text: &str) -> Writer {
    let mut out = Writer::new(VERSION);
    out.text(text);
    out
}

fn decode(bytes: &[u8]) -> Result<String, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let text = input.text()?;
    input.finish()?;
    Ok(text)
}
