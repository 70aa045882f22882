//! Files as people send them, through the real binary: what spreadsheets, data frames and other countries make of them is read
//! as it is meant, or refused with the line, what was there and what to do. Never is it another number or another device.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use weir_tests::{
    files::{Files, Ran},
    host::{self, Host},
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const DEVICE: &str = "02-00-5E-10-00-00-A0-31";

fn gzip(text: &str) -> Vec<u8> {
    let mut child =
        Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gzip is installed");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap().stdout
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    format!("\u{FEFF}{text}").encode_utf16().flat_map(unit).collect()
}

#[test]
fn a_device_that_is_a_number_is_never_another_device() {
    let folder = Files::new(BINARY);
    let host = Host::start(BINARY, &folder.path().join("data"));
    let text = "{\"device\": 9007199254740993, \"code\": \"8014\", \"counter\": 1}\n\
                {\"device\": 1234123412341234, \"code\": \"8014\", \"counter\": 2}\n\
                {\"device\": \"1234123412341234\", \"code\": \"8014\", \"counter\": 3}\n\
                {\"device\":\"02-00-5E-10-00-00-A0-28\",\"device\":\"02-00-5E-10-00-00-A0-29\",\"code\":\"8014\"}\n\
                {\"device\": \"1234123412341234\", \"code\": 8014, \"counter\": 5}\n";
    let path = folder.file("alerts.ndjson", text);
    let sent = Ran::of(host.weir(["alert", "send", &path, "--json"]));
    assert_eq!((sent.code, &sent.out[0]["balance"]["forwarded"]), (Some(64), &1.into()));
    sent.says(&[
        "line 1: device: \"9007199254740993\" is a number, and an EUI-64 is text",
        "the number in hex is 00-20-00-00-00-00-00-01",
        "the number in hex is 00-04-62-6D-BF-9A-01-F2",
        "line 4: device: the name occurs twice",
        "line 5: code: \"8014\" is a number, and a code is text",
        "4 lines could not be read",
    ]);
    let logged = host.json(["alert", "list", "--json"]);
    let devices: Vec<&Value> = logged.iter().map(|logged| &logged["alert"]["device_id"]).collect();
    assert_eq!(devices, ["12-34-12-34-12-34-12-34"]);
    let listed = host.json(["device", "list", "--unlisted", "--json"]);
    assert_eq!((listed.len(), &listed[0]["device_id"]), (1, &"12-34-12-34-12-34-12-34".into()));
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_dry_run_rejects_what_a_host_rejects_in_its_words() {
    let folder = Files::new(BINARY);
    let alert = |counter: u32, time: &str| {
        format!("{{\"device\":\"{DEVICE}\",\"code\":\"8014\",\"counter\":{counter},{time}}}\n")
    };
    let times = [
        "\"occurred_ms\":1795426200000",
        "\"occurred_ms\":0",
        "\"occurred_at\":\"1970-01-01T00:00:00Z\"",
        "\"occurred_at\":\"1970-01-01T00:00:01Z\"",
        "\"occurred_ms\":1795426200",
        "\"occurred_ms\":1795426200000000",
        "\"occurred_ms\":-1",
        "\"dcc_ms\":-1",
    ];
    let text: String = (600..).zip(times).map(|(counter, time)| alert(counter, time)).collect();
    let (counts, ran) = folder.counts("alerts.ndjson", &text, &[]);
    assert_eq!((counts, ran.code), ([5, 0, 3], Some(64)), "{}", ran.said);
    let rejections = [
        "line 6: occurred_at_ms: 1795426200000000 lies outside the years 1970 to 2200",
        "line 7: occurred_at_ms: -1 (1969-12-31T23:59:59.999Z) lies outside the years 1970 to 2200",
        "line 8: dcc_at_ms: -1 (1969-12-31T23:59:59.999Z) lies outside the years 1970 to 2200",
    ];
    ran.says(&rejections);
    ran.says(&[
        "note: line 5: occurred_ms: 1795426200 is read as 1970-01-21T18:43:46.2Z; with --epoch s it is 2026-11-23T09:30:00Z",
        "3 alerts would be rejected by the server",
        "nothing was sent",
    ]);
    assert!(!ran.said.contains("taken"), "{}", ran.said);
    let host = Host::start(BINARY, &folder.path().join("data"));
    let sent = Ran::of(host.weir(["alert", "send", &folder.file("again.ndjson", &text), "--json"]));
    sent.says(&rejections);
    let balance = &sent.out[0]["balance"];
    assert_eq!((&balance["forwarded"], &balance["rejected"]), (&5.into(), &3.into()));
    sent.says(&["3 alerts were rejected by the server", "what else was read was taken"]);
    sent.says(&[
        "note: line 5: occurred_ms: 1795426200 is read as 1970-01-21T18:43:46.2Z; with --epoch s it is 2026-11-23",
    ]);
    let (_, ran) = folder.counts(
        "epoch.csv",
        format!("device,code,occurred_at\n{DEVICE},8014,1795426200000\n"),
        &["--epoch", "s"],
    );
    ran.says(&["note: line 2: occurred_at: 1795426200000 is read as ", "with --epoch ms it is "]);
    let sent = Ran::of(host.weir(["alert", "send", &folder.file("none.csv", "device,code\nnobody,8014\n"), "--json"]));
    sent.says(&["1 record could not be read", "`weir count --by rejection`"]);
    assert!(!sent.said.contains("was taken"), "{}", sent.said);
    // No setting lets a time of receipt lie days ahead.
    let (counts, ran) = folder.counts("ahead.ndjson", alert(1, "\"received_at\":\"2190-01-01T00:00:00Z\""), &[]);
    assert_eq!((counts, ran.code), ([0, 0, 1], Some(64)));
    ran.says(&[
        "error: line 1: received_at_ms: 6942585600000 (2190-01-01T00:00:00Z) lies outside 1970-01-01T00:00:00Z (what ",
    ]);
    // What depends on the host's settings is a note, and rejects nothing here.
    let (counts, ran) = folder.counts("old.ndjson", alert(1, "\"received_at\":\"2001-01-01T00:00:00Z\""), &[]);
    assert_eq!((counts, ran.code), ([1, 0, 0], Some(0)));
    ran.says(&[
        "note: line 1: received_at_ms: 978307200000 (2001-01-01T00:00:00Z) lies outside",
        "or less, the default, rejects it",
    ]);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn times_are_read_by_what_is_stated_of_them() {
    let folder = Files::new(BINARY);
    let csv = |time: &str| format!("device,code,occurred_at\n{DEVICE},8014,{time}\n");
    for (time, more) in [
        ("2026-11-23T09:30:00Z", &[][..]),
        ("2026-11-23 09:30", &["--time-zone", "utc"]),
        ("23/11/2026 09:30:00", &["--time-zone", "Europe/London"]),
        ("11/23/2026 9:30 AM", &["--time-zone", "utc"]),
        ("1795426200", &["--epoch", "s"]),
        ("1795426200000", &["--epoch", "auto"]),
        ("1795426200000000", &["--epoch", "auto"]),
        ("1795426200000000", &["--epoch", "us"]),
    ] {
        assert_eq!(folder.first_time("a.csv", csv(time), more), "2026-11-23T09:30:00Z", "{time} {more:?}");
    }
    let november = folder.first_time("a.csv", csv("11/03/2026 00:00Z"), &["--date-order", "mdy"]);
    assert_eq!(november, "2026-11-03T00:00:00Z");
    for (time, more, words) in [
        // That times are shown in another zone says nothing of a file.
        ("2026-11-23 09:30", &[][..], "line 2: occurred_at: \"2026-11-23 09:30\" has no zone"),
        ("11/03/2026 09:30Z", &[], "\"11/03/2026\" is 2026-03-11 as day/month/year (--date-order dmy) and 2026-11-03"),
        ("1795426200", &[], "\"1795426200\" is a number; with --epoch s it is 2026-11-23T09:30:00Z"),
        ("2026-10-25 01:30", &["--time-zone", "Europe/London"], "was shown twice in Europe/London"),
        ("2026-03-29 01:30", &["--time-zone", "Europe/London"], "was never shown in Europe/London"),
        ("23/11/2026 09:30Z", &["--date-order", "mdy"], "is no day as month/day/year; it is one as day/month/year"),
        ("1000", &["--epoch", "auto"], "is between 2000 and 2100 in no unit"),
        ("46349.39583", &[], "as a spreadsheet counts days"),
    ] {
        let (counts, ran) = folder.counts("a.csv", csv(time), more);
        assert_eq!((counts, ran.code), ([0, 1, 0], Some(64)), "{time}: {}", ran.said);
        ran.says(&[words]);
    }
}

#[test]
fn months_before_days_are_noticed_and_not_compared() {
    let folder = Files::new(BINARY);
    let host = Host::start_with(BINARY, &folder.path().join("data"), &[host::KEEPS_ALL]);
    let devices = "eui,mpxn,generation,model\n02-00-5E-10-00-00-A0-30,1300000000489,smets1,Alder 3\n";
    host.json(["device", "load", &folder.file("devices.csv", devices), "--json"]);
    let rows: String = [(0, 3), (1, 3), (2, 4), (3, 5)]
        .iter()
        .map(|(counter, day)| {
            let time = format!("2026-11-0{day}T12:00:00Z");
            format!("02-00-5E-10-00-00-A0-30,8014,{counter},{time},{time}\n")
        })
        .collect();
    let alerts = format!("device,code,counter,occurred_at,received_at\n{rows}");
    host.json(["alert", "send", &folder.file("alerts.csv", alerts), "--json"]);
    let reconcile = |name: &str, rows: &str, more: &[&str]| {
        let path = folder.file(name, format!("mpan,date,code,count\n{rows}"));
        Ran::of(host.weir([&["reconcile", &path, "--json"], more].concat()))
    };
    let slashed = "1300000000489,11/03/2026,8014,2\n1300000000489,11/04/2026,8014,1\n1300000000489,11/05/2026,8014,1\n";
    let ran = reconcile("counts.csv", slashed, &[]);
    assert_eq!((ran.code, ran.out.len()), (Some(64), 0));
    ran.says(&[
        "all dates can be read in two ways, that of line 2 as 2026-03-11 or 2026-11-03",
        "0 of 3 rows agree as day/month/year, 3 of 3 rows agree as month/day/year",
        "--date-order mdy is likely right",
    ]);
    let ran = reconcile("counts.csv", slashed, &["--date-order", "mdy"]);
    assert_eq!((ran.code, &ran.out[0]["totals"]["agreed"]), (Some(0), &4.into()), "{}", ran.said);
    let thirteen = "1300000000489,11/03/2026,8014,2\n1300000000489,11/13/2026,8014,0\n";
    let ran = reconcile("thirteen.csv", thirteen, &[]);
    assert_eq!(ran.code, Some(64));
    ran.says(&[
        "the date of line 3 can only be month/day/year",
        "1 other date can be read both ways",
        "--date-order mdy",
    ]);
    // A day that can be nothing else says how the others are written.
    let ran = reconcile("days.csv", "1300000000489,03/11/2026,8014,2\n1300000000489,13/11/2026,8014,0\n", &[]);
    assert_eq!((ran.code, &ran.out[0]["totals"]["agreed"]), (Some(0), &2.into()), "{}", ran.said);
    ran.says(&["note: dates are read as day/month/year: that of line 3 can be nothing else"]);
    let ran = reconcile("mixed.csv", "1300000000489,13/11/2026,8014,2\n1300000000489,11/13/2026,8014,0\n", &[]);
    assert_eq!(ran.code, Some(64));
    ran.says(&["line 2 can only be day/month/year, and that of line 3 only month/day/year"]);
    // A row that stands twice is added, and named.
    let twice = "1300000000489,2026-11-03,8014,1\n13 0000 0000 489,03-Nov-2026,8014,1\n";
    let ran = reconcile("twice.csv", twice, &[]);
    assert_eq!((ran.code, &ran.out[0]["totals"]["agreed"]), (Some(0), &2.into()), "{}", ran.said);
    ran.says(&["line 3: device, date and code are those of line 2; the counts are added: 1 + 1"]);
    // So is one that names the meter by its EUI-64 beside one that names its MPAN.
    let both = "1300000000489,2026-11-03,8014,1\n02-00-5E-10-00-00-A0-30,2026-11-03,8014,1\n";
    let ran = reconcile("both.csv", both, &[]);
    assert_eq!((ran.code, &ran.out[0]["totals"]["agreed"]), (Some(0), &2.into()), "{}", ran.said);
    ran.says(&["note: line 3: 02-00-5E-10-00-00-A0-30 is at the metering point of line 2, 1300000000489"]);
    // Dates that leave nothing open are not among those that can be read in two ways.
    let some = "1300000000489,2026-11-04,8014,1\n1300000000489,11/03/2026,8014,2\n1300000000489,11/11/2026,8014,0\n";
    reconcile("some.csv", some, &[]).says(&["1 of 3 dates can be read in two ways, that of line 3 as 2026-03-11"]);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_load_does_what_its_dry_run_said_of_a_device_in_two_rows() {
    let folder = Files::new(BINARY);
    let host = Host::start(BINARY, &folder.path().join("data"));
    let text = "eui,mpxn,generation,model\n\
                02-00-5E-10-00-00-A0-2C,1300000000442,smets2,Alder 3\n\
                02-00-5E-10-00-00-A0-2D,1300000000451,smets2,Alder 3\n\
                02-00-5E-10-00-00-A0-2C,1200000000466,smets1,Birch 7\n";
    let path = folder.file("devices.csv", text);
    for more in [&["--dry-run"][..], &[]] {
        let ran = Ran::of(host.weir([&["device", "load", &path, "--json"], more].concat()));
        let figures = ["added", "changed", "in_doubt_count"].map(|name| ran.out[0][name].as_u64().unwrap());
        assert_eq!((figures, ran.code), ([1, 0, 2], Some(64)), "{more:?}: {}", ran.said);
        ran.says(&[
            "lines 2 and 4: eui: two rows of 02-00-5E-10-00-00-A0-2C: mpxn 1300000000442 and 1200000000466",
            "none of them is taken",
        ]);
    }
    let listed = host.json(["device", "list", "--json"]);
    assert_eq!((listed.len(), &listed[0]["device_id"]), (1, &"02-00-5E-10-00-00-A0-2D".into()));
    // The same twice, as where files were joined, is one device.
    let twice = format!("{}{}", &text[..text.rfind("02-00").unwrap()], &text[..text.rfind("02-00").unwrap()]);
    let ran = Ran::of(host.weir(["device", "load", &folder.file("twice.csv", twice), "--json"]));
    let figures = ["added", "unchanged", "repeated_count"].map(|name| ran.out[0][name].as_u64().unwrap());
    assert_eq!((figures, ran.code), ([1, 1, 2], Some(0)), "{}", ran.said);
    ran.says(&["line 4: header: a second heading", "line 5: eui: it says of 02-00-5E-10-00-00-A0-2C what line 2 says"]);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn devices_are_listed_by_what_is_known_of_them() {
    let folder = Files::new(BINARY);
    let host = Host::start(BINARY, &folder.path().join("data"));
    let rows: String = (1..=1_200)
        .map(|number| {
            let (generation, mpan, operator) =
                if number % 2 == 0 { ("smets1", "1000000000012", 10) } else { ("smets2", "1200000000011", 12) };
            // A metering point has 32 devices at most.
            let mpan = if number <= 64 { mpan } else { "" };
            format!(
                "02-00-5E-10-00-00-{:02X}-{:02X},{mpan},{generation},Alder {},{operator}\n",
                number / 256,
                number % 256,
                number % 3
            )
        })
        .collect();
    let path = folder.file("devices.csv", format!("eui,mpxn,generation,model,operator\n{rows}"));
    host.json(["device", "load", &path, "--json"]);
    let count = |more: &[&str]| host.json([&["device", "list", "--json"], more].concat()).len();
    assert_eq!(count(&["--limit", "0"]), 1_200, "over pages");
    assert_eq!((count(&[]), count(&["--limit", "7"])), (100, 7));
    assert_eq!(count(&["--limit", "0", "--operator", "LOND"]), 600);
    assert_eq!(count(&["--limit", "0", "--generation", "smets1", "--model", "Alder 0"]), 200);
    assert_eq!(count(&["--limit", "0", "--mpxn", "10 0000 0000 012"]), 32);
    assert_eq!(count(&["--unlisted"]), 0);
    let shown = host.weir(["device", "list", "--limit", "3"]);
    let (table, said) = (String::from_utf8(shown.stdout).unwrap(), String::from_utf8(shown.stderr).unwrap());
    assert!(table.contains("| 02-00-5E-10-00-00-00-01   1200000000011   smets2       Alder 1   12 LOND  |"), "{table}");
    assert!(said.contains("there are more than 3: --limit shows them"), "{said}");
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn packed_files_are_read_to_where_they_are_whole() {
    let folder = Files::new(BINARY);
    let text = format!("device,code,counter\n{DEVICE},8F40,1\n{DEVICE},8F40,2\n");
    let whole = gzip(&text);
    let (one, two) = text.split_at(text.find("1\n").unwrap() + 2);
    let members = [gzip(one), gzip(two)].concat();
    for (name, bytes) in [
        ("padded.csv.gz", [&whole[..], &[0; 512]].concat()),
        ("members.csv.gz", members.clone()),
        ("members-padded.csv.gz", [&members[..], &[0; 7]].concat()),
    ] {
        let (counts, ran) = folder.counts(name, bytes, &[]);
        assert_eq!((counts, ran.code, ran.said.as_str()), ([2, 0, 0], Some(0), ""), "{name}");
    }
    for (name, bytes, words) in [
        (
            "rubbish.csv.gz",
            [&whole[..], b"rubbish"].concat(),
            "data that is not packed by gzip follows the packed part",
        ),
        (
            "zeros-rubbish.csv.gz",
            [&whole[..], b"\0\0rubbish"].concat(),
            "data that is not packed by gzip follows the packed part",
        ),
        ("cut.csv.gz", [&whole[..], &whole[..whole.len() / 2]].concat(), "it is cut off"),
    ] {
        let (counts, ran) = folder.counts(name, bytes, &[]);
        assert_eq!((counts[0], ran.code), (2, Some(64)), "{name}: what was read is counted: {}", ran.said);
        ran.says(&[words]);
    }
    let ran = folder.dry_run("plain.csv.gz", &text, &[]);
    ran.says(&["by its name it is packed by gzip, and it is not"]);
    folder.dry_run("packed.csv", &whole, &[]).says(&["this is packed by gzip: unpack it, or let its name end in .gz"]);
    folder.dry_run("book.csv", b"PK\x03\x04....", &[]).says(&["a workbook (.xlsx)"]);
    folder
        .dry_run("book.xlsx", b"PK\x03\x04....", &[])
        .says(&["workbooks are not read", "save the sheet as CSV UTF-8"]);
    folder.dry_run("alerts.csv.zip", b"PK\x03\x04....", &[]).says(&["files packed as .zip are not read"]);

    let host = Host::start(BINARY, &folder.path().join("data"));
    let path = folder.file("rubbish.csv.gz", [&whole[..], b"rubbish"].concat());
    let sent = Ran::of(host.weir(["alert", "send", &path, "--json"]));
    assert_eq!((&sent.out[0]["balance"]["forwarded"], sent.code), (&2.into(), Some(64)));
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn text_is_read_in_the_encoding_that_it_says_or_named() {
    let folder = Files::new(BINARY);
    let csv = format!("device,code,counter\r\n{DEVICE},8F40,1\r\n{DEVICE},8F40,2\r\n");
    let json =
        format!("{{\"device\":\"{DEVICE}\",\"code\":\"8F40\"}}\n{{\"device\":\"{DEVICE}\",\"code\":\"8014\"}}\n");
    for (name, text) in [("a.csv", &csv), ("a.ndjson", &json)] {
        for unit in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
            let bytes = utf16(text, unit);
            let (counts, ran) = folder.counts(name, &bytes, &[]);
            assert_eq!((counts, ran.code), ([2, 0, 0], Some(0)), "{}", ran.said);
            let ran = folder.dry_run(name, &bytes[2..], &[]);
            assert_eq!(ran.code, Some(64));
            ran.says(&["looks like UTF-16 without a mark; --encoding utf-16"]);
            assert_eq!(ran.said.matches("UTF-16").count(), 1, "once a file: {}", ran.said);
        }
        let stated = folder.counts(name, &utf16(text, u16::to_le_bytes)[2..], &["--encoding", "utf-16le"]);
        assert_eq!(stated.0, [2, 0, 0], "{}", stated.1.said);
    }
    // What spreadsheets call Unicode text has tabs.
    let tabs = utf16(&csv.replace(',', "\t"), u16::to_le_bytes);
    folder.dry_run("a.csv", &tabs, &[]).says(&["tabs between columns, where commas are needed: --delimiter tab"]);
    assert_eq!(folder.counts("a.csv", &tabs, &["--delimiter", "tab"]).0, [2, 0, 0]);
    assert_eq!(folder.counts("a.tsv", &tabs, &[]).0, [2, 0, 0], "the name says it");

    let host = Host::start(BINARY, &folder.path().join("data"));
    let latin = |more: &[&str]| {
        let text = b"eui,mpxn,generation,model\n02-00-5E-10-00-00-A0-24,,smets1,M\xFCller 3\n02-00-5E-10-00-00-A0-25,,smets1,J\xFCrgen\n";
        let path = folder.file("devices.csv", text);
        Ran::of(host.weir([&["device", "load", &path, "--json"], more].concat()))
    };
    let ran = latin(&["--dry-run"]);
    ran.says(&["line 2: text: not UTF-8 from byte 33 on: Latin-1 or Windows-1252, in which it reads \"Müller\"?"]);
    ran.says(&["line 3: text: not UTF-8 from byte 33 on\n", "2 lines that cannot be read were skipped"]);
    assert_eq!(latin(&["--encoding", "latin-1"]).code, Some(0));
    let device = host.json(["device", "list", "--json", "--limit", "1"]).remove(0);
    assert_eq!(device["model"], "Müller 3");
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn what_spreadsheets_make_of_rows_is_read_or_said() {
    let folder = Files::new(BINARY);
    let row = |counter: u32| format!("{DEVICE},8F40,{counter}\n");
    let semicolons = format!("device;code;counter;voltage_v\n{DEVICE};8F40;1;258,1\n");
    let ran = folder.dry_run("semicolons.csv", &semicolons, &[]);
    assert_eq!((ran.code, ran.out.len()), (Some(64), 0));
    ran.says(&[
        "semicolons between columns, where commas are needed: --delimiter ';' reads them, with --decimal comma",
    ]);
    let ran = folder.dry_run("semicolons.csv", &semicolons, &["--delimiter", ";"]);
    ran.says(&["line 2: voltage_v: expected a number with at most 1 decimal, found \"258,1\"; --decimal comma reads"]);
    let ran = folder.dry_run("semicolons.csv", &semicolons, &["--delimiter", ";", "--decimal", "comma"]);
    assert_eq!((&ran.out[0]["by_code"][0]["measurement_max"], ran.code), (&2581.into(), Some(0)), "{}", ran.said);

    let joined = format!("device,code,counter\n{}\u{FEFF}device,code,counter\n{}", row(1), row(2));
    let (counts, ran) = folder.counts("joined.csv", joined, &[]);
    assert_eq!((counts, ran.code), ([2, 0, 0], Some(0)));
    ran.says(&["note: line 3: header: a second heading, as where files were joined"]);
    // Files of other columns: each row is read by the heading that stands before it.
    let other = format!("device,code,counter\n{}weight,device,code\n3,{DEVICE},8014\n", row(1));
    let (counts, ran) = folder.counts("joined.csv", other, &[]);
    assert_eq!((counts, &ran.out[0]["represented_count"]), ([2, 0, 0], &4.into()), "{}", ran.said);

    let cleared = format!("device,code,counter\n{},,\n,,\n{}", row(1), row(2));
    let (counts, ran) = folder.counts("cleared.csv", cleared, &[]);
    assert_eq!((counts, ran.code), ([2, 0, 0], Some(0)));
    ran.says(&["note: line 3: cells: 2 lines of empty cells alone, this the first; passed over"]);

    let rounded = "device,code,counter\n9012345678901230,8F40,1\n9012345678901234,8F40,2\nDB1234567890A0,8F40,3\n\
                   9.01235E+15,8F40,4\n9012345678901234,8F40,1.2E+12\n";
    let (counts, ran) = folder.counts("rounded.csv", rounded, &[]);
    assert_eq!((counts, ran.code), ([2, 3, 0], Some(64)));
    ran.says(&[
        "note: line 2: device: 90-12-34-56-78-90-12-30 is 16 decimal digits that end in 0",
        "line 4: device: expected an EUI-64",
        "14 digits: leading zeros lost? With them it is 00-DB-12-34-56-78-90-A0",
        "found \"9.01235E+15\"; an exponent: a spreadsheet has rounded it",
        "line 6: counter: expected an integer 0 to 18446744073709551615, found \"1.2E+12\"; an exponent",
    ]);

    let pasted =
        "Device ID,Alert-Code\n02\u{2011}00\u{2011}5E\u{2011}10\u{2011}00\u{2011}00\u{2011}A0\u{2011}31,8F40\u{200B}\n";
    assert_eq!(folder.counts("pasted.csv", pasted, &[]).0, [1, 0, 0], "unusual hyphens, and what nobody sees");
    let notes = format!("device,code,notes\n{DEVICE},8F40,\"over\ntwo lines\"\n{DEVICE},8F40,\n");
    let more = ["--columns", "device=Device"];
    assert_eq!(folder.counts("notes.csv", notes, &more).0, [2, 0, 0], "a note over two lines");
}

#[test]
fn an_unclosed_quote_takes_no_other_line_with_it() {
    let folder = Files::new(BINARY);
    let rows = ["\"5", "ok", "\"6", "ok", "\"ok\"", "ok"].map(|note| format!("{DEVICE},8F36,,{note}\n")).concat();
    let more = ["--columns", "device=device"];
    let (counts, ran) = folder.counts("a.csv", format!("device,code,counter,note\n{rows}"), &more);
    assert_eq!((counts, ran.code), ([4, 2, 0], Some(64)), "{}", ran.said);
    ran.says(&["line 2: quotes: a quoted field does not end on its line", "line 4: quotes:"]);
    let host = Host::start(BINARY, &folder.path().join("data"));
    let devices = "eui,mpxn,generation,model,note\n02-00-5E-10-00-00-B5-01,,smets2,M,\"a\n\
                   02-00-5E-10-00-00-B5-02,,smets2,M,ok\n02-00-5E-10-00-00-B5-03,,smets2,M,\"ok\"\n";
    let path = folder.file("devices.csv", devices);
    let ran = Ran::of(host.weir(["device", "load", &path, "--json", "--columns", "eui=eui"]));
    assert_eq!((ran.code, &ran.out[0]["added"]), (Some(64), &2.into()), "{}", ran.said);
    let counts =
        "mpxn,date,code,count,note\n1300000000498,2026-11-03,8014,2,\"a\n1300000000498,2026-11-04,8014,7,\"ok\"\n";
    let path = folder.file("counts.csv", counts);
    let ran = Ran::of(host.weir(["reconcile", &path, "--columns", "mpxn=mpxn"]));
    assert_eq!(ran.code, Some(64));
    ran.says(&["line 2: quotes: a quoted field does not end on its line", "1 line cannot be read"]);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn a_measurement_is_read_in_the_unit_of_its_code_alone() {
    let folder = Files::new(BINARY);
    let csv = format!("device,code,voltage_v\n{DEVICE},8014,95.0\n{DEVICE},8F40,258.1\n{DEVICE},8F36,258.1\n");
    let json = format!(
        "{{\"device\":\"{DEVICE}\",\"code\":\"8F40\",\"power_factor\":2.4}}\n{{\"device\":\"{DEVICE}\",\"code\":\"AD1\",\
         \"voltage_v\":258.1}}\n{{\"device\":\"{DEVICE}\",\"code\":\"8014\",\"power_factor\":0.95}}\n"
    );
    for (name, text, words) in [
        (
            "a.csv",
            csv,
            "line 2: voltage_v: \"95.0\", but 8014 measures a power factor (thousandths); its column is power_factor",
        ),
        ("a.ndjson", json, "line 1: power_factor: \"2.4\", but 8F40 measures volts (dv); its column is voltage_v"),
    ] {
        let (counts, ran) = folder.counts(name, text, &[]);
        assert_eq!((counts, ran.code), ([2, 1, 0], Some(64)), "{name}: {}", ran.said);
        ran.says(&[words]);
    }
}

#[test]
fn headings_of_a_vendor_are_said_once_and_kept() {
    let folder = Files::new(BINARY);
    let text = format!("Meter ID;Ereignis;Zeit;Spannung;Notiz\n{DEVICE};8F40;23.11.2026 10:30:00;258,1;\"a;b\"\n");
    let ran = folder.dry_run("vendor.csv", &text, &["--delimiter", ";"]);
    ran.says(&["unknown column \"Meter ID\"; known columns are: device, code, ", "--columns device=HEADING says"]);
    let mapping = folder.file(
        "vendor.columns",
        "# our vendor's\ndevice = Meter ID\ncode=Ereignis\noccurred_at=Zeit\nvoltage_v=Spannung\n",
    );
    let mapped = format!("@{mapping}");
    let more = ["--columns", &mapped, "--delimiter", ";", "--decimal", "comma", "--time-zone", "Europe/Berlin"];
    let ran = folder.dry_run("vendor.csv", &text, &more);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let found = &ran.out[0]["by_code"][0];
    assert_eq!(
        (&found["measurement_min"], &found["first_occurred_at"]),
        (&2581.into(), &"2026-11-23T09:30:00Z".into())
    );
    ran.says(&["note: line 1: columns: \"Notiz\" means nothing here; passed over"]);
    let inline = ["--columns", "device=Meter ID,code=Ereignis,occurred_at=Zeit", "--columns", "voltage_v=Spannung"];
    let ran = folder.dry_run("vendor.csv", &text, &[&inline[..], &more[2..]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    folder
        .dry_run("vendor.csv", &text, &["--columns", "devise=Meter ID"])
        .says(&["\"devise\" is no column; did you mean"]);
    let ran = folder.dry_run("vendor.csv", &text, &["--columns", "device=MeterIDs", "--delimiter", ";"]);
    ran.says(&["the file has no heading \"MeterIDs\"; did you mean \"Meter ID\"?"]);
}

#[test]
fn the_folder_of_an_export_is_sent_whole() {
    let folder = Files::new(BINARY);
    let host = Host::start_with(BINARY, &folder.path().join("data"), &[host::KEEPS_ALL]);
    let rows: String = (1..=4)
        .map(|day| {
            let time = format!("2026-11-0{day}T12:00:00Z");
            format!("{DEVICE},8F40,{day},{time},{time},258.{day}\n")
        })
        .collect();
    let text = format!("device,code,counter,occurred_at,received_at,voltage_v\n{rows}");
    host.json(["alert", "send", &folder.file("alerts.csv", text), "--json"]);
    let export = folder.path().join("export");
    let export = export.to_str().unwrap();
    let period = ["--since", "2026-11-01", "--until", "2026-11-05"];
    host.json([&["export", "--parquet", export, "--json"], &period[..]].concat());
    let before = host.json(["alert", "list", "--json"]);
    let other = Host::start_with(BINARY, &folder.path().join("other"), &[host::KEEPS_ALL]);
    let sent = Ran::of(other.weir(["alert", "send", export, "--json"]));
    assert_eq!((&sent.out[0]["balance"]["forwarded"], sent.code), (&4.into(), Some(0)), "{}", sent.said);
    let files: Vec<&Value> = sent.out[0]["files"].as_array().unwrap().iter().map(|file| &file["file"]).collect();
    assert_eq!((files.len(), files[0]), (4, &json!("day=2026-11-01/part-0.parquet")));
    assert_eq!(sent.said, "", "nothing in it is strange");
    let alerts = |listed: &[Value]| listed.iter().map(|logged| logged["alert"].clone()).collect::<Vec<_>>();
    assert_eq!(alerts(&other.json(["alert", "list", "--json"])), alerts(&before));
    assert_eq!((host.stop(), other.stop()), (Some(0), Some(0)));
}

#[test]
fn errors_speak_of_what_a_file_consists_of() {
    let folder = Files::new(BINARY);
    let ran = folder.dry_run("a.xml", "<Response><broken>\n<Response><broken>", &[]);
    ran.says(&["1 document could not be read"]);
    let ran = folder.dry_run("a.csv", "device,code\nx,8F40\n", &[]);
    ran.says(&["1 record could not be read"]);
    let ran = folder.dry_run("a.parquet", "device,code\n", &[]);
    ran.says(&["a.parquet: file: this is no Parquet file: it does not begin with PAR1"]);
    assert!(!ran.said.contains("line"), "{}", ran.said);
    assert_eq!(ran.said.matches("PAR1").count(), 1, "once: {}", ran.said);
}

/// docs/files.md and the program have the same options.
#[test]
fn the_page_about_files_names_options_that_there_are() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/files.md");
    let page = fs::read_to_string(page).unwrap();
    let named = page.split("--").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(rest.len());
        format!("--{}", rest[..end].trim_end_matches('-'))
    });
    let named: std::collections::BTreeSet<String> = named.filter(|option| option.len() > 3).collect();
    assert!(named.len() >= 9, "{named:?}");
    let help = |command: &str| Command::new(BINARY).args(command.split(' ')).arg("--help").output().unwrap().stdout;
    let help = ["alert send", "device load", "device list", "count"].map(help).concat();
    let help = String::from_utf8(help).unwrap();
    for option in named {
        assert!(help.contains(&option), "{option} is on the page and not in the help");
    }
}

/// A file without a byte is an export that failed, in every format, and an option that would have no effect is refused.
#[test]
fn an_empty_file_and_an_option_without_effect_are_errors() {
    let folder = Files::new(BINARY);
    for name in ["empty.csv", "empty.ndjson", "empty.hex", "empty.xml"] {
        let ran = folder.dry_run(name, "", &[]);
        assert_eq!(ran.code, Some(64), "{name}: {}", ran.said);
        ran.says(&["the input is empty"]);
    }
    assert_eq!(folder.dry_run("header.csv", "device,code\n", &[]).code, Some(0), "a table of no alerts");
    for option in [["--throttled-count", "all"], ["--document-bytes-max", "70000"]] {
        for name in ["alerts.csv", "alerts.hex", "alerts.ndjson"] {
            let ran = folder.dry_run(name, "device,code\n", &option);
            assert_eq!(ran.code, Some(64), "{name}: {}", ran.said);
            ran.says(&[&format!("{}: it says something about DUIS documents alone", option[0])]);
        }
    }
    let inventory = folder.file("devices.csv", format!("eui,mpxn,generation,model\n{DEVICE},,,\n"));
    for option in [["--epoch", "s"], ["--date-order", "dmy"], ["--decimal", "comma"]] {
        let ran = Ran::of(Command::new(BINARY).args(["device", "load", &inventory]).args(option).output().unwrap());
        assert_eq!(ran.code, Some(64), "{}", ran.said);
        ran.says(&[&format!("{}: it says nothing about inventories", option[0]), "leave it out"]);
    }
    // Of several formats, one that cannot be read is one of any.
    let mixed = folder.path().join("mixed");
    fs::create_dir(&mixed).unwrap();
    fs::write(mixed.join("a.csv"), "device,code\nnobody,8014\n").unwrap();
    fs::write(mixed.join("b.hex"), "# none\n").unwrap();
    let mut command = Command::new(BINARY);
    command.args(["alert", "send", mixed.to_str().unwrap(), "--dry-run", "--local"]);
    Ran::of(command.output().unwrap()).says(&["1 line, row or document could not be read"]);
}
