//! The tasks of `cargo xtask`, each a few commands in a row.
//!
//! It must not know what the commands do inside. Invariant: a command that fails makes the task fail.

mod failures;
mod random;
mod supply_chain;
mod watched;

use std::{
    env,
    process::{Command, ExitCode, ExitStatus},
    time::Instant,
};

use anyhow::{Context, Result};
use weir_build::{STOCK, Toolchain, Way, build, ensure_browser, imported_interfaces, workspace};

pub use random::{Rounds, run as test_random};

use failures::Failures;
use supply_chain::Checked;
use watched::watched;

/// Tells the tests of the page that there must be a browser: see tests/src/browser.rs.
const BROWSER_REQUIRED: &str = "BROWSER_TESTS_REQUIRED";

/// Builds plugins and lists them.
pub fn plugins(packages: &[String]) -> Result<ExitCode> {
    let wanted: Vec<&str> =
        if packages.is_empty() { STOCK.to_vec() } else { packages.iter().map(String::as_str).collect() };
    for guest in build(&wanted)? {
        let component = std::fs::read(&guest.path)?;
        let imports = imported_interfaces(&component)?.join(", ");
        let imports = if imports.is_empty() { "nothing" } else { &imports };
        println!(
            "{:<12} {:>8} bytes  {}  (imports {imports}, no functions)",
            guest.name,
            component.len(),
            guest.path.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs every check. What failed is named at the end, with the commands that run it again.
pub fn test() -> Result<ExitCode> {
    // Always the whole workspace: of some packages alone, dependencies have other features, and are all built once more.
    let steps: [(Program, &[&str]); 6] = [
        (Program::Cargo, &["fmt", "--all", "--check"]),
        (Program::Cargo, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        (Program::Cargo, &["build", "--workspace", "--all-targets"]),
        (Program::Cargo, &["test", "--workspace", "--no-fail-fast"]),
        (Program::Demo, &["--alerts", "140000", "--devices", "2000"]),
        (Program::Cargo, &["doc", "--workspace", "--no-deps"]),
    ];
    say("all checks; where nothing is built yet, they take about twenty minutes on two cores");
    Toolchain::find(Way::from_environment()?)?;
    let has_browser = ensure_browser()?;
    if !has_browser {
        say("the page is NOT tested in a browser: install chromium and its driver for that");
    }
    let begun = Instant::now();
    let mut failed: Vec<String> = Vec::new();
    for (i, (program, arguments)) in steps.iter().enumerate() {
        let step = format!("{} {}", program.name(), arguments.join(" "));
        say(&format!("step {} of {}: {step}", i + 1, steps.len()));
        let step_begun = Instant::now();
        let mut command = program.command()?;
        command.args(*arguments).env("RUSTDOCFLAGS", "-D warnings");
        if has_browser {
            // From here on its absence would be a mistake.
            command.env(BROWSER_REQUIRED, "1");
        }
        let mut failures = Failures::default();
        let status = match arguments.first() {
            Some(&"test") => watched(command, &mut |line| failures.read(line))?,
            _ => run(&mut command)?,
        };
        let seconds = step_begun.elapsed().as_secs();
        if status.success() {
            say(&format!("done in {seconds} s"));
            continue;
        }
        say(&format!("FAILED after {seconds} s"));
        let tests = failures.into_found();
        failed.extend(tests.iter().map(ToString::to_string));
        if tests.is_empty() {
            failed.push(step);
        }
        if arguments.first() == Some(&"build") {
            say("the steps after it need what it builds");
            break;
        }
    }
    match supply_chain::check(cargo)? {
        Checked::Passed(words) => say(&format!("crates of others: {words}")),
        Checked::Failed => failed.push("cargo deny check".to_owned()),
    }
    let seconds = begun.elapsed().as_secs();
    if failed.is_empty() {
        say(&format!("all {} steps passed in {seconds} s", steps.len()));
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("FAILED after {seconds} s; to run again what failed:"));
    failed.iter().for_each(|command| say(&format!("  {command}")));
    Ok(ExitCode::FAILURE)
}

/// Builds the host and runs the demo against it.
pub fn demo(arguments: &[String]) -> Result<ExitCode> {
    say("building the host and the demo; the first time this takes about ten minutes on two cores");
    Toolchain::find(Way::from_environment()?)?;
    // The whole workspace, so that the artefacts are those that the checks use too.
    let status = run(cargo().args(["build", "--workspace", "--bins"]))?;
    if !status.success() {
        return Ok(exit_code(status));
    }
    Ok(exit_code(run(Program::Demo.command()?.args(arguments))?))
}

/// Runs one benchmark, or each in turn.
pub fn bench(arguments: &[String]) -> Result<ExitCode> {
    let (names, rest) = match arguments.split_first() {
        Some((name, rest)) => (vec![name.as_str()], rest),
        None => (vec!["evaluate", "whatif", "end_to_end"], &[][..]),
    };
    say("benchmarks are built optimised; the first time this takes fifteen to twenty minutes on two cores");
    Toolchain::find(Way::from_environment()?)?;
    for name in names {
        // Programs are named as cargo wants them.
        let name = &name.replace('-', "_");
        let mut steps = Vec::new();
        if ["evaluate", "readings", "whatif"].contains(&name.as_str()) {
            steps.push(vec!["bench", "--package", "weir-benches", "--bench", name, "--"]);
        } else {
            steps.push(vec!["build", "--release", "--package", "weir-host", "--bin", "weir"]);
            steps.push(vec!["run", "--release", "--package", "weir-benches", "--bin", name, "--"]);
        }
        for mut step in steps {
            if step.ends_with(&["--"]) {
                step.extend(rest.iter().map(String::as_str));
            }
            say(&format!("cargo {}", step.join(" ")));
            let status = run(cargo().args(step))?;
            if !status.success() {
                return Ok(exit_code(status));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a task runs.
#[derive(Debug, Clone, Copy)]
enum Program {
    Cargo,
    /// As it was built with the rest of the workspace.
    Demo,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Cargo => "cargo",
            Self::Demo => "demo",
        }
    }

    fn command(self) -> Result<Command> {
        match self {
            Self::Cargo => Ok(cargo()),
            // It lies where this program does.
            Self::Demo => Ok(Command::new(env::current_exe()?.with_file_name("demo"))),
        }
    }
}

fn say(line: &str) {
    eprintln!("xtask: {line}");
}

/// The cargo that runs this, in the workspace, under the user's own settings.
fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    // What cargo told this program about its own package is not about the packages to come.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}

fn run(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("{:?} cannot be run", command.get_program()))
}

/// The child's code; 1 where a signal ended it.
fn exit_code(status: ExitStatus) -> ExitCode {
    match status.code() {
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        None => ExitCode::FAILURE,
    }
}
