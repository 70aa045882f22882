//! What an export has of the inventory: all metering points, and the labels that are asked for.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_tests::{
    exported::rows,
    host::{self, Host},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

#[test]
fn an_export_has_all_metering_points_and_the_labels_that_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, &folder.path().join("data"), &[host::KEEPS_ALL]);
    let file = |name: &str, text: &str| host::file(folder.path(), name, text);
    let devices = "eui,mpxn,generation,model,secondary_mpan,export_mpan,substation,feeder
00-DB-12-00-00-00-00-01,1000000000012,smets2,A,1000000000021,1000000000030,Ash Lane,F1
00-DB-12-00-00-00-00-02,,smets2,A,,1000000000040,,F2
";
    host.json(["device", "load", &file("devices.csv", devices), "--label", "substation,feeder", "--json"]);
    let row = |device: u32| format!("00-DB-12-00-00-00-00-0{device},1,8F40,2026-11-23T09:30:00Z\n");
    let text = format!("device,counter,code,received_at\n{}{}{}", row(1), row(2), row(3));
    host.json(["alert", "send", &file("alerts.csv", &text), "--json"]);
    let export = |name: &str, arguments: &[&str]| {
        let target = folder.path().join(name);
        let output = host.weir([&["export", "--parquet", target.to_str().unwrap()], arguments].concat());
        (rows(&target), String::from_utf8(output.stderr).unwrap())
    };
    let columns = ["mpxn", "secondary_mpan", "export_mpan", "label_feeder", "label_substation"];
    let of = |rows: &BTreeMap<u64, Value>| -> Vec<Value> {
        rows.values()
            .map(|row| columns.iter().map(|name| row.get(name).unwrap_or(&json!("-")).clone()).collect())
            .collect()
    };
    let (labelled, said) = export("labelled", &["--labels", "feeder,substation"]);
    let expected = [
        json!(["1000000000012", "1000000000021", "1000000000030", "F1", "Ash Lane"]),
        json!([null, null, "1000000000040", "F2", null]),
        json!([null, null, null, null, null]),
    ];
    assert_eq!(of(&labelled), expected, "{said}");
    let (plain, _) = export("plain", &[]);
    assert_eq!(
        of(&plain)[1],
        json!([null, null, "1000000000040", "-", "-"]),
        "labels are written where they are asked for"
    );
    let (one, _) = export("one", &["--labels", "substation"]);
    assert_eq!((&of(&one)[0][3], &of(&one)[0][4]), (&json!("-"), &json!("Ash Lane")));

    let many: String = (0..17).map(|number| format!("l{number},")).collect();
    for (labels, words) in [
        ("feeder,feeder", "--labels: feeder is given twice"),
        (many.trim_end_matches(','), "--labels: 17 labels are more than 16"),
        ("feedr", "--labels: no device has the label feedr; there are: feeder, substation; did you mean \"feeder\"?"),
    ] {
        let (rows, said) = export("refused", &["--labels", labels]);
        assert!(rows.is_empty() && said.contains(words), "{said}");
    }

    // Another host reads what is the alerts' own, and has nothing to say of what is the inventory's.
    let other = Host::start_with(BINARY, &folder.path().join("other"), &[host::KEEPS_ALL]);
    let sent = other.weir(["alert", "send", folder.path().join("labelled").to_str().unwrap(), "--json"]);
    let summary: Value = serde_json::from_slice(&sent.stdout).unwrap();
    assert_eq!(summary["balance"]["forwarded"], 3);
    assert!(!String::from_utf8(sent.stderr).unwrap().contains("means nothing here"));
    assert_eq!((host.stop(), other.stop()), (Some(0), Some(0)));
}
