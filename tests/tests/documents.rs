//! Promise of docs/documents.md: what a document says of an alert is what is logged, through the real binary; nothing legal is
//! lost, and nothing is counted twice.

use std::path::Path;

use serde_json::{Value, json};
use weir_tests::host::{self, Host};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

/// A host with an empty store that takes alerts of any age.
struct Cases {
    folder: tempfile::TempDir,
    host: Host,
}

impl Cases {
    fn new(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = [&[("WEIR_STORE__RETENTION_DAYS_MAX", "36500")], settings].concat();
        let host = Host::start_with(BINARY, &folder.path().join("data"), &settings);
        Self { folder, host }
    }

    /// Sends a case; returns forwarded, duplicate and rejected, the exit code, and what was said.
    fn send(&self, name: &str) -> ([u64; 3], Option<i32>, String) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(name);
        self.send_file(path.to_str().unwrap())
    }

    fn send_file(&self, path: &str) -> ([u64; 3], Option<i32>, String) {
        let sent = self.host.weir(["alert", "send", path, "--json"]);
        let stdout: Value = serde_json::from_slice(&sent.stdout).unwrap_or_default();
        let count = |end: &str| stdout["balance"][end].as_u64().unwrap_or(u64::MAX);
        let said = String::from_utf8(sent.stderr).unwrap();
        (["forwarded", "duplicate", "rejected"].map(count), sent.status.code(), said)
    }

    /// A text as a file; sent.
    fn send_text(&self, name: &str, text: &str) -> ([u64; 3], Option<i32>, String) {
        self.send_file(&host::file(self.folder.path(), name, text))
    }

    fn listed(&self) -> Vec<Value> {
        self.host.json(["alert", "list", "--json"])
    }
}

/// Some fields of listed alerts.
fn fields(listed: &[Value], names: &[&str]) -> Value {
    let of = |row: &Value, name: &str| match name {
        "operator" | "generation" | "remarks" | "outcome" => row[name].clone(),
        name => row["alert"][name].clone(),
    };
    listed.iter().map(|row| names.iter().map(|name| of(row, name)).collect::<Value>()).collect()
}

fn device(end: &str) -> String {
    format!("02-00-5E-10-00-00-{end}")
}

#[test]
fn an_outage_is_of_its_hub_from_its_start_on_and_of_the_operator_of_its_place() {
    let cases = Cases::new(&[]);
    assert_eq!(cases.send("outages.xml").0, [3, 0, 0]);
    let names = ["device_id", "occurred_at_ms", "dcc_at_ms", "operator", "remarks"];
    let expected = json!([
        [device("C0-01"), 1_795_416_070_000_i64, 1_795_416_260_500_i64, 12, []],
        [device("C0-02"), 1_795_416_072_000_i64, 1_795_416_261_000_i64, 13, []],
        [device("C0-01"), 1_795_447_200_000_i64, 1_795_447_410_000_i64, 12, []],
    ]);
    let listed = cases.listed();
    assert_eq!(fields(&listed, &names), expected);
    let points: Vec<&Value> = listed.iter().map(|row| &row["alert"]["details"]["mpxn"]).collect();
    assert_eq!(points, ["1200000000777", "1300000000888", "1200000000777"]);
    assert_eq!(cases.send("outages.xml").0, [0, 3, 0], "once more");

    // Where the inventory has a hub, it is the inventory that counts.
    let cases = Cases::new(&[]);
    let inventory = format!("eui,mpxn,generation,model,operator\n{},,smets2,CH,20\n", device("C0-01"));
    let inventory = host::file(cases.folder.path(), "devices.csv", &inventory);
    assert!(cases.host.weir(["device", "load", &inventory]).status.success());
    assert_eq!(cases.send("outages.xml").0, [3, 0, 0]);
    assert_eq!(fields(&cases.listed(), &["operator"]), json!([[20], [13], [20]]));
    assert_eq!(cases.host.json(["verify", "run", "--json"]).remove(0)["verdict"], "same");
}

/// Three outages of two hubs in one document are three alerts of two devices, once each.
#[test]
fn outages_of_one_document_are_an_alert_each() {
    let cases = Cases::new(&[]);
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/outages.xml")).unwrap();
    let events: String = text
        .split("<sr:PowerOutageEvent>")
        .skip(1)
        .map(|rest| {
            format!(
                "<sr:PowerOutageEvent>{}</sr:PowerOutageEvent>",
                rest.split("</sr:PowerOutageEvent>").next().unwrap()
            )
        })
        .collect();
    let first = text.lines().nth(1).unwrap();
    let (before, after) =
        (first.split("<sr:PowerOutageEvent>").next().unwrap(), first.split("</sr:PowerOutageEvent>").nth(1).unwrap());
    let one = format!("{before}{events}{after}");
    assert_eq!(cases.send_text("one.xml", &one).0, [3, 0, 0]);
    // The third began after the DCC told of it, or so this document says.
    let future = "occurred-in-future";
    let expected = json!([[device("C0-01"), 12, []], [device("C0-02"), 13, []], [device("C0-01"), 12, [future]]]);
    assert_eq!(fields(&cases.listed(), &["device_id", "operator", "remarks"]), expected);
    assert_eq!(cases.send_text("again.xml", &one).0, [0, 3, 0]);
}

/// Outages that only their places tell apart are an alert each, and one that cannot be read is one error.
#[test]
fn outages_of_one_hub_or_of_none_are_no_duplicates_of_each_other() {
    let cases = Cases::new(&[]);
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/outages.xml")).unwrap();
    let first = text.lines().nth(1).unwrap();
    let (before, rest) = first.split_once("<sr:PowerOutageEvent>").unwrap();
    let (event, after) = rest.split_once("</sr:PowerOutageEvent>").unwrap();
    let outage = |event: &str| format!("<sr:PowerOutageEvent>{event}</sr:PowerOutageEvent>");
    let elsewhere = outage(&event.replace("1200000000777", "1300000000888"));
    let of_one = format!("{before}{}{elsewhere}{after}", outage(event));
    assert_eq!(cases.send_text("one.xml", &of_one).0, [2, 0, 0]);
    assert_eq!(cases.send_text("again.xml", &of_one).0, [0, 2, 0]);
    let of_none = of_one.replace("CommsHubDeviceID>", "Other>");
    assert_eq!(cases.send_text("none.xml", &of_none).0, [2, 0, 0]);
    assert_eq!(cases.send_text("none-again.xml", &of_none).0, [0, 2, 0]);

    let cases = Cases::new(&[]);
    let broken = outage(&event.replace("02-00-5E", "XX"));
    let (counts, code, said) =
        cases.send_text("bad.xml", &format!("{before}{}{broken}{elsewhere}{after}", outage(event)));
    assert_eq!((counts[0], counts[1], code), (2, 0, Some(64)), "{said}");
    assert!(said.contains("CommsHubDeviceID"), "{said}");
    // What follows in another encoding is told by the exit code too.
    let wide: Vec<u8> = first.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let path = cases.folder.path().join("mixed.xml");
    std::fs::write(&path, [first.as_bytes(), b"\n", &wide].concat()).unwrap();
    let (_, code, said) = cases.send_file(path.to_str().unwrap());
    assert!(code == Some(64) && said.contains("UTF-16"), "{code:?} {said}");
}

#[test]
fn alerts_of_the_dcc_are_of_the_device_and_the_time_that_they_name() {
    let cases = Cases::new(&[]);
    for name in ["hub-n53.xml", "hub-n54.xml", "hub-n33.xml", "dcc-s1sp.xml", "dcc-ppmid.xml"] {
        assert_eq!(cases.send(name).0, [1, 0, 0], "{name}");
    }
    let names = ["device_id", "occurred_at_ms", "occurred_at_status", "dcc_at_ms"];
    let (stated, none) = ("stated", "not-stated");
    let expected = json!([
        [device("C0-05"), 1_795_403_700_000_i64, stated, 1_795_404_000_000_i64],
        [device("C0-06"), 1_795_404_001_000_i64, none, 1_795_404_001_000_i64],
        [device("C0-08"), 1_795_404_002_000_i64, none, 1_795_404_002_000_i64],
        [device("A0-09"), 1_795_381_620_000_i64, stated, 1_795_404_600_000_i64],
        [device("A0-0A"), 1_795_391_430_000_i64, stated, 1_795_404_601_000_i64],
    ]);
    let listed = cases.listed();
    assert_eq!(fields(&listed, &names), expected);
    let details: Vec<Value> = listed.iter().map(|row| row["alert"]["details"].clone()).collect();
    let expected = [
        json!({ "inner_code": "8F72" }),
        json!({ "inner_code": "8F21" }),
        Value::Null,
        json!({ "note": "S1VE: no answer" }),
        json!({ "inner_code": "8F8B" }),
    ];
    assert_eq!(details, expected);
    let explained = String::from_utf8(cases.host.weir(["alert", "explain", "3"]).stdout).unwrap();
    assert!(explained.contains("S1VE: no answer"), "{explained}");
}

#[test]
fn smets1_alerts_are_what_their_own_response_says() {
    let cases = Cases::new(&[]);
    assert_eq!(cases.send("smets1.xml").0, [2, 0, 0]);
    let names = [
        "device_id",
        "recipient_id",
        "originator_counter",
        "code",
        "occurred_at_ms",
        "dcc_at_ms",
        "weight",
        "generation",
    ];
    let (meter, user) = (device("A0-14"), device("05-01"));
    let expected = json!([
        [meter, user, 1_795_426_100_001_u64, "8F40", 1_795_426_100_000_i64, 1_795_426_200_250_i64, 1, "smets1"],
        [meter, user, 1_795_426_100_002_u64, "8014", 1_795_426_101_000_i64, 1_795_426_200_300_i64, 41, "smets1"],
    ]);
    assert_eq!(fields(&cases.listed(), &names), expected);
    assert_eq!(cases.send("smets1.xml").0, [0, 2, 0], "once more");
    assert_eq!(cases.host.json(["count", "--json"]).remove(0)["total"]["remarks"]["out_of_order"], 0);

    let cases = Cases::new(&[]);
    assert_eq!(cases.send("smets1-outage.xml").0, [1, 0, 0]);
    assert_eq!(cases.send("smets1-clock.xml").0, [1, 0, 0]);
    let listed = cases.listed();
    let expected = json!([
        ["8F36", 1_795_426_140_000_i64, []],
        ["8002", 946_685_642_000_i64, ["out-of-order", "clock-unreliable", "clock-not-set"]],
    ]);
    let found = fields(&listed, &["code", "occurred_at_ms", "remarks"]);
    assert_eq!(found[0], expected[0]);
    assert_eq!((&found[1][0], &found[1][1]), (&expected[1][0], &expected[1][1]));
    let remarks = found[1][2].as_array().unwrap();
    assert!(remarks.contains(&"clock-unreliable".into()) && remarks.contains(&"clock-not-set".into()), "{remarks:?}");
    let outage = json!({ "interrupted_at_ms": 1_795_424_340_000_i64, "restored_at_ms": 1_795_426_110_000_i64 });
    assert_eq!(listed[0]["alert"]["details"], outage);
    // Neither a code nor a table that gives the description one: refused and counted, in words that say so.
    let (ends, code, said) = cases.send("smets1-no-code.xml");
    assert_eq!((ends, code), ([0, 0, 1], Some(64)));
    for words in ["GBCSHexAlertCode", "it is missing", "Voltage out of limits (event 0x24)", "--code-table"] {
        assert!(said.contains(words), "{words} is missing in {said}");
    }
    let table = "code,description\n8F40,Voltage out of limits (event 0x24)\n";
    let table = host::file(cases.folder.path(), "codes.csv", table);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/smets1-no-code.xml");
    let sent = cases.host.weir(["alert", "send", path.to_str().unwrap(), "--code-table", &table]);
    assert!(sent.status.success(), "{sent:?}");
    let listed = cases.host.json(["alert", "list", "--json", "--code", "8F40"]);
    assert_eq!(listed[0]["alert"]["device_id"], device("A0-15"));
    // By default the log does not reach back to 2000, which is remarked besides.
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, &folder.path().join("data"), &[]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/smets1-clock.xml");
    assert!(host.weir(["alert", "send", path.to_str().unwrap()]).status.success());
    let remarks = fields(&host.json(["alert", "list", "--json"]), &["remarks"]);
    assert_eq!(remarks, json!([[["occurred-before-retention", "clock-unreliable", "clock-not-set"]]]));
}

#[test]
fn a_document_of_smets1_tells_a_generation_that_the_inventory_lacks_and_is_remarked_where_it_differs() {
    let cases = Cases::new(&[]);
    let inventory = format!("eui,mpxn,generation,model\n{},,smets2,A\n", device("A0-14"));
    let inventory = host::file(cases.folder.path(), "devices.csv", &inventory);
    assert!(cases.host.weir(["device", "load", &inventory]).status.success());
    assert_eq!(cases.send("smets1.xml").0, [2, 0, 0]);
    assert_eq!(cases.send("smets1-outage.xml").0, [1, 0, 0]);
    let differs = "generation-differs";
    let expected = json!([["smets2", [differs]], ["smets2", [differs]], ["smets1", []]]);
    assert_eq!(fields(&cases.listed(), &["generation", "remarks"]), expected);
}

#[test]
fn a_gap_in_a_throttled_sequence_is_remarked() {
    let cases = Cases::new(&[]);
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/smets1.xml")).unwrap();
    let throttled = text.lines().find(|line| line.contains("ThrottledAlertCount")).unwrap();
    let numbered = |counter: u64, number: u32, code: &str| {
        throttled
            .replace("1795426100002", &counter.to_string())
            .replace("<sr:ThrottledAlertSequenceId>2<", &format!("<sr:ThrottledAlertSequenceId>{number}<"))
            .replace(">8014<", &format!(">{code}<"))
    };
    // 4 is missing; another code has a sequence of its own, and 1 begins another.
    let numbers = [(1, 2, "8014"), (2, 3, "8014"), (3, 9, "8015"), (4, 5, "8014"), (5, 6, "8014"), (6, 1, "8014")];
    let documents: Vec<String> =
        numbers.iter().map(|(counter, number, code)| numbered(*counter, *number, code)).collect();
    assert_eq!(cases.send_text("a.xml", &documents[..3].concat()).0, [3, 0, 0]);
    let Cases { folder, host } = cases;
    assert_eq!(host.stop(), Some(0));
    let host = Host::start_with(BINARY, &folder.path().join("data"), &[("WEIR_STORE__RETENTION_DAYS_MAX", "36500")]);
    let cases = Cases { folder, host };
    assert_eq!(cases.send_text("b.xml", &documents[3..].concat()).0, [3, 0, 0]);
    let found = fields(&cases.listed(), &["remarks"]);
    assert_eq!(found, json!([[[]], [[]], [[]], [["throttle-gap"]], [[]], [[]]]), "over a restart too");
}

#[test]
fn wrapped_parsed_and_encoded_documents_are_all_taken_once() {
    let cases = Cases::new(&[]);
    assert_eq!(cases.send("wrapped.xml").0, [3, 0, 0]);
    assert_eq!(cases.send("wrapped-soap.xml").0, [0, 1, 0], "one of them");
    let expected = json!([[520], [521], [522], [520]]);
    assert_eq!(fields(&cases.listed(), &["originator_counter"]), expected);

    let cases = Cases::new(&[]);
    for name in ["parsed-adapter.xml", "parsed-alone.xml", "utf16.xml", "latin1.xml"] {
        let (ends, code, said) = cases.send(name);
        assert_eq!((ends, code), ([1, 0, 0], Some(0)), "{name}: {said}");
    }
    let names = ["code", "device_id", "originator_counter", "recipient_id", "occurred_at_ms", "dcc_at_ms"];
    let (meter, user) = (device("A0-25"), device("05-01"));
    let listed = cases.listed();
    let expected = json!([
        ["8F12", meter, 530, user, 1_795_426_198_000_i64, 1_795_426_200_000_i64],
        ["8002", meter, 531, user, 1_795_426_198_000_i64, null],
    ]);
    assert_eq!(fields(&listed[..2], &names), expected);
    assert_eq!(
        fields(&listed[2..], &["code", "device_id"]),
        json!([["N16", device("A0-24")], ["N55", device("A0-24")]])
    );
    assert_eq!(listed[3]["alert"]["details"]["note"], "S1VE: \u{A3}10 not added");
}

#[test]
fn a_time_of_the_header_costs_no_alert() {
    let cases = Cases::new(&[]);
    let (ends, code, said) = cases.send("header-times.xml");
    assert_eq!((ends, code), ([4, 0, 0], Some(0)), "{said}");
    let at = 1_795_426_198_000_i64;
    let left_out = json!(["dcc-at-left-out"]);
    let expected = json!([
        [540, at, null, "left-out", left_out],
        [541, at, null, "left-out", left_out],
        [542, at, 1_795_392_000_000_i64, null, []],
        [543, at, 1_795_426_200_000_i64, null, []],
    ]);
    let names = ["originator_counter", "occurred_at_ms", "dcc_at_ms", "dcc_at_status", "remarks"];
    let mut found = fields(&cases.listed(), &names);
    // It happened after the DCC passed it on, or so the header says.
    assert_eq!(found[2][4], json!(["occurred-in-future"]));
    found[2][4] = json!([]);
    assert_eq!(found, expected);
}

#[test]
fn what_a_meter_says_of_its_clock_is_kept() {
    let cases = Cases::new(&[]);
    assert_eq!(cases.send("meter-clocks.hex").0, [7, 0, 0]);
    let listed = cases.listed();
    let left_out = json!(["occurred-at-left-out"]);
    let found: Vec<(u64, Value, Value)> = listed
        .iter()
        .map(|row| {
            let alert = &row["alert"];
            let occurred =
                if alert["occurred_at_status"] == "left-out" { Value::Null } else { alert["occurred_at_ms"].clone() };
            (alert["originator_counter"].as_u64().unwrap(), occurred, row["remarks"].clone())
        })
        .collect();
    let at = |minutes: i64| json!(1_784_799_000_000_i64 + minutes * 60_000);
    let expected = [
        (801, at(0), json!([])),
        (802, at(0), json!([])),
        (803, at(-60), json!([])),
        (804, at(60), json!([])),
        (805, Value::Null, left_out.clone()),
        (806, at(0), json!(["clock-unreliable"])),
        (807, Value::Null, left_out),
    ];
    assert_eq!(found, expected);
}

/// What the host takes at most is asked for, by a sending and by its dry run: an alert is not lost for its count.
#[test]
fn a_throttled_count_is_cut_at_the_hosts_largest_weight() {
    let cases = Cases::new(&[("WEIR_INTAKE__WEIGHT_MAX", "5")]);
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/smets1.xml")).unwrap();
    let text = text.replace("ThrottledAlertCount>40<", "ThrottledAlertCount>9<");
    let said = "ThrottledAlertCount: \"9\" is more than one alert can stand for; taken as 5";
    let path = host::file(cases.folder.path(), "throttled.xml", &text);
    let tried = cases.host.weir(["alert", "send", &path, "--dry-run", "--json"]);
    assert_eq!(tried.status.code(), Some(0));
    assert!(String::from_utf8(tried.stderr).unwrap().contains(said));
    let (counts, code, heard) = cases.send_file(&path);
    assert_eq!((counts, code), ([2, 0, 0], Some(0)), "{heard}");
    assert!(heard.contains(said), "{heard}");
    let listed = cases.listed();
    assert_eq!(listed.iter().filter(|row| row["alert"]["weight"] == 5).count(), 1, "{listed:?}");
}
