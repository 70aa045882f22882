//! Folding the log again: over what was written last after a crash, or from nothing to verify.
//!
//! It must not know where groups are kept. Invariant: what it computes equals what was recorded, or it says where it
//! does not.

use std::fmt;

use crate::{
    admit::{Memory, Note},
    domain::{End, Fault, FaultKind, Group, Mark, Metering, Millis, Position, Revision, SettingsNo, Shadow},
    evaluate::{Chain, Judged, Judgement, State, judge},
};

/// Log and fold disagree: the plugin, the engine or the disk is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("log position {position}: recorded {recorded:?}, computed {computed:?}; {cause}")]
pub struct Divergence {
    /// The rule that does not do again what it did: the first in the chain that could have caused it.
    pub rule: Revision,
    /// The first alert they differ on.
    pub position: Position,
    /// Recorded mark and withheld count.
    pub recorded: (Mark, u32),
    /// What the fold says now.
    pub computed: (Mark, u32),
    /// The settings of then.
    pub settings: SettingsNo,
    /// What can have caused it.
    pub cause: Cause,
}

/// What can have made the fold say something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The rule of this revision, which was shown the same under the same settings: it is no pure function.
    Rule(Revision),
    /// Something of this host, in words. The rule may well be pure.
    Host(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => write!(f, "revision {} is to blame", rule.0),
            Self::Host(why) => write!(f, "no rule is to blame: {why}"),
        }
    }
}

/// A fold of recorded groups, in log order.
#[derive(Debug, Default)]
pub struct Replay {
    /// The state so far.
    pub state: State,
    /// Of how many parts this is which: devices of other parts are left out. `None`: all devices.
    pub part: Option<(u32, u32)>,
    /// Rules that diverged before: what the log says of them is taken.
    pub obeyed: Vec<Revision>,
    /// Which alerts are copies is taken from the log, and no messages are remembered: what came before is not there to tell it
    /// by.
    pub copies_on_record: bool,
    /// Messages are remembered from here on. Where more would be needed, the log is taken for which alerts are copies.
    pub remembers_from: Position,
}

impl Replay {
    /// Folds one group with the chain as it was then.
    pub fn fold(&mut self, chain: &Chain, group: &Group) -> Result<(), Divergence> {
        let rows = &group.rows;
        let skipped: Vec<bool> = rows.device_no.iter().map(|no| !self.wants(*no, group.first)).collect();
        let wanted = || (0..rows.len()).filter(|row| !skipped[*row]);
        let duplicate = self.find_copies(chain, group, &skipped);
        if wanted().next().is_none() {
            return Ok(());
        }
        self.make_room(chain);
        let judgement = Judgement {
            rows,
            duplicate: &duplicate,
            skipped: &skipped,
            recorded: &group.faults,
            metering: Metering::Replay,
            obeyed: (!self.obeyed.is_empty()).then_some((&self.obeyed, group)),
            sheds: false,
            search: &|_| false,
            shares: None,
        };
        let judged = judge(&mut self.state, chain, judgement);
        // A rule that says something else changes what the rules after it are shown: the first in the chain is the one.
        let place = |rule: Revision| chain.rules.iter().position(|other| other.revision == rule).unwrap_or(usize::MAX);
        let found = [
            self.other_mark(chain, group, &judged, wanted()),
            new_fault(group, &judged),
            self.other_word(group, &judged.shadows, wanted()),
        ];
        if let Some(divergence) = found.into_iter().flatten().min_by_key(|divergence| place(divergence.rule)) {
            return Err(divergence);
        }
        for row in wanted() {
            self.state.count(rows.device_no[row], group.mark_of(row).end);
        }
        self.state.touch(wanted().map(|row| rows.device_no[row]), group.first);
        Ok(())
    }

    /// Remembers the messages of a group that lies before all that is folded.
    pub fn remember(&mut self, group: &Group) {
        let note = |row: usize| match self.is_of_part(group.rows.device_no[row]) {
            true => Note::Remember { copy: group.mark_of(row).end == End::Duplicate },
            false => Note::Skip,
        };
        let notes: Vec<Note> = (0..group.rows.len()).map(note).collect();
        let memory = Memory { from: self.remembers_from, since_ms: Millis::MIN };
        self.state.copies.note_rows(&group.rows, group.first, memory, |_| false, |row| notes[row]);
    }

    /// Which rows are copies: found out again, or as it is on record.
    fn find_copies(&mut self, chain: &Chain, group: &Group, skipped: &[bool]) -> Vec<bool> {
        let on_record = |row: usize| group.mark_of(row).end == End::Duplicate;
        if self.copies_on_record {
            return (0..group.rows.len()).map(on_record).collect();
        }
        let from = group.remembered_from.filter(|from| *from >= self.remembers_from);
        let note = |row: usize| match (skipped[row], from) {
            (true, _) if !self.is_of_part(group.rows.device_no[row]) => Note::Skip,
            (true, _) => Note::Remember { copy: on_record(row) },
            (false, None) => Note::Obey { copy: on_record(row) },
            (false, Some(_)) => Note::Judge,
        };
        let notes: Vec<Note> = (0..group.rows.len()).map(note).collect();
        let memory = Memory { from: from.unwrap_or(self.remembers_from), since_ms: Millis::MIN };
        let is_protected = |code: u16| chain.settings.protected.contains(code);
        let sights = self.state.copies.note_rows(&group.rows, group.first, memory, is_protected, |row| notes[row]);
        sights.into_iter().map(|sight| sight.copy).collect()
    }

    /// Makes room for the state of a chain's rules.
    pub fn make_room(&mut self, chain: &Chain) {
        for rule in &chain.rules {
            if let Some((namespace, key, words)) = rule.namespace {
                self.state.slots_mut(namespace, key, words);
            }
        }
    }

    /// The first alert that ends otherwise than is on record.
    fn other_mark(
        &self,
        chain: &Chain,
        group: &Group,
        judged: &Judged,
        mut wanted: impl Iterator<Item = usize>,
    ) -> Option<Divergence> {
        let computed = |row: usize| (judged.marks[usize::from(judged.mark[row])], judged.withheld[row]);
        let recorded = |row: usize| (group.mark_of(row), group.withheld[row]);
        let differs = |row: &usize| {
            let (recorded, computed) = (recorded(*row), computed(*row));
            // What an obeyed rule withheld cannot be told from what others did.
            recorded.0 != computed.0 || (recorded.1 != computed.1 && self.obeyed.is_empty())
        };
        let row = wanted.find(differs)?;
        let rule = self.blame(chain, recorded(row).0, computed(row).0);
        Some(divergence(group, (rule, row), (recorded(row), computed(row)), None))
    }

    /// The first alert of which a shadow rule does not say again what it said.
    fn other_word(
        &self,
        group: &Group,
        computed: &[Shadow],
        wanted: impl Iterator<Item = usize> + Clone,
    ) -> Option<Divergence> {
        let of = |shadows: &[Shadow], rule, row| {
            shadows.iter().find(|shadow| shadow.rule == rule).and_then(|shadow| shadow.verdict(row))
        };
        let rules = group.shadows.iter().chain(computed).map(|shadow| shadow.rule);
        rules.filter(|rule| !self.obeyed.contains(rule)).find_map(|rule| {
            let differs = |row: &usize| of(&group.shadows, rule, *row) != of(computed, rule, *row);
            let row = wanted.clone().find(differs)?;
            let mark = |verdict: Option<u16>| match verdict {
                Some(reason @ 1..) => Mark { end: End::Suppressed, rule, reason: reason.min(255) as u8 },
                _ => Mark::FORWARDED,
            };
            let said = |shadows: &[Shadow]| (mark(of(shadows, rule, row)), 0);
            Some(divergence(group, (rule, row), (said(&group.shadows), said(computed)), None))
        })
    }

    /// The first rule of the chain that either mark names; else the first with state.
    fn blame(&self, chain: &Chain, recorded: Mark, computed: Mark) -> Revision {
        let suspects = || chain.rules.iter().filter(|rule| !self.obeyed.contains(&rule.revision));
        let named = suspects().find(|rule| [recorded.rule, computed.rule].contains(&rule.revision));
        let stateful = || suspects().find(|rule| rule.namespace.is_some());
        named.or_else(stateful).map_or(Revision::NONE, |rule| rule.revision)
    }

    fn is_of_part(&self, device_no: u32) -> bool {
        self.part.is_none_or(|(which, of)| device_no % of == which)
    }

    fn wants(&self, device_no: u32, first: Position) -> bool {
        self.is_of_part(device_no) && self.state.is_behind(device_no, first)
    }
}

/// A call that fails and did not fail then: what a rule keeps would be lost with it, even where all its verdicts are those on
/// record.
fn new_fault(group: &Group, judged: &Judged) -> Option<Divergence> {
    let is_new = |fault: &&Fault| fault.kind.is_of_a_call() && !group.faults.contains(fault);
    let fault = judged.faults.iter().find(is_new)?;
    let row = fault.first_row as usize;
    let recorded = (group.mark_of(row), group.withheld[row]);
    let computed = (judged.marks[usize::from(judged.mark[row])], judged.withheld[row]);
    Some(divergence(group, (fault.rule, row), (recorded, computed), Some(fault)))
}

fn divergence(
    group: &Group,
    (rule, row): (Revision, usize),
    (recorded, computed): ((Mark, u32), (Mark, u32)),
    fault: Option<&Fault>,
) -> Divergence {
    let (position, settings, cause) = (group.first.after(row), group.settings, cause_of(group, rule, fault));
    Divergence { rule, position, recorded, computed, settings, cause }
}

/// What can have made a rule do something else than is on record, or fail.
fn cause_of(group: &Group, rule: Revision, fault: Option<&Fault>) -> Cause {
    match fault {
        _ if group.settings == SettingsNo::UNKNOWN => {
            Cause::Host("the log does not tell the settings of then, so today's were used".to_owned())
        }
        // What ran then was given the room of then: it is this machine that does not have it, or not in time.
        Some(Fault { kind: kind @ (FaultKind::Memory | FaultKind::Deadline), detail, .. }) => {
            Cause::Host(format!("its call fails here and did not fail then ({}: {detail})", kind.name()))
        }
        _ => Cause::Rule(rule),
    }
}

/// Counts what a group did to its devices: the live side of what [`Replay::fold`] does.
pub fn count_devices(state: &mut State, group: &Group) {
    let ends: Vec<End> = group.marks.iter().map(|mark| mark.end).collect();
    for (device_no, mark) in group.rows.device_no.iter().zip(&group.mark) {
        state.count(*device_no, ends[usize::from(*mark)]);
    }
    state.touch(group.rows.device_no.iter().copied(), group.first);
}
