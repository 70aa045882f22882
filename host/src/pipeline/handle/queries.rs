//! Counts and alerts, read from the books and the log.
//!
//! It must not know how either is written. Invariant: nobody is answered with what is another's to see, and an answer is
//! exact as of the position that it names.

use super::{Handle, Refusal, internal};
use crate::{
    books::{self, CountQuery, CountTable, Names},
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
        loop {
            let (position, mut cells) = {
                let ledger = self.shared.ledger.read();
                (ledger.position(), ledger.cells(hours.clone()))
            };
            let cold = reader.hours(hours.clone()).map_err(internal)?;
            let cold = cold.into_iter().filter(|page| !cells.contains_key(&page.hour)).collect::<Vec<_>>();
            // An hour that was cold a moment ago and has since been added to and written is asked for again.
            if cold.iter().any(|page| page.as_of > position) {
                continue;
            }
            cells.extend(cold.into_iter().map(|page| (page.hour, page.cells)));
            let names = name(self.names());
            let hours = cells.iter().map(|(hour, cells)| (*hour, cells.as_slice()));
            return Ok(books::answer(query, &names, position, hours));
        }
    }

    pub(super) fn names(&self) -> Names {
        let registry = self.shared.registry.read();
        Names {
            rules: registry.revisions().iter().map(|entry| (entry.revision, entry.name.clone())).collect(),
            models: self.shared.models.read().clone(),
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
