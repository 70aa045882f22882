//! What each producer was told of its last batches, so that a resend gets the same answer.
//!
//! It must not know what a batch holds. Invariant: of each producer, at least the last few answers are there, in the
//! same transaction as the alerts they are about.

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::{Ack, Balance, Position, ProducerMark, Remark, RemarkCounts};

/// By producer and sequence.
pub(super) const TABLE: Table<(&str, u64)> = Table::new("producer");
/// Version 1 had neither counts of remarks nor bookmarks, version 2 the counts of the first four.
const VERSION: u8 = 3;
const VERSION_OF_FOUR_REMARKS: u8 = 2;
const VERSION_WITHOUT_REMARKS: u8 = 1;

/// Adds answers, and drops what is older than the last `kept` sequences of a producer.
pub(super) fn write(txn: &Transaction, marks: &[ProducerMark], kept: u64) -> Result<(), Error> {
    if marks.is_empty() {
        return Ok(());
    }
    let mut table = TABLE.write(txn)?;
    for mark in marks {
        let producer = mark.producer.as_str();
        table.insert((producer, mark.ack.sequence), &mut encode(mark))?;
        if let Some(last_old) = mark.ack.sequence.checked_sub(kept) {
            table.remove_range((producer, 0)..=(producer, last_old))?;
        }
    }
    Ok(())
}

/// The last `kept` answers of every producer, in order of producer and sequence.
pub(super) fn read(txn: &ReadTransaction, kept: u64) -> Result<Vec<ProducerMark>, Error> {
    let marks = TABLE.read(txn)?.all()?.decoded(|(producer, sequence), value| decode(producer, *sequence, value));
    let marks: Vec<ProducerMark> = marks.collect::<Result<_, _>>()?;
    // More are there when fewer are to be kept than before.
    let of_producer = marks.chunk_by(|a, b| a.producer == b.producer);
    let kept = usize::try_from(kept).unwrap_or(usize::MAX);
    Ok(of_producer.flat_map(|marks| &marks[marks.len().saturating_sub(kept)..]).cloned().collect())
}

pub(super) fn encode(mark: &ProducerMark) -> Writer {
    let ProducerMark { producer: _, ack, bookmark } = mark;
    let mut out = Writer::new(VERSION);
    out.u64(ack.position.0);
    out.u64(ack.balance.forwarded);
    out.u64(ack.balance.suppressed);
    out.u64(ack.balance.rejected);
    out.u64(ack.balance.duplicate);
    out.count(ack.rejections.len());
    for (index, message) in &ack.rejections {
        out.u32(*index);
        out.text(message);
    }
    ack.remarks.each().into_iter().for_each(|(_, count)| out.u64(count));
    out.count(bookmark.len());
    out.raw(bookmark);
    out
}

pub(super) fn decode(producer: &str, sequence: u64, bytes: &[u8]) -> Result<ProducerMark, Defect> {
    let (version, mut input) =
        Reader::of_versions(bytes, &[VERSION_WITHOUT_REMARKS, VERSION_OF_FOUR_REMARKS, VERSION])?;
    let mut ack = Ack {
        sequence,
        position: Position(input.u64()?),
        balance: Balance {
            forwarded: input.u64()?,
            suppressed: input.u64()?,
            rejected: input.u64()?,
            duplicate: input.u64()?,
        },
        rejections: input.list(8, |input| Ok((input.u32()?, input.text()?)))?,
        remarks: RemarkCounts::default(),
    };
    let mut bookmark = Vec::new();
    if version != VERSION_WITHOUT_REMARKS {
        let mut counts = [0; Remark::ALL.len()];
        let counted = if version == VERSION { counts.len() } else { 4 };
        for count in counts.iter_mut().take(counted) {
            *count = input.u64()?;
        }
        ack.remarks = RemarkCounts::listed(counts);
        bookmark = input.list(1, Reader::u8)?;
    }
    input.finish()?;
    Ok(ProducerMark { producer: producer.to_owned(), ack, bookmark })
}
