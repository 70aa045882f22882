//! Inventories: rows in, what was done with each.
//!
//! It must not know how devices are found. Invariant: each row is counted once, as new, changed or unchanged.

use std::{borrow::Cow, sync::Arc};

use crate::{
    admit::{Change, Inventory, InventoryError, LabelLimits, LabelPlan, with_stated},
    domain::{
        AuditEvent, Device, DeviceLabels, DeviceNo, DeviceTally, Effects, Eui64, Handover, Identity, Millis, ModelId,
        OperatorId, Placement, StatedLabel,
    },
    pipeline::{
        DeviceRequest,
        engine::{Engine, Work},
        refusal::Refusal,
    },
};

mod carried;
mod hubs;
mod points;

pub use carried::LoadState;
use carried::{DryRun, View};
pub use hubs::LeftHub;
pub use points::SharedPoint;
use points::{Loaded, Placed, by_device, changes, check_room, come_to, shared};

/// Changes that are listed of one load; all are counted.
const CHANGES_LISTED_MAX: usize = 1_000;

/// Devices that one part of a load moved to another operator, and that are named in the audit log; all are counted.
const MOVES_NOTED_MAX: usize = 100;

/// A device with its placement, and its model and labels by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedDevice {
    /// What the inventory says.
    pub device: Device,
    /// Where it is connected.
    pub placement: Placement,
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

/// How devices are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadTerms {
    /// Only say what would be done.
    pub dry_run: bool,
    /// When the load began. Devices that the messages of one load bring to a metering point come to it at one time.
    pub at_ms: Millis,
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
    /// Of the changed, those with another secondary or export MPAN.
    pub other_points_changed: u64,
    /// Of the changed, those of another type.
    pub type_changed: u64,
    /// Of the changed, those at another hub.
    pub hub_changed: u64,
    /// The first of the changed, as they were and as they are.
    pub changes: Vec<(NamedDevice, NamedDevice)>,
    /// Metering points that a device was brought to while another one is at them.
    pub shared_count: u64,
    /// The first of them.
    pub shared: Vec<SharedPoint>,
    /// Devices that went to another operator, and whose hub stays with the one before.
    pub left_hub_count: u64,
    /// The first of them.
    pub left_hubs: Vec<LeftHub>,
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
        self.other_points_changed += other.other_points_changed;
        self.type_changed += other.type_changed;
        self.hub_changed += other.hub_changed;
        self.shared_count += other.shared_count;
        let room = CHANGES_LISTED_MAX.saturating_sub(self.changes.len());
        self.changes.extend(other.changes.into_iter().take(room));
        let room = CHANGES_LISTED_MAX.saturating_sub(self.shared.len());
        self.shared.extend(other.shared.into_iter().take(room));
        self.left_hub_count += other.left_hub_count;
        let room = CHANGES_LISTED_MAX.saturating_sub(self.left_hubs.len());
        self.left_hubs.extend(other.left_hubs.into_iter().take(room));
    }

    /// Counts a row.
    fn note(&mut self, row: &Loaded, labels: &LabelsPut<'_>, inventory: &Inventory) {
        match (Change::between(row.before, row.after), row.before) {
            (Change::Unchanged, Some(before)) if labels.differ => {
                self.note_change(before, row.after, labels, inventory);
            }
            (Change::Unchanged, _) => self.unchanged += 1,
            (Change::Changed, Some(before)) => self.note_change(before, row.after, labels, inventory),
            (Change::Changed | Change::Added, before) => {
                self.added += 1;
                self.met += u64::from(before.is_some());
            }
        }
    }

    fn note_change(
        &mut self,
        (before, was): Placed,
        (after, is): Placed,
        labels: &LabelsPut<'_>,
        inventory: &Inventory,
    ) {
        self.changed += 1;
        self.operator_changed += u64::from(before.operator != after.operator);
        self.mpxn_changed += u64::from(before.mpxn != after.mpxn);
        self.generation_changed += u64::from(before.generation != after.generation);
        self.model_changed += u64::from(before.model != after.model);
        self.labels_changed += u64::from(labels.differ);
        self.other_points_changed += u64::from((was.secondary, was.export) != (is.secondary, is.export));
        self.type_changed += u64::from(was.kind != is.kind);
        self.hub_changed += u64::from(was.hub != is.hub);
        if self.changes.len() < CHANGES_LISTED_MAX {
            let named = |device: Device, placement, labels| NamedDevice {
                device,
                placement,
                model: inventory.model_name(device.model).to_owned(),
                labels,
            };
            let had = (labels.before)();
            let has = with_stated(had.clone(), labels.stated);
            self.changes.push((named(before, was, had), named(after, is, has)));
        }
    }
}

impl Engine {
    /// Adds or changes devices: all of them, or none and why. On a dry run nothing is done but to the state of the load.
    pub fn put_devices(
        &mut self,
        devices: &[DeviceRequest],
        terms: LoadTerms,
        mut load: LoadState,
        who: &Identity,
    ) -> Result<((DevicesPut, LoadState), Work), Refusal> {
        if terms.dry_run && load.dry.is_none() {
            load.dry = Some(DryRun::new(&self.inventory, &self.labels));
        }
        let mut dry = load.dry.take().filter(|_| terms.dry_run);
        let view = View::new(&self.inventory, dry.as_ref());
        let rows: Vec<Loaded> = devices.iter().map(|request| loaded(request, view.placed(request.eui))).collect();
        self.check_operators(&rows, who)?;
        check_points(&rows)?;
        let of_message = by_device(&rows);
        check_room(&rows, &of_message, view)?;
        self.check_count(&rows, dry.as_ref().map_or(0, |dry| dry.new_count))?;
        let shared = shared(&rows, &of_message, view, &load, who.sender.operators);
        let before = dry.as_ref().map_or(&[][..], |dry| dry.models.as_slice());
        let models = self.learn_models(before, devices)?;
        let stated: Vec<Cow<'_, [StatedLabel]>> =
            devices.iter().zip(&rows).map(|(request, row)| self.stated_labels(request, row, dry.as_ref())).collect();
        let plans =
            self.plan_labels(&rows, &stated, dry.as_mut()).inspect_err(|_| self.inventory.forget_models(&models))?;
        let mut put = DevicesPut {
            shared_count: shared.len() as u64,
            shared: shared.into_iter().take(CHANGES_LISTED_MAX).collect(),
            ..DevicesPut::default()
        };
        put.note_hubs(&rows, &of_message, View::new(&self.inventory, dry.as_ref()), who.sender.operators);
        let mut effects = Effects::default();
        let mut moves = Vec::new();
        let mut is_label_changed = false;
        for ((row, stated), plan) in rows.iter().zip(&stated).zip(plans) {
            let eui = row.after.0.eui;
            let number = self.label_number(eui, dry.as_ref());
            let labels = dry.as_ref().map_or(&self.labels, |dry| &dry.labels);
            let had = || number.map(|no| labels.of(no)).unwrap_or_default();
            put.note(row, &LabelsPut { before: &had, stated, differ: plan.differs() }, &self.inventory);
            come_to(row).for_each(|mpxn| load.bring(mpxn, eui));
            is_label_changed |= !plan.is_empty();
            let is_changed = row.before != Some(row.after);
            if let Some(dry) = &mut dry {
                if is_changed {
                    dry.new_count += u32::from(row.before.is_none());
                    dry.devices.put(row.after.0, row.after.1);
                }
                match dry.number(&self.inventory, eui) {
                    Some(no) => dry.labels.apply(no, plan),
                    None => dry.labels.withdraw(plan),
                }
            } else if is_changed {
                let no = self.put_device(row, terms.at_ms, &mut effects);
                let (device, before) = (row.after.0, row.before.map(|(before, _)| before));
                let moved = |before: &Device| before.listed && before.operator != device.operator;
                moves.extend(before.filter(moved).map(|before| (before, device)));
                self.labels.apply(no, plan);
            } else if let Some(no) = number {
                self.labels.apply(no, plan);
            }
        }
        if let Some(mut dry) = dry {
            // The names are known again when the next message is compared.
            self.inventory.forget_models(&models);
            dry.models = models;
            load.dry = Some(dry);
            return Ok(((put, load), Work::default()));
        }
        let mut work = Work::default();
        if !effects.devices.is_empty() || is_label_changed {
            if !models.is_empty() {
                let names = Arc::new(self.inventory.models().clone());
                work.acts.push(Box::new(move |shared| *shared.models.write() = names));
            }
            self.note_load(&put, &moves, who);
            let Effects { devices, placements, tenures, handovers, .. } = effects;
            self.handovers.extend(handovers.iter().copied());
            let labels = self.labels.take_effects();
            if is_label_changed {
                let table = self.labels.table();
                work.acts.push(Box::new(move |shared| *shared.labels.write() = table));
            }
            work.effects = Some(Effects { devices, placements, tenures, models, labels, handovers, ..self.effects() });
        } else {
            // Names that no device took up are not kept.
            self.inventory.forget_models(&models);
        }
        Ok(((put, load), work))
    }

    /// The number under which the labels of a device are, on a dry run or not.
    fn label_number(&self, eui: Eui64, dry: Option<&DryRun>) -> Option<DeviceNo> {
        match dry {
            Some(dry) => dry.number(&self.inventory, eui),
            None => self.inventory.number(eui),
        }
    }

    /// The labels that a request states of a device. One that says which network the metering point is of goes with the point
    /// that it came from, and stays where it says something else.
    fn stated_labels<'r>(
        &self,
        request: &'r DeviceRequest,
        row: &Loaded,
        dry: Option<&DryRun>,
    ) -> Cow<'r, [StatedLabel]> {
        let mut stated = Cow::Borrowed(&request.labels[..]);
        let network = row.before.and_then(|(before, _)| before.mpxn.distributor());
        if let (Some(key), Some(network)) = (&request.network_label, network)
            && row.after.0.mpxn.distributor().is_none()
        {
            let labels = dry.map_or(&self.labels, |dry| &dry.labels);
            let has = self.label_number(request.eui, dry).map(|no| labels.of(no)).unwrap_or_default();
            if has.iter().any(|(known, value)| known == key && **value == *network.to_string()) {
                stated.to_mut().push(StatedLabel { key: key.clone(), value: String::new() });
                stated.to_mut().sort_unstable();
            }
        }
        stated
    }

    /// Rejects devices for which there is no room beside those that the messages before would add.
    fn check_count(&self, rows: &[Loaded], added: u32) -> Result<(), Refusal> {
        let max = self.config.intake.devices_max;
        let room = u64::from(max).saturating_sub(u64::from(self.inventory.len()) + u64::from(added));
        let mut strangers = rows.iter().enumerate().filter(|(_, row)| row.before.is_none());
        let new = strangers.clone().count() as u64;
        let beyond = usize::try_from(room).ok().and_then(|room| strangers.nth(room));
        match beyond {
            None => Ok(()),
            Some((index, row)) => {
                let eui = row.after.0.eui;
                Err(Refusal::Exhausted(format!(
                    "devices[{index}]: {eui} would be one device more than intake.devices_max ({max}); {new} devices of its \
                     message are new"
                )))
            }
        }
    }

    /// Puts a device into the inventory, and what is to be written for that into some effects. Returns its number.
    fn put_device(&mut self, row: &Loaded, at_ms: Millis, effects: &mut Effects) -> DeviceNo {
        let (device, placement) = row.after;
        let (no, _) = self.inventory.put(device, placement);
        let tally = self.state.tally(no);
        if row.before.is_some_and(|(before, _)| before.operator != device.operator) && tally != DeviceTally::default() {
            effects.handovers.push((device.eui, Handover { since_ms: (self.clock)(), before: tally }));
        }
        if row.before.map_or_else(Placement::default, |(_, was)| was) != placement {
            effects.placements.push((no.0, placement));
        }
        effects.tenures.extend(changes(row, at_ms));
        effects.devices.push((no.0, device));
        no
    }

    /// Rejects devices that are of operators whose devices the caller may not load, now or from then on.
    fn check_operators(&self, rows: &[Loaded], who: &Identity) -> Result<(), Refusal> {
        let allowed = who.sender.operators;
        if allowed.is_all() {
            return Ok(());
        }
        for (index, row) in rows.iter().enumerate() {
            // One that nobody has yet may be taken in; one of another operator may not, and whose it is is not told.
            let before = row.before.map_or(OperatorId::UNKNOWN, |(before, _)| before.operator);
            let (eui, after) = (row.after.0.eui, row.after.0.operator);
            let is_free = before == OperatorId::UNKNOWN || allowed.contains(before);
            if is_free && allowed.contains(after) {
                continue;
            }
            let wrong = if is_free { format!("is to be of operator {after}") } else { "is of another".to_owned() };
            let message = format!("{eui}: {wrong}, and this token loads devices of {allowed} alone");
            return Err(Refusal::Denied { field: format!("devices[{index}]"), message });
        }
        Ok(())
    }

    /// Notes a load in the audit log: how many devices were added and changed, and each that has another operator.
    fn note_load(&mut self, put: &DevicesPut, moves: &[(Device, Device)], who: &Identity) {
        let DevicesPut { added, changed, operator_changed, mpxn_changed, generation_changed, model_changed, .. } = put;
        let labels_changed = put.labels_changed;
        let DevicesPut { other_points_changed, type_changed, hub_changed, .. } = put;
        let detail = format!(
            "{added} added, {changed} changed: {operator_changed} of operator, {mpxn_changed} of metering point, \
             {generation_changed} of generation, {model_changed} of model, {labels_changed} of labels"
        );
        let others =
            [(other_points_changed, "of secondary or export MPAN"), (type_changed, "of type"), (hub_changed, "of hub")];
        let others = others.into_iter().filter(|(count, _)| **count > 0);
        let detail = others.fold(detail, |detail, (count, what)| format!("{detail}, {count} {what}"));
        let left_out = moves.len().saturating_sub(MOVES_NOTED_MAX);
        let more = if left_out > 0 { format!("; {left_out} moves are not named") } else { String::new() };
        self.note(AuditEvent::new(&who.name, "device.load", "", &format!("{detail}{more}")));
        for (before, after) in moves.iter().take(MOVES_NOTED_MAX) {
            let detail = format!("operator {} to {}", before.operator, after.operator);
            self.note(AuditEvent::new(&who.name, "device.move", &before.eui.to_string(), &detail));
        }
    }

    /// Plans what rows make of labels: of all, or of none and why. Each plan is to be applied or withdrawn.
    fn plan_labels(
        &mut self,
        rows: &[Loaded],
        stated: &[Cow<'_, [StatedLabel]>],
        dry: Option<&mut DryRun>,
    ) -> Result<Vec<LabelPlan>, Refusal> {
        let intake = &self.config.intake;
        let limits = LabelLimits {
            keys_max: intake.label_keys_max,
            values_max: intake.label_values_max,
            operator_values_max: intake.operator_label_values_max,
        };
        let numbers: Vec<Option<DeviceNo>> =
            rows.iter().map(|row| self.label_number(row.after.0.eui, dry.as_deref())).collect();
        let labels = dry.map_or(&mut self.labels, |dry| &mut dry.labels);
        let mut plans = Vec::with_capacity(rows.len());
        let mut wrong = None;
        for (index, ((row, stated), number)) in rows.iter().zip(stated).zip(numbers).enumerate() {
            match labels.plan(number, row.after.0.operator, stated, &limits) {
                Ok(plan) => plans.push(plan),
                Err(why) => {
                    wrong = Some((index, why));
                    break;
                }
            }
        }
        let wrong = wrong.or_else(|| labels.check(&plans, &limits).err());
        let Some((index, why)) = wrong else { return Ok(plans) };
        plans.into_iter().for_each(|plan| labels.withdraw(plan));
        let eui = rows[index].after.0.eui;
        Err(Refusal::invalid(format!("devices[{index}].labels"), format!("{why}; of device {eui}")))
    }

    /// Learns the models of some devices, and those of names that came before: all, or none and why.
    fn learn_models(&mut self, before: &[String], devices: &[DeviceRequest]) -> Result<Vec<String>, Refusal> {
        let mut learnt: Vec<String> = Vec::new();
        let mut learn = |inventory: &mut Inventory, name: &String| {
            let is_new = inventory.learn_model(name, self.config.intake.models_max)?;
            learnt.extend(is_new.then(|| name.clone()));
            Ok::<(), InventoryError>(())
        };
        let inventory = &mut self.inventory;
        let mut learnt_all = before.iter().try_for_each(|name| learn(inventory, name)).map_err(|why| (None, why));
        for (index, device) in devices.iter().enumerate() {
            learnt_all = learnt_all.and_then(|()| learn(inventory, &device.model).map_err(|why| (Some(index), why)));
        }
        match learnt_all {
            Ok(()) => Ok(learnt),
            Err((index, why)) => {
                self.inventory.forget_models(&learnt);
                let field = index.map_or_else(|| "devices".to_owned(), |index| format!("devices[{index}].model"));
                // It names the field itself.
                let why = why.to_string();
                Err(Refusal::invalid(field, why.strip_prefix("model: ").unwrap_or(&why)))
            }
        }
    }
}

/// What a request makes of a device.
fn loaded(request: &DeviceRequest, before: Option<Placed>) -> Loaded {
    let operator = match before {
        Some((before, placement)) if request.keep_operator && before.operator != OperatorId::UNKNOWN => {
            let stated = request.placement.distributor(request.mpxn);
            let is_moved = stated.is_some() && stated != placement.distributor(&before);
            if is_moved { request.operator } else { before.operator }
        }
        _ => request.operator,
    };
    let device = Device {
        eui: request.eui,
        mpxn: request.mpxn,
        operator,
        generation: request.generation,
        model: ModelId::of(&request.model),
        listed: true,
    };
    let was = before.map_or_else(Placement::default, |(_, placement)| placement);
    Loaded { before, after: (device, request.placement.over(was)) }
}

/// Rejects a device that has one metering point twice.
fn check_points(rows: &[Loaded]) -> Result<(), Refusal> {
    for (index, row) in rows.iter().enumerate() {
        let (device, placement) = row.after;
        let points: Vec<_> = placement.points(&device).collect();
        let twice = (1..points.len()).find(|at| points[..*at].iter().any(|(_, mpxn)| *mpxn == points[*at].1));
        let Some((role, mpxn)) = twice.map(|at| points[at]) else { continue };
        let field = points::field_of(role);
        let message = format!(
            "{mpxn} is another metering point of {} already; give it one role, and empty the other",
            device.eui
        );
        return Err(Refusal::invalid(format!("devices[{index}].{field}"), message));
    }
    Ok(())
}
