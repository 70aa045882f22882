//! The figures in the text format of OpenMetrics.
//!
//! It must not know who reads it. Invariant: every label has a bounded number of values: words of this program, calls of
//! the protocol, settings, and the names of the rules that there are now.

use std::{fmt, sync::atomic::Ordering};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeGaugeValue, NoLabelSet, text::encode},
    metrics::MetricType,
    registry::Registry,
};

use crate::{
    domain::{FaultKind, Mode},
    grpc::{Tables, Traffic},
    migration::Advice,
    pipeline::{DURATION_BOUNDS_S, Durations, MigrationView, RuleFigures, Status, Watched},
};

/// What each name begins with.
const PREFIX: &str = "weir";

/// What a host can be.
const STARTING: &str = "starting";
const SERVING: &str = "serving";
const STORE_FULL: &str = "store-full";
const STOPPED: &str = "stopped";
const CLOCK_WRONG: &str = "clock-wrong";

/// Labels of one value.
type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Writes down everything, as of now.
pub fn write(watched: Watched, traffic: &Traffic, migration: Option<MigrationView>) -> Result<String, fmt::Error> {
    let moment = Moment {
        watched,
        migration,
        connections: traffic.connections.load(Ordering::Relaxed),
        calls_open: traffic.calls_open.load(Ordering::Relaxed),
        denied: traffic.denied.load(Ordering::Relaxed),
        tables: traffic.figures(),
    };
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(moment));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// The same of a host that starts: that it does.
pub fn starting() -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Beginning));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Beginning;

impl Collector for Beginning {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        Page(encoder).status(STARTING)
    }
}

/// All figures at one moment.
#[derive(Debug)]
struct Moment {
    watched: Watched,
    migration: Option<MigrationView>,
    connections: u64,
    calls_open: u64,
    denied: u64,
    tables: Tables,
}

impl Collector for Moment {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.alerts(&mut page)?;
        self.rules(&mut page)?;
        self.store(&mut page)?;
        self.subscribers(&mut page)?;
        self.plugins(&mut page)?;
        self.migration(&mut page)?;
        self.clients(&mut page)
    }
}

impl Moment {
    fn alerts(&self, page: &mut Page<'_>) -> fmt::Result {
        let figures = &self.watched.figures;
        let balance = figures.balance;
        page.counter("alerts_received", "Alerts that arrived since the host started", balance.received())?;
        let ends = [
            ("forwarded", balance.forwarded),
            ("suppressed", balance.suppressed),
            ("rejected", balance.rejected),
            ("duplicate", balance.duplicate),
        ];
        let ends = ends.into_iter().map(|(end, count)| (vec![("end", end)], count));
        page.counters("alerts", "Alerts since the host started, by what became of them", ends)?;
        let help = "Alerts that a rule would have suppressed if their code were not protected";
        page.counter("alerts_overruled", help, figures.overruled)?;
        let remarks = figures.remarks.each().map(|(remark, count)| (vec![("remark", remark.name())], count));
        let help = "Remarks about alerts that were taken since the host started: clocks, order, measurements";
        page.counters("alerts_remarked", help, remarks)?;
        page.durations("group_seconds", "Time from a group of alerts to what it changes", &figures.groups)?;
        page.durations("commit_seconds", "Time of one durable commit", &figures.commits)?;
        page.gauge("batches_waiting", "Batches, and other commands, that wait to be judged", self.watched.waiting)?;
        page.status(match self.watched.status {
            Status::Serving => SERVING,
            Status::StoreFull => STORE_FULL,
            Status::Stopped(_) => STOPPED,
            Status::ClockWrong(_) => CLOCK_WRONG,
        })
    }

    fn rules(&self, page: &mut Page<'_>) -> fmt::Result {
        let Watched { rules, figures, .. } = &self.watched;
        let none = RuleFigures::default();
        let each = || rules.iter().map(|(name, _)| (name.as_str(), figures.rules.get(name).unwrap_or(&none)));
        let labelled = |count: fn(&RuleFigures) -> u64| {
            let one = move |(name, figures): (_, &RuleFigures)| (vec![("rule", name)], count(figures));
            each().map(one).collect::<Vec<(Labels<'_>, u64)>>()
        };
        page.counters("rule_shown", "Alerts that a rule was shown", labelled(|rule| rule.shown))?;
        page.counters("rule_suppressed", "Alerts that a rule suppressed", labelled(|rule| rule.suppressed))?;
        let help = "Alerts that a rule would have suppressed if their code were not protected";
        page.counters("rule_overruled", help, labelled(|rule| rule.overruled))?;
        let help = "Alerts that a rule was not shown because there was no time to call it";
        page.counters("rule_passed_over", help, labelled(|rule| rule.passed_over))?;
        let shed = FaultKind::Shed.name();
        let help = "Times that a shadow rule was left out because too much waited";
        page.counters(
            "rule_shed",
            help,
            labelled(|rule| rule.faults.get(FaultKind::Shed.name()).copied().unwrap_or(0)),
        )?;
        let faults = each().flat_map(|(name, figures)| {
            let kinds = figures.faults.iter().filter(|(kind, _)| **kind != shed);
            kinds.map(move |(kind, count)| (vec![("rule", name), ("kind", *kind)], *count))
        });
        page.counters("rule_faults", "Failed calls of a rule, by kind", faults)?;
        let modes = Mode::ALL.map(|mode| (mode, mode.to_string()));
        let states = rules.iter().flat_map(|(name, now)| {
            let state = |(mode, word)| (vec![("rule", name.as_str()), ("mode", word)], u64::from(mode == now));
            modes.iter().map(|(mode, word)| (mode, word.as_str())).map(state).collect::<Vec<_>>()
        });
        page.gauges("rule_mode", "1 for the mode that a rule is in", states)?;
        page.counter("quarantines", "Times that a rule was quarantined", figures.quarantines)
    }

    fn store(&self, page: &mut Page<'_>) -> fmt::Result {
        let Watched { figures, position, free_bytes, .. } = &self.watched;
        page.gauge("log_position", "Position in the log that counts are exact as of", position.0)?;
        page.gauge("log_bytes", "Size of the log's entries", figures.log_bytes)?;
        if let Some(bytes) = free_bytes {
            page.gauge("store_free_bytes", "Free space where the store is", *bytes)?;
        }
        let Watched { readings, readings_file_bytes, are_readings_taken, .. } = &self.watched;
        page.gauge("readings", "Readings of voltages that are stored", *readings)?;
        page.gauge("readings_file_bytes", "What the readings' file takes of the disk", *readings_file_bytes)?;
        let help = "1 if readings can be stored, 0 if something is wrong with their file";
        page.gauge("readings_available", help, u64::from(*are_readings_taken))?;
        let help = "Values of the store that were damaged and made again from the log when the host started";
        page.counter("store_values_rebuilt", help, figures.store_values_rebuilt)?;
        page.counter("audit_entries", "Entries of the audit log since the host started", figures.audit_entries)
    }

    fn subscribers(&self, page: &mut Page<'_>) -> fmt::Result {
        let Watched { subscribers, cursors, cursors_behind_max, .. } = &self.watched;
        page.gauge("subscribers_open", "Streams of forwarded alerts", *subscribers)?;
        page.gauge("cursors", "Cursors, whether anybody reads by them or not", *cursors)?;
        let help = "Log positions between the end of the log and the cursor that is furthest behind it";
        page.gauge("cursors_behind_max", help, *cursors_behind_max)
    }

    fn plugins(&self, page: &mut Page<'_>) -> fmt::Result {
        let Watched { rules, plugins, compiling, confinement, figures, .. } = &self.watched;
        page.gauge("plugins", "Plugins that are kept", *plugins)?;
        page.gauge("rules", "Rules, whatever their mode", rules.len())?;
        page.gauge("compile_workers_running", "Processes that compile a plugin", *compiling)?;
        let layers = confinement.iter().flat_map(|found| [("landlock", found.landlock), ("seccomp", found.seccomp)]);
        let layers = layers.map(|(layer, is_there)| (vec![("layer", layer)], u64::from(is_there)));
        page.gauges("compile_workers_confined", "1 for what confines the processes that compile plugins", layers)?;
        let uploads = figures.uploads.iter().map(|(result, count)| (vec![("result", *result)], *count));
        page.counters("uploads", "Uploads, by what became of them", uploads)
    }

    fn migration(&self, page: &mut Page<'_>) -> fmt::Result {
        let Some(MigrationView { signal, measured, .. }) = &self.migration else { return Ok(()) };
        let advices = Advice::ALL.map(|advice| (vec![("advice", advice.name())], u64::from(advice == signal.advice)));
        page.gauges("migration_advice", "1 for what is to become of the migration", advices)?;
        page.gauge("migration_devices", "Devices that are migrated", measured.devices)?;
        let help = "Forwarded alerts of 1,000 migrated devices a day";
        page.gauge("migration_forwarded_per_1000_device_days", help, signal.forwarded_per_1000_device_days)?;
        let help = "Forwarded alerts a day of all planned devices at the level of those that are migrated";
        page.gauge("migration_projected_per_day", help, signal.projected_per_day)?;
        let help = "Share of the capacity that they would take, in percent";
        page.gauge("migration_capacity_percent", help, signal.capacity_percent)
    }

    fn clients(&self, page: &mut Page<'_>) -> fmt::Result {
        let Tables { calls, refused, cut } = &self.tables;
        page.gauge("connections_open", "Connections of clients", self.connections)?;
        page.gauge("calls_open", "Calls that are under way, streams of alerts included", self.calls_open)?;
        let calls = calls.iter().map(|((call, code), count)| (vec![("call", *call), ("code", *code)], *count));
        page.counters("calls", "Calls that ended, by their status", calls)?;
        page.counter("calls_denied", "Calls of nobody known, or that their maker may not make", self.denied)?;
        let refused = refused.iter().map(|(setting, count)| (vec![("setting", *setting)], *count));
        page.counters("calls_refused", "Calls that a limit of their identity refused, by its setting", refused)?;
        let cut = cut.iter().map(|(why, count)| (vec![("why", *why)], *count));
        page.counters("clients_cut", "Connections and calls that the host ended, by why", cut)
    }
}

/// Where figures are written down one by one.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn status(&mut self, now: &str) -> fmt::Result {
        let words = [STARTING, SERVING, STORE_FULL, STOPPED, CLOCK_WRONG];
        let states = words.map(|word| (vec![("status", word)], u64::from(word == now)));
        self.gauges("status", "1 for what the host is", states)
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&count, None)
    }

    fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        counts: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in counts {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn durations(&mut self, name: &str, help: &str, durations: &Durations) -> fmt::Result {
        let bounds = DURATION_BOUNDS_S.into_iter().chain([f64::INFINITY]);
        let classes: Vec<(f64, u64)> = bounds.zip(durations.classes).collect();
        let (sum, count) = (durations.sum.as_secs_f64(), durations.classes.iter().sum());
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(sum, count, &classes, None)
    }
}
