//! Everything that one operator's tokens can ask of a host to take it from others: long lists, large answers that are
//! not read, work that is cancelled, streams, connections, changes, uploads.
//!
//! Invariant: nothing here changes what becomes of an alert: its rules forward all they are shown.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::{task::JoinHandle, time::timeout};
use tonic::Code;
use weir_proto::v1::{
    self, alert_service_client::AlertServiceClient, count_service_client::CountServiceClient,
    plugin_service_client::PluginServiceClient, report_service_client::ReportServiceClient,
    rule_service_client::RuleServiceClient, token_service_client::TokenServiceClient,
    what_if_service_client::WhatIfServiceClient,
};

use crate::{
    attack::{another, bomb},
    client::Client,
};

mod process;

pub use process::{Attackers, Operators, attack_if_told};

/// The guest that does what its parameters say.
const HOSTILE: &str = env!("WEIR_GUEST_HOSTILE");

/// A small component, as text.
const PROBE: &str = include_str!("../../host/src/plugin/tests/probe.wat");

/// How long a caller waits that goes away before it has an answer.
const IMPATIENT: Duration = Duration::from_millis(200);

/// Bytes of a rule's parameters: what an operator may have.
const PARAMETERS_BYTES: usize = 16_000;

/// How much is asked at a time, and how often.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Calls of one kind at once.
    pub at_once: usize,
    /// Entries of a list that is too long.
    pub entries: usize,
    /// Connections that are opened and kept.
    pub connections: usize,
    /// Rest between two rounds of one kind.
    pub rest: Duration,
}

impl Scale {
    /// As much as was found to hurt a host without bounds.
    pub fn full() -> Self {
        Self { at_once: 32, entries: 100_000, connections: 128, rest: Duration::from_millis(50) }
    }
}

/// Calls by what they were for and how they ended.
pub type Made = BTreeMap<(String, String), u64>;

/// An operator that does all of it at once. It ends when this is dropped.
#[derive(Debug)]
pub struct Hostile {
    tasks: Vec<JoinHandle<()>>,
    made: Arc<Mutex<Made>>,
}

/// What one attack works with.
#[derive(Clone)]
struct Means {
    url: String,
    tokens: Vec<String>,
    operator: u32,
    scale: Scale,
    made: Arc<Mutex<Made>>,
}

impl Hostile {
    /// Uploads its guest and begins every attack, with all tokens of one operator.
    pub async fn begin(url: &str, tokens: &[String], operator: u32, scale: Scale) -> Result<Self> {
        ensure!(!tokens.is_empty(), "tokens: a hostile operator needs one");
        let made = Arc::<Mutex<Made>>::default();
        let means = Means { url: url.to_owned(), tokens: tokens.to_vec(), operator, scale, made: Arc::clone(&made) };
        let first = means.client(0).await?;
        let guest = std::fs::read(HOSTILE).with_context(|| format!("cannot read {HOSTILE}"))?;
        first.upload(&guest).await.context("the hostile guest was refused")?;
        let bomb = Arc::new(bomb()?);
        let wide = Arc::new(wide_schema()?);
        let mut tasks = Vec::new();
        for at in 0..tokens.len() {
            let client = means.client(at).await?;
            tasks.extend([
                tokio::spawn(means.clone().again("revisions", client.clone(), set_rule)),
                tokio::spawn(means.clone().again("cancelled checks", client.clone(), cancelled_checks)),
                tokio::spawn(means.clone().again("listings", client.clone(), listings)),
                tokio::spawn(means.clone().again("long lists", client.clone(), long_lists)),
                tokio::spawn(means.clone().again("cancelled scans", client.clone(), cancelled_scans)),
                tokio::spawn(means.clone().again("histories", client.clone(), histories)),
                tokio::spawn(means.clone().again("explanations", client.clone(), explanations)),
                tokio::spawn(means.clone().again("questions", client.clone(), questions)),
                tokio::spawn(means.clone().again("denied calls", client.clone(), denied)),
                tokio::spawn(means.clone().again("streams", client.clone(), streams)),
                tokio::spawn(means.clone().again("unfinished candidates", client.clone(), candidates)),
                tokio::spawn(means.clone().again("cancelled uploads", client.clone(), {
                    let bomb = Arc::clone(&bomb);
                    move |means, client, round| cancelled_upload(means, client, another(&bomb, round))
                })),
                tokio::spawn(means.clone().again("schemas", client, {
                    let wide = Arc::clone(&wide);
                    move |means, client, round| upload(means, client, another(&wide, round))
                })),
                tokio::spawn(means.clone().connections(at)),
            ]);
        }
        Ok(Self { tasks, made })
    }

    /// Ends it and returns what was asked until then.
    pub fn end(self) -> Result<Made> {
        for task in &self.tasks {
            ensure!(!task.is_finished(), "an attack ended early");
            task.abort();
        }
        Ok(self.made())
    }

    /// What was asked until now.
    pub fn made(&self) -> Made {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Means {
    async fn client(&self, at: usize) -> Result<Client> {
        Client::connect_as(&self.url, Some(&self.tokens[at])).await
    }

    fn count(&self, what: &'static str, ended: Option<Code>) {
        let ended = match ended {
            None => "cancelled",
            Some(Code::Ok) => "answered",
            Some(Code::ResourceExhausted | Code::PermissionDenied | Code::InvalidArgument) => "refused",
            Some(_) => "failed",
        };
        *self
            .made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((what.to_owned(), ended.to_owned()))
            .or_default() += 1;
    }

    /// Attacks round after round. What comes of a call is the host's affair.
    async fn again<F: Future<Output = ()>>(
        self,
        _what: &'static str,
        client: Client,
        attack: impl Fn(Self, Client, u64) -> F,
    ) {
        for round in 0.. {
            attack(self.clone(), client.clone(), round).await;
            tokio::time::sleep(self.scale.rest).await;
        }
    }

    /// Makes one call many times at once, each for as long as it may take.
    async fn at_once<F: Future<Output = Code>>(
        &self,
        what: &'static str,
        wait: Option<Duration>,
        call: impl Fn(usize) -> F,
    ) {
        let calls = (0..self.scale.at_once).map(|at| {
            let call = call(at);
            async move {
                match wait {
                    Some(wait) => timeout(wait, call).await.ok(),
                    None => Some(call.await),
                }
            }
        });
        let mut pending: Vec<_> = calls.map(Box::pin).collect();
        // Polled together: they are under way at once, in one task, and gone together where it is aborted.
        let ended = std::future::poll_fn(|context| {
            let mut ended = Vec::new();
            pending.retain_mut(|call| match call.as_mut().poll(context) {
                std::task::Poll::Ready(code) => {
                    ended.push(code);
                    false
                }
                std::task::Poll::Pending => true,
            });
            ended.into_iter().for_each(|code| self.count(what, code));
            if pending.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        });
        ended.await;
    }

    /// Opens connections and keeps them; where one is closed it opens another.
    async fn connections(self, at: usize) {
        let mut kept = Vec::new();
        loop {
            if let Ok(client) = self.client(at).await {
                let called = RuleServiceClient::new(client.link()).list_rules(v1::ListRulesRequest::default()).await;
                self.count("connections", Some(code(&called)));
                kept.push(client);
            }
            if kept.len() > self.scale.connections {
                kept.remove(0);
                tokio::time::sleep(self.scale.rest).await;
            }
        }
    }

    fn scope(&self) -> Option<v1::RuleScope> {
        Some(v1::RuleScope { operators: vec![self.operator], ..v1::RuleScope::default() })
    }

    fn rule(&self, number: u64) -> v1::SetRuleRequest {
        v1::SetRuleRequest {
            name: format!("{}-pad-{}", self.operator, number % 4),
            plugin: "hostile".to_owned(),
            parameters: format!(r#"{{"do":"none","pad":"{number:0>width$}"}}"#, width = PARAMETERS_BYTES),
            scope: self.scope(),
            position: 1_000,
            ..v1::SetRuleRequest::default()
        }
    }
}

fn code<T>(answer: &Result<T, tonic::Status>) -> Code {
    answer.as_ref().err().map_or(Code::Ok, tonic::Status::code)
}

async fn set_rule(means: Means, client: Client, round: u64) {
    let set = RuleServiceClient::new(client.link()).set_rule(means.rule(round)).await;
    means.count("revisions", Some(code(&set)));
}

async fn cancelled_checks(means: Means, client: Client, round: u64) {
    let call = |at: usize| {
        let request = means.rule(round + at as u64);
        let mut rules = RuleServiceClient::new(client.link());
        async move { code(&rules.set_rule(request).await) }
    };
    means.at_once("cancelled checks", Some(IMPATIENT), call).await;
}

/// Pages as large as there are, eight at a time and more, the answers read when all are there.
async fn listings(means: Means, client: Client, _: u64) {
    let call = |_| {
        let mut alerts = AlertServiceClient::new(client.link()).max_decoding_message_size(64 << 20);
        let request = v1::ListAlertsRequest { page_size: 10_000, ..v1::ListAlertsRequest::default() };
        async move { code(&alerts.list_alerts(request).await) }
    };
    means.at_once("listings", None, call).await;
}

async fn long_lists(means: Means, client: Client, _: u64) {
    let codes: Vec<u32> = (0..means.scale.entries as u32).map(|at| at % 0x8000).collect();
    let call = |at: usize| {
        let (link, codes) = (client.link(), codes.clone());
        async move {
            if at.is_multiple_of(2) {
                let request = v1::ListAlertsRequest { codes, ..v1::ListAlertsRequest::default() };
                code(&AlertServiceClient::new(link).list_alerts(request).await)
            } else {
                let request = v1::QueryCountsRequest { codes, ..v1::QueryCountsRequest::default() };
                code(&CountServiceClient::new(link).query_counts(request).await)
            }
        }
    };
    means.at_once("long lists", None, call).await;
}

/// Looks at the whole log for what is not in it, and goes away.
async fn cancelled_scans(means: Means, client: Client, _: u64) {
    let codes: Vec<u32> = (0..1_000).collect();
    let call = |at: usize| {
        let (link, codes) = (client.link(), codes.clone());
        async move {
            if at.is_multiple_of(2) {
                let request = v1::ListAlertsRequest { codes, ..v1::ListAlertsRequest::default() };
                code(&AlertServiceClient::new(link).list_alerts(request).await)
            } else {
                let span = v1::Span { start_ms: 0, end_ms: i64::MAX };
                let request = v1::QueryDeviceCountsRequest {
                    spans: vec![span],
                    by_code: true,
                    ..v1::QueryDeviceCountsRequest::default()
                };
                // Its answer is not read.
                code(&ReportServiceClient::new(link).query_device_counts(request).await)
            }
        }
    };
    means.at_once("cancelled scans", Some(IMPATIENT), call).await;
}

async fn histories(means: Means, client: Client, round: u64) {
    let name = means.rule(round).name;
    let call = |_| {
        let mut rules = RuleServiceClient::new(client.link()).max_decoding_message_size(64 << 20);
        let request = v1::ListRuleRevisionsRequest { name: name.clone(), page_size: 1_000, page_token: String::new() };
        async move { code(&rules.list_rule_revisions(request).await) }
    };
    means.at_once("histories", None, call).await;
}

async fn explanations(means: Means, client: Client, _: u64) {
    let mut alerts = AlertServiceClient::new(client.link()).max_decoding_message_size(64 << 20);
    let last = alerts.list_alerts(v1::ListAlertsRequest { page_size: 1, ..v1::ListAlertsRequest::default() }).await;
    let Ok(last) = last else { return means.count("explanations", Some(code(&last))) };
    let position = last.into_inner().alerts.first().map_or(0, |alert| alert.position);
    let call = |_| {
        let mut alerts = alerts.clone();
        async move { code(&alerts.explain_alert(v1::ExplainAlertRequest { position }).await) }
    };
    means.at_once("explanations", Some(IMPATIENT), call).await;
}

/// As many variants as there may be, over everything.
async fn questions(means: Means, client: Client, round: u64) {
    let variants = (0..32_u64).map(|at| v1::WhatIfVariant {
        plugin: "hostile".to_owned(),
        parameters: Some(means.rule(round + at).parameters),
        ..v1::WhatIfVariant::default()
    });
    let question = v1::WhatIfQuestion { variants: variants.collect(), only: means.scope(), ..Default::default() };
    let message = v1::StartWhatIfRequest { question: Some(question), ..v1::StartWhatIfRequest::default() };
    let mut questions = WhatIfServiceClient::new(client.link()).max_decoding_message_size(64 << 20);
    let started = questions.start_what_if(tokio_stream::iter([message])).await;
    means.count("questions", Some(code(&started)));
    let listed = questions.list_what_ifs(v1::ListWhatIfsRequest::default()).await;
    means.count("questions", Some(code(&listed)));
}

async fn denied(means: Means, client: Client, _: u64) {
    let call = |_| {
        let mut tokens = TokenServiceClient::new(client.link());
        async move { code(&tokens.list_tokens(v1::ListTokensRequest::default()).await) }
    };
    means.at_once("denied calls", None, call).await;
}

/// Takes as many streams of forwarded alerts as it is given, and reads none.
async fn streams(means: Means, client: Client, _: u64) {
    let mut held = Vec::new();
    for _ in 0..means.scale.at_once {
        let request = v1::SubscribeForwardedRequest { start_position: Some(0), ..Default::default() };
        let stream = AlertServiceClient::new(client.link()).subscribe_forwarded(request).await;
        means.count("streams", Some(code(&stream)));
        held.extend(stream.ok());
    }
    tokio::time::sleep(IMPATIENT).await;
}

/// Sends candidates that never end.
async fn candidates(means: Means, client: Client, _: u64) {
    let call = |_| {
        let first = v1::StartWhatIfRequest { question: Some(v1::WhatIfQuestion::default()), ..Default::default() };
        let piece = v1::StartWhatIfRequest { chunk: vec![0; 1 << 20], ..v1::StartWhatIfRequest::default() };
        let pieces = std::iter::once(first).chain(std::iter::repeat_n(piece, 7));
        let endless = tokio_stream::StreamExt::chain(tokio_stream::iter(pieces), tokio_stream::pending());
        let mut questions = WhatIfServiceClient::new(client.link());
        async move { code(&questions.start_what_if(endless).await) }
    };
    means.at_once("unfinished candidates", Some(10 * IMPATIENT), call).await;
}

async fn cancelled_upload(means: Means, client: Client, component: Vec<u8>) {
    let ended = timeout(5 * IMPATIENT, push(&client, component)).await;
    means.count("cancelled uploads", ended.ok());
}

async fn upload(means: Means, client: Client, component: Vec<u8>) {
    means.count("schemas", Some(push(&client, component).await));
}

async fn push(client: &Client, component: Vec<u8>) -> Code {
    let chunks: Vec<_> = component
        .chunks(256 << 10)
        .map(|chunk| v1::UploadPluginRequest { chunk: chunk.to_vec(), signature: vec![] })
        .collect();
    code(&PluginServiceClient::new(client.link()).upload_plugin(tokio_stream::iter(chunks)).await)
}

/// A component whose schema has a thousand alternatives for each item, and whose example has two thousand items.
fn wide_schema() -> Result<Vec<u8>> {
    let branches: Vec<String> = (0..1_000).map(|at| format!(r#"{{"const":{at}}}"#)).collect();
    let items = vec!["-1"; 2_000].join(",");
    let schema = format!(r#"{{"items":{{"anyOf":[{}]}},"examples":[[{items}]]}}"#, branches.join(","));
    with_schema(&schema)
}

/// A small component with a schema of its own.
pub fn with_schema(schema: &str) -> Result<Vec<u8>> {
    let quoted: String = schema.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let length: String = (schema.len() as u32).to_le_bytes().iter().map(|byte| format!("\\{byte:02x}")).collect();
    let mut text = PROBE.to_owned();
    for (old, new) in [
        (r#"(memory (export "memory") 1)"#, r#"(memory (export "memory") 4)"#.to_owned()),
        (r"(global $top (mut i32) (i32.const 4096))", "(global $top (mut i32) (i32.const 196608))".to_owned()),
        (r"\50\00\00\00\11\00\00\00", format!(r"\00\00\01\00{length}")),
        ("(data (i32.const 112)", format!("(data (i32.const 65536) \"{quoted}\")\n    (data (i32.const 112)")),
    ] {
        ensure!(text.contains(old), "{old} is not in the probe");
        text = text.replacen(old, &new, 1);
    }
    Ok(wat::parse_str(text)?)
}
