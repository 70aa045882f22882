//! `weir serve`: the host, from its settings to its end.
//!
//! It must not know the client commands, nor how the host does its work. Invariant: the port is bound only with valid
//! settings, and the process ends with 0 only when it was told to stop and everything was written.

use std::{
    convert::Infallible,
    env,
    future::Future,
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    os::fd::AsFd,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{fs::Mode, process::umask};
use tokio::{
    net::TcpListener,
    runtime::{self, Builder},
    signal::unix::{Signal, SignalKind},
    sync::{oneshot, watch},
};
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use super::{
    Failure,
    signals::{StopSignals, listen_for},
};
use crate::{
    config::{Config, Overrides},
    grpc::{self, Surroundings, Tls, Traffic},
    metrics,
    pipeline::{self, Handle, Progress, Runner, StartError, Status},
    plugin::SandboxError,
    web,
};

/// Says what is logged: a level, or levels by module.
const LOG_VARIABLE: &str = "WEIR_LOG";

/// What is logged otherwise. One level more of the server: why the protocol's own limits ended a connection.
const LOG_DEFAULT: &str = "info,tonic::transport::server=debug";

/// Threads for calls that wait for the disk or for a compiler. Further calls wait for one of them.
const BLOCKING_THREADS_MAX: usize = 16;

/// What others may do with files that this process makes: nothing. Alerts, tokens' digests and keys are in them.
const OF_NOBODY_ELSE: Mode = Mode::RWXG.union(Mode::RWXO);

/// After how long a start is one that takes a while, and how often that is said then.
const SAY_AFTER: Duration = Duration::from_secs(1);
const SAY_EVERY: Duration = Duration::from_secs(10);

/// How long a disk read that nobody waits for any more may hold up the end of the process.
const LEFT_BEHIND_MAX: Duration = Duration::from_secs(1);

/// What the host is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Settings come from the file, then from variables like WEIR_STORE__CACHE_BYTES_MAX, then from \
                        flags; later ones win.\nWEIR_LOG says what is logged to stderr: error, warn, info (default), \
                        debug, or levels by module.\nSIGHUP reads certificates again.\n\nExample:\n  weir serve --data /var/lib/weir --authenticate")]
pub struct Args {
    /// File of settings, TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the store [default: weir-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:7700]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Load no plugin, turn every rule off and forward everything: for when a plugin or a rule keeps the host from
    /// working. Start without it and `weir rule restore` the rules, one by one, to come back
    #[arg(long)]
    no_plugins: bool,
    /// Ask for a token with every call. Where no admin has one yet, one is written to the file first-admin-token in the
    /// folder of the store
    #[arg(long)]
    authenticate: bool,
    /// Listen beyond this machine though nothing protects what is said there
    #[arg(long)]
    insecure_listen: bool,
    /// Serve figures for Prometheus at http://ADDR/metrics, to whoever asks; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// Serve no page for browsers
    #[arg(long)]
    no_page: bool,
}

/// Runs the host until it is told to stop.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { config: file, data, listen, no_plugins, authenticate, insecure_listen, metrics, no_page } = args;
    start_logging()?;
    umask(OF_NOBODY_ELSE);
    let overrides = Overrides {
        data_dir: data,
        listen,
        without_plugins: no_plugins,
        authenticate,
        insecure_listen,
        metrics_listen: metrics,
        without_page: no_page,
    };
    let config = Config::load(file.as_deref(), overrides).map_err(|error| Failure::usage(error.to_string()))?;
    let no_start = |error| Failure::internal(format!("the asynchronous runtime does not start: {error}"));
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
        .map_err(no_start)?;
    let offload = Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("weir-call")
        .on_thread_start(pipeline::stand_back)
        .build()
        .map_err(no_start)?;
    let ended = runtime.block_on(host(config, offload.handle().clone()));
    offload.shutdown_timeout(LEFT_BEHIND_MAX);
    runtime.shutdown_timeout(LEFT_BEHIND_MAX);
    ended
}

fn start_logging() -> Result<(), Failure> {
    let wanted = env::var(LOG_VARIABLE).unwrap_or_default();
    let wanted = if wanted.trim().is_empty() { LOG_DEFAULT } else { wanted.trim() };
    let targets: Targets = wanted.parse().map_err(|error| {
        Failure::usage(format!("{LOG_VARIABLE}: {wanted:?} is no filter: {error}"))
            .with_hint("a level like info, or levels by module like info,weir_host::grpc=debug")
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    tracing_subscriber::registry()
        .with(lines.with_filter(targets))
        .try_init()
        .map_err(|error| Failure::internal(format!("logging does not start: {error}")))
}

async fn host(config: Config, offload: runtime::Handle) -> Result<(), Failure> {
    let tls = read_tls(&config)?;
    let (listener, address) = bind("listen", config.listen).await?;
    let metrics = match config.metrics_listen {
        Some(wanted) => Some(bind("metrics_listen", wanted).await?),
        None => None,
    };
    let mut stop = StopSignals::new()?;
    let hangup = listen_for(SignalKind::hangup())?;
    let doors = Doors { calls: &listener, metrics: metrics.as_ref().map(|(listener, _)| listener), tls: tls.clone() };
    let (handle, runner) = tokio::select! {
        started = start(&config, doors) => started?,
        signal = stop.next() => {
            tracing::info!("asked to stop by {signal} before it had started");
            return Ok(());
        }
    };
    say_hello(&config, &handle, address, metrics.as_ref().map(|(_, address)| *address));
    tokio::spawn(reload_on_hangup(hangup, tls.clone()));

    let traffic = Arc::new(Traffic::default());
    if let Some((listener, _)) = metrics {
        tokio::spawn(metrics::serve(listener, handle.clone(), Arc::clone(&traffic)));
    }
    let stopped = until_stopped(stop, handle.status());
    let page = config.page.then(|| web::page(&config));
    let surroundings = Surroundings { listener, tls, page, traffic, offload };
    let served = grpc::serve(handle.clone(), &config, surroundings, stopped).await;
    let closed = close(&handle, runner).await;
    served.map_err(|error| Failure::internal(error.to_string()))?;
    closed
}

/// Where somebody may ask for a host that is not there yet.
struct Doors<'a> {
    calls: &'a TcpListener,
    metrics: Option<&'a TcpListener>,
    tls: Option<Arc<Tls>>,
}

/// Starts the pipeline. Where that takes a while, whoever asks is told, and so is the log.
async fn start(config: &Config, doors: Doors<'_>) -> Result<(Handle, Runner), Failure> {
    let (progress, watched) = watch::channel(Progress::default());
    let to_start = config.clone();
    let mut starting = tokio::task::spawn_blocking(move || pipeline::start(to_start, progress));
    let ended = match tokio::time::timeout(SAY_AFTER, &mut starting).await {
        Ok(ended) => ended,
        Err(_) => meanwhile(starting, config, doors, watched).await?,
    };
    let started = ended.map_err(|error| Failure::internal(format!("starting: {error}")))?;
    started.map_err(|error| not_started(config, &error))
}

/// Waits for a start that takes its time.
async fn meanwhile<T>(
    starting: impl Future<Output = T>,
    config: &Config,
    doors: Doors<'_>,
    progress: watch::Receiver<Progress>,
) -> Result<T, Failure> {
    let calls = again(doors.calls).map_err(|error| Failure::internal(format!("listen: {error}")))?;
    let (done, over) = oneshot::channel::<()>();
    let calls = grpc::serve_starting(calls, config, doors.tls, async { drop(over.await) });
    let started = async {
        let started = starting.await;
        drop(done);
        started
    };
    let figures = async {
        match doors.metrics {
            Some(listener) => metrics::serve_starting(listener).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        (started, served) = async { tokio::join!(started, calls) } => {
            served.map_err(|error| Failure::internal(error.to_string()))?;
            Ok(started)
        }
        never = figures => match never {},
        never = say(progress) => match never {},
    }
}

/// The same socket once more.
fn again(listener: &TcpListener) -> io::Result<TcpListener> {
    TcpListener::from_std(listener.as_fd().try_clone_to_owned()?.into())
}

/// Has the log say from time to time how far a start has come.
async fn say(progress: watch::Receiver<Progress>) -> Infallible {
    let begun = Instant::now();
    loop {
        tracing::info!(seconds = begun.elapsed().as_secs(), "still starting: {}", *progress.borrow());
        tokio::time::sleep(SAY_EVERY).await;
    }
}

fn read_tls(config: &Config) -> Result<Option<Arc<Tls>>, Failure> {
    let files = config.tls_files().map_err(|error| Failure::usage(error.to_string()))?;
    let tls = files.map(Tls::load).transpose().map_err(|error| Failure::usage(error.to_string()))?;
    Ok(tls.map(Arc::new))
}

/// Reads the certificates again whenever it is asked to. Tokens need no reading: they are good at once.
async fn reload_on_hangup(mut hangup: Signal, tls: Option<Arc<Tls>>) {
    while hangup.recv().await.is_some() {
        match tls.as_ref().map(|tls| tls.reload()) {
            None => tracing::info!("SIGHUP: there are no certificates to read again"),
            Some(Ok(())) => tracing::info!("SIGHUP: certificates read again; open connections keep theirs"),
            Some(Err(error)) => tracing::error!(%error, "SIGHUP: certificates stay as they were"),
        }
    }
}

/// Binds a port; gives the address that it has then.
async fn bind(setting: &str, listen: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let listener = TcpListener::bind(listen).await.map_err(|error| not_bound(setting, listen, &error))?;
    let address = listener.local_addr().map_err(|error| not_bound(setting, listen, &error))?;
    Ok((listener, address))
}

fn not_bound(setting: &str, listen: SocketAddr, error: &io::Error) -> Failure {
    let failure = Failure::usage(format!("{setting}: {listen}: {error}"));
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            failure.with_hint("another process listens there; choose another port by --listen or --metrics")
        }
        _ => failure,
    }
}

fn not_started(config: &Config, error: &StartError) -> Failure {
    let message = format!("{}: {error}", config.data_dir.display());
    match error {
        // A folder that cannot be written, a store in use, a format of another version: the caller's to mend.
        StartError::Store(_)
        | StartError::ProtectedCodes(_)
        | StartError::Sandbox(
            SandboxError::Artefacts { .. } | SandboxError::Setting { .. } | SandboxError::Unconfined(_),
        ) => Failure::usage(message),
        _ => Failure::internal(message),
    }
}

/// Tells on stdout what is served and where. The last line is for programs: they wait for it and take the address.
fn say_hello(config: &Config, handle: &Handle, address: SocketAddr, metrics: Option<SocketAddr>) {
    let (plugins, rules, position) = (handle.plugins().len(), handle.rules().len(), handle.position());
    let scheme = if config.tls_certificate.is_some() { "https" } else { "http" };
    let hello = format!(
        "weir {version}\nstore in {folder}: {plugins} plugins, {rules} rules, log position {position}\n\
         {metrics}{page}listening on {scheme}://{address}\n",
        page = if config.page { format!("page on {scheme}://{address}/\n") } else { String::new() },
        metrics = metrics.map(|address| format!("metrics on http://{address}/metrics\n")).unwrap_or_default(),
        version = env!("CARGO_PKG_VERSION"),
        folder = config.data_dir.display(),
    );
    // A host whose stdout nobody reads serves all the same.
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(hello.as_bytes()).and_then(|()| stdout.flush());
}

/// Resolves when the process is asked to end, or when the pipeline has ended by itself.
async fn until_stopped(mut signals: StopSignals, mut status: watch::Receiver<Status>) {
    tokio::select! {
        signal = signals.next() => tracing::info!("asked to stop by {signal}"),
        // An error says that the pipeline is gone, which is an end as well.
        _ = status.wait_for(|status| matches!(status, Status::Stopped(_))) => {}
    }
}

/// Has everything written and waits for the end of the pipeline.
async fn close(handle: &Handle, runner: Runner) -> Result<(), Failure> {
    let told = handle.shutdown().await;
    let joined = tokio::task::spawn_blocking(|| runner.join()).await;
    let status = handle.status().borrow().clone();
    match (status, told) {
        (Status::Stopped(why), _) if !why.is_empty() => Err(Failure::internal(format!("the host stopped: {why}"))),
        (_, Err(refusal)) => Err(Failure::internal(format!("stopping: {refusal}"))),
        _ => joined.map_err(|error| Failure::internal(format!("stopping: {error}"))),
    }
}
