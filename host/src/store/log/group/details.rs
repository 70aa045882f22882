//! The details of a group's alerts as bytes: few have any, so they are a list and no column.
//!
//! Invariant: what `read` gives back is what `write` was given.

use super::super::super::{
    codec::{Reader, Writer},
    error::Defect,
};
use crate::domain::{AlertCode, Details, Mpxn, Note};

/// Which details are there, a bit each. Never reuse one.
const MPXN: u8 = 1;
const THROTTLE_SEQUENCE: u8 = 2;
const INSTRUCTION_COUNT: u8 = 4;
const INTERRUPTED: u8 = 8;
const RESTORED: u8 = 16;
const INNER_CODE: u8 = 32;
const NOTE: u8 = 64;

/// Bytes of a row's details at least: its number, and which are there.
const BYTES_MIN: usize = 5;

/// Appends the details of all rows.
pub(super) fn write(all: &[(u32, Details)], out: &mut Writer) {
    out.count(all.len());
    for (row, details) in all {
        let Details { mpxn, throttle_sequence, instruction_count, interrupted_ms, restored_ms, inner_code, note } =
            details;
        let bit = |is_there: bool, bit: u8| if is_there { bit } else { 0 };
        out.u32(*row);
        out.u8(bit(*mpxn != Mpxn::NONE, MPXN)
            | bit(throttle_sequence.is_some(), THROTTLE_SEQUENCE)
            | bit(*instruction_count != 0, INSTRUCTION_COUNT)
            | bit(interrupted_ms.is_some(), INTERRUPTED)
            | bit(restored_ms.is_some(), RESTORED)
            | bit(inner_code.is_some(), INNER_CODE)
            | bit(*note != Note::default(), NOTE));
        if *mpxn != Mpxn::NONE {
            out.u64(mpxn.number());
        }
        throttle_sequence.iter().for_each(|number| out.u32(*number));
        if *instruction_count != 0 {
            out.u16(*instruction_count);
        }
        interrupted_ms.iter().chain(restored_ms).for_each(|ms| out.i64(*ms));
        inner_code.iter().for_each(|code| out.u16(code.0));
        if *note != Note::default() {
            out.text(note.as_str());
        }
    }
}

/// Reads the details of all rows.
pub(super) fn read(input: &mut Reader<'_>) -> Result<Vec<(u32, Details)>, Defect> {
    input.list(BYTES_MIN, |input| {
        let row = input.u32()?;
        let there = input.u8()?;
        if there & 0x80 != 0 {
            return Err(Defect("a detail is not known"));
        }
        let mut details = Details::default();
        if there & MPXN != 0 {
            details.mpxn = Mpxn::from_number(input.u64()?);
        }
        if there & THROTTLE_SEQUENCE != 0 {
            details.throttle_sequence = Some(input.u32()?);
        }
        if there & INSTRUCTION_COUNT != 0 {
            details.instruction_count = input.u16()?;
        }
        if there & INTERRUPTED != 0 {
            details.interrupted_ms = Some(input.i64()?);
        }
        if there & RESTORED != 0 {
            details.restored_ms = Some(input.i64()?);
        }
        if there & INNER_CODE != 0 {
            details.inner_code = Some(AlertCode(input.u16()?));
        }
        if there & NOTE != 0 {
            details.note = Note::kept(&input.text()?).ok_or(Defect("a note is none"))?;
        }
        Ok((row, details))
    })
}

/// Returns true if each is of a row, and of another than the one before.
pub(super) fn are_in_order(all: &[(u32, Details)], rows: usize) -> bool {
    all.is_sorted_by(|(before, _), (row, _)| before < row) && all.last().is_none_or(|(row, _)| (*row as usize) < rows)
}
