//! What a group of alerts changes: plain data, made by the fold, written by the store in one transaction, and acted
//! on only after that.
//!
//! It must not know who asked. Invariant: applying the same effects to equal stores makes equal stores.

use std::fmt;

use super::{
    AlertCode, AuditEntry, Cell, Cursor, CursorKey, Digest, End, Eui64, FaultKind, Generation, HourPage,
    JudgingSettings, LabelEffects, Millis, ModelId, Mpxn, OperatorId, Placement, PluginInfo, Position, ProducerKey,
    ProducerMark, Reject, RejectReason, RemarkCounts, Revision, Revocation, Rows, RuleRevision, SettingsNo, SigningKey,
    TenureChange, Token,
};

/// What became of an admitted alert, and by which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// Forwarded, suppressed or duplicate.
    pub end: End,
    /// The rule that suppressed it; with `Forwarded`, the rule that a protected code overruled.
    pub rule: Revision,
    /// The rule's reason, from 1; 0 for none.
    pub reason: u8,
}

impl Mark {
    /// Passed on, and no rule wanted otherwise.
    pub const FORWARDED: Self = Self { end: End::Forwarded, rule: Revision::NONE, reason: 0 };
    /// Seen before.
    pub const DUPLICATE: Self = Self { end: End::Duplicate, rule: Revision::NONE, reason: 0 };

    /// Whether a protected code overruled a rule.
    pub fn is_overruled(self) -> bool {
        self.end == End::Forwarded && self.rule != Revision::NONE
    }
}

/// A stretch of rows that one rule failed to judge. They passed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The rule's revision.
    pub rule: Revision,
    /// What kind of failure.
    pub kind: FaultKind,
    /// First row of the group that it concerns.
    pub first_row: u32,
    /// How many rows from there. Those the rule would not have seen anyway are not concerned.
    pub row_count: u32,
    /// For people.
    pub detail: String,
}

/// What a shadow rule said of a group's alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// The rule's revision.
    pub rule: Revision,
    /// Per row: 0 not shown to it, 1 it would forward, n + 1 it would suppress for reason n.
    pub said: Vec<u16>,
}

impl Shadow {
    /// Nothing said of so many rows.
    pub fn new(rule: Revision, rows: usize) -> Self {
        Self { rule, said: vec![0; rows] }
    }

    /// Notes a rule's verdict on a row.
    pub fn note(&mut self, row: usize, verdict: u8) {
        self.said[row] = u16::from(verdict) + 1;
    }

    /// The verdict on a row: 0 forward, n suppress for reason n. `None` where it was not shown.
    pub fn verdict(&self, row: usize) -> Option<u16> {
        self.said[row].checked_sub(1)
    }
}

/// An alert that alone makes a rule fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poison {
    /// The rule's revision.
    pub rule: Revision,
    /// Its row in the group.
    pub row: u32,
}

/// Rejected alerts of one kind in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected {
    /// Why.
    pub reason: RejectReason,
    /// Their code, where valid.
    pub code: Option<AlertCode>,
    /// Hour of receipt, by the host's clock, since 1970-01-01T00:00:00Z.
    pub hour: u32,
    /// How many.
    pub count: u64,
}

/// One entry of the log: a group of alerts and what was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Position of the first row. A group without rows takes up one position all the same.
    pub first: Position,
    /// When it was judged, by the host's clock.
    pub judged_ms: Millis,
    /// The settings that it was judged under.
    pub settings: SettingsNo,
    /// The alerts, duplicates included.
    pub rows: Rows,
    /// The marks that occur, each once.
    pub marks: Vec<Mark>,
    /// Per row, index into `marks`.
    pub mark: Vec<u16>,
    /// Per row, how many suppressed alerts a forwarded one stands for beside itself.
    pub withheld: Vec<u32>,
    /// Alerts that could not be taken.
    pub rejected: Vec<Rejected>,
    /// What rules failed on, ordered by rule and row.
    pub faults: Vec<Fault>,
    /// What shadow rules said, in the order of the chain.
    pub shadows: Vec<Shadow>,
    /// Copies were looked for among the messages from this position on. `None` where they were told by counters alone, as
    /// hosts before did: which alerts are copies is then taken from the record.
    pub remembered_from: Option<Position>,
}

impl Group {
    /// The position after this group.
    pub fn end(&self) -> Position {
        self.first.after(self.rows.len().max(1))
    }

    /// Some rows, in ascending order, with what is on record of them; what shadow rules said is left out.
    pub fn pick(&self, which: &[u32]) -> Self {
        let fault = |fault: &Fault| {
            let at = |end: u32| which.partition_point(|row| *row < end) as u32;
            let (first_row, end) = (at(fault.first_row), at(fault.first_row + fault.row_count));
            Fault { first_row, row_count: end - first_row, ..fault.clone() }
        };
        Self {
            first: self.first,
            judged_ms: self.judged_ms,
            settings: self.settings,
            rows: self.rows.pick(which),
            marks: self.marks.clone(),
            mark: which.iter().map(|row| self.mark[*row as usize]).collect(),
            withheld: which.iter().map(|row| self.withheld[*row as usize]).collect(),
            rejected: Vec::new(),
            faults: self.faults.iter().map(fault).filter(|fault| fault.row_count > 0).collect(),
            shadows: Vec::new(),
            remembered_from: self.remembered_from,
        }
    }

    /// What became of one row.
    pub fn mark_of(&self, row: usize) -> Mark {
        self.marks[usize::from(self.mark[row])]
    }

    /// The cell one row is counted in.
    pub fn cell_of(&self, row: usize) -> Cell {
        let mark = self.mark_of(row);
        Cell {
            code: Some(self.rows.code[row]),
            operator: self.rows.operator[row],
            generation: super::Flags(self.rows.flags[row]).generation() as u8,
            model: self.rows.model[row],
            end: mark.end,
            rule: mark.rule,
            reason: mark.reason,
        }
    }
}

/// The four ends of some alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// Passed on.
    pub forwarded: u64,
    /// Held back.
    pub suppressed: u64,
    /// Not taken.
    pub rejected: u64,
    /// Seen before.
    pub duplicate: u64,
}

impl Balance {
    /// All that arrived.
    pub fn received(&self) -> u64 {
        self.forwarded + self.suppressed + self.rejected + self.duplicate
    }

    /// Counts `count` alerts of one end.
    pub fn add(&mut self, end: End, count: u64) {
        *self.of(end) += count;
    }

    /// Takes off `count` alerts of one end, which were added before.
    pub fn remove(&mut self, end: End, count: u64) {
        *self.of(end) -= count;
    }

    fn of(&mut self, end: End) -> &mut u64 {
        match end {
            End::Forwarded => &mut self.forwarded,
            End::Suppressed => &mut self.suppressed,
            End::Rejected => &mut self.rejected,
            End::Duplicate => &mut self.duplicate,
        }
    }

    /// Adds another.
    pub fn add_all(&mut self, other: Self) {
        let Self { forwarded, suppressed, rejected, duplicate } = other;
        self.forwarded += forwarded;
        self.suppressed += suppressed;
        self.rejected += rejected;
        self.duplicate += duplicate;
    }
}

/// One rejected alert, as its sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Index in the batch.
    pub index: u32,
    /// Why.
    pub reject: Reject,
}

/// The answer to a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ack {
    /// The batch's sequence.
    pub sequence: u64,
    /// Every alert of the batch lies before.
    pub position: Position,
    /// What became of them.
    pub balance: Balance,
    /// Index and message of rejected alerts, at most as many as the limit allows.
    pub rejections: Vec<(u32, String)>,
    /// What there was to remark about those that were taken.
    pub remarks: RemarkCounts,
}

/// A device as the inventory knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// EUI-64.
    pub eui: Eui64,
    /// MPAN or MPRN.
    pub mpxn: Mpxn,
    /// Operator.
    pub operator: OperatorId,
    /// Generation.
    pub generation: Generation,
    /// Model.
    pub model: ModelId,
    /// Whether the inventory lists it, or only alerts named it.
    pub listed: bool,
}

impl Device {
    /// A device that only alerts have named.
    pub fn unlisted(eui: Eui64) -> Self {
        Self {
            eui,
            mpxn: Mpxn::NONE,
            operator: OperatorId::UNKNOWN,
            generation: Generation::Unknown,
            model: ModelId::UNKNOWN,
            listed: false,
        }
    }
}

/// What became of a device's alerts. Stops counting at the top of 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceTally {
    /// Passed on.
    pub forwarded: u32,
    /// Held back.
    pub suppressed: u32,
    /// Seen before.
    pub duplicate: u32,
}

/// The originator counters of one sender about a device, to one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Series {
    /// The recipient, for a device's own counters; else a number made of sender and recipient.
    pub party: u64,
    /// The highest counter of all.
    pub top: u64,
    /// The highest of those since `recent_at`.
    pub recent: u64,
    /// Where in the log `recent` was met, in blocks of positions.
    pub recent_at: u32,
    /// Where in the log the series began, in blocks of positions.
    pub began: u32,
}

/// A device that came to another operator after alerts of it had been counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handover {
    /// When, by the host's clock.
    pub since_ms: Millis,
    /// What had been counted by then.
    pub before: DeviceTally,
}

impl DeviceTally {
    /// Returns what was counted after an earlier tally of the same device.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            forwarded: self.forwarded.saturating_sub(earlier.forwarded),
            suppressed: self.suppressed.saturating_sub(earlier.suppressed),
            duplicate: self.duplicate.saturating_sub(earlier.duplicate),
        }
    }
}

/// An alert that alone makes a rule fail, as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultedAlert {
    /// Where it stands in the log.
    pub position: Position,
    /// Its device.
    pub device: Eui64,
    /// Its code.
    pub code: AlertCode,
}

/// How a rule failed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFault {
    /// Failures so far, this one included.
    pub count: u64,
    /// The revision that failed.
    pub revision: Revision,
    /// What kind of failure.
    pub kind: FaultKind,
    /// For people.
    pub detail: String,
    /// The alert that alone makes the rule fail, if one was found, then or at an earlier failure of the same rule.
    pub alert: Option<FaultedAlert>,
}

impl fmt::Display for KeptFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, detail, alert, .. } = self;
        write!(f, "{}: {detail}", kind.name())?;
        match alert {
            Some(alert) => write!(f, " ({alert})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for FaultedAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, device, code } = self;
        write!(f, "the alert at log position {position}, device {device}, code {code}, does it alone")
    }
}

/// What one rule keeps for the devices of a page: parallel columns, entries of a device in order of first sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespacePage {
    /// Whose state: the revision that began it.
    pub namespace: Revision,
    /// Words per entry.
    pub words_per_entry: u32,
    /// Index of the device within the page.
    pub device: Vec<u16>,
    /// Alert code, 0 where the state is per device.
    pub code: Vec<u16>,
    /// The words, entry by entry.
    pub words: Vec<u64>,
}

/// What the fold keeps for a stretch of device numbers, as of a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePage {
    /// Number of the page: its first device is `no` times the devices per page.
    pub no: u32,
    /// What lies before this position is folded in.
    pub as_of: Position,
    /// Per device of the page, all of them in order.
    pub tallies: Vec<DeviceTally>,
    /// Index of the device within the page, and one of its series of counters; in order of first sight per device.
    pub series: Vec<(u16, Series)>,
    /// What each rule keeps, ordered by namespace.
    pub namespaces: Vec<NamespacePage>,
}

/// A question over the past as it is kept. The texts are whose who asked and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptQuestion {
    /// Its number.
    pub number: u64,
    /// What was asked, and how far it has come.
    pub head: String,
    /// What came of it; `None` where there is none, or where it is not at hand.
    pub answer: Option<String>,
}

/// What the guard of a promoted rule counted since the promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardCount {
    /// The revision that the rule goes back to. No two promotions have the same.
    pub fallback: Revision,
    /// Alerts that the rule was shown.
    pub shown: u64,
    /// Of those, what it suppressed.
    pub suppressed: u64,
}

/// Which of the oldest log entries one commit drops.
///
/// An entry goes if it ends at or before `keep_from` and either the log is larger than `bytes_max` or the entry was
/// judged before `judged_before_ms`. The default drops nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Entries that end after this position stay.
    pub keep_from: Position,
    /// Size of the log, in bytes, above which its oldest entries go.
    pub bytes_max: u64,
    /// Entries judged before this time go.
    pub judged_before_ms: Millis,
    /// Entries dropped by one commit at most, so that no commit takes long.
    pub entries_max: usize,
}

impl Retention {
    /// Drops every entry that ends at or before a position.
    pub fn all_before(keep_from: Position) -> Self {
        Self { keep_from, bytes_max: 0, judged_before_ms: Millis::MAX, entries_max: usize::MAX }
    }
}

/// What a store keeps of the host's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockMark {
    /// The latest time the host went by.
    pub latest_ms: Millis,
    /// The time that retention by age goes by.
    pub age_ms: Millis,
}

/// Another table of alert codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeTableChange {
    /// Alerts from this log position on are logged under it.
    pub since: Position,
    /// The table as CSV.
    pub table: String,
    /// Where earlier tables begin under which the log has no alert any more: they go.
    pub dropped: Vec<Position>,
}

/// Everything one transaction writes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Effects {
    /// The log entry.
    pub group: Option<Group>,
    /// Settings that a log entry names for the first time.
    pub settings: Option<(SettingsNo, JudgingSettings)>,
    /// The table of codes that alerts from here on are logged under, where it is another one.
    pub code_table: Option<CodeTableChange>,
    /// Devices that are new or changed, by number.
    pub devices: Vec<(u32, Device)>,
    /// Where devices are connected, by number, where that is new or changed.
    pub placements: Vec<(u32, Placement)>,
    /// What a load says of devices at metering points.
    pub tenures: Vec<(Mpxn, TenureChange)>,
    /// Names of models not met before.
    pub models: Vec<String>,
    /// Labels of devices.
    pub labels: LabelEffects,
    /// A plugin and its bytes.
    pub plugin: Option<(PluginInfo, Vec<u8>)>,
    /// What is known of plugins, where that changed and their bytes did not.
    pub plugins_changed: Vec<PluginInfo>,
    /// Plugins that go, bytes and all.
    pub plugins_dropped: Vec<Digest>,
    /// Keys that plugins may no longer be signed with.
    pub keys_revoked: Vec<(SigningKey, Revocation)>,
    /// Changes to the rules.
    pub revisions: Vec<RuleRevision>,
    /// Tokens that are new or changed.
    pub tokens: Vec<Token>,
    /// Entries of the audit log.
    pub audit: Vec<AuditEntry>,
    /// Producers that go, with everything that is kept of them.
    pub producers_dropped: Vec<ProducerKey>,
    /// What producers were told.
    pub producers: Vec<ProducerMark>,
    /// How long hosts have run on the store, in milliseconds; never less than what is stored.
    pub ran_ms: u64,
    /// Questions over the past that are new, or have come further.
    pub questions: Vec<KeptQuestion>,
    /// Numbers of those that go, answers and all.
    pub questions_dropped: Vec<u64>,
    /// Cursors that are new or were moved.
    pub cursors: Vec<Cursor>,
    /// Those that go.
    pub cursors_dropped: Vec<CursorKey>,
    /// What guards have counted so far.
    pub guards: Vec<GuardCount>,
    /// Guards that are over.
    pub guards_dropped: Vec<Revision>,
    /// How rules failed last, by name.
    pub faults: Vec<(String, KeptFault)>,
    /// Names of rules whose last failure goes with them.
    pub faults_dropped: Vec<String>,
    /// Devices that changed hands.
    pub handovers: Vec<(Eui64, Handover)>,
    /// A slice of the devices' state.
    pub pages: Vec<DevicePage>,
    /// A slice of the books.
    pub hours: Vec<HourPage>,
    /// The position after these effects.
    pub position: Position,
    /// Recovery folds the log from here.
    pub replay_from: Position,
    /// Log entries that go.
    pub retention: Retention,
    /// The host's clock; `None` leaves what is kept as it is.
    pub clock: Option<ClockMark>,
}
