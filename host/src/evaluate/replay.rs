//! Folding the log again: over what was written last after a crash, or from nothing to verify.
//!
//! It must not know where groups are kept. Invariant: what it computes equals what was recorded, or it says where it
//! does not.

use crate::{
    admit::{Memory, Note},
    domain::{End, Group, Mark, Metering, Millis, Position, Revision, Shadow},
    evaluate::{Chain, Judgement, State, judge},
};

/// Log and fold disagree: the plugin, the engine or the disk is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("log position {position}: recorded {recorded:?}, computed {computed:?}; revision {} is to blame", rule.0)]
pub struct Divergence {
    /// The rule that does not do again what it did: the first in the chain that could have caused it.
    pub rule: Revision,
    /// The first alert they differ on.
    pub position: Position,
    /// Recorded mark and withheld count.
    pub recorded: (Mark, u32),
    /// What the fold says now.
    pub computed: (Mark, u32),
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
        self.check_shadows(group, &judged.shadows, wanted())?;
        for row in wanted() {
            let recorded = (group.mark_of(row), group.withheld[row]);
            let computed = (judged.marks[usize::from(judged.mark[row])], judged.withheld[row]);
            // What an obeyed rule withheld cannot be told from what others did.
            let same = recorded.0 == computed.0 && (recorded.1 == computed.1 || !self.obeyed.is_empty());
            if !same {
                let rule = self.blame(chain, recorded.0, computed.0);
                return Err(Divergence { rule, position: group.first.after(row), recorded, computed });
            }
            self.state.count(rows.device_no[row], recorded.0.end);
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
        let is_protected = |code: u16| chain.protected.contains(code);
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

    /// Whether shadow rules said again what they said.
    fn check_shadows(
        &self,
        group: &Group,
        computed: &[Shadow],
        wanted: impl Iterator<Item = usize> + Clone,
    ) -> Result<(), Divergence> {
        let of = |shadows: &[Shadow], rule, row| {
            shadows.iter().find(|shadow| shadow.rule == rule).and_then(|shadow| shadow.verdict(row))
        };
        let rules = group.shadows.iter().chain(computed).map(|shadow| shadow.rule);
        for rule in rules.filter(|rule| !self.obeyed.contains(rule)) {
            let differs = |row: &usize| of(&group.shadows, rule, *row) != of(computed, rule, *row);
            if let Some(row) = wanted.clone().find(differs) {
                let mark = |verdict: Option<u16>| match verdict {
                    Some(reason @ 1..) => Mark { end: End::Suppressed, rule, reason: reason.min(255) as u8 },
                    _ => Mark::FORWARDED,
                };
                let recorded = (mark(of(&group.shadows, rule, row)), 0);
                let computed = (mark(of(computed, rule, row)), 0);
                return Err(Divergence { rule, position: group.first.after(row), recorded, computed });
            }
        }
        Ok(())
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

/// Counts what a group did to its devices: the live side of what [`Replay::fold`] does.
pub fn count_devices(state: &mut State, group: &Group) {
    let ends: Vec<End> = group.marks.iter().map(|mark| mark.end).collect();
    for (device_no, mark) in group.rows.device_no.iter().zip(&group.mark) {
        state.count(*device_no, ends[usize::from(*mark)]);
    }
    state.touch(group.rows.device_no.iter().copied(), group.first);
}
