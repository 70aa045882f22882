//! A file of which one line in a hundred is broken, in twelve ways: the report is exact by kind, and the balance adds up.
//! `cargo xtask bench broken-file` says of a million lines how fast that goes.

use std::fs::File;

use serde_json::Value;
use weir_benches::broken;
use weir_tests::{
    host::{self, Host},
    workload::seed,
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const LINES: u64 = 40_000;
/// Memory of a client that reads ahead of what it sends, in bytes.
const MEMORY_BYTES_MAX: u64 = 100_000_000;

#[test]
fn each_kind_is_counted_as_often_as_it_is_there_and_the_rest_is_taken() {
    let seed = seed(20_261_125);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.csv");
    let written = broken::write(&mut File::create(&path).unwrap(), LINES, seed, 1_764_000_000_000).unwrap();
    assert_eq!(written.broken.len(), 12, "{written:?}");
    let host = Host::start_with(BINARY, &folder.path().join("data"), &[host::KEEPS_ALL]);
    let path = path.to_str().unwrap();

    let mut child =
        host.command(["alert", "send", path, "--json"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut memory = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
        memory = memory.max(peak.unwrap_or(0) * 1024);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (balance, rejected) = (&sent["balance"], LINES - written.good);
    assert_eq!((&balance["received"], &balance["forwarded"]), (&LINES.into(), &written.good.into()));
    assert_eq!((&balance["rejected"], &balance["duplicate"]), (&rejected.into(), &0.into()));
    let counted: Vec<(&str, u64)> = sent["unreadable"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| (part["field"].as_str().unwrap(), part["count"].as_u64().unwrap()))
        .collect();
    assert_eq!(counted, written.broken.into_iter().collect::<Vec<_>>());
    assert!(memory > 0 && memory < MEMORY_BYTES_MAX, "{memory} bytes");

    let total = &host.json(["count", "--by", "rejection", "--json"])[0]["total"]["balance"];
    assert_eq!((&total["received"], &total["rejected"]), (&LINES.into(), &rejected.into()), "{total}");
    assert_eq!(host.stop(), Some(0));
}
