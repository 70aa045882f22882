//! Whether the store is as it was written and live == replay: every value is read, and the log is folded again with
//! nothing in anybody's place and compared alert by alert.
//!
//! It must not know who asks. Invariant: what it says holds was computed from the log's entries alone; what cannot be
//! computed is counted and said.

use std::{
    collections::BTreeMap,
    iter::Peekable,
    time::{Duration, Instant},
    vec,
};

use serde::{Deserialize, Serialize};

use super::{
    Ground, Pace, Stopped,
    derived::Derived,
    log::{Columns, Open, failed, read},
    pace::Stint,
};
use crate::{
    audit::{Broken, Chain as AuditChain},
    domain::{Group, Millis, Position, Revision, RuleRevision, SettingsNo},
    evaluate::{Cause, Chain, Divergence, Replay},
    store::{self, Place},
};

/// How long one read snapshot is held while values are read.
const SNAPSHOT_MAX: Duration = Duration::from_millis(500);

/// Damage that is told one by one.
const DAMAGE_TOLD_MAX: usize = 100;

/// Entries of the audit log that are read at a time.
const AUDIT_ENTRIES_AT_ONCE: usize = 1_000;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Everything that can be computed is as it was recorded.
    Same,
    /// An alert is not.
    Differs {
        /// Where it stands.
        position: u64,
        /// The rule that is to blame; empty where none is.
        rule: String,
        /// Its revision.
        revision: u32,
        /// What was recorded and what was computed.
        detail: String,
    },
    /// It was not brought to its end, and why.
    Stopped(String),
    /// Values of the store are damaged.
    Damaged,
}

/// A verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Received at or after.
    pub since_ms: Option<Millis>,
    /// Received before.
    pub until_ms: Option<Millis>,
    /// When it was begun.
    pub begun_ms: Millis,
    /// When it ended; `None` while it goes on.
    pub ended_ms: Option<Millis>,
    /// Begun by the host itself.
    pub scheduled: bool,
    /// What came of it; `None` while it goes on.
    pub verdict: Option<Verdict>,
    /// Folded from here.
    pub from: u64,
    /// Everything before was folded.
    pub end: u64,
    /// Alerts that were folded.
    pub alerts: u64,
    /// Of those, alerts that rules failed on, by kind: the record was taken.
    pub not_replayable: BTreeMap<String, u64>,
    /// Rules whose record was taken, because their state or their plugin is not there.
    pub taken_at_their_word: Vec<String>,
    /// What of the store is damaged, as far as it is told one by one.
    #[serde(default)]
    pub damage: Vec<String>,
    /// How much is.
    #[serde(default)]
    pub damage_count: u64,
}

impl Verification {
    fn note_damage(&mut self, table: &str, key: &str, what: &str) {
        self.damage_count += 1;
        if self.damage.len() < DAMAGE_TOLD_MAX {
            self.damage.push(format!("table {table}, key {key}: {what}"));
        }
    }
}

/// Reads every value of the store, follows the audit log's chain, folds the log up to `end` again as far as the range of times asks, and says what came
/// of it. `is_idle`: the host does not run that rule's plugin.
pub fn verify(
    asked: &mut Verification,
    ground: &Ground,
    is_idle: &dyn Fn(&RuleRevision) -> bool,
    open: Open<'_>,
    end: Position,
    pace: &Pace,
) -> Result<(), Stopped> {
    examine(asked, open, pace)?;
    follow_audit(asked, open, pace)?;
    match fold_again(asked, ground, is_idle, open, end, pace) {
        // It met what is damaged, and what that is was told.
        Err(Stopped::Failed(_)) if asked.damage_count > 0 => {}
        folded => folded?,
    }
    if asked.damage_count > 0 && !matches!(asked.verdict, Some(Verdict::Differs { .. })) {
        asked.verdict = Some(Verdict::Damaged);
    }
    Ok(())
}

/// Reads every value of every table, with rests between them.
fn examine(asked: &mut Verification, open: Open<'_>, pace: &Pace) -> Result<(), Stopped> {
    let (mut place, mut stint) = (Place::default(), Stint::begin());
    while !place.is_end() {
        let snapshot_of = Instant::now();
        let found = open()?.examine(&mut place, &mut || snapshot_of.elapsed() < SNAPSHOT_MAX).map_err(failed)?;
        found.iter().for_each(|damage| asked.note_damage(damage.table, &damage.key, damage.what));
        pace.rest(&mut stint)?;
    }
    Ok(())
}

/// Follows the chain of the audit log: an entry that was rewritten, checksum and all, breaks it.
fn follow_audit(asked: &mut Verification, open: Open<'_>, pace: &Pace) -> Result<(), Stopped> {
    let mut stint = Stint::begin();
    let broken = AuditChain::default().follow_pages(|from| {
        pace.rest(&mut stint)?;
        match open()?.audit(from, AUDIT_ENTRIES_AT_ONCE) {
            // It was noted with every other damaged value.
            Err(store::Error::Corrupt { .. }) => Ok(Vec::new()),
            entries => entries.map_err(failed),
        }
    })?;
    if let Some(Broken { number, why }) = broken {
        asked.note_damage("audit", &number.to_string(), &why);
    }
    Ok(())
}

fn fold_again(
    asked: &mut Verification,
    ground: &Ground,
    is_idle: &dyn Fn(&RuleRevision) -> bool,
    open: Open<'_>,
    end: Position,
    pace: &Pace,
) -> Result<(), Stopped> {
    let until_ms = asked.until_ms.unwrap_or(Millis::MAX);
    let since_ms = asked.since_ms.unwrap_or(Millis::MIN);
    let (mut from, mut stop, mut rows) = (None, Position(0), 0_u64);
    let mut derived = None;
    let reader = open()?;
    for head in reader.heads(Position(0)).map_err(failed)? {
        let head = head.map_err(failed)?;
        if head.first >= end {
            break;
        }
        if from.is_none() {
            from = Some(head.first);
            let all = asked.since_ms.is_none() && asked.until_ms.is_none();
            derived = all.then(|| Derived::read(&reader, &head)).transpose().map_err(failed)?;
        }
        rows += u64::from(head.rows);
        if head.received_ms_min < until_ms && head.received_ms_max >= since_ms {
            stop = head.end;
        }
    }
    let from = from.unwrap_or(end);
    pace.expect(rows);
    let mut again = Again::new(from, ground, is_idle)?;
    asked.taken_at_their_word.clone_from(&again.taken_at_their_word);
    (asked.from, asked.end) = (from.0, from.0);
    let mut found: Option<Divergence> = None;
    read(open, from..stop.max(from), pace, (&mut |_| true, Columns::All), &mut |group, _| {
        pace.advance(group.rows.len() as u64);
        if found.is_some() {
            return Ok(());
        }
        for fault in &group.faults {
            *asked.not_replayable.entry(fault.kind.name().to_owned()).or_default() += u64::from(fault.row_count);
        }
        match again.fold(&group)? {
            Ok(()) => {
                (asked.end, asked.alerts) = (group.end().0, asked.alerts + group.rows.len() as u64);
                if let Some(derived) = &mut derived {
                    derived.take(&group, &again.replay.state, &mut |table, key| {
                        asked.note_damage(table, &key.to_string(), "it is not what the log says");
                    });
                }
            }
            Err(divergence) => found = Some(divergence),
        }
        Ok(())
    })?;
    asked.verdict = Some(match found {
        None => Verdict::Same,
        Some(divergence) => differs(&divergence, ground),
    });
    Ok(())
}

/// A divergence as a verdict. A rule that need not be to blame is not named as if it were.
fn differs(divergence: &Divergence, ground: &Ground) -> Verdict {
    let Divergence { rule, position, recorded, computed, settings, cause } = divergence;
    let name =
        |revision: Revision| ground.registry.revision(revision).map_or(String::new(), |entry| entry.name.clone());
    let what = format!("recorded {recorded:?}, computed {computed:?}");
    let (blamed, detail) = match cause {
        Cause::Rule(rule) => (*rule, what),
        Cause::Host(why) => {
            let first = format!("revision {} of {:?} is the first that it shows in", rule.0, name(*rule));
            (Revision::NONE, format!("{what}; {why}{}; {first}", ground.settings.remark(*settings)))
        }
    };
    Verdict::Differs { position: position.0, rule: name(blamed), revision: blamed.0, detail }
}

/// The log folded once more from an entry on, with the rules as they stood at each.
pub(super) struct Again<'a> {
    ground: &'a Ground,
    /// The fold.
    pub(super) replay: Replay,
    /// Rules whose record is taken.
    pub(super) taken_at_their_word: Vec<String>,
    /// Where rules changed after the last group.
    turns: Peekable<vec::IntoIter<Position>>,
    /// The settings of that group.
    settings: SettingsNo,
    chain: Chain,
}

impl<'a> Again<'a> {
    /// A fold from nothing. Where the log does not begin at its first entry, duplicates and rules that are older are
    /// taken from the record.
    pub(super) fn new(
        from: Position,
        ground: &'a Ground,
        is_idle: &dyn Fn(&RuleRevision) -> bool,
    ) -> Result<Self, Stopped> {
        let registry = &ground.registry;
        let is_older = |entry: &RuleRevision| {
            let Some(rule) = &entry.rule else { return false };
            let keeps = registry.plugin(&rule.plugin).is_none_or(|info| info.state_words > 0);
            let begun = registry.revision(rule.namespace).map_or(Position(0), |began| began.since);
            keeps && begun < from
        };
        let taken = registry.revisions().filter(|entry| entry.rule.is_some() && (is_idle(entry) || is_older(entry)));
        let taken: Vec<&RuleRevision> = taken.collect();
        let mut taken_at_their_word: Vec<String> = taken.iter().map(|entry| entry.name.clone()).collect();
        taken_at_their_word.sort_unstable();
        taken_at_their_word.dedup();
        let obeyed: Vec<Revision> = taken.iter().map(|entry| entry.revision).collect();
        let turns: Vec<Position> = registry.turning_points().into_iter().filter(|turn| *turn > from).collect();
        Ok(Self {
            ground,
            replay: Replay { obeyed, copies_on_record: from > Position(0), ..Replay::default() },
            taken_at_their_word,
            turns: turns.into_iter().peekable(),
            settings: SettingsNo::UNKNOWN,
            chain: chain_at(ground, from, SettingsNo::UNKNOWN)?,
        })
    }

    /// Folds the next group, or says where it does not follow.
    pub(super) fn fold(&mut self, group: &Group) -> Result<Result<(), Divergence>, Stopped> {
        self.come_to(group)?;
        Ok(self.replay.fold(&self.chain, group))
    }

    /// The rules that judge a group, under the settings of then.
    pub(super) fn come_to(&mut self, group: &Group) -> Result<&Chain, Stopped> {
        let mut is_other = self.settings != group.settings;
        while self.turns.next_if(|turn| *turn <= group.first).is_some() {
            is_other = true;
        }
        if is_other {
            self.settings = group.settings;
            self.chain = chain_at(self.ground, group.first, self.settings)?;
        }
        Ok(&self.chain)
    }
}

/// The rules as they stood at a position, under the settings of then.
pub(super) fn chain_at(ground: &Ground, position: Position, settings: SettingsNo) -> Result<Chain, Stopped> {
    let chain = ground.registry.chain_at(position, &ground.sources, ground.settings.of(settings));
    chain.map_err(|missing| Stopped::Failed(missing.to_string()))
}
