//! The words of the product as plain types: alerts, rules, verdicts, and what a group of alerts changes.
//!
//! It must not know a wire, a sandbox, a disk or a clock: no foreign crate is named here.
//! Invariant: every value that can be built is valid; what comes from outside is checked by the constructor.

mod access;
mod alert;
mod audit;
mod counts;
mod cursor;
mod details;
mod effects;
mod finality;
mod ids;
mod label;
mod placement;
mod producer;
mod reading;
mod remark;
mod rule;
mod settings;
mod tenure;
mod text;

pub use access::{Identity, OperatorSet, ProducerPattern, Role, SenderLimits, Tenant, Token, TokenHash, owner_of_rule};
pub use alert::{
    Alert, DccTimeStatus, Flags, Message, PayloadKind, Reject, RejectReason, Rows, TimeStatus, WEIGHT_MAX,
};
pub use audit::{AuditEntry, AuditEvent, AuditHash};
pub use counts::{Cell, End, HourPage, Tally};
pub use cursor::{Cursor, CursorKey};
pub use details::{Details, Note};
pub use effects::{
    Ack, Balance, ClockMark, CodeTableChange, Device, DevicePage, DeviceTally, Effects, Fault, FaultedAlert, Group,
    GuardCount, Handover, KeptFault, KeptQuestion, Mark, NamespacePage, Poison, Rejected, Rejection, Retention, Series,
    Shadow,
};
pub use finality::FinalUntil;
pub use ids::{
    AlertCode, DeviceNo, Digest, Eui64, Generation, IdError, ModelId, Mpxn, NoDevice, OperatorId, Position, Revision,
};
pub use label::{
    DeviceLabels, KeptLabels, LABEL_HEADING, LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LabelEffects, LabelKey,
    LabelNumbers, LabelValue, NOT_LABELLED, OTHER_VALUES, StatedLabel, UnknownLabel, check_label_value,
    proposed as proposed_label_key,
};
pub use placement::{DeviceType, Placement, PlacementChange, PointRole};
pub use producer::{BatchDigest, ProducerKey, ProducerMark};
pub use reading::{
    Limit, MappedCode, PERIOD_MS_MAX, PERIOD_S, Phase, READING_SOURCE_BYTES_MAX, Reading, ReadingFate, ReadingModel,
    Rounding, Threshold, VOLTS_MAX_DV, Volts,
};
pub use remark::{Remark, RemarkCounts, Remarks};
pub use rule::{
    Column, ColumnSet, Columns, FaultKind, Guard, Judge, Metering, Mode, Outcome, PluginInfo, Revocation, Rule,
    RuleFault, RuleRevision, Scope, SigningKey, StateKey,
};
pub use settings::{GuestRoom, JudgingSettings, SettingsNo, TURN_ALERTS};
pub use tenure::{Period, TENURES_MAX, Tenure, TenureChange, Tenures};
pub use text::{check_block, check_line, is_unsafe, listed, shown};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// Times that fit a calendar: the years 1970 to 2200. Every time of an alert lies within, on both sides of the wire.
pub const CALENDAR_MS: std::ops::Range<Millis> = 0..7_258_118_400_000;

/// Milliseconds in an hour, the grain of the books.
pub const HOUR_MS: Millis = 3_600_000;
