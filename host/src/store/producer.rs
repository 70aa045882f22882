//! What each producer was told of its last batches, so that a resend gets the same answer, and another batch under its
//! number is recognised as another.
//!
//! It must not know what a batch holds. Invariant: of each producer, at least the last few answers are there, in the
//! same transaction as the alerts they are about.

use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError};

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction, guarded},
};
use crate::domain::{Ack, Balance, BatchDigest, Position, ProducerKey, ProducerMark, Remark, RemarkCounts};

/// By holder, id and sequence.
pub(super) const TABLE: Table<(&str, &str, u64)> = Table::new("batch");
/// What format 3 and those before it had: by id and sequence, whoever sent.
const BEFORE: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new(BEFORE_NAME);
const BEFORE_NAME: &str = "producer";
/// Version 1 had neither counts of remarks nor bookmarks, version 2 neither digests nor times: both are only found in the
/// table of before.
const VERSION: u8 = 3;
const VERSIONS_BEFORE: [u8; 2] = [1, 2];

/// What is set for a producer of one run.
const EPHEMERAL: u8 = 1;
/// What is set where the digest is known.
const DIGEST: u8 = 2;

/// Reads what a store of a format before has: of each producer the last batch, under no holder and without its answer. What
/// the batch held is not known, so nothing may be taken for a resend of it; how far its producer had come is all that still
/// counts.
pub(super) fn read_before(txn: &ReadTransaction) -> Result<Vec<ProducerMark>, Error> {
    guarded(BEFORE_NAME, || {
        let before = match txn.open_table(BEFORE) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            table => table?,
        };
        let mut last: Vec<ProducerMark> = Vec::new();
        for entry in before.iter()? {
            let (key, value) = entry?;
            let (id, sequence) = key.value();
            let key = ProducerKey { holder: String::new(), id: id.to_owned() };
            let mark = decode_before(key, sequence, value.value())
                .map_err(|defect| Error::corrupt(BEFORE_NAME, format_args!("{id:?} {sequence}"), defect))?;
            last.pop_if(|before| before.key == mark.key);
            last.push(mark);
        }
        Ok(last)
    })
}

/// Drops what formats before 4 had.
pub(super) fn drop_before(txn: &Transaction) -> Result<(), Error> {
    guarded(BEFORE_NAME, || Ok(txn.inner().delete_table(BEFORE).map(drop)?))
}

/// Drops producers, then adds answers, and drops what is older than the last `kept` sequences of a producer.
pub(super) fn write(
    txn: &Transaction,
    dropped: &[ProducerKey],
    marks: &[ProducerMark],
    kept: u64,
) -> Result<(), Error> {
    if dropped.is_empty() && marks.is_empty() {
        return Ok(());
    }
    let mut table = TABLE.write(txn)?;
    for ProducerKey { holder, id } in dropped {
        let (holder, id) = (holder.as_str(), id.as_str());
        table.remove_range((holder, id, 0)..=(holder, id, u64::MAX))?;
    }
    for mark in marks {
        let (holder, id) = (mark.key.holder.as_str(), mark.key.id.as_str());
        table.insert((holder, id, mark.ack.sequence), &mut encode(mark))?;
        if let Some(last_old) = mark.ack.sequence.checked_sub(kept) {
            table.remove_range((holder, id, 0)..=(holder, id, last_old))?;
        }
    }
    Ok(())
}

/// The last `kept` answers of every producer, in order of producer and sequence.
pub(super) fn read(txn: &ReadTransaction, kept: u64) -> Result<Vec<ProducerMark>, Error> {
    let marks = TABLE.read(txn)?.all()?.decoded(|(holder, id, sequence), value| {
        decode(ProducerKey { holder: (*holder).to_owned(), id: (*id).to_owned() }, *sequence, value)
    });
    let marks: Vec<ProducerMark> = marks.collect::<Result<_, _>>()?;
    // More are there when fewer are to be kept than before.
    let of_producer = marks.chunk_by(|a, b| a.key == b.key);
    let kept = usize::try_from(kept).unwrap_or(usize::MAX);
    Ok(of_producer.flat_map(|marks| &marks[marks.len().saturating_sub(kept)..]).cloned().collect())
}

pub(super) fn encode(mark: &ProducerMark) -> Writer {
    let ProducerMark { key: _, ack, bookmark, digest, taken_ms, ran_ms, is_ephemeral } = mark;
    let Ack { sequence: _, position, balance, rejections, remarks } = ack;
    let mut out = Writer::new(VERSION);
    let ephemeral = if *is_ephemeral { EPHEMERAL } else { 0 };
    out.u8(ephemeral | if digest.is_some() { DIGEST } else { 0 });
    digest.iter().for_each(|digest| out.raw(&digest.0));
    out.i64(*taken_ms);
    out.u64(*ran_ms);
    out.u64(position.0);
    out.u64(balance.forwarded);
    out.u64(balance.suppressed);
    out.u64(balance.rejected);
    out.u64(balance.duplicate);
    out.count(rejections.len());
    for (index, message) in rejections {
        out.u32(*index);
        out.text(message);
    }
    // Behind their number: a remark that is added later needs no other version.
    let remarks = remarks.each();
    out.count(remarks.len());
    remarks.into_iter().for_each(|(_, count)| out.u64(count));
    out.count(bookmark.len());
    out.raw(bookmark);
    out
}

pub(super) fn decode(key: ProducerKey, sequence: u64, bytes: &[u8]) -> Result<ProducerMark, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let flags = input.u8()?;
    if flags & !(EPHEMERAL | DIGEST) != 0 {
        return Err(Defect("a flag is not known"));
    }
    let digest = if flags & DIGEST == 0 { None } else { Some(BatchDigest(input.array()?)) };
    let (taken_ms, ran_ms) = (input.i64()?, input.u64()?);
    let answer = answer(sequence, &mut input)?;
    let ack = Ack { remarks: remarks(input.list(8, Reader::u64)?)?, ..answer };
    let bookmark = input.list(1, Reader::u8)?;
    input.finish()?;
    let is_ephemeral = flags & EPHEMERAL != 0;
    Ok(ProducerMark { key, ack, bookmark, digest, taken_ms, ran_ms, is_ephemeral })
}

/// A value of the table of before: its answer is left out, see [`read_before`].
pub(super) fn decode_before(key: ProducerKey, sequence: u64, bytes: &[u8]) -> Result<ProducerMark, Defect> {
    let (version, mut input) = Reader::of_versions(bytes, &VERSIONS_BEFORE)?;
    answer(sequence, &mut input)?;
    let mut bookmark = Vec::new();
    if version > 1 {
        input.raw(4 * 8)?;
        bookmark = input.list(1, Reader::u8)?;
    }
    input.finish()?;
    let ack = Ack { sequence, ..Ack::default() };
    Ok(ProducerMark { key, ack, bookmark, digest: None, taken_ms: 0, ran_ms: 0, is_ephemeral: false })
}

/// An answer without its remarks.
fn answer(sequence: u64, input: &mut Reader<'_>) -> Result<Ack, Defect> {
    Ok(Ack {
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
    })
}

fn remarks(counts: Vec<u64>) -> Result<RemarkCounts, Defect> {
    let mut all = [0; Remark::COUNT];
    all.get_mut(..counts.len()).ok_or(Defect("a remark is not known"))?.copy_from_slice(&counts);
    Ok(RemarkCounts::listed(all))
}
