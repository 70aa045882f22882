//! docs/join-parameter.md, typed into a shell as it stands: events that are no alerts, under a code of an operator's own.
//! What the page shows is what is printed.

use std::{fs, path::Path, process::Command};

use weir_tests::host::{self, Host};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
const PAGE: &str = include_str!("../../docs/join-parameter.md");

/// One command of the page, and what the page shows of its answer.
struct Step {
    command: String,
    shown: String,
}

/// The commands of the page in order: after `$ ` a command, with what it reads up to END; then what it printed.
fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut in_console, mut in_text) = (false, false);
    for line in PAGE.lines() {
        match line {
            "```console" => in_console = true,
            "```" => in_console = false,
            _ if !in_console => {}
            _ => {
                let new = line.strip_prefix("$ ").filter(|_| !in_text);
                if let Some(command) = new {
                    in_text = command.ends_with("<<END");
                    steps.push(Step { command: command.to_owned(), shown: String::new() });
                } else {
                    let step = steps.last_mut().expect("a command comes first");
                    let part = if in_text { &mut step.command } else { &mut step.shown };
                    part.push('\n');
                    part.push_str(line);
                    in_text &= line != "END";
                }
            }
        }
    }
    steps
}

/// Runs the commands in one shell, in a folder; gives what each printed, errors too.
fn typed(folder: &Path, server: &str, steps: &[Step]) -> Vec<String> {
    const NEXT: &str = "== next command ==";
    let commands = steps.iter().map(|step| format!("{}\necho '{NEXT}'\n", step.command));
    let script = format!("set -e\nweir() {{ \"$WEIR\" \"$@\" 2>&1; }}\n{}", commands.collect::<String>());
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder)
        .envs([("WEIR", BINARY), ("WEIR_SERVER", server)])
        .output()
        .expect("there is a shell");
    let text = String::from_utf8(output.stdout).expect("it prints text");
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text.trim_end().split_terminator(NEXT).map(|part| part.trim_matches('\n').to_owned()).collect()
}

#[test]
fn the_page_shows_what_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = folder.path().join("target/plugins");
    fs::create_dir_all(&plugins).unwrap();
    fs::copy(env!("WEIR_GUEST_THRESHOLD"), plugins.join("threshold.wasm")).unwrap();
    let host = Host::start(BINARY, &folder.path().join("data"));
    let steps = steps();
    let printed = typed(folder.path(), &host.url, &steps);
    assert_eq!(printed.len(), steps.len(), "{printed:#?}");
    let mut compared = 0;
    for (step, printed) in steps.iter().zip(&printed).filter(|(step, _)| !step.shown.is_empty()) {
        let shown = step.shown.trim_matches('\n');
        for line in shown.lines().filter(|line| *line != "...") {
            assert!(printed.contains(line), "{}\nshows {line:?}, but prints\n{printed}", step.command);
        }
        compared += 1;
    }
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
