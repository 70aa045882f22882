//! What alerts say of the inventory, through the real binary: the pairs it lacks, a file that takes them, and no device that
//! moves to another operator by itself.

use std::path::Path;

use serde_json::{Value, json};
use weir_tests::{
    host::{self, Host},
    tenants,
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

const HUB: &str = "02-00-5E-10-00-00-C0-01";
const OTHER_HUB: &str = "02-00-5E-10-00-00-C0-02";
const METER: &str = "00-DB-12-00-00-00-00-01";
/// The points of outages.xml: two outages of the first hub, one of the second.
const POINT: &str = "1200000000777";
const OTHER_POINT: &str = "1300000000888";

struct Estate {
    folder: tempfile::TempDir,
    host: Host,
}

impl Estate {
    /// A host that has the outages of outages.xml.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::start_with(BINARY, &folder.path().join("data"), &[host::KEEPS_ALL]);
        Self { folder, host }
    }

    fn send(&self) {
        let outages = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/outages.xml");
        assert!(self.host.weir(["alert", "send", outages.to_str().unwrap()]).status.success());
    }

    fn load(&self, text: &str) -> Value {
        let file = host::file(self.folder.path(), "devices.csv", text);
        self.host.json(["device", "load", &file, "--json"]).remove(0)
    }

    /// Device, point, kind and count of each proposal.
    fn proposals(&self) -> Value {
        let rows = self.host.json(["device", "proposals", "--json"]);
        rows.iter().map(|row| json!([row["device_id"], row["mpxn"], row["kind"], row["alert_count"]])).collect()
    }

    /// The file of proposals, and what is said beside.
    fn file(&self, more: &[&str]) -> (String, String) {
        let output = self.host.weir([&["device", "proposals", "--csv"], more].concat());
        assert!(output.status.success());
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

#[test]
fn what_alerts_say_is_proposed_taken_by_a_load_and_proposed_no_more() {
    let estate = Estate::new();
    assert_eq!(estate.proposals(), json!([]));
    estate.send();
    let new = json!([[HUB, POINT, "new-device", 2], [OTHER_HUB, OTHER_POINT, "new-device", 1]]);
    assert_eq!(estate.proposals(), new);
    let (text, said) = estate.file(&[]);
    assert_eq!(said, "");
    assert!(text.contains(&format!("{HUB},{POINT},unknown,,,,,CHF,\n")), "{text}");
    let file = host::file(estate.folder.path(), "proposals.csv", &text);
    assert_eq!(estate.host.json(["device", "load", &file, "--json"]).remove(0)["added"], 2);
    assert_eq!(estate.proposals(), json!([]));
    let view = estate.host.json(["device", "show", POINT, "--json"]).remove(0);
    let taken = json!([HUB, 12, "CHF"]);
    assert_eq!(json!(["device_id", "operator", "type"].map(|name| &view["device"][name])), taken);

    // A meter comes to the point: it is found by it, and the hub is proposed as its hub.
    estate.load(&format!("eui,mpxn,generation,model\n{METER},{POINT},smets2,\"A, 1\"\n"));
    assert_eq!(estate.host.json(["device", "show", POINT, "--json"]).remove(0)["device"]["device_id"], METER);
    assert_eq!(estate.proposals(), json!([[HUB, POINT, "hub", 2]]));
    assert_eq!(estate.host.stop(), Some(0));
}

#[test]
fn a_hub_is_proposed_to_the_meter_at_the_point() {
    let estate = Estate::new();
    estate.load(&format!("eui,mpxn,generation,model\n{METER},{POINT},smets2,\"A, 1\"\n"));
    estate.send();
    let expected = json!([[HUB, POINT, "hub", 2], [OTHER_HUB, OTHER_POINT, "new-device", 1]]);
    assert_eq!(estate.proposals(), expected);
    let (text, _) = estate.file(&[]);
    assert!(text.contains(&format!("{METER},{POINT},smets2,\"A, 1\",12,,,,{HUB}\n")), "{text}");
    let file = host::file(estate.folder.path(), "proposals.csv", &text);
    let load = estate.host.json(["device", "load", &file, "--json"]).remove(0);
    assert_eq!((&load["added"], &load["hub_changed"], &load["operator_changed"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(estate.proposals(), json!([]));
    let table = String::from_utf8(estate.host.weir(["device", "list"]).stdout).unwrap();
    assert!(table.contains("hub") && table.contains(HUB), "{table}");
    assert_eq!(estate.host.stop(), Some(0));
}

#[test]
fn no_device_moves_to_another_operator_unless_that_is_asked_for() {
    let estate = Estate::new();
    estate.load(&format!("eui,mpxn,generation,model,operator,type\n{HUB},,smets2,CH,20,CHF\n"));
    // The alerts are of the past, and so is the load before them: this one is newer, and they are older than it.
    estate.send();
    let rows = estate.host.json(["device", "proposals", "--json"]);
    assert_eq!((&rows[0]["kind"], &rows[0]["is_other_operator"]), (&json!("no-point"), &json!(true)));
    let table = String::from_utf8(estate.host.weir(["device", "proposals"]).stdout).unwrap();
    assert!(table.contains("MPAN is not of"), "{table}");
    let (text, said) = estate.file(&[]);
    assert!(!text.contains(HUB) && text.contains(OTHER_HUB), "{text}");
    assert!(said.contains("1 whose MPAN is of another operator (--other-operator takes them)"), "{said}");
    let (text, said) = estate.file(&["--other-operator"]);
    assert_eq!(said, "");
    assert!(text.contains(&format!("{HUB},{POINT},smets2,CH,12,,,CHF,\n")), "{text}");
    let file = host::file(estate.folder.path(), "proposals.csv", &text);
    assert_eq!(estate.host.json(["device", "load", &file, "--json"]).remove(0)["operator_changed"], 1);
    assert_eq!(estate.host.stop(), Some(0));
}

#[test]
fn what_a_later_load_has_changed_is_not_taken_back() {
    let estate = Estate::new();
    estate.send();
    // The outages are of 2026-11-23. What is loaded now is newer, whatever it is.
    estate.load(&format!("eui,mpxn,generation,model,type\n{HUB},1200000000011,smets2,CH,CHF\n"));
    let rows = estate.host.json(["device", "proposals", "--json"]);
    assert_eq!((&rows[0]["kind"], &rows[0]["is_older"]), (&json!("other-point"), &json!(true)));
    let (text, said) = estate.file(&[]);
    assert!(!text.contains(HUB), "{text}");
    assert!(said.contains("1 older than the last load of the device"), "{said}");
    assert_eq!(estate.host.stop(), Some(0));
}

#[test]
fn an_operator_is_proposed_what_its_own_alerts_say_and_each_load_is_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let host = Host::start_with(BINARY, &data, &[host::KEEPS_ALL, ("WEIR_AUTHENTICATE", "true")]);
    let admin = std::fs::read_to_string(data.join("first-admin-token")).unwrap().trim().to_owned();
    let lond = tenants::create(&host, &admin, "lond", &["operator", "--operator", "12"]);
    let outages = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/outages.xml");
    tenants::weir(&host, &admin, &["alert", "send", outages.to_str().unwrap()]).unwrap();
    let of = |token: &str| {
        let rows = tenants::weir(&host, token, &["device", "proposals"]).unwrap();
        rows.into_iter().map(|row| row["device_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of(&admin), [HUB, OTHER_HUB]);
    assert_eq!(of(&lond), [HUB]);
    let said = tenants::weir(&host, &lond, &["device", "proposals", "--operator", "13"]).unwrap_err();
    assert!(said.contains("13: this caller may ask for operator 12 alone"), "{said}");
    let output = host.weir(["device", "proposals", "--csv", "--token", &lond]);
    let file = host::file(folder.path(), "proposals.csv", &String::from_utf8(output.stdout).unwrap());
    assert!(tenants::weir(&host, &lond, &["device", "load", &file]).is_err(), "an operator loads no devices");
    tenants::weir(&host, &admin, &["device", "load", &file]).unwrap();
    let entries = tenants::weir(&host, &admin, &["audit", "list"]).unwrap();
    let load = entries.iter().find(|entry| entry["action"] == "device.load").unwrap();
    assert!(load["detail"].as_str().unwrap().starts_with("1 added, 0 changed"), "{load}");
    assert_eq!(of(&lond), [""; 0]);

    // The hub goes to another operator: its alerts stay the first one's, who is not told whose it is now and may not have it
    // moved back.
    let moved = format!("eui,mpxn,generation,model,operator\n{HUB},1300000000888,smets2,Secret 9,13\n");
    let moved = host::file(folder.path(), "moved.csv", &moved);
    tenants::weir(&host, &admin, &["device", "load", &moved]).unwrap();
    let rows = tenants::weir(&host, &lond, &["device", "proposals"]).unwrap();
    assert_eq!((&rows[0]["kind"], &rows[0]["now"]), (&json!("not-own"), &Value::Null));
    let output = host.weir(["device", "proposals", "--csv", "--other-operator", "--token", &lond]);
    let (text, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(said.contains("left out of the file: 1 of devices that are listed, but not as yours"), "{said}");
    let table = String::from_utf8(host.weir(["device", "proposals", "--token", &lond]).stdout).unwrap();
    assert!(table.contains("listed, not as yours"), "{table}");
    for shown in [&text, &said, &table] {
        assert!(!shown.contains("Secret") && !shown.contains("1300000000888"), "{shown}");
    }
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn the_last_pair_of_a_device_counts_whether_the_inventory_agrees_or_not() {
    let estate = Estate::new();
    estate.send();
    // Later the hub reports an outage at another point, and the inventory has it there.
    let outages = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/outages.xml");
    let later = std::fs::read_to_string(outages).unwrap();
    let later = later.replace(POINT, "1200000000011").replace("2026-11-23T", "2026-11-24T").replace(OTHER_HUB, HUB);
    let later = later.replace(OTHER_POINT, "1200000000011").replace(":1795", ":1796");
    let later = host::file(estate.folder.path(), "later.xml", &later);
    assert!(estate.host.weir(["alert", "send", &later]).status.success());
    let before = estate.host.json(["device", "proposals", "--json"]);
    let told = |rows: &[Value]| {
        rows.iter().map(|row| json!([row["device_id"], row["mpxn"], row["is_superseded"]])).collect::<Vec<_>>()
    };
    let both =
        [json!([HUB, "1200000000011", false]), json!([HUB, POINT, true]), json!([OTHER_HUB, OTHER_POINT, false])];
    assert_eq!(told(&before), both);
    estate.load(&format!("eui,mpxn,generation,model,operator,type\n{HUB},1200000000011,smets2,CH,12,CHF\n"));
    let after = estate.host.json(["device", "proposals", "--json"]);
    assert_eq!(told(&after), both[1..], "the pair that agrees is not proposed, and still counts");
    let (text, _) = estate.file(&[]);
    assert!(!text.contains(HUB), "{text}");
    assert_eq!(estate.host.stop(), Some(0));
}
