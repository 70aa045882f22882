//! Two parties' counts of the same alerts: where they agree, who has more, and what is likely behind it.
//!
//! It must not know where either count came from. Invariants: theirs = agreed + what they have more, and ours = agreed +
//! what we have more, for every row and in every total; a cause is named only where it makes the two counts equal.
//!
//! Ours are the alerts that were taken, each once, by the day of receipt: forwarded and suppressed ones. Theirs may be
//! counted otherwise. Each way to count is a [`Reading`]: what it leaves out or counts more than ours are its causes.
//! A row that differs is explained by a reading that gives exactly their count: one with the fewest causes, and of those
//! the one that fits most rows of the file.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::{books::DeviceEnds, domain::AlertCode, intake::claims::Subject};

mod days;
mod reading;
#[cfg(test)]
mod tests;

pub use days::{DayError, DayKind, DaySet};
pub use reading::{Fit, Reading};

/// What a count is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Whose alerts.
    pub subject: Subject,
    /// What kind.
    pub code: AlertCode,
    /// When.
    pub day: Date,
}

/// What we know of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// By receipt, in days of the kind that theirs are said to be.
    pub by_day: DeviceEnds,
    /// By receipt, in days of the other kind.
    pub by_other_day: DeviceEnds,
    /// By the device's clock.
    pub by_occurrence: DeviceEnds,
}

impl Figures {
    /// Our count: alerts that were taken, each once.
    pub fn ours(&self) -> u64 {
        self.by_day.forwarded.count + self.by_day.suppressed.count
    }

    /// Adds those of another device at the same point.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.by_day, &other.by_day),
            (&mut self.by_other_day, &other.by_other_day),
            (&mut self.by_occurrence, &other.by_occurrence),
        ];
        for (ends, more) in pairs {
            ends.forwarded.add(more.forwarded);
            ends.suppressed.add(more.suppressed);
            ends.duplicate.add(more.duplicate);
        }
    }
}

/// Two counts to compare.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Case {
    /// What they counted.
    pub theirs: BTreeMap<Key, u64>,
    /// What we know, of their subjects and of any other in the same scope.
    pub ours: BTreeMap<Key, Figures>,
    /// What we took of their subjects before the inventory listed the devices. It is of no operator, and so not in ours.
    pub unplaced: BTreeMap<Key, Figures>,
    /// Subjects of theirs that we do not know.
    pub unknown: BTreeSet<Subject>,
    /// The first day of which everything is kept; `None` where nothing is gone.
    pub kept_since: Option<Date>,
}

/// How a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Both are equal.
    Agrees,
    /// They have more.
    TheirsHigher,
    /// We have more.
    OursHigher,
    /// We do not know the device.
    UnknownDevice,
}

/// What is likely behind a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// We do not know the device.
    UnknownDevice,
    /// The log no longer has all of that day.
    OutsideRetention,
    /// Their days begin at another hour: the counts agree once the hours between are moved.
    DayBoundary,
    /// They go by the device's clock, and it puts alerts on other days.
    DeviceClock,
    /// They count copies that we dropped as duplicates.
    Duplicates,
    /// They never saw what was suppressed.
    Suppressed,
    /// They count what a throttled alert stands for.
    Throttled,
    /// Ours do not have alerts that were taken before the inventory listed the device: those are of no operator.
    BeforeInventory,
    /// Their file has no such row.
    NotInFile,
    /// None of these makes the counts equal.
    NotExplained,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::UnknownDevice,
        Self::OutsideRetention,
        Self::DayBoundary,
        Self::DeviceClock,
        Self::Duplicates,
        Self::Suppressed,
        Self::Throttled,
        Self::BeforeInventory,
        Self::NotInFile,
        Self::NotExplained,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownDevice => "unknown-device",
            Self::OutsideRetention => "outside-retention",
            Self::DayBoundary => "day-boundary",
            Self::DeviceClock => "device-clock",
            Self::Duplicates => "duplicates",
            Self::Suppressed => "suppressed",
            Self::Throttled => "throttled",
            Self::BeforeInventory => "before-inventory",
            Self::NotInFile => "not-in-file",
            Self::NotExplained => "not-explained",
        }
    }

    /// What it means.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::UnknownDevice => "we do not know the device",
            Self::OutsideRetention => "the log no longer has all of that day",
            Self::DayBoundary => "their days begin at another hour (UTC against local time)",
            Self::DeviceClock => "they go by the device's clock, which puts alerts on other days",
            Self::Duplicates => "they count copies that we dropped as duplicates",
            Self::Suppressed => "they never saw what was suppressed",
            Self::Throttled => "they count what throttled alerts stand for",
            Self::BeforeInventory => "we took alerts before the inventory listed the device: they are of no operator",
            Self::NotInFile => "their file has no such row",
            Self::NotExplained => "none of the known causes makes the counts equal",
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is of.
    pub key: Key,
    /// Their count; `None` where their file has no such row.
    pub theirs: Option<u64>,
    /// What we know.
    pub figures: Figures,
    /// How it stands.
    pub standing: Standing,
    /// What is behind the difference, together; empty where there is none.
    pub causes: Vec<Cause>,
}

impl Row {
    /// What both have, what they have more, and what we have more.
    pub fn parts(&self) -> [u64; 3] {
        let (theirs, ours) = (self.theirs.unwrap_or(0), self.figures.ours());
        let agreed = theirs.min(ours);
        [agreed, theirs - agreed, ours - agreed]
    }
}

/// Differences that have the same causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Difference {
    /// Rows.
    pub rows: u64,
    /// Alerts that they have more.
    pub theirs_more: u64,
    /// Alerts that we have more.
    pub ours_more: u64,
}

/// Sums.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Totals {
    /// Rows that agree.
    pub agreeing_rows: u64,
    /// All that they counted.
    pub theirs: u64,
    /// All that we counted.
    pub ours: u64,
    /// What both have.
    pub agreed: u64,
    /// What one of them has more, by causes.
    pub differences: BTreeMap<Vec<Cause>, Difference>,
}

/// The result.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconciliation {
    /// Every row that either has, in order.
    pub rows: Vec<Row>,
    /// Their sums.
    pub totals: Totals,
    /// The way to count that fits most of their rows.
    pub fit: Fit,
}

/// Compares two counts.
pub fn reconcile(case: &Case) -> Reconciliation {
    let known = known_rows(case);
    let fits = reading::Fits::of(known.iter().map(|(_, theirs, figures)| (*theirs, figures)));
    let subjects: BTreeSet<Subject> = case.theirs.keys().map(|key| key.subject).collect();
    let keys: BTreeSet<Key> = case.theirs.keys().chain(case.ours.keys()).copied().collect();
    let rows = keys.into_iter().filter_map(|key| row(case, key, &fits, subjects.contains(&key.subject)));
    let rows: Vec<Row> = rows.collect();
    Reconciliation { totals: total(&rows), rows, fit: fits.best() }
}

/// The rows of theirs that ours can be compared with: of devices that we know, on days that we still have.
fn known_rows(case: &Case) -> Vec<(Key, u64, Figures)> {
    let rows = case.theirs.iter().filter(|(key, _)| !case.unknown.contains(&key.subject) && is_kept(case, key.day));
    rows.map(|(key, theirs)| (*key, *theirs, case.ours.get(key).copied().unwrap_or_default())).collect()
}

fn is_kept(case: &Case, day: Date) -> bool {
    case.kept_since.is_none_or(|since| day >= since)
}

fn row(case: &Case, key: Key, fits: &reading::Fits, in_file: bool) -> Option<Row> {
    let theirs = case.theirs.get(&key).copied();
    let figures = case.ours.get(&key).copied().unwrap_or_default();
    let (count, ours) = (theirs.unwrap_or(0), figures.ours());
    if theirs.is_none() && ours == 0 {
        // Hours of another day, or copies alone: nothing that either counts here.
        return None;
    }
    let unknown = case.unknown.contains(&key.subject);
    let standing = match count.cmp(&ours) {
        _ if unknown => Standing::UnknownDevice,
        std::cmp::Ordering::Equal => Standing::Agrees,
        std::cmp::Ordering::Greater => Standing::TheirsHigher,
        std::cmp::Ordering::Less => Standing::OursHigher,
    };
    let causes = match standing {
        Standing::Agrees => Vec::new(),
        Standing::UnknownDevice => vec![Cause::UnknownDevice],
        _ if !is_kept(case, key.day) => vec![Cause::OutsideRetention],
        _ if theirs.is_none() => missing(&figures, fits, in_file),
        _ => explain(case, &key, count, &figures, fits),
    };
    Some(Row { key, theirs, figures, standing, causes })
}

/// The causes that make both counts equal.
fn explain(case: &Case, key: &Key, count: u64, figures: &Figures, fits: &reading::Fits) -> Vec<Cause> {
    let with_unplaced = || {
        let mut all = *figures;
        all.add(case.unplaced.get(key)?);
        let mut causes = fits.explain(count, &all)?;
        causes.push(Cause::BeforeInventory);
        causes.sort_unstable();
        Some(causes)
    };
    let causes = fits.explain(count, figures).or_else(with_unplaced);
    causes.unwrap_or_else(|| vec![Cause::NotExplained])
}

/// Why their file has no row where we counted something.
fn missing(figures: &Figures, fits: &reading::Fits, in_file: bool) -> Vec<Cause> {
    if figures.by_day.forwarded.count == 0 {
        return vec![Cause::Suppressed];
    }
    let explained = if in_file { fits.explain(0, figures) } else { None };
    explained.unwrap_or_else(|| vec![Cause::NotInFile])
}

fn total(rows: &[Row]) -> Totals {
    let mut totals = Totals::default();
    for row in rows {
        let [agreed, theirs_more, ours_more] = row.parts();
        totals.theirs += row.theirs.unwrap_or(0);
        totals.ours += row.figures.ours();
        totals.agreed += agreed;
        if row.causes.is_empty() {
            totals.agreeing_rows += 1;
            continue;
        }
        let difference = totals.differences.entry(row.causes.clone()).or_default();
        difference.rows += 1;
        difference.theirs_more += theirs_more;
        difference.ours_more += ours_more;
    }
    totals
}
