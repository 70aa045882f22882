//! Inventories: rows in, what was done with each.
//!
//! It must not know how devices are found. Invariant: each row is counted once, as new, changed or unchanged.

use std::sync::Arc;

use crate::{
    admit::{Change, Inventory, LabelLimits, LabelPlan, with_stated},
    domain::{
        AuditEvent, Device, DeviceLabels, DeviceTally, Effects, Handover, Identity, ModelId, OperatorId, StatedLabel,
    },
    pipeline::{
        DeviceRequest,
        engine::{Engine, Work},
        refusal::Refusal,
    },
};

/// Changes that are listed of one load; all are counted.
const CHANGES_LISTED_MAX: usize = 1_000;

/// Devices that one part of a load moved to another operator, and that are named in the audit log; all are counted.
const MOVES_NOTED_MAX: usize = 100;

/// A device with its model and labels by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedDevice {
    /// What the inventory says.
    pub device: Device,
    /// Its model; empty for not known.
    pub model: String,
    /// Its labels.
    pub labels: DeviceLabels,
}

/// What a row makes of a device's labels: what it had, what the row states, and whether that differs.
struct LabelsPut<'a> {
    before: &'a dyn Fn() -> DeviceLabels,
    stated: &'a [StatedLabel],
    differ: bool,
}

/// What loading an inventory did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DevicesPut {
    /// New.
    pub added: u64,
    /// There and different.
    pub changed: u64,
    /// There and the same.
    pub unchanged: u64,
    /// Of the new, those that alerts had named before.
    pub met: u64,
    /// Of the changed, those with another operator.
    pub operator_changed: u64,
    /// Of the changed, those at another metering point.
    pub mpxn_changed: u64,
    /// Of the changed, those of another generation.
    pub generation_changed: u64,
    /// Of the changed, those with another model.
    pub model_changed: u64,
    /// Of the changed, those with another value of a label.
    pub labels_changed: u64,
    /// The first of the changed, as they were and as they are.
    pub changes: Vec<(NamedDevice, NamedDevice)>,
}

impl DevicesPut {
    /// Adds what another part of the same load did.
    pub fn add(&mut self, other: Self) {
        self.added += other.added;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.met += other.met;
        self.operator_changed += other.operator_changed;
        self.mpxn_changed += other.mpxn_changed;
        self.generation_changed += other.generation_changed;
        self.model_changed += other.model_changed;
        self.labels_changed += other.labels_changed;
        let room = CHANGES_LISTED_MAX.saturating_sub(self.changes.len());
        self.changes.extend(other.changes.into_iter().take(room));
    }

    /// Counts a row, given the device as it was.
    fn note(&mut self, before: Option<Device>, after: Device, labels: &LabelsPut<'_>, inventory: &Inventory) {
        match (Change::between(before, after), before) {
            (Change::Unchanged, Some(before)) if labels.differ => self.note_change(before, after, labels, inventory),
            (Change::Unchanged, _) => self.unchanged += 1,
            (Change::Changed, Some(before)) => self.note_change(before, after, labels, inventory),
            (Change::Changed | Change::Added, before) => {
                self.added += 1;
                self.met += u64::from(before.is_some());
            }
        }
    }

    fn note_change(&mut self, before: Device, after: Device, labels: &LabelsPut<'_>, inventory: &Inventory) {
        self.changed += 1;
        self.operator_changed += u64::from(before.operator != after.operator);
        self.mpxn_changed += u64::from(before.mpxn != after.mpxn);
        self.generation_changed += u64::from(before.generation != after.generation);
        self.model_changed += u64::from(before.model != after.model);
        self.labels_changed += u64::from(labels.differ);
        if self.changes.len() < CHANGES_LISTED_MAX {
            let named = |device: Device, labels| NamedDevice {
                device,
                model: inventory.model_name(device.model).to_owned(),
                labels,
            };
            let had = (labels.before)();
            let has = with_stated(had.clone(), labels.stated);
            self.changes.push((named(before, had), named(after, has)));
        }
    }
}

impl Engine {
    /// Adds or changes devices: all of them, or none and why. On a dry run nothing is done.
    pub fn put_devices(
        &mut self,
        devices: &[DeviceRequest],
        dry_run: bool,
        who: &Identity,
    ) -> Result<(DevicesPut, Work), Refusal> {
        self.check_operators(devices, who)?;
        let models = self.learn_models(devices)?;
        let strangers = devices.iter().filter(|device| self.inventory.number(device.eui).is_none()).count();
        let max = self.config.intake.devices_max;
        if strangers as u64 + u64::from(self.inventory.len()) > u64::from(max) {
            self.inventory.forget_models(&models);
            return Err(Refusal::Exhausted(format!("devices: {strangers} are new, and devices_max is {max}")));
        }
        let plans = self.plan_labels(devices).inspect_err(|_| self.inventory.forget_models(&models))?;
        let mut put = DevicesPut::default();
        let mut listed = Vec::new();
        let mut moves = Vec::new();
        let mut handovers = Vec::new();
        let mut is_label_changed = false;
        for (request, plan) in devices.iter().zip(plans) {
            let device = Device {
                eui: request.eui,
                mpxn: request.mpxn,
                operator: request.operator,
                generation: request.generation,
                model: ModelId::of(&request.model),
                listed: true,
            };
            let number = self.inventory.number(device.eui);
            let before = number.map(|no| *self.inventory.get(no));
            let had = || number.map(|no| self.labels.of(no)).unwrap_or_default();
            let labels = LabelsPut { before: &had, stated: &request.labels, differ: plan.differs() };
            put.note(before, device, &labels, &self.inventory);
            if dry_run {
                self.labels.withdraw(plan);
                continue;
            }
            is_label_changed |= !plan.is_empty();
            if before != Some(device) {
                let moved = |before: &Device| before.listed && before.operator != device.operator;
                moves.extend(before.filter(moved).map(|before| (before, device)));
                let (no, _) = self.inventory.put(device);
                let tally = self.state.tally(no);
                if before.is_some_and(|before| before.operator != device.operator) && tally != DeviceTally::default() {
                    handovers.push((device.eui, Handover { since_ms: (self.clock)(), before: tally }));
                }
                listed.push((no.0, device));
                self.labels.apply(no, plan);
            } else if let Some(no) = number {
                self.labels.apply(no, plan);
            }
        }
        let mut work = Work::default();
        if !listed.is_empty() || is_label_changed {
            if !models.is_empty() {
                let names = Arc::new(self.inventory.models().clone());
                work.acts.push(Box::new(move |shared| *shared.models.write() = names));
            }
            self.note_load(&put, &moves, who);
            self.handovers.extend(handovers.iter().copied());
            let labels = self.labels.take_effects();
            if is_label_changed {
                let table = self.labels.table();
                work.acts.push(Box::new(move |shared| *shared.labels.write() = table));
            }
            work.effects = Some(Effects { devices: listed, models, labels, handovers, ..self.effects() });
        } else {
            // Names that no device took up are not kept.
            self.inventory.forget_models(&models);
        }
        Ok((put, work))
    }

    /// Rejects devices that are of operators whose devices the caller may not load, now or from then on.
    fn check_operators(&self, devices: &[DeviceRequest], who: &Identity) -> Result<(), Refusal> {
        let allowed = who.sender.operators;
        if allowed.is_all() {
            return Ok(());
        }
        let now = |device: &DeviceRequest| {
            let known = self.inventory.number(device.eui);
            known.map_or(OperatorId::UNKNOWN, |number| self.inventory.get(number).operator)
        };
        for (index, device) in devices.iter().enumerate() {
            // One that nobody has yet may be taken in; one of another operator may not, and whose it is is not told.
            let (before, after) = (now(device), device.operator);
            let is_free = before == OperatorId::UNKNOWN || allowed.contains(before);
            if is_free && allowed.contains(after) {
                continue;
            }
            let wrong = if is_free { format!("is to be of operator {after}") } else { "is of another".to_owned() };
            let message = format!("{}: {wrong}, and this token loads devices of {allowed} alone", device.eui);
            return Err(Refusal::Denied { field: format!("devices[{index}]"), message });
        }
        Ok(())
    }

    /// Notes a load in the audit log: how many devices were added and changed, and each that has another operator.
    fn note_load(&mut self, put: &DevicesPut, moves: &[(Device, Device)], who: &Identity) {
        let DevicesPut { added, changed, operator_changed, mpxn_changed, generation_changed, model_changed, .. } = put;
        let labels_changed = put.labels_changed;
        let detail = format!(
            "{added} added, {changed} changed: {operator_changed} of operator, {mpxn_changed} of metering point, \
             {generation_changed} of generation, {model_changed} of model, {labels_changed} of labels"
        );
        let left_out = moves.len().saturating_sub(MOVES_NOTED_MAX);
        let more = if left_out > 0 { format!("; {left_out} moves are not named") } else { String::new() };
        self.note(AuditEvent::new(&who.name, "device.load", "", &format!("{detail}{more}")));
        for (before, after) in moves.iter().take(MOVES_NOTED_MAX) {
            let detail = format!("operator {} to {}", before.operator, after.operator);
            self.note(AuditEvent::new(&who.name, "device.move", &before.eui.to_string(), &detail));
        }
    }

    /// Plans what rows make of labels: of all, or of none and why. Each plan is to be applied or withdrawn.
    fn plan_labels(&mut self, devices: &[DeviceRequest]) -> Result<Vec<LabelPlan>, Refusal> {
        let intake = &self.config.intake;
        let limits = LabelLimits {
            keys_max: intake.label_keys_max,
            values_max: intake.label_values_max,
            operator_values_max: intake.operator_label_values_max,
        };
        let mut plans = Vec::with_capacity(devices.len());
        for (index, device) in devices.iter().enumerate() {
            let number = self.inventory.number(device.eui);
            match self.labels.plan(number, device.operator, &device.labels, &limits) {
                Ok(plan) => plans.push(plan),
                Err(why) => {
                    plans.into_iter().for_each(|plan| self.labels.withdraw(plan));
                    return Err(Refusal::invalid(format!("devices[{index}].labels"), why.to_string()));
                }
            }
        }
        Ok(plans)
    }

    /// Learns the models of some devices: all, or none and why.
    fn learn_models(&mut self, devices: &[DeviceRequest]) -> Result<Vec<String>, Refusal> {
        let mut learnt: Vec<String> = Vec::new();
        for (index, device) in devices.iter().enumerate() {
            match self.inventory.learn_model(&device.model, self.config.intake.models_max) {
                Ok(true) => learnt.push(device.model.clone()),
                Ok(false) => {}
                Err(why) => {
                    self.inventory.forget_models(&learnt);
                    return Err(Refusal::invalid(format!("devices[{index}]"), why.to_string()));
                }
            }
        }
        Ok(learnt)
    }
}
