//! An inventory that changes, through the real binary: what a load would do is what it does, each alert stays with the
//! operator and model of its time, and replay says so.

use serde_json::{Value, json};
use weir_tests::host::{self, Host};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

/// A meter of 10, one of 12, one for gas, and one of an independent network, 24.
const BEFORE: &str = "eui,mpxn,generation,model,operator
00-DB-12-00-00-00-00-01,1000000000012,smets1,Alder 3,
00-DB-12-00-00-00-00-02,1200000000011,smets1,Alder 3,
00-DB-12-00-00-00-00-03,7654321,smets2,Gorse 1,
00-DB-12-00-00-00-00-04,2400000000013,smets2,Birch 7,
";

/// The first has moved to 14. The second has another model, generation and, against its MPAN, operator. The fourth was
/// replaced by the fifth, which lies in the area of 10. The sixth has sent alerts already, the seventh has not.
const AFTER: &str = "eui,mpxn,generation,model,operator
00-DB-12-00-00-00-00-01,1400000000010,smets1,Alder 3,
00-DB-12-00-00-00-00-02,1200000000011,smets2,Birch 7,19
00-DB-12-00-00-00-00-03,7654321,smets2,Gorse 1,
00-DB-12-00-00-00-00-05,2400000000013,smets2,Birch 7,10
00-DB-12-00-00-00-00-06,,smets1,Alder 3,23
00-DB-12-00-00-00-00-07,,smets1,Alder 3,23
nonsense,,smets1,Alder 3,23
";

fn send(host: &Host, folder: &std::path::Path, counter: u32) {
    let rows: String = (1..=6).map(|device| format!("00-DB-12-00-00-00-00-0{device},{counter},8F40,2550\n")).collect();
    let text = format!("device,counter,code,measurement_dv\n{rows}");
    host.json(["alert", "send", &host::file(folder, "alerts.csv", &text), "--json"]);
}

/// Forwarded and suppressed by operator and model.
fn counts(host: &Host) -> Value {
    let counts = host.json(["count", "--by", "operator,model", "--json"]).remove(0);
    let rows = counts["rows"].as_array().unwrap().iter().map(|row| {
        let balance = &row["balance"];
        json!([row["operator"], row["model"], balance["forwarded"], balance["suppressed"]])
    });
    rows.collect()
}

/// Loads a file one line of which cannot be read; gives what is printed as JSON, and what is said.
fn load(host: &Host, file: &str, arguments: &[&str]) -> (Value, String) {
    let output = host.weir([&["device", "load", file, "--json"], arguments].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "a line is bad: {said}");
    (serde_json::from_slice(&output.stdout).unwrap(), said)
}

#[test]
fn a_load_says_what_it_will_do_and_no_alert_changes_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let host = Host::start(BINARY, &data);
    host.json(["plugin", "push", env!("WEIR_GUEST_THRESHOLD"), "--json"]);
    // A rule that sees an operator's alerts, and one that sees a model's.
    for (name, scope) in [("ten", ["--operator", "10"]), ("alder", ["--model", "Alder 3"])] {
        let parameters = r#"{"codes":["8F40"],"below_dv":2580}"#;
        let set = ["rule", "set", name, "--plugin", "threshold", "--parameters", parameters, "--json"];
        host.json([&set[..], &scope].concat());
    }
    let before = host::file(folder.path(), "before.csv", BEFORE);
    assert_eq!(host.json(["device", "load", &before, "--json"]).remove(0)["added"], 4);
    send(&host, folder.path(), 1);
    // Gas has no distributor, and nothing is known of two devices. An independent network is an operator of its own.
    let then = json!([
        [0, "", 2, 0],
        [0, "Gorse 1", 1, 0],
        [10, "Alder 3", 0, 1],
        [12, "Alder 3", 0, 1],
        [24, "Birch 7", 1, 0]
    ]);
    assert_eq!(counts(&host), then);

    let after = host::file(folder.path(), "after.csv", AFTER);
    let (asked, said) = load(&host, &after, &["--dry-run", "--missing"]);
    let figure = |load: &Value, name: &str| load[name].as_u64().unwrap();
    let figures = |load: &Value| {
        [
            "added",
            "met",
            "changed",
            "operator_changed",
            "mpxn_changed",
            "generation_changed",
            "model_changed",
            "unchanged",
        ]
        .map(|name| figure(load, name))
    };
    assert_eq!(figures(&asked), [3, 2, 2, 2, 1, 1, 1, 1]);
    assert_eq!((figure(&asked, "unreadable_count"), figure(&asked, "wrong_operator_count")), (1, 1));
    assert!(said.contains("line 3: operator: 19 SEEB is stated, but MPAN 1200000000011 is of 12 LOND"), "{said}");
    assert!(said.contains("line 8: eui:"), "{said}");
    let moved = &asked["changes"][0];
    assert_eq!((&moved["before"]["operator"], &moved["after"]["operator"]), (&10.into(), &14.into()));
    assert_eq!((&moved["before"]["mpxn"], &moved["after"]["mpxn"]), (&"1000000000012".into(), &"1400000000010".into()));
    let gone = json!({
        "device_count": 1, "replaced_count": 1,
        "devices": [{
            "device_id": "00-DB-12-00-00-00-00-04", "mpxn": "2400000000013", "replaced_by": "00-DB-12-00-00-00-00-05",
        }],
    });
    assert_eq!(asked["missing"], gone);
    let shown = String::from_utf8(host.weir(["device", "load", &after, "--dry-run", "--missing"]).stdout).unwrap();
    for part in ["nothing: a dry run", "10 EELC", "14 MIDE", "Birch 7", "operator against MPAN", "replaced by"] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
    let first = host.json(["device", "show", "00DB120000000001", "--json"]).remove(0);
    assert_eq!(first["device"]["operator"], 10, "nothing was done");

    let (done, _) = load(&host, &after, &[]);
    assert_eq!((figures(&done), &done["changes"]), (figures(&asked), &asked["changes"]));
    let (again, _) = load(&host, &after, &[]);
    assert_eq!(figures(&again), [0, 0, 0, 0, 0, 0, 0, 6]);
    let fourth = host.json(["device", "show", "00DB120000000004", "--json"]).remove(0);
    assert_eq!(fourth["in_inventory"], true, "what a file does not name stays");

    assert_eq!(counts(&host), then, "what was taken before stays as it was");
    send(&host, folder.path(), 2);
    let now = json!([
        [0, "", 2, 0],
        [0, "Gorse 1", 2, 0],
        [10, "Alder 3", 0, 1],
        [10, "Birch 7", 0, 1],
        [12, "Alder 3", 0, 1],
        [14, "Alder 3", 0, 1],
        [19, "Birch 7", 1, 0],
        [23, "Alder 3", 0, 1],
        [24, "Birch 7", 2, 0]
    ]);
    assert_eq!(counts(&host), now);
    let alerts = |host: &Host| host.json(["alert", "list", "--json"]);
    let listed = alerts(&host);
    let of_first: Vec<&Value> =
        listed.iter().filter(|row| row["alert"]["device_id"] == "00-DB-12-00-00-00-00-01").collect();
    let joined = |row: &Value| (row["operator"].clone(), row["rule"]["name"].clone());
    assert_eq!(joined(of_first[0]), (json!(10), json!("ten")));
    assert_eq!(joined(of_first[1]), (json!(14), json!("alder")));

    let same = |host: &Host| {
        let verified = host.json(["verify", "run", "--json"]).remove(0);
        assert_eq!((&verified["verdict"], &verified["alert_count"]), (&"same".into(), &12.into()));
    };
    same(&host);
    assert_eq!(host.stop(), Some(0));
    let host = Host::start(BINARY, &data);
    same(&host);
    assert_eq!((counts(&host), alerts(&host)), (now, listed));
    assert_eq!(host.stop(), Some(0));
}
