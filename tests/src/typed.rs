//! A page's commands, typed into a shell as they stand there.
//!
//! It must not know what a page is about. Invariant: what a page shows of an answer is compared with what was printed, line by
//! line, but for lines of `...`.

use std::{path::Path, process::Command};

/// One command of a page, and what the page shows of its answer.
pub struct Step {
    /// With what it reads.
    pub command: String,
    /// Nothing, where the page shows nothing.
    pub shown: String,
}

/// The commands of a page in order: after `$ ` a command, with what it reads up to END; then what it printed.
pub fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut in_console, mut in_text) = (false, false);
    for line in page.lines() {
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

/// Types commands into one shell, in a folder, where `weir` is `binary`; compares what is shown with what is printed. Gives
/// how many were compared.
///
/// # Panics
/// Where a command fails, or prints something else than is shown.
pub fn run(folder: &Path, (binary, server): (&str, &str), steps: &[Step]) -> usize {
    let printed = typed(folder, (binary, server), steps);
    assert_eq!(printed.len(), steps.len(), "{printed:#?}");
    let mut compared = 0;
    for (step, printed) in steps.iter().zip(&printed) {
        let shown = step.shown.trim_matches('\n');
        for line in shown.lines().filter(|line| *line != "...") {
            assert!(printed.contains(line), "{}\nshows {line:?}, but prints\n{printed}", step.command);
        }
        compared += usize::from(!shown.is_empty());
    }
    compared
}

/// What each command printed, errors too.
fn typed(folder: &Path, (binary, server): (&str, &str), steps: &[Step]) -> Vec<String> {
    const NEXT: &str = "== next command ==";
    let commands = steps.iter().map(|step| format!("{}\necho '{NEXT}'\n", step.command));
    let script = format!("set -e\nweir() {{ \"$WEIR\" \"$@\" 2>&1; }}\n{}", commands.collect::<String>());
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder)
        .envs([("WEIR", binary), ("WEIR_SERVER", server)])
        .output()
        .expect("there is a shell");
    let text = String::from_utf8(output.stdout).expect("it prints text");
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text.trim_end().split_terminator(NEXT).map(|part| part.trim_matches('\n').to_owned()).collect()
}
