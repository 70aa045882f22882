//! Counts and alerts, read from the books and the log.
//!
//! It must not know how either is written. Invariant: nobody is answered with what is another's to see, and an answer is
//! exact as of the position that it names.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use super::{Handle, Refusal, internal};
use crate::{
    admit::hour_of,
    books::{self, CountQuery, CountTable, Families, LabelGroups, Names, Parties, Ranks, Summing},
    domain::{Cell, End, Eui64, Group, HOUR_MS, Millis, Position, Remarks, Tally, owner_of_rule},
    listing::{AlertPage, AlertQuery, Listing},
    store::GroupHead,
};

impl Handle {
    /// Counts alerts: by the books, or by the log where it is grouped by what the books do not keep. Blocks on the disk: call
    /// it from a blocking task.
    pub fn counts(&self, query: &CountQuery) -> Result<CountTable, Refusal> {
        if query.is_of_log() { self.counts_of_log(query) } else { self.counts_named(query, |names| names) }
    }

    /// Counts by the books, with what `name` makes of the names.
    pub(super) fn counts_named(
        &self,
        query: &CountQuery,
        name: impl Fn(Names) -> Names,
    ) -> Result<CountTable, Refusal> {
        let (query, hours) = self.checked(query)?;
        let names = name(self.names_for(&query));
        let moved_from = names.families.first_change();
        let mut sum = Summing::new(&query, names, self.report.count_rows_max);
        let position = self.each_cell(hours.clone(), |hour, counted| {
            sum.take_one(hour, counted, Parties::default()).map_err(|_| self.too_many_rows())
        })?;
        // The books keep codes, and no position that says what a code belonged to: the log does.
        if let Some(from) = moved_from {
            // A query of labels is one of the log.
            let mut none = LabelGroups::default();
            self.each_row(&query, &hours, from..position, &mut none, |hour, counted, parties| {
                sum.relocate(hour, counted, parties).map_err(|_| self.too_many_rows())
            })?;
        }
        Ok(sum.finish(position))
    }

    /// Counts by the log, and by the books what the log has no entry of: rejected alerts. Where the largest rows are asked
    /// for, the log is read twice: once to know which those are, so that what is held in memory is small for each row.
    fn counts_of_log(&self, query: &CountQuery) -> Result<CountTable, Refusal> {
        let (query, hours) = self.checked(query)?;
        let mut labels = self.label_groups(&query.label_keys, &query.labels)?;
        let mut sum = Summing::new(&query, self.names_for(&query), self.report.count_rows_max);
        let whole = |end| Position::default()..end;
        let mut rejected: Vec<(u32, (Cell, Tally))> = Vec::new();
        let position = self.each_cell(hours.clone(), |hour, (cell, tally)| {
            if cell.end == End::Rejected && !query.only_throttled && labels.admit_none() {
                rejected.push((hour, (cell, tally)));
            }
            Ok(())
        })?;
        if let Some(top) = query.top {
            let mut ranks = Ranks::new(self.report.device_rows_max);
            let too_many = |_| {
                let max = self.report.device_rows_max;
                Refusal::Exhausted(format!(
                    "there are more than report.device_rows_max ({max}) rows; ask for a shorter time"
                ))
            };
            for (hour, counted) in &rejected {
                sum.rank_one(&mut ranks, *hour, *counted, Parties::default()).map_err(too_many)?;
            }
            self.each_row(&query, &hours, whole(position), &mut labels, |hour, counted, parties| {
                sum.rank_one(&mut ranks, hour, counted, parties).map_err(too_many)
            })?;
            sum.choose(ranks, top);
        }
        for (hour, counted) in rejected {
            sum.take_one(hour, counted, Parties::default()).map_err(|_| self.too_many_rows())?;
        }
        let kept_since_ms = self.each_row(&query, &hours, whole(position), &mut labels, |hour, counted, parties| {
            sum.take_one(hour, counted, parties).map_err(|_| self.too_many_rows())
        })?;
        let unknown_labels = labels.unknown().to_vec();
        sum.name_labels(labels.into_texts());
        Ok(CountTable { kept_since_ms, unknown_labels, ..sum.finish(position) })
    }

    /// The query as far as the caller may ask it, and its hours.
    fn checked(&self, query: &CountQuery) -> Result<(CountQuery, Range<u32>), Refusal> {
        let mut query = query.clone();
        self.limit_operators(&mut query.operators)?;
        self.check_filter(query.rule.as_deref())?;
        let hours = books::check(&query).map_err(|error| Refusal::invalid(error.field, error.message))?;
        Ok((query, hours))
    }

    fn too_many_rows(&self) -> Refusal {
        let rows_max = self.report.count_rows_max;
        Refusal::Exhausted(format!(
            "the answer has more than report.count_rows_max ({rows_max}) rows; ask for a shorter time, for the largest (top), \
             or group by less"
        ))
    }

    /// Gives every cell of some hours of the books; they are exact as of the position that is returned.
    fn each_cell(
        &self,
        hours: Range<u32>,
        mut take: impl FnMut(u32, (Cell, Tally)) -> Result<(), Refusal>,
    ) -> Result<Position, Refusal> {
        let reader = self.shared.reader()?;
        // What is written is read as of a moment at which the ledger does not change. An hour that is not in memory then
        // was written before it left, and an hour that is in memory counts as it is there.
        let (written, in_memory, position) = {
            let ledger = self.shared.ledger.read();
            let mut in_memory = BTreeSet::new();
            for (hour, cells) in ledger.cells(hours.clone()) {
                cells.into_iter().try_for_each(|counted| take(hour, counted))?;
                in_memory.insert(hour);
            }
            (reader.hours(hours).map_err(internal)?, in_memory, ledger.position())
        };
        for page in written {
            self.go_on()?;
            let page = page.map_err(internal)?;
            if !in_memory.contains(&page.hour) {
                page.cells.into_iter().try_for_each(|counted| take(page.hour, counted))?;
            }
        }
        Ok(position)
    }

    /// Returns true where a query reads the log: it groups by what the books do not keep, or by the family of codes some of
    /// which have changed theirs.
    pub fn reads_log(&self, query: &CountQuery) -> bool {
        query.is_of_log() || (query.is_by_family() && self.families().first_change().is_some())
    }

    /// Passes on every alert that the log has between two positions, that was received in some hours and that the query counts,
    /// as far as the log alone tells. Returns as [`each_group`](Self::each_group) does.
    fn each_row(
        &self,
        query: &CountQuery,
        hours: &Range<u32>,
        logged: Range<Position>,
        labels: &mut LabelGroups,
        mut take: impl FnMut(u32, (Cell, Tally), Parties) -> Result<(), Refusal>,
    ) -> Result<Option<Millis>, Refusal> {
        let received = i64::from(hours.start) * HOUR_MS..i64::from(hours.end).saturating_mul(HOUR_MS);
        self.each_group(&received, logged.clone(), |head, group| {
            let Some(group) = group else { return Ok(()) };
            let rows = &group.rows;
            let is_counted = |row: &usize| {
                head.first.after(*row) >= logged.start
                    && received.contains(&rows.received_ms[*row])
                    && (!query.only_throttled || rows.weight[*row] > 1)
            };
            for row in (0..rows.len()).filter(is_counted) {
                if !labels.admit(rows.device_no[row]) {
                    continue;
                }
                let mut tally = Tally {
                    count: 1,
                    represented: u64::from(rows.weight[row]),
                    withheld: u64::from(group.withheld[row]),
                    ..Tally::default()
                };
                tally.remarks.note(Remarks(rows.remarks[row]));
                let parties = Parties {
                    device: Eui64(rows.device[row]),
                    recipient: Eui64(rows.recipient[row]),
                    occurred_ms: Some(rows.occurred_ms[row]),
                    position: Some(head.first.after(row)),
                    labels: labels.numbers(rows.device_no[row]),
                };
                take(hour_of(rows.received_ms[row]), (group.cell_of(row), tally), parties)?;
            }
            Ok(())
        })
    }

    /// Passes on every group that the log has before the end of some positions: its head, and the group where some of it lies
    /// at these positions and may have been received in a period. Returns the time from which the log has groups, if it has lost its beginning.
    pub(super) fn each_group(
        &self,
        received: &Range<Millis>,
        logged: Range<Position>,
        mut take: impl FnMut(&GroupHead, Option<Group>) -> Result<(), Refusal>,
    ) -> Result<Option<Millis>, Refusal> {
        let reader = self.shared.reader()?;
        let mut heads = reader.heads(Position::default()).map_err(internal)?;
        let mut kept_since_ms = None;
        while let Some(head) = heads.next() {
            self.go_on()?;
            let head = head.map_err(internal)?;
            if kept_since_ms.is_none() {
                // Positions begin at 0: a log that begins later has lost what was before.
                kept_since_ms = Some((head.first > Position::default()).then_some(head.received_ms_min));
            }
            if head.first >= logged.end {
                break;
            }
            let is_within = head.end > logged.start
                && head.received_ms_max >= received.start
                && head.received_ms_min < received.end;
            let group = is_within.then(|| heads.read(&head)).transpose().map_err(internal)?;
            take(&head, group)?;
        }
        Ok(kept_since_ms.flatten())
    }

    /// The time that the host goes by.
    pub fn now_ms(&self) -> Millis {
        (self.clock)()
    }

    pub(super) fn names(&self) -> Names {
        let registry = self.shared.registry.read();
        Names {
            rules: registry.revisions().map(|entry| (entry.revision, entry.name.clone())).collect(),
            models: HashMap::clone(&self.shared.models.read()),
            families: Families::default(),
        }
    }

    /// The names that a query needs.
    fn names_for(&self, query: &CountQuery) -> Names {
        let families = if query.is_by_family() { self.families() } else { Families::default() };
        Names { families, ..self.names() }
    }

    /// Reads the log. Blocks on the disk: call it from a blocking task.
    pub fn alerts(&self, query: &AlertQuery) -> Result<AlertPage, Refusal> {
        let mut query = query.clone();
        self.limit_operators(&mut query.operators)?;
        self.check_filter(query.rule.as_deref())?;
        self.page(&query, Position(u64::MAX))
    }

    /// One page of the log before `end`.
    pub(super) fn page(&self, query: &AlertQuery, end: Position) -> Result<AlertPage, Refusal> {
        let reader = self.shared.reader()?;
        let registry = self.shared.registry.read().clone();
        let models = self.shared.models.read().clone();
        let mut listing = Listing::new(query, &registry, &models);
        let received = query.received_ms();
        let mut heads = reader.heads(query.from).map_err(internal)?;
        while let Some(head) = heads.next() {
            self.go_on()?;
            let head = head.map_err(internal)?;
            listing.begin(head.first);
            if head.end > end {
                break;
            }
            if head.received_ms_max < received.start || head.received_ms_min >= received.end {
                listing.skip(head.end);
            } else if !listing.take(&heads.read(&head).map_err(internal)?) {
                break;
            }
        }
        let mut page = listing.finish();
        // A call that failed is on record for its whole group, whoever's alerts are in it.
        let own = self.who.operator();
        for alert in page.alerts.iter_mut().filter(|_| own.is_some()) {
            alert.faults.retain(|(rule, ..)| [own, None].contains(&owner_of_rule(rule)));
        }
        Ok(page)
    }
}
