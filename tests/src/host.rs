//! The real binary as a child process, on a free port and a folder of its own.
//!
//! It must not know what is asked of the host. Invariant: no child outlives its handle.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// A setting for alerts of years ago, which a host would drop after 400 days.
pub const KEEPS_ALL: (&str, &str) = ("WEIR_STORE__RETENTION_DAYS_MAX", "36500");

/// Writes a file into a folder; gives its path as an argument of a command.
pub fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("a folder of our own can be written");
    path.to_str().expect("its name is text").to_owned()
}

/// A running host.
pub struct Host {
    child: Child,
    /// Where it listens.
    pub url: String,
    metrics: Option<String>,
    binary: PathBuf,
}

impl Host {
    /// Starts `binary serve` on a folder and waits until it listens.
    pub fn start(binary: &str, data: &Path) -> Self {
        Self::start_with(binary, data, &[])
    }

    /// The same, with settings by their names in the environment.
    pub fn start_with(binary: &str, data: &Path, settings: &[(&str, &str)]) -> Self {
        Self::start_at("127.0.0.1:0", binary, data, settings).expect("a host says where it listens")
    }

    /// Kills it, as the kernel would, and starts it again where it was: clients that know its URL find it again.
    pub fn kill_and_restart(self, data: &Path, settings: &[(&str, &str)]) -> Self {
        let (address, binary) = (self.url.trim_start_matches("http://").to_owned(), self.binary.clone());
        self.kill();
        let binary = binary.to_str().expect("its name is text");
        // Somebody else may have the port for a moment.
        for _ in 0..100 {
            if let Some(host) = Self::start_at(&address, binary, data, settings) {
                return host;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{address} is taken");
    }

    /// The same at an address. `None`: it ended before it listened.
    fn start_at(address: &str, binary: &str, data: &Path, settings: &[(&str, &str)]) -> Option<Self> {
        let mut child = Command::new(binary)
            .args(["serve", "--listen", address, "--data"])
            .arg(data)
            .env("WEIR_LOG", "warn")
            .env_remove("WEIR_EXAMPLE")
            .env_remove("WEIR_RTDS")
            .env_remove("WEIR_SEED")
            .env_remove("WEIR_UPLOADS")
            .env_remove("WEIR_ROUNDS")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines();
        let mut metrics = None;
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .inspect(|line| metrics = metrics.take().or(line.strip_prefix("metrics on ").map(str::to_owned)))
            .find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
        let Some(url) = url else {
            child.wait().expect("it can be waited for");
            return None;
        };
        // What else it prints is read, so that it never waits for room in the pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Some(Self { child, url, metrics, binary: binary.into() })
    }

    /// A client command against it.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).env("WEIR_SERVER", &self.url).stdin(Stdio::null());
        command
    }

    /// Runs a client command against it.
    pub fn weir<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// The same; it must succeed, and what it prints is JSON, one object a line.
    pub fn json<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Vec<serde_json::Value> {
        let output = self.weir(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {error}", output.status);
        let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// Asks for something over HTTP where it serves figures, like `GET /metrics`; gives the head of the answer and what
    /// follows.
    pub fn http(&self, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.metrics_address()).expect("it serves figures");
        write!(stream, "{request} HTTP/1.1\r\nHost: weir\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (head.to_owned(), body.to_owned())
    }

    /// The address and port of its figures.
    pub fn metrics_address(&self) -> &str {
        let url = self.metrics.as_ref().expect("it was told to serve figures");
        url.trim_start_matches("http://").trim_end_matches("/metrics")
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Processes that it has started and not yet waited for.
    pub fn children(&self) -> Vec<u32> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).expect("a running process has tasks");
        let of_task = |task: std::io::Result<fs::DirEntry>| {
            let children = fs::read_to_string(task.ok()?.path().join("children")).ok()?;
            Some(children.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>())
        };
        tasks.filter_map(of_task).flatten().collect()
    }

    /// Kills it, as the kernel would.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Tells it to stop and gives its exit code.
    pub fn stop(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it can be told to stop");
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the host did not stop within 30 s of SIGTERM");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
