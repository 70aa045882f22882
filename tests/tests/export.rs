//! Alerts as Parquet, through the real binary: what is in the files is what is listed and counted, whoever reads them,
//! and an export that is cut short leaves none.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use weir_tests::{
    estate,
    exported::{files, rows},
    host::{self, Host},
    python,
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

/// A day like those of the estate, in a code that is protected: the rule `all` is overruled.
const PROTECTED: &str = "device,counter,code,received_ms\n00-0D-6F-00-00-00-00-03,900,8F35,1562112000000\n";

/// Alerts that the estate sends and that are new, and those that had been seen before.
const TAKEN: u64 = 3 * 1_200 + 7 + 1;
const DUPLICATE: u64 = 3 * 200;

struct Estate {
    host: Host,
    folder: tempfile::TempDir,
}

impl Estate {
    /// The estate of docs/reconcile.md, with rules that hold back, are overruled, let alerts stand for others, and fail.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::start_with(BINARY, &folder.path().join("data"), &[host::KEEPS_ALL]);
        let estate = Self { host, folder };
        for plugin in [
            env!("WEIR_GUEST_THRESHOLD"),
            env!("WEIR_GUEST_STORM"),
            env!("WEIR_GUEST_MATCH"),
            env!("WEIR_GUEST_HOSTILE"),
        ] {
            estate.host.json(["plugin", "push", plugin, "--json"]);
        }
        estate.host.json(["device", "load", &estate.file("devices.csv", &estate::inventory()), "--json"]);
        estate.set("fails", "hostile", r#"{"do":"trap","code":"8014"}"#);
        estate.set("all", "match", r#"{"codes":["8F35"]}"#);
        estate.set("storm", "storm", r#"{"more_than":1,"window_s":86400,"period_s":21600,"exclude_codes":["8F40"]}"#);
        for day in 0..3 {
            if day == 2 {
                estate.set("voltage", "threshold", r#"{"codes":["8F40"],"below_dv":2580}"#);
            }
            estate.send(&estate::alerts(day));
        }
        estate.send(PROTECTED);
        estate
    }

    fn set(&self, name: &str, plugin: &str, parameters: &str) {
        self.host.json(["rule", "set", name, "--plugin", plugin, "--parameters", parameters, "--json"]);
    }

    fn file(&self, name: &str, text: &str) -> String {
        host::file(self.folder.path(), name, text)
    }

    fn send(&self, text: &str) {
        self.host.json(["alert", "send", &self.file("alerts.csv", text), "--batch", "500", "--json"]);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn export(&self, name: &str, arguments: &[&str]) -> Value {
        let fixed = ["export", "--json", "--parquet", self.path(name).to_str().unwrap()].map(str::to_owned);
        self.host.json(fixed.into_iter().chain(arguments.iter().map(|text| (*text).to_owned()))).remove(0)
    }

    fn refused(&self, name: &str, arguments: &[&str]) -> String {
        let fixed = ["export", "--json", "--parquet", self.path(name).to_str().unwrap()].map(str::to_owned);
        let output = self.host.weir(fixed.into_iter().chain(arguments.iter().map(|text| (*text).to_owned())));
        assert_eq!(output.status.code(), Some(64), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn counted(&self, arguments: &[&str]) -> Value {
        self.host.json([&["count", "--json"], arguments].concat()).remove(0)["total"]["balance"].clone()
    }
}

/// What a listed alert must be as a row.
fn expected(listed: &Value) -> (u64, Value) {
    let alert = &listed["alert"];
    let device = alert["device_id"].as_str().unwrap();
    let number = (0..estate::DEVICES + 2).find(|number| estate::eui(*number) == device).unwrap();
    let some = |value: &Value| if value == "" { Value::Null } else { value.clone() };
    let mark = |field: &str| listed["rule"].get(field).map_or(Value::Null, some);
    let faults = listed["faults"].as_array().filter(|faults| !faults.is_empty());
    let remarks: Vec<&str> = listed["remarks"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let received_ms = alert["received_at_ms"].as_i64().unwrap();
    let day = ["2019-06-30", "2019-07-01", "2019-07-02", "2019-07-03"][(received_ms / 86_400_000 - 18_077) as usize];
    let row = json!({
        "day": format!("day={day}"),
        "device_id": device,
        "mpxn": estate::mpan(number),
        "secondary_mpan": Value::Null,
        "export_mpan": Value::Null,
        "operator": listed["operator"],
        "generation": listed["generation"],
        "model": some(&listed["model"]),
        "code": alert["code"],
        "received_at": received_ms,
        "occurred_at": alert["occurred_at_ms"],
        "measurement": alert["measurement"],
        "weight": alert["weight"],
        "originator_counter": alert["originator_counter"],
        "recipient_id": alert["recipient_id"],
        "payload_kind": alert["payload_kind"],
        "outcome": listed["outcome"],
        "rule": mark("name"),
        "revision": mark("revision"),
        "plugin_digest": mark("plugin_digest"),
        "plugin_name": mark("plugin_name"),
        "parameters": mark("parameters"),
        "reason": mark("reason"),
        "overruled": listed["overruled"],
        "withheld": listed["withheld"],
        "faults": faults.map(|faults| serde_json::to_string(faults).unwrap()),
        "dcc_at": alert["dcc_at_ms"],
        "sender_id": alert["sender_id"],
        "instruction_number": alert["instruction_number"],
        "message_digest": alert["message_digest"],
        "occurred_at_status": alert["occurred_at_status"],
        "dcc_at_status": alert["dcc_at_status"],
        "stated_generation": alert["stated_generation"],
        "stated_mpxn": alert["details"]["mpxn"],
        "throttle_sequence": alert["details"]["throttle_sequence"],
        "instruction_count": alert["details"]["instruction_count"],
        "interrupted_at": alert["details"]["interrupted_at_ms"],
        "restored_at": alert["details"]["restored_at_ms"],
        "inner_code": alert["details"]["inner_code"],
        "stated_note": alert["details"]["note"],
        "remarks": Some(remarks.join(",")).filter(|remarks| !remarks.is_empty()),
    });
    (listed["position"].as_u64().unwrap(), row)
}

/// The same, with objects in the order of their keys: texts of JSON may have any.
fn faults_read(row: &Value) -> Value {
    row["faults"].as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

fn listed(host: &Host, arguments: &[&str]) -> BTreeMap<u64, Value> {
    let fixed = ["alert", "list", "--limit", "100000", "--json"];
    host.json([&fixed[..], arguments].concat()).iter().map(expected).collect()
}

fn assert_same(exported: &BTreeMap<u64, Value>, listed: &BTreeMap<u64, Value>) {
    assert_eq!(exported.len(), listed.len());
    for (position, row) in listed {
        let (mut found, mut row) = (exported[position].clone(), row.clone());
        assert_eq!(faults_read(&found), faults_read(&row), "position {position}");
        found["faults"] = Value::Null;
        row["faults"] = Value::Null;
        assert_eq!(found, row, "position {position}");
    }
}

#[test]
fn an_export_is_what_is_listed_and_counted() {
    let estate = Estate::new();
    let summary = estate.export("all", &[]);
    let exported = rows(&estate.path("all"));
    assert_same(&exported, &listed(&estate.host, &["--forwarded", "--suppressed"]));
    // Each kind of row is there.
    let some = |of: &dyn Fn(&Value) -> bool| exported.values().filter(|row| of(row)).count();
    assert_eq!(some(&|row| row["overruled"] == true), 1);
    assert!(some(&|row| row["withheld"] != 0) > 50 && some(&|row| row["measurement"] == Value::Null) > 0);
    assert!(some(&|row| row["faults"] != Value::Null) > 0 && some(&|row| row["weight"] == 61) > 0);

    let counted = estate.counted(&[]);
    let [forwarded, suppressed] = ["forwarded", "suppressed"].map(|end| counted[end].as_u64().unwrap());
    assert_eq!((forwarded + suppressed, counted["duplicate"].as_u64().unwrap()), (TAKEN, DUPLICATE));
    assert_eq!((&summary["forwarded"], &summary["suppressed"]), (&json!(forwarded), &json!(suppressed)));
    assert_eq!((&summary["rows"], &summary["gone"], &summary["days"]), (&json!(TAKEN), &json!(0), &json!(4)));
    let files = files(&estate.path("all"));
    let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    assert_eq!((&summary["files"], &summary["bytes"]), (&json!(files.len()), &json!(bytes)));

    // Every filter that counts and listings have.
    for (name, filter) in [
        ("day", &["--since", "2019-07-01", "--until", "2019-07-02T10:00:00Z"][..]),
        ("code", &["--code", "8F40", "--operator", "12"]),
        ("model", &["--generation", "smets1,unknown", "--model", "Alpha-1,unknown"]),
        ("none", &["--generation", "smets2"]),
    ] {
        let summary = estate.export(name, filter);
        let rows = rows(&estate.path(name));
        assert_same(&rows, &listed(&estate.host, &[filter, &["--forwarded", "--suppressed"]].concat()));
        let counted = estate.counted(filter);
        let both = counted["forwarded"].as_u64().unwrap() + counted["suppressed"].as_u64().unwrap();
        assert_eq!((rows.len() as u64, summary["rows"].as_u64()), (both, Some(both)), "{name}");
    }
    let summary = estate.export("copies", &["--duplicates"]);
    assert_same(&rows(&estate.path("copies")), &listed(&estate.host, &[]));
    assert_eq!((&summary["rows"], &summary["duplicate"]), (&json!(TAKEN + DUPLICATE), &json!(DUPLICATE)));

    let text = estate.host.weir(["export", "--parquet", estate.path("text").to_str().unwrap()]).stdout;
    let balance =
        format!("{} forwarded + {} suppressed, as `weir count` has them at", grouped(forwarded), grouped(suppressed));
    assert!(String::from_utf8(text).unwrap().contains(&balance), "{balance}");
    assert_eq!(estate.host.stop(), Some(0));
}

fn grouped(number: u64) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

#[test]
fn what_is_there_is_replaced_only_if_that_is_asked_for() {
    let estate = Estate::new();
    let refused = estate.refused("alerts", &["--since", "2019-07-01T00:30:00Z"]);
    assert!(refused.contains("--since: 2019-07-01T00:30:00Z is no whole hour"), "{refused}");
    assert!(!estate.path("alerts").exists());

    let july = ["--since", "2019-07-01"];
    estate.export("alerts", &july);
    let before = rows(&estate.path("alerts"));
    let refused = estate.refused("alerts", &["--since", "2019-07-02", "--until", "2019-07-03"]);
    assert!(refused.contains("day=2019-07-02/part-0.parquet is there already") && refused.contains("--overwrite"));
    assert_eq!(rows(&estate.path("alerts")), before);
    // A day that is not there yet is added.
    estate.export("alerts", &["--until", "2019-07-01"]);
    assert!(rows(&estate.path("alerts")).len() > before.len());
    // Of three days that are replaced one has nothing of this code.
    estate.export("alerts", &["--since", "2019-07-01", "--code", "8F35", "--overwrite"]);
    let days: BTreeSet<String> =
        rows(&estate.path("alerts")).into_values().map(|row| row["day"].as_str().unwrap().to_owned()).collect();
    assert_eq!(days, ["day=2019-06-30", "day=2019-07-03"].map(str::to_owned).into());
    assert_eq!(estate.host.stop(), Some(0));
}

/// Hands bytes to a server and back. Of what comes back only so many; then it is silent.
fn stalling_proxy(server: &str, bytes: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = server.trim_start_matches("http://").to_owned();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let there = TcpStream::connect(&server).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), there.try_clone().unwrap());
            thread::spawn(move || {
                // It ends with the client, and so does the other direction.
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
            let (mut from, mut to) = (there, client);
            thread::spawn(move || {
                let mut left = bytes;
                let mut buffer = [0; 4_096];
                while left > 0 {
                    let Some(read) = from.read(&mut buffer).ok().filter(|read| *read > 0) else { return };
                    let _ = to.write_all(&buffer[..read.min(left)]);
                    left = left.saturating_sub(read);
                }
                // Neither closed nor read from, until the other side goes.
                while from.read(&mut buffer).is_ok_and(|read| read > 0) {}
            });
        }
    });
    url
}

#[test]
fn an_export_that_is_cut_short_leaves_nothing_a_reader_would_take() {
    let estate = Estate::new();
    let path = estate.path("alerts");
    let start = |url: &str| {
        let arguments = ["export", "--parquet", path.to_str().unwrap()];
        Command::new(BINARY).args(arguments).env("WEIR_SERVER", url).stderr(Stdio::piped()).spawn().unwrap()
    };
    // Killed while pages are on their way: enough passes for the counts and the inventory, and not the alerts.
    let mut killed = start(&stalling_proxy(&estate.host.url, 20_000));
    let until = Instant::now() + Duration::from_secs(20);
    while !path.join(".weir-export").exists() {
        assert!(Instant::now() < until && killed.try_wait().unwrap().is_none(), "the export is under way");
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(Duration::from_millis(100));
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(files(&path), Vec::<PathBuf>::new());
    assert!(path.join(".weir-export").exists(), "it could not clean up");

    // The next one does, and is not in the way of itself.
    fs::write(path.join(".weir-export/day=2019-07-01-part-0.parquet.unfinished"), "PAR1").unwrap();
    estate.export("alerts", &[]);
    assert_eq!(rows(&path).len() as u64, TAKEN);
    assert!(!path.join(".weir-export").exists());

    // A server that goes is a failure of its own kind, and what was there stays.
    let before = rows(&path);
    let url = estate.host.url.clone();
    assert_eq!(estate.host.stop(), Some(0));
    let arguments = ["export", "--overwrite", "--parquet", path.to_str().unwrap()];
    let gone = Command::new(BINARY).args(arguments).env("WEIR_SERVER", url).output().unwrap();
    assert_eq!(gone.status.code(), Some(69), "{gone:?}");
    assert_eq!(rows(&path), before);
    assert!(!path.join(".weir-export").exists());
}

#[test]
fn an_export_beside_a_stream_of_alerts_is_as_of_one_log_position() {
    let estate = Estate::new();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for counter in 10_000.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let rows: String =
                    (0..500).map(|nth| format!("{},{counter}{nth:03},8F40,259.0\n", estate::eui(3))).collect();
                let file = estate.file("live.csv", &format!("device,counter,code,voltage_v\n{rows}"));
                estate.host.json(["alert", "send", &file, "--json"]);
            }
        });
        let mut seen = BTreeSet::new();
        for round in 0..5 {
            let name = format!("round-{round}");
            let summary = estate.export(&name, &[]);
            let rows = rows(&estate.path(&name));
            let position = summary["position"].as_u64().unwrap();
            assert!(rows.keys().all(|at| *at < position));
            assert_eq!((json!(rows.len()), &summary["gone"]), (summary["rows"].clone(), &json!(0)));
            seen.insert(position);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(seen.len() > 1, "alerts arrived meanwhile");
    });
    assert_eq!(estate.host.stop(), Some(0));
}

#[test]
fn what_retention_took_from_the_log_is_said_to_be_gone() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("WEIR_STORE__LOG_BYTES_MAX", "1048576"), ("WEIR_STORE__RECOVERY_ROWS_MAX", "2000")];
    let host = Host::start_with(BINARY, &folder.path().join("data"), &settings);
    let send = |first: u64, count: u64| {
        let row = |nth: u64| {
            // Numbers that do not compress.
            let noise = nth.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
            let (device, occurred_ms) = (estate::eui(nth % 500), 1_700_000_000_000 + noise);
            format!("{device},{},8F40,{occurred_ms},{noise}\n", nth / 500 + 1)
        };
        let rows: String = (first..first + count).map(row).collect();
        let file = folder.path().join("alerts.csv");
        fs::write(&file, format!("device,counter,code,occurred_ms,measurement_dv\n{rows}")).unwrap();
        host.json(["alert", "send", file.to_str().unwrap(), "--batch", "1000", "--json"]);
    };
    send(0, 140_000);
    let listed = || {
        let first = host.json(["alert", "list", "--limit", "1", "--json"]).remove(0);
        first["position"].as_u64().unwrap()
    };
    let mut sent = 140_000;
    let until = Instant::now() + Duration::from_secs(30);
    while listed() == 0 {
        assert!(Instant::now() < until, "the log is cut to a megabyte");
        thread::sleep(Duration::from_millis(300));
        send(sent, 500);
        sent += 500;
    }
    // Nothing arrives any more, so nothing more goes.
    let gone = listed();
    let target = folder.path().join("alerts");
    let output = host.weir(["export", "--json", "--parquet", target.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["gone"], &summary["rows"]), (&json!(gone), &json!(sent - gone)), "{said}");
    assert!(said.contains("alerts that are counted are no longer in the log, by retention"), "{said}");
    assert_eq!(rows(&target).len() as u64, sent - gone);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn an_operator_exports_its_own_alerts_alone() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, &folder.path().join("data"), &[("WEIR_AUTHENTICATE", "true")]);
    let admin = fs::read_to_string(folder.path().join("data/first-admin-token")).unwrap().trim().to_owned();
    let weir = |token: &str, arguments: &[&str]| host.weir([arguments, &["--json", "--token", token]].concat());
    let done = |output: Output| -> Value {
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let file = |name: &str, text: String| {
        fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let create = |name: &str, role: &[&str]| {
        let made = done(weir(&admin, &[&["token", "create", name, "--role"], role].concat()));
        made["secret"].as_str().unwrap().to_owned()
    };
    let lond = create("lond", &["operator", "--operator", "12"]);
    let sender = create("sender", &["ingest"]);
    let (theirs, ours) = (estate::eui(1), estate::eui(2));
    let devices = format!(
        "eui,mpxn,generation,model,operator\n{theirs},{},smets1,A,10\n{ours},{},smets1,A,12\n",
        estate::mpan(1),
        estate::mpan(2)
    );
    done(weir(&admin, &["device", "load", &file("devices.csv", devices)]));
    let rows_sent: String = (1..=20).map(|nth| format!("{theirs},{nth},8F40\n{ours},{nth},8014\n")).collect();
    done(weir(&admin, &["alert", "send", &file("alerts.csv", format!("device,counter,code\n{rows_sent}"))]));

    let target = folder.path().join("lond");
    let export = ["export", "--parquet", target.to_str().unwrap()];
    let summary = done(weir(&lond, &export));
    let exported = rows(&target);
    assert_eq!((exported.len(), &summary["rows"]), (20, &json!(20)));
    let own =
        |row: &Value| row["operator"] == 12 && row["device_id"] == json!(ours) && row["mpxn"] == json!(estate::mpan(2));
    assert!(exported.values().all(own), "{exported:?}");
    for (token, more) in [(&lond, &["--operator", "10", "--overwrite"][..]), (&sender, &["--overwrite"])] {
        let refused = weir(token, &[&export, more].concat());
        assert_eq!(refused.status.code(), Some(64), "{refused:?}");
    }
    assert_eq!(rows(&target), exported);
    assert_eq!(done(weir(&admin, &[&export[..], &["--overwrite"]].concat()))["rows"], 40);
    assert_eq!(host.stop(), Some(0));
}

/// The questions of docs/export.md.
fn questions() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/export.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks = page.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap().trim().to_owned());
    let line = page.split("$ duckdb -c \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    blocks.chain([line]).collect()
}

/// Reads a folder in DuckDB and pandas: the answers to questions, types, and sums.
const READS: &str = r#"
import json, os, sys
import duckdb, pandas
folder, questions = sys.argv[1], json.loads(sys.argv[2])
os.chdir(folder)
files = "read_parquet('alerts/**/*.parquet', hive_partitioning=true)"
duckdb.execute("set TimeZone = 'UTC'")
answers = [duckdb.execute(question).fetchall() for question in questions]
types = {name: kind for name, kind, *_ in duckdb.execute(f"describe select * from {files}").fetchall()}
ends = dict(duckdb.execute(f"select outcome, count(*) from {files} group by all").fetchall())
days = duckdb.execute(f"select day::varchar, count(*) from {files} where day = received_at::date group by all order by all").fetchall()
table = pandas.read_parquet("alerts", dtype_backend="pyarrow")
suppressed = table[table.outcome == "suppressed"]
print(json.dumps({
    "answers": answers, "types": types, "ends": ends, "days": days, "rows": len(table),
    "measured": int(table.measurement.notna().sum()), "counters": str(table.originator_counter.dtype),
    "received": str(table.received_at.dtype), "rules": suppressed.groupby("rule").size().to_dict(),
    "days_of_pandas": sorted(set(str(day) for day in table.day)),
}, default=str))
"#;

#[test]
fn duckdb_and_pandas_read_what_was_written() {
    let python = match python::with("export-python", &["duckdb", "pandas", "pyarrow"], env!("CARGO_TARGET_TMPDIR")) {
        Ok(python) => python,
        Err(why) => {
            // What the files hold is read by the tests above in any case. Past what cargo keeps of a test that is fine.
            let said = "NOT READ by DuckDB and pandas, for there is no Python with them";
            writeln!(io::stderr(), "{said}: {why}").unwrap();
            return;
        }
    };
    let estate = Estate::new();
    let labelled: Vec<String> = estate::inventory()
        .lines()
        .enumerate()
        .map(|(at, line)| format!("{line},{}", if at == 0 { "substation" } else { ["Ash Lane", "Mill"][at % 2] }))
        .collect();
    let devices = estate.file("labelled.csv", &(labelled.join("\n") + "\n"));
    estate.host.json(["device", "load", &devices, "--label", "substation", "--json"]);
    let summary = estate.export("alerts", &["--labels", "substation"]);
    let questions = questions();
    assert_eq!(questions.len(), 6, "{questions:?}");
    let arguments =
        [estate.folder.path().to_str().unwrap(), &serde_json::to_string(&questions).unwrap()].map(str::to_owned);
    let output = Command::new(python).args(["-c", READS]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();

    let counted = estate.counted(&[]);
    assert_eq!((&read["rows"], &read["ends"]["forwarded"]), (&json!(TAKEN), &counted["forwarded"]));
    assert_eq!((&read["ends"]["suppressed"], &summary["suppressed"]), (&counted["suppressed"], &counted["suppressed"]));
    let by = |key: &str, what: &str| -> BTreeMap<String, u64> {
        let rows = estate.host.json(["count", "--json", "--by", key]).remove(0)["rows"].clone();
        let rows = rows.as_array().unwrap().iter().filter(|row| row["balance"][what] != 0);
        rows.map(|row| (row[key].as_str().unwrap().to_owned(), row["balance"][what].as_u64().unwrap())).collect()
    };
    assert_eq!(read["rules"], json!(by("rule", "suppressed")));
    let days = json!(["2019-06-30", "2019-07-01", "2019-07-02", "2019-07-03"]);
    let counted_days: Vec<&Value> = read["days"].as_array().unwrap().iter().map(|day| &day[0]).collect();
    assert_eq!((json!(counted_days), &read["days_of_pandas"]), (days.clone(), &days));
    let in_days: u64 = read["days"].as_array().unwrap().iter().map(|day| day[1].as_u64().unwrap()).sum();
    assert_eq!(in_days, TAKEN, "each row is in the folder of its day");
    assert_eq!((&read["counters"], &read["types"]["day"]), (&json!("uint64[pyarrow]"), &json!("DATE")));
    assert_eq!(read["received"], "timestamp[ms, tz=UTC][pyarrow]");
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/export.md")).unwrap();
    assert_eq!(read["types"]["label_substation"], "VARCHAR");
    let is_fixed = |name: &str| name != "day" && name != "label_substation";
    for (name, kind) in read["types"].as_object().unwrap().iter().filter(|(name, _)| is_fixed(name)) {
        assert!(page.contains(&format!("| `{name}` | {} ", kind.as_str().unwrap())), "{name} is {kind}");
    }

    let answers = read["answers"].as_array().unwrap();
    let suppressed: u64 = answers[1].as_array().unwrap().iter().map(|row| row[5].as_u64().unwrap()).sum();
    assert_eq!(json!(suppressed), counted["suppressed"]);
    assert_eq!(answers[2].as_array().unwrap().len(), 10);
    assert_eq!((&answers[2][0][1], &answers[2][0][3]), (&json!(estate::eui(3)), &json!(91)));
    let by_label = estate.host.json(["count", "--json", "--by", "label:substation"]).remove(0);
    let taken =
        |row: &Value| row["balance"]["forwarded"].as_u64().unwrap() + row["balance"]["suppressed"].as_u64().unwrap();
    let name = |row: &Value| match row["labels"]["substation"].as_str().unwrap() {
        "" => "(not labelled)".to_owned(),
        value => value.to_owned(),
    };
    let counted_by: BTreeMap<String, u64> =
        by_label["rows"].as_array().unwrap().iter().map(|row| (name(row), taken(row))).collect();
    let read_by = answers[3].as_array().unwrap().iter();
    let read_by = read_by.map(|row| (row[0].as_str().unwrap().to_owned(), row[1].as_u64().unwrap())).collect();
    assert_eq!(counted_by, read_by);
    // Every other 8F40 of the first two days, which the rule of the third came too late for.
    assert_eq!(answers[4], json!([[12, "smets1", 2 * 40 * 10]]));
    assert_eq!(answers[5].as_array().unwrap().len(), 2);
    assert_eq!(estate.host.stop(), Some(0));
}
