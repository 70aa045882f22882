//! Questions over the past and their answers, by number: what was asked in one table, what came of it in another.
//!
//! It must not know what the texts mean. Invariant: an answer goes with its question.

use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
};
use crate::domain::KeptQuestion;

const QUESTION: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("question");
const ANSWER: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("answer");
const VERSION: u8 = 1;

/// Makes sure that the tables exist.
pub(super) fn create(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(QUESTION)?;
    txn.open_table(ANSWER)?;
    Ok(())
}

/// Adds or replaces questions, and drops others.
pub(super) fn write(txn: &WriteTransaction, kept: &[KeptQuestion], dropped: &[u64]) -> Result<(), Error> {
    if kept.is_empty() && dropped.is_empty() {
        return Ok(());
    }
    let mut questions = txn.open_table(QUESTION)?;
    let mut answers = txn.open_table(ANSWER)?;
    for number in dropped {
        questions.remove(number)?;
        answers.remove(number)?;
    }
    for KeptQuestion { number, head, answer } in kept {
        questions.insert(number, encode(head).as_bytes())?;
        if let Some(answer) = answer {
            answers.insert(number, encode(answer).as_bytes())?;
        }
    }
    Ok(())
}

/// Every question without its answer, in order of numbers. A store from before there were any has none.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<KeptQuestion>, Error> {
    let table = match txn.open_table(QUESTION) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        table => table?,
    };
    let questions = table.iter()?.map(|entry| {
        let (number, value) = entry?;
        let (number, head) = (number.value(), decode(value.value()));
        let head = head.map_err(|defect| Error::corrupt("question", number, defect))?;
        Ok(KeptQuestion { number, head, answer: None })
    });
    questions.collect()
}

/// One answer.
pub(super) fn answer(txn: &ReadTransaction, number: u64) -> Result<Option<String>, Error> {
    let table = match txn.open_table(ANSWER) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        table => table?,
    };
    let Some(value) = table.get(number)? else { return Ok(None) };
    decode(value.value()).map(Some).map_err(|defect| Error::corrupt("answer", number, defect))
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
