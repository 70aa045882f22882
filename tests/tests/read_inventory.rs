//! The DCC's inventory responses through the real binary: `weir device load` takes the answer to service request 8.2 as it
//! takes a CSV file.

use std::path::Path;

use serde_json::{Value, json};
use weir_tests::host::{self, Host};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

const METER: &str = "02-00-5E-10-00-00-A1-01";
const GAS: &str = "02-00-5E-10-00-00-A1-02";
const SMETS1: &str = "02-00-5E-10-00-00-A1-03";
const HUB: &str = "02-00-5E-10-00-00-C1-01";

/// Two responses that are valid by the schema of DUIS 5.4: a twin-element meter, a gas meter and their hub; a SMETS1 meter.
fn responses() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/read-inventory.xml").to_str().unwrap().to_owned()
}

fn shown(host: &Host, device: &str) -> Value {
    host.json(["device", "show", device, "--json"]).remove(0)["device"].clone()
}

#[test]
fn a_response_is_loaded_like_rows_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, &folder.path().join("data"));
    let asked = host.json(["device", "load", &responses(), "--dry-run", "--json"]).remove(0);
    assert_eq!((&asked["added"], &asked["dry_run"]), (&json!(5), &json!(true)));
    let loaded = host.json(["device", "load", &responses(), "--json"]).remove(0);
    assert_eq!((&loaded["added"], &loaded["shared_point_count"]), (&json!(5), &json!(0)));
    let meter = json!({
        "device_id": METER, "mpxn": "1200000000011", "generation": "smets2", "model": "Alder 3T", "operator": 12,
        "secondary_mpan": "1200000000777", "export_mpan": "1200000000466", "type": "ESME", "hub_id": HUB,
    });
    assert_eq!(shown(&host, "1200000000466"), meter);
    let gas = json!({
        "device_id": GAS, "mpxn": "7654321", "generation": "smets2", "model": "Gorse 1", "operator": 0, "type": "GSME",
        "hub_id": HUB,
    });
    assert_eq!(shown(&host, "7654321"), gas);
    let smets1 = shown(&host, SMETS1);
    assert_eq!((&smets1["generation"], &smets1["operator"]), (&json!("smets1"), &json!(13)));
    let hub = shown(&host, HUB);
    assert_eq!((&hub["type"], &hub["operator"], &hub["mpxn"]), (&json!("CHF"), &json!(12), &json!("")));
    let again = host.json(["device", "load", &responses(), "--json"]).remove(0);
    assert_eq!((&again["unchanged"], &again["changed"]), (&json!(5), &json!(0)));

    // An operator that somebody stated stays, for no document states one; a meter that moved is of where it is now.
    let stated = format!(
        "eui,mpxn,generation,model,operator\n{HUB},,smets2,Hub 2,20\n{METER},1200000000011,smets2,Alder 3T,24\n\
         {SMETS1},1000000000012,smets1,Birch 7,10\n"
    );
    let stated = host::file(folder.path(), "stated.csv", &stated);
    host.json(["device", "load", &stated, "--json"]);
    let load = host.json(["device", "load", &responses(), "--json"]).remove(0);
    assert_eq!((&load["operator_changed"], &load["mpxn_changed"]), (&json!(1), &json!(1)));
    let operators = [HUB, METER, SMETS1].map(|device| shown(&host, device)["operator"].clone());
    assert_eq!(operators, [json!(20), json!(24), json!(13)]);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_device_that_cannot_be_read_is_named_and_the_others_are_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start(BINARY, &folder.path().join("data"));
    let text = std::fs::read_to_string(responses()).unwrap();
    let bad = text.replace("<sr:ExportMPAN>1200000000466", "<sr:ExportMPAN>1200000000467");
    let bad = host::file(folder.path(), "bad.xml", &bad);
    let output = host.weir(["device", "load", &bad, "--json"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("error: line 1: ExportMPAN: expected an MPAN whose 13th digit is its check digit"), "{said}");
    assert!(said.contains(&format!("of device {METER}")), "{said}");
    assert!(said.contains("1 document or device that cannot be read was skipped"), "{said}");
    let loaded: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&loaded["added"], &loaded["unreadable_count"]), (&json!(4), &json!(1)));

    // In a wrapper, in UTF-16, and where it is said what it is.
    let inner = text.replace("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", "");
    let soap = format!("<s:Envelope xmlns:s=\"x\"><s:Body>{inner}</s:Body></s:Envelope>");
    let bytes: Vec<u8> = [0xFF, 0xFE].into_iter().chain(soap.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let path = folder.path().join("soap.xml");
    std::fs::write(&path, bytes).unwrap();
    let loaded = host.json(["device", "load", path.to_str().unwrap(), "--json"]).remove(0);
    // The hub is of the distributor of its meter, which nobody knew before.
    let counts = ["added", "changed", "operator_changed", "unchanged"].map(|name| loaded[name].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 1, 3]);
    let cell = format!("at,xml\n2026-11-23,\"{}\"\n", inner.lines().next().unwrap().replace('"', "\"\""));
    let cell = host::file(folder.path(), "cell.csv", &cell);
    let loaded = host.json(["device", "load", &cell, "--format", "duis-xml", "--json"]).remove(0);
    assert_eq!(loaded["unchanged"], 4);
    // An alert is no inventory, and an inventory is no alert.
    let outages = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/outages.xml");
    let output = host.weir(["device", "load", outages.to_str().unwrap()]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("it holds no DSPInventory"), "said");
    let output = host.weir(["alert", "send", &responses()]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("weir device load takes it"), "said");
    assert_eq!(host.stop(), Some(0));
}
