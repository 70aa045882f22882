//! Inventories of several messages through the real binary: a dry run says of them what the load then does, to the row that is
//! refused, and no load fails for how many devices the host takes in one message.

use serde_json::{Value, json};
use weir_tests::{
    host::{self, Host},
    tenants::{self, weir},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

/// Few devices in a message, so that each of these files is several.
const FEW: (&str, &str) = ("WEIR_INTAKE__PUT_DEVICES_MAX", "2");

const HERE: &str = "1000000000012";
const THERE: &str = "1200000000011";

struct Estate {
    folder: tempfile::TempDir,
    host: Host,
}

/// What a load says: its JSON without the word that it was none, or the error.
type Told = Result<Value, String>;

impl Estate {
    fn new(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::start_with(BINARY, &folder.path().join("data"), settings);
        Self { folder, host }
    }

    fn told(&self, rows: &str, arguments: &[&str]) -> Told {
        let columns = match rows.split_once('\n').map_or(rows, |(first, _)| first).matches(',').count() {
            3 => "eui,mpxn,generation,model",
            4 => "eui,mpxn,generation,model,feeder",
            _ => "eui,mpxn,generation,model,operator,type,hub",
        };
        let file = host::file(self.folder.path(), "devices.csv", &format!("{columns}\n{rows}"));
        let output = self.host.weir([&["device", "load", &file, "--json"], arguments].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        if !output.status.success() {
            return Err(said.lines().find(|line| line.starts_with("error")).unwrap_or(&said).to_owned());
        }
        let mut told: Value = serde_json::from_slice(&output.stdout).unwrap();
        told["dry_run"] = Value::Null;
        Ok(told)
    }

    /// Loads a file after a dry run that says the same.
    fn load(&self, rows: &str, arguments: &[&str]) -> Told {
        let asked = self.told(rows, &[arguments, &["--dry-run"]].concat());
        let done = self.told(rows, arguments);
        assert_eq!(asked, done, "{rows}");
        done
    }
}

fn eui(number: usize) -> String {
    format!("00-DB-12-00-00-00-01-{number:02X}")
}

fn row(number: usize, rest: &str) -> String {
    format!("{},{rest}\n", eui(number))
}

fn rows(rest: &[&str]) -> String {
    (1..).zip(rest).map(|(number, rest)| row(number, rest)).collect()
}

#[test]
fn no_load_fails_for_how_many_devices_fit_a_message() {
    for max in ["1", "3", "10"] {
        let estate = Estate::new(&[("WEIR_INTAKE__PUT_DEVICES_MAX", max), ("WEIR_INTAKE__MESSAGE_BYTES_MAX", "1024")]);
        let text: String = (1..=25).map(|number| row(number, ",smets2,A")).collect();
        assert_eq!(estate.load(&text, &[]).unwrap()["added"], 25, "{max}");
        assert_eq!(estate.load(&row(1, ",smets2,A"), &["--missing"]).unwrap()["missing"]["device_count"], 24);
        assert_eq!(estate.host.json(["device", "list", "--json"]).len(), 25);
        assert_eq!(estate.host.stop(), Some(0));
    }
    // A token that loads inventories and nothing else is told the limit too.
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let host = Host::start_with(BINARY, &data, &[("WEIR_AUTHENTICATE", "true"), FEW]);
    let admin = std::fs::read_to_string(data.join("first-admin-token")).unwrap().trim().to_owned();
    let loader = tenants::create(&host, &admin, "loader", &["inventory"]);
    let text: String = (1..=5).map(|number| row(number, ",smets2,A")).collect();
    let file = host::file(folder.path(), "devices.csv", &format!("eui,mpxn,generation,model\n{text}"));
    assert_eq!(weir(&host, &loader, &["device", "load", &file]).unwrap()[0]["added"], 5);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn limits_hold_over_the_messages_of_a_dry_run_as_over_those_of_a_load() {
    let words = |told: Told, words: &str| {
        let error = told.unwrap_err();
        assert!(error.contains(words), "{error}\nexpected {words}");
    };
    let estate = Estate::new(&[FEW, ("WEIR_INTAKE__MODELS_MAX", "2")]);
    let models = rows(&[",smets2,A", ",smets2,B", ",smets2,A", ",smets2,C"]);
    words(estate.load(&models, &[]), "devices.csv: line 5: model: \"C\" is not known, and models_max (2) is reached");
    assert_eq!(estate.host.stop(), Some(0));

    let estate = Estate::new(&[FEW, ("WEIR_INTAKE__DEVICES_MAX", "3")]);
    let five = rows(&[",smets2,A"; 5]);
    words(
        estate.load(&five, &[]),
        &format!("line 5: eui: {} would be one device more than intake.devices_max (3)", eui(4)),
    );
    assert_eq!(estate.host.stop(), Some(0));

    let estate = Estate::new(&[FEW, ("WEIR_INTAKE__OPERATOR_LABEL_VALUES_MAX", "2")]);
    let label = ["--label", "feeder"];
    let values = |values: [&str; 3]| {
        (1..).zip(values).map(|(number, value)| row(number, &format!("{HERE},smets2,A,{value}"))).collect::<String>()
    };
    let refused = estate.load(&values(["F1", "F2", "F3"]), &label);
    words(
        refused,
        "line 4: labels: feeder: \"F3\" of operator 10 would be one different value more than \
         intake.operator_label_values_max (2)",
    );
    // Two values are there, of three devices, and each message of the file replaces one.
    estate.load(&values(["F1", "F2", "F2"]), &label).unwrap();
    let load = estate.load(&values(["F3", "F2", "F2"]), &label).unwrap();
    assert_eq!(load["labels_changed"], 1, "{load}");
    assert_eq!(estate.host.stop(), Some(0));
}

#[test]
fn a_point_takes_as_many_devices_as_are_looked_at_and_the_row_beyond_is_named() {
    let estate = Estate::new(&[FEW]);
    let many: String = (1..=33).map(|number| row(number, &format!("{HERE},smets2,A"))).collect();
    let error = estate.load(&many, &[]).unwrap_err();
    let said =
        format!("devices.csv: line 34: mpxn: {HERE} has 32 devices already, and no more can be at one metering point");
    assert!(error.contains(&said) && error.contains(&eui(33)), "{error}");
    // The point is found to be at its devices as before.
    let listed = estate.host.json(["device", "list", "--mpxn", HERE, "--json"]);
    assert_eq!(listed.len(), 32);
    let history = estate.host.json(["device", "history", HERE, "--json"]).remove(0);
    assert_eq!((history["periods"].as_array().unwrap().len(), &history["is_cut"]), (32, &json!(false)));
    // One that leaves makes room, in whatever message.
    let exchange = format!("{}{}", row(1, ",smets2,A"), row(33, &format!("{HERE},smets2,A")));
    assert_eq!(estate.load(&exchange, &[]).unwrap()["added"], 1);
    assert_eq!(estate.host.stop(), Some(0));
}

#[test]
fn what_shares_a_point_is_told_by_what_the_messages_before_leave() {
    let estate = Estate::new(&[("WEIR_INTAKE__PUT_DEVICES_MAX", "1")]);
    estate.load(&rows(&[&format!("{HERE},smets2,A")]), &[]).unwrap();
    // The first message takes the device away, and the second brings another one.
    let exchange = rows(&[&format!("{THERE},smets2,A"), &format!("{HERE},smets2,A")]);
    let load = estate.load(&exchange, &[]).unwrap();
    assert_eq!((&load["shared_point_count"], &load["mpxn_changed"]), (&json!(0), &json!(1)), "{load}");
    // Two come with one load, in two messages: nothing decides.
    let point = "1000000000021";
    let both = format!("{}{}", row(8, &format!("{point},smets2,A")), row(9, &format!("{point},smets2,A")));
    let load = estate.load(&both, &[]).unwrap();
    let shared = json!([{ "mpxn": point, "device_id": eui(9), "other_device_id": eui(8), "is_replaced": false }]);
    assert_eq!(load["shared_points"], shared);
    let output = estate.host.weir(["device", "show", point]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("nothing says which came last"), "said");
    assert_eq!(estate.host.stop(), Some(0));
}

#[test]
fn a_hub_that_stays_with_the_operator_before_is_said() {
    let estate = Estate::new(&[FEW]);
    let (hub, meter) = (1, 2);
    let text = |operators: [&str; 2]| {
        let hub_row = row(hub, &format!(",smets2,H,{},CHF,", operators[0]));
        format!("{hub_row}{}", row(meter, &format!("{HERE},smets2,A,{},ESME,{}", operators[1], eui(hub))))
    };
    let load = estate.load(&text(["10", "10"]), &[]).unwrap();
    assert_eq!(load["left_hub_count"], 0);
    let load = estate.load(&text(["10", "24"]), &[]).unwrap();
    let left = json!([{ "device_id": eui(meter), "operator": 24, "hub_id": eui(hub), "hub_operator": 10 }]);
    assert_eq!((&load["left_hub_count"], &load["left_hubs"]), (&json!(1), &left));
    let shown =
        |device| estate.host.json(["device", "show", &eui(device), "--json"]).remove(0)["device"]["operator"].clone();
    assert_eq!((shown(hub), shown(meter)), (json!(10), json!(24)), "nothing moves it by itself");
    assert_eq!(estate.load(&text(["10", "24"]), &[]).unwrap()["left_hub_count"], 0, "said once");
    estate.load(&text(["10", "10"]), &[]).unwrap();
    assert_eq!(estate.load(&text(["24", "24"]), &[]).unwrap()["left_hub_count"], 0, "the hub went too");

    // A document states no operator: its meter is of the distributor of where it is, and the hub keeps the one it has.
    let device = |id: &str, kind: &str, rest: &str| {
        format!(
            "<Device><DeviceID>{id}</DeviceID><DeviceType>{kind}</DeviceType><DeviceModel>A</DeviceModel>{rest}</Device>"
        )
    };
    let inventory = |mpxn: &str| {
        let meter = device(&eui(12), "ESME", &format!("<ImportMPxN>{mpxn}</ImportMPxN>"));
        let hub = device(&eui(11), "CHF", "");
        format!(
            "<Response><Header><ResponseCode>I0</ResponseCode></Header><Body><ResponseMessage>\
             <ServiceReference>8.2</ServiceReference><DSPInventory>{hub}{meter}</DSPInventory></ResponseMessage></Body>\
             </Response>"
        )
    };
    let load = |mpxn: &str, arguments: &[&str]| {
        let file = host::file(estate.folder.path(), "inventory.xml", &inventory(mpxn));
        estate.host.json([&["device", "load", &file, "--json"], arguments].concat()).remove(0)
    };
    assert_eq!(load("1000000000021", &[])["left_hub_count"], 0);
    let left = json!([{ "device_id": eui(12), "operator": 12, "hub_id": eui(11), "hub_operator": 10 }]);
    assert_eq!(load(THERE, &["--dry-run"])["left_hubs"], left);
    assert_eq!(load(THERE, &[])["left_hubs"], left);
    assert_eq!(shown(11), 10);
    // Another one, in words.
    let file = host::file(estate.folder.path(), "inventory.xml", &inventory("1000000000021"));
    estate.host.json(["device", "load", &file, "--json"]);
    let file = host::file(estate.folder.path(), "inventory.xml", &inventory(THERE));
    let table = String::from_utf8(estate.host.weir(["device", "load", &file]).stdout).unwrap();
    assert!(table.contains("hubs of the operator before") && table.contains("stays with"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    assert_eq!(estate.host.stop(), Some(0));
}

#[test]
fn a_label_of_the_network_goes_with_its_point_and_one_that_somebody_set_stays() {
    let estate = Estate::new(&[FEW]);
    let network = ["--network-label", "feeder"];
    let labels = |number| {
        let device = estate.host.json(["device", "show", &eui(number), "--json"]).remove(0);
        device["device"]["labels"]["feeder"].clone()
    };
    let placed = |mpxns: &[&str]| {
        (1..).zip(mpxns).map(|(number, mpxn)| row(number, &format!("{mpxn},smets2,A"))).collect::<String>()
    };
    let load = estate.load(&placed(&["2400000000013", HERE, ""]), &network).unwrap();
    assert_eq!((&load["added"], labels(1), labels(2), labels(3)), (&json!(3), json!("24"), json!("10"), Value::Null));
    // Somebody says something else of the second and the third.
    let own = format!("{}{}", row(2, &format!("{HERE},smets2,A,own")), row(3, ",smets2,A,24"));
    assert_eq!(estate.load(&own, &["--label", "feeder"]).unwrap()["labels_changed"], 2);
    // All leave their points.
    let load = estate.load(&placed(&["", "", ""]), &network).unwrap();
    assert_eq!((&load["mpxn_changed"], &load["labels_changed"]), (&json!(2), &json!(1)));
    assert_eq!([labels(1), labels(2), labels(3)], [Value::Null, json!("own"), json!("24")]);
    // An MPRN is of no network either.
    estate.load(&placed(&["2400000000013"]), &network).unwrap();
    assert_eq!(labels(1), "24");
    estate.load(&placed(&["7654321"]), &network).unwrap();
    assert_eq!(labels(1), Value::Null);
    assert_eq!(estate.host.stop(), Some(0));
}
