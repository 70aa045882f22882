//! Answers of the books: cells in, rows out.
//!
//! It must not know where the counts were. Invariant: rows are ordered by their keys, and the total is their sum.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::Arc,
};

use hashbrown::{HashMap as FastMap, HashSet as FastSet};

use super::{CountQuery, Families, Grouping, labels::RowLabels};
use crate::{
    domain::{
        AlertCode, Balance, Cell, End, Eui64, Generation, HOUR_MS, LabelKey, Millis, ModelId, OperatorId, Position,
        RejectReason, RemarkCounts, Revision, Tally, UnknownLabel,
    },
    evaluate::Filter,
};

/// The keys of one row: set where grouped by.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CountKey {
    /// Code; inner `None` for rejected alerts without one.
    pub code: Option<Option<AlertCode>>,
    /// Rule name; empty for none.
    pub rule: Option<String>,
    /// Operator.
    pub operator: Option<OperatorId>,
    /// Generation.
    pub generation: Option<Generation>,
    /// Model name; empty for not known.
    pub model: Option<String>,
    /// Start of the hour or day.
    pub start_ms: Option<Millis>,
    /// Why rejected; empty for none.
    pub rejection: Option<&'static str>,
    /// Device; `Eui64::NONE` for rejected alerts.
    pub device: Option<Eui64>,
    /// Recipient; `Eui64::NONE` for not known.
    pub recipient: Option<Eui64>,
    /// Family of the code; empty for not known.
    pub family: Option<String>,
    /// Start of the day of occurrence; inner `None` for rejected alerts.
    pub occurred_ms: Option<Option<Millis>>,
    /// Labels in the order of `label_keys`; empty text for none.
    pub labels: Vec<(LabelKey, Arc<str>)>,
}

impl CountKey {
    /// The key of a cell in an hour.
    pub fn of(group_by: &[Grouping], names: &Names, hour: u32, cell: &Cell) -> Self {
        let mut key = Self::default();
        for grouping in group_by {
            match grouping {
                Grouping::Code => key.code = Some(cell.code.map(AlertCode)),
                Grouping::Rule => key.rule = Some(names.rules.get(&cell.rule).cloned().unwrap_or_default()),
                Grouping::Operator => key.operator = Some(operator(cell)),
                Grouping::Generation => key.generation = Some(generation(cell)),
                Grouping::Model => {
                    key.model = Some(names.models.get(&ModelId(cell.model)).cloned().unwrap_or_default());
                }
                Grouping::Hour => key.start_ms = Some(i64::from(hour) * HOUR_MS),
                Grouping::Day => key.start_ms = Some(i64::from(hour / 24) * 24 * HOUR_MS),
                Grouping::Rejection => {
                    let reason = RejectReason::from_number(cell.reason).filter(|_| cell.end == End::Rejected);
                    key.rejection = Some(reason.map_or("", RejectReason::name));
                }
                // They are of an alert and not of a cell: see `with_parties` and `with_labels`.
                Grouping::Device
                | Grouping::Recipient
                | Grouping::OccurredDay
                | Grouping::Family
                | Grouping::Label(_) => {}
            }
        }
        key
    }

    /// Adds the keys that an alert has and its cell has not.
    fn with_parties(mut self, group_by: &[Grouping], row: &RowKey, families: &Families) -> Self {
        for grouping in group_by {
            match grouping {
                Grouping::Family => self.family = Some(families.name(row.family).to_owned()),
                Grouping::Device => self.device = Some(Eui64(row.device)),
                Grouping::Recipient => self.recipient = Some(Eui64(row.recipient)),
                Grouping::OccurredDay => {
                    let day = row.occurred_day.checked_sub(1);
                    self.occurred_ms = Some(day.map(|day| i64::from(day) * 24 * HOUR_MS));
                }
                _ => {}
            }
        }
        self
    }

    /// Adds the labels of a row. `texts` are those of each label by their numbers, from 1.
    fn with_labels(mut self, keys: &[LabelKey], texts: &[Vec<Arc<str>>], row: &RowKey) -> Self {
        let text = |texts: &Vec<Arc<str>>, number: u32| texts.get((number as usize).checked_sub(1)?).cloned();
        let named = keys.iter().zip(texts).zip(row.labels);
        self.labels = named
            .map(|((key, texts), number)| (key.clone(), text(texts, number).unwrap_or_else(|| Arc::from(""))))
            .collect();
        self
    }

    /// Orders keys by the groupings in the order they were asked for.
    pub fn compare(&self, other: &Self, group_by: &[Grouping]) -> std::cmp::Ordering {
        let (a, b) = (self, other);
        let by = |grouping: &Grouping| match grouping {
            Grouping::Code => a.code.cmp(&b.code),
            Grouping::Rule => a.rule.cmp(&b.rule),
            Grouping::Operator => a.operator.cmp(&b.operator),
            Grouping::Generation => a.generation.cmp(&b.generation),
            Grouping::Model => a.model.cmp(&b.model),
            Grouping::Hour | Grouping::Day => a.start_ms.cmp(&b.start_ms),
            Grouping::Rejection => a.rejection.cmp(&b.rejection),
            Grouping::Device => a.device.cmp(&b.device),
            Grouping::Recipient => a.recipient.cmp(&b.recipient),
            Grouping::Family => a.family.cmp(&b.family),
            Grouping::OccurredDay => a.occurred_ms.cmp(&b.occurred_ms),
            Grouping::Label(index) => a.labels.get(usize::from(*index)).cmp(&b.labels.get(usize::from(*index))),
        };
        group_by.iter().map(by).fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    }
}

/// The counts of one row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The four ends.
    pub balance: Balance,
    /// Sum of weights of what was received.
    pub represented: u64,
    /// Forwarded because the code is protected.
    pub overruled: u64,
    /// Sum of what forwarded alerts stand for beside themselves.
    pub withheld: u64,
    /// Remarks about what was taken.
    pub remarks: RemarkCounts,
}

impl Counts {
    fn add(&mut self, cell: &Cell, tally: &Tally) {
        self.balance.add(cell.end, tally.count);
        self.represented += tally.represented;
        self.withheld += tally.withheld;
        self.remarks.add(tally.remarks);
        if cell.end == End::Forwarded && cell.rule != Revision::NONE {
            self.overruled += tally.count;
        }
    }

    /// Takes off what [`add`](Self::add) added.
    fn remove(&mut self, cell: &Cell, tally: &Tally) {
        self.balance.remove(cell.end, tally.count);
        self.represented -= tally.represented;
        self.withheld -= tally.withheld;
        self.remarks.remove(tally.remarks);
        if cell.end == End::Forwarded && cell.rule != Revision::NONE {
            self.overruled -= tally.count;
        }
    }

    fn add_counts(&mut self, other: &Self) {
        self.balance.add_all(other.balance);
        self.represented += other.represented;
        self.overruled += other.overruled;
        self.withheld += other.withheld;
        self.remarks.add(other.remarks);
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct CountTable {
    /// Ordered by key, in the order of `group_by`.
    pub rows: Vec<(CountKey, Counts)>,
    /// The sum of all rows.
    pub total: Counts,
    /// Exact as of here.
    pub position: Position,
    /// How many rows `top` left out, and their sum.
    pub rest: Option<(u64, Counts)>,
    /// Where it was counted from a log that has lost its beginning: what was received before may be missing.
    pub kept_since_ms: Option<Millis>,
    /// Values of labels that were asked for and that no device has.
    pub unknown_labels: Vec<UnknownLabel>,
}

/// Names for numbers, as an answer needs them.
#[derive(Debug, Default)]
pub struct Names {
    /// Rule names by revision.
    pub rules: HashMap<Revision, String>,
    /// Model names by id.
    pub models: HashMap<ModelId, String>,
    /// What codes belong to; only for a query that groups by that.
    pub families: Families,
}

/// An answer has more rows than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyCountRows;

/// A sum over cells that is grown hour by hour. It holds the rows of the answer and nothing of the hours.
pub struct Summing<'a> {
    query: &'a CountQuery,
    filter: Filter,
    /// Revisions that pass the filter; `None` for all.
    rules: Option<HashSet<Revision>>,
    names: Names,
    rule_numbers: HashMap<Revision, u32>,
    model_numbers: HashMap<ModelId, u32>,
    /// Rows that are summed each for itself, where not all are.
    chosen: Option<FastSet<RowKey>>,
    /// Texts of each label that is grouped by.
    label_texts: Vec<Vec<Arc<str>>>,
    /// How many rows are not, and their sum.
    rest: (u64, Counts),
    /// Each row beside an hour and a cell that are of it.
    rows: FastMap<RowKey, (u32, Cell, Counts)>,
    rows_max: usize,
    total: Counts,
}

/// What a row is of; a part is 0 where the query does not group by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct RowKey {
    /// 65,536 for none.
    code: u32,
    rule: u32,
    operator: u8,
    generation: u8,
    model: u32,
    /// Start, in hours.
    start: u32,
    /// 0 for none.
    rejection: u8,
    family: u32,
    device: u64,
    recipient: u64,
    /// In days, from 1; 0 for none.
    occurred_day: u32,
    labels: RowLabels,
}

/// The keys that an alert has and its cell has not. A rejected alert has the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parties {
    /// The device that raised it.
    pub device: Eui64,
    /// The party it is addressed to.
    pub recipient: Eui64,
    /// When it occurred.
    pub occurred_ms: Option<Millis>,
    /// Where it was logged; `None` where that is not known.
    pub position: Option<Position>,
    /// Numbers of the device's labels that are grouped by.
    pub labels: RowLabels,
}

/// How much was received in each row: what is known of rows before the largest are chosen.
pub struct Ranks {
    received: FastMap<RowKey, u64>,
    rows_max: usize,
}

impl Ranks {
    /// Knows nothing yet, and at most `rows_max` rows.
    pub fn new(rows_max: usize) -> Self {
        Self { received: FastMap::new(), rows_max }
    }
}

const NO_CODE: u32 = 65_536;

/// A number for each distinct name, so that a row's key has no text. 0 is for none.
fn numbered<K: Copy + Eq + Hash>(names: &HashMap<K, String>) -> HashMap<K, u32> {
    let mut distinct: Vec<&String> = names.values().filter(|name| !name.is_empty()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let number = |name: &String| distinct.binary_search(&name).map_or(0, |at| at as u32 + 1);
    names.iter().map(|(key, name)| (*key, number(name))).collect()
}

impl<'a> Summing<'a> {
    /// Nothing summed yet, for an answer of at most `rows_max` rows.
    pub fn new(query: &'a CountQuery, names: Names, rows_max: usize) -> Self {
        let of_rule = |rule: &String| {
            let named = names.rules.iter().filter(|(_, name)| *name == rule);
            named.map(|(revision, _)| *revision).collect()
        };
        let rules = query.rule.as_ref().map(of_rule);
        let models = query.models.iter().map(|name| ModelId::of(name)).collect();
        let filter = Filter::of(&query.codes, &query.operators, &query.generations, models);
        Self {
            query,
            filter,
            rules,
            rule_numbers: numbered(&names.rules),
            model_numbers: numbered(&names.models),
            chosen: None,
            label_texts: Vec::new(),
            rest: (0, Counts::default()),
            names,
            rows: FastMap::new(),
            rows_max,
            total: Counts::default(),
        }
    }

    /// Adds one alert, or several of one kind, of one hour.
    pub fn take_one(
        &mut self,
        hour: u32,
        (cell, tally): (Cell, Tally),
        parties: Parties,
    ) -> Result<(), TooManyCountRows> {
        if !self.passes(&cell) {
            return Ok(());
        }
        let key = self.key_with(hour, &cell, parties);
        self.total.add(&cell, &tally);
        if self.chosen.as_ref().is_some_and(|chosen| !chosen.contains(&key)) {
            self.rest.1.add(&cell, &tally);
            return Ok(());
        }
        self.check_room(&key)?;
        self.rows.entry(key).or_insert((hour, cell, Counts::default())).2.add(&cell, &tally);
        Ok(())
    }

    /// Counts an alert that [`take_one`](Self::take_one) was given without a position in the family that its code had there.
    pub fn relocate(
        &mut self,
        hour: u32,
        (cell, tally): (Cell, Tally),
        parties: Parties,
    ) -> Result<(), TooManyCountRows> {
        if !self.passes(&cell) {
            return Ok(());
        }
        let from = self.key_with(hour, &cell, Parties { position: None, ..parties });
        let to = self.key_with(hour, &cell, parties);
        if from == to {
            return Ok(());
        }
        self.check_room(&to)?;
        // What the books do not have is not moved, or the rows would not add up to the total.
        if let Some((_, _, counts)) = self.rows.get_mut(&from) {
            counts.remove(&cell, &tally);
            if *counts == Counts::default() {
                self.rows.remove(&from);
            }
            self.rows.entry(to).or_insert((hour, cell, Counts::default())).2.add(&cell, &tally);
        }
        Ok(())
    }

    fn check_room(&self, key: &RowKey) -> Result<(), TooManyCountRows> {
        if self.rows.len() >= self.rows_max && !self.rows.contains_key(key) { Err(TooManyCountRows) } else { Ok(()) }
    }

    /// Counts the same towards its row's rank.
    pub fn rank_one(
        &self,
        ranks: &mut Ranks,
        hour: u32,
        (cell, tally): (Cell, Tally),
        parties: Parties,
    ) -> Result<(), TooManyCountRows> {
        if !self.passes(&cell) {
            return Ok(());
        }
        let key = self.key_with(hour, &cell, parties);
        if ranks.received.len() >= ranks.rows_max && !ranks.received.contains_key(&key) {
            return Err(TooManyCountRows);
        }
        *ranks.received.entry(key).or_default() += tally.count;
        Ok(())
    }

    /// From here on sums only the `top` largest rows each for itself, and all others together.
    pub fn choose(&mut self, ranks: Ranks, top: usize) {
        let mut rows: Vec<(u64, RowKey)> = ranks.received.into_iter().map(|(key, received)| (received, key)).collect();
        rows.sort_unstable_by(|(a, a_key), (b, b_key)| b.cmp(a).then(a_key.cmp(b_key)));
        self.rest.0 = rows.len().saturating_sub(top) as u64;
        rows.truncate(top);
        self.chosen = Some(rows.into_iter().map(|(_, key)| key).collect());
    }

    fn key_with(&self, hour: u32, cell: &Cell, parties: Parties) -> RowKey {
        let mut key = self.key_of(hour, cell);
        for grouping in &self.query.group_by {
            match grouping {
                Grouping::Family => key.family = self.names.families.number(cell, parties.position),
                Grouping::Device => key.device = parties.device.0,
                Grouping::Recipient => key.recipient = parties.recipient.0,
                Grouping::OccurredDay => {
                    let day = parties.occurred_ms.map(|ms| ms.max(0) / (24 * HOUR_MS) + 1);
                    key.occurred_day = day.and_then(|day| u32::try_from(day).ok()).unwrap_or_default();
                }
                Grouping::Label(index) => {
                    let at = usize::from(*index);
                    key.labels[at] = parties.labels[at];
                }
                _ => {}
            }
        }
        key
    }

    fn passes(&self, cell: &Cell) -> bool {
        self.filter.admits_cell(cell) && self.rules.as_ref().is_none_or(|rules| rules.contains(&cell.rule))
    }

    fn key_of(&self, hour: u32, cell: &Cell) -> RowKey {
        let mut key = RowKey::default();
        for grouping in &self.query.group_by {
            match grouping {
                Grouping::Code => key.code = cell.code.map_or(NO_CODE, u32::from),
                Grouping::Rule => key.rule = self.rule_numbers.get(&cell.rule).copied().unwrap_or_default(),
                Grouping::Operator => key.operator = operator(cell).get(),
                Grouping::Generation => key.generation = generation(cell) as u8,
                Grouping::Model => {
                    key.model = self.model_numbers.get(&ModelId(cell.model)).copied().unwrap_or_default();
                }
                Grouping::Hour => key.start = hour,
                Grouping::Day => key.start = hour / 24 * 24,
                Grouping::Rejection => {
                    let reason = RejectReason::from_number(cell.reason).filter(|_| cell.end == End::Rejected);
                    key.rejection = reason.map_or(0, |reason| reason as u8);
                }
                Grouping::Device
                | Grouping::Recipient
                | Grouping::OccurredDay
                | Grouping::Family
                | Grouping::Label(_) => {}
            }
        }
        key
    }

    /// Says what the numbers of labels stand for, by number from 1, for each label that is grouped by.
    pub fn name_labels(&mut self, texts: Vec<Vec<Arc<str>>>) {
        self.label_texts = texts;
    }

    /// The answer, exact as of a position.
    pub fn finish(self, position: Position) -> CountTable {
        let Self { query: CountQuery { group_by, top, label_keys, .. }, names, rows, total, rest, label_texts, .. } =
            self;
        let (rows_none, unknown_labels) = (Vec::new(), Vec::new());
        let answer = CountTable { rows: rows_none, total, position, rest: None, kept_since_ms: None, unknown_labels };
        if group_by.is_empty() {
            return CountTable { rows: vec![(CountKey::default(), total)], ..answer };
        }
        let named = rows.into_iter().map(|(row, (hour, cell, counts))| {
            let key = CountKey::of(group_by, &names, hour, &cell).with_parties(group_by, &row, &names.families);
            (key.with_labels(label_keys, &label_texts, &row), counts)
        });
        let mut rows: Vec<(CountKey, Counts)> = named.collect();
        rows.sort_unstable_by(|(a, _), (b, _)| a.compare(b, group_by));
        let (mut rest_rows, mut rest) = rest;
        if let Some(top) = *top {
            // Rows of which as much was received stay in the order of their keys.
            rows.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.balance.received()));
            for (_, counts) in rows.drain(top.min(rows.len())..) {
                rest_rows += 1;
                rest.add_counts(&counts);
            }
        }
        CountTable { rows, rest: (rest_rows > 0).then_some((rest_rows, rest)), ..answer }
    }
}

fn operator(cell: &Cell) -> OperatorId {
    OperatorId::new(u32::from(cell.operator)).unwrap_or_default()
}

fn generation(cell: &Cell) -> Generation {
    Generation::from_number(cell.generation).unwrap_or_default()
}
