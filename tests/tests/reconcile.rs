//! Another party's counts against ours, through the real binary: the example of docs/reconcile.md, whose figures are
//! known, and what a bad file is told.

use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use weir_host::reconciliation::DayKind;
use weir_tests::{
    estate::{self, DEVICES},
    host::{self, Host},
    tenants::{create, weir},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

/// The example's host: two days as they came, the third behind a rule. Its files are in the folder; with `WEIR_EXAMPLE`
/// they are left there for whoever wants to try.
struct Example {
    host: Host,
    folder: tempfile::TempDir,
}

impl Example {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::start_with(BINARY, &folder.path().join("data"), &[host::KEEPS_ALL]);
        let example = Self { host, folder };
        example.host.json(["plugin", "push", env!("WEIR_GUEST_THRESHOLD"), "--json"]);
        example.host.json(["device", "load", &example.file("devices.csv", &estate::inventory()), "--json"]);
        for day in 0..3 {
            if day == 2 {
                let parameters = r#"{"codes":["8F40"],"below_dv":2580}"#;
                let rule = ["rule", "set", "voltage", "--plugin", "threshold", "--parameters", parameters, "--json"];
                example.host.json(rule);
            }
            let file = example.file(&format!("alerts-{}.csv", day + 1), &estate::alerts(day));
            example.host.json(["alert", "send", &file, "--json"]);
        }
        example.file("counts.csv", &estate::counts());
        example
    }

    fn file(&self, name: &str, text: &str) -> String {
        if let Ok(folder) = std::env::var("WEIR_EXAMPLE") {
            fs::create_dir_all(&folder).unwrap();
            fs::write(Path::new(&folder).join(name), text).unwrap();
        }
        host::file(self.folder.path(), name, text)
    }

    fn reconcile(&self, arguments: &[&str]) -> Value {
        let file = self.folder.path().join("counts.csv");
        let arguments = [&["reconcile", file.to_str().unwrap(), "--json"], arguments].concat();
        self.host.json(arguments).remove(0)
    }

    fn text(&self, arguments: &[&str]) -> String {
        let file = self.folder.path().join("counts.csv");
        let output = self.host.weir([&["reconcile", file.to_str().unwrap()], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Rows, theirs more and ours more by causes.
fn differences(report: &Value) -> Vec<(String, [u64; 3])> {
    let differences = report["differences"].as_array().unwrap().iter().map(|difference| {
        let causes: Vec<&str> = difference["causes"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        (causes.join(" + "), ["rows", "theirs_more", "ours_more"].map(|field| difference[field].as_u64().unwrap()))
    });
    differences.collect()
}

#[test]
fn the_dispute_of_2019_is_settled_row_by_row_and_the_page_about_it_says_the_same() {
    let example = Example::new();
    let report = example.reconcile(&["--all"]);
    let totals =
        ["theirs", "ours", "agreed", "theirs_more", "ours_more"].map(|f| report["totals"][f].as_u64().unwrap());
    // They see 2,000 on the first two days and 1,600 on the third, and eight of two devices beside them.
    assert_eq!(totals[..2], [2_000 + 2_000 + 1_600 + 5 + 3, 3 * 1_200 + 4 + 3]);
    assert_eq!((totals[2] + totals[3], totals[2] + totals[4]), (totals[0], totals[1]));
    let expected = [
        ("unknown-device", [1, 5, 0]),
        ("device-clock", [2, 3, 3]),
        ("duplicates", [2 * 2 * 20 + 20, 5 * 100, 0]),
        ("duplicates + suppressed", [20, 0, 5 * 20]),
        ("suppressed", [10, 0, 10 * 10]),
        ("suppressed + throttled", [10, 500, 0]),
        ("throttled", [2 * 10, 2 * 600, 0]),
        ("not-in-file", [1, 0, 4]),
    ];
    assert_eq!(differences(&report), expected.map(|(causes, figures)| (causes.to_owned(), figures)));
    let row = |number: u64, day: &str, code: &str| {
        let rows = report["rows"].as_array().unwrap();
        let found =
            rows.iter().find(|row| row["subject"] == estate::mpan(number) && row["day"] == day && row["code"] == code);
        found.unwrap_or_else(|| panic!("{number} {day} {code}")).clone()
    };
    let copying = row(0, "2019-07-01", "8F40");
    assert_eq!((&copying["theirs"], &copying["ours"], &copying["duplicate"]), (&json!(25), &json!(20), &json!(5)));
    let throttled = row(20, "2019-07-02", "8F40");
    assert_eq!(
        (&throttled["theirs"], &throttled["ours"], &throttled["represented"]),
        (&json!(80), &json!(20), &json!(80))
    );
    assert_eq!(row(30, "2019-07-01", "8F40")["standing"], "agrees");
    let missing =
        report["rows"].as_array().unwrap().iter().find(|row| row["causes"] == json!(["not-in-file"])).unwrap();
    assert_eq!(missing["subject"], estate::eui(DEVICES), "a device that they do not name goes by its EUI-64");

    // Read as days of UTC the same file shows what an hour does, and still nothing is left unexplained.
    let utc = example.reconcile(&["--days", "utc"]);
    let moved = differences(&utc);
    assert!(moved.iter().any(|(causes, _)| causes.contains("day-boundary")), "{moved:?}");
    assert!(moved.iter().all(|(causes, _)| !causes.contains("not-explained")), "{moved:?}");
    let fit = utc["fit"]["causes"].as_array().unwrap();
    assert!(fit.contains(&json!("day-boundary")), "{fit:?}");

    // Ours are what `weir count` says of the same days, codes and operator.
    let arguments = [
        "count",
        "--since",
        "2019-07-01",
        "--until",
        "2019-07-04",
        "--code",
        "8F40,8014",
        "--operator",
        "12",
        "--json",
    ];
    let counted = example.host.json(arguments).remove(0);
    for end in ["forwarded", "suppressed", "duplicate"] {
        assert_eq!(utc["totals"][end], counted["total"]["balance"][end], "{end}");
    }

    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/reconcile.md")).unwrap();
    let asked: [&[&str]; 2] = [&["--limit", "0"], &["--limit", "0", "--days", "utc"]];
    let missing: Vec<String> =
        asked.iter().map(|arguments| example.text(arguments)).filter(|table| !page.contains(table.as_str())).collect();
    assert!(missing.is_empty(), "put this into docs/reconcile.md:\n{}", missing.concat());
    assert_eq!(example.host.stop(), Some(0));
}

#[test]
fn sheet_and_page_have_the_rows_that_differ() {
    let example = Example::new();
    let rows = example.reconcile(&[])["rows"].as_array().unwrap().len();
    let sheet = example.text(&["--csv"]);
    assert_eq!(sheet.lines().count(), rows + 1);
    assert!(sheet.lines().all(|line| !line.starts_with(['=', '+', '-', '@'])));
    let page = example.text(&["--html"]);
    assert!(
        page.starts_with("<!DOCTYPE html>")
            && !page.contains("<script")
            && !page.contains("http:")
            && !page.contains("https:"),
        "self-contained"
    );
    assert!(page.contains("Content-Security-Policy"));
    assert_eq!(page.matches("<td>2019-07-0").count(), rows);

    let refused = |name: &str, text: &str| {
        let output = example.host.weir(["reconcile", &example.file(name, text)]);
        assert_eq!(output.status.code(), Some(64), "{name}");
        String::from_utf8(output.stderr).unwrap()
    };
    let bad = refused("bad.csv", "mpxn,date,code,count\n1200000000000,2019-07-01,8F40,many\n");
    assert!(
        bad.contains("line 2: mpxn: expected an MPAN whose 13th digit") && bad.contains("1 line cannot be read"),
        "{bad}"
    );
    assert!(refused("empty.csv", "mpxn,date,code,count\n").contains("has no rows"));
    assert!(refused("columns.csv", "mpxn,date,code\n").contains("count: the column is missing"));
    assert_eq!(example.host.stop(), Some(0));
}

/// A device that sent alerts before any inventory listed it. They stay of no operator.
#[test]
fn alerts_from_before_the_inventory_are_named_as_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let host = Host::start_with(BINARY, &data, &[host::KEEPS_ALL, ("WEIR_AUTHENTICATE", "true")]);
    let admin = fs::read_to_string(data.join("first-admin-token")).unwrap().trim().to_owned();
    let file = |name: &str, text: &str| host::file(folder.path(), name, text);
    let device = "02-00-5E-10-00-00-B6-01";
    let alerts = |counters: std::ops::Range<u32>| {
        let row = |counter| format!("{device},8F36,{counter},2019-07-01T09:30:00Z\n");
        format!("device,code,counter,received_at\n{}", counters.map(row).collect::<String>())
    };
    let done = |arguments: &[&str]| weir(&host, &admin, arguments).unwrap();
    done(&["alert", "send", &file("before.csv", &alerts(1..3))]);
    done(&[
        "device",
        "load",
        &file("devices.csv", &format!("eui,mpxn,generation,model\n{device},1300000000498,smets1,A\n")),
    ]);
    done(&["alert", "send", &file("after.csv", &alerts(3..4))]);
    let claims =
        |count: u32| file("claims.csv", &format!("device,date,code,count\n{device},2019-07-01,8F36,{count}\n"));

    let found = done(&["reconcile", &claims(3)]).remove(0);
    assert_eq!(found["rows"][0]["causes"], json!(["before-inventory"]), "{found}");
    assert_eq!((&found["totals"]["ours"], &found["totals"]["theirs"]), (&1.into(), &3.into()), "{found}");
    let found = done(&["reconcile", &claims(9)]).remove(0);
    assert_eq!(found["rows"][0]["causes"], json!(["not-explained"]), "no cause that does not make the counts equal");
    assert_eq!(found["scope"]["unplaced_count"], 2, "but they are told: {found}");
    // The operator of the device is not shown alerts of no operator: that they may be the cause is said.
    let operator = create(&host, &admin, "manw", &["operator", "--operator", "13"]);
    let output = host.weir(["reconcile", &claims(3), "--token", &operator]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && said.contains("before the inventory listed a device are of no operator"),
        "{said}"
    );

    // The broadcast address is no device, in a file of theirs or as an option.
    let output = host.weir(["alert", "list", "--device", "FF-FF-FF-FF-FF-FF-FF-FF", "--token", &admin]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.contains("is the broadcast address")), (Some(64), true), "{said}");
    assert_eq!(host.stop(), Some(0));
}

/// Times of receipt are the host's own, so that they lie on both sides of a load.
#[test]
fn an_alert_counts_for_the_point_that_its_device_served_when_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, &folder.path().join("data"), &[host::KEEPS_ALL]);
    let file = |name: &str, text: &str| host::file(folder.path(), name, text);
    let pause = || std::thread::sleep(std::time::Duration::from_millis(20));
    let [old, new, roaming] = ["00-DB-12-00-00-00-00-01", "00-DB-12-00-00-00-00-02", "00-DB-12-00-00-00-00-03"];
    let [exchanged, first, second] = ["1200000000011", "1200000000777", "1200000000466"];
    let load = |rows: &[[&str; 2]]| {
        pause();
        let rows: String = rows.iter().map(|[eui, mpxn]| format!("{eui},{mpxn},smets2,A,12\n")).collect();
        let text = format!("eui,mpxn,generation,model,operator\n{rows}");
        host.json(["device", "load", &file("devices.csv", &text), "--json"]);
        pause();
    };
    let mut counter = 0;
    let mut send = |device: &str, count: u32| {
        let rows: String = (counter..counter + count).map(|at| format!("{device},{at},8F40\n")).collect();
        counter += count;
        host.json(["alert", "send", &file("alerts.csv", &format!("device,counter,code\n{rows}")), "--json"]);
    };
    let now_ms = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let today = || DayKind::Utc.of(now_ms()).unwrap();
    let day = today();
    load(&[[old, exchanged], [roaming, first]]);
    send(old, 3);
    send(roaming, 4);
    // The old meter is taken away and a new one comes; and the third device goes to another point.
    load(&[[old, ""], [new, exchanged], [roaming, second]]);
    send(old, 7);
    send(new, 5);
    send(roaming, 6);
    let claims = [(exchanged, 8), (first, 4), (second, 6)];
    let text: String = claims.iter().map(|(mpxn, count)| format!("{mpxn},{day},8F40,{count}\n")).collect();
    let counts = file("counts.csv", &format!("mpan,date,code,count\n{text}"));
    let report = host.json(["reconcile", &counts, "--days", "utc", "--all", "--json"]).remove(0);
    if today() == day {
        let rows = report["rows"].as_array().unwrap();
        for (mpxn, count) in claims {
            let row = rows.iter().find(|row| row["subject"] == mpxn).unwrap();
            assert_eq!((&row["ours"], &row["standing"]), (&json!(count), &json!("agrees")), "{report}");
            // What is listed of the point is what is counted.
            let listed = host.json(["alert", "list", "--mpxn", mpxn, "--json"]);
            assert_eq!(listed.len(), count, "{mpxn}");
        }
        // What the old meter sent afterwards is nobody's at the point.
        let away = rows.iter().find(|row| row["subject"] == old).unwrap();
        assert_eq!((&away["ours"], &away["causes"]), (&json!(7), &json!(["not-in-file"])), "{report}");
        assert_eq!(report["totals"]["ours"], 3 + 4 + 7 + 5 + 6);
    }
    assert_eq!(host.stop(), Some(0));
}
