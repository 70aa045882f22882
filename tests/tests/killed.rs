//! The real binary is killed while plugins, rules, tokens and devices change: each change is there whole or not at all,
//! what was acknowledged is there, the audit log has an entry for exactly what is there, and no compiler is left behind.
//!
//! `WEIR_ROUNDS` says how often, `WEIR_SEED` when.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tonic::{Code, Status, transport::Channel};
use weir_proto::v1::{self, rule_service_client::RuleServiceClient, token_service_client::TokenServiceClient};
use weir_tests::{
    binary::{around, module, section},
    host::Host,
    workload::{Random, number_of, seed},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const RULE: &str = "volts";
const PRODUCER: &str = "kill-test";
/// Alerts of one batch.
const BATCH: u64 = 10;
/// Devices of one message of an inventory.
const DEVICES: u64 = 200;

/// What goes on when the host is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Doing {
    Upload,
    Unplug,
    Compile,
    Promote,
    Restore,
    Set,
    Remove,
    Tokens,
    Devices,
}

const DOINGS: [Doing; 9] = [
    Doing::Compile,
    Doing::Upload,
    Doing::Unplug,
    Doing::Promote,
    Doing::Restore,
    Doing::Set,
    Doing::Remove,
    Doing::Tokens,
    Doing::Devices,
];

/// A revision of the rule as far as it is compared: parameters, mode and whether it has a guard. `None`: removed.
type Revision = Option<(String, i32, bool)>;

/// What the host has: as it said, and what it was asked last and did not answer.
#[derive(Debug, Clone, Default, PartialEq)]
struct World {
    revisions: BTreeMap<u32, Revision>,
    /// By name: whether it was revoked.
    tokens: BTreeMap<String, bool>,
    /// By digest.
    plugins: BTreeSet<String>,
    /// Those that were there and were removed.
    removed: BTreeSet<String>,
    /// Messages of the inventory, in order.
    messages: u64,
    batches: u64,
}

impl World {
    fn revise(&mut self, revision: Revision) {
        let number = self.revisions.last_key_value().map_or(1, |(last, _)| last + 1);
        self.revisions.insert(number, revision);
    }
}

fn as_revision(rule: Option<&v1::Rule>) -> Revision {
    rule.map(|rule| (rule.parameters.clone(), rule.mode, rule.guard.is_some()))
}

fn parameters(below_dv: u64) -> String {
    format!(r#"{{"codes":["8F40"],"below_dv":{below_dv}}}"#)
}

/// A plugin with a section of its own, so that it is another to be compiled.
fn variant(number: u64) -> Vec<u8> {
    let stock = fs::read(env!("WEIR_GUEST_THRESHOLD")).unwrap();
    [stock, section(0, &[b"\x06number".as_slice(), &number.to_le_bytes()].concat())].concat()
}

/// What takes a compiler a while, and is no plugin.
fn slow() -> Vec<u8> {
    around(&module(&[(0, [0x41, 0, 0x1A].repeat(2_000_000))]))
}

/// A client that notes what it is told.
struct Client {
    channel: Channel,
    world: World,
    /// As the host is if it did what was asked last and not answered.
    doubtful: Vec<World>,
    next: u64,
}

impl Client {
    /// Goes on until the host is gone.
    async fn go_on(mut self, doing: Doing, changed: Arc<AtomicU64>) -> Self {
        loop {
            let done = match doing {
                Doing::Upload => self.upload(variant(self.next)).await,
                Doing::Unplug => match self.upload(variant(self.next)).await {
                    Ok(()) => self.unplug(&variant(self.next)).await,
                    gone => gone,
                },
                Doing::Compile => self.upload(slow()).await,
                Doing::Promote => match self.set(v1::RuleMode::Shadow).await {
                    Ok(()) => self.promote().await,
                    gone => gone,
                },
                Doing::Restore => self.restore().await,
                Doing::Set => self.set(v1::RuleMode::Active).await,
                Doing::Remove => match self.remove().await {
                    Ok(()) => self.set(v1::RuleMode::Active).await,
                    gone => gone,
                },
                Doing::Tokens => self.token().await,
                Doing::Devices => self.devices().await,
            };
            self.next += 1;
            match done {
                Ok(()) => {
                    self.doubtful.clear();
                    changed.fetch_add(1, Ordering::Relaxed);
                }
                Err(status) if status.code() == Code::InvalidArgument && doing == Doing::Compile => {}
                Err(_) => return self,
            }
        }
    }

    /// Notes how the host would be, before it is asked.
    fn doubt(&mut self, change: impl FnOnce(&mut World)) {
        let mut world = self.world.clone();
        change(&mut world);
        self.doubtful = vec![world];
    }

    /// It has answered: what was in doubt is so.
    fn sure(&mut self) {
        self.world = self.doubtful.pop().expect("something was asked");
    }

    async fn upload(&mut self, bytes: Vec<u8>) -> Result<(), Status> {
        let digest = weir_host::domain::Digest(sha256(&bytes)).to_string();
        self.doubt(|world| world.plugins.extend([digest]));
        let piece = |chunk: &[u8]| v1::UploadPluginRequest { chunk: chunk.to_vec(), ..Default::default() };
        let pieces: Vec<_> = bytes.chunks(1 << 20).map(piece).collect();
        let mut client = v1::plugin_service_client::PluginServiceClient::new(self.channel.clone());
        client.upload_plugin(tokio_stream::iter(pieces)).await?;
        self.sure();
        Ok(())
    }

    async fn unplug(&mut self, bytes: &[u8]) -> Result<(), Status> {
        let plugin = weir_host::domain::Digest(sha256(bytes)).to_string();
        self.doubt(|world| {
            world.plugins.remove(&plugin);
            world.removed.insert(plugin.clone());
        });
        let mut client = v1::plugin_service_client::PluginServiceClient::new(self.channel.clone());
        let answer = client.remove_plugin(v1::RemovePluginRequest { plugin }).await?.into_inner();
        assert!(answer.gone);
        self.sure();
        Ok(())
    }

    async fn set(&mut self, mode: v1::RuleMode) -> Result<(), Status> {
        let parameters = parameters(2_000 + self.next);
        self.doubt(|world| world.revise(Some((parameters.clone(), mode.into(), false))));
        let request = v1::SetRuleRequest {
            name: RULE.into(),
            plugin: "threshold".into(),
            parameters,
            mode: mode.into(),
            ..Default::default()
        };
        RuleServiceClient::new(self.channel.clone()).set_rule(request).await?;
        self.sure();
        Ok(())
    }

    async fn promote(&mut self) -> Result<(), Status> {
        let last = self.world.revisions.values().next_back().cloned().flatten();
        let (parameters, ..) = last.expect("it was set just now");
        self.doubt(|world| world.revise(Some((parameters, v1::RuleMode::Active.into(), true))));
        let request = v1::PromoteRuleRequest { name: RULE.into(), ..Default::default() };
        v1::trial_service_client::TrialServiceClient::new(self.channel.clone()).promote_rule(request).await?;
        self.sure();
        Ok(())
    }

    async fn restore(&mut self) -> Result<(), Status> {
        let there: Vec<_> = self.world.revisions.iter().filter_map(|(at, rule)| Some((*at, rule.clone()?))).collect();
        let (revision, (parameters, mode, _)) = there[self.next as usize % there.len()].clone();
        self.doubt(|world| world.revise(Some((parameters, mode, false))));
        let request = v1::RestoreRuleRequest { name: RULE.into(), revision, why: String::new() };
        RuleServiceClient::new(self.channel.clone()).restore_rule(request).await?;
        self.sure();
        Ok(())
    }

    async fn remove(&mut self) -> Result<(), Status> {
        self.doubt(|world| world.revise(None));
        let request = v1::RemoveRuleRequest { name: RULE.into(), why: String::new() };
        RuleServiceClient::new(self.channel.clone()).remove_rule(request).await?;
        self.sure();
        Ok(())
    }

    /// Makes one, and revokes every other.
    async fn token(&mut self) -> Result<(), Status> {
        let name = format!("t-{}", self.next);
        let mut client = TokenServiceClient::new(self.channel.clone());
        self.doubt(|world| world.tokens.extend([(name.clone(), false)]));
        let role = v1::Role::Reader.into();
        let request = v1::CreateTokenRequest {
            name: name.clone(),
            role,
            lifetime_ms: 3_600_000,
            ..v1::CreateTokenRequest::default()
        };
        client.create_token(request).await?;
        self.sure();
        if self.next.is_multiple_of(2) {
            self.doubt(|world| world.tokens.extend([(name.clone(), true)]));
            client.revoke_token(v1::RevokeTokenRequest { name }).await?;
            self.sure();
        }
        Ok(())
    }

    /// Three messages: each of them may be the last that is there.
    async fn devices(&mut self) -> Result<(), Status> {
        let begin = self.world.messages;
        let message = |number: u64| v1::PutDevicesRequest {
            devices: (0..DEVICES).map(|at| device(number, at)).collect(),
            dry_run: false,
        };
        let messages: Vec<_> = (begin..begin + 3).map(message).collect();
        let after = |more: u64| World { messages: begin + more, ..self.world.clone() };
        self.doubtful = [1, 2, 3].map(after).to_vec();
        let mut client = v1::device_service_client::DeviceServiceClient::new(self.channel.clone());
        client.put_devices(tokio_stream::iter(messages)).await?;
        self.sure();
        Ok(())
    }
}

fn device(message: u64, at: u64) -> v1::Device {
    v1::Device {
        device_id: 1 + message * DEVICES + at,
        model: format!("model-{message}"),
        operator: 12,
        ..Default::default()
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Submits batches from `next` on until the host is gone; gives how many were acknowledged.
async fn batches(channel: Channel, mut next: u64) -> u64 {
    let mut client = v1::alert_service_client::AlertServiceClient::new(channel);
    loop {
        let alert = |at| v1::Alert { device_id: 1 + (next * BATCH + at) % 1_000, code: 0x8F40, ..Default::default() };
        let alerts = (0..BATCH).map(alert).collect();
        let request =
            v1::SubmitAlertsRequest { producer_id: PRODUCER.into(), sequence: next, alerts, ..Default::default() };
        match client.submit_alerts(request).await {
            Ok(_) => next += 1,
            Err(_) => return next - 1,
        }
    }
}

/// What the host has, by its own word, and that it fits together.
async fn look(channel: &Channel, doubtful: &[World]) -> World {
    let mut rules = RuleServiceClient::new(channel.clone());
    let revisions = history(&mut rules).await;
    let standing = rules.list_rules(v1::ListRulesRequest::default()).await.unwrap().into_inner().rules;
    let standing: Vec<_> = standing.iter().map(|rule| (rule.revision, as_revision(Some(rule)))).collect();
    let last = revisions.iter().next_back().filter(|(_, rule)| rule.is_some());
    assert_eq!(standing, last.map(|(at, rule)| (*at, rule.clone())).into_iter().collect::<Vec<_>>(), "the last stands");

    let mut tokens = TokenServiceClient::new(channel.clone());
    let tokens = tokens.list_tokens(v1::ListTokensRequest::default()).await.unwrap().into_inner().tokens;
    let mut plugins = v1::plugin_service_client::PluginServiceClient::new(channel.clone());
    let plugins = plugins.list_plugins(v1::ListPluginsRequest::default()).await.unwrap().into_inner().plugins;
    let entries = audited(channel).await;
    let world = World {
        revisions,
        tokens: tokens.into_iter().map(|token| (token.name, token.revoked_at_ms.is_some())).collect(),
        plugins: plugins.into_iter().map(|plugin| plugin.digest).collect(),
        removed: subjects(&entries, "plugin.remove"),
        messages: messages(channel, doubtful).await,
        batches: counted(channel).await,
    };
    each_is_noted(&entries, &world);
    world
}

/// Every revision of the rule; none where there never was one.
async fn history(rules: &mut RuleServiceClient<Channel>) -> BTreeMap<u32, Revision> {
    let mut revisions = BTreeMap::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListRuleRevisionsRequest { name: RULE.into(), page_size: 1_000, page_token };
        let page = match rules.list_rule_revisions(request).await {
            Ok(page) => page.into_inner(),
            Err(status) if status.code() == Code::NotFound => return revisions,
            Err(status) => panic!("{status}"),
        };
        revisions.extend(page.revisions.iter().map(|entry| (entry.revision, as_revision(entry.rule.as_ref()))));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return revisions;
        }
    }
}

/// How many messages of the inventory are there. None of them is there in part, nor without those before it.
async fn messages(channel: &Channel, doubtful: &[World]) -> u64 {
    let mut devices = v1::device_service_client::DeviceServiceClient::new(channel.clone());
    let most = doubtful.iter().map(|world| world.messages).max().unwrap_or(0);
    let mut there = Vec::new();
    for message in most.saturating_sub(3)..most {
        let mut found = BTreeSet::new();
        for at in [0, DEVICES / 2, DEVICES - 1] {
            let wanted = device(message, at);
            let request = v1::GetDeviceRequest { device_id: wanted.device_id, ..Default::default() };
            let answer = devices.get_device(request).await.map(tonic::Response::into_inner);
            found.insert(answer.is_ok_and(|known| known.in_inventory && known.device == Some(wanted)));
        }
        assert_eq!(found.len(), 1, "message {message} is there in part");
        there.push(found.contains(&true));
    }
    assert!(there.is_sorted_by(|before, after| before >= after), "messages are there in order: {there:?}");
    most.saturating_sub(3) + there.iter().filter(|there| **there).count() as u64
}

/// How many batches are there, and that they are counted once.
async fn counted(channel: &Channel) -> u64 {
    let mut alerts = v1::alert_service_client::AlertServiceClient::new(channel.clone());
    let request = v1::GetProducerRequest { producer_id: PRODUCER.into() };
    let last = alerts.get_producer(request).await.unwrap().into_inner().last_sequence;
    let mut counts = v1::count_service_client::CountServiceClient::new(channel.clone());
    let total = counts.query_counts(v1::QueryCountsRequest::default()).await.unwrap().into_inner().total;
    assert_eq!(total.and_then(|total| total.balance).map_or(0, |balance| balance.received), last * BATCH);
    last
}

/// Every entry of the audit log, whose chain holds.
async fn audited(channel: &Channel) -> Vec<v1::AuditEntry> {
    let mut client = v1::audit_service_client::AuditServiceClient::new(channel.clone());
    let verified = client.verify_audit(v1::VerifyAuditRequest {}).await.unwrap().into_inner();
    assert_eq!((verified.broken_number, verified.broken_why.as_str()), (None, ""));
    let mut entries = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListAuditEntriesRequest { page_size: 1_000, page_token };
        let page = client.list_audit_entries(request).await.unwrap().into_inner();
        entries.extend(page.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return entries;
        }
    }
}

/// What something was done to, each once.
fn subjects(entries: &[v1::AuditEntry], action: &str) -> BTreeSet<String> {
    let of: Vec<_> = entries.iter().filter(|entry| entry.action == action).map(|entry| entry.subject.clone()).collect();
    let once: BTreeSet<_> = of.iter().cloned().collect();
    assert_eq!(of.len(), once.len(), "{action}: {of:?}");
    once
}

/// There is an entry for each thing that is there and for nothing else.
fn each_is_noted(entries: &[v1::AuditEntry], world: &World) {
    let subjects = |action: &str| subjects(entries, action);
    assert_eq!(subjects("plugin.upload"), world.plugins.union(&world.removed).cloned().collect());
    assert_eq!(subjects("token.create"), world.tokens.keys().cloned().collect());
    let revoked = world.tokens.iter().filter(|(_, revoked)| **revoked).map(|(name, _)| name.clone());
    assert_eq!(subjects("token.revoke"), revoked.collect());
    let number = |detail: &str| detail.strip_prefix("revision ")?.split(':').next()?.parse::<u32>().ok();
    let changes = entries.iter().filter(|entry| entry.action.starts_with("rule.") && entry.subject == RULE);
    let changes: Vec<u32> = changes.map(|entry| number(&entry.detail).expect(&entry.detail)).collect();
    assert_eq!(changes, world.revisions.keys().copied().collect::<Vec<_>>());
}

/// Processes of the program under test that compile.
fn compilers() -> Vec<String> {
    let program = fs::canonicalize(BINARY).unwrap();
    let is_one = |process: &Path| {
        let command = fs::read(process.join("cmdline")).unwrap_or_default();
        command.ends_with(b"\0compile-worker\0") && fs::read_link(process.join("exe")).is_ok_and(|exe| exe == program)
    };
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    processes.filter(|process| is_one(process)).map(|process| process.display().to_string()).collect()
}

/// Waits for something that is to be so soon.
fn soon(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < until, "{what} within 20 s");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn killed_while_everything_changes_it_has_the_old_or_the_new() {
    let (rounds, seed) = (number_of("WEIR_ROUNDS", 24), seed(20_261_125));
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let connect = |host: &Host| {
        let endpoint = Channel::from_shared(host.url.clone()).unwrap();
        runtime.block_on(endpoint.connect()).expect("the host listens")
    };
    let (mut world, mut doubtful) = (World::default(), vec![World::default()]);
    let mut next = 1;
    for round in 0..=rounds {
        let host = Host::start(BINARY, folder.path());
        let channel = connect(&host);
        let kept = fs::read_dir(folder.path().join("compiled")).unwrap().count();
        let found = runtime.block_on(look(&channel, &doubtful));
        // A batch that was not acknowledged may be there too; the others that a doubt is about stand as they were.
        assert!(
            [0, 1].contains(&(found.batches - world.batches)),
            "round {round}: {} of {}",
            found.batches,
            world.batches
        );
        let same = |known: &World| World { batches: found.batches, ..known.clone() } == found;
        assert!(same(&world) || doubtful.iter().any(same), "round {round}: {found:#?}\n{world:#?}\n{doubtful:#?}");
        assert_eq!(kept, 1 + found.plugins.len(), "round {round}: the key, and code of each plugin that is there");
        world = found;
        if round == rounds {
            assert_eq!(host.stop(), Some(0));
            break;
        }

        let doing = DOINGS[round as usize % DOINGS.len()];
        let mut client = Client { channel: channel.clone(), world: world.clone(), doubtful: Vec::new(), next };
        if world.plugins.is_empty() {
            runtime.block_on(client.upload(fs::read(env!("WEIR_GUEST_THRESHOLD")).unwrap())).unwrap();
            runtime.block_on(client.set(v1::RuleMode::Active)).unwrap();
        } else if doing == Doing::Restore || doing == Doing::Remove {
            // There may be nothing to restore or remove.
            runtime.block_on(client.set(v1::RuleMode::Active)).unwrap();
        }
        client.doubtful.clear();
        let sending = runtime.spawn(batches(channel, world.batches + 1));
        let changed = Arc::new(AtomicU64::new(0));
        let changing = runtime.spawn(client.go_on(doing, Arc::clone(&changed)));
        if doing == Doing::Compile {
            // One upload after the other: wherever it is after a while, it is killed with a compiler at work.
            thread::sleep(Duration::from_millis(random.below(200)));
            soon("a compiler is at work", || !host.children().is_empty());
        } else {
            thread::sleep(Duration::from_millis(20 + random.below(250)));
            // On a slow machine nothing may have been changed yet.
            soon("a change is done", || changed.load(Ordering::Relaxed) > 0);
        }
        host.kill();
        soon("no compiler is left", || compilers().is_empty());
        let client = runtime.block_on(changing).unwrap();
        next = client.next;
        let acknowledged = runtime.block_on(sending).unwrap();
        (world, doubtful) = (World { batches: acknowledged, ..client.world }, client.doubtful);
        println!("round {round}: {doing:?}, {} changes and {acknowledged} batches so far", next);
    }
    assert!(next > rounds && world.batches > rounds, "there was work: {next} changes, {} batches", world.batches);
}
