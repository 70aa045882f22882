//! Labels of devices through the real binary: what a load states, removes and leaves, what counts and reports say by them,
//! and what another operator is told.

use serde_json::{Value, json};
use weir_tests::{
    host::{self, Host, KEEPS_ALL},
    http,
    tenants::{self, EAST_DEVICE, LOND_DEVICE, Two},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

/// Three meters at two substations, one of an independent network in the area of 10, and one without a metering point.
const DEVICES: &str = "eui,mpxn,generation,model,operator,substation,Primary Feeder
00-DB-12-00-00-00-00-01,1000000000012,smets1,Alder 3,,Ash Lane,F1
00-DB-12-00-00-00-00-02,1000000000021,smets1,Alder 3,,Ash Lane,F2
00-DB-12-00-00-00-00-03,1000000000030,smets2,Birch 7,,\"Mill, Old\",F1
00-DB-12-00-00-00-00-04,2400000000013,smets2,Birch 7,10,Ash Lane,
00-DB-12-00-00-00-00-05,,smets2,Birch 7,10,,
";

const LABELS: [&str; 4] = ["--label", "substation", "--label", "feeder=Primary Feeder"];

struct Labelled {
    host: Host,
    folder: tempfile::TempDir,
}

impl Labelled {
    fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::start_with(BINARY, &folder.path().join("data"), &[&[KEEPS_ALL], settings].concat());
        Self { host, folder }
    }

    fn file(&self, name: &str, text: &str) -> String {
        host::file(self.folder.path(), name, text)
    }

    fn load(&self, text: &str, arguments: &[&str]) -> Value {
        let file = self.file("devices.csv", text);
        self.host.json([&["device", "load", &file, "--json"], arguments].concat()).remove(0)
    }

    /// What a command says where it refuses.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.host.weir(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Sends as many alerts of each of six devices as its number, the sixth not being in the inventory, one of them twice,
    /// and a line that is none.
    fn send(&self, first: u32) {
        let rows: String = (1..=6)
            .flat_map(|device| (0..device).map(move |nth| (device, first + nth)))
            .map(|(device, counter)| {
                format!("00-DB-12-00-00-00-00-0{device},{counter},8F40,2550,2026-11-23T09:{counter:02}:00Z\n")
            })
            .collect();
        let last = rows.lines().last().unwrap().to_owned();
        let text = format!("device,counter,code,measurement_dv,received_at\n{rows}{last}\nnonsense,1,8F40,,\n");
        self.host.weir(["alert", "send", &self.file("alerts.csv", &text)]);
    }

    fn count(&self, arguments: &[&str]) -> Value {
        self.host.json([&["count", "--json"], arguments].concat()).remove(0)
    }

    fn labels(&self, device: u32) -> Value {
        let eui = format!("00DB12000000000{device}");
        self.host.json(["device", "show", &eui, "--json"]).remove(0)["device"]["labels"].clone()
    }
}

fn received(row: &Value) -> u64 {
    row["balance"]["received"].as_u64().unwrap()
}

/// The values of a label, each with what was received.
fn by(counted: &Value, key: &str) -> Vec<(String, u64)> {
    let row = |row: &Value| (row["labels"][key].as_str().unwrap().to_owned(), received(row));
    counted["rows"].as_array().unwrap().iter().map(row).collect()
}

fn pairs(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(value, count)| ((*value).to_owned(), *count)).collect()
}

#[test]
fn a_load_sets_removes_and_leaves_labels_as_its_dry_run_says() {
    let labelled = Labelled::start(&[]);
    let without = labelled.file("devices.csv", DEVICES);
    let said = labelled.refused(&["device", "load", &without]);
    assert!(
        said.contains("unknown column \"substation\"") && said.contains("--label substation keeps it as a label"),
        "{said}"
    );

    let figures =
        |load: &Value| ["added", "changed", "labels_changed", "unchanged"].map(|name| load[name].as_u64().unwrap());
    let asked = labelled.load(DEVICES, &[&LABELS[..], &["--dry-run"]].concat());
    assert_eq!(labelled.host.json(["device", "list", "--json", "--limit", "0"]).len(), 0, "nothing was done");
    let done = labelled.load(DEVICES, &LABELS);
    assert_eq!((figures(&asked), figures(&done)), ([5, 0, 0, 0], [5, 0, 0, 0]));
    assert_eq!(labelled.labels(3), json!({ "feeder": "F1", "substation": "Mill, Old" }));
    assert_eq!(labelled.labels(4), json!({ "substation": "Ash Lane" }), "an empty cell is none");
    assert_eq!(labelled.labels(5), Value::Null);

    // A load without the columns leaves labels as they are, one with one of them changes that one alone.
    let plain = "eui,mpxn,generation,model\n00-DB-12-00-00-00-00-01,1000000000012,smets2,Alder 3\n";
    let load = labelled.load(plain, &[]);
    assert_eq!(figures(&load), [0, 1, 0, 0]);
    assert_eq!(load["changes"][0]["after"]["labels"], json!({ "feeder": "F1", "substation": "Ash Lane" }));
    let text = "eui,mpxn,generation,model,Site\n00-DB-12-00-00-00-00-01,1000000000012,smets2,Alder 3,\n\
                00-DB-12-00-00-00-00-02,1000000000021,smets1,Alder 3, Elm Row \n\
                00-DB-12-00-00-00-00-05,,smets2,Birch 7,\n";
    let text = text.replace("05,,smets2,Birch 7", "05,1000000000040,smets2,Birch 7");
    let asked = labelled.load(&text, &["--label", "substation=site", "--dry-run"]);
    assert_eq!(labelled.labels(1), json!({ "feeder": "F1", "substation": "Ash Lane" }), "a dry run");
    let done = labelled.load(&text, &["--label", "substation=site"]);
    assert_eq!((figures(&asked), &asked["changes"]), (figures(&done), &done["changes"]));
    assert_eq!(figures(&done), [0, 3, 2, 0], "the last one has another metering point");
    assert_eq!(
        (labelled.labels(1), labelled.labels(2)),
        (json!({ "feeder": "F1" }), json!({ "feeder": "F2", "substation": "Elm Row" }))
    );
    let shown = labelled.file("devices.csv", &text.replace("Elm Row", "Fir Road"));
    let shown = labelled.host.weir(["device", "load", &shown, "--label", "substation=site", "--dry-run"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("  labels") && shown.contains("label substation") && shown.contains("Fir Road"), "{shown}");

    let listed = |arguments: &[&str]| {
        let rows = labelled.host.json([&["device", "list", "--json"], arguments].concat());
        rows.iter().map(|row| row["device_id"].as_str().unwrap()[21..].to_owned()).collect::<Vec<_>>()
    };
    let page = http::get(&labelled.host.url, "/devices/00-DB-12-00-00-00-00-02", &[]).body;
    assert!(page.contains("Its labels") && page.contains("<dt>substation</dt><dd>Elm Row</dd>"), "{page}");
    assert_eq!(listed(&["--label", "feeder=F1"]), ["01", "03"]);
    assert_eq!(listed(&["--label", "substation=Mill, Old", "--label", "substation="]), ["01", "03", "05"]);
    assert_eq!(listed(&["--label", "feeder=F1", "--label", "substation="]), ["01"]);
    // A key that no device has is refused wherever it is asked for; a value that none has is answered, and said.
    let no_key = "no device has the label feedr; there are: feeder, substation; did you mean \"feeder\"?";
    for arguments in [
        &["device", "list", "--label", "feedr=F1"][..],
        &["device", "list", "--label", "feedr="],
        &["device", "list", "--label", "feedr=F1", "--mpxn", "1000000000012"],
        &["device", "list", "--labels", "substation,feedr"],
        &["count", "--label", "feedr=F1"],
        &["report", "alerts", "--label", "feedr"],
    ] {
        let said = labelled.refused(arguments);
        assert!(said.contains(no_key), "{arguments:?}: {said}");
    }
    for (arguments, rows) in [
        (&["--label", "substation=Elm Raw"][..], 0),
        (&["--label", "substation=Elm Raw", "--label", "substation=Elm Row"], 1),
        (&["--label", "substation=Elm Raw", "--mpxn", "1000000000021"], 0),
    ] {
        let output = labelled.host.weir([&["device", "list", "--json"], arguments].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, "no device has substation=Elm Raw; did you mean \"Elm Row\"?\n", "{arguments:?}");
        assert_eq!((output.status.code(), String::from_utf8(output.stdout).unwrap().lines().count()), (Some(0), rows));
    }
    assert_eq!(listed(&["--label", "substation=Elm Row", "--mpxn", "1000000000021"]), ["02"]);
    assert_eq!(listed(&["--label", "feeder=F1", "--mpxn", "1000000000021"]), [""; 0]);
    let counted = labelled.count(&["--label", "substation=Elm Raw"]);
    let unknown = json!([{ "key": "substation", "value": "Elm Raw", "near": "Elm Row" }]);
    assert_eq!((received(&counted["total"]), &counted["unknown_labels"]), (0, &unknown));
    let shown = labelled.host.weir(["count", "--label", "substation=Elm Raw", "--label", "feeder="]);
    assert_eq!(
        String::from_utf8(shown.stderr).unwrap(),
        "no device has substation=Elm Raw; did you mean \"Elm Row\"?\n"
    );
    assert_eq!(labelled.count(&["--label", "substation=Elm Row"]).get("unknown_labels"), None);

    // What tables call devices without the label is no value.
    let taken = "eui,mpxn,generation,model,Site\n00-DB-12-00-00-00-00-01,1000000000012,smets2,Alder 3,(not labelled)\n";
    let file = labelled.file("taken.csv", taken);
    let said = labelled.refused(&["device", "load", &file, "--label", "substation=site"]);
    assert!(said.contains("line 2: site: ") && said.contains("stands for other devices in tables"), "{said}");
    let said = labelled.refused(&["count", "--label", "substation=(not labelled)"]);
    assert!(said.contains("leave it empty for a device without the label"), "{said}");
    let table = labelled.host.weir(["device", "list", "--labels", "substation,feeder"]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("label substation   label feeder") && table.contains("Elm Row "), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    assert_eq!(labelled.host.stop(), Some(0));
}

#[test]
fn counts_by_a_label_add_up_to_the_plain_count_before_and_after_a_restart() {
    let mut labelled = Labelled::start(&[]);
    labelled.send(0);
    labelled.load(DEVICES, &LABELS);
    labelled.send(20);
    let check = |labelled: &Labelled| {
        let plain = labelled.count(&[]);
        assert_eq!(received(&plain["total"]), 46);
        let counted = labelled.count(&["--by", "label:substation"]);
        // Twice: of 1, 2 and 4 at Ash Lane, of 3 at the mill; of 5 and 6 without, a copy and a line that is no alert.
        assert_eq!(by(&counted, "substation"), pairs(&[("", 26), ("Ash Lane", 14), ("Mill, Old", 6)]));
        assert_eq!(counted["total"], plain["total"]);
        let two = labelled.count(&["--by", "label:feeder,label:substation,code", "--top", "0"]);
        assert_eq!(two["rows"].as_array().unwrap().iter().map(received).sum::<u64>(), 46);
        assert_eq!(two["total"], plain["total"]);
        let f1 = two["rows"].as_array().unwrap().iter().find(|row| row["labels"]["feeder"] == "F1").unwrap();
        assert_eq!((&f1["labels"]["substation"], &f1["code"], received(f1)), (&json!("Ash Lane"), &json!("8F40"), 2));
        let top = labelled.count(&["--by", "label:substation", "--top", "1"]);
        assert_eq!((by(&top, "substation"), received(&top["rest"])), (pairs(&[("", 26)]), 20));
        let filtered = labelled.count(&["--by", "device", "--label", "substation=Ash Lane", "--label", "feeder="]);
        assert_eq!((filtered["rows"].as_array().unwrap().len(), received(&filtered["total"])), (1, 8));
        let of_mill = labelled.count(&["--label", "substation=Mill, Old"]);
        assert_eq!(received(&of_mill["total"]), 6);
        let verified = labelled.host.json(["verify", "run", "--json"]).remove(0);
        assert_eq!(verified["verdict"], "same");
        (counted["rows"].clone(), labelled.host.json(["device", "list", "--json"]))
    };
    let before = check(&labelled);
    let shown = String::from_utf8(labelled.host.weir(["count", "--by", "label:substation"]).stdout).unwrap();
    assert!(shown.contains("| substation ") && shown.contains("| (not labelled) "), "{shown}");
    let data = labelled.folder.path().join("data");
    assert_eq!(labelled.host.stop(), Some(0));
    labelled.host = Host::start_with(BINARY, &data, &[KEEPS_ALL]);
    assert_eq!(check(&labelled), before);

    // By the inventory of now: another label moves what was received before.
    let text = "eui,mpxn,generation,model,substation\n00-DB-12-00-00-00-00-03,1000000000030,smets2,Birch 7,Ash Lane\n";
    labelled.load(text, &["--label", "substation"]);
    let counted = labelled.count(&["--by", "label:substation"]);
    assert_eq!(by(&counted, "substation"), pairs(&[("", 26), ("Ash Lane", 20)]));
    let said = labelled.refused(&["count", "--by", "label:substatoin"]);
    assert!(
        said.contains(
            "no device has the label substatoin; there are: feeder, substation; did you mean \"substation\"?"
        ),
        "{said}"
    );
    let said = labelled.refused(&["count", "--by", "label:substation", "--watch"]);
    assert!(said.contains("counted from the log"), "{said}");
    assert_eq!(labelled.host.stop(), Some(0));
}

#[test]
fn a_report_by_a_label_has_the_numbers_of_the_counts() {
    let labelled = Labelled::start(&[]);
    labelled.load(DEVICES, &LABELS);
    labelled.send(0);
    let report = |arguments: &[&str]| {
        let fixed = ["report", "alerts", "--period", "day", "--ending", "2026-11-23", "--label", "substation"];
        let output = labelled.host.weir([&fixed, arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let section = |top: &str| {
        let report: Value = serde_json::from_str(&report(&["--json", "--top", top])).unwrap();
        let sections = report["sections"].as_array().unwrap();
        sections.iter().find(|section| section["name"] == "label").unwrap().clone()
    };
    let lines = |section: &Value| {
        let line = |line: &Value| {
            (line["label"].as_str().unwrap().to_owned(), line["devices"].clone(), line["received"].clone())
        };
        section["lines"].as_array().unwrap().iter().map(line).collect::<Vec<_>>()
    };
    let line = |label: &str, devices: u64, received: u64| (label.to_owned(), json!(devices), json!(received));
    let all = section("10");
    assert_eq!(all["title"], "By substation, as the inventory has it now");
    // The line that is none counts where the host received it.
    assert_eq!(lines(&all), [line("(not labelled)", 1, 12), line("Ash Lane", 3, 7), line("Mill, Old", 1, 3)]);
    assert_eq!(lines(&section("1")), [line("(not labelled)", 1, 12), ("2 more".to_owned(), Value::Null, json!(10))]);
    assert!(report(&["--format", "html"]).contains("By substation, as the inventory has it now"));
    assert!(report(&[]).contains("## By substation, as the inventory has it now"));
    assert!(report(&["--format", "csv"]).contains("\nlabel,Ash Lane,3,7,"));

    // The page has the same section for the same choice, a choice of the keys there are, and a refusal of another.
    let address = "/reports?period=day&ending=2026-11-23";
    let page = http::get(&labelled.host.url, &format!("{address}&label=substation"), &[]);
    assert_eq!(page.status, 200);
    for part in [
        "<option value=\"feeder\">feeder</option>",
        "<option value=\"substation\" selected>substation</option>",
        "By substation, as the inventory has it now",
        "<td>Mill, Old</td>",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let plain = http::get(&labelled.host.url, address, &[]);
    assert!(plain.body.contains("By label") && !plain.body.contains("By substation"), "{}", plain.body);
    let wrong = http::get(&labelled.host.url, &format!("{address}&label=feedr"), &[]);
    assert_eq!(wrong.status, 400);
    assert!(wrong.body.contains("no device has the label feedr; there are: feeder, substation"), "{}", wrong.body);
    assert_eq!(labelled.host.stop(), Some(0));
}

#[test]
fn meters_of_independent_networks_are_told_apart_by_a_label_of_the_load() {
    let labelled = Labelled::start(&[]);
    let load = labelled.load(DEVICES, &[&LABELS[..], &["--network-label", "network"]].concat());
    assert_eq!((&load["added"], &load["wrong_operator_count"]), (&5.into(), &0.into()), "24 lies within 10");
    labelled.send(0);
    let counted = labelled.count(&["--by", "label:network", "--operator", "10"]);
    assert_eq!(by(&counted, "network"), pairs(&[("10", 6), ("", 5), ("24", 4)]), "all are the operator's");
    let rows = labelled.host.json(["device", "list", "--operator", "10", "--label", "network=24", "--json"]);
    assert_eq!((rows.len(), &rows[0]["mpxn"], &rows[0]["operator"]), (1, &"2400000000013".into(), &10.into()));
    let twice = labelled.file("devices.csv", DEVICES);
    let said =
        labelled.refused(&["device", "load", &twice, "--label", "network=substation", "--network-label", "network"]);
    assert!(said.contains("--label: network is given two columns"), "{said}");
    assert_eq!(labelled.host.stop(), Some(0));
}

#[test]
fn limits_name_the_row_the_key_the_value_and_the_setting_and_nothing_is_loaded() {
    let labelled =
        Labelled::start(&[("WEIR_INTAKE__LABEL_KEYS_MAX", "1"), ("WEIR_INTAKE__OPERATOR_LABEL_VALUES_MAX", "2")]);
    let file = labelled.file("devices.csv", DEVICES);
    let load = |arguments: &[&str]| labelled.refused(&[&["device", "load", &file], arguments].concat());
    let columns = ["--columns", "eui=eui"];
    for dry_run in [&[][..], &["--dry-run"]] {
        let said = load(&[&LABELS[..], dry_run].concat());
        assert!(
            said.contains("devices.csv: line 2: labels: substation: intake.label_keys_max (1) keys are in use"),
            "{said}"
        );
    }
    let said = load(&["--label", "kind=model"]);
    assert!(
        said.contains("--label: \"model\" is the heading of another column, and kind needs one of its own"),
        "{said}"
    );
    let many = DEVICES.replace("F1\n00-DB-12-00-00-00-00-04", "F3\n00-DB-12-00-00-00-00-04");
    let many = labelled.file("many.csv", &many);
    let said =
        labelled.refused(&[&["device", "load", &many, "--label", "feeder=Primary Feeder"][..], &columns].concat());
    let words = "many.csv: line 4: labels: feeder: \"F3\" of operator 10 would be one different value more than \
                 intake.operator_label_values_max (2)";
    assert!(said.contains(words), "{said}");
    assert_eq!(labelled.host.json(["device", "list", "--json"]).len(), 0, "a message with a bad row is refused whole");
    let long = DEVICES.replace("Mill, Old", &"x".repeat(65));
    let long = labelled.file("long.csv", &long);
    let said = labelled.refused(&[&["device", "load", &long, "--label", "substation"][..], &columns].concat());
    assert!(said.contains("line 4: substation: expected one plain line of at most 64 bytes"), "{said}");
    assert_eq!(labelled.host.json(["device", "list", "--json"]).len(), 4, "the other lines are loaded");
    assert_eq!(labelled.host.stop(), Some(0));
}

#[test]
fn an_operator_is_told_labels_of_its_own_devices_alone() {
    let two = Two::new(BINARY);
    let text = format!(
        "eui,mpxn,generation,model,operator,substation,depot\n{LOND_DEVICE},,smets1,A,12,Ash Lane,\n\
         {EAST_DEVICE},,smets1,A,10,Secret Row,East\n"
    );
    let devices = two.file("labelled.csv", &text);
    two.admin(&["device", "load", &devices, "--label", "substation,depot"]);
    let lond = |arguments: &[&str]| tenants::weir(&two.host, &two.lond, arguments);
    let count = |token: &str| {
        let counted = tenants::weir(&two.host, token, &["count", "--by", "label:substation"]).unwrap().remove(0);
        by(&counted, "substation")
    };
    assert_eq!(count(&two.lond), pairs(&[("Ash Lane", 3)]));
    assert_eq!(count(&two.east), pairs(&[("Secret Row", 3)]));
    assert_eq!(count(&two.admin), pairs(&[("Ash Lane", 3), ("Secret Row", 3)]));
    // A key that no device of its own has is as if it were not there.
    let said = lond(&["count", "--by", "label:depot"]).unwrap_err();
    assert!(said.contains("no device has the label depot; there are: substation") && !said.contains("East"), "{said}");
    for arguments in [
        &["device", "list", "--label", "depot=East"][..],
        &["device", "list", "--labels", "depot"],
        &["count", "--label", "depot=East"],
    ] {
        let said = lond(arguments).unwrap_err();
        assert!(said.contains("no device has the label depot; there are: substation"), "{arguments:?}: {said}");
    }
    let counted = lond(&["count", "--label", "substation=Secret Raw"]).unwrap().remove(0);
    assert_eq!(counted["unknown_labels"], json!([{ "key": "substation", "value": "Secret Raw" }]), "near is another's");
    for arguments in [&["device", "list"][..], &["report", "alerts", "--label", "substation", "--ending", "2030-01-01"]]
    {
        let said = format!("{:?}", lond(arguments));
        assert!(!said.contains("Secret Row") && !said.contains("East"), "{arguments:?}: {said}");
    }
    assert_eq!(
        lond(&["device", "show", LOND_DEVICE]).unwrap()[0]["device"]["labels"],
        json!({ "substation": "Ash Lane" })
    );

    // Its device comes to the other: its old alerts are still counted, and say nothing of the label that it has there.
    let moved = format!("eui,mpxn,generation,model,operator,depot\n{LOND_DEVICE},,smets1,A,10,East\n");
    two.admin(&["device", "load", &two.file("moved.csv", &moved), "--label", "depot"]);
    let said = lond(&["count", "--by", "label:substation"]).unwrap_err();
    assert!(said.contains("no device has the label substation; no device has any"), "{said}");
    // What it raised while it was of 12 is not the other's to count, and the label went with the device.
    assert_eq!(count(&two.east), pairs(&[("Secret Row", 3)]));
    assert_eq!(count(&two.admin), pairs(&[("Ash Lane", 3), ("Secret Row", 3)]));
    let shown = tenants::weir(&two.host, &two.east, &["device", "show", LOND_DEVICE]).unwrap().remove(0);
    assert_eq!(shown["device"]["labels"], json!({ "depot": "East", "substation": "Ash Lane" }));

    // Who loads devices of an operator states their labels, and is told none.
    let loader = tenants::create(&two.host, &two.admin, "loader", &["inventory", "--operators", "10"]);
    let text = format!("eui,mpxn,generation,model,operator,substation\n{EAST_DEVICE},,smets1,A,10,Oak Side\n");
    let file = two.file("theirs.csv", &text);
    let load =
        tenants::weir(&two.host, &loader, &["device", "load", &file, "--label", "substation"]).unwrap().remove(0);
    assert_eq!((&load["labels_changed"], &load["changes"]), (&1.into(), &json!([])));
    assert_eq!(count(&two.east), pairs(&[("Oak Side", 3)]));
    assert_eq!(two.host.stop(), Some(0));
}
