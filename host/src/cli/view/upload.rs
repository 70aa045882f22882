//! What became of files of readings or thresholds.
//!
//! Invariants: each item is counted under one word; of each kind of problem the first ones are named as they are met, and all are
//! counted.

use std::collections::BTreeMap;

use indicatif::ProgressBar;
use serde::Serialize;
use weir_proto::v1;

use super::{clean, reading::Reading};
use crate::{
    cli::table::{Table, Value, count_of, thousands},
    intake::LineError,
};

/// Characters of a notice.
const NOTICE_CHARS_MAX: usize = 1_000;
/// Remarks that are spelled out.
const REMARKS_MAX: u64 = 20;
const FAILED: &str = "failed";
const UNREADABLE: &str = "unreadable";
/// Not stored, and more than the host's answer has room to name.
const UNTOLD: &str = "untold";

/// What became of files.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Tally {
    pub(in crate::cli) dry_run: bool,
    /// Items that were read.
    read: u64,
    pub(in crate::cli) added: u64,
    same: u64,
    #[serde(skip_serializing_if = "is_zero")]
    replaced: u64,
    /// Items that the host did not store.
    not_stored: u64,
    /// Reads that failed: nothing was measured.
    failed: u64,
    /// Lines, rows or parts of documents that cannot be read.
    unreadable: u64,
    /// All that was not stored, by kind.
    problems: BTreeMap<&'static str, u64>,
    /// The first of each kind.
    named: Vec<Named>,
    #[serde(skip)]
    show: usize,
    #[serde(skip)]
    is_many: bool,
    #[serde(skip)]
    file: String,
    #[serde(skip)]
    items: &'static str,
    #[serde(skip)]
    remarks: u64,
    #[serde(skip)]
    progress: ProgressBar,
}

/// What became of a message.
#[derive(Debug, Default)]
pub(in crate::cli) struct Put {
    pub(in crate::cli) added: u64,
    pub(in crate::cli) same: u64,
    pub(in crate::cli) replaced: u64,
    /// Items that were not stored, as many as fit an answer.
    pub(in crate::cli) problems: Vec<v1::ReadingProblem>,
    /// How many were not stored.
    pub(in crate::cli) problem_count: u64,
}

/// Something that was not stored.
#[derive(Debug, Serialize)]
struct Named {
    file: String,
    /// Its line, its row, or the line that its document begins on.
    line: u64,
    kind: &'static str,
    message: String,
    /// The reading that stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<Reading>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Tally {
    /// Begins to count. `show`: how many of each kind are named. `is_many`: there are several files, so that each is named too.
    pub(in crate::cli) fn new(dry_run: bool, show: usize, is_many: bool) -> Self {
        Self {
            dry_run,
            read: 0,
            added: 0,
            same: 0,
            replaced: 0,
            not_stored: 0,
            failed: 0,
            unreadable: 0,
            problems: BTreeMap::new(),
            named: Vec::new(),
            show,
            is_many,
            file: String::new(),
            items: "lines",
            remarks: 0,
            progress: ProgressBar::hidden(),
        }
    }

    /// Begins a file.
    pub(in crate::cli) fn begin(&mut self, file: &str) {
        file.clone_into(&mut self.file);
    }

    /// Speaks beside a bar from here on. `items`: what the file consists of.
    pub(in crate::cli) fn follow(&mut self, progress: ProgressBar, items: &'static str) {
        (self.progress, self.items) = (progress, items);
    }

    /// Counts what became of `sent` items. `told` gives the line and the name of each by its index.
    pub(in crate::cli) fn take(&mut self, put: Put, sent: usize, told: impl Fn(u32) -> Option<(u64, String)>) {
        let Put { added, same, replaced, problems, problem_count } = put;
        self.read += sent as u64;
        self.added += added;
        self.same += same;
        self.replaced += replaced;
        self.not_stored += problem_count;
        let untold = problem_count.saturating_sub(problems.len() as u64);
        if untold > 0 {
            *self.problems.entry(UNTOLD).or_default() += untold;
        }
        for v1::ReadingProblem { index, kind, message, stored } in problems {
            let (line, name) = told(index).unwrap_or((0, format!("item {index} of a message")));
            self.name(line, kind_name(kind), &format!("{name}: {message}"), stored.map(Reading::from));
        }
    }

    /// Counts a read that failed.
    pub(in crate::cli) fn failed(&mut self, line: u64, why: &str) {
        self.read += 1;
        self.failed += 1;
        self.name(line, FAILED, why, None);
    }

    /// Counts what cannot be read.
    pub(in crate::cli) fn unreadable(&mut self, error: &LineError) {
        self.unreadable += 1;
        self.name(error.line, UNREADABLE, &format!("{}: {}", error.field, error.message), None);
    }

    /// Says what is noteworthy and loses nothing.
    pub(in crate::cli) fn remark(&mut self, remark: &LineError) {
        self.remarks += 1;
        if self.remarks <= REMARKS_MAX {
            self.say("note", &remark.told(self.items));
        }
    }

    /// Says how many remarks were not spelled out.
    pub(in crate::cli) fn finish(&self) {
        if self.remarks > REMARKS_MAX {
            self.say("note", &format!("{} more remarks", thousands(self.remarks - REMARKS_MAX)));
        }
    }

    fn name(&mut self, line: u64, kind: &'static str, message: &str, stored: Option<Reading>) {
        let count = self.problems.entry(kind).or_default();
        *count += 1;
        if *count > self.show as u64 {
            return;
        }
        let message = clean(message, NOTICE_CHARS_MAX);
        let place = if self.items == "rows" { "row" } else { "line" };
        let word = if kind == FAILED { "note" } else { "error" };
        let shown = if [FAILED, UNREADABLE].contains(&kind) { message.clone() } else { format!("{kind}: {message}") };
        self.say(word, &if line == 0 { shown } else { format!("{place} {line}: {shown}") });
        self.named.push(Named { file: self.file.clone(), line, kind, message, stored });
    }

    fn say(&self, word: &str, what: &str) {
        let file = if self.is_many { format!("{}: ", self.file) } else { String::new() };
        self.progress.suspend(|| eprintln!("{word}: {file}{}", clean(what, NOTICE_CHARS_MAX)));
    }

    /// The counts, of items called `what`.
    pub(in crate::cli) fn table(&self, what: &str) -> Table {
        let number = |name: &str, count: u64| (name.to_owned(), Value::Number(count));
        let mut facts = vec![number(&format!("{what} read"), self.read)];
        facts.push(number(if self.dry_run { "would be added" } else { "added" }, self.added));
        facts.push(number("there already", self.same));
        if self.replaced > 0 {
            facts.push(number(if self.dry_run { "would be replaced" } else { "replaced" }, self.replaced));
        }
        for (kind, count) in &self.problems {
            let name = match *kind {
                FAILED => "reads that failed".to_owned(),
                UNREADABLE => "cannot be read".to_owned(),
                kind => format!("not stored: {kind}"),
            };
            facts.push(number(&name, *count));
        }
        Table::facts(facts)
    }

    /// What went wrong, where anything did. A read that failed is nothing that could be stored.
    pub(in crate::cli) fn told(&self, (one, many): (&str, &str)) -> Option<String> {
        let were = |count: u64| if count == 1 { "was" } else { "were" };
        let would = if self.dry_run {
            "would not be stored".to_owned()
        } else {
            format!("{} not stored", were(self.not_stored))
        };
        let parts = [
            (self.not_stored, format!("{} {would}", count_of(self.not_stored, one, many))),
            (
                self.unreadable,
                format!(
                    "{} cannot be read",
                    count_of(self.unreadable, "line, row or document", "lines, rows or documents")
                ),
            ),
        ];
        let told: Vec<String> = parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, part)| part).collect();
        if told.is_empty() {
            return None;
        }
        let silent: u64 = self.problems.values().map(|count| count.saturating_sub(self.show as u64)).sum();
        let more = if silent > 0 {
            format!("; {} more are not named, --show N names more", thousands(silent))
        } else {
            String::new()
        };
        Some(format!("{}{more}", told.join(", ")))
    }
}

/// The name of a kind of problem.
fn kind_name(kind: i32) -> &'static str {
    use v1::ReadingProblemKind as Kind;
    match Kind::try_from(kind) {
        Ok(Kind::Contradicts) => "contradicts",
        Ok(Kind::Overlaps) => "overlaps",
        Ok(Kind::TooOld) => "too-old",
        Ok(Kind::InFuture) => "in-future",
        Ok(Kind::NotOwn) => "not-own",
        Ok(Kind::DeviceFull) => "device-full",
        Ok(Kind::OperatorFull) => "operator-full",
        Ok(Kind::Invalid) => "invalid",
        Ok(Kind::Unspecified) | Err(_) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(index: u32, kind: v1::ReadingProblemKind) -> v1::ReadingProblem {
        v1::ReadingProblem { index, kind: kind.into(), message: "why".to_owned(), stored: None }
    }

    #[test]
    fn each_item_is_counted_once_and_the_first_of_each_kind_are_named() {
        let mut tally = Tally::new(false, 2, false);
        tally.begin("reads.csv");
        let problems = (0..3).map(|index| problem(index, v1::ReadingProblemKind::Overlaps)).collect();
        let put = Put { added: 4, same: 1, replaced: 0, problems, problem_count: 3 };
        tally.take(put, 8, |index| Some((u64::from(index) + 2, format!("reading {index}"))));
        tally.failed(11, "status: failed");
        tally.unreadable(&LineError::new(12, "device", "is no EUI-64"));
        let json = serde_json::to_value(&tally).unwrap();
        let expected = serde_json::json!({
            "dry_run": false, "read": 9, "added": 4, "same": 1, "not_stored": 3, "failed": 1, "unreadable": 1,
            "problems": {"failed": 1, "overlaps": 3, "unreadable": 1},
            "named": [
                {"file": "reads.csv", "line": 2, "kind": "overlaps", "message": "reading 0: why"},
                {"file": "reads.csv", "line": 3, "kind": "overlaps", "message": "reading 1: why"},
                {"file": "reads.csv", "line": 11, "kind": "failed", "message": "status: failed"},
                {"file": "reads.csv", "line": 12, "kind": "unreadable", "message": "device: is no EUI-64"},
            ],
        });
        assert_eq!(json, expected);
        let told = tally.told(("reading", "readings")).unwrap();
        let words = "3 readings were not stored, 1 line, row or document cannot be read; 1 more are not named, --show N names more";
        assert_eq!(told, words);
    }

    #[test]
    fn reads_that_failed_are_no_failure_of_the_load() {
        let mut tally = Tally::new(true, 20, false);
        tally.failed(2, "voltage_v: empty");
        assert_eq!(tally.told(("reading", "readings")), None);
    }
}
