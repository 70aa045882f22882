//! A real host as a child process: started, watched, stopped.
//!
//! It must not know what the host is asked. Invariant: the child never outlives its [`Host`], whatever goes wrong.

use std::{
    collections::VecDeque,
    env, fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

/// Devices a host has room for unless it is told otherwise, and the most it can be told.
const DEFAULT_DEVICES_MAX: u64 = 4_000_000;
const DEVICES_MAX: u64 = 64_000_000;
/// Beginning of the line on the host's output that names its address.
const LISTENING: &str = "listening on ";
/// How long a host may take to recover and listen.
const START_S_MAX: u64 = 120;
/// How long a host may take to stop.
const STOP_S_MAX: u64 = 60;
/// Lines of the host's log that are kept for the case of failure.
const LOG_LINES_KEPT: usize = 20;
/// Characters of such a line that are kept.
const LOG_LINE_CHARS_MAX: usize = 400;
/// Ticks a second in which Linux states processor time; the same on every architecture that Rust runs on.
const TICKS_PER_S: u64 = 100;

/// How to start a host.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Folder of its store.
    pub data_dir: PathBuf,
    /// Devices it must have room for.
    pub devices: u64,
    /// Whether every call needs a token.
    pub authenticate: bool,
}

/// A running host.
#[derive(Debug)]
pub struct Host {
    child: Child,
    address: String,
    log: Log,
}

/// What a host has used since it started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Processor time, its own and the kernel's on its behalf.
    pub cpu: Duration,
    /// Bytes it caused to be written to the disk.
    pub written_bytes: u64,
    /// The most memory it held at once, in bytes.
    pub memory_bytes_max: u64,
}

/// The last lines of the host's log.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<VecDeque<String>>>);

// === impl Launch ===

impl Launch {
    /// A host with its store in a folder and room for so many devices. The program is what `WEIR_BIN` names, or `weir`
    /// beside this one.
    pub fn new(data_dir: &Path, devices: u64) -> Result<Self> {
        let program = match env::var_os("WEIR_BIN") {
            Some(path) => PathBuf::from(path),
            None => {
                let own = env::current_exe().context("cannot tell where this program lies")?;
                own.with_file_name(format!("weir{}", env::consts::EXE_SUFFIX))
            }
        };
        ensure!(
            program.is_file(),
            "{} is not there: build it with `cargo build -p weir-host`, or name it in WEIR_BIN",
            program.display()
        );
        Ok(Self { program, data_dir: data_dir.to_owned(), devices, authenticate: false })
    }
}

// === impl Host ===

impl Host {
    fn start(launch: &Launch) -> Result<Self> {
        let mut child = Command::new(&launch.program)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(&launch.data_dir)
            // Room for the devices that are in no inventory, and for more.
            .env(
                "WEIR_INTAKE__DEVICES_MAX",
                launch.devices.saturating_mul(2).clamp(DEFAULT_DEVICES_MAX, DEVICES_MAX).to_string(),
            )
            .env("WEIR_AUTHENTICATE", launch.authenticate.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", launch.program.display()))?;
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let mut host = Self { child, address: String::new(), log: Log::default() };
        let (output, errors) = output.zip(errors).context("the host's output is not piped")?;
        host.log.follow(errors);
        host.address = host.wait_for_address(output)?;
        Ok(host)
    }

    /// Starts a host on a free port and waits until it listens.
    pub async fn launch(launch: Launch) -> Result<Self> {
        tokio::task::spawn_blocking(move || Self::start(&launch)).await.context("the start of the host failed")?
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it has used until now.
    pub fn usage(&self) -> Result<Usage> {
        usage_of(self.child.id())
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).context("cannot signal the host")?;
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(STOP_S_MAX) {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "{}", self.ended(status));
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("the host did not stop within {STOP_S_MAX} s of SIGTERM{}", self.log)
    }

    /// Reads the host's output until it names its address, and goes on reading so that the host can always write.
    fn wait_for_address(&mut self, output: impl Read + Send + 'static) -> Result<String> {
        let (found, address) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix(LISTENING) {
                    // Nobody waits any more after the first time.
                    let _ = found.send(address.trim().to_owned());
                }
            }
        });
        match address.recv_timeout(Duration::from_secs(START_S_MAX)) {
            Ok(address) => Ok(address),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                bail!("the host does not listen after {START_S_MAX} s{}", self.log)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = self.child.wait()?;
                Err(anyhow!(self.ended(status)))
            }
        }
    }

    fn ended(&self, status: ExitStatus) -> String {
        format!("the host ended with {status}{}", self.log)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Both fail when it has ended already, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Log ===

impl Log {
    fn follow(&self, lines: impl Read + Send + 'static) {
        let kept = Arc::clone(&self.0);
        thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                let Ok(mut kept) = kept.lock() else { return };
                if kept.len() == LOG_LINES_KEPT {
                    kept.pop_front();
                }
                kept.push_back(line.chars().filter(|c| !c.is_control()).take(LOG_LINE_CHARS_MAX).collect());
            }
        });
    }
}

impl std::fmt::Display for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The last lines may still be on their way through the pipe when the process has ended.
        thread::sleep(Duration::from_millis(50));
        let Ok(kept) = self.0.lock() else { return Ok(()) };
        if !kept.is_empty() {
            f.write_str("; the end of its log:")?;
        }
        kept.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// Runs something to its end, or until this program is told to stop: then what it holds is dropped, hosts included.
pub async fn until_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("told to stop"),
    }
}

/// What a process of ours has used until now.
pub fn usage_of(id: u32) -> Result<Usage> {
    let process = PathBuf::from(format!("/proc/{id}"));
    let read = |file: &str| fs::read_to_string(process.join(file)).with_context(|| format!("cannot read {file}"));
    parse_usage(&read("stat")?, &read("io")?, &read("status")?)
}

fn parse_usage(stat: &str, io: &str, status: &str) -> Result<Usage> {
    let field = |text: &str, name: &str| -> Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name} line"))?;
        let number = line.split_whitespace().next().unwrap_or_default();
        number.parse().with_context(|| format!("{name} {number:?} is no number"))
    };
    // The name of the program comes second, in parentheses, and may hold anything.
    let (_, after_name) = stat.rsplit_once(')').context("no program name in stat")?;
    let ticks: Vec<u64> = after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse().ok()).collect();
    ensure!(ticks.len() == 2, "no processor time in stat");
    Ok(Usage {
        cpu: Duration::from_millis(ticks.iter().sum::<u64>() * 1000 / TICKS_PER_S),
        written_bytes: field(io, "write_bytes:")?,
        memory_bytes_max: field(status, "VmHWM:")? * 1024,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Held while a script is written and started: a script that another test's new process still has open for
    /// writing cannot be run.
    static STARTING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    /// Launches a shell script in place of a host.
    async fn launch(script: &str) -> Result<Host> {
        let _starting = STARTING.lock().await;
        let folder = tempfile::tempdir()?;
        let program = folder.path().join("host.sh");
        fs::write(&program, format!("#!/bin/sh\n{script}\n"))?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700))?;
        Host::launch(Launch { program, data_dir: folder.path().to_owned(), devices: 1, authenticate: false }).await
    }

    const LISTENS: &str = "echo starting; echo listening on http://127.0.0.1:9";

    #[tokio::test]
    async fn a_host_is_told_to_stop_and_awaited() {
        let script = format!("trap 'exit 0' TERM; {LISTENS}; while :; do sleep 0.01; done");
        let host = launch(&script).await.unwrap();
        assert_eq!(host.address(), "http://127.0.0.1:9");
        assert!(host.usage().unwrap().memory_bytes_max > 0);
        host.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_host_that_ends_badly_is_an_error_with_the_end_of_its_log() {
        let error = launch("echo no room >&2; exit 70").await.unwrap_err().to_string();
        assert!(error.contains("70") && error.contains("no room"), "{error}");

        let script = format!("trap 'echo lost it >&2; exit 70' TERM; {LISTENS}; while :; do sleep 0.01; done");
        let error = launch(&script).await.unwrap().stop().await.unwrap_err().to_string();
        assert!(error.contains("70") && error.contains("lost it"), "{error}");
    }

    #[tokio::test]
    async fn a_host_that_is_dropped_is_gone() {
        let host = launch(&format!("{LISTENS}; exec sleep 600")).await.unwrap();
        let process = PathBuf::from(format!("/proc/{}", host.child.id()));
        assert!(process.exists());
        drop(host);
        assert!(!process.exists());
    }

    #[test]
    fn usage_is_read_whatever_the_program_is_called() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 9 0 100 1000 10";
        let io = "rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 4096\n";
        let usage = parse_usage(stat, io, "Name:\tx\nVmHWM:\t    2048 kB\n").unwrap();
        assert_eq!(usage.cpu, Duration::from_secs(4));
        assert_eq!((usage.written_bytes, usage.memory_bytes_max), (4096, 2 << 20));
    }

    #[test]
    fn usage_that_cannot_be_read_is_an_error() {
        let io = "write_bytes: 4096\n";
        assert!(parse_usage("7 (weir) S 1", io, "VmHWM: 1 kB\n").is_err());
        assert!(parse_usage("", io, "VmHWM: 1 kB\n").is_err());
        assert!(parse_usage("7 (w) S 1 7 7 0 -1 4 1 0 0 0 250 150", io, "VmHWM: many kB\n").is_err());
    }
}
