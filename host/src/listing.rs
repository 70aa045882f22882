//! Listing logged alerts: filter groups of the log, and name the rule behind each verdict.
//!
//! It must not know how groups are kept. Invariant: what is listed is what was committed, in log order; a page goes on
//! exactly where the one before ended, whatever has arrived since.

use std::{collections::HashMap, sync::Arc};

use crate::{
    domain::{
        Alert, AlertCode, End, Eui64, FaultKind, Flags, Generation, Group, Millis, ModelId, Mpxn, OperatorId, Position,
        Remarks, Revision,
    },
    evaluate::Filter,
    registry::Registry,
};

/// Which alerts. An empty list lets everything through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlertQuery {
    /// At most this many, already checked against the limit.
    pub page_size: usize,
    /// From this position on.
    pub from: Position,
    /// Outcomes.
    pub ends: Vec<End>,
    /// One device.
    pub device: Option<Eui64>,
    /// Codes.
    pub codes: Vec<AlertCode>,
    /// Suppressed or overruled by this rule.
    pub rule: Option<String>,
    /// Operators.
    pub operators: Vec<OperatorId>,
    /// Generations.
    pub generations: Vec<Generation>,
    /// Models.
    pub models: Vec<ModelId>,
    /// Received at or after.
    pub since_ms: Option<Millis>,
    /// Received before.
    pub until_ms: Option<Millis>,
    /// When they occurred; `None` for any time. An alert that states none counts as of its receipt.
    pub occurred_ms: Option<std::ops::Range<Millis>>,
    /// When the DCC passed them on; `None` for any time, or none.
    pub dcc_ms: Option<std::ops::Range<Millis>>,
    /// One metering point.
    pub point: Option<PointFilter>,
    /// Look at so many rows, and at the rest of the group they end in; `None` for no end.
    pub looked_rows_max: Option<usize>,
}

impl AlertQuery {
    /// The times of receipt it lets through.
    pub fn received_ms(&self) -> std::ops::Range<Millis> {
        self.since_ms.unwrap_or(Millis::MIN)..self.until_ms.unwrap_or(Millis::MAX)
    }
}

/// Alerts of one metering point: those that name it, and those of devices that are or were at it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PointFilter {
    /// The point.
    pub mpxn: Mpxn,
    /// The devices, each with the times of receipt that count.
    pub devices: Vec<(Eui64, std::ops::Range<Millis>)>,
}

impl PointFilter {
    fn admits(&self, group: &Group, row: usize) -> bool {
        let (device, received) = (group.rows.device[row], group.rows.received_ms[row]);
        self.devices.iter().any(|(known, times)| known.0 == device && times.contains(&received))
            || group.rows.details(row).is_some_and(|details| details.mpxn == self.mpxn)
    }
}

/// The filters of a query, compiled.
struct Admits<'a> {
    query: &'a AlertQuery,
    filter: Filter,
    /// The revisions that the query's rule has had.
    revisions: Option<&'a [Revision]>,
}

impl<'a> Admits<'a> {
    fn new(query: &'a AlertQuery, registry: &'a Registry) -> Self {
        let AlertQuery { codes, operators, generations, models, .. } = query;
        let filter = Filter::of(codes, operators, generations, models.clone());
        Self { query, filter, revisions: query.rule.as_deref().map(|name| registry.numbers(name)) }
    }

    fn row(&self, group: &Group, row: usize) -> bool {
        let Self { query, filter, revisions } = self;
        let mark = group.mark_of(row);
        query.device.is_none_or(|device| group.rows.device[row] == device.0)
            && query.point.as_ref().is_none_or(|point| point.admits(group, row))
            // A list of outcomes has each once.
            && (query.ends.is_empty() || query.ends.contains(&mark.end))
            && revisions.is_none_or(|revisions| revisions.binary_search(&mark.rule).is_ok())
            && filter.admits(&group.rows, row)
            && query.received_ms().contains(&group.rows.received_ms[row])
            && query.occurred_ms.as_ref().is_none_or(|times| times.contains(&group.rows.occurred_ms[row]))
            // 0 is no time.
            && query.dcc_ms.as_ref().is_none_or(|times| {
                let dcc_ms = group.rows.dcc_ms[row];
                dcc_ms != 0 && times.contains(&dcc_ms)
            })
    }
}

/// The rule behind a verdict, as it was then.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleMark {
    /// Name.
    pub name: String,
    /// Revision.
    pub revision: Revision,
    /// Plugin digest as text.
    pub plugin_digest: String,
    /// Plugin name.
    pub plugin_name: String,
    /// Parameters.
    pub parameters: String,
    /// Reason.
    pub reason: String,
}

/// A logged alert.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedAlert {
    /// Where it stands.
    pub position: Position,
    /// As it arrived, times filled in.
    pub alert: Alert,
    /// Operator at the time.
    pub operator: OperatorId,
    /// Generation at the time.
    pub generation: Generation,
    /// Model name at the time.
    pub model: String,
    /// What became of it.
    pub end: End,
    /// By which rule.
    pub rule: Option<Arc<RuleMark>>,
    /// Whether a protected code overruled that rule.
    pub overruled: bool,
    /// Suppressed alerts it stands for.
    pub withheld: u32,
    /// Rules that failed on it: name, revision, kind.
    pub faults: Vec<(String, Revision, FaultKind)>,
    /// What there was to remark about it when it was taken.
    pub remarks: Remarks,
}

/// A page of them.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertPage {
    /// In log order.
    pub alerts: Vec<LoggedAlert>,
    /// Where to go on; `None` when all was looked at.
    pub next: Option<Position>,
    /// Everything before was looked at.
    pub position: Position,
    /// Where the first group that there was begins; `None` where there was none.
    pub begun: Option<Position>,
}

/// A page while groups are looked through.
pub struct Listing<'a> {
    query: &'a AlertQuery,
    admits: Admits<'a>,
    registry: &'a Registry,
    models: &'a HashMap<ModelId, String>,
    /// The rules behind the verdicts so far: alerts of one verdict share one, whatever its parameters take up.
    marks: HashMap<(Revision, u8), Option<Arc<RuleMark>>>,
    page: AlertPage,
    looked_rows: usize,
}

impl<'a> Listing<'a> {
    /// An empty page.
    pub fn new(query: &'a AlertQuery, registry: &'a Registry, models: &'a HashMap<ModelId, String>) -> Self {
        let page = AlertPage { alerts: Vec::new(), next: None, position: query.from, begun: None };
        let admits = Admits::new(query, registry);
        Self { query, admits, registry, models, marks: HashMap::new(), page, looked_rows: 0 }
    }

    /// Says where a group begins that is there.
    pub fn begin(&mut self, first: Position) {
        self.page.begun.get_or_insert(first);
    }

    /// Looks through one group; false when no further group is wanted: the page is full, or enough was looked at.
    pub fn take(&mut self, group: &Group) -> bool {
        for row in 0..group.rows.len() {
            let position = group.first.after(row);
            if position < self.query.from || !self.admits.row(group, row) {
                continue;
            }
            if self.page.alerts.len() == self.query.page_size {
                self.page.next = Some(position);
                self.page.position = position;
                return false;
            }
            let alert = self.logged(group, row, position);
            self.page.alerts.push(alert);
        }
        self.page.position = group.end();
        self.looked_rows += group.rows.len();
        self.query.looked_rows_max.is_none_or(|max| self.looked_rows < max)
    }

    /// Passes over groups up to a position: nothing in them was asked for.
    pub fn skip(&mut self, end: Position) {
        self.page.position = end;
    }

    /// The page as far as it came.
    pub fn finish(self) -> AlertPage {
        self.page
    }

    fn logged(&mut self, group: &Group, row: usize, position: Position) -> LoggedAlert {
        let mark = group.mark_of(row);
        let rows = &group.rows;
        let failed = group.faults.iter().filter(|fault| {
            let row = row as u32;
            row >= fault.first_row && row - fault.first_row < fault.row_count && mark.end != End::Duplicate
        });
        let registry = self.registry;
        let rule = self.marks.entry((mark.rule, mark.reason));
        let rule = rule.or_insert_with(|| rule_mark(registry, mark.rule, mark.reason).map(Arc::new)).clone();
        let name = |revision| registry.revision(revision).map_or(String::new(), |entry| entry.name.clone());
        LoggedAlert {
            position,
            alert: rows.alert(row),
            operator: rows.operator_of(row),
            generation: Flags(rows.flags[row]).generation(),
            model: self.models.get(&ModelId(rows.model[row])).cloned().unwrap_or_default(),
            end: mark.end,
            rule,
            overruled: mark.is_overruled(),
            withheld: group.withheld[row],
            faults: failed.map(|fault| (name(fault.rule), fault.rule, fault.kind)).collect(),
            remarks: Remarks(rows.remarks[row]),
        }
    }
}

/// A rule as it was in a revision, with a reason by its number.
pub fn rule_mark(registry: &Registry, revision: Revision, reason: u8) -> Option<RuleMark> {
    let entry = registry.revision(revision)?;
    let rule = entry.rule.as_ref()?;
    let plugin = registry.plugin(&rule.plugin)?;
    let reason = usize::from(reason).checked_sub(1).and_then(|index| plugin.reasons.get(index));
    Some(RuleMark {
        name: entry.name.clone(),
        revision,
        plugin_digest: rule.plugin.to_string(),
        plugin_name: plugin.name.clone(),
        parameters: rule.parameters.clone(),
        reason: reason.cloned().unwrap_or_default(),
    })
}
