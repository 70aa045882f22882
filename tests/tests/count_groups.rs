//! Counts by what the books do not keep, through the real binary: by device, recipient, family and day of occurrence.

use serde_json::Value;
use weir_tests::host::{self, Host, KEEPS_ALL};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const DAY_MS: i64 = 86_400_000;

/// Forty devices, each with as many alerts as its number; every second alert of a device says that it occurred the day
/// before it was received. One line is bad, and one alert comes twice.
fn alerts() -> String {
    let mut text = "device,recipient,counter,code,occurred_ms,received_ms\n".to_owned();
    for device in 1..=40_u64 {
        for counter in 1..=device {
            let (code, recipient) = if device % 2 == 0 { ("8F40", "05-01") } else { ("8F36", "05-02") };
            let received = 1_795_392_000_000 + counter as i64;
            let occurred = if counter % 2 == 0 { received - DAY_MS } else { received };
            let party = format!("02-00-5E-10-00-00-{recipient}");
            text.push_str(&format!(
                "02-00-5E-10-00-00-A0-{device:02X},{party},{counter},{code},{occurred},{received}\n"
            ));
        }
    }
    let last = text.lines().last().unwrap().to_owned();
    text + &last + "\nbad,,1,8F40,,1795392000000\n"
}

fn received(row: &Value) -> u64 {
    row["balance"]["received"].as_u64().unwrap()
}

#[test]
fn the_largest_devices_are_listed_and_everything_adds_up() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let host = Host::start_with(BINARY, &data, &[KEEPS_ALL]);
    host.weir(["alert", "send", &host::file(folder.path(), "alerts.csv", &alerts())]);
    let count = |by: &str, more: &[&str]| host.json([&["count", "--json", "--by", by], more].concat()).remove(0);
    let total = count("code", &[])["total"].clone();
    assert_eq!((received(&total), &total["balance"]["duplicate"]), (822, &1.into()));
    // The hour of a rejected alert is the host's, that of the others of the file.
    for by in ["device", "recipient", "family", "occurred-day", "device,code", "recipient,occurred-day,family"] {
        let all = count(by, &["--top", "0"]);
        assert_eq!(all["total"], total, "{by}");
        let rows = all["rows"].as_array().unwrap();
        assert_eq!(rows.iter().map(received).sum::<u64>(), 822, "{by}");
        let top = count(by, &["--top", "2"]);
        assert_eq!(top["total"], total, "{by}");
        let largest: Vec<u64> = top["rows"].as_array().unwrap().iter().map(received).collect();
        let mut sizes: Vec<u64> = rows.iter().map(received).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(largest, sizes[..2.min(sizes.len())], "{by}");
        if sizes.len() > 2 {
            assert_eq!(received(&top["rest"]), sizes[2..].iter().sum::<u64>(), "{by}");
            assert_eq!(top["rest_row_count"], sizes.len() as u64 - 2, "{by}");
        }
    }
    let by_device = count("device", &["--code", "8F40"]);
    assert_eq!(by_device["rows"].as_array().unwrap().len(), 20, "that many are shown where nothing is said");
    assert_eq!(by_device["rows"][0]["device_id"], "02-00-5E-10-00-00-A0-28");
    assert_eq!(received(&by_device["rows"][0]), 41);
    let families = count("family", &[]);
    let named: Vec<(&str, u64)> = families["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["family"].as_str().unwrap(), received(row)))
        .collect();
    assert_eq!(named, [("", 1), ("supply", 400), ("voltage", 421)]);
    let days = count("occurred-day", &[]);
    let days: Vec<(Option<i64>, u64)> =
        days["rows"].as_array().unwrap().iter().map(|row| (row["occurred_start_ms"].as_i64(), received(row))).collect();
    let (first, second) = (1_795_392_000_000 - DAY_MS, 1_795_392_000_000);
    assert_eq!(days, [(None, 1), (Some(first), 401), (Some(second), 420)]);

    let shown = String::from_utf8(host.weir(["count", "--by", "device", "--top", "1"]).stdout).unwrap();
    let line =
        |name: &str| shown.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{shown}")).to_owned();
    assert!(line("40 more").contains("781") && line("total").contains("822"), "{shown}");
    let watched = host.weir(["count", "--by", "device", "--watch"]);
    assert_eq!(watched.status.code(), Some(64));
    let said = String::from_utf8(watched.stderr).unwrap();
    assert!(said.contains("--watch: this is counted from the log") && said.contains("leave out --watch"), "{said}");
    for (by, why) in [
        ("code,rule,code", "--by: code is given twice"),
        ("label:a,label:a", "--by: label:a is given twice"),
        ("hour,code,day", "--by: hour and day exclude each other"),
    ] {
        let refused = host.weir(["count", "--by", by]);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!((refused.status.code(), said.contains(why)), (Some(64), true), "{said}");
    }
    // Letters of one operator that a table gives to another one too.
    let table = host::file(folder.path(), "operators.csv", "id,market_id\n12,MANW\n");
    let refused = host.weir(["count", "--operator", "MANW", "--operator-table", &table]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(64), 0));
    assert!(said.contains("operators.csv: market_id: MANW is that of 12 and of 13"), "{said}");
    assert_eq!(host.stop(), Some(0));
}

/// Three of the alerts stand for others, as the DCC's storm protection has it.
#[test]
fn who_is_under_storm_protection_is_counted_by_device_and_code() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, &folder.path().join("data"), &[KEEPS_ALL]);
    let row = |device: u32, counter: u32, code: &str, weight: u32| {
        format!("02-00-5E-10-00-00-A0-{device:02X},{counter},{code},{weight},2026-11-23T09:{counter:02}:00Z\n")
    };
    let rows = [(1, 1, "8F40", 1), (1, 2, "8F40", 41), (1, 3, "8F40", 20), (2, 1, "8F40", 1), (3, 1, "8014", 2)];
    let rows: String =
        rows.iter().map(|(device, counter, code, weight)| row(*device, *counter, code, *weight)).collect();
    let text = format!("device,counter,code,weight,received_at\n{rows}bad,1,8F40,1,2026-11-23T09:00:00Z\n");
    host.weir(["alert", "send", &host::file(folder.path(), "alerts.csv", &text)]);
    let counted = host.json(["count", "--by", "device,code", "--throttled", "--json"]).remove(0);
    let rows: Vec<(&str, &str, u64, u64)> = counted["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap();
            (text("device_id"), text("code"), received(row), row["represented"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(rows, [("02-00-5E-10-00-00-A0-01", "8F40", 2, 61), ("02-00-5E-10-00-00-A0-03", "8014", 1, 2)]);
    assert_eq!(received(&counted["total"]), 3, "neither rejected alerts nor those that stand for themselves");
    let later =
        host.json(["count", "--by", "device", "--throttled", "--since", "2026-11-23T10:00:00Z", "--json"]).remove(0);
    assert_eq!(received(&later["total"]), 0);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn days_for_which_alerts_may_still_come_are_marked() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, &folder.path().join("data"), &[KEEPS_ALL]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let rows = (0..5).map(|day| {
        let ms = now - day * DAY_MS;
        format!("02-00-5E-10-00-00-A0-01,{day},8F36,{ms},{ms}\n")
    });
    let text = format!("device,counter,code,occurred_ms,received_ms\n{}", rows.collect::<String>());
    host.json(["alert", "send", &host::file(folder.path(), "alerts.csv", &text), "--json"]);
    let marked = |by: &str| {
        let rows = host.json(["count", "--json", "--by", by]).remove(0)["rows"].clone();
        let is = |row: &Value| row["is_provisional"].as_bool().unwrap_or_default();
        rows.as_array().unwrap().iter().map(is).collect::<Vec<_>>()
    };
    assert_eq!(marked("day"), [false, false, false, false, true], "received is received, once the day is over");
    assert_eq!(marked("occurred-day"), [false, false, true, true, true], "the DCC keeps alerts for two days");
    let shown = String::from_utf8(host.weir(["count", "--by", "occurred-day"]).stdout).unwrap();
    assert_eq!(shown.matches("(not final)").count(), 3, "{shown}");

    // The same days carry the same marks wherever they are shown.
    let dates: Vec<String> =
        shown.lines().filter_map(|line| line.strip_prefix("| 2")).map(|rest| format!("2{}", &rest[..9])).collect();
    let date = |days_ago: usize| dates[dates.len() - 1 - days_ago].clone();
    let report = |ending: &str, format: &str| {
        let arguments = ["report", "alerts", "--period", "week", "--ending", ending, "--format", format];
        String::from_utf8(host.weir(arguments).stdout).unwrap()
    };
    let running = report(&date(0), "md");
    assert_eq!(running.matches("(not final)").count(), 1, "{running}");
    assert!(running.contains("The period is not over: its counts are not final."), "{running}");
    let csv = report(&date(0), "csv");
    let marked: Vec<&str> =
        csv.lines().filter(|line| line.ends_with(",yes")).map(|line| &line[..line.find(",0,").unwrap()]).collect();
    assert_eq!(marked, ["total,total", &format!("day,{}", date(0))], "{csv}");
    let over = report(&date(1), "md");
    assert!(!over.contains("(not final)") && over.contains("may still come, and count on the day they are received"));
    let long_over = report(&date(4), "md");
    assert!(!long_over.contains("not final") && !long_over.contains("may still come"), "{long_over}");
    let page = weir_tests::http::get(&host.url, "/?period=month", &[]).body;
    let table = page.split("<table").nth(1).unwrap().split("</table").next().unwrap();
    assert_eq!(table.matches("(not final)").count(), 1, "{table}");
    assert!(table.contains(&format!("{} (not final)", date(0))), "{table}");

    let devices = "eui,mpxn,generation,model\n02-00-5E-10-00-00-A0-01,1000000000012,smets1,\n";
    host.json(["device", "load", &host::file(folder.path(), "devices.csv", devices), "--json"]);
    let theirs: String = (0..5).map(|day| format!("02-00-5E-10-00-00-A0-01,{},8F36,1\n", date(day))).collect();
    let theirs = host::file(folder.path(), "theirs.csv", &format!("device,date,code,count\n{theirs}"));
    let compared = host.json(["reconcile", &theirs, "--days", "utc", "--all", "--json"]).remove(0);
    assert_eq!(compared["scope"]["provisional_since"], date(2));
    let is = |row: &Value| row["is_provisional"].as_bool().unwrap_or_default();
    let mut days: Vec<(&str, bool)> =
        compared["rows"].as_array().unwrap().iter().map(|row| (row["day"].as_str().unwrap(), is(row))).collect();
    days.sort_unstable();
    assert_eq!(days.iter().map(|(_, is)| *is).collect::<Vec<_>>(), [false, false, true, true, true]);
    let sheet = String::from_utf8(host.weir(["reconcile", &theirs, "--days", "utc", "--all", "--csv"]).stdout).unwrap();
    assert_eq!(sheet.lines().filter(|line| line.ends_with(",yes")).count(), 3, "{sheet}");
    let html = String::from_utf8(host.weir(["reconcile", &theirs, "--days", "utc", "--all", "--html"]).stdout).unwrap();
    assert_eq!(html.matches("(not final)").count(), 3, "{html}");
    assert!(html.contains(&format!("From {} on counts are not final", date(2))));
    assert_eq!(host.stop(), Some(0));
}
