//! The recorded groups of a range: which they are, and reading them in order.
//!
//! It must not know rules or counts. Invariant: a read snapshot is never held for long, so that the store can take back
//! what it frees; entries that go meanwhile end the question instead of leaving a gap in it.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use super::{Pace, Question, Stopped, pace::Stint};
use crate::{
    domain::{Group, Millis, Position},
    store::{self, GroupHead, Reader},
};

/// How long one read snapshot is held.
const SNAPSHOT_MAX: Duration = Duration::from_millis(500);

/// How the log is read: a fresh snapshot, or why there is none.
pub type Open<'a> = &'a (dyn Fn() -> Result<Reader, Stopped> + Sync);

/// What must be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// The log's oldest entry.
    pub(super) oldest: Position,
    /// Where state begins.
    pub(super) from: Position,
    /// The first group that has rows of the range.
    pub(super) first: Position,
    /// The group of those with the most rows.
    pub(super) largest: Position,
    /// After the last one.
    pub(super) end: Position,
    /// Rows to fold.
    pub(super) rows: u64,
}

pub(super) fn plan(
    question: &Question,
    stateful: bool,
    open: Open<'_>,
    end: Position,
    pace: &Pace,
) -> Result<Plan, Stopped> {
    let (counted, folded) = (question.received_ms(), question.folded_ms());
    let mut plan: Option<Plan> = None;
    let (mut oldest, mut from, mut rows, mut rows_most) = (end, None, 0, 0);
    let heads = open()?.heads(Position(0)).map_err(failed)?;
    let mut seen = 0_u64;
    for head in heads {
        let head = head.map_err(failed)?;
        if head.first >= end {
            break;
        }
        seen += 1;
        if seen.is_multiple_of(1_024) {
            pace.check()?;
        }
        oldest = oldest.min(head.first);
        if stateful && from.is_none() && (folded.start == Millis::MIN || head.received_ms_max >= folded.start) {
            from = Some(head.first);
        }
        let counts = has_rows_of(&head, &counted);
        if counts || (stateful && from.is_some()) {
            rows += u64::from(head.rows);
        }
        if counts {
            let begins = plan.map_or(head.first, |plan| plan.first);
            let largest = if head.rows > rows_most { head.first } else { plan.map_or(begins, |plan| plan.largest) };
            rows_most = rows_most.max(head.rows);
            plan = Some(Plan { oldest, from: from.unwrap_or(begins), first: begins, largest, end: head.end, rows });
        }
    }
    let nothing = Plan { oldest, from: end, first: end, largest: end, end, rows: 0 };
    Ok(plan.map_or(nothing, |plan| Plan { oldest, ..plan }))
}

pub(super) fn has_rows_of(head: &GroupHead, received: &Range<Millis>) -> bool {
    head.rows > 0 && head.received_ms_max >= received.start && head.received_ms_min < received.end
}

/// Which columns of the log are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Columns {
    /// Every one.
    All,
    /// Those that rules and counts need; EUI-64s of devices where one of the rules is shown them.
    ForRules {
        /// One is.
        devices: bool,
    },
}

/// Reads the groups of a range in order, those that are wanted, with rests between them.
pub(super) fn read(
    open: Open<'_>,
    range: Range<Position>,
    pace: &Pace,
    (wanted, columns): (&mut dyn FnMut(&GroupHead) -> bool, Columns),
    take: &mut dyn FnMut(Group, &mut Stint) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let mut at = range.start;
    let mut stint = Stint::begin();
    while at < range.end {
        let mut heads = open()?.heads(at).map_err(failed)?;
        let snapshot_of = Instant::now();
        loop {
            let Some(head) = heads.next() else { return Err(Stopped::Overtaken) };
            let head = head.map_err(failed)?;
            if head.first != at {
                return Err(Stopped::Overtaken);
            }
            at = head.end;
            if wanted(&head) {
                let group = match columns {
                    Columns::All => heads.read(&head),
                    Columns::ForRules { devices } => heads.read_for_rules(&head, devices),
                };
                take(group.map_err(failed)?, &mut stint)?;
            }
            if at >= range.end || snapshot_of.elapsed() >= SNAPSHOT_MAX {
                break;
            }
            pace.rest(&mut stint)?;
        }
    }
    pace.check()
}

pub(super) fn failed(error: store::Error) -> Stopped {
    match error {
        store::Error::Closed | store::Error::Poisoned => Stopped::Interrupted,
        other => Stopped::Failed(format!("store: {other}")),
    }
}
