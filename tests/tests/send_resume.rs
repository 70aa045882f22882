//! A sending that is killed at either end, again and again, and gone on with: the store is that of one clean run.

use std::{
    fmt::Write,
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::Value;
use weir_tests::{
    host::{self, Host},
    workload::{Random, seed},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const ROUNDS: u64 = 20;
const LINES: u64 = 12_000;
/// Alerts a second and in a batch: slow enough that a sending is never done within the rounds.
const RATE: &str = "1500";
const BATCH: &str = "30";
const SETTINGS: [(&str, &str); 1] = [host::KEEPS_ALL];

/// Lines of a file: most alerts have no counter, so that a copy would not be recognised; some are copies, and one in a
/// hundred cannot be read.
fn lines(random: &mut Random) -> String {
    let mut text = "device,code,counter,received_ms,voltage_v\n".to_owned();
    for line in 0..LINES {
        let device = 0x00DB_1234_5678_0000 + random.below(500);
        let counter = if random.below(4) == 0 { (line - random.below(3).min(line)).to_string() } else { String::new() };
        let code = ["8F40", "8F36", "N24", "zz"][if random.below(100) == 0 { 3 } else { random.below(3) as usize }];
        let received = 1_764_000_000_000 + line * 1_000;
        writeln!(text, "{device:016X},{code},{counter},{received},{}.5", 200 + random.below(80)).unwrap();
    }
    text
}

/// What is in a store: all counts, and all alerts in the order in which they came.
fn contents(host: &Host) -> (Vec<Value>, Vec<Value>) {
    let counts = host.json(["count", "--by", "code,rejection", "--json"]);
    let counts = counts.into_iter().map(|mut count| {
        count.as_object_mut().unwrap().remove("position");
        count
    });
    let alerts = host.json(["alert", "list", "--limit", "100000", "--json"]);
    let alerts = alerts.into_iter().map(|mut alert| {
        alert.as_object_mut().unwrap().remove("position");
        alert
    });
    (counts.collect(), alerts.collect())
}

#[test]
fn killed_at_either_end_and_gone_on_with_it_sends_nothing_twice() {
    let mut random = Random::new(seed(20_261_125));
    let folder = tempfile::tempdir().unwrap();
    let path = host::file(folder.path(), "alerts.csv", &lines(&mut random));
    let (once, killed) = (folder.path().join("once"), folder.path().join("killed"));

    let clean = Host::start_with(BINARY, &once, &SETTINGS);
    let output = clean.weir(["alert", "send", &path, "--json"]);
    let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(whole["balance"]["received"], LINES);

    let mut host = Host::start_with(BINARY, &killed, &SETTINGS);
    let send = ["alert", "send", &path, "--resume", "once", "--batch", BATCH, "--reconnect-s", "60", "--json"];
    let mut client: Option<Child> = None;
    let mut kills = [0; 2];
    for _ in 0..ROUNDS {
        let slowly = || host.command(send).args(["--rate", RATE]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut sending = client.take().unwrap_or_else(|| slowly().unwrap());
        std::thread::sleep(Duration::from_millis(20 + random.below(250)));
        assert_eq!(sending.try_wait().unwrap(), None, "it goes on while the server is away, and is not done");
        let whom = random.below(3);
        if whom != 0 {
            host = host.kill_and_restart(&killed, &SETTINGS);
            kills[0] += 1;
        }
        if whom != 1 {
            sending.kill().unwrap();
            sending.wait().unwrap();
            kills[1] += 1;
        } else {
            client = Some(sending);
        }
    }
    client.into_iter().for_each(|mut client| {
        client.kill().unwrap();
        client.wait().unwrap();
    });
    let output = host.weir(send);
    let rest: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let before = rest["sent_before_count"].as_u64().unwrap();
    println!("server killed {} times, client {}; {before} of {LINES} were sent by then", kills[0], kills[1]);
    assert!(before > 0 && before < LINES, "{rest}");
    // Batches of the client that was killed last may still arrive, and are answered as what they are.
    assert!(rest["balance"]["received"].as_u64().unwrap() + before == LINES, "{rest}");

    let (found, expected) = (contents(&host), contents(&clean));
    assert_eq!(found.0, expected.0);
    assert!(found.1 == expected.1, "the same alerts in the same order: {} and {}", found.1.len(), expected.1.len());

    // Once more there is nothing to send, and another file is not sent under this name.
    let again = host.json(send);
    assert_eq!((&again[0]["sent_before_count"], &again[0]["balance"]["received"]), (&LINES.into(), &0.into()));
    let other = host::file(folder.path(), "alerts.csv", &lines(&mut random));
    let output = host.weir(["alert", "send", &other, "--resume", "once"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64));
    assert!(said.contains("--resume: this is not what was begun under the name: of 12,000 alerts"), "{said}");
    let output = clean.weir(["alert", "send", &other, "--producer", "numbers", "--rate", "9000000"]);
    assert_eq!(output.status.code(), Some(64), "lines that cannot be read");
    let output = clean.weir(["alert", "send", &other, "--resume", "numbers"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--resume: numbers has sent batches that cannot be gone on with"), "{said}");
    assert_eq!((clean.stop(), host.stop()), (Some(0), Some(0)));
}
