//! What reports are made of: counts by device, the inventory, changes to rules, and the signal of a migration.
//!
//! It must not know how an answer looks. Invariant: what is counted here is counted of the same log and the same books
//! that listings and counts read, for the same caller.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{AtPoint, Handle, Refusal, internal};
use crate::{
    books::{
        self, CountQuery, CountTable, CountingDevices, DeviceCounts, DeviceQuery, Grouping, LabelFilter, LabelGroups,
        Names, TooManyDeviceRows,
    },
    config::ReportLimits,
    domain::{
        Device, DeviceNo, FinalUntil, Generation, HOUR_MS, LabelKey, Millis, ModelId, OperatorId, Placement, Position,
        Revision, RuleRevision, UnknownLabel,
    },
    migration::{Migration, Signal},
    pipeline::NamedDevice,
    registry::RevisionView,
};

/// Devices that are read at a time.
const DEVICES_AT_A_TIME: usize = 16_384;

const DAY_MS: Millis = 24 * HOUR_MS;

/// Which devices are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DevicesQuery {
    /// From this number on.
    pub from: u32,
    /// At most so many.
    pub devices_max: usize,
    /// Operators; empty for any.
    pub operators: Vec<OperatorId>,
    /// Only devices that all of these admit.
    pub labels: Vec<LabelFilter>,
}

/// Devices in the order of their numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DevicePart {
    /// Devices with their numbers.
    pub devices: Vec<(u32, NamedDevice)>,
    /// The number to go on from; `None` where there are no more.
    pub next: Option<u32>,
    /// Values of labels that were asked for and that no device has.
    pub unknown_labels: Vec<UnknownLabel>,
}

/// Things of devices by the number of the device, and the number to go on from; `None` where there are no more.
type Numbered<T> = (Vec<(u32, T)>, Option<u32>);

/// Devices of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InventoryCount {
    /// The inventory lists them.
    pub listed: u64,
    /// Only alerts have named them.
    pub unlisted: u64,
}

/// Which devices of the inventory are counted. An empty list lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InventoryQuery {
    /// Operators.
    pub operators: Vec<OperatorId>,
    /// Generations.
    pub generations: Vec<Generation>,
    /// Count by this label instead of operator, generation and model.
    pub label_key: Option<LabelKey>,
    /// Only devices that all of these admit.
    pub labels: Vec<LabelFilter>,
}

/// What devices of the inventory are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InventoryKey {
    /// Operator, generation and model.
    Kind(OperatorId, Generation, String),
    /// The value of a label; empty for devices without it.
    Label(Arc<str>),
}

/// The inventory's devices by what was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InventoryCounts {
    /// How many there are.
    pub counts: BTreeMap<InventoryKey, InventoryCount>,
    /// Values of labels that were asked for and that no device has.
    pub unknown_labels: Vec<UnknownLabel>,
}

/// A change to a rule, and what came of it in a period.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleChange {
    /// The change.
    pub change: RevisionView,
    /// Alerts it suppressed.
    pub suppressed: u64,
    /// Alerts it would have, but their code is protected.
    pub overruled: u64,
}

/// Which changes to rules are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleChangesQuery {
    /// Made at or after.
    pub since_ms: Option<Millis>,
    /// Made before.
    pub until_ms: Option<Millis>,
    /// Later than this revision.
    pub after: Revision,
    /// At most so many.
    pub changes_max: usize,
}

/// What is asked about a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationQuery {
    /// Devices there will be.
    pub planned_devices: u64,
    /// Forwarded alerts a day that can be handled.
    pub capacity_per_day: u64,
    /// Generation that is migrated.
    pub generation: Generation,
    /// Operators; empty for any.
    pub operators: Vec<OperatorId>,
    /// Measured is up to here; `None` for the last midnight.
    pub until_ms: Option<Millis>,
    /// Days that are measured; `None` for as many as the settings say.
    pub window_days: Option<u32>,
}

/// A signal, and what it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationView {
    /// The signal.
    pub signal: Signal,
    /// What was measured.
    pub measured: Migration,
    /// When.
    pub period: std::ops::Range<Millis>,
    /// The period is not over.
    pub is_provisional: bool,
    /// Exact as of here.
    pub position: Position,
}

impl Handle {
    /// Counts alerts by device. Blocks on the disk: call it from a blocking task.
    pub fn device_counts(&self, query: &DeviceQuery) -> Result<DeviceCounts, Refusal> {
        let mut query = DeviceQuery { rows_max: self.report.device_rows_max, ..query.clone() };
        self.limit_operators(&mut query.operators)?;
        let end = query.position.unwrap_or(Position(u64::MAX));
        let mut counting = CountingDevices::new(&query);
        let kept_since_ms = self.each_group(&query.received_ms(), Position::default()..end, |head, group| {
            let Some(group) = group else {
                counting.skip(head.end);
                return Ok(());
            };
            counting.take(&group).map_err(|TooManyDeviceRows| {
                let max = query.rows_max;
                Refusal::Exhausted(format!(
                    "there are more than report.device_rows_max ({max}) rows; ask for fewer stretches, codes or operators"
                ))
            })
        })?;
        Ok(counting.finish(kept_since_ms))
    }

    /// Lists devices from a number on. Blocks on the disk.
    pub fn devices(&self, query: &DevicesQuery) -> Result<DevicePart, Refusal> {
        let DevicesQuery { from, devices_max, ref operators, labels: ref filters } = *query;
        let (models, labels) = (self.shared.models.read().clone(), self.shared.labels.read().clone());
        let wanted = self.label_groups(&[], filters)?;
        let (devices, next) = self.some_devices(from, devices_max, operators, &wanted)?;
        let named = devices.into_iter().map(|(number, (device, placement))| {
            let model = models.get(&device.model).cloned().unwrap_or_default();
            (number, NamedDevice { device, placement, model, labels: labels.of(DeviceNo(number), device.operator) })
        });
        Ok(DevicePart { devices: named.collect(), next, unknown_labels: wanted.unknown().to_vec() })
    }

    /// Of the devices at a metering point, those that labels admit. Looks at every device.
    pub fn labelled(&self, at: AtPoint, filters: &[LabelFilter]) -> Result<DevicePart, Refusal> {
        let (wanted, AtPoint { mut devices, next }) = (self.label_groups(&[], filters)?, at);
        devices.retain(|(number, _)| wanted.admit(*number));
        Ok(DevicePart { devices, next, unknown_labels: wanted.unknown().to_vec() })
    }

    /// At most so many devices from a number on, without names.
    fn some_devices(
        &self,
        from: u32,
        devices_max: usize,
        operators: &[OperatorId],
        labels: &LabelGroups,
    ) -> Result<Numbered<(Device, Placement)>, Refusal> {
        let mut operators = operators.to_vec();
        self.limit_operators(&mut operators)?;
        let reader = self.shared.reader()?;
        // Where all are wanted, no more are read than fit, and one to go on from.
        let all = operators.is_empty() && !labels.is_filtered();
        let at_a_time = if all { devices_max.saturating_add(1) } else { DEVICES_AT_A_TIME };
        let (mut found, mut next) = (Vec::new(), from);
        loop {
            self.go_on()?;
            let some = reader.devices(next, at_a_time.min(DEVICES_AT_A_TIME)).map_err(internal)?;
            let Some((last, ..)) = some.last() else { return Ok((found, None)) };
            let after = last + 1;
            for (number, device, placement) in some {
                if found.len() == devices_max {
                    return Ok((found, Some(number)));
                }
                let is_wanted = operators.is_empty() || operators.contains(&device.operator);
                if is_wanted && labels.admit(number) {
                    found.push((number, (device, placement)));
                }
            }
            next = after;
        }
    }

    /// Counts the devices of the inventory. Blocks on the disk.
    pub fn inventory(&self, query: &InventoryQuery) -> Result<InventoryCounts, Refusal> {
        let InventoryQuery { operators, generations, label_key, labels: filters } = query;
        let mut labels = self.label_groups(label_key.as_slice(), filters)?;
        let (max, mut counts) = (self.report.device_rows_max, HashMap::new());
        let mut from = Some(0);
        while let Some(number) = from {
            let (devices, next) = self.some_devices(number, DEVICES_AT_A_TIME, operators, &labels)?;
            let wanted = |device: &Device| generations.is_empty() || generations.contains(&device.generation);
            for (number, (device, _)) in devices.into_iter().filter(|(_, (device, _))| wanted(device)) {
                let mut key = (OperatorId::UNKNOWN, Generation::Unknown, ModelId::UNKNOWN, 0);
                match label_key {
                    Some(_) => key.3 = labels.numbers(number)[0],
                    None => (key.0, key.1, key.2) = (device.operator, device.generation, device.model),
                }
                if counts.len() >= max && !counts.contains_key(&key) {
                    let what =
                        format!("there are more than report.device_rows_max ({max}) rows; ask for fewer operators");
                    return Err(Refusal::Exhausted(what));
                }
                let count: &mut InventoryCount = counts.entry(key).or_default();
                *if device.listed { &mut count.listed } else { &mut count.unlisted } += 1;
            }
            from = next;
        }
        let unknown_labels = labels.unknown().to_vec();
        let (models, texts) = (self.shared.models.read().clone(), labels.into_texts());
        let text = |label: u32| texts.first()?.get((label as usize).checked_sub(1)?).cloned();
        let mut named = BTreeMap::new();
        for ((operator, generation, model, label), InventoryCount { listed, unlisted }) in counts {
            let key = match label_key {
                Some(_) => InventoryKey::Label(text(label).unwrap_or_else(|| Arc::from(""))),
                None => InventoryKey::Kind(operator, generation, models.get(&model).cloned().unwrap_or_default()),
            };
            let count: &mut InventoryCount = named.entry(key).or_default();
            count.listed += listed;
            count.unlisted += unlisted;
        }
        Ok(InventoryCounts { counts: named, unknown_labels })
    }

    /// Changes to rules that were made in a period, oldest first, with what came of each in it; and how many more there
    /// are. Blocks on the disk.
    pub fn rule_changes(&self, query: &RuleChangesQuery) -> Result<(Vec<RuleChange>, usize), Refusal> {
        let RuleChangesQuery { since_ms, until_ms, after, changes_max } = *query;
        let done = self.counts_by_revision(since_ms, until_ms)?;
        let period = since_ms.unwrap_or(Millis::MIN)..until_ms.unwrap_or(Millis::MAX);
        let registry = self.shared.registry.read();
        let made =
            |entry: &&RuleRevision| entry.revision > after && period.contains(&entry.made_ms) && self.owns(&entry.name);
        let all: Vec<&RuleRevision> = registry.revisions().filter(made).collect();
        let changes = all.iter().take(changes_max).map(|entry| {
            let (suppressed, overruled) = done.get(&entry.revision).copied().unwrap_or_default();
            RuleChange { change: self.shared.view_revision(&registry, entry), suppressed, overruled }
        });
        Ok((changes.collect(), all.len().saturating_sub(changes_max)))
    }

    /// What each revision suppressed in a period, and was overruled on.
    fn counts_by_revision(
        &self,
        since_ms: Option<Millis>,
        until_ms: Option<Millis>,
    ) -> Result<BTreeMap<Revision, (u64, u64)>, Refusal> {
        let query = CountQuery { group_by: vec![Grouping::Rule], since_ms, until_ms, ..CountQuery::default() };
        // The books keep each revision apart: its number takes the place of the rule's name.
        let numbers = |names: Names| Names {
            rules: names.rules.into_keys().map(|revision| (revision, revision.0.to_string())).collect(),
            ..names
        };
        let table = self.counts_named(&query, numbers)?;
        let number = |name: Option<String>| name.and_then(|name| name.parse().ok()).map(Revision);
        let rows = table.rows.into_iter();
        Ok(rows
            .filter_map(|(key, counts)| Some((number(key.rule)?, (counts.balance.suppressed, counts.overruled))))
            .collect())
    }

    /// The signal of the migration that the settings speak of, if they do and it can be made. Blocks on the disk.
    pub fn planned_migration(&self) -> Option<MigrationView> {
        let ReportLimits { migration_planned_devices, migration_capacity_alerts_per_day, .. } = self.report;
        let query = MigrationQuery {
            planned_devices: migration_planned_devices,
            capacity_per_day: migration_capacity_alerts_per_day,
            generation: Generation::Smets1,
            operators: Vec::new(),
            until_ms: None,
            window_days: None,
        };
        let made = (migration_planned_devices > 0).then(|| self.migration_signal(&query))?;
        made.inspect_err(|refusal| tracing::warn!(%refusal, "there is no signal of the migration")).ok()
    }

    /// How often it is to be made anew.
    pub fn migration_every(&self) -> Duration {
        Duration::from_secs(self.report.migration_every_s)
    }

    /// The signal of a migration. Blocks on the disk.
    pub fn migration_signal(&self, query: &MigrationQuery) -> Result<MigrationView, Refusal> {
        let MigrationQuery { planned_devices, capacity_per_day, generation, .. } = *query;
        let days = i64::from(query.window_days.unwrap_or(self.report.window_days));
        let until = query.until_ms.unwrap_or_else(|| (self.clock)().div_euclid(DAY_MS) * DAY_MS);
        let period = until.saturating_sub(days * DAY_MS).max(0)..until;
        let inventory = InventoryQuery {
            operators: query.operators.clone(),
            generations: vec![generation],
            ..InventoryQuery::default()
        };
        let devices = self.inventory(&inventory)?.counts.values().map(|count| count.listed).sum();
        if devices == 0 {
            return Err(Refusal::Precondition(format!(
                "the inventory lists no device of generation {generation} that this is about: load it, and measure then"
            )));
        }
        let counts = CountQuery {
            operators: query.operators.clone(),
            generations: vec![generation],
            since_ms: Some(period.start),
            until_ms: Some(period.end),
            ..CountQuery::default()
        };
        let CountTable { total: books::Counts { balance, .. }, position, .. } = self.counts(&counts)?;
        let measured = Migration {
            devices,
            days: days.unsigned_abs(),
            forwarded: balance.forwarded,
            taken: balance.forwarded + balance.suppressed,
            planned_devices,
            capacity_per_day,
        };
        let is_provisional = FinalUntil::at(self.now_ms()).is_receipt_open(period.end);
        Ok(MigrationView { signal: measured.signal(&self.report), measured, period, is_provisional, position })
    }
}
