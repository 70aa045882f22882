//! How a host begins, through the real binary: whose its files are, what it says while it starts, that it starts whatever the
//! compiler meets, and what confines the processes that compile.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use weir_tests::{
    binary,
    host::{self, Host},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const METRICS: (&str, &str) = ("WEIR_METRICS_LISTEN", "127.0.0.1:0");
const PATIENCE: Duration = Duration::from_secs(120);

/// Everything in a folder, folders included.
fn all(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all(&path));
        }
        found.push(path);
    }
    found
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_a_host_writes_is_for_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    DirBuilder::new().mode(0o755).create(&data).unwrap();
    let settings = [("WEIR_AUTHENTICATE", "true")];
    let host = Host::start_with(BINARY, &data, &settings);
    let token = fs::read_to_string(data.join("first-admin-token")).unwrap();
    let mut push = host.command(["plugin", "push", env!("WEIR_GUEST_THRESHOLD")]);
    assert!(push.env("WEIR_TOKEN", token.trim()).status().unwrap().success());
    let made = all(&data);
    assert!(made.len() >= 5, "store, token, folder, key and code: {made:?}");
    for path in &made {
        assert_eq!(mode(path) & 0o077, 0, "{}: {:o}", path.display(), mode(path));
    }
    assert_eq!(mode(&data), 0o755, "a folder that was there stays as it was");
    assert_eq!(host.stop(), Some(0));

    // One that was copied here, or made before, is taken away from others.
    let store = data.join("weir.redb");
    fs::set_permissions(&store, Permissions::from_mode(0o644)).unwrap();
    let host = Host::start_with(BINARY, &data, &settings);
    assert_eq!(mode(&store), 0o600);
    assert_eq!(host.stop(), Some(0));
    // A folder that the host makes is for nobody else either.
    let new = folder.path().join("new").join("data");
    let host = Host::start(BINARY, &new);
    assert_eq!((mode(&new), mode(new.parent().unwrap())), (0o700, 0o700));
    assert_eq!(host.stop(), Some(0));
}

/// Stock code with a function beside it that is much work to compile, and never called.
fn with_ballast(values: usize) -> Vec<u8> {
    let term = |at: usize| {
        let (a, b) = (at * 7 % 500, at * 13 % 500);
        format!("(local.set {} (i64.add (local.get {a}) (i64.mul (local.get {b}) (i64.const {at}))))", at % 500)
    };
    let body: String = (0..values).map(term).collect();
    let locals = "i64 ".repeat(500);
    let module =
        format!("(module (func (export \"f\") (local {locals}) (loop {body} (br_if 0 (i64.eqz (local.get 7))))))");
    let module = wat::parse_str(module).unwrap();
    let mut component = fs::read(env!("WEIR_GUEST_THRESHOLD")).unwrap();
    component.extend(binary::section(binary::MODULE, &module));
    component
}

/// Sends two alerts, of which the rule below holds back one.
fn verdicts(host: &Host, folder: &Path, counter: u64) -> serde_json::Value {
    let row = |at: u64, volts: &str| format!("00-DB-12-34-56-78-90-A0,{},8F40,{volts}\n", counter + at);
    let text = format!("device,counter,code,voltage_v\n{}{}", row(0, "255.0"), row(1, "259.1"));
    let alerts = host::file(folder, "alerts.csv", &text);
    host.json(["alert", "send", &alerts, "--json"]).remove(0)["balance"].take()
}

/// A restore brings the store and not what was compiled: a limit of uploads is none of plugins that are there.
#[test]
fn a_cold_start_compiles_again_whatever_the_limits_of_uploads_are() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let slow = folder.path().join("slow.wasm");
    fs::write(&slow, with_ballast(10_000)).unwrap();
    // The compiler of an upload stands back for everything else on this machine, so it may take a while.
    let host = Host::start_with(BINARY, &data, &[("WEIR_PLUGINS__COMPILE_MS_MAX", "3600000")]);
    host.json(["plugin", "push", slow.to_str().unwrap(), "--json"]);
    let parameters = r#"{"codes":["8F40"],"below_dv":2580}"#;
    host.json([
        "rule",
        "set",
        "voltage",
        "--plugin",
        "threshold",
        "--code",
        "8F40",
        "--parameters",
        parameters,
        "--json",
    ]);
    assert_eq!(verdicts(&host, folder.path(), 1)["suppressed"], 1);
    assert_eq!(host.stop(), Some(0));

    fs::remove_dir_all(data.join("compiled")).unwrap();
    let limits = [
        ("WEIR_PLUGINS__COMPILE_MS_MAX", "100"),
        ("WEIR_PLUGINS__COMPILE_CPU_S_MAX", "1"),
        ("WEIR_PLUGINS__UPLOAD_BYTES_MAX", "100000"),
    ];
    let host = Host::start_with(BINARY, &data, &limits);
    assert_eq!(verdicts(&host, folder.path(), 3)["suppressed"], 1);
    assert!(data.join("compiled").read_dir().unwrap().count() >= 2, "its code is kept again");
    // The limits are in force for everybody else.
    let other = folder.path().join("other.wasm");
    fs::write(&other, with_ballast(10_001)).unwrap();
    let output = host.weir(["plugin", "push", other.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(64) && said.contains("upload_bytes_max"), "{said}");
    assert_eq!(host.stop(), Some(0));
}

/// A port that was free just now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A host that waits for its table of codes, which comes through a pipe, for as long as a test wants.
struct Waiting {
    child: Child,
    table: PathBuf,
    url: String,
    metrics: String,
}

impl Waiting {
    fn new(folder: &Path) -> Self {
        let table = folder.join("codes.csv");
        let made = Command::new("mkfifo").arg(&table).status().unwrap();
        assert!(made.success());
        let (listen, metrics) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let child = Command::new(BINARY)
            .args(["serve", "--listen", &listen, "--metrics", &metrics, "--data"])
            .arg(folder.join("data"))
            .env("WEIR_CODE_TABLE", &table)
            .env("WEIR_LOG", "warn")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, table, url: format!("http://{listen}"), metrics }
    }

    fn weir(&self, arguments: &[&str]) -> Output {
        Command::new(BINARY).args(arguments).env("WEIR_SERVER", &self.url).output().unwrap()
    }

    /// Asks over HTTP/1.1; `None` where nobody answers yet.
    fn http(address: &str, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer).filter(|answer| !answer.is_empty())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tries until there is something.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return found;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("{what}: nothing within {PATIENCE:?}");
}

/// What health says, if anybody answers.
fn health(url: &str) -> Option<ServingStatus> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let channel = tonic::transport::Endpoint::from_shared(url.to_owned()).unwrap().connect().await.ok()?;
        let request = HealthCheckRequest { service: String::new() };
        let answer = HealthClient::new(channel).check(request).await.ok()?;
        Some(answer.into_inner().status())
    })
}

#[test]
fn a_host_that_starts_says_so_and_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let host = Waiting::new(folder.path());
    assert_eq!(until("health", || health(&host.url)), ServingStatus::NotServing);
    let output = host.weir(&["rule", "list"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(69) && said.contains("the host is starting"), "{said}");
    let page = Waiting::http(host.url.trim_start_matches("http://"), "/rules").expect("an answer");
    assert!(page.starts_with("HTTP/1.1 503") && page.contains("the host is starting"), "{page}");
    let figures = until("figures", || Waiting::http(&host.metrics, "/metrics"));
    assert!(figures.contains("weir_status{status=\"starting\"} 1\n"), "{figures}");
    assert!(figures.contains("weir_status{status=\"serving\"} 0\n"), "{figures}");

    OpenOptions::new().write(true).open(&host.table).unwrap().write_all(b"code,name\nE001,join\n").unwrap();
    until("serving", || health(&host.url).filter(|status| *status == ServingStatus::Serving));
    assert_eq!(host.weir(&["rule", "list"]).status.code(), Some(0));
    let figures = until("figures", || Waiting::http(&host.metrics, "/metrics"));
    assert!(figures.contains("weir_status{status=\"starting\"} 0\n"), "{figures}");
    drop(host);

    // One that has not come so far ends at once, and well.
    fs::remove_file(folder.path().join("codes.csv")).unwrap();
    let mut host = Waiting::new(folder.path());
    until("health", || health(&host.url));
    kill_process(Pid::from_child(&host.child), Signal::TERM).unwrap();
    let status = until("an end", || host.child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

/// Does something on a thread for which a system call is not there, as on a kernel that does not have it. What the thread
/// starts has neither.
fn without<T: Send + 'static>(call: i64, act: impl FnOnce() -> T + Send + 'static) -> T {
    let absent = move || {
        let rules = [(call, Vec::new())].into_iter().collect();
        let missing = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
        let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
        let filter: BpfProgram =
            SeccompFilter::new(rules, SeccompAction::Allow, missing, arch).unwrap().try_into().unwrap();
        apply_filter(&filter).unwrap();
        act()
    };
    thread::spawn(absent).join().unwrap()
}

fn confined(host: &Host) -> (bool, bool) {
    let (_, figures) = host.http("GET /metrics");
    let is = |layer: &str| {
        let name = format!("weir_compile_workers_confined{{layer=\"{layer}\"}} ");
        let line = figures.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("{figures}"));
        line == "1"
    };
    (is("landlock"), is("seccomp"))
}

#[test]
fn what_confines_the_compiler_is_said_and_can_be_insisted_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = |name: &str| folder.path().join(name);
    let host = Host::start_with(BINARY, &data("plain"), &[METRICS]);
    let (landlock, seccomp) = confined(&host);
    assert!(seccomp, "system calls are filtered on every kernel that these tests run on");
    for plugin in [env!("WEIR_GUEST_THRESHOLD"), env!("WEIR_GUEST_STORM"), env!("WEIR_GUEST_MATCH")] {
        host.json(["plugin", "push", plugin, "--json"]);
    }
    assert_eq!(host.stop(), Some(0));

    let (kept, insist) = (data("kept"), [METRICS, ("WEIR_PLUGINS__CONFINEMENT_REQUIRED", "true")]);
    if landlock {
        let host = Host::start_with(BINARY, &kept, &insist);
        host.json(["plugin", "push", env!("WEIR_GUEST_STORM"), "--json"]);
        assert_eq!(host.stop(), Some(0));
    }
    for (call, expected, words) in [
        (libc::SYS_landlock_create_ruleset, (false, true), "this kernel has no Landlock"),
        (libc::SYS_seccomp, (landlock, false), "system calls cannot be filtered"),
    ] {
        let path = data(words);
        let host = without(call, {
            let path = path.clone();
            move || Host::start_with(BINARY, &path, &[METRICS])
        });
        assert_eq!(confined(&host), expected, "{words}");
        host.json(["plugin", "push", env!("WEIR_GUEST_STORM"), "--json"]);
        assert_eq!(host.stop(), Some(0));
        let output = without(call, move || {
            let mut serve = Command::new(BINARY);
            serve.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(path).envs(insist).output().unwrap()
        });
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains("plugins.confinement_required: ") && said.contains(words), "{said}");
    }
}
