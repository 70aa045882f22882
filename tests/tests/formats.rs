//! Files of every format through the real binary: the same alerts, whatever they are written in.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use weir_tests::host::{self, Host};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

struct Files {
    host: Host,
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::start_with(BINARY, &folder.path().join("data"), &[host::KEEPS_ALL]);
        Self { host, folder }
    }

    fn file(&self, name: &str, text: &str) -> String {
        host::file(self.folder.path(), name, text)
    }

    /// Sends a file; gives what was said of it on stdout and on stderr.
    fn send(&self, arguments: &[&str]) -> (Value, String) {
        let output = self.host.weir([&["alert", "send", "--json"], arguments].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        (serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{stderr}")), stderr)
    }

    /// The alerts that are logged from a position on.
    fn logged(&self, from: u64) -> Vec<Value> {
        let all = self.host.json(["alert", "list", "--json"]);
        let wanted = all.into_iter().filter(|alert| alert["position"].as_u64().unwrap() >= from);
        wanted.map(|logged| logged["alert"].clone()).collect()
    }
}

/// Alerts without what begins with one of these.
fn without(alerts: &[Value], keys: &[&str]) -> Vec<Value> {
    let alerts = alerts.iter().map(|alert| {
        let mut alert = alert.clone();
        alert.as_object_mut().unwrap().retain(|key, _| !keys.iter().any(|start| key.starts_with(start)));
        alert
    });
    alerts.collect()
}

fn document(id: &str, code: &str, payload: &[u8]) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<sr:Response xmlns:sr=\"urn:sr\"><sr:Header><sr:ResponseID>{id}</sr:ResponseID></sr:Header>\
         <sr:Body><ra:DeviceAlertMessage xmlns:ra=\"urn:ra\"><ra:AlertCode>{code}</ra:AlertCode><ra:GBCSPayload>{}\
         </ra:GBCSPayload></ra:DeviceAlertMessage></sr:Body></sr:Response>\n",
        STANDARD.encode(payload)
    )
}

#[test]
fn csv_and_json_lines_packed_or_not_are_the_same_alerts() {
    let files = Files::new();
    let csv = "device,counter,code,received_at,voltage_v\n\
               00-DB-12-34-56-78-90-A0,1,8F40,2026-11-01T10:15:00Z,258.1\n\
               00-DB-12-34-56-78-90-A0,2,N24,2026-11-01T10:16:00Z,\n";
    let json = "{\"device\":\"00-DB-12-34-56-78-90-A0\",\"counter\":11,\"code\":\"8F40\",\"received_at\":\
                \"2026-11-01T10:15:00Z\",\"voltage_v\":258.1}\n{\"device\":\"00DB1234567890A0\",\"counter\":\"12\",\
                \"code\":\"n24\",\"received_at\":\"2026-11-01T10:16:00Z\"}\n{\"code\":\"8F40\"}\n";
    let (sent, _) = files.send(&[&files.file("alerts.csv", csv)]);
    assert_eq!((&sent["balance"]["forwarded"], &sent["unreadable_count"]), (&2.into(), &0.into()));
    let first = files.logged(0);
    assert_eq!((first.len(), &first[1]["code"]), (2, &"N24".into()), "{first:?}");

    let path = files.file("alerts.ndjson", json);
    assert!(Command::new("gzip").arg(&path).status().unwrap().success());
    let (sent, stderr) = files.send(&[&format!("{path}.gz")]);
    assert_eq!((&sent["balance"]["forwarded"], &sent["unreadable_count"]), (&2.into(), &1.into()));
    assert!(stderr.contains("line 3: device: must not be empty"), "{stderr}");
    let same = ["originator_counter"];
    assert_eq!(without(&files.logged(2), &same), without(&first, &same));
    assert_eq!(files.host.json(["count", "--code", "N24", "--json"])[0]["total"]["balance"]["forwarded"], 2);

    // A rule is told of the DCC's codes like of any other.
    files.host.json(["plugin", "push", env!("WEIR_GUEST_MATCH"), "--json"]);
    let rule = ["rule", "set", "dcc", "--plugin", "match", "--parameters", r#"{"codes":["N24"]}"#, "--json"];
    files.host.json(rule);
    let (sent, _) = files.send(&[&files.file("more.csv", "device,code\n00DB1234567890A0,N24\n00DB1234567890A0,N25\n")]);
    assert_eq!((&sent["balance"]["suppressed"], &sent["balance"]["forwarded"]), (&1.into(), &1.into()));
    assert_eq!(files.host.stop(), Some(0));
}

#[test]
fn a_dry_run_says_what_is_in_a_file_and_sends_nothing() {
    let files = Files::new();
    let good = document("00-DB-12-34-56-78-90-A0:90-B3-D5-1F-30-02-00-00:7", "8F40", b"no message");
    let text = format!("{good}<Response><Body/></Response>\n<Response><broken>\n{good}");
    let path = files.file("responses.xml", &text);
    let output = files.host.weir(["alert", "send", "--dry-run", "--json", &path]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&found["alert_count"], &found["unreadable_count"], &found["by_code"][0]["code"]),
        (&2.into(), &1.into(), &"8F40".into()),
        "the document after one that is cut short is read"
    );
    assert_eq!(output.status.code(), Some(64), "a line that cannot be read is said to whoever asks the exit code");
    for said in ["note: line 1: GBCSPayload: ", "note: line 3: Body: it holds no alert", "error: line 4: document: "] {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
    assert!(files.logged(0).is_empty());
    let (sent, _) = files.send(&[&path]);
    assert_eq!((&sent["balance"]["forwarded"], &sent["balance"]["rejected"]), (&1.into(), &1.into()));
    assert_eq!(files.host.stop(), Some(0));
}

/// The published sample messages are not ours to copy. Where they are at hand, WEIR_RTDS names the file.
#[test]
fn published_messages_are_the_same_alerts_in_hex_and_in_envelopes() {
    let Some(samples) = std::env::var_os("WEIR_RTDS").map(|path| fs::read_to_string(path).unwrap()) else {
        let _ = writeln!(std::io::stderr(), "WEIR_RTDS is not set: no messages to send");
        return;
    };
    let files = Files::new();
    let count = samples.lines().count() as u64 - 1;
    let (sent, stderr) = files.send(&[&files.file("messages.hex", &samples)]);
    assert_eq!((&sent["balance"]["received"], &sent["unreadable_count"]), (&count.into(), &0.into()), "{stderr}");
    let plain = files.logged(0);
    assert!(plain.len() >= 53, "{} messages", plain.len());

    let (other, mut text) = (Files::new(), String::new());
    for (hex, alert) in samples.lines().skip(1).zip(&plain) {
        let hex = hex.rsplit('\t').next().unwrap();
        let bytes: Vec<u8> =
            (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
        let id = format!(
            "{}:{}:{}",
            alert["device_id"].as_str().unwrap(),
            alert["recipient_id"].as_str().unwrap(),
            alert["originator_counter"]
        );
        text.push_str(&document(&id, alert["code"].as_str().unwrap(), &bytes));
    }
    let (sent, stderr) = other.send(&[&other.file("responses.xml", &text)]);
    assert_eq!((&sent["balance"]["received"], stderr.as_str()), (&count.into(), ""));
    // Where a message has no time, that of its receipt is taken.
    let same = ["received", "occurred"];
    assert_eq!(without(&other.logged(0), &same), without(&plain, &same));
    assert_eq!((files.host.stop(), other.host.stop()), (Some(0), Some(0)));
}

/// A gigabyte without an end of a line or a tag would be held as one: what is held is looked at once all was read.
#[test]
fn an_input_without_an_end_is_not_held_and_what_follows_is_read() {
    const BYTES: usize = 96 << 20;
    let good = document("00-DB-12-34-56-78-90-A0:90-B3-D5-1F-30-02-00-00:7", "8F40", b"no message");
    let csv = "device,code\n\"";
    for (format, head, kind, tail, alerts, words) in [
        ("csv", csv, b'x', "\n00DB1234567890A0,8F40\n", 1, "line 2: line: longer than 65536 bytes"),
        (
            "ndjson",
            "[",
            b'[',
            "\n{\"device\":\"00DB1234567890A0\",\"code\":\"8F40\"}\n",
            1,
            "line 1: line: longer than",
        ),
        ("gbcs-hex", "", b'0', "\n00\n", 0, "line 1: line: longer than 65536 bytes"),
        ("duis-xml", "<Response a='", b'b', good.as_str(), 1, "line 1: document: longer than 262144 bytes"),
        ("duis-xml", "", b' ', good.as_str(), 1, ""),
    ] {
        let mut child = Command::new(BINARY)
            .args(["alert", "send", "-", "--format", format, "--dry-run", "--local", "--json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(head.as_bytes()).unwrap();
        let piece = vec![kind; 1 << 20];
        (0..BYTES / piece.len()).for_each(|_| stdin.write_all(&piece).unwrap());
        stdin.write_all(tail.as_bytes()).unwrap();
        // A pipe holds 64 KiB: the rest was read.
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak_kib: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(words), "{format}: {said}");
        let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{format}: {said}"));
        assert_eq!(found["alert_count"], alerts, "{format}: {found}");
        assert!(peak_kib < BYTES / 2 / 1024, "{format}: {peak_kib} KiB");
    }
}
