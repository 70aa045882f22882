//! Readings and thresholds from files, through the real binary: what is stored, what is not and by which line, and what is never
//! guessed.

use std::path::Path;

use serde_json::{Value, json};
use weir_tests::{
    files::Ran,
    host::{self, Host},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const METER: &str = "02-00-5E-10-00-00-A1-01";
const THREE_PHASES: &str = "02-00-5E-10-00-00-A1-03";
const STRANGER: &str = "02-00-5E-10-00-00-A1-99";
const DEVICES: &str = "eui,mpxn,generation,model\n02-00-5E-10-00-00-A1-01,1200000000011,smets2,Alder 3T\n\
                       02-00-5E-10-00-00-A1-03,1000000000012,smets1,Birch 7\n";

fn case(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(name).to_str().unwrap().to_owned()
}

/// A host that knows two meters, and its folder.
fn begun() -> (tempfile::TempDir, Host) {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, &folder.path().join("data"));
    host.json(["device", "load", &host::file(folder.path(), "devices.csv", DEVICES), "--json"]);
    (folder, host)
}

/// 2026-11-23T00:30:00Z.
const HALF_PAST: i64 = 1_795_393_800_000;
const HEADER: &str = "device,phase,period_end_ms,length_min,voltage_v\n";

/// Half-hours of a meter, the first of which ends at half past midnight, as rows without a header.
fn half_hours(voltages: &[&str]) -> String {
    let row = |(at, volts): (i64, &&str)| format!("{METER},whole,{},30,{volts}\n", HALF_PAST + at * 1_800_000);
    (0..).zip(voltages).map(row).collect()
}

fn counts(load: &Value) -> [u64; 5] {
    ["added", "same", "not_stored", "failed", "unreadable"].map(|name| load[name].as_u64().unwrap())
}

#[test]
fn readings_are_stored_once_and_what_contradicts_them_is_named_by_its_line() {
    let (folder, host) = begun();
    let text = format!("{HEADER}{}", half_hours(&["252", "254.1", "", "253"]));
    let path = host::file(folder.path(), "readings.csv", &text);
    let asked = host.json(["reading", "load", &path, "--dry-run", "--json"]).remove(0);
    assert_eq!((counts(&asked), &asked["dry_run"]), ([3, 0, 0, 1, 0], &json!(true)));
    assert_eq!(asked["named"][0]["kind"], "failed");
    let loaded = host.json(["reading", "load", &path, "--json"]).remove(0);
    assert_eq!(counts(&loaded), [3, 0, 0, 1, 0], "a read that failed is no error");
    let again = host.json(["reading", "load", &path, "--json"]).remove(0);
    assert_eq!(counts(&again), [0, 3, 0, 1, 0]);

    // Another voltage, a period that overlaps, a meter of nobody, one that has not ended, and a line that cannot be read.
    let rows = [
        (STRANGER, HALF_PAST, "250"),
        (METER, 4_102_444_800_000, "250"),
        (METER, HALF_PAST + 600_000, "250"),
        (METER, HALF_PAST + 86_400_000, "2521"),
    ];
    let others = rows.map(|(device, end_ms, volts)| format!("{device},,{end_ms},30,{volts}\n")).concat();
    let text = format!("{HEADER}{}{others}", half_hours(&["251"]));
    let path = host::file(folder.path(), "others.csv", &text);
    let ran = Ran::of(host.weir(["reading", "load", &path, "--json"]));
    assert_eq!(ran.code, Some(64), "{}", ran.said);
    let load = &ran.out[0];
    assert_eq!(counts(load), [0, 0, 4, 0, 1], "{load}");
    let problems = json!({"contradicts": 1, "in-future": 1, "not-own": 1, "overlaps": 1, "unreadable": 1});
    assert_eq!(load["problems"], problems);
    let mut lines: Vec<(u64, &str)> = load["named"]
        .as_array()
        .unwrap()
        .iter()
        .map(|named| (named["line"].as_u64().unwrap(), named["kind"].as_str().unwrap()))
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, [(2, "contradicts"), (3, "not-own"), (4, "in-future"), (5, "overlaps"), (6, "unreadable")]);
    let stored = load["named"].as_array().unwrap().iter().find(|named| named["kind"] == "contradicts").unwrap();
    assert_eq!((&stored["stored"]["whole_volts"], &stored["stored"]["length_s"]), (&json!(252), &json!(1_800)));
    ran.says(&[
        "error: line 2: contradicts: 02-00-5E-10-00-00-A1-01, period ending 2026-11-23T00:30:00Z",
        "line 6: voltage_v: \"2521\" V",
    ]);

    // What is listed can be loaded again.
    let listed = host.json(["reading", "list", "--device", METER, "--json"]);
    assert_eq!(listed.len(), 3);
    assert_eq!(
        (&listed[0]["whole_volts"], &listed[1]["low_dv"], &listed[0]["source"]),
        (&json!(252), &json!(2_541), &json!("readings.csv"))
    );
    let lines: String = listed.iter().map(|reading| format!("{reading}\n")).collect();
    let path = host::file(folder.path(), "listed.ndjson", &lines);
    let again = host.json(["reading", "load", &path, "--json"]).remove(0);
    assert_eq!(counts(&again), [0, 3, 0, 0, 0]);
    let day = [
        "reading",
        "list",
        "--device",
        METER,
        "--since",
        "2026-11-23T01:00:00Z",
        "--until",
        "2026-11-23T02:00:00Z",
        "--json",
    ];
    assert_eq!(host.json(day).len(), 1);
    let status = host.json(["reading", "status", "--json"]).remove(0);
    assert_eq!((&status["readings"], &status["devices"]), (&json!(3), &json!(1)));
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn what_a_file_leaves_open_is_refused_before_anything_is_sent() {
    let (folder, host) = begun();
    let file = |name: &str, text: &str| host::file(folder.path(), name, text);
    let load = |path: &str, more: &[&str]| Ran::of(host.weir([&["reading", "load", path][..], more].concat()));
    let row = format!("{METER},2026-11-23T09:30:00Z,252\n");
    let time = file("time.csv", &format!("device,time,voltage_v\n{row}"));
    load(&time, &[])
        .says(&["time.csv: line 1: time: the heading does not say which end", "--stamp start or --stamp end"]);
    load(&time, &["--stamp", "end"]).says(&["line 1: length: nothing says how long a period is", "--length 30m"]);
    let start = load(&time, &["--stamp", "start", "--length", "30m", "--json"]);
    assert_eq!(start.code, Some(0), "{}", start.said);
    let ended = host.json(["reading", "list", "--device", METER, "--json"]).remove(0);
    assert_eq!(ended["end_ms"], 1_795_428_000_000_i64);
    let unit =
        file("unit.csv", &format!("device,period_end,length_min,voltage\n{METER},2026-11-23T09:30:00Z,30,252\n"));
    load(&unit, &[]).says(&["unknown column \"voltage\"; did you mean \"voltage_v\"?"]);
    let fold = file("fold.csv", &format!("device,period_end,length_min,voltage_v\n{METER},2026-10-25 01:30,30,252\n"));
    load(&fold, &["--time-zone", "Europe/London"])
        .says(&["line 2: period_end: 2026-10-25T01:30:00 was shown twice in Europe/London"]);
    load(&fold, &["--length", "25h"]).says(&["--length"]);
    load(&file("alerts.hex", "00\n"), &[]).says(&["a file of gbcs-hex holds nothing that this command loads"]);
    assert_eq!(host.json(["reading", "status", "--json"]).remove(0)["readings"], 1);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn responses_to_4_10_and_6_2_1_are_loaded_like_rows() {
    let (folder, host) = begun();
    let loaded = host.json(["reading", "load", &case("network-data.xml"), "--json"]).remove(0);
    assert_eq!(counts(&loaded), [4, 0, 0, 1, 0], "{loaded}");
    let listed = host.json(["reading", "list", "--device", THREE_PHASES, "--json"]);
    let phases: Vec<(&Value, &Value)> =
        listed.iter().map(|reading| (&reading["phase"], &reading["whole_volts"])).collect();
    assert_eq!(phases, [(&json!("1"), &json!(240)), (&json!("2"), &json!(241))]);
    let loaded = host.json(["threshold", "load", &case("voltage-settings.xml"), "--json"]).remove(0);
    assert_eq!(counts(&loaded), [2, 0, 0, 0, 0], "{loaded}");
    let text = format!(
        "device,limit,threshold_dv,from\n{METER},over,2580,2026-11-24T00:00:00Z\n{METER},under,2162,2026-11-23T01:00:05Z\n"
    );
    let changed =
        host.json(["threshold", "load", &host::file(folder.path(), "changed.csv", &text), "--json"]).remove(0);
    assert_eq!((&changed["added"], &changed["replaced"]), (&json!(1), &json!(1)));
    let thresholds = host.json(["threshold", "list", "--device", METER, "--json"]);
    let values: Vec<(&Value, &Value)> =
        thresholds.iter().map(|threshold| (&threshold["limit"], &threshold["value_dv"])).collect();
    assert_eq!(
        values,
        [(&json!("over"), &json!(2_530)), (&json!("over"), &json!(2_580)), (&json!("under"), &json!(2_162))]
    );
    let tenths = std::fs::read_to_string(case("voltage-settings.xml")).unwrap().replace(">253<", ">2530<");
    let ran = Ran::of(host.weir(["threshold", "load", &host::file(folder.path(), "tenths.xml", &tenths)]));
    assert_eq!(ran.code, Some(64), "{}", ran.said);
    ran.says(&["AverageRMSOverVoltageThreshold: expected volts below 1,000", "is it in tenths of a volt?"]);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn more_readings_than_one_message_takes_are_sent_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, &folder.path().join("data"), &[("WEIR_READINGS__PUT_READINGS_MAX", "5")]);
    host.json(["device", "load", &host::file(folder.path(), "devices.csv", DEVICES), "--json"]);
    let voltages: Vec<&str> = (0..23).map(|_| "252").collect();
    let text = format!("{HEADER}{}", half_hours(&voltages));
    let twice = format!("{text}{METER},whole,{HALF_PAST},30,251\n");
    let ran = Ran::of(host.weir(["reading", "load", &host::file(folder.path(), "many.csv", &twice), "--json"]));
    assert_eq!(ran.code, Some(64), "{}", ran.said);
    let load = &ran.out[0];
    assert_eq!((counts(load), &load["named"][0]["line"]), ([23, 0, 1, 0, 0], &json!(25)), "{load}");
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn what_is_said_of_a_model_is_listed_and_taken_back() {
    let (_folder, host) = begun();
    host.json(["reading", "model", "set", "Alder 3T", "--rounding", "nearest", "--code", "8F40=over:1", "--json"]);
    let models = host.json(["reading", "model", "list", "--json"]);
    let codes = json!([{"code": "8F40", "limit": "over", "phase": "1"}]);
    assert_eq!((models.len(), &models[0]["rounding"], &models[0]["codes"]), (1, &json!("nearest"), &codes));
    host.json(["reading", "model", "set", "Alder 3T", "--json"]);
    assert_eq!(host.json(["reading", "model", "list", "--json"]).len(), 0);
    let twice =
        Ran::of(host.weir(["reading", "model", "set", "Alder 3T", "--code", "8F40=over", "--code", "8F40=under"]));
    assert_eq!(twice.code, Some(64), "{}", twice.said);
    assert_eq!(host.stop(), Some(0));
}
