//! Reports through the real binary: their numbers are those of `weir count`, and no name is obeyed.

use serde_json::Value;
use weir_tests::{
    estate,
    host::{self, Host},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

const HOSTILE: &str = "=cmd|' /C calc'!A0<script>x</script>";

const WEEK: [&str; 4] = ["--since", "2019-06-29", "--until", "2019-07-06"];

struct Estate {
    host: Host,
    folder: tempfile::TempDir,
}

impl Estate {
    /// The estate of docs/reconcile.md, with a model whose name is an attack, and a rule on the third day.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::start_with(BINARY, &folder.path().join("data"), &[host::KEEPS_ALL]);
        let estate = Self { host, folder };
        estate.host.json(["plugin", "push", env!("WEIR_GUEST_THRESHOLD"), "--json"]);
        let inventory = estate::inventory().replace("Alpha-1", HOSTILE);
        estate.host.json(["device", "load", &estate.file("devices.csv", &inventory), "--json"]);
        for day in 0..3 {
            if day == 2 {
                let parameters = r#"{"codes":["8F40"],"below_dv":2580}"#;
                let set = ["rule", "set", "voltage", "--plugin", "threshold", "--parameters", parameters, "--json"];
                estate.host.json(set);
            }
            estate.send(&estate::alerts(day));
        }
        estate
    }

    fn file(&self, name: &str, text: &str) -> String {
        host::file(self.folder.path(), name, text)
    }

    fn send(&self, text: &str) {
        self.host.json(["alert", "send", &self.file("alerts.csv", text), "--json"]);
    }

    fn counts(&self, arguments: &[&str]) -> Value {
        self.host.json([&["count", "--json", "--generation", "smets1"], arguments].concat()).remove(0)
    }

    fn report(&self, arguments: &[&str]) -> String {
        let fixed = ["report", "alerts", "--generation", "smets1", "--period", "week"];
        let output = self.host.weir([&fixed, arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

const ENDS: [&str; 5] = ["received", "forwarded", "suppressed", "rejected", "duplicate"];

fn ends(value: &Value) -> [u64; 5] {
    ENDS.map(|end| value[end].as_u64().unwrap())
}

#[test]
fn the_numbers_of_a_report_are_those_of_the_counts() {
    let estate = Estate::new();
    let report: Value = serde_json::from_str(&estate.report(&["--ending", "2019-07-05", "--format", "json"])).unwrap();
    let total = estate.counts(&WEEK);
    assert_eq!(ends(&report["total"]), ends(&total["total"]["balance"]));
    assert_eq!((&report["total"]["devices"], &report["alerting_devices"]), (&42.into(), &42.into()));
    let taken = ends(&report["total"])[1] + ends(&report["total"])[2];
    assert_eq!(taken, 3 * 1_200 + 7);
    assert_eq!(report["total"]["taken_per_1000_device_days"], (taken * 1_000).div_ceil(42 * 7));
    for section in report["sections"].as_array().unwrap() {
        let name = section["name"].as_str().unwrap();
        let lines = section["lines"].as_array().unwrap();
        assert!(!lines.is_empty(), "{name}");
        if name == "device" {
            assert_eq!(lines.len(), 10);
            assert_eq!(lines[0]["forwarded"].as_u64().unwrap() + lines[0]["suppressed"].as_u64().unwrap(), 90);
            continue;
        }
        let counted = estate.counts(&[&WEEK[..], &["--by", name]].concat());
        let mut counted: Vec<[u64; 5]> = counted["rows"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| name != "rule" || row["rule"] != "")
            .map(|row| ends(&row["balance"]))
            .collect();
        let mut reported: Vec<[u64; 5]> = lines.iter().map(ends).collect();
        counted.sort_unstable();
        reported.sort_unstable();
        assert_eq!(reported, counted, "{name}");
    }
    // The week after has nothing, and says that it was more before.
    let after: Value = serde_json::from_str(&estate.report(&["--ending", "2019-07-12", "--json"])).unwrap();
    assert_eq!((&after["total"]["received"], &after["total"]["taken_before"]), (&0.into(), &taken.into()));

    // What changed this week, and what it did.
    let now: String = (0..5).map(|nth| format!("{},{},8F40,255.0\n", estate::eui(3), 1_000 + nth)).collect();
    estate.send(&format!("device,counter,code,voltage_v\n{now}"));
    let days = String::from_utf8(estate.host.weir(["count", "--by", "day"]).stdout).unwrap();
    let today = days.split_whitespace().rfind(|word| word.starts_with("20") && word.len() == 10).unwrap().to_owned();
    let report: Value = serde_json::from_str(&estate.report(&["--ending", &today, "--json"])).unwrap();
    let changes = report["changes"].as_array().unwrap();
    assert_eq!((changes.len(), &changes[0]["rule"], &changes[0]["suppressed"]), (1, &"voltage".into(), &5.into()));
    assert_eq!(estate.host.stop(), Some(0));
}

#[test]
fn every_format_stands_alone_and_obeys_no_name() {
    let estate = Estate::new();
    let report = |format| estate.report(&["--ending", "2019-07-05", "--format", format]);
    let page = report("html");
    assert!(page.starts_with("<!DOCTYPE html>") && !page.contains("<script"), "{page}");
    assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("src="), "nothing is loaded");
    assert!(page.contains("&lt;script&gt;x&lt;/script&gt;") && page.contains("prefers-color-scheme: dark"));
    let pictures = page.matches("<svg class=\"wide\"").count();
    let drawn = page.matches("<svg").count();
    assert_eq!((pictures, drawn), (6, 12), "each for a wide window and for a narrow one");
    assert_eq!((page.matches("role=\"img\"").count(), page.matches("<desc ").count()), (drawn, drawn));
    assert!(page.matches("<table>").count() > pictures, "a table under each picture");

    let sheet = report("csv");
    assert!(sheet.contains("model,'=cmd|' /C calc'!A0<script>x</script>,"), "{sheet}");
    let markdown = report("md");
    assert!(markdown.contains("=cmd\\|' /C calc'\\!A0&lt;script&gt;"), "{markdown}");
    assert_eq!(estate.host.stop(), Some(0));
}

#[test]
fn a_migration_is_told_to_pause_or_to_stop_by_the_level_that_is_counted() {
    let estate = Estate::new();
    let migration = |capacity: &str, more: &[&str]| {
        let fixed =
            ["report", "migration", "--planned-devices", "70000", "--ending", "2019-07-03", "--window-days", "3"];
        let output = estate.host.weir([&fixed[..], &["--capacity-per-day", capacity], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let signal: Value = serde_json::from_str(&migration("100000", &["--json"])).unwrap();
    let counted = estate.counts(&["--since", "2019-07-01", "--until", "2019-07-04"]);
    let [_, forwarded, suppressed, ..] = ends(&counted["total"]["balance"]);
    assert_eq!((&signal["forwarded"], &signal["taken"]), (&forwarded.into(), &(forwarded + suppressed).into()));
    assert_eq!(signal["device_count"], 42);
    assert_eq!(signal["projected_alerts_per_day"], (forwarded * 70_000).div_ceil(42 * 3));
    assert_eq!((&signal["advice"], &signal["light"]), (&"pause".into(), &"red".into()));
    assert!(migration("100000", &[]).starts_with("pause: at this level all planned devices take "));
    assert!(migration("1000", &[]).starts_with("stop: the 42 devices that are migrated send "));
    assert!(migration("10000000", &[]).starts_with("pause: 24."), "{}", migration("10000000", &[]));

    let nobody = ["report", "migration", "--planned-devices", "1", "--capacity-per-day", "1", "--generation", "smets2"];
    let refused = estate.host.weir(nobody);
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("the inventory lists no device of generation smets2"));
    assert_eq!(estate.host.stop(), Some(0));
}

#[test]
fn the_signal_of_a_migration_is_among_the_figures() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("WEIR_METRICS_LISTEN", "127.0.0.1:0"),
        ("WEIR_REPORT__MIGRATION_PLANNED_DEVICES", "1000"),
        ("WEIR_REPORT__MIGRATION_CAPACITY_ALERTS_PER_DAY", "100"),
        ("WEIR_REPORT__MIGRATION_EVERY_S", "1"),
    ];
    let host = Host::start_with(BINARY, &folder.path().join("data"), &settings);
    assert!(!host.http("GET /metrics").1.contains("weir_migration"), "there are no devices, and so is no signal");
    let write = |name: &str, text: String| host::file(folder.path(), name, &text);
    let devices = (0..10).map(|at| format!("{},{},smets1,Alpha\n", estate::eui(at), estate::mpan(at)));
    let devices = write("devices.csv", format!("eui,mpxn,generation,model\n{}", devices.collect::<String>()));
    host.json(["device", "load", &devices, "--json"]);
    // A week has 7 for each of 10 devices: one alert a device and day.
    let now_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let received_ms = (now_s / 86_400 * 86_400 - 43_200) * 1_000;
    let alerts = (0..70).map(|at| format!("{},{},8F40,{received_ms}\n", estate::eui(at % 10), at + 1));
    let alerts = write("alerts.csv", format!("device,counter,code,received_ms\n{}", alerts.collect::<String>()));
    assert!(host.weir(["alert", "send", &alerts]).status.success());

    let expected = [
        "weir_migration_advice{advice=\"pause\"} 1",
        "weir_migration_advice{advice=\"stop\"} 0",
        "weir_migration_devices 10",
        "weir_migration_forwarded_per_1000_device_days 1000",
        "weir_migration_projected_per_day 1000",
        "weir_migration_capacity_percent 1000",
    ];
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let text = host.http("GET /metrics").1;
        if expected.iter().all(|line| text.lines().any(|told| told == *line)) {
            break;
        }
        assert!(std::time::Instant::now() < until, "the signal is not there after 30 s: {text}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_sentence_is_whole_in_markdown_and_one_is_no_plural() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, &folder.path().join("data"), &[host::KEEPS_ALL]);
    let device = "00-DB-12-34-56-78-90-A0";
    let file = |name: &str, text: &str| host::file(folder.path(), name, text);
    host.json([
        "device",
        "load",
        &file("d.csv", &format!("eui,mpxn,generation,model\n{device},,smets1,A\n")),
        "--json",
    ]);
    let alerts = format!("device,counter,code,received_at\n{device},1,8F36,2019-07-01T09:30:00Z\n");
    host.json(["alert", "send", &file("a.csv", &alerts), "--json"]);
    let report = |more: &[&str]| {
        let output = host.weir([&["report", "alerts", "--period", "day", "--format", "md"], more].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    let text = report(&["--ending", "2019-07-01"]);
    assert!(text.contains("1 alert was taken: 1 forwarded, 0 suppressed. 0 more were copies"), "{text}");
    assert!(text.contains("The inventory lists 1 device, and 1 raised an alert"), "{text}");
    // Of yesterday, alerts may still come.
    let text = report(&[]);
    assert!(text.contains("the DCC keeps for two days what it cannot deliver.\n"), "{text}");
    assert_eq!(host.stop(), Some(0));
}
