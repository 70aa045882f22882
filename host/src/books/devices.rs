//! Counts by device, code and stretch of time: what the books do not keep, added up from groups of the log.
//!
//! It must not know how groups are kept. Invariant: each logged alert that is asked for is in one figure of one row, so
//! that the rows of a stretch add up to what the books say of it.

use std::ops::Range;

use hashbrown::HashMap as FastMap;

use crate::{
    domain::{AlertCode, End, Eui64, Generation, Group, Millis, OperatorId, Position},
    evaluate::Filter,
};

/// Which time of an alert counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AlertClock {
    /// When it reached the sender.
    #[default]
    Received,
    /// When the device says it happened.
    Occurred,
}

/// What to count. An empty list lets everything through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviceQuery {
    /// Stretches of time in order, apart from each other.
    pub spans: Vec<Range<Millis>>,
    /// Which time says what stretch an alert is in.
    pub clock: AlertClock,
    /// Whether each code is counted for itself.
    pub by_code: bool,
    /// Codes.
    pub codes: Vec<AlertCode>,
    /// Operators.
    pub operators: Vec<OperatorId>,
    /// Generations.
    pub generations: Vec<Generation>,
    /// Received at or after.
    pub since_ms: Option<Millis>,
    /// Received before.
    pub until_ms: Option<Millis>,
    /// Times of receipt at which rows are divided, in order.
    pub cuts: Vec<Millis>,
    /// Only groups that begin before this position.
    pub position: Option<Position>,
    /// Rows of the answer.
    pub rows_max: usize,
}

impl DeviceQuery {
    /// The times of receipt it lets through.
    pub fn received_ms(&self) -> Range<Millis> {
        let spans = self.spans.first().map_or(0, |span| span.start)..self.spans.last().map_or(0, |span| span.end);
        let (since, until) = (self.since_ms.unwrap_or(Millis::MIN), self.until_ms.unwrap_or(Millis::MAX));
        match self.clock {
            AlertClock::Received => since.max(spans.start)..until.min(spans.end),
            AlertClock::Occurred => since..until,
        }
    }

    /// The stretch that a time lies in.
    fn span_of(&self, time_ms: Millis) -> Option<usize> {
        let at = self.spans.partition_point(|span| span.end <= time_ms);
        self.spans.get(at).filter(|span| span.contains(&time_ms)).map(|_| at)
    }
}

/// What a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceKey {
    /// The device.
    pub device: Eui64,
    /// The code; 0 where codes are not counted each for itself.
    pub code: u16,
    /// Index of the stretch.
    pub span: u16,
    /// How many cuts are at or before the time of receipt.
    pub part: u16,
}

/// Alerts, and what they stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weighed {
    /// How many.
    pub count: u64,
    /// Sum of their weights.
    pub represented: u64,
}

impl Weighed {
    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.represented += other.represented;
    }
}

/// What became of the alerts of a row. Rejected ones are not attributed to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceEnds {
    /// Passed on.
    pub forwarded: Weighed,
    /// Held back.
    pub suppressed: Weighed,
    /// Seen before.
    pub duplicate: Weighed,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeviceCounts {
    /// Ordered by key.
    pub rows: Vec<(DeviceKey, DeviceEnds)>,
    /// Everything before was looked at.
    pub position: Position,
    /// What was received before may be gone from the log; `None` where nothing is.
    pub kept_since_ms: Option<Millis>,
}

/// More rows than one answer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyDeviceRows;

/// Counts while groups are looked through.
pub struct CountingDevices<'a> {
    query: &'a DeviceQuery,
    received: Range<Millis>,
    filter: Filter,
    rows: FastMap<DeviceKey, DeviceEnds>,
    position: Position,
}

impl<'a> CountingDevices<'a> {
    /// Nothing counted yet.
    pub fn new(query: &'a DeviceQuery) -> Self {
        let filter = Filter::of(&query.codes, &query.operators, &query.generations, Vec::new());
        Self { query, received: query.received_ms(), filter, rows: FastMap::new(), position: Position::default() }
    }

    /// Looks through one group.
    pub fn take(&mut self, group: &Group) -> Result<(), TooManyDeviceRows> {
        self.position = group.end();
        let (query, rows) = (self.query, &group.rows);
        for row in 0..rows.len() {
            let received = rows.received_ms[row];
            if !self.received.contains(&received) || !self.filter.admits(rows, row) {
                continue;
            }
            let time = if query.clock == AlertClock::Received { received } else { rows.occurred_ms[row] };
            let Some(span) = query.span_of(time) else { continue };
            let key = DeviceKey {
                device: Eui64(rows.device[row]),
                code: if query.by_code { rows.code[row] } else { 0 },
                span: u16::try_from(span).unwrap_or(u16::MAX),
                part: u16::try_from(query.cuts.partition_point(|cut| *cut <= received)).unwrap_or(u16::MAX),
            };
            if self.rows.len() >= query.rows_max && !self.rows.contains_key(&key) {
                return Err(TooManyDeviceRows);
            }
            let ends = self.rows.entry(key).or_default();
            let end = match group.mark_of(row).end {
                End::Forwarded => &mut ends.forwarded,
                End::Suppressed => &mut ends.suppressed,
                End::Duplicate | End::Rejected => &mut ends.duplicate,
            };
            end.add(Weighed { count: 1, represented: u64::from(rows.weight[row]) });
        }
        Ok(())
    }

    /// Passes over groups up to a position: nothing in them was asked for.
    pub fn skip(&mut self, end: Position) {
        self.position = end;
    }

    /// The counts.
    pub fn finish(self, kept_since_ms: Option<Millis>) -> DeviceCounts {
        let mut rows: Vec<(DeviceKey, DeviceEnds)> = self.rows.into_iter().collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        DeviceCounts { rows, position: self.position, kept_since_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lies_in_the_stretch_that_holds_it() {
        let query = DeviceQuery { spans: vec![0..10, 10..20, 30..40], ..DeviceQuery::default() };
        let expected = [(-1, None), (0, Some(0)), (9, Some(0)), (10, Some(1)), (20, None), (39, Some(2)), (40, None)];
        for (time, span) in expected {
            assert_eq!(query.span_of(time), span, "{time}");
        }
        assert_eq!(query.received_ms(), 0..40);
        let occurred = DeviceQuery { clock: AlertClock::Occurred, since_ms: Some(5), ..query };
        assert_eq!(occurred.received_ms(), 5..Millis::MAX);
    }
}
