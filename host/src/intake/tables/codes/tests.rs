//! What the built-in table says, and what a file makes of it.

use super::*;
use crate::domain::Eui64;

fn code(text: &str) -> AlertCode {
    text.parse().unwrap()
}

fn over_builtin(file: &str) -> CodeTable {
    CodeTable::builtin().with_file(file.as_bytes()).unwrap()
}

#[test]
fn the_built_in_table_is_read() {
    let (version, rows) = builtin_parts();
    let codes = CodeTable::default().with_file(rows.as_bytes()).unwrap();
    assert_eq!(codes.rows.len(), rows.lines().count() - 1, "a code stands twice");
    assert_eq!(codes, CodeTable::builtin());
    assert_eq!(version, CodeTable::builtin_version());
    assert_eq!(codes.name(code("8F40")), Some("voltage alert (SMETS1)"));
    assert_eq!(codes.unit(code("8F40")), Some(&Unit::Decivolts));
    assert_eq!(codes.unit(code("8014")), Some(&Unit::Thousandths));
    assert_eq!(codes.unit(code("8010")), None);
    assert_eq!(codes.name(code("1234")), None);
}

/// Alerts are named by a version: other rows under the same number would rename what was logged.
#[test]
fn another_table_has_another_version() {
    let (version, rows) = builtin_parts();
    let sum = twox_hash::XxHash64::oneshot(0, rows.as_bytes());
    assert_eq!((version, sum), (2, SUM), "a changed table needs the next version; then state its sum here");
}

const SUM: u64 = 0xC082_D096_B4E2_3584;

#[test]
fn the_built_in_rows_agree_with_each_other() {
    let table = CodeTable::builtin();
    let sources: Vec<String> = sources().into_iter().map(|source| source.name).collect();
    for (code, row) in &table.rows {
        assert_eq!(row.pair.is_some(), row.edge.is_some(), "{code}");
        if let Some(pair) = row.pair {
            let other = &table.rows[&pair];
            assert_eq!((other.pair, other.edge), (Some(*code), row.edge.map(Edge::other)), "{code} and {pair}");
            assert_eq!((&other.unit, &other.family), (&row.unit, &row.family), "{code} and {pair}");
        }
        assert_eq!(row.unit == Some(Unit::Decivolts), row.family == "voltage", "{code}");
        assert_eq!(row.unit.is_some(), row.range.min.is_some() && row.range.max.is_some(), "{code}");
        assert!(!(0xE000..0xF000).contains(&code.0), "{code}: these are the operators' own");
        assert!(sources.contains(&row.source), "{code}: {:?} is no source", row.source);
        // Codes below 8F00 can be switched off on the device, so none of them is critical.
        let is_below = (0x8000..0x8F00).contains(&code.0);
        assert!(!is_below || row.critical == Some(false), "{code}");
        assert!(!code.is_of_dcc() || row.critical.is_none(), "{code} is no alert of a device");
        assert!(row.name.is_empty() <= code.is_of_dcc(), "{code} has no name");
    }
}

#[test]
fn criticality_is_of_the_row_and_not_of_the_number() {
    let table = CodeTable::builtin();
    let critical = |text: &str| table.get(code(text)).unwrap().critical;
    for mac in ["8F12", "8F20", "8F26", "8F28", "8F2A", "8F2C", "8F2D"] {
        assert_eq!(critical(mac), Some(false), "{mac}");
    }
    assert_eq!((critical("8F36"), critical("8F88"), critical("8002")), (Some(true), Some(true), Some(false)));
    assert_eq!((critical("8F43"), critical("8F57"), critical("AD1")), (None, None, None));
}

/// The published messages are not ours to copy. Where they are at hand, WEIR_RTDS names the file.
#[test]
fn published_messages_have_the_form_that_their_code_has_in_the_table() {
    let Some(samples) = std::env::var_os("WEIR_RTDS").map(|path| std::fs::read_to_string(path).unwrap()) else {
        println!("WEIR_RTDS is not set: no messages to look at");
        return;
    };
    let table = CodeTable::builtin();
    let mut seen = 0;
    for line in samples.lines().skip(1) {
        let hex = line.split('\t').nth(1).unwrap();
        let alert = crate::intake::gbcs_hex::Alerts::new(hex.as_bytes()).next().unwrap().unwrap();
        assert_ne!(alert.device, Eui64::NONE);
        let is_signed = !hex.to_ascii_lowercase().starts_with("dd");
        let row = table.get(alert.code).unwrap_or_else(|| panic!("{} has no row", alert.code));
        assert_eq!(row.critical, Some(is_signed), "{}", alert.code);
        seen += 1;
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn raises_and_clears_are_pairs() {
    let table = CodeTable::builtin();
    let pairs =
        [("81C3", "81C2"), ("8002", "8085"), ("802F", "809C"), ("8014", "8015"), ("8F75", "81BC"), ("8F86", "8F87")];
    for (raise, clear) in pairs {
        let row = table.get(code(raise)).unwrap();
        assert_eq!((row.pair, row.edge), (Some(code(clear)), Some(Edge::Raise)), "{raise}");
    }
    assert_eq!(table.name(code("81C2")), Some("tilt has ended"));
    assert_eq!(table.get(code("8F36")).unwrap().pair, None);
}

#[test]
fn codes_of_the_dcc_have_a_row_and_a_name_where_the_public_has_one() {
    let table = CodeTable::builtin();
    assert_eq!(table.rows.keys().filter(|code| code.is_of_dcc()).count(), 66);
    assert_eq!(table.name(code("AD1")), Some("power outage seen through the comms hub"));
    assert_eq!(table.name(code("N24")), Some("update of a device log in the hub has ended"));
    assert_eq!((table.name(code("N17")), table.get(code("N17")).is_some()), (None, true));
    assert!(table.get(code("N32")).is_none(), "the schema has none");
}

#[test]
fn a_file_corrects_any_row_and_leaves_the_rest_of_it() {
    let table = over_builtin("code,name,owner\n8F40,our name,\nABCD,ours,other\n8F36,,supplier\n");
    let row = table.get(code("8F40")).unwrap();
    assert_eq!(
        (row.name.as_str(), row.unit.as_ref(), row.source.as_str()),
        ("our name", Some(&Unit::Decivolts), "own")
    );
    assert_eq!((row.range.min, row.family.as_str()), (Some(1_000), "voltage"));
    assert_eq!(table.get(code("ABCD")).map(|row| row.owner.as_str()), Some("other"));
    let restored = table.get(code("8F36")).unwrap();
    assert_eq!(
        (restored.name.as_str(), restored.owner.as_str()),
        ("supply restored after 3 minutes or more", "supplier")
    );
    assert_eq!(table.get(code("8014")), CodeTable::builtin().get(code("8014")), "nothing else is changed");

    let table = over_builtin("code,unit,critical,note\n8F40,-,no,-\n");
    let row = table.get(code("8F40")).unwrap();
    assert_eq!((row.unit.as_ref(), row.critical, row.note.as_str()), (None, Some(false), ""));
    assert_eq!(row.range, Range::default(), "bounds of another unit mean nothing");
    let table = over_builtin("code,unit,min,max\n8F40,thousandths,1,2\n");
    assert_eq!(table.get(code("8F40")).unwrap().range, Range { min: Some(1), max: Some(2) });
}

#[test]
fn a_pair_is_of_two() {
    let table = over_builtin("code,name,pair,edge\nE001,begun,8F40,raise\n");
    let other = table.get(code("8F40")).unwrap();
    assert_eq!((other.pair, other.edge), (Some(code("E001")), Some(Edge::Clear)));
    // Another pair for one that has one: the one that is left alone names nobody.
    let table = over_builtin("code,pair\n8014,8F40\n");
    assert_eq!(table.get(code("8F40")).unwrap().pair, Some(code("8014")));
    assert_eq!((table.get(code("8015")).unwrap().pair, table.get(code("8015")).unwrap().edge), (None, None));
    let table = over_builtin("code,pair\n8014,-\n");
    assert_eq!(["8014", "8015"].map(|text| table.get(code(text)).unwrap().pair), [None, None]);
}

#[test]
fn a_description_stands_for_the_code_that_a_file_gives_it_and_no_other_spelling_does() {
    let table = over_builtin("code,description\n8F40,Voltage out of limits (event 0x24)\n8F40,\"Over, voltage\"\n");
    assert_eq!(table.described("Voltage out of limits (event 0x24)"), Some(code("8F40")));
    assert_eq!(table.described("Over, voltage"), Some(code("8F40")));
    for other in ["voltage out of limits (event 0x24)", "Voltage out of limits", "Over, voltage ", ""] {
        assert_eq!(table.described(other), None, "{other:?}");
    }
    assert_eq!(table.get(code("8F40")), CodeTable::builtin().get(code("8F40")), "the row itself is as it was");
    assert_eq!(
        table.descriptions(code("8F40")).collect::<Vec<_>>(),
        ["Over, voltage", "Voltage out of limits (event 0x24)"]
    );
    let moved = table.clone().with_file("code,description\n8002,\"Over, voltage\"\n".as_bytes()).unwrap();
    assert_eq!(moved.described("Over, voltage"), Some(code("8002")));
    let gone = table.with_file("code,description\n8F40,-\n".as_bytes()).unwrap();
    assert_eq!(gone.descriptions(code("8F40")).count(), 0);
}

#[test]
fn a_file_adds_codes_of_an_operators_own() {
    let table = over_builtin("code,name,family,unit,min,max\nE001,join requested,request,s,1,3600\n");
    assert_eq!(table.unit(code("E001")), Some(&Unit::Own("s".to_owned())));
    assert_eq!(table.doubt(code("E001"), 255), None);
    assert_eq!(table.doubt(code("E001"), 0).map(|doubt| doubt.likely), Some(None));
    assert_eq!(table.doubt(code("E002"), 0), None);
}

#[test]
fn rows_that_say_two_things_of_a_code_are_refused() {
    let read = |file: &str| CodeTable::builtin().with_file(file.as_bytes()).map_err(|error| error.to_string());
    let refused = read("code,name,min,max\n8F40,,2000,3000\nE001,join,,\n8F40,,2100,\n").unwrap_err();
    assert_eq!(refused, "line 4: min: \"2100\", but line 2 says \"2000\" of 8F40; keep one of the two");
    assert!(read("code,name,unit\nE001,join,s\nE001,,-\n").is_err(), "what removes says something else too");
    // What is empty says nothing, and descriptions may be several.
    let table = read("code,name,min,description\nE001,join,5,a\nE001,,,b\nE001,join,5,\n").unwrap();
    assert_eq!(table.descriptions(code("E001")).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_table_as_csv_is_the_table() {
    let file = "code,name,unit,pair,edge,critical,description\nE001,\"a \"\"b\"\", c\",s,8F40,raise,yes,\"x, y\"\nN17,-,,,,,\n";
    for table in [CodeTable::default(), CodeTable::builtin(), over_builtin(file)] {
        assert_eq!(CodeTable::default().with_file(table.to_csv().as_bytes()).unwrap(), table);
    }
}

#[test]
fn a_bad_row_is_refused() {
    let refused = |file: &str| CodeTable::default().with_file(file.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        refused("code,name,unit\n8F40,x,volt\n"),
        "line 2: unit: voltages are counted in dv (tenths of a volt), found \"volt\""
    );
    assert_eq!(
        refused("code,name,unit\nE001,x,per second\n"),
        "line 2: unit: expected dv, thousandths, -, or one of your own like s: at most 16 letters, digits and %/, \
         found \"per second\""
    );
    assert_eq!(refused("code,name,min,max\nE001,x,2,1\n"), "line 2: max: expected min (2) or more, found 1");
    assert!(refused("code,name,min\nE001,x,1.5\n").starts_with("line 2: min: expected an integer of 32 bits"));
    assert_eq!(refused("code,name,critical\n8F40,x,1\n"), "line 2: critical: expected yes or no, found \"1\"");
    for (column, word) in [("name", "NaN"), ("note", "None"), ("unit", "n/a"), ("description", "null")] {
        let file = if column == "name" {
            format!("code,name\nE001,{word}\n")
        } else {
            format!("code,name,{column}\nE001,x,{word}\n")
        };
        let expected =
            format!("line 2: {column}: expected a value, found \"{word}\"; it is a placeholder for a missing value");
        assert!(refused(&file).starts_with(&expected), "{}", refused(&file));
    }
    assert_eq!(refused("code,name,edge\n8F40,x,up\n"), "line 2: edge: expected raise or clear, found \"up\"");
    assert_eq!(refused("code,name,pair\n8F40,x,8F40\n"), "line 2: pair: 8F40 cannot be its own pair");
    assert_eq!(refused("code,name\n8F40,\n"), "line 2: name: must not be empty: 8F40 has no row yet");
    assert_eq!(refused("name\nx\n").split(';').next(), Some("line 1: code: the column is missing"));
    assert_eq!(
        refused("code,name,description\n8F40,x,same\n8F41,y,same\n"),
        "line 3: description: \"same\" stands for 8F40 already"
    );
    let many: String = (0..20_000).map(|at| format!("E001,x,{}{at}\n", "d".repeat(60))).collect();
    assert!(
        refused(&format!("code,name,description\n{many}"))
            .contains("the file has more than 262144 bytes of descriptions")
    );
    let many: String = (0..16_384).map(|at| format!("{at:04X},{}\n", "n".repeat(100))).collect();
    assert!(refused(&format!("code,name\n{many}")).contains("the table has more than 1048576 bytes"));
}
