//! Three clocks and a measurement that may be wrong, through the real binary: alerts are taken as they are, and what is
//! remarkable about them is told to their sender, listed, counted, measured, and the same after a restart.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use weir_tests::host::{self, Host};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const DAY_MS: i64 = 86_400_000;

const CODES: &str = "code,name,unit,min,max\nE001,join parameter,s,30,3600\n";

/// What was remarked: its names, in order.
const REMARKS: [&str; 12] = [
    "occurred-in-future",
    "occurred-before-retention",
    "out-of-order",
    "implausible",
    "maybe-copy",
    "other-content",
    "clock-unreliable",
    "clock-not-set",
    "occurred-at-left-out",
    "dcc-at-left-out",
    "throttle-gap",
    "generation-differs",
];

/// Counts of the first remarks, none of the others.
fn first<const N: usize>(counts: [u64; N]) -> [u64; 12] {
    std::array::from_fn(|at| counts.get(at).copied().unwrap_or(0))
}

/// Alerts, and of each its DCC's time and what there is to remark.
fn alerts(now: i64) -> Vec<(String, Option<i64>, Vec<&'static str>)> {
    let [future, old, late, implausible, ..] = REMARKS;
    let row = |counter: u64, code: &str, occurred: i64, dcc: Option<i64>, value: &str| {
        let dcc_ms = dcc.map_or_else(String::new, |dcc| (now + dcc).to_string());
        format!("00-DB-12-34-56-78-90-A0,{counter},{code},{},{now},{dcc_ms},{value}\n", now + occurred)
    };
    let alert =
        |text: String, dcc: Option<i64>, remarks: &[&'static str]| (text, dcc.map(|dcc| now + dcc), remarks.to_vec());
    vec![
        alert(row(10, "8F40", -9_000, Some(-4_000), "2531"), Some(-4_000), &[]),
        // The device's clock is an hour ahead; the DCC's is right.
        alert(row(11, "8F40", 3_600_000, Some(-1_000), "2532"), Some(-1_000), &[future]),
        // The DCC's clock is an hour ahead: nothing follows for the alert.
        alert(row(13, "8F40", -5_000, Some(3_600_000), "2533"), Some(3_600_000), &[]),
        // A clock that was reset.
        alert(row(14, "8F40", -500 * DAY_MS, None, ""), None, &[old]),
        alert(row(12, "8F40", -7_000, None, "2534"), None, &[late]),
        // Volts where tenths are meant, and seconds of a code of one's own.
        alert(row(15, "8F40", -1_000, None, "253"), None, &[implausible]),
        alert(row(16, "E001", -1_000, None, "5"), None, &[implausible]),
        alert(row(17, "E001", 400_000, None, "300"), None, &[future]),
    ]
}

fn remarks_of(row: &Value) -> [u64; 12] {
    REMARKS.map(|name| row["remarks"][name.replace('-', "_")].as_u64().unwrap())
}

#[test]
fn wrong_clocks_and_wrong_units_are_remarked_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let codes = host::file(folder.path(), "codes.csv", CODES);
    let settings = [("WEIR_CODE_TABLE", codes.as_str()), ("WEIR_METRICS_LISTEN", "127.0.0.1:0")];
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let alerts = alerts(now);
    let header = "device,counter,code,occurred_ms,received_ms,dcc_ms,measurement\n";
    let rows: String = alerts.iter().map(|(row, ..)| row.as_str()).collect();
    let file = host::file(folder.path(), "alerts.csv", &format!("{header}{rows}"));

    let host = Host::start_with(BINARY, &data, &settings);
    let sent = host.json(["alert", "send", &file, "--producer", "p", "--json"]).remove(0);
    assert_eq!(
        (remarks_of(&sent), &sent["implausible_count"]),
        (first([2, 1, 1, 2]), &2.into()),
        "E001 is in the host's table, which the client asks for"
    );
    let dry_run = |more: &[&str]| {
        let arguments = [&["alert", "send", &file, "--dry-run", "--local", "--json"], more].concat();
        host.json(arguments).remove(0)["implausible_count"].clone()
    };
    assert_eq!((dry_run(&[]), dry_run(&["--code-table", &codes])), (1.into(), 2.into()));

    let listed = |host: &Host| host.json(["alert", "list", "--json"]);
    let found = listed(&host);
    assert_eq!(found.len(), alerts.len());
    for (row, (text, dcc_ms, remarks)) in found.iter().zip(&alerts) {
        assert_eq!(row["remarks"], json!(remarks), "{text}");
        assert_eq!(row["alert"]["dcc_at_ms"], json!(dcc_ms), "{text}");
        assert_eq!(row["alert"]["received_at_ms"], now);
    }
    assert_eq!(found[5]["alert"]["measurement"], 253, "it is as it was sent");

    let counted = |host: &Host, arguments: &[&str]| host.json([&["count", "--json"], arguments].concat()).remove(0);
    let counts = counted(&host, &["--by", "code"]);
    assert_eq!(remarks_of(&counts["total"]), first([2, 1, 1, 2]));
    let rows = (remarks_of(&counts["rows"][0]), remarks_of(&counts["rows"][1]));
    assert_eq!(rows, (first([1, 1, 1, 1]), first([1, 0, 0, 1])));
    let table = String::from_utf8(host.weir(["count"]).stdout).unwrap();
    for heading in ["from future", "too old", "out of", "implausible"] {
        assert!(table.contains(heading), "{heading} is missing in\n{table}");
    }
    let (_, figures) = host.http("GET /metrics");
    for (remark, count) in REMARKS.into_iter().zip(first([2, 1, 1, 2])) {
        let line = format!("weir_alerts_remarked_total{{remark=\"{remark}\"}} {count}\n");
        assert!(figures.contains(&line), "{line} is missing in\n{figures}");
    }

    // A time of receipt that cannot be is another matter: the sender's own clock is wrong.
    for (received, words) in [(now + 3_600_000, "received_at_ms"), (now - 500 * DAY_MS, "received_at_ms")] {
        let text = format!("device,code,received_ms\n00-DB-12-34-56-78-90-A0,8F40,{received}\n");
        let refused = host.weir(["alert", "send", &host::file(folder.path(), "refused.csv", &text)]);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(refused.status.code() == Some(64) && said.contains(words), "{said}");
    }
    assert_eq!(host.stop(), Some(0));

    // Another bound, and no table: what was remarked stays as it was.
    let host = Host::start_with(BINARY, &data, &[("WEIR_INTAKE__FUTURE_S_MAX", "86400")]);
    assert_eq!(listed(&host), found);
    assert_eq!(counted(&host, &["--by", "code"])["rows"], {
        let mut rows = counts["rows"].clone();
        rows[0]["balance"]["received"] = 8.into();
        rows[0]["balance"]["rejected"] = 2.into();
        rows[0]["represented"] = 8.into();
        rows
    });
    assert_eq!(host.json(["verify", "run", "--json"]).remove(0)["verdict"], "same");
    assert_eq!(host.stop(), Some(0));

    let broken = host::file(folder.path(), "broken.csv", "code,name,unit\n8F40,x,volts\n");
    let refused = std::process::Command::new(BINARY)
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(&data)
        .env("WEIR_CODE_TABLE", &broken)
        .output()
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("code_table: ") && said.contains("line 2: unit: voltages are counted in dv"), "{said}");
    assert!(!refused.status.success());
}

/// Meters that lost their clock say 1970, exactly 0 among it; programs that count seconds land there too. What they say is kept,
/// and never replaced by the time of receipt in silence.
#[test]
fn a_time_of_1970_is_kept_as_stated() {
    let folder = tempfile::tempdir().unwrap();
    let file = host::file(folder.path(), "alerts.ndjson", include_str!("../cases/times-of-1970.ndjson"));
    let host = Host::start_with(BINARY, &folder.path().join("data"), &[("WEIR_STORE__RETENTION_DAYS_MAX", "36500")]);
    let sent = host.weir(["alert", "send", &file, "--json"]);
    assert_eq!(sent.status.code(), Some(64), "two lines are rejected");
    let listed = host.json(["alert", "list", "--json"]);
    let found: Vec<(u64, i64, &str, Value)> = listed
        .iter()
        .map(|row| {
            let alert = &row["alert"];
            let status = alert["occurred_at_status"].as_str().unwrap();
            let occurred_ms = alert["occurred_at_ms"].as_i64().unwrap();
            (alert["originator_counter"].as_u64().unwrap(), occurred_ms, status, row["remarks"].clone())
        })
        .collect();
    let unset = || json!(["clock-not-set"]);
    let expected = [
        (600, 1_795_426_200_000, "stated", json!([])),
        (601, 0, "stated", unset()),
        (602, 0, "stated", unset()),
        (603, 1_000, "stated", unset()),
        (604, 1_795_426_200, "stated", unset()),
    ];
    assert_eq!(found, expected);
    let rejected = host.json(["count", "--by", "rejection", "--json"]).remove(0);
    let of = |reason: &str| rejected["rows"].as_array().unwrap().iter().find(|row| row["rejection"] == reason).cloned();
    assert_eq!(of("occurred-at").unwrap()["balance"]["rejected"], 2);
    assert_eq!(host.stop(), Some(0));
}
