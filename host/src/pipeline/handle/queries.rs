//! Counts and alerts, read from the books and the log.
//!
//! It must not know how either is written. Invariant: nobody is answered with what is another's to see, and an answer is
//! exact as of the position that it names.

use std::collections::{BTreeSet, HashMap};

use super::{Handle, Refusal, internal};
use crate::{
    books::{self, CountQuery, CountTable, Names, Summing, TooManyCountRows},
    domain::{Position, owner_of_rule},
    listing::{AlertPage, AlertQuery, Listing},
};

impl Handle {
    /// Reads the books. Blocks on the disk for cold hours: call it from a blocking task.
    pub fn counts(&self, query: &CountQuery) -> Result<CountTable, Refusal> {
        self.counts_named(query, |names| names)
    }

    /// The same, with what `name` makes of the names.
    pub(super) fn counts_named(
        &self,
        query: &CountQuery,
        name: impl Fn(Names) -> Names,
    ) -> Result<CountTable, Refusal> {
        let mut query = query.clone();
        self.limit_operators(&mut query.operators)?;
        self.check_filter(query.rule.as_deref())?;
        let query = &query;
        let hours = books::check(query).map_err(|error| Refusal::invalid(error.field, error.message))?;
        let reader = self.shared.reader()?;
        let rows_max = self.report.count_rows_max;
        let too_many = |TooManyCountRows| {
            Refusal::Exhausted(format!(
                "the answer has more than report.count_rows_max ({rows_max}) rows; ask for a shorter time or group by less"
            ))
        };
        // What is written is read as of a moment at which the ledger does not change. An hour that is not in memory then
        // was written before it left, and an hour that is in memory counts as it is there.
        let (mut sum, written, in_memory, position) = {
            let ledger = self.shared.ledger.read();
            let mut sum = Summing::new(query, name(self.names()), rows_max);
            let mut in_memory = BTreeSet::new();
            for (hour, cells) in ledger.cells(hours.clone()) {
                sum.take(hour, cells).map_err(too_many)?;
                in_memory.insert(hour);
            }
            (sum, reader.hours(hours).map_err(internal)?, in_memory, ledger.position())
        };
        for page in written {
            self.go_on()?;
            let page = page.map_err(internal)?;
            if !in_memory.contains(&page.hour) {
                sum.take(page.hour, page.cells).map_err(too_many)?;
            }
        }
        Ok(sum.finish(position))
    }

    pub(super) fn names(&self) -> Names {
        let registry = self.shared.registry.read();
        Names {
            rules: registry.revisions().map(|entry| (entry.revision, entry.name.clone())).collect(),
            models: HashMap::clone(&self.shared.models.read()),
        }
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
