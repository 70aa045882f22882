//! What if: the recorded log folded once more, with another rule in the place of one, or beside the others.
//!
//! Another source, another sink, the same fold: groups come from the log by a read snapshot, rule revisions are met at
//! their positions, and [`evaluate::judge`](crate::evaluate::judge) judges as it does when the log is replayed. What
//! comes of it goes nowhere but into an [`Answer`]. It must not know who asks, threads, or how an answer is kept.
//! Invariant: the same question over the same log gives the same bytes, and what cannot be known is counted by kind and
//! left out of every comparison: nothing is guessed.
//!
//! **What is exact.**
//! - *What happened* is what was recorded. It is never computed again.
//! - Duplicates are those that were recorded: they do not depend on rules.
//! - Rules that stand before the candidate, and before the rule it replaces, keep their recorded decisions: they were
//!   shown the same alerts, so they would decide the same. They are not called.
//! - The candidate and every active rule from its place on are called, with state of their own, because they would see
//!   other alerts. Their recorded faults are obeyed, as recovery does. Shadow rules take no part.
//! - A candidate that is, at a position, what the log has there (plugin, parameters, scope and place) is that rule: its
//!   recorded faults are obeyed too. So a question that changes nothing has an answer that is empty, everywhere.
//!
//! **What is not, and what becomes of it.**
//! - Where the replaced rule failed, was quarantined or set aside, what it would have said is not on record: those
//!   alerts are counted by the kind of failure and compared with nothing.
//! - State begins at the oldest entry of the log, or as long before the range as is asked. Where a rule that keeps state
//!   is older than that, the chain as it was is folded beside the candidate's; where that does not give what was
//!   recorded, the state it needed is missing, and the alert is counted as such and compared with nothing. What this can
//!   hide: a candidate whose own older state would have decided otherwise, on alerts where the old chain's did not.
//! - What an earlier rule let an alert stand for is not told apart from what later ones did. So where a rule with state
//!   stands before the candidate, how many withheld alerts there would be is not stated. A rule without state is taken
//!   to withhold nothing.
//! - A candidate is called with the fuel it would have, and as much time as it wants. Which of its calls fail also depends
//!   on which alerts came together: here it is those of the recorded groups.
//! - A rule that judges an alert by what else is in its batch is no pure function, and no replay of it is exact.
//!
//! **What is judged once.** Where no rule that is called keeps state, an alert that looks to all of them like one before is
//! not shown to them again. That is what judging whole groups is, for rules that are pure functions; the first group, the
//! largest and one of 32 are judged as a whole besides. Where that differs, where a call fails, or where there are too many
//! kinds of alerts, the question is worked on anew in whole groups. A failure that shows in none of those, because it takes
//! a certain group to use up the fuel, is not found.

mod alike;
mod answer;
mod axes;
mod chains;
mod counts;
mod derived;
mod explain;
mod fold;
mod lane;
mod log;
mod pace;
mod patterns;
mod question;
mod readings;
mod run;
mod shared;
mod tally;
mod verify;

pub use answer::{
    Answer, Basis, ChangedAlert, ChangedDevice, Failed, Kept, Key, Now, Outcome, Row, Said, Sums, Turned,
};
pub use chains::{CANDIDATE, Ground};
pub use explain::{Explanation, Step, StepVerdict, explain};
pub use pace::{Pace, Stopped};
pub use question::{Alerts, Question, Variant};
pub use readings::{
    AskedOfReadings, ReadingRole, Readings, THRESHOLDS_MAX, TOLERANCE_MS, TOLERANCE_MS_MAX,
    answer::{
        AlertingDevice, AtThreshold, BacktestFigures, Coverage, DeviceAnswer, Excursion, FilterVariant, Found,
        ReadDevice, ReadingAnswer, Span,
    },
};
pub use run::run;
pub use verify::{Verdict, Verification, verify};
