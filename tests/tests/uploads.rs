//! Uploads that nobody wrote: generated modules and components, and the stock plugins with bytes changed, through the
//! real binary. Each is answered, none is the host's fault, and the host neither grows nor forgets its work.
//!
//! `WEIR_UPLOADS` says how many, `WEIR_SEED` which.

use std::{collections::BTreeMap, fs, ops::Range, time::Duration};

use tokio::time::timeout;
use tonic::{Code, Status, transport::Channel};
use wasm_smith::{Component, Config, Module};
use weir_proto::v1::{
    Alert, ListPluginsRequest, QueryCountsRequest, SubmitAlertsRequest, UploadPluginRequest,
    alert_service_client::AlertServiceClient, count_service_client::CountServiceClient,
    plugin_service_client::PluginServiceClient,
};
use weir_tests::{
    binary::around,
    host::Host,
    hostile::probe,
    workload::{Random, number_of, seed},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const STOCK: [&str; 3] = [env!("WEIR_GUEST_THRESHOLD"), env!("WEIR_GUEST_STORM"), env!("WEIR_GUEST_MATCH")];

/// How long one answer may take: the limits of a compile, and some.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// What a host may have resident more after it all: code of as many plugins as it may keep, and room to work.
const GROWTH_KIB_MAX: u64 = 512 << 10;
/// How every binary begins, magic and version.
const HEADER_BYTES: usize = 8;
/// Bytes of randomness a generated upload is made of.
const SEED_BYTES: u64 = 20_000;

/// One upload, and what kind it is.
fn upload(random: &mut Random, stock: &[Vec<u8>], probe: &[u8]) -> (&'static str, Vec<u8>) {
    match random.below(10) {
        0 => ("module", module(random)),
        1 => ("component", component(random)),
        2 | 3 => ("module in a component", around(&module(random))),
        kind @ (4 | 5) => {
            let mut bytes = stock[random.below(stock.len() as u64) as usize].clone();
            // Half of them are changed where the component and not the machine code is described.
            let reach = if kind == 4 { bytes.len() as u64 } else { 3_000 };
            for _ in 0..=random.below(8) {
                mutate(&mut bytes, reach, random);
            }
            ("changed plugin", bytes)
        }
        6 | 7 => ("changed description", described(probe, random)),
        _ => {
            let mut bytes = probe.to_vec();
            replace(&mut bytes, HEADER_BYTES..probe.len(), random);
            ("changed small plugin", bytes)
        }
    }
}

/// A plugin that says something else of itself: its texts, and where they lie.
fn described(probe: &[u8], random: &mut Random) -> Vec<u8> {
    const SUMMARY: &[u8] = b"does what it is told";
    let at = probe.windows(SUMMARY.len()).position(|part| part == SUMMARY).expect("the probe says so");
    let mut bytes = probe.to_vec();
    for _ in 0..=random.below(4) {
        replace(&mut bytes, at - 40..at + 250, random);
    }
    bytes
}

/// Changes one byte, and no length.
fn replace(bytes: &mut [u8], within: Range<usize>, random: &mut Random) {
    let at = within.start + random.below(within.len() as u64) as usize;
    bytes[at] = match random.below(3) {
        0 => random.below(256) as u8,
        1 => bytes[at] ^ 1 << random.below(8),
        _ => [0, 1, 0x1B, 0x7F, 0x80, 0xFF][random.below(6) as usize],
    };
}

fn chance(random: &mut Random) -> Vec<u8> {
    let length = 1 + random.below(SEED_BYTES);
    (0..length).map(|_| random.below(256) as u8).collect()
}

fn module(random: &mut Random) -> Vec<u8> {
    let seed = chance(random);
    let mut bytes = arbitrary::Unstructured::new(&seed);
    let config = if random.below(4) == 0 { Config::default() } else { within_limits() };
    Module::new(config, &mut bytes).expect("a module can be made of any bytes").to_bytes()
}

/// Modules that use nothing but what is on here: those get as far as the compiler.
fn within_limits() -> Config {
    Config {
        max_imports: 0,
        max_memories: 1,
        max_tables: 1,
        max_memory32_bytes: 1 << 20,
        max_table_elements: 1_000,
        allow_start_export: true,
        custom_page_sizes_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        shared_everything_threads_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    }
}

fn component(random: &mut Random) -> Vec<u8> {
    let seed = chance(random);
    let mut bytes = arbitrary::Unstructured::new(&seed);
    Component::new(Config::default(), &mut bytes).expect("a component can be made of any bytes").to_bytes()
}

fn mutate(bytes: &mut Vec<u8>, reach: u64, random: &mut Random) {
    let at = random.below(reach.min(bytes.len() as u64)) as usize;
    match random.below(6) {
        0 => bytes[at] = random.below(256) as u8,
        1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = [0, 0x7F, 0x80, 0xFF][random.below(4) as usize],
        3 => bytes.insert(at, random.below(256) as u8),
        4 if bytes.len() > 1 => drop(bytes.remove(at)),
        _ if random.below(20) == 0 => bytes.truncate(at.max(1)),
        _ => {
            let length = random.below(64).min((bytes.len() - at) as u64) as usize;
            let from = random.below((bytes.len() - length + 1) as u64) as usize;
            bytes.copy_within(from..from + length, at);
        }
    }
}

async fn push(channel: &Channel, bytes: Vec<u8>) -> Result<(), Status> {
    let pieces: Vec<_> = bytes
        .chunks(1 << 20)
        .map(|chunk| UploadPluginRequest { chunk: chunk.to_vec(), ..UploadPluginRequest::default() })
        .collect();
    let answer = PluginServiceClient::new(channel.clone()).upload_plugin(tokio_stream::iter(pieces)).await;
    answer.map(drop)
}

/// How an answer is counted: by code, by what the message is about, and by what the compiler had against it.
fn kind_of(answer: &Result<(), Status>) -> String {
    const WORDS: usize = 9;
    let Err(status) = answer else { return "taken".to_owned() };
    let (about, detail) = status.message().split_once("than the limits allow: ").unwrap_or((status.message(), ""));
    let about = about.split_whitespace().take(if detail.is_empty() { WORDS } else { 5 });
    // Offsets and other numbers differ with each upload.
    let last = detail.rsplit(": ").next().unwrap_or_default();
    let plain = last.split_whitespace().filter(|word| word.chars().all(char::is_alphabetic)).take(WORDS);
    format!("{:?}: {}", status.code(), about.chain(plain).collect::<Vec<_>>().join(" "))
}

fn resident_kib(host: &Host) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", host.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn whatever_is_uploaded_is_answered_and_the_host_works_on() {
    let (count, seed) = (number_of("WEIR_UPLOADS", 200), seed(20_261_124));
    let folder = tempfile::tempdir().unwrap();
    let settings = [("WEIR_PLUGINS__COMPILE_MS_MAX", "20000"), ("WEIR_PLUGINS__COMPILE_CPU_S_MAX", "10")];
    let host = Host::start_with(BINARY, folder.path(), &settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stock: Vec<Vec<u8>> = STOCK.iter().map(|path| fs::read(path).unwrap()).collect();
    let probe = probe(&[]);
    let mut kinds: BTreeMap<(&str, String), u64> = BTreeMap::new();
    runtime.block_on(async {
        let channel = Channel::from_shared(host.url.clone()).unwrap().connect().await.unwrap();
        let mut alerts = AlertServiceClient::new(channel.clone());
        push(&channel, stock[0].clone()).await.expect("a stock plugin is taken");
        let before_kib = resident_kib(&host);
        for at in 0..count {
            let mut random = Random::new(seed.wrapping_add(at));
            let (kind, bytes) = upload(&mut random, &stock, &probe);
            let answer = timeout(ANSWER_MAX, push(&channel, bytes)).await;
            let answer = answer.unwrap_or_else(|_| panic!("upload of seed {}: no answer", seed.wrapping_add(at)));
            let fault = |status: &Status| !matches!(status.code(), Code::InvalidArgument | Code::ResourceExhausted);
            let whose = answer.as_ref().err().filter(|status| fault(status));
            assert!(whose.is_none(), "upload of seed {}, {kind}: {whose:?}", seed.wrapping_add(at));
            *kinds.entry((kind, kind_of(&answer))).or_default() += 1;
            // Whoever sends alerts beside it notices nothing.
            let alert = Alert { device_id: at + 1, code: 0x8F40, ..Alert::default() };
            let batch = SubmitAlertsRequest { alerts: vec![alert], ..SubmitAlertsRequest::default() };
            alerts.submit_alerts(batch).await.expect("an ack");
        }
        for ((kind, answer), count) in &kinds {
            println!("{count:>7}  {kind}: {answer}");
        }
        let after_kib = resident_kib(&host);
        println!("resident: {before_kib} KiB before, {after_kib} KiB after {count} uploads");
        assert!(after_kib < before_kib + GROWTH_KIB_MAX, "{before_kib} KiB before, {after_kib} KiB after");
        // Of what was refused nothing is left: there is code of the plugins, and the key.
        let plugins =
            PluginServiceClient::new(channel.clone()).list_plugins(ListPluginsRequest::default()).await.unwrap();
        let kept = fs::read_dir(folder.path().join("compiled")).unwrap().count();
        assert_eq!(kept, 1 + plugins.into_inner().plugins.len());
        let counts = CountServiceClient::new(channel).query_counts(QueryCountsRequest::default()).await.unwrap();
        let balance = counts.into_inner().total.unwrap().balance.unwrap();
        assert_eq!((balance.received, balance.forwarded), (count, count));
    });
    drop(runtime);
    assert_eq!(host.stop(), Some(0));
}
