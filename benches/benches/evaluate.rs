//! What the sandbox costs: each stock rule judges the same batches as a component in a fresh instance, as a component
//! in an instance that is used again, and natively, in one run.
//!
//! It must not know the rest of the host. Invariant: the three ways are compared only after they gave the same
//! verdicts, withheld counts and state. The native way is the SDK's own, which the component runs too; it has read its
//! parameters beforehand, where the component reads them in every call.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    env, fs,
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use criterion::{BenchmarkId, Criterion, Throughput};
use weir_benches::{
    STOCK_PLUGINS,
    generator::{Day, Plan},
    report,
};
use weir_host::{
    config::PluginLimits,
    domain::{Column, Columns, Metering, ModelId, Mpxn, RuleFault},
    plugin::{Plugin, Sandbox},
};
use weir_proto::v1::Alert;

/// Alerts in a batch.
const BATCHES: [usize; 4] = [1, 64, 1024, 4096];
/// Different batches that take turns, so that no branch is learnt by heart.
const TURNS: usize = 16;
/// Samples of each measurement; the table shows their median.
const SAMPLES: usize = 20;
/// The ways a batch is judged, in the order of the table.
const WAYS: [&str; 3] = ["fresh", "reused", "native"];

/// The day the batches are cut from, and how far into it: storms are on by then.
const PLAN: Plan = Plan { seed: 1, devices: 70_000, alerts: 7_000_000, start_ms: 1_772_323_200_000 };
const SKIPPED: usize = 2_000_000;

/// Nanoseconds an alert, by rule, batch size and way, in the order they were sampled.
type Samples = RefCell<BTreeMap<(&'static str, usize, usize), Vec<f64>>>;

/// A batch as columns that own their data, with the state before it.
#[derive(Default)]
struct Table {
    device: Vec<u64>,
    slot: Vec<u32>,
    code: Vec<u16>,
    occurred_ms: Vec<i64>,
    measurement: Vec<i32>,
    weight: Vec<u32>,
    flags: Vec<u8>,
    operator: Vec<u8>,
    model: Vec<u32>,
    state: Vec<u64>,
}

/// What the host would join an alert with: generation as a number, operator, model.
type Inventory = HashMap<u64, (u8, u8, u32)>;

fn main() -> Result<()> {
    let mut criterion = Criterion::default()
        .sample_size(SAMPLES)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let samples = Samples::default();
    let sandbox = Sandbox::new(&PluginLimits::default())?;
    let parameters: HashMap<&str, String> = PLAN.rules().into_iter().map(|r| (r.plugin, r.parameters)).collect();

    let (inventory, alerts) = (inventory()?, alerts()?);
    let bench = Bench { inventory: &inventory, alerts: &alerts, samples: &samples };
    for (name, path) in STOCK_PLUGINS {
        let bytes = fs::read(path).with_context(|| format!("cannot read {path}"))?;
        let plugin = sandbox.load(&bytes, 0)?;
        let parameters = parameters.get(name).with_context(|| format!("no rule uses {name}"))?;
        match name {
            "match" => bench.rule::<weir_rule_match::Match>(&mut criterion, &plugin, parameters)?,
            "threshold" => bench.rule::<weir_rule_threshold::Threshold>(&mut criterion, &plugin, parameters)?,
            _ => bench.rule::<weir_rule_storm::Storm>(&mut criterion, &plugin, parameters)?,
        }
    }
    criterion.final_summary();
    // Without `--bench` every measurement ran once, to see that it runs: its figures mean nothing.
    if env::args().any(|argument| argument == "--bench") {
        print_table(&samples.borrow());
    }
    Ok(())
}

/// What every measurement needs.
struct Bench<'a> {
    inventory: &'a Inventory,
    alerts: &'a [Alert],
    samples: &'a Samples,
}

impl Bench<'_> {
    /// Measures one rule at every batch size and in every way.
    fn rule<R: weir::Rule>(&self, criterion: &mut Criterion, plugin: &Plugin, parameters: &str) -> Result<()> {
        let rule = R::new(parameters).map_err(anyhow::Error::msg)?;
        let name = R::DESCRIPTION.name;
        let mut group = criterion.benchmark_group(name);
        for size in BATCHES {
            let mut tables: Vec<Table> =
                self.alerts.chunks_exact(size).take(TURNS).map(|alerts| Table::new(alerts, self.inventory)).collect();
            for table in &mut tables {
                table.begin_state(&rule)?;
                ensure_same(&rule, plugin, parameters, table)?;
            }

            group.throughput(Throughput::Elements(size as u64));
            let mut reused = plugin.instantiate(Metering::Live).map_err(failed)?;
            let mut scratch = Vec::new();
            for (way, text) in WAYS.into_iter().enumerate() {
                let samples = |spent: Duration, batches: u64| {
                    let ns = spent.as_nanos() as f64 / (batches * size as u64) as f64;
                    self.samples.borrow_mut().entry((name, size, way)).or_default().push(ns);
                    spent
                };
                group.bench_function(BenchmarkId::new(text, size), |bencher| {
                    bencher.iter_custom(|batches| {
                        let started = Instant::now();
                        for table in tables.iter().cycle().take(batches as usize) {
                            let columns = black_box(table.columns(plugin));
                            match way {
                                0 => drop(black_box(
                                    plugin
                                        .instantiate(Metering::Live)
                                        .and_then(|mut instance| instance.call(parameters, &columns, &table.state)),
                                )),
                                1 => drop(black_box(reused.call(parameters, &columns, &table.state))),
                                _ => drop(black_box(native(&rule, table, &mut scratch))),
                            }
                        }
                        samples(started.elapsed(), batches)
                    });
                });
            }
        }
        group.finish();
        Ok(())
    }
}

/// The rule on a copy of the state before the batch.
fn native<R: weir::Rule>(rule: &R, table: &Table, state: &mut Vec<u64>) -> Result<weir::Outcome, String> {
    state.clear();
    state.extend_from_slice(&table.state);
    weir::evaluate_columns(rule, black_box(&table.batch()), state)
}

fn ensure_same<R: weir::Rule>(rule: &R, plugin: &Plugin, parameters: &str, table: &Table) -> Result<()> {
    let mut state = Vec::new();
    let expected = native(rule, table, &mut state).map_err(anyhow::Error::msg)?;
    let mut instance = plugin.instantiate(Metering::Live).map_err(failed)?;
    let actual = instance.call(parameters, &table.columns(plugin), &table.state).map_err(failed)?;
    let same = actual.verdict == expected.verdict && actual.withheld == expected.withheld && actual.state == state;
    ensure!(same, "{}: the component and the native rule differ", R::DESCRIPTION.name);
    Ok(())
}

fn failed(fault: RuleFault) -> anyhow::Error {
    anyhow!("{}: {}", fault.kind.name(), fault.detail)
}

fn inventory() -> Result<Inventory> {
    let join = |device: weir_proto::v1::Device| {
        let mpan: Mpxn = device.mpxn.parse()?;
        let operator = mpan.distributor().map_or(0, |operator| operator.get());
        Ok((device.device_id, (device.generation as u8, operator, ModelId::of(&device.model).0)))
    };
    PLAN.fleet().inventory().map(join).collect()
}

fn alerts() -> Result<Vec<Alert>> {
    let largest = BATCHES.into_iter().max().unwrap_or(1);
    let valid = |alert: &Alert| alert.device_id != 0 && alert.code < 1 << 16;
    Ok(Day::new(PLAN)?.skip(SKIPPED).filter(valid).take(largest * TURNS).collect())
}

impl Table {
    fn new(alerts: &[Alert], inventory: &Inventory) -> Self {
        let mut table = Self::default();
        let mut slots: HashMap<(u64, u32), u32> = HashMap::new();
        for alert in alerts {
            let (generation, operator, model) = inventory.get(&alert.device_id).copied().unwrap_or_default();
            let next = slots.len() as u32;
            table.slot.push(*slots.entry((alert.device_id, alert.code)).or_insert(next));
            table.device.push(alert.device_id);
            table.code.push(alert.code as u16);
            table.occurred_ms.push(alert.occurred_at_ms);
            table.measurement.push(alert.measurement.unwrap_or(0));
            table.weight.push(alert.weight.max(1));
            table.flags.push(u8::from(alert.measurement.is_some()) | generation << 1);
            table.operator.push(operator);
            table.model.push(model);
        }
        table
    }

    /// Gives each slot the state of a device that was seen before: the first batch is no batch to measure.
    fn begin_state<R: weir::Rule>(&mut self, rule: &R) -> Result<()> {
        let slots = self.slot.iter().max().map_or(0, |slot| *slot as usize + 1);
        let mut state = vec![0; slots * <R::State as weir::State>::WORDS];
        weir::evaluate_columns(rule, &self.batch(), &mut state).map_err(anyhow::Error::msg)?;
        self.state = state;
        Ok(())
    }

    /// What the host shows the plugin: the columns it reads.
    fn columns(&self, plugin: &Plugin) -> Columns<'_> {
        let info = plugin.info();
        let read = |column: Column| if info.reads.contains(column) { self.code.len() } else { 0 };
        Columns {
            device: &self.device[..read(Column::Device)],
            slot: if info.state_words > 0 { &self.slot } else { &[] },
            code: &self.code,
            occurred_ms: &self.occurred_ms[..read(Column::Occurred)],
            measurement: &self.measurement[..read(Column::Measurement)],
            weight: &self.weight[..read(Column::Weight)],
            flags: &self.flags,
            operator: &self.operator[..read(Column::Operator)],
            model: &self.model[..read(Column::Model)],
            row: &[],
        }
    }

    fn batch(&self) -> weir::Batch<'_> {
        weir::Batch {
            device: &self.device,
            slot: &self.slot,
            code: &self.code,
            occurred_ms: &self.occurred_ms,
            measurement: &self.measurement,
            weight: &self.weight,
            flags: &self.flags,
            operator: &self.operator,
            model: &self.model,
        }
    }
}

fn print_table(samples: &BTreeMap<(&'static str, usize, usize), Vec<f64>>) {
    // The last samples are the measured ones; those before them warmed up.
    let median = |rule, size, way| {
        let mut last: Vec<f64> = samples.get(&(rule, size, way))?.iter().rev().take(SAMPLES).copied().collect();
        last.sort_by(f64::total_cmp);
        last.get(last.len() / 2).copied()
    };
    let rows =
        STOCK_PLUGINS.into_iter().flat_map(|(rule, _)| BATCHES.map(|size| (rule, size))).filter_map(|(rule, size)| {
            let [fresh, reused, native] = [median(rule, size, 0)?, median(rule, size, 1)?, median(rule, size, 2)?];
            let ns = [fresh, reused, native].map(|ns| format!("{ns:.2}"));
            let ratios = [fresh / native, reused / native].map(|ratio| format!("{ratio:.1}"));
            Some([vec![rule.to_owned(), size.to_string()], ns.to_vec(), ratios.to_vec()].concat())
        });
    let header =
        ["rule", "batch", "fresh ns/alert", "reused ns/alert", "native ns/alert", "fresh / native", "reused / native"];
    println!("{}", report::table(&header, 1, rows));
    println!("Medians of {SAMPLES} samples; a fresh instance for every batch is what the host does.");
}
