//! What a what-if over the past costs: questions of each kind over the same recorded alerts, as alerts a second, in one
//! run and on one machine.
//!
//! It must not know how a question is worked on. Invariant: each question is asked of a real store on disk through the
//! pipeline, with the stock plugins in the sandbox.

use std::{
    env, fs,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::runtime::Runtime;
use weir_benches::{
    STOCK_PLUGINS,
    generator::{Day, Plan},
    report, start_of_yesterday_ms,
};
use weir_host::{
    config::Config,
    domain::{
        Alert, AlertCode, Eui64, Generation, Message, Mode, Mpxn, OperatorId, PayloadKind, Reject, RejectReason, Scope,
    },
    pipeline::{
        Batch, DeviceRequest, Handle, Parts, RuleRequest, Runner, Stage, VariantRequest, WhatIfRequest, acks_kept,
        start_with, system_times,
    },
    plugin::Sandbox,
    store::Store,
};
use weir_proto::v1;

/// Recorded alerts, unless WEIR_ALERTS says otherwise.
const ALERTS: u64 = 4_000_000;
const DEVICES: u32 = 70_000;
/// Alerts of one batch, and so of one group of the log.
const BATCH: usize = 16_384;
/// Each question is asked so often; the best counts, for others use the machine too.
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    // Without `--bench` it is only to be seen that it runs.
    let measured = env::args().any(|argument| argument == "--bench");
    let asked = env::var("WEIR_ALERTS").ok().map(|text| text.parse()).transpose().context("WEIR_ALERTS")?;
    let alerts = asked.unwrap_or(if measured { ALERTS } else { 20_000 });
    let plan = Plan { seed: 1, devices: DEVICES, alerts, start_ms: start_of_yesterday_ms()? };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut rows = Vec::new();
    for chain in [&["threshold"][..], &["threshold", "storm"][..]] {
        let folder = tempfile::tempdir()?;
        for threads in 1..=if measured { 2 } else { 1 } {
            let (handle, runner) = start(folder.path(), threads)?;
            if threads == 1 {
                runtime.block_on(record(&handle, plan, chain))?;
            }
            for (what, request) in questions(chain) {
                rows.push(measure(&runtime, &handle, &request, (what, threads))?);
            }
            runtime.block_on(handle.shutdown()).map_err(|why| anyhow!("{why}"))?;
            runner.join();
        }
    }
    let header =
        ["question", "threads", "alerts", "seconds", "processor seconds", "million alerts/s", "per processor second"];
    println!("{}", report::table(&header, 1, rows));
    println!(
        "The best of {ROUNDS} rounds; a sweep of eight counts each alert once. Where others use the machine too, what a \
         processor second does is the figure to go by."
    );
    Ok(())
}

/// A host in this process, which may use whole processors for questions.
fn start(folder: &Path, threads: usize) -> Result<(Handle, Runner)> {
    let mut config = Config { data_dir: folder.to_owned(), ..Config::default() };
    config.whatif.cpu_percent_max = 100;
    config.whatif.threads_max = threads;
    let sandbox = Sandbox::new(&config.plugins)?;
    let path = folder.join("weir.redb");
    let (limits, kept) = (config.store.clone(), acks_kept(&config));
    Ok(start_with(Parts {
        folder: Some(folder.to_owned()),
        open: Box::new(move || Store::open(&path, &limits, kept)),
        clock: Arc::new(now_ms),
        times: system_times(),
        sandbox,
        natives: Vec::new(),
        grouping: None,
        config: Arc::new(config),
    })?)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Sets the rules of a chain, loads the inventory, and has the day judged.
async fn record(handle: &Handle, plan: Plan, chain: &[&str]) -> Result<()> {
    for (name, path) in STOCK_PLUGINS.iter().filter(|(name, _)| chain.contains(name)) {
        let bytes = fs::read(path).with_context(|| format!("cannot read {path}"))?;
        handle.add_plugin(bytes, &[]).await.map_err(|why| anyhow!("{name}: {why}"))?;
    }
    for (at, rule) in plan.rules().into_iter().filter(|rule| chain.contains(&rule.plugin)).enumerate() {
        let order = Some(10 * (at as u32 + 1));
        let (plugin, parameters) = (rule.plugin.to_owned(), rule.parameters);
        let (scope, mode, why) = (Scope::default(), Mode::Active, String::new());
        let request =
            RuleRequest { name: rule.plugin.to_owned(), plugin, parameters, scope, mode, order, why, until_ms: None };
        handle.set_rule(request).await.map_err(|why| anyhow!("{why}"))?;
    }
    let device = |sent: v1::Device| -> Result<DeviceRequest> {
        let mpxn: Mpxn = sent.mpxn.parse()?;
        Ok(DeviceRequest {
            eui: Eui64(sent.device_id),
            mpxn,
            generation: Generation::from_number(sent.generation as u8).unwrap_or_default(),
            model: sent.model,
            operator: mpxn.distributor().unwrap_or(OperatorId::UNKNOWN),
            ..DeviceRequest::default()
        })
    };
    let devices: Vec<DeviceRequest> = plan.fleet().inventory().map(device).collect::<Result<_>>()?;
    for part in devices.chunks(BATCH) {
        handle.put_devices(part.to_vec()).await.map_err(|why| anyhow!("{why}"))?;
    }
    let mut day = Day::new(plan)?;
    loop {
        let alerts: Vec<_> = day.by_ref().take(BATCH).map(alert).collect();
        if alerts.is_empty() {
            return Ok(());
        }
        let answer = handle.submit(Batch { alerts, ..Batch::default() }).await.map_err(|why| anyhow!("{why}"))?;
        answer.await?.map_err(|why| anyhow!("{why}"))?;
    }
}

fn alert(sent: v1::Alert) -> Result<Alert, Reject> {
    let no_code = |_| Reject { reason: RejectReason::Code, code: None, message: String::new() };
    let code = u16::try_from(sent.code).map_err(no_code)?;
    Ok(Alert {
        device: Eui64(sent.device_id),
        recipient: Eui64(sent.recipient_id),
        counter: sent.originator_counter,
        code: AlertCode(code),
        occurred_ms: Some(sent.occurred_at_ms).filter(|ms| *ms != 0),
        dcc_ms: None,
        received_ms: Some(sent.received_at_ms).filter(|ms| *ms != 0),
        measurement: sent.measurement,
        weight: sent.weight.max(1),
        payload: PayloadKind::Dlms,
        details: Default::default(),
        generation: Generation::Unknown,
        message: Message::default(),
    })
}

/// What is asked of a chain.
fn questions(chain: &[&str]) -> Vec<(&'static str, WhatIfRequest)> {
    let below = |limits: &[i32]| {
        let variant = |limit: &i32| VariantRequest {
            label: format!("below_dv={limit}"),
            parameters: Some(format!("{{\"codes\":[\"8F40\"],\"below_dv\":{limit}}}")),
            ..VariantRequest::default()
        };
        let variants = limits.iter().map(variant).collect();
        WhatIfRequest { rule: "threshold".into(), variants, samples_max: 5, devices_max: 10, ..Default::default() }
    };
    let storm = |more_than: u32| {
        let parameters = format!("{{\"more_than\":{more_than},\"window_s\":3600,\"period_s\":3600}}");
        let variants = vec![VariantRequest { parameters: Some(parameters), ..VariantRequest::default() }];
        WhatIfRequest { rule: "storm".into(), variants, samples_max: 5, devices_max: 10, ..Default::default() }
    };
    match chain {
        ["threshold"] => vec![
            ("stateless: one threshold", below(&[2530])),
            ("stateless: a sweep of eight", below(&[2530, 2540, 2550, 2560, 2570, 2580, 2590, 2600])),
        ],
        _ => vec![
            ("stateful: storm protection itself", storm(40)),
            ("stateful: a threshold before storm protection", below(&[2530])),
        ],
    }
}

/// Processor time that this process has used, all of its threads.
fn processor_time() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), used.tv_nsec.unsigned_abs() as u32)
}

/// Asks a question some times; the row of the best.
fn measure(
    runtime: &Runtime,
    handle: &Handle,
    request: &WhatIfRequest,
    (what, threads): (&str, usize),
) -> Result<Vec<String>> {
    let mut best: Option<(Duration, Duration, u64)> = None;
    for _ in 0..ROUNDS {
        let (asked, used) = (Instant::now(), processor_time());
        let number = runtime.block_on(handle.start_what_if(request.clone(), None)).map_err(|why| anyhow!("{why}"))?;
        let number = number.number;
        let view = loop {
            let view = handle.question(number).map_err(|why| anyhow!("{why}"))?;
            if view.head.stage.is_over() {
                break view;
            }
            ensure!(asked.elapsed() < Duration::from_secs(600), "{what}: no answer within ten minutes");
            thread::sleep(Duration::from_millis(1));
        };
        ensure!(view.head.stage == Stage::Done, "{what}: {}", view.head.why);
        let (took, used) = (Duration::from_millis(view.running_ms), processor_time() - used);
        let (_, answer) = handle.what_if(number).map_err(|why| anyhow!("{why}"))?;
        let answer = answer.context("an answer is missing")?;
        let alerts = answer.now.sums.forwarded + answer.now.sums.suppressed + answer.now.duplicates;
        if best.is_none_or(|(_, least, _)| used < least) {
            best = Some((took, used, alerts));
        }
    }
    let (took, used, alerts) = best.context("nothing was measured")?;
    let rate = |time: Duration| format!("{:.1}", alerts as f64 / time.as_secs_f64().max(1e-9) / 1e6);
    let figures = [
        threads.to_string(),
        alerts.to_string(),
        format!("{:.3}", took.as_secs_f64()),
        format!("{:.3}", used.as_secs_f64()),
        rate(took),
        rate(used),
    ];
    Ok([what.to_owned()].into_iter().chain(figures).collect())
}
