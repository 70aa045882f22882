//! Rules and plugins as the host sees them: what to call, with what, and what may come back.
//!
//! It must not know how a plugin runs: a judge is a closure, a sandboxed one or a native one.
//! Invariant: a revision, once made, never changes.

use std::{fmt, sync::Arc};

use super::{AlertCode, Digest, Generation, Millis, ModelId, OperatorId, Position, Revision, shown};

/// What one state entry belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateKey {
    /// One entry a device.
    Device = 0,
    /// One entry a device and code.
    DeviceAndCode = 1,
}

/// What a plugin says of itself, and what the host knows of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginInfo {
    /// SHA-256 of the component.
    pub digest: Digest,
    /// Lower-case letters, digits, hyphens.
    pub name: String,
    /// The author's version.
    pub version: String,
    /// What it is for.
    pub summary: String,
    /// JSON Schema of its parameters.
    pub parameters_schema: String,
    /// What one state entry belongs to.
    pub state_key: StateKey,
    /// Words per state entry; 0 for none.
    pub state_words: u32,
    /// Version of the words' meaning.
    pub state_version: u32,
    /// Why it may suppress; verdict n is the n-th, from 1.
    pub reasons: Vec<String>,
    /// The columns it is shown.
    pub reads: ColumnSet,
    /// Size of the component.
    pub size_bytes: u64,
    /// When it was uploaded.
    pub uploaded_ms: Millis,
    /// Operators that uploaded it; the unknown one stands for the host: then it is for everybody.
    pub owners: Vec<OperatorId>,
    /// Keys that its signatures were made with, on a host that asks for signatures.
    pub signed_by: Vec<SigningKey>,
    /// Whether it may no longer be used, and why.
    pub revoked: Option<Revocation>,
}

/// An ed25519 public key.
pub type SigningKey = [u8; 32];

/// That a plugin, or a key that plugins are signed with, may no longer be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Since when.
    pub at_ms: Millis,
    /// Who said so; empty for whoever is on this machine, where nobody has to say.
    pub who: String,
    /// Why, in their words.
    pub why: String,
}

impl PluginInfo {
    /// Whether an operator may see and use it.
    pub fn is_for(&self, operator: OperatorId) -> bool {
        self.owners.iter().any(|owner| [operator, OperatorId::UNKNOWN].contains(owner))
    }
}

/// A column that a rule is shown only where its plugin asks for it. The numbers are on disk: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// EUI-64.
    Device = 0,
    /// Time of occurrence.
    Occurred = 1,
    /// Measurement.
    Measurement = 2,
    /// How many alerts it stands for.
    Weight = 3,
    /// Distributor id.
    Operator = 4,
    /// Model id.
    Model = 5,
}

impl Column {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Device, Self::Occurred, Self::Measurement, Self::Weight, Self::Operator, Self::Model];
}

/// Columns, as bits by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ColumnSet(u8);

impl ColumnSet {
    /// Every column.
    pub const ALL: Self = Self((1 << Column::ALL.len()) - 1);

    /// From bits; `None` where one stands for no column.
    pub fn from_bits(bits: u8) -> Option<Self> {
        (bits & !Self::ALL.0 == 0).then_some(Self(bits))
    }

    /// As bits.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether a column belongs.
    pub fn contains(self, column: Column) -> bool {
        self.0 >> column as u8 & 1 != 0
    }
}

impl std::ops::BitOr for ColumnSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<Column> for ColumnSet {
    fn from_iter<I: IntoIterator<Item = Column>>(columns: I) -> Self {
        Self(columns.into_iter().fold(0, |bits, column| bits | 1 << column as u8))
    }
}

/// Whether a rule judges. The numbers are on disk: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It judges.
    Active = 1,
    /// It rests.
    Off = 2,
    /// The host set it aside: it did not do again what the log says it did.
    SetAside = 3,
    /// The host quarantined it after repeated faults, and tries it again by itself.
    Quarantined = 4,
    /// It is shown what it would see and keeps its state, but what it says is only written down.
    Shadow = 5,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 5] = [Self::Active, Self::Off, Self::SetAside, Self::Quarantined, Self::Shadow];

    /// From its number on disk.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| *mode as u8 == number)
    }

    /// Whether rules in it are called.
    pub fn is_called(self) -> bool {
        matches!(self, Self::Active | Self::Shadow)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Off => "off",
            Self::SetAside => "set-aside",
            Self::Quarantined => "quarantined",
            Self::Shadow => "shadow",
        })
    }
}

/// Which alerts a rule sees: every list that is not empty must have an entry that fits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Operators, the unknown one included if listed.
    pub operators: Vec<OperatorId>,
    /// Generations.
    pub generations: Vec<Generation>,
    /// Codes.
    pub codes: Vec<AlertCode>,
    /// Models by name.
    pub models: Vec<String>,
}

impl Scope {
    /// Whether it lets every alert through.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// The ids of its models.
    pub fn model_ids(&self) -> Vec<ModelId> {
        self.models.iter().map(|name| ModelId::of(name)).collect()
    }
}

/// What a rule that was promoted must keep to for a while, or it is set again as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// The share of the alerts it is shown that it may suppress, in hundredths of a percent.
    pub suppressed_max_basis_points: u32,
    /// The share counts once the rule was shown so many, and at the end in any case.
    pub alerts_min: u32,
    /// It ends at this time.
    pub until_ms: Millis,
    /// The revision to go back to.
    pub fallback: Revision,
}

/// A named use of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The plugin.
    pub plugin: Digest,
    /// Its parameters: a JSON object.
    pub parameters: String,
    /// Which alerts it sees.
    pub scope: Scope,
    /// Whether it judges.
    pub mode: Mode,
    /// Place in the chain: lower ones first, equal ones by name.
    pub order: u32,
    /// Whose state it goes on with: the revision that began it. Its own where it starts from zero.
    pub namespace: Revision,
    /// What it must keep to, where it was promoted.
    pub guard: Option<Guard>,
    /// When it ends: the first group that is judged then makes a revision in which it is off. `None`: it has no end.
    pub until_ms: Option<Millis>,
}

/// One change to the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRevision {
    /// Its number.
    pub revision: Revision,
    /// It holds from this position on.
    pub since: Position,
    /// When it was made.
    pub made_ms: Millis,
    /// Name of the rule.
    pub name: String,
    /// The rule from here on; `None` where it was removed.
    pub rule: Option<Rule>,
    /// Who made it: [`HOST`](Self::HOST), or empty where it was asked for by somebody who is not known by name.
    pub who: String,
    /// Why, in the words of who made it.
    pub why: String,
}

impl RuleRevision {
    /// Who made a revision that nobody asked for.
    pub const HOST: &str = "host";
}

/// What a rule is shown: one slice a column, all of one length, but empty where the plugin does not read it.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    /// EUI-64.
    pub device: &'a [u64],
    /// Index into the state table.
    pub slot: &'a [u32],
    /// Alert code.
    pub code: &'a [u16],
    /// Time of occurrence.
    pub occurred_ms: &'a [Millis],
    /// Measurement.
    pub measurement: &'a [i32],
    /// How many alerts it stands for.
    pub weight: &'a [u32],
    /// Bits as in [`Flags`](super::Flags).
    pub flags: &'a [u8],
    /// Distributor id.
    pub operator: &'a [u8],
    /// Model id.
    pub model: &'a [u32],
    /// Place in the group; empty where there is none. No plugin is shown it.
    pub row: &'a [u32],
}

impl Columns<'_> {
    /// How many alerts.
    pub fn len(&self) -> usize {
        self.code.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.code.is_empty()
    }
}

/// What a rule answered. Nothing of it is believed before its lengths and values are checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// 0 forward, n suppress for reason n.
    pub verdict: Vec<u8>,
    /// Empty, or per alert.
    pub withheld: Vec<u32>,
    /// The state table.
    pub state: Vec<u64>,
}

impl Outcome {
    /// Itself, if it fits so many alerts, a state table of so many words and so many reasons; else bad output.
    pub fn checked(self, alerts: usize, words: usize, reasons: usize) -> Result<Self, RuleFault> {
        match self.defect(alerts, words, reasons) {
            None => Ok(self),
            Some(defect) => Err(RuleFault::new(FaultKind::BadOutput, &defect)),
        }
    }

    fn defect(&self, alerts: usize, words: usize, reasons: usize) -> Option<String> {
        let Self { verdict, withheld, state } = self;
        if verdict.len() != alerts {
            return Some(format!("verdict has {} entries for {alerts} alerts", verdict.len()));
        }
        if !withheld.is_empty() && withheld.len() != alerts {
            return Some(format!("withheld has {} entries for {alerts} alerts; it may have none", withheld.len()));
        }
        if state.len() != words {
            return Some(format!("state has {} words where it was given {words}", state.len()));
        }
        let highest = verdict.iter().copied().max().unwrap_or(0);
        if usize::from(highest) > reasons {
            let row = verdict.iter().position(|verdict| usize::from(*verdict) > reasons).unwrap_or(0);
            return Some(format!("verdict of alert {row} is {}, and the plugin names {reasons} reasons", verdict[row]));
        }
        None
    }
}

/// How a call is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metering {
    /// As live: fuel by the number of alerts, and the wall-clock backstop.
    Live,
    /// As the log is folded again: what ran then is given room to run again, on whatever machine this is.
    Replay,
    /// As a candidate is tried on recorded alerts: fuel as live, so that what would run out of it does, and as much time
    /// as when the log is folded again, for how long it takes here and now says nothing of then.
    Trial,
}

/// A rule ready to be called: columns and state table in, outcome out. It must be a pure function.
pub type Judge = Arc<dyn Fn(&Columns<'_>, &[u64], Metering) -> Result<Outcome, RuleFault> + Send + Sync>;

/// What kind of failure. The numbers are on disk: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// The guest trapped: unreachable, out of bounds, stack overflow.
    Trap = 1,
    /// It used up its fuel.
    OutOfFuel = 2,
    /// It ran over the wall-clock backstop. Not replayable.
    Deadline = 3,
    /// It asked for more memory than it may have.
    Memory = 4,
    /// Wrong lengths or unknown reasons came back.
    BadOutput = 5,
    /// It returned an error.
    Refused = 6,
    /// The device has more codes than a rule may keep state for.
    StateFull = 7,
    /// A shadow rule was not called: more alerts waited than it may hold up. No fault of the rule.
    Shed = 8,
    /// It was not called: its operator's rules have used up their share of the time.
    OverShare = 9,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Trap,
        Self::OutOfFuel,
        Self::Deadline,
        Self::Memory,
        Self::BadOutput,
        Self::Refused,
        Self::StateFull,
        Self::Shed,
        Self::OverShare,
    ];

    /// Whether a call of the rule failed, and not the host decided that it has no place for it.
    pub fn is_of_a_call(self) -> bool {
        !matches!(self, Self::StateFull | Self::Shed | Self::OverShare)
    }

    /// Whether the rule was not called because there was no time for it.
    pub fn is_for_want_of_time(self) -> bool {
        matches!(self, Self::Shed | Self::OverShare)
    }

    /// From its number on disk.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::OutOfFuel => "out-of-fuel",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::BadOutput => "bad-output",
            Self::Refused => "refused",
            Self::StateFull => "state-full",
            Self::Shed => "shed",
            Self::OverShare => "over-share",
        }
    }
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    /// Its kind.
    pub kind: FaultKind,
    /// For people; bounded and free of what a terminal would obey.
    pub detail: String,
}

impl RuleFault {
    /// A fault with its detail cut to 200 characters, those that a terminal would obey replaced.
    pub fn new(kind: FaultKind, detail: &str) -> Self {
        Self { kind, detail: shown(detail, 200) }
    }
}
