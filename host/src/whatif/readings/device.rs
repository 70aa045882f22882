//! As the device: which alerts meters would have raised at another threshold.
//!
//! No rule is called and no alert decides anything: readings are compared with the threshold as meters compare them. The
//! alerts that were recorded serve to test that, at the thresholds that meters are known to have had.
//!
//! Invariant: only ends of periods that were read are answered for; what was not read is counted beside.

use std::collections::{BTreeMap, HashMap};

use super::{
    super::{
        Ground, Pace, Question, Stopped,
        log::{Columns, Open, Plan, failed, read},
    },
    ReadingRole, Readings,
    answer::{AlertingDevice, AtThreshold, BacktestFigures, Coverage, DeviceAnswer},
    group::configured_dv,
};
use crate::{
    domain::{
        Cell, End, Eui64, Group, Limit, Millis, ModelId, OperatorId, PERIOD_MS_MAX, Phase, Reading, Revision,
        TimeStatus,
    },
    evaluate::Filter,
    voltage::{Backtest, Bounds, Crossings, Edge, backtest, join, periods},
};

/// Alerts that one question compares at most.
const ALERTS_MAX: usize = 20_000_000;

/// Devices that are read of the inventory at a time.
const DEVICES_AT_A_TIME: usize = 16_384;

/// What the inventory has of a device.
#[derive(Debug, Clone, Copy)]
struct Known {
    operator: OperatorId,
    model: ModelId,
}

/// An alert that was raised at the end of a period.
#[derive(Debug, Clone, Copy)]
struct Raised {
    occurred_ms: Millis,
    weight: u32,
    status: TimeStatus,
}

/// Answers what meters would have done.
pub(in crate::whatif) fn run(
    question: &Question,
    (ground, readings): (&Ground, &Readings),
    (tolerance_ms, thresholds_dv, under): (Millis, &[u16], bool),
    (open, plan): (Open<'_>, Plan),
    pace: &Pace,
) -> Result<DeviceAnswer, Stopped> {
    let limit = ReadingRole::limit(under);
    let known = known(question, open)?;
    let raised = raised(question, readings, limit, (open, plan), pace)?;
    let mut replay = Replay {
        readings,
        question,
        limit,
        tolerance_ms,
        known: &known,
        raised,
        at: thresholds_dv.iter().map(|threshold_dv| Thresholded::new(*threshold_dv)).collect(),
        backtest: Backtest::default(),
        without_threshold: 0,
        recorded: 0,
        coverage: BTreeMap::new(),
        last: None,
    };
    let ends = question.received_ms();
    let lead_in = ends.start.saturating_sub(PERIOD_MS_MAX)..ends.end;
    let mut stopped = Ok(());
    readings
        .reader
        .each_device(lead_in, &mut |device, phase, readings| {
            stopped = pace.check().and_then(|()| replay.take(device, phase, readings));
            stopped.is_ok()
        })
        .map_err(failed)?;
    stopped?;
    Ok(replay.finish(ground))
}

/// Returns the devices that the question is about.
fn known(question: &Question, open: Open<'_>) -> Result<HashMap<u64, Known>, Stopped> {
    let only = question.only.scope();
    let filter = Filter::of(&[], &only.operators, &only.generations, only.model_ids());
    let reader = open()?;
    let (mut known, mut from) = (HashMap::new(), 0);
    loop {
        let devices = reader.devices(from, DEVICES_AT_A_TIME).map_err(failed)?;
        let Some((last, ..)) = devices.last() else { return Ok(known) };
        from = last.saturating_add(1);
        let admitted = devices.into_iter().map(|(_, device, _)| device).filter(|device| {
            filter.admits_cell(&Cell {
                code: None,
                operator: device.operator.get(),
                generation: device.generation as u8,
                model: device.model.0,
                end: End::Forwarded,
                rule: Revision::NONE,
                reason: 0,
            })
        });
        known.extend(admitted.map(|device| (device.eui.0, Known { operator: device.operator, model: device.model })));
    }
}

/// Reads the alerts that meters raised at a limit, by device and phase.
fn raised(
    question: &Question,
    readings: &Readings,
    limit: Limit,
    (open, plan): (Open<'_>, Plan),
    pace: &Pace,
) -> Result<HashMap<(u64, Phase), Vec<Raised>>, Stopped> {
    let (only, received) = (Filter::new(&question.only.scope()), question.received_ms());
    let mut raised: HashMap<(u64, Phase), Vec<Raised>> = HashMap::new();
    let mut count = 0;
    let mut take = |group: Group, _: &mut _| {
        let rows = &group.rows;
        pace.advance(rows.len() as u64);
        for row in 0..rows.len() {
            let trigger = readings.models.trigger_of(rows, row);
            let Some(trigger) = trigger.filter(|trigger| (trigger.limit, trigger.edge) == (limit, Edge::Raise)) else {
                continue;
            };
            let is_meant = received.contains(&rows.received_ms[row]) && only.admits(rows, row);
            if !is_meant || group.mark_of(row).end == End::Duplicate {
                continue;
            }
            count += 1;
            if count > ALERTS_MAX {
                let why =
                    format!("there are more than {ALERTS_MAX} alerts of average voltage; ask for a shorter range");
                return Err(Stopped::Failed(why));
            }
            let (occurred_ms, weight) = (rows.occurred_ms[row], rows.weight[row]);
            let alert = Raised { occurred_ms, weight, status: rows.time_status(row) };
            raised.entry((rows.device[row], trigger.phase)).or_default().push(alert);
        }
        Ok(())
    };
    read(open, plan.first..plan.end, pace, (&mut |_| true, Columns::All), &mut take)?;
    Ok(raised)
}

/// What is known of one threshold so far.
struct Thresholded {
    threshold_dv: u16,
    alerts: Bounds,
    by_operator: BTreeMap<u8, Bounds>,
    by_model: BTreeMap<u32, Bounds>,
    devices: Bounds,
    most: Vec<(u64, Bounds)>,
    /// Of the device in hand, over its phases.
    device: Bounds,
}

impl Thresholded {
    fn new(threshold_dv: u16) -> Self {
        Self {
            threshold_dv,
            alerts: Bounds::default(),
            by_operator: BTreeMap::new(),
            by_model: BTreeMap::new(),
            devices: Bounds::default(),
            most: Vec::new(),
            device: Bounds::default(),
        }
    }

    /// Ends the device in hand.
    fn end_device(&mut self, device: u64, known: Known, devices_max: usize) {
        let alerts = std::mem::take(&mut self.device);
        self.alerts.add(alerts);
        self.by_operator.entry(known.operator.get()).or_default().add(alerts);
        self.by_model.entry(known.model.0).or_default().add(alerts);
        self.devices.add(Bounds { least: alerts.least.min(1), most: alerts.most.min(1) });
        if alerts.most > 0 && devices_max > 0 {
            self.most.push((device, alerts));
            if self.most.len() > devices_max.saturating_mul(4) {
                self.keep_most(devices_max);
            }
        }
    }

    fn keep_most(&mut self, devices_max: usize) {
        self.most.sort_by_key(|(device, alerts)| (std::cmp::Reverse((alerts.least, alerts.most)), *device));
        self.most.truncate(devices_max);
    }
}

/// Readings compared with thresholds, device by device.
struct Replay<'a> {
    readings: &'a Readings,
    question: &'a Question,
    limit: Limit,
    tolerance_ms: Millis,
    known: &'a HashMap<u64, Known>,
    raised: HashMap<(u64, Phase), Vec<Raised>>,
    at: Vec<Thresholded>,
    backtest: Backtest,
    without_threshold: u64,
    recorded: u64,
    coverage: BTreeMap<u32, Coverage>,
    /// The device in hand.
    last: Option<(u64, Known)>,
}

impl Replay<'_> {
    /// Takes what was read of one phase of a device, in order.
    fn take(&mut self, device: Eui64, phase: Phase, read: &[Reading]) -> Result<(), Stopped> {
        let Some(known) = self.known.get(&device.0).copied() else { return Ok(()) };
        let ends = self.question.received_ms();
        let first = read.partition_point(|reading| reading.end_ms < ends.start);
        if first == read.len() {
            return Ok(());
        }
        let thresholds = self.readings.reader.thresholds(device).map_err(failed)?;
        if self.last.is_none_or(|(last, _)| last != device.0) {
            self.end_device();
            self.last = Some((device.0, known));
            self.coverage.entry(known.model.0).or_default().devices_read += 1;
            self.without_threshold += u64::from(thresholds.iter().all(|threshold| threshold.limit != self.limit));
        }
        let rounding = self.readings.models.rounding(known.operator, known.model);
        let rounded = |reading: &Reading| Reading { volts: reading.volts.rounded(rounding), ..*reading };
        let readings: Vec<Reading> = read.iter().map(rounded).collect();
        for at in &mut self.at {
            let mut crossings = Crossings::new(self.limit);
            let threshold_dv = Some(at.threshold_dv);
            for (index, reading) in readings.iter().enumerate() {
                if index == first {
                    crossings.count_from_here();
                }
                crossings.read(*reading, threshold_dv);
            }
            at.device.add(crossings.bounds());
        }
        self.cover(known.model, &readings[first..]);
        let mut crossings = Crossings::new(self.limit);
        let configured = |reading: &Reading| configured_dv(&thresholds, self.limit, reading.end_ms);
        let crossed: Vec<_> =
            readings.iter().map(|reading| (reading.end_ms, crossings.read(*reading, configured(reading)))).collect();
        let raised = self.raised.remove(&(device.0, phase)).unwrap_or_default();
        self.recorded += raised.len() as u64;
        let joined = |alert: &Raised| {
            let time = (alert.occurred_ms, alert.status);
            join(&readings, time, alert.weight, self.tolerance_ms).map(|reading| reading.end_ms)
        };
        let alerts: Vec<_> = raised.iter().map(joined).collect();
        self.backtest.add(backtest(&crossed[first..], &alerts));
        Ok(())
    }

    fn cover(&mut self, model: ModelId, readings: &[Reading]) {
        let coverage = self.coverage.entry(model.0).or_default();
        coverage.periods_read += readings.len() as u64;
        for pair in readings.windows(2) {
            coverage.periods_missing += periods(&(pair[0].end_ms..pair[1].period_ms().start), pair[1].length_s);
        }
    }

    fn end_device(&mut self) {
        let Some((device, known)) = self.last.take() else { return };
        let devices_max = self.question.devices_max;
        self.at.iter_mut().for_each(|at| at.end_device(device, known, devices_max));
    }

    fn finish(mut self, ground: &Ground) -> DeviceAnswer {
        self.end_device();
        for known in self.known.values() {
            self.coverage.entry(known.model.0).or_default().devices += 1;
        }
        let elsewhere = self.raised.values().map(|alerts| alerts.len() as u64).sum();
        let name = |model: u32| ground.models.get(&ModelId(model)).cloned().unwrap_or_default();
        let devices_max = self.question.devices_max;
        let at_threshold = |mut at: Thresholded| {
            at.keep_most(devices_max);
            AtThreshold {
                threshold_dv: at.threshold_dv,
                alerts: at.alerts,
                by_operator: at.by_operator.into_iter().collect(),
                by_model: by_name(at.by_model, name),
                devices: at.devices,
                most: at.most.into_iter().map(|(device, alerts)| AlertingDevice { device, alerts }).collect(),
            }
        };
        let Backtest { matched, without_crossing, open, without_alert } = self.backtest;
        let coverage = self.coverage.into_iter().map(|(model, coverage)| Coverage { model: name(model), ..coverage });
        let mut coverage: Vec<Coverage> = coverage.collect();
        coverage.sort_by(|a, b| a.model.cmp(&b.model));
        DeviceAnswer {
            under: self.limit == Limit::Under,
            thresholds: self.at.into_iter().map(at_threshold).collect(),
            recorded: self.recorded,
            recorded_elsewhere: elsewhere,
            backtest: BacktestFigures {
                matched,
                alerts_without_crossing: without_crossing,
                open,
                crossings_without_alert: without_alert,
                devices_without_threshold: self.without_threshold,
            },
            coverage,
        }
    }
}

/// Bounds by the names of models, in their order.
fn by_name(by_model: BTreeMap<u32, Bounds>, name: impl Fn(u32) -> String) -> Vec<(String, Bounds)> {
    let mut named: Vec<_> = by_model.into_iter().map(|(model, bounds)| (name(model), bounds)).collect();
    named.sort_by(|(one, _), (other, _)| one.cmp(other));
    named
}
