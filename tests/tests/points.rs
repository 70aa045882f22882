//! Metering points through the real binary: a device is found by each of its points, an exchange of meters never brings up
//! the wrong one, and a point's history says which was there when, to each operator of its own.

use serde_json::{Value, json};
use weir_tests::{
    host::{self, Host},
    tenants::{self, Two, weir},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

const OLD: &str = "00-DB-12-00-00-00-00-01";
const NEW: &str = "00-DB-12-00-00-00-00-02";
const THIRD: &str = "00-DB-12-00-00-00-00-03";
const IMPORT: &str = "1200000000011";
const SECONDARY: &str = "1200000000777";
const EXPORT: &str = "1200000000466";

struct Estate {
    folder: tempfile::TempDir,
    host: Host,
}

impl Estate {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::start_with(BINARY, &folder.path().join("data"), &[host::KEEPS_ALL]);
        Self { folder, host }
    }

    fn load(&self, text: &str) -> Value {
        let file = host::file(self.folder.path(), "devices.csv", text);
        self.host.json(["device", "load", &file, "--json"]).remove(0)
    }

    /// The device that is shown by a metering point, and those that gave way to it.
    fn shown(&self, mpxn: &str) -> (Value, Value) {
        let view = self.host.json(["device", "show", mpxn, "--json"]).remove(0);
        (view["device"]["device_id"].clone(), view["replaced_device_ids"].clone())
    }

    fn history(&self, mpxn: &str) -> Vec<Value> {
        let history = self.host.json(["device", "history", mpxn, "--json"]).remove(0);
        history["periods"].as_array().unwrap().clone()
    }

    fn said(&self, arguments: &[&str]) -> String {
        let output = self.host.weir(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn listed(&self, mpxn: &str) -> Vec<Value> {
        let listed = self.host.json(["device", "list", "--mpxn", mpxn, "--json"]);
        listed.into_iter().map(|device| device["device_id"].clone()).collect()
    }
}

/// Devices of a history, whether each has an end, and whether it is undecided.
fn told(periods: &[Value]) -> Value {
    periods
        .iter()
        .map(|period| json!([period["device_id"], period["until_ms"].is_i64(), period["is_undecided"]]))
        .collect()
}

#[test]
fn a_meter_is_found_by_each_of_its_points() {
    let estate = Estate::new();
    let all = format!(
        "eui,mpxn,generation,model,secondary_mpan,export_mpan,type\n{OLD},{IMPORT},smets2,A,{SECONDARY},{EXPORT},ESME\n"
    );
    assert_eq!(estate.load(&all)["added"], 1);
    for point in [IMPORT, SECONDARY, EXPORT, "12 0000 0000 466"] {
        assert_eq!(estate.shown(point).0, OLD, "{point}");
    }
    assert_eq!(estate.listed(EXPORT), [OLD]);
    let view = estate.host.json(["device", "show", OLD, "--json"]).remove(0);
    let expected = json!([IMPORT, SECONDARY, EXPORT, "ESME"]);
    assert_eq!(json!(["mpxn", "secondary_mpan", "export_mpan", "type"].map(|name| &view["device"][name])), expected);
    let shown = String::from_utf8(estate.host.weir(["device", "show", EXPORT]).stdout).unwrap();
    assert!(shown.contains("export MPAN") && shown.contains(EXPORT), "{shown}");

    // Alerts that name a point with another device are found by it too, and so are those of devices at it.
    let alerts = [OLD, THIRD].map(|device| format!("{device},1,8F40,2026-11-23T12:00:00Z\n")).concat();
    let alerts = format!("device,counter,code,received_at\n{alerts}");
    let alerts = host::file(estate.folder.path(), "alerts.csv", &alerts);
    estate.host.json(["alert", "send", &alerts, "--json"]);
    let found = estate.host.json(["alert", "list", "--mpxn", EXPORT, "--json"]);
    assert_eq!(found.iter().map(|row| &row["alert"]["device_id"]).collect::<Vec<_>>(), [OLD]);

    // The other party counts by whatever point it knows, and two points of one meter are one subject.
    let counts = format!("mpan,date,code,count\n{EXPORT},2026-11-23,8F40,1\n{IMPORT},2026-11-23,8014,0\n");
    let counts = host::file(estate.folder.path(), "counts.csv", &counts);
    let report = estate.host.json(["reconcile", &counts, "--days", "utc", "--json"]).remove(0);
    assert_eq!((&report["totals"]["agreeing_rows"], &report["totals"]["rows"]), (&json!(2), &json!(2)), "{report}");

    // A load without the columns leaves them as they are, and an empty value removes.
    let without = format!("eui,mpxn,generation,model\n{OLD},{IMPORT},smets2,A\n");
    assert_eq!(estate.load(&without)["unchanged"], 1);
    let removed = format!("eui,mpxn,generation,model,export_mpan\n{OLD},{IMPORT},smets2,A,\n");
    let load = estate.load(&removed);
    assert_eq!((&load["changed"], &load["other_points_changed"]), (&json!(1), &json!(1)));
    assert_eq!(estate.shown(SECONDARY).0, OLD);
    assert!(estate.said(&["device", "show", EXPORT]).contains("weir device history 1200000000466 says which were"));
    assert_eq!(told(&estate.history(EXPORT)), json!([[OLD, true, false]]));
    let twice = format!("eui,mpxn,generation,model,export_mpan\n{OLD},{IMPORT},smets2,A,{IMPORT}\n");
    let twice = host::file(estate.folder.path(), "twice.csv", &twice);
    let said = estate.said(&["device", "load", &twice]);
    assert!(said.contains("line 2: export_mpan: 1200000000011 is another metering point of"), "{said}");
    assert!(said.contains("1 line that cannot be read was skipped"), "{said}");
    assert_eq!(estate.host.stop(), Some(0));
}

#[test]
fn a_row_without_an_mpan_keeps_the_operator_and_one_with_an_export_mpan_alone_has_its() {
    let estate = Estate::new();
    let operator = |device: &str| {
        estate.host.json(["device", "show", device, "--json"]).remove(0)["device"]["operator"].as_u64().unwrap()
    };
    estate.load(&format!("eui,mpxn,generation,model\n{OLD},{IMPORT},smets2,A\n{NEW},{IMPORT},smets2,A\n"));
    // One is taken away from the point: the other has it, and the operator of both stays.
    let load = estate.load(&format!("eui,mpxn,generation,model\n{OLD},,smets2,A\n"));
    assert_eq!((&load["mpxn_changed"], &load["operator_changed"]), (&json!(1), &json!(0)));
    assert_eq!((estate.shown(IMPORT).0, operator(OLD)), (json!(NEW), 12));
    // An empty cell of a column says that it is nobody's.
    estate.load(&format!("eui,mpxn,generation,model,operator\n{OLD},,smets2,A,\n"));
    assert_eq!(operator(OLD), 0);
    estate.load(&format!("eui,mpxn,generation,model,export_mpan\n{THIRD},,smets2,A,{EXPORT}\n"));
    assert_eq!(operator(THIRD), 12);
    assert_eq!(estate.host.stop(), Some(0));
}

#[test]
fn a_row_that_the_host_refuses_is_named_by_its_line_and_what_is_stored_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let host = Host::start_with(BINARY, &data, &[("WEIR_AUTHENTICATE", "true")]);
    let admin = std::fs::read_to_string(data.join("first-admin-token")).unwrap().trim().to_owned();
    let loader = tenants::create(&host, &admin, "loader", &["inventory", "--operators", "12"]);
    let row = |at: u64| {
        let operator = if at == 9_000 { 13 } else { 12 };
        format!("{:016X},,smets2,A,{operator}\n", 0x00DB_1200_0000_0000 + at)
    };
    let text: String = (1..10_000).map(row).collect();
    let file = host::file(folder.path(), "many.csv", &format!("eui,mpxn,generation,model,operator\n{text}"));
    let said = weir(&host, &loader, &["device", "load", &file]).unwrap_err();
    // The second message begins with the row 8,193.
    assert!(said.contains("many.csv: line 9001: eui: 00-DB-12-00-00-00-23-28: is to be of operator 13"), "{said}");
    assert!(said.contains("8,192 devices of the file went before and are stored"), "{said}");
    let listed = weir(&host, &admin, &["device", "list", "--limit", "0"]).unwrap();
    assert_eq!(listed.len(), 8_192);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn an_exchange_brings_up_the_meter_that_was_loaded_last_and_keeps_the_other() {
    let estate = Estate::new();
    let before = format!("eui,mpxn,generation,model\n{OLD},{IMPORT},smets1,A\n");
    estate.load(&before);
    let alerts = host::file(estate.folder.path(), "alerts.csv", &format!("device,counter,code\n{OLD},1,8F40\n"));
    estate.host.json(["alert", "send", &alerts, "--json"]);
    std::thread::sleep(std::time::Duration::from_millis(5));

    // The old meter stays in the file.
    let both = format!("eui,mpxn,generation,model\n{OLD},{IMPORT},smets1,A\n{NEW},{IMPORT},smets2,B\n");
    let file = host::file(estate.folder.path(), "both.csv", &both);
    let asked = estate.host.json(["device", "load", &file, "--dry-run", "--json"]).remove(0);
    let done = estate.load(&both);
    let shared = json!([{ "mpxn": IMPORT, "device_id": NEW, "other_device_id": OLD, "is_replaced": true }]);
    assert_eq!((&asked["shared_points"], &done["shared_points"]), (&shared, &shared));
    assert_eq!((&done["added"], &done["unchanged"]), (&json!(1), &json!(1)));
    assert_eq!(estate.shown(IMPORT), (json!(NEW), json!([OLD])));
    assert_eq!(estate.shown(OLD).0, OLD, "by itself it is found as before");
    let periods = estate.history(IMPORT);
    assert_eq!(told(&periods), json!([[OLD, true, false], [NEW, false, false]]));
    assert_eq!(periods[0]["until_ms"], periods[1]["since_ms"]);
    assert_eq!((&periods[0]["balance"]["received"], &periods[1]["balance"]["received"]), (&json!(1), &json!(0)));
    assert_eq!(estate.listed(IMPORT), [OLD, NEW]);

    // The same file again, the other way round, changes nothing.
    let again = format!("eui,mpxn,generation,model\n{NEW},{IMPORT},smets2,B\n{OLD},{IMPORT},smets1,A\n");
    let load = estate.load(&again);
    assert_eq!((&load["unchanged"], &load["shared_point_count"]), (&json!(2), &json!(0)));
    assert_eq!(estate.shown(IMPORT).0, NEW);

    // The new meter goes elsewhere: the old one has the point again, and the history says where the new one was.
    std::thread::sleep(std::time::Duration::from_millis(5));
    estate.load(&format!("eui,mpxn,generation,model\n{NEW},{SECONDARY},smets2,B\n"));
    assert_eq!(estate.shown(IMPORT), (json!(OLD), Value::Null));
    assert_eq!(told(&estate.history(IMPORT)), json!([[OLD, true, false], [NEW, true, false], [OLD, false, false]]));
    assert_eq!(estate.history(SECONDARY)[0]["moved_from"], IMPORT);

    // All of it is known after a restart.
    let told_before = estate.history(IMPORT);
    let Estate { folder, host } = estate;
    assert_eq!(host.stop(), Some(0));
    let host = Host::start(BINARY, &folder.path().join("data"));
    let estate = Estate { folder, host };
    assert_eq!(estate.history(IMPORT), told_before);
    assert_eq!(estate.shown(SECONDARY).0, NEW);
    let table = String::from_utf8(estate.host.weir(["device", "history", IMPORT]).stdout).unwrap();
    assert!(table.contains(OLD) && table.contains("now"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    assert_eq!(estate.host.stop(), Some(0));
}

#[test]
fn nothing_is_picked_where_nothing_decides() {
    let estate = Estate::new();
    let filler: String = (0..20).map(|at| format!("00-DB-12-00-00-00-01-{at:02},,smets2,A\n")).collect();
    let both = format!("eui,mpxn,generation,model\n{OLD},{IMPORT},smets1,A\n{filler}{NEW},{IMPORT},smets2,B\n");
    let load = estate.load(&both);
    let shared = json!([{ "mpxn": IMPORT, "device_id": NEW, "other_device_id": OLD, "is_replaced": false }]);
    assert_eq!(load["shared_points"], shared);
    let said = estate.said(&["device", "show", IMPORT]);
    assert!(said.contains(OLD) && said.contains(NEW) && said.contains("nothing says which came last"), "{said}");
    assert_eq!(told(&estate.history(IMPORT)), json!([[OLD, false, true], [NEW, false, true]]));
    // A row that takes the old one away decides.
    estate.load(&format!("eui,mpxn,generation,model\n{OLD},,smets1,A\n"));
    assert_eq!(estate.shown(IMPORT).0, NEW);
    assert!(estate.said(&["device", "history", EXPORT]).contains("no load of the inventory has brought a device to"));
    assert_eq!(estate.host.stop(), Some(0));
}

#[test]
fn an_operator_is_told_of_its_own_devices_at_a_point() {
    let two = Two::new(BINARY);
    let load = |text: &str| two.admin(&["device", "load", &two.file("moved.csv", text)]);
    let row = |eui: &str, mpxn: &str, operator: u32| {
        format!("eui,mpxn,generation,model,operator\n{eui},{mpxn},smets2,A,{operator}\n")
    };
    load(&row(OLD, IMPORT, 12));
    std::thread::sleep(std::time::Duration::from_millis(5));
    // The meter is sold, with its point, to operator 10; and then another one of 12 comes.
    load(&row(OLD, IMPORT, 10));
    std::thread::sleep(std::time::Duration::from_millis(5));
    load(&row(NEW, IMPORT, 12));
    let history = |token: &str| {
        let mut rows = weir(&two.host, token, &["device", "history", IMPORT]).unwrap();
        rows.remove(0)["periods"].as_array().unwrap().clone()
    };
    let devices = |periods: &[Value]| {
        periods.iter().map(|period| json!([period["device_id"], period["operator"]])).collect::<Vec<_>>()
    };
    assert_eq!(devices(&history(&two.admin)), [json!([OLD, 12]), json!([OLD, 10]), json!([NEW, 12])]);
    let lond = history(&two.lond);
    assert_eq!(devices(&lond), [json!([OLD, 12]), json!([NEW, 12])]);
    assert_eq!(lond[0]["balance"], Value::Null, "it is another's now");
    let east = history(&two.east);
    assert_eq!(devices(&east), [json!([OLD, 10])]);
    assert_eq!(east[0]["until_ms"], Value::Null, "of what came after at another operator it is told nothing");
    let shown = |token: &str| {
        weir(&two.host, token, &["device", "show", IMPORT]).map(|rows| rows[0]["device"]["device_id"].clone())
    };
    assert_eq!((shown(&two.lond).unwrap(), shown(&two.east).unwrap()), (json!(NEW), json!(OLD)));
    let listed = weir(&two.host, &two.east, &["device", "list", "--mpxn", IMPORT]).unwrap();
    assert_eq!(listed.len(), 1);
    // What was never an operator's is as if it were not there.
    load(&row(THIRD, "1000000000012", 10));
    for command in ["show", "history"] {
        let mine = weir(&two.host, &two.lond, &["device", command, "1000000000012"]).unwrap_err();
        let nobodys = weir(&two.host, &two.lond, &["device", command, "1000000000021"]).unwrap_err();
        assert_eq!(mine.replace("1000000000012", "X"), nobodys.replace("1000000000021", "X"));
    }
    assert_eq!(two.host.stop(), Some(0));
}
