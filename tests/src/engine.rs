//! A pipeline without gRPC: native rules, a disk of the caller's, a clock that stands.
//!
//! It must not know workloads' outcomes. Invariant: whatever is asked goes through the handle that the services use.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use weir_host::{
    books::{CountQuery, Grouping},
    config::Config,
    domain::{
        AlertCode, ColumnSet, Columns, Digest, End, Eui64, FaultKind, Generation, Judge, Metering, Mode, Mpxn,
        OperatorId, Outcome, PluginInfo, RuleFault, Scope, StateKey,
    },
    evaluate::Times,
    listing::AlertQuery,
    pipeline::{
        Batch, Clock, DeviceRequest, GroupSize, GroupSizing, Handle, Parts, Refusal, RuleRequest, Runner, StartError,
        acks_kept, start_with, system_times,
    },
    plugin::Sandbox,
    registry::Source,
    store::Store,
};

use crate::{
    disk::Disk,
    model::{Entry, Model},
    workload::{FRAIL, NOW_MS, Step},
};

/// A configuration for small workloads: slices and hours are written often.
pub fn config() -> Config {
    let mut config = Config::default();
    config.store.recovery_rows_max = 2_000;
    config.store.cache_bytes_max = 4 << 20;
    config
}

/// Starts a pipeline on a disk.
pub fn start(disk: &Disk, config: Config) -> Result<(Handle, Runner), StartError> {
    start_with(parts(disk, config)?)
}

/// The same, with a clock of the caller's. Where it goes on, that much time has passed: it is always right.
pub fn start_at(disk: &Disk, config: Config, clock: Clock) -> Result<(Handle, Runner), StartError> {
    let (begun, begun_ms, now_ms) = (Instant::now(), clock(), Arc::clone(&clock));
    let set_on = move || Duration::from_millis(now_ms().saturating_sub(begun_ms).max(0).unsigned_abs());
    start_when(disk, config, clock, Arc::new(move || begun.elapsed() + set_on()))
}

/// The same, with the time that passes, so that the clock may be wrong.
pub fn start_when(
    disk: &Disk,
    config: Config,
    clock: Clock,
    passed: Arc<dyn Fn() -> Duration + Send + Sync>,
) -> Result<(Handle, Runner), StartError> {
    start_with(Parts { clock, times: Times { passed, ..system_times() }, ..parts(disk, config)? })
}

/// The same, with groups of the caller's.
pub fn start_grouped(disk: &Disk, config: Config) -> Result<(Handle, Runner, Groups), StartError> {
    let groups = Groups::default();
    let sizes = groups.clone();
    let grouping: GroupSizing = Arc::new(move || sizes.next());
    let (handle, runner) = start_with(Parts { grouping: Some(grouping), ..parts(disk, config)? })?;
    Ok((handle, runner, groups))
}

/// The parts of a pipeline on a disk, with the native plugins and a clock that stands.
pub fn parts(disk: &Disk, config: Config) -> Result<Parts, StartError> {
    let disk = disk.clone();
    let (limits, kept) = (config.store.clone(), acks_kept(&config));
    Ok(Parts {
        clock: Arc::new(|| NOW_MS),
        times: system_times(),
        open: Box::new(move || Store::with_backend(disk.clone(), &limits, kept)),
        folder: None,
        sandbox: Sandbox::new(&config.plugins)?,
        natives: natives(),
        grouping: None,
        config: Arc::new(config),
    })
}

/// The sizes of the groups to come. A group whose size nobody said takes one batch, and nothing waits behind it.
#[derive(Clone, Default)]
pub struct Groups(Arc<Mutex<VecDeque<GroupSize>>>);

impl Groups {
    fn next(&self) -> GroupSize {
        let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.pop_front().unwrap_or(GroupSize { batches: 1, waiting: 0 })
    }

    /// Performs steps; where they are batches, as one group that finds so many commands waiting behind it.
    pub async fn perform(&self, handle: &Handle, together: &[Step], waiting: usize) -> Result<(), Refusal> {
        let [Step::Batch { .. }, ..] = together else {
            for step in together {
                perform(handle, step).await?;
            }
            return Ok(());
        };
        let size = GroupSize { batches: together.len(), waiting };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(size);
        let mut answers = Vec::with_capacity(together.len());
        for step in together {
            answers.push(handle.submit(batch(step)).await?);
        }
        for answer in answers {
            answer.await.map_err(|_| handle.no_answer())??;
        }
        Ok(())
    }
}

/// The native plugins: `hold` suppresses the code of its parameters, `every` lets each n-th alert of a device and code
/// pass, `frail` fails on one code. `odd` is none that ought to be: it suppresses every second alert of a batch. `spent`
/// suppresses everything, and has too little fuel for one code, but for when the log is folded again.
pub fn natives() -> Vec<Source> {
    let parameter = |text: &str| -> u64 {
        let value: serde_json::Value = serde_json::from_str(text).expect("the harness writes JSON");
        value["n"].as_u64().expect("the harness gives n")
    };
    vec![
        Source::Native(info("hold", 0), Arc::new(move |text| hold(parameter(text) as u16))),
        Source::Native(info("every", 1), Arc::new(move |text| every(parameter(text)))),
        Source::Native(info("frail", 1), Arc::new(|_| frail())),
        Source::Native(info("odd", 0), Arc::new(|_| odd())),
        Source::Native(info("spent", 0), Arc::new(|_| spent())),
    ]
}

fn info(name: &str, state_words: u32) -> Box<PluginInfo> {
    Box::new(PluginInfo {
        digest: Digest([name.as_bytes()[0]; 32]),
        name: name.into(),
        version: "1".into(),
        summary: String::new(),
        parameters_schema: "{}".into(),
        state_key: StateKey::DeviceAndCode,
        state_words,
        state_version: 1,
        reasons: vec!["held".into()],
        // Rules without state here look at nothing but the code.
        reads: if state_words > 0 { ColumnSet::ALL } else { ColumnSet::default() },
        size_bytes: 0,
        uploaded_ms: 0,
        owners: vec![OperatorId::UNKNOWN],
        signed_by: Vec::new(),
        revoked: None,
    })
}

fn hold(code: u16) -> Judge {
    Arc::new(move |columns: &Columns<'_>, _: &[u64], _: Metering| {
        let verdict = columns.code.iter().map(|c| u8::from(*c == code)).collect();
        Ok(Outcome { verdict, ..Outcome::default() })
    })
}

fn every(n: u64) -> Judge {
    Arc::new(move |columns: &Columns<'_>, state: &[u64], _: Metering| {
        let mut outcome = Outcome { state: state.to_vec(), ..Outcome::default() };
        for slot in columns.slot {
            let seen = &mut outcome.state[*slot as usize];
            *seen += 1;
            let pass = seen.is_multiple_of(n);
            outcome.verdict.push(u8::from(!pass));
            outcome.withheld.push(if pass { n as u32 - 1 } else { 0 });
        }
        Ok(outcome)
    })
}

fn frail() -> Judge {
    Arc::new(|columns: &Columns<'_>, state: &[u64], _: Metering| {
        if columns.code.contains(&FRAIL) {
            return Err(RuleFault::new(FaultKind::Trap, "it met the code it cannot stand"));
        }
        let state = state.iter().map(|word| word + 1).collect();
        Ok(Outcome { verdict: vec![0; columns.len()], withheld: Vec::new(), state })
    })
}

fn odd() -> Judge {
    Arc::new(|columns: &Columns<'_>, _: &[u64], _: Metering| {
        let verdict = (0..columns.len()).map(|at| (at % 2) as u8).collect();
        Ok(Outcome { verdict, ..Outcome::default() })
    })
}

fn spent() -> Judge {
    Arc::new(|columns: &Columns<'_>, _: &[u64], metering: Metering| {
        if metering != Metering::Replay && columns.code.contains(&FRAIL) {
            return Err(RuleFault::new(FaultKind::OutOfFuel, "it had no more"));
        }
        Ok(Outcome { verdict: vec![1; columns.len()], ..Outcome::default() })
    })
}

/// A rule as the harness sets it.
pub fn rule(name: &str, n: u64, order: u32) -> RuleRequest {
    RuleRequest {
        name: name.into(),
        plugin: name.into(),
        parameters: format!("{{\"n\":{n}}}"),
        scope: Scope::default(),
        mode: Mode::Active,
        order: Some(order),
        why: String::new(),
        until_ms: None,
    }
}

/// A rule beside the others, of one of the native plugins.
pub fn shadow(name: &str, plugin: &str, n: u64, order: u32) -> RuleRequest {
    RuleRequest { name: name.into(), plugin: plugin.into(), mode: Mode::Shadow, ..rule(name, n, order) }
}

/// Asks for one step and waits for its answer.
pub async fn perform(handle: &Handle, step: &Step) -> Result<Option<weir_host::domain::Ack>, Refusal> {
    match step {
        Step::Batch { .. } => {
            let answer = handle.submit(batch(step)).await?;
            answer.await.map_err(|_| handle.no_answer())?.map(Some)
        }
        Step::Hold(code) => handle.set_rule(rule("hold", u64::from(*code), 1)).await.map(|_| None),
        Step::Every(n) => handle.set_rule(rule("every", *n, 3)).await.map(|_| None),
        Step::RemoveEvery => match handle.remove_rule("every", String::new()).await {
            Ok(_) | Err(Refusal::NotFound { .. }) => Ok(None),
            Err(refusal) => Err(refusal),
        },
        Step::Devices(devices, operator) => {
            let device = |eui: &u64| DeviceRequest {
                eui: Eui64(*eui),
                mpxn: Mpxn::NONE,
                generation: Generation::Smets1,
                model: format!("model-{}", eui % 7),
                operator: OperatorId::new(*operator).expect("the workload gives distributor ids"),
                ..DeviceRequest::default()
            };
            handle.put_devices(devices.iter().map(device).collect()).await.map(|_| None)
        }
    }
}

/// The batch of a step.
pub fn batch(step: &Step) -> Batch {
    match step {
        Step::Batch { producer, sequence, alerts, unreadable } => Batch {
            producer: producer.clone(),
            sequence: *sequence,
            alerts: alerts.clone(),
            unreadable: *unreadable,
            ..Batch::default()
        },
        other => panic!("{other:?} is no batch"),
    }
}

/// The whole log as the host lists it.
pub fn log(handle: &Handle) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut query = AlertQuery { page_size: 777, ..AlertQuery::default() };
    loop {
        let page = handle.alerts(&query).expect("the log can be read");
        entries.extend(page.alerts.iter().map(|logged| Entry {
            device: logged.alert.device.0,
            counter: logged.alert.counter.unwrap_or(0),
            code: logged.alert.code.0,
            operator: u32::from(logged.operator.get()),
            end: logged.end,
            rule: match logged.rule.as_ref().map_or("", |rule| rule.name.as_str()) {
                "hold" => "hold",
                "every" => "every",
                "" => "",
                other => panic!("no rule of the harness is named {other}"),
            },
            withheld: logged.withheld,
        }));
        match page.next {
            Some(next) => query.from = next,
            None => return entries,
        }
    }
}

/// Compares everything a client can see with a model: log, counts by every grouping, balances, rule state by device.
pub async fn compare(handle: &Handle, model: &Model, devices: u64, context: &str) {
    let listed = log(handle);
    for (at, (found, expected)) in listed.iter().zip(&model.log).enumerate() {
        assert_eq!(found, expected, "{context}: log entry {at}");
    }
    assert_eq!(listed.len(), model.log.len(), "{context}: length of the log");

    let groupings = [
        vec![],
        vec![Grouping::Code],
        vec![Grouping::Rule],
        vec![Grouping::Operator, Grouping::Generation],
        vec![Grouping::Hour],
        vec![Grouping::Day, Grouping::Model],
        vec![Grouping::Rejection],
    ];
    for group_by in groupings {
        let query = CountQuery { group_by: group_by.clone(), ..CountQuery::default() };
        let table = handle.counts(&query).expect("the books can be read");
        assert_eq!(table.total.balance, model.balance, "{context}: total by {group_by:?}");
        assert_eq!(table.total.represented, model.represented, "{context}: represented by {group_by:?}");
        let rows: u64 = table.rows.iter().map(|(_, counts)| counts.balance.received()).sum();
        assert_eq!(rows, model.balance.received(), "{context}: rows by {group_by:?}");
    }
    let by_code = CountQuery { group_by: vec![Grouping::Code], ..CountQuery::default() };
    for (key, counts) in handle.counts(&by_code).expect("the books can be read").rows {
        let Some(Some(AlertCode(code))) = key.code else { continue };
        let of = |end| model.log.iter().filter(|entry| entry.code == code && entry.end == end).count() as u64;
        let expected = (of(End::Forwarded), of(End::Suppressed), of(End::Duplicate));
        let found = (counts.balance.forwarded, counts.balance.suppressed, counts.balance.duplicate);
        assert_eq!(found, expected, "{context}: code {code:04X}");
    }
    for device in 1..=devices {
        let expected: Vec<(u16, u64)> =
            model.seen.range((device, 0)..=(device, u16::MAX)).map(|((_, code), seen)| (*code, *seen)).collect();
        let mut found: Vec<(u16, u64)> = match handle.device(Eui64(device)).await {
            Ok(view) => view
                .states
                .iter()
                .filter(|(rule, ..)| rule == "every")
                .map(|(_, code, words)| (code.expect("kept by code").0, words[0]))
                .collect(),
            Err(Refusal::NotFound { .. }) => Vec::new(),
            Err(refusal) => panic!("{context}: device {device}: {refusal}"),
        };
        found.sort_unstable();
        assert_eq!(found, expected, "{context}: state of device {device}");
    }
}
