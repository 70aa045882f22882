//! Readings of voltages, thresholds and models, as far as they are the caller's.
//!
//! It must not know how they are kept. Invariant: what is stored was noted in the audit log before; to an operator, a device of
//! another one is as if it were not there.

use std::{collections::HashMap, ops::Range, sync::Arc};

use tokio::sync::watch;

use super::{Command, Handle, LOOKED_UP_AT_A_TIME, Refusal};
use crate::{
    config::ReadingLimits,
    domain::{
        AuditEvent, Eui64, Limit, Millis, OperatorId, OperatorSet, Phase, Reading, ReadingFate, ReadingModel, Role,
        Threshold,
    },
    pipeline::{
        engine::Engine,
        readings::{Readings, refused},
        refusal::no_such_device,
    },
    store::{self, ListedReading, OwnedReading, ReadingReader, ReadingTotals, ThresholdFate},
};

/// What there is, as far as the caller may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadingStatus {
    /// How much.
    pub totals: ReadingTotals,
    /// Readings that may be kept of one operator.
    pub readings_max: u64,
    /// Size of the file, in bytes; 0 to an operator.
    pub file_bytes: u64,
}

/// What becomes of a threshold that is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThresholdPut {
    /// As the store says.
    Known(ThresholdFate),
    /// The time from which it is known has not come yet.
    InFuture,
}

impl Engine {
    /// The operators of devices, in the same order; `None` for one that neither the inventory nor an alert has named.
    pub fn operators_of(&self, devices: &[Eui64]) -> Vec<Option<OperatorId>> {
        let operator = |eui| self.inventory.number(eui).map(|no| self.inventory.get(no).operator);
        devices.iter().map(|eui| operator(*eui)).collect()
    }
}

impl Handle {
    /// Stores readings and returns when they are on disk; their fates are in the same order. On a dry run nothing is stored.
    pub async fn put_readings(
        &self,
        readings: Vec<Reading>,
        source: String,
        dry_run: bool,
    ) -> Result<Vec<ReadingFate>, Refusal> {
        let owners = self.owners(readings.iter().map(|reading| reading.device).collect()).await?;
        let kept_from_ms = self.shared.readings_kept_from();
        let until_ms = self.future_from();
        let mut fates = Vec::with_capacity(readings.len());
        let mut owned: Vec<OwnedReading> = Vec::with_capacity(readings.len());
        for reading in readings {
            let fate = match owners.get(&reading.device) {
                None => Some(ReadingFate::NotOwn),
                Some(_) if reading.end_ms < kept_from_ms => Some(ReadingFate::TooOld),
                Some(_) if reading.end_ms > until_ms => Some(ReadingFate::InFuture),
                Some(owner) => {
                    owned.push((reading, *owner));
                    None
                }
            };
            fates.push(fate);
        }
        let now_ms = self.now_ms();
        if !dry_run && !owned.is_empty() && self.readings().is_to_note(&self.who.name, &source, now_ms) {
            let detail = "its requests from here on; noted once an hour";
            self.record(AuditEvent::new(&self.who.name, "reading.load", &source, detail)).await?;
            self.readings().noted(&self.who.name, &source, now_ms);
        }
        let scope = self.reading_scope();
        let mut stored = if owned.is_empty() {
            Vec::new().into_iter()
        } else {
            self.write_readings(move |store| store.put(&owned, &source, scope, dry_run)).await?.into_iter()
        };
        // As many are missing as were handed over.
        Ok(fates.into_iter().filter_map(|fate| fate.or_else(|| stored.next())).collect())
    }

    /// Stores thresholds as [`put_readings`](Self::put_readings) does readings.
    pub async fn put_thresholds(
        &self,
        thresholds: Vec<Threshold>,
        dry_run: bool,
    ) -> Result<Vec<ThresholdPut>, Refusal> {
        let owners = self.owners(thresholds.iter().map(|threshold| threshold.device).collect()).await?;
        let until_ms = self.future_from();
        let mut fates = Vec::with_capacity(thresholds.len());
        let mut owned: Vec<(Threshold, OperatorId)> = Vec::with_capacity(thresholds.len());
        for threshold in thresholds {
            fates.push(match owners.get(&threshold.device) {
                None => Some(ThresholdPut::Known(ThresholdFate::NotOwn)),
                Some(_) if threshold.from_ms > until_ms => Some(ThresholdPut::InFuture),
                Some(owner) => {
                    owned.push((threshold, *owner));
                    None
                }
            });
        }
        if let Some((first, _)) = owned.first().filter(|_| !dry_run) {
            let detail = format!("up to {}, from {}", owned.len(), first.source);
            self.record(AuditEvent::new(&self.who.name, "threshold.load", "", &detail)).await?;
        }
        let scope = self.reading_scope();
        let mut stored = if owned.is_empty() {
            Vec::new().into_iter()
        } else {
            self.write_readings(move |store| store.put_thresholds(&owned, scope, dry_run)).await?.into_iter()
        };
        Ok(fates.into_iter().filter_map(|fate| fate.or_else(|| stored.next().map(ThresholdPut::Known))).collect())
    }

    /// Sets what the caller says of a model: its operator, or the host under the unknown operator.
    pub async fn set_reading_model(&self, model: ReadingModel) -> Result<(OperatorId, ReadingModel), Refusal> {
        let operator = self.who.operator().unwrap_or(OperatorId::UNKNOWN);
        let codes: Vec<String> =
            model.codes.iter().map(|mapped| format!("{} {}", mapped.code, mapped.limit.name())).collect();
        let detail = format!("rounding {}, codes {}", model.rounding.name(), codes.join(", "));
        self.record(AuditEvent::new(&self.who.name, "reading.model", &model.model, &detail)).await?;
        let set = model.clone();
        self.write_readings(move |store| store.set_model(operator, &set)).await?;
        Ok((operator, model))
    }

    /// What is said of models, in order of model and operator.
    pub async fn reading_models(&self) -> Result<Vec<(OperatorId, ReadingModel)>, Refusal> {
        let mut models = self.read(|handle| handle.readings_reader()?.models().map_err(refused)).await?;
        models.sort_by(|(own, one), (other, another)| (&one.model, own).cmp(&(&another.model, other)));
        Ok(models)
    }

    /// At most so many readings of a device, in order of phase and end, after one of them.
    pub async fn list_readings(
        &self,
        device: Eui64,
        ends: Range<Millis>,
        after: Option<(Phase, Millis)>,
        readings_max: usize,
    ) -> Result<Vec<ListedReading>, Refusal> {
        let listed = self
            .query(move |handle| handle.readings_reader()?.list(device, &ends, after, readings_max).map_err(refused));
        let listed = listed.await?;
        // One that was the caller's when its readings came may be another's now.
        if listed.is_empty() {
            self.check_owned(device).await?;
        }
        Ok(listed)
    }

    /// At most so many thresholds of one device, or of all that are the caller's, in order of device, limit and time, after one
    /// of them.
    pub async fn list_thresholds(
        &self,
        device: Option<Eui64>,
        after: Option<(Eui64, Limit, Millis)>,
        thresholds_max: usize,
    ) -> Result<Vec<Threshold>, Refusal> {
        let listed = self.query(move |handle| {
            let reader = handle.readings_reader()?;
            let mut listed = Vec::new();
            let mut take = |threshold: Threshold| {
                listed.push(threshold);
                listed.len() < thresholds_max
            };
            match (device, after) {
                (Some(device), after) => {
                    let behind =
                        |one: &Threshold| after.is_none_or(|after| (one.device, one.limit, one.from_ms) > after);
                    listed = reader.thresholds(device).map_err(refused)?;
                    listed.retain(behind);
                    listed.truncate(thresholds_max);
                }
                (None, Some(after)) => reader.each_threshold_after(after, &mut take).map_err(refused)?,
                (None, None) => reader.each_threshold(&mut take).map_err(refused)?,
            }
            Ok(listed)
        });
        let listed = listed.await?;
        if let Some(device) = device.filter(|_| listed.is_empty()) {
            self.check_owned(device).await?;
        }
        Ok(listed)
    }

    /// How much there is.
    pub async fn reading_status(&self) -> Result<ReadingStatus, Refusal> {
        let totals = self.query(|handle| handle.readings_reader()?.totals().map_err(refused)).await?;
        let file_bytes = if self.who.operator().is_some() { 0 } else { self.readings().file_bytes() };
        Ok(ReadingStatus { totals, readings_max: self.readings().limits().per_operator_max, file_bytes })
    }

    /// What is stored of the devices that are the caller's, as of now. Blocks on the disk: call it from a blocking task.
    pub fn readings_reader(&self) -> Result<ReadingReader, Refusal> {
        self.readings().reader(self.reading_scope())
    }

    /// Returns a receiver of the problem of the readings' file; the text is empty while the file is usable.
    pub fn readings_problem(&self) -> watch::Receiver<String> {
        self.readings().problem()
    }

    /// Limits of readings.
    pub fn reading_limits(&self) -> &ReadingLimits {
        self.readings().limits()
    }

    /// The readings' file.
    pub(in crate::pipeline) fn readings(&self) -> &Readings {
        &self.shared.readings
    }

    /// The end of a period after which it lies in the future.
    fn future_from(&self) -> Millis {
        self.now_ms().saturating_add(self.future_ms_max)
    }

    /// Returns the operators whose readings the caller may load and list.
    fn reading_scope(&self) -> OperatorSet {
        match (self.who.operator(), self.who.role) {
            (Some(own), _) => [own].into_iter().collect(),
            (None, Role::Inventory) => self.who.sender.operators,
            _ => OperatorSet::ALL,
        }
    }

    /// Rejects a device that is not the caller's.
    async fn check_owned(&self, device: Eui64) -> Result<(), Refusal> {
        match self.owners(vec![device]).await?.is_empty() {
            true => Err(no_such_device(device, None)),
            false => Ok(()),
        }
    }

    /// The operators of those devices that are the caller's.
    async fn owners(&self, mut asked: Vec<Eui64>) -> Result<HashMap<Eui64, OperatorId>, Refusal> {
        asked.sort_unstable();
        asked.dedup();
        let scope = self.reading_scope();
        let mut owners = HashMap::with_capacity(asked.len());
        for part in asked.chunks(LOOKED_UP_AT_A_TIME) {
            let known = self.ask(|reply| Command::OperatorsOf(part.to_vec(), reply)).await?;
            let own = part.iter().zip(known).filter_map(|(device, operator)| Some((*device, operator?)));
            owners.extend(own.filter(|(_, operator)| scope.contains(*operator)));
        }
        Ok(owners)
    }

    /// Notes something in the audit log and returns when it is there.
    async fn record(&self, event: AuditEvent) -> Result<(), Refusal> {
        self.ask(|reply| Command::Record(event, reply)).await
    }

    /// Writes on a thread of its own, once it is the caller's turn: one load of a tenant at a time.
    async fn write_readings<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut store::ReadingStore) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Refusal> {
        let shared = Arc::clone(&self.shared);
        let turn = self.turns.loads.take(&self.who.tenant()).await;
        turn.wait_for(move || shared.readings.write(work)).await?
    }
}
