//! `cargo xtask`: the workspace's tasks, from a fresh machine on.
//!
//! It must not know how a task's programs do their work. Invariant: the exit code is that of the step that failed;
//! 64 for arguments that make no sense.

mod tasks;

use std::process::ExitCode;

const USAGE: &str = "\
The workspace's tasks. Each first makes sure that guests can be compiled, and says what it does.

  cargo xtask demo [arguments]        a day of seven million alerts through the real host; `demo --help` for its options
  cargo xtask test                    all checks: format, lints, tests, documentation; in a browser too, which apt installs;
                                      of crates of others by cargo deny, where it is installed
  cargo xtask test --random --hours N   the tests that take a seed, with random ones for N hours (1); --seed N: once
  cargo xtask plugins [packages]      build the stock plugins (or these packages) into target/plugins
  cargo xtask bench [name [arguments]]  all benchmarks, or one: evaluate, whatif, end_to_end, fairness,
                                      tenants, whatif-load, subscribers, broken-file,
                                      readings, whatif-readings

WEIR_GUEST_TOOLCHAIN=rustup or =debian forces the way guests are compiled.
";

/// The conventional exit code for a command line that makes no sense.
const EXIT_USAGE: u8 = 64;

fn usage(problem: &str) -> ExitCode {
    eprint!("xtask: {problem}\n\n{USAGE}");
    ExitCode::from(EXIT_USAGE)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("", &[][..]),
    };
    let done = match task {
        "demo" => tasks::demo(rest),
        "test" if rest.is_empty() => tasks::test(),
        "test" if rest[0] == "--random" => {
            let arguments: Vec<&str> = rest[1..].iter().map(String::as_str).collect();
            match tasks::Rounds::of_arguments(&arguments) {
                Ok(rounds) => tasks::test_random(rounds),
                Err(problem) => return usage(&problem),
            }
        }
        "plugins" => tasks::plugins(rest),
        "bench" => tasks::bench(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            let problem = match task {
                "" => "no task given".to_owned(),
                "test" => format!("test takes --random or nothing, found {rest:?}"),
                other => format!("unknown task {other:?}"),
            };
            return usage(&problem);
        }
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
