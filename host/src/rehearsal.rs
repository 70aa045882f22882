//! A rehearsal: one plugin over a sample of alerts, in memory, judged as a host would judge them.
//!
//! The sample goes through admission, the registry, the sandbox and the fold twice: as one stream, and one alert after
//! the other. A rule's verdicts must not depend on how a stream is cut, and the second pass says what each alert takes.
//!
//! It must not know where the sample comes from or how results are shown. Invariant: nothing is judged here; what is
//! reported is what [`judge`] said.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    admit::{Admitted, Bounds, Inventory, InventoryError, Memory},
    config::{Config, ConfigError},
    domain::{
        Alert, AlertCode, Device, DeviceNo, End, Eui64, Fault, FaultKind, Judge, Mark, Metering, Millis, Mode, ModelId,
        Outcome, Placement, Position, Revision, Rule, RuleFault, RuleRevision, Scope,
    },
    evaluate::{Chain, ChainSettings, Judged, Judgement, State, judge},
    intake::{inventory::Row, plausible::Ranges},
    plugin::Plugin,
    registry::{Registry, Source, Sources},
};

/// The only revision there is.
const REVISION: Revision = Revision(1);

/// What a plugin is tried with.
pub struct Rehearsal<'a> {
    /// The plugin.
    pub plugin: &'a Plugin,
    /// Parameters that it accepts.
    pub parameters: &'a str,
    /// Limits and protected codes.
    pub config: &'a Config,
    /// The inventory.
    pub devices: &'a [Row],
    /// The alerts, in the order of their arrival.
    pub alerts: &'a [Alert],
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    /// As one stream, an entry an alert.
    pub verdicts: Vec<Verdict>,
    /// Fuel that each alert takes when it comes alone; `None` where the rule was not asked. Empty where anything failed.
    pub fuel_alone: Vec<Option<u64>>,
    /// What failed: as one stream, or, where nothing did, one alert after the other.
    pub failures: Vec<Failure>,
    /// The first alert that is judged another way when it comes alone: the rule is not what it has to be.
    pub depends_on_batch: Option<usize>,
    /// What the calls took, as one stream.
    pub used: Used,
    /// What the rule keeps at the end.
    pub entries: Vec<Entry>,
}

/// What became of one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not admitted: the field, the value, and what is allowed.
    Rejected(String),
    /// Admitted.
    Judged {
        /// Its end, and the number of the reason.
        mark: Mark,
        /// How many suppressed alerts it stands for.
        withheld: u32,
    },
}

/// A call, or part of one, that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How.
    pub fault: RuleFault,
    /// How many alerts passed because of it.
    pub alerts: usize,
    /// The alert that makes it fail alone, or the first of those that passed.
    pub alert: usize,
    /// Whether `alert` is the one that makes it fail.
    pub is_poison: bool,
}

/// What calls took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Calls.
    pub calls: u64,
    /// Alerts that the rule was shown.
    pub alerts: u64,
    /// Fuel of all calls.
    pub fuel: u64,
    /// Linear memory of the call that took most.
    pub memory_bytes: u64,
}

/// A state entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The device.
    pub device: Eui64,
    /// The code, for a rule that keeps an entry for each.
    pub code: AlertCode,
    /// Its words.
    pub words: Vec<u64>,
}

/// Why there was no rehearsal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RehearsalError {
    /// A model of the inventory.
    #[error("devices: {0}")]
    Inventory(#[from] InventoryError),
    /// The host's own settings.
    #[error("{0}")]
    Settings(String),
}

impl From<ConfigError> for RehearsalError {
    fn from(error: ConfigError) -> Self {
        Self::Settings(error.to_string())
    }
}

impl Rehearsal<'_> {
    /// Runs it.
    ///
    /// # Errors
    /// An inventory that no host would take.
    pub fn run(&self) -> Result<Rehearsed, RehearsalError> {
        let stream = self.pass(self.config.group.alerts_max)?;
        // Where a call fails its whole batch passes, so there is nothing to compare; and each could take long to fail.
        let alone = if stream.failures.is_empty() { self.pass(1)? } else { Pass::default() };
        let differs = |(one, other): (&Verdict, &Verdict)| one != other;
        let depends_on_batch = stream.verdicts.iter().zip(&alone.verdicts).position(differs);
        let used = stream.calls.iter().fold(Used::default(), |sum, call| Used {
            calls: sum.calls + 1,
            alerts: sum.alerts + call.alerts,
            fuel: sum.fuel.saturating_add(call.fuel),
            memory_bytes: sum.memory_bytes.max(call.memory_bytes),
        });
        Ok(Rehearsed {
            entries: stream.entries(),
            verdicts: stream.verdicts,
            fuel_alone: alone.fuel,
            failures: [stream.failures, alone.failures].concat(),
            depends_on_batch,
            used,
        })
    }

    /// Judges the sample in groups of a size, from nothing seen.
    fn pass(&self, group_alerts: usize) -> Result<Pass, RehearsalError> {
        let meter = Meter::default();
        let chain = self.chain(&meter)?;
        let mut pass = Pass { inventory: self.inventory()?, ..Pass::default() };
        for rule in &chain.rules {
            if let Some((namespace, key, words)) = rule.namespace {
                pass.state.slots_mut(namespace, key, words);
            }
        }
        let plausible = Ranges::open();
        let bounds = self.bounds(&plausible);
        for alerts in self.alerts.chunks(group_alerts) {
            pass.group(alerts, &bounds, &chain, &meter);
        }
        Ok(pass)
    }

    /// As a live host's, but the sample may be as old as it likes.
    fn bounds<'a>(&self, plausible: &'a Ranges) -> Bounds<'a> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let bounds = Bounds::new(now_ms, &self.config.intake, self.config.store.retention_days_max, plausible);
        Bounds { received_ms_min: 0, ..bounds }
    }

    /// The chain as a registry makes it for one active rule over everything.
    fn chain(&self, meter: &Meter) -> Result<Chain, RehearsalError> {
        let info = self.plugin.info();
        let rule = Rule {
            plugin: info.digest,
            parameters: self.parameters.to_owned(),
            scope: Scope::default(),
            mode: Mode::Active,
            order: 1,
            namespace: REVISION,
            guard: None,
            until_ms: None,
        };
        let revision = RuleRevision {
            revision: REVISION,
            since: Position::default(),
            made_ms: 0,
            name: info.name.clone(),
            rule: Some(rule),
            who: String::new(),
            why: String::new(),
        };
        let (plugin, meter) = (self.plugin.clone(), meter.clone());
        let make = move |parameters: &str| meter.judge(plugin.clone(), parameters.to_owned());
        let sources = Sources::from([(info.digest, Source::Native(Box::new(info.clone()), Arc::new(make)))]);
        let settings = Arc::new(ChainSettings::from(self.config.judging()?));
        Registry::load(vec![info.clone()], vec![revision])
            .chain_at(Position::default(), &sources, &settings)
            .map_err(|missing| RehearsalError::Settings(missing.to_string()))
    }

    fn inventory(&self) -> Result<Inventory, RehearsalError> {
        let mut inventory = Inventory::default();
        for row in self.devices {
            inventory.learn_model(&row.model, self.config.intake.models_max)?;
            let device = Device {
                eui: row.eui,
                mpxn: row.mpxn,
                operator: row.settled_operator(),
                generation: row.generation,
                model: ModelId::of(&row.model),
                listed: true,
            };
            inventory.put(device, row.placement.over(Placement::default()));
        }
        Ok(inventory)
    }
}

/// The sample on its way.
#[derive(Default)]
struct Pass {
    inventory: Inventory,
    state: State,
    verdicts: Vec<Verdict>,
    fuel: Vec<Option<u64>>,
    failures: Vec<Failure>,
    calls: Vec<Call>,
}

impl Pass {
    fn group(&mut self, alerts: &[Alert], bounds: &Bounds<'_>, chain: &Chain, meter: &Meter) {
        let first = self.verdicts.len();
        let mut admitted = Admitted::default();
        let mut rejected = HashMap::new();
        let alerts: Vec<Result<Alert, _>> = alerts.iter().copied().map(Ok).collect();
        admitted.take(&alerts, bounds, &mut self.inventory, |index, reject| {
            rejected.insert(index, reject.message);
        });
        let is_protected = |code: u16| chain.settings.protected.contains(code);
        let from_the_start = Memory { from: Position(0), since_ms: Millis::MIN };
        admitted.find_copies(&mut self.state.copies, Position(first as u64), from_the_start, is_protected);
        let judgement = Judgement {
            rows: &admitted.rows,
            duplicate: &admitted.duplicate,
            skipped: &[],
            recorded: &[],
            metering: Metering::Live,
            obeyed: None,
            search: &|_| true,
            sheds: false,
            shares: None,
        };
        let judged = judge(&mut self.state, chain, judgement);
        let calls = meter.take();
        // What is called after the first call searches for the alert at fault.
        self.calls.extend(calls.first());
        let mut alert_of_row = Vec::with_capacity(admitted.rows.len());
        for index in 0..alerts.len() {
            let row = alert_of_row.len();
            self.verdicts.push(match rejected.remove(&index) {
                Some(message) => Verdict::Rejected(message),
                None => {
                    alert_of_row.push(first + index);
                    let mark = judged.marks[usize::from(judged.mark[row])];
                    Verdict::Judged { mark, withheld: judged.withheld[row] }
                }
            });
            self.fuel.push(calls.first().map(|call| call.fuel));
        }
        self.note_failures(&judged, &alert_of_row);
    }

    fn note_failures(&mut self, judged: &Judged, alert_of_row: &[usize]) {
        for Fault { kind, first_row, row_count, detail, .. } in &judged.faults {
            // What finds no room for its state passes by itself, and no alert is at fault.
            let poison = judged.poison.first().filter(|_| *kind != FaultKind::StateFull);
            let poison = poison.map(|poison| alert_of_row[poison.row as usize]);
            self.failures.push(Failure {
                fault: RuleFault { kind: *kind, detail: detail.clone() },
                alerts: *row_count as usize,
                alert: poison.unwrap_or_else(|| alert_of_row[*first_row as usize]),
                is_poison: poison.is_some(),
            });
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let devices = (0..self.inventory.len()).map(DeviceNo);
        let of = |no| {
            let device = self.inventory.get(no).eui;
            self.state.entries(no).map(move |(_, code, words)| Entry {
                device,
                code: AlertCode(code),
                words: words.to_vec(),
            })
        };
        devices.flat_map(of).collect()
    }
}

/// What one call took.
#[derive(Debug, Clone, Copy)]
struct Call {
    alerts: u64,
    fuel: u64,
    memory_bytes: u64,
}

/// Notes what calls take.
#[derive(Clone, Default)]
struct Meter(Arc<Mutex<Vec<Call>>>);

impl Meter {
    /// As [`Plugin::judge`], and noted.
    fn judge(&self, plugin: Plugin, parameters: String) -> Judge {
        let meter = self.clone();
        Arc::new(move |columns, state, metering| -> Result<Outcome, RuleFault> {
            let mut instance = plugin.instantiate(metering)?;
            let outcome = instance.call(&parameters, columns, state);
            let call = Call {
                alerts: columns.len() as u64,
                fuel: instance.fuel_used(),
                memory_bytes: instance.memory_bytes(),
            };
            meter.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
            outcome
        })
    }

    /// The calls since it was last asked.
    fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Verdict {
    /// Its end.
    pub fn end(&self) -> End {
        match self {
            Self::Rejected(_) => End::Rejected,
            Self::Judged { mark, .. } => mark.end,
        }
    }
}
