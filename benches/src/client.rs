//! What a program asks of a host before and after a day of alerts.
//!
//! It must not know how the host was started. Invariant: every call goes through the published protocol.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use weir_proto::v1::{
    CountRow, Device, Grouping, ListRulesRequest, PutDevicesRequest, PutDevicesResponse, QueryCountsRequest, Rule,
    SetRuleRequest, UploadPluginRequest, UploadPluginResponse, alert_service_client::AlertServiceClient,
    count_service_client::CountServiceClient, cursor_service_client::CursorServiceClient,
    device_service_client::DeviceServiceClient, plugin_service_client::PluginServiceClient,
    rule_service_client::RuleServiceClient, what_if_service_client::WhatIfServiceClient,
};

use crate::{
    STOCK_PLUGINS,
    books::{Books, Counts},
    generator::RuleSpec,
};

/// Bytes of a component sent at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// Devices sent at a time.
const DEVICES_PER_MESSAGE: usize = 8192;
/// HTTP/2 windows: the whole connection's and one stream's.
const WINDOW_BYTES: (u32, u32) = (8 << 20, 4 << 20);

/// Adds a token to every call, where there is one.
#[derive(Debug, Clone, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        Ok(request)
    }
}

/// A connection over which each call has the caller's token.
pub type Link = InterceptedService<Channel, Bearer>;

/// A connection to a host. Clones share it.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Link,
}

/// A plugin that the host took.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// Its name.
    pub name: &'static str,
    /// SHA-256 in hex.
    pub digest: String,
    /// Size of the component in bytes.
    pub size_bytes: u64,
    /// How long it took to check and compile.
    pub compile: Duration,
}

impl Client {
    /// Connects to `http://HOST:PORT`.
    pub async fn connect(address: &str) -> Result<Self> {
        Self::connect_as(address, None).await
    }

    /// Connects as the holder of a token, if one is given.
    pub async fn connect_as(address: &str, token: Option<&str>) -> Result<Self> {
        let bearer =
            token.map(|token| format!("Bearer {token}").parse()).transpose().context("the token is no text")?;
        let endpoint = Endpoint::from_shared(address.to_owned())
            .with_context(|| format!("{address:?} is no address"))?
            .connect_timeout(Duration::from_secs(10))
            .tcp_nodelay(true)
            .initial_connection_window_size(WINDOW_BYTES.0)
            .initial_stream_window_size(WINDOW_BYTES.1);
        let channel = endpoint.connect().await.with_context(|| format!("cannot reach the host at {address}"))?;
        Ok(Self { channel: InterceptedService::new(channel, Bearer(bearer)) })
    }

    /// What clients of single services are made of.
    pub fn link(&self) -> Link {
        self.channel.clone()
    }

    /// The service that takes alerts.
    pub fn alerts(&self) -> AlertServiceClient<Link> {
        AlertServiceClient::new(self.channel.clone())
    }

    /// The service that remembers how far subscribers have come.
    pub fn cursors(&self) -> CursorServiceClient<Link> {
        CursorServiceClient::new(self.channel.clone())
    }

    /// The service that answers questions over the past.
    pub fn questions(&self) -> WhatIfServiceClient<Link> {
        WhatIfServiceClient::new(self.channel.clone())
    }

    /// Pushes the stock plugins.
    pub async fn push_plugins(&self) -> Result<Vec<Pushed>> {
        let mut pushed = Vec::new();
        for (name, path) in STOCK_PLUGINS {
            let component = fs::read(path).with_context(|| format!("cannot read {path}"))?;
            let answer = self.upload(&component).await.with_context(|| format!("plugin {name} was refused"))?;
            let plugin = answer.plugin.with_context(|| format!("the answer to plugin {name} names none"))?;
            let (digest, size_bytes) = (plugin.digest, plugin.size_bytes);
            pushed.push(Pushed { name, digest, size_bytes, compile: Duration::from_micros(answer.compile_us) });
        }
        Ok(pushed)
    }

    /// Uploads a component.
    pub async fn upload(&self, component: &[u8]) -> Result<UploadPluginResponse> {
        let chunks: Vec<_> = component
            .chunks(CHUNK_BYTES)
            .map(|chunk| UploadPluginRequest { chunk: chunk.to_vec(), signature: Vec::new() })
            .collect();
        let mut plugins = PluginServiceClient::new(self.channel.clone());
        Ok(plugins.upload_plugin(tokio_stream::iter(chunks)).await?.into_inner())
    }

    /// Sets a rule.
    pub async fn set_rule(&self, request: SetRuleRequest) -> Result<()> {
        let name = request.name.clone();
        let set = RuleServiceClient::new(self.channel.clone()).set_rule(request).await;
        set.map(drop).with_context(|| format!("rule {name} was refused"))
    }

    /// The rules as they stand.
    pub async fn rules(&self) -> Result<Vec<Rule>> {
        let answer = RuleServiceClient::new(self.channel.clone()).list_rules(ListRulesRequest::default()).await;
        Ok(answer.context("cannot list the rules")?.into_inner().rules)
    }

    /// Sets rules, in the order they are to judge, to the very plugins that were pushed.
    pub async fn set_rules(&self, rules: &[RuleSpec], plugins: &[Pushed]) -> Result<()> {
        for (rule, position) in rules.iter().zip(1..) {
            let plugin = plugins.iter().find(|plugin| plugin.name == rule.plugin);
            let plugin = plugin.with_context(|| format!("plugin {} was not pushed", rule.plugin))?;
            let request = SetRuleRequest {
                name: rule.name.to_owned(),
                plugin: plugin.digest.clone(),
                parameters: rule.parameters.clone(),
                position,
                ..SetRuleRequest::default()
            };
            self.set_rule(request).await?;
        }
        Ok(())
    }

    /// Loads an inventory; `on_sent` is told of every stretch of devices that goes out.
    pub async fn load_inventory(
        &self,
        mut devices: impl Iterator<Item = Device> + Send + 'static,
        mut on_sent: impl FnMut(u64) + Send + 'static,
    ) -> Result<PutDevicesResponse> {
        let messages = std::iter::from_fn(move || {
            let devices: Vec<Device> = devices.by_ref().take(DEVICES_PER_MESSAGE).collect();
            on_sent(devices.len() as u64);
            (!devices.is_empty()).then_some(PutDevicesRequest { devices, dry_run: false })
        });
        let mut service = DeviceServiceClient::new(self.channel.clone());
        let put = service.put_devices(tokio_stream::iter(messages)).await;
        Ok(put.context("the inventory was refused")?.into_inner())
    }

    /// The host's books by code and by rule. The sum of the rows must be the total that the host states with them.
    pub async fn books(&self) -> Result<Books> {
        let by_code = self.count(Grouping::Code, |row| row.code.and_then(|code| u16::try_from(code).ok())).await?;
        let by_rule = self.count(Grouping::Rule, |row| row.rule.clone().unwrap_or_default()).await?;
        Ok(Books { by_code, by_rule })
    }

    /// Makes sure that the host's books balance and are as expected, to the alert.
    pub async fn check_books(&self, expected: &Books) -> Result<()> {
        let books = self.books().await?;
        let differences = books.differences(expected);
        ensure!(books.balance(), "the books do not balance");
        ensure!(differences.is_empty(), "the books are not as expected:\n  {}", differences.join("\n  "));
        Ok(())
    }

    async fn count<K: Ord>(&self, by: Grouping, key: impl Fn(&CountRow) -> K) -> Result<BTreeMap<K, Counts>> {
        let request = QueryCountsRequest { group_by: vec![by.into()], ..QueryCountsRequest::default() };
        let answer = CountServiceClient::new(self.channel.clone()).query_counts(request).await;
        let answer = answer.with_context(|| format!("cannot count by {}", by.as_str_name()))?.into_inner();
        let mut counts: BTreeMap<K, Counts> = BTreeMap::new();
        let mut sum = Counts::default();
        for row in &answer.rows {
            sum.add(&Counts::from(row));
            counts.entry(key(row)).or_default().add(&Counts::from(row));
        }
        let total = answer.total.as_ref().map(Counts::from).unwrap_or_default();
        ensure!(sum == total, "{}: the rows add up to {sum:?}, the host states {total:?}", by.as_str_name());
        Ok(counts)
    }
}

impl From<&CountRow> for Counts {
    fn from(row: &CountRow) -> Self {
        let balance = row.balance.unwrap_or_default();
        Self {
            received: balance.received,
            forwarded: balance.forwarded,
            suppressed: balance.suppressed,
            rejected: balance.rejected,
            duplicate: balance.duplicate,
            represented: row.represented,
            overruled: row.overruled,
            withheld: row.withheld,
        }
    }
}
