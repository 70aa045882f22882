//! docs/join-parameter.md, typed into a shell as it stands: events that are no alerts, under a code of an operator's own.
//! What the page shows is what is printed.

use std::fs;

use weir_tests::{
    host::{self, Host},
    typed,
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const PAGE: &str = include_str!("../../docs/join-parameter.md");

#[test]
fn the_page_shows_what_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = folder.path().join("target/plugins");
    fs::create_dir_all(&plugins).unwrap();
    fs::copy(env!("WEIR_GUEST_THRESHOLD"), plugins.join("threshold.wasm")).unwrap();
    let host = Host::start(BINARY, &folder.path().join("data"));
    let compared = typed::run(folder.path(), (BINARY, &host.url), &typed::steps(PAGE));
    assert_eq!(compared, 4, "commands whose answers are shown");

    let counts = host.json(["count", "--by", "model,rule", "--json"]).remove(0);
    let of = |model: &str, rule: &str| {
        let rows = counts["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["model"] == model && row["rule"] == rule);
        row.map_or(0, |row| row["balance"]["received"].as_u64().unwrap())
    };
    assert_eq!((of("Alder 3", "join-limit"), of("Alder 3", "")), (2, 4));
    assert_eq!((of("Birch 7", "join-limit"), of("Birch 7", "")), (0, 4));
    let answer = host.json(["whatif", "show", "1", "--json"]).remove(0);
    let total = &answer["answer"]["outcomes"][0]["total"];
    assert_eq!((&total["would_suppress"], &total["would_forward"]), (&2.into(), &0.into()));

    // The unit trap: a limit in volts where tenths of a volt are counted, and the same in the code's own unit.
    for (limit, taken) in [("below_dv", false), ("below", true)] {
        let parameters = format!(r#"{{"codes":["8F40"],"{limit}":258}}"#);
        let set = host.weir(["rule", "set", "volts", "--plugin", "threshold", "--parameters", &parameters]);
        let said = String::from_utf8(set.stderr).unwrap();
        let note = format!("note: parameters.{limit}: 258 dv is not plausible for 8F40 (1000 to 4000 dv)");
        assert!(said.contains(&note) && said.contains("2580 dv would be"), "{said}");
        assert_eq!(set.status.success(), taken, "{said}");
    }
    let asked = host.weir(["whatif", "run", "--rule", "volts", "--parameters", r#"{"codes":["8F40"],"below":25800}"#]);
    let said = String::from_utf8(asked.stderr).unwrap();
    assert!(said.contains("note: parameters.below: 25800 dv is not plausible for 8F40"), "{said}");
    let sample = host::file(folder.path(), "sample.csv", "device,code,voltage_v\n00-DB-12-00-00-00-00-01,8F40,25.8\n");
    let parameters = r#"{"codes":["8F40"],"below":253}"#;
    let tried = host.weir(["plugin", "test", env!("WEIR_GUEST_THRESHOLD"), &sample, "--parameters", parameters]);
    let said = String::from_utf8(tried.stderr).unwrap();
    for note in ["parameters.below: 253 dv is not plausible", "line 2: measurement: 258 dv is not plausible"] {
        assert!(said.contains(note), "{note} is missing in\n{said}");
    }
    assert_eq!(host.stop(), Some(0));
}
