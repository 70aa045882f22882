//! Options about files, and what stands in them where there is no value, through the real binary.

use weir_tests::{
    files::{Files, Ran},
    host::Host,
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const DEVICE: &str = "02-00-5E-10-00-00-A0-31";

#[test]
fn options_that_say_nothing_about_a_format_are_refused_and_others_do_something() {
    let folder = Files::new(BINARY);
    let json = format!("{{\"device\":\"{DEVICE}\",\"code\":\"8F40\"}}\n");
    let document = "<SMETS1Response><Header><BusinessOriginatorID>02-00-5E-10-00-00-A0-14</BusinessOriginatorID>\
                    <OriginatorCounter>1</OriginatorCounter></Header><Body><DeviceAlertMessage><DeviceAlertContent>\
                    <GBCSHexAlertCode>8F36</GBCSHexAlertCode><Timestamp>2026-07-01T10:30:00</Timestamp></DeviceAlertContent>\
                    </DeviceAlertMessage></Body></SMETS1Response>\n";
    for (name, text, options, what) in [
        ("a.ndjson", json.as_str(), &["--delimiter", ";"][..], "--delimiter: it says nothing about JSON lines"),
        ("a.xml", document, &["--columns", "device=x"], "--columns: it says nothing about DUIS documents"),
        ("a.xml", document, &["--epoch", "s"], "--epoch: it says nothing about DUIS documents"),
        ("a.hex", "00\n", &["--date-order", "dmy"], "--date-order: it says nothing about GBCS messages"),
    ] {
        let ran = folder.dry_run(name, text, options);
        assert_eq!((ran.code, ran.out.len()), (Some(64), 0), "{what}: {}", ran.said);
        ran.says(&[what]);
    }
    assert_eq!(folder.first_time("a.xml", document, &["--time-zone", "Europe/London"]), "2026-07-01T09:30:00Z");
    let ran = folder.dry_run("a.xml", document, &[]);
    ran.says(&["note: line 1: Timestamp: expected a time with a zone", "(--time-zone states one)"]);
    let latin: Vec<u8> = document
        .replace("8F36</GBCSHexAlertCode>", "8F36</GBCSHexAlertCode><Note>\u{FC}</Note>")
        .chars()
        .map(|character| character as u8)
        .collect();
    assert_eq!(folder.counts("a.xml", &latin, &[]).0, [0, 1, 0]);
    assert_eq!(folder.counts("a.xml", &latin, &["--encoding", "latin-1"]).0, [1, 0, 0]);

    // A long document, and how to read it.
    let long = document.replace("<Body>", &format!("<Body><Other>{}</Other>", "x".repeat(300 << 10)));
    let (counts, ran) = folder.counts("a.xml", &long, &[]);
    assert_eq!(counts, [0, 1, 0]);
    ran.says(&["longer than 262144 bytes; --document-bytes-max N reads longer ones, up to 16777216"]);
    assert_eq!(folder.counts("a.xml", &long, &["--document-bytes-max", "400000"]).0, [1, 0, 0]);
    let ran = folder.dry_run("a.xml", &long, &["--document-bytes-max", "16777217"]);
    assert_eq!(ran.code, Some(64));
}

#[test]
fn what_stands_where_there_is_no_value_is_named_with_a_way_out() {
    let folder = Files::new(BINARY);
    let csv = |column: &str, value: &str| format!("device,code,{column}\n{DEVICE},8F40,{value}\n");
    for (column, value, words) in [
        ("counter", "NaN", "found \"NaN\"; it is a placeholder for a missing value: leave the cell empty"),
        ("occurred_at", "NaT", "found \"NaT\"; it is a placeholder"),
        ("voltage_v", "None", "found \"None\"; it is a placeholder"),
        ("weight", "N/A", "found \"N/A\"; it is a placeholder"),
        ("counter", "7\0\0", "NUL characters fill it up"),
        ("recipient", "1", "; 1 digit: leading zeros lost? With them it is 00-00-00-00-00-00-00-01"),
        ("occurred_at", "2016-12-31T23:59:60Z", "has a leap second, which no clock here keeps: write second 59"),
        ("recipient", "FF-FF-FF-FF-FF-FF-FF-FF", "is the broadcast address, which no device has"),
    ] {
        let (counts, ran) = folder.counts("a.csv", csv(column, value), &[]);
        assert_eq!(counts, [0, 1, 0], "{column} {value}");
        ran.says(&[words]);
    }
    // One record, one error, though it goes over lines.
    let broken = format!("device,code,counter\n{DEVICE},\"8F40\n\",1\n{DEVICE},8F40,2\n");
    let (counts, ran) = folder.counts("a.csv", &broken, &[]);
    assert_eq!(counts, [1, 1, 0]);
    ran.says(&[
        "line 2: code: a value in quotes goes over lines 2 to 3, which are one record",
        "1 record could not be read",
    ]);

    let host = Host::start(BINARY, &folder.path().join("data"));
    let load = |eui: &str| {
        let path = folder.file("devices.csv", format!("eui,mpxn,generation,model\n{eui},,smets1,\n"));
        Ran::of(host.weir(["device", "load", &path]))
    };
    load("FF-FF-FF-FF-FF-FF-FF-FF").says(&["FF-FF-FF-FF-FF-FF-FF-FF is the broadcast address, which no device has"]);
    let since = Ran::of(host.weir(["count", "--since", "2016-12-31T23:59:60Z"]));
    since.says(&["has a leap second"]);
    assert_eq!(host.stop(), Some(0));
}
