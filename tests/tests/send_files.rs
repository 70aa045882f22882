//! Folders, stdin, and files that grow, through the real binary.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use weir_tests::host::{self, Host};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const DEVICE: &str = "00-DB-12-34-56-78-90-A0";

fn document(counter: u64) -> String {
    format!(
        "<Response><Header><ResponseID>{DEVICE}:90-B3-D5-1F-30-02-00-00:{counter}</ResponseID></Header><Body>\
         <DCCAlertMessage><DCCAlertCode>N24</DCCAlertCode></DCCAlertMessage></Body></Response>\n"
    )
}

fn received(host: &Host) -> u64 {
    host.json(["count", "--json"])[0]["total"]["balance"]["received"].as_u64().unwrap()
}

#[test]
fn a_folder_is_sent_in_order_of_names_and_gone_on_with_when_it_has_more() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, &folder.path().join("data"));
    let alerts = folder.path().join("alerts");
    fs::create_dir_all(alerts.join("deeper")).unwrap();
    host::file(&alerts, "2.csv", &format!("device,code\n{DEVICE},8F40\n{DEVICE},zz\n"));
    host::file(&alerts, "3.csv", "no,such,columns\n");
    host::file(&alerts, "notes.txt", "nothing");
    host::file(&alerts, ".hidden.csv", "device,code\n");
    for counter in 1..=3 {
        host::file(&alerts, &format!("1-{counter}.xml"), &document(counter));
    }
    assert!(Command::new("gzip").arg(alerts.join("1-3.xml")).status().unwrap().success());
    let path = alerts.to_str().unwrap();

    let output = host.weir(["alert", "send", path, "--dry-run", "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["alert_count"], &found["unreadable_count"]), (&4.into(), &2.into()));

    let output = host.weir(["alert", "send", path, "--resume", "folder", "--json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{said}");
    for words in [
        "notes.txt: passed over",
        "deeper: passed over, it is a folder",
        ".hidden.csv: passed over",
        "error: 2.csv: line 3: code: ",
        "error: 3.csv: line 1: header: unknown column",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&sent["balance"]["received"], &sent["balance"]["forwarded"]), (&6.into(), &4.into()), "{sent}");
    let files: Vec<_> =
        sent["files"].as_array().unwrap().iter().map(|file| (&file["file"], &file["alert_count"])).collect();
    let expected = [("1-1.xml", 1), ("1-2.xml", 1), ("1-3.xml.gz", 1), ("2.csv", 1), ("3.csv", 0)]
        .map(|(n, c)| (n.into(), c.into()));
    assert_eq!(files, expected.iter().map(|(name, count): &(Value, Value)| (name, count)).collect::<Vec<_>>());

    host::file(&alerts, "4.ndjson", &format!("{{\"device\":\"{DEVICE}\",\"code\":\"8F40\"}}\n"));
    let more = host.json(["alert", "send", path, "--resume", "folder", "--json"]);
    assert_eq!((&more[0]["sent_before_count"], &more[0]["balance"]["received"]), (&6.into(), &1.into()));
    host::file(&alerts, "0.csv", &format!("device,code\n{DEVICE},8F40\n"));
    let output = host.weir(["alert", "send", path, "--resume", "folder"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("they are others"), "one before those that were begun");

    let empty = host.weir(["alert", "send", alerts.join("deeper").to_str().unwrap()]);
    assert_eq!(empty.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&empty.stderr).contains("it holds no file of alerts"));
    assert_eq!(host.stop(), Some(0));
}

/// A client that follows a file, and what it said at its end.
struct Following(Child);

impl Following {
    fn start(host: &Host, path: &str, more: &[&str]) -> Self {
        let arguments = [&["alert", "send", path, "--follow", "--json"], more].concat();
        let child = host.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Self(child.unwrap())
    }

    /// Ctrl-C.
    fn interrupted(self) -> (Value, String, Option<i32>) {
        kill_process(Pid::from_child(&self.0), Signal::INT).unwrap();
        let output = self.0.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (serde_json::from_slice(&output.stdout).expect(&said), said, output.status.code())
    }
}

fn append(path: &str, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn wait_for(host: &Host, count: u64) {
    let until = Instant::now() + Duration::from_secs(30);
    while received(host) != count {
        assert!(Instant::now() < until, "{} arrived, {count} were written", received(host));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_file_that_grows_is_followed_over_rotation_and_truncation_until_ctrl_c() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, &folder.path().join("data"));
    let path = host::file(folder.path(), "alerts.csv", &format!("device,code\n{DEVICE},8F40\n"));
    let following = Following::start(&host, &path, &["--resume", "growing"]);
    wait_for(&host, 1);
    append(&path, &format!("{DEVICE},8F40\n{DEVICE},8F4"));
    wait_for(&host, 2);
    append(&path, "1\n");
    wait_for(&host, 3);
    fs::rename(&path, Path::new(&path).with_extension("old")).unwrap();
    append(&path, &format!("code,device\n8014,{DEVICE}\n"));
    wait_for(&host, 4);
    fs::write(&path, "").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    append(&path, &format!("device,code\n{DEVICE},N24\nnobody,N24\n{DEVICE},N2"));
    wait_for(&host, 6);
    let (sent, said, exit) = following.interrupted();
    assert_eq!((&sent["balance"]["received"], &sent["balance"]["forwarded"]), (&6.into(), &5.into()), "{said}");
    assert!(said.contains("line 3: device: "), "{said}");
    assert_eq!(exit, Some(64), "a line could not be read: {said}");

    // Gone on with: the line that had no end has one now.
    append(&path, "5\n");
    let following = Following::start(&host, &path, &["--resume", "growing"]);
    wait_for(&host, 7);
    let (sent, said, exit) = following.interrupted();
    assert_eq!(
        (&sent["sent_before_count"], &sent["balance"]["received"], exit),
        (&2.into(), &1.into(), Some(0)),
        "{said}"
    );
    let codes = host.json(["alert", "list", "--json"]);
    let codes: Vec<_> = codes.iter().map(|logged| logged["alert"]["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["8F40", "8F40", "8F41", "8014", "N24", "N25"]);

    // What was begun is not there any more.
    fs::write(&path, "device,code\n").unwrap();
    let output = host.weir(["alert", "send", &path, "--follow", "--resume", "growing"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(64) && said.contains("it has fewer of them"), "{said}");
    let refused = host.weir(["alert", "send", "--follow", &host::file(folder.path(), "a.xml", "")]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not a file that grows by lines"));
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_file_that_was_renamed_while_nobody_followed_is_read_to_its_end_first() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, &folder.path().join("data"));
    let path = host::file(folder.path(), "alerts.csv", &format!("device,code\n{DEVICE},8F40\nnobody,8F41\n"));
    let follow = |more: u64| {
        let expected = received(&host) + more;
        let following = Following::start(&host, &path, &["--resume", "service"]);
        wait_for(&host, expected);
        following.interrupted()
    };
    let (sent, said, _) = follow(2);
    assert_eq!(sent["sent_before_count"], 0, "{said}");

    // Twice renamed: what was begun is the older one, and the names do not tell which that is.
    append(&path, &format!("{DEVICE},8F42\n{DEVICE},8F43"));
    let dated = format!("{path}-20261124");
    fs::rename(&path, &dated).unwrap();
    append(&path, &format!("device,code\n{DEVICE},8F44\n"));
    fs::rename(&path, format!("{path}.1")).unwrap();
    append(&path, &format!("device,code\n{DEVICE},8F45\n"));
    // Copies and packed ones are no files that made room, and one of long ago was read before.
    fs::copy(&path, format!("{path}.bak")).unwrap();
    let old = host::file(folder.path(), "alerts.csv.7", &format!("device,code\n{DEVICE},8F3F\n"));
    let long_ago = fs::metadata(&dated).unwrap().modified().unwrap() - Duration::from_secs(86_400);
    OpenOptions::new().append(true).open(old).unwrap().set_modified(long_ago).unwrap();

    let (sent, said, exit) = follow(4);
    assert_eq!(
        (&sent["sent_before_count"], &sent["balance"]["received"], exit),
        (&2.into(), &4.into(), Some(0)),
        "{said}"
    );
    append(&path, &format!("{DEVICE},8F46\n"));
    let (sent, said, _) = follow(1);
    assert_eq!((&sent["sent_before_count"], &sent["balance"]["received"]), (&1.into(), &1.into()), "{said}");
    let codes = host.json(["alert", "list", "--json"]);
    let codes: Vec<_> = codes.iter().map(|logged| logged["alert"]["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["8F40", "8F42", "8F43", "8F44", "8F45", "8F46"]);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn what_comes_through_a_pipe_is_sent_when_nothing_more_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, &folder.path().join("data"));
    let mut command = host.command(["alert", "send", "-", "--format", "csv", "--json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(format!("device,code\n{DEVICE},8F40\n{DEVICE},8F4").as_bytes()).unwrap();
    wait_for(&host, 1);
    pipe.write_all(b"1\nnobody,8F40\n").unwrap();
    wait_for(&host, 3);
    pipe.write_all(format!("{DEVICE},8F42").as_bytes()).unwrap();
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&sent["balance"]["received"], &sent["balance"]["forwarded"]), (&4.into(), &3.into()));
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn stdin_is_a_file_of_a_format_that_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, &folder.path().join("data"));
    for (format, text) in [
        ("csv", format!("device,code\n{DEVICE},8F40\n")),
        ("ndjson", format!("{{\"device\":\"{DEVICE}\",\"code\":\"8F40\"}}")),
        ("duis-xml", document(1)),
    ] {
        let mut command = host.command(["alert", "send", "-", "--format", format, "--json"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(sent["balance"]["forwarded"], 1, "{format}");
    }
    let output = host.weir(["alert", "send", "-"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("--format: not given"));
    assert_eq!((received(&host), host.stop()), (3, Some(0)));
}

#[test]
fn what_one_host_wrote_is_sent_to_another_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str| Host::start_with(BINARY, &folder.path().join(name), &[host::KEEPS_ALL]);
    let (one, other, third) = (of("one"), of("other"), of("third"));
    let csv = format!(
        "device,counter,code,recipient,occurred_ms,dcc_ms,received_ms,measurement,weight,payload_kind,sender,\
         instruction_number,message_digest,occurred_at_status,dcc_at_status,stated_generation,stated_mpxn,throttle_sequence,\
         instruction_count,interrupted_at,restored_ms,inner_code,stated_note\n\
         {DEVICE},18446744073709551615,8F40,90-B3-D5-1F-30-02-00-00,1764000000123,1764000000124,1764000000456,2581,1,dlms,,2,\
         0123456789abcdef,,,,,,3,,,,\n\
         {DEVICE},,N24,,1764000000124,,1764000000457,-7,4294,,90-B3-D5-1F-30-00-00-02,,,unreliable,left-out,smets1,\
         1000000000012,4294967295,,2025-11-24T15:00:00.5Z,1764000000000,81A0,'=S1VE: no answer\n\
         00-DB-12-34-56-78-90-A1,7,8014,,,,1764086400000,,1,gbz,,,,,,,,,,,,,\n"
    );
    let sent = one.json(["alert", "send", &host::file(folder.path(), "alerts.csv", &csv), "--json"]);
    let exported = folder.path().join("exported");
    let days = ["--since", "2025-11-24", "--until", "2025-11-26"];
    one.json([&["export", "--parquet", exported.to_str().unwrap(), "--json"], &days[..]].concat());
    let mut received = 0;
    for day in ["day=2025-11-24", "day=2025-11-25"] {
        let output = other.weir(["alert", "send", exported.join(day).to_str().unwrap(), "--json"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(said, "", "what an export says of a host's decisions is passed over without a word");
        let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
        received += sent["balance"]["forwarded"].as_u64().unwrap();
    }
    assert_eq!((&sent[0]["balance"]["forwarded"], received), (&3.into(), 3));
    let alerts = |host: &Host| -> Vec<Value> {
        host.json(["alert", "list", "--json"]).into_iter().map(|logged| logged["alert"].clone()).collect()
    };
    assert_eq!(alerts(&one), alerts(&other));
    let kinds: Vec<Value> = alerts(&one).into_iter().map(|alert| alert["payload_kind"].clone()).collect();
    assert_eq!(kinds, ["dlms", "csv", "gbz"]);
    let message = |at: usize, name: &str| alerts(&one)[at][name].clone();
    assert_eq!((message(0, "instruction_number"), message(0, "message_digest")), (2.into(), "0123456789abcdef".into()));
    assert_eq!(message(1, "sender_id"), "90-B3-D5-1F-30-00-00-02");
    let statuses: Vec<Value> = (0..3).map(|at| message(at, "occurred_at_status")).collect();
    assert_eq!(statuses, ["stated", "unreliable", "not-stated"]);
    assert_eq!(
        (message(0, "details"), message(2, "details")),
        (serde_json::json!({"instruction_count": 3}), Value::Null)
    );
    assert_eq!((message(1, "dcc_at_status"), message(1, "stated_generation")), ("left-out".into(), "smets1".into()));
    let stated = serde_json::json!({
        "mpxn": "1000000000012", "throttle_sequence": u32::MAX, "interrupted_at_ms": 1_763_996_400_500_i64,
        "restored_at_ms": 1_764_000_000_000_i64, "inner_code": "81A0", "note": "=S1VE: no answer",
    });
    assert_eq!(message(1, "details"), stated);

    let tail = ["alert", "tail", "--from", "oldest", "--until-caught-up", "--format", "csv"];
    let mut tail = one.command(tail).stdout(Stdio::piped()).spawn().unwrap();
    let mut send = third.command(["alert", "send", "-", "--format", "csv", "--json"]);
    let output = send.stdin(tail.stdout.take().unwrap()).output().unwrap();
    assert!(tail.wait().unwrap().success() && output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(alerts(&one), alerts(&third));
    // To the host that wrote it, all that has a counter is a copy.
    let again = |day: &str| one.json(["alert", "send", exported.join(day).to_str().unwrap(), "--json"]).remove(0);
    let (first, second) = (again("day=2025-11-24")["balance"].clone(), again("day=2025-11-25")["balance"].clone());
    assert_eq!((&first["duplicate"], &first["forwarded"], &second["duplicate"]), (&1.into(), &1.into(), &1.into()));
    let text = host::file(folder.path(), "no.parquet", "device,code\n");
    let output = other.weir(["alert", "send", &text]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("no.parquet: file: this is no Parquet file"),
        "{output:?}"
    );
    assert_eq!((one.stop(), other.stop(), third.stop()), (Some(0), Some(0), Some(0)));
}
