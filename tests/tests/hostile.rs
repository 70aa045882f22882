//! Components that were made to harm the host, each through the real binary and its confined compiler: each meets its
//! named refusal in bounded, plain words, and a producer that streams all the while loses nothing.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, transport::Channel};
use weir_host::domain::is_unsafe;
use weir_proto::v1::{
    Alert, QueryCountsRequest, StreamAlertsRequest, UploadPluginRequest, alert_service_client::AlertServiceClient,
    count_service_client::CountServiceClient, plugin_service_client::PluginServiceClient,
};
use weir_tests::{host::Host, hostile::components};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

/// Characters of any message, as the host bounds them.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// Alerts of one batch of the stream.
const BATCH: u64 = 10;

/// The refusals of the host by how their words begin and what else is in them.
const REFUSALS: [(&str, &str, &str); 13] = [
    ("TooLarge", "the component has ", ""),
    ("NotWasm", "this is not a WebAssembly binary", ""),
    ("CoreModule", "this is a core WebAssembly module", ""),
    ("Malformed", "the component is invalid, uses a feature", ""),
    ("CompilerPanic", "the compiler failed over this component", ""),
    ("CompileTime", "compiling the component took more than ", "s_max)"),
    ("CompileMemory", "compiling the component took more than ", "bytes_max)"),
    ("Imports", "the component imports ", ""),
    ("MissingExport", "the component does not export ", ""),
    ("WrongExport", "the component exports ", ""),
    ("Describe", "the plugin failed when it was asked to describe itself", ""),
    ("Description", "the plugin's description is not acceptable: ", ""),
    ("Worker", "the process that compiles plugins failed", ""),
];

/// The name of the refusal that a message is of.
fn refusal(message: &str) -> &'static str {
    let words = message.strip_prefix("chunk: ").unwrap_or(message);
    let fits = |beginning: &str, part: &str| words.starts_with(beginning) && words.contains(part);
    REFUSALS.iter().rev().find(|(_, beginning, part)| fits(beginning, part)).map_or("none", |(name, ..)| name)
}

async fn push(channel: &Channel, bytes: &[u8]) -> Result<(), Status> {
    let piece = |chunk: &[u8]| UploadPluginRequest { chunk: chunk.to_vec(), ..UploadPluginRequest::default() };
    let pieces: Vec<_> = bytes.chunks(1 << 20).map(piece).collect();
    let answer = PluginServiceClient::new(channel.clone()).upload_plugin(tokio_stream::iter(pieces)).await;
    answer.map(drop)
}

/// Streams batches until it is told to stop; gives how many were sent and how many acknowledged.
async fn stream(url: String, stop: Arc<AtomicBool>) -> (u64, u64) {
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let sending = tokio::spawn(async move {
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            sent += 1;
            let alert = |at| Alert { device_id: 1 + (sent * BATCH + at) % 500, code: 0x8F40, ..Alert::default() };
            let alerts = (0..BATCH).map(alert).collect();
            let request = StreamAlertsRequest {
                producer_id: "beside".into(),
                sequence: sent,
                alerts,
                ..StreamAlertsRequest::default()
            };
            sender.send(request).await.expect("the host takes it");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        sent
    });
    let answers = AlertServiceClient::new(channel).stream_alerts(ReceiverStream::new(receiver)).await.unwrap();
    let mut answers = answers.into_inner();
    let mut acknowledged = 0;
    while let Some(answer) = answers.message().await.expect("the stream holds") {
        let ack = answer.ack.expect("an answer has an ack");
        acknowledged += 1;
        assert_eq!((ack.sequence, ack.balance.unwrap().forwarded), (acknowledged, BATCH));
    }
    (sending.await.unwrap(), acknowledged)
}

#[test]
fn each_meets_its_refusal_and_a_stream_beside_it_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // So much is enough for all but the one that asks for as much as there is.
    let settings = [("WEIR_PLUGINS__COMPILE_MEMORY_BYTES_MAX", "1073741824")];
    let host = Host::start_with(BINARY, folder.path(), &settings);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let beside = runtime.spawn(stream(host.url.clone(), Arc::clone(&stop)));
    runtime.block_on(async {
        let channel = Channel::from_shared(host.url.clone()).unwrap().connect().await.unwrap();
        let mut wrong = Vec::new();
        for hostile in components() {
            let answer = push(&channel, &hostile.bytes).await;
            let status = answer.err().unwrap_or_else(|| Status::ok("taken"));
            let message = status.message();
            assert!(message.chars().count() <= MESSAGE_CHARS_MAX, "{}: {message}", hostile.name);
            assert!(!message.chars().any(is_unsafe), "{}: {message:?}", hostile.name);
            let found = (status.code(), refusal(message));
            let told = message.contains(hostile.words) && message.contains(hostile.named);
            if found != (Code::InvalidArgument, hostile.refusal) || !told {
                wrong.push(format!("{}: {found:?}: {message}", hostile.name));
            }
        }
        assert_eq!(wrong, [] as [String; 0]);
        assert_eq!(host.children(), [] as [u32; 0], "no process is left");
        let kept = fs::read_dir(folder.path().join("compiled")).unwrap().count();
        assert_eq!(kept, 1, "of what was refused nothing is kept, only the key");

        stop.store(true, Ordering::Relaxed);
        let (sent, acknowledged) = beside.await.unwrap();
        println!("{sent} batches sent, {acknowledged} acknowledged");
        assert!(sent > 10 && sent == acknowledged, "{sent} sent, {acknowledged} acknowledged");
        let counts = CountServiceClient::new(channel).query_counts(QueryCountsRequest::default()).await.unwrap();
        let balance = counts.into_inner().total.unwrap().balance.unwrap();
        assert_eq!((balance.received, balance.forwarded), (sent * BATCH, sent * BATCH));
    });
    drop(runtime);
    assert_eq!(host.stop(), Some(0));
}
