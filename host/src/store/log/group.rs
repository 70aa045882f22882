//! A group as bytes: a short header, the columns, then what is not one a row.
//!
//! It must not know tables. Invariant: `encode` takes only what `decode` gives back unchanged, so an entry that was
//! written can be read.
//!
//! ```text
//! version | first u64 | judged_ms i64 | rows u32 | lagged u8 | settings u32
//! device_no, recipient*, counter, code, received_ms, occurred_ms, measurement, weight, flags, operator, model*,
//! dcc_ms, remarks, sender*, instruction, digest, time_status, mark, withheld: a column each (* may be a dictionary)
//! marks:    count u32 | per mark: end u8, rule u32, reason u8
//! rejected: count u32 | per entry: reason u8, has a code u8, code u16, hour u32, count u64
//! faults:   count u32 | per fault: rule u32, kind u8, first_row u32, row_count u32, detail text
//! shadows:  count u32 | per shadow rule: rule u32, then what it said as a column
//! copies:   were looked for by message u8 | remembered_from u64
//! details:  count u32 | per row with any: row u32, which are there u8, then they
//! ```
//! `lagged` says that the column of occurrence holds `received_ms - occurred_ms`. That of the DCC's time always holds such
//! differences, turned so that 0 stands for none. The device's EUI-64 is not written: its number gives it.

mod details;

use super::super::{
    codec::{Reader, Writer},
    column::{self, Packing::Dictionary, Packing::Frame},
    error::Defect,
};
use crate::domain::{
    AlertCode, End, Fault, FaultKind, Group, Mark, Position, RejectReason, Rejected, Revision, Rows, SettingsNo,
    Shadow, TimeStatus,
};

/// Version 1 had no shadows, and is no longer read. Version 2 had neither the DCC's times nor remarks, version 3 nothing of
/// a message but its counter, and no number of the settings. Version 4 had no details, and a byte for a row's remarks.
const VERSION: u8 = 5;
const VERSION_OF_NARROW_REMARKS: u8 = 4;
const VERSION_WITHOUT_MESSAGES: u8 = 3;
const VERSION_WITHOUT_REMARKS: u8 = 2;
/// Rows of one group: no more than the pipeline ever puts together.
const ROWS_MAX: usize = 65_535;
/// Bytes of one mark, of one entry of rejected, of a fault without its detail, and of a shadow without its column.
const MARK_BYTES: usize = 6;
const REJECTED_BYTES: usize = 16;
const FAULT_BYTES: usize = 17;
const SHADOW_BYTES: usize = 4;
/// Shadow rules of one group: as many as there may be rules.
const SHADOWS_MAX: usize = 1_000;
/// What a shadow rule may have said: not shown, forward, or one of 255 reasons.
const SAID_MAX: u16 = 256;

/// Writes a group over `out`.
pub(in crate::store) fn encode(group: &Group, euis: &[u64], out: &mut Writer) -> Result<(), Defect> {
    check(group, Part::ALL)?;
    let rows = &group.rows;
    let devices = column::look_up(euis, rows.device_no.iter().map(|no| *no as usize));
    if devices.is_none_or(|devices| devices != rows.device) {
        return Err(Defect("a device's number and EUI-64 do not belong together"));
    }
    let lags = || rows.received_ms.iter().zip(&rows.occurred_ms).map(|(received, at)| received.wrapping_sub(*at));
    let lagged = column::frame_width(lags()) < column::frame_width(rows.occurred_ms.iter().copied());

    out.restart(VERSION);
    out.u64(group.first.0);
    out.i64(group.judged_ms);
    out.count(rows.len());
    out.u8(u8::from(lagged));
    out.u32(group.settings.0);
    out.column(rows.device_no.iter().copied(), Frame);
    out.column(rows.recipient.iter().copied(), Dictionary);
    out.column(rows.counter.iter().copied(), Frame);
    out.column(rows.code.iter().copied(), Frame);
    out.column(rows.received_ms.iter().copied(), Frame);
    if lagged {
        out.column(lags(), Frame);
    } else {
        out.column(rows.occurred_ms.iter().copied(), Frame);
    }
    out.column(rows.measurement.iter().copied(), Frame);
    out.column(rows.weight.iter().copied(), Frame);
    out.column(rows.flags.iter().copied(), Frame);
    out.column(rows.operator.iter().copied(), Frame);
    out.column(rows.model.iter().copied(), Dictionary);
    out.column(rows.received_ms.iter().zip(&rows.dcc_ms).map(|(received, dcc)| turned(*received, *dcc)), Frame);
    out.column(rows.remarks.iter().copied(), Frame);
    out.column(rows.sender.iter().copied(), Dictionary);
    out.column(rows.instruction.iter().copied(), Frame);
    out.column(rows.digest.iter().copied(), Frame);
    out.column(rows.time_status.iter().copied(), Frame);
    out.column(group.mark.iter().copied(), Frame);
    out.column(group.withheld.iter().copied(), Frame);
    write_tail(group, out);
    Ok(())
}

fn write_tail(group: &Group, out: &mut Writer) {
    out.count(group.marks.len());
    for mark in &group.marks {
        out.u8(mark.end as u8);
        out.u32(mark.rule.0);
        out.u8(mark.reason);
    }
    out.count(group.rejected.len());
    for rejected in &group.rejected {
        out.u8(rejected.reason as u8);
        out.u8(u8::from(rejected.code.is_some()));
        out.u16(rejected.code.map_or(0, |code| code.0));
        out.u32(rejected.hour);
        out.u64(rejected.count);
    }
    out.count(group.faults.len());
    for fault in &group.faults {
        out.u32(fault.rule.0);
        out.u8(fault.kind as u8);
        out.u32(fault.first_row);
        out.u32(fault.row_count);
        out.text(&fault.detail);
    }
    out.count(group.shadows.len());
    for shadow in &group.shadows {
        out.u32(shadow.rule.0);
        out.column(shadow.said.iter().copied(), Frame);
    }
    out.u8(u8::from(group.remembered_from.is_some()));
    out.u64(group.remembered_from.map_or(0, |from| from.0));
    details::write(&group.rows.details, out);
}

/// Reads a group. `euis` are the devices' EUI-64s by number, at least those known when it was written.
pub(in crate::store) fn decode(bytes: &[u8], euis: &[u64]) -> Result<Group, Defect> {
    decode_part(bytes, euis, Part::ALL)
}

/// Which of the columns that no rule and no question may need are read; the others are left empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// EUI-64s of devices.
    pub(super) devices: bool,
    /// Recipients, originator counters and what else tells messages apart, the DCC's times and remarks.
    pub(super) messages: bool,
}

impl Part {
    const ALL: Self = Self { devices: true, messages: true };
}

/// Reads a part of a group.
pub(super) fn decode_part(bytes: &[u8], euis: &[u64], part: Part) -> Result<Group, Defect> {
    let versions = [VERSION_WITHOUT_REMARKS, VERSION_WITHOUT_MESSAGES, VERSION_OF_NARROW_REMARKS, VERSION];
    let (version, mut input) = Reader::of_versions(bytes, &versions)?;
    let first = Position(input.u64()?);
    let judged_ms = input.i64()?;
    let count = input.u32()? as usize;
    if count > ROWS_MAX {
        return Err(Defect("it has more rows than a group can"));
    }
    let lagged = input.flag()?;
    let settings = if version >= VERSION_OF_NARROW_REMARKS { SettingsNo(input.u32()?) } else { SettingsNo::UNKNOWN };
    let mut rows = read_rows(&mut input, count, part)?;
    if version >= VERSION_WITHOUT_MESSAGES {
        read_remarks(&mut input, &mut rows, part)?;
    } else if part.messages {
        (rows.dcc_ms, rows.remarks) = (vec![0; count], vec![0; count]);
    }
    if version >= VERSION_OF_NARROW_REMARKS {
        read_messages(&mut input, &mut rows, part)?;
    }
    if lagged {
        for (at, received) in rows.occurred_ms.iter_mut().zip(&rows.received_ms) {
            *at = received.wrapping_sub(*at);
        }
    }
    if version < VERSION_OF_NARROW_REMARKS && part.messages {
        (rows.sender, rows.instruction, rows.digest) = (vec![0; count], vec![0; count], vec![0; count]);
        // A time that was not stated was made that of receipt.
        let status = |(at, received)| if at == received { TimeStatus::NotStated } else { TimeStatus::Stated } as u8;
        rows.time_status = rows.occurred_ms.iter().zip(&rows.received_ms).map(status).collect();
    }
    if part.devices {
        let numbers = rows.device_no.iter().map(|no| *no as usize);
        rows.device = column::look_up(euis, numbers).ok_or(Defect("it names a device that is not there"))?;
    }
    let mut group = Group {
        first,
        judged_ms,
        settings,
        rows,
        mark: input.column(count)?,
        withheld: input.column(count)?,
        marks: input.list(MARK_BYTES, read_mark)?,
        rejected: input.list(REJECTED_BYTES, read_rejected)?,
        faults: input.list(FAULT_BYTES, read_fault)?,
        shadows: read_shadows(&mut input, count)?,
        remembered_from: None,
    };
    if version >= VERSION_OF_NARROW_REMARKS {
        let by_message = input.flag()?;
        group.remembered_from = Some(Position(input.u64()?)).filter(|_| by_message);
    }
    if version >= VERSION {
        let details = details::read(&mut input)?;
        // Details are of messages, and in no other part.
        group.rows.details = if part.messages { details } else { Vec::new() };
    }
    input.finish()?;
    check(&group, part)?;
    Ok(group)
}

/// The columns of the alerts, without the EUI-64s and with the column of occurrence as it is stored.
fn read_rows(input: &mut Reader<'_>, count: usize, part: Part) -> Result<Rows, Defect> {
    let device_no = input.column(count)?;
    let (mut recipient, mut counter) = (Vec::new(), Vec::new());
    if part.messages {
        (recipient, counter) = (input.column(count)?, input.column(count)?);
    } else {
        input.skip_column::<u64>(count)?;
        input.skip_column::<u64>(count)?;
    }
    Ok(Rows {
        device_no,
        recipient,
        counter,
        code: input.column(count)?,
        received_ms: input.column(count)?,
        occurred_ms: input.column(count)?,
        measurement: input.column(count)?,
        weight: input.column(count)?,
        flags: input.column(count)?,
        operator: input.column(count)?,
        model: input.column(count)?,
        ..Rows::default()
    })
}

/// The DCC's times and remarks.
fn read_remarks(input: &mut Reader<'_>, rows: &mut Rows, part: Part) -> Result<(), Defect> {
    let count = rows.len();
    if !part.messages {
        input.skip_column::<i64>(count)?;
        return input.skip_column::<u32>(count);
    }
    rows.dcc_ms = input.column(count)?;
    rows.remarks = input.column(count)?;
    for (dcc, received) in rows.dcc_ms.iter_mut().zip(&rows.received_ms) {
        *dcc = turned_back(*received, *dcc);
    }
    Ok(())
}

/// What tells messages apart beside their counters.
fn read_messages(input: &mut Reader<'_>, rows: &mut Rows, part: Part) -> Result<(), Defect> {
    let count = rows.len();
    if !part.messages {
        input.skip_column::<u64>(count)?;
        input.skip_column::<u32>(count)?;
        input.skip_column::<u64>(count)?;
        return input.skip_column::<u8>(count);
    }
    rows.sender = input.column(count)?;
    rows.instruction = input.column(count)?;
    rows.digest = input.column(count)?;
    rows.time_status = input.column(count)?;
    Ok(())
}

/// The difference between two times, one of which may be none (0). Differences from 0 up to that of none make room for it
/// at 0 by one step away from there, so that columns without such times take no room and others little.
fn turned(received: i64, dcc: i64) -> i64 {
    let lag = received.wrapping_sub(dcc);
    match lag {
        _ if dcc == 0 => 0,
        lag if (0..received).contains(&lag) => lag + 1,
        lag if lag <= 0 && lag > received => lag - 1,
        lag => lag,
    }
}

/// The time that [`turned`] gave a difference for.
fn turned_back(received: i64, turned: i64) -> i64 {
    let lag = match turned {
        0 => return 0,
        turned if (1..=received).contains(&turned) => turned - 1,
        turned if turned < 0 && turned >= received => turned + 1,
        turned => turned,
    };
    received.wrapping_sub(lag)
}

fn read_mark(input: &mut Reader<'_>) -> Result<Mark, Defect> {
    let end = End::from_number(input.u8()?).ok_or(Defect("a mark's end is not known"))?;
    Ok(Mark { end, rule: Revision(input.u32()?), reason: input.u8()? })
}

fn read_rejected(input: &mut Reader<'_>) -> Result<Rejected, Defect> {
    let reason = RejectReason::from_number(input.u8()?).ok_or(Defect("a reason to reject is not known"))?;
    let has_code = input.flag()?;
    let code = AlertCode(input.u16()?);
    Ok(Rejected { reason, code: has_code.then_some(code), hour: input.u32()?, count: input.u64()? })
}

fn read_fault(input: &mut Reader<'_>) -> Result<Fault, Defect> {
    let rule = Revision(input.u32()?);
    let kind = FaultKind::from_number(input.u8()?).ok_or(Defect("a kind of fault is not known"))?;
    Ok(Fault { rule, kind, first_row: input.u32()?, row_count: input.u32()?, detail: input.text()? })
}

/// A column of equal values is a few bytes for any number of rows, so what is read is bounded by count too.
fn read_shadows(input: &mut Reader<'_>, rows: usize) -> Result<Vec<Shadow>, Defect> {
    let count = input.count(SHADOW_BYTES)?;
    if count > SHADOWS_MAX {
        return Err(Defect("it has more shadow rules than a chain can"));
    }
    (0..count).map(|_| Ok(Shadow { rule: Revision(input.u32()?), said: input.column(rows)? })).collect()
}

/// What every group must satisfy, whether it comes or goes: nobody who indexes by it can miss.
fn check(group: &Group, part: Part) -> Result<(), Defect> {
    let rows = &group.rows;
    let count = rows.len();
    let if_read = |read: bool, length: usize| if read { length } else { count };
    let lengths = [
        if_read(part.devices, rows.device.len()),
        if_read(part.messages, rows.recipient.len()),
        if_read(part.messages, rows.counter.len()),
        if_read(part.messages, rows.dcc_ms.len()),
        if_read(part.messages, rows.remarks.len()),
        if_read(part.messages, rows.sender.len()),
        if_read(part.messages, rows.instruction.len()),
        if_read(part.messages, rows.digest.len()),
        if_read(part.messages, rows.time_status.len()),
        rows.code.len(),
        rows.occurred_ms.len(),
        rows.received_ms.len(),
        rows.measurement.len(),
        rows.weight.len(),
        rows.flags.len(),
        rows.operator.len(),
        rows.model.len(),
        group.mark.len(),
        group.withheld.len(),
    ];
    let marks = group.marks.len();
    let shadows = &group.shadows;
    let in_rows = |fault: &Fault| u64::from(fault.first_row) + u64::from(fault.row_count) <= count as u64;
    match () {
        () if count > ROWS_MAX => Err(Defect("it has more rows than a group can")),
        () if lengths.iter().any(|length| *length != count) => Err(Defect("its columns differ in length")),
        () if group.first.0.checked_add(count.max(1) as u64).is_none() => Err(Defect("it ends past the last position")),
        () if !group.mark.iter().fold(true, |all, mark| all & (usize::from(*mark) < marks)) => {
            Err(Defect("a row's mark is not there"))
        }
        () if group.marks.iter().any(|mark| mark.end == End::Rejected) => Err(Defect("a mark says rejected")),
        () if rows.time_status.iter().any(|status| TimeStatus::from_number(*status).is_none()) => {
            Err(Defect("a status of a time is not known"))
        }
        () if !details::are_in_order(&rows.details, count) => Err(Defect("details are of no row, or out of order")),
        () if shadows.len() > SHADOWS_MAX => Err(Defect("it has more shadow rules than a chain can")),
        () if shadows.iter().any(|shadow| shadow.said.len() != count) => {
            Err(Defect("what a shadow rule said differs in length"))
        }
        () if shadows.iter().any(|shadow| shadow.said.iter().any(|said| *said > SAID_MAX)) => {
            Err(Defect("a shadow rule said what no rule can"))
        }
        () if !group.faults.iter().all(in_rows) => Err(Defect("a fault lies outside its rows")),
        () => Ok(()),
    }
}

#[cfg(test)]
mod tests;
